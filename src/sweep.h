/*-------------------------------------------------------------------------
 *
 * sweep.h
 *	  The process that removes ended runs whose time is over.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_SWEEP_H
#define CANO_SWEEP_H

#include "utils/timestamp.h"

/* ---- In the launcher ---- */

/* A database has the extension: look after it from now on. */
extern void cano_sweep_add(Oid database);

/* See what became of the latest sweep. */
extern void cano_sweep_reap(TimestampTz now);

/* Start the next one, if it is time. */
extern void cano_sweep_start(TimestampTz now);

extern PGDLLEXPORT void cano_sweep_main(Datum arg);

#endif							/* CANO_SWEEP_H */
