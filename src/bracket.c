/*-------------------------------------------------------------------------
 *
 * bracket.c
 *	  What stands around every call of a user's function.
 *
 * A subtransaction, and a nest level for settings; what neither of them
 * undoes is scrubbed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timeout.h"

#include "bracket.h"
#include "call.h"
#include "scrub.h"
#include "txn.h"

static void stay_who_we_are(CanoBracket *bracket);

void
cano_bracket_open(CanoBracket *bracket, bool holding)
{
	bracket->context = CurrentMemoryContext;
	bracket->owner = CurrentResourceOwner;
	bracket->lock_timer = get_timeout_finish_time(LOCK_TIMEOUT);
	bracket->lock_timeout = LockTimeout;
	bracket->guc_level = NewGUCNestLevel();

	if (!cano_txn_is_session())
		SetCurrentStatementStartTimestamp();
	cano_call_mark();
	BeginInternalSubTransaction(NULL);
	bracket->open = true;
	MemoryContextSwitchTo(bracket->context);
	stay_who_we_are(bracket);
	if (holding)
		LockTimeout = 1;
}

/*
 * In a session that belongs to somebody else (after SET ROLE or SET SESSION
 * AUTHORIZATION) a task must not be able to go back to him.  The abort of the
 * subtransaction undoes this, too.
 */
static void
stay_who_we_are(CanoBracket *bracket)
{
	GetUserIdAndSecContext(&bracket->userid, &bracket->sec_context);
	if (bracket->userid != GetSessionUserId() ||
		bracket->userid != GetAuthenticatedUserId())
		SetUserIdAndSecContext(bracket->userid,
							   bracket->sec_context |
							   SECURITY_LOCAL_USERID_CHANGE);
}

/*
 * Others have a say in it: a foreign server may be gone.
 */
void
cano_bracket_keep(CanoBracket *bracket)
{
	cano_scrub_close();
	SetUserIdAndSecContext(bracket->userid, bracket->sec_context);
	ReleaseCurrentSubTransaction();
	bracket->open = false;
}

/*
 * The timer runs only while a lock is waited for.
 */
bool
cano_bracket_waited(const CanoBracket *bracket)
{
	TimestampTz after = get_timeout_finish_time(LOCK_TIMEOUT);

	return after != bracket->lock_timer && after <= GetCurrentTimestamp();
}

bool
cano_bracket_close(const CanoBracket *bracket)
{
	bool		clean;

	if (bracket->open)
		RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(bracket->context);
	CurrentResourceOwner = bracket->owner;
	clean = cano_scrub_end();

	/*
	 * The lock timer may have run out at the moment when the lock was
	 * granted, and its interruption be pending: it is not for whoever comes
	 * next.
	 */
	if (get_timeout_indicator(LOCK_TIMEOUT, true))
		QueryCancelPending = false;
	AtEOXact_GUC(false, bracket->guc_level);
	LockTimeout = bracket->lock_timeout;
	return clean;
}
