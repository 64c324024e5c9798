/*-------------------------------------------------------------------------
 *
 * store_observer.c
 *	  Statements on cano._observer.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "statement.h"
#include "store_observer.h"

#define SELECT \
	"SELECT o.name, o.owner, o.owner_name, o.origin, o.function, o.signature," \
	" o.events, o.workflow FROM cano._observer o "

static void read_row(int number, CanoObserverRow *row);

bool
cano_store_observer_lock(const char *name, CanoObserverRow *row)
{
	static CanoStatement lock = {
		SELECT "WHERE o.name = $1 FOR UPDATE",
		1, {TEXTOID}
	};
	Datum		values[] = {CStringGetTextDatum(name)};

	if (cano_statement_run(&lock, values, NULL, SPI_OK_SELECT) == 0)
		return false;
	read_row(0, row);
	return true;
}

bool
cano_store_observer_add(const CanoObserverRow *row)
{
	static CanoStatement insert = {
		"INSERT INTO cano._observer (name, id, owner, owner_name, origin,"
		" function, signature, events, workflow) "
		"VALUES ($1, nextval('cano._observer_id'), $2, $3, $4, $5, $6, $7, $8) "
		"ON CONFLICT (name) DO NOTHING",
		8, {TEXTOID, OIDOID, NAMEOID, INT8OID, TEXTOID, TEXTOID, TEXTARRAYOID,
		TEXTOID}
	};
	Datum		values[] = {
		CStringGetTextDatum(row->name),
		ObjectIdGetDatum(row->owner),
		NameGetDatum(&row->owner_name),
		Int64GetDatum(row->origin),
		CStringGetTextDatum(row->function.name),
		CStringGetTextDatum(row->function.signature),
		PointerGetDatum(row->events),
		row->workflow ? CStringGetTextDatum(row->workflow) : (Datum) 0
	};
	char		nulls[] = {
		' ', ' ', ' ', ' ', ' ', ' ', row->events ? ' ' : 'n',
		row->workflow ? ' ' : 'n'
	};

	/* Waits for another session that is just adding the same name. */
	return cano_statement_run(&insert, values, nulls, SPI_OK_INSERT) == 1;
}

void
cano_store_observer_set(const CanoObserverRow *row)
{
	static CanoStatement update = {
		"UPDATE cano._observer SET function = $2, signature = $3, events = $4,"
		" workflow = $5 WHERE name = $1",
		5, {TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID, TEXTOID}
	};
	Datum		values[] = {
		CStringGetTextDatum(row->name),
		CStringGetTextDatum(row->function.name),
		CStringGetTextDatum(row->function.signature),
		PointerGetDatum(row->events),
		row->workflow ? CStringGetTextDatum(row->workflow) : (Datum) 0
	};
	char		nulls[] = {
		' ', ' ', ' ', row->events ? ' ' : 'n', row->workflow ? ' ' : 'n'
	};

	if (cano_statement_run(&update, values, nulls, SPI_OK_UPDATE) != 1)
		elog(ERROR, "could not change observer \"%s\"", row->name);
}

void
cano_store_observer_remove(const char *name)
{
	static CanoStatement delete = {
		"DELETE FROM cano._observer WHERE name = $1",
		1, {TEXTOID}
	};
	Datum		values[] = {CStringGetTextDatum(name)};

	if (cano_statement_run(&delete, values, NULL, SPI_OK_DELETE) != 1)
		elog(ERROR, "could not remove observer \"%s\"", name);
}

int
cano_store_observers(MemoryContext context, CanoObserverRow **rows)
{
	static CanoStatement all = {SELECT "ORDER BY o.id", 0, {0}};
	int			n = cano_statement_run(&all, NULL, NULL, SPI_OK_SELECT);
	MemoryContext spi_context = MemoryContextSwitchTo(context);

	*rows = palloc(sizeof(CanoObserverRow) * Max(n, 1));
	for (int i = 0; i < n; i++)
		read_row(i, &(*rows)[i]);
	MemoryContextSwitchTo(spi_context);
	return n;
}

/*
 * Of what the last statement returned, into the current memory context.
 */
static void
read_row(int number, CanoObserverRow *row)
{
	HeapTuple	tuple = SPI_tuptable->vals[number];
	TupleDesc	desc = SPI_tuptable->tupdesc;
	bool		isnull;
	Datum		value;

	memset(row, 0, sizeof(*row));
	row->name = cano_column_text(number, 1);
	row->owner = DatumGetObjectId(SPI_getbinval(tuple, desc, 2, &isnull));
	row->owner_name = *DatumGetName(SPI_getbinval(tuple, desc, 3, &isnull));
	row->origin = cano_column_int64(number, 4, 0);
	row->function.name = cano_column_text(number, 5);
	row->function.signature = cano_column_text(number, 6);
	value = SPI_getbinval(tuple, desc, 7, &isnull);
	row->events = isnull ? NULL : DatumGetArrayTypePCopy(value);
	row->workflow = cano_column_text(number, 8);
}
