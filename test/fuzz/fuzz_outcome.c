/*-------------------------------------------------------------------------
 *
 * fuzz_outcome.c
 *	  What a task returns, and what becomes of it: one step of a run.
 *
 * An input names a state of the workflow "runs" of fuzz.sql, and has what its
 * function is given: data, among them the "value" to return, and the rest of
 * what a run has at hand.  What the step makes of it must be a decision that
 * the engine can act upon, data that are an object, or an error that can be
 * recorded.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "definition.h"
#include "external.h"
#include "fault.h"
#include "fuzz.h"
#include "json.h"
#include "step.h"
#include "store_drain.h"

/* What the functions of fuzz.sql, and binding their parameters, may raise. */
#define EXPECTED	"22 23514 42804 54000 CN014"

/* The same of answers of clients, who may say what they like. */
#define EXPECTED_OF_CLIENTS		"CN003 CN900"

/* No wait is longer than all of time. */
#define LONGEST_US	END_TIMESTAMP

static const char *const states[] = {
	"array", "batch_array", "batch_jsonb", "batch_records", "batch_rows", "boolean",
	"cancelled", "context", "defaults", "domain", "done", "external", "failed",
	"float", "integer", "interval", "json", "jsonb", "keyed", "name", "numeric",
	"odd", "out", "outcome", "outcome_targets", "poll",
	"poll_boolean", "receive", "reserved", "router", "router_name", "router_text",
	"split", "stepped", "strict", "text", "timer", "timer_until", "typed", "undone",
	"unnamed", "value", "variadic", "void", "nowhere", NULL
};
static const char *const duties[] = {"enter", "part", "undo", "join", NULL};
static const char *const kinds[] = {
	"next", "more", "pending", "failed", "cancelled", NULL
};
static const char *const moods[] = {"a", "b", "c", NULL};
static const char *const ranges[] = {
	"[1,2)", "empty", "[2,1)", "(,)", "[2147483647,2147483647]", NULL
};
static const char *const arrays[] = {
	"{}", "{a,NULL,\"b\"}", "{{a,b},{c,d}}", "{{a},{b,c}}", "[0:1]={a,b}", "{", NULL
};
static const char *const bytes[] = {"\\x00ff", "\\x0", "\\xzz", "\\000", NULL};
static const char *const booleans[] = {"true", "off", "y", "maybe", NULL};

#define OUTCOME		1
#define DATA		2
#define PAIR		3

#define SHAPE(key, number)	{key, (CanoType) FUZZ_TYPE_SHAPE, .fallback = number}
#define TEXT(key)			{key, (CanoType) FUZZ_TYPE_TEXT}
#define WORD(key, list)		{key, CANO_TYPE_WORD, .words = list}

static const CanoRule whole_rules[] = {
	{"state", CANO_TYPE_WORD, CANO_RULE_REQUIRED, .words = states},
	WORD("duty", duties),
	{"value", (CanoType) FUZZ_TYPE_SHAPE, CANO_RULE_REQUIRED,.fallback = OUTCOME},
	SHAPE("data", DATA),
	{"signal", CANO_TYPE_ANY},
	{"cursor", CANO_TYPE_ANY},
	{"item", CANO_TYPE_ANY},
	SHAPE("output", DATA),
	{"attempt", CANO_TYPE_INTEGER},
	{"error", (CanoType) FUZZ_TYPE_TEXT},
	{NULL}
};

static const CanoRule outcome_rules[] = {
	{"kind", CANO_TYPE_WORD, CANO_RULE_REQUIRED, .words = kinds},
	WORD("state", states),
	SHAPE("output", DATA),
	{"cursor", CANO_TYPE_ANY},
	{"delay", CANO_TYPE_INTERVAL},
	TEXT("reason"),
	{"detail", CANO_TYPE_ANY},
	{NULL}
};

static const CanoRule data_rules[] = {
	{"a", CANO_TYPE_INTEGER},
	WORD("b", arrays),
	{"c", CANO_TYPE_INTERVAL},
	{"d", CANO_TYPE_INSTANT},
	{"e", CANO_TYPE_NUMBER},
	SHAPE("f", OUTCOME),
	WORD("g", moods),
	WORD("h", ranges),
	{"i", CANO_TYPE_INTEGER},
	SHAPE("j", PAIR),
	WORD("k", bytes),
	{"l", CANO_TYPE_INSTANT},
	{"m", CANO_TYPE_ANY},
	{"n", CANO_TYPE_ANY},
	TEXT("o"),
	{"a param", CANO_TYPE_ANY},
	{"value", CANO_TYPE_ANY},
	{NULL}
};

/* What "value" may be, too. */
static const CanoRule pair_rules[] = {
	{"a", CANO_TYPE_INTEGER},
	{"b", CANO_TYPE_INTEGER},
	{"value", CANO_TYPE_INTERVAL},
	{NULL}
};
static const CanoRule instant_rules[] = {
	{"value", CANO_TYPE_INSTANT}, WORD("b", arrays), {NULL}
};
static const CanoRule word_rules[] = {WORD("value", states), {NULL}};
static const CanoRule boolean_rules[] = {WORD("value", booleans), {NULL}};
static const CanoRule array_rules[] = {WORD("value", arrays), {NULL}};
static const CanoRule number_rules[] = {{"value", CANO_TYPE_NUMBER}, {NULL}};

static const CanoShape shapes[] = {
	{"whole", whole_rules},
	[OUTCOME] = {"outcome", outcome_rules},
	[DATA] = {"data", data_rules},
	[PAIR] = {"pair", pair_rules},
	{"instant", instant_rules},
	{"word", word_rules},
	{"boolean", boolean_rules},
	{"array", array_rules},
	{"number", number_rules}
};

static const FuzzGrammar grammar = {shapes, lengthof(shapes), false};

/* A run, and what it points to. */
typedef struct Position
{
	CanoRun		run;
	CanoFan		fan;
	CanoDrain	drain;
	CanoEntry	entry;
} Position;

static void begin(void);
static void try_outcome(char *text);
static bool make_run(const Jsonb *input, Position *position);
static bool give_duty(const Jsonb *input, Position *position);
static Jsonb *reply_in(const Jsonb *input, const CanoRun *run);
static Jsonb *data_in(const Jsonb *input);
static Jsonb *value_in(const Jsonb *input, const char *key);
static void check_said(const CanoReturn *said);
static void check_decision(const CanoRun *run, const CanoStep *step);
static void check_error(const CanoRun *run, const CanoStep *step);
static void check_text(const char *what, const char *text);

const FuzzTarget fuzz_outcome = {"outcome", &grammar, begin, try_outcome};

static const CanoDefinition *definition;

static void
begin(void)
{
	definition = cano_definition_get(cano_definition_find("runs", 0));
}

static void
try_outcome(char *text)
{
	Position	position;
	CanoStep	step;
	Jsonb	   *input;

	fuzz_expect("input", "22 54");
	input = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
	if (!JB_ROOT_IS_OBJECT(input) || !make_run(input, &position))
		return;

	fuzz_expect("a step", "");
	cano_step_run(&position.run, false, NULL, &step);
	if (step.error == NULL)
	{
		fuzz_accepted();
		check_said(&step.said);
	}
	if (step.separate || step.interrupted || step.fan_late ||
		step.drain_late || step.held_back)
		fuzz_found("a step was not taken");
	fuzz_seen(position.run.state | step.said.what << 8 |
			  step.decision.fault << 16 | (position.run.duty & 7) << 24);
	check_decision(&position.run, &step);
	check_error(&position.run, &step);
}

/*
 * False: the input says nothing of a run.
 */
static bool
make_run(const Jsonb *input, Position *position)
{
	CanoRun    *run = &position->run;
	const char *state = cano_json_get_text(input, "state");
	Jsonb	   *attempt = value_in(input, "attempt");

	memset(position, 0, sizeof(*position));
	if (state == NULL)
		return false;
	run->state = cano_fsm_state(&definition->model, state);
	if (run->state == CANO_NO_STATE)
		return false;
	run->id = run->job = 1;
	run->state_name = definition->model.states[run->state].name;
	run->definition = definition;
	run->definition_id = definition->id;
	run->sequence = 1;
	run->attempt = 1;
	if (attempt != NULL && JB_ROOT_IS_SCALAR(attempt) &&
		strcmp(JsonbToCString(NULL, &attempt->root, VARSIZE(attempt)), "4") >= 0)
		run->attempt = 4;
	run->branch = CANO_NO_BRANCH;
	run->started_at = run->since = DT_NOBEGIN;
	run->began_at = GetCurrentTimestamp();
	run->data = data_in(input);
	run->input = run->data;
	run->cursor = value_in(input, "cursor");
	run->signal = value_in(input, "signal");
	return give_duty(input, position);
}

/*
 * Only what the engine may ask of that state.
 */
static bool
give_duty(const Jsonb *input, Position *position)
{
	CanoRun    *run = &position->run;
	const CanoState *state = &definition->model.states[run->state];
	const char *duty = cano_json_get_text(input, "duty");

	run->duty = CANO_DUTY_ENTER;
	if (state->kind == CANO_KIND_RECEIVE || state->kind == CANO_KIND_EXTERNAL)
	{
		run->duty = CANO_DUTY_SIGNAL;
		run->reply = reply_in(input, run);
	}
	else if (duty == NULL)
		return true;
	else if (strcmp(duty, "part") == 0 && state->nparts > 0)
	{
		run->duty = CANO_DUTY_PART;
		run->branch = state->nparts - 1;
		run->item = value_in(input, "item");
		run->fan = &position->fan;
		position->fan.items = state->kind == CANO_KIND_BATCH;
		position->fan.due_at = DT_NOEND;
	}
	else if (strcmp(duty, "undo") == 0 && state->undo != NULL)
	{
		run->duty = CANO_DUTY_UNDO;
		run->drain = &position->drain;
		position->entry.output = value_in(input, "output");
		position->drain.due_at = DT_NOEND;
		position->drain.entry = &position->entry;
	}
	else if (strcmp(duty, "join") == 0 && state->kind == CANO_KIND_BATCH)
		run->duty = CANO_DUTY_JOIN;
	return true;
}

static Jsonb *
reply_in(const Jsonb *input, const CanoRun *run)
{
	const char *error = cano_json_get_text(input, "error");
	Jsonb	   *value = value_in(input, "value");

	if (error != NULL)
		return cano_external_failure(run->sequence, run->attempt, error,
									 value == NULL);
	return cano_external_success(run->sequence, run->attempt, value,
								 cano_json_get_text(input, "duty"));
}

/* A run's data are an object, whatever became of it. */
static Jsonb *
data_in(const Jsonb *input)
{
	Jsonb	   *data = value_in(input, "data");
	Jsonb	   *value = value_in(input, "value");
	CanoJson	json;

	if (data == NULL || !JB_ROOT_IS_OBJECT(data))
	{
		cano_json_begin(&json);
		data = cano_json_end(&json);
	}
	return value == NULL ? data : cano_json_set(data, "value", value);
}

static Jsonb *
value_in(const Jsonb *input, const char *key)
{
	JsonbValue	value;

	if (getKeyJsonValueFromContainer(unconstify(JsonbContainer *, &input->root),
									 key, strlen(key), &value) == NULL)
		return NULL;
	return JsonbValueToJsonb(&value);
}

/*
 * All that was taken from what the task returned.
 */
static void
check_said(const CanoReturn *said)
{
	check_text("a target", said->target);
	check_text("a reason", said->reason);
	if (said->output != NULL)
		fuzz_check_jsonb("output", said->output);
	if (said->cursor != NULL)
		fuzz_check_jsonb("a cursor", said->cursor);
	if (said->detail != NULL)
		fuzz_check_jsonb("detail", said->detail);
	if (said->delay_us < 0 || said->delay_us > LONGEST_US)
		fuzz_found("a delay of " INT64_FORMAT " us", said->delay_us);
	if (said->what == CANO_SAID_UNTIL && TIMESTAMP_NOT_FINITE(said->until))
		fuzz_found("a timer that waits for ever");
	for (int i = 0; i < said->nitems; i++)
		if (said->items[i] != NULL)
			fuzz_check_jsonb("an item", said->items[i]);
}

static void
check_decision(const CanoRun *run, const CanoStep *step)
{
	const CanoDecision *decision = &step->decision;

	if (decision->verb != CANO_GO && decision->verb != CANO_WAIT &&
		decision->verb != CANO_END)
		fuzz_found("verb %d", decision->verb);
	if (!cano_run_is_part(run) &&
		(decision->state < 0 || decision->state >= definition->model.nstates))
		fuzz_found("the run goes to state %d", decision->state);
	if (decision->delay_us < 0 || decision->delay_us > LONGEST_US)
		fuzz_found("the run waits for " INT64_FORMAT " us", decision->delay_us);
	if (decision->verb != CANO_END && decision->attempt < 1)
		fuzz_found("attempt %d", decision->attempt);
	if (decision->keep && step->error != NULL)
		fuzz_found("the effects of a failed attempt are kept");
	if ((decision->fault != CANO_FAULT_NONE) !=
		(decision->verb == CANO_END && decision->ending != CANO_COMPLETED))
		fuzz_found("fault %d of an ending %d", decision->fault, decision->ending);
	if (decision->cursor && step->said.what != CANO_SAID_MORE)
		fuzz_found("a cursor of what said %d", step->said.what);
	if (!JB_ROOT_IS_OBJECT(step->data))
		fuzz_found("the run's data are no object");
	fuzz_check_jsonb("the run's data", step->data);
}

/*
 * What is recorded of an error.
 */
static void
check_error(const CanoRun *run, const CanoStep *step)
{
	const CanoError *error = step->error;
	Jsonb	   *end;

	if (error != NULL)
	{
		if (!fuzz_is_expected(error->sqlstate, EXPECTED) &&
			!(run->reply != NULL &&
			  fuzz_is_expected(error->sqlstate, EXPECTED_OF_CLIENTS)))
			fuzz_found("state \"%s\" failed with %s: %s", run->state_name,
					   error->sqlstate, error->message);
		check_text("a message", error->message);
		check_text("detail of an error", error->detail);
		check_text("a hint", error->hint);
		check_text("context of an error", error->context);
	}
	if (step->decision.failed_attempt && cano_fault_attempt(run, step) == NULL)
		fuzz_found("an attempt failed without an error");

	end = cano_fault_end(run, step);
	if ((end != NULL) != (step->decision.fault != CANO_FAULT_NONE))
		fuzz_found("fault %d has no error", step->decision.fault);
	if (end == NULL)
		return;
	fuzz_check_jsonb("the run's error", end);
	if (strcmp(cano_error_from_jsonb(end)->message,
			   cano_json_get_text(end, "message")) != 0 ||
		cano_category_by_name(cano_json_get_text(end, "category")) !=
		step->decision.category)
		fuzz_found("the run's error is not read back");
}

static void
check_text(const char *what, const char *text)
{
	if (text != NULL && !pg_verifymbstr(text, strlen(text), true))
		fuzz_found("%s is no text", what);
}
