/*-------------------------------------------------------------------------
 *
 * external.c
 *	  Work that clients outside the database do: what its run has to do with
 *	  it.
 *
 * The run waits as for a signal, whose name is '' and whose payload is the
 * answer.  An answer says which attempt of which visit it is for; any other
 * is not received.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "external.h"
#include "json.h"
#include "store_external.h"
#include "store_signal.h"
#include "window.h"

static void look_after(CanoSettlement *settlement, const CanoRun *run,
					   bool withdrawn);
static bool take_reply(CanoRun *run, MemoryContext context);
static void begin_reply(CanoJson *json, int64 sequence, int attempt);
static bool get_value(const Jsonb *object, const char *key, JsonbValue *value);

void
cano_external_offer(CanoSettlement *settlement, const CanoRun *run)
{
	CanoRows   *rows = &settlement->offers;
	int			row = cano_rows_add(rows);

	cano_rows_set(rows, row, 0, Int64GetDatum(run->id));
	cano_rows_set(rows, row, 1, Int64GetDatum(run->sequence));
	cano_rows_set(rows, row, 2, Int32GetDatum(run->attempt));
	cano_rows_set(rows, row, 3, ObjectIdGetDatum(settlement->owner));
	cano_rows_set(rows, row, 4, Int32GetDatum(run->priority));
	cano_rows_set(rows, row, 5, Int64GetDatum(run->job));
	cano_rows_set_text(rows, row, 6, cano_run_extra(run)->queue);
	cano_rows_set_text(rows, row, 7, run->state_name);
}

void
cano_external_withdraw(CanoSettlement *settlement, const CanoRun *run)
{
	look_after(settlement, run, true);
}

void
cano_external_settle_lease(CanoSettlement *settlement, const CanoRun *run)
{
	look_after(settlement, run, false);
}

static void
look_after(CanoSettlement *settlement, const CanoRun *run, bool withdrawn)
{
	CanoRows   *rows = &settlement->leases;
	int			row = cano_rows_add(rows);

	cano_rows_set(rows, row, 0, Int64GetDatum(run->id));
	cano_rows_set(rows, row, 1, BoolGetDatum(withdrawn));
}

/*
 * An answer that was committed before the attempt's time was over counts,
 * however late the worker is.  So the work is locked first, against clients
 * that are about to answer, and then the answer looked for.
 */
bool
cano_external_receive(CanoSettlement *settlement, CanoRun *run,
					  MemoryContext context)
{
	int64		timeout = cano_run_extra(run)->timeout_ms;
	TimestampTz due = DT_NOEND;
	TimestampTz leased_until = DT_NOBEGIN;
	CanoHold	hold = CANO_HOLD_NONE;
	bool		over = run->stop || settlement->now >= cano_run_deadline(run);
	bool		abandoned = !run->stop && run->definition->model.abandons;
	bool		late;
	bool		received;
	CanoWindow	window;

	if (over && cano_run_state(run)->undo == NULL)
		return true;
	if (timeout > 0)
		due = TimestampTzPlusMilliseconds(run->since, timeout);
	late = over || settlement->now >= due;

	cano_window_open(&window);
	if (late)
		hold = cano_store_hold_work(run->id, &leased_until);
	received = take_reply(run, context);
	cano_window_close(&window);
	MemoryContextSwitchTo(context);

	run->duty = received ? CANO_DUTY_SIGNAL : CANO_DUTY_WAKE;
	if (received)
		return true;
	if (over && !abandoned && leased_until > settlement->now)
	{
		/*
		 * What has to be undone if it was done: a client who is at it may end
		 * it.  Whoever listens would be told at once that the run is to stop.
		 */
		due = Min(leased_until, TimestampTzPlusMilliseconds(settlement->now,
															CANO_LOOK_AGAIN_MS));
		cano_settle_timer(settlement, run, due, CANO_WAIT_EXTERNAL);
		return false;
	}
	if (late && hold != CANO_HOLD_CLIENT)
	{
		cano_external_withdraw(settlement, run);
		return true;
	}
	if (late)
		due = TimestampTzPlusMilliseconds(settlement->now,
										  CANO_LOOK_AGAIN_MS);
	cano_settle_timer(settlement, run, due, CANO_WAIT_EXTERNAL);
	cano_settle_listener(settlement, run->id);
	return false;
}

static bool
take_reply(CanoRun *run, MemoryContext context)
{
	Jsonb	   *reply;

	while (cano_store_take_signal(run->id, "", context, &reply))
	{
		if (reply == NULL || cano_json_get_int(reply, "sequence", -1) != run->sequence ||
			cano_json_get_int(reply, "attempt", -1) != run->attempt)
			continue;
		run->reply = reply;
		return true;
	}
	return false;
}

Jsonb *
cano_external_success(int64 sequence, int attempt, const Jsonb *output,
					  const char *next)
{
	CanoJson	json;

	begin_reply(&json, sequence, attempt);
	if (output != NULL)
		cano_json_value(&json, "output", output);
	if (next != NULL)
		cano_json_text(&json, "next", next);
	return cano_json_end(&json);
}

Jsonb *
cano_external_failure(int64 sequence, int attempt, const char *error,
					  bool retry)
{
	CanoJson	json;

	begin_reply(&json, sequence, attempt);
	cano_json_text(&json, "error", error);
	if (!retry)
		cano_json_int(&json, "permanent", 1);
	return cano_json_end(&json);
}

static void
begin_reply(CanoJson *json, int64 sequence, int attempt)
{
	cano_json_begin(json);
	cano_json_int(json, "sequence", sequence);
	cano_json_int(json, "attempt", attempt);
}

/*
 * The answer that a lease is over comes from the engine itself.
 */
void
cano_external_read(const Jsonb *reply, CanoReturn *said, CanoError **error)
{
	const char *message = cano_json_get_text(reply, "error");
	JsonbValue	value;

	*error = NULL;
	said->what = CANO_SAID_NEXT;
	if (message != NULL)
	{
		*error = cano_error_make(get_value(reply, "permanent", &value) ?
								 CANO_CAT_PERMANENT : CANO_CAT_TASK_EXECUTION,
								 "%s", message);
	}
	else if (get_value(reply, "expired", &value))
		*error = cano_error_make(CANO_CAT_TIMEOUT,
								 "the lease of a client expired");
	else
	{
		said->target = cano_json_get_text(reply, "next");
		if (get_value(reply, "output", &value))
			said->output = JsonbValueToJsonb(&value);
	}
}

static bool
get_value(const Jsonb *object, const char *key, JsonbValue *value)
{
	return getKeyJsonValueFromContainer(unconstify(JsonbContainer *, &object->root),
										key, strlen(key), value) != NULL;
}
