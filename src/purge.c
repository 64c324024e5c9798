/*-------------------------------------------------------------------------
 *
 * purge.c
 *	  Ended runs are removed: when their time is over, or on demand.
 *
 * A run goes with all of its rows, in one statement.  Runs are looked at in
 * the order of their ids, which is that of their submission but for a moment:
 * so what is over is found at the front without an index that every end of a
 * run would have to be written to.  Behind the first run that was submitted
 * too late to be over nobody looks, except that servers with other node ids
 * have numbers of their own.
 *
 * Nobody waits: a run that somebody has locked, because he resumes it, is
 * passed by until the next time.  Nor is one removed that others need: whose
 * parent or child is under way, or whose end is still being dealt with.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "debug.h"
#include "error.h"
#include "part.h"
#include "purge.h"
#include "store_purge.h"
#include "txn.h"
#include "window.h"

/* How long one of the small transactions should take. */
#define LEAST_MS		10
#define MOST_MS			50

/* Runs that one of them removes, at first and at most. */
#define FIRST_LIMIT		50
#define LIMIT			1000

/* It is many if of so many one was to be removed. */
#define MANY			10

/* Ids of one server: see cano_store_node(). */
#define NODE_BITS		48

static Interval *older_than_argument(FunctionCallInfo fcinfo);
static void refuse(const char *problem);
static int64 remove_some(int64 *cursor, int limit, MemoryContext context,
						 int *looked);

PG_FUNCTION_INFO_V1(cano_purge);

/*
 * cano.purge(older_than interval, workflow text) RETURNS bigint
 */
Datum
cano_purge(PG_FUNCTION_ARGS)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "cano purge",
												  ALLOCSET_SMALL_SIZES);
	CanoPurge	purge = {
		.now = cano_now(),
		.older_than = older_than_argument(fcinfo),
		.owner = GetUserId(),
		.owner_name = GetUserNameFromId(GetUserId(), false),
		.workflow = PG_ARGISNULL(1) ? NULL :
		text_to_cstring(PG_GETARG_TEXT_PP(1))
	};
	int64		cursor = PG_INT64_MIN;
	int64		removed = 0;
	int			found;

	cano_window_refuse_restricted("cano.purge");
	do
	{
		CanoWindow	window;
		ArrayType  *runs;

		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(context);
		cano_window_open(&window);
		found = cano_store_purge_find(&purge, &cursor, LIMIT, context, &runs);
		removed += cano_store_purge(runs, purge.now, purge.older_than);
		cano_window_close(&window);
	} while (found == LIMIT);
	MemoryContextDelete(context);
	PG_RETURN_INT64(removed);
}

static Interval *
older_than_argument(FunctionCallInfo fcinfo)
{
	Interval   *older_than;

	if (PG_ARGISNULL(0))
		refuse("must not be null");
	older_than = PG_GETARG_INTERVAL_P(0);
	if (cano_part_sign(older_than) < 0)
		refuse("must not be negative");
	if (INTERVAL_NOT_FINITE(older_than) ||
		cano_part_milliseconds(older_than) > CANO_LONGEST_MS)
		refuse("must be at most 1000 years");
	return older_than;
}

static void
refuse(const char *problem)
{
	ereport(ERROR,
			(errcode(cano_errcode(CANO_CAT_CONFIGURATION)),
			 errmsg("older_than %s", problem)));
}

bool
cano_purge_expired(int64 *cursor, double limit_ms, bool (*must_stop) (void))
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "cano purge",
												  ALLOCSET_SMALL_SIZES);
	instr_time	started;
	double		before = 0;
	int64		looked = 0;
	int64		removed = 0;
	int			latest = 1;
	int			limit = FIRST_LIMIT;

	INSTR_TIME_SET_CURRENT(started);
	while (latest > 0 && before < limit_ms && !must_stop())
	{
		instr_time	now;
		double		ms;

		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(context);
		removed += remove_some(cursor, limit, context, &latest);
		looked += latest;
		INSTR_TIME_SET_CURRENT(now);
		INSTR_TIME_SUBTRACT(now, started);
		ms = INSTR_TIME_GET_MILLISEC(now) - before;
		before += ms;
		if (ms > MOST_MS)
			limit = Max(limit / 2, 1);
		else if (ms < LEAST_MS)
			limit = Min(limit * 2, LIMIT);
	}
	if (latest == 0)
		*cursor = 0;
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return latest > 0 && removed * MANY >= looked;
}

/*
 * Looks at none at the end.  What is lost of it in a crash is done again.
 */
static int64
remove_some(int64 *cursor, int limit, MemoryContext context, int *looked)
{
	CanoExpired expired;
	int64		removed = 0;
	CanoWindow	window;

	cano_txn_begin();
	PushActiveSnapshot(GetTransactionSnapshot());
	cano_window_open(&window);
	cano_store_expired(cano_now(), *cursor, limit, context, &expired);
	if (expired.nruns > 0)
		removed = cano_store_purge(expired.runs, cano_now(), NULL);
	cano_window_close(&window);
	PopActiveSnapshot();
	cano_txn_commit(true);
	*cursor = expired.cursor;
	if (expired.beyond)
		*cursor = ((*cursor >> NODE_BITS) + 1) << NODE_BITS;
	*looked = expired.looked;
	return removed;
}
