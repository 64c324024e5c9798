/*
 * wake.pml
 *	  Submitters, workers that rest and leave, the launcher, and the hint of
 *	  where the queue begins: the rules at the head of lane.c.
 *
 * Must hold: when nobody has anything to do any more, every job is done, even
 * if one worker is kept by its task for ever.  Nobody ever looks at the whole
 * queue here (the engine does now and then): the hint alone has to be right.
 */
#include "mutant.h"

#define TELL_EARLY		1	/* mutant: submitters tell before their commit is visible */
#define ATTEND_LATE		2	/* mutant: a worker notes what it attends to after it has looked */
#define REST_ALWAYS		3	/* mutant: a worker rests without asking whether all is attended to */
#define REST_UNLOCKED	4	/* mutant: a worker rests while somebody is choosing an idle one */
#define LEAVE_ALWAYS	5	/* mutant: an idle worker leaves though somebody has chosen it */
#define NO_LATCH		6	/* mutant: who is chosen is not woken */
#define DIE_QUIETLY		7	/* mutant: a worker's death raises no generation */
#define NO_BACKLOG		8	/* mutant: who claims does not say that there is more */
#define RAISE_ALWAYS	9	/* mutant: a commit raises a hint that was lowered since */
#define READ_LATE		10	/* mutant: what the hint was is read after the claim */
#define NO_DROP			11	/* mutant: an abort leaves the hint where it is */
#define HIDE_BACKLOG	13	/* mutant: a worker that looked before there was more rests */
#define NO_LOWER		12	/* mutant: new work does not lower the hint */

#define JOBS	2			/* their places: 0, 1; committed in any order */
#define SLOTS	2
#define NOBODY	255

mtype = {FREE, STARTING, BUSY, IDLE, LEAVING};

bool live[JOBS], done[JOBS];
byte claimer[JOBS] = NOBODY;
bool hung[SLOTS];

/* The lane: "unattended" is generation != attended. */
bool unattended, backlog, saturated;
byte hint;
bool lowered[SLOTS] = true;	/* since this one's claim looked */

mtype phase[SLOTS] = FREE;	/* and kind, in one */
bool latch[SLOTS], launcher_latch;
byte sharing;				/* who holds the lock shared */

/* What may still happen. */
byte troubles = 1, hangs = 1;

#define IS_DUE(job)	(live[job] && !done[job])
#define EXCLUSIVE	(sharing == 0)
#define LOWER(place) \
	hint = (M(NO_LOWER) || hint < place -> hint : place); lowered[0] = true; lowered[1] = true

/* lane.c, cano_lane_send_idle() and what follows if there is none. */
inline send_idle(slot)
{
	if
	:: atomic { phase[0] == IDLE -> phase[0] = BUSY; slot = 0 }
	:: atomic { phase[0] != IDLE ->
			if
			:: phase[1] == IDLE -> phase[1] = BUSY; slot = 1
			:: else -> slot = NOBODY
			fi
		}
	fi;
	if
	:: atomic { slot != NOBODY -> unattended = false; backlog = false; latch[slot] = !M(NO_LATCH) }
	:: slot == NOBODY
	fi
}

/* cano_lane_note(), by somebody who holds the lock shared. */
inline note(place, slot)
{
	atomic { sharing++; LOWER(place) }
	unattended = true;
	send_idle(slot);
	atomic {
		launcher_latch = launcher_latch || (slot == NOBODY && !saturated);
		slot = NOBODY;
		sharing--
	}
}

proctype submitter(byte job)
{
	byte slot = NOBODY;

	if
	:: M(TELL_EARLY) -> note(job, slot); live[job] = true
	:: else -> live[job] = true; note(job, slot)
	fi
}

proctype worker(byte me)
{
	byte from, snapshot, job = NOBODY, slot = NOBODY;
	bool patient;

end:
	atomic { phase[me] == STARTING && EXCLUSIVE;
		if
		:: phase[me] = BUSY; unattended = false
		:: troubles > 0 -> troubles--; goto gone
		fi
	}
work:
	atomic { phase[me] = BUSY; patient = false }	/* cano_lane_look() */
	atomic { unattended = unattended && M(ATTEND_LATE) }
	atomic { from = hint; lowered[me] = false }		/* cano_lane_hint() */
	atomic {										/* the claim's snapshot */
		snapshot = IS_DUE(0) | IS_DUE(1) << 1
	}
	atomic {										/* what it locks */
		job = from;
		do
		:: job < JOBS && (!(snapshot & (1 << job)) || claimer[job] != NOBODY || done[job]) -> job++
		:: else -> break
		od;
		snapshot = 0; from = 0;
		if
		:: job == JOBS -> job = NOBODY
		:: else -> claimer[job] = me
		fi
	}
	atomic {
		unattended = unattended && !M(ATTEND_LATE);
		lowered[me] = lowered[me] && !M(READ_LATE);
		if
		:: job == NOBODY -> lowered[me] = true; goto rest
		:: else
		fi
	}
	if												/* cano_lane_backlog() */
	:: atomic { !M(NO_BACKLOG) && job == 0 && IS_DUE(1) -> sharing++ }
		send_idle(slot);
		atomic {
			backlog = backlog || slot == NOBODY;
			unattended = unattended || (slot == NOBODY && !M(HIDE_BACKLOG));
			launcher_latch = launcher_latch || (slot == NOBODY && !saturated);
			slot = NOBODY;
			sharing--
		}
	:: else
	fi;
	if
	:: true
	:: atomic { troubles > 0 -> troubles--; goto aborted }
	:: atomic { troubles > 0 -> troubles--; goto dead }
	:: atomic { hangs > 0 -> hangs--; hung[me] = true }
end_hung:	false
	fi;

	/* The commit, and lane.c's transaction_ended(): raise_hint(), tell_lanes(). */
	if
	:: atomic { claimer[job] = NOBODY; done[job] = true }
	:: atomic { troubles > 0 -> troubles--; claimer[job] = NOBODY; slot = job }
	fi;
	atomic {
		hint = ((!lowered[me] || M(RAISE_ALWAYS)) && hint < job + 1 -> job + 1 : hint);
		job = slot; slot = NOBODY; lowered[me] = true
	}
	if
	:: job != NOBODY -> note(job, slot); job = NOBODY
	:: else
	fi;
	goto work;

aborted:
	atomic { claimer[job] = NOBODY; job = NOBODY }
	atomic {										/* drop_hint() */
		if
		:: !M(NO_DROP) -> LOWER(0)
		:: else
		fi;
		goto work
	}

dead:
	atomic { claimer[job] = NOBODY; job = NOBODY }
	atomic { LOWER(0); goto gone }

rest:
	atomic { EXCLUSIVE || M(REST_UNLOCKED);
		if
		:: unattended && !M(REST_ALWAYS) -> goto work
		:: else -> backlog = false
		fi;
		phase[me] = (M(REST_UNLOCKED) -> BUSY : IDLE);
		if
		:: patient = true
		:: troubles > 0 -> troubles--; patient = false
		fi
	}
	phase[me] = (M(REST_UNLOCKED) -> IDLE : phase[me]);
end_wait:
	/* worker.c, wait_for_work() */
	if
	:: atomic { latch[me] -> latch[me] = false;
			if
			:: phase[me] == IDLE -> goto end_wait
			:: else -> goto work
			fi
		}
	:: atomic { !patient ->							/* cano_lane_leave() */
			if
			:: phase[me] == BUSY && !M(LEAVE_ALWAYS) -> goto work
			:: else -> phase[me] = LEAVING; goto gone
			fi
		}
	fi;

gone:
	/* shmem.c, cano_slot_release() */
	atomic { EXCLUSIVE;
		latch[me] = false;
		unattended = unattended || (phase[me] != LEAVING && !M(DIE_QUIETLY));
		phase[me] = FREE;
		if
		:: unattended && phase[1 - me] == IDLE && !M(DIE_QUIETLY) ->
			phase[1 - me] = BUSY; unattended = false; backlog = false; latch[1 - me] = true
		:: else
		fi;
		launcher_latch = true;
		goto end
	}
}

/* dispatch.c: cano_dispatch_survey(), then take_slot(). */
active proctype launcher()
{
	byte slot = NOBODY;

end:
	do
	:: atomic { launcher_latch -> launcher_latch = false }
		atomic { EXCLUSIVE;
			saturated = (phase[0] != FREE && phase[1] != FREE);
			if
			:: !(unattended || backlog) || phase[0] == STARTING || phase[1] == STARTING
			:: else ->
				if
				:: phase[0] == IDLE -> phase[0] = BUSY; latch[0] = true; unattended = false; backlog = false
				:: phase[0] != IDLE && phase[1] == IDLE -> phase[1] = BUSY; latch[1] = true; unattended = false; backlog = false
				:: else -> slot = (phase[0] == FREE -> 0 : (phase[1] == FREE -> 1 : NOBODY))
				fi
			fi
		}
		if
		:: atomic { slot != NOBODY && EXCLUSIVE -> phase[slot] = STARTING; slot = NOBODY; unattended = false; backlog = false }
		:: slot == NOBODY
		fi
	od
}

#define SERVED(job)	(done[job] || (claimer[job] != NOBODY && hung[claimer[job]]))

init
{
	atomic {
		run worker(0); run worker(1);
		run submitter(0); run submitter(1)
	}
	timeout -> assert(SERVED(0) && SERVED(1))
}
