/*-------------------------------------------------------------------------
 *
 * fuzz_definition.c
 *	  What cano.define does with what somebody wrote: a document, or, in an
 *	  array, parts.
 *
 * What is accepted must be the same when it is printed and defined again,
 * whole or in parts, whatever settings the session has, and must make a
 * definition that the engine can run.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "port/pg_bitutils.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "compile.h"
#include "document.h"
#include "fuzz.h"
#include "json.h"
#include "part.h"
#include "retry.h"
#include "value.h"

#define WORKFLOW		"fuzzed"

/* One in so many documents is stored, and read back. */
#define STORED			64

static const CanoRule whole_rules[] = {
	{"start", CANO_TYPE_STATE, CANO_RULE_REQUIRED},
	{"states", (CanoType) FUZZ_TYPE_STATES, CANO_RULE_REQUIRED},
	{"options", (CanoType) FUZZ_TYPE_OPTIONS},
	{NULL}
};

static const CanoShape shapes[] = {{"whole", whole_rules}};

static const FuzzGrammar grammar = {shapes, lengthof(shapes), true};

extern Datum cano_define(PG_FUNCTION_ARGS);
extern Datum cano_definition(PG_FUNCTION_ARGS);

static void try_definition(char *text);
static Jsonb **parts_of(Jsonb *whole, int *nparts);
static void check_same(const char *how, Jsonb **parts, int nparts,
					   const CanoDocument *document);
static void check_in_parts(const CanoDocument *document);
static void check_elsewhere(const CanoDocument *document);
static void check_stored(const CanoDocument *document);
static void check_compiled(const CanoDocument *document);
static void check_state(const CanoModel *model, const CanoState *state,
						const CanoStateExtra *extra);
static void check_retry(const char *state, const CanoRetry *retry);
static Jsonb *with_key(const Jsonb *object, const char *key, const char *value);

const FuzzTarget fuzz_definition = {
	"definition", &grammar, NULL, try_definition
};

static void
try_definition(char *text)
{
	CanoDocument document;
	Jsonb	   *whole;
	Jsonb	  **parts;
	int			nparts;

	fuzz_expect("input", "22 54");
	whole = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
	parts = parts_of(whole, &nparts);

	fuzz_expect("cano.define", "CN001");
	cano_document_parse(WORKFLOW, parts, nparts, &document);
	fuzz_accepted();

	fuzz_expect("what was accepted", "");
	check_in_parts(&document);
	check_elsewhere(&document);
	if (hash_bytes((unsigned char *) text, strlen(text)) % STORED == 0)
		check_stored(&document);
}

/*
 * An array stands for the parts that cano.define is called with.
 */
static Jsonb **
parts_of(Jsonb *whole, int *nparts)
{
	Jsonb	  **parts;

	if (!JB_ROOT_IS_ARRAY(whole) || JB_ROOT_IS_SCALAR(whole))
	{
		parts = palloc(sizeof(Jsonb *));
		parts[0] = whole;
		*nparts = 1;
		return parts;
	}
	*nparts = JB_ROOT_COUNT(whole);
	parts = palloc(sizeof(Jsonb *) * Max(*nparts, 1));
	for (int i = 0; i < *nparts; i++)
		parts[i] = cano_json_element(whole, i);
	return parts;
}

static void
check_same(const char *how, Jsonb **parts, int nparts,
		   const CanoDocument *document)
{
	CanoDocument again;

	cano_document_parse(WORKFLOW, parts, nparts, &again);
	fuzz_check_equal(how, again.document, document->document);
	fuzz_check_equal(how, again.functions, document->functions);
}

/*
 * The states as their constructors would make them, and the options.
 */
static void
check_in_parts(const CanoDocument *document)
{
	JsonbContainer *root = &document->document->root;
	JsonbValue	states;
	JsonbValue	options;
	JsonbValue	key;
	JsonbValue	value;
	JsonbIterator *it;
	char	   *start = cano_json_get_text(document->document, "start");
	CanoJson	empty;
	Jsonb	  **parts;
	int			nparts = 0;

	getKeyJsonValueFromContainer(root, "states", 6, &states);
	parts = palloc(sizeof(Jsonb *) *
				   (JsonContainerSize(states.val.binary.data) + 1));
	it = JsonbIteratorInit(states.val.binary.data);
	(void) JsonbIteratorNext(&it, &key, false);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		(void) JsonbIteratorNext(&it, &value, true);
		parts[nparts++] = with_key(JsonbValueToJsonb(&value), "state",
								   cano_value_string(&key));
	}

	cano_json_begin(&empty);
	parts[nparts] = cano_json_end(&empty);
	if (getKeyJsonValueFromContainer(root, "options", 7, &options) != NULL)
		parts[nparts] = JsonbValueToJsonb(&options);
	parts[nparts] = with_key(parts[nparts], "kind", "options");
	parts[nparts] = with_key(parts[nparts], "start", start);
	check_same("the document in parts", parts, nparts + 1, document);
}

static Jsonb *
with_key(const Jsonb *object, const char *key, const char *value)
{
	CanoJson	more;

	cano_json_begin(&more);
	cano_json_text(&more, key, value);
	return cano_json_merge(object, cano_json_end(&more));
}

/*
 * Printed, and defined again in a session that reads and prints times in
 * another way.
 */
static void
check_elsewhere(const CanoDocument *document)
{
	int			date_style = DateStyle;
	int			date_order = DateOrder;
	int			interval_style = IntervalStyle;
	pg_tz	   *timezone = session_timezone;
	char	   *text = JsonbToCString(NULL, &document->document->root,
									  VARSIZE(document->document));
	Jsonb	   *part = DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
														  CStringGetDatum(text)));
	static pg_tz *other = NULL;

	if (other == NULL)
		other = pg_tzset("Asia/Kathmandu");
	DateStyle = USE_GERMAN_DATES;
	DateOrder = DATEORDER_DMY;
	IntervalStyle = INTSTYLE_SQL_STANDARD;
	session_timezone = other;
	check_same("the printed document", &part, 1, document);
	check_compiled(document);
	DateStyle = date_style;
	DateOrder = date_order;
	IntervalStyle = interval_style;
	session_timezone = timezone;
}

/*
 * The same through cano.define and cano.definition themselves.
 */
static void
check_stored(const CanoDocument *document)
{
	Datum		name = CStringGetTextDatum(WORKFLOW);
	Datum		part = JsonbPGetDatum(document->document);
	ArrayType  *parts = construct_array(&part, 1, JSONBOID, -1, false,
										TYPALIGN_INT);
	Datum		version = DirectFunctionCall2(cano_define, name,
											  PointerGetDatum(parts));
	Datum		again;

	fuzz_check_equal("cano.definition",
					 DatumGetJsonbP(DirectFunctionCall2(cano_definition, name,
														version)),
					 document->document);
	again = DirectFunctionCall2(cano_define, name, PointerGetDatum(parts));
	if (DatumGetInt32(again) != DatumGetInt32(version))
		fuzz_found("defining the same again makes version %d of %d",
				   DatumGetInt32(again), DatumGetInt32(version));
}

/*
 * The engine trusts a compiled definition.
 */
static void
check_compiled(const CanoDocument *document)
{
	const CanoDefinition *definition = cano_compile(1, WORKFLOW, 1,
													document->document,
													document->functions);
	const CanoModel *model = &definition->model;

	if (model->start < 0 || model->start >= model->nstates)
		fuzz_found("start is state %d of %d", model->start, model->nstates);
	if (definition->timeout_ms < 0 || definition->timeout_ms > CANO_LONGEST_MS ||
		definition->compensation_ms < 0 ||
		definition->compensation_ms > CANO_LONGEST_MS ||
		definition->concurrency < 0 || definition->nresources < 0)
		fuzz_found("options are out of range");
	for (int i = 0; i < model->nstates; i++)
		check_state(model, &model->states[i], &definition->extra[i]);
	for (int i = 0; i < definition->nbefore; i++)
		check_state(model, &definition->before[i].state,
					&definition->before[i].extra);
	for (int i = 0; i < definition->nafter; i++)
		check_state(model, &definition->after[i].state,
					&definition->after[i].extra);
}

static void
check_state(const CanoModel *model, const CanoState *state,
			const CanoStateExtra *extra)
{
	int			to[] = {state->next, state->on_timeout, state->on_failure};

	if (!cano_value_is_name(state->name))
		fuzz_found("a state has no name");
	for (int i = 0; i < lengthof(to); i++)
		if (to[i] < CANO_NO_STATE || to[i] >= model->nstates)
			fuzz_found("state \"%s\" leads to %d", state->name, to[i]);
	for (int i = 0; i < state->ntargets; i++)
		if (state->targets[i] < 0 || state->targets[i] >= model->nstates)
			fuzz_found("state \"%s\" has target %d", state->name,
					   state->targets[i]);
	if (state->calls != (extra->run != NULL))
		fuzz_found("state \"%s\" calls nothing", state->name);
	if (extra->timeout_ms < 0 || extra->timeout_ms > CANO_LONGEST_MS ||
		extra->lanes < 0 || state->max_errors < 0 || state->join.needed < 0)
		fuzz_found("state \"%s\" is out of range", state->name);
	for (int i = 0; i < state->nfatal; i++)
		if (strlen(state->fatal_on[i]) != 2 && strlen(state->fatal_on[i]) != 5)
			fuzz_found("state \"%s\" has a SQLSTATE \"%s\"", state->name,
					   state->fatal_on[i]);
	check_retry(state->name, &state->retry);
	fuzz_seen(state->kind | state->retry.policy << 4 |
			  state->join.strategy << 6 | state->anywhere << 9 |
			  (state->next >= 0) << 10 | (state->undo != NULL) << 11 |
			  (extra->timeout_ms > 0) << 12 | Min(state->nparts, 3) << 13 |
			  Min(state->ntargets, 3) << 15 | Min(model->nstates, 7) << 17);
	for (int i = 0; i < state->nparts; i++)
		check_state(model, &state->parts[i], &extra->parts[i]);
	if (state->undo != NULL)
		check_state(model, state->undo, extra->undo);
}

/*
 * Any number of attempts, and any luck, make a delay.
 */
static void
check_retry(const char *state, const CanoRetry *retry)
{
	static const int32 failed[] = {0, 1, 2, 30, 1000, PG_INT32_MAX - 1};

	if (retry->retries < 0 || retry->retries == PG_INT32_MAX ||
		retry->base_ms < 0 || retry->max_ms < 0 ||
		(retry->policy == CANO_RETRY_EXPONENTIAL &&
		 !(isfinite(retry->multiplier) && retry->multiplier >= 0 &&
		   retry->jitter >= 0 && retry->jitter <= 1)))
		fuzz_found("state \"%s\" has a strange retry policy", state);
	fuzz_seen(0x80000000 | retry->policy << 24 |
			  pg_leftmost_one_pos32(retry->retries | 1) << 16 |
			  pg_leftmost_one_pos64(retry->base_ms | 1) << 8 |
			  (retry->jitter > 0) << 6 | (retry->multiplier < 1) << 7);
	for (int i = 0; i < lengthof(failed); i++)
		for (int random = -1; random <= 1; random++)
		{
			int64		delay = cano_retry_delay_ms(retry, failed[i], random);

			if (delay < 0 || delay > 2 * CANO_LONGEST_MS)
				fuzz_found("state \"%s\" waits for " INT64_FORMAT " ms before attempt %d",
						   state, delay, failed[i] + 1);
		}
}
