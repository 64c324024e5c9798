/*-------------------------------------------------------------------------
 *
 * turn.h
 *	  Runs of a schedule that begin one after the other.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_TURN_H
#define CANO_TURN_H

#include "store.h"

/*
 * May the run begin, or does it wait for the end of another one, where it is
 * put by this?  Opens a window when it is a run of a schedule.  One that is to
 * end may always do so.
 */
extern bool cano_turn_enter(CanoSettlement *settlement, CanoRun *run);

/* The run has ended: the next one may begin. */
extern void cano_turn_leave(CanoSettlement *settlement, const CanoRun *run);

/*
 * Let those begin whose turn has come.  Locks the schedules until the commit.
 * Needs an open window.  Returns the first place of these, or CANO_NO_PLACE.
 */
extern CanoPlace cano_turn_settle(CanoSettlement *settlement);

#endif							/* CANO_TURN_H */
