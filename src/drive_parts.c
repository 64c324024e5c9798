/*-------------------------------------------------------------------------
 *
 * drive_parts.c
 *	  Drive lanes from branch to branch, and rollbacks down the stack.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "debug.h"
#include "drain.h"
#include "drive_parts.h"
#include "event.h"
#include "fan.h"
#include "fault.h"
#include "join.h"
#include "pace.h"
#include "shmem.h"

/* How soon a lane looks again for what others have in hand ... */
#define LOOK_AGAIN_MS	200

/* ... having no branch of its own meanwhile. */
#define NO_ATTEMPT		0

static bool is_cancelled(CanoDrive *drive, CanoRun *lane);
static bool next_branch(CanoDrive *drive, CanoRun *lane);
static bool follow_branch(CanoDrive *drive, CanoRun *lane, const CanoStep *step);
static bool follow_undo(CanoDrive *drive, CanoRun *run, const CanoStep *step);

void
cano_drive_lane(CanoDrive *drive, CanoRun *lane)
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
		if (cano_drive_park(drive, lane))
			return;
		if (cano_drive_must_stop(drive, lane))
		{
			cano_drive_put_back(drive, lane);
			return;
		}
		if (!cano_drive_take_step(drive, lane, &step))
			return;
		if (!follow_branch(drive, lane, &step))
			return;
	}
}

/*
 * Branches begin in their order: behind one that may be slow none is begun
 * here, but left to whoever has time; and so are all where a quick one may
 * make up for a slow one.
 */
bool
cano_drive_fan(CanoDrive *drive, CanoRun *run)
{
	CanoFan    *fan = run->fan;
	int			put_back = drive->put_back;
	int			lanes = cano_fan_lanes(run);
	bool		slow = !cano_join_waits_for_all(fan->join);

	if (fan->opener == NULL)
		return false;			/* it is too wide */
	for (int i = 0; i < lanes && !fan->over; i++)
	{
		CanoRun		lane;

		cano_fan_lane(run, i, &lane);
		slow |= !cano_pace_is_steady(&lane);
		if (slow)
			cano_drive_put_back(drive, &lane);
		else
			cano_drive_lane(drive, &lane);
	}
	drive->put_back = put_back; /* lanes were not claimed */
	cano_fan_write(&drive->settlement, run);
	if (fan->closed == CANO_OPEN)
		return false;
	run->duty = CANO_DUTY_JOIN;
	return true;
}

void
cano_drive_drain(CanoDrive *drive, CanoRun *run)
{
	CanoStep	step;
	CanoRunEnd	end;
	bool		claimed = run->drain == NULL;

	if (claimed)
		cano_drain_load(run, drive->context);
	while (cano_drain_next(run, drive->settlement.now, drive->context))
	{
		if (cano_drive_must_stop(drive, run))
		{
			cano_drive_put_back(drive, run);
			return;
		}
		if (!cano_drive_take_step(drive, run, &step) || !follow_undo(drive, run, &step))
			return;
	}
	if (claimed)
		drive->steps++;
	run->definition = cano_definition_get(run->definition_id);
	MemoryContextSwitchTo(drive->context);
	cano_drain_end(&drive->settlement, run, &end);
	cano_drive_settle_end(drive, run, &end);
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
 * Others who have the rest in hand may be about to let go of it: look again
 * at once before waiting.
 */
static bool
next_branch(CanoDrive *drive, CanoRun *lane)
{
	CanoNext	next = cano_fan_next(lane, drive->context);
	TimestampTz later = TimestampTzPlusMilliseconds(drive->settlement.now,
													LOOK_AGAIN_MS);
	CanoPlace	place = {lane->priority, lane->job};
	bool		again = lane->attempt != NO_ATTEMPT;

	MemoryContextSwitchTo(drive->context);
	lane->errors = 0;
	lane->attempt = next == CANO_NEXT_BRANCH ? 1 : NO_ATTEMPT;
	if (next == CANO_NEXT_NONE)
		cano_settle_job_end(&drive->settlement, lane);
	else if (next == CANO_NEXT_LATER && again)
	{
		cano_settle_job(&drive->settlement, lane);
		cano_wake_at_commit(drive->settlement.owner, drive->settlement.now, place);
	}
	else if (next == CANO_NEXT_LATER)
	{
		cano_settle_timer(&drive->settlement, lane, later, CANO_WAIT_RETRY);
		cano_wake_at_commit(drive->settlement.owner, later, CANO_NO_PLACE);
	}
	return next == CANO_NEXT_BRANCH;
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
		cano_drive_wait(drive, lane, step);
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
	cano_drive_wait(drive, run, step);
	return false;
}
