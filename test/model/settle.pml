/*
 * settle.pml
 *	  Workers settle batches that touch runs, marks of crashes, gates and fans,
 *	  while a scan writes marks of crashes: each locks what it touches.
 *
 * Must hold: nobody waits in a circle.  What is locked is locked in one order,
 * store.c's and batch.c's: runs by their ids, their marks, gates, fans.
 */
#include "mutant.h"

#define AS_CLAIMED		1	/* mutant: runs are locked in the order of the queue */
#define FANS_FIRST		2	/* mutant: a batch that has ended branches counts them first */
#define GATES_BY_NAME	3	/* mutant: gates are locked as the batch came upon them */
#define ENTER_WAITING	4	/* mutant: a run that begins waits at its gate, before it is settled */
#define MARKS_FIRST		5	/* mutant: marks are taken back before their runs are locked */
#define MARKS_TOGETHER	6	/* mutant: a scan writes all its marks in one transaction */

#define RUN		0				/* of each kind two */
#define MARK	2
#define GATE	4
#define FAN		6
#define LOCKS	8
#define NOBODY	255

byte holder[LOCKS] = NOBODY;

#define LOCK(one)	atomic { holder[one] == NOBODY || holder[one] == me -> holder[one] = me }
#define MAY(one)	if :: true -> LOCK(one) :: true fi

/* A batch may touch any of a kind. */
#define LOCK_KIND(kind)		MAY(kind); MAY(kind + 1)
#define BACKWARDS(kind)		MAY(kind + 1); MAY(kind)

inline unlock()
{
	atomic {
		for (i : 0 .. LOCKS - 1) { holder[i] = (holder[i] == me -> NOBODY : holder[i]) }
		i = 0
	}
}

proctype worker(byte me)
{
	byte i;

	if
	:: M(ENTER_WAITING) -> LOCK_KIND(GATE)
	:: M(FANS_FIRST) -> LOCK_KIND(FAN)
	:: M(MARKS_FIRST) -> LOCK_KIND(MARK)
	:: true
	fi;
	if
	:: M(AS_CLAIMED) -> BACKWARDS(RUN)
	:: LOCK_KIND(RUN)				/* store.c, settle_endings() */
	fi;
	LOCK_KIND(MARK);
	if
	:: M(GATES_BY_NAME) -> BACKWARDS(GATE)
	:: LOCK_KIND(GATE)				/* gate.c, cano_gate_settle() */
	fi;
	LOCK_KIND(FAN);					/* fan.c, cano_fan_settle() */
	unlock()
}

/* scan.c, write_marks(): first the run, then its mark, in the order of dying. */
proctype scan(byte me)
{
	byte i;

	LOCK(RUN + 1);
	LOCK(MARK + 1);
	if
	:: M(MARKS_TOGETHER)
	:: else -> unlock()
	fi;
	LOCK(RUN);
	LOCK(MARK);
	unlock()
}

init
{
	atomic { run worker(0); run worker(1); run scan(2) }
}
