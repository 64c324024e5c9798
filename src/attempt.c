/*-------------------------------------------------------------------------
 *
 * attempt.c
 *	  The time limit of one attempt.
 *
 * A timer of our own, not statement_timeout: a task may change that setting,
 * and a session that calls cano.work() has a use for it.  A task may trap the
 * interruption, so it comes again; one that swallows it again and again loses
 * its session, unless that is a user's.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "attempt.h"
#include "txn.h"

/* How often to interrupt again, and how many the task may swallow. */
#define AGAIN_MS		100
#define PATIENCE		20

static void out_of_time(void);

static TimeoutId timer = MAX_TIMEOUTS;
static volatile sig_atomic_t interruptions = 0;
static bool running = false;
static int64 patience = 0;		/* as many interruptions */

void
cano_attempt_start(int64 limit_ms, int64 insist_ms)
{
	interruptions = 0;
	patience = insist_ms > 0 ?
		PATIENCE + (insist_ms - limit_ms) / AGAIN_MS : PG_INT64_MAX;
	running = limit_ms > 0;
	if (!running)
		return;
	if (timer == MAX_TIMEOUTS)
		timer = RegisterTimeout(USER_TIMEOUT, out_of_time);
	enable_timeout_every(timer,
						 TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													 limit_ms),
						 AGAIN_MS);
}

bool
cano_attempt_stop(void)
{
	if (!running)
		return false;
	running = false;
	disable_timeout(timer, false);
	if (interruptions == 0)
		return false;
	QueryCancelPending = false;
	return true;
}

/*
 * Runs in the signal handler.  An interruption that is still pending was not
 * swallowed: the task just has not come to a place where it can be.
 */
static void
out_of_time(void)
{
	if (interruptions == 0 || !QueryCancelPending)
		interruptions++;
	InterruptPending = true;
	QueryCancelPending = true;
	if (interruptions > patience && !cano_txn_is_session())
		ProcDiePending = true;
	SetLatch(MyLatch);
}
