-- Parameters are bound by name: reserved names, keys of the data, defaults.
\pset format unaligned
\pset tuples_only on
\set VERBOSITY terse
CREATE SCHEMA shop_binding;
CREATE TYPE shop_binding.address AS (street text, number integer);
CREATE DOMAIN shop_binding.positive AS integer NOT NULL CHECK (VALUE > 0);
CREATE TYPE shop_binding.color AS ENUM ('red', 'green');
-- A workflow of one task, with the name of its function.
CREATE FUNCTION shop_binding.define(run text) RETURNS integer LANGUAGE sql AS $$
	SELECT cano.define(run, cano.task('work', run, next => 'done', output_key => 'out', retry => cano.none()), cano.exit('done')) $$;

-- Reserved names, converted to the types of the parameters
CREATE FUNCTION shop_binding.reserved(workflow varchar, state text, attempt numeric, branch integer, data json, output jsonb, run_id text)
RETURNS jsonb LANGUAGE sql
RETURN jsonb_build_array(workflow, state, attempt, branch, data, output, run_id IS NOT NULL);
SELECT shop_binding.define('shop_binding.reserved');
CALL cano.orchestrate('shop_binding.reserved', '{"state": "not me"}');
CREATE FUNCTION shop_binding.input(input shop_binding.address, extra integer) RETURNS text LANGUAGE sql RETURN (input).street;
SELECT shop_binding.define('shop_binding.input');
CALL cano.orchestrate('shop_binding.input', '{"street": "High", "extra": 1}');

-- Keys of the data, as jsonb_populate_record converts them
CREATE FUNCTION shop_binding.types(i integer, t text, n numeric, b boolean, d date, j jsonb, a integer[], r shop_binding.address, c shop_binding.color, p shop_binding.positive)
RETURNS text LANGUAGE sql
RETURN concat_ws(' ', i, t, n, b, to_char(d, 'YYYY-MM-DD'), j, a, r, c, p);
SELECT shop_binding.define('shop_binding.types');
CALL cano.orchestrate('shop_binding.types', '{"i": 1, "t": {"x": 1}, "n": 1.50, "b": true, "d": "2030-01-31", "j": [1], "a": [1, 2], "r": {"street": "s", "number": 5}, "c": "red", "p": 4}');
CALL cano.orchestrate('shop_binding.types', '{"i": null, "t": null, "n": null, "b": null, "d": null, "j": null, "a": null, "r": null, "c": null, "p": 4}');
CALL cano.orchestrate('shop_binding.types', '{"i": null, "t": null, "n": null, "b": null, "d": null, "j": null, "a": null, "r": null, "c": null, "p": 0}');
CALL cano.orchestrate('shop_binding.types', '{"i": "x", "t": null, "n": null, "b": null, "d": null, "j": null, "a": null, "r": null, "c": null, "p": 4}');

-- A key that is absent is the default; one that is null is null
CREATE FUNCTION shop_binding.defaults(a integer, b integer DEFAULT 10, c text DEFAULT upper('c'), d float8 DEFAULT random())
RETURNS jsonb LANGUAGE sql RETURN jsonb_build_array(a, b, c, d BETWEEN 0 AND 1);
SELECT shop_binding.define('shop_binding.defaults');
CALL cano.orchestrate('shop_binding.defaults', '{"a": 1}');
CALL cano.orchestrate('shop_binding.defaults', '{"a": 1, "b": null}');
CALL cano.orchestrate('shop_binding.defaults', '{"a": 1, "c": "x", "d": 7}');

-- A parameter that is neither fails, once, and is named
CALL cano.orchestrate('shop_binding.defaults', '{"b": 1}');
SELECT error ->> 'category', error ->> 'sqlstate' FROM cano.runs ORDER BY run_id DESC LIMIT 1;

-- The only parameter, unnamed or jsonb, is the data
CREATE FUNCTION shop_binding.unnamed(jsonb) RETURNS jsonb LANGUAGE sql RETURN $1;
CREATE FUNCTION shop_binding.only(thing jsonb) RETURNS jsonb LANGUAGE sql RETURN thing;
CREATE FUNCTION shop_binding.row(shop_binding.address) RETURNS integer LANGUAGE sql RETURN $1.number;
SELECT shop_binding.define('shop_binding.unnamed'), shop_binding.define('shop_binding.only'), shop_binding.define('shop_binding.row');
CALL cano.orchestrate('shop_binding.unnamed', '{"a": 1}');
CALL cano.orchestrate('shop_binding.only', '{"thing": 1}');
CALL cano.orchestrate('shop_binding.row', '{"number": 7}');

-- INOUT, OUT, VARIADIC, STRICT, void
CREATE FUNCTION shop_binding.inout(INOUT a integer, OUT b text) LANGUAGE plpgsql AS 'BEGIN a := a + 1; b := ''B''; END';
CREATE FUNCTION shop_binding.variadic(a integer, VARIADIC rest text[]) RETURNS text LANGUAGE sql RETURN a || array_to_string(rest, ',');
CREATE FUNCTION shop_binding.strict(a integer) RETURNS integer LANGUAGE plpgsql STRICT AS 'BEGIN RAISE EXCEPTION ''called''; END';
CREATE FUNCTION shop_binding.void(a integer) RETURNS void LANGUAGE sql AS '';
SELECT shop_binding.define('shop_binding.inout'), shop_binding.define('shop_binding.variadic'), shop_binding.define('shop_binding.strict'), shop_binding.define('shop_binding.void');
CALL cano.orchestrate('shop_binding.inout', '{"a": 1}');
CALL cano.orchestrate('shop_binding.variadic', '{"a": 1, "rest": ["p", "q"]}');
CALL cano.orchestrate('shop_binding.strict', '{"a": null}');
CALL cano.orchestrate('shop_binding.void', '{"a": 1}');

-- Names are any text; argument types choose an overload
CREATE SCHEMA "We Ird";
CREATE FUNCTION "We Ird"."F""(x"(a integer) RETURNS text LANGUAGE sql RETURN 'integer';
CREATE FUNCTION "We Ird"."F""(x"(a text) RETURNS text LANGUAGE sql RETURN 'text';
SELECT shop_binding.define('"We Ird"."F""(x"(text)');
CALL cano.orchestrate('"We Ird"."F""(x"(text)', '{"a": 1}');
SELECT run FROM cano.states WHERE workflow LIKE '"We%' AND run IS NOT NULL;

-- A function that is replaced or moved to other types is found again, one that is gone is not
CREATE OR REPLACE FUNCTION shop_binding.only(thing jsonb) RETURNS jsonb LANGUAGE sql RETURN '"replaced"'::jsonb;
CALL cano.orchestrate('shop_binding.only');
DROP FUNCTION shop_binding.only;
CALL cano.orchestrate('shop_binding.only');
SELECT error ->> 'category' FROM cano.runs ORDER BY run_id DESC LIMIT 1;
CREATE FUNCTION shop_binding.only(thing json) RETURNS text LANGUAGE sql RETURN 'json';
CALL cano.orchestrate('shop_binding.only', '{"thing": 1}');
