/*-------------------------------------------------------------------------
 *
 * statement.h
 *	  One constant SQL statement: planned at first use, kept, run by value.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_STATEMENT_H
#define CANO_STATEMENT_H

#include "executor/spi.h"

#define CANO_MAX_PARAMETERS 24

typedef struct CanoStatement
{
	const char *sql;
	int			nparameters;
	Oid			types[CANO_MAX_PARAMETERS];
	SPIPlanPtr	plan;			/* this and the next: private to statement.c */
	bool		planned;
} CanoStatement;

/*
 * Run inside an open window.  "nulls" is NULL or as SPI wants it.  "expect"
 * is the SPI result code that must come back.  Returns the number of rows;
 * they stand in SPI_tuptable.
 */
extern uint64 cano_statement_run(CanoStatement *statement, Datum *values,
								 const char *nulls, int expect);

/*
 * Rows gathered for one statement whose parameters are all arrays, one a
 * column, which it unnests.
 */
typedef struct CanoRows
{
	int			ncolumns;
	int			nrows;
	int			capacity;
	Datum	   *values[CANO_MAX_PARAMETERS];
	bool	   *nulls[CANO_MAX_PARAMETERS];
} CanoRows;

/* In the current memory context. */
extern void cano_rows_init(CanoRows *rows, const CanoStatement *statement);

/* Add a row of nulls and return its number, then set its columns. */
extern int	cano_rows_add(CanoRows *rows);
extern void cano_rows_set(CanoRows *rows, int row, int column, Datum value);

/* Run the statement over all of them at once; nothing if there are none. */
extern uint64 cano_rows_run(CanoRows *rows, CanoStatement *statement, int expect);

#endif							/* CANO_STATEMENT_H */
