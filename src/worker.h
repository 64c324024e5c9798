/*-------------------------------------------------------------------------
 *
 * worker.h
 *	  A background worker that runs what is due for one role in one database.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_WORKER_H
#define CANO_WORKER_H

/* How a worker is told what to do, in bgw_extra. */
typedef struct CanoWorkerArguments
{
	Oid			database;
	Oid			role;
	int			slot;
	uint32		stamp;			/* of the slot, as the launcher left it */
} CanoWorkerArguments;

extern PGDLLEXPORT void cano_worker_main(Datum arg);

#endif							/* CANO_WORKER_H */
