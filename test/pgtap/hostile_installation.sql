-- CREATE EXTENSION in a database where somebody has been before: it takes over
-- nothing of his, or fails.  And event triggers see what an administrator does,
-- not what runs do.
\ir lib/start.psql
SELECT plan(15);

CREATE ROLE t_install_mallory LOGIN;
SELECT format('GRANT CREATE ON DATABASE %I TO t_install_mallory', current_database()) AS sql \gset
:sql;
DROP EXTENSION cano;

-- What mallory makes first
SET SESSION AUTHORIZATION t_install_mallory;
SELECT throws_ok('CREATE EXTENSION cano', '42501', NULL, 'only a superuser may install it');
CREATE SCHEMA cano;
RESET SESSION AUTHORIZATION;
SELECT throws_ok('CREATE EXTENSION cano', '42P06', NULL, 'a schema of its name is not adopted');
SELECT throws_ok('CREATE EXTENSION cano SCHEMA cano', NULL, NULL, 'nor if one insists');
CREATE SCHEMA t_install;
SELECT throws_ok('CREATE EXTENSION cano SCHEMA t_install', NULL, NULL, 'and it goes nowhere else');
ALTER SCHEMA cano RENAME TO t_install_squat;
GRANT USAGE, CREATE ON SCHEMA t_install_squat TO PUBLIC;

SET SESSION AUTHORIZATION t_install_mallory;
CREATE TABLE t_install_squat.fallen (who text);
GRANT INSERT ON t_install_squat.fallen TO PUBLIC;
CREATE FUNCTION t_install_squat.fall(text, text) RETURNS boolean LANGUAGE plpgsql AS
	'BEGIN INSERT INTO t_install_squat.fallen VALUES (current_user); RETURN true; END';
CREATE FUNCTION t_install_squat.fall(oid, oid) RETURNS boolean LANGUAGE plpgsql AS
	'BEGIN INSERT INTO t_install_squat.fallen VALUES (current_user); RETURN true; END';
CREATE FUNCTION t_install_squat.format(text, text) RETURNS text LANGUAGE plpgsql AS
	'BEGIN INSERT INTO t_install_squat.fallen VALUES (current_user); RETURN ''SELECT 1''; END';
CREATE FUNCTION t_install_squat.pg_extension_config_dump(regclass, text) RETURNS void LANGUAGE plpgsql AS
	'BEGIN INSERT INTO t_install_squat.fallen VALUES (current_user); END';
CREATE OPERATOR t_install_squat.= (LEFTARG = text, RIGHTARG = text, FUNCTION = t_install_squat.fall);
CREATE OPERATOR t_install_squat.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = t_install_squat.fall);
CREATE OPERATOR t_install_squat.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = t_install_squat.fall);
CREATE DOMAIN t_install_squat.jsonb AS text;
CREATE DOMAIN t_install_squat.bigint AS text;
CREATE TYPE t_install_squat.outcome AS (x text);
RESET SESSION AUTHORIZATION;
CREATE TABLE t_install.ddl (tag text);
CREATE TABLE t_install.rule ();
CREATE FUNCTION t_install.saw() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
	IF EXISTS (SELECT FROM t_install.rule) THEN RAISE 'no DDL'; END IF;
	INSERT INTO t_install.ddl VALUES (tg_tag);
END $$;
CREATE EVENT TRIGGER t_install_start ON ddl_command_start EXECUTE FUNCTION t_install.saw();
CREATE EVENT TRIGGER t_install_end ON ddl_command_end EXECUTE FUNCTION t_install.saw();
CREATE EVENT TRIGGER t_install_drop ON sql_drop EXECUTE FUNCTION t_install.saw();
SET search_path = t_install_squat, pg_catalog;
CREATE EXTENSION cano;
RESET search_path;
SELECT is((SELECT count(*) FROM t_install_squat.fallen), 0::bigint, 'the script steps into nothing that is in its way');
SELECT cmp_ok((SELECT count(*) FROM t_install.ddl), '>', 10::bigint, 'event triggers see the installation');
SELECT is((SELECT DISTINCT n.nspowner::regrole::text || ' ' || e.extowner::regrole FROM pg_namespace AS n, pg_extension AS e WHERE n.nspname = 'cano' AND e.extname = 'cano'),
	current_user || ' ' || current_user, 'schema and extension belong to who installed it');
SELECT is_empty($$SELECT p.oid::regprocedure::text FROM pg_proc AS p WHERE p.pronamespace = 'cano'::regnamespace AND p.proowner <> current_user::regrole
	UNION ALL SELECT c.oid::regclass::text FROM pg_class AS c WHERE c.relnamespace = 'cano'::regnamespace AND c.relowner <> current_user::regrole
	UNION ALL SELECT t.oid::regtype::text FROM pg_type AS t WHERE t.typnamespace = 'cano'::regnamespace AND t.typowner <> current_user::regrole$$,
	'so does everything in it');
SELECT is_empty($$SELECT d.classid::regclass, d.objid FROM pg_depend AS d WHERE d.refobjid IN (SELECT oid FROM pg_class WHERE relnamespace = 't_install_squat'::regnamespace
	UNION ALL SELECT oid FROM pg_proc WHERE pronamespace = 't_install_squat'::regnamespace UNION ALL SELECT oid FROM pg_type WHERE typnamespace = 't_install_squat'::regnamespace
	UNION ALL SELECT oid FROM pg_operator WHERE oprnamespace = 't_install_squat'::regnamespace)
	AND d.objid IN (SELECT m.objid FROM pg_depend AS m WHERE m.deptype = 'e' AND m.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'cano'))$$,
	'and nothing in it refers to what is mallory''s');

-- What runs do is no DDL, not even tidying up after a task.
SELECT cano.grant_usage('t_install_mallory') \g /dev/null
SELECT cmp_ok((SELECT count(*) FROM t_install.ddl WHERE tag = 'GRANT'), '>', 10::bigint, 'event triggers see grant_usage');
CREATE FUNCTION t_install.untidy() RETURNS void LANGUAGE plpgsql AS 'BEGIN CREATE TEMP TABLE left_behind (x int); END';
TRUNCATE t_install.ddl;
SELECT cano.define('t_install', cano.task('a', 't_install.untidy', next => 'b'), cano.task('b', 't_install.untidy', next => 'end'), cano.exit('end')) \g /dev/null
SELECT cano.submit('t_install') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'a run whose tasks do DDL completes');
SELECT is((SELECT string_agg(tag, ' ') FROM t_install.ddl), 'CREATE TABLE CREATE TABLE CREATE TABLE CREATE TABLE', 'event triggers see the DDL of its tasks, and no more');
-- One that forbids all DDL forbids it to tasks.
INSERT INTO t_install.rule DEFAULT VALUES;
SELECT cano.submit('t_install', max_attempts => 1) AS run \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'message'), 'no DDL', 'one that forbids DDL fails the task that does some');
SELECT throws_ok('DROP EXTENSION cano', 'P0001', 'no DDL', 'and the removal of the extension');
TRUNCATE t_install.rule;
SELECT lives_ok('DROP EXTENSION cano', 'until it has gone');
CREATE EXTENSION cano;
DROP EVENT TRIGGER t_install_start;
DROP EVENT TRIGGER t_install_end;
DROP EVENT TRIGGER t_install_drop;

SELECT * FROM finish();
SET client_min_messages = error;
DROP SCHEMA t_install, t_install_squat CASCADE;
DROP OWNED BY t_install_mallory CASCADE;
DROP ROLE t_install_mallory;
