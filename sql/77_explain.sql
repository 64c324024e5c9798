/*
 * Explanations: what somebody reads first who wonders about a run.
 *
 * A story is a JSON array of lines, each with depth (1 or 2), mark, title, note
 * and details; cano.explain() makes a tree of it, cano.report() a list.
 */

-- How many attempts a state's function has, in a run with that limit.
CREATE FUNCTION cano._draw_allowed(part jsonb, options jsonb, max_attempts integer) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE
RETURN coalesce(max_attempts, (
	SELECT CASE r.retry ->> 'policy' WHEN 'none' THEN 1 ELSE coalesce((r.retry ->> 'retries')::bigint, 3) + 1 END
	FROM (SELECT coalesce(part -> 'retry',
		CASE WHEN part ->> 'kind' IN ('poll', 'timer', 'receive', 'child', 'exit') THEN '{"policy": "none"}'::jsonb
			ELSE coalesce(options -> 'retry', '{}') END) AS retry) r));
COMMENT ON FUNCTION cano._draw_allowed IS 'internal: how many attempts a state allows';

-- A name as a literal for psql, if it can be shown.
CREATE FUNCTION cano._draw_literal(value text) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN CASE WHEN cano._draw_text(value, 100) = value THEN pg_catalog.quote_literal(value) ELSE '...' END;
COMMENT ON FUNCTION cano._draw_literal IS 'internal: a text as a literal of SQL';

-- "since 2026-05-01 12:00:00 (3.0 s)", "at ... (in 3.0 s)"
CREATE FUNCTION cano._draw_since(moment timestamptz, now timestamptz) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN ' since ' || cano._draw_time(moment) || ' (' || cano._draw_span(moment, now) || ')';
COMMENT ON FUNCTION cano._draw_since IS 'internal: since when, and how long that is';

CREATE FUNCTION cano._draw_until(word text, moment timestamptz, now timestamptz) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN ' ' || word || ' ' || cano._draw_time(moment) ||
	CASE WHEN moment > now THEN ' (in ' || cano._draw_span(now, moment) || ')' ELSE ' (now)' END;
COMMENT ON FUNCTION cano._draw_until IS 'internal: until when or at what time, and how long that is';

-- Which branches have not ended; at most ten by name.
CREATE FUNCTION cano._draw_missing(id bigint, state text) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL RESTRICTED
BEGIN ATOMIC
	SELECT pg_catalog.count(*) || ' of ' || (
			SELECT pg_catalog.count(*) FROM cano.branches c WHERE c.run_id = id AND c.state = _draw_missing.state) || ' branches: ' ||
		pg_catalog.string_agg(CASE WHEN m.n <= 10 THEN m.branch || ' ' || cano._draw_text(m.task, 60) || ' (' || m.status || ')' END, ', ' ORDER BY m.branch) ||
		CASE WHEN pg_catalog.count(*) > 10 THEN ', ' || cano._draw_glyph('more') ELSE '' END
	FROM (
		SELECT b.branch, b.task, b.status || CASE WHEN b.attempt > 1 THEN ', attempt ' || b.attempt ELSE '' END AS status,
			pg_catalog.row_number() OVER (ORDER BY b.branch) AS n
		FROM cano.branches b
		WHERE b.run_id = id AND b.state = _draw_missing.state AND b.status IN ('queued', 'waiting', 'running')) m
	HAVING pg_catalog.count(*) > 0;
END;
COMMENT ON FUNCTION cano._draw_missing IS 'internal: the branches that a split waits for';

-- What a run is about: who waits for what since when until when.
CREATE FUNCTION cano._draw_headline(id bigint, depth integer) RETURNS text
LANGUAGE plpgsql STABLE STRICT PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
	v_run cano._runs := cano._draw_run(id);
	v_now timestamptz := cano._draw_now(id);
	v_part jsonb := (SELECT s.definition FROM cano.states s
		WHERE s.workflow = v_run.workflow AND s.version = v_run.version AND s.state = v_run.state);
	v_options jsonb := (SELECT w.definition -> 'options' FROM cano.workflows w
		WHERE w.workflow = v_run.workflow AND w.version = v_run.version);
	v_since timestamptz := (SELECT max(v.since) FILTER (WHERE v.latest) FROM cano._draw_visits(id) v);
	v_state text := '"' || cano._draw_text(v_run.state, 60) || '"';
	v_error jsonb := coalesce(v_run.error -> 'errors' -> 0, v_run.error);
	v_child bigint;
	v_activity record;
BEGIN
	CASE v_run.status
		WHEN 'completed' THEN
			RETURN 'completed in state ' || v_state;
		WHEN 'failed' THEN
			RETURN format('failed in state %s: %s', v_state, cano._draw_text(v_error ->> 'message', 300));
		WHEN 'cancelled' THEN
			RETURN concat('cancelled in state ', v_state, ': ' || cano._draw_text(coalesce(v_run.cancel_reason, v_error ->> 'message'), 300));
		WHEN 'compensating' THEN
			RETURN format('being rolled back, %s left to undo, after: %s',
				(SELECT count(*) FROM cano.compensations c WHERE c.run_id = id), cano._draw_text(v_error ->> 'message', 300)) ||
				coalesce('; goes on' || cano._draw_until('at', v_run.next_at, v_now), '');
		WHEN 'cancelling' THEN
			RETURN concat('being cancelled in state ', v_state, ': ' || cano._draw_text(v_run.cancel_reason, 300));
		WHEN 'queued' THEN
			RETURN 'queued in state ' || v_state || cano._draw_since(coalesce(v_since, v_run.submitted_at), v_now);
		WHEN 'running' THEN
			SELECT a.pid, a.task, a.since, a.attempt INTO v_activity
			FROM cano.activity a WHERE a.run_id = id AND a.branch IS NULL LIMIT 1;
			RETURN format('running %s of state %s, attempt %s of %s', cano._draw_text(v_activity.task, 60), v_state, v_activity.attempt,
				cano._draw_allowed(v_part, v_options, v_run.max_attempts)) ||
				cano._draw_since(v_activity.since, v_now) || ', process ' || v_activity.pid ||
				coalesce(', ' || (v_run.progress ->> 'done') || coalesce(' of ' || (v_run.progress ->> 'total'), '') || ' done', '') ||
				coalesce(': ' || cano._draw_text(v_run.progress ->> 'note', 100), '');
		ELSE
			NULL;
	END CASE;

	IF v_run.waiting_for = 'child' AND depth < 10 THEN
		SELECT max(r.run_id) INTO v_child FROM cano.runs r WHERE r.parent_run_id = id AND r.ended_at IS NULL;
	END IF;
	RETURN concat('waiting in state ', v_state, CASE v_run.waiting_for
		WHEN 'retry' THEN format(' to try again, attempt %s of %s', v_run.attempt, cano._draw_allowed(v_part, v_options, v_run.max_attempts)) ||
			cano._draw_until('at', v_run.next_at, v_now)
		WHEN 'schedule' THEN ' to begin' || cano._draw_until('at', v_run.next_at, v_now)
		WHEN 'timer' THEN ' for the time' || coalesce(' or for limiter "' || cano._draw_text(v_part ->> 'limiter', 60) || '"', '') ||
			cano._draw_since(v_since, v_now) || ',' || cano._draw_until('until', v_run.next_at, v_now)
		WHEN 'poll' THEN ' until it is ready' || cano._draw_since(v_since, v_now) || ',' || cano._draw_until('asked again at', v_run.next_at, v_now)
		WHEN 'branches' THEN ' for ' || coalesce(cano._draw_missing(id, v_run.state), 'its branches') || cano._draw_since(v_since, v_now)
		WHEN 'items' THEN format(' for items, %s of %s done', v_run.progress ->> 'done', v_run.progress ->> 'total') || cano._draw_since(v_since, v_now)
		ELSE CASE v_run.waiting_for
			WHEN 'signal' THEN ' for signal "' || cano._draw_text(v_part ->> 'signal', 60) || '"'
			WHEN 'external' THEN ' for a client of queue "' || cano._draw_text(v_part ->> 'queue', 60) || '"'
			WHEN 'child' THEN coalesce(' for run ' || v_child || ' of "' || cano._draw_text(v_part ->> 'workflow', 60) || '"', ' for a child')
			END || cano._draw_since(v_since, v_now) || coalesce(',' || cano._draw_until('until', v_run.next_at, v_now), '')
		END, ', which is ' || cano._draw_headline(v_child, depth + 1));
END
$$;
COMMENT ON FUNCTION cano._draw_headline IS 'internal: what a run does or waits for, or how it ended';

-- What to do about it; an array of sentences.
CREATE FUNCTION cano._draw_hints(id bigint) RETURNS text[]
LANGUAGE plpgsql STABLE STRICT PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
	v_run cano._runs := cano._draw_run(id);
	v_part jsonb := (SELECT s.definition FROM cano.states s
		WHERE s.workflow = v_run.workflow AND s.version = v_run.version AND s.state = v_run.state);
	v_concurrency text := (SELECT w.definition -> 'options' ->> 'concurrency' FROM cano.workflows w
		WHERE w.workflow = v_run.workflow AND w.version = v_run.version);
	v_child bigint;
BEGIN
	IF v_run.status IN ('failed', 'cancelled') THEN
		RETURN CASE
			WHEN v_run.rollback = 'partial' THEN ARRAY[
				format('SELECT cano.compensate(%s); tries again what was not undone.', id),
				format('SELECT cano.resume(%s, force => true); lets it go on forward instead.', id)]
			WHEN v_run.cleared OR v_run.sequence IS NULL THEN ARRAY[
				format('%sSELECT cano.submit(%s, r.input) FROM cano.runs r WHERE r.run_id = %s; begins anew.',
					CASE WHEN v_run.cleared THEN 'All was undone. ' ELSE '' END, cano._draw_literal(v_run.workflow), id)]
			WHEN v_run.status = 'cancelled' THEN ARRAY[format('SELECT cano.resume(%s); lets it go on after all.', id)]
			ELSE ARRAY[format('When the cause is mended, SELECT cano.resume(%s); lets it go on.', id)]
		END;
	ELSIF v_run.status = 'queued' THEN
		RETURN array_remove(ARRAY[
			CASE WHEN EXISTS (SELECT FROM cano.workflows w WHERE w.workflow = v_run.workflow AND w.paused)
				THEN format('The workflow is paused: SELECT cano.unpause(%s);', cano._draw_literal(v_run.workflow)) END,
			CASE WHEN v_concurrency IS NOT NULL
				THEN format('Its workflow lets %s runs be under way at once; the others wait for their turn.', v_concurrency) END,
			CASE WHEN NOT EXISTS (SELECT FROM cano.workers w WHERE w.database = current_database())
				THEN 'No background worker is in this database now. If none comes, CALL cano.work(); runs what is due.' END], NULL);
	ELSIF v_run.status = 'waiting' AND v_run.waiting_for = 'signal' THEN
		RETURN array_remove(ARRAY[format('SELECT cano.signal(%s, %s); lets it go on.', id, cano._draw_literal(v_part ->> 'signal')),
			(SELECT format('It was sent %s, which it does not wait for here.', string_agg('"' || cano._draw_text(s.name, 60) || '"', ', ' ORDER BY s.name))
			FROM (SELECT DISTINCT g.name FROM cano.signals g WHERE g.run_id = id AND g.name <> v_part ->> 'signal' ORDER BY g.name LIMIT 5) s HAVING count(*) > 0)], NULL);
	ELSIF v_run.waiting_for = 'external' THEN
		RETURN ARRAY[format('SELECT * FROM cano.take(%s); hands it to a client, who calls cano.complete or cano.fail.',
			cano._draw_literal(v_part ->> 'queue'))];
	ELSIF v_run.waiting_for = 'child' THEN
		SELECT max(r.run_id) INTO v_child FROM cano.runs r WHERE r.parent_run_id = id AND r.ended_at IS NULL;
		RETURN ARRAY[format('SELECT cano.explain(%s); says more of that run.', v_child)];
	END IF;
	RETURN ARRAY[]::text[];
END
$$;
COMMENT ON FUNCTION cano._draw_hints IS 'internal: what to do about a run';

-- An error's lines.  The context is cut: its first line says where it was.
CREATE FUNCTION cano._draw_error(mark text, message text, sqlstate text, detail text, hint text, context text) RETURNS text[]
LANGUAGE sql STABLE PARALLEL SAFE
RETURN pg_catalog.array_remove(ARRAY[
	pg_catalog.concat(mark, ': ', cano._draw_text(message, 300), ' (' || sqlstate || ')'),
	'   detail: ' || NULLIF(cano._draw_text(detail, 300), ''),
	'   hint: ' || NULLIF(cano._draw_text(hint, 300), ''),
	'   in: ' || NULLIF(cano._draw_text(pg_catalog.split_part(context, E'\n', 1), 200), '')], NULL);
COMMENT ON FUNCTION cano._draw_error IS 'internal: an error in a few lines';

CREATE FUNCTION cano._draw_line(depth integer, mark text, title text, note text, details text[]) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
RETURN pg_catalog.jsonb_build_object('depth', depth, 'mark', mark, 'title', cano._draw_text(title, 60), 'note', note,
	'details', coalesce(details, '{}'));
COMMENT ON FUNCTION cano._draw_line IS 'internal: a line of a story';

-- What came of the branches or items of a state: at most twenty branches,
-- and ten items, first those that failed.  Of one that is to be tried again,
-- its latest error.
CREATE FUNCTION cano._draw_parts(id bigint, state text) RETURNS jsonb
LANGUAGE sql STABLE STRICT PARALLEL RESTRICTED
BEGIN ATOMIC
	WITH part AS (
		SELECT 'branch' AS what, b.branch AS part, cano._draw_text(b.task, 60) AS task, b.status, b.attempt, b.error, b.branch::bigint + 1 AS n, 20 AS most
		FROM cano.branches b WHERE b.run_id = id AND b.state = _draw_parts.state
		UNION ALL
		SELECT 'item', i.item, NULL, i.status, i.attempt, i.error,
			pg_catalog.row_number() OVER (ORDER BY i.status = 'failed' DESC, i.status = 'running' DESC, i.status = 'waiting' DESC, i.item),
			CASE WHEN i.status IN ('failed', 'running', 'waiting') THEN 10 ELSE 0 END
		FROM cano.items i WHERE i.run_id = id AND i.state = _draw_parts.state)
	SELECT pg_catalog.jsonb_agg(l.line ORDER BY l.n)
	FROM (
		SELECT p.n, cano._draw_line(2, cano._draw_glyph(CASE p.status WHEN 'completed' THEN 'done' WHEN 'failed' THEN 'failed'
					WHEN 'cancelled' THEN 'cancelled' WHEN 'queued' THEN 'todo' ELSE 'active' END), p.what || ' ' || p.part,
				pg_catalog.concat_ws(', ', p.task, p.status, CASE WHEN p.attempt > 1 THEN 'attempt ' || p.attempt END),
				CASE WHEN p.error IS NOT NULL
						THEN cano._draw_error(p.error ->> 'category', p.error ->> 'message', p.error ->> 'sqlstate', NULL, NULL, NULL)
					WHEN p.status IN ('waiting', 'running') AND p.attempt > 1 THEN (
						SELECT cano._draw_error('attempt ' || a.attempt, a.message, a.sqlstate, NULL, NULL, NULL)
						FROM cano.attempts a WHERE a.run_id = id AND a.state = _draw_parts.state AND a.branch = p.part
						ORDER BY a.ended_at DESC LIMIT 1)
				END) AS line
		FROM part p WHERE p.n <= p.most
		UNION ALL
		SELECT 9223372036854775807, cano._draw_line(2, cano._draw_glyph('more'), 'of ' || pg_catalog.sum(s.many),
			pg_catalog.string_agg(s.many || ' ' || s.status, ', ' ORDER BY s.status), NULL)
		FROM (SELECT p.status, pg_catalog.count(*) AS many, pg_catalog.bool_or(p.n > p.most) AS more FROM part p GROUP BY p.status) s
		HAVING pg_catalog.bool_or(s.more)) l;
END;
COMMENT ON FUNCTION cano._draw_parts IS 'internal: what came of the branches or items of a state';

-- The attempts that failed while a run was in a state, the latest three.
CREATE FUNCTION cano._draw_attempts(id bigint, state text, since timestamptz, until timestamptz) RETURNS text[]
LANGUAGE sql STABLE STRICT PARALLEL RESTRICTED
BEGIN ATOMIC
	SELECT pg_catalog.array_agg(e.line ORDER BY a.n DESC, e.n)
	FROM (
		SELECT b.*, pg_catalog.row_number() OVER (ORDER BY b.ended_at DESC, b.attempt DESC) AS n
		FROM cano.attempts b
		WHERE b.run_id = id AND b.state = _draw_attempts.state AND b.branch IS NULL
			AND b.ended_at > since AND b.ended_at <= until) a,
		pg_catalog.unnest(cano._draw_error(
			pg_catalog.concat(cano._draw_glyph('failed'), ' attempt ', a.attempt, ' at ', cano._draw_time(a.ended_at)), a.message, a.sqlstate,
			CASE WHEN a.n = 1 THEN a.detail END, CASE WHEN a.n = 1 THEN a.hint END, CASE WHEN a.n = 1 THEN a.context END)) WITH ORDINALITY e (line, n)
	WHERE a.n <= 3;
END;
COMMENT ON FUNCTION cano._draw_attempts IS 'internal: the attempts that failed in a state';

-- How a run was or is rolled back, latest first; at most twenty lines.
CREATE FUNCTION cano._draw_rollback(id bigint) RETURNS jsonb
LANGUAGE sql STABLE STRICT PARALLEL RESTRICTED
BEGIN ATOMIC
	SELECT pg_catalog.jsonb_agg(cano._draw_line(2, cano._draw_glyph(coalesce(
				CASE c.mark WHEN 'undone' THEN 'undone' WHEN 'not undone' THEN 'left' END, 'todo')), c.state,
			pg_catalog.concat_ws(', ', cano._draw_text(s.definition ->> 'compensate', 60), coalesce(c.mark, 'to be undone')),
			CASE WHEN c.mark IS DISTINCT FROM 'undone' THEN (
				SELECT cano._draw_error('attempt ' || a.attempt, a.message, a.sqlstate, a.detail, a.hint, a.context)
				FROM cano.attempts a
				WHERE a.run_id = id AND a.state = c.state AND a.task = s.definition ->> 'compensate'
				ORDER BY a.ended_at DESC LIMIT 1) END) ORDER BY c.sequence DESC)
	FROM cano.runs r
		CROSS JOIN LATERAL (
			SELECT k.* FROM cano.checkpoints k
			WHERE k.run_id = id AND k.kind = 'compensation_completion' AND k.mark IS DISTINCT FROM 'superseded'
			ORDER BY k.sequence DESC LIMIT 20) c
		LEFT JOIN cano.states s ON s.workflow = r.workflow AND s.version = r.version AND s.state = c.state
	WHERE r.run_id = id AND (r.status = 'compensating' OR r.rollback <> 'none');
END;
COMMENT ON FUNCTION cano._draw_rollback IS 'internal: what of a run was undone';

CREATE FUNCTION cano._draw_story(id bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE STRICT PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
	v_run cano._runs := cano._draw_run(id);
	v_error jsonb := coalesce(v_run.error -> 'errors' -> 0, v_run.error);
	v_bar record;
	v_details text[];
	v_lines jsonb := jsonb_build_array();
	v_ahead text;
BEGIN
	FOR v_bar IN
		SELECT b.*, s.kind, s.definition AS part
		FROM cano._draw_bars(id) b
		LEFT JOIN cano.states s ON s.workflow = v_run.workflow AND s.version = v_run.version AND s.state = b.label AND b.what = 'visit'
		WHERE b.what NOT IN ('queue', 'rollback') ORDER BY b.ordinal
	LOOP
		v_details := CASE WHEN v_bar.kind IS NOT NULL THEN cano._draw_attempts(id, v_bar.label, v_bar.since, v_bar.until) END;
		IF v_details IS NULL AND v_bar.mark IN ('failed', 'cancelled') AND v_bar.what = 'visit' THEN
			v_details := cano._draw_error(cano._draw_glyph(v_bar.mark) || ' ' || (v_error ->> 'category'), v_error ->> 'message',
				v_error ->> 'sqlstate', v_error ->> 'detail', v_error ->> 'hint', NULL);
		END IF;
		v_lines := v_lines || cano._draw_line(CASE v_bar.what WHEN 'child' THEN 2 ELSE 1 END, cano._draw_glyph(v_bar.mark), v_bar.label,
			concat_ws(', ', cano._draw_what(v_bar.part),
				CASE WHEN v_bar.kind IS DISTINCT FROM 'exit' THEN cano._draw_span(v_bar.since, v_bar.until) END, NULLIF(v_bar.note, '')), v_details);
		IF v_bar.last AND v_bar.kind IN ('split', 'batch') THEN
			v_lines := v_lines || coalesce(cano._draw_parts(id, v_bar.label), '[]');
		END IF;
	END LOOP;

	IF v_run.status = 'compensating' OR v_run.rollback <> 'none' THEN
		v_lines := v_lines || cano._draw_line(1, cano._draw_glyph(CASE v_run.rollback WHEN 'clean' THEN 'undone' WHEN 'partial' THEN 'left' ELSE 'active' END),
			'rollback', CASE v_run.rollback WHEN 'none' THEN '' ELSE v_run.rollback END, NULL) || coalesce(cano._draw_rollback(id), '[]');
	END IF;
	IF v_run.status <> 'completed' THEN
		SELECT string_agg(cano._draw_text(s.state, 60), ', ' ORDER BY s.ordinal) FILTER (WHERE s.n <= 20) ||
			CASE WHEN count(*) > 20 THEN ', ' || cano._draw_glyph('more') ELSE '' END
		INTO v_ahead
		FROM (SELECT t.state, t.ordinal, row_number() OVER (ORDER BY t.ordinal) AS n FROM cano._draw_run_states(id) t WHERE t.mark = 'todo') s;
		IF v_ahead IS NOT NULL THEN
			v_lines := v_lines || cano._draw_line(1, cano._draw_glyph('todo'), CASE WHEN v_run.ended_at IS NULL THEN 'not yet' ELSE 'not reached' END, v_ahead, NULL);
		END IF;
	END IF;
	RETURN v_lines;
END
$$;
COMMENT ON FUNCTION cano._draw_story IS 'internal: what happened in a run, as lines of a tree';

-- The same of a workflow: what would happen.
CREATE FUNCTION cano._draw_plan(workflow text, version integer) RETURNS jsonb
LANGUAGE sql STABLE STRICT PARALLEL RESTRICTED
BEGIN ATOMIC
	SELECT pg_catalog.jsonb_agg(p.line ORDER BY p.ordinal, p.n)
	FROM (
		SELECT s.ordinal, 0 AS n, cano._draw_line(1, '', s.state,
			pg_catalog.concat_ws(', ', cano._draw_what(s.part), NULLIF(cano._draw_settings(s.part), '')),
			pg_catalog.array_agg(cano._draw_glyph('to') || ' ' || cano._draw_text(e.target, 60) || CASE e.via
				WHEN 'timeout' THEN ' after ' || (s.part ->> 'timeout') WHEN 'failure' THEN ' if it fails' ELSE '' END ORDER BY e.preference)
				FILTER (WHERE e.target IS NOT NULL)) AS line
		FROM cano._draw_states(_draw_plan.workflow, _draw_plan.version) s
		LEFT JOIN cano._draw_edges(_draw_plan.workflow, _draw_plan.version) e ON e.source = s.state
		GROUP BY s.ordinal, s.state, s.part
		UNION ALL
		SELECT s.ordinal, t.n, cano._draw_line(2, '', 'branch ' || t.n - 1,
			pg_catalog.concat_ws(', ', cano._draw_text(coalesce(t.task ->> 'run', t.task #>> '{}'), 60), CASE WHEN pg_catalog.jsonb_typeof(t.task) = 'object'
				THEN NULLIF(cano._draw_settings(t.task), '') END), NULL)
		FROM cano._draw_states(_draw_plan.workflow, _draw_plan.version) s,
			pg_catalog.jsonb_array_elements(s.part -> 'tasks') WITH ORDINALITY t (task, n)
		WHERE s.kind = 'split' AND t.n <= 20) p;
END;
COMMENT ON FUNCTION cano._draw_plan IS 'internal: what a workflow does, as lines of a tree';

CREATE FUNCTION cano._draw_tree(story jsonb) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
	WITH line AS (
		SELECT l.line, l.n, (l.line ->> 'depth')::integer AS depth,
			pg_catalog.max(l.n) FILTER (WHERE (l.line ->> 'depth')::integer = 1) OVER () AS last,
			pg_catalog.lead((l.line ->> 'depth')::integer) OVER (ORDER BY l.n) AS following,
			pg_catalog.max(pg_catalog.length(l.line ->> 'title')) FILTER (WHERE pg_catalog.length(l.line ->> 'title') <= 24) OVER (PARTITION BY l.line ->> 'depth') AS width
		FROM pg_catalog.jsonb_array_elements(story) WITH ORDINALITY l (line, n)),
	drawn AS (
		SELECT l.*, (pg_catalog.jsonb_array_length(l.line -> 'details') > 0 OR coalesce(l.following, 0) = 2) AS goes_on,
			CASE WHEN l.n >= l.last AND l.depth = 1 THEN cano._draw_glyph('end') ELSE cano._draw_glyph('tee') END || cano._draw_glyph('dash') || ' ' AS arm,
			CASE WHEN l.n >= l.last THEN '   ' ELSE cano._draw_glyph('line') || '  ' END AS trunk,
			CASE WHEN l.following = 2 THEN cano._draw_glyph('line') || '  ' ELSE '   ' END AS twig
		FROM line l)
	SELECT pg_catalog.string_agg(
		CASE WHEN d.depth = 1 THEN d.arm
			ELSE d.trunk || CASE WHEN d.following = 2 THEN cano._draw_glyph('tee') ELSE cano._draw_glyph('end') END || cano._draw_glyph('dash') || ' ' END ||
		pg_catalog.rtrim(coalesce(NULLIF(d.line ->> 'mark', '') || ' ', '') || pg_catalog.rpad(d.line ->> 'title', greatest(d.width, pg_catalog.length(d.line ->> 'title'))) || '  ' || (d.line ->> 'note')) ||
		coalesce((
			SELECT pg_catalog.string_agg(E'\n' || d.trunk || d.twig || '   ' || e.detail, '' ORDER BY e.n)
			FROM pg_catalog.jsonb_array_elements_text(d.line -> 'details') WITH ORDINALITY e (detail, n)), ''),
		E'\n' ORDER BY d.n)
	FROM drawn d;
END;
COMMENT ON FUNCTION cano._draw_tree IS 'internal: lines as a tree';

CREATE FUNCTION cano.explain(workflow text) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL RESTRICTED
BEGIN ATOMIC
	SELECT pg_catalog.format(E'%s, version %s of %s%s: %s\n%s', cano._draw_text(w.workflow, 100), w.version, w.owner,
		CASE WHEN w.paused THEN ', paused' ELSE '' END,
		pg_catalog.concat((SELECT pg_catalog.count(*) FROM cano.states s WHERE s.workflow = w.workflow AND s.version = w.version), ' states', (
			SELECT pg_catalog.string_agg(', ' || o.key || ' ' || cano._draw_text(o.value, 60), '' ORDER BY o.key)
			FROM pg_catalog.jsonb_each_text(w.definition -> 'options') o WHERE o.key <> 'resources')),
		cano._draw_tree(cano._draw_plan(w.workflow, w.version)))
	FROM cano.workflows w
	WHERE w.workflow = explain.workflow AND w.version = cano._draw_workflow(explain.workflow);
END;
COMMENT ON FUNCTION cano.explain(text) IS
'what a workflow does, as a tree of its states. Raises CN404 where there is none';

CREATE FUNCTION cano.explain(run bigint) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL RESTRICTED
SET jit = off
BEGIN ATOMIC
	SELECT pg_catalog.format(E'%s, run %s: %s\n%s\n%s%s', cano._draw_text(r.workflow, 100), r.run_id, cano._draw_headline(r.run_id, 0),
		pg_catalog.concat_ws(', ', 'version ' || r.version, 'by ' || r.role, 'key "' || cano._draw_text(r.key, 60) || '"',
			'submitted ' || cano._draw_time(r.submitted_at),
			CASE WHEN r.ended_at IS NOT NULL THEN 'took ' || cano._draw_span(r.submitted_at, r.ended_at) END,
			'child of run ' || r.parent_run_id),
		cano._draw_tree(cano._draw_story(r.run_id)),
		(SELECT pg_catalog.string_agg(E'\n' || cano._draw_glyph('to') || ' ' || h.hint, '' ORDER BY h.n)
			FROM pg_catalog.unnest(cano._draw_hints(r.run_id)) WITH ORDINALITY h (hint, n)))
	FROM cano._draw_run(explain.run) r;
END;
COMMENT ON FUNCTION cano.explain(bigint) IS
'what a run did, as a tree: errors under what failed, what it waits for, and what to do about it. Raises CN404 where
there is none';
