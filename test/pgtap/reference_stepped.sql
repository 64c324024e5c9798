-- What the reference's tests of stepped states demand.  Each description
-- begins with the name of its test.  Where the reference runs a step function
-- without its engine, the run here goes through cano.orchestrate.  Tests that
-- resume a run are not here.
\ir lib/start.psql
SELECT plan(48);

CREATE SCHEMA t_reference_stepped;
CREATE SEQUENCE t_reference_stepped.calls;
CREATE FUNCTION t_reference_stepped.ok() RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
-- Done at its first call.
CREATE FUNCTION t_reference_stepped.immediate(cursor int) RETURNS cano.outcome LANGUAGE plpgsql AS $$
BEGIN
	PERFORM nextval('t_reference_stepped.calls');
	RETURN cano.next('done');
END $$;
-- Done at the call that reaches the target.
CREATE FUNCTION t_reference_stepped.count(cursor int, target int) RETURNS cano.outcome LANGUAGE plpgsql AS $$
DECLARE
	v_next int := coalesce(cursor, 0) + 1;
BEGIN
	PERFORM nextval('t_reference_stepped.calls');
	RETURN CASE WHEN v_next >= target THEN cano.next('done') ELSE cano.more(to_jsonb(v_next)) END;
END $$;
CREATE FUNCTION t_reference_stepped.fails(cursor int) RETURNS cano.outcome LANGUAGE plpgsql AS $$
BEGIN
	PERFORM nextval('t_reference_stepped.calls');
	RAISE EXCEPTION 'step failed';
END $$;
CREATE FUNCTION t_reference_stepped.wrong(cursor int) RETURNS cano.outcome LANGUAGE plpgsql AS $$
BEGIN
	PERFORM nextval('t_reference_stepped.calls');
	RETURN cano.pending();
END $$;
CREATE FUNCTION t_reference_stepped.define(name text, part jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM setval('t_reference_stepped.calls', 1, false);
	PERFORM cano.define('t_reference_stepped.' || name, part, cano.exit('done'));
	RETURN 't_reference_stepped.' || name;
END $$;
CREATE FUNCTION pg_temp.calls() RETURNS bigint LANGUAGE sql AS $$SELECT pg_temp.calls('t_reference_stepped.calls')$$;
-- The log of a run: sequence, kind, state and cursor of each row.
CREATE FUNCTION pg_temp.log(run bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(' ', c.sequence, c.kind, c.state, c.output), ', ' ORDER BY c.sequence)
	FROM cano.checkpoints AS c WHERE c.run_id = $1 $$;

-- ---- stepped.rs ----

SELECT is((t_reference_stepped.immediate(NULL)).kind || ' ' || (t_reference_stepped.immediate(NULL)).state, 'next done',
	'test_stepped_task_immediate_via_step: a step without a cursor may say where to go');

SELECT t_reference_stepped.define('immediate', cano.stepped('start', 't_reference_stepped.immediate', targets => ARRAY['done'])) AS flow \gset
CALL cano.orchestrate(:'flow', '{}', NULL) \gset x_
SELECT max(run_id) AS run FROM cano.runs \gset
SELECT is(pg_temp.state(:run) || ' ' || pg_temp.calls(), 'done 1',
	'test_stepped_task_immediate_via_task_run: such a run goes there after one call');
SELECT is(pg_temp.log(:run), '0 state_entry start, 1 state_entry done', 'test_stepped_task_immediate_via_task_run: without a cursor');

SELECT t_reference_stepped.define('count', cano.stepped('start', 't_reference_stepped.count', targets => ARRAY['done'])) AS flow \gset
CALL cano.orchestrate(:'flow', '{"target": 5}', NULL) \gset x_
SELECT max(run_id) AS run FROM cano.runs \gset
SELECT is(pg_temp.status(:run) || ' ' || pg_temp.state(:run), 'completed done',
	'test_stepped_task_multiple_steps: target 5 ends in the state it says');

SELECT is(t_reference_stepped.count(NULL, 3), cano.more('1'), 'test_stepped_task_cursor_threading: none leads to 1');
SELECT is(t_reference_stepped.count(1, 3), cano.more('2'), 'test_stepped_task_cursor_threading: 1 leads to 2');
SELECT is(t_reference_stepped.count(2, 3), cano.next('done'), 'test_stepped_task_cursor_threading: 2 leads to the end');
SELECT cano.submit(:'flow', '{"target": 3}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.log(:run), '0 state_entry start, 1 step_cursor start 1, 2 step_cursor start 2, 3 state_entry done',
	'test_stepped_task_cursor_threading: the engine gives each step the cursor of the one before');

SELECT t_reference_stepped.define('fails', cano.stepped('start', 't_reference_stepped.fails', next => 'done', retry => cano.none())) AS flow \gset
SELECT cano.submit(:'flow') AS run \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category'), 'task_execution', 'test_stepped_task_error_propagates: its category is task_execution');
SELECT is(pg_temp.error(:run, 'message'), 'step failed', 'test_stepped_task_error_propagates: its text is the task''s own');
SELECT throws_ok(format('SELECT cano.wait(%s)', :run), 'CN003', 'step failed',
	'test_stepped_task_error_propagates: and whoever waits is told');

SELECT is((t_reference_stepped.wrong(NULL)).kind, 'pending', 'test_stepped_task_split: a function may return what its kind does not know');
SELECT t_reference_stepped.define('wrong', cano.stepped('start', 't_reference_stepped.wrong', next => 'done')) AS flow \gset
SELECT cano.submit(:'flow') AS run \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category') || ' ' || pg_temp.calls(), 'workflow 1', 'test_stepped_task_split: the engine refuses it, once');

SELECT t_reference_stepped.define('config', cano.stepped('start', 't_reference_stepped.fails', next => 'done', retry => cano.none())) AS flow \gset
SELECT cano.submit(:'flow') AS run \gset
CALL cano.work();
SELECT is(pg_temp.calls(), 1::bigint, 'test_stepped_task_config_override: retry none is one attempt');
SELECT is(cano.definition(:'flow') #>> '{states,start,retry,policy}', 'none',
	'test_stepped_task_config_override: the definition says so');

SELECT t_reference_stepped.define('name', cano.stepped('a name of its own', 't_reference_stepped.count', targets => ARRAY['done'])) AS flow \gset
SELECT cano.submit(:'flow', '{"target": 2}') AS run \gset
CALL cano.work();
SELECT is((SELECT array_agg(DISTINCT state) FROM cano.checkpoints WHERE run_id = :run AND kind = 'step_cursor'),
	ARRAY['a name of its own'], 'test_stepped_task_name_override: the state''s name is used');

SELECT t_reference_stepped.define('companion', cano.task('start', 't_reference_stepped.immediate', targets => ARRAY['done'], retry => cano.none())) AS flow \gset
SELECT cano.submit(:'flow') AS run1 \gset
CALL cano.work();
SELECT is(pg_temp.log(:run1), '0 state_entry start, 1 state_entry done',
	'test_companion_task_forwards_config_and_name: a step function may be a plain task');
SELECT is((SELECT task FROM cano.checkpoints WHERE run_id = :run1 AND sequence = 0), 't_reference_stepped.immediate',
	'test_companion_task_forwards_config_and_name: under the same name');
SELECT t_reference_stepped.define('companion', cano.task('start', 't_reference_stepped.fails', targets => ARRAY['done'], retry => cano.none())) AS flow \gset
SELECT cano.submit(:'flow') AS run2 \gset
CALL cano.work();
SELECT is(pg_temp.error(:run2, 'category') || ' ' || pg_temp.calls(), 'task_execution 1',
	'test_companion_task_forwards_config_and_name: and with the same attempts');

SELECT t_reference_stepped.define('default', cano.stepped('start', 't_reference_stepped.fails', next => 'done')) AS flow \gset
SELECT cano.submit(:'flow') AS run \gset
CALL cano.work();
SELECT is((SELECT waiting_for FROM cano.runs WHERE run_id = :run), 'retry',
	'test_stepped_task_default_config_has_retries: the first failure is not the end');
SELECT ok((SELECT r.next_at - a.ended_at BETWEEN '85 ms' AND '115 ms' FROM cano.runs AS r JOIN cano.attempts AS a USING (run_id)
	WHERE r.run_id = :run), 'test_stepped_task_default_config_has_retries: it is tried again after 100 ms');
SELECT pg_temp.later('1 s') AS x \gset
CALL cano.work();
SELECT pg_temp.later('1 s') AS x \gset
CALL cano.work();
SELECT pg_temp.later('1 s') AS x \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category') || ' ' || pg_temp.calls(), 'retry_exhausted 4',
	'test_stepped_task_default_config_has_retries: there are four attempts');

SELECT is(pg_temp.error(:run, 'task'), 't_reference_stepped.fails',
	'test_stepped_task_default_name_contains_type_name: the task''s name is the function''s');
SELECT is((SELECT array_agg(DISTINCT task) FROM cano.attempts WHERE run_id = :run), ARRAY['t_reference_stepped.fails'],
	'test_stepped_task_default_name_contains_type_name: also of its attempts');

-- looked up when run
SELECT t_reference_stepped.define('dynamic', cano.stepped('start', 't_reference_stepped.count', targets => ARRAY['done'])) AS flow \gset
SELECT cano.submit(:'flow', '{"target": 9}') AS run \gset
CALL cano.work(max_steps => 2);
SELECT is(pg_temp.log(:run), '0 state_entry start, 1 step_cursor start 1, 2 step_cursor start 2',
	'test_stepped_task_as_dyn_task: two steps of one function');
DROP FUNCTION t_reference_stepped.count(int, int);
CREATE FUNCTION t_reference_stepped.count(cursor int, target int) RETURNS cano.outcome LANGUAGE plpgsql AS $$
DECLARE
	v_next int := coalesce(cursor, 0) + 3;
BEGIN
	PERFORM nextval('t_reference_stepped.calls');
	RETURN CASE WHEN v_next >= target THEN cano.next('done') ELSE cano.more(to_jsonb(v_next)) END;
END $$;
CALL cano.work();
SELECT is(pg_temp.log(:run), '0 state_entry start, 1 step_cursor start 1, 2 step_cursor start 2, 3 step_cursor start 5, '
	'4 step_cursor start 8, 5 state_entry done',
	'test_stepped_task_as_dyn_task: then of another one of that name, which goes on from the cursor');
CREATE OR REPLACE FUNCTION t_reference_stepped.count(cursor int, target int) RETURNS cano.outcome LANGUAGE plpgsql AS $$
DECLARE
	v_next int := coalesce(cursor, 0) + 1;
BEGIN
	PERFORM nextval('t_reference_stepped.calls');
	RETURN CASE WHEN v_next >= target THEN cano.next('done') ELSE cano.more(to_jsonb(v_next)) END;
END $$;
SELECT cano.submit(:'flow', '{"target": 4}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.log(:run), '0 state_entry start, 1 step_cursor start 1, 2 step_cursor start 2, 3 step_cursor start 3, 4 state_entry done',
	'test_run_stepped_dyn_dispatch: the loop works with what the function is at run time');

-- outcomes are values
CREATE TABLE t_reference_stepped.kept (outcome cano.outcome);
INSERT INTO t_reference_stepped.kept VALUES (cano.more('42')), (cano.next('done'));
CREATE TABLE t_reference_stepped.copy AS TABLE t_reference_stepped.kept;
SELECT is((SELECT outcome FROM t_reference_stepped.copy WHERE (outcome).kind = 'more'), cano.more('42'),
	'test_step_enum_more_clone_eq: a stored more(42) is equal to another');
SELECT isnt((SELECT outcome FROM t_reference_stepped.copy WHERE (outcome).kind = 'more'), cano.more('43'),
	'test_step_enum_more_clone_eq: and not to a more(43)');
SELECT is(((SELECT outcome FROM t_reference_stepped.copy WHERE (outcome).kind = 'more')).cursor, '42',
	'test_step_enum_more_clone_eq: its cursor is a field of it');
SELECT is((SELECT outcome FROM t_reference_stepped.copy WHERE (outcome).kind = 'next'), cano.next('done'),
	'test_step_enum_done_clone_eq: a stored next is equal to another');
CREATE FUNCTION t_reference_stepped.stored(cursor int) RETURNS cano.outcome LANGUAGE sql AS $$
	SELECT outcome FROM t_reference_stepped.copy WHERE (outcome).kind = CASE WHEN cursor IS NULL THEN 'more' ELSE 'next' END $$;
SELECT t_reference_stepped.define('stored', cano.stepped('start', 't_reference_stepped.stored', targets => ARRAY['done'])) AS flow \gset
SELECT cano.submit(:'flow') AS run \gset
CALL cano.work();
SELECT is(pg_temp.log(:run), '0 state_entry start, 1 step_cursor start 42, 2 state_entry done',
	'test_step_enum_done_clone_eq: a task may return stored outcomes');

SELECT t_reference_stepped.define('workflow', cano.stepped('start', 't_reference_stepped.count', targets => ARRAY['done'])) AS flow \gset
SELECT cano.submit(:'flow', '{"target": 3}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run) || ' ' || pg_temp.state(:run), 'completed done', 'test_stepped_task_in_workflow: the run ends in the exit');

SELECT t_reference_stepped.define('workflow', cano.stepped('start', 't_reference_stepped.count', targets => ARRAY['done'])) AS flow \gset
CALL cano.orchestrate(:'flow', '{"target": 4}', NULL) \gset x_
SELECT is(pg_temp.calls(), 4::bigint, 'test_stepped_task_step_count: target 4 is exactly 4 calls');

-- ---- execution.rs ----

SELECT t_reference_stepped.define('workflow', cano.stepped('start', 't_reference_stepped.count', targets => ARRAY['done'])) AS flow \gset
SELECT cano.submit(:'flow', '{"target": 5}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run) || ' ' || pg_temp.state(:run), 'completed done',
	'test_register_stepped_no_store_runs_to_completion: target 5 loops to the end');
SELECT is(pg_temp.calls(), 5::bigint, 'test_register_stepped_no_store_runs_to_completion: in 5 calls');

SELECT t_reference_stepped.define('wrong', cano.stepped('start', 't_reference_stepped.wrong', next => 'done', retry => cano.fixed(3, '0'))) AS flow \gset
SELECT cano.submit(:'flow') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run) || ' ' || pg_temp.error(:run, 'category'), 'failed workflow',
	'test_register_stepped_split_result_is_rejected: an outcome of a wrong kind fails the run with category workflow');
SELECT matches(pg_temp.error(:run, 'message'), 'outcome.*pending',
	'test_register_stepped_split_result_is_rejected: the message names it');
SELECT is(pg_temp.calls(), 1::bigint, 'test_register_stepped_split_result_is_rejected: it is not retried');

-- ---- compensation.rs ----

SELECT t_reference_stepped.define('workflow', cano.stepped('start', 't_reference_stepped.count', targets => ARRAY['done'])) AS flow \gset
SELECT cano.submit(:'flow', '{"target": 4}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.calls(), 4::bigint, 'stepped_forward_run_writes_cursor_rows_and_clears_on_success: 4 calls');
SELECT is(pg_temp.log(:run), '0 state_entry start, 1 step_cursor start 1, 2 step_cursor start 2, 3 step_cursor start 3, 4 state_entry done',
	'stepped_forward_run_writes_cursor_rows_and_clears_on_success: 5 rows, 3 of them cursors');
SELECT is((SELECT array_agg(task ORDER BY sequence) FROM cano.checkpoints WHERE run_id = :run),
	array_fill('t_reference_stepped.count'::text, ARRAY[4]) || NULL::text,
	'stepped_forward_run_writes_cursor_rows_and_clears_on_success: all but the exit''s name the task');
SELECT is((SELECT bool_and(cleared) FROM cano.checkpoints WHERE run_id = :run), true,
	'stepped_forward_run_writes_cursor_rows_and_clears_on_success: the log is cleared');

SELECT cano.submit(:'flow', '{"target": 3}') AS run \gset
CALL cano.work();
SELECT is((SELECT array_agg(sequence || ' ' || kind ORDER BY sequence) FROM cano.checkpoints WHERE run_id = :run),
	ARRAY['0 state_entry', '1 step_cursor', '2 step_cursor', '3 state_entry'],
	'stepped_sequences_are_dense_after_cursors: entry, two cursors, exit, no gaps');

-- seven versions of one workflow
SELECT cano.define('t_reference_stepped.version', cano.stepped('start', 't_reference_stepped.count', targets => ARRAY['done']),
	cano.exit('done'), cano.options(priority => n)) AS v FROM generate_series(1, 7) AS n ORDER BY v DESC LIMIT 1 \gset
SELECT is(:v, 7, 'workflow_version_is_stamped_on_every_appended_row: the seventh version');
SELECT cano.submit('t_reference_stepped.version', '{"target": 3}') AS run \gset
CALL cano.work();
SELECT is((SELECT array_agg(version) FROM cano.checkpoints WHERE run_id = :run), ARRAY[7, 7, 7, 7],
	'workflow_version_is_stamped_on_every_appended_row: 7 on every row');

-- the chain without its batch
CREATE FUNCTION t_reference_stepped.choose() RETURNS text LANGUAGE sql AS $$SELECT 'Wait'$$;
CREATE FUNCTION t_reference_stepped.ready() RETURNS cano.outcome LANGUAGE sql AS $$
	SELECT CASE WHEN nextval('t_reference_stepped.calls') < 2 THEN cano.pending('0') ELSE cano.next() END $$;
CREATE FUNCTION t_reference_stepped.grind(cursor int) RETURNS cano.outcome LANGUAGE sql AS $$
	SELECT CASE WHEN coalesce(cursor, 0) < 3 THEN cano.more(to_jsonb(coalesce(cursor, 0) + 1)) ELSE cano.next() END $$;
ALTER SEQUENCE t_reference_stepped.calls RESTART;
SELECT cano.define('t_reference_stepped.chain', cano.router('Start', 't_reference_stepped.choose', targets => ARRAY['Wait']),
	cano.poll('Wait', 't_reference_stepped.ready', next => 'Grind'),
	cano.stepped('Grind', 't_reference_stepped.grind', next => 'Done'), cano.exit('Done')) AS v \gset
SELECT cano.submit('t_reference_stepped.chain') AS run \gset
CALL cano.work();
SELECT is(pg_temp.log(:run), '0 state_entry Wait, 1 state_entry Grind, 2 step_cursor Grind 1, 3 step_cursor Grind 2, '
	'4 step_cursor Grind 3, 5 state_entry Done',
	'cross_model_chain_router_poll_batch_stepped_interop: rows of poll, steps and exit, none of the router');
SELECT is(pg_temp.status(:run) || ' ' || pg_temp.calls(), 'completed 2',
	'cross_model_chain_router_poll_batch_stepped_interop: the poll is ready at its second call');

SELECT * FROM finish();
DROP SCHEMA t_reference_stepped CASCADE;
