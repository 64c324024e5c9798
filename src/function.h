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
	CANO_USE_POLL,				/* a boolean says ready or not */
	CANO_USE_LOAD,				/* may return a set */
	CANO_USE_PROCESS,			/* a single unnamed parameter is the item */
	CANO_USE_FINISH,			/* a single unnamed parameter is the outputs */
	CANO_USE_COMPENSATE,		/* keys of output come before those of data */
	CANO_USE_ON_END,			/* status, result, error, final_state too */
	CANO_USE_HEALTH,			/* called by whoever asks, for no run */
	CANO_USE_OBSERVE			/* columns of cano.events, nothing reserved */
} CanoUse;

/* How a workflow's document and its checkpoints speak of a function. */
typedef struct CanoFunctionName
{
	const char *name;			/* as defined, schema-qualified: shop.charge */
	const char *signature;		/* exact: shop.charge(integer,text) */
	bool		returns_outcome;
	uint64		pace;			/* what its pace is known by */
} CanoFunctionName;

/*
 * Resolve what a definer wrote, by his search_path and with his rights, and
 * check everything that can be known before the first call.  Raises CN001
 * with a message that names the place (such as: state "charge") and the
 * function.  Result is in the current memory context.
 */
extern CanoFunctionName *cano_function_resolve(const char *place,
											   const char *key,
											   const char *given,
											   CanoUse use);

/* Where a parameter's value comes from: a data key, or a reserved name. */
typedef enum CanoSource
{
	CANO_FROM_KEY,
	CANO_FROM_DATA,
	CANO_FROM_INPUT,
	CANO_FROM_OUTPUT,
	CANO_FROM_CURSOR,
	CANO_FROM_ITEM,
	CANO_FROM_OUTPUTS,
	CANO_FROM_SIGNAL,
	CANO_FROM_HEADERS,
	CANO_FROM_RESOURCES,
	CANO_FROM_RUN_ID,
	CANO_FROM_WORKFLOW,
	CANO_FROM_STATE,
	CANO_FROM_ATTEMPT,
	CANO_FROM_BRANCH,
	CANO_FROM_IDEMPOTENCY_KEY,
	CANO_FROM_STATUS,
	CANO_FROM_RESULT,
	CANO_FROM_ERROR,
	CANO_FROM_FINAL_STATE
} CanoSource;

typedef struct CanoParameter
{
	const char *name;			/* empty when it has none */
	Oid			type;
	CanoSource	source;
	Oid			source_type;	/* JSONBOID unless the value is a scalar */
	bool		has_default;
} CanoParameter;

/* The compiled calls of a function: private to call.c. */
typedef struct CanoCallPlan CanoCallPlan;

/*
 * A function as it was when it was looked up.  Everything is allocated in
 * "context", also what call.c adds.
 */
typedef struct CanoFunction
{
	MemoryContext context;
	char	   *signature;		/* as it is now */
	Oid			oid;
	Oid			owner;
	bool		variadic;		/* last parameter is a VARIADIC array */
	bool		returns_set;
	bool		returns_outcome;
	Oid			return_type;	/* declared */
	Oid			return_base;	/* below domains */
	int			nparameters;
	CanoParameter *parameters;	/* input parameters only */
	Oid			user;			/* whose rights were checked */
	uint64		generation;		/* of the catalogs, when looked up */
	bool		busy;			/* it is being called */
	bool		broken;			/* a call raised an error: look up anew */
	CanoCallPlan *plans;
} CanoFunction;

/*
 * The function ready to be called by the current user: looked up by exact
 * signature (or, when that is gone and the name alone is unambiguous, by
 * name), EXECUTE and schema USAGE checked for the current user.  Cached for
 * the life of the process; forgotten whenever a relevant catalog changes, and
 * valid until the next call of this function.  Raises CN002 (category
 * workflow) when there is no such function.
 */
extern CanoFunction *cano_function_get(const CanoFunctionName *name,
									   CanoUse use);

/* Once per process. */
extern void cano_function_init(void);

/*
 * Forget what is cached: a session may have changed what a cached function
 * depends on (search_path) since it was a worker last.
 */
extern void cano_function_forget(void);

#endif							/* CANO_FUNCTION_H */
