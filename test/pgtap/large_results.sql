-- Results that are too large together end their run, and nobody else's.
\ir lib/start.psql
SELECT plan(6);

CREATE SCHEMA t_large;
CREATE FUNCTION t_large.load() RETURNS SETOF int LANGUAGE sql AS 'SELECT generate_series(0, 4)';
CREATE FUNCTION t_large.part() RETURNS text LANGUAGE sql AS $$ SELECT repeat('x', 60000000) $$;
CREATE FUNCTION t_large.small() RETURNS text LANGUAGE sql AS $$ SELECT 'x'::text $$;
SELECT cano.define('t_large.split', cano.split('s', array_fill('t_large.part'::text, ARRAY[5]), next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.define('t_large.batch', cano.batch('b', load => 't_large.load', process => 't_large.part', next => 'end', retry => cano.none()),
	cano.exit('end')) AS v \gset
SELECT cano.define('t_large.small', cano.task('a', 't_large.small', next => 'end'), cano.exit('end')) AS v \gset

SELECT cano.submit('t_large.split') AS split \gset
SELECT cano.submit('t_large.batch') AS batch \gset
SELECT cano.submit('t_large.small') AS small \gset
\set ON_ERROR_STOP 0
CALL cano.work();
CALL cano.work();
\set ON_ERROR_STOP 1
SELECT is((SELECT count(*) FROM cano.branches WHERE run_id = :split AND status = 'completed'), 5::bigint, 'five branches complete');
SELECT is(pg_temp.status(:split), 'failed', 'a split whose outputs do not fit into one value fails');
SELECT is((SELECT count(*) FROM cano.items WHERE run_id = :batch AND status = 'completed'), 5::bigint, 'five items complete');
SELECT is(pg_temp.status(:batch), 'failed', 'so does a batch');
SELECT is(pg_temp.status(:small), 'completed', 'other runs go on');
SELECT is((SELECT count(*) FROM cano._job) + (SELECT count(*) FROM cano._timer), 0::bigint, 'nothing is left to do');

SELECT * FROM finish();
DROP SCHEMA t_large CASCADE;
