/*-------------------------------------------------------------------------
 *
 * place.h
 *	  A place in a role's queue.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_PLACE_H
#define CANO_PLACE_H

typedef struct CanoPlace
{
	int32		priority;
	int64		id;
} CanoPlace;

/* Before every job, and behind every job. */
static const CanoPlace CANO_FIRST_PLACE = {PG_INT32_MIN, PG_INT64_MIN};
static const CanoPlace CANO_NO_PLACE = {PG_INT32_MAX, PG_INT64_MAX};

static inline bool
cano_place_before(CanoPlace a, CanoPlace b)
{
	return a.priority < b.priority ||
		(a.priority == b.priority && a.id < b.id);
}

static inline CanoPlace
cano_place_min(CanoPlace a, CanoPlace b)
{
	return cano_place_before(b, a) ? b : a;
}

#endif							/* CANO_PLACE_H */
