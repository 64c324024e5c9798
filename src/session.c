/*-------------------------------------------------------------------------
 *
 * session.c
 *	  cano.work and cano.orchestrate: a session as a worker for its own role.
 *
 * The same batches as in a worker; only the transactions are ended through
 * SPI.  The session must not be left changed, whatever happens.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "api.h"
#include "batch.h"
#include "context.h"
#include "debug.h"
#include "error.h"
#include "function.h"
#include "guc.h"
#include "hook.h"
#include "json.h"
#include "lookup.h"
#include "purge.h"
#include "shared.h"
#include "shmem.h"
#include "txn.h"
#include "wait.h"
#include "window.h"

PG_FUNCTION_INFO_V1(cano_work);
PG_FUNCTION_INFO_V1(cano_orchestrate);

static void become_worker(FunctionCallInfo fcinfo, const char *procedure);
static void stop_being_worker(void);
static void work_until_idle(int max_steps, TimestampTz until);
static void sweep(void);
static bool never(void);
static Jsonb *work_until_ended(int64 run);

/* The longest that orchestrate sleeps before it looks for itself. */
#define LOOK_AGAIN_MS	1000

/* How long it may sweep, and how often it does when there is little to do. */
#define SWEEP_MS		100
#define SWEEP_PAUSE_MS	60000

/*
 * PROCEDURE work(max_steps integer, max_time interval)
 */
Datum
cano_work(PG_FUNCTION_ARGS)
{
	int			max_steps = PG_ARGISNULL(0) ? 0 : PG_GETARG_INT32(0);
	TimestampTz until = DT_NOEND;

	if (!PG_ARGISNULL(0) && max_steps < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_steps must be at least 1")));
	if (!PG_ARGISNULL(1))
		until = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
														TimestampTzGetDatum(GetCurrentTimestamp()),
														PG_GETARG_DATUM(1)));
	become_worker(fcinfo, "cano.work");
	PG_TRY();
	{
		work_until_idle(max_steps, until);
	}
	PG_FINALLY();
	{
		stop_being_worker();
	}
	PG_END_TRY();
	SPI_finish();
	PG_RETURN_NULL();
}

/*
 * PROCEDURE orchestrate(workflow text, input jsonb, INOUT result jsonb)
 */
Datum
cano_orchestrate(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	Jsonb	   *result = NULL;
	int64		run;

	become_worker(fcinfo, "cano.orchestrate");
	PG_TRY();
	{
		run = cano_api_submit(fcinfo->args[0], fcinfo->args[1]);
		SPI_commit();
		cano_hook_remember(true);
		result = work_until_ended(run);
	}
	PG_FINALLY();
	{
		cano_hook_remember(false);
		stop_being_worker();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	result = cano_json_copy(JsonbPGetDatum(result), result == NULL);
	SPI_finish();
	return cano_wait_record(fcinfo, result);
}

static void
become_worker(FunctionCallInfo fcinfo, const char *procedure)
{
	PreventCommandDuringRecovery(procedure);
	cano_wait_refuse_atomic(fcinfo, procedure);
	cano_window_refuse_restricted(procedure);
	if (InLocalUserIdChange())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot call %s within a security-definer function",
						procedure)));
	if (cano_txn_is_session())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("this session is already a worker")));

	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	cano_function_forget();
	cano_txn_set_session(true);
	cano_slot_attach(GetUserId());
}

static void
stop_being_worker(void)
{
	cano_slot_detach();
	cano_txn_set_session(false);
}

static void
work_until_idle(int max_steps, TimestampTz until)
{
	CanoBatchResult result;
	int			left = max_steps;

	do
	{
		/* A transaction of our own, with nothing seen before it. */
		SPI_commit();
		cano_batch_run(0, left, &result);
		if (max_steps > 0)
		{
			left -= result.steps;
			if (left <= 0)
				break;
		}
		CHECK_FOR_INTERRUPTS();
	} while (!result.idle && GetCurrentTimestamp() < until);
	sweep();
}

/*
 * Where no process does that, the sessions remove what ended long ago, now and
 * then.
 */
static void
sweep(void)
{
	static TimestampTz sweep_at = DT_NOBEGIN;
	static int64 cursor = 0;
	TimestampTz now = cano_now();

	if ((cano_shared != NULL && cano_enabled) || now < sweep_at)
		return;
	sweep_at = TimestampTzPlusMilliseconds(now, SWEEP_PAUSE_MS);
	SPI_commit();
	PG_TRY();
	{
		if (cano_purge_expired(&cursor, SWEEP_MS, never))
			sweep_at = now;
	}
	PG_CATCH();
	{
		cano_txn_unwind();
		PG_RE_THROW();
	}
	PG_END_TRY();
}

static bool
never(void)
{
	return false;
}

/*
 * Work for one run until it has ended; what another worker holds, or what is
 * not due yet, is waited for.  What is called after the end is done, too,
 * unless another worker holds it.
 */
static Jsonb *
work_until_ended(int64 run)
{
	CanoLookup	lookup;
	CanoBatchResult result;

	for (;;)
	{
		long		sleep_ms = LOOK_AGAIN_MS;
		bool		ended;

		cano_waiter_prepare(run);
		SPI_commit();
		cano_batch_run(run, 0, &result);
		if (!cano_lookup_run(run, &lookup))
			cano_lookup_not_found(run);
		ended = lookup.error != NULL ||
			strcmp(lookup.status, "completed") == 0;
		if (ended && (!cano_hook_left(NULL) ||
					  (result.idle && result.next_due == DT_NOEND)))
			break;
		SPI_commit();
		if (!result.idle)
			continue;
		if (result.next_due != DT_NOEND)
			sleep_ms = Max(Min((result.next_due - cano_now()) / 1000 + 1,
							   LOOK_AGAIN_MS), 0);
		cano_waiter_wait(run, sleep_ms);
	}
	cano_waiter_done();
	if (lookup.error != NULL)
		cano_lookup_raise(&lookup);
	return lookup.data;
}
