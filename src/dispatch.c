/*-------------------------------------------------------------------------
 *
 * dispatch.c
 *	  The launcher's view of lanes and workers: who is sent, started, or asked
 *	  to make room.
 *
 * A lane gets another worker when it has work that nobody has looked for, no
 * worker of it is idle or on its way, and neither its own limit nor the
 * server's is reached.  At the server's limit lanes take turns: while some
 * have no worker at all, others lose theirs, idle ones at once and busy ones
 * after a while, and the lane served the longest ago comes first.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "utils/timestamp.h"

#include "debug.h"
#include "dispatch.h"
#include "guc.h"
#include "hold.h"
#include "launcher.h"
#include "scan.h"
#include "shared.h"
#include "worker.h"

#define START_LIMIT		(30 * USECS_PER_SEC)	/* of a worker nobody watches */
#define GRACE			5000	/* us until a busy lane gets another worker */
#define TURN			(USECS_PER_SEC / 2) /* of a worker while others wait */

/* A lane that wants a worker. */
typedef struct Candidate
{
	CanoLaneKey key;
	bool		starving;		/* it has none */
	TimestampTz started_at;
} Candidate;

static void give_up_start(int index);
static void survey_lane(CanoLane *lane, TimestampTz now, bool full);
static bool waited_enough(CanoLane *lane, TimestampTz now);
static void count_slots(void);
static int	take_slot(const CanoLaneKey *key, TimestampTz now);
static bool start_worker(int index);
static void make_room(int wanted, TimestampTz now);
static int	choose_leaver(TimestampTz now);
static int	compare_candidates(const void *a, const void *b);

/* Handles of the workers that have not been seen to attach or end yet. */
static BackgroundWorkerHandle *starting[CANO_WORKER_SLOTS];
static uint32 starting_stamp[CANO_WORKER_SLOTS];

/* Of the current pass. */
static Candidate candidates[CANO_LANES];
static int	ncandidates;
static int	nworkers;

void
cano_dispatch_reap(TimestampTz now)
{
	for (int i = 0; i < cano_shared->nworker_slots; i++)
	{
		CanoSlot   *slot = &cano_shared->slots[i];
		CanoSlotKind kind;
		uint32		stamp;
		TimestampTz started_at;
		pid_t		pid;

		LWLockAcquire(cano_shared->lock, LW_SHARED);
		kind = slot->kind;
		stamp = slot->stamp;
		started_at = slot->started_at;
		LWLockRelease(cano_shared->lock);

		if (starting[i] == NULL)
		{
			/* A launcher before us started it. */
			if (kind != CANO_SLOT_STARTING)
				continue;
			if (started_at + START_LIMIT <= now)
				give_up_start(i);
			else
				cano_launcher_be_back(started_at + START_LIMIT);
		}
		else if (kind != CANO_SLOT_STARTING || stamp != starting_stamp[i])
		{
			pfree(starting[i]);
			starting[i] = NULL;
		}
		else if (GetBackgroundWorkerPid(starting[i], &pid) == BGWH_STOPPED)
		{
			pfree(starting[i]);
			starting[i] = NULL;
			give_up_start(i);
		}
	}
}

/* It ended before it began: back off, or forget a lane that cannot be. */
static void
give_up_start(int index)
{
	CanoSlot   *slot = &cano_shared->slots[index];
	CanoLaneKey key = {.database = slot->database, .role = slot->role};
	bool		gone = cano_launcher_is_gone(&key);

	LWLockAcquire(cano_shared->lock, LW_EXCLUSIVE);
	if (slot->kind != CANO_SLOT_STARTING)
	{
		/* It attached after all, between two looks. */
		LWLockRelease(cano_shared->lock);
		return;
	}
	slot->stamp = ++cano_shared->last_stamp;	/* now it cannot any more */
	slot->failed = !slot->leave;
	SpinLockAcquire(&slot->mutex);
	slot->phase = gone ? CANO_PHASE_LEAVING : CANO_PHASE_BUSY;
	SpinLockRelease(&slot->mutex);
	LWLockRelease(cano_shared->lock);
	cano_slot_release(index);
}

/*
 * One look at all lanes: send idle workers, collect the lanes that want
 * another one, and find out when to look again.
 */
void
cano_dispatch_survey(TimestampTz now)
{
	HASH_SEQ_STATUS status;
	CanoLane   *lane;
	int			earlier = nworkers;
	bool		full;

	ncandidates = 0;
	LWLockAcquire(cano_shared->lock, LW_EXCLUSIVE);
	count_slots();
	if (nworkers < earlier)
		cano_launcher_place_freed();
	full = nworkers >= Min(cano_max_workers, CANO_WORKER_SLOTS);
	hash_seq_init(&status, cano_lanes);
	while ((lane = hash_seq_search(&status)) != NULL)
		survey_lane(lane, now, full);
	/* Until then nobody needs to tell us of a later time. */
	cano_shared->launcher_until = cano_launcher_back_at();
	LWLockRelease(cano_shared->lock);
}

static void
survey_lane(CanoLane *lane, TimestampTz now, bool full)
{
	bool		wants;
	Candidate  *candidate;

	SpinLockAcquire(&lane->mutex);
	if (lane->due_at <= now)
	{
		lane->due_at = DT_NOEND;
		lane->generation++;
	}
	cano_launcher_be_back(lane->due_at);
	wants = lane->generation != lane->attended || lane->backlog;
	lane->saturated = lane->workers >= cano_workers_per_role ||
		(full && lane->workers > 0);
	SpinLockRelease(&lane->mutex);

	if (!wants)
		lane->wanted_since = DT_NOBEGIN;
	if (!wants || lane->starting > 0)
		return;
	if (lane->idle > 0 && cano_lane_send_idle(lane))
		return;
	if (lane->workers >= cano_workers_per_role)
		return;
	if (lane->retry_at > now)
	{
		cano_launcher_be_back(lane->retry_at);
		return;
	}
	if (cano_hold_is_on(lane->key.database, now) || !waited_enough(lane, now))
		return;
	candidate = &candidates[ncandidates++];
	candidate->key = lane->key;
	candidate->starving = lane->workers == 0;
	candidate->started_at = lane->started_at;
}

/*
 * Give those who work a moment to get to it before they are helped.
 */
static bool
waited_enough(CanoLane *lane, TimestampTz now)
{
	if (lane->workers == 0)
		return true;
	if (lane->wanted_since == DT_NOBEGIN ||
		(lane->wanted_attended != lane->attended && !lane->backlog))
	{
		lane->wanted_since = now;
		lane->wanted_attended = lane->attended;
	}
	if (lane->wanted_since + GRACE <= now)
		return true;
	cano_launcher_be_back(lane->wanted_since + GRACE);
	return false;
}

static void
count_slots(void)
{
	HASH_SEQ_STATUS status;
	CanoLane   *lane;

	hash_seq_init(&status, cano_lanes);
	while ((lane = hash_seq_search(&status)) != NULL)
		lane->workers = lane->starting = lane->idle = 0;

	nworkers = 0;
	for (int i = 0; i < cano_shared->nworker_slots; i++)
	{
		CanoSlot   *slot = &cano_shared->slots[i];

		if (slot->kind == CANO_SLOT_FREE)
			continue;
		nworkers++;
		slot->lane->workers++;
		if (slot->kind == CANO_SLOT_STARTING)
			slot->lane->starting++;
		else if (slot->phase == CANO_PHASE_IDLE)
			slot->lane->idle++;
	}
}

/* Lanes without any worker first, then whose turn was the longest ago. */
static int
compare_candidates(const void *a, const void *b)
{
	const Candidate *left = a;
	const Candidate *right = b;

	if (left->starving != right->starving)
		return left->starving ? -1 : 1;
	if (left->started_at != right->started_at)
		return left->started_at < right->started_at ? -1 : 1;
	return 0;
}

void
cano_dispatch_workers(TimestampTz now, bool scan_waits)
{
	int			limit = Min(cano_max_workers, CANO_WORKER_SLOTS);
	bool		full = cano_launcher_is_refused(now);
	int			waiting = scan_waits ? 1 : 0;

	qsort(candidates, ncandidates, sizeof(Candidate), compare_candidates);
	for (int i = 0; i < ncandidates; i++)
	{
		int			slot;

		/* First its marks must be written: a scan is on its way. */
		if (cano_scan_has_marks(candidates[i].key.database))
			continue;
		full |= nworkers >= limit;
		if (!full)
		{
			slot = take_slot(&candidates[i].key, now);
			if (slot < 0)
				continue;
			full = !start_worker(slot);
		}
		if (full)
			waiting += candidates[i].starving ? 1 : 0;
		else
			nworkers++;
	}
	make_room(waiting, now);
}

/* Keep a slot for a worker to come; -1 when it may not come. */
static int
take_slot(const CanoLaneKey *key, TimestampTz now)
{
	CanoLane   *lane;
	int			index = 0;
	CanoSlot   *slot;

	LWLockAcquire(cano_shared->lock, LW_EXCLUSIVE);
	while (index < CANO_WORKER_SLOTS &&
		   cano_shared->slots[index].kind != CANO_SLOT_FREE)
		index++;
	lane = hash_search(cano_lanes, key, HASH_FIND, NULL);
	if (index == CANO_WORKER_SLOTS || lane == NULL ||
		cano_hold_is_on(key->database, now))
	{
		LWLockRelease(cano_shared->lock);
		return -1;
	}
	cano_shared->nworker_slots = Max(cano_shared->nworker_slots, index + 1);
	slot = &cano_shared->slots[index];
	slot->stamp = ++cano_shared->last_stamp;
	slot->database = key->database;
	slot->role = key->role;
	slot->pid = 0;
	slot->latch = NULL;
	slot->lane = lane;
	slot->started_at = lane->started_at = now;
	lane->wanted_since = DT_NOBEGIN;
	slot->asked_at = DT_NOBEGIN;
	slot->leave = slot->failed = false;
	slot->kind = CANO_SLOT_STARTING;
	SpinLockAcquire(&lane->mutex);
	lane->attended = lane->generation;
	lane->backlog = false;
	SpinLockRelease(&lane->mutex);
	LWLockRelease(cano_shared->lock);
	return index;
}

static bool
start_worker(int index)
{
	CanoSlot   *slot = &cano_shared->slots[index];
	CanoWorkerArguments arguments = {
		.database = slot->database,
		.role = slot->role,
		.slot = index,
		.stamp = slot->stamp
	};

	if (cano_launcher_start("cano worker", "cano_worker_main", &arguments,
							sizeof(arguments), &starting[index], cano_now()))
	{
		starting_stamp[index] = slot->stamp;
		return true;
	}
	slot->failed = false;
	SpinLockAcquire(&slot->mutex);
	slot->phase = CANO_PHASE_BUSY;
	SpinLockRelease(&slot->mutex);
	cano_slot_release(index);
	return false;
}

/*
 * Lanes without a worker wait while others have them all: ask some to leave,
 * idle ones first, then those whose turn has been the longest.
 */
static void
make_room(int wanted, TimestampTz now)
{
	LWLockAcquire(cano_shared->lock, LW_EXCLUSIVE);
	cano_shared->crowded = wanted > 0;
	for (int i = 0; wanted > 0 && i < cano_shared->nworker_slots; i++)
	{
		CanoSlot   *slot = &cano_shared->slots[i];

		/* On its way, unless a long task keeps it: then ask another. */
		if (slot->kind != CANO_SLOT_FREE && slot->leave &&
			slot->asked_at + TURN > now)
		{
			wanted--;
			cano_launcher_be_back(slot->asked_at + TURN);
		}
	}
	for (; wanted > 0; wanted--)
	{
		int			index = choose_leaver(now);
		CanoSlot   *slot;

		if (index < 0)
			break;
		slot = &cano_shared->slots[index];
		slot->leave = true;
		slot->asked_at = now;
		SpinLockAcquire(&slot->mutex);
		if (slot->phase == CANO_PHASE_IDLE)
			slot->phase = CANO_PHASE_LEAVING;
		SpinLockRelease(&slot->mutex);
		SetLatch(slot->latch);
		cano_launcher_be_back(now + TURN);
	}
	LWLockRelease(cano_shared->lock);
}

static int
choose_leaver(TimestampTz now)
{
	int			best = -1;
	bool		best_idle = false;

	for (int i = 0; i < cano_shared->nworker_slots; i++)
	{
		CanoSlot   *slot = &cano_shared->slots[i];
		bool		idle = slot->phase == CANO_PHASE_IDLE;

		if (slot->kind == CANO_SLOT_FREE || slot->leave)
			continue;
		if (slot->kind == CANO_SLOT_STARTING ||
			(!idle && slot->started_at + TURN > now))
		{
			cano_launcher_be_back(slot->started_at + TURN > now ?
								  slot->started_at + TURN : now + TURN);
			continue;
		}
		if (best < 0 || (idle && !best_idle) ||
			(idle == best_idle &&
			 slot->started_at < cano_shared->slots[best].started_at))
		{
			best = i;
			best_idle = idle;
		}
	}
	return best;
}
