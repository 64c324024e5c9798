/*-------------------------------------------------------------------------
 *
 * store_schedule.c
 *	  Statements on cano._schedule and cano._turn.
 *
 * What a schedule has in common with other objects that have a name is in
 * store_named.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "store.h"
#include "store_schedule.h"

static CanoStatement leave = {
	"DELETE FROM cano._turn t USING unnest($1, $2) u (schedule, run)"
	" WHERE t.run = u.run",
	2, {INT8ARRAYOID, INT8ARRAYOID}
};

/* Whoever has the timer in hand makes its run due himself. */
static CanoStatement next_turns = {
	"WITH next AS ("
	"	SELECT min(t.run) AS run FROM unnest($1) u (schedule)"
	"	JOIN cano._turn t ON t.schedule = u.schedule GROUP BY t.schedule)"
	", due AS ("
	"	DELETE FROM cano._timer t"
	"	WHERE t.id = ANY (ARRAY("
	"		SELECT s.id FROM next n JOIN cano._timer s ON s.id = n.run"
	"		WHERE s.waiting = 's' AND s.due_at = 'infinity'"
	"		FOR UPDATE OF s SKIP LOCKED))"
	"	RETURNING " CANO_JOB_COLUMNS ")"
	", moved AS ("
	"	INSERT INTO cano._job (" CANO_JOB_COLUMNS ")"
	"	SELECT " CANO_JOB_COLUMNS " FROM due RETURNING priority, id)"
	" SELECT m.priority, m.id FROM moved m ORDER BY m.priority, m.id LIMIT 1",
	1, {INT8ARRAYOID}
};

bool
cano_store_schedule_lock(int64 id, Oid owner, MemoryContext context,
						 CanoScheduleRow *row)
{
	static CanoStatement lock = {
		"SELECT s.name, s.origin, s.workflow, s.input, s.overlap, s.last_run"
		" FROM cano._schedule s WHERE s.id = $1 AND s.owner = $2 FOR UPDATE",
		2, {INT8OID, OIDOID}
	};
	Datum		values[] = {Int64GetDatum(id), ObjectIdGetDatum(owner)};
	MemoryContext spi_context;

	if (cano_statement_run(&lock, values, NULL, SPI_OK_SELECT) == 0)
		return false;
	spi_context = MemoryContextSwitchTo(context);
	row->name = cano_column_text(0, 1);
	row->origin = cano_column_int64(0, 2, 0);
	row->workflow = cano_column_text(0, 3);
	row->input = cano_column_jsonb(0, 4);
	row->overlap = cano_column_char(0, 5, CANO_OVERLAP_SKIP);
	row->last_run = cano_column_int64(0, 6, 0);
	MemoryContextSwitchTo(spi_context);
	return true;
}

int
cano_store_schedule_runs(int64 id, int64 last_run)
{
	static CanoStatement runs = {
		"SELECT t.run FROM cano._turn t WHERE t.schedule = $1"
		" UNION SELECT r.id FROM cano._run r"
		" WHERE r.id = $2 AND r.status = 'active' LIMIT 2",
		2, {INT8OID, INT8OID}
	};
	Datum		values[] = {Int64GetDatum(id), Int64GetDatum(last_run)};

	return cano_statement_run(&runs, values, NULL, SPI_OK_SELECT);
}

void
cano_store_schedule_fired(int64 id, TimestampTz now, int64 run)
{
	static CanoStatement fired = {
		"WITH turn AS ("
		"	INSERT INTO cano._turn (run, schedule)"
		"	SELECT $3, $1 WHERE $3 IS NOT NULL)"
		" UPDATE cano._schedule s"
		" SET last_fired_at = $2, last_run = coalesce($3, s.last_run)"
		" WHERE s.id = $1",
		3, {INT8OID, TIMESTAMPTZOID, INT8OID}
	};
	Datum		values[] = {
		Int64GetDatum(id), TimestampTzGetDatum(now), Int64GetDatum(run)
	};

	if (cano_statement_run(&fired, values, run == 0 ? "  n" : NULL,
						   SPI_OK_UPDATE) != 1)
		elog(ERROR, "could not change schedule " INT64_FORMAT, id);
}

bool
cano_store_is_turn(int64 schedule, int64 run)
{
	static CanoStatement others = {
		"SELECT FROM cano._schedule s WHERE s.id = $1 AND s.overlap = 'q'"
		" AND EXISTS (SELECT FROM cano._turn t"
		"	WHERE t.schedule = $1 AND t.run < $2)",
		2, {INT8OID, INT8OID}
	};
	Datum		values[] = {Int64GetDatum(schedule), Int64GetDatum(run)};

	return cano_statement_run(&others, values, NULL, SPI_OK_SELECT) == 0;
}

void
cano_store_turns_init(CanoRows *turns)
{
	cano_rows_init(turns, &leave);
}

void
cano_store_touch_turns(CanoRows *turns, int64 schedule, int64 run)
{
	int			row = cano_rows_add(turns);

	cano_rows_set(turns, row, 0, Int64GetDatum(schedule));
	cano_rows_set(turns, row, 1, Int64GetDatum(run));
}

int64 *
cano_store_turns(const CanoRows *turns, int *n)
{
	int64	   *schedules = palloc(sizeof(int64) * Max(turns->nrows, 1));

	*n = turns->nrows;
	for (int i = 0; i < *n; i++)
		schedules[i] = DatumGetInt64(turns->values[0][i]);
	return schedules;
}

CanoPlace
cano_store_next_turns(CanoRows *turns)
{
	Datum		values[2];

	if (turns->nrows == 0)
		return CANO_NO_PLACE;
	cano_rows_arrays(turns, &leave, values);
	(void) cano_statement_run(&leave, values, NULL, SPI_OK_DELETE);
	return cano_store_place(cano_statement_run(&next_turns, values, NULL,
											   SPI_OK_SELECT));
}
