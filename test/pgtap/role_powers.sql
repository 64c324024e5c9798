-- Powers that a role may have elsewhere: none of them makes it another role
-- here, and what it loses it has lost at its next step.
\ir lib/start.psql
SELECT plan(24);

CREATE SCHEMA t_power;
CREATE TABLE t_power.secret AS SELECT 'sesame' AS word;
CREATE ROLE t_power_alice LOGIN;
CREATE ROLE t_power_bob LOGIN CREATEROLE CREATEDB BYPASSRLS REPLICATION
	IN ROLE pg_write_all_data, pg_read_all_data, pg_signal_backend, pg_monitor, pg_checkpoint;
CREATE ROLE t_power_team;
GRANT t_power_team TO t_power_alice;
SELECT cano.grant_usage('t_power_alice'), cano.grant_usage('t_power_bob') \g /dev/null
GRANT USAGE, CREATE ON SCHEMA t_power TO t_power_alice, t_power_bob;
GRANT SELECT ON t_power.secret TO t_power_team;

SET SESSION AUTHORIZATION t_power_alice;
CREATE FUNCTION t_power.look() RETURNS text LANGUAGE sql AS 'SELECT current_user || '' '' || word FROM t_power.secret';
SELECT cano.define('t_power', cano.receive('wait', 'go', next => 'look'), cano.task('look', 't_power.look', next => 'end', retry => cano.none()),
	cano.exit('end')) AS v \gset
SELECT cano.submit('t_power', key => 'a') AS run \gset
CALL cano.work();
RESET SESSION AUTHORIZATION;

-- A role with every power but that of a superuser
SET SESSION AUTHORIZATION t_power_bob;
SELECT throws_ok(format(sql, :run), '42501', NULL, 'refused: ' || sql) FROM unnest(ARRAY[
	'UPDATE cano._run SET owner = 10 WHERE id = %s', 'INSERT INTO cano._signal VALUES (%s, ''go'', 1, now(), NULL)',
	'DELETE FROM cano._checkpoint WHERE run = %s', 'INSERT INTO cano._stop VALUES (%s, 1, now(), '''')',
	'UPDATE cano._definition SET owner = 10', 'UPDATE cano._job SET owner = 10', 'UPDATE cano._timer SET due_at = now()', 'TRUNCATE cano._run',
	'DELETE FROM cano.observers', 'UPDATE cano.limiters SET rate = 1',
	'MERGE INTO cano._signal AS s USING (SELECT 1) AS x ON false WHEN NOT MATCHED THEN INSERT VALUES (%s, ''go'', 1, now(), NULL)',
	'SELECT cano.grant_usage(''t_power_bob'')', 'SELECT cano.adopt()', 'ALTER FUNCTION cano.submit OWNER TO t_power_bob',
	'ALTER TABLE cano._run DISABLE TRIGGER _guard', 'DROP EXTENSION cano']) AS sql;
SELECT is((SELECT count(*) FROM cano.runs), 0::bigint, 'it sees nothing of others in the views');
SELECT is(cano.cancel(:run), cano.cancel(4242424242), 'nor can it cancel their runs');
-- Twins of a name
CREATE ROLE "T_POWER_ALICE" LOGIN;
CREATE ROLE "t_power_alice " LOGIN;
RESET SESSION AUTHORIZATION;
SELECT cano.grant_usage('"T_POWER_ALICE"'), cano.grant_usage('"t_power_alice "') \g /dev/null
SET SESSION AUTHORIZATION "T_POWER_ALICE";
SELECT is((SELECT count(*) FROM cano.runs), 0::bigint, 'whoever has nearly the same name sees nothing');
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION "t_power_alice ";
SELECT is((SELECT count(*) FROM cano.runs), 0::bigint, 'nor does one with a blank behind it');
SELECT throws_ok($$SELECT cano.define('t_power', cano.exit('end'))$$, '42501', NULL, 'or may redefine what is not its own');
RESET SESSION AUTHORIZATION;

-- What is lost on the way
SET SESSION AUTHORIZATION t_power_alice;
SELECT cano.submit('t_power', key => 'b') AS second, cano.signal('a', 'go') AS x \gset
CALL cano.work();
RESET SESSION AUTHORIZATION;
SELECT is(cano.result(:run) ->> 'look', 't_power_alice sesame', 'a membership counts');
REVOKE t_power_team FROM t_power_alice;
SET SESSION AUTHORIZATION t_power_alice;
SELECT cano.submit('t_power', key => 'c') AS third, cano.signal('b', 'go') AS x \gset
CALL cano.work();
RESET SESSION AUTHORIZATION;
SELECT is(pg_temp.error(:second, 'sqlstate'), '42501', 'one that is lost before a step does not count in it');
GRANT t_power_team TO t_power_alice;
ALTER FUNCTION t_power.look() OWNER TO t_power_bob;
REVOKE EXECUTE ON FUNCTION t_power.look() FROM PUBLIC;
SET SESSION AUTHORIZATION t_power_alice;
SELECT cano.signal('c', 'go') AS x \gset
CALL cano.work();
RESET SESSION AUTHORIZATION;
SELECT is(pg_temp.error(:third, 'sqlstate') || ' ' || pg_temp.error(:third, 'message'), '42501 permission denied for function t_power.look()',
	'nor does EXECUTE');

SELECT * FROM finish();
SET client_min_messages = error;
DROP SCHEMA t_power CASCADE;
SELECT cano.revoke_usage(r.oid) FROM pg_roles AS r WHERE r.rolname ILIKE 't_power_alice%' OR r.rolname = 't_power_bob' \g /dev/null
DROP OWNED BY t_power_alice, t_power_bob, "T_POWER_ALICE", "t_power_alice ";
DROP ROLE t_power_alice, t_power_bob, t_power_team, "T_POWER_ALICE", "t_power_alice ";
