/*-------------------------------------------------------------------------
 *
 * store_fan.c
 *	  Every statement on fans and branches.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "json.h"
#include "store.h"
#include "store_fan.h"

/* So many rows, or so many bytes, go into one statement. */
#define CHUNK_ROWS	10000
#define CHUNK_BYTES	(32 * 1024 * 1024)

/* How many errors a failed join tells. */
#define ERRORS_TOLD	3

/* In this order, so that marks of them can be put there, too. */
#define INSERT_BRANCHES \
	"INSERT INTO cano._branch" \
	" (fan, branch, status, attempt, job, ordinal, output, error, input)" \
	" SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9)"

#define BRANCH_COLUMNS	9
#define BRANCH_TYPES \
	INT8ARRAYOID, INT4ARRAYOID, CHARARRAYOID, INT4ARRAYOID, INT8ARRAYOID, \
	INT4ARRAYOID, JSONBARRAYOID, JSONBARRAYOID, JSONBARRAYOID

static CanoStatement insert_branches = {
	INSERT_BRANCHES,
	BRANCH_COLUMNS, {BRANCH_TYPES}
};

static CanoStatement insert_fan = {
	"WITH fan AS ("
	"	INSERT INTO cano._fan (id, run, holder, state, total, succeeded, failed,"
	"		low, closed, due_at, verdict, signal, data)"
	"	VALUES ($10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22))"
	" " INSERT_BRANCHES,
	BRANCH_COLUMNS + 13, {BRANCH_TYPES, INT8OID, INT8OID, INT8OID, TEXTOID,
		INT4OID, INT4OID, INT4OID, INT4OID, CHAROID, TIMESTAMPTZOID, JSONBOID,
	JSONBOID, JSONBOID}
};

static CanoStatement find_failed = {
	"SELECT b.branch FROM cano._branch b"
	" WHERE b.fan = $1 AND b.status <> 'c' ORDER BY b.branch",
	1, {INT8OID}
};

static CanoStatement copy_branches = {
	"INSERT INTO cano._branch (fan, branch, status, attempt, job, ordinal, input,"
	"	output)"
	" SELECT $3, b.branch, 'c', b.attempt, NULL,"
	"	row_number() OVER (ORDER BY b.ordinal), b.input, b.output"
	" FROM cano._branch b WHERE b.fan = $4 AND b.status = 'c'"
	" UNION ALL"
	" SELECT $3, b.branch, CASE WHEN u.job IS NULL THEN 'q' ELSE 'b' END::\"char\","
	"	1, u.job, NULL, b.input, NULL"
	" FROM cano._branch b"
	" LEFT JOIN unnest($1, $2) u (branch, job) ON u.branch = b.branch"
	" WHERE b.fan = $4 AND b.status <> 'c'",
	4, {INT4ARRAYOID, INT8ARRAYOID, INT8OID, INT8OID}
};

static CanoStatement next_unbegun = {
	"SELECT b.branch FROM cano._branch b"
	" WHERE b.fan = $1 AND b.branch > $2 AND b.status = 'q'"
	" ORDER BY b.branch LIMIT 1",
	2, {INT8OID, INT4OID}
};

static CanoStatement take = {
	"SELECT b.branch, b.input FROM cano._branch b"
	" WHERE b.fan = $1 AND b.branch BETWEEN $2 AND $3 AND b.status = 'q'"
	" ORDER BY b.branch",
	3, {INT8OID, INT4OID, INT4OID}
};

static CanoStatement lock_fans = {
	"SELECT f.id, f.succeeded, f.failed, f.closed FROM cano._fan f"
	" WHERE f.id = ANY ($1) ORDER BY f.id FOR NO KEY UPDATE",
	1, {INT8ARRAYOID}
};

static CanoStatement update_fans = {
	"UPDATE cano._fan f"
	" SET succeeded = u.succeeded, failed = u.failed, closed = u.closed,"
	"	verdict = u.verdict, low = greatest(f.low, u.low)"
	" FROM unnest($1, $2, $3, $4, $5, $6)"
	"	u (id, succeeded, failed, closed, verdict, low)"
	" WHERE f.id = u.id",
	6, {INT8ARRAYOID, INT4ARRAYOID, INT4ARRAYOID, CHARARRAYOID, JSONBARRAYOID,
	INT4ARRAYOID}
};

static CanoStatement update_branches = {
	"UPDATE cano._branch b"
	" SET status = u.status, attempt = u.attempt, job = u.job,"
	"	ordinal = u.ordinal, output = u.output, error = u.error"
	" FROM unnest($1, $2, $3, $4, $5, $6, $7, $8)"
	"	u (fan, branch, status, attempt, job, ordinal, output, error)"
	" WHERE b.fan = u.fan AND b.branch = u.branch",
	8, {INT8ARRAYOID, INT4ARRAYOID, CHARARRAYOID, INT4ARRAYOID, INT8ARRAYOID,
	INT4ARRAYOID, JSONBARRAYOID, JSONBARRAYOID}
};

/*
 * A holder whose timer somebody else has in hand is on its way: it will see
 * that the fan is closed.
 */
static CanoStatement join_holder = {
	"WITH due AS ("
	"	DELETE FROM cano._timer t"
	"	WHERE t.id = ANY (ARRAY("
	"		SELECT s.id FROM cano._timer s WHERE s.id = $1 AND s.fan = $2"
	"		FOR UPDATE SKIP LOCKED))"
	"	RETURNING " CANO_JOB_COLUMNS ")"
	" INSERT INTO cano._job (" CANO_JOB_COLUMNS ")"
	" SELECT owner, priority, id, run, 'j', state, attempt, sequence,"
	"	started_at, since, errors, cursor, signal, fan, branch, data FROM due"
	" RETURNING priority, id",
	2, {INT8OID, INT8OID}
};

/* What somebody else has in hand he will find out about, and drop. */
static CanoStatement drop_lanes = {
	"WITH lanes AS ("
	"	SELECT b.job FROM cano._branch b WHERE b.fan = $1 AND b.status = 'b')"
	", timers AS ("
	"	DELETE FROM cano._timer t"
	"	WHERE t.id = ANY (ARRAY("
	"		SELECT s.id FROM lanes l JOIN cano._timer s ON s.id = l.job"
	"		FOR UPDATE OF s SKIP LOCKED)))"
	" DELETE FROM cano._job j"
	" WHERE j.ctid = ANY (ARRAY("
	"	SELECT q.ctid FROM lanes l JOIN cano._job q"
	"		ON q.owner = $2 AND q.priority = $3 AND q.id = l.job"
	"	FOR UPDATE OF q SKIP LOCKED))",
	3, {INT8OID, OIDOID, INT4OID}
};

static CanoStatement branch_outputs = {
	"SELECT jsonb_agg(CASE b.status WHEN 'c' THEN b.output END ORDER BY b.branch)"
	" FROM cano._branch b WHERE b.fan = $1",
	1, {INT8OID}
};

static CanoStatement item_outputs = {
	"SELECT jsonb_agg(CASE b.status"
	"	WHEN 'c' THEN jsonb_build_object('ok', b.output)"
	"	ELSE jsonb_build_object('error', jsonb_build_object("
	"		'category', b.error -> 'category', 'sqlstate', b.error -> 'sqlstate',"
	"		'message', b.error -> 'message')) END ORDER BY b.branch)"
	" FROM cano._branch b WHERE b.fan = $1",
	1, {INT8OID}
};

static CanoStatement first_errors = {
	"SELECT b.branch, b.error ->> 'message' FROM cano._branch b"
	" WHERE b.fan = $1 AND b.status = 'f' ORDER BY b.ordinal LIMIT $2",
	2, {INT8OID, INT4OID}
};

static CanoStatement ended_branches = {
	"SELECT b.branch, b.attempt, b.status = 'c', b.error FROM cano._branch b"
	" WHERE b.fan = $1 AND (b.status = 'f' OR b.status = 'c' AND $2)"
	" ORDER BY b.status, b.ordinal",
	2, {INT8OID, BOOLOID}
};

static void insert_fan_with(const CanoFan *fan, const CanoRows *branches,
							const char *state);
static void add_branch(CanoRows *rows, const CanoFan *fan, int branch,
					   Jsonb **items);
static void insert_chunk(CanoRows *rows, Size *bytes);

CanoFans *
cano_store_fans_make(void)
{
	CanoFans   *fans = palloc0(sizeof(CanoFans));

	cano_rows_init(&fans->marks, &update_branches);
	return fans;
}

CanoFan *
cano_store_fan_add(CanoFans *fans, int64 id)
{
	CanoFan    *fan = palloc0(sizeof(CanoFan));

	fan->id = id;
	fan->due_at = DT_NOEND;
	fan->last_taken = fan->low = -1;
	if (fans->fans == NULL)
		fans->fans = palloc(sizeof(CanoFan *));
	else
		fans->fans = repalloc(fans->fans, sizeof(CanoFan *) * (fans->nfans + 1));
	fans->fans[fans->nfans++] = fan;
	return fan;
}

CanoFan *
cano_store_fan_load(CanoFans *fans, int row, int column)
{
	int64		id = cano_column_int64(row, column++, 0);
	CanoFan    *fan;

	if (id == 0)
		return NULL;
	for (int i = 0; i < fans->nfans; i++)
		if (fans->fans[i]->id == id)
			return fans->fans[i];

	fan = cano_store_fan_add(fans, id);
	fan->run = cano_column_int64(row, column++, 0);
	fan->holder = cano_column_int64(row, column++, 0);
	fan->tally.total = cano_column_int32(row, column++, 0);
	fan->tally.succeeded = cano_column_int32(row, column++, 0);
	fan->tally.failed = cano_column_int32(row, column++, 0);
	fan->closed = (CanoClosed) (unsigned char) cano_column_char(row, column++, 0);
	fan->due_at = cano_column_time(row, column++, DT_NOEND);
	fan->low = cano_column_int32(row, column++, -1);
	fan->verdict = cano_column_jsonb(row, column++);
	fan->signal = cano_column_jsonb(row, column++);
	fan->data = cano_column_jsonb(row, column++);
	fan->tally.timed_out = fan->closed == CANO_CLOSED_TIMEOUT;
	if (fan->run == 0)
		fan->closed = CANO_CLOSED_STOPPED;	/* it is not there any more */
	return fan;
}

void
cano_store_fan_begin(CanoFan *fan)
{
	fan->branches = palloc(sizeof(CanoRows));
	cano_rows_init(fan->branches, &insert_branches);
	for (int i = 0; i < fan->tally.total; i++)
		add_branch(fan->branches, fan, i, fan->inputs);
}

static void
add_branch(CanoRows *rows, const CanoFan *fan, int branch, Jsonb **items)
{
	int			row = cano_rows_add(rows);

	cano_rows_set(rows, row, 0, Int64GetDatum(fan->id));
	cano_rows_set(rows, row, 1, Int32GetDatum(branch));
	cano_rows_set(rows, row, 2, CharGetDatum('q'));
	cano_rows_set(rows, row, 3, Int32GetDatum(1));
	if (items != NULL)
		cano_rows_set_jsonb(rows, row, 8, items[branch]);
}

void
cano_store_fan(CanoFan *fan, const char *state)
{
	insert_fan_with(fan, fan->branches, state);
	fan->branches = NULL;
}

static void
insert_fan_with(const CanoFan *fan, const CanoRows *branches,
				const char *state)
{
	Datum		values[CANO_MAX_PARAMETERS];
	char		nulls[CANO_MAX_PARAMETERS];
	int			n = BRANCH_COLUMNS;

	memset(nulls, ' ', sizeof(nulls));
	cano_rows_arrays(branches, &insert_branches, values);
	values[n++] = Int64GetDatum(fan->id);
	values[n++] = Int64GetDatum(fan->run);
	values[n++] = Int64GetDatum(fan->holder);
	values[n++] = CStringGetTextDatum(state);
	values[n++] = Int32GetDatum(fan->tally.total);
	values[n++] = Int32GetDatum(fan->tally.succeeded);
	values[n++] = Int32GetDatum(fan->tally.failed);
	values[n++] = Int32GetDatum(fan->low);
	nulls[n] = fan->closed == CANO_OPEN ? 'n' : ' ';
	values[n++] = CharGetDatum((char) fan->closed);
	nulls[n] = fan->due_at == DT_NOEND ? 'n' : ' ';
	values[n++] = TimestampTzGetDatum(fan->due_at);
	nulls[n] = fan->verdict == NULL ? 'n' : ' ';
	values[n++] = JsonbPGetDatum(fan->verdict);
	nulls[n] = fan->signal == NULL ? 'n' : ' ';
	values[n++] = JsonbPGetDatum(fan->signal);
	nulls[n] = fan->data == NULL ? 'n' : ' ';
	values[n++] = JsonbPGetDatum(fan->data);
	(void) cano_statement_run(&insert_fan, values, nulls, SPI_OK_INSERT);
}

void
cano_store_wide_fan(const CanoFan *fan, const char *state, int nlanes,
					const int64 *jobs, Jsonb **items)
{
	CanoRows	rows;
	Size		bytes = 0;

	cano_rows_init(&rows, &insert_branches);
	insert_fan_with(fan, &rows, state);
	for (int i = 0; i < fan->tally.total; i++)
	{
		int			row = rows.nrows;

		add_branch(&rows, fan, i, items);
		if (i < nlanes)
		{
			cano_rows_set(&rows, row, 2, CharGetDatum('b'));
			cano_rows_set(&rows, row, 4, Int64GetDatum(jobs[i]));
		}
		if (items != NULL && items[i] != NULL)
			bytes += VARSIZE(items[i]);
		if (rows.nrows >= CHUNK_ROWS || bytes >= CHUNK_BYTES)
			insert_chunk(&rows, &bytes);
	}
	insert_chunk(&rows, &bytes);
}

static void
insert_chunk(CanoRows *rows, Size *bytes)
{
	CHECK_FOR_INTERRUPTS();
	(void) cano_rows_run(rows, &insert_branches, SPI_OK_INSERT);
	rows->nrows = 0;
	*bytes = 0;
}

int
cano_store_find_failed(int64 fan, MemoryContext context, int **branches)
{
	Datum		values[] = {Int64GetDatum(fan)};
	int			n = cano_statement_run(&find_failed, values, NULL,
									   SPI_OK_SELECT);

	*branches = MemoryContextAlloc(context, sizeof(int) * Max(n, 1));
	for (int i = 0; i < n; i++)
		(*branches)[i] = cano_column_int32(i, 1, 0);
	return n;
}

void
cano_store_fan_again(const CanoFan *fan, int64 old, const char *state,
					 int nlanes, const int64 *jobs, const int *branches)
{
	Datum		values[4];
	CanoRows	none;
	CanoRows	lanes;

	cano_rows_init(&none, &insert_branches);
	insert_fan_with(fan, &none, state);
	cano_rows_init_some(&lanes, &copy_branches, 2);
	for (int i = 0; i < nlanes; i++)
	{
		int			row = cano_rows_add(&lanes);

		cano_rows_set(&lanes, row, 0, Int32GetDatum(branches[i]));
		cano_rows_set(&lanes, row, 1, Int64GetDatum(jobs[i]));
	}
	cano_rows_arrays(&lanes, &copy_branches, values);
	values[2] = Int64GetDatum(fan->id);
	values[3] = Int64GetDatum(old);
	(void) cano_statement_run(&copy_branches, values, NULL, SPI_OK_INSERT);
}

int
cano_store_next_unbegun(const CanoFan *fan, int behind)
{
	Datum		values[] = {Int64GetDatum(fan->id), Int32GetDatum(behind)};

	if (cano_statement_run(&next_unbegun, values, NULL, SPI_OK_SELECT) == 0)
		return fan->tally.total;
	return cano_column_int32(0, 1, 0);
}

int
cano_store_take(int64 fan, int first, int last, CanoTaken *taken,
				MemoryContext context)
{
	Datum		values[] = {
		Int64GetDatum(fan),
		Int32GetDatum(first),
		Int32GetDatum(last)
	};
	int			n = cano_statement_run(&take, values, NULL, SPI_OK_SELECT);
	MemoryContext spi_context = MemoryContextSwitchTo(context);

	for (int i = 0; i < n; i++)
	{
		taken[i].branch = cano_column_int32(i, 1, 0);
		taken[i].input = cano_column_jsonb(i, 2);
	}
	MemoryContextSwitchTo(spi_context);
	return n;
}

/*
 * Both lists are in the order of the ids.
 */
void
cano_store_lock_fans(int nfans, CanoFan **fans)
{
	CanoRows	ids;
	int			nfound;
	int			row = 0;

	cano_rows_init(&ids, &lock_fans);
	for (int i = 0; i < nfans; i++)
		cano_rows_set(&ids, cano_rows_add(&ids), 0, Int64GetDatum(fans[i]->id));
	nfound = cano_rows_run(&ids, &lock_fans, SPI_OK_SELECT);

	for (int i = 0; i < nfans; i++)
	{
		CanoFan    *fan = fans[i];

		if (row == nfound || cano_column_int64(row, 1, 0) != fan->id)
		{
			fan->closed = CANO_CLOSED_STOPPED;
			continue;
		}
		fan->tally.succeeded = cano_column_int32(row, 2, 0);
		fan->tally.failed = cano_column_int32(row, 3, 0);
		fan->closed = (CanoClosed) (unsigned char) cano_column_char(row, 4, 0);
		row++;
	}
}

void
cano_store_mark(CanoRows *marks, const CanoFan *fan, const CanoPart *part,
				char status, int64 job, int ordinal)
{
	CanoRows   *rows = fan->branches ? fan->branches : marks;
	int			row = fan->branches ? part->branch : cano_rows_add(marks);

	cano_rows_set(rows, row, 0, Int64GetDatum(fan->id));
	cano_rows_set(rows, row, 1, Int32GetDatum(part->branch));
	cano_rows_set(rows, row, 2, CharGetDatum(status));
	cano_rows_set(rows, row, 3, Int32GetDatum(part->attempt));
	if (job != 0)
		cano_rows_set(rows, row, 4, Int64GetDatum(job));
	if (ordinal > 0)
		cano_rows_set(rows, row, 5, Int32GetDatum(ordinal));
	cano_rows_set_jsonb(rows, row, 6, part->output);
	cano_rows_set_jsonb(rows, row, 7, part->error);
}

void
cano_store_marks(CanoRows *marks)
{
	(void) cano_rows_run(marks, &update_branches, SPI_OK_UPDATE);
	marks->nrows = 0;
}

void
cano_store_tallies(int nfans, CanoFan **fans)
{
	CanoRows	rows;

	cano_rows_init(&rows, &update_fans);
	for (int i = 0; i < nfans; i++)
	{
		const CanoFan *fan = fans[i];
		int			row;

		if (fan->nended == 0 && fan->closing == CANO_OPEN)
			continue;
		row = cano_rows_add(&rows);
		cano_rows_set(&rows, row, 0, Int64GetDatum(fan->id));
		cano_rows_set(&rows, row, 1, Int32GetDatum(fan->tally.succeeded));
		cano_rows_set(&rows, row, 2, Int32GetDatum(fan->tally.failed));
		if (fan->closing != CANO_OPEN)
			cano_rows_set(&rows, row, 3, CharGetDatum((char) fan->closing));
		cano_rows_set_jsonb(&rows, row, 4, fan->verdict);
		cano_rows_set(&rows, row, 5, Int32GetDatum(fan->low));
	}
	(void) cano_rows_run(&rows, &update_fans, SPI_OK_UPDATE);
}

CanoPlace
cano_store_join(const CanoFan *fan)
{
	Datum		values[] = {Int64GetDatum(fan->holder), Int64GetDatum(fan->id)};

	return cano_store_place(cano_statement_run(&join_holder, values, NULL,
											   SPI_OK_INSERT_RETURNING));
}

void
cano_store_drop_lanes(const CanoFan *fan, Oid owner)
{
	Datum		values[] = {
		Int64GetDatum(fan->id),
		ObjectIdGetDatum(owner),
		Int32GetDatum(fan->priority)
	};

	(void) cano_statement_run(&drop_lanes, values, NULL, SPI_OK_DELETE);
}

Jsonb *
cano_store_outputs(const CanoFan *fan, MemoryContext context)
{
	Datum		values[] = {Int64GetDatum(fan->id)};
	MemoryContext spi_context;
	Jsonb	   *outputs;

	(void) cano_statement_run(fan->items ? &item_outputs : &branch_outputs, values,
							  NULL, SPI_OK_SELECT);
	spi_context = MemoryContextSwitchTo(context);
	outputs = cano_column_jsonb(0, 1);
	MemoryContextSwitchTo(spi_context);
	return outputs;
}

char *
cano_store_first_errors(const CanoFan *fan, MemoryContext context)
{
	Datum		values[] = {
		Int64GetDatum(fan->id),
		Int32GetDatum(ERRORS_TOLD)
	};
	int			n = cano_statement_run(&first_errors, values, NULL, SPI_OK_SELECT);
	MemoryContext spi_context = MemoryContextSwitchTo(context);
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < n; i++)
		appendStringInfo(&text, "%stask %d: %s", i > 0 ? "; " : "",
						 cano_column_int32(i, 1, 0), cano_column_text(i, 2));
	if (fan->tally.failed > n)
		appendStringInfo(&text, "; and %d more", fan->tally.failed - n);
	MemoryContextSwitchTo(spi_context);
	return text.data;
}

int
cano_store_ended(int64 fan, bool successes, MemoryContext context,
				 CanoEnded **ended)
{
	Datum		values[] = {Int64GetDatum(fan), BoolGetDatum(successes)};
	int			n = cano_statement_run(&ended_branches, values, NULL,
									   SPI_OK_SELECT);
	MemoryContext spi_context = MemoryContextSwitchTo(context);

	*ended = palloc(sizeof(CanoEnded) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		CanoEnded  *one = &(*ended)[i];

		one->branch = cano_column_int32(i, 1, 0);
		one->attempt = cano_column_int32(i, 2, 0);
		one->succeeded = cano_column_bool(i, 3, false);
		one->error = cano_column_jsonb(i, 4);
	}
	MemoryContextSwitchTo(spi_context);
	return n;
}
