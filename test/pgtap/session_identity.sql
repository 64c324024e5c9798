-- A task in a superuser's session that became another role is that role: there
-- is no way back to the superuser.
\ir lib/start.psql
SELECT plan(19);

CREATE SCHEMA t_identity;
CREATE ROLE t_identity_user LOGIN;
SELECT cano.grant_usage('t_identity_user') \g /dev/null
GRANT USAGE, CREATE ON SCHEMA t_identity TO t_identity_user;
CREATE TABLE t_identity.secret AS SELECT 'sesame'::text AS word;
CREATE TABLE t_identity.seen (way text, who text);
GRANT SELECT, INSERT ON t_identity.seen TO t_identity_user;
SELECT current_user AS me \gset

SET SESSION AUTHORIZATION t_identity_user;
-- Look for the secret, as whoever one is.
CREATE FUNCTION t_identity.peek(way text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v_word text;
BEGIN
	BEGIN
		SELECT word INTO v_word FROM t_identity.secret;
	EXCEPTION WHEN insufficient_privilege THEN
		v_word := 'refused';
	END;
	INSERT INTO t_identity.seen VALUES (way, concat_ws(' ', current_user, v_word));
	RETURN v_word;
END $$;
CREATE FUNCTION t_identity.does(way text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		EXECUTE way;
	EXCEPTION WHEN OTHERS THEN NULL;
	END;
	RETURN t_identity.peek(way);
END $$;
-- The same without a subtransaction that would undo the way out.
CREATE FUNCTION t_identity.does_plainly(way text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE way;
	RETURN t_identity.peek(way);
END $$;
CREATE FUNCTION t_identity.at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE new.way;
	PERFORM t_identity.peek('trigger: ' || new.way);
	RETURN NULL;
END $$;
CREATE TABLE t_identity.queue (way text);
CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON t_identity.queue DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION t_identity.at_commit();
CREATE FUNCTION t_identity.puts_off(way text) RETURNS void LANGUAGE plpgsql AS
	'BEGIN INSERT INTO t_identity.queue VALUES (way); END';
CREATE FUNCTION t_identity.holds(way text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE $q$DECLARE c CURSOR WITH HOLD FOR SELECT t_identity.peek('cursor')$q$;
	EXECUTE way;
END $$;
SELECT cano.define('t_identity.' || f, cano.task('a', 't_identity.' || f, next => 'end', retry => cano.none()), cano.exit('end'))
FROM unnest(ARRAY['does', 'does_plainly', 'puts_off', 'holds']) AS f \g /dev/null
RESET SESSION AUTHORIZATION;
SELECT ok(NOT has_table_privilege('t_identity_user', 't_identity.secret', 'SELECT'), 'the secret is not for everybody');

CREATE TEMP TABLE way (n serial, way text);
INSERT INTO way (way) VALUES ('RESET ROLE'), ('SET ROLE NONE'), (format('SET ROLE %I', :'me')), ('RESET SESSION AUTHORIZATION'),
	('SET SESSION AUTHORIZATION DEFAULT'), (format('SET SESSION AUTHORIZATION %I', :'me')),
	('SET LOCAL ROLE NONE'), ('SET LOCAL SESSION AUTHORIZATION DEFAULT'),
	($$SELECT set_config('role', 'none', false)$$), ($$SELECT set_config('role', 'none', true)$$),
	(format($$SELECT set_config('role', %L, false)$$, :'me')),
	(format($$SELECT set_config('session_authorization', %L, false)$$, :'me')),
	($$UPDATE pg_settings SET setting = 'none' WHERE name = 'role'$$),
	('DO $x$ BEGIN RESET ROLE; PERFORM t_identity.peek(''block''); END $x$'),
	('DO $x$ BEGIN RESET SESSION AUTHORIZATION; PERFORM t_identity.peek(''block''); END $x$'),
	('RESET ALL'), ('DISCARD ALL'),
	('CREATE FUNCTION t_identity.out() RETURNS text LANGUAGE sql SET role = ''none'' AS $x$SELECT t_identity.peek(''function'')$x$;
		SELECT t_identity.out()'),
	(format('CREATE FUNCTION t_identity.out() RETURNS text LANGUAGE sql SET role = %L AS $x$SELECT t_identity.peek(''function'')$x$;
		SELECT t_identity.out()', :'me'));
GRANT SELECT ON way TO t_identity_user;

-- A session that became the role in the one way and in the other
SELECT '{does,does_plainly,puts_off,holds}' AS tasks \gset
SET ROLE t_identity_user;
SELECT count(cano.submit('t_identity.' || f, jsonb_build_object('way', way))) AS n FROM way, unnest(:'tasks'::text[]) AS f \gset
CALL cano.work();
SELECT is(current_user, 't_identity_user', 'after SET ROLE the session is who it was');
RESET ROLE;
SELECT is(current_user || ' ' || session_user, :'me' || ' ' || :'me', 'and finds back');
SELECT is((SELECT string_agg(way || ': ' || who, ', ') FROM t_identity.seen WHERE who <> 't_identity_user refused'), NULL,
	'no task was anybody else');
SELECT cmp_ok((SELECT count(*) FROM t_identity.seen), '>=', (SELECT count(*) FROM way), 'though they looked');
SELECT is((SELECT count(*) FROM cano.runs WHERE workflow LIKE 't_identity.%' AND status IN ('completed', 'failed')), :n::bigint * 1,
	'every run came to its end');
TRUNCATE t_identity.seen;

SET SESSION AUTHORIZATION t_identity_user;
SELECT count(cano.submit('t_identity.' || f, jsonb_build_object('way', way))) AS n FROM way, unnest(:'tasks'::text[]) AS f \gset
CALL cano.work();
SELECT is(current_user, 't_identity_user', 'after SET SESSION AUTHORIZATION the session is who it was');
RESET SESSION AUTHORIZATION;
SELECT is(current_user || ' ' || session_user, :'me' || ' ' || :'me', 'and finds back');
SELECT is((SELECT string_agg(way || ': ' || who, ', ') FROM t_identity.seen WHERE who <> 't_identity_user refused'), NULL,
	'no task was anybody else');
SELECT cmp_ok((SELECT count(*) FROM t_identity.seen), '>=', (SELECT count(*) FROM way), 'though they looked');
SELECT is((SELECT count(*) FROM cano.runs WHERE workflow LIKE 't_identity.%' AND status IN ('completed', 'failed')), :n::bigint * 2,
	'every run came to its end');
TRUNCATE t_identity.seen;

-- orchestrate
SET ROLE t_identity_user;
SELECT format('%L, %L', 't_identity.does', '{"way": "RESET ROLE"}') AS arguments \gset
CALL cano.orchestrate(:arguments);
SELECT is(current_user, 't_identity_user', 'after cano.orchestrate, too, the session is who it was');
\set ON_ERROR_STOP 0
SELECT format('%L, %L', 't_identity.puts_off', '{"way": "SET SESSION AUTHORIZATION DEFAULT"}') AS arguments \gset
CALL cano.orchestrate(:arguments);
\set ON_ERROR_STOP 1
SELECT is(current_user, 't_identity_user', 'also if the run fails');
SELECT is(session_user, :'me', 'and whose it was');
RESET ROLE;
SELECT is((SELECT string_agg(way || ': ' || who, ', ') FROM t_identity.seen WHERE who <> 't_identity_user refused'), NULL,
	'nobody became the superuser');

-- A cursor of the session's that the task closes, to open another one of that name
SET SESSION AUTHORIZATION t_identity_user;
CREATE FUNCTION t_identity.later() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('role', 'none', false);
	RETURN t_identity.peek('later');
END $$;
CREATE FUNCTION t_identity.swaps() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE 'CLOSE ALL';
	EXECUTE 'DECLARE held CURSOR WITH HOLD FOR SELECT t_identity.later()';
END $$;
SELECT cano.define('t_identity.swaps', cano.task('a', 't_identity.swaps', next => 'end', retry => cano.none()), cano.exit('end')) AS v \gset
RESET SESSION AUTHORIZATION;
BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT 1;
COMMIT;
SET ROLE t_identity_user;
SELECT cano.submit('t_identity.swaps') AS run \gset
CALL cano.work();
SELECT is(current_user, 't_identity_user', 'a cursor in the place of one of the session''s leads nowhere');
RESET ROLE;
SELECT is(cano.result(:run), '{}', 'the task that opened it is done');
SELECT is_empty('SELECT way, who FROM t_identity.seen WHERE way = ''later''', 'and its query was never run');

-- the superuser's own tasks are the superuser
SELECT cano.submit('t_identity.does', '{"way": "RESET ROLE"}') AS run \gset
CALL cano.work();
SELECT is(cano.result(:run) ->> 'a', 'sesame', 'who may see the secret sees it');

SELECT * FROM finish();
DROP SCHEMA t_identity CASCADE;
SELECT cano.revoke_usage('t_identity_user') \g /dev/null
DROP OWNED BY t_identity_user;
DROP ROLE t_identity_user;
