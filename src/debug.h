/*-------------------------------------------------------------------------
 *
 * debug.h
 *	  Named stop points and a clock that tests can move.
 *
 * Builds without CANO_DEBUG_POINTS have neither: CANO_POINT is nothing, and
 * the clock is the server's.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_DEBUG_H
#define CANO_DEBUG_H

#include "utils/timestamp.h"

#ifdef CANO_DEBUG_POINTS
extern void cano_debug_point(const char *name);
#define CANO_POINT(name)	cano_debug_point(name)
#else
#define CANO_POINT(name)	((void) 0)
#endif

/* The engine's only way to read the time. */
extern TimestampTz cano_now(void);

#endif							/* CANO_DEBUG_H */
