/*-------------------------------------------------------------------------
 *
 * hook.c
 *	  What is called before the first state of a run, and after its end.
 *
 * Before, resources are set up, one step each.  After, on_end is called and
 * resources are torn down, one step each and in one job, which the commit
 * that ends the run leaves.  The run may be resumed before that job is done,
 * so the job has all that it needs to know of this end: the data at the end,
 * and under "cursor" how it ended and what the resources were.
 *
 * A resource is set up when its row is there, or when it has no setup and
 * those before it are set up.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "hook.h"
#include "json.h"
#include "shmem.h"
#include "store_resource.h"
#include "window.h"

static Jsonb *facts(const CanoRun *run, const CanoRunEnd *end, int nset_up,
					const Jsonb *values);
static Jsonb *current_values(const CanoRun *run, bool take, int *nset_up);
static void remember(int64 job);
static int	next_after(const CanoDefinition *definition, int call, int nset_up);
static Jsonb *fact(const CanoRun *run, const char *key);
static int64 fact_int(const CanoRun *run, const char *key);

/* What this session has left for what follows an end; in TopMemoryContext. */
static bool remembering = false;
static Datum *left = NULL;
static int	nleft = 0;

static const char *const statuses[] = {
	[CANO_COMPLETED] = "completed",
	[CANO_FAILED] = "failed",
	[CANO_CANCELLED] = "cancelled"
};

void
cano_hook_settle(CanoSettlement *settlement, const CanoRun *run,
				 const CanoRunEnd *end)
{
	const CanoDefinition *definition = run->definition;
	CanoRun		after;
	CanoPlace	place;
	Jsonb	   *values;
	int			nset_up;

	if (definition->nafter == 0 && definition->nbefore == 0)
		return;
	values = current_values(run, true, &nset_up);
	after = *run;
	after.errors = next_after(definition, 0, nset_up);
	if (after.errors == CANO_NO_CALL)
		return;

	after.job = cano_store_new_id();
	after.duty = CANO_DUTY_AFTER;
	after.state_name = end->state;
	after.attempt = 1;
	after.entry = -1;
	after.since = DT_NOBEGIN;
	after.cursor = facts(run, end, nset_up, values);
	after.fan = NULL;
	after.branch = CANO_NO_BRANCH;
	cano_settle_job(settlement, &after);
	if (remembering)
		remember(after.job);
	place.priority = after.priority;
	place.id = after.job;
	cano_wake_at_commit(settlement->owner, settlement->now, place);
}

void
cano_hook_remember(bool on)
{
	remembering = on;
	nleft = 0;
}

/*
 * The transaction may fail, so the job may not be there.
 */
static void
remember(int64 job)
{
	if (left == NULL)
		left = MemoryContextAlloc(TopMemoryContext, sizeof(Datum));
	else if ((nleft & (nleft - 1)) == 0)
		left = repalloc(left, sizeof(Datum) * Max(2 * nleft, 1));
	left[nleft++] = Int64GetDatum(job);
}

bool
cano_hook_left(ArrayType **jobs)
{
	if (nleft > 0 && jobs != NULL)
		*jobs = construct_array(left, nleft, INT8OID, sizeof(int64),
								FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
	return nleft > 0;
}

static Jsonb *
facts(const CanoRun *run, const CanoRunEnd *end, int nset_up,
	  const Jsonb *values)
{
	CanoJson	json;

	cano_json_begin(&json);
	cano_json_int(&json, "definition", run->definition->id);
	cano_json_text(&json, "status", statuses[end->ending]);
	cano_json_text(&json, "final_state", end->state);
	cano_json_value(&json, "error", end->error);
	cano_json_int(&json, "set_up", nset_up);
	cano_json_value(&json, "resources", values);
	return cano_json_end(&json);
}

/*
 * The values of all resources, and how many of them are set up; NULL where
 * there are none.
 */
static Jsonb *
current_values(const CanoRun *run, bool take, int *nset_up)
{
	const CanoDefinition *definition = run->definition;
	MemoryContext context = CurrentMemoryContext;
	CanoResourceRow *rows;
	CanoWindow	window;
	CanoJson	json;
	int			nrows;
	bool		set_up = true;

	*nset_up = definition->nresources;
	if (definition->nbefore == 0)
		return definition->values;

	cano_window_open(&window);
	nrows = cano_store_resources(run->id, take, context, &rows);
	cano_window_close(&window);
	MemoryContextSwitchTo(context);

	*nset_up = 0;
	cano_json_begin(&json);
	for (int i = 0; i < definition->nresources; i++)
	{
		const CanoResource *resource = &definition->resources[i];
		const Jsonb *value = resource->value;
		bool		found = !resource->has_setup;

		for (int j = 0; j < nrows; j++)
			if (strcmp(rows[j].name, resource->name) == 0)
			{
				found = true;
				if (rows[j].value != NULL)
					value = rows[j].value;
			}
		set_up &= found;
		if (set_up)
			*nset_up = i + 1;
		cano_json_value(&json, resource->name, value);
	}
	return cano_json_end(&json);
}

/*
 * The first call after the end, from this one on, that has something to do.
 */
static int
next_after(const CanoDefinition *definition, int call, int nset_up)
{
	while (call < definition->nafter &&
		   definition->after[call].resource >= nset_up)
		call++;
	return call < definition->nafter ? call : CANO_NO_CALL;
}

int64
cano_hook_definition(const CanoRun *run)
{
	return fact_int(run, "definition");
}

CanoDecision
cano_hook_decide(const CanoRun *run, const CanoPosition *position,
				 const CanoEvent *event)
{
	const CanoDefinition *definition = run->definition;
	const CanoState *call = cano_run_state(run);
	CanoPosition at = *position;
	int			next = run->errors + 1;

	if (run->duty == CANO_DUTY_PREPARE)
	{
		at.resumed = run->sequence != CANO_NO_SEQUENCE;
		if (next == definition->nbefore)
			next = CANO_NO_CALL;
		return cano_fsm_decide_before(&definition->model, call, next, &at,
									  event);
	}

	/* The run's own limit is for its states. */
	at.max_attempts = 0;
	next = next_after(definition, next, fact_int(run, "set_up"));
	return cano_fsm_decide_after(call, next, &at, event);
}

void
cano_hook_bind(const CanoRun *run, const CanoFunction *function,
			   CanoBinding *binding)
{
	bool		after = run->duty == CANO_DUTY_AFTER;
	int			nset_up;

	for (int i = 0; i < function->nparameters; i++)
		if (function->parameters[i].source == CANO_FROM_RESOURCES)
			binding->resources = after ? fact(run, "resources") :
				current_values(run, false, &nset_up);

	if (cano_run_aside(run) != NULL)
		binding->cursor = NULL;
	if (!after)
		return;
	binding->status = cano_json_get_text(run->cursor, "status");
	binding->final_state = cano_json_get_text(run->cursor, "final_state");
	binding->error = fact(run, "error");
	if (strcmp(binding->status, statuses[CANO_COMPLETED]) == 0)
		binding->result = run->data;
}

const Jsonb *
cano_hook_resources(const CanoRun *run)
{
	return run->duty == CANO_DUTY_AFTER ? fact(run, "resources") : NULL;
}

void
cano_hook_set_up(const CanoRun *run, const Jsonb *value)
{
	const CanoDefinition *definition = run->definition;
	MemoryContext context = CurrentMemoryContext;
	const char *name = definition->resources[cano_run_aside(run)->resource].name;
	CanoWindow	window;
	JsonbValue	scalar;

	if (value != NULL && JB_ROOT_IS_SCALAR(value) &&
		JsonbExtractScalar(unconstify(JsonbContainer *, &value->root), &scalar) &&
		scalar.type == jbvNull)
		value = NULL;
	cano_window_open(&window);
	cano_store_resource_put(run->id, name, value);
	cano_window_close(&window);
	MemoryContextSwitchTo(context);
}

/*
 * The job is another one each time that the run begins, is resumed or ends.
 */
char *
cano_hook_idempotency_key(const CanoRun *run)
{
	return psprintf(INT64_FORMAT ":" INT64_FORMAT ":%c:%d", run->id, run->job,
					(char) run->duty, run->errors);
}

/* What the job says of the end, or NULL. */
static Jsonb *
fact(const CanoRun *run, const char *key)
{
	JsonbValue	value;

	if (getKeyJsonValueFromContainer(&run->cursor->root, key, strlen(key),
									 &value) == NULL ||
		value.type == jbvNull)
		return NULL;
	return JsonbValueToJsonb(&value);
}

static int64
fact_int(const CanoRun *run, const char *key)
{
	JsonbValue	value;

	if (getKeyJsonValueFromContainer(&run->cursor->root, key, strlen(key),
									 &value) == NULL ||
		value.type != jbvNumeric)
		elog(ERROR, "job of what follows an end has no \"%s\"", key);
	return DatumGetInt64(DirectFunctionCall1(numeric_int8,
											 NumericGetDatum(value.val.numeric)));
}
