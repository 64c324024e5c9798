/*-------------------------------------------------------------------------
 *
 * store_breaker.h
 *	  Statements on cano._breaker.
 *
 * All of these run inside an open window.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_STORE_BREAKER_H
#define CANO_STORE_BREAKER_H

#include "utils/timestamp.h"

typedef struct CanoBreakerSettings
{
	int			failure_threshold;
	int			half_open_max_calls;
	Interval	reset_timeout;
} CanoBreakerSettings;

typedef struct CanoBreakerRow
{
	int64		id;				/* never used again */
	Oid			owner;
	NameData	owner_name;
	int64		origin;			/* the server where the owner has that number */
	CanoBreakerSettings settings;
} CanoBreakerRow;

/* False: there is none of that name. */
extern bool cano_store_breaker_find(const char *name, CanoBreakerRow *row);

/* The same, and lock it until the end of the transaction. */
extern bool cano_store_breaker_lock(const char *name, CanoBreakerRow *row);

/* False: another session has just added one of that name. */
extern bool cano_store_breaker_add(const char *name, Oid owner,
								   const char *owner_name,
								   const CanoBreakerSettings *settings);

/* Change or remove a locked one. */
extern void cano_store_breaker_set(const char *name,
								   const CanoBreakerSettings *settings);
extern void cano_store_breaker_remove(const char *name);

#endif							/* CANO_STORE_BREAKER_H */
