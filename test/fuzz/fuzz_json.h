/*-------------------------------------------------------------------------
 *
 * fuzz_json.h
 *	  JSON text cut up into its values, and put together anew.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_FUZZ_JSON_H
#define CANO_FUZZ_JSON_H

#include "fuzz.h"

/* Values of a text that are told apart, and how deep. */
#define MAX_VALUES		500
#define MAX_DEPTH		64

/* Longer keys are cut. */
#define MAX_KEY			64

/* A value in a text, and the member of an object that it is, if it is one. */
typedef struct Value
{
	int			begin;			/* the value's first byte */
	int			end;			/* behind its last */
	int			member;			/* where its key begins, or "begin" */
	int			parent;			/* -1: none */
	char		key[MAX_KEY];	/* empty: an element, or the whole */
} Value;

typedef struct Text
{
	const char *bytes;
	int			length;
	int			at;				/* of the scan */
	int			nvalues;
	Value		values[MAX_VALUES];
} Text;

/* Text under construction. */
typedef struct Out
{
	char	   *bytes;
	int			length;
	int			max;
	bool		full;
} Out;

/* What inputs are to be like. */
extern const FuzzGrammar *fuzz_grammar;

/* Random numbers: from 0 to n - 1, or yes in so many % of all cases. */
extern void fuzz_seed(unsigned int number);
extern uint32 fuzz_below(uint32 n);
extern bool fuzz_chance(int percent);

#define ONE_OF(list)	((list)[fuzz_below(lengthof(list))])

/* Cut a text up; false if it is not JSON. */
extern bool fuzz_scan(Text *text, const char *bytes, int length);

/* What is between the quotes of a string, cut to the size of a key. */
extern void fuzz_copy_string(char *to, const Text *text, int begin, int end);

extern void fuzz_put(Out *out, const char *bytes, int length);
extern void fuzz_put_string(Out *out, const char *string);
extern void fuzz_put_text(Out *out, const Text *text, int begin, int end);

#define PUT(out, literal)	fuzz_put((out), (literal), strlen(literal))

/*
 * Any value; one by a rule; the same with its key.  "text" is what it goes
 * into.
 */
extern void fuzz_put_any(Out *out);
extern void fuzz_put_value(Out *out, const Text *text, const CanoRule *rule);
extern void fuzz_put_member(Out *out, const Text *text, const CanoRule *rule);

/* The name of a state, rather one that there is; a state; one with a name. */
extern void fuzz_put_state_name(Out *out, const Text *text);
extern void fuzz_put_state(Out *out, const Text *text);
extern void fuzz_put_part(Out *out, const Text *text);

extern const char *fuzz_odd_string(void);

#endif							/* CANO_FUZZ_JSON_H */
