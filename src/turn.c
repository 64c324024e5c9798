/*-------------------------------------------------------------------------
 *
 * turn.c
 *	  Runs of a schedule that begin one after the other: overlap => 'queue'.
 *
 * Runs of schedules are noted until they end, and the turn is of the one that
 * was submitted first.  Another one waits in a timer that is never due, and
 * who ends lets the next one begin.  These two meet at the schedule's lock,
 * which is taken when a batch is settled: the later one sees what the earlier
 * one left, so that nobody waits for a run that has ended.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lock.h"

#include "store_schedule.h"
#include "turn.h"
#include "window.h"

/* Sets these locks apart from those of pg_advisory_lock(). */
#define TURN_CLASS	0xCA4

static int	compare_schedules(const void *a, const void *b);

bool
cano_turn_enter(CanoSettlement *settlement, CanoRun *run)
{
	MemoryContext context = CurrentMemoryContext;
	CanoWindow	window;
	bool		is_its_turn;

	if (run->schedule == 0 || run->started_at != DT_NOBEGIN || run->stop ||
		settlement->now >= cano_run_deadline(run))
		return true;
	cano_window_open(&window);
	is_its_turn = cano_store_is_turn(run->schedule, run->id);
	cano_window_close(&window);
	MemoryContextSwitchTo(context);
	if (is_its_turn)
		return true;
	cano_store_touch_turns(&settlement->turns, run->schedule, 0);
	cano_settle_timer(settlement, run, DT_NOEND, CANO_WAIT_SCHEDULE);
	return false;
}

void
cano_turn_leave(CanoSettlement *settlement, const CanoRun *run)
{
	if (run->schedule != 0)
		cano_store_touch_turns(&settlement->turns, run->schedule, run->id);
}

CanoPlace
cano_turn_settle(CanoSettlement *settlement)
{
	int			n;
	int64	   *schedules = cano_store_turns(&settlement->turns, &n);

	/* Everybody locks in the same order. */
	qsort(schedules, n, sizeof(int64), compare_schedules);
	for (int i = 0; i < n; i++)
	{
		LOCKTAG		tag;

		SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (schedules[i] >> 32),
							 (uint32) schedules[i], TURN_CLASS);
		(void) LockAcquire(&tag, ExclusiveLock, false, false);
	}
	return cano_store_next_turns(&settlement->turns);
}

static int
compare_schedules(const void *a, const void *b)
{
	int64		first = *(const int64 *) a;
	int64		second = *(const int64 *) b;

	return (first > second) - (first < second);
}
