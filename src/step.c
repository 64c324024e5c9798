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

static void call_task(const CanoRun *run, bool holding, CanoStep *step);
static bool try_task(const CanoRun *run, bool holding, bool last, CanoStep *step);
static void call_function(const CanoRun *run, CanoStep *step);
static void attempt_failed(const CanoRun *run, ErrorData *edata, CanoStep *step);
static void decide(const CanoRun *run, CanoHappened what, CanoStep *step);
static void take_output(const CanoRun *run, CanoStep *step);
static bool lock_timer_fired(TimestampTz before);
static bool is_conflict(const CanoError *error);
static int64 attempt_limit(const CanoRun *run);
static CanoUse use_of(CanoKind kind);

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
	else if (run->crashes >= cano_max_crashes)
		decide(run, CANO_CRASHED, step);
	else if (run->duty == CANO_DUTY_WAKE)
		decide(run, CANO_WOKEN, step);
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
	const CanoStateExtra *extra = &run->definition->extra[run->state];
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	TimestampTz lock_timer = get_timeout_finish_time(LOCK_TIMEOUT);
	int			lock_timeout = LockTimeout;
	int			guc_level = NewGUCNestLevel();
	CanoCurrent current = {
		.run = run->id,
		.workflow = run->definition->workflow,
		.state = run->state_name,
		.attempt = run->attempt,
		.data = run->data
	};
	volatile bool undo = false;

	memset(&step->said, 0, sizeof(step->said));
	step->error = NULL;
	step->data = run->data;
	step->started_at = cano_now();
	current.idempotency_key = psprintf(INT64_FORMAT ":" INT64_FORMAT ":%s",
									   run->id, run->sequence, run->state_name);
	if (!cano_txn_is_session())
		SetCurrentStatementStartTimestamp();
	cano_slot_begin(run->id, run->definition->workflow, run->state_name,
					extra->run->name, run->attempt, step->started_at);
	cano_recorder_begin(run->job, run->id);
	cano_call_mark();
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	if (holding)
		LockTimeout = 1;

	PG_TRY();
	{
		CANO_POINT("step-before-call");
		(void) cano_context_set(&current);
		cano_attempt_start(attempt_limit(run));
		call_function(run, step);
		if (cano_attempt_stop())
			ereport(ERROR,
					(errcode(cano_errcode(CANO_CAT_TIMEOUT)),
					 errmsg("attempt ran longer than its time limit")));
		CANO_POINT("step-after-call");
		decide(run, step->said.what, step);
		if (step->decision.keep)
			take_output(run, step);
		undo = !step->decision.keep;
		CANO_POINT("step-decided");
	}
	PG_CATCH();
	{
		ErrorData  *edata;
		bool		timed_out = cano_attempt_stop();

		MemoryContextSwitchTo(context);
		edata = CopyErrorData();

		/* Somebody cancels the session's own statement, not the task. */
		if (edata->sqlerrcode == ERRCODE_QUERY_CANCELED && !timed_out &&
			cano_txn_is_session())
		{
			(void) cano_context_set(NULL);
			cano_recorder_end();
			cano_slot_end();
			LockTimeout = lock_timeout;
			PG_RE_THROW();
		}
		FlushErrorState();
		if (timed_out)
			edata->sqlerrcode = cano_errcode(CANO_CAT_TIMEOUT);
		attempt_failed(run, edata, step);
		undo = true;
	}
	PG_END_TRY();

	(void) cano_context_set(NULL);
	if (holding &&
		(lock_timer_fired(lock_timer) ||
		 (step->error && is_conflict(step->error))))
		step->separate = undo = true;

	if (undo)
		RollbackAndReleaseCurrentSubTransaction();
	else
		ReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	step->last = !cano_call_scrub();
	AtEOXact_GUC(false, guc_level);
	LockTimeout = lock_timeout;
	cano_recorder_end();
	cano_slot_end();
	step->ended_at = cano_now();

	return step->separate || last || !step->error || !is_conflict(step->error);
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
		.input = run->input,
		.headers = run->headers
	};

	cano_call(cano_function_get(extra->run, use), use, &binding,
			  step->started_at, CurrentMemoryContext, &step->said);
}

/*
 * Turn a caught error into the attempt's.
 */
static void
attempt_failed(const CanoRun *run, ErrorData *edata, CanoStep *step)
{
	const CanoStateExtra *extra = &run->definition->extra[run->state];

	step->error = cano_error_copy(edata);
	if (step->error->category == CANO_CAT_TIMEOUT)
		step->error->message = psprintf("task \"%s\" of state \"%s\" ran longer than " INT64_FORMAT " ms",
										extra->run->name, run->state_name,
										attempt_limit(run));
	else if (strncmp(step->error->sqlstate, "XX", 2) == 0 ||
			 strcmp(step->error->sqlstate, "P0004") == 0)
		step->error->message = psprintf("panic: %s", step->error->message);
	decide(run, CANO_ATTEMPT_FAILED, step);
}

static void
decide(const CanoRun *run, CanoHappened what, CanoStep *step)
{
	CanoPosition position = {
		.state = run->state,
		.attempt = run->attempt,
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
 * Lost against another session: nothing is wrong with the task.
 */
static bool
is_conflict(const CanoError *error)
{
	return strcmp(error->sqlstate, "40001") == 0 ||
		strcmp(error->sqlstate, "40P01") == 0;
}

/*
 * The state's limit, or the role's own where the server does not enforce it:
 * in a worker nothing else arms statement_timeout.
 */
static int64
attempt_limit(const CanoRun *run)
{
	int64		limit = run->definition->extra[run->state].timeout_ms;

	if (!cano_txn_is_session() && StatementTimeout > 0 &&
		(limit == 0 || StatementTimeout < limit))
		limit = StatementTimeout;
	return limit;
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
		default:
			return CANO_USE_TASK;
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
								   "task \"%s\" of state \"%s\" returned an outcome that its kind does not know",
								   task, run->state_name);
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
				error.detail = JsonbToCString(NULL, &step->said.detail->root,
											  VARSIZE(step->said.detail));
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
