/*-------------------------------------------------------------------------
 *
 * returned.h
 *	  What a task's value means: where to go, or its output.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_RETURNED_H
#define CANO_RETURNED_H

#include "call.h"

/*
 * Interpret what the function returned.  Runs with the user's identity, since
 * conversions to jsonb may call functions of his; raises an error for a value
 * that means nothing or is too large.  The result is allocated in "context",
 * all else in the current memory context.
 */
extern void cano_returned_take(const CanoFunction *function, CanoUse use,
							   Datum value, bool isnull, FmgrInfo *to_jsonb,
							   TimestampTz now, MemoryContext context,
							   CanoReturn *result);

#endif							/* CANO_RETURNED_H */
