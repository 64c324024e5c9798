/*-------------------------------------------------------------------------
 *
 * drive.h
 *	  Drive claimed jobs on, as far as their transaction may go.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_DRIVE_H
#define CANO_DRIVE_H

#include "portability/instr_time.h"

#include "blame.h"
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
	int			put_back;		/* runs that it did not get to the end of */
	bool		stop;			/* take nothing more on */
	bool		slow;			/* because of a task that should run alone */
	bool		all_async;		/* no run of it asked to wait for the disk */
	bool		observed;		/* somebody observes runs of its role */
	bool		unobserved;		/* an observer would have had to wait */
} CanoDrive;

/*
 * Take a claimed job as far as it goes.  What is left of it is gathered in
 * the settlement.
 */
extern void cano_drive(CanoDrive *drive, CanoRun *run);

/* Milliseconds since then. */
extern double cano_drive_elapsed_ms(instr_time since);

#endif							/* CANO_DRIVE_H */
