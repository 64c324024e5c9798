/*-------------------------------------------------------------------------
 *
 * store_external.h
 *	  Every statement on external work and its leases.
 *
 * All functions need an open window unless they say otherwise.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_STORE_EXTERNAL_H
#define CANO_STORE_EXTERNAL_H

#include "executor/spi.h"

#include "place.h"
#include "store.h"

/* How soon to look again for work that a client has in hand at the moment. */
#define CANO_LOOK_AGAIN_MS	1000

/* Work that a client has taken. */
typedef struct CanoWork
{
	int64		run;
	int64		sequence;		/* this and the next: for which attempt of
								 * which visit */
	int32		attempt;
	Oid			owner;
	int32		priority;
	TimestampTz lease_until;
	int64		definition;
	const char *state;
} CanoWork;

/* Whether a run's work may be taken away from clients. */
typedef enum CanoHold
{
	CANO_HOLD_NONE,				/* there is none */
	CANO_HOLD_MINE,				/* locked until this transaction ends */
	CANO_HOLD_CLIENT			/* a client's transaction has it in hand */
} CanoHold;

/* Needs no window. */
extern void cano_store_external_init(CanoSettlement *settlement);

/*
 * Write what the batch offers and withdraws, and see to leases that may have
 * run out.  Returns the first place of what became due, or CANO_NO_PLACE, and
 * lowers *due_at to when something will be.
 */
extern CanoPlace cano_store_external(CanoSettlement *settlement,
									 TimestampTz *due_at);

/*
 * Lock the work of a run, unless a client is about to change it; and until
 * when a client has it, or DT_NOBEGIN.
 */
extern CanoHold cano_store_hold_work(int64 run, TimestampTz *leased_until);

/*
 * Whose runs have work in that queue, the one with the first place first.
 * Returns how many; they are allocated in "context".
 */
extern int	cano_store_work_owners(const char *queue, MemoryContext context,
								   Oid **owners);

/*
 * Lease up to "max" pieces of one role's work to the caller.  Returns how
 * many; they stand in SPI_tuptable as cano.take() returns them.
 */
extern uint64 cano_store_take_work(const char *queue, Oid owner, int max,
								   TimestampTz lease_until);

/*
 * The work with that token, of a run that is under way here.  The state is
 * allocated in "context".
 */
extern bool cano_store_find_work(const char *token, MemoryContext context,
								 CanoWork *work);

/*
 * The work is done, or its lease is longer, if the token is good now; waits
 * for a transaction that has done something with it.
 */
extern bool cano_store_end_work(const char *token, TimestampTz now);
extern bool cano_store_extend_work(const char *token, TimestampTz now,
								   TimestampTz lease_until);

#endif							/* CANO_STORE_EXTERNAL_H */
