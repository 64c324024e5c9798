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

#include "miscadmin.h"

#include "breaker.h"
#include "compat.h"
#include "document.h"
#include "graph.h"
#include "limiter.h"
#include "rules.h"
#include "value.h"

/* A document is read whole, and jsonb ends at 256 MB. */
#define MAX_DOCUMENT	(64 * 1024 * 1024)

/* What is known while a workflow is read. */
typedef struct Parser
{
	const char *workflow;		/* as a place for messages */
	CanoGraph	graph;
	JsonbInState states;		/* the document's "states" */
	JsonbInState functions;
	bool		options_given;
	JsonbValue	options;		/* jbvNull: none that says anything */
	const char *start;
	bool		exits;			/* there is an exit */

	/* The state being read, if it is one that is being read */
	int			state;
	bool		decides;		/* its function returns an outcome */
	bool		partial_timeout;	/* it joins when its time is over */
} Parser;

/* One object being read: its place for messages, its keys seen so far. */
typedef struct Object
{
	const char *place;
	const CanoShape *shape;
	JsonbInState out;
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
static void end_object(Object *object, JsonbValue *value);
static void check_key(const Object *object, const char *key);
static void read_key(Parser *parser, Object *object, const char *key,
					 JsonbValue *value);
static bool has(const Object *object, const char *key);
static bool read_value(Parser *parser, const char *place,
					   const CanoRule *rule, JsonbValue *value);
static void read_states(Parser *parser, const char *place,
						const CanoRule *rule, JsonbValue *value);
static void read_start(Parser *parser, const char *place, JsonbValue *value);
static void read_function(Parser *parser, const char *place,
						  const CanoRule *rule, JsonbValue *value);
static void read_variant(Parser *parser, const char *place,
						 const CanoVariant *variant, JsonbValue *value);
static void read_elements(Parser *parser, const char *place,
						  const CanoRule *rule, JsonbValue *value);
static void read_element(Parser *parser, const char *place,
						 const CanoShape *shape, JsonbValue *value);
static const CanoShape *find_shape(const char *place,
								   const CanoVariant *variant,
								   JsonbContainer *container);
static void push_key(JsonbInState *out, const char *key);
static Jsonb *finish(JsonbInState *out, JsonbIteratorToken end);
static void set_object(JsonbValue *value, JsonbInState *out,
					   JsonbIteratorToken end);

void
cano_document_parse(const char *workflow, Jsonb **parts, int nparts,
					CanoDocument *result)
{
	Parser		parser = {0};
	JsonbInState out = {0};
	JsonbValue	value;
	Size		size = 0;

	parser.workflow = psprintf("workflow \"%s\"", workflow);
	parser.state = -1;
	cano_graph_init(&parser.graph);
	pushJsonbValue(&parser.states, WJB_BEGIN_OBJECT, NULL);
	pushJsonbValue(&parser.functions, WJB_BEGIN_OBJECT, NULL);

	for (int i = 0; i < nparts; i++)
		size += VARSIZE(parts[i]);
	if (size > MAX_DOCUMENT)
		cano_value_refuse("Split the workflow into several, joined by child states.",
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
				cano_value_refuse(NULL, parser.workflow,
								  "a whole document must be the only part");
			parse_whole(&parser, parts[i]);
		}
		else
			parse_part(&parser, parts[i], i + 1);
	}
	check_workflow(&parser);

	pushJsonbValue(&out, WJB_BEGIN_OBJECT, NULL);
	push_key(&out, "start");
	cano_value_set_string(&value, parser.start);
	pushJsonbValue(&out, WJB_VALUE, &value);
	push_key(&out, "states");
	set_object(&value, &parser.states, WJB_END_OBJECT);
	pushJsonbValue(&out, WJB_VALUE, &value);
	if (parser.options.type == jbvBinary)
	{
		push_key(&out, "options");
		pushJsonbValue(&out, WJB_VALUE, &parser.options);
	}
	result->document = finish(&out, WJB_END_OBJECT);
	result->functions = finish(&parser.functions, WJB_END_OBJECT);
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
		char	   *name = cano_value_string(&key);

		(void) JsonbIteratorNext(&it, &value, true);
		if (strcmp(name, "states") == 0)
		{
			if (!cano_value_is_object(&value))
				cano_value_refuse_type(parser->workflow, name, "an object", &value);
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
			if (!cano_value_is_object(&value))
				cano_value_refuse_type(parser->workflow, name, "an object", &value);
			parse_options(parser, value.val.binary.data);
		}
		else
			cano_value_refuse("A document has the keys start, states and options.",
							  parser->workflow, "unrecognized key \"%s\"", name);
	}

	it = JsonbIteratorInit(states.val.binary.data);
	(void) JsonbIteratorNext(&it, &key, false);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		char	   *name = cano_value_string(&key);

		(void) JsonbIteratorNext(&it, &value, true);
		if (!cano_value_is_object(&value))
			cano_value_refuse_type(psprintf("%s, states", parser->workflow), name,
								   "an object", &value);
		parse_state(parser, name, value.val.binary.data);
	}

	/* JSON objects have no order, so no state is the first. */
	if (parser->start == NULL && parser->graph.nstates > 1)
		cano_value_refuse("Name the state where runs begin.",
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
		cano_value_refuse("Use the constructors, such as cano.task.",
						  place, "a part must be a JSON object");

	if (getKeyJsonValueFromContainer(&part->root, "kind", 4, &value) != NULL &&
		value.type == jbvString &&
		strcmp(cano_value_string(&value), cano_rules_options.name) == 0)
	{
		if (parser->options_given)
			cano_value_refuse(NULL, place, "options are given twice");
		parse_options(parser, &part->root);
		return;
	}

	if (getKeyJsonValueFromContainer(&part->root, "state", 5, &value) == NULL)
	{
		(void) find_shape(place, &cano_rules_state, &part->root);
		cano_value_refuse("A state needs a name.", place, "key \"state\" is missing");
	}
	cano_value_name(place, "state", &value);
	parse_state(parser, cano_value_string(&value), &part->root);
}

static void
parse_state(Parser *parser, const char *name, JsonbContainer *part)
{
	Object		object;
	JsonbValue	value;
	char	   *place = psprintf("state \"%s\"", name);

	cano_value_set_string(&value, name);
	cano_value_name(parser->workflow, "states", &value);
	if (getKeyJsonValueFromContainer(part, "state", 5, &value) != NULL &&
		(value.type != jbvString || strcmp(cano_value_string(&value), name) != 0))
		cano_value_refuse("Leave \"state\" out, or let it be the key it stands under.",
						  place, "has another name inside");

	parser->state = cano_graph_add_state(&parser->graph, name);
	parser->decides = false;
	parser->partial_timeout = false;

	begin_object(&object, place, find_shape(place, &cano_rules_state, part));
	read_object(parser, &object, part, cano_rules_state.tag, "state");
	check_state(parser, &object);

	push_key(&parser->states, name);
	end_object(&object, &value);
	pushJsonbValue(&parser->states, WJB_VALUE, &value);
	parser->state = -1;
}

static void
parse_options(Parser *parser, JsonbContainer *part)
{
	Object		object;
	JsonbValue	value;

	if (getKeyJsonValueFromContainer(part, "kind", 4, &value) != NULL &&
		(value.type != jbvString ||
		 strcmp(cano_value_string(&value), cano_rules_options.name) != 0))
		cano_value_refuse(NULL, "options", "key \"kind\" must be \"options\"");

	parser->options_given = true;
	begin_object(&object, "options", &cano_rules_options);
	read_object(parser, &object, part, NULL, "kind");
	end_object(&object, &value);
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

		case CANO_KIND_TASK:
			if (has(object, "compensate_retry") && !has(object, "compensate"))
				cano_value_refuse("Name the function that undoes what the task has done.",
								  object->place,
								  "key \"compensate_retry\" requires \"compensate\"");
			break;

		case CANO_KIND_ROUTER:
			parser->graph.states[parser->state].anywhere = !targets;
			return;

		case CANO_KIND_TIMER:
			if (has(object, "delay") + has(object, "until") +
				has(object, "run") != 1)
				cano_value_refuse("Give exactly one of delay, until and run.",
								  object->place, "a timer takes one of delay, until, run");
			break;

		case CANO_KIND_SPLIT:
			if (parser->partial_timeout && !has(object, "timeout"))
				cano_value_refuse("Give the split a timeout.", object->place,
								  "join strategy \"partial_timeout\" requires a timeout");
			break;

		default:
			break;
	}

	if (!targets && !has(object, "next"))
	{
		if (cano_rules_find(object->shape, "targets") == NULL)
			cano_value_refuse("Name the state that follows.",
							  object->place, "key \"next\" is missing");
		cano_value_refuse("Name the state that follows as next, or those that may follow as targets.",
						  object->place,
						  "neither \"next\" nor \"targets\" is given");
	}
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
		cano_value_refuse("Add states, such as cano.task and cano.exit.",
						  parser->workflow, "no states");
	if (!parser->exits)
		cano_value_refuse("Add a state with cano.exit, where runs end.",
						  parser->workflow, "no exit states");

	twice = cano_graph_sort(graph);
	if (twice != NULL)
		cano_value_refuse("Every state needs a name of its own.", parser->workflow,
						  "there are two states \"%s\"", twice);

	if (parser->start == NULL)
		parser->start = graph->states[0].name;
	start = cano_graph_find(graph, parser->start);
	if (start < 0)
		cano_value_refuse(cano_graph_hint(graph, parser->start),
						  parser->workflow,
						  "start is state \"%s\", which does not exist", parser->start);

	edge = cano_graph_link(graph);
	if (edge != NULL)
		cano_value_refuse(cano_graph_hint(graph, edge->target),
						  psprintf("state \"%s\"", graph->states[edge->from].name),
						  "%s names state \"%s\", which does not exist", edge->key,
						  edge->target);

	state = cano_graph_unreachable(graph, start);
	if (state != NULL)
		cano_value_refuse("Name it as next or among the targets of a state that runs can reach, or remove it.",
						  psprintf("state \"%s\"", state->name),
						  "cannot be reached from the start, state \"%s\"",
						  parser->start);
}

static void
begin_object(Object *object, const char *place, const CanoShape *shape)
{
	object->place = place;
	object->shape = shape;
	memset(&object->out, 0, sizeof(JsonbInState));
	object->seen = 0;
	pushJsonbValue(&object->out, WJB_BEGIN_OBJECT, NULL);
}

/*
 * Read all keys.  With a tag, that says which shape this is and is kept;
 * "skip" is a key that the caller has dealt with.
 */
static void
read_object(Parser *parser, Object *object, JsonbContainer *container,
			const char *tag, const char *skip)
{
	JsonbIterator *it;
	JsonbValue	key;
	JsonbValue	value;

	check_stack_depth();
	if (tag != NULL)
	{
		push_key(&object->out, tag);
		cano_value_set_string(&value, object->shape->name);
		pushJsonbValue(&object->out, WJB_VALUE, &value);
	}

	/* A misspelt key explains whatever else would be found wrong. */
	for (int pass = 0; pass < 2; pass++)
	{
		it = JsonbIteratorInit(container);
		(void) JsonbIteratorNext(&it, &key, false);
		while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
		{
			char	   *name = cano_value_string(&key);

			(void) JsonbIteratorNext(&it, &value, true);
			if ((tag != NULL && strcmp(name, tag) == 0) ||
				(skip != NULL && strcmp(name, skip) == 0))
				continue;
			if (pass == 0)
				check_key(object, name);
			else
				read_key(parser, object, name, &value);
		}
	}

	for (const CanoRule *rule = object->shape->rules; rule->key != NULL; rule++)
		if ((rule->flags & CANO_RULE_REQUIRED) && !has(object, rule->key))
			cano_value_refuse(NULL, object->place, "key \"%s\" is missing", rule->key);
}

static void
check_key(const Object *object, const char *key)
{
	if (cano_rules_find(object->shape, key) != NULL)
		return;
	if (strcmp(key, "compensate") == 0)
		cano_value_refuse("Let a task, stepped or external state do what has to be undone.",
						  object->place,
						  "a %s cannot have the key \"compensate\"",
						  object->shape->name);
	cano_value_refuse(cano_rules_hint_key(object->shape, key), object->place,
					  "unrecognized key \"%s\"", key);
}

static void
read_key(Parser *parser, Object *object, const char *key, JsonbValue *value)
{
	const CanoRule *rule = cano_rules_find(object->shape, key);

	if (value->type == jbvNull)
		return;

	object->seen |= 1 << (rule - object->shape->rules);
	if (read_value(parser, object->place, rule, value))
	{
		push_key(&object->out, key);
		pushJsonbValue(&object->out, WJB_VALUE, value);
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
			cano_value_name(place, rule->key, value);
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
			cano_value_name(place, rule->key, value);
			if (!cano_breaker_exists(cano_value_string(value)))
				cano_value_refuse("Create it first with cano.create_breaker.",
								  place, "breaker \"%s\" does not exist",
								  cano_value_string(value));
			break;

		case CANO_TYPE_LIMITER:
			cano_value_name(place, rule->key, value);
			if (!cano_limiter_exists(cano_value_string(value)))
				cano_value_refuse("Create it first with cano.create_limiter.",
								  place, "limiter \"%s\" does not exist",
								  cano_value_string(value));
			break;

		case CANO_TYPE_WORD:
			cano_value_word(place, rule, value);
			break;

		case CANO_TYPE_INTEGER:
		case CANO_TYPE_NUMBER:
		case CANO_TYPE_SHARE:
		case CANO_TYPE_FRACTION:
			cano_value_number(place, rule, value);
			break;

		case CANO_TYPE_INTERVAL:
			cano_value_interval(place, rule, value);
			break;

		case CANO_TYPE_INSTANT:
			cano_value_instant(place, rule, value);
			break;

		case CANO_TYPE_SQLSTATES:
			cano_value_sqlstates(place, rule, value);
			break;

		case CANO_TYPE_RETRY:
		case CANO_TYPE_JOIN:
			if (!cano_value_is_object(value))
				cano_value_refuse_type(place, rule->key,
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
			if (!cano_value_is_object(value))
				cano_value_refuse_type(place, rule->key, "an object", value);
			break;

		case CANO_TYPE_ANY:
			break;
	}
	return !(rule->flags & CANO_RULE_DEFAULT) || !cano_value_is_default(rule, value);
}

/*
 * One state or several: edges of the graph.
 */
static void
read_states(Parser *parser, const char *place, const CanoRule *rule,
			JsonbValue *value)
{
	JsonbIterator *it;
	JsonbValue	element;

	if (rule->type == CANO_TYPE_STATE)
	{
		cano_value_name(place, rule->key, value);
		cano_graph_add_edge(&parser->graph, parser->state, rule->key,
							cano_value_string(value));
		return;
	}

	if (!cano_value_is_array(value))
		cano_value_refuse_type(place, rule->key, "an array of states", value);
	if (JsonContainerSize(value->val.binary.data) == 0)
		cano_value_refuse("Leave it out, or name the states that may follow.",
						  place, "key \"%s\" is empty", rule->key);

	it = JsonbIteratorInit(value->val.binary.data);
	(void) JsonbIteratorNext(&it, &element, false);
	while (JsonbIteratorNext(&it, &element, true) == WJB_ELEM)
	{
		cano_value_name(place, rule->key, &element);
		cano_graph_add_edge(&parser->graph, parser->state, rule->key,
							cano_value_string(&element));
	}
}

static void
read_start(Parser *parser, const char *place, JsonbValue *value)
{
	char	   *start;

	cano_value_name(place, "start", value);
	start = cano_value_string(value);
	if (parser->start != NULL && strcmp(parser->start, start) != 0)
		cano_value_refuse("Say it once.", place,
						  "start is both \"%s\" and \"%s\"", parser->start,
						  start);
	parser->start = start;
}

static void
read_function(Parser *parser, const char *place, const CanoRule *rule,
			  JsonbValue *value)
{
	CanoFunctionName *function;
	JsonbInState out = {0};
	JsonbValue	field;

	if (value->type != jbvString)
		cano_value_refuse_type(place, rule->key, "a function's name", value);
	function = cano_function_resolve(place, rule->key,
									 cano_value_string(value), rule->use);
	if (rule->flags & CANO_RULE_DECIDES && function->returns_outcome)
		parser->decides = true;
	cano_value_set_string(value, function->name);

	pushJsonbValue(&out, WJB_BEGIN_OBJECT, NULL);
	push_key(&out, "signature");
	cano_value_set_string(&field, function->signature);
	pushJsonbValue(&out, WJB_VALUE, &field);
	push_key(&out, "outcome");
	field.type = jbvBool;
	field.val.boolean = function->returns_outcome;
	pushJsonbValue(&out, WJB_VALUE, &field);

	/* Named twice, it is kept once: the object drops duplicates. */
	push_key(&parser->functions, function->name);
	set_object(&field, &out, WJB_END_OBJECT);
	pushJsonbValue(&parser->functions, WJB_VALUE, &field);
}

/*
 * A retry policy or a join strategy.
 */
static void
read_variant(Parser *parser, const char *place, const CanoVariant *variant,
			 JsonbValue *value)
{
	JsonbContainer *container = value->val.binary.data;
	Object		object;

	begin_object(&object, place, find_shape(place, variant, container));
	read_object(parser, &object, container, variant->tag, NULL);
	end_object(&object, value);
	if (strcmp(object.shape->name, "partial_timeout") == 0)
		parser->partial_timeout = true;
}

/*
 * Branches or resources.
 */
static void
read_elements(Parser *parser, const char *place, const CanoRule *rule,
			  JsonbValue *value)
{
	bool		branches = rule->type == CANO_TYPE_BRANCHES;
	JsonbInState out = {0};
	List	   *names = NIL;
	JsonbIterator *it;
	JsonbValue	element;
	int			i = 0;

	if (!cano_value_is_array(value))
		cano_value_refuse_type(place, rule->key, "an array", value);

	pushJsonbValue(&out, WJB_BEGIN_ARRAY, NULL);
	it = JsonbIteratorInit(value->val.binary.data);
	(void) JsonbIteratorNext(&it, &element, false);
	while (JsonbIteratorNext(&it, &element, true) == WJB_ELEM)
	{
		read_element(parser, psprintf("%s, %s %d", place,
									  branches ? "branch" : "resource", i++),
					 branches ? &cano_rules_branch : &cano_rules_resource,
					 &element);
		if (!branches)
			names = cano_value_add_name(place, names, &element);
		pushJsonbValue(&out, WJB_ELEM, &element);
	}
	set_object(value, &out, WJB_END_ARRAY);
}

/*
 * A branch may be no more than the name of its function.
 */
static void
read_element(Parser *parser, const char *place, const CanoShape *shape,
			 JsonbValue *value)
{
	Object		object;

	begin_object(&object, place, shape);
	if (shape == &cano_rules_branch && value->type == jbvString)
		read_key(parser, &object, "run", value);
	else if (cano_value_is_object(value))
		read_object(parser, &object, value->val.binary.data, NULL, NULL);
	else
		cano_value_refuse(shape == &cano_rules_branch ?
						  "Use cano.branch, or name a function." :
						  "Use cano.with_resource.",
						  place, "a %s cannot be of JSON type %s",
						  shape->name, JsonbTypeName(value));
	end_object(&object, value);
}

/*
 * Which shape an object has, by its tag.
 */
static const CanoShape *
find_shape(const char *place, const CanoVariant *variant,
		   JsonbContainer *container)
{
	const CanoShape *shape;
	JsonbValue	tag;
	char	   *name;

	if (getKeyJsonValueFromContainer(container, variant->tag,
									 strlen(variant->tag), &tag) == NULL)
		cano_value_refuse(cano_rules_hint_tag(variant, ""), place,
						  "key \"%s\" is missing", variant->tag);
	if (tag.type != jbvString)
		cano_value_refuse_type(place, variant->tag, "a string", &tag);

	name = cano_value_string(&tag);
	shape = cano_rules_shape(variant, name);
	if (shape == NULL)
		cano_value_refuse(cano_rules_hint_tag(variant, name), place,
						  "unrecognized %s \"%s\"", variant->noun, name);
	return shape;
}

static void
push_key(JsonbInState *out, const char *key)
{
	JsonbValue	value;

	cano_value_set_string(&value, key);
	pushJsonbValue(out, WJB_KEY, &value);
}

static void
end_object(Object *object, JsonbValue *value)
{
	set_object(value, &object->out, WJB_END_OBJECT);
}

static Jsonb *
finish(JsonbInState *out, JsonbIteratorToken end)
{
	pushJsonbValue(out, end, NULL);
	return JsonbValueToJsonb(out->result);
}

/*
 * The value that a finished object or array is, ready to go into another.
 */
static void
set_object(JsonbValue *value, JsonbInState *out, JsonbIteratorToken end)
{
	Jsonb	   *jsonb = finish(out, end);

	value->type = jbvBinary;
	value->val.binary.data = &jsonb->root;
	value->val.binary.len = VARSIZE(jsonb) - VARHDRSZ;
}
