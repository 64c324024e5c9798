/*-------------------------------------------------------------------------
 *
 * event.c
 *	  Events: what happened to runs, in its order, kept and told.
 *
 * An event is noted when the step that it belongs to is over: a step that is
 * undone has left none.  So the beginning of a task is told after the task,
 * in its place before everything that came of it.
 *
 * A run's own events have their numbers from here, one after the other.  The
 * first of a batch asks the table for the latest.  While branches are under
 * way, in other processes, too, all numbers of the run are left to the
 * settling.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "error.h"
#include "event.h"
#include "guc.h"
#include "json.h"
#include "observer.h"
#include "shmem.h"
#include "store_event.h"
#include "window.h"

/* Numbers of CanoRun.next_ordinal that are none. */
#define NOT_KNOWN	0
#define LEFT_TO_SETTLING	(-1)

static bool is_quiet(const CanoDrive *drive, const CanoRun *run);
static bool is_forward(const CanoRun *run);
static bool is_task(const CanoRun *run);
static bool begun(const CanoRun *run);
static bool called(const CanoRun *run, const CanoStep *step);
static void start(CanoDrive *drive, CanoRun *run, const CanoStep *step);
static void attempt_failed(CanoDrive *drive, CanoRun *run,
						   const CanoStep *step);
static void begin_again(CanoDrive *drive, CanoRun *run);
static void branches_ended(CanoDrive *drive, CanoRun *run);
static void start_branches(CanoDrive *drive, CanoRun *run);
static void entered(CanoDrive *drive, CanoRun *run, TimestampTz now);
static CanoRecord begin(const CanoDrive *drive, const CanoRun *run);
static void emit(CanoDrive *drive, CanoRun *run, CanoEventKind kind,
				 CanoRecord record);
static bool is_error(CanoEventKind kind);
static void note(CanoDrive *drive, CanoRun *run, bool keep,
				 CanoRecord *record);
static int64 number(CanoDrive *drive, CanoRun *run);
static void tell(CanoDrive *drive, const CanoRun *run,
				 const CanoRecord *record);
static const char *task_name(const CanoRun *run);
static Jsonb *error_detail(const CanoError *error);
static Jsonb *fault_detail(const Jsonb *error);

void
cano_event_begin(CanoDrive *drive)
{
	drive->observed = cano_observer_any(drive->settlement.owner);
	MemoryContextSwitchTo(drive->context);
}

/*
 * Nobody wants to know that all is well.
 */
static bool
is_quiet(const CanoDrive *drive, const CanoRun *run)
{
	return run->definition->log != CANO_LOG_ALL && !drive->observed;
}

/*
 * The rows of a resumed run end with the one that resuming it has added.
 */
void
cano_event_first(CanoDrive *drive, CanoRun *run, TimestampTz now)
{
	CanoRecord	record;

	if (run->branch != CANO_NO_BRANCH || !is_forward(run))
		return;
	if (run->sequence <= 0 && !run->resumed)
		run->next_ordinal = 1;
	if (is_quiet(drive, run))
		return;
	if (run->resumed)
	{
		record = begin(drive, run);
		record.recorded_at = now;
		record.sequence = run->sequence;
		if (cano_fsm_leaves_row(cano_run_state(run)))
			record.sequence--;
		emit(drive, run, CANO_EVENT_RESUME, record);
	}
	entered(drive, run, now);
	if (run->fan != NULL)
		begin_again(drive, run);
}

/*
 * A run that was resumed with the results of its branches or items.  Those of
 * branches are told again, so their beginning is, too.
 */
static void
begin_again(CanoDrive *drive, CanoRun *run)
{
	CanoRecord	record = begin(drive, run);

	if (!is_task(run))
	{
		start_branches(drive, run);
		return;
	}
	record.task = task_name(run);
	record.attempt = 1;
	emit(drive, run, CANO_EVENT_TASK_START, record);
}

void
cano_event_called_off(CanoDrive *drive, CanoRun *run, const CanoStep *step)
{
	if (!is_quiet(drive, run) && is_forward(run) && is_task(run))
		start(drive, run, step);
}

/*
 * On its way through the states, not back through its compensations.
 */
static bool
is_forward(const CanoRun *run)
{
	switch (run->duty)
	{
		case CANO_DUTY_ENTER:
		case CANO_DUTY_WAKE:
		case CANO_DUTY_SIGNAL:
		case CANO_DUTY_JOIN:
		case CANO_DUTY_CHILD:
			return true;
		default:
			return false;
	}
}

void
cano_event_step(CanoDrive *drive, CanoRun *run, const CanoStep *step)
{
	const CanoDecision *decision = &step->decision;
	CanoRecord	record;

	if (is_quiet(drive, run) && !decision->failed_attempt &&
		run->duty != CANO_DUTY_JOIN && run->duty != CANO_DUTY_CHILD)
		return;
	if (!is_forward(run) || step->held_back)
		return;
	if (run->duty == CANO_DUTY_JOIN && decision->fault != CANO_FAULT_CALLED_OFF &&
		decision->fault != CANO_FAULT_OUT_OF_TIME)
		branches_ended(drive, run);
	if (!is_task(run))
		return;
	start(drive, run, step);
	if (decision->failed_attempt)
		attempt_failed(drive, run, step);
	if (!decision->moved && !decision->completed)
		return;

	record = begin(drive, run);
	record.task = task_name(run);
	record.attempt = run->attempt;
	if (run->duty == CANO_DUTY_CHILD && run->child != CANO_COMPLETED)
	{
		record.detail = fault_detail(run->child_error);
		emit(drive, run, CANO_EVENT_TASK_FAILURE, record);
	}
	else
		emit(drive, run, CANO_EVENT_TASK_SUCCESS, record);
}

/*
 * Does the state do anything that can succeed or fail?  The branches of a
 * split do, but not the split.
 */
static bool
is_task(const CanoRun *run)
{
	const CanoState *state = &run->definition->model.states[run->state];

	switch (state->kind)
	{
		case CANO_KIND_SPLIT:
		case CANO_KIND_RECEIVE:
		case CANO_KIND_EXIT:
			return false;
		case CANO_KIND_TIMER:
			return state->calls;
		default:
			return true;
	}
}

/*
 * Had the visit's task been begun before this step?  Where a limiter has a say
 * in it, "since" may be the turn of one that has not.
 */
static bool
begun(const CanoRun *run)
{
	return run->attempt > 1 || run->duty != CANO_DUTY_ENTER ||
		(run->since != DT_NOBEGIN && cano_run_extra(run)->limiter == NULL);
}

/*
 * Was it this step's to begin it?  One that was stopped before has done
 * nothing.
 */
static bool
called(const CanoRun *run, const CanoStep *step)
{
	switch (step->decision.fault)
	{
		case CANO_FAULT_CALLED_OFF:
			return step->called_off;
		case CANO_FAULT_OUT_OF_TIME:
			return step->out_of_time ||
				step->started_at < cano_run_deadline(run);
		default:
			return true;
	}
}

/*
 * A client's work begins when it is offered.
 */
static void
start(CanoDrive *drive, CanoRun *run, const CanoStep *step)
{
	CanoRecord	record = begin(drive, run);

	if (cano_run_state(run)->kind == CANO_KIND_EXTERNAL ||
		begun(run) || !called(run, step))
		return;
	record.task = task_name(run);
	record.attempt = 1;
	record.recorded_at = step->started_at;
	emit(drive, run, CANO_EVENT_TASK_START, record);
}

static void
attempt_failed(CanoDrive *drive, CanoRun *run, const CanoStep *step)
{
	const CanoDecision *decision = &step->decision;
	CanoRecord	record = begin(drive, run);

	if (step->error == NULL)
		return;
	record.task = task_name(run);
	record.branch = run->branch;
	record.attempt = run->attempt;
	if (step->error->category == CANO_CAT_CIRCUIT_OPEN)
	{
		record.detail = error_detail(step->error);
		emit(drive, run, CANO_EVENT_CIRCUIT_OPEN, record);
	}

	/* What a poll forgives is no other attempt. */
	if (decision->verb != CANO_END && decision->attempt > run->attempt)
	{
		record.detail = error_detail(step->error);
		emit(drive, run, CANO_EVENT_RETRY, record);
	}
}

/*
 * Those that ended before the join was decided: first who succeeded, then who
 * failed.  Of a split whose time was over nobody is told.
 */
static void
branches_ended(CanoDrive *drive, CanoRun *run)
{
	const CanoState *state = &run->definition->model.states[run->state];
	const CanoStateExtra *extra = &run->definition->extra[run->state];
	const CanoFan *fan = run->fan;
	bool		quiet = is_quiet(drive, run);
	CanoEnded  *ended;
	CanoWindow	window;
	int			n;

	if (fan == NULL || state->kind != CANO_KIND_SPLIT ||
		(quiet && fan->tally.failed == 0) ||
		(fan->tally.timed_out &&
		 state->join.strategy != CANO_JOIN_PARTIAL_TIMEOUT))
		return;
	cano_window_open(&window);
	n = cano_store_ended(fan->id, !quiet, drive->context, &ended);
	cano_window_close(&window);
	MemoryContextSwitchTo(drive->context);

	for (int i = 0; i < n; i++)
	{
		CanoRecord	record = begin(drive, run);

		record.branch = ended[i].branch;
		record.attempt = ended[i].attempt;
		record.task = extra->parts[record.branch].run->name;
		if (!ended[i].succeeded)
			record.detail = fault_detail(ended[i].error);
		emit(drive, run, ended[i].succeeded ? CANO_EVENT_TASK_SUCCESS :
			 CANO_EVENT_TASK_FAILURE, record);
	}
}

void
cano_event_entered(CanoDrive *drive, CanoRun *run, const CanoStep *step)
{
	if (is_quiet(drive, run))
		return;
	if (step->decision.moved)
		entered(drive, run, drive->settlement.now);
}

static void
entered(CanoDrive *drive, CanoRun *run, TimestampTz now)
{
	CanoRecord	record = begin(drive, run);

	record.recorded_at = now;
	emit(drive, run, CANO_EVENT_STATE_ENTER, record);
	if (!cano_fsm_leaves_row(&run->definition->model.states[run->state]))
		return;
	record.sequence = run->sequence;
	emit(drive, run, CANO_EVENT_CHECKPOINT, record);
}

void
cano_event_checkpoint(CanoDrive *drive, CanoRun *run)
{
	CanoRecord	record;

	if (is_quiet(drive, run))
		return;
	record = begin(drive, run);
	record.sequence = run->sequence;
	emit(drive, run, CANO_EVENT_CHECKPOINT, record);
}

void
cano_event_waits(CanoDrive *drive, CanoRun *run, const CanoStep *step)
{
	CanoRecord	record;

	if (is_quiet(drive, run) || run->branch != CANO_NO_BRANCH)
		return;
	record = begin(drive, run);
	record.attempt = 1;
	if (step->decision.waiting == CANO_WAIT_EXTERNAL && run->attempt == 1)
		emit(drive, run, CANO_EVENT_TASK_START, record);
	if (step->decision.fans_out && !is_task(run))
		start_branches(drive, run);
}

static void
start_branches(CanoDrive *drive, CanoRun *run)
{
	const CanoState *state = &run->definition->model.states[run->state];
	const CanoStateExtra *extra = &run->definition->extra[run->state];
	CanoRecord	record = begin(drive, run);

	record.attempt = 1;
	for (int i = 0; i < state->nparts; i++)
	{
		record.branch = i;
		record.task = extra->parts[i].run->name;
		emit(drive, run, CANO_EVENT_TASK_START, record);
	}
}

/*
 * An item's attempts are its batch's own affair.
 */
void
cano_event_part(CanoDrive *drive, CanoRun *lane, const CanoStep *step)
{
	if (step->decision.failed_attempt &&
		lane->definition->model.states[lane->state].kind == CANO_KIND_SPLIT)
		attempt_failed(drive, lane, step);
}

void
cano_event_failed(CanoDrive *drive, CanoRun *run, const CanoStep *step,
				  const Jsonb *error)
{
	CanoRecord	record = begin(drive, run);

	if (error == NULL || step->decision.moved || step->decision.completed ||
		!is_forward(run) || !is_task(run) ||
		!(begun(run) || called(run, step)))
		return;
	record.task = task_name(run);
	record.attempt = run->attempt;
	record.detail = fault_detail(error);
	emit(drive, run, CANO_EVENT_TASK_FAILURE, record);
}

void
cano_event_stopped(CanoDrive *drive, CanoRun *run, const CanoStep *step,
				   const char *reason)
{
	CanoRecord	record;
	CanoJson	json;

	if (step->decision.fault != CANO_FAULT_OUT_OF_TIME &&
		step->decision.ending != CANO_CANCELLED)
		return;
	record = begin(drive, run);
	cano_json_begin(&json);
	if (step->decision.fault == CANO_FAULT_OUT_OF_TIME)
	{
		cano_json_int(&json, "limit_ms", run->definition->timeout_ms);
		record.detail = cano_json_end(&json);
		emit(drive, run, CANO_EVENT_WORKFLOW_TIMEOUT, record);
	}
	else
	{
		cano_json_text(&json, "reason", reason);
		record.detail = cano_json_end(&json);
		emit(drive, run, CANO_EVENT_CANCELLED, record);
	}
}

void
cano_event_ended(CanoDrive *drive, CanoRun *run, const CanoRunEnd *end)
{
	CanoRecord	record;
	CanoJson	json;

	if (end->ending == CANO_COMPLETED && is_quiet(drive, run))
		return;
	record = begin(drive, run);
	cano_json_begin(&json);
	cano_json_text(&json, "status", cano_store_endings[end->ending]);
	cano_json_text(&json, "rollback", cano_store_rollbacks[end->rollback]);
	record.kind = CANO_EVENT_ENDED;
	record.state = end->state;
	record.detail = cano_json_end(&json);
	note(drive, run, run->definition->log == CANO_LOG_ALL ||
		 (run->definition->log == CANO_LOG_ERRORS &&
		  end->ending != CANO_COMPLETED),
		 &record);
}

/*
 * An event of the run where it is, now.
 */
static CanoRecord
begin(const CanoDrive *drive, const CanoRun *run)
{
	CanoRecord	record = {
		.run = run->id,
		.state = run->state_name,
		.branch = CANO_NO_BRANCH,
		.sequence = CANO_NO_SEQUENCE,
		.recorded_at = drive->settlement.now
	};

	return record;
}

static void
emit(CanoDrive *drive, CanoRun *run, CanoEventKind kind, CanoRecord record)
{
	record.kind = kind;
	note(drive, run, run->definition->log == CANO_LOG_ALL ||
		 (run->definition->log == CANO_LOG_ERRORS && is_error(kind)),
		 &record);
}

static bool
is_error(CanoEventKind kind)
{
	switch (kind)
	{
		case CANO_EVENT_TASK_FAILURE:
		case CANO_EVENT_RETRY:
		case CANO_EVENT_CIRCUIT_OPEN:
		case CANO_EVENT_WORKFLOW_TIMEOUT:
		case CANO_EVENT_CANCELLED:
			return true;
		default:
			return false;
	}
}

static void
note(CanoDrive *drive, CanoRun *run, bool keep, CanoRecord *record)
{
	if (keep)
	{
		record->ordinal = number(drive, run);
		cano_store_record(&drive->settlement.records, record);
	}
	if (drive->observed)
		tell(drive, run, record);
}

/*
 * While a fan is open its lanes add events, too.
 */
static int64
number(CanoDrive *drive, CanoRun *run)
{
	CanoWindow	window;

	if (run->fan != NULL && run->fan->opener != NULL)
		run = run->fan->opener; /* nobody else knows of it yet */
	else if (run->branch != CANO_NO_BRANCH ||
			 (run->fan != NULL && run->fan->closed == CANO_OPEN))
		run->next_ordinal = LEFT_TO_SETTLING;
	if (run->next_ordinal == LEFT_TO_SETTLING)
		return CANO_NO_ORDINAL;
	if (run->next_ordinal == NOT_KNOWN)
	{
		cano_window_open(&window);
		run->next_ordinal = cano_store_last_ordinal(run->id) + 1;
		cano_window_close(&window);
		MemoryContextSwitchTo(drive->context);
	}
	return run->next_ordinal++;
}

/*
 * A run that has crashed too often ends in silence: it may have been an
 * observer's doing.
 */
static void
tell(CanoDrive *drive, const CanoRun *run, const CanoRecord *record)
{
	if (run->crashes >= cano_max_crashes)
		return;
	switch (cano_observer_tell(record, cano_run_recorded(run),
							   run->definition->workflow,
							   drive->steps > 1))
	{
		case CANO_TOLD:
			break;
		case CANO_TOLD_LAST:
			drive->stop = true;
			break;
		case CANO_NOT_TOLD:
			drive->unobserved = true;
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("an observer of run " INT64_FORMAT " would have to wait for a lock",
							run->id)));
	}
	/* One that cancelled it did: the next claim finds the request. */
	drive->stop |= cano_stop_is_pending(run->id);
}

/* Of the visit, or of the branch. */
static const char *
task_name(const CanoRun *run)
{
	const CanoFunctionName *function = cano_run_extra(run)->run;

	return function ? function->name : NULL;
}

static Jsonb *
error_detail(const CanoError *error)
{
	CanoJson	json;

	cano_json_begin(&json);
	cano_json_text(&json, "category", cano_category_name(error->category));
	cano_json_text(&json, "sqlstate", error->sqlstate);
	cano_json_text(&json, "message", error->message);
	return cano_json_end(&json);
}

/* The same of an error as it is recorded. */
static Jsonb *
fault_detail(const Jsonb *error)
{
	CanoJson	json;

	if (error == NULL)
		return NULL;
	cano_json_begin(&json);
	cano_json_text(&json, "category", cano_json_get_text(error, "category"));
	cano_json_text(&json, "sqlstate", cano_json_get_text(error, "sqlstate"));
	cano_json_text(&json, "message", cano_json_get_text(error, "message"));
	return cano_json_end(&json);
}
