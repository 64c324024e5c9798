/*-------------------------------------------------------------------------
 *
 * random_joins.c
 *	  When a split is done with, against the table of the rules, written down
 *	  a second time, over random branches that end in a random order.
 *
 * Build: gcc test/unit/random_joins.c src/join.c
 * Run:   random_joins [cases [seed]]
 *
 * The core is asked as the engine asks it: after each branch that ends, and
 * when the time is over.  The rules below look at the whole story at once.
 *
 *-------------------------------------------------------------------------
 */
#include "../../src/join.h"
#include "random.h"

#define MAX_BRANCHES	12

typedef struct Case
{
	CanoJoin	join;
	int			percent;		/* PERCENTAGE */
	int			nbranches;
	bool		succeeds[MAX_BRANCHES]; /* in the order in which they end */
	int			in_time;		/* so many of them end before the deadline */
} Case;

typedef struct Outcome
{
	int			ended;			/* so many had ended when it was decided */
	bool		met;
	bool		late;			/* it was decided by the deadline */
} Outcome;

static void
random_case(Case *c)
{
	int			successful = below(101);	/* percent */

	c->join.strategy = (CanoStrategy) below(6);
	c->nbranches = below(8) == 0 ? 0 : below(MAX_BRANCHES + 1);
	for (int i = 0; i < c->nbranches; i++)
		c->succeeds[i] = chance(successful);

	/* As many as it has branches: there is no deadline, or it comes too late. */
	c->in_time = chance(50) ? c->nbranches : (int) below(c->nbranches + 1);

	c->percent = 1 + below(100);
	c->join.needed = 0;
	if (c->join.strategy == CANO_JOIN_PERCENTAGE)
		c->join.needed = (c->nbranches * c->percent + 99) / 100;
	else if (c->join.strategy == CANO_JOIN_QUORUM ||
			 c->join.strategy == CANO_JOIN_PARTIAL)
		c->join.needed = chance(25) ? 0 : below(c->nbranches + 3);
	else if (chance(50))
		c->join.needed = below(5);	/* means nothing here */
}

/* ---- the rules ---- */

/* After how many branches the n-th success is there; -1: never. */
static int
nth_success(const Case *c, int n)
{
	for (int i = 0; i < c->nbranches; i++)
		if (c->succeeds[i] && --n == 0)
			return i + 1;
	return -1;
}

/* After how many branches it is met although others have not ended; -1: never. */
static int
early(const Case *c)
{
	if (c->nbranches == 0)
		return -1;
	if (c->join.strategy == CANO_JOIN_ANY)
		return nth_success(c, 1);
	if (c->join.strategy == CANO_JOIN_PARTIAL)
		return c->join.needed == 0 ? 1 : nth_success(c, c->join.needed);
	return -1;
}

/* What it is worth when the last branch has ended. */
static bool
met_at_last(const Case *c)
{
	int			successes = 0;

	for (int i = 0; i < c->nbranches; i++)
		successes += c->succeeds[i];
	switch (c->join.strategy)
	{
		case CANO_JOIN_ALL:
			return successes == c->nbranches;
		case CANO_JOIN_ANY:
			return successes != 0;
		case CANO_JOIN_PERCENTAGE:
			return successes * 100 >= c->nbranches * c->percent;
		case CANO_JOIN_PARTIAL_TIMEOUT:
			return c->nbranches != 0;
		default:
			return successes >= c->join.needed;
	}
}

static Outcome
expected(const Case *c)
{
	int			enough = early(c);
	Outcome		outcome = {.ended = c->in_time};

	if (enough >= 0 && enough <= c->in_time)
	{
		outcome.ended = enough;
		outcome.met = true;
	}
	else if (c->in_time == c->nbranches)
		outcome.met = met_at_last(c);
	else
	{
		outcome.late = true;
		outcome.met = c->join.strategy == CANO_JOIN_PARTIAL_TIMEOUT &&
			c->in_time > 0;
	}
	return outcome;
}

/* ---- comparing ---- */

/* The first answer that counts; false: there is none. */
static bool
decided(const Case *c, Outcome *outcome)
{
	CanoTally	tally = {.total = c->nbranches};
	CanoVerdict verdict = CANO_JOIN_OPEN;
	int			i = 0;

	if (c->nbranches == 0)
		verdict = cano_join_judge(&c->join, &tally);
	while (verdict == CANO_JOIN_OPEN && i < c->in_time)
	{
		if (c->succeeds[i++])
			tally.succeeded++;
		else
			tally.failed++;
		verdict = cano_join_judge(&c->join, &tally);
	}
	if (verdict == CANO_JOIN_OPEN && c->in_time < c->nbranches)
	{
		tally.timed_out = true;
		verdict = cano_join_judge(&c->join, &tally);
	}
	outcome->ended = i;
	outcome->met = verdict == CANO_JOIN_MET;
	outcome->late = tally.timed_out;
	return verdict != CANO_JOIN_OPEN;
}

static void
tell(const char *who, const Outcome *outcome)
{
	printf("# %s: %s after %d%s\n", who, outcome->met ? "met" : "missed",
		   outcome->ended, outcome->late ? ", out of time" : "");
}

static bool
try_case(void)
{
	Case		c;
	Outcome		is;
	Outcome		should_be;
	bool		ends;

	random_case(&c);
	ends = decided(&c, &is);
	should_be = expected(&c);
	if (ends && is.ended == should_be.ended && is.met == should_be.met &&
		is.late == should_be.late)
		return true;

	printf("# strategy %d needs %d (%d %%) of %d branches, %d in time:",
		   c.join.strategy, c.join.needed, c.percent, c.nbranches, c.in_time);
	for (int i = 0; i < c.nbranches; i++)
		printf(" %s", c.succeeds[i] ? "ok" : "error");
	printf("\n");
	if (ends)
		tell("it is", &is);
	else
		printf("# it never ends\n");
	tell("it should be", &should_be);
	return false;
}

int
main(int argc, char **argv)
{
	return try_cases(argc, argv, 1000000, try_case,
					 "random splits are decided by the rules");
}
