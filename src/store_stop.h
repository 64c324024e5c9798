/*-------------------------------------------------------------------------
 *
 * store_stop.h
 *	  Requests that runs stop.
 *
 * All functions need an open window.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_STORE_STOP_H
#define CANO_STORE_STOP_H

#include "utils/timestamp.h"

#include "place.h"
#include "statement.h"
#include "store_signal.h"

/*
 * Ask that a run stop, and leave a job that makes it due wherever it waits.
 * Returns its place.
 */
extern CanoPlace cano_store_ask(const CanoAddressee *who, const char *reason,
								TimestampTz now);

/* Has somebody asked?  "reason" is NULL, or put there. */
extern bool cano_store_is_asked(int64 run, MemoryContext context,
								const char **reason);

extern void cano_store_stops_init(CanoRows *stops, CanoRows *stopped,
								  CanoRows *parents);

/*
 * Make those of the runs due that wait for something.  One that a worker has
 * in hand right now is looked at again a little later.  Returns the first
 * place of their jobs, or CANO_NO_PLACE.
 */
extern CanoPlace cano_store_stop(CanoRows *stops, TimestampTz now,
								 TimestampTz *look_again_at);

/* Forget requests and deadlines of runs that have ended. */
extern void cano_store_forget_stops(CanoRows *stopped);

/*
 * Ask the children of these runs to stop.  Returns the first place of the
 * jobs that make them due; interrupts at the commit what they are running.
 */
extern CanoPlace cano_store_stop_children(CanoRows *parents, TimestampTz now);

#endif							/* CANO_STORE_STOP_H */
