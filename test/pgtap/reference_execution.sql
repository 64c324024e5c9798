-- What the reference's tests of the state loop demand (single, router, retry,
-- time-out, panic).  Each description begins with the name of its test.
\ir lib/start.psql
SELECT plan(19);

CREATE SCHEMA t_execution;
CREATE SEQUENCE t_execution.calls;
CREATE SEQUENCE t_execution.slow_calls;

CREATE FUNCTION t_execution.ok() RETURNS void LANGUAGE plpgsql AS 'BEGIN END';

-- test_workflow_no_exit_states
SELECT throws_ok($$
	SELECT cano.define('t_execution.no_exit', cano.task('a', 't_execution.ok', next => 'a'))
$$, 'CN001', NULL, 'test_workflow_no_exit_states: refused with category configuration');
SELECT throws_like($$
	SELECT cano.define('t_execution.no_exit', cano.task('a', 't_execution.ok', next => 'a'))
$$, '%no exit states%', 'test_workflow_no_exit_states: the text says so');
SELECT throws_ok($$SELECT cano.submit('t_execution.no_exit')$$, 'CN404', NULL,
	'test_workflow_no_exit_states: such a workflow cannot be started');

-- test_split_task_from_single_register, with an outcome of a wrong kind
CREATE FUNCTION t_execution.more() RETURNS cano.outcome LANGUAGE plpgsql AS $$
BEGIN
	PERFORM nextval('t_execution.calls');
	RETURN cano.more('1');
END $$;
SELECT cano.define('t_execution.wrong_kind',
	cano.task('a', 't_execution.more', next => 'done', retry => cano.fixed(2, '0')),
	cano.exit('done')) AS v \gset
SELECT cano.submit('t_execution.wrong_kind') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'failed',
	'test_split_task_from_single_register: an outcome that a task does not know fails the run');
SELECT is(pg_temp.error(:run, 'category'), 'workflow',
	'test_split_task_from_single_register: category workflow');
SELECT matches(pg_temp.error(:run, 'message'), 'outcome',
	'test_split_task_from_single_register: the message speaks of the outcome');
SELECT is(pg_temp.calls('t_execution.calls'), 1::bigint,
	'test_split_task_from_single_register: it is not retried');

-- test_task_in_workflow_no_double_retry
ALTER SEQUENCE t_execution.calls RESTART;
CREATE FUNCTION t_execution.always_fails() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM nextval('t_execution.calls');
	RAISE EXCEPTION 'always';
END $$;
SELECT cano.define('t_execution.no_double_retry',
	cano.task('a', 't_execution.always_fails', next => 'done', retry => cano.fixed(2, '0')),
	cano.exit('done')) AS v \gset
SELECT cano.submit('t_execution.no_double_retry') AS run \gset
CALL cano.work();
SELECT is(pg_temp.calls('t_execution.calls'), 3::bigint,
	'test_task_in_workflow_no_double_retry: the function is called exactly 3 times');
SELECT is(pg_temp.status(:run), 'failed', 'test_task_in_workflow_no_double_retry: then the run fails');

-- test_single_task_panic_caught
CREATE FUNCTION t_execution.panics() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'boom' USING ERRCODE = 'XX000';
END $$;
SELECT cano.define('t_execution.panic',
	cano.task('a', 't_execution.panics', next => 'done', retry => cano.none()),
	cano.exit('done')) AS v \gset
SELECT cano.submit('t_execution.panic') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'failed', 'test_single_task_panic_caught: the run fails');
SELECT is(pg_temp.error(:run, 'category'), 'task_execution',
	'test_single_task_panic_caught: category task_execution');
SELECT is(pg_temp.error(:run, 'message'), 'panic: boom',
	'test_single_task_panic_caught: the text has panic and the original text');
SELECT cano.submit('t_execution.panic') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'failed', 'test_single_task_panic_caught: the worker survives');

-- test_attempt_timeout_via_workflow_retries
CREATE FUNCTION t_execution.slow() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM nextval('t_execution.slow_calls');
	PERFORM pg_sleep(30); -- lasts: until interrupted
END $$;
SELECT cano.define('t_execution.attempt_timeout',
	cano.task('a', 't_execution.slow', next => 'done', timeout => '20 ms', retry => cano.fixed(1, '0')),
	cano.exit('done')) AS v \gset
SELECT cano.submit('t_execution.attempt_timeout') AS run \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category'), 'retry_exhausted',
	'test_attempt_timeout_via_workflow_retries: ends with category retry_exhausted');
SELECT is(pg_temp.calls('t_execution.slow_calls'), 2::bigint,
	'test_attempt_timeout_via_workflow_retries: after 2 attempts');
SELECT is((SELECT count(*) FROM cano.attempts WHERE run_id = :run), 2::bigint,
	'test_attempt_timeout_via_workflow_retries: both are recorded');

-- test_complex_workflow, the part without a split
CREATE FUNCTION t_execution.first() RETURNS jsonb LANGUAGE sql AS $$SELECT '{"first": 1}'::jsonb$$;
CREATE FUNCTION t_execution.second(first int) RETURNS jsonb LANGUAGE sql
AS $$SELECT jsonb_build_object('second', first + 1)$$;
SELECT cano.define('t_execution.linear',
	cano.task('a', 't_execution.first', next => 'b'),
	cano.task('b', 't_execution.second', next => 'done'),
	cano.exit('done')) AS v \gset
SELECT cano.submit('t_execution.linear', '{"in": 0}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'a linear workflow runs to its exit');
SELECT is(pg_temp.state(:run), 'done', 'and says in which exit it ended');
SELECT is(cano.result(:run), '{"in": 0, "first": 1, "second": 2}'::jsonb,
	'its result has what every state returned');

SELECT * FROM finish();
DROP SCHEMA t_execution CASCADE;
