/*-------------------------------------------------------------------------
 *
 * pause.h
 *	  Paused workflows: nothing new is begun of their runs.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_PAUSE_H
#define CANO_PAUSE_H

#include "store.h"

/*
 * Must what the run would do next wait until its workflow goes on?  Cheap:
 * asked before every step.  Opens a window when something was paused or
 * unpaused since it was asked last.
 */
extern bool cano_pause_holds(const CanoRun *run, TimestampTz now);

/*
 * Jobs were parked that nobody wakes if their workflows go on at this moment:
 * look again soon at those.  Comes before the settlement is written, and
 * needs an open window.
 */
extern void cano_pause_settle(CanoSettlement *settlement);

#endif							/* CANO_PAUSE_H */
