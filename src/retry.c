/*-------------------------------------------------------------------------
 *
 * retry.c
 *	  How long to wait before the next attempt.
 *
 * The cap is applied before the jitter, so a delay may exceed the cap by the
 * jitter's share.  A delay that is meant to be more than nothing is at least
 * one millisecond.
 *
 *-------------------------------------------------------------------------
 */
#include "retry.h"

#include <math.h>

/* Longer than any delay worth waiting for, and safe to turn into microseconds. */
#define MAX_DELAY_MS	INT64_C(1000000000000)

CanoRetry
cano_retry_none(void)
{
	CanoRetry	retry = {.policy = CANO_RETRY_NONE};

	return retry;
}

CanoRetry
cano_retry_default(int32_t retries)
{
	CanoRetry	retry = {
		.policy = CANO_RETRY_EXPONENTIAL,
		.retries = retries,
		.base_ms = 100,
		.max_ms = 30000,
		.multiplier = 2.0,
		.jitter = 0.1
	};

	return retry;
}

int64_t
cano_retry_delay_ms(const CanoRetry *retry, int32_t failed, double random)
{
	double		multiplier = retry->multiplier;
	double		jitter = isnan(retry->jitter) ? 0.0 : retry->jitter;
	double		delay;

	if (retry->policy == CANO_RETRY_NONE || retry->base_ms <= 0)
		return 0;
	if (retry->policy == CANO_RETRY_FIXED)
		return retry->base_ms < MAX_DELAY_MS ? retry->base_ms : MAX_DELAY_MS;

	if (!isfinite(multiplier) || multiplier <= 0.0)
		multiplier = 1.0;
	delay = (double) retry->base_ms * pow(multiplier, failed);
	if (!(delay < (double) retry->max_ms))	/* also when it overflowed */
		delay = (double) retry->max_ms;
	delay = floor(delay * (1.0 + jitter * random));

	if (!(delay >= 1.0))
		return 1;
	if (delay > (double) MAX_DELAY_MS)
		return MAX_DELAY_MS;
	return (int64_t) delay;
}
