/*-------------------------------------------------------------------------
 *
 * observer.c
 *	  Observers: functions of users that are told what happens to runs.
 *
 * An observer sees the runs of the role that registered it; one of a
 * superuser's sees all.  It is called by whoever takes the run on, in the
 * transaction of the step, with the rights of the run: so it can do nothing
 * that a task of that run could not.  It knows the run by what it is told
 * only; it is not a task of it, and the functions that tasks ask about
 * themselves refuse.
 *
 * Each process remembers all observers.  Whoever changes one sends the
 * message of a changed table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/inval.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "attempt.h"
#include "bracket.h"
#include "call.h"
#include "error.h"
#include "json.h"
#include "observer.h"
#include "origin.h"
#include "recorder.h"
#include "store.h"
#include "store_observer.h"
#include "txn.h"
#include "value.h"
#include "window.h"

/* An observer that takes longer is interrupted. */
#define PATIENCE_MS		10000

/* How often one may vanish between our looking for it and locking it. */
#define MAX_TRIES		10

typedef struct Observer
{
	CanoObserverRow row;
	uint32		kinds;			/* a bit each */
} Observer;

static void read_arguments(FunctionCallInfo fcinfo, CanoObserverRow *row);
static char *name_argument(FunctionCallInfo fcinfo, int number,
						   const char *parameter);
static ArrayType *events_argument(FunctionCallInfo fcinfo);
pg_noreturn static void refuse(const char *parameter, const char *problem);
static void check_owner(const CanoObserverRow *row, Oid user);
static void read_observers(void);
static uint32 kinds_of(ArrayType *events);
static void table_changed(Datum arg, Oid relid);
static bool is_owners(const CanoObserverRow *row);
static bool sees(const Observer *observer, Oid role);
static bool listens(const Observer *observer, CanoEventKind kind,
					const char *workflow);
static Jsonb *as_object(const CanoRecord *record);
static CanoTold tell_one(const Observer *observer, const CanoRecord *record,
						 const CanoBinding *binding, bool holding);
static void call(const Observer *observer, const CanoBinding *binding);
static int64 time_limit(void);
static void log_error(const Observer *observer, const CanoRecord *record,
					  const ErrorData *edata);

PG_FUNCTION_INFO_V1(cano_observe);
PG_FUNCTION_INFO_V1(cano_unobserve);

/* In the order of their registration. */
static Observer *observers = NULL;
static int	nobservers = 0;
static MemoryContext cache_context = NULL;
static Oid	cache_table = InvalidOid;
static uint64 changes = 1;
static uint64 changes_read = 0;

/* ---- What users call ---- */

/*
 * cano.observe(name text, run text, events text[], workflow text) RETURNS void
 */
Datum
cano_observe(PG_FUNCTION_ARGS)
{
	Oid			user = GetUserId();
	CanoObserverRow row = {0};
	CanoObserverRow old;
	CanoWindow	window;
	bool		done = false;

	cano_window_refuse_restricted("cano.observe");
	read_arguments(fcinfo, &row);
	row.owner = user;
	row.origin = cano_origin();
	namestrcpy(&row.owner_name, GetUserNameFromId(user, false));

	cano_window_open(&window);
	cano_observer_forget();
	for (int i = 0; i < MAX_TRIES && !done; i++)
	{
		if (cano_store_observer_lock(row.name, &old))
		{
			check_owner(&old, user);
			cano_store_observer_set(&row);
			done = true;
		}
		else
			done = cano_store_observer_add(&row);
	}
	if (!done)
		elog(ERROR, "could not lock observer \"%s\"", row.name);
	cano_window_close(&window);
	PG_RETURN_VOID();
}

/*
 * cano.unobserve(name text) RETURNS boolean
 *
 * False when there is none of that name.
 */
Datum
cano_unobserve(PG_FUNCTION_ARGS)
{
	Oid			user = GetUserId();
	CanoObserverRow row;
	CanoWindow	window;
	char	   *name;
	bool		found;

	cano_window_refuse_restricted("cano.unobserve");
	name = name_argument(fcinfo, 0, "name");

	cano_window_open(&window);
	found = cano_store_observer_lock(name, &row);
	if (found)
	{
		cano_observer_forget();
		check_owner(&row, user);
		cano_store_observer_remove(name);
	}
	cano_window_close(&window);
	PG_RETURN_BOOL(found);
}

/*
 * The workflow may be defined later.
 */
static void
read_arguments(FunctionCallInfo fcinfo, CanoObserverRow *row)
{
	row->name = name_argument(fcinfo, 0, "name");
	if (PG_ARGISNULL(1))
		refuse("run", "must not be null");
	row->function = *cano_function_resolve(psprintf("observer \"%s\"", row->name),
										   "run",
										   text_to_cstring(PG_GETARG_TEXT_PP(1)),
										   CANO_USE_OBSERVE);
	row->events = PG_ARGISNULL(2) ? NULL : events_argument(fcinfo);
	row->workflow = PG_ARGISNULL(3) ? NULL :
		name_argument(fcinfo, 3, "workflow");
}

static char *
name_argument(FunctionCallInfo fcinfo, int number, const char *parameter)
{
	char	   *name;

	if (PG_ARGISNULL(number))
		refuse(parameter, "must not be null");
	name = text_to_cstring(PG_GETARG_TEXT_PP(number));
	if (!cano_value_is_name(name))
		refuse(parameter, "must have 1 to 1000 characters");
	return name;
}

static ArrayType *
events_argument(FunctionCallInfo fcinfo)
{
	ArrayType  *events = PG_GETARG_ARRAYTYPE_P(2);
	Datum	   *elements;
	bool	   *nulls;
	int			n;

	deconstruct_array(events, TEXTOID, -1, false, TYPALIGN_INT, &elements,
					  &nulls, &n);
	if (n == 0)
		refuse("events", "must not be empty");
	for (int i = 0; i < n; i++)
	{
		CanoEventKind kind;

		if (nulls[i])
			refuse("events", "must not contain nulls");
		if (!cano_store_event_find(TextDatumGetCString(elements[i]), &kind))
			ereport(ERROR,
					(errcode(cano_errcode(CANO_CAT_CONFIGURATION)),
					 errmsg("event \"%s\" does not exist",
							TextDatumGetCString(elements[i])),
					 errhint("Events are state_enter, task_start, task_success, task_failure, retry, circuit_open, checkpoint, resume, workflow_timeout, cancelled and ended.")));
	}
	return events;
}

static void
refuse(const char *parameter, const char *problem)
{
	ereport(ERROR,
			(errcode(cano_errcode(CANO_CAT_CONFIGURATION)),
			 errmsg("an observer's %s %s", parameter, problem)));
}

static void
check_owner(const CanoObserverRow *row, Oid user)
{
	if (superuser_arg(user) ||
		(is_owners(row) && has_privs_of_role(user, row->owner)))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("must be owner of observer \"%s\"", row->name),
			 errdetail("It is owned by role \"%s\".",
					   NameStr(row->owner_name))));
}

/*
 * In a copy the owner's number may be another role's: there the name
 * must match, too.
 */
static bool
is_owners(const CanoObserverRow *row)
{
	char	   *owner = GetUserNameFromId(row->owner, true);

	return owner != NULL &&
		(row->origin == cano_origin() ||
		 strcmp(owner, NameStr(row->owner_name)) == 0);
}

/*
 * Called before a change, it takes effect here at the end of the command that
 * comes after it.
 */
void
cano_observer_forget(void)
{
	Oid			table = get_relname_relid("_observer", cano_extension()->schema);

	if (!OidIsValid(table))
		elog(ERROR, "table of observers does not exist");
	CacheInvalidateRelcacheByRelid(table);
}

/* ---- Observers, remembered ---- */

bool
cano_observer_any(Oid role)
{
	if (changes_read != changes)
		read_observers();
	for (int i = 0; i < nobservers; i++)
		if (sees(&observers[i], role))
			return true;
	return false;
}

/*
 * When they change while they are read, they are read again.
 */
static void
read_observers(void)
{
	static bool registered = false;
	MemoryContext context;
	CanoObserverRow *rows;
	CanoWindow	window;
	uint64		before;

	if (!registered)
		CacheRegisterRelcacheCallback(table_changed, (Datum) 0);
	registered = true;

	context = AllocSetContextCreate(CurrentMemoryContext, "cano observers",
									ALLOCSET_SMALL_SIZES);
	cache_table = get_relname_relid("_observer", cano_extension()->schema);
	before = changes;
	nobservers = 0;
	cano_window_open(&window);
	nobservers = cano_store_observers(context, &rows);
	cano_window_close(&window);

	observers = MemoryContextAllocZero(context,
									   sizeof(Observer) * Max(nobservers, 1));
	for (int i = 0; i < nobservers; i++)
	{
		observers[i].row = rows[i];
		observers[i].kinds = kinds_of(rows[i].events);
	}
	if (cache_context != NULL)
		MemoryContextDelete(cache_context);
	cache_context = context;
	MemoryContextSetParent(context, TopMemoryContext);
	changes_read = before;
}

/*
 * A name that is not known comes from a newer version: nothing of that name
 * happens here.
 */
static uint32
kinds_of(ArrayType *events)
{
	Datum	   *elements;
	uint32		kinds = 0;
	int			n;

	if (events == NULL)
		return PG_UINT32_MAX;
	deconstruct_array(events, TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL,
					  &n);
	for (int i = 0; i < n; i++)
	{
		CanoEventKind kind;

		if (cano_store_event_find(TextDatumGetCString(elements[i]), &kind))
			kinds |= (uint32) 1 << kind;
	}
	return kinds;
}

static void
table_changed(Datum arg, Oid relid)
{
	if (relid == cache_table || !OidIsValid(relid))
		changes++;
}

/* ---- Telling them ---- */

static bool
sees(const Observer *observer, Oid role)
{
	const CanoObserverRow *row = &observer->row;

	return (row->owner == role || superuser_arg(row->owner)) && is_owners(row);
}

static bool
listens(const Observer *observer, CanoEventKind kind, const char *workflow)
{
	return (observer->kinds & ((uint32) 1 << kind)) != 0 &&
		(observer->row.workflow == NULL ||
		 strcmp(observer->row.workflow, workflow) == 0);
}

CanoTold
cano_observer_tell(const CanoRecord *record, int64 job, const char *workflow,
				   bool holding)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = NULL;
	CanoBinding binding = {.workflow = workflow, .state = record->state};
	CanoTold	told = CANO_TOLD;

	for (int i = 0; i < nobservers && told != CANO_NOT_TOLD; i++)
	{
		CanoTold	one;

		if (!listens(&observers[i], record->kind, workflow) ||
			!sees(&observers[i], GetUserId()))
			continue;
		if (context == NULL)
		{
			context = AllocSetContextCreate(caller, "cano observer",
											ALLOCSET_SMALL_SIZES);
			MemoryContextSwitchTo(context);
			binding.data = as_object(record);
		}
		cano_recorder_begin(job, record->run);
		one = tell_one(&observers[i], record, &binding, holding);
		cano_recorder_end();
		if (one != CANO_TOLD)
			told = one;
	}
	MemoryContextSwitchTo(caller);
	if (context != NULL)
		MemoryContextDelete(context);
	return told;
}

/*
 * With the columns of cano.events.
 */
static Jsonb *
as_object(const CanoRecord *record)
{
	char		time[MAXDATELEN + 1];
	CanoJson	json;

	(void) JsonEncodeDateTime(time, TimestampTzGetDatum(record->recorded_at),
							  TIMESTAMPTZOID, NULL);
	cano_json_begin(&json);
	cano_json_int(&json, "run_id", record->run);
	if (record->ordinal != CANO_NO_ORDINAL)
		cano_json_int(&json, "ordinal", record->ordinal);
	else
		cano_json_value(&json, "ordinal", NULL);
	cano_json_text(&json, "event", cano_store_event_name(record->kind));
	cano_json_text(&json, "state", record->state);
	cano_json_text(&json, "task", record->task);
	if (record->branch != CANO_NO_BRANCH)
		cano_json_int(&json, "branch", record->branch);
	else
		cano_json_value(&json, "branch", NULL);
	if (record->attempt != CANO_NO_ATTEMPT)
		cano_json_int(&json, "attempt", record->attempt);
	else
		cano_json_value(&json, "attempt", NULL);
	if (record->sequence != CANO_NO_SEQUENCE)
		cano_json_int(&json, "sequence", record->sequence);
	else
		cano_json_value(&json, "sequence", NULL);
	cano_json_value(&json, "detail", record->detail);
	cano_json_text(&json, "recorded_at", time);
	return cano_json_end(&json);
}

static CanoTold
tell_one(const Observer *observer, const CanoRecord *record,
		 const CanoBinding *binding, bool holding)
{
	CanoBracket bracket;
	ErrorData  *volatile error = NULL;
	volatile bool late = false;
	volatile bool waited = false;
	volatile bool cancelled = false;
	bool		clean;

	cano_bracket_open(&bracket, holding);
	PG_TRY();
	{
		cano_attempt_start(time_limit(), time_limit());
		call(observer, binding);
		late = cano_attempt_stop();
		if (late)
			ereport(ERROR,
					(errcode(ERRCODE_QUERY_CANCELED),
					 errmsg("canceling statement due to the observer's time limit")));
		waited = holding && cano_bracket_waited(&bracket);
		if (!waited)
			cano_bracket_keep(&bracket);
	}
	PG_CATCH();
	{
		bool		timed_out = cano_attempt_stop() || late;

		MemoryContextSwitchTo(bracket.context);
		error = CopyErrorData();
		FlushErrorState();
		waited = holding && cano_bracket_waited(&bracket);
		cancelled = cano_txn_is_session() && !timed_out &&
			cano_txn_was_cancelled(error);
	}
	PG_END_TRY();
	clean = cano_bracket_close(&bracket);

	/* Somebody cancelled the session's own statement, not the observer. */
	if (cancelled)
		ReThrowError(error);
	if (waited)
		return CANO_NOT_TOLD;
	if (error != NULL)
		log_error(observer, record, error);
	return clean ? CANO_TOLD : CANO_TOLD_LAST;
}

static void
call(const Observer *observer, const CanoBinding *binding)
{
	CanoReturn	nothing;

	cano_call(cano_function_get(&observer->row.function, CANO_USE_OBSERVE),
			  CANO_USE_OBSERVE, binding, 0, CurrentMemoryContext, &nothing);
}

/*
 * The role's own limit counts, too, where the server does not enforce it.
 */
static int64
time_limit(void)
{
	if (!cano_txn_is_session() && StatementTimeout > 0)
		return Min(StatementTimeout, PATIENCE_MS);
	return PATIENCE_MS;
}

static void
log_error(const Observer *observer, const CanoRecord *record,
		  const ErrorData *edata)
{
	ereport(LOG,
			(errcode(edata->sqlerrcode),
			 errmsg("observer \"%s\" failed at event \"%s\" of run " INT64_FORMAT ": %s",
					observer->row.name, cano_store_event_name(record->kind),
					record->run, edata->message),
			 edata->detail ? errdetail_internal("%s", edata->detail) : 0,
			 edata->hint ? errhint("%s", edata->hint) : 0,
			 errhidestmt(true), errhidecontext(true)));
}
