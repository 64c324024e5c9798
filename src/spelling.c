/*-------------------------------------------------------------------------
 *
 * spelling.c
 *	  Which of the names that there are somebody may have meant.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/varlena.h"

#include "spelling.h"

/* Longer names are not looked for among the misspelt: that takes time. */
#define MAX_SPELLING	64

void
cano_spelling_init(CanoSpelling *spelling, const char *given)
{
	spelling->given = given;
	spelling->best = NULL;
	spelling->distance = 0;
}

void
cano_spelling_offer(CanoSpelling *spelling, const char *candidate)
{
	int			length = strlen(spelling->given);
	int			length_now = strlen(candidate);
	int			limit = Min(length / 2, 3);
	int			now = 0;

	if (Max(length, length_now) > MAX_SPELLING)
		return;
	/* Somebody else may have chosen it, and psql prints messages as they are. */
	for (const char *c = candidate; *c; c++)
		if ((unsigned char) *c < ' ' || *c == '\177')
			return;
	if (pg_strcasecmp(spelling->given, candidate) != 0)
		now = varstr_levenshtein_less_equal(spelling->given, length, candidate,
											length_now, 1, 1, 1, limit, true);
	if (now > limit || (spelling->best != NULL && now >= spelling->distance))
		return;
	spelling->best = candidate;
	spelling->distance = now;
}

const char *
cano_spelling_hint(const CanoSpelling *spelling, const char *noun,
				   const char *otherwise)
{
	return spelling->best == NULL ? otherwise :
		psprintf("Perhaps you meant the %s \"%s\".", noun, spelling->best);
}

const char *
cano_spelling_state(const CanoModel *model, const char *name,
					const char *otherwise)
{
	CanoSpelling spelling;

	cano_spelling_init(&spelling, name);
	for (int i = 0; i < model->nstates; i++)
		cano_spelling_offer(&spelling, model->states[i].name);
	return cano_spelling_hint(&spelling, "state", otherwise);
}
