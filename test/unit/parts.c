/*-------------------------------------------------------------------------
 *
 * parts.c
 *	  What follows for a branch of a split or an item of a batch.
 *
 * Build: gcc test/unit/parts.c src/fsm.c src/join.c src/retry.c -lcmocka -lm
 *
 *-------------------------------------------------------------------------
 */
#include "small_model.h"

#define BRANCH	(&branches[1])
#define ITEM	(&item)

static CanoDecision
part_happens(const CanoState *of, CanoHappened what)
{
	return decide_part(of, (CanoEvent)
					   {
						   .what = what
					   });
}

static CanoDecision
part_next(const CanoState *of, const char *target)
{
	return decide_part(of, (CanoEvent)
					   {
						   .what = CANO_SAID_NEXT,.target = target
					   });
}

static CanoDecision
part_crashes(const CanoState *of, int crashes)
{
	return decide_part(of, (CanoEvent)
					   {
						   .what = CANO_CRASHED,.crashes = crashes
					   });
}

/* In the state that has these parts. */
static int
setup_parts(void **unused)
{
	setup(unused);
	position.state = FORK;
	return 0;
}

/* That it has ended is not yet the end of the run. */
#define assert_part_ends(d, how, why, cat) do { \
	CanoDecision p_ = (d); \
	assert_ends(p_, how, why, cat); \
	assert_int_equal(p_.state, position.state); \
	assert_false(p_.entered); \
	assert_false(p_.cursor); \
	assert_false(p_.fans_out); \
	assert_false(p_.dead); \
} while (0)

/* The part, and not the run, is tried again. */
#define assert_part_again(d, attempt_) do { \
	CanoDecision p_ = (d); \
	assert_int_not_equal(p_.verb, CANO_END); \
	assert_int_equal(p_.state, position.state); \
	assert_int_equal(p_.duty, CANO_DUTY_PART); \
	assert_int_equal(p_.attempt, (attempt_)); \
	assert_false(p_.entered); \
	assert_false(p_.cursor); \
	assert_false(p_.fans_out); \
	assert_false(p_.keep); \
	assert_false(p_.dead); \
	assert_false(p_.own_time); \
} while (0)

/* ---- a branch ---- */

static void
a_branch_that_returns_has_succeeded(void **unused)
{
	CanoDecision d = part_next(BRANCH, NULL);

	assert_part_ends(d, CANO_COMPLETED, CANO_FAULT_NONE, d.category);
	assert_true(d.keep);
	assert_false(d.failed_attempt);
}

static void
the_state_that_a_branch_names_is_ignored(void **unused)
{
	const char *names[] = {"last", "fork", "done", "broken", "nowhere", ""};

	for (int i = 0; i < 6; i++)
	{
		CanoDecision d = part_next(BRANCH, names[i]);

		assert_part_ends(d, CANO_COMPLETED, CANO_FAULT_NONE, d.category);
		assert_true(d.keep);
	}
}

static void
a_failed_verdict_fails_the_branch(void **unused)
{
	CanoDecision d;

	branches[1].retry = cano_retry_default(3);
	d = part_happens(BRANCH, CANO_SAID_FAILED);
	assert_part_ends(d, CANO_FAILED, CANO_FAULT_VERDICT,
					 CANO_CAT_TASK_EXECUTION);
	assert_true(d.keep);
	assert_false(d.failed_attempt);
	assert_false(d.breaks);
}

static void
a_cancelled_verdict_of_a_branch_cancels_the_run(void **unused)
{
	CanoDecision d;

	branches[1].retry = cano_retry_default(3);
	d = part_happens(BRANCH, CANO_SAID_CANCELLED);
	assert_part_ends(d, CANO_CANCELLED, CANO_FAULT_VERDICT, CANO_CAT_CANCELLED);
	assert_true(d.keep);
	assert_false(d.failed_attempt);
}

static void
a_branch_knows_no_outcomes_of_other_kinds(void **unused)
{
	CanoHappened what[] = {CANO_SAID_MORE, CANO_SAID_PENDING};

	branches[1].retry = cano_retry_default(3);
	for (int i = 0; i < 2; i++)
	{
		CanoDecision d = part_happens(BRANCH, what[i]);

		assert_part_ends(d, CANO_FAILED, CANO_FAULT_WRONG_OUTCOME,
						 CANO_CAT_WORKFLOW);
		assert_false(d.keep);
	}
}

static void
every_branch_has_its_own_retry(void **unused)
{
	CanoDecision d;

	branches[0].retry = (CanoRetry)
	{
		.policy = CANO_RETRY_FIXED,.retries = 1,.base_ms = 40
	};
	branches[2].retry = (CanoRetry)
	{
		.policy = CANO_RETRY_FIXED,.retries = 2,.base_ms = 70
	};
	states[FORK].retry = cano_retry_default(9);

	d = part_error(&branches[0], "P0001", CANO_CAT_TASK_EXECUTION);
	assert_part_again(d, 2);
	assert_int_equal(d.verb, CANO_WAIT);
	assert_int_equal(d.waiting, CANO_WAIT_RETRY);
	assert_int_equal(d.delay_us, 40000);
	assert_true(d.failed_attempt);
	d = part_error(&branches[2], "P0001", CANO_CAT_TASK_EXECUTION);
	assert_part_again(d, 2);
	assert_int_equal(d.delay_us, 70000);
	assert_part_ends(part_error(&branches[1], "P0001", CANO_CAT_TASK_EXECUTION),
					 CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_TASK_EXECUTION);

	position.attempt = 2;
	assert_part_ends(part_error(&branches[0], "P0001", CANO_CAT_TASK_EXECUTION),
					 CANO_FAILED, CANO_FAULT_EXHAUSTED,
					 CANO_CAT_RETRY_EXHAUSTED);
	assert_part_again(part_error(&branches[2], "P0001", CANO_CAT_TASK_EXECUTION),
					  3);
}

static void
a_retry_of_a_branch_without_delay_is_due_at_once(void **unused)
{
	CanoDecision d;

	branches[1].retry = (CanoRetry)
	{
		.policy = CANO_RETRY_FIXED,.retries = 1
	};
	d = part_error(BRANCH, "P0001", CANO_CAT_TASK_EXECUTION);
	assert_part_again(d, 2);
	assert_int_equal(d.verb, CANO_GO);
}

static void
an_attempt_of_a_branch_out_of_time_is_retried(void **unused)
{
	branches[1].retry = cano_retry_default(1);
	assert_part_again(part_error(BRANCH, "57014", CANO_CAT_TIMEOUT), 2);
	branches[1].retry = cano_retry_none();
	assert_part_ends(part_error(BRANCH, "57014", CANO_CAT_TIMEOUT), CANO_FAILED,
					 CANO_FAULT_TASK, CANO_CAT_TIMEOUT);
}

static void
a_branch_that_failed_is_undone_and_no_dead_letter(void **unused)
{
	CanoDecision d = part_error(BRANCH, "P0001", CANO_CAT_TASK_EXECUTION);

	assert_part_ends(d, CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_TASK_EXECUTION);
	assert_false(d.keep);
	assert_true(d.failed_attempt);
	assert_false(d.breaks);
}

static void
a_panic_fails_the_branch_and_the_join_decides(void **unused)
{
	const char *codes[] = {"XX000", "XX002", "P0004"};

	branches[1].retry = cano_retry_default(3);
	for (int i = 0; i < 3; i++)
	{
		CanoDecision d = part_error(BRANCH, codes[i], CANO_CAT_TASK_EXECUTION);

		assert_part_ends(d, CANO_FAILED, CANO_FAULT_TASK,
						 CANO_CAT_TASK_EXECUTION);
		assert_false(d.breaks);
		assert_false(d.keep);
	}
}

static void
what_is_never_retried_ends_a_branch_as_it_is(void **unused)
{
	branches[1].retry = cano_retry_default(3);
	for (int attempt = 1; attempt <= 4; attempt++)
	{
		position.attempt = attempt;
		assert_part_ends(part_error(BRANCH, "CN900", CANO_CAT_TASK_EXECUTION),
						 CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_PERMANENT);
		assert_part_ends(part_error(BRANCH, "CN014", CANO_CAT_MISSING_ARGUMENT),
						 CANO_FAILED, CANO_FAULT_TASK,
						 CANO_CAT_MISSING_ARGUMENT);
		assert_part_ends(part_error(BRANCH, "CN006", CANO_CAT_CIRCUIT_OPEN),
						 CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_CIRCUIT_OPEN);
	}
}

/* ---- an item ---- */

static void
an_item_that_returns_has_succeeded(void **unused)
{
	CanoDecision d;

	position.state = BULK;
	d = part_next(ITEM, NULL);
	assert_part_ends(d, CANO_COMPLETED, CANO_FAULT_NONE, d.category);
	assert_true(d.keep);
	assert_false(d.failed_attempt);
	assert_false(d.breaks);
}

static void
an_item_without_retry_has_one_attempt(void **unused)
{
	CanoDecision d;

	position.state = BULK;
	states[BULK].retry = cano_retry_default(9);
	d = part_error(ITEM, "23505", CANO_CAT_TASK_EXECUTION);
	assert_part_ends(d, CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_TASK_EXECUTION);
	assert_false(d.keep);
	assert_true(d.failed_attempt);
	assert_false(d.breaks);
}

static void
an_item_that_used_up_its_attempts_has_its_last_error_as_it_is(void **unused)
{
	position.state = BULK;
	item.retry = (CanoRetry)
	{
		.policy = CANO_RETRY_FIXED,.retries = 2,.base_ms = 30
	};
	for (int attempt = 1; attempt <= 2; attempt++)
	{
		CanoDecision d;

		position.attempt = attempt;
		d = part_error(ITEM, "P0001", CANO_CAT_TASK_EXECUTION);
		assert_part_again(d, attempt + 1);
		assert_int_equal(d.verb, CANO_WAIT);
		assert_int_equal(d.waiting, CANO_WAIT_RETRY);
		assert_int_equal(d.delay_us, 30000);
		assert_true(d.failed_attempt);
	}
	position.attempt = 3;
	assert_part_ends(part_error(ITEM, "P0001", CANO_CAT_TASK_EXECUTION),
					 CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_TASK_EXECUTION);
	assert_part_ends(part_error(ITEM, "CN010", CANO_CAT_RESOURCE),
					 CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_RESOURCE);
	assert_false(part_error(ITEM, "P0001", CANO_CAT_TASK_EXECUTION).breaks);
}

static void
the_delay_of_an_item_counts_its_own_failed_attempts(void **unused)
{
	position.state = BULK;
	item.retry = cano_retry_default(3);
	position.random = 0.0;
	for (int attempt = 1, ms = 100; attempt <= 3; attempt++, ms *= 2)
	{
		position.attempt = attempt;
		assert_int_equal(part_error(ITEM, "P0001",
									CANO_CAT_TASK_EXECUTION).delay_us,
						 ms * 1000);
	}
	item.retry = (CanoRetry)
	{
		.policy = CANO_RETRY_FIXED,.retries = 5
	};
	position.attempt = 1;
	assert_int_equal(part_error(ITEM, "P0001", CANO_CAT_TASK_EXECUTION).verb,
					 CANO_GO);
}

static void
a_permanent_error_ends_the_item_only(void **unused)
{
	CanoDecision d;

	position.state = BULK;
	item.retry = cano_retry_default(3);
	d = part_error(ITEM, "CN900", CANO_CAT_TASK_EXECUTION);
	assert_part_ends(d, CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_PERMANENT);
	assert_false(d.breaks);
}

static void
a_panic_in_an_item_ends_the_batch(void **unused)
{
	const char *codes[] = {"XX000", "XX001", "P0004"};

	position.state = BULK;
	for (int retries = 0; retries <= 3; retries += 3)
		for (int i = 0; i < 3; i++)
		{
			CanoDecision d;

			item.retry = cano_retry_default(retries);
			d = part_error(ITEM, codes[i], CANO_CAT_TASK_EXECUTION);
			assert_part_ends(d, CANO_FAILED, CANO_FAULT_TASK,
							 CANO_CAT_TASK_EXECUTION);
			assert_true(d.breaks);
			assert_false(d.keep);
		}
}

/* ---- both ---- */

static void
a_crash_consumes_no_attempt_of_a_part(void **unused)
{
	const CanoState *parts[] = {BRANCH, ITEM};

	position.attempt = 2;
	for (int i = 0; i < 2; i++)
	{
		for (int crashes = 1; crashes < position.max_crashes; crashes++)
		{
			assert_part_again(part_crashes(parts[i], crashes), 2);
			assert_false(part_crashes(parts[i], crashes).failed_attempt);
		}
		assert_part_ends(part_crashes(parts[i], 3), CANO_FAILED,
						 CANO_FAULT_POISONED, CANO_CAT_POISONED);
		assert_false(part_crashes(parts[i], 3).keep);
	}
}

static void
a_branch_held_back_by_a_limiter_is_tried_later(void **unused)
{
	CanoDecision d;

	position.attempt = 2;
	d = decide_part(BRANCH, (CanoEvent)
					{
						.what = CANO_HELD_BACK,.delay_us = 70000
					});
	assert_part_again(d, 2);
	assert_int_equal(d.verb, CANO_WAIT);
	assert_int_equal(d.waiting, CANO_WAIT_TIMER);
	assert_int_equal(d.delay_us, 70000);
	assert_false(d.failed_attempt);
}

#define P(name) cmocka_unit_test_setup(name, setup_parts)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		P(a_branch_that_returns_has_succeeded),
		P(the_state_that_a_branch_names_is_ignored),
		P(a_failed_verdict_fails_the_branch),
		P(a_cancelled_verdict_of_a_branch_cancels_the_run),
		P(a_branch_knows_no_outcomes_of_other_kinds),
		P(every_branch_has_its_own_retry),
		P(a_retry_of_a_branch_without_delay_is_due_at_once),
		P(an_attempt_of_a_branch_out_of_time_is_retried),
		P(a_branch_that_failed_is_undone_and_no_dead_letter),
		P(a_panic_fails_the_branch_and_the_join_decides),
		P(what_is_never_retried_ends_a_branch_as_it_is),
		P(an_item_that_returns_has_succeeded),
		P(an_item_without_retry_has_one_attempt),
		P(an_item_that_used_up_its_attempts_has_its_last_error_as_it_is),
		P(the_delay_of_an_item_counts_its_own_failed_attempts),
		P(a_permanent_error_ends_the_item_only),
		P(a_panic_in_an_item_ends_the_batch),
		P(a_crash_consumes_no_attempt_of_a_part),
		P(a_branch_held_back_by_a_limiter_is_tried_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
