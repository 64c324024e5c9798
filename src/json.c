/*-------------------------------------------------------------------------
 *
 * json.c
 *	  Small jsonb objects, built and taken apart.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "compat.h"
#include "guc.h"
#include "json.h"

static void push_key(CanoJson *json, const char *key);
static void push_jsonb(JsonbInState *state, JsonbIteratorToken token,
					   const Jsonb *value);

void
cano_json_begin(CanoJson *json)
{
	memset(json, 0, sizeof(CanoJson));
	pushJsonbValue(&json->state, WJB_BEGIN_OBJECT, NULL);
}

void
cano_json_text(CanoJson *json, const char *key, const char *value)
{
	JsonbValue	v;

	push_key(json, key);
	if (value == NULL)
		v.type = jbvNull;
	else
	{
		v.type = jbvString;
		v.val.string.val = unconstify(char *, value);
		v.val.string.len = strlen(value);
	}
	pushJsonbValue(&json->state, WJB_VALUE, &v);
}

void
cano_json_int(CanoJson *json, const char *key, int64 value)
{
	JsonbValue	v;

	push_key(json, key);
	v.type = jbvNumeric;
	v.val.numeric = int64_to_numeric(value);
	pushJsonbValue(&json->state, WJB_VALUE, &v);
}

void
cano_json_value(CanoJson *json, const char *key, const Jsonb *value)
{
	push_key(json, key);
	push_jsonb(&json->state, WJB_VALUE, value);
}

Jsonb *
cano_json_end(CanoJson *json)
{
	pushJsonbValue(&json->state, WJB_END_OBJECT, NULL);
	return JsonbValueToJsonb(json->state.result);
}

Jsonb *
cano_json_copy(Datum datum, bool isnull)
{
	return isnull ? NULL : DatumGetJsonbPCopy(datum);
}

Jsonb *
cano_json_merge(const Jsonb *data, const Jsonb *other)
{
	return DatumGetJsonbP(DirectFunctionCall2(jsonb_concat,
											  JsonbPGetDatum(data),
											  JsonbPGetDatum(other)));
}

Jsonb *
cano_json_set(const Jsonb *data, const char *key, const Jsonb *value)
{
	CanoJson	json;

	cano_json_begin(&json);
	cano_json_value(&json, key, value);
	return cano_json_merge(data, cano_json_end(&json));
}

Jsonb *
cano_json_array(const Jsonb *array, const List *more)
{
	JsonbInState state = {0};
	JsonbContainer *old = array ? unconstify(JsonbContainer *, &array->root) :
		NULL;
	ListCell   *cell;

	pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	for (int i = 0; old && i < JsonContainerSize(old); i++)
		pushJsonbValue(&state, WJB_ELEM, getIthJsonbValueFromContainer(old, i));
	foreach(cell, more)
		push_jsonb(&state, WJB_ELEM, lfirst(cell));
	pushJsonbValue(&state, WJB_END_ARRAY, NULL);
	return JsonbValueToJsonb(state.result);
}

Jsonb *
cano_json_element(const Jsonb *array, int index)
{
	JsonbContainer *container = unconstify(JsonbContainer *, &array->root);

	return JsonbValueToJsonb(getIthJsonbValueFromContainer(container, index));
}

char *
cano_json_get_text(const Jsonb *object, const char *key)
{
	JsonbValue	found;

	if (!JB_ROOT_IS_OBJECT(object) ||
		getKeyJsonValueFromContainer(unconstify(JsonbContainer *, &object->root),
									 key, strlen(key), &found) == NULL ||
		found.type != jbvString)
		return NULL;
	return pnstrdup(found.val.string.val, found.val.string.len);
}

int64
cano_json_get_int(const Jsonb *object, const char *key, int64 otherwise)
{
	JsonbValue	found;

	if (!JB_ROOT_IS_OBJECT(object) ||
		getKeyJsonValueFromContainer(unconstify(JsonbContainer *, &object->root),
									 key, strlen(key), &found) == NULL ||
		found.type != jbvNumeric)
		return otherwise;
	return DatumGetInt64(DirectFunctionCall1(numeric_int8,
											 NumericGetDatum(found.val.numeric)));
}

void
cano_json_refuse_large(const Jsonb *value, const char *what)
{
	if (VARSIZE(value) > (Size) cano_max_value_size * 1024)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%s is larger than cano.max_value_size", what),
				 errdetail("It has %u bytes; %d kB are allowed.",
						   (unsigned) VARSIZE(value), cano_max_value_size)));
}

static void
push_key(CanoJson *json, const char *key)
{
	JsonbValue	k;

	k.type = jbvString;
	k.val.string.val = unconstify(char *, key);
	k.val.string.len = strlen(key);
	pushJsonbValue(&json->state, WJB_KEY, &k);
}

/*
 * Push a whole value; a scalar is stored as an array of one.
 */
static void
push_jsonb(JsonbInState *state, JsonbIteratorToken token, const Jsonb *value)
{
	JsonbValue	v;

	if (value == NULL)
		v.type = jbvNull;
	else if (!JB_ROOT_IS_SCALAR(value) ||
			 !JsonbExtractScalar(unconstify(JsonbContainer *, &value->root), &v))
	{
		v.type = jbvBinary;
		v.val.binary.data = unconstify(JsonbContainer *, &value->root);
		v.val.binary.len = VARSIZE(value) - VARHDRSZ;
	}
	pushJsonbValue(state, token, &v);
}
