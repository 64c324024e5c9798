-- What the reference's tests of compensation demand of rolling back.  Each
-- description begins with the name of its test.
\ir lib/start.psql
\ir lib/saga.psql
SELECT plan(45);

-- compensations_run_in_reverse_on_terminal_failure
SELECT pg_temp.chain('four', 'A+ B+ C+ D+') AS flow \gset
SELECT pg_temp.tell('do D', 'fail') \g /dev/null
CALL pg_temp.go('four', '{"outs": {"A": 1, "B": 2, "C": 3, "D": 4}}', NULL) \gset
SELECT is(pg_temp.story(:run), 'do A, do B, do C, undo C(3), undo B(2), undo A(1)',
	'compensations_run_in_reverse_on_terminal_failure: with their outputs, and D is not compensated');
SELECT is(pg_temp.failure(:run), 'task_execution P0001 do D failed',
	'compensations_run_in_reverse_on_terminal_failure: the error is D''s own');
SELECT is(pg_temp.ending(:run), 'failed D clean cleared',
	'compensations_run_in_reverse_on_terminal_failure: a clean rollback clears the log');
SELECT throws_ok(format('SELECT cano.wait(%s)', :run), 'CN003', 'do D failed',
	'compensations_run_in_reverse_on_terminal_failure: which whoever waits is told');
SELECT is(pg_temp.log(:run), '0 A, 1 done A 1, 2 B, 3 done B 2, 4 C, 5 done C 3, 6 D',
	'compensations_run_in_reverse_on_terminal_failure: every completion has its row after its entry');
SELECT is((SELECT array_agg(DISTINCT c.task) FROM cano.checkpoints AS c WHERE c.run_id = :run AND c.kind = 'compensation_completion'),
	ARRAY['t_saga.act'], 'compensations_run_in_reverse_on_terminal_failure: which names the task');

-- only_compensatable_tasks_are_compensated
SELECT pg_temp.chain('mixed', 'A+ B C+ D') AS flow \gset
CALL pg_temp.go('mixed', '{"outs": {"A": 10, "B": 20, "C": 30}}', NULL) \gset
SELECT is(pg_temp.story(:run), 'do A, do B, do C, undo C(30), undo A(10)',
	'only_compensatable_tasks_are_compensated: C and A, the plain one is not');
SELECT is(pg_temp.failure(:run), 'task_execution P0001 do D failed', 'only_compensatable_tasks_are_compensated: the error is D''s');

-- compensation_failure_aggregates_errors_and_keeps_going
SELECT pg_temp.tell('undo B', 'fail') \g /dev/null
CALL pg_temp.go('four', '{"outs": {"A": 1, "B": 2, "C": 3}}', NULL) \gset
SELECT is(pg_temp.errors(:run), 'task_execution: do D failed | task_execution: undo B failed',
	'compensation_failure_aggregates_errors_and_keeps_going: exactly D''s error and that of B''s compensation');
SELECT is(pg_temp.error(:run, 'category') || ' ' || pg_temp.error(:run, 'sqlstate'), 'compensation_failed CN008',
	'compensation_failure_aggregates_errors_and_keeps_going: the result is compensation_failed');
SELECT is(pg_temp.story(:run), 'do A, do B, do C, undo C(3), undo A(1)',
	'compensation_failure_aggregates_errors_and_keeps_going: C and A were compensated');
SELECT is((SELECT max(n) - min(n) FROM t_saga.ledger WHERE run = :run AND what LIKE 'undo%'), 2::bigint,
	'compensation_failure_aggregates_errors_and_keeps_going: and B was called between them');
SELECT is(pg_temp.ending(:run), 'failed D partial kept', 'compensation_failure_aggregates_errors_and_keeps_going: the log is kept');
SELECT pg_temp.forget() \g /dev/null

-- re_registering_a_state_drops_the_stale_compensator
CREATE FUNCTION t_saga.other_undo(run_id bigint, state text, output jsonb) RETURNS void LANGUAGE sql AS $$
	INSERT INTO t_saga.ledger VALUES (nextval('t_saga.calls'), run_id, 'other undo ' || state, output) $$;
SELECT pg_temp.tell('do B', 'fail') \g /dev/null
CREATE TEMP TABLE versions AS
SELECT undo, cano.define('redefined', cano.task('A', 't_saga.act', next => 'B', compensate => undo),
	cano.task('B', 't_saga.act', next => 'end', retry => cano.none()), cano.exit('end')) AS version
FROM unnest(ARRAY['t_saga.undo', 't_saga.other_undo', NULL]) AS undo;
CALL pg_temp.go('redefined', '{"outs": {"A": 1}}', NULL) \gset
SELECT is(pg_temp.story(:run) || ': ' || pg_temp.ending(:run), 'do A: failed B none kept',
	're_registering_a_state_drops_the_stale_compensator: a plain task in its place is not compensated');
SELECT cano.submit('redefined', '{"outs": {"A": 1}}', version => 2) AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run), 'do A, other undo A(1)',
	're_registering_a_state_drops_the_stale_compensator: a new compensation is the only one');
SELECT cano.submit('redefined', '{"outs": {"A": 1}}', version => 1) AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run), 'do A, undo A(1)',
	're_registering_a_state_drops_the_stale_compensator: a run of the first version has the first');
SELECT pg_temp.forget() \g /dev/null

-- append_failure_mid_run_rolls_back_and_keeps_the_log: rows are written in the
-- commit of the task's effects; here it is that commit that fails
SELECT pg_temp.chain('two', 'A+ B+') AS flow \gset
SELECT pg_temp.tell('do B', 'late'), pg_temp.tell('undo A', 'fail') \g /dev/null
CALL pg_temp.go('two', '{"outs": {"A": 1}}', NULL) \gset
SELECT is(pg_temp.error(:run, 'category'), 'compensation_failed',
	'append_failure_mid_run_rolls_back_and_keeps_the_log: the result is compensation_failed');
SELECT is((SELECT array_agg(e ->> 'sqlstate') FROM cano.runs AS r, jsonb_array_elements(r.error -> 'errors') AS e WHERE r.run_id = :run),
	ARRAY['23505', 'P0001'], 'append_failure_mid_run_rolls_back_and_keeps_the_log: with the commit''s error and that of A''s compensation');
SELECT is(pg_temp.story(:run), 'do A', 'append_failure_mid_run_rolls_back_and_keeps_the_log: B left nothing');
SELECT is(pg_temp.log(:run), '0 A, 1 done A 1, 2 B', 'append_failure_mid_run_rolls_back_and_keeps_the_log: not even a row');
SELECT is(pg_temp.ending(:run), 'failed B partial kept', 'append_failure_mid_run_rolls_back_and_keeps_the_log: the rows before are kept');
SELECT is(pg_temp.stack(:run), 'A(1)', 'append_failure_mid_run_rolls_back_and_keeps_the_log: so is what is left to undo');
SELECT pg_temp.forget() \g /dev/null

-- panicking_compensator_is_caught_and_the_drain_continues
SELECT pg_temp.chain('three', 'A+ B+ C') AS flow \gset
SELECT pg_temp.tell('do C', 'fail'), pg_temp.tell('undo B', 'panic') \g /dev/null
CALL pg_temp.go('three', '{"outs": {"A": 1, "B": 2}}', NULL) \gset
SELECT is(pg_temp.errors(:run), 'task_execution: do C failed | task_execution: panic: undo B lost its head',
	'panicking_compensator_is_caught_and_the_drain_continues: C''s error, then the panic');
SELECT is(pg_temp.story(:run), 'do A, do B, undo A(1)',
	'panicking_compensator_is_caught_and_the_drain_continues: A is still compensated');
SELECT pg_temp.forget() \g /dev/null

-- hanging_compensator_is_bounded_by_attempt_timeout
SELECT cano.define('hanging', cano.task('A', 't_saga.act', next => 'H', compensate => 't_saga.undo'),
	cano.task('H', 't_saga.act', next => 'C', compensate => 't_saga.undo', timeout => '50 ms'),
	cano.task('C', 't_saga.act', next => 'end', retry => cano.none()), cano.exit('end')) AS v \gset
SELECT pg_temp.tell('do C', 'fail'), pg_temp.tell('undo H', 'hang') \g /dev/null
CALL pg_temp.go('hanging', '{"outs": {"A": 1}}', NULL) \gset
SELECT is(pg_temp.error(:run, 'category'), 'compensation_failed',
	'hanging_compensator_is_bounded_by_attempt_timeout: the result is compensation_failed');
SELECT is((SELECT array_agg(e ->> 'category') FROM cano.runs AS r, jsonb_array_elements(r.error -> 'errors') AS e WHERE r.run_id = :run),
	ARRAY['task_execution', 'timeout'], 'hanging_compensator_is_bounded_by_attempt_timeout: C''s error first, and a timeout');
SELECT ok(ended_at - submitted_at < '5 s', 'hanging_compensator_is_bounded_by_attempt_timeout: it ends well under 5 s')
FROM cano.runs WHERE run_id = :run;
SELECT is(pg_temp.story(:run), 'do A, do H, undo A(1)', 'hanging_compensator_is_bounded_by_attempt_timeout: A is still compensated');
SELECT is(pg_temp.stack(:run), 'H', 'hanging_compensator_is_bounded_by_attempt_timeout: H is left');
SELECT pg_temp.forget() \g /dev/null

-- empty_compensation_stack_failure_keeps_the_log_for_resume: of a task that
-- could have been compensated
SELECT pg_temp.tell('do A', 'fail') \g /dev/null
CALL pg_temp.go('four', '{}', NULL) \gset
SELECT is(pg_temp.ending(:run) || ': ' || pg_temp.failure(:run), 'failed A none kept: task_execution P0001 do A failed',
	'empty_compensation_stack_failure_keeps_the_log_for_resume: also where the first task fails that has a compensation');
SELECT is(pg_temp.log(:run), '0 A', 'empty_compensation_stack_failure_keeps_the_log_for_resume: exactly 1 row');
SELECT pg_temp.forget() \g /dev/null

-- deep_compensation_stack_drains_all_in_reverse
SELECT pg_temp.chain('deep', string_agg('s' || n || '+', ' ' ORDER BY n)) AS flow FROM generate_series(1, 60) AS n \gset
SELECT pg_temp.tell('do s60', 'fail') \g /dev/null
SELECT jsonb_build_object('outs', jsonb_object_agg('s' || n, n)) AS input FROM generate_series(1, 60) AS n \gset
CALL pg_temp.go('deep', :'input', NULL) \gset
SELECT is((SELECT array_agg(l.what || ' ' || l.output ORDER BY l.n) FROM t_saga.ledger AS l WHERE l.run = :run AND l.what LIKE 'undo%'),
	(SELECT array_agg(format('undo s%s %s', n, n) ORDER BY n DESC) FROM generate_series(1, 59) AS n),
	'deep_compensation_stack_drains_all_in_reverse: the other 59 in exact reverse');
SELECT is(pg_temp.failure(:run), 'task_execution P0001 do s60 failed', 'deep_compensation_stack_drains_all_in_reverse: the error is the last task''s');
SELECT is(pg_temp.ending(:run), 'failed s60 clean cleared', 'deep_compensation_stack_drains_all_in_reverse: clean');
SELECT pg_temp.forget() \g /dev/null

-- failure_at_every_step_compensates_exactly_the_completed_prefix
CREATE FUNCTION t_saga.may_fail(run_id bigint, state text, attempt int, bad text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t_saga.ledger VALUES (nextval('t_saga.calls'), run_id, 'do ' || state, NULL, attempt);
	IF state = bad THEN
		RAISE EXCEPTION '% is bad', state;
	END IF;
	RETURN ascii(state);
END $$;
SELECT cano.define('prefix', VARIADIC array_agg(cano.task(chr(64 + n), 't_saga.may_fail', compensate => 't_saga.undo', retry => cano.none(),
	next => CASE WHEN n < 5 THEN chr(65 + n) ELSE 'end' END) ORDER BY n) || cano.exit('end')) AS v FROM generate_series(1, 5) AS n \gset
CREATE TEMP TABLE prefix AS
SELECT n, cano.submit('prefix', jsonb_build_object('bad', chr(65 + n))) AS run FROM generate_series(0, 5) AS n;
CALL cano.work();
SELECT is(pg_temp.story(run), CASE n WHEN 0 THEN NULL
	WHEN 5 THEN 'do A, do B, do C, do D, do E'
	ELSE (SELECT string_agg('do ' || chr(64 + s), ', ' ORDER BY s) || ', '
		|| string_agg(format('undo %s(%s)', chr(64 + s), 64 + s), ', ' ORDER BY s DESC) FROM generate_series(1, n) AS s) END,
	'failure_at_every_step_compensates_exactly_the_completed_prefix: ' || n) FROM prefix ORDER BY n;
SELECT is((SELECT array_agg(pg_temp.ending(run) || coalesce(' ' || pg_temp.error(run, 'message'), '') ORDER BY n) FROM prefix),
	ARRAY['failed A none kept A is bad', 'failed B clean cleared B is bad', 'failed C clean cleared C is bad',
		'failed D clean cleared D is bad', 'failed E clean cleared E is bad', 'completed end none cleared'],
	'failure_at_every_step_compensates_exactly_the_completed_prefix: with that task''s error, or success');

-- compensation_run_and_drain_counters_on_clean_rollback: the rows
SELECT run FROM prefix WHERE n = 1 \gset
SELECT is(pg_temp.log(:run), '0 A, 1 done A 65, 2 B', 'compensation_run_and_drain_counters_on_clean_rollback: one completion');
SELECT is((SELECT count(*) FROM t_saga.ledger WHERE run = :run AND what = 'undo A'), 1::bigint,
	'compensation_run_and_drain_counters_on_clean_rollback: one compensation');
SELECT is(pg_temp.ending(:run), 'failed B clean cleared', 'compensation_run_and_drain_counters_on_clean_rollback: one clean rollback');

SELECT is(pg_temp.left_over(), '0 0 0', 'nothing is left to do');
SELECT * FROM finish();
DROP SCHEMA t_saga CASCADE;
