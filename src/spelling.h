/*-------------------------------------------------------------------------
 *
 * spelling.h
 *	  Which of the names that there are somebody may have meant.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_SPELLING_H
#define CANO_SPELLING_H

#include "model.h"

typedef struct CanoSpelling
{
	const char *given;
	const char *best;			/* of those offered so far; NULL: none is near */
	int			distance;
} CanoSpelling;

/* Begin with what was given, which must live as long, then offer each name. */
extern void cano_spelling_init(CanoSpelling *spelling, const char *given);

/* "candidate" must live as long, too; another case counts as no difference. */
extern void cano_spelling_offer(CanoSpelling *spelling, const char *candidate);

/* A sentence that names the nearest; else that, which may be NULL. */
extern const char *cano_spelling_hint(const CanoSpelling *spelling,
									  const char *noun, const char *otherwise);

/* The same for a name that no state has. */
extern const char *cano_spelling_state(const CanoModel *model, const char *name,
									   const char *otherwise);

#endif							/* CANO_SPELLING_H */
