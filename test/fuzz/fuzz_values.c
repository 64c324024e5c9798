/*-------------------------------------------------------------------------
 *
 * fuzz_values.c
 *	  Values for inputs: what belongs under a key, or nearly does.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fuzz_json.h"

static const char *function_for(CanoUse use);
static void put_shape(Out *out, const Text *text, const char *tag,
					  const CanoShape *shape);
static void put_variant(Out *out, const Text *text, const CanoVariant *variant);
static void put_states(Out *out, const Text *text);
static void put_list(Out *out, const Text *text, const CanoRule *rule);
static void put_function(Out *out, CanoUse use);
static void put_number(Out *out);
static void put_interval(Out *out);
static void put_any(Out *out, int depth);

static const char *const strings[] = {
	"", " ", "a", "b", "s1", "s2", "s3", "start", "done", "kind", "null", "0",
	"\xc3\xa9", "\xe2\x82\xac uro", "\xf0\x9f\x98\x80", "A", "a b", "a.b", "\"q\"",
	"x(", "%s%n%d", "'; --", "\\", "\n", "pg_catalog.now", "$1",
	"a name that is longer than sixty-three bytes, as no identifier can be"
};

static const char *const raw_strings[] = {
	"\"\\ud83d\\ude00\"", "\"\\u00e9\"", "\"\\/\\b\\f\\n\\r\\t\"", "\"\\u0061\""
};

static const char *const numbers[] = {
	"0", "1", "2", "-1", "0.5", "1.0", "1e0", "0.1", "1.5", "1e3", "2147483646",
	"2147483647", "2147483647", "2147483648", "-2147483648", "-2147483649",
	"9223372036854775807", "9223372036854775808", "1e100", "1.0001e100", "1e-300",
	"1e-400", "1e400", "-0", "-0.0", "1e-16000", "1e131071",
	"0.3333333333333333333333333333333333333333333333333",
	"999999999999999999999999999999", "2147483647.000", "0.99999999999999999999"
};

/* What is no JSON. */
static const char *const not_json[] = {
	"00", "1.", ".5", "0x1", "1e140000", "nul", "'a'", "\"\\u0000\"", "\"\\ud800\"",
	"\"\\x\"", "\"\\u12\"", "NaN", "{a:1}", "[1,]", ""
};

static const char *const intervals[] = {
	"1 s", "0", "00:00:00", "90 s", "1 day", "2 h", "-1 s", "1 mon -1 day",
	"-1 mon 30 days", "1 year", "1000 years", "1001 years", "365000 days",
	"365001 days", "P1Y2M3DT4H5M6S", "P0001-02-03T04:05:06", "PT0.000001S", "@ 1 min",
	"@ 1 min ago", "1.5 months", "0.0000001 s", "0.0009 ms", "1 us", "infinity",
	"-infinity", "178000000 years", "-178000000 years", "2147483647 months",
	"9223372036854775807 us", "9223372036854775808 us", "1e10 s", "2562047788:00:54.775807",
	"1 fortnight", "1 century", "1:2:3:4", "1-2", "+1-2 -3 +4:05:06", "3 4:05:06 ago",
	"ago", "1 s 1 s", "1 decade 1 millennium", "allballs", "epoch", "1 day 24:00:00"
};

static const char *const instants[] = {
	"2030-01-31 12:00:00+00", "infinity", "-infinity", "now", "today", "tomorrow",
	"epoch", "294276-12-31 23:59:59.999999+00", "294277-01-01", "4714-11-24 BC",
	"4714-11-23 BC", "2030-02-30", "2030-02-29", "2028-02-29", "24:00:00",
	"2030-01-31T12:00:00Z", "20300131T120000", "2030-01-31 23:59:60", "J2451187",
	"2030-01-31 12:00:00 Asia/Kathmandu", "2030-01-31 12:00:00 Nowhere/At_all",
	"2030-01-31 12:00:00+15:59:59", "2030-01-31 12:00:00+16", "1/2/3", "31.1.2030",
	"Jan 31 2030", "0001-01-01 00:00:00 BC", "2030-01-31 12:00:00.0000005 EST"
};

static const char *const sqlstates[] = {
	"23", "23505", "CN900", "40001", "P0001", "XX", "2350", "235055", "ab", "23\xc3\xa9"
};

/* Those of fuzz.sql; the first of each use is right. */
static const char *const functions[] = {
	"f_jsonb", "f_outcome", "f_text", "f_name", "f_interval", "f_timestamptz",
	"f_boolean", "f_rows", "f_array", "f_void", "f_typed", "f_domain", "f_unnamed",
	"f_event", "f_integer", "public.f_jsonb", "\"public\".\"f_jsonb\"", "f_jsonb(jsonb)",
	"public.f_jsonb(jsonb)", "F_JSONB", "odd.\"A (odd, \"\" name)\"",
	"odd.\"A (odd, \"\" name)\"(jsonb)", "f_twice", "f_twice(integer)", "f_twice(text)",
	"f_twice(\"text\" , )", "f_procedure", "f_sum", "f_window", "f_trigger", "f_set", "f_out",
	"f_polymorphic", "f_two_unnamed", "f_variadic", "f_defaults", "pg_catalog.now",
	"a.b.c.d", "nowhere.f", "f_none", "f_jsonb(", "f_jsonb)", "f_jsonb()", "(", "\"", ".", "",
	"f_jsonb(nothing)", "f_jsonb(jsonb[])", "f_jsonb (pg_catalog.jsonb)", "current_user"
};

const char *
fuzz_odd_string(void)
{
	return ONE_OF(strings);
}

void
fuzz_put_state(Out *out, const Text *text)
{
	put_variant(out, text, &cano_rules_state);
}

void
fuzz_put_value(Out *out, const Text *text, const CanoRule *rule)
{
	int			nwords = 0;

	switch ((int) rule->type)
	{
		case CANO_TYPE_STATE:
		case CANO_TYPE_START:
			fuzz_put_state_name(out, text);
			break;
		case CANO_TYPE_FUNCTION:
			put_function(out, rule->use);
			break;
		case CANO_TYPE_BREAKER:
		case CANO_TYPE_LIMITER:
			fuzz_put_string(out, fuzz_chance(80) ? "b" : fuzz_odd_string());
			break;
		case CANO_TYPE_WORD:
			while (rule->words[nwords] != NULL)
				nwords++;
			fuzz_put_string(out, fuzz_chance(90) ? rule->words[fuzz_below(nwords)] : fuzz_odd_string());
			break;
		case CANO_TYPE_INTEGER:
		case CANO_TYPE_NUMBER:
		case CANO_TYPE_SHARE:
		case CANO_TYPE_FRACTION:
			put_number(out);
			break;
		case CANO_TYPE_INTERVAL:
			put_interval(out);
			break;
		case CANO_TYPE_INSTANT:
			fuzz_put_string(out, fuzz_chance(10) ? "infinity" : ONE_OF(instants));
			break;
		case CANO_TYPE_RETRY:
			put_variant(out, text, &cano_rules_retry);
			break;
		case CANO_TYPE_JOIN:
			put_variant(out, text, &cano_rules_join);
			break;
		case CANO_TYPE_STATES:
		case CANO_TYPE_SQLSTATES:
		case CANO_TYPE_BRANCHES:
		case CANO_TYPE_RESOURCES:
			put_list(out, text, rule);
			break;
		case FUZZ_TYPE_STATES:
			put_states(out, text);
			break;
		case FUZZ_TYPE_OPTIONS:
			put_shape(out, text, NULL, &cano_rules_options);
			break;
		case FUZZ_TYPE_SHAPE:
			put_shape(out, text, NULL, &fuzz_grammar->shapes[rule->fallback]);
			break;
		case CANO_TYPE_NAME:
		case FUZZ_TYPE_TEXT:
			fuzz_put_string(out, fuzz_odd_string());
			break;
		default:
			fuzz_put_any(out);
			break;
	}
}

void
fuzz_put_member(Out *out, const Text *text, const CanoRule *rule)
{
	fuzz_put_string(out, rule->key);
	PUT(out, ":");
	fuzz_put_value(out, text, rule);
}

/*
 * What it must have, and now and then something else.
 */
static void
put_shape(Out *out, const Text *text, const char *tag, const CanoShape *shape)
{
	bool		first = tag == NULL;

	PUT(out, "{");
	if (tag != NULL)
	{
		fuzz_put_string(out, tag);
		PUT(out, ":");
		fuzz_put_string(out, shape->name);
	}
	for (const CanoRule *rule = shape->rules; rule->key != NULL; rule++)
	{
		if (!fuzz_chance(rule->flags & CANO_RULE_REQUIRED ? 97 :
					strcmp(rule->key, "next") == 0 ? 90 : 15))
			continue;
		if (!first)
			PUT(out, ",");
		first = false;
		fuzz_put_member(out, text, rule);
	}
	PUT(out, "}");
}

static void
put_variant(Out *out, const Text *text, const CanoVariant *variant)
{
	put_shape(out, text, variant->tag,
			  &variant->shapes[fuzz_below(variant->nshapes)]);
}

/*
 * A state that has its name inside.
 */
void
fuzz_put_part(Out *out, const Text *text)
{
	int			brace;

	PUT(out, "{\"state\":");
	fuzz_put_state_name(out, text);
	brace = out->length;
	put_variant(out, text, &cano_rules_state);
	if (!out->full)
		out->bytes[brace] = ',';
}

static void
put_states(Out *out, const Text *text)
{
	PUT(out, "{\"done\":{\"kind\":\"exit\"}");
	for (int n = 1 + fuzz_below(3); n > 0; n--)
	{
		PUT(out, ",");
		fuzz_put_state_name(out, text);
		PUT(out, ":");
		put_variant(out, text, &cano_rules_state);
	}
	PUT(out, "}");
}

/*
 * Rather one that there is.
 */
void
fuzz_put_state_name(Out *out, const Text *text)
{
	static const char *const names[] = {"done", "s1", "s2", "s3"};

	for (int tries = 0; tries < 20 && text->nvalues > 0; tries++)
	{
		const Value *value = &text->values[fuzz_below(text->nvalues)];

		if (value->parent >= 0 && value->key[0] != '\0' &&
			strcmp(text->values[value->parent].key, "states") == 0)
		{
			fuzz_put_text(out, text, value->member,
					 value->member + strlen(value->key) + 2);
			return;
		}
		if (strcmp(value->key, "state") == 0)
		{
			fuzz_put_text(out, text, value->begin, value->end);
			return;
		}
	}
	fuzz_put_string(out, fuzz_chance(90) ? ONE_OF(names) : fuzz_odd_string());
}

static void
put_list(Out *out, const Text *text, const CanoRule *rule)
{
	PUT(out, "[");
	for (int n = fuzz_below(4); n > 0; n--)
	{
		if (rule->type == CANO_TYPE_STATES)
			fuzz_put_state_name(out, text);
		else if (rule->type == CANO_TYPE_SQLSTATES)
			fuzz_put_string(out, ONE_OF(sqlstates));
		else if (rule->type == CANO_TYPE_RESOURCES)
			put_shape(out, text, NULL, &cano_rules_resource);
		else if (fuzz_chance(50))
			put_function(out, CANO_USE_TASK);
		else
			put_shape(out, text, NULL, &cano_rules_branch);
		if (n > 1)
			PUT(out, ",");
	}
	PUT(out, "]");
}

/* One that may be used for this. */
static const char *
function_for(CanoUse use)
{
	switch (use)
	{
		case CANO_USE_ROUTER:
			return fuzz_chance(50) ? "f_text" : "f_outcome";
		case CANO_USE_TIMER:
			return fuzz_chance(50) ? "f_interval" : "f_timestamptz";
		case CANO_USE_POLL:
			return fuzz_chance(50) ? "f_boolean" : "f_outcome";
		case CANO_USE_LOAD:
			return fuzz_chance(50) ? "f_rows" : "f_array";
		case CANO_USE_HEALTH:
			return "f_text";
		default:
			return fuzz_chance(50) ? "f_jsonb" : "f_outcome";
	}
}

static void
put_function(Out *out, CanoUse use)
{
	fuzz_put_string(out, fuzz_chance(80) ? function_for(use) : ONE_OF(functions));
}

static void
put_number(Out *out)
{
	char		number[32];

	snprintf(number, sizeof(number), "%s%u", fuzz_chance(10) ? "0." : "", fuzz_below(20));
	PUT(out, fuzz_chance(50) ? number : ONE_OF(numbers));
}

static void
put_interval(Out *out)
{
	static const char *const units[] = {
		"us", "ms", "s", "min", "h", "days", "weeks", "months", "years"
	};
	char		interval[64];

	snprintf(interval, sizeof(interval), "%u %s", fuzz_below(100), ONE_OF(units));
	fuzz_put_string(out, fuzz_chance(5) ? "infinity" : fuzz_chance(50) ? interval :
			   ONE_OF(intervals));
}

void
fuzz_put_any(Out *out)
{
	put_any(out, 0);
}

static void
put_any(Out *out, int depth)
{
	static const char *const literals[] = {"null", "true", "false", "{}", "[]"};
	bool		object = fuzz_chance(50);

	if (depth > 3 || fuzz_chance(60))
	{
		if (fuzz_chance(40))
			fuzz_put_string(out, fuzz_odd_string());
		else if (fuzz_chance(40))
			put_number(out);
		else if (fuzz_chance(30))
			PUT(out, ONE_OF(raw_strings));
		else if (fuzz_chance(3))
			PUT(out, ONE_OF(not_json));
		else
			PUT(out, ONE_OF(literals));
		return;
	}
	PUT(out, object ? "{" : "[");
	for (int n = fuzz_below(4); n > 0; n--)
	{
		if (object)
		{
			fuzz_put_string(out, fuzz_odd_string());
			PUT(out, ":");
		}
		put_any(out, depth + 1);
		if (n > 1)
			PUT(out, ",");
	}
	PUT(out, object ? "}" : "]");
}
