/*-------------------------------------------------------------------------
 *
 * joins.c
 *	  When a split is done with, and whether enough of its branches succeeded.
 *
 * Build: gcc test/unit/joins.c src/join.c -lcmocka
 *
 * A story is what happens to the branches in its order: "s" one succeeds, "f"
 * one fails, "!" the time is over.
 *
 *-------------------------------------------------------------------------
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdint.h>
#include <string.h>

#include "../../src/join.h"

static const CanoJoin all = {.strategy = CANO_JOIN_ALL};
static const CanoJoin any = {.strategy = CANO_JOIN_ANY};
static const CanoJoin partial_timeout = {.strategy = CANO_JOIN_PARTIAL_TIMEOUT};

static CanoJoin
quorum(int n)
{
	return (CanoJoin)
	{
		.strategy = CANO_JOIN_QUORUM,.needed = n
	};
}

static CanoJoin
partial(int n)
{
	return (CanoJoin)
	{
		.strategy = CANO_JOIN_PARTIAL,.needed = n
	};
}

/* Of a percentage the core knows how many branches it comes to. */
static CanoJoin
percentage(int n)
{
	return (CanoJoin)
	{
		.strategy = CANO_JOIN_PERCENTAGE,.needed = n
	};
}

/*
 * Ask as the engine does.  "after" is how much of the story was told when it
 * was decided; a split without branches is decided before anything happens.
 */
static CanoVerdict
judge(CanoJoin join, int total, const char *story, int *after)
{
	CanoTally	tally = {.total = total};
	CanoVerdict verdict = CANO_JOIN_OPEN;

	*after = 0;
	if (total == 0)
		return cano_join_judge(&join, &tally);
	while (verdict == CANO_JOIN_OPEN && story[*after] != '\0')
	{
		tally.succeeded += story[*after] == 's';
		tally.failed += story[*after] == 'f';
		tally.timed_out = story[*after] == '!';
		(*after)++;
		verdict = cano_join_judge(&join, &tally);
	}
	return verdict;
}

#define assert_verdict(join, total, story, wanted, when) do { \
	int			after_; \
	assert_int_equal(judge((join), (total), (story), &after_), (wanted)); \
	assert_int_equal(after_, (when)); \
} while (0)

/* Decided by the last word of the story, and not before. */
#define assert_met(join, total, story) \
	assert_verdict(join, total, story, CANO_JOIN_MET, strlen(story))
#define assert_missed(join, total, story) \
	assert_verdict(join, total, story, CANO_JOIN_MISSED, strlen(story))
#define assert_open(join, total, story) \
	assert_verdict(join, total, story, CANO_JOIN_OPEN, strlen(story))

/* ---- all ---- */

static void
all_is_met_when_every_branch_succeeded(void **unused)
{
	assert_met(all, 1, "s");
	assert_met(all, 3, "sss");
}

static void
all_is_missed_by_one_failure_but_only_when_all_have_ended(void **unused)
{
	assert_open(all, 3, "f");
	assert_open(all, 3, "fs");
	assert_missed(all, 3, "fss");
	assert_missed(all, 3, "ssf");
	assert_missed(all, 1, "f");
}

static void
all_of_no_branches_is_met(void **unused)
{
	assert_met(all, 0, "");
}

/* ---- any ---- */

static void
any_is_met_by_the_first_success(void **unused)
{
	assert_met(any, 3, "s");
	assert_met(any, 3, "ffs");
	assert_met(any, 1, "s");
}

static void
failures_alone_never_end_any_early(void **unused)
{
	assert_open(any, 3, "f");
	assert_open(any, 3, "ff");
	assert_missed(any, 3, "fff");
}

static void
any_of_no_branches_is_missed(void **unused)
{
	assert_missed(any, 0, "");
}

/* ---- quorum ---- */

static void
a_quorum_waits_for_every_branch_although_it_has_enough(void **unused)
{
	assert_open(quorum(2), 4, "ss");
	assert_open(quorum(2), 4, "sss");
	assert_met(quorum(2), 4, "ssff");
	assert_met(quorum(2), 4, "ffss");
	assert_met(quorum(2), 2, "ss");
}

static void
a_quorum_waits_for_every_branch_although_it_cannot_be_met(void **unused)
{
	assert_open(quorum(3), 4, "fff");
	assert_missed(quorum(3), 4, "ffff");
	assert_missed(quorum(3), 4, "sffs");
}

static void
a_quorum_of_none_is_met_whatever_the_branches_do(void **unused)
{
	assert_open(quorum(0), 2, "f");
	assert_met(quorum(0), 2, "ff");
	assert_met(quorum(0), 2, "ss");
	assert_met(quorum(0), 0, "");
}

static void
a_quorum_above_the_branches_is_never_met(void **unused)
{
	assert_open(quorum(3), 2, "s");
	assert_missed(quorum(3), 2, "ss");
	assert_missed(quorum(1), 0, "");
	assert_missed(quorum(INT32_MAX), 2, "ss");
}

/* ---- percentage ---- */

static void
a_percentage_waits_for_every_branch(void **unused)
{
	assert_open(percentage(2), 4, "sss");
	assert_met(percentage(2), 4, "sffs");
	assert_missed(percentage(2), 4, "sfff");
}

static void
seven_percent_of_a_hundred_is_seven(void **unused)
{
	char		story[101];

	memset(story, 'f', 100);
	story[100] = '\0';
	memset(story, 's', 6);
	assert_missed(percentage(7), 100, story);
	memset(story, 's', 7);
	assert_met(percentage(7), 100, story);
}

static void
a_percentage_of_no_branches_is_met(void **unused)
{
	assert_met(percentage(0), 0, "");
}

/* ---- partial ---- */

static void
partial_is_met_by_the_success_that_makes_it_enough(void **unused)
{
	assert_open(partial(2), 4, "s");
	assert_open(partial(2), 4, "sf");
	assert_met(partial(2), 4, "sfs");
	assert_met(partial(2), 4, "ss");
	assert_met(partial(2), 4, "ffss");
	assert_met(partial(4), 4, "ssss");
}

static void
partial_counts_successes_only(void **unused)
{
	assert_open(partial(2), 4, "ff");
	assert_open(partial(2), 4, "fsf");
	assert_missed(partial(2), 4, "fsff");
}

static void
partial_waits_for_every_branch_although_it_cannot_be_met(void **unused)
{
	assert_open(partial(3), 3, "f");
	assert_open(partial(3), 3, "fs");
	assert_missed(partial(3), 3, "fss");
}

static void
partial_of_none_is_met_by_the_first_branch_that_ends_in_any_way(void **unused)
{
	assert_met(partial(0), 3, "s");
	assert_met(partial(0), 3, "f");
	assert_met(partial(0), 1, "f");
}

static void
partial_above_the_branches_is_never_met(void **unused)
{
	assert_open(partial(3), 2, "s");
	assert_missed(partial(3), 2, "ss");
}

static void
partial_of_no_branches_is_met_for_none_only(void **unused)
{
	assert_met(partial(0), 0, "");
	assert_missed(partial(1), 0, "");
}

/* ---- partial_timeout ---- */

static void
partial_timeout_is_met_when_all_have_ended_in_any_way(void **unused)
{
	assert_open(partial_timeout, 3, "s");
	assert_open(partial_timeout, 3, "sf");
	assert_met(partial_timeout, 3, "sfs");
	assert_met(partial_timeout, 3, "fff");
}

static void
partial_timeout_takes_what_has_ended_in_time(void **unused)
{
	assert_met(partial_timeout, 3, "s!");
	assert_met(partial_timeout, 3, "f!");
	assert_met(partial_timeout, 3, "sf!");
}

static void
partial_timeout_is_missed_when_nothing_has_ended_in_time(void **unused)
{
	assert_missed(partial_timeout, 3, "!");
	assert_missed(partial_timeout, 1, "!");
}

static void
partial_timeout_of_no_branches_is_missed(void **unused)
{
	assert_missed(partial_timeout, 0, "");
}

/* ---- out of time ---- */

static void
nothing_in_time_misses_every_strategy(void **unused)
{
	CanoJoin	joins[] = {
		all, any, quorum(0), quorum(1), percentage(1), partial(0), partial(1),
		partial_timeout
	};

	for (size_t i = 0; i < sizeof(joins) / sizeof(joins[0]); i++)
		assert_missed(joins[i], 2, "!");
}

static void
a_quorum_out_of_time_is_missed_although_it_had_enough(void **unused)
{
	assert_missed(quorum(2), 4, "ss!");
	assert_missed(quorum(2), 4, "sss!");
	assert_missed(quorum(0), 4, "s!");
	assert_missed(percentage(2), 4, "sss!");
}

static void
the_others_out_of_time_are_missed(void **unused)
{
	assert_missed(all, 3, "ss!");
	assert_missed(any, 3, "ff!");
	assert_missed(partial(2), 3, "sf!");
}

static void
what_was_met_early_does_not_run_out_of_time(void **unused)
{
	assert_verdict(any, 3, "s!", CANO_JOIN_MET, 1);
	assert_verdict(partial(1), 3, "fs!", CANO_JOIN_MET, 2);
	assert_verdict(partial(0), 3, "f!", CANO_JOIN_MET, 1);
}

static void
what_was_decided_by_the_last_branch_does_not_run_out_of_time(void **unused)
{
	assert_verdict(all, 2, "ss!", CANO_JOIN_MET, 2);
	assert_verdict(quorum(1), 2, "sf!", CANO_JOIN_MET, 2);
	assert_verdict(any, 2, "ff!", CANO_JOIN_MISSED, 2);
}

/* ---- early ---- */

static void
nothing_is_decided_before_a_branch_has_ended(void **unused)
{
	CanoJoin	joins[] = {
		all, any, quorum(0), percentage(1), partial(0), partial(1),
		partial_timeout
	};
	CanoTally	tally = {.total = 3};

	for (size_t i = 0; i < sizeof(joins) / sizeof(joins[0]); i++)
		assert_int_equal(cano_join_judge(&joins[i], &tally), CANO_JOIN_OPEN);
}

static void
only_any_and_partial_end_early(void **unused)
{
	CanoJoin	one = quorum(1);
	CanoJoin	share = percentage(1);
	CanoJoin	some = partial(1);
	CanoJoin	none = partial(0);

	assert_true(cano_join_is_early(&any));
	assert_true(cano_join_is_early(&some));
	assert_true(cano_join_is_early(&none));
	assert_false(cano_join_is_early(&all));
	assert_false(cano_join_is_early(&one));
	assert_false(cano_join_is_early(&share));
	assert_false(cano_join_is_early(&partial_timeout));

	assert_true(cano_join_waits_for_all(&all));
	assert_true(cano_join_waits_for_all(&one));
	assert_true(cano_join_waits_for_all(&share));
	assert_false(cano_join_waits_for_all(&any));
	assert_false(cano_join_waits_for_all(&some));
	assert_false(cano_join_waits_for_all(&none));
	assert_false(cano_join_waits_for_all(&partial_timeout));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_is_met_when_every_branch_succeeded),
		cmocka_unit_test(all_is_missed_by_one_failure_but_only_when_all_have_ended),
		cmocka_unit_test(all_of_no_branches_is_met),
		cmocka_unit_test(any_is_met_by_the_first_success),
		cmocka_unit_test(failures_alone_never_end_any_early),
		cmocka_unit_test(any_of_no_branches_is_missed),
		cmocka_unit_test(a_quorum_waits_for_every_branch_although_it_has_enough),
		cmocka_unit_test(a_quorum_waits_for_every_branch_although_it_cannot_be_met),
		cmocka_unit_test(a_quorum_of_none_is_met_whatever_the_branches_do),
		cmocka_unit_test(a_quorum_above_the_branches_is_never_met),
		cmocka_unit_test(a_percentage_waits_for_every_branch),
		cmocka_unit_test(seven_percent_of_a_hundred_is_seven),
		cmocka_unit_test(a_percentage_of_no_branches_is_met),
		cmocka_unit_test(partial_is_met_by_the_success_that_makes_it_enough),
		cmocka_unit_test(partial_counts_successes_only),
		cmocka_unit_test(partial_waits_for_every_branch_although_it_cannot_be_met),
		cmocka_unit_test(partial_of_none_is_met_by_the_first_branch_that_ends_in_any_way),
		cmocka_unit_test(partial_above_the_branches_is_never_met),
		cmocka_unit_test(partial_of_no_branches_is_met_for_none_only),
		cmocka_unit_test(partial_timeout_is_met_when_all_have_ended_in_any_way),
		cmocka_unit_test(partial_timeout_takes_what_has_ended_in_time),
		cmocka_unit_test(partial_timeout_is_missed_when_nothing_has_ended_in_time),
		cmocka_unit_test(partial_timeout_of_no_branches_is_missed),
		cmocka_unit_test(nothing_in_time_misses_every_strategy),
		cmocka_unit_test(a_quorum_out_of_time_is_missed_although_it_had_enough),
		cmocka_unit_test(the_others_out_of_time_are_missed),
		cmocka_unit_test(what_was_met_early_does_not_run_out_of_time),
		cmocka_unit_test(what_was_decided_by_the_last_branch_does_not_run_out_of_time),
		cmocka_unit_test(nothing_is_decided_before_a_branch_has_ended),
		cmocka_unit_test(only_any_and_partial_end_early),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
