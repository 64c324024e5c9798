/*-------------------------------------------------------------------------
 *
 * store_submit.h
 *	  The rows that a run begins with.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_STORE_SUBMIT_H
#define CANO_STORE_SUBMIT_H

#include "utils/array.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "definition.h"

/* What the runs of one call have in common; checked by the caller. */
typedef struct CanoSubmission
{
	const CanoDefinition *definition;
	Oid			owner;
	TimestampTz now;
	TimestampTz due_at;			/* now or later */
	bool		has_run_at;
	TimestampTz run_at;			/* as given */
	int32		priority;
	int32		max_attempts;	/* 0: not given */
	const char *key;			/* or NULL */
	Jsonb	   *headers;		/* or NULL */
	ArrayType  *tags;			/* or NULL */
	int64		parent;			/* the run that this is a child of, or 0 */
	int32		depth;			/* of a child: how many runs it is under */
} CanoSubmission;

/*
 * Each of these needs an open window.  Where the workflow has a timeout, the
 * runs have timers that make them due when it is over: later than the runs
 * themselves, so that waking somebody for these is enough.
 */

/*
 * Take the submission's key for *run.  False: it belongs to a run under way
 * with an equal input, whose id is put into *run.  Raises CN409 when the
 * input differs.  Waits for a transaction that is about to take or free it.
 */
extern bool cano_store_take_key(const CanoSubmission *submission, Datum input,
								int64 *run);

/* Insert a run under this id. */
extern void cano_store_submit_as(const CanoSubmission *submission, Datum input,
								 int64 run);

/* Insert runs and say their ids. */
extern void cano_store_submit(const CanoSubmission *submission, int n,
							  Datum *inputs, int64 *runs);

#endif							/* CANO_STORE_SUBMIT_H */
