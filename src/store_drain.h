/*-------------------------------------------------------------------------
 *
 * store_drain.h
 *	  Rollbacks under way, and the stack of what there is to undo.
 *
 * The stack of a run is its completion rows that stand.  All functions need an
 * open window.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_STORE_DRAIN_H
#define CANO_STORE_DRAIN_H

#include "nodes/pg_list.h"

#include "store.h"

/* The mark of a completion row; it stands while it has none. */
#define CANO_UNDONE				'u'
#define CANO_UNDO_FAILED		'f' /* still on the stack, but not tried again */

/* Entries of the stack that are read at once. */
#define CANO_ENTRIES			16

/*
 * A rollback that this batch has begun has no row yet, and needs none if it
 * comes to its end here.
 */
typedef struct CanoDrain
{
	CanoRunEnd	end;			/* how the run was to end */
	Jsonb	   *errors;			/* that end's, then those of compensations, as
								 * the row has them; NULL: there is no row */
	List	   *more;			/* those of this batch */
	int64		limit_ms;		/* 0: none */
	TimestampTz due_at;			/* when it is over, or DT_NOEND */
	const CanoEntry *entry;		/* the one at hand, or NULL */
	const CanoEntry *next;		/* below it, of those read, or NULL */
	bool		all_read;		/* there are no others in the table */
} CanoDrain;

extern void cano_store_drains_init(CanoSettlement *settlement);

/* Gather what to write: the rollback, its errors so far, its end. */
extern void cano_settle_drain(CanoSettlement *settlement, const CanoRun *run);
extern void cano_settle_drain_end(CanoSettlement *settlement,
								  const CanoRun *run);

/* Write what the settlement says of them. */
extern void cano_store_drains(CanoSettlement *settlement);

/* What the table says of the run's. */
extern CanoDrain *cano_store_drain_load(int64 run, MemoryContext context);

/*
 * Read the topmost entries that stand in the table, from a sequence down.
 */
extern void cano_store_drain_read(int64 run, int64 sequence, CanoDrain *drain,
								  MemoryContext context);

/* Is the run being rolled back, and how is it to end? */
extern bool cano_store_draining(int64 run, CanoEnding *ending);

#endif							/* CANO_STORE_DRAIN_H */
