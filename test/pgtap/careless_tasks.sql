-- What a task should not do fails it, and nothing else: the session, the runs
-- beside it and its own next state are none the worse.
\ir lib/start.psql
SELECT plan(12);

CREATE SCHEMA t_careless;
CREATE ROLE t_careless_user LOGIN;
SELECT cano.grant_usage('t_careless_user') \g /dev/null
GRANT USAGE, CREATE ON SCHEMA t_careless TO t_careless_user;
SET ROLE t_careless_user;
CREATE TABLE t_careless.t (x int);
CREATE TABLE t_careless.act (n serial, code text, sql text);
INSERT INTO t_careless.act (code, sql) VALUES
	('0A000', 'COMMIT'), ('0A000', 'ROLLBACK'), ('2D000', 'DO $d$ BEGIN COMMIT; END $d$'), ('2D000', 'DO $d$ BEGIN ROLLBACK; END $d$'), ('0A000', 'BEGIN'), ('0A000', 'SAVEPOINT s'), ('0A000', 'PREPARE TRANSACTION ''x'''),
	('0A000', 'LISTEN x'), ('0A000', 'UNLISTEN *'), ('25001', 'VACUUM t_careless.t'), ('25001', 'DISCARD ALL'), ('25001', 'CREATE INDEX CONCURRENTLY ON t_careless.t (x)'),
	('0A000', 'COPY t_careless.t TO STDOUT'), ('0A000', 'COPY t_careless.t FROM STDIN'), ('42501', 'COPY t_careless.t FROM PROGRAM ''true'''),
	('42501', 'COPY t_careless.t TO ''/tmp/x'''), ('25001', 'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE'), ('42501', 'SET session_replication_role = replica'),
	('25001', 'ALTER SYSTEM SET work_mem = ''1MB'''), ('2D000', 'CALL cano.work()'), ('2D000', 'CALL cano.orchestrate(''t_careless.quiet'')'),
	('54001', 'SELECT t_careless.deep(1)'), ('22012', 'SELECT 1 / 0'), ('54000', 'SELECT repeat(''x'', 2000000000)'),
	('42501', 'SELECT FROM cano.runs FOR UPDATE'), ('42501', 'CREATE TABLE cano.x ()'), ('XX000', 'SELECT t_careless.internal()'), ('P0004', 'DO $d$ BEGIN ASSERT false; END $d$'),
	('42501', 'SET ROLE pg_monitor'), ('42501', 'SET SESSION AUTHORIZATION pg_monitor'), ('57014', 'DO $d$ BEGIN RAISE query_canceled; END $d$'),
	('00000', 'SET TRANSACTION READ ONLY'), ('00000', 'NOTIFY x, ''y'''), ('00000', 'DISCARD PLANS'), ('00000', 'DISCARD SEQUENCES'), ('00000', 'LOCK TABLE t_careless.t'),
	('00000', 'SELECT inet_client_addr(), inet_server_addr(), pg_blocking_pids(pg_backend_pid()), lo_unlink(lo_create(0))'), ('00000', 'SELECT pg_cancel_backend(0)'),
	('00000', 'DECLARE c CURSOR WITH HOLD FOR SELECT 1'), ('00000', 'SELECT * FROM pg_stat_ssl, pg_stat_gssapi, pg_stat_activity, pg_locks');
CREATE FUNCTION t_careless.deep(n int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN t_careless.deep(n + 1) + 1; END';
CREATE FUNCTION t_careless.internal() RETURNS void LANGUAGE plpgsql AS 'BEGIN RAISE ''inside'' USING ERRCODE = ''XX000''; END';
CREATE FUNCTION t_careless.quiet() RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION t_careless.does(act text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t_careless.t VALUES (1);
	EXECUTE act;
END $$;
-- The next state finds a session as it should be, and can write.
CREATE FUNCTION t_careless.after() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t_careless.t VALUES (2);
	RETURN concat_ws(' ', current_user, current_setting('transaction_isolation'), current_setting('transaction_read_only'), (SELECT count(*) FROM pg_cursors AS c WHERE c.name = 'c'));
END $$;
SELECT cano.define('t_careless', cano.task('a', 't_careless.does', next => 'b', retry => cano.none()), cano.task('b', 't_careless.after', next => 'end'), cano.exit('end')),
	cano.define('t_careless.quiet', cano.task('a', 't_careless.quiet', next => 'end'), cano.exit('end')) \g /dev/null
CREATE TABLE t_careless.run AS SELECT n, cano.submit('t_careless', jsonb_build_object('act', sql)) AS id, cano.submit('t_careless.quiet') AS beside FROM t_careless.act;
CALL cano.work();
SELECT is(current_user, 't_careless_user', 'the session is who it was');
SELECT is_empty($$SELECT c.sql, r.status, r.error FROM t_careless.run AS x JOIN t_careless.act AS c USING (n) JOIN cano.runs AS r ON r.run_id = x.id
	WHERE coalesce(r.error ->> 'sqlstate', '00000') NOT LIKE c.code || '%'$$, 'each act ends as it should');
SELECT is_empty($$SELECT c.sql, r.result FROM t_careless.run AS x JOIN t_careless.act AS c USING (n) JOIN cano.runs AS r ON r.run_id = x.id
	WHERE r.status = 'completed' AND r.result ->> 'b' <> 't_careless_user read committed off 0'$$, 'after those that are allowed the next state is as always');
SELECT is((SELECT count(*) FROM t_careless.run AS x JOIN cano.runs AS r ON r.run_id = x.beside WHERE r.status <> 'completed'), 0::bigint, 'no run beside them fails');
SELECT is((SELECT count(*) FROM t_careless.t), 2 * (SELECT count(*) FROM t_careless.act WHERE code = '00000'), 'what failed has no effects');

-- Words of any size and kind
CREATE FUNCTION t_careless.says() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. 20000 LOOP
		RAISE NOTICE 'notice %', i;
		BEGIN
			RAISE 'caught';
		EXCEPTION WHEN raise_exception THEN NULL;
		END;
	END LOOP;
	RAISE EXCEPTION '% %%s %%n $1 % %', repeat('ä', 1000000), E'\x01\x1b[31m\r\n', U&'\202E\FEFF' USING DETAIL = '', HINT = '{"}', ERRCODE = 'ZZZZZ', COLUMN = 'x', TABLE = repeat('t', 1000);
END $$;
SELECT cano.define('t_careless.says', cano.task('a', 't_careless.says', next => 'end', retry => cano.none()), cano.exit('end')) AS v \gset
SELECT cano.submit('t_careless.says') AS run \gset
SET client_min_messages = error;
CALL cano.work();
SET client_min_messages = warning;
SELECT is(pg_temp.error(:run, 'sqlstate'), 'ZZZZZ', 'a task may raise what it likes');
SELECT cmp_ok(octet_length(pg_temp.error(:run, 'message')), '<', 10000, 'its message is cut');
SELECT is((SELECT count(*) FROM cano.events WHERE run_id = :run), (SELECT count(*) FROM cano.events WHERE run_id = (SELECT min(id) FROM t_careless.run)), 'and its notices are no events');

-- One that will not be interrupted
CREATE FUNCTION t_careless.stubborn() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		PERFORM pg_sleep(60); -- lasts: until it is interrupted
	EXCEPTION WHEN query_canceled THEN NULL;
	END;
	INSERT INTO t_careless.t VALUES (3);
END $$;
SELECT cano.define('t_careless.stubborn', cano.task('a', 't_careless.stubborn', next => 'end', retry => cano.none(), timeout => '100 ms'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_careless.stubborn') AS run \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category'), 'timeout', 'a task that traps its interruption has taken too long all the same');
SELECT is((SELECT count(*) FROM t_careless.t WHERE x = 3), 0::bigint, 'and nothing of it is kept');

RESET ROLE;
SELECT is((SELECT count(*) FROM cano._job) + (SELECT count(*) FROM cano._timer), 0::bigint, 'nothing is left to do');
SELECT is((SELECT count(*) FROM cano.activity), 0::bigint, 'nobody is thought to work');

SELECT * FROM finish();
DROP SCHEMA t_careless CASCADE;
SELECT cano.revoke_usage('t_careless_user') \g /dev/null
DROP OWNED BY t_careless_user;
DROP ROLE t_careless_user;
