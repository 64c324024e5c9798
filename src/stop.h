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

/* A job says that its run is to stop: the settling looks where the run is. */
extern void cano_stop_settle(CanoSettlement *settlement, const CanoRun *run);

/*
 * The run has ended: what it left with others ends, too, and whoever it was
 * the child of may go on.
 */
extern void cano_stop_settle_end(CanoSettlement *settlement,
								 const CanoRun *run);

#endif							/* CANO_STOP_H */
