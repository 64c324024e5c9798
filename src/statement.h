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
	SPIPlanPtr	plan;			/* private to statement.c */
} CanoStatement;

/*
 * Run inside an open window.  "nulls" is NULL or as SPI wants it.  "expect"
 * is the SPI result code that must come back.  Returns the number of rows;
 * they stand in SPI_tuptable.
 */
extern uint64 cano_statement_run(CanoStatement *statement, Datum *values,
								 const char *nulls, int expect);

#endif							/* CANO_STATEMENT_H */
