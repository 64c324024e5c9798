/*-------------------------------------------------------------------------
 *
 * part.c
 *	  Values inside a definition: intervals and points in time as text that
 *	  reads the same under any setting; and the function that builds parts.
 *
 * A definition outlives the session that made it, so nothing in it may depend
 * on IntervalStyle, DateStyle or TimeZone.  Intervals are printed in the
 * style "postgres", whose signs are explicit and therefore read the same
 * under every IntervalStyle; points in time are ISO 8601 in UTC.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "compat.h"
#include "error.h"
#include "part.h"

PG_FUNCTION_INFO_V1(cano_part);

static bool part_value(Oid type, Datum datum, JsonbValue *value);
static void string_value(char *text, JsonbValue *value);

/*
 * cano._part(VARIADIC "any"): keys and values in turn.
 */
Datum
cano_part(PG_FUNCTION_ARGS)
{
	JsonbInState state = {0};
	Datum	   *values;
	Oid		   *types;
	bool	   *nulls;
	int			n = extract_variadic_args(fcinfo, 0, true, &values, &types,
										  &nulls);

	if (n < 0 || n % 2 != 0)
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_CONFIGURATION)),
				 errmsg("a part is built from keys and values in turn")));

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < n; i += 2)
	{
		JsonbValue	key;
		JsonbValue	value;

		if (nulls[i] || types[i] != TEXTOID)
			ereport(ERROR,
					(errcode(cano_errcode(CANO_CAT_CONFIGURATION)),
					 errmsg("a part's keys must be text")));
		if (nulls[i + 1] || !part_value(types[i + 1], values[i + 1], &value))
			continue;
		string_value(TextDatumGetCString(values[i]), &key);
		pushJsonbValue(&state, WJB_KEY, &key);
		pushJsonbValue(&state, WJB_VALUE, &value);
	}
	pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	PG_RETURN_JSONB_P(JsonbValueToJsonb(state.result));
}

/*
 * False for a JSON null, which means the same as no value.
 */
static bool
part_value(Oid type, Datum datum, JsonbValue *value)
{
	switch (type)
	{
		case TEXTOID:
			string_value(TextDatumGetCString(datum), value);
			return true;

		case INT4OID:
			value->type = jbvNumeric;
			value->val.numeric = int64_to_numeric(DatumGetInt32(datum));
			return true;

		case FLOAT8OID:
			datum = DirectFunctionCall1(float8_numeric, datum);
			value->type = jbvNumeric;
			value->val.numeric = DatumGetNumeric(datum);
			/* JSON has no word for these; define refuses the string. */
			if (numeric_is_nan(value->val.numeric) ||
				numeric_is_inf(value->val.numeric))
				string_value(DatumGetCString(DirectFunctionCall1(numeric_out, datum)),
							 value);
			return true;

		case INTERVALOID:
			string_value(cano_part_interval(DatumGetIntervalP(datum)), value);
			return true;

		case TIMESTAMPTZOID:
			string_value(cano_part_instant(DatumGetTimestampTz(datum)), value);
			return true;

		case JSONBOID:
			{
				Jsonb	   *jsonb = DatumGetJsonbP(datum);

				if (JsonbExtractScalar(&jsonb->root, value))
					return value->type != jbvNull;
				value->type = jbvBinary;
				value->val.binary.data = &jsonb->root;
				value->val.binary.len = VARSIZE(jsonb) - VARHDRSZ;
				return true;
			}

		default:
			ereport(ERROR,
					(errcode(cano_errcode(CANO_CAT_CONFIGURATION)),
					 errmsg("a part cannot hold a value of type %s",
							format_type_be(type))));
	}
	return false;
}

static void
string_value(char *text, JsonbValue *value)
{
	value->type = jbvString;
	value->val.string.val = text;

	value->val.string.len = strlen(text);
}

char *
cano_part_interval(const Interval *interval)
{
	struct pg_itm itm;
	char		buffer[MAXDATELEN + 1];

	if (INTERVAL_NOT_FINITE(interval))
		return pstrdup("infinity");
	interval2itm(*interval, &itm);
	EncodeInterval(&itm, INTSTYLE_POSTGRES, buffer);
	return pstrdup(buffer);
}

char *
cano_part_instant(TimestampTz instant)
{
	struct pg_tm tm;
	fsec_t		fsec;
	char		buffer[MAXDATELEN + 1];

	if (TIMESTAMP_NOT_FINITE(instant))
		return pstrdup("infinity");
	if (timestamp2tm(instant, NULL, &tm, &fsec, NULL, NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	tm.tm_isdst = 0;			/* below 0, the time zone would not be printed */
	EncodeDateTime(&tm, fsec, true, 0, NULL, USE_ISO_DATES, buffer);
	return pstrdup(buffer);
}

bool
cano_part_read_interval(const char *text, Interval *interval)
{
	struct pg_itm_in itm = {0};
	char		buffer[256];
	char	   *field[MAXDATEFIELDS];
	int			ftype[MAXDATEFIELDS];
	int			nfields;
	int			dtype = DTK_DELTA;
	int			error;

	error = ParseDateTime(text, buffer, sizeof(buffer), field, ftype,
						  MAXDATEFIELDS, &nfields);
	if (error == 0)
		error = DecodeInterval(field, ftype, nfields, INTERVAL_FULL_RANGE,
							   &dtype, &itm);
	if (error == DTERR_BAD_FORMAT)
		error = DecodeISO8601Interval(pstrdup(text), &dtype, &itm);
	return error == 0 && dtype == DTK_DELTA &&
		itmin2interval(&itm, interval) == 0 && !INTERVAL_NOT_FINITE(interval);
}

bool
cano_part_read_instant(const char *text, TimestampTz *instant)
{
	struct pg_tm tm = {0};
	fsec_t		fsec;
	int			tz = 0;
	char		buffer[MAXDATELEN + MAXDATEFIELDS];
	char	   *field[MAXDATEFIELDS];
	int			ftype[MAXDATEFIELDS];
	int			nfields;
	int			dtype = DTK_DATE;
	int			error;

	error = ParseDateTime(text, buffer, sizeof(buffer), field, ftype,
						  MAXDATEFIELDS, &nfields);
	if (error == 0)
		error = DecodeDateTime(field, ftype, nfields, &dtype, &tm, &fsec, &tz
							   CANO_DECODE_EXTRA);
	return error == 0 && dtype == DTK_DATE &&
		tm2timestamp(&tm, fsec, &tz, instant) == 0;
}

int
cano_part_sign(const Interval *interval)
{
	Interval	nothing = {0};

	return DatumGetInt32(DirectFunctionCall2(interval_cmp,
											 IntervalPGetDatum(interval),
											 IntervalPGetDatum(&nothing)));
}

int64
cano_part_milliseconds(const Interval *interval)
{
	int64		days = (int64) interval->month * DAYS_PER_MONTH + interval->day;
	int64		ms = interval->time / 1000;

	if (interval->time % 1000 > 0)
		ms++;
	return days * INT64CONST(86400000) + ms;
}
