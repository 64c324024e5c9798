-- The time that a whole run may take.
\ir lib/start.psql
SELECT plan(37);

CREATE SCHEMA t_limit;
CREATE SEQUENCE t_limit.calls;
CREATE TABLE t_limit.effect (run bigint);
CREATE FUNCTION t_limit.rest() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('t_limit.calls'); END $$;
CREATE FUNCTION t_limit.fails() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no luck'; END $$;
CREATE FUNCTION t_limit.asks() RETURNS cano.outcome LANGUAGE sql AS $$ SELECT cano.pending('1 hour') $$;
CREATE FUNCTION t_limit.walks(cursor jsonb) RETURNS cano.outcome LANGUAGE sql AS $$ SELECT cano.more('1', delay => '4 minutes') $$;
CREATE FUNCTION t_limit.lasts(seconds float8) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM nextval('t_limit.calls');
	INSERT INTO t_limit.effect VALUES (cano.run_id());
	PERFORM pg_sleep(seconds); -- lasts: a task that takes too long
END $$;

CREATE FUNCTION pg_temp.line(run bigint) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', r.status, r.state, r.waiting_for) FROM cano.runs AS r WHERE r.run_id = $1 $$;
-- what is left of all runs beside themselves and their logs
CREATE FUNCTION pg_temp.left_over() RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', (SELECT count(*) FROM cano._job), (SELECT count(*) FROM cano._timer), (SELECT count(*) FROM cano._stop)) $$;

-- wherever a run waits
SELECT cano.define('t_limit.' || name, VARIADIC parts || ARRAY[cano.exit('end'), cano.options(timeout => '10 minutes')]) AS v,
	cano.submit('t_limit.' || name) AS run
FROM (VALUES
	('timer', ARRAY[cano.timer('s', delay => '1 day', next => 'end')]),
	('signal', ARRAY[cano.receive('s', 'go', next => 'end')]),
	('late_signal', ARRAY[cano.receive('s', 'go', next => 'end', timeout => '1 hour', on_timeout => 'end')]),
	('retry', ARRAY[cano.task('s', 't_limit.fails', next => 'end', retry => cano.fixed(5, '1 hour'))]),
	('poll', ARRAY[cano.poll('s', 't_limit.asks', next => 'end')]),
	('steps', ARRAY[cano.stepped('s', 't_limit.walks', next => 'end')]),
	('branches', ARRAY[cano.split('s', ARRAY[cano.branch('t_limit.rest'), cano.branch('t_limit.fails', retry => cano.fixed(5, '1 hour'))], next => 'end')])) AS v (name, parts) \g /dev/null
CALL cano.work();
SELECT is((SELECT count(*) FROM cano.runs WHERE status = 'waiting'), 7::bigint, 'runs wait for many things');
SELECT is((SELECT next_at FROM cano.runs WHERE workflow = 't_limit.signal'), NULL, 'the end of their time is not one of these');
SELECT pg_temp.later('9 minutes') AS x \gset
CALL cano.work();
SELECT is((SELECT count(*) FROM cano.runs WHERE status = 'waiting'), 7::bigint, 'until their time is over');
SELECT pg_temp.later('61 seconds') AS x \gset
CALL cano.work();
SELECT is(concat_ws(' ', pg_temp.line(run_id), pg_temp.error(run_id, 'category'), pg_temp.error(run_id, 'sqlstate'), pg_temp.error(run_id, 'state')),
	'failed s workflow_timeout CN011 s', 'then they fail: ' || workflow) FROM cano.runs ORDER BY run_id;
SELECT matches(pg_temp.error(min(run_id), 'message'), 'Workflow timeout.* 600000 ms', 'the message says why') FROM cano.runs;
SELECT is((SELECT count(*) FROM cano.dead_letters), 0::bigint, 'they are no dead letters');
SELECT is((SELECT string_agg(status, ' ' ORDER BY branch) FROM cano.branches), 'completed cancelled', 'branches are cancelled');
SELECT is(pg_temp.left_over(), '0 0 0', 'nothing is left of them');

-- in time
SELECT cano.define('t_limit.short', cano.task('a', 't_limit.rest', next => 't'), cano.timer('t', delay => '5 minutes', next => 'end'),
	cano.exit('end'), cano.options(timeout => '10 minutes')) AS v \gset
SELECT cano.submit('t_limit.short', key => 'k') AS run1 \gset
CALL cano.work();
SELECT is((SELECT count(*) FROM cano._timer WHERE run = :run1), 2::bigint, 'a limited time is a timer beside the others');
SELECT pg_temp.later('6 minutes') AS x \gset
CALL cano.work();
SELECT is(pg_temp.status(:run1), 'completed', 'a run that ends in time has not noticed');
SELECT is(pg_temp.left_over(), '0 0 0', 'the timer is gone');
SELECT cano.submit('t_limit.short') AS run1 \gset
CALL cano.work();
SELECT cano.cancel(:run1) AS x \gset
CALL cano.work();
SELECT is(pg_temp.status(:run1) || ' ' || pg_temp.left_over(), 'cancelled 0 0 0', 'so it is for a run that is cancelled');
SELECT count(*) AS n FROM cano.submit_many('t_limit.short', array_fill('{}'::jsonb, ARRAY[5])) \gset
CALL cano.work();
SELECT is((SELECT count(*) FROM cano._timer WHERE waiting = 'd'), 5::bigint, 'of many that are submitted at once each has its own time');
SELECT pg_temp.later('20 minutes') AS x \gset
CALL cano.work();
SELECT is((SELECT count(*) FROM cano.runs WHERE workflow = 't_limit.short' AND pg_temp.error(run_id, 'category') = 'workflow_timeout'), 5::bigint,
	'both times may be over at once');
SELECT is(pg_temp.left_over(), '0 0 0', 'nothing is left of them');

-- before it begins
SELECT cano.submit('t_limit.short') AS run1 \gset
SELECT pg_temp.calls('t_limit.calls') AS calls \gset
SELECT pg_temp.later('11 minutes') AS x \gset
CALL cano.work();
SELECT is(pg_temp.line(:run1) || ' ' || pg_temp.error(:run1, 'category'), 'failed a workflow_timeout', 'a run that nobody began in time fails');
SELECT is(pg_temp.calls('t_limit.calls'), :'calls'::bigint, 'its task is not called');
SELECT cano.submit('t_limit.short', run_at => now() + (SELECT setting::int * interval '1 ms' FROM pg_settings WHERE name = 'cano.debug_clock')
	+ interval '1 hour') AS run1 \gset
CALL cano.work();
SELECT pg_temp.later('59 minutes') AS x \gset
CALL cano.work();
SELECT is(pg_temp.line(:run1), 'waiting a schedule', 'time begins at run_at');
SELECT pg_temp.later('2 minutes') AS x \gset
CALL cano.work();
SELECT is(pg_temp.line(:run1), 'waiting t timer', 'the run begins');
SELECT pg_temp.later('10 minutes') AS x \gset
CALL cano.work();
SELECT is(pg_temp.error(:run1, 'category'), 'workflow_timeout', 'and is over after its time');

-- while a task runs
SELECT cano.define('t_limit.works', cano.task('a', 't_limit.lasts', next => 'end'), cano.exit('end'), cano.options(timeout => '50 ms')) AS v \gset
SELECT pg_temp.calls('t_limit.calls') AS calls \gset
SELECT cano.submit('t_limit.works', '{"seconds": 60}') AS run1 \gset
CALL cano.work();
SELECT is(pg_temp.status(:run1), 'failed', 'test_workflow_timeout: the run fails');
SELECT matches(pg_temp.error(:run1, 'message'), 'Workflow timeout', 'test_workflow_timeout: the text says so');
SELECT is(pg_temp.error(:run1, 'category'), 'workflow_timeout', 'test_workflow_timeout: so does the category');
SELECT ok(ended_at - submitted_at < '30 s', 'test_workflow_timeout: the task is interrupted') FROM cano.runs WHERE run_id = :run1;
SELECT is((SELECT count(*) FROM t_limit.effect), 0::bigint, 'test_workflow_timeout: and had no effect');
SELECT is(pg_temp.left_over(), '0 0 0', 'test_workflow_timeout: nothing is left of it');
SELECT cano.define('t_limit.tries', cano.task('a', 't_limit.lasts', next => 'end', timeout => '20 ms', retry => cano.fixed(100000, '1 ms')),
	cano.exit('end'), cano.options(timeout => '400 ms')) AS v \gset
\set ON_ERROR_STOP off
CALL cano.orchestrate('t_limit.tries', '{"seconds": 60}');
SELECT is(:'SQLSTATE'::text, 'CN011', 'tries that take too long each end with the run');
SELECT cmp_ok((SELECT count(*) FROM cano.attempts JOIN cano.runs USING (run_id) WHERE workflow = 't_limit.tries' AND sqlstate = 'CN005'), '>', 1::bigint,
	'each of them was a try of its own');
SELECT cano.define('t_limit.signal_soon', cano.receive('s', 'go', next => 'end'), cano.exit('end'), cano.options(timeout => '50 ms')) AS v \gset
CALL cano.orchestrate('t_limit.signal_soon');
SELECT is(:'SQLSTATE'::text, 'CN011', 'a session that waits for a run is there at the end of its time');
SELECT is(pg_temp.left_over(), '0 0 0', 'nothing is left of them');
\set ON_ERROR_STOP on

-- without
SELECT cano.define('t_limit.free', cano.receive('s', 'go', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_limit.free') AS run1 \gset
CALL cano.work();
SELECT pg_temp.later('10 days') AS x \gset
CALL cano.work();
SELECT is(pg_temp.status(:run1), 'waiting', 'a run without a timeout may wait for ever');

SELECT * FROM finish();
DROP SCHEMA t_limit CASCADE;
