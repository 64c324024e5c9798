/*-------------------------------------------------------------------------
 *
 * store_pause.c
 *	  Which workflows are paused, and what is parked of them.
 *
 * What is parked is a timer that is never due by itself.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "store_pause.h"

static CanoStatement set_paused = {
	"UPDATE cano._workflow w SET paused = $2 WHERE w.workflow = $1",
	2, {TEXTOID, BOOLOID}
};

static CanoStatement find_paused = {
	"SELECT w.workflow FROM cano._workflow w WHERE w.paused",
};

static CanoStatement is_paused = {
	"SELECT FROM cano._workflow w WHERE w.workflow = $1 AND w.paused",
	1, {TEXTOID}
};

/* Waits for those who have one in hand: it might be parked again. */
static CanoStatement unpark = {
	"WITH due AS ("
	"	DELETE FROM cano._timer t"
	"	WHERE t.waiting = 'u' AND t.awaits = $1"
	"	RETURNING " CANO_JOB_COLUMNS ")"
	", moved AS ("
	"	INSERT INTO cano._job (" CANO_JOB_COLUMNS ")"
	"	SELECT " CANO_JOB_COLUMNS " FROM due"
	"	RETURNING owner, priority, id)"
	" SELECT DISTINCT ON (m.owner) m.owner, m.priority, m.id FROM moved m"
	" ORDER BY m.owner, m.priority, m.id",
	1, {TEXTOID}
};

/* Whoever is just taking one finds out himself that it is not for him. */
static CanoStatement park_work = {
	"UPDATE cano._work w SET parked = true"
	" WHERE (w.run, w.sequence, w.attempt) IN ("
	"	SELECT o.run, o.sequence, o.attempt FROM cano._work o"
	"	JOIN cano._run r ON r.id = o.run"
	"	JOIN cano._definition d ON d.id = r.definition"
	"	WHERE o.token IS NULL AND NOT o.parked AND d.workflow = $1"
	"	FOR UPDATE OF o SKIP LOCKED)",
	1, {TEXTOID}
};

static CanoStatement unpark_work = {
	"UPDATE cano._work w SET parked = false"
	" FROM cano._run r JOIN cano._definition d ON d.id = r.definition"
	" WHERE w.parked AND r.id = w.run AND d.workflow = $1",
	1, {TEXTOID}
};

void
cano_store_pause(const char *workflow, bool paused)
{
	Datum		values[] = {CStringGetTextDatum(workflow), BoolGetDatum(paused)};

	(void) cano_statement_run(&set_paused, values, NULL, SPI_OK_UPDATE);
}

int
cano_store_paused(MemoryContext context, char ***workflows)
{
	int			n = cano_statement_run(&find_paused, NULL, NULL, SPI_OK_SELECT);
	MemoryContext spi_context = MemoryContextSwitchTo(context);

	*workflows = palloc(sizeof(char *) * Max(n, 1));
	for (int i = 0; i < n; i++)
		(*workflows)[i] = cano_column_text(i, 1);
	MemoryContextSwitchTo(spi_context);
	return n;
}

bool
cano_store_is_paused(const char *workflow)
{
	Datum		values[] = {CStringGetTextDatum(workflow)};

	return cano_statement_run(&is_paused, values, NULL, SPI_OK_SELECT) > 0;
}

int
cano_store_unpark(const char *workflow)
{
	Datum		values[] = {CStringGetTextDatum(workflow)};

	return cano_statement_run(&unpark, values, NULL, SPI_OK_SELECT);
}

void
cano_store_park_work(const char *workflow)
{
	Datum		values[] = {CStringGetTextDatum(workflow)};

	(void) cano_statement_run(&park_work, values, NULL, SPI_OK_UPDATE);
}

void
cano_store_unpark_work(const char *workflow)
{
	Datum		values[] = {CStringGetTextDatum(workflow)};

	(void) cano_statement_run(&unpark_work, values, NULL, SPI_OK_UPDATE);
}

const char *
cano_store_parked(const CanoSettlement *settlement, int row)
{
	const CanoRows *timers = &settlement->timers;

	return DatumGetChar(timers->values[CANO_TIMER_WAITING][row]) == CANO_WAIT_PAUSE ?
		TextDatumGetCString(timers->values[CANO_TIMER_AWAITS][row]) : NULL;
}

void
cano_store_look_again(CanoSettlement *settlement, int row, TimestampTz due_at)
{
	cano_rows_set(&settlement->timers, row, CANO_TIMER_DUE,
				  TimestampTzGetDatum(due_at));
}
