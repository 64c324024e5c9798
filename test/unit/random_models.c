/*-------------------------------------------------------------------------
 *
 * random_models.c
 *	  The decision core against the rules of the contract, written down a
 *	  second time, over random small workflows and random events.
 *
 * Build: gcc test/unit/random_models.c src/fsm.c src/retry.c -lm
 * Run:   random_models [cases [seed]]
 *
 * The rules below are told field by field, not event by event as the core
 * tells them, so that a slip in one is unlikely to be repeated in the other.
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/fsm.h"
#include "../../src/retry.h"

#define MAX_STATES	6

typedef struct Case
{
	CanoModel	model;
	CanoState	states[MAX_STATES];
	int			targets[MAX_STATES][MAX_STATES];
	const char *fatal_on[MAX_STATES][3];
	CanoPosition position;
	CanoEvent	event;
} Case;

/* What the rules say of one event, in words of their own. */
typedef struct Verdict
{
	int			successor;		/* the state gone to, -1: none */
	bool		again;			/* the same state tries again */
	bool		stays;			/* the same state, in the same visit, goes on */
	bool		allowed;		/* the event is one that this state knows */
} Verdict;

static const char *const names[] = {"a", "b", "A", "ab", "", "long name"};
static const char *const codes[] = {
	"P0001", "P0004", "XX000", "XX001", "CN900", "23505", "23503", "42P01",
	"42601", "57014", "40001", "CN014", "22P02", "P0003"
};
static const char *const fatals[] = {"23", "42P01", "57", "CN", "22P02", "P0"};

static uint64_t seed;

static uint32_t
below(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t) (seed >> 11) % n;
}

static bool
chance(int percent)
{
	return below(100) < (uint32_t) percent;
}

/* ---- making cases ---- */

static CanoRetry
random_retry(void)
{
	static const double multipliers[] = {1.0, 1.5, 2.0, 3.0, 10.0, 0.5};
	static const int64_t bases[] = {0, 1, 7, 100, 2500};
	static const int64_t caps[] = {1, 50, 1000, 30000};
	CanoRetry	retry = {.policy = CANO_RETRY_NONE};

	if (chance(30))
		return retry;
	retry.policy = chance(40) ? CANO_RETRY_FIXED : CANO_RETRY_EXPONENTIAL;
	retry.retries = below(5);
	retry.base_ms = bases[below(5)];
	if (retry.policy == CANO_RETRY_EXPONENTIAL)
	{
		retry.max_ms = caps[below(4)];
		retry.multiplier = multipliers[below(6)];
		retry.jitter = below(5) / 4.0;
	}
	return retry;
}

static void
random_state(Case *c, int i, int nstates)
{
	static const CanoKind kinds[] = {
		CANO_KIND_TASK, CANO_KIND_TASK, CANO_KIND_ROUTER, CANO_KIND_TIMER,
		CANO_KIND_EXIT, CANO_KIND_STEPPED, CANO_KIND_POLL, CANO_KIND_POLL
	};
	CanoState	state = {.name = names[i]};

	state.kind = kinds[below(8)];
	state.next = CANO_NO_STATE;
	if (state.kind == CANO_KIND_TIMER ||
		(state.kind != CANO_KIND_ROUTER && state.kind != CANO_KIND_EXIT &&
		 chance(70)))
		state.next = below(nstates);
	if (state.kind == CANO_KIND_POLL)
		state.max_errors = below(4);
	state.anywhere = true;
	if (state.kind == CANO_KIND_EXIT)
		state.ending = (CanoEnding) below(3);
	else if (state.kind == CANO_KIND_TIMER)
		state.calls = chance(50);
	else
	{
		state.calls = true;
		state.anywhere = chance(40);
		if (!state.anywhere)
			for (int n = below(3); n > 0; n--)
				c->targets[i][state.ntargets++] = below(nstates);
		state.targets = c->targets[i];
	}
	if (state.calls)
	{
		state.retry = random_retry();
		for (int n = chance(50) ? 0 : below(3); n > 0; n--)
			c->fatal_on[i][state.nfatal++] = fatals[below(6)];
		state.fatal_on = c->fatal_on[i];
	}
	c->states[i] = state;
}

static void
random_event(Case *c)
{
	static const CanoCategory categories[] = {
		CANO_CAT_TASK_EXECUTION, CANO_CAT_TASK_EXECUTION, CANO_CAT_TIMEOUT,
		CANO_CAT_MISSING_ARGUMENT, CANO_CAT_NOT_FOUND
	};
	static const int64_t delays[] = {0, 0, 1, 5000000, -3};
	CanoEvent  *event = &c->event;
	const CanoState *state = &c->states[c->position.state];

	/* Only what can happen: a state that calls nothing cannot say anything. */
	if (!state->calls)
		event->what = state->kind == CANO_KIND_TIMER && chance(50) ?
			CANO_WOKEN : CANO_ARRIVED;
	else
	{
		static const CanoHappened said[] = {
			CANO_SAID_NEXT, CANO_SAID_NEXT, CANO_SAID_NEXT, CANO_SAID_MORE,
			CANO_SAID_PENDING, CANO_SAID_FAILED, CANO_SAID_CANCELLED,
			CANO_ATTEMPT_FAILED, CANO_ATTEMPT_FAILED, CANO_ATTEMPT_FAILED,
			CANO_CRASHED
		};

		event->what = said[below(11)];
		if (state->kind == CANO_KIND_TIMER && event->what <= CANO_SAID_CANCELLED)
			event->what = chance(70) ? CANO_SAID_UNTIL : CANO_WOKEN;
	}
	if (chance(60))
		event->target = chance(90) ? names[below(c->model.nstates)] : "nowhere";
	event->delay_us = delays[below(5)];
	event->category = categories[below(5)];
	event->sqlstate = codes[below(14)];
	event->crashes = 1 + below(5);
}

static void
random_case(Case *c)
{
	memset(c, 0, sizeof(*c));
	c->model.nstates = 1 + below(MAX_STATES);
	c->model.states = c->states;
	for (int i = 0; i < c->model.nstates; i++)
		random_state(c, i, c->model.nstates);
	c->position.state = below(c->model.nstates);
	c->position.attempt = 1 + below(6);
	if (c->states[c->position.state].kind == CANO_KIND_POLL)
		c->position.errors = below(5);
	c->position.max_attempts = chance(70) ? 0 : 1 + below(5);
	c->position.max_crashes = 1 + below(4);
	c->position.random = ((int) below(2001) - 1000) / 1000.0;
	random_event(c);
}

/* ---- the rules ---- */

static bool
never_retried(const Case *c)
{
	const CanoState *state = &c->states[c->position.state];
	const char *code = c->event.sqlstate;

	for (int i = 0; i < state->nfatal; i++)
	{
		const char *fatal = state->fatal_on[i];

		if (strlen(fatal) == 5 ? strcmp(fatal, code) == 0
			: fatal[0] == code[0] && fatal[1] == code[1])
			return true;
	}
	return strcmp(code, "CN900") == 0;
}

static bool
panicked(const Case *c)
{
	const char *code = c->event.sqlstate;

	return (code[0] == 'X' && code[1] == 'X') || !strcmp(code, "P0004");
}

static int
allowed_attempts(const Case *c)
{
	const CanoRetry *retry = &c->states[c->position.state].retry;

	if (c->position.max_attempts)
		return c->position.max_attempts;
	return retry->policy == CANO_RETRY_NONE ? 1 : 1 + retry->retries;
}

/*
 * A poll looks over so many errors in a row: those that could be retried, but
 * not that its time is up.
 */
static bool
forgiven(const Case *c)
{
	const CanoState *state = &c->states[c->position.state];

	return c->event.what == CANO_ATTEMPT_FAILED &&
		state->kind == CANO_KIND_POLL &&
		c->position.errors + 1 <= state->max_errors &&
		!never_retried(c) && !panicked(c) &&
		c->event.category != CANO_CAT_MISSING_ARGUMENT &&
		c->event.category != CANO_CAT_TIMEOUT;
}

static Verdict
judge(const Case *c)
{
	const CanoState *state = &c->states[c->position.state];
	Verdict		v = {.successor = -1, .allowed = true};
	bool		listed;

	switch (c->event.what)
	{
		case CANO_ARRIVED:
			v.successor = c->position.state;
			break;
		case CANO_WOKEN:
			v.successor = state->next;
			break;
		case CANO_SAID_NEXT:
			v.successor = state->next;
			if (c->event.target)
			{
				v.successor = -1;
				for (int i = 0; i < c->model.nstates; i++)
					if (!strcmp(c->states[i].name, c->event.target))
						v.successor = i;
				listed = state->anywhere || v.successor == state->next;
				for (int i = 0; i < state->ntargets; i++)
					listed |= state->targets[i] == v.successor;
				if (!listed)
					v.successor = -1;
			}
			v.allowed = v.successor >= 0;
			break;
		case CANO_SAID_MORE:
			v.stays = v.allowed = state->kind == CANO_KIND_STEPPED;
			break;
		case CANO_SAID_PENDING:
			v.stays = v.allowed = state->kind == CANO_KIND_POLL;
			break;
		case CANO_ATTEMPT_FAILED:
			v.stays = forgiven(c);
			v.again = c->position.attempt < allowed_attempts(c) &&
				!never_retried(c) && !panicked(c) &&
				c->event.category != CANO_CAT_MISSING_ARGUMENT;
			break;
		case CANO_CRASHED:
			v.again = c->event.crashes < c->position.max_crashes;
			break;
		default:
			break;
	}
	return v;
}

static CanoFault
fault_of(const Case *c)
{
	const CanoState *state = &c->states[c->position.state];
	bool		known = false;

	switch (c->event.what)
	{
		case CANO_CRASHED:
			return CANO_FAULT_POISONED;
		case CANO_SAID_FAILED:
		case CANO_SAID_CANCELLED:
			return CANO_FAULT_VERDICT;
		case CANO_SAID_MORE:
		case CANO_SAID_PENDING:
			return CANO_FAULT_WRONG_OUTCOME;
		case CANO_ATTEMPT_FAILED:
			return allowed_attempts(c) <= 1 || never_retried(c) || panicked(c) ||
				c->event.category == CANO_CAT_MISSING_ARGUMENT ?
				CANO_FAULT_TASK : CANO_FAULT_EXHAUSTED;
		default:
			if (!c->event.target)
				return state->next < 0 ? CANO_FAULT_NO_NEXT : CANO_FAULT_NONE;
			for (int i = 0; i < c->model.nstates; i++)
				known |= !strcmp(c->states[i].name, c->event.target);
			return known ? CANO_FAULT_NOT_A_TARGET : CANO_FAULT_UNKNOWN_STATE;
	}
}

static CanoCategory
category_of(const Case *c, CanoFault fault)
{
	switch (fault)
	{
		case CANO_FAULT_POISONED:
			return CANO_CAT_POISONED;
		case CANO_FAULT_VERDICT:
			return c->event.what == CANO_SAID_FAILED ?
				CANO_CAT_TASK_EXECUTION : CANO_CAT_CANCELLED;
		case CANO_FAULT_EXHAUSTED:
			return CANO_CAT_RETRY_EXHAUSTED;
		case CANO_FAULT_TASK:
			return never_retried(c) ? CANO_CAT_PERMANENT : c->event.category;
		default:
			return CANO_CAT_WORKFLOW;
	}
}

/* Bounds for the delay before the next attempt, in milliseconds. */
static void
retry_delay(const Case *c, double *least, double *most)
{
	CanoRetry	retry = c->states[c->position.state].retry;
	double		ms;

	if (retry.policy == CANO_RETRY_NONE)	/* only the run's limit asks for it */
		retry = cano_retry_default(1);
	ms = retry.base_ms;
	*least = *most = ms;
	if (retry.policy == CANO_RETRY_FIXED || ms == 0)
		return;
	for (int i = 1; i < c->position.attempt; i++)
		ms *= retry.multiplier;
	if (ms > retry.max_ms)
		ms = retry.max_ms;
	ms *= 1 + retry.jitter * c->position.random;
	*least = floor(ms - 1e-6);
	*most = floor(ms + 1e-6);
	if (*least < 1)
		*least = 1;
	if (*most < 1)
		*most = 1;
}

/* ---- comparing ---- */

#define SAME(what, got, wanted) do { \
	long long got_ = (long long) (got), wanted_ = (long long) (wanted); \
	if (got_ != wanted_) \
	{ \
		printf("# %s is %lld, not %lld\n", what, got_, wanted_); \
		good = false; \
	} \
} while (0)

static bool
check_end(const Case *c, const CanoDecision *d, const Verdict *v)
{
	bool		good = true;
	bool		at_exit = v->allowed && v->successor >= 0;
	CanoFault	fault = fault_of(c);
	bool		verdict = fault == CANO_FAULT_VERDICT;

	SAME("verb", d->verb, CANO_END);
	SAME("cursor", d->cursor, false);
	if (at_exit)
	{
		CanoEnding	ending = c->states[v->successor].ending;

		SAME("state", d->state, v->successor);
		SAME("entered", d->entered, c->event.what != CANO_ARRIVED);
		SAME("ending", d->ending, ending);
		SAME("fault", d->fault,
			 ending == CANO_COMPLETED ? CANO_FAULT_NONE : CANO_FAULT_EXIT);
		if (ending != CANO_COMPLETED)
			SAME("category", d->category, CANO_CAT_WORKFLOW);
		SAME("keep", d->keep, true);
		SAME("dead", d->dead, false);
		SAME("failed_attempt", d->failed_attempt, false);
		return good;
	}
	SAME("state", d->state, c->position.state);
	SAME("entered", d->entered, false);
	SAME("ending", d->ending, c->event.what == CANO_SAID_CANCELLED ?
		 CANO_CANCELLED : CANO_FAILED);
	SAME("fault", d->fault, fault);
	SAME("category", d->category, category_of(c, fault));
	SAME("keep", d->keep, verdict);

	/*
	 * Whether an outcome that is not allowed counts as a failed attempt, and
	 * it or a poisoned run as a dead letter, the contract leaves open.
	 */
	if (c->event.what == CANO_ATTEMPT_FAILED || verdict)
	{
		SAME("failed_attempt", d->failed_attempt, !verdict);
		SAME("dead", d->dead, !verdict);
	}
	return good;
}

static bool
check_again(const Case *c, const CanoDecision *d)
{
	bool		good = true;
	bool		crashed = c->event.what == CANO_CRASHED;
	double		least,
				most;

	SAME("state", d->state, c->position.state);
	SAME("entered", d->entered, false);
	SAME("keep", d->keep, false);
	SAME("duty", d->duty, CANO_DUTY_ENTER);
	SAME("own_time", d->own_time, false);
	SAME("cursor", d->cursor, false);
	SAME("failed_attempt", d->failed_attempt, !crashed);
	SAME("attempt", d->attempt, c->position.attempt + !crashed);
	if (d->verb == CANO_WAIT)
		SAME("waiting", d->waiting, CANO_WAIT_RETRY);
	if (!crashed)
	{
		SAME("errors", d->errors, 0);
		retry_delay(c, &least, &most);
		SAME("verb", d->verb, most > 0 ? CANO_WAIT : CANO_GO);
		if (d->verb == CANO_WAIT &&
			(d->delay_us < least * 1000 || d->delay_us > most * 1000))
		{
			printf("# delay is %" PRId64 " us, not %.0f to %.0f ms\n",
				   d->delay_us, least, most);
			good = false;
		}
	}
	else
		SAME("ends", d->verb == CANO_END, false);
	return good;
}

static bool
check_stay(const Case *c, const CanoDecision *d)
{
	bool		good = true;
	bool		erred = c->event.what == CANO_ATTEMPT_FAILED;
	bool		stepped = c->event.what == CANO_SAID_MORE;
	bool		later = !erred && c->event.delay_us > 0;

	SAME("verb", d->verb, later ? CANO_WAIT : CANO_GO);
	SAME("state", d->state, c->position.state);
	SAME("entered", d->entered, false);
	SAME("cursor", d->cursor, stepped);
	SAME("keep", d->keep, !erred);
	SAME("failed_attempt", d->failed_attempt, erred);
	SAME("dead", d->dead, false);
	SAME("duty", d->duty, CANO_DUTY_ENTER);
	SAME("attempt", d->attempt, stepped ? 1 : c->position.attempt);
	SAME("errors", d->errors, erred ? c->position.errors + 1 : 0);
	SAME("own_time", d->own_time, false);
	if (later)
	{
		SAME("waiting", d->waiting,
			 stepped ? CANO_WAIT_TIMER : CANO_WAIT_POLL);
		SAME("delay", d->delay_us, c->event.delay_us);
	}
	return good;
}

static bool
check_move(const Case *c, const CanoDecision *d, const Verdict *v)
{
	bool		good = true;
	const CanoState *to = &c->states[v->successor];
	bool		arrived = c->event.what == CANO_ARRIVED;
	int64_t		delay = c->event.what == CANO_SAID_NEXT &&
		c->event.delay_us > 0 ? c->event.delay_us : 0;
	bool		own_time = delay == 0 && to->kind == CANO_KIND_TIMER &&
		!to->calls;

	SAME("state", d->state, v->successor);
	SAME("verb", d->verb, delay || own_time ? CANO_WAIT : CANO_GO);
	SAME("entered", d->entered, !arrived && to->kind != CANO_KIND_ROUTER);
	SAME("cursor", d->cursor, false);
	SAME("errors", d->errors, 0);
	SAME("keep", d->keep, true);
	SAME("failed_attempt", d->failed_attempt, false);
	SAME("attempt", d->attempt, 1);
	SAME("duty", d->duty, own_time ? CANO_DUTY_WAKE : CANO_DUTY_ENTER);
	SAME("own_time", d->own_time, own_time);
	if (d->verb == CANO_WAIT)
		SAME("waiting", d->waiting, CANO_WAIT_TIMER);
	if (delay)
		SAME("delay", d->delay_us, delay);
	return good;
}

static bool
check_own_wait(const Case *c, const CanoDecision *d)
{
	bool		good = true;

	SAME("verb", d->verb, CANO_WAIT);
	SAME("state", d->state, c->position.state);
	SAME("duty", d->duty, CANO_DUTY_WAKE);
	SAME("waiting", d->waiting, CANO_WAIT_TIMER);
	SAME("own_time", d->own_time, true);
	SAME("entered", d->entered, false);
	SAME("keep", d->keep, true);
	SAME("failed_attempt", d->failed_attempt, false);
	return good;
}

static bool
check(const Case *c)
{
	CanoDecision d = cano_fsm_decide(&c->model, &c->position, &c->event);
	Verdict		v = judge(c);
	bool		delayed = c->event.what == CANO_SAID_NEXT &&
		c->event.delay_us > 0;

	if (c->event.what == CANO_SAID_UNTIL)
		return check_own_wait(c, &d);
	if (v.stays)
		return check_stay(c, &d);
	if (v.again)
		return check_again(c, &d);
	if (v.successor >= 0 && v.allowed &&
		(delayed || c->states[v.successor].kind != CANO_KIND_EXIT))
		return check_move(c, &d, &v);
	return check_end(c, &d, &v);
}

static void
describe(const Case *c)
{
	const CanoState *state = &c->states[c->position.state];

	printf("# state %d of %d: kind %d next %d anywhere %d targets %d calls %d\n",
		   c->position.state, c->model.nstates, state->kind, state->next,
		   state->anywhere, state->ntargets, state->calls);
	printf("# retry: policy %d retries %d base %" PRId64 " cap %" PRId64
		   " multiplier %g jitter %g random %g\n", state->retry.policy,
		   state->retry.retries, state->retry.base_ms, state->retry.max_ms,
		   state->retry.multiplier, state->retry.jitter, c->position.random);
	printf("# event: %d target \"%s\" delay %" PRId64 " category %d sqlstate %s"
		   " crashes %d of %d, attempt %d limit %d errors %d of %d\n",
		   c->event.what,
		   c->event.target ? c->event.target : "(none)", c->event.delay_us,
		   c->event.category, c->event.sqlstate, c->event.crashes,
		   c->position.max_crashes, c->position.attempt,
		   c->position.max_attempts, c->position.errors, state->max_errors);
}

int
main(int argc, char **argv)
{
	long		cases = argc > 1 ? strtol(argv[1], NULL, 10) : 200000;
	int			failures = 0;
	Case		c;

	seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 20240229;
	if (seed == 0)
		seed = 1;
	printf("1..1\n");
	for (long i = 0; i < cases && failures < 5; i++)
	{
		random_case(&c);
		if (!check(&c))
		{
			printf("# in case %ld:\n", i);
			describe(&c);
			failures++;
		}
	}
	printf("%s 1 - %ld random decisions are those of the contract\n",
		   failures ? "not ok" : "ok", cases);
	return failures ? 1 : 0;
}
