-- The fixed columns of the views, in their order; more may follow at the end.
\ir lib/start.psql
SELECT plan(31);

CREATE TEMP TABLE fixed (view text, columns text);
INSERT INTO fixed VALUES
	('workflows', 'workflow, version, is_current, paused, owner, definition, created_at'),
	('states', 'workflow, version, state, kind, run, next, targets, definition'),
	('runs', 'run_id, workflow, version, key, status, state, role, priority, submitted_at, started_at, ended_at, waiting_for, next_at, rollback, cancel_reason, parent_run_id, input, data, result, error, headers, tags, cleared'),
	('checkpoints', 'run_id, sequence, kind, state, task, output, version, recorded_at, cleared'),
	('attempts', 'run_id, state, task, branch, attempt, sqlstate, message, detail, hint, context, started_at, ended_at'),
	('schedules', 'name, cron, workflow, input, overlap, active, last_run_id, last_fired_at'),
	('queue_stats', 'workflow, queued, running, waiting, dead'),
	('dead_letters', 'run_id, workflow, state, attempts, error, dead_at'),
	('activity', 'pid, role, run_id, workflow, state, task, attempt, since, progress'),
	('workers', 'pid, database, role, status, run_id, started_at');
SELECT unnest(ARRAY[
	has_view('cano', view, view || ' is a view'),
	is((SELECT string_agg(a.attname, ', ' ORDER BY a.attnum) FROM pg_attribute AS a
		WHERE a.attrelid = to_regclass('cano.' || view) AND a.attnum BETWEEN 1 AND cardinality(string_to_array(columns, ', '))
			AND NOT a.attisdropped), columns, view || ' has its columns')])
FROM fixed;
SELECT is((SELECT string_agg(a.name, ', ' ORDER BY a.n) FROM pg_proc AS p,
		unnest(p.proargnames, p.proargmodes) WITH ORDINALITY AS a (name, mode, n)
		WHERE p.oid = to_regprocedure('cano.status(bigint)') AND a.mode IN ('t', 'o')),
	'run_id, workflow, version, status, state, sequence, attempt, waiting_for, next_at, progress, error, result, rollback, cancel_reason',
	'status has its columns') WHERE to_regprocedure('cano.status(bigint)') IS NOT NULL;

-- and they say the right things
CREATE SCHEMA t_views;
CREATE FUNCTION t_views.task() RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION t_views.route() RETURNS text LANGUAGE sql AS $$SELECT 'a'::text$$;
SELECT cano.define('t_views.flow', cano.router('r', 't_views.route', targets => ARRAY['a', 'z']),
	cano.task('a', 't_views.task', next => 'z'), cano.exit('z')) AS v \gset
SELECT cano.define('t_views.flow', cano.task('a', 't_views.task', next => 't'),
	cano.timer('t', delay => '1 hour', next => 'z'), cano.exit('z')) AS v \gset
SELECT results_eq($$SELECT version, is_current, paused, owner::text FROM cano.workflows WHERE workflow = 't_views.flow' ORDER BY version$$,
	$$VALUES (1, false, false, current_user::text), (2, true, false, current_user::text)$$, 'workflows has every version');
SELECT is((SELECT string_agg(concat_ws('|', state, kind, run, next, targets), ' ' ORDER BY state) FROM cano.states
	WHERE workflow = 't_views.flow' AND version = 1),
	'a|task|t_views.task|z r|router|t_views.route|{a,z} z|exit', 'states has every state of every version');
SELECT is((SELECT definition FROM cano.workflows WHERE workflow = 't_views.flow' AND version = 1),
	cano.definition('t_views.flow', 1), 'definition is the document');
SELECT cano.submit('t_views.flow') AS waiting \gset
CALL cano.work();
SELECT cano.submit('t_views.flow') AS queued \gset
SELECT results_eq($$SELECT queued, running, waiting, dead FROM cano.queue_stats WHERE workflow = 't_views.flow'$$,
	'VALUES (1::bigint, 0::bigint, 1::bigint, 0::bigint)', 'queue_stats counts what is queued and what waits');
SELECT pg_temp.later('10 minutes') AS x \gset
SELECT is((SELECT string_agg(concat_ws('|', run_id, workflow, state, status, waiting_for, date_trunc('minute', in_state), date_trunc('minute', next_in)), ', ')
	FROM cano.ongoing), format('%s|t_views.flow|t|waiting|timer|00:10:00|00:49:00, %s|t_views.flow|a|queued|00:10:00', :waiting, :queued),
	'ongoing says how long each run is where it is, and in how long it goes on');
SELECT pg_temp.later('-10 minutes') AS x \gset
SELECT is((SELECT data FROM cano.runs WHERE run_id = :queued), '{}'::jsonb, 'a run''s data are visible while it is under way');
CALL cano.work();
SELECT pg_temp.later('61 minutes') AS x \gset
CALL cano.work();
SELECT is(pg_temp.status(:waiting) || pg_temp.status(:queued), 'completedcompleted', 'runs has their endings');
SELECT is(coalesce((SELECT queued + running + waiting + dead FROM cano.queue_stats WHERE workflow = 't_views.flow'), 0), 0::bigint,
	'and queue_stats has nothing left');
SELECT is_empty('SELECT * FROM cano.ongoing', 'nor has ongoing');
CREATE FUNCTION t_views.busy() RETURNS text LANGUAGE plpgsql AS $$BEGIN
	PERFORM cano.progress(3, 12, 'parcels');
	RETURN (SELECT concat_ws('|', state, status, attempt, progress) FROM cano.ongoing);
END$$;
SELECT cano.define('t_views.busy', cano.task('a', 't_views.busy', next => 'z'), cano.exit('z')) AS v \gset
SELECT cano.submit('t_views.busy') AS run \gset
CALL cano.work();
SELECT is(cano.result(:run) ->> 'a', 'a|running|1|3/12 parcels', 'it says how far a task is');

SELECT * FROM finish();
DROP SCHEMA t_views CASCADE;
