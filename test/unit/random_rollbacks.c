/*-------------------------------------------------------------------------
 *
 * random_rollbacks.c
 *	  Whole runs, with their rollbacks, against the rules of the contract:
 *	  what was completed is undone once, latest first, and nothing else is.
 *
 * Build: gcc test/unit/random_rollbacks.c src/fsm.c src/join.c src/retry.c -lm
 * Run:   random_rollbacks [cases [seed]]
 *
 * The core has told the story of every run; the rules below read it afterwards,
 * as a whole and without asking the core.
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "random_story.h"

/* ---- the rules ---- */

typedef struct End
{
	bool		ends;
	CanoEnding	ending;
	CanoFault	fault;
} End;

/* Where a call leads, if it may. */
static int
successor(const Story *s, const Call *call)
{
	const CanoState *state = &s->states[call->state];
	int			to = state->next;

	if (call->event.what != CANO_SAID_NEXT)
		return CANO_NO_STATE;
	if (call->event.target == NULL)
		return to;
	for (int i = 0; i < NSTATES; i++)
		if (strcmp(names[i], call->event.target) == 0 &&
			(state->anywhere || i == state->next || i == state->targets[0] ||
			 i == state->targets[1]))
			return i;
	return CANO_NO_STATE;
}

static bool
is_completion(const Story *s, const Call *call)
{
	return s->states[call->state].undo && successor(s, call) != CANO_NO_STATE;
}

/* An error that may be worth another attempt. */
static bool
is_retriable(const CanoEvent *event)
{
	return strcmp(event->sqlstate, "P0001") == 0 &&
		(event->category == CANO_CAT_TASK_EXECUTION ||
		 event->category == CANO_CAT_TIMEOUT);
}

static int
attempts_of(const CanoState *what, int limit)
{
	if (limit > 0)
		return limit;
	return what->retry.policy == CANO_RETRY_NONE ? 1 : 1 + what->retry.retries;
}

/* Is it tried again, after so many attempts before that failed? */
static bool
is_tried_again(const CanoEvent *event, int attempts, int failures)
{
	if (event->what == CANO_CRASHED)
		return event->crashes < MAX_CRASHES;
	return event->what == CANO_ATTEMPT_FAILED && is_retriable(event) &&
		failures + 1 < attempts;
}

/* Why a call is, by itself, a bad end of the run; NONE: it is not. */
static CanoFault
misfortune(const Story *s, const Call *call, int failures)
{
	const CanoState *state = &s->states[call->state];
	int			attempts = attempts_of(state, s->max_attempts);
	int			to = successor(s, call);

	if (is_tried_again(&call->event, attempts, failures))
		return CANO_FAULT_NONE;
	switch (call->event.what)
	{
		case CANO_SAID_FAILED:
			return CANO_FAULT_VERDICT;
		case CANO_CRASHED:
			return CANO_FAULT_POISONED;
		case CANO_ATTEMPT_FAILED:
			return attempts > 1 && is_retriable(&call->event) ?
				CANO_FAULT_EXHAUSTED : CANO_FAULT_TASK;
		case CANO_SAID_MORE:
			return state->kind == CANO_KIND_STEPPED ? CANO_FAULT_NONE :
				CANO_FAULT_WRONG_OUTCOME;
		case CANO_ARRIVED:
			return state->ending == CANO_COMPLETED ? CANO_FAULT_NONE :
				CANO_FAULT_EXIT;
		case CANO_SAID_NEXT:
			break;
		default:
			return CANO_FAULT_NONE;
	}
	if (to != CANO_NO_STATE)
		return s->states[to].ending != CANO_COMPLETED &&
			call->event.delay_us == 0 ? CANO_FAULT_EXIT : CANO_FAULT_NONE;
	if (call->event.target == NULL)
		return CANO_FAULT_NO_NEXT;
	return strcmp(call->event.target, "nowhere") ? CANO_FAULT_NOT_A_TARGET :
		CANO_FAULT_UNKNOWN_STATE;
}

/* Does the run end with this call, and how? */
static End
end_of(const Story *s, const Call *call, int failures)
{
	const CanoEvent *event = &call->event;
	int			to = event->what == CANO_ARRIVED ? call->state :
		event->delay_us > 0 ? CANO_NO_STATE : successor(s, call);
	CanoFault	fault = misfortune(s, call, failures);

	if (event->what == CANO_SAID_CANCELLED)
		return (End) {true, CANO_CANCELLED, CANO_FAULT_VERDICT};
	if (event->what == CANO_CALLED_OFF || event->called_off)
		return (End) {true, CANO_CANCELLED, CANO_FAULT_CALLED_OFF};
	if (fault == CANO_FAULT_EXIT)
		return (End) {true, s->states[to].ending, fault};
	if (fault != CANO_FAULT_NONE)
		return (End) {true, CANO_FAILED, fault};
	if (event->what == CANO_OUT_OF_TIME || event->out_of_time)
		return (End) {true, CANO_FAILED, CANO_FAULT_OUT_OF_TIME};
	return (End) {to == DONE, CANO_COMPLETED, CANO_FAULT_NONE};
}

/* ---- comparing ---- */

static bool
complain(const char *what, int at)
{
	printf("# %s %d\n", what, at);
	return false;
}

/* It was at every call where it should be, and ended when it should. */
static bool
check_forward(const Story *s)
{
	int			failures = 0;
	int			at = 0;

	for (int i = 0; i < s->ncalls; i++)
	{
		const Call *call = &s->calls[i];
		End			end = end_of(s, call, failures);

		if (call->state != at)
			return complain("in a wrong state at call", i);
		if (end.ends != (i == s->ncalls - 1 && s->end.verb == CANO_END))
			return complain(end.ends ? "goes on after call" :
							"ends with call", i);
		if (end.ends && (end.ending != s->end.ending ||
						 end.fault != s->end.fault))
			return complain("ends wrongly with call", i);
		if (successor(s, call) != CANO_NO_STATE)
			at = successor(s, call);
		if (call->event.what == CANO_ATTEMPT_FAILED)
			failures++;
		else if (call->event.what != CANO_CRASHED &&
				 call->event.what != CANO_ARRIVED)
			failures = 0;
	}
	return true;
}

/*
 * The tries to undo this call come next, and only the last of them has the
 * last word.  Returns what follows them, or -1.
 */
static int
skip_tries(const Story *s, int completed_by, int from, bool *undone)
{
	const CanoState *undo = s->states[s->calls[completed_by].state].undo;
	int			failures = 0;

	for (int i = from; i < s->ntries; i++)
	{
		const Call *try = &s->tries[i];

		if (try->completed_by != completed_by)
			return -1;
		if (!is_tried_again(&try->event, attempts_of(undo, 0), failures))
		{
			*undone = try->event.what == CANO_SAID_NEXT;
			return i + 1;
		}
		failures += try->event.what == CANO_ATTEMPT_FAILED;
	}
	return -1;
}

static bool
check_back(const Story *s)
{
	bool		any = false;
	bool		all = true;
	int			next = 0;

	for (int i = s->ncalls - 1; i >= 0; i--)
	{
		bool		undone;

		if (!is_completion(s, &s->calls[i]))
			continue;
		if (next >= s->limit)
		{
			all = false;
			break;
		}
		next = skip_tries(s, i, next, &undone);
		if (next < 0)
			return complain("not undone in its turn: call", i);
		any |= undone;
		all &= undone;
	}
	if (next != s->ntries)
		return complain("undone without reason: try", next);
	if (s->rollback != (!all ? CANO_ROLLBACK_PARTIAL :
						any ? CANO_ROLLBACK_CLEAN : CANO_ROLLBACK_NONE))
		return complain("the rollback came out as", s->rollback);
	return true;
}

static bool
check(const Story *s)
{
	bool		abandoned = s->model.abandons &&
		s->end.fault == CANO_FAULT_OUT_OF_TIME;
	bool		can_undo = false;

	for (int i = 0; i < NSTATES; i++)
		can_undo |= s->states[i].undo != NULL;
	if (!check_forward(s))
		return false;
	if (s->end.rolls_back !=
		(can_undo && s->end.ending != CANO_COMPLETED && !abandoned))
		return complain("whether it rolls back is", s->end.rolls_back);
	return !s->end.rolls_back || check_back(s);
}

static void
describe(const Story *s)
{
	for (int i = 0; i < s->ncalls + s->ntries; i++)
	{
		bool		back = i >= s->ncalls;
		const Call *call = back ? &s->tries[i - s->ncalls] : &s->calls[i];
		const CanoState *state = &s->states[call->state];

		printf("# %s %d", back ? "try" : "call", back ? i - s->ncalls : i);
		if (back)
			printf(" of call %d", call->completed_by);
		printf(": \"%s\" kind %d undo %d, event %d to \"%s\" delay %d, %s/%d,"
			   " crash %d, called off %d, out of time %d\n", state->name,
			   state->kind, state->undo != NULL, call->event.what,
			   call->event.target ? call->event.target : "(none)",
			   call->event.delay_us > 0,
			   call->event.sqlstate ? call->event.sqlstate : "-",
			   call->event.category, call->event.crashes,
			   call->event.called_off, call->event.out_of_time);
	}
	printf("# ending %d fault %d rolls back %d; limits: attempts %d, tries %d\n",
		   s->end.ending, s->end.fault, s->end.rolls_back, s->max_attempts,
		   s->limit);
}

static bool
try_story(void)
{
	Story		s;
	bool		good;

	random_story(&s);
	good = check(&s);
	if (!good)
		describe(&s);
	return good;
}

int
main(int argc, char **argv)
{
	return try_cases(argc, argv, 200000, try_story,
					 "random runs undo what they have completed");
}
