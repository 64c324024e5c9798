/*-------------------------------------------------------------------------
 *
 * debug.c
 *	  Named stop points and a clock that tests can move.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "storage/lock.h"

#include "debug.h"
#include "guc.h"

#ifdef CANO_DEBUG_POINTS
static void act(const char *action, const char *name);

/* Tests hold this advisory lock to hold the engine at a point. */
#define GATE_CLASS	779
#define GATE_KEY	1

/*
 * The setting is point:action[:n].
 */
void
cano_debug_point(const char *name)
{
	static char *counted = NULL;	/* the setting that passages counts for */
	static int	passages = 0;
	size_t		length = strlen(name);
	char		action[16];
	int			only = 0;

	if (cano_debug_stop == NULL || cano_debug_stop[0] == '\0' ||
		strncmp(cano_debug_stop, name, length) != 0 ||
		cano_debug_stop[length] != ':')
		return;
	if (counted == NULL || strcmp(counted, cano_debug_stop) != 0)
	{
		if (counted != NULL)
			free(counted);
		counted = strdup(cano_debug_stop);
		passages = 0;
	}
	passages++;
	if (sscanf(cano_debug_stop + length + 1, "%15[a-z]:%d", action, &only) == 2 &&
		passages != only)
		return;
	act(action, name);
}

static void
act(const char *action, const char *name)
{
	LOCKTAG		gate;

	if (strcmp(action, "error") == 0)
		elog(ERROR, "stopped at %s", name);
	else if (strcmp(action, "fatal") == 0)
		elog(FATAL, "stopped at %s", name);
	else if (strcmp(action, "kill") == 0)
		kill(MyProcPid, SIGKILL);
	else if (strcmp(action, "wait") == 0)
	{
		SET_LOCKTAG_ADVISORY(gate, MyDatabaseId, GATE_CLASS, GATE_KEY, 2);
		(void) LockAcquire(&gate, ShareLock, true, false);
		LockRelease(&gate, ShareLock, true);
	}
}
#endif

TimestampTz
cano_now(void)
{
	TimestampTz now = GetCurrentTimestamp();

#ifdef CANO_DEBUG_POINTS
	now += (int64) cano_debug_clock * 1000;
#endif
	return now;
}
