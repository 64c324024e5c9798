-- Schedules, as far as they are not pg_cron's: what is refused, what becomes of a
-- firing while an earlier run has not ended, and whose they are.  Rows that
-- only pg_cron lets be made are made by hand; with it see t/085_schedules.pl.
\ir lib/start.psql
SELECT plan(64);

CREATE ROLE t_schedules_alice LOGIN;
CREATE ROLE t_schedules_bob LOGIN;
CREATE ROLE t_schedules_mute NOLOGIN;
SELECT cano.grant_usage('t_schedules_alice'), cano.grant_usage('t_schedules_bob'), cano.grant_usage('t_schedules_mute') \g /dev/null
CREATE SCHEMA t_schedules;
GRANT USAGE ON SCHEMA t_schedules TO PUBLIC;
CREATE FUNCTION t_schedules.fail(fail boolean DEFAULT false) RETURNS void LANGUAGE plpgsql AS $$BEGIN IF fail THEN RAISE 'told to'; END IF; END $$;
CREATE FUNCTION t_schedules.act() RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION t_schedules.undo(attempt integer) RETURNS void LANGUAGE plpgsql AS $$BEGIN IF attempt = 1 THEN RAISE 'not yet'; END IF; END $$;
SELECT cano.define('t_schedules', cano.receive('wait', 'go', next => 'end'), cano.exit('end'), cano.options(timeout => '1 hour')),
	cano.define('t_schedules.saga', cano.task('a', 't_schedules.act', compensate => 't_schedules.undo', compensate_retry => cano.fixed(1, '10 min'), next => 'b'),
		cano.receive('b', 'go', next => 'c'), cano.task('c', 't_schedules.fail', next => 'end', retry => cano.none()), cano.exit('end')),
	cano.define('t_schedules.fails', cano.receive('b', 'go', next => 'c'), cano.task('c', 't_schedules.fail', next => 'end', retry => cano.none()),
		cano.exit('end')),
	cano.define('t_schedules.one', cano.receive('wait', 'go', next => 'end'), cano.exit('end'), cano.options(concurrency => 1)),
	cano.define('t_schedules.prepared', cano.receive('wait', 'go', next => 'end'), cano.exit('end'),
		cano.options(resources => ARRAY[cano.with_resource('r', setup => 't_schedules.act')])) \g /dev/null

-- A schedule of hers; returns its number.
CREATE FUNCTION t_schedules.make(name text, overlap text, workflow text DEFAULT 't_schedules', input jsonb DEFAULT '{}', elsewhere boolean DEFAULT false)
RETURNS bigint LANGUAGE sql AS $$
	INSERT INTO cano._schedule (name, id, owner, owner_name, origin, workflow, cron, overlap, input)
	SELECT name, nextval('cano._schedule_id'), 't_schedules_alice'::regrole, 't_schedules_alice', e.origin + elsewhere::integer,
		workflow, '0 3 * * *', left(overlap, 1)::"char", input
	FROM cano._engine() AS e
	RETURNING id
$$;
CREATE FUNCTION pg_temp.story(VARIADIC runs bigint[]) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(' ', r.status, r.waiting_for), ', ' ORDER BY r.run_id) FROM cano.runs AS r WHERE r.run_id = ANY (runs)
$$;
SELECT t_schedules.make('skip', 'skip') AS skip, t_schedules.make('queue', 'queue') AS queue, t_schedules.make('allow', 'allow') AS allow,
	t_schedules.make('saga', 'queue', 't_schedules.saga', '{"fail": true}') AS saga, t_schedules.make('resumed', 'skip', 't_schedules.fails', '{"fail": true}') AS resumed,
	t_schedules.make('one', 'queue', 't_schedules.one') AS one, t_schedules.make('prepared', 'queue', 't_schedules.prepared') AS prepared,
	t_schedules.make('elsewhere', 'skip', elsewhere => true) AS elsewhere, t_schedules.make('gone', 'skip', 't_schedules.gone') AS gone \gset

-- what is refused
SET SESSION AUTHORIZATION t_schedules_alice;
SELECT throws_ok(format('SELECT cano.schedule(%s)', bad), CASE WHEN bad LIKE '%nowhere%' THEN 'CN404' ELSE 'CN001' END, NULL, bad || ' is refused')
FROM unnest(ARRAY[$$NULL, '0 3 * * *', 't_schedules'$$, $$'', '0 3 * * *', 't_schedules'$$, $$repeat('x', 1001), '0 3 * * *', 't_schedules'$$,
	$$'x', NULL, 't_schedules'$$, $$'x', '0 3 * * *', NULL$$, $$'x', '0 3 * * *', 'nowhere'$$, $$'x', '0 3 * * *', 't_schedules', NULL$$,
	$$'x', '0 3 * * *', 't_schedules', '[]'$$, $$'x', '0 3 * * *', 't_schedules', overlap => 'replace'$$, $$'x', '0 3 * * *', 't_schedules', overlap => NULL$$]) AS bad;
SELECT throws_ok($$SELECT cano.schedule('x', '0 3 * * *', 't_schedules', overlap => 'replace')$$, 'CN001', 'a schedule''s overlap must be "skip", "queue" or "allow"',
	'the message says what there is');
SELECT throws_ok($$SELECT cano.schedule('x', '0 3 * * *', 't_schedules')$$, '55000',
	format('extension "pg_cron" is not installed in database "%s"', current_database()), 'without pg_cron there are no schedules');
SELECT throws_ok($$SELECT cano.unschedule('x')$$, '55000', NULL, 'nor anything to remove');
SELECT throws_ok($$SELECT cano.unschedule(NULL)$$, 'CN001', NULL, 'nothing cannot be removed');
RESET SESSION AUTHORIZATION;
SET ROLE t_schedules_mute;
SELECT throws_ok($$SELECT cano.schedule('x', '0 3 * * *', 't_schedules')$$, '42501', NULL, 'a role that could not run it cannot schedule it');
RESET ROLE;

-- Somebody stands in for pg_cron.
CREATE SCHEMA cron;
CREATE TABLE cron.job (jobid bigint, schedule text, command text, database text, username text, active boolean);
INSERT INTO cron.job VALUES (1, '', format('SELECT cano._fire(%s)', :skip), current_database(), 't_schedules_alice', true);
CREATE FUNCTION cron.schedule(text, text, text) RETURNS bigint LANGUAGE plpgsql AS $$BEGIN RAISE 'trapped'; END $$;
CREATE FUNCTION cron.unschedule(bigint) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE 'trapped'; END $$;
GRANT ALL ON SCHEMA cron TO PUBLIC;
GRANT ALL ON cron.job TO PUBLIC;
SET SESSION AUTHORIZATION t_schedules_alice;
SELECT throws_ok($$SELECT cano.schedule('x', '0 3 * * *', 't_schedules')$$, '55000', NULL, 'a schema of that name is not pg_cron');
SELECT is((SELECT active FROM cano.schedules WHERE name = 'skip'), false, 'nor is a table');

-- skip
SELECT results_eq($$SELECT name, cron, workflow, input, overlap, active, last_run_id, last_fired_at, owner FROM cano.schedules WHERE name = 'saga'$$,
	$$VALUES ('saga' COLLATE "C", '0 3 * * *', 't_schedules.saga' COLLATE "C", '{"fail": true}'::jsonb, 'queue', false, NULL::bigint, NULL::timestamptz, 't_schedules_alice'::name)$$,
	'cano.schedules shows what there is');
SELECT cano._fire(:skip) AS run \gset
SELECT results_eq('SELECT workflow, input, status, role FROM cano.runs WHERE run_id = ' || :run,
	$$VALUES ('t_schedules' COLLATE "C", '{}'::jsonb, 'queued', 't_schedules_alice'::name)$$, 'a schedule that fires submits a run of its owner''s');
SELECT is((SELECT last_run_id FROM cano.schedules WHERE name = 'skip'), :run::bigint, 'which is the schedule''s last');
SELECT last_fired_at AS fired_at FROM cano.schedules WHERE name = 'skip' \gset
SELECT is(cano._fire(:skip), NULL, 'skip: while it has not begun, no other one is submitted');
CALL cano.work();
SELECT is(cano._fire(:skip), NULL, 'nor while it waits');
SELECT ok(last_fired_at > :'fired_at' AND last_run_id = :run, 'that it has fired is noted all the same') FROM cano.schedules WHERE name = 'skip';
SELECT cano.signal(:run, 'go') AS x \gset
CALL cano.work();
SELECT isnt(cano._fire(:skip), NULL, 'after its end the next one is');
SELECT cano._fire(:resumed) AS run \gset
CALL cano.work();
SELECT cano.signal(:run, 'go') AS x \gset
CALL cano.work();
SELECT is(pg_temp.status(:run) || ' ' || cano.resume(:run, 'b', '{"fail": false}'), 'failed true', 'one that has failed is resumed');
SELECT is(cano._fire(:resumed), NULL, 'it counts again');
SELECT cano.signal(:run, 'go') AS x \gset
CALL cano.work();
SELECT isnt(cano._fire(:resumed), NULL, 'until it has ended again');

-- allow
SELECT cano._fire(:allow) AS a, cano._fire(:allow) AS b \gset
CALL cano.work();
SELECT is(pg_temp.story(:a, :b), 'waiting signal, waiting signal', 'allow: runs do not mind each other');

-- queue
SELECT cano._fire(:queue) AS a \gset
CALL cano.work();
SELECT cano._fire(:queue) AS b \gset
SELECT is(cano._fire(:queue), NULL, 'queue: one waits, and no more');
CALL cano.work();
SELECT is(pg_temp.story(:a, :b), 'waiting signal, waiting schedule', 'the second waits for the end of the first');
SELECT is(pg_temp.rows(:b), '0 wait', 'before its first state');
SELECT is((SELECT next_at FROM cano.runs WHERE run_id = :b), NULL, 'for as long as that takes');
CALL cano.work();
SELECT is(cano._fire(:queue), NULL, 'also when it is looked at again');
SELECT cano.signal(:a, 'go') AS x, cano.signal(:b, 'go') AS y \gset
SELECT cano._fire(:queue) AS none \gset
CALL cano.work();
SELECT is(pg_temp.story(:a, :b), 'completed, completed', 'and begins with it');
SELECT ok((SELECT b.ended_at >= a.ended_at FROM cano.runs AS a, cano.runs AS b WHERE a.run_id = :a AND b.run_id = :b), 'not sooner');
SELECT cano._fire(:queue) AS a \gset
SELECT cano._fire(:queue) AS b \gset
CALL cano.work();
SELECT is(pg_temp.story(:a, :b), 'waiting signal, waiting schedule', 'two that are found at once begin one after the other');
SELECT cano.cancel(:a) AS x \gset
CALL cano.work();
SELECT is(pg_temp.story(:a, :b), 'cancelled, waiting signal', 'the end of a run that is cancelled is an end');
SELECT cano._fire(:queue) AS c \gset
CALL cano.work();
SELECT cano.cancel(:c, 'enough') AS x \gset
CALL cano.work();
SELECT is(pg_temp.story(:b, :c), 'waiting signal, cancelled', 'one that waits can be cancelled');
SELECT cano._fire(:queue) AS d \gset
SELECT is(pg_temp.story(:d), 'queued', 'it leaves its place to another one');
CALL cano.work();
RESET SESSION AUTHORIZATION;
SELECT pg_temp.later('59 minutes') AS x \gset
SET SESSION AUTHORIZATION t_schedules_alice;
CALL cano.work();
SELECT is(pg_temp.story(:b, :d), 'waiting signal, waiting schedule', 'waiting takes its time');
RESET SESSION AUTHORIZATION;
SELECT pg_temp.later('2 minutes') AS x \gset
SET SESSION AUTHORIZATION t_schedules_alice;
CALL cano.work();
SELECT is(pg_temp.error(:b, 'category') || ' ' || pg_temp.error(:d, 'category'), 'workflow_timeout workflow_timeout', 'which is the run''s');

-- the end of a rollback, and what comes before the first state
SELECT cano._fire(:saga) AS a \gset
SELECT cano._fire(:saga) AS b \gset
CALL cano.work();
SELECT is(pg_temp.story(:a, :b), 'waiting signal, waiting schedule', 'a saga and the next one');
SELECT cano.signal(:a, 'go') AS x \gset
CALL cano.work();
SELECT is(pg_temp.story(:a, :b), 'compensating, waiting schedule', 'a run that is rolled back has not ended');
RESET SESSION AUTHORIZATION;
SELECT pg_temp.later('11 minutes') AS x \gset
SET SESSION AUTHORIZATION t_schedules_alice;
CALL cano.work();
SELECT is(pg_temp.story(:a, :b), 'failed, waiting signal', 'when it has, the next one begins');
SELECT cano._fire(:prepared) AS a \gset
SELECT cano._fire(:prepared) AS b \gset
CALL cano.work();
SELECT is(pg_temp.story(:a, :b), 'waiting signal, waiting schedule', 'who waits sets up no resources');
SELECT cano.signal(:a, 'go') AS x \gset
CALL cano.work();
SELECT is(pg_temp.story(:a, :b), 'completed, waiting signal', 'before it is its turn');

-- with a limit of the workflow's own
SELECT cano.submit('t_schedules.one') AS other \gset
CALL cano.work();
SELECT cano._fire(:one) AS a \gset
SELECT cano._fire(:one) AS b \gset
CALL cano.work();
SELECT is(pg_temp.story(:other, :a, :b), 'waiting signal, queued, waiting schedule', 'the workflow''s limit counts, too');
SELECT cano.signal(:other, 'go') AS x \gset
CALL cano.work();
SELECT is(pg_temp.story(:a, :b), 'waiting signal, waiting schedule', 'whose turn it is goes first');
SELECT cano.signal(:a, 'go') AS x \gset
CALL cano.work();
SELECT is(pg_temp.story(:a, :b), 'completed, waiting signal', 'and the next one after it');
SELECT cano._fire(:one) AS c \gset
CALL cano.work();
RESET SESSION AUTHORIZATION;

-- whose it is
SET SESSION AUTHORIZATION t_schedules_bob;
SELECT is_empty('SELECT * FROM cano.schedules', 'others do not see it');
SELECT throws_ok(format('SELECT cano._fire(%s)', :allow), 'CN404', format('schedule %s does not exist', :allow), 'nor can they let it fire');
SELECT throws_ok('SELECT cano._fire(4242)', 'CN404', 'schedule 4242 does not exist', 'and cannot tell it from one that is not there');
SELECT throws_ok($$SELECT cano.unschedule('one')$$, '42501', 'must be owner of schedule "one"', 'nor may they remove it');
RESET SESSION AUTHORIZATION;
SELECT throws_ok(format('SELECT cano._fire(%s)', :allow), 'CN404', NULL, 'a superuser would submit a run of his own: it is refused to him, too');
GRANT t_schedules_alice TO t_schedules_bob;
SET SESSION AUTHORIZATION t_schedules_bob;
SELECT throws_ok($$SELECT cano.unschedule('one')$$, '42501', 'must be owner of schedule "one"', 'a member of that role');
SET ROLE t_schedules_alice;
SELECT ok(cano.unschedule('one'), 'becomes that role');
SELECT is_empty($$SELECT * FROM cano.schedules WHERE name = 'one'$$, 'and removes it, also when pg_cron has gone');
SELECT cano.signal(:b, 'go') AS x \gset
CALL cano.work();
SELECT is(pg_temp.story(:b, :c), 'completed, waiting signal', 'whoever waits has his turn all the same');
RESET ROLE;
RESET SESSION AUTHORIZATION;

-- what cannot be submitted
SET SESSION AUTHORIZATION t_schedules_alice;
SELECT throws_ok(format('SELECT cano._fire(%s)', :elsewhere), '55000', 'schedule "elsewhere" belongs to another database', 'in a copy nothing fires');
SELECT throws_ok(format('SELECT cano._fire(%s)', :gone), 'CN404', 'workflow "t_schedules.gone" does not exist', 'what cannot be submitted is an error of the job');
SELECT is((SELECT count(last_fired_at) FROM cano.schedules WHERE name IN ('elsewhere', 'gone')), 0::bigint, 'and nothing is noted');
RESET SESSION AUTHORIZATION;
SELECT cano.adopt() AS x \gset
SET SESSION AUTHORIZATION t_schedules_alice;
SELECT isnt(cano._fire(:elsewhere), NULL, 'until it is adopted');

-- nothing is left
SELECT cano.cancel(run_id) FROM cano.runs WHERE ended_at IS NULL \g /dev/null
CALL cano.work();
RESET SESSION AUTHORIZATION;
SELECT pg_temp.later('11 minutes') AS x \gset
SET SESSION AUTHORIZATION t_schedules_alice;
CALL cano.work();
RESET SESSION AUTHORIZATION;
SELECT is((SELECT count(*) FROM cano._turn) + (SELECT count(*) FROM cano._timer) + (SELECT count(*) FROM cano._job), 0::bigint, 'nothing is left of runs that have ended');
SELECT ok(cano.unschedule('skip'), 'a superuser may remove anybody''s');

SELECT * FROM finish();
SET client_min_messages = error;
DROP SCHEMA t_schedules, cron CASCADE;
SELECT cano.revoke_usage('t_schedules_alice'), cano.revoke_usage('t_schedules_bob'), cano.revoke_usage('t_schedules_mute') \g /dev/null
DROP ROLE t_schedules_alice, t_schedules_bob, t_schedules_mute;
