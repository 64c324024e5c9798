/*-------------------------------------------------------------------------
 *
 * store_resource.h
 *	  Statements on cano._resource.
 *
 * All of these need an open window.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_STORE_RESOURCE_H
#define CANO_STORE_RESOURCE_H

#include "utils/jsonb.h"

typedef struct CanoResourceRow
{
	const char *name;
	Jsonb	   *value;			/* or NULL */
} CanoResourceRow;

/* It is set up for the run, with this value or NULL. */
extern void cano_store_resource_put(int64 run, const char *name,
									const Jsonb *value);

/* The value it was set up with, in the given memory context, or NULL. */
extern Jsonb *cano_store_resource_find(int64 run, const char *name,
									   MemoryContext context);

/* What is set up for the run; with "take", from now on it is not. */
extern int	cano_store_resources(int64 run, bool take, MemoryContext context,
								 CanoResourceRow **rows);

#endif							/* CANO_STORE_RESOURCE_H */
