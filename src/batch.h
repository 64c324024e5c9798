/*-------------------------------------------------------------------------
 *
 * batch.h
 *	  Several steps in one transaction: claim, run, settle, commit.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_BATCH_H
#define CANO_BATCH_H

#include "utils/timestamp.h"

typedef struct CanoBatchResult
{
	int			steps;			/* tasks called and states entered */
	bool		idle;			/* nothing was due */
	TimestampTz next_due;		/* idle: when something will be, or DT_NOEND */
} CanoBatchResult;

/*
 * Work for the current user, until the transaction's budget is spent or
 * nothing is due.  Called outside any transaction in a worker, inside one in
 * a session (see txn.h); commits.  With run != 0, of that run only; with
 * max_steps > 0, at most so many.
 */
extern void cano_batch_run(int64 run, int max_steps, CanoBatchResult *result);

#endif							/* CANO_BATCH_H */
