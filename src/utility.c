/*-------------------------------------------------------------------------
 *
 * utility.c
 *	  Utility statements of others that concern the engine.
 *
 * A connected worker would make some statements about its database wait and
 * fail: workers leave for the time of these.  COMMIT PREPARED makes work
 * visible that nobody was told of.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/acl.h"

#include "compat.h"
#include "hold.h"
#include "metrics.h"
#include "observer.h"
#include "scan.h"
#include "shared.h"
#include "shmem.h"
#include "utility.h"

PG_FUNCTION_INFO_V1(cano_look);

static void process_utility(PlannedStmt *pstmt, const char *queryString,
							bool readOnlyTree, ProcessUtilityContext context,
							ParamListInfo params, QueryEnvironment *queryEnv,
							DestReceiver *dest, QueryCompletion *qc);
static Oid	database_to_clear(Node *statement);
static const char *template_of(const CreatedbStmt *statement);
static const char *moved_database(const AlterDatabaseStmt *statement);
static void note_extension(const Node *statement);
static void register_callback(void);
static void transaction_ended(XactEvent event, void *arg);

static ProcessUtility_hook_type previous_hook = NULL;

/* The current transaction drops or updates the extension. */
static bool extension_touched = false;
static bool callback_registered = false;

/* Somebody asked for a look into this database. */
static bool look_wanted = false;

void
cano_utility_init(void)
{
	previous_hook = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}

static void
process_utility(PlannedStmt *pstmt, const char *queryString,
				bool readOnlyTree, ProcessUtilityContext context,
				ParamListInfo params, QueryEnvironment *queryEnv,
				DestReceiver *dest, QueryCompletion *qc)
{
	ProcessUtility_hook_type next = previous_hook ? previous_hook :
		standard_ProcessUtility;
	Node	   *statement = pstmt->utilityStmt;
	NodeTag		tag = nodeTag(statement);
	Oid			database = InvalidOid;
	bool		commits_prepared = false;

	/* The tree may be gone after the statement: look at it now. */
	if (cano_shared)
	{
		commits_prepared = tag == T_TransactionStmt &&
			((TransactionStmt *) statement)->kind == TRANS_STMT_COMMIT_PREPARED;
		database = database_to_clear(statement);
		note_extension(statement);
	}

	if (OidIsValid(database))
	{
		PG_TRY();
		{
			cano_hold_begin(database);
			next(pstmt, queryString, readOnlyTree, context, params, queryEnv,
				 dest, qc);
			if (tag == T_DropdbStmt)
			{
				cano_lane_forget_database(database);
				cano_metrics_forget_database(database);
				cano_scan_forget_marks(database);
			}
		}
		PG_FINALLY();
		{
			cano_hold_end(database);
		}
		PG_END_TRY();
	}
	else
		next(pstmt, queryString, readOnlyTree, context, params, queryEnv,
			 dest, qc);

	if (commits_prepared && OidIsValid(get_extension_oid("cano", true)))
		cano_scan_request(MyDatabaseId);
}

/*
 * The database that this statement wants nobody to be connected to, if the
 * current user may have that; otherwise InvalidOid.
 */
static Oid
database_to_clear(Node *statement)
{
	const char *name = NULL;
	Oid			database;

	switch (nodeTag(statement))
	{
		case T_CreatedbStmt:
			name = template_of((CreatedbStmt *) statement);
			break;
		case T_DropdbStmt:
			name = ((DropdbStmt *) statement)->dbname;
			break;
		case T_RenameStmt:
			if (((RenameStmt *) statement)->renameType == OBJECT_DATABASE)
				name = ((RenameStmt *) statement)->subname;
			break;
		case T_AlterDatabaseStmt:
			name = moved_database((AlterDatabaseStmt *) statement);
			break;
		default:
			break;
	}
	if (name == NULL)
		return InvalidOid;
	database = get_database_oid(name, true);
	if (OidIsValid(database) &&
		!object_ownercheck(DatabaseRelationId, database, GetUserId()))
		return InvalidOid;
	return database;
}

static const char *
template_of(const CreatedbStmt *statement)
{
	ListCell   *cell;

	foreach(cell, statement->options)
	{
		DefElem    *option = lfirst(cell);

		if (strcmp(option->defname, "template") == 0 && option->arg)
			return defGetString(option);
	}
	return NULL;
}

static const char *
moved_database(const AlterDatabaseStmt *statement)
{
	ListCell   *cell;

	foreach(cell, statement->options)
	{
		if (strcmp(((DefElem *) lfirst(cell))->defname, "tablespace") == 0)
			return statement->dbname;
	}
	return NULL;
}

/* Remember what the statement does to our extension, until the commit. */
static void
note_extension(const Node *statement)
{
	bool		concerned = false;

	if (IsA(statement, DropStmt))
	{
		const DropStmt *drop = (const DropStmt *) statement;
		ListCell   *cell;

		if (drop->removeType != OBJECT_EXTENSION)
			return;
		foreach(cell, drop->objects)
			concerned |= strcmp(strVal(lfirst(cell)), "cano") == 0;
	}
	else if (IsA(statement, AlterExtensionStmt))
		concerned = strcmp(((const AlterExtensionStmt *) statement)->extname,
						   "cano") == 0;
	if (!concerned)
		return;

	extension_touched = true;
	register_callback();
}

/*
 * cano._look(): work was made, or observers changed, in a way that nobody is
 * told of.
 */
Datum
cano_look(PG_FUNCTION_ARGS)
{
	cano_observer_forget();
	look_wanted = true;
	register_callback();
	PG_RETURN_VOID();
}

static void
register_callback(void)
{
	if (!callback_registered)
		RegisterXactCallback(transaction_ended, NULL);
	callback_registered = true;
}

/*
 * Workers that served the extension as it was are sent away, and a scan finds
 * what there is to do for new ones.
 */
static void
transaction_ended(XactEvent event, void *arg)
{
	if (!extension_touched && !look_wanted)
		return;
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			if (extension_touched)
				(void) cano_slot_ask_database(MyDatabaseId);
			cano_scan_request(MyDatabaseId);
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			break;
		default:
			return;
	}
	extension_touched = look_wanted = false;
}
