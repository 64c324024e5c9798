/*-------------------------------------------------------------------------
 *
 * txn.c
 *	  How a batch begins, commits and aborts: as a worker or in a session.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "txn.h"

/*
 * Other sessions know the subtransactions of a transaction by heart up to
 * PGPROC_MAX_CACHED_SUBXIDS; one task may need a few.
 */
#define MAX_SUBXIDS		(PGPROC_MAX_CACHED_SUBXIDS - 8)

static void keep_books(void);

static bool in_session = false;

/* A session's own surroundings while a batch is a subtransaction of it. */
static MemoryContext session_context;
static ResourceOwner session_owner;

void
cano_txn_set_session(bool session)
{
	in_session = session;
}

bool
cano_txn_is_session(void)
{
	return in_session;
}

void
cano_txn_begin(void)
{
	if (!in_session)
	{
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		keep_books();
		return;
	}
	keep_books();
	session_context = CurrentMemoryContext;
	session_owner = CurrentResourceOwner;
	BeginInternalSubTransaction(NULL);
}

bool
cano_txn_is_wanted(void)
{
	TransactionId xid = GetTopTransactionIdIfAny();
	LOCKTAG		tag;

	if (!TransactionIdIsValid(xid))
		return false;
	if (MyProc->subxidStatus.count >= MAX_SUBXIDS)
		return true;
	SET_LOCKTAG_TRANSACTION(tag, xid);
	return LockHasWaiters(&tag, ExclusiveLock, false);
}

/*
 * The role's defaults are for its tasks; a transaction that keeps books must
 * be able to write, and to see what others committed.
 */
static void
keep_books(void)
{
	if (!FirstSnapshotSet)
	{
		XactIsoLevel = XACT_READ_COMMITTED;
		XactDeferrable = false;
	}
	XactReadOnly = false;
}

void
cano_txn_commit(bool async)
{
	if (in_session)
	{
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(session_context);
		CurrentResourceOwner = session_owner;
	}
	if (async)
		(void) set_config_option("synchronous_commit", "off",
								 PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_LOCAL, true, 0, false);
	if (in_session)
		SPI_commit();
	else
	{
		CommitTransactionCommand();
		pgstat_report_stat(true);
	}
}

void
cano_txn_abort(void)
{
	if (!in_session)
	{
		AbortOutOfAnyTransaction();
		return;
	}

	cano_txn_unwind();
	SPI_rollback();
}

/*
 * A failed commit has already ended them.
 */
void
cano_txn_unwind(void)
{
	while (GetCurrentTransactionNestLevel() > 1)
		RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(session_context);
	CurrentResourceOwner = session_owner;
}

/*
 * A task may raise the same SQLSTATE; the server says where it did.
 */
bool
cano_txn_was_cancelled(const ErrorData *edata)
{
	return edata->sqlerrcode == ERRCODE_QUERY_CANCELED &&
		edata->funcname != NULL &&
		strcmp(edata->funcname, "ProcessInterrupts") == 0;
}
