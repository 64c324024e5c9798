-- cano.check_resources: how a workflow's resources are, for whoever asks.
\ir lib/start.psql
SELECT plan(10);

CREATE SCHEMA t_health;
CREATE TABLE t_health.did (what text);
CREATE FUNCTION t_health.says(name text, value jsonb) RETURNS text LANGUAGE sql AS $$ SELECT value ->> 'says' $$;
CREATE FUNCTION t_health.yes(jsonb) RETURNS boolean LANGUAGE sql AS $$ SELECT $1 = 'true' $$;
CREATE FUNCTION t_health.object() RETURNS jsonb LANGUAGE sql AS $$ SELECT '{"status": "degraded", "reason": "slow"}'::jsonb $$;
CREATE FUNCTION t_health.raised() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t_health.did (what) VALUES ('checked');
	RAISE 'unreachable';
END $$;
SELECT cano.define('t_health.health', cano.exit('end'), cano.options(resources => ARRAY[
	cano.with_resource('none'),
	cano.with_resource('text', '{"says": "degraded"}', health => 't_health.says'),
	cano.with_resource('odd', '{"says": "fine"}', health => 't_health.says'),
	cano.with_resource('null', health => 't_health.says'),
	cano.with_resource('raised', health => 't_health.raised'),
	cano.with_resource('yes', 'true', health => 't_health.yes'),
	cano.with_resource('no', 'false', health => 't_health.yes'),
	cano.with_resource('object', health => 't_health.object')])) AS v \gset
SELECT results_eq($$SELECT * FROM cano.check_resources('t_health.health')$$,
	$$VALUES ('odd', 'unhealthy', 'function "t_health.says(text,jsonb)" returned no status of a resource'),
		('null', 'unhealthy', 'its health function returned null'), ('raised', 'unhealthy', 'unreachable'), ('no', 'unhealthy', NULL),
		('text', 'degraded', NULL), ('object', 'degraded', 'slow'), ('none', 'healthy', NULL), ('yes', 'healthy', NULL)$$,
	'health functions are asked, the worst come first');
SELECT is((SELECT count(*) FROM t_health.did WHERE what = 'checked'), 0::bigint, 'what one did that failed is rolled back');
SELECT cano.define('t_health.plain', cano.exit('end')) AS v \gset
SELECT is((SELECT count(*) FROM cano.check_resources('t_health.plain')), 0::bigint, 'a workflow without resources');
SELECT throws_ok($$SELECT * FROM cano.check_resources('t_health.nothing')$$, 'CN404', NULL, 'one that does not exist');
CREATE ROLE t_health_reader;
SELECT cano.grant_usage('t_health_reader');
GRANT USAGE ON SCHEMA t_health TO t_health_reader;
REVOKE EXECUTE ON FUNCTION t_health.object() FROM PUBLIC;
CREATE FUNCTION t_health.who() RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('status', 'healthy', 'reason', current_user) $$;
SELECT cano.define('t_health.whose', cano.exit('end'), cano.options(resources => ARRAY[
	cano.with_resource('who', health => 't_health.who'), cano.with_resource('object', health => 't_health.object')])) AS v \gset
SET ROLE t_health_reader;
SELECT results_eq($$SELECT * FROM cano.check_resources('t_health.whose')$$,
	$$VALUES ('object', 'unhealthy', 'permission denied for function t_health.object()'), ('who', 'healthy', 't_health_reader')$$,
	'they are called with the rights of whoever asks');
RESET ROLE;
CREATE SCHEMA t_health_other;
CREATE FUNCTION t_health_other.who() RETURNS text LANGUAGE sql AS $$ SELECT 'unhealthy' $$;
SET search_path = t_health_other, public;
SELECT is((SELECT status FROM cano.check_resources('t_health.whose') WHERE name = 'who'), 'healthy', 'whatever the search_path');
RESET search_path;
CREATE FUNCTION t_health.dawdles() RETURNS void LANGUAGE sql AS $$ SELECT pg_sleep(60) $$; -- lasts: is interrupted
SELECT cano.define('t_health.slow', cano.exit('end'), cano.options(resources => ARRAY[cano.with_resource('slow', health => 't_health.dawdles')])) AS v \gset
SET statement_timeout = '100 ms';
\set ON_ERROR_STOP off
SELECT * FROM cano.check_resources('t_health.slow');
RESET statement_timeout;
SELECT is(:'LAST_ERROR_SQLSTATE'::text, '57014', 'the caller''s own statement can be interrupted');
\set ON_ERROR_STOP on


-- the caller's deferred triggers are his
CREATE TABLE t_health.parent (id int PRIMARY KEY);
CREATE TABLE t_health.child (id int REFERENCES t_health.parent DEFERRABLE INITIALLY DEFERRED);
BEGIN;
INSERT INTO t_health.child VALUES (1);
SELECT is((SELECT count(*) FROM cano.check_resources('t_health.whose') WHERE reason IS NOT NULL), 2::bigint, 'what the caller has deferred stays deferred');
INSERT INTO t_health.parent VALUES (1);
COMMIT;

-- definitions
CREATE FUNCTION t_health.needs(run_id bigint, x int) RETURNS text LANGUAGE sql RETURN 'healthy';
SELECT throws_ok($$SELECT cano.define('t_health.bad', cano.exit('end'), cano.options(resources => ARRAY[cano.with_resource('one', health => 't_health.needs')]))$$,
	'CN001', NULL, 'a health function has no run');
CREATE FUNCTION t_health.number() RETURNS int LANGUAGE sql RETURN 1;
SELECT throws_ok($$SELECT cano.define('t_health.bad', cano.exit('end'), cano.options(resources => ARRAY[cano.with_resource('one', health => 't_health.number')]))$$,
	'CN001', NULL, 'and says how it is');

SELECT * FROM finish();
SELECT cano.revoke_usage('t_health_reader');
DROP SCHEMA t_health, t_health_other CASCADE;
DROP ROLE t_health_reader;
