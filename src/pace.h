/*-------------------------------------------------------------------------
 *
 * pace.h
 *	  How long a state's task usually takes, as this process has seen it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_PACE_H
#define CANO_PACE_H

#include "store.h"

/* The task of the run's state took so long. */
extern void cano_pace_note(const CanoRun *run, double ms);

/*
 * May it take longer than so long?  A task never seen may; a state without
 * one may not.
 */
extern bool cano_pace_may_exceed(const CanoRun *run, double ms);

#endif							/* CANO_PACE_H */
