/*-------------------------------------------------------------------------
 *
 * upgrade.c
 *	  What the script of an update needs and cannot say in SQL.
 *
 * The script creates these functions for itself and drops them again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "window.h"

PG_FUNCTION_INFO_V1(cano_upgrade_begin);
PG_FUNCTION_INFO_V1(cano_upgrade_grant);

static void refuse_outside_script(void);

/*
 * Whoever works on runs or submits some has locked the extension first, so
 * this waits for them while nobody waits for us.  When it is over everybody
 * looks at the extension again, as if the schema had changed.
 */
Datum
cano_upgrade_begin(PG_FUNCTION_ARGS)
{
	Oid			schema;
	HeapTuple	tuple;
	Relation	relation;

	refuse_outside_script();
	LockDatabaseObject(ExtensionRelationId, CurrentExtensionObject, 0,
					   AccessExclusiveLock);
	schema = cano_extension()->schema;
	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for schema %u", schema);
	relation = table_open(NamespaceRelationId, AccessShareLock);
	CacheInvalidateHeapTuple(relation, tuple, NULL);
	table_close(relation, AccessShareLock);
	ReleaseSysCache(tuple);
	PG_RETURN_VOID();
}

/*
 * Run a statement that grants as if it were not the script's: pg_dump leaves
 * out what a script granted.
 */
Datum
cano_upgrade_grant(PG_FUNCTION_ARGS)
{
	char	   *statement = text_to_cstring(PG_GETARG_TEXT_PP(0));

	refuse_outside_script();
	SPI_connect();
	/* Should it fail, then the script ends. */
	creating_extension = false;
	if (SPI_execute(statement, false, 0) < 0)
		elog(ERROR, "SPI_execute failed: %s", statement);
	creating_extension = true;
	SPI_finish();
	PG_RETURN_VOID();
}

static void
refuse_outside_script(void)
{
	if (!creating_extension || CurrentExtensionObject != cano_extension()->oid)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"%s\" is not being updated", "cano")));
}
