/*-------------------------------------------------------------------------
 *
 * asides.c
 *	  What follows from calls before the first state and after the end.
 *
 * Build: gcc test/unit/asides.c src/fsm.c src/join.c src/retry.c -lcmocka -lm
 *
 *-------------------------------------------------------------------------
 */
#include "small_model.h"

static CanoState call;

static int
setup_call(void **unused)
{
	setup(unused);
	call = part("call", CANO_KIND_TASK);
	position.errors = 4;
	return 0;
}

static CanoDecision
before(CanoHappened what, int then)
{
	CanoEvent	event = {.what = what,.target = "nowhere",.delay_us = 5};

	return cano_fsm_decide_before(&model, &call, then, &position, &event);
}

static CanoDecision
after(CanoHappened what, int then)
{
	CanoEvent	event = {.what = what,.target = "nowhere",.delay_us = 5};

	return cano_fsm_decide_after(&call, then, &position, &event);
}

static CanoDecision
before_fails(const char *sqlstate)
{
	CanoEvent	event = {
		.what = CANO_ATTEMPT_FAILED,.sqlstate = sqlstate,
		.category = CANO_CAT_TASK_EXECUTION
	};

	return cano_fsm_decide_before(&model, &call, 5, &position, &event);
}

static CanoDecision
after_fails(const char *sqlstate, int then)
{
	CanoEvent	event = {
		.what = CANO_ATTEMPT_FAILED,.sqlstate = sqlstate,
		.category = CANO_CAT_TASK_EXECUTION
	};

	return cano_fsm_decide_after(&call, then, &position, &event);
}

/* The same or another call is due, and the run is where it was. */
#define assert_calls(d, duty_, which, attempt_) do { \
	CanoDecision c_ = (d); \
	assert_int_not_equal(c_.verb, CANO_END); \
	assert_int_equal(c_.state, position.state); \
	assert_int_equal(c_.duty, (duty_)); \
	assert_int_equal(c_.errors, (which)); \
	assert_int_equal(c_.attempt, (attempt_)); \
	assert_false(c_.entered); \
	assert_false(c_.cursor); \
	assert_false(c_.completed); \
	assert_false(c_.rolls_back); \
} while (0)

/* ---- before ---- */

static void
a_setup_is_followed_by_the_next(void **unused)
{
	CanoDecision d = before(CANO_SAID_NEXT, 5);

	assert_int_equal(d.verb, CANO_GO);
	assert_calls(d, CANO_DUTY_PREPARE, 5, 1);
	assert_true(d.keep);
}

static void
the_last_setup_enters_the_first_state(void **unused)
{
	CanoDecision d = before(CANO_SAID_NEXT, CANO_NO_CALL);

	assert_goes(d, PLAIN);
	assert_true(d.entered);
	assert_int_equal(d.errors, 0);

	position.state = NAP;
	assert_waits(before(CANO_SAID_NEXT, CANO_NO_CALL), NAP, CANO_WAIT_TIMER);
	position.state = FORK;
	assert_true(before(CANO_SAID_NEXT, CANO_NO_CALL).fans_out);
	position.state = ROUTE;
	assert_false(before(CANO_SAID_NEXT, CANO_NO_CALL).entered);
	position.state = DONE;
	assert_int_equal(before(CANO_SAID_NEXT, CANO_NO_CALL).verb, CANO_END);
}

static void
the_last_setup_of_a_resumed_run_lets_it_go_on(void **unused)
{
	position.resumed = true;
	assert_calls(before(CANO_SAID_NEXT, CANO_NO_CALL), CANO_DUTY_RESUME, 0, 1);
}

static void
a_setup_is_tried_again(void **unused)
{
	CanoDecision d;

	call.retry = cano_retry_default(3);
	d = before_fails("P0001");
	assert_int_equal(d.verb, CANO_WAIT);
	assert_int_equal(d.waiting, CANO_WAIT_RETRY);
	assert_calls(d, CANO_DUTY_PREPARE, 4, 2);
	assert_true(d.failed_attempt);
	assert_false(d.keep);
}

static void
a_setup_that_fails_for_good_ends_the_run(void **unused)
{
	CanoDecision d;

	call.retry = cano_retry_default(3);
	position.attempt = 4;
	d = before_fails("P0001");
	assert_ends(d, CANO_FAILED, CANO_FAULT_EXHAUSTED, CANO_CAT_RETRY_EXHAUSTED);
	assert_true(d.dead);
	assert_false(d.entered);

	position.attempt = 1;
	assert_ends(before_fails("CN900"), CANO_FAILED, CANO_FAULT_TASK,
				CANO_CAT_PERMANENT);
	assert_ends(before(CANO_SAID_FAILED, 5), CANO_FAILED, CANO_FAULT_VERDICT,
				CANO_CAT_TASK_EXECUTION);
	assert_ends(before(CANO_SAID_CANCELLED, 5), CANO_CANCELLED,
				CANO_FAULT_VERDICT, CANO_CAT_CANCELLED);
	assert_ends(before(CANO_SAID_MORE, 5), CANO_FAILED,
				CANO_FAULT_WRONG_OUTCOME, CANO_CAT_WORKFLOW);
	assert_ends(before(CANO_CALLED_OFF, 5), CANO_CANCELLED,
				CANO_FAULT_CALLED_OFF, CANO_CAT_CANCELLED);
	assert_ends(before(CANO_OUT_OF_TIME, 5), CANO_FAILED,
				CANO_FAULT_OUT_OF_TIME, CANO_CAT_WORKFLOW_TIMEOUT);
}

static void
a_resumed_run_that_fails_before_is_rolled_back(void **unused)
{
	position.resumed = true;
	model.compensates = true;
	assert_true(before_fails("P0001").rolls_back);
	assert_true(before(CANO_SAID_FAILED, 5).rolls_back);
	assert_true(before(CANO_CALLED_OFF, 5).rolls_back);
	model.compensates = false;
	assert_false(before_fails("P0001").rolls_back);
}

/* ---- after ---- */

static void
a_call_is_followed_by_the_next(void **unused)
{
	CanoDecision d = after(CANO_SAID_NEXT, 6);

	assert_int_equal(d.verb, CANO_GO);
	assert_calls(d, CANO_DUTY_AFTER, 6, 1);
	assert_true(d.keep);
	assert_int_equal(d.fault, CANO_FAULT_NONE);
	d = after(CANO_SAID_NEXT, CANO_NO_CALL);
	assert_int_equal(d.verb, CANO_END);
	assert_int_equal(d.fault, CANO_FAULT_NONE);
}

static void
a_call_is_tried_again(void **unused)
{
	CanoDecision d;

	call.retry = cano_retry_default(3);
	position.attempt = 3;
	d = after_fails("P0001", 6);
	assert_int_equal(d.verb, CANO_WAIT);
	assert_calls(d, CANO_DUTY_AFTER, 4, 4);
	assert_true(d.failed_attempt);
	assert_false(d.keep);
}

static void
a_call_that_is_given_up_is_followed_by_the_next(void **unused)
{
	CanoDecision d;

	call.retry = cano_retry_default(3);
	position.attempt = 4;
	d = after_fails("P0001", 6);
	assert_int_equal(d.verb, CANO_GO);
	assert_calls(d, CANO_DUTY_AFTER, 6, 1);
	assert_int_equal(d.fault, CANO_FAULT_EXHAUSTED);
	assert_true(d.failed_attempt);
	assert_false(d.dead);
	assert_false(d.keep);

	d = after_fails("P0001", CANO_NO_CALL);
	assert_int_equal(d.verb, CANO_END);
	assert_int_equal(d.fault, CANO_FAULT_EXHAUSTED);
	assert_false(d.dead);
}

static void
a_call_that_says_no_is_not_tried_again(void **unused)
{
	CanoDecision d;

	call.retry = cano_retry_default(3);
	d = after(CANO_SAID_FAILED, 6);
	assert_calls(d, CANO_DUTY_AFTER, 6, 1);
	assert_int_equal(d.fault, CANO_FAULT_VERDICT);
	assert_true(d.keep);
	d = after(CANO_SAID_PENDING, 6);
	assert_calls(d, CANO_DUTY_AFTER, 6, 1);
	assert_int_equal(d.fault, CANO_FAULT_WRONG_OUTCOME);
	assert_false(d.keep);
}

static void
a_call_that_crashes_is_given_up_in_the_end(void **unused)
{
	CanoEvent	event = {.what = CANO_CRASHED,.crashes = 3};
	CanoDecision d = cano_fsm_decide_after(&call, 6, &position, &event);

	assert_calls(d, CANO_DUTY_AFTER, 6, 1);
	assert_int_equal(d.fault, CANO_FAULT_POISONED);
	assert_false(d.dead);
}

#define C(name) cmocka_unit_test_setup(name, setup_call)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		C(a_setup_is_followed_by_the_next),
		C(the_last_setup_enters_the_first_state),
		C(the_last_setup_of_a_resumed_run_lets_it_go_on),
		C(a_setup_is_tried_again),
		C(a_setup_that_fails_for_good_ends_the_run),
		C(a_resumed_run_that_fails_before_is_rolled_back),
		C(a_call_is_followed_by_the_next),
		C(a_call_is_tried_again),
		C(a_call_that_is_given_up_is_followed_by_the_next),
		C(a_call_that_says_no_is_not_tried_again),
		C(a_call_that_crashes_is_given_up_in_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
