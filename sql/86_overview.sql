/*
 * The report about the whole system, as far as the reader may see it.
 *
 * Runs that have not ended, and those that ended within a day, are read once
 * each; what is said of the queue and of the workflows comes from there.
 */

-- Runs that ended in each of the last 24 hours, one upon the other.
CREATE FUNCTION cano._draw_hours(completed bigint[], failed bigint[], cancelled bigint[]) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
	SELECT pg_catalog.format('<figure class="chart"><svg viewBox="0 0 240 60" preserveAspectRatio="none" role="img" aria-label="runs ended per hour">%s</svg>'
			'<figcaption>Runs that ended, by the hour, the last one on the right; the highest bar is %s. Completed, then failed, then cancelled, from the bottom.</figcaption></figure>' || E'\n',
		pg_catalog.string_agg(pg_catalog.format('<rect class="done" x="%1$s" y="%2$s" width="8" height="%3$s"/><rect class="failed" x="%1$s" y="%4$s" width="8" height="%5$s"/>'
			'<rect class="cancelled" x="%1$s" y="%6$s" width="8" height="%7$s"/>', h.n * 10 - 9,
			60 - h.a, h.a, 60 - h.a - h.b, h.b, 60 - h.a - h.b - h.c, h.c), '' ORDER BY h.n), pg_catalog.max(h.most))
	FROM (
		SELECT g.n, g.most, pg_catalog.round(56.0 * g.a / g.most, 1) AS a, pg_catalog.round(56.0 * g.b / g.most, 1) AS b, pg_catalog.round(56.0 * g.c / g.most, 1) AS c
		FROM (
			SELECT u.n, u.a, u.b, u.c, pg_catalog.max(u.a + u.b + u.c) OVER () AS most
			FROM ROWS FROM (pg_catalog.unnest(completed), pg_catalog.unnest(failed), pg_catalog.unnest(cancelled)) WITH ORDINALITY u (a, b, c, n)) g
		WHERE g.most > 0) h
	HAVING pg_catalog.count(*) > 0;
END;
COMMENT ON FUNCTION cano._draw_hours IS 'internal: a chart of runs that ended';

CREATE FUNCTION cano._draw_system() RETURNS text
LANGUAGE sql STABLE PARALLEL RESTRICTED
BEGIN ATOMIC
	WITH active AS MATERIALIZED (
		SELECT r.run_id, r.workflow, r.state, r.status, r.waiting_for, r.next_at, r.submitted_at
		FROM cano.runs r WHERE r.ended_at IS NULL),
	ended AS MATERIALIZED (
		SELECT r.run_id, r.workflow, r.status, r.rollback, r.ended_at, r.error,
			extract(epoch FROM r.ended_at - coalesce(r.started_at, r.submitted_at))::double precision AS seconds,
			ceil(extract(epoch FROM r.ended_at - (statement_timestamp() - interval '24 hours')) / 3600) AS hour
		FROM cano.runs r WHERE r.ended_at > statement_timestamp() - interval '24 hours'),
	hour AS (
		SELECT pg_catalog.array_agg(h.completed ORDER BY h.n) AS completed, pg_catalog.array_agg(h.failed ORDER BY h.n) AS failed,
			pg_catalog.array_agg(h.cancelled ORDER BY h.n) AS cancelled
		FROM (
			SELECT g.n, pg_catalog.count(*) FILTER (WHERE e.status = 'completed') AS completed,
				pg_catalog.count(*) FILTER (WHERE e.status = 'failed') AS failed, pg_catalog.count(*) FILTER (WHERE e.status = 'cancelled') AS cancelled
			FROM pg_catalog.generate_series(1, 24) g (n) LEFT JOIN ended e ON least(greatest(e.hour, 1), 24) = g.n
			GROUP BY g.n) h),
	flow AS (
		SELECT w.workflow, w.version, w.paused, w.owner, coalesce(a.queued, 0) AS queued, coalesce(a.running, 0) AS running, coalesce(a.waiting, 0) AS waiting,
			coalesce(a.stopping, 0) AS stopping, coalesce(e.completed, 0) AS completed, coalesce(e.failed, 0) AS failed, coalesce(e.cancelled, 0) AS cancelled,
			e.median, e.most, coalesce(d.dead, 0) AS dead
		FROM cano.workflows w
		LEFT JOIN (
			SELECT b.workflow, pg_catalog.count(*) FILTER (WHERE b.status = 'queued') AS queued, pg_catalog.count(*) FILTER (WHERE b.status = 'running') AS running,
				pg_catalog.count(*) FILTER (WHERE b.status = 'waiting') AS waiting, pg_catalog.count(*) FILTER (WHERE b.status IN ('cancelling', 'compensating')) AS stopping
			FROM active b GROUP BY b.workflow) a ON a.workflow = w.workflow
		LEFT JOIN (
			SELECT f.workflow, pg_catalog.count(*) FILTER (WHERE f.status = 'completed') AS completed, pg_catalog.count(*) FILTER (WHERE f.status = 'failed') AS failed,
				pg_catalog.count(*) FILTER (WHERE f.status = 'cancelled') AS cancelled,
				pg_catalog.percentile_cont(0.5) WITHIN GROUP (ORDER BY f.seconds) FILTER (WHERE f.status = 'completed') AS median,
				pg_catalog.percentile_cont(0.95) WITHIN GROUP (ORDER BY f.seconds) FILTER (WHERE f.status = 'completed') AS most
			FROM ended f GROUP BY f.workflow) e ON e.workflow = w.workflow
		LEFT JOIN (SELECT l.workflow, pg_catalog.count(*) AS dead FROM cano.dead_letters l GROUP BY l.workflow) d ON d.workflow = w.workflow
		WHERE w.is_current)
	SELECT
		cano._draw_facts('tiles', (
			SELECT ARRAY['queued', pg_catalog.sum(f.queued)::text, 'running', pg_catalog.sum(f.running)::text, 'waiting', pg_catalog.sum(f.waiting)::text,
				'stopping', pg_catalog.sum(f.stopping)::text, 'completed in 24 h', pg_catalog.sum(f.completed)::text, 'failed in 24 h', pg_catalog.sum(f.failed)::text,
				'cancelled in 24 h', pg_catalog.sum(f.cancelled)::text, 'dead letters', pg_catalog.sum(f.dead)::text,
				'workers here', (SELECT pg_catalog.count(*) FROM cano.workers w WHERE w.database = current_database())::text,
				'oldest in the queue', (SELECT cano._draw_span(pg_catalog.min(q.submitted_at), statement_timestamp()) FROM active q WHERE q.status = 'queued')]
			FROM flow f HAVING pg_catalog.count(*) > 0)) ||
		coalesce((SELECT cano._draw_section('The last 24 hours', cano._draw_hours(h.completed, h.failed, h.cancelled)) FROM hour h), '') ||
		cano._draw_section('Workflows', (
			SELECT cano._draw_table(ARRAY['workflow', '#version', 'owner', '#queued', '#running', '#waiting', '#completed', '#failed', '#cancelled', '#dead', '#median', '#95 %', ''],
				pg_catalog.string_agg(cano._draw_row('td', ARRAY[f.workflow, f.version::text, f.owner::text, f.queued::text, f.running::text, (f.waiting + f.stopping)::text,
					f.completed::text, f.failed::text, f.cancelled::text, f.dead::text, cano._draw_seconds(f.median), cano._draw_seconds(f.most),
					CASE WHEN f.paused THEN 'paused' END]), '' ORDER BY f.n),
				'Those that ended and how long they took (half of the completed within the median, 95 % within the next): of the last 24 hours.' || CASE WHEN pg_catalog.max(f.many) > 100 THEN
					' The busiest 100 of ' || pg_catalog.max(f.many) || ' workflows.' ELSE '' END)
			FROM (
				SELECT g.*, pg_catalog.count(*) OVER () AS many,
					pg_catalog.row_number() OVER (ORDER BY g.queued + g.running + g.waiting + g.stopping + g.completed + g.failed + g.cancelled DESC, g.workflow) AS n
				FROM flow g) f
			WHERE f.n <= 100)) ||
		cano._draw_section('What fails', (
			SELECT cano._draw_table(ARRAY['workflow', 'state', 'sqlstate', '#runs', 'latest', '#run', 'message of the latest'],
				pg_catalog.string_agg(cano._draw_row('td', ARRAY[g.workflow, g.state, g.sqlstate, g.many::text, cano._draw_time(g.latest), g.run_id::text,
					(SELECT coalesce(e.error -> 'errors' -> 0, e.error) ->> 'message' FROM ended e WHERE e.run_id = g.run_id)]), '' ORDER BY g.many DESC, g.run_id),
				'Runs that failed in the last 24 hours; cano.explain(run) says more.')
			FROM (
				SELECT f.workflow, f.state, f.sqlstate, pg_catalog.count(*) AS many, pg_catalog.max(f.ended_at) AS latest, pg_catalog.max(f.run_id) AS run_id
				FROM (
					SELECT e.workflow, e.ended_at, e.run_id, coalesce(e.error -> 'errors' -> 0, e.error) ->> 'state' AS state,
						coalesce(e.error -> 'errors' -> 0, e.error) ->> 'sqlstate' AS sqlstate
					FROM ended e WHERE e.status = 'failed') f
				GROUP BY f.workflow, f.state, f.sqlstate
				ORDER BY pg_catalog.count(*) DESC, pg_catalog.max(f.run_id) LIMIT 20) g)) ||
		cano._draw_section('What waits', (
			SELECT cano._draw_table(ARRAY['workflow', 'state', 'status', 'for', '#runs', 'oldest submitted', 'next at', '#run'],
				pg_catalog.string_agg(cano._draw_row('td', ARRAY[g.workflow, g.state, g.status, g.waiting_for, g.many::text, cano._draw_time(g.oldest),
					cano._draw_time(g.next_at), g.run_id::text]), '' ORDER BY g.many DESC, g.run_id), NULL)
			FROM (
				SELECT a.workflow, a.state, a.status, a.waiting_for, pg_catalog.count(*) AS many, pg_catalog.min(a.submitted_at) AS oldest,
					pg_catalog.min(a.next_at) AS next_at, pg_catalog.min(a.run_id) AS run_id
				FROM active a WHERE a.status <> 'running'
				GROUP BY a.workflow, a.state, a.status, a.waiting_for
				ORDER BY pg_catalog.count(*) DESC, pg_catalog.min(a.run_id) LIMIT 30) g));
END;
COMMENT ON FUNCTION cano._draw_system IS 'internal: queue, workflows, failures and waits of the system';

CREATE FUNCTION cano.report() RETURNS text
LANGUAGE sql STABLE PARALLEL RESTRICTED
SET jit = off
RETURN cano._draw_page('cano in ' || current_database(),
	pg_catalog.format(E'<h1>cano in %s</h1>\n<p class="soft">%s, seen by %s. PostgreSQL %s, cano %s.</p>\n',
		cano._draw_html(cano._draw_text(current_database(), 100)), cano._draw_time(statement_timestamp()),
		cano._draw_html(cano._draw_text(current_user, 100)), cano._draw_html(pg_catalog.current_setting('server_version')),
		(SELECT e.extversion FROM pg_catalog.pg_extension e WHERE e.extname = 'cano')) ||
	cano._draw_section('What is wrong', (
		SELECT cano._draw_table(ARRAY['severity', 'finding', 'detail', 'hint'],
			pg_catalog.string_agg(cano._draw_row('td', ARRAY[h.severity, h.finding, h.detail, h.hint]), '' ORDER BY h.n),
			CASE WHEN pg_catalog.max(h.n) = 50 THEN 'The first 50; cano.health() has all.' END)
		FROM cano.health() WITH ORDINALITY h (finding, severity, detail, hint, n) WHERE h.n <= 50)) ||
	cano._draw_system() ||
	cano._draw_section('What runs', (
		SELECT cano._draw_table(ARRAY['#process', 'role', '#run', 'workflow', 'state', 'task', '#part', '#attempt', '#for', 'progress'],
			pg_catalog.string_agg(cano._draw_row('td', ARRAY[a.pid::text, a.role::text, a.run_id::text, a.workflow, a.state, a.task, a.branch::text, a.attempt::text,
				cano._draw_span(a.since, statement_timestamp()), pg_catalog.concat_ws(' ', (a.progress ->> 'done') || ' of ' || (a.progress ->> 'total'), a.progress ->> 'note')]),
				'' ORDER BY a.since), NULL)
		FROM (SELECT b.* FROM cano.activity b ORDER BY b.since LIMIT 50) a)) ||
	cano._draw_section('Dead letters', (
		SELECT cano._draw_table(ARRAY['when', '#run', 'workflow', 'state', '#attempts', 'sqlstate', 'message'],
			pg_catalog.string_agg(cano._draw_row('td', ARRAY[cano._draw_time(d.dead_at), d.run_id::text, d.workflow, d.state, d.attempts::text,
				d.error ->> 'sqlstate', d.error ->> 'message']), '' ORDER BY d.dead_at DESC, d.run_id), 'The latest 20 at most.')
		FROM (SELECT l.* FROM cano.dead_letters l ORDER BY l.dead_at DESC, l.run_id LIMIT 20) d)) ||
	cano._draw_section('Breakers that are not closed', (
		SELECT cano._draw_table(ARRAY['name', 'state', '#failures', 'open until'],
			pg_catalog.string_agg(cano._draw_row('td', ARRAY[b.name, b.state, b.failures::text, cano._draw_time(b.open_until)]), '' ORDER BY b.name), NULL)
		FROM (SELECT k.* FROM cano.breakers k WHERE k.state <> 'closed' ORDER BY k.name LIMIT 50) b)) ||
	cano._draw_section('Limiters that are used up', (
		SELECT cano._draw_table(ARRAY['name', 'kind', '#rate', 'per'],
			pg_catalog.string_agg(cano._draw_row('td', ARRAY[l.name, l.kind, l.rate::text, l.per::text]), '' ORDER BY l.name), NULL)
		FROM (SELECT k.* FROM cano.limiters k WHERE k.available < 1 ORDER BY k.name LIMIT 50) l)) ||
	cano._draw_section('Workers', (
		SELECT cano._draw_table(ARRAY['#process', 'database', 'role', 'status', '#run', 'started'],
			pg_catalog.string_agg(cano._draw_row('td', ARRAY[w.pid::text, w.database::text, w.role::text, w.status, w.run_id::text, cano._draw_time(w.started_at)]), '' ORDER BY w.pid), NULL)
		FROM (SELECT k.* FROM cano.workers k ORDER BY k.pid LIMIT 50) w)));
COMMENT ON FUNCTION cano.report() IS
'the whole system as an HTML page, as far as the reader may see it: findings of cano.health(), queue, workflows with
counts and durations, what fails, waits and runs, dead letters, workers';
