/*-------------------------------------------------------------------------
 *
 * sweep.c
 *	  The process that removes ended runs whose time is over.
 *
 * The launcher sends one such process at a time, once a minute to each
 * database that has the extension.  Like a scan it is nobody's: it runs the
 * constant statements of purge.c and nothing else.  It ends after a second,
 * and soon comes again if it has left much behind; so what it does is never
 * in the way of a statement that needs the database for itself, and takes no
 * place for long that a worker could have.
 *
 * Deleting makes dead rows, but none where claims look for work: those of runs
 * and of what there is to know about them, which claims only find by their
 * ids.  Autovacuum follows as with any table.  Partitions that could be
 * dropped instead would have to be of runs that end together and are kept for
 * the same time; and to drop one would wait for everybody, and let everybody
 * wait.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"

#include "debug.h"
#include "hold.h"
#include "launcher.h"
#include "purge.h"
#include "scan.h"
#include "shared.h"
#include "sweep.h"

#define SECONDS(n)		(INT64CONST(n) * USECS_PER_SEC)
#define PAUSE			SECONDS(60)
#define SHORT_PAUSE		SECONDS(1)	/* while there is much to do */
#define LONGEST_PAUSE	SECONDS(3600)	/* where it fails */
#define LIMIT_MS		1000

/* A database to be looked after. */
typedef struct Served
{
	Oid			database;
	TimestampTz due_at;
	int64		cursor;			/* where to go on */
	int			failures;		/* in a row */
} Served;

/* How the process is told what to do, in bgw_extra. */
typedef struct SweepArguments
{
	Oid			database;
	uint32		stamp;
	int64		cursor;
} SweepArguments;

static void add_lanes(void);
static Served *find(Oid database);
static Served *next_due(void);
static void ended(Served *served, const CanoSweep *sweep, TimestampTz now);
static void start(Served *served, TimestampTz now);
static bool must_stop(void);
static void exit_callback(int code, Datum arg);

/* The launcher's own. */
static List *databases = NIL;
static BackgroundWorkerHandle *sweeping = NULL;
static TimestampTz lanes_added_at = DT_NOBEGIN;

/* The process's own. */
static SweepArguments arguments;

/* ---- In the launcher ---- */

void
cano_sweep_add(Oid database)
{
	MemoryContext caller;
	Served	   *served;

	if (find(database) != NULL)
		return;
	caller = MemoryContextSwitchTo(TopMemoryContext);
	served = palloc0(sizeof(Served));
	served->database = database;
	served->due_at = cano_now() + PAUSE;
	databases = lappend(databases, served);
	MemoryContextSwitchTo(caller);
}

/* Where there has been work since the server was started. */
static void
add_lanes(void)
{
	HASH_SEQ_STATUS status;
	CanoLane   *lane;
	List	   *found = NIL;
	ListCell   *cell;

	LWLockAcquire(cano_shared->lock, LW_SHARED);
	hash_seq_init(&status, cano_lanes);
	while ((lane = hash_seq_search(&status)) != NULL)
		found = list_append_unique_oid(found, lane->key.database);
	LWLockRelease(cano_shared->lock);
	foreach(cell, found)
		cano_sweep_add(lfirst_oid(cell));
	list_free(found);
}

static Served *
find(Oid database)
{
	ListCell   *cell;

	foreach(cell, databases)
	{
		Served	   *served = lfirst(cell);

		if (served->database == database)
			return served;
	}
	return NULL;
}

static Served *
next_due(void)
{
	Served	   *next = NULL;
	ListCell   *cell;

	foreach(cell, databases)
	{
		Served	   *served = lfirst(cell);

		if (next == NULL || served->due_at < next->due_at)
			next = served;
	}
	return next;
}

void
cano_sweep_reap(TimestampTz now)
{
	CanoSweep	sweep;
	Served	   *served;
	pid_t		pid;

	if (sweeping == NULL ||
		GetBackgroundWorkerPid(sweeping, &pid) != BGWH_STOPPED)
		return;
	pfree(sweeping);
	sweeping = NULL;
	LWLockAcquire(cano_shared->lock, LW_EXCLUSIVE);
	sweep = cano_shared->sweep;
	cano_shared->sweep.database = InvalidOid;
	LWLockRelease(cano_shared->lock);
	served = find(sweep.swept);
	if (served != NULL)
		ended(served, &sweep, now);
}

/* Where it does not succeed, it is tried less often. */
static void
ended(Served *served, const CanoSweep *sweep, TimestampTz now)
{
	CanoLaneKey key = {.database = served->database};

	if (!sweep->succeeded && cano_launcher_is_gone(&key))
	{
		databases = list_delete_ptr(databases, served);
		pfree(served);
		return;
	}
	served->failures = sweep->succeeded ? 0 : served->failures + 1;
	served->due_at = now + Min(PAUSE << Min(served->failures, 6), LONGEST_PAUSE);
	if (!sweep->succeeded)
		return;
	served->cursor = sweep->cursor;
	if (sweep->more)
		served->due_at = now + SHORT_PAUSE;
}

void
cano_sweep_start(TimestampTz now)
{
	Served	   *served;

	if (lanes_added_at + PAUSE <= now)
	{
		add_lanes();
		lanes_added_at = now;
	}
	cano_launcher_be_back(lanes_added_at + PAUSE);
	served = next_due();
	if (sweeping != NULL || served == NULL)
		return;
	if (served->due_at <= now)
		start(served, now);
	else
		cano_launcher_be_back(served->due_at);
}

static void
start(Served *served, TimestampTz now)
{
	CanoSweep  *sweep = &cano_shared->sweep;
	SweepArguments extra = {
		.database = served->database,
		.cursor = served->cursor
	};
	bool		held;

	LWLockAcquire(cano_shared->lock, LW_EXCLUSIVE);
	held = cano_hold_is_on(served->database, now);
	if (!held)
	{
		memset(sweep, 0, sizeof(CanoSweep));
		sweep->database = sweep->swept = served->database;
		sweep->stamp = extra.stamp = ++cano_shared->last_stamp;
	}
	LWLockRelease(cano_shared->lock);

	if (!held && cano_launcher_start("cano sweep", "cano_sweep_main", &extra,
									 sizeof(extra), &sweeping, now))
		return;
	served->due_at = now + PAUSE;
	if (held)
		return;
	sweeping = NULL;
	LWLockAcquire(cano_shared->lock, LW_EXCLUSIVE);
	sweep->database = InvalidOid;
	LWLockRelease(cano_shared->lock);
}

/* ---- The process ---- */

void
cano_sweep_main(Datum arg)
{
	CanoSweep  *sweep = &cano_shared->sweep;
	int64		cursor;
	bool		more = false;

	memcpy(&arguments, MyBgworkerEntry->bgw_extra, sizeof(arguments));
	cursor = arguments.cursor;
	pqsignal(SIGTERM, die);
	on_shmem_exit(exit_callback, (Datum) 0);
	BackgroundWorkerUnblockSignals();
	/* As no role: the bootstrap superuser may not be permitted to log in. */
	BackgroundWorkerInitializeConnectionByOid(arguments.database,
											  InvalidOid, 0);
	pgstat_report_activity(STATE_RUNNING, "cano: removing runs that ended long ago");
	if (cano_scan_extension() == CANO_EXTENSION_FITS)
		more = cano_purge_expired(&cursor, LIMIT_MS, must_stop);

	LWLockAcquire(cano_shared->lock, LW_EXCLUSIVE);
	if (sweep->stamp == arguments.stamp)
	{
		sweep->succeeded = true;
		sweep->more = more;
		sweep->cursor = cursor;
	}
	LWLockRelease(cano_shared->lock);
	proc_exit(0);
}

/* Read without a lock: it is looked at again in a moment. */
static bool
must_stop(void)
{
	return cano_shared->sweep.stamp != arguments.stamp ||
		cano_shared->sweep.leave;
}

/* However it ends, the launcher knows, and whoever waits for the database. */
static void
exit_callback(int code, Datum arg)
{
	LWLockAcquire(cano_shared->lock, LW_EXCLUSIVE);
	if (cano_shared->sweep.stamp == arguments.stamp)
		cano_shared->sweep.database = InvalidOid;
	cano_launcher_wake();
	LWLockRelease(cano_shared->lock);
	ConditionVariableBroadcast(&cano_shared->released.cv);
}
