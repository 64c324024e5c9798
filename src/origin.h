/*-------------------------------------------------------------------------
 *
 * origin.h
 *	  The number of this database, among all of all servers.
 *
 * Rows carry that of the database where they were made, or adopted: what finds
 * them with another one is in a copy.  A base backup, a standby and a renamed
 * database have the same one; a dump restored elsewhere, a clone by CREATE
 * DATABASE and an upgraded cluster have not.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_ORIGIN_H
#define CANO_ORIGIN_H

#include "access/xlog.h"
#include "miscadmin.h"

static inline int64
cano_origin(void)
{
	return (int64) (GetSystemIdentifier() ^ (uint64) MyDatabaseId << 32);
}

#endif							/* CANO_ORIGIN_H */
