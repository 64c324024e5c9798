/*-------------------------------------------------------------------------
 *
 * child.h
 *	  Runs that are started by a state of another run.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_CHILD_H
#define CANO_CHILD_H

#include "store.h"

/*
 * Submit the child of the run's state.  Raises what is wrong with it: called
 * inside a step's subtransaction.  Opens windows.
 */
extern void cano_child_start(const CanoRun *run, TimestampTz now);

/* How the run's latest child ended, into the run.  Opens a window. */
extern void cano_child_load(CanoRun *run, MemoryContext context);

#endif							/* CANO_CHILD_H */
