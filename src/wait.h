/*-------------------------------------------------------------------------
 *
 * wait.h
 *	  What procedures that commit have in common.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_WAIT_H
#define CANO_WAIT_H

#include "fmgr.h"
#include "utils/jsonb.h"

/* Raise an error unless the procedure was called where it may commit. */
extern void cano_wait_refuse_atomic(FunctionCallInfo fcinfo,
									const char *procedure);

/* The row that CALL returns for a procedure with one INOUT jsonb. */
extern Datum cano_wait_record(FunctionCallInfo fcinfo, Jsonb *result);

#endif							/* CANO_WAIT_H */
