/*-------------------------------------------------------------------------
 *
 * sheltered.c
 *	  States that are not interrupted, of a run that is to end meanwhile.
 *
 * Build: gcc test/unit/sheltered.c src/fsm.c src/join.c src/retry.c -lcmocka -lm
 *
 *-------------------------------------------------------------------------
 */
#include "small_model.h"

static const int safe[] = {SAFE, SAFE_LOOP, SAFE_OUTSIDE};

/* What became true while a state was not interrupted. */
static const CanoEvent calm = {0};
static const CanoEvent called_off = {.called_off = true};
static const CanoEvent out_of_time = {.out_of_time = true};
static const CanoEvent both = {.called_off = true,.out_of_time = true};

static CanoDecision
meanwhile(CanoEvent event, CanoEvent what)
{
	event.called_off = what.called_off;
	event.out_of_time = what.out_of_time;
	return cano_fsm_decide(&model, &position, &event);
}

#define assert_stops(d, how, why, cat) do { \
	CanoDecision s_ = (d); \
	assert_ends(s_, how, why, cat); \
	assert_int_equal(s_.state, position.state); \
	assert_false(s_.entered); \
	assert_false(s_.fans_out); \
	assert_false(s_.dead); \
	assert_true(s_.rolls_back); \
} while (0)

#define assert_called_off(d) \
	assert_stops(d, CANO_CANCELLED, CANO_FAULT_CALLED_OFF, CANO_CAT_CANCELLED)
#define assert_out_of_time(d) \
	assert_stops(d, CANO_FAILED, CANO_FAULT_OUT_OF_TIME, \
				 CANO_CAT_WORKFLOW_TIMEOUT)

static void
a_cancelled_run_stops_after_a_state_that_has_completed(void **unused)
{
	const char *targets[] = {
		NULL, "last", "nap", "fork", "route", "done", "broken", "called off"
	};

	for (int i = 0; i < 3; i++)
		for (int j = 0; j < 8; j++)
		{
			CanoEvent	event = goes_to(targets[j]);
			CanoDecision d;

			position.state = safe[i];
			event.delay_us = j == 1 ? 5000000 : 0;
			d = meanwhile(event, j % 2 ? called_off : both);
			assert_called_off(d);
			assert_true(d.completed);
			assert_true(d.keep);
			assert_false(d.failed_attempt);
			assert_false(d.cursor);
		}
}

static void
a_run_out_of_time_stops_after_a_state_that_has_completed(void **unused)
{
	const char *targets[] = {NULL, "last", "nap", "fork", "route", "done"};

	for (int i = 0; i < 3; i++)
		for (int j = 0; j < 6; j++)
		{
			CanoEvent	event = goes_to(targets[j]);
			CanoDecision d;

			position.state = safe[i];
			event.delay_us = j == 1 ? 5000000 : 0;
			d = meanwhile(event, out_of_time);
			assert_out_of_time(d);
			assert_true(d.completed);
			assert_true(d.keep);
			assert_false(d.failed_attempt);
		}
}

static void
a_run_that_stops_keeps_the_cursor_of_its_last_step(void **unused)
{
	CanoDecision d;

	position.state = SAFE_LOOP;
	d = meanwhile(said(CANO_SAID_MORE), called_off);
	assert_called_off(d);
	assert_true(d.cursor);
	assert_true(d.keep);
	assert_false(d.completed);
	d = meanwhile(said(CANO_SAID_MORE), out_of_time);
	assert_out_of_time(d);
	assert_true(d.cursor);
	assert_true(d.keep);
	assert_false(d.completed);
}

static void
a_cancelled_run_is_not_tried_again(void **unused)
{
	for (int i = 0; i < 3; i++)
		for (int attempt = 1; attempt <= 4; attempt++)
		{
			CanoDecision d;

			position.state = safe[i];
			position.attempt = attempt;
			states[safe[i]].retry = cano_retry_default(3);
			d = meanwhile(errs("P0001", CANO_CAT_TASK_EXECUTION), called_off);
			assert_called_off(d);
			assert_true(d.failed_attempt);
			assert_false(d.keep);
			assert_false(d.completed);
			assert_false(d.cursor);
			assert_called_off(meanwhile(crashed(attempt), called_off));
		}
}

static void
a_cancel_beats_every_other_end(void **unused)
{
	CanoDecision d;

	position.state = SAFE;
	assert_called_off(meanwhile(errs("CN900", CANO_CAT_TASK_EXECUTION),
								called_off));
	assert_called_off(meanwhile(errs("XX000", CANO_CAT_TASK_EXECUTION),
								called_off));
	assert_called_off(meanwhile(errs("57014", CANO_CAT_TIMEOUT), called_off));
	assert_called_off(meanwhile(said(CANO_OUT_OF_TIME), called_off));
	assert_called_off(meanwhile(crashed(3), called_off));

	/* What a verdict has done stays, and is not undone. */
	d = meanwhile(said(CANO_SAID_FAILED), both);
	assert_called_off(d);
	assert_true(d.keep);
	assert_false(d.completed);

	/* What is not allowed leaves nothing to undo. */
	d = meanwhile(goes_to("nowhere"), called_off);
	assert_called_off(d);
	assert_false(d.keep);
	assert_false(d.completed);
	d = meanwhile(said(CANO_SAID_MORE), called_off);
	assert_called_off(d);
	assert_false(d.keep);
	assert_false(d.cursor);
}

static void
a_task_s_own_cancellation_beats_all(void **unused)
{
	const CanoEvent what[] = {calm, called_off, out_of_time, both};

	for (int i = 0; i < 3; i++)
		for (int j = 0; j < 4; j++)
		{
			CanoDecision d;

			position.state = safe[i];
			d = meanwhile(said(CANO_SAID_CANCELLED), what[j]);
			assert_stops(d, CANO_CANCELLED, CANO_FAULT_VERDICT,
						 CANO_CAT_CANCELLED);
			assert_true(d.keep);
			assert_false(d.completed);
		}
}

static void
a_run_out_of_time_is_not_tried_again(void **unused)
{
	CanoDecision d;

	position.state = SAFE;
	states[SAFE].retry = cano_retry_default(3);
	d = meanwhile(errs("P0001", CANO_CAT_TASK_EXECUTION), out_of_time);
	assert_out_of_time(d);
	assert_true(d.failed_attempt);
	assert_false(d.keep);
	assert_false(d.completed);
	assert_out_of_time(meanwhile(crashed(1), out_of_time));
}

static void
a_run_that_fails_anyway_does_so_for_its_own_reason(void **unused)
{
	position.state = SAFE;
	assert_ends(meanwhile(said(CANO_SAID_FAILED), out_of_time), CANO_FAILED,
				CANO_FAULT_VERDICT, CANO_CAT_TASK_EXECUTION);
	assert_ends(meanwhile(errs("P0001", CANO_CAT_TASK_EXECUTION), out_of_time),
				CANO_FAILED, CANO_FAULT_TASK, CANO_CAT_TASK_EXECUTION);
	assert_true(meanwhile(errs("P0001", CANO_CAT_TASK_EXECUTION),
						  out_of_time).dead);
	assert_ends(meanwhile(crashed(3), out_of_time), CANO_FAILED,
				CANO_FAULT_POISONED, CANO_CAT_POISONED);
	assert_ends(meanwhile(goes_to("nowhere"), out_of_time), CANO_FAILED,
				CANO_FAULT_UNKNOWN_STATE, CANO_CAT_WORKFLOW);
	assert_ends(meanwhile(goes_to("broken"), out_of_time), CANO_FAILED,
				CANO_FAULT_EXIT, CANO_CAT_WORKFLOW);
	assert_true(meanwhile(goes_to("broken"), out_of_time).completed);

	/* A later visit of that exit is not an end yet. */
	assert_out_of_time(meanwhile((CanoEvent)
								 {
									 .what = CANO_SAID_NEXT,.target = "broken",
									 .delay_us = 1
								 }, out_of_time));
}

static void
nobody_undoes_what_an_abandoned_run_completed_late(void **unused)
{
	CanoDecision d;

	model.abandons = true;
	position.state = SAFE;
	d = meanwhile(goes_to(NULL), out_of_time);
	assert_ends(d, CANO_FAILED, CANO_FAULT_OUT_OF_TIME,
				CANO_CAT_WORKFLOW_TIMEOUT);
	assert_true(d.completed);
	assert_false(d.rolls_back);

	/* ... unless it is cancelled as well, which comes first. */
	assert_called_off(meanwhile(goes_to(NULL), both));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_cancelled_run_stops_after_a_state_that_has_completed),
		T(a_run_out_of_time_stops_after_a_state_that_has_completed),
		T(a_run_that_stops_keeps_the_cursor_of_its_last_step),
		T(a_cancelled_run_is_not_tried_again),
		T(a_cancel_beats_every_other_end),
		T(a_task_s_own_cancellation_beats_all),
		T(a_run_out_of_time_is_not_tried_again),
		T(a_run_that_fails_anyway_does_so_for_its_own_reason),
		T(nobody_undoes_what_an_abandoned_run_completed_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
