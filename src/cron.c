/*-------------------------------------------------------------------------
 *
 * cron.c
 *	  What cano asks of pg_cron: a job for each schedule.
 *
 * pg_cron need not be there, and may come and go: everything of it is looked
 * up by name when it is needed, and counts only if it belongs to the extension
 * of that name, so that nobody can stand in for it.  Its functions are called
 * with the current user's rights, and only if he has them.
 *
 * A job consists of a number and constants: nothing that users say is in it.
 * Which jobs there are is read from pg_cron's table as PostgreSQL reads a
 * catalog, because its row security shows to everybody his own jobs only;
 * cano says of a job what the reader may know of its schedule.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "parser/parse_func.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "compat.h"
#include "cron.h"
#include "lookup.h"
#include "origin.h"

#define JOB_NAME		"cano: " INT64_FORMAT
#define JOB_COMMAND		"SELECT cano._fire(" INT64_FORMAT ")"

/* Columns of pg_cron's table of jobs that cano reads. */
typedef enum JobColumn
{
	JOB_ID,
	JOB_DATABASE,
	JOB_USER,
	JOB_WHAT,
	JOB_ACTIVE,
	JOB_COLUMNS
} JobColumn;

static const char *why_idle(int64 schedule, Oid owner, int64 origin);
static bool runs_here(void);
static Oid	find_schema(void);
static Oid	require_schema(void);
static Oid	require_function(const char *name, const Oid *types, int ntypes);
static int64 find_job(int64 schedule, const char *role, bool *active);
static Relation open_jobs(AttrNumber *columns);
static bool is_text(HeapTuple tuple, TupleDesc desc, AttrNumber column,
					const char *expected);

PG_FUNCTION_INFO_V1(cano_cron_idle);

void
cano_cron_require(void)
{
	(void) require_schema();
}

void
cano_cron_schedule(int64 schedule, const char *cron)
{
	static const Oid types[] = {TEXTOID, TEXTOID, TEXTOID};
	Oid			function = require_function("schedule", types,
											lengthof(types));

	(void) OidFunctionCall3Coll(function, DEFAULT_COLLATION_OID,
								CStringGetTextDatum(psprintf(JOB_NAME, schedule)),
								CStringGetTextDatum(cron),
								CStringGetTextDatum(psprintf(JOB_COMMAND, schedule)));
}

void
cano_cron_unschedule(int64 schedule, const char *role)
{
	static const Oid types[] = {INT8OID};
	bool		active;
	int64		job = find_job(schedule, role, &active);

	if (job != 0)
		(void) OidFunctionCall1(require_function("unschedule", types,
												 lengthof(types)),
								Int64GetDatum(job));
}

/*
 * cano._idle(schedule bigint, owner oid, origin bigint) RETURNS text
 */
Datum
cano_cron_idle(PG_FUNCTION_ARGS)
{
	const char *why = why_idle(PG_GETARG_INT64(0), PG_GETARG_OID(1),
							   PG_GETARG_INT64(2));

	if (why == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(why));
}

static const char *
why_idle(int64 schedule, Oid owner, int64 origin)
{
	char	   *role = GetUserNameFromId(owner, true);
	bool		active = false;

	if (role == NULL)
		return "owner";
	if (origin != cano_origin())
		return "copy";
	if (!OidIsValid(find_schema()) || !runs_here())
		return "cron";
	if (!cano_lookup_can_see(owner) ||
		find_job(schedule, role, &active) == 0 || !active)
		return "job";
	return NULL;
}

/*
 * Is pg_cron preloaded, for the jobs of this database?  Without it a setting
 * of its name in the configuration is no more than a word.
 */
static bool
runs_here(void)
{
	const char *database = GetConfigOption("cron.database_name", true, false);

	return database != NULL &&
		(GetConfigOptionFlags("cron.database_name", true) & GUC_CUSTOM_PLACEHOLDER) == 0 &&
		strcmp(database, get_database_name(MyDatabaseId)) == 0;
}

/* ---- pg_cron's objects ---- */

/*
 * InvalidOid where pg_cron is not there.
 */
static Oid
find_schema(void)
{
	Oid			extension = get_extension_oid("pg_cron", true);
	Oid			schema = get_namespace_oid("cron", true);

	if (!OidIsValid(extension) || !OidIsValid(schema) ||
		getExtensionOfObject(NamespaceRelationId, schema) != extension)
		return InvalidOid;
	return schema;
}

static Oid
require_schema(void)
{
	Oid			schema = find_schema();
	char	   *database = get_database_name(MyDatabaseId);

	if (!OidIsValid(schema))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"%s\" is not installed in database \"%s\"",
						"pg_cron", database),
				 errdetail("Schedules are jobs of pg_cron."),
				 errhint("Add pg_cron to shared_preload_libraries, set cron.database_name = '%s', restart the server, and use CREATE EXTENSION pg_cron. Where it is installed in another database, cron.schedule_in_database() there can call cano.submit() here.",
						 database)));
	if (object_aclcheck(NamespaceRelationId, schema, GetUserId(), ACL_USAGE) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for schema %s", "cron"),
				 errhint("Use GRANT USAGE ON SCHEMA cron TO %s.",
						 quote_identifier(GetUserNameFromId(GetUserId(), false)))));
	return schema;
}

static Oid
require_function(const char *name, const Oid *types, int ntypes)
{
	Oid			schema = require_schema();
	Oid			function = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
										   CStringGetDatum(name),
										   PointerGetDatum(buildoidvector(types, ntypes)),
										   ObjectIdGetDatum(schema));

	if (!OidIsValid(function) ||
		getExtensionOfObject(ProcedureRelationId, function) != get_extension_oid("pg_cron", true))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("this version of pg_cron has no function %s",
						funcname_signature_string(psprintf("cron.%s", name),
												  ntypes, NIL, types)),
				 errhint("Install pg_cron 1.4 or newer.")));
	if (object_aclcheck(ProcedureRelationId, function, GetUserId(), ACL_EXECUTE) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FUNCTION,
					   psprintf("cron.%s", name));
	return function;
}

/* ---- pg_cron's jobs ---- */

/*
 * The id of the role's job that fires the schedule, and whether pg_cron runs
 * it; 0: there is none.
 */
static int64
find_job(int64 schedule, const char *role, bool *active)
{
	char	   *command = psprintf(JOB_COMMAND, schedule);
	char	   *database = get_database_name(MyDatabaseId);
	AttrNumber	columns[JOB_COLUMNS];
	Relation	jobs = open_jobs(columns);
	SysScanDesc scan;
	HeapTuple	tuple;
	int64		job = 0;
	bool		isnull;

	if (jobs == NULL)
		return 0;
	scan = systable_beginscan(jobs, InvalidOid, false, NULL, 0, NULL);
	while (job == 0 && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		TupleDesc	desc = RelationGetDescr(jobs);

		if (!is_text(tuple, desc, columns[JOB_WHAT], command) ||
			!is_text(tuple, desc, columns[JOB_USER], role) ||
			!is_text(tuple, desc, columns[JOB_DATABASE], database))
			continue;
		job = DatumGetInt64(heap_getattr(tuple, columns[JOB_ID], desc, &isnull));
		*active = DatumGetBool(heap_getattr(tuple, columns[JOB_ACTIVE], desc,
											&isnull));
	}
	systable_endscan(scan);
	table_close(jobs, AccessShareLock);
	return job;
}

/*
 * NULL where pg_cron is not there, or does not keep its jobs as we know it.
 */
static Relation
open_jobs(AttrNumber *columns)
{
	static const struct
	{
		const char *name;
		Oid			type;
	}			known[] = {
		[JOB_ID] = {"jobid", INT8OID},
		[JOB_DATABASE] = {"database", TEXTOID},
		[JOB_USER] = {"username", TEXTOID},
		[JOB_WHAT] = {"command", TEXTOID},
		[JOB_ACTIVE] = {"active", BOOLOID}
	};
	Oid			schema = find_schema();
	Oid			table = OidIsValid(schema) ?
		get_relname_relid("job", schema) : InvalidOid;

	if (!OidIsValid(table) || get_rel_relkind(table) != RELKIND_RELATION ||
		getExtensionOfObject(RelationRelationId, table) != get_extension_oid("pg_cron", true))
		return NULL;
	for (int i = 0; i < JOB_COLUMNS; i++)
	{
		columns[i] = get_attnum(table, known[i].name);
		if (columns[i] == InvalidAttrNumber ||
			get_atttype(table, columns[i]) != known[i].type)
			return NULL;
	}
	return table_open(table, AccessShareLock);
}

static bool
is_text(HeapTuple tuple, TupleDesc desc, AttrNumber column,
		const char *expected)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, column, desc, &isnull);

	return !isnull && strcmp(TextDatumGetCString(value), expected) == 0;
}
