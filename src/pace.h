/*-------------------------------------------------------------------------
 *
 * pace.h
 *	  How long a state's task takes on average, as this process has seen it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_PACE_H
#define CANO_PACE_H

#include "store.h"

/* The task of the run's state took so long. */
extern void cano_pace_note(const CanoRun *run, double ms);

/*
 * How long it will take, on average: HUGE_VAL for a task never seen, 0 for a
 * state without one.
 */
extern double cano_pace_ms(const CanoRun *run);

/* Has it been quick for so long that nobody need be ready to take over? */
extern bool cano_pace_is_steady(const CanoRun *run);

#endif							/* CANO_PACE_H */
