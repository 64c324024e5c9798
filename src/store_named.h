/*-------------------------------------------------------------------------
 *
 * store_named.h
 *	  Statements on the tables of named objects: cano._breaker, cano._limiter,
 *	  cano._schedule.
 *
 * All of these run inside an open window.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_STORE_NAMED_H
#define CANO_STORE_NAMED_H

typedef enum CanoNamedKind
{
	CANO_NAMED_BREAKER,			/* settings: failure_threshold integer,
								 * half_open_max_calls integer, reset_timeout
								 * interval */
	CANO_NAMED_LIMITER,			/* rate integer, burst integer, per interval,
								 * kind "char" */
	CANO_NAMED_SCHEDULE			/* workflow text, cron text, overlap "char",
								 * input jsonb */
} CanoNamedKind;

/* The most settings that a kind has. */
#define CANO_NAMED_SETTINGS		4

typedef struct CanoNamedRow
{
	int64		id;				/* never used again */
	Oid			owner;
	NameData	owner_name;
	int64		origin;			/* where the owner has that number */
	Datum		settings[CANO_NAMED_SETTINGS];	/* as long as the window is
												 * open */
} CanoNamedRow;

/* False: there is none of that name. */
extern bool cano_store_named_find(CanoNamedKind kind, const char *name,
								  CanoNamedRow *row);

/* The same, and lock it until the end of the transaction. */
extern bool cano_store_named_lock(CanoNamedKind kind, const char *name,
								  CanoNamedRow *row);

/* False: another session has just added one of that name. */
extern bool cano_store_named_add(CanoNamedKind kind, const char *name,
								 Oid owner, const char *owner_name,
								 const Datum *settings);

/* Change or remove a locked one. */
extern void cano_store_named_set(CanoNamedKind kind, const char *name,
								 const Datum *settings);
extern void cano_store_named_remove(CanoNamedKind kind, const char *name);

#endif							/* CANO_STORE_NAMED_H */
