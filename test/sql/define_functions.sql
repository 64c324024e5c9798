-- Which functions are refused, and why.
\pset format unaligned
\pset tuples_only on
CREATE SCHEMA shop_functions;
SET search_path = shop_functions, public;
-- What becomes of a workflow of that state.
CREATE FUNCTION refusal(part jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v_message text;
	v_detail text;
	v_hint text;
BEGIN
	RETURN 'accepted as ' || cano.define('w_define_functions', part, cano.exit('done'));
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS v_message = MESSAGE_TEXT, v_detail = PG_EXCEPTION_DETAIL, v_hint = PG_EXCEPTION_HINT;
	RETURN sqlstate || ' ' || concat_ws(' | ', v_message, nullif(v_detail, ''), nullif(v_hint, ''));
END $$;
CREATE FUNCTION task(run text) RETURNS text LANGUAGE sql AS $$
	SELECT shop_functions.refusal(cano.task('a', run, next => 'done')) $$;

-- What is no function
CREATE PROCEDURE a_procedure() LANGUAGE sql AS '';
CREATE AGGREGATE an_aggregate(integer) (sfunc = int4pl, stype = integer);
CREATE FUNCTION a_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION an_event_trigger() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION a_set() RETURNS SETOF integer LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION pg_temp.temporary() RETURNS void LANGUAGE sql AS '';
SELECT task('a_procedure');
SELECT task('an_aggregate');
SELECT task('an_aggregate(integer)');
SELECT task('pg_catalog.rank()');
SELECT task('a_trigger');
SELECT task('an_event_trigger');
SELECT task('a_set');
SELECT task('pg_temp.temporary');

-- What there is not, or not once
CREATE FUNCTION twice(a integer) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION twice(a text) RETURNS void LANGUAGE sql AS '';
SELECT task('nothing');
SELECT task('nothing()');
SELECT task('nowhere.nothing');
SELECT task('twice');
SELECT task('twice(date)');
SELECT task('twice(nothing)');
SELECT task('a.b.c');
SELECT task('a_set(');
SELECT task('"a');
SELECT task(' ');

-- What it returns
CREATE FUNCTION returns_any(a anyelement) RETURNS anyelement LANGUAGE sql AS 'SELECT a';
CREATE FUNCTION returns_cstring() RETURNS cstring LANGUAGE internal AS 'pgsql_version';
CREATE FUNCTION returns_number() RETURNS integer LANGUAGE sql RETURN 1;
CREATE FUNCTION returns_time() RETURNS timestamp LANGUAGE sql RETURN '2030-01-01'::timestamp;
SELECT task('returns_any');
SELECT task('returns_cstring');
SELECT refusal(cano.router('a', 'returns_number', targets => ARRAY['done']));
SELECT refusal(cano.timer('a', run => 'returns_time', next => 'done'));
SELECT refusal(cano.batch('a', 'returns_number', 'returns_number', next => 'done'));

-- What it is given
CREATE FUNCTION two_unnamed(integer, text) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION one_unnamed(a integer, text) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION takes_any(a anyelement) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION takes_any_array(a anyarray) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION takes_when(attempt date) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION takes_number(integer) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION takes_input(input integer, more text) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION takes_data(data point) RETURNS void LANGUAGE sql AS '';
SELECT task('two_unnamed');
SELECT task('one_unnamed');
SELECT task('takes_any');
SELECT task('takes_any_array');
SELECT task('takes_when');
SELECT task('takes_number');
SELECT task('takes_input');
SELECT task('takes_data');

-- An object may become a text, a row or json.
CREATE DOMAIN short AS varchar(100);
CREATE TYPE pair AS (a integer, b integer);
CREATE FUNCTION takes_text(data text) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION takes_domain(short) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION takes_row(pair) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION takes_json(input json) RETURNS void LANGUAGE sql AS '';
SELECT task(f) FROM unnest(ARRAY['takes_text', 'takes_domain', 'takes_row', 'takes_json']) AS f;

-- Observers, and the health of resources
CREATE FUNCTION observes_number(n integer) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION health_of(what text) RETURNS boolean LANGUAGE sql RETURN true;
SELECT cano.observe('o', 'observes_number');
SELECT refusal(cano.options(resources => ARRAY[cano.with_resource('r', health => 'health_of')]));

-- What the definer must not execute
CREATE ROLE regress_cano_functions;
SELECT cano.grant_usage('regress_cano_functions');
GRANT USAGE ON SCHEMA shop_functions TO regress_cano_functions;
CREATE FUNCTION mine() RETURNS void LANGUAGE sql AS '';
REVOKE EXECUTE ON FUNCTION mine() FROM PUBLIC;
CREATE SCHEMA shop_hidden;
CREATE FUNCTION shop_hidden.f() RETURNS void LANGUAGE sql AS '';
SET ROLE regress_cano_functions;
SELECT task('shop_functions.mine');
SELECT task('shop_hidden.f');
SELECT task('shop_hidden.nothing');
SELECT cano.observe('o', 'shop_functions.mine');
RESET ROLE;

SET client_min_messages = warning;
DROP SCHEMA shop_hidden CASCADE;
DROP OWNED BY regress_cano_functions;
DROP ROLE regress_cano_functions;
DROP SCHEMA shop_functions CASCADE;
