/*-------------------------------------------------------------------------
 *
 * store_event.h
 *	  Every statement on events.
 *
 * An event has its number, dense within its run, from whoever runs the run's
 * main line: only one process does.  What happens to branches meanwhile, in
 * several processes, is numbered when the batch is settled, under the lock of
 * the run's row.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_STORE_EVENT_H
#define CANO_STORE_EVENT_H

#include "statement.h"

/* In the order of their names in store_event.c. */
typedef enum CanoEventKind
{
	CANO_EVENT_STATE_ENTER,
	CANO_EVENT_TASK_START,
	CANO_EVENT_TASK_SUCCESS,
	CANO_EVENT_TASK_FAILURE,
	CANO_EVENT_RETRY,
	CANO_EVENT_CIRCUIT_OPEN,
	CANO_EVENT_CHECKPOINT,
	CANO_EVENT_RESUME,
	CANO_EVENT_WORKFLOW_TIMEOUT,
	CANO_EVENT_CANCELLED,
	CANO_EVENT_ENDED
} CanoEventKind;

#define CANO_EVENT_KINDS	(CANO_EVENT_ENDED + 1)

/* What is not there: no number, no attempt, no sequence, no branch. */
#define CANO_NO_ORDINAL		0
#define CANO_NO_ATTEMPT		0

/* A row of cano.events. */
typedef struct CanoRecord
{
	int64		run;
	int64		ordinal;		/* from 1, or CANO_NO_ORDINAL */
	CanoEventKind kind;
	const char *state;
	const char *task;			/* or NULL */
	int			branch;			/* or CANO_NO_BRANCH */
	int			attempt;		/* or CANO_NO_ATTEMPT */
	int64		sequence;		/* or CANO_NO_SEQUENCE */
	const Jsonb *detail;		/* or NULL */
	TimestampTz recorded_at;
} CanoRecord;

/* Events to be written at the end of a batch. */
typedef struct CanoRecords
{
	CanoRows	numbered;
	CanoRows	unnumbered;		/* what the settling is to number */
} CanoRecords;

extern const char *cano_store_event_name(CanoEventKind kind);

/* False: there is none of that name. */
extern bool cano_store_event_find(const char *name, CanoEventKind *kind);

/*
 * Remember an event; *records is made when it is the first.  Allocates in the
 * current context, where all of them must live.
 */
extern void cano_store_record(CanoRecords **records, const CanoRecord *record);

/* The number of the run's latest event, 0 if it has none.  Needs a window. */
extern int64 cano_store_last_ordinal(int64 run);

/*
 * Write them, in a window.  The rows of the runs of those that are not
 * numbered are locked, and so are the fans they belong to.
 */
extern void cano_store_records(CanoRecords *records);

#endif							/* CANO_STORE_EVENT_H */
