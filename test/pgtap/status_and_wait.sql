-- Asking for a run's status and result, and waiting for its end.
\ir lib/start.psql
SELECT plan(35);

CREATE SCHEMA t_wait;
CREATE FUNCTION t_wait.good() RETURNS int LANGUAGE sql AS 'SELECT 42';
CREATE FUNCTION t_wait.bad() RETURNS void LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'went wrong' USING ERRCODE = '22012'; END $$;
CREATE FUNCTION t_wait.decline() RETURNS cano.outcome LANGUAGE sql AS $$SELECT cano.failed('declined')$$;
CREATE FUNCTION t_wait.abort() RETURNS cano.outcome LANGUAGE sql AS $$SELECT cano.cancelled('called off')$$;
CREATE FUNCTION t_wait.define(name text, run text, retry jsonb DEFAULT cano.none()) RETURNS int LANGUAGE sql AS $$
	SELECT cano.define('t_wait.' || name, cano.task('a', run, next => 'end', retry => retry), cano.exit('end')) $$;
SELECT t_wait.define('good', 't_wait.good') AS v \gset
SELECT t_wait.define('bad', 't_wait.bad') AS v \gset
SELECT t_wait.define('worse', 't_wait.bad', cano.fixed(1, '1 hour')) AS v \gset
SELECT t_wait.define('decline', 't_wait.decline') AS v \gset
SELECT t_wait.define('abort', 't_wait.abort') AS v \gset

-- status
SELECT cano.submit('t_wait.good') AS run \gset
SELECT results_eq(format($$SELECT run_id, workflow, version, status, state, waiting_for, result, error, rollback, cancel_reason
		FROM cano.status(%s)$$, :run),
	format($$VALUES (%s::bigint, 't_wait.good', 1, 'queued', 'a', NULL::text, NULL::jsonb, NULL::jsonb, 'none', NULL::text)$$, :run),
	'status of a queued run');
SELECT is(cano.result(:run), NULL, 'there is no result before the end');
CALL cano.work();
SELECT results_eq(format($$SELECT run_id, workflow, version, status, state, waiting_for, next_at, result, error, rollback, cancel_reason
		FROM cano.status(%s)$$, :run),
	format($$VALUES (%s::bigint, 't_wait.good', 1, 'completed', 'end', NULL::text, NULL::timestamptz, '{"a": 42}'::jsonb,
		NULL::jsonb, 'none', NULL::text)$$, :run), 'status of a completed run');
SELECT is(cano.result(:run), '{"a": 42}'::jsonb, 'the result is the run''s data at its exit');
SELECT is(cano.wait(:run), '{"a": 42}'::jsonb, 'wait() for an ended run returns it at once');
SELECT is((SELECT count(*) FROM cano.status(-1)), 0::bigint, 'no status of an unknown run');
SELECT is(cano.result(-1), NULL, 'no result of an unknown run');
SELECT throws_ok('SELECT cano.wait(-1)', 'CN404', NULL, 'wait() for an unknown run is an error');
SELECT is((SELECT proretset FROM pg_proc WHERE oid = 'cano.status(bigint)'::regprocedure), true, 'status returns a set of rows');

SELECT cano.submit('t_wait.worse') AS waiting \gset
CALL cano.work();
SELECT results_eq(format($$SELECT status, state, waiting_for, next_at > now(), error IS NULL FROM cano.status(%s)$$, :waiting),
	$$VALUES ('waiting', 'a', 'retry', true, true)$$, 'status of a waiting run');
SELECT throws_ok(format('SELECT cano.wait(%s, ''20 ms'')', :waiting), 'CN408', NULL, 'wait() that lasts too long is an error');
SELECT throws_ok(format('SELECT cano.wait(%s, ''0'')', :waiting), 'CN408', NULL, 'at once where nothing is to be waited for');

-- errors
SELECT cano.submit('t_wait.bad') AS bad \gset
SELECT cano.submit('t_wait.decline') AS decline \gset
SELECT cano.submit('t_wait.abort') AS abort \gset
CALL cano.work();
SELECT is(cano.result(:bad), NULL, 'a run that did not complete has no result');
SELECT is((SELECT error FROM cano.status(:bad)), (SELECT error FROM cano.runs WHERE run_id = :bad), 'status has the error');
SELECT is(pg_temp.error(:bad, 'sqlstate'), '22012', 'which keeps the task''s own SQLSTATE');
CREATE FUNCTION pg_temp.raised(run bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE v_message text; v_detail text;
BEGIN
	PERFORM cano.wait(run);
	RETURN 'nothing';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS v_message = MESSAGE_TEXT, v_detail = PG_EXCEPTION_DETAIL;
	RETURN concat_ws('|', sqlstate, v_message, substring(v_detail from '22012'));
END $$;
SELECT is(pg_temp.raised(:bad), 'CN003|went wrong|22012',
	'wait() raises the category''s SQLSTATE, the recorded message, and the task''s own SQLSTATE in DETAIL');
SELECT is(pg_temp.raised(:decline), 'CN003|declined', 'a verdict is raised with its reason');
SELECT is(pg_temp.raised(:abort), 'CN012|called off', 'a cancelled run is raised as cancelled');
SELECT pg_temp.later('61 minutes') AS x \gset
CALL cano.work();
SELECT matches(pg_temp.raised(:waiting), '^CN004\|.*after 2 attempts.*went wrong\|22012$', 'used up attempts have their own code');
SELECT is((SELECT array_agg(k ORDER BY k) FROM jsonb_object_keys((SELECT error FROM cano.runs WHERE run_id = :bad)) AS k)
	@> ARRAY['category', 'message', 'sqlstate', 'state', 'task', 'attempts'], true, 'an error has its fields');

-- a run of the same transaction
BEGIN;
SELECT cano.submit('t_wait.good') AS run \gset
SELECT throws_ok(format('SELECT cano.wait(%s)', :run), NULL, NULL, 'wait() for a run of the same open transaction raises at once');
CREATE FUNCTION pg_temp.hint(run bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE v_hint text;
BEGIN
	PERFORM cano.wait(run);
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS v_hint = PG_EXCEPTION_HINT;
	RETURN v_hint;
END $$;
SELECT isnt(pg_temp.hint(:run), '', 'with a hint');
COMMIT;
CALL cano.work();

-- await
CALL cano.await(:run, NULL) \gset
SELECT is(:'result'::jsonb, '{"a": 42}'::jsonb, 'CALL cano.await() gives the result');
CALL cano.orchestrate('t_wait.good', '{"x": 1}', NULL) \gset
SELECT is(:'result'::jsonb, '{"a": 42, "x": 1}'::jsonb, 'CALL cano.orchestrate() submits and runs to the end');
-- errors of statements that cannot be in a function
\set ON_ERROR_STOP 0
CALL cano.await(:bad, NULL) \gset
\set code :LAST_ERROR_SQLSTATE
SELECT is(:'code'::text, 'CN003', 'await() raises the run''s error');
CALL cano.await(-1, NULL) \gset
\set code :LAST_ERROR_SQLSTATE
SELECT is(:'code'::text, 'CN404', 'await() does not know an unknown run');
CALL cano.orchestrate('t_wait.bad', '{}', NULL) \gset
\set code :LAST_ERROR_SQLSTATE
SELECT is(:'code'::text, 'CN003', 'orchestrate() raises the run''s error');
CALL cano.orchestrate('t_wait.abort', '{}', NULL) \gset
\set code :LAST_ERROR_SQLSTATE
SELECT is(:'code'::text, 'CN012', 'also that of a cancelled one');
CALL cano.orchestrate('t_wait.unknown', '{}', NULL) \gset
\set code :LAST_ERROR_SQLSTATE
SELECT is(:'code'::text, 'CN404', 'orchestrate() needs a workflow');
BEGIN;
CALL cano.work();
\set code :LAST_ERROR_SQLSTATE
ROLLBACK;
SELECT is(:'code'::text, '2D000', 'work() commits, so it is refused inside a transaction block');
\set ON_ERROR_STOP 1

-- orchestrate waits for timers
SELECT cano.define('t_wait.timer', cano.timer('t', delay => '50 ms', next => 'end'), cano.exit('end')) AS v \gset
CALL cano.orchestrate('t_wait.timer', '{}', NULL) \gset
SELECT is(:'result'::jsonb, '{}'::jsonb, 'orchestrate() waits for timers');

-- nobody waits for himself
CREATE FUNCTION t_wait.own(run_id bigint) RETURNS jsonb LANGUAGE sql AS 'SELECT cano.wait(run_id, NULL)';
CREATE FUNCTION t_wait.after(run_id bigint) RETURNS void LANGUAGE plpgsql AS
	'BEGIN CREATE TABLE t_wait.seen AS SELECT cano.wait(run_id, NULL) AS result; END';
SELECT cano.define('t_wait.own', cano.task('a', 't_wait.own', next => 'end', retry => cano.none()), cano.exit('end')) AS v \gset
SELECT cano.define('t_wait.after', cano.exit('end'), cano.options(on_end => 't_wait.after')) AS v \gset
SELECT cano.submit('t_wait.own') AS run \gset
SELECT cano.submit('t_wait.after', '{"n": 1}') AS after \gset
CALL cano.work();
SELECT is((SELECT sqlstate FROM cano.attempts WHERE run_id = :run), '55000', 'a task cannot wait for its own run');
SELECT is((SELECT result FROM t_wait.seen), '{"n": 1}'::jsonb, 'what is called after the end can');

-- nor for what he will not see
SELECT cano.submit('t_wait.timer') AS run \gset
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT throws_ok(format('SELECT cano.wait(%s)', :run), '55000',
	format('cannot wait for run %s in a transaction that does not see later commits', :run), 'a snapshot does not change while one waits');
COMMIT;
CALL cano.work();
SELECT pg_temp.later('1 second') AS x \gset
CALL cano.work();
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT is(cano.wait(:run), '{}', 'what it sees ended has its result');
COMMIT;

SELECT * FROM finish();
DROP SCHEMA t_wait CASCADE;
