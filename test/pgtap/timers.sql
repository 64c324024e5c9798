-- States that wait.
\ir lib/start.psql
SELECT plan(29);

CREATE SCHEMA t_timer;
CREATE SEQUENCE t_timer.calls;
CREATE FUNCTION t_timer.rest() RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION t_timer.span(wait interval) RETURNS interval LANGUAGE sql AS 'SELECT wait';
CREATE FUNCTION t_timer.point(at timestamptz) RETURNS timestamptz LANGUAGE plpgsql AS $$
BEGIN PERFORM nextval('t_timer.calls'); RETURN at; END $$;
CREATE FUNCTION t_timer.errs(at timestamptz DEFAULT NULL) RETURNS interval LANGUAGE plpgsql AS $$
BEGIN PERFORM nextval('t_timer.calls'); RAISE EXCEPTION 'no time'; END $$;
-- seconds from now on until it goes on
CREATE FUNCTION pg_temp.due_in(run bigint) RETURNS numeric LANGUAGE sql AS $$
	SELECT round(EXTRACT(epoch FROM r.next_at - now())) FROM cano.runs AS r WHERE r.run_id = $1 $$;

-- delay
SELECT cano.define('t_timer.delay', cano.task('a', 't_timer.rest', next => 't'),
	cano.timer('t', delay => '1 hour', next => 'b'), cano.task('b', 't_timer.rest', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_timer.delay', '{"x": 1}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run) || ' ' || pg_temp.state(:run), 'waiting t', 'a run waits in a timer');
SELECT is((SELECT waiting_for FROM cano.runs WHERE run_id = :run), 'timer', 'for a timer');
SELECT ok(pg_temp.due_in(:run) BETWEEN 3590 AND 3601, 'for its delay');
SELECT is(pg_temp.rows(:run), '0 a, 1 t', 'its row is there');
SELECT is((SELECT task FROM cano.checkpoints WHERE run_id = :run AND state = 't'), NULL, 'without a task, as it calls none');
SELECT pg_temp.later('59 minutes') AS x \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'waiting', 'until the time has come');
SELECT pg_temp.later('2 minutes') AS x \gset
CALL cano.work();
SELECT is(pg_temp.rows(:run), '0 a, 1 t, 2 b, 3 end', 'then it goes on');
SELECT is(cano.result(:run), '{"x": 1}'::jsonb, 'a timer has no output');

-- as the first state
SELECT cano.define('t_timer.first', cano.timer('t', delay => '1 hour', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_timer.first') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run) || ' ' || pg_temp.rows(:run), 'waiting 0 t', 'a run may begin by waiting');
SELECT pg_temp.later('61 minutes') AS x \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'and ends');

-- nothing to wait for
SELECT cano.define('t_timer.past', cano.timer('t', until => '2001-01-01 00:00Z', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_timer.past') AS run \gset
CALL cano.work();
SELECT is(pg_temp.rows(:run), '0 t, 1 end', 'a point in the past is now');

-- until
SELECT format('%L', now() + interval '2 days') AS at \gset
SELECT cano.define('t_timer.until', cano.timer('t', until => :at, next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_timer.until') AS run \gset
CALL cano.work();
SELECT is((SELECT next_at FROM cano.runs WHERE run_id = :run), :at::timestamptz, 'until is a point in time');
SELECT pg_temp.later('2 days') AS x \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'and is reached');

-- run
SELECT cano.define('t_timer.span', cano.timer('t', run => 't_timer.span', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.define('t_timer.point', cano.timer('t', run => 't_timer.point', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_timer.span', '{"wait": "1 hour"}') AS run1 \gset
SELECT cano.submit('t_timer.point', jsonb_build_object('at', now() + interval '10 days')) AS run2 \gset
SELECT cano.submit('t_timer.span', '{"wait": "-1 hour"}') AS run3 \gset
SELECT cano.submit('t_timer.point', '{"at": "2001-01-01 00:00Z"}') AS run4 \gset
SELECT cano.submit('t_timer.point', '{"at": null}') AS run5 \gset
SELECT cano.submit('t_timer.point', '{"at": "infinity"}') AS run6 \gset
CALL cano.work();
SELECT is(pg_temp.status(:run1) || ' ' || pg_temp.state(:run1), 'waiting t', 'a function may say how long');
SELECT is((SELECT r.next_at FROM cano.runs AS r WHERE r.run_id = :run2), (SELECT (r.input ->> 'at')::timestamptz FROM cano.runs AS r
	WHERE r.run_id = :run2), 'or until when');
SELECT is(pg_temp.status(:run3), 'completed', 'less than nothing is now');
SELECT is(pg_temp.status(:run4), 'completed', 'the past is now here, too');
SELECT isnt(pg_temp.status(:run5), 'queued', 'a null does not hang');
SELECT is(pg_temp.rows(:run2), '0 t', 'its row is written once');
ALTER SEQUENCE t_timer.calls RESTART;
SELECT pg_temp.later('11 days') AS x \gset
CALL cano.work();
SELECT is(pg_temp.status(:run2), 'completed', 'and the run goes on');
SELECT is(pg_temp.calls('t_timer.calls'), 0::bigint, 'without asking again');
SELECT is(pg_temp.rows(:run2), '0 t, 1 end', 'with dense rows');

-- errors of the function
SELECT cano.define('t_timer.errs', cano.timer('t', run => 't_timer.errs', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_timer.errs') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run) || ' ' || pg_temp.error(:run, 'category'), 'failed task_execution',
	'a timer whose function errs fails with that error');
SELECT is(pg_temp.calls('t_timer.calls'), 1::bigint, 'it has no retries');

-- the deadline is absolute: another session finds it as it was
SELECT cano.submit('t_timer.delay') AS run \gset
CALL cano.work();
SELECT next_at AS before FROM cano.runs WHERE run_id = :run \gset
\set ignored `psql -XAqt -d :DBNAME -c "CALL cano.work()"`
SELECT is((SELECT next_at FROM cano.runs WHERE run_id = :run), :'before'::timestamptz, 'a deadline does not move');
-- many
SELECT count(*) AS n FROM (SELECT cano.submit('t_timer.first') FROM generate_series(1, 50)) AS s \gset
CALL cano.work();
SELECT is((SELECT waiting FROM cano.queue_stats WHERE workflow = 't_timer.first'), 50::bigint, 'many runs wait');
SELECT pg_temp.later('61 minutes') AS x \gset
CALL cano.work();
SELECT is((SELECT count(*) FROM cano.runs WHERE workflow = 't_timer.first' AND status = 'completed'), 51::bigint, 'and all go on');
SELECT is((SELECT count(*) FROM cano.runs WHERE run_id = :run AND status = 'completed'), 1::bigint, 'with the one before');
SELECT throws_ok($$SELECT cano.define('t_timer.two', cano.timer('t', delay => '1 s', until => now(), next => 'end'), cano.exit('end'))$$,
	'CN001', NULL, 'a timer takes exactly one of delay, until and run');

SELECT * FROM finish();
DROP SCHEMA t_timer CASCADE;
