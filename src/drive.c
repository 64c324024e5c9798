/*-------------------------------------------------------------------------
 *
 * drive.c
 *	  Drive claimed jobs on, as far as their transaction may go.
 *
 * A run whose next state is ready is driven on in memory, and so is a lane to
 * the next branch or item; only what is left at the end becomes a row.  Steps
 * share a transaction while nobody can tell: while the work of earlier steps
 * is held, no task is started that may take long, and one that would wait for
 * a lock is undone, the transaction committed, and the task run again with
 * nothing held.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "blame.h"
#include "child.h"
#include "debug.h"
#include "drain.h"
#include "drive.h"
#include "error.h"
#include "event.h"
#include "external.h"
#include "fan.h"
#include "fault.h"
#include "gate.h"
#include "guc.h"
#include "hook.h"
#include "pace.h"
#include "shmem.h"
#include "step.h"
#include "stop.h"
#include "store_signal.h"
#include "window.h"

/* A fan so wide is enough for one transaction. */
#define WIDE	64

/* How soon a lane looks again for what others have in hand ... */
#define LOOK_AGAIN_MS	200

/* ... having no branch of its own meanwhile. */
#define NO_ATTEMPT		0

static bool look(CanoDrive *drive, CanoRun *run);
static void load(CanoDrive *drive, CanoRun *run);
static void drive_run(CanoDrive *drive, CanoRun *run);
static void drive_lane(CanoDrive *drive, CanoRun *lane);
static void drive_drain(CanoDrive *drive, CanoRun *run);
static bool is_cancelled(CanoDrive *drive, CanoRun *lane);
static bool next_branch(CanoDrive *drive, CanoRun *lane);
static bool take_step(CanoDrive *drive, CanoRun *run, CanoStep *step);
static bool woken_early(CanoDrive *drive, CanoRun *run);
static bool close_fan(CanoDrive *drive, CanoRun *run);
static bool resume(CanoDrive *drive, CanoRun *run);
static bool receive(CanoDrive *drive, CanoRun *run);
static void put_back(CanoDrive *drive, CanoRun *run);
static bool must_stop(CanoDrive *drive, const CanoRun *run);
static void record_attempt(CanoDrive *drive, CanoRun *run, const CanoStep *step);
static bool follow(CanoDrive *drive, CanoRun *run, const CanoStep *step);
static bool follow_after(CanoDrive *drive, CanoRun *run, const CanoStep *step);
static bool follow_branch(CanoDrive *drive, CanoRun *lane, const CanoStep *step);
static bool follow_undo(CanoDrive *drive, CanoRun *run, const CanoStep *step);
static void wait(CanoDrive *drive, CanoRun *run, const CanoStep *step);
static void enter_state(CanoDrive *drive, CanoRun *run, const CanoStep *step);
static TimestampTz due_at(const CanoDrive *drive, const CanoRun *run,
						  const CanoStep *step);
static TimestampTz own_time(const CanoDrive *drive, const CanoRun *run,
							const CanoStep *step);
static void end_run(CanoDrive *drive, CanoRun *run, const CanoStep *step);
static void settle_end(CanoDrive *drive, CanoRun *run, const CanoRunEnd *end);
static bool is_foreign(const CanoRun *run);

void
cano_drive(CanoDrive *drive, CanoRun *run)
{
	drive->settlement.now = cano_now();
	if (look(drive, run) || (run->ended && run->duty != CANO_DUTY_AFTER))
	{
		drive->steps++;
		return;
	}
	if (is_foreign(run))
	{
		cano_settle_timer(&drive->settlement, run, DT_NOEND, CANO_WAIT_ORIGIN);
		return;
	}
	load(drive, run);
	if (run->branch != CANO_NO_BRANCH)
		drive_lane(drive, run);
	else if (run->duty == CANO_DUTY_UNDO)
		drive_drain(drive, run);
	else
		drive_run(drive, run);
}

/*
 * Jobs that only ask for a look at their run, which the settling gives it.
 */
static bool
look(CanoDrive *drive, CanoRun *run)
{
	switch (run->duty)
	{
		case CANO_DUTY_NOTICE:
			cano_settle_listener(&drive->settlement, run->id);
			return true;
		case CANO_DUTY_STOP:
		case CANO_DUTY_DEADLINE:
			cano_stop_settle(&drive->settlement, run);
			return true;
		case CANO_DUTY_LEASE:
			cano_external_settle_lease(&drive->settlement, run);
			return true;
		default:
			return false;
	}
}

/*
 * The runs of a copy (a restored dump, a subscriber) wait for somebody to
 * adopt them: the original may still be running them.
 */
static bool
is_foreign(const CanoRun *run)
{
	return run->origin != (int64) GetSystemIdentifier();
}

static void
load(CanoDrive *drive, CanoRun *run)
{
	if (run->duty == CANO_DUTY_AFTER)
		run->definition_id = cano_hook_definition(run);
	run->definition = cano_definition_get(run->definition_id);
	MemoryContextSwitchTo(drive->context);
	if (run->duty == CANO_DUTY_UNDO)
		return;					/* its state may be another version's */
	run->state = cano_fsm_state(&run->definition->model, run->state_name);
	if (run->state == CANO_NO_STATE)
		elog(ERROR, "run " INT64_FORMAT " is in state \"%s\", which does not exist",
			 run->id, run->state_name);
	if (run->fan != NULL)
	{
		run->fan->join = &run->definition->model.states[run->state].join;
		run->fan->priority = run->priority;
	}
}

/*
 * Drive a run on until it ends, waits, or this transaction has had enough.
 */
static void
drive_run(CanoDrive *drive, CanoRun *run)
{
	CanoStep	step;

	if (woken_early(drive, run) || close_fan(drive, run))
	{
		drive->steps++;
		return;
	}
	for (;;)
	{
		if (must_stop(drive, run))
		{
			put_back(drive, run);
			return;
		}
		if (!cano_gate_enter(&drive->settlement, run) ||
			!resume(drive, run) || !receive(drive, run))
		{
			drive->steps++;
			if (run->resumed)
				cano_event_first(drive, run, drive->settlement.now);
			return;
		}
		if (run->duty == CANO_DUTY_CHILD)
			cano_child_load(run, drive->context);

		if (!take_step(drive, run, &step) || !follow(drive, run, &step))
			return;
	}
}

/*
 * The same with a lane, from branch to branch.
 */
static void
drive_lane(CanoDrive *drive, CanoRun *lane)
{
	CanoStep	step;

	for (;;)
	{
		if (is_cancelled(drive, lane))
			return;
		if (lane->attempt == NO_ATTEMPT && !next_branch(drive, lane))
		{
			drive->steps++;
			return;
		}
		if (must_stop(drive, lane))
		{
			put_back(drive, lane);
			return;
		}
		if (!take_step(drive, lane, &step))
			return;
		if (!follow_branch(drive, lane, &step))
			return;
	}
}

/*
 * The same with a rollback, from entry to entry of the stack.
 */
static void
drive_drain(CanoDrive *drive, CanoRun *run)
{
	CanoStep	step;
	CanoRunEnd	end;

	cano_drain_load(run, drive->context);
	while (cano_drain_next(run, drive->settlement.now, drive->context))
	{
		if (must_stop(drive, run))
		{
			put_back(drive, run);
			return;
		}
		if (!take_step(drive, run, &step) || !follow_undo(drive, run, &step))
			return;
	}
	drive->steps++;
	run->definition = cano_definition_get(run->definition_id);
	MemoryContextSwitchTo(drive->context);
	cano_drain_end(&drive->settlement, run, &end);
	settle_end(drive, run, &end);
}

/*
 * Is there no more to be done for this lane's fan?  Then the lane ends, and
 * the run itself is told by somebody else: who closed the fan, or asked the
 * run to stop.
 */
static bool
is_cancelled(CanoDrive *drive, CanoRun *lane)
{
	TimestampTz now = cano_now();

	if (lane->fan->closed == CANO_OPEN && !lane->fan->over &&
		!lane->stop && now < cano_run_deadline(lane))
	{
		if (now < lane->fan->due_at)
			return false;
		cano_fan_close(lane->fan, CANO_CLOSED_TIMEOUT);
	}
	drive->steps++;
	cano_settle_job_end(&drive->settlement, lane);
	return true;
}

/*
 * One step of whatever is at hand.  False if it was undone, and dealt with.
 */
static bool
take_step(CanoDrive *drive, CanoRun *run, CanoStep *step)
{
	run->shares = drive->steps > 0 || drive->nruns > 1;
	if (drive->steps == 0)
		drive->first = cano_blame_visit(run);
	(void) cano_stop_asked_by_itself();
	cano_step_run(run, drive->steps > 0, cano_blame_take(run), step);
	MemoryContextSwitchTo(drive->context);
	drive->settlement.now = step->ended_at;
	if (step->fan_late)
	{
		cano_fan_close(run->fan, CANO_CLOSED_TIMEOUT);
		drive->steps++;
		return false;
	}
	if (step->interrupted || step->separate)
	{
		drive->stop = true;
		put_back(drive, run);
		if (step->separate)
		{
			drive->slow = true;
			cano_blame_separate(run);
		}
		return false;
	}

	drive->steps++;
	drive->stop |= step->last;
	if (step->held_back)
	{
		run->since = step->turn.turn;
		return true;
	}
	if (step->token.taken)
		run->since = DT_NOBEGIN;
	drive->all_async &= run->definition->async;
	if (run->resumed || run->started_at == DT_NOBEGIN)
		cano_event_first(drive, run, step->started_at);
	if (run->started_at == DT_NOBEGIN)
		run->started_at = step->started_at;
	run->resumed = false;
	cano_pace_note(run, (step->ended_at - step->started_at) / 1000.0);
	if (step->drain_late)
		return true;
	if (step->decision.fault == CANO_FAULT_CALLED_OFF && !run->stop)
	{
		cano_stop_load(run, drive->context);
		MemoryContextSwitchTo(drive->context);
	}
	if (step->decision.failed_attempt)
		record_attempt(drive, run, step);
	else if (cano_stop_asked_by_itself() && !cano_run_is_part(run))
	{
		/* It goes no further: the next claim finds the request. */
		if (cano_run_aside(run) != NULL)
		{
			drive->stop = true;
			return true;
		}
		cano_event_called_off(drive, run, step);
		run->since = step->started_at;
		put_back(drive, run);
		return false;
	}
	return true;
}

/*
 * Who waits for others and is woken before its time (by an adoption, say)
 * goes on waiting.
 */
static bool
woken_early(CanoDrive *drive, CanoRun *run)
{
	const CanoState *state = cano_run_state(run);
	TimestampTz due = DT_NOEND;
	CanoWaiting waiting;

	if (run->duty != CANO_DUTY_WAKE || run->stop ||
		drive->settlement.now >= cano_run_deadline(run))
		return false;
	if (run->fan != NULL)
	{
		if (run->fan->closed != CANO_OPEN)
			return false;
		due = run->fan->due_at;
		/* Should it be closed by now, the settling finds out. */
		run->fan->touched = true;
		waiting = state->kind == CANO_KIND_SPLIT ? CANO_WAIT_BRANCHES :
			CANO_WAIT_ITEMS;
	}
	else if (state->kind == CANO_KIND_CHILD)
		waiting = CANO_WAIT_CHILD;
	else
		return false;
	if (drive->settlement.now >= due)
		return false;
	cano_settle_timer(&drive->settlement, run, due, waiting);
	cano_settle_listener(&drive->settlement, run->id);
	return true;
}

/*
 * The holder of a fan is woken by the fan's timeout, or because the fan is
 * closed.  True if it must look again when the closing is settled.
 */
static bool
close_fan(CanoDrive *drive, CanoRun *run)
{
	if (run->duty != CANO_DUTY_WAKE || run->fan == NULL || run->stop ||
		drive->settlement.now >= cano_run_deadline(run))
		return false;
	run->duty = CANO_DUTY_JOIN;
	if (run->fan->closed != CANO_OPEN)
		return false;
	cano_fan_close(run->fan, CANO_CLOSED_TIMEOUT);
	put_back(drive, run);
	return true;
}

/*
 * A run that goes on after its end enters its state as any other does, unless
 * it keeps what its branches or items have done.  False if it waits for the
 * others of them.
 */
static bool
resume(CanoDrive *drive, CanoRun *run)
{
	int64		timeout = cano_run_extra(run)->timeout_ms;
	TimestampTz now = drive->settlement.now;
	TimestampTz due = timeout > 0 ? TimestampTzPlusMilliseconds(now, timeout) :
		DT_NOEND;
	CanoPlace	first;

	if (run->duty != CANO_DUTY_RESUME)
		return true;
	run->resumed = true;
	run->duty = CANO_DUTY_ENTER;
	if (run->fan == NULL)
		return true;
	run->duty = CANO_DUTY_WAKE;
	if (cano_run_state(run)->kind == CANO_KIND_BATCH)
		run->since = now;
	first = cano_fan_reopen(&drive->settlement, run, due);
	if (cano_place_before(first, CANO_NO_PLACE))
	{
		drive->stop |= run->fan->tally.total > WIDE;
		cano_wake_at_commit(drive->settlement.owner, now, first);
		cano_wake_at_commit(drive->settlement.owner, due, CANO_NO_PLACE);
		return false;
	}
	run->duty = CANO_DUTY_JOIN;
	return true;
}

/*
 * Take the signal or the answer that the run waited for.  False if it waits
 * again.
 */
static bool
receive(CanoDrive *drive, CanoRun *run)
{
	CanoWindow	window;

	if (cano_run_state(run)->kind == CANO_KIND_EXTERNAL)
		return run->duty == CANO_DUTY_ENTER ||
			cano_external_receive(&drive->settlement, run, drive->context);
	if (run->duty != CANO_DUTY_SIGNAL)
		return true;
	cano_window_open(&window);
	if (!cano_store_take_signal(run->id, cano_run_extra(run)->signal,
								drive->context, &run->signal))
		run->duty = CANO_DUTY_ENTER;
	cano_window_close(&window);
	MemoryContextSwitchTo(drive->context);
	return true;
}

/*
 * Leave the rest to another transaction.
 */
static void
put_back(CanoDrive *drive, CanoRun *run)
{
	CanoPlace	place = {run->priority, run->job};

	drive->put_back++;
	if (run->resumed)
		run->duty = CANO_DUTY_RESUME;
	cano_settle_job(&drive->settlement, run);
	if (run->branch != CANO_NO_BRANCH)
		cano_fan_mark(&drive->settlement, run);
	else if (run->drain != NULL)
		cano_drain_keep(&drive->settlement, run);
	cano_wake_at_commit(drive->settlement.owner, drive->settlement.now, place);
}

/*
 * Has the transaction had enough, or would this run's next task spoil it?
 */
static bool
must_stop(CanoDrive *drive, const CanoRun *run)
{
	if (drive->stop)
		return true;
	if (drive->steps == 0 && drive->nruns == 1)
		return false;			/* whatever it is, it runs alone */

	if ((drive->steps > 0 && drive->one_by_one) ||
		drive->steps >= cano_batch_steps ||
		(drive->max_steps > 0 && drive->steps >= drive->max_steps) ||
		cano_drive_elapsed_ms(drive->started) >= cano_batch_time)
		drive->stop = true;
	else if (cano_pace_may_exceed(run, cano_batch_time) || run->careful ||
			 cano_blame_is_separate(run))
		drive->stop = drive->slow = true;
	return drive->stop;
}

static void
record_attempt(CanoDrive *drive, CanoRun *run, const CanoStep *step)
{
	const CanoFunctionName *function = cano_run_function(run);
	CanoAttempt attempt = {
		.state = run->state_name,
		.task = function ? function->name : NULL,
		.branch = run->branch,
		.attempt = run->attempt,
		.started_at = step->started_at,
		.ended_at = step->ended_at,
		.error = cano_fault_attempt(run, step)
	};

	cano_settle_attempt(&drive->settlement, run, &attempt);
}

/*
 * Do what the core decided.  True if the run is ready for another step.
 */
static bool
follow(CanoDrive *drive, CanoRun *run, const CanoStep *step)
{
	const CanoDecision *decision = &step->decision;

	if (run->duty == CANO_DUTY_AFTER)
		return follow_after(drive, run, step);
	if (decision->keep)
		run->data = step->data;
	cano_event_step(drive, run, step);
	if (decision->completed)
		cano_settle_completion(&drive->settlement, run, step->said.output);
	if (decision->cursor)
		cano_settle_cursor(&drive->settlement, run, step->said.cursor);
	if (decision->completed || decision->cursor)
		cano_event_checkpoint(drive, run);
	if (decision->verb == CANO_END)
	{
		end_run(drive, run, step);
		return false;
	}
	enter_state(drive, run, step);
	if (decision->entered)
		cano_settle_entry(&drive->settlement, run);
	cano_event_entered(drive, run, step);
	if (decision->verb == CANO_WAIT)
	{
		wait(drive, run, step);
		return false;
	}
	return true;
}

/*
 * The same for what is called after the end.  Nothing of it changes the run.
 */
static bool
follow_after(CanoDrive *drive, CanoRun *run, const CanoStep *step)
{
	const CanoDecision *decision = &step->decision;

	if (decision->fault != CANO_FAULT_NONE)
		cano_fault_log_given_up(run, step);
	if (decision->verb == CANO_END)
	{
		cano_settle_job_end(&drive->settlement, run);
		return false;
	}
	if (decision->errors != run->errors)
		cano_settle_part_end(&drive->settlement, run);
	enter_state(drive, run, step);
	if (decision->verb == CANO_WAIT)
		wait(drive, run, step);
	return decision->verb == CANO_GO;
}

/*
 * The same for a branch or item.  True if the lane is ready for another step,
 * of that or of the next one.
 */
static bool
follow_branch(CanoDrive *drive, CanoRun *lane, const CanoStep *step)
{
	const CanoDecision *decision = &step->decision;
	CanoPart	part = {
		.branch = lane->branch,
		.attempt = lane->attempt,
		.succeeded = decision->ending == CANO_COMPLETED,
		.output = step->said.output
	};

	cano_event_part(drive, lane, step);
	if (decision->verb != CANO_END)
	{
		lane->attempt = decision->attempt;
		if (decision->verb == CANO_GO)
			return true;
		wait(drive, lane, step);
		return false;
	}
	if (decision->ending == CANO_CANCELLED)
		part.closes = CANO_CLOSED_CANCELS;
	else if (decision->breaks)
		part.closes = CANO_CLOSED_PANIC;
	if (!part.succeeded)
	{
		part.error = cano_fault_end(lane, step);
		part.output = NULL;
	}
	cano_fan_ended(lane, &part);
	cano_settle_part_end(&drive->settlement, lane);
	return next_branch(drive, lane);
}

/*
 * The same for a compensation.  True if the rollback is ready for more.
 */
static bool
follow_undo(CanoDrive *drive, CanoRun *run, const CanoStep *step)
{
	const CanoDecision *decision = &step->decision;

	if (step->drain_late)
		return true;
	if (decision->verb == CANO_END)
		cano_drain_ended(&drive->settlement, run, decision->ending == CANO_COMPLETED ?
						 NULL : cano_fault_end(run, step));
	else
		run->attempt = decision->attempt;
	if (decision->verb != CANO_WAIT)
		return true;
	wait(drive, run, step);
	return false;
}

/*
 * Whoever crashed the server is careful for the rest of his way: an item a
 * transaction, so that it is known which one crashes.
 */
static bool
next_branch(CanoDrive *drive, CanoRun *lane)
{
	CanoNext	next = cano_fan_next(lane, drive->one_by_one || lane->careful,
									 drive->context);
	TimestampTz later = TimestampTzPlusMilliseconds(drive->settlement.now,
													LOOK_AGAIN_MS);

	MemoryContextSwitchTo(drive->context);
	lane->errors = 0;
	lane->attempt = next == CANO_NEXT_BRANCH ? 1 : NO_ATTEMPT;
	if (next == CANO_NEXT_LATER)
	{
		cano_settle_timer(&drive->settlement, lane, later, CANO_WAIT_RETRY);
		cano_wake_at_commit(drive->settlement.owner, later, CANO_NO_PLACE);
	}
	else if (next == CANO_NEXT_NONE)
		cano_settle_job_end(&drive->settlement, lane);
	return next == CANO_NEXT_BRANCH;
}

/*
 * Wait for a time, or for others.
 */
static void
wait(CanoDrive *drive, CanoRun *run, const CanoStep *step)
{
	TimestampTz due = due_at(drive, run, step);
	CanoPlace	place = CANO_NO_PLACE;

	cano_event_waits(drive, run, step);
	if (run->drain != NULL)
	{
		due = Min(due, run->drain->due_at);
		cano_drain_keep(&drive->settlement, run);
	}
	if (step->decision.fans_out)
	{
		place = cano_fan_open(&drive->settlement, run, due, step->said.nitems,
							  step->said.items);
		drive->stop |= run->fan->tally.total > WIDE;
		cano_wake_at_commit(drive->settlement.owner, drive->settlement.now,
							place);
	}
	else
		cano_settle_timer(&drive->settlement, run, due, step->decision.waiting);

	if (run->branch != CANO_NO_BRANCH)
		cano_fan_mark(&drive->settlement, run);
	else if (step->decision.waiting == CANO_WAIT_EXTERNAL)
		cano_external_offer(&drive->settlement, run);
	cano_wake_at_commit(drive->settlement.owner, due, CANO_NO_PLACE);
}

/*
 * What belongs to one visit of a state ends with the visit, what belongs to
 * one attempt with the attempt.
 */
static void
enter_state(CanoDrive *drive, CanoRun *run, const CanoStep *step)
{
	const CanoDecision *decision = &step->decision;
	bool		moved = decision->entered || decision->state != run->state;

	if (moved)
		run->cursor = NULL;
	else if (decision->cursor)
		run->cursor = step->said.cursor;
	if (moved || decision->attempt != run->attempt)
		run->since = DT_NOBEGIN;
	if (run->since == DT_NOBEGIN &&
		(decision->waiting == CANO_WAIT_POLL || decision->cursor ||
		 step->said.what == CANO_SAID_ITEMS))
		run->since = step->started_at;
	else if (decision->waiting == CANO_WAIT_EXTERNAL)
		run->since = drive->settlement.now;
	run->errors = decision->errors;
	run->state = decision->state;
	run->state_name = run->definition->model.states[decision->state].name;
	if (run->duty != CANO_DUTY_PREPARE)
		run->fan = NULL;
	run->duty = decision->duty;
	run->attempt = decision->attempt;
}

static TimestampTz
due_at(const CanoDrive *drive, const CanoRun *run, const CanoStep *step)
{
	int64		timeout = cano_run_extra(run)->timeout_ms;
	TimestampTz due = drive->settlement.now + step->decision.delay_us;

	if (step->decision.own_time)
		return own_time(drive, run, step);
	if (step->decision.waiting == CANO_WAIT_POLL && timeout > 0)
		due = Min(due, TimestampTzPlusMilliseconds(run->since, timeout));
	return due;
}

static TimestampTz
own_time(const CanoDrive *drive, const CanoRun *run, const CanoStep *step)
{
	const CanoStateExtra *extra = cano_run_extra(run);
	TimestampTz now = drive->settlement.now;

	if (step->said.what == CANO_SAID_UNTIL)
		return step->said.until;
	if (step->decision.waiting == CANO_WAIT_TIMER)
		return extra->delay == NULL ? extra->until :
			DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
													TimestampTzGetDatum(now),
													IntervalPGetDatum(extra->delay)));
	if (extra->timeout_ms == 0)
		return DT_NOEND;
	return TimestampTzPlusMilliseconds(run->since == DT_NOBEGIN ? now :
									   run->since, extra->timeout_ms);
}

static void
end_run(CanoDrive *drive, CanoRun *run, const CanoStep *step)
{
	const CanoDecision *decision = &step->decision;
	CanoRunEnd	end = {
		.ending = decision->ending,
		.state = run->definition->model.states[decision->state].name,
		.error = cano_fault_end(run, step),
		.dead = decision->dead
	};

	if (decision->fault == CANO_FAULT_CALLED_OFF)
		end.cancel_reason = run->stop_reason;
	else if (step->said.what == CANO_SAID_CANCELLED && step->said.reason)
		end.cancel_reason = cano_error_text(step->said.reason);
	cano_event_failed(drive, run, step, end.error);
	if (run->fan != NULL && run->fan->closed == CANO_OPEN)
		cano_fan_close(run->fan, CANO_CLOSED_STOPPED);
	if (cano_run_state(run)->kind == CANO_KIND_EXTERNAL && run->reply == NULL)
		cano_external_withdraw(&drive->settlement, run);
	if (decision->entered)
	{
		enter_state(drive, run, step);
		cano_settle_entry(&drive->settlement, run);
		cano_event_entered(drive, run, step);
	}
	cano_event_stopped(drive, run, step, end.cancel_reason);
	cano_stop_settle_end(&drive->settlement, run);
	if (decision->rolls_back)
		cano_drain_begin(&drive->settlement, run, &end);
	else
		settle_end(drive, run, &end);
}

/*
 * Every run comes past here once at every end of it.
 */
static void
settle_end(CanoDrive *drive, CanoRun *run, const CanoRunEnd *end)
{
	if (end->error != NULL)
		cano_fault_log_end(run, end->error);
	cano_event_ended(drive, run, end);
	cano_settle_end(&drive->settlement, run, end);
	cano_gate_leave(&drive->settlement, run);
	cano_hook_settle(&drive->settlement, run, end);
	if (run->parent != 0)
		cano_settle_listener(&drive->settlement, run->parent);
	cano_wake_waiters_at_commit(run->id);
}

double
cano_drive_elapsed_ms(instr_time since)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, since);
	return INSTR_TIME_GET_MILLISEC(now);
}
