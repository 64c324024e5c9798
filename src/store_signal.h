/*-------------------------------------------------------------------------
 *
 * store_signal.h
 *	  Signals: kept until received, first in first out.
 *
 * All functions need an open window.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_STORE_SIGNAL_H
#define CANO_STORE_SIGNAL_H

#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "place.h"
#include "statement.h"

struct CanoFamily;

/* A run to which a signal may be sent. */
typedef struct CanoAddressee
{
	int64		run;
	Oid			owner;
	NameData	owner_name;
	int64		origin;
	int32		priority;
} CanoAddressee;

/* The run under way with that id; false if there is none. */
extern bool cano_store_find_run(int64 run, CanoAddressee *found);

/*
 * The runs under way with that key, whoever's they are, of that workflow
 * unless it is NULL.  Returns how many; they are allocated in "context".
 */
extern int	cano_store_find_key(const char *key, const char *workflow,
								MemoryContext context, CanoAddressee **found);

/*
 * Leave a signal, and a job that brings notice of it.  Returns its place.
 */
extern CanoPlace cano_store_signal(const CanoAddressee *to, const char *name,
								   const Jsonb *payload, TimestampTz now);

/*
 * Receive the oldest signal of that name.  False if there is none; the
 * payload, NULL for null, is allocated in "context".
 */
extern bool cano_store_take_signal(int64 run, const char *name,
								   MemoryContext context, Jsonb **payload);

/*
 * Lock runs, in the order of their ids.
 *
 * Make those of the listed runs due that wait for a signal or an answer which
 * is there, or for children that have ended; they are locked already.
 * Returns the first place of their jobs, or CANO_NO_PLACE.
 *
 * The same for a family, whose runs are not locked: what comes while others
 * let them begin to wait may be missed, and is found by looking again.
 */
extern void cano_store_listeners_init(CanoRows *listeners);
extern void cano_store_lock_runs(CanoRows *runs);
extern CanoPlace cano_store_deliver_to(CanoRows *listeners);
extern CanoPlace cano_store_deliver(const struct CanoFamily *family);

#endif							/* CANO_STORE_SIGNAL_H */
