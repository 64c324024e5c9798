/*-------------------------------------------------------------------------
 *
 * scrub.c
 *	  After a task its session is as it was before.
 *
 * What a rolled back subtransaction undoes needs no care; this is about the
 * rest, and about what a successful task leaves.  A worker's session is empty
 * before each task, so everything that is there afterwards goes.  A user's
 * session (CALL cano.work) has things of its own: what was there is noted
 * before the task, and only the difference goes.  There the sequence caches
 * and the random seed are left alone, because the user's cannot be told from
 * the task's, and a session advisory lock that the user's session holds
 * already and the task takes once more stays taken once more.
 *
 * Statements that cannot be undone by looking (PREPARE, SET CONSTRAINTS) or
 * not at all (LISTEN) are watched while a task runs.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_namespace.h"
#include "commands/prepare.h"
#include "commands/sequence.h"
#include "common/pg_prng.h"
#include "libpq/be-fsstubs.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "tcop/utility.h"
#include "utils/elog.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/rel.h"

#include "compat.h"
#include "scrub.h"
#include "txn.h"

/* A session advisory lock. */
typedef struct HeldLock
{
	LOCKTAG		tag;
	LOCKMASK	modes;
} HeldLock;

static void watch_utility(PlannedStmt *pstmt, const char *queryString,
						  bool readOnlyTree, ProcessUtilityContext context,
						  ParamListInfo params, QueryEnvironment *queryEnv,
						  DestReceiver *dest, QueryCompletion *qc);
static void watch(Node *statement, ProcessUtilityContext context);
static List *open_portals(MemoryContext parent);
static MemoryContext portal_memory(void);
static void close_portals(SubTransactionId subtransaction);
static List *temporary_objects(void);
static void drop_temporary_objects(void);
static bool is_listed(const ObjectAddress *object, const List *list);
static List *held_locks(void);
static void release_locks(void);
static void release_lock(const LOCKTAG *tag, LOCKMODE mode);
static void drop_prepared(void);

static ProcessUtility_hook_type previous_utility_hook;

/* Between begin and end; an error may leave it set, see watch_utility(). */
static bool task_runs = false;
static bool constraints_set = false;

/* How the session was before the task, and what it did; all in this context. */
static MemoryContext memory = NULL;
static List *objects_before;	/* ObjectAddress */
static List *locks_before;		/* HeldLock; in a session only */
static List *prepared;			/* names that the task prepared */

void
cano_scrub_init(void)
{
	previous_utility_hook = ProcessUtility_hook;
	ProcessUtility_hook = watch_utility;
}

void
cano_scrub_begin(void)
{
	MemoryContext oldcontext;

	if (memory == NULL)
		memory = AllocSetContextCreate(TopMemoryContext, "cano scrub",
									   ALLOCSET_SMALL_SIZES);
	else
		MemoryContextReset(memory);

	oldcontext = MemoryContextSwitchTo(memory);
	prepared = NIL;
	objects_before = temporary_objects();
	locks_before = cano_txn_is_session() ? held_locks() : NIL;
	MemoryContextSwitchTo(oldcontext);

	constraints_set = false;
	task_runs = true;
}

void
cano_scrub_close(void)
{
	SubTransactionId subtransaction = GetCurrentSubTransactionId();
	MemoryContext oldcontext = MemoryContextSwitchTo(memory);

	close_portals(subtransaction);
	AtEOSubXact_LargeObject(false, subtransaction, InvalidSubTransactionId);
	MemoryContextSwitchTo(oldcontext);
}

bool
cano_scrub_end(void)
{
	MemoryContext oldcontext;

	if (!task_runs)
		return true;
	task_runs = false;

	oldcontext = MemoryContextSwitchTo(memory);
	HOLD_INTERRUPTS();
	drop_prepared();
	drop_temporary_objects();
	release_locks();
	RESUME_INTERRUPTS();
	MemoryContextSwitchTo(oldcontext);

	if (!cano_txn_is_session())
	{
		double		seed = 2.0 * pg_prng_double(&pg_global_prng_state) - 1.0;

		ResetSequenceCaches();
		(void) DirectFunctionCall1(setseed, Float8GetDatum(seed));
	}
	return !constraints_set;
}

static void
watch_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
			  ProcessUtilityContext context, ParamListInfo params,
			  QueryEnvironment *queryEnv, DestReceiver *dest,
			  QueryCompletion *qc)
{
	/* What the client itself sends is not a task's, whatever went wrong. */
	if (context == PROCESS_UTILITY_TOPLEVEL)
		task_runs = false;
	else if (task_runs)
		watch(pstmt->utilityStmt, context);

	if (previous_utility_hook)
		previous_utility_hook(pstmt, queryString, readOnlyTree, context,
							  params, queryEnv, dest, qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context,
								params, queryEnv, dest, qc);
}

static void
watch(Node *statement, ProcessUtilityContext context)
{
	switch (nodeTag(statement))
	{
		case T_ConstraintsSetStmt:
			constraints_set = true;
			break;
		case T_PrepareStmt:
			{
				MemoryContext oldcontext = MemoryContextSwitchTo(memory);

				prepared = lappend(prepared,
								   pstrdup(((PrepareStmt *) statement)->name));
				MemoryContextSwitchTo(oldcontext);
			}
			break;
		case T_ListenStmt:
		case T_UnlistenStmt:
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot execute %s within a task",
							IsA(statement, ListenStmt) ? "LISTEN" : "UNLISTEN")));
			break;
		default:
			break;
	}
}

/*
 * The names of all portals.  Their hash table is private to portalmem.c, but
 * each has a memory context below one that holds them all, and that bears its
 * name.
 */
static List *
open_portals(MemoryContext parent)
{
	List	   *names = NIL;

	for (MemoryContext child = parent->firstchild; child != NULL;
		 child = child->nextchild)
		if (child->ident != NULL)
			names = lappend(names, pstrdup(child->ident));
	return names;
}

static MemoryContext
portal_memory(void)
{
	static MemoryContext found = NULL;	/* lives as long as the process */

	if (found == NULL)
		for (MemoryContext child = TopMemoryContext->firstchild;
			 child != NULL && found == NULL; child = child->nextchild)
			if (strcmp(child->name, "TopPortalContext") == 0)
				found = child;
	return found;
}

/*
 * Told by where they were opened, not by name: a task may close a cursor of
 * its session and open another one of that name.
 */
static void
close_portals(SubTransactionId subtransaction)
{
	MemoryContext parent = portal_memory();
	ListCell   *cell;

	if (parent == NULL || parent->firstchild == NULL)
		return;
	foreach(cell, open_portals(parent))
	{
		Portal		portal = GetPortalByName(lfirst(cell));

		if (portal != NULL && portal->createSubid == subtransaction &&
			!portal->portalPinned && portal->status != PORTAL_ACTIVE)
			PortalDrop(portal, false);
	}
}

/*
 * What depends on this session's temporary schema.
 */
static List *
temporary_objects(void)
{
	List	   *objects = NIL;
	Oid			namespace;
	Oid			toast;
	Relation	depend;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	GetTempNamespaceState(&namespace, &toast);
	if (!OidIsValid(namespace))
		return NIL;

	depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(NamespaceRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(namespace));
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, 2,
							  keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);
		ObjectAddress *object = palloc(sizeof(ObjectAddress));

		ObjectAddressSet(*object, form->classid, form->objid);
		objects = lappend(objects, object);
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return objects;
}

/* No cursor of the task is reading them any more. */
static void
drop_temporary_objects(void)
{
	ObjectAddresses *made = NULL;
	ListCell   *cell;

	foreach(cell, temporary_objects())
	{
		const ObjectAddress *object = lfirst(cell);

		if (is_listed(object, objects_before))
			continue;
		if (made == NULL)
			made = new_object_addresses();
		add_exact_object_address(object, made);
	}
	if (made == NULL)
		return;
	performMultipleDeletions(made, DROP_CASCADE,
							 PERFORM_DELETION_INTERNAL |
							 PERFORM_DELETION_QUIETLY);
	free_object_addresses(made);
	CommandCounterIncrement();
}

static bool
is_listed(const ObjectAddress *object, const List *list)
{
	ListCell   *cell;

	foreach(cell, list)
	{
		const ObjectAddress *other = lfirst(cell);

		if (other->classId == object->classId &&
			other->objectId == object->objectId)
			return true;
	}
	return false;
}

/*
 * The advisory locks that this process holds, of sessions and transactions.
 */
static List *
held_locks(void)
{
	LockData   *data = GetLockStatusData();
	List	   *locks = NIL;

	for (int i = 0; i < data->nelements; i++)
	{
		const LockInstanceData *instance = &data->locks[i];
		HeldLock   *lock;

		if (instance->pid != MyProcPid || instance->holdMask == 0 ||
			instance->locktag.locktag_lockmethodid != USER_LOCKMETHOD)
			continue;
		lock = palloc(sizeof(HeldLock));
		lock->tag = instance->locktag;
		lock->modes = instance->holdMask;
		locks = lappend(locks, lock);
	}
	return locks;
}

static void
release_locks(void)
{
	ListCell   *cell;

	/* Not those of the transaction: they protect what it does till its end. */
	if (!cano_txn_is_session())
	{
		LockReleaseSession(USER_LOCKMETHOD);
		return;
	}

	foreach(cell, held_locks())
	{
		HeldLock   *lock = lfirst(cell);
		LOCKMASK	modes = lock->modes;
		ListCell   *other;

		foreach(other, locks_before)
		{
			const HeldLock *before = lfirst(other);

			if (memcmp(&before->tag, &lock->tag, sizeof(LOCKTAG)) == 0)
				modes &= ~before->modes;
		}
		for (LOCKMODE mode = 1; mode <= MaxLockMode; mode++)
			if (modes & LOCKBIT_ON(mode))
				release_lock(&lock->tag, mode);
	}
}

/*
 * As often as the session took it.  There is no way to ask whether a lock is
 * the session's or the transaction's, only to try and be told by a warning,
 * which nobody needs to see.
 */
static void
release_lock(const LOCKTAG *tag, LOCKMODE mode)
{
	int			client_level = client_min_messages;
	int			log_level = cano_log_min_messages;

	client_min_messages = ERROR;
	cano_log_min_messages = ERROR;
	while (LockRelease(tag, mode, true))
		 /* again */ ;
	client_min_messages = client_level;
	cano_log_min_messages = log_level;
}

static void
drop_prepared(void)
{
	ListCell   *cell;

	if (!cano_txn_is_session())
		DropAllPreparedStatements();
	else
		foreach(cell, prepared)
			DropPreparedStatement(lfirst(cell), false);
}
