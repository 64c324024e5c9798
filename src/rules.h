/*-------------------------------------------------------------------------
 *
 * rules.h
 *	  Which keys a definition's objects have, and what belongs under them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_RULES_H
#define CANO_RULES_H

#include "function.h"
#include "model.h"

typedef enum CanoType
{
	CANO_TYPE_NAME,				/* of 1 to 1000 characters */
	CANO_TYPE_STATE,			/* of a state of this workflow */
	CANO_TYPE_STATES,
	CANO_TYPE_START,			/* the same, of the workflow as a whole */
	CANO_TYPE_FUNCTION,
	CANO_TYPE_BREAKER,
	CANO_TYPE_LIMITER,
	CANO_TYPE_WORD,				/* one of "words" */
	CANO_TYPE_INTEGER,			/* of at least "least" */
	CANO_TYPE_NUMBER,			/* above 0 */
	CANO_TYPE_SHARE,			/* above 0, at most 1 */
	CANO_TYPE_FRACTION,			/* 0 to 1 */
	CANO_TYPE_INTERVAL,			/* not negative */
	CANO_TYPE_INSTANT,
	CANO_TYPE_SQLSTATES,
	CANO_TYPE_RETRY,
	CANO_TYPE_JOIN,
	CANO_TYPE_BRANCHES,
	CANO_TYPE_RESOURCES,
	CANO_TYPE_OBJECT,
	CANO_TYPE_ANY
} CanoType;

/* Flags */
#define CANO_RULE_REQUIRED	1
#define CANO_RULE_POSITIVE	2	/* an interval longer than nothing */
#define CANO_RULE_DECIDES	4	/* the function may choose the next state */
#define CANO_RULE_DEFAULT	8	/* the first word, the fallback, no retries:
								 * the same as nothing, and not stored */

typedef struct CanoRule
{
	const char *key;
	CanoType	type;
	int			flags;
	CanoUse		use;
	int32		least;
	int32		fallback;		/* of an integer; 0 means the same */
	const char *const *words;
} CanoRule;

/* An object, by its keys.  The list of rules ends with a NULL key. */
typedef struct CanoShape
{
	const char *name;			/* value of the tag, or what it is called */
	const CanoRule *rules;
} CanoShape;

/* An object whose tag says which of several shapes it has. */
typedef struct CanoVariant
{
	const char *tag;
	const char *noun;			/* what it is called in messages */
	const CanoShape *shapes;
	int			nshapes;
} CanoVariant;

extern const CanoVariant cano_rules_state;	/* shapes in the order of CanoKind */
extern const CanoVariant cano_rules_retry;	/* in that of CanoRetryPolicy */
extern const CanoVariant cano_rules_join;
extern const CanoShape cano_rules_options;
extern const CanoShape cano_rules_branch;
extern const CanoShape cano_rules_resource;

/* The rule of a key, or NULL. */
extern const CanoRule *cano_rules_find(const CanoShape *shape, const char *key);

/* The shape a tag's value names, or NULL. */
extern const CanoShape *cano_rules_shape(const CanoVariant *variant,
										 const char *name);

/* A sentence that helps with a misspelt key or tag. */
extern const char *cano_rules_hint_key(const CanoShape *shape, const char *key);
extern const char *cano_rules_hint_tag(const CanoVariant *variant, const char *name);
extern const char *cano_rules_hint_word(const CanoRule *rule, const char *word);

#endif							/* CANO_RULES_H */
