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
#include "guc.h"
#include "json.h"
#include "store.h"
#include "store_signal.h"
#include "window.h"

static Datum column(int row, int number, bool *isnull);
static char *text_column(int row, int number);
static Jsonb *jsonb_column(int row, int number);
static int	load_runs(int n, CanoRun *runs, MemoryContext context);
static void load_run(CanoRun *run, int row);
static void set_text(CanoRows *rows, int row, int number, const char *value);
static void set_jsonb(CanoRows *rows, int row, int number, const Jsonb *value);
static void add_checkpoint(CanoSettlement *settlement, CanoRun *run, char kind,
						   const Jsonb *output);
static void forget_crashes(CanoSettlement *settlement, const CanoRun *run);
static int	add_job(CanoSettlement *settlement, CanoRows *rows, CanoRun *run,
					bool requeue);

#define JOB_TYPES \
	OIDARRAYOID, INT4ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, CHARARRAYOID, \
	TEXTARRAYOID, INT4ARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID, \
	TIMESTAMPTZARRAYOID, INT4ARRAYOID, JSONBARRAYOID, JSONBARRAYOID, JSONBARRAYOID

static CanoStatement promote = {
	"WITH due AS ("
	"	DELETE FROM cano._timer t"
	"	WHERE t.id = ANY (ARRAY("
	"		SELECT s.id FROM cano._timer s"
	"		WHERE s.owner = $1 AND s.due_at <= $2"
	"		AND ($3 = 0 OR s.run = $3)"
	"		ORDER BY s.due_at LIMIT 256"
	"		FOR UPDATE SKIP LOCKED))"
	"	RETURNING " CANO_JOB_COLUMNS ")"
	", moved AS ("
	"	INSERT INTO cano._job (" CANO_JOB_COLUMNS ")"
	"	SELECT " CANO_JOB_COLUMNS " FROM due RETURNING priority, id)"
	" SELECT m.priority, m.id FROM moved m ORDER BY m.priority, m.id LIMIT 1",
	3, {OIDOID, TIMESTAMPTZOID, INT8OID}
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
	"	r.key, r.input, r.headers," \
	"	(SELECT x.crashes FROM cano._crash x WHERE x.job = c.id)" \
	" FROM claimed c JOIN cano._run r ON r.id = c.run" \
	" ORDER BY c.priority, c.id"

static CanoStatement claim_any = {
	CLAIM("AND (q.priority, q.id) >= ($3, $4)"),
	4, {OIDOID, INT4OID, INT4OID, INT8OID}
};

/* A run is led to its job by its newest checkpoint, or has its own id. */
static CanoStatement claim_run = {
	CLAIM("AND q.priority = (SELECT r.priority FROM cano._run r WHERE r.id = $3)"
		  " AND q.id = coalesce((SELECT k.job FROM cano._checkpoint k"
		  "	WHERE k.run = $3 ORDER BY k.sequence DESC LIMIT 1), $3)"),
	3, {OIDOID, INT4OID, INT8OID}
};

static CanoStatement more_due = {
	"SELECT FROM cano._job q"
	" WHERE q.owner = $1 AND (q.priority, q.id) >= ($2, $3) LIMIT 1",
	3, {OIDOID, INT4OID, INT8OID}
};

static CanoStatement next_due = {
	"SELECT min(t.due_at) FROM cano._timer t"
	" WHERE t.owner = $1 AND t.due_at > $2 AND t.due_at < 'infinity'"
	" AND ($3 = 0 OR t.run = $3)",
	3, {OIDOID, TIMESTAMPTZOID, INT8OID}
};

static CanoStatement insert_checkpoints = {
	"INSERT INTO cano._checkpoint"
	" (run, sequence, kind, version, job, recorded_at, state, task, output)"
	" SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9)",
	9, {INT8ARRAYOID, INT8ARRAYOID, CHARARRAYOID, INT4ARRAYOID, INT8ARRAYOID,
	TIMESTAMPTZARRAYOID, TEXTARRAYOID, TEXTARRAYOID, JSONBARRAYOID}
};

static CanoStatement insert_jobs = {
	"INSERT INTO cano._job (" CANO_JOB_COLUMNS ")"
	" SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,"
	"	$13, $14)",
	14, {JOB_TYPES}
};

static CanoStatement insert_timers = {
	"INSERT INTO cano._timer (" CANO_JOB_COLUMNS ", due_at, waiting, awaits)"
	" SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,"
	"	$13, $14, $15, $16, $17)",
	17, {JOB_TYPES, TIMESTAMPTZARRAYOID, CHARARRAYOID, TEXTARRAYOID}
};

static CanoStatement insert_attempts = {
	"INSERT INTO cano._attempt"
	" (run, id, attempt, started_at, ended_at, state, task,"
	"	sqlstate, message, detail, hint, context)"
	" SELECT u.run, pg_catalog.nextval('cano._attempt_id'), u.attempt,"
	"	u.started_at, u.ended_at, u.state, u.task,"
	"	u.sqlstate, u.message, u.detail, u.hint, u.context"
	" FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
	"	u (run, attempt, started_at, ended_at, state, task,"
	"	sqlstate, message, detail, hint, context)",
	11, {INT8ARRAYOID, INT4ARRAYOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID,
	TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
	TEXTARRAYOID, TEXTARRAYOID}
};

static CanoStatement update_runs = {
	"UPDATE cano._run r"
	" SET status = u.status, state = u.state, started_at = u.started_at,"
	"	ended_at = u.ended_at, rollback = 'none', cleared = u.cleared,"
	"	dead = u.dead, cancel_reason = u.cancel_reason, data = u.data,"
	"	error = u.error"
	" FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
	"	u (id, status, state, started_at, ended_at, cleared, dead,"
	"	cancel_reason, data, error)"
	" WHERE r.id = u.id",
	10, {INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID,
	TIMESTAMPTZARRAYOID, BOOLARRAYOID, BOOLARRAYOID, TEXTARRAYOID,
	JSONBARRAYOID, JSONBARRAYOID}
};

static CanoStatement delete_keys = {
	"DELETE FROM cano._key k"
	" USING unnest($1, $2, $3) u (owner, workflow, key)"
	" WHERE k.owner = u.owner AND k.workflow = u.workflow AND k.key = u.key",
	3, {OIDARRAYOID, TEXTARRAYOID, TEXTARRAYOID}
};

static CanoStatement delete_crashes = {
	"DELETE FROM cano._crash x WHERE x.job = ANY ($1)",
	1, {INT8ARRAYOID}
};

CanoPlace
cano_store_promote(Oid owner, TimestampTz now, int64 run)
{
	Datum		values[] = {
		ObjectIdGetDatum(owner),
		TimestampTzGetDatum(now),
		Int64GetDatum(run)
	};

	return cano_store_place(cano_statement_run(&promote, values, NULL,
											   SPI_OK_SELECT));
}

CanoPlace
cano_store_place(uint64 nrows)
{
	CanoPlace	place = CANO_NO_PLACE;
	bool		isnull;

	if (nrows > 0)
	{
		place.priority = DatumGetInt32(column(0, 1, &isnull));
		place.id = DatumGetInt64(column(0, 2, &isnull));
	}
	return place;
}

int
cano_store_claim(Oid owner, CanoPlace from, int limit, CanoRun *runs,
				 MemoryContext context)
{
	Datum		values[] = {
		ObjectIdGetDatum(owner),
		Int32GetDatum(limit),
		Int32GetDatum(from.priority),
		Int64GetDatum(from.id)
	};

	return load_runs(cano_statement_run(&claim_any, values, NULL, SPI_OK_SELECT),
					 runs, context);
}

int
cano_store_claim_run(Oid owner, int64 run, CanoRun *runs, MemoryContext context)
{
	Datum		values[] = {
		ObjectIdGetDatum(owner),
		Int32GetDatum(1),
		Int64GetDatum(run)
	};

	return load_runs(cano_statement_run(&claim_run, values, NULL, SPI_OK_SELECT),
					 runs, context);
}

static int
load_runs(int n, CanoRun *runs, MemoryContext context)
{
	MemoryContext spi_context = MemoryContextSwitchTo(context);

	for (int i = 0; i < n; i++)
		load_run(&runs[i], i);
	MemoryContextSwitchTo(spi_context);
	return n;
}

/*
 * The columns in the order of CLAIM.
 */
static void
load_run(CanoRun *run, int row)
{
	bool		isnull;
	int			n = 1;

	memset(run, 0, sizeof(*run));
	run->id = DatumGetInt64(column(row, n++, &isnull));
	run->job = DatumGetInt64(column(row, n++, &isnull));
	run->priority = DatumGetInt32(column(row, n++, &isnull));
	run->duty = DatumGetChar(column(row, n++, &isnull));
	run->state_name = text_column(row, n++);
	run->attempt = DatumGetInt32(column(row, n++, &isnull));
	run->sequence = DatumGetInt64(column(row, n++, &isnull));
	run->started_at = DatumGetTimestampTz(column(row, n++, &isnull));
	if (isnull)
		run->started_at = DT_NOBEGIN;
	run->since = DatumGetTimestampTz(column(row, n++, &isnull));
	if (isnull)
		run->since = DT_NOBEGIN;
	run->errors = DatumGetInt32(column(row, n++, &isnull));
	run->cursor = jsonb_column(row, n++);
	run->signal = jsonb_column(row, n++);
	run->data = jsonb_column(row, n++);
	run->definition_id = DatumGetInt64(column(row, n++, &isnull));
	run->origin = DatumGetInt64(column(row, n++, &isnull));
	run->max_attempts = DatumGetInt32(column(row, n++, &isnull));
	run->key = text_column(row, n++);
	run->input = jsonb_column(row, n++);
	run->headers = jsonb_column(row, n++);
	run->crashes = DatumGetInt32(column(row, n++, &isnull));
	run->entry = -1;
	if (run->data == NULL)
		run->data = run->input;
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
cano_store_next_due(Oid owner, TimestampTz now, int64 run)
{
	Datum		values[] = {
		ObjectIdGetDatum(owner),
		TimestampTzGetDatum(now),
		Int64GetDatum(run)
	};
	bool		isnull;
	Datum		due;

	(void) cano_statement_run(&next_due, values, NULL, SPI_OK_SELECT);
	due = column(0, 1, &isnull);
	return isnull ? DT_NOEND : DatumGetTimestampTz(due);
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
	cano_rows_init(&settlement->crashes, &delete_crashes);
	cano_store_listeners_init(&settlement->listeners);
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
cano_settle_cursor(CanoSettlement *settlement, CanoRun *run)
{
	add_checkpoint(settlement, run, 's', run->cursor);
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
	set_text(rows, row, 6, run->definition->model.states[run->state].name);
	set_text(rows, row, 7, extra->run ? extra->run->name : NULL);
	set_jsonb(rows, row, 8, output);
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
	int			row = add_job(settlement, rows, run, waiting != CANO_WAIT_RETRY);

	cano_rows_set(rows, row, 14, TimestampTzGetDatum(due_at));
	cano_rows_set(rows, row, 15, CharGetDatum(waiting));
	if (waiting == CANO_WAIT_SIGNAL)
	{
		set_text(rows, row, 16, run->definition->extra[run->state].signal);
		cano_settle_listener(settlement, run->id);
	}
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
	set_text(rows, row, 5, run->state_name);
	cano_rows_set(rows, row, 6, Int32GetDatum(run->attempt));
	cano_rows_set(rows, row, 7, Int64GetDatum(run->sequence));
	if (run->started_at != DT_NOBEGIN)
		cano_rows_set(rows, row, 8, TimestampTzGetDatum(run->started_at));
	if (run->since != DT_NOBEGIN)
		cano_rows_set(rows, row, 9, TimestampTzGetDatum(run->since));
	cano_rows_set(rows, row, 10, Int32GetDatum(run->errors));
	set_jsonb(rows, row, 11, run->cursor);
	set_jsonb(rows, row, 12, run->signal);
	if (run->data != run->input)
		set_jsonb(rows, row, 13, run->data);
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
	set_text(rows, row, 4, attempt->state);
	set_text(rows, row, 5, attempt->task);
	set_text(rows, row, 6, attempt->error->sqlstate);
	set_text(rows, row, 7, attempt->error->message);
	set_text(rows, row, 8, attempt->error->detail);
	set_text(rows, row, 9, attempt->error->hint);
	set_text(rows, row, 10, attempt->error->context);
}

void
cano_settle_end(CanoSettlement *settlement, const CanoRun *run,
				const CanoRunEnd *end)
{
	static const char *const statuses[] = {
		[CANO_COMPLETED] = "completed",
		[CANO_FAILED] = "failed",
		[CANO_CANCELLED] = "cancelled"
	};
	CanoRows   *rows = &settlement->endings;
	int			row = cano_rows_add(rows);

	cano_rows_set(rows, row, 0, Int64GetDatum(run->id));
	set_text(rows, row, 1, statuses[end->ending]);
	set_text(rows, row, 2, end->state);
	if (run->started_at != DT_NOBEGIN)
		cano_rows_set(rows, row, 3, TimestampTzGetDatum(run->started_at));
	cano_rows_set(rows, row, 4, TimestampTzGetDatum(settlement->now));
	cano_rows_set(rows, row, 5, BoolGetDatum(end->ending == CANO_COMPLETED));
	cano_rows_set(rows, row, 6, BoolGetDatum(end->dead));
	set_text(rows, row, 7, end->cancel_reason);
	set_jsonb(rows, row, 8, run->data);
	set_jsonb(rows, row, 9, end->error);

	if (run->key != NULL)
	{
		row = cano_rows_add(&settlement->keys);
		cano_rows_set(&settlement->keys, row, 0,
					  ObjectIdGetDatum(settlement->owner));
		set_text(&settlement->keys, row, 1, run->definition->workflow);
		set_text(&settlement->keys, row, 2, run->key);
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

	if (run->crashes > 0)
		cano_rows_set(rows, cano_rows_add(rows), 0, Int64GetDatum(run->job));
}

void
cano_settle_listener(CanoSettlement *settlement, int64 run)
{
	CanoRows   *rows = &settlement->listeners;

	cano_rows_set(rows, cano_rows_add(rows), 0, Int64GetDatum(run));
}

CanoPlace
cano_store_settle(CanoSettlement *settlement)
{
	(void) cano_rows_run(&settlement->checkpoints, &insert_checkpoints, SPI_OK_INSERT);
	(void) cano_rows_run(&settlement->jobs, &insert_jobs, SPI_OK_INSERT);
	(void) cano_rows_run(&settlement->timers, &insert_timers, SPI_OK_INSERT);
	(void) cano_rows_run(&settlement->attempts, &insert_attempts, SPI_OK_INSERT);
	(void) cano_rows_run(&settlement->keys, &delete_keys, SPI_OK_DELETE);
	(void) cano_rows_run(&settlement->crashes, &delete_crashes, SPI_OK_DELETE);
	if (cano_rows_run(&settlement->endings, &update_runs, SPI_OK_UPDATE) !=
		settlement->endings.nrows)
		elog(ERROR, "a run that ended is not there");

	return cano_store_deliver_to(&settlement->listeners);
}

/*
 * Ids of servers with different cano.node_id never meet.
 */
int64
cano_store_new_id(void)
{
	Oid			sequence = get_relname_relid("_id", cano_extension()->schema);

	return ((int64) cano_node_id << 48) + nextval_internal(sequence, false);
}

static Datum
column(int row, int number, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc,
						 number, isnull);
}

static char *
text_column(int row, int number)
{
	bool		isnull;
	Datum		value = column(row, number, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

static Jsonb *
jsonb_column(int row, int number)
{
	bool		isnull;
	Datum		value = column(row, number, &isnull);

	return cano_json_copy(value, isnull);
}

static void
set_text(CanoRows *rows, int row, int number, const char *value)
{
	if (value != NULL)
		cano_rows_set(rows, row, number, CStringGetTextDatum(value));
}

static void
set_jsonb(CanoRows *rows, int row, int number, const Jsonb *value)
{
	if (value != NULL)
		cano_rows_set(rows, row, number, JsonbPGetDatum(value));
}
