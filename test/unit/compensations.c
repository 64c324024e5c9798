/*-------------------------------------------------------------------------
 *
 * compensations.c
 *	  What follows for a compensation, which nothing interrupts.
 *
 * Build: gcc test/unit/compensations.c src/fsm.c src/join.c src/retry.c -lcmocka -lm
 *
 *-------------------------------------------------------------------------
 */
#include "small_model.h"

#define U(name)	cmocka_unit_test_setup(name, setup_undo)

static int
setup_undo(void **unused)
{
	setup(unused);
	position.state = SAFE;
	return 0;
}

static CanoDecision
compensation(CanoEvent event)
{
	return decide_part(states[SAFE].undo, event);
}

/* That one is over is not the end of the rollback. */
#define assert_undo_ends(d, how, why, cat) do { \
	CanoDecision u_ = (d); \
	assert_ends(u_, how, why, cat); \
	assert_int_equal(u_.state, SAFE); \
	assert_false(u_.entered); \
	assert_false(u_.completed); \
	assert_false(u_.cursor); \
	assert_false(u_.fans_out); \
	assert_false(u_.breaks); \
	assert_false(u_.dead); \
	assert_false(u_.rolls_back); \
} while (0)

static void
a_compensation_that_returns_has_undone_its_visit(void **unused)
{
	const char *targets[] = {NULL, "last", "safe", "broken", "nowhere"};

	for (int i = 0; i < 5; i++)
	{
		CanoDecision d = compensation(goes_to(targets[i]));

		assert_undo_ends(d, CANO_COMPLETED, CANO_FAULT_NONE, d.category);
		assert_true(d.keep);
		assert_false(d.failed_attempt);
	}
}

static void
a_compensation_has_one_try(void **unused)
{
	CanoDecision d;

	/* The retries of the state itself are for going forward. */
	states[SAFE].retry = cano_retry_default(3);
	d = compensation(errs("P0001", CANO_CAT_TASK_EXECUTION));
	assert_undo_ends(d, CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_TASK_EXECUTION);
	assert_false(d.keep);
	assert_true(d.failed_attempt);
	assert_undo_ends(compensation(errs("57014", CANO_CAT_TIMEOUT)),
					 CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_TIMEOUT);
}

static void
compensate_retry_gives_it_more(void **unused)
{
	CanoDecision d;

	undo.retry = (CanoRetry)
	{
		.policy = CANO_RETRY_FIXED,.retries = 2,.base_ms = 70
	};
	for (int attempt = 1; attempt <= 2; attempt++)
	{
		position.attempt = attempt;
		d = compensation(errs("P0001", attempt == 1 ? CANO_CAT_TIMEOUT :
							  CANO_CAT_TASK_EXECUTION));
		assert_int_equal(d.verb, CANO_WAIT);
		assert_int_equal(d.waiting, CANO_WAIT_RETRY);
		assert_int_equal(d.attempt, attempt + 1);
		assert_int_equal(d.delay_us, 70000);
		assert_false(d.own_time);
		assert_false(d.keep);
		assert_true(d.failed_attempt);
		assert_false(d.rolls_back);
	}
	position.attempt = 3;
	d = compensation(errs("P0001", CANO_CAT_TASK_EXECUTION));
	assert_undo_ends(d, CANO_FAILED, CANO_FAULT_EXHAUSTED,
					 CANO_CAT_RETRY_EXHAUSTED);
	assert_true(d.failed_attempt);

	undo.retry.base_ms = 0;
	position.attempt = 1;
	assert_int_equal(compensation(errs("P0001", CANO_CAT_TASK_EXECUTION)).verb,
					 CANO_GO);
}

static void
some_errors_of_a_compensation_are_never_retried(void **unused)
{
	undo.retry = cano_retry_default(3);
	assert_undo_ends(compensation(errs("CN900", CANO_CAT_TASK_EXECUTION)),
					 CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_PERMANENT);
	assert_undo_ends(compensation(errs("XX000", CANO_CAT_TASK_EXECUTION)),
					 CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_TASK_EXECUTION);
	assert_undo_ends(compensation(errs("P0004", CANO_CAT_TASK_EXECUTION)),
					 CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_TASK_EXECUTION);
	assert_undo_ends(compensation(errs("CN014", CANO_CAT_MISSING_ARGUMENT)),
					 CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_MISSING_ARGUMENT);
	/* Its function is not there any more. */
	assert_undo_ends(compensation(errs("CN002", CANO_CAT_WORKFLOW)),
					 CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_WORKFLOW);
}

static void
a_verdict_of_a_compensation_is_not_retried(void **unused)
{
	undo.retry = cano_retry_default(3);
	assert_undo_ends(compensation(said(CANO_SAID_FAILED)), CANO_FAILED,
					 CANO_FAULT_VERDICT, CANO_CAT_TASK_EXECUTION);
	assert_undo_ends(compensation(said(CANO_SAID_CANCELLED)), CANO_CANCELLED,
					 CANO_FAULT_VERDICT, CANO_CAT_CANCELLED);
	assert_true(compensation(said(CANO_SAID_FAILED)).keep);
	assert_false(compensation(said(CANO_SAID_FAILED)).failed_attempt);
}

static void
a_compensation_does_not_know_more_or_pending(void **unused)
{
	undo.retry = cano_retry_default(3);
	assert_undo_ends(compensation(said(CANO_SAID_MORE)), CANO_FAILED,
					 CANO_FAULT_WRONG_OUTCOME, CANO_CAT_WORKFLOW);
	assert_undo_ends(compensation(said(CANO_SAID_PENDING)), CANO_FAILED,
					 CANO_FAULT_WRONG_OUTCOME, CANO_CAT_WORKFLOW);
	assert_false(compensation(said(CANO_SAID_MORE)).keep);
}

static void
a_compensation_that_crashes_is_tried_again_but_not_forever(void **unused)
{
	position.attempt = 2;
	for (int times = 1; times <= 2; times++)
	{
		CanoDecision d = compensation(crashed(times));

		assert_int_not_equal(d.verb, CANO_END);
		assert_int_equal(d.attempt, 2);
		assert_false(d.keep);
		assert_false(d.failed_attempt);
	}
	assert_undo_ends(compensation(crashed(3)), CANO_FAILED,
					 CANO_FAULT_POISONED, CANO_CAT_POISONED);
}

static void
a_rollback_is_not_interrupted(void **unused)
{
	const CanoEvent events[] = {
		goes_to(NULL), said(CANO_SAID_FAILED), said(CANO_SAID_CANCELLED),
		errs("P0001", CANO_CAT_TASK_EXECUTION), crashed(1), crashed(3)
	};

	undo.retry = cano_retry_default(3);
	for (int i = 0; i < 6; i++)
		for (int j = 1; j <= 3; j++)
		{
			CanoEvent	event = events[i];
			CanoDecision calmly = compensation(event);
			CanoDecision d;

			event.called_off = j & 1;
			event.out_of_time = j & 2;
			d = compensation(event);
			assert_int_equal(d.verb, calmly.verb);
			assert_int_equal(d.ending, calmly.ending);
			assert_int_equal(d.fault, calmly.fault);
			assert_int_equal(d.category, calmly.category);
			assert_int_equal(d.attempt, calmly.attempt);
			assert_int_equal(d.keep, calmly.keep);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		U(a_compensation_that_returns_has_undone_its_visit),
		U(a_compensation_has_one_try),
		U(compensate_retry_gives_it_more),
		U(some_errors_of_a_compensation_are_never_retried),
		U(a_verdict_of_a_compensation_is_not_retried),
		U(a_compensation_does_not_know_more_or_pending),
		U(a_compensation_that_crashes_is_tried_again_but_not_forever),
		U(a_rollback_is_not_interrupted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
