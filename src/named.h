/*-------------------------------------------------------------------------
 *
 * named.h
 *	  Named objects: how one is set, whose it is, and, of those that the
 *	  attempts of all runs share, its state in shared memory.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_NAMED_H
#define CANO_NAMED_H

#include "fmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "store_named.h"

/*
 * What there is to know of a kind; named.c adds what it remembers of it.
 * Where nobody looks for one by cano_named_find(), the first two are enough.
 */
typedef struct CanoNamed
{
	CanoNamedKind kind;
	const char *noun;			/* its table is that, after an underscore */
	Size		policy_size;
	Size		state_size;

	/* How one is set, as those who use it want to know it. */
	void		(*read_policy) (const Datum *settings, void *policy);

	/* One that nobody has used; "serial" is another number each time. */
	void		(*init_state) (void *state, const void *policy, uint64 serial);

	struct CanoNamedCache *cache;
	struct CanoNamedMemory *memory;
} CanoNamed;

/* An extension created anew numbers its objects anew. */
typedef struct CanoNamedKey
{
	Oid			database;
	Oid			extension;
	int64		id;
} CanoNamedKey;

/*
 * Arguments of functions that make or change one; they raise CN001.  The name
 * is argument 0.  An integer is at least "least"; an interval is longer than
 * nothing, and not longer than CANO_LONGEST_MS.
 */
extern char *cano_named_name(const CanoNamed *named, FunctionCallInfo fcinfo);
extern int32 cano_named_integer(const CanoNamed *named, FunctionCallInfo fcinfo,
								int number, const char *parameter, int least);
extern Interval *cano_named_interval(const CanoNamed *named,
									 FunctionCallInfo fcinfo, int number,
									 const char *parameter);
pg_noreturn extern void cano_named_refuse(const CanoNamed *named,
										  const char *parameter,
										  const char *problem);

/*
 * Make one or change it; remove it.  Only members of the owner may.  Processes
 * hear of it when the transaction commits; the state stays as it is.
 */
extern void cano_named_create(CanoNamed *named, const char *name,
							  const Datum *settings);
extern void cano_named_drop(CanoNamed *named, const char *name);

/*
 * The key and policy of the one of that name; false if there is none.  Needs a
 * transaction and no open window.
 */
extern bool cano_named_find(CanoNamed *named, const char *name,
							CanoNamedKey *key, void *policy);

/* Of the object with that id, here. */
extern CanoNamedKey cano_named_key(int64 id);

/*
 * The state, locked until it is released: nothing must be called in between
 * that may raise, wait or allocate.  The first makes one where there is none;
 * the second, which raises and allocates nothing, returns NULL for one that
 * was not used yet, or was forgotten.
 *
 * Where more are in use than there is room for, the one that was released
 * with the earliest "needed_until" is forgotten.
 */
extern void *cano_named_lock(CanoNamed *named, const CanoNamedKey *key,
							 const void *policy);
extern void *cano_named_lock_used(CanoNamed *named, const CanoNamedKey *key);
extern void cano_named_release(CanoNamed *named, void *state,
							   TimestampTz needed_until);

/* A copy of it.  False where the second of these returns NULL. */
extern bool cano_named_copy(CanoNamed *named, const CanoNamedKey *key,
							void *state);

/* Ask for the shared memory, and make it; from the hooks of shmem.c. */
extern void cano_named_request_memory(const CanoNamed *named);
extern void cano_named_make_memory(CanoNamed *named);

#endif							/* CANO_NAMED_H */
