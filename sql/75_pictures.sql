/*
 * Pictures: what all of them are made of, and those in Mermaid.
 *
 * They read the views as whoever looks, so nobody sees in a picture what he
 * may not see otherwise.  They are STABLE: all of a picture is of one moment.
 *
 * Names and messages are anybody's.  Nothing of them gets into a picture but
 * through _draw_text (or _draw_lines, which keeps line breaks) and then, as the case
 * may be, _draw_mermaid or _draw_html; in Mermaid nobody's name is an id.
 *
 * All that reads views is done with "jit" off: the statements are many, and
 * compiling them takes longer than running them.
 *
 * This text is ASCII, because the database may have any encoding; where that
 * is UTF8, marks are those of Unicode.
 */
-- Not in SQL: the planner would make the characters of constants, also where
-- there are none.
CREATE FUNCTION cano._draw_glyph(name text) RETURNS text
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF getdatabaseencoding() = 'UTF8' THEN
		RETURN chr(CASE name WHEN 'done' THEN 10003 WHEN 'failed' THEN 10007 WHEN 'active' THEN 8230
			WHEN 'undone' THEN 8634 WHEN 'left' THEN 10007 WHEN 'cancelled' THEN 8856 WHEN 'todo' THEN 183
			WHEN 'more' THEN 8230 WHEN 'to' THEN 8594 WHEN 'bar' THEN 9608 WHEN 'thin' THEN 9618
			WHEN 'line' THEN 9474 WHEN 'tee' THEN 9500 WHEN 'end' THEN 9492 WHEN 'dash' THEN 9472
			WHEN 'break' THEN 9166 WHEN 'times' THEN 215 ELSE 65533 END);
	END IF;
	RETURN CASE name WHEN 'done' THEN '+' WHEN 'failed' THEN 'x' WHEN 'active' THEN '...'
			WHEN 'undone' THEN '<' WHEN 'left' THEN 'x' WHEN 'cancelled' THEN '-' WHEN 'todo' THEN '.'
			WHEN 'more' THEN '...' WHEN 'to' THEN '->' WHEN 'bar' THEN '#' WHEN 'thin' THEN '='
			WHEN 'line' THEN '|' WHEN 'tee' THEN '|' WHEN 'end' THEN '`' WHEN 'dash' THEN '-'
			WHEN 'break' THEN ' ' WHEN 'times' THEN 'x' ELSE '?' END;
END
$$;
COMMENT ON FUNCTION cano._draw_glyph IS 'internal: a mark, as well as the database can write it';

-- No control characters, and none that is invisible or turns the others round.
CREATE FUNCTION cano._draw_lines(value text, length integer) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN pg_catalog.regexp_replace(
	CASE WHEN pg_catalog.length(value) > length
		THEN pg_catalog.left(value, greatest(length - 1, 0)) || cano._draw_glyph('more') ELSE value END,
	CASE WHEN pg_catalog.getdatabaseencoding() = 'UTF8'
		THEN '[\u0001-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff]'
		ELSE '[\x01-\x08\x0b-\x1f\x7f]' END,
	cano._draw_glyph('?'), 'g');
COMMENT ON FUNCTION cano._draw_lines IS 'internal: a text of at most so many characters, as it can be shown';

CREATE FUNCTION cano._draw_text(value text, length integer) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN pg_catalog.translate(cano._draw_lines(value, length), E'\n\t', cano._draw_glyph('break') || ' ');
COMMENT ON FUNCTION cano._draw_text IS 'internal: the same in one line';

CREATE FUNCTION cano._draw_html(value text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(value,
	'&', '&amp;'), '<', '&lt;'), '>', '&gt;'), '"', '&quot;'), '''', '&#39;');
COMMENT ON FUNCTION cano._draw_html IS 'internal: a text for an HTML page, or for an attribute of one';

-- Letters and digits, and what stands between two of them: all else as an
-- entity, lest it be Mermaid, Markdown or an address.
CREATE FUNCTION cano._draw_mermaid(value text, length integer) RETURNS text
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_rest text := cano._draw_text(value, least(length, 400));
	v_plain text;
	v_done text := '';
BEGIN
	WHILE v_rest <> '' LOOP
		v_plain := substring(v_rest FROM
			'^[A-Za-z0-9 ](?:[A-Za-z0-9 ]|(?<=[A-Za-z0-9])(?:[._-](?=[A-Za-z0-9])|,(?=[A-Za-z0-9 ])))*');
		IF v_plain IS NULL THEN
			v_plain := left(v_rest, 1);
			v_done := v_done || CASE WHEN ascii(v_plain) > 160 THEN v_plain ELSE '#' || ascii(v_plain) || ';' END;
		ELSE
			v_done := v_done || v_plain;
		END IF;
		v_rest := substr(v_rest, length(v_plain) + 1);
	END LOOP;
	-- Mermaid takes a line that says "direction LR" for that, wherever it says so.
	RETURN replace(regexp_replace(v_done, '(direction) ', '\1#32;', 'gi'), 'www.', 'www#46;');
END
$$;
COMMENT ON FUNCTION cano._draw_mermaid IS 'internal: a text for a Mermaid drawing';

CREATE FUNCTION cano._draw_seconds(seconds double precision) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE
	WHEN NOT seconds >= 0 THEN '0 ms'
	WHEN seconds >= 1e10 THEN 'ever'
	WHEN seconds < 0.9995 THEN pg_catalog.round(seconds * 1000) || ' ms'
	WHEN seconds < 59.95 THEN pg_catalog.to_char(seconds, 'FM990.0') || ' s'
	WHEN seconds < 3600 THEN pg_catalog.floor(seconds / 60) || ' min ' || pg_catalog.floor(seconds)::bigint % 60 || ' s'
	WHEN seconds < 86400 THEN pg_catalog.floor(seconds / 3600) || ' h ' || pg_catalog.floor(seconds / 60)::bigint % 60 || ' min'
	ELSE pg_catalog.floor(seconds / 86400) || ' d ' || pg_catalog.floor(seconds / 3600)::bigint % 24 || ' h'
END;
COMMENT ON FUNCTION cano._draw_seconds IS 'internal: how long that is';

CREATE FUNCTION cano._draw_span(since timestamptz, until timestamptz) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN cano._draw_seconds((extract(epoch FROM until) - extract(epoch FROM since))::double precision);
COMMENT ON FUNCTION cano._draw_span IS 'internal: how long it is from one moment to another';

CREATE FUNCTION cano._draw_time(moment timestamptz) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN CASE WHEN pg_catalog.isfinite(moment) THEN pg_catalog.to_char(moment, 'YYYY-MM-DD HH24:MI:SS') ELSE moment::text END;
COMMENT ON FUNCTION cano._draw_time IS 'internal: a moment, to the second';

-- ---- What there is to draw: the workflow ----

-- What a state is, in a line.
CREATE FUNCTION cano._draw_what(part jsonb) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN pg_catalog.concat(part ->> 'kind', CASE part ->> 'kind'
	WHEN 'split' THEN pg_catalog.concat(' of ', pg_catalog.jsonb_array_length(part -> 'tasks'), ', join ',
		coalesce(part -> 'join' ->> 'strategy', 'all'), ' ' || coalesce(part -> 'join' ->> 'n', part -> 'join' ->> 'p'),
		', ' || (part ->> 'bulkhead') || ' at once')
	WHEN 'batch' THEN pg_catalog.concat(' of ', cano._draw_text(part ->> 'load', 60), ', each ', cano._draw_text(part ->> 'process', 60),
		', then ' || cano._draw_text(part ->> 'finish', 60), ', ' || NULLIF(part ->> 'concurrency', '1') || ' at once')
	WHEN 'timer' THEN coalesce(' of ' || (part ->> 'delay'), ' until ' || (part ->> 'until'), ' of ' || cano._draw_text(part ->> 'run', 60))
	WHEN 'receive' THEN ' "' || cano._draw_text(part ->> 'signal', 60) || '"'
	WHEN 'child' THEN ' "' || cano._draw_text(part ->> 'workflow', 60) || '"'
	WHEN 'external' THEN ', queue "' || cano._draw_text(part ->> 'queue', 60) || '"'
	WHEN 'exit' THEN ', ' || NULLIF(part ->> 'outcome', 'completed')
	ELSE ' ' || cano._draw_text(part ->> 'run', 60) END);
COMMENT ON FUNCTION cano._draw_what IS 'internal: what a state is, in a line';

CREATE FUNCTION cano._draw_retry(retry jsonb) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN CASE retry ->> 'policy'
	WHEN 'none' THEN 'no retries'
	WHEN 'fixed' THEN pg_catalog.concat(retry ->> 'retries', ' retries, each after ', retry ->> 'delay')
	WHEN 'exponential' THEN pg_catalog.concat(retry ->> 'retries', ' retries, the first after ', coalesce(retry ->> 'base', '00:00:00.1'))
END;
COMMENT ON FUNCTION cano._draw_retry IS 'internal: a retry policy in a few words';

-- What else is to be said of it.
CREATE FUNCTION cano._draw_settings(part jsonb) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN pg_catalog.concat_ws(', ',
	'undone by ' || cano._draw_text(part ->> 'compensate', 60),
	cano._draw_retry(part -> 'retry'),
	'timeout ' || (part ->> 'timeout'),
	'breaker "' || cano._draw_text(part ->> 'breaker', 60) || '"',
	'limiter "' || cano._draw_text(part ->> 'limiter', 60) || '"',
	CASE WHEN part ->> 'kind' = 'router' AND NOT part ? 'targets' THEN 'goes anywhere' END);
COMMENT ON FUNCTION cano._draw_settings IS 'internal: the settings of a state in a line';

-- Which state leads to which, for an outcome or by default ("via" is empty),
-- the first choice first.
CREATE FUNCTION cano._draw_edges(workflow text, version integer)
RETURNS TABLE (source text, target text, via text, preference bigint)
LANGUAGE plpgsql STABLE STRICT PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	SELECT s.state, t.target, t.via, min(t.n)
	FROM cano.states s,
		LATERAL (
			SELECT s.next AS target, '' AS via, 0 AS n
			UNION ALL
			SELECT u.target, '', u.n FROM unnest(s.targets) WITH ORDINALITY u (target, n)
			UNION ALL
			SELECT s.definition ->> 'on_failure', 'failure', 100001
			UNION ALL
			SELECT s.definition ->> 'on_timeout', 'timeout', 100002) t
	WHERE s.workflow = _draw_edges.workflow AND s.version = _draw_edges.version AND t.target IS NOT NULL
	GROUP BY s.state, t.target, t.via;
END
$$;
COMMENT ON FUNCTION cano._draw_edges IS 'internal: which state leads to which';

-- The states in an order in which as few edges as possible lead back: the
-- reverse of the order in which a search in depth leaves them.
CREATE FUNCTION cano._draw_states(workflow text, version integer)
RETURNS TABLE (ordinal bigint, state text, kind text, part jsonb)
LANGUAGE plpgsql STABLE STRICT PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
	v_name text[];
	v_target integer[];				-- edges of state i: from v_from[i] to v_from[i + 1] - 1
	v_from integer[];
	v_next integer[];				-- of each state: the edge to follow next
	v_seen boolean[];
	v_stack integer[];
	v_left integer[] := ARRAY[]::integer[];
	v_at integer;
	v_depth integer;
BEGIN
	-- The start is the first.
	SELECT array_agg(s.state ORDER BY s.state = (
			SELECT w.definition ->> 'start' FROM cano.workflows w
			WHERE w.workflow = _draw_states.workflow AND w.version = _draw_states.version) DESC, s.state COLLATE "C")
	INTO v_name
	FROM cano.states s WHERE s.workflow = _draw_states.workflow AND s.version = _draw_states.version;
	SELECT array_agg(e.target ORDER BY e.source, e.preference DESC) INTO v_target
	FROM (
		SELECT a.n AS source, b.n AS target, d.preference
		FROM cano._draw_edges(_draw_states.workflow, _draw_states.version) d
		JOIN unnest(v_name) WITH ORDINALITY a (state, n) ON a.state = d.source
		JOIN unnest(v_name) WITH ORDINALITY b (state, n) ON b.state = d.target) e;
	SELECT array_agg(c.upto ORDER BY c.n) INTO v_from
	FROM (
		SELECT a.n, 1 + coalesce(sum(d.edges) OVER (ORDER BY a.n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)::integer AS upto
		FROM unnest(v_name || NULL::text) WITH ORDINALITY a (state, n)
		LEFT JOIN (
			SELECT e.source, count(*) AS edges
			FROM cano._draw_edges(_draw_states.workflow, _draw_states.version) e GROUP BY e.source) d ON d.source = a.state) c;

	v_next := v_from;
	v_seen := array_fill(false, ARRAY[cardinality(v_name)]);
	-- Roots that a router without targets leads to are last, so visited first.
	FOR v_root IN REVERSE cardinality(v_name) .. 1 LOOP
		CONTINUE WHEN v_seen[v_root] OR v_root > 1 AND EXISTS (
			SELECT FROM unnest(v_target) t (target) WHERE t.target = v_root);
		v_stack := ARRAY[v_root];
		v_depth := 1;
		v_seen[v_root] := true;
		WHILE v_depth > 0 LOOP
			v_at := v_stack[v_depth];
			IF v_next[v_at] < v_from[v_at + 1] THEN
				v_at := v_target[v_next[v_at]];
				v_next[v_stack[v_depth]] := v_next[v_stack[v_depth]] + 1;
				IF NOT v_seen[v_at] THEN
					v_seen[v_at] := true;
					v_depth := v_depth + 1;
					v_stack[v_depth] := v_at;
				END IF;
			ELSE
				v_left := v_left || v_at;
				v_depth := v_depth - 1;
			END IF;
		END LOOP;
	END LOOP;

	RETURN QUERY
	SELECT row_number() OVER (ORDER BY l.n DESC NULLS LAST, a.n), s.state, s.kind, s.definition
	FROM cano.states s
	JOIN unnest(v_name) WITH ORDINALITY a (state, n) ON a.state = s.state
	LEFT JOIN unnest(v_left) WITH ORDINALITY l (at, n) ON l.at = a.n
	WHERE s.workflow = _draw_states.workflow AND s.version = _draw_states.version;
END
$$;
COMMENT ON FUNCTION cano._draw_states IS 'internal: the states of a workflow, those that lead to others first';

-- The current version; an error if there is no such workflow.
CREATE FUNCTION cano._draw_workflow(workflow text) RETURNS integer
LANGUAGE plpgsql STABLE STRICT PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
	v_version integer := (SELECT w.version FROM cano.workflows w WHERE w.workflow = _draw_workflow.workflow AND w.is_current);
BEGIN
	IF v_version IS NULL THEN
		PERFORM cano.definition(workflow);	-- says so
	END IF;
	RETURN v_version;
END
$$;
COMMENT ON FUNCTION cano._draw_workflow IS 'internal: the current version of a workflow that must exist';

-- ---- What there is to draw: the run ----

CREATE FUNCTION cano._draw_run(id bigint) RETURNS cano._runs
LANGUAGE plpgsql STABLE STRICT PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
	v_run cano._runs;
BEGIN
	SELECT r.* INTO v_run FROM cano._runs r WHERE r.run_id = id;
	IF v_run.run_id IS NULL THEN
		RAISE EXCEPTION 'run % does not exist', id
			USING ERRCODE = 'CN404', DETAIL = 'There is no such run, or it belongs to another role.';
	END IF;
	RETURN v_run;
END
$$;
COMMENT ON FUNCTION cano._draw_run IS 'internal: a run that must exist';

-- Now, but never before what is already written down: clocks can be set back.
CREATE FUNCTION cano._draw_now(id bigint) RETURNS timestamptz
LANGUAGE sql STABLE STRICT PARALLEL RESTRICTED
BEGIN ATOMIC
	SELECT greatest(pg_catalog.statement_timestamp(), (
		SELECT c.recorded_at FROM cano.checkpoints c WHERE c.run_id = id ORDER BY c.sequence DESC LIMIT 1));
END;
COMMENT ON FUNCTION cano._draw_now IS 'internal: until when what goes on in a run has lasted';

-- The states that a run has been in, one after the other, but for routers:
-- those leave nothing behind, so they are only known if they are where it is or
-- ended.
CREATE FUNCTION cano._draw_visits(id bigint)
RETURNS TABLE (ordinal bigint, state text, since timestamptz, until timestamptz, resumed boolean, latest boolean)
LANGUAGE plpgsql STABLE STRICT PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	SELECT row_number() OVER w, v.state, v.since,
		coalesce(lead(v.since) OVER w, v.until, cano._draw_now(id)),
		v.resumed, lead(v.state) OVER w IS NULL
	FROM (
		SELECT c.sequence, c.state, c.recorded_at AS since, (SELECT r.ended_at FROM cano.runs r WHERE r.run_id = id) AS until,
			c.mark IS NOT DISTINCT FROM 'resumed' AS resumed
		FROM cano.checkpoints c WHERE c.run_id = id AND c.kind = 'state_entry'
		UNION ALL
		SELECT 9223372036854775807, s.state, coalesce(min(a.started_at), k.recorded_at, r.submitted_at), r.ended_at, false
		FROM cano.runs r
		JOIN cano.states s ON s.workflow = r.workflow AND s.version = r.version AND s.state = r.state AND s.kind = 'router'
		LEFT JOIN LATERAL (
			SELECT c.recorded_at FROM cano.checkpoints c WHERE c.run_id = id ORDER BY c.sequence DESC LIMIT 1) k ON true
		LEFT JOIN cano.attempts a ON a.run_id = id AND a.state = s.state AND a.started_at >= k.recorded_at
		WHERE r.run_id = id
		GROUP BY s.state, k.recorded_at, r.submitted_at, r.ended_at) v
	WINDOW w AS (ORDER BY v.sequence);
END
$$;
COMMENT ON FUNCTION cano._draw_visits IS 'internal: the states that a run has been in';

-- From where to where it went, and how often.  Where no edge leads directly,
-- but by way of a router, it went that way.
CREATE FUNCTION cano._draw_moves(id bigint)
RETURNS TABLE (source text, target text, times bigint)
LANGUAGE plpgsql STABLE STRICT PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	WITH move AS (
		SELECT v.source, v.target, count(*) AS times
		FROM (
			SELECT u.state AS target, lag(u.state) OVER (ORDER BY u.ordinal) AS source, u.resumed
			FROM cano._draw_visits(id) u) v
		WHERE v.source IS NOT NULL AND NOT v.resumed
		GROUP BY v.source, v.target),
	edge AS (
		SELECT DISTINCT e.source, e.target
		FROM cano.runs r, cano._draw_edges(r.workflow, r.version) e WHERE r.run_id = id),
	way AS (
		SELECT m.*, (
			SELECT min(s.state) FROM cano.runs r, cano.states s, edge a
			WHERE r.run_id = id AND s.workflow = r.workflow AND s.version = r.version AND s.kind = 'router'
				AND a.source = m.source AND a.target = s.state
				AND (s.targets IS NULL OR m.target = ANY (s.targets))
				AND NOT EXISTS (SELECT FROM edge d WHERE d.source = m.source AND d.target = m.target)) AS router
		FROM move m)
	SELECT p.source, p.target, sum(p.times)::bigint
	FROM (
		SELECT w.source, coalesce(w.router, w.target) AS target, w.times FROM way w
		UNION ALL
		SELECT w.router, w.target, w.times FROM way w WHERE w.router IS NOT NULL) p
	GROUP BY p.source, p.target;
END
$$;
COMMENT ON FUNCTION cano._draw_moves IS 'internal: from which state to which a run went, and how often';

-- Every state, with what became of it in a run: done, active, failed, cancelled,
-- undone, left (not undone), todo.
CREATE FUNCTION cano._draw_run_states(id bigint)
RETURNS TABLE (ordinal bigint, state text, kind text, part jsonb, mark text, visits bigint, failures bigint, seconds double precision, note text)
LANGUAGE plpgsql STABLE STRICT PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	WITH visit AS (
		SELECT v.state, count(*) AS visits,
			sum(extract(epoch FROM v.until) - extract(epoch FROM v.since))::double precision AS seconds
		FROM cano._draw_visits(id) v GROUP BY v.state),
	failure AS (
		SELECT a.state, a.task, count(*) AS failures FROM cano.attempts a WHERE a.run_id = id GROUP BY a.state, a.task),
	completion AS (
		SELECT DISTINCT ON (c.state) c.state, c.mark FROM cano.checkpoints c
		WHERE c.run_id = id AND c.kind = 'compensation_completion' ORDER BY c.state, c.sequence DESC),
	part AS (
		SELECT p.state, string_agg(p.times || ' ' || p.status, ', ' ORDER BY p.status) AS note
		FROM (
			SELECT q.state, q.status, count(*) AS times
			FROM cano._parts q WHERE q.run_id = id GROUP BY q.state, q.status) p
		GROUP BY p.state),
	passed AS (
		SELECT m.target AS state, sum(m.times)::bigint AS times FROM cano._draw_moves(id) m GROUP BY m.target)
	SELECT s.ordinal, s.state, s.kind, s.part,
		CASE
			WHEN r.ended_at IS NOT NULL AND s.state = r.state AND r.status <> 'completed' THEN r.status
			WHEN r.ended_at IS NOT NULL AND s.state = r.error -> 'errors' -> 0 ->> 'state' THEN r.status
			WHEN r.ended_at IS NULL AND s.state = r.state THEN 'active'
			WHEN c.mark = 'undone' THEN 'undone'
			WHEN c.mark = 'not undone' THEN 'left'
			WHEN coalesce(v.visits, w.times) IS NOT NULL THEN 'done'
			ELSE 'todo'
		END,
		coalesce(v.visits, w.times, 0), coalesce(f.failures, 0), v.seconds,
		concat_ws(', ', CASE WHEN v.visits > 1 THEN v.visits || ' times' END,
			cano._draw_seconds(CASE WHEN s.kind <> 'exit' THEN v.seconds END),
			CASE WHEN f.failures > 0 THEN f.failures || ' failed attempt' || CASE WHEN f.failures > 1 THEN 's' ELSE '' END END, p.note)
	FROM cano.runs r,
		LATERAL cano._draw_states(r.workflow, r.version) s
		LEFT JOIN visit v ON v.state = s.state
		LEFT JOIN LATERAL (
			SELECT sum(g.failures)::bigint AS failures FROM failure g
			WHERE g.state = s.state AND g.task IS DISTINCT FROM s.part ->> 'compensate') f ON true
		LEFT JOIN completion c ON c.state = s.state
		LEFT JOIN part p ON p.state = s.state
		LEFT JOIN passed w ON w.state = s.state
	WHERE r.run_id = id;
END
$$;
COMMENT ON FUNCTION cano._draw_run_states IS 'internal: what became of every state in a run';
