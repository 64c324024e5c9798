/*-------------------------------------------------------------------------
 *
 * worker.h
 *	  A background worker that runs what is due for one role in one database.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_WORKER_H
#define CANO_WORKER_H

/*
 * CANO_VERSION, the version of this library, comes from the Makefile; the SQL
 * part must be the same.
 */

/* How a worker is told what to do, in bgw_extra. */
typedef struct CanoWorkerArguments
{
	Oid			database;
	Oid			role;
	int			slot;
	uint32		stamp;			/* of the slot, as the launcher left it */
} CanoWorkerArguments;

typedef enum CanoExtensionState
{
	CANO_EXTENSION_ABSENT,
	CANO_EXTENSION_OTHER_VERSION,
	CANO_EXTENSION_FITS
} CanoExtensionState;

/*
 * Is the extension in this database, and is it the one that this library
 * serves?  Outside of any transaction.
 */
extern CanoExtensionState cano_worker_extension(void);

extern PGDLLEXPORT void cano_worker_main(Datum arg);

#endif							/* CANO_WORKER_H */
