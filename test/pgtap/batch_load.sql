-- What a batch's load may return, and what becomes of it: items, in order,
-- for process; and how process and finish are given theirs.
\ir lib/start.psql
SELECT plan(74);

CREATE SCHEMA t_load;
CREATE TYPE t_load.pair AS (a int, b text);
CREATE DOMAIN t_load.pairs AS t_load.pair;
CREATE DOMAIN t_load.document AS jsonb;
CREATE DOMAIN t_load.numbers AS int[];
CREATE DOMAIN t_load.positive AS int CHECK (value > 0);
CREATE TABLE t_load.parcel (id int, note text, gone int);
ALTER TABLE t_load.parcel DROP COLUMN gone;
INSERT INTO t_load.parcel VALUES (2, 'two'), (1, NULL);

-- A workflow whose batch hands through what a load with that body returns,
-- submitted with {"n": 3}.
CREATE FUNCTION t_load.echo(item jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT item';
CREATE FUNCTION t_load.start(name text, signature text, body text, language text DEFAULT 'sql', tries int DEFAULT 0)
RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE FUNCTION t_load.%I%s LANGUAGE %I AS %L', name, signature, language, body);
	PERFORM cano.define('t_load.' || name, cano.batch('st', load => 't_load.' || name, process => 't_load.echo', next => 'end',
		retry => CASE WHEN tries = 0 THEN cano.none() ELSE cano.fixed(tries, '0') END), cano.exit('end'));
	RETURN cano.submit('t_load.' || name, '{"n": 3}');
END $$;
-- The items of a completed run, or how it ended.
CREATE FUNCTION pg_temp.items(run bigint) RETURNS jsonb LANGUAGE sql AS $$
	SELECT CASE WHEN r.status = 'completed' THEN jsonb_path_query_array(cano.result($1) -> 'st', '$[*].ok')
		ELSE jsonb_build_object(r.status, r.error) END FROM cano.runs AS r WHERE r.run_id = $1 $$;

-- sets
CREATE TEMP TABLE expected (run bigint, what text, wanted jsonb);
INSERT INTO expected VALUES
	(t_load.start('numbers', '(n int) RETURNS SETOF int', 'SELECT * FROM generate_series(n, 1, -1)'),
		'a set of numbers', '[3, 2, 1]'),
	(t_load.start('loop', '(n int) RETURNS SETOF int', 'BEGIN FOR i IN 1..n LOOP RETURN NEXT i; END LOOP; END', 'plpgsql'),
		'the same of PL/pgSQL, which returns it whole', '[1, 2, 3]'),
	(t_load.start('internal', '(a int DEFAULT 5, n int DEFAULT 0, step int DEFAULT -1) RETURNS SETOF int STRICT',
		'generate_series_step_int4', 'internal'), 'the same of C, value for value; defaults are filled in', '[5, 4, 3]'),
	(t_load.start('null_rows', '() RETURNS SETOF int', 'VALUES (1), (NULL), (3)'), 'a row that is null is an item that is null',
		'[1, null, 3]'),
	(t_load.start('words', '() RETURNS SETOF text', $$VALUES ('1'), ('null'), ('"'), ('')$$), 'texts stay texts',
		'["1", "null", "\"", ""]'),
	(t_load.start('days', '() RETURNS SETOF date', $$VALUES (date '2024-02-29')$$), 'a date is as to_jsonb makes it', '["2024-02-29"]'),
	(t_load.start('domains', '() RETURNS SETOF t_load.positive', 'BEGIN RETURN NEXT 7; END', 'plpgsql'), 'a set of a domain', '[7]'),
	(t_load.start('jsonbs', '() RETURNS SETOF jsonb', $$VALUES ('{"a": [1]}'::jsonb), ('[1, 2]'), ('"x"'), ('null'), (NULL)$$),
		'rows of jsonb are what they are, not taken apart', '[{"a": [1]}, [1, 2], "x", null, null]'),
	(t_load.start('jsons', '() RETURNS SETOF json', $$VALUES ('{"a": 1, "a": 2}'::json), ('[1]')$$), 'also of json', '[{"a": 2}, [1]]'),
	(t_load.start('documents', '() RETURNS SETOF t_load.document', $$SELECT '[1]'::t_load.document$$), 'also of a domain over it', '[[1]]'),
	(t_load.start('arrays', '() RETURNS SETOF int[]', 'VALUES (ARRAY[1, 2]), (NULL)'), 'a row that is an array is one item', '[[1, 2], null]'),
	(t_load.start('pairs', '() RETURNS SETOF t_load.pair', $$VALUES (1, 'x'), (NULL, NULL)$$), 'composite rows are objects',
		'[{"a": 1, "b": "x"}, {"a": null, "b": null}]'),
	(t_load.start('pairs_loop', '() RETURNS SETOF t_load.pair', $$BEGIN RETURN NEXT ROW(1, 'x')::t_load.pair; END$$, 'plpgsql'),
		'also of PL/pgSQL', '[{"a": 1, "b": "x"}]'),
	(t_load.start('pair_domains', '() RETURNS SETOF t_load.pairs', $$BEGIN RETURN NEXT ROW(1, 'x')::t_load.pairs; END$$, 'plpgsql'),
		'also of a domain over them', '[{"a": 1, "b": "x"}]'),
	(t_load.start('of_table', '() RETURNS SETOF t_load.parcel', 'SELECT * FROM t_load.parcel ORDER BY id'),
		'rows of a table have its columns', '[{"id": 1, "note": null}, {"id": 2, "note": "two"}]'),
	(t_load.start('as_table', '(n int) RETURNS TABLE (x int, y text)', $$SELECT i, 'y' || i FROM generate_series(1, n - 1) AS i$$),
		'RETURNS TABLE names the keys', '[{"x": 1, "y": "y1"}, {"x": 2, "y": "y2"}]'),
	(t_load.start('as_table_loop', '(n int) RETURNS TABLE (x int, y t_load.pair)',
		'BEGIN RETURN QUERY SELECT n, ROW(n, NULL)::t_load.pair; END', 'plpgsql'),
		'also in PL/pgSQL', '[{"x": 3, "y": {"a": 3, "b": null}}]'),
	(t_load.start('one_column', '(n int) RETURNS TABLE (x int)', 'BEGIN RETURN QUERY SELECT n; END', 'plpgsql'),
		'a table of a single column is a set of values', '[3]'),
	(t_load.start('outs', '(n int, OUT p int, INOUT q text DEFAULT ''d'') RETURNS SETOF record', 'SELECT n, q'),
		'so do OUT parameters; an INOUT parameter is bound, too', '[{"p": 3, "q": "d"}]'),
	(t_load.start('records', '() RETURNS SETOF record', $$SELECT 1 AS a, 'x' AS b$$),
		'rows of a query that nobody described have its names',
		'[{"a": 1, "b": "x"}]'),
	(t_load.start('no_rows', '() RETURNS SETOF int', 'SELECT 1 WHERE false'), 'no rows are no items', '[]'),
	(t_load.start('no_loop', '() RETURNS SETOF int', 'BEGIN END', 'plpgsql'), 'also in PL/pgSQL', '[]'),
	(t_load.start('strict', '(missing int DEFAULT NULL) RETURNS SETOF int STRICT', 'SELECT 1'),
		'a strict function that is given a null returns no rows', '[]');

-- arrays
INSERT INTO expected VALUES
	(t_load.start('array', '(n int) RETURNS int[]', 'SELECT ARRAY[n, NULL, 1]'), 'an array''s elements', '[3, null, 1]'),
	(t_load.start('array_domain', '() RETURNS t_load.numbers', 'SELECT ARRAY[2, 1]'), 'also of a domain', '[2, 1]'),
	(t_load.start('array_pairs', '() RETURNS t_load.pair[]', $$SELECT ARRAY[ROW(1, 'x')::t_load.pair, NULL]$$), 'of composites',
		'[{"a": 1, "b": "x"}, null]'),
	(t_load.start('array_jsonb', '() RETURNS jsonb[]', $$SELECT ARRAY['{"a": 1}', '[]', NULL]::jsonb[]$$), 'of jsonb', '[{"a": 1}, [], null]'),
	(t_load.start('array_bounds', '() RETURNS int[]', $$SELECT '[7:8]={1,2}'::int[]$$), 'of any bounds', '[1, 2]'),
	(t_load.start('array_array', '() RETURNS int[]', 'SELECT ARRAY[[1, 2], [3, 4]]'), 'and of more dimensions', '[[1, 2], [3, 4]]'),
	(t_load.start('array_out', '(OUT a int[])', 'SELECT ARRAY[1]'), 'and one of an OUT parameter', '[1]'),
	(t_load.start('array_empty', '() RETURNS int[]', $$SELECT '{}'::int[]$$), 'none of an empty array', '[]'),
	(t_load.start('array_null', '() RETURNS int[]', 'SELECT NULL::int[]'), 'none of SQL null', '[]'),
	(t_load.start('jsonb', '() RETURNS jsonb', $$SELECT '[1, "x", null, {"a": [1]}, [2, 3], [], false]'::jsonb$$),
		'a JSON array''s elements', '[1, "x", null, {"a": [1]}, [2, 3], [], false]'),
	(t_load.start('json', '() RETURNS json', $$SELECT '[1, {"a": 1, "a": 2}]'::json$$), 'also of json', '[1, {"a": 2}]'),
	(t_load.start('json_domain', '() RETURNS t_load.document', $$SELECT '[1]'::t_load.document$$), 'also of a domain', '[1]'),
	(t_load.start('json_empty', '() RETURNS jsonb', $$SELECT '[]'::jsonb$$), 'none of an empty one', '[]'),
	(t_load.start('json_null', '() RETURNS jsonb', 'SELECT NULL::jsonb'), 'none of SQL null in place of one', '[]');

-- conversions are the user's, with his search_path
CREATE TYPE t_load.mood AS ENUM ('good', 'bad');
CREATE FUNCTION t_load.mood_json(t_load.mood) RETURNS json LANGUAGE sql AS $$
	SELECT json_build_array(lower($1::text), current_setting('search_path') LIKE '%public%') $$;
CREATE CAST (t_load.mood AS json) WITH FUNCTION t_load.mood_json(t_load.mood);
INSERT INTO expected VALUES
	(t_load.start('moods', '() RETURNS SETOF t_load.mood', $$VALUES ('good'::t_load.mood), ('bad')$$), 'a user''s cast to json counts',
		'[["good", true], ["bad", true]]'),
	(t_load.start('mood_array', '() RETURNS t_load.mood[]', $$SELECT '{good}'::t_load.mood[]$$), 'also in an array', '[["good", true]]');

-- errors are retried like others, and leave nothing
CREATE TABLE t_load.effect (what text);
INSERT INTO expected VALUES
	(t_load.start('late', '(attempt int) RETURNS SETOF int', $$INSERT INTO t_load.effect VALUES ('late ' || attempt);
		SELECT 6 / (4 - i - CASE attempt WHEN 1 THEN 1 ELSE 0 END) FROM generate_series(1, 3) AS i$$, 'sql', 1),
		'an error at a late row is a failed attempt, the next one starts anew', '[2, 3, 6]'),
	(t_load.start('late_loop', '(attempt int) RETURNS SETOF int', $$BEGIN INSERT INTO t_load.effect VALUES ('late_loop ' || attempt);
		RETURN NEXT 1; IF attempt = 1 THEN RAISE EXCEPTION 'not yet'; END IF; END$$, 'plpgsql', 1), 'also in PL/pgSQL', '[1]'),
	(t_load.start('takes', '() RETURNS SETOF t_load.parcel', 'DELETE FROM t_load.parcel WHERE id = 2 RETURNING *'),
		'a load may write', '[{"id": 2, "note": "two"}]');
-- the same function twice in a session
INSERT INTO expected VALUES
	(cano.submit('t_load.as_table_loop', '{"n": 1}'), 'a load that was called before', '[{"x": 1, "y": {"a": 1, "b": null}}]'),
	(cano.submit('t_load.internal', '{"a": 2}'), 'returns what it is asked for now', '[2, 1, 0]');
CALL cano.work();
SELECT is(pg_temp.items(run), wanted, what) FROM expected ORDER BY run;
SELECT is((SELECT array_agg(what ORDER BY what) FROM t_load.effect), ARRAY['late 2', 'late_loop 2'], 'what failed is undone');
SELECT is((SELECT array_agg(id) FROM t_load.parcel), ARRAY[1], 'what was written is kept');
SELECT is((SELECT count(*) FROM cano.attempts), 2::bigint, 'two attempts failed in all');

-- values that are no items
CREATE TEMP TABLE refused (run bigint, what text, wanted text);
INSERT INTO refused VALUES
	(t_load.start('not_object', '() RETURNS jsonb', $$SELECT '{"a": [1]}'::jsonb$$), 'a JSON object is no array',
		'42804 function "t_load.not_object()" returned no JSON array, but a JSON value of type object'),
	(t_load.start('not_number', '() RETURNS json', $$SELECT '5'::json$$), 'a JSON number is none',
		'42804 function "t_load.not_number()" returned no JSON array, but a JSON value of type number'),
	(t_load.start('not_null', '() RETURNS jsonb', $$SELECT 'null'::jsonb$$), 'a JSON null is none',
		'42804 function "t_load.not_null()" returned no JSON array, but a JSON value of type null'),
	(t_load.start('not_positive', '() RETURNS SETOF t_load.positive', 'BEGIN RETURN NEXT 0; END', 'plpgsql'), 'a row must fit its type',
		'23514 value for domain t_load.positive violates check constraint "positive_check"'),
	(t_load.start('too_many', '() RETURNS SETOF int', 'SELECT generate_series(1, 2000000000)'),
		'a million items are enough, and nobody waits for more', '54000 a batch cannot have more than 1000000 items'),
	(t_load.start('too_many_json', '() RETURNS jsonb', 'SELECT jsonb_agg(i) FROM generate_series(1, 1000001) AS i'), 'also in an array',
		'54000 a batch cannot have more than 1000000 items'),
	(t_load.start('too_large', '() RETURNS SETOF text', $$SELECT repeat('x', 67108864)$$), 'an item has the size limit of any value',
		'54000 item of 65537 kB that the task returned is too large');
CALL cano.work();
SELECT is((SELECT concat_ws(' ', e.error ->> 'sqlstate', e.error ->> 'message') FROM cano.runs AS e WHERE e.run_id = f.run),
	f.wanted, f.what)
FROM refused AS f ORDER BY f.run;
SELECT is((SELECT count(*) FROM cano.runs JOIN refused ON run_id = run WHERE error ->> 'category' = 'task_execution'), 7::bigint,
	'all of these are ordinary errors');
SELECT t_load.start('not_twice', '() RETURNS jsonb', $$SELECT '{}'::jsonb$$, tries => 1) AS run \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category') || ' ' || (SELECT count(*) FROM cano.attempts WHERE run_id = :run), 'retry_exhausted 2',
	'and are retried');

-- functions that cannot be a load
CREATE FUNCTION pg_temp.no_load(signature text, body text DEFAULT 'SELECT 1') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v_message text;
BEGIN
	EXECUTE format('DROP FUNCTION IF EXISTS t_load.no_load; CREATE FUNCTION t_load.no_load%s LANGUAGE sql AS %L', signature, body);
	PERFORM cano.define('t_load.no_load', cano.batch('st', load => 't_load.no_load', process => 't_load.echo', next => 'end'),
		cano.exit('end'));
	RETURN 'accepted';
EXCEPTION WHEN SQLSTATE 'CN001' THEN
	GET STACKED DIAGNOSTICS v_message = MESSAGE_TEXT;
	RETURN v_message;
END $$;
SELECT is(pg_temp.no_load('() RETURNS ' || v.type, v.body), 'function "t_load.no_load" of state "st" returns '
	|| coalesce(v.wanted, v.type), v.type || ' is no load''s type')
FROM (VALUES ('void', 'SELECT', NULL), ('SETOF void', 'SELECT', 'a set of void'), ('cano.outcome', 'SELECT cano.next()', NULL),
	('SETOF cano.outcome', 'SELECT cano.next()', 'a set of cano.outcome'), ('integer', 'SELECT 1', NULL),
	('text', $$SELECT '[]'$$, NULL), ('boolean', 'SELECT true', NULL), ('t_load.pair', $$SELECT 1, ''$$, NULL),
	('t_load.positive', 'SELECT 1', 'integer')) AS v (type, body, wanted);
SELECT is(pg_temp.no_load('(OUT a int, OUT b int)', 'SELECT 1, 2'), 'function "t_load.no_load" of state "st" returns record',
	'one row of OUT parameters is no set');
SELECT is(pg_temp.no_load('() RETURNS SETOF int'), 'accepted', 'a set is');
SELECT throws_ok($$SELECT cano.define('t_load.no', cano.batch('st', load => 't_load.echo', process => 't_load.numbers', next => 'end'),
	cano.exit('end'))$$, 'CN001', NULL, 'only a load returns a set, no process');

-- what process is given
CREATE FUNCTION t_load.pairs_of(n int) RETURNS SETOF t_load.pair LANGUAGE sql AS $$
	SELECT i, 'b' || i FROM generate_series(1, n) AS i UNION ALL SELECT NULL, NULL $$;
CREATE FUNCTION t_load.by_place(t_load.pair) RETURNS text LANGUAGE sql AS $$ SELECT concat($1.a, $1.b) $$;
CREATE FUNCTION t_load.by_name(n int, item t_load.pair, state text) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', n, item.a, item.b, state) $$;
CREATE FUNCTION t_load.by_data(d jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT d';
CREATE FUNCTION t_load.by_key(a int) RETURNS int LANGUAGE sql AS 'SELECT a';
CREATE FUNCTION t_load.count(jsonb) RETURNS int LANGUAGE sql AS 'SELECT jsonb_array_length($1)';
CREATE FUNCTION t_load.errors(n int, outputs jsonb[]) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('n', n + 1, 'errors', (SELECT array_agg(o #>> '{error,category}') FROM unnest(outputs) AS o)) $$;
CREATE FUNCTION t_load.process(process text, finish text DEFAULT NULL) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cano.define('t_load.process', cano.batch('st', load => 't_load.pairs_of', process => 't_load.' || process,
		finish => 't_load.' || finish, next => 'end'), cano.exit('end'));
	RETURN cano.submit('t_load.process', '{"n": 1}');
END $$;
CREATE TEMP TABLE processed AS SELECT v.*, t_load.process(v.process) AS run
FROM (VALUES ('by_place', 'a single unnamed parameter is the item', '["1b1", ""]'::jsonb),
	('by_name', 'so is one of that name, beside keys of the data', '["1 1 b1 st", "1 st"]'),
	('by_data', 'a single jsonb of another name is the data', '[{"n": 1}, {"n": 1}]')) AS v (process, what, wanted);
SELECT t_load.process('by_key', 'errors') AS errors \gset
SELECT t_load.process('by_place', 'count') AS counted \gset
CALL cano.work();
SELECT is(pg_temp.items(run), wanted, what) FROM processed ORDER BY run;
SELECT is(cano.result(:errors), '{"n": 2, "errors": ["missing_argument", "missing_argument"]}'::jsonb,
	'keys of an item are not bound; finish has the outputs by that name, beside keys of the data');
SELECT is(cano.result(:counted), '{"n": 1, "st": 2}'::jsonb, 'or as its single unnamed parameter');

SELECT is((SELECT count(*) FROM cano._job) + (SELECT count(*) FROM cano._timer), 0::bigint, 'nothing is left to do');
SELECT * FROM finish();
DROP SCHEMA t_load CASCADE;
