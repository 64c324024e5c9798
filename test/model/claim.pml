/*
 * claim.pml
 *	  Jobs are claimed, run and committed by several workers that may die at
 *	  any point, and one job makes every commit fail that it is part of.
 *
 * Must hold: each step of each run is committed once and in order, at every
 * commit a run has one job or has ended, only the culprit's run fails, and in
 * the end no run is left over.  Nobody tries for ever without getting on.
 */
#include "mutant.h"

#define NO_LOCK			1	/* mutant: claims what others have locked */
#define STALE			2	/* mutant: claims what has been deleted since the snapshot */
#define DELETE_FIRST	3	/* mutant: the job is gone before its work is committed */
#define EFFECT_APART	4	/* mutant: a task's effects have a commit of their own */
#define LOCK_OUTLIVES	5	/* mutant: a claim survives the process */
#define LOSE_NEXT		6	/* mutant: no job is left for the next step */
#define BLAME_FIRST		7	/* mutant: a batch's failure is its first job's */
#define BLAME_NOBODY	8	/* mutant, progress: a failed commit is tried again for ever */

#define RUNS		2
#define STEPS		2
#define ROWS		4		/* a step's job: run * STEPS + step */
#define BAD			3		/* what fails when it is committed, not before */
#define NOBODY		255
#define BIT(i)		(1 << (i))

bool live[ROWS], gone[ROWS];	/* jobs: inserted; deleted; both as committed */
byte claimer[ROWS] = NOBODY;	/* whose transaction has locked the row */
byte effects[ROWS];				/* of the step's task, as committed */
bool ended[RUNS], failed[RUNS];
byte crashes = 2;				/* still to come */

#define HAS_JOB(i)		(live[i] && !gone[i])
#define CLAIMABLE(i)	(HAS_JOB(i) && claimer[i] == NOBODY)
#define SEEN(i)			(HAS_JOB(i) << (i))

/* The end of a transaction: PostgreSQL lets go of what it had locked. */
inline release(crashed)
{
	for (i : 0 .. ROWS - 1) {
		if
		:: claimer[i] == me && !(crashed && M(LOCK_OUTLIVES)) -> claimer[i] = NOBODY
		:: else
		fi
	}
	snapshot = 0; done = 0; refused = 0; n = 0; steps = 0; first = NOBODY; limit = 0; i = 0
}

/* txn.c, cano_txn_commit(): everything of the batch at once. */
inline commit()
{
	for (i : 0 .. ROWS - 1) {
		if
		:: done & BIT(i) ->
			effects[i] = effects[i] + !M(EFFECT_APART);
			assert(effects[i] == 1 && (i % STEPS == 0 || effects[i - 1] == 1));
			live[i] = true;
			gone[i] = true;
			if
			:: i % STEPS == STEPS - 1 -> ended[i / STEPS] = true
			:: else -> live[i + 1] = live[i + 1] || !M(LOSE_NEXT)
			fi
		:: refused & BIT(i) ->
			assert(i == BAD);
			gone[i] = true;
			ended[i / STEPS] = true;
			failed[i / STEPS] = true
		:: else
		fi
	}
	for (i : 0 .. RUNS - 1) {
		assert(HAS_JOB(2 * i) + HAS_JOB(2 * i + 1) + ended[i] == 1)
	}
	release(false)
}

proctype worker(byte me)
{
	byte snapshot, i, limit, n, steps, first = NOBODY;
	byte done, refused;			/* by this transaction: bits of rows */
	byte one_by_one;			/* batch.c */
	byte blamed = NOBODY;		/* blame.c, failed_visit */

end:
	/* Waiting for work is wake.pml's. */
	atomic {
		CLAIMABLE(0) || CLAIMABLE(1) || CLAIMABLE(2) || CLAIMABLE(3);
		snapshot = SEEN(0) | SEEN(1) | SEEN(2) | SEEN(3);
		limit = (one_by_one > 0 -> 1 : 2)
	}
	/* store.c, CLAIM: FOR UPDATE SKIP LOCKED, and DELETE. */
	atomic {
		for (i : 0 .. ROWS - 1) {
			if
			:: snapshot & BIT(i) && n < limit && (claimer[i] == NOBODY || M(NO_LOCK)) && (!gone[i] || M(STALE)) ->
				claimer[i] = me;
				n++;
				done = done | BIT(i);
				first = (first == NOBODY -> i : first);
				gone[i] = gone[i] || M(DELETE_FIRST)
			:: else
			fi
		}
		snapshot = 0; limit = 0; i = 0;
		if
		:: n == 0 -> goto end
		:: n > 0
		:: n > 0 && crashes > 0 -> crashes--; goto crash
		fi
	}

	/* drive.c, drive_run(): the next step in memory, or a job for it. */
	atomic {
		for (i : 0 .. ROWS - 1) {
			if
			:: done & BIT(i) && i == blamed -> done = done & ~BIT(i); refused = BIT(i)
			:: done & BIT(i) && i != blamed ->
				effects[i] = effects[i] + M(EFFECT_APART);
				steps++;
				if
				:: i % STEPS < STEPS - 1 && one_by_one == 0 -> done = done | BIT(i + 1)
				:: true
				fi
			:: else
			fi
		}
		i = 0;
		if
		:: true
		:: crashes > 0 -> crashes--; goto crash
		fi
	}

	atomic {
		if
		:: done & BIT(BAD) ->
			/* batch.c, batch_failed() */
			if
			:: (n == 1 && steps == 1 && !M(BLAME_NOBODY)) || M(BLAME_FIRST) -> blamed = first
			:: else -> one_by_one = (n > steps -> n : steps)
			fi;
			release(false)
		:: else ->
			one_by_one = (one_by_one > 0 -> one_by_one - 1 : 0);
			blamed = (refused -> NOBODY : blamed);
			commit();
			goto progress
		fi;
		goto end
	}

progress:
	goto end;

crash:
	/* Its memory is gone, and so is its transaction. */
	atomic {
		release(true);
		one_by_one = 0;
		blamed = NOBODY
	}
	goto end
}

init
{
	atomic {
		live[0] = true;
		live[STEPS] = true;
		run worker(0); run worker(1)
	}
	timeout -> assert(ended[0] && ended[1] && !failed[0] && failed[1] && effects[0] + effects[1] + effects[2] == 3)
}
