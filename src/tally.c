/*-------------------------------------------------------------------------
 *
 * tally.c
 *	  What of a batch counts, and as what.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "json.h"
#include "metrics.h"
#include "tally.h"

static void count_undo(const CanoStep *step);
static void count_attempt(const CanoRun *run, const CanoStep *step);
static void count_visit(const CanoRun *run, const CanoStep *step);
static void count_split(const CanoRun *run);
static void count_batch(const CanoRun *run, bool well);
static const char *kind_of(const CanoState *state);
static bool lasts(const CanoState *state);
static double seconds_between(TimestampTz from, TimestampTz until);

void
cano_tally_step(const CanoRun *run, const CanoStep *step)
{
	const CanoDecision *decision = &step->decision;

	cano_metrics_count(CANO_COUNT_STEP, 1);
	if (step->held_back)
	{
		cano_metrics_count(CANO_COUNT_LIMITER_WAITED, 1);
		cano_metrics_took(CANO_DURATION_LIMITER,
						  seconds_between(step->ended_at, step->turn.due));
		return;
	}
	if (step->token.taken)
	{
		cano_metrics_count(CANO_COUNT_LIMITER_ACQUIRED, 1);
		cano_metrics_count(CANO_COUNT_TOKEN, 1);
	}
	if (run->duty == CANO_DUTY_UNDO)
	{
		if (!step->drain_late)
			count_undo(step);
		return;
	}
	if (cano_run_aside(run) != NULL)
		return;
	if (cano_run_state(run)->calls)
		count_attempt(run, step);
	if (run->branch != CANO_NO_BRANCH)
		return;
	if (cano_run_state(run)->kind == CANO_KIND_POLL)
	{
		if (decision->waiting == CANO_WAIT_POLL && step->error == NULL &&
			!decision->moved && decision->verb != CANO_END)
			cano_metrics_count(CANO_COUNT_POLL_PENDING, 1);
		else if (decision->moved)
			cano_metrics_count(CANO_COUNT_POLL_READY, 1);
	}
	else if (cano_run_state(run)->kind == CANO_KIND_STEPPED)
	{
		if (decision->cursor)
			cano_metrics_count(CANO_COUNT_STEP_MORE, 1);
		else if (decision->moved)
			cano_metrics_count(CANO_COUNT_STEP_DONE, 1);
	}
	if (decision->moved || decision->verb == CANO_END)
		count_visit(run, step);
}

/*
 * A compensation that is not there any more was not called.
 */
static void
count_undo(const CanoStep *step)
{
	if (step->error != NULL && step->error->category == CANO_CAT_WORKFLOW &&
		step->said.what == CANO_ARRIVED)
		return;
	cano_metrics_count(step->error == NULL &&
					   step->decision.ending == CANO_COMPLETED ?
					   CANO_COUNT_COMPENSATION_OK :
					   CANO_COUNT_COMPENSATION_ERR, 1);
}

/*
 * One that the breaker did not let begin is none, nor is one that lost its
 * head.  A poll that is not ready goes on, but each step of a stepped state
 * has attempts of its own.
 */
static void
count_attempt(const CanoRun *run, const CanoStep *step)
{
	const CanoDecision *decision = &step->decision;

	if (step->error != NULL && step->error->category == CANO_CAT_CIRCUIT_OPEN)
		cano_metrics_count(CANO_COUNT_CIRCUIT_REJECTION, 1);
	else if (decision->failed_attempt)
	{
		if (step->error == NULL ||
			strncmp(step->error->message, "panic: ", 7) != 0)
			cano_metrics_count(CANO_COUNT_ATTEMPT_FAILED, 1);
	}
	else if (decision->moved || decision->cursor ||
			 (run->branch != CANO_NO_BRANCH && decision->verb == CANO_END &&
			  decision->ending == CANO_COMPLETED))
		cano_metrics_count(CANO_COUNT_ATTEMPT_COMPLETED, 1);
}

/*
 * The state is left, or ends the run.  What goes on over several jobs has
 * noted when it began.
 */
static void
count_visit(const CanoRun *run, const CanoStep *step)
{
	const CanoState *state = cano_run_state(run);
	TimestampTz since = step->started_at;

	if (state->kind == CANO_KIND_EXIT || state->kind == CANO_KIND_RECEIVE ||
		state->kind == CANO_KIND_TIMER)
		return;
	if (run->since != DT_NOBEGIN && lasts(state))
		since = run->since;
	cano_metrics_visit(state, kind_of(state),
					   seconds_between(since, step->ended_at));
	if (state->kind == CANO_KIND_SPLIT)
		count_split(run);
	else if (state->kind == CANO_KIND_BATCH)
		count_batch(run, step->decision.moved);
}

/*
 * Of a split whose time was over nobody is told what became of its branches.
 */
static void
count_split(const CanoRun *run)
{
	const CanoTally *tally;

	if (run->fan == NULL)
		return;
	tally = &run->fan->tally;
	if (tally->timed_out &&
		cano_run_state(run)->join.strategy != CANO_JOIN_PARTIAL_TIMEOUT)
		return;
	cano_metrics_count(CANO_COUNT_BRANCH_SUCCESS, tally->succeeded);
	cano_metrics_count(CANO_COUNT_BRANCH_FAILURE, tally->failed);
	cano_metrics_count(CANO_COUNT_BRANCH_CANCELLED,
					   tally->total - tally->succeeded - tally->failed);
}

static void
count_batch(const CanoRun *run, bool well)
{
	cano_metrics_count(well ? CANO_COUNT_BATCH_COMPLETED :
					   CANO_COUNT_BATCH_FAILED, 1);
	if (run->fan == NULL)
		return;
	cano_metrics_count(CANO_COUNT_ITEM_OK, run->fan->tally.succeeded);
	cano_metrics_count(CANO_COUNT_ITEM_ERR, run->fan->tally.failed);
}

static const char *
kind_of(const CanoState *state)
{
	switch (state->kind)
	{
		case CANO_KIND_ROUTER:
			return "router";
		case CANO_KIND_SPLIT:
			return "split";
		case CANO_KIND_STEPPED:
			return "stepped";
		case CANO_KIND_POLL:
			return "poll";
		case CANO_KIND_BATCH:
			return "batch";
		case CANO_KIND_CHILD:
			return "child";
		case CANO_KIND_EXTERNAL:
			return "external";
		default:
			return state->undo != NULL ? "compensatable" : "single";
	}
}

static bool
lasts(const CanoState *state)
{
	switch (state->kind)
	{
		case CANO_KIND_SPLIT:
		case CANO_KIND_POLL:
		case CANO_KIND_BATCH:
		case CANO_KIND_CHILD:
		case CANO_KIND_EXTERNAL:
			return true;
		default:
			return false;
	}
}

/*
 * The checkpoint of a run's first state is written when it is submitted.
 */
void
cano_tally_begin(const CanoRun *run)
{
	if (run->resumed)
		cano_metrics_count(CANO_COUNT_RESUMED, 1);
	else if (run->sequence == 0 && run->entry < 0)
		cano_metrics_count(CANO_COUNT_APPEND, 1);
}

void
cano_tally_end(const CanoSettlement *settlement, const CanoRun *run,
			   const CanoRunEnd *end)
{
	double		seconds = seconds_between(run->began_at, settlement->now);
	CanoCount	outcome = CANO_COUNT_RUN_COMPLETED + end->ending;
	char	   *category = end->error == NULL ? NULL :
		cano_json_get_text(end->error, "category");

	if (category != NULL &&
		strcmp(category, cano_category_name(CANO_CAT_WORKFLOW_TIMEOUT)) == 0)
		outcome = CANO_COUNT_RUN_TIMEOUT;
	cano_metrics_count(outcome, 1);
	cano_metrics_took(CANO_DURATION_RUN_COMPLETED +
					  (outcome - CANO_COUNT_RUN_COMPLETED), seconds);
	if (end->ending == CANO_COMPLETED || end->rollback == CANO_ROLLBACK_CLEAN)
		cano_metrics_count(CANO_COUNT_CLEAR, 1);
	if (end->rollback != CANO_ROLLBACK_NONE)
		cano_metrics_count(end->rollback == CANO_ROLLBACK_CLEAN ?
						   CANO_COUNT_DRAIN_CLEAN : CANO_COUNT_DRAIN_PARTIAL, 1);
}

void
cano_tally_settle(const CanoSettlement *settlement)
{
	cano_metrics_count(CANO_COUNT_APPEND, settlement->checkpoints.nrows);
	cano_metrics_count(CANO_COUNT_COMMIT, 1);
	cano_metrics_attach(settlement->owner);
}

static double
seconds_between(TimestampTz from, TimestampTz until)
{
	return (double) (until - from) / USECS_PER_SEC;
}
