-- Whatever a definition, a task or an administrator does, no run and no
-- session gets stuck.
\ir lib/start.psql
SELECT plan(37);

CREATE SCHEMA t_stuck;
CREATE ROLE t_stuck_user LOGIN;
SELECT cano.grant_usage('t_stuck_user') \g /dev/null
GRANT USAGE, CREATE ON SCHEMA t_stuck TO t_stuck_user;
CREATE FUNCTION t_stuck.rest() RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION t_stuck.never() RETURNS timestamptz LANGUAGE sql AS $$SELECT timestamptz 'infinity'$$;
CREATE FUNCTION t_stuck.long_ago() RETURNS timestamptz LANGUAGE sql AS $$SELECT timestamptz '-infinity'$$;
CREATE FUNCTION t_stuck.ages() RETURNS interval LANGUAGE sql AS $$SELECT interval '170000000 years'$$;
CREATE FUNCTION t_stuck.puts_off() RETURNS cano.outcome LANGUAGE sql AS $$SELECT cano.next(delay => '170000000 years')$$;
CREATE FUNCTION t_stuck.fails() RETURNS cano.outcome LANGUAGE sql AS $$SELECT cano.failed('r', to_jsonb(repeat('x', 3000000)))$$;
CREATE FUNCTION t_stuck.fails_long() RETURNS cano.outcome LANGUAGE sql AS $$SELECT cano.failed(repeat('ä', 3000000))$$;
CREATE FUNCTION t_stuck.cancels() RETURNS cano.outcome LANGUAGE sql AS $$SELECT cano.cancelled(repeat('ä', 5000000))$$;
CREATE FUNCTION t_stuck.raises() RETURNS void LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '%', repeat('ä', 3000000) USING DETAIL = repeat('y', 3000000), HINT = repeat('z', 3000000); END $$;
CREATE FUNCTION t_stuck.sleeps() RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(30)'; -- lasts: until interrupted
CREATE FUNCTION pg_temp.one_state(name text, part jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cano.define('t_stuck.' || name, part, cano.exit('end'));
	RETURN 't_stuck.' || name;
END $$;

-- times beyond what can be counted
SELECT throws_ok($$SELECT cano.define('t_stuck.x', cano.timer('t', delay => '300000 years', next => 'end'), cano.exit('end'))$$,
	'CN001', NULL, 'a delay beyond all times is refused');
SELECT throws_ok($$SELECT cano.define('t_stuck.x', cano.task('t', 't_stuck.rest', timeout => '300000 years', next => 'end'), cano.exit('end'))$$,
	'CN001', NULL, 'a time-out, too');
SELECT throws_ok($$SELECT cano.define('t_stuck.x', cano.receive('t', 'go', timeout => '300000 years', next => 'end'), cano.exit('end'))$$,
	'CN001', NULL, 'also that of a signal');
SELECT throws_ok($$SELECT cano.define('t_stuck.x', cano.task('t', 't_stuck.rest', retry => cano.fixed(1, '300000 years'), next => 'end'),
	cano.exit('end'))$$, 'CN001', NULL, 'and the delay of a retry');
SELECT cano.submit(pg_temp.one_state('never', cano.timer('t', run => 't_stuck.never', next => 'end'))) AS run1 \gset
SELECT cano.submit(pg_temp.one_state('ages', cano.timer('t', run => 't_stuck.ages', next => 'end'))) AS run2 \gset
SELECT cano.submit(pg_temp.one_state('puts_off', cano.task('t', 't_stuck.puts_off', next => 'end', retry => cano.none()))) AS run3 \gset
SELECT cano.submit(pg_temp.one_state('long_ago', cano.timer('t', run => 't_stuck.long_ago', next => 'end'))) AS run4 \gset
SELECT cano.submit(pg_temp.one_state('rest', cano.task('t', 't_stuck.rest', next => 'end'))) AS run5 \gset
CALL cano.work();
SELECT is(pg_temp.status(:run1), 'failed', 'a function that says never fails the run');
SELECT is(pg_temp.status(:run2), 'failed', 'so does one that says in ages');
SELECT is(pg_temp.status(:run3), 'failed', 'or an outcome that says so');
SELECT isnt(pg_temp.status(:run4), 'queued', 'minus infinity does not hang');
SELECT is(pg_temp.status(:run5), 'completed', 'a run behind them does not notice');

-- large words
SELECT cano.submit(pg_temp.one_state('fails', cano.task('t', 't_stuck.fails', next => 'end'))) AS run1 \gset
SELECT cano.submit(pg_temp.one_state('fails_long', cano.task('t', 't_stuck.fails_long', next => 'end'))) AS run2 \gset
SELECT cano.submit(pg_temp.one_state('cancels', cano.task('t', 't_stuck.cancels', next => 'end'))) AS run3 \gset
SELECT cano.submit(pg_temp.one_state('raises', cano.task('t', 't_stuck.raises', next => 'end', retry => cano.none()))) AS run4 \gset
CALL cano.work();
SELECT is(pg_temp.status(:run1) || ' ' || pg_temp.status(:run2) || ' ' || pg_temp.status(:run3) || ' ' || pg_temp.status(:run4),
	'failed failed cancelled failed', 'verdicts and errors of any size are recorded');
SELECT cmp_ok(max(octet_length(r.error::text)), '<', 50000, 'but cut') FROM cano.runs AS r
	WHERE r.run_id IN (:run1, :run2, :run3, :run4);
SELECT cmp_ok(max(octet_length(to_jsonb(r)::text)), '<', 100000, 'the reason of a cancellation, too') FROM cano.runs AS r
	WHERE r.run_id IN (:run1, :run2, :run3, :run4);
SELECT cmp_ok(max(octet_length(to_jsonb(a)::text)), '<', 50000, 'and failed attempts') FROM cano.attempts AS a WHERE a.run_id = :run4;
SELECT is(pg_temp.error(:run1, 'message') LIKE '%r%', true, 'the beginning is kept');

-- a call that is cut short leaves the session as it was
SELECT cano.submit(pg_temp.one_state('sleeps', cano.task('t', 't_stuck.sleeps', next => 'end', retry => cano.none()))) AS run \gset
SET lock_timeout = '7s';
\set ON_ERROR_STOP 0
SET statement_timeout = '100 ms';
CALL cano.work();
\set code :LAST_ERROR_SQLSTATE
RESET statement_timeout;
\set ON_ERROR_STOP 1
SELECT is(:'code'::text, '57014', 'a call is interrupted');
SELECT is(current_setting('lock_timeout'), '7s', 'lock_timeout is as it was');
SELECT is((SELECT count(*) FROM cano.activity), 0::bigint, 'nobody is thought to work');
CREATE OR REPLACE FUNCTION t_stuck.sleeps() RETURNS void LANGUAGE sql AS 'SELECT NULL::void';
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'and the run goes on');

SELECT cano.submit('t_stuck.rest') AS run \gset
SELECT current_setting('search_path') AS path \gset
\set ON_ERROR_STOP 0
SET cano.debug_stop = 'batch-before-settle:error:1';
CALL cano.work();
\set code :LAST_ERROR_SQLSTATE
RESET cano.debug_stop;
\set ON_ERROR_STOP 1
SELECT is(:'code'::text, 'XX000', 'a call ends by an error of the engine itself');
SELECT is(current_setting('lock_timeout') || ' ' || current_setting('search_path'), '7s ' || :'path', 'the session''s settings are as they were');
SELECT is((SELECT count(*) FROM cano.activity), 0::bigint, 'nobody is thought to work');
SELECT throws_ok('SELECT cano.run_id()', 'CN002', NULL, 'no task is thought to run');
SELECT is(pg_temp.status(:run), 'queued', 'the run is where it was');
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'and goes on');
RESET lock_timeout;

-- nothing of a user's can depend on what is private
SET ROLE t_stuck_user;
SELECT throws_ok('CREATE TABLE t_stuck.x (c cano._run)', '42501', NULL, 'a column cannot be of a private row type');
SELECT throws_ok('CREATE TABLE t_stuck.x (c cano._run[])', '42501', NULL, 'nor of an array of it');
SELECT throws_ok('CREATE DOMAIN t_stuck.x AS cano._job', '42501', NULL, 'nor a domain');
SELECT throws_ok('CREATE TABLE t_stuck.x OF cano._run', NULL, NULL, 'nor a table');
SELECT throws_ok('CREATE TABLE t_stuck.x () INHERITS (cano._run)', '42501', NULL, 'nor can a table inherit it');
RESET ROLE;

-- a role that is renamed
SET ROLE t_stuck_user;
SELECT cano.define('t_stuck.theirs', cano.task('a', 't_stuck.rest', next => 't'), cano.timer('t', delay => '1 hour', next => 'end'),
	cano.exit('end')) AS v \gset
SELECT cano.submit('t_stuck.theirs') AS run \gset
CALL cano.work();
RESET ROLE;
ALTER ROLE t_stuck_user RENAME TO t_stuck_renamed;
SET ROLE t_stuck_renamed;
SELECT is(pg_temp.status(:run), 'waiting', 'a role that has a new name sees its runs');
SELECT is(cano.define('t_stuck.theirs', cano.task('a', 't_stuck.rest', next => 'end'), cano.exit('end')), 2, 'may redefine its workflow');
RESET ROLE;
SELECT pg_temp.later('2 hours') AS x \gset
SET ROLE t_stuck_renamed;
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'and its runs go on');

-- a role that is suspended
SELECT cano.submit('t_stuck.theirs') AS run \gset
RESET ROLE;
ALTER ROLE t_stuck_renamed NOLOGIN;
SET ROLE t_stuck_renamed;
\set ON_ERROR_STOP 0
CALL cano.work();
\set code :LAST_ERROR_SQLSTATE
\set ON_ERROR_STOP 1
SELECT is(:'code'::text, '42501', 'a session of a role that may not log in is no worker');
SELECT is(:'LAST_ERROR_MESSAGE'::text, 'role "t_stuck_renamed" may not run tasks in this database', 'and is told so');
RESET ROLE;
ALTER ROLE t_stuck_renamed LOGIN;
SELECT is(pg_temp.status(:run), 'queued', 'the run stays where it is');
SELECT cano.revoke_usage('t_stuck_renamed') \g /dev/null
SET ROLE t_stuck_renamed;
\set ON_ERROR_STOP 0
CALL cano.work();
\set code :LAST_ERROR_SQLSTATE
\set ON_ERROR_STOP 1
SELECT is(:'code'::text, '42501', 'nor is one without usage');
RESET ROLE;
SELECT cano.grant_usage('t_stuck_renamed') \g /dev/null
SET ROLE t_stuck_renamed;
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'until both are given back');
RESET ROLE;

SELECT * FROM finish();
DROP SCHEMA t_stuck CASCADE;
SELECT cano.revoke_usage('t_stuck_renamed') \g /dev/null
DROP OWNED BY t_stuck_renamed;
DROP ROLE t_stuck_renamed;
