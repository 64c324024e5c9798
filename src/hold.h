/*-------------------------------------------------------------------------
 *
 * hold.h
 *	  Keeping workers out of a database for the time of a statement.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_HOLD_H
#define CANO_HOLD_H

#include "utils/timestamp.h"

/*
 * No new workers start in this database and those that are there are asked to
 * leave.  Waits until they left, but not for long: what is there then is dealt
 * with by the statement that wanted them gone.  Lasts until it is ended by
 * this process, or for a minute.
 */
extern void cano_hold_begin(Oid database);
extern void cano_hold_end(Oid database);

/* For the launcher; it holds the LWLock exclusively. */
extern bool cano_hold_is_on(Oid database, TimestampTz now);

#endif							/* CANO_HOLD_H */
