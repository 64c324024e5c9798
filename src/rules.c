/*-------------------------------------------------------------------------
 *
 * rules.c
 *	  Which keys a definition's objects have, and what belongs under them.
 *
 * The tables mirror the constructors in sql/30_parts.sql: same names, same
 * defaults.  Rules that tie several keys together are in document.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "rules.h"
#include "spelling.h"

#define NEXT		{"next", CANO_TYPE_STATE}
#define TARGETS		{"targets", CANO_TYPE_STATES}
#define RETRY		{"retry", CANO_TYPE_RETRY}
#define TIMEOUT		{"timeout", CANO_TYPE_INTERVAL, CANO_RULE_POSITIVE}
#define BREAKER		{"breaker", CANO_TYPE_BREAKER}
#define LIMITER		{"limiter", CANO_TYPE_LIMITER}
#define OUTPUT_KEY	{"output_key", CANO_TYPE_NAME}
#define COMPENSATE	{"compensate", CANO_TYPE_FUNCTION, 0, CANO_USE_COMPENSATE}
#define FUNCTION(key, flags, use)	{key, CANO_TYPE_FUNCTION, flags, use}
#define END			{NULL}

static const CanoRule task_rules[] = {
	FUNCTION("run", CANO_RULE_REQUIRED | CANO_RULE_DECIDES, CANO_USE_TASK),
	NEXT, TARGETS, COMPENSATE,
	{"compensate_retry", CANO_TYPE_RETRY},
	RETRY, TIMEOUT, BREAKER, LIMITER, OUTPUT_KEY,
	{"fatal_on", CANO_TYPE_SQLSTATES},
	END
};

static const CanoRule router_rules[] = {
	FUNCTION("run", CANO_RULE_REQUIRED | CANO_RULE_DECIDES, CANO_USE_ROUTER),
	TARGETS, RETRY, TIMEOUT,
	END
};

static const CanoRule split_rules[] = {
	{"tasks", CANO_TYPE_BRANCHES, CANO_RULE_REQUIRED},
	{"join", CANO_TYPE_JOIN},
	NEXT, TIMEOUT,
	{"bulkhead", CANO_TYPE_INTEGER, .least = 1},
	OUTPUT_KEY,
	END
};

static const CanoRule stepped_rules[] = {
	FUNCTION("run", CANO_RULE_REQUIRED | CANO_RULE_DECIDES, CANO_USE_TASK),
	NEXT, TARGETS, RETRY, TIMEOUT, COMPENSATE,
	END
};

static const CanoRule poll_rules[] = {
	FUNCTION("run", CANO_RULE_REQUIRED | CANO_RULE_DECIDES, CANO_USE_POLL),
	NEXT, TARGETS,
	{"max_errors", CANO_TYPE_INTEGER, CANO_RULE_DEFAULT},
	TIMEOUT,
	{"retry", CANO_TYPE_RETRY, CANO_RULE_DEFAULT},
	END
};

static const CanoRule batch_rules[] = {
	FUNCTION("load", CANO_RULE_REQUIRED, CANO_USE_LOAD),
	FUNCTION("process", CANO_RULE_REQUIRED, CANO_USE_PROCESS),
	FUNCTION("finish", CANO_RULE_DECIDES, CANO_USE_FINISH),
	NEXT, TARGETS,
	{"concurrency", CANO_TYPE_INTEGER, CANO_RULE_DEFAULT, .fallback = 1},
	{"item_retry", CANO_TYPE_RETRY, CANO_RULE_DEFAULT},
	RETRY, TIMEOUT,
	END
};

static const CanoRule timer_rules[] = {
	{"delay", CANO_TYPE_INTERVAL},
	{"until", CANO_TYPE_INSTANT},
	FUNCTION("run", 0, CANO_USE_TIMER),
	NEXT,
	END
};

static const CanoRule receive_rules[] = {
	{"signal", CANO_TYPE_NAME, CANO_RULE_REQUIRED},
	NEXT, TIMEOUT,
	{"on_timeout", CANO_TYPE_STATE},
	OUTPUT_KEY,
	END
};

static const CanoRule child_rules[] = {
	{"workflow", CANO_TYPE_NAME, CANO_RULE_REQUIRED},
	NEXT,
	{"input_key", CANO_TYPE_NAME},
	OUTPUT_KEY,
	{"on_failure", CANO_TYPE_STATE},
	END
};

static const CanoRule external_rules[] = {
	{"queue", CANO_TYPE_NAME, CANO_RULE_REQUIRED},
	NEXT, TARGETS, COMPENSATE,
	RETRY, TIMEOUT,
	END
};

static const char *const outcomes[] = {"completed", "failed", "cancelled", NULL};

static const CanoRule exit_rules[] = {
	{"outcome", CANO_TYPE_WORD, CANO_RULE_DEFAULT, .words = outcomes},
	END
};

static const CanoShape state_shapes[] = {
	[CANO_KIND_TASK] = {"task", task_rules},
	[CANO_KIND_ROUTER] = {"router", router_rules},
	[CANO_KIND_SPLIT] = {"split", split_rules},
	[CANO_KIND_STEPPED] = {"stepped", stepped_rules},
	[CANO_KIND_POLL] = {"poll", poll_rules},
	[CANO_KIND_BATCH] = {"batch", batch_rules},
	[CANO_KIND_TIMER] = {"timer", timer_rules},
	[CANO_KIND_RECEIVE] = {"receive", receive_rules},
	[CANO_KIND_CHILD] = {"child", child_rules},
	[CANO_KIND_EXTERNAL] = {"external", external_rules},
	[CANO_KIND_EXIT] = {"exit", exit_rules},
};

const CanoVariant cano_rules_state = {
	"kind", "kind", state_shapes, lengthof(state_shapes)
};

static const CanoRule none_rules[] = {END};

static const CanoRule fixed_rules[] = {
	{"retries", CANO_TYPE_INTEGER, CANO_RULE_REQUIRED},
	{"delay", CANO_TYPE_INTERVAL, CANO_RULE_REQUIRED},
	END
};

static const CanoRule exponential_rules[] = {
	{"retries", CANO_TYPE_INTEGER, CANO_RULE_REQUIRED},
	{"base", CANO_TYPE_INTERVAL},
	{"multiplier", CANO_TYPE_NUMBER},
	{"max", CANO_TYPE_INTERVAL},
	{"jitter", CANO_TYPE_FRACTION},
	END
};

static const CanoShape retry_shapes[] = {
	[CANO_RETRY_NONE] = {"none", none_rules},
	[CANO_RETRY_FIXED] = {"fixed", fixed_rules},
	[CANO_RETRY_EXPONENTIAL] = {"exponential", exponential_rules},
};

const CanoVariant cano_rules_retry = {
	"policy", "retry policy", retry_shapes, lengthof(retry_shapes)
};

static const CanoRule count_rules[] = {
	{"n", CANO_TYPE_INTEGER, CANO_RULE_REQUIRED},
	END
};

static const CanoRule percentage_rules[] = {
	{"p", CANO_TYPE_SHARE, CANO_RULE_REQUIRED},
	END
};

static const CanoShape join_shapes[] = {
	{"all", none_rules},
	{"any", none_rules},
	{"quorum", count_rules},
	{"percentage", percentage_rules},
	{"partial", count_rules},
	{"partial_timeout", none_rules},
};

const CanoVariant cano_rules_join = {
	"strategy", "join strategy", join_shapes, lengthof(join_shapes)
};

static const char *const on_timeouts[] = {"compensate", "abandon", NULL};
static const char *const logs[] = {"errors", "none", "all", NULL};
static const char *const durabilities[] = {"sync", "async", NULL};

static const CanoRule options_rules[] = {
	{"start", CANO_TYPE_START},
	TIMEOUT,
	{"on_timeout", CANO_TYPE_WORD, CANO_RULE_DEFAULT, .words = on_timeouts},
	{"compensation_timeout", CANO_TYPE_INTERVAL, CANO_RULE_POSITIVE},
	RETRY,
	{"priority", CANO_TYPE_INTEGER, .least = PG_INT32_MIN},
	{"concurrency", CANO_TYPE_INTEGER, .least = 1},
	{"keep", CANO_TYPE_INTERVAL},
	{"log", CANO_TYPE_WORD, CANO_RULE_DEFAULT, .words = logs},
	FUNCTION("on_end", 0, CANO_USE_ON_END),
	{"resources", CANO_TYPE_RESOURCES},
	{"durability", CANO_TYPE_WORD, CANO_RULE_DEFAULT, .words = durabilities},
	END
};

const CanoShape cano_rules_options = {"options", options_rules};

static const CanoRule branch_rules[] = {
	FUNCTION("run", CANO_RULE_REQUIRED, CANO_USE_TASK),
	RETRY, TIMEOUT, BREAKER, LIMITER,
	{"input", CANO_TYPE_OBJECT},
	END
};

const CanoShape cano_rules_branch = {"branch", branch_rules};

static const CanoRule resource_rules[] = {
	{"name", CANO_TYPE_NAME, CANO_RULE_REQUIRED},
	{"value", CANO_TYPE_ANY},
	FUNCTION("setup", 0, CANO_USE_TASK),
	FUNCTION("teardown", 0, CANO_USE_TASK),
	FUNCTION("health", 0, CANO_USE_HEALTH),
	END
};

const CanoShape cano_rules_resource = {"resource", resource_rules};

static void offer(CanoSpelling *spelling, StringInfo all, const char *candidate);
static const char *hint(const CanoSpelling *spelling, const char *noun,
						const StringInfoData *all);

const CanoRule *
cano_rules_find(const CanoShape *shape, const char *key)
{
	for (const CanoRule *rule = shape->rules; rule->key != NULL; rule++)
		if (strcmp(rule->key, key) == 0)
			return rule;
	return NULL;
}

const CanoShape *
cano_rules_shape(const CanoVariant *variant, const char *name)
{
	for (int i = 0; i < variant->nshapes; i++)
		if (strcmp(variant->shapes[i].name, name) == 0)
			return &variant->shapes[i];
	return NULL;
}

const char *
cano_rules_hint_key(const CanoShape *shape, const char *key)
{
	CanoSpelling spelling;
	StringInfoData all;

	cano_spelling_init(&spelling, key);
	initStringInfo(&all);
	for (const CanoRule *rule = shape->rules; rule->key != NULL; rule++)
		offer(&spelling, &all, rule->key);
	return hint(&spelling, "key", &all);
}

const char *
cano_rules_hint_tag(const CanoVariant *variant, const char *name)
{
	CanoSpelling spelling;
	StringInfoData all;

	cano_spelling_init(&spelling, name);
	initStringInfo(&all);
	for (int i = 0; i < variant->nshapes; i++)
		offer(&spelling, &all, variant->shapes[i].name);
	return hint(&spelling, variant->noun, &all);
}

const char *
cano_rules_hint_word(const CanoRule *rule, const char *word)
{
	CanoSpelling spelling;
	StringInfoData all;

	cano_spelling_init(&spelling, word);
	initStringInfo(&all);
	for (int i = 0; rule->words[i] != NULL; i++)
		offer(&spelling, &all, rule->words[i]);
	return hint(&spelling, "value", &all);
}

static void
offer(CanoSpelling *spelling, StringInfo all, const char *candidate)
{
	cano_spelling_offer(spelling, candidate);
	appendStringInfo(all, "%s%s", all->len > 0 ? ", " : "", candidate);
}

static const char *
hint(const CanoSpelling *spelling, const char *noun, const StringInfoData *all)
{
	return cano_spelling_hint(spelling, noun,
							  psprintf("Allowed here: %s.",
									   all->len > 0 ? all->data : "none"));
}
