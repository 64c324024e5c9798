/*-------------------------------------------------------------------------
 *
 * context.h
 *	  What a task may ask about itself.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_CONTEXT_H
#define CANO_CONTEXT_H

#include "utils/jsonb.h"

/* The step under way.  Kept in the process, where no setting can forge it. */
typedef struct CanoCurrent
{
	int64		run;
	const char *workflow;
	const char *state;
	int			attempt;
	const char *idempotency_key;	/* stable over attempts of one visit */
	const Jsonb *data;
	const struct CanoDefinition *definition;
	const Jsonb *resources;		/* all of them, where they are no longer those
								 * of the run; else NULL */
	const struct CanoDrain *drain;	/* its run's rollback, or NULL */
	bool		shares;			/* its transaction has other runs in hand */
} CanoCurrent;

/*
 * Set what the functions below "Inside a task" answer; NULL outside.  What it
 * points to must live until it is set again.  Returns what was set before.
 */
extern const CanoCurrent *cano_context_set(const CanoCurrent *step);

/* NULL outside a task. */
extern const CanoCurrent *cano_context_get(void);

/* The same; raises an error outside a task, naming the function. */
extern const CanoCurrent *cano_context_require(const char *function);

#endif							/* CANO_CONTEXT_H */
