/*-------------------------------------------------------------------------
 *
 * launcher.h
 *	  The one process that starts workers.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_LAUNCHER_H
#define CANO_LAUNCHER_H

#include "postmaster/bgworker.h"

#include "shared.h"

/* Register it with the postmaster; only while libraries are preloaded. */
extern void cano_launcher_register(void);

/* ---- For dispatch.c, in the launcher itself ---- */

/* Look again at this time at the latest. */
extern void cano_launcher_be_back(TimestampTz at);
extern TimestampTz cano_launcher_back_at(void);

/*
 * Start a dynamic worker.  False when the postmaster has no place for another
 * process; then it is refused for a while.
 */
extern bool cano_launcher_start(const char *name, const char *function,
								const void *arguments, size_t size,
								BackgroundWorkerHandle **handle,
								TimestampTz now);
extern bool cano_launcher_is_refused(TimestampTz now);

/* One of ours ended: there may be a place again. */
extern void cano_launcher_place_freed(void);

/* Is there no such database, or no such role (if one is given)? */
extern bool cano_launcher_is_gone(const CanoLaneKey *key);

extern PGDLLEXPORT void cano_launcher_main(Datum arg);

#endif							/* CANO_LAUNCHER_H */
