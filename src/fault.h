/*-------------------------------------------------------------------------
 *
 * fault.h
 *	  Which error an attempt is recorded with, and which a run ends with.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_FAULT_H
#define CANO_FAULT_H

#include "step.h"

/* What a failed attempt is recorded with. */
extern const CanoError *cano_fault_attempt(const CanoRun *run,
										   const CanoStep *step);

/*
 * The error that a run, or a branch or item of it, ends with, given the step
 * that ended it; NULL if that was a success.
 */
extern Jsonb *cano_fault_end(const CanoRun *run, const CanoStep *step);

/* Say in the server's log that a run has ended with an error. */
extern void cano_fault_log_end(const CanoRun *run, const CanoRunEnd *end);

/* The same of a call after its end that was given up: nothing else tells. */
extern void cano_fault_log_given_up(const CanoRun *run, const CanoStep *step);

#endif							/* CANO_FAULT_H */
