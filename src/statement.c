/*-------------------------------------------------------------------------
 *
 * statement.c
 *	  One constant SQL statement: planned at first use, kept, run by value.
 *
 * Plans are generic, and made with the planner's taste for whole tables
 * turned off: a plan made while a table is nearly empty is still in use when
 * it is large.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/queryenvironment.h"
#include "utils/tuplestore.h"

#include "json.h"
#include "statement.h"
#include "window.h"

#define GATHERED	"gathered"

/* Above that they are on disk: an array could not be as large. */
#define GATHERED_KB	((int) (MaxAllocSize / 1024))

static void prepare(CanoStatement *statement);
static void plan_for_growth(void);
static Datum column(int row, int number, bool *isnull);
static uint64 run_gathered(const CanoRows *rows, CanoStatement *statement,
						   int expect);
static TupleDesc describe(const CanoStatement *statement);

uint64
cano_statement_run(CanoStatement *statement, Datum *values, const char *nulls,
				   int expect)
{
	int			result;

	Assert(cano_window_is_open());

	if (statement->plan == NULL)
		prepare(statement);
	if (!statement->planned || !SPI_plan_is_valid(statement->plan))
		plan_for_growth();

	result = SPI_execute_plan(statement->plan, values, nulls, false, 0);
	if (result != expect)
		elog(ERROR, "SPI_execute_plan failed: %s: %s",
			 SPI_result_code_string(result), statement->sql);
	statement->planned = true;
	return SPI_processed;
}

static void
prepare(CanoStatement *statement)
{
	SPIPlanPtr	plan = SPI_prepare_cursor(statement->sql,
										  statement->gathers ? 0 :
										  statement->nparameters,
										  statement->types,
										  CURSOR_OPT_GENERIC_PLAN);

	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s: %s",
			 SPI_result_code_string(SPI_result), statement->sql);
	if (SPI_keepplan(plan) != 0)
		elog(ERROR, "SPI_keepplan failed");
	statement->plan = plan;
}

/* Undone when the window closes. */
static void
plan_for_growth(void)
{
	static const char *const names[] = {
		"enable_bitmapscan", "enable_hashjoin", "enable_mergejoin",
		"enable_seqscan", "jit"
	};

	for (int i = 0; i < lengthof(names); i++)
		(void) set_config_option(names[i], "off", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
}

static Datum
column(int row, int number, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc,
						 number, isnull);
}

int64
cano_column_int64(int row, int number, int64 if_null)
{
	bool		isnull;
	Datum		value = column(row, number, &isnull);

	return isnull ? if_null : DatumGetInt64(value);
}

int32
cano_column_int32(int row, int number, int32 if_null)
{
	bool		isnull;
	Datum		value = column(row, number, &isnull);

	return isnull ? if_null : DatumGetInt32(value);
}

bool
cano_column_bool(int row, int number, bool if_null)
{
	bool		isnull;
	Datum		value = column(row, number, &isnull);

	return isnull ? if_null : DatumGetBool(value);
}

char
cano_column_char(int row, int number, char if_null)
{
	bool		isnull;
	Datum		value = column(row, number, &isnull);

	return isnull ? if_null : DatumGetChar(value);
}

TimestampTz
cano_column_time(int row, int number, TimestampTz if_null)
{
	bool		isnull;
	Datum		value = column(row, number, &isnull);

	return isnull ? if_null : DatumGetTimestampTz(value);
}

char *
cano_column_text(int row, int number)
{
	bool		isnull;
	Datum		value = column(row, number, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

Oid
cano_column_place(int row, CanoPlace *place)
{
	bool		isnull;

	place->priority = cano_column_int32(row, 2, 0);
	place->id = cano_column_int64(row, 3, 0);
	return DatumGetObjectId(column(row, 1, &isnull));
}

Jsonb *
cano_column_jsonb(int row, int number)
{
	bool		isnull;
	Datum		value = column(row, number, &isnull);

	return cano_json_copy(value, isnull);
}

void
cano_rows_init(CanoRows *rows, const CanoStatement *statement)
{
	cano_rows_init_some(rows, statement, statement->nparameters);
}

void
cano_rows_init_some(CanoRows *rows, const CanoStatement *statement,
					int ncolumns)
{
	rows->ncolumns = ncolumns;
	rows->nrows = 0;
	rows->capacity = 16;
	for (int i = 0; i < rows->ncolumns; i++)
	{
		rows->values[i] = palloc(rows->capacity * sizeof(Datum));
		rows->nulls[i] = palloc(rows->capacity * sizeof(bool));
	}
}

int
cano_rows_add(CanoRows *rows)
{
	if (rows->nrows == rows->capacity)
	{
		rows->capacity *= 2;
		for (int i = 0; i < rows->ncolumns; i++)
		{
			rows->values[i] = repalloc(rows->values[i],
									   rows->capacity * sizeof(Datum));
			rows->nulls[i] = repalloc(rows->nulls[i],
									  rows->capacity * sizeof(bool));
		}
	}
	for (int i = 0; i < rows->ncolumns; i++)
	{
		rows->values[i][rows->nrows] = (Datum) 0;
		rows->nulls[i][rows->nrows] = true;
	}
	return rows->nrows++;
}

void
cano_rows_set(CanoRows *rows, int row, int column, Datum value)
{
	rows->values[column][row] = value;
	rows->nulls[column][row] = false;
}

void
cano_rows_set_text(CanoRows *rows, int row, int column, const char *value)
{
	if (value != NULL)
		cano_rows_set(rows, row, column, CStringGetTextDatum(value));
}

void
cano_rows_set_jsonb(CanoRows *rows, int row, int column, const Jsonb *value)
{
	if (value != NULL)
		cano_rows_set(rows, row, column, JsonbPGetDatum(value));
}

uint64
cano_rows_run(CanoRows *rows, CanoStatement *statement, int expect)
{
	Datum		arrays[CANO_MAX_PARAMETERS];

	if (rows->nrows == 0)
		return 0;
	if (statement->gathers)
		return run_gathered(rows, statement, expect);
	cano_rows_arrays(rows, statement, arrays);
	return cano_statement_run(statement, arrays, NULL, expect);
}

/*
 * To put a row together once costs a fraction of what unnest() takes to do so
 * from a tuplestore for each column.
 */
static uint64
run_gathered(const CanoRows *rows, CanoStatement *statement, int expect)
{
	Tuplestorestate *store = tuplestore_begin_heap(false, false, GATHERED_KB);
	EphemeralNamedRelationData relation = {
		.md.name = GATHERED,
		.md.enrtype = ENR_NAMED_TUPLESTORE,
		.md.enrtuples = rows->nrows,
		.reldata = store
	};
	Datum		values[CANO_MAX_PARAMETERS];
	bool		nulls[CANO_MAX_PARAMETERS];
	uint64		n;

	if (statement->desc == NULL)
		statement->desc = describe(statement);
	relation.md.tupdesc = statement->desc;
	for (int row = 0; row < rows->nrows; row++)
	{
		for (int i = 0; i < rows->ncolumns; i++)
		{
			values[i] = rows->values[i][row];
			nulls[i] = rows->nulls[i][row];
		}
		tuplestore_putvalues(store, statement->desc, values, nulls);
	}
	if (SPI_register_relation(&relation) != SPI_OK_REL_REGISTER)
		elog(ERROR, "SPI_register_relation failed");
	n = cano_statement_run(statement, NULL, NULL, expect);
	(void) SPI_unregister_relation(GATHERED);
	tuplestore_end(store);
	return n;
}

static TupleDesc
describe(const CanoStatement *statement)
{
	TupleDesc	desc = CreateTemplateTupleDesc(statement->nparameters);
	MemoryContext context;

	for (int i = 0; i < statement->nparameters; i++)
		TupleDescInitEntry(desc, i + 1, psprintf("column%d", i + 1),
						   statement->types[i], -1, 0);
	context = MemoryContextSwitchTo(TopMemoryContext);
	desc = CreateTupleDescCopy(desc);
	MemoryContextSwitchTo(context);
	return desc;
}

void
cano_rows_arrays(const CanoRows *rows, const CanoStatement *statement,
				 Datum *arrays)
{
	for (int i = 0; i < rows->ncolumns; i++)
	{
		Oid			element = get_element_type(statement->types[i]);
		int16		typlen;
		bool		typbyval;
		char		typalign;
		int			dims = rows->nrows;
		int			lower = 1;

		get_typlenbyvalalign(element, &typlen, &typbyval, &typalign);
		arrays[i] = PointerGetDatum(construct_md_array(rows->values[i],
													   rows->nulls[i],
													   1, &dims, &lower,
													   element, typlen,
													   typbyval, typalign));
	}
}
