/*-------------------------------------------------------------------------
 *
 * gate.c
 *	  How many runs of a workflow are under way at once: options(concurrency).
 *
 * A run takes one of so many numbers when it begins and gives it back when it
 * ends.  To take one never waits: a number that somebody else is about to take
 * is passed by, by means of locks that last until the commit.  So the commit
 * comes before the run's first step, and who finds all that are free locked
 * looks again soon.  Who finds none waits outside, and who ends lets the first
 * of those in, the first of every owner: nobody else's may be one that does
 * not come.  These two meet at the workflow's gate, a lock that is taken when a
 * batch is settled: the later one sees what the earlier one left, so that
 * nobody waits outside while there is room.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lock.h"

#include "gate.h"
#include "shmem.h"
#include "store_gate.h"
#include "window.h"

/* Sets these locks apart from those of pg_advisory_lock(). */
#define NUMBER_CLASS	0xCA1
#define GATE_CLASS		0xCA2

/* How many free numbers to look at before giving up. */
#define MAX_LOOKS		64

/* How soon to look again when others are about to take all that are free. */
#define LOOK_AGAIN_MS	200

typedef enum CanoNumber
{
	CANO_NUMBER_TAKEN,
	CANO_NUMBER_LOCKED,			/* by others, for the moment */
	CANO_NUMBER_NONE
} CanoNumber;

static bool begins(const CanoRun *run);
static void wait_outside(CanoSettlement *settlement, CanoRun *run,
						 CanoNumber number);
static CanoNumber take_number(const CanoDefinition *definition, int64 run);
static LOCKTAG tag_of(const char *workflow, int number, int class);
static int	compare_gates(const void *a, const void *b);

bool
cano_gate_enter(CanoSettlement *settlement, CanoRun *run)
{
	MemoryContext context = CurrentMemoryContext;
	const CanoDefinition *definition = run->definition;
	CanoPlace	place = {run->priority, run->job};
	CanoNumber	number = CANO_NUMBER_NONE;
	CanoWindow	window;
	bool		inside;

	if (definition->concurrency == 0 || !begins(run) || run->stop ||
		settlement->now >= cano_run_deadline(run))
		return true;
	cano_window_open(&window);
	inside = cano_store_has_number(definition->workflow, run->id);
	if (!inside)
		number = take_number(definition, run->id);
	cano_window_close(&window);
	MemoryContextSwitchTo(context);
	if (inside)
		return true;
	if (number == CANO_NUMBER_TAKEN)
	{
		cano_settle_job(settlement, run);
		cano_wake_at_commit(settlement->owner, settlement->now, place);
	}
	else
		wait_outside(settlement, run, number);
	return false;
}

/*
 * Whoever has locked a number may yet not take it, and tells nobody.
 */
static void
wait_outside(CanoSettlement *settlement, CanoRun *run, CanoNumber number)
{
	const CanoDefinition *definition = run->definition;
	TimestampTz due = DT_NOEND;

	if (number == CANO_NUMBER_LOCKED)
		due = TimestampTzPlusMilliseconds(settlement->now, LOOK_AGAIN_MS);
	else
		cano_store_touch_gate(&settlement->gates, definition->workflow,
							  definition->concurrency, 0);
	cano_settle_timer(settlement, run, due, CANO_WAIT_GATE);
	cano_wake_at_commit(settlement->owner, due, CANO_NO_PLACE);
}

/*
 * For the first time, or again.
 */
static bool
begins(const CanoRun *run)
{
	return run->started_at == DT_NOBEGIN || run->duty == CANO_DUTY_RESUME ||
		(run->duty == CANO_DUTY_PREPARE && run->errors == 0);
}

static CanoNumber
take_number(const CanoDefinition *definition, int64 run)
{
	CanoNumber	result = CANO_NUMBER_NONE;
	int			numbers[MAX_LOOKS];
	int			n = cano_store_free_numbers(definition->workflow,
											definition->concurrency, MAX_LOOKS,
											numbers);

	for (int i = 0; i < n; i++)
	{
		LOCKTAG		tag = tag_of(definition->workflow, numbers[i], NUMBER_CLASS);

		if (LockAcquire(&tag, ExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
			result = CANO_NUMBER_LOCKED;
		/* Whoever had it locked may have taken it. */
		else if (cano_store_take_number(definition->workflow, numbers[i], run))
			return CANO_NUMBER_TAKEN;
	}
	return result;
}

void
cano_gate_leave(CanoSettlement *settlement, const CanoRun *run)
{
	if (run->definition->concurrency > 0)
		cano_store_touch_gate(&settlement->gates, run->definition->workflow,
							  run->definition->concurrency, run->id);
}

void
cano_gate_settle(CanoSettlement *settlement)
{
	int			n;
	CanoGate   *gates = cano_store_gates(&settlement->gates, &n);

	qsort(gates, n, sizeof(CanoGate), compare_gates);
	for (int i = 0; i < n; i++)
	{
		LOCKTAG		tag = tag_of(gates[i].workflow, 0, GATE_CLASS);

		(void) LockAcquire(&tag, ExclusiveLock, false, false);
	}
	cano_store_leave(&settlement->gates);
	for (int i = 0; i < n; i++)
	{
		int			let_in = cano_store_let_in(&gates[i]);

		for (int k = 0; k < let_in; k++)
		{
			CanoPlace	place;
			Oid			owner = cano_column_place(k, &place);

			cano_wake_at_commit(owner, settlement->now, place);
		}
	}
}

static LOCKTAG
tag_of(const char *workflow, int number, int class)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) workflow,
										   strlen(workflow), number);
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (hash >> 32),
						 (uint32) hash, class);
	return tag;
}

/* Everybody locks in the same order, which is not that of the names. */
static int
compare_gates(const void *a, const void *b)
{
	LOCKTAG		tag_a = tag_of(((const CanoGate *) a)->workflow, 0, GATE_CLASS);
	LOCKTAG		tag_b = tag_of(((const CanoGate *) b)->workflow, 0, GATE_CLASS);

	return memcmp(&tag_a, &tag_b, sizeof(LOCKTAG));
}
