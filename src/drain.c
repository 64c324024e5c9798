/*-------------------------------------------------------------------------
 *
 * drain.c
 *	  The rollback of a run: what it has completed is undone, latest first.
 *
 * It begins in the commit that would have ended the run and is driven like
 * any other job, an entry of the stack a step.  The job's sequence says how
 * far down it has come, "errors" how many entries it has undone, "since" when
 * it began to.  An entry whose compensation failed is passed by and stays on
 * the stack.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "debug.h"
#include "drain.h"
#include "error.h"
#include "json.h"
#include "shmem.h"
#include "window.h"

static bool take_entry(CanoRun *run, MemoryContext context);
static Jsonb *partial_error(const CanoDrain *drain, int undone, int errors);

void
cano_drain_begin(CanoSettlement *settlement, CanoRun *run,
				 const CanoRunEnd *end)
{
	CanoRows   *rows = &settlement->drains;
	CanoPlace	place = {run->priority, run->job};
	int			row = cano_rows_add(rows);

	cano_rows_set(rows, row, 0, Int64GetDatum(run->id));
	cano_rows_set(rows, row, 1,
				  CharGetDatum(end->ending == CANO_CANCELLED ? 'c' : 'f'));
	cano_rows_set(rows, row, 2, BoolGetDatum(end->dead));
	cano_rows_set_text(rows, row, 3, end->state);
	cano_rows_set_text(rows, row, 4, end->cancel_reason);
	cano_rows_set_jsonb(rows, row, 5,
						cano_json_array(NULL, list_make1(end->error)));

	cano_settle_job_end(settlement, run);
	run->duty = CANO_DUTY_UNDO;
	run->attempt = CANO_NO_ENTRY;
	run->errors = 0;
	run->since = DT_NOBEGIN;
	run->cursor = NULL;
	run->fan = NULL;
	cano_settle_job(settlement, run);
	cano_wake_at_commit(settlement->owner, settlement->now, place);
}

void
cano_drain_load(CanoRun *run, MemoryContext context)
{
	CanoWindow	window;

	cano_window_open(&window);
	run->drain = cano_store_drain_load(run->id, context);
	cano_window_close(&window);
	MemoryContextSwitchTo(context);
	run->drain->limit_ms = run->definition->compensation_ms;
}

bool
cano_drain_next(CanoRun *run, TimestampTz now, MemoryContext context)
{
	CanoDrain  *drain = run->drain;
	CanoError  *late;

	if (run->since == DT_NOBEGIN)
		run->since = now;
	if (drain->limit_ms > 0)
		drain->due_at = TimestampTzPlusMilliseconds(run->since, drain->limit_ms);
	if ((run->attempt == CANO_NO_ENTRY || drain->at == 0) &&
		!take_entry(run, context))
		return false;
	if (now < drain->due_at)
		return true;

	late = cano_error_make(CANO_CAT_TIMEOUT,
						   "rollback was not at its end after " INT64_FORMAT " ms",
						   drain->limit_ms);
	drain->more = lappend(drain->more,
						  cano_error_jsonb(late, run->state_name, NULL,
										   run->attempt));
	return false;
}

/*
 * The topmost that is left, from where the run is down.
 */
static bool
take_entry(CanoRun *run, MemoryContext context)
{
	CanoDrain  *drain = run->drain;
	const CanoEntry *entry;
	CanoWindow	window;

	if (drain->at == drain->nentries && !drain->all_read)
	{
		cano_window_open(&window);
		cano_store_drain_read(run->id, run->sequence, drain, context);
		cano_window_close(&window);
		MemoryContextSwitchTo(context);
	}
	if (drain->at == drain->nentries)
		return false;

	entry = &drain->entries[drain->at++];
	run->attempt = entry->sequence == run->sequence ? Max(run->attempt, 1) : 1;
	run->sequence = entry->sequence;
	run->state_name = entry->state;
	drain->output = entry->output;
	run->definition = cano_definition_get(entry->definition);
	MemoryContextSwitchTo(context);
	run->state = cano_fsm_state(&run->definition->model, run->state_name);
	return true;
}

void
cano_drain_ended(CanoSettlement *settlement, CanoRun *run, Jsonb *error)
{
	CanoRows   *rows = &settlement->undone;
	int			row = cano_rows_add(rows);

	cano_rows_set(rows, row, 0, Int64GetDatum(run->id));
	cano_rows_set(rows, row, 1, Int64GetDatum(run->sequence));
	cano_rows_set(rows, row, 2,
				  CharGetDatum(error ? CANO_UNDO_FAILED : CANO_UNDONE));
	if (error != NULL)
		run->drain->more = lappend(run->drain->more, error);
	else
		run->errors++;
	cano_settle_part_end(settlement, run);
	run->sequence--;
	run->attempt = CANO_NO_ENTRY;
}

void
cano_drain_keep(CanoSettlement *settlement, const CanoRun *run)
{
	CanoDrain  *drain = run->drain;
	CanoRows   *rows = &settlement->collected;
	int			row;

	if (drain->more == NIL)
		return;
	row = cano_rows_add(rows);
	cano_rows_set(rows, row, 0, Int64GetDatum(run->id));
	cano_rows_set_jsonb(rows, row, 1, cano_json_array(drain->errors, drain->more));
}

void
cano_drain_end(CanoSettlement *settlement, CanoRun *run, CanoRunEnd *end)
{
	CanoDrain  *drain = run->drain;
	CanoRows   *rows = &settlement->drained;
	int			errors;

	drain->errors = cano_json_array(drain->errors, drain->more);
	errors = JB_ROOT_COUNT(drain->errors) - 1;
	*end = drain->end;
	end->rollback = cano_fsm_rolled_back(run->errors, errors);
	end->error = end->rollback == CANO_ROLLBACK_PARTIAL ?
		partial_error(drain, run->errors, errors) :
		cano_json_element(drain->errors, 0);
	cano_rows_set(rows, cano_rows_add(rows), 0, Int64GetDatum(run->id));
}

/*
 * Where the run failed is as in the first error.
 */
static Jsonb *
partial_error(const CanoDrain *drain, int undone, int errors)
{
	Jsonb	   *first = cano_json_element(drain->errors, 0);
	CanoError  *error = cano_error_make(CANO_CAT_COMPENSATION_FAILED,
										"rollback failed in part, after: %s",
										cano_json_get_text(first, "message"));
	Jsonb	   *json;

	error->detail = psprintf("Compensations that succeeded: %d; errors collected: %d.",
							 undone, errors);
	error->hint = "cano.compensations shows what is left; cano.compensate() tries it again.";
	json = cano_error_jsonb(error, cano_json_get_text(first, "state"),
							cano_json_get_text(first, "task"),
							cano_json_get_int(first, "attempts", 1));
	return cano_json_set(json, "errors", drain->errors);
}
