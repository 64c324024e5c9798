/*-------------------------------------------------------------------------
 *
 * function.h
 *	  User functions: found by name when a workflow is defined, looked up
 *	  again by signature when they are called.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_FUNCTION_H
#define CANO_FUNCTION_H

#include "utils/jsonb.h"

/* What a function is for: decides its reserved parameters and return types. */
typedef enum CanoUse
{
	CANO_USE_TASK,				/* task, branch, stepped, poll, setup, ... */
	CANO_USE_ROUTER,			/* returns text or cano.outcome */
	CANO_USE_TIMER,				/* returns interval or timestamptz */
	CANO_USE_POLL,				/* returns boolean or cano.outcome */
	CANO_USE_LOAD,				/* may return a set */
	CANO_USE_PROCESS,			/* a single unnamed parameter is the item */
	CANO_USE_FINISH,			/* a single unnamed parameter is the outputs */
	CANO_USE_COMPENSATE,		/* keys of output come before those of data */
	CANO_USE_ON_END				/* status, result, error, final_state too */
} CanoUse;

/* How a workflow's document and its checkpoints speak of a function. */
typedef struct CanoFunctionName
{
	const char *name;			/* as defined, schema-qualified: shop.charge */
	const char *signature;		/* exact: shop.charge(integer,text) */
	bool		returns_outcome;
} CanoFunctionName;

/*
 * Resolve what a definer wrote, by his search_path and with his rights, and
 * check everything that can be known before the first call.  Raises CN001
 * with a message that names state and function.  Result is in the current
 * memory context.
 */
extern CanoFunctionName *cano_function_resolve(const char *state,
											   const char *key,
											   const char *given,
											   CanoUse use);

typedef struct CanoFunction CanoFunction;

/*
 * The function ready to be called by the current user: looked up by exact
 * signature (or, when that is gone and the name alone is unambiguous, by
 * name), EXECUTE and schema USAGE checked for the current user.  Cached for
 * the life of the process; forgotten whenever a relevant catalog changes.
 * Raises CN002 (category workflow) when there is no such function.
 */
extern CanoFunction *cano_function_get(const CanoFunctionName *name,
									   CanoUse use);

#endif							/* CANO_FUNCTION_H */
