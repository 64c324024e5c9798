/*-------------------------------------------------------------------------
 *
 * stop.h
 *	  Runs that are to stop: cancelled from outside, or out of time.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_STOP_H
#define CANO_STOP_H

#include "fsm.h"
#include "store.h"

/*
 * Has a task asked that its own run stop, since this was asked last?
 */
extern bool cano_stop_asked_by_itself(void);

/* Has anybody, this transaction included? */
extern bool cano_stop_is_asked(int64 run);

/* Somebody has, since the run was claimed: take the request along. */
extern void cano_stop_load(CanoRun *run, MemoryContext context);

/* A job says that its run is to stop: the settling looks where the run is. */
extern void cano_stop_settle(CanoSettlement *settlement, const CanoRun *run);

/*
 * The run goes no further: nobody need stop it any more, and what it has left
 * with others ends, too.
 */
extern void cano_stop_settle_end(CanoSettlement *settlement,
								 const CanoRun *run);

#endif							/* CANO_STOP_H */
