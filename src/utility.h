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

/*
 * Has there been a SET CONSTRAINTS in the current transaction?  It changes
 * the rest of the transaction.
 */
extern bool cano_utility_constraints_set(void);

#endif							/* CANO_UTILITY_H */
