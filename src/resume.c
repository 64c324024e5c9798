/*-------------------------------------------------------------------------
 *
 * resume.c
 *	  cano.resume and cano.compensate: a run that has ended goes on.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "debug.h"
#include "error.h"
#include "json.h"
#include "lookup.h"
#include "shmem.h"
#include "spelling.h"
#include "store_resume.h"
#include "window.h"

PG_FUNCTION_INFO_V1(cano_resume);
PG_FUNCTION_INFO_V1(cano_resume_with_results);
PG_FUNCTION_INFO_V1(cano_compensate);

static void refuse_null(FunctionCallInfo fcinfo);
static bool resume(int64 run, const char *state, Jsonb *patch, int version,
				   bool force, bool keep_results);
static bool find(int64 run, CanoEndedRun *ended);
static void check_log(const CanoEndedRun *ended, bool force);
static const CanoDefinition *choose_version(const CanoEndedRun *ended,
											int version, bool force);
static int	choose_state(const CanoDefinition *definition, const char *name);
static Jsonb *patch_data(const CanoEndedRun *ended, Jsonb *patch);
pg_noreturn static void refuse_key(const CanoEndedRun *ended,
								   const CanoDefinition *definition);

/*
 * resume(run bigint, state text, data jsonb, version integer, force boolean)
 */
Datum
cano_resume(PG_FUNCTION_ARGS)
{
	refuse_null(fcinfo);
	PG_RETURN_BOOL(resume(PG_GETARG_INT64(0),
						  PG_ARGISNULL(1) ? NULL :
						  text_to_cstring(PG_GETARG_TEXT_PP(1)),
						  PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2),
						  PG_ARGISNULL(3) ? 0 : Max(PG_GETARG_INT32(3), -1),
						  !PG_ARGISNULL(4) && PG_GETARG_BOOL(4), false));
}

/*
 * resume(run bigint, keep_results boolean, data jsonb, force boolean)
 */
Datum
cano_resume_with_results(PG_FUNCTION_ARGS)
{
	refuse_null(fcinfo);
	PG_RETURN_BOOL(resume(PG_GETARG_INT64(0), NULL,
						  PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2), 0,
						  !PG_ARGISNULL(3) && PG_GETARG_BOOL(3),
						  !PG_ARGISNULL(1) && PG_GETARG_BOOL(1)));
}

static void
refuse_null(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_CONFIGURATION)),
				 errmsg("run must not be null")));
}

/*
 * A state (NULL: where it is) and a version (0: its own) of the caller's
 * choice.
 */
static bool
resume(int64 run, const char *state, Jsonb *patch, int version, bool force,
	   bool keep_results)
{
	CanoResumption to = {
		.now = cano_now(),
		.same_visit = state == NULL,
		.keep_results = keep_results
	};
	CanoEndedRun ended;
	CanoPlace	place;
	CanoWindow	window;
	bool		resumed;

	cano_window_refuse_restricted("cano.resume");
	if (!find(run, &ended))
		cano_lookup_not_found(run);
	if (ended.active)
		return false;
	check_log(&ended, force);
	to.definition = choose_version(&ended, version, force);
	to.state = choose_state(to.definition, state ? state : ended.state);
	to.data = patch_data(&ended, patch);

	cano_window_open(&window);
	resumed = cano_store_resume(&ended, &to, &place);
	cano_window_close(&window);
	if (!resumed)
		refuse_key(&ended, to.definition);
	cano_wake_at_commit(ended.owner, to.now, place);
	return true;
}

/*
 * compensate(run bigint)
 */
Datum
cano_compensate(PG_FUNCTION_ARGS)
{
	CanoEndedRun ended;
	CanoPlace	place;
	CanoWindow	window;

	cano_window_refuse_restricted("cano.compensate");
	if (PG_ARGISNULL(0) || !find(PG_GETARG_INT64(0), &ended) ||
		ended.active || !ended.partial)
		PG_RETURN_BOOL(false);

	cano_window_open(&window);
	place = cano_store_compensate(&ended);
	cano_window_close(&window);
	cano_wake_at_commit(ended.owner, cano_now(), place);
	PG_RETURN_BOOL(true);
}

static bool
find(int64 run, CanoEndedRun *ended)
{
	MemoryContext context = CurrentMemoryContext;
	CanoLookup	lookup;
	CanoWindow	window;
	bool		found;

	/*
	 * Whom it does not belong to must not lock it, nor must anybody while it
	 * is under way: its worker would have to wait for him.
	 */
	if (!cano_lookup_run(run, &lookup))
		return false;
	memset(ended, 0, sizeof(*ended));
	ended->active = strcmp(lookup.status, "active") == 0;
	if (ended->active)
		return true;
	cano_window_open(&window);
	found = cano_store_lock_ended(run, context, ended);
	cano_window_close(&window);
	return found;
}

/*
 * Is there anything to go on from?
 */
static void
check_log(const CanoEndedRun *ended, bool force)
{
	if (ended->cleared || ended->sequence == CANO_NO_SEQUENCE)
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_CHECKPOINT_STORE)),
				 errmsg("no checkpoint rows to resume run " INT64_FORMAT " from",
						ended->id),
				 ended->cleared ?
				 errdetail("Its log was cleared because the run completed or was rolled back.") :
				 errdetail("It entered no state that leaves one."),
				 errhint("Submit another run.")));
	if (ended->partial && !force)
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_COMPENSATION_FAILED)),
				 errmsg("run " INT64_FORMAT " was rolled back in part",
						ended->id),
				 errdetail("Some of what it had done is undone, some is not; cano.compensations shows what is left."),
				 errhint("Try the rest again with cano.compensate(), or let the run go forward with force => true.")));
}

static const CanoDefinition *
choose_version(const CanoEndedRun *ended, int version, bool force)
{
	const CanoDefinition *own = cano_definition_get(ended->definition);
	const CanoDefinition *chosen = own;

	if (version != 0 && version != own->version)
		chosen = cano_definition_get(cano_definition_find(own->workflow, version));
	if (chosen != own && !force)
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_VERSION_MISMATCH)),
				 errmsg("run " INT64_FORMAT " of workflow \"%s\" is of version %d, not %d",
						ended->id, own->workflow, own->version, version),
				 errhint("With force => true it goes on with that version, and stays with it.")));
	return chosen;
}

static int
choose_state(const CanoDefinition *definition, const char *name)
{
	int			state = cano_fsm_state(&definition->model, name);

	if (state == CANO_NO_STATE)
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_WORKFLOW)),
				 errmsg("\"%s\" is not a registered or exit state of workflow \"%s\", version %d",
						name, definition->workflow, definition->version),
				 errhint("%s", cano_spelling_state(&definition->model, name,
												   "Name one of its states: see cano.states."))));
	return state;
}

static Jsonb *
patch_data(const CanoEndedRun *ended, Jsonb *patch)
{
	Jsonb	   *data;

	if (patch == NULL)
		return ended->data;
	if (!JB_ROOT_IS_OBJECT(patch))
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_CONFIGURATION)),
				 errmsg("data must be a JSON object"),
				 errhint("Its keys are merged over those of the run's data.")));
	data = cano_json_merge(ended->data, patch);
	cano_json_refuse_large(data, "data");
	return data;
}

static void
refuse_key(const CanoEndedRun *ended, const CanoDefinition *definition)
{
	ereport(ERROR,
			(errcode(cano_errcode(CANO_CAT_INPUT_MISMATCH)),
			 errmsg("run " INT64_FORMAT " cannot be resumed while another one has its key",
					ended->id),
			 errdetail("A run of workflow \"%s\" is under way with key \"%s\".",
					   definition->workflow, ended->key),
			 errhint("Wait for that run to end.")));
}
