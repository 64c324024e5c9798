/*-------------------------------------------------------------------------
 *
 * loops.c
 *	  States that are called again within one visit: stepped and poll.
 *
 * Build: gcc test/unit/loops.c src/fsm.c src/join.c src/retry.c -lcmocka -lm
 *
 *-------------------------------------------------------------------------
 */
#include "small_model.h"

/* What is true of every call that is repeated within a visit. */
#define assert_stays(d, in) do { \
	CanoDecision d_ = (d); \
	assert_int_equal(d_.state, (in)); \
	assert_int_equal(d_.duty, CANO_DUTY_ENTER); \
	assert_false(d_.entered); \
	assert_false(d_.own_time); \
	assert_false(d_.dead); \
} while (0)

/* ---- stepped ---- */

static void
more_calls_the_same_state_again_at_once(void **unused)
{
	CanoDecision d = say(LOOP, CANO_SAID_MORE, 0);

	assert_goes(d, LOOP);
	assert_stays(d, LOOP);
}

static void
every_more_leaves_a_cursor_row(void **unused)
{
	assert_true(say(LOOP, CANO_SAID_MORE, 0).cursor);
	assert_true(say(LOOP, CANO_SAID_MORE, 60).cursor);
}

static void
the_end_of_the_loop_leaves_an_entry_row_only(void **unused)
{
	CanoDecision d = next(LOOP, NULL, 0);

	assert_goes(d, LAST);
	assert_true(d.entered);
	assert_false(d.cursor);
}

static void
more_with_a_delay_waits_as_timer(void **unused)
{
	CanoDecision d = say(LOOP, CANO_SAID_MORE, 3000000);

	assert_stays(d, LOOP);
	assert_int_equal(d.verb, CANO_WAIT);
	assert_int_equal(d.waiting, CANO_WAIT_TIMER);
	assert_int_equal(d.delay_us, 3000000);
	assert_int_equal(d.attempt, 1);
	assert_true(d.keep);
	assert_false(d.failed_attempt);
}

static void
more_with_a_delay_of_less_than_nothing_is_due_at_once(void **unused)
{
	assert_goes(say(LOOP, CANO_SAID_MORE, -1), LOOP);
}

static void
every_step_has_its_attempts_afresh(void **unused)
{
	states[LOOP].retry = cano_retry_default(3);
	position.attempt = 4;
	assert_int_equal(say(LOOP, CANO_SAID_MORE, 0).attempt, 1);
	assert_int_equal(say(LOOP, CANO_SAID_MORE, 70).attempt, 1);
	position.max_attempts = 4;
	assert_int_equal(say(LOOP, CANO_SAID_MORE, 0).attempt, 1);
}

static void
a_failed_step_is_tried_again_without_a_row(void **unused)
{
	CanoDecision d;

	states[LOOP].retry = cano_retry_default(3);
	d = task_error(LOOP, "P0001");
	assert_stays(d, LOOP);
	assert_int_equal(d.verb, CANO_WAIT);
	assert_int_equal(d.waiting, CANO_WAIT_RETRY);
	assert_int_equal(d.attempt, 2);
	assert_false(d.cursor);
	assert_false(d.keep);
	assert_true(d.failed_attempt);

	position.attempt = 4;
	d = task_error(LOOP, "P0001");
	assert_ends(d, CANO_FAILED, CANO_FAULT_EXHAUSTED, CANO_CAT_RETRY_EXHAUSTED);
	assert_false(d.cursor);
	assert_true(d.dead);
}

static void
a_stepped_state_follows_its_targets_like_a_task(void **unused)
{
	assert_goes(next(LOOP, "free", 0), FREE);
	states[LOOP].anywhere = false;
	assert_goes(next(LOOP, "last", 0), LAST);
	assert_ends(next(LOOP, "free", 0), CANO_FAILED, CANO_FAULT_NOT_A_TARGET,
				CANO_CAT_WORKFLOW);
	assert_ends(next(LOOP, "nowhere", 0), CANO_FAILED, CANO_FAULT_UNKNOWN_STATE,
				CANO_CAT_WORKFLOW);
	states[LOOP].next = CANO_NO_STATE;
	assert_ends(next(LOOP, NULL, 0), CANO_FAILED, CANO_FAULT_NO_NEXT,
				CANO_CAT_WORKFLOW);
}

static void
going_to_itself_is_a_new_visit(void **unused)
{
	CanoDecision d = next(LOOP, "loop", 0);

	assert_goes(d, LOOP);
	assert_true(d.entered);
	assert_false(d.cursor);
}

static void
a_stepped_state_does_not_know_pending(void **unused)
{
	CanoDecision d;

	states[LOOP].retry = cano_retry_default(3);
	d = say(LOOP, CANO_SAID_PENDING, 0);
	assert_ends(d, CANO_FAILED, CANO_FAULT_WRONG_OUTCOME, CANO_CAT_WORKFLOW);
	assert_false(d.keep);
	assert_false(d.cursor);
}

static void
a_stepped_state_may_pass_a_verdict(void **unused)
{
	CanoDecision d = happen(LOOP, CANO_SAID_FAILED);

	assert_ends(d, CANO_FAILED, CANO_FAULT_VERDICT, CANO_CAT_TASK_EXECUTION);
	assert_true(d.keep);
	assert_false(d.cursor);
	assert_ends(happen(LOOP, CANO_SAID_CANCELLED), CANO_CANCELLED,
				CANO_FAULT_VERDICT, CANO_CAT_CANCELLED);
}

/* ---- poll ---- */

static void
pending_waits_as_poll(void **unused)
{
	CanoDecision d = say(ASK, CANO_SAID_PENDING, 1000000);

	assert_stays(d, ASK);
	assert_int_equal(d.verb, CANO_WAIT);
	assert_int_equal(d.waiting, CANO_WAIT_POLL);
	assert_int_equal(d.delay_us, 1000000);
	assert_true(d.keep);
	assert_false(d.failed_attempt);
}

static void
pending_without_a_delay_asks_again_at_once(void **unused)
{
	assert_goes(say(ASK, CANO_SAID_PENDING, 0), ASK);
	assert_goes(say(ASK, CANO_SAID_PENDING, -9), ASK);
}

static void
asking_leaves_no_rows(void **unused)
{
	assert_false(say(ASK, CANO_SAID_PENDING, 0).cursor);
	assert_false(say(ASK, CANO_SAID_PENDING, 5).cursor);
	assert_false(say(ASK, CANO_SAID_PENDING, 0).entered);
	assert_false(task_error(ASK, "P0001").cursor);
}

static void
all_asks_are_one_attempt(void **unused)
{
	states[ASK].retry = cano_retry_default(3);
	for (int attempt = 1; attempt <= 4; attempt++)
	{
		position.attempt = attempt;
		assert_int_equal(say(ASK, CANO_SAID_PENDING, 0).attempt, attempt);
		assert_int_equal(say(ASK, CANO_SAID_PENDING, 8).attempt, attempt);
		assert_int_equal(task_error(ASK, "P0001").attempt, attempt);
	}
}

static void
an_error_within_the_budget_asks_again_at_once(void **unused)
{
	states[ASK].retry = cano_retry_default(3);
	for (int errors = 0; errors < 2; errors++)
	{
		CanoDecision d;

		position.errors = errors;
		d = task_error(ASK, "P0001");
		assert_stays(d, ASK);
		assert_int_equal(d.verb, CANO_GO);
		assert_int_equal(d.attempt, 1);
		assert_int_equal(d.errors, errors + 1);
		assert_false(d.keep);
		assert_true(d.failed_attempt);
	}
}

static void
one_error_more_than_the_budget_is_the_task_s_own(void **unused)
{
	CanoDecision d;

	position.errors = 2;
	d = task_error(ASK, "P0001");
	assert_ends(d, CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_TASK_EXECUTION);
	assert_true(d.dead);
	assert_true(d.failed_attempt);
	assert_false(d.keep);
}

static void
without_a_budget_the_first_error_counts(void **unused)
{
	states[ASK].max_errors = 0;
	assert_ends(task_error(ASK, "P0001"), CANO_FAILED, CANO_FAULT_TASK,
				CANO_CAT_TASK_EXECUTION);
}

static void
pending_clears_the_errors(void **unused)
{
	for (int errors = 0; errors <= 2; errors++)
	{
		position.errors = errors;
		assert_int_equal(say(ASK, CANO_SAID_PENDING, 0).errors, 0);
		assert_int_equal(say(ASK, CANO_SAID_PENDING, 1).errors, 0);
	}
}

static void
another_attempt_has_the_whole_budget(void **unused)
{
	CanoDecision d;

	states[ASK].retry = cano_retry_default(1);
	position.errors = 2;
	d = task_error(ASK, "P0001");
	assert_stays(d, ASK);
	assert_int_equal(d.verb, CANO_WAIT);
	assert_int_equal(d.waiting, CANO_WAIT_RETRY);
	assert_int_equal(d.attempt, 2);
	assert_int_equal(d.errors, 0);

	position.attempt = 2;
	d = task_error(ASK, "P0001");
	assert_ends(d, CANO_FAILED, CANO_FAULT_EXHAUSTED, CANO_CAT_RETRY_EXHAUSTED);
}

static void
the_run_s_own_limit_gives_a_poll_attempts(void **unused)
{
	position.max_attempts = 3;
	position.errors = 2;
	assert_int_equal(task_error(ASK, "P0001").attempt, 2);
	position.attempt = 3;
	assert_ends(task_error(ASK, "P0001"), CANO_FAILED, CANO_FAULT_EXHAUSTED,
				CANO_CAT_RETRY_EXHAUSTED);

	/* it takes nothing from the budget */
	position.max_attempts = 1;
	position.attempt = 1;
	position.errors = 1;
	assert_int_equal(task_error(ASK, "P0001").verb, CANO_GO);
}

static void
what_is_never_retried_is_never_forgiven(void **unused)
{
	states[ASK].retry = cano_retry_default(3);
	assert_ends(task_error(ASK, "CN900"), CANO_FAILED, CANO_FAULT_TASK,
				CANO_CAT_PERMANENT);
	assert_ends(task_error(ASK, "XX000"), CANO_FAILED, CANO_FAULT_TASK,
				CANO_CAT_TASK_EXECUTION);
	assert_ends(raise_error(ASK, "CN014", CANO_CAT_MISSING_ARGUMENT),
				CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_MISSING_ARGUMENT);
}

static void
a_poll_out_of_time_is_not_forgiven(void **unused)
{
	CanoDecision d = raise_error(ASK, "57014", CANO_CAT_TIMEOUT);

	assert_ends(d, CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_TIMEOUT);

	states[ASK].retry = cano_retry_default(3);
	d = raise_error(ASK, "57014", CANO_CAT_TIMEOUT);
	assert_int_equal(d.waiting, CANO_WAIT_RETRY);
	assert_int_equal(d.attempt, 2);
	assert_int_equal(d.errors, 0);
}

static void
a_poll_that_is_ready_goes_on(void **unused)
{
	CanoDecision d;

	position.attempt = 3;
	position.errors = 2;
	d = next(ASK, NULL, 0);
	assert_goes(d, LAST);
	assert_true(d.entered);
	assert_int_equal(d.errors, 0);
	assert_goes(next(ASK, "free", 0), FREE);
	d = next(ASK, "ask", 0);
	assert_goes(d, ASK);
	assert_true(d.entered);
	assert_int_equal(d.errors, 0);
	states[ASK].anywhere = false;
	assert_ends(next(ASK, "free", 0), CANO_FAILED, CANO_FAULT_NOT_A_TARGET,
				CANO_CAT_WORKFLOW);
}

static void
a_poll_does_not_know_more(void **unused)
{
	CanoDecision d = say(ASK, CANO_SAID_MORE, 0);

	assert_ends(d, CANO_FAILED, CANO_FAULT_WRONG_OUTCOME, CANO_CAT_WORKFLOW);
	assert_false(d.keep);
	assert_false(d.cursor);
}

static void
a_poll_may_pass_a_verdict(void **unused)
{
	position.errors = 1;
	assert_ends(happen(ASK, CANO_SAID_FAILED), CANO_FAILED,
				CANO_FAULT_VERDICT, CANO_CAT_TASK_EXECUTION);
	assert_ends(happen(ASK, CANO_SAID_CANCELLED), CANO_CANCELLED,
				CANO_FAULT_VERDICT, CANO_CAT_CANCELLED);
}

/* ---- both ---- */

static void
entering_them_is_like_entering_a_task(void **unused)
{
	assert_goes(next(PLAIN, "loop", 0), LOOP);
	assert_goes(next(PLAIN, "ask", 0), ASK);
	assert_true(next(PLAIN, "loop", 0).entered);
	assert_true(next(PLAIN, "ask", 0).entered);
	assert_false(next(PLAIN, "loop", 0).cursor);
	assert_int_equal(next(PLAIN, "ask", 0).errors, 0);
}

static void
a_crash_moves_neither_on(void **unused)
{
	int			in[] = {LOOP, ASK};

	position.attempt = 2;
	for (int i = 0; i < 2; i++)
	{
		CanoDecision d = crash(in[i], 1);

		assert_stays(d, in[i]);
		assert_int_not_equal(d.verb, CANO_END);
		assert_int_equal(d.attempt, 2);
		assert_false(d.cursor);
		assert_ends(crash(in[i], 3), CANO_FAILED, CANO_FAULT_POISONED,
					CANO_CAT_POISONED);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(more_calls_the_same_state_again_at_once),
		T(every_more_leaves_a_cursor_row),
		T(the_end_of_the_loop_leaves_an_entry_row_only),
		T(more_with_a_delay_waits_as_timer),
		T(more_with_a_delay_of_less_than_nothing_is_due_at_once),
		T(every_step_has_its_attempts_afresh),
		T(a_failed_step_is_tried_again_without_a_row),
		T(a_stepped_state_follows_its_targets_like_a_task),
		T(going_to_itself_is_a_new_visit),
		T(a_stepped_state_does_not_know_pending),
		T(a_stepped_state_may_pass_a_verdict),
		T(pending_waits_as_poll),
		T(pending_without_a_delay_asks_again_at_once),
		T(asking_leaves_no_rows),
		T(all_asks_are_one_attempt),
		T(an_error_within_the_budget_asks_again_at_once),
		T(one_error_more_than_the_budget_is_the_task_s_own),
		T(without_a_budget_the_first_error_counts),
		T(pending_clears_the_errors),
		T(another_attempt_has_the_whole_budget),
		T(the_run_s_own_limit_gives_a_poll_attempts),
		T(what_is_never_retried_is_never_forgiven),
		T(a_poll_out_of_time_is_not_forgiven),
		T(a_poll_that_is_ready_goes_on),
		T(a_poll_does_not_know_more),
		T(a_poll_may_pass_a_verdict),
		T(entering_them_is_like_entering_a_task),
		T(a_crash_moves_neither_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
