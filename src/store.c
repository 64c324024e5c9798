/*-------------------------------------------------------------------------
 *
 * store.c
 *	  Runs, jobs, timers, checkpoints: every statement of a batch on them.
 *
 * Claims come one statement a batch, writes one statement a table and batch.
 * A job's row is deleted by the claim and never updated: what follows from a
 * job is a new row.  The newest entry row of a run carries the id of the job
 * made for it, so that a run leads to its job without another index.  The id
 * is also the place in the queue: a run keeps it while it goes on or tries
 * again, so that runs are finished in the order in which they came.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "error.h"
#include "store.h"
#include "store_drain.h"
#include "store_external.h"
#include "store_fan.h"
#include "store_gate.h"
#include "store_schedule.h"
#include "store_signal.h"
#include "store_stop.h"
#include "window.h"

/* A job of which no crash is known. */
#define NEVER_CRASHED	(-1)

static int	load_runs(CanoSettlement *settlement, int n, CanoRun *runs,
					  MemoryContext context);
static void load_run(CanoSettlement *settlement, CanoRun *run, int row);
static void add_checkpoint(CanoSettlement *settlement, CanoRun *run, char kind,
						   const Jsonb *output);
static void settle_endings(CanoSettlement *settlement);
static bool are_in_order(const CanoRows *runs);
static void add_runs(CanoRows *runs, const CanoRows *rows);
static void forget_crashes(CanoSettlement *settlement, const CanoRun *run);
static int	add_job(CanoSettlement *settlement, CanoRows *rows, CanoRun *run,
					bool requeue);

#define JOB_TYPES \
	OIDOID, INT4OID, INT8OID, INT8OID, CHAROID, TEXTOID, INT4OID, INT8OID, \
	TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID, JSONBOID, JSONBOID, INT8OID, \
	INT4OID, JSONBOID

static CanoStatement family_of = {
	"WITH RECURSIVE family (id, priority) AS ("
	"	SELECT r.id, r.priority FROM cano._run r WHERE r.id = $1"
	"	UNION ALL"
	"	SELECT r.id, r.priority FROM cano._run r JOIN family f ON r.parent = f.id"
	"	WHERE r.status = 'active')"
	" SELECT array_agg(f.id), min(f.priority) FROM family f",
	1, {INT8OID}
};

#define PROMOTED_AT_ONCE	"256"

#define PROMOTE(condition) \
	"WITH due AS (" \
	"	DELETE FROM cano._timer t" \
	"	WHERE t.id = ANY (ARRAY(" \
	"		SELECT s.id FROM cano._timer s" \
	"		WHERE s.owner = $1 AND s.due_at <= $2" condition \
	"		ORDER BY s.due_at LIMIT " PROMOTED_AT_ONCE \
	"		FOR UPDATE SKIP LOCKED))" \
	"	RETURNING " CANO_JOB_COLUMNS ", due_at)" \
	", moved AS (" \
	"	INSERT INTO cano._job (" CANO_JOB_COLUMNS ")" \
	"	SELECT " CANO_JOB_COLUMNS " FROM due RETURNING priority, id)" \
	" SELECT m.priority, m.id," \
	"	(SELECT CASE count(*) WHEN " PROMOTED_AT_ONCE " THEN max(d.due_at) END" \
	"	FROM due d)" \
	" FROM moved m ORDER BY m.priority, m.id LIMIT 1"

static CanoStatement promote = {
	PROMOTE(" AND s.due_at >= $3"),
	3, {OIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID}
};

static CanoStatement promote_family = {
	PROMOTE(" AND (s.run = ANY ($3) OR s.id = ANY ($4))"),
	4, {OIDOID, TIMESTAMPTZOID, INT8ARRAYOID, INT8ARRAYOID}
};

#define CLAIM(condition) \
	"WITH claimed AS (" \
	"	DELETE FROM cano._job j" \
	"	WHERE j.ctid = ANY (ARRAY(" \
	"		SELECT q.ctid FROM cano._job q" \
	"		WHERE q.owner = $1 " condition \
	"		ORDER BY q.priority, q.id LIMIT $2" \
	"		FOR UPDATE SKIP LOCKED))" \
	"	RETURNING " CANO_JOB_COLUMNS ")" \
	" SELECT c.run, c.id, c.priority, c.duty, c.state, c.attempt, c.sequence," \
	"	c.started_at, c.since, c.errors, c.cursor, c.signal, c.data, r.definition, r.origin, r.max_attempts," \
	"	r.key, r.input, r.headers, r.parent, r.depth," \
	"	greatest(r.submitted_at, r.run_at, r.resumed_at), r.status = 'active'," \
	"	CASE WHEN (SELECT EXISTS (SELECT FROM cano._crash)) THEN" \
	"	(SELECT x.crashes FROM cano._crash x WHERE x.job = c.id) END," \
	"	CASE WHEN (SELECT EXISTS (SELECT FROM cano._turn)) THEN" \
	"	(SELECT n.schedule FROM cano._turn n WHERE n.run = c.run) END," \
	"	s.run IS NOT NULL, s.reason, c.branch, b.input," \
	"	c.fan, " CANO_FAN_COLUMNS \
	" FROM claimed c LEFT JOIN cano._run r ON r.id = c.run" \
	" LEFT JOIN LATERAL (SELECT o.run, o.reason FROM cano._stop o" \
	"	WHERE o.run = CASE WHEN (SELECT EXISTS (SELECT FROM cano._stop)) THEN c.run END" \
	"	ORDER BY o.id LIMIT 1) s ON true" \
	" LEFT JOIN cano._fan f ON f.id = c.fan" \
	" LEFT JOIN cano._branch b ON b.fan = c.fan AND b.branch = c.branch" \
	" ORDER BY c.priority, c.id"

static CanoStatement claim_any = {
	CLAIM("AND (q.priority, q.id) >= ($3, $4)"),
	4, {OIDOID, INT4OID, INT4OID, INT8OID}
};

/*
 * A run is led to its job by its newest checkpoint, or has its own id; its
 * branches say which their jobs are; a deadline has its run's id, negative.
 */
static CanoStatement claim_family = {
	CLAIM("AND q.priority = $4"
		  " AND q.id = ANY (ARRAY("
		  "	SELECT coalesce((SELECT k.job FROM cano._checkpoint k"
		  "		WHERE k.run = u.run ORDER BY k.sequence DESC LIMIT 1), u.run)"
		  "	FROM unnest($3) u (run)"
		  "	UNION ALL SELECT -u.run FROM unnest($3) u (run)"
		  "	UNION ALL SELECT w.timer FROM cano._work w WHERE w.run = ANY ($3)"
		  "	UNION ALL SELECT p.job FROM cano._fan n"
		  "		JOIN cano._branch p ON p.fan = n.id AND p.status = 'b'"
		  "		WHERE n.run = ANY ($3)"
		  "	UNION ALL SELECT unnest($5)))"),
	5, {OIDOID, INT4OID, INT8ARRAYOID, INT4OID, INT8ARRAYOID}
};

static CanoStatement more_due = {
	"SELECT FROM cano._job q"
	" WHERE q.owner = $1 AND (q.priority, q.id) >= ($2, $3) LIMIT 1",
	3, {OIDOID, INT4OID, INT8OID}
};

#define NEXT_DUE(condition) \
	"SELECT min(t.due_at) FROM cano._timer t" \
	" WHERE t.owner = $1 AND t.due_at > $2 AND t.due_at < 'infinity'" condition

static CanoStatement next_due = {
	NEXT_DUE(""),
	2, {OIDOID, TIMESTAMPTZOID}
};

static CanoStatement next_due_family = {
	NEXT_DUE(" AND (t.run = ANY ($3) OR t.id = ANY ($4))"),
	4, {OIDOID, TIMESTAMPTZOID, INT8ARRAYOID, INT8ARRAYOID}
};

static CanoStatement insert_checkpoints = {
	"INSERT INTO cano._checkpoint"
	" (run, sequence, kind, version, job, recorded_at, state, task, output,"
	"	mark)"
	" SELECT * FROM gathered",
	10, {INT8OID, INT8OID, CHAROID, INT4OID, INT8OID, TIMESTAMPTZOID, TEXTOID,
	TEXTOID, JSONBOID, CHAROID}, .gathers = true
};

static CanoStatement insert_jobs = {
	"INSERT INTO cano._job (" CANO_JOB_COLUMNS ")"
	" SELECT * FROM gathered",
	16, {JOB_TYPES}, .gathers = true
};

static CanoStatement insert_timers = {
	"INSERT INTO cano._timer (" CANO_JOB_COLUMNS ", due_at, waiting, awaits)"
	" SELECT * FROM gathered",
	19, {JOB_TYPES, TIMESTAMPTZOID, CHAROID, TEXTOID}, .gathers = true
};

static CanoStatement insert_attempts = {
	"INSERT INTO cano._attempt"
	" (run, id, attempt, started_at, ended_at, state, task,"
	"	sqlstate, message, detail, hint, context, branch)"
	" SELECT u.run, pg_catalog.nextval('cano._attempt_id'), u.attempt,"
	"	u.started_at, u.ended_at, u.state, u.task,"
	"	u.sqlstate, u.message, u.detail, u.hint, u.context, u.branch"
	" FROM gathered u (run, attempt, started_at, ended_at, state, task,"
	"	sqlstate, message, detail, hint, context, branch)",
	12, {INT8OID, INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, TEXTOID,
	TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT4OID}, .gathers = true
};

static CanoStatement update_runs = {
	"UPDATE cano._run r"
	" SET status = u.status, state = u.state, started_at = u.started_at,"
	"	ended_at = u.ended_at, rollback = u.rollback, cleared = u.cleared,"
	"	dead = u.dead, cancel_reason = u.cancel_reason, data = u.data,"
	"	error = u.error"
	" FROM gathered u (id, status, state, started_at, ended_at, cleared, dead,"
	"	cancel_reason, data, error, rollback)"
	" WHERE r.id = u.id",
	11, {INT8OID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, BOOLOID,
	BOOLOID, TEXTOID, JSONBOID, JSONBOID, TEXTOID}, .gathers = true
};

/* A run that has ended before may have lost its key to another one. */
static CanoStatement delete_keys = {
	"DELETE FROM cano._key k"
	" USING unnest($1, $2, $3, $4) u (owner, workflow, key, run)"
	" WHERE k.owner = u.owner AND k.workflow = u.workflow AND k.key = u.key"
	"	AND k.run = u.run",
	4, {OIDARRAYOID, TEXTARRAYOID, TEXTARRAYOID, INT8ARRAYOID}
};

/* A lane that has crashed is careful until its end. */
static CanoStatement calm_crashes = {
	"UPDATE cano._crash x SET crashes = 0 WHERE x.job = ANY ($1)",
	1, {INT8ARRAYOID}
};

/* One may have been written down since the run was claimed. */
static CanoStatement delete_crashes_of_runs = {
	"DELETE FROM cano._crash x WHERE x.run = ANY ($1)",
	1, {INT8ARRAYOID}
};

static CanoStatement delete_crashes = {
	"DELETE FROM cano._crash x WHERE x.job = ANY ($1)",
	1, {INT8ARRAYOID}
};

const char *const cano_store_endings[] = {
	[CANO_COMPLETED] = "completed",
	[CANO_FAILED] = "failed",
	[CANO_CANCELLED] = "cancelled"
};

const char *const cano_store_rollbacks[] = {
	[CANO_ROLLBACK_NONE] = "none",
	[CANO_ROLLBACK_CLEAN] = "clean",
	[CANO_ROLLBACK_PARTIAL] = "partial"
};

void
cano_store_family(int64 run, MemoryContext context, CanoFamily *family)
{
	Datum		values[] = {Int64GetDatum(run)};
	Datum		runs;
	bool		isnull;

	(void) cano_statement_run(&family_of, values, NULL, SPI_OK_SELECT);
	runs = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
						 &isnull);
	family->priority = cano_column_int32(0, 2, 0);
	context = MemoryContextSwitchTo(context);
	family->runs = isnull ? construct_empty_array(INT8OID) :
		DatumGetArrayTypePCopy(runs);
	family->jobs = construct_empty_array(INT8OID);
	MemoryContextSwitchTo(context);
}

CanoPlace
cano_store_promote(Oid owner, TimestampTz from, TimestampTz *until)
{
	Datum		values[] = {
		ObjectIdGetDatum(owner),
		TimestampTzGetDatum(*until),
		TimestampTzGetDatum(from)
	};
	int			n = cano_statement_run(&promote, values, NULL, SPI_OK_SELECT);

	if (n > 0)
		*until = cano_column_time(0, 3, *until);
	return cano_store_place(n);
}

CanoPlace
cano_store_promote_family(Oid owner, TimestampTz now, const CanoFamily *family)
{
	Datum		values[] = {
		ObjectIdGetDatum(owner),
		TimestampTzGetDatum(now),
		PointerGetDatum(family->runs),
		PointerGetDatum(family->jobs)
	};

	return cano_store_place(cano_statement_run(&promote_family, values, NULL,
											   SPI_OK_SELECT));
}

CanoPlace
cano_store_place(uint64 nrows)
{
	CanoPlace	place = CANO_NO_PLACE;

	if (nrows > 0)
	{
		place.priority = cano_column_int32(0, 1, 0);
		place.id = cano_column_int64(0, 2, 0);
	}
	return place;
}

int
cano_store_claim(CanoSettlement *settlement, CanoPlace from, int limit,
				 CanoRun *runs, MemoryContext context)
{
	Datum		values[] = {
		ObjectIdGetDatum(settlement->owner),
		Int32GetDatum(limit),
		Int32GetDatum(from.priority),
		Int64GetDatum(from.id)
	};

	return load_runs(settlement,
					 cano_statement_run(&claim_any, values, NULL, SPI_OK_SELECT),
					 runs, context);
}

int
cano_store_claim_family(CanoSettlement *settlement, const CanoFamily *family,
						int limit, CanoRun *runs, MemoryContext context)
{
	Datum		values[] = {
		ObjectIdGetDatum(settlement->owner),
		Int32GetDatum(limit),
		PointerGetDatum(family->runs),
		Int32GetDatum(family->priority),
		PointerGetDatum(family->jobs)
	};

	return load_runs(settlement,
					 cano_statement_run(&claim_family, values, NULL,
										SPI_OK_SELECT),
					 runs, context);
}

static int
load_runs(CanoSettlement *settlement, int n, CanoRun *runs,
		  MemoryContext context)
{
	MemoryContext spi_context = MemoryContextSwitchTo(context);

	for (int i = 0; i < n; i++)
		load_run(settlement, &runs[i], i);
	MemoryContextSwitchTo(spi_context);
	return n;
}

/*
 * The columns in the order of CLAIM.
 */
static void
load_run(CanoSettlement *settlement, CanoRun *run, int row)
{
	int			n = 1;

	memset(run, 0, sizeof(*run));
	run->id = cano_column_int64(row, n++, 0);
	run->job = cano_column_int64(row, n++, 0);
	run->priority = cano_column_int32(row, n++, 0);
	run->duty = cano_column_char(row, n++, 0);
	run->state_name = cano_column_text(row, n++);
	run->attempt = cano_column_int32(row, n++, 0);
	run->sequence = cano_column_int64(row, n++, 0);
	run->started_at = cano_column_time(row, n++, DT_NOBEGIN);
	run->since = cano_column_time(row, n++, DT_NOBEGIN);
	run->errors = cano_column_int32(row, n++, 0);
	run->cursor = cano_column_jsonb(row, n++);
	run->signal = cano_column_jsonb(row, n++);
	run->data = cano_column_jsonb(row, n++);
	run->definition_id = cano_column_int64(row, n++, 0);
	run->origin = cano_column_int64(row, n++, 0);
	run->max_attempts = cano_column_int32(row, n++, 0);
	run->key = cano_column_text(row, n++);
	run->input = cano_column_jsonb(row, n++);
	run->headers = cano_column_jsonb(row, n++);
	run->parent = cano_column_int64(row, n++, 0);
	run->depth = cano_column_int32(row, n++, 0);
	run->began_at = cano_column_time(row, n++, DT_NOBEGIN);
	run->ended = !cano_column_bool(row, n++, false);
	run->crashes = cano_column_int32(row, n++, NEVER_CRASHED);
	run->schedule = cano_column_int64(row, n++, 0);
	run->stop = cano_column_bool(row, n++, false);
	run->stop_reason = cano_column_text(row, n++);
	run->branch = cano_column_int32(row, n++, CANO_NO_BRANCH);
	run->item = cano_column_jsonb(row, n++);
	run->fan = cano_store_fan_load(settlement->fans, row, n);
	run->entry = -1;
	run->written = run->sequence;
	if (run->branch != CANO_NO_BRANCH)
	{
		run->data = run->fan->data;
		run->signal = run->fan->signal;
	}
	if (run->data == NULL)
		run->data = run->input;
	run->careful = run->crashes != NEVER_CRASHED;
	run->crashes = Max(run->crashes, 0);
}

bool
cano_store_more_due(Oid owner, CanoPlace from)
{
	Datum		values[] = {
		ObjectIdGetDatum(owner),
		Int32GetDatum(from.priority),
		Int64GetDatum(from.id)
	};

	return cano_statement_run(&more_due, values, NULL, SPI_OK_SELECT) > 0;
}

TimestampTz
cano_store_next_due(Oid owner, TimestampTz now, const CanoFamily *family)
{
	Datum		values[] = {
		ObjectIdGetDatum(owner),
		TimestampTzGetDatum(now),
		family ? PointerGetDatum(family->runs) : (Datum) 0,
		family ? PointerGetDatum(family->jobs) : (Datum) 0
	};

	(void) cano_statement_run(family ? &next_due_family : &next_due, values,
							  NULL, SPI_OK_SELECT);
	return cano_column_time(0, 1, DT_NOEND);
}

void
cano_settlement_init(CanoSettlement *settlement, Oid owner)
{
	settlement->owner = owner;
	cano_rows_init(&settlement->checkpoints, &insert_checkpoints);
	cano_rows_init(&settlement->jobs, &insert_jobs);
	cano_rows_init(&settlement->timers, &insert_timers);
	cano_rows_init(&settlement->attempts, &insert_attempts);
	cano_rows_init(&settlement->endings, &update_runs);
	cano_rows_init(&settlement->keys, &delete_keys);
	cano_rows_init(&settlement->calmed, &calm_crashes);
	cano_rows_init(&settlement->crashes, &delete_crashes);
	cano_store_listeners_init(&settlement->listeners);
	cano_store_stops_init(&settlement->stops, &settlement->stopped,
						  &settlement->parents);
	cano_store_drains_init(settlement);
	cano_store_gates_init(&settlement->gates);
	cano_store_turns_init(&settlement->turns);
	cano_store_external_init(settlement);
	settlement->fans = cano_store_fans_make();
}

/*
 * The run has entered its state.
 */
void
cano_settle_entry(CanoSettlement *settlement, CanoRun *run)
{
	add_checkpoint(settlement, run, 'e', NULL);
}

/*
 * The run's stepped state has a new cursor.
 */
void
cano_settle_cursor(CanoSettlement *settlement, CanoRun *run, Jsonb *cursor)
{
	run->cursor = cursor;
	add_checkpoint(settlement, run, 's', cursor);
}

/*
 * The run's state is done, and would have to be undone: that is the stack.
 */
void
cano_settle_completion(CanoSettlement *settlement, CanoRun *run,
					   Jsonb *output)
{
	CanoEntry  *entry = palloc(sizeof(CanoEntry));

	add_checkpoint(settlement, run, 'c', output);
	entry->below = run->completed;
	entry->sequence = run->sequence;
	entry->version = run->definition->version;
	entry->state = run->definition->model.states[run->state].name;
	entry->output = output;
	entry->row = run->entry;
	run->completed = entry;
}

/*
 * What has become of a completion: a change only if its row is there already.
 */
void
cano_settle_mark(CanoSettlement *settlement, const CanoRun *run,
				 const CanoEntry *entry, char mark)
{
	CanoRows   *rows = &settlement->undone;
	int			row;

	if (entry->row >= 0)
	{
		cano_rows_set(&settlement->checkpoints, entry->row, 9,
					  CharGetDatum(mark));
		return;
	}
	row = cano_rows_add(rows);
	cano_rows_set(rows, row, 0, Int64GetDatum(run->id));
	cano_rows_set(rows, row, 1, Int64GetDatum(entry->sequence));
	cano_rows_set(rows, row, 2, CharGetDatum(mark));
}

static void
add_checkpoint(CanoSettlement *settlement, CanoRun *run, char kind,
			   const Jsonb *output)
{
	const CanoStateExtra *extra = &run->definition->extra[run->state];
	CanoRows   *rows = &settlement->checkpoints;
	int			row = cano_rows_add(rows);

	run->sequence++;
	run->entry = row;
	cano_rows_set(rows, row, 0, Int64GetDatum(run->id));
	cano_rows_set(rows, row, 1, Int64GetDatum(run->sequence));
	cano_rows_set(rows, row, 2, CharGetDatum(kind));
	cano_rows_set(rows, row, 3, Int32GetDatum(run->definition->version));
	cano_rows_set(rows, row, 5, TimestampTzGetDatum(settlement->now));
	cano_rows_set_text(rows, row, 6, run->definition->model.states[run->state].name);
	cano_rows_set_text(rows, row, 7, extra->run ? extra->run->name : NULL);
	cano_rows_set_jsonb(rows, row, 8, output);
}

void
cano_settle_job(CanoSettlement *settlement, CanoRun *run)
{
	(void) add_job(settlement, &settlement->jobs, run, false);
}

void
cano_settle_timer(CanoSettlement *settlement, CanoRun *run,
				  TimestampTz due_at, char waiting)
{
	CanoRows   *rows = &settlement->timers;
	int			row = add_job(settlement, rows, run, waiting != CANO_WAIT_RETRY &&
							  waiting != CANO_WAIT_PAUSE);

	cano_rows_set(rows, row, CANO_TIMER_DUE, TimestampTzGetDatum(due_at));
	cano_rows_set(rows, row, CANO_TIMER_WAITING, CharGetDatum(waiting));
	if (waiting == CANO_WAIT_EXTERNAL)
		cano_rows_set_text(rows, row, CANO_TIMER_AWAITS, "");
	else if (waiting == CANO_WAIT_GATE || waiting == CANO_WAIT_PAUSE)
		cano_rows_set_text(rows, row, CANO_TIMER_AWAITS, run->definition->workflow);
	else if (waiting == CANO_WAIT_SIGNAL)
	{
		cano_rows_set_text(rows, row, CANO_TIMER_AWAITS,
						   run->definition->extra[run->state].signal);
		cano_settle_listener(settlement, run->id);
	}
	settlement->parks |= waiting == CANO_WAIT_PAUSE;
}

/*
 * A job or timer for the run as it stands.  A run that goes on, or tries
 * again, keeps its place in the queue; one that waited queues up again.
 */
static int
add_job(CanoSettlement *settlement, CanoRows *rows, CanoRun *run, bool requeue)
{
	int			row = cano_rows_add(rows);

	if (run->entry >= 0)
	{
		forget_crashes(settlement, run);
		if (requeue)
			run->job = cano_store_new_id();
		cano_rows_set(&settlement->checkpoints, run->entry, 4,
					  Int64GetDatum(run->job));
	}
	cano_rows_set(rows, row, 0, ObjectIdGetDatum(settlement->owner));
	cano_rows_set(rows, row, 1, Int32GetDatum(run->priority));
	cano_rows_set(rows, row, 2, Int64GetDatum(run->job));
	cano_rows_set(rows, row, 3, Int64GetDatum(run->id));
	cano_rows_set(rows, row, 4, CharGetDatum((char) run->duty));
	cano_rows_set_text(rows, row, 5, run->state_name);
	cano_rows_set(rows, row, 6, Int32GetDatum(run->attempt));
	cano_rows_set(rows, row, 7, Int64GetDatum(run->sequence));
	if (run->started_at != DT_NOBEGIN)
		cano_rows_set(rows, row, 8, TimestampTzGetDatum(run->started_at));
	if (run->since != DT_NOBEGIN)
		cano_rows_set(rows, row, 9, TimestampTzGetDatum(run->since));
	cano_rows_set(rows, row, 10, Int32GetDatum(run->errors));
	cano_rows_set_jsonb(rows, row, 11, run->cursor);
	if (run->fan != NULL)
		cano_rows_set(rows, row, 13, Int64GetDatum(run->fan->id));
	if (run->branch != CANO_NO_BRANCH)
	{
		/* Everything else is in the fan's row. */
		cano_rows_set(rows, row, 14, Int32GetDatum(run->branch));
		return row;
	}
	cano_rows_set_jsonb(rows, row, 12, run->signal);
	if (run->data != run->input)
		cano_rows_set_jsonb(rows, row, 15, run->data);
	return row;
}

void
cano_settle_attempt(CanoSettlement *settlement, const CanoRun *run,
					const CanoAttempt *attempt)
{
	CanoRows   *rows = &settlement->attempts;
	int			row = cano_rows_add(rows);

	cano_rows_set(rows, row, 0, Int64GetDatum(run->id));
	cano_rows_set(rows, row, 1, Int32GetDatum(attempt->attempt));
	cano_rows_set(rows, row, 2, TimestampTzGetDatum(attempt->started_at));
	cano_rows_set(rows, row, 3, TimestampTzGetDatum(attempt->ended_at));
	cano_rows_set_text(rows, row, 4, attempt->state);
	cano_rows_set_text(rows, row, 5, attempt->task);
	cano_rows_set_text(rows, row, 6, attempt->error->sqlstate);
	cano_rows_set_text(rows, row, 7, attempt->error->message);
	cano_rows_set_text(rows, row, 8, attempt->error->detail);
	cano_rows_set_text(rows, row, 9, attempt->error->hint);
	cano_rows_set_text(rows, row, 10, attempt->error->context);
	if (attempt->branch != CANO_NO_BRANCH)
		cano_rows_set(rows, row, 11, Int32GetDatum(attempt->branch));
}

void
cano_settle_end(CanoSettlement *settlement, const CanoRun *run,
				const CanoRunEnd *end)
{
	CanoRows   *rows = &settlement->endings;
	int			row = cano_rows_add(rows);

	cano_rows_set(rows, row, 0, Int64GetDatum(run->id));
	cano_rows_set_text(rows, row, 1, cano_store_endings[end->ending]);
	cano_rows_set_text(rows, row, 2, end->state);
	if (run->started_at != DT_NOBEGIN)
		cano_rows_set(rows, row, 3, TimestampTzGetDatum(run->started_at));
	cano_rows_set(rows, row, 4, TimestampTzGetDatum(settlement->now));
	cano_rows_set(rows, row, 5,
				  BoolGetDatum(end->ending == CANO_COMPLETED ||
							   end->rollback == CANO_ROLLBACK_CLEAN));
	cano_rows_set(rows, row, 6, BoolGetDatum(end->dead));
	cano_rows_set_text(rows, row, 7, end->cancel_reason);
	cano_rows_set_jsonb(rows, row, 8, run->data);
	cano_rows_set_jsonb(rows, row, 9, end->error);
	cano_rows_set_text(rows, row, 10, cano_store_rollbacks[end->rollback]);

	if (run->key != NULL)
	{
		row = cano_rows_add(&settlement->keys);
		cano_rows_set(&settlement->keys, row, 0,
					  ObjectIdGetDatum(settlement->owner));
		cano_rows_set_text(&settlement->keys, row, 1, run->definition->workflow);
		cano_rows_set_text(&settlement->keys, row, 2, run->key);
		cano_rows_set(&settlement->keys, row, 3, Int64GetDatum(run->id));
	}
	forget_crashes(settlement, run);
}

/*
 * The job is done with, whatever it did to the server before.
 */
static void
forget_crashes(CanoSettlement *settlement, const CanoRun *run)
{
	CanoRows   *rows = &settlement->crashes;

	if (run->careful)
		cano_rows_set(rows, cano_rows_add(rows), 0, Int64GetDatum(run->job));
}

void
cano_settle_job_end(CanoSettlement *settlement, CanoRun *run)
{
	forget_crashes(settlement, run);
	run->careful = false;
	run->crashes = 0;
}

void
cano_settle_part_end(CanoSettlement *settlement, CanoRun *run)
{
	CanoRows   *rows = &settlement->calmed;

	if (run->crashes > 0)
		cano_rows_set(rows, cano_rows_add(rows), 0, Int64GetDatum(run->job));
	run->crashes = 0;
}

void
cano_settle_listener(CanoSettlement *settlement, int64 run)
{
	CanoRows   *rows = &settlement->listeners;

	cano_rows_set(rows, cano_rows_add(rows), 0, Int64GetDatum(run));
}

/*
 * Locks are taken in this order: runs, by their ids; what scans wrote down of
 * them; what clients share; and then, by cano_fan_settle(), fans.
 */
CanoPlace
cano_store_settle(CanoSettlement *settlement, TimestampTz *due_at)
{
	TimestampTz now = settlement->now;
	CanoPlace	place = CANO_NO_PLACE;

	(void) cano_rows_run(&settlement->checkpoints, &insert_checkpoints, SPI_OK_INSERT);
	(void) cano_rows_run(&settlement->jobs, &insert_jobs, SPI_OK_INSERT);
	(void) cano_rows_run(&settlement->timers, &insert_timers, SPI_OK_INSERT);
	(void) cano_rows_run(&settlement->attempts, &insert_attempts, SPI_OK_INSERT);
	(void) cano_rows_run(&settlement->keys, &delete_keys, SPI_OK_DELETE);
	settle_endings(settlement);
	(void) cano_rows_run(&settlement->calmed, &calm_crashes, SPI_OK_UPDATE);
	(void) cano_rows_run(&settlement->crashes, &delete_crashes, SPI_OK_DELETE);
	cano_store_drains(settlement);
	cano_store_forget_stops(&settlement->stopped);
	place = cano_place_min(place,
						   cano_store_stop_children(&settlement->parents, now));
	place = cano_place_min(place,
						   cano_store_deliver_to(&settlement->listeners));
	place = cano_place_min(place,
						   cano_store_stop(&settlement->stops, now, due_at));
	return cano_place_min(place, cano_store_external(settlement, due_at));
}

/*
 * Runs are locked in the order of their ids; who tells others that a run has
 * ended locks their runs, too, and so does who has events to be numbered.
 */
static void
settle_endings(CanoSettlement *settlement)
{
	CanoRows   *endings = &settlement->endings;
	CanoRows   *listeners = &settlement->listeners;
	CanoRows   *unnumbered = settlement->records &&
		settlement->records->unnumbered.nrows > 0 ?
		&settlement->records->unnumbered : NULL;
	CanoRows	ended;

	/* The update locks those that end, one after the other as they are here. */
	if (listeners->nrows > 0 || unnumbered != NULL || !are_in_order(endings))
	{
		CanoRows	runs;

		cano_store_listeners_init(&runs);
		add_runs(&runs, listeners);
		add_runs(&runs, endings);
		if (unnumbered != NULL)
			add_runs(&runs, unnumbered);
		cano_store_lock_runs(&runs);
	}
	if (cano_rows_run(endings, &update_runs, SPI_OK_UPDATE) != endings->nrows)
		elog(ERROR, "a run that ended is not there");
	cano_rows_init(&ended, &delete_crashes_of_runs);
	add_runs(&ended, endings);
	(void) cano_rows_run(&ended, &delete_crashes_of_runs, SPI_OK_DELETE);
}

/*
 * By their ids, as claims bring them?
 */
static bool
are_in_order(const CanoRows *runs)
{
	for (int i = 1; i < runs->nrows; i++)
		if (DatumGetInt64(runs->values[0][i - 1]) >= DatumGetInt64(runs->values[0][i]))
			return false;
	return true;
}

/* The first column of each row. */
static void
add_runs(CanoRows *runs, const CanoRows *rows)
{
	for (int i = 0; i < rows->nrows; i++)
		cano_rows_set(runs, cano_rows_add(runs), 0, rows->values[0][i]);
}

int64
cano_store_new_id(void)
{
	Oid			sequence = get_relname_relid("_id", cano_extension()->schema);

	return cano_store_node() + nextval_internal(sequence, false);
}
