/*-------------------------------------------------------------------------
 *
 * statement.c
 *	  One constant SQL statement: planned at first use, kept, run by value.
 *
 * Plans are generic: the tables are private, their indexes known, and a
 * custom plan would cost more than most of these statements do.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "statement.h"
#include "window.h"

uint64
cano_statement_run(CanoStatement *statement, Datum *values, const char *nulls,
				   int expect)
{
	int			result;

	Assert(cano_window_is_open());

	if (statement->plan == NULL)
	{
		SPIPlanPtr	plan = SPI_prepare_cursor(statement->sql,
											  statement->nparameters,
											  statement->types,
											  CURSOR_OPT_GENERIC_PLAN);

		if (plan == NULL)
			elog(ERROR, "SPI_prepare failed: %s: %s",
				 SPI_result_code_string(SPI_result), statement->sql);
		if (SPI_keepplan(plan) != 0)
			elog(ERROR, "SPI_keepplan failed");
		statement->plan = plan;
	}

	result = SPI_execute_plan(statement->plan, values, nulls, false, 0);
	if (result != expect)
		elog(ERROR, "SPI_execute_plan failed: %s: %s",
			 SPI_result_code_string(result), statement->sql);
	return SPI_processed;
}
