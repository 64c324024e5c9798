/*-------------------------------------------------------------------------
 *
 * fault.c
 *	  Which error an attempt is recorded with, and which a run ends with.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "error.h"
#include "fault.h"
#include "guc.h"
#include "json.h"
#include "rules.h"
#include "spelling.h"

static const char *outcome_name(CanoHappened said);
static CanoError *join_error(const CanoRun *run, const CanoResults *results);
static const char *task_name(const CanoRun *run);
static char *detail_text(Jsonb *detail);

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
cano_fault_attempt(const CanoRun *run, const CanoStep *step)
{
	const char *task = task_name(run);
	CanoError  *error;

	/* A batch need not have a function that finishes it. */
	if (task == NULL && step->decision.fault == CANO_FAULT_NO_NEXT)
		return cano_error_make(CANO_CAT_WORKFLOW,
							   "state \"%s\" has no next state, and nothing names one",
							   run->state_name);
	if (task == NULL)
		task = "";

	switch (step->decision.fault)
	{
		case CANO_FAULT_NO_NEXT:
			return cano_error_make(CANO_CAT_WORKFLOW,
								   "task \"%s\" of state \"%s\" named no next state, and the state has none",
								   task, run->state_name);
		case CANO_FAULT_UNKNOWN_STATE:
			error = cano_error_make(CANO_CAT_WORKFLOW,
									"task \"%s\" of state \"%s\" went to state \"%s\", which does not exist",
									task, run->state_name, step->said.target);
			error->hint = cano_spelling_state(&run->definition->model,
											  step->said.target, NULL);
			return error;
		case CANO_FAULT_NOT_A_TARGET:
			return cano_error_make(CANO_CAT_WORKFLOW,
								   "task \"%s\" of state \"%s\" went to state \"%s\", which is not one of its targets",
								   task, run->state_name, step->said.target);
		case CANO_FAULT_WRONG_OUTCOME:
			error = cano_error_make(CANO_CAT_WORKFLOW,
									"task \"%s\" of state \"%s\" returned an outcome that its kind does not know: %s",
									task, run->state_name,
									outcome_name(step->said.what));
			error->hint = "cano.more() is for stepped states, cano.pending() for polls.";
			return error;
		case CANO_FAULT_CALLED_OFF:
			if (step->error != NULL)
				return step->error;
			/* Its run would end anyway; what it said was refused as well. */
			return cano_error_make(CANO_CAT_WORKFLOW,
								   "task \"%s\" of state \"%s\" returned an outcome that is not allowed",
								   task, run->state_name);
		default:
			return step->error;
	}
}

Jsonb *
cano_fault_end(const CanoRun *run, const CanoStep *step)
{
	const CanoDecision *decision = &step->decision;
	const CanoStateExtra *extra = cano_run_extra(run);
	const char *task = task_name(run);
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
			error.message = psprintf("%s \"%s\" failed after %d attempts: %s",
									 task ? "task" : "state", task ? task : state,
									 run->attempt, step->error->message);
			break;
		case CANO_FAULT_VERDICT:
			error = *cano_error_make(decision->category, "%s",
									 step->said.reason ? step->said.reason :
									 cano_category_name(decision->category));
			if (step->said.detail != NULL)
				error.detail = cano_error_text(detail_text(step->said.detail));
			break;
		case CANO_FAULT_NO_SIGNAL:
			error = *cano_error_make(CANO_CAT_TIMEOUT,
									 "state \"%s\" received no signal \"%s\" in time",
									 state, extra->signal);
			break;
		case CANO_FAULT_JOIN:
			error = *join_error(run, &step->results);
			break;
		case CANO_FAULT_CHILD:
			return run->child_error;
		case CANO_FAULT_CALLED_OFF:
			task = NULL;
			error = *cano_error_make(decision->category, "%s",
									 run->stop_reason ? run->stop_reason :
									 cano_category_name(decision->category));
			break;
		case CANO_FAULT_OUT_OF_TIME:
			error = *cano_error_make(decision->category,
									 "Workflow timeout: run was not at its end after " INT64_FORMAT " ms",
									 run->definition->timeout_ms);
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
			error = *cano_fault_attempt(run, step);
			break;
	}
	error.category = decision->category;
	return cano_error_jsonb(&error, state, task, run->attempt);
}

void
cano_fault_log_end(const CanoRun *run, const CanoRunEnd *end)
{
	const char *task = cano_json_get_text(end->error, "task");
	const char *state = cano_json_get_text(end->error, "state");
	ErrorContextCallback *surroundings = error_context_stack;

	/* Those of a session that works say nothing of the run. */
	error_context_stack = NULL;
	ereport(cano_log_level,
			(errmsg("run " INT64_FORMAT " of workflow \"%s\" ended in state \"%s\": %s",
					run->id, run->definition->workflow, end->state,
					cano_json_get_text(end->error, "message")),
			 errcontext("run " INT64_FORMAT " of workflow \"%s\", state \"%s\", task \"%s\", attempt %d",
						run->id, run->definition->workflow,
						state ? state : end->state, task ? task : "",
						(int) cano_json_get_int(end->error, "attempts", 1)),
			 errhidestmt(true)));
	error_context_stack = surroundings;
}

void
cano_fault_log_given_up(const CanoRun *run, const CanoStep *step)
{
	const Jsonb *error = cano_fault_end(run, step);

	ereport(cano_log_level,
			(errmsg("\"%s\" was not done after run " INT64_FORMAT " of workflow \"%s\" ended: %s",
					task_name(run), run->id, run->definition->workflow,
					cano_json_get_text(error, "message")),
			 errhidestmt(true), errhidecontext(true)));
}

/*
 * Too few of the branches succeeded.
 */
static CanoError *
join_error(const CanoRun *run, const CanoResults *results)
{
	const CanoState *state = cano_run_state(run);
	const CanoTally *tally = &results->tally;
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "split \"%s\": ", run->state_name);
	if (tally->timed_out)
		appendStringInfo(&text, "timeout of " INT64_FORMAT " ms is over, ",
						 cano_run_extra(run)->timeout_ms);
	appendStringInfo(&text, "condition not met: ");
	if (state->join.strategy == CANO_JOIN_PARTIAL)
		appendStringInfo(&text, "%d of the required %d branches succeeded (partial)",
						 tally->succeeded, state->join.needed);
	else
		appendStringInfo(&text, "%d of %d branches succeeded (%s)",
						 tally->succeeded, tally->total,
						 cano_rules_join.shapes[state->join.strategy].name);
	if (results->errors != NULL)
		appendStringInfo(&text, "; %s", results->errors);
	return cano_error_make(CANO_CAT_WORKFLOW, "%s", text.data);
}

/* What the job at hand calls, or NULL. */
static const char *
task_name(const CanoRun *run)
{
	const CanoFunctionName *function = cano_run_function(run);

	return function ? function->name : NULL;
}

/* A verdict's detail as the task wrote it: without the quotes of a string. */
static char *
detail_text(Jsonb *detail)
{
	JsonbValue	scalar;

	if (JB_ROOT_IS_SCALAR(detail) &&
		JsonbExtractScalar(&detail->root, &scalar) && scalar.type == jbvString)
		return pnstrdup(scalar.val.string.val, scalar.val.string.len);
	return JsonbToCString(NULL, &detail->root, VARSIZE(detail));
}
