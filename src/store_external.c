/*-------------------------------------------------------------------------
 *
 * store_external.c
 *	  Every statement on external work and its leases.
 *
 * Clients lock the row of the work and nothing of its run; what they answer
 * is left like a signal.  The engine waits for no client: work that one has
 * in hand at the moment is looked at again a little later.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "origin.h"
#include "store_external.h"

static CanoStatement offer = {
	"INSERT INTO cano._work (run, sequence, attempt, owner, priority, id, queue,"
	"	state)"
	" SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8)",
	8, {INT8ARRAYOID, INT8ARRAYOID, INT4ARRAYOID, OIDARRAYOID, INT4ARRAYOID,
	INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID}
};

/*
 * Of each run: work that is withdrawn, or whose run has ended, is gone; so is
 * work whose lease is over, and that is its answer.  Otherwise somebody has to
 * look again, at the end of the lease or soon: he also finds the answer of a
 * client who had the work in hand when it was withdrawn.
 */
static CanoStatement look_after = {
	"WITH look AS ("
	"	SELECT u.run, bool_or(u.withdrawn) AS withdrawn"
	"	FROM unnest($1, $2) u (run, withdrawn) GROUP BY u.run)"
	", held AS ("
	"	SELECT w.run, w.sequence, w.attempt, w.owner, w.priority, w.timer,"
	"		w.lease_until, l.withdrawn OR r.status <> 'active' AS over"
	"	FROM look l JOIN cano._work w ON w.run = l.run"
	"	JOIN cano._run r ON r.id = l.run"
	"	FOR UPDATE OF w SKIP LOCKED)"
	", gone AS ("
	"	DELETE FROM cano._work w USING held h"
	"	WHERE w.run = h.run AND w.sequence = h.sequence"
	"	AND w.attempt = h.attempt AND (h.over OR h.lease_until <= $3)"
	"	RETURNING h.*)"
	", timers AS ("
	"	DELETE FROM cano._timer t"
	"	WHERE t.id = ANY (ARRAY("
	"		SELECT s.id FROM gone g JOIN cano._timer s ON s.id = g.timer"
	"		FOR UPDATE OF s SKIP LOCKED)))"
	", old_replies AS ("
	"	DELETE FROM cano._signal s USING look l, cano._run r"
	"	WHERE s.run = l.run AND s.name = '' AND r.id = l.run"
	"	AND (l.withdrawn OR r.status <> 'active' OR EXISTS ("
	"		SELECT FROM cano._drain d WHERE d.run = l.run)))"
	", replies AS ("
	"	INSERT INTO cano._signal (run, name, id, sent_at, payload)"
	"	SELECT g.run, '', pg_catalog.nextval('cano._signal_id'), $3,"
	"		pg_catalog.jsonb_build_object('sequence', g.sequence,"
	"			'attempt', g.attempt, 'expired', true)"
	"	FROM gone g WHERE NOT g.over)"
	", notices AS ("
	"	INSERT INTO cano._job (owner, priority, id, run, duty, state, attempt,"
	"		sequence, errors)"
	"	SELECT g.owner, g.priority, $4 + pg_catalog.nextval('cano._id'), g.run,"
	"		'n', '', 0, 0, 0"
	"	FROM gone g WHERE NOT g.over"
	"	RETURNING priority, id)"
	", kept AS ("
	"	SELECT w.run, w.sequence, w.attempt, w.owner, w.priority,"
	"		$4 + pg_catalog.nextval('cano._id') AS timer,"
	"		coalesce(h.lease_until, $5) AS due_at, h.run IS NOT NULL AS mine"
	"	FROM look l JOIN cano._work w ON w.run = l.run"
	"	LEFT JOIN held h ON h.run = w.run AND h.sequence = w.sequence"
	"		AND h.attempt = w.attempt"
	"	WHERE h.run IS NULL OR NOT h.over AND h.lease_until > $3)"
	", again AS ("
	"	INSERT INTO cano._timer (owner, priority, id, run, duty, state, attempt,"
	"		sequence, errors, due_at, waiting)"
	"	SELECT k.owner, k.priority, k.timer, k.run, 'l', '', 0, 0, 0, k.due_at,"
	"		'l' FROM kept k)"
	", renamed AS ("
	"	UPDATE cano._work w SET timer = k.timer FROM kept k"
	"	WHERE w.run = k.run AND w.sequence = k.sequence"
	"	AND w.attempt = k.attempt AND k.mine)"
	" SELECT n.priority, n.id, (SELECT min(k.due_at) FROM kept k)"
	" FROM (VALUES (true)) v LEFT JOIN notices n ON true"
	" ORDER BY n.priority, n.id LIMIT 1",
	5, {INT8ARRAYOID, BOOLARRAYOID, TIMESTAMPTZOID, INT8OID, TIMESTAMPTZOID}
};

/* Those that somebody has locked are counted, but not returned. */
static CanoStatement hold = {
	"WITH held AS ("
	"	SELECT w.run FROM cano._work w WHERE w.run = $1"
	"	FOR UPDATE SKIP LOCKED)"
	" SELECT (SELECT count(*) FROM held), count(*), max(w.lease_until)"
	" FROM cano._work w WHERE w.run = $1",
	1, {INT8OID}
};

/* From owner to owner, not from row to row. */
static CanoStatement owners_of = {
	"WITH RECURSIVE head AS ("
	"	(SELECT w.owner, w.priority, w.id FROM cano._work w"
	"	WHERE w.queue = $1 AND w.token IS NULL AND NOT w.parked"
	"	ORDER BY w.owner, w.priority, w.id LIMIT 1)"
	"	UNION ALL"
	"	SELECT n.owner, n.priority, n.id FROM head h, LATERAL ("
	"		SELECT w.owner, w.priority, w.id FROM cano._work w"
	"		WHERE w.queue = $1 AND w.token IS NULL AND NOT w.parked"
	"		AND w.owner > h.owner"
	"		ORDER BY w.owner, w.priority, w.id LIMIT 1) n)"
	" SELECT h.owner FROM head h ORDER BY h.priority, h.id",
	1, {TEXTOID}
};

/*
 * Work is handed out while its run waits for it here: not when the run is
 * being stopped or its workflow paused, and not in a copy of the database.
 */
static CanoStatement take = {
	"WITH chosen AS ("
	"	SELECT w.run, w.sequence, w.attempt, t.data, r.input, r.headers"
	"	FROM cano._work w"
	"	JOIN cano._timer t ON t.id = w.id AND t.run = w.run AND t.waiting = 'x'"
	"	JOIN cano._run r ON r.id = w.run AND r.origin = $3"
	"	JOIN cano._definition d ON d.id = r.definition"
	"	JOIN cano._workflow f ON f.workflow = d.workflow AND NOT f.paused"
	"	WHERE w.queue = $1 AND w.owner = $2 AND w.token IS NULL AND NOT w.parked"
	"	ORDER BY w.priority, w.id LIMIT $4"
	"	FOR UPDATE OF w SKIP LOCKED)"
	", leased AS ("
	"	UPDATE cano._work w"
	"	SET token = pg_catalog.gen_random_uuid()::text, lease_until = $5,"
	"		timer = $6 + pg_catalog.nextval('cano._id')"
	"	FROM chosen c"
	"	WHERE w.run = c.run AND w.sequence = c.sequence"
	"	AND w.attempt = c.attempt"
	"	RETURNING w.*, c.data, c.input, c.headers)"
	", timers AS ("
	"	INSERT INTO cano._timer (owner, priority, id, run, duty, state, attempt,"
	"		sequence, errors, due_at, waiting)"
	"	SELECT l.owner, l.priority, l.timer, l.run, 'l', '', 0, 0, 0,"
	"		l.lease_until, 'l' FROM leased l)"
	" SELECT l.token, l.run, l.state, l.attempt, coalesce(l.data, l.input),"
	"	l.headers, pg_catalog.concat_ws(':', l.run, l.sequence, l.state),"
	"	l.lease_until"
	" FROM leased l ORDER BY l.priority, l.id",
	6, {TEXTOID, OIDOID, INT8OID, INT4OID, TIMESTAMPTZOID, INT8OID}
};

static CanoStatement find = {
	"SELECT w.run, w.sequence, w.attempt, w.owner, w.priority, w.lease_until,"
	"	r.definition, w.state"
	" FROM cano._work w JOIN cano._run r ON r.id = w.run"
	" WHERE w.token = $1 AND r.status = 'active' AND r.origin = $2",
	2, {TEXTOID, INT8OID}
};

static CanoStatement end_work = {
	"WITH done AS ("
	"	DELETE FROM cano._work w WHERE w.token = $1 AND w.lease_until > $2"
	"	RETURNING w.timer)"
	", timers AS ("
	"	DELETE FROM cano._timer t"
	"	WHERE t.id = ANY (ARRAY("
	"		SELECT s.id FROM done d JOIN cano._timer s ON s.id = d.timer"
	"		FOR UPDATE OF s SKIP LOCKED)))"
	" SELECT FROM done",
	2, {TEXTOID, TIMESTAMPTZOID}
};

/* A timer that comes too early sets itself again; it must not come too late. */
static CanoStatement extend = {
	"WITH leased AS ("
	"	UPDATE cano._work w SET lease_until = $3"
	"	WHERE w.token = $1 AND w.lease_until > $2"
	"	RETURNING w.owner, w.priority, w.run)"
	", timers AS ("
	"	INSERT INTO cano._timer (owner, priority, id, run, duty, state, attempt,"
	"		sequence, errors, due_at, waiting)"
	"	SELECT l.owner, l.priority, $4 + pg_catalog.nextval('cano._id'), l.run,"
	"		'l', '', 0, 0, 0, $3, 'l' FROM leased l"
	"	WHERE EXISTS (SELECT FROM cano._work w WHERE w.token = $1"
	"		AND w.lease_until > $3))"
	" SELECT FROM leased",
	4, {TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID}
};

void
cano_store_external_init(CanoSettlement *settlement)
{
	cano_rows_init(&settlement->offers, &offer);
	cano_rows_init_some(&settlement->leases, &look_after, 2);
}

/*
 * A run may be offered again in the batch that withdraws it.
 */
CanoPlace
cano_store_external(CanoSettlement *settlement, TimestampTz *due_at)
{
	CanoRows   *leases = &settlement->leases;
	CanoPlace	place = CANO_NO_PLACE;

	if (leases->nrows > 0)
	{
		TimestampTz again = TimestampTzPlusMilliseconds(settlement->now,
														CANO_LOOK_AGAIN_MS);
		Datum		values[5];

		cano_rows_arrays(leases, &look_after, values);
		values[2] = TimestampTzGetDatum(settlement->now);
		values[3] = Int64GetDatum(cano_store_node());
		values[4] = TimestampTzGetDatum(again);
		(void) cano_statement_run(&look_after, values, NULL, SPI_OK_SELECT);
		place.priority = cano_column_int32(0, 1, place.priority);
		place.id = cano_column_int64(0, 2, place.id);
		*due_at = Min(*due_at, cano_column_time(0, 3, DT_NOEND));
	}
	(void) cano_rows_run(&settlement->offers, &offer, SPI_OK_INSERT);
	return place;
}

CanoHold
cano_store_hold_work(int64 run, TimestampTz *leased_until)
{
	Datum		values[] = {Int64GetDatum(run)};

	(void) cano_statement_run(&hold, values, NULL, SPI_OK_SELECT);
	*leased_until = cano_column_time(0, 3, DT_NOBEGIN);
	if (cano_column_int64(0, 2, 0) == 0)
		return CANO_HOLD_NONE;
	return cano_column_int64(0, 1, 0) == cano_column_int64(0, 2, 0) ?
		CANO_HOLD_MINE : CANO_HOLD_CLIENT;
}

int
cano_store_work_owners(const char *queue, MemoryContext context, Oid **owners)
{
	Datum		values[] = {CStringGetTextDatum(queue)};
	int			n = cano_statement_run(&owners_of, values, NULL, SPI_OK_SELECT);

	*owners = MemoryContextAlloc(context, sizeof(Oid) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		bool		isnull;

		(*owners)[i] = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i],
													  SPI_tuptable->tupdesc,
													  1, &isnull));
	}
	return n;
}

uint64
cano_store_take_work(const char *queue, Oid owner, int max,
					 TimestampTz lease_until)
{
	Datum		values[] = {
		CStringGetTextDatum(queue),
		ObjectIdGetDatum(owner),
		Int64GetDatum(cano_origin()),
		Int32GetDatum(max),
		TimestampTzGetDatum(lease_until),
		Int64GetDatum(cano_store_node())
	};

	return cano_statement_run(&take, values, NULL, SPI_OK_SELECT);
}

bool
cano_store_find_work(const char *token, MemoryContext context, CanoWork *work)
{
	Datum		values[] = {
		CStringGetTextDatum(token),
		Int64GetDatum(cano_origin())
	};
	MemoryContext spi_context;
	bool		isnull;

	if (cano_statement_run(&find, values, NULL, SPI_OK_SELECT) == 0)
		return false;
	work->run = cano_column_int64(0, 1, 0);
	work->sequence = cano_column_int64(0, 2, 0);
	work->attempt = cano_column_int32(0, 3, 0);
	work->owner = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0],
												 SPI_tuptable->tupdesc, 4,
												 &isnull));
	work->priority = cano_column_int32(0, 5, 0);
	work->lease_until = cano_column_time(0, 6, DT_NOBEGIN);
	work->definition = cano_column_int64(0, 7, 0);
	spi_context = MemoryContextSwitchTo(context);
	work->state = cano_column_text(0, 8);
	MemoryContextSwitchTo(spi_context);
	return true;
}

bool
cano_store_end_work(const char *token, TimestampTz now)
{
	Datum		values[] = {
		CStringGetTextDatum(token),
		TimestampTzGetDatum(now)
	};

	return cano_statement_run(&end_work, values, NULL, SPI_OK_SELECT) > 0;
}

bool
cano_store_extend_work(const char *token, TimestampTz now,
					   TimestampTz lease_until)
{
	Datum		values[] = {
		CStringGetTextDatum(token),
		TimestampTzGetDatum(now),
		TimestampTzGetDatum(lease_until),
		Int64GetDatum(cano_store_node())
	};

	return cano_statement_run(&extend, values, NULL, SPI_OK_SELECT) > 0;
}
