/*-------------------------------------------------------------------------
 *
 * store_resume.c
 *	  Runs that have ended and go on: forward, or back.
 *
 * The run's row is locked first and read then, so that of several who want it
 * to go on one does, and the others see a run that is under way.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "store_resume.h"

static CanoStatement lock = {
	"SELECT FROM cano._run r WHERE r.id = $1 FOR NO KEY UPDATE",
	1, {INT8OID}
};

/*
 * A visit of a state begins with an entry row that is not a resumption, and
 * its cursor is the newest since.
 */
static CanoStatement load = {
	"SELECT r.owner, r.owner_name, r.origin, r.priority, r.status = 'active',"
	"	r.cleared, r.rollback = 'partial', r.definition, r.key,"
	"	coalesce(r.data, r.input), r.started_at, k.sequence, k.state,"
	"	(SELECT s.output FROM cano._checkpoint s"
	"	WHERE s.run = r.id AND s.kind = 's' AND s.state = k.state"
	"	AND s.sequence > (SELECT max(e.sequence) FROM cano._checkpoint e"
	"		WHERE e.run = r.id AND e.kind = 'e' AND e.mark IS NULL)"
	"	ORDER BY s.sequence DESC LIMIT 1),"
	"	(SELECT max(f.id) FROM cano._fan f"
	"	WHERE f.run = r.id AND f.state = k.state AND f.holder = k.job)"
	" FROM cano._run r"
	" LEFT JOIN LATERAL (SELECT c.sequence, c.state, c.job FROM cano._checkpoint c"
	"	WHERE c.run = r.id ORDER BY c.sequence DESC LIMIT 1) k ON true"
	" WHERE r.id = $1",
	1, {INT8OID}
};

static CanoStatement take_key = {
	"INSERT INTO cano._key (owner, workflow, key, run)"
	" VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
	4, {OIDOID, TEXTOID, TEXTOID, INT8OID}
};

/* Whoever asked it to stop when it was about to end has what he wanted. */
static CanoStatement forget_stops = {
	"DELETE FROM cano._stop s WHERE s.run = $1",
	1, {INT8OID}
};

/* The run is under way again. */
static CanoStatement revive = {
	"UPDATE cano._run r SET status = 'active', definition = $2, resumed_at = $3,"
	"	ended_at = NULL, state = NULL, rollback = NULL, cleared = false,"
	"	dead = false, cancel_reason = NULL, data = NULL, error = NULL"
	" WHERE r.id = $1",
	3, {INT8OID, INT8OID, TIMESTAMPTZOID}
};

/*
 * Its stack is as it was, but for what the state that it goes on with had
 * completed if that is the last that it did: it will do that again.
 */
static CanoStatement restack = {
	"UPDATE cano._checkpoint c"
	" SET mark = CASE WHEN c.sequence = $2 THEN 's'::\"char\" END"
	" WHERE c.run = $1 AND c.kind = 'c'"
	" AND (c.mark = 'f' OR (c.mark IS NULL AND c.sequence = $2))",
	2, {INT8OID, INT8OID}
};

static CanoStatement enter = {
	"INSERT INTO cano._checkpoint (run, sequence, kind, version, job,"
	"	recorded_at, state, task, mark)"
	" VALUES ($1, $2, 'e', $3, $4, $5, $6, $7, CASE WHEN $8 THEN 'r'::\"char\" END)",
	8, {INT8OID, INT8OID, INT4OID, INT8OID, TIMESTAMPTZOID, TEXTOID, TEXTOID,
	BOOLOID}
};

static CanoStatement lead_to_job = {
	"UPDATE cano._checkpoint c SET job = $3 WHERE c.run = $1 AND c.sequence = $2",
	3, {INT8OID, INT8OID, INT8OID}
};

static CanoStatement insert_job = {
	"INSERT INTO cano._job (owner, priority, id, run, duty, state, attempt,"
	"	sequence, started_at, errors, cursor, data, fan)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, $11, $12)",
	12, {OIDOID, INT4OID, INT8OID, INT8OID, CHAROID, TEXTOID, INT4OID, INT8OID,
	TIMESTAMPTZOID, JSONBOID, JSONBOID, INT8OID}
};

static CanoStatement insert_deadline = {
	"INSERT INTO cano._timer (owner, priority, id, run, duty, state, attempt,"
	"	sequence, errors, due_at, waiting)"
	" VALUES ($1, $2, -$3, $3, 'd', '', 0, 0, 0, $4, 'd')"
	" ON CONFLICT (id) DO UPDATE SET due_at = excluded.due_at",
	4, {OIDOID, INT4OID, INT8OID, TIMESTAMPTZOID}
};

/* The first error is the one that the run had ended with before its rollback. */
static CanoStatement drain = {
	"INSERT INTO cano._drain (run, ending, dead, state, cancel_reason, errors)"
	" SELECT r.id, CASE r.status WHEN 'cancelled' THEN 'c'::\"char\" ELSE 'f' END,"
	"	r.dead, r.state, r.cancel_reason,"
	"	pg_catalog.jsonb_build_array(r.error -> 'errors' -> 0)"
	" FROM cano._run r WHERE r.id = $1",
	1, {INT8OID}
};

static void add_job(const CanoEndedRun *ended, CanoPlace place, CanoDuty duty,
					const char *state, int attempt, int64 sequence,
					Jsonb *cursor, Jsonb *data, int64 fan);
static void run_restack(const CanoEndedRun *ended, int64 superseded);
static void run_lead_to_job(const CanoEndedRun *ended, int64 job);

bool
cano_store_lock_ended(int64 run, MemoryContext context, CanoEndedRun *ended)
{
	Datum		values[] = {Int64GetDatum(run)};
	MemoryContext spi_context;
	bool		isnull;

	if (cano_statement_run(&lock, values, NULL, SPI_OK_SELECT) == 0 ||
		cano_statement_run(&load, values, NULL, SPI_OK_SELECT) == 0)
		return false;
	spi_context = MemoryContextSwitchTo(context);
	memset(ended, 0, sizeof(*ended));
	ended->id = run;
	ended->owner = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0],
												  SPI_tuptable->tupdesc, 1,
												  &isnull));
	ended->owner_name = *DatumGetName(SPI_getbinval(SPI_tuptable->vals[0],
													SPI_tuptable->tupdesc, 2,
													&isnull));
	ended->origin = cano_column_int64(0, 3, 0);
	ended->priority = cano_column_int32(0, 4, 0);
	ended->active = cano_column_bool(0, 5, false);
	ended->cleared = cano_column_bool(0, 6, false);
	ended->partial = cano_column_bool(0, 7, false);
	ended->definition = cano_column_int64(0, 8, 0);
	ended->key = cano_column_text(0, 9);
	ended->data = cano_column_jsonb(0, 10);
	ended->started_at = cano_column_time(0, 11, DT_NOBEGIN);
	ended->sequence = cano_column_int64(0, 12, CANO_NO_SEQUENCE);
	ended->state = cano_column_text(0, 13);
	ended->cursor = cano_column_jsonb(0, 14);
	ended->fan = cano_column_int64(0, 15, 0);
	MemoryContextSwitchTo(spi_context);
	return true;
}

bool
cano_store_resume(const CanoEndedRun *ended, const CanoResumption *to,
				  CanoPlace *place)
{
	const CanoDefinition *definition = to->definition;
	const CanoState *state = &definition->model.states[to->state];
	const CanoFunctionName *task = definition->extra[to->state].run;
	bool		leaves_row = cano_fsm_leaves_row(state);
	int64		job = cano_store_new_id();
	Datum		key[] = {
		ObjectIdGetDatum(ended->owner),
		CStringGetTextDatum(definition->workflow),
		ended->key ? CStringGetTextDatum(ended->key) : (Datum) 0,
		Int64GetDatum(ended->id)
	};
	Datum		run[] = {
		Int64GetDatum(ended->id),
		Int64GetDatum(definition->id),
		TimestampTzGetDatum(to->now)
	};
	Datum		entry[] = {
		Int64GetDatum(ended->id),
		Int64GetDatum(ended->sequence + 1),
		Int32GetDatum(definition->version),
		Int64GetDatum(job),
		TimestampTzGetDatum(to->now),
		CStringGetTextDatum(state->name),
		task ? CStringGetTextDatum(task->name) : (Datum) 0,
		BoolGetDatum(to->same_visit)
	};
	Datum		deadline[] = {
		ObjectIdGetDatum(ended->owner),
		Int32GetDatum(ended->priority),
		Int64GetDatum(ended->id),
		TimestampTzGetDatum(TimestampTzPlusMilliseconds(to->now,
														definition->timeout_ms))
	};

	if (ended->key != NULL &&
		cano_statement_run(&take_key, key, NULL, SPI_OK_INSERT) == 0)
		return false;
	(void) cano_statement_run(&revive, run, NULL, SPI_OK_UPDATE);
	(void) cano_statement_run(&forget_stops, run, NULL, SPI_OK_DELETE);
	run_restack(ended, strcmp(ended->state, state->name) == 0 ?
				ended->sequence : CANO_NO_SEQUENCE);
	if (leaves_row)
		(void) cano_statement_run(&enter, entry, task ? NULL : "      n ",
								  SPI_OK_INSERT);
	else
		run_lead_to_job(ended, job);
	place->priority = ended->priority;
	place->id = job;
	add_job(ended, *place, definition->nbefore > 0 ? CANO_DUTY_PREPARE :
			CANO_DUTY_RESUME, state->name, 1,
			ended->sequence + (leaves_row ? 1 : 0),
			to->same_visit && state->kind == CANO_KIND_STEPPED ?
			ended->cursor : NULL, to->data, to->keep_results ? ended->fan : 0);
	if (definition->timeout_ms > 0)
		(void) cano_statement_run(&insert_deadline, deadline, NULL,
								  SPI_OK_INSERT);
	return true;
}

CanoPlace
cano_store_compensate(const CanoEndedRun *ended)
{
	CanoPlace	place = {ended->priority, cano_store_new_id()};
	Datum		run[] = {
		Int64GetDatum(ended->id),
		Int64GetDatum(ended->definition),
		(Datum) 0
	};

	(void) cano_statement_run(&drain, run, NULL, SPI_OK_INSERT);
	(void) cano_statement_run(&revive, run, "  n", SPI_OK_UPDATE);
	run_restack(ended, CANO_NO_SEQUENCE);
	run_lead_to_job(ended, place.id);
	add_job(ended, place, CANO_DUTY_UNDO, ended->state, 0, ended->sequence,
			NULL, ended->data, 0);
	return place;
}

static void
run_restack(const CanoEndedRun *ended, int64 superseded)
{
	Datum		values[] = {Int64GetDatum(ended->id), Int64GetDatum(superseded)};

	(void) cano_statement_run(&restack, values, NULL, SPI_OK_UPDATE);
}

static void
run_lead_to_job(const CanoEndedRun *ended, int64 job)
{
	Datum		values[] = {
		Int64GetDatum(ended->id),
		Int64GetDatum(ended->sequence),
		Int64GetDatum(job)
	};

	(void) cano_statement_run(&lead_to_job, values, NULL, SPI_OK_UPDATE);
}

static void
add_job(const CanoEndedRun *ended, CanoPlace place, CanoDuty duty,
		const char *state, int attempt, int64 sequence, Jsonb *cursor,
		Jsonb *data, int64 fan)
{
	char		nulls[CANO_MAX_PARAMETERS];
	Datum		values[] = {
		ObjectIdGetDatum(ended->owner),
		Int32GetDatum(place.priority),
		Int64GetDatum(place.id),
		Int64GetDatum(ended->id),
		CharGetDatum((char) duty),
		CStringGetTextDatum(state),
		Int32GetDatum(attempt),
		Int64GetDatum(sequence),
		TimestampTzGetDatum(ended->started_at),
		cursor ? JsonbPGetDatum(cursor) : (Datum) 0,
		JsonbPGetDatum(data),
		Int64GetDatum(fan)
	};

	memset(nulls, ' ', sizeof(nulls));
	if (ended->started_at == DT_NOBEGIN)
		nulls[8] = 'n';
	if (cursor == NULL)
		nulls[9] = 'n';
	if (fan == 0)
		nulls[11] = 'n';
	(void) cano_statement_run(&insert_job, values, nulls, SPI_OK_INSERT);
}
