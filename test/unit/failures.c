/*-------------------------------------------------------------------------
 *
 * failures.c
 *	  What follows from failed attempts and crashes.
 *
 * Build: gcc test/unit/failures.c src/fsm.c src/join.c src/retry.c -lcmocka -lm
 *
 *-------------------------------------------------------------------------
 */
#include "small_model.h"

/* ---- failed attempts ---- */

static void
the_only_attempt_fails_with_the_task_s_own_error(void **unused)
{
	CanoDecision d = task_error(PLAIN, "P0001");

	assert_ends(d, CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_TASK_EXECUTION);
	assert_int_equal(d.state, PLAIN);
	assert_false(d.keep);
	assert_true(d.failed_attempt);
	assert_true(d.dead);
	assert_false(d.entered);
}

static void
fixed_two_is_exactly_three_attempts_then_exhausted(void **unused)
{
	CanoDecision d;

	states[PLAIN].retry = (CanoRetry)
	{
		.policy = CANO_RETRY_FIXED,.retries = 2,.base_ms = 70
	};
	for (int attempt = 1; attempt <= 2; attempt++)
	{
		position.attempt = attempt;
		d = task_error(PLAIN, "P0001");
		assert_int_equal(d.verb, CANO_WAIT);
		assert_int_equal(d.state, PLAIN);
		assert_int_equal(d.waiting, CANO_WAIT_RETRY);
		assert_int_equal(d.duty, CANO_DUTY_ENTER);
		assert_int_equal(d.attempt, attempt + 1);
		assert_int_equal(d.delay_us, 70000);
		assert_false(d.own_time);
		assert_false(d.entered);
		assert_false(d.keep);
		assert_true(d.failed_attempt);
		assert_false(d.dead);
	}
	position.attempt = 3;
	d = task_error(PLAIN, "P0001");
	assert_ends(d, CANO_FAILED, CANO_FAULT_EXHAUSTED, CANO_CAT_RETRY_EXHAUSTED);
	assert_true(d.dead);
	assert_true(d.failed_attempt);
	assert_false(d.keep);
}

static void
a_retry_without_delay_is_due_at_once(void **unused)
{
	CanoDecision d;

	states[PLAIN].retry = (CanoRetry)
	{
		.policy = CANO_RETRY_FIXED,.retries = 1
	};
	d = task_error(PLAIN, "P0001");
	assert_int_equal(d.verb, CANO_GO);
	assert_int_equal(d.state, PLAIN);
	assert_int_equal(d.attempt, 2);
	assert_false(d.keep);
	assert_true(d.failed_attempt);
	assert_false(d.entered);
}

static void
the_delay_counts_failed_attempts_from_nought(void **unused)
{
	states[PLAIN].retry = cano_retry_default(3);
	position.random = 0.0;
	for (int attempt = 1, ms = 100; attempt <= 3; attempt++, ms *= 2)
	{
		position.attempt = attempt;
		assert_int_equal(task_error(PLAIN, "P0001").delay_us, ms * 1000);
	}
	position.attempt = 4;
	assert_ends(task_error(PLAIN, "P0001"), CANO_FAILED, CANO_FAULT_EXHAUSTED,
				CANO_CAT_RETRY_EXHAUSTED);
}

static void
the_random_number_moves_the_delay_by_the_jitter(void **unused)
{
	states[PLAIN].retry = cano_retry_default(3);
	states[PLAIN].retry.jitter = 0.5;
	position.random = 1.0;
	assert_int_equal(task_error(PLAIN, "P0001").delay_us, 150000);
	position.random = -1.0;
	assert_int_equal(task_error(PLAIN, "P0001").delay_us, 50000);
}

static void
every_ordinary_category_is_retried(void **unused)
{
	CanoCategory categories[] = {
		CANO_CAT_TASK_EXECUTION, CANO_CAT_TIMEOUT, CANO_CAT_CONFIGURATION,
		CANO_CAT_RESOURCE, CANO_CAT_NOT_FOUND, CANO_CAT_RATE_LIMITED
	};

	states[PLAIN].retry = cano_retry_default(3);
	for (int i = 0; i < 6; i++)
	{
		CanoDecision d = raise_error(PLAIN, "P0001", categories[i]);

		assert_int_equal(d.verb, CANO_WAIT);
		assert_int_equal(d.attempt, 2);
	}
}

static void
serialization_failures_that_reach_the_core_count_as_ordinary(void **unused)
{
	states[PLAIN].retry = cano_retry_default(3);
	assert_int_equal(task_error(PLAIN, "40001").attempt, 2);
	assert_int_equal(task_error(PLAIN, "40P01").attempt, 2);
}

static void
a_timeout_as_the_only_attempt_stays_a_timeout(void **unused)
{
	CanoDecision d = raise_error(PLAIN, "57014", CANO_CAT_TIMEOUT);

	assert_ends(d, CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_TIMEOUT);
	assert_false(d.keep);
	assert_true(d.dead);
}

static void
a_router_is_retried_like_a_task(void **unused)
{
	states[ROUTE].retry = cano_retry_default(1);
	assert_int_equal(task_error(ROUTE, "P0001").attempt, 2);
	position.attempt = 2;
	assert_ends(task_error(ROUTE, "P0001"), CANO_FAILED, CANO_FAULT_EXHAUSTED,
				CANO_CAT_RETRY_EXHAUSTED);
}

static void
the_run_s_own_limit_beats_the_state_s(void **unused)
{
	states[PLAIN].retry = cano_retry_default(3);
	position.max_attempts = 2;
	assert_int_equal(task_error(PLAIN, "P0001").attempt, 2);
	position.attempt = 2;
	assert_ends(task_error(PLAIN, "P0001"), CANO_FAILED, CANO_FAULT_EXHAUSTED,
				CANO_CAT_RETRY_EXHAUSTED);

	position.max_attempts = 1;
	position.attempt = 1;
	assert_ends(task_error(PLAIN, "P0001"), CANO_FAILED, CANO_FAULT_TASK,
				CANO_CAT_TASK_EXECUTION);

	/* also upwards, and where the state has no retries */
	position.max_attempts = 7;
	position.attempt = 6;
	assert_int_equal(task_error(PLAIN, "P0001").attempt, 7);
	position.attempt = 3;
	assert_int_equal(task_error(LAST, "P0001").attempt, 4);
}

/* ---- errors that are never retried ---- */

static void
cn900_is_permanent(void **unused)
{
	CanoDecision d;

	states[PLAIN].retry = cano_retry_default(3);
	d = task_error(PLAIN, "CN900");
	assert_ends(d, CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_PERMANENT);
	assert_true(d.dead);
	assert_true(d.failed_attempt);
	assert_false(d.keep);
	assert_ends(task_error(LAST, "CN900"), CANO_FAILED, CANO_FAULT_TASK,
				CANO_CAT_PERMANENT);
}

static void
a_permanent_error_in_a_later_attempt_is_not_called_exhausted(void **unused)
{
	states[PLAIN].retry = cano_retry_default(3);
	for (int attempt = 2; attempt <= 4; attempt++)
	{
		position.attempt = attempt;
		assert_ends(task_error(PLAIN, "CN900"), CANO_FAILED, CANO_FAULT_TASK,
					CANO_CAT_PERMANENT);
	}
}

static void
fatal_on_names_codes_and_classes(void **unused)
{
	static const char *const fatal_on[] = {"23", "42P01"};

	states[PLAIN].retry = cano_retry_default(3);
	states[PLAIN].fatal_on = fatal_on;
	states[PLAIN].nfatal = 2;
	assert_ends(task_error(PLAIN, "23505"), CANO_FAILED, CANO_FAULT_TASK,
				CANO_CAT_PERMANENT);
	assert_ends(task_error(PLAIN, "23000"), CANO_FAILED, CANO_FAULT_TASK,
				CANO_CAT_PERMANENT);
	assert_ends(task_error(PLAIN, "42P01"), CANO_FAILED, CANO_FAULT_TASK,
				CANO_CAT_PERMANENT);
	assert_true(task_error(PLAIN, "42P01").dead);
	/* the same class, another code; a class that only ends alike */
	assert_int_equal(task_error(PLAIN, "42P02").attempt, 2);
	assert_int_equal(task_error(PLAIN, "42601").attempt, 2);
	assert_int_equal(task_error(PLAIN, "02300").attempt, 2);
	assert_int_equal(task_error(PLAIN, "22023").attempt, 2);
	/* another state's list means nothing here */
	states[LAST].retry = cano_retry_default(3);
	assert_int_equal(task_error(LAST, "23505").attempt, 2);
}

static void
panics_are_never_retried(void **unused)
{
	const char *codes[] = {"XX000", "XX001", "XX002", "P0004"};

	states[PLAIN].retry = cano_retry_default(3);
	for (int i = 0; i < 4; i++)
	{
		CanoDecision d = task_error(PLAIN, codes[i]);

		assert_ends(d, CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_TASK_EXECUTION);
		assert_true(d.failed_attempt);
		assert_true(d.dead);
		assert_false(d.keep);
	}
	position.attempt = 4;
	assert_ends(task_error(PLAIN, "XX000"), CANO_FAILED, CANO_FAULT_TASK,
				CANO_CAT_TASK_EXECUTION);
}

static void
neighbours_of_the_panic_codes_are_retried(void **unused)
{
	const char *codes[] = {"P0000", "P0001", "P0002", "P0003", "X0000", "0XX00"};

	states[PLAIN].retry = cano_retry_default(3);
	for (int i = 0; i < 6; i++)
		assert_int_equal(task_error(PLAIN, codes[i]).attempt, 2);
}

static void
a_missing_argument_is_not_retried(void **unused)
{
	CanoDecision d;

	states[PLAIN].retry = cano_retry_default(3);
	d = raise_error(PLAIN, "CN014", CANO_CAT_MISSING_ARGUMENT);
	assert_ends(d, CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_MISSING_ARGUMENT);
	assert_true(d.failed_attempt);
	assert_false(d.keep);
	position.attempt = 4;
	assert_ends(raise_error(PLAIN, "CN014", CANO_CAT_MISSING_ARGUMENT),
				CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_MISSING_ARGUMENT);
}

static void
a_breaker_that_refuses_fails_the_task_at_once(void **unused)
{
	states[PLAIN].retry = cano_retry_default(3);
	position.max_attempts = 9;
	for (int attempt = 1; attempt <= 9; attempt++)
	{
		CanoDecision d;

		position.attempt = attempt;
		d = raise_error(PLAIN, "CN006", CANO_CAT_CIRCUIT_OPEN);
		assert_ends(d, CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_CIRCUIT_OPEN);
		assert_int_equal(d.state, PLAIN);
		assert_false(d.keep);
		assert_false(d.entered);
	}
}

static void
a_breaker_that_refuses_uses_up_no_attempts(void **unused)
{
	states[PLAIN].retry = cano_retry_default(1);
	position.attempt = 2;
	assert_ends(raise_error(PLAIN, "CN006", CANO_CAT_CIRCUIT_OPEN), CANO_FAILED,
				CANO_FAULT_TASK, CANO_CAT_CIRCUIT_OPEN);
	assert_ends(raise_error(LAST, "CN006", CANO_CAT_CIRCUIT_OPEN), CANO_FAILED,
				CANO_FAULT_TASK, CANO_CAT_CIRCUIT_OPEN);
}

/* ---- attempts ---- */

static void
an_attempt_held_back_by_a_limiter_is_made_later(void **unused)
{
	states[PLAIN].retry = cano_retry_default(2);
	for (int attempt = 1; attempt <= 9; attempt++)
	{
		CanoDecision d;

		position.attempt = attempt;
		position.errors = attempt - 1;
		d = say(PLAIN, CANO_HELD_BACK, 70000);
		assert_int_equal(d.verb, CANO_WAIT);
		assert_int_equal(d.state, PLAIN);
		assert_int_equal(d.duty, CANO_DUTY_ENTER);
		assert_int_equal(d.attempt, attempt);
		assert_int_equal(d.errors, attempt - 1);
		assert_int_equal(d.waiting, CANO_WAIT_TIMER);
		assert_int_equal(d.delay_us, 70000);
		assert_false(d.own_time);
		assert_false(d.keep);
		assert_false(d.entered);
		assert_false(d.failed_attempt);
	}
}

static void
the_attempts_are_the_run_s_or_else_the_state_s(void **unused)
{
	assert_int_equal(cano_fsm_max_attempts(&states[PLAIN], &position), 1);
	states[PLAIN].retry = cano_retry_default(3);
	assert_int_equal(cano_fsm_max_attempts(&states[PLAIN], &position), 4);
	assert_int_equal(cano_fsm_max_attempts(&states[LAST], &position), 1);
	position.max_attempts = 2;
	assert_int_equal(cano_fsm_max_attempts(&states[PLAIN], &position), 2);
	assert_int_equal(cano_fsm_max_attempts(&states[LAST], &position), 2);
}

/* ---- crashes ---- */

static void
a_crash_consumes_no_attempt(void **unused)
{
	position.attempt = 2;
	for (int crashes = 1; crashes < position.max_crashes; crashes++)
	{
		CanoDecision d = crash(PLAIN, crashes);

		assert_int_not_equal(d.verb, CANO_END);
		assert_int_equal(d.state, PLAIN);
		assert_int_equal(d.attempt, 2);
		assert_int_equal(d.duty, CANO_DUTY_ENTER);
		assert_false(d.entered);
		assert_false(d.keep);
		assert_false(d.failed_attempt);
		assert_false(d.own_time);
	}
}

static void
crashing_too_often_poisons_the_run(void **unused)
{
	for (int crashes = 3; crashes <= 5; crashes++)
	{
		CanoDecision d = crash(PLAIN, crashes);

		assert_ends(d, CANO_FAILED, CANO_FAULT_POISONED, CANO_CAT_POISONED);
		assert_int_equal(d.state, PLAIN);
		assert_false(d.keep);
	}
	position.max_crashes = 1;
	assert_ends(crash(PLAIN, 1), CANO_FAILED, CANO_FAULT_POISONED,
				CANO_CAT_POISONED);
}

static void
attempts_left_do_not_save_a_poisoned_run(void **unused)
{
	states[PLAIN].retry = cano_retry_default(100);
	position.max_attempts = 1000;
	assert_ends(crash(PLAIN, 3), CANO_FAILED, CANO_FAULT_POISONED,
				CANO_CAT_POISONED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_only_attempt_fails_with_the_task_s_own_error),
		T(fixed_two_is_exactly_three_attempts_then_exhausted),
		T(a_retry_without_delay_is_due_at_once),
		T(the_delay_counts_failed_attempts_from_nought),
		T(the_random_number_moves_the_delay_by_the_jitter),
		T(every_ordinary_category_is_retried),
		T(serialization_failures_that_reach_the_core_count_as_ordinary),
		T(a_timeout_as_the_only_attempt_stays_a_timeout),
		T(a_router_is_retried_like_a_task),
		T(the_run_s_own_limit_beats_the_state_s),
		T(cn900_is_permanent),
		T(a_permanent_error_in_a_later_attempt_is_not_called_exhausted),
		T(fatal_on_names_codes_and_classes),
		T(panics_are_never_retried),
		T(neighbours_of_the_panic_codes_are_retried),
		T(a_missing_argument_is_not_retried),
		T(a_breaker_that_refuses_fails_the_task_at_once),
		T(a_breaker_that_refuses_uses_up_no_attempts),
		T(an_attempt_held_back_by_a_limiter_is_made_later),
		T(the_attempts_are_the_run_s_or_else_the_state_s),
		T(a_crash_consumes_no_attempt),
		T(crashing_too_often_poisons_the_run),
		T(attempts_left_do_not_save_a_poisoned_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
