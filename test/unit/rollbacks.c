/*-------------------------------------------------------------------------
 *
 * rollbacks.c
 *	  What has completed, and so is to be undone; which ends undo it, and how
 *	  that came out.
 *
 * Build: gcc test/unit/rollbacks.c src/fsm.c src/join.c src/retry.c -lcmocka -lm
 *
 *-------------------------------------------------------------------------
 */
#include "small_model.h"

static const int safe[] = {SAFE, SAFE_LOOP, SAFE_OUTSIDE};

/* ---- what has completed ---- */

static void
a_compensatable_state_that_goes_on_has_completed(void **unused)
{
	for (int i = 0; i < 3; i++)
	{
		CanoDecision d = next(safe[i], NULL, 0);

		assert_goes(d, LAST);
		assert_true(d.entered);
		assert_true(d.completed);
		assert_false(d.cursor);
		assert_true(next(safe[i], "free", 0).completed);
		assert_true(next(safe[i], NULL, 5000000).completed);
		assert_true(next(safe[i], "nap", 0).completed);
		assert_true(next(safe[i], "fork", 0).completed);
	}
}

static void
going_to_a_router_completes_although_it_leaves_no_row(void **unused)
{
	CanoDecision d = next(SAFE, "route", 0);

	assert_goes(d, ROUTE);
	assert_false(d.entered);
	assert_true(d.completed);
}

static void
every_visit_completes_anew(void **unused)
{
	for (int i = 0; i < 3; i++)
	{
		CanoDecision d = next(safe[i], states[safe[i]].name, 0);

		assert_int_equal(d.state, safe[i]);
		assert_true(d.entered);
		assert_true(d.completed);
	}
}

static void
a_later_attempt_completes_like_the_first(void **unused)
{
	position.attempt = 4;
	position.max_attempts = 4;
	assert_true(next(SAFE, NULL, 0).completed);
}

static void
what_leads_to_an_exit_has_completed_however_it_ends(void **unused)
{
	const char *exits[] = {"done", "broken", "called off"};

	for (int i = 0; i < 3; i++)
	{
		CanoDecision d = next(SAFE, exits[i], 0);

		assert_int_equal(d.verb, CANO_END);
		assert_int_equal(d.state, DONE + i);
		assert_true(d.entered);
		assert_true(d.completed);
		assert_true(d.keep);
		assert_int_equal(d.rolls_back, i > 0);
	}
}

static void
what_has_no_compensation_never_completes(void **unused)
{
	for (int i = 0; i < NSTATES; i++)
		if (states[i].undo == NULL && i != FORK)
		{
			assert_false(next(i, NULL, 0).completed);
			assert_false(next(i, "done", 0).completed);
		}
	assert_false(happen(NAP, CANO_WOKEN).completed);
	assert_false(happen(LETTER, CANO_SIGNALLED).completed);
	assert_false(happen(SUB, CANO_CHILD_ENDED).completed);
	assert_false(joined(FORK, (CanoTally)
						{
							.total = 3,.succeeded = 3
						}).completed);
}

static void
a_verdict_completes_nothing(void **unused)
{
	for (int i = 0; i < 3; i++)
	{
		assert_false(happen(safe[i], CANO_SAID_FAILED).completed);
		assert_false(happen(safe[i], CANO_SAID_CANCELLED).completed);
		assert_true(happen(safe[i], CANO_SAID_FAILED).keep);
		assert_true(happen(safe[i], CANO_SAID_CANCELLED).keep);
	}
}

static void
an_outcome_that_is_refused_completes_nothing(void **unused)
{
	for (int i = 0; i < 3; i++)
	{
		CanoState  *state = &states[safe[i]];

		assert_false(next(safe[i], "nowhere", 0).completed);
		assert_false(next(safe[i], "nowhere", 0).keep);
		state->anywhere = false;
		assert_false(next(safe[i], "free", 0).completed);
		assert_true(next(safe[i], "last", 0).completed);
		state->next = CANO_NO_STATE;
		assert_false(next(safe[i], NULL, 0).completed);
		assert_false(happen(safe[i], CANO_SAID_PENDING).completed);
	}
	assert_false(happen(SAFE, CANO_SAID_MORE).completed);
	assert_false(happen(SAFE_OUTSIDE, CANO_SAID_MORE).completed);
}

static void
a_step_of_a_loop_completes_nothing(void **unused)
{
	assert_true(say(SAFE_LOOP, CANO_SAID_MORE, 0).cursor);
	assert_false(say(SAFE_LOOP, CANO_SAID_MORE, 0).completed);
	assert_false(say(SAFE_LOOP, CANO_SAID_MORE, 70).completed);
}

static void
what_did_not_return_has_not_completed(void **unused)
{
	for (int i = 0; i < 3; i++)
	{
		assert_false(task_error(safe[i], "P0001").completed);
		states[safe[i]].retry = cano_retry_default(3);
		assert_false(task_error(safe[i], "P0001").completed);
		assert_false(task_error(safe[i], "CN900").completed);
		assert_false(crash(safe[i], 1).completed);
		assert_false(crash(safe[i], 3).completed);
		assert_false(happen(safe[i], CANO_CALLED_OFF).completed);
		assert_false(happen(safe[i], CANO_OUT_OF_TIME).completed);
	}
	assert_false(happen(SAFE_OUTSIDE, CANO_ARRIVED).completed);
}

/* ---- which ends roll back ---- */

/* Every sort of end that is not a success, of whatever state. */
static int
bad_ends(CanoDecision *ends)
{
	int			n = 0;

	ends[n++] = happen(PLAIN, CANO_SAID_FAILED);
	ends[n++] = happen(SAFE, CANO_SAID_CANCELLED);
	ends[n++] = happen(LOOP, CANO_CALLED_OFF);
	ends[n++] = happen(LETTER, CANO_WOKEN);
	ends[n++] = task_error(PLAIN, "P0001");
	ends[n++] = task_error(SAFE, "CN900");
	ends[n++] = task_error(ASK, "XX000");
	ends[n++] = raise_error(ROUTE, "CN014", CANO_CAT_MISSING_ARGUMENT);
	ends[n++] = crash(BULK, 3);
	ends[n++] = happen(PLAIN, CANO_SAID_MORE);
	ends[n++] = next(PLAIN, "nowhere", 0);
	ends[n++] = next(STRICT, "free", 0);
	ends[n++] = next(FREE, NULL, 0);
	ends[n++] = next(FREE, "broken", 0);
	ends[n++] = next(SAFE, "called off", 0);
	ends[n++] = happen(BROKEN, CANO_ARRIVED);
	ends[n++] = joined(FORK, (CanoTally)
					   {
						   .total = 3,.succeeded = 2,.failed = 1
					   });
	ends[n++] = decide(SUB, (CanoEvent)
					   {
						   .what = CANO_CHILD_ENDED,.child = CANO_FAILED
					   });
	ends[n++] = decide(SAFE, (CanoEvent)
					   {
						   .what = CANO_SAID_NEXT,.called_off = true
					   });
	states[LAST].retry = cano_retry_default(1);
	position.attempt = 2;
	ends[n++] = task_error(LAST, "P0001");
	return n;
}

static void
every_bad_end_rolls_back(void **unused)
{
	CanoDecision ends[30];
	int			n = bad_ends(ends);

	for (int i = 0; i < n; i++)
	{
		assert_int_equal(ends[i].verb, CANO_END);
		assert_int_not_equal(ends[i].ending, CANO_COMPLETED);
		assert_true(ends[i].rolls_back);
	}
	assert_true(happen(PLAIN, CANO_OUT_OF_TIME).rolls_back);
}

static void
where_nothing_has_a_compensation_there_is_no_rollback(void **unused)
{
	CanoDecision ends[30];
	int			n;

	for (int i = 0; i < 3; i++)
		states[safe[i]].undo = NULL;
	model.compensates = false;
	n = bad_ends(ends);
	for (int i = 0; i < n; i++)
	{
		assert_int_equal(ends[i].verb, CANO_END);
		assert_false(ends[i].rolls_back);
	}
	assert_false(happen(PLAIN, CANO_OUT_OF_TIME).rolls_back);
}

static void
an_abandoned_run_is_left_as_it_is(void **unused)
{
	CanoDecision ends[30];
	CanoDecision d;
	int			n;

	model.abandons = true;
	for (int i = 0; i < NSTATES; i++)
	{
		d = happen(i, CANO_OUT_OF_TIME);
		assert_ends(d, CANO_FAILED, CANO_FAULT_OUT_OF_TIME,
					CANO_CAT_WORKFLOW_TIMEOUT);
		assert_false(d.rolls_back);
	}
	/* That it is so when its time is over has no say in other ends. */
	n = bad_ends(ends);
	for (int i = 0; i < n; i++)
		assert_true(ends[i].rolls_back);
	d = raise_error(PLAIN, "57014", CANO_CAT_TIMEOUT);
	assert_true(d.rolls_back);
}

static void
a_run_that_goes_on_or_completes_is_not_rolled_back(void **unused)
{
	assert_false(next(SAFE, NULL, 0).rolls_back);
	assert_false(next(SAFE, NULL, 7).rolls_back);
	assert_false(next(SAFE, "broken", 7).rolls_back);
	assert_false(next(SAFE, "done", 0).rolls_back);
	assert_false(next(PLAIN, "done", 0).rolls_back);
	assert_false(happen(DONE, CANO_ARRIVED).rolls_back);
	assert_false(say(SAFE_LOOP, CANO_SAID_MORE, 0).rolls_back);
	assert_false(say(ASK, CANO_SAID_PENDING, 9).rolls_back);
	assert_false(crash(SAFE, 1).rolls_back);
	assert_false(happen(SAFE_OUTSIDE, CANO_ARRIVED).rolls_back);
	states[SAFE].retry = cano_retry_default(3);
	assert_false(task_error(SAFE, "P0001").rolls_back);
}

static void
a_rollback_changes_nothing_else_of_the_end(void **unused)
{
	CanoDecision with[30];
	CanoDecision without[30];
	int			n = bad_ends(with);

	setup(unused);
	model.compensates = false;
	assert_int_equal(bad_ends(without), n);
	for (int i = 0; i < n; i++)
	{
		assert_int_equal(with[i].ending, without[i].ending);
		assert_int_equal(with[i].fault, without[i].fault);
		assert_int_equal(with[i].category, without[i].category);
		assert_int_equal(with[i].state, without[i].state);
		assert_int_equal(with[i].dead, without[i].dead);
		assert_int_equal(with[i].keep, without[i].keep);
		assert_int_equal(with[i].failed_attempt, without[i].failed_attempt);
	}
}

/* ---- how it came out ---- */

static void
a_rollback_is_clean_partial_or_none(void **unused)
{
	assert_int_equal(cano_fsm_rolled_back(0, 0), CANO_ROLLBACK_NONE);
	assert_int_equal(cano_fsm_rolled_back(1, 0), CANO_ROLLBACK_CLEAN);
	assert_int_equal(cano_fsm_rolled_back(59, 0), CANO_ROLLBACK_CLEAN);
	assert_int_equal(cano_fsm_rolled_back(0, 1), CANO_ROLLBACK_PARTIAL);
	assert_int_equal(cano_fsm_rolled_back(2, 1), CANO_ROLLBACK_PARTIAL);
	assert_int_equal(cano_fsm_rolled_back(1, 7), CANO_ROLLBACK_PARTIAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_compensatable_state_that_goes_on_has_completed),
		T(going_to_a_router_completes_although_it_leaves_no_row),
		T(every_visit_completes_anew),
		T(a_later_attempt_completes_like_the_first),
		T(what_leads_to_an_exit_has_completed_however_it_ends),
		T(what_has_no_compensation_never_completes),
		T(a_verdict_completes_nothing),
		T(an_outcome_that_is_refused_completes_nothing),
		T(a_step_of_a_loop_completes_nothing),
		T(what_did_not_return_has_not_completed),
		T(every_bad_end_rolls_back),
		T(where_nothing_has_a_compensation_there_is_no_rollback),
		T(an_abandoned_run_is_left_as_it_is),
		T(a_run_that_goes_on_or_completes_is_not_rolled_back),
		T(a_rollback_changes_nothing_else_of_the_end),
		T(a_rollback_is_clean_partial_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
