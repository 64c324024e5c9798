/*-------------------------------------------------------------------------
 *
 * shmem.h
 *	  What processes of cano tell each other.  Nothing in it is needed for
 *	  correctness: after a crash it starts empty and the tables are enough.
 *
 * Without shared_preload_libraries there is no shared memory of ours; every
 * function here then does nothing or says that nothing is there.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_SHMEM_H
#define CANO_SHMEM_H

#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "place.h"

/* Ask for the memory; only while libraries are preloaded. */
extern void cano_shmem_init(void);

/* ---- Slots: who runs what since when (cano.activity, cano.workers) ---- */

/*
 * Take a slot for this process, which runs tasks of that role.  A worker has
 * one from its start; a session takes one for the time of CALL cano.work().
 * Does nothing when none is free.
 */
extern void cano_slot_attach(Oid role);
extern void cano_slot_detach(void);

/* What a process is about to call. */
typedef struct CanoDoing
{
	int64		run;
	int64		fan;			/* of a branch or item, else 0 */
	int			branch;			/* -1: none */
	int			attempt;
	bool		sheltered;		/* is told to stop, but not interrupted */
	bool		after_end;		/* the run has ended, or goes on elsewhere */
	TimestampTz since;
	const char *workflow;
	const char *state;
	const char *task;
} CanoDoing;

/*
 * A task is about to be called / is over.  Cheap: called for every step.
 * Ending says, once, whether somebody asked that the task stop, in which case
 * the interruption that he sent is behind us.
 */
extern void cano_slot_begin(const CanoDoing *doing);
extern bool cano_slot_end(void);

/*
 * Interrupt what runs in other processes for those runs and fans of which
 * "is_stopped" says so.  Not under a lock.
 */
extern void cano_slots_stop(bool (*is_stopped) (int64 run, int64 fan));

/* What cano.progress() said of the task that this process is running. */
extern void cano_slot_progress(int64 done, int64 total, const char *note);

/* ---- Lanes: which (database, role) has work due when ---- */

/*
 * Remember that the current transaction made work of that role due at that
 * time; told to the launcher or to an idle worker when it commits, forgotten
 * when it aborts.  "place" is that of the first of the jobs; CANO_NO_PLACE if
 * there are only timers.
 */
extern void cano_wake_at_commit(Oid role, TimestampTz due_at, CanoPlace place);

/*
 * The same for work that this process will look for itself: nobody is woken,
 * but everybody who looks will find it.
 */
extern void cano_lower_at_commit(Oid role, CanoPlace place);

/*
 * A claim need not look at what stands before the hint: nothing there is due.
 * Not starting at the head of the queue is what keeps a claim cheap, because
 * the dead rows of jobs that are done stand there until they are vacuumed.
 * Get it before the snapshot of the claim is taken; then say behind which
 * place nothing was passed over.  The hint moves there when the transaction
 * commits, unless other work has become due since; it moves to the front when
 * the transaction aborts.
 */
extern CanoPlace cano_lane_hint(Oid role);
extern void cano_lane_claimed(Oid role, CanoPlace next);

/*
 * Does anybody know when the role's next timer is due?  Who begins a task
 * that may be long says it at once, because he will not look for as long.
 */
extern bool cano_lane_knows_due(Oid role);
extern void cano_lane_note_due(Oid role, TimestampTz due_at);

/*
 * May a claim that found nothing look at the whole queue?  A safety net,
 * cheap enough by its rareness.  Say how long it took.
 */
extern bool cano_lane_may_look_at_all(Oid role);
extern void cano_lane_looked_at_all(Oid role, double ms);

/*
 * At the commit interrupt what runs for this run or, if it is not 0, for this
 * fan.
 */
extern void cano_stop_at_commit(int64 run, int64 fan);

/* Is the run to be stopped at the commit? */
extern bool cano_stop_is_pending(int64 run);

/* The same for those who wait for the end of a run. */
extern void cano_wake_waiters_at_commit(int64 run);

/*
 * Wait until something about the run may have changed, at most so long.
 * Prepare before looking, wait after looking, done at the end; interrupts are
 * served.  Without shared memory it just waits for a short time.
 */
extern void cano_waiter_prepare(int64 run);
extern void cano_waiter_wait(int64 run, long timeout_ms);
extern void cano_waiter_done(void);

/* More is queued for this role than one worker can take at once. */
extern void cano_lane_backlog(Oid role);

#endif							/* CANO_SHMEM_H */
