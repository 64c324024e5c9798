/*-------------------------------------------------------------------------
 *
 * store_stop.c
 *	  Requests that runs stop.
 *
 * Whoever asks locks nothing of the run: he leaves the request, which every
 * claim looks for, and a job that makes the run due wherever it waits.  That
 * job looks again while a worker has the run in hand, because the worker may
 * be about to let it wait without having seen the request.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "shmem.h"
#include "store.h"
#include "store_stop.h"

/* How soon to look again for a run that somebody has in hand. */
#define LOOK_AGAIN_MS	200

static CanoStatement ask = {
	"WITH request AS ("
	"	INSERT INTO cano._stop (run, id, asked_at, reason)"
	"	VALUES ($4, $3, $5, $6))"
	" INSERT INTO cano._job (owner, priority, id, run, duty, state, attempt,"
	"	sequence, errors)"
	" VALUES ($1, $2, $3, $4, 'x', '', 0, 0, 0)",
	6, {OIDOID, INT4OID, INT8OID, INT8OID, TIMESTAMPTZOID, TEXTOID}
};

static CanoStatement is_asked = {
	"SELECT s.reason FROM cano._stop s WHERE s.run = $1 ORDER BY s.id LIMIT 1",
	1, {INT8OID}
};

/* A request that came too late is forgotten: the run has ended, or goes back. */
static CanoStatement stop = {
	"WITH place AS ("
	"	SELECT r.id AS run, r.owner, r.priority,"
	"		coalesce((SELECT k.job FROM cano._checkpoint k"
	"			WHERE k.run = r.id ORDER BY k.sequence DESC LIMIT 1), r.id) AS id"
	"	FROM cano._run r WHERE r.id = ANY ($1) AND r.status = 'active'"
	"	AND NOT EXISTS (SELECT FROM cano._drain d WHERE d.run = r.id))"
	", due AS ("
	"	DELETE FROM cano._timer t"
	"	WHERE t.id = ANY (ARRAY("
	"		SELECT s.id FROM place p JOIN cano._timer s ON s.id = p.id"
	"		FOR UPDATE OF s SKIP LOCKED))"
	"	RETURNING " CANO_JOB_COLUMNS ")"
	", moved AS ("
	"	INSERT INTO cano._job (" CANO_JOB_COLUMNS ")"
	"	SELECT " CANO_JOB_COLUMNS " FROM due RETURNING run, priority, id)"
	", queued AS ("
	"	SELECT q.run, q.priority, q.id FROM place p JOIN cano._job q"
	"		ON q.owner = p.owner AND q.priority = p.priority AND q.id = p.id"
	"	FOR UPDATE OF q SKIP LOCKED)"
	", again AS ("
	"	INSERT INTO cano._timer (owner, priority, id, run, duty, state, attempt,"
	"		sequence, errors, due_at, waiting)"
	"	SELECT p.owner, p.priority, $2 + pg_catalog.nextval('cano._id'), p.run,"
	"		'x', '', 0, 0, 0, $3, 'd'"
	"	FROM place p"
	"	WHERE NOT EXISTS (SELECT FROM due d WHERE d.run = p.run)"
	"	AND NOT EXISTS (SELECT FROM queued q WHERE q.run = p.run)"
	"	RETURNING run)"
	", late AS ("
	"	DELETE FROM cano._stop s"
	"	WHERE s.run = ANY ($1)"
	"	AND NOT EXISTS (SELECT FROM place p WHERE p.run = s.run))"
	" SELECT n.priority, n.id, n.run, n.busy, n.busy AND EXISTS ("
	"	SELECT FROM cano._stop s WHERE s.run = n.run)"
	" FROM ("
	"	SELECT m.priority, m.id, m.run, false AS busy FROM moved m"
	"	UNION ALL SELECT q.priority, q.id, q.run, false FROM queued q"
	"	UNION ALL SELECT $4, $5, g.run, true FROM again g) n"
	" ORDER BY n.priority, n.id",
	5, {INT8ARRAYOID, INT8OID, TIMESTAMPTZOID, INT4OID, INT8OID}
};

static CanoStatement stopped_runs = {
	"WITH deadlines AS ("
	"	DELETE FROM cano._timer t WHERE t.id = ANY (ARRAY("
	"		SELECT s.id FROM cano._timer s WHERE s.id = ANY ($2)"
	"		FOR UPDATE SKIP LOCKED)))"
	" DELETE FROM cano._stop s WHERE s.run = ANY ($1)",
	2, {INT8ARRAYOID, INT8ARRAYOID}
};

static CanoStatement stop_children = {
	"WITH child AS ("
	"	SELECT c.id, c.owner, c.priority, c.parent FROM cano._run c"
	"	WHERE c.parent = ANY ($1) AND c.status = 'active'"
	"	AND NOT EXISTS (SELECT FROM cano._drain d WHERE d.run = c.id))"
	", notice AS ("
	"	INSERT INTO cano._job (owner, priority, id, run, duty, state, attempt,"
	"		sequence, errors)"
	"	SELECT c.owner, c.priority, $3 + pg_catalog.nextval('cano._id'), c.id,"
	"		'x', '', 0, 0, 0 FROM child c"
	"	RETURNING priority, id, run)"
	", request AS ("
	"	INSERT INTO cano._stop (run, id, asked_at, reason)"
	"	SELECT c.id, n.id, $2, format('parent run %s has ended', c.parent)"
	"	FROM child c JOIN notice n ON n.run = c.id)"
	" SELECT n.priority, n.id, n.run FROM notice n ORDER BY n.priority, n.id",
	3, {INT8ARRAYOID, TIMESTAMPTZOID, INT8OID}
};

CanoPlace
cano_store_ask(const CanoAddressee *who, const char *reason, TimestampTz now)
{
	CanoPlace	place = {who->priority, cano_store_new_id()};
	Datum		values[] = {
		ObjectIdGetDatum(who->owner),
		Int32GetDatum(place.priority),
		Int64GetDatum(place.id),
		Int64GetDatum(who->run),
		TimestampTzGetDatum(now),
		reason ? CStringGetTextDatum(reason) : (Datum) 0
	};

	(void) cano_statement_run(&ask, values, reason ? NULL : "     n",
							  SPI_OK_INSERT);
	return place;
}

bool
cano_store_is_asked(int64 run, MemoryContext context, const char **reason)
{
	Datum		values[] = {Int64GetDatum(run)};
	MemoryContext spi_context;

	if (cano_statement_run(&is_asked, values, NULL, SPI_OK_SELECT) == 0)
		return false;
	if (reason != NULL)
	{
		spi_context = MemoryContextSwitchTo(context);
		*reason = cano_column_text(0, 1);
		MemoryContextSwitchTo(spi_context);
	}
	return true;
}

void
cano_store_stops_init(CanoRows *stops, CanoRows *stopped, CanoRows *parents)
{
	cano_rows_init_some(stops, &stop, 1);
	cano_rows_init(stopped, &stopped_runs);
	cano_rows_init_some(parents, &stop_children, 1);
}

/*
 * One that is busy may have begun a task after it was interrupted last.  If it
 * is only out of time, its task's own time is over with it: whom somebody else
 * stops, he has cancelled.
 */
CanoPlace
cano_store_stop(CanoRows *stops, TimestampTz now, TimestampTz *look_again_at)
{
	CanoPlace	none = CANO_NO_PLACE;
	Datum		values[5];
	uint64		n;

	*look_again_at = DT_NOEND;
	if (stops->nrows == 0)
		return none;
	cano_rows_arrays(stops, &stop, values);
	values[1] = Int64GetDatum(cano_store_node());
	values[2] = TimestampTzGetDatum(TimestampTzPlusMilliseconds(now, LOOK_AGAIN_MS));
	values[3] = Int32GetDatum(none.priority);
	values[4] = Int64GetDatum(none.id);
	n = cano_statement_run(&stop, values, NULL, SPI_OK_SELECT);
	for (int i = 0; i < n; i++)
	{
		if (cano_column_bool(i, 4, false))
			*look_again_at = DatumGetTimestampTz(values[2]);
		if (cano_column_bool(i, 5, false))
			cano_stop_at_commit(cano_column_int64(i, 3, 0), 0);
	}
	return cano_store_place(n);
}

void
cano_store_forget_stops(CanoRows *stopped)
{
	(void) cano_rows_run(stopped, &stopped_runs, SPI_OK_DELETE);
}

CanoPlace
cano_store_stop_children(CanoRows *parents, TimestampTz now)
{
	Datum		values[3];
	uint64		n;

	if (parents->nrows == 0)
		return CANO_NO_PLACE;
	cano_rows_arrays(parents, &stop_children, values);
	values[1] = TimestampTzGetDatum(now);
	values[2] = Int64GetDatum(cano_store_node());
	n = cano_statement_run(&stop_children, values, NULL, SPI_OK_SELECT);
	for (int i = 0; i < n; i++)
		cano_stop_at_commit(cano_column_int64(i, 3, 0), 0);
	return cano_store_place(n);
}
