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
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "place.h"

#define CANO_MAX_PARAMETERS 24

typedef struct CanoStatement
{
	const char *sql;
	int			nparameters;
	Oid			types[CANO_MAX_PARAMETERS];
	bool		gathers;		/* reads "gathered" instead of parameters */
	SPIPlanPtr	plan;			/* this and the next: private to statement.c */
	TupleDesc	desc;
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
 * A column of what the latest statement returned; "number" counts from 1.
 * What is not by value is copied into the current memory context.
 */
extern int64 cano_column_int64(int row, int number, int64 if_null);
extern int32 cano_column_int32(int row, int number, int32 if_null);
extern bool cano_column_bool(int row, int number, bool if_null);
extern char cano_column_char(int row, int number, char if_null);
extern TimestampTz cano_column_time(int row, int number, TimestampTz if_null);
extern char *cano_column_text(int row, int number);
extern Jsonb *cano_column_jsonb(int row, int number);

/* Of a job whose owner, priority and id are the first columns: whose it is. */
extern Oid	cano_column_place(int row, CanoPlace *place);

/*
 * Rows gathered for one statement: either its parameters are all arrays, one a
 * column, which it unnests or searches; or it finds them in a relation of the
 * name "gathered", whose columns have the types given, in that order.
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

/* Only of the first parameters; the others are not arrays. */
extern void cano_rows_init_some(CanoRows *rows, const CanoStatement *statement,
								int ncolumns);
extern void cano_rows_arrays(const CanoRows *rows,
							 const CanoStatement *statement, Datum *arrays);

/* Add a row of nulls and return its number, then set its columns. */
extern int	cano_rows_add(CanoRows *rows);
extern void cano_rows_set(CanoRows *rows, int row, int column, Datum value);

/* The same; a NULL is left null. */
extern void cano_rows_set_text(CanoRows *rows, int row, int column,
							   const char *value);
extern void cano_rows_set_jsonb(CanoRows *rows, int row, int column,
								const Jsonb *value);

/* Run the statement over all of them at once; nothing if there are none. */
extern uint64 cano_rows_run(CanoRows *rows, CanoStatement *statement, int expect);

#endif							/* CANO_STATEMENT_H */
