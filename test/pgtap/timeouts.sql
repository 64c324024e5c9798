-- The time limit of one attempt.
\ir lib/start.psql
SELECT plan(18);

CREATE SCHEMA t_timeout;
CREATE SEQUENCE t_timeout.calls;
CREATE TABLE t_timeout.effect (run bigint, how text);
CREATE FUNCTION t_timeout.body(run_id bigint, how text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM nextval('t_timeout.calls');
	INSERT INTO t_timeout.effect VALUES (run_id, how);
	IF how = 'quick' THEN
		RETURN 'good';
	ELSIF how = 'unlimited' THEN
		SET LOCAL statement_timeout = 0;
		SET statement_timeout = 0;
	ELSIF how = 'traps' THEN
		BEGIN
			PERFORM pg_sleep(30); -- lasts: until interrupted
		EXCEPTION WHEN query_canceled THEN
			RETURN 'got away';
		END;
	END IF;
	PERFORM pg_sleep(30); -- lasts: until interrupted
	RETURN 'never';
END $$;
CREATE FUNCTION t_timeout.nap() RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(0.3)'; -- lasts: longer than the limit of the state before
SELECT cano.define('t_timeout.once',
	cano.task('a', 't_timeout.body', next => 'b', timeout => '100 ms', retry => cano.none()),
	cano.task('b', 't_timeout.nap', next => 'end'), cano.exit('end')) AS v \gset

SELECT cano.submit('t_timeout.once', '{"how": "slow"}') AS slow \gset
SELECT cano.submit('t_timeout.once', '{"how": "traps"}') AS traps \gset
SELECT cano.submit('t_timeout.once', '{"how": "unlimited"}') AS unlimited \gset
SELECT cano.submit('t_timeout.once', '{"how": "quick"}') AS quick \gset
SELECT clock_timestamp() AS began \gset
CALL cano.work();
SELECT ok(clock_timestamp() - :'began' < '20 s', 'nobody waits for a task that has run out of time');

SELECT is(pg_temp.status(:slow) || ' ' || pg_temp.error(:slow, 'category'), 'failed timeout',
	'an attempt that takes too long fails with category timeout');
SELECT is((SELECT count(*) FROM t_timeout.effect WHERE run = :slow), 0::bigint, 'what it did is rolled back');
SELECT is((SELECT count(*) FROM cano.attempts WHERE run_id = :slow), 1::bigint, 'it is a failed attempt on record');
SELECT is((SELECT count(*) FROM cano.dead_letters WHERE run_id = :slow), 1::bigint, 'and a dead letter');

SELECT is(pg_temp.status(:traps) || ' ' || pg_temp.error(:traps, 'category'), 'failed timeout',
	'also when the task traps the interruption and returns');
SELECT is((SELECT count(*) FROM t_timeout.effect WHERE run = :traps), 0::bigint, 'its effects are rolled back, too');
SELECT is(pg_temp.status(:unlimited) || ' ' || pg_temp.error(:unlimited, 'category'), 'failed timeout',
	'also when the task changes statement_timeout');
SELECT is(pg_temp.status(:quick), 'completed',
	'a task in time is not interrupted, nor is the next state, which has no limit');
SELECT is((SELECT count(*) FROM t_timeout.effect WHERE run = :quick), 1::bigint, 'its effects stay');

-- retried like other failures, each attempt with the whole limit
SELECT cano.define('t_timeout.again',
	cano.task('a', 't_timeout.body', next => 'end', timeout => '50 ms', retry => cano.fixed(2, '0')),
	cano.exit('end')) AS v \gset
ALTER SEQUENCE t_timeout.calls RESTART;
SELECT cano.submit('t_timeout.again', '{"how": "slow"}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category') || ' ' || pg_temp.calls('t_timeout.calls'), 'retry_exhausted 3',
	'a time-out is retried by the state''s policy');
SELECT ok((SELECT bool_and(ended_at - started_at >= '40 ms') FROM cano.attempts WHERE run_id = :run),
	'every attempt has the whole limit');
SELECT cano.submit('t_timeout.again', '{"how": "traps"}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category'), 'retry_exhausted', 'a trapped time-out is retried as well');

-- the session afterwards
SET statement_timeout = '1 min';
SELECT cano.submit('t_timeout.again', '{"how": "unlimited"}') AS run \gset
CALL cano.work();
SELECT is(current_setting('statement_timeout'), '1min', 'the session''s own statement_timeout is as before');
RESET statement_timeout;

-- routers
CREATE FUNCTION t_timeout.dawdles() RETURNS text LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_sleep(30); RETURN 'end'; END $$; -- lasts: until interrupted
SELECT cano.define('t_timeout.router', cano.router('r', 't_timeout.dawdles', timeout => '50 ms', retry => cano.none()),
	cano.exit('end')) AS v \gset
SELECT cano.submit('t_timeout.router') AS run \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category'), 'timeout', 'a router has a limit as well');
SELECT is(pg_temp.error(:run, 'state'), 'r', 'and the error names it');

-- an interruption that is not ours
CREATE FUNCTION t_timeout.cancels_itself(attempt int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	IF attempt = 1 THEN RAISE EXCEPTION 'canceling' USING ERRCODE = 'query_canceled'; END IF;
	RETURN 'good';
END $$;
SELECT cano.define('t_timeout.raised',
	cano.task('a', 't_timeout.cancels_itself', next => 'end', timeout => '1 min', retry => cano.fixed(1, '0')),
	cano.exit('end')) AS v \gset
SELECT cano.submit('t_timeout.raised') AS run \gset
\set ON_ERROR_STOP 0
CALL cano.work();
\set ON_ERROR_STOP 1
SELECT is(pg_temp.status(:run), 'completed', 'query_canceled raised by the task itself is an ordinary error');
SELECT is((SELECT sqlstate FROM cano.attempts WHERE run_id = :run), '57014', 'and recorded as such');

SELECT * FROM finish();
DROP SCHEMA t_timeout CASCADE;
