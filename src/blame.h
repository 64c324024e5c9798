/*-------------------------------------------------------------------------
 *
 * blame.h
 *	  Whose fault it was that a transaction failed as a whole.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_BLAME_H
#define CANO_BLAME_H

#include "error.h"
#include "store.h"

/* One attempt at one visit of a state, or at a branch of it. */
typedef struct CanoVisit
{
	int64		job;
	int64		sequence;
	int			branch;
	int			attempt;
	int			errors;
	const char *state;
} CanoVisit;

extern CanoVisit cano_blame_visit(const CanoRun *run);

/*
 * A transaction that held nothing but this visit failed: when it committed,
 * or before.  Decides whether the visit is to blame.
 */
extern void cano_blame_commit_failed(const CanoVisit *visit,
									 const ErrorData *edata);
extern void cano_blame_transaction_failed(const CanoVisit *visit,
										  const ErrorData *edata);

/* A transaction went well. */
extern void cano_blame_nobody(void);

/*
 * Why the run's visit has failed already; NULL if it is not to blame.
 */
extern const CanoError *cano_blame_take(const CanoRun *run);

/* Remember, and ask, whether a job must run with nothing held. */
extern void cano_blame_separate(const CanoRun *run);
extern bool cano_blame_is_separate(const CanoRun *run);

#endif							/* CANO_BLAME_H */
