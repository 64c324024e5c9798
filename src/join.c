/*-------------------------------------------------------------------------
 *
 * join.c
 *	  When the branches of a split, or the items of a batch, are done with.
 *
 * Only "any" and "partial" are decided before all branches have ended; a
 * timeout is a failure for all but "partial_timeout".
 *
 *-------------------------------------------------------------------------
 */
#include "join.h"

static bool is_met(const CanoJoin *join, const CanoTally *tally);

CanoVerdict
cano_join_judge(const CanoJoin *join, const CanoTally *tally)
{
	int			ended = tally->succeeded + tally->failed;

	if (tally->timed_out)
		return join->strategy == CANO_JOIN_PARTIAL_TIMEOUT && ended > 0 ?
			CANO_JOIN_MET : CANO_JOIN_MISSED;
	if (ended >= tally->total)
		return is_met(join, tally) ? CANO_JOIN_MET : CANO_JOIN_MISSED;
	return ended > 0 && cano_join_is_early(join) && is_met(join, tally) ?
		CANO_JOIN_MET : CANO_JOIN_OPEN;
}

bool
cano_join_is_early(const CanoJoin *join)
{
	return join->strategy == CANO_JOIN_ANY ||
		join->strategy == CANO_JOIN_PARTIAL;
}

bool
cano_join_waits_for_all(const CanoJoin *join)
{
	return !cano_join_is_early(join) &&
		join->strategy != CANO_JOIN_PARTIAL_TIMEOUT;
}

static bool
is_met(const CanoJoin *join, const CanoTally *tally)
{
	switch (join->strategy)
	{
		case CANO_JOIN_ALL:
			return tally->succeeded >= tally->total;
		case CANO_JOIN_ANY:
			return tally->succeeded > 0;
		case CANO_JOIN_QUORUM:
		case CANO_JOIN_PERCENTAGE:
		case CANO_JOIN_PARTIAL:
			return tally->succeeded >= join->needed;
		case CANO_JOIN_PARTIAL_TIMEOUT:
			return tally->succeeded + tally->failed > 0;
	}
	return false;
}
