/*-------------------------------------------------------------------------
 *
 * dispatch.h
 *	  The launcher's view of lanes and workers.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_DISPATCH_H
#define CANO_DISPATCH_H

#include "utils/timestamp.h"

/* Notice the workers that ended before they attached to their slot. */
extern void cano_dispatch_reap(TimestampTz now);

/* Look at all lanes: send idle workers, find out who wants new ones. */
extern void cano_dispatch_survey(TimestampTz now);

/*
 * Start those; where there is no room, for them or for a scan, make some.
 */
extern void cano_dispatch_workers(TimestampTz now, bool scan_waits);

#endif							/* CANO_DISPATCH_H */
