/*-------------------------------------------------------------------------
 *
 * tally.h
 *	  What of a batch counts, and as what.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_TALLY_H
#define CANO_TALLY_H

#include "step.h"
#include "store.h"

/* A step that was not undone. */
extern void cano_tally_step(const CanoRun *run, const CanoStep *step);

/* The run begins, or goes on after its end. */
extern void cano_tally_begin(const CanoRun *run);

/* The run has ended. */
extern void cano_tally_end(const CanoSettlement *settlement,
						   const CanoRun *run, const CanoRunEnd *end);

/* The batch is about to be written. */
extern void cano_tally_settle(const CanoSettlement *settlement);

#endif							/* CANO_TALLY_H */
