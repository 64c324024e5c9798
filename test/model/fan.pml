/*
 * fan.pml
 *	  A split of three branches, joined by "all" or by "any", while the run may
 *	  be cancelled or run out of time, the split itself, too, and workers die.
 *
 * Must hold: the split closes once; a branch's effects are committed at most
 * once and never after that, nor after the run's end; and in the end the run
 * has ended once, whether it was joined or stopped, and left nothing behind.
 */
#include "mutant.h"

#define COUNT_STALE		1	/* mutant: counts on from what the claim had read */
#define KEEP_LATE		2	/* mutant: keeps a branch that ends after the closing */
#define UNTOUCHED		3	/* mutant: a holder that waits again does not look at the fan */
#define LOOK_ONCE		4	/* mutant: a request does not come back for a run in hand */
#define JOIN_HELD		5	/* mutant: the join takes a holder that is in hand */
#define LEAVE_OPEN		6	/* mutant: the run's end leaves the fan open */
#define CLOSE_SILENTLY	7	/* mutant: who closes the fan does not send the holder on */
#define LEAVE_LANE		8	/* mutant: who closes it a second time leaves a lane of his behind */

#define BRANCHES	3
#define HOLDER		3			/* rows: a lane each branch; the run itself; ... */
#define NOTICE		4			/* ... that it is to stop, or late */
#define ROWS		5
#define NOBODY		255

mtype = {NONE, TIMER, JOB, NOTHING, SUCCESS, FAILURE, BREAK};

mtype row[ROWS] = NONE;
byte claimer[ROWS] = NOBODY;	/* whose transaction has locked it */
bool any, stop, late, fan_due;
byte fan_lock = NOBODY;
bool closed;
byte succeeded, failed, effects[BRANCHES], ends;
byte crashes = 1, wakes = 1;	/* still to come */

#define FREE(r)		(row[r] != NONE && claimer[r] == NOBODY)
#define LANE(r)		(row[r] == JOB && claimer[r] == NOBODY)	/* a TIMER is far off */
#define OVER		(succeeded + failed == BRANCHES || (any && succeeded > 0))

inline release()
{
	for (i : 0 .. ROWS - 1) {
		claimer[i] = (claimer[i] == me -> NOBODY : claimer[i])
	}
	fan_lock = (fan_lock == me -> NOBODY : fan_lock);
	mine = NOBODY; left = NOBODY; sees_closed = false; sees_stop = false; ok = 0; bad = 0;
	what = NOTHING; put = NONE; closing = false; sends = false; ending = false; i = 0
}

proctype worker(byte me)
{
	byte mine = NOBODY, left = NOBODY, ok, bad, i;
	bool sees_closed, sees_stop, closing, sends, ending;
	mtype what = NOTHING, put = NONE;

end:
	/* store.c, CLAIM, or PROMOTE for what is due. */
	atomic {
		if
		:: LANE(0) -> mine = 0
		:: LANE(1) && !LANE(0) -> mine = 1
		:: LANE(2) && !LANE(1) && !LANE(0) -> mine = 2
		:: FREE(HOLDER) && (row[HOLDER] == JOB || fan_due) -> mine = HOLDER
		:: FREE(NOTICE) -> mine = NOTICE
		fi;
		claimer[mine] = me;
		sees_closed = closed; sees_stop = stop || late; ok = succeeded; bad = failed;
		if
		:: mine == NOTICE -> goto request
		:: mine == HOLDER && row[HOLDER] == TIMER -> put = JOB; goto commit
		:: mine == HOLDER && row[HOLDER] == JOB -> goto holder
		:: mine < BRANCHES && (sees_stop || sees_closed) -> goto commit	/* is_cancelled() */
		:: mine < BRANCHES && !sees_stop && !sees_closed && fan_due ->
			/* Before it the same batch may have had one that is to be tried again. */
			if
			:: mine < BRANCHES - 1 && LANE(mine + 1) -> left = mine + 1; claimer[left] = me
			:: true
			fi;
			closing = true;
			goto settle
		:: mine < BRANCHES && !sees_stop && !sees_closed && !fan_due
		fi
	}
	/* drive_parts.c, cano_drive_lane(): the task; it may be interrupted. */
	if
	:: what = SUCCESS
	:: what = FAILURE
	:: what = BREAK
	:: stop || closed -> goto abort
	fi;
	goto settle;

holder:
	/* drive.c: woken_early(), close_fan(), end_run(), or the step that joins. */
	atomic {
		if
		:: sees_stop -> ending = true; closing = !sees_closed && !M(LEAVE_OPEN)
		:: !sees_stop && sees_closed -> ending = true
		:: !sees_stop && !sees_closed && fan_due -> put = JOB; closing = true; what = NOTHING
		:: !sees_stop && !sees_closed && !fan_due -> put = TIMER
		fi
	}
	/* store_signal.c, deliver: whoever waits again looks for requests. */
	put = (put == TIMER && stop -> JOB : put);
	if
	:: ending && !closing -> goto commit
	:: !ending && !closing && M(UNTOUCHED) -> goto commit
	:: else
	fi;

settle:
	/* fan.c, cano_fan_settle() */
	atomic { fan_lock == NOBODY -> fan_lock = me }
	atomic {
		ok = (M(COUNT_STALE) -> ok : succeeded);
		bad = (M(COUNT_STALE) -> bad : failed);
		if
		:: closed && !closing && !(M(KEEP_LATE) && mine < BRANCHES) -> goto abort	/* overtaken */
		:: closed && closing && left != NOBODY && !M(LEAVE_LANE) -> goto abort
		:: closed && closing && (left == NOBODY || M(LEAVE_LANE)) -> closing = false	/* harmless */
		:: closed && !closing && M(KEEP_LATE) && mine < BRANCHES
		:: !closed && mine < BRANCHES ->
			ok = ok + (what == SUCCESS);
			bad = bad + (what == FAILURE || what == BREAK);
			closing = closing || what == BREAK || ok + bad == BRANCHES || (any && ok > 0)
		:: !closed && mine == HOLDER
		fi;
		/* store_fan.c: join_holder and drop_lanes */
		if
		:: closing && mine != HOLDER && row[HOLDER] == TIMER && (claimer[HOLDER] == NOBODY || M(JOIN_HELD)) && !M(CLOSE_SILENTLY) ->
			claimer[HOLDER] = me;
			sends = true
		:: else
		fi;
		for (i : 0 .. BRANCHES - 1) {
			claimer[i] = (closing && claimer[i] == NOBODY -> me : claimer[i])
		}
	}
	goto commit;

request:
	/* store_stop.c, stop */
	atomic {
		if
		:: ends > 0 -> what = FAILURE				/* the request is late */
		:: ends == 0 && FREE(HOLDER) -> claimer[HOLDER] = me; sends = row[HOLDER] == TIMER
		:: ends == 0 && !FREE(HOLDER) -> put = (M(LOOK_ONCE) -> NONE : JOB)
		fi
	}

commit:
	atomic {
		if
		:: crashes > 0 -> crashes--; goto abort
		:: true
		fi;
		if
		:: what == SUCCESS && mine < BRANCHES ->
			effects[mine]++;
			assert(effects[mine] == 1 && !closed && ends == 0)
		:: else
		fi;
		stop = stop && !(mine == NOTICE && what == FAILURE) && !(ending && sees_stop);
		if
		:: fan_lock == me && !closed -> succeeded = ok; failed = bad
		:: else
		fi;
		assert(!(closing && closed));
		closed = closed || closing;
		if
		:: closing -> for (i : 0 .. BRANCHES - 1) { row[i] = (claimer[i] == me -> NONE : row[i]) }
		:: !closing && left != NOBODY -> row[left] = TIMER
		:: else
		fi;
		if
		:: sends -> row[HOLDER] = JOB
		:: else
		fi;
		ends = ends + ending;
		assert(ends <= 1);
		row[mine] = put;
		release();
		goto end
	}

abort:
	atomic { release(); goto end }
}

/* Of what may happen to the run at any time. */
proctype fate()
{
	do
	:: atomic { !stop && !late && ends == 0 -> stop = true; row[NOTICE] = JOB; break }
	:: atomic { !stop && !late && ends == 0 -> late = true; row[NOTICE] = JOB; break }
	:: atomic { !fan_due && ends == 0 -> fan_due = true }
	:: atomic { wakes > 0 && FREE(HOLDER) -> wakes--; row[HOLDER] = JOB }	/* for nothing */
	:: break
	od
}

init
{
	byte i;

	atomic {
		if
		:: any = true
		:: any = false
		fi;
		for (i : 0 .. BRANCHES - 1) { row[i] = JOB }
		i = 0;
		row[HOLDER] = TIMER;
		run worker(0); run worker(1); run fate()
	}
	timeout;
	assert(ends == 1 && !stop && fan_lock == NOBODY);
	assert(row[0] == NONE && row[1] == NONE && row[2] == NONE && row[HOLDER] == NONE && row[NOTICE] == NONE);
	assert(succeeded == effects[0] + effects[1] + effects[2])
}
