/*-------------------------------------------------------------------------
 *
 * shmem.c
 *	  The shared memory and its slots: who runs what since when.
 *
 * A slot belongs to one process from attach to release.  Release happens on
 * the way out of the process after its transaction is over (on_shmem_exit,
 * not before_shmem_exit): whoever is told then really finds the jobs free.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "access/htup_details.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "breaker.h"
#include "compat.h"
#include "debug.h"
#include "limiter.h"
#include "metrics.h"
#include "origin.h"
#include "recorder.h"
#include "shared.h"
#include "lookup.h"
#include "shmem.h"

#define SLOT_COLUMNS	17

static void request_memory(void);
static void make_memory(void);
static void initialize(void);
static uint64 boot_id(void);
static void occupy(int slot, CanoSlotKind kind);
static void exit_callback(int code, Datum arg);
static void put_slot(ReturnSetInfo *rsinfo, const CanoSlot *slot,
					 const CanoTask *task);
static Datum text_datum(const char *string, bool *isnull);

PG_FUNCTION_INFO_V1(cano_slots);
PG_FUNCTION_INFO_V1(cano_engine);

CanoShared *cano_shared = NULL;
HTAB	   *cano_lanes = NULL;
int			cano_my_slot = -1;

static shmem_request_hook_type previous_request_hook = NULL;
static shmem_startup_hook_type previous_startup_hook = NULL;
static bool exit_registered = false;

void
cano_shmem_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	previous_request_hook = shmem_request_hook;
	shmem_request_hook = request_memory;
	previous_startup_hook = shmem_startup_hook;
	shmem_startup_hook = make_memory;
}

static void
request_memory(void)
{
	if (previous_request_hook)
		previous_request_hook();
	RequestAddinShmemSpace(MAXALIGN(sizeof(CanoShared)));
	RequestAddinShmemSpace(hash_estimate_size(CANO_LANES, sizeof(CanoLane)));
	RequestNamedLWLockTranche("cano", 1);
	cano_breaker_request_memory();
	cano_limiter_request_memory();
	cano_metrics_request_memory();
}

static void
make_memory(void)
{
	HASHCTL		info = {0};
	bool		found;

	if (previous_startup_hook)
		previous_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	cano_shared = ShmemInitStruct("cano", sizeof(CanoShared), &found);
	if (!found)
		initialize();
	info.keysize = sizeof(CanoLaneKey);
	info.entrysize = sizeof(CanoLane);
	cano_lanes = ShmemInitHash("cano lanes", CANO_LANES, &info,
							   HASH_ELEM | HASH_BLOBS | HASH_FIXED_SIZE);
	cano_breaker_make_memory();
	cano_limiter_make_memory();
	cano_metrics_make_memory();
	LWLockRelease(AddinShmemInitLock);
}

static void
initialize(void)
{
	memset(cano_shared, 0, sizeof(CanoShared));
	cano_shared->lock = &GetNamedLWLockTranche("cano")[0].lock;
	cano_shared->boot_id = boot_id();
	cano_shared->incarnation = GetCurrentTimestamp();
	cano_shared->launcher_until = DT_NOEND;
	for (int i = 0; i < CANO_SLOTS; i++)
		SpinLockInit(&cano_shared->slots[i].mutex);
	ConditionVariableInit(&cano_shared->released.cv);
	for (int i = 0; i < CANO_BUCKETS; i++)
		ConditionVariableInit(&cano_shared->waiters[i].cv);
}

/* Which run of the operating system this is; 0 where it does not tell. */
static uint64
boot_id(void)
{
	char		id[64];
	int			fd;
	ssize_t		length;

	fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY);
	if (fd < 0)
		return 0;
	length = read(fd, id, sizeof(id));
	close(fd);
	if (length <= 0)
		return 0;
	return DatumGetUInt64(hash_any_extended((unsigned char *) id, length, 0));
}

void
cano_launcher_wake(void)
{
	if (cano_shared->launcher)
		SetLatch(cano_shared->launcher);
}

/* Caller holds the LWLock exclusively; the rest of the slot is set already. */
static void
occupy(int slot, CanoSlotKind kind)
{
	CanoSlot   *mine = &cano_shared->slots[slot];
	CanoTask   *task = &cano_shared->tasks[slot];

	mine->pid = MyProcPid;
	mine->latch = &MyProc->procLatch;
	mine->started_at = cano_now();
	SpinLockAcquire(&mine->mutex);
	mine->phase = CANO_PHASE_BUSY;
	task->running = false;
	task->progress = false;
	SpinLockRelease(&mine->mutex);
	mine->kind = kind;
	cano_my_slot = slot;
}

bool
cano_slot_attach_worker(int slot, uint32 stamp)
{
	CanoSlot   *mine = &cano_shared->slots[slot];

	/* First: from the moment we have the slot, our end must free it. */
	if (!exit_registered)
		on_shmem_exit(exit_callback, (Datum) 0);
	exit_registered = true;

	LWLockAcquire(cano_shared->lock, LW_EXCLUSIVE);
	if (mine->kind == CANO_SLOT_STARTING && mine->stamp == stamp)
	{
		occupy(slot, CANO_SLOT_WORKER);
		/* Until it has done something: see cano_lane_succeed(). */
		mine->failed = !mine->leave;
		/* Whatever was committed until now, our first look will see. */
		cano_lane_look();
	}
	LWLockRelease(cano_shared->lock);

	if (cano_my_slot >= 0)
		cano_recorder_attach(cano_my_slot);
	return cano_my_slot >= 0 && !mine->leave;
}

void
cano_slot_attach(Oid role)
{
	if (cano_shared == NULL || cano_my_slot >= 0)
		return;
	if (!exit_registered)
		on_shmem_exit(exit_callback, (Datum) 0);
	exit_registered = true;

	LWLockAcquire(cano_shared->lock, LW_EXCLUSIVE);
	for (int i = CANO_WORKER_SLOTS; i < CANO_SLOTS; i++)
	{
		CanoSlot   *slot = &cano_shared->slots[i];

		if (slot->kind != CANO_SLOT_FREE)
			continue;
		slot->stamp = ++cano_shared->last_stamp;
		slot->database = MyDatabaseId;
		slot->role = role;
		slot->lane = NULL;
		slot->leave = slot->failed = false;
		occupy(i, CANO_SLOT_SESSION);
		break;
	}
	LWLockRelease(cano_shared->lock);

	if (cano_my_slot >= 0)
		cano_recorder_attach(cano_my_slot);
}

void
cano_slot_detach(void)
{
	int			slot = cano_my_slot;
	Oid			role;

	if (slot < 0)
		return;
	role = cano_shared->slots[slot].role;
	cano_recorder_detach();
	cano_my_slot = -1;
	cano_slot_release(slot);

	/* A batch that failed gives back jobs which idle workers overlooked. */
	cano_lane_note_at_end(role);
}

static void
exit_callback(int code, Datum arg)
{
	int			slot = cano_my_slot;
	CanoSlotKind kind;
	Oid			role;

	if (slot < 0)
		return;
	kind = cano_shared->slots[slot].kind;
	role = cano_shared->slots[slot].role;
	if (cano_recorder_exit())
		cano_shared->slots[slot].failed = false;
	cano_my_slot = -1;
	cano_slot_release(slot);
	if (kind == CANO_SLOT_SESSION)
		cano_lane_note(MyDatabaseId, role, DT_NOBEGIN, CANO_FIRST_PLACE);
}

void
cano_slot_release(int slot)
{
	CanoSlot   *freed = &cano_shared->slots[slot];
	CanoLane   *lane;
	CanoSlotPhase phase;

	LWLockAcquire(cano_shared->lock, LW_EXCLUSIVE);
	SpinLockAcquire(&freed->mutex);
	phase = freed->phase;
	cano_shared->tasks[slot].running = false;
	SpinLockRelease(&freed->mutex);

	lane = freed->lane;
	if (lane && freed->failed)
		cano_lane_fail(lane);
	freed->kind = CANO_SLOT_FREE;
	freed->pid = 0;
	freed->latch = NULL;
	freed->lane = NULL;

	/* Who did not leave from idleness may leave work behind. */
	if (lane && phase != CANO_PHASE_LEAVING)
		cano_lane_alert(lane);
	cano_launcher_wake();
	LWLockRelease(cano_shared->lock);
	ConditionVariableBroadcast(&cano_shared->released.cv);
}

int
cano_slot_ask_database(Oid database)
{
	int			count = 0;

	LWLockAcquire(cano_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < cano_shared->nworker_slots; i++)
	{
		CanoSlot   *slot = &cano_shared->slots[i];

		if (slot->kind == CANO_SLOT_FREE || slot->database != database)
			continue;
		count++;
		if (slot->leave)
			continue;
		slot->leave = true;
		slot->asked_at = cano_now();
		if (slot->latch)
			SetLatch(slot->latch);
	}
	for (int i = 0; i < CANO_SCANS; i++)
	{
		if (cano_shared->scans[i].database == database)
			count++;
	}
	if (cano_shared->sweep.database == database)
	{
		cano_shared->sweep.leave = true;
		count++;
	}
	LWLockRelease(cano_shared->lock);
	return count;
}

void
cano_slot_begin(const CanoDoing *doing)
{
	CanoSlot   *slot;
	CanoTask   *mine;

	if (cano_my_slot < 0)
		return;
	slot = &cano_shared->slots[cano_my_slot];
	mine = &cano_shared->tasks[cano_my_slot];
	SpinLockAcquire(&slot->mutex);
	mine->running = true;
	mine->stopped = false;
	mine->sheltered = doing->sheltered;
	mine->after_end = doing->after_end;
	mine->run = doing->run;
	mine->fan = doing->fan;
	mine->branch = doing->branch;
	mine->attempt = doing->attempt;
	mine->since = doing->since;
	mine->progress = false;
	strlcpy(mine->workflow, doing->workflow, sizeof(mine->workflow));
	strlcpy(mine->state, doing->state, sizeof(mine->state));
	strlcpy(mine->task, doing->task, sizeof(mine->task));
	SpinLockRelease(&slot->mutex);
}

bool
cano_slot_end(void)
{
	CanoSlot   *slot;
	CanoTask   *mine;
	bool		stopped;
	bool		sheltered;

	if (cano_my_slot < 0)
		return false;
	slot = &cano_shared->slots[cano_my_slot];
	mine = &cano_shared->tasks[cano_my_slot];
	SpinLockAcquire(&slot->mutex);
	stopped = mine->running && mine->stopped;
	sheltered = mine->sheltered;
	mine->running = false;
	SpinLockRelease(&slot->mutex);
	if (!stopped || sheltered)
		return stopped;

	/* He has sent the signal when he lets go of the lock. */
	LWLockAcquire(cano_shared->lock, LW_SHARED);
	LWLockRelease(cano_shared->lock);

	/* A pending signal is delivered at the latest with a system call. */
	(void) getppid();
	QueryCancelPending = false;
	return true;
}

void
cano_slots_stop(bool (*is_stopped) (int64 run, int64 fan))
{
	if (cano_shared == NULL)
		return;
	LWLockAcquire(cano_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < CANO_SLOTS; i++)
	{
		CanoSlot   *slot = &cano_shared->slots[i];
		CanoTask   *task = &cano_shared->tasks[i];
		bool		running;
		int64		run;
		int64		fan;

		if (i == cano_my_slot || slot->pid == 0 ||
			slot->database != MyDatabaseId)
			continue;
		SpinLockAcquire(&slot->mutex);
		running = task->running && !task->stopped;
		run = task->run;
		fan = task->fan;
		SpinLockRelease(&slot->mutex);
		if (!running || !is_stopped(run, fan))
			continue;

		SpinLockAcquire(&slot->mutex);
		running = task->running && task->run == run && task->fan == fan;
		task->stopped |= running;
		running &= !task->sheltered;
		SpinLockRelease(&slot->mutex);
		if (running)
			kill(slot->pid, SIGINT);
	}
	LWLockRelease(cano_shared->lock);
}

void
cano_slot_progress(int64 done, int64 total, const char *note)
{
	CanoSlot   *slot;
	CanoTask   *mine;

	if (cano_my_slot < 0)
		return;
	slot = &cano_shared->slots[cano_my_slot];
	mine = &cano_shared->tasks[cano_my_slot];
	SpinLockAcquire(&slot->mutex);
	mine->progress = true;
	mine->done = done;
	mine->total = total;
	strlcpy(mine->note, note ? note : "", sizeof(mine->note));
	SpinLockRelease(&slot->mutex);
}

/*
 * cano._slots(): one row a slot in use, of roles that the caller may see.
 * Views check functions as their reader, so this one is callable by all who
 * may read the views.
 */
Datum
cano_slots(PG_FUNCTION_ARGS)
{
	CanoTask   *task = palloc(sizeof(CanoTask));

	InitMaterializedSRF(fcinfo, 0);
	if (cano_shared == NULL)
		return (Datum) 0;

	for (int i = 0; i < CANO_SLOTS; i++)
	{
		CanoSlot   *shared = &cano_shared->slots[i];
		CanoSlot	slot;

		LWLockAcquire(cano_shared->lock, LW_SHARED);
		SpinLockAcquire(&shared->mutex);
		slot = *shared;
		memcpy(task, &cano_shared->tasks[i], sizeof(CanoTask));
		SpinLockRelease(&shared->mutex);
		LWLockRelease(cano_shared->lock);
		if (slot.kind != CANO_SLOT_FREE && cano_lookup_can_see(slot.role))
			put_slot((ReturnSetInfo *) fcinfo->resultinfo, &slot, task);
	}
	return (Datum) 0;
}

static void
put_slot(ReturnSetInfo *rsinfo, const CanoSlot *slot, const CanoTask *task)
{
	Datum		values[SLOT_COLUMNS] = {0};
	bool		nulls[SLOT_COLUMNS] = {0};
	bool		idle = slot->kind == CANO_SLOT_WORKER &&
		slot->phase != CANO_PHASE_BUSY;

	values[0] = Int32GetDatum(slot->pid);
	nulls[0] = slot->pid == 0;
	values[1] = ObjectIdGetDatum(slot->database);
	values[2] = ObjectIdGetDatum(slot->role);
	values[3] = CStringGetTextDatum(slot->kind == CANO_SLOT_SESSION ?
									"session" : "worker");
	values[4] = CStringGetTextDatum(slot->kind == CANO_SLOT_STARTING ?
									"starting" : idle ? "idle" : "running");
	values[11] = TimestampTzGetDatum(slot->started_at);

	if (slot->kind != CANO_SLOT_STARTING && task->running)
	{
		values[5] = Int64GetDatum(task->run);
		values[6] = text_datum(task->workflow, &nulls[6]);
		values[7] = text_datum(task->state, &nulls[7]);
		values[8] = text_datum(task->task, &nulls[8]);
		values[9] = Int32GetDatum(task->attempt);
		values[10] = TimestampTzGetDatum(task->since);
		values[12] = Int64GetDatum(task->done);
		values[13] = Int64GetDatum(task->total);
		values[14] = text_datum(task->note, &nulls[14]);
		values[15] = Int32GetDatum(task->branch);
		nulls[15] = task->branch < 0;
		values[16] = BoolGetDatum(task->after_end);
	}
	else
	{
		memset(&nulls[5], true, 6 * sizeof(bool));
		nulls[15] = nulls[16] = true;
	}
	if (slot->kind == CANO_SLOT_STARTING || !task->running || !task->progress)
		memset(&nulls[12], true, 3 * sizeof(bool));

	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * Text as a slot holds it: perhaps cut in the middle of a character, perhaps
 * of a database with another encoding, which is shown as null.
 */
static Datum
text_datum(const char *string, bool *isnull)
{
	int			length = strlen(string);

	length = pg_mbcliplen(string, length, length);
	*isnull = length == 0 || !pg_verifymbstr(string, length, true);
	if (*isnull)
		return (Datum) 0;
	return PointerGetDatum(cstring_to_text_with_len(string, length));
}

/*
 * _engine(OUT preloaded boolean, OUT version text, OUT launcher boolean,
 * OUT origin bigint, OUT now timestamptz)
 */
Datum
cano_engine(PG_FUNCTION_ARGS)
{
	Datum		values[] = {
		BoolGetDatum(cano_shared != NULL),
		CStringGetTextDatum(CANO_VERSION),
		BoolGetDatum(cano_shared != NULL && cano_shared->launcher != NULL),
		Int64GetDatum(cano_origin()),
		TimestampTzGetDatum(cano_now())
	};
	bool		nulls[lengthof(values)] = {0};
	TupleDesc	desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values,
											 nulls));
}
