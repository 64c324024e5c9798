/*-------------------------------------------------------------------------
 *
 * join.h
 *	  When the branches of a split, or the items of a batch, are done with.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_JOIN_H
#define CANO_JOIN_H

#include "model.h"

/* How far they have come. */
typedef struct CanoTally
{
	int			total;
	int			succeeded;
	int			failed;
	bool		timed_out;		/* no more of them may end */
} CanoTally;

typedef enum CanoVerdict
{
	CANO_JOIN_OPEN,				/* wait for more of them */
	CANO_JOIN_MET,
	CANO_JOIN_MISSED
} CanoVerdict;

/*
 * To be asked after each one that ended, in their order, and when the time is
 * over.  The first answer that is not OPEN counts, whatever ends later.
 */
extern CanoVerdict cano_join_judge(const CanoJoin *join, const CanoTally *tally);

/* Can it be decided before all have ended? */
extern bool cano_join_is_early(const CanoJoin *join);

/* Are all waited for, as long as they have time? */
extern bool cano_join_waits_for_all(const CanoJoin *join);

#endif							/* CANO_JOIN_H */
