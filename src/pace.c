/*-------------------------------------------------------------------------
 *
 * pace.c
 *	  How long a state's task usually takes, as this process has seen it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "pace.h"

/* By the address of what is known of the state: definitions are kept. */
typedef struct Pace
{
	const CanoStateExtra *state;
	double		ms;				/* moving average */
} Pace;

/* The share of the newest time in the average. */
#define NEWEST	0.2

static HTAB *get_paces(void);

void
cano_pace_note(const CanoRun *run, double ms)
{
	const CanoStateExtra *state = &run->definition->extra[run->state];
	bool		found;
	Pace	   *pace;

	if (state->run == NULL)
		return;
	pace = hash_search(get_paces(), &state, HASH_ENTER, &found);
	pace->ms = found ? (1 - NEWEST) * pace->ms + NEWEST * ms : ms;
}

bool
cano_pace_may_exceed(const CanoRun *run, double ms)
{
	const CanoStateExtra *state = &run->definition->extra[run->state];
	Pace	   *pace;

	if (state->run == NULL)
		return false;
	pace = hash_search(get_paces(), &state, HASH_FIND, NULL);
	return pace == NULL || pace->ms >= ms;
}

static HTAB *
get_paces(void)
{
	static HTAB *paces = NULL;

	if (paces == NULL)
	{
		HASHCTL		control = {
			.keysize = sizeof(const CanoStateExtra *),
			.entrysize = sizeof(Pace),
			.hcxt = TopMemoryContext
		};

		paces = hash_create("cano paces", 64, &control,
							HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	return paces;
}
