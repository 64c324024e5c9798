/*-------------------------------------------------------------------------
 *
 * decisions.c
 *	  What follows from each thing that can happen to a run.
 *
 * Build: gcc test/unit/decisions.c src/fsm.c src/retry.c -lcmocka -lm
 *
 *-------------------------------------------------------------------------
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdint.h>

#include "../../src/fsm.h"
#include "../../src/retry.h"

/* One small workflow with a state of each sort. */
enum
{
	PLAIN, STRICT, LAST, FREE, ROUTE, FREE_ROUTE, NAP, ASKED_NAP,
	DONE, BROKEN, CALLED_OFF, NSTATES
};

static const int strict_targets[] = {PLAIN, DONE, LAST};
static const int route_targets[] = {PLAIN, ROUTE};

static CanoState states[NSTATES];
static CanoModel model = {.nstates = NSTATES, .start = PLAIN, .states = states};
static CanoPosition position;

static void
state(int index, const char *name, CanoKind kind, int next)
{
	CanoState	it = {
		.name = name,
		.kind = kind,
		.next = next,
		.anywhere = true,
		.retry = cano_retry_none(),
		.calls = kind == CANO_KIND_TASK || kind == CANO_KIND_ROUTER
	};

	states[index] = it;
}

static int
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
	state(DONE, "done", CANO_KIND_EXIT, CANO_NO_STATE);
	state(BROKEN, "broken", CANO_KIND_EXIT, CANO_NO_STATE);
	states[BROKEN].ending = CANO_FAILED;
	state(CALLED_OFF, "called off", CANO_KIND_EXIT, CANO_NO_STATE);
	states[CALLED_OFF].ending = CANO_CANCELLED;

	position = (CanoPosition)
	{
		.state = PLAIN, .attempt = 1, .max_crashes = 3
	};
	return 0;
}

static CanoDecision
decide(int in, CanoEvent event)
{
	position.state = in;
	return cano_fsm_decide(&model, &position, &event);
}

static CanoDecision
next(int in, const char *target, int64_t delay_us)
{
	return decide(in, (CanoEvent)
				  {
					  .what = CANO_SAID_NEXT,.target = target,.delay_us = delay_us
				  });
}

static CanoDecision
happen(int in, CanoHappened what)
{
	return decide(in, (CanoEvent)
				  {
					  .what = what
				  });
}

static CanoDecision
raise_error(int in, const char *sqlstate, CanoCategory category)
{
	return decide(in, (CanoEvent)
				  {
					  .what = CANO_ATTEMPT_FAILED,.sqlstate = sqlstate,
					  .category = category
				  });
}

static CanoDecision
task_error(int in, const char *sqlstate)
{
	return raise_error(in, sqlstate, CANO_CAT_TASK_EXECUTION);
}

static CanoDecision
crash(int in, int crashes)
{
	return decide(in, (CanoEvent)
				  {
					  .what = CANO_CRASHED,.crashes = crashes
				  });
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

#define assert_ends(d, how, why, cat) do { \
	CanoDecision d_ = (d); \
	assert_int_equal(d_.verb, CANO_END); \
	assert_int_equal(d_.ending, (how)); \
	assert_int_equal(d_.fault, (why)); \
	assert_int_equal(d_.category, (cat)); \
} while (0)

/* ---- where a run goes ---- */

static void
a_task_without_an_opinion_goes_to_next(void **unused)
{
	CanoDecision d = next(PLAIN, NULL, 0);

	assert_goes(d, STRICT);
	assert_true(d.entered);
}

static void
a_task_may_name_any_state_when_it_has_no_targets(void **unused)
{
	assert_goes(next(PLAIN, "free", 0), FREE);
	assert_goes(next(FREE, "plain", 0), PLAIN);
	assert_goes(next(FREE, "free", 0), FREE);
}

static void
next_counts_as_a_target(void **unused)
{
	assert_goes(next(STRICT, "last", 0), LAST);
	assert_goes(next(STRICT, NULL, 0), LAST);
}

static void
a_target_that_was_given_is_allowed(void **unused)
{
	assert_goes(next(STRICT, "plain", 0), PLAIN);
}

static void
a_state_outside_the_targets_fails_the_run_and_undoes_the_attempt(void **unused)
{
	CanoDecision d = next(STRICT, "free", 0);

	assert_ends(d, CANO_FAILED, CANO_FAULT_NOT_A_TARGET, CANO_CAT_WORKFLOW);
	assert_int_equal(d.state, STRICT);
	assert_false(d.keep);
}

static void
a_state_that_does_not_exist_fails_the_run_and_undoes_the_attempt(void **unused)
{
	CanoDecision d = next(PLAIN, "nowhere", 0);

	assert_ends(d, CANO_FAILED, CANO_FAULT_UNKNOWN_STATE, CANO_CAT_WORKFLOW);
	assert_int_equal(d.state, PLAIN);
	assert_false(d.keep);

	d = next(STRICT, "nowhere", 0);
	assert_ends(d, CANO_FAILED, CANO_FAULT_UNKNOWN_STATE, CANO_CAT_WORKFLOW);
}

static void
names_of_states_are_case_sensitive(void **unused)
{
	assert_ends(next(PLAIN, "Free", 0), CANO_FAILED, CANO_FAULT_UNKNOWN_STATE,
				CANO_CAT_WORKFLOW);
	assert_ends(next(PLAIN, "", 0), CANO_FAILED, CANO_FAULT_UNKNOWN_STATE,
				CANO_CAT_WORKFLOW);
}

static void
no_state_and_no_default_fails_the_run(void **unused)
{
	CanoDecision d = next(FREE, NULL, 0);

	assert_ends(d, CANO_FAILED, CANO_FAULT_NO_NEXT, CANO_CAT_WORKFLOW);
	assert_false(d.keep);
	assert_ends(next(ROUTE, NULL, 0), CANO_FAILED, CANO_FAULT_NO_NEXT,
				CANO_CAT_WORKFLOW);
}

static void
a_wrong_target_is_not_retried(void **unused)
{
	states[STRICT].retry = cano_retry_default(5);
	assert_ends(next(STRICT, "free", 0), CANO_FAILED, CANO_FAULT_NOT_A_TARGET,
				CANO_CAT_WORKFLOW);
	position.max_attempts = 9;
	assert_ends(next(STRICT, "nowhere", 0), CANO_FAILED,
				CANO_FAULT_UNKNOWN_STATE, CANO_CAT_WORKFLOW);
}

/* ---- routers ---- */

static void
a_router_goes_to_one_of_its_targets(void **unused)
{
	assert_goes(next(ROUTE, "plain", 0), PLAIN);
	assert_ends(next(ROUTE, "last", 0), CANO_FAILED, CANO_FAULT_NOT_A_TARGET,
				CANO_CAT_WORKFLOW);
}

static void
a_router_without_targets_goes_anywhere(void **unused)
{
	assert_goes(next(FREE_ROUTE, "last", 0), LAST);
}

static void
entering_a_router_leaves_no_row(void **unused)
{
	CanoDecision d = next(PLAIN, "route", 0);

	assert_goes(d, ROUTE);
	assert_false(d.entered);
	d = next(ROUTE, "route", 0);
	assert_goes(d, ROUTE);
	assert_false(d.entered);
	assert_false(cano_fsm_leaves_row(&states[ROUTE]));
}

static void
every_other_kind_leaves_a_row(void **unused)
{
	for (int i = 0; i < NSTATES; i++)
		if (states[i].kind != CANO_KIND_ROUTER)
			assert_true(cano_fsm_leaves_row(&states[i]));
	assert_true(next(PLAIN, "nap", 0).entered);
	assert_true(next(PLAIN, "asked nap", 0).entered);
	assert_true(next(PLAIN, "done", 0).entered);
	assert_true(next(ROUTE, "plain", 0).entered);
}

/* ---- going later ---- */

static void
a_delay_waits_as_timer_before_the_next_state(void **unused)
{
	CanoDecision d = next(PLAIN, "last", 5000000);

	assert_int_equal(d.verb, CANO_WAIT);
	assert_int_equal(d.state, LAST);
	assert_int_equal(d.waiting, CANO_WAIT_TIMER);
	assert_int_equal(d.duty, CANO_DUTY_ENTER);
	assert_int_equal(d.delay_us, 5000000);
	assert_false(d.own_time);
	assert_true(d.keep);
	assert_true(d.entered);
	assert_int_equal(d.attempt, 1);
}

static void
a_delay_of_nothing_or_less_goes_at_once(void **unused)
{
	assert_goes(next(PLAIN, "last", 0), LAST);
	assert_goes(next(PLAIN, "last", -5), LAST);
}

static void
a_delay_before_an_exit_ends_the_run_only_when_it_is_over(void **unused)
{
	CanoDecision d = next(PLAIN, "done", 1);

	assert_int_equal(d.verb, CANO_WAIT);
	assert_int_equal(d.state, DONE);
	assert_true(d.entered);

	d = happen(DONE, CANO_ARRIVED);
	assert_ends(d, CANO_COMPLETED, CANO_FAULT_NONE, d.category);
	assert_false(d.entered);
}

static void
a_delay_before_a_timer_comes_on_top_of_the_timer(void **unused)
{
	CanoDecision d = next(PLAIN, "nap", 7);

	assert_int_equal(d.verb, CANO_WAIT);
	assert_int_equal(d.delay_us, 7);
	assert_false(d.own_time);
	assert_int_equal(d.duty, CANO_DUTY_ENTER);

	d = happen(NAP, CANO_ARRIVED);
	assert_int_equal(d.verb, CANO_WAIT);
	assert_true(d.own_time);
	assert_int_equal(d.duty, CANO_DUTY_WAKE);
	assert_false(d.entered);
}

/* ---- exits ---- */

static void
an_exit_ends_the_run_at_once_with_its_row(void **unused)
{
	CanoDecision d = next(LAST, NULL, 0);

	assert_int_equal(d.verb, CANO_END);
	assert_int_equal(d.state, DONE);
	assert_int_equal(d.ending, CANO_COMPLETED);
	assert_int_equal(d.fault, CANO_FAULT_NONE);
	assert_true(d.entered);
	assert_true(d.keep);
	assert_false(d.dead);
}

static void
an_exit_with_outcome_failed_fails_the_run(void **unused)
{
	CanoDecision d = next(PLAIN, "broken", 0);

	assert_ends(d, CANO_FAILED, CANO_FAULT_EXIT, CANO_CAT_WORKFLOW);
	assert_int_equal(d.state, BROKEN);
	assert_true(d.entered);
	assert_true(d.keep);
	assert_false(d.dead);
}

static void
an_exit_with_outcome_cancelled_cancels_the_run(void **unused)
{
	CanoDecision d = next(PLAIN, "called off", 0);

	assert_ends(d, CANO_CANCELLED, CANO_FAULT_EXIT, CANO_CAT_WORKFLOW);
	assert_true(d.entered);
	assert_true(d.keep);
	assert_false(d.dead);
}

static void
a_run_that_starts_in_an_exit_ends_there(void **unused)
{
	CanoDecision d = happen(DONE, CANO_ARRIVED);

	assert_int_equal(d.verb, CANO_END);
	assert_int_equal(d.ending, CANO_COMPLETED);
	assert_false(d.entered);
	assert_ends(happen(BROKEN, CANO_ARRIVED), CANO_FAILED, CANO_FAULT_EXIT,
				CANO_CAT_WORKFLOW);
}

/* ---- timers ---- */

static void
a_timer_waits_for_its_own_time(void **unused)
{
	CanoDecision d = next(PLAIN, "nap", 0);

	assert_int_equal(d.verb, CANO_WAIT);
	assert_int_equal(d.state, NAP);
	assert_int_equal(d.duty, CANO_DUTY_WAKE);
	assert_int_equal(d.waiting, CANO_WAIT_TIMER);
	assert_true(d.own_time);
	assert_true(d.entered);
	assert_true(d.keep);
}

static void
a_timer_that_is_over_goes_to_next(void **unused)
{
	CanoDecision d = happen(NAP, CANO_WOKEN);

	assert_goes(d, LAST);
	assert_true(d.entered);
}

static void
a_timer_that_asks_a_function_is_due_at_once_and_then_waits(void **unused)
{
	CanoDecision d = next(PLAIN, "asked nap", 0);

	assert_goes(d, ASKED_NAP);
	assert_true(d.entered);

	d = happen(ASKED_NAP, CANO_SAID_UNTIL);
	assert_int_equal(d.verb, CANO_WAIT);
	assert_int_equal(d.state, ASKED_NAP);
	assert_int_equal(d.duty, CANO_DUTY_WAKE);
	assert_int_equal(d.waiting, CANO_WAIT_TIMER);
	assert_true(d.own_time);
	assert_false(d.entered);
	assert_true(d.keep);

	assert_goes(happen(ASKED_NAP, CANO_WOKEN), LAST);
}

static void
a_timer_may_lead_to_an_exit(void **unused)
{
	states[NAP].next = DONE;
	assert_ends(happen(NAP, CANO_WOKEN), CANO_COMPLETED, CANO_FAULT_NONE,
				happen(NAP, CANO_WOKEN).category);
}

/* ---- outcomes that a kind does not know ---- */

static void
more_and_pending_are_unknown_to_tasks_routers_and_timers(void **unused)
{
	int			in[] = {PLAIN, ROUTE, ASKED_NAP};
	CanoHappened what[] = {CANO_SAID_MORE, CANO_SAID_PENDING};

	states[PLAIN].retry = cano_retry_default(3);
	for (int i = 0; i < 3; i++)
		for (int j = 0; j < 2; j++)
		{
			CanoDecision d = happen(in[i], what[j]);

			assert_ends(d, CANO_FAILED, CANO_FAULT_WRONG_OUTCOME,
						CANO_CAT_WORKFLOW);
			assert_int_equal(d.state, in[i]);
			assert_false(d.keep);
		}
}

static void
a_due_time_is_unknown_to_tasks(void **unused)
{
	assert_ends(happen(PLAIN, CANO_SAID_UNTIL), CANO_FAILED,
				CANO_FAULT_WRONG_OUTCOME, CANO_CAT_WORKFLOW);
}

/* ---- verdicts ---- */

static void
a_failed_verdict_keeps_the_effects_and_is_no_dead_letter(void **unused)
{
	CanoDecision d;

	states[PLAIN].retry = cano_retry_default(5);
	d = happen(PLAIN, CANO_SAID_FAILED);
	assert_ends(d, CANO_FAILED, CANO_FAULT_VERDICT, CANO_CAT_TASK_EXECUTION);
	assert_int_equal(d.state, PLAIN);
	assert_true(d.keep);
	assert_false(d.dead);
	assert_false(d.failed_attempt);
	assert_false(d.entered);
}

static void
a_cancelled_verdict_cancels_and_keeps_the_effects(void **unused)
{
	CanoDecision d = happen(PLAIN, CANO_SAID_CANCELLED);

	assert_ends(d, CANO_CANCELLED, CANO_FAULT_VERDICT, CANO_CAT_CANCELLED);
	assert_true(d.keep);
	assert_false(d.dead);
	assert_false(d.failed_attempt);
	assert_false(d.entered);
}

static void
a_router_may_pass_a_verdict(void **unused)
{
	assert_ends(happen(ROUTE, CANO_SAID_FAILED), CANO_FAILED,
				CANO_FAULT_VERDICT, CANO_CAT_TASK_EXECUTION);
	assert_ends(happen(ROUTE, CANO_SAID_CANCELLED), CANO_CANCELLED,
				CANO_FAULT_VERDICT, CANO_CAT_CANCELLED);
}

/* ---- failed attempts ---- */

static void
the_only_attempt_fails_with_the_task_s_own_error(void **unused)
{
	CanoDecision d = task_error(PLAIN, "P0001");

	assert_ends(d, CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_TASK_EXECUTION);
	assert_int_equal(d.state, PLAIN);
	assert_false(d.keep);
	assert_true(d.failed_attempt);
	assert_true(d.dead);
	assert_false(d.entered);
}

static void
fixed_two_is_exactly_three_attempts_then_exhausted(void **unused)
{
	CanoDecision d;

	states[PLAIN].retry = (CanoRetry)
	{
		.policy = CANO_RETRY_FIXED,.retries = 2,.base_ms = 70
	};
	for (int attempt = 1; attempt <= 2; attempt++)
	{
		position.attempt = attempt;
		d = task_error(PLAIN, "P0001");
		assert_int_equal(d.verb, CANO_WAIT);
		assert_int_equal(d.state, PLAIN);
		assert_int_equal(d.waiting, CANO_WAIT_RETRY);
		assert_int_equal(d.duty, CANO_DUTY_ENTER);
		assert_int_equal(d.attempt, attempt + 1);
		assert_int_equal(d.delay_us, 70000);
		assert_false(d.own_time);
		assert_false(d.entered);
		assert_false(d.keep);
		assert_true(d.failed_attempt);
		assert_false(d.dead);
	}
	position.attempt = 3;
	d = task_error(PLAIN, "P0001");
	assert_ends(d, CANO_FAILED, CANO_FAULT_EXHAUSTED, CANO_CAT_RETRY_EXHAUSTED);
	assert_true(d.dead);
	assert_true(d.failed_attempt);
	assert_false(d.keep);
}

static void
a_retry_without_delay_is_due_at_once(void **unused)
{
	CanoDecision d;

	states[PLAIN].retry = (CanoRetry)
	{
		.policy = CANO_RETRY_FIXED,.retries = 1
	};
	d = task_error(PLAIN, "P0001");
	assert_int_equal(d.verb, CANO_GO);
	assert_int_equal(d.state, PLAIN);
	assert_int_equal(d.attempt, 2);
	assert_false(d.keep);
	assert_true(d.failed_attempt);
	assert_false(d.entered);
}

static void
the_delay_counts_failed_attempts_from_nought(void **unused)
{
	states[PLAIN].retry = cano_retry_default(3);
	position.random = 0.0;
	for (int attempt = 1, ms = 100; attempt <= 3; attempt++, ms *= 2)
	{
		position.attempt = attempt;
		assert_int_equal(task_error(PLAIN, "P0001").delay_us, ms * 1000);
	}
	position.attempt = 4;
	assert_ends(task_error(PLAIN, "P0001"), CANO_FAILED, CANO_FAULT_EXHAUSTED,
				CANO_CAT_RETRY_EXHAUSTED);
}

static void
the_random_number_moves_the_delay_by_the_jitter(void **unused)
{
	states[PLAIN].retry = cano_retry_default(3);
	states[PLAIN].retry.jitter = 0.5;
	position.random = 1.0;
	assert_int_equal(task_error(PLAIN, "P0001").delay_us, 150000);
	position.random = -1.0;
	assert_int_equal(task_error(PLAIN, "P0001").delay_us, 50000);
}

static void
every_ordinary_category_is_retried(void **unused)
{
	CanoCategory categories[] = {
		CANO_CAT_TASK_EXECUTION, CANO_CAT_TIMEOUT, CANO_CAT_CONFIGURATION,
		CANO_CAT_RESOURCE, CANO_CAT_NOT_FOUND, CANO_CAT_RATE_LIMITED
	};

	states[PLAIN].retry = cano_retry_default(3);
	for (int i = 0; i < 6; i++)
	{
		CanoDecision d = raise_error(PLAIN, "P0001", categories[i]);

		assert_int_equal(d.verb, CANO_WAIT);
		assert_int_equal(d.attempt, 2);
	}
}

static void
serialization_failures_that_reach_the_core_count_as_ordinary(void **unused)
{
	states[PLAIN].retry = cano_retry_default(3);
	assert_int_equal(task_error(PLAIN, "40001").attempt, 2);
	assert_int_equal(task_error(PLAIN, "40P01").attempt, 2);
}

static void
a_timeout_as_the_only_attempt_stays_a_timeout(void **unused)
{
	CanoDecision d = raise_error(PLAIN, "57014", CANO_CAT_TIMEOUT);

	assert_ends(d, CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_TIMEOUT);
	assert_false(d.keep);
	assert_true(d.dead);
}

static void
a_router_is_retried_like_a_task(void **unused)
{
	states[ROUTE].retry = cano_retry_default(1);
	assert_int_equal(task_error(ROUTE, "P0001").attempt, 2);
	position.attempt = 2;
	assert_ends(task_error(ROUTE, "P0001"), CANO_FAILED, CANO_FAULT_EXHAUSTED,
				CANO_CAT_RETRY_EXHAUSTED);
}

static void
the_run_s_own_limit_beats_the_state_s(void **unused)
{
	states[PLAIN].retry = cano_retry_default(3);
	position.max_attempts = 2;
	assert_int_equal(task_error(PLAIN, "P0001").attempt, 2);
	position.attempt = 2;
	assert_ends(task_error(PLAIN, "P0001"), CANO_FAILED, CANO_FAULT_EXHAUSTED,
				CANO_CAT_RETRY_EXHAUSTED);

	position.max_attempts = 1;
	position.attempt = 1;
	assert_ends(task_error(PLAIN, "P0001"), CANO_FAILED, CANO_FAULT_TASK,
				CANO_CAT_TASK_EXECUTION);

	/* also upwards, and where the state has no retries */
	position.max_attempts = 7;
	position.attempt = 6;
	assert_int_equal(task_error(PLAIN, "P0001").attempt, 7);
	position.attempt = 3;
	assert_int_equal(task_error(LAST, "P0001").attempt, 4);
}

/* ---- errors that are never retried ---- */

static void
cn900_is_permanent(void **unused)
{
	CanoDecision d;

	states[PLAIN].retry = cano_retry_default(3);
	d = task_error(PLAIN, "CN900");
	assert_ends(d, CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_PERMANENT);
	assert_true(d.dead);
	assert_true(d.failed_attempt);
	assert_false(d.keep);
	assert_ends(task_error(LAST, "CN900"), CANO_FAILED, CANO_FAULT_TASK,
				CANO_CAT_PERMANENT);
}

static void
a_permanent_error_in_a_later_attempt_is_not_called_exhausted(void **unused)
{
	states[PLAIN].retry = cano_retry_default(3);
	for (int attempt = 2; attempt <= 4; attempt++)
	{
		position.attempt = attempt;
		assert_ends(task_error(PLAIN, "CN900"), CANO_FAILED, CANO_FAULT_TASK,
					CANO_CAT_PERMANENT);
	}
}

static void
fatal_on_names_codes_and_classes(void **unused)
{
	static const char *const fatal_on[] = {"23", "42P01"};

	states[PLAIN].retry = cano_retry_default(3);
	states[PLAIN].fatal_on = fatal_on;
	states[PLAIN].nfatal = 2;
	assert_ends(task_error(PLAIN, "23505"), CANO_FAILED, CANO_FAULT_TASK,
				CANO_CAT_PERMANENT);
	assert_ends(task_error(PLAIN, "23000"), CANO_FAILED, CANO_FAULT_TASK,
				CANO_CAT_PERMANENT);
	assert_ends(task_error(PLAIN, "42P01"), CANO_FAILED, CANO_FAULT_TASK,
				CANO_CAT_PERMANENT);
	assert_true(task_error(PLAIN, "42P01").dead);
	/* the same class, another code; a class that only ends alike */
	assert_int_equal(task_error(PLAIN, "42P02").attempt, 2);
	assert_int_equal(task_error(PLAIN, "42601").attempt, 2);
	assert_int_equal(task_error(PLAIN, "02300").attempt, 2);
	assert_int_equal(task_error(PLAIN, "22023").attempt, 2);
	/* another state's list means nothing here */
	states[LAST].retry = cano_retry_default(3);
	assert_int_equal(task_error(LAST, "23505").attempt, 2);
}

static void
panics_are_never_retried(void **unused)
{
	const char *codes[] = {"XX000", "XX001", "XX002", "P0004"};

	states[PLAIN].retry = cano_retry_default(3);
	for (int i = 0; i < 4; i++)
	{
		CanoDecision d = task_error(PLAIN, codes[i]);

		assert_ends(d, CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_TASK_EXECUTION);
		assert_true(d.failed_attempt);
		assert_true(d.dead);
		assert_false(d.keep);
	}
	position.attempt = 4;
	assert_ends(task_error(PLAIN, "XX000"), CANO_FAILED, CANO_FAULT_TASK,
				CANO_CAT_TASK_EXECUTION);
}

static void
neighbours_of_the_panic_codes_are_retried(void **unused)
{
	const char *codes[] = {"P0000", "P0001", "P0002", "P0003", "X0000", "0XX00"};

	states[PLAIN].retry = cano_retry_default(3);
	for (int i = 0; i < 6; i++)
		assert_int_equal(task_error(PLAIN, codes[i]).attempt, 2);
}

static void
a_missing_argument_is_not_retried(void **unused)
{
	CanoDecision d;

	states[PLAIN].retry = cano_retry_default(3);
	d = raise_error(PLAIN, "CN014", CANO_CAT_MISSING_ARGUMENT);
	assert_ends(d, CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_MISSING_ARGUMENT);
	assert_true(d.failed_attempt);
	assert_false(d.keep);
	position.attempt = 4;
	assert_ends(raise_error(PLAIN, "CN014", CANO_CAT_MISSING_ARGUMENT),
				CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_MISSING_ARGUMENT);
}

/* ---- crashes ---- */

static void
a_crash_consumes_no_attempt(void **unused)
{
	position.attempt = 2;
	for (int crashes = 1; crashes < position.max_crashes; crashes++)
	{
		CanoDecision d = crash(PLAIN, crashes);

		assert_int_not_equal(d.verb, CANO_END);
		assert_int_equal(d.state, PLAIN);
		assert_int_equal(d.attempt, 2);
		assert_int_equal(d.duty, CANO_DUTY_ENTER);
		assert_false(d.entered);
		assert_false(d.keep);
		assert_false(d.failed_attempt);
		assert_false(d.own_time);
	}
}

static void
crashing_too_often_poisons_the_run(void **unused)
{
	for (int crashes = 3; crashes <= 5; crashes++)
	{
		CanoDecision d = crash(PLAIN, crashes);

		assert_ends(d, CANO_FAILED, CANO_FAULT_POISONED, CANO_CAT_POISONED);
		assert_int_equal(d.state, PLAIN);
		assert_false(d.keep);
	}
	position.max_crashes = 1;
	assert_ends(crash(PLAIN, 1), CANO_FAILED, CANO_FAULT_POISONED,
				CANO_CAT_POISONED);
}

static void
attempts_left_do_not_save_a_poisoned_run(void **unused)
{
	states[PLAIN].retry = cano_retry_default(100);
	position.max_attempts = 1000;
	assert_ends(crash(PLAIN, 3), CANO_FAILED, CANO_FAULT_POISONED,
				CANO_CAT_POISONED);
}

/* ---- looking up ---- */

static void
states_are_found_by_name(void **unused)
{
	for (int i = 0; i < NSTATES; i++)
		assert_int_equal(cano_fsm_state(&model, states[i].name), i);
	assert_int_equal(cano_fsm_state(&model, "none such"), CANO_NO_STATE);
	assert_int_equal(cano_fsm_state(&model, ""), CANO_NO_STATE);
}

#define T(name) cmocka_unit_test_setup(name, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_task_without_an_opinion_goes_to_next),
		T(a_task_may_name_any_state_when_it_has_no_targets),
		T(next_counts_as_a_target),
		T(a_target_that_was_given_is_allowed),
		T(a_state_outside_the_targets_fails_the_run_and_undoes_the_attempt),
		T(a_state_that_does_not_exist_fails_the_run_and_undoes_the_attempt),
		T(names_of_states_are_case_sensitive),
		T(no_state_and_no_default_fails_the_run),
		T(a_wrong_target_is_not_retried),
		T(a_router_goes_to_one_of_its_targets),
		T(a_router_without_targets_goes_anywhere),
		T(entering_a_router_leaves_no_row),
		T(every_other_kind_leaves_a_row),
		T(a_delay_waits_as_timer_before_the_next_state),
		T(a_delay_of_nothing_or_less_goes_at_once),
		T(a_delay_before_an_exit_ends_the_run_only_when_it_is_over),
		T(a_delay_before_a_timer_comes_on_top_of_the_timer),
		T(an_exit_ends_the_run_at_once_with_its_row),
		T(an_exit_with_outcome_failed_fails_the_run),
		T(an_exit_with_outcome_cancelled_cancels_the_run),
		T(a_run_that_starts_in_an_exit_ends_there),
		T(a_timer_waits_for_its_own_time),
		T(a_timer_that_is_over_goes_to_next),
		T(a_timer_that_asks_a_function_is_due_at_once_and_then_waits),
		T(a_timer_may_lead_to_an_exit),
		T(more_and_pending_are_unknown_to_tasks_routers_and_timers),
		T(a_due_time_is_unknown_to_tasks),
		T(a_failed_verdict_keeps_the_effects_and_is_no_dead_letter),
		T(a_cancelled_verdict_cancels_and_keeps_the_effects),
		T(a_router_may_pass_a_verdict),
		T(the_only_attempt_fails_with_the_task_s_own_error),
		T(fixed_two_is_exactly_three_attempts_then_exhausted),
		T(a_retry_without_delay_is_due_at_once),
		T(the_delay_counts_failed_attempts_from_nought),
		T(the_random_number_moves_the_delay_by_the_jitter),
		T(every_ordinary_category_is_retried),
		T(serialization_failures_that_reach_the_core_count_as_ordinary),
		T(a_timeout_as_the_only_attempt_stays_a_timeout),
		T(a_router_is_retried_like_a_task),
		T(the_run_s_own_limit_beats_the_state_s),
		T(cn900_is_permanent),
		T(a_permanent_error_in_a_later_attempt_is_not_called_exhausted),
		T(fatal_on_names_codes_and_classes),
		T(panics_are_never_retried),
		T(neighbours_of_the_panic_codes_are_retried),
		T(a_missing_argument_is_not_retried),
		T(a_crash_consumes_no_attempt),
		T(crashing_too_often_poisons_the_run),
		T(attempts_left_do_not_save_a_poisoned_run),
		T(states_are_found_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
