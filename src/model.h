/*-------------------------------------------------------------------------
 *
 * model.h
 *	  What a workflow is, in plain C.
 *
 * These are the words that the decision core (fsm.c, retry.c) shares with the
 * rest.  Nothing here needs a server: the core and its unit tests compile
 * with a bare C compiler.  Values that belong to users (outputs, cursors,
 * data) never appear; the core decides without looking at them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_MODEL_H
#define CANO_MODEL_H

#include <stdbool.h>
#include <stdint.h>

/* An index that names no state. */
#define CANO_NO_STATE	(-1)

typedef enum CanoKind
{
	CANO_KIND_TASK,
	CANO_KIND_ROUTER,
	CANO_KIND_SPLIT,
	CANO_KIND_STEPPED,
	CANO_KIND_POLL,
	CANO_KIND_BATCH,
	CANO_KIND_TIMER,
	CANO_KIND_RECEIVE,
	CANO_KIND_CHILD,
	CANO_KIND_EXTERNAL,
	CANO_KIND_EXIT
} CanoKind;

/* How a run ended.  Also the outcome of an exit state. */
typedef enum CanoEnding
{
	CANO_COMPLETED,
	CANO_FAILED,
	CANO_CANCELLED
} CanoEnding;

/* The categories of section 6 of the contract, in the order of its table. */
typedef enum CanoCategory
{
	CANO_CAT_CONFIGURATION,
	CANO_CAT_WORKFLOW,
	CANO_CAT_TASK_EXECUTION,
	CANO_CAT_RETRY_EXHAUSTED,
	CANO_CAT_TIMEOUT,
	CANO_CAT_CIRCUIT_OPEN,
	CANO_CAT_CHECKPOINT_STORE,
	CANO_CAT_COMPENSATION_FAILED,
	CANO_CAT_VERSION_MISMATCH,
	CANO_CAT_RESOURCE,
	CANO_CAT_WORKFLOW_TIMEOUT,
	CANO_CAT_CANCELLED,
	CANO_CAT_RATE_LIMITED,
	CANO_CAT_MISSING_ARGUMENT,
	CANO_CAT_POISONED,
	CANO_CAT_NOT_FOUND,
	CANO_CAT_WAIT_TIMEOUT,
	CANO_CAT_INPUT_MISMATCH,
	CANO_CAT_PERMANENT
} CanoCategory;

typedef enum CanoRetryPolicy
{
	CANO_RETRY_NONE,
	CANO_RETRY_FIXED,
	CANO_RETRY_EXPONENTIAL
} CanoRetryPolicy;

/* Durations are whole milliseconds; "base" is the delay of a fixed policy. */
typedef struct CanoRetry
{
	CanoRetryPolicy policy;
	int32_t		retries;
	int64_t		base_ms;
	int64_t		max_ms;
	double		multiplier;
	double		jitter;
} CanoRetry;

/* When a split's branches are enough of a success; in the rules' order. */
typedef enum CanoStrategy
{
	CANO_JOIN_ALL,
	CANO_JOIN_ANY,
	CANO_JOIN_QUORUM,
	CANO_JOIN_PERCENTAGE,
	CANO_JOIN_PARTIAL,
	CANO_JOIN_PARTIAL_TIMEOUT
} CanoStrategy;

typedef struct CanoJoin
{
	CanoStrategy strategy;
	int			needed;			/* quorum, percentage, partial: successes */
} CanoJoin;

typedef struct CanoState
{
	const char *name;
	CanoKind	kind;
	int			next;			/* default successor, or CANO_NO_STATE */
	int			on_timeout;		/* receive: where to go when it waited in vain */
	int			on_failure;		/* child: where to go when it did not complete */
	bool		anywhere;		/* no targets were given: any state will do */
	int			ntargets;		/* otherwise these, with next among them */
	const int  *targets;
	CanoRetry	retry;
	int			nfatal;			/* SQLSTATEs or classes never retried */
	const char *const *fatal_on;
	int			max_errors;		/* poll: errors in a row that it forgives */
	bool		calls;			/* has a function that this state calls */
	CanoEnding	ending;			/* exit: how the run ends here */
	CanoJoin	join;			/* split */
	int			nparts;			/* split: branches; batch: 1, which is every
								 * item's */
	const struct CanoState *parts;	/* what a branch or an item is to the
									 * core: a state with no successor */
	const struct CanoState *undo;	/* its compensation, a state of that sort,
									 * or NULL */
} CanoState;

/* What the core knows of one version of a workflow. */
typedef struct CanoModel
{
	int			nstates;
	int			start;
	const CanoState *states;
	bool		compensates;	/* some state has a compensation */
	bool		abandons;		/* a run whose time is over is left as it is */
} CanoModel;

#endif							/* CANO_MODEL_H */
