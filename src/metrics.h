/*-------------------------------------------------------------------------
 *
 * metrics.h
 *	  Counters of what has happened, by role, for cano.metrics().
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_METRICS_H
#define CANO_METRICS_H

#include "model.h"

/* In the order of the names in metrics.c. */
typedef enum CanoCount
{
	CANO_COUNT_RUN_COMPLETED,
	CANO_COUNT_RUN_FAILED,
	CANO_COUNT_RUN_CANCELLED,
	CANO_COUNT_RUN_TIMEOUT,
	CANO_COUNT_RESUMED,
	CANO_COUNT_ATTEMPT_COMPLETED,
	CANO_COUNT_ATTEMPT_FAILED,
	CANO_COUNT_CIRCUIT_REJECTION,
	CANO_COUNT_CIRCUIT_ACQUIRED,
	CANO_COUNT_CIRCUIT_REJECTED,
	CANO_COUNT_CIRCUIT_SUCCESS,
	CANO_COUNT_CIRCUIT_FAILURE,
	CANO_COUNT_CLOSED_TO_OPEN,
	CANO_COUNT_OPEN_TO_HALFOPEN,
	CANO_COUNT_HALFOPEN_TO_CLOSED,
	CANO_COUNT_HALFOPEN_TO_OPEN,
	CANO_COUNT_BRANCH_SUCCESS,
	CANO_COUNT_BRANCH_FAILURE,
	CANO_COUNT_BRANCH_CANCELLED,
	CANO_COUNT_POLL_READY,
	CANO_COUNT_POLL_PENDING,
	CANO_COUNT_BATCH_COMPLETED,
	CANO_COUNT_BATCH_FAILED,
	CANO_COUNT_ITEM_OK,
	CANO_COUNT_ITEM_ERR,
	CANO_COUNT_STEP_MORE,
	CANO_COUNT_STEP_DONE,
	CANO_COUNT_APPEND,
	CANO_COUNT_CLEAR,
	CANO_COUNT_COMPENSATION_OK,
	CANO_COUNT_COMPENSATION_ERR,
	CANO_COUNT_DRAIN_CLEAN,
	CANO_COUNT_DRAIN_PARTIAL,
	CANO_COUNT_LIMITER_ACQUIRED,
	CANO_COUNT_LIMITER_WAITED,
	CANO_COUNT_TOKEN,
	CANO_COUNT_STEP,
	CANO_COUNT_COMMIT,
	CANO_COUNTS
} CanoCount;

/* How long things took; runs in the order of their counters. */
typedef enum CanoDuration
{
	CANO_DURATION_RUN_COMPLETED,
	CANO_DURATION_RUN_FAILED,
	CANO_DURATION_RUN_CANCELLED,
	CANO_DURATION_RUN_TIMEOUT,
	CANO_DURATION_LIMITER,
	CANO_DURATIONS
} CanoDuration;

/*
 * What is counted between begin and the end of the transaction becomes visible
 * when that commits, if it was attached to a role before, and is forgotten
 * otherwise.  Attaching may raise errors; nothing else does.
 */
extern void cano_metrics_begin(void);
extern void cano_metrics_count(CanoCount which, int64_t n);
extern void cano_metrics_took(CanoDuration which, double seconds);
extern void cano_metrics_attach(Oid role);

/*
 * A visit of a state that lives as long as the process.  May raise errors.
 */
extern void cano_metrics_visit(const CanoState *state, const char *kind,
							   double seconds);

/* The database is dropped: forget its counters. */
extern void cano_metrics_forget_database(Oid database);

/* Ask for the shared memory, and make it; from the hooks of shmem.c. */
extern void cano_metrics_request_memory(void);
extern void cano_metrics_make_memory(void);

#endif							/* CANO_METRICS_H */
