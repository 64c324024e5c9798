/*-------------------------------------------------------------------------
 *
 * limiter.h
 *	  Limiters: named rate limiters that the attempts of all runs share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_LIMITER_H
#define CANO_LIMITER_H

#include "meter.h"
#include "named.h"

/* A token taken; or none, with which nothing can be done. */
typedef struct CanoToken
{
	bool		taken;
	CanoNamedKey key;
	CanoMeterPolicy policy;		/* under which it was taken */
	int64		mark;
} CanoToken;

typedef enum CanoAdmission
{
	CANO_ADMITTED,
	CANO_MUST_WAIT,
	CANO_NO_LIMITER				/* none of that name */
} CanoAdmission;

/*
 * Ask the limiter for an attempt.  "turn" is what was told when this one was
 * asked for before, or CANO_NO_TURN.  Needs a transaction and no open window.
 * Nobody has to give a token back: one that is not is used up.
 */
extern CanoAdmission cano_limiter_take(const char *name, int64 turn,
									   CanoToken *token, CanoTurn *told);

/* The attempt has not taken place.  The token is none after this. */
extern void cano_limiter_return(CanoToken *token);

/* Is there a limiter of that name?  Needs what take needs. */
extern bool cano_limiter_exists(const char *name);

/* Ask for the shared memory, and make it; from the hooks of shmem.c. */
extern void cano_limiter_request_memory(void);
extern void cano_limiter_make_memory(void);

#endif							/* CANO_LIMITER_H */
