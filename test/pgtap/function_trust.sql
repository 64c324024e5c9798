-- Whose code a run runs: what becomes of functions that are replaced, given to
-- others, overloaded or altered after their workflow was defined, with
-- cano.function_trust = any and owner.
\ir lib/start.psql
SELECT plan(13);

CREATE SCHEMA t_trust;
CREATE ROLE t_trust_alice LOGIN;
CREATE ROLE t_trust_bob LOGIN;
SELECT cano.grant_usage('t_trust_alice'), cano.grant_usage('t_trust_bob') \g /dev/null
GRANT USAGE, CREATE ON SCHEMA t_trust TO t_trust_alice, t_trust_bob;
CREATE FUNCTION t_trust.admins() RETURNS text LANGUAGE sql AS $$SELECT 'admin'::text$$;
SET ROLE t_trust_bob;
CREATE FUNCTION t_trust.bobs() RETURNS text LANGUAGE sql AS $$SELECT 'bob'::text$$;
RESET ROLE;
SET ROLE t_trust_alice;
CREATE FUNCTION t_trust.own(x int DEFAULT 1) RETURNS text LANGUAGE sql AS $$SELECT 'own'::text$$;
CREATE FUNCTION t_trust.route() RETURNS text LANGUAGE sql AS $$SELECT 'end'::text$$;
SELECT cano.define('t_trust.' || f, cano.task('a', 't_trust.' || f, next => 'end', retry => cano.none()), cano.exit('end'))
FROM unnest('{admins,bobs,own}'::text[]) AS f \g /dev/null
RESET ROLE;

-- How a run of the current role ends.
CREATE PROCEDURE t_trust.go(workflow text, INOUT told text) LANGUAGE plpgsql AS $$
DECLARE
	v_run bigint := cano.submit('t_trust.' || workflow);
BEGIN
	COMMIT;
	CALL cano.work();
	SELECT concat_ws(' ', r.status, r.result ->> 'a', r.error ->> 'category', r.error ->> 'sqlstate') INTO told
	FROM cano.runs AS r WHERE r.run_id = v_run;
END $$;

SET ROLE t_trust_alice;
CALL t_trust.go('bobs', '') \gset
SELECT is(:'told'::text, 'completed bob', 'any: whatever may be called is called');
SET ROLE t_trust_bob;
CREATE OR REPLACE FUNCTION t_trust.bobs() RETURNS text LANGUAGE sql AS $$SELECT 'bob 2'::text$$;
SET ROLE t_trust_alice;
CALL t_trust.go('bobs', '') \gset
SELECT is(:'told'::text, 'completed bob 2', 'as it is now');

-- Overloads that would be better matches, had they been there
CREATE FUNCTION t_trust.own() RETURNS text LANGUAGE sql AS $$SELECT 'overload'::text$$;
CREATE FUNCTION t_trust.own(x bigint) RETURNS text LANGUAGE sql AS $$SELECT 'overload'::text$$;
CALL t_trust.go('own', '') \gset
SELECT is(:'told'::text, 'completed own', 'an overload that comes later is not meant');
ALTER FUNCTION t_trust.own(int) RENAME TO other;
CALL t_trust.go('own', '') \gset
SELECT matches(:'told'::text, '^failed workflow', 'of several that are left none is guessed');
ALTER FUNCTION t_trust.other(int) RENAME TO own;
ALTER FUNCTION t_trust.own(int) SET search_path = pg_catalog;
CALL t_trust.go('own', '') \gset
SELECT is(:'told'::text, 'completed own', 'a function that is renamed and altered is found again');
RESET ROLE;

-- What a new session has was sent to this one before.
ALTER SYSTEM SET cano.function_trust = 'owner';
SELECT pg_reload_conf() AS x \gset
\! until [ "$(psql -XAtc 'SHOW cano.function_trust')" = owner ]; do :; done
SELECT is(current_setting('cano.function_trust'), 'owner', 'from now on owners count');
SET ROLE t_trust_alice;
CALL t_trust.go('own', '') \gset
SELECT is(:'told'::text, 'completed own', 'owner: a role trusts itself');
CALL t_trust.go('admins', '') \gset
SELECT is(:'told'::text, 'completed admin', 'and superusers');
CALL t_trust.go('bobs', '') \gset
SELECT is(:'told'::text, 'failed task_execution 42501', 'but nobody else');
SET ROLE t_trust_bob;
CALL t_trust.go('bobs', '') \gset
SELECT is(:'told'::text, 'completed bob 2', 'who trusts himself');
RESET ROLE;
ALTER FUNCTION t_trust.own(int) OWNER TO t_trust_bob;
SET ROLE t_trust_alice;
CALL t_trust.go('own', '') \gset
SELECT is(:'told'::text, 'failed task_execution 42501', 'a function that was given away is not trusted any more');
RESET ROLE;
GRANT t_trust_bob TO t_trust_alice;
SET ROLE t_trust_alice;
CALL t_trust.go('own', '') \gset
SELECT is(:'told'::text, 'failed task_execution 42501', 'that of a role one is a member of is not one''s own');
RESET ROLE;
ALTER SYSTEM RESET cano.function_trust;
SELECT pg_reload_conf() AS x \gset
\! until [ "$(psql -XAtc 'SHOW cano.function_trust')" = any ]; do :; done
SET ROLE t_trust_alice;
CALL t_trust.go('own', '') \gset
SELECT is(:'told'::text, 'completed own', 'any: it may be called again');
RESET ROLE;

SELECT * FROM finish();
SET client_min_messages = error;
DROP SCHEMA t_trust CASCADE;
SELECT cano.revoke_usage('t_trust_alice'), cano.revoke_usage('t_trust_bob') \g /dev/null
DROP OWNED BY t_trust_alice, t_trust_bob;
DROP ROLE t_trust_alice, t_trust_bob;
