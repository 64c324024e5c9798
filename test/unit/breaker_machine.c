/*-------------------------------------------------------------------------
 *
 * breaker_machine.c
 *	  When a circuit breaker admits a call, and what opens and closes it.
 *
 * The last test plays random histories against the rules of the contract,
 * written down a second time: there, each call is remembered with what it may
 * still change, so no epochs are needed.
 *
 * Build: gcc test/unit/breaker_machine.c src/circuit.c -lcmocka
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

#include "../../src/circuit.h"

static const CanoCircuitPolicy two_failures = {
	.failure_threshold = 2,
	.reset_us = 100,
	.half_open_max_calls = 1
};

static const CanoCircuitPolicy three_calls = {
	.failure_threshold = 1,
	.reset_us = 100,
	.half_open_max_calls = 3
};

/* One call that begins and ends at that time; false: it was refused. */
static bool
call(CanoCircuit *circuit, const CanoCircuitPolicy *policy, int64_t now,
	 bool success)
{
	if (!cano_circuit_acquire(circuit, policy, now))
		return false;
	cano_circuit_report(circuit, policy, circuit->epoch, success, now);
	return true;
}

/* Begin a call that must be admitted. */
static uint64_t
begin(CanoCircuit *circuit, const CanoCircuitPolicy *policy, int64_t now)
{
	assert_true(cano_circuit_acquire(circuit, policy, now));
	return circuit->epoch;
}

/* One that has opened at time 0. */
static CanoCircuit
opened(const CanoCircuitPolicy *policy)
{
	CanoCircuit circuit;

	cano_circuit_init(&circuit, 7);
	while (circuit.state == CANO_CIRCUIT_CLOSED)
		assert_true(call(&circuit, policy, 0, false));
	return circuit;
}

static void
begins_closed(void **unused)
{
	CanoCircuit circuit;

	cano_circuit_init(&circuit, 7);
	assert_int_equal(circuit.state, CANO_CIRCUIT_CLOSED);
	assert_int_equal(circuit.failures, 0);
	for (int i = 0; i < 100; i++)
		assert_true(call(&circuit, &two_failures, i, true));
}

static void
failures_in_a_row_open_it(void **unused)
{
	CanoCircuit circuit;

	cano_circuit_init(&circuit, 7);
	assert_true(call(&circuit, &two_failures, 0, false));
	assert_true(call(&circuit, &two_failures, 0, true));
	assert_true(call(&circuit, &two_failures, 0, false));
	assert_int_equal(circuit.state, CANO_CIRCUIT_CLOSED);
	assert_int_equal(circuit.failures, 1);
	assert_true(call(&circuit, &two_failures, 5, false));
	assert_int_equal(circuit.state, CANO_CIRCUIT_OPEN);
	assert_int_equal(circuit.failures, 2);
	assert_int_equal(circuit.open_until, 105);
}

static void
open_admits_nothing_before_its_time(void **unused)
{
	CanoCircuit circuit = opened(&two_failures);

	assert_false(cano_circuit_acquire(&circuit, &two_failures, 0));
	assert_false(cano_circuit_acquire(&circuit, &two_failures, 99));
	assert_int_equal(circuit.state, CANO_CIRCUIT_OPEN);
	assert_true(cano_circuit_acquire(&circuit, &two_failures, 100));
	assert_int_equal(circuit.state, CANO_CIRCUIT_HALF_OPEN);
}

static void
half_open_admits_a_few_at_once(void **unused)
{
	CanoCircuit circuit = opened(&three_calls);
	uint64_t	epoch = begin(&circuit, &three_calls, 100);

	(void) begin(&circuit, &three_calls, 100);
	(void) begin(&circuit, &three_calls, 100);
	assert_false(cano_circuit_acquire(&circuit, &three_calls, 100));
	cano_circuit_report(&circuit, &three_calls, epoch, true, 101);
	assert_int_equal(circuit.state, CANO_CIRCUIT_HALF_OPEN);
	assert_true(cano_circuit_acquire(&circuit, &three_calls, 101));
	assert_false(cano_circuit_acquire(&circuit, &three_calls, 101));
}

static void
as_many_successes_close_it(void **unused)
{
	CanoCircuit circuit = opened(&three_calls);

	assert_true(call(&circuit, &three_calls, 100, true));
	assert_true(call(&circuit, &three_calls, 100, true));
	assert_int_equal(circuit.state, CANO_CIRCUIT_HALF_OPEN);
	assert_true(call(&circuit, &three_calls, 100, true));
	assert_int_equal(circuit.state, CANO_CIRCUIT_CLOSED);
	assert_int_equal(circuit.failures, 0);
}

static void
one_failure_opens_it_again(void **unused)
{
	CanoCircuit circuit = opened(&three_calls);

	assert_true(call(&circuit, &three_calls, 100, true));
	assert_true(call(&circuit, &three_calls, 150, false));
	assert_int_equal(circuit.state, CANO_CIRCUIT_OPEN);
	assert_int_equal(circuit.open_until, 250);
	assert_false(cano_circuit_acquire(&circuit, &three_calls, 249));

	/* The success before does not count any more. */
	assert_true(call(&circuit, &three_calls, 250, true));
	assert_true(call(&circuit, &three_calls, 250, true));
	assert_int_equal(circuit.state, CANO_CIRCUIT_HALF_OPEN);
}

static void
ends_of_calls_from_before_do_not_count(void **unused)
{
	CanoCircuit circuit;
	uint64_t	early;
	uint64_t	probe;

	cano_circuit_init(&circuit, 7);
	early = begin(&circuit, &two_failures, 0);
	assert_true(call(&circuit, &two_failures, 0, false));
	assert_true(call(&circuit, &two_failures, 0, false));
	cano_circuit_report(&circuit, &two_failures, early, true, 1);
	assert_int_equal(circuit.state, CANO_CIRCUIT_OPEN);

	probe = begin(&circuit, &two_failures, 100);
	cano_circuit_report(&circuit, &two_failures, early, false, 101);
	assert_int_equal(circuit.state, CANO_CIRCUIT_HALF_OPEN);
	cano_circuit_return(&circuit, early);
	assert_int_equal(circuit.in_flight, 1);
	cano_circuit_report(&circuit, &two_failures, probe, true, 102);
	assert_int_equal(circuit.state, CANO_CIRCUIT_CLOSED);
	cano_circuit_report(&circuit, &two_failures, early, false, 103);
	cano_circuit_report(&circuit, &two_failures, probe, false, 103);
	assert_int_equal(circuit.failures, 0);
}

static void
a_call_that_was_not_made_leaves_nothing(void **unused)
{
	CanoCircuit circuit;

	cano_circuit_init(&circuit, 7);
	assert_true(call(&circuit, &two_failures, 0, false));
	cano_circuit_return(&circuit, begin(&circuit, &two_failures, 0));
	assert_int_equal(circuit.failures, 1);
	assert_true(call(&circuit, &two_failures, 0, false));

	cano_circuit_return(&circuit, begin(&circuit, &two_failures, 100));
	assert_int_equal(circuit.state, CANO_CIRCUIT_HALF_OPEN);
	assert_true(call(&circuit, &two_failures, 100, true));
	assert_int_equal(circuit.state, CANO_CIRCUIT_CLOSED);
}

static void
settings_may_change_at_any_time(void **unused)
{
	CanoCircuitPolicy policy = {.failure_threshold = 5, .reset_us = 100, .half_open_max_calls = 3};
	CanoCircuit circuit;
	uint64_t	epoch;

	cano_circuit_init(&circuit, 7);
	for (int i = 0; i < 4; i++)
		assert_true(call(&circuit, &policy, 0, false));
	policy.failure_threshold = 2;
	assert_true(cano_circuit_acquire(&circuit, &policy, 0));
	assert_true(call(&circuit, &policy, 0, false));
	assert_int_equal(circuit.state, CANO_CIRCUIT_OPEN);

	epoch = begin(&circuit, &policy, 100);
	assert_true(call(&circuit, &policy, 100, true));
	policy.half_open_max_calls = 1;
	assert_false(cano_circuit_acquire(&circuit, &policy, 100));
	cano_circuit_report(&circuit, &policy, epoch, true, 100);
	assert_int_equal(circuit.state, CANO_CIRCUIT_CLOSED);
}

static void
the_largest_settings_do_not_overflow(void **unused)
{
	CanoCircuitPolicy policy = {
		.failure_threshold = INT32_MAX,
		.reset_us = INT64_C(1000) * 365 * 86400 * 1000000,
		.half_open_max_calls = INT32_MAX
	};
	CanoCircuit circuit;

	cano_circuit_init(&circuit, UINT64_MAX);
	circuit.failures = INT32_MAX - 1;
	assert_true(call(&circuit, &policy, 0, false));
	assert_int_equal(circuit.state, CANO_CIRCUIT_OPEN);
	assert_true(cano_circuit_acquire(&circuit, &policy, circuit.open_until));
	circuit.in_flight = INT32_MAX - 1;
	circuit.successes = INT32_MAX - 1;
	assert_true(call(&circuit, &policy, circuit.open_until, true));
	assert_int_equal(circuit.state, CANO_CIRCUIT_CLOSED);
}

static void
states_have_the_names_of_the_contract(void **unused)
{
	assert_string_equal(cano_circuit_name(CANO_CIRCUIT_CLOSED), "closed");
	assert_string_equal(cano_circuit_name(CANO_CIRCUIT_OPEN), "open");
	assert_string_equal(cano_circuit_name(CANO_CIRCUIT_HALF_OPEN), "half_open");
}

/* ---- The rules a second time ---- */

#define MAX_CALLS	40

typedef struct Call
{
	uint64_t	epoch;			/* as the circuit gave it */
	bool		counts;			/* nothing has changed since it began */
} Call;

/*
 * Tripped from the failure that opens it until the success that closes it;
 * probing once somebody has asked after its time.
 */
typedef struct Model
{
	int64_t		failures;		/* since the last success */
	bool		tripped;
	bool		probing;
	int64_t		until;
	int			good_probes;
	Call		calls[MAX_CALLS];
	int			ncalls;
} Model;

static uint64_t seed = 88172645463325252;

static uint32_t
below(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t) (seed >> 11) % n;
}

static void
nothing_counts_any_more(Model *model)
{
	for (int i = 0; i < model->ncalls; i++)
		model->calls[i].counts = false;
	model->good_probes = 0;
}

static bool
model_admits(Model *model, const CanoCircuitPolicy *policy, int64_t now)
{
	int			under_way = 0;

	if (!model->tripped)
		return true;
	if (!model->probing && now < model->until)
		return false;
	if (!model->probing)
		nothing_counts_any_more(model);
	model->probing = true;
	for (int i = 0; i < model->ncalls; i++)
		under_way += model->calls[i].counts;
	return under_way < policy->half_open_max_calls;
}

static void
model_ends(Model *model, const CanoCircuitPolicy *policy, bool counts,
		   bool success, int64_t now)
{
	bool		trips = false;

	if (!counts)
		return;
	if (model->tripped && success)
	{
		if (++model->good_probes < policy->half_open_max_calls)
			return;
		model->tripped = model->probing = false;
		model->failures = 0;
		nothing_counts_any_more(model);
	}
	else if (success)
		model->failures = 0;
	else if (model->tripped)
		trips = true;
	else
		trips = ++model->failures >= policy->failure_threshold;
	if (trips)
	{
		model->tripped = true;
		model->probing = false;
		model->until = now + policy->reset_us;
		nothing_counts_any_more(model);
	}
}

static void
compare(const CanoCircuit *circuit, const Model *model)
{
	assert_int_equal(circuit->state, !model->tripped ? CANO_CIRCUIT_CLOSED :
					 model->probing ? CANO_CIRCUIT_HALF_OPEN : CANO_CIRCUIT_OPEN);
	if (!model->tripped)
		assert_int_equal(circuit->failures, model->failures);
	else if (!model->probing)
		assert_int_equal(circuit->open_until, model->until);
}

static void
random_history(void)
{
	CanoCircuitPolicy policy = {
		.failure_threshold = 1 + below(4),
		.reset_us = 1 + below(20),
		.half_open_max_calls = 1 + below(4)
	};
	uint32_t	successes = 1 + below(9);
	CanoCircuit circuit;
	Model		model = {0};
	int64_t		now = 1000;

	cano_circuit_init(&circuit, UINT64_MAX - below(5));
	for (int n = 0; n < 200; n++)
	{
		uint32_t	what = below(10);

		now += below(4);
		if (what < 4 && model.ncalls < MAX_CALLS)
		{
			bool		admitted = cano_circuit_acquire(&circuit, &policy, now);

			assert_int_equal(admitted, model_admits(&model, &policy, now));
			if (admitted)
				model.calls[model.ncalls++] = (Call) {circuit.epoch, true};
		}
		else if (model.ncalls > 0)
		{
			int			i = below(model.ncalls);
			Call		ended = model.calls[i];
			bool		success = below(10) < successes;

			model.calls[i] = model.calls[--model.ncalls];
			if (what == 9)
				cano_circuit_return(&circuit, ended.epoch);
			else
			{
				cano_circuit_report(&circuit, &policy, ended.epoch, success, now);
				model_ends(&model, &policy, ended.counts, success, now);
			}
		}
		compare(&circuit, &model);
	}
}

static void
random_histories_agree_with_the_rules(void **unused)
{
	for (int i = 0; i < 5000; i++)
		random_history();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(begins_closed),
		cmocka_unit_test(failures_in_a_row_open_it),
		cmocka_unit_test(open_admits_nothing_before_its_time),
		cmocka_unit_test(half_open_admits_a_few_at_once),
		cmocka_unit_test(as_many_successes_close_it),
		cmocka_unit_test(one_failure_opens_it_again),
		cmocka_unit_test(ends_of_calls_from_before_do_not_count),
		cmocka_unit_test(a_call_that_was_not_made_leaves_nothing),
		cmocka_unit_test(settings_may_change_at_any_time),
		cmocka_unit_test(the_largest_settings_do_not_overflow),
		cmocka_unit_test(states_have_the_names_of_the_contract),
		cmocka_unit_test(random_histories_agree_with_the_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
