/*-------------------------------------------------------------------------
 *
 * event.h
 *	  Events: what happened to runs, in its order, kept and told.
 *
 * Each of these is called where it happens, whatever the workflow's log
 * option; with nothing to keep and nobody to tell they come back at once.
 * The current memory context must be the batch's.  An observer that would
 * have to wait for a lock makes them raise an error, with drive->unobserved
 * set: the batch is to be undone and its jobs run one by one.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_EVENT_H
#define CANO_EVENT_H

#include "drive_step.h"
#include "step.h"

/* At the beginning of a batch, when its role is known. */
extern void cano_event_begin(CanoDrive *drive);

/*
 * The first step of the run was taken, begun at that time, or the first since
 * it was resumed: submitting or resuming it wrote the row of the state that it
 * is in.
 */
extern void cano_event_first(CanoDrive *drive, CanoRun *run, TimestampTz now);

/*
 * What the step says of the visit of the state that the run is still in: the
 * task has begun, succeeded, will be tried again; the branches have ended.
 * That it has failed for good is said by cano_event_failed().
 */
extern void cano_event_step(CanoDrive *drive, CanoRun *run,
							const CanoStep *step);

/*
 * The task has asked that its run be cancelled, and goes no further.  The
 * caller sets run->since then, but for limiters: the visit has begun.
 */
extern void cano_event_called_off(CanoDrive *drive, CanoRun *run,
								  const CanoStep *step);

/* The run is now where the step led it, and its row is settled. */
extern void cano_event_entered(CanoDrive *drive, CanoRun *run,
							   const CanoStep *step);

/* A row of another kind is settled. */
extern void cano_event_checkpoint(CanoDrive *drive, CanoRun *run);

/* The run is about to wait: its branches begin, or a client's work. */
extern void cano_event_waits(CanoDrive *drive, CanoRun *run,
							 const CanoStep *step);

/* The same as cano_event_step() for a branch, before its lane goes on. */
extern void cano_event_part(CanoDrive *drive, CanoRun *lane,
							const CanoStep *step);

/* The run fails in the state that it is in, with that error. */
extern void cano_event_failed(CanoDrive *drive, CanoRun *run,
							  const CanoStep *step, const Jsonb *error);

/* Out of time or cancelled: before anything is compensated. */
extern void cano_event_stopped(CanoDrive *drive, CanoRun *run,
							   const CanoStep *step, const char *reason);

/* The run has ended, with whatever had to be done about that. */
extern void cano_event_ended(CanoDrive *drive, CanoRun *run,
							 const CanoRunEnd *end);

#endif							/* CANO_EVENT_H */
