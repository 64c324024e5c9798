/*-------------------------------------------------------------------------
 *
 * metrics.c
 *	  Counters of what has happened, by role, for cano.metrics().
 *
 * A process counts for itself and adds what it has counted to the shared
 * memory when its transaction has committed, once a batch.  What is rolled
 * back never happened.  After a restart all begin at nothing.  Without preload
 * a process has counters of its own.
 *
 * There is room for so many roles and so many states.  Who comes when it is
 * used up is counted under no role, which only those see who see all, or
 * under a state without a name.
 *
 * A lightweight lock guards which there are; a spinlock in each, its numbers.
 * They are removed with their database only, so who works in one may keep
 * where they are.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "json.h"
#include "lookup.h"
#include "metrics.h"

#define MOST_ROLES		256
#define MOST_STATES		2048
#define STATE_SIZE		256		/* of its name, as a label */
#define KIND_SIZE		16
#define BUCKETS			12

/* The kind of visit that this process made last in its batch, and so on. */
#define MOST_VISITED	256

static const double bounds[BUCKETS] = {
	0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300, 3600
};

typedef struct Histogram
{
	uint64		buckets[BUCKETS + 1];
	uint64		count;
	double		sum;
} Histogram;

typedef struct RoleKey
{
	Oid			database;
	Oid			role;			/* InvalidOid: those for whom there is no room */
} RoleKey;

typedef struct Role
{
	RoleKey		key;
	slock_t		mutex;
	uint64		counts[CANO_COUNTS];	/* this and the next: under it */
	Histogram	durations[CANO_DURATIONS];
} Role;

typedef struct StateKey
{
	RoleKey		role;
	uint64		state;			/* hash of its name and kind; 0: no room */
} StateKey;

typedef struct State
{
	StateKey	key;
	slock_t		mutex;
	Histogram	duration;		/* under it */
	char		name[STATE_SIZE];	/* fixed from the beginning */
	char		kind[KIND_SIZE];
} State;

/* A state as this process counts it. */
typedef struct Visited
{
	const CanoState *state;		/* hash key */
	State	   *shared;
	bool		pending;
	Histogram	duration;
} Visited;

typedef struct Memory
{
	LWLock	   *lock;			/* NULL: this process's own */
	HTAB	   *roles;
	HTAB	   *states;
} Memory;

/* Names and the label that tells those of one name apart. */
static const struct
{
	const char *name;
	const char *label;			/* NULL: none */
	const char *value;
}			counts[CANO_COUNTS] = {
	[CANO_COUNT_RUN_COMPLETED] = {"cano_workflow_runs_total", "outcome", "completed"},
	[CANO_COUNT_RUN_FAILED] = {"cano_workflow_runs_total", "outcome", "failed"},
	[CANO_COUNT_RUN_CANCELLED] = {"cano_workflow_runs_total", "outcome", "cancelled"},
	[CANO_COUNT_RUN_TIMEOUT] = {"cano_workflow_runs_total", "outcome", "timeout"},
	[CANO_COUNT_RESUMED] = {"cano_resumes_total"},
	[CANO_COUNT_ATTEMPT_COMPLETED] = {"cano_task_attempts_total", "outcome", "completed"},
	[CANO_COUNT_ATTEMPT_FAILED] = {"cano_task_attempts_total", "outcome", "failed"},
	[CANO_COUNT_CIRCUIT_REJECTION] = {"cano_circuit_rejections_total"},
	[CANO_COUNT_CIRCUIT_ACQUIRED] = {"cano_circuit_acquires_total", "result", "acquired"},
	[CANO_COUNT_CIRCUIT_REJECTED] = {"cano_circuit_acquires_total", "result", "rejected"},
	[CANO_COUNT_CIRCUIT_SUCCESS] = {"cano_circuit_outcomes_total", "outcome", "success"},
	[CANO_COUNT_CIRCUIT_FAILURE] = {"cano_circuit_outcomes_total", "outcome", "failure"},
	[CANO_COUNT_CLOSED_TO_OPEN] = {"cano_circuit_transitions_total", "transition", "closed_to_open"},
	[CANO_COUNT_OPEN_TO_HALFOPEN] = {"cano_circuit_transitions_total", "transition", "open_to_halfopen"},
	[CANO_COUNT_HALFOPEN_TO_CLOSED] = {"cano_circuit_transitions_total", "transition", "halfopen_to_closed"},
	[CANO_COUNT_HALFOPEN_TO_OPEN] = {"cano_circuit_transitions_total", "transition", "halfopen_to_open"},
	[CANO_COUNT_BRANCH_SUCCESS] = {"cano_split_branch_results_total", "result", "success"},
	[CANO_COUNT_BRANCH_FAILURE] = {"cano_split_branch_results_total", "result", "failure"},
	[CANO_COUNT_BRANCH_CANCELLED] = {"cano_split_branch_results_total", "result", "cancelled"},
	[CANO_COUNT_POLL_READY] = {"cano_poll_iterations_total", "outcome", "ready"},
	[CANO_COUNT_POLL_PENDING] = {"cano_poll_iterations_total", "outcome", "pending"},
	[CANO_COUNT_BATCH_COMPLETED] = {"cano_batch_runs_total", "outcome", "completed"},
	[CANO_COUNT_BATCH_FAILED] = {"cano_batch_runs_total", "outcome", "failed"},
	[CANO_COUNT_ITEM_OK] = {"cano_batch_items_total", "result", "ok"},
	[CANO_COUNT_ITEM_ERR] = {"cano_batch_items_total", "result", "err"},
	[CANO_COUNT_STEP_MORE] = {"cano_step_iterations_total", "outcome", "more"},
	[CANO_COUNT_STEP_DONE] = {"cano_step_iterations_total", "outcome", "done"},
	[CANO_COUNT_APPEND] = {"cano_checkpoint_appends_total", "result", "ok"},
	[CANO_COUNT_CLEAR] = {"cano_checkpoint_clears_total", "result", "ok"},
	[CANO_COUNT_COMPENSATION_OK] = {"cano_compensations_run_total", "result", "ok"},
	[CANO_COUNT_COMPENSATION_ERR] = {"cano_compensations_run_total", "result", "err"},
	[CANO_COUNT_DRAIN_CLEAN] = {"cano_compensation_drains_total", "outcome", "clean"},
	[CANO_COUNT_DRAIN_PARTIAL] = {"cano_compensation_drains_total", "outcome", "partial"},
	[CANO_COUNT_LIMITER_ACQUIRED] = {"cano_rate_limiter_acquired_total"},
	[CANO_COUNT_LIMITER_WAITED] = {"cano_rate_limiter_throttled_total", "result", "waited"},
	[CANO_COUNT_TOKEN] = {"cano_rate_limiter_tokens_consumed_total"},
	[CANO_COUNT_STEP] = {"cano_engine_steps_total"},
	[CANO_COUNT_COMMIT] = {"cano_engine_commits_total"}
};

static const struct
{
	const char *name;
	const char *label;			/* NULL: none */
	const char *value;
}			durations[CANO_DURATIONS] = {
	[CANO_DURATION_RUN_COMPLETED] = {"cano_workflow_duration_seconds", "outcome", "completed"},
	[CANO_DURATION_RUN_FAILED] = {"cano_workflow_duration_seconds", "outcome", "failed"},
	[CANO_DURATION_RUN_CANCELLED] = {"cano_workflow_duration_seconds", "outcome", "cancelled"},
	[CANO_DURATION_RUN_TIMEOUT] = {"cano_workflow_duration_seconds", "outcome", "timeout"},
	[CANO_DURATION_LIMITER] = {"cano_rate_limiter_wait_seconds"}
};

static void observe(Histogram *histogram, double seconds);
static void add(Histogram *to, const Histogram *from);
static void transaction_ended(XactEvent event, void *arg);
static void flush(void);
static void prepare_visits(Oid role);
static State *share(const CanoState *state, const char *kind);
static void init_state(State *entry, const char *name, const char *kind);
static Memory *get_memory(void);
static void lock_memory(LWLockMode mode);
static void unlock_memory(void);
static void put_role(ReturnSetInfo *rsinfo, Role *role);
static void put_state(ReturnSetInfo *rsinfo, State *state);
static void put_histogram(ReturnSetInfo *rsinfo, const char *name,
						  const Histogram *histogram, Jsonb *labels);
static void put(ReturnSetInfo *rsinfo, const char *name, const char *suffix,
				Jsonb *labels, double value);
static Jsonb *make_labels(const char *label, const char *value);
static bool may_see(const RoleKey *key);

PG_FUNCTION_INFO_V1(cano_counters);

static Memory *memory = NULL;

/* Counted in this transaction. */
static uint64 pending_counts[CANO_COUNTS];
static Histogram pending_durations[CANO_DURATIONS];
static Visited *pending_visits[MOST_VISITED];
static int	npending_visits = 0;
static Role *attached = NULL;
static bool callback_registered = false;

/* Of one role. */
static HTAB *visits = NULL;
static RoleKey visits_role;

/* ---- Counting ---- */

void
cano_metrics_begin(void)
{
	memset(pending_counts, 0, sizeof(pending_counts));
	memset(pending_durations, 0, sizeof(pending_durations));
	for (int i = 0; i < npending_visits; i++)
	{
		memset(&pending_visits[i]->duration, 0, sizeof(Histogram));
		pending_visits[i]->pending = false;
	}
	npending_visits = 0;
	attached = NULL;
}

void
cano_metrics_count(CanoCount which, int64_t n)
{
	pending_counts[which] += n;
}

void
cano_metrics_took(CanoDuration which, double seconds)
{
	observe(&pending_durations[which], seconds);
}

static void
observe(Histogram *histogram, double seconds)
{
	int			bucket = 0;

	while (bucket < BUCKETS && seconds > bounds[bucket])
		bucket++;
	histogram->buckets[bucket]++;
	histogram->count++;
	histogram->sum += Max(seconds, 0);
}

static void
add(Histogram *to, const Histogram *from)
{
	if (from->count == 0)
		return;
	for (int i = 0; i <= BUCKETS; i++)
		to->buckets[i] += from->buckets[i];
	to->count += from->count;
	to->sum += from->sum;
}

void
cano_metrics_visit(const CanoState *state, const char *kind, double seconds)
{
	Visited    *visited;
	bool		found;

	prepare_visits(GetUserId());
	visited = hash_search(visits, &state, HASH_FIND, NULL);
	if (visited == NULL)
	{
		State	   *shared = share(state, kind);

		visited = hash_search(visits, &state, HASH_ENTER, &found);
		visited->shared = shared;
		visited->pending = false;
		memset(&visited->duration, 0, sizeof(Histogram));
	}
	if (!visited->pending)
	{
		if (npending_visits == MOST_VISITED)
			return;
		pending_visits[npending_visits++] = visited;
		visited->pending = true;
	}
	observe(&visited->duration, seconds);
}

/*
 * A session may be a worker for one role after the other.
 */
static void
prepare_visits(Oid role)
{
	HASHCTL		control = {
		.keysize = sizeof(const CanoState *),
		.entrysize = sizeof(Visited),
		.hcxt = TopMemoryContext
	};

	if (visits != NULL && visits_role.role == role)
		return;
	npending_visits = 0;
	if (visits != NULL)
		hash_destroy(visits);
	visits = NULL;
	visits_role.database = MyDatabaseId;
	visits_role.role = role;
	visits = hash_create("cano visits", 64, &control,
						 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

void
cano_metrics_attach(Oid role)
{
	RoleKey		key = {.database = MyDatabaseId, .role = role};
	bool		found;

	if (!callback_registered)
		RegisterXactCallback(transaction_ended, NULL);
	callback_registered = true;
	(void) get_memory();

	lock_memory(LW_SHARED);
	attached = hash_search(memory->roles, &key, HASH_FIND, NULL);
	unlock_memory();
	if (attached != NULL)
		return;
	lock_memory(LW_EXCLUSIVE);
	if (hash_get_num_entries(memory->roles) >= MOST_ROLES - 1)
		key.role = InvalidOid;
	attached = hash_search(memory->roles, &key, memory->lock ? HASH_ENTER_NULL :
						   HASH_ENTER, &found);
	if (attached != NULL && !found)
	{
		memset(attached, 0, sizeof(Role));
		attached->key = key;
		SpinLockInit(&attached->mutex);
	}
	unlock_memory();
}

/*
 * Raises nothing, allocates nothing.
 */
static void
transaction_ended(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT &&
		event != XACT_EVENT_PREPARE)
		return;
	if (event == XACT_EVENT_COMMIT && attached != NULL)
		flush();
	attached = NULL;
}

static void
flush(void)
{
	SpinLockAcquire(&attached->mutex);
	for (int i = 0; i < CANO_COUNTS; i++)
		attached->counts[i] += pending_counts[i];
	for (int i = 0; i < CANO_DURATIONS; i++)
		add(&attached->durations[i], &pending_durations[i]);
	SpinLockRelease(&attached->mutex);
	for (int i = 0; i < npending_visits; i++)
	{
		State	   *state = pending_visits[i]->shared;

		if (state == NULL)
			continue;
		SpinLockAcquire(&state->mutex);
		add(&state->duration, &pending_visits[i]->duration);
		SpinLockRelease(&state->mutex);
	}
	cano_metrics_begin();
}

/* NULL where there is no room at all. */
static State *
share(const CanoState *state, const char *kind)
{
	StateKey	key = {.role = visits_role};
	State	   *entry;
	bool		found;

	(void) get_memory();
	key.state = hash_bytes_extended((const unsigned char *) state->name,
									strlen(state->name),
									hash_bytes((const unsigned char *) kind,
											   strlen(kind)));
	lock_memory(LW_EXCLUSIVE);
	entry = hash_search(memory->states, &key, HASH_FIND, NULL);
	if (entry == NULL && memory->lock != NULL &&
		hash_get_num_entries(memory->states) >= MOST_STATES - MOST_ROLES)
		key.state = 0;
	entry = hash_search(memory->states, &key, memory->lock ? HASH_ENTER_NULL :
						HASH_ENTER, &found);
	if (entry != NULL && !found)
		init_state(entry, key.state == 0 ? "" : state->name,
				   key.state == 0 ? "" : kind);
	unlock_memory();
	return entry;
}

/* The key is there; a long name is cut after a whole character. */
static void
init_state(State *entry, const char *name, const char *kind)
{
	int			length = pg_mbcliplen(name, strlen(name), STATE_SIZE - 1);

	SpinLockInit(&entry->mutex);
	memset(&entry->duration, 0, sizeof(Histogram));
	memcpy(entry->name, name, length);
	entry->name[length] = '\0';
	strlcpy(entry->kind, kind, KIND_SIZE);
}

/* ---- Memory ---- */

void
cano_metrics_request_memory(void)
{
	RequestAddinShmemSpace(hash_estimate_size(MOST_ROLES, sizeof(Role)));
	RequestAddinShmemSpace(hash_estimate_size(MOST_STATES, sizeof(State)));
	RequestNamedLWLockTranche("cano_metrics", 1);
}

void
cano_metrics_make_memory(void)
{
	HASHCTL		roles = {.keysize = sizeof(RoleKey), .entrysize = sizeof(Role)};
	HASHCTL		states = {.keysize = sizeof(StateKey), .entrysize = sizeof(State)};

	/* It is there when the server starts again after a crash. */
	if (memory == NULL)
		memory = MemoryContextAllocZero(TopMemoryContext, sizeof(Memory));
	memory->lock = &GetNamedLWLockTranche("cano_metrics")[0].lock;
	memory->roles = ShmemInitHash("cano metrics of roles", MOST_ROLES, &roles,
								  HASH_ELEM | HASH_BLOBS | HASH_FIXED_SIZE);
	memory->states = ShmemInitHash("cano metrics of states", MOST_STATES, &states,
								   HASH_ELEM | HASH_BLOBS | HASH_FIXED_SIZE);
}

/*
 * Where there is none that is shared, this process's own.
 */
static Memory *
get_memory(void)
{
	HASHCTL		roles = {
		.keysize = sizeof(RoleKey),
		.entrysize = sizeof(Role),
		.hcxt = TopMemoryContext
	};
	HASHCTL		states = {
		.keysize = sizeof(StateKey),
		.entrysize = sizeof(State),
		.hcxt = TopMemoryContext
	};
	Memory	   *own;

	if (memory != NULL)
		return memory;
	own = MemoryContextAllocZero(TopMemoryContext, sizeof(Memory));
	own->roles = hash_create("cano metrics of roles", 8, &roles,
							 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	own->states = hash_create("cano metrics of states", 64, &states,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	memory = own;
	return memory;
}

static void
lock_memory(LWLockMode mode)
{
	if (memory->lock != NULL)
		LWLockAcquire(memory->lock, mode);
}

static void
unlock_memory(void)
{
	if (memory->lock != NULL)
		LWLockRelease(memory->lock);
}

/* Nobody is left who works there. */
void
cano_metrics_forget_database(Oid database)
{
	HASH_SEQ_STATUS status;
	Role	   *role;
	State	   *state;

	if (memory == NULL || memory->lock == NULL)
		return;
	LWLockAcquire(memory->lock, LW_EXCLUSIVE);
	hash_seq_init(&status, memory->roles);
	while ((role = hash_seq_search(&status)) != NULL)
	{
		RoleKey		key = role->key;

		if (key.database == database)
			(void) hash_search(memory->roles, &key, HASH_REMOVE, NULL);
	}
	hash_seq_init(&status, memory->states);
	while ((state = hash_seq_search(&status)) != NULL)
	{
		StateKey	key = state->key;

		if (key.role.database == database)
			(void) hash_search(memory->states, &key, HASH_REMOVE, NULL);
	}
	LWLockRelease(memory->lock);
}

/* ---- Reading ---- */

/*
 * cano._counters(OUT name text, OUT labels jsonb, OUT value double precision)
 *
 * Of each role that the caller may see; several rows may be of one series.
 */
Datum
cano_counters(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	HASH_SEQ_STATUS status;
	List	   *roles = NIL;
	List	   *states = NIL;
	ListCell   *cell;
	Role	   *role;
	State	   *state;

	InitMaterializedSRF(fcinfo, 0);
	(void) get_memory();

	/* None of this database can go away while somebody is connected to it. */
	lock_memory(LW_SHARED);
	hash_seq_init(&status, memory->roles);
	while ((role = hash_seq_search(&status)) != NULL)
		if (role->key.database == MyDatabaseId)
			roles = lappend(roles, role);
	hash_seq_init(&status, memory->states);
	while ((state = hash_seq_search(&status)) != NULL)
		if (state->key.role.database == MyDatabaseId)
			states = lappend(states, state);
	unlock_memory();

	foreach(cell, roles)
		put_role(rsinfo, lfirst(cell));
	foreach(cell, states)
		put_state(rsinfo, lfirst(cell));
	return (Datum) 0;
}

static void
put_role(ReturnSetInfo *rsinfo, Role *role)
{
	Role	   *copy = palloc(sizeof(Role));

	if (!may_see(&role->key))
		return;
	SpinLockAcquire(&role->mutex);
	memcpy(copy, role, sizeof(Role));
	SpinLockRelease(&role->mutex);
	for (int i = 0; i < CANO_COUNTS; i++)
		if (copy->counts[i] > 0)
			put(rsinfo, counts[i].name, "",
				make_labels(counts[i].label, counts[i].value),
				(double) copy->counts[i]);
	for (int i = 0; i < CANO_DURATIONS; i++)
		put_histogram(rsinfo, durations[i].name, &copy->durations[i],
					  make_labels(durations[i].label, durations[i].value));
}

static void
put_state(ReturnSetInfo *rsinfo, State *state)
{
	Histogram	copy;
	CanoJson	json;

	if (!may_see(&state->key.role))
		return;
	SpinLockAcquire(&state->mutex);
	copy = state->duration;
	SpinLockRelease(&state->mutex);
	cano_json_begin(&json);
	cano_json_text(&json, "state", state->name);
	cano_json_text(&json, "kind", state->kind);
	put_histogram(rsinfo, "cano_task_duration_seconds", &copy,
				  cano_json_end(&json));
}

static void
put_histogram(ReturnSetInfo *rsinfo, const char *name,
			  const Histogram *histogram, Jsonb *labels)
{
	uint64		below = 0;

	if (histogram->count == 0)
		return;
	for (int i = 0; i <= BUCKETS; i++)
	{
		below += histogram->buckets[i];
		put(rsinfo, name, "_bucket",
			cano_json_merge(labels,
							make_labels("le", i == BUCKETS ? "+Inf" :
										psprintf("%g", bounds[i]))),
			(double) below);
	}
	put(rsinfo, name, "_sum", labels, histogram->sum);
	put(rsinfo, name, "_count", labels, (double) histogram->count);
}

static void
put(ReturnSetInfo *rsinfo, const char *name, const char *suffix,
	Jsonb *labels, double value)
{
	Datum		values[] = {
		PointerGetDatum(cstring_to_text(psprintf("%s%s", name, suffix))),
		JsonbPGetDatum(labels),
		Float8GetDatum(value)
	};
	bool		nulls[lengthof(values)] = {0};

	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static Jsonb *
make_labels(const char *label, const char *value)
{
	CanoJson	json;

	cano_json_begin(&json);
	if (label != NULL)
		cano_json_text(&json, label, value);
	return cano_json_end(&json);
}

static bool
may_see(const RoleKey *key)
{
	return has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) ||
		cano_lookup_can_see(key->role);
}
