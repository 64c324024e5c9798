/*-------------------------------------------------------------------------
 *
 * attempt.h
 *	  The time limit of one attempt.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_ATTEMPT_H
#define CANO_ATTEMPT_H

/*
 * From here the attempt may take so long (0 = no limit); then the running
 * statement is interrupted, again and again until the attempt gives in, or, some
 * time after "insist_ms" (0 = never), its session ends.
 */
extern void cano_attempt_start(int64 limit_ms, int64 insist_ms);

/*
 * The attempt is over; says whether it ran out of time.  Afterwards no
 * interruption of ours is pending.
 */
extern bool cano_attempt_stop(void);

#endif							/* CANO_ATTEMPT_H */
