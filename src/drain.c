/*-------------------------------------------------------------------------
 *
 * drain.c
 *	  The rollback of a run: what it has completed is undone, latest first.
 *
 * It begins in the commit that would have ended the run, goes on there as far
 * as that may go, and is then driven like any other job, an entry of the stack
 * a step.  The job's sequence says how far down it has come, "errors" how many
 * entries it has undone, "since" when it began to.  An entry whose compensation
 * failed is passed by and stays on the stack.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "debug.h"
#include "drain.h"
#include "error.h"
#include "json.h"
#include "window.h"

static bool take_entry(CanoRun *run, MemoryContext context);
static void read_entries(CanoRun *run, MemoryContext context);
static Jsonb *partial_error(const CanoDrain *drain, int undone, int errors);

void
cano_drain_begin(CanoSettlement *settlement, CanoRun *run,
				 const CanoRunEnd *end)
{
	CanoDrain  *drain = palloc0(sizeof(CanoDrain));

	drain->end = *end;
	drain->more = list_make1(end->error);
	drain->limit_ms = run->definition->compensation_ms;
	drain->due_at = DT_NOEND;
	drain->next = run->completed;
	run->drain = drain;

	cano_settle_job_end(settlement, run);
	run->duty = CANO_DUTY_UNDO;
	run->attempt = CANO_NO_ENTRY;
	run->errors = 0;
	run->since = DT_NOBEGIN;
	run->cursor = NULL;
	run->fan = NULL;
	run->stop = false;
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
	if (drain->entry == NULL && !take_entry(run, context))
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

	if (drain->next == NULL && !drain->all_read)
		read_entries(run, context);
	entry = drain->next;
	if (entry == NULL)
		return false;

	drain->entry = entry;
	drain->next = entry->below;
	run->attempt = entry->sequence == run->sequence ? Max(run->attempt, 1) : 1;
	run->sequence = entry->sequence;
	run->state_name = entry->state;
	if (run->definition->version != entry->version)
	{
		int64		id = cano_definition_find(run->definition->workflow,
											  entry->version);

		run->definition = cano_definition_get(id);
		MemoryContextSwitchTo(context);
	}
	run->state = cano_fsm_state(&run->definition->model, run->state_name);
	return true;
}

/*
 * The first row of a run is never a completion.
 */
static void
read_entries(CanoRun *run, MemoryContext context)
{
	CanoDrain  *drain = run->drain;
	int64		from = Min(run->sequence, run->written);
	CanoWindow	window;

	drain->all_read = from <= 0;
	if (drain->all_read)
		return;
	cano_window_open(&window);
	cano_store_drain_read(run->id, from, drain, context);
	cano_window_close(&window);
	MemoryContextSwitchTo(context);
}

void
cano_drain_ended(CanoSettlement *settlement, CanoRun *run, Jsonb *error)
{
	CanoDrain  *drain = run->drain;

	cano_settle_mark(settlement, run, drain->entry,
					 error ? CANO_UNDO_FAILED : CANO_UNDONE);
	if (error != NULL)
		drain->more = lappend(drain->more, error);
	else
		run->errors++;
	cano_settle_part_end(settlement, run);
	drain->entry = NULL;
	run->sequence--;
	run->attempt = CANO_NO_ENTRY;
}

void
cano_drain_end(CanoSettlement *settlement, CanoRun *run, CanoRunEnd *end)
{
	CanoDrain  *drain = run->drain;
	int			errors = list_length(drain->more) - 1;

	if (drain->errors != NULL)
		errors += JB_ROOT_COUNT(drain->errors);
	*end = drain->end;
	end->rollback = cano_fsm_rolled_back(run->errors, errors);
	if (end->rollback == CANO_ROLLBACK_PARTIAL)
		end->error = partial_error(drain, run->errors, errors);
	cano_settle_drain_end(settlement, run);
}

/*
 * Where the run failed is as in the first error.
 */
static Jsonb *
partial_error(const CanoDrain *drain, int undone, int errors)
{
	const Jsonb *first = drain->end.error;
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
	return cano_json_set(json, "errors",
						 cano_json_array(drain->errors, drain->more));
}
