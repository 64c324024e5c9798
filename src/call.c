/*-------------------------------------------------------------------------
 *
 * call.c
 *	  Bind a function's parameters by name, call it, take what it returns.
 *
 * A call is an expression, f(p1 => $1, p2 => $2, ...), planned once for each
 * set of parameters that are given.  That way the server itself fills in
 * defaults, minds STRICT and EXECUTE, and inlines what can be inlined.  The
 * planned expression is kept with the function; what executes it is made anew
 * in each transaction, because functions may keep things of the transaction
 * in there, and is thrown away with the whole description of the function
 * after an error.  A function that returns a set, a batch's load, is executed
 * as in a target list, and from scratch, so that an error leaves nothing of its
 * rows behind.
 *
 * Values that come from JSON are converted by jsonb_populate_record, all
 * parameters of a call at once, so that a parameter means what a column of
 * its name would.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "call.h"
#include "compat.h"
#include "error.h"
#include "returned.h"
#include "scrub.h"
#include "spelling.h"

/* Plans of one function, one for each set of absent parameters with defaults. */
#define MAX_PLANS	16

struct CanoCallPlan
{
	CanoCallPlan *next;
	bool	   *given;			/* by parameter */
	Expr	   *expr;
	int			nconverted;		/* parameters converted from JSON, and the */
	int		   *converted;		/* row that they are converted to */
	TupleDesc	row_desc;
	Datum		row_nulls;		/* such a row, all null */

	/* Of this transaction only: */
	MemoryContext executable;
	LocalTransactionId lxid;
	ExprState  *state;			/* NULL when it returns a set */
	ExprContext *econtext;
	ParamListInfo params;
	FmgrInfo	populate;
	FmgrInfo	to_jsonb;
};

/* What a parameter is given in this call. */
typedef struct Value
{
	bool		given;
	bool		isnull;
	Datum		scalar;			/* source type is a scalar */
	JsonbValue	json;			/* source type is jsonb */
	Jsonb	   *whole;			/* the same, where it is one */
} Value;

static void call_function(CanoFunction *function, CanoUse use,
						  const CanoBinding *binding, TimestampTz now,
						  MemoryContext context, CanoReturn *result);
static void collect_rows(const CanoFunction *function, CanoCallPlan *plan,
						 MemoryContext context, CanoReturn *result);
static void collect(const CanoFunction *function, CanoUse use,
					const CanoBinding *binding, Value *values);
static const char *hint_missing(const Jsonb *data, const char *name);
static bool find_key(CanoUse use, const CanoBinding *binding, const char *key,
					 JsonbValue *value);
static void take_scalar(CanoSource source, const CanoBinding *binding,
						Value *value);
static Jsonb *jsonb_source(CanoSource source, const CanoBinding *binding);
static CanoCallPlan *find_plan(CanoFunction *function, const Value *values);
static CanoCallPlan *make_plan(const CanoFunction *function,
							   const Value *values);
static Expr *make_call(const CanoFunction *function, const CanoCallPlan *plan);
static void make_row(const CanoFunction *function, CanoCallPlan *plan);
static void make_executable(const CanoFunction *function, CanoCallPlan *plan);
static void bind(const CanoFunction *function, CanoCallPlan *plan,
				 const Value *values);
static void convert(const CanoFunction *function, CanoCallPlan *plan,
					const Value *values);
static bool is_converted(const CanoParameter *parameter);
static void binding_error(void *arg);

/* Has the task itself been reached since cano_call_mark()? */
static bool in_body = false;

void
cano_call(CanoFunction *function, CanoUse use, const CanoBinding *binding,
		  TimestampTz now, MemoryContext context, CanoReturn *result)
{
	function->busy = true;
	PG_TRY();
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		call_function(function, use, binding, now, context, result);
		PopActiveSnapshot();
		CommandCounterIncrement();

		/*
		 * Safe inside a subtransaction only because no event of an earlier
		 * step is left in the queue: each fires its own here.  In somebody's
		 * own transaction there may be events of his.
		 */
		if (use != CANO_USE_HEALTH)
		{
			AfterTriggerFireDeferred();
			CommandCounterIncrement();
		}
	}
	PG_CATCH();
	{
		function->busy = false;
		function->broken = true;
		PG_RE_THROW();
	}
	PG_END_TRY();
	function->busy = false;
}

void
cano_call_mark(void)
{
	in_body = false;
	cano_scrub_begin();
}

bool
cano_call_in_body(void)
{
	return in_body;
}

static void
call_function(CanoFunction *function, CanoUse use, const CanoBinding *binding,
			  TimestampTz now, MemoryContext context, CanoReturn *result)
{
	ErrorContextCallback callback;
	MemoryContext oldcontext;
	MemoryContext scratch;
	CanoCallPlan *plan;
	Value	   *values;
	Datum		datum;
	bool		isnull;

	callback.callback = binding_error;
	callback.arg = function;
	callback.previous = error_context_stack;
	error_context_stack = &callback;

	scratch = AllocSetContextCreate(CurrentMemoryContext, "cano call",
									ALLOCSET_SMALL_SIZES);
	oldcontext = MemoryContextSwitchTo(scratch);
	values = palloc0(sizeof(Value) * Max(function->nparameters, 1));
	collect(function, use, binding, values);
	plan = find_plan(function, values);
	if (plan->lxid != cano_lxid())
		make_executable(function, plan);
	bind(function, plan, values);

	error_context_stack = callback.previous;

	in_body = true;
	if (function->returns_set)
		collect_rows(function, plan, context, result);
	else
	{
		datum = ExecEvalExprSwitchContext(plan->state, plan->econtext, &isnull);
		if (use != CANO_USE_OBSERVE)
			cano_returned_take(function, use, datum, isnull, &plan->to_jsonb,
							   now, context, result);
	}

	MemoryContextSwitchTo(oldcontext);
	ReScanExprContext(plan->econtext);
	MemoryContextDelete(scratch);
}

/*
 * The current memory context is for all that lives until the last row; each
 * row has the expression context's own.
 */
static void
collect_rows(const CanoFunction *function, CanoCallPlan *plan,
			 MemoryContext context, CanoReturn *result)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	ExprContext *econtext = CreateStandaloneExprContext();
	SetExprState *set;

	econtext->ecxt_param_list_info = plan->params;
	set = ExecInitFunctionResultSet(plan->expr, econtext, NULL);

	cano_returned_begin_items(result);
	MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
	for (;;)
	{
		ExprDoneCond done;
		bool		isnull;
		Datum		row;

		ResetExprContext(econtext);
		row = ExecMakeFunctionResultSet(set, econtext, oldcontext, &isnull,
										&done);
		if (done == ExprEndResult)
			break;
		cano_returned_add_item(function, row, isnull, &plan->to_jsonb,
							   context, result);
		if (done == ExprSingleResult)
			break;
	}
	MemoryContextSwitchTo(oldcontext);
	FreeExprContext(econtext, true);
}

/* Errors of the call itself have the function's own context. */
static void
binding_error(void *arg)
{
	const CanoFunction *function = arg;

	errcontext("parameters of function %s", function->signature);
}

/*
 * Find a value for each parameter: by its source, else its own default.
 */
static void
collect(const CanoFunction *function, CanoUse use, const CanoBinding *binding,
		Value *values)
{
	for (int i = 0; i < function->nparameters; i++)
	{
		const CanoParameter *parameter = &function->parameters[i];
		Value	   *value = &values[i];

		value->given = true;
		if (parameter->source_type != JSONBOID)
			take_scalar(parameter->source, binding, value);
		else if (parameter->source == CANO_FROM_KEY)
		{
			value->given = find_key(use, binding, parameter->name,
									&value->json);
			if (!value->given && !parameter->has_default)
				ereport(ERROR,
						(errcode(cano_errcode(CANO_CAT_MISSING_ARGUMENT)),
						 errmsg("no value for parameter \"%s\" of function \"%s\" in state \"%s\"",
								parameter->name, function->signature,
								binding->state),
						 errhint("%s", hint_missing(binding->data, parameter->name))));
			value->isnull = !value->given || value->json.type == jbvNull;
		}
		else
		{
			Jsonb	   *json = jsonb_source(parameter->source, binding);

			value->whole = json;
			if (json == NULL)
				value->isnull = true;
			else if (JB_ROOT_IS_SCALAR(json))
			{
				(void) JsonbExtractScalar(&json->root, &value->json);
				value->isnull = value->json.type == jbvNull;
			}
			else
			{
				value->json.type = jbvBinary;
				value->json.val.binary.data = &json->root;
				value->json.val.binary.len = VARSIZE(json) - VARHDRSZ;
			}
		}
	}
}

/*
 * A key of nearly that name explains it best.
 */
static const char *
hint_missing(const Jsonb *data, const char *name)
{
	CanoSpelling spelling;
	JsonbIterator *it = JsonbIteratorInit(unconstify(JsonbContainer *, &data->root));
	JsonbValue	key;
	JsonbIteratorToken token;

	cano_spelling_init(&spelling, name);
	while ((token = JsonbIteratorNext(&it, &key, true)) != WJB_DONE)
		if (token == WJB_KEY)
			cano_spelling_offer(&spelling, pnstrdup(key.val.string.val,
													key.val.string.len));
	return spelling.best == NULL ?
		"Put a key of that name into the run's data, or give the parameter a default." :
		psprintf("The run's data has a key \"%s\": give key and parameter the same name.",
				 spelling.best);
}

static bool
find_key(CanoUse use, const CanoBinding *binding, const char *key,
		 JsonbValue *value)
{
	int			len = strlen(key);

	if (use == CANO_USE_COMPENSATE && binding->output != NULL &&
		JB_ROOT_IS_OBJECT(binding->output) &&
		getKeyJsonValueFromContainer(&binding->output->root, key, len, value))
		return true;
	return getKeyJsonValueFromContainer(&binding->data->root, key, len,
										value) != NULL;
}

static void
take_scalar(CanoSource source, const CanoBinding *binding, Value *value)
{
	const char *string = NULL;

	switch (source)
	{
		case CANO_FROM_RUN_ID:
			value->scalar = Int64GetDatum(binding->run_id);
			return;
		case CANO_FROM_ATTEMPT:
			value->scalar = Int32GetDatum(binding->attempt);
			return;
		case CANO_FROM_BRANCH:
			value->scalar = Int32GetDatum(binding->branch);
			value->isnull = binding->branch < 0;
			return;
		case CANO_FROM_WORKFLOW:
			string = binding->workflow;
			break;
		case CANO_FROM_STATE:
			string = binding->state;
			break;
		case CANO_FROM_IDEMPOTENCY_KEY:
			string = binding->idempotency_key;
			break;
		case CANO_FROM_STATUS:
			string = binding->status;
			break;
		case CANO_FROM_FINAL_STATE:
			string = binding->final_state;
			break;
		default:
			elog(ERROR, "unexpected source of a parameter: %d", source);
	}
	value->isnull = string == NULL;
	if (string != NULL)
		value->scalar = CStringGetTextDatum(string);
}

static Jsonb *
jsonb_source(CanoSource source, const CanoBinding *binding)
{
	switch (source)
	{
		case CANO_FROM_DATA:
			return binding->data;
		case CANO_FROM_INPUT:
			return binding->input;
		case CANO_FROM_OUTPUT:
			return binding->output;
		case CANO_FROM_CURSOR:
			return binding->cursor;
		case CANO_FROM_ITEM:
			return binding->item;
		case CANO_FROM_OUTPUTS:
			return binding->outputs;
		case CANO_FROM_SIGNAL:
			return binding->signal;
		case CANO_FROM_HEADERS:
			return binding->headers;
		case CANO_FROM_RESOURCES:
			return binding->resources;
		case CANO_FROM_RESULT:
			return binding->result;
		case CANO_FROM_ERROR:
			return binding->error;
		default:
			elog(ERROR, "unexpected source of a parameter: %d", source);
	}
	return NULL;
}

/*
 * The plan for just these parameters.
 */
static CanoCallPlan *
find_plan(CanoFunction *function, const Value *values)
{
	CanoCallPlan *plan;
	MemoryContext oldcontext;
	int			nplans = 0;

	for (plan = function->plans; plan != NULL; plan = plan->next)
	{
		bool		same = true;

		for (int i = 0; i < function->nparameters && same; i++)
			same = plan->given[i] == values[i].given;
		if (same)
			return plan;
		nplans++;
	}

	/* A function with many defaults must not fill the memory. */
	if (nplans >= MAX_PLANS)
		function->broken = true;

	oldcontext = MemoryContextSwitchTo(function->context);
	plan = make_plan(function, values);
	MemoryContextSwitchTo(oldcontext);
	plan->next = function->plans;
	function->plans = plan;
	return plan;
}

static CanoCallPlan *
make_plan(const CanoFunction *function, const Value *values)
{
	CanoCallPlan *plan = palloc0(sizeof(CanoCallPlan));

	plan->given = palloc0(Max(function->nparameters, 1) * sizeof(bool));
	plan->converted = palloc0(Max(function->nparameters, 1) * sizeof(int));
	for (int i = 0; i < function->nparameters; i++)
	{
		plan->given[i] = values[i].given;
		if (plan->given[i] && is_converted(&function->parameters[i]))
			plan->converted[plan->nconverted++] = i;
	}
	plan->expr = make_call(function, plan);
	if (plan->nconverted > 0)
		make_row(function, plan);
	plan->executable = AllocSetContextCreate(CurrentMemoryContext,
											 "cano call plan",
											 ALLOCSET_SMALL_SIZES);
	plan->lxid = InvalidLocalTransactionId;
	return plan;
}

/* Values for jsonb parameters are passed as they are. */
static bool
is_converted(const CanoParameter *parameter)
{
	return parameter->source_type == JSONBOID && parameter->type != JSONBOID;
}

/*
 * f(given parameters by name): the planner adds the defaults of the others.
 */
static Expr *
make_call(const CanoFunction *function, const CanoCallPlan *plan)
{
	List	   *args = NIL;
	FuncExpr   *call;

	for (int i = 0; i < function->nparameters; i++)
	{
		const CanoParameter *parameter = &function->parameters[i];
		Param	   *param;
		NamedArgExpr *arg;
		Oid			type;

		if (!plan->given[i])
			continue;

		type = is_converted(parameter) ? parameter->type : parameter->source_type;
		param = makeNode(Param);
		param->paramkind = PARAM_EXTERN;
		param->paramid = i + 1;
		param->paramtype = type;
		param->paramtypmod = -1;
		param->paramcollid = get_typcollation(type);
		param->location = -1;

		arg = makeNode(NamedArgExpr);
		arg->name = pstrdup(parameter->name);
		arg->argnumber = i;
		arg->location = -1;
		arg->arg = (Expr *) coerce_to_target_type(NULL, (Node *) param, type,
												  parameter->type, -1,
												  COERCION_ASSIGNMENT,
												  COERCE_IMPLICIT_CAST, -1);
		if (arg->arg == NULL)
			elog(ERROR, "cannot pass %s as parameter \"%s\"",
				 format_type_be(type), parameter->name);
		args = lappend(args, arg);
	}

	call = makeFuncExpr(function->oid, function->return_type, args,
						InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
	call->funcretset = function->returns_set;
	call->funcvariadic = function->variadic;
	assign_expr_collations(NULL, (Node *) call);
	return expression_planner((Expr *) call);
}

static void
make_row(const CanoFunction *function, CanoCallPlan *plan)
{
	TupleDesc	desc = CreateTemplateTupleDesc(plan->nconverted);
	Datum	   *values = palloc0(plan->nconverted * sizeof(Datum));
	bool	   *nulls = palloc(plan->nconverted * sizeof(bool));

	for (int i = 0; i < plan->nconverted; i++)
	{
		const CanoParameter *parameter =
			&function->parameters[plan->converted[i]];

		TupleDescInitEntry(desc, i + 1, parameter->name, parameter->type, -1, 0);
		nulls[i] = true;
	}
	plan->row_desc = BlessTupleDesc(desc);
	plan->row_nulls = HeapTupleGetDatum(heap_form_tuple(plan->row_desc,
														values, nulls));
}

static void
make_executable(const CanoFunction *function, CanoCallPlan *plan)
{
	MemoryContext oldcontext;
	List	   *args;

	plan->lxid = InvalidLocalTransactionId;
	MemoryContextReset(plan->executable);
	oldcontext = MemoryContextSwitchTo(plan->executable);

	plan->econtext = CreateStandaloneExprContext();
	plan->params = makeParamList(function->nparameters);
	for (int i = 0; i < function->nparameters; i++)
	{
		const CanoParameter *parameter = &function->parameters[i];

		plan->params->params[i].ptype =
			is_converted(parameter) ? parameter->type : parameter->source_type;
	}
	plan->econtext->ecxt_param_list_info = plan->params;
	if (!function->returns_set)
		plan->state = ExecInitExprWithParams(plan->expr, plan->params);

	if (plan->nconverted > 0)
	{
		args = list_make2(makeNullConst(RECORDOID, -1, InvalidOid),
						  makeNullConst(JSONBOID, -1, InvalidOid));
		fmgr_info(F_JSONB_POPULATE_RECORD, &plan->populate);
		fmgr_info_set_expr((Node *) makeFuncExpr(F_JSONB_POPULATE_RECORD,
												 RECORDOID, args,
												 InvalidOid, InvalidOid,
												 COERCE_EXPLICIT_CALL),
						   &plan->populate);
	}

	args = list_make1(makeNullConst(function->return_type, -1, InvalidOid));
	fmgr_info(F_TO_JSONB, &plan->to_jsonb);
	fmgr_info_set_expr((Node *) makeFuncExpr(F_TO_JSONB, JSONBOID, args,
											 InvalidOid, InvalidOid,
											 COERCE_EXPLICIT_CALL),
					   &plan->to_jsonb);

	MemoryContextSwitchTo(oldcontext);
	plan->lxid = cano_lxid();
}

static void
bind(const CanoFunction *function, CanoCallPlan *plan, const Value *values)
{
	for (int i = 0; i < function->nparameters; i++)
	{
		const CanoParameter *parameter = &function->parameters[i];
		ParamExternData *param = &plan->params->params[i];
		const Value *value = &values[i];

		param->isnull = value->isnull;
		param->value = (Datum) 0;
		if (value->isnull)
			continue;
		if (parameter->source_type != JSONBOID)
			param->value = value->scalar;
		else if (value->whole != NULL)
			param->value = JsonbPGetDatum(value->whole);
		else if (parameter->type == JSONBOID)
			param->value = JsonbPGetDatum(JsonbValueToJsonb(unconstify(JsonbValue *, &value->json)));
	}
	if (plan->nconverted > 0)
		convert(function, plan, values);
}

/*
 * All parameters that need it, through a JSON object and a row of just them.
 */
static void
convert(const CanoFunction *function, CanoCallPlan *plan, const Value *values)
{
	LOCAL_FCINFO(fcinfo, 2);
	JsonbInState state = {0};
	HeapTupleHeader header;
	HeapTupleData tuple;
	Datum	   *columns = palloc(plan->nconverted * sizeof(Datum));
	bool	   *nulls = palloc(plan->nconverted * sizeof(bool));

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < plan->nconverted; i++)
	{
		int			number = plan->converted[i];
		JsonbValue	key;
		JsonbValue	json = values[number].json;

		key.type = jbvString;
		key.val.string.val = unconstify(char *, function->parameters[number].name);
		key.val.string.len = strlen(function->parameters[number].name);
		if (values[number].isnull)
			json.type = jbvNull;
		pushJsonbValue(&state, WJB_KEY, &key);
		pushJsonbValue(&state, WJB_VALUE, &json);
	}
	pushJsonbValue(&state, WJB_END_OBJECT, NULL);

	InitFunctionCallInfoData(*fcinfo, &plan->populate, 2, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = plan->row_nulls;
	fcinfo->args[0].isnull = false;
	fcinfo->args[1].value = JsonbPGetDatum(JsonbValueToJsonb(state.result));
	fcinfo->args[1].isnull = false;
	header = DatumGetHeapTupleHeader(FunctionCallInvoke(fcinfo));

	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = header;
	heap_deform_tuple(&tuple, plan->row_desc, columns, nulls);

	for (int i = 0; i < plan->nconverted; i++)
	{
		ParamExternData *param = &plan->params->params[plan->converted[i]];

		param->value = columns[i];
		param->isnull = nulls[i];
	}
}
