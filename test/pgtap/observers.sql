-- Observers: who may register what, what they are told, and that they harm nobody.
\ir lib/start.psql
SELECT plan(54);

CREATE ROLE t_observers_alice LOGIN;
CREATE ROLE t_observers_bob LOGIN;
CREATE ROLE t_observers_member LOGIN IN ROLE t_observers_alice;
SELECT cano.grant_usage('t_observers_alice'), cano.grant_usage('t_observers_bob'), cano.grant_usage('t_observers_member') \gset
CREATE SCHEMA t_observers;
GRANT USAGE ON SCHEMA t_observers TO PUBLIC;
CREATE TABLE t_observers.seen (n serial, who text, run bigint, event text, told jsonb, role text DEFAULT current_user);
GRANT ALL ON ALL TABLES IN SCHEMA t_observers TO PUBLIC;
GRANT ALL ON ALL SEQUENCES IN SCHEMA t_observers TO PUBLIC;
CREATE FUNCTION t_observers.ok() RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION t_observers.bad() RETURNS void LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'bad'; END $$;
CREATE FUNCTION t_observers.whole(jsonb) RETURNS void LANGUAGE sql AS
	$$INSERT INTO t_observers.seen (who, run, event, told) VALUES ('whole', ($1 ->> 'run_id')::bigint, $1 ->> 'event', $1)$$;
CREATE FUNCTION t_observers.named(run_id bigint, event text, state text, task text, branch int, attempt int, sequence bigint, detail jsonb,
	recorded_at timestamptz, ordinal bigint, more text DEFAULT 'default') RETURNS text LANGUAGE sql AS
	$$INSERT INTO t_observers.seen (who, run, event, told) VALUES ('named', run_id, event,
		jsonb_build_array(ordinal, state, task, branch, attempt, sequence, detail, recorded_at IS NOT NULL, more)) RETURNING 'ignored'$$;
CREATE FUNCTION t_observers.raises(event jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t_observers.seen (who) VALUES ('raises');
	RAISE EXCEPTION 'never mind';
END $$;
SELECT cano.define('t_observers', cano.task('a', 't_observers.ok', next => 'end'), cano.exit('end'), cano.options(log => 'all')) AS x,
	cano.define('t_observers.bad', cano.task('a', 't_observers.bad', next => 'end', retry => cano.fixed(1, '0')), cano.exit('end')) AS y \gset
CREATE FUNCTION pg_temp.seen(run bigint, who text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(s.event, ', ' ORDER BY s.n) FROM t_observers.seen AS s WHERE s.run = $1 AND s.who = $2 $$;

-- registered
SELECT throws_ok(format('SELECT cano.observe(%s)', bad), 'CN001', NULL, bad || ' is refused')
FROM unnest(ARRAY[$$NULL, 't_observers.whole'$$, $$'', 't_observers.whole'$$, $$'x', NULL$$, $$'x', 't_observers.nothing'$$, $$'x', 't_observers.whole', '{}'$$,
	$$'x', 't_observers.whole', ARRAY['task_start', NULL]$$, $$'x', 't_observers.whole', ARRAY['started']$$, $$'x', 't_observers.whole', workflow => ''$$,
	$$'x', 'generate_series(integer, integer)'$$]) AS bad;
SELECT throws_ok($$SELECT cano.observe('x', 't_observers.nothing')$$, 'CN001', 'function "t_observers.nothing" of observer "x" does not exist', 'the message names both');
SELECT throws_ok($$SELECT cano.observe('x', 't_observers.whole', ARRAY['started'])$$, 'CN001', 'event "started" does not exist', 'and an event that is none');
CREATE FUNCTION t_observers.odd(run_id bigint, workflow text) RETURNS void LANGUAGE sql AS '';
SELECT throws_ok($$SELECT cano.observe('x', 't_observers.odd')$$, 'CN001',
	'function "t_observers.odd" of observer "x" has a parameter "workflow", which is no column of cano.events', 'parameters are columns, nothing else');
SELECT is_empty('SELECT * FROM cano.observers', 'what was refused is not there');

-- told
SELECT cano.observe('t_observers.1', 't_observers.whole') AS x, cano.observe('t_observers.2', 't_observers.named') AS y \gset
SELECT results_eq($$SELECT name, run, events, workflow, owner FROM cano.observers ORDER BY name$$,
	$$VALUES ('t_observers.1' COLLATE "C", 't_observers.whole', NULL::text[], NULL::text COLLATE "C", current_user),
		('t_observers.2', 't_observers.named', NULL, NULL, current_user)$$, 'cano.observers shows them');
SELECT cano.submit('t_observers') AS run \gset
CALL cano.work();
SELECT is(pg_temp.seen(:run, 'whole'), 'state_enter, checkpoint, task_start, task_success, state_enter, checkpoint, ended', 'an observer is told of every event');
SELECT is(pg_temp.seen(:run, 'named'), pg_temp.seen(:run, 'whole'), 'each of them is');
SELECT is((SELECT string_agg(left(who, 1), '' ORDER BY n) FROM t_observers.seen), repeat('wn', 7), 'of every event first who was registered first');
SELECT is((SELECT jsonb_agg(told - 'recorded_at' ORDER BY n) FROM t_observers.seen WHERE who = 'whole'),
	(SELECT jsonb_agg(to_jsonb(e) - 'recorded_at' ORDER BY ordinal) FROM cano.events AS e WHERE run_id = :run), 'the object has the columns of cano.events');
SELECT is((SELECT array_agg((told ->> 'recorded_at')::timestamptz ORDER BY n) FROM t_observers.seen WHERE who = 'whole'),
	(SELECT array_agg(recorded_at ORDER BY ordinal) FROM cano.events WHERE run_id = :run), 'and their values');
SELECT is((SELECT told FROM t_observers.seen WHERE who = 'named' AND event = 'task_success'), '[4, "a", "t_observers.ok", null, 1, null, null, true, "default"]',
	'parameters are the columns of their names');
SELECT cano.submit('t_observers.bad') AS run \gset
CALL cano.work();
SELECT is((SELECT string_agg(concat_ws(' ', event, told -> 'ordinal'), ', ' ORDER BY n) FROM t_observers.seen WHERE run = :run AND who = 'whole'),
	'state_enter null, checkpoint null, task_start null, retry 1, task_failure 2, ended 3', 'what is not kept is told without a number');

-- some events of some runs
SELECT cano.observe('t_observers.2', 't_observers.named', ARRAY['retry', 'ended'], 't_observers.bad') AS x \gset
SELECT cano.submit('t_observers.bad') AS bad, cano.submit('t_observers') AS good \gset
CALL cano.work();
SELECT is(pg_temp.seen(:bad, 'named'), 'retry, ended', 'an observer that was changed is told of the events that it wants');
SELECT is(pg_temp.seen(:good, 'named'), NULL, 'of runs of the workflow that it wants');
SELECT is((SELECT string_agg(left(who, 1), '' ORDER BY n) FROM t_observers.seen WHERE run = :bad AND event = 'ended'), 'wn', 'and keeps its place');
SELECT is((SELECT told ->> 6 FROM t_observers.seen WHERE who = 'named' AND run = :bad AND event = 'retry'),
	'{"message": "bad", "category": "task_execution", "sqlstate": "P0001"}', 'with the error in detail');
SELECT lives_ok($$SELECT cano.observe('t_observers.2', 't_observers.whole', workflow => 't_observers.later')$$, 'the workflow may be defined later');
SELECT ok(cano.unobserve('t_observers.2'), 'unobserve removes one');
SELECT ok(NOT cano.unobserve('t_observers.2'), 'and says false if there is none');

-- errors
SELECT cano.observe('t_observers.0', 't_observers.raises') AS x \gset
SELECT cano.submit('t_observers') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'an error of an observer harms no run');
SELECT is((SELECT count(*) FROM t_observers.seen WHERE who = 'raises'), 0::bigint, 'what it did is undone');
SELECT is(pg_temp.seen(:run, 'whole'), 'state_enter, checkpoint, task_start, task_success, state_enter, checkpoint, ended', 'the others are told all the same');
SELECT is((SELECT count(*) FROM cano.attempts WHERE run_id = :run), 0::bigint, 'no attempt failed');
DROP FUNCTION t_observers.raises(jsonb);
SELECT cano.submit('t_observers') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'nor does one that is gone');
SELECT cano.unobserve('t_observers.0') AS x \gset

-- with the step
CREATE TABLE t_observers.late (run bigint PRIMARY KEY DEFERRABLE INITIALLY DEFERRED);
CREATE FUNCTION t_observers.twice(run_id bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t_observers.late VALUES (run_id), (run_id);
END $$;
SELECT cano.observe('t_observers.3', 't_observers.twice', ARRAY['task_start']) AS x \gset
SELECT cano.submit('t_observers') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run) || ' ' || (SELECT count(*) FROM t_observers.late), 'completed 0', 'a constraint that it breaks at the commit is its own error');
CREATE FUNCTION t_observers.context(run_id bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t_observers.seen (who, run, event) VALUES ('context', run_id, cano.run_id()::text);
EXCEPTION WHEN OTHERS THEN
	INSERT INTO t_observers.seen (who, run, event) VALUES ('context', run_id, sqlstate);
END $$;
SELECT cano.observe('t_observers.3', 't_observers.context', ARRAY['task_start']) AS x \gset
SELECT cano.submit('t_observers') AS run \gset
CALL cano.work();
SELECT is(pg_temp.seen(:run, 'context'), 'CN002', 'an observer is not a task: what those may ask raises an error');
CREATE FUNCTION t_observers.litters() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('search_path', 'nowhere', false), set_config('work_mem', '123kB', false), pg_advisory_lock(770);
	CREATE TEMP TABLE t_observers_litter ();
	PREPARE t_observers_litter AS SELECT 1;
END $$;
CREATE FUNCTION t_observers.litters(event text) RETURNS void LANGUAGE sql AS 'SELECT t_observers.litters()';
SELECT cano.observe('t_observers.3', 't_observers.litters(text)', ARRAY['task_start', 'ended']) AS x \gset
SELECT cano.submit('t_observers') AS run \gset
CALL cano.work();
SELECT is(concat_ws(' ', pg_temp.status(:run), current_setting('work_mem') = '123kB', to_regclass('pg_temp.t_observers_litter'),
	(SELECT count(*) FROM pg_prepared_statements WHERE name = 't_observers_litter'), (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 770)),
	'completed f 0 0', 'it leaves nothing in its session');
CREATE FUNCTION t_observers.becomes() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('lock_timeout', '0', true), set_config('role', 't_observers_bob', false);
	INSERT INTO t_observers.seen (who, event) VALUES ('role', current_user);
END $$;
SELECT cano.observe('t_observers.3', 't_observers.becomes', ARRAY['task_start']) AS x \gset
SELECT cano.submit('t_observers') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run) || ' ' || (current_user = session_user), 'completed true', 'not even another role');
SELECT cano.unobserve('t_observers.3') AS x \gset

-- whose runs
CREATE FUNCTION t_observers.alices(event text, run_id bigint) RETURNS void LANGUAGE sql AS
	$$INSERT INTO t_observers.seen (who, run, event) VALUES ('alice', run_id, event)$$;
REVOKE EXECUTE ON FUNCTION t_observers.alices FROM PUBLIC;
SET SESSION AUTHORIZATION t_observers_alice;
SELECT throws_ok($$SELECT cano.observe('t_observers.4', 't_observers.alices')$$, 'CN001',
	'function "t_observers.alices" of observer "t_observers.4" may not be executed by whoever registers it', 'whoever registers it must be able to call it');
RESET SESSION AUTHORIZATION;
GRANT EXECUTE ON FUNCTION t_observers.alices TO t_observers_alice;
SET SESSION AUTHORIZATION t_observers_alice;
SELECT cano.observe('t_observers.4', 't_observers.alices') AS x, cano.submit('t_observers') AS alices \gset
CALL cano.work();
SET SESSION AUTHORIZATION t_observers_bob;
SELECT cano.submit('t_observers') AS bobs \gset
CALL cano.work();
SELECT is_empty('SELECT * FROM cano.observers', 'everybody sees his own observers');
SELECT throws_ok($$SELECT cano.observe('t_observers.4', 't_observers.whole')$$, '42501', NULL, 'nobody else may change one');
SELECT throws_ok($$SELECT cano.unobserve('t_observers.4')$$, '42501', 'must be owner of observer "t_observers.4"', 'or remove it');
RESET SESSION AUTHORIZATION;
SELECT is(pg_temp.seen(:alices, 'alice') IS NOT NULL, true, 'an observer is told of runs of its owner');
SELECT is(pg_temp.seen(:bobs, 'alice'), NULL, 'of nobody else''s');
SELECT is((SELECT array_agg(DISTINCT role || ' ' || run ORDER BY role || ' ' || run) FROM t_observers.seen WHERE who = 'whole' AND run IN (:alices, :bobs)),
	ARRAY['t_observers_alice ' || :alices, 't_observers_bob ' || :bobs], 'a superuser''s is told of all, with the rights of the run');
SET SESSION AUTHORIZATION t_observers_member;
SELECT cano.submit('t_observers') AS run \gset
CALL cano.work();
RESET SESSION AUTHORIZATION;
SELECT is(pg_temp.seen(:run, 'alice'), NULL, 'a member''s runs are not the role''s');
SET SESSION AUTHORIZATION t_observers_member;
SELECT lives_ok($$SELECT cano.observe('t_observers.4', 't_observers.whole', ARRAY['ended'])$$, 'a member may change it');
RESET SESSION AUTHORIZATION;
SELECT is((SELECT owner::text FROM cano.observers WHERE name = 't_observers.4'), 't_observers_alice', 'it stays its owner''s');
SELECT lives_ok($$SELECT cano.observe('t_observers.4', 't_observers.alices')$$, 'a superuser may, too');
SET SESSION AUTHORIZATION t_observers_member;
SELECT ok(cano.unobserve('t_observers.4'), 'and remove it');
RESET SESSION AUTHORIZATION;
SELECT cano.observe('t_observers.4', 't_observers.alices') AS x \gset
SET SESSION AUTHORIZATION t_observers_bob;
SELECT cano.submit('t_observers') AS bobs \gset
CALL cano.work();
RESET SESSION AUTHORIZATION;
SELECT is(concat_ws(' ', pg_temp.status(:bobs), pg_temp.seen(:bobs, 'alice')), 'completed', 'one that the run may not call is an error that harms nobody');

-- one that cancels its run
CREATE FUNCTION t_observers.cancels(run_id bigint) RETURNS boolean LANGUAGE sql AS $$SELECT cano.cancel(run_id, 'seen')$$;
SELECT cano.define('t_observers.two', cano.task('a', 't_observers.ok', next => 'b'), cano.task('b', 't_observers.ok', next => 'end'), cano.exit('end')) AS v,
	cano.observe('t_observers.5', 't_observers.cancels', ARRAY['task_success'], 't_observers.two') AS x \gset
SELECT min(cano.submit('t_observers.two')) AS first FROM generate_series(1, 10) \gset
CALL cano.work();
SELECT is((SELECT string_agg(DISTINCT concat_ws(' ', status, state, cancel_reason), ', ') FROM cano.runs WHERE run_id >= :first), 'cancelled b seen',
	'an observer can cancel its run');
SELECT cano.observe('t_observers.5', 't_observers.cancels', ARRAY['ended'], 't_observers.two') AS x, cano.submit('t_observers.two') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'but not when it has ended');
SELECT is_empty('SELECT FROM cano._stop', 'nobody is still to be stopped');
SELECT cano.unobserve('t_observers.5') AS x \gset

-- a registration that was rolled back
SELECT cano.unobserve('t_observers.1') AS x, cano.unobserve('t_observers.4') AS y \gset
BEGIN;
SELECT cano.observe('t_observers.1', 't_observers.whole') AS x \gset
ROLLBACK;
SELECT cano.submit('t_observers') AS run \gset
CALL cano.work();
SELECT is(pg_temp.seen(:run, 'whole'), NULL, 'a registration that was rolled back is none');

SELECT * FROM finish();
DROP SCHEMA t_observers CASCADE;
DROP OWNED BY t_observers_alice, t_observers_bob, t_observers_member;
DROP ROLE t_observers_member, t_observers_alice, t_observers_bob;
