/*-------------------------------------------------------------------------
 *
 * launcher.c
 *	  The one process that starts workers.
 *
 * It belongs to no database, runs nobody's code, and keeps nothing that it
 * could not lose: lanes and slots are in shared memory and outlive it, and
 * what it knows of databases it reads again.  One pass looks at everything:
 * what ended, what is due, what may start.  Then it waits on its latch, until
 * the nearest time at which something changes by itself.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "debug.h"
#include "dispatch.h"
#include "guc.h"
#include "hold.h"
#include "launcher.h"
#include "recorder.h"
#include "scan.h"
#include "shared.h"
#include "shmem.h"
#include "sweep.h"

#define SECONDS(n)			(INT64CONST(n) * USECS_PER_SEC)
#define LONGEST_WAIT_MS		60000L	/* the clock may be set meanwhile */
#define REFUSAL_OVER		SECONDS(60)
#define SCAN_PAUSE			(SECONDS(1) / 5)	/* between two of one database */

/* A database to be scanned, or that was a moment ago. */
typedef struct PendingScan
{
	Oid			database;
	bool		wanted;
	int			running;		/* index of the scan, or -1 */
	int			failures;
	TimestampTz not_before;
} PendingScan;

static void become_launcher(void);
static void exit_callback(int code, Datum arg);
static TimestampTz pass(void);
static void want_all_databases(void);
static void want_scan(Oid database);
static void take_requests(void);
static void end_scans(void);
static bool start_scans(TimestampTz now);
static bool start_scan(PendingScan *pending, TimestampTz now);
static void report_refusal(bool refused, TimestampTz now);

/* Handles of the scans that this launcher started and has not seen end. */
static BackgroundWorkerHandle *scanning[CANO_SCANS];

static List *pending_scans = NIL;

/* The current pass's answer, so far. */
static TimestampTz next_pass;

/* While the postmaster refuses to start more processes. */
static TimestampTz refused_until = DT_NOBEGIN;

void
cano_launcher_register(void)
{
	BackgroundWorker worker = {0};

	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	strlcpy(worker.bgw_name, "cano launcher", sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, "cano launcher", sizeof(worker.bgw_type));
	strlcpy(worker.bgw_library_name, "cano", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "cano_launcher_main",
			sizeof(worker.bgw_function_name));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 1;
	RegisterBackgroundWorker(&worker);
}

void
cano_launcher_main(Datum arg)
{

	become_launcher();
	want_all_databases();

	for (;;)
	{
		TimestampTz until;
		long		timeout = -1;
		int			events = WL_LATCH_SET | WL_EXIT_ON_PM_DEATH;

		/* Not 0: the postmaster would never start it again. */
		if (ShutdownRequestPending)
			proc_exit(1);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);

			/* Settings decide what may run: what was refused may be due. */
			if (cano_enabled)
				want_all_databases();
		}

		until = pass();
		if (until != DT_NOEND)
		{
			timeout = TimestampDifferenceMilliseconds(cano_now(), until);
			timeout = Min(timeout, LONGEST_WAIT_MS);
			events |= WL_TIMEOUT;
		}
		(void) WaitLatch(MyLatch, events, timeout, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
}

static void
become_launcher(void)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	pqsignal(SIGINT, PG_SIG_IGN);	/* there is never a query to cancel */
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	pgstat_report_appname("cano launcher");

	/* Before anything starts, and once in the life of the shared memory. */
	if (!cano_shared->recorder_read)
	{
		cano_recorder_read();
		cano_shared->recorder_read = true;
	}

	on_shmem_exit(exit_callback, (Datum) 0);
	LWLockAcquire(cano_shared->lock, LW_EXCLUSIVE);
	cano_shared->launcher = &MyProc->procLatch;
	/* Scans of a launcher before us: theirs to end, no longer in our way. */
	for (int i = 0; i < CANO_SCANS; i++)
		cano_shared->scans[i].stamp = ++cano_shared->last_stamp;
	for (int i = 0; i < CANO_SCANS; i++)
		cano_shared->scans[i].database = InvalidOid;
	cano_shared->sweep.leave = true;
	LWLockRelease(cano_shared->lock);
}

static void
exit_callback(int code, Datum arg)
{
	LWLockAcquire(cano_shared->lock, LW_EXCLUSIVE);
	cano_shared->launcher = NULL;
	LWLockRelease(cano_shared->lock);
}

/* Do what can be done now; returns when to look again at the latest. */
static TimestampTz
pass(void)
{
	TimestampTz now = cano_now();
	bool		scan_waits;

	next_pass = DT_NOEND;
	take_requests();
	end_scans();
	cano_dispatch_reap(now);
	cano_sweep_reap(now);
	if (cano_enabled)
	{
		cano_dispatch_survey(now);
		scan_waits = start_scans(now);
		cano_dispatch_workers(now, scan_waits);
		cano_sweep_start(now);
	}
	return next_pass;
}

/* ---- Scans ---- */

/* Every database that one can connect to, except templates. */
static void
want_all_databases(void)
{
	Relation	relation;
	TableScanDesc scan;
	HeapTuple	tuple;
	MemoryContext context = CurrentMemoryContext;
	List	   *databases = NIL;
	ListCell   *cell;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	relation = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(relation, 0, NULL);
	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection)))
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);

		/* A limit of -2 marks what an interrupted DROP DATABASE left. */
		if (form->datallowconn && !form->datistemplate &&
			form->datconnlimit != -2)
			databases = lappend_oid(databases, form->oid);
	}
	table_endscan(scan);
	table_close(relation, AccessShareLock);

	MemoryContextSwitchTo(TopMemoryContext);
	foreach(cell, databases)
		want_scan(lfirst_oid(cell));
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
}

/* In TopMemoryContext. */
static void
want_scan(Oid database)
{
	PendingScan *pending;
	ListCell   *cell;

	foreach(cell, pending_scans)
	{
		pending = lfirst(cell);
		if (pending->database == database)
		{
			pending->wanted = true;
			return;
		}
	}
	pending = palloc0(sizeof(PendingScan));
	pending->database = database;
	pending->wanted = true;
	pending->running = -1;
	pending->not_before = DT_NOBEGIN;
	pending_scans = lappend(pending_scans, pending);
}

static void
take_requests(void)
{
	Oid			requests[CANO_REQUESTS];
	int			nrequests;
	bool		all;
	MemoryContext context;

	LWLockAcquire(cano_shared->lock, LW_EXCLUSIVE);
	nrequests = cano_shared->nrequests;
	memcpy(requests, cano_shared->requests, sizeof(requests));
	all = cano_shared->scan_all;
	cano_shared->nrequests = 0;
	cano_shared->scan_all = false;
	LWLockRelease(cano_shared->lock);

	context = MemoryContextSwitchTo(TopMemoryContext);
	for (int i = 0; i < nrequests; i++)
		want_scan(requests[i]);
	MemoryContextSwitchTo(context);
	if (all)
		want_all_databases();
}

static void
end_scans(void)
{
	ListCell   *cell;
	TimestampTz now = cano_now();

	foreach(cell, pending_scans)
	{
		PendingScan *pending = lfirst(cell);
		CanoLaneKey key = {.database = pending->database};
		int			index = pending->running;
		pid_t		pid;

		if (index >= 0)
		{
			CanoScan   *scan = &cano_shared->scans[index];

			if (GetBackgroundWorkerPid(scanning[index], &pid) != BGWH_STOPPED)
				continue;
			pfree(scanning[index]);
			scanning[index] = NULL;
			pending->running = -1;
			LWLockAcquire(cano_shared->lock, LW_EXCLUSIVE);
			scan->database = InvalidOid;
			LWLockRelease(cano_shared->lock);

			if (scan->succeeded || cano_launcher_is_gone(&key))
			{
				if (scan->serves)
					cano_sweep_add(pending->database);
				if (!scan->succeeded)
					cano_scan_forget_marks(pending->database);
				pending->failures = 0;
				pending->not_before = now + SCAN_PAUSE;
			}
			else
			{
				pending->wanted = true;
				pending->not_before = now +
					SECONDS(1) * (1 << Min(pending->failures, 6));
				pending->failures++;
			}
		}
		if (!pending->wanted && pending->not_before <= now)
		{
			pending_scans = foreach_delete_current(pending_scans, cell);
			pfree(pending);
		}
	}
}

/* True when one waits because no more processes can be started. */
static bool
start_scans(TimestampTz now)
{
	ListCell   *cell;

	foreach(cell, pending_scans)
	{
		PendingScan *pending = lfirst(cell);

		if (pending->running >= 0)
			continue;
		if (pending->not_before > now)
			cano_launcher_be_back(pending->not_before);
		else if (pending->wanted && !start_scan(pending, now))
			return cano_launcher_is_refused(now);
	}
	return false;
}

/* False when no more can be started now. */
static bool
start_scan(PendingScan *pending, TimestampTz now)
{
	CanoScanArguments arguments = {.database = pending->database};
	CanoScan   *scan = NULL;

	LWLockAcquire(cano_shared->lock, LW_EXCLUSIVE);
	if (cano_hold_is_on(pending->database, now))
	{
		LWLockRelease(cano_shared->lock);
		return true;
	}
	for (int i = 0; i < CANO_SCANS; i++)
	{
		if (scanning[i] != NULL)
			continue;
		scan = &cano_shared->scans[i];
		scan->database = pending->database;
		scan->stamp = ++cano_shared->last_stamp;
		scan->started_at = now;
		scan->succeeded = scan->serves = false;
		arguments.scan = i;
		arguments.stamp = scan->stamp;
		break;
	}
	LWLockRelease(cano_shared->lock);
	if (scan == NULL)
		return false;

	if (!cano_launcher_start("cano scan", "cano_scan_main", &arguments,
							 sizeof(arguments), &scanning[arguments.scan], now))
	{
		LWLockAcquire(cano_shared->lock, LW_EXCLUSIVE);
		scan->database = InvalidOid;
		LWLockRelease(cano_shared->lock);
		return false;
	}
	pending->wanted = false;
	pending->running = arguments.scan;
	return true;
}

void
cano_launcher_be_back(TimestampTz at)
{
	next_pass = Min(next_pass, at);
}

TimestampTz
cano_launcher_back_at(void)
{
	return next_pass;
}

void
cano_launcher_place_freed(void)
{
	refused_until = DT_NOBEGIN;
}

bool
cano_launcher_is_refused(TimestampTz now)
{
	if (refused_until <= now)
		return false;
	cano_launcher_be_back(refused_until);
	return true;
}

/*
 * False when the postmaster has no place for another process, which is said
 * once, until it has.
 */
bool
cano_launcher_start(const char *name, const char *function,
					const void *arguments, size_t size,
					BackgroundWorkerHandle **handle, TimestampTz now)
{
	BackgroundWorker worker = {0};
	MemoryContext context;
	bool		started;

	if (cano_launcher_is_refused(now))
		return false;
	strlcpy(worker.bgw_name, name, sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, name, sizeof(worker.bgw_type));
	strlcpy(worker.bgw_library_name, "cano", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, function,
			sizeof(worker.bgw_function_name));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_notify_pid = MyProcPid;
	memcpy(worker.bgw_extra, arguments, size);

	context = MemoryContextSwitchTo(TopMemoryContext);
	started = RegisterDynamicBackgroundWorker(&worker, handle);
	MemoryContextSwitchTo(context);

	report_refusal(!started, now);
	return started;
}

/*
 * On a busy server refusals come and go: they are over when there has been
 * none for a while.
 */
static void
report_refusal(bool refused, TimestampTz now)
{
	static bool warned = false;
	static int	refusals = 0;	/* in a row */
	static TimestampTz last_refused = DT_NOBEGIN;

	if (refused)
	{
		if (!warned)
			ereport(WARNING,
					(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
					 errmsg("could not start a background worker for cano"),
					 errdetail("All background worker processes that \"max_worker_processes\" allows are in use."),
					 errhint("Increase \"max_worker_processes\", or lower \"cano.max_workers\".")));
		warned = true;
		last_refused = now;
		refused_until = now + Min(SECONDS(10),
								  (SECONDS(1) / 4) << Min(refusals, 6));
		refusals++;
		cano_launcher_be_back(refused_until);
		return;
	}
	refusals = 0;
	if (warned && last_refused + REFUSAL_OVER <= now)
	{
		warned = false;
		ereport(LOG,
				(errmsg("background workers for cano can be started again")));
	}
}

/* Is there no such database, or no such role (if one is given)? */
bool
cano_launcher_is_gone(const CanoLaneKey *key)
{
	MemoryContext context = CurrentMemoryContext;
	bool		gone;

	StartTransactionCommand();
	gone = !SearchSysCacheExists1(DATABASEOID,
								  ObjectIdGetDatum(key->database)) ||
		(OidIsValid(key->role) &&
		 !SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(key->role)));
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return gone;
}
