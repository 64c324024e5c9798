/*-------------------------------------------------------------------------
 *
 * random_story.h
 *	  Random runs from the first state to the end of their rollback.
 *
 * A shell of a few lines drives a random workflow of tasks, loops and external
 * work through the core, as the engine does, and writes down what happened.
 *
 *-------------------------------------------------------------------------
 */
#ifndef RANDOM_STORY_H
#define RANDOM_STORY_H

#include <string.h>

#include "../../src/fsm.h"
#include "../../src/retry.h"
#include "random.h"

#define MAX_WORK	5
#define DONE		MAX_WORK	/* and the two after it: other endings */
#define NSTATES		(MAX_WORK + 3)
#define MAX_CALLS	40
#define MAX_TRIES	400
#define MAX_CRASHES	2
#define NO_LIMIT	MAX_TRIES

/* Something that happened in a state, or to a compensation. */
typedef struct Call
{
	int			state;
	int			completed_by;	/* of a compensation: the call that is undone */
	CanoEvent	event;
} Call;

typedef struct Story
{
	CanoModel	model;
	CanoState	states[NSTATES];
	CanoState	undos[NSTATES];
	int			targets[NSTATES][2];
	int			max_attempts;
	int			trouble;		/* percent of calls that may go wrong */
	int			patience;		/* it is stopped after so many calls */
	int			limit;			/* and its rollback after so many */

	Call		calls[MAX_CALLS];
	int			ncalls;
	CanoDecision end;
	Call		tries[MAX_TRIES];
	int			ntries;
	CanoRollback rollback;
} Story;

static const char *const names[NSTATES] = {
	"a", "b", "c", "d", "e", "done", "broken", "called off"
};

/* ---- random workflows and events ---- */

static CanoRetry
random_retry(void)
{
	CanoRetry	retry = {.policy = CANO_RETRY_NONE};

	if (chance(50))
		return retry;
	retry.policy = CANO_RETRY_FIXED;
	retry.retries = below(4);
	retry.base_ms = below(2);
	return retry;
}

static CanoState
random_part(const char *name)
{
	return (CanoState)
	{
		.name = name,.kind = CANO_KIND_TASK,.calls = true,
			.next = CANO_NO_STATE,.on_timeout = CANO_NO_STATE,
			.on_failure = CANO_NO_STATE,.retry = random_retry()
	};
}

static int
random_target(void)
{
	return chance(10) ? DONE + below(3) : below(MAX_WORK);
}

static void
random_state(Story *s, int i)
{
	static const CanoKind kinds[] = {
		CANO_KIND_TASK, CANO_KIND_TASK, CANO_KIND_STEPPED, CANO_KIND_EXTERNAL
	};
	CanoState  *state = &s->states[i];

	*state = random_part(names[i]);
	if (i >= DONE)
	{
		state->kind = CANO_KIND_EXIT;
		state->ending = (CanoEnding) (i - DONE);
		state->calls = false;
		return;
	}
	state->kind = kinds[below(4)];
	state->calls = state->kind != CANO_KIND_EXTERNAL;
	state->next = chance(3) ? CANO_NO_STATE : random_target();
	state->anywhere = chance(85);
	state->targets = s->targets[i];
	state->ntargets = 2;
	for (int n = 0; n < 2; n++)
		s->targets[i][n] = random_target();
	if (chance(70))
	{
		s->undos[i] = random_part(names[i]);
		state->undo = &s->undos[i];
		s->model.compensates = true;
	}
}

static void
random_workflow(Story *s)
{
	memset(s, 0, sizeof(*s));
	s->model.nstates = NSTATES;
	s->model.states = s->states;
	for (int i = 0; i < NSTATES; i++)
		random_state(s, i);
	s->model.abandons = chance(20);
	s->max_attempts = chance(80) ? 0 : 1 + below(3);
	s->trouble = below(60);
	s->patience = 1 + below(MAX_CALLS - 1);
	s->limit = chance(80) ? NO_LIMIT : (int) below(8);
}

static void
random_error(CanoEvent *event)
{
	event->what = CANO_ATTEMPT_FAILED;
	event->sqlstate = "P0001";
	event->category = chance(20) ? CANO_CAT_TIMEOUT : CANO_CAT_TASK_EXECUTION;
	if (chance(80))
		return;
	if (chance(50))
		event->sqlstate = chance(50) ? "CN900" : "XX000";
	else
		event->category = chance(50) ? CANO_CAT_WORKFLOW :
			CANO_CAT_MISSING_ARGUMENT;
}

static CanoEvent
random_event(const Story *s)
{
	static const CanoHappened wrong[] = {
		CANO_CRASHED, CANO_SAID_FAILED, CANO_SAID_CANCELLED, CANO_SAID_MORE
	};
	CanoEvent	event = {.what = CANO_SAID_NEXT};

	if (chance(50))
		event.target = names[random_target()];
	event.delay_us = chance(20) ? 1000 : 0;
	if (!chance(s->trouble))
		return event;
	if (chance(60))
		random_error(&event);
	else if (chance(80))
		event.what = wrong[below(4)];
	else
		event.target = "nowhere";
	return event;
}

static CanoEvent
random_call(const Story *s, const CanoState *state)
{
	CanoEvent	event = random_event(s);

	if (s->ncalls >= s->patience)
		event.what = chance(50) ? CANO_CALLED_OFF : CANO_OUT_OF_TIME;
	else if (state->kind == CANO_KIND_STEPPED && chance(25))
		event.what = CANO_SAID_MORE;
	if (state->undo != NULL)
	{
		event.called_off = chance(s->trouble / 10);
		event.out_of_time = chance(s->trouble / 10);
	}
	return event;
}

/* ---- the shell ---- */

/* In a row; whatever else happens proves that it does not always crash. */
static int
count_crashes(int crashes, CanoEvent *event)
{
	crashes = event->what == CANO_CRASHED ? crashes + 1 : 0;
	event->crashes = crashes;
	return crashes;
}

/* Forward until the run ends.  Returns how many calls were completed. */
static int
run_forward(Story *s, int *stack)
{
	CanoPosition position = {
		.attempt = 1,.max_attempts = s->max_attempts,.max_crashes = MAX_CRASHES
	};
	CanoDecision d = {.duty = CANO_DUTY_ENTER};
	int			depth = 0;
	int			crashes = 0;

	do
	{
		const CanoState *state = &s->states[position.state];
		CanoEvent	event = {.what = CANO_ARRIVED};

		if (state->calls || d.duty == CANO_DUTY_WAKE)
			event = random_call(s, state);
		crashes = count_crashes(crashes, &event);
		s->calls[s->ncalls] = (Call)
		{
			.state = position.state,.event = event
		};
		d = cano_fsm_decide(&s->model, &position, &event);
		if (d.completed)
			stack[depth++] = s->ncalls;
		s->ncalls++;
		position.state = d.state;
		position.attempt = d.attempt;
	} while (d.verb != CANO_END && s->ncalls < MAX_CALLS);
	s->end = d;
	return depth;
}

/* Try to undo one; true if it was. */
static bool
compensate(Story *s, int completed_by)
{
	CanoPosition position = {
		.state = s->calls[completed_by].state,.attempt = 1,
		.max_crashes = MAX_CRASHES
	};
	CanoDecision d;
	int			crashes = 0;

	do
	{
		CanoEvent	event = random_event(s);

		/* Of no account now. */
		event.called_off = chance(10);
		event.out_of_time = chance(10);
		crashes = count_crashes(crashes, &event);
		s->tries[s->ntries++] = (Call)
		{
			.state = position.state,.completed_by = completed_by,.event = event
		};
		d = cano_fsm_decide_part(s->states[position.state].undo, &position,
								 &event);
		position.attempt = d.attempt;
	} while (d.verb != CANO_END && s->ntries < MAX_TRIES);
	return d.ending == CANO_COMPLETED;
}

static void
run_back(Story *s, const int *stack, int depth)
{
	int			undone = 0;
	int			errors = 0;

	while (depth > 0)
	{
		if (s->ntries >= s->limit)
		{
			errors++;			/* its time is over */
			break;
		}
		if (compensate(s, stack[--depth]))
			undone++;
		else
			errors++;
	}
	s->rollback = cano_fsm_rolled_back(undone, errors);
}

/* Something happens to a run until there is no more to be done for it. */
static inline void
random_story(Story *s)
{
	int			stack[MAX_CALLS];
	int			depth;

	random_workflow(s);
	depth = run_forward(s, stack);
	if (s->end.rolls_back)
		run_back(s, stack, depth);
}

#endif							/* RANDOM_STORY_H */
