/*-------------------------------------------------------------------------
 *
 * named.c
 *	  Named objects: how one is set, whose it is, and, of those that the
 *	  attempts of all runs share, its state in shared memory.
 *
 * How one is set is a row.  What it does is a state in shared memory: it
 * changes with every attempt, must not wait for a commit nor go away with a
 * rollback, and need not outlive the server.  Without preload a process has
 * states of its own.
 *
 * A lightweight lock guards which states there are; a spinlock in each, what
 * it says.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
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

#include "error.h"
#include "named.h"
#include "origin.h"
#include "part.h"
#include "value.h"
#include "window.h"

/* Room for so many states of a kind. */
#define STATES			1024

/* How often one may vanish between our looking for it and locking it. */
#define MAX_TRIES		10

/* The state follows; the policy follows what is remembered. */
typedef struct Entry
{
	CanoNamedKey key;
	slock_t		mutex;
	TimestampTz needed_until;	/* under the mutex, as is the state */
} Entry;

typedef struct Remembered
{
	const char *name;			/* hash key */
	int64		id;
} Remembered;

#define STATE(entry)	((char *) (entry) + MAXALIGN(sizeof(Entry)))
#define ENTRY(state)	((Entry *) ((char *) (state) - MAXALIGN(sizeof(Entry))))
#define POLICY(found)	((char *) (found) + MAXALIGN(sizeof(Remembered)))

/* Settings of one installation of the extension, by name. */
typedef struct CanoNamedCache
{
	MemoryContext context;
	HTAB	   *settings;
	bool		valid;
	Oid			extension;
	Oid			table;
} CanoNamedCache;

/* In shared memory but for "states"; or this process's own, without lock. */
typedef struct Shared
{
	LWLock	   *lock;			/* fixed when the memory is made */
	uint64		created;		/* states ever; under the lock, exclusive */
} Shared;

typedef struct CanoNamedMemory
{
	Shared	   *shared;
	HTAB	   *states;
} CanoNamedMemory;

static void check_owner(const CanoNamed *named, const char *name,
						const CanoNamedRow *row, Oid user);
static void forget_everywhere(const CanoNamed *named);
static Oid	find_table(const CanoNamed *named);
static CanoNamedCache *prepare_cache(CanoNamed *named);
static uint32 hash_name(const void *key, Size keysize);
static int	compare_names(const void *a, const void *b, Size keysize);
static void table_changed(Datum arg, Oid relid);
static Size entry_size(const CanoNamed *named);
static CanoNamedMemory *get_memory(CanoNamed *named);
static Entry *find_state(const CanoNamedMemory *memory, const CanoNamedKey *key);
static void forget_one(CanoNamedMemory *memory);
static void lock_states(const CanoNamedMemory *memory, LWLockMode mode);
static void unlock_states(const CanoNamedMemory *memory);

/* ---- What users say ---- */

char *
cano_named_name(const CanoNamed *named, FunctionCallInfo fcinfo)
{
	char	   *name;

	if (PG_ARGISNULL(0))
		cano_named_refuse(named, "name", "must not be null");
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (!cano_value_is_name(name))
		cano_named_refuse(named, "name", "must have 1 to 1000 characters");
	return name;
}

int32
cano_named_integer(const CanoNamed *named, FunctionCallInfo fcinfo, int number,
				   const char *parameter, int least)
{
	if (PG_ARGISNULL(number))
		cano_named_refuse(named, parameter, "must not be null");
	if (PG_GETARG_INT32(number) < least)
		cano_named_refuse(named, parameter,
						  psprintf("must be at least %d", least));
	return PG_GETARG_INT32(number);
}

Interval *
cano_named_interval(const CanoNamed *named, FunctionCallInfo fcinfo, int number,
					const char *parameter)
{
	Interval   *interval;

	if (PG_ARGISNULL(number))
		cano_named_refuse(named, parameter, "must not be null");
	interval = PG_GETARG_INTERVAL_P(number);
	if (cano_part_sign(interval) <= 0)
		cano_named_refuse(named, parameter, "must be longer than nothing");
	if (INTERVAL_NOT_FINITE(interval) ||
		cano_part_milliseconds(interval) > CANO_LONGEST_MS)
		cano_named_refuse(named, parameter, "must be at most 1000 years");
	return interval;
}

void
cano_named_refuse(const CanoNamed *named, const char *parameter,
				  const char *problem)
{
	ereport(ERROR,
			(errcode(cano_errcode(CANO_CAT_CONFIGURATION)),
			 errmsg("a %s's %s %s", named->noun, parameter, problem)));
}

void
cano_named_create(CanoNamed *named, const char *name, const Datum *settings)
{
	Oid			user = GetUserId();
	char	   *user_name = GetUserNameFromId(user, false);
	CanoNamedRow row;
	CanoWindow	window;
	bool		done = false;

	cano_window_open(&window);
	forget_everywhere(named);
	for (int i = 0; i < MAX_TRIES && !done; i++)
	{
		if (cano_store_named_lock(named->kind, name, &row))
		{
			check_owner(named, name, &row, user);
			cano_store_named_set(named->kind, name, settings);
			done = true;
		}
		else
			done = cano_store_named_add(named->kind, name, user, user_name,
										settings);
	}
	if (!done)
		elog(ERROR, "could not lock %s \"%s\"", named->noun, name);
	cano_window_close(&window);
}

void
cano_named_drop(CanoNamed *named, const char *name)
{
	Oid			user = GetUserId();
	CanoNamedRow row;
	CanoWindow	window;

	cano_window_open(&window);
	forget_everywhere(named);
	if (!cano_store_named_lock(named->kind, name, &row))
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_NOT_FOUND)),
				 errmsg("%s \"%s\" does not exist", named->noun, name)));
	check_owner(named, name, &row, user);
	cano_store_named_remove(named->kind, name);
	cano_window_close(&window);
}

/*
 * In a copy the owner's number may be another role's: there the name
 * must match, too, or only superusers may go on.
 */
static void
check_owner(const CanoNamed *named, const char *name, const CanoNamedRow *row,
			Oid user)
{
	char	   *owner = GetUserNameFromId(row->owner, true);

	if (superuser_arg(user))
		return;
	if (owner != NULL &&
		(row->origin == cano_origin() ||
		 strcmp(owner, NameStr(row->owner_name)) == 0) &&
		has_privs_of_role(user, row->owner))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("must be owner of %s \"%s\"", named->noun, name),
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
forget_everywhere(const CanoNamed *named)
{
	Oid			table = find_table(named);

	if (!OidIsValid(table))
		elog(ERROR, "table of %ss does not exist", named->noun);
	CacheInvalidateRelcacheByRelid(table);
}

static Oid
find_table(const CanoNamed *named)
{
	char		name[NAMEDATALEN];

	snprintf(name, sizeof(name), "_%s", named->noun);
	return get_relname_relid(name, cano_extension()->schema);
}

/* ---- Settings, remembered ---- */

/*
 * That there is none is not remembered.
 */
bool
cano_named_find(CanoNamed *named, const char *name, CanoNamedKey *key,
				void *policy)
{
	CanoNamedCache *cache = prepare_cache(named);
	Remembered *found = hash_search(cache->settings, &name, HASH_FIND, NULL);

	if (found == NULL)
	{
		CanoNamedRow row;
		CanoWindow	window;
		bool		exists;

		cano_window_open(&window);
		exists = cano_store_named_find(named->kind, name, &row);
		if (exists)
			named->read_policy(row.settings, policy);
		cano_window_close(&window);
		if (!exists)
			return false;

		/* When the table has changed meanwhile, the next look clears it all. */
		name = MemoryContextStrdup(cache->context, name);
		found = hash_search(cache->settings, &name, HASH_ENTER, NULL);
		found->id = row.id;
		memcpy(POLICY(found), policy, named->policy_size);
	}
	memcpy(policy, POLICY(found), named->policy_size);
	*key = cano_named_key(found->id);
	return true;
}

static CanoNamedCache *
prepare_cache(CanoNamed *named)
{
	const CanoExtension *extension = cano_extension();
	CanoNamedCache *cache = named->cache;
	HASHCTL		control = {
		.keysize = sizeof(const char *),
		.entrysize = MAXALIGN(sizeof(Remembered)) + named->policy_size,
		.hash = hash_name,
		.match = compare_names
	};

	if (cache == NULL)
	{
		cache = MemoryContextAllocZero(TopMemoryContext,
									   sizeof(CanoNamedCache));
		CacheRegisterRelcacheCallback(table_changed, PointerGetDatum(cache));
		named->cache = cache;
	}
	if (cache->valid && cache->extension == extension->oid)
		return cache;

	cache->valid = false;
	cache->extension = extension->oid;
	cache->table = find_table(named);
	if (cache->context != NULL)
		MemoryContextDelete(cache->context);
	cache->context = NULL;
	cache->context = AllocSetContextCreate(TopMemoryContext, "cano named",
										   ALLOCSET_SMALL_SIZES);
	control.hcxt = cache->context;
	cache->settings = hash_create("cano named settings", 32, &control,
								  HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	cache->valid = true;
	return cache;
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
	CanoNamedCache *cache = (CanoNamedCache *) DatumGetPointer(arg);

	if (relid == cache->table || !OidIsValid(relid))
		cache->valid = false;
}

/* ---- States ---- */

CanoNamedKey
cano_named_key(int64 id)
{
	CanoNamedKey key = {
		.database = MyDatabaseId,
		.extension = cano_extension()->oid,
		.id = id
	};

	return key;
}

void *
cano_named_lock(CanoNamed *named, const CanoNamedKey *key, const void *policy)
{
	CanoNamedMemory *memory = get_memory(named);
	Entry	   *entry;
	bool		found;

	lock_states(memory, LW_SHARED);
	entry = find_state(memory, key);
	if (entry == NULL)
	{
		unlock_states(memory);
		lock_states(memory, LW_EXCLUSIVE);
		if (find_state(memory, key) == NULL &&
			hash_get_num_entries(memory->states) >= STATES)
			forget_one(memory);
		entry = hash_search(memory->states, key, HASH_ENTER, &found);
		if (!found)
		{
			SpinLockInit(&entry->mutex);
			entry->needed_until = DT_NOBEGIN;
			named->init_state(STATE(entry), policy, ++memory->shared->created);
		}
	}
	SpinLockAcquire(&entry->mutex);
	return STATE(entry);
}

void *
cano_named_lock_used(CanoNamed *named, const CanoNamedKey *key)
{
	CanoNamedMemory *memory = named->memory;
	Entry	   *entry;

	if (memory == NULL)
		return NULL;
	lock_states(memory, LW_SHARED);
	entry = find_state(memory, key);
	if (entry == NULL)
	{
		unlock_states(memory);
		return NULL;
	}
	SpinLockAcquire(&entry->mutex);
	return STATE(entry);
}

void
cano_named_release(CanoNamed *named, void *state, TimestampTz needed_until)
{
	Entry	   *entry = ENTRY(state);

	entry->needed_until = needed_until;
	SpinLockRelease(&entry->mutex);
	unlock_states(named->memory);
}

bool
cano_named_copy(CanoNamed *named, const CanoNamedKey *key, void *state)
{
	void	   *original = cano_named_lock_used(named, key);

	if (original == NULL)
		return false;
	memcpy(state, original, named->state_size);
	cano_named_release(named, original, ENTRY(original)->needed_until);
	return true;
}

void
cano_named_request_memory(const CanoNamed *named)
{
	RequestAddinShmemSpace(MAXALIGN(sizeof(Shared)));
	RequestAddinShmemSpace(hash_estimate_size(STATES, entry_size(named)));
	RequestNamedLWLockTranche(psprintf("cano_%ss", named->noun), 1);
}

void
cano_named_make_memory(CanoNamed *named)
{
	CanoNamedMemory *memory = named->memory;
	HASHCTL		info = {
		.keysize = sizeof(CanoNamedKey),
		.entrysize = entry_size(named)
	};
	bool		found;

	/* It is there when the server starts again after a crash. */
	if (memory == NULL)
		memory = MemoryContextAllocZero(TopMemoryContext,
										sizeof(CanoNamedMemory));
	memory->shared = ShmemInitStruct(psprintf("cano %ss", named->noun),
									 sizeof(Shared), &found);
	if (!found)
	{
		memory->shared->lock = &GetNamedLWLockTranche(psprintf("cano_%ss", named->noun))[0].lock;
		memory->shared->created = 0;
	}
	memory->states = ShmemInitHash(psprintf("cano %s states", named->noun),
								   STATES, &info,
								   HASH_ELEM | HASH_BLOBS | HASH_FIXED_SIZE);
	named->memory = memory;
}

static Size
entry_size(const CanoNamed *named)
{
	return MAXALIGN(sizeof(Entry)) + named->state_size;
}

/*
 * Where there is none that is shared, this process's own.
 */
static CanoNamedMemory *
get_memory(CanoNamed *named)
{
	HASHCTL		info = {
		.keysize = sizeof(CanoNamedKey),
		.entrysize = entry_size(named),
		.hcxt = TopMemoryContext
	};
	CanoNamedMemory *memory;

	if (named->memory != NULL)
		return named->memory;
	memory = MemoryContextAllocZero(TopMemoryContext, sizeof(CanoNamedMemory));
	memory->shared = MemoryContextAllocZero(TopMemoryContext, sizeof(Shared));
	memory->states = hash_create("cano named states", 32, &info,
								 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	named->memory = memory;
	return memory;
}

static void
lock_states(const CanoNamedMemory *memory, LWLockMode mode)
{
	if (memory->shared->lock)
		LWLockAcquire(memory->shared->lock, mode);
}

static void
unlock_states(const CanoNamedMemory *memory)
{
	if (memory->shared->lock)
		LWLockRelease(memory->shared->lock);
}

/* Caller holds the lock. */
static Entry *
find_state(const CanoNamedMemory *memory, const CanoNamedKey *key)
{
	return hash_search(memory->states, key, HASH_FIND, NULL);
}

/* Caller holds the lock exclusively, so the spinlocks are not needed. */
static void
forget_one(CanoNamedMemory *memory)
{
	HASH_SEQ_STATUS status;
	Entry	   *entry;
	Entry	   *first = NULL;

	hash_seq_init(&status, memory->states);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (first == NULL || entry->needed_until < first->needed_until)
			first = entry;
	}
	if (first != NULL)
	{
		CanoNamedKey key = first->key;

		hash_search(memory->states, &key, HASH_REMOVE, NULL);
	}
}
