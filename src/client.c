/*-------------------------------------------------------------------------
 *
 * client.c
 *	  cano.take, complete, fail, extend: what clients outside the database do
 *	  with the work of external states.
 *
 * All of it belongs to the caller's transaction: what a client does here and
 * its answer commit together.  A token that is not good, or is somebody
 * else's, is answered with false and locks nothing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "debug.h"
#include "definition.h"
#include "error.h"
#include "external.h"
#include "fsm.h"
#include "json.h"
#include "lookup.h"
#include "part.h"
#include "shmem.h"
#include "spelling.h"
#include "store_external.h"
#include "store_signal.h"
#include "value.h"
#include "window.h"

PG_FUNCTION_INFO_V1(cano_take);
PG_FUNCTION_INFO_V1(cano_complete);
PG_FUNCTION_INFO_V1(cano_fail);
PG_FUNCTION_INFO_V1(cano_extend);

#define MAX_TAKEN	10000

static int	take_from(const char *queue, Oid owner, int max,
					  TimestampTz lease_until, ReturnSetInfo *rsinfo);
static char *queue_argument(FunctionCallInfo fcinfo, int number);
static int	max_argument(FunctionCallInfo fcinfo, int number);
static TimestampTz lease_argument(FunctionCallInfo fcinfo, int number,
								  TimestampTz now);
static void refuse(const char *problem);
static bool find_work(FunctionCallInfo fcinfo, TimestampTz now,
					  CanoWork *work);
static bool answer(FunctionCallInfo fcinfo, const CanoWork *work,
				   TimestampTz now, const Jsonb *reply);
static void refuse_next(const CanoWork *work, const char *next);

/*
 * take(queue text, max integer, lease interval)
 *
 * Of several roles whose work the caller may see, the one whose work has the
 * first place is served first.
 */
Datum
cano_take(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext context = CurrentMemoryContext;
	TimestampTz now = cano_now();
	char	   *queue = queue_argument(fcinfo, 0);
	int			left = max_argument(fcinfo, 1);
	TimestampTz lease_until = lease_argument(fcinfo, 2, now);
	Oid		   *owners;
	int			nowners;
	CanoWindow	window;

	cano_window_refuse_restricted("cano.take");
	InitMaterializedSRF(fcinfo, 0);
	cano_window_open(&window);
	nowners = cano_store_work_owners(queue, context, &owners);
	cano_window_close(&window);
	for (int i = 0; i < nowners && left > 0; i++)
		if (cano_lookup_can_see(owners[i]))
			left -= take_from(queue, owners[i], left, lease_until, rsinfo);
	return (Datum) 0;
}

static int
take_from(const char *queue, Oid owner, int max, TimestampTz lease_until,
		  ReturnSetInfo *rsinfo)
{
	CanoWindow	window;
	int			n;

	cano_window_open(&window);
	n = cano_store_take_work(queue, owner, max, lease_until);
	for (int i = 0; i < n; i++)
		tuplestore_puttuple(rsinfo->setResult, SPI_tuptable->vals[i]);
	cano_window_close(&window);
	if (n > 0)
		cano_wake_at_commit(owner, lease_until, CANO_NO_PLACE);
	return n;
}

/*
 * complete(token text, output jsonb, next text)
 */
Datum
cano_complete(PG_FUNCTION_ARGS)
{
	TimestampTz now = cano_now();
	Jsonb	   *output = PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1);
	char	   *next = PG_ARGISNULL(2) ? NULL :
		text_to_cstring(PG_GETARG_TEXT_PP(2));
	CanoWork	work;

	cano_window_refuse_restricted("cano.complete");
	if (output != NULL)
		cano_json_refuse_large(output, "output");
	if (!find_work(fcinfo, now, &work))
		PG_RETURN_BOOL(false);
	refuse_next(&work, next);
	PG_RETURN_BOOL(answer(fcinfo, &work, now,
						  cano_external_success(work.sequence, work.attempt,
												output, next)));
}

/*
 * fail(token text, error text, retry boolean)
 */
Datum
cano_fail(PG_FUNCTION_ARGS)
{
	TimestampTz now = cano_now();
	const char *error = PG_ARGISNULL(1) ? "the client gave no reason" :
		cano_error_text(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	bool		retry = PG_ARGISNULL(2) || PG_GETARG_BOOL(2);
	CanoWork	work;

	cano_window_refuse_restricted("cano.fail");
	if (!find_work(fcinfo, now, &work))
		PG_RETURN_BOOL(false);
	PG_RETURN_BOOL(answer(fcinfo, &work, now,
						  cano_external_failure(work.sequence, work.attempt,
												error, retry)));
}

/*
 * extend(token text, lease interval)
 */
Datum
cano_extend(PG_FUNCTION_ARGS)
{
	TimestampTz now = cano_now();
	TimestampTz lease_until = lease_argument(fcinfo, 1, now);
	CanoWork	work;
	CanoWindow	window;
	bool		good;

	cano_window_refuse_restricted("cano.extend");
	if (!find_work(fcinfo, now, &work))
		PG_RETURN_BOOL(false);
	cano_window_open(&window);
	good = cano_store_extend_work(text_to_cstring(PG_GETARG_TEXT_PP(0)), now,
								  lease_until);
	cano_window_close(&window);
	if (good)
		cano_wake_at_commit(work.owner, lease_until, CANO_NO_PLACE);
	PG_RETURN_BOOL(good);
}

/*
 * The work with the token that is the first argument, if it is good now and
 * of a run that the caller may see.
 */
static bool
find_work(FunctionCallInfo fcinfo, TimestampTz now, CanoWork *work)
{
	MemoryContext context = CurrentMemoryContext;
	CanoWindow	window;
	bool		found;

	if (PG_ARGISNULL(0))
		return false;
	cano_window_open(&window);
	found = cano_store_find_work(text_to_cstring(PG_GETARG_TEXT_PP(0)),
								 context, work);
	cano_window_close(&window);
	return found && work->lease_until > now &&
		cano_lookup_can_see(work->owner);
}

/*
 * Exchange the work for its answer.  False if somebody with the same token
 * was faster.
 */
static bool
answer(FunctionCallInfo fcinfo, const CanoWork *work, TimestampTz now,
	   const Jsonb *reply)
{
	CanoAddressee to = {
		.run = work->run,
		.owner = work->owner,
		.priority = work->priority
	};
	CanoPlace	place = CANO_NO_PLACE;
	CanoWindow	window;
	bool		good;

	cano_window_open(&window);
	good = cano_store_end_work(text_to_cstring(PG_GETARG_TEXT_PP(0)), now);
	if (good)
		place = cano_store_signal(&to, "", reply, now);
	cano_window_close(&window);
	if (good)
		cano_wake_at_commit(work->owner, now, place);
	return good;
}

/*
 * Refuse now what the run would fail with.
 */
static void
refuse_next(const CanoWork *work, const char *next)
{
	const CanoDefinition *definition = cano_definition_get(work->definition);
	CanoPosition position = {
		.state = cano_fsm_state(&definition->model, work->state),
		.attempt = work->attempt
	};
	CanoEvent	event = {.what = CANO_SAID_NEXT, .target = next};

	switch (cano_fsm_decide(&definition->model, &position, &event).fault)
	{
		case CANO_FAULT_NO_NEXT:
			ereport(ERROR,
					(errcode(cano_errcode(CANO_CAT_WORKFLOW)),
					 errmsg("state \"%s\" has no next state of its own",
							work->state),
					 errhint("Say which: cano.complete(..., next => ...).")));
			break;
		case CANO_FAULT_UNKNOWN_STATE:
			ereport(ERROR,
					(errcode(cano_errcode(CANO_CAT_WORKFLOW)),
					 errmsg("state \"%s\" does not exist", next),
					 errdetail("Workflow \"%s\" has no such state in version %d.",
							   definition->workflow, definition->version),
					 errhint("%s", cano_spelling_state(&definition->model, next,
													   "Name one of its states: see cano.states."))));
			break;
		case CANO_FAULT_NOT_A_TARGET:
			ereport(ERROR,
					(errcode(cano_errcode(CANO_CAT_WORKFLOW)),
					 errmsg("state \"%s\" is not one of the targets of state \"%s\"",
							next, work->state)));
			break;
		default:
			break;
	}
}

static char *
queue_argument(FunctionCallInfo fcinfo, int number)
{
	char	   *queue;

	if (PG_ARGISNULL(number))
		refuse("queue must not be null");
	queue = text_to_cstring(PG_GETARG_TEXT_PP(number));
	if (!cano_value_is_name(queue))
		refuse("queue must have 1 to 1000 characters");
	return queue;
}

static int
max_argument(FunctionCallInfo fcinfo, int number)
{
	if (PG_ARGISNULL(number) || PG_GETARG_INT32(number) < 1 ||
		PG_GETARG_INT32(number) > MAX_TAKEN)
		refuse("max must be between 1 and 10000");
	return PG_GETARG_INT32(number);
}

static TimestampTz
lease_argument(FunctionCallInfo fcinfo, int number, TimestampTz now)
{
	Interval   *lease;

	if (PG_ARGISNULL(number))
		refuse("lease must not be null");
	lease = PG_GETARG_INTERVAL_P(number);
	if (cano_part_sign(lease) <= 0)
		refuse("lease must be longer than nothing");
	if (INTERVAL_NOT_FINITE(lease) ||
		cano_part_milliseconds(lease) > CANO_LONGEST_MS)
		refuse("lease must be at most 1000 years");
	return TimestampTzPlusMilliseconds(now, cano_part_milliseconds(lease));
}

static void
refuse(const char *problem)
{
	ereport(ERROR,
			(errcode(cano_errcode(CANO_CAT_CONFIGURATION)),
			 errmsg_internal("%s", problem)));
}
