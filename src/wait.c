/*-------------------------------------------------------------------------
 *
 * wait.c
 *	  cano.wait and cano.await: until a run has ended.
 *
 * Both sleep on the condition variable that the worker signals after its
 * commit.  The procedure ends its transaction before it sleeps, so that it
 * holds no snapshot meanwhile; a function cannot.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "context.h"
#include "error.h"
#include "guc.h"
#include "json.h"
#include "lookup.h"
#include "shared.h"
#include "shmem.h"
#include "wait.h"

PG_FUNCTION_INFO_V1(cano_wait);
PG_FUNCTION_INFO_V1(cano_await);

static TimestampTz deadline(const Interval *timeout);
static void refuse_to_hold(void);
static Jsonb *wait_for(int64 run, TimestampTz until, bool commits);

/*
 * wait(run bigint, timeout interval)
 */
Datum
cano_wait(PG_FUNCTION_ARGS)
{
	Jsonb	   *result;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	refuse_to_hold();
	result = wait_for(PG_GETARG_INT64(0),
					  PG_ARGISNULL(1) ? DT_NOEND : deadline(PG_GETARG_INTERVAL_P(1)),
					  false);
	PG_RETURN_JSONB_P(result);
}

/*
 * PROCEDURE await(run bigint, INOUT result jsonb, timeout interval)
 */
Datum
cano_await(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	int64		run;
	TimestampTz until;
	Jsonb	   *result;

	cano_wait_refuse_atomic(fcinfo, "cano.await");
	if (PG_ARGISNULL(0))
		return cano_wait_record(fcinfo, NULL);
	run = PG_GETARG_INT64(0);
	until = PG_ARGISNULL(2) ? DT_NOEND : deadline(PG_GETARG_INTERVAL_P(2));

	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	result = wait_for(run, until, true);
	MemoryContextSwitchTo(context);
	result = cano_json_copy(JsonbPGetDatum(result), result == NULL);
	SPI_finish();
	return cano_wait_record(fcinfo, result);
}

static TimestampTz
deadline(const Interval *timeout)
{
	return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
												   TimestampTzGetDatum(GetCurrentTimestamp()),
												   IntervalPGetDatum(timeout)));
}

/*
 * A task that waits must not hold what it may be waiting for: it is run again
 * in a transaction of its own.
 */
static void
refuse_to_hold(void)
{
	const CanoCurrent *current = cano_context_get();

	if (current != NULL && current->shares)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("a task that waits for a run must run alone")));
}

static Jsonb *
wait_for(int64 run, TimestampTz until, bool commits)
{
	CanoLookup	lookup;

	for (;;)
	{
		TimestampTz now;
		long		left;

		cano_waiter_prepare(run);
		if (!cano_lookup_run(run, &lookup))
			cano_lookup_not_found(run);
		if (strcmp(lookup.status, "completed") == 0)
			break;
		if (lookup.error != NULL)
			cano_lookup_raise(&lookup);
		if (lookup.own_transaction && !commits)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("cannot wait for run " INT64_FORMAT " in the transaction that submitted it",
							run),
					 errhint("Commit first: the run begins when its submission commits.")));
		if (cano_context_get() != NULL && cano_context_get()->run == run)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("cannot wait for run " INT64_FORMAT " in a task of its own",
							run)));
		if (IsolationUsesXactSnapshot())
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("cannot wait for run " INT64_FORMAT " in a transaction that does not see later commits",
							run),
					 errhint("Use isolation level READ COMMITTED.")));

		now = GetCurrentTimestamp();
		if (now >= until)
			ereport(ERROR,
					(errcode(cano_errcode(CANO_CAT_WAIT_TIMEOUT)),
					 errmsg("run " INT64_FORMAT " has not ended in time", run),
					 cano_shared == NULL || !cano_enabled ?
					 errhint("There are no background workers, because %s. CALL cano.work(); runs what is due.",
							 cano_shared == NULL ? "the library is not preloaded" :
							 "cano.enabled is off") :
					 errhint("It goes on. SELECT cano.explain(" INT64_FORMAT "); says what it waits for.",
							 run)));
		left = until == DT_NOEND ? 60000 :
			Min((until - now) / 1000 + 1, 60000);
		if (commits)
			SPI_commit();
		cano_waiter_wait(run, left);
	}
	cano_waiter_done();
	return lookup.data;
}

void
cano_wait_refuse_atomic(FunctionCallInfo fcinfo, const char *procedure)
{
	if (!IsA(fcinfo->context, CallContext) ||
		castNode(CallContext, fcinfo->context)->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
				 errmsg("%s cannot run inside a transaction block or a function",
						procedure),
				 errdetail("It commits between its steps."),
				 errhint("CALL it by itself, with autocommit on.")));
}

Datum
cano_wait_record(FunctionCallInfo fcinfo, Jsonb *result)
{
	TupleDesc	tupdesc;
	Datum		value = result ? JsonbPGetDatum(result) : (Datum) 0;
	bool		isnull = result == NULL;

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc),
											 &value, &isnull));
}
