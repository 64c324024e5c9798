/*-------------------------------------------------------------------------
 *
 * store_breaker.c
 *	  Statements on cano._breaker.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "statement.h"
#include "store_breaker.h"

#define COLUMNS \
	"SELECT b.id, b.owner, b.owner_name, b.origin," \
	" b.failure_threshold, b.half_open_max_calls, b.reset_timeout " \
	"FROM cano._breaker b WHERE b.name = $1"

static bool read_row(CanoStatement *statement, const char *name,
					 CanoBreakerRow *row);
static Datum column(int number);

bool
cano_store_breaker_find(const char *name, CanoBreakerRow *row)
{
	static CanoStatement find = {COLUMNS, 1, {TEXTOID}};

	return read_row(&find, name, row);
}

bool
cano_store_breaker_lock(const char *name, CanoBreakerRow *row)
{
	static CanoStatement lock = {COLUMNS " FOR UPDATE", 1, {TEXTOID}};

	return read_row(&lock, name, row);
}

bool
cano_store_breaker_add(const char *name, Oid owner, const char *owner_name,
					   const CanoBreakerSettings *settings)
{
	static CanoStatement insert = {
		"INSERT INTO cano._breaker (name, id, owner, owner_name, origin,"
		" failure_threshold, half_open_max_calls, reset_timeout) "
		"VALUES ($1, nextval('cano._breaker_id'), $2, $3, $4, $5, $6, $7) "
		"ON CONFLICT (name) DO NOTHING",
		7, {TEXTOID, OIDOID, NAMEOID, INT8OID, INT4OID, INT4OID, INTERVALOID}
	};
	Datum		values[] = {
		CStringGetTextDatum(name),
		ObjectIdGetDatum(owner),
		DirectFunctionCall1(namein, CStringGetDatum(owner_name)),
		Int64GetDatum((int64) GetSystemIdentifier()),
		Int32GetDatum(settings->failure_threshold),
		Int32GetDatum(settings->half_open_max_calls),
		IntervalPGetDatum(&settings->reset_timeout)
	};

	/* Waits for another session that is just adding the same name. */
	return cano_statement_run(&insert, values, NULL, SPI_OK_INSERT) == 1;
}

void
cano_store_breaker_set(const char *name, const CanoBreakerSettings *settings)
{
	static CanoStatement update = {
		"UPDATE cano._breaker SET failure_threshold = $2,"
		" half_open_max_calls = $3, reset_timeout = $4 WHERE name = $1",
		4, {TEXTOID, INT4OID, INT4OID, INTERVALOID}
	};
	Datum		values[] = {
		CStringGetTextDatum(name),
		Int32GetDatum(settings->failure_threshold),
		Int32GetDatum(settings->half_open_max_calls),
		IntervalPGetDatum(&settings->reset_timeout)
	};

	if (cano_statement_run(&update, values, NULL, SPI_OK_UPDATE) != 1)
		elog(ERROR, "could not change breaker \"%s\"", name);
}

void
cano_store_breaker_remove(const char *name)
{
	static CanoStatement delete = {
		"DELETE FROM cano._breaker WHERE name = $1",
		1, {TEXTOID}
	};
	Datum		values[] = {CStringGetTextDatum(name)};

	if (cano_statement_run(&delete, values, NULL, SPI_OK_DELETE) != 1)
		elog(ERROR, "could not remove breaker \"%s\"", name);
}

static bool
read_row(CanoStatement *statement, const char *name, CanoBreakerRow *row)
{
	Datum		values[] = {CStringGetTextDatum(name)};

	if (cano_statement_run(statement, values, NULL, SPI_OK_SELECT) == 0)
		return false;
	row->id = DatumGetInt64(column(1));
	row->owner = DatumGetObjectId(column(2));
	row->owner_name = *DatumGetName(column(3));
	row->origin = DatumGetInt64(column(4));
	row->settings.failure_threshold = DatumGetInt32(column(5));
	row->settings.half_open_max_calls = DatumGetInt32(column(6));
	row->settings.reset_timeout = *DatumGetIntervalP(column(7));
	return true;
}

/*
 * Of the row that the last statement returned; none is null.
 */
static Datum
column(int number)
{
	bool		isnull;

	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, number,
						 &isnull);
}
