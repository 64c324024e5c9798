/*-------------------------------------------------------------------------
 *
 * signal.c
 *	  cano.signal: something that a run may wait for has happened.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "debug.h"
#include "error.h"
#include "json.h"
#include "lookup.h"
#include "shmem.h"
#include "store_signal.h"
#include "window.h"

PG_FUNCTION_INFO_V1(cano_signal_run);
PG_FUNCTION_INFO_V1(cano_signal_key);

#define MAX_NAME	1000

static char *check_name(FunctionCallInfo fcinfo, int argument);
static Jsonb *check_payload(FunctionCallInfo fcinfo, int argument);
static bool is_visible(const CanoAddressee *to);
static void send(const CanoAddressee *to, const char *name,
				 const Jsonb *payload);

/*
 * signal(run bigint, name text, payload jsonb)
 */
Datum
cano_signal_run(PG_FUNCTION_ARGS)
{
	char	   *name = check_name(fcinfo, 1);
	Jsonb	   *payload = check_payload(fcinfo, 2);
	CanoAddressee to;
	CanoWindow	window;
	bool		found;

	cano_window_refuse_restricted("cano.signal");
	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(false);
	cano_window_open(&window);
	found = cano_store_find_run(PG_GETARG_INT64(0), &to);
	cano_window_close(&window);
	if (!found || !is_visible(&to))
		PG_RETURN_BOOL(false);
	send(&to, name, payload);
	PG_RETURN_BOOL(true);
}

/*
 * signal(key text, name text, payload jsonb, workflow text)
 */
Datum
cano_signal_key(PG_FUNCTION_ARGS)
{
	char	   *name = check_name(fcinfo, 1);
	Jsonb	   *payload = check_payload(fcinfo, 2);
	char	   *key;
	MemoryContext context = CurrentMemoryContext;
	CanoAddressee *found;
	CanoAddressee to;
	CanoWindow	window;
	int			n;
	int			nvisible = 0;

	cano_window_refuse_restricted("cano.signal");
	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(false);
	key = text_to_cstring(PG_GETARG_TEXT_PP(0));
	cano_window_open(&window);
	n = cano_store_find_key(key,
							PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3)),
							context, &found);
	cano_window_close(&window);

	/* Two roles may use the same key; others' runs are as if not there. */
	for (int i = 0; i < n; i++)
		if (is_visible(&found[i]))
		{
			to = found[i];
			nvisible++;
		}
	if (nvisible > 1)
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_CONFIGURATION)),
				 errmsg("key \"%s\" belongs to more than one run", key),
				 errhint("Say which: cano.signal(key => ..., workflow => ...), or name the run.")));
	if (nvisible == 1)
		send(&to, name, payload);
	PG_RETURN_BOOL(nvisible == 1);
}

static void
send(const CanoAddressee *to, const char *name, const Jsonb *payload)
{
	TimestampTz now = cano_now();
	CanoPlace	place;
	CanoWindow	window;

	cano_window_open(&window);
	place = cano_store_signal(to, name, payload, now);
	cano_window_close(&window);
	cano_wake_at_commit(to->owner, now, place);
}

static bool
is_visible(const CanoAddressee *to)
{
	return cano_lookup_can_see_row(to->owner, NameStr(to->owner_name),
								   to->origin);
}

static char *
check_name(FunctionCallInfo fcinfo, int argument)
{
	char	   *name = PG_ARGISNULL(argument) ? "" :
		text_to_cstring(PG_GETARG_TEXT_PP(argument));
	int			length = pg_mbstrlen(name);

	if (length < 1 || length > MAX_NAME)
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_CONFIGURATION)),
				 errmsg("name of a signal must have 1 to %d characters",
						MAX_NAME)));
	return name;
}

static Jsonb *
check_payload(FunctionCallInfo fcinfo, int argument)
{
	Jsonb	   *payload;

	if (PG_ARGISNULL(argument))
		return NULL;
	payload = PG_GETARG_JSONB_P(argument);
	cano_json_refuse_large(payload, "payload");
	return payload;
}
