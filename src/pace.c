/*-------------------------------------------------------------------------
 *
 * pace.c
 *	  How long a state's task takes on average, as this process has seen it.
 *
 * The average forgets slowly, so that it is that of a task which is quick as a
 * rule and long now and then, too.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "guc.h"
#include "pace.h"

/* By the function, whatever calls it. */
typedef struct Pace
{
	uint64		function;
	double		ms;				/* average */
	int			calls;			/* that it is of */
	int			quick;			/* calls in a row that were */
} Pace;

/* The average is of about so many calls. */
#define MOST_CALLS	500

/* So many quick calls in a row promise that the next will be. */
#define STEADY_CALLS	100

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
	if (!found)
		pace->ms = pace->calls = pace->quick = 0;
	pace->calls = Min(pace->calls + 1, MOST_CALLS);
	pace->ms += (ms - pace->ms) / pace->calls;
	pace->quick = ms < cano_batch_time ? Min(pace->quick + 1, STEADY_CALLS) : 0;
}

double
cano_pace_ms(const CanoRun *run)
{
	const CanoFunctionName *function = cano_run_function(run);
	Pace	   *pace;

	if (function == NULL)
		return 0;
	pace = hash_search(get_paces(), &function->pace, HASH_FIND, NULL);
	return pace == NULL ? HUGE_VAL : pace->ms;
}

bool
cano_pace_is_steady(const CanoRun *run)
{
	const CanoFunctionName *function = cano_run_function(run);
	Pace	   *pace;

	if (function == NULL)
		return true;
	pace = hash_search(get_paces(), &function->pace, HASH_FIND, NULL);
	return pace != NULL && pace->quick == STEADY_CALLS;
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
