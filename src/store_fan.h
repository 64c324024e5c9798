/*-------------------------------------------------------------------------
 *
 * store_fan.h
 *	  Every statement on fans and branches.
 *
 * All functions need an open window, but for those that only remember.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_STORE_FAN_H
#define CANO_STORE_FAN_H

#include "join.h"
#include "place.h"
#include "statement.h"

/* Why a fan is closed. */
typedef enum CanoClosed
{
	CANO_OPEN = 0,
	CANO_CLOSED_JOINED = 'j',	/* as many have ended as the join wants */
	CANO_CLOSED_TIMEOUT = 't',
	CANO_CLOSED_CANCELS = 'c',	/* a branch cancelled the run */
	CANO_CLOSED_PANIC = 'p',	/* an item did what breaks the batch */
	CANO_CLOSED_STOPPED = 's'	/* the run has come to its end */
} CanoClosed;

/* A branch or item that has ended in this batch. */
typedef struct CanoPart
{
	int			branch;
	int			attempt;
	bool		succeeded;
	CanoClosed	closes;			/* the fan, whatever the join says */
	Jsonb	   *output;			/* or NULL */
	Jsonb	   *error;
} CanoPart;

typedef struct CanoFan
{
	int64		id;
	int64		run;
	int64		holder;			/* id of the run's own job */
	int32		priority;
	bool		items;			/* of a batch; this and the next: */
	const CanoJoin *join;		/* known once a job of it was looked at */
	CanoTally	tally;			/* the table's, and what this batch adds */
	CanoClosed	closed;			/* in the table */
	TimestampTz due_at;			/* its timeout, or DT_NOEND */
	int			low;			/* nothing is left to be begun up to here */
	Jsonb	   *verdict;		/* why it cancels the run; the error of a
								 * panic */
	Jsonb	   *signal;			/* the run's */
	Jsonb	   *data;			/* the run's; NULL = its input */

	/* Of this batch: */
	struct CanoRun *opener;		/* while it is not in the table: its holder, */
	CanoRows   *branches;		/* its branches, in their order, */
	Jsonb	  **inputs;			/* and, of items, theirs */
	bool		left_lanes;		/* lanes of it are left to a later batch */
	bool		touched;		/* it adds to the fan */
	bool		over;			/* as far as it knows, the fan will be closed */
	CanoClosed	closing;		/* it closes the fan whatever has ended */
	int			nended;
	int			capacity;
	CanoPart   *ended;			/* in their order */
	int			ntaken;			/* taken for its lanes; they share them */
	int			next_taken;
	int			last_taken;
	struct CanoTaken *taken;
} CanoFan;

/* The fans that a batch has to do with. */
typedef struct CanoFans
{
	int			nfans;
	CanoFan   **fans;
	CanoRows	marks;			/* branches begun, that a later batch goes on
								 * with */
	bool		overtaken;		/* settling found that others were faster */
} CanoFans;

/* In the current memory context. */
extern CanoFans *cano_store_fans_make(void);

/* The fan with that id: remembered, or from CANO_FAN_COLUMNS of a claim. */
#define CANO_FAN_COLUMNS \
	"f.run, f.holder, f.total, f.succeeded, f.failed, f.closed, f.due_at," \
	" f.low, f.verdict, f.signal, f.data"
extern CanoFan *cano_store_fan_load(CanoFans *fans, int row, int column);

/* A fan to be, and remembered. */
extern CanoFan *cano_store_fan_add(CanoFans *fans, int64 id);

/* A branch or item that nobody has begun. */
typedef struct CanoTaken
{
	int			branch;
	Jsonb	   *input;
} CanoTaken;

/*
 * Remember the branches of a fan to be, which nobody has begun, and insert it
 * with them and what is marked of them by then.  The former needs no window.
 */
extern void cano_store_fan_begin(CanoFan *fan);
extern void cano_store_fan(CanoFan *fan, const char *state);

/*
 * Insert a fan of any width at once.  The first so many of its branches are
 * begun by these jobs.  "items" is NULL for branches.
 */
extern void cano_store_wide_fan(const CanoFan *fan, const char *state, int nlanes,
								const int64 *jobs, Jsonb **items);

/*
 * The branches of a closed fan that have not succeeded; and another fan in
 * which those that have are as they were, and of the others the first so many
 * are begun by these jobs.
 */
extern int	cano_store_find_failed(int64 fan, MemoryContext context,
								   int **branches);
extern void cano_store_fan_again(const CanoFan *fan, int64 old,
								 const char *state, int nlanes,
								 const int64 *jobs, const int *branches);

/*
 * The fan's first branch behind that one which nobody has begun, as far as is
 * committed, or the number of all.
 */
extern int	cano_store_next_unbegun(const CanoFan *fan, int behind);

/* Those of a stretch that nobody has begun; returns how many. */
extern int	cano_store_take(int64 fan, int first, int last, CanoTaken *taken,
							MemoryContext context);

/*
 * Lock fans, in the order of their ids, and read how far they are.  A fan
 * that is not there any more is closed.
 */
extern void cano_store_lock_fans(int nfans, CanoFan **fans);

/*
 * What has changed of fans and branches, a row each.  Marks that are written
 * are forgotten.
 */
extern void cano_store_mark(CanoRows *marks, const CanoFan *fan,
							const CanoPart *part, char status, int64 job,
							int ordinal);
extern void cano_store_marks(CanoRows *marks);
extern void cano_store_tallies(int nfans, CanoFan **fans);

/*
 * Make the holder of a closed fan due, unless it is on its way already;
 * returns its place or CANO_NO_PLACE.
 */
extern CanoPlace cano_store_join(const CanoFan *fan);

/* Delete the jobs and timers of a closed fan's lanes. */
extern void cano_store_drop_lanes(const CanoFan *fan, Oid owner);

/* How a closed fan ended: see fan.h. */
extern Jsonb *cano_store_outputs(const CanoFan *fan, MemoryContext context);
extern char *cano_store_first_errors(const CanoFan *fan, MemoryContext context);

/* A branch that has ended. */
typedef struct CanoEnded
{
	int			branch;
	int			attempt;
	bool		succeeded;
	Jsonb	   *error;			/* or NULL */
} CanoEnded;

/*
 * Those of the fan, in the order in which they ended; first who succeeded, if
 * they are asked for.  Returns how many.
 */
extern int	cano_store_ended(int64 fan, bool successes, MemoryContext context,
							 CanoEnded **ended);

#endif							/* CANO_STORE_FAN_H */
