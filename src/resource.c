/*-------------------------------------------------------------------------
 *
 * resource.c
 *	  cano.resource: a value that the tasks of a run share.
 *	  cano.check_resources: are a workflow's resources as they should be?
 *
 * Health functions are called for whoever asks, in his own transaction and
 * with his rights, each in a subtransaction of its own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/tuplestore.h"

#include "call.h"
#include "context.h"
#include "definition.h"
#include "error.h"
#include "function.h"
#include "json.h"
#include "store_resource.h"
#include "window.h"

/* From best to worst. */
typedef enum Status
{
	HEALTHY,
	DEGRADED,
	UNHEALTHY,
	NSTATUSES
} Status;

static const char *const statuses[] = {"healthy", "degraded", "unhealthy"};

typedef struct Health
{
	Status		status;
	const char *reason;			/* or NULL */
} Health;

static Jsonb *find_value(const CanoCurrent *step, const char *key);
static const CanoResource *find_resource(const CanoDefinition *definition,
										 const char *key);
static Health check(const CanoDefinition *definition,
					const CanoResource *resource);
static Health ask(const CanoDefinition *definition,
				  const CanoResource *resource);
static Health read_answer(const CanoFunction *function, const Jsonb *answer);
static Health read_status(const CanoFunction *function, const char *status,
						  const char *reason);
static Health say(Status status, const char *reason);
static bool is_ours(const ErrorData *edata);

PG_FUNCTION_INFO_V1(cano_resource);
PG_FUNCTION_INFO_V1(cano_check_resources);

/*
 * resource(key text) RETURNS jsonb
 */
Datum
cano_resource(PG_FUNCTION_ARGS)
{
	const CanoCurrent *step;
	Jsonb	   *value;

	cano_window_refuse_restricted("cano.resource()");
	step = cano_context_require("cano.resource()");
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("key must not be null")));
	value = find_value(step, text_to_cstring(PG_GETARG_TEXT_PP(0)));
	if (value == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(value);
}

static Jsonb *
find_value(const CanoCurrent *step, const char *key)
{
	const CanoResource *resource = find_resource(step->definition, key);
	MemoryContext context = CurrentMemoryContext;
	Jsonb	   *value = NULL;
	JsonbValue	found;
	CanoWindow	window;

	if (resource == NULL)
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_RESOURCE)),
				 errmsg("workflow \"%s\" has no resource \"%s\"",
						step->workflow, key),
				 errhint("Name it among the workflow's resources, with cano.with_resource().")));
	if (step->resources != NULL)
	{
		if (getKeyJsonValueFromContainer(unconstify(JsonbContainer *, &step->resources->root),
										 key, strlen(key), &found) == NULL ||
			found.type == jbvNull)
			return NULL;
		return JsonbValueToJsonb(&found);
	}
	if (resource->has_setup)
	{
		cano_window_open(&window);
		value = cano_store_resource_find(step->run, resource->name, context);
		cano_window_close(&window);
		MemoryContextSwitchTo(context);
	}
	if (value != NULL || resource->value == NULL)
		return value;
	return cano_json_copy(JsonbPGetDatum(resource->value), false);
}

static const CanoResource *
find_resource(const CanoDefinition *definition, const char *key)
{
	for (int i = 0; i < definition->nresources; i++)
		if (strcmp(definition->resources[i].name, key) == 0)
			return &definition->resources[i];
	return NULL;
}

/*
 * check_resources(workflow text, OUT name text, OUT status text,
 * OUT reason text) RETURNS SETOF record
 */
Datum
cano_check_resources(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	const CanoDefinition *definition;
	Health	   *found;

	cano_window_refuse_restricted("cano.check_resources()");
	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0))
		return (Datum) 0;
	definition = cano_definition_get(cano_definition_find(text_to_cstring(PG_GETARG_TEXT_PP(0)),
														  0));

	/* The caller may have changed what a cached function depends on. */
	cano_function_forget();
	found = palloc(sizeof(Health) * Max(definition->nresources, 1));
	for (int i = 0; i < definition->nresources; i++)
		found[i] = check(definition, &definition->resources[i]);

	for (int status = NSTATUSES - 1; status >= 0; status--)
		for (int i = 0; i < definition->nresources; i++)
		{
			Datum		values[3];
			bool		nulls[3] = {false, false, found[i].reason == NULL};

			if (found[i].status != status)
				continue;
			values[0] = CStringGetTextDatum(definition->resources[i].name);
			values[1] = CStringGetTextDatum(statuses[status]);
			values[2] = nulls[2] ? (Datum) 0 :
				CStringGetTextDatum(found[i].reason);
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
								 nulls);
		}
	return (Datum) 0;
}

/*
 * A function that raises an error says that its resource is unhealthy.
 */
static Health
check(const CanoDefinition *definition, const CanoResource *resource)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	Health		health;

	if (resource->health == NULL)
		return say(HEALTHY, NULL);
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		health = ask(definition, resource);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (!is_ours(edata))
			ReThrowError(edata);
		health = say(UNHEALTHY, edata->message);
	}
	PG_END_TRY();
	return health;
}

/*
 * What the caller's statement is stopped by, is not the function's.
 */
static bool
is_ours(const ErrorData *edata)
{
	int			class = ERRCODE_TO_CATEGORY(edata->sqlerrcode);

	return edata->sqlerrcode != ERRCODE_OUT_OF_MEMORY &&
		class != ERRCODE_OPERATOR_INTERVENTION;
}

static Health
ask(const CanoDefinition *definition, const CanoResource *resource)
{
	CanoFunction *function = cano_function_get(resource->health,
											   CANO_USE_HEALTH);
	CanoBinding binding = {
		.workflow = definition->workflow,
		.state = resource->name,
		.branch = -1,
		.item = resource->value,
		.resources = definition->values
	};
	CanoReturn	said;
	CanoJson	json;

	cano_json_begin(&json);
	cano_json_text(&json, "name", resource->name);
	cano_json_value(&json, "value", resource->value);
	binding.data = cano_json_end(&json);
	cano_call(function, CANO_USE_HEALTH, &binding, 0, CurrentMemoryContext,
			  &said);
	if (function->return_base == VOIDOID)
		return say(HEALTHY, NULL);
	return read_answer(function, said.output);
}

/*
 * A text, a boolean, or an object of both.
 */
static Health
read_answer(const CanoFunction *function, const Jsonb *answer)
{
	JsonbValue	value;
	char	   *status;

	if (answer == NULL)
		return say(UNHEALTHY, "its health function returned null");
	if (JB_ROOT_IS_OBJECT(answer))
	{
		status = cano_json_get_text(answer, "status");
		return read_status(function, status ? status : "",
						   cano_json_get_text(answer, "reason"));
	}
	if (!JB_ROOT_IS_SCALAR(answer) ||
		!JsonbExtractScalar(unconstify(JsonbContainer *, &answer->root), &value))
		return read_status(function, "", NULL);
	if (value.type == jbvNull)
		return read_answer(function, NULL);
	if (value.type == jbvBool)
		return say(value.val.boolean ? HEALTHY : UNHEALTHY, NULL);
	if (value.type != jbvString)
		return read_status(function, "", NULL);
	return read_status(function,
					   pnstrdup(value.val.string.val, value.val.string.len),
					   NULL);
}

static Health
read_status(const CanoFunction *function, const char *status,
			const char *reason)
{
	for (int i = 0; i < NSTATUSES; i++)
		if (strcmp(status, statuses[i]) == 0)
			return say(i, reason);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("function \"%s\" returned no status of a resource",
					function->signature),
			 errhint("It is healthy, degraded or unhealthy.")));
}

static Health
say(Status status, const char *reason)
{
	Health		health = {status, reason};

	return health;
}
