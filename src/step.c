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

#include "common/pg_prng.h"
#include "storage/proc.h"

#include "attempt.h"
#include "bracket.h"
#include "breaker.h"
#include "child.h"
#include "context.h"
#include "debug.h"
#include "external.h"
#include "guc.h"
#include "hook.h"
#include "json.h"
#include "limiter.h"
#include "recorder.h"
#include "shmem.h"
#include "step.h"
#include "stop.h"
#include "store_drain.h"
#include "txn.h"

/*
 * How long a task may take among others, in milliseconds: as many batches.  One
 * that has not much more time at all keeps it for its only try.
 */
#define LONGEST_STAY	Max((int64) 200 * cano_batch_time, 1000)

/* How often a deadlock or serialization failure is tried again at once. */
#define AT_ONCE		5

static void call_task(const CanoRun *run, bool holding, CanoStep *step);
static bool is_admitted(const CanoRun *run, CanoStep *step);
static bool try_task(const CanoRun *run, bool holding, bool last, CanoStep *step);
static void say_where(void *arg);
static void begin_slot(const CanoRun *run, TimestampTz since);
static void call(const CanoRun *run, CanoStep *step);
static void call_function(const CanoRun *run, CanoStep *step);
static bool must_end(const CanoRun *run, CanoStep *step);
static bool is_sheltered(const CanoRun *run);
static bool outlives_run(const CanoRun *run);
static void look_up(const CanoRun *run, CanoStep *step);
static void enter(const CanoRun *run, bool holding, CanoStep *step);
static void join(const CanoRun *run, bool holding, CanoStep *step);
static void take_reply(const CanoRun *run, CanoStep *step);
static void fail(const CanoRun *run, const CanoError *error, CanoStep *step);
static void attempt_failed(const CanoRun *run, const ErrorData *edata,
						   bool timed_out, CanoStep *step);
static void decide(const CanoRun *run, CanoHappened what, CanoStep *step);
static void take_output(const CanoRun *run, CanoStep *step);
static bool outlasted(const CanoRun *run, CanoStep *step);
static CanoError *timeout_error(const CanoRun *run);
static int64 time_limit(const CanoRun *run);
static int64 time_left(const CanoRun *run, TimestampTz now);
static bool has_asks(const CanoRun *run);
static bool is_late(const CanoRun *run, TimestampTz now);
static CanoUse use_of(const CanoRun *run);
static char *idempotency_key(const CanoRun *run);
static Jsonb *task_data(const CanoRun *run);

void
cano_step_run(const CanoRun *run, bool holding, const CanoError *failure,
			  CanoStep *step)
{
	memset(step, 0, sizeof(*step));
	step->data = run->data;
	step->started_at = step->ended_at = cano_now();

	if (must_end(run, step))
		return;
	if (failure != NULL)
		fail(run, failure, step);
	else if (run->duty != CANO_DUTY_SIGNAL && is_late(run, step->started_at))
		fail(run, timeout_error(run), step);
	else if (run->crashes >= cano_max_crashes)
		decide(run, CANO_CRASHED, step);
	else
		switch (run->duty)
		{
			case CANO_DUTY_WAKE:
				decide(run, CANO_WOKEN, step);
				break;
			case CANO_DUTY_SIGNAL:
				take_reply(run, step);
				break;
			case CANO_DUTY_JOIN:
				join(run, holding, step);
				break;
			case CANO_DUTY_CHILD:
				step->said.output = run->reply;
				decide(run, CANO_CHILD_ENDED, step);
				if (run->child == CANO_COMPLETED)
					take_output(run, step);
				break;
			default:
				enter(run, holding, step);
				break;
		}
}

/*
 * Somebody has cancelled the run, or its time is over.
 */
static bool
must_end(const CanoRun *run, CanoStep *step)
{
	if (cano_run_is_part(run) ||
		(run->duty == CANO_DUTY_SIGNAL && is_sheltered(run)))
		return false;
	if (run->stop)
		decide(run, CANO_CALLED_OFF, step);
	else if (step->started_at >= cano_run_deadline(run))
		decide(run, CANO_OUT_OF_TIME, step);
	else
		return false;
	return true;
}

/*
 * What must not be interrupted: what would have to be undone, the undoing, and
 * what is called after the end.
 */
static bool
is_sheltered(const CanoRun *run)
{
	return run->duty == CANO_DUTY_UNDO || run->duty == CANO_DUTY_AFTER ||
		(run->branch == CANO_NO_BRANCH && cano_run_state(run)->undo != NULL);
}

/*
 * The same when the run's time is over.  Nobody would undo what an abandoned
 * run has done.
 */
static bool
outlives_run(const CanoRun *run)
{
	return is_sheltered(run) && !run->definition->model.abandons;
}

/*
 * Now that something was not interrupted: is its run to stop?
 */
static void
look_up(const CanoRun *run, CanoStep *step)
{
	if (!is_sheltered(run))
		return;
	step->called_off |= run->stop || cano_slot_end();
	step->out_of_time = outlives_run(run) &&
		cano_now() >= cano_run_deadline(run);
}

/*
 * Do what the state, the branch or the item is for.
 */
static void
enter(const CanoRun *run, bool holding, CanoStep *step)
{
	const CanoState *state = cano_run_state(run);

	if (state->calls || state->kind == CANO_KIND_CHILD)
		call_task(run, holding, step);
	else
		decide(run, CANO_ARRIVED, step);
}

/*
 * The branches or items are done with.
 */
static void
join(const CanoRun *run, bool holding, CanoStep *step)
{
	const CanoFan *fan = run->fan;

	if (fan != NULL && fan->closed == CANO_CLOSED_CANCELS)
	{
		step->said.what = CANO_SAID_CANCELLED;
		step->said.reason = cano_json_get_text(fan->verdict, "message");
		decide(run, CANO_SAID_CANCELLED, step);
	}
	else if (fan != NULL && fan->closed == CANO_CLOSED_PANIC)
		fail(run, cano_error_from_jsonb(fan->verdict), step);
	else
		call_task(run, holding, step);
}

/*
 * What a client outside sends as an answer to work that it took.
 */
static void
take_reply(const CanoRun *run, CanoStep *step)
{
	if (cano_run_state(run)->kind == CANO_KIND_EXTERNAL)
	{
		cano_external_read(run->reply, &step->said, &step->error);
		look_up(run, step);
		decide(run, step->error ? CANO_ATTEMPT_FAILED : CANO_SAID_NEXT, step);
	}
	else
	{
		step->said.output = run->signal;
		decide(run, CANO_SIGNALLED, step);
	}
	if (step->decision.keep)
		take_output(run, step);
}

static void
fail(const CanoRun *run, const CanoError *error, CanoStep *step)
{
	step->error = unconstify(CanoError *, error);
	decide(run, CANO_ATTEMPT_FAILED, step);
}

/*
 * Call the task, again at once where it lost against somebody else.
 */
static void
call_task(const CanoRun *run, bool holding, CanoStep *step)
{
	int			tries = 0;

	while (is_admitted(run, step) &&
		   !try_task(run, holding, tries == AT_ONCE, step))
		tries++;
}

/*
 * Does its limiter let it begin?  If not, what follows is decided.
 */
static bool
is_admitted(const CanoRun *run, CanoStep *step)
{
	const char *limiter = cano_run_extra(run)->limiter;
	CanoError  *error;

	if (limiter == NULL)
		return true;

	memset(&step->said, 0, sizeof(step->said));
	step->error = NULL;
	step->data = run->data;
	step->started_at = step->ended_at = cano_now();
	switch (cano_limiter_take(limiter, run->since == DT_NOBEGIN ?
							  CANO_NO_TURN : run->since,
							  &step->token, &step->turn))
	{
		case CANO_ADMITTED:
			return true;
		case CANO_MUST_WAIT:
			step->held_back = true;
			step->said.delay_us = Max(step->turn.due - step->ended_at, 1);
			decide(run, CANO_HELD_BACK, step);
			break;
		case CANO_NO_LIMITER:
			error = cano_error_make(CANO_CAT_WORKFLOW,
									"limiter \"%s\" does not exist", limiter);
			error->detail = "It was dropped after the workflow was defined.";
			error->hint = "Create it again with cano.create_limiter.";
			fail(run, error, step);
			break;
	}
	return false;
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
		.idempotency_key = idempotency_key(run),
		.data = task_data(run),
		.definition = run->definition,
		.resources = cano_hook_resources(run),
		.drain = run->drain,
		.shares = run->shares
	};
	CanoBracket bracket;
	ErrorContextCallback where = {
		.previous = error_context_stack,
		.callback = say_where,
		.arg = unconstify(CanoRun *, run)
	};
	TimestampTz started_at = cano_now();
	int64		limit = time_left(run, started_at);
	bool		is_guest = run->shares && !is_sheltered(run) &&
		(limit == 0 || limit > 2 * LONGEST_STAY);
	ErrorData  *volatile cancelled = NULL;
	volatile bool late = false;
	volatile bool stopped = false;

	memset(&step->said, 0, sizeof(step->said));
	step->error = NULL;
	step->data = run->data;
	step->started_at = started_at;
	begin_slot(run, started_at);
	cano_recorder_begin(cano_run_recorded(run), run->id);
	cano_bracket_open(&bracket, holding);
	error_context_stack = &where;

	PG_TRY();
	{
		CANO_POINT("step-before-call");
		(void) cano_context_set(&current);
		step->permit = cano_breaker_acquire(cano_run_extra(run)->breaker);
		cano_attempt_start(is_guest ? LONGEST_STAY : limit, limit);
		call(run, step);
		late = cano_attempt_stop();
		if (late)
			ereport(ERROR,
					(errcode(ERRCODE_QUERY_CANCELED),
					 errmsg("canceling statement due to its attempt's timeout")));
		CANO_POINT("step-after-call");
		step->called_off |= is_sheltered(run) && cano_stop_asked_by_itself() &&
			cano_stop_is_asked(run->id);
		look_up(run, step);
		decide(run, step->said.what, step);
		if (step->decision.keep && step->decision.fault != CANO_FAULT_JOIN)
			take_output(run, step);
		if (run->duty == CANO_DUTY_PREPARE &&
			step->said.what == CANO_SAID_NEXT)
			cano_hook_set_up(run, step->said.output);
		CANO_POINT("step-decided");
		step->separate = holding && cano_bracket_waited(&bracket);
		stopped = cano_slot_end();
		if (step->decision.keep && !step->separate && !stopped)
			cano_bracket_keep(&bracket);
	}
	PG_CATCH();
	{
		bool		timed_out = cano_attempt_stop() || late;
		ErrorData  *edata;

		MemoryContextSwitchTo(bracket.context);
		edata = CopyErrorData();
		FlushErrorState();
		look_up(run, step);
		stopped |= cano_slot_end();
		if (cano_txn_is_session() && !timed_out && !stopped &&
			cano_txn_was_cancelled(edata))
			cancelled = edata;
		step->outstayed = is_guest && timed_out;
		attempt_failed(run, edata, timed_out && !is_guest, step);
	}
	PG_END_TRY();

	error_context_stack = where.previous;
	(void) cano_context_set(NULL);
	step->interrupted |= stopped;
	if (step->outstayed ||
		(step->error &&
		 ((holding && cano_bracket_waited(&bracket)) ||
		  (run->shares && cano_error_is_conflict(step->error->sqlstate)))))
		step->separate = true;
	if (step->separate)
		cano_breaker_return(&step->permit);
	else
		cano_breaker_report(&step->permit,
							step->error == NULL && !step->interrupted &&
							!step->fan_late && !step->drain_late);
	if (step->separate || !cano_call_in_body())
		cano_limiter_return(&step->token);
	step->last = !cano_bracket_close(&bracket);
	cano_recorder_end();
	step->ended_at = cano_now();

	/* Somebody cancelled the session's own statement, not the task. */
	if (cancelled != NULL)
		ReThrowError(cancelled);
	return step->separate || step->interrupted || step->fan_late ||
		step->drain_late || step->called_off || last || !step->error || !cano_error_is_conflict(step->error->sqlstate);
}

/*
 * For what is logged meanwhile.  An error is recorded, with where it was.
 */
static void
say_where(void *arg)
{
	int			code = geterrcode();

	const CanoRun *run = arg;
	const CanoFunctionName *function = cano_run_function(run);

	if (code == ERRCODE_SUCCESSFUL_COMPLETION || code == ERRCODE_WARNING ||
		code == ERRCODE_ADMIN_SHUTDOWN || code == ERRCODE_CRASH_SHUTDOWN)
		errcontext("run " INT64_FORMAT " of workflow \"%s\", state \"%s\", task \"%s\", attempt %d",
				   run->id, run->definition->workflow, run->state_name,
				   function ? function->name : "", run->attempt);
}

static void
begin_slot(const CanoRun *run, TimestampTz since)
{
	const CanoFunctionName *function = cano_run_function(run);
	CanoDoing	doing = {
		.run = run->id,
		.fan = run->branch == CANO_NO_BRANCH ? 0 : run->fan->id,
		.branch = run->branch,
		.workflow = run->definition->workflow,
		.state = run->state_name,
		.task = function ? function->name : "",
		.attempt = run->attempt,
		.sheltered = is_sheltered(run),
		.after_end = run->duty == CANO_DUTY_AFTER,
		.since = since
	};

	cano_slot_begin(&doing);
}

static void
call(const CanoRun *run, CanoStep *step)
{
	if (cano_run_state(run)->kind == CANO_KIND_CHILD)
	{
		cano_child_start(run, step->started_at);
		step->said.what = CANO_CHILD_STARTED;
		return;
	}
	if (run->duty == CANO_DUTY_JOIN)
	{
		cano_fan_results(run, CurrentMemoryContext, &step->results);
		step->said.what = CANO_JOINED;
		step->said.output = step->results.outputs;
	}
	if (cano_run_function(run) != NULL)
		call_function(run, step);
	else
		cano_json_refuse_large(step->said.output, "list of all results");
}

static void
call_function(const CanoRun *run, CanoStep *step)
{
	CanoUse		use = use_of(run);
	CanoFunction *function = cano_function_get(cano_run_function(run), use);
	const CanoCurrent *current = cano_context_get();
	CanoBinding binding = {
		.workflow = run->definition->workflow,
		.state = run->state_name,
		.idempotency_key = current->idempotency_key,
		.run_id = run->id,
		.attempt = run->attempt,
		.branch = run->branch,
		.data = unconstify(Jsonb *, current->data),
		.cursor = run->cursor,
		.item = run->item,
		.outputs = step->results.outputs,
		.output = run->drain ? run->drain->entry->output : NULL,
		.input = run->input,
		.headers = run->headers,
		.signal = run->signal
	};

	if (run->definition->nresources > 0 || run->duty == CANO_DUTY_AFTER)
		cano_hook_bind(run, function, &binding);
	cano_call(function, use, &binding, step->started_at, CurrentMemoryContext,
			  &step->said);
}

/*
 * The same over all attempts of a visit.
 */
static char *
idempotency_key(const CanoRun *run)
{
	if (cano_run_aside(run) != NULL)
		return cano_hook_idempotency_key(run);
	if (run->duty == CANO_DUTY_UNDO)
		return psprintf(INT64_FORMAT ":" INT64_FORMAT ":%s:undo",
						run->id, run->sequence, run->state_name);
	if (run->branch == CANO_NO_BRANCH)
		return psprintf(INT64_FORMAT ":" INT64_FORMAT ":%s",
						run->id, run->sequence, run->state_name);
	return psprintf(INT64_FORMAT ":" INT64_FORMAT ":%s:%d",
					run->id, run->sequence, run->state_name, run->branch);
}

/*
 * A branch may have input of its own.
 */
static Jsonb *
task_data(const CanoRun *run)
{
	Jsonb	   *input = cano_run_extra(run)->input;

	return input ? cano_json_merge(run->data, input) : run->data;
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

	if (timed_out && outlasted(run, step))
		return;
	if (timed_out)
	{
		const char *context = error->context;

		error = timeout_error(run);
		error->context = context;
	}
	else if (cano_call_in_body() && error->category != CANO_CAT_RESOURCE)
		error->category = CANO_CAT_TASK_EXECUTION;
	else if (run->duty == CANO_DUTY_JOIN &&
			 strcmp(error->sqlstate, "54000") == 0)
		error->category = CANO_CAT_WORKFLOW;	/* results beyond all limits */
	if (strncmp(error->sqlstate, "XX", 2) == 0 ||
		strcmp(error->sqlstate, "P0004") == 0)
		error->message = psprintf("panic: %s", error->message);
	step->error = error;
	decide(run, CANO_ATTEMPT_FAILED, step);
}

/*
 * Was it not its own time that was over, but its run's, its fan's or its
 * drain's?
 */
static bool
outlasted(const CanoRun *run, CanoStep *step)
{
	TimestampTz now = cano_now();

	if (run->duty == CANO_DUTY_UNDO)
	{
		step->drain_late = now >= run->drain->due_at;
		return step->drain_late;
	}
	if (!outlives_run(run) && now >= cano_run_deadline(run))
	{
		/* A branch leaves it to the run itself. */
		if (run->branch != CANO_NO_BRANCH)
			step->interrupted = true;
		else
			decide(run, CANO_OUT_OF_TIME, step);
		return true;
	}
	step->fan_late = run->branch != CANO_NO_BRANCH && now >= run->fan->due_at;
	return step->fan_late;
}

static CanoError *
timeout_error(const CanoRun *run)
{
	const CanoFunctionName *function = cano_run_function(run);

	if (function == NULL)
		return cano_error_make(CANO_CAT_TIMEOUT,
							   "state \"%s\" took longer than " INT64_FORMAT " ms",
							   run->state_name, time_limit(run));
	return cano_error_make(CANO_CAT_TIMEOUT,
						   "task \"%s\" of state \"%s\" ran longer than " INT64_FORMAT " ms",
						   function->name, run->state_name, time_limit(run));
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
		.crashes = run->crashes,
		.items = step->said.nitems,
		.tally = step->results.tally,
		.child = run->child,
		.called_off = step->called_off,
		.out_of_time = step->out_of_time
	};

	if (step->error != NULL)
	{
		event.category = step->error->category;
		event.sqlstate = step->error->sqlstate;
	}
	if (cano_run_aside(run) != NULL)
		step->decision = cano_hook_decide(run, &position, &event);
	else if (!cano_run_is_part(run))
		step->decision = cano_fsm_decide(&run->definition->model, &position,
										 &event);
	else
	{
		/* The run's own limit is for states; other things have none. */
		if (run->duty == CANO_DUTY_UNDO ||
			cano_run_state(run)->kind == CANO_KIND_BATCH)
			position.max_attempts = 0;
		step->decision = cano_fsm_decide_part(cano_run_state(run), &position,
											  &event);
	}
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

	/* A branch's is for the join, a setup's for its resource. */
	if (output == NULL || cano_run_is_part(run) || cano_run_aside(run) != NULL)
		return;
	if (key == NULL && !JB_ROOT_IS_OBJECT(output))
		key = run->state_name;
	step->data = key ? cano_json_set(run->data, key, output)
		: cano_json_merge(run->data, output);
}

/*
 * The state's limit, or the role's own where the server does not enforce it:
 * in a worker nothing else arms statement_timeout.
 */
static int64
time_limit(const CanoRun *run)
{
	int64		limit = run->branch == CANO_NO_BRANCH &&
		cano_run_state(run)->kind == CANO_KIND_SPLIT ? 0 :
		cano_run_extra(run)->timeout_ms;

	if (!cano_txn_is_session() && StatementTimeout > 0 &&
		(limit == 0 || StatementTimeout < limit))
		limit = StatementTimeout;
	return limit;
}

/*
 * How much of it this call has.  An attempt of a poll is all its asks, one of
 * a batch all its items.  Nothing outlasts its fan or its run.
 */
static int64
time_left(const CanoRun *run, TimestampTz now)
{
	int64		timeout = cano_run_extra(run)->timeout_ms;
	int64		limit = time_limit(run);
	TimestampTz end = outlives_run(run) ? DT_NOEND : cano_run_deadline(run);

	if (timeout > 0 && run->since != DT_NOBEGIN && has_asks(run))
		end = Min(end, TimestampTzPlusMilliseconds(run->since, timeout));
	if (run->branch != CANO_NO_BRANCH)
		end = Min(end, run->fan->due_at);
	if (run->drain != NULL)
		end = run->drain->due_at;
	/* Rounded up: it is over when the timer fires. */
	if (end != DT_NOEND && (limit == 0 || (end - now + 999) / 1000 < limit))
		limit = Max((end - now + 999) / 1000, 1);
	return limit;
}

/*
 * Does one attempt of it go on over several jobs?
 */
static bool
has_asks(const CanoRun *run)
{
	CanoKind	kind = cano_run_state(run)->kind;

	return run->branch == CANO_NO_BRANCH &&
		(kind == CANO_KIND_POLL || kind == CANO_KIND_BATCH ||
		 kind == CANO_KIND_EXTERNAL);
}

/*
 * Is its attempt's time over between two jobs of it?
 */
static bool
is_late(const CanoRun *run, TimestampTz now)
{
	int64		timeout = cano_run_extra(run)->timeout_ms;

	return has_asks(run) && timeout > 0 && run->since != DT_NOBEGIN &&
		now >= TimestampTzPlusMilliseconds(run->since, timeout);
}

static CanoUse
use_of(const CanoRun *run)
{
	if (run->duty == CANO_DUTY_JOIN)
		return CANO_USE_FINISH;
	if (run->duty == CANO_DUTY_UNDO)
		return CANO_USE_COMPENSATE;
	if (run->duty == CANO_DUTY_AFTER && cano_run_aside(run)->resource < 0)
		return CANO_USE_ON_END;
	switch (cano_run_state(run)->kind)
	{
		case CANO_KIND_ROUTER:
			return CANO_USE_ROUTER;
		case CANO_KIND_TIMER:
			return CANO_USE_TIMER;
		case CANO_KIND_POLL:
			return CANO_USE_POLL;
		case CANO_KIND_BATCH:
			return run->branch == CANO_NO_BRANCH ? CANO_USE_LOAD :
				CANO_USE_PROCESS;
		default:
			return CANO_USE_TASK;
	}
}
