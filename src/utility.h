/*-------------------------------------------------------------------------
 *
 * utility.h
 *	  Utility statements of others that concern the engine.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_UTILITY_H
#define CANO_UTILITY_H

/* Install the hook. */
extern void cano_utility_init(void);

#endif							/* CANO_UTILITY_H */
