/*-------------------------------------------------------------------------
 *
 * child.c
 *	  Runs that are started by a state of another run.
 *
 * A child is submitted in the commit that lets its parent wait, and belongs
 * to the same role.  Nobody waits inside: the child's end makes the parent
 * due, and what the child left is read then.  It has its parent's priority,
 * so that a session that drives one run finds all of its family in one place
 * of the queue.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "child.h"
#include "definition.h"
#include "error.h"
#include "json.h"
#include "shmem.h"
#include "store_child.h"
#include "store_submit.h"
#include "window.h"

/* How many runs deep children may start children. */
#define MAX_DEPTH	100

static void check_depth(const CanoRun *run);
static Jsonb *take_input(const CanoRun *run);

void
cano_child_start(const CanoRun *run, TimestampTz now)
{
	CanoSubmission submission = {
		.definition = cano_definition_get(cano_definition_find(cano_run_extra(run)->workflow, 0)),
		.owner = GetUserId(),
		.now = now,
		.due_at = now,
		.priority = run->priority,
		.headers = run->headers,
		.parent = run->id,
		.depth = run->depth + 1
	};
	Jsonb	   *input = take_input(run);
	CanoPlace	place = {run->priority, cano_store_new_id()};
	CanoWindow	window;

	check_depth(run);
	cano_window_open(&window);
	cano_store_submit_as(&submission, JsonbPGetDatum(input), place.id);
	cano_window_close(&window);
	cano_wake_at_commit(submission.owner, now, place);
}

/*
 * A workflow that starts itself without end would fill the disk.
 */
static void
check_depth(const CanoRun *run)
{
	if (run->depth >= MAX_DEPTH)
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_WORKFLOW)),
				 errmsg("state \"%s\" cannot start workflow \"%s\": children are nested more than %d deep",
						run->state_name, cano_run_extra(run)->workflow,
						MAX_DEPTH),
				 errhint("Find the workflow that starts itself, directly or through others, and let it end.")));
}

static Jsonb *
take_input(const CanoRun *run)
{
	const char *key = cano_run_extra(run)->input_key;
	Jsonb	   *input = run->data;
	JsonbValue	value;

	if (key != NULL)
	{
		if (getKeyJsonValueFromContainer(&run->data->root, key, strlen(key),
										 &value) == NULL)
			ereport(ERROR,
					(errcode(cano_errcode(CANO_CAT_MISSING_ARGUMENT)),
					 errmsg("no input for the child of state \"%s\": there is no key \"%s\" in the run's data",
							run->state_name, key),
					 errhint("Put the child's input into the run's data under that key.")));
		if (value.type != jbvBinary ||
			!JsonContainerIsObject(value.val.binary.data))
			ereport(ERROR,
					(errcode(cano_errcode(CANO_CAT_WORKFLOW)),
					 errmsg("input for the child of state \"%s\" must be a JSON object",
							run->state_name),
					 errdetail("The run's data has another type under key \"%s\": %s.",
							   key, JsonbTypeName(&value))));
		input = JsonbValueToJsonb(&value);
	}
	cano_json_refuse_large(input, "input of a child");
	return input;
}

/*
 * Somebody may have removed it since it ended.
 */
void
cano_child_load(CanoRun *run, MemoryContext context)
{
	CanoWindow	window;
	bool		found;

	cano_window_open(&window);
	found = cano_store_last_child(run->id, context, &run->child, &run->reply,
								  &run->child_error);
	cano_window_close(&window);
	MemoryContextSwitchTo(context);
	if (found)
		return;
	run->child = CANO_FAILED;
	run->child_error = cano_error_jsonb(cano_error_make(CANO_CAT_NOT_FOUND,
														"child of state \"%s\" does not exist any more",
														run->state_name),
										run->state_name, NULL, run->attempt);
}
