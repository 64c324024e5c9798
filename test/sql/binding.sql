-- Parameters are bound by name: reserved names, keys of the data, defaults.
\pset format unaligned
\pset tuples_only on
\set VERBOSITY terse
CREATE SCHEMA shop;
CREATE TYPE shop.address AS (street text, number integer);
CREATE DOMAIN shop.positive AS integer NOT NULL CHECK (VALUE > 0);
CREATE TYPE shop.color AS ENUM ('red', 'green');
-- A workflow of one task, with the name of its function.
CREATE FUNCTION shop.define(run text) RETURNS integer LANGUAGE sql AS $$
	SELECT cano.define(run, cano.task('work', run, next => 'done', output_key => 'out', retry => cano.none()), cano.exit('done')) $$;

-- Reserved names, converted to the types of the parameters
CREATE FUNCTION shop.reserved(workflow varchar, state text, attempt numeric, branch integer, data json, output jsonb, run_id text)
RETURNS jsonb LANGUAGE sql
RETURN jsonb_build_array(workflow, state, attempt, branch, data, output, run_id IS NOT NULL);
SELECT shop.define('shop.reserved');
CALL cano.orchestrate('shop.reserved', '{"state": "not me"}');
CREATE FUNCTION shop.input(input shop.address, extra integer) RETURNS text LANGUAGE sql RETURN (input).street;
SELECT shop.define('shop.input');
CALL cano.orchestrate('shop.input', '{"street": "High", "extra": 1}');

-- Keys of the data, as jsonb_populate_record converts them
CREATE FUNCTION shop.types(i integer, t text, n numeric, b boolean, d date, j jsonb, a integer[], r shop.address, c shop.color, p shop.positive)
RETURNS text LANGUAGE sql
RETURN concat_ws(' ', i, t, n, b, to_char(d, 'YYYY-MM-DD'), j, a, r, c, p);
SELECT shop.define('shop.types');
CALL cano.orchestrate('shop.types', '{"i": 1, "t": {"x": 1}, "n": 1.50, "b": true, "d": "2030-01-31", "j": [1], "a": [1, 2], "r": {"street": "s", "number": 5}, "c": "red", "p": 4}');
CALL cano.orchestrate('shop.types', '{"i": null, "t": null, "n": null, "b": null, "d": null, "j": null, "a": null, "r": null, "c": null, "p": 4}');
CALL cano.orchestrate('shop.types', '{"i": null, "t": null, "n": null, "b": null, "d": null, "j": null, "a": null, "r": null, "c": null, "p": 0}');
CALL cano.orchestrate('shop.types', '{"i": "x", "t": null, "n": null, "b": null, "d": null, "j": null, "a": null, "r": null, "c": null, "p": 4}');

-- A key that is absent is the default; one that is null is null
CREATE FUNCTION shop.defaults(a integer, b integer DEFAULT 10, c text DEFAULT upper('c'), d float8 DEFAULT random())
RETURNS jsonb LANGUAGE sql RETURN jsonb_build_array(a, b, c, d BETWEEN 0 AND 1);
SELECT shop.define('shop.defaults');
CALL cano.orchestrate('shop.defaults', '{"a": 1}');
CALL cano.orchestrate('shop.defaults', '{"a": 1, "b": null}');
CALL cano.orchestrate('shop.defaults', '{"a": 1, "c": "x", "d": 7}');

-- A parameter that is neither fails, once, and is named
CALL cano.orchestrate('shop.defaults', '{"b": 1}');
SELECT error ->> 'category', error ->> 'sqlstate' FROM cano.runs ORDER BY run_id DESC LIMIT 1;

-- The only parameter, unnamed or jsonb, is the data
CREATE FUNCTION shop.unnamed(jsonb) RETURNS jsonb LANGUAGE sql RETURN $1;
CREATE FUNCTION shop.only(thing jsonb) RETURNS jsonb LANGUAGE sql RETURN thing;
CREATE FUNCTION shop.row(shop.address) RETURNS integer LANGUAGE sql RETURN $1.number;
SELECT shop.define('shop.unnamed'), shop.define('shop.only'), shop.define('shop.row');
CALL cano.orchestrate('shop.unnamed', '{"a": 1}');
CALL cano.orchestrate('shop.only', '{"thing": 1}');
CALL cano.orchestrate('shop.row', '{"number": 7}');

-- INOUT, OUT, VARIADIC, STRICT, void
CREATE FUNCTION shop.inout(INOUT a integer, OUT b text) LANGUAGE plpgsql AS 'BEGIN a := a + 1; b := ''B''; END';
CREATE FUNCTION shop.variadic(a integer, VARIADIC rest text[]) RETURNS text LANGUAGE sql RETURN a || array_to_string(rest, ',');
CREATE FUNCTION shop.strict(a integer) RETURNS integer LANGUAGE plpgsql STRICT AS 'BEGIN RAISE EXCEPTION ''called''; END';
CREATE FUNCTION shop.void(a integer) RETURNS void LANGUAGE sql AS '';
SELECT shop.define('shop.inout'), shop.define('shop.variadic'), shop.define('shop.strict'), shop.define('shop.void');
CALL cano.orchestrate('shop.inout', '{"a": 1}');
CALL cano.orchestrate('shop.variadic', '{"a": 1, "rest": ["p", "q"]}');
CALL cano.orchestrate('shop.strict', '{"a": null}');
CALL cano.orchestrate('shop.void', '{"a": 1}');

-- Names are any text; argument types choose an overload
CREATE SCHEMA "We Ird";
CREATE FUNCTION "We Ird"."F""(x"(a integer) RETURNS text LANGUAGE sql RETURN 'integer';
CREATE FUNCTION "We Ird"."F""(x"(a text) RETURNS text LANGUAGE sql RETURN 'text';
SELECT shop.define('"We Ird"."F""(x"(text)');
CALL cano.orchestrate('"We Ird"."F""(x"(text)', '{"a": 1}');
SELECT run FROM cano.states WHERE workflow LIKE '"We%' AND run IS NOT NULL;

-- A function that is replaced or moved to other types is found again, one that is gone is not
CREATE OR REPLACE FUNCTION shop.only(thing jsonb) RETURNS jsonb LANGUAGE sql RETURN '"replaced"'::jsonb;
CALL cano.orchestrate('shop.only');
DROP FUNCTION shop.only;
CALL cano.orchestrate('shop.only');
SELECT error ->> 'category' FROM cano.runs ORDER BY run_id DESC LIMIT 1;
CREATE FUNCTION shop.only(thing json) RETURNS text LANGUAGE sql RETURN 'json';
CALL cano.orchestrate('shop.only', '{"thing": 1}');
