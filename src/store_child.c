/*-------------------------------------------------------------------------
 *
 * store_child.c
 *	  How the children of a run ended.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "statement.h"
#include "store_child.h"

/* A run has one child at a time, so the latest has the highest id. */
static CanoStatement last_child = {
	"SELECT c.status, c.data, c.error FROM cano._run c"
	" WHERE c.parent = $1 AND c.status <> 'active'"
	" ORDER BY c.submitted_at DESC, c.id DESC LIMIT 1",
	1, {INT8OID}
};

bool
cano_store_last_child(int64 parent, MemoryContext context,
					  CanoEnding *ending, Jsonb **data, Jsonb **error)
{
	Datum		values[] = {Int64GetDatum(parent)};
	MemoryContext spi_context;
	char	   *status;

	if (cano_statement_run(&last_child, values, NULL, SPI_OK_SELECT) == 0)
		return false;
	spi_context = MemoryContextSwitchTo(context);
	status = cano_column_text(0, 1);
	*ending = strcmp(status, "completed") == 0 ? CANO_COMPLETED :
		strcmp(status, "cancelled") == 0 ? CANO_CANCELLED : CANO_FAILED;
	*data = cano_column_jsonb(0, 2);
	*error = cano_column_jsonb(0, 3);
	MemoryContextSwitchTo(spi_context);
	return true;
}
