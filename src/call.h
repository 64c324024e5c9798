/*-------------------------------------------------------------------------
 *
 * call.h
 *	  Bind a function's parameters by name, call it, take what it returns.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_CALL_H
#define CANO_CALL_H

#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "fsm.h"
#include "function.h"

/* What the reserved parameter names stand for.  NULL is SQL null. */
typedef struct CanoBinding
{
	const char *workflow;
	const char *state;
	const char *idempotency_key;
	int64		run_id;
	int			attempt;
	int			branch;			/* -1 is SQL null */
	Jsonb	   *data;			/* never NULL, always an object */
	Jsonb	   *input;
	Jsonb	   *headers;
	Jsonb	   *output;
	Jsonb	   *cursor;
	Jsonb	   *item;
	Jsonb	   *outputs;
	Jsonb	   *signal;
	Jsonb	   *resources;
	const char *status;			/* this and the next three: on_end */
	const char *final_state;
	Jsonb	   *result;
	Jsonb	   *error;
} CanoBinding;

/* What came back, converted under the user's own identity. */
typedef struct CanoReturn
{
	CanoHappened what;			/* SAID_... */
	const char *target;			/* SAID_NEXT: the state named, or NULL */
	Jsonb	   *output;			/* NULL when there is none */
	Jsonb	   *cursor;			/* SAID_MORE */
	int64		delay_us;		/* SAID_NEXT, SAID_MORE, SAID_PENDING */
	TimestampTz until;			/* SAID_UNTIL */
	const char *reason;			/* SAID_FAILED, SAID_CANCELLED */
	Jsonb	   *detail;			/* SAID_FAILED */
	int			nitems;			/* SAID_ITEMS */
	Jsonb	  **items;			/* an item is NULL when it is SQL null */
} CanoReturn;

/*
 * Call the function as the current user.  Errors are raised: the caller has
 * a subtransaction around this.  Fires the deferred triggers that the task
 * queued, so that their errors are raised here too.  The result is allocated
 * in "context", everything else in short-lived memory.
 *
 * "now" is the engine's time, for a timer that returns an interval.  What an
 * observer returns is thrown away: "result" is left as it was.
 */
extern void cano_call(CanoFunction *function, CanoUse use,
					  const CanoBinding *binding, TimestampTz now,
					  MemoryContext context, CanoReturn *result);

/*
 * Remember how the session is before a task, for cano_scrub_end().  Called
 * before the task's subtransaction begins.
 */
extern void cano_call_mark(void);

/*
 * Did an error since the mark come from the task itself, not from finding
 * the function or binding its parameters?
 */
extern bool cano_call_in_body(void);

#endif							/* CANO_CALL_H */
