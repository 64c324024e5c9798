/*-------------------------------------------------------------------------
 *
 * batch.c
 *	  Several steps in one transaction: claim, run, settle, commit.
 *
 * A run whose next state is ready is driven on in memory; only what is left
 * of it at the end becomes a row.  Steps share a transaction while nobody can
 * tell: while the work of earlier steps is held, no task is started that may
 * take long, and one that would wait for a lock is undone, the transaction
 * committed, and the task run again with nothing held.  A transaction that
 * fails as a whole is rolled back and its jobs are run one by one, so that
 * the one to blame is found and only it pays.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "catalog/pg_namespace.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "batch.h"
#include "blame.h"
#include "compat.h"
#include "context.h"
#include "debug.h"
#include "error.h"
#include "guc.h"
#include "json.h"
#include "pace.h"
#include "recorder.h"
#include "shmem.h"
#include "step.h"
#include "store.h"
#include "store_signal.h"
#include "txn.h"
#include "window.h"

/* The most jobs that one claim takes. */
#define MAX_CLAIM		64

/* How long to leave the tables alone after an error of the engine's own. */
#define TROUBLE_MS		1000

typedef struct CanoBatch
{
	Oid			owner;
	int64		only_run;
	int			max_steps;
	int			lock_timeout;	/* the session's own */
	int			nruns;
	CanoVisit	first;			/* the first of them, as it was claimed */
	CanoRun		runs[MAX_CLAIM];
	CanoSettlement settlement;
	instr_time	started;
	int			steps;
	int			put_back;		/* runs that it did not get to the end of */
	bool		stop;			/* take nothing more on */
	bool		committing;		/* an error now is the steps' own */
	bool		committed;		/* an error from here on is nobody's */
	bool		all_async;		/* no run of it asked to wait for the disk */
} CanoBatch;

static void batch_body(CanoBatch *batch, CanoBatchResult *result);
static bool may_work(CanoBatch *batch, CanoBatchResult *result);
static void check_rights(void);
static void claim(CanoBatch *batch, CanoBatchResult *result);
static void claim_run(CanoBatch *batch, TimestampTz now);
static void claim_any(CanoBatch *batch, TimestampTz now, int limit);
static void run_through(CanoBatch *batch, CanoRun *run);
static void receive(CanoRun *run);
static void put_back(CanoBatch *batch, CanoRun *run);
static bool must_stop(CanoBatch *batch, const CanoRun *run);
static bool follow(CanoBatch *batch, CanoRun *run, const CanoStep *step);
static void enter_state(CanoRun *run, const CanoStep *step);
static TimestampTz due_at(const CanoBatch *batch, const CanoRun *run,
						  const CanoStep *step);
static void end_run(CanoBatch *batch, CanoRun *run, const CanoStep *step);
static void log_end(const CanoRun *run, const Jsonb *error);
static void settle(CanoBatch *batch);
static void batch_failed(CanoBatch *batch, CanoBatchResult *result);
static bool is_foreign(const CanoRun *run);
static double elapsed_ms(instr_time since);

/* Reset at the beginning of each batch; holds everything of it. */
static MemoryContext batch_context = NULL;

/* How many jobs the next claim takes: doubled while tasks are quick. */
static int	claim_limit = 1;

/* So many jobs are still to be run one a transaction. */
static int	one_by_one = 0;

void
cano_batch_run(int64 run, int max_steps, CanoBatchResult *result)
{
	MemoryContext caller = CurrentMemoryContext;
	CanoBatch  *batch;

	if (batch_context == NULL)
		batch_context = AllocSetContextCreate(TopMemoryContext, "cano batch",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(batch_context);
	batch = MemoryContextAllocZero(batch_context, sizeof(CanoBatch));
	batch->owner = GetUserId();
	batch->only_run = run;
	batch->max_steps = max_steps;
	batch->lock_timeout = LockTimeout;
	memset(result, 0, sizeof(*result));
	result->next_due = DT_NOEND;

	PG_TRY();
	{
		batch_body(batch, result);
	}
	PG_CATCH();
	{
		batch_failed(batch, result);
	}
	PG_END_TRY();
	result->steps = batch->steps;
	MemoryContextSwitchTo(caller);
}

static void
batch_body(CanoBatch *batch, CanoBatchResult *result)
{
	cano_txn_begin();
	MemoryContextSwitchTo(batch_context);
	if (may_work(batch, result))
	{
		claim(batch, result);
		CANO_POINT("batch-claimed");
		for (int i = 0; i < batch->nruns; i++)
			run_through(batch, &batch->runs[i]);
		if (batch->nruns > 0)
			settle(batch);
	}
	CANO_POINT("batch-before-commit");
	batch->committing = true;
	cano_txn_commit(batch->nruns > 0 && batch->all_async);
	batch->committing = false;
	batch->committed = true;
	if (batch->nruns > 0)
		cano_blame_nobody();
	CANO_POINT("batch-after-commit");

	if (one_by_one > 0)
		one_by_one--;
	else if (batch->put_back > 0)
		claim_limit = Max(Min(claim_limit, batch->nruns - batch->put_back), 1);
	else if (batch->nruns == claim_limit &&
			 elapsed_ms(batch->started) < cano_batch_time)
		claim_limit = Min(claim_limit * 2, MAX_CLAIM);
}

/*
 * The role must still be there and stay there until the commit.
 */
static bool
may_work(CanoBatch *batch, CanoBatchResult *result)
{
	LockSharedObject(AuthIdRelationId, batch->owner, 0, AccessShareLock);
	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(batch->owner)))
		ereport(FATAL,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role with OID %u does not exist", batch->owner)));
	check_rights();
	if (!OidIsValid(cano_extension()->oid) ||
		(superuser() && !cano_allow_superuser_runs))
	{
		result->idle = true;
		return false;
	}
	return true;
}

/*
 * How an administrator suspends a role: NOLOGIN, or taking back what
 * cano.grant_usage() or CONNECT gave.  A worker that is there already honours
 * it like one that could not start.
 */
static void
check_rights(void)
{
	Oid			user = GetUserId();
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(user));
	bool		login = HeapTupleIsValid(tuple) &&
		((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;
	Oid			schema = cano_extension()->schema;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	if (login &&
		object_aclcheck(DatabaseRelationId, MyDatabaseId, user, ACL_CONNECT) == ACLCHECK_OK &&
		(!OidIsValid(schema) ||
		 object_aclcheck(NamespaceRelationId, schema, user, ACL_USAGE) == ACLCHECK_OK))
		return;
	ereport(cano_txn_is_session() ? ERROR : FATAL,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("role \"%s\" may not run tasks in this database",
					GetUserNameFromId(user, false)),
			 errhint("It needs LOGIN, CONNECT on the database and what cano.grant_usage() gives.")));
}

static void
claim(CanoBatch *batch, CanoBatchResult *result)
{
	int			limit = one_by_one > 0 ? 1 : claim_limit;
	TimestampTz now = cano_now();
	CanoWindow	window;

	batch->all_async = true;
	cano_settlement_init(&batch->settlement, batch->owner);

	cano_window_open(&window);
	if (batch->only_run != 0)
		claim_run(batch, now);
	else
		claim_any(batch, now, limit);
	if (batch->nruns == 0)
	{
		result->idle = true;
		result->next_due = cano_store_next_due(batch->owner, now, batch->only_run);
	}
	cano_window_close(&window);
	MemoryContextSwitchTo(batch_context);
	if (batch->nruns > 0)
		batch->first = cano_blame_visit(&batch->runs[0]);
	INSTR_TIME_SET_CURRENT(batch->started);
}

static void
claim_run(CanoBatch *batch, TimestampTz now)
{
	CanoPlace	due;

	(void) cano_lane_hint(batch->owner);
	due = cano_place_min(cano_store_promote(batch->owner, now, batch->only_run),
						 cano_store_deliver(batch->only_run));
	batch->nruns = cano_store_claim_run(batch->owner, batch->only_run,
										batch->runs, batch_context);
	if (batch->nruns > 0)
		cano_lane_claimed(batch->owner, CANO_FIRST_PLACE);
	else if (cano_place_before(due, CANO_NO_PLACE))
		cano_wake_at_commit(batch->owner, now, due);
}

/*
 * Claim from where the hint says that the queue begins.
 */
static void
claim_any(CanoBatch *batch, TimestampTz now, int limit)
{
	CanoPlace	hint = cano_lane_hint(batch->owner);
	CanoPlace	from = cano_place_min(hint,
									  cano_store_promote(batch->owner, now, 0));
	CanoPlace	next;

	batch->nruns = cano_store_claim(batch->owner, from, limit, batch->runs,
									batch_context);
	if (batch->nruns == 0 && cano_place_before(CANO_FIRST_PLACE, from) &&
		cano_lane_may_look_at_all(batch->owner))
	{
		instr_time	began;

		INSTR_TIME_SET_CURRENT(began);
		from = CANO_FIRST_PLACE;
		batch->nruns = cano_store_claim(batch->owner, from, limit, batch->runs,
										batch_context);
		cano_lane_looked_at_all(batch->owner, elapsed_ms(began));
	}
	if (batch->nruns == 0)
		return;

	/* A hint that was passed by is wrong: leave it where this claim began. */
	next.priority = batch->runs[batch->nruns - 1].priority;
	next.id = batch->runs[batch->nruns - 1].job + 1;
	if (cano_place_before(from, hint))
		cano_wake_at_commit(batch->owner, now, from);
	cano_lane_claimed(batch->owner, next);
	if (batch->nruns == limit && cano_store_more_due(batch->owner, next))
		cano_lane_backlog(batch->owner);
}

/*
 * Drive a run on until it ends, waits, or this transaction has had enough.
 */
static void
run_through(CanoBatch *batch, CanoRun *run)
{
	batch->settlement.now = cano_now();
	if (run->duty == CANO_DUTY_NOTICE)
	{
		cano_settle_listener(&batch->settlement, run->id);
		batch->steps++;
		return;
	}
	if (is_foreign(run))
	{
		cano_settle_timer(&batch->settlement, run, DT_NOEND, CANO_WAIT_ORIGIN);
		return;
	}
	run->definition = cano_definition_get(run->definition_id);
	MemoryContextSwitchTo(batch_context);
	run->state = cano_fsm_state(&run->definition->model, run->state_name);
	if (run->state == CANO_NO_STATE)
		elog(ERROR, "run " INT64_FORMAT " is in state \"%s\", which does not exist",
			 run->id, run->state_name);

	for (;;)
	{
		CanoStep	step;

		if (must_stop(batch, run))
		{
			put_back(batch, run);
			return;
		}
		if (run->duty == CANO_DUTY_SIGNAL)
			receive(run);
		run->shares = batch->steps > 0 || batch->nruns > 1;
		cano_step_run(run, batch->steps > 0, cano_blame_take(run), &step);
		MemoryContextSwitchTo(batch_context);
		if (step.separate)
		{
			batch->stop = true;
			claim_limit = 1;
			put_back(batch, run);
			cano_blame_separate(run);
			return;
		}

		batch->steps++;
		batch->all_async &= run->definition->async;
		if (run->started_at == DT_NOBEGIN)
			run->started_at = step.started_at;
		cano_pace_note(run, (step.ended_at - step.started_at) / 1000.0);
		batch->stop |= step.last;
		if (!follow(batch, run, &step))
			return;
	}
}

/*
 * Take the signal that the run waited for.  Should it not be there any more,
 * the run waits again.
 */
static void
receive(CanoRun *run)
{
	CanoWindow	window;

	cano_window_open(&window);
	if (!cano_store_take_signal(run->id,
								run->definition->extra[run->state].signal,
								batch_context, &run->signal))
		run->duty = CANO_DUTY_ENTER;
	cano_window_close(&window);
	MemoryContextSwitchTo(batch_context);
}

/*
 * Leave the rest of the run to another transaction.
 */
static void
put_back(CanoBatch *batch, CanoRun *run)
{
	CanoPlace	place;

	batch->put_back++;
	cano_settle_job(&batch->settlement, run);
	place.priority = run->priority;
	place.id = run->job;
	cano_wake_at_commit(batch->owner, batch->settlement.now, place);
}

/*
 * Has the transaction had enough, or would this run's next task spoil it?
 */
static bool
must_stop(CanoBatch *batch, const CanoRun *run)
{
	if (batch->stop)
		return true;
	if (batch->steps == 0 && batch->nruns == 1)
		return false;			/* whatever it is, it runs alone */

	if ((batch->steps > 0 && one_by_one > 0) ||
		batch->steps >= cano_batch_steps ||
		(batch->max_steps > 0 && batch->steps >= batch->max_steps) ||
		elapsed_ms(batch->started) >= cano_batch_time)
		batch->stop = true;
	else if (cano_pace_may_exceed(run, cano_batch_time) || run->crashes > 0 ||
			 cano_blame_is_separate(run))
	{
		batch->stop = true;
		claim_limit = 1;
	}
	return batch->stop;
}

/*
 * Do what the core decided.  True if the run is ready for another step.
 */
static bool
follow(CanoBatch *batch, CanoRun *run, const CanoStep *step)
{
	const CanoDecision *decision = &step->decision;

	batch->settlement.now = step->ended_at;
	if (decision->failed_attempt)
	{
		const CanoStateExtra *extra = &run->definition->extra[run->state];
		CanoAttempt attempt = {
			.state = run->state_name,
			.task = extra->run ? extra->run->name : NULL,
			.attempt = run->attempt,
			.started_at = step->started_at,
			.ended_at = step->ended_at,
			.error = cano_step_attempt_error(run, step)
		};

		cano_settle_attempt(&batch->settlement, run, &attempt);
	}
	if (decision->keep)
		run->data = step->data;

	if (decision->verb == CANO_END)
	{
		end_run(batch, run, step);
		return false;
	}
	enter_state(run, step);
	if (decision->entered)
		cano_settle_entry(&batch->settlement, run);
	else if (decision->cursor)
		cano_settle_cursor(&batch->settlement, run);
	if (decision->verb == CANO_WAIT)
	{
		TimestampTz due = due_at(batch, run, step);

		cano_settle_timer(&batch->settlement, run, due, decision->waiting);
		cano_wake_at_commit(batch->owner, due, CANO_NO_PLACE);
		return false;
	}
	return true;
}

/*
 * What belongs to one visit of a state ends with the visit, what belongs to
 * one attempt with the attempt.
 */
static void
enter_state(CanoRun *run, const CanoStep *step)
{
	const CanoDecision *decision = &step->decision;

	if (decision->entered || decision->state != run->state)
		run->cursor = NULL;
	else if (decision->cursor)
		run->cursor = step->said.cursor;
	if (decision->entered || decision->state != run->state ||
		decision->attempt != run->attempt)
		run->since = DT_NOBEGIN;
	else if (decision->waiting == CANO_WAIT_POLL && run->since == DT_NOBEGIN)
		run->since = step->started_at;
	run->errors = decision->errors;
	run->state = decision->state;
	run->state_name = run->definition->model.states[decision->state].name;
	run->duty = decision->duty;
	run->attempt = decision->attempt;
}

static TimestampTz
due_at(const CanoBatch *batch, const CanoRun *run, const CanoStep *step)
{
	const CanoStateExtra *extra = &run->definition->extra[run->state];
	TimestampTz now = batch->settlement.now;

	if (step->decision.waiting == CANO_WAIT_POLL && extra->timeout_ms > 0)
		return Min(now + step->decision.delay_us,
				   TimestampTzPlusMilliseconds(run->since, extra->timeout_ms));
	if (!step->decision.own_time)
		return now + step->decision.delay_us;
	if (step->said.what == CANO_SAID_UNTIL)
		return step->said.until;
	if (step->decision.waiting == CANO_WAIT_SIGNAL)
		return extra->timeout_ms > 0 ?
			TimestampTzPlusMilliseconds(now, extra->timeout_ms) : DT_NOEND;
	if (extra->delay != NULL)
		return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
													   TimestampTzGetDatum(now),
													   IntervalPGetDatum(extra->delay)));
	return extra->until;
}

static void
end_run(CanoBatch *batch, CanoRun *run, const CanoStep *step)
{
	const CanoDecision *decision = &step->decision;
	CanoRunEnd	end = {
		.ending = decision->ending,
		.state = run->definition->model.states[decision->state].name,
		.error = cano_step_run_error(run, step),
		.dead = decision->dead
	};

	if (step->said.what == CANO_SAID_CANCELLED)
		end.cancel_reason = step->said.reason ?
			cano_error_text(step->said.reason) : NULL;
	if (end.error != NULL)
		log_end(run, end.error);
	if (decision->entered)
	{
		enter_state(run, step);
		cano_settle_entry(&batch->settlement, run);
	}
	cano_settle_end(&batch->settlement, run, &end);
	cano_wake_waiters_at_commit(run->id);
}

static void
log_end(const CanoRun *run, const Jsonb *error)
{
	ereport(cano_log_level,
			(errmsg("run " INT64_FORMAT " of workflow \"%s\" ended in state \"%s\": %s",
					run->id, run->definition->workflow, run->state_name,
					cano_json_get_text(error, "message")),
			 errhidestmt(true), errhidecontext(true)));
}

static void
settle(CanoBatch *batch)
{
	int			lock_timeout = LockTimeout;
	CanoWindow	window;
	CanoPlace	place;

	CANO_POINT("batch-before-settle");
	LockTimeout = 0;
	cano_window_open(&window);
	place = cano_store_settle(&batch->settlement);
	cano_window_close(&window);
	if (cano_place_before(place, CANO_NO_PLACE))
		cano_wake_at_commit(batch->owner, batch->settlement.now, place);
	LockTimeout = lock_timeout;
}

/*
 * The transaction failed as a whole.  If it was the commit, then a step left
 * something behind that failed: a single step's failure is its own; of
 * several, each is run alone to find out whose it was.  Anything else is the
 * engine's trouble, costs nobody an attempt, and is tried again later.
 */
static void
batch_failed(CanoBatch *batch, CanoBatchResult *result)
{
	bool		alone = batch->nruns == 1 && batch->steps == 1;
	ErrorData  *edata;

	/* Whatever was interrupted, the process is as before the batch. */
	(void) cano_context_set(NULL);
	cano_recorder_end();
	cano_slot_end();
	LockTimeout = batch->lock_timeout;

	MemoryContextSwitchTo(batch_context);
	edata = CopyErrorData();
	if (cano_txn_is_session() &&
		(!batch->committing || cano_txn_was_cancelled(edata)))
	{
		FlushErrorState();
		cano_txn_unwind();
		ReThrowError(edata);
	}

	HOLD_INTERRUPTS();
	if (!batch->committing)
		EmitErrorReport();
	FlushErrorState();
	cano_txn_abort();
	MemoryContextSwitchTo(batch_context);
	RESUME_INTERRUPTS();

	claim_limit = 1;
	if (batch->committed)
		return;
	if (!alone)
		one_by_one = Max(batch->nruns, batch->steps);
	batch->steps = 0;
	if (!batch->committing)
	{
		result->idle = true;
		result->next_due = TimestampTzPlusMilliseconds(cano_now(), TROUBLE_MS);
		if (batch->nruns == 1)
			cano_blame_transaction_failed(&batch->first, edata);
	}
	else if (alone)
		cano_blame_commit_failed(&batch->first, edata);
}

/*
 * The runs of a copy (a restored dump, a subscriber) wait for somebody to
 * adopt them: the original may still be running them.
 */
static bool
is_foreign(const CanoRun *run)
{
	return run->origin != (int64) GetSystemIdentifier();
}

static double
elapsed_ms(instr_time since)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, since);
	return INSTR_TIME_GET_MILLISEC(now);
}
