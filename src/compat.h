/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  Differences between PostgreSQL 15, 16, 17, 18 and 19, all of them.
 *
 * Code is written for the newest; the shims below serve the older.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_COMPAT_H
#define CANO_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "cano needs PostgreSQL 15 or newer"
#endif

/* 16: one ACL check for all kinds of objects */
#if PG_VERSION_NUM < 160000
#include "catalog/pg_database.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "utils/acl.h"

static inline AclResult
object_aclcheck(Oid classid, Oid objectid, Oid roleid, AclMode mode)
{
	switch (classid)
	{
		case DatabaseRelationId:
			return pg_database_aclcheck(objectid, roleid, mode);
		case NamespaceRelationId:
			return pg_namespace_aclcheck(objectid, roleid, mode);
		case ProcedureRelationId:
			return pg_proc_aclcheck(objectid, roleid, mode);
		default:
			elog(ERROR, "unsupported object class: %u", classid);
	}
	return ACLCHECK_NO_PRIV;
}

static inline bool
object_ownercheck(Oid classid, Oid objectid, Oid roleid)
{
	switch (classid)
	{
		case DatabaseRelationId:
			return pg_database_ownercheck(objectid, roleid);
		default:
			elog(ERROR, "unsupported object class: %u", classid);
	}
	return false;
}
#endif

/* 16: fmgr.h declares it */
#if PG_VERSION_NUM < 160000
extern PGDLLEXPORT void _PG_init(void);
#endif

/* 18: an attribute in front of a declaration, no longer behind it */
#ifndef pg_noreturn
#define pg_noreturn		pg_attribute_noreturn()
#endif

/* 19: what is pushed goes into a struct, which has the result in the end */
#if PG_VERSION_NUM < 190000
#include "utils/jsonb.h"

typedef struct JsonbInState
{
	JsonbValue *result;
	JsonbParseState *parseState;
} JsonbInState;

static inline void
cano_push_jsonb(JsonbInState *state, JsonbIteratorToken token, JsonbValue *value)
{
	state->result = pushJsonbValue(&state->parseState, token, value);
}
#define pushJsonbValue(state, token, value) \
	cano_push_jsonb((state), (token), (value))
#endif

/* 19: a hash table in shared memory has one size */
#if PG_VERSION_NUM < 190000
#include "storage/shmem.h"

#define ShmemInitHash(name, size, info, flags) \
	ShmemInitHash((name), (size), (size), (info), (flags))
#endif

/* 19: the lookup of a function also says what it found, for a report we do not make */
#if PG_VERSION_NUM < 190000
#define cano_candidates(names) \
	FuncnameGetCandidates((names), -1, NIL, false, false, false, true)
#else
#define cano_candidates(names) \
	FuncnameGetCandidates((names), -1, NIL, false, false, false, true, &(int) {0})
#endif

/* 19: each kind of process has its own */
#if PG_VERSION_NUM < 190000
#define cano_log_min_messages	log_min_messages
#else
#define cano_log_min_messages	log_min_messages[MyBackendType]
#endif

/* 19: signal handlers have one more argument, so SIG_IGN needs a cast */
#ifndef PG_SIG_IGN
#define PG_SIG_IGN		SIG_IGN
#endif

/* 17: the local transaction id moved into a struct of PGPROC */
#if PG_VERSION_NUM < 170000
#define cano_lxid()		(MyProc->lxid)
#else
#define cano_lxid()		(MyProc->vxid.lxid)
#endif

/* 16: DecodeDateTime has one more argument, for a report we do not make */
#if PG_VERSION_NUM >= 160000
#define CANO_DECODE_EXTRA	, &(DateTimeErrorExtra) {0}
#else
#define CANO_DECODE_EXTRA
#endif

/* 17: intervals may be infinite */
#if PG_VERSION_NUM < 170000
#define INTERVAL_NOT_FINITE(interval)	((void) (interval), false)
#endif

#endif							/* CANO_COMPAT_H */
