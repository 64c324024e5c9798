/*-------------------------------------------------------------------------
 *
 * limiter.c
 *	  Limiters: named rate limiters that the attempts of all runs share.
 *
 * The clock is read while a meter is locked, so that for a meter it goes
 * forward whoever asks.  What named.c forgets is full again, but it forgets
 * those first that are, or will be soonest.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "debug.h"
#include "error.h"
#include "limiter.h"
#include "part.h"
#include "window.h"

static CanoMeterKind kind_argument(FunctionCallInfo fcinfo);
static void read_policy(const Datum *settings, void *policy);
static void init_meter(void *meter, const void *policy, uint64 serial);

PG_FUNCTION_INFO_V1(cano_create_limiter);
PG_FUNCTION_INFO_V1(cano_drop_limiter);
PG_FUNCTION_INFO_V1(cano_limiter_available);

static CanoNamed limiters = {
	.kind = CANO_NAMED_LIMITER,
	.noun = "limiter",
	.policy_size = sizeof(CanoMeterPolicy),
	.state_size = sizeof(CanoMeter),
	.read_policy = read_policy,
	.init_state = init_meter
};

/* ---- What users call ---- */

/*
 * cano.create_limiter(name text, rate integer, per interval, burst integer,
 * kind text) RETURNS void
 */
Datum
cano_create_limiter(PG_FUNCTION_ARGS)
{
	char	   *name;
	Datum		settings[CANO_NAMED_SETTINGS];
	CanoMeterPolicy policy;

	cano_window_refuse_restricted("cano.create_limiter");
	name = cano_named_name(&limiters, fcinfo);
	settings[0] = Int32GetDatum(cano_named_integer(&limiters, fcinfo, 1,
												   "rate", 1));
	settings[1] = Int32GetDatum(cano_named_integer(&limiters, fcinfo, 3,
												   "burst", 0));
	settings[2] = IntervalPGetDatum(cano_named_interval(&limiters, fcinfo, 2,
														"per"));
	settings[3] = CharGetDatum(kind_argument(fcinfo));

	read_policy(settings, &policy);
	if (policy.kind == CANO_METER_WINDOW && policy.burst > 0)
		cano_named_refuse(&limiters, "burst",
						  "must be 0 when its kind is \"window\"");
	if (!cano_meter_is_allowed(&policy))
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_CONFIGURATION)),
				 errmsg("a limiter's rate and burst are too large"),
				 errdetail("Together they must be at most %d, and take at most 1000 years at that rate.",
						   INT32_MAX)));
	cano_named_create(&limiters, name, settings);
	PG_RETURN_VOID();
}

static CanoMeterKind
kind_argument(FunctionCallInfo fcinfo)
{
	char	   *kind = PG_ARGISNULL(4) ? "" :
		text_to_cstring(PG_GETARG_TEXT_PP(4));

	if (strcmp(kind, "bucket") == 0)
		return CANO_METER_BUCKET;
	if (strcmp(kind, "window") != 0)
		cano_named_refuse(&limiters, "kind",
						  "must be \"bucket\" or \"window\"");
	return CANO_METER_WINDOW;
}

/*
 * cano.drop_limiter(name text) RETURNS void
 */
Datum
cano_drop_limiter(PG_FUNCTION_ARGS)
{
	cano_window_refuse_restricted("cano.drop_limiter");
	cano_named_drop(&limiters, cano_named_name(&limiters, fcinfo));
	PG_RETURN_VOID();
}

/*
 * cano._available(limiter bigint, rate integer, burst integer, per interval,
 * kind "char") RETURNS integer
 */
Datum
cano_limiter_available(PG_FUNCTION_ARGS)
{
	CanoNamedKey key = cano_named_key(PG_GETARG_INT64(0));
	Datum		settings[] = {
		PG_GETARG_DATUM(1),
		PG_GETARG_DATUM(2),
		PG_GETARG_DATUM(3),
		PG_GETARG_DATUM(4)
	};
	CanoMeterPolicy policy;
	CanoMeter	meter;

	/* Whoever may see limiters may call this with anything. */
	read_policy(settings, &policy);
	if (!cano_meter_is_allowed(&policy))
		PG_RETURN_NULL();
	if (!cano_named_copy(&limiters, &key, &meter))
		cano_meter_init(&meter, &policy);
	PG_RETURN_INT32(cano_meter_available(&meter, &policy, cano_now()));
}

static void
read_policy(const Datum *settings, void *policy)
{
	CanoMeterPolicy *meter_policy = policy;

	meter_policy->rate = DatumGetInt32(settings[0]);
	meter_policy->burst = DatumGetInt32(settings[1]);
	meter_policy->per_us = 1000 *
		cano_part_milliseconds(DatumGetIntervalP(settings[2]));
	meter_policy->kind = DatumGetChar(settings[3]);
}

static void
init_meter(void *meter, const void *policy, uint64 serial)
{
	cano_meter_init(meter, policy);
}

/* ---- Tokens ---- */

CanoAdmission
cano_limiter_take(const char *name, int64 turn, CanoToken *token,
				  CanoTurn *told)
{
	CanoMeter  *meter;

	if (!cano_named_find(&limiters, name, &token->key, &token->policy))
		return CANO_NO_LIMITER;
	meter = cano_named_lock(&limiters, &token->key, &token->policy);
	token->taken = cano_meter_take(meter, &token->policy, cano_now(), turn,
								   &token->mark, told);
	cano_named_release(&limiters, meter, cano_meter_idle_at(meter));
	return token->taken ? CANO_ADMITTED : CANO_MUST_WAIT;
}

void
cano_limiter_return(CanoToken *token)
{
	CanoMeter  *meter = token->taken ?
		cano_named_lock_used(&limiters, &token->key) : NULL;

	if (meter != NULL)
	{
		cano_meter_return(meter, &token->policy, token->mark);
		cano_named_release(&limiters, meter, cano_meter_idle_at(meter));
	}
	token->taken = false;
}

bool
cano_limiter_exists(const char *name)
{
	CanoMeterPolicy policy;
	CanoNamedKey key;

	return cano_named_find(&limiters, name, &key, &policy);
}

void
cano_limiter_request_memory(void)
{
	cano_named_request_memory(&limiters);
}

void
cano_limiter_make_memory(void)
{
	cano_named_make_memory(&limiters);
}
