/*-------------------------------------------------------------------------
 *
 * breaker.c
 *	  Breakers: named circuit breakers that the attempts of all runs share.
 *
 * What named.c forgets closes that breaker.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "breaker.h"
#include "circuit.h"
#include "compat.h"
#include "debug.h"
#include "error.h"
#include "metrics.h"
#include "named.h"
#include "part.h"
#include "window.h"

/* What one process has under way at once: an attempt, and some to spare. */
#define PERMITS			8

/* A permit that was not given back yet. */
typedef struct Held
{
	uint64		number;			/* 0: free */
	CanoNamedKey key;
	uint64		epoch;
	CanoCircuitPolicy policy;
} Held;

typedef enum Ending
{
	ENDED_WELL,
	ENDED_BADLY,
	NOT_BEGUN
} Ending;

static void read_policy(const Datum *settings, void *policy);
static void init_circuit(void *circuit, const void *policy, uint64 serial);
static Held *free_place(void);
static Held *take(CanoPermit *permit);
static void settle(Held *held, Ending ending);
static void count_transition(CanoCircuitState before, CanoCircuitState after);
static void transaction_ended(XactEvent event, void *arg);
pg_noreturn static void refused(const char *name, const CanoCircuit *circuit);

PG_FUNCTION_INFO_V1(cano_create_breaker);
PG_FUNCTION_INFO_V1(cano_drop_breaker);
PG_FUNCTION_INFO_V1(cano_breaker_circuit);

static CanoNamed breakers = {
	.kind = CANO_NAMED_BREAKER,
	.noun = "breaker",
	.policy_size = sizeof(CanoCircuitPolicy),
	.state_size = sizeof(CanoCircuit),
	.read_policy = read_policy,
	.init_state = init_circuit
};

static Held held_permits[PERMITS];
static uint64 last_number = 0;
static bool callback_registered = false;

/* ---- What users call ---- */

/*
 * cano.create_breaker(name text, failure_threshold integer,
 * reset_timeout interval, half_open_max_calls integer) RETURNS void
 */
Datum
cano_create_breaker(PG_FUNCTION_ARGS)
{
	char	   *name;
	Datum		settings[CANO_NAMED_SETTINGS];

	cano_window_refuse_restricted("cano.create_breaker");
	name = cano_named_name(&breakers, fcinfo);
	settings[0] = Int32GetDatum(cano_named_integer(&breakers, fcinfo, 1,
												   "failure_threshold", 1));
	settings[1] = Int32GetDatum(cano_named_integer(&breakers, fcinfo, 3,
												   "half_open_max_calls", 1));
	settings[2] = IntervalPGetDatum(cano_named_interval(&breakers, fcinfo, 2,
														"reset_timeout"));
	cano_named_create(&breakers, name, settings);
	PG_RETURN_VOID();
}

/*
 * cano.drop_breaker(name text) RETURNS void
 */
Datum
cano_drop_breaker(PG_FUNCTION_ARGS)
{
	cano_window_refuse_restricted("cano.drop_breaker");
	cano_named_drop(&breakers, cano_named_name(&breakers, fcinfo));
	PG_RETURN_VOID();
}

/*
 * cano._circuit(breaker bigint, OUT state text, OUT failures integer,
 * OUT open_until timestamptz)
 */
Datum
cano_breaker_circuit(PG_FUNCTION_ARGS)
{
	CanoNamedKey key = cano_named_key(PG_GETARG_INT64(0));
	Datum		values[3];
	bool		nulls[3] = {0};
	CanoCircuit circuit;
	TupleDesc	desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	if (!cano_named_copy(&breakers, &key, &circuit))
		cano_circuit_init(&circuit, 0);
	values[0] = CStringGetTextDatum(cano_circuit_name(circuit.state));
	values[1] = Int32GetDatum(circuit.failures);
	values[2] = TimestampTzGetDatum(circuit.open_until);
	nulls[2] = circuit.state != CANO_CIRCUIT_OPEN;
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values,
											 nulls));
}

static void
read_policy(const Datum *settings, void *policy)
{
	CanoCircuitPolicy *circuit_policy = policy;

	circuit_policy->failure_threshold = DatumGetInt32(settings[0]);
	circuit_policy->half_open_max_calls = DatumGetInt32(settings[1]);
	circuit_policy->reset_us = 1000 *
		cano_part_milliseconds(DatumGetIntervalP(settings[2]));
}

/*
 * A permit of one that was forgotten must not count in the next.
 */
static void
init_circuit(void *circuit, const void *policy, uint64 serial)
{
	cano_circuit_init(circuit, serial << 32);
}

/* ---- Permits ---- */

CanoPermit
cano_breaker_acquire(const char *name)
{
	CanoPermit	permit = {0};
	CanoCircuitPolicy policy;
	CanoNamedKey key;
	CanoCircuit *shared;
	CanoCircuit circuit;
	CanoCircuitState before;
	TimestampTz now;
	Held	   *held;
	bool		admitted;

	if (name == NULL)
		return permit;
	if (!cano_named_find(&breakers, name, &key, &policy))
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_WORKFLOW)),
				 errmsg("breaker \"%s\" does not exist", name),
				 errdetail("It was dropped after the workflow was defined."),
				 errhint("Create it again with cano.create_breaker.")));
	held = free_place();
	now = cano_now();

	shared = cano_named_lock(&breakers, &key, &policy);
	before = shared->state;
	admitted = cano_circuit_acquire(shared, &policy, now);
	circuit = *shared;
	cano_named_release(&breakers, shared, now);

	count_transition(before, circuit.state);
	cano_metrics_count(admitted ? CANO_COUNT_CIRCUIT_ACQUIRED :
					   CANO_COUNT_CIRCUIT_REJECTED, 1);
	if (!admitted)
		refused(name, &circuit);
	held->number = ++last_number;
	held->key = key;
	held->epoch = circuit.epoch;
	held->policy = policy;
	permit.place = held - held_permits;
	permit.number = held->number;
	return permit;
}

void
cano_breaker_report(CanoPermit *permit, bool success)
{
	Held	   *held = take(permit);

	if (held != NULL)
		settle(held, success ? ENDED_WELL : ENDED_BADLY);
}

void
cano_breaker_return(CanoPermit *permit)
{
	Held	   *held = take(permit);

	if (held != NULL)
		settle(held, NOT_BEGUN);
}

bool
cano_breaker_exists(const char *name)
{
	CanoCircuitPolicy policy;
	CanoNamedKey key;

	return cano_named_find(&breakers, name, &key, &policy);
}

static Held *
free_place(void)
{
	if (!callback_registered)
		RegisterXactCallback(transaction_ended, NULL);
	callback_registered = true;

	for (int i = 0; i < PERMITS; i++)
	{
		if (held_permits[i].number == 0)
			return &held_permits[i];
	}
	elog(ERROR, "too many permits of breakers");
	return NULL;				/* keep compiler quiet */
}

/* NULL when there is none, or its transaction has ended without it. */
static Held *
take(CanoPermit *permit)
{
	Held	   *held = &held_permits[permit->place];

	if (permit->number == 0 || held->number != permit->number)
		held = NULL;
	permit->number = 0;
	return held;
}

/*
 * Also called at the end of a transaction: raises nothing, allocates nothing.
 */
static void
settle(Held *held, Ending ending)
{
	TimestampTz now = cano_now();
	CanoCircuit *circuit = cano_named_lock_used(&breakers, &held->key);

	if (circuit != NULL)
	{
		CanoCircuitState before = circuit->state;
		CanoCircuitState after;

		if (ending == NOT_BEGUN)
			cano_circuit_return(circuit, held->epoch);
		else
			cano_circuit_report(circuit, &held->policy, held->epoch,
								ending == ENDED_WELL, now);
		after = circuit->state;
		cano_named_release(&breakers, circuit, now);
		count_transition(before, after);
	}
	if (ending != NOT_BEGUN)
		cano_metrics_count(ending == ENDED_WELL ? CANO_COUNT_CIRCUIT_SUCCESS :
						   CANO_COUNT_CIRCUIT_FAILURE, 1);
	held->number = 0;
}

static void
count_transition(CanoCircuitState before, CanoCircuitState after)
{
	if (before == after)
		return;
	if (before == CANO_CIRCUIT_CLOSED)
		cano_metrics_count(CANO_COUNT_CLOSED_TO_OPEN, 1);
	else if (before == CANO_CIRCUIT_OPEN)
		cano_metrics_count(CANO_COUNT_OPEN_TO_HALFOPEN, 1);
	else
		cano_metrics_count(after == CANO_CIRCUIT_CLOSED ?
						   CANO_COUNT_HALFOPEN_TO_CLOSED :
						   CANO_COUNT_HALFOPEN_TO_OPEN, 1);
}

/*
 * The transaction of a process that exits is aborted first, so no permit
 * outlives its process.
 */
static void
transaction_ended(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT &&
		event != XACT_EVENT_PREPARE)
		return;
	for (int i = 0; i < PERMITS; i++)
	{
		if (held_permits[i].number != 0)
			settle(&held_permits[i], ENDED_BADLY);
	}
}

static void
refused(const char *name, const CanoCircuit *circuit)
{
	if (circuit->state == CANO_CIRCUIT_OPEN)
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_CIRCUIT_OPEN)),
				 errmsg("breaker \"%s\" is open", name),
				 errhint("It will be tried again at %s.",
						 timestamptz_to_str(circuit->open_until))));
	ereport(ERROR,
			(errcode(cano_errcode(CANO_CAT_CIRCUIT_OPEN)),
			 errmsg("breaker \"%s\" is half open and admits no more calls",
					name),
			 errhint("It will be tried again when the calls under way have ended.")));
}

void
cano_breaker_request_memory(void)
{
	cano_named_request_memory(&breakers);
}

void
cano_breaker_make_memory(void)
{
	cano_named_make_memory(&breakers);
}
