/*-------------------------------------------------------------------------
 *
 * drive_step.c
 *	  One step of whatever is at hand, and what may come of it.
 *
 * Steps share a transaction while nobody can tell: while the work of earlier
 * steps is held, no task is started that may take long, and one that would
 * wait for a lock is undone, the transaction committed, and the task run again
 * with nothing held.  So is one that takes long all the same, if it may be
 * interrupted, so that neither the work of others stays uncommitted nor their
 * jobs claimed for long.  A task that is long now and then shares it with few: a
 * transaction takes on as much as is done in its time on average.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "pgstat.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "blame.h"
#include "drain.h"
#include "drive_step.h"
#include "event.h"
#include "external.h"
#include "fan.h"
#include "fault.h"
#include "gate.h"
#include "guc.h"
#include "hook.h"
#include "pace.h"
#include "pause.h"
#include "shmem.h"
#include "stop.h"
#include "tally.h"
#include "turn.h"
#include "txn.h"

static void show(const CanoDrive *drive, const CanoRun *run);
static void record_attempt(CanoDrive *drive, CanoRun *run, const CanoStep *step);
static double pace(const CanoStep *step);
static TimestampTz due_at(const CanoDrive *drive, const CanoRun *run,
						  const CanoStep *step);
static TimestampTz own_time(const CanoDrive *drive, const CanoRun *run,
							const CanoStep *step);

bool
cano_drive_take_step(CanoDrive *drive, CanoRun *run, CanoStep *step)
{
	run->shares = drive->steps > 0 || drive->nruns > 1;
	if (drive->steps == 0)
		drive->first = cano_blame_visit(run);
	(void) cano_stop_asked_by_itself();
	show(drive, run);
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
		cano_drive_put_back(drive, run);
		if (step->separate)
		{
			drive->slow = true;
			cano_blame_separate(run);
			if (step->outstayed)
				cano_pace_note(run, pace(step));
		}
		return false;
	}

	drive->steps++;
	drive->stop |= step->last;
	cano_tally_step(run, step);
	if (step->held_back)
	{
		run->since = step->turn.turn;
		return true;
	}
	if (step->token.taken)
		run->since = DT_NOBEGIN;
	drive->all_async &= run->definition->async;
	if (run->resumed || run->started_at == DT_NOBEGIN)
	{
		cano_tally_begin(run);
		cano_event_first(drive, run, step->started_at);
	}
	if (run->started_at == DT_NOBEGIN)
		run->started_at = step->started_at;
	run->resumed = false;
	if (!cano_blame_is_separate(run))	/* it may have waited for a lock */
		cano_pace_note(run, pace(step));
	if (step->drain_late)
		return true;
	if (step->decision.fault == CANO_FAULT_CALLED_OFF && !run->stop)
	{
		cano_stop_load(run, drive->context);
		MemoryContextSwitchTo(drive->context);
	}
	/* The others of its fan, at hand here, are not to begin. */
	if (run->branch != CANO_NO_BRANCH && run->fan->opener != NULL)
		drive->stop |= cano_stop_asked_by_itself();
	if (step->decision.failed_attempt)
		record_attempt(drive, run, step);
	else if (!cano_run_is_part(run) && cano_stop_asked_by_itself() &&
			 cano_stop_is_asked(run->id))
	{
		/* A state goes no further: the next claim finds the request. */
		if (cano_run_aside(run) != NULL)
		{
			drive->stop = true;
			return true;
		}
		cano_event_called_off(drive, run, step);
		if (cano_run_extra(run)->limiter == NULL)
			run->since = step->started_at;
		cano_drive_put_back(drive, run);
		return false;
	}
	return true;
}

bool
cano_drive_must_stop(CanoDrive *drive, const CanoRun *run)
{
	double		ms;

	if (drive->stop)
		return true;
	ms = cano_pace_ms(run);
	drive->pace_ms += ms;
	if (drive->steps == 0 && drive->nruns == 1)
		return false;			/* whatever it is, it runs alone */

	if ((drive->steps > 0 && drive->one_by_one) ||
		drive->steps >= cano_batch_steps ||
		(drive->max_steps > 0 && drive->steps >= drive->max_steps) ||
		cano_drive_elapsed_ms(drive->started) >= cano_batch_time ||
		cano_txn_is_wanted())
		drive->stop = true;
	else if (ms >= cano_batch_time || run->careful ||
			 cano_blame_is_separate(run))
		drive->stop = drive->slow = true;
	else if (drive->pace_ms >= cano_batch_time)
		drive->stop = true;
	return drive->stop;
}

void
cano_drive_put_back(CanoDrive *drive, CanoRun *run)
{
	CanoPlace	place = {run->priority, run->job};

	drive->put_back++;
	if (run->resumed)
		run->duty = CANO_DUTY_RESUME;
	cano_settle_job(&drive->settlement, run);
	if (run->branch != CANO_NO_BRANCH)
		cano_fan_mark(&drive->settlement, run);
	else if (run->drain != NULL)
		cano_settle_drain(&drive->settlement, run);
	cano_wake_at_commit(drive->settlement.owner, drive->settlement.now, place);
}

bool
cano_drive_park(CanoDrive *drive, CanoRun *run)
{
	if (!cano_pause_holds(run, drive->settlement.now))
		return false;
	if (run->resumed)
		run->duty = CANO_DUTY_RESUME;
	cano_settle_timer(&drive->settlement, run, DT_NOEND, CANO_WAIT_PAUSE);
	if (run->branch != CANO_NO_BRANCH)
		cano_fan_mark(&drive->settlement, run);
	drive->steps++;
	return true;
}

/*
 * In pg_stat_activity, of a worker.  To say it of every step would cost more
 * than quick steps do: it is said of the first of a transaction, which may be
 * long, and that there are others when they come.  cano.activity knows them
 * all.
 */
static void
show(const CanoDrive *drive, const CanoRun *run)
{
	if (cano_txn_is_session() || drive->steps > 1)
		return;
	if (drive->steps == 1)
		pgstat_report_activity(STATE_RUNNING, "cano: running what is due");
	else
		pgstat_report_activity(STATE_RUNNING,
							   psprintf("cano: run " INT64_FORMAT " %s/%s attempt %d",
										run->id, run->definition->workflow,
										run->state_name, run->attempt));
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

static double
pace(const CanoStep *step)
{
	return (double) (step->ended_at - step->started_at) / 1000;
}

void
cano_drive_wait(CanoDrive *drive, CanoRun *run, const CanoStep *step)
{
	TimestampTz due = due_at(drive, run, step);

	cano_event_waits(drive, run, step);
	if (run->drain != NULL)
	{
		due = Min(due, run->drain->due_at);
		cano_settle_drain(&drive->settlement, run);
	}
	if (step->decision.fans_out)
	{
		cano_fan_open(&drive->settlement, run, due, step->said.nitems,
					  step->said.items);
		drive->stop |= run->fan->tally.total > CANO_WIDE_FAN;
	}
	else
		cano_settle_timer(&drive->settlement, run, due, step->decision.waiting);

	if (run->branch != CANO_NO_BRANCH)
		cano_fan_mark(&drive->settlement, run);
	else if (step->decision.waiting == CANO_WAIT_EXTERNAL)
		cano_external_offer(&drive->settlement, run);
	cano_wake_at_commit(drive->settlement.owner, due, CANO_NO_PLACE);
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

void
cano_drive_settle_end(CanoDrive *drive, CanoRun *run, const CanoRunEnd *end)
{
	if (end->error != NULL)
		cano_fault_log_end(run, end);
	cano_event_ended(drive, run, end);
	cano_tally_end(&drive->settlement, run, end);
	cano_settle_end(&drive->settlement, run, end);
	cano_gate_leave(&drive->settlement, run);
	cano_turn_leave(&drive->settlement, run);
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
