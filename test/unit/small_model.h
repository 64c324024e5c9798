/*-------------------------------------------------------------------------
 *
 * small_model.h
 *	  One small workflow with a state of each sort, and words to try it.
 *
 * Shared by the unit tests of the decision core.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SMALL_MODEL_H
#define SMALL_MODEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdint.h>

#include "../../src/fsm.h"
#include "../../src/retry.h"

enum
{
	PLAIN, STRICT, LAST, FREE, ROUTE, FREE_ROUTE, NAP, ASKED_NAP, LOOP, ASK,
	FORK, EMPTY_FORK, BULK, LETTER, SUB, OUTSIDE, SAFE, SAFE_LOOP, SAFE_OUTSIDE,
	DONE, BROKEN, CALLED_OFF, NSTATES
};

static const int strict_targets[] = {PLAIN, DONE, LAST};
static const int route_targets[] = {PLAIN, ROUTE};

static CanoState branches[3];
static CanoState item;
static CanoState undo;
static CanoState states[NSTATES];
static CanoModel model = {.nstates = NSTATES, .start = PLAIN, .states = states};
static CanoPosition position;

static inline void
state(int index, const char *name, CanoKind kind, int next)
{
	CanoState	it = {
		.name = name,
		.kind = kind,
		.next = next,
		.on_timeout = CANO_NO_STATE,
		.on_failure = CANO_NO_STATE,
		.anywhere = true,
		.retry = cano_retry_none(),
		.calls = kind == CANO_KIND_TASK || kind == CANO_KIND_ROUTER ||
			kind == CANO_KIND_STEPPED || kind == CANO_KIND_POLL ||
			kind == CANO_KIND_BATCH
	};

	states[index] = it;
}

/* What a branch, an item or a compensation is to the core. */
static inline CanoState
part(const char *name, CanoKind kind)
{
	return (CanoState)
	{
		.name = name,.kind = kind,.next = CANO_NO_STATE,
			.on_timeout = CANO_NO_STATE,.on_failure = CANO_NO_STATE,
			.retry = cano_retry_none(),.calls = true
	};
}

static inline int
setup(void **unused)
{
	state(PLAIN, "plain", CANO_KIND_TASK, STRICT);
	state(STRICT, "strict", CANO_KIND_TASK, LAST);
	states[STRICT].anywhere = false;
	states[STRICT].targets = strict_targets;
	states[STRICT].ntargets = 2;	/* "last" is allowed as next only */
	state(LAST, "last", CANO_KIND_TASK, DONE);
	state(FREE, "free", CANO_KIND_TASK, CANO_NO_STATE);
	state(ROUTE, "route", CANO_KIND_ROUTER, CANO_NO_STATE);
	states[ROUTE].anywhere = false;
	states[ROUTE].targets = route_targets;
	states[ROUTE].ntargets = 2;
	state(FREE_ROUTE, "free route", CANO_KIND_ROUTER, CANO_NO_STATE);
	state(NAP, "nap", CANO_KIND_TIMER, LAST);
	state(ASKED_NAP, "asked nap", CANO_KIND_TIMER, LAST);
	states[ASKED_NAP].calls = true;
	state(LOOP, "loop", CANO_KIND_STEPPED, LAST);
	state(ASK, "ask", CANO_KIND_POLL, LAST);
	states[ASK].max_errors = 2;
	for (int i = 0; i < 3; i++)
		branches[i] = part("fork", CANO_KIND_TASK);
	state(FORK, "fork", CANO_KIND_SPLIT, LAST);
	states[FORK].nparts = 3;
	states[FORK].parts = branches;
	state(EMPTY_FORK, "empty fork", CANO_KIND_SPLIT, LAST);
	item = part("bulk", CANO_KIND_BATCH);
	state(BULK, "bulk", CANO_KIND_BATCH, LAST);
	states[BULK].nparts = 1;
	states[BULK].parts = &item;
	states[BULK].join.strategy = CANO_JOIN_QUORUM;
	state(LETTER, "letter", CANO_KIND_RECEIVE, LAST);
	state(SUB, "sub", CANO_KIND_CHILD, LAST);
	state(OUTSIDE, "outside", CANO_KIND_EXTERNAL, LAST);
	undo = part("safe", CANO_KIND_TASK);
	state(SAFE, "safe", CANO_KIND_TASK, LAST);
	states[SAFE].undo = &undo;
	state(SAFE_LOOP, "safe loop", CANO_KIND_STEPPED, LAST);
	states[SAFE_LOOP].undo = &undo;
	state(SAFE_OUTSIDE, "safe outside", CANO_KIND_EXTERNAL, LAST);
	states[SAFE_OUTSIDE].undo = &undo;
	state(DONE, "done", CANO_KIND_EXIT, CANO_NO_STATE);
	state(BROKEN, "broken", CANO_KIND_EXIT, CANO_NO_STATE);
	states[BROKEN].ending = CANO_FAILED;
	state(CALLED_OFF, "called off", CANO_KIND_EXIT, CANO_NO_STATE);
	states[CALLED_OFF].ending = CANO_CANCELLED;
	model.compensates = true;
	model.abandons = false;

	position = (CanoPosition)
	{
		.state = PLAIN, .attempt = 1, .max_crashes = 3
	};
	return 0;
}

static inline CanoDecision
decide(int in, CanoEvent event)
{
	position.state = in;
	return cano_fsm_decide(&model, &position, &event);
}

static inline CanoDecision
next(int in, const char *target, int64_t delay_us)
{
	return decide(in, (CanoEvent)
				  {
					  .what = CANO_SAID_NEXT,.target = target,.delay_us = delay_us
				  });
}

static inline CanoDecision
happen(int in, CanoHappened what)
{
	return decide(in, (CanoEvent)
				  {
					  .what = what
				  });
}

static inline CanoDecision
say(int in, CanoHappened what, int64_t delay_us)
{
	return decide(in, (CanoEvent)
				  {
					  .what = what,.delay_us = delay_us
				  });
}

static inline CanoDecision
raise_error(int in, const char *sqlstate, CanoCategory category)
{
	return decide(in, (CanoEvent)
				  {
					  .what = CANO_ATTEMPT_FAILED,.sqlstate = sqlstate,
					  .category = category
				  });
}

static inline CanoDecision
task_error(int in, const char *sqlstate)
{
	return raise_error(in, sqlstate, CANO_CAT_TASK_EXECUTION);
}

static inline CanoDecision
crash(int in, int crashes)
{
	return decide(in, (CanoEvent)
				  {
					  .what = CANO_CRASHED,.crashes = crashes
				  });
}

/* So many of a state's branches or items have ended, and there are no more. */
static inline CanoDecision
joined(int in, CanoTally tally)
{
	return decide(in, (CanoEvent)
				  {
					  .what = CANO_JOINED,.tally = tally
				  });
}

/* What a branch, an item or a compensation does. */
static inline CanoDecision
decide_part(const CanoState *of, CanoEvent event)
{
	return cano_fsm_decide_part(of, &position, &event);
}

static inline CanoDecision
part_error(const CanoState *of, const char *sqlstate, CanoCategory category)
{
	return decide_part(of, (CanoEvent)
					   {
						   .what = CANO_ATTEMPT_FAILED,.sqlstate = sqlstate,
						   .category = category
					   });
}

/* Events for tests that have more to say of them. */
static inline CanoEvent
said(CanoHappened what)
{
	return (CanoEvent)
	{
		.what = what
	};
}

static inline CanoEvent
goes_to(const char *target)
{
	return (CanoEvent)
	{
		.what = CANO_SAID_NEXT,.target = target
	};
}

static inline CanoEvent
errs(const char *sqlstate, CanoCategory category)
{
	return (CanoEvent)
	{
		.what = CANO_ATTEMPT_FAILED,.sqlstate = sqlstate,.category = category
	};
}

static inline CanoEvent
crashed(int times)
{
	return (CanoEvent)
	{
		.what = CANO_CRASHED,.crashes = times
	};
}

#define assert_goes(d, to) do { \
	CanoDecision d_ = (d); \
	assert_int_equal(d_.verb, CANO_GO); \
	assert_int_equal(d_.state, (to)); \
	assert_int_equal(d_.duty, CANO_DUTY_ENTER); \
	assert_int_equal(d_.attempt, 1); \
	assert_true(d_.keep); \
	assert_false(d_.failed_attempt); \
} while (0)

/* It waits in that state, from now on, until a time that the state gives. */
#define assert_waits(d, in, for_what) do { \
	CanoDecision d_ = (d); \
	assert_int_equal(d_.verb, CANO_WAIT); \
	assert_int_equal(d_.state, (in)); \
	assert_int_equal(d_.duty, CANO_DUTY_WAKE); \
	assert_int_equal(d_.waiting, (for_what)); \
	assert_true(d_.own_time); \
	assert_true(d_.keep); \
	assert_false(d_.failed_attempt); \
	assert_false(d_.cursor); \
} while (0)

#define assert_ends(d, how, why, cat) do { \
	CanoDecision d_ = (d); \
	assert_int_equal(d_.verb, CANO_END); \
	assert_int_equal(d_.ending, (how)); \
	assert_int_equal(d_.fault, (why)); \
	assert_int_equal(d_.category, (cat)); \
} while (0)

#define T(name) cmocka_unit_test_setup(name, setup)

#endif							/* SMALL_MODEL_H */
