/*-------------------------------------------------------------------------
 *
 * random_case.h
 *	  Random small workflows, and what may happen to a run of them.
 *
 * Only what the engine may really ask the core: every kind of state is told
 * what can happen in it, and outcomes that its function may return wrongly.
 *
 *-------------------------------------------------------------------------
 */
#ifndef RANDOM_CASE_H
#define RANDOM_CASE_H

#include <string.h>

#include "../../src/fsm.h"
#include "../../src/retry.h"
#include "random.h"

#define MAX_STATES	6

typedef struct Case
{
	CanoModel	model;
	CanoState	states[MAX_STATES];
	int			targets[MAX_STATES][MAX_STATES];
	const char *fatal_on[MAX_STATES][3];
	CanoState	undos[MAX_STATES];
	CanoPosition position;
	CanoEvent	event;
	bool		part;			/* the state is a branch's, an item's or a
								 * compensation's */
	bool		undo;			/* it is a compensation's */
} Case;

static const char *const names[] = {"a", "b", "A", "ab", "", "long name"};
static const char *const codes[] = {
	"P0001", "P0004", "XX000", "XX001", "CN900", "23505", "23503", "42P01",
	"42601", "57014", "40001", "CN014", "22P02", "P0003"
};
static const char *const fatals[] = {"23", "42P01", "57", "CN", "22P02", "P0"};

static inline bool
is_item(const Case *c)
{
	return c->part && c->states[c->position.state].kind == CANO_KIND_BATCH;
}

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

static CanoJoin
random_join(int nbranches)
{
	CanoJoin	join = {.strategy = (CanoStrategy) below(6)};

	if (join.strategy == CANO_JOIN_QUORUM ||
		join.strategy == CANO_JOIN_PERCENTAGE ||
		join.strategy == CANO_JOIN_PARTIAL)
		join.needed = below(nbranches + 2);
	return join;
}

/* What is not a state of its own. */
static CanoState
random_part(CanoKind kind)
{
	return (CanoState)
	{
		.name = "part",.kind = kind,.calls = true,.next = CANO_NO_STATE,
			.on_timeout = CANO_NO_STATE,.on_failure = CANO_NO_STATE,
			.retry = random_retry()
	};
}

static void
random_targets(Case *c, CanoState *state, int i, int nstates)
{
	state->anywhere = chance(40);
	if (!state->anywhere)
		for (int n = below(3); n > 0; n--)
			c->targets[i][state->ntargets++] = below(nstates);
	state->targets = c->targets[i];
}

static void
random_state(Case *c, int i, int nstates)
{
	static const CanoKind kinds[] = {
		CANO_KIND_TASK, CANO_KIND_TASK, CANO_KIND_ROUTER, CANO_KIND_TIMER,
		CANO_KIND_EXIT, CANO_KIND_STEPPED, CANO_KIND_POLL, CANO_KIND_POLL,
		CANO_KIND_SPLIT, CANO_KIND_BATCH, CANO_KIND_BATCH, CANO_KIND_RECEIVE,
		CANO_KIND_CHILD, CANO_KIND_EXTERNAL
	};
	CanoState	state = {.name = names[i],.kind = kinds[below(14)]};

	state.next = state.on_timeout = state.on_failure = CANO_NO_STATE;
	state.anywhere = true;
	switch (state.kind)
	{
		case CANO_KIND_EXIT:
			state.ending = (CanoEnding) below(3);
			break;
		case CANO_KIND_TIMER:
			state.calls = chance(50);
			state.next = below(nstates);
			break;
		case CANO_KIND_SPLIT:
			state.nparts = below(4);
			state.join = random_join(state.nparts);
			state.next = below(nstates);
			break;
		case CANO_KIND_RECEIVE:
			state.on_timeout = chance(50) ? (int) below(nstates) : CANO_NO_STATE;
			state.next = below(nstates);
			break;
		case CANO_KIND_CHILD:
			state.on_failure = chance(50) ? (int) below(nstates) : CANO_NO_STATE;
			state.next = below(nstates);
			break;
		case CANO_KIND_BATCH:
			state.nparts = 1;
			state.join.strategy = CANO_JOIN_QUORUM;
			/* fall through */
		default:
			state.calls = state.kind != CANO_KIND_EXTERNAL;
			if (state.kind == CANO_KIND_POLL)
				state.max_errors = below(4);
			if (state.kind != CANO_KIND_ROUTER && chance(70))
				state.next = below(nstates);
			random_targets(c, &state, i, nstates);
			break;
	}
	if (state.calls || state.kind == CANO_KIND_EXTERNAL)
	{
		state.retry = random_retry();
		for (int n = chance(50) ? 0 : below(3); n > 0; n--)
			c->fatal_on[i][state.nfatal++] = fatals[below(6)];
		state.fatal_on = c->fatal_on[i];
	}
	if ((state.kind == CANO_KIND_TASK || state.kind == CANO_KIND_STEPPED ||
		 state.kind == CANO_KIND_EXTERNAL) && chance(50))
	{
		c->undos[i] = random_part(CANO_KIND_TASK);
		state.undo = &c->undos[i];
		c->model.compensates = true;
	}
	c->states[i] = state;
}

/* A branch, an item or a compensation in the place of the run's state. */
static void
random_place(Case *c)
{
	c->part = true;
	c->undo = chance(30);
	c->states[c->position.state] =
		random_part(c->undo || chance(50) ? CANO_KIND_TASK : CANO_KIND_BATCH);
}

/* Branches or items that are all done with, or as far as the time allowed. */
static CanoTally
random_tally(const CanoState *state)
{
	CanoTally	tally = {.total = state->nparts};
	CanoStrategy strategy = state->join.strategy;
	int			ended;

	if (state->kind == CANO_KIND_BATCH)
		tally.total = below(5);
	tally.succeeded = below(tally.total + 1);
	tally.failed = tally.total - tally.succeeded;
	if (state->kind == CANO_KIND_BATCH)
		return tally;
	tally.failed = below(tally.failed + 1);
	ended = tally.succeeded + tally.failed;
	tally.timed_out = ended < tally.total;
	if ((strategy == CANO_JOIN_ANY && tally.succeeded > 0) ||
		(strategy == CANO_JOIN_PARTIAL && ended > 0 &&
		 tally.succeeded >= state->join.needed))
		tally.timed_out = false;
	return tally;
}

#define ONE_OF(list) \
	((list)[below(sizeof(list) / sizeof((list)[0]))])

/* Only what can happen: a state that calls nothing cannot say anything. */
static CanoHappened
random_happened(const Case *c)
{
	static const CanoHappened said[] = {
		CANO_SAID_NEXT, CANO_SAID_NEXT, CANO_SAID_NEXT, CANO_SAID_MORE,
		CANO_SAID_PENDING, CANO_SAID_FAILED, CANO_SAID_CANCELLED,
		CANO_ATTEMPT_FAILED, CANO_ATTEMPT_FAILED, CANO_ATTEMPT_FAILED,
		CANO_CRASHED
	};
	static const CanoHappened item[] = {
		CANO_SAID_NEXT, CANO_SAID_MORE, CANO_SAID_PENDING, CANO_ATTEMPT_FAILED,
		CANO_ATTEMPT_FAILED, CANO_CRASHED
	};
	static const CanoHappened asked_timer[] = {
		CANO_SAID_UNTIL, CANO_SAID_UNTIL, CANO_WOKEN, CANO_ATTEMPT_FAILED,
		CANO_ATTEMPT_FAILED, CANO_CRASHED
	};
	static const CanoHappened timer[] = {CANO_ARRIVED, CANO_WOKEN};
	static const CanoHappened split[] = {CANO_ARRIVED, CANO_JOINED, CANO_JOINED};
	static const CanoHappened batch[] = {CANO_SAID_ITEMS, CANO_JOINED};
	static const CanoHappened receive[] = {
		CANO_ARRIVED, CANO_WOKEN, CANO_SIGNALLED
	};
	static const CanoHappened child[] = {
		CANO_CHILD_STARTED, CANO_CHILD_ENDED, CANO_CHILD_ENDED,
		CANO_ATTEMPT_FAILED, CANO_CRASHED
	};
	const CanoState *state = &c->states[c->position.state];

	if (c->part)
		return state->kind == CANO_KIND_BATCH ? ONE_OF(item) : ONE_OF(said);
	if (chance(5))
		return chance(50) ? CANO_CALLED_OFF : CANO_OUT_OF_TIME;
	switch (state->kind)
	{
		case CANO_KIND_EXIT:
			return CANO_ARRIVED;
		case CANO_KIND_TIMER:
			return state->calls ? ONE_OF(asked_timer) : ONE_OF(timer);
		case CANO_KIND_SPLIT:
			return ONE_OF(split);
		case CANO_KIND_BATCH:
			return chance(40) ? ONE_OF(batch) : ONE_OF(said);
		case CANO_KIND_RECEIVE:
			return ONE_OF(receive);
		case CANO_KIND_CHILD:
			return ONE_OF(child);
		case CANO_KIND_EXTERNAL:
			return chance(20) ? CANO_ARRIVED : ONE_OF(said);
		default:
			return ONE_OF(said);
	}
}

/* While it was not interrupted. */
static void
random_meanwhile(Case *c)
{
	CanoHappened what = c->event.what;

	if (!c->undo && (c->part || !c->states[c->position.state].undo))
		return;
	if (what == CANO_ARRIVED || what == CANO_CALLED_OFF ||
		what == CANO_OUT_OF_TIME)
		return;
	c->event.called_off = chance(20);
	c->event.out_of_time = chance(20);
}

static void
random_event(Case *c)
{
	static const CanoCategory categories[] = {
		CANO_CAT_TASK_EXECUTION, CANO_CAT_TASK_EXECUTION, CANO_CAT_TIMEOUT,
		CANO_CAT_MISSING_ARGUMENT, CANO_CAT_NOT_FOUND, CANO_CAT_CIRCUIT_OPEN,
		CANO_CAT_WORKFLOW
	};
	static const int64_t delays[] = {0, 0, 1, 5000000, -3};
	CanoEvent  *event = &c->event;
	const CanoState *state = &c->states[c->position.state];

	event->what = random_happened(c);
	if (chance(60))
		event->target = chance(90) ? names[below(c->model.nstates)] : "nowhere";
	event->delay_us = ONE_OF(delays);
	event->category = ONE_OF(categories);
	event->sqlstate = ONE_OF(codes);
	if (event->category == CANO_CAT_CIRCUIT_OPEN)
	{
		/* Nobody lists what breakers raise; items and polls have none. */
		event->sqlstate = "CN006";
		if (state->nfatal > 0 || state->kind == CANO_KIND_POLL || is_item(c))
			event->category = CANO_CAT_TASK_EXECUTION;
	}
	event->crashes = 1 + below(5);
	event->items = chance(30) ? 0 : below(100);
	event->child = (CanoEnding) below(3);
	if (event->what == CANO_JOINED)
		event->tally = random_tally(state);
	random_meanwhile(c);
}

static inline void
random_case(Case *c)
{
	memset(c, 0, sizeof(*c));
	c->model.nstates = 1 + below(MAX_STATES);
	c->model.states = c->states;
	for (int i = 0; i < c->model.nstates; i++)
		random_state(c, i, c->model.nstates);
	c->model.abandons = chance(25);
	c->position.state = below(c->model.nstates);
	if (chance(20))
		random_place(c);
	c->position.attempt = 1 + below(6);
	if (c->states[c->position.state].kind == CANO_KIND_POLL)
		c->position.errors = below(5);
	c->position.max_attempts = chance(70) ? 0 : 1 + below(5);
	if (is_item(c) || c->undo)
		c->position.max_attempts = 0;
	c->position.max_crashes = 1 + below(4);
	c->position.random = ((int) below(2001) - 1000) / 1000.0;
	random_event(c);
}

#endif							/* RANDOM_CASE_H */
