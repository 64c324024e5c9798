/*-------------------------------------------------------------------------
 *
 * error.c
 *	  Categories, their SQLSTATEs, and errors as rows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "error.h"
#include "json.h"

/* Longer texts are cut: a task may raise what it likes, a row must not grow. */
#define MAX_TEXT	8192

typedef struct CategoryInfo
{
	const char *name;
	const char *sqlstate;
} CategoryInfo;

static const CategoryInfo categories[] = {
	[CANO_CAT_CONFIGURATION] = {"configuration", "CN001"},
	[CANO_CAT_WORKFLOW] = {"workflow", "CN002"},
	[CANO_CAT_TASK_EXECUTION] = {"task_execution", "CN003"},
	[CANO_CAT_RETRY_EXHAUSTED] = {"retry_exhausted", "CN004"},
	[CANO_CAT_TIMEOUT] = {"timeout", "CN005"},
	[CANO_CAT_CIRCUIT_OPEN] = {"circuit_open", "CN006"},
	[CANO_CAT_CHECKPOINT_STORE] = {"checkpoint_store", "CN007"},
	[CANO_CAT_COMPENSATION_FAILED] = {"compensation_failed", "CN008"},
	[CANO_CAT_VERSION_MISMATCH] = {"workflow_version_mismatch", "CN009"},
	[CANO_CAT_RESOURCE] = {"resource", "CN010"},
	[CANO_CAT_WORKFLOW_TIMEOUT] = {"workflow_timeout", "CN011"},
	[CANO_CAT_CANCELLED] = {"cancelled", "CN012"},
	[CANO_CAT_RATE_LIMITED] = {"rate_limited", "CN013"},
	[CANO_CAT_MISSING_ARGUMENT] = {"missing_argument", "CN014"},
	[CANO_CAT_POISONED] = {"poisoned", "CN015"},
	[CANO_CAT_NOT_FOUND] = {"not_found", "CN404"},
	[CANO_CAT_WAIT_TIMEOUT] = {"wait_timeout", "CN408"},
	[CANO_CAT_INPUT_MISMATCH] = {"input_mismatch", "CN409"},
	[CANO_CAT_PERMANENT] = {"permanent", "CN900"},
};

static const char *cut_or_null(const char *text);

const char *
cano_category_name(CanoCategory category)
{
	return categories[category].name;
}

int
cano_errcode(CanoCategory category)
{
	const char *s = categories[category].sqlstate;

	return MAKE_SQLSTATE(s[0], s[1], s[2], s[3], s[4]);
}

bool
cano_error_is_conflict(const char *sqlstate)
{
	return strcmp(sqlstate, "40001") == 0 || strcmp(sqlstate, "40P01") == 0;
}

CanoCategory
cano_error_category(int sqlerrcode)
{
	for (int i = 0; i < lengthof(categories); i++)
		if (sqlerrcode == cano_errcode(i))
			return i;
	return CANO_CAT_TASK_EXECUTION;
}

CanoCategory
cano_category_by_name(const char *name)
{
	for (int i = 0; i < lengthof(categories); i++)
		if (strcmp(name, categories[i].name) == 0)
			return i;
	return CANO_CAT_TASK_EXECUTION;
}

CanoError *
cano_error_copy(const ErrorData *edata)
{
	CanoError  *error = palloc0(sizeof(CanoError));

	error->category = cano_error_category(edata->sqlerrcode);
	strlcpy(error->sqlstate, unpack_sql_state(edata->sqlerrcode),
			sizeof(error->sqlstate));
	error->message = cano_error_text(edata->message ? edata->message : "missing error text");
	error->detail = cut_or_null(edata->detail);
	error->hint = cut_or_null(edata->hint);
	error->context = cut_or_null(edata->context);
	return error;
}

CanoError *
cano_error_make(CanoCategory category, const char *fmt, ...)
{
	CanoError  *error = palloc0(sizeof(CanoError));
	StringInfoData buf;
	int			needed;

	initStringInfo(&buf);
	for (;;)
	{
		va_list		args;

		va_start(args, fmt);
		needed = appendStringInfoVA(&buf, fmt, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&buf, needed);
	}
	error->category = category;
	strlcpy(error->sqlstate, categories[category].sqlstate,
			sizeof(error->sqlstate));
	error->message = cano_error_text(buf.data);
	return error;
}

Jsonb *
cano_error_jsonb(const CanoError *error, const char *state, const char *task,
				 int attempts)
{
	CanoJson	json;

	cano_json_begin(&json);
	cano_json_text(&json, "category", cano_category_name(error->category));
	cano_json_text(&json, "sqlstate", error->sqlstate);
	cano_json_text(&json, "message", error->message);
	cano_json_text(&json, "detail", error->detail);
	cano_json_text(&json, "hint", error->hint);
	cano_json_text(&json, "context", error->context);
	cano_json_text(&json, "state", state);
	cano_json_text(&json, "task", task);
	cano_json_int(&json, "attempts", attempts);
	return cano_json_end(&json);
}

CanoError *
cano_error_from_jsonb(const Jsonb *json)
{
	CanoError  *error = palloc0(sizeof(CanoError));
	char	   *category = cano_json_get_text(json, "category");
	char	   *sqlstate = cano_json_get_text(json, "sqlstate");
	char	   *message = cano_json_get_text(json, "message");

	error->category = category ? cano_category_by_name(category) :
		CANO_CAT_TASK_EXECUTION;
	strlcpy(error->sqlstate, sqlstate ? sqlstate : "", sizeof(error->sqlstate));
	error->message = message ? message : "";
	error->detail = cano_json_get_text(json, "detail");
	error->hint = cano_json_get_text(json, "hint");
	error->context = cano_json_get_text(json, "context");
	return error;
}

const char *
cano_error_text(const char *text)
{
	int			length = strlen(text);

	return pnstrdup(text, length <= MAX_TEXT ? length :
					pg_mbcliplen(text, length, MAX_TEXT));
}

static const char *
cut_or_null(const char *text)
{
	return text ? cano_error_text(text) : NULL;
}
