/*
 * drain.pml
 *	  A run does three things that can be undone, fails or is cancelled on the
 *	  way, and is rolled back, while workers die and cancellations go on.
 *
 * Must hold: what was completed is undone at most once, the latest first, and
 * nothing else; the run ends once, and what its end says is true: rolled back
 * cleanly, or in part with so many undone and so many errors; nothing is left.
 */
#include "mutant.h"

#define MARK_APART		1	/* mutant: an undoing is committed before it is marked */
#define BEGIN_APART		2	/* mutant: the rollback begins after the commit that ends the run */
#define OLDEST_FIRST	3	/* mutant: undoes in the order of completion */
#define RESTART			4	/* mutant: a job put back begins at the top, marks or not */
#define FORGET_ERRORS	5	/* mutant: errors are not kept when the job is put back */
#define FORGET_COUNT	6	/* mutant: nor is how many were undone */
#define CANCEL_ROLLBACK	7	/* mutant: a request stops the rollback, too */
#define KEEP_REQUEST	8	/* mutant: a request that comes too late stays */
#define COMPLETE_APART	9	/* mutant: a state's effects are committed before its completion */

#define STATES	3
#define NOBODY	255

mtype = {NONE, COMPLETED, UNDONE, FAILED, CLEAN, PARTIAL};

mtype entry[STATES] = NONE;		/* checkpoints of kind 'c', and their marks */
byte done[STATES], undone[STATES];	/* effects */
bool stop, draining, undoing;	/* rows of _stop, _drain; the job's duty */
byte drain_errors;				/* in the row of _drain */
byte job_at, job_count;			/* the job's "sequence" and "errors" */
bool job = true, notice;
byte job_claimer = NOBODY, notice_claimer = NOBODY;
byte ends;
mtype rollback = NONE;
byte crashes = 2, cancels = 2;	/* still to come */
bool late;						/* the rollback's time was over */

#define CRASHED		atomic { crashes > 0 -> crashes--; goto abort }

inline forget()
{
	at = 0; count = 0; errors = 0; i = 0; sees_stop = false; fails = false; over = false; outtimed = false
}

/* drain.c: marks, errors, and the job or the end, in one commit. */
inline commit_drain()
{
	for (i : 0 .. STATES - 1) {
		if
		:: mark[i] == UNDONE ->
			undone[i] = undone[i] + !M(MARK_APART);
			assert(undone[i] == 1 && done[i] == 1 && entry[i] == COMPLETED);
			entry[i] = UNDONE
		:: mark[i] == FAILED -> entry[i] = FAILED
		:: else
		fi;
		assert(mark[i] == NONE || i == STATES - 1 || entry[i + 1] != COMPLETED || mark[i + 1] != NONE);
		mark[i] = NONE
	}
	i = 0;
	if
	:: over ->
		job = false; draining = false; ends++;
		rollback = (errors > 0 -> PARTIAL : (count > 0 -> CLEAN : NONE));
		late = outtimed;
		job_count = count;
		drain_errors = errors
	:: else ->
		job_at = (M(RESTART) -> STATES : at);
		job_count = (M(FORGET_COUNT) -> 0 : count);
		drain_errors = (M(FORGET_ERRORS) -> drain_errors : errors)
	fi;
	job_claimer = NOBODY
}

proctype worker(byte me)
{
	byte at, count, errors, i;
	bool sees_stop, fails, over, outtimed;
	mtype mark[STATES] = NONE;

end:
	if
	:: atomic { job && job_claimer == NOBODY -> job_claimer = me;
			sees_stop = stop;
			fails = stop;
			if
			:: undoing -> at = job_at; count = job_count; errors = drain_errors; goto drain
			:: else -> at = job_at
			fi
		}
	:: atomic { notice && notice_claimer == NOBODY -> notice_claimer = me; goto request }
	fi;
	/* drive.c, drive_run(): states are completed, or the run is at its end. */
	do
	:: atomic { !fails && at < STATES -> mark[at] = COMPLETED; done[at] = done[at] + M(COMPLETE_APART); at++ }
	:: !fails && at < STATES -> fails = true; break
	:: !fails -> break
	:: fails -> break
	od;
	if
	:: true
	:: CRASHED
	fi;
	atomic {
		for (i : 0 .. STATES - 1) {
			if
			:: mark[i] == COMPLETED -> done[i] = done[i] + !M(COMPLETE_APART); assert(done[i] == 1); entry[i] = COMPLETED
			:: else
			fi;
			mark[i] = NONE
		}
		i = 0; job_at = at; job_claimer = NOBODY;
		if
		:: fails -> stop = stop && !sees_stop; undoing = true; job = !M(BEGIN_APART); draining = !M(BEGIN_APART)
		:: !fails && at == STATES -> job = false; ends++
		:: else
		fi;
		if
		:: M(BEGIN_APART) && fails
		:: else -> forget(); goto end
		fi
	}
	if
	:: atomic { job = true; draining = true; forget(); goto end }
	:: CRASHED
	fi;

drain:
	/* drive_parts.c, cano_drive_drain() */
	do
	:: atomic { at == 0 || (fails && M(CANCEL_ROLLBACK)) -> over = true; break }
	:: atomic { at > 0 && !(fails && M(CANCEL_ROLLBACK)) ->
			i = (M(OLDEST_FIRST) -> STATES - at : at - 1);
			if
			:: entry[i] != COMPLETED && !(M(RESTART) && entry[i] == UNDONE)
			:: else ->
				if
				:: mark[i] = UNDONE; undone[i] = undone[i] + M(MARK_APART); count++
				:: mark[i] = FAILED; errors++
				fi
			fi;
			at--;
			i = 0
		}
	:: at > 0 -> break											/* put back */
	:: atomic { at > 0 -> over = true; outtimed = true; errors++; break }
	od;
	if
	:: true
	:: CRASHED
	fi;
	atomic { commit_drain(); forget(); goto end }

request:
	/* store_stop.c, stop: it may be too late, or have to look again. */
	atomic {
		if
		:: ends > 0 || draining -> stop = stop && M(KEEP_REQUEST); notice = false
		:: ends == 0 && !draining && job && job_claimer == NOBODY -> notice = false
		:: ends == 0 && !draining && !(job && job_claimer == NOBODY)	/* again */
		fi;
		notice_claimer = NOBODY;
		goto end
	}

abort:
	atomic {
		for (i : 0 .. STATES - 1) { mark[i] = NONE }
		job_claimer = (job_claimer == me -> NOBODY : job_claimer);
		forget();
		goto end
	}
}

/* stop.c, cano_cancel() */
proctype client()
{
	do
	:: cancels > 0 && !draining && ends == 0 ->
		atomic { !notice -> cancels--; stop = true; notice = true }		/* by now it may be */
	:: break
	od
}

#define NUMBER(kind)	((entry[0] == kind) + (entry[1] == kind) + (entry[2] == kind))

init
{
	atomic { run worker(0); run worker(1); run client() }
	timeout;
	assert(ends == 1 && !job && !notice && !stop && !draining);
	if
	:: rollback == NONE -> assert(NUMBER(COMPLETED) == (undoing -> 0 : STATES))
	:: rollback == CLEAN -> assert(NUMBER(COMPLETED) + NUMBER(FAILED) == 0)
	:: rollback == PARTIAL -> assert(NUMBER(FAILED) + late == drain_errors && drain_errors > 0)
	fi;
	assert(rollback == NONE || NUMBER(UNDONE) == job_count);
	assert(undone[0] == (entry[0] == UNDONE) && undone[1] == (entry[1] == UNDONE) && undone[2] == (entry[2] == UNDONE))
}
