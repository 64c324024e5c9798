/*-------------------------------------------------------------------------
 *
 * limiter_meter.c
 *	  When a rate limiter lets an attempt begin, and what it tells those who
 *	  must wait.
 *
 * Random histories are played against the rules written down a second time,
 * in wide numbers: there a bucket is a number of tokens, not a point in time.
 * Crowds that come when they were told to show that nobody waits for long in
 * vain, and that nobody asks often.
 *
 * Build: gcc test/unit/limiter_meter.c src/meter.c -lcmocka
 *
 *-------------------------------------------------------------------------
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/meter.h"
#include "random.h"

#define SECOND	INT64_C(1000000)

static const CanoMeterPolicy ten_a_second = {CANO_METER_BUCKET, 10, 0, SECOND};
static const CanoMeterPolicy one_a_second = {CANO_METER_BUCKET, 1, 0, SECOND};
static const CanoMeterPolicy three_in_window = {CANO_METER_WINDOW, 3, 0, SECOND};

static CanoMeter
new_meter(const CanoMeterPolicy *policy)
{
	CanoMeter	meter;

	assert_true(cano_meter_is_allowed(policy));
	cano_meter_init(&meter, policy);
	return meter;
}

/* Ask without having asked before. */
static bool
ask(CanoMeter *meter, const CanoMeterPolicy *policy, int64_t now)
{
	CanoTurn	told;
	int64_t		mark;

	return cano_meter_take(meter, policy, now, CANO_NO_TURN, &mark, &told);
}

/* The same, and be told to wait. */
static CanoTurn
wait_for(CanoMeter *meter, const CanoMeterPolicy *policy, int64_t now,
		 int64_t turn)
{
	CanoTurn	told;
	int64_t		mark;

	assert_false(cano_meter_take(meter, policy, now, turn, &mark, &told));
	return told;
}

static int
take_all(CanoMeter *meter, const CanoMeterPolicy *policy, int64_t now)
{
	int			n = 0;

	while (ask(meter, policy, now))
		n++;
	return n;
}

static void
begins_full(void **unused)
{
	CanoMeterPolicy burst = {CANO_METER_BUCKET, 10, 5, SECOND};
	CanoMeter	meter = new_meter(&burst);

	assert_int_equal(cano_meter_available(&meter, &burst, 0), 15);
	assert_int_equal(take_all(&meter, &burst, 0), 15);
	assert_int_equal(cano_meter_available(&meter, &burst, 0), 0);
	meter = new_meter(&three_in_window);
	assert_int_equal(cano_meter_available(&meter, &three_in_window, 7), 3);
	assert_int_equal(take_all(&meter, &three_in_window, 7), 3);
	assert_int_equal(cano_meter_available(&meter, &three_in_window, 7), 0);
}

static void
bucket_fills_evenly(void **unused)
{
	CanoMeter	meter = new_meter(&ten_a_second);

	take_all(&meter, &ten_a_second, 0);
	assert_int_equal(cano_meter_available(&meter, &ten_a_second, 99999), 0);
	assert_int_equal(cano_meter_available(&meter, &ten_a_second, 100000), 1);
	assert_int_equal(cano_meter_available(&meter, &ten_a_second, 999999), 9);
	assert_int_equal(cano_meter_available(&meter, &ten_a_second, SECOND), 10);
	assert_int_equal(cano_meter_available(&meter, &ten_a_second, 9 * SECOND), 10);
}

static void
window_resets_at_its_end(void **unused)
{
	CanoMeter	meter = new_meter(&three_in_window);

	assert_true(ask(&meter, &three_in_window, 500));
	assert_int_equal(cano_meter_available(&meter, &three_in_window, SECOND + 499), 2);
	assert_int_equal(cano_meter_available(&meter, &three_in_window, SECOND + 500), 3);
	assert_true(ask(&meter, &three_in_window, 5 * SECOND));
	assert_int_equal(take_all(&meter, &three_in_window, 6 * SECOND - 1), 2);
}

static void
turns_are_one_token_apart(void **unused)
{
	CanoMeter	meter = new_meter(&ten_a_second);

	(void) take_all(&meter, &ten_a_second, 0);

	/* That has told the first turn already. */
	for (int i = 2; i <= 500; i++)
	{
		CanoTurn	told = wait_for(&meter, &ten_a_second, 0, CANO_NO_TURN);

		assert_int_equal(told.turn, i * 100000);
		assert_int_equal(told.due, told.turn);
	}
	meter = new_meter(&three_in_window);
	(void) take_all(&meter, &three_in_window, 0);
	for (int i = 1; i <= 500; i++)
		assert_int_equal(wait_for(&meter, &three_in_window, 0, CANO_NO_TURN).turn,
						 (1 + i / 3) * SECOND);
}

static void
newcomers_wait_behind_those_who_wait(void **unused)
{
	CanoMeter	meter = new_meter(&ten_a_second);
	CanoTurn	first;
	CanoTurn	told;
	int64_t		mark;

	while (cano_meter_take(&meter, &ten_a_second, 0, CANO_NO_TURN, &mark, &first))
		;
	(void) wait_for(&meter, &ten_a_second, 0, CANO_NO_TURN);
	assert_int_equal(cano_meter_available(&meter, &ten_a_second, 110000), 1);
	assert_int_equal(wait_for(&meter, &ten_a_second, 110000, CANO_NO_TURN).turn,
					 300000);
	assert_true(cano_meter_take(&meter, &ten_a_second, 110000, first.turn, &mark,
								&told));
}

/* However many turns were told. */
static void
tokens_nobody_comes_for_are_anybodys(void **unused)
{
	CanoMeter	meter = new_meter(&ten_a_second);

	(void) take_all(&meter, &ten_a_second, 0);
	for (int i = 0; i < 100000; i++)
		(void) wait_for(&meter, &ten_a_second, 0, CANO_NO_TURN);
	(void) wait_for(&meter, &ten_a_second, SECOND + 99999, CANO_NO_TURN);
	assert_true(ask(&meter, &ten_a_second, SECOND + 100000));
	assert_int_equal(take_all(&meter, &ten_a_second, SECOND + 100000), 9);
	assert_int_equal(wait_for(&meter, &ten_a_second, SECOND + 100000,
							  CANO_NO_TURN).turn, SECOND + 300000);
}

static void
who_waits_long_looks_again(void **unused)
{
	CanoMeter	meter = new_meter(&one_a_second);
	CanoTurn	told;
	CanoTurn	ignored;
	int64_t		mark;

	(void) take_all(&meter, &one_a_second, 0);
	for (int i = 0; i < 999; i++)
		told = wait_for(&meter, &one_a_second, 0, CANO_NO_TURN);
	assert_int_equal(told.turn, 1000 * SECOND);
	assert_int_equal(told.due, 62 * SECOND);
	for (int64_t now = SECOND; now <= told.due; now += SECOND)
		assert_true(cano_meter_take(&meter, &one_a_second, now, now, &mark,
									&ignored));
	told = wait_for(&meter, &one_a_second, told.due, told.turn);
	assert_int_equal(told.turn, 1000 * SECOND);
	assert_true(told.due < 125 * SECOND);

	/* It has been made faster meanwhile: nobody waits for the old turns. */
	told = wait_for(&meter, &ten_a_second, 62 * SECOND, told.turn);
	assert_int_equal(told.turn, 62 * SECOND + 100000);
	assert_int_equal(told.due, told.turn);
}

static void
a_token_may_be_returned(void **unused)
{
	CanoMeter	meter = new_meter(&three_in_window);
	CanoTurn	told;
	int64_t		mark;

	assert_true(cano_meter_take(&meter, &three_in_window, 0, CANO_NO_TURN, &mark,
								&told));
	cano_meter_return(&meter, &three_in_window, mark);
	assert_int_equal(take_all(&meter, &three_in_window, 0), 3);
	assert_true(ask(&meter, &three_in_window, 2 * SECOND));
	cano_meter_return(&meter, &three_in_window, mark);
	assert_int_equal(cano_meter_available(&meter, &three_in_window, 2 * SECOND), 2);

	meter = new_meter(&ten_a_second);
	assert_true(cano_meter_take(&meter, &ten_a_second, 0, CANO_NO_TURN, &mark,
								&told));
	cano_meter_return(&meter, &ten_a_second, mark);
	assert_int_equal(take_all(&meter, &ten_a_second, 0), 10);

	/* Never more than it holds, and none of another rate. */
	cano_meter_return(&meter, &ten_a_second, mark);
	assert_int_equal(cano_meter_available(&meter, &ten_a_second, 5 * SECOND), 10);
	assert_int_equal(take_all(&meter, &one_a_second, 5 * SECOND), 1);
	cano_meter_return(&meter, &ten_a_second, mark);
	assert_int_equal(cano_meter_available(&meter, &one_a_second, 5 * SECOND), 0);
}

static void
settings_may_change(void **unused)
{
	CanoMeterPolicy window = {CANO_METER_WINDOW, 5, 0, SECOND};
	CanoMeterPolicy thirds = {CANO_METER_BUCKET, 3, 0, SECOND};
	CanoMeter	meter = new_meter(&ten_a_second);

	/* An empty bucket stays empty, a full one full. */
	(void) take_all(&meter, &ten_a_second, 0);
	assert_int_equal(cano_meter_available(&meter, &one_a_second, 0), 0);
	assert_int_equal(take_all(&meter, &thirds, SECOND), 3);
	(void) take_all(&meter, &ten_a_second, SECOND);
	assert_int_equal(cano_meter_available(&meter, &ten_a_second, 2 * SECOND), 10);

	/* A window counts on. */
	meter = new_meter(&three_in_window);
	assert_int_equal(take_all(&meter, &three_in_window, 0), 3);
	assert_int_equal(take_all(&meter, &window, 0), 2);
	assert_int_equal(cano_meter_available(&meter, &three_in_window, 0), 0);
	assert_int_equal(take_all(&meter, &ten_a_second, 0), 10);
}

static void
the_clock_may_be_set_back(void **unused)
{
	CanoMeter	meter = new_meter(&ten_a_second);

	(void) take_all(&meter, &ten_a_second, 3600 * SECOND);
	assert_int_equal(cano_meter_available(&meter, &ten_a_second, 0), 0);
	assert_false(ask(&meter, &ten_a_second, 0));
	assert_int_equal(take_all(&meter, &ten_a_second, 2 * SECOND), 10);
	meter = new_meter(&three_in_window);
	(void) take_all(&meter, &three_in_window, 3600 * SECOND);
	assert_false(ask(&meter, &three_in_window, 0));
	assert_int_equal(take_all(&meter, &three_in_window, 2 * SECOND), 3);
}

static void
only_what_can_be_counted_is_allowed(void **unused)
{
	CanoMeterPolicy widest = {CANO_METER_BUCKET, INT32_MAX, 0, CANO_METER_LONGEST_US};
	CanoMeterPolicy fastest = {CANO_METER_BUCKET, INT32_MAX, 0, 1};
	CanoMeterPolicy slowest = {CANO_METER_BUCKET, 1, 0, CANO_METER_LONGEST_US};
	CanoMeterPolicy refused[] = {
		{CANO_METER_BUCKET, 0, 0, 1},
		{CANO_METER_BUCKET, -1, 0, 1},
		{CANO_METER_BUCKET, 1, -1, 1},
		{CANO_METER_BUCKET, 1, 0, 0},
		{CANO_METER_BUCKET, 1, 0, -1},
		{CANO_METER_BUCKET, 1, 0, CANO_METER_LONGEST_US + 1},
		{CANO_METER_BUCKET, 1, 1, CANO_METER_LONGEST_US},
		{CANO_METER_BUCKET, INT32_MAX, 1, 1},
		{CANO_METER_WINDOW, 1, 1, 1}
	};
	CanoMeter	meter;

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_false(cano_meter_is_allowed(&refused[i]));

	meter = new_meter(&fastest);
	assert_int_equal(cano_meter_available(&meter, &fastest, SECOND), INT32_MAX);
	assert_true(ask(&meter, &fastest, SECOND));
	assert_int_equal(cano_meter_available(&meter, &fastest, SECOND), INT32_MAX - 1);
	meter = new_meter(&widest);
	assert_true(ask(&meter, &widest, SECOND));
	assert_int_equal(cano_meter_available(&meter, &widest, SECOND), INT32_MAX - 1);

	/* As many turns as anybody likes. */
	meter = new_meter(&slowest);
	assert_true(ask(&meter, &slowest, 0));
	for (int i = 0; i < 10000; i++)
		assert_true(wait_for(&meter, &slowest, 0, CANO_NO_TURN).turn >=
					CANO_METER_LONGEST_US);
}

/* ---- The rules once more ---- */

typedef struct Model
{
	const CanoMeterPolicy *policy;
	int64_t		now;
	__int128	level;			/* bucket: tokens times "per" */
	bool		open;			/* window */
	int64_t		began;
	int			used;
} Model;

static void
move_on(Model *model, int64_t by)
{
	const CanoMeterPolicy *policy = model->policy;
	__int128	most = (__int128) policy->per_us * (policy->rate + policy->burst);

	model->now += by;
	model->level += (__int128) by * policy->rate;
	if (model->level > most)
		model->level = most;
	if (model->open && model->now - model->began >= policy->per_us)
	{
		model->open = false;
		model->used = 0;
	}
}

static int
left(const Model *model)
{
	if (model->policy->kind == CANO_METER_WINDOW)
		return model->policy->rate - model->used;
	return (int) (model->level / model->policy->per_us);
}

static void
use(Model *model, int n)
{
	if (!model->open)
		model->began = model->now;
	model->open = true;
	model->used += n;
	model->level -= (__int128) model->policy->per_us * n;
}

static CanoMeterPolicy
any_policy(void)
{
	static const int32_t rates[] = {1, 2, 3, 7, 10, 1000, 999983, INT32_MAX / 2};
	static const int64_t pers[] = {
		1, 3, 1000, 100003, SECOND, 86400 * SECOND, CANO_METER_LONGEST_US
	};
	CanoMeterPolicy policy;

	do
	{
		policy.kind = chance(70) ? CANO_METER_BUCKET : CANO_METER_WINDOW;
		policy.rate = rates[below(sizeof(rates) / sizeof(rates[0]))];
		policy.per_us = pers[below(sizeof(pers) / sizeof(pers[0]))];
		policy.burst = policy.kind == CANO_METER_WINDOW || chance(50) ? 0 :
			(int32_t) below(20);
	} while (!cano_meter_is_allowed(&policy));
	return policy;
}

/* A time that matters under the policy. */
static int64_t
any_time(const CanoMeterPolicy *policy)
{
	int64_t		one = policy->per_us / policy->rate + 1;

	switch (below(4))
	{
		case 0:
			return 0;
		case 1:
			return 1;
		case 2:
			return below((uint32_t) (one < 1000000 ? one : 1000000)) *
				(one < 1000000 ? 1 : one / 1000000);
		default:
			return one * below(5);
	}
}

static void
random_histories_match(void **unused)
{
	for (int i = 0; i < 2000; i++)
	{
		CanoMeterPolicy policy = any_policy();
		CanoMeter	meter = new_meter(&policy);
		Model		model = {.policy = &policy,.level = (__int128) policy.per_us *
		(policy.rate + policy.burst)};
		int64_t		mark = 0;
		bool		taken = false;

		for (int j = 0; j < 200; j++)
		{
			CanoTurn	told = {INT64_MAX, INT64_MAX};
			bool		newcomer = chance(30);
			bool		admitted;

			if (taken && chance(10))
			{
				cano_meter_return(&meter, &policy, mark);
				use(&model, -1);
			}
			taken = false;
			move_on(&model, any_time(&policy));
			assert_int_equal(cano_meter_available(&meter, &policy, model.now),
							 left(&model));
			admitted = cano_meter_take(&meter, &policy, model.now,
									   newcomer ? CANO_NO_TURN : model.now,
									   &mark, &told);

			/* A newcomer may be refused because others wait. */
			if (admitted || !newcomer)
				assert_int_equal(admitted, left(&model) > 0);
			if (admitted)
			{
				taken = true;
				use(&model, 1);
			}
			else
			{
				assert_true(told.due > model.now);
				assert_true(told.due <= told.turn);
			}
		}
	}
}

/* ---- Crowds ---- */

typedef struct Waiter
{
	int64_t		turn;
	int64_t		comes;
	bool		done;
} Waiter;

#define CROWD	300

/*
 * All come at once, and then when they were told, more or less late; some do
 * not come again.  Returns when the last was admitted.
 */
static int64_t
play_crowd(const CanoMeterPolicy *policy, uint32_t lateness, int faithless,
		   int64_t pause, int *asked)
{
	static Waiter crowd[CROWD];
	CanoMeter	meter = new_meter(policy);
	Model		model = {.policy = policy,.level = (__int128) policy->per_us *
	(policy->rate + policy->burst)};
	int			open = CROWD;

	*asked = 0;
	for (int i = 0; i < CROWD; i++)
		crowd[i] = (Waiter) {CANO_NO_TURN, 0, false};
	while (open > 0)
	{
		Waiter	   *next = NULL;
		CanoTurn	told;
		int64_t		mark;

		for (int i = 0; i < CROWD; i++)
			if (!crowd[i].done && (next == NULL || crowd[i].comes < next->comes))
				next = &crowd[i];

		/* For a time nobody could come. */
		if (pause > 0 && next->comes >= pause && next->comes < 2 * pause)
		{
			for (int i = 0; i < CROWD; i++)
				if (!crowd[i].done && crowd[i].comes < 2 * pause)
					crowd[i].comes = 2 * pause;
			continue;
		}
		move_on(&model, next->comes - model.now);
		++*asked;
		if (cano_meter_take(&meter, policy, model.now, next->turn, &mark, &told))
		{
			assert_true(left(&model) > 0);
			use(&model, 1);
			next->done = true;
			open--;
		}
		else if (chance(faithless))
		{
			next->done = true;
			open--;
		}
		else
		{
			next->turn = told.turn;
			next->comes = told.due + below(lateness + 1);
		}
	}
	return model.now;
}

static void
crowds_are_served_in_time(void **unused)
{
	CanoMeterPolicy window = {CANO_METER_WINDOW, 10, 0, SECOND};
	CanoMeterPolicy burst = {CANO_METER_BUCKET, 10, 20, SECOND};
	int64_t		end;
	int			asked;

	/* Who is in time asks twice. */
	end = play_crowd(&ten_a_second, 0, 0, 0, &asked);
	assert_int_equal(end, 29 * SECOND);
	assert_true(asked <= 2 * CROWD);
	end = play_crowd(&window, 0, 0, 0, &asked);
	assert_int_equal(end, 29 * SECOND);
	assert_true(asked <= 2 * CROWD);

	/* A little late: tokens gather meanwhile, and little is lost. */
	end = play_crowd(&burst, 50000, 0, 0, &asked);
	assert_true(end <= 29 * SECOND);
	assert_true(asked <= 4 * CROWD);
	end = play_crowd(&window, 50000, 0, 0, &asked);
	assert_true(end <= 32 * SECOND);
	assert_true(asked <= 4 * CROWD);

	/* Where no tokens gather, each may come that much late. */
	end = play_crowd(&one_a_second, 50000, 0, 0, &asked);
	assert_true(end <= CROWD * (SECOND + 50000));
	assert_true(asked <= 8 * CROWD);

	/* After a long pause all come at once, and are spread again. */
	end = play_crowd(&ten_a_second, 1000, 0, 10 * SECOND, &asked);
	assert_true(end <= 42 * SECOND);
	assert_true(asked <= 4 * CROWD);

	/* Most do not come: the others are not later than they would be. */
	end = play_crowd(&ten_a_second, 1000, 60, 0, &asked);
	assert_true(end <= 30 * SECOND);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(begins_full),
		cmocka_unit_test(bucket_fills_evenly),
		cmocka_unit_test(window_resets_at_its_end),
		cmocka_unit_test(turns_are_one_token_apart),
		cmocka_unit_test(newcomers_wait_behind_those_who_wait),
		cmocka_unit_test(tokens_nobody_comes_for_are_anybodys),
		cmocka_unit_test(who_waits_long_looks_again),
		cmocka_unit_test(a_token_may_be_returned),
		cmocka_unit_test(settings_may_change),
		cmocka_unit_test(the_clock_may_be_set_back),
		cmocka_unit_test(only_what_can_be_counted_is_allowed),
		cmocka_unit_test(random_histories_match),
		cmocka_unit_test(crowds_are_served_in_time)
	};

	seed = 20240229;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
