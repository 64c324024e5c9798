/*-------------------------------------------------------------------------
 *
 * store_resume.h
 *	  Runs that have ended and go on: forward, or back.
 *
 * All functions need an open window.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_STORE_RESUME_H
#define CANO_STORE_RESUME_H

#include "store.h"

/* An ended run, and where its log ends. */
typedef struct CanoEndedRun
{
	int64		id;
	Oid			owner;
	NameData	owner_name;
	int64		origin;
	int32		priority;
	bool		active;			/* it has not ended: the rest is not known */
	bool		cleared;
	bool		partial;		/* rolled back, but not all of it */
	int64		definition;
	const char *key;			/* or NULL */
	Jsonb	   *data;
	TimestampTz started_at;
	int64		sequence;		/* of its newest checkpoint, or none */
	const char *state;			/* of that */
	Jsonb	   *cursor;			/* of its visit there, or NULL */
	int64		fan;			/* the latest of that visit, or 0 */
} CanoEndedRun;

/* Where a run goes on. */
typedef struct CanoResumption
{
	const CanoDefinition *definition;
	int			state;
	bool		same_visit;		/* it goes on where it was */
	bool		keep_results;	/* of those of its fan that had succeeded */
	Jsonb	   *data;
	TimestampTz now;
} CanoResumption;

/* Lock the run and read it; false if there is none. */
extern bool cano_store_lock_ended(int64 run, MemoryContext context,
								  CanoEndedRun *ended);

/*
 * Forward: returns the place of the job.  False if another run has its key.
 */
extern bool cano_store_resume(const CanoEndedRun *ended,
							  const CanoResumption *to, CanoPlace *place);

/* Back: what is left on its stack is tried again. */
extern CanoPlace cano_store_compensate(const CanoEndedRun *ended);

#endif							/* CANO_STORE_RESUME_H */
