-- The caller's own run id.
\ir lib/start.psql
SELECT plan(19);

CREATE SCHEMA t_key;
CREATE FUNCTION t_key.rest() RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
SELECT cano.define('t_key.one', cano.task('a', 't_key.rest', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.define('t_key.two', cano.task('a', 't_key.rest', next => 'end'), cano.exit('end')) AS v \gset

SELECT cano.submit('t_key.one', '{"a": 1, "b": [1.0]}', key => 'k') AS run \gset
SELECT is(cano.submit('t_key.one', '{"b": [1.0], "a": 1}', key => 'k'), :run::bigint,
	'equal input is equal as jsonb, not as text');
SELECT is(cano.submit('t_key.one', '{"b": [1], "a": 1.00}', key => 'k'), :run::bigint,
	'numbers are equal by value');
SELECT isnt(cano.submit('t_key.two', '{"other": 1}', key => 'k'), :run::bigint, 'keys belong to a workflow');
SELECT isnt(cano.submit('t_key.one', '{"other": 1}', key => 'K'), :run::bigint, 'and are case-sensitive');
SELECT throws_ok($$SELECT cano.submit('t_key.one', '{"a": 2}', key => 'k')$$, 'CN409', NULL, 'another input is a mismatch');
SELECT throws_like($$SELECT cano.submit('t_key.one', '{"a": 2}', key => 'k')$$, '%', 'with a message');
SELECT results_ne($$SELECT cano.submit('t_key.one')$$, $$SELECT cano.submit('t_key.one')$$,
	'without a key every submit is a new run');

-- a key stays taken while the run waits, and over a new version
SELECT cano.submit('t_key.one', key => 'late', run_at => now() + interval '1 day') AS run \gset
CALL cano.work();
SELECT is(cano.submit('t_key.one', key => 'late'), :run::bigint, 'a waiting run holds its key');
SELECT cano.define('t_key.one', cano.task('a', 't_key.rest', next => 'end2'), cano.exit('end2')) AS v \gset
SELECT is(cano.submit('t_key.one', key => 'late'), :run::bigint, 'also when there is a new version');

-- within one transaction
BEGIN;
SELECT cano.submit('t_key.one', key => 'twice') AS run \gset
SELECT is(cano.submit('t_key.one', key => 'twice'), :run::bigint, 'a transaction sees the keys it took itself');
COMMIT;
CALL cano.work();

-- free after every ending
CREATE FUNCTION t_key.fails() RETURNS void LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'no'; END$$;
SELECT cano.define('t_key.failing', cano.task('a', 't_key.fails', next => 'end', retry => cano.none()), cano.exit('end')) AS v \gset
SELECT cano.submit('t_key.failing', key => 'k') AS run \gset
CALL cano.work();
SELECT isnt(cano.submit('t_key.failing', '{"x": 1}', key => 'k'), :run::bigint, 'a failed run has given its key back');
CALL cano.work();

-- who is resumed needs it again
SELECT cano.submit('t_key.failing', key => 'again') AS run \gset
CALL cano.work();
SELECT cano.submit('t_key.failing', key => 'again', run_at => now() + interval '1 day') AS other \gset
SELECT throws_ok(format('SELECT cano.resume(%s)', :run), 'CN409', format('run %s cannot be resumed while another one has its key', :run),
	'a run is not resumed while another one has its key');
SELECT is((SELECT status FROM cano.runs WHERE run_id = :run), 'failed', 'and is as it was');
SELECT cano.cancel(:other) AS x \gset
CALL cano.work();
SELECT ok(cano.resume(:run), 'it is when that one has ended');
SELECT is(cano.submit('t_key.failing', key => 'again'), :run::bigint, 'and has its key again');
CALL cano.work();
SELECT is((SELECT count(*) FROM cano._key AS k JOIN cano.runs AS r ON r.run_id = k.run WHERE r.ended_at IS NOT NULL), 0::bigint,
	'no ended run holds a key');

-- submit_many
SELECT array_agg(run) AS runs FROM cano.submit_many('t_key.two',
	ARRAY['{"n": 1}', '{"n": 2}', '{"n": 3}']::jsonb[], priority => 7, tags => ARRAY['many']) AS run \gset
SELECT is((SELECT array_agg(r.input ->> 'n' ORDER BY o.n) FROM unnest(:'runs'::bigint[]) WITH ORDINALITY AS o (run, n)
	JOIN cano.runs AS r ON r.run_id = o.run), ARRAY['1', '2', '3'], 'submit_many gives the ids in the order of the inputs');
SELECT is((SELECT count(*) FROM cano.runs WHERE run_id = ANY (:'runs'::bigint[]) AND priority = 7 AND tags = ARRAY['many']), 3::bigint,
	'its other arguments hold for all');
SELECT throws_ok($$SELECT cano.submit_many('t_key.two', ARRAY['{"n": 1}', '[]']::jsonb[])$$, 'CN001', NULL,
	'one bad input spoils them all');
CALL cano.work();

SELECT * FROM finish();
DROP SCHEMA t_key CASCADE;
