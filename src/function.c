/*-------------------------------------------------------------------------
 *
 * function.c
 *	  User functions: found by name when a workflow is defined, looked up
 *	  again by signature when they are called.
 *
 * A function is described the same way for both, by describe(): what it may
 * not be, where each of its parameters gets its value, what it returns.  The
 * description is cached by signature and use and forgotten as a whole when
 * any function, type, schema or role changes; that is coarse, but a lookup
 * costs little and such changes are rare where work is done.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "parser/parse_coerce.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/regproc.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "compat.h"
#include "error.h"
#include "function.h"
#include "guc.h"
#include "window.h"

/* Why a function cannot be used. */
typedef struct Refusal
{
	const char *reason;			/* goes on after: function "x" of state "y" */
	const char *hint;			/* may be NULL */
} Refusal;

/* For the error context callback that names state and function. */
typedef struct Resolving
{
	const char *place;			/* whose it is: state "y" */
	const char *key;
	const char *given;
	MemoryContext context;
} Resolving;

typedef struct CacheKey
{
	const char *signature;
	CanoUse		use;
} CacheKey;

typedef struct CacheEntry
{
	CacheKey	key;
	CanoFunction *function;		/* NULL: to be looked up */
} CacheEntry;

/* Reserved names: the type of their value, and where they are reserved. */
typedef struct Reserved
{
	const char *name;
	CanoSource	source;
	Oid			type;
	bool		on_end_only;
} Reserved;

static const Reserved reserved_names[] = {
	{"data", CANO_FROM_DATA, JSONBOID, false},
	{"input", CANO_FROM_INPUT, JSONBOID, false},
	{"output", CANO_FROM_OUTPUT, JSONBOID, false},
	{"cursor", CANO_FROM_CURSOR, JSONBOID, false},
	{"item", CANO_FROM_ITEM, JSONBOID, false},
	{"outputs", CANO_FROM_OUTPUTS, JSONBOID, false},
	{"signal", CANO_FROM_SIGNAL, JSONBOID, false},
	{"headers", CANO_FROM_HEADERS, JSONBOID, false},
	{"resources", CANO_FROM_RESOURCES, JSONBOID, false},
	{"run_id", CANO_FROM_RUN_ID, INT8OID, false},
	{"workflow", CANO_FROM_WORKFLOW, TEXTOID, false},
	{"state", CANO_FROM_STATE, TEXTOID, false},
	{"attempt", CANO_FROM_ATTEMPT, INT4OID, false},
	{"branch", CANO_FROM_BRANCH, INT4OID, false},
	{"idempotency_key", CANO_FROM_IDEMPOTENCY_KEY, TEXTOID, false},
	{"status", CANO_FROM_STATUS, TEXTOID, true},
	{"result", CANO_FROM_RESULT, JSONBOID, true},
	{"error", CANO_FROM_ERROR, JSONBOID, true},
	{"final_state", CANO_FROM_FINAL_STATE, TEXTOID, true}
};

/* What an observer's parameters may be called. */
static const char *const event_columns[] = {
	"run_id", "ordinal", "event", "state", "task", "branch", "attempt",
	"sequence", "detail", "recorded_at"
};

static Oid	find_given(const char *given, Refusal *refusal);
static Oid	find_named(List *names, Refusal *refusal);
static int	compare_signatures(const ListCell *a, const ListCell *b);
static Oid	find_stored(const CanoFunctionName *name);
static char *signature_of(Oid function);
static void resolving_error(void *arg);
static CanoFunction *describe(Oid oid, CanoUse use, Refusal *refusal);
static bool check_kind(HeapTuple tuple, CanoUse use, Refusal *refusal);
static bool check_return(CanoFunction *function, CanoUse use, Refusal *refusal);
static bool returns_items(const CanoFunction *function);
static bool describe_parameters(CanoFunction *function, HeapTuple tuple,
								CanoUse use, Refusal *refusal);
static bool describe_parameter(CanoParameter *parameter, int ninputs,
							   CanoUse use, Refusal *refusal);
static bool is_event_column(const char *name);
static bool takes_object(Oid type);
static void check_trust(const CanoFunction *function);
static CanoFunction *look_up(const CanoFunctionName *name, CanoUse use);
static char *function_part(const char *name);
static uint32 cache_hash(const void *key, Size keysize);
static int	cache_match(const void *key1, const void *key2, Size keysize);
static void catalog_changed(Datum arg, int cacheid, uint32 hashvalue);

static HTAB *cache = NULL;
static uint64 generation = 1;

void
cano_function_init(void)
{
	CacheRegisterSyscacheCallback(PROCOID, catalog_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, catalog_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(TYPEOID, catalog_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHOID, catalog_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, catalog_changed, (Datum) 0);
}

void
cano_function_forget(void)
{
	generation++;
}

static void
catalog_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	generation++;
}

CanoFunctionName *
cano_function_resolve(const char *place, const char *key, const char *given,
					  CanoUse use)
{
	CanoFunctionName *result = palloc(sizeof(CanoFunctionName));
	Resolving	resolving = {
		.place = place,
		.key = key,
		.given = given,
		.context = CurrentMemoryContext
	};
	Refusal		refusal = {NULL, NULL};
	CanoFunction *function = NULL;
	ErrorContextCallback callback;
	Oid			oid;

	callback.callback = resolving_error;
	callback.arg = &resolving;
	callback.previous = error_context_stack;
	error_context_stack = &callback;

	oid = find_given(given, &refusal);
	if (OidIsValid(oid))
		function = describe(oid, use, &refusal);
	if (function != NULL &&
		object_aclcheck(ProcedureRelationId, oid, GetUserId(),
						ACL_EXECUTE) != ACLCHECK_OK)
	{
		refusal.reason = use == CANO_USE_OBSERVE ?
			"may not be executed by whoever registers it" :
			"may not be executed by the workflow's definer";
		refusal.hint = "Ask the function's owner to grant EXECUTE on it.";
	}
	if (refusal.reason != NULL)
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_CONFIGURATION)),
				 errmsg("function \"%s\" of %s %s",
						given, place, refusal.reason),
				 errdetail("It is named under \"%s\".", key),
				 refusal.hint ? errhint("%s", refusal.hint) : 0));
	Assert(function != NULL);

	error_context_stack = callback.previous;

	if (strlen(function_part(given)) == strlen(given))
		result->name = quote_qualified_identifier(get_namespace_name(get_func_namespace(oid)),
												  get_func_name(oid));
	else
		result->name = pstrdup(function->signature);
	result->signature = pstrdup(function->signature);
	result->returns_outcome = function->returns_outcome;
	MemoryContextDelete(function->context);
	return result;
}

/*
 * Whatever the server says about the name (not an identifier, no such type,
 * no USAGE on the schema) is an error of the definition, and must name the
 * state.
 */
static void
resolving_error(void *arg)
{
	const Resolving *resolving = arg;
	MemoryContext errorcontext = MemoryContextSwitchTo(resolving->context);
	ErrorData  *edata = CopyErrorData();

	MemoryContextSwitchTo(errorcontext);
	if (edata->elevel != ERROR ||
		edata->sqlerrcode == cano_errcode(CANO_CAT_CONFIGURATION) ||
		edata->sqlerrcode == ERRCODE_QUERY_CANCELED ||
		edata->sqlerrcode == ERRCODE_OUT_OF_MEMORY)
		return;

	errcode(cano_errcode(CANO_CAT_CONFIGURATION));
	if (edata->sqlerrcode == ERRCODE_UNDEFINED_FUNCTION)
		errmsg("function \"%s\" of %s does not exist",
			   resolving->given, resolving->place);
	else
		errmsg("function \"%s\" of %s cannot be resolved: %s",
			   resolving->given, resolving->place, edata->message);
	errdetail("It is named under \"%s\".", resolving->key);
	errhint("Check the name, the argument types, the search_path and your rights on the schema.");
}

/*
 * The part of a name before its argument types.
 */
static char *
function_part(const char *name)
{
	bool		quoted = false;

	for (const char *c = name; *c; c++)
	{
		if (*c == '"')
			quoted = !quoted;
		else if (*c == '(' && !quoted)
			return pnstrdup(name, c - name);
	}
	return pstrdup(name);
}

/*
 * By what the definer wrote.  InvalidOid with a refusal, unless the server
 * itself raises an error.
 */
static Oid
find_given(const char *given, Refusal *refusal)
{
	char	   *part = function_part(given);
	List	   *identifiers;
	List	   *names = NIL;
	ListCell   *cell;

	if (strlen(part) < strlen(given))
		return DatumGetObjectId(DirectFunctionCall1(regprocedurein,
													CStringGetDatum(given)));

	if (!SplitIdentifierString(part, '.', &identifiers) ||
		identifiers == NIL || list_length(identifiers) > 2)
	{
		refusal->reason = "has no valid name";
		refusal->hint = "Write it as name or schema.name, each part as an SQL identifier, with argument types in parentheses to choose an overload.";
		return InvalidOid;
	}
	foreach(cell, identifiers)
		names = lappend(names, makeString(pstrdup(lfirst(cell))));
	return find_named(names, refusal);
}

/*
 * By name alone.  Procedures and aggregates of the same name do not make a
 * function ambiguous.
 */
static Oid
find_named(List *names, Refusal *refusal)
{
	FuncCandidateList candidate;
	Oid			function = InvalidOid;
	Oid			other = InvalidOid;
	List	   *found = NIL;

	for (candidate = cano_candidates(names); candidate; candidate = candidate->next)
	{
		if (get_func_prokind(candidate->oid) != PROKIND_FUNCTION)
			other = candidate->oid;
		else
		{
			function = candidate->oid;
			found = lappend(found, signature_of(function));
		}
	}
	if (list_length(found) > 1)
	{
		list_sort(found, compare_signatures);
		refusal->reason = "is ambiguous";
		refusal->hint = psprintf("Write which one, with its schema and argument types: \"%s\", \"%s\"%s",
								 (char *) linitial(found), (char *) lsecond(found),
								 list_length(found) > 2 ? ", ..." : ".");
		return InvalidOid;
	}
	if (OidIsValid(function))
		return function;
	if (!OidIsValid(other))
	{
		refusal->reason = "does not exist";
		refusal->hint = "Create the function first, or check its name, the search_path and the argument types.";
	}
	return other;
}

/* What is the server's own comes last. */
static int
compare_signatures(const ListCell *a, const ListCell *b)
{
	const char *signatures[] = {lfirst(a), lfirst(b)};
	int			rank = strncmp(signatures[0], "pg_catalog.", strlen("pg_catalog.")) == 0;

	rank -= strncmp(signatures[1], "pg_catalog.", strlen("pg_catalog.")) == 0;
	return rank != 0 ? rank : strcmp(signatures[0], signatures[1]);
}

/*
 * By what the definition keeps: the signature, else the name.  The server's
 * own "permission denied for schema" may come out of this.
 */
static Oid
find_stored(const CanoFunctionName *name)
{
	Refusal		refusal = {NULL, NULL};
	List	   *identifiers;
	List	   *names = NIL;
	FuncCandidateList candidate;
	ListCell   *cell;

	if (!SplitIdentifierString(function_part(name->signature), '.',
							   &identifiers))
		return InvalidOid;
	foreach(cell, identifiers)
		names = lappend(names, makeString(pstrdup(lfirst(cell))));

	for (candidate = cano_candidates(names); candidate; candidate = candidate->next)
		if (strcmp(signature_of(candidate->oid), name->signature) == 0)
			return candidate->oid;
	return find_named(names, &refusal);
}

/*
 * The same whatever the search_path is: every name qualified, but for types
 * of pg_catalog, which cannot be mistaken for others because those have a
 * schema.  Compared, never parsed.
 */
static char *
signature_of(Oid function)
{
	StringInfoData buf;
	Oid		   *types;
	int			ntypes;

	(void) get_func_signature(function, &types, &ntypes);
	initStringInfo(&buf);
	appendStringInfoString(&buf,
						   quote_qualified_identifier(get_namespace_name(get_func_namespace(function)),
													  get_func_name(function)));
	appendStringInfoChar(&buf, '(');
	for (int i = 0; i < ntypes; i++)
	{
		const char *type = format_type_be_qualified(types[i]);

		if (strncmp(type, "pg_catalog.", strlen("pg_catalog.")) == 0)
			type += strlen("pg_catalog.");
		appendStringInfo(&buf, "%s%s", i > 0 ? "," : "", type);
	}
	appendStringInfoChar(&buf, ')');
	return buf.data;
}

/*
 * What there is to know about a function, in a memory context of its own
 * below the current one; or NULL with a refusal.
 */
static CanoFunction *
describe(Oid oid, CanoUse use, Refusal *refusal)
{
	MemoryContext context;
	MemoryContext oldcontext;
	CanoFunction *function = NULL;
	HeapTuple	tuple;
	Form_pg_proc proc;

	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(oid));
	if (!HeapTupleIsValid(tuple))
	{
		refusal->reason = "does not exist";
		return NULL;
	}
	proc = (Form_pg_proc) GETSTRUCT(tuple);

	if (check_kind(tuple, use, refusal))
	{
		context = AllocSetContextCreate(CurrentMemoryContext, "cano function",
										ALLOCSET_SMALL_SIZES);
		oldcontext = MemoryContextSwitchTo(context);
		function = palloc0(sizeof(CanoFunction));
		function->context = context;
		function->oid = oid;
		function->owner = proc->proowner;
		function->signature = signature_of(oid);
		function->variadic = OidIsValid(proc->provariadic);
		function->returns_set = proc->proretset;
		function->return_type = proc->prorettype;
		function->return_base = getBaseType(proc->prorettype);
		function->returns_outcome =
			function->return_base == cano_extension()->outcome_type;
		if (!describe_parameters(function, tuple, use, refusal) ||
			!check_return(function, use, refusal))
			function = NULL;
		MemoryContextSwitchTo(oldcontext);
		if (function == NULL)
			MemoryContextDelete(context);
	}
	ReleaseSysCache(tuple);
	return function;
}

static bool
check_kind(HeapTuple tuple, CanoUse use, Refusal *refusal)
{
	Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(tuple);

	if (proc->prokind == PROKIND_PROCEDURE)
	{
		refusal->reason = "is a procedure";
		refusal->hint = "A task must be a function: its transaction is not its own to end.";
	}
	else if (proc->prokind == PROKIND_AGGREGATE)
		refusal->reason = "is an aggregate function";
	else if (proc->prokind == PROKIND_WINDOW)
		refusal->reason = "is a window function";
	else if (proc->prorettype == TRIGGEROID ||
			 proc->prorettype == EVENT_TRIGGEROID)
		refusal->reason = "is a trigger function";
	else if (proc->proretset && use != CANO_USE_LOAD)
	{
		refusal->reason = "returns a set";
		refusal->hint = "Return one value, for instance a jsonb array.";
	}
	else if (isAnyTempNamespace(proc->pronamespace))
	{
		refusal->reason = "is temporary";
		refusal->hint = "Other sessions cannot call it: create it in an ordinary schema.";
	}
	return refusal->reason == NULL;
}

static bool
check_return(CanoFunction *function, CanoUse use, Refusal *refusal)
{
	Oid			type = function->return_base;
	char		typtype = get_typtype(type);

	if (typtype == TYPTYPE_PSEUDO && type != VOIDOID && type != RECORDOID)
		refusal->reason = psprintf("returns %s, which is no value",
								   format_type_be(type));
	else if (use == CANO_USE_ROUTER && !function->returns_outcome &&
			 type != TEXTOID && type != VARCHAROID && type != NAMEOID)
	{
		refusal->reason = psprintf("returns %s", format_type_be(type));
		refusal->hint = "A router returns text, the next state's name, or cano.outcome.";
	}
	else if (use == CANO_USE_TIMER && type != INTERVALOID &&
			 type != TIMESTAMPTZOID)
	{
		refusal->reason = psprintf("returns %s", format_type_be(type));
		refusal->hint = "A timer's function returns interval or timestamp with time zone.";
	}
	else if (use == CANO_USE_HEALTH && type != TEXTOID && type != BOOLOID &&
			 type != JSONBOID && type != JSONOID && type != VOIDOID)
	{
		refusal->reason = psprintf("returns %s", format_type_be(type));
		refusal->hint = "A health function returns text (healthy, degraded or unhealthy), boolean, jsonb with \"status\" and \"reason\", or void.";
	}
	else if (use == CANO_USE_LOAD && !returns_items(function))
	{
		refusal->reason = psprintf(function->returns_set ?
								   "returns a set of %s" : "returns %s",
								   format_type_be(type));
		refusal->hint = "A batch's load returns its items as a set of rows, an array or a JSON array.";
	}
	return refusal->reason == NULL;
}

static bool
returns_items(const CanoFunction *function)
{
	Oid			type = function->return_base;

	if (type == VOIDOID || function->returns_outcome)
		return false;
	return function->returns_set || type == JSONOID || type == JSONBOID ||
		OidIsValid(get_element_type(type));
}

static bool
describe_parameters(CanoFunction *function, HeapTuple tuple, CanoUse use,
					Refusal *refusal)
{
	Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(tuple);
	Oid		   *types;
	char	  **names;
	char	   *modes;
	int			nall = get_func_arg_info(tuple, &types, &names, &modes);
	int			nunnamed = 0;

	function->parameters = palloc0(sizeof(CanoParameter) *
								   Max(proc->pronargs, 1));
	for (int i = 0; i < nall; i++)
	{
		CanoParameter *parameter;

		if (modes != NULL && (modes[i] == PROARGMODE_OUT ||
							  modes[i] == PROARGMODE_TABLE))
			continue;
		parameter = &function->parameters[function->nparameters++];
		parameter->name = names ? names[i] : "";
		parameter->type = types[i];
		parameter->has_default =
			function->nparameters > proc->pronargs - proc->pronargdefaults;
		if (parameter->name[0] == '\0')
			nunnamed++;
	}

	if (nunnamed > 0 && function->nparameters > 1)
	{
		refusal->reason = nunnamed > 1 ? "has more than one unnamed parameter" :
			"has an unnamed parameter among others";
		refusal->hint = "Parameters are bound by name: give every one a name.";
		return false;
	}
	for (int i = 0; i < function->nparameters; i++)
		if (!describe_parameter(&function->parameters[i],
								function->nparameters, use, refusal))
			return false;
	return true;
}

/*
 * Decide where a parameter's value comes from.
 */
static bool
describe_parameter(CanoParameter *parameter, int ninputs, CanoUse use,
				   Refusal *refusal)
{
	const Reserved *reserved = NULL;

	if (get_typtype(getBaseType(parameter->type)) == TYPTYPE_PSEUDO)
	{
		refusal->reason = psprintf("has a parameter of type %s, which cannot be bound",
								   format_type_be(parameter->type));
		refusal->hint = "Give every parameter a type of its own.";
		return false;
	}

	for (int i = 0; i < lengthof(reserved_names) && reserved == NULL &&
		 use != CANO_USE_OBSERVE; i++)
		if (strcmp(parameter->name, reserved_names[i].name) == 0 &&
			(!reserved_names[i].on_end_only || use == CANO_USE_ON_END))
			reserved = &reserved_names[i];

	parameter->source_type = JSONBOID;
	if (reserved != NULL)
	{
		parameter->source = reserved->source;
		parameter->source_type = reserved->type;
	}
	else if (parameter->name[0] == '\0' && use == CANO_USE_PROCESS)
		parameter->source = CANO_FROM_ITEM;
	else if (use == CANO_USE_HEALTH)
		parameter->source = ninputs == 1 && (parameter->name[0] == '\0' ||
											 parameter->type == JSONBOID) ?
			CANO_FROM_ITEM : CANO_FROM_KEY;
	else if (parameter->name[0] == '\0' && use == CANO_USE_FINISH)
		parameter->source = CANO_FROM_OUTPUTS;
	else if (parameter->name[0] == '\0' ||
			 (ninputs == 1 && parameter->type == JSONBOID))
		parameter->source = CANO_FROM_DATA;
	else
		parameter->source = CANO_FROM_KEY;

	if (use == CANO_USE_OBSERVE && parameter->source == CANO_FROM_KEY &&
		!parameter->has_default && !is_event_column(parameter->name))
	{
		refusal->reason = psprintf("has a parameter \"%s\", which is no column of cano.events",
								   parameter->name);
		refusal->hint = "An observer takes one jsonb, or parameters named like the columns of cano.events.";
		return false;
	}
	if (parameter->source_type != JSONBOID &&
		!can_coerce_type(1, &parameter->source_type, &parameter->type,
						 COERCION_ASSIGNMENT))
	{
		refusal->reason = psprintf("has a parameter \"%s\" of type %s, but that reserved name stands for a value of type %s",
								   parameter->name,
								   format_type_be(parameter->type),
								   format_type_be(parameter->source_type));
		refusal->hint = "Declare it with that type, or rename the parameter.";
		return false;
	}
	if (use == CANO_USE_HEALTH && parameter->source == CANO_FROM_KEY &&
		!parameter->has_default && strcmp(parameter->name, "name") != 0 &&
		strcmp(parameter->name, "value") != 0)
	{
		refusal->reason = psprintf("has a parameter \"%s\", which is not given to a health function",
								   parameter->name);
		refusal->hint = "It is given the resource's name and value, under these names.";
		return false;
	}
	if ((parameter->source == CANO_FROM_DATA ||
		 parameter->source == CANO_FROM_INPUT) &&
		!takes_object(parameter->type))
	{
		refusal->reason = psprintf("has a parameter of type %s that would be given an object",
								   format_type_be(parameter->type));
		refusal->hint = parameter->name[0] == '\0' ?
			"Name the parameter, so that a key of the run's data is bound to it, or declare it jsonb." :
			"Declare it jsonb, or rename the parameter.";
		return false;
	}
	return true;
}

static bool
is_event_column(const char *name)
{
	for (int i = 0; i < lengthof(event_columns); i++)
		if (strcmp(event_columns[i], name) == 0)
			return true;
	return false;
}

/*
 * Can a JSON object become a value of this type?
 */
static bool
takes_object(Oid type)
{
	char		category;
	bool		preferred;

	type = getBaseType(type);
	if (type == JSONBOID || type == JSONOID || type_is_rowtype(type))
		return true;
	get_type_category_preferred(type, &category, &preferred);
	return category == TYPCATEGORY_STRING;
}

CanoFunction *
cano_function_get(const CanoFunctionName *name, CanoUse use)
{
	CacheKey	key = {name->signature, use};
	CacheEntry *entry;
	bool		found;

	if (cache == NULL)
	{
		HASHCTL		ctl = {
			.keysize = sizeof(CacheKey),
			.entrysize = sizeof(CacheEntry),
			.hash = cache_hash,
			.match = cache_match
		};

		cache = hash_create("cano functions", 64, &ctl,
							HASH_ELEM | HASH_FUNCTION | HASH_COMPARE);
	}

	entry = hash_search(cache, &key, HASH_FIND, NULL);
	if (entry == NULL)
	{
		/* The key's text must outlive the caller's, so it is copied first. */
		key.signature = MemoryContextStrdup(TopMemoryContext, name->signature);
		entry = hash_search(cache, &key, HASH_ENTER, &found);
		entry->function = NULL;
	}

	if (entry->function != NULL)
	{
		if (entry->function->busy)
			ereport(ERROR,
					(errcode(cano_errcode(CANO_CAT_WORKFLOW)),
					 errmsg("function \"%s\" is being called by this session already",
							name->name)));
		if (entry->function->generation != generation ||
			entry->function->user != GetUserId() ||
			entry->function->broken)
		{
			MemoryContextDelete(entry->function->context);
			entry->function = NULL;
		}
	}
	if (entry->function == NULL)
	{
		CanoFunction *function = look_up(name, use);

		MemoryContextSetParent(function->context, CacheMemoryContext);
		entry->function = function;
	}
	check_trust(entry->function);
	return entry->function;
}

/*
 * Find the function in the catalogs, with the rights of the current user.
 */
static CanoFunction *
look_up(const CanoFunctionName *name, CanoUse use)
{
	Refusal		refusal = {"does not exist", NULL};
	uint64		before = generation;
	CanoFunction *function = NULL;
	AclResult	aclresult;
	Oid			oid = find_stored(name);

	if (OidIsValid(oid))
	{
		refusal.reason = NULL;
		function = describe(oid, use, &refusal);
	}
	if (function == NULL)
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_WORKFLOW)),
				 errmsg("function \"%s\" %s", name->signature, refusal.reason),
				 use == CANO_USE_OBSERVE ?
				 errhint("Create it again, or remove the observer with cano.unobserve.") :
				 errhint("Create it again as it was when the workflow was defined and resume the run, or define the workflow anew.")));

	aclresult = object_aclcheck(ProcedureRelationId, oid, GetUserId(),
								ACL_EXECUTE);
	if (aclresult != ACLCHECK_OK)
		aclcheck_error(aclresult, OBJECT_FUNCTION, function->signature);

	function->user = GetUserId();
	function->generation = before;
	return function;
}

/*
 * Under the strict rule nobody but the role itself or a superuser may own
 * what the role's runs execute.  Asked at every call: it is a setting.
 */
static void
check_trust(const CanoFunction *function)
{
	if (cano_function_trust != CANO_TRUST_OWNER ||
		function->owner == function->user || superuser_arg(function->owner))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("function \"%s\" belongs to role \"%s\", which this run does not trust",
					function->signature,
					GetUserNameFromId(function->owner, true)),
			 errhint("Change the function's owner, or set \"%s\" to \"%s\".",
					 "cano.function_trust", "any")));
}

static uint32
cache_hash(const void *key, Size keysize)
{
	const CacheKey *k = key;

	return string_hash(k->signature, strlen(k->signature) + 1) ^ k->use;
}

static int
cache_match(const void *key1, const void *key2, Size keysize)
{
	const CacheKey *a = key1;
	const CacheKey *b = key2;

	return a->use != b->use || strcmp(a->signature, b->signature) != 0;
}
