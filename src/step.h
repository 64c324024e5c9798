/*-------------------------------------------------------------------------
 *
 * step.h
 *	  One step: call what the run's state calls, decide what follows.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_STEP_H
#define CANO_STEP_H

#include "call.h"
#include "error.h"
#include "fsm.h"
#include "store.h"

typedef struct CanoStep
{
	bool		separate;		/* rolled back: must run with nothing held */
	bool		last;			/* no other step may share its transaction */
	CanoDecision decision;
	CanoReturn	said;			/* what the task returned, if it did */
	CanoError  *error;			/* why the attempt failed, if it did */
	Jsonb	   *data;			/* the run's data from here on */
	TimestampTz started_at;
	TimestampTz ended_at;
} CanoStep;

/*
 * Take the run one step on.  "holding" says that the transaction already
 * holds the work of earlier steps: then the task must not wait for a lock,
 * and one that would is rolled back and reported as separate.  "failure"
 * takes the place of the call: what an earlier transaction learned when it
 * tried to commit.  Allocates in the current memory context; leaves the
 * session as it was.
 */
extern void cano_step_run(const CanoRun *run, bool holding,
						  const CanoError *failure, CanoStep *step);

/* The error that a run ends with, given the step that ended it. */
extern Jsonb *cano_step_run_error(const CanoRun *run, const CanoStep *step);

/* What a failed attempt is recorded with. */
extern const CanoError *cano_step_attempt_error(const CanoRun *run,
												const CanoStep *step);

#endif							/* CANO_STEP_H */
