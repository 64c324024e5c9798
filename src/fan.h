/*-------------------------------------------------------------------------
 *
 * fan.h
 *	  Branches of splits and items of batches: begun, counted, joined.
 *
 * A state that fans out leaves a row in _fan, one in _branch for each branch
 * or item, and as many jobs as may be under way at once: its lanes.  A lane
 * that has done with a branch takes the next that nobody has begun.  The run
 * itself, the holder, waits until the fan is closed.  Of a narrow fan whose
 * branches are quick only the rows are left: it is opened, driven and closed in
 * one transaction.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_FAN_H
#define CANO_FAN_H

#include "store.h"

/* A wider fan is enough for one transaction. */
#define CANO_WIDE_FAN	64

/*
 * Fan the run's state out over its branches, or over these items: the run
 * waits, holding the fan.  A wide one goes into the tables at once, where
 * lanes wait for a later batch.  Opens a window.  Any other is only known to
 * this batch until it is written.
 */
extern void cano_fan_open(CanoSettlement *settlement, CanoRun *run,
						  TimestampTz due_at, int nitems, Jsonb **items);

/* The lanes of a fan that was not written yet. */
extern int	cano_fan_lanes(const CanoRun *run);
extern void cano_fan_lane(const CanoRun *run, int number, CanoRun *lane);

/*
 * Write it, with what became of its branches in this batch: the run waits, or
 * has the fan's closing behind it.  Opens a window.
 */
extern void cano_fan_write(CanoSettlement *settlement, CanoRun *run);

/*
 * The run goes on with the branches or items of the closed fan that it holds:
 * those that had succeeded are as they were, the others begin anew.  Returns the
 * place of the first lane, or CANO_NO_PLACE if there are no others; then the
 * fan is still the same.
 */
extern CanoPlace cano_fan_reopen(CanoSettlement *settlement, CanoRun *run,
								 TimestampTz due_at);

/* The lane is to be gone on with by a later batch. */
extern void cano_fan_mark(CanoSettlement *settlement, const CanoRun *lane);

/* The lane's branch has ended; the fan is closed, whatever has ended. */
extern void cano_fan_ended(const CanoRun *lane, const CanoPart *part);
extern void cano_fan_close(CanoFan *fan, CanoClosed why);

/* Where a lane goes when it has done with a branch. */
typedef enum CanoNext
{
	CANO_NEXT_NONE,				/* everything is begun: the lane ends */
	CANO_NEXT_LATER,			/* others have the rest in hand: look again */
	CANO_NEXT_BRANCH
} CanoNext;

/*
 * Give the lane the next branch that nobody has begun.  LATER leaves in its
 * "branch" from where on to look again.  Opens a window when it must.
 */
extern CanoNext cano_fan_next(CanoRun *lane, MemoryContext context);

/*
 * Add this batch's part to the fans, which it locks until the commit: the
 * last thing before it.  Returns the first place of the holders whose fans
 * are closed now.  When others were faster, so that something which this
 * batch has done must not be: raises, with "overtaken" set.
 */
extern CanoPlace cano_fan_settle(CanoSettlement *settlement);

/* How a closed fan ended. */
typedef struct CanoResults
{
	CanoTally	tally;
	Jsonb	   *outputs;		/* of all branches or items, in their order */
	const char *errors;			/* of the first branches that failed, or NULL */
} CanoResults;

/* Of the run that holds it, or has nothing to hold.  Opens a window. */
extern void cano_fan_results(const CanoRun *run, MemoryContext context,
							 CanoResults *results);

#endif							/* CANO_FAN_H */
