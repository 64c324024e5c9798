/*-------------------------------------------------------------------------
 *
 * breaker.c
 *	  Breakers: named circuit breakers that the attempts of all runs share.
 *
 * How a breaker is set is a row.  Whether it is open is a circuit in shared
 * memory: it changes with every attempt, must not wait for a commit nor go
 * away with a rollback, and need not outlive the server.  Without preload a
 * process has circuits of its own.
 *
 * A lightweight lock guards which circuits there are; a spinlock in each, what
 * it says.  Where more are in use than there is room for, the one not used
 * for longest is forgotten, which closes that breaker.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "breaker.h"
#include "circuit.h"
#include "compat.h"
#include "debug.h"
#include "error.h"
#include "part.h"
#include "store_breaker.h"
#include "value.h"
#include "window.h"

#define CIRCUITS		1024
#define TRANCHE			"cano_breakers"

/* What one process has under way at once: an attempt, and some to spare. */
#define PERMITS			8

/* How often a breaker may vanish between our looking for it and locking it. */
#define MAX_TRIES		10

/* An extension created anew numbers its breakers anew. */
typedef struct CircuitKey
{
	Oid			database;
	Oid			extension;
	int64		breaker;
} CircuitKey;

typedef struct CircuitEntry
{
	CircuitKey	key;
	slock_t		mutex;

	/* under the mutex */
	TimestampTz used_at;
	CanoCircuit circuit;
} CircuitEntry;

typedef struct CircuitMemory
{
	LWLock	   *lock;			/* fixed when the memory is made */
	uint64		created;		/* circuits ever; under the lock, exclusive */
} CircuitMemory;

/* A breaker's settings as they are remembered, by name. */
typedef struct Remembered
{
	const char *name;			/* hash key */
	int64		id;
	CanoCircuitPolicy policy;
} Remembered;

/* A permit that was not given back yet. */
typedef struct Held
{
	uint64		number;			/* 0: free */
	CircuitKey	key;
	uint64		epoch;
	CanoCircuitPolicy policy;
} Held;

typedef enum Ending
{
	ENDED_WELL,
	ENDED_BADLY,
	NOT_BEGUN
} Ending;

static void read_settings(FunctionCallInfo fcinfo,
						  CanoBreakerSettings *settings);
static char *name_argument(FunctionCallInfo fcinfo);
static int	at_least_one(FunctionCallInfo fcinfo, int number,
						 const char *parameter);
pg_noreturn static void refuse(const char *parameter, const char *problem);
static void check_owner(const char *name, const CanoBreakerRow *row, Oid user);
static void forget_everywhere(void);
static Held *free_place(void);
static Held *take(CanoPermit *permit);
static void settle(Held *held, Ending ending);
static void transaction_ended(XactEvent event, void *arg);
pg_noreturn static void refused(const char *name, const CanoCircuit *circuit);
static bool remember(const char *name, Remembered *found);
static void prepare_cache(void);
static uint32 hash_name(const void *key, Size keysize);
static int	compare_names(const void *a, const void *b, Size keysize);
static void table_changed(Datum arg, Oid relid);
static CircuitKey make_key(int64 breaker);
static CircuitEntry *find_circuit(const CircuitKey *key);
static CircuitEntry *get_circuit(const CircuitKey *key);
static void forget_oldest(void);
static void lock_circuits(LWLockMode mode);
static void unlock_circuits(void);
static void prepare_own_memory(void);

PG_FUNCTION_INFO_V1(cano_create_breaker);
PG_FUNCTION_INFO_V1(cano_drop_breaker);
PG_FUNCTION_INFO_V1(cano_breaker_circuit);

/* In shared memory, or without it this process's own (then without lock). */
static CircuitMemory *memory = NULL;
static HTAB *circuits = NULL;

static Held held_permits[PERMITS];
static uint64 last_number = 0;
static bool callback_registered = false;

/* Settings of one installation of the extension, by name. */
static HTAB *cache = NULL;
static MemoryContext cache_context = NULL;
static bool cache_valid = false;
static Oid	cache_extension = InvalidOid;
static Oid	cache_table = InvalidOid;

/* ---- What users call ---- */

/*
 * cano.create_breaker(name text, failure_threshold integer,
 * reset_timeout interval, half_open_max_calls integer) RETURNS void
 */
Datum
cano_create_breaker(PG_FUNCTION_ARGS)
{
	Oid			user = GetUserId();
	char	   *user_name = GetUserNameFromId(user, false);
	CanoBreakerSettings settings;
	CanoBreakerRow row;
	CanoWindow	window;
	char	   *name;
	bool		done = false;

	cano_window_refuse_restricted("cano.create_breaker");
	name = name_argument(fcinfo);
	read_settings(fcinfo, &settings);

	cano_window_open(&window);
	forget_everywhere();
	for (int i = 0; i < MAX_TRIES && !done; i++)
	{
		if (cano_store_breaker_lock(name, &row))
		{
			check_owner(name, &row, user);
			cano_store_breaker_set(name, &settings);
			done = true;
		}
		else
			done = cano_store_breaker_add(name, user, user_name, &settings);
	}
	if (!done)
		elog(ERROR, "could not lock breaker \"%s\"", name);
	cano_window_close(&window);
	PG_RETURN_VOID();
}

/*
 * cano.drop_breaker(name text) RETURNS void
 */
Datum
cano_drop_breaker(PG_FUNCTION_ARGS)
{
	Oid			user = GetUserId();
	CanoBreakerRow row;
	CanoWindow	window;
	char	   *name;

	cano_window_refuse_restricted("cano.drop_breaker");
	name = name_argument(fcinfo);

	cano_window_open(&window);
	forget_everywhere();
	if (!cano_store_breaker_lock(name, &row))
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_NOT_FOUND)),
				 errmsg("breaker \"%s\" does not exist", name)));
	check_owner(name, &row, user);
	cano_store_breaker_remove(name);
	cano_window_close(&window);
	PG_RETURN_VOID();
}

/*
 * cano._circuit(breaker bigint, OUT state text, OUT failures integer,
 * OUT open_until timestamptz)
 */
Datum
cano_breaker_circuit(PG_FUNCTION_ARGS)
{
	CircuitKey	key = make_key(PG_GETARG_INT64(0));
	Datum		values[3];
	bool		nulls[3] = {0};
	CircuitEntry *entry;
	CanoCircuit circuit;
	TupleDesc	desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	cano_circuit_init(&circuit, 0);
	prepare_own_memory();
	lock_circuits(LW_SHARED);
	entry = find_circuit(&key);
	if (entry != NULL)
	{
		SpinLockAcquire(&entry->mutex);
		circuit = entry->circuit;
		SpinLockRelease(&entry->mutex);
	}
	unlock_circuits();

	values[0] = CStringGetTextDatum(cano_circuit_name(circuit.state));
	values[1] = Int32GetDatum(circuit.failures);
	values[2] = TimestampTzGetDatum(circuit.open_until);
	nulls[2] = circuit.state != CANO_CIRCUIT_OPEN;
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values,
											 nulls));
}

static char *
name_argument(FunctionCallInfo fcinfo)
{
	char	   *name;

	if (PG_ARGISNULL(0))
		refuse("name", "must not be null");
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (!cano_value_is_name(name))
		refuse("name", "must have 1 to 1000 characters");
	return name;
}

static void
read_settings(FunctionCallInfo fcinfo, CanoBreakerSettings *settings)
{
	settings->failure_threshold = at_least_one(fcinfo, 1, "failure_threshold");
	settings->half_open_max_calls = at_least_one(fcinfo, 3,
												 "half_open_max_calls");
	if (PG_ARGISNULL(2))
		refuse("reset_timeout", "must not be null");
	settings->reset_timeout = *PG_GETARG_INTERVAL_P(2);
	if (cano_part_sign(&settings->reset_timeout) <= 0)
		refuse("reset_timeout", "must be longer than nothing");
	if (INTERVAL_NOT_FINITE(&settings->reset_timeout) ||
		cano_part_milliseconds(&settings->reset_timeout) > CANO_LONGEST_MS)
		refuse("reset_timeout", "must be at most 1000 years");
}

static int
at_least_one(FunctionCallInfo fcinfo, int number, const char *parameter)
{
	if (PG_ARGISNULL(number))
		refuse(parameter, "must not be null");
	if (PG_GETARG_INT32(number) < 1)
		refuse(parameter, "must be at least 1");
	return PG_GETARG_INT32(number);
}

static void
refuse(const char *parameter, const char *problem)
{
	ereport(ERROR,
			(errcode(cano_errcode(CANO_CAT_CONFIGURATION)),
			 errmsg("a breaker's %s %s", parameter, problem)));
}

/*
 * On another server the owner's number may be another role's: there the name
 * must match, too, or only superusers may go on.
 */
static void
check_owner(const char *name, const CanoBreakerRow *row, Oid user)
{
	char	   *owner = GetUserNameFromId(row->owner, true);

	if (superuser_arg(user))
		return;
	if (owner != NULL &&
		(row->origin == (int64) GetSystemIdentifier() ||
		 strcmp(owner, NameStr(row->owner_name)) == 0) &&
		has_privs_of_role(user, row->owner))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("must be owner of breaker \"%s\"", name),
			 errdetail("It is owned by role \"%s\".",
					   NameStr(row->owner_name))));
}

/*
 * Let all processes forget the settings they remember, when this transaction
 * commits, and this one also now and when it aborts.  The message is that of
 * a changed table.  Called before the change: it takes effect here at the end
 * of the command that comes after it.
 */
static void
forget_everywhere(void)
{
	Oid			table = get_relname_relid("_breaker", cano_extension()->schema);

	if (!OidIsValid(table))
		elog(ERROR, "table of breakers does not exist");
	CacheInvalidateRelcacheByRelid(table);
}

/* ---- Permits ---- */

CanoPermit
cano_breaker_acquire(const char *name)
{
	CanoPermit	permit = {0};
	Remembered	settings;
	CircuitKey	key;
	CircuitEntry *entry;
	CanoCircuit circuit;
	TimestampTz now;
	Held	   *held;
	bool		admitted;

	if (name == NULL)
		return permit;
	if (!remember(name, &settings))
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_WORKFLOW)),
				 errmsg("breaker \"%s\" does not exist", name),
				 errdetail("It was dropped after the workflow was defined."),
				 errhint("Create it again with cano.create_breaker.")));
	prepare_own_memory();
	held = free_place();
	key = make_key(settings.id);
	now = cano_now();

	entry = get_circuit(&key);
	SpinLockAcquire(&entry->mutex);
	entry->used_at = now;
	admitted = cano_circuit_acquire(&entry->circuit, &settings.policy, now);
	circuit = entry->circuit;
	SpinLockRelease(&entry->mutex);
	unlock_circuits();

	if (!admitted)
		refused(name, &circuit);
	held->number = ++last_number;
	held->key = key;
	held->epoch = circuit.epoch;
	held->policy = settings.policy;
	permit.place = held - held_permits;
	permit.number = held->number;
	return permit;
}

void
cano_breaker_report(CanoPermit *permit, bool success)
{
	Held	   *held = take(permit);

	if (held != NULL)
		settle(held, success ? ENDED_WELL : ENDED_BADLY);
}

void
cano_breaker_return(CanoPermit *permit)
{
	Held	   *held = take(permit);

	if (held != NULL)
		settle(held, NOT_BEGUN);
}

bool
cano_breaker_exists(const char *name)
{
	Remembered	settings;

	return remember(name, &settings);
}

static Held *
free_place(void)
{
	if (!callback_registered)
		RegisterXactCallback(transaction_ended, NULL);
	callback_registered = true;

	for (int i = 0; i < PERMITS; i++)
	{
		if (held_permits[i].number == 0)
			return &held_permits[i];
	}
	elog(ERROR, "too many permits of breakers");
	return NULL;				/* keep compiler quiet */
}

/* NULL when there is none, or its transaction has ended without it. */
static Held *
take(CanoPermit *permit)
{
	Held	   *held = &held_permits[permit->place];

	if (permit->number == 0 || held->number != permit->number)
		held = NULL;
	permit->number = 0;
	return held;
}

/*
 * Also called at the end of a transaction: raises nothing, allocates nothing.
 */
static void
settle(Held *held, Ending ending)
{
	TimestampTz now = cano_now();
	CircuitEntry *entry;

	lock_circuits(LW_SHARED);
	entry = find_circuit(&held->key);
	if (entry != NULL)
	{
		SpinLockAcquire(&entry->mutex);
		entry->used_at = now;
		if (ending == NOT_BEGUN)
			cano_circuit_return(&entry->circuit, held->epoch);
		else
			cano_circuit_report(&entry->circuit, &held->policy, held->epoch,
								ending == ENDED_WELL, now);
		SpinLockRelease(&entry->mutex);
	}
	unlock_circuits();
	held->number = 0;
}

/*
 * The transaction of a process that exits is aborted first, so no permit
 * outlives its process.
 */
static void
transaction_ended(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT &&
		event != XACT_EVENT_PREPARE)
		return;
	for (int i = 0; i < PERMITS; i++)
	{
		if (held_permits[i].number != 0)
			settle(&held_permits[i], ENDED_BADLY);
	}
}

static void
refused(const char *name, const CanoCircuit *circuit)
{
	if (circuit->state == CANO_CIRCUIT_OPEN)
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_CIRCUIT_OPEN)),
				 errmsg("breaker \"%s\" is open", name),
				 errhint("It will be tried again at %s.",
						 timestamptz_to_str(circuit->open_until))));
	ereport(ERROR,
			(errcode(cano_errcode(CANO_CAT_CIRCUIT_OPEN)),
			 errmsg("breaker \"%s\" is half open and admits no more calls",
					name),
			 errhint("It will be tried again when the calls under way have ended.")));
}

/* ---- Settings, remembered ---- */

/*
 * The settings of the breaker of that name; false if there is none, which is
 * not remembered.
 */
static bool
remember(const char *name, Remembered *found)
{
	CanoBreakerRow row;
	CanoWindow	window;
	Remembered *entry;
	bool		exists;

	prepare_cache();
	entry = hash_search(cache, &name, HASH_FIND, NULL);
	if (entry != NULL)
	{
		*found = *entry;
		return true;
	}

	cano_window_open(&window);
	exists = cano_store_breaker_find(name, &row);
	cano_window_close(&window);
	if (!exists)
		return false;

	/* When the table has changed meanwhile, the next look clears it all. */
	found->name = MemoryContextStrdup(cache_context, name);
	found->id = row.id;
	found->policy.failure_threshold = row.settings.failure_threshold;
	found->policy.half_open_max_calls = row.settings.half_open_max_calls;
	found->policy.reset_us = 1000 *
		cano_part_milliseconds(&row.settings.reset_timeout);
	entry = hash_search(cache, &found->name, HASH_ENTER, NULL);
	*entry = *found;
	return true;
}

static void
prepare_cache(void)
{
	static bool registered = false;
	const CanoExtension *extension = cano_extension();
	HASHCTL		control = {
		.keysize = sizeof(const char *),
		.entrysize = sizeof(Remembered),
		.hash = hash_name,
		.match = compare_names
	};

	if (cache_valid && cache_extension == extension->oid)
		return;
	if (!registered)
		CacheRegisterRelcacheCallback(table_changed, (Datum) 0);
	registered = true;

	cache_valid = false;
	cache_extension = extension->oid;
	cache_table = get_relname_relid("_breaker", extension->schema);
	if (cache_context != NULL)
		MemoryContextDelete(cache_context);
	cache_context = NULL;
	cache_context = AllocSetContextCreate(TopMemoryContext, "cano breakers",
										  ALLOCSET_SMALL_SIZES);
	control.hcxt = cache_context;
	cache = hash_create("cano breaker settings", 32, &control,
						HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	cache_valid = true;
}

static uint32
hash_name(const void *key, Size keysize)
{
	const char *name = *(const char *const *) key;

	return hash_bytes((const unsigned char *) name, strlen(name));
}

static int
compare_names(const void *a, const void *b, Size keysize)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static void
table_changed(Datum arg, Oid relid)
{
	if (relid == cache_table || !OidIsValid(relid))
		cache_valid = false;
}

/* ---- Circuits ---- */

void
cano_breaker_request_memory(void)
{
	RequestAddinShmemSpace(MAXALIGN(sizeof(CircuitMemory)));
	RequestAddinShmemSpace(hash_estimate_size(CIRCUITS, sizeof(CircuitEntry)));
	RequestNamedLWLockTranche(TRANCHE, 1);
}

void
cano_breaker_make_memory(void)
{
	HASHCTL		info = {
		.keysize = sizeof(CircuitKey),
		.entrysize = sizeof(CircuitEntry)
	};
	bool		found;

	memory = ShmemInitStruct("cano breakers", sizeof(CircuitMemory), &found);
	if (!found)
	{
		memory->lock = &GetNamedLWLockTranche(TRANCHE)[0].lock;
		memory->created = 0;
	}
	circuits = ShmemInitHash("cano circuits", CIRCUITS, CIRCUITS, &info,
							 HASH_ELEM | HASH_BLOBS | HASH_FIXED_SIZE);
}

static void
prepare_own_memory(void)
{
	HASHCTL		info = {
		.keysize = sizeof(CircuitKey),
		.entrysize = sizeof(CircuitEntry),
		.hcxt = TopMemoryContext
	};

	if (circuits != NULL)
		return;
	memory = MemoryContextAllocZero(TopMemoryContext, sizeof(CircuitMemory));
	circuits = hash_create("cano circuits", 32, &info,
						   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static void
lock_circuits(LWLockMode mode)
{
	if (memory->lock)
		LWLockAcquire(memory->lock, mode);
}

static void
unlock_circuits(void)
{
	if (memory->lock)
		LWLockRelease(memory->lock);
}

static CircuitKey
make_key(int64 breaker)
{
	CircuitKey	key = {
		.database = MyDatabaseId,
		.extension = cano_extension()->oid,
		.breaker = breaker
	};

	return key;
}

/* Caller holds the lock.  NULL: never used, or forgotten; so it is closed. */
static CircuitEntry *
find_circuit(const CircuitKey *key)
{
	return hash_search(circuits, key, HASH_FIND, NULL);
}

/*
 * Find or make a circuit, and leave with the lock held.
 */
static CircuitEntry *
get_circuit(const CircuitKey *key)
{
	CircuitEntry *entry;
	bool		found;

	lock_circuits(LW_SHARED);
	entry = find_circuit(key);
	if (entry != NULL)
		return entry;
	unlock_circuits();

	lock_circuits(LW_EXCLUSIVE);
	if (find_circuit(key) == NULL &&
		hash_get_num_entries(circuits) >= CIRCUITS)
		forget_oldest();
	entry = hash_search(circuits, key, HASH_ENTER, &found);
	if (!found)
	{
		SpinLockInit(&entry->mutex);
		entry->used_at = DT_NOBEGIN;

		/* A permit of one that was forgotten must not count here. */
		cano_circuit_init(&entry->circuit, ++memory->created << 32);
	}
	return entry;
}

/* Caller holds the lock exclusively, so the spinlocks are not needed. */
static void
forget_oldest(void)
{
	HASH_SEQ_STATUS status;
	CircuitEntry *entry;
	CircuitEntry *oldest = NULL;

	hash_seq_init(&status, circuits);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (oldest == NULL || entry->used_at < oldest->used_at)
			oldest = entry;
	}
	if (oldest != NULL)
	{
		CircuitKey	key = oldest->key;

		hash_search(circuits, &key, HASH_REMOVE, NULL);
	}
}
