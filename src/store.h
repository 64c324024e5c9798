/*-------------------------------------------------------------------------
 *
 * store.h
 *	  Runs, jobs, timers, checkpoints: every statement on them.
 *
 * All functions need an open window unless they say otherwise.  What they
 * return is in the memory context that the caller names.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_STORE_H
#define CANO_STORE_H

#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "definition.h"
#include "fsm.h"
#include "place.h"
#include "statement.h"

/* The columns that a job and a timer share, in the order of every statement. */
#define CANO_JOB_COLUMNS \
	"owner, priority, id, run, duty, state, attempt, sequence, started_at," \
	" since, errors, cursor, signal, data"

/* Sequence of a run that has no checkpoint yet. */
#define CANO_NO_SEQUENCE	(-1)

/* Why a timer cannot be due by itself; beside CanoWaiting. */
#define CANO_WAIT_ORIGIN	'o'

/* A run as a batch holds it: its job, claimed, and what it needs of its row. */
typedef struct CanoRun
{
	int64		id;
	int64		job;
	int32		priority;
	CanoDuty	duty;
	const char *state_name;
	int			state;			/* index in the definition */
	int32		attempt;
	int64		sequence;		/* of its newest checkpoint */
	int			entry;			/* row of that in the batch, -1 = in the table */
	TimestampTz started_at;		/* DT_NOBEGIN: no task was called yet */
	TimestampTz since;			/* poll: of this attempt's first ask */
	int32		errors;			/* poll: in a row, forgiven so far */
	Jsonb	   *cursor;			/* stepped: of its next step, or NULL */
	Jsonb	   *signal;			/* the latest received, or NULL */
	Jsonb	   *data;
	int64		definition_id;
	const CanoDefinition *definition;
	int64		origin;
	int32		max_attempts;	/* 0 = the state's */
	const char *key;			/* or NULL */
	Jsonb	   *input;
	Jsonb	   *headers;		/* or NULL */
	int32		crashes;
	bool		shares;			/* its transaction has other runs in hand */
} CanoRun;

/* What a batch will write, a statement a table. */
typedef struct CanoSettlement
{
	Oid			owner;
	TimestampTz now;
	CanoRows	checkpoints;
	CanoRows	jobs;
	CanoRows	timers;
	CanoRows	attempts;
	CanoRows	endings;
	CanoRows	keys;			/* to free */
	CanoRows	crashes;		/* to forget */
	CanoRows	listeners;		/* runs that may wait for a signal that is there */
} CanoSettlement;

/* How a run ended. */
typedef struct CanoRunEnd
{
	CanoEnding	ending;
	const char *state;
	const char *cancel_reason;
	Jsonb	   *error;
	bool		dead;
} CanoRunEnd;

/* A failed attempt. */
typedef struct CanoAttempt
{
	const char *state;
	const char *task;
	int			attempt;
	TimestampTz started_at;
	TimestampTz ended_at;
	const struct CanoError *error;
} CanoAttempt;

/*
 * Move what has become due of a role's timers into the queue.  Returns the
 * first place of these, or CANO_NO_PLACE.
 */
extern CanoPlace cano_store_promote(Oid owner, TimestampTz now, int64 run);

/*
 * Claim up to "limit" of the role's jobs that nobody else holds, first come
 * first, none that stands before "from"; or the job of one run.  The claim is
 * the deletion of the row: it is undone when this transaction is.
 */
extern int	cano_store_claim(Oid owner, CanoPlace from, int limit,
							 CanoRun *runs, MemoryContext context);
extern int	cano_store_claim_run(Oid owner, int64 run, CanoRun *runs,
								 MemoryContext context);

/*
 * Is there more in the role's queue, from that place on, than this transaction
 * has claimed?  What others have claimed counts, too: their rows are there
 * until they commit.
 */
extern bool cano_store_more_due(Oid owner, CanoPlace from);

/*
 * When the role's next timer after now is due, or DT_NOEND.  One that is due
 * and was not promoted is in somebody else's hands.
 */
extern TimestampTz cano_store_next_due(Oid owner, TimestampTz now, int64 run);

/*
 * Gather what to write.  These need no window and allocate in the current
 * context.
 */
extern void cano_settlement_init(CanoSettlement *settlement, Oid owner);
extern void cano_settle_entry(CanoSettlement *settlement, CanoRun *run);
extern void cano_settle_cursor(CanoSettlement *settlement, CanoRun *run);
extern void cano_settle_job(CanoSettlement *settlement, CanoRun *run);
extern void cano_settle_timer(CanoSettlement *settlement, CanoRun *run,
							  TimestampTz due_at, char waiting);
extern void cano_settle_attempt(CanoSettlement *settlement, const CanoRun *run,
								const CanoAttempt *attempt);
extern void cano_settle_end(CanoSettlement *settlement, const CanoRun *run,
							const CanoRunEnd *end);

/* A new id for a run or a job.  Needs no window. */
extern int64 cano_store_new_id(void);

/* The run may wait, or begin to wait, for a signal that is there. */
extern void cano_settle_listener(CanoSettlement *settlement, int64 run);

/*
 * Write it all.  Returns the first place of what that made due by itself (a
 * signal that was there already), or CANO_NO_PLACE.
 */
extern CanoPlace cano_store_settle(CanoSettlement *settlement);

/* The first place that the statement just run returned, or CANO_NO_PLACE. */
extern CanoPlace cano_store_place(uint64 nrows);

#endif							/* CANO_STORE_H */
