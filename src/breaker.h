/*-------------------------------------------------------------------------
 *
 * breaker.h
 *	  Breakers: named circuit breakers that the attempts of all runs share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_BREAKER_H
#define CANO_BREAKER_H

/* Leave for one attempt; number 0: none, with which the rest does nothing. */
typedef struct CanoPermit
{
	int			place;
	uint64		number;
} CanoPermit;

/*
 * Ask the breaker for an attempt.  Raises circuit_open when it refuses, and a
 * workflow error when there is no breaker of that name.  No permit for no
 * name (NULL).  Needs a transaction and no open window.
 *
 * A permit is given back before its transaction ends, in one of the two ways
 * below.  One that is not is a failure: whatever kept its holder from saying
 * how the attempt ended, it did not end well.
 */
extern CanoPermit cano_breaker_acquire(const char *name);

/* How the attempt ended.  The permit is none after this. */
extern void cano_breaker_report(CanoPermit *permit, bool success);

/* The attempt has not taken place, or will be made again. */
extern void cano_breaker_return(CanoPermit *permit);

/* Is there a breaker of that name?  Needs what acquire needs. */
extern bool cano_breaker_exists(const char *name);

/* Ask for the shared memory, and make it; from the hooks of shmem.c. */
extern void cano_breaker_request_memory(void);
extern void cano_breaker_make_memory(void);

#endif							/* CANO_BREAKER_H */
