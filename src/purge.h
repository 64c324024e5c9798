/*-------------------------------------------------------------------------
 *
 * purge.h
 *	  Ended runs are removed: when their time is over, or on demand.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_PURGE_H
#define CANO_PURGE_H

/*
 * Remove ended runs that have been kept as long as they were to be, in small
 * transactions of its own, from *cursor on, which it moves and sets to 0 when
 * it has come to the end.  Stops after so many milliseconds, or when told to.
 * Needs no transaction.  True if it has stopped where much is to be removed.
 */
extern bool cano_purge_expired(int64 *cursor, double limit_ms,
							   bool (*must_stop) (void));

#endif							/* CANO_PURGE_H */
