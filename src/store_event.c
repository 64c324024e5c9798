/*-------------------------------------------------------------------------
 *
 * store_event.c
 *	  Every statement on events.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "store.h"
#include "store_event.h"

static const char *const names[] = {
	[CANO_EVENT_STATE_ENTER] = "state_enter",
	[CANO_EVENT_TASK_START] = "task_start",
	[CANO_EVENT_TASK_SUCCESS] = "task_success",
	[CANO_EVENT_TASK_FAILURE] = "task_failure",
	[CANO_EVENT_RETRY] = "retry",
	[CANO_EVENT_CIRCUIT_OPEN] = "circuit_open",
	[CANO_EVENT_CHECKPOINT] = "checkpoint",
	[CANO_EVENT_RESUME] = "resume",
	[CANO_EVENT_WORKFLOW_TIMEOUT] = "workflow_timeout",
	[CANO_EVENT_CANCELLED] = "cancelled",
	[CANO_EVENT_ENDED] = "ended"
};

#define INSERT(ordinal, rows) \
	"INSERT INTO cano._event (run, ordinal, event, state, task, branch," \
	"	attempt, sequence, detail, recorded_at)" \
	" SELECT u.run, " ordinal ", u.event, u.state, u.task, u.branch," \
	"	u.attempt, u.sequence, u.detail, u.recorded_at" \
	" FROM " rows " u (run, ordinal, event, state, task, branch, attempt," \
	"	sequence, detail, recorded_at)"

#define TYPES \
	INT8OID, INT8OID, TEXTOID, TEXTOID, TEXTOID, INT4OID, INT4OID, INT8OID, \
	JSONBOID, TIMESTAMPTZOID

static CanoStatement insert_numbered = {
	INSERT("u.ordinal", "gathered"),
	10, {TYPES}, .gathers = true
};

/* The rows of a batch are in the order in which things happened. */
static CanoStatement insert_unnumbered = {
	INSERT("coalesce((SELECT max(e.ordinal) FROM cano._event e"
		   "	WHERE e.run = u.run), 0)"
		   " + row_number() OVER (PARTITION BY u.run ORDER BY u.place)",
		   "(SELECT g.*, row_number() OVER () AS place FROM gathered g)"),
	10, {TYPES}, .gathers = true
};

static CanoStatement last_ordinal = {
	"SELECT max(e.ordinal) FROM cano._event e WHERE e.run = $1",
	1, {INT8OID}
};

const char *
cano_store_event_name(CanoEventKind kind)
{
	return names[kind];
}

bool
cano_store_event_find(const char *name, CanoEventKind *kind)
{
	for (int i = 0; i < CANO_EVENT_KINDS; i++)
		if (strcmp(names[i], name) == 0)
		{
			*kind = i;
			return true;
		}
	return false;
}

void
cano_store_record(CanoRecords **records, const CanoRecord *record)
{
	CanoRows   *rows;
	int			row;

	if (*records == NULL)
	{
		*records = palloc(sizeof(CanoRecords));
		cano_rows_init(&(*records)->numbered, &insert_numbered);
		cano_rows_init(&(*records)->unnumbered, &insert_unnumbered);
	}
	rows = record->ordinal == CANO_NO_ORDINAL ? &(*records)->unnumbered :
		&(*records)->numbered;
	row = cano_rows_add(rows);
	cano_rows_set(rows, row, 0, Int64GetDatum(record->run));
	if (record->ordinal != CANO_NO_ORDINAL)
		cano_rows_set(rows, row, 1, Int64GetDatum(record->ordinal));
	cano_rows_set_text(rows, row, 2, names[record->kind]);
	cano_rows_set_text(rows, row, 3, record->state);
	cano_rows_set_text(rows, row, 4, record->task);
	if (record->branch != CANO_NO_BRANCH)
		cano_rows_set(rows, row, 5, Int32GetDatum(record->branch));
	if (record->attempt != CANO_NO_ATTEMPT)
		cano_rows_set(rows, row, 6, Int32GetDatum(record->attempt));
	if (record->sequence != CANO_NO_SEQUENCE)
		cano_rows_set(rows, row, 7, Int64GetDatum(record->sequence));
	cano_rows_set_jsonb(rows, row, 8, record->detail);
	cano_rows_set(rows, row, 9, TimestampTzGetDatum(record->recorded_at));
}

int64
cano_store_last_ordinal(int64 run)
{
	Datum		values[] = {Int64GetDatum(run)};

	(void) cano_statement_run(&last_ordinal, values, NULL, SPI_OK_SELECT);
	return cano_column_int64(0, 1, 0);
}

void
cano_store_records(CanoRecords *records)
{
	(void) cano_rows_run(&records->numbered, &insert_numbered, SPI_OK_INSERT);
	(void) cano_rows_run(&records->unnumbered, &insert_unnumbered,
						 SPI_OK_INSERT);
}
