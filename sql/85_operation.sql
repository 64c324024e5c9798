/*
 * Operation: what is wrong, and how much of what there is.  Everybody sees
 * what is theirs, like everywhere.
 */
CREATE FUNCTION cano._engine(
	OUT preloaded boolean, OUT version text, OUT launcher boolean, OUT origin bigint, OUT now timestamptz)
LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'cano_engine';
COMMENT ON FUNCTION cano._engine IS 'the library, and its clock';

-- To look at again and again: short, and every run stays in its place.
CREATE VIEW cano.ongoing WITH (security_barrier) AS
SELECT r.run_id,
	r.workflow,
	r.state,
	r.status,
	r.waiting_for,
	pg_catalog.date_trunc('second', e.now - coalesce(r.entered_at, r.submitted_at)) AS in_state,
	CASE WHEN r.next_at IS NOT NULL THEN pg_catalog.date_trunc('second', greatest(r.next_at - e.now, '0')) END AS next_in,
	r.attempt,
	pg_catalog.concat_ws(' ', (r.progress ->> 'done') || coalesce('/' || (r.progress ->> 'total'), ''), r.progress ->> 'note') AS progress
FROM cano._runs r, cano._engine() e
WHERE r.ended_at IS NULL
ORDER BY r.run_id;
COMMENT ON VIEW cano.ongoing IS 'the runs that have not ended, a short line each: to look at again and again';
COMMENT ON COLUMN cano.ongoing.run_id IS 'its id';
COMMENT ON COLUMN cano.ongoing.workflow IS 'of what';
COMMENT ON COLUMN cano.ongoing.state IS 'where it is';
COMMENT ON COLUMN cano.ongoing.status IS 'queued, waiting, running, cancelling or compensating';
COMMENT ON COLUMN cano.ongoing.waiting_for IS 'what it waits for, as in cano.runs';
COMMENT ON COLUMN cano.ongoing.in_state IS 'how long it has been there';
COMMENT ON COLUMN cano.ongoing.next_in IS 'in how long it goes on by itself; null: not by itself';
COMMENT ON COLUMN cano.ongoing.attempt IS 'which attempt of the state';
COMMENT ON COLUMN cano.ongoing.progress IS 'done/total and note, of a batch or by cano.progress()';

-- Jobs and timers with their runs: as many rows as there are waiting.
CREATE VIEW cano._pending WITH (security_barrier) AS
SELECT q.run AS run_id,
	d.workflow,
	r.owner_name AS role,
	r.origin,
	r.status,
	q.duty,
	q.waiting,
	q.branch,
	q.due_at
FROM (SELECT j.run, j.duty, NULL::"char" AS waiting, j.branch, NULL::timestamptz AS due_at FROM cano._job j
	UNION ALL
	SELECT t.run, t.duty, t.waiting, t.branch, t.due_at FROM cano._timer t) q
JOIN cano._run r ON r.id = q.run
JOIN cano._definition d ON d.id = r.definition
WHERE cano._can_see(r.owner, r.owner_name, r.origin);
COMMENT ON VIEW cano._pending IS 'what is due now or later';

/*
 * Of every role that has any the first job and the first timer, found by
 * jumping from role to role.  A job is due since the newest checkpoint of its
 * run.
 */
CREATE VIEW cano._heads WITH (security_barrier) AS
WITH RECURSIVE job (owner, priority, id, run) AS (
	(SELECT j.owner, j.priority, j.id, j.run FROM cano._job j ORDER BY j.owner, j.priority, j.id LIMIT 1)
	UNION ALL
	SELECT n.owner, n.priority, n.id, n.run FROM job, LATERAL (
		SELECT j.owner, j.priority, j.id, j.run FROM cano._job j WHERE j.owner > job.owner
		ORDER BY j.owner, j.priority, j.id LIMIT 1) n
), timer (owner, due_at, run) AS (
	(SELECT t.owner, t.due_at, t.run FROM cano._timer t ORDER BY t.owner, t.due_at LIMIT 1)
	UNION ALL
	SELECT n.owner, n.due_at, n.run FROM timer, LATERAL (
		SELECT t.owner, t.due_at, t.run FROM cano._timer t WHERE t.owner > timer.owner
		ORDER BY t.owner, t.due_at LIMIT 1) n
), head (owner, run, due_at) AS (
	SELECT j.owner, j.run, coalesce((SELECT c.recorded_at FROM cano._checkpoint c WHERE c.run = j.run
		ORDER BY c.sequence DESC LIMIT 1), '-infinity') FROM job j
	UNION ALL
	SELECT t.owner, t.run, t.due_at FROM timer t)
SELECT h.owner,
	r.owner_name AS role,
	h.run AS run_id,
	greatest(h.due_at, r.submitted_at, r.run_at, r.resumed_at) AS due_at
FROM head h
JOIN cano._run r ON r.id = h.run
WHERE cano._can_see(r.owner, r.owner_name, r.origin)
	AND r.origin = (SELECT e.origin FROM cano._engine() e);
COMMENT ON VIEW cano._heads IS 'what is first due of every role''s work';

-- What a server that died or a rule that was broken would leave behind.
CREATE VIEW cano._strays WITH (security_barrier) AS
SELECT s.what, d.workflow, s.run AS run_id
FROM (SELECT 'key' AS what, k.run FROM cano._key k
	UNION ALL SELECT 'place', i.run FROM cano._inside i
	UNION ALL SELECT 'rollback', n.run FROM cano._drain n) s
JOIN cano._run r ON r.id = s.run
JOIN cano._definition d ON d.id = r.definition
WHERE r.status <> 'active' AND cano._can_see(r.owner, r.owner_name, r.origin);
COMMENT ON VIEW cano._strays IS 'what runs that have ended hold on to; there should be none';

CREATE VIEW cano._crashes WITH (security_barrier) AS
SELECT x.run AS run_id, d.workflow, x.crashes, x.last_at
FROM cano._crash x
JOIN cano._run r ON r.id = x.run
JOIN cano._definition d ON d.id = r.definition
WHERE x.crashes > 0 AND cano._can_see(r.owner, r.owner_name, r.origin);
COMMENT ON VIEW cano._crashes IS 'jobs that took their session or the server down, and how often';

-- Of the oldest runs retention should have left none whose time is over.
CREATE VIEW cano._oldest WITH (security_barrier) AS
SELECT r.id AS run_id, r.ended_at + coalesce(d.keep, (d.document -> 'options' ->> 'keep')::interval, '30 days') AS over_at
FROM (SELECT o.* FROM cano._run o ORDER BY o.id LIMIT 1000) r
JOIN cano._definition d ON d.id = r.definition
WHERE r.status <> 'active' AND r.origin = (SELECT e.origin FROM cano._engine() e)
	AND cano._can_see(r.owner, r.owner_name, r.origin);
COMMENT ON VIEW cano._oldest IS 'when it was time to remove the oldest runs';

CREATE VIEW cano._latest WITH (security_barrier) AS
SELECT s.last_value AS id,
	(SELECT r.submitted_at FROM (SELECT o.* FROM cano._run o ORDER BY o.id DESC LIMIT 1) r
	WHERE cano._can_see(r.owner, r.owner_name, r.origin)) AS submitted_at
FROM cano._id s;
COMMENT ON VIEW cano._latest IS 'the latest id, and when the latest run was submitted, if it is the reader''s';

/*
 * Each finding has a hint that can be executed as it stands.  What is long: a
 * minute for work that nobody is at, ten for a transaction, an hour for what
 * retention has left.
 */
CREATE FUNCTION cano._health_of_server(OUT finding text, OUT severity text, OUT detail text, OUT hint text)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL RESTRICTED
BEGIN ATOMIC
	WITH e AS MATERIALIZED (
		SELECT n.*, pg_catalog.current_setting('max_worker_processes')::integer AS processes,
			pg_catalog.current_setting('cano.max_workers')::integer + 1
				+ (pg_catalog.current_setting('max_logical_replication_workers')::integer > 0)::integer AS needed
		FROM cano._engine() n)
	SELECT 'not_preloaded', 'warning',
		'The library is not preloaded: there are no background workers, and each session has limiters, breakers and counters of its own.',
		'ALTER SYSTEM SET shared_preload_libraries = cano; -- and what is set already; then restart the server'
	FROM e WHERE NOT e.preloaded
	UNION ALL
	SELECT 'disabled', 'warning', 'cano.enabled is off: there are no background workers.',
		'ALTER SYSTEM SET cano.enabled = on; SELECT pg_reload_conf();'
	FROM e WHERE e.preloaded AND NOT pg_catalog.current_setting('cano.enabled')::boolean
	UNION ALL
	SELECT 'no_launcher', 'error', 'The launcher is not there: no worker is started.',
		'SELECT pg_current_logfile(); -- says why: it is started again a second after each end'
	FROM e WHERE e.preloaded AND NOT e.launcher AND NOT pg_catalog.pg_is_in_recovery()
	UNION ALL
	SELECT 'few_processes', 'info',
		pg_catalog.format('max_worker_processes is %s; cano.max_workers, the launcher and what PostgreSQL starts itself may need %s.', e.processes, e.needed),
		pg_catalog.format('ALTER SYSTEM SET max_worker_processes = %s; -- then restart the server', greatest(e.needed + 8, 16))
	FROM e WHERE e.preloaded AND e.processes < e.needed
	UNION ALL
	SELECT 'autovacuum_off', 'warning', 'Autovacuum is off: what the queue leaves behind is not cleaned up.',
		'ALTER SYSTEM RESET autovacuum; ALTER SYSTEM RESET track_counts; SELECT pg_reload_conf();'
	FROM e WHERE NOT (pg_catalog.current_setting('autovacuum')::boolean AND pg_catalog.current_setting('track_counts')::boolean)
	UNION ALL
	SELECT 'old_snapshot', 'warning',
		pg_catalog.format('Session %s of role %s (%s) has a transaction that began at %s: nothing that became dead since is cleaned up.',
			a.pid, a.usename, coalesce(nullif(a.application_name, ''), a.backend_type), a.xact_start),
		pg_catalog.format('SELECT pg_terminate_backend(%s);', a.pid)
	FROM e, LATERAL (SELECT s.* FROM pg_catalog.pg_stat_activity s
		WHERE s.xact_start < e.now - '10 min'::interval AND (s.backend_xmin IS NOT NULL OR s.backend_xid IS NOT NULL)
			AND s.pid <> pg_catalog.pg_backend_pid() AND s.backend_type NOT LIKE 'cano %'
			AND (s.datname = pg_catalog.current_database() OR s.datname IS NULL)
		ORDER BY s.xact_start LIMIT 1) a
	UNION ALL
	SELECT 'old_prepared_transaction', 'warning',
		pg_catalog.format('Transaction %L of role %s was prepared at %s: it keeps its locks, and nothing that became dead since is cleaned up.', p.gid, p.owner, p.prepared),
		pg_catalog.format('ROLLBACK PREPARED %L; -- or COMMIT PREPARED', p.gid)
	FROM e, pg_catalog.pg_prepared_xacts p
	WHERE p.database = pg_catalog.current_database() AND p.prepared < e.now - '10 min'::interval
	UNION ALL
	SELECT 'clock_set_back', 'warning',
		pg_catalog.format('The latest run was submitted at %s, which is yet to come: what waits for a time waits too long.', l.submitted_at),
		'SELECT clock_timestamp(); -- compare it with a clock that is right'
	FROM e, cano._latest l WHERE l.submitted_at > e.now + '1 min'::interval
	UNION ALL
	SELECT 'ids_run_out', 'error', pg_catalog.format('%s of %s ids of runs and jobs are used up.', l.id, 1::bigint << 48),
		pg_catalog.format('ALTER SYSTEM SET cano.node_id = %s; SELECT pg_reload_conf(); ALTER SEQUENCE cano._id RESTART;',
			pg_catalog.current_setting('cano.node_id')::integer + 1)
	FROM cano._latest l WHERE l.id > (1::bigint << 48) / 10 * 9
	UNION ALL
	SELECT 'old_transaction_ids', 'error',
		pg_catalog.format('Table %s was not frozen for %s transactions.', c.oid::pg_catalog.regclass, pg_catalog.age(c.relfrozenxid)),
		pg_catalog.format('VACUUM (FREEZE) %s;', c.oid::pg_catalog.regclass)
	FROM pg_catalog.pg_class c
	WHERE c.relnamespace = 'cano'::pg_catalog.regnamespace AND c.relkind = 'r'
		AND pg_catalog.age(c.relfrozenxid) > pg_catalog.current_setting('autovacuum_freeze_max_age')::bigint * 3 / 2;
END;
COMMENT ON FUNCTION cano._health_of_server IS 'what is wrong with the server, as far as the reader may know';

-- Who has work that is due, and why nobody could do it.
CREATE VIEW cano._barred WITH (security_barrier) AS
SELECT h.owner, h.role, min(h.due_at) AS due_at,
	CASE WHEN a.oid IS NULL THEN 'it does not exist'
		WHEN NOT a.rolcanlogin THEN 'it cannot log in'
		WHEN NOT pg_catalog.has_database_privilege(a.oid, pg_catalog.current_database(), 'CONNECT') THEN 'it may not connect to this database'
		WHEN NOT pg_catalog.has_schema_privilege(a.oid, 'cano', 'USAGE') THEN 'it may not use cano'
		WHEN a.rolsuper AND NOT pg_catalog.current_setting('cano.allow_superuser_runs')::boolean THEN 'superusers may not have runs'
	END AS why,
	CASE WHEN a.oid IS NULL THEN pg_catalog.format('SELECT run_id, cano.cancel(run_id) FROM cano.runs WHERE role = %L AND ended_at IS NULL;', h.role)
		WHEN NOT a.rolcanlogin THEN pg_catalog.format('ALTER ROLE %I LOGIN;', h.role)
		WHEN NOT pg_catalog.has_database_privilege(a.oid, pg_catalog.current_database(), 'CONNECT') THEN
			pg_catalog.format('GRANT CONNECT ON DATABASE %I TO %I;', pg_catalog.current_database(), h.role)
		WHEN NOT pg_catalog.has_schema_privilege(a.oid, 'cano', 'USAGE') THEN
			pg_catalog.format('SELECT cano.grant_usage(%L);', pg_catalog.quote_ident(h.role))
		ELSE 'ALTER SYSTEM SET cano.allow_superuser_runs = on; SELECT pg_reload_conf();'
	END AS hint
FROM cano._heads h
LEFT JOIN pg_catalog.pg_roles a ON a.oid = h.owner
GROUP BY h.owner, h.role, a.oid, a.rolcanlogin, a.rolsuper;
COMMENT ON VIEW cano._barred IS 'roles that have work, since when it is due, and what they lack';

CREATE FUNCTION cano._health_of_work(OUT finding text, OUT severity text, OUT detail text, OUT hint text)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL RESTRICTED
BEGIN ATOMIC
	WITH e AS MATERIALIZED (SELECT n.now, n.origin FROM cano._engine() n),
	dead AS MATERIALIZED (
		SELECT l.*, l.error ->> 'category' = 'poisoned' AS poisoned
		FROM e, cano.dead_letters l WHERE l.dead_at > e.now - '1 day'::interval)
	SELECT 'role_barred', 'error', pg_catalog.format('Work of role %s is due since %s, but %s.', b.role, b.due_at, b.why), b.hint
	FROM e, cano._barred b WHERE b.why IS NOT NULL AND b.due_at <= e.now
	UNION ALL
	SELECT 'stuck', 'error', pg_catalog.format('Work of role %s is due since %s, and nobody is at it.', b.role, b.due_at),
		pg_catalog.format('SET ROLE %I; CALL cano.work(); RESET ROLE;', b.role)
	FROM e, cano._barred b
	WHERE b.why IS NULL AND b.due_at < e.now - '1 min'::interval AND NOT pg_catalog.pg_is_in_recovery()
		AND NOT EXISTS (SELECT FROM cano._slots() s WHERE s.role = b.owner AND s.status = 'running'
			AND s.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()))
	UNION ALL
	SELECT 'long_task', 'warning',
		pg_catalog.format('Task %s in state "%s" of run %s (%s) has been running since %s.', a.task, a.state, a.run_id, a.workflow, a.since),
		pg_catalog.format('SELECT cano.cancel(%s);', a.run_id)
	FROM e, cano.activity a WHERE a.since < e.now - pg_catalog.current_setting('cano.long_task')::interval
	UNION ALL
	SELECT 'crashes', 'error',
		pg_catalog.format('Run %s (%s) has taken its session or the server down: %s times, the last time at %s.', c.run_id, c.workflow, c.crashes, c.last_at),
		pg_catalog.format('SELECT cano.cancel(%s);', c.run_id)
	FROM cano._crashes c
	UNION ALL
	SELECT 'poisoned', 'error', pg_catalog.format('Run %s (%s) was given up at %s: %s.', l.run_id, l.workflow, l.dead_at, l.error ->> 'message'),
		pg_catalog.format('SELECT cano.resume(%s); -- when you know why', l.run_id)
	FROM dead l WHERE l.poisoned
	UNION ALL
	SELECT 'dead_letters', 'warning', pg_catalog.format('%s runs of workflow "%s" ended by the error of a task within a day.', count(*), l.workflow),
		pg_catalog.format('SELECT run_id, state, error ->> ''message'' AS message FROM cano.dead_letters WHERE workflow = %L ORDER BY dead_at;', l.workflow)
	FROM dead l WHERE NOT l.poisoned
	GROUP BY l.workflow
	UNION ALL
	SELECT 'breaker_open', 'warning', pg_catalog.format('Breaker "%s" is %s after %s failures.', b.name, pg_catalog.replace(b.state, '_', ' '), b.failures),
		pg_catalog.format('SELECT * FROM cano.breakers WHERE name = %L;', b.name)
	FROM cano.breakers b WHERE b.state <> 'closed'
	UNION ALL
	SELECT 'paused', 'info', pg_catalog.format('Workflow "%s" is paused: %s jobs wait for it to go on.', p.workflow, count(*)),
		pg_catalog.format('SELECT cano.unpause(%L);', p.workflow)
	FROM cano._pending p WHERE p.waiting = 'u' GROUP BY p.workflow
	UNION ALL
	SELECT 'not_adopted', 'error', pg_catalog.format('%s jobs belong to runs of the database of which this one is a copy.', count(*)),
		'SELECT cano.adopt(); -- if that does not run them any more'
	FROM e, cano._pending p WHERE p.origin <> e.origin HAVING count(*) > 0
	UNION ALL
	SELECT 'schedule_idle', 'warning', pg_catalog.format('Schedule "%s" of role %s does not fire: %s.', s.name, s.owner, i.why),
		pg_catalog.format(i.hint, s.name, s.owner, s.cron, s.workflow, s.input, s.overlap, pg_catalog.current_database())
	FROM cano._schedules s
	JOIN (VALUES
		('owner', 'that role does not exist', 'SELECT cano.unschedule(%1$L);'),
		('copy', 'it belongs to the database of which this one is a copy', 'SELECT cano.adopt(); -- if that does not fire it any more'),
		('cron', 'pg_cron is not installed, or does not run, in this database',
			'ALTER SYSTEM SET shared_preload_libraries = cano, pg_cron; -- and what is set already; with cron.database_name = %7$L restart the server, then CREATE EXTENSION pg_cron'),
		('job', 'pg_cron has no active job for it',
			'SET ROLE %2$I; SELECT cano.unschedule(%1$L); SELECT cano.schedule(%1$L, %3$L, %4$L, %5$L, %6$L); RESET ROLE;')
		) i (idle, why, hint) ON i.idle = s.idle
	UNION ALL
	SELECT 'retention_behind', 'warning', pg_catalog.format('Runs that were to be removed at %s are still there.', min(o.over_at)),
		'CALL cano.work(); -- without background workers; with them the server''s log says more'
	FROM e, cano._oldest o WHERE o.over_at < e.now - '1 hour'::interval HAVING count(*) > 0
	UNION ALL
	SELECT 'stray', 'error', pg_catalog.format('Run %s (%s) has ended and still holds a %s.', s.run_id, s.workflow, s.what),
		pg_catalog.format('SELECT cano.resume(%s); -- or remove the run with cano.purge', s.run_id)
	FROM cano._strays s;
END;
COMMENT ON FUNCTION cano._health_of_work IS 'what is wrong with the reader''s runs';

CREATE FUNCTION cano.health(OUT finding text, OUT severity text, OUT detail text, OUT hint text)
RETURNS SETOF record
LANGUAGE plpgsql VOLATILE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY
	SELECT h.finding, h.severity, h.detail, h.hint
	FROM (SELECT * FROM cano._health_of_server() UNION ALL SELECT * FROM cano._health_of_work()) h
	ORDER BY CASE h.severity WHEN 'error' THEN 1 WHEN 'warning' THEN 2 ELSE 3 END, h.finding, h.detail;
EXCEPTION WHEN object_not_in_prerequisite_state THEN
	-- A library of another version answers nothing else.
	finding := 'other_version';
	severity := 'error';
	detail := SQLERRM;
	hint := 'ALTER EXTENSION cano UPDATE; -- or restart the server if it has the older library';
	RETURN NEXT;
END
$$;
COMMENT ON FUNCTION cano.health IS
'what is wrong with this installation and with the runs that the reader may see, worst first; no row when all is
well. Returns a word for what was found, its severity (error, warning or info), the details, and a hint, which can
be executed as it stands';

/*
 * Metrics.  What has happened is counted in memory, by role; what there is now
 * is looked up.  Everybody is given the sum over the roles that he may see,
 * members of pg_monitor over all.
 */
CREATE FUNCTION cano._counters(OUT name text, OUT labels jsonb, OUT value double precision)
RETURNS SETOF record
LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'cano_counters';
COMMENT ON FUNCTION cano._counters IS 'what was counted of the roles that the reader may see; a series may be in several rows';

CREATE VIEW cano._gauges WITH (security_barrier) AS
WITH seen AS MATERIALIZED (
	SELECT q.waiting, q.due_at, d.workflow, r.status
	FROM (SELECT j.run, j.duty, NULL::"char" AS waiting, j.branch, NULL::timestamptz AS due_at FROM cano._job j
		UNION ALL
		SELECT t.run, t.duty, t.waiting, t.branch, t.due_at FROM cano._timer t) q
	JOIN cano._run r ON r.id = q.run
	JOIN cano._definition d ON d.id = r.definition
	WHERE q.branch IS NULL AND q.duty IN ('e', 'w', 's', 'j', 'c', 'r', 'u', 'p')
		AND (cano._can_see(r.owner, r.owner_name, r.origin) OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')))
, depth AS (
	SELECT s.workflow, CASE WHEN s.waiting NOT IN ('o', 'q', 'u') THEN 'waiting' ELSE 'queued' END AS status, count(*) AS n
	FROM seen s GROUP BY 1, 2)
, ranked AS (
	SELECT d.*, pg_catalog.row_number() OVER (ORDER BY d.n DESC, d.workflow) > 100 AS other FROM depth d)
SELECT 'cano_workflow_active' AS name, '{}'::jsonb AS labels, count(*)::double precision AS value
FROM seen
HAVING count(*) > 0 OR EXISTS (SELECT FROM cano._counters())
UNION ALL
SELECT 'cano_queue_depth', pg_catalog.jsonb_build_object('workflow', CASE WHEN NOT r.other THEN r.workflow ELSE '' END, 'status', r.status), sum(r.n)
FROM ranked r
GROUP BY 2
UNION ALL
SELECT 'cano_queue_oldest_due_seconds', '{}', pg_catalog.date_part('epoch', e.now - min(h.due_at))
FROM cano._engine() e, cano._heads h
WHERE h.due_at <= e.now
GROUP BY e.now
UNION ALL
SELECT 'cano_dead_letters', '{}', count(*)
FROM cano._run r
WHERE r.dead AND (cano._can_see(r.owner, r.owner_name, r.origin) OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE'))
HAVING count(*) > 0
UNION ALL
SELECT 'cano_quarantined_jobs', '{}', count(*)
FROM cano._crash x
JOIN cano._run r ON r.id = x.run
WHERE x.crashes > 0 AND (cano._can_see(r.owner, r.owner_name, r.origin) OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE'))
HAVING count(*) > 0
UNION ALL
SELECT 'cano_paused_workflows', '{}', count(*)
FROM cano._workflow w
WHERE w.paused
HAVING count(*) > 0
UNION ALL
SELECT 'cano_breakers', pg_catalog.jsonb_build_object('state', b.state), count(*)
FROM cano.breakers b
GROUP BY b.state
UNION ALL
SELECT 'cano_workers', pg_catalog.jsonb_build_object('status', w.status), count(*)
FROM cano.workers w
WHERE w.database = pg_catalog.current_database()
GROUP BY w.status;
COMMENT ON VIEW cano._gauges IS 'how much there is now of what the reader may see';

CREATE VIEW cano._metrics WITH (security_barrier) AS
SELECT v.name, v.type, v.help
FROM (VALUES
	('cano_workflow_runs_total', 'counter', 'Runs that ended, and that ended again after they were resumed or rolled back further.'),
	('cano_workflow_duration_seconds', 'histogram', 'How long runs took, from when they were due to their end.'),
	('cano_workflow_active', 'gauge', 'Runs that have not ended.'),
	('cano_resumes_total', 'counter', 'Runs that went on after their end.'),
	('cano_task_duration_seconds', 'histogram', 'How long the attempt took with which a visit of a state ended; of splits, polls, batches, children and external work: all of the visit.'),
	('cano_task_attempts_total', 'counter', 'Attempts of tasks, without those that a breaker refused and those that panicked.'),
	('cano_circuit_rejections_total', 'counter', 'Attempts that a breaker refused.'),
	('cano_circuit_acquires_total', 'counter', 'Attempts that asked a breaker.'),
	('cano_circuit_outcomes_total', 'counter', 'How attempts ended that a breaker had admitted.'),
	('cano_circuit_transitions_total', 'counter', 'Changes of the state of breakers.'),
	('cano_split_branch_results_total', 'counter', 'What became of the branches of splits.'),
	('cano_poll_iterations_total', 'counter', 'Answers of polls.'),
	('cano_batch_runs_total', 'counter', 'Batches that ended.'),
	('cano_batch_items_total', 'counter', 'Items of batches that were done.'),
	('cano_step_iterations_total', 'counter', 'Steps of stepped states.'),
	('cano_checkpoint_appends_total', 'counter', 'Rows added to the logs of runs.'),
	('cano_checkpoint_clears_total', 'counter', 'Logs of runs that were cleared.'),
	('cano_compensations_run_total', 'counter', 'Calls of compensations.'),
	('cano_compensation_drains_total', 'counter', 'Rollbacks that ended.'),
	('cano_rate_limiter_acquired_total', 'counter', 'Attempts that a limiter let begin.'),
	('cano_rate_limiter_throttled_total', 'counter', 'Attempts that a limiter held back.'),
	('cano_rate_limiter_wait_seconds', 'histogram', 'How long a limiter let an attempt wait each time.'),
	('cano_rate_limiter_tokens_consumed_total', 'counter', 'Tokens of limiters that were used up.'),
	('cano_engine_steps_total', 'counter', 'Steps of runs, branches, items, rollbacks and what is called before and after.'),
	('cano_engine_commits_total', 'counter', 'Transactions that these steps shared.'),
	('cano_queue_depth', 'gauge', 'Runs that are queued, or running, and runs that wait for something. The workflow is empty for all beyond the hundred largest.'),
	('cano_queue_oldest_due_seconds', 'gauge', 'Since when the work is due that was due first.'),
	('cano_dead_letters', 'gauge', 'Runs that ended by an error of a task.'),
	('cano_quarantined_jobs', 'gauge', 'Jobs that took their session or the server down.'),
	('cano_paused_workflows', 'gauge', 'Workflows that are paused.'),
	('cano_breakers', 'gauge', 'Breakers in each state.'),
	('cano_workers', 'gauge', 'Workers in this database.')
	) v (name, type, help);
COMMENT ON VIEW cano._metrics IS 'all that cano.metrics() may tell, and what it means';

CREATE FUNCTION cano.metrics(OUT name text, OUT labels jsonb, OUT value double precision)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL RESTRICTED
BEGIN ATOMIC
	SELECT c.name, c.labels, sum(c.value)
	FROM cano._counters() c
	GROUP BY c.name, c.labels
	UNION ALL
	SELECT g.name, g.labels, g.value
	FROM cano._gauges g
	ORDER BY 1, 2;
END;
COMMENT ON FUNCTION cano.metrics IS
'what has happened since the server was started, and what there is now, of the runs that the reader may see; members
of pg_monitor are told of all. Returns the name of each series, its labels and its value; seconds where the name
says so. What never happened is absent. Without the preload a session counts for itself';

CREATE FUNCTION cano._escaped(value text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
	SELECT pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(value, E'\\', E'\\\\'), '"', E'\\"'), E'\n', E'\\n');
END;
COMMENT ON FUNCTION cano._escaped IS 'a label''s value in Prometheus'' text format';

CREATE FUNCTION cano.prometheus() RETURNS text
LANGUAGE sql VOLATILE PARALLEL RESTRICTED
BEGIN ATOMIC
	WITH sample AS MATERIALIZED (
		SELECT d.name AS family, m.name, m.labels ->> 'le' AS le, m.labels - 'le' AS labels,
			m.name || coalesce('{' || (SELECT pg_catalog.string_agg(l.key || '="' || cano._escaped(l.value) || '"', ',' ORDER BY l.key)
				FROM pg_catalog.jsonb_each_text(m.labels) l) || '}', '') || ' ' || m.value AS line
		FROM cano.metrics() m
		JOIN cano._metrics d ON m.name = d.name
			OR (d.type = 'histogram' AND m.name IN (d.name || '_bucket', d.name || '_sum', d.name || '_count')))
	SELECT coalesce(pg_catalog.string_agg(f.lines, '' ORDER BY f.family), '')
	FROM (SELECT s.family,
			'# HELP ' || s.family || ' ' || d.help || E'\n# TYPE ' || s.family || ' ' || d.type || E'\n'
				|| pg_catalog.string_agg(s.line || E'\n', '' ORDER BY s.labels, s.le IS NULL, CASE s.le WHEN '+Inf' THEN 'infinity' ELSE s.le END::double precision, s.name DESC) AS lines
		FROM sample s
		JOIN cano._metrics d ON d.name = s.family
		GROUP BY s.family, d.help, d.type) f;
END;
COMMENT ON FUNCTION cano.prometheus IS 'cano.metrics() in the text format that Prometheus reads';
