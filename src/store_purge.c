/*-------------------------------------------------------------------------
 *
 * store_purge.c
 *	  Ended runs, and the removal of all of their rows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "origin.h"
#include "statement.h"
#include "store_purge.h"

/* How many runs one look may pass. */
#define MOST_LOOKS	5000

static ArrayType *make_array(const Datum *ids, int n, MemoryContext context);

/* The column is null in what came from an older release. */
#define KEEP(d) \
	"coalesce(" d ".keep, (" d ".document -> 'options' ->> 'keep')::interval," \
	" '30 days')"

static CanoStatement find_own = {
	"SELECT r.id FROM cano._run r"
	" WHERE r.id > $1 AND r.owner = $3 AND (r.origin = $4 OR r.owner_name = $5)"
	" AND r.ended_at <= $6 - $7"
	" AND ($8 IS NULL OR EXISTS (SELECT FROM cano._definition d"
	"	WHERE d.id = r.definition AND d.workflow = $8))"
	" ORDER BY r.id LIMIT $2",
	8, {INT8OID, INT4OID, OIDOID, INT8OID, NAMEOID, TIMESTAMPTZOID, INTERVALOID,
	TEXTOID}
};

/* The runs of a copy belong to the original. */
static CanoStatement look = {
	"SELECT r.id, r.origin = $4 AND r.ended_at <= $3 - " KEEP("d") ","
	"	r.submitted_at > $3 - (SELECT min(" KEEP("m") ") FROM cano._definition m)"
	" FROM cano._run r JOIN cano._definition d ON d.id = r.definition"
	" WHERE r.id > $1 ORDER BY r.id LIMIT $2",
	4, {INT8OID, INT4OID, TIMESTAMPTZOID, INT8OID}
};

/*
 * Whoever resumes a run locks it; it is read again when it is locked here.
 * Of all other rows of an ended run there are no more to come.
 */
static CanoStatement remove_ended = {
	"WITH chosen AS ("
	"	SELECT r.id FROM cano._run r"
	"	JOIN cano._definition d ON d.id = r.definition"
	"	WHERE r.id = ANY ($1) AND r.status <> 'active'"
	"	AND r.ended_at <= $2 - coalesce($3, " KEEP("d") ")"
	"	AND NOT EXISTS (SELECT FROM cano._run p"
	"		WHERE p.id = r.parent AND p.status = 'active')"
	"	AND NOT EXISTS (SELECT FROM cano._run c"
	"		WHERE c.parent = r.id AND c.status = 'active')"
	"	AND NOT EXISTS (SELECT FROM cano._job j"
	"		WHERE j.run = r.id AND j.duty = 'a')"
	"	AND NOT EXISTS (SELECT FROM cano._timer t"
	"		WHERE t.run = r.id AND t.duty = 'a')"
	"	FOR UPDATE OF r SKIP LOCKED)"
	", gone AS ("
	"	DELETE FROM cano._run r USING chosen c WHERE r.id = c.id RETURNING r.id)"
	", checkpoints AS ("
	"	DELETE FROM cano._checkpoint x USING gone g WHERE x.run = g.id)"
	", attempts AS ("
	"	DELETE FROM cano._attempt x USING gone g WHERE x.run = g.id)"
	", events AS ("
	"	DELETE FROM cano._event x USING gone g WHERE x.run = g.id)"
	", variables AS ("
	"	DELETE FROM cano._variable x USING gone g WHERE x.run = g.id)"
	", resources AS ("
	"	DELETE FROM cano._resource x USING gone g WHERE x.run = g.id)"
	", branches AS ("
	"	DELETE FROM cano._branch x USING gone g, cano._fan f"
	"	WHERE f.run = g.id AND x.fan = f.id)"
	", fans AS ("
	"	DELETE FROM cano._fan x USING gone g WHERE x.run = g.id)"
	", signals AS ("
	"	DELETE FROM cano._signal x USING gone g WHERE x.run = g.id)"
	", stops AS ("
	"	DELETE FROM cano._stop x USING gone g WHERE x.run = g.id)"
	", work AS ("
	"	DELETE FROM cano._work x USING gone g WHERE x.run = g.id)"
	", crashes AS ("
	"	DELETE FROM cano._crash x USING gone g WHERE x.run = g.id)"
	" SELECT count(*) FROM gone",
	3, {INT8ARRAYOID, TIMESTAMPTZOID, INTERVALOID}
};

int
cano_store_purge_find(const CanoPurge *purge, int64 *cursor, int limit,
					  MemoryContext context, ArrayType **runs)
{
	Datum		values[] = {
		Int64GetDatum(*cursor),
		Int32GetDatum(limit),
		ObjectIdGetDatum(purge->owner),
		Int64GetDatum(cano_origin()),
		DirectFunctionCall1(namein, CStringGetDatum(purge->owner_name)),
		TimestampTzGetDatum(purge->now),
		IntervalPGetDatum(purge->older_than),
		purge->workflow ? CStringGetTextDatum(purge->workflow) : (Datum) 0
	};
	int			n = cano_statement_run(&find_own, values,
									   purge->workflow ? NULL : "       n",
									   SPI_OK_SELECT);
	Datum	   *ids = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		*cursor = cano_column_int64(i, 1, 0);
		ids[i] = Int64GetDatum(*cursor);
	}
	*runs = make_array(ids, n, context);
	return n;
}

void
cano_store_expired(TimestampTz now, int64 cursor, int limit,
				   MemoryContext context, CanoExpired *expired)
{
	Datum		values[] = {
		Int64GetDatum(cursor),
		Int32GetDatum(MOST_LOOKS),
		TimestampTzGetDatum(now),
		Int64GetDatum(cano_origin())
	};
	int			n = cano_statement_run(&look, values, NULL, SPI_OK_SELECT);
	Datum	   *ids = palloc(sizeof(Datum) * limit);

	memset(expired, 0, sizeof(*expired));
	while (expired->looked < n && expired->nruns < limit && !expired->beyond)
	{
		expired->cursor = cano_column_int64(expired->looked, 1, 0);
		if (cano_column_bool(expired->looked, 2, false))
			ids[expired->nruns++] = Int64GetDatum(expired->cursor);
		expired->beyond = cano_column_bool(expired->looked, 3, false);
		expired->looked++;
	}
	expired->runs = make_array(ids, expired->nruns, context);
}

static ArrayType *
make_array(const Datum *ids, int n, MemoryContext context)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	ArrayType  *array = construct_array(unconstify(Datum *, ids), n, INT8OID,
										sizeof(int64), FLOAT8PASSBYVAL,
										TYPALIGN_DOUBLE);

	MemoryContextSwitchTo(caller);
	return array;
}

int64
cano_store_purge(ArrayType *runs, TimestampTz now, Interval *older_than)
{
	Datum		values[] = {
		PointerGetDatum(runs),
		TimestampTzGetDatum(now),
		older_than ? IntervalPGetDatum(older_than) : (Datum) 0
	};

	(void) cano_statement_run(&remove_ended, values,
							  older_than ? NULL : "  n", SPI_OK_SELECT);
	return cano_column_int64(0, 1, 0);
}
