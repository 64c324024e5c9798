/*-------------------------------------------------------------------------
 *
 * fan.c
 *	  Branches of splits and items of batches: begun, counted, joined.
 *
 * Branches end in many workers at once.  Each worker adds what ended in its
 * batch to the fan's row, under that row's lock and as the last thing before
 * its commit; the one that makes the join complete closes the fan and sends
 * the holder on.  What a worker did for a fan that turns out to be closed
 * must not be: its batch is rolled back, and the jobs of that fan are dropped
 * when they come up again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/memutils.h"

#include "fan.h"
#include "json.h"
#include "shmem.h"
#include "store_fan.h"
#include "window.h"

/* The most branches that a lane takes at once: a power of two. */
#define MAX_TAKEN	64

/* So many workers at one fan find something to take until near its end. */
#define MAX_SHARERS	16

/* Sets these locks apart from those of pg_advisory_lock(). */
#define LOCK_CLASS	0xCA0

/* Branches that are taken together. */
typedef struct Stretch
{
	int			first;
	int			last;
} Stretch;

static CanoFan *new_fan(CanoSettlement *settlement, CanoRun *run,
						TimestampTz due_at, int total, bool items);
static void wait_for(CanoSettlement *settlement, CanoRun *run);
static void make_lane(const CanoRun *run, int branch, CanoRun *lane);
static int64 *add_lanes(CanoSettlement *settlement, const CanoRun *run,
						int lanes, const int *branches);
static int	nlanes(const CanoRun *run, int total);
static CanoNext next_of_all(CanoRun *lane);
static bool is_only(const CanoRun *lane);
static bool take(const CanoRun *lane, int *behind, MemoryContext context);
static Stretch stretch_of(const CanoRun *lane, int branch);
static LOCKTAG stretch_tag(int64 fan, Stretch stretch);
static void judge(CanoFan *fan, CanoClosed closes);
static bool settle_one(CanoFans *fans, CanoFan *fan);
static void mark_ended(CanoFans *fans, const CanoFan *fan,
					   const CanoPart *part);
static int	compare_ids(const void *a, const void *b);

void
cano_fan_open(CanoSettlement *settlement, CanoRun *run, TimestampTz due_at,
			  int nitems, Jsonb **items)
{
	const CanoState *state = &run->definition->model.states[run->state];
	MemoryContext context = CurrentMemoryContext;
	CanoFan    *fan = new_fan(settlement, run, due_at,
							  items ? nitems : state->nparts, items != NULL);
	int			lanes = nlanes(run, fan->tally.total);
	int64	   *jobs;
	CanoPlace	first;
	CanoWindow	window;

	if (fan->tally.total <= CANO_WIDE_FAN)
	{
		fan->opener = run;
		fan->inputs = items;
		fan->next_taken = lanes;
		cano_store_fan_begin(fan);
		return;
	}
	wait_for(settlement, run);
	jobs = add_lanes(settlement, run, lanes, NULL);
	cano_window_open(&window);
	cano_store_wide_fan(fan, run->state_name, lanes, jobs, items);
	cano_window_close(&window);
	MemoryContextSwitchTo(context);
	first.priority = run->priority;
	first.id = jobs[0];
	cano_wake_at_commit(settlement->owner, settlement->now, first);
}

int
cano_fan_lanes(const CanoRun *run)
{
	return nlanes(run, run->fan->tally.total);
}

void
cano_fan_lane(const CanoRun *run, int number, CanoRun *lane)
{
	make_lane(run, number, lane);
	if (run->fan->items)
		lane->item = run->fan->inputs[number];
}

void
cano_fan_write(CanoSettlement *settlement, CanoRun *run)
{
	MemoryContext context = CurrentMemoryContext;
	CanoFan    *fan = run->fan;
	CanoWindow	window;

	fan->tally.succeeded = fan->tally.failed = 0;
	if (!settle_one(settlement->fans, fan))
		elog(ERROR, "branches of run " INT64_FORMAT " ended too late", run->id);
	fan->closed = fan->closing;
	fan->tally.timed_out = fan->closed == CANO_CLOSED_TIMEOUT;
	if (fan->closed == CANO_OPEN)
		wait_for(settlement, run);
	cano_window_open(&window);
	cano_store_fan(fan, run->state_name);
	cano_window_close(&window);
	MemoryContextSwitchTo(context);

	/* From here on it is as any other that this batch adds nothing to. */
	fan->opener = NULL;
	fan->touched = false;
	fan->closing = CANO_OPEN;
	fan->nended = fan->ntaken = fan->next_taken = 0;
}

CanoPlace
cano_fan_reopen(CanoSettlement *settlement, CanoRun *run, TimestampTz due_at)
{
	MemoryContext context = CurrentMemoryContext;
	CanoFan    *old = run->fan;
	CanoFan    *fan;
	int			lanes;
	int64	   *jobs;
	int		   *branches;
	int			n;
	CanoPlace	first = CANO_NO_PLACE;
	CanoWindow	window;

	cano_window_open(&window);
	n = cano_store_find_failed(old->id, context, &branches);
	cano_window_close(&window);
	MemoryContextSwitchTo(context);
	if (n == 0)
		return first;

	fan = new_fan(settlement, run, due_at, old->tally.total,
				  run->definition->model.states[run->state].kind ==
				  CANO_KIND_BATCH);
	fan->tally.succeeded = old->tally.total - n;
	wait_for(settlement, run);
	lanes = nlanes(run, n);
	jobs = add_lanes(settlement, run, lanes, branches);
	cano_window_open(&window);
	cano_store_fan_again(fan, old->id, run->state_name, lanes, jobs, branches);
	cano_window_close(&window);
	MemoryContextSwitchTo(context);
	first.priority = run->priority;
	first.id = jobs[0];
	return first;
}

/*
 * The run begins to hold a fan.
 */
static CanoFan *
new_fan(CanoSettlement *settlement, CanoRun *run, TimestampTz due_at,
		int total, bool items)
{
	CanoFan    *fan = cano_store_fan_add(settlement->fans, cano_store_new_id());

	fan->run = run->id;
	fan->items = items;
	fan->priority = run->priority;
	fan->join = &run->definition->model.states[run->state].join;
	fan->tally.total = total;
	fan->due_at = due_at;
	fan->signal = run->signal;
	fan->data = run->data == run->input ? NULL : run->data;
	fan->holder = run->job;
	run->fan = fan;
	return fan;
}

/*
 * Whoever waits has a new place in the queue.
 */
static void
wait_for(CanoSettlement *settlement, CanoRun *run)
{
	CanoFan    *fan = run->fan;

	cano_settle_timer(settlement, run, fan->due_at, fan->items ?
					  CANO_WAIT_ITEMS : CANO_WAIT_BRANCHES);
	fan->holder = run->job;
}

/*
 * Jobs for these of its branches, or the first ones; returns their ids.
 */
static int64 *
add_lanes(CanoSettlement *settlement, const CanoRun *run, int lanes,
		  const int *branches)
{
	int64	   *jobs = palloc(sizeof(int64) * lanes);

	for (int i = 0; i < lanes; i++)
	{
		CanoRun		lane;

		make_lane(run, branches ? branches[i] : i, &lane);
		jobs[i] = lane.job;
		cano_settle_job(settlement, &lane);
	}
	return jobs;
}

static void
make_lane(const CanoRun *run, int branch, CanoRun *lane)
{
	*lane = *run;
	lane->job = cano_store_new_id();
	lane->duty = CANO_DUTY_PART;
	lane->branch = branch;
	lane->attempt = 1;
	lane->errors = 0;
	lane->since = DT_NOBEGIN;
	lane->cursor = NULL;
	lane->entry = -1;
}

static int
nlanes(const CanoRun *run, int total)
{
	int			lanes = run->definition->extra[run->state].lanes;

	return lanes > 0 ? Min(lanes, total) : total;
}

void
cano_fan_mark(CanoSettlement *settlement, const CanoRun *lane)
{
	CanoPart	part = {.branch = lane->branch, .attempt = lane->attempt};

	lane->fan->touched = lane->fan->left_lanes = true;
	cano_store_mark(&settlement->fans->marks, lane->fan, &part, 'b',
					lane->job, -1);
}

void
cano_fan_ended(const CanoRun *lane, const CanoPart *part)
{
	CanoFan    *fan = lane->fan;

	if (fan->nended == fan->capacity)
	{
		fan->capacity = Max(fan->capacity * 2, 8);
		fan->ended = fan->ended == NULL ?
			palloc(sizeof(CanoPart) * fan->capacity) :
			repalloc(fan->ended, sizeof(CanoPart) * fan->capacity);
	}
	fan->ended[fan->nended++] = *part;
	fan->touched = true;
	if (part->succeeded)
		fan->tally.succeeded++;
	else
		fan->tally.failed++;
	judge(fan, part->closes);
}

/*
 * What this batch knows is the table as of its claim and its own doing.
 */
static void
judge(CanoFan *fan, CanoClosed closes)
{
	if (closes != CANO_OPEN ||
		cano_join_judge(fan->join, &fan->tally) != CANO_JOIN_OPEN)
		fan->over = true;
}

void
cano_fan_close(CanoFan *fan, CanoClosed why)
{
	fan->touched = true;
	fan->over = true;
	fan->closing = why;
}

CanoNext
cano_fan_next(CanoRun *lane, MemoryContext context)
{
	CanoFan    *fan = lane->fan;

	if (fan->over || fan->tally.total == nlanes(lane, fan->tally.total))
		return CANO_NEXT_NONE;
	if (fan->opener != NULL)
		return next_of_all(lane);
	if (fan->next_taken == fan->ntaken)
	{
		bool		others;
		CanoWindow	window;

		cano_window_open(&window);
		fan->last_taken = Max(fan->last_taken, Max(lane->branch, fan->low));
		others = take(lane, &fan->last_taken, context);
		if (fan->ntaken == 0 && !is_only(lane) && fan->low < fan->tally.total - 1)
		{
			int			behind;

			/*
			 * Before a lane ends it looks for what it passed by because
			 * somebody else had taken it, who may not have done it: his
			 * transaction failed, or is over but has not let go of its locks.
			 */
			fan->low = behind = cano_store_next_unbegun(fan, fan->low) - 1;
			others = take(lane, &behind, context);
		}
		cano_window_close(&window);
		if (fan->ntaken == 0)
		{
			if (!others)
				fan->low = fan->tally.total - 1;
			lane->branch = fan->low;
			return others ? CANO_NEXT_LATER : CANO_NEXT_NONE;
		}
	}
	lane->branch = fan->taken[fan->next_taken].branch;
	lane->item = fan->taken[fan->next_taken].input;
	fan->next_taken++;
	return CANO_NEXT_BRANCH;
}

/*
 * Nobody else takes anything of a fan that is not in the table.
 */
static CanoNext
next_of_all(CanoRun *lane)
{
	CanoFan    *fan = lane->fan;

	if (fan->next_taken == fan->tally.total)
		return CANO_NEXT_NONE;
	lane->branch = fan->next_taken++;
	if (fan->items)
		lane->item = fan->inputs[lane->branch];
	return CANO_NEXT_BRANCH;
}

/*
 * The only lane meets nobody, and leaves nothing behind.
 */
static bool
is_only(const CanoRun *lane)
{
	return nlanes(lane, lane->fan->tally.total) == 1;
}

/*
 * Take the next branches behind that one, which is moved: what nobody has
 * begun of a whole stretch, until the end of the transaction.  Not by locks on
 * the rows: a row that was changed meanwhile is locked before it is found to
 * be of no use, and its lane, which holds the fan, would wait for whoever did
 * so, who waits for the fan.  A stretch that this transaction had taken before
 * has nothing more for it, whatever the table says.  True if others have some
 * in hand.
 */
static bool
take(const CanoRun *lane, int *behind, MemoryContext context)
{
	CanoFan    *fan = lane->fan;
	bool		others = false;
	int			next = *behind + 1;

	if (fan->taken == NULL)
		fan->taken = MemoryContextAlloc(context, sizeof(CanoTaken) * MAX_TAKEN);
	fan->ntaken = fan->next_taken = 0;
	while (next < fan->tally.total && fan->ntaken == 0)
	{
		Stretch		stretch = stretch_of(lane, next);
		LOCKTAG		tag = stretch_tag(fan->id, stretch);
		LockAcquireResult result = is_only(lane) ? LOCKACQUIRE_OK :
			LockAcquire(&tag, ExclusiveLock, false, true);

		next = stretch.last + 1;
		if (result == LOCKACQUIRE_NOT_AVAIL)
		{
			others = true;
			continue;
		}
		if (result == LOCKACQUIRE_OK)
		{
			/* Who gets the lock sees what its last holder committed. */
			fan->ntaken = cano_store_take(fan->id, stretch.first, stretch.last,
										  fan->taken, context);
			if (fan->ntaken == 0 && !is_only(lane))
				LockRelease(&tag, ExclusiveLock, false);
		}
		if (fan->ntaken == 0)
			next = cano_store_next_unbegun(fan, stretch.last);
	}
	*behind = next - 1;
	return others;
}

/*
 * The stretch that a branch belongs to, the same for all.  What one worker has
 * taken, the others pass by: so the less is left behind them, the shorter
 * stretches are.
 */
static Stretch
stretch_of(const CanoRun *lane, int branch)
{
	int			total = lane->fan->tally.total;
	int			sharers = Min(nlanes(lane, total), MAX_SHARERS);
	int			left = total - 1 - branch;
	int			size = MAX_TAKEN;
	Stretch		stretch;

	while (sharers > 1 && size > 1 && left < 2 * sharers * size)
		size /= 2;
	stretch.last = total - 1 - left / size * size;
	stretch.first = Max(stretch.last - size + 1, 0);
	return stretch;
}

/*
 * A lock that nothing in SQL can ask for.
 */
static LOCKTAG
stretch_tag(int64 fan, Stretch stretch)
{
	int64		key[] = {fan, stretch.last};
	uint64		hash = hash_bytes_extended((const unsigned char *) key,
										   sizeof(key), 0);
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (hash >> 32),
						 (uint32) hash, LOCK_CLASS);
	return tag;
}

CanoPlace
cano_fan_settle(CanoSettlement *settlement)
{
	CanoFans   *fans = settlement->fans;
	CanoFan   **touched = palloc(sizeof(CanoFan *) * Max(fans->nfans, 1));
	CanoPlace	first = CANO_NO_PLACE;
	int			n = 0;

	for (int i = 0; i < fans->nfans; i++)
	{
		CanoFan    *fan = fans->fans[i];

		if (fan->touched)
			touched[n++] = fan;
		else if (fan->left_lanes && fan->closed != CANO_OPEN)
			cano_store_drop_lanes(fan, settlement->owner);
	}
	if (n == 0)
		return first;

	/* Nobody asks in which order items ended: they need no lock. */
	for (int i = 0; i < n; i++)
		for (int j = 0; touched[i]->items && j < touched[i]->nended; j++)
			mark_ended(fans, touched[i], &touched[i]->ended[j]);
	cano_store_marks(&fans->marks);

	qsort(touched, n, sizeof(CanoFan *), compare_ids);
	cano_store_lock_fans(n, touched);
	for (int i = 0; i < n; i++)
		if (!settle_one(fans, touched[i]))
		{
			fans->overtaken = true;
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("branches of run " INT64_FORMAT " were cancelled meanwhile",
							touched[i]->run)));
		}
	cano_store_tallies(n, touched);
	cano_store_marks(&fans->marks);

	for (int i = 0; i < n; i++)
	{
		CanoFan    *fan = touched[i];

		if (fan->closing == CANO_OPEN)
			continue;
		first = cano_place_min(first, cano_store_join(fan));
		if (fan->tally.succeeded + fan->tally.failed < fan->tally.total)
		{
			cano_store_drop_lanes(fan, settlement->owner);
			cano_stop_at_commit(fan->run, fan->id);
		}
	}
	return first;
}

/*
 * Add this batch's part to what the table says now.  False when something of
 * it comes too late.  Leaves "closing" set if the fan is to be closed.
 */
static bool
settle_one(CanoFans *fans, CanoFan *fan)
{
	CanoClosed	closing = CANO_OPEN;

	if (fan->closed != CANO_OPEN)
	{
		/*
		 * Two may close it, the second by what its claim still saw; but a
		 * lane that it leaves behind nobody would drop.
		 */
		bool		harmless = fan->nended == 0 && !fan->left_lanes &&
			fan->closing != CANO_OPEN;

		fan->closing = CANO_OPEN;
		return harmless;
	}
	for (int i = 0; i < fan->nended; i++)
	{
		const CanoPart *part = &fan->ended[i];

		if (closing != CANO_OPEN)
			return false;
		if (part->succeeded)
			fan->tally.succeeded++;
		else
			fan->tally.failed++;
		if (part->closes != CANO_OPEN)
		{
			closing = part->closes;
			fan->verdict = part->error;
		}
		else if (cano_join_judge(fan->join, &fan->tally) != CANO_JOIN_OPEN)
			closing = CANO_CLOSED_JOINED;
		if (!fan->items || fan->opener != NULL)
			mark_ended(fans, fan, part);
	}
	if (closing == CANO_OPEN)
		closing = fan->closing;
	fan->closing = closing;
	return true;
}

static void
mark_ended(CanoFans *fans, const CanoFan *fan, const CanoPart *part)
{
	cano_store_mark(&fans->marks, fan, part, part->succeeded ? 'c' : 'f', 0,
					fan->items ? 0 : fan->tally.succeeded + fan->tally.failed);
}

static int
compare_ids(const void *a, const void *b)
{
	int64		id_a = (*(CanoFan *const *) a)->id;
	int64		id_b = (*(CanoFan *const *) b)->id;

	return id_a < id_b ? -1 : id_a > id_b;
}

/*
 * A state without branches or items has no fan.
 */
void
cano_fan_results(const CanoRun *run, MemoryContext context,
				 CanoResults *results)
{
	const CanoFan *fan = run->fan;
	CanoWindow	window;

	memset(results, 0, sizeof(*results));
	if (fan == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(context);

		results->outputs = cano_json_array(NULL, NIL);
		MemoryContextSwitchTo(caller);
		return;
	}
	results->tally = fan->tally;
	cano_window_open(&window);
	results->outputs = cano_store_outputs(fan, context);
	if (!fan->items && fan->tally.failed > 0)
		results->errors = cano_store_first_errors(fan, context);
	cano_window_close(&window);
}
