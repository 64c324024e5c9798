-- Routers choose the next state, and nothing else.
\ir lib/start.psql
SELECT plan(12);

CREATE SCHEMA t_router;
CREATE SEQUENCE t_router.calls;
CREATE FUNCTION t_router.choose(way text) RETURNS text LANGUAGE sql AS 'SELECT way';
CREATE FUNCTION t_router.decide(way text) RETURNS cano.outcome LANGUAGE sql AS $$
	SELECT CASE way WHEN 'fail' THEN cano.failed('no way') ELSE cano.next(way) END $$;
CREATE FUNCTION t_router.breaks() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	IF nextval('t_router.calls') < 3 THEN RAISE EXCEPTION 'no idea'; END IF;
	RETURN 'left';
END $$;
CREATE FUNCTION t_router.rest() RETURNS void LANGUAGE plpgsql AS 'BEGIN END';

SELECT cano.define('t_router.text', cano.router('r', 't_router.choose', targets => ARRAY['left', 'right']),
	cano.task('left', 't_router.rest', next => 'aside'), cano.task('right', 't_router.rest', next => 'aside'),
	cano.task('aside', 't_router.rest', next => 'done'), cano.exit('done')) AS v \gset
SELECT cano.submit('t_router.text', '{"way": "left"}') AS run1 \gset
SELECT cano.submit('t_router.text', '{"way": "right"}') AS run2 \gset
SELECT cano.submit('t_router.text', '{"way": "aside"}') AS run3 \gset
SELECT cano.submit('t_router.text', '{"way": null}') AS run4 \gset
CALL cano.work();
SELECT is(pg_temp.rows(:run1), '0 left, 1 aside, 2 done', 'a router may return the name of the next state');
SELECT is(pg_temp.rows(:run2), '0 right, 1 aside, 2 done', 'or of another');
SELECT is(cano.result(:run2), '{"way": "right"}'::jsonb, 'the name is not an output');
SELECT is(pg_temp.error(:run3, 'category'), 'workflow', 'but not of a state outside its targets');
SELECT is(pg_temp.rows(:run3), NULL, 'a run that failed in its first router has no rows');
SELECT is(pg_temp.error(:run4, 'category'), 'workflow', 'a router that names no state fails the run');

SELECT cano.define('t_router.outcome', cano.router('r', 't_router.decide'),
	cano.task('left', 't_router.rest', next => 'done'), cano.exit('done')) AS v \gset
SELECT cano.submit('t_router.outcome', '{"way": "left"}') AS run1 \gset
SELECT cano.submit('t_router.outcome', '{"way": "fail"}') AS run2 \gset
CALL cano.work();
SELECT is(pg_temp.rows(:run1), '0 left, 1 done', 'a router may return an outcome, and without targets go anywhere');
SELECT is(pg_temp.error(:run2, 'message'), 'no way', 'and may pass a verdict');

SELECT cano.define('t_router.retried', cano.router('r', 't_router.breaks', retry => cano.fixed(2, '0')),
	cano.task('left', 't_router.rest', next => 'done'), cano.exit('done')) AS v \gset
SELECT cano.submit('t_router.retried') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'a router that errs is retried');
SELECT is(pg_temp.calls('t_router.calls'), 3::bigint, 'as often as its policy says');
SELECT is((SELECT count(*) FROM cano.attempts WHERE run_id = :run AND state = 'r'), 2::bigint,
	'and its failed attempts are on record');

SELECT cano.define('t_router.default', cano.router('r', 't_router.breaks'),
	cano.task('left', 't_router.rest', next => 'done'), cano.exit('done')) AS v \gset
ALTER SEQUENCE t_router.calls RESTART;
SELECT cano.submit('t_router.default') AS run \gset
CALL cano.work();
SELECT pg_temp.later('2 seconds') AS x \gset
CALL cano.work();
SELECT pg_temp.later('2 seconds') AS x \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'a router has retries by default');

SELECT * FROM finish();
DROP SCHEMA t_router CASCADE;
