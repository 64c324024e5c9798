/*-------------------------------------------------------------------------
 *
 * window.c
 *	  The elevated window: the only place where cano has more rights than the
 *	  user, for its own constant statements.
 *
 * A process of cano runs as the user; a forgotten case therefore runs as the
 * user, too.  The identity inside the window is the extension owner's, as a
 * security-restricted operation: nothing done there can leave work behind for
 * the commit.  A tripwire refuses any function that is neither PostgreSQL's
 * nor cano's while the window is open, should one ever get there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_language.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "error.h"
#include "window.h"

PG_FUNCTION_INFO_V1(cano_guard);

static void extension_changed(Datum arg, int cacheid, uint32 hashvalue);
static void read_extension(CanoExtension *found);
static bool is_out_of_step(void);
static void set_if_different(const char *name, const char *value);
static bool tripwire(Oid functionId);
static void check_function(Oid functionId);

static CanoExtension extension;
static bool extension_known = false;

/* Who opened the window; meaningless while it is closed. */
static Oid	window_owner = InvalidOid;
static bool window_entered = false;

static needs_fmgr_hook_type previous_needs_fmgr_hook;

void
cano_window_init(void)
{
	CacheRegisterSyscacheCallback(NAMESPACEOID, extension_changed, (Datum) 0);
	previous_needs_fmgr_hook = needs_fmgr_hook;
	needs_fmgr_hook = tripwire;
}

const CanoExtension *
cano_extension(void)
{
	CanoExtension found = {0};

	if (extension_known)
		return &extension;

	found.schema = get_namespace_oid("cano", true);
	found.oid = get_extension_oid("cano", true);
	if (OidIsValid(found.oid))
	{
		read_extension(&found);
		if (OidIsValid(found.schema))
			found.outcome_type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
												 CStringGetDatum("outcome"),
												 ObjectIdGetDatum(found.schema));
	}
	extension = found;

	/*
	 * Remember only what is there as a whole or not at all, and not while a
	 * script that creates or updates it is still running.  All of that
	 * changes the schema's row, or says that it does (upgrade.c).
	 */
	extension_known = !creating_extension &&
		OidIsValid(found.outcome_type) == OidIsValid(found.schema);
	return &extension;
}

static void
extension_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	extension_known = false;
}

/*
 * DROP EXTENSION locks the extension before anything that belongs to it, so
 * it waits here for whoever will touch more of that, and nobody for it while
 * he has touched some.
 */
bool
cano_extension_hold(void)
{
	Oid			oid;

	do
	{
		oid = cano_extension()->oid;
		if (!OidIsValid(oid))
			return false;
		LockDatabaseObject(ExtensionRelationId, oid, 0, AccessShareLock);
	} while (cano_extension()->oid != oid);
	return true;
}

static void
read_extension(CanoExtension *found)
{
	Relation	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(found->oid));
	scan = systable_beginscan(rel, ExtensionOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		version = heap_getattr(tuple, Anum_pg_extension_extversion,
										   RelationGetDescr(rel), &isnull);

		found->owner = ((Form_pg_extension) GETSTRUCT(tuple))->extowner;
		text_to_cstring_buffer(DatumGetTextPP(version), found->version,
							   sizeof(found->version));
		found->fits = strcmp(found->version, CANO_VERSION) == 0;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/*
 * Is the extension of another version than this library?  Its own script may
 * do what it has to.
 */
static bool
is_out_of_step(void)
{
	const CanoExtension *found = cano_extension();

	return OidIsValid(found->oid) && !found->fits &&
		!(creating_extension && CurrentExtensionObject == found->oid);
}

void
cano_extension_report(int elevel)
{
	ereport(elevel,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("extension \"%s\" of database \"%s\" is version %s, but its library is version %s",
					"cano", get_database_name(MyDatabaseId),
					cano_extension()->version, CANO_VERSION),
			 errdetail("No runs are submitted or worked on here meanwhile."),
			 errhint("Use ALTER EXTENSION cano UPDATE, or restart the server if it has the older library.")));
}

void
cano_window_open(CanoWindow *window)
{
	Oid			owner;

	if (!cano_extension_hold())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"%s\" is not installed in this database", "cano"),
				 errhint("Use CREATE EXTENSION cano.")));

	if (is_out_of_step())
		cano_extension_report(ERROR);

	owner = cano_extension()->owner;
	GetUserIdAndSecContext(&window->userid, &window->sec_context);
	window->guc_nestlevel = NewGUCNestLevel();

	/* The settings are the user's to have, so they are changed as superuser. */
	SetUserIdAndSecContext(owner,
						   window->sec_context |
						   SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	window_owner = owner;
	window_entered = true;

	(void) set_config_option("search_path", "pg_catalog, pg_temp",
							 PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	if (SessionReplicationRole != SESSION_REPLICATION_ROLE_ORIGIN)
		set_if_different("session_replication_role", "origin");
	set_if_different("transform_null_equals", "off");
	set_if_different("default_tablespace", "");
	set_if_different("row_security", "on");

	/* SPI wants one around it; each statement takes a newer one of its own. */
	window->snapshot = !ActiveSnapshotSet();
	if (window->snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
}

void
cano_window_close(CanoWindow *window)
{
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
	if (window->snapshot)
		PopActiveSnapshot();
	AtEOXact_GUC(false, window->guc_nestlevel);
	window_entered = false;
	SetUserIdAndSecContext(window->userid, window->sec_context);
}

/*
 * The flag may be stale after an error, but then the identity has been
 * restored by the abort.
 */
bool
cano_window_is_open(void)
{
	return window_entered && GetUserId() == window_owner &&
		InSecurityRestrictedOperation();
}

/*
 * A call from an index expression, a materialized view or ANALYZE would do
 * in somebody else's name what he did not ask for.
 */
void
cano_window_refuse_restricted(const char *function)
{
	if (InSecurityRestrictedOperation())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot call %s within a security-restricted operation",
						function)));
}

static void
set_if_different(const char *name, const char *value)
{
	const char *now = GetConfigOption(name, false, false);

	if (strcmp(now, value) != 0)
		(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Called for each function that is looked up, so the usual answer comes
 * first.
 */
static bool
tripwire(Oid functionId)
{
	if (functionId >= FirstNormalObjectId &&
		(!extension_known || cano_window_is_open() ||
		 (OidIsValid(extension.oid) && !extension.fits)))
		check_function(functionId);
	return previous_needs_fmgr_hook && previous_needs_fmgr_hook(functionId);
}

/*
 * While the window is open nothing of a user's may be called.  While the
 * extension is of another version nothing in C of its own may, as it may expect
 * other parameters; but its trigger has none, and guards all versions.
 */
static void
check_function(Oid functionId)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(functionId));
	Oid			schema = InvalidOid;
	bool		is_verb = false;

	if (HeapTupleIsValid(tuple))
	{
		Form_pg_proc form = (Form_pg_proc) GETSTRUCT(tuple);

		schema = form->pronamespace;
		is_verb = form->prolang == ClanguageId &&
			form->prorettype != TRIGGEROID;
		ReleaseSysCache(tuple);
	}
	if (schema != cano_extension()->schema)
	{
		if (cano_window_is_open())
			elog(ERROR, "function %u must not be called by the engine",
				 functionId);
	}
	else if (is_verb && is_out_of_step())
		cano_extension_report(ERROR);
}

/*
 * Triggers on every private table, of statements and of replicated rows: only
 * the engine writes, and the owner and superusers, who can do anything anyway.  Rights on tables in
 * general (pg_write_all_data, BYPASSRLS) are not rights to act as others.
 */
Datum
cano_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager",
						"cano._guard")));

	if (!cano_window_is_open() && !superuser() &&
		GetUserId() != trigger->tg_relation->rd_rel->relowner)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for table %s",
						RelationGetRelationName(trigger->tg_relation)),
				 errhint("Use the functions of schema cano.")));
	return PointerGetDatum(NULL);
}
