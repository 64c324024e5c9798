/*-------------------------------------------------------------------------
 *
 * context.c
 *	  What a task may ask about itself, and the store of its run.
 *
 * The step under way is a variable of this process, set by step.c around the
 * call.  The store is written inside the task's own subtransaction: what an
 * attempt put there is gone when the attempt fails.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "context.h"
#include "error.h"
#include "guc.h"
#include "shmem.h"
#include "statement.h"
#include "window.h"

/* Characters in a key of the store. */
#define MAX_KEY		1000

static const CanoCurrent *require_store(const char *function);
static text *key_argument(FunctionCallInfo fcinfo);
static Datum value_argument(FunctionCallInfo fcinfo);
static Datum first_value(MemoryContext context, bool *isnull);

static const CanoCurrent *current = NULL;

static CanoStatement put_statement = {
	.sql = "INSERT INTO cano._variable (run, key, value) VALUES ($1, $2, $3)"
	" ON CONFLICT (run, key) DO UPDATE SET value = excluded.value",
	.nparameters = 3,
	.types = {INT8OID, TEXTOID, JSONBOID}
};

static CanoStatement get_statement = {
	.sql = "SELECT v.value FROM cano._variable AS v"
	" WHERE v.run = $1 AND v.key = $2",
	.nparameters = 2,
	.types = {INT8OID, TEXTOID}
};

/* No row when the key holds something that is no list. */
static CanoStatement append_statement = {
	.sql = "INSERT INTO cano._variable AS v (run, key, value)"
	" VALUES ($1, $2, jsonb_build_array($3))"
	" ON CONFLICT (run, key) DO UPDATE"
	" SET value = coalesce(v.value, '[]') || excluded.value"
	" WHERE v.value IS NULL OR jsonb_typeof(v.value) = 'array'",
	.nparameters = 3,
	.types = {INT8OID, TEXTOID, JSONBOID}
};

static CanoStatement remove_statement = {
	.sql = "DELETE FROM cano._variable AS v WHERE v.run = $1 AND v.key = $2",
	.nparameters = 2,
	.types = {INT8OID, TEXTOID}
};

static CanoStatement keys_statement = {
	.sql = "SELECT coalesce(array_agg(v.key ORDER BY v.key), '{}')"
	" FROM cano._variable AS v WHERE v.run = $1",
	.nparameters = 1,
	.types = {INT8OID}
};

PG_FUNCTION_INFO_V1(cano_context_run_id);
PG_FUNCTION_INFO_V1(cano_context_state);
PG_FUNCTION_INFO_V1(cano_context_attempt);
PG_FUNCTION_INFO_V1(cano_context_data);
PG_FUNCTION_INFO_V1(cano_context_idempotency_key);
PG_FUNCTION_INFO_V1(cano_context_put);
PG_FUNCTION_INFO_V1(cano_context_fetch);
PG_FUNCTION_INFO_V1(cano_context_append);
PG_FUNCTION_INFO_V1(cano_context_remove);
PG_FUNCTION_INFO_V1(cano_context_keys);
PG_FUNCTION_INFO_V1(cano_context_progress);

const CanoCurrent *
cano_context_set(const CanoCurrent *step)
{
	const CanoCurrent *previous = current;

	current = step;
	return previous;
}

const CanoCurrent *
cano_context_get(void)
{
	return current;
}

Datum
cano_context_run_id(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(cano_context_require("cano.run_id()")->run);
}

Datum
cano_context_state(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(cano_context_require("cano.state()")->state));
}

Datum
cano_context_attempt(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(cano_context_require("cano.attempt()")->attempt);
}

Datum
cano_context_data(PG_FUNCTION_ARGS)
{
	const Jsonb *data = cano_context_require("cano.data()")->data;
	Jsonb	   *copy = palloc(VARSIZE(data));

	memcpy(copy, data, VARSIZE(data));
	PG_RETURN_JSONB_P(copy);
}

Datum
cano_context_idempotency_key(PG_FUNCTION_ARGS)
{
	const CanoCurrent *step = cano_context_require("cano.idempotency_key()");

	PG_RETURN_TEXT_P(cstring_to_text(step->idempotency_key));
}

Datum
cano_context_put(PG_FUNCTION_ARGS)
{
	const CanoCurrent *step = require_store("cano.put()");
	text	   *key = key_argument(fcinfo);
	char		nulls[3] = {' ', ' ', PG_ARGISNULL(1) ? 'n' : ' '};
	Datum		values[3];
	CanoWindow	window;

	values[0] = Int64GetDatum(step->run);
	values[1] = PointerGetDatum(key);
	values[2] = value_argument(fcinfo);
	cano_window_open(&window);
	(void) cano_statement_run(&put_statement, values, nulls, SPI_OK_INSERT);
	cano_window_close(&window);
	PG_RETURN_VOID();
}

/* cano.get(): a key that is not there is null. */
Datum
cano_context_fetch(PG_FUNCTION_ARGS)
{
	const CanoCurrent *step = require_store("cano.get()");
	MemoryContext context = CurrentMemoryContext;
	text	   *key = key_argument(fcinfo);
	Datum		values[2];
	Datum		result = (Datum) 0;
	bool		isnull = true;
	CanoWindow	window;

	values[0] = Int64GetDatum(step->run);
	values[1] = PointerGetDatum(key);
	cano_window_open(&window);
	if (cano_statement_run(&get_statement, values, NULL, SPI_OK_SELECT) > 0)
		result = first_value(context, &isnull);
	cano_window_close(&window);
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}

Datum
cano_context_append(PG_FUNCTION_ARGS)
{
	const CanoCurrent *step = require_store("cano.append()");
	text	   *key = key_argument(fcinfo);
	char		nulls[3] = {' ', ' ', PG_ARGISNULL(1) ? 'n' : ' '};
	Datum		values[3];
	CanoWindow	window;
	uint64		changed;

	values[0] = Int64GetDatum(step->run);
	values[1] = PointerGetDatum(key);
	values[2] = value_argument(fcinfo);
	cano_window_open(&window);
	changed = cano_statement_run(&append_statement, values, nulls,
								 SPI_OK_INSERT);
	cano_window_close(&window);
	if (changed == 0)
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_RESOURCE)),
				 errmsg("cannot append to key \"%s\", which holds no list",
						text_to_cstring(key)),
				 errhint("Use cano.put() to replace the value, or append to another key.")));
	PG_RETURN_VOID();
}

/* True if the key was there. */
Datum
cano_context_remove(PG_FUNCTION_ARGS)
{
	const CanoCurrent *step = require_store("cano.remove()");
	text	   *key = key_argument(fcinfo);
	Datum		values[2];
	CanoWindow	window;
	uint64		removed;

	values[0] = Int64GetDatum(step->run);
	values[1] = PointerGetDatum(key);
	cano_window_open(&window);
	removed = cano_statement_run(&remove_statement, values, NULL,
								 SPI_OK_DELETE);
	cano_window_close(&window);
	PG_RETURN_BOOL(removed > 0);
}

Datum
cano_context_keys(PG_FUNCTION_ARGS)
{
	const CanoCurrent *step = require_store("cano.keys()");
	MemoryContext context = CurrentMemoryContext;
	Datum		values[1];
	Datum		result;
	bool		isnull;
	CanoWindow	window;

	values[0] = Int64GetDatum(step->run);
	cano_window_open(&window);
	if (cano_statement_run(&keys_statement, values, NULL, SPI_OK_SELECT) != 1)
		elog(ERROR, "unexpected number of rows");
	result = first_value(context, &isnull);
	cano_window_close(&window);
	PG_RETURN_DATUM(result);
}

/* A total that is null is not known. */
Datum
cano_context_progress(PG_FUNCTION_ARGS)
{
	(void) cano_context_require("cano.progress()");
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("progress must not be null")));
	cano_slot_progress(PG_GETARG_INT64(0),
					   PG_ARGISNULL(1) ? 0 : PG_GETARG_INT64(1),
					   PG_ARGISNULL(2) ? "" :
					   text_to_cstring(PG_GETARG_TEXT_PP(2)));
	PG_RETURN_VOID();
}

const CanoCurrent *
cano_context_require(const char *function)
{
	if (current == NULL)
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_WORKFLOW)),
				 errmsg("%s was called outside a task", function),
				 errhint("It answers only inside a function that a workflow is calling.")));
	return current;
}

/* Those that read or write the store borrow the owner's rights. */
static const CanoCurrent *
require_store(const char *function)
{
	cano_window_refuse_restricted(function);
	return cano_context_require(function);
}

static text *
key_argument(FunctionCallInfo fcinfo)
{
	text	   *key;
	int			length;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("key must not be null")));
	key = PG_GETARG_TEXT_PP(0);
	length = pg_mbstrlen_with_len(VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key));
	if (length < 1 || length > MAX_KEY)
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_RESOURCE)),
				 errmsg("key has %d characters", length),
				 errdetail("A key has 1 to %d characters.", MAX_KEY)));
	return key;
}

/*
 * The value is detoasted here, by the user, not in the window.
 */
static Datum
value_argument(FunctionCallInfo fcinfo)
{
	Jsonb	   *value;

	if (PG_ARGISNULL(1))
		return (Datum) 0;
	value = PG_GETARG_JSONB_P(1);
	if (VARSIZE(value) > (Size) cano_max_value_size * 1024)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("value of %zu kB is too large",
						((Size) VARSIZE(value) + 1023) / 1024),
				 errdetail("\"%s\" is %d kB.", "cano.max_value_size",
						   cano_max_value_size),
				 errhint("Keep large values in a table of your own, or raise \"%s\".",
						 "cano.max_value_size")));
	return JsonbPGetDatum(value);
}

/*
 * The first column of the first row, out of SPI's memory.
 */
static Datum
first_value(MemoryContext context, bool *isnull)
{
	MemoryContext oldcontext;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[0],
									  SPI_tuptable->tupdesc, 1, isnull);

	if (*isnull)
		return (Datum) 0;
	oldcontext = MemoryContextSwitchTo(context);
	value = PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
	MemoryContextSwitchTo(oldcontext);
	return value;
}
