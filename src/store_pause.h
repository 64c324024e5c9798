/*-------------------------------------------------------------------------
 *
 * store_pause.h
 *	  Which workflows are paused, and what is parked of them.
 *
 * All functions but the last two need an open window.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_STORE_PAUSE_H
#define CANO_STORE_PAUSE_H

#include "store.h"

/* Of a workflow that exists, and is locked. */
extern void cano_store_pause(const char *workflow, bool paused);

/* All that are paused, in the given memory context; returns how many. */
extern int	cano_store_paused(MemoryContext context, char ***workflows);
extern bool cano_store_is_paused(const char *workflow);

/*
 * Put what is parked of it back into the queue.  Returns the number of roles
 * that this concerns; of each cano_column_place() has the first of its jobs.
 */
extern int	cano_store_unpark(const char *workflow);

/* Work that is offered to clients, the same. */
extern void cano_store_park_work(const char *workflow);
extern void cano_store_unpark_work(const char *workflow);

/* The workflow of a timer of this batch that is parked, else NULL. */
extern const char *cano_store_parked(const CanoSettlement *settlement, int row);

/* Let it be due after all. */
extern void cano_store_look_again(CanoSettlement *settlement, int row,
								  TimestampTz due_at);

#endif							/* CANO_STORE_PAUSE_H */
