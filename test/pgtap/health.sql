-- cano.health: every finding about runs and tables, with what brings it about.
\ir lib/start.psql
SELECT plan(35);

CREATE SCHEMA t_health;
GRANT USAGE ON SCHEMA t_health TO PUBLIC;
CREATE FUNCTION t_health.act() RETURNS void LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE FUNCTION t_health.bad() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
SELECT cano.define('t_health.quick', cano.task('a', 't_health.act', next => 'end'), cano.exit('end'));
SELECT cano.define('t_health.bad', cano.task('a', 't_health.bad', next => 'end', retry => cano.none()), cano.exit('end'));
-- What is found beside that these sessions have no background workers.
CREATE FUNCTION pg_temp.found() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(h.finding || ' ' || h.severity, ', ') FROM cano.health() h WHERE h.finding <> 'disabled' $$;
CREATE FUNCTION pg_temp.detail(finding text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(h.detail, '; ') FROM cano.health() h WHERE h.finding = $1 $$;
CREATE FUNCTION pg_temp.hint(finding text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(h.hint, '; ') FROM cano.health() h WHERE h.finding = $1 $$;

SELECT is(pg_temp.found(), NULL, 'at first all is well');
SELECT is((SELECT finding || ' ' || severity FROM cano.health()), 'disabled warning', 'but for the workers, of which there are none');

-- The server
BEGIN;
UPDATE pg_class SET relfrozenxid = (((SELECT relfrozenxid FROM pg_class WHERE oid = 'cano._run'::regclass)::text::bigint + 4294967296 - 1000000000) % 4294967296)::text::xid
WHERE oid = 'cano._run'::regclass;
SELECT is(pg_temp.found(), 'old_transaction_ids error', 'a table that was not frozen for long is found');
SELECT is(pg_temp.hint('old_transaction_ids'), 'VACUUM (FREEZE) cano._run;', 'and named');
ROLLBACK;
SELECT last_value AS id FROM cano._id \gset
SELECT setval('cano._id', (1::bigint << 48) - 1000);
SELECT is(pg_temp.found(), 'ids_run_out error', 'ids that run out are found');
SELECT setval('cano._id', :id);
SELECT cano.submit('t_health.quick');
CALL cano.work();
SELECT pg_temp.later('-1 hour');
SELECT is(pg_temp.found(), 'clock_set_back warning', 'a clock that was set back is found');
SELECT pg_temp.later('1 hour');
SELECT is(pg_temp.found(), NULL, 'until time has come that far again');

-- Roles that cannot do their work
CREATE ROLE t_health_one LOGIN;
CREATE ROLE t_health_other LOGIN;
SELECT cano.grant_usage('t_health_one'), cano.grant_usage('t_health_other');
SET ROLE t_health_one;
SELECT cano.submit('t_health.quick') AS run \gset
RESET ROLE;
SELECT is(pg_temp.found(), NULL, 'work that has just come is no finding');
SELECT pg_temp.later('2 minutes');
SELECT is(pg_temp.found(), 'stuck error', 'work that nobody is at is');
SELECT is(pg_temp.hint('stuck'), 'SET ROLE t_health_one; CALL cano.work(); RESET ROLE;', 'with what to do about it');
ALTER ROLE t_health_one NOLOGIN;
SELECT is(pg_temp.found() || ': ' || pg_temp.hint('role_barred'), 'role_barred error: ALTER ROLE t_health_one LOGIN;', 'a role that cannot log in is found');
ALTER ROLE t_health_one LOGIN;
SELECT cano.revoke_usage('t_health_one');
SELECT is(pg_temp.found() || ': ' || pg_temp.hint('role_barred'), 'role_barred error: SELECT cano.grant_usage(''t_health_one'');', 'so is one that may not use cano');
SELECT cano.grant_usage('t_health_one');
REVOKE CONNECT ON DATABASE health FROM PUBLIC;
SELECT is(pg_temp.found() || ': ' || pg_temp.hint('role_barred'), 'role_barred error: GRANT CONNECT ON DATABASE health TO t_health_one;', 'and one that may not connect');
GRANT CONNECT ON DATABASE health TO PUBLIC;
SET ROLE t_health_other;
SELECT is(pg_temp.found(), NULL, 'other roles are told nothing of it');
SET ROLE t_health_one;
SELECT is(pg_temp.found(), 'stuck error', 'but the role itself is');
CALL cano.work();
RESET ROLE;
SELECT is(pg_temp.found(), NULL, 'done, all is well');
-- Timers count, too
SELECT cano.define('t_health.nap', cano.timer('t', delay => '1 hour', next => 'end'), cano.exit('end'));
SELECT cano.submit('t_health.nap');
CALL cano.work();
SELECT is(pg_temp.found(), NULL, 'a run may wait for a time');
SELECT pg_temp.later('62 minutes');
SELECT is(pg_temp.found(), 'stuck error', 'when that is over somebody should come');
CALL cano.work();

-- Tasks
CREATE TABLE t_health.seen (found text);
CREATE FUNCTION t_health.look() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_temp.later('6 minutes');
	INSERT INTO t_health.seen SELECT pg_temp.found();
END $$;
SELECT cano.define('t_health.long', cano.task('a', 't_health.look', next => 'end'), cano.exit('end'));
SELECT cano.submit('t_health.long');
CALL cano.work();
SELECT is((SELECT found FROM t_health.seen), 'long_task warning', 'a task that takes long is found while it runs');
SELECT pg_temp.later('6 minutes');
SELECT is(pg_temp.found(), NULL, 'but not when it has ended');
SELECT cano.submit('t_health.quick') AS run \gset
INSERT INTO cano._crash VALUES (:run, :run, 2, now());
SELECT is(pg_temp.found(), 'crashes error', 'a job that crashes the server is found');
UPDATE cano._crash SET crashes = 3;
CALL cano.work();
SELECT is(pg_temp.found(), 'poisoned error', 'so is one that was given up for that');
SELECT cano.purge('0');
SELECT count(*) FROM cano.submit_many('t_health.bad', array_fill('{}'::jsonb, ARRAY[3]));
CALL cano.work();
SELECT is(pg_temp.found() || ': ' || pg_temp.detail('dead_letters'),
	'dead_letters warning: 3 runs of workflow "t_health.bad" ended by the error of a task within a day.', 'runs that ended by an error are');
SELECT pg_temp.later('25 hours');
SELECT is(pg_temp.found(), NULL, 'for a day');
SELECT cano.create_breaker('t_health', failure_threshold => 1, reset_timeout => '1 hour');
SELECT cano.define('t_health.broken', cano.task('a', 't_health.bad', next => 'end', retry => cano.none(), breaker => 't_health'), cano.exit('end'));
SELECT cano.submit('t_health.broken');
CALL cano.work();
SELECT is(pg_temp.found(), 'breaker_open warning, dead_letters warning', 'a breaker that is open is found');
SELECT cano.drop_breaker('t_health');
SELECT cano.purge('0');

-- Runs
SELECT cano.pause('t_health.quick');
SELECT is(pg_temp.found(), NULL, 'a workflow may be paused');
SELECT cano.submit('t_health.quick');
CALL cano.work();
SELECT is(pg_temp.found() || ': ' || pg_temp.hint('paused'), 'paused info: SELECT cano.unpause(''t_health.quick'');', 'but if runs wait for it, it is found');
SELECT cano.unpause('t_health.quick');
UPDATE cano._run SET origin = 1 WHERE status = 'active';
SELECT is(pg_temp.found(), 'not_adopted error', 'runs of another database are found');
SELECT cano.adopt();
CALL cano.work();
UPDATE cano._run SET submitted_at = submitted_at - interval '31 days', ended_at = ended_at - interval '31 days' WHERE owner_name = current_user;
SELECT is(pg_temp.found(), 'retention_behind warning', 'runs that were to be removed are found');
SELECT cano.purge('0');
SELECT cano.submit('t_health.quick') AS run \gset
CALL cano.work();
INSERT INTO cano._key VALUES (0, 't_health.quick', 'k', :run);
SELECT is(pg_temp.found() || ': ' || pg_temp.detail('stray'), format('stray error: Run %s (t_health.quick) has ended and still holds a key.', :run),
	'what an ended run still holds is found');
DELETE FROM cano._key;

-- Schedules, made by hand: with pg_cron see t/085_schedules.pl
INSERT INTO cano._schedule (name, id, owner, owner_name, origin, workflow, cron, overlap, input)
SELECT 'nightly', 1, current_user::regrole, current_user, e.origin, 't_health.quick', '0 3 * * *', 's', '{}' FROM cano._engine() e;
SELECT is(pg_temp.found() || ': ' || pg_temp.detail('schedule_idle'),
	format('schedule_idle warning: Schedule "nightly" of role %s does not fire: pg_cron is not installed, or does not run, in this database.', current_user),
	'a schedule that cannot fire is found');
SET ROLE t_health_one;
SELECT is(pg_temp.found(), NULL, 'by whoever may see it');
RESET ROLE;
UPDATE cano._schedule SET origin = 1;
SELECT is(pg_temp.hint('schedule_idle'), 'SELECT cano.adopt(); -- if that does not fire it any more', 'one of another database is, too');
UPDATE cano._schedule SET owner = 1;
SELECT is(pg_temp.hint('schedule_idle'), 'SELECT cano.unschedule(''nightly'');', 'and one whose owner is gone');
DELETE FROM cano._schedule;
SELECT is(pg_temp.found(), NULL, 'at last all is well');

SELECT * FROM finish();
SELECT cano.revoke_usage('t_health_one'), cano.revoke_usage('t_health_other');
DROP ROLE t_health_one, t_health_other;
DROP SCHEMA t_health CASCADE;
