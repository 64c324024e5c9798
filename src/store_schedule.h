/*-------------------------------------------------------------------------
 *
 * store_schedule.h
 *	  Statements on cano._schedule and cano._turn.
 *
 * All functions need an open window unless they say otherwise.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_STORE_SCHEDULE_H
#define CANO_STORE_SCHEDULE_H

#include "utils/timestamp.h"

#include "place.h"
#include "statement.h"

/* What to do when a run of the schedule has not ended. */
#define CANO_OVERLAP_SKIP	's'
#define CANO_OVERLAP_QUEUE	'q' /* one more waits for its end */
#define CANO_OVERLAP_ALLOW	'a'

typedef struct CanoScheduleRow
{
	char	   *name;
	int64		origin;			/* where the owner has its number */
	char	   *workflow;
	Jsonb	   *input;
	char		overlap;
	int64		last_run;		/* 0: none yet */
} CanoScheduleRow;

/*
 * Lock a schedule of that owner until the end of the transaction; it is copied
 * into that memory context.  False: there is none.
 */
extern bool cano_store_schedule_lock(int64 id, Oid owner,
									 MemoryContext context,
									 CanoScheduleRow *row);

/*
 * How many runs of the schedule have not ended, as far as that matters: up to
 * two.  Its last one counts also after it was resumed.
 */
extern int	cano_store_schedule_runs(int64 id, int64 last_run);

/* A locked schedule has fired; "run" is what that has submitted, or 0. */
extern void cano_store_schedule_fired(int64 id, TimestampTz now, int64 run);

/* May this run begin, or does it wait for the end of an earlier one? */
extern bool cano_store_is_turn(int64 schedule, int64 run);

/* This and the next two need no window. */
extern void cano_store_turns_init(CanoRows *turns);

/* The schedule is to be looked after; "run" of it has ended, or is 0. */
extern void cano_store_touch_turns(CanoRows *turns, int64 schedule, int64 run);

/* These schedules, some of them perhaps more than once. */
extern int64 *cano_store_turns(const CanoRows *turns, int *n);

/*
 * Runs that have ended give their turns up; make those due that have waited
 * for it.  Returns the first place of these, or CANO_NO_PLACE.
 */
extern CanoPlace cano_store_next_turns(CanoRows *turns);

#endif							/* CANO_STORE_SCHEDULE_H */
