/*-------------------------------------------------------------------------
 *
 * store_purge.h
 *	  Ended runs, and the removal of all of their rows.
 *
 * All functions need an open window.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_STORE_PURGE_H
#define CANO_STORE_PURGE_H

#include "utils/array.h"
#include "utils/timestamp.h"

/* What somebody wants to have removed of his own. */
typedef struct CanoPurge
{
	TimestampTz now;
	Interval   *older_than;
	Oid			owner;
	const char *owner_name;
	const char *workflow;		/* NULL: any */
} CanoPurge;

/*
 * The next of these runs behind *cursor, which is moved to the last of them.
 * Returns how many there are.
 */
extern int	cano_store_purge_find(const CanoPurge *purge, int64 *cursor,
								  int limit, MemoryContext context,
								  ArrayType **runs);

/* A look at some runs. */
typedef struct CanoExpired
{
	int			looked;			/* at so many; 0: there are none */
	int64		cursor;			/* the last of them */
	bool		beyond;			/* which was submitted too late to be over */
	int			nruns;			/* whose time is over */
	ArrayType  *runs;
} CanoExpired;

/* Look behind the cursor, until so many are found or some were looked at. */
extern void cano_store_expired(TimestampTz now, int64 cursor, int limit,
							   MemoryContext context, CanoExpired *expired);

/*
 * Remove those of these runs that have ended as long ago, or NULL: as their
 * definitions say, and that nobody needs.  Returns how many.
 */
extern int64 cano_store_purge(ArrayType *runs, TimestampTz now,
							  Interval *older_than);

#endif							/* CANO_STORE_PURGE_H */
