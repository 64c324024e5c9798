-- Circuit breakers: when tasks that name one are called, and when not.
\ir lib/start.psql
SELECT plan(46);

CREATE SCHEMA t_breaker;
CREATE SEQUENCE t_breaker.calls;
CREATE FUNCTION t_breaker.task(fails boolean DEFAULT true) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM nextval('t_breaker.calls');
	IF fails THEN
		RAISE EXCEPTION 'out of order';
	END IF;
END $$;
-- Submit a run of a task that fails, or does not.
CREATE FUNCTION t_breaker.start(breaker text, fails boolean, retry jsonb DEFAULT cano.none(), name text DEFAULT 'task')
RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM setval('t_breaker.calls', 1, false);
	PERFORM cano.define('t_breaker.' || name,
		cano.task('try', 't_breaker.task', next => 'end', retry => retry, breaker => breaker), cano.exit('end'));
	RETURN cano.submit('t_breaker.' || name, jsonb_build_object('fails', fails));
END $$;
CREATE FUNCTION pg_temp.breaker(name text) RETURNS text
LANGUAGE sql AS 'SELECT concat_ws('' '', b.state, b.failures) FROM cano.breakers AS b WHERE b.name = $1';
CREATE FUNCTION pg_temp.ended(run bigint) RETURNS text
LANGUAGE sql AS 'SELECT coalesce(pg_temp.error($1, ''category''), pg_temp.status($1))';

-- made, changed, removed
SELECT cano.create_breaker('t_breaker.x') AS x \gset
SELECT results_eq($$SELECT * FROM cano.breakers$$,
	$$VALUES ('t_breaker.x' COLLATE "C", 'closed', 0, 5, '30 s'::interval, 1, NULL::timestamptz)$$,
	'a new breaker is closed and has the default settings');
SELECT columns_are('cano', 'breakers', '{name,state,failures,failure_threshold,reset_timeout,half_open_max_calls,open_until}'::name[]);
SELECT cano.create_breaker('t_breaker.x', 2, '1 minute', 3) AS x \gset
SELECT results_eq($$SELECT failure_threshold, reset_timeout, half_open_max_calls FROM cano.breakers$$,
	$$VALUES (2, '1 minute'::interval, 3)$$, 'creating it again changes it');
SELECT throws_ok(format('SELECT cano.create_breaker(%s)', bad), 'CN001', NULL, bad || ' is refused')
FROM unnest(ARRAY[$$NULL$$, $$''$$, $$'y', 0$$, $$'y', NULL$$, $$'y', half_open_max_calls => 0$$,
	$$'y', reset_timeout => '0'$$, $$'y', reset_timeout => '-1 s'$$, $$'y', reset_timeout => NULL$$]) AS bad;
SELECT lives_ok($$SELECT cano.create_breaker('t_breaker.y', 2147483647, '1 us', 2147483647)$$, 'the largest settings are accepted');
SELECT cano.drop_breaker('t_breaker.y') AS x \gset
SELECT is(pg_temp.breaker('t_breaker.y'), NULL, 'a breaker that was dropped is gone');
SELECT throws_ok($$SELECT cano.drop_breaker('t_breaker.y')$$, 'CN404', NULL, 'and cannot be dropped again');
SELECT throws_ok($$SELECT t_breaker.start('t_breaker.y', false)$$, 'CN001', 'state "try": breaker "t_breaker.y" does not exist',
	'define refuses a breaker that does not exist');
SELECT throws_ok($$SELECT cano.define('t_breaker.split', cano.split('s', ARRAY[cano.branch('t_breaker.task',
	breaker => 't_breaker.y')], next => 'end'), cano.exit('end'))$$, 'CN001', NULL, 'also in a branch');

-- whose it is
CREATE ROLE t_breaker_other LOGIN;
SELECT cano.grant_usage('t_breaker_other') AS x \gset
SET SESSION AUTHORIZATION t_breaker_other;
SELECT throws_ok($$SELECT cano.drop_breaker('t_breaker.x')$$, '42501', NULL, 'nobody else may drop it');
SELECT throws_ok($$SELECT cano.create_breaker('t_breaker.x')$$, '42501', NULL, 'or change it');
SELECT is(pg_temp.breaker('t_breaker.x'), 'closed 0', 'everybody with usage sees it');
SELECT cano.create_breaker('t_breaker.theirs') AS x \gset
RESET SESSION AUTHORIZATION;
SELECT lives_ok($$SELECT cano.drop_breaker('t_breaker.theirs')$$, 'a superuser may drop anybody''s');

-- opens
SELECT cano.create_breaker('t_breaker.x', 3, '1 minute', 1) AS x \gset
SELECT t_breaker.start('t_breaker.x', true) AS run \gset
CALL cano.work();
SELECT is(pg_temp.breaker('t_breaker.x') || ' ' || pg_temp.ended(:run), 'closed 1 task_execution', 'a failure is counted');
SELECT t_breaker.start('t_breaker.x', false) AS run \gset
CALL cano.work();
SELECT is(pg_temp.breaker('t_breaker.x') || ' ' || pg_temp.ended(:run), 'closed 0 completed', 'a success begins the count anew');
SELECT t_breaker.start('t_breaker.x', true, cano.fixed(5, '0')) AS run \gset
CALL cano.work();
SELECT is(pg_temp.breaker('t_breaker.x'), 'open 3', 'as many failures in a row as the threshold open it');
SELECT is(pg_temp.calls('t_breaker.calls'), 3::bigint, 'which ends the attempts under way');
SELECT is(pg_temp.ended(:run), 'circuit_open', 'with the refusal as it is, not as retries used up');
SELECT is(pg_temp.error(:run, 'message'), 'breaker "t_breaker.x" is open', 'which names the breaker');
SELECT matches(pg_temp.error(:run, 'hint'), '^It will be tried again at .*\.$', 'and says when it will be tried again');
SELECT is(pg_temp.error(:run, 'sqlstate'), 'CN006', 'under the SQLSTATE of the category');
SELECT ok((SELECT open_until BETWEEN now() + '58 s' AND clock_timestamp() + '60 s' FROM cano.breakers WHERE name = 't_breaker.x'),
	'it is open for the reset timeout');
SELECT t_breaker.start('t_breaker.x', false, cano.fixed(5, '0'), 'another') AS run \gset
CALL cano.work();
SELECT is(pg_temp.ended(:run) || ' ' || pg_temp.calls('t_breaker.calls'), 'circuit_open 0',
	'while it is open no task of any workflow that names it is called, or tried again');
SELECT pg_temp.later('58 s') AS x \gset
SELECT t_breaker.start('t_breaker.x', false) AS run \gset
CALL cano.work();
SELECT is(pg_temp.ended(:run), 'circuit_open', 'not a moment earlier');

-- tries again
SELECT pg_temp.later('2 s') AS x \gset
SELECT is(pg_temp.breaker('t_breaker.x'), 'open 3', 'nothing happens to it before somebody asks');
SELECT t_breaker.start('t_breaker.x', true) AS run \gset
CALL cano.work();
SELECT is(pg_temp.ended(:run) || ' ' || pg_temp.calls('t_breaker.calls'), 'task_execution 1', 'after its time a call is tried');
SELECT is(split_part(pg_temp.breaker('t_breaker.x'), ' ', 1), 'open', 'whose failure opens it again');
SELECT t_breaker.start('t_breaker.x', false) AS run \gset
CALL cano.work();
SELECT is(pg_temp.ended(:run), 'circuit_open', 'for the reset timeout');
SELECT pg_temp.later('61 s') AS x \gset
SELECT t_breaker.start('t_breaker.x', false) AS run \gset
CALL cano.work();
SELECT is(pg_temp.ended(:run) || ' ' || pg_temp.breaker('t_breaker.x'), 'completed closed 0', 'a success closes it');
SELECT is((SELECT open_until FROM cano.breakers WHERE name = 't_breaker.x'), NULL, 'then it is open until no time');
SELECT cano.create_breaker('t_breaker.x', 1, '1 minute', 2) AS x \gset
SELECT t_breaker.start('t_breaker.x', true) AS run \gset
CALL cano.work();
SELECT is(pg_temp.breaker('t_breaker.x'), 'open 1', 'a change of its settings counts from the next attempt on');
SELECT pg_temp.later('61 s') AS x \gset
SELECT t_breaker.start('t_breaker.x', false) AS run \gset
CALL cano.work();
SELECT is(split_part(pg_temp.breaker('t_breaker.x'), ' ', 1), 'half_open', 'one success of two leaves it half open');
SELECT t_breaker.start('t_breaker.x', false) AS run \gset
CALL cano.work();
SELECT is(pg_temp.breaker('t_breaker.x'), 'closed 0', 'the second closes it');

-- what counts as what
CREATE FUNCTION t_breaker.slow() RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(60)';	-- lasts: to be too late
CREATE FUNCTION t_breaker.verdict() RETURNS cano.outcome LANGUAGE sql AS $$SELECT cano.failed('no')$$;
SELECT cano.create_breaker('t_breaker.z', 2) AS x \gset
SELECT cano.define('t_breaker.slow', cano.task('try', 't_breaker.slow', next => 'end', retry => cano.none(), timeout => '10 ms',
	breaker => 't_breaker.z'), cano.exit('end')) AS x \gset
SELECT cano.submit('t_breaker.slow') AS run \gset
CALL cano.work();
SELECT is(pg_temp.ended(:run) || ' ' || pg_temp.breaker('t_breaker.z'), 'timeout closed 1', 'a timeout is a failure');
SELECT cano.define('t_breaker.verdict', cano.task('try', 't_breaker.verdict', next => 'end', breaker => 't_breaker.z'),
	cano.exit('end')) AS x \gset
SELECT cano.submit('t_breaker.verdict') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run) || ' ' || pg_temp.breaker('t_breaker.z'), 'failed closed 0', 'a verdict is not: the task has done its work');

-- dropped, made again
SELECT cano.create_breaker('t_breaker.z', 1) AS x \gset
SELECT t_breaker.start('t_breaker.z', true) AS run1 \gset
CALL cano.work();
SELECT t_breaker.start('t_breaker.z', false) AS run1 \gset
SELECT cano.drop_breaker('t_breaker.z') AS x \gset
CALL cano.work();
SELECT is(pg_temp.ended(:run1) || ': ' || pg_temp.error(:run1, 'message'), 'workflow: breaker "t_breaker.z" does not exist',
	'a task whose breaker was dropped fails');
SELECT cano.create_breaker('t_breaker.z', 1) AS x \gset
SELECT is(pg_temp.breaker('t_breaker.z'), 'closed 0', 'a breaker of the same name made anew knows nothing of the old one');
BEGIN;
SELECT cano.create_breaker('t_breaker.z', 7) AS x \gset
SELECT t_breaker.start('t_breaker.z', true) AS run2 \gset
ROLLBACK;
SELECT t_breaker.start('t_breaker.z', true) AS run2 \gset
CALL cano.work();
SELECT is(pg_temp.breaker('t_breaker.z'), 'open 1', 'a change that was rolled back is none');

-- branches
SELECT cano.create_breaker('t_breaker.split', 4) AS x \gset
SELECT cano.define('t_breaker.split', cano.split('s', array_fill(cano.branch('t_breaker.task', retry => cano.none(),
	breaker => 't_breaker.split'), ARRAY[4]), join => cano.all(), next => 'end'), cano.exit('end')) AS x \gset
SELECT cano.submit('t_breaker.split') AS run \gset
CALL cano.work();
SELECT is(pg_temp.ended(:run) || ' ' || pg_temp.breaker('t_breaker.split'), 'workflow open 4', 'test_split_tasks_share_circuit_breaker');

SELECT * FROM finish();
DROP SCHEMA t_breaker CASCADE;
DROP OWNED BY t_breaker_other;
DROP ROLE t_breaker_other;
