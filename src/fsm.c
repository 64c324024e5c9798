/*-------------------------------------------------------------------------
 *
 * fsm.c
 *	  The decision core: what just happened -> what comes next.
 *
 * Every rule about a run lives here and nowhere else.  Two of them shape the
 * rest: the entry row of a state is written together with the decision to go
 * there, so a state is durable before its task starts; and an attempt whose
 * outcome is not allowed is rolled back whole (keep is false), as one that
 * raised an error is.
 *
 *-------------------------------------------------------------------------
 */
#include "fsm.h"

#include <string.h>

#include "retry.h"

static CanoDecision answer(const CanoModel *model, const CanoPosition *position,
						   const CanoEvent *event);
static bool rolls_back(const CanoModel *model, const CanoDecision *decision);
static void stop_here(const CanoPosition *position, const CanoEvent *event,
					  CanoDecision *decision);
static CanoDecision enter(const CanoModel *model, int target, int64_t delay_us);
static void begin_wait(const CanoState *state, CanoDecision *decision);
static CanoDecision wait_here(const CanoModel *model,
							  const CanoPosition *position, CanoWaiting waiting);
static CanoDecision stay(const CanoPosition *position, int64_t delay_us,
						 CanoWaiting waiting);
static CanoDecision follow(const CanoModel *model, const CanoState *from,
						   const CanoEvent *event);
static CanoDecision woken(const CanoModel *model, const CanoPosition *position);
static CanoDecision said_items(const CanoModel *model,
							   const CanoPosition *position,
							   const CanoEvent *event);
static CanoDecision joined(const CanoModel *model, const CanoPosition *position,
						   const CanoEvent *event);
static CanoDecision child_ended(const CanoModel *model,
								const CanoPosition *position,
								const CanoEvent *event);
static CanoDecision failed(const CanoState *state, const CanoPosition *position,
						   const CanoEvent *event);
static CanoDecision held_back(const CanoPosition *position,
							  const CanoEvent *event);
static CanoDecision crashed(const CanoPosition *position, const CanoEvent *event);
static CanoDecision refuse(int state, CanoFault fault);
static CanoDecision end(int state, CanoEnding ending, CanoFault fault,
						CanoCategory category);
static bool is_fatal(const CanoState *state, const char *sqlstate);
static bool is_panic(const char *sqlstate);
static bool is_target(const CanoState *from, int target);

CanoDecision
cano_fsm_decide(const CanoModel *model, const CanoPosition *position,
				const CanoEvent *event)
{
	CanoDecision decision = answer(model, position, event);

	decision.completed = model->states[position->state].undo != NULL &&
		event->what == CANO_SAID_NEXT && decision.keep;
	stop_here(position, event, &decision);
	decision.rolls_back = rolls_back(model, &decision);
	return decision;
}

static bool
rolls_back(const CanoModel *model, const CanoDecision *decision)
{
	return model->compensates && decision->verb == CANO_END &&
		decision->ending != CANO_COMPLETED &&
		!(model->abandons && decision->fault == CANO_FAULT_OUT_OF_TIME);
}

/*
 * What follows from the event alone.
 */
static CanoDecision
answer(const CanoModel *model, const CanoPosition *position,
	   const CanoEvent *event)
{
	const CanoState *from = &model->states[position->state];
	CanoDecision decision;

	switch (event->what)
	{
		case CANO_ARRIVED:
			/* Its entry row was written by whoever sent the run here. */
			decision = enter(model, position->state, 0);
			decision.moved = false;
			decision.entered = false;
			decision.attempt = position->attempt;
			return decision;

		case CANO_WOKEN:
			return woken(model, position);

		case CANO_SIGNALLED:
			if (from->kind == CANO_KIND_RECEIVE)
				return enter(model, from->next, 0);
			break;

		case CANO_SAID_NEXT:
			if (from->kind == CANO_KIND_TASK || from->kind == CANO_KIND_ROUTER ||
				from->kind == CANO_KIND_STEPPED || from->kind == CANO_KIND_POLL ||
				from->kind == CANO_KIND_BATCH || from->kind == CANO_KIND_EXTERNAL)
				return follow(model, from, event);
			break;

		case CANO_SAID_MORE:
			if (from->kind == CANO_KIND_STEPPED)
			{
				decision = stay(position, event->delay_us, CANO_WAIT_TIMER);
				decision.attempt = 1;
				decision.cursor = true;
				return decision;
			}
			break;

		case CANO_SAID_PENDING:
			if (from->kind == CANO_KIND_POLL)
				return stay(position, event->delay_us, CANO_WAIT_POLL);
			break;

		case CANO_SAID_UNTIL:
			if (from->kind == CANO_KIND_TIMER)
				return wait_here(model, position, CANO_WAIT_TIMER);
			break;

		case CANO_SAID_ITEMS:
			if (from->kind == CANO_KIND_BATCH)
				return said_items(model, position, event);
			break;

		case CANO_JOINED:
			if (from->kind == CANO_KIND_SPLIT || from->kind == CANO_KIND_BATCH)
				return joined(model, position, event);
			break;

		case CANO_CHILD_STARTED:
			if (from->kind == CANO_KIND_CHILD)
				return wait_here(model, position, CANO_WAIT_CHILD);
			break;

		case CANO_CHILD_ENDED:
			if (from->kind == CANO_KIND_CHILD)
				return child_ended(model, position, event);
			break;

		case CANO_SAID_FAILED:
			return end(position->state, CANO_FAILED, CANO_FAULT_VERDICT,
					   CANO_CAT_TASK_EXECUTION);

		case CANO_SAID_CANCELLED:
			return end(position->state, CANO_CANCELLED, CANO_FAULT_VERDICT,
					   CANO_CAT_CANCELLED);

		case CANO_CALLED_OFF:
			return end(position->state, CANO_CANCELLED, CANO_FAULT_CALLED_OFF,
					   CANO_CAT_CANCELLED);

		case CANO_OUT_OF_TIME:
			return end(position->state, CANO_FAILED, CANO_FAULT_OUT_OF_TIME,
					   CANO_CAT_WORKFLOW_TIMEOUT);

		case CANO_HELD_BACK:
			return held_back(position, event);

		case CANO_ATTEMPT_FAILED:
			return failed(from, position, event);

		case CANO_CRASHED:
			return crashed(position, event);
	}
	return refuse(position->state, CANO_FAULT_WRONG_OUTCOME);
}

/*
 * A state that was not to be interrupted is over, and the run is to end: it
 * goes no further.  Of several reasons the task's own cancellation counts,
 * then that from outside, then any other end of the run.
 */
static void
stop_here(const CanoPosition *position, const CanoEvent *event,
		  CanoDecision *decision)
{
	bool		goes_on = decision->verb != CANO_END ||
		decision->ending == CANO_COMPLETED;
	CanoDecision stop;

	if (event->called_off && event->what != CANO_SAID_CANCELLED)
		stop = end(position->state, CANO_CANCELLED, CANO_FAULT_CALLED_OFF,
				   CANO_CAT_CANCELLED);
	else if (event->out_of_time && goes_on)
		stop = end(position->state, CANO_FAILED, CANO_FAULT_OUT_OF_TIME,
				   CANO_CAT_WORKFLOW_TIMEOUT);
	else
		return;
	stop.keep = decision->keep;
	stop.failed_attempt = decision->failed_attempt;
	stop.completed = decision->completed;
	stop.cursor = decision->cursor;
	*decision = stop;
}

CanoRollback
cano_fsm_rolled_back(int undone, int errors)
{
	if (errors > 0)
		return CANO_ROLLBACK_PARTIAL;
	return undone > 0 ? CANO_ROLLBACK_CLEAN : CANO_ROLLBACK_NONE;
}

CanoDecision
cano_fsm_decide_part(const CanoState *part, const CanoPosition *position,
					 const CanoEvent *event)
{
	CanoDecision decision;

	switch (event->what)
	{
		case CANO_SAID_NEXT:
			return end(position->state, CANO_COMPLETED, CANO_FAULT_NONE, 0);

		case CANO_SAID_FAILED:
			return end(position->state, CANO_FAILED, CANO_FAULT_VERDICT,
					   CANO_CAT_TASK_EXECUTION);

		case CANO_SAID_CANCELLED:
			return end(position->state, CANO_CANCELLED, CANO_FAULT_VERDICT,
					   CANO_CAT_CANCELLED);

		case CANO_HELD_BACK:
			decision = held_back(position, event);
			break;

		case CANO_ATTEMPT_FAILED:
			decision = failed(part, position, event);
			break;

		case CANO_CRASHED:
			decision = crashed(position, event);
			break;

		default:
			decision = refuse(position->state, CANO_FAULT_WRONG_OUTCOME);
			break;
	}

	/* An item's result is its last error as it is. */
	if (part->kind == CANO_KIND_BATCH && event->what == CANO_ATTEMPT_FAILED &&
		decision.verb == CANO_END)
	{
		decision.breaks = is_panic(event->sqlstate);
		if (decision.fault == CANO_FAULT_EXHAUSTED)
		{
			decision.fault = CANO_FAULT_TASK;
			decision.category = event->category;
		}
	}
	if (decision.verb != CANO_END)
		decision.duty = CANO_DUTY_PART;
	decision.dead = false;
	return decision;
}

CanoDecision
cano_fsm_decide_before(const CanoModel *model, const CanoState *call, int next,
					   const CanoPosition *position, const CanoEvent *event)
{
	CanoDecision decision;

	switch (event->what)
	{
		case CANO_SAID_NEXT:
			if (next == CANO_NO_CALL && !position->resumed)
				return enter(model, position->state, 0);
			decision = stay(position, 0, 0);
			decision.attempt = 1;
			decision.errors = next == CANO_NO_CALL ? 0 : next;
			decision.duty = next == CANO_NO_CALL ? CANO_DUTY_RESUME :
				CANO_DUTY_PREPARE;
			return decision;

		case CANO_ATTEMPT_FAILED:
			decision = failed(call, position, event);
			break;

		case CANO_SAID_FAILED:
		case CANO_SAID_CANCELLED:
		case CANO_CALLED_OFF:
		case CANO_OUT_OF_TIME:
		case CANO_CRASHED:
			decision = cano_fsm_decide(model, position, event);
			break;

		default:
			decision = refuse(position->state, CANO_FAULT_WRONG_OUTCOME);
			break;
	}
	decision.errors = position->errors;
	decision.duty = CANO_DUTY_PREPARE;
	decision.rolls_back = rolls_back(model, &decision);
	return decision;
}

CanoDecision
cano_fsm_decide_after(const CanoState *call, int next,
					  const CanoPosition *position, const CanoEvent *event)
{
	CanoDecision decision = cano_fsm_decide_part(call, position, event);

	decision.duty = CANO_DUTY_AFTER;
	decision.errors = position->errors;
	if (decision.verb == CANO_END && next != CANO_NO_CALL)
	{
		decision.verb = CANO_GO;
		decision.attempt = 1;
		decision.errors = next;
	}
	return decision;
}

/*
 * Go to a state, now or later.
 */
static CanoDecision
enter(const CanoModel *model, int target, int64_t delay_us)
{
	const CanoState *state = &model->states[target];
	CanoDecision decision = {
		.verb = CANO_GO,
		.state = target,
		.moved = true,
		.entered = cano_fsm_leaves_row(state),
		.keep = true,
		.duty = CANO_DUTY_ENTER,
		.attempt = 1
	};

	if (delay_us > 0)
	{
		decision.verb = CANO_WAIT;
		decision.waiting = CANO_WAIT_TIMER;
		decision.delay_us = delay_us;
	}
	else if (state->kind == CANO_KIND_EXIT)
	{
		decision.verb = CANO_END;
		decision.ending = state->ending;
		if (state->ending != CANO_COMPLETED)
		{
			decision.fault = CANO_FAULT_EXIT;
			decision.category = CANO_CAT_WORKFLOW;
		}
	}
	else
		begin_wait(state, &decision);
	return decision;
}

/*
 * A state that calls nothing itself waits from the beginning.
 */
static void
begin_wait(const CanoState *state, CanoDecision *decision)
{
	switch (state->kind)
	{
		case CANO_KIND_RECEIVE:
			decision->waiting = CANO_WAIT_SIGNAL;
			break;
		case CANO_KIND_TIMER:
			if (state->calls)
				return;
			decision->waiting = CANO_WAIT_TIMER;
			break;
		case CANO_KIND_EXTERNAL:
			decision->waiting = CANO_WAIT_EXTERNAL;
			break;
		case CANO_KIND_SPLIT:
			if (state->nparts == 0)
			{
				decision->duty = CANO_DUTY_JOIN;
				return;
			}
			decision->waiting = CANO_WAIT_BRANCHES;
			decision->fans_out = true;
			break;
		default:
			return;
	}
	decision->verb = CANO_WAIT;
	decision->duty = CANO_DUTY_WAKE;
	decision->own_time = true;
}

/*
 * The present state begins to wait, until a time of its own.
 */
static CanoDecision
wait_here(const CanoModel *model, const CanoPosition *position,
		  CanoWaiting waiting)
{
	CanoDecision decision = enter(model, position->state, 0);

	decision.verb = CANO_WAIT;
	decision.duty = CANO_DUTY_WAKE;
	decision.waiting = waiting;
	decision.own_time = true;
	decision.moved = false;
	decision.entered = false;
	decision.attempt = position->attempt;
	return decision;
}

/*
 * Call the same state again, now or later.
 */
static CanoDecision
stay(const CanoPosition *position, int64_t delay_us, CanoWaiting waiting)
{
	CanoDecision decision = {
		.verb = delay_us > 0 ? CANO_WAIT : CANO_GO,
		.state = position->state,
		.keep = true,
		.duty = CANO_DUTY_ENTER,
		.attempt = position->attempt,
		.waiting = waiting,
		.delay_us = delay_us
	};

	return decision;
}

/*
 * A task says where to go.
 */
static CanoDecision
follow(const CanoModel *model, const CanoState *from, const CanoEvent *event)
{
	int			here = (int) (from - model->states);
	int			target = from->next;

	if (event->target != NULL)
	{
		target = cano_fsm_state(model, event->target);
		if (target == CANO_NO_STATE)
			return refuse(here, CANO_FAULT_UNKNOWN_STATE);
		if (!is_target(from, target))
			return refuse(here, CANO_FAULT_NOT_A_TARGET);
	}
	else if (target == CANO_NO_STATE)
		return refuse(here, CANO_FAULT_NO_NEXT);

	return enter(model, target, event->delay_us);
}

/*
 * The time that a state gave itself is over.
 */
static CanoDecision
woken(const CanoModel *model, const CanoPosition *position)
{
	const CanoState *from = &model->states[position->state];

	if (from->kind == CANO_KIND_TIMER)
		return enter(model, from->next, 0);
	if (from->kind != CANO_KIND_RECEIVE)
		return refuse(position->state, CANO_FAULT_WRONG_OUTCOME);
	if (from->on_timeout != CANO_NO_STATE)
		return enter(model, from->on_timeout, 0);
	return end(position->state, CANO_FAILED, CANO_FAULT_NO_SIGNAL,
			   CANO_CAT_TIMEOUT);
}

static CanoDecision
said_items(const CanoModel *model, const CanoPosition *position,
		   const CanoEvent *event)
{
	CanoDecision decision = wait_here(model, position, CANO_WAIT_ITEMS);

	decision.fans_out = event->items > 0;
	if (!decision.fans_out)
	{
		decision.verb = CANO_GO;
		decision.duty = CANO_DUTY_JOIN;
		decision.own_time = false;
	}
	return decision;
}

/*
 * The branches of a split or, if nothing is called to finish them, the items
 * of a batch are done with.
 */
static CanoDecision
joined(const CanoModel *model, const CanoPosition *position,
	   const CanoEvent *event)
{
	const CanoState *from = &model->states[position->state];

	if (cano_join_judge(&from->join, &event->tally) != CANO_JOIN_MET)
		return end(position->state, CANO_FAILED, CANO_FAULT_JOIN,
				   CANO_CAT_WORKFLOW);
	if (from->next == CANO_NO_STATE)
		return refuse(position->state, CANO_FAULT_NO_NEXT);
	return enter(model, from->next, 0);
}

static CanoDecision
child_ended(const CanoModel *model, const CanoPosition *position,
			const CanoEvent *event)
{
	const CanoState *from = &model->states[position->state];

	if (event->child == CANO_COMPLETED)
		return enter(model, from->next, 0);
	if (from->on_failure != CANO_NO_STATE)
		return enter(model, from->on_failure, 0);
	return end(position->state, CANO_FAILED, CANO_FAULT_CHILD, event->category);
}

/*
 * An attempt raised an error: another one, or the end.
 */
static CanoDecision
failed(const CanoState *state, const CanoPosition *position,
	   const CanoEvent *event)
{
	int			max_attempts = cano_fsm_max_attempts(state, position);
	CanoRetry	retry = state->retry;
	CanoDecision decision;

	if (strcmp(event->sqlstate, "CN900") == 0 ||
		is_fatal(state, event->sqlstate))
		decision = end(position->state, CANO_FAILED, CANO_FAULT_TASK,
					   CANO_CAT_PERMANENT);
	else if (is_panic(event->sqlstate) ||
			 event->category == CANO_CAT_MISSING_ARGUMENT ||
			 event->category == CANO_CAT_CIRCUIT_OPEN ||
			 event->category == CANO_CAT_WORKFLOW)
		decision = end(position->state, CANO_FAILED, CANO_FAULT_TASK,
					   event->category);
	else if (state->kind == CANO_KIND_POLL &&
			 event->category != CANO_CAT_TIMEOUT &&
			 position->errors < state->max_errors)
	{
		/* Forgiven: ask again at once. */
		decision = stay(position, 0, CANO_WAIT_POLL);
		decision.errors = position->errors + 1;
	}
	else if (max_attempts <= 1)
		decision = end(position->state, CANO_FAILED, CANO_FAULT_TASK,
					   event->category);
	else if (position->attempt >= max_attempts)
		decision = end(position->state, CANO_FAILED, CANO_FAULT_EXHAUSTED,
					   CANO_CAT_RETRY_EXHAUSTED);
	else
	{
		/* A run's own limit may ask for retries where the state has none. */
		if (retry.policy == CANO_RETRY_NONE)
			retry = cano_retry_default(max_attempts - 1);

		decision = stay(position,
						1000 * cano_retry_delay_ms(&retry, position->attempt - 1,
												   position->random),
						CANO_WAIT_RETRY);
		decision.attempt = position->attempt + 1;
	}
	decision.keep = false;
	decision.failed_attempt = true;
	decision.dead = decision.verb == CANO_END;
	return decision;
}

/*
 * The attempt has not begun; it is made later.
 */
static CanoDecision
held_back(const CanoPosition *position, const CanoEvent *event)
{
	CanoDecision decision = stay(position, event->delay_us, CANO_WAIT_TIMER);

	decision.keep = false;
	decision.errors = position->errors;
	return decision;
}

/*
 * A job that took its session or the server with it runs again without
 * consuming an attempt, until it has done so too often.
 */
static CanoDecision
crashed(const CanoPosition *position, const CanoEvent *event)
{
	CanoDecision decision;

	if (event->crashes < position->max_crashes)
	{
		CanoDecision again = {
			.verb = CANO_GO,
			.state = position->state,
			.duty = CANO_DUTY_ENTER,
			.attempt = position->attempt,
			.errors = position->errors
		};

		return again;
	}
	decision = end(position->state, CANO_FAILED, CANO_FAULT_POISONED,
				   CANO_CAT_POISONED);
	decision.keep = false;
	decision.dead = true;
	return decision;
}

/*
 * An outcome that is not allowed: the attempt is undone and the run fails.
 */
static CanoDecision
refuse(int state, CanoFault fault)
{
	CanoDecision decision = end(state, CANO_FAILED, fault, CANO_CAT_WORKFLOW);

	decision.keep = false;
	decision.failed_attempt = true;
	decision.dead = true;
	return decision;
}

static CanoDecision
end(int state, CanoEnding ending, CanoFault fault, CanoCategory category)
{
	CanoDecision decision = {
		.verb = CANO_END,
		.state = state,
		.keep = true,
		.ending = ending,
		.fault = fault,
		.category = category
	};

	return decision;
}

int
cano_fsm_state(const CanoModel *model, const char *name)
{
	for (int i = 0; i < model->nstates; i++)
		if (strcmp(model->states[i].name, name) == 0)
			return i;
	return CANO_NO_STATE;
}

bool
cano_fsm_leaves_row(const CanoState *state)
{
	return state->kind != CANO_KIND_ROUTER;
}

int
cano_fsm_max_attempts(const CanoState *state, const CanoPosition *position)
{
	const CanoRetry *retry = &state->retry;

	if (position->max_attempts > 0)
		return position->max_attempts;
	if (retry->policy == CANO_RETRY_NONE)
		return 1;
	return retry->retries < INT32_MAX ? retry->retries + 1 : INT32_MAX;
}

static bool
is_fatal(const CanoState *state, const char *sqlstate)
{
	for (int i = 0; i < state->nfatal; i++)
		if (strncmp(sqlstate, state->fatal_on[i],
					strlen(state->fatal_on[i])) == 0)
			return true;
	return false;
}

/* Internal errors and failed assertions say that the task itself is broken. */
static bool
is_panic(const char *sqlstate)
{
	return strncmp(sqlstate, "XX", 2) == 0 || strcmp(sqlstate, "P0004") == 0;
}

static bool
is_target(const CanoState *from, int target)
{
	if (from->anywhere || target == from->next)
		return true;
	for (int i = 0; i < from->ntargets; i++)
		if (from->targets[i] == target)
			return true;
	return false;
}
