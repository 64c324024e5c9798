/*-------------------------------------------------------------------------
 *
 * store_signal.c
 *	  Signals: kept until received, first in first out.
 *
 * The sender locks nothing of the run: it leaves the signal and a job that
 * brings notice of it.  The worker that takes the notice and the worker that
 * lets the run begin to wait meet at the run's row: the later one sees, in a
 * snapshot taken after it has the lock, what the earlier one left.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "json.h"
#include "store.h"
#include "store_signal.h"

static CanoStatement find_run = {
	"SELECT r.id, r.owner, r.priority, r.owner_name, r.origin FROM cano._run r"
	" WHERE r.id = $1 AND r.status = 'active'",
	1, {INT8OID}
};

static CanoStatement find_key = {
	"SELECT r.id, r.owner, r.priority, r.owner_name, r.origin"
	" FROM cano._key k JOIN cano._run r ON r.id = k.run"
	" WHERE k.key = $1 AND ($2 IS NULL OR k.workflow = $2)"
	" AND r.status = 'active'",
	2, {TEXTOID, TEXTOID}
};

static CanoStatement insert_signal = {
	"WITH notice AS ("
	"	INSERT INTO cano._job (owner, priority, id, run, duty, state, attempt,"
	"		sequence, errors)"
	"	VALUES ($1, $2, $3, $4, 'n', $5, 0, 0, 0))"
	" INSERT INTO cano._signal (run, name, id, sent_at, payload)"
	" VALUES ($4, $5, pg_catalog.nextval('cano._signal_id'), $6, $7)",
	7, {OIDOID, INT4OID, INT8OID, INT8OID, TEXTOID, TIMESTAMPTZOID, JSONBOID}
};

static CanoStatement take_signal = {
	"DELETE FROM cano._signal s"
	" WHERE s.run = $1 AND s.name = $2 AND s.id = ("
	"	SELECT o.id FROM cano._signal o WHERE o.run = $1 AND o.name = $2"
	"	ORDER BY o.id LIMIT 1)"
	" RETURNING s.payload",
	2, {INT8OID, TEXTOID}
};

static CanoStatement lock_runs = {
	"SELECT FROM cano._run r WHERE r.id = ANY ($1)"
	" ORDER BY r.id FOR NO KEY UPDATE",
	1, {INT8ARRAYOID}
};

/* Whoever has a timer in hand makes its run due himself. */
static CanoStatement deliver = {
	"WITH due AS ("
	"	DELETE FROM cano._timer d"
	"	WHERE d.id = ANY (ARRAY("
	"		SELECT t.id FROM cano._timer t"
	"		WHERE t.id = ANY (ARRAY("
	"			SELECT coalesce((SELECT k.job FROM cano._checkpoint k"
	"				WHERE k.run = u.run ORDER BY k.sequence DESC LIMIT 1), u.run)"
	"			FROM unnest($1) u (run)))"
	"		AND (t.waiting IN ('g', 'x') AND EXISTS (SELECT FROM cano._signal s"
	"				WHERE s.run = t.run AND s.name = t.awaits)"
	"			OR t.waiting = 'c' AND NOT EXISTS (SELECT FROM cano._run c"
	"				WHERE c.parent = t.run AND c.status = 'active')"
	"			OR EXISTS (SELECT FROM cano._stop o WHERE o.run = t.run))"
	"		FOR UPDATE OF t SKIP LOCKED))"
	"	RETURNING " CANO_JOB_COLUMNS ", waiting)"
	", moved AS ("
	"	INSERT INTO cano._job (" CANO_JOB_COLUMNS ")"
	"	SELECT owner, priority, id, run,"
	"		CASE waiting WHEN 'c' THEN 'c' WHEN 'g' THEN 's' WHEN 'x' THEN 's'"
	"		ELSE duty END::\"char\","
	"		state, attempt, sequence, started_at, since, errors, cursor, signal,"
	"		fan, branch, data FROM due"
	"	RETURNING priority, id)"
	" SELECT m.priority, m.id FROM moved m ORDER BY m.priority, m.id LIMIT 1",
	1, {INT8ARRAYOID}
};

static void read_addressee(int row, CanoAddressee *found);

bool
cano_store_find_run(int64 run, CanoAddressee *found)
{
	Datum		values[] = {Int64GetDatum(run)};

	if (cano_statement_run(&find_run, values, NULL, SPI_OK_SELECT) == 0)
		return false;
	read_addressee(0, found);
	return true;
}

int
cano_store_find_key(const char *key, const char *workflow,
					MemoryContext context, CanoAddressee **found)
{
	Datum		values[] = {
		CStringGetTextDatum(key),
		workflow ? CStringGetTextDatum(workflow) : (Datum) 0
	};
	int			n = cano_statement_run(&find_key, values,
									   workflow ? NULL : " n", SPI_OK_SELECT);

	*found = MemoryContextAlloc(context, sizeof(CanoAddressee) * Max(n, 1));
	for (int i = 0; i < n; i++)
		read_addressee(i, &(*found)[i]);
	return n;
}

static void
read_addressee(int row, CanoAddressee *found)
{
	HeapTuple	tuple = SPI_tuptable->vals[row];
	TupleDesc	desc = SPI_tuptable->tupdesc;
	bool		isnull;

	found->run = DatumGetInt64(SPI_getbinval(tuple, desc, 1, &isnull));
	found->owner = DatumGetObjectId(SPI_getbinval(tuple, desc, 2, &isnull));
	found->priority = DatumGetInt32(SPI_getbinval(tuple, desc, 3, &isnull));
	found->owner_name = *DatumGetName(SPI_getbinval(tuple, desc, 4, &isnull));
	found->origin = DatumGetInt64(SPI_getbinval(tuple, desc, 5, &isnull));
}

CanoPlace
cano_store_signal(const CanoAddressee *to, const char *name,
				  const Jsonb *payload, TimestampTz now)
{
	CanoPlace	place = {to->priority, cano_store_new_id()};
	Datum		values[] = {
		ObjectIdGetDatum(to->owner),
		Int32GetDatum(place.priority),
		Int64GetDatum(place.id),
		Int64GetDatum(to->run),
		CStringGetTextDatum(name),
		TimestampTzGetDatum(now),
		payload ? JsonbPGetDatum(payload) : (Datum) 0
	};

	(void) cano_statement_run(&insert_signal, values,
							  payload ? NULL : "      n", SPI_OK_INSERT);
	return place;
}

bool
cano_store_take_signal(int64 run, const char *name, MemoryContext context,
					   Jsonb **payload)
{
	Datum		values[] = {Int64GetDatum(run), CStringGetTextDatum(name)};
	MemoryContext spi_context;
	Datum		value;
	bool		isnull;

	if (cano_statement_run(&take_signal, values, NULL,
						   SPI_OK_DELETE_RETURNING) == 0)
		return false;
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
						  &isnull);
	spi_context = MemoryContextSwitchTo(context);
	*payload = cano_json_copy(value, isnull);
	MemoryContextSwitchTo(spi_context);
	return true;
}

void
cano_store_listeners_init(CanoRows *listeners)
{
	cano_rows_init(listeners, &lock_runs);
}

void
cano_store_lock_runs(CanoRows *runs)
{
	(void) cano_rows_run(runs, &lock_runs, SPI_OK_SELECT);
}

CanoPlace
cano_store_deliver_to(CanoRows *listeners)
{
	return cano_store_place(cano_rows_run(listeners, &deliver, SPI_OK_SELECT));
}

CanoPlace
cano_store_deliver(const CanoFamily *family)
{
	Datum		values[] = {PointerGetDatum(family->runs)};

	return cano_store_place(cano_statement_run(&deliver, values, NULL,
											   SPI_OK_SELECT));
}
