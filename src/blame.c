/*-------------------------------------------------------------------------
 *
 * blame.c
 *	  Whose fault it was that a transaction failed as a whole.
 *
 * A failed transaction took the record of the failure with it.  What this
 * process remembers takes the place of the call when the job comes up again;
 * should another process claim it first, that one finds out for itself.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "blame.h"

/* How often a job may make its transaction fail before it is to blame. */
#define MAX_TROUBLES	3

/* How often a commit that lost against others is tried again at once. */
#define MAX_CONFLICTS	5

/* Jobs remembered as having to run with nothing held. */
#define MAX_SEPARATE	16

static void blame(const CanoVisit *visit, const ErrorData *edata);
static bool is_trouble(const ErrorData *edata);

/* The visit to blame, and why; in a context of its own. */
static CanoVisit failed_visit = {0};
static CanoError *failed_error = NULL;
static bool taken = false;		/* in the current transaction */

/* Transactions in a row that lost against others, or failed at all. */
static int	conflicts = 0;
static int	troubles = 0;

static int64 separate_jobs[MAX_SEPARATE];
static int	next_separate = 0;

CanoVisit
cano_blame_visit(const CanoRun *run)
{
	CanoVisit	visit = {
		.job = run->job,
		.sequence = run->sequence,
		.branch = run->branch,
		.attempt = run->attempt,
		.errors = run->errors,
		.state = run->state_name
	};

	return visit;
}

void
cano_blame_commit_failed(const CanoVisit *visit, const ErrorData *edata)
{
	taken = false;
	if (!cano_error_is_conflict(unpack_sql_state(edata->sqlerrcode)) || ++conflicts > MAX_CONFLICTS)
		blame(visit, edata);
}

void
cano_blame_transaction_failed(const CanoVisit *visit, const ErrorData *edata)
{
	taken = false;
	if (!is_trouble(edata) && ++troubles > MAX_TROUBLES)
		blame(visit, edata);
}

void
cano_blame_nobody(void)
{
	conflicts = troubles = 0;
	if (taken)
		failed_visit.job = 0;
	taken = false;
}

static void
blame(const CanoVisit *visit, const ErrorData *edata)
{
	static MemoryContext context = NULL;
	MemoryContext caller;

	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "cano blame",
										ALLOCSET_SMALL_SIZES);
	MemoryContextReset(context);
	caller = MemoryContextSwitchTo(context);
	failed_error = cano_error_copy(edata);
	failed_error->category = CANO_CAT_TASK_EXECUTION;
	failed_visit = *visit;
	failed_visit.state = pstrdup(visit->state);
	MemoryContextSwitchTo(caller);
	conflicts = troubles = 0;
	taken = false;
}

/*
 * Errors that say something of the server, not of the run at hand.
 */
static bool
is_trouble(const ErrorData *edata)
{
	int			class = ERRCODE_TO_CATEGORY(edata->sqlerrcode);

	return cano_error_is_conflict(unpack_sql_state(edata->sqlerrcode)) ||
		edata->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
		class == ERRCODE_INSUFFICIENT_RESOURCES ||
		class == ERRCODE_OPERATOR_INTERVENTION ||
		class == ERRCODE_SYSTEM_ERROR;
}

const CanoError *
cano_blame_take(const CanoRun *run)
{
	bool		same = failed_visit.job == run->job &&
		failed_visit.sequence == run->sequence &&
		failed_visit.branch == run->branch &&
		failed_visit.attempt == run->attempt &&
		failed_visit.errors == run->errors &&
		strcmp(failed_visit.state, run->state_name) == 0;

	/* Forgotten when it is settled, or found to be of the past. */
	if (same)
		taken = true;
	else if (failed_visit.job == run->job)
		failed_visit.job = 0;
	return same ? failed_error : NULL;
}

void
cano_blame_separate(const CanoRun *run)
{
	separate_jobs[next_separate++ % MAX_SEPARATE] = run->job;
}

bool
cano_blame_is_separate(const CanoRun *run)
{
	for (int i = 0; i < MAX_SEPARATE; i++)
		if (separate_jobs[i] == run->job)
			return true;
	return false;
}
