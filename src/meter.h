/*-------------------------------------------------------------------------
 *
 * meter.h
 *	  A rate limiter: when an attempt may begin, and when to ask again.
 *
 * A bucket holds up to rate + burst tokens, begins full, and is refilled at
 * an even pace, "rate" tokens in "per".  A window is opened by the first who
 * asks, and has "rate" tokens until its time is over.  An attempt takes one.
 *
 * Who gets none is told his turn: tokens to come are shared out in the order
 * in which they are asked for, so that of many who wait each comes back when
 * there is one for him.  A turn is no token: it keeps newcomers from going
 * before those who wait, and no more.  Those who come too late for theirs, or
 * not at all, leave their tokens to others.
 *
 * All arithmetic is exact.  Times are microseconds on any scale; it may be
 * set back.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_METER_H
#define CANO_METER_H

#include <stdbool.h>
#include <stdint.h>

typedef enum CanoMeterKind
{
	CANO_METER_BUCKET = 'b',
	CANO_METER_WINDOW = 'w'
} CanoMeterKind;

/* How it is set.  May change at any time. */
typedef struct CanoMeterPolicy
{
	CanoMeterKind kind;
	int32_t		rate;			/* at least 1 */
	int32_t		burst;			/* 0 for a window; with rate at most 2^31 - 1 */
	int64_t		per_us;			/* at least 1 */
} CanoMeterPolicy;

/* No bucket may take longer to fill, and nobody's turn be farther away. */
#define CANO_METER_LONGEST_US	(INT64_C(1000) * 365 * 86400 * 1000000)

extern bool cano_meter_is_allowed(const CanoMeterPolicy *policy);

/*
 * A point in time.  "part" goes up to the rate: in a bucket it is a fraction
 * of a microsecond, in a window a number of tokens.
 */
typedef struct CanoMoment
{
	int64_t		at;
	int32_t		part;
} CanoMoment;

typedef struct CanoMeter
{
	CanoMeterPolicy policy;		/* that the rest is in terms of */
	CanoMoment	first;			/* bucket: since when its first token is, or
								 * when it will be, there; window: its
								 * beginning, and the tokens taken */
	CanoMoment	turns;			/* these have been told to newcomers, */
	CanoMoment	others;			/* and these to those who lost theirs */
	CanoMoment	told;			/* the first token, when somebody was told of
								 * it last */
} CanoMeter;

/* As it begins. */
extern void cano_meter_init(CanoMeter *meter, const CanoMeterPolicy *policy);

/* Who has none yet. */
#define CANO_NO_TURN	INT64_MIN

/* What somebody is told who must wait. */
typedef struct CanoTurn
{
	int64_t		turn;			/* to be kept, and shown when he comes again */
	int64_t		due;			/* when that should be: the turn, or earlier */
} CanoTurn;

/*
 * Take a token.  False: there is none for somebody with that turn.  A token
 * taken is known by "mark", for giving it back.
 */
extern bool cano_meter_take(CanoMeter *meter, const CanoMeterPolicy *policy,
							int64_t now, int64_t turn, int64_t *mark,
							CanoTurn *told);

/* It was not used. */
extern void cano_meter_return(CanoMeter *meter, const CanoMeterPolicy *policy,
							  int64_t mark);

/* How many tokens there are. */
extern int32_t cano_meter_available(const CanoMeter *meter,
									const CanoMeterPolicy *policy, int64_t now);

/* From when on it is as if it had just begun. */
extern int64_t cano_meter_idle_at(const CanoMeter *meter);

#endif							/* CANO_METER_H */
