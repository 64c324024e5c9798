-- Serialization failures and deadlocks are tried again at once.
\ir lib/start.psql
SELECT plan(12);

CREATE SCHEMA t_again;
CREATE SEQUENCE t_again.calls;
CREATE TABLE t_again.effect (run bigint, attempt int);
CREATE FUNCTION t_again.unlucky(run_id bigint, attempt int, code text, times int)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t_again.effect VALUES (run_id, attempt);
	IF nextval('t_again.calls') <= times THEN
		RAISE EXCEPTION 'unlucky' USING ERRCODE = code;
	END IF;
END $$;
SELECT cano.define('t_again.once', cano.task('a', 't_again.unlucky', next => 'end', retry => cano.none()),
	cano.exit('end')) AS v \gset
SELECT cano.define('t_again.later', cano.task('a', 't_again.unlucky', next => 'end', retry => cano.fixed(1, '1 hour')),
	cano.exit('end')) AS v \gset

SELECT cano.submit('t_again.once', '{"code": "40001", "times": 5}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', '40001 is tried again at once, five times, where there are no retries');
SELECT is((SELECT array_agg(attempt) FROM t_again.effect WHERE run = :run), ARRAY[1],
	'that consumes no attempt, and only the last effects stay');
SELECT is(pg_temp.calls('t_again.calls'), 6::bigint, 'six calls in all');

ALTER SEQUENCE t_again.calls RESTART;
SELECT cano.submit('t_again.once', '{"code": "40P01", "times": 5}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', '40P01 is tried again at once as well');

ALTER SEQUENCE t_again.calls RESTART;
SELECT cano.submit('t_again.once', '{"code": "40001", "times": 100}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.calls('t_again.calls'), 6::bigint, 'after five times it counts as an ordinary failure');
SELECT is(pg_temp.status(:run) || ' ' || pg_temp.error(:run, 'category') || ' ' || pg_temp.error(:run, 'sqlstate'),
	'failed task_execution 40001', 'of the only attempt');
SELECT is((SELECT array_agg(attempt) FROM cano.attempts WHERE run_id = :run), ARRAY[1],
	'one failed attempt is on record');

ALTER SEQUENCE t_again.calls RESTART;
SELECT cano.submit('t_again.later', '{"code": "40P01", "times": 100}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'waiting', 'an ordinary failure is retried by the policy');
SELECT is((SELECT waiting_for FROM cano.runs WHERE run_id = :run), 'retry', 'after its delay');
SELECT pg_temp.later('61 minutes') AS x \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category'), 'retry_exhausted', 'until the attempts are used up');

ALTER SEQUENCE t_again.calls RESTART;
SELECT cano.submit('t_again.once', '{"code": "40002", "times": 1}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'failed', 'other codes of that class are not');
SELECT is(pg_temp.calls('t_again.calls'), 1::bigint, 'and called once');

SELECT * FROM finish();
DROP SCHEMA t_again CASCADE;
