/*-------------------------------------------------------------------------
 *
 * drive.c
 *	  Drive claimed jobs on, as far as their transaction may go.
 *
 * A run whose next state is ready is driven on in memory; only what is left at
 * the end becomes a row.  drive_parts.c does the same with lanes, to the next
 * branch or item, and with rollbacks.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "child.h"
#include "debug.h"
#include "drain.h"
#include "drive.h"
#include "drive_parts.h"
#include "error.h"
#include "event.h"
#include "external.h"
#include "fan.h"
#include "fault.h"
#include "gate.h"
#include "hook.h"
#include "origin.h"
#include "shmem.h"
#include "stop.h"
#include "store_signal.h"
#include "turn.h"
#include "window.h"

static bool look(CanoDrive *drive, CanoRun *run);
static bool is_late(CanoDrive *drive, CanoRun *run);
static void load(CanoDrive *drive, CanoRun *run);
static void drive_run(CanoDrive *drive, CanoRun *run);
static bool woken_early(CanoDrive *drive, CanoRun *run);
static bool close_fan(CanoDrive *drive, CanoRun *run);
static bool resume(CanoDrive *drive, CanoRun *run);
static bool receive(CanoDrive *drive, CanoRun *run);
static bool follow(CanoDrive *drive, CanoRun *run, const CanoStep *step);
static bool follow_after(CanoDrive *drive, CanoRun *run, const CanoStep *step);
static void enter_state(CanoDrive *drive, CanoRun *run, const CanoStep *step);
static void end_run(CanoDrive *drive, CanoRun *run, const CanoStep *step);
static bool is_foreign(const CanoRun *run);

void
cano_drive(CanoDrive *drive, CanoRun *run)
{
	drive->settlement.now = cano_now();
	if (run->definition_id == 0 || look(drive, run) ||
		(run->ended && run->duty != CANO_DUTY_AFTER))
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
		cano_drive_lane(drive, run);
	else if (run->duty != CANO_DUTY_UNDO)
		drive_run(drive, run);
	if (run->duty == CANO_DUTY_UNDO)
		cano_drive_drain(drive, run);
}

/*
 * Jobs that only ask for a look at their run, which the settling gives it.
 * What they were about may be of the run's time before it was resumed.
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
			if (run->stop || (!run->ended && is_late(drive, run)))
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
 * A run that was resumed since has another deadline, and must not be woken for
 * the one that it had.
 */
static bool
is_late(CanoDrive *drive, CanoRun *run)
{
	run->definition = cano_definition_get(run->definition_id);
	MemoryContextSwitchTo(drive->context);
	return drive->settlement.now >= cano_run_deadline(run);
}

/*
 * The runs of a copy (a restored dump, a subscriber) wait for somebody to
 * adopt them: the original may still be running them.
 */
static bool
is_foreign(const CanoRun *run)
{
	return run->origin != cano_origin();
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
		const CanoState *state = &run->definition->model.states[run->state];

		run->fan->items = state->kind == CANO_KIND_BATCH;
		run->fan->join = &state->join;
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
		if (run->duty != CANO_DUTY_AFTER && cano_drive_park(drive, run))
			return;
		if (cano_drive_must_stop(drive, run))
		{
			cano_drive_put_back(drive, run);
			return;
		}
		if (!cano_turn_enter(&drive->settlement, run) ||
			!cano_gate_enter(&drive->settlement, run) ||
			!resume(drive, run) || !receive(drive, run))
		{
			drive->steps++;
			if (run->resumed)
				cano_event_first(drive, run, drive->settlement.now);
			return;
		}
		if (run->duty == CANO_DUTY_CHILD)
			cano_child_load(run, drive->context);

		if (!cano_drive_take_step(drive, run, &step) || !follow(drive, run, &step))
			return;
	}
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
	cano_drive_put_back(drive, run);
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
		drive->stop |= run->fan->tally.total > CANO_WIDE_FAN;
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
	if (run->resumed)
		run->duty = CANO_DUTY_RESUME;	/* held back: it still has to begin */
	if (decision->entered)
		cano_settle_entry(&drive->settlement, run);
	cano_event_entered(drive, run, step);
	/* Out of time, it might not be woken any more: the next step ends it. */
	if (decision->verb == CANO_WAIT &&
		drive->settlement.now < cano_run_deadline(run))
	{
		cano_drive_wait(drive, run, step);
		return decision->fans_out && cano_drive_fan(drive, run);
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
		cano_drive_wait(drive, run, step);
	return decision->verb == CANO_GO;
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
		 decision->fans_out || decision->waiting == CANO_WAIT_CHILD ||
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
	if (!decision->rolls_back)
	{
		cano_drive_settle_end(drive, run, &end);
		return;
	}
	/* Of what has crashed it is to be known whether it was the rollback. */
	drive->stop |= run->careful;
	cano_drain_begin(&drive->settlement, run, &end);
}
