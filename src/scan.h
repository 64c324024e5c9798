/*-------------------------------------------------------------------------
 *
 * scan.h
 *	  A look into a database: who has work there, due when.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_SCAN_H
#define CANO_SCAN_H

#include "utils/timestamp.h"

/* How a scan worker is told what to do, in bgw_extra. */
typedef struct CanoScanArguments
{
	Oid			database;
	int			scan;			/* index in the shared memory */
	uint32		stamp;
} CanoScanArguments;

typedef enum CanoExtensionState
{
	CANO_EXTENSION_ABSENT,
	CANO_EXTENSION_OTHER_VERSION,
	CANO_EXTENSION_FITS
} CanoExtensionState;

/*
 * Ask for a scan of a database, for when it is not known who has work there.
 * Never raises; may be called outside a transaction.
 */
extern void cano_scan_request(Oid database);

/*
 * Put down a job that took its process down.  It is written into the database
 * by the next scan of it; until then the launcher starts no worker there.
 */
extern void cano_scan_mark(Oid database, int64 job, int64 run);

/* Are there marks of this database that no scan has written yet? */
extern bool cano_scan_has_marks(Oid database);

/* Forget them: the database or the extension is gone. */
extern void cano_scan_forget_marks(Oid database);

/*
 * Is the extension in this database, and is it the one that this library
 * serves?  Outside of any transaction.
 */
extern CanoExtensionState cano_scan_extension(void);

extern PGDLLEXPORT void cano_scan_main(Datum arg);

#endif							/* CANO_SCAN_H */
