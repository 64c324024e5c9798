/*-------------------------------------------------------------------------
 *
 * decisions.c
 *	  Where a run goes, waits and ends by what its tasks, routers, timers and
 *	  exits say.
 *
 * Build: gcc test/unit/decisions.c src/fsm.c src/join.c src/retry.c -lcmocka -lm
 *
 *-------------------------------------------------------------------------
 */
#include "small_model.h"

/* ---- where a run goes ---- */

static void
a_task_without_an_opinion_goes_to_next(void **unused)
{
	CanoDecision d = next(PLAIN, NULL, 0);

	assert_goes(d, STRICT);
	assert_true(d.entered);
}

static void
a_task_may_name_any_state_when_it_has_no_targets(void **unused)
{
	assert_goes(next(PLAIN, "free", 0), FREE);
	assert_goes(next(FREE, "plain", 0), PLAIN);
	assert_goes(next(FREE, "free", 0), FREE);
}

static void
next_counts_as_a_target(void **unused)
{
	assert_goes(next(STRICT, "last", 0), LAST);
	assert_goes(next(STRICT, NULL, 0), LAST);
}

static void
a_target_that_was_given_is_allowed(void **unused)
{
	assert_goes(next(STRICT, "plain", 0), PLAIN);
}

static void
a_state_outside_the_targets_fails_the_run_and_undoes_the_attempt(void **unused)
{
	CanoDecision d = next(STRICT, "free", 0);

	assert_ends(d, CANO_FAILED, CANO_FAULT_NOT_A_TARGET, CANO_CAT_WORKFLOW);
	assert_int_equal(d.state, STRICT);
	assert_false(d.keep);
}

static void
a_state_that_does_not_exist_fails_the_run_and_undoes_the_attempt(void **unused)
{
	CanoDecision d = next(PLAIN, "nowhere", 0);

	assert_ends(d, CANO_FAILED, CANO_FAULT_UNKNOWN_STATE, CANO_CAT_WORKFLOW);
	assert_int_equal(d.state, PLAIN);
	assert_false(d.keep);

	d = next(STRICT, "nowhere", 0);
	assert_ends(d, CANO_FAILED, CANO_FAULT_UNKNOWN_STATE, CANO_CAT_WORKFLOW);
}

static void
names_of_states_are_case_sensitive(void **unused)
{
	assert_ends(next(PLAIN, "Free", 0), CANO_FAILED, CANO_FAULT_UNKNOWN_STATE,
				CANO_CAT_WORKFLOW);
	assert_ends(next(PLAIN, "", 0), CANO_FAILED, CANO_FAULT_UNKNOWN_STATE,
				CANO_CAT_WORKFLOW);
}

static void
no_state_and_no_default_fails_the_run(void **unused)
{
	CanoDecision d = next(FREE, NULL, 0);

	assert_ends(d, CANO_FAILED, CANO_FAULT_NO_NEXT, CANO_CAT_WORKFLOW);
	assert_false(d.keep);
	assert_ends(next(ROUTE, NULL, 0), CANO_FAILED, CANO_FAULT_NO_NEXT,
				CANO_CAT_WORKFLOW);
}

static void
a_wrong_target_is_not_retried(void **unused)
{
	states[STRICT].retry = cano_retry_default(5);
	assert_ends(next(STRICT, "free", 0), CANO_FAILED, CANO_FAULT_NOT_A_TARGET,
				CANO_CAT_WORKFLOW);
	position.max_attempts = 9;
	assert_ends(next(STRICT, "nowhere", 0), CANO_FAILED,
				CANO_FAULT_UNKNOWN_STATE, CANO_CAT_WORKFLOW);
}

/* ---- routers ---- */

static void
a_router_goes_to_one_of_its_targets(void **unused)
{
	assert_goes(next(ROUTE, "plain", 0), PLAIN);
	assert_ends(next(ROUTE, "last", 0), CANO_FAILED, CANO_FAULT_NOT_A_TARGET,
				CANO_CAT_WORKFLOW);
}

static void
a_router_without_targets_goes_anywhere(void **unused)
{
	assert_goes(next(FREE_ROUTE, "last", 0), LAST);
}

static void
entering_a_router_leaves_no_row(void **unused)
{
	CanoDecision d = next(PLAIN, "route", 0);

	assert_goes(d, ROUTE);
	assert_false(d.entered);
	d = next(ROUTE, "route", 0);
	assert_goes(d, ROUTE);
	assert_true(d.moved);
	assert_false(d.entered);
	assert_false(cano_fsm_leaves_row(&states[ROUTE]));
}

static void
every_other_kind_leaves_a_row(void **unused)
{
	for (int i = 0; i < NSTATES; i++)
		if (states[i].kind != CANO_KIND_ROUTER)
			assert_true(cano_fsm_leaves_row(&states[i]));
	assert_true(next(PLAIN, "nap", 0).entered);
	assert_true(next(PLAIN, "asked nap", 0).entered);
	assert_true(next(PLAIN, "done", 0).entered);
	assert_true(next(ROUTE, "plain", 0).entered);
}

/* ---- going later ---- */

static void
a_delay_waits_as_timer_before_the_next_state(void **unused)
{
	CanoDecision d = next(PLAIN, "last", 5000000);

	assert_int_equal(d.verb, CANO_WAIT);
	assert_int_equal(d.state, LAST);
	assert_int_equal(d.waiting, CANO_WAIT_TIMER);
	assert_int_equal(d.duty, CANO_DUTY_ENTER);
	assert_int_equal(d.delay_us, 5000000);
	assert_false(d.own_time);
	assert_true(d.keep);
	assert_true(d.entered);
	assert_int_equal(d.attempt, 1);
}

static void
a_delay_of_nothing_or_less_goes_at_once(void **unused)
{
	assert_goes(next(PLAIN, "last", 0), LAST);
	assert_goes(next(PLAIN, "last", -5), LAST);
}

static void
a_delay_before_an_exit_ends_the_run_only_when_it_is_over(void **unused)
{
	CanoDecision d = next(PLAIN, "done", 1);

	assert_int_equal(d.verb, CANO_WAIT);
	assert_int_equal(d.state, DONE);
	assert_true(d.entered);

	d = happen(DONE, CANO_ARRIVED);
	assert_ends(d, CANO_COMPLETED, CANO_FAULT_NONE, d.category);
	assert_false(d.entered);
}

static void
a_delay_before_a_timer_comes_on_top_of_the_timer(void **unused)
{
	CanoDecision d = next(PLAIN, "nap", 7);

	assert_int_equal(d.verb, CANO_WAIT);
	assert_int_equal(d.delay_us, 7);
	assert_false(d.own_time);
	assert_int_equal(d.duty, CANO_DUTY_ENTER);

	d = happen(NAP, CANO_ARRIVED);
	assert_int_equal(d.verb, CANO_WAIT);
	assert_true(d.own_time);
	assert_int_equal(d.duty, CANO_DUTY_WAKE);
	assert_false(d.entered);
}

/* ---- exits ---- */

static void
an_exit_ends_the_run_at_once_with_its_row(void **unused)
{
	CanoDecision d = next(LAST, NULL, 0);

	assert_int_equal(d.verb, CANO_END);
	assert_int_equal(d.state, DONE);
	assert_int_equal(d.ending, CANO_COMPLETED);
	assert_int_equal(d.fault, CANO_FAULT_NONE);
	assert_true(d.entered);
	assert_true(d.keep);
	assert_false(d.dead);
}

static void
an_exit_with_outcome_failed_fails_the_run(void **unused)
{
	CanoDecision d = next(PLAIN, "broken", 0);

	assert_ends(d, CANO_FAILED, CANO_FAULT_EXIT, CANO_CAT_WORKFLOW);
	assert_int_equal(d.state, BROKEN);
	assert_true(d.entered);
	assert_true(d.keep);
	assert_false(d.dead);
}

static void
an_exit_with_outcome_cancelled_cancels_the_run(void **unused)
{
	CanoDecision d = next(PLAIN, "called off", 0);

	assert_ends(d, CANO_CANCELLED, CANO_FAULT_EXIT, CANO_CAT_WORKFLOW);
	assert_true(d.entered);
	assert_true(d.keep);
	assert_false(d.dead);
}

static void
a_run_that_starts_in_an_exit_ends_there(void **unused)
{
	CanoDecision d = happen(DONE, CANO_ARRIVED);

	assert_int_equal(d.verb, CANO_END);
	assert_int_equal(d.ending, CANO_COMPLETED);
	assert_false(d.entered);
	assert_ends(happen(BROKEN, CANO_ARRIVED), CANO_FAILED, CANO_FAULT_EXIT,
				CANO_CAT_WORKFLOW);
}

/* ---- timers ---- */

static void
a_timer_waits_for_its_own_time(void **unused)
{
	CanoDecision d = next(PLAIN, "nap", 0);

	assert_int_equal(d.verb, CANO_WAIT);
	assert_int_equal(d.state, NAP);
	assert_int_equal(d.duty, CANO_DUTY_WAKE);
	assert_int_equal(d.waiting, CANO_WAIT_TIMER);
	assert_true(d.own_time);
	assert_true(d.entered);
	assert_true(d.keep);
}

static void
a_timer_that_is_over_goes_to_next(void **unused)
{
	CanoDecision d = happen(NAP, CANO_WOKEN);

	assert_goes(d, LAST);
	assert_true(d.entered);
}

static void
a_timer_that_asks_a_function_is_due_at_once_and_then_waits(void **unused)
{
	CanoDecision d = next(PLAIN, "asked nap", 0);

	assert_goes(d, ASKED_NAP);
	assert_true(d.entered);

	d = happen(ASKED_NAP, CANO_SAID_UNTIL);
	assert_int_equal(d.verb, CANO_WAIT);
	assert_int_equal(d.state, ASKED_NAP);
	assert_int_equal(d.duty, CANO_DUTY_WAKE);
	assert_int_equal(d.waiting, CANO_WAIT_TIMER);
	assert_true(d.own_time);
	assert_false(d.entered);
	assert_true(d.keep);

	assert_goes(happen(ASKED_NAP, CANO_WOKEN), LAST);
}

static void
a_timer_may_lead_to_an_exit(void **unused)
{
	states[NAP].next = DONE;
	assert_ends(happen(NAP, CANO_WOKEN), CANO_COMPLETED, CANO_FAULT_NONE,
				happen(NAP, CANO_WOKEN).category);
}

/* ---- outcomes that a kind does not know ---- */

static void
more_and_pending_are_unknown_to_tasks_routers_and_timers(void **unused)
{
	int			in[] = {PLAIN, ROUTE, ASKED_NAP};
	CanoHappened what[] = {CANO_SAID_MORE, CANO_SAID_PENDING};

	states[PLAIN].retry = cano_retry_default(3);
	for (int i = 0; i < 3; i++)
		for (int j = 0; j < 2; j++)
		{
			CanoDecision d = happen(in[i], what[j]);

			assert_ends(d, CANO_FAILED, CANO_FAULT_WRONG_OUTCOME,
						CANO_CAT_WORKFLOW);
			assert_int_equal(d.state, in[i]);
			assert_false(d.keep);
		}
}

static void
a_due_time_is_unknown_to_tasks(void **unused)
{
	assert_ends(happen(PLAIN, CANO_SAID_UNTIL), CANO_FAILED,
				CANO_FAULT_WRONG_OUTCOME, CANO_CAT_WORKFLOW);
}

/* ---- verdicts ---- */

static void
a_failed_verdict_keeps_the_effects_and_is_no_dead_letter(void **unused)
{
	CanoDecision d;

	states[PLAIN].retry = cano_retry_default(5);
	d = happen(PLAIN, CANO_SAID_FAILED);
	assert_ends(d, CANO_FAILED, CANO_FAULT_VERDICT, CANO_CAT_TASK_EXECUTION);
	assert_int_equal(d.state, PLAIN);
	assert_true(d.keep);
	assert_false(d.dead);
	assert_false(d.failed_attempt);
	assert_false(d.entered);
}

static void
a_cancelled_verdict_cancels_and_keeps_the_effects(void **unused)
{
	CanoDecision d = happen(PLAIN, CANO_SAID_CANCELLED);

	assert_ends(d, CANO_CANCELLED, CANO_FAULT_VERDICT, CANO_CAT_CANCELLED);
	assert_true(d.keep);
	assert_false(d.dead);
	assert_false(d.failed_attempt);
	assert_false(d.entered);
}

static void
a_router_may_pass_a_verdict(void **unused)
{
	assert_ends(happen(ROUTE, CANO_SAID_FAILED), CANO_FAILED,
				CANO_FAULT_VERDICT, CANO_CAT_TASK_EXECUTION);
	assert_ends(happen(ROUTE, CANO_SAID_CANCELLED), CANO_CANCELLED,
				CANO_FAULT_VERDICT, CANO_CAT_CANCELLED);
}

/* ---- arriving ---- */

static void
arriving_is_the_attempt_that_was_to_be(void **unused)
{
	int			in[] = {NAP, FORK, EMPTY_FORK, LETTER, OUTSIDE};

	for (int i = 0; i < 5; i++)
	{
		position.attempt = 3;
		assert_int_equal(happen(in[i], CANO_ARRIVED).attempt, 3);
		position.attempt = 1;
		assert_int_equal(happen(in[i], CANO_ARRIVED).attempt, 1);
		assert_false(happen(in[i], CANO_ARRIVED).entered);
	}
}

/* ---- from outside ---- */

static void
a_run_is_called_off_wherever_it_is(void **unused)
{
	for (int i = 0; i < NSTATES; i++)
	{
		CanoDecision d;

		states[i].retry = cano_retry_default(3);
		d = happen(i, CANO_CALLED_OFF);
		assert_ends(d, CANO_CANCELLED, CANO_FAULT_CALLED_OFF,
					CANO_CAT_CANCELLED);
		assert_int_equal(d.state, i);
		assert_false(d.entered);
		assert_false(d.cursor);
		assert_false(d.failed_attempt);
		assert_false(d.dead);
	}
}

static void
a_run_is_out_of_time_wherever_it_is(void **unused)
{
	for (int i = 0; i < NSTATES; i++)
	{
		CanoDecision d;

		states[i].retry = cano_retry_default(3);
		d = happen(i, CANO_OUT_OF_TIME);
		assert_ends(d, CANO_FAILED, CANO_FAULT_OUT_OF_TIME,
					CANO_CAT_WORKFLOW_TIMEOUT);
		assert_int_equal(d.state, i);
		assert_false(d.entered);
		assert_false(d.cursor);
		assert_false(d.failed_attempt);
		assert_false(d.dead);
	}
}

/* ---- looking up ---- */

static void
states_are_found_by_name(void **unused)
{
	for (int i = 0; i < NSTATES; i++)
		assert_int_equal(cano_fsm_state(&model, states[i].name), i);
	assert_int_equal(cano_fsm_state(&model, "none such"), CANO_NO_STATE);
	assert_int_equal(cano_fsm_state(&model, ""), CANO_NO_STATE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_task_without_an_opinion_goes_to_next),
		T(a_task_may_name_any_state_when_it_has_no_targets),
		T(next_counts_as_a_target),
		T(a_target_that_was_given_is_allowed),
		T(a_state_outside_the_targets_fails_the_run_and_undoes_the_attempt),
		T(a_state_that_does_not_exist_fails_the_run_and_undoes_the_attempt),
		T(names_of_states_are_case_sensitive),
		T(no_state_and_no_default_fails_the_run),
		T(a_wrong_target_is_not_retried),
		T(a_router_goes_to_one_of_its_targets),
		T(a_router_without_targets_goes_anywhere),
		T(entering_a_router_leaves_no_row),
		T(every_other_kind_leaves_a_row),
		T(a_delay_waits_as_timer_before_the_next_state),
		T(a_delay_of_nothing_or_less_goes_at_once),
		T(a_delay_before_an_exit_ends_the_run_only_when_it_is_over),
		T(a_delay_before_a_timer_comes_on_top_of_the_timer),
		T(an_exit_ends_the_run_at_once_with_its_row),
		T(an_exit_with_outcome_failed_fails_the_run),
		T(an_exit_with_outcome_cancelled_cancels_the_run),
		T(a_run_that_starts_in_an_exit_ends_there),
		T(a_timer_waits_for_its_own_time),
		T(a_timer_that_is_over_goes_to_next),
		T(a_timer_that_asks_a_function_is_due_at_once_and_then_waits),
		T(a_timer_may_lead_to_an_exit),
		T(more_and_pending_are_unknown_to_tasks_routers_and_timers),
		T(a_due_time_is_unknown_to_tasks),
		T(a_failed_verdict_keeps_the_effects_and_is_no_dead_letter),
		T(a_cancelled_verdict_cancels_and_keeps_the_effects),
		T(a_router_may_pass_a_verdict),
		T(arriving_is_the_attempt_that_was_to_be),
		T(a_run_is_called_off_wherever_it_is),
		T(a_run_is_out_of_time_wherever_it_is),
		T(states_are_found_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
