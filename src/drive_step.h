/*-------------------------------------------------------------------------
 *
 * drive_step.h
 *	  One step of whatever is at hand, and what may come of it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_DRIVE_STEP_H
#define CANO_DRIVE_STEP_H

#include "portability/instr_time.h"

#include "blame.h"
#include "step.h"
#include "store.h"

/* What is left for the transaction to do, and how it has gone so far. */
typedef struct CanoDrive
{
	MemoryContext context;		/* of the batch */
	CanoSettlement settlement;
	instr_time	started;
	int			max_steps;		/* 0: no matter how many */
	bool		one_by_one;		/* one step is enough */
	int			nruns;			/* claimed */
	CanoVisit	first;			/* the first job, as its first step found it */
	int			steps;			/* tasks called and states entered */
	double		pace_ms;		/* how long they take on average */
	int			put_back;		/* runs that it did not get to the end of */
	bool		stop;			/* take nothing more on */
	bool		slow;			/* because of a task that should run alone */
	bool		all_async;		/* no run of it asked to wait for the disk */
	bool		observed;		/* somebody observes runs of its role */
	bool		unobserved;		/* an observer would have had to wait */
} CanoDrive;

/*
 * Has the transaction had enough, or would this run's next task spoil it?
 */
extern bool cano_drive_must_stop(CanoDrive *drive, const CanoRun *run);

/*
 * One step of whatever is at hand.  False if it was undone, and dealt with.
 */
extern bool cano_drive_take_step(CanoDrive *drive, CanoRun *run,
								 CanoStep *step);

/*
 * Its workflow is paused, so the run is parked, with what it would do next.
 * False: go on.
 */
extern bool cano_drive_park(CanoDrive *drive, CanoRun *run);

/* Leave the rest to another transaction. */
extern void cano_drive_put_back(CanoDrive *drive, CanoRun *run);

/* Wait for a time, or for others. */
extern void cano_drive_wait(CanoDrive *drive, CanoRun *run,
							const CanoStep *step);

/* Every run comes past here once at every end of it. */
extern void cano_drive_settle_end(CanoDrive *drive, CanoRun *run,
								  const CanoRunEnd *end);

/* Milliseconds since then. */
extern double cano_drive_elapsed_ms(instr_time since);

#endif							/* CANO_DRIVE_STEP_H */
