/*-------------------------------------------------------------------------
 *
 * retry.h
 *	  How long to wait before the next attempt.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_RETRY_H
#define CANO_RETRY_H

#include "model.h"

/* What a kind that retries does where the definition says nothing. */
extern CanoRetry cano_retry_default(int32_t retries);

/* No retries. */
extern CanoRetry cano_retry_none(void);

/*
 * Milliseconds to wait after the failed attempt with this 0-based index.
 * "random" is uniform in [-1, 1] and only matters where there is jitter.
 */
extern int64_t cano_retry_delay_ms(const CanoRetry *retry, int32_t failed,
								   double random);

#endif							/* CANO_RETRY_H */
