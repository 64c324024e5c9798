/*-------------------------------------------------------------------------
 *
 * document.c
 *	  From what a user wrote to a workflow's document: checked, canonical.
 *
 * Canonical means that two ways to say the same give the same document:
 * nulls and defaults are left out, functions are schema-qualified, intervals
 * and points in time are printed in one way, branches are objects.  So
 * defining a printed document again changes nothing.
 *
 * The format itself is described in sql/30_parts.sql; which keys there are,
 * in rules.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "compat.h"
#include "document.h"
#include "error.h"
#include "graph.h"
#include "part.h"
#include "rules.h"

/* Longer names help nobody. */
#define MAX_NAME		1000

/* A document is read whole, and jsonb ends at 256 MB. */
#define MAX_DOCUMENT	(64 * 1024 * 1024)

/* What is known while a workflow is read. */
typedef struct Parser
{
	const char *workflow;		/* as a place for messages */
	CanoGraph	graph;
	JsonbParseState *states;	/* the document's "states" */
	JsonbParseState *functions;
	JsonbValue	options;		/* jbvNull: none */
	const char *start;
	bool		exits;			/* there is an exit */

	/* The state being read, if it is one that is being read */
	const char *name;			/* or NULL */
	int			state;
	bool		decides;		/* its function returns an outcome */
} Parser;

/* One object being read: its place for messages, its keys seen so far. */
typedef struct Object
{
	const char *place;
	const CanoShape *shape;
	JsonbParseState *out;
	uint32		seen;			/* bit i: rule i of the shape */
} Object;

static void parse_whole(Parser *parser, Jsonb *whole);
static void parse_part(Parser *parser, Jsonb *part, int number);
static void parse_state(Parser *parser, const char *name,
						JsonbContainer *part);
static void parse_options(Parser *parser, JsonbContainer *part);
static void check_state(Parser *parser, const Object *object);
static void check_workflow(Parser *parser);
static void begin_object(Object *object, const char *place,
						 const CanoShape *shape);
static void read_object(Parser *parser, Object *object,
						JsonbContainer *container, const char *tag,
						const char *skip);
static void read_key(Parser *parser, Object *object, const char *key,
					 JsonbValue *value);
static bool has(const Object *object, const char *key);
static bool read_value(Parser *parser, const char *place,
					   const CanoRule *rule, JsonbValue *value);
static void read_name(const char *place, const char *key, JsonbValue *value);
static void read_states(Parser *parser, const char *place,
						const CanoRule *rule, JsonbValue *value);
static void read_start(Parser *parser, const char *place, JsonbValue *value);
static void read_function(Parser *parser, const char *place,
						  const CanoRule *rule, JsonbValue *value);
static void read_word(const char *place, const CanoRule *rule,
					  JsonbValue *value);
static void read_number(const char *place, const CanoRule *rule,
						JsonbValue *value);
static void read_interval(const char *place, const CanoRule *rule,
						  JsonbValue *value);
static void read_instant(const char *place, const CanoRule *rule,
						 JsonbValue *value);
static void check_sqlstates(const char *place, const CanoRule *rule,
							JsonbValue *value);
static void read_variant(Parser *parser, const char *place,
						 const CanoVariant *variant, JsonbValue *value);
static void read_elements(Parser *parser, const char *place,
						  const CanoRule *rule, JsonbValue *value);
static void read_branch(Parser *parser, const char *place, JsonbValue *value);
static bool is_default(const CanoRule *rule, const JsonbValue *value);
static const CanoShape *find_shape(const char *place,
								   const CanoVariant *variant,
								   JsonbContainer *container);
static JsonbContainer *container_of(JsonbValue *value);
static bool is_object(JsonbValue *value);
static bool is_array(JsonbValue *value);
static char *string_of(const JsonbValue *value);
static void set_string(JsonbValue *value, const char *string);
static void set_object(JsonbValue *value, JsonbParseState **out,
					   JsonbIteratorToken end);
static void push_key(JsonbParseState **out, const char *key);
static void wrong_type(const char *place, const char *key,
					   const char *expected, JsonbValue *value)
			pg_attribute_noreturn();
static void refuse(const char *hint, const char *place, const char *fmt,...)
			pg_attribute_printf(3, 4) pg_attribute_noreturn();

void
cano_document_parse(const char *workflow, Jsonb **parts, int nparts,
					CanoDocument *result)
{
	Parser		parser = {0};
	JsonbParseState *out = NULL;
	JsonbValue	value;
	Size		size = 0;

	parser.workflow = psprintf("workflow \"%s\"", workflow);
	parser.state = -1;
	cano_graph_init(&parser.graph);
	cano_push_jsonb(&parser.states, WJB_BEGIN_OBJECT, NULL);
	cano_push_jsonb(&parser.functions, WJB_BEGIN_OBJECT, NULL);

	for (int i = 0; i < nparts; i++)
		size += VARSIZE(parts[i]);
	if (size > MAX_DOCUMENT)
		refuse("Split the workflow into several, joined by child states.",
			   parser.workflow, "the definition is larger than %d MB",
			   MAX_DOCUMENT / (1024 * 1024));

	for (int i = 0; i < nparts; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (JB_ROOT_IS_OBJECT(parts[i]) &&
			getKeyJsonValueFromContainer(&parts[i]->root, "states", 6, &value) != NULL &&
			getKeyJsonValueFromContainer(&parts[i]->root, "kind", 4, &value) == NULL)
		{
			if (nparts > 1)
				refuse(NULL, parser.workflow,
					   "a whole document must be the only part");
			parse_whole(&parser, parts[i]);
		}
		else
			parse_part(&parser, parts[i], i + 1);
	}
	check_workflow(&parser);

	cano_push_jsonb(&out, WJB_BEGIN_OBJECT, NULL);
	push_key(&out, "start");
	set_string(&value, parser.start);
	cano_push_jsonb(&out, WJB_VALUE, &value);
	push_key(&out, "states");
	set_object(&value, &parser.states, WJB_END_OBJECT);
	cano_push_jsonb(&out, WJB_VALUE, &value);
	if (parser.options.type == jbvBinary)
	{
		push_key(&out, "options");
		cano_push_jsonb(&out, WJB_VALUE, &parser.options);
	}
	result->document =
		JsonbValueToJsonb(cano_push_jsonb(&out, WJB_END_OBJECT, NULL));
	result->functions =
		JsonbValueToJsonb(cano_push_jsonb(&parser.functions, WJB_END_OBJECT, NULL));
}

/*
 * {"start", "states", "options"}
 */
static void
parse_whole(Parser *parser, Jsonb *whole)
{
	JsonbIterator *it = JsonbIteratorInit(&whole->root);
	JsonbValue	key;
	JsonbValue	value;
	JsonbValue	states = {0};

	(void) JsonbIteratorNext(&it, &key, false);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		char	   *name = string_of(&key);

		(void) JsonbIteratorNext(&it, &value, true);
		if (strcmp(name, "states") == 0)
		{
			if (!is_object(&value))
				wrong_type(parser->workflow, name, "an object", &value);
			states = value;
		}
		else if (strcmp(name, "start") == 0)
		{
			if (value.type != jbvNull)
				read_start(parser, parser->workflow, &value);
		}
		else if (strcmp(name, "options") == 0)
		{
			if (value.type == jbvNull)
				continue;
			if (!is_object(&value))
				wrong_type(parser->workflow, name, "an object", &value);
			parse_options(parser, container_of(&value));
		}
		else
			refuse("A document has the keys start, states and options.",
				   parser->workflow, "unrecognized key \"%s\"", name);
	}

	it = JsonbIteratorInit(container_of(&states));
	(void) JsonbIteratorNext(&it, &key, false);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		char	   *name = string_of(&key);

		(void) JsonbIteratorNext(&it, &value, true);
		if (!is_object(&value))
			wrong_type(psprintf("%s, states", parser->workflow), name,
					   "an object", &value);
		parse_state(parser, name, container_of(&value));
	}

	/* JSON objects have no order, so no state is the first. */
	if (parser->start == NULL && parser->graph.nstates > 1)
		refuse("Name the state where runs begin.",
			   parser->workflow, "key \"start\" is missing");
}

/*
 * What a constructor built.
 */
static void
parse_part(Parser *parser, Jsonb *part, int number)
{
	const char *place = psprintf("part %d", number);
	JsonbValue	value;

	if (!JB_ROOT_IS_OBJECT(part))
		refuse("Use the constructors, such as cano.task.",
			   place, "a part must be a JSON object");

	if (getKeyJsonValueFromContainer(&part->root, "kind", 4, &value) != NULL &&
		value.type == jbvString &&
		strcmp(string_of(&value), cano_rules_options.name) == 0)
	{
		if (parser->options.type != jbvNull)
			refuse(NULL, place, "options are given twice");
		parse_options(parser, &part->root);
		return;
	}

	if (getKeyJsonValueFromContainer(&part->root, "state", 5, &value) == NULL)
	{
		(void) find_shape(place, &cano_rules_state, &part->root);
		refuse("A state needs a name.", place, "key \"state\" is missing");
	}
	read_name(place, "state", &value);
	parse_state(parser, string_of(&value), &part->root);
}

static void
parse_state(Parser *parser, const char *name, JsonbContainer *part)
{
	Object		object;
	JsonbValue	value;
	char	   *place = psprintf("state \"%s\"", name);

	set_string(&value, name);
	read_name(parser->workflow, "states", &value);
	if (getKeyJsonValueFromContainer(part, "state", 5, &value) != NULL &&
		(value.type != jbvString || strcmp(string_of(&value), name) != 0))
		refuse("Leave \"state\" out, or let it be the key it stands under.",
			   place, "has another name inside");

	parser->name = name;
	parser->state = cano_graph_add_state(&parser->graph, name);
	parser->decides = false;

	begin_object(&object, place, find_shape(place, &cano_rules_state, part));
	read_object(parser, &object, part, cano_rules_state.tag, "state");
	check_state(parser, &object);

	push_key(&parser->states, name);
	set_object(&value, &object.out, WJB_END_OBJECT);
	cano_push_jsonb(&parser->states, WJB_VALUE, &value);
	parser->name = NULL;
	parser->state = -1;
}

static void
parse_options(Parser *parser, JsonbContainer *part)
{
	Object		object;
	JsonbValue	value;

	if (getKeyJsonValueFromContainer(part, "kind", 4, &value) != NULL &&
		(value.type != jbvString ||
		 strcmp(string_of(&value), cano_rules_options.name) != 0))
		refuse(NULL, "options", "key \"kind\" must be \"options\"");

	begin_object(&object, "options", &cano_rules_options);
	read_object(parser, &object, part, NULL, "kind");
	set_object(&value, &object.out, WJB_END_OBJECT);
	if (JsonContainerSize(value.val.binary.data) > 0)
		parser->options = value;
}

/*
 * Rules that tie several keys of a state together.
 */
static void
check_state(Parser *parser, const Object *object)
{
	CanoKind	kind = object->shape - cano_rules_state.shapes;
	bool		targets = has(object, "targets");

	switch (kind)
	{
		case CANO_KIND_EXIT:
			parser->exits = true;
			return;

		case CANO_KIND_ROUTER:
			parser->graph.states[parser->state].anywhere = !targets;
			return;

		case CANO_KIND_TIMER:
			if (has(object, "delay") + has(object, "until") +
				has(object, "run") != 1)
				refuse("Give exactly one of delay, until and run.",
					   object->place, "a timer takes one of delay, until, run");
			break;

		default:
			break;
	}

	if (!targets && !has(object, "next"))
		refuse(cano_rules_find(object->shape, "targets") == NULL ?
			   "Name the state that follows with next." :
			   "Name the state that follows with next, or those that may follow with targets.",
			   object->place, "no state follows");
	if (!targets && parser->decides)
		parser->graph.states[parser->state].anywhere = true;
}

/*
 * Rules about the workflow as a whole.
 */
static void
check_workflow(Parser *parser)
{
	CanoGraph  *graph = &parser->graph;
	const CanoGraphEdge *edge;
	const CanoGraphState *state;
	const char *twice;
	int			start;

	if (graph->nstates == 0)
		refuse("Add states, such as cano.task and cano.exit.",
			   parser->workflow, "no states");
	if (!parser->exits)
		refuse("Add a state with cano.exit, where runs end.",
			   parser->workflow, "no exit states");

	twice = cano_graph_sort(graph);
	if (twice != NULL)
		refuse("Every state needs a name of its own.", parser->workflow,
			   "there are two states \"%s\"", twice);

	if (parser->start == NULL)
		parser->start = graph->states[0].name;
	start = cano_graph_find(graph, parser->start);
	if (start < 0)
		refuse(NULL, parser->workflow,
			   "start is state \"%s\", which does not exist", parser->start);

	edge = cano_graph_link(graph);
	if (edge != NULL)
		refuse("Add that state, or correct the name.",
			   psprintf("state \"%s\"", graph->states[edge->from].name),
			   "%s names state \"%s\", which does not exist", edge->key,
			   edge->target);

	state = cano_graph_unreachable(graph, start);
	if (state != NULL)
		refuse("Name it as next or among the targets of a state that runs can reach, or remove it.",
			   psprintf("state \"%s\"", state->name),
			   "cannot be reached from the start, state \"%s\"",
			   parser->start);
}

static void
begin_object(Object *object, const char *place, const CanoShape *shape)
{
	object->place = place;
	object->shape = shape;
	object->out = NULL;
	object->seen = 0;
	cano_push_jsonb(&object->out, WJB_BEGIN_OBJECT, NULL);
}

/*
 * Read all keys.  With a tag, that says which shape this is and is kept;
 * "skip" is a key that the caller has dealt with.
 */
static void
read_object(Parser *parser, Object *object, JsonbContainer *container,
			const char *tag, const char *skip)
{
	JsonbIterator *it = JsonbIteratorInit(container);
	JsonbValue	key;
	JsonbValue	value;
	int			i = 0;

	check_stack_depth();
	if (tag != NULL)
	{
		push_key(&object->out, tag);
		set_string(&value, object->shape->name);
		cano_push_jsonb(&object->out, WJB_VALUE, &value);
	}

	(void) JsonbIteratorNext(&it, &key, false);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		char	   *name = string_of(&key);

		(void) JsonbIteratorNext(&it, &value, true);
		if ((tag == NULL || strcmp(name, tag) != 0) &&
			(skip == NULL || strcmp(name, skip) != 0))
			read_key(parser, object, name, &value);
	}

	for (const CanoRule *rule = object->shape->rules; rule->key != NULL; rule++)
		if (rule->flags & CANO_RULE_REQUIRED && !(object->seen & (1 << i++)))
			refuse(NULL, object->place, "key \"%s\" is missing", rule->key);
}

static void
read_key(Parser *parser, Object *object, const char *key, JsonbValue *value)
{
	const CanoRule *rule = cano_rules_find(object->shape, key);

	if (rule == NULL && strcmp(key, "compensate") == 0)
		refuse("Let a task, stepped or external state do what has to be undone.",
			   object->place, "a %s cannot have the key \"compensate\"",
			   object->shape->name);
	if (rule == NULL)
		refuse(cano_rules_hint_key(object->shape, key), object->place,
			   "unrecognized key \"%s\"", key);
	if (value->type == jbvNull)
		return;

	object->seen |= 1 << (rule - object->shape->rules);
	if (read_value(parser, object->place, rule, value))
	{
		push_key(&object->out, key);
		cano_push_jsonb(&object->out, WJB_VALUE, value);
	}
}

static bool
has(const Object *object, const char *key)
{
	const CanoRule *rule = cano_rules_find(object->shape, key);

	return rule != NULL && object->seen & (1 << (rule - object->shape->rules));
}

/*
 * Check a value and make it canonical.  False: it is not to be stored.
 */
static bool
read_value(Parser *parser, const char *place, const CanoRule *rule,
		   JsonbValue *value)
{
	switch (rule->type)
	{
		case CANO_TYPE_NAME:
			read_name(place, rule->key, value);
			break;

		case CANO_TYPE_STATE:
		case CANO_TYPE_STATES:
			read_states(parser, place, rule, value);
			break;

		case CANO_TYPE_START:
			read_start(parser, place, value);
			return false;

		case CANO_TYPE_FUNCTION:
			read_function(parser, place, rule, value);
			break;

		case CANO_TYPE_BREAKER:
		case CANO_TYPE_LIMITER:
			read_name(place, rule->key, value);
			refuse(NULL, place, "%s \"%s\" does not exist", rule->key,
				   string_of(value));

		case CANO_TYPE_WORD:
			read_word(place, rule, value);
			break;

		case CANO_TYPE_INTEGER:
		case CANO_TYPE_NUMBER:
		case CANO_TYPE_SHARE:
		case CANO_TYPE_FRACTION:
			read_number(place, rule, value);
			break;

		case CANO_TYPE_INTERVAL:
			read_interval(place, rule, value);
			break;

		case CANO_TYPE_INSTANT:
			read_instant(place, rule, value);
			break;

		case CANO_TYPE_SQLSTATES:
			check_sqlstates(place, rule, value);
			break;

		case CANO_TYPE_RETRY:
		case CANO_TYPE_JOIN:
			if (!is_object(value))
				wrong_type(place, rule->key,
						   rule->type == CANO_TYPE_RETRY ?
						   "a retry policy" : "a join strategy", value);
			read_variant(parser, psprintf("%s, %s", place, rule->key),
						 rule->type == CANO_TYPE_RETRY ?
						 &cano_rules_retry : &cano_rules_join, value);
			break;

		case CANO_TYPE_BRANCHES:
		case CANO_TYPE_RESOURCES:
			read_elements(parser, place, rule, value);
			break;

		case CANO_TYPE_OBJECT:
			if (!is_object(value))
				wrong_type(place, rule->key, "an object", value);
			break;

		case CANO_TYPE_ANY:
			break;
	}
	return !(rule->flags & CANO_RULE_DEFAULT) || !is_default(rule, value);
}
