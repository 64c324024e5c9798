-- Rate limiters: when tasks that name one are called, and what they wait for.
\ir lib/start.psql
SELECT plan(54);

CREATE SCHEMA t_limiter;
CREATE SEQUENCE t_limiter.calls;
-- Fails until that attempt.
CREATE FUNCTION t_limiter.task(attempt integer, good_at integer DEFAULT 1) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM nextval('t_limiter.calls');
	IF attempt < good_at THEN
		RAISE EXCEPTION 'not yet';
	END IF;
END $$;
-- Submit so many runs of one task that names the limiter; returns the first.
CREATE FUNCTION t_limiter.start(limiter text, runs integer DEFAULT 1, input jsonb DEFAULT '{}', retry jsonb DEFAULT cano.none(),
	breaker text DEFAULT NULL, options jsonb DEFAULT cano.options(priority => 1000))
RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM setval('t_limiter.calls', 1, false);
	PERFORM cano.define('t_limiter.task', cano.task('try', 't_limiter.task', next => 'end', retry => retry, limiter => limiter,
		breaker => breaker), cano.exit('end'), options);
	RETURN min(r) FROM cano.submit_many('t_limiter.task', array_fill(input, ARRAY[runs])) AS r;
END $$;
CREATE FUNCTION pg_temp.limiter(name text) RETURNS text
LANGUAGE sql AS 'SELECT concat_ws('' '', l.kind, l.rate, l.per, l.burst, l.available) FROM cano.limiters AS l WHERE l.name = $1';
CREATE FUNCTION pg_temp.available(name text) RETURNS integer
LANGUAGE sql AS 'SELECT l.available FROM cano.limiters AS l WHERE l.name = $1';
-- How many runs from that one on there are of each status.
CREATE FUNCTION pg_temp.crowd(first bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(s.n || ' ' || s.status, ', ' ORDER BY s.status)
	FROM (SELECT r.status, count(*) AS n FROM cano.runs AS r WHERE r.run_id >= $1 GROUP BY r.status) AS s $$;

-- made, changed, removed
SELECT cano.create_limiter('t_limiter.x', 10, '1 minute') AS x \gset
SELECT results_eq($$SELECT * FROM cano.limiters$$,
	$$VALUES ('t_limiter.x' COLLATE "C", 'bucket', 10, '1 minute'::interval, 0, 10)$$, 'a new limiter is a full bucket');
SELECT columns_are('cano', 'limiters', '{name,kind,rate,per,burst,available}'::name[]);
SELECT cano.create_limiter('t_limiter.x', rate => 3, per => '1 hour', burst => 2) AS x \gset
SELECT is(pg_temp.limiter('t_limiter.x'), 'bucket 3 01:00:00 2 5', 'creating it again changes it');
SELECT cano.create_limiter('t_limiter.x', rate => 3, per => '1 hour', kind => 'window') AS x \gset
SELECT is(pg_temp.limiter('t_limiter.x'), 'window 3 01:00:00 0 3', 'also its kind');
SELECT throws_ok(format('SELECT cano.create_limiter(%s)', bad), 'CN001', NULL, bad || ' is refused')
FROM unnest(ARRAY[$$NULL, 1, '1 s'$$, $$'', 1, '1 s'$$, $$'y', 0, '1 s'$$, $$'y', -1, '1 s'$$, $$'y', NULL, '1 s'$$, $$'y', 1, '0'$$,
	$$'y', 1, '-1 s'$$, $$'y', 1, NULL$$, $$'y', 1, '1100 years'$$, $$'y', 1, '1 s', -1$$, $$'y', 1, '1 s', NULL$$,
	$$'y', 1, '1 s', kind => 'basket'$$, $$'y', 1, '1 s', kind => NULL$$, $$'y', 1, '1 s', 1, 'window'$$,
	$$'y', 2147483647, '1 s', 1$$, $$'y', 1, '1 year', 1100$$]) AS bad;
SELECT lives_ok($$SELECT cano.create_limiter('t_limiter.y', 2147483647, '1 us')$$, 'the highest rate is accepted');
SELECT cano.drop_limiter('t_limiter.y') AS x \gset
SELECT is(pg_temp.limiter('t_limiter.y'), NULL, 'a limiter that was dropped is gone');
SELECT throws_ok($$SELECT cano.drop_limiter('t_limiter.y')$$, 'CN404', NULL, 'and cannot be dropped again');
SELECT throws_ok($$SELECT t_limiter.start('t_limiter.y')$$, 'CN001', 'state "try": limiter "t_limiter.y" does not exist',
	'define refuses a limiter that does not exist');
SELECT throws_ok($$SELECT cano.define('t_limiter.split', cano.split('s', ARRAY[cano.branch('t_limiter.task',
	limiter => 't_limiter.y')], next => 'end'), cano.exit('end'))$$, 'CN001', NULL, 'also in a branch');

-- whose it is
CREATE ROLE t_limiter_other LOGIN;
SELECT cano.grant_usage('t_limiter_other') AS x \gset
SET SESSION AUTHORIZATION t_limiter_other;
SELECT throws_ok($$SELECT cano.drop_limiter('t_limiter.x')$$, '42501', 'must be owner of limiter "t_limiter.x"', 'nobody else may drop it');
SELECT throws_ok($$SELECT cano.create_limiter('t_limiter.x', 1, '1 s')$$, '42501', NULL, 'or change it');
SELECT is(pg_temp.available('t_limiter.x'), 3, 'everybody with usage sees it');
SELECT cano.create_limiter('t_limiter.theirs', 1, '1 s') AS x \gset
RESET SESSION AUTHORIZATION;
SELECT lives_ok($$SELECT cano.drop_limiter('t_limiter.theirs')$$, 'a superuser may drop anybody''s');

-- a bucket
SELECT cano.create_limiter('t_limiter.x', 2, '20 s', burst => 1) AS x \gset
SELECT t_limiter.start('t_limiter.x', 6) AS run \gset
CALL cano.work();
SELECT is(pg_temp.crowd(:run) || ' ' || pg_temp.available('t_limiter.x'), '3 completed, 3 waiting 0',
	'as many runs as it holds go on, the others wait');
SELECT results_eq(format($$SELECT s.waiting_for, s.state, s.attempt FROM cano.runs r, cano.status(r.run_id) s
	WHERE r.run_id >= %s AND s.status = 'waiting'$$, :run), $$SELECT 'timer', 'try', 1 FROM generate_series(1, 3)$$,
	'for a timer, in the state whose attempt was not made');
SELECT results_eq(format($$SELECT round(extract(epoch FROM next_at - lag(next_at) OVER (ORDER BY next_at)))::int
	FROM cano.runs WHERE run_id >= %s AND status = 'waiting' ORDER BY next_at$$, :run), $$VALUES (NULL), (10), (10)$$,
	'each till there is a token for it');
SELECT is((SELECT count(*) FROM cano.attempts WHERE run_id >= :run), 0::bigint, 'which is no failure');
SELECT is((SELECT count(*) FROM cano.runs WHERE run_id >= :run AND started_at IS NULL), 3::bigint, 'and no beginning');
SELECT pg_temp.later('5 s') AS x \gset
CALL cano.work();
SELECT is(pg_temp.crowd(:run), '3 completed, 3 waiting', 'none goes on too early');
SELECT pg_temp.later('5 s') AS x \gset
CALL cano.work();
SELECT is(pg_temp.crowd(:run), '4 completed, 2 waiting', 'when there is a token, one goes on');
SELECT pg_temp.later('1 minute') AS x \gset
CALL cano.work();
SELECT is(pg_temp.crowd(:run) || ' ' || pg_temp.calls('t_limiter.calls'), '6 completed 6', 'at last all have, each once');

-- a window
SELECT cano.create_limiter('t_limiter.w', 2, '1 hour', kind => 'window') AS x \gset
SELECT t_limiter.start('t_limiter.w', 5) AS run \gset
CALL cano.work();
SELECT pg_temp.later('59 min') AS x \gset
CALL cano.work();
SELECT is(pg_temp.crowd(:run) || ' ' || pg_temp.available('t_limiter.w'), '2 completed, 3 waiting 0', 'a window lasts to its end');
SELECT pg_temp.later('1 min') AS x \gset
SELECT is(pg_temp.available('t_limiter.w'), 2, 'then there are all tokens again');
CALL cano.work();
SELECT is(pg_temp.crowd(:run), '4 completed, 1 waiting', 'for as many who waited');
SELECT cano.cancel(max(run_id)) AS x FROM cano.runs WHERE run_id >= :run \gset
CALL cano.work();
SELECT is(pg_temp.crowd(:run), '1 cancelled, 4 completed', 'who waits may be cancelled');

-- what takes a token
SELECT cano.create_limiter('t_limiter.a', 5, '1 hour') AS x \gset
SELECT t_limiter.start('t_limiter.a', 1, '{"good_at": 3}', cano.fixed(3, '0')) AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run) || ' ' || pg_temp.available('t_limiter.a'), 'completed 2', 'every attempt takes a token');
SELECT t_limiter.start('t_limiter.a', 1, '{"good_at": 4}', cano.fixed(3, '0')) AS run \gset
CALL cano.work();
SELECT results_eq(format('SELECT status, waiting_for, attempt FROM cano.status(%s)', :run), $$VALUES ('waiting', 'timer', 3)$$,
	'a retry waits for one as well');
SELECT pg_temp.later('1 hour') AS x \gset
CALL cano.work();
SELECT is(pg_temp.status(:run) || ' ' || pg_temp.calls('t_limiter.calls'), 'completed 4', 'and has its attempts then');
SELECT cano.create_limiter('t_limiter.b', 5, '1 hour') AS x \gset
SELECT cano.create_breaker('t_limiter.b', 1, '10 hours') AS x \gset
SELECT t_limiter.start('t_limiter.b', 3, '{"good_at": 2}', breaker => 't_limiter.b') AS run \gset
CALL cano.work();
SELECT is(pg_temp.crowd(:run) || ' ' || pg_temp.available('t_limiter.b'), '3 failed 4', 'what a breaker refuses takes none');
SELECT cano.define('t_limiter.missing', cano.task('try', 't_limiter.start', next => 'end', retry => cano.none(), limiter => 't_limiter.b'),
	cano.exit('end')) AS x \gset
SELECT cano.submit('t_limiter.missing') AS run \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category') || ' ' || pg_temp.available('t_limiter.b'), 'missing_argument 4', 'nor what cannot be called');

-- the run's own time
SELECT cano.create_limiter('t_limiter.t', 1, '1 hour') AS x \gset
SELECT t_limiter.start('t_limiter.t', 2, options => cano.options(timeout => '1 minute')) AS run \gset
CALL cano.work();
SELECT pg_temp.later('2 minutes') AS x \gset
CALL cano.work();
SELECT is(pg_temp.error(:run + 1, 'category'), 'workflow_timeout', 'waiting for a limiter counts for the workflow''s timeout');

-- changed, dropped, made again
SELECT t_limiter.start('t_limiter.t', 3) AS run \gset
CALL cano.work();
SELECT cano.create_limiter('t_limiter.t', 1000, '1 s') AS x \gset
SELECT pg_temp.later('2 minutes') AS x \gset
CALL cano.work();
SELECT pg_temp.later('1 s') AS x \gset
CALL cano.work();
SELECT is(pg_temp.crowd(:run), '3 completed', 'those who wait hear within minutes that there is more for them');
SELECT cano.create_limiter('t_limiter.t', 1, '1 hour') AS x \gset
BEGIN;
SELECT cano.create_limiter('t_limiter.t', 100, '1 hour') AS x \gset
ROLLBACK;
SELECT t_limiter.start('t_limiter.t', 3) AS run \gset
CALL cano.work();
SELECT is(pg_temp.crowd(:run), '1 completed, 2 waiting', 'a change that was rolled back is none');
SELECT cano.drop_limiter('t_limiter.t') AS x \gset
SELECT cano.create_limiter('t_limiter.t', 1, '1 hour') AS x \gset
SELECT is(pg_temp.available('t_limiter.t'), 1, 'a limiter of the same name made anew is full');
SELECT cano.drop_limiter('t_limiter.t') AS x \gset
SELECT pg_temp.later('3 hours') AS x \gset
CALL cano.work();
SELECT is(pg_temp.error(:run + 1, 'category') || ': ' || pg_temp.error(:run + 1, 'message'), 'workflow: limiter "t_limiter.t" does not exist',
	'a task whose limiter was dropped fails');

-- branches
SELECT cano.create_limiter('t_limiter.s', 2, '1 minute') AS x \gset
SELECT cano.define('t_limiter.split', cano.split('s', array_fill(cano.branch('t_limiter.task', limiter => 't_limiter.s'), ARRAY[5]),
	bulkhead => 3, next => 'end'), cano.exit('end')) AS x \gset
SELECT cano.submit('t_limiter.split') AS run \gset
CALL cano.work();
SELECT is((SELECT string_agg(status || ' ' || attempt, ', ' ORDER BY status) FROM cano.branches WHERE run_id = :run),
	'completed 1, completed 1, waiting 1, waiting 1, waiting 1', 'a branch waits, too');
SELECT pg_temp.later('31 s') AS x \gset
CALL cano.work();
SELECT pg_temp.later('31 s') AS x \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'waiting', 'one after the other goes on');
SELECT pg_temp.later('31 s') AS x \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'then the run');

SELECT * FROM finish();
DROP SCHEMA t_limiter CASCADE;
DROP OWNED BY t_limiter_other;
DROP ROLE t_limiter_other;
