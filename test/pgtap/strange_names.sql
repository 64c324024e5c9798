-- Names and texts may be anything: quotes, SQL, formats, other scripts, twins
-- that differ in case.  Each comes back as it went in, and none is executed.
\ir lib/start.psql
SELECT plan(15);

CREATE SCHEMA t_names;
CREATE TABLE t_names.canary AS SELECT 'alive' AS is;
CREATE TABLE t_names.name (n serial, name text);
INSERT INTO t_names.name (name) VALUES
	('''; DROP TABLE t_names.canary; --'), ('"; DROP TABLE t_names.canary; --'), ('$$; DROP TABLE t_names.canary; $$'),
	('''); SELECT pg_terminate_backend(pg_backend_pid()); --'), ('\'), ('\''; DROP TABLE t_names.canary'), ('%s%I%L%1$s%n'), ('{}'), ('$1'), (':x'),
	('a.b'), ('a.b(c)'), ('/* '), ('--'), (' '), ('  x  '), (E'\t\n\r'), ('NULL'), ('null'), ('*'), ('%'), ('_'),
	('Twin'), ('twin'), ('TWIN'), ('ä€𝄞'), (U&'e\0301'), ('é'), (U&'\200B'), (U&'\202Egnp.exe'), (repeat('ü', 300)), (repeat('n', 63)), (repeat('n', 64));
CREATE FUNCTION t_names.rest() RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION t_names.fail(reason text) RETURNS cano.outcome LANGUAGE sql AS 'SELECT cano.failed(reason)';
-- All that a task may keep under a name or say by one.
CREATE FUNCTION t_names.keep(name text, idempotency_key text) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cano.put(name, to_jsonb(name)), cano.append(name || '+', to_jsonb(name)), cano.progress(1, 2, name);
	RETURN jsonb_build_object('keys', cano.keys(), 'get', cano.get(name), 'removed', cano.remove(name), 'left', cano.keys(),
		'state', cano.state(), 'resource', cano.resource(name), 'key', idempotency_key = cano.idempotency_key());
END $$;
CREATE FUNCTION t_names.observe(event jsonb) RETURNS void LANGUAGE sql AS '';

SELECT cano.create_breaker(name), cano.create_limiter(name, 100, '1 s', 100) FROM t_names.name \g /dev/null
SELECT cano.define(name, cano.task(name, 't_names.keep', next => name || '?', breaker => name, limiter => name, output_key => name),
	cano.receive(name || '?', name, next => name || '!', output_key => name || '?'), cano.exit(name || '!'),
	cano.options(start => name, log => 'all', resources => ARRAY[cano.with_resource(name, value => to_jsonb(name))])) FROM t_names.name \g /dev/null
SELECT cano.observe(name, 't_names.observe', workflow => name) FROM t_names.name \g /dev/null
CREATE TABLE t_names.run AS SELECT n, name, cano.submit(name, jsonb_build_object('name', name), key => name,
	headers => jsonb_build_object(name, name), tags => ARRAY[name]) AS id FROM t_names.name;
CALL cano.work();
SELECT is_empty('SELECT name FROM t_names.run WHERE NOT cano.signal(name, name, to_jsonb(name), name)', 'a signal finds its run by key and workflow');
CALL cano.work();

SELECT is_empty($$SELECT name, s.status, r.error FROM t_names.run AS x, cano.status(x.id) AS s JOIN cano.runs AS r USING (run_id) WHERE s.status <> 'completed'$$,
	'every run completes');
SELECT is_empty($$SELECT name FROM t_names.run AS x, cano.runs AS r WHERE r.run_id = x.id AND (r.workflow, r.key, r.state, r.headers, r.tags, r.input)
	IS DISTINCT FROM (name, name, name || '!', jsonb_build_object(name, name), ARRAY[name], jsonb_build_object('name', name))$$,
	'workflow, key, state, headers and tags are as they were given');
SELECT is_empty($$SELECT name, cano.result(id) -> name FROM t_names.run WHERE cano.result(id) -> name IS DISTINCT FROM jsonb_build_object('keys',
	(SELECT jsonb_agg(k ORDER BY k COLLATE "C") FROM unnest(ARRAY[name, name || '+']) AS k), 'get', name, 'removed', true,
	'left', ARRAY[name || '+'], 'state', name, 'resource', name, 'key', true)$$, 'so is what a task kept and asked for');
SELECT is_empty($$SELECT name FROM t_names.run WHERE cano.result(id) ->> (name || '?') IS DISTINCT FROM name$$, 'and what a signal brought');
SELECT is_empty($$SELECT name FROM t_names.name WHERE (SELECT count(*) FROM cano.breakers AS b WHERE b.name = t_names.name.name) <> 1
	OR (SELECT count(*) FROM cano.limiters AS b WHERE b.name = t_names.name.name) <> 1
	OR (SELECT count(*) FROM cano.observers AS b WHERE b.name = t_names.name.name) <> 1$$, 'breakers, limiters and observers have their names');
SELECT is_empty($$SELECT name FROM t_names.run AS x WHERE ARRAY(SELECT DISTINCT e.state FROM cano.events AS e WHERE e.run_id = x.id AND e.state IS NOT NULL
	ORDER BY 1) IS DISTINCT FROM ARRAY(SELECT name || s FROM unnest(ARRAY['', '?', '!']) AS s ORDER BY 1)$$, 'events name the states');
SELECT is((SELECT count(DISTINCT id) FROM t_names.run), (SELECT count(*) FROM t_names.name), 'twins are different names');

-- External work, and reasons
SELECT cano.define('t_names.external', cano.external('a', name, next => 'end'), cano.exit('end')), cano.submit('t_names.external') FROM t_names.name \g /dev/null
CALL cano.work();
SELECT is_empty($$SELECT n.name FROM t_names.name AS n, cano.take(n.name, 10) AS t WHERE NOT cano.fail(t.token, n.name, false)$$, 'work is taken from the queue of its name');
CALL cano.work();
SELECT set_eq($$SELECT error ->> 'message' FROM cano.runs WHERE workflow = 't_names.external'$$, 'SELECT name FROM t_names.name', 'and fails with the words of its client');
SELECT cano.define('t_names.fail', cano.task('a', 't_names.fail', next => 'end'), cano.exit('end')),
	cano.define('t_names.rest', cano.task('a', 't_names.rest', next => 'end'), cano.exit('end')) \g /dev/null
SELECT cano.submit('t_names.fail', jsonb_build_object('reason', name)), cano.cancel(cano.submit('t_names.rest'), name) FROM t_names.name \g /dev/null
CALL cano.work();
SELECT is_empty($$SELECT name FROM t_names.name AS n WHERE (SELECT count(*) FROM cano.runs AS r WHERE r.workflow = 't_names.fail' AND r.error ->> 'message' = n.name) <> 1
	OR (SELECT count(*) FROM cano.runs AS r WHERE r.workflow = 't_names.rest' AND r.cancel_reason = n.name) <> 1$$, 'reasons are recorded word for word');

-- Roles, schemas and functions
CREATE TABLE t_names.role AS SELECT name, left('t_names ' || name, 60) AS role FROM t_names.name
WHERE name IN ('''; DROP TABLE t_names.canary; --', '"; DROP TABLE t_names.canary; --', '\', '%s%I%L%1$s%n', 'Twin', 'twin', 'TWIN', 'ä€𝄞');
GRANT USAGE ON SCHEMA t_names TO PUBLIC;
CREATE TABLE t_names.seen (role text, n bigint);
GRANT INSERT ON t_names.seen TO PUBLIC;
DO $$
DECLARE
	v_role text;
BEGIN
	FOR v_role IN SELECT r.role FROM t_names.role AS r LOOP
		EXECUTE format('CREATE ROLE %I LOGIN', v_role);
		PERFORM cano.grant_usage(quote_ident(v_role)::regrole);
		EXECUTE format('CREATE SCHEMA %I AUTHORIZATION %1$I; CREATE FUNCTION %1$I.%1$I(%1$I text) RETURNS text LANGUAGE sql AS ''SELECT current_user::text''', v_role);
		EXECUTE format('SET ROLE %I', v_role);
		PERFORM cano.define(v_role, cano.task('a', format('%I.%1$I', v_role), next => 'end'), cano.exit('end'));
		PERFORM cano.submit(v_role, jsonb_build_object(v_role, ''));
		INSERT INTO t_names.seen SELECT v_role, count(*) FROM cano.runs;
		RESET ROLE;
	END LOOP;
END $$;
SELECT is_empty('SELECT role, n FROM t_names.seen WHERE n <> 1', 'every role sees its run, and none of its twins''');
SELECT string_agg(format(E'SET SESSION AUTHORIZATION %I;\nCALL cano.work();\nRESET SESSION AUTHORIZATION;', role), E'\n') AS work FROM t_names.role \gset
:work
SELECT is_empty($$SELECT t.role, r.error FROM t_names.role AS t LEFT JOIN cano.runs AS r ON r.workflow = t.role
	WHERE (r.role, r.result ->> 'a') IS DISTINCT FROM (t.role, t.role)$$, 'runs are had by those who submitted them, in functions of any name');

SELECT is((SELECT c.is FROM t_names.canary AS c), 'alive', 'nothing of all that was executed');
SELECT is((SELECT count(*) FROM cano._job) + (SELECT count(*) FROM cano._timer), 0::bigint, 'and nothing is left to do');

SELECT * FROM finish();
SET client_min_messages = error;
DO $$
DECLARE
	v_role text;
BEGIN
	FOR v_role IN SELECT r.role FROM t_names.role AS r LOOP
		PERFORM cano.revoke_usage(quote_ident(v_role)::regrole);
		EXECUTE format('DROP OWNED BY %I CASCADE; DROP ROLE %1$I', v_role);
	END LOOP;
END $$;
DROP SCHEMA t_names CASCADE;
