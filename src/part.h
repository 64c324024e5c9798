/*-------------------------------------------------------------------------
 *
 * part.h
 *	  Values inside a definition: intervals and points in time as text that
 *	  reads the same under any setting.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_PART_H
#define CANO_PART_H

#include "utils/timestamp.h"

/* Canonical text, in the current memory context. */
extern char *cano_part_interval(const Interval *interval);
extern char *cano_part_instant(TimestampTz instant);

/* Read what a user wrote.  False: it is none, or not a finite one. */
extern bool cano_part_read_interval(const char *text, Interval *interval);
extern bool cano_part_read_instant(const char *text, TimestampTz *instant);

/* Below, equal to, above nothing: -1, 0, 1. */
extern int	cano_part_sign(const Interval *interval);

/* Rounded up, so that what is more than nothing stays so.  A month is 30 days. */
/* Nothing may take longer: 1000 years, safe to add to any time now. */
#define CANO_LONGEST_MS		(INT64CONST(1000) * 365 * 86400000)

extern int64 cano_part_milliseconds(const Interval *interval);

#endif							/* CANO_PART_H */
