/*-------------------------------------------------------------------------
 *
 * step.h
 *	  One step: call what the run's state calls, decide what follows.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_STEP_H
#define CANO_STEP_H

#include "breaker.h"
#include "call.h"
#include "error.h"
#include "fan.h"
#include "fsm.h"
#include "limiter.h"
#include "store.h"

typedef struct CanoStep
{
	bool		separate;		/* rolled back: must run with nothing held */
	bool		outstayed;		/* the same, because it took too long for that */
	bool		last;			/* no other step may share its transaction */
	bool		interrupted;	/* rolled back: the run, or its fan, is to
								 * stop */
	bool		fan_late;		/* rolled back: its fan's timeout is over */
	bool		drain_late;		/* rolled back: that of its drain is */
	bool		called_off;		/* not rolled back, but its run is to stop */
	bool		out_of_time;	/* the same, because its time is over */
	bool		held_back;		/* a limiter let no attempt begin */
	CanoDecision decision;
	CanoPermit	permit;			/* of the breaker, for the call under way */
	CanoToken	token;			/* of the limiter, for the attempt */
	CanoTurn	turn;			/* held back: when to ask again */
	CanoResults results;		/* JOIN: of its branches or items */
	CanoReturn	said;			/* what the task returned, if it did */
	CanoError  *error;			/* why the attempt failed, if it did */
	Jsonb	   *data;			/* the run's data from here on */
	TimestampTz started_at;
	TimestampTz ended_at;
} CanoStep;

/*
 * Take the run one step on.  "holding" says that the transaction already
 * holds the work of earlier steps: then the task must not wait for a lock,
 * and one that would is rolled back and reported as separate.  So is one that
 * takes long while others of its transaction wait for it, unless it must not
 * be interrupted.  "failure" takes the place of the call: what an earlier
 * transaction learned when it tried to commit.  Allocates in the current memory
 * context; leaves the session as it was.
 */
extern void cano_step_run(const CanoRun *run, bool holding,
						  const CanoError *failure, CanoStep *step);

#endif							/* CANO_STEP_H */
