/*-------------------------------------------------------------------------
 *
 * scan.c
 *	  A look into a database: who has work there, due when.
 *
 * A scan is a short-lived worker, connected as the bootstrap superuser, that
 * runs nothing but the constant statements below in an elevated window.  The
 * launcher starts one for each database when it starts itself, and when
 * somebody asks because wake-ups got lost: COMMIT PREPARED, a full lane table,
 * a job that took its process down.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "debug.h"
#include "scan.h"
#include "shared.h"
#include "shmem.h"
#include "statement.h"
#include "txn.h"
#include "window.h"

typedef struct Owner
{
	Oid			role;
	TimestampTz due_at;
} Owner;

static void leave_alone(void);
static void scan_database(void);
static void write_mark(const CanoMark *mark);
static Owner *read_owners(MemoryContext context, int *nowners);
static int	copy_marks(CanoMark *marks);
static void forget_mark(const CanoMark *mark);
static void exit_callback(int code, Datum arg);

static CanoScanArguments arguments;
static bool serves = false;
static bool succeeded = false;

/*
 * Owners of jobs, found by jumping from one to the next in the primary key,
 * and owners of timers with their next time.
 */
static CanoStatement owners_statement = {
	.sql =
	"WITH RECURSIVE job (owner) AS ("
	" (SELECT j.owner FROM cano._job j ORDER BY j.owner LIMIT 1)"
	" UNION ALL"
	" SELECT (SELECT j.owner FROM cano._job j WHERE j.owner > job.owner"
	" ORDER BY j.owner LIMIT 1)"
	" FROM job WHERE job.owner IS NOT NULL"
	"), timer (owner) AS ("
	" (SELECT t.owner FROM cano._timer t ORDER BY t.owner LIMIT 1)"
	" UNION ALL"
	" SELECT (SELECT t.owner FROM cano._timer t WHERE t.owner > timer.owner"
	" ORDER BY t.owner LIMIT 1)"
	" FROM timer WHERE timer.owner IS NOT NULL"
	") "
	"SELECT owner, '-infinity'::timestamptz FROM job WHERE owner IS NOT NULL "
	"UNION ALL "
	"SELECT owner, (SELECT t.due_at FROM cano._timer t"
	" WHERE t.owner = timer.owner ORDER BY t.due_at LIMIT 1)"
	" FROM timer WHERE owner IS NOT NULL",
};

/*
 * What follows a run's end is a job of its own; any other ends with its run.
 * A negative one is careful from now on, but did not crash itself.
 */
static CanoStatement mark_statement = {
	.sql =
	"WITH run AS ("
	"	SELECT FROM cano._run r WHERE r.id = $2"
	"	AND (r.status = 'active' OR EXISTS (SELECT FROM cano._job j"
	"		WHERE j.owner = r.owner AND j.priority = r.priority AND j.id = $1))"
	"	FOR SHARE)"
	" INSERT INTO cano._crash AS c (job, run, crashes, last_at)"
	" SELECT abs($1), $2, CASE WHEN $1 < 0 THEN 0 ELSE 1 END, $3 FROM run"
	" ON CONFLICT (job) DO UPDATE"
	" SET crashes = c.crashes + excluded.crashes, last_at = excluded.last_at",
	.nparameters = 3,
	.types = {INT8OID, INT8OID, TIMESTAMPTZOID},
};

void
cano_scan_request(Oid database)
{
	bool		known = false;

	if (cano_shared == NULL)
		return;
	LWLockAcquire(cano_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < cano_shared->nrequests; i++)
		known |= cano_shared->requests[i] == database;
	if (!known && cano_shared->nrequests < CANO_REQUESTS)
		cano_shared->requests[cano_shared->nrequests++] = database;
	else if (!known)
		cano_shared->scan_all = true;
	cano_launcher_wake();
	LWLockRelease(cano_shared->lock);
}

void
cano_scan_mark(Oid database, int64 job, int64 run)
{
	LWLockAcquire(cano_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < CANO_MARKS; i++)
	{
		CanoMark   *mark = &cano_shared->marks[i];

		if (OidIsValid(mark->database))
			continue;
		mark->database = database;
		mark->job = job;
		mark->run = run;
		break;
	}
	LWLockRelease(cano_shared->lock);
}

bool
cano_scan_has_marks(Oid database)
{
	CanoMark	marks[CANO_MARKS];

	for (int i = copy_marks(marks) - 1; i >= 0; i--)
	{
		if (marks[i].database == database)
			return true;
	}
	return false;
}

void
cano_scan_forget_marks(Oid database)
{
	LWLockAcquire(cano_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < CANO_MARKS; i++)
	{
		if (cano_shared->marks[i].database == database)
			cano_shared->marks[i].database = InvalidOid;
	}
	LWLockRelease(cano_shared->lock);
}

CanoExtensionState
cano_scan_extension(void)
{
	CanoExtensionState state = CANO_EXTENSION_ABSENT;
	const CanoExtension *extension;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	extension = cano_extension();
	if (OidIsValid(extension->oid))
		state = extension->fits ?
			CANO_EXTENSION_FITS : CANO_EXTENSION_OTHER_VERSION;
	PopActiveSnapshot();
	CommitTransactionCommand();
	return state;
}

void
cano_scan_main(Datum arg)
{
	memcpy(&arguments, MyBgworkerEntry->bgw_extra, sizeof(arguments));
	pqsignal(SIGTERM, die);
	on_shmem_exit(exit_callback, (Datum) 0);
	BackgroundWorkerUnblockSignals();
	/* As no role: the bootstrap superuser may not be permitted to log in. */
	BackgroundWorkerInitializeConnectionByOid(arguments.database,
											  InvalidOid, 0);
	pgstat_report_activity(STATE_RUNNING, "cano: looking for work");
	switch (cano_scan_extension())
	{
		case CANO_EXTENSION_FITS:
			serves = true;
			scan_database();
			break;
		case CANO_EXTENSION_OTHER_VERSION:
			leave_alone();
			break;
		case CANO_EXTENSION_ABSENT:
			cano_scan_forget_marks(MyDatabaseId);
			break;
	}
	succeeded = true;
	proc_exit(0);
}

/* However the scan ends, its place becomes free and the launcher knows. */
static void
exit_callback(int code, Datum arg)
{
	CanoScan   *scan = &cano_shared->scans[arguments.scan];

	LWLockAcquire(cano_shared->lock, LW_EXCLUSIVE);
	if (scan->stamp == arguments.stamp)
	{
		scan->succeeded = succeeded;
		scan->serves = serves;
		scan->database = InvalidOid;
	}
	cano_launcher_wake();
	LWLockRelease(cano_shared->lock);
	ConditionVariableBroadcast(&cano_shared->released.cv);
}

/*
 * No worker needs to come here until an update asks for another scan, which
 * finds the marks, too.
 */
static void
leave_alone(void)
{
	cano_lane_forget_database(MyDatabaseId);
	cano_txn_begin();
	PushActiveSnapshot(GetTransactionSnapshot());
	cano_extension_report(LOG);
	PopActiveSnapshot();
	cano_txn_commit(false);
}

static void
scan_database(void)
{
	MemoryContext context = CurrentMemoryContext;
	CanoMark	marks[CANO_MARKS];
	int			nmarks = copy_marks(marks);
	Owner	   *owners;
	int			nowners;
	CanoWindow	window;
	bool		complete = true;

	for (int i = 0; i < nmarks; i++)
	{
		if (marks[i].database == MyDatabaseId)
			write_mark(&marks[i]);
	}
	cano_txn_begin();
	PushActiveSnapshot(GetTransactionSnapshot());
	cano_window_open(&window);
	owners = read_owners(context, &nowners);
	cano_window_close(&window);
	PopActiveSnapshot();

	/* Work of a role that was dropped can never run. */
	for (int i = 0; i < nowners; i++)
	{
		if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(owners[i].role)))
			owners[i].due_at = DT_NOEND;
	}
	cano_txn_commit(false);

	for (int i = 0; i < nowners; i++)
		complete &= cano_lane_note(MyDatabaseId, owners[i].role,
								   owners[i].due_at, CANO_FIRST_PLACE);
	if (!complete)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("more than %d roles and databases have work for cano",
						CANO_LANES),
				 errdetail("The rest is looked at again later.")));
}

/*
 * Each in a transaction of its own: it locks the run, and those who end runs
 * lock several in the order of their ids.
 */
static void
write_mark(const CanoMark *mark)
{
	Datum		values[] = {
		Int64GetDatum(mark->job),
		Int64GetDatum(mark->run),
		TimestampTzGetDatum(cano_now())
	};
	CanoWindow	window;

	cano_txn_begin();
	PushActiveSnapshot(GetTransactionSnapshot());
	cano_window_open(&window);
	cano_statement_run(&mark_statement, values, NULL, SPI_OK_INSERT);
	cano_window_close(&window);
	PopActiveSnapshot();
	cano_txn_commit(false);
	forget_mark(mark);
}

static Owner *
read_owners(MemoryContext context, int *nowners)
{
	Owner	   *owners;
	uint64		count;

	count = cano_statement_run(&owners_statement, NULL, NULL, SPI_OK_SELECT);
	owners = MemoryContextAlloc(context, sizeof(Owner) * Max(count, 1));
	for (uint64 i = 0; i < count; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;

		owners[i].role = DatumGetObjectId(SPI_getbinval(tuple, desc, 1,
														&isnull));
		owners[i].due_at = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 2,
															 &isnull));
		if (isnull)
			owners[i].due_at = DT_NOEND;
	}
	*nowners = (int) count;
	return owners;
}

static int
copy_marks(CanoMark *marks)
{
	int			nmarks = 0;

	LWLockAcquire(cano_shared->lock, LW_SHARED);
	for (int i = 0; i < CANO_MARKS; i++)
	{
		if (OidIsValid(cano_shared->marks[i].database))
			marks[nmarks++] = cano_shared->marks[i];
	}
	LWLockRelease(cano_shared->lock);
	return nmarks;
}

static void
forget_mark(const CanoMark *mark)
{
	LWLockAcquire(cano_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < CANO_MARKS; i++)
	{
		CanoMark   *other = &cano_shared->marks[i];

		if (other->database == mark->database && other->job == mark->job &&
			other->run == mark->run)
		{
			other->database = InvalidOid;
			break;
		}
	}
	LWLockRelease(cano_shared->lock);
}
