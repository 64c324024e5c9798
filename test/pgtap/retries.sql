-- Failed attempts: how often, when again, and what is recorded.
\ir lib/start.psql
SELECT plan(42);

CREATE SCHEMA t_retry;
CREATE SEQUENCE t_retry.calls;
CREATE TABLE t_retry.effect (run bigint, attempt int);
-- Fails the first "failures" times.
CREATE FUNCTION t_retry.flaky(run_id bigint, attempt int, failures int DEFAULT 1000, code text DEFAULT 'P0001')
RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM nextval('t_retry.calls');
	INSERT INTO t_retry.effect VALUES (run_id, attempt);
	IF attempt <= failures THEN
		RAISE EXCEPTION 'flaky %', attempt USING ERRCODE = code, DETAIL = 'Some detail.', HINT = 'Some hint.';
	END IF;
	RETURN 'good';
END $$;
CREATE FUNCTION t_retry.start(name text, retry jsonb, input jsonb DEFAULT '{}', fatal_on text[] DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM setval('t_retry.calls', 1, false);
	PERFORM cano.define('t_retry.' || name, cano.task('try', 't_retry.flaky', next => 'end', retry => retry,
		fatal_on => fatal_on), cano.exit('end'));
	RETURN cano.submit('t_retry.' || name, input);
END $$;

-- fixed
SELECT t_retry.start('fixed', cano.fixed(2, '10 s'), '{"failures": 1}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.calls('t_retry.calls'), 1::bigint, 'after a failed attempt nothing is due');
SELECT is(pg_temp.status(:run), 'waiting', 'the run waits');
SELECT is((SELECT waiting_for FROM cano.runs WHERE run_id = :run), 'retry', 'for a retry');
SELECT is((SELECT round(EXTRACT(epoch FROM r.next_at - a.ended_at)) FROM cano.runs AS r, cano.attempts AS a
	WHERE r.run_id = :run AND a.run_id = r.run_id), 10::numeric, 'for as long as the policy says');
SELECT is((SELECT count(*) FROM t_retry.effect WHERE run = :run), 0::bigint,
	'what the failed attempt did is rolled back');
SELECT pg_temp.later('9 seconds') AS x \gset
CALL cano.work();
SELECT is(pg_temp.calls('t_retry.calls'), 1::bigint, 'not a moment earlier');
SELECT pg_temp.later('2 seconds') AS x \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'then the task is called again');
SELECT is((SELECT array_agg(attempt) FROM t_retry.effect WHERE run = :run), ARRAY[2],
	'with the next attempt''s number, and only its effects stay');
SELECT is(pg_temp.rows(:run), '0 try, 1 end', 'an attempt is no new visit of the state');

-- what is recorded
SELECT is((SELECT concat_ws('|', state, task, coalesce(branch::text, 'no branch'), attempt, sqlstate, message, detail, hint)
	FROM cano.attempts WHERE run_id = :run),
	'try|t_retry.flaky|no branch|1|P0001|flaky 1|Some detail.|Some hint.',
	'a failed attempt is recorded with SQLSTATE, message, detail and hint');
SELECT matches((SELECT context FROM cano.attempts WHERE run_id = :run), 'PL/pgSQL function t_retry.flaky',
	'and with the context that PostgreSQL gives');
SELECT ok((SELECT started_at <= ended_at FROM cano.attempts WHERE run_id = :run), 'and with its times');

-- used up
SELECT t_retry.start('exhausted', cano.fixed(2, '0')) AS run \gset
CALL cano.work();
SELECT is(pg_temp.calls('t_retry.calls'), 3::bigint, 'fixed(2) is three attempts; a delay of nothing is no wait');
SELECT is(pg_temp.error(:run, 'category'), 'retry_exhausted', 'then the run fails with retry_exhausted');
SELECT matches(pg_temp.error(:run, 'message'), 'after 3 attempts.*flaky 3$',
	'the message says after how many, and ends with the last error''s');
SELECT is(pg_temp.error(:run, 'attempts'), '3', 'the number is a field of the error');
SELECT is(pg_temp.error(:run, 'sqlstate'), 'P0001', 'the SQLSTATE is the task''s own');
SELECT is(pg_temp.error(:run, 'state') || ' ' || pg_temp.error(:run, 'task'), 'try t_retry.flaky',
	'state and task are fields of the error');
SELECT is((SELECT array_agg(message ORDER BY attempt) FROM cano.attempts WHERE run_id = :run),
	ARRAY['flaky 1', 'flaky 2', 'flaky 3'], 'every failed attempt is on record');
SELECT is((SELECT concat_ws('|', state, attempts, error ->> 'category') FROM cano.dead_letters WHERE run_id = :run),
	'try|3|retry_exhausted', 'and the run is a dead letter');

-- none
SELECT t_retry.start('none', cano.none()) AS run \gset
CALL cano.work();
SELECT is(pg_temp.calls('t_retry.calls'), 1::bigint, 'none() is one attempt');
SELECT is(pg_temp.error(:run, 'category') || ': ' || pg_temp.error(:run, 'message'), 'task_execution: flaky 1',
	'which fails with the task''s own error, unwrapped');
SELECT is((SELECT count(*) FROM cano.dead_letters WHERE run_id = :run), 1::bigint, 'it is a dead letter, too');

-- exponential
SELECT t_retry.start('exponential',
	cano.exponential(4, base => '10 s', multiplier => 3, max => '60 s', jitter => 0)) AS run \gset
CREATE FUNCTION pg_temp.wait_s(run bigint) RETURNS numeric LANGUAGE sql AS $$
	SELECT round(EXTRACT(epoch FROM r.next_at - a.ended_at)) FROM cano.runs AS r JOIN cano.attempts AS a USING (run_id)
	WHERE r.run_id = $1 ORDER BY a.attempt DESC LIMIT 1 $$;
CALL cano.work();
SELECT is(pg_temp.wait_s(:run), 10::numeric, 'exponential: the base first');
SELECT pg_temp.later('11 seconds') AS x \gset
CALL cano.work();
SELECT is(pg_temp.wait_s(:run), 30::numeric, 'exponential: then times the multiplier');
SELECT pg_temp.later('31 seconds') AS x \gset
CALL cano.work();
SELECT is(pg_temp.wait_s(:run), 60::numeric, 'exponential: but never more than the cap');
SELECT pg_temp.later('61 seconds') AS x \gset
CALL cano.work();
SELECT pg_temp.later('61 seconds') AS x \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category') || ' ' || pg_temp.calls('t_retry.calls'), 'retry_exhausted 5',
	'exponential(4) is five attempts');

-- the default
SELECT t_retry.start('default', NULL) AS run \gset
CALL cano.work();
SELECT ok((SELECT r.next_at - a.ended_at BETWEEN '85 ms' AND '115 ms' FROM cano.runs AS r JOIN cano.attempts AS a USING (run_id)
	WHERE r.run_id = :run), 'by default the first retry comes after 100 ms, a tenth more or less');
SELECT pg_temp.later('1 second') AS x \gset
CALL cano.work();
SELECT pg_temp.later('1 second') AS x \gset
CALL cano.work();
SELECT pg_temp.later('1 second') AS x \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category') || ' ' || pg_temp.calls('t_retry.calls'), 'retry_exhausted 4',
	'by default there are three retries');

-- never retried
SELECT t_retry.start('permanent', cano.fixed(5, '0'), '{"code": "CN900"}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category') || ' ' || pg_temp.calls('t_retry.calls'), 'permanent 1', 'CN900 is permanent');
SELECT is(pg_temp.error(:run, 'message'), 'flaky 1', 'and recorded as it is');
SELECT t_retry.start('fatal', cano.fixed(5, '0'), '{"code": "23505"}', ARRAY['23', '42P01']) AS run1 \gset
CALL cano.work();
SELECT is(pg_temp.error(:run1, 'category') || ' ' || pg_temp.calls('t_retry.calls'), 'permanent 1',
	'fatal_on takes a class');
SELECT t_retry.start('fatal', cano.fixed(5, '0'), '{"code": "42P01"}', ARRAY['23', '42P01']) AS run2 \gset
CALL cano.work();
SELECT is(pg_temp.error(:run2, 'category') || ' ' || pg_temp.calls('t_retry.calls'), 'permanent 1', 'or a code');
SELECT is(pg_temp.error(:run2, 'sqlstate'), '42P01', 'the SQLSTATE stays the task''s own');
SELECT t_retry.start('fatal', cano.fixed(5, '0'), '{"code": "42601"}', ARRAY['23', '42P01']) AS run3 \gset
CALL cano.work();
SELECT is(pg_temp.error(:run3, 'category') || ' ' || pg_temp.calls('t_retry.calls'), 'retry_exhausted 6',
	'what it does not name is retried');
SELECT t_retry.start('panic', cano.fixed(5, '0'), '{"code": "XX001"}') AS run1 \gset
CALL cano.work();
SELECT is(pg_temp.error(:run1, 'category') || ' ' || pg_temp.calls('t_retry.calls'), 'task_execution 1',
	'an internal error is a panic: not retried');
SELECT is(pg_temp.error(:run1, 'message'), 'panic: flaky 1', 'its message begins with panic');
CREATE FUNCTION t_retry.asserts() RETURNS void LANGUAGE plpgsql AS $$
BEGIN PERFORM nextval('t_retry.calls'); ASSERT false, 'that cannot be'; END $$;
SELECT cano.define('t_retry.assert', cano.task('try', 't_retry.asserts', next => 'end', retry => cano.fixed(5, '0')),
	cano.exit('end')) AS v \gset
ALTER SEQUENCE t_retry.calls RESTART;
SELECT cano.submit('t_retry.assert') AS run2 \gset
CALL cano.work();
SELECT is(pg_temp.error(:run2, 'message') || ' ' || pg_temp.calls('t_retry.calls'), 'panic: that cannot be 1',
	'a failed assertion is a panic');
SELECT is((SELECT count(*) FROM cano.dead_letters WHERE run_id IN (:run, :run1, :run2)), 3::bigint,
	'they are all dead letters');

-- the task's own use of our codes
SELECT t_retry.start('own_code', cano.fixed(2, '0'), '{"code": "CN002"}') AS run1 \gset
CALL cano.work();
SELECT is(pg_temp.error(:run1, 'category') || ' ' || pg_temp.calls('t_retry.calls'), 'retry_exhausted 3',
	'an exception that a task raises is retried, whatever its SQLSTATE');
SELECT t_retry.start('own_code', cano.fixed(2, '0'), '{"code": "CN014"}') AS run2 \gset
CALL cano.work();
SELECT is(pg_temp.error(:run2, 'category') || ' ' || pg_temp.calls('t_retry.calls'), 'retry_exhausted 3',
	'also with that of a missing argument');

-- max_attempts of the run
SELECT t_retry.start('limited', cano.fixed(2, '0')) AS run \gset
CALL cano.work();
ALTER SEQUENCE t_retry.calls RESTART;
SELECT cano.submit('t_retry.limited', max_attempts => 5) AS run \gset
CALL cano.work();
SELECT is(pg_temp.calls('t_retry.calls'), 5::bigint, 'submit(max_attempts) overrides the state''s policy upwards');

SELECT * FROM finish();
DROP SCHEMA t_retry CASCADE;
