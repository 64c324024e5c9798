/*-------------------------------------------------------------------------
 *
 * api.c
 *	  cano.submit and its kin: a run begins in the caller's transaction.
 *
 * The run belongs to the current user at that moment.  Everything is checked
 * before the first row is written; what the transaction or a savepoint rolls
 * back is gone without a trace, and nobody is woken before it commits.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

#include "api.h"
#include "debug.h"
#include "definition.h"
#include "error.h"
#include "guc.h"
#include "json.h"
#include "shmem.h"
#include "store.h"
#include "store_submit.h"
#include "window.h"

PG_FUNCTION_INFO_V1(cano_submit);
PG_FUNCTION_INFO_V1(cano_submit_info);
PG_FUNCTION_INFO_V1(cano_submit_many);

#define MAX_NAME			1000
#define RESERVED_HEADERS	"workflow."

/* Where the arguments stand that all three functions have in common. */
typedef struct Arguments
{
	int			headers;
	int			priority;
	int			run_at;
	int			max_attempts;
	int			version;
	int			tags;
} Arguments;

static void begin(FunctionCallInfo fcinfo, const char *function,
				  const Arguments *arguments, CanoSubmission *submission);
static void wake(const CanoSubmission *submission, int64 first);
static const CanoDefinition *get_definition(FunctionCallInfo fcinfo, int version);
static Jsonb *check_headers(Datum headers);
static char *check_key(Datum key);
static void check_tags(ArrayType *tags);
static bool submit_one(FunctionCallInfo fcinfo, const char *function, int64 *run);

/* submit(workflow, input, key, headers, priority, run_at, max_attempts, version, tags) */
static const Arguments one_arguments = {3, 4, 5, 6, 7, 8};

/* submit_many(workflow, inputs, headers, priority, run_at, max_attempts, version, tags) */
static const Arguments many_arguments = {2, 3, 4, 5, 6, 7};

Datum
cano_submit(PG_FUNCTION_ARGS)
{
	int64		run;

	(void) submit_one(fcinfo, "cano.submit", &run);
	PG_RETURN_INT64(run);
}

int64
cano_api_submit(NullableDatum workflow, NullableDatum input)
{
	LOCAL_FCINFO(fcinfo, 9);

	InitFunctionCallInfoData(*fcinfo, NULL, 9, InvalidOid, NULL, NULL);
	for (int i = 0; i < 9; i++)
		fcinfo->args[i].isnull = true;
	fcinfo->args[0] = workflow;
	fcinfo->args[1] = input;
	return DatumGetInt64(cano_submit(fcinfo));
}

Datum
cano_submit_info(PG_FUNCTION_ARGS)
{
	TupleDesc	tupdesc;
	int64		run;
	bool		is_new = submit_one(fcinfo, "cano.submit_info", &run);
	Datum		values[] = {Int64GetDatum(run), BoolGetDatum(is_new)};
	bool		nulls[] = {false, false};

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc),
													  values, nulls)));
}

Datum
cano_submit_many(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	CanoSubmission submission;
	Datum	   *inputs;
	bool	   *nulls;
	int			n;
	int64	   *ids;
	CanoWindow	window;

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_CONFIGURATION)),
				 errmsg("inputs must not be null")));
	begin(fcinfo, "cano.submit_many", &many_arguments, &submission);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), JSONBOID, -1, false,
					  TYPALIGN_INT, &inputs, &nulls, &n);
	for (int i = 0; i < n; i++)
		inputs[i] = JsonbPGetDatum(cano_api_check_input(inputs[i], nulls[i]));

	ids = palloc(sizeof(int64) * Max(n, 1));
	cano_window_open(&window);
	cano_store_submit(&submission, n, inputs, ids);
	cano_window_close(&window);
	CANO_POINT("submit-after-insert");
	if (n > 0)
		wake(&submission, ids[0]);

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	for (int i = 0; i < n; i++)
	{
		Datum		value = Int64GetDatum(ids[i]);
		bool		isnull = false;

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &isnull);
	}
	return (Datum) 0;
}

/*
 * True if this began a new run, false if the key belongs to one under way.
 */
static bool
submit_one(FunctionCallInfo fcinfo, const char *function, int64 *run)
{
	CanoSubmission submission;
	Datum		input;
	CanoWindow	window;
	bool		is_new = true;

	begin(fcinfo, function, &one_arguments, &submission);
	input = JsonbPGetDatum(cano_api_check_input(PG_GETARG_DATUM(1), PG_ARGISNULL(1)));
	if (!PG_ARGISNULL(2))
		submission.key = check_key(PG_GETARG_DATUM(2));

	cano_window_open(&window);
	*run = cano_store_new_id();
	if (submission.key != NULL)
		is_new = cano_store_take_key(&submission, input, run);
	if (is_new)
		cano_store_submit_as(&submission, input, *run);
	cano_window_close(&window);

	if (!is_new)
		return false;
	CANO_POINT("submit-after-insert");
	wake(&submission, *run);
	return true;
}

/*
 * Tell a worker at the commit.  "first" is the lowest id submitted.
 */
static void
wake(const CanoSubmission *submission, int64 first)
{
	CanoPlace	place = {submission->priority, first};

	cano_wake_at_commit(submission->owner, submission->due_at, place);
}

/*
 * Check everything but input and key.
 */
static void
begin(FunctionCallInfo fcinfo, const char *function,
	  const Arguments *arguments, CanoSubmission *submission)
{
	memset(submission, 0, sizeof(*submission));
	cano_window_refuse_restricted(function);
	cano_api_check_role();
	submission->owner = GetUserId();
	submission->now = cano_now();
	submission->definition = get_definition(fcinfo, arguments->version);

	if (!PG_ARGISNULL(arguments->headers))
		submission->headers = check_headers(PG_GETARG_DATUM(arguments->headers));
	submission->priority = PG_ARGISNULL(arguments->priority) ?
		submission->definition->priority : PG_GETARG_INT32(arguments->priority);
	submission->due_at = submission->now;
	if (!PG_ARGISNULL(arguments->run_at))
	{
		submission->run_at = PG_GETARG_TIMESTAMPTZ(arguments->run_at);
		submission->has_run_at = true;
		if (TIMESTAMP_NOT_FINITE(submission->run_at))
			ereport(ERROR,
					(errcode(cano_errcode(CANO_CAT_CONFIGURATION)),
					 errmsg("run_at must be finite")));
		submission->due_at = Max(submission->run_at, submission->now);
	}
	if (!PG_ARGISNULL(arguments->max_attempts))
	{
		submission->max_attempts = PG_GETARG_INT32(arguments->max_attempts);
		if (submission->max_attempts < 1)
			ereport(ERROR,
					(errcode(cano_errcode(CANO_CAT_CONFIGURATION)),
					 errmsg("max_attempts must be at least 1")));
	}
	if (!PG_ARGISNULL(arguments->tags))
	{
		submission->tags = PG_GETARG_ARRAYTYPE_P(arguments->tags);
		check_tags(submission->tags);
	}
}

/*
 * A run that no worker can ever serve must not begin.
 */
void
cano_api_check_role(void)
{
	Oid			role = GetUserId();
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	Form_pg_authid form;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role with OID %u does not exist", role)));
	form = (Form_pg_authid) GETSTRUCT(tuple);
	if (!form->rolcanlogin)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\" cannot submit a run because it is not permitted to log in",
						NameStr(form->rolname)),
				 errdetail("Tasks run in a session of the role that submitted the run."),
				 errhint("Submit as a role with LOGIN.")));
	if (form->rolsuper && !cano_allow_superuser_runs)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("superuser \"%s\" cannot submit a run",
						NameStr(form->rolname)),
				 errhint("Submit as another role, or turn on cano.allow_superuser_runs.")));
	ReleaseSysCache(tuple);
}

static const CanoDefinition *
get_definition(FunctionCallInfo fcinfo, int version)
{
	int			number = 0;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_CONFIGURATION)),
				 errmsg("workflow must not be null")));
	if (!PG_ARGISNULL(version))
	{
		number = PG_GETARG_INT32(version);
		if (number < 1)
			ereport(ERROR,
					(errcode(cano_errcode(CANO_CAT_CONFIGURATION)),
					 errmsg("version must be at least 1")));
	}
	return cano_definition_get(cano_definition_find(text_to_cstring(PG_GETARG_TEXT_PP(0)),
													number));
}

Jsonb *
cano_api_check_input(Datum input, bool isnull)
{
	Jsonb	   *json = isnull ? NULL : DatumGetJsonbP(input);

	if (json == NULL || !JB_ROOT_IS_OBJECT(json))
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_CONFIGURATION)),
				 errmsg("input must be a JSON object"),
				 errhint("Wrap other values: jsonb_build_object('value', ...).")));
	cano_json_refuse_large(json, "input");
	return json;
}

static Jsonb *
check_headers(Datum headers)
{
	Jsonb	   *json = DatumGetJsonbP(headers);
	JsonbIterator *iterator;
	JsonbValue	value;
	JsonbIteratorToken token;

	if (!JB_ROOT_IS_OBJECT(json))
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_CONFIGURATION)),
				 errmsg("headers must be a JSON object")));

	iterator = JsonbIteratorInit(&json->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY &&
			value.val.string.len >= strlen(RESERVED_HEADERS) &&
			strncmp(value.val.string.val, RESERVED_HEADERS,
					strlen(RESERVED_HEADERS)) == 0)
			ereport(ERROR,
					(errcode(cano_errcode(CANO_CAT_CONFIGURATION)),
					 errmsg("header \"%s\" is reserved",
							pnstrdup(value.val.string.val, value.val.string.len)),
					 errhint("Use a name that does not begin with \"%s\".",
							 RESERVED_HEADERS)));
	}
	return json;
}

static char *
check_key(Datum key)
{
	char	   *name = TextDatumGetCString(key);
	int			length = pg_mbstrlen(name);

	if (length < 1 || length > MAX_NAME)
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_CONFIGURATION)),
				 errmsg("key must have 1 to %d characters", MAX_NAME)));
	return name;
}

static void
check_tags(ArrayType *tags)
{
	if (array_contains_nulls(tags))
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_CONFIGURATION)),
				 errmsg("tags must not contain nulls")));
}
