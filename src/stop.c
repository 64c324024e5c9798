/*-------------------------------------------------------------------------
 *
 * stop.c
 *	  Runs that are to stop: cancelled from outside, or out of time.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "context.h"
#include "debug.h"
#include "error.h"
#include "lookup.h"
#include "shmem.h"
#include "stop.h"
#include "store_drain.h"
#include "store_signal.h"
#include "store_stop.h"
#include "window.h"

PG_FUNCTION_INFO_V1(cano_cancel);
PG_FUNCTION_INFO_V1(cano_cancel_requested);

/* By the task that is running, or was the last to run. */
static bool asked_by_itself = false;

/*
 * cancel(run bigint, reason text)
 *
 * Of two requests the first one's reason counts.  A run that is being rolled
 * back already ends as it was to end.
 */
Datum
cano_cancel(PG_FUNCTION_ARGS)
{
	TimestampTz now = cano_now();
	char	   *reason = PG_ARGISNULL(1) ? NULL :
		unconstify(char *, cano_error_text(text_to_cstring(PG_GETARG_TEXT_PP(1))));
	const CanoCurrent *current = cano_context_get();
	CanoAddressee who;
	CanoPlace	place;
	CanoWindow	window;
	bool		found;
	CanoEnding	ending;

	cano_window_refuse_restricted("cano.cancel");
	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(false);
	cano_window_open(&window);
	found = cano_store_find_run(PG_GETARG_INT64(0), &who);
	cano_window_close(&window);
	if (!found ||
		!cano_lookup_can_see_row(who.owner, NameStr(who.owner_name), who.origin))
		PG_RETURN_BOOL(false);
	if (current != NULL && current->run == who.run && current->drain != NULL)
		PG_RETURN_BOOL(current->drain->end.ending == CANO_CANCELLED);

	cano_window_open(&window);
	if (cano_store_draining(who.run, &ending))
	{
		cano_window_close(&window);
		PG_RETURN_BOOL(ending == CANO_CANCELLED);
	}
	place = cano_store_ask(&who, reason, now);
	cano_window_close(&window);
	cano_stop_at_commit(who.run, 0);
	cano_wake_at_commit(who.owner, now, place);
	if (current != NULL && current->run == who.run)
		asked_by_itself = true;
	PG_RETURN_BOOL(true);
}

bool
cano_stop_asked_by_itself(void)
{
	bool		asked = asked_by_itself;

	asked_by_itself = false;
	return asked;
}

/*
 * cancel_requested()
 */
Datum
cano_cancel_requested(PG_FUNCTION_ARGS)
{
	const CanoCurrent *current = cano_context_require("cano.cancel_requested()");

	cano_window_refuse_restricted("cano.cancel_requested");
	PG_RETURN_BOOL(current->drain == NULL && cano_stop_is_asked(current->run));
}

bool
cano_stop_is_asked(int64 run)
{
	CanoWindow	window;
	bool		asked;

	cano_window_open(&window);
	asked = cano_store_is_asked(run, CurrentMemoryContext, NULL);
	cano_window_close(&window);
	return asked;
}

void
cano_stop_load(CanoRun *run, MemoryContext context)
{
	CanoWindow	window;

	cano_window_open(&window);
	run->stop = cano_store_is_asked(run->id, context, &run->stop_reason);
	cano_window_close(&window);
}

void
cano_stop_settle(CanoSettlement *settlement, const CanoRun *run)
{
	CanoRows   *rows = &settlement->stops;

	cano_rows_set(rows, cano_rows_add(rows), 0, Int64GetDatum(run->id));
}

/*
 * A run has no children but while it waits for one.
 */
void
cano_stop_settle_end(CanoSettlement *settlement, const CanoRun *run)
{
	CanoRows   *rows = &settlement->parents;

	if (run->stop || run->definition->timeout_ms > 0)
	{
		CanoRows   *stopped = &settlement->stopped;
		int			row = cano_rows_add(stopped);

		/* Its deadline's timer has its id, negative. */
		cano_rows_set(stopped, row, 0, Int64GetDatum(run->id));
		cano_rows_set(stopped, row, 1, Int64GetDatum(-run->id));
	}
	if (cano_run_state(run)->kind == CANO_KIND_CHILD)
		cano_rows_set(rows, cano_rows_add(rows), 0, Int64GetDatum(run->id));
}
