/*-------------------------------------------------------------------------
 *
 * random_models.c
 *	  The decision core against the rules of the contract, written down a
 *	  second time, over random small workflows and random events.
 *
 * Build: gcc test/unit/random_models.c src/fsm.c src/join.c src/retry.c -lm
 * Run:   random_models [cases [seed]]
 *
 * The rules below are told field by field, not event by event as the core
 * tells them, so that a slip in one is unlikely to be repeated in the other.
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "../../src/fsm.h"
#include "../../src/retry.h"
#include "random_case.h"

/* What the rules say of one event, in words of their own. */
typedef struct Verdict
{
	int			successor;		/* the state gone to, -1: none */
	bool		again;			/* the same state tries again */
	bool		stays;			/* the same state, in the same visit, goes on */
	bool		allowed;		/* the event is one that this state knows */
} Verdict;

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

/* Another attempt would be in vain, or is not wanted. */
static bool
final(const Case *c)
{
	return never_retried(c) || panicked(c) ||
		c->event.category == CANO_CAT_MISSING_ARGUMENT ||
		c->event.category == CANO_CAT_CIRCUIT_OPEN ||
		c->event.category == CANO_CAT_WORKFLOW;
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
		c->position.errors + 1 <= state->max_errors && !final(c) &&
		c->event.category != CANO_CAT_TIMEOUT;
}

/* A split's branches, or a batch's items, were enough of a success. */
static bool
enough(const Case *c)
{
	const CanoJoin *join = &c->states[c->position.state].join;
	const CanoTally *tally = &c->event.tally;

	if (c->states[c->position.state].kind == CANO_KIND_BATCH)
		return true;
	if (join->strategy == CANO_JOIN_PARTIAL_TIMEOUT)
		return tally->succeeded + tally->failed >= 1;
	if (tally->timed_out)
		return false;
	if (join->strategy == CANO_JOIN_ALL)
		return tally->succeeded == tally->total;
	return tally->succeeded >=
		(join->strategy == CANO_JOIN_ANY ? 1 : join->needed);
}

/* Why a run is in that state for longer than a call takes; 0: it is not. */
static int
waits_for(const CanoState *state)
{
	switch (state->kind)
	{
		case CANO_KIND_TIMER:
			return state->calls ? 0 : CANO_WAIT_TIMER;
		case CANO_KIND_SPLIT:
			return state->nparts ? CANO_WAIT_BRANCHES : 0;
		case CANO_KIND_RECEIVE:
			return CANO_WAIT_SIGNAL;
		case CANO_KIND_EXTERNAL:
			return CANO_WAIT_EXTERNAL;
		default:
			return 0;
	}
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
			v.successor = state->kind == CANO_KIND_RECEIVE ?
				state->on_timeout : state->next;
			break;
		case CANO_SIGNALLED:
			v.successor = state->next;
			break;
		case CANO_JOINED:
			v.successor = enough(c) ? state->next : -1;
			break;
		case CANO_CHILD_ENDED:
			v.successor = c->event.child == CANO_COMPLETED ?
				state->next : state->on_failure;
			break;
		case CANO_SAID_NEXT:
			if (c->part)
				break;
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
			v.again = c->position.attempt < allowed_attempts(c) && !final(c);
			break;
		case CANO_CRASHED:
			v.again = c->event.crashes < c->position.max_crashes;
			break;
		default:
			break;
	}
	return v;
}

/* What it waits for within a state that has called something; 0: nothing. */
static int
begun(const Case *c)
{
	switch (c->event.what)
	{
		case CANO_SAID_UNTIL:
			return CANO_WAIT_TIMER;
		case CANO_SAID_ITEMS:
			return CANO_WAIT_ITEMS;
		case CANO_CHILD_STARTED:
			return CANO_WAIT_CHILD;
		default:
			return 0;
	}
}

/* The run goes on to the successor, which is not, or not yet, its end. */
static bool
moves(const Case *c, const Verdict *v)
{
	bool		later = c->event.what == CANO_SAID_NEXT &&
		c->event.delay_us > 0;

	return v->allowed && v->successor >= 0 &&
		(later || c->states[v->successor].kind != CANO_KIND_EXIT);
}

/* By itself, the event is not the beginning of a bad end. */
static bool
goes_well(const Case *c, const Verdict *v)
{
	return begun(c) || v->stays || v->again || moves(c, v) ||
		(v->allowed && v->successor >= 0 &&
		 c->states[v->successor].ending == CANO_COMPLETED);
}

/*
 * Why the run goes no further although the event may want it to: a cancellation
 * from outside beats all but the task's own, a timeout what is no end itself.
 */
static CanoFault
halt_of(const Case *c, const Verdict *v)
{
	if (c->event.what == CANO_SAID_CANCELLED || c->part)
		return CANO_FAULT_NONE;
	if (c->event.called_off)
		return CANO_FAULT_CALLED_OFF;
	return c->event.out_of_time && goes_well(c, v) ?
		CANO_FAULT_OUT_OF_TIME : CANO_FAULT_NONE;
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
			return allowed_attempts(c) <= 1 || final(c) || is_item(c) ?
				CANO_FAULT_TASK : CANO_FAULT_EXHAUSTED;
		case CANO_CALLED_OFF:
			return CANO_FAULT_CALLED_OFF;
		case CANO_OUT_OF_TIME:
			return CANO_FAULT_OUT_OF_TIME;
		case CANO_CHILD_ENDED:
			return CANO_FAULT_CHILD;
		case CANO_WOKEN:
			return CANO_FAULT_NO_SIGNAL;
		case CANO_JOINED:
			return enough(c) ? CANO_FAULT_NO_NEXT : CANO_FAULT_JOIN;
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
		case CANO_FAULT_CHILD:
			return c->event.category;
		case CANO_FAULT_CALLED_OFF:
			return CANO_CAT_CANCELLED;
		case CANO_FAULT_OUT_OF_TIME:
			return CANO_CAT_WORKFLOW_TIMEOUT;
		case CANO_FAULT_NO_SIGNAL:
			return CANO_CAT_TIMEOUT;
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
was_said(CanoHappened what)
{
	return what == CANO_SAID_NEXT || what == CANO_SAID_MORE ||
		what == CANO_SAID_PENDING || what == CANO_SAID_FAILED ||
		what == CANO_SAID_CANCELLED;
}

static bool
check_end(const Case *c, const CanoDecision *d, const Verdict *v)
{
	bool		good = true;
	bool		at_exit = v->allowed && v->successor >= 0;
	CanoFault	fault = fault_of(c);
	bool		verdict = fault == CANO_FAULT_VERDICT;

	SAME("verb", d->verb, CANO_END);
	SAME("cursor", d->cursor, false);
	SAME("fans_out", d->fans_out, false);
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
	SAME("ending", d->ending, c->event.what == CANO_SAID_CANCELLED ||
		 c->event.what == CANO_CALLED_OFF ? CANO_CANCELLED : CANO_FAILED);
	SAME("fault", d->fault, fault);
	SAME("category", d->category, category_of(c, fault));

	/*
	 * The contract leaves open whether an outcome that is not allowed, or a
	 * breaker's refusal, counts as a failed attempt; whether these, a
	 * poisoned run or a child's failure make a dead letter; and what there is
	 * to keep where no task has returned.
	 */
	if (was_said(c->event.what) || c->event.what == CANO_ATTEMPT_FAILED ||
		c->event.what == CANO_CRASHED)
		SAME("keep", d->keep, verdict);
	if (fault == CANO_FAULT_TASK && category_of(c, fault) == CANO_CAT_CIRCUIT_OPEN)
		return good;
	if (c->event.what == CANO_ATTEMPT_FAILED)
	{
		SAME("failed_attempt", d->failed_attempt, true);
		SAME("dead", d->dead, !c->part);
	}
	else if (verdict || fault == CANO_FAULT_CALLED_OFF ||
			 fault == CANO_FAULT_OUT_OF_TIME || fault == CANO_FAULT_JOIN ||
			 fault == CANO_FAULT_NO_SIGNAL)
	{
		SAME("failed_attempt", d->failed_attempt, false);
		SAME("dead", d->dead, false);
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
	SAME("fans_out", d->fans_out, false);
	SAME("dead", d->dead, false);
	if (!c->undo)				/* a rollback goes on as it began */
		SAME("duty", d->duty, c->part ? CANO_DUTY_PART : CANO_DUTY_ENTER);
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
	int			waiting = delay ? CANO_WAIT_TIMER : waits_for(to);
	bool		own_time = waiting && !delay;
	CanoDuty	duty = own_time ? CANO_DUTY_WAKE : CANO_DUTY_ENTER;

	if (to->kind == CANO_KIND_SPLIT && to->nparts == 0 && !delay)
		duty = CANO_DUTY_JOIN;
	SAME("state", d->state, v->successor);
	SAME("verb", d->verb, waiting ? CANO_WAIT : CANO_GO);
	SAME("entered", d->entered, !arrived && to->kind != CANO_KIND_ROUTER);
	SAME("cursor", d->cursor, false);
	SAME("errors", d->errors, 0);
	SAME("keep", d->keep, true);
	SAME("failed_attempt", d->failed_attempt, false);
	SAME("attempt", d->attempt, arrived ? c->position.attempt : 1);
	SAME("duty", d->duty, duty);
	SAME("own_time", d->own_time, own_time);
	SAME("fans_out", d->fans_out, own_time && to->kind == CANO_KIND_SPLIT);
	if (waiting)
		SAME("waiting", d->waiting, waiting);
	if (delay)
		SAME("delay", d->delay_us, delay);
	return good;
}

static bool
check_begun(const Case *c, const CanoDecision *d)
{
	bool		good = true;
	bool		has_items = c->event.what == CANO_SAID_ITEMS &&
		c->event.items > 0;
	bool		waits = has_items || c->event.what != CANO_SAID_ITEMS;

	SAME("verb", d->verb, waits ? CANO_WAIT : CANO_GO);
	SAME("state", d->state, c->position.state);
	SAME("duty", d->duty, waits ? CANO_DUTY_WAKE : CANO_DUTY_JOIN);
	SAME("own_time", d->own_time, waits);
	SAME("fans_out", d->fans_out, has_items);
	if (waits)
		SAME("waiting", d->waiting, begun(c));
	SAME("attempt", d->attempt, c->position.attempt);
	SAME("entered", d->entered, false);
	SAME("cursor", d->cursor, false);
	SAME("keep", d->keep, true);
	SAME("failed_attempt", d->failed_attempt, false);
	return good;
}

/* It stops where it is, with what the event has left there. */
static bool
check_halted(const Case *c, const CanoDecision *d, CanoFault halt)
{
	bool		good = true;
	bool		cancelled = halt == CANO_FAULT_CALLED_OFF;
	bool		more = c->event.what == CANO_SAID_MORE &&
		c->states[c->position.state].kind == CANO_KIND_STEPPED;

	SAME("verb", d->verb, CANO_END);
	SAME("state", d->state, c->position.state);
	SAME("entered", d->entered, false);
	SAME("fans_out", d->fans_out, false);
	SAME("ending", d->ending, cancelled ? CANO_CANCELLED : CANO_FAILED);
	SAME("fault", d->fault, halt);
	SAME("category", d->category,
		 cancelled ? CANO_CAT_CANCELLED : CANO_CAT_WORKFLOW_TIMEOUT);
	SAME("dead", d->dead, false);
	SAME("cursor", d->cursor, more);
	SAME("keep", d->keep, more || c->event.what == CANO_SAID_FAILED ||
		 (c->event.what == CANO_SAID_NEXT && judge(c).allowed));
	if (d->keep || c->event.what == CANO_CRASHED)
		SAME("failed_attempt", d->failed_attempt, false);
	else if (c->event.what == CANO_ATTEMPT_FAILED)
		SAME("failed_attempt", d->failed_attempt, true);
	return good;
}

/* What there is to undo, and whether it is now. */
static bool
check_undoing(const Case *c, const CanoDecision *d, const Verdict *v)
{
	bool		good = true;
	CanoFault	halt = halt_of(c, v);
	bool		timed_out = halt == CANO_FAULT_OUT_OF_TIME ||
		(halt == CANO_FAULT_NONE && c->event.what == CANO_OUT_OF_TIME);
	bool		can_undo = false;

	for (int i = 0; i < c->model.nstates; i++)
		can_undo |= c->states[i].undo != NULL;
	SAME("completed", d->completed,
		 c->event.what == CANO_SAID_NEXT && v->successor >= 0 &&
		 c->states[c->position.state].undo);
	if (timed_out && c->model.abandons)
		can_undo = false;
	SAME("rolls_back", d->rolls_back,
		 can_undo && (halt != CANO_FAULT_NONE || !goes_well(c, v)));
	return good;
}

/* Any state that a branch or an item names is as good as another. */
static bool
check_part_done(const Case *c, const CanoDecision *d)
{
	bool		good = true;

	SAME("verb", d->verb, CANO_END);
	SAME("state", d->state, c->position.state);
	SAME("ending", d->ending, CANO_COMPLETED);
	SAME("fault", d->fault, CANO_FAULT_NONE);
	SAME("entered", d->entered, false);
	SAME("keep", d->keep, true);
	SAME("failed_attempt", d->failed_attempt, false);
	SAME("dead", d->dead, false);
	SAME("breaks", d->breaks, false);
	return good;
}

static bool
check_part(const Case *c)
{
	const CanoState *part = &c->states[c->position.state];
	CanoDecision d = cano_fsm_decide_part(part, &c->position, &c->event);
	Verdict		v = judge(c);
	bool		good = true;

	/* What a part has done is undone with the run's state, if at all. */
	SAME("completed", d.completed, false);
	SAME("rolls_back", d.rolls_back, false);
	if (c->event.what == CANO_SAID_NEXT)
		return check_part_done(c, &d) && good;
	if (v.again)
		return check_again(c, &d) && good;
	SAME("breaks", d.breaks, is_item(c) && panicked(c) && !never_retried(c) &&
		 c->event.what == CANO_ATTEMPT_FAILED);
	return check_end(c, &d, &v) && good;
}

static bool
check_event(const Case *c, const CanoDecision *d, const Verdict *v)
{
	if (halt_of(c, v) != CANO_FAULT_NONE)
		return check_halted(c, d, halt_of(c, v));
	if (begun(c))
		return check_begun(c, d);
	if (v->stays)
		return check_stay(c, d);
	if (v->again)
		return check_again(c, d);
	if (moves(c, v))
		return check_move(c, d, v);
	return check_end(c, d, v);
}

static bool
check(const Case *c)
{
	CanoDecision d;
	Verdict		v = judge(c);
	bool		good;

	if (c->part)
		return check_part(c);
	d = cano_fsm_decide(&c->model, &c->position, &c->event);
	good = check_event(c, &d, &v);
	return check_undoing(c, &d, &v) && good;
}

static void
describe(const Case *c)
{
	const CanoState *state = &c->states[c->position.state];

	printf("# %s %d of %d: kind %d next %d anywhere %d targets %d calls %d"
		   " on_timeout %d on_failure %d\n",
		   c->undo ? "undo of" : c->part ? "part of" : "state",
		   c->position.state, c->model.nstates, state->kind, state->next,
		   state->anywhere, state->ntargets, state->calls, state->on_timeout,
		   state->on_failure);
	printf("# has undo %d, compensates %d, abandons %d; called off %d,"
		   " out of time %d\n", state->undo != NULL, c->model.compensates,
		   c->model.abandons, c->event.called_off, c->event.out_of_time);
	printf("# join: strategy %d needs %d; %d and %d of %d, timed out %d;"
		   " items %d, child %d\n", state->join.strategy, state->join.needed,
		   c->event.tally.succeeded, c->event.tally.failed,
		   c->event.tally.total, c->event.tally.timed_out, c->event.items,
		   c->event.child);
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

static bool
try_case(void)
{
	Case		c;
	bool		good;

	random_case(&c);
	good = check(&c);
	if (!good)
		describe(&c);
	return good;
}

int
main(int argc, char **argv)
{
	return try_cases(argc, argv, 200000, try_case,
					 "random decisions are those of the contract");
}
