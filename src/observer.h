/*-------------------------------------------------------------------------
 *
 * observer.h
 *	  Observers: functions of users that are told what happens to runs.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_OBSERVER_H
#define CANO_OBSERVER_H

#include "store_event.h"

/*
 * Does anybody observe runs of this role?  Costs next to nothing; when the
 * observers have changed, opens a window.  What is known stays as it is until
 * the next call.
 */
extern bool cano_observer_any(Oid role);

/*
 * Observers change: let all processes forget what they know of them when this
 * transaction commits, and this one also now and when it aborts.
 */
extern void cano_observer_forget(void);

typedef enum CanoTold
{
	CANO_TOLD,
	CANO_TOLD_LAST,				/* no other step may share its transaction */
	CANO_NOT_TOLD				/* one would have waited for a lock: undo all */
} CanoTold;

/*
 * Tell those who observe the run, each in a subtransaction of his own, as the
 * current user, who is the run's owner.  Their errors are logged and harm
 * nobody.  "holding": the transaction holds the work of earlier steps, so
 * none may wait for a lock.  "job" pays if one takes the server down.
 * Leaves the session, and the current memory context, as it was.
 */
extern CanoTold cano_observer_tell(const CanoRecord *record, int64 job,
								   const char *workflow, bool holding);

#endif							/* CANO_OBSERVER_H */
