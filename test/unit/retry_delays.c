/*-------------------------------------------------------------------------
 *
 * retry_delays.c
 *	  How long a run waits between two attempts.
 *
 * Build: gcc test/unit/retry_delays.c src/fsm.c src/join.c src/retry.c -lcmocka -lm
 *
 *-------------------------------------------------------------------------
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <stdint.h>

#include "../../src/fsm.h"
#include "../../src/retry.h"

static CanoRetry
fixed(int32_t retries, int64_t delay)
{
	CanoRetry	retry = {
		.policy = CANO_RETRY_FIXED,
		.retries = retries,
		.base_ms = delay
	};

	return retry;
}

static CanoRetry
exponential(int64_t base, double multiplier, int64_t max, double jitter)
{
	CanoRetry	retry = {
		.policy = CANO_RETRY_EXPONENTIAL,
		.retries = 1000,
		.base_ms = base,
		.max_ms = max,
		.multiplier = multiplier,
		.jitter = jitter
	};

	return retry;
}

/* The number of attempts that one state with this policy has. */
static int
attempts_of(CanoRetry retry)
{
	CanoState	state = {
		.name = "only",
		.kind = CANO_KIND_TASK,
		.next = CANO_NO_STATE,
		.anywhere = true,
		.retry = retry,
		.calls = true
	};
	CanoPosition position = {.attempt = 1};

	return cano_fsm_max_attempts(&state, &position);
}

static void
none_means_one_attempt_and_no_delay(void **unused)
{
	CanoRetry	retry = cano_retry_none();

	assert_int_equal(retry.policy, CANO_RETRY_NONE);
	assert_int_equal(attempts_of(retry), 1);
	assert_int_equal(cano_retry_delay_ms(&retry, 0, 1.0), 0);
	assert_int_equal(cano_retry_delay_ms(&retry, 100, -1.0), 0);
}

static void
attempts_are_retries_and_one(void **unused)
{
	assert_int_equal(attempts_of(fixed(2, 10)), 3);
	assert_int_equal(attempts_of(fixed(0, 10)), 1);
	assert_int_equal(attempts_of(cano_retry_default(0)), 1);
	assert_int_equal(attempts_of(cano_retry_default(5)), 6);
}

static void
attempts_do_not_overflow(void **unused)
{
	assert_true(attempts_of(fixed(INT32_MAX, 10)) >= INT32_MAX - 1);
	assert_true(attempts_of(cano_retry_default(INT32_MAX)) >= INT32_MAX - 1);
}

static void
default_is_three_retries_from_100_ms_doubling_to_30_s(void **unused)
{
	CanoRetry	retry = cano_retry_default(3);

	assert_int_equal(retry.policy, CANO_RETRY_EXPONENTIAL);
	assert_int_equal(retry.retries, 3);
	assert_int_equal(retry.base_ms, 100);
	assert_int_equal(retry.max_ms, 30000);
	assert_true(retry.multiplier == 2.0);
	assert_true(retry.jitter == 0.1);
	assert_int_equal(attempts_of(retry), 4);
}

static void
default_waits_100_200_400_within_a_tenth(void **unused)
{
	CanoRetry	retry = cano_retry_default(3);
	int64_t		middle[] = {100, 200, 400};

	for (int i = 0; i < 3; i++)
	{
		assert_int_equal(cano_retry_delay_ms(&retry, i, 0.0), middle[i]);
		for (int u = -1000; u <= 1000; u++)
		{
			int64_t		delay = cano_retry_delay_ms(&retry, i, u / 1000.0);

			assert_true(delay >= middle[i] * 9 / 10 - 1);
			assert_true(delay <= middle[i] * 11 / 10);
		}
	}
}

static void
fixed_is_constant_without_jitter(void **unused)
{
	CanoRetry	retry = fixed(5, 250);

	retry.jitter = 0.5;			/* means nothing here */
	for (int i = 0; i < 5; i++)
	{
		assert_int_equal(cano_retry_delay_ms(&retry, i, -1.0), 250);
		assert_int_equal(cano_retry_delay_ms(&retry, i, 1.0), 250);
	}
}

static void
fixed_of_zero_waits_for_nothing(void **unused)
{
	CanoRetry	retry = fixed(5, 0);

	assert_int_equal(cano_retry_delay_ms(&retry, 0, 0.5), 0);
	assert_int_equal(cano_retry_delay_ms(&retry, 4, 0.5), 0);
}

static void
exponential_grows_by_the_multiplier(void **unused)
{
	CanoRetry	retry = exponential(10, 3.0, 1000000, 0.0);
	int64_t		expected = 10;

	for (int i = 0; i < 8; i++, expected *= 3)
		assert_int_equal(cano_retry_delay_ms(&retry, i, 1.0), expected);
}

static void
cap_holds_without_jitter(void **unused)
{
	CanoRetry	retry = exponential(100, 2.0, 1000, 0.0);
	int64_t		expected[] = {100, 200, 400, 800, 1000, 1000, 1000};

	for (int i = 0; i < 7; i++)
		assert_int_equal(cano_retry_delay_ms(&retry, i, 0.7), expected[i]);
}

static void
jitter_comes_after_the_cap(void **unused)
{
	CanoRetry	retry = exponential(100, 2.0, 1000, 0.5);

	assert_int_equal(cano_retry_delay_ms(&retry, 10, 1.0), 1500);
	assert_int_equal(cano_retry_delay_ms(&retry, 10, -1.0), 500);
	assert_int_equal(cano_retry_delay_ms(&retry, 10, 0.0), 1000);
	/* a value that is just below the cap before jitter is not cut by it */
	assert_int_equal(cano_retry_delay_ms(&retry, 3, 1.0), 1200);
}

static void
cap_below_the_base_wins(void **unused)
{
	CanoRetry	retry = exponential(1000, 2.0, 300, 0.0);

	assert_int_equal(cano_retry_delay_ms(&retry, 0, 0.0), 300);
	assert_int_equal(cano_retry_delay_ms(&retry, 9, 0.0), 300);
}

static void
delays_are_whole_milliseconds_rounded_down(void **unused)
{
	CanoRetry	retry = exponential(1, 1.5, 30000, 0.0);
	int64_t		expected[] = {1, 1, 2, 3, 5, 7, 11};	/* 1 1.5 2.25 3.375 5.06
														 * 7.59 11.39 */

	for (int i = 0; i < 7; i++)
		assert_int_equal(cano_retry_delay_ms(&retry, i, 0.0), expected[i]);
}

static void
a_delay_is_never_below_one_millisecond(void **unused)
{
	CanoRetry	shrinking = exponential(100, 0.5, 30000, 0.0);
	CanoRetry	full = exponential(100, 2.0, 30000, 1.0);
	CanoRetry	capped = exponential(100, 2.0, 0, 0.0);

	assert_int_equal(cano_retry_delay_ms(&shrinking, 1, 0.0), 50);
	assert_int_equal(cano_retry_delay_ms(&shrinking, 7, 0.0), 1);
	assert_int_equal(cano_retry_delay_ms(&shrinking, 5000, 0.0), 1);
	assert_int_equal(cano_retry_delay_ms(&full, 0, -1.0), 1);
	assert_int_equal(cano_retry_delay_ms(&capped, 3, 0.0), 1);
}

static void
a_base_of_zero_stays_zero(void **unused)
{
	CanoRetry	retry = exponential(0, 2.0, 30000, 1.0);

	for (int i = 0; i < 2000; i += 100)
	{
		assert_int_equal(cano_retry_delay_ms(&retry, i, 1.0), 0);
		assert_int_equal(cano_retry_delay_ms(&retry, i, -1.0), 0);
	}
}

static void
powers_that_overflow_are_capped(void **unused)
{
	CanoRetry	retry = exponential(100, 10.0, 30000, 0.0);
	CanoRetry	wide = exponential(INT64_MAX, 1e308, INT64_MAX, 1.0);

	assert_int_equal(cano_retry_delay_ms(&retry, 308, 0.0), 30000);
	assert_int_equal(cano_retry_delay_ms(&retry, 400, 0.0), 30000);
	assert_int_equal(cano_retry_delay_ms(&retry, INT32_MAX, 0.0), 30000);
	assert_true(cano_retry_delay_ms(&wide, 5, 1.0) > 0);
	assert_true(cano_retry_delay_ms(&wide, INT32_MAX, -1.0) > 0);
}

static void
the_longest_delay_still_fits_in_microseconds(void **unused)
{
	CanoRetry	one = fixed(3, INT64_MAX);
	CanoRetry	two = exponential(INT64_MAX, 2.0, INT64_MAX, 1.0);

	assert_true(cano_retry_delay_ms(&one, 0, 0.0) <= INT64_MAX / 1000);
	assert_true(cano_retry_delay_ms(&two, 60, 1.0) <= INT64_MAX / 1000);
}

static void
a_bad_multiplier_counts_as_one(void **unused)
{
	double		bad[] = {NAN, INFINITY, -INFINITY, 0.0, -2.0};

	for (int i = 0; i < 5; i++)
	{
		CanoRetry	retry = exponential(100, bad[i], 30000, 0.0);

		for (int failed = 0; failed < 4; failed++)
			assert_int_equal(cano_retry_delay_ms(&retry, failed, 0.0), 100);
	}
}

static void
a_jitter_that_is_no_number_counts_as_none(void **unused)
{
	CanoRetry	retry = exponential(100, 2.0, 30000, NAN);

	assert_int_equal(cano_retry_delay_ms(&retry, 0, 0.3), 100);
	assert_int_equal(cano_retry_delay_ms(&retry, 1, 0.3), 200);
}

static void
jitter_stays_within_its_share(void **unused)
{
	srand(1);
	for (int i = 0; i < 100000; i++)
	{
		int64_t		base = 1 + rand() % 5000;
		int64_t		max = 1 + rand() % 60000;
		double		jitter = (rand() % 101) / 100.0;
		double		multiplier = 1.0 + (rand() % 40) / 10.0;
		double		u = (rand() % 2001 - 1000) / 1000.0;
		int			failed = rand() % 20;
		CanoRetry	retry = exponential(base, multiplier, max, jitter);
		int64_t		delay = cano_retry_delay_ms(&retry, failed, u);
		double		exact = base;

		for (int n = 0; n < failed && exact < max; n++)
			exact *= multiplier;
		if (exact > max)
			exact = max;

		assert_true(delay >= 1);
		assert_true(delay <= exact * (1.0 + jitter) + 0.001);
		assert_true(delay >= floor(exact * (1.0 - jitter) - 0.001));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(none_means_one_attempt_and_no_delay),
		cmocka_unit_test(attempts_are_retries_and_one),
		cmocka_unit_test(attempts_do_not_overflow),
		cmocka_unit_test(default_is_three_retries_from_100_ms_doubling_to_30_s),
		cmocka_unit_test(default_waits_100_200_400_within_a_tenth),
		cmocka_unit_test(fixed_is_constant_without_jitter),
		cmocka_unit_test(fixed_of_zero_waits_for_nothing),
		cmocka_unit_test(exponential_grows_by_the_multiplier),
		cmocka_unit_test(cap_holds_without_jitter),
		cmocka_unit_test(jitter_comes_after_the_cap),
		cmocka_unit_test(cap_below_the_base_wins),
		cmocka_unit_test(delays_are_whole_milliseconds_rounded_down),
		cmocka_unit_test(a_delay_is_never_below_one_millisecond),
		cmocka_unit_test(a_base_of_zero_stays_zero),
		cmocka_unit_test(powers_that_overflow_are_capped),
		cmocka_unit_test(the_longest_delay_still_fits_in_microseconds),
		cmocka_unit_test(a_bad_multiplier_counts_as_one),
		cmocka_unit_test(a_jitter_that_is_no_number_counts_as_none),
		cmocka_unit_test(jitter_stays_within_its_share),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
