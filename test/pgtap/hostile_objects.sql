-- Operators, functions and tables that somebody plants for the engine's own
-- statements to fall into: none of them is ever used.
\ir lib/start.psql
SELECT plan(8);

CREATE SCHEMA t_trap;
CREATE ROLE t_trap_user LOGIN;
SELECT cano.grant_usage('t_trap_user') \g /dev/null
GRANT ALL ON SCHEMA t_trap TO t_trap_user;

SET SESSION AUTHORIZATION t_trap_user;
-- Whatever is resolved by the search_path raises.
DO $do$
DECLARE
	v_type text;
	v_operator text;
	v_function text;
BEGIN
	FOREACH v_type IN ARRAY ARRAY['bigint', 'integer', 'text', 'oid', 'timestamptz', 'jsonb', 'boolean', '"char"', 'name', 'bigint[]', 'xid', 'interval'] LOOP
		EXECUTE format($f$CREATE FUNCTION t_trap.trap(%s, %1$s) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE ''trapped''; END'$f$, v_type);
		FOREACH v_operator IN ARRAY ARRAY['=', '<>', '<', '<=', '>', '>=', '+', '-', '||', '~~'] LOOP
			EXECUTE format('CREATE OPERATOR t_trap.%s (LEFTARG = %s, RIGHTARG = %2$s, FUNCTION = t_trap.trap)', v_operator, v_type);
		END LOOP;
	END LOOP;
	FOREACH v_function IN ARRAY ARRAY['min(bigint)', 'max(bigint)', 'min(integer)', 'max(timestamptz)', 'min(timestamptz)', 'array_agg(bigint)', 'now()',
		'clock_timestamp()', 'nextval(regclass)', 'nextval(text)', 'unnest(bigint[])', 'unnest(text[])', 'unnest(jsonb[])', 'to_jsonb(text)', 'to_jsonb(jsonb)',
		'jsonb_agg(jsonb)', 'jsonb_build_object(text, text)', 'jsonb_array_elements(jsonb)', 'jsonb_each(jsonb)', 'pg_get_userbyid(oid)', 'cardinality(bigint[])',
		'generate_series(integer, integer)', 'current_database()', 'array_position(text[], text)', 'string_agg(text, text)', 'count(bigint)', 'row_number()',
		'_can_see(oid, name, bigint)', 'run_id()', 'state()', 'submit(text)', 'sum(bigint)', 'greatest(bigint, bigint)', 'md5(text)'] LOOP
		EXECUTE format($f$CREATE FUNCTION t_trap.%s RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RAISE ''trapped''; END'$f$, v_function);
	END LOOP;
	-- Of the same name as what the engine writes to.
	FOREACH v_type IN ARRAY ARRAY['_run', '_job', '_timer', '_checkpoint', '_event', '_key', 'runs', 'pg_class', 'pg_proc', 'pg_authid', 'pg_roles'] LOOP
		EXECUTE format('CREATE TEMP TABLE %I (id bigint, owner oid, run bigint)', v_type);
		EXECUTE format('CREATE TABLE t_trap.%I (id bigint, owner oid, run bigint)', v_type);
	END LOOP;
	CREATE DOMAIN pg_temp.bigint AS integer CHECK (VALUE < 0);
	CREATE DOMAIN pg_temp.jsonb AS text;
	CREATE TYPE t_trap.outcome AS (what text);
END $do$;
-- Tasks step into it, too, and leave it behind.
CREATE FUNCTION t_trap.work(fail boolean DEFAULT false) RETURNS pg_catalog.jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_catalog.set_config('search_path', 't_trap, pg_temp, pg_catalog', false);
	PERFORM cano.put('k', '1'), cano.append('l', '2'), cano.get('k'), cano.keys(), cano.remove('k');
	IF fail THEN RAISE 'failed'; END IF;
	RETURN '{"worked": true}';
END $$;
CREATE FUNCTION t_trap.loads() RETURNS SETOF integer LANGUAGE sql AS 'VALUES (1), (2)';
CREATE FUNCTION t_trap.item(item integer) RETURNS integer LANGUAGE sql AS 'SELECT item';
CREATE FUNCTION t_trap.sees(event pg_catalog.jsonb) RETURNS void LANGUAGE sql AS '';

SELECT current_setting('search_path') AS plain \gset
SET search_path = t_trap, pg_temp, pg_catalog;
\set ON_ERROR_STOP 0
SELECT id = id FROM (SELECT 1::pg_catalog.int8 AS id) AS x;
\set trap :LAST_ERROR_MESSAGE
\set ON_ERROR_STOP 1
SELECT cano.define('t_trap', cano.task('a', 't_trap.work', compensate => 't_trap.work', next => 'b', retry => cano.fixed(1, '0')),
	cano.receive('b', 'go', next => 'c'), cano.split('c', '{t_trap.work,t_trap.work}'::pg_catalog.text[], next => 'd'),
	cano.batch('d', load => 't_trap.loads', process => 't_trap.item', next => 'e'), cano.child('e', 't_trap.child', next => 'f'),
	cano.external('f', 't_trap', next => 'end'), cano.exit('end'), cano.options(log => 'all', concurrency => 9, on_end => 't_trap.work')),
	cano.define('t_trap.child', cano.task('a', 't_trap.work', next => 'end'), cano.exit('end')), cano.observe('t_trap', 't_trap.sees') \g /dev/null
SELECT cano.submit('t_trap', key => 'k') AS run, cano.submit('t_trap', '{"fail": true}') AS fails, cano.submit('t_trap') AS cancelled \gset
SELECT cano.submit_many('t_trap.child', '{"{}"}') AS many \gset
CALL cano.work();
SELECT cano.signal('k', 'go') AS x, cano.cancel(:cancelled) AS y \gset
CALL cano.work();
SELECT cano.complete(t.token) AS x FROM cano.take('t_trap') AS t \gset
CALL cano.work();
SELECT cano.resume(:fails, data => '{"fail": false}') AS x, cano.cancel(:fails) AS y \gset
CALL cano.work();
SELECT cano.wait(:run, '0') AS result, cano.unobserve('t_trap') AS x \gset
-- The views, whole.
SELECT r.run_id AS x FROM cano.runs AS r LIMIT 1 \gset
SELECT pg_catalog.string_agg(pg_catalog.format('SELECT 1 FROM cano.%I LIMIT 0', c.relname), '; ') AS views FROM pg_catalog.pg_class AS c
WHERE c.relnamespace OPERATOR(pg_catalog.=) 'cano'::pg_catalog.regnamespace AND c.relkind OPERATOR(pg_catalog.=) 'v' AND c.relname OPERATOR(pg_catalog.!~~) '\_%' \gset
:views;
SELECT pg_catalog.set_config('search_path', :'plain', false) AS x \gset
SELECT is(:'trap'::text, 'trapped', 'what resolves a name by the search_path is trapped');
SELECT is(:'result'::text, '{"c": [{"worked": true}, {"worked": true}], "d": [{"ok": 1}, {"ok": 2}], "worked": true}', 'a run goes through all kinds of states');
SELECT is((SELECT string_agg(DISTINCT status, ' ') FROM cano.runs), 'cancelled completed', 'every run ends as it should');
SELECT is((SELECT string_agg(message, ' ') FROM cano.attempts WHERE message <> 'failed'), NULL, 'nothing but what was told to fails');
SELECT is((SELECT count(*) FROM pg_temp._run) + (SELECT count(*) FROM t_trap._run) + (SELECT count(*) FROM pg_temp._event), 0::int8,
	'nothing went into tables of the same names');
RESET SESSION AUTHORIZATION;

-- An administrator with such a path
SET search_path = t_trap, pg_catalog;
SELECT cano.grant_usage('t_trap_user'), cano.adopt() AS adopted, cano.submit('t_trap.child') AS run \gset
CALL cano.work();
SELECT cano.wait(:run, '0') AS result \gset
RESET search_path;
SELECT is(:'result'::text, '{"worked": true}', 'an administrator does not step into it either');
SELECT is(:adopted::text, '0', 'nor does he with what is his alone');
SELECT ok(has_function_privilege('t_trap_user', 'cano.cancel(bigint, text)', 'EXECUTE'), 'rights are given to the right functions');

SELECT * FROM finish();
SET client_min_messages = error;
DROP SCHEMA t_trap CASCADE;
SELECT cano.revoke_usage('t_trap_user') \g /dev/null
DROP OWNED BY t_trap_user CASCADE;
DROP ROLE t_trap_user;
