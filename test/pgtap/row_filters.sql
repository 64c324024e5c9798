-- Every role sees and runs its own.
\ir lib/start.psql
SELECT plan(33);

CREATE ROLE t_filter_alice LOGIN;
CREATE ROLE t_filter_bob LOGIN;
CREATE ROLE t_filter_member LOGIN IN ROLE t_filter_alice;
CREATE ROLE t_filter_none LOGIN;
SELECT cano.grant_usage('t_filter_alice'), cano.grant_usage('t_filter_bob'), cano.grant_usage('t_filter_member') \gset
CREATE SCHEMA t_filter;
GRANT USAGE ON SCHEMA t_filter TO PUBLIC;
GRANT CREATE ON SCHEMA t_filter TO t_filter_alice;

SET SESSION AUTHORIZATION t_filter_alice;
CREATE FUNCTION t_filter.who() RETURNS jsonb LANGUAGE sql
AS $$SELECT jsonb_build_object('current', current_user, 'session', session_user)$$;
CREATE FUNCTION t_filter.fails() RETURNS void LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'no'; END$$;
SELECT cano.define('t_filter.flow', cano.task('a', 't_filter.who', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.define('t_filter.failing', cano.task('a', 't_filter.fails', next => 'end', retry => cano.none()),
	cano.exit('end')) AS v \gset
SELECT cano.submit('t_filter.flow', key => 'shared', run_at => now() + interval '1 hour') AS waiting \gset
SELECT cano.submit('t_filter.flow') AS done \gset
SELECT cano.submit('t_filter.failing') AS failed \gset
RESET SESSION AUTHORIZATION;

SET SESSION AUTHORIZATION t_filter_bob;
CALL cano.work();
SELECT is((SELECT count(*) FROM cano.runs WHERE workflow LIKE 't_filter%'), 0::bigint, 'another role sees no run');
RESET SESSION AUTHORIZATION;
SELECT is(pg_temp.status(:done), 'queued', 'nor does it run one');
SET SESSION AUTHORIZATION t_filter_alice;
CALL cano.work();
SELECT is(pg_temp.status(:done), 'completed', 'its own role does');
SELECT is(cano.result(:done), '{"current": "t_filter_alice", "session": "t_filter_alice"}'::jsonb, 'as itself');
SELECT is((SELECT count(*) FROM cano.runs WHERE workflow LIKE 't_filter%'), 3::bigint, 'it sees its runs');
SELECT is((SELECT count(*) FROM cano.checkpoints WHERE run_id = :done), 2::bigint, 'and their checkpoints');
RESET SESSION AUTHORIZATION;

-- another role
SET SESSION AUTHORIZATION t_filter_bob;
SELECT is((SELECT count(*) FROM cano.runs WHERE run_id IN (:waiting, :done, :failed)), 0::bigint, 'another role: nothing in runs');
SELECT is((SELECT count(*) FROM cano.checkpoints WHERE run_id IN (:waiting, :done, :failed)), 0::bigint, 'nothing in checkpoints');
SELECT is((SELECT count(*) FROM cano.attempts WHERE run_id IN (:waiting, :done, :failed)), 0::bigint, 'nothing in attempts');
SELECT is((SELECT count(*) FROM cano.dead_letters WHERE run_id IN (:waiting, :done, :failed)), 0::bigint, 'nothing in dead_letters');
SELECT is(coalesce((SELECT sum(queued + running + waiting + dead) FROM cano.queue_stats WHERE workflow LIKE 't_filter%'), 0), 0::numeric,
	'nothing in queue_stats');
SELECT is((SELECT count(*) FROM cano.status(:done)), 0::bigint, 'another''s run is unknown: status');
SELECT is(cano.result(:done), NULL, 'another''s run is unknown: result');
SELECT throws_ok(format('SELECT cano.wait(%s)', :done), 'CN404', NULL, 'another''s run is unknown: wait');
SELECT isnt(cano.submit('t_filter.flow', key => 'shared'), :waiting::bigint, 'two roles may use the same key');
SELECT cano.submit('t_filter.flow') AS bobs \gset
CALL cano.work();
SELECT is(cano.result(:bobs) ->> 'current', 't_filter_bob', 'whoever submits a workflow runs it as himself');
SELECT throws_ok($$SELECT cano.define('t_filter.flow', cano.exit('end'))$$, '42501', NULL,
	'only its owner may redefine a workflow');
SELECT throws_ok('SELECT count(*) FROM cano._run', '42501', NULL, 'the tables behind the views are not readable');
RESET SESSION AUTHORIZATION;

-- no function that leaks through a view
SET SESSION AUTHORIZATION t_filter_bob;
CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN
	IF $1 LIKE 't_filter_alice%' THEN RAISE EXCEPTION 'leaked'; END IF;
	RETURN true;
END $$;
SELECT lives_ok('SELECT count(*) FROM cano.runs WHERE pg_temp.leak(role::text)', 'a cheap function sees no hidden row');
RESET SESSION AUTHORIZATION;

-- members and administrators
SET SESSION AUTHORIZATION t_filter_member;
SELECT is((SELECT count(*) FROM cano.runs WHERE run_id IN (:waiting, :done, :failed)), 3::bigint,
	'a member of the role sees its runs');
SELECT is((SELECT status FROM cano.status(:done)), 'completed', 'and their status');
SELECT is((SELECT count(*) FROM cano.runs WHERE run_id = :bobs), 0::bigint, 'but no others');
SELECT lives_ok($$SELECT cano.define('t_filter.flow', cano.task('a', 't_filter.who', next => 'end', timeout => '1 min'), cano.exit('end'))$$,
	'and may redefine its workflows');
RESET SESSION AUTHORIZATION;
SELECT is((SELECT count(*) FROM cano.runs WHERE run_id IN (:waiting, :done, :failed, :bobs)), 4::bigint, 'a superuser sees all');
SELECT is((SELECT role::text FROM cano.runs WHERE run_id = :bobs), 't_filter_bob', 'and whose they are');

-- without usage
SET SESSION AUTHORIZATION t_filter_none;
SELECT throws_ok('SELECT count(*) FROM cano.runs', '42501', NULL, 'a role without usage sees no view');
SELECT throws_ok($$SELECT cano.submit('t_filter.flow')$$, '42501', NULL, 'and may not submit');
RESET SESSION AUTHORIZATION;

-- the role's own rights count
REVOKE EXECUTE ON FUNCTION t_filter.who() FROM PUBLIC;
SET SESSION AUTHORIZATION t_filter_bob;
SELECT cano.submit('t_filter.flow') AS bobs \gset
CALL cano.work();
RESET SESSION AUTHORIZATION;
SELECT is((SELECT sqlstate FROM cano.attempts WHERE run_id = :bobs), '42501',
	'a task that the submitting role may not execute fails');
SELECT matches((SELECT message FROM cano.attempts WHERE run_id = :bobs), 'permission denied', 'and says why');
-- current_user at submit, not session_user
SET ROLE t_filter_alice;
SELECT cano.submit('t_filter.flow') AS by_role \gset
RESET ROLE;
SELECT is((SELECT role::text FROM cano.runs WHERE run_id = :by_role), 't_filter_alice', 'a run belongs to the current user at submit');
CALL cano.work();
SELECT is(pg_temp.status(:by_role), 'queued', 'a superuser''s session does not run others'' tasks');
SELECT cano.revoke_usage('t_filter_bob') \gset
SET SESSION AUTHORIZATION t_filter_bob;
SELECT throws_ok($$SELECT cano.submit('t_filter.flow')$$, '42501', NULL, 'revoke_usage takes the right away');
RESET SESSION AUTHORIZATION;

-- roles that cannot log in
SELECT current_setting('server_version_num')::int < 170000 AS old \gset
CREATE ROLE t_filter_nologin;
SELECT cano.grant_usage('t_filter_nologin') \gset
SET ROLE t_filter_nologin;
SELECT throws_ok($$SELECT cano.submit('t_filter.flow')$$, NULL, NULL, 'a role must be able to log in to submit');
RESET ROLE;

SELECT * FROM finish();
SELECT cano.revoke_usage(r::regrole) FROM unnest(ARRAY['t_filter_alice', 't_filter_member', 't_filter_nologin']) AS r \g /dev/null
DROP FUNCTION pg_temp.leak(text);
DROP SCHEMA t_filter CASCADE;
DROP ROLE t_filter_bob, t_filter_member, t_filter_none, t_filter_nologin, t_filter_alice;
