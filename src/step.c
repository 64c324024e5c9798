/*-------------------------------------------------------------------------
 *
 * step.c
 *	  One step: call what the run's state calls, decide what follows.
 *
 * The call stands in a subtransaction: what is decided afterwards may be that
 * nothing of it is kept.  The decision is made before the subtransaction
 * ends, because an outcome that is not allowed is undone, too.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/pg_prng.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timeout.h"

#include "attempt.h"
#include "context.h"
#include "debug.h"
#include "guc.h"
#include "json.h"
#include "recorder.h"
#include "shmem.h"
#include "step.h"
#include "txn.h"

/* How often a deadlock or serialization failure is tried again at once. */
#define AT_ONCE		5

/* What a task's call must leave as it found it. */
typedef struct Surroundings
{
	MemoryContext context;
	ResourceOwner owner;
	TimestampTz lock_timer;
	int			lock_timeout;
	int			guc_level;
	volatile bool open;			/* the subtransaction */
	Oid			userid;
	int			sec_context;
} Surroundings;

static void call_task(const CanoRun *run, bool holding, CanoStep *step);
static bool try_task(const CanoRun *run, bool holding, bool last, CanoStep *step);
static void enter_task(const CanoRun *run, bool holding, const CanoStep *step,
					   Surroundings *around);
static void stay_who_we_are(Surroundings *around);
static void leave_task(const Surroundings *around, CanoStep *step);
static void call_function(const CanoRun *run, CanoStep *step);
static void attempt_failed(const CanoRun *run, const ErrorData *edata,
						   bool timed_out, CanoStep *step);
static void decide(const CanoRun *run, CanoHappened what, CanoStep *step);
static void take_output(const CanoRun *run, CanoStep *step);
static bool lock_timer_fired(TimestampTz before);
static CanoError *timeout_error(const CanoRun *run);
static int64 time_limit(const CanoRun *run);
static int64 time_left(const CanoRun *run, TimestampTz now);
static bool poll_is_late(const CanoRun *run, TimestampTz now);
static bool is_poll(const CanoRun *run);
static CanoUse use_of(CanoKind kind);
static const char *outcome_name(CanoHappened said);

void
cano_step_run(const CanoRun *run, bool holding, const CanoError *failure,
			  CanoStep *step)
{
	const CanoState *state = &run->definition->model.states[run->state];

	memset(step, 0, sizeof(*step));
	step->data = run->data;
	step->started_at = step->ended_at = cano_now();

	if (failure != NULL)
	{
		step->error = unconstify(CanoError *, failure);
		decide(run, CANO_ATTEMPT_FAILED, step);
	}
	else if (poll_is_late(run, step->started_at))
	{
		step->error = timeout_error(run);
		decide(run, CANO_ATTEMPT_FAILED, step);
	}
	else if (run->crashes >= cano_max_crashes)
		decide(run, CANO_CRASHED, step);
	else if (run->duty == CANO_DUTY_WAKE)
		decide(run, CANO_WOKEN, step);
	else if (run->duty == CANO_DUTY_SIGNAL)
	{
		step->said.output = run->signal;
		decide(run, CANO_SIGNALLED, step);
		take_output(run, step);
	}
	else if (!state->calls)
		decide(run, CANO_ARRIVED, step);
	else
		call_task(run, holding, step);
}

/*
 * Call the task, again at once where it lost against somebody else.
 */
static void
call_task(const CanoRun *run, bool holding, CanoStep *step)
{
	int			tries = 0;

	while (!try_task(run, holding, tries == AT_ONCE, step))
		tries++;
}

/*
 * Call the task in a subtransaction.  False: it lost against somebody else
 * and is worth another try.
 */
static bool
try_task(const CanoRun *run, bool holding, bool last, CanoStep *step)
{
	CanoCurrent current = {
		.run = run->id,
		.workflow = run->definition->workflow,
		.state = run->state_name,
		.attempt = run->attempt,
		.idempotency_key = psprintf(INT64_FORMAT ":" INT64_FORMAT ":%s",
									run->id, run->sequence, run->state_name),
		.data = run->data,
		.shares = run->shares
	};
	Surroundings around;
	ErrorData  *volatile cancelled = NULL;
	volatile bool late = false;

	memset(&step->said, 0, sizeof(step->said));
	step->error = NULL;
	step->data = run->data;
	step->started_at = cano_now();
	enter_task(run, holding, step, &around);

	PG_TRY();
	{
		CANO_POINT("step-before-call");
		(void) cano_context_set(&current);
		cano_attempt_start(time_left(run, step->started_at));
		call_function(run, step);
		late = cano_attempt_stop();
		if (late)
			ereport(ERROR,
					(errcode(ERRCODE_QUERY_CANCELED),
					 errmsg("canceling statement due to its attempt's timeout")));
		CANO_POINT("step-after-call");
		decide(run, step->said.what, step);
		if (step->decision.keep)
			take_output(run, step);
		CANO_POINT("step-decided");
		step->separate = holding && lock_timer_fired(around.lock_timer);
		if (step->decision.keep && !step->separate)
		{
			SetUserIdAndSecContext(around.userid, around.sec_context);

			/* Others have a say in it: a foreign server may be gone. */
			ReleaseCurrentSubTransaction();
			around.open = false;
		}
	}
	PG_CATCH();
	{
		bool		timed_out = cano_attempt_stop() || late;
		ErrorData  *edata;

		MemoryContextSwitchTo(around.context);
		edata = CopyErrorData();
		FlushErrorState();
		if (cano_txn_is_session() && !timed_out && cano_txn_was_cancelled(edata))
			cancelled = edata;
		attempt_failed(run, edata, timed_out, step);
	}
	PG_END_TRY();

	(void) cano_context_set(NULL);
	if (step->error &&
		((holding && lock_timer_fired(around.lock_timer)) ||
		 (run->shares && cano_error_is_conflict(step->error->sqlstate))))
		step->separate = true;
	leave_task(&around, step);

	/* Somebody cancelled the session's own statement, not the task. */
	if (cancelled != NULL)
		ReThrowError(cancelled);
	return step->separate || last || !step->error || !cano_error_is_conflict(step->error->sqlstate);
}

/*
 * Everything up to and including the beginning of the subtransaction.
 */
static void
enter_task(const CanoRun *run, bool holding, const CanoStep *step,
		   Surroundings *around)
{
	around->context = CurrentMemoryContext;
	around->owner = CurrentResourceOwner;
	around->lock_timer = get_timeout_finish_time(LOCK_TIMEOUT);
	around->lock_timeout = LockTimeout;
	around->guc_level = NewGUCNestLevel();

	if (!cano_txn_is_session())
		SetCurrentStatementStartTimestamp();
	cano_slot_begin(run->id, run->definition->workflow, run->state_name,
					run->definition->extra[run->state].run->name,
					run->attempt, step->started_at);
	cano_recorder_begin(run->job, run->id);
	cano_call_mark();
	BeginInternalSubTransaction(NULL);
	around->open = true;
	MemoryContextSwitchTo(around->context);
	stay_who_we_are(around);
	if (holding)
		LockTimeout = 1;
}

/*
 * In a session that belongs to somebody else (after SET ROLE or SET SESSION
 * AUTHORIZATION) a task must not be able to go back to him.  The abort of the
 * subtransaction undoes this, too.
 */
static void
stay_who_we_are(Surroundings *around)
{
	GetUserIdAndSecContext(&around->userid, &around->sec_context);
	if (around->userid != GetSessionUserId() ||
		around->userid != GetAuthenticatedUserId())
		SetUserIdAndSecContext(around->userid,
							   around->sec_context |
							   SECURITY_LOCAL_USERID_CHANGE);
}

/*
 * Keep or undo what the task did, and put the session back as it was.
 */
static void
leave_task(const Surroundings *around, CanoStep *step)
{
	if (around->open)
		RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(around->context);
	CurrentResourceOwner = around->owner;
	step->last = !cano_call_scrub();
	AtEOXact_GUC(false, around->guc_level);
	LockTimeout = around->lock_timeout;
	cano_recorder_end();
	cano_slot_end();
	step->ended_at = cano_now();
}

static void
call_function(const CanoRun *run, CanoStep *step)
{
	const CanoStateExtra *extra = &run->definition->extra[run->state];
	CanoUse		use = use_of(run->definition->model.states[run->state].kind);
	CanoBinding binding = {
		.workflow = run->definition->workflow,
		.state = run->state_name,
		.idempotency_key = cano_context_get()->idempotency_key,
		.run_id = run->id,
		.attempt = run->attempt,
		.branch = -1,
		.data = run->data,
		.cursor = run->cursor,
		.input = run->input,
		.headers = run->headers,
		.signal = run->signal
	};

	cano_call(cano_function_get(extra->run, use), use, &binding,
			  step->started_at, CurrentMemoryContext, &step->said);
}

/*
 * Turn a caught error into the attempt's.  What the body of the task raises
 * is the task's, even under a SQLSTATE of ours.
 */
static void
attempt_failed(const CanoRun *run, const ErrorData *edata, bool timed_out,
			   CanoStep *step)
{
	CanoError  *error = cano_error_copy(edata);

	if (timed_out)
	{
		const char *context = error->context;

		error = timeout_error(run);
		error->context = context;
	}
	else if (cano_call_in_body() && error->category != CANO_CAT_RESOURCE)
		error->category = CANO_CAT_TASK_EXECUTION;
	if (strncmp(error->sqlstate, "XX", 2) == 0 ||
		strcmp(error->sqlstate, "P0004") == 0)
		error->message = psprintf("panic: %s", error->message);
	step->error = error;
	decide(run, CANO_ATTEMPT_FAILED, step);
}

static CanoError *
timeout_error(const CanoRun *run)
{
	const CanoStateExtra *extra = &run->definition->extra[run->state];

	return cano_error_make(CANO_CAT_TIMEOUT,
						   "task \"%s\" of state \"%s\" ran longer than " INT64_FORMAT " ms",
						   extra->run->name, run->state_name, time_limit(run));
}

static void
decide(const CanoRun *run, CanoHappened what, CanoStep *step)
{
	CanoPosition position = {
		.state = run->state,
		.attempt = run->attempt,
		.errors = run->errors,
		.max_attempts = run->max_attempts,
		.max_crashes = cano_max_crashes,
		.random = 2.0 * pg_prng_double(&pg_global_prng_state) - 1.0
	};
	CanoEvent	event = {
		.what = what,
		.target = step->said.target,
		.delay_us = step->said.delay_us,
		.crashes = run->crashes
	};

	if (step->error != NULL)
	{
		event.category = step->error->category;
		event.sqlstate = step->error->sqlstate;
	}
	step->decision = cano_fsm_decide(&run->definition->model, &position, &event);
}

/*
 * An object joins the run's data; any other output is stored in it under the
 * state's name, or all of it under the key that the state names.
 */
static void
take_output(const CanoRun *run, CanoStep *step)
{
	const char *key = run->definition->extra[run->state].output_key;
	Jsonb	   *output = step->said.output;

	if (output == NULL)
		return;
	if (key == NULL && !JB_ROOT_IS_OBJECT(output))
		key = run->state_name;
	step->data = key ? cano_json_set(run->data, key, output)
		: cano_json_merge(run->data, output);
}

/*
 * Did the lock timer, which runs only while a lock is waited for, run out in
 * between?  A task may have trapped the error.
 */
static bool
lock_timer_fired(TimestampTz before)
{
	TimestampTz after = get_timeout_finish_time(LOCK_TIMEOUT);

	return after != before && after <= GetCurrentTimestamp();
}

/*
 * The state's limit, or the role's own where the server does not enforce it:
 * in a worker nothing else arms statement_timeout.
 */
static int64
time_limit(const CanoRun *run)
{
	int64		limit = run->definition->extra[run->state].timeout_ms;

	if (!cano_txn_is_session() && StatementTimeout > 0 &&
		(limit == 0 || StatementTimeout < limit))
		limit = StatementTimeout;
	return limit;
}

/*
 * How much of it this call has.  An attempt of a poll is all its asks.
 */
static int64
time_left(const CanoRun *run, TimestampTz now)
{
	int64		timeout = run->definition->extra[run->state].timeout_ms;
	int64		limit = time_limit(run);

	if (timeout > 0 && run->since != DT_NOBEGIN && is_poll(run))
		limit = Max(Min(limit, timeout - (now - run->since) / 1000), 1);
	return limit;
}

static bool
poll_is_late(const CanoRun *run, TimestampTz now)
{
	int64		timeout = run->definition->extra[run->state].timeout_ms;

	return is_poll(run) && timeout > 0 && run->since != DT_NOBEGIN &&
		now >= TimestampTzPlusMilliseconds(run->since, timeout);
}

static bool
is_poll(const CanoRun *run)
{
	return run->definition->model.states[run->state].kind == CANO_KIND_POLL;
}

static CanoUse
use_of(CanoKind kind)
{
	switch (kind)
	{
		case CANO_KIND_ROUTER:
			return CANO_USE_ROUTER;
		case CANO_KIND_TIMER:
			return CANO_USE_TIMER;
		case CANO_KIND_POLL:
			return CANO_USE_POLL;
		default:
			return CANO_USE_TASK;
	}
}

static const char *
outcome_name(CanoHappened said)
{
	switch (said)
	{
		case CANO_SAID_MORE:
			return "more";
		case CANO_SAID_PENDING:
			return "pending";
		case CANO_SAID_NEXT:
			return "next";
		default:
			return "something else";
	}
}

const CanoError *
cano_step_attempt_error(const CanoRun *run, const CanoStep *step)
{
	const CanoStateExtra *extra = &run->definition->extra[run->state];
	const char *task = extra->run ? extra->run->name : "";

	switch (step->decision.fault)
	{
		case CANO_FAULT_NO_NEXT:
			return cano_error_make(CANO_CAT_WORKFLOW,
								   "task \"%s\" of state \"%s\" named no next state, and the state has none",
								   task, run->state_name);
		case CANO_FAULT_UNKNOWN_STATE:
			return cano_error_make(CANO_CAT_WORKFLOW,
								   "task \"%s\" of state \"%s\" went to state \"%s\", which does not exist",
								   task, run->state_name, step->said.target);
		case CANO_FAULT_NOT_A_TARGET:
			return cano_error_make(CANO_CAT_WORKFLOW,
								   "task \"%s\" of state \"%s\" went to state \"%s\", which is not one of its targets",
								   task, run->state_name, step->said.target);
		case CANO_FAULT_WRONG_OUTCOME:
			return cano_error_make(CANO_CAT_WORKFLOW,
								   "task \"%s\" of state \"%s\" returned an outcome that its kind does not know: %s",
								   task, run->state_name,
								   outcome_name(step->said.what));
		default:
			return step->error;
	}
}

Jsonb *
cano_step_run_error(const CanoRun *run, const CanoStep *step)
{
	const CanoDecision *decision = &step->decision;
	const CanoStateExtra *extra = &run->definition->extra[run->state];
	const char *task = extra->run ? extra->run->name : NULL;
	const char *state = run->state_name;
	CanoError	error;

	switch (decision->fault)
	{
		case CANO_FAULT_NONE:
			return NULL;
		case CANO_FAULT_TASK:
			error = *step->error;
			break;
		case CANO_FAULT_EXHAUSTED:
			error = *step->error;
			error.message = psprintf("task \"%s\" failed after %d attempts: %s",
									 task, run->attempt, step->error->message);
			break;
		case CANO_FAULT_VERDICT:
			error = *cano_error_make(decision->category, "%s",
									 step->said.reason ? step->said.reason :
									 cano_category_name(decision->category));
			if (step->said.detail != NULL)
				error.detail = cano_error_text(JsonbToCString(NULL, &step->said.detail->root,
															  VARSIZE(step->said.detail)));
			break;
		case CANO_FAULT_NO_SIGNAL:
			error = *cano_error_make(CANO_CAT_TIMEOUT,
									 "state \"%s\" received no signal \"%s\" in time",
									 state, extra->signal);
			break;
		case CANO_FAULT_EXIT:
			state = run->definition->model.states[decision->state].name;
			task = NULL;
			error = *cano_error_make(CANO_CAT_WORKFLOW,
									 "run reached exit \"%s\", whose outcome is \"%s\"",
									 state,
									 decision->ending == CANO_CANCELLED ?
									 "cancelled" : "failed");
			break;
		case CANO_FAULT_POISONED:
			error = *cano_error_make(CANO_CAT_POISONED,
									 "task \"%s\" of state \"%s\" ended its session or the server %d times",
									 task, state, run->crashes);
			error.hint = "Find out why before the run is resumed.";
			break;
		default:
			error = *cano_step_attempt_error(run, step);
			break;
	}
	error.category = decision->category;
	return cano_error_jsonb(&error, state, task, run->attempt);
}
