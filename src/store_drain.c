/*-------------------------------------------------------------------------
 *
 * store_drain.c
 *	  Rollbacks under way, and the stack of what there is to undo.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_type.h"

#include "json.h"
#include "store_drain.h"

/* An output that takes so many bytes in the table is read alone. */
#define LARGE_OUTPUT	4096

static bool is_large(int row, int number);

static CanoStatement begin = {
	"INSERT INTO cano._drain (run, errors, ending, dead, state, cancel_reason)"
	" SELECT * FROM unnest($1, $2, $3, $4, $5, $6)",
	6, {INT8ARRAYOID, JSONBARRAYOID, CHARARRAYOID, BOOLARRAYOID, TEXTARRAYOID,
	TEXTARRAYOID}
};

static CanoStatement mark = {
	"UPDATE cano._checkpoint c SET mark = u.mark"
	" FROM unnest($1, $2, $3) u (run, sequence, mark)"
	" WHERE c.run = u.run AND c.sequence = u.sequence",
	3, {INT8ARRAYOID, INT8ARRAYOID, CHARARRAYOID}
};

static CanoStatement collect = {
	"UPDATE cano._drain d SET errors = u.errors"
	" FROM unnest($1, $2) u (run, errors) WHERE d.run = u.run",
	2, {INT8ARRAYOID, JSONBARRAYOID}
};

static CanoStatement end = {
	"DELETE FROM cano._drain d WHERE d.run = ANY ($1)",
	1, {INT8ARRAYOID}
};

static CanoStatement load = {
	"SELECT d.ending, d.dead, d.state, d.cancel_reason, d.errors"
	" FROM cano._drain d WHERE d.run = $1",
	1, {INT8OID}
};

static CanoStatement read_entries = {
	"SELECT c.sequence, c.version, c.state, c.output"
	" FROM cano._checkpoint c"
	" WHERE c.run = $1 AND c.sequence <= $2 AND c.kind = 'c'"
	" AND c.mark IS NULL"
	" ORDER BY c.sequence DESC LIMIT $3",
	3, {INT8OID, INT8OID, INT4OID}
};

static CanoStatement draining = {
	"SELECT d.ending FROM cano._drain d WHERE d.run = $1",
	1, {INT8OID}
};

static CanoEnding
ending_of(char code)
{
	return code == 'c' ? CANO_CANCELLED : CANO_FAILED;
}

void
cano_store_drains_init(CanoSettlement *settlement)
{
	cano_rows_init(&settlement->drains, &begin);
	cano_rows_init(&settlement->undone, &mark);
	cano_rows_init(&settlement->collected, &collect);
	cano_rows_init(&settlement->drained, &end);
}

void
cano_store_drains(CanoSettlement *settlement)
{
	(void) cano_rows_run(&settlement->drains, &begin, SPI_OK_INSERT);
	(void) cano_rows_run(&settlement->undone, &mark, SPI_OK_UPDATE);
	(void) cano_rows_run(&settlement->collected, &collect, SPI_OK_UPDATE);
	(void) cano_rows_run(&settlement->drained, &end, SPI_OK_DELETE);
}

void
cano_settle_drain(CanoSettlement *settlement, const CanoRun *run)
{
	const CanoDrain *drain = run->drain;
	const CanoRunEnd *to_be = &drain->end;
	CanoRows   *rows = drain->errors ? &settlement->collected :
		&settlement->drains;
	int			row;

	if (drain->more == NIL)
		return;
	row = cano_rows_add(rows);
	cano_rows_set(rows, row, 0, Int64GetDatum(run->id));
	cano_rows_set_jsonb(rows, row, 1, cano_json_array(drain->errors, drain->more));
	if (drain->errors != NULL)
		return;
	cano_rows_set(rows, row, 2,
				  CharGetDatum(to_be->ending == CANO_CANCELLED ? 'c' : 'f'));
	cano_rows_set(rows, row, 3, BoolGetDatum(to_be->dead));
	cano_rows_set_text(rows, row, 4, to_be->state);
	cano_rows_set_text(rows, row, 5, to_be->cancel_reason);
}

void
cano_settle_drain_end(CanoSettlement *settlement, const CanoRun *run)
{
	CanoRows   *rows = &settlement->drained;

	if (run->drain->errors != NULL)
		cano_rows_set(rows, cano_rows_add(rows), 0, Int64GetDatum(run->id));
}

CanoDrain *
cano_store_drain_load(int64 run, MemoryContext context)
{
	Datum		values[] = {Int64GetDatum(run)};
	MemoryContext spi_context;
	CanoDrain  *drain;

	if (cano_statement_run(&load, values, NULL, SPI_OK_SELECT) != 1)
		elog(ERROR, "run " INT64_FORMAT " is not being rolled back", run);
	spi_context = MemoryContextSwitchTo(context);
	drain = palloc0(sizeof(CanoDrain));
	drain->end.ending = ending_of(cano_column_char(0, 1, 0));
	drain->end.dead = cano_column_bool(0, 2, false);
	drain->end.state = cano_column_text(0, 3);
	drain->end.cancel_reason = cano_column_text(0, 4);
	drain->errors = cano_column_jsonb(0, 5);
	drain->end.error = cano_json_element(drain->errors, 0);
	drain->due_at = DT_NOEND;
	MemoryContextSwitchTo(spi_context);
	return drain;
}

void
cano_store_drain_read(int64 run, int64 sequence, CanoDrain *drain,
					  MemoryContext context)
{
	Datum		values[] = {
		Int64GetDatum(run),
		Int64GetDatum(sequence),
		Int32GetDatum(CANO_ENTRIES)
	};
	int			n = cano_statement_run(&read_entries, values, NULL,
									   SPI_OK_SELECT);
	MemoryContext spi_context = MemoryContextSwitchTo(context);
	const CanoEntry **below = &drain->next;
	int			row;

	for (row = 0; row < n && (row == 0 || !is_large(row, 4)); row++)
	{
		CanoEntry  *entry = palloc0(sizeof(CanoEntry));

		entry->sequence = cano_column_int64(row, 1, 0);
		entry->version = cano_column_int32(row, 2, 0);
		entry->state = cano_column_text(row, 3);
		entry->output = cano_column_jsonb(row, 4);
		entry->row = -1;
		*below = entry;
		below = &entry->below;
	}
	drain->all_read = row == n && n < CANO_ENTRIES;
	MemoryContextSwitchTo(spi_context);
}

/*
 * Of what is large, one at a time is read.
 */
static bool
is_large(int row, int number)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row],
									  SPI_tuptable->tupdesc, number, &isnull);

	return !isnull && toast_datum_size(value) >= LARGE_OUTPUT;
}

bool
cano_store_draining(int64 run, CanoEnding *ending)
{
	Datum		values[] = {Int64GetDatum(run)};

	if (cano_statement_run(&draining, values, NULL, SPI_OK_SELECT) == 0)
		return false;
	*ending = ending_of(cano_column_char(0, 1, 0));
	return true;
}
