-- Parameters are bound by name: reserved, key of the data, default, or not at all.
\ir lib/start.psql
SELECT plan(37);

CREATE SCHEMA t_bind;
CREATE DOMAIN t_bind.percent AS numeric CHECK (VALUE BETWEEN 0 AND 100);
CREATE TYPE t_bind.colour AS ENUM ('red', 'green');
CREATE TYPE t_bind.line AS (sku text, qty int, tags text[]);

-- Run a function as the only task of a workflow; the data at its end is
-- then in cano.result(), where "out" is what the function returned.
CREATE FUNCTION t_bind.start(run text, input jsonb, headers jsonb DEFAULT NULL, key text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cano.define('t_bind.' || run, cano.task('only', run, next => 'end', retry => cano.fixed(2, '0'),
		output_key => 'out'), cano.exit('end'));
	RETURN cano.submit('t_bind.' || run, input, headers => headers, key => key);
END $$;

-- reserved names
CREATE FUNCTION t_bind.reserved(data jsonb, input jsonb, headers jsonb, run_id bigint, workflow text, state text,
	attempt int, idempotency_key text)
RETURNS jsonb LANGUAGE sql AS $$SELECT jsonb_build_object('data', data, 'input', input, 'headers', headers,
	'run_id', run_id, 'workflow', workflow, 'state', state, 'attempt', attempt, 'key', idempotency_key)$$;
SELECT t_bind.start('t_bind.reserved', '{"state": "mine", "attempt": "x"}', headers => '{"h": 1}') AS run \gset
CALL cano.work();
SELECT cano.result(:run) -> 'out' AS out \gset
SELECT is(:'out'::jsonb -> 'data', '{"state": "mine", "attempt": "x"}'::jsonb, '"data" is all of the data');
SELECT is(:'out'::jsonb -> 'input', '{"state": "mine", "attempt": "x"}'::jsonb, '"input" is what was submitted');
SELECT is(:'out'::jsonb -> 'headers', '{"h": 1}'::jsonb, '"headers" are those of the submit');
SELECT is(:'out'::jsonb ->> 'run_id', :run::text, '"run_id" is the run');
SELECT is(:'out'::jsonb ->> 'workflow', 't_bind.t_bind.reserved', '"workflow" is the workflow');
SELECT is(:'out'::jsonb ->> 'state', 'only', 'a reserved name comes before a key of the data');
SELECT is(:'out'::jsonb -> 'attempt', '1'::jsonb, '"attempt" counts from 1');
SELECT ok(length(:'out'::jsonb ->> 'key') > 0, '"idempotency_key" is something');

CREATE FUNCTION t_bind.meaningless(output jsonb, cursor jsonb, item jsonb, outputs jsonb, signal jsonb, branch int,
	x int) RETURNS boolean LANGUAGE sql AS $$SELECT num_nulls(output, cursor, item, outputs, signal, branch) = 6$$;
SELECT t_bind.start('t_bind.meaningless', '{"x": 1, "item": 5, "cursor": 5, "signal": 5}') AS run \gset
CALL cano.work();
SELECT is(cano.result(:run) -> 'out', 'true', 'a reserved name without a meaning for the kind is null');

-- keys, defaults, null
CREATE FUNCTION t_bind.three(a int, b text DEFAULT 'default', c int DEFAULT 7) RETURNS text LANGUAGE sql
AS $$SELECT format('%s/%s/%s', a, coalesce(b, 'null'), coalesce(c::text, 'null'))$$;
SELECT t_bind.start('t_bind.three', '{"a": 1, "b": "given"}') AS run \gset
SELECT t_bind.start('t_bind.three', '{"a": 1, "b": null, "c": null}') AS run_null \gset
SELECT t_bind.start('t_bind.three', '{"A": 1, "a": 2, "other": 3}') AS run_other \gset
CALL cano.work();
SELECT is(cano.result(:run) ->> 'out', '1/given/7', 'keys of the data come before defaults');
SELECT is(cano.result(:run_null) ->> 'out', '1/null/null', 'a JSON null binds as SQL null, not as the default');
SELECT is(cano.result(:run_other) ->> 'out', '2/default/7', 'what no parameter asks for is left alone');

CREATE FUNCTION t_bind.quoted("camelCase" int, "with space" text, "ünï" text) RETURNS text LANGUAGE sql
AS $$SELECT concat($1, $2, $3)$$;
SELECT t_bind.start('t_bind.quoted', '{"camelCase": 1, "with space": "b", "ünï": "c", "camelcase": 9}') AS run \gset
CALL cano.work();
SELECT is(cano.result(:run) ->> 'out', '1bc', 'names are compared exactly');

CREATE SEQUENCE t_bind.strict_calls;
CREATE FUNCTION t_bind.strictly(a int) RETURNS bigint LANGUAGE sql STRICT AS $$SELECT nextval('t_bind.strict_calls')$$;
SELECT t_bind.start('t_bind.strictly', '{"a": null}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.calls('t_bind.strict_calls'), 0::bigint, 'a strict function is not called with a null');
SELECT is(cano.result(:run), '{"a": null}'::jsonb, 'and its null result stores nothing');

-- a missing argument
CREATE SEQUENCE t_bind.calls;
CREATE FUNCTION t_bind.needs(a int, wanted int) RETURNS bigint LANGUAGE sql AS $$SELECT nextval('t_bind.calls')$$;
SELECT t_bind.start('t_bind.needs', '{"a": 1}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'failed', 'without a value for a parameter the run fails');
SELECT is(pg_temp.error(:run, 'category'), 'missing_argument', 'with category missing_argument');
SELECT is(pg_temp.error(:run, 'sqlstate'), 'CN014', 'and its SQLSTATE');
SELECT matches(pg_temp.error(:run, 'message') || coalesce(pg_temp.error(:run, 'detail'), ''), 'wanted',
	'the error names the parameter');
SELECT matches(pg_temp.error(:run, 'message') || coalesce(pg_temp.error(:run, 'detail'), ''), 't_bind\.needs',
	'and the function');
SELECT matches(pg_temp.error(:run, 'message') || coalesce(pg_temp.error(:run, 'detail'), ''), 'only',
	'and the state');
SELECT is((SELECT count(*) FROM cano.attempts WHERE run_id = :run), 1::bigint, 'it is not retried');

-- one parameter that takes all
CREATE FUNCTION t_bind.unnamed(jsonb) RETURNS jsonb LANGUAGE sql AS $$SELECT jsonb_build_array($1)$$;
CREATE FUNCTION t_bind.document(doc jsonb) RETURNS jsonb LANGUAGE sql AS $$SELECT jsonb_build_array(doc)$$;
CREATE FUNCTION t_bind.only_reserved(input jsonb) RETURNS jsonb LANGUAGE sql AS $$SELECT jsonb_build_array(input)$$;
CREATE FUNCTION t_bind.two_documents(doc jsonb, x int) RETURNS jsonb LANGUAGE sql AS $$SELECT jsonb_build_array(doc)$$;
CREATE FUNCTION t_bind.only_text(doc text) RETURNS text LANGUAGE sql AS $$SELECT doc$$;
SELECT t_bind.start('t_bind.unnamed', '{"a": 1}') AS run1 \gset
SELECT t_bind.start('t_bind.document', '{"doc": 1, "a": 2}') AS run2 \gset
SELECT t_bind.start('t_bind.only_reserved', '{"a": 1}') AS run3 \gset
SELECT t_bind.start('t_bind.two_documents', '{"doc": {"b": 1}, "x": 1}') AS run4 \gset
SELECT t_bind.start('t_bind.only_text', '{"doc": "text"}') AS run5 \gset
CALL cano.work();
SELECT is(cano.result(:run1) -> 'out', '[{"a": 1}]', 'an only parameter without a name is given the data');
SELECT is(cano.result(:run2) -> 'out', '[{"a": 2, "doc": 1}]',
	'an only jsonb parameter is given the data, even if there is a key of its name');
SELECT is(cano.result(:run3) -> 'out', '[{"a": 1}]', 'but not under a reserved name');
SELECT is(cano.result(:run4) -> 'out', '[{"b": 1}]', 'one jsonb parameter of several is bound by name');
SELECT is(cano.result(:run5) ->> 'out', 'text', 'an only parameter of another type is bound by name');

-- types
CREATE FUNCTION t_bind.types(n numeric, d date, i interval, b boolean, u uuid, list int[], colour t_bind.colour,
	percent t_bind.percent, line t_bind.line, lines t_bind.line[], j json, t text, x bytea)
RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws('|', n, d, i, b, u, list, colour, percent, (line).sku, (line).qty, (line).tags,
		lines[2].sku, j ->> 'k', t, x) $$;
SELECT t_bind.start('t_bind.types', '{"n": 1.50, "d": "2024-02-29", "i": "1 day", "b": true,
	"u": "00000000-0000-0000-0000-000000000001", "list": [1, null, 3], "colour": "red", "percent": 99.5,
	"line": {"sku": "s", "qty": 2, "tags": ["x", "y"], "more": 1}, "lines": [{"sku": "p"}, {"sku": "q"}],
	"j": {"k": "v"}, "t": {"a": 1}, "x": "\\x00ff"}') AS run \gset
CALL cano.work();
SELECT is(cano.result(:run) ->> 'out',
	'1.50|2024-02-29|1 day|t|00000000-0000-0000-0000-000000000001|{1,NULL,3}|red|99.5|s|2|{x,y}|q|v|{"a": 1}|\x00ff',
	'values are converted as by jsonb_populate_record: arrays, enums, domains, rows, arrays of rows');

CREATE FUNCTION t_bind.picky(percent t_bind.percent) RETURNS text LANGUAGE sql AS $$SELECT 'never'$$;
SELECT t_bind.start('t_bind.picky', '{"percent": 101}') AS run \gset
SELECT t_bind.start('t_bind.three', '{"a": "no number"}') AS run_text \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category'), 'retry_exhausted',
	'a value that its type refuses is an ordinary failed attempt');
SELECT is((SELECT array_agg(sqlstate ORDER BY attempt) FROM cano.attempts WHERE run_id = :run),
	ARRAY['23514', '23514', '23514'], 'with the SQLSTATE of the domain''s check');
SELECT is((SELECT array_agg(sqlstate ORDER BY attempt) FROM cano.attempts WHERE run_id = :run_text),
	ARRAY['22P02', '22P02', '22P02'], 'or of the type''s input');

-- overloads
CREATE FUNCTION t_bind.over(a int) RETURNS text LANGUAGE sql AS $$SELECT 'int'$$;
CREATE FUNCTION t_bind.over(a text) RETURNS text LANGUAGE sql AS $$SELECT 'text'$$;
SELECT throws_ok($$SELECT t_bind.start('t_bind.over', '{"a": 1}')$$, 'CN001', NULL, 'an ambiguous name is refused');
SELECT t_bind.start('t_bind.over(text)', '{"a": 1}') AS run1 \gset
SELECT t_bind.start('t_bind.over(int)', '{"a": 1}') AS run2 \gset
CALL cano.work();
SELECT is(cano.result(:run1) ->> 'out', 'text', 'argument types choose an overload');
SELECT is(cano.result(:run2) ->> 'out', 'int', 'and so do those of the other');

-- looked up again when called
CREATE OR REPLACE FUNCTION t_bind.over(a text) RETURNS text LANGUAGE sql AS $$SELECT 'new'$$;
SELECT cano.submit('t_bind.t_bind.over(text)', '{"a": 1}') AS run \gset
CALL cano.work();
SELECT is(cano.result(:run) ->> 'out', 'new', 'CREATE OR REPLACE FUNCTION takes effect at once');
DROP FUNCTION t_bind.over(text), t_bind.over(int);
SELECT cano.submit('t_bind.t_bind.over(text)', '{"a": 1}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category'), 'workflow', 'a function that is gone fails the run');
SELECT is((SELECT count(*) <= 1 FROM cano.attempts WHERE run_id = :run), true, 'without retries');

SELECT * FROM finish();
DROP SCHEMA t_bind CASCADE;
