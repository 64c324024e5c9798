/*-------------------------------------------------------------------------
 *
 * hook.h
 *	  What is called before the first state of a run, and after its end.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_HOOK_H
#define CANO_HOOK_H

#include "call.h"
#include "fsm.h"
#include "store.h"

/*
 * Leave a job for what is called after this end of the run, if there is
 * anything.  From now on none of its resources is set up.
 */
extern void cano_hook_settle(CanoSettlement *settlement, const CanoRun *run,
							 const CanoRunEnd *end);

/*
 * A session that drives one run to its end does what is to be called after it,
 * too: from now on the jobs that are left for that are remembered, or no
 * longer.
 */
extern void cano_hook_remember(bool on);

/* Are there any?  Their ids, where there are. */
extern bool cano_hook_left(ArrayType **jobs);

/*
 * The definition that the run had when it ended.  It may have another one by
 * now.
 */
extern int64 cano_hook_definition(const CanoRun *run);

/* What follows from an event of such a call: run->duty says of which. */
extern CanoDecision cano_hook_decide(const CanoRun *run,
									 const CanoPosition *position,
									 const CanoEvent *event);

/* Add what such calls, and tasks that have resources, are given. */
extern void cano_hook_bind(const CanoRun *run, const CanoFunction *function,
						   CanoBinding *binding);

/* How the run's resources were when it ended, for a call after that. */
extern const Jsonb *cano_hook_resources(const CanoRun *run);

/* The setup at hand has succeeded and returned this, or NULL. */
extern void cano_hook_set_up(const CanoRun *run, const Jsonb *value);

/* The same over all attempts of such a call, and different for all others. */
extern char *cano_hook_idempotency_key(const CanoRun *run);

#endif							/* CANO_HOOK_H */
