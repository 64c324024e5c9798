/*-------------------------------------------------------------------------
 *
 * kinds.c
 *	  States that wait for others: split, batch, receive, child and external.
 *
 * Build: gcc test/unit/kinds.c src/fsm.c src/join.c src/retry.c -lcmocka -lm
 *
 *-------------------------------------------------------------------------
 */
#include "small_model.h"

static CanoTally
tally(int total, int succeeded, int failed)
{
	return (CanoTally)
	{
		.total = total,.succeeded = succeeded,.failed = failed
	};
}

static CanoTally
late(int total, int succeeded, int failed)
{
	return (CanoTally)
	{
		.total = total,.succeeded = succeeded,.failed = failed,
			.timed_out = true
	};
}

static CanoDecision
items(int count)
{
	return decide(BULK, (CanoEvent)
				  {
					  .what = CANO_SAID_ITEMS,.items = count
				  });
}

static CanoDecision
child_ended(CanoEnding how, CanoCategory category)
{
	return decide(SUB, (CanoEvent)
				  {
					  .what = CANO_CHILD_ENDED,.child = how,.category = category
				  });
}

/* ---- split ---- */

static void
a_split_begins_its_branches_with_one_entry_row(void **unused)
{
	CanoDecision d = next(PLAIN, "fork", 0);

	assert_waits(d, FORK, CANO_WAIT_BRANCHES);
	assert_true(d.fans_out);
	assert_true(d.entered);
}

static void
a_delay_before_a_split_is_over_before_its_branches_begin(void **unused)
{
	CanoDecision d = next(PLAIN, "fork", 9);

	assert_int_equal(d.verb, CANO_WAIT);
	assert_int_equal(d.waiting, CANO_WAIT_TIMER);
	assert_int_equal(d.duty, CANO_DUTY_ENTER);
	assert_int_equal(d.delay_us, 9);
	assert_false(d.own_time);
	assert_false(d.fans_out);
	assert_true(d.entered);

	d = happen(FORK, CANO_ARRIVED);
	assert_waits(d, FORK, CANO_WAIT_BRANCHES);
	assert_true(d.fans_out);
	assert_false(d.entered);
}

static void
a_split_without_branches_is_joined_at_once(void **unused)
{
	CanoDecision d = next(PLAIN, "empty fork", 0);

	assert_int_equal(d.verb, CANO_GO);
	assert_int_equal(d.state, EMPTY_FORK);
	assert_int_equal(d.duty, CANO_DUTY_JOIN);
	assert_false(d.fans_out);
	assert_true(d.entered);
	assert_true(d.keep);

	d = happen(EMPTY_FORK, CANO_ARRIVED);
	assert_int_equal(d.verb, CANO_GO);
	assert_int_equal(d.duty, CANO_DUTY_JOIN);
	assert_false(d.fans_out);
	assert_false(d.entered);
}

static void
a_split_without_branches_goes_on_or_fails_by_its_strategy(void **unused)
{
	CanoStrategy never[] = {CANO_JOIN_ANY, CANO_JOIN_PARTIAL_TIMEOUT};
	CanoStrategy with_none[] = {
		CANO_JOIN_ALL, CANO_JOIN_QUORUM, CANO_JOIN_PERCENTAGE, CANO_JOIN_PARTIAL
	};

	for (int i = 0; i < 4; i++)
	{
		states[EMPTY_FORK].join.strategy = with_none[i];
		assert_goes(joined(EMPTY_FORK, tally(0, 0, 0)), LAST);
	}
	for (int i = 0; i < 2; i++)
	{
		states[EMPTY_FORK].join.strategy = never[i];
		assert_ends(joined(EMPTY_FORK, tally(0, 0, 0)), CANO_FAILED,
					CANO_FAULT_JOIN, CANO_CAT_WORKFLOW);
	}
	states[EMPTY_FORK].join.strategy = CANO_JOIN_QUORUM;
	states[EMPTY_FORK].join.needed = 1;
	assert_ends(joined(EMPTY_FORK, tally(0, 0, 0)), CANO_FAILED,
				CANO_FAULT_JOIN, CANO_CAT_WORKFLOW);
}

static void
a_split_that_is_met_goes_to_next(void **unused)
{
	CanoDecision d = joined(FORK, tally(3, 3, 0));

	assert_goes(d, LAST);
	assert_true(d.entered);
	assert_false(d.fans_out);
	states[FORK].join.strategy = CANO_JOIN_ANY;
	assert_goes(joined(FORK, tally(3, 1, 1)), LAST);
	states[FORK].join.strategy = CANO_JOIN_PARTIAL_TIMEOUT;
	assert_goes(joined(FORK, late(3, 0, 1)), LAST);
}

static void
a_split_that_is_missed_fails_the_run_and_is_no_dead_letter(void **unused)
{
	CanoDecision d = joined(FORK, tally(3, 2, 1));

	assert_ends(d, CANO_FAILED, CANO_FAULT_JOIN, CANO_CAT_WORKFLOW);
	assert_int_equal(d.state, FORK);
	assert_false(d.entered);
	assert_false(d.dead);
	assert_false(d.failed_attempt);
}

static void
a_split_out_of_time_fails_the_run_although_it_had_enough(void **unused)
{
	CanoDecision d;

	states[FORK].join.strategy = CANO_JOIN_QUORUM;
	states[FORK].join.needed = 1;
	d = joined(FORK, late(3, 2, 0));
	assert_ends(d, CANO_FAILED, CANO_FAULT_JOIN, CANO_CAT_WORKFLOW);
	assert_false(d.dead);
}

static void
a_join_failure_is_not_retried(void **unused)
{
	states[FORK].retry = cano_retry_default(3);
	position.max_attempts = 5;
	assert_ends(joined(FORK, tally(3, 0, 3)), CANO_FAILED, CANO_FAULT_JOIN,
				CANO_CAT_WORKFLOW);
}

static void
a_split_may_lead_to_an_exit_or_another_split(void **unused)
{
	CanoDecision d;

	states[FORK].next = DONE;
	d = joined(FORK, tally(3, 3, 0));
	assert_int_equal(d.verb, CANO_END);
	assert_int_equal(d.ending, CANO_COMPLETED);
	assert_int_equal(d.state, DONE);
	assert_true(d.entered);

	states[FORK].next = FORK;
	d = joined(FORK, tally(3, 3, 0));
	assert_waits(d, FORK, CANO_WAIT_BRANCHES);
	assert_true(d.fans_out);
	assert_true(d.entered);
}

/* ---- batch ---- */

static void
entering_a_batch_is_like_entering_a_task(void **unused)
{
	CanoDecision d = next(PLAIN, "bulk", 0);

	assert_goes(d, BULK);
	assert_true(d.entered);
	assert_false(d.fans_out);
}

static void
a_batch_begins_the_items_it_has_loaded(void **unused)
{
	CanoDecision d = items(1);

	assert_waits(d, BULK, CANO_WAIT_ITEMS);
	assert_true(d.fans_out);
	assert_false(d.entered);
	assert_true(items(1000000).fans_out);
}

static void
items_are_of_the_attempt_that_loaded_them(void **unused)
{
	position.attempt = 3;
	assert_int_equal(items(5).attempt, 3);
	assert_int_equal(items(0).attempt, 3);
}

static void
a_batch_of_nothing_is_finished_at_once(void **unused)
{
	CanoDecision d = items(0);

	assert_int_equal(d.verb, CANO_GO);
	assert_int_equal(d.state, BULK);
	assert_int_equal(d.duty, CANO_DUTY_JOIN);
	assert_false(d.fans_out);
	assert_false(d.entered);
	assert_false(d.own_time);
	assert_true(d.keep);
	assert_false(d.failed_attempt);
}

static void
item_errors_never_fail_a_batch(void **unused)
{
	assert_goes(joined(BULK, tally(3, 3, 0)), LAST);
	assert_goes(joined(BULK, tally(3, 1, 2)), LAST);
	assert_goes(joined(BULK, tally(3, 0, 3)), LAST);
	assert_goes(joined(BULK, tally(0, 0, 0)), LAST);
	assert_true(joined(BULK, tally(3, 0, 3)).entered);
}

static void
finish_says_where_a_batch_goes(void **unused)
{
	position.attempt = 2;
	assert_goes(next(BULK, NULL, 0), LAST);
	assert_goes(next(BULK, "free", 0), FREE);
	states[BULK].anywhere = false;
	assert_goes(next(BULK, "last", 0), LAST);
	assert_ends(next(BULK, "free", 0), CANO_FAILED, CANO_FAULT_NOT_A_TARGET,
				CANO_CAT_WORKFLOW);
	assert_ends(next(BULK, "nowhere", 0), CANO_FAILED, CANO_FAULT_UNKNOWN_STATE,
				CANO_CAT_WORKFLOW);
	states[BULK].next = CANO_NO_STATE;
	assert_ends(next(BULK, NULL, 0), CANO_FAILED, CANO_FAULT_NO_NEXT,
				CANO_CAT_WORKFLOW);
}

static void
finish_may_pass_a_verdict(void **unused)
{
	CanoDecision d = happen(BULK, CANO_SAID_FAILED);

	assert_ends(d, CANO_FAILED, CANO_FAULT_VERDICT, CANO_CAT_TASK_EXECUTION);
	assert_true(d.keep);
	assert_ends(happen(BULK, CANO_SAID_CANCELLED), CANO_CANCELLED,
				CANO_FAULT_VERDICT, CANO_CAT_CANCELLED);
}

static void
another_attempt_of_a_batch_begins_with_its_load(void **unused)
{
	CanoDecision d;

	states[BULK].retry = cano_retry_default(1);
	d = task_error(BULK, "P0001");
	assert_int_equal(d.verb, CANO_WAIT);
	assert_int_equal(d.waiting, CANO_WAIT_RETRY);
	assert_int_equal(d.duty, CANO_DUTY_ENTER);
	assert_int_equal(d.attempt, 2);
	assert_false(d.fans_out);
	assert_false(d.entered);
	assert_false(d.keep);

	position.attempt = 2;
	assert_ends(task_error(BULK, "P0001"), CANO_FAILED, CANO_FAULT_EXHAUSTED,
				CANO_CAT_RETRY_EXHAUSTED);
}

static void
a_batch_without_retries_fails_with_the_error_as_it_is(void **unused)
{
	assert_ends(task_error(BULK, "P0001"), CANO_FAILED, CANO_FAULT_TASK,
				CANO_CAT_TASK_EXECUTION);
	states[BULK].retry = cano_retry_default(3);
	assert_ends(task_error(BULK, "XX000"), CANO_FAILED, CANO_FAULT_TASK,
				CANO_CAT_TASK_EXECUTION);
}

/* ---- receive ---- */

static void
a_receive_waits_for_its_signal(void **unused)
{
	CanoDecision d = next(PLAIN, "letter", 0);

	assert_waits(d, LETTER, CANO_WAIT_SIGNAL);
	assert_true(d.entered);
	d = happen(LETTER, CANO_ARRIVED);
	assert_waits(d, LETTER, CANO_WAIT_SIGNAL);
	assert_false(d.entered);
}

static void
a_signal_goes_to_next(void **unused)
{
	states[LETTER].on_timeout = FREE;
	assert_goes(happen(LETTER, CANO_SIGNALLED), LAST);
	assert_true(happen(LETTER, CANO_SIGNALLED).entered);
}

static void
a_receive_out_of_time_goes_to_on_timeout_or_fails_the_run(void **unused)
{
	CanoDecision d = happen(LETTER, CANO_WOKEN);

	assert_ends(d, CANO_FAILED, CANO_FAULT_NO_SIGNAL, CANO_CAT_TIMEOUT);
	assert_int_equal(d.state, LETTER);
	assert_false(d.entered);
	states[LETTER].on_timeout = FREE;
	assert_goes(happen(LETTER, CANO_WOKEN), FREE);
	states[LETTER].on_timeout = BROKEN;
	assert_ends(happen(LETTER, CANO_WOKEN), CANO_FAILED, CANO_FAULT_EXIT,
				CANO_CAT_WORKFLOW);
}

/* ---- child ---- */

static void
a_child_is_started_and_then_waited_for(void **unused)
{
	CanoDecision d = next(PLAIN, "sub", 0);

	assert_goes(d, SUB);
	assert_true(d.entered);
	d = happen(SUB, CANO_CHILD_STARTED);
	assert_waits(d, SUB, CANO_WAIT_CHILD);
	assert_false(d.entered);
	assert_false(d.fans_out);
}

static void
a_child_that_completed_goes_to_next(void **unused)
{
	CanoDecision d;

	states[SUB].on_failure = FREE;
	d = child_ended(CANO_COMPLETED, CANO_CAT_CONFIGURATION);
	assert_goes(d, LAST);
	assert_true(d.entered);
}

static void
a_child_that_failed_goes_to_on_failure(void **unused)
{
	states[SUB].on_failure = FREE;
	assert_goes(child_ended(CANO_FAILED, CANO_CAT_PERMANENT), FREE);
	states[SUB].on_failure = PLAIN;
	assert_goes(child_ended(CANO_FAILED, CANO_CAT_PERMANENT), PLAIN);
}

static void
a_child_that_failed_fails_the_run_with_its_own_error(void **unused)
{
	CanoCategory categories[] = {
		CANO_CAT_TASK_EXECUTION, CANO_CAT_RETRY_EXHAUSTED, CANO_CAT_PERMANENT,
		CANO_CAT_WORKFLOW_TIMEOUT, CANO_CAT_POISONED
	};

	states[SUB].retry = cano_retry_default(3);
	for (int i = 0; i < 5; i++)
	{
		CanoDecision d = child_ended(CANO_FAILED, categories[i]);

		assert_ends(d, CANO_FAILED, CANO_FAULT_CHILD, categories[i]);
		assert_int_equal(d.state, SUB);
		assert_false(d.entered);
		assert_false(d.failed_attempt);
	}
}

static void
a_child_that_cannot_be_started_is_a_failed_attempt(void **unused)
{
	CanoDecision d = raise_error(SUB, "CN404", CANO_CAT_NOT_FOUND);

	assert_ends(d, CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_NOT_FOUND);
	assert_true(d.failed_attempt);
	position.max_attempts = 2;
	assert_int_equal(raise_error(SUB, "CN404", CANO_CAT_NOT_FOUND).attempt, 2);
}

/* ---- external ---- */

static void
external_work_waits_for_its_client(void **unused)
{
	CanoDecision d = next(PLAIN, "outside", 0);

	assert_waits(d, OUTSIDE, CANO_WAIT_EXTERNAL);
	assert_true(d.entered);
	assert_int_equal(d.attempt, 1);
	d = happen(OUTSIDE, CANO_ARRIVED);
	assert_waits(d, OUTSIDE, CANO_WAIT_EXTERNAL);
	assert_false(d.entered);
}

static void
the_client_says_where_external_work_goes(void **unused)
{
	position.attempt = 3;
	assert_goes(next(OUTSIDE, NULL, 0), LAST);
	assert_goes(next(OUTSIDE, "free", 0), FREE);
	states[OUTSIDE].anywhere = false;
	assert_goes(next(OUTSIDE, "last", 0), LAST);
	assert_ends(next(OUTSIDE, "free", 0), CANO_FAILED, CANO_FAULT_NOT_A_TARGET,
				CANO_CAT_WORKFLOW);
}

static void
external_work_that_failed_waits_for_a_client_again(void **unused)
{
	CanoDecision d;

	states[OUTSIDE].retry = cano_retry_default(1);
	d = task_error(OUTSIDE, "P0001");
	assert_int_equal(d.verb, CANO_WAIT);
	assert_int_equal(d.waiting, CANO_WAIT_RETRY);
	assert_int_equal(d.duty, CANO_DUTY_ENTER);
	assert_int_equal(d.attempt, 2);
	assert_true(d.failed_attempt);

	position.attempt = 2;
	d = happen(OUTSIDE, CANO_ARRIVED);
	assert_waits(d, OUTSIDE, CANO_WAIT_EXTERNAL);
	assert_int_equal(d.attempt, 2);
	assert_ends(task_error(OUTSIDE, "P0001"), CANO_FAILED, CANO_FAULT_EXHAUSTED,
				CANO_CAT_RETRY_EXHAUSTED);
}

static void
external_work_may_fail_for_good(void **unused)
{
	CanoDecision d;

	states[OUTSIDE].retry = cano_retry_default(3);
	d = task_error(OUTSIDE, "CN900");
	assert_ends(d, CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_PERMANENT);
	assert_true(d.dead);
}

/* ---- all of them ---- */

static void
what_a_kind_does_not_know_fails_the_run(void **unused)
{
	int			in[] = {BULK, OUTSIDE};
	CanoHappened what[] = {CANO_SAID_MORE, CANO_SAID_PENDING};

	position.max_attempts = 5;
	for (int i = 0; i < 2; i++)
		for (int j = 0; j < 2; j++)
		{
			CanoDecision d = happen(in[i], what[j]);

			assert_ends(d, CANO_FAILED, CANO_FAULT_WRONG_OUTCOME,
						CANO_CAT_WORKFLOW);
			assert_false(d.keep);
		}
}

static void
none_but_a_split_and_a_batch_fans_out(void **unused)
{
	for (int i = 0; i < NSTATES; i++)
		assert_int_equal(next(PLAIN, states[i].name, 0).fans_out, i == FORK);
	assert_false(happen(SUB, CANO_CHILD_STARTED).fans_out);
	assert_false(crash(BULK, 1).fans_out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_split_begins_its_branches_with_one_entry_row),
		T(a_delay_before_a_split_is_over_before_its_branches_begin),
		T(a_split_without_branches_is_joined_at_once),
		T(a_split_without_branches_goes_on_or_fails_by_its_strategy),
		T(a_split_that_is_met_goes_to_next),
		T(a_split_that_is_missed_fails_the_run_and_is_no_dead_letter),
		T(a_split_out_of_time_fails_the_run_although_it_had_enough),
		T(a_join_failure_is_not_retried),
		T(a_split_may_lead_to_an_exit_or_another_split),
		T(entering_a_batch_is_like_entering_a_task),
		T(a_batch_begins_the_items_it_has_loaded),
		T(items_are_of_the_attempt_that_loaded_them),
		T(a_batch_of_nothing_is_finished_at_once),
		T(item_errors_never_fail_a_batch),
		T(finish_says_where_a_batch_goes),
		T(finish_may_pass_a_verdict),
		T(another_attempt_of_a_batch_begins_with_its_load),
		T(a_batch_without_retries_fails_with_the_error_as_it_is),
		T(a_receive_waits_for_its_signal),
		T(a_signal_goes_to_next),
		T(a_receive_out_of_time_goes_to_on_timeout_or_fails_the_run),
		T(a_child_is_started_and_then_waited_for),
		T(a_child_that_completed_goes_to_next),
		T(a_child_that_failed_goes_to_on_failure),
		T(a_child_that_failed_fails_the_run_with_its_own_error),
		T(a_child_that_cannot_be_started_is_a_failed_attempt),
		T(external_work_waits_for_its_client),
		T(the_client_says_where_external_work_goes),
		T(external_work_that_failed_waits_for_a_client_again),
		T(external_work_may_fail_for_good),
		T(what_a_kind_does_not_know_fails_the_run),
		T(none_but_a_split_and_a_batch_fans_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
