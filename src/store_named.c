/*-------------------------------------------------------------------------
 *
 * store_named.c
 *	  Statements on the tables of named objects: cano._breaker, cano._limiter,
 *	  cano._schedule.
 *
 * These tables differ in their settings only.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "origin.h"
#include "statement.h"
#include "store_named.h"

/* The columns that all have, and those before the settings when one is added. */
#define COMMON		4
#define ADDED		4

#define SELECT_NAMED(table, settings) \
	"SELECT n.id, n.owner, n.owner_name, n.origin, " settings \
	" FROM cano." table " n WHERE n.name = $1"
#define INSERT_NAMED(table, settings, values) \
	"INSERT INTO cano." table " (name, id, owner, owner_name, origin, " settings ")" \
	" VALUES ($1, nextval('cano." table "_id'), $2, $3, $4, " values ")" \
	" ON CONFLICT (name) DO NOTHING"
#define UPDATE_NAMED(table, settings, values) \
	"UPDATE cano." table " SET (" settings ") = (" values ") WHERE name = $1"
#define DELETE_NAMED(table) \
	"DELETE FROM cano." table " WHERE name = $1"

#define BREAKER		"failure_threshold, half_open_max_calls, reset_timeout"
#define LIMITER		"rate, burst, per, kind"
#define SCHEDULE	"workflow, cron, overlap, input"

static CanoStatement find[] = {
	{SELECT_NAMED("_breaker", BREAKER), 1, {TEXTOID}},
	{SELECT_NAMED("_limiter", LIMITER), 1, {TEXTOID}},
	{SELECT_NAMED("_schedule", SCHEDULE), 1, {TEXTOID}}
};

static CanoStatement lock[] = {
	{SELECT_NAMED("_breaker", BREAKER) " FOR UPDATE", 1, {TEXTOID}},
	{SELECT_NAMED("_limiter", LIMITER) " FOR UPDATE", 1, {TEXTOID}},
	{SELECT_NAMED("_schedule", SCHEDULE) " FOR UPDATE", 1, {TEXTOID}}
};

static CanoStatement insert[] = {
	{INSERT_NAMED("_breaker", BREAKER, "$5, $6, $7"), 7,
	{TEXTOID, OIDOID, NAMEOID, INT8OID, INT4OID, INT4OID, INTERVALOID}},
	{INSERT_NAMED("_limiter", LIMITER, "$5, $6, $7, $8"), 8,
	{TEXTOID, OIDOID, NAMEOID, INT8OID, INT4OID, INT4OID, INTERVALOID, CHAROID}},
	{INSERT_NAMED("_schedule", SCHEDULE, "$5, $6, $7, $8"), 8,
	{TEXTOID, OIDOID, NAMEOID, INT8OID, TEXTOID, TEXTOID, CHAROID, JSONBOID}}
};

static CanoStatement update[] = {
	{UPDATE_NAMED("_breaker", BREAKER, "$2, $3, $4"), 4,
	{TEXTOID, INT4OID, INT4OID, INTERVALOID}},
	{UPDATE_NAMED("_limiter", LIMITER, "$2, $3, $4, $5"), 5,
	{TEXTOID, INT4OID, INT4OID, INTERVALOID, CHAROID}},
	{UPDATE_NAMED("_schedule", SCHEDULE, "$2, $3, $4, $5"), 5,
	{TEXTOID, TEXTOID, TEXTOID, CHAROID, JSONBOID}}
};

static CanoStatement delete[] = {
	{DELETE_NAMED("_breaker"), 1, {TEXTOID}},
	{DELETE_NAMED("_limiter"), 1, {TEXTOID}},
	{DELETE_NAMED("_schedule"), 1, {TEXTOID}}
};

static bool read_row(CanoStatement *statement, const char *name,
					 CanoNamedRow *row);
static Datum column(int number);

bool
cano_store_named_find(CanoNamedKind kind, const char *name, CanoNamedRow *row)
{
	return read_row(&find[kind], name, row);
}

bool
cano_store_named_lock(CanoNamedKind kind, const char *name, CanoNamedRow *row)
{
	return read_row(&lock[kind], name, row);
}

bool
cano_store_named_add(CanoNamedKind kind, const char *name, Oid owner,
					 const char *owner_name, const Datum *settings)
{
	Datum		values[ADDED + CANO_NAMED_SETTINGS] = {
		CStringGetTextDatum(name),
		ObjectIdGetDatum(owner),
		DirectFunctionCall1(namein, CStringGetDatum(owner_name)),
		Int64GetDatum(cano_origin())
	};

	memcpy(values + ADDED, settings,
		   sizeof(Datum) * (insert[kind].nparameters - ADDED));

	/* Waits for another session that is just adding the same name. */
	return cano_statement_run(&insert[kind], values, NULL, SPI_OK_INSERT) == 1;
}

void
cano_store_named_set(CanoNamedKind kind, const char *name,
					 const Datum *settings)
{
	Datum		values[1 + CANO_NAMED_SETTINGS] = {CStringGetTextDatum(name)};

	memcpy(values + 1, settings,
		   sizeof(Datum) * (update[kind].nparameters - 1));
	if (cano_statement_run(&update[kind], values, NULL, SPI_OK_UPDATE) != 1)
		elog(ERROR, "could not change \"%s\"", name);
}

void
cano_store_named_remove(CanoNamedKind kind, const char *name)
{
	Datum		values[] = {CStringGetTextDatum(name)};

	if (cano_statement_run(&delete[kind], values, NULL, SPI_OK_DELETE) != 1)
		elog(ERROR, "could not remove \"%s\"", name);
}

static bool
read_row(CanoStatement *statement, const char *name, CanoNamedRow *row)
{
	Datum		values[] = {CStringGetTextDatum(name)};

	if (cano_statement_run(statement, values, NULL, SPI_OK_SELECT) == 0)
		return false;
	row->id = DatumGetInt64(column(1));
	row->owner = DatumGetObjectId(column(2));
	row->owner_name = *DatumGetName(column(3));
	row->origin = DatumGetInt64(column(4));
	for (int i = COMMON; i < SPI_tuptable->tupdesc->natts; i++)
		row->settings[i - COMMON] = column(i + 1);
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
