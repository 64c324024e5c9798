/*-------------------------------------------------------------------------
 *
 * compile.c
 *	  From a stored document to what the engine runs.
 *
 * A stored document has been checked, so whatever does not fit here is an
 * internal error.  Defaults are applied here, and only here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "compile.h"
#include "graph.h"
#include "json.h"
#include "part.h"
#include "retry.h"
#include "rules.h"
#include "value.h"

#define DEFAULT_PRIORITY	1000

/* The longest that a rollback takes where only the run's own time is given. */
#define MAX_COMPENSATION_MS	30000

/* What is known while a document is compiled. */
typedef struct Compiler
{
	CanoDefinition *definition;
	JsonbContainer *functions;
	JsonbContainer *options;	/* NULL: none */
	CanoRetry	retry;			/* of states that retry and say nothing */
	CanoGraph	graph;			/* the states' names */
	MemoryContext scratch;
} Compiler;

static void name_states(Compiler *compiler, JsonbContainer *states);
static void compile_state(Compiler *compiler, JsonbContainer *part,
						  CanoState *state, CanoStateExtra *extra);
static void compile_targets(Compiler *compiler, JsonbContainer *part,
							const CanoStateExtra *extra, CanoState *state);
static void compile_split(Compiler *compiler, JsonbContainer *part,
						  CanoState *state, CanoStateExtra *extra);
static void compile_branch(Compiler *compiler, JsonbValue *branch,
						   CanoState *part, CanoStateExtra *extra);
static CanoJoin compile_join(JsonbContainer *join, int nbranches);
static int	share_of(Numeric share, int n);
static void compile_batch(Compiler *compiler, JsonbContainer *part,
						  CanoState *state, CanoStateExtra *extra);
static void compile_undo(Compiler *compiler, JsonbContainer *part,
						 CanoState *state, CanoStateExtra *extra);
static void compile_times(JsonbContainer *part, CanoStateExtra *extra);
static void compile_limits(Compiler *compiler);
static void compile_fatal(JsonbContainer *part, CanoState *state);
static CanoRetry compile_retry(JsonbContainer *retry);
static CanoFunctionName *compile_function(Compiler *compiler,
										  const char *name);
static CanoEnding compile_ending(JsonbContainer *part);
static CanoLog compile_log(JsonbContainer *options);
static void compile_resources(Compiler *compiler);
static void compile_around(Compiler *compiler, JsonbContainer *list);
static void compile_aside(Compiler *compiler, const char *name,
						  const char *function, int resource,
						  CanoAside *aside);
static bool retries_by_default(CanoKind kind);
static JsonbContainer *get_container(JsonbContainer *object, const char *key);
static char *get_string(JsonbContainer *object, const char *key);
static bool get_integer(JsonbContainer *object, const char *key, int32 *value);
static bool get_double(JsonbContainer *object, const char *key, double *value);
static bool get_interval(JsonbContainer *object, const char *key,
						 Interval *value);
static bool get(JsonbContainer *object, const char *key, JsonbValue *value);

CanoDefinition *
cano_compile(int64 id, const char *workflow, int version, Jsonb *document,
			 Jsonb *functions)
{
	CanoDefinition *definition = palloc0(sizeof(CanoDefinition));
	Compiler	compiler = {.definition = definition};
	JsonbContainer *states = get_container(&document->root, "states");
	JsonbContainer *retry;
	char	   *durability;
	CanoState  *compiled;
	CanoStateExtra *extra;

	compiler.functions = &functions->root;
	compiler.options = get_container(&document->root, "options");
	compiler.scratch = AllocSetContextCreate(CurrentMemoryContext,
											 "cano compile",
											 ALLOCSET_DEFAULT_SIZES);
	retry = get_container(compiler.options, "retry");
	compiler.retry = retry ? compile_retry(retry) : cano_retry_default(3);

	definition->id = id;
	definition->workflow = pstrdup(workflow);
	definition->version = version;
	definition->priority = DEFAULT_PRIORITY;
	(void) get_integer(compiler.options, "priority", &definition->priority);
	(void) get_integer(compiler.options, "concurrency", &definition->concurrency);
	compile_limits(&compiler);
	durability = get_string(compiler.options, "durability");
	definition->async = durability && strcmp(durability, "async") == 0;
	definition->log = compile_log(compiler.options);

	name_states(&compiler, states);
	compiled = palloc0(sizeof(CanoState) * compiler.graph.nstates);
	extra = palloc0(sizeof(CanoStateExtra) * compiler.graph.nstates);
	for (int i = 0; i < compiler.graph.nstates; i++)
	{
		CHECK_FOR_INTERRUPTS();
		compiled[i].name = pstrdup(compiler.graph.states[i].name);
		compile_state(&compiler,
					  get_container(states, compiled[i].name),
					  &compiled[i], &extra[i]);
		definition->model.compensates |= compiled[i].undo != NULL;
	}
	compile_resources(&compiler);

	definition->model.nstates = compiler.graph.nstates;
	definition->model.states = compiled;
	definition->model.start = cano_graph_find(&compiler.graph,
											  get_string(&document->root, "start"));
	definition->extra = extra;
	MemoryContextDelete(compiler.scratch);
	return definition;
}

/*
 * How long a run and its rollback may take.
 */
static void
compile_limits(Compiler *compiler)
{
	CanoDefinition *definition = compiler->definition;
	char	   *on_timeout = get_string(compiler->options, "on_timeout");
	Interval	interval;

	if (get_interval(compiler->options, "timeout", &interval))
		definition->timeout_ms = cano_part_milliseconds(&interval);
	if (get_interval(compiler->options, "compensation_timeout", &interval))
		definition->compensation_ms = cano_part_milliseconds(&interval);
	else if (definition->timeout_ms > 0)
		definition->compensation_ms = Min((definition->timeout_ms + 1) / 2,
										  MAX_COMPENSATION_MS);
	definition->model.abandons = on_timeout && strcmp(on_timeout, "abandon") == 0;
}

/*
 * Number the states in the document's order.
 */
static void
name_states(Compiler *compiler, JsonbContainer *states)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(compiler->scratch);
	JsonbIterator *it = JsonbIteratorInit(states);
	JsonbValue	value;

	cano_graph_init(&compiler->graph);
	(void) JsonbIteratorNext(&it, &value, false);
	while (JsonbIteratorNext(&it, &value, true) == WJB_KEY)
	{
		cano_graph_add_state(&compiler->graph, cano_value_string(&value));
		(void) JsonbIteratorNext(&it, &value, true);
	}
	(void) cano_graph_sort(&compiler->graph);
	MemoryContextSwitchTo(oldcontext);
}

static void
compile_state(Compiler *compiler, JsonbContainer *part, CanoState *state,
			  CanoStateExtra *extra)
{
	JsonbContainer *retry = get_container(part, "retry");
	char	   *run = get_string(part, "run");
	const CanoShape *shape = cano_rules_shape(&cano_rules_state,
											  get_string(part, "kind"));

	if (shape == NULL)
		elog(ERROR, "state \"%s\" is of an unknown kind", state->name);
	state->kind = shape - cano_rules_state.shapes;

	if (retry != NULL)
		state->retry = compile_retry(retry);
	else if (retries_by_default(state->kind))
		state->retry = compiler->retry;
	else
		state->retry = cano_retry_none();

	if (run != NULL)
		extra->run = compile_function(compiler, run);
	state->calls = run != NULL;
	(void) get_integer(part, "max_errors", &state->max_errors);
	extra->output_key = get_string(part, "output_key");
	extra->signal = get_string(part, "signal");
	extra->breaker = get_string(part, "breaker");
	extra->limiter = get_string(part, "limiter");
	extra->workflow = get_string(part, "workflow");
	extra->input_key = get_string(part, "input_key");
	extra->queue = get_string(part, "queue");
	state->ending = compile_ending(part);
	compile_targets(compiler, part, extra, state);
	compile_times(part, extra);
	compile_fatal(part, state);
	if (state->kind == CANO_KIND_SPLIT)
		compile_split(compiler, part, state, extra);
	else if (state->kind == CANO_KIND_BATCH)
		compile_batch(compiler, part, state, extra);
	compile_undo(compiler, part, state, extra);
}

/*
 * The successor, and where else the state may send a run.
 */
static void
compile_targets(Compiler *compiler, JsonbContainer *part,
				const CanoStateExtra *extra, CanoState *state)
{
	JsonbContainer *targets = get_container(part, "targets");
	char	   *next = get_string(part, "next");
	char	   *on_timeout = get_string(part, "on_timeout");
	char	   *on_failure = get_string(part, "on_failure");
	int			ntargets = targets ? JsonContainerSize(targets) : 0;
	int		   *indexes = palloc(sizeof(int) * (ntargets + 1));

	state->next = next ? cano_graph_find(&compiler->graph, next) : CANO_NO_STATE;
	state->on_timeout = on_timeout ? cano_graph_find(&compiler->graph, on_timeout) :
		CANO_NO_STATE;
	state->on_failure = on_failure ? cano_graph_find(&compiler->graph, on_failure) :
		CANO_NO_STATE;
	if (state->next != CANO_NO_STATE)
		indexes[state->ntargets++] = state->next;
	for (int i = 0; i < ntargets; i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(targets, i);

		indexes[state->ntargets++] =
			cano_graph_find(&compiler->graph, cano_value_string(element));
	}
	state->targets = indexes;
	state->anywhere = targets == NULL &&
		(state->kind == CANO_KIND_ROUTER ||
		 (extra->run != NULL && extra->run->returns_outcome));
}

static void
compile_split(Compiler *compiler, JsonbContainer *part, CanoState *state,
			  CanoStateExtra *extra)
{
	JsonbContainer *tasks = get_container(part, "tasks");
	CanoState  *parts;
	CanoStateExtra *extras;

	state->nparts = tasks ? JsonContainerSize(tasks) : 0;
	parts = palloc0(sizeof(CanoState) * Max(state->nparts, 1));
	extras = palloc0(sizeof(CanoStateExtra) * Max(state->nparts, 1));
	for (int i = 0; i < state->nparts; i++)
	{
		CHECK_FOR_INTERRUPTS();
		parts[i].name = state->name;
		compile_branch(compiler, getIthJsonbValueFromContainer(tasks, i),
					   &parts[i], &extras[i]);
	}
	state->parts = parts;
	extra->parts = extras;
	(void) get_integer(part, "bulkhead", &extra->lanes);
	state->join = compile_join(get_container(part, "join"), state->nparts);
}

/*
 * A branch is a function's name or an object.
 */
static void
compile_branch(Compiler *compiler, JsonbValue *branch, CanoState *part,
			   CanoStateExtra *extra)
{
	JsonbContainer *object = branch->type == jbvBinary ?
		branch->val.binary.data : NULL;
	JsonbContainer *retry = get_container(object, "retry");
	JsonbValue	input;

	part->kind = CANO_KIND_TASK;
	part->next = part->on_timeout = part->on_failure = CANO_NO_STATE;
	part->calls = true;
	part->retry = retry ? compile_retry(retry) : compiler->retry;
	extra->run = compile_function(compiler, object ?
								  get_string(object, "run") :
								  cano_value_string(branch));
	extra->breaker = get_string(object, "breaker");
	extra->limiter = get_string(object, "limiter");
	compile_times(object, extra);
	if (get(object, "input", &input))
		extra->input = JsonbValueToJsonb(&input);
}

static CanoJoin
compile_join(JsonbContainer *join, int nbranches)
{
	char	   *strategy = get_string(join, "strategy");
	CanoJoin	result = {CANO_JOIN_ALL};
	JsonbValue	share;

	if (strategy != NULL)
		result.strategy = cano_rules_shape(&cano_rules_join, strategy) -
			cano_rules_join.shapes;
	(void) get_integer(join, "n", &result.needed);
	if (get(join, "p", &share))
		result.needed = share_of(share.val.numeric, nbranches);
	return result;
}

/*
 * So many of n, rounded up.  In decimals: 7 % of 100 is 7.
 */
static int
share_of(Numeric share, int n)
{
	Datum		count = DirectFunctionCall1(int4_numeric, Int32GetDatum(n));

	count = DirectFunctionCall2(numeric_mul, NumericGetDatum(share), count);
	return DatumGetInt32(DirectFunctionCall1(numeric_int4,
											 DirectFunctionCall1(numeric_ceil,
																 count)));
}

/*
 * The state itself calls "load", and "finish" when all items are done with,
 * however they ended.
 */
static void
compile_batch(Compiler *compiler, JsonbContainer *part, CanoState *state,
			  CanoStateExtra *extra)
{
	JsonbContainer *retry = get_container(part, "item_retry");
	char	   *finish = get_string(part, "finish");
	CanoState  *item = palloc0(sizeof(CanoState));
	CanoStateExtra *item_extra = palloc0(sizeof(CanoStateExtra));

	item->name = state->name;
	item->kind = CANO_KIND_BATCH;
	item->next = item->on_timeout = item->on_failure = CANO_NO_STATE;
	item->calls = true;
	item->retry = retry ? compile_retry(retry) : cano_retry_none();
	item_extra->run = compile_function(compiler, get_string(part, "process"));
	TIMESTAMP_NOBEGIN(item_extra->until);
	state->nparts = 1;
	state->parts = item;
	state->join.strategy = CANO_JOIN_QUORUM;
	state->join.needed = 0;
	state->calls = true;

	extra->run = compile_function(compiler, get_string(part, "load"));
	if (finish != NULL)
		extra->finish = compile_function(compiler, finish);
	state->anywhere = get_container(part, "targets") == NULL &&
		finish != NULL && extra->finish->returns_outcome;
	extra->parts = item_extra;
	extra->lanes = 1;
	(void) get_integer(part, "concurrency", &extra->lanes);
}

/*
 * A compensation has as long for an attempt as what it undoes.
 */
static void
compile_undo(Compiler *compiler, JsonbContainer *part, CanoState *state,
			 CanoStateExtra *extra)
{
	char	   *compensate = get_string(part, "compensate");
	JsonbContainer *retry = get_container(part, "compensate_retry");
	CanoState  *undo;
	CanoStateExtra *undo_extra;

	if (compensate == NULL)
		return;
	undo = palloc0(sizeof(CanoState));
	undo->name = state->name;
	undo->kind = CANO_KIND_TASK;
	undo->next = undo->on_timeout = undo->on_failure = CANO_NO_STATE;
	undo->calls = true;
	undo->retry = retry ? compile_retry(retry) : cano_retry_none();
	state->undo = undo;

	undo_extra = palloc0(sizeof(CanoStateExtra));
	undo_extra->run = compile_function(compiler, compensate);
	undo_extra->timeout_ms = extra->timeout_ms;
	TIMESTAMP_NOBEGIN(undo_extra->until);
	extra->undo = undo_extra;
}

static void
compile_times(JsonbContainer *part, CanoStateExtra *extra)
{
	Interval	interval;
	char	   *until = get_string(part, "until");

	if (get_interval(part, "timeout", &interval))
		extra->timeout_ms = cano_part_milliseconds(&interval);
	if (get_interval(part, "delay", &interval))
	{
		Interval   *delay = palloc(sizeof(Interval));

		*delay = interval;
		extra->delay = delay;
	}
	TIMESTAMP_NOBEGIN(extra->until);
	if (until != NULL && !cano_part_read_instant(until, &extra->until))
		elog(ERROR, "invalid point in time \"%s\"", until);
}

static void
compile_fatal(JsonbContainer *part, CanoState *state)
{
	JsonbContainer *fatal_on = get_container(part, "fatal_on");
	const char **codes;

	if (fatal_on == NULL)
		return;
	state->nfatal = JsonContainerSize(fatal_on);
	codes = palloc(sizeof(char *) * Max(state->nfatal, 1));
	for (int i = 0; i < state->nfatal; i++)
		codes[i] = cano_value_string(getIthJsonbValueFromContainer(fatal_on, i));
	state->fatal_on = codes;
}

static CanoRetry
compile_retry(JsonbContainer *retry)
{
	CanoRetry	result = cano_retry_default(3);
	Interval	interval;

	result.policy = cano_rules_shape(&cano_rules_retry,
									 get_string(retry, "policy")) -
		cano_rules_retry.shapes;
	if (result.policy == CANO_RETRY_NONE)
		return cano_retry_none();

	(void) get_integer(retry, "retries", &result.retries);
	/* One is added to it to count the attempts. */
	if (result.retries == PG_INT32_MAX)
		result.retries--;
	(void) get_double(retry, "multiplier", &result.multiplier);
	(void) get_double(retry, "jitter", &result.jitter);
	if (get_interval(retry, "base", &interval) ||
		get_interval(retry, "delay", &interval))
		result.base_ms = cano_part_milliseconds(&interval);
	if (get_interval(retry, "max", &interval))
		result.max_ms = cano_part_milliseconds(&interval);
	return result;
}

static CanoFunctionName *
compile_function(Compiler *compiler, const char *name)
{
	CanoFunctionName *function = palloc(sizeof(CanoFunctionName));
	JsonbContainer *stored = get_container(compiler->functions, name);
	JsonbValue	value;

	if (stored == NULL)
		elog(ERROR, "function \"%s\" is not among the definition's", name);
	function->name = pstrdup(name);
	function->signature = get_string(stored, "signature");
	function->pace = hash_bytes_extended((const unsigned char *) function->signature,
										 strlen(function->signature), 0);
	function->returns_outcome = get(stored, "outcome", &value) &&
		value.type == jbvBool && value.val.boolean;
	return function;
}

static CanoEnding
compile_ending(JsonbContainer *part)
{
	char	   *outcome = get_string(part, "outcome");

	if (outcome != NULL && strcmp(outcome, "failed") == 0)
		return CANO_FAILED;
	if (outcome != NULL && strcmp(outcome, "cancelled") == 0)
		return CANO_CANCELLED;
	return CANO_COMPLETED;
}

static CanoLog
compile_log(JsonbContainer *options)
{
	char	   *log = get_string(options, "log");

	if (log != NULL && strcmp(log, "none") == 0)
		return CANO_LOG_NONE;
	if (log != NULL && strcmp(log, "all") == 0)
		return CANO_LOG_ALL;
	return CANO_LOG_ERRORS;
}

static void
compile_resources(Compiler *compiler)
{
	CanoDefinition *definition = compiler->definition;
	JsonbContainer *list = get_container(compiler->options, "resources");
	int			n = list ? JsonContainerSize(list) : 0;
	CanoResource *resources = palloc0(sizeof(CanoResource) * Max(n, 1));
	CanoJson	values;

	cano_json_begin(&values);
	for (int i = 0; i < n; i++)
	{
		JsonbContainer *part = getIthJsonbValueFromContainer(list, i)->val.binary.data;
		char	   *health = get_string(part, "health");
		JsonbValue	value;

		resources[i].name = get_string(part, "name");
		resources[i].has_setup = get_string(part, "setup") != NULL;
		if (get(part, "value", &value))
			resources[i].value = JsonbValueToJsonb(&value);
		if (health != NULL)
			resources[i].health = compile_function(compiler, health);
		cano_json_value(&values, resources[i].name, resources[i].value);
	}
	if (n > 0)
		definition->values = cano_json_end(&values);
	definition->nresources = n;
	definition->resources = resources;
	compile_around(compiler, list);
}

/*
 * What is called before the first state and after the end.
 */
static void
compile_around(Compiler *compiler, JsonbContainer *list)
{
	CanoDefinition *definition = compiler->definition;
	int			n = definition->nresources;
	char	   *on_end = get_string(compiler->options, "on_end");
	CanoAside  *before = palloc0(sizeof(CanoAside) * Max(n, 1));
	CanoAside  *after = palloc0(sizeof(CanoAside) * (n + 1));

	if (on_end != NULL)
		compile_aside(compiler, "on_end", on_end, -1,
					  &after[definition->nafter++]);
	for (int i = 0; i < n; i++)
	{
		int			last = n - 1 - i;
		char	   *setup = get_string(getIthJsonbValueFromContainer(list, i)->val.binary.data,
									   "setup");
		char	   *teardown = get_string(getIthJsonbValueFromContainer(list, last)->val.binary.data,
										  "teardown");

		if (setup != NULL)
			compile_aside(compiler, definition->resources[i].name, setup, i,
						  &before[definition->nbefore++]);
		if (teardown != NULL)
			compile_aside(compiler, definition->resources[last].name, teardown,
						  last, &after[definition->nafter++]);
	}
	definition->before = before;
	definition->after = after;
}

static void
compile_aside(Compiler *compiler, const char *name, const char *function,
			  int resource, CanoAside *aside)
{
	aside->state.name = name;
	aside->state.kind = CANO_KIND_TASK;
	aside->state.next = aside->state.on_timeout = aside->state.on_failure =
		CANO_NO_STATE;
	aside->state.calls = true;
	aside->state.retry = compiler->retry;
	aside->extra.run = compile_function(compiler, function);
	TIMESTAMP_NOBEGIN(aside->extra.until);
	aside->resource = resource;
}

static bool
retries_by_default(CanoKind kind)
{
	return kind == CANO_KIND_TASK || kind == CANO_KIND_ROUTER ||
		kind == CANO_KIND_SPLIT || kind == CANO_KIND_STEPPED ||
		kind == CANO_KIND_BATCH || kind == CANO_KIND_EXTERNAL;
}

static JsonbContainer *
get_container(JsonbContainer *object, const char *key)
{
	JsonbValue	value;

	return get(object, key, &value) && value.type == jbvBinary ?
		value.val.binary.data : NULL;
}

static char *
get_string(JsonbContainer *object, const char *key)
{
	JsonbValue	value;

	return get(object, key, &value) && value.type == jbvString ?
		cano_value_string(&value) : NULL;
}

static bool
get_integer(JsonbContainer *object, const char *key, int32 *value)
{
	JsonbValue	found;

	if (!get(object, key, &found) || found.type != jbvNumeric)
		return false;
	*value = DatumGetInt32(DirectFunctionCall1(numeric_int4,
											   NumericGetDatum(found.val.numeric)));
	return true;
}

static bool
get_double(JsonbContainer *object, const char *key, double *value)
{
	JsonbValue	found;

	if (!get(object, key, &found) || found.type != jbvNumeric)
		return false;
	*value = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow,
												NumericGetDatum(found.val.numeric)));
	return true;
}

static bool
get_interval(JsonbContainer *object, const char *key, Interval *value)
{
	char	   *text = get_string(object, key);

	if (text == NULL)
		return false;
	if (!cano_part_read_interval(text, value))
		elog(ERROR, "invalid interval \"%s\"", text);
	return true;
}

static bool
get(JsonbContainer *object, const char *key, JsonbValue *value)
{
	return object != NULL &&
		getKeyJsonValueFromContainer(object, key, strlen(key), value) != NULL;
}
