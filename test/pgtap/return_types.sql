-- What a task returns becomes its output, and where the output goes.
\ir lib/start.psql
SELECT plan(22);

CREATE SCHEMA t_return;
CREATE TYPE t_return.pair AS (a int, b text);
CREATE DOMAIN t_return.document AS jsonb;

-- A workflow with one such task, submitted with {"old": 1, "a": 0}.
CREATE FUNCTION t_return.start(name text, signature text, body text, output_key text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE FUNCTION t_return.%I%s LANGUAGE sql AS %L', name, signature, body);
	PERFORM cano.define('t_return.' || name,
		cano.task('st', 't_return.' || name, next => 'end', output_key => output_key), cano.exit('end'));
	RETURN cano.submit('t_return.' || name, '{"old": 1, "a": 0}');
END $$;

CREATE TEMP TABLE expected (run bigint, what text, wanted jsonb);
INSERT INTO expected VALUES
	(t_return.start('nothing', '() RETURNS void', 'SELECT'),
		'void stores nothing', '{"old": 1, "a": 0}'),
	(t_return.start('number', '() RETURNS int', 'SELECT 5'),
		'a number is stored under the state''s name', '{"old": 1, "a": 0, "st": 5}'),
	(t_return.start('words', '() RETURNS text', $$SELECT 'x "y"'$$),
		'a text is stored under the state''s name', '{"old": 1, "a": 0, "st": "x \"y\""}'),
	(t_return.start('truth', '() RETURNS boolean', 'SELECT false'),
		'a boolean of a task is an output like others', '{"old": 1, "a": 0, "st": false}'),
	(t_return.start('day', '() RETURNS date', $$SELECT date '2024-02-29'$$),
		'a date is stored as to_jsonb makes it', '{"old": 1, "a": 0, "st": "2024-02-29"}'),
	(t_return.start('listing', '() RETURNS int[]', 'SELECT ARRAY[1, NULL, 3]'),
		'an array is stored under the state''s name', '{"old": 1, "a": 0, "st": [1, null, 3]}'),
	(t_return.start('nil', '() RETURNS int', 'SELECT NULL::int'),
		'SQL null stores nothing', '{"old": 1, "a": 0}'),
	(t_return.start('object', '() RETURNS jsonb', $$SELECT '{"a": 2, "n": {"k": 1}}'::jsonb$$),
		'a JSON object is merged into the data', '{"old": 1, "a": 2, "n": {"k": 1}}'),
	(t_return.start('object_json', '() RETURNS json', $$SELECT '{"a": 2, "a": 3}'::json$$),
		'also of type json', '{"old": 1, "a": 3}'),
	(t_return.start('object_domain', '() RETURNS t_return.document', $$SELECT '{"a": 2}'::jsonb::t_return.document$$),
		'also of a domain over jsonb', '{"old": 1, "a": 2}'),
	(t_return.start('empty_object', '() RETURNS jsonb', $$SELECT '{}'::jsonb$$),
		'an empty object changes nothing', '{"old": 1, "a": 0}'),
	(t_return.start('json_array', '() RETURNS jsonb', $$SELECT '[{"a": 2}]'::jsonb$$),
		'a JSON array is stored under the state''s name', '{"old": 1, "a": 0, "st": [{"a": 2}]}'),
	(t_return.start('json_null', '() RETURNS jsonb', $$SELECT 'null'::jsonb$$),
		'a JSON null is a value', '{"old": 1, "a": 0, "st": null}'),
	(t_return.start('composite', '() RETURNS t_return.pair', $$SELECT ROW(7, 'x')::t_return.pair$$),
		'a row is an object', '{"old": 1, "a": 7, "b": "x"}'),
	(t_return.start('composite_nil', '() RETURNS t_return.pair', $$SELECT NULL::t_return.pair$$),
		'a row that is null stores nothing', '{"old": 1, "a": 0}'),
	(t_return.start('outs', '(OUT a int, OUT c text)', $$SELECT 8, 'c'::text$$),
		'OUT parameters are an object', '{"old": 1, "a": 8, "c": "c"}'),
	(t_return.start('in_out', '(INOUT a int, OUT d int)', $$SELECT a + 10, 4$$),
		'an INOUT parameter is bound, too', '{"old": 1, "a": 10, "d": 4}'),
	(t_return.start('one_out', '(OUT a int)', 'SELECT 9'),
		'a single OUT parameter is a scalar', '{"old": 1, "a": 0, "st": 9}'),
	(t_return.start('keyed', '() RETURNS jsonb', $$SELECT '{"a": 2}'::jsonb$$, output_key => 'under'),
		'output_key stores an object as a whole', '{"old": 1, "a": 0, "under": {"a": 2}}'),
	(t_return.start('keyed_number', '() RETURNS int', 'SELECT 5', output_key => 'old'),
		'output_key stores anything, over what was there', '{"old": 5, "a": 0}'),
	(t_return.start('keyed_nil', '() RETURNS int', 'SELECT NULL::int', output_key => 'old'),
		'and leaves it alone when the output is null', '{"old": 1, "a": 0}'),
	(t_return.start('decided', '() RETURNS cano.outcome', $$SELECT cano.next(output => '[1]')$$, output_key => 'under'),
		'the output of an outcome goes there as well', '{"old": 1, "a": 0, "under": [1]}');
CALL cano.work();
SELECT is(cano.result(run), wanted, what) FROM expected ORDER BY run;

SELECT * FROM finish();
DROP SCHEMA t_return CASCADE;
