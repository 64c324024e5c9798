/*-------------------------------------------------------------------------
 *
 * definition.c
 *	  Workflow documents: defined, printed, found, compiled once.
 *
 * What a user wrote is checked with his own rights before the window opens;
 * inside it there are only the statements of store_definition.c.
 *
 * A version never changes and its id is never used again, so what is compiled
 * stays valid until the extension is dropped.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "compile.h"
#include "debug.h"
#include "definition.h"
#include "document.h"
#include "error.h"
#include "origin.h"
#include "spelling.h"
#include "store_definition.h"
#include "value.h"
#include "window.h"

PG_FUNCTION_INFO_V1(cano_define);
PG_FUNCTION_INFO_V1(cano_definition);

typedef struct CacheEntry
{
	int64		id;				/* hash key */
	const CanoDefinition *definition;
} CacheEntry;

static Jsonb **parts_argument(FunctionCallInfo fcinfo, int *nparts);
static int	store(const char *workflow, const CanoDocument *document);
pg_noreturn static void refuse_version(const char *workflow, int version);
static const char *hint_workflow(const char *workflow);
static void load(int64 id, CanoDefinitionRow *row);
static void prepare_cache(void);

/*
 * Compiled definitions, by id, of one installation of the extension.  Each
 * is in a memory context of its own below cache_context.
 */
static HTAB *cache = NULL;
static MemoryContext cache_context = NULL;
static Oid	cache_extension = InvalidOid;
static Oid	cache_schema = InvalidOid;

/*
 * cano.define(workflow text, VARIADIC parts jsonb[]) RETURNS integer
 */
Datum
cano_define(PG_FUNCTION_ARGS)
{
	CanoDocument document;
	char	   *workflow;
	Jsonb	  **parts;
	int			nparts;

	cano_window_refuse_restricted("cano.define");
	workflow = cano_definition_argument(fcinfo);
	parts = parts_argument(fcinfo, &nparts);
	cano_document_parse(workflow, parts, nparts, &document);
	PG_RETURN_INT32(store(workflow, &document));
}

/*
 * cano.definition(workflow text, version integer) RETURNS jsonb
 */
Datum
cano_definition(PG_FUNCTION_ARGS)
{
	CanoDefinitionRow row;
	char	   *workflow;
	int64		id;

	workflow = cano_definition_argument(fcinfo);
	if (!PG_ARGISNULL(1) && PG_GETARG_INT32(1) < 1)
		refuse_version(workflow, PG_GETARG_INT32(1));
	id = cano_definition_find(workflow,
							  PG_ARGISNULL(1) ? 0 : PG_GETARG_INT32(1));
	load(id, &row);
	PG_RETURN_JSONB_P(row.document);
}

char *
cano_definition_argument(FunctionCallInfo fcinfo)
{
	char	   *workflow;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_CONFIGURATION)),
				 errmsg("the workflow's name must not be null")));
	workflow = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (!cano_value_is_name(workflow))
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_CONFIGURATION)),
				 errmsg("a workflow's name must have 1 to 1000 characters")));
	return workflow;
}

static Jsonb **
parts_argument(FunctionCallInfo fcinfo, int *nparts)
{
	Datum	   *elements;
	bool	   *nulls;
	Jsonb	  **parts;

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_CONFIGURATION)),
				 errmsg("the workflow's parts must not be null")));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), JSONBOID, -1, false,
					  TYPALIGN_INT, &elements, &nulls, nparts);
	parts = palloc(sizeof(Jsonb *) * Max(*nparts, 1));
	for (int i = 0; i < *nparts; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(cano_errcode(CANO_CAT_CONFIGURATION)),
					 errmsg("part %d must not be null", i + 1)));
		parts[i] = DatumGetJsonbP(elements[i]);
	}
	return parts;
}

/*
 * Store a checked document, unless it is the current version.  Returns the
 * version that has it.
 */
static int
store(const char *workflow, const CanoDocument *document)
{
	Oid			user = GetUserId();
	char	   *user_name = GetUserNameFromId(user, false);
	TimestampTz now = cano_now();
	CanoWindow	window;
	CanoWorkflowRow row;

	cano_window_open(&window);
	cano_store_definition_lock(workflow, user, user_name, &row);
	cano_definition_check_owner(workflow, &row, user);
	if (row.version == 0 ||
		!cano_store_definition_equal(workflow, row.version,
									 document->document,
									 document->functions))
	{
		row.version++;
		cano_store_definition_add(workflow, row.version, user, user_name,
								  document->document, document->functions,
								  now);
	}
	cano_window_close(&window);
	return row.version;
}

/*
 * In a copy the owner's number may be another role's: there the name
 * must match, too, or only superusers may go on.
 */
void
cano_definition_check_owner(const char *workflow, const CanoWorkflowRow *row,
							Oid user)
{
	char	   *name = GetUserNameFromId(row->owner, true);

	if (superuser_arg(user))
		return;
	if (name != NULL &&
		(row->origin == cano_origin() ||
		 strcmp(name, NameStr(row->owner_name)) == 0) &&
		has_privs_of_role(user, row->owner))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("must be owner of workflow \"%s\"", workflow),
			 errdetail("It is owned by role \"%s\".",
					   NameStr(row->owner_name)),
			 errhint("Members of that role and superusers may.")));
}

int64
cano_definition_find(const char *workflow, int version)
{
	CanoWindow	window;
	int64		id;

	cano_window_open(&window);
	id = cano_store_definition_find(workflow, version);
	cano_window_close(&window);

	if (id == 0 && version == 0)
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_NOT_FOUND)),
				 errmsg("workflow \"%s\" does not exist", workflow),
				 errhint("%s", hint_workflow(workflow))));
	if (id == 0 && cano_definition_find(workflow, 0) != 0)
		refuse_version(workflow, version);
	return id;
}

static void
refuse_version(const char *workflow, int version)
{
	ereport(ERROR,
			(errcode(cano_errcode(CANO_CAT_NOT_FOUND)),
			 errmsg("version %d of workflow \"%s\" does not exist",
					version, workflow),
			 errhint("See cano.workflows for those that do.")));
}

/*
 * Of other workflows who may read the view is told, nobody else.
 */
static const char *
hint_workflow(const char *workflow)
{
	Oid			view = get_relname_relid("workflows", cano_extension()->schema);
	CanoSpelling spelling;
	CanoWindow	window;

	cano_spelling_init(&spelling, workflow);
	if (pg_class_aclcheck(view, GetUserId(), ACL_SELECT) == ACLCHECK_OK)
	{
		MemoryContext context = CurrentMemoryContext;

		cano_window_open(&window);
		cano_store_definition_offer(&spelling, context);
		cano_window_close(&window);
	}
	return cano_spelling_hint(&spelling, "workflow", "Create it with cano.define.");
}

const CanoDefinition *
cano_definition_get(int64 id)
{
	CacheEntry *entry;
	CanoDefinitionRow row;
	CanoDefinition *definition;
	MemoryContext context;
	MemoryContext oldcontext;

	prepare_cache();
	entry = hash_search(cache, &id, HASH_FIND, NULL);
	if (entry != NULL)
		return entry->definition;

	load(id, &row);

	/* Kept only when it is complete. */
	context = AllocSetContextCreate(CurrentMemoryContext, "cano definition",
									ALLOCSET_SMALL_SIZES);
	oldcontext = MemoryContextSwitchTo(context);
	definition = cano_compile(id, row.workflow, row.version, row.document,
							  row.functions);
	MemoryContextSwitchTo(oldcontext);

	entry = hash_search(cache, &id, HASH_ENTER, NULL);
	entry->definition = definition;
	MemoryContextSetParent(context, cache_context);
	return definition;
}

static void
load(int64 id, CanoDefinitionRow *row)
{
	MemoryContext context = CurrentMemoryContext;
	CanoWindow	window;
	bool		found;

	cano_window_open(&window);
	found = cano_store_definition_load(id, context, row);
	cano_window_close(&window);
	if (!found)
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_NOT_FOUND)),
				 errmsg("workflow definition %lld does not exist",
						(long long) id)));
}

/*
 * An extension created anew begins to number its definitions anew.  What was
 * compiled before is forgotten but not freed: a caller may still hold it.
 */
static void
prepare_cache(void)
{
	const CanoExtension *extension = cano_extension();
	HASHCTL		control = {
		.keysize = sizeof(int64),
		.entrysize = sizeof(CacheEntry)
	};

	if (cache != NULL && cache_extension == extension->oid &&
		cache_schema == extension->schema)
		return;

	cache_context = AllocSetContextCreate(TopMemoryContext,
										  "cano definitions",
										  ALLOCSET_SMALL_SIZES);
	control.hcxt = cache_context;
	cache = hash_create("cano definitions", 32, &control,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	cache_extension = extension->oid;
	cache_schema = extension->schema;
}
