/*-------------------------------------------------------------------------
 *
 * bracket.h
 *	  What stands around every call of a user's function.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_BRACKET_H
#define CANO_BRACKET_H

#include "utils/resowner.h"
#include "utils/timestamp.h"

/* What the call must leave as it found it. */
typedef struct CanoBracket
{
	MemoryContext context;
	ResourceOwner owner;
	TimestampTz lock_timer;
	int			lock_timeout;
	int			guc_level;
	volatile bool open;			/* the subtransaction */
	Oid			userid;
	int			sec_context;
} CanoBracket;

/*
 * Begin the subtransaction of a call.  "holding": the transaction holds the
 * work of others, so the call must not wait for a lock.
 */
extern void cano_bracket_open(CanoBracket *bracket, bool holding);

/* The call went well: keep what it did.  May raise what the user causes. */
extern void cano_bracket_keep(CanoBracket *bracket);

/* Would it have waited for a lock?  It may have trapped the error. */
extern bool cano_bracket_waited(const CanoBracket *bracket);

/*
 * Undo what was not kept, and put the session back as it was.  False when
 * something is left that only the end of the transaction takes away.
 */
extern bool cano_bracket_close(const CanoBracket *bracket);

#endif							/* CANO_BRACKET_H */
