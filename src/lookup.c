/*-------------------------------------------------------------------------
 *
 * lookup.c
 *	  One run as its owner may see it.
 *
 * Somebody else's run is answered like one that does not exist.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "error.h"
#include "json.h"
#include "lookup.h"
#include "origin.h"
#include "statement.h"
#include "window.h"

PG_FUNCTION_INFO_V1(cano_can_see);

static CanoStatement find_run = {
	"SELECT r.xmin, r.owner, r.status, r.data, r.error, r.owner_name, r.origin"
	" FROM cano._run r WHERE r.id = $1",
	1, {INT8OID}
};

bool
cano_lookup_run(int64 run, CanoLookup *lookup)
{
	MemoryContext context = CurrentMemoryContext;
	Datum		values[] = {Int64GetDatum(run)};
	bool		found;
	NameData	owner_name;
	int64		origin = 0;
	CanoWindow	window;

	memset(lookup, 0, sizeof(*lookup));
	cano_window_open(&window);
	found = cano_statement_run(&find_run, values, NULL, SPI_OK_SELECT) == 1;
	if (found)
	{
		HeapTuple	tuple = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		MemoryContext spi_context = MemoryContextSwitchTo(context);
		bool		isnull;
		Datum		value;

		value = SPI_getbinval(tuple, desc, 1, &isnull);
		lookup->own_transaction =
			TransactionIdIsCurrentTransactionId(DatumGetTransactionId(value));
		lookup->owner = DatumGetObjectId(SPI_getbinval(tuple, desc, 2, &isnull));
		value = SPI_getbinval(tuple, desc, 3, &isnull);
		lookup->status = TextDatumGetCString(value);
		value = SPI_getbinval(tuple, desc, 4, &isnull);
		lookup->data = cano_json_copy(value, isnull);
		value = SPI_getbinval(tuple, desc, 5, &isnull);
		lookup->error = cano_json_copy(value, isnull);
		owner_name = *DatumGetName(SPI_getbinval(tuple, desc, 6, &isnull));
		origin = DatumGetInt64(SPI_getbinval(tuple, desc, 7, &isnull));
		MemoryContextSwitchTo(spi_context);
	}
	cano_window_close(&window);
	return found &&
		cano_lookup_can_see_row(lookup->owner, NameStr(owner_name), origin);
}

bool
cano_lookup_can_see(Oid owner)
{
	return has_privs_of_role(GetUserId(), owner) ||
		has_privs_of_role(GetUserId(), cano_extension()->owner);
}

bool
cano_lookup_can_see_row(Oid owner, const char *owner_name, int64 origin)
{
	if (origin != cano_origin())
	{
		char	   *name = GetUserNameFromId(owner, true);

		if (name == NULL || strcmp(name, owner_name) != 0)
			return has_privs_of_role(GetUserId(), cano_extension()->owner);
	}
	return cano_lookup_can_see(owner);
}

/*
 * The row filter of the views.
 */
Datum
cano_can_see(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(cano_lookup_can_see_row(PG_GETARG_OID(0),
										   NameStr(*PG_GETARG_NAME(1)),
										   PG_GETARG_INT64(2)));
}

void
cano_lookup_not_found(int64 run)
{
	ereport(ERROR,
			(errcode(cano_errcode(CANO_CAT_NOT_FOUND)),
			 errmsg("run " INT64_FORMAT " does not exist", run),
			 errdetail("There is no such run, or it belongs to another role.")));
}

void
cano_lookup_raise(const CanoLookup *lookup)
{
	char	   *category = cano_json_get_text(lookup->error, "category");
	char	   *message = cano_json_get_text(lookup->error, "message");
	char	   *sqlstate = cano_json_get_text(lookup->error, "sqlstate");
	char	   *detail = cano_json_get_text(lookup->error, "detail");
	char	   *hint = cano_json_get_text(lookup->error, "hint");
	char	   *context = cano_json_get_text(lookup->error, "context");
	char	   *state = cano_json_get_text(lookup->error, "state");
	char	   *task = cano_json_get_text(lookup->error, "task");

	ereport(ERROR,
			(errcode(cano_errcode(cano_category_by_name(category))),
			 errmsg_internal("%s", message),
			 detail ? errdetail_internal("SQLSTATE %s: %s", sqlstate, detail) :
			 errdetail_internal("SQLSTATE %s", sqlstate),
			 hint ? errhint("%s", hint) : 0,
			 context ? errcontext("%s", context) : 0,
			 task ? errcontext("task \"%s\" of state \"%s\"", task, state) :
			 state ? errcontext("state \"%s\"", state) : 0));
}
