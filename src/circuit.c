/*-------------------------------------------------------------------------
 *
 * circuit.c
 *	  A circuit breaker: when it admits a call, and what becomes of it by how
 *	  calls end.
 *
 *-------------------------------------------------------------------------
 */
#include "circuit.h"

static void go(CanoCircuit *circuit, CanoCircuitState state);
static void open_it(CanoCircuit *circuit, const CanoCircuitPolicy *policy,
					int64_t now);

void
cano_circuit_init(CanoCircuit *circuit, uint64_t epoch)
{
	circuit->state = CANO_CIRCUIT_CLOSED;
	circuit->failures = 0;
	circuit->in_flight = 0;
	circuit->successes = 0;
	circuit->open_until = 0;
	circuit->epoch = epoch;
}

bool
cano_circuit_acquire(CanoCircuit *circuit, const CanoCircuitPolicy *policy,
					 int64_t now)
{
	if (circuit->state == CANO_CIRCUIT_CLOSED)
		return true;
	if (circuit->state == CANO_CIRCUIT_OPEN)
	{
		if (now < circuit->open_until)
			return false;
		go(circuit, CANO_CIRCUIT_HALF_OPEN);
	}
	if (circuit->in_flight >= policy->half_open_max_calls)
		return false;
	circuit->in_flight++;
	return true;
}

void
cano_circuit_report(CanoCircuit *circuit, const CanoCircuitPolicy *policy,
					uint64_t epoch, bool success, int64_t now)
{
	if (circuit->epoch != epoch)
		return;
	if (circuit->state == CANO_CIRCUIT_HALF_OPEN)
	{
		circuit->in_flight--;
		if (!success)
			open_it(circuit, policy, now);
		else if (++circuit->successes >= policy->half_open_max_calls)
		{
			go(circuit, CANO_CIRCUIT_CLOSED);
			circuit->failures = 0;
		}
	}
	else if (success)
		circuit->failures = 0;
	else if (++circuit->failures >= policy->failure_threshold)
		open_it(circuit, policy, now);
}

void
cano_circuit_return(CanoCircuit *circuit, uint64_t epoch)
{
	if (circuit->epoch == epoch && circuit->state == CANO_CIRCUIT_HALF_OPEN)
		circuit->in_flight--;
}

const char *
cano_circuit_name(CanoCircuitState state)
{
	switch (state)
	{
		case CANO_CIRCUIT_CLOSED:
			return "closed";
		case CANO_CIRCUIT_OPEN:
			return "open";
		case CANO_CIRCUIT_HALF_OPEN:
			return "half_open";
	}
	return "unknown";
}

static void
go(CanoCircuit *circuit, CanoCircuitState state)
{
	circuit->state = state;
	circuit->in_flight = 0;
	circuit->successes = 0;
	circuit->epoch++;
}

static void
open_it(CanoCircuit *circuit, const CanoCircuitPolicy *policy, int64_t now)
{
	go(circuit, CANO_CIRCUIT_OPEN);
	circuit->open_until = now + policy->reset_us;
}
