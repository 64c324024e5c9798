/*-------------------------------------------------------------------------
 *
 * store_definition.c
 *	  Statements on cano._workflow and cano._definition.
 *
 * Definers of one workflow queue up for its row in cano._workflow, so that
 * versions have no gaps and equal content is stored once.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "json.h"
#include "origin.h"
#include "statement.h"
#include "store_definition.h"

/* How often a workflow may vanish between our looking for it and locking it. */
#define MAX_TRIES	10

static Datum column(int number, bool *isnull);

void
cano_store_definition_lock(const char *workflow, Oid owner,
						   const char *owner_name, CanoWorkflowRow *row)
{
	static CanoStatement insert = {
		"INSERT INTO cano._workflow (workflow, owner, owner_name, origin, version, paused) "
		"VALUES ($1, $2, $3, $4, 0, false) "
		"ON CONFLICT (workflow) DO NOTHING",
		4, {TEXTOID, OIDOID, NAMEOID, INT8OID}
	};

	if (cano_store_definition_lock_existing(workflow, row))
		return;
	for (int i = 0; i < MAX_TRIES; i++)
	{
		Datum		values[] = {
			CStringGetTextDatum(workflow),
			ObjectIdGetDatum(owner),
			DirectFunctionCall1(namein, CStringGetDatum(owner_name)),
			Int64GetDatum(cano_origin())
		};

		/* Waits for another session that is just adding the same name. */
		cano_statement_run(&insert, values, NULL, SPI_OK_INSERT);
		if (cano_store_definition_lock_existing(workflow, row))
			return;
	}
	elog(ERROR, "could not lock workflow \"%s\"", workflow);
}

bool
cano_store_definition_lock_existing(const char *workflow, CanoWorkflowRow *row)
{
	static CanoStatement lock = {
		"SELECT w.owner, w.owner_name, w.version, w.origin "
		"FROM cano._workflow w WHERE w.workflow = $1 FOR UPDATE",
		1, {TEXTOID}
	};
	Datum		values[] = {CStringGetTextDatum(workflow)};
	bool		isnull;

	if (cano_statement_run(&lock, values, NULL, SPI_OK_SELECT) == 0)
		return false;
	row->owner = DatumGetObjectId(column(1, &isnull));
	row->owner_name = *DatumGetName(column(2, &isnull));
	row->version = DatumGetInt32(column(3, &isnull));
	row->origin = DatumGetInt64(column(4, &isnull));
	return true;
}

bool
cano_store_definition_equal(const char *workflow, int version,
							const Jsonb *document, const Jsonb *functions)
{
	static CanoStatement equal = {
		"SELECT d.id FROM cano._definition d "
		"WHERE d.workflow = $1 AND d.version = $2 "
		"AND d.document = $3 AND d.functions = $4",
		4, {TEXTOID, INT4OID, JSONBOID, JSONBOID}
	};
	Datum		values[] = {
		CStringGetTextDatum(workflow),
		Int32GetDatum(version),
		JsonbPGetDatum(document),
		JsonbPGetDatum(functions)
	};

	return cano_statement_run(&equal, values, NULL, SPI_OK_SELECT) > 0;
}

void
cano_store_definition_add(const char *workflow, int version, Oid owner,
						  const char *owner_name, const Jsonb *document,
						  const Jsonb *functions, TimestampTz created_at)
{
	static CanoStatement insert = {
		"INSERT INTO cano._definition (id, workflow, version, owner, owner_name, document, functions, created_at, keep) "
		"VALUES (nextval('cano._definition_id'), $1, $2, $3, $4, $5, $6, $7, "
		"coalesce(($5 -> 'options' ->> 'keep')::interval, '30 days'))",
		7, {TEXTOID, INT4OID, OIDOID, NAMEOID, JSONBOID, JSONBOID, TIMESTAMPTZOID}
	};
	static CanoStatement update = {
		"UPDATE cano._workflow SET version = $2 WHERE workflow = $1",
		2, {TEXTOID, INT4OID}
	};
	Datum		values[] = {
		CStringGetTextDatum(workflow),
		Int32GetDatum(version),
		ObjectIdGetDatum(owner),
		DirectFunctionCall1(namein, CStringGetDatum(owner_name)),
		JsonbPGetDatum(document),
		JsonbPGetDatum(functions),
		TimestampTzGetDatum(created_at)
	};

	if (cano_statement_run(&insert, values, NULL, SPI_OK_INSERT) != 1 ||
		cano_statement_run(&update, values, NULL, SPI_OK_UPDATE) != 1)
		elog(ERROR, "could not store version %d of workflow \"%s\"", version,
			 workflow);
}

int64
cano_store_definition_find(const char *workflow, int version)
{
	static CanoStatement current = {
		"SELECT d.id FROM cano._workflow w "
		"JOIN cano._definition d ON d.workflow = w.workflow AND d.version = w.version "
		"WHERE w.workflow = $1",
		1, {TEXTOID}
	};
	static CanoStatement given = {
		"SELECT d.id FROM cano._definition d "
		"WHERE d.workflow = $1 AND d.version = $2",
		2, {TEXTOID, INT4OID}
	};
	Datum		values[] = {
		CStringGetTextDatum(workflow),
		Int32GetDatum(version)
	};
	bool		isnull;

	if (cano_statement_run(version == 0 ? &current : &given, values, NULL,
						   SPI_OK_SELECT) == 0)
		return 0;
	return DatumGetInt64(column(1, &isnull));
}

void
cano_store_definition_offer(CanoSpelling *spelling, MemoryContext context)
{
	static CanoStatement names = {
		"SELECT w.workflow FROM cano._workflow w ORDER BY w.workflow"
	};
	uint64		n = cano_statement_run(&names, NULL, NULL, SPI_OK_SELECT);
	MemoryContext spi_context = MemoryContextSwitchTo(context);

	for (uint64 i = 0; i < n; i++)
		cano_spelling_offer(spelling, cano_column_text(i, 1));
	MemoryContextSwitchTo(spi_context);
}

bool
cano_store_definition_load(int64 id, MemoryContext context,
						   CanoDefinitionRow *row)
{
	static CanoStatement load = {
		"SELECT d.workflow, d.version, d.document, d.functions "
		"FROM cano._definition d WHERE d.id = $1",
		1, {INT8OID}
	};
	Datum		values[] = {Int64GetDatum(id)};
	MemoryContext oldcontext;
	bool		isnull;
	Datum		document;
	Datum		functions;

	if (cano_statement_run(&load, values, NULL, SPI_OK_SELECT) == 0)
		return false;

	oldcontext = MemoryContextSwitchTo(context);
	row->workflow = TextDatumGetCString(column(1, &isnull));
	row->version = DatumGetInt32(column(2, &isnull));
	document = column(3, &isnull);
	row->document = cano_json_copy(document, isnull);
	functions = column(4, &isnull);
	row->functions = cano_json_copy(functions, isnull);
	MemoryContextSwitchTo(oldcontext);
	return true;
}

/*
 * Of the first row that the last statement returned.
 */
static Datum
column(int number, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, number,
						 isnull);
}
