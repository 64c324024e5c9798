-- Many of everything: a deep stack to roll back, a wide split, runs that
-- multiply, a definition of thousands of states, values of great depth.
\ir lib/start.psql
SELECT plan(13);

CREATE SCHEMA t_many;
CREATE SEQUENCE t_many.calls;
CREATE TABLE t_many.undone (n bigint DEFAULT nextval('t_many.calls'), output int);
CREATE FUNCTION t_many.count(visits int DEFAULT 0) RETURNS jsonb LANGUAGE sql AS $$SELECT jsonb_build_object('visits', visits + 1)$$;
CREATE FUNCTION t_many.again(visits int) RETURNS text LANGUAGE sql AS $$SELECT CASE WHEN visits < 3000 THEN 'a' ELSE 'fail' END$$;
CREATE FUNCTION t_many.fail() RETURNS void LANGUAGE plpgsql AS 'BEGIN RAISE ''enough''; END';
CREATE FUNCTION t_many.undo(output jsonb) RETURNS void LANGUAGE sql AS $$INSERT INTO t_many.undone (output) VALUES ((output ->> 'visits')::int)$$;
CREATE FUNCTION t_many.branch(branch int) RETURNS int LANGUAGE sql AS 'SELECT branch';
CREATE FUNCTION t_many.multiply(depth int) RETURNS void LANGUAGE sql AS $$
	SELECT cano.submit('t_many.multiply', jsonb_build_object('depth', depth - 1)) FROM generate_series(1, 2) WHERE depth > 0 $$;
CREATE FUNCTION t_many.echo(data jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT data';

-- A stack of thousands
SELECT cano.define('t_many.stack', cano.task('a', 't_many.count', compensate => 't_many.undo', next => 'r'), cano.router('r', 't_many.again', targets => '{a,fail}'),
	cano.task('fail', 't_many.fail', next => 'end', retry => cano.none()), cano.exit('end'), cano.options(compensation_timeout => '10 min')) AS v \gset
SELECT cano.submit('t_many.stack') AS run \gset
CALL cano.work();
SELECT is((SELECT status || ' ' || rollback FROM cano.runs WHERE run_id = :run), 'failed clean', 'thousands of states are rolled back');
SELECT is((SELECT count(*) FROM t_many.undone), 3000::bigint, 'each of them');
SELECT is_empty('SELECT FROM (SELECT output, lead(output) OVER (ORDER BY n) AS next FROM t_many.undone) AS u WHERE next <> output - 1', 'latest first');

-- A wide split
SELECT cano.define('t_many.wide', cano.split('s', array_fill('t_many.branch'::text, ARRAY[20000]), next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_many.wide') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'a split of many thousands of branches completes');
SELECT is((SELECT count(DISTINCT x) || ' ' || max(x::text::int) FROM jsonb_array_elements(cano.result(:run) -> 's') AS x), '20000 19999', 'with the output of each');

-- Runs that multiply
SELECT cano.define('t_many.multiply', cano.task('a', 't_many.multiply', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_many.multiply', '{"depth": 11}') AS run \gset
CALL cano.work();
SELECT is((SELECT count(*) || ' ' || min(status) FROM cano.runs WHERE workflow = 't_many.multiply'), '4095 completed', 'runs that submit runs all complete');

-- Thousands of states
SELECT cano.define('t_many.states', VARIADIC array_agg(cano.task('s' || n, 't_many.count', next => CASE WHEN n < 3000 THEN 's' || n + 1 ELSE 'end' END) ORDER BY n)
	|| cano.exit('end') || cano.options(start => 's1')) AS v FROM generate_series(1, 3000) AS n \gset
SELECT cano.submit('t_many.states') AS run \gset
CALL cano.work();
SELECT is(cano.result(:run), '{"visits": 3000}', 'a workflow of thousands of states is gone through');
SELECT is((SELECT count(*) FROM cano.states WHERE workflow = 't_many.states'), 3001::bigint, 'and shown');

-- Depth and size
SELECT cano.define('t_many.echo', cano.task('a', 't_many.echo', next => 'end', retry => cano.none()), cano.exit('end')) AS v \gset
SELECT cano.submit('t_many.echo', format('{"x": %s1%s}', repeat('[', 5000), repeat(']', 5000))::jsonb) AS deep,
	cano.submit('t_many.echo', jsonb_build_object('x', repeat('x', 30000000))) AS large,
	cano.submit('t_many.echo', (SELECT jsonb_object_agg('k' || n, n) FROM generate_series(1, 50000) AS n)) AS keys \gset
CALL cano.work();
SELECT is(pg_temp.status(:deep), 'completed', 'data thousands of arrays deep');
SELECT is(length(cano.result(:large) ->> 'x'), 30000000, 'data of many megabytes');
SELECT is((SELECT count(*) FROM jsonb_object_keys(cano.result(:keys))), 50000::bigint, 'data of many keys');
SELECT throws_ok($$SELECT cano.submit('t_many.echo', jsonb_build_object('x', repeat('x', 70000000)))$$, NULL, NULL, 'too much is refused at once');
SELECT is((SELECT count(*) FROM cano._job) + (SELECT count(*) FROM cano._timer) + (SELECT count(*) FROM cano._branch WHERE status IN ('q', 'b')), 0::bigint, 'nothing is left to do');

SELECT * FROM finish();
DROP SCHEMA t_many CASCADE;
