/*-------------------------------------------------------------------------
 *
 * definition.h
 *	  Workflow documents: parsed, validated, stored, compiled, cached.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_DEFINITION_H
#define CANO_DEFINITION_H

#include "fmgr.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "function.h"
#include "model.h"
#include "store_definition.h"

/* What the shell needs of a state beside what the core knows (same index). */
typedef struct CanoStateExtra
{
	const CanoFunctionName *run;	/* NULL: calls nothing */
	int64		timeout_ms;		/* one attempt; 0 = none */
	const char *output_key;		/* NULL: none */
	const char *signal;			/* receive: its name */
	const Interval *delay;		/* timer: this or */
	TimestampTz until;			/* this; DT_NOBEGIN = none */
	const char *breaker;		/* NULL: none */
	const char *limiter;		/* NULL: none */
	const CanoFunctionName *finish; /* batch; NULL: none */
	int			lanes;			/* split, batch: branches or items under way
								 * at once, at most; 0 = any number */
	const struct CanoStateExtra *parts; /* split, batch: as in the core's */
	Jsonb	   *input;			/* branch: its own, or NULL */
	const char *workflow;		/* child */
	const char *input_key;		/* child; NULL: all data */
	const char *queue;			/* external */
	const struct CanoStateExtra *undo;	/* as in the core's */
} CanoStateExtra;

/* Which events are kept; in the order of the words in rules.c. */
typedef enum CanoLog
{
	CANO_LOG_ERRORS,
	CANO_LOG_NONE,
	CANO_LOG_ALL
} CanoLog;

/* A value by name that the tasks of a run share. */
typedef struct CanoResource
{
	const char *name;
	Jsonb	   *value;			/* unless its setup returns one; NULL: none */
	bool		has_setup;
	const CanoFunctionName *health; /* NULL: none */
} CanoResource;

/* What is called before the first state or after the end. */
typedef struct CanoAside
{
	CanoState	state;			/* what it is to the core: no successor */
	CanoStateExtra extra;
	int			resource;		/* which it sets up or tears down; -1: none */
} CanoAside;

typedef struct CanoDefinition
{
	int64		id;
	const char *workflow;
	int			version;
	CanoModel	model;
	const CanoStateExtra *extra;
	int			priority;		/* of runs that do not say; default 1000 */
	int			concurrency;	/* runs under way at once; 0 = any number */
	bool		async;			/* durability => 'async' */
	int64		timeout_ms;		/* of a run; 0 = none */
	int64		compensation_ms;	/* of a rollback; 0 = no limit */
	CanoLog		log;
	int			nresources;
	const CanoResource *resources;
	Jsonb	   *values;			/* theirs by name, without any setup; NULL:
								 * none */
	int			nbefore;		/* called one by one: setups, in order */
	const CanoAside *before;
	int			nafter;			/* on_end, then teardowns, in reverse */
	const CanoAside *after;
} CanoDefinition;

/*
 * The compiled form of a stored version: cached for the life of the process,
 * never changes.  Opens a window when it is not cached.  Raises when there is
 * no such id.
 */
extern const CanoDefinition *cano_definition_get(int64 id);

/*
 * The id of a workflow's version (0 = the current one).  Raises CN404.
 */
extern int64 cano_definition_find(const char *workflow, int version);

/* A function's first argument, the name of a workflow.  Raises CN001. */
extern char *cano_definition_argument(FunctionCallInfo fcinfo);

/* Raise an error if the user must not change the workflow. */
extern void cano_definition_check_owner(const char *workflow,
										const CanoWorkflowRow *row, Oid user);

#endif							/* CANO_DEFINITION_H */
