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

/* By the function, whatever calls it. */
typedef struct Pace
{
	uint64		function;
	double		ms;				/* moving average */
} Pace;

/* The share of the newest time in the average. */
#define NEWEST	0.2

static HTAB *get_paces(void);

void
cano_pace_note(const CanoRun *run, double ms)
{
	const CanoFunctionName *function = cano_run_function(run);
	bool		found;
	Pace	   *pace;

	if (function == NULL)
		return;
	pace = hash_search(get_paces(), &function->pace, HASH_ENTER, &found);
	pace->ms = found ? (1 - NEWEST) * pace->ms + NEWEST * ms : ms;
}

bool
cano_pace_may_exceed(const CanoRun *run, double ms)
{
	const CanoFunctionName *function = cano_run_function(run);
	Pace	   *pace;

	if (function == NULL)
		return false;
	pace = hash_search(get_paces(), &function->pace, HASH_FIND, NULL);
	return pace == NULL || pace->ms >= ms;
}

static HTAB *
get_paces(void)
{
	static HTAB *paces = NULL;

	if (paces == NULL)
	{
		HASHCTL		control = {
			.keysize = sizeof(uint64),
			.entrysize = sizeof(Pace),
			.hcxt = TopMemoryContext
		};

		paces = hash_create("cano paces", 64, &control,
							HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	return paces;
}
