/*-------------------------------------------------------------------------
 *
 * value.c
 *	  Single values of a definition: checked, made canonical in place.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "error.h"
#include "part.h"
#include "value.h"

/* Longer names help nobody. */
#define MAX_NAME	1000

/* A point in time that is being read. */
typedef struct Reading
{
	const char *place;
	const char *key;
	const char *text;
} Reading;

static void not_an_instant(void *arg);
static bool is_sqlstate(const JsonbValue *value);
static int	compare(Numeric number, const char *other);

void
cano_value_name(const char *place, const char *key, JsonbValue *value)
{
	if (value->type != jbvString)
		cano_value_refuse_type(place, key, "a string", value);
	if (!cano_value_is_name(cano_value_string(value)))
		cano_value_refuse(NULL, place,
						  "key \"%s\" must have 1 to %d characters", key,
						  MAX_NAME);
}

bool
cano_value_is_name(const char *name)
{
	int			length = pg_mbstrlen(name);

	return length >= 1 && length <= MAX_NAME;
}

void
cano_value_word(const char *place, const CanoRule *rule, JsonbValue *value)
{
	char	   *word;

	if (value->type != jbvString)
		cano_value_refuse_type(place, rule->key, "a string", value);

	word = cano_value_string(value);
	for (int i = 0; rule->words[i] != NULL; i++)
		if (strcmp(word, rule->words[i]) == 0)
			return;
	cano_value_refuse(cano_rules_hint_word(rule, word), place,
					  "key \"%s\" cannot be \"%s\"", rule->key, word);
}

void
cano_value_number(const char *place, const CanoRule *rule, JsonbValue *value)
{
	Numeric		number = value->val.numeric;
	char	   *least = psprintf("%d", rule->least);

	if (value->type != jbvNumeric)
		cano_value_refuse_type(place, rule->key,
							   rule->type == CANO_TYPE_INTEGER ?
							   "an integer" : "a number", value);
	switch (rule->type)
	{
		case CANO_TYPE_INTEGER:
			if (!DatumGetBool(DirectFunctionCall2(numeric_eq,
												  NumericGetDatum(number),
												  DirectFunctionCall2(numeric_trunc,
																	  NumericGetDatum(number),
																	  Int32GetDatum(0)))))
				cano_value_refuse(NULL, place,
								  "key \"%s\" must be an integer", rule->key);
			if (compare(number, least) < 0)
				cano_value_refuse(NULL, place,
								  "key \"%s\" must be at least %s", rule->key,
								  least);
			if (compare(number, "2147483647") > 0)
				cano_value_refuse(NULL, place,
								  "key \"%s\" must be at most %s", rule->key,
								  "2147483647");
			break;

		case CANO_TYPE_NUMBER:
			if (compare(number, "0") <= 0)
				cano_value_refuse(NULL, place,
								  "key \"%s\" must be greater than 0",
								  rule->key);
			if (compare(number, "1e100") > 0)
				cano_value_refuse(NULL, place,
								  "key \"%s\" must be at most %s", rule->key,
								  "1e100");
			break;

		case CANO_TYPE_SHARE:
			if (compare(number, "0") <= 0 || compare(number, "1") > 0)
				cano_value_refuse("Half of the branches is 0.5.", place,
								  "key \"%s\" must be greater than 0 and at most 1",
								  rule->key);
			break;

		case CANO_TYPE_FRACTION:
			if (compare(number, "0") < 0 || compare(number, "1") > 0)
				cano_value_refuse(NULL, place,
								  "key \"%s\" must be between 0 and 1",
								  rule->key);
			break;

		default:
			elog(ERROR, "not a type of number: %d", rule->type);
	}
}

static int
compare(Numeric number, const char *other)
{
	Datum		right = DirectFunctionCall3(numeric_in, CStringGetDatum(other),
											ObjectIdGetDatum(InvalidOid),
											Int32GetDatum(-1));

	return DatumGetInt32(DirectFunctionCall2(numeric_cmp,
											 NumericGetDatum(number), right));
}

void
cano_value_interval(const char *place, const CanoRule *rule, JsonbValue *value)
{
	Interval	interval;
	char	   *text;

	if (value->type != jbvString)
		cano_value_refuse_type(place, rule->key, "an interval as a string",
							   value);

	text = cano_value_string(value);

	if (!cano_part_read_interval(text, &interval))
		cano_value_refuse("Write an interval such as \"90 s\" or \"1 day\".",
						  place, "key \"%s\" must be an interval, not \"%s\"",
						  rule->key, text);
	if (rule->flags & CANO_RULE_POSITIVE && cano_part_sign(&interval) <= 0)
		cano_value_refuse(NULL, place, "key \"%s\" must be longer than nothing",
						  rule->key);
	if (cano_part_milliseconds(&interval) > CANO_LONGEST_MS)
		cano_value_refuse(NULL, place, "key \"%s\" must be at most 1000 years",
						  rule->key);
	if (cano_part_sign(&interval) < 0)
		cano_value_refuse(NULL, place, "key \"%s\" must not be negative",
						  rule->key);
	cano_value_set_string(value, cano_part_interval(&interval));
}

void
cano_value_instant(const char *place, const CanoRule *rule, JsonbValue *value)
{
	Reading		reading = {.place = place, .key = rule->key};
	ErrorContextCallback callback;
	TimestampTz instant;

	if (value->type != jbvString)
		cano_value_refuse_type(place, rule->key,
							   "a point in time as a string", value);

	reading.text = cano_value_string(value);
	callback.callback = not_an_instant;
	callback.arg = &reading;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	if (!cano_part_read_instant(reading.text, &instant))
		ereport(ERROR, errcode(ERRCODE_INVALID_DATETIME_FORMAT));
	error_context_stack = callback.previous;
	cano_value_set_string(value, cano_part_instant(instant));
}

/*
 * Servers before 16 raise an error of their own for a time zone that they do
 * not know.
 */
static void
not_an_instant(void *arg)
{
	const Reading *reading = arg;

	if (ERRCODE_TO_CATEGORY(geterrcode()) != ERRCODE_DATA_EXCEPTION)
		return;
	errcode(cano_errcode(CANO_CAT_CONFIGURATION));
	errmsg("%s: key \"%s\" must be a point in time, not \"%s\"",
		   reading->place, reading->key, reading->text);
	errhint("Write a point in time such as \"2030-01-31 12:00:00+00\".");
}

void
cano_value_sqlstates(const char *place, const CanoRule *rule, JsonbValue *value)
{
	JsonbIterator *it;
	JsonbValue	element;

	if (!cano_value_is_array(value))
		cano_value_refuse_type(place, rule->key, "an array of SQLSTATEs",
							   value);

	it = JsonbIteratorInit(value->val.binary.data);
	(void) JsonbIteratorNext(&it, &element, false);
	while (JsonbIteratorNext(&it, &element, true) == WJB_ELEM)
	{
		if (element.type != jbvString)
			cano_value_refuse_type(place, rule->key, "an array of strings",
								   &element);
		if (!is_sqlstate(&element))
			cano_value_refuse("A SQLSTATE has five of 0-9 and A-Z, such as \"23505\"; a class its first two, such as \"23\".",
							  place,
							  "key \"%s\" holds \"%s\", which is neither a SQLSTATE nor a class",
							  rule->key, cano_value_string(&element));
	}
}

static bool
is_sqlstate(const JsonbValue *value)
{
	if (value->val.string.len != 2 && value->val.string.len != 5)
		return false;
	for (int i = 0; i < value->val.string.len; i++)
	{
		char		c = value->val.string.val[i];

		if (!(c >= '0' && c <= '9') && !(c >= 'A' && c <= 'Z'))
			return false;
	}
	return true;
}

bool
cano_value_is_default(const CanoRule *rule, const JsonbValue *value)
{
	JsonbValue	policy;

	switch (rule->type)
	{
		case CANO_TYPE_WORD:
			return strcmp(cano_value_string(value), rule->words[0]) == 0;

		case CANO_TYPE_INTEGER:
			return compare(value->val.numeric, "0") == 0 ||
				compare(value->val.numeric, psprintf("%d", rule->fallback)) == 0;

		case CANO_TYPE_RETRY:
			return getKeyJsonValueFromContainer(value->val.binary.data,
												"policy", 6, &policy) != NULL &&
				strcmp(cano_value_string(&policy), "none") == 0;

		default:
			return false;
	}
}

bool
cano_value_is_object(const JsonbValue *value)
{
	return value->type == jbvBinary &&
		JsonContainerIsObject(value->val.binary.data);
}

bool
cano_value_is_array(const JsonbValue *value)
{
	return value->type == jbvBinary &&
		JsonContainerIsArray(value->val.binary.data) &&
		!JsonContainerIsScalar(value->val.binary.data);
}

char *
cano_value_string(const JsonbValue *value)
{
	Assert(value->type == jbvString);
	return pnstrdup(value->val.string.val, value->val.string.len);
}

void
cano_value_set_string(JsonbValue *value, const char *string)
{
	value->type = jbvString;
	value->val.string.val = unconstify(char *, string);
	value->val.string.len = strlen(string);
}

void
cano_value_refuse(const char *hint, const char *place, const char *fmt, ...)
{
	StringInfoData message;

	initStringInfo(&message);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, fmt);
		needed = appendStringInfoVA(&message, fmt, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&message, needed);
	}

	ereport(ERROR,
			(errcode(cano_errcode(CANO_CAT_CONFIGURATION)),
			 errmsg("%s: %s", place, message.data),
			 hint != NULL ? errhint("%s", hint) : 0));
	pg_unreachable();
}

void
cano_value_refuse_type(const char *place, const char *key,
					   const char *expected, JsonbValue *value)
{
	ereport(ERROR,
			(errcode(cano_errcode(CANO_CAT_CONFIGURATION)),
			 errmsg("%s: key \"%s\" must be %s", place, key, expected),
			 errdetail("The value is of JSON type %s.",
					   JsonbTypeName(value))));
	pg_unreachable();
}

/*
 * Resources are found by their names.
 */
List *
cano_value_add_name(const char *place, List *names, const JsonbValue *resource)
{
	JsonbValue	value;
	char	   *name;
	ListCell   *cell;

	(void) getKeyJsonValueFromContainer(resource->val.binary.data, "name", 4,
										&value);
	name = cano_value_string(&value);
	CHECK_FOR_INTERRUPTS();
	foreach(cell, names)
	{
		if (strcmp(lfirst(cell), name) == 0)
			cano_value_refuse("Every resource needs a name of its own.", place,
							  "there are two resources \"%s\"", name);
	}
	return lappend(names, name);
}
