/*-------------------------------------------------------------------------
 *
 * drain.h
 *	  The rollback of a run: what it has completed is undone, latest first.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_DRAIN_H
#define CANO_DRAIN_H

#include "store_drain.h"

/* The attempt of a drain that has no entry at hand. */
#define CANO_NO_ENTRY	0

/*
 * The run has come to this end, but for its rollback, which is now at hand.
 */
extern void cano_drain_begin(CanoSettlement *settlement, CanoRun *run,
							 const CanoRunEnd *end);

/* The same of one that began in another transaction: a job of it was claimed. */
extern void cano_drain_load(CanoRun *run, MemoryContext context);

/*
 * Is there an entry at hand, and time for it?  If not, the rollback is over:
 * the run's end is put into *end.
 */
extern bool cano_drain_next(CanoRun *run, TimestampTz now,
							MemoryContext context);
extern void cano_drain_end(CanoSettlement *settlement, CanoRun *run,
						   CanoRunEnd *end);

/* The entry at hand is undone or, with an error, was not to be. */
extern void cano_drain_ended(CanoSettlement *settlement, CanoRun *run,
							 Jsonb *error);

#endif							/* CANO_DRAIN_H */
