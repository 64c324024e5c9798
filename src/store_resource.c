/*-------------------------------------------------------------------------
 *
 * store_resource.c
 *	  Statements on cano._resource.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "statement.h"
#include "store_resource.h"

static CanoStatement put = {
	"INSERT INTO cano._resource (run, name, value) VALUES ($1, $2, $3)"
	" ON CONFLICT (run, name) DO UPDATE SET value = excluded.value",
	3, {INT8OID, TEXTOID, JSONBOID}
};

static CanoStatement find = {
	"SELECT r.value FROM cano._resource r WHERE r.run = $1 AND r.name = $2",
	2, {INT8OID, TEXTOID}
};

static CanoStatement find_all = {
	"SELECT r.name, r.value FROM cano._resource r WHERE r.run = $1",
	1, {INT8OID}
};

static CanoStatement take_all = {
	"DELETE FROM cano._resource r WHERE r.run = $1 RETURNING r.name, r.value",
	1, {INT8OID}
};

void
cano_store_resource_put(int64 run, const char *name, const Jsonb *value)
{
	Datum		values[] = {
		Int64GetDatum(run),
		CStringGetTextDatum(name),
		JsonbPGetDatum(value)
	};

	(void) cano_statement_run(&put, values, value ? NULL : "  n",
							  SPI_OK_INSERT);
}

Jsonb *
cano_store_resource_find(int64 run, const char *name, MemoryContext context)
{
	Datum		values[] = {Int64GetDatum(run), CStringGetTextDatum(name)};
	MemoryContext spi_context;
	Jsonb	   *value;

	if (cano_statement_run(&find, values, NULL, SPI_OK_SELECT) == 0)
		return NULL;
	spi_context = MemoryContextSwitchTo(context);
	value = cano_column_jsonb(0, 1);
	MemoryContextSwitchTo(spi_context);
	return value;
}

int
cano_store_resources(int64 run, bool take, MemoryContext context,
					 CanoResourceRow **rows)
{
	Datum		values[] = {Int64GetDatum(run)};
	int			n = cano_statement_run(take ? &take_all : &find_all, values,
									   NULL, take ? SPI_OK_DELETE_RETURNING :
									   SPI_OK_SELECT);
	MemoryContext spi_context = MemoryContextSwitchTo(context);

	*rows = palloc(sizeof(CanoResourceRow) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		(*rows)[i].name = cano_column_text(i, 1);
		(*rows)[i].value = cano_column_jsonb(i, 2);
	}
	MemoryContextSwitchTo(spi_context);
	return n;
}
