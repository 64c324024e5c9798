-- After a task its session is as it was before.
\pset format unaligned
\pset tuples_only on
\set VERBOSITY terse
CREATE SCHEMA shop_scrub;
-- This session must be the one that runs them.
ALTER SYSTEM SET cano.enabled = off;
SELECT pg_reload_conf();

CREATE FUNCTION shop_scrub.session() RETURNS TABLE (what text, name text) LANGUAGE sql AS $$
	SELECT 'cursor', c.name FROM pg_cursors AS c WHERE c.name <> ''
	UNION ALL SELECT 'prepared', p.name FROM pg_prepared_statements AS p
	UNION ALL SELECT 'temporary', r.relname FROM pg_class AS r WHERE r.relnamespace = pg_my_temp_schema()
	UNION ALL SELECT 'temporary', f.proname FROM pg_proc AS f WHERE f.pronamespace = pg_my_temp_schema()
	UNION ALL SELECT 'lock', l.objid::text FROM pg_locks AS l WHERE l.locktype = 'advisory' AND l.pid = pg_backend_pid()
	UNION ALL SELECT 'channel', h FROM pg_listening_channels() AS h
	UNION ALL SELECT 'setting', current_setting('work_mem')
	UNION ALL SELECT 'role', (current_user = session_user)::text
	ORDER BY 1, 2
$$;

CREATE ROLE shop_other;
CREATE FUNCTION shop_scrub.dirty(fail boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	bound CURSOR FOR SELECT 1;
	named refcursor := 'named';
BEGIN
	OPEN bound;
	OPEN named FOR SELECT 2;
	EXECUTE 'DECLARE held CURSOR WITH HOLD FOR SELECT 3';
	EXECUTE 'PREPARE statement AS SELECT 1';
	PERFORM lo_open(lo_create(0), x'20000'::integer);
	CREATE TEMPORARY TABLE made (a integer PRIMARY KEY);
	INSERT INTO made VALUES (1);
	CREATE FUNCTION pg_temp.made() RETURNS integer LANGUAGE sql AS 'SELECT 1';
	PERFORM pg_advisory_lock(1), pg_advisory_lock(1), pg_advisory_lock_shared(2), pg_advisory_xact_lock(3);
	SET work_mem = '1MB';
	SET ROLE shop_other;
	IF fail THEN
		RESET ROLE;
		RAISE EXCEPTION 'failed';
	END IF;
END $$;
SELECT cano.define('dirty', cano.task('one', 'shop_scrub.dirty', next => 'two', retry => cano.none()),
	cano.task('two', 'shop_scrub.dirty', next => 'done', retry => cano.none()), cano.exit('done'));

-- An empty session stays empty, though the task runs twice in it
CALL cano.orchestrate('dirty', '{"fail": false}');
SELECT * FROM shop_scrub.session();
CALL cano.orchestrate('dirty', '{"fail": true}');
SELECT * FROM shop_scrub.session();

-- What the session has of its own stays
PREPARE mine AS SELECT 1;
CREATE TEMPORARY TABLE mine (a integer);
BEGIN;
DECLARE mine CURSOR WITH HOLD FOR SELECT 1;
COMMIT;
SELECT pg_advisory_lock(9);
LISTEN mine;
SET work_mem = '2MB';
CALL cano.orchestrate('dirty', '{"fail": false}');
SELECT * FROM shop_scrub.session();
FETCH mine;

-- LISTEN cannot be undone for a task alone
CREATE FUNCTION shop_scrub.listen() RETURNS void LANGUAGE plpgsql AS 'BEGIN LISTEN other; END';
SELECT cano.define('listen', cano.task('work', 'shop_scrub.listen', next => 'done', retry => cano.none()), cano.exit('done'));
CALL cano.orchestrate('listen');
LISTEN other;
SELECT name FROM shop_scrub.session() WHERE what = 'channel';
UNLISTEN *;

-- A deferred constraint that fails is its own task's error, and nobody else's
CREATE TABLE shop_scrub.unique_later (a integer UNIQUE DEFERRABLE INITIALLY DEFERRED);
CREATE FUNCTION shop_scrub.insert(a integer, b integer) RETURNS void LANGUAGE sql AS 'INSERT INTO shop_scrub.unique_later VALUES (a), (b)';
SELECT cano.define('deferred', cano.task('work', 'shop_scrub.insert', next => 'done', retry => cano.none()), cano.exit('done'));
SELECT count(*) FROM cano.submit_many('deferred', ARRAY['{"a": 1, "b": 2}', '{"a": 3, "b": 3}', '{"a": 4, "b": 5}']::jsonb[]);
CALL cano.work();
SELECT input, status, error ->> 'sqlstate' FROM cano.runs WHERE workflow = 'deferred' ORDER BY run_id;
SELECT array_agg(a ORDER BY a) FROM shop_scrub.unique_later;

-- SET CONSTRAINTS does not reach the next task
CREATE FUNCTION shop_scrub.immediate(a integer, b integer) RETURNS void LANGUAGE plpgsql AS 'BEGIN SET CONSTRAINTS ALL IMMEDIATE; END';
CREATE FUNCTION shop_scrub.swap() RETURNS void LANGUAGE sql AS 'UPDATE shop_scrub.unique_later SET a = 2 WHERE a = 1; UPDATE shop_scrub.unique_later SET a = 9 WHERE a = 2 AND ctid = (SELECT min(ctid) FROM shop_scrub.unique_later WHERE a = 2)';
SELECT cano.define('constraints', cano.task('one', 'shop_scrub.immediate', next => 'two', retry => cano.none()),
	cano.task('two', 'shop_scrub.swap', next => 'done', retry => cano.none()), cano.exit('done'));
CALL cano.orchestrate('constraints', '{"a": 6, "b": 7}');

-- Nothing of one task meets the next, in a worker either
ALTER SYSTEM RESET cano.enabled;
SELECT pg_reload_conf();
CREATE SEQUENCE shop_scrub.numbers;
CREATE FUNCTION shop_scrub.number() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN PERFORM setseed(0.5); RETURN nextval(''shop_scrub.numbers''); END';
CREATE FUNCTION shop_scrub.is_open(descriptor integer) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	RETURN lo_tell(descriptor) >= 0;
EXCEPTION WHEN undefined_object THEN
	RETURN false;
END $$;
CREATE FUNCTION shop_scrub.look() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	v_random float8 := random();
BEGIN
	PERFORM setseed(0.5);
	RETURN jsonb_build_object('random', v_random = random(), 'object', shop_scrub.is_open(0), 'session', (SELECT jsonb_agg(ARRAY[s.what, s.name]) FROM shop_scrub.session() AS s), 'last', lastval());
EXCEPTION WHEN object_not_in_prerequisite_state THEN
	RETURN jsonb_build_object('random', v_random = random(), 'object', shop_scrub.is_open(0), 'session', (SELECT jsonb_agg(ARRAY[s.what, s.name]) FROM shop_scrub.session() AS s));
END $$;
SELECT cano.define('look', cano.task('dirty', 'shop_scrub.dirty', next => 'number'), cano.task('number', 'shop_scrub.number', next => 'look'),
	cano.task('look', 'shop_scrub.look', next => 'done'), cano.exit('done'));
SELECT cano.submit('look', '{"fail": false}') AS run \gset
SELECT cano.wait(:run);
DROP ROLE shop_other;
