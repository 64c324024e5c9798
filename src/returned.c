/*-------------------------------------------------------------------------
 *
 * returned.c
 *	  What a task's value means: where to go, its output, a batch's items.
 *
 * An outcome is an ordinary composite value: nothing stops a task from
 * building one by hand, so every field is checked.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "guc.h"
#include "returned.h"

/* The columns of cano.outcome. */
enum
{
	OUTCOME_KIND,
	OUTCOME_STATE,
	OUTCOME_OUTPUT,
	OUTCOME_CURSOR,
	OUTCOME_DELAY,
	OUTCOME_REASON,
	OUTCOME_DETAIL,
	OUTCOME_COLUMNS
};

static const char *const outcome_columns[] = {
	"kind", "state", "output", "cursor", "delay", "reason", "detail"
};

#define WITH(column)	(1 << (column))

/* Each kind of outcome and the columns that mean something for it. */
static const struct
{
	const char *kind;
	CanoHappened what;
	int			columns;
}			outcome_kinds[] =

{
	{"next", CANO_SAID_NEXT,
	WITH(OUTCOME_STATE) | WITH(OUTCOME_OUTPUT) | WITH(OUTCOME_DELAY)},
	{"more", CANO_SAID_MORE,
	WITH(OUTCOME_CURSOR) | WITH(OUTCOME_OUTPUT) | WITH(OUTCOME_DELAY)},
	{"pending", CANO_SAID_PENDING, WITH(OUTCOME_DELAY)},
	{"failed", CANO_SAID_FAILED, WITH(OUTCOME_REASON) | WITH(OUTCOME_DETAIL)},
	{"cancelled", CANO_SAID_CANCELLED, WITH(OUTCOME_REASON)}
};

#define PENDING_DELAY	INT64CONST(1000000)

/* All outputs of a batch are one array, and every item is rows of ours. */
#define MAX_ITEMS		1000000

/* Room for items at first; doubled whenever it is full. */
#define FEW_ITEMS		64

static void take_items(const CanoFunction *function, Datum value,
					   FmgrInfo *to_jsonb, MemoryContext context,
					   CanoReturn *result);
static void add_item(Jsonb *item, MemoryContext context, CanoReturn *result);
static void take_outcome(Datum value, TimestampTz now, MemoryContext context,
						 CanoReturn *result);
static void check_outcome(const Datum *values, const bool *nulls,
						  CanoReturn *result);
static void take_time(Oid type, Datum value, TimestampTz now,
					  CanoReturn *result);
static char *take_name(Oid type, Datum value, MemoryContext context);
static Jsonb *take_jsonb(const char *what, Datum value, MemoryContext context);
static char *take_text(Datum value, MemoryContext context);
static TimestampTz later(TimestampTz now, Datum interval);

void
cano_returned_take(const CanoFunction *function, CanoUse use, Datum value,
				   bool isnull, FmgrInfo *to_jsonb, TimestampTz now,
				   MemoryContext context, CanoReturn *result)
{
	Oid			type = function->return_base;

	if (use == CANO_USE_LOAD)
	{
		cano_returned_begin_items(result);
		if (!isnull)
			take_items(function, value, to_jsonb, context, result);
		return;
	}

	memset(result, 0, sizeof(*result));
	result->what = CANO_SAID_NEXT;

	if (type == VOIDOID)
		return;
	if (use == CANO_USE_TIMER)
	{
		if (isnull)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("function \"%s\" of a timer returned null",
							function->signature)));
		take_time(type, value, now, result);
	}
	else if (use == CANO_USE_POLL && type == BOOLOID)
	{
		if (isnull || !DatumGetBool(value))
		{
			result->what = CANO_SAID_PENDING;
			result->delay_us = PENDING_DELAY;
		}
	}
	else if (isnull)
		return;
	else if (function->returns_outcome)
		take_outcome(value, now, context, result);
	else if (use == CANO_USE_ROUTER)
		result->target = take_name(type, value, context);
	else
	{
		if (type != JSONBOID)
			value = FunctionCall1(to_jsonb, value);
		result->output = take_jsonb("value", value, context);
	}
}

void
cano_returned_begin_items(CanoReturn *result)
{
	memset(result, 0, sizeof(*result));
	result->what = CANO_SAID_ITEMS;
}

void
cano_returned_add_item(const CanoFunction *function, Datum value, bool isnull,
					   FmgrInfo *to_jsonb, MemoryContext context,
					   CanoReturn *result)
{
	if (!isnull && function->return_base != JSONBOID)
		value = FunctionCall1(to_jsonb, value);
	add_item(isnull ? NULL : take_jsonb("item", value, context), context,
			 result);
}

/*
 * The elements of an array, or of a JSON array.
 */
static void
take_items(const CanoFunction *function, Datum value, FmgrInfo *to_jsonb,
		   MemoryContext context, CanoReturn *result)
{
	Jsonb	   *array;
	JsonbIterator *it;
	JsonbValue	element;
	MemoryContext scratch;
	MemoryContext oldcontext;

	if (function->return_base != JSONBOID)
		value = FunctionCall1(to_jsonb, value);
	array = DatumGetJsonbP(value);

	/* Inside, a scalar is an array of one. */
	it = JsonbIteratorInit(&array->root);
	(void) JsonbIteratorNext(&it, &element, false);
	if (element.type != jbvArray || element.val.array.rawScalar)
	{
		if (element.type == jbvArray)
			(void) JsonbIteratorNext(&it, &element, false);
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("function \"%s\" returned no JSON array, but a JSON value of type %s",
						function->signature, JsonbTypeName(&element)),
				 errhint("A batch's load returns its items as a set of rows, an array or a JSON array.")));
	}

	scratch = AllocSetContextCreate(CurrentMemoryContext, "cano item",
									ALLOCSET_SMALL_SIZES);
	oldcontext = MemoryContextSwitchTo(scratch);
	while (JsonbIteratorNext(&it, &element, true) == WJB_ELEM)
	{
		value = JsonbPGetDatum(JsonbValueToJsonb(&element));
		add_item(take_jsonb("item", value, context), context, result);
		MemoryContextReset(scratch);
	}
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(scratch);
}

/* "item" is in the context already. */
static void
add_item(Jsonb *item, MemoryContext context, CanoReturn *result)
{
	int			n = result->nitems;

	CHECK_FOR_INTERRUPTS();
	if (n == MAX_ITEMS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a batch cannot have more than %d items", MAX_ITEMS),
				 errhint("Make an item of many rows, or load a part of them at a time.")));
	if (n == 0)
		result->items = MemoryContextAlloc(context,
										   FEW_ITEMS * sizeof(Jsonb *));
	else if (n >= FEW_ITEMS && (n & (n - 1)) == 0)
		result->items = repalloc(result->items, 2 * n * sizeof(Jsonb *));
	result->items[result->nitems++] = item;
}

static void
take_outcome(Datum value, TimestampTz now, MemoryContext context,
			 CanoReturn *result)
{
	HeapTupleHeader header = DatumGetHeapTupleHeader(value);
	TupleDesc	desc;
	HeapTupleData tuple;
	Datum		values[OUTCOME_COLUMNS];
	bool		nulls[OUTCOME_COLUMNS];

	desc = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header),
								  HeapTupleHeaderGetTypMod(header));
	if (desc->natts != OUTCOME_COLUMNS)
		elog(ERROR, "cano.outcome has %d columns", desc->natts);
	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = header;
	heap_deform_tuple(&tuple, desc, values, nulls);
	ReleaseTupleDesc(desc);

	check_outcome(values, nulls, result);

	if (!nulls[OUTCOME_STATE])
		result->target = take_text(values[OUTCOME_STATE], context);
	if (!nulls[OUTCOME_OUTPUT])
		result->output = take_jsonb("value", values[OUTCOME_OUTPUT], context);
	if (!nulls[OUTCOME_CURSOR])
		result->cursor = take_jsonb("value", values[OUTCOME_CURSOR], context);
	if (!nulls[OUTCOME_REASON])
		result->reason = take_text(values[OUTCOME_REASON], context);
	else if (result->what == CANO_SAID_FAILED)
		result->reason = "failed";
	if (!nulls[OUTCOME_DETAIL])
		result->detail = take_jsonb("value", values[OUTCOME_DETAIL], context);
	if (!nulls[OUTCOME_DELAY])
	{
		TimestampTz until = later(now, values[OUTCOME_DELAY]);

		if (TIMESTAMP_NOT_FINITE(until))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("delay of an outcome must be finite")));
		result->delay_us = until - now;
	}
	else if (result->what == CANO_SAID_PENDING)
		result->delay_us = PENDING_DELAY;
}

/*
 * Which outcome is it, and does it have only what such an outcome has?  A row
 * of nothing but nulls is null, as SQL sees it.
 */
static void
check_outcome(const Datum *values, const bool *nulls, CanoReturn *result)
{
	int			kind = -1;
	const char *name = "next";

	if (!nulls[OUTCOME_KIND])
		name = TextDatumGetCString(values[OUTCOME_KIND]);
	for (int i = 0; i < lengthof(outcome_kinds); i++)
		if (strcmp(name, outcome_kinds[i].kind) == 0)
			kind = i;
	if (kind < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown kind of outcome: \"%s\"", name),
				 errhint("Build outcomes with cano.next(), cano.more(), cano.pending(), cano.failed() and cano.cancelled().")));

	for (int i = OUTCOME_KIND + 1; i < OUTCOME_COLUMNS; i++)
	{
		if (nulls[i])
			continue;
		if (nulls[OUTCOME_KIND])
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("outcome has a value for \"%s\", but no kind",
							outcome_columns[i]),
					 errhint("Build outcomes with cano.next(), cano.more(), cano.pending(), cano.failed() and cano.cancelled().")));
		if (!(outcome_kinds[kind].columns & WITH(i)))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("outcome \"%s\" cannot have a value for \"%s\"",
							name, outcome_columns[i]),
					 errhint("Build outcomes with cano.next(), cano.more(), cano.pending(), cano.failed() and cano.cancelled().")));
	}
	result->what = outcome_kinds[kind].what;
}

static void
take_time(Oid type, Datum value, TimestampTz now, CanoReturn *result)
{
	result->what = CANO_SAID_UNTIL;
	if (type == INTERVALOID)
		result->until = later(now, value);
	else if (type == TIMESTAMPTZOID)
		result->until = DatumGetTimestampTz(value);
	else
		elog(ERROR, "unexpected return type of a timer: %u", type);

	if (TIMESTAMP_IS_NOEND(result->until))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("a timer cannot wait for ever"),
				 errhint("Wait for a signal instead: cano.receive().")));

	/* The past is now, however far back; so -infinity is no special case. */
	if (result->until < now)
		result->until = now;
}

static char *
take_name(Oid type, Datum value, MemoryContext context)
{
	if (type == NAMEOID)
		return MemoryContextStrdup(context, NameStr(*DatumGetName(value)));
	return take_text(value, context);
}

static Jsonb *
take_jsonb(const char *what, Datum value, MemoryContext context)
{
	MemoryContext oldcontext;
	Size		size = toast_raw_datum_size(value);
	Jsonb	   *copy;

	if (size > (Size) cano_max_value_size * 1024)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%s of %zu kB that the task returned is too large",
						what, (size + 1023) / 1024),
				 errdetail("\"%s\" is %d kB.", "cano.max_value_size",
						   cano_max_value_size),
				 errhint("Keep large values in a table of your own and return a key to them, or raise \"%s\".",
						 "cano.max_value_size")));

	oldcontext = MemoryContextSwitchTo(context);
	copy = DatumGetJsonbPCopy(value);
	MemoryContextSwitchTo(oldcontext);
	return copy;
}

static char *
take_text(Datum value, MemoryContext context)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	char	   *copy = TextDatumGetCString(value);

	MemoryContextSwitchTo(oldcontext);
	return copy;
}

/*
 * Never earlier than now.
 */
static TimestampTz
later(TimestampTz now, Datum interval)
{
	TimestampTz then;

	then = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
												   TimestampTzGetDatum(now),
												   interval));
	return Max(then, now);
}
