/*-------------------------------------------------------------------------
 *
 * hold.c
 *	  Keeping workers out of a database for the time of a statement.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/wait_event.h"

#include "debug.h"
#include "hold.h"
#include "launcher.h"
#include "shared.h"

#define HOLD_LIMIT		(60 * USECS_PER_SEC)
#define HOLD_WAIT_MS	5000

void
cano_hold_begin(Oid database)
{
	TimestampTz end;

	if (cano_shared == NULL)
		return;
	LWLockAcquire(cano_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < CANO_HOLDS; i++)
	{
		CanoHold   *hold = &cano_shared->holds[i];

		if (OidIsValid(hold->database) && hold->until > cano_now())
			continue;
		hold->database = database;
		hold->pid = MyProcPid;
		hold->until = cano_now() + HOLD_LIMIT;
		break;
	}
	LWLockRelease(cano_shared->lock);

	end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), HOLD_WAIT_MS);
	ConditionVariablePrepareToSleep(&cano_shared->released.cv);
	while (cano_slot_ask_database(database) > 0)
	{
		long		rest =
			TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end);

		if (rest <= 0)
			break;
		(void) ConditionVariableTimedSleep(&cano_shared->released.cv, rest,
										   PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
}

void
cano_hold_end(Oid database)
{
	if (cano_shared == NULL)
		return;
	LWLockAcquire(cano_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < CANO_HOLDS; i++)
	{
		CanoHold   *hold = &cano_shared->holds[i];

		if (hold->database == database && hold->pid == MyProcPid)
			hold->database = InvalidOid;
	}
	cano_launcher_wake();
	LWLockRelease(cano_shared->lock);
}

bool
cano_hold_is_on(Oid database, TimestampTz now)
{
	for (int i = 0; i < CANO_HOLDS; i++)
	{
		CanoHold   *hold = &cano_shared->holds[i];

		if (hold->database != database)
			continue;
		if (hold->until > now)
		{
			cano_launcher_be_back(hold->until);
			return true;
		}
		hold->database = InvalidOid;
	}
	return false;
}
