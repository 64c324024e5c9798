/*-------------------------------------------------------------------------
 *
 * lane.c
 *	  Lanes: which (database, role) has work due, and who is sent for it.
 *
 * No wake-up is lost, because of four rules.
 * - New work raises the lane's generation after its commit is visible, and who
 *   claims some of it does when there is more: he attended to all of it.
 * - A worker notes the generation as attended before it takes the snapshot
 *   with which it looks.
 * - A worker becomes idle, or leaves, under the exclusive lock and only while
 *   nothing is unattended; whoever raises the generation holds the lock in
 *   shared mode until it has chosen an idle worker or told the launcher.
 * - A process that ends in any other way raises the generation itself, after
 *   its transaction is over.
 * The hint obeys the same order: it is lowered to new work after the commit
 * made that visible, and to the front after an abort freed what was claimed;
 * a commit raises it only if it was not lowered since before its claim looked.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

#include "debug.h"
#include "scan.h"
#include "shared.h"
#include "shmem.h"

#define FIRST_RETRY_MS		INT64CONST(1000)
#define LONGEST_RETRY_MS	INT64CONST(60000)
#define WAIT_WITHOUT_MEMORY	50	/* ms */

/* What the current transaction will tell at its commit. */
typedef struct PendingWake
{
	Oid			role;
	TimestampTz due_at;
	CanoPlace	place;
} PendingWake;

/* What the current transaction will interrupt at its commit. */
typedef struct PendingStop
{
	int64		run;
	int64		fan;
	int			level;			/* of the subtransaction */
} PendingStop;

/* A claim of the current transaction. */
typedef struct PendingClaim
{
	Oid			role;			/* InvalidOid: none */
	uint64		lowered;		/* the lane's, before it looked */
	CanoPlace	next;			/* it passed nothing over before this */
} PendingClaim;

/* A look at everything may take this share of the time. */
#define LOOK_AT_ALL_SHARE	50

static bool evict(void);
static bool has_slot(const CanoLane *lane);
static void register_callback(void);
static void transaction_ended(XactEvent event, void *arg);
static void raise_hint(void);
static void drop_hint(void);
static void tell_lanes(void);
static void interrupt_stopped(void);
static bool is_stopped(int64 run, int64 fan);
static void subtransaction_ended(SubXactEvent event, SubTransactionId subid,
								 SubTransactionId parent, void *arg);
static CanoLane *find_lane(Oid role);
static ConditionVariable *bucket(int64 run);

/* In TopTransactionContext. */
static List *pending = NIL;
static List *pending_stops = NIL;
static uint64 pending_buckets = 0;
static PendingClaim claim = {0};

/* To be told however the transaction ends. */
static Oid	role_at_end = InvalidOid;
static bool callback_registered = false;

CanoLane *
cano_lane_get(Oid database, Oid role)
{
	CanoLaneKey key = {.database = database, .role = role};
	CanoLane   *lane;
	bool		found;

	lane = hash_search(cano_lanes, &key, HASH_FIND, NULL);
	if (lane)
		return lane;
	if (hash_get_num_entries(cano_lanes) >= CANO_LANES && !evict())
		return NULL;
	lane = hash_search(cano_lanes, &key, HASH_ENTER_NULL, &found);
	if (lane == NULL)
		return NULL;
	memset(lane, 0, sizeof(CanoLane));
	lane->key = key;
	SpinLockInit(&lane->mutex);
	lane->due_at = DT_NOEND;
	lane->hint = CANO_FIRST_PLACE;
	lane->look_at_all_at = DT_NOBEGIN;
	lane->retry_at = lane->started_at = lane->wanted_since = DT_NOBEGIN;
	return lane;
}

/* Make room: forget a lane that knows nothing. */
static bool
evict(void)
{
	HASH_SEQ_STATUS status;
	CanoLane   *lane;
	CanoLaneKey key;

	hash_seq_init(&status, cano_lanes);
	while ((lane = hash_seq_search(&status)) != NULL)
	{
		if (lane->generation != lane->attended || lane->backlog ||
			lane->due_at != DT_NOEND || has_slot(lane))
			continue;
		hash_seq_term(&status);
		key = lane->key;
		hash_search(cano_lanes, &key, HASH_REMOVE, NULL);
		return true;
	}
	return false;
}

static bool
has_slot(const CanoLane *lane)
{
	for (int i = 0; i < cano_shared->nworker_slots; i++)
	{
		if (cano_shared->slots[i].lane == lane)
			return true;
	}
	return false;
}

void
cano_lane_forget_database(Oid database)
{
	HASH_SEQ_STATUS status;
	CanoLane   *lane;

	if (cano_shared == NULL)
		return;
	LWLockAcquire(cano_shared->lock, LW_EXCLUSIVE);
	hash_seq_init(&status, cano_lanes);
	while ((lane = hash_seq_search(&status)) != NULL)
	{
		CanoLaneKey key = lane->key;

		if (key.database == database && !has_slot(lane))
			hash_search(cano_lanes, &key, HASH_REMOVE, NULL);
	}
	LWLockRelease(cano_shared->lock);
}

bool
cano_lane_send_idle(CanoLane *lane)
{
	for (int i = 0; i < cano_shared->nworker_slots; i++)
	{
		CanoSlot   *slot = &cano_shared->slots[i];
		bool		chosen = false;

		if (slot->kind != CANO_SLOT_WORKER || slot->lane != lane)
			continue;
		SpinLockAcquire(&slot->mutex);
		if (slot->phase == CANO_PHASE_IDLE)
		{
			slot->phase = CANO_PHASE_BUSY;
			chosen = true;
		}
		SpinLockRelease(&slot->mutex);
		if (!chosen)
			continue;

		SpinLockAcquire(&lane->mutex);
		lane->attended = lane->generation;
		lane->backlog = false;
		SpinLockRelease(&lane->mutex);
		SetLatch(slot->latch);
		return true;
	}
	return false;
}

void
cano_lane_alert(CanoLane *lane)
{
	bool		saturated;

	SpinLockAcquire(&lane->mutex);
	lane->generation++;
	saturated = lane->saturated;
	SpinLockRelease(&lane->mutex);
	if (!cano_lane_send_idle(lane) && !saturated)
		cano_launcher_wake();
}

bool
cano_lane_note(Oid database, Oid role, TimestampTz due_at, CanoPlace place)
{
	CanoLaneKey key = {.database = database, .role = role};
	CanoLane   *lane;

	bool		lower = cano_place_before(place, CANO_NO_PLACE);

	if (due_at == DT_NOEND && !lower)
		return true;
	LWLockAcquire(cano_shared->lock, LW_SHARED);
	lane = hash_search(cano_lanes, &key, HASH_FIND, NULL);
	if (lane == NULL)
	{
		LWLockRelease(cano_shared->lock);
		LWLockAcquire(cano_shared->lock, LW_EXCLUSIVE);
		lane = cano_lane_get(database, role);
	}
	if (lane == NULL)
	{
		LWLockRelease(cano_shared->lock);
		return false;
	}

	if (lower || due_at <= cano_now())
	{
		SpinLockAcquire(&lane->mutex);
		lane->hint = cano_place_min(lane->hint, place);
		lane->lowered++;
		SpinLockRelease(&lane->mutex);
	}
	if (due_at == DT_NOBEGIN || due_at <= cano_now())
		cano_lane_alert(lane);
	else if (due_at != DT_NOEND)
	{
		SpinLockAcquire(&lane->mutex);
		if (due_at < lane->due_at)
			lane->due_at = due_at;
		SpinLockRelease(&lane->mutex);
		if (due_at < cano_shared->launcher_until)
			cano_launcher_wake();
	}
	LWLockRelease(cano_shared->lock);
	return true;
}

void
cano_lane_backlog(Oid role)
{
	CanoLaneKey key = {.database = MyDatabaseId, .role = role};
	CanoLane   *lane;
	bool		saturated;

	if (cano_shared == NULL)
		return;
	LWLockAcquire(cano_shared->lock, LW_SHARED);
	lane = hash_search(cano_lanes, &key, HASH_FIND, NULL);
	if (lane && !cano_lane_send_idle(lane))
	{
		/* Who looked before there was more must look again before it rests. */
		SpinLockAcquire(&lane->mutex);
		lane->backlog = true;
		lane->generation++;
		saturated = lane->saturated;
		SpinLockRelease(&lane->mutex);
		if (!saturated)
			cano_launcher_wake();
	}
	LWLockRelease(cano_shared->lock);
}

void
cano_lane_fail(CanoLane *lane)
{
	int64		wait = LONGEST_RETRY_MS;

	if (lane->failures < 6)
		wait = Min(FIRST_RETRY_MS << lane->failures, LONGEST_RETRY_MS);
	lane->failures++;
	lane->retry_at = cano_now() + wait * 1000;
}

/* ---- What a worker says of itself ---- */

void
cano_lane_look(void)
{
	CanoSlot   *slot = &cano_shared->slots[cano_my_slot];
	CanoLane   *lane = slot->lane;
	TimestampTz now = cano_now();

	/* In this order: who finds us busy does not count on this look. */
	SpinLockAcquire(&slot->mutex);
	slot->phase = CANO_PHASE_BUSY;
	SpinLockRelease(&slot->mutex);

	SpinLockAcquire(&lane->mutex);
	lane->attended = lane->generation;
	if (lane->due_at <= now)
		lane->due_at = DT_NOEND;
	SpinLockRelease(&lane->mutex);
}

bool
cano_lane_rest(TimestampTz next_due)
{
	CanoSlot   *slot = &cano_shared->slots[cano_my_slot];
	CanoLane   *lane = slot->lane;
	bool		seen_all;
	bool		sooner;

	LWLockAcquire(cano_shared->lock, LW_EXCLUSIVE);
	SpinLockAcquire(&lane->mutex);
	seen_all = lane->attended == lane->generation;
	sooner = seen_all && next_due < lane->due_at;
	if (sooner)
		lane->due_at = next_due;
	if (seen_all)
		lane->backlog = false;
	SpinLockRelease(&lane->mutex);

	if (seen_all)
	{
		SpinLockAcquire(&slot->mutex);
		slot->phase = CANO_PHASE_IDLE;
		slot->idle_since = cano_now();
		SpinLockRelease(&slot->mutex);
		if (cano_shared->crowded ||
			(sooner && next_due < cano_shared->launcher_until))
			cano_launcher_wake();
	}
	LWLockRelease(cano_shared->lock);
	return seen_all;
}

bool
cano_lane_resting(void)
{
	CanoSlot   *slot = &cano_shared->slots[cano_my_slot];
	bool		resting;

	SpinLockAcquire(&slot->mutex);
	resting = slot->phase == CANO_PHASE_IDLE;
	SpinLockRelease(&slot->mutex);
	return resting;
}

bool
cano_lane_leave(void)
{
	CanoSlot   *slot = &cano_shared->slots[cano_my_slot];
	bool		leave;

	SpinLockAcquire(&slot->mutex);
	leave = slot->phase != CANO_PHASE_BUSY;
	if (leave)
		slot->phase = CANO_PHASE_LEAVING;
	SpinLockRelease(&slot->mutex);
	return leave;
}

void
cano_lane_succeed(void)
{
	CanoSlot   *slot = &cano_shared->slots[cano_my_slot];
	CanoLane   *lane = slot->lane;

	/* A look without the lock is good enough to find nothing to do. */
	slot->failed = false;
	if (lane->failures == 0)
		return;
	LWLockAcquire(cano_shared->lock, LW_EXCLUSIVE);
	lane->failures = 0;
	lane->retry_at = DT_NOBEGIN;
	LWLockRelease(cano_shared->lock);
}

/* ---- The hint ---- */

/* In this database; the lock must be held. */
static CanoLane *
find_lane(Oid role)
{
	CanoLaneKey key = {.database = MyDatabaseId, .role = role};

	return hash_search(cano_lanes, &key, HASH_FIND, NULL);
}

CanoPlace
cano_lane_hint(Oid role)
{
	CanoPlace	hint = CANO_FIRST_PLACE;
	CanoLane   *lane;

	claim.role = InvalidOid;
	claim.lowered = PG_UINT64_MAX;
	if (cano_shared == NULL)
		return hint;
	LWLockAcquire(cano_shared->lock, LW_SHARED);
	lane = find_lane(role);
	if (lane != NULL)
	{
		SpinLockAcquire(&lane->mutex);
		claim.lowered = lane->lowered;
		hint = lane->hint;
		SpinLockRelease(&lane->mutex);
	}
	LWLockRelease(cano_shared->lock);
	return hint;
}

void
cano_lane_claimed(Oid role, CanoPlace next)
{
	if (cano_shared == NULL)
		return;
	register_callback();
	claim.role = role;
	claim.next = next;
}

bool
cano_lane_knows_due(Oid role)
{
	CanoLane   *lane;
	bool		knows = true;

	if (cano_shared == NULL)
		return true;			/* nobody asks */
	LWLockAcquire(cano_shared->lock, LW_SHARED);
	lane = find_lane(role);
	if (lane != NULL)
	{
		SpinLockAcquire(&lane->mutex);
		knows = lane->due_at != DT_NOEND;
		SpinLockRelease(&lane->mutex);
	}
	LWLockRelease(cano_shared->lock);
	return knows;
}

void
cano_lane_note_due(Oid role, TimestampTz due_at)
{
	(void) cano_lane_note(MyDatabaseId, role, due_at, CANO_NO_PLACE);
}

bool
cano_lane_may_look_at_all(Oid role)
{
	CanoLane   *lane;
	bool		may = false;

	if (cano_shared == NULL)
		return false;			/* it did */
	LWLockAcquire(cano_shared->lock, LW_SHARED);
	lane = find_lane(role);
	if (lane != NULL)
	{
		TimestampTz now = GetCurrentTimestamp();

		SpinLockAcquire(&lane->mutex);
		may = now >= lane->look_at_all_at;
		SpinLockRelease(&lane->mutex);
	}
	LWLockRelease(cano_shared->lock);
	return may;
}

void
cano_lane_looked_at_all(Oid role, double ms)
{
	TimestampTz next = GetCurrentTimestamp() +
		(int64) (ms * 1000 * LOOK_AT_ALL_SHARE);
	CanoLane   *lane;

	LWLockAcquire(cano_shared->lock, LW_SHARED);
	lane = find_lane(role);
	if (lane != NULL)
	{
		SpinLockAcquire(&lane->mutex);
		lane->look_at_all_at = next;
		SpinLockRelease(&lane->mutex);
	}
	LWLockRelease(cano_shared->lock);
}

/* ---- Told at the end of a transaction ---- */

void
cano_wake_at_commit(Oid role, TimestampTz due_at, CanoPlace place)
{
	MemoryContext caller;
	PendingWake *wake;
	ListCell   *cell;

	if (cano_shared == NULL)
		return;
	foreach(cell, pending)
	{
		wake = lfirst(cell);
		if (wake->role == role)
		{
			wake->due_at = Min(wake->due_at, due_at);
			wake->place = cano_place_min(wake->place, place);
			return;
		}
	}
	register_callback();
	caller = MemoryContextSwitchTo(TopTransactionContext);
	wake = palloc(sizeof(PendingWake));
	wake->role = role;
	wake->due_at = due_at;
	wake->place = place;
	pending = lappend(pending, wake);
	MemoryContextSwitchTo(caller);
}

void
cano_lower_at_commit(Oid role, CanoPlace place)
{
	cano_wake_at_commit(role, DT_NOEND, place);
}

void
cano_stop_at_commit(int64 run, int64 fan)
{
	MemoryContext caller;
	PendingStop *stop;

	register_callback();
	caller = MemoryContextSwitchTo(TopTransactionContext);
	stop = palloc(sizeof(PendingStop));
	stop->run = run;
	stop->fan = fan;
	stop->level = GetCurrentTransactionNestLevel();
	pending_stops = lappend(pending_stops, stop);
	MemoryContextSwitchTo(caller);
}

bool
cano_stop_is_pending(int64 run)
{
	return is_stopped(run, 0);
}

void
cano_wake_waiters_at_commit(int64 run)
{
	if (cano_shared == NULL)
		return;
	register_callback();
	pending_buckets |= UINT64CONST(1) << ((uint64) run % CANO_BUCKETS);
}

void
cano_lane_note_at_end(Oid role)
{
	if (IsTransactionState())
	{
		register_callback();
		role_at_end = role;
	}
	else
		cano_lane_note(MyDatabaseId, role, DT_NOBEGIN, CANO_FIRST_PLACE);
}

static void
register_callback(void)
{
	if (!callback_registered)
	{
		RegisterXactCallback(transaction_ended, NULL);
		RegisterSubXactCallback(subtransaction_ended, NULL);
	}
	callback_registered = true;
}

/*
 * Runs after the transaction's end became visible, where an error would be a
 * PANIC: nothing below may raise one, so nothing allocates.
 */
static void
transaction_ended(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			raise_hint();
			tell_lanes();
			interrupt_stopped();
			for (int i = 0; pending_buckets != 0; i++, pending_buckets >>= 1)
			{
				if (pending_buckets & 1)
					ConditionVariableBroadcast(&cano_shared->waiters[i].cv);
			}
			break;
		case XACT_EVENT_ABORT:
			drop_hint();
			break;
		case XACT_EVENT_PREPARE:	/* COMMIT PREPARED asks for a scan */
			break;
		default:
			return;
	}
	pending = NIL;
	pending_stops = NIL;
	pending_buckets = 0;
	claim.role = InvalidOid;
	if (OidIsValid(role_at_end))
		cano_lane_note(MyDatabaseId, role_at_end, DT_NOBEGIN, CANO_FIRST_PLACE);
	role_at_end = InvalidOid;
}

static void
raise_hint(void)
{
	CanoLane   *lane;

	if (!OidIsValid(claim.role))
		return;
	LWLockAcquire(cano_shared->lock, LW_SHARED);
	lane = find_lane(claim.role);
	if (lane != NULL)
	{
		SpinLockAcquire(&lane->mutex);
		if (lane->lowered == claim.lowered &&
			cano_place_before(lane->hint, claim.next))
			lane->hint = claim.next;
		SpinLockRelease(&lane->mutex);
	}
	LWLockRelease(cano_shared->lock);
}

/*
 * What the transaction had claimed is free again.  Nobody is woken for it:
 * who had it is still there, or wakes others by its end.
 */
static void
drop_hint(void)
{
	CanoLane   *lane;

	if (!OidIsValid(claim.role))
		return;
	LWLockAcquire(cano_shared->lock, LW_SHARED);
	lane = find_lane(claim.role);
	if (lane != NULL)
	{
		SpinLockAcquire(&lane->mutex);
		lane->hint = CANO_FIRST_PLACE;
		lane->lowered++;
		SpinLockRelease(&lane->mutex);
	}
	LWLockRelease(cano_shared->lock);
}

static void
tell_lanes(void)
{
	ListCell   *cell;

	foreach(cell, pending)
	{
		PendingWake *wake = lfirst(cell);

		if (!cano_lane_note(MyDatabaseId, wake->role, wake->due_at,
							wake->place))
			cano_scan_request(MyDatabaseId);
	}
}

static void
interrupt_stopped(void)
{
	if (pending_stops != NIL)
		cano_slots_stop(is_stopped);
}

static bool
is_stopped(int64 run, int64 fan)
{
	ListCell   *cell;

	foreach(cell, pending_stops)
	{
		const PendingStop *stop = lfirst(cell);

		if (stop->run == run && (stop->fan == 0 || stop->fan == fan))
			return true;
	}
	return false;
}

/*
 * Somebody who is not to be stopped after all must not be interrupted.
 */
static void
subtransaction_ended(SubXactEvent event, SubTransactionId subid,
					 SubTransactionId parent, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();
	ListCell   *cell;

	foreach(cell, pending_stops)
	{
		PendingStop *stop = lfirst(cell);

		if (stop->level < level)
			continue;
		if (event == SUBXACT_EVENT_COMMIT_SUB)
			stop->level = level - 1;
		else if (event == SUBXACT_EVENT_ABORT_SUB)
			pending_stops = foreach_delete_current(pending_stops, cell);
	}
}

/* ---- Waiting for the end of a run ---- */

static ConditionVariable *
bucket(int64 run)
{
	return &cano_shared->waiters[(uint64) run % CANO_BUCKETS].cv;
}

void
cano_waiter_prepare(int64 run)
{
	if (cano_shared)
		ConditionVariablePrepareToSleep(bucket(run));
}

void
cano_waiter_wait(int64 run, long timeout_ms)
{
	if (timeout_ms <= 0)
		return;
	if (cano_shared)
	{
		ConditionVariableTimedSleep(bucket(run), timeout_ms, PG_WAIT_EXTENSION);
		return;
	}
	(void) WaitLatch(MyLatch,
					 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 Min(timeout_ms, WAIT_WITHOUT_MEMORY), PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

void
cano_waiter_done(void)
{
	if (cano_shared)
		ConditionVariableCancelSleep();
}
