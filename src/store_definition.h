/*-------------------------------------------------------------------------
 *
 * store_definition.h
 *	  Statements on cano._workflow and cano._definition.
 *
 * All of these run inside an open window.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_STORE_DEFINITION_H
#define CANO_STORE_DEFINITION_H

#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "spelling.h"

/* A workflow as it stands; version 0: it has none yet. */
typedef struct CanoWorkflowRow
{
	Oid			owner;
	NameData	owner_name;
	int64		origin;			/* where the owner has that number */
	int			version;
} CanoWorkflowRow;

typedef struct CanoDefinitionRow
{
	char	   *workflow;
	int			version;
	Jsonb	   *document;
	Jsonb	   *functions;
} CanoDefinitionRow;

/*
 * Lock a workflow until the end of the transaction, made first with this
 * owner if there is none of that name.
 */
extern void cano_store_definition_lock(const char *workflow, Oid owner,
									   const char *owner_name,
									   CanoWorkflowRow *row);

/* The same, but false if there is none. */
extern bool cano_store_definition_lock_existing(const char *workflow,
												CanoWorkflowRow *row);

/* Has this version this content? */
extern bool cano_store_definition_equal(const char *workflow, int version,
										const Jsonb *document,
										const Jsonb *functions);

/* Add a version and make it the current one. */
extern void cano_store_definition_add(const char *workflow, int version,
									  Oid owner, const char *owner_name,
									  const Jsonb *document,
									  const Jsonb *functions,
									  TimestampTz created_at);

/* The id of a version, 0 being the current one; 0: there is none. */
extern int64 cano_store_definition_find(const char *workflow, int version);

/* Offer the name of every workflow; of the best a copy in that context. */
extern void cano_store_definition_offer(CanoSpelling *spelling,
										MemoryContext context);

/* A version by id, in the given memory context.  False: there is none. */
extern bool cano_store_definition_load(int64 id, MemoryContext context,
									   CanoDefinitionRow *row);

#endif							/* CANO_STORE_DEFINITION_H */
