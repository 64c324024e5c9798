/*-------------------------------------------------------------------------
 *
 * meter.c
 *	  A rate limiter: when an attempt may begin, and when to ask again.
 *
 * A bucket's level is kept as a point in time: since when its first token is
 * there, or when it will be.  The n-th token is n - 1 intervals later, so to
 * take one is to add an interval, and a full bucket is one whose first token
 * is old enough.
 *
 *-------------------------------------------------------------------------
 */
#include "meter.h"

/* A token that lies unused so long is not kept for those who wait. */
#define GRACE_US		INT64_C(1000000)

/*
 * Who has long to wait comes and asks now and then, because the limiter may
 * have been set otherwise: after so long, and later where so many wait that
 * they would be asking every so often.
 */
#define LOOK_AGAIN_US	INT64_C(60000000)
#define APART_US		INT64_C(2000)

static void adjust(CanoMeter *meter, const CanoMeterPolicy *policy,
				   int64_t now);
static void forget_turns(CanoMeter *meter);
static CanoMoment first_token(const CanoMeter *meter, int64_t now);
static int64_t take(CanoMeter *meter, int64_t now);
static CanoTurn wait(CanoMeter *meter, int64_t now, int64_t turn);
static void advance(CanoMoment *line, const CanoMeterPolicy *policy,
					int64_t now);
static CanoMoment intervals(const CanoMeterPolicy *policy, int32_t n);
static CanoMoment plus(CanoMoment a, CanoMoment b, int32_t rate);
static CanoMoment minus(CanoMoment a, CanoMoment b, int32_t rate);
static CanoMoment later(CanoMoment a, CanoMoment b);
static bool is_before(CanoMoment a, CanoMoment b);
static bool is_same(const CanoMeterPolicy *a, const CanoMeterPolicy *b);

bool
cano_meter_is_allowed(const CanoMeterPolicy *policy)
{
	if (policy->rate < 1 || policy->burst < 0 ||
		policy->burst > INT32_MAX - policy->rate ||
		policy->per_us < 1 || policy->per_us > CANO_METER_LONGEST_US)
		return false;
	if (policy->kind == CANO_METER_WINDOW)
		return policy->burst == 0;
	return policy->per_us / policy->rate <=
		CANO_METER_LONGEST_US / (policy->rate + policy->burst);
}

void
cano_meter_init(CanoMeter *meter, const CanoMeterPolicy *policy)
{
	meter->policy = *policy;
	meter->first.at = INT64_MIN / 2;
	meter->first.part = 0;
	forget_turns(meter);
}

static void
forget_turns(CanoMeter *meter)
{
	CanoMoment	long_ago = {INT64_MIN / 2, 0};

	meter->turns = meter->others = meter->told = long_ago;
}

bool
cano_meter_take(CanoMeter *meter, const CanoMeterPolicy *policy, int64_t now,
				int64_t turn, int64_t *mark, CanoTurn *told)
{
	CanoMoment	here = {now, 0};
	CanoMoment	first;

	adjust(meter, policy, now);
	first = first_token(meter, now);
	if (!is_before(here, first))
	{
		bool		nobody_waits = meter->turns.at <= now &&
			meter->others.at <= now;
		bool		nobody_comes = now - first.at >= GRACE_US;

		if (nobody_waits || nobody_comes ||
			(turn != CANO_NO_TURN && turn <= now))
		{
			if (!nobody_waits && nobody_comes)
				forget_turns(meter);
			*mark = take(meter, now);
			return true;
		}
	}
	*told = wait(meter, now, turn);
	return false;
}

/*
 * Bring it in terms of the policy as it is now, and of the time if that was
 * set back.  How full it is stays as it is, in time.
 */
static void
adjust(CanoMeter *meter, const CanoMeterPolicy *policy, int64_t now)
{
	CanoMoment	here = {now, 0};
	CanoMoment	latest;

	if (meter->policy.kind != policy->kind)
		cano_meter_init(meter, policy);
	else if (!is_same(&meter->policy, policy))
	{
		if (policy->kind == CANO_METER_BUCKET && meter->first.part > 0)
		{
			meter->first.at++;
			meter->first.part = 0;
		}
		meter->policy = *policy;
		forget_turns(meter);
	}

	/* No bucket is emptier than empty, no window begins in the future. */
	latest = here;
	if (policy->kind == CANO_METER_BUCKET)
		latest = plus(here, intervals(policy, 1), policy->rate);
	else
		latest.part = meter->first.part;
	if (is_before(latest, meter->first))
	{
		meter->first = latest;
		forget_turns(meter);
	}
}

/*
 * Since when there is a token, or when there will be.
 */
static CanoMoment
first_token(const CanoMeter *meter, int64_t now)
{
	CanoMoment	first = meter->first;

	if (meter->policy.kind == CANO_METER_WINDOW)
	{
		if (first.part >= meter->policy.rate ||
			now - first.at >= meter->policy.per_us)
			first.at += meter->policy.per_us;
		first.part = 0;
	}
	return first;
}

/*
 * There is a token.
 */
static int64_t
take(CanoMeter *meter, int64_t now)
{
	const CanoMeterPolicy *policy = &meter->policy;
	CanoMoment	here = {now, 0};

	if (policy->kind == CANO_METER_WINDOW)
	{
		if (now - meter->first.at >= policy->per_us)
			meter->first = here;
		meter->first.part++;
	}
	else
	{
		CanoMoment	full = minus(here,
								 intervals(policy, policy->rate + policy->burst - 1),
								 policy->rate);

		meter->first = plus(later(meter->first, full), intervals(policy, 1),
							policy->rate);
	}
	return meter->first.at;
}

/*
 * Whose turn has come in vain goes before the newcomers: he is told of the
 * first token, if nobody else was (tokens may come later than they were told,
 * where one before was taken late), and else of one that is told to no other
 * of his like.  A turn beyond those that were told is of another time.
 */
static CanoTurn
wait(CanoMeter *meter, int64_t now, int64_t turn)
{
	const CanoMeterPolicy *policy = &meter->policy;
	int64_t		interval = policy->per_us / policy->rate;
	int64_t		look_again = LOOK_AGAIN_US;
	CanoMoment	last = later(meter->turns, meter->others);
	CanoTurn	told = {turn, turn};

	if (turn <= now || turn > last.at)
	{
		bool		is_new = turn == CANO_NO_TURN || turn > now;
		CanoMoment	first = first_token(meter, now);
		bool		is_next = is_before(meter->told, first);
		CanoMoment	line = later(is_new ? last : meter->others, first);

		if (is_next && !is_new)
			line = first;
		if (is_next && !is_before(first, line))
			meter->told = first;
		told.turn = line.at;
		if (policy->kind == CANO_METER_BUCKET && line.part > 0)
			told.turn++;
		advance(&line, policy, now);
		if (is_new)
			meter->turns = line;
		else
			meter->others = later(meter->others, line);
	}
	look_again += interval >= APART_US ?
		(told.turn - now) / (interval / APART_US) : told.turn - now;
	told.due = told.turn - now < look_again ? told.turn : now + look_again;
	return told;
}

/*
 * One token is shared out.
 */
static void
advance(CanoMoment *line, const CanoMeterPolicy *policy, int64_t now)
{
	if (line->at - now >= CANO_METER_LONGEST_US)
		return;
	if (policy->kind == CANO_METER_BUCKET)
		*line = plus(*line, intervals(policy, 1), policy->rate);
	else if (++line->part >= policy->rate)
	{
		line->at += policy->per_us;
		line->part = 0;
	}
}

/*
 * A bucket's mark is not looked at: it has room for one that was taken.
 */
void
cano_meter_return(CanoMeter *meter, const CanoMeterPolicy *policy,
				  int64_t mark)
{
	if (!is_same(&meter->policy, policy))
		return;
	if (policy->kind == CANO_METER_BUCKET)
		meter->first = minus(meter->first, intervals(policy, 1), policy->rate);
	else if (meter->first.at == mark && meter->first.part > 0)
		meter->first.part--;
}

int32_t
cano_meter_available(const CanoMeter *meter, const CanoMeterPolicy *policy,
					 int64_t now)
{
	CanoMeter	copy = *meter;
	CanoMoment	here = {now, 0};
	int32_t		least = 0;
	int32_t		most = policy->rate + policy->burst;

	adjust(&copy, policy, now);
	if (policy->kind == CANO_METER_WINDOW)
	{
		if (now - copy.first.at >= policy->per_us)
			return policy->rate;
		return copy.first.part < policy->rate ?
			policy->rate - copy.first.part : 0;
	}

	/* The last token that is there. */
	while (least < most)
	{
		int32_t		n = most - (most - least) / 2;
		CanoMoment	nth = plus(copy.first, intervals(policy, n - 1),
							   policy->rate);

		if (is_before(here, nth))
			most = n - 1;
		else
			least = n;
	}
	return least;
}

int64_t
cano_meter_idle_at(const CanoMeter *meter)
{
	const CanoMeterPolicy *policy = &meter->policy;
	CanoMoment	idle = meter->first;

	if (policy->kind == CANO_METER_WINDOW)
		idle.at += policy->per_us;
	else
		idle = plus(idle, intervals(policy, policy->rate + policy->burst - 1),
					policy->rate);
	return later(idle, later(meter->turns, meter->others)).at;
}

/* How long n tokens take. */
static CanoMoment
intervals(const CanoMeterPolicy *policy, int32_t n)
{
	int64_t		parts = (policy->per_us % policy->rate) * n;
	CanoMoment	sum = {
		.at = policy->per_us / policy->rate * n + parts / policy->rate,
		.part = (int32_t) (parts % policy->rate)
	};

	return sum;
}

static CanoMoment
plus(CanoMoment a, CanoMoment b, int32_t rate)
{
	int64_t		parts = (int64_t) a.part + b.part;
	CanoMoment	sum = {
		.at = a.at + b.at + (parts >= rate),
		.part = (int32_t) (parts >= rate ? parts - rate : parts)
	};

	return sum;
}

static CanoMoment
minus(CanoMoment a, CanoMoment b, int32_t rate)
{
	int64_t		parts = (int64_t) a.part - b.part;
	CanoMoment	difference = {
		.at = a.at - b.at - (parts < 0),
		.part = (int32_t) (parts < 0 ? parts + rate : parts)
	};

	return difference;
}

static CanoMoment
later(CanoMoment a, CanoMoment b)
{
	return is_before(a, b) ? b : a;
}

static bool
is_before(CanoMoment a, CanoMoment b)
{
	return a.at < b.at || (a.at == b.at && a.part < b.part);
}

static bool
is_same(const CanoMeterPolicy *a, const CanoMeterPolicy *b)
{
	return a->kind == b->kind && a->rate == b->rate && a->burst == b->burst &&
		a->per_us == b->per_us;
}
