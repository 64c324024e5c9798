/*-------------------------------------------------------------------------
 *
 * pause.c
 *	  Paused workflows: nothing new is begun of their runs.
 *
 * Whoever pauses a workflow touches no job of it.  A worker that comes upon
 * one parks it out of the queue, once, and cano.unpause() brings them all back.
 * What ends a run goes on: cancellations, time-outs, rollbacks, and what is
 * called after the end.
 *
 * Which workflows are paused every process remembers until a message comes
 * that this has changed, as if their table had: who begins a transaction after
 * the pause was committed knows of it.  Parking and unpausing meet at a lock
 * of the workflow, so that nothing is parked that nobody brings back.  Workers
 * do not wait for it: what they cannot be sure of they look at again soon.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "debug.h"
#include "definition.h"
#include "pause.h"
#include "shmem.h"
#include "store_definition.h"
#include "store_pause.h"
#include "window.h"

/* Sets these locks apart from those of pg_advisory_lock(). */
#define PAUSE_CLASS		0xCA3

/* How soon to look again at what could not be parked for good. */
#define LOOK_AGAIN_MS	200

static char *workflow_argument(FunctionCallInfo fcinfo);
static void lock_workflow(const char *workflow, Oid user);
static void remember(void);
static void table_changed(Datum arg, Oid relid);
static bool is_remembered(const char *workflow);
static int	compare_names(const void *a, const void *b);
static bool stays_paused(const char *workflow);
static LOCKTAG tag_of(const char *workflow);

PG_FUNCTION_INFO_V1(cano_pause);
PG_FUNCTION_INFO_V1(cano_unpause);

/* The paused workflows of one installation of the extension, sorted. */
static char **paused = NULL;
static int	npaused = 0;
static bool known = false;
static Oid	known_extension = InvalidOid;
static Oid	table = InvalidOid;
static MemoryContext context = NULL;

/*
 * cano.pause(workflow text) RETURNS void
 *
 * What clients were offered is theirs no longer; what they have taken is.
 */
Datum
cano_pause(PG_FUNCTION_ARGS)
{
	char	   *workflow = workflow_argument(fcinfo);
	Oid			user = GetUserId();
	CanoWindow	window;

	cano_window_refuse_restricted("cano.pause");
	cano_window_open(&window);
	lock_workflow(workflow, user);
	cano_store_pause(workflow, true);
	cano_store_park_work(workflow);
	cano_window_close(&window);
	PG_RETURN_VOID();
}

/*
 * cano.unpause(workflow text) RETURNS void
 */
Datum
cano_unpause(PG_FUNCTION_ARGS)
{
	char	   *workflow = workflow_argument(fcinfo);
	TimestampTz now = cano_now();
	Oid			user = GetUserId();
	LOCKTAG		tag = tag_of(workflow);
	CanoWindow	window;
	int			nowners;

	cano_window_refuse_restricted("cano.unpause");
	cano_window_open(&window);
	lock_workflow(workflow, user);
	/* Those who are parking have committed when this is granted. */
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	cano_store_pause(workflow, false);
	cano_store_unpark_work(workflow);
	nowners = cano_store_unpark(workflow);
	for (int i = 0; i < nowners; i++)
	{
		CanoPlace	place;
		Oid			owner = cano_column_place(i, &place);

		cano_wake_at_commit(owner, now, place);
	}
	cano_window_close(&window);
	PG_RETURN_VOID();
}

/*
 * Of one that exists: workflows do not go.
 */
static char *
workflow_argument(FunctionCallInfo fcinfo)
{
	char	   *workflow = cano_definition_argument(fcinfo);

	(void) cano_definition_find(workflow, 0);
	return workflow;
}

/*
 * Against others who pause, unpause or define it.  The message that lets all
 * processes ask again is that of a changed table.
 */
static void
lock_workflow(const char *workflow, Oid user)
{
	Oid			relid = get_relname_relid("_workflow", cano_extension()->schema);
	CanoWorkflowRow row;

	if (!cano_store_definition_lock_existing(workflow, &row))
		elog(ERROR, "workflow \"%s\" does not exist", workflow);
	cano_definition_check_owner(workflow, &row, user);
	if (!OidIsValid(relid))
		elog(ERROR, "table of workflows does not exist");
	CacheInvalidateRelcacheByRelid(relid);
}

bool
cano_pause_holds(const CanoRun *run, TimestampTz now)
{
	if (!known || known_extension != cano_extension()->oid)
		remember();
	return npaused > 0 && is_remembered(run->definition->workflow) &&
		!run->stop && now < cano_run_deadline(run);
}

/*
 * When the table changes while it is read, it is read again before the next
 * step.
 */
static void
remember(void)
{
	MemoryContext caller = CurrentMemoryContext;
	CanoWindow	window;

	if (context == NULL)
	{
		context = AllocSetContextCreate(TopMemoryContext, "cano paused",
										ALLOCSET_SMALL_SIZES);
		CacheRegisterRelcacheCallback(table_changed, (Datum) 0);
	}
	npaused = 0;
	MemoryContextReset(context);
	table = get_relname_relid("_workflow", cano_extension()->schema);
	known_extension = cano_extension()->oid;
	known = true;
	cano_window_open(&window);
	npaused = cano_store_paused(context, &paused);
	cano_window_close(&window);
	MemoryContextSwitchTo(caller);
	qsort(paused, npaused, sizeof(char *), compare_names);
}

static void
table_changed(Datum arg, Oid relid)
{
	if (relid == table || !OidIsValid(relid))
		known = false;
}

static bool
is_remembered(const char *workflow)
{
	return bsearch(&workflow, paused, npaused, sizeof(char *),
				   compare_names) != NULL;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

void
cano_pause_settle(CanoSettlement *settlement)
{
	TimestampTz soon = TimestampTzPlusMilliseconds(settlement->now,
												   LOOK_AGAIN_MS);
	const char *latest = NULL;
	bool		stays = false;

	for (int i = 0; settlement->parks && i < settlement->timers.nrows; i++)
	{
		const char *workflow = cano_store_parked(settlement, i);

		if (workflow == NULL)
			continue;
		if (latest == NULL || strcmp(workflow, latest) != 0)
			stays = stays_paused(workflow);
		latest = workflow;
		if (stays)
			continue;
		cano_store_look_again(settlement, i, soon);
		cano_wake_at_commit(settlement->owner, soon, CANO_NO_PLACE);
	}
}

/*
 * Will whoever unpauses it wait for this transaction, and see what it parked?
 */
static bool
stays_paused(const char *workflow)
{
	LOCKTAG		tag = tag_of(workflow);

	return LockAcquire(&tag, ShareLock, false, true) != LOCKACQUIRE_NOT_AVAIL &&
		cano_store_is_paused(workflow);
}

static LOCKTAG
tag_of(const char *workflow)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) workflow,
										   strlen(workflow), 0);
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (hash >> 32),
						 (uint32) hash, PAUSE_CLASS);
	return tag;
}
