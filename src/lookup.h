/*-------------------------------------------------------------------------
 *
 * lookup.h
 *	  One run as its owner may see it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_LOOKUP_H
#define CANO_LOOKUP_H

#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "compat.h"

typedef struct CanoLookup
{
	Oid			owner;
	bool		own_transaction;	/* submitted by this very transaction */
	const char *status;			/* as stored: active, completed, ... */
	Jsonb	   *data;			/* at its end; NULL before */
	Jsonb	   *error;			/* or NULL */
} CanoLookup;

/*
 * False where there is no such run, or not for the current user.  Opens a
 * window; sees what others have committed by now (in READ COMMITTED).
 * Allocates in the current memory context.
 */
extern bool cano_lookup_run(int64 run, CanoLookup *lookup);

/* May the current user see what belongs to that role? */
extern bool cano_lookup_can_see(Oid owner);

/*
 * The same for a row that says who its owner was on which server: elsewhere
 * the number may be another role's, so the name must match, too.
 */
extern bool cano_lookup_can_see_row(Oid owner, const char *owner_name,
									int64 origin);

/* Raise CN404. */
pg_noreturn extern void cano_lookup_not_found(int64 run);

/* Raise the error that a run ended with. */
pg_noreturn extern void cano_lookup_raise(const CanoLookup *lookup);

#endif							/* CANO_LOOKUP_H */
