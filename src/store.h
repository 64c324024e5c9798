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

#include "utils/array.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "definition.h"
#include "fsm.h"
#include "guc.h"
#include "place.h"
#include "statement.h"
#include "store_event.h"
#include "store_fan.h"

/* The columns that a job and a timer share, in the order of every statement. */
#define CANO_JOB_COLUMNS \
	"owner, priority, id, run, duty, state, attempt, sequence, started_at," \
	" since, errors, cursor, signal, fan, branch, data"

/* The columns of a timer behind those. */
#define CANO_TIMER_DUE		16
#define CANO_TIMER_WAITING	17
#define CANO_TIMER_AWAITS	18

/* Sequence of a run that has no checkpoint yet. */
#define CANO_NO_SEQUENCE	(-1)

/* What timers are for that no run waits for; beside CanoWaiting. */
#define CANO_WAIT_ORIGIN	'o' /* never due by itself */
#define CANO_WAIT_GATE		'q' /* the run is queued, and may not begin yet */
#define CANO_WAIT_PAUSE		'u' /* the run is queued, its workflow paused */
#define CANO_WAIT_LEASE		'l'
#define CANO_WAIT_DEADLINE	'd'

/* A branch that stands for none: the run itself. */
#define CANO_NO_BRANCH		(-1)

/* What a run has completed and would have to undo, as far as it is at hand. */
typedef struct CanoEntry
{
	const struct CanoEntry *below;	/* or NULL */
	int64		sequence;
	int			version;		/* that made it, and says how to undo it */
	const char *state;
	Jsonb	   *output;			/* or NULL */
	int			row;			/* in the batch, -1 = in the table */
} CanoEntry;

/*
 * A run as a batch holds it: its job, claimed, and what it needs of its row.
 * A branch or an item is held in the same way.
 */
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
	int64		written;		/* sequence of the newest one in the table */
	const CanoEntry *completed; /* the latest in this batch, or NULL */
	TimestampTz started_at;		/* DT_NOBEGIN: no task was called yet */
	TimestampTz since;			/* poll: of this attempt's first ask; held
								 * back by a limiter: its turn */
	int32		errors;			/* poll: in a row, forgiven so far; before and
								 * after: which call is next */
	Jsonb	   *cursor;			/* stepped: of its next step, or NULL; after:
								 * how the run ended */
	Jsonb	   *signal;			/* the latest received, or NULL */
	CanoFan    *fan;			/* a branch's, or the one it holds, or NULL */
	int			branch;			/* which of them, or CANO_NO_BRANCH */
	Jsonb	   *item;			/* an item's input, or NULL */
	Jsonb	   *reply;			/* external: the answer; child: its result */
	CanoEnding	child;			/* child: how it ended */
	Jsonb	   *child_error;
	Jsonb	   *data;
	int64		definition_id;	/* 0: the run is not there any more */
	const CanoDefinition *definition;
	int64		origin;
	int32		max_attempts;	/* 0 = the state's */
	const char *key;			/* or NULL */
	Jsonb	   *input;
	Jsonb	   *headers;		/* or NULL */
	int32		crashes;		/* of the branch at hand, of a lane */
	bool		careful;		/* the job has crashed: run it alone */
	int64		parent;			/* 0: none */
	int32		depth;			/* how many runs it is under */
	int64		schedule;		/* that it is a run of, 0: none */
	TimestampTz began_at;		/* of its time: submitted, due first, or
								 * resumed */
	bool		resumed;		/* no step was taken since it was resumed */
	bool		ended;			/* somebody else ended it meanwhile */
	bool		stop;			/* somebody asked it to stop */
	const char *stop_reason;	/* or NULL */
	struct CanoDrain *drain;	/* UNDO: what is known of that */
	bool		shares;			/* its transaction has other runs in hand */
	int64		next_ordinal;	/* of its next event: event.c's own */
} CanoRun;

/* What a batch will write, a statement a table. */
typedef struct CanoSettlement
{
	Oid			owner;
	TimestampTz now;
	CanoRows	checkpoints;
	CanoRows	jobs;
	CanoRows	timers;
	bool		parks;			/* some of them are of paused workflows */
	CanoRows	attempts;
	CanoRows	endings;
	CanoRows	keys;			/* to free */
	CanoRows	calmed;			/* crashes of lanes that have come past them */
	CanoRows	crashes;		/* to forget */
	CanoRows	listeners;		/* runs that may wait for what is there */
	CanoRows	stops;			/* runs that are to stop: see where they are */
	CanoRows	stopped;		/* runs that have ended: forget that they were
								 * to */
	CanoRows	parents;		/* runs that have ended before their children */
	CanoRows	drains;			/* runs that begin to undo what they did */
	CanoRows	undone;			/* completions, and what became of their
								 * undoing */
	CanoRows	collected;		/* errors of drains so far */
	CanoRows	drained;		/* drains that are over */
	CanoRows	gates;			/* of workflows that limit their concurrency */
	CanoRows	turns;			/* of schedules whose next run may begin */
	CanoRows	offers;			/* external work that waits for a client */
	CanoRows	leases;			/* runs whose leases may have run out, or
								 * whose work is withdrawn */
	CanoFans   *fans;			/* of branches and items in this batch */
	CanoRecords *records;		/* events; NULL: none so far */
} CanoSettlement;

/* How a run ended. */
typedef struct CanoRunEnd
{
	CanoEnding	ending;
	const char *state;
	const char *cancel_reason;
	Jsonb	   *error;
	bool		dead;
	CanoRollback rollback;
} CanoRunEnd;

/* By ending, and by rollback. */
extern const char *const cano_store_endings[];
extern const char *const cano_store_rollbacks[];

/* A failed attempt. */
typedef struct CanoAttempt
{
	const char *state;
	const char *task;
	int			branch;
	int			attempt;
	TimestampTz started_at;
	TimestampTz ended_at;
	const struct CanoError *error;
} CanoAttempt;

/* What the job calls before the first state or after the end, or NULL. */
static inline const CanoAside *
cano_run_aside(const CanoRun *run)
{
	if (run->duty == CANO_DUTY_PREPARE)
		return &run->definition->before[run->errors];
	if (run->duty == CANO_DUTY_AFTER)
		return &run->definition->after[run->errors];
	return NULL;
}

/*
 * The run's state as it concerns the job at hand: itself, a part of it, what
 * undoes it, or what is called before or after.
 */
static inline const CanoState *
cano_run_state(const CanoRun *run)
{
	const CanoState *state = &run->definition->model.states[run->state];
	const CanoAside *aside = cano_run_aside(run);

	if (aside != NULL)
		return &aside->state;
	if (run->duty == CANO_DUTY_UNDO)
		return state->undo;
	if (run->branch == CANO_NO_BRANCH)
		return state;
	return &state->parts[state->kind == CANO_KIND_SPLIT ? run->branch : 0];
}

static inline const CanoStateExtra *
cano_run_extra(const CanoRun *run)
{
	const CanoStateExtra *extra = &run->definition->extra[run->state];
	const CanoAside *aside = cano_run_aside(run);

	if (aside != NULL)
		return &aside->extra;
	if (run->duty == CANO_DUTY_UNDO)
		return extra->undo;
	if (run->branch == CANO_NO_BRANCH)
		return extra;
	return &extra->parts[cano_run_state(run)->kind == CANO_KIND_BATCH ? 0 :
						 run->branch];
}

/* Is the job at hand decided by itself, without regard to the workflow? */
static inline bool
cano_run_is_part(const CanoRun *run)
{
	return run->branch != CANO_NO_BRANCH || run->duty == CANO_DUTY_UNDO ||
		run->duty == CANO_DUTY_AFTER;
}

/* What the flight recorder is to know of the job at hand. */
static inline int64
cano_run_recorded(const CanoRun *run)
{
	return run->branch != CANO_NO_BRANCH && run->fan->opener != NULL ?
		-run->fan->opener->job : run->job;
}

/* When the workflow's timeout is over for it, or DT_NOEND. */
static inline TimestampTz
cano_run_deadline(const CanoRun *run)
{
	return run->definition->timeout_ms == 0 ||
		run->duty == CANO_DUTY_AFTER ? DT_NOEND :
		TimestampTzPlusMilliseconds(run->began_at, run->definition->timeout_ms);
}

/* What the job at hand calls, or NULL. */
static inline const CanoFunctionName *
cano_run_function(const CanoRun *run)
{
	const CanoStateExtra *extra = cano_run_extra(run);

	return run->duty == CANO_DUTY_JOIN ? extra->finish : extra->run;
}

/* A run, the runs it has started, and so on: those that are under way. */
typedef struct CanoFamily
{
	int32		priority;		/* of all of them */
	ArrayType  *runs;
	ArrayType  *jobs;			/* what these are not led to; none at first */
} CanoFamily;

extern void cano_store_family(int64 run, MemoryContext context,
							  CanoFamily *family);

/*
 * Move what has become due of a role's timers since "from" into the queue, or
 * what has of one family.  Returns the first place of these, or CANO_NO_PLACE.
 * Where too much was due for once, *until says how far that is done.
 */
extern CanoPlace cano_store_promote(Oid owner, TimestampTz from,
									TimestampTz *until);
extern CanoPlace cano_store_promote_family(Oid owner, TimestampTz now,
										   const CanoFamily *family);

/*
 * Claim up to "limit" of the role's jobs that nobody else holds, first come
 * first, none that stands before "from"; or those of one family.  The claim is
 * the deletion of the row: it is undone when this transaction is.
 */
extern int	cano_store_claim(CanoSettlement *settlement, CanoPlace from,
							 int limit, CanoRun *runs, MemoryContext context);
extern int	cano_store_claim_family(CanoSettlement *settlement,
									const CanoFamily *family, int limit,
									CanoRun *runs, MemoryContext context);

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
extern TimestampTz cano_store_next_due(Oid owner, TimestampTz now,
									   const CanoFamily *family);

/*
 * Gather what to write.  These need no window and allocate in the current
 * context.
 */
extern void cano_settlement_init(CanoSettlement *settlement, Oid owner);
extern void cano_settle_entry(CanoSettlement *settlement, CanoRun *run);
extern void cano_settle_cursor(CanoSettlement *settlement, CanoRun *run,
							   Jsonb *cursor);
extern void cano_settle_completion(CanoSettlement *settlement, CanoRun *run,
								   Jsonb *output);
extern void cano_settle_mark(CanoSettlement *settlement, const CanoRun *run,
							 const CanoEntry *entry, char mark);
extern void cano_settle_job(CanoSettlement *settlement, CanoRun *run);
extern void cano_settle_timer(CanoSettlement *settlement, CanoRun *run,
							  TimestampTz due_at, char waiting);
extern void cano_settle_attempt(CanoSettlement *settlement, const CanoRun *run,
								const CanoAttempt *attempt);
extern void cano_settle_end(CanoSettlement *settlement, const CanoRun *run,
							const CanoRunEnd *end);

/*
 * The lane's branch, the drain's compensation or the call after the end has
 * ended, whatever it did to the server before.
 */
extern void cano_settle_part_end(CanoSettlement *settlement, CanoRun *run);

/* The job is done with: the lane has no more branches to go on with. */
extern void cano_settle_job_end(CanoSettlement *settlement, CanoRun *run);

/*
 * A new id for a run or a job, and the part of it that says which node made
 * it: ids of servers with different cano.node_id never meet.  Needs no window.
 */
extern int64 cano_store_new_id(void);

static inline int64
cano_store_node(void)
{
	return (int64) cano_node_id << 48;
}

/*
 * The run may wait, or begin to wait, for a signal or an answer that is there,
 * or for children that have ended.
 */
extern void cano_settle_listener(CanoSettlement *settlement, int64 run);

/*
 * Write it all.  Returns the first place of what that made due by itself (a
 * signal that was there already), or CANO_NO_PLACE; puts into *due_at when
 * something of it will be due later, or DT_NOEND.  What it does for fans is
 * settled by cano_fan_settle(), afterwards.
 */
extern CanoPlace cano_store_settle(CanoSettlement *settlement,
								   TimestampTz *due_at);

/* The first place that the statement just run returned, or CANO_NO_PLACE. */
extern CanoPlace cano_store_place(uint64 nrows);

#endif							/* CANO_STORE_H */
