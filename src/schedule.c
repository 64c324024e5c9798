/*-------------------------------------------------------------------------
 *
 * schedule.c
 *	  Schedules: runs that pg_cron lets begin.
 *
 * When a schedule fires is pg_cron's to know; its job, which belongs to the
 * schedule's owner, calls cano._fire() with the schedule's number.  That submits
 * a run as anybody would, with the rights of the job's role, unless the
 * schedule says that one which has not ended is in the way.  What it does is
 * one transaction: a schedule that has fired has submitted its run.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "api.h"
#include "cron.h"
#include "debug.h"
#include "definition.h"
#include "error.h"
#include "named.h"
#include "origin.h"
#include "store_schedule.h"
#include "window.h"

static void read_settings(FunctionCallInfo fcinfo, Datum *settings);
static char *text_argument(FunctionCallInfo fcinfo, int number,
						   const char *parameter);
static bool find(const char *name, CanoNamedRow *row);
pg_noreturn static void refuse_others(const char *name, const CanoNamedRow *row);
static void lock_own(int64 id, CanoScheduleRow *row);
static bool may_submit(int64 id, const CanoScheduleRow *row);

PG_FUNCTION_INFO_V1(cano_schedule);
PG_FUNCTION_INFO_V1(cano_unschedule);
PG_FUNCTION_INFO_V1(cano_fire);

static CanoNamed schedules = {
	.kind = CANO_NAMED_SCHEDULE,
	.noun = "schedule"
};

static const struct
{
	const char *name;
	char		value;
}			overlaps[] = {
	{"skip", CANO_OVERLAP_SKIP},
	{"queue", CANO_OVERLAP_QUEUE},
	{"allow", CANO_OVERLAP_ALLOW}
};

/* ---- What users call ---- */

/*
 * cano.schedule(name text, cron text, workflow text, input jsonb, overlap text)
 * RETURNS void
 */
Datum
cano_schedule(PG_FUNCTION_ARGS)
{
	Datum		settings[CANO_NAMED_SETTINGS];
	CanoNamedRow row;
	char	   *name;

	cano_window_refuse_restricted("cano.schedule");
	name = cano_named_name(&schedules, fcinfo);
	read_settings(fcinfo, settings);
	cano_api_check_role();
	cano_cron_require();

	cano_named_create(&schedules, name, settings);
	if (!find(name, &row))
		elog(ERROR, "could not find schedule \"%s\"", name);
	if (row.owner != GetUserId())
		refuse_others(name, &row);
	cano_cron_schedule(row.id, text_argument(fcinfo, 1, "cron"));
	PG_RETURN_VOID();
}

/*
 * cano.unschedule(name text) RETURNS boolean
 *
 * False when there is none of that name.  Where pg_cron has gone, what it left
 * can be removed.
 */
Datum
cano_unschedule(PG_FUNCTION_ARGS)
{
	CanoNamedRow row;
	char	   *name;
	char	   *role;

	cano_window_refuse_restricted("cano.unschedule");
	name = cano_named_name(&schedules, fcinfo);
	if (!find(name, &row))
	{
		cano_cron_require();
		PG_RETURN_BOOL(false);
	}
	if (row.owner != GetUserId() && !superuser())
		refuse_others(name, &row);
	cano_named_drop(&schedules, name);
	role = GetUserNameFromId(row.owner, true);
	cano_cron_unschedule(row.id, role ? role : NameStr(row.owner_name));
	PG_RETURN_BOOL(true);
}

static void
read_settings(FunctionCallInfo fcinfo, Datum *settings)
{
	char	   *cron = text_argument(fcinfo, 1, "cron");
	char	   *workflow = text_argument(fcinfo, 2, "workflow");
	char	   *overlap = text_argument(fcinfo, 4, "overlap");
	int			i = 0;

	(void) cano_definition_find(workflow, 0);
	while (i < lengthof(overlaps) && strcmp(overlaps[i].name, overlap) != 0)
		i++;
	if (i == lengthof(overlaps))
		cano_named_refuse(&schedules, "overlap",
						  "must be \"skip\", \"queue\" or \"allow\"");
	settings[0] = CStringGetTextDatum(workflow);
	settings[1] = CStringGetTextDatum(cron);
	settings[2] = CharGetDatum(overlaps[i].value);
	settings[3] = JsonbPGetDatum(cano_api_check_input(PG_GETARG_DATUM(3),
													  PG_ARGISNULL(3)));
}

static char *
text_argument(FunctionCallInfo fcinfo, int number, const char *parameter)
{
	if (PG_ARGISNULL(number))
		cano_named_refuse(&schedules, parameter, "must not be null");
	return text_to_cstring(PG_GETARG_TEXT_PP(number));
}

static bool
find(const char *name, CanoNamedRow *row)
{
	CanoWindow	window;
	bool		found;

	cano_window_open(&window);
	found = cano_store_named_find(CANO_NAMED_SCHEDULE, name, row);
	cano_window_close(&window);
	return found;
}

/*
 * A job of pg_cron runs as the role that made it, and cano has no more rights
 * there than who calls.
 */
static void
refuse_others(const char *name, const CanoNamedRow *row)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("must be owner of schedule \"%s\"", name),
			 errdetail("It is owned by role \"%s\".", NameStr(row->owner_name)),
			 errhint("A member of that role can use SET ROLE.")));
}

/* ---- What pg_cron calls ---- */

/*
 * cano._fire(schedule bigint) RETURNS bigint
 */
Datum
cano_fire(PG_FUNCTION_ARGS)
{
	int64		id = PG_GETARG_INT64(0);
	int64		run = 0;
	CanoScheduleRow row;
	CanoWindow	window;

	cano_window_refuse_restricted("cano._fire");
	lock_own(id, &row);
	if (may_submit(id, &row))
	{
		NullableDatum workflow = {CStringGetTextDatum(row.workflow), false};
		NullableDatum input = {JsonbPGetDatum(row.input), false};

		run = cano_api_submit(workflow, input);
	}
	cano_window_open(&window);
	cano_store_schedule_fired(id, cano_now(), run);
	cano_window_close(&window);
	if (run == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(run);
}

/*
 * In a copy of the database, jobs and all, nothing fires before the copy was
 * adopted: the original may still do it.
 */
static void
lock_own(int64 id, CanoScheduleRow *row)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			user = GetUserId();
	CanoWindow	window;
	bool		found;

	cano_window_open(&window);
	found = cano_store_schedule_lock(id, user, context, row);
	cano_window_close(&window);
	if (!found)
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_NOT_FOUND)),
				 errmsg("schedule " INT64_FORMAT " does not exist", id),
				 errdetail("There is no such schedule, or it belongs to another role."),
				 errhint("If a job of pg_cron says so, remove it by cron.unschedule().")));
	if (row->origin != cano_origin())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("schedule \"%s\" belongs to another database", row->name),
				 errhint("If that is gone, an administrator can use cano.adopt().")));
}

static bool
may_submit(int64 id, const CanoScheduleRow *row)
{
	CanoWindow	window;
	int			runs;

	if (row->overlap == CANO_OVERLAP_ALLOW)
		return true;
	cano_window_open(&window);
	runs = cano_store_schedule_runs(id, row->last_run);
	cano_window_close(&window);
	return runs < (row->overlap == CANO_OVERLAP_QUEUE ? 2 : 1);
}
