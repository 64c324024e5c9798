-- cano.metrics and cano.prometheus: what is counted, for whom, and how it is
-- written down.
\ir lib/start.psql
SELECT plan(48);

CREATE SCHEMA t_metrics;
GRANT USAGE ON SCHEMA t_metrics TO PUBLIC;
CREATE SEQUENCE t_metrics.tries;
CREATE TABLE t_metrics.late (n int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED);
CREATE FUNCTION t_metrics.act() RETURNS void LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE FUNCTION t_metrics.bad() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
CREATE FUNCTION t_metrics.panic() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'no' USING ERRCODE = 'XX000'; END $$;
CREATE FUNCTION t_metrics.late() RETURNS void LANGUAGE sql AS $$ INSERT INTO t_metrics.late VALUES (1), (1) $$;
CREATE FUNCTION t_metrics.third() RETURNS boolean LANGUAGE sql AS $$ SELECT nextval('t_metrics.tries') % 3 = 0 $$;
CREATE FUNCTION t_metrics.walk(cursor int DEFAULT 0) RETURNS cano.outcome LANGUAGE sql AS $$
	SELECT CASE WHEN coalesce(cursor, 0) < 4 THEN cano.more(to_jsonb(coalesce(cursor, 0) + 1)) ELSE cano.next() END $$;
CREATE FUNCTION t_metrics.load() RETURNS SETOF int LANGUAGE sql AS 'SELECT generate_series(1, 5)';
CREATE FUNCTION t_metrics.item(item int) RETURNS void LANGUAGE plpgsql AS $$ BEGIN IF item = 3 THEN RAISE 'no'; END IF; END $$;
CREATE FUNCTION t_metrics.route() RETURNS text LANGUAGE sql AS $$ SELECT 'end' $$;
GRANT ALL ON t_metrics.late TO PUBLIC;

-- A series as "label value: so many, ..."
CREATE FUNCTION pg_temp.told(name text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(': ', (SELECT string_agg(l.value, ' ' ORDER BY l.key) FROM jsonb_each_text(m.labels) l), m.value), ', ' ORDER BY m.labels)
	FROM cano.metrics() m WHERE m.name = $1 $$;

SELECT is((SELECT count(*) FROM cano.metrics()), 0::bigint, 'at first nothing is told');
SELECT is(cano.prometheus(), '', 'in no format');

-- Runs and states
SELECT cano.define('t_metrics.flow', cano.task('a', 't_metrics.act', next => 'r'), cano.router('r', 't_metrics.route', targets => '{end}'), cano.exit('end'));
SELECT count(*) FROM cano.submit_many('t_metrics.flow', array_fill('{}'::jsonb, ARRAY[10]));
SELECT is(pg_temp.told('cano_queue_depth'), 'queued t_metrics.flow: 10', 'runs are queued');
SELECT is(pg_temp.told('cano_workflow_active'), '10', 'and active');
CALL cano.work();
SELECT is(pg_temp.told('cano_workflow_runs_total'), 'completed: 10', 'runs that completed are counted');
SELECT is(pg_temp.told('cano_workflow_active'), '0', 'they are active no more');
SELECT is(pg_temp.told('cano_workflow_duration_seconds_count'), 'completed: 10', 'their time is, too');
SELECT is(pg_temp.told('cano_task_duration_seconds_count'), 'router r: 10, single a: 10', 'and that of visits');
SELECT is(pg_temp.told('cano_task_attempts_total'), 'completed: 20', 'attempts');
SELECT is(pg_temp.told('cano_checkpoint_appends_total'), 'ok: ' || (SELECT count(*) FROM cano.checkpoints), 'checkpoints');
SELECT is(pg_temp.told('cano_checkpoint_clears_total'), 'ok: 10', 'logs that are cleared');
SELECT is(pg_temp.told('cano_workflow_duration_seconds_bucket') LIKE '%+Inf completed: 10%', true, 'all are below infinity');
SELECT is((SELECT count(*) FROM cano.metrics() WHERE name LIKE 'cano_poll%'), 0::bigint, 'what never happened is absent');

-- What is rolled back never happened
SELECT cano.define('t_metrics.late', cano.task('a', 't_metrics.late', next => 'end', retry => cano.none()), cano.exit('end'));
SELECT cano.submit('t_metrics.late'), cano.submit('t_metrics.flow');
CALL cano.work();
SELECT is(pg_temp.told('cano_workflow_runs_total'), 'completed: 11, failed: 1', 'a batch that failed as a whole is counted as it was in the end');
SELECT is(pg_temp.told('cano_task_attempts_total'), 'completed: 22, failed: 1', 'so are its attempts');
SELECT is(pg_temp.told('cano_dead_letters'), '1', 'the dead are there');

-- All kinds
SELECT cano.define('t_metrics.kinds', cano.split('s', ARRAY[cano.branch('t_metrics.act'), cano.branch('t_metrics.bad', retry => cano.none())], join => cano.quorum(1), next => 't'),
	cano.split('t', ARRAY['t_metrics.act', 't_metrics.act', 't_metrics.act'], join => cano.any(), next => 'b'),
	cano.batch('b', 't_metrics.load', 't_metrics.item', next => 'w'), cano.stepped('w', 't_metrics.walk', next => 'p'),
	cano.poll('p', 't_metrics.third', next => 'c'), cano.child('c', 't_metrics.flow', next => 'x'), cano.external('x', queue => 't_metrics', next => 'end'), cano.exit('end'));
SELECT cano.submit('t_metrics.kinds');
CALL cano.work();
SELECT pg_temp.later('10 s');
CALL cano.work();
SELECT pg_temp.later('10 s');
CALL cano.work();
SELECT cano.complete(token) FROM cano.take('t_metrics');
CALL cano.work();
SELECT is(pg_temp.told('cano_workflow_runs_total'), 'completed: 13, failed: 1', 'a run of many kinds and its child completed');
SELECT is(pg_temp.told('cano_split_branch_results_total'), 'cancelled: 2, failure: 1, success: 2', 'branches are counted by what became of them');
SELECT is(pg_temp.told('cano_batch_items_total'), 'err: 1, ok: 4', 'items');
SELECT is(pg_temp.told('cano_batch_runs_total'), 'completed: 1', 'batches');
SELECT is(pg_temp.told('cano_step_iterations_total'), 'done: 1, more: 4', 'steps of stepped states');
SELECT is(pg_temp.told('cano_poll_iterations_total'), 'pending: 2, ready: 1', 'answers of polls');
SELECT is((SELECT string_agg(labels ->> 'kind', ' ' ORDER BY labels ->> 'kind') FROM cano.metrics() WHERE name = 'cano_task_duration_seconds_count' AND labels ->> 'state' <> 'a' AND labels ->> 'state' <> 'r'),
	'batch child external poll split split stepped', 'visits of each kind');

-- Rollbacks, cancellations, time-outs, resumptions
SELECT cano.define('t_metrics.saga', cano.task('a', 't_metrics.act', next => 'b', compensate => 't_metrics.act'),
	cano.task('b', 't_metrics.act', next => 'w', compensate => 't_metrics.bad', compensate_retry => cano.none()),
	cano.receive('w', signal => 'go', next => 'end'), cano.exit('end'), cano.options(timeout => '1 hour'));
SELECT cano.submit('t_metrics.saga') AS cancelled, cano.submit('t_metrics.saga') AS late \gset
CALL cano.work();
SELECT cano.cancel(:cancelled);
CALL cano.work();
SELECT pg_temp.later('2 hours');
CALL cano.work();
SELECT is(pg_temp.told('cano_workflow_runs_total'), 'cancelled: 1, completed: 13, failed: 2', 'a run that was cancelled is counted as such');
SELECT is(pg_temp.told('cano_compensations_run_total'), 'err: 2, ok: 2', 'compensations');
SELECT is(pg_temp.told('cano_compensation_drains_total'), 'partial: 2', 'rollbacks');
SELECT cano.define('t_metrics.abandoned', cano.receive('w', signal => 'go', next => 'end'), cano.exit('end'), cano.options(timeout => '1 hour', on_timeout => 'abandon'));
SELECT cano.submit('t_metrics.abandoned') AS run \gset
CALL cano.work();
SELECT pg_temp.later('2 hours');
CALL cano.work();
SELECT is(pg_temp.told('cano_workflow_runs_total'), 'cancelled: 1, completed: 13, failed: 2, timeout: 1', 'one that ran out of time is, too');
SELECT cano.resume(:run, 'end');
CALL cano.work();
SELECT is(pg_temp.told('cano_workflow_runs_total'), 'cancelled: 1, completed: 14, failed: 2, timeout: 1', 'resumed, it ends again');

-- What is an attempt, and what nobody is told of
SELECT pg_temp.told('cano_task_attempts_total') AS attempts, pg_temp.told('cano_split_branch_results_total') AS branches, pg_temp.told('cano_compensations_run_total') AS undone \gset
SELECT cano.define('t_metrics.walk', cano.stepped('w', 't_metrics.walk', next => 'end'), cano.exit('end'));
SELECT cano.submit('t_metrics.walk');
CALL cano.work();
SELECT is(split_part(pg_temp.told('cano_task_attempts_total'), ', failed', 1), 'completed: ' || 5 + substring(:'attempts' FROM 'completed: (\d+)')::int,
	'each step of a stepped state is an attempt');
SELECT cano.define('t_metrics.slow', cano.split('s', ARRAY[cano.branch('t_metrics.act'), cano.branch('t_metrics.bad', retry => cano.fixed(1, '1 hour'))],
	timeout => '1 min', next => 'end'), cano.exit('end'));
SELECT cano.submit('t_metrics.slow') AS run \gset
CALL cano.work();
SELECT pg_temp.later('2 min');
CALL cano.work();
SELECT matches(pg_temp.error(:run, 'message'), 'timeout', 'a split is out of time');
SELECT is(pg_temp.told('cano_split_branch_results_total'), :'branches', 'nothing is told of its branches');
CREATE FUNCTION t_metrics.gone() RETURNS void LANGUAGE sql AS '';
SELECT cano.define('t_metrics.gone', cano.task('a', 't_metrics.act', next => 'b', compensate => 't_metrics.gone'),
	cano.task('b', 't_metrics.bad', next => 'end', retry => cano.none()), cano.exit('end'));
DROP FUNCTION t_metrics.gone;
SELECT cano.submit('t_metrics.gone') AS run \gset
CALL cano.work();
SELECT matches((SELECT error -> 'errors' -> 1 ->> 'message' FROM cano.runs WHERE run_id = :run), 'does not exist', 'a compensation is not there');
SELECT is(pg_temp.told('cano_compensations_run_total'), :'undone', 'it was not called');
SELECT is(pg_temp.told('cano_compensation_drains_total'), 'partial: 3', 'the rollback counts');

-- Breakers and limiters
SELECT cano.create_breaker('t_metrics', failure_threshold => 2, reset_timeout => '1 hour');
SELECT cano.define('t_metrics.broken', cano.task('a', 't_metrics.bad', next => 'end', retry => cano.none(), breaker => 't_metrics'), cano.exit('end'));
SELECT count(*) FROM cano.submit_many('t_metrics.broken', array_fill('{}'::jsonb, ARRAY[5]));
CALL cano.work();
SELECT is(pg_temp.told('cano_circuit_acquires_total'), 'acquired: 2, rejected: 3', 'who asks a breaker is counted');
SELECT is(pg_temp.told('cano_circuit_outcomes_total') || ', ' || pg_temp.told('cano_circuit_transitions_total') || ', ' || pg_temp.told('cano_circuit_rejections_total'),
	'failure: 2, closed_to_open: 1, 3', 'and how it ends');
SELECT is(pg_temp.told('cano_breakers'), 'open: 1', 'the breaker is open');
SELECT cano.create_limiter('t_metrics', rate => 2, per => '1 hour');
SELECT cano.define('t_metrics.limited', cano.task('a', 't_metrics.act', next => 'end', limiter => 't_metrics'), cano.exit('end'));
SELECT count(*) FROM cano.submit_many('t_metrics.limited', array_fill('{}'::jsonb, ARRAY[3]));
CALL cano.work();
SELECT is(pg_temp.told('cano_rate_limiter_acquired_total') || ', ' || pg_temp.told('cano_rate_limiter_throttled_total') || ', ' || pg_temp.told('cano_rate_limiter_wait_seconds_count'),
	'2, waited: 1, 1', 'what a limiter does is counted');
SELECT is(pg_temp.told('cano_queue_depth'), 'waiting t_metrics.limited: 1', 'who was held back waits');
SELECT cano.define('t_metrics.panic', cano.task('a', 't_metrics.panic', next => 'end', retry => cano.none()), cano.exit('end'));
SELECT pg_temp.told('cano_task_attempts_total') AS before \gset
SELECT cano.submit('t_metrics.panic');
CALL cano.work();
SELECT is(pg_temp.told('cano_task_attempts_total'), :'before', 'an attempt that panicked is none');

-- Text
SELECT cano.define(E't_metrics "q" \\ \n', cano.task(E'a"b\\c\nd', 't_metrics.act', next => 'end'), cano.exit('end'));
SELECT cano.submit(E't_metrics "q" \\ \n', run_at => now() + interval '30 days');
SELECT cano.submit(E't_metrics "q" \\ \n');
CALL cano.work();
SELECT is((SELECT count(*) FROM regexp_split_to_table(cano.prometheus(), E'\n') l WHERE l !~ '^(# (HELP|TYPE) cano_[a-z_]+ .+|cano_[a-z_]+(\{[a-z]+="([^"\\]|\\.)*"(,[a-z]+="([^"\\]|\\.)*")*\})? [0-9.e+-]+|)$'),
	0::bigint, 'every line is of the format');
SELECT ok(cano.prometheus() LIKE E'%cano\\_task\\_duration\\_seconds\\_count{kind="single",state="a\\\\"b\\\\\\\\c\\\\nd"} 1\n%', 'labels are escaped');
SELECT is((SELECT count(*) FROM cano.metrics() m WHERE NOT EXISTS (SELECT FROM cano._metrics d
	WHERE m.name = d.name OR d.type = 'histogram' AND m.name IN (d.name || '_bucket', d.name || '_sum', d.name || '_count'))), 0::bigint, 'every series is described');
SELECT is((SELECT count(*) FROM (SELECT (regexp_matches(cano.prometheus(), '# TYPE ([a-z_]+) ', 'g'))[1] AS name) t GROUP BY name HAVING count(*) > 1), NULL, 'once');

-- Whose
CREATE ROLE t_metrics_one LOGIN;
CREATE ROLE t_metrics_all LOGIN IN ROLE pg_monitor;
SELECT cano.grant_usage('t_metrics_one'), cano.grant_usage('t_metrics_all');
SELECT pg_temp.told('cano_workflow_runs_total') AS before \gset
SET ROLE t_metrics_one;
SELECT is((SELECT count(*) FROM cano.metrics() WHERE name NOT LIKE 'cano_breakers'), 0::bigint, 'other roles'' series are nobody''s business');
SELECT cano.submit('t_metrics.flow');
CALL cano.work();
SELECT is(pg_temp.told('cano_workflow_runs_total'), 'completed: 1', 'but one''s own');
SET ROLE t_metrics_all;
SELECT is(pg_temp.told('cano_task_duration_seconds_count') LIKE '%router r: 13%' AND pg_temp.told('cano_queue_depth') LIKE '%t_metrics.limited: 1%', true, 'who monitors sees all');
RESET ROLE;
SELECT isnt(pg_temp.told('cano_workflow_runs_total'), :'before', 'and so do administrators');

SELECT * FROM finish();
SELECT cano.drop_breaker('t_metrics'), cano.drop_limiter('t_metrics');
SELECT cano.revoke_usage('t_metrics_one'), cano.revoke_usage('t_metrics_all');
DROP ROLE t_metrics_one, t_metrics_all;
DROP SCHEMA t_metrics CASCADE;
