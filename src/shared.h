/*-------------------------------------------------------------------------
 *
 * shared.h
 *	  Layout of the shared memory, for the files that look after processes:
 *	  shmem.c, lane.c, launcher.c, scan.c, worker.c, recorder.c, utility.c.
 *
 * One LWLock guards the structure: which slots and lanes there are and what
 * belongs to whom.  A spinlock a lane and a spinlock a slot guard what changes
 * often.  Order: LWLock, then lane, then slot; never two lanes or two slots.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_SHARED_H
#define CANO_SHARED_H

#include "storage/condition_variable.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/spin.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"

#include "place.h"

/* Sessions have slots of their own, so that they cannot take the workers'. */
#define CANO_WORKER_SLOTS	128
#define CANO_SESSION_SLOTS	64
#define CANO_SLOTS			(CANO_WORKER_SLOTS + CANO_SESSION_SLOTS)

#define CANO_LANES			1024
#define CANO_BUCKETS		64	/* bits of a uint64 */
#define CANO_MARKS			256
#define CANO_REQUESTS		64
#define CANO_HOLDS			16
#define CANO_SCANS			2

typedef struct CanoLaneKey
{
	Oid			database;
	Oid			role;
} CanoLaneKey;

/*
 * Work of one role in one database.  "generation" moves whenever work becomes
 * due; "attended" is the generation up to which somebody has looked, or has
 * been sent to look.  While the two differ there may be work that nobody has
 * seen.  A lane that has a slot is never removed.
 */
typedef struct CanoLane
{
	CanoLaneKey key;
	slock_t		mutex;

	/* under the mutex */
	uint64		generation;
	uint64		attended;
	bool		backlog;		/* more than those who look can take */
	bool		saturated;		/* another worker is out of the question */
	TimestampTz due_at;			/* next time known, or DT_NOEND */
	CanoPlace	hint;			/* no due job stands before it */
	uint64		lowered;		/* how often it had to be looked at again */
	TimestampTz look_at_all_at; /* not before may a claim ignore it */

	/* under the LWLock, exclusive */
	int			failures;		/* in a row: could not start or work */
	TimestampTz retry_at;
	TimestampTz started_at;		/* of its latest worker */
	TimestampTz wanted_since;	/* another worker, seen by the launcher */
	uint64		wanted_attended;	/* as it was then */
	int			workers;		/* these three: counted by the launcher */
	int			starting;
	int			idle;
} CanoLane;

typedef enum CanoSlotKind
{
	CANO_SLOT_FREE,
	CANO_SLOT_STARTING,			/* the launcher asked for a worker */
	CANO_SLOT_WORKER,
	CANO_SLOT_SESSION
} CanoSlotKind;

typedef enum CanoSlotPhase
{
	CANO_PHASE_BUSY,
	CANO_PHASE_IDLE,			/* looked, found nothing, waits for its latch */
	CANO_PHASE_LEAVING			/* was idle and leaves: nobody may count on it */
} CanoSlotPhase;

typedef struct CanoSlot
{
	/* under the LWLock, exclusive */
	CanoSlotKind kind;
	uint32		stamp;			/* which launch this is */
	Oid			database;
	Oid			role;
	int			pid;
	Latch	   *latch;
	CanoLane   *lane;			/* of a worker, also while it is starting */
	TimestampTz started_at;
	TimestampTz asked_at;		/* when it was asked to leave */
	bool		leave;			/* asked to; its owner reads it without a lock */

	/* by the owner, without a lock: nobody else looks before its release */
	bool		failed;			/* if it ended now, it had done no good */

	/* under the mutex, as is the task of the same index */
	slock_t		mutex;
	CanoSlotPhase phase;
	TimestampTz idle_since;
} CanoSlot;

#define CANO_NAME_SIZE		1024
#define CANO_TEXT_SIZE		256

/* What a slot is running. */
typedef struct CanoTask
{
	bool		running;
	bool		stopped;		/* somebody asked that it stop; set under the
								 * LWLock, too */
	bool		sheltered;		/* is not to be interrupted for that */
	bool		after_end;		/* is called after the run's end */
	int			attempt;
	int			branch;			/* -1: none */
	int64		run;
	int64		fan;			/* of a branch or item, else 0 */
	TimestampTz since;
	bool		progress;
	int64		done;
	int64		total;
	char		workflow[CANO_NAME_SIZE];
	char		state[CANO_NAME_SIZE];
	char		task[CANO_TEXT_SIZE];
	char		note[CANO_TEXT_SIZE];
} CanoTask;

/* A job that took its process down: to be written down by a scan. */
typedef struct CanoMark
{
	Oid			database;		/* InvalidOid: free */
	int64		job;
	int64		run;
} CanoMark;

/* No worker may start in this database for the time of a statement. */
typedef struct CanoHold
{
	Oid			database;		/* InvalidOid: free */
	int			pid;
	TimestampTz until;			/* in case that its process fell */
} CanoHold;

typedef struct CanoScan
{
	Oid			database;		/* InvalidOid: free */
	uint32		stamp;
	TimestampTz started_at;
	bool		succeeded;
	bool		serves;			/* the extension is there */
} CanoScan;

/* The process that removes runs that ended long ago, if there is one. */
typedef struct CanoSweep
{
	Oid			database;		/* InvalidOid: it has ended */
	Oid			swept;			/* the same, and stays */
	uint32		stamp;
	bool		leave;			/* asked to; it reads it without a lock */
	bool		succeeded;
	bool		more;			/* it should come again soon ... */
	int64		cursor;			/* ... and go on here */
} CanoSweep;

typedef struct CanoShared
{
	/* fixed when the memory is made */
	LWLock	   *lock;
	uint64		boot_id;		/* of the operating system, 0 = unknown */
	int64		incarnation;	/* of this memory */

	/* under the LWLock, exclusive */
	Latch	   *launcher;		/* NULL: there is none */
	TimestampTz launcher_until; /* it sleeps so long */
	bool		crowded;		/* lanes without a worker wait for a place */
	bool		recorder_read;
	bool		recorder_warned;
	uint32		last_stamp;
	bool		scan_all;
	int			nrequests;
	Oid			requests[CANO_REQUESTS];
	CanoMark	marks[CANO_MARKS];
	CanoHold	holds[CANO_HOLDS];
	CanoScan	scans[CANO_SCANS];
	CanoSweep	sweep;
	int			nworker_slots;	/* slots from here on were never a worker's */
	CanoSlot	slots[CANO_SLOTS];
	CanoTask	tasks[CANO_SLOTS];

	ConditionVariableMinimallyPadded released;	/* a worker or scan ended */
	ConditionVariableMinimallyPadded waiters[CANO_BUCKETS];
} CanoShared;

/* NULL without shared_preload_libraries. */
extern CanoShared *cano_shared;
extern HTAB *cano_lanes;

/* ---- Slots (shmem.c) ---- */

/* This process's slot, or -1. */
extern int	cano_my_slot;

/*
 * Take the slot that the launcher meant for this worker.  False when it was
 * given up meanwhile or the worker is asked to leave already.
 */
extern bool cano_slot_attach_worker(int slot, uint32 stamp);

/* Free a slot and tell who is concerned.  Holds no lock. */
extern void cano_slot_release(int slot);

/* Ask the workers of a database to leave; returns how many there are yet. */
extern int	cano_slot_ask_database(Oid database);

/* Wake the launcher, if there is one.  Caller holds the LWLock. */
extern void cano_launcher_wake(void);

/* ---- Lanes (lane.c) ---- */

/*
 * Find or make a lane.  Caller holds the LWLock exclusively.  NULL when there
 * is no room.
 */
extern CanoLane *cano_lane_get(Oid database, Oid role);

/* New work: send an idle worker or the launcher.  Caller holds the LWLock. */
extern void cano_lane_alert(CanoLane *lane);

/*
 * Send an idle worker to look; false when there is none.  Caller holds the
 * LWLock.
 */
extern bool cano_lane_send_idle(CanoLane *lane);

/* Work due at some time.  False when it could not be noted for lack of room. */
extern bool cano_lane_note(Oid database, Oid role, TimestampTz due_at,
						   CanoPlace place);

/* Wake at the end of this transaction, or at once outside of one. */
extern void cano_lane_note_at_end(Oid role);

/* Count a failure and compute when to try again.  LWLock held exclusively. */
extern void cano_lane_fail(CanoLane *lane);

/* Forget the lanes of a database that was dropped.  Holds no lock. */
extern void cano_lane_forget_database(Oid database);

/* The worker is about to look for everything that is due. */
extern void cano_lane_look(void);

/*
 * It looked and found nothing.  False when it must look again; otherwise the
 * worker is idle now: whoever has work may choose it.
 */
extern bool cano_lane_rest(TimestampTz next_due);

/* Is it still idle (nobody has chosen it)? */
extern bool cano_lane_resting(void);

/* Leave, being idle.  False when somebody has chosen this worker. */
extern bool cano_lane_leave(void);

/* The worker works: forget earlier failures. */
extern void cano_lane_succeed(void);

#endif							/* CANO_SHARED_H */
