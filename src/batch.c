/*-------------------------------------------------------------------------
 *
 * batch.c
 *	  Several steps in one transaction: claim, run, settle, commit.
 *
 * What is done with a claimed job is drive.c's.  A transaction that fails as a
 * whole is rolled back and its jobs are run one by one, so that the one to
 * blame is found and only it pays.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "catalog/pg_namespace.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "batch.h"
#include "blame.h"
#include "compat.h"
#include "context.h"
#include "debug.h"
#include "drive.h"
#include "error.h"
#include "event.h"
#include "fan.h"
#include "gate.h"
#include "guc.h"
#include "hook.h"
#include "metrics.h"
#include "pause.h"
#include "recorder.h"
#include "shmem.h"
#include "store.h"
#include "store_signal.h"
#include "tally.h"
#include "turn.h"
#include "txn.h"
#include "window.h"

/* The most jobs that one claim takes. */
#define MAX_CLAIM		256

/* How long to leave the tables alone after an error of the engine's own. */
#define TROUBLE_MS		1000

/* A look at all timers that took longer than this is not taken each time ... */
#define LONG_LOOK_MS	1

/* ... but takes this share of the time. */
#define LONG_LOOK_SHARE	50

/* Other looks go back so far: who sets a timer may commit late. */
#define LOOK_BACK_MS	200

typedef struct CanoBatch
{
	Oid			owner;
	int64		only_run;
	int			lock_timeout;	/* the session's own */
	CanoRun		runs[MAX_CLAIM];
	CanoDrive	drive;
	bool		committing;		/* an error now is the steps' own */
	bool		committed;		/* an error from here on is nobody's */
} CanoBatch;

static void batch_body(CanoBatch *batch, CanoBatchResult *result);
static bool may_work(CanoBatch *batch, CanoBatchResult *result);
static void check_rights(void);
static void claim(CanoBatch *batch, CanoBatchResult *result);
static bool published(CanoBatch *batch, CanoPlace first);
static bool publish(CanoBatch *batch, TimestampTz now);
static double long_look_in(void);
static void claim_family(CanoBatch *batch, TimestampTz now, int limit,
						 CanoBatchResult *result);
static void claim_any(CanoBatch *batch, TimestampTz now, int limit,
					  CanoBatchResult *result);
static void settle(CanoBatch *batch);
static void set_claim_limit(const CanoDrive *drive);
static void batch_failed(CanoBatch *batch, CanoBatchResult *result);

/* Reset at the beginning of each batch; holds everything of it. */
static MemoryContext batch_context = NULL;

/*
 * How many jobs the next claim takes.  It doubles while tasks are quick, until
 * some had to be put back; from there it feels its way.
 */
static int	claim_limit = 1;
static bool was_too_much = false;

/* So many jobs are still to be run one a transaction. */
static int	one_by_one = 0;

/* The next transaction looks first for what has become due. */
static bool publishes_next = false;

/* What has become due since then is not in the queue. */
static TimestampTz published_until = DT_NOBEGIN;

/*
 * Timers that are over stand before those that are due, as dead rows, as long
 * as somebody holds an older snapshot.
 */
static bool looked_at_all = false;	/* the last time */
static double look_ms = 0;		/* the last time that it was all */
static instr_time look_began;	/* that, too */
static TimestampTz looked_until = DT_NOBEGIN;

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
	batch->drive.context = batch_context;
	batch->drive.max_steps = max_steps;
	batch->drive.one_by_one = one_by_one > 0;
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
	result->steps = batch->drive.steps;
	MemoryContextSwitchTo(caller);
}

static void
batch_body(CanoBatch *batch, CanoBatchResult *result)
{
	CanoDrive  *drive = &batch->drive;

	cano_txn_begin();
	cano_metrics_begin();
	MemoryContextSwitchTo(batch_context);
	if (may_work(batch, result))
	{
		claim(batch, result);
		CANO_POINT("batch-claimed");
		for (int i = 0; i < drive->nruns; i++)
			cano_drive(drive, &batch->runs[i]);
		if (drive->nruns > 0)
			settle(batch);
	}
	CANO_POINT("batch-before-commit");
	batch->committing = true;
	cano_txn_commit(drive->all_async);
	batch->committing = false;
	batch->committed = true;
	if (drive->nruns > 0)
		cano_blame_nobody();
	CANO_POINT("batch-after-commit");

	if (one_by_one > 0)
		one_by_one--;
	else
		set_claim_limit(drive);
}

static void
set_claim_limit(const CanoDrive *drive)
{
	if (drive->slow)
		claim_limit = 1;
	else if (drive->put_back > 0)
		claim_limit = Max(Min(claim_limit, drive->nruns - drive->put_back), 1);
	else if (drive->nruns == claim_limit &&
			 cano_drive_elapsed_ms(drive->started) < cano_batch_time)
		claim_limit = Min(claim_limit + (was_too_much ? claim_limit / 8 + 1 : claim_limit),
						  MAX_CLAIM);
	was_too_much = drive->put_back > 0 || (was_too_much && !drive->slow);
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
	if (!cano_extension_hold() || !cano_extension()->fits ||
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
	CanoDrive  *drive = &batch->drive;
	int			limit = one_by_one > 0 ? 1 : claim_limit;
	TimestampTz now = cano_now();
	CanoWindow	window;

	drive->all_async = true;
	cano_settlement_init(&drive->settlement, batch->owner);

	cano_window_open(&window);
	if (batch->only_run != 0)
		claim_family(batch, now, limit, result);
	else
		claim_any(batch, now, limit, result);
	cano_window_close(&window);
	MemoryContextSwitchTo(batch_context);
	cano_event_begin(drive);
	if (drive->nruns > 0)
		drive->first = cano_blame_visit(&batch->runs[0]);
	INSTR_TIME_SET_CURRENT(drive->started);
}

/*
 * What has become due is put into the queue by a transaction of its own: one
 * that goes on to run a task would keep it from the others as long as that.
 */
static bool
published(CanoBatch *batch, CanoPlace first)
{
	if (!cano_place_before(first, CANO_NO_PLACE))
		return false;
	cano_lower_at_commit(batch->owner, first);
	return true;
}

static bool
publish(CanoBatch *batch, TimestampTz now)
{
	TimestampTz until = now;
	TimestampTz from = DT_NOBEGIN;
	CanoPlace	first;

	looked_at_all = long_look_in() <= 0;
	if (looked_at_all)
		INSTR_TIME_SET_CURRENT(look_began);
	else if (looked_until != DT_NOBEGIN)
		from = TimestampTzPlusMilliseconds(looked_until, -LOOK_BACK_MS);
	first = cano_store_promote(batch->owner, from, &until);
	if (looked_at_all)
		look_ms = cano_drive_elapsed_ms(look_began);
	looked_until = until;
	published_until = now;
	return published(batch, first);
}

/*
 * In how many milliseconds all timers are to be looked at.  A session, which
 * must say when nothing is due any more, does so each time.
 */
static double
long_look_in(void)
{
	if (cano_txn_is_session() || look_ms <= LONG_LOOK_MS)
		return 0;
	return look_ms * LONG_LOOK_SHARE - cano_drive_elapsed_ms(look_began);
}

/*
 * A session that drives one run gives itself notice of what others sent.
 */
static void
claim_family(CanoBatch *batch, TimestampTz now, int limit,
			 CanoBatchResult *result)
{
	CanoFamily	family;
	CanoPlace	due;

	(void) cano_lane_hint(batch->owner);
	cano_store_family(batch->only_run, batch_context, &family);
	cano_hook_left(&family.jobs);
	due = cano_place_min(cano_store_promote_family(batch->owner, now, &family),
						 cano_store_deliver(&family));
	if (published(batch, due))
		return;
	batch->drive.nruns = cano_store_claim_family(&batch->drive.settlement,
												 &family, limit, batch->runs,
												 batch_context);
	if (batch->drive.nruns > 0)
	{
		cano_lane_claimed(batch->owner, CANO_FIRST_PLACE);
		return;
	}
	result->idle = true;
	result->next_due = cano_store_next_due(batch->owner, now, &family);
}

/*
 * Claim from where the hint says that the queue begins.
 */
static void
claim_any(CanoBatch *batch, TimestampTz now, int limit,
		  CanoBatchResult *result)
{
	CanoDrive  *drive = &batch->drive;
	CanoPlace	hint = cano_lane_hint(batch->owner);
	CanoPlace	from = hint;
	CanoPlace	next;
	bool		publishes = publishes_next;

	/* Every other time, so that there is always time for the queue. */
	publishes_next = !publishes;
	if (publishes && publish(batch, now))
		return;
	drive->nruns = cano_store_claim(&drive->settlement, from, limit,
									batch->runs, batch_context);
	if (drive->nruns == 0 && cano_place_before(CANO_FIRST_PLACE, from) &&
		cano_lane_may_look_at_all(batch->owner))
	{
		instr_time	began;

		INSTR_TIME_SET_CURRENT(began);
		from = CANO_FIRST_PLACE;
		drive->nruns = cano_store_claim(&drive->settlement, from, limit,
										batch->runs, batch_context);
		cano_lane_looked_at_all(batch->owner, cano_drive_elapsed_ms(began));
	}
	if (drive->nruns == 0)
	{
		publishes_next = false;
		if (!publishes && publish(batch, now))
			return;
		result->idle = true;
		result->next_due = cano_store_next_due(batch->owner, now, NULL);
		if (!looked_at_all)
			result->next_due = Min(result->next_due,
								   now + (int64) (Max(long_look_in(), 0) * 1000));
		return;
	}

	if (drive->nruns == 1 && !cano_lane_knows_due(batch->owner))
		cano_lane_note_due(batch->owner,
						   cano_store_next_due(batch->owner, published_until, NULL));

	/* A hint that was passed by is wrong: leave it where this claim began. */
	next.priority = batch->runs[drive->nruns - 1].priority;
	next.id = batch->runs[drive->nruns - 1].job + 1;
	if (cano_place_before(from, hint))
		cano_wake_at_commit(batch->owner, now, from);
	cano_lane_claimed(batch->owner, next);
	if (drive->nruns == limit && cano_store_more_due(batch->owner, next))
		cano_lane_backlog(batch->owner);
}

static void
settle(CanoBatch *batch)
{
	int			lock_timeout = LockTimeout;
	CanoWindow	window;
	TimestampTz due_at;
	CanoPlace	place;

	CANO_POINT("batch-before-settle");
	cano_tally_settle(&batch->drive.settlement);
	LockTimeout = 0;
	cano_window_open(&window);
	cano_pause_settle(&batch->drive.settlement);
	place = cano_store_settle(&batch->drive.settlement, &due_at);
	cano_gate_settle(&batch->drive.settlement);
	place = cano_place_min(place, cano_turn_settle(&batch->drive.settlement));
	place = cano_place_min(place, cano_fan_settle(&batch->drive.settlement));
	if (batch->drive.settlement.records != NULL)
		cano_store_records(batch->drive.settlement.records);
	cano_window_close(&window);
	cano_wake_at_commit(batch->owner, due_at, CANO_NO_PLACE);
	if (cano_place_before(place, CANO_NO_PLACE))
		cano_wake_at_commit(batch->owner, batch->drive.settlement.now, place);
	LockTimeout = lock_timeout;
}

/*
 * The transaction failed as a whole.  If it was the commit, then a step left
 * something behind that failed: a single step's failure is its own; of
 * several, each is run alone to find out whose it was.  If others were faster
 * in closing a fan, or an observer would have had to wait, what is left is run
 * one by one, too.  Anything else is the engine's trouble, costs nobody an
 * attempt, and is tried again later.
 */
static void
batch_failed(CanoBatch *batch, CanoBatchResult *result)
{
	CanoDrive  *drive = &batch->drive;
	bool		alone = drive->nruns == 1 && drive->steps == 1;
	bool		overtaken = drive->unobserved ||
		(drive->settlement.fans != NULL && drive->settlement.fans->overtaken);
	ErrorData  *edata;

	/* Whatever was interrupted, the process is as before the batch. */
	(void) cano_context_set(NULL);
	cano_recorder_end();
	(void) cano_slot_end();
	LockTimeout = batch->lock_timeout;

	MemoryContextSwitchTo(batch_context);
	edata = CopyErrorData();
	if (cano_txn_is_session() && !overtaken &&
		(!batch->committing || cano_txn_was_cancelled(edata)))
	{
		FlushErrorState();
		cano_txn_unwind();
		ReThrowError(edata);
	}

	HOLD_INTERRUPTS();
	if (!batch->committing && !overtaken)
		EmitErrorReport();
	FlushErrorState();
	cano_txn_abort();
	MemoryContextSwitchTo(batch_context);
	RESUME_INTERRUPTS();

	claim_limit = 1;
	looked_until = DT_NOBEGIN;
	if (batch->committed)
		return;
	if (!alone)
		one_by_one = Max(drive->nruns, drive->steps);
	drive->steps = 0;
	if (overtaken)
		return;
	if (!batch->committing)
	{
		result->idle = true;
		result->next_due = TimestampTzPlusMilliseconds(cano_now(), TROUBLE_MS);
		if (drive->nruns == 1)
			cano_blame_transaction_failed(&drive->first, edata);
	}
	else if (alone)
		cano_blame_commit_failed(&drive->first, edata);
}
