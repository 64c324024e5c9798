/*-------------------------------------------------------------------------
 *
 * worker.c
 *	  A background worker that runs what is due for one role in one database.
 *
 * It is connected as that role and never becomes anybody else.  It looks,
 * works, and when nothing is due it waits on its latch: for somebody's commit,
 * or for the launcher, who watches the clock for all.  It leaves when it has
 * been idle for long, when it is asked to, and when it cannot work.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

#include "batch.h"
#include "guc.h"
#include "scan.h"
#include "shared.h"
#include "shmem.h"
#include "worker.h"

#define LONGEST_LIFE_MS		(60.0 * 60 * 1000)
#define MOST_ERRORS			5	/* in a row, then the worker gives up */
#define FIRST_PAUSE_MS		100

static void connect_as(const CanoWorkerArguments *arguments);
static void fix_setting(const char *name, const char *value);
static bool serves(void);
static void work(void);
static bool run_batch(CanoBatchResult *result);
static void report_error(MemoryContext context);
static void pause_after_error(int errors);
static bool wait_for_work(void);
static bool must_leave(void);
static double elapsed_ms(instr_time since);

StaticAssertDecl(sizeof(CanoWorkerArguments) <= BGW_EXTRALEN,
				 "a worker's arguments must fit into bgw_extra");

void
cano_worker_main(Datum arg)
{
	CanoWorkerArguments arguments;

	memcpy(&arguments, MyBgworkerEntry->bgw_extra, sizeof(arguments));
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	connect_as(&arguments);
	if (!cano_slot_attach_worker(arguments.slot, arguments.stamp))
		proc_exit(0);
	if (serves())
		work();
	cano_shared->slots[cano_my_slot].failed = false;
	proc_exit(0);
}

/*
 * Connect, and undo what the role's and the database's defaults must not
 * decide for us.  What a user may decide for his tasks stays.
 */
static void
connect_as(const CanoWorkerArguments *arguments)
{
	BackgroundWorkerInitializeConnectionByOid(arguments->database,
											  arguments->role, 0);
	StartTransactionCommand();
	if (GetUserId() != arguments->role)
		fix_setting("role", "none");
	if (GetUserId() != arguments->role)
		ereport(FATAL,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("could not become role with OID %u",
						arguments->role)));
	fix_setting("default_transaction_isolation", "read committed");
	fix_setting("default_transaction_read_only", "off");
	fix_setting("default_transaction_deferrable", "off");
	fix_setting("transaction_timeout", "0");
	fix_setting("idle_in_transaction_session_timeout", "0");
	fix_setting("idle_session_timeout", "0");
	fix_setting("exit_on_error", "off");
	fix_setting("application_name", "cano worker");
	CommitTransactionCommand();
}

/* Settings that this major does not know need no fixing. */
static void
fix_setting(const char *name, const char *value)
{
	if (GetConfigOption(name, true, false) != NULL)
		SetConfigOption(name, value, PGC_USERSET, PGC_S_SESSION);
}

/*
 * Is there an engine to run here?  If not, nobody needs to ask again soon; a
 * scan says so, once for all roles.
 */
static bool
serves(void)
{
	CanoExtensionState state = cano_scan_extension();

	if (state == CANO_EXTENSION_FITS)
		return true;
	if (state == CANO_EXTENSION_OTHER_VERSION)
		cano_scan_request(MyDatabaseId);
	if (cano_lane_rest(DT_NOEND))
		cano_lane_leave();
	return false;
}

static void
work(void)
{
	CanoBatchResult result;
	instr_time	born;
	int			errors = 0;

	INSTR_TIME_SET_CURRENT(born);
	while (!must_leave())
	{
		cano_lane_look();
		pgstat_report_activity(STATE_RUNNING, "cano: running what is due");
		if (!run_batch(&result))
		{
			if (++errors >= MOST_ERRORS)
			{
				cano_shared->slots[cano_my_slot].failed = true;
				proc_exit(1);
			}
			if (!serves())
				return;
			pause_after_error(errors);
			continue;
		}
		errors = 0;
		cano_lane_succeed();
		pgstat_report_stat(result.idle);
		if (elapsed_ms(born) > LONGEST_LIFE_MS)
			return;
		if (!result.idle || !cano_lane_rest(result.next_due))
			continue;
		pgstat_report_activity(STATE_IDLE, NULL);
		if (!wait_for_work())
			return;
	}
	/* Asked to leave: whoever rests takes no work along. */
	cano_lane_leave();
}

/*
 * The outermost handler of the process: the batch deals with the errors of
 * tasks itself; what gets here is trouble of the engine or of the server.
 */
static bool
run_batch(CanoBatchResult *result)
{
	MemoryContext context = CurrentMemoryContext;
	bool volatile ok = true;

	memset(result, 0, sizeof(CanoBatchResult));
	PG_TRY();
	{
		cano_batch_run(0, 0, result);
	}
	PG_CATCH();
	{
		report_error(context);
		ok = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	return ok;
}

static void
report_error(MemoryContext context)
{
	HOLD_INTERRUPTS();
	EmitErrorReport();
	AbortOutOfAnyTransaction();
	MemoryContextSwitchTo(context);
	FlushErrorState();
	cano_slot_end();
	RESUME_INTERRUPTS();
}

static void
pause_after_error(int errors)
{
	instr_time	start;
	double		pause = FIRST_PAUSE_MS << errors;
	double		rest = pause;

	INSTR_TIME_SET_CURRENT(start);
	while (rest > 0 && !must_leave())
	{
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 (long) rest + 1, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		rest = pause - elapsed_ms(start);
	}
}

/*
 * Wait until somebody chooses this worker.  False when it has been idle for
 * too long, and then it has left its lane already.
 */
static bool
wait_for_work(void)
{
	instr_time	start;

	INSTR_TIME_SET_CURRENT(start);
	while (cano_lane_resting() && !must_leave())
	{
		double		rest = cano_idle_timeout - elapsed_ms(start);

		if (rest <= 0 && cano_lane_leave())
			return false;
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 rest > 0 ? (long) rest + 1 : 0, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
	return true;
}

/*
 * Serve interrupts and say whether to leave.  A cancel request that finds us
 * between batches has nothing to cancel.
 */
static bool
must_leave(void)
{
	QueryCancelPending = false;
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
	return !cano_enabled || cano_shared->slots[cano_my_slot].leave;
}

static double
elapsed_ms(instr_time since)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, since);
	return INSTR_TIME_GET_MILLISEC(now);
}
