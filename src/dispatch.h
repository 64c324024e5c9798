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

/* Send idle workers and start new ones, where work is due. */
extern void cano_dispatch_workers(TimestampTz now);

#endif							/* CANO_DISPATCH_H */
