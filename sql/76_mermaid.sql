/*
 * Drawings in Mermaid, and when things happened: as text and in Mermaid.
 */
CREATE FUNCTION cano._draw_diagram(workflow text, version integer, id bigint) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
	v_state record;
	v_exits text := '';
	v_classes text := '';
	v_edges text;
	v_id jsonb;						-- the id of each state
	v_branches integer;
	v_text text := E'stateDiagram-v2\n    direction TB\n';
BEGIN
	SELECT jsonb_object_agg(s.state, 's' || s.ordinal) INTO v_id FROM cano._draw_states(workflow, version) s;
	FOR v_state IN
		SELECT s.ordinal, s.state, s.kind, s.part, r.mark, r.note
		FROM cano._draw_states(workflow, version) s
		LEFT JOIN cano._draw_run_states(id) r ON r.state = s.state
		ORDER BY s.ordinal
	LOOP
		v_text := v_text || format(E'    state "%2$s" as s%1$s\n    s%1$s : %3$s\n', v_state.ordinal,
			cano._draw_mermaid(v_state.state, 60), cano._draw_mermaid(cano._draw_what(v_state.part), 200));
		IF v_state.part ? 'compensate' THEN
			v_text := v_text || format(E'    s%s : %s\n', v_state.ordinal,
				cano._draw_mermaid('undone by ' || (v_state.part ->> 'compensate'), 80));
		END IF;
		IF v_state.note <> '' THEN
			v_text := v_text || format(E'    s%s : %s\n', v_state.ordinal,
				cano._draw_mermaid(v_state.note, 200));
		END IF;
		IF v_state.mark IS NOT NULL THEN
			v_classes := v_classes || format(E'    class s%s %s\n', v_state.ordinal, v_state.mark);
		END IF;
		IF v_state.kind = 'exit' THEN
			v_exits := v_exits || format(E'    s%s --> [*]\n', v_state.ordinal);
		END IF;
		v_branches := CASE WHEN v_state.kind = 'split' THEN jsonb_array_length(v_state.part -> 'tasks') END;
		IF v_branches > 0 THEN
			v_text := v_text || cano._draw_fork(v_state.ordinal, v_state.state, v_state.part, id);
		END IF;
	END LOOP;

	-- Declared edges, and those that a run went beside.
	SELECT string_agg(format(E'    %s --> %s%s\n',
			(v_id ->> e.source) || CASE WHEN e.forks AND e.via = '' THEN 'j' ELSE '' END, v_id ->> e.target,
			' : ' || cano._draw_mermaid(e.label, 80)), '' ORDER BY e.place, e.preference, e.target)
	INTO v_edges
	FROM (
		SELECT coalesce(d.source, m.source) AS source, coalesce(d.target, m.target) AS target, coalesce(d.via, '') AS via,
			coalesce(d.preference, 200000) AS preference, s.ordinal AS place,
			s.kind = 'split' AND jsonb_array_length(s.part -> 'tasks') > 0 AS forks,
			NULLIF(concat_ws(', ',
				CASE d.via WHEN 'timeout' THEN 'after ' || (s.part ->> 'timeout') WHEN 'failure' THEN 'if it fails' END,
				CASE WHEN m.times > 1 AND coalesce(d.via, '') = '' THEN m.times || cano._draw_glyph('times') END), '') AS label
		FROM cano._draw_edges(workflow, version) d
		FULL JOIN cano._draw_moves(id) m ON m.source = d.source AND m.target = d.target
		JOIN cano._draw_states(workflow, version) s ON s.state = coalesce(d.source, m.source)) e;

	RETURN v_text || E'    [*] --> s1\n' || coalesce(v_edges, '') || v_exits ||
		CASE WHEN id IS NULL THEN '' ELSE
			'    classDef done fill:#d9f2e0,stroke:#1a7f37,color:#0b3d1a' || E'\n'
			'    classDef active fill:#fff0c2,stroke:#9a6700,color:#3d2900,stroke-width:3px' || E'\n'
			'    classDef failed fill:#ffdcd9,stroke:#cf222e,color:#5c0b12,stroke-width:3px' || E'\n'
			'    classDef left fill:#ffdcd9,stroke:#cf222e,color:#5c0b12,stroke-dasharray:4' || E'\n'
			'    classDef undone fill:#eadcff,stroke:#8250df,color:#2e1461,stroke-dasharray:4' || E'\n'
			'    classDef cancelled fill:#e4e4e4,stroke:#57606a,color:#24292f,stroke-width:3px' || E'\n'
			'    classDef todo fill:#ffffff,stroke:#b0b0b0,color:#57606a' || E'\n' || v_classes
		END;
END
$$;
COMMENT ON FUNCTION cano._draw_diagram IS 'internal: a Mermaid state diagram, of a run if it is not null';

-- The branches of a split, between a fork and a join; no more than fit.
CREATE FUNCTION cano._draw_fork(ordinal bigint, state text, part jsonb, id bigint) RETURNS text
LANGUAGE sql STABLE PARALLEL RESTRICTED
BEGIN ATOMIC
	SELECT pg_catalog.format(E'    state s%1$sf <<fork>>\n    state s%1$sj <<join>>\n    s%1$s --> s%1$sf\n', ordinal) ||
		pg_catalog.string_agg(
			pg_catalog.format(E'    state "%3$s" as s%1$sb%2$s\n    s%1$sf --> s%1$sb%2$s\n    s%1$sb%2$s --> s%1$sj\n', ordinal, t.n,
				CASE WHEN t.n < 20 THEN cano._draw_mermaid(coalesce(t.task ->> 'run', t.task #>> '{}'), 60)
					ELSE (pg_catalog.jsonb_array_length(part -> 'tasks') - 19) || ' more' END) ||
			CASE WHEN b.note <> '' AND t.n < 20 THEN pg_catalog.format(E'    s%s : %s\n', ordinal || 'b' || t.n, cano._draw_mermaid(b.note, 80)) ELSE '' END ||
			CASE WHEN id IS NOT NULL AND t.n < 20 THEN pg_catalog.format(E'    class s%s %s\n', ordinal || 'b' || t.n, coalesce(b.mark, 'todo')) ELSE '' END,
			'' ORDER BY t.n)
	FROM pg_catalog.jsonb_array_elements(part -> 'tasks') WITH ORDINALITY t (task, n)
	LEFT JOIN (
		SELECT c.branch + 1 AS n,
			CASE c.status WHEN 'completed' THEN 'done' WHEN 'failed' THEN 'failed' WHEN 'cancelled' THEN 'cancelled'
				WHEN 'queued' THEN 'todo' ELSE 'active' END AS mark,
			c.status || CASE WHEN c.attempt > 1 THEN ', attempt ' || c.attempt ELSE '' END AS note
		FROM cano.branches c WHERE c.run_id = id AND c.state = _draw_fork.state) b ON b.n = t.n
	WHERE t.n <= 20;
END;
COMMENT ON FUNCTION cano._draw_fork IS 'internal: the branches of a split in a Mermaid state diagram';

CREATE FUNCTION cano.mermaid(workflow text) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL RESTRICTED
RETURN cano._draw_diagram(workflow, cano._draw_workflow(workflow), NULL);
COMMENT ON FUNCTION cano.mermaid(text) IS 'a workflow as a state diagram in Mermaid. Raises CN404 where there is none';

CREATE FUNCTION cano.mermaid(run bigint) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL RESTRICTED
SET jit = off
BEGIN ATOMIC
	SELECT cano._draw_diagram(r.workflow, r.version, run) FROM cano._draw_run(run) r;
END;
COMMENT ON FUNCTION cano.mermaid(bigint) IS
'a run as a state diagram of its workflow in Mermaid: what happened is coloured. Raises CN404 where there is none';

-- ---- When it was ----

/*
 * What happened in a run from when to when: its waiting in the queue, the
 * states that it has been in, its children, its rollback.  Of states that are
 * left and entered again and again, only the first and the last ones; the rest
 * is one bar.  "failures" are when attempts failed.
 *
 * A state is entered when the one before it is left, so what it waited for a
 * worker is in its time.
 */
CREATE FUNCTION cano._draw_bars(id bigint)
RETURNS TABLE (ordinal bigint, what text, label text, since timestamptz, until timestamptz, mark text, note text, failures timestamptz[], last boolean)
LANGUAGE plpgsql STABLE STRICT PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	WITH r AS (
		SELECT q.*, coalesce(q.error -> 'errors' -> 0, q.error) ->> 'state' AS fell FROM cano._draw_run(id) q),
	v AS (
		SELECT w.ordinal, w.state, w.since, w.until, w.latest,
			greatest(count(*) OVER () - 20, 20) AS later, max(w.ordinal) OVER (PARTITION BY w.state) AS last_of_state
		FROM cano._draw_visits(id) w),
	bar AS (
		SELECT v.ordinal, v.state, v.state AS label, greatest(v.since, CASE WHEN v.ordinal = 1 THEN r.started_at END) AS since, v.until,
			v.latest, v.ordinal = v.last_of_state AS last, s.kind
		FROM r
		CROSS JOIN v
		LEFT JOIN cano.states s ON s.workflow = r.workflow AND s.version = r.version AND s.state = v.state
		WHERE v.ordinal <= 20 OR v.ordinal > v.later
		UNION ALL
		SELECT 20.5, NULL, count(*) || ' more states', min(v.since), max(v.until), false, false, NULL
		FROM v WHERE v.ordinal > 20 AND v.ordinal <= v.later HAVING count(*) > 0)
	SELECT row_number() OVER (ORDER BY b.ordinal, b.since), b.what, b.label, b.since, greatest(b.until, b.since), b.mark, b.note, b.failures, b.last
	FROM (
		SELECT 0 AS ordinal, 'queue' AS what, 'in the queue' AS label, q.submitted_at AS since,
			coalesce(q.started_at, q.ended_at, cano._draw_now(id)) AS until,
			CASE WHEN q.started_at IS NULL AND q.ended_at IS NULL THEN 'active' ELSE 'todo' END AS mark, '' AS note, NULL::timestamptz[] AS failures, false AS last
		FROM r q WHERE q.started_at IS DISTINCT FROM q.submitted_at
		UNION ALL
		SELECT x.ordinal, 'visit', x.label, x.since, x.until,
			CASE
				WHEN x.latest AND r.ended_at IS NULL AND r.status <> 'compensating' THEN 'active'
				WHEN (x.latest OR x.last AND x.state = r.fell) AND r.status IN ('failed', 'cancelled')
					AND x.state IN (r.state, r.fell) THEN r.status
				ELSE 'done'
			END,
			CASE WHEN f.failures IS NOT NULL THEN cardinality(f.failures) || ' failed attempt' ||
				CASE WHEN cardinality(f.failures) > 1 THEN 's' ELSE '' END ELSE '' END,
			f.failures[1:50], x.last
		FROM r
		CROSS JOIN bar x
		LEFT JOIN LATERAL (
			SELECT array_agg(a.ended_at ORDER BY a.ended_at) AS failures
			FROM cano.attempts a
			WHERE a.run_id = id AND a.state = x.state AND a.ended_at > x.since AND a.ended_at <= x.until) f ON true
		WHERE r.started_at IS NOT NULL AND (x.kind IS DISTINCT FROM 'exit' OR x.latest)
		UNION ALL
		SELECT x.ordinal + 0.1, 'child', 'run ' || c.run_id || ' of ' || c.workflow, c.submitted_at, coalesce(c.ended_at, cano._draw_now(id)),
			CASE c.status WHEN 'completed' THEN 'done' WHEN 'failed' THEN 'failed' WHEN 'cancelled' THEN 'cancelled' ELSE 'active' END,
			c.status, NULL, false
		FROM bar x
		JOIN cano.runs c ON c.parent_run_id = id AND c.submitted_at >= x.since AND (x.latest OR c.submitted_at <= x.until)
		WHERE x.kind = 'child'
		UNION ALL
		SELECT 1000000, 'rollback', 'rollback', max(a.ended_at), coalesce(r.ended_at, cano._draw_now(id)),
			CASE WHEN r.ended_at IS NULL THEN 'active' WHEN r.rollback = 'partial' THEN 'left' ELSE 'undone' END, r.rollback, NULL, false
		FROM r
		JOIN cano.attempts a ON a.run_id = id AND a.state = r.fell
		JOIN cano.states s ON s.workflow = r.workflow AND s.version = r.version AND s.state = a.state
			AND s.definition ->> 'compensate' IS DISTINCT FROM a.task
		WHERE r.status = 'compensating' OR r.rollback <> 'none'
		GROUP BY r.ended_at, r.rollback) b
	ORDER BY 1 LIMIT 100;
END
$$;
COMMENT ON FUNCTION cano._draw_bars IS 'internal: what happened in a run from when to when';

-- The points of the text are where a line begins and ends, as parts of 60.
CREATE FUNCTION cano._draw_gantt_text(id bigint) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL RESTRICTED
BEGIN ATOMIC
	WITH bar AS (
		SELECT b.*, pg_catalog.min(b.since) OVER () AS first_of_all, pg_catalog.max(b.until) OVER () AS last_of_all,
			greatest(extract(epoch FROM pg_catalog.max(b.until) OVER () - pg_catalog.min(b.since) OVER ()), 0.000001) / 60 AS unit,
			cano._draw_text(b.label, 30) AS name
		FROM cano._draw_bars(id) b),
	place AS (
		SELECT b.*, least(extract(epoch FROM b.since - b.first_of_all) / b.unit, 59)::integer AS x,
			least(greatest(extract(epoch FROM b.until - b.first_of_all) / b.unit, 1), 60)::integer AS y,
			(SELECT pg_catalog.array_agg(DISTINCT least(extract(epoch FROM f.at - b.first_of_all) / b.unit, 59)::integer)
				FROM pg_catalog.unnest(b.failures) f (at)) AS z
		FROM bar b),
	line AS (
		SELECT p.*, pg_catalog.max(pg_catalog.length(p.name)) OVER () AS width, (
			SELECT pg_catalog.string_agg(
				CASE WHEN g.i = ANY (p.z) THEN cano._draw_glyph('failed')
					WHEN g.i >= least(p.x, p.y - 1) AND g.i < p.y
						THEN cano._draw_glyph(CASE WHEN p.what IN ('queue', 'rollback') THEN 'thin' ELSE 'bar' END)
					ELSE ' ' END, '' ORDER BY g.i)
			FROM pg_catalog.generate_series(0, 59) g (i)) AS drawing
		FROM place p)
	SELECT pg_catalog.format(E'%s, run %s: %s\n%s  %s\n%s',
		cano._draw_text(r.workflow, 60), id, pg_catalog.concat_ws(', ', r.status, CASE WHEN r.rollback <> 'none' THEN 'rollback ' || r.rollback END),
		pg_catalog.repeat(' ', pg_catalog.max(l.width) + 2),
		pg_catalog.rpad(cano._draw_time(pg_catalog.min(l.first_of_all)), 60 - pg_catalog.length(cano._draw_span(pg_catalog.min(l.first_of_all), pg_catalog.max(l.last_of_all)))) ||
			cano._draw_span(pg_catalog.min(l.first_of_all), pg_catalog.max(l.last_of_all)),
		pg_catalog.string_agg(pg_catalog.rtrim(pg_catalog.format('%s %s |%s| %s', cano._draw_glyph(l.mark), pg_catalog.rpad(l.name, l.width), l.drawing,
			pg_catalog.concat_ws(', ', cano._draw_span(l.since, l.until), NULLIF(l.note, '')))), E'\n' ORDER BY l.ordinal))
	FROM cano._draw_run(id) r LEFT JOIN line l ON true
	GROUP BY r.workflow, r.status, r.rollback;
END;
COMMENT ON FUNCTION cano._draw_gantt_text IS 'internal: a Gantt chart of a run in text';

CREATE FUNCTION cano._draw_gantt_mermaid(id bigint) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL RESTRICTED
BEGIN ATOMIC
	SELECT pg_catalog.format(E'gantt\n    title %s\n    dateFormat x\n    axisFormat %s\n    tickInterval %s\n',
			cano._draw_mermaid(pg_catalog.format('%s, run %s: %s', r.workflow, id, r.status), 100),
			CASE WHEN b.seconds < 60 THEN '%H:%M:%S.%L' WHEN b.seconds < 86400 THEN '%H:%M:%S' ELSE '%Y-%m-%d %H:%M' END,
			greatest(b.seconds * 1000 / 4, 1)::bigint || 'millisecond') || b.bars
	FROM cano._draw_run(id) r, (
		SELECT extract(epoch FROM pg_catalog.max(c.until) - pg_catalog.min(c.since)) AS seconds,
			pg_catalog.string_agg(pg_catalog.format(E'    section %s\n    %s :%s%s, %s\n',
				cano._draw_mermaid(c.label, 40),
				cano._draw_mermaid(pg_catalog.concat_ws(', ', cano._draw_span(c.since, c.until), NULLIF(c.note, '')), 80),
				CASE c.mark WHEN 'done' THEN 'done, ' WHEN 'undone' THEN 'done, ' WHEN 'active' THEN 'active, '
					WHEN 'failed' THEN 'crit, ' WHEN 'left' THEN 'crit, ' ELSE '' END,
				(extract(epoch FROM c.since) * 1000)::bigint,
				greatest((extract(epoch FROM c.until) * 1000)::bigint, (extract(epoch FROM c.since) * 1000)::bigint + 1)), '' ORDER BY c.ordinal) AS bars
		FROM cano._draw_bars(id) c) b;
END;
COMMENT ON FUNCTION cano._draw_gantt_mermaid IS 'internal: a Gantt chart of a run in Mermaid';

CREATE FUNCTION cano.timeline(run bigint, format text DEFAULT 'text') RETURNS text
LANGUAGE plpgsql STABLE STRICT PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
BEGIN
	IF format NOT IN ('text', 'mermaid') THEN
		RAISE EXCEPTION 'there is no format "%"', left(format, 100)
			USING ERRCODE = 'CN001', HINT = 'Formats are text and mermaid.';
	END IF;
	RETURN CASE format WHEN 'text' THEN cano._draw_gantt_text(run) ELSE cano._draw_gantt_mermaid(run) END;
END
$$;
COMMENT ON FUNCTION cano.timeline IS
'when a run was in which state, as a Gantt chart. Raises CN404 for an unknown run
run: the run
format: text or mermaid';
