/*-------------------------------------------------------------------------
 *
 * fuzz.h
 *	  What is fuzzed inside a server, and how inputs are made.
 *
 * An input is JSON text.  A target tries one; a grammar says which keys its
 * objects have, in the words of rules.h, so that what is tried gets past the
 * first check.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_FUZZ_H
#define CANO_FUZZ_H

#include "utils/jsonb.h"

#include "compat.h"
#include "rules.h"

/* Beside the types of rules.h. */
enum
{
	FUZZ_TYPE_STATES = CANO_TYPE_ANY + 1,	/* an object of states by name */
	FUZZ_TYPE_OPTIONS,			/* a workflow's */
	FUZZ_TYPE_SHAPE,			/* an object: "fallback" is its number among the
								 * grammar's shapes */
	FUZZ_TYPE_TEXT				/* any string */
};

typedef struct FuzzGrammar
{
	const CanoShape *shapes;	/* the first is a whole input */
	int			nshapes;
	bool		definitions;	/* keys of definitions occur in it, too */
} FuzzGrammar;

typedef struct FuzzTarget
{
	const char *name;
	const FuzzGrammar *grammar;
	void		(*begin) (void);	/* once, in memory that stays */
	void		(*try) (char *text);	/* may raise what is expected */
} FuzzTarget;

extern const FuzzTarget fuzz_definition;
extern const FuzzTarget fuzz_outcome;

/* Inputs of this grammar are wanted from now on. */
extern void fuzz_json_use(const FuzzGrammar *grammar);

/*
 * What follows may raise errors of these SQLSTATEs or classes, separated by
 * spaces; any other is a finding.
 */
extern void fuzz_expect(const char *stage, const char *sqlstates);
extern bool fuzz_is_expected(const char *sqlstate, const char *sqlstates);

/* It was not refused. */
extern void fuzz_accepted(void);

/*
 * Something was done that had not to be done in other code: an input that does
 * it first is worth to be kept.
 */
extern void fuzz_seen(uint32 what);

/* A finding: the input is kept, and this process ends. */
pg_noreturn extern void fuzz_found(const char *fmt, ...) pg_attribute_printf(1, 2);

/* It reads from end to end, and is the same when it was text in between. */
extern void fuzz_check_jsonb(const char *what, const Jsonb *value);

/* Are they the same, down to the letters? */
extern void fuzz_check_equal(const char *what, const Jsonb *is,
							 const Jsonb *should_be);

#endif							/* CANO_FUZZ_H */
