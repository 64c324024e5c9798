/*-------------------------------------------------------------------------
 *
 * store_observer.h
 *	  Statements on cano._observer.
 *
 * All of these run inside an open window.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_STORE_OBSERVER_H
#define CANO_STORE_OBSERVER_H

#include "utils/array.h"

#include "function.h"

typedef struct CanoObserverRow
{
	const char *name;
	Oid			owner;
	NameData	owner_name;
	int64		origin;			/* where the owner has that number */
	CanoFunctionName function;
	ArrayType  *events;			/* of text; NULL: all */
	const char *workflow;		/* NULL: any */
} CanoObserverRow;

/* Lock one until the end of the transaction.  False: there is none. */
extern bool cano_store_observer_lock(const char *name, CanoObserverRow *row);

/* False: another session has just added one of that name. */
extern bool cano_store_observer_add(const CanoObserverRow *row);

/* Change or remove a locked one. */
extern void cano_store_observer_set(const CanoObserverRow *row);
extern void cano_store_observer_remove(const char *name);

/* All of them, in the order of their registration, in that context. */
extern int	cano_store_observers(MemoryContext context, CanoObserverRow **rows);

#endif							/* CANO_STORE_OBSERVER_H */
