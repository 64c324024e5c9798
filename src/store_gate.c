/*-------------------------------------------------------------------------
 *
 * store_gate.c
 *	  Who is under way of workflows that limit that, and who waits to be.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "store.h"
#include "store_gate.h"

static CanoStatement has_number = {
	"SELECT FROM cano._inside i WHERE i.run = $2 AND i.workflow = $1",
	2, {TEXTOID, INT8OID}
};

/* Those of an earlier, higher limit count as well. */
static CanoStatement free_numbers = {
	"SELECT g.number FROM generate_series(1, $2) g (number)"
	" WHERE NOT EXISTS (SELECT FROM cano._inside i"
	"	WHERE i.workflow = $1 AND i.number = g.number)"
	" AND (SELECT count(*) FROM cano._inside i WHERE i.workflow = $1) < $2"
	" ORDER BY g.number LIMIT $3",
	3, {TEXTOID, INT4OID, INT4OID}
};

static CanoStatement take_number = {
	"INSERT INTO cano._inside (workflow, number, run)"
	" SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT FROM cano._inside i"
	"	WHERE i.workflow = $1 AND i.number = $2)",
	3, {TEXTOID, INT4OID, INT8OID}
};

static CanoStatement leave = {
	"DELETE FROM cano._inside i USING unnest($1, $2, $3) u (workflow, run, most)"
	" WHERE i.run = u.run AND i.workflow = u.workflow",
	3, {TEXTARRAYOID, INT8ARRAYOID, INT4ARRAYOID}
};

/*
 * As many of each owner as there is room for, so that nobody waits for others
 * who are let in and do not come.
 */
static CanoStatement let_in = {
	"WITH RECURSIVE owner AS ("
	"	(SELECT t.owner FROM cano._timer t"
	"	WHERE t.waiting = 'q' AND t.awaits = $1 ORDER BY t.owner LIMIT 1)"
	"	UNION ALL"
	"	SELECT n.owner FROM owner o, LATERAL ("
	"		SELECT t.owner FROM cano._timer t"
	"		WHERE t.waiting = 'q' AND t.awaits = $1 AND t.owner > o.owner"
	"		ORDER BY t.owner LIMIT 1) n)"
	", due AS ("
	"	DELETE FROM cano._timer t"
	"	WHERE t.id = ANY (ARRAY("
	"		SELECT c.id FROM owner o, LATERAL ("
	"			SELECT s.id FROM cano._timer s"
	"			WHERE s.waiting = 'q' AND s.awaits = $1 AND s.owner = o.owner"
	"			ORDER BY s.priority, s.id"
	"			LIMIT (SELECT greatest($2 - count(*), 0) FROM cano._inside i"
	"				WHERE i.workflow = $1)"
	"			FOR UPDATE SKIP LOCKED) c))"
	"	RETURNING " CANO_JOB_COLUMNS ")"
	" INSERT INTO cano._job (" CANO_JOB_COLUMNS ")"
	" SELECT " CANO_JOB_COLUMNS " FROM due"
	" RETURNING owner, priority, id",
	2, {TEXTOID, INT4OID}
};

void
cano_store_gates_init(CanoRows *gates)
{
	cano_rows_init(gates, &leave);
}

void
cano_store_touch_gate(CanoRows *gates, const char *workflow, int limit,
					  int64 run)
{
	int			row = cano_rows_add(gates);

	cano_rows_set_text(gates, row, 0, workflow);
	cano_rows_set(gates, row, 1, Int64GetDatum(run));
	cano_rows_set(gates, row, 2, Int32GetDatum(limit));
}

CanoGate *
cano_store_gates(const CanoRows *gates, int *n)
{
	CanoGate   *result = palloc(sizeof(CanoGate) * Max(gates->nrows, 1));

	*n = 0;
	for (int i = 0; i < gates->nrows; i++)
	{
		char	   *workflow = TextDatumGetCString(gates->values[0][i]);
		int			limit = DatumGetInt32(gates->values[2][i]);
		int			k = 0;

		while (k < *n && strcmp(result[k].workflow, workflow) != 0)
			k++;
		if (k < *n)
			limit = Max(limit, result[k].limit);
		else
			(*n)++;
		result[k].workflow = workflow;
		result[k].limit = limit;
	}
	return result;
}

bool
cano_store_has_number(const char *workflow, int64 run)
{
	Datum		values[] = {CStringGetTextDatum(workflow), Int64GetDatum(run)};

	return cano_statement_run(&has_number, values, NULL, SPI_OK_SELECT) > 0;
}

int
cano_store_free_numbers(const char *workflow, int limit, int n, int *numbers)
{
	Datum		values[] = {
		CStringGetTextDatum(workflow),
		Int32GetDatum(limit),
		Int32GetDatum(n)
	};

	n = cano_statement_run(&free_numbers, values, NULL, SPI_OK_SELECT);
	for (int i = 0; i < n; i++)
		numbers[i] = cano_column_int32(i, 1, 0);
	return n;
}

bool
cano_store_take_number(const char *workflow, int number, int64 run)
{
	Datum		values[] = {
		CStringGetTextDatum(workflow),
		Int32GetDatum(number),
		Int64GetDatum(run)
	};

	return cano_statement_run(&take_number, values, NULL, SPI_OK_INSERT) > 0;
}

void
cano_store_leave(CanoRows *gates)
{
	(void) cano_rows_run(gates, &leave, SPI_OK_DELETE);
}

int
cano_store_let_in(const CanoGate *gate)
{
	Datum		values[] = {
		CStringGetTextDatum(gate->workflow),
		Int32GetDatum(gate->limit)
	};

	return cano_statement_run(&let_in, values, NULL, SPI_OK_INSERT_RETURNING);
}
