/*-------------------------------------------------------------------------
 *
 * external.h
 *	  Work that clients outside the database do: what its run has to do with
 *	  it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_EXTERNAL_H
#define CANO_EXTERNAL_H

#include "call.h"
#include "error.h"
#include "store.h"

/* The run has begun to wait for a client: offer its work. */
extern void cano_external_offer(CanoSettlement *settlement, const CanoRun *run);

/* It does not wait any more: the work is nobody's. */
extern void cano_external_withdraw(CanoSettlement *settlement,
								   const CanoRun *run);

/* A lease of the run may have run out: the settling looks. */
extern void cano_external_settle_lease(CanoSettlement *settlement,
									   const CanoRun *run);

/*
 * A run that waits for a client was woken.  True if it goes on: with an
 * answer in run->reply, which is allocated in "context", or because its time
 * is over.  False if it waits again, which is settled then.
 */
extern bool cano_external_receive(CanoSettlement *settlement, CanoRun *run,
								  MemoryContext context);

/* What a client answered, as if a task had returned or raised it. */
extern void cano_external_read(const Jsonb *reply, CanoReturn *said,
							   CanoError **error);

/*
 * The answer to the work of an attempt, for cano_external_read(): what a
 * client made of it (either may be NULL), or why it failed.
 */
extern Jsonb *cano_external_success(int64 sequence, int attempt,
									const Jsonb *output, const char *next);
extern Jsonb *cano_external_failure(int64 sequence, int attempt,
									const char *error, bool retry);

#endif							/* CANO_EXTERNAL_H */
