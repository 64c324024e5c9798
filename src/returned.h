/*-------------------------------------------------------------------------
 *
 * returned.h
 *	  What a task's value means: where to go, its output, a batch's items.
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

/*
 * The same for a load that returns a set: first begin, then a call for each
 * row; where "isnull", the item is SQL null.  Each call may leave garbage in
 * the current memory context.
 */
extern void cano_returned_begin_items(CanoReturn *result);
extern void cano_returned_add_item(const CanoFunction *function, Datum value,
								   bool isnull, FmgrInfo *to_jsonb,
								   MemoryContext context, CanoReturn *result);

#endif							/* CANO_RETURNED_H */
