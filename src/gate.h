/*-------------------------------------------------------------------------
 *
 * gate.h
 *	  How many runs of a workflow are under way at once: options(concurrency).
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_GATE_H
#define CANO_GATE_H

#include "store.h"

/*
 * May the run begin, or does it wait outside, where it is put by this?  Opens
 * a window when its workflow has a limit.  One that is to end may always do so.
 */
extern bool cano_gate_enter(CanoSettlement *settlement, CanoRun *run);

/* The run has ended: somebody else may begin. */
extern void cano_gate_leave(CanoSettlement *settlement, const CanoRun *run);

/*
 * Let in those who wait outside while there is room.  Locks the gates until
 * the commit.  Needs an open window.
 */
extern void cano_gate_settle(CanoSettlement *settlement);

#endif							/* CANO_GATE_H */
