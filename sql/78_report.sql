/*
 * Reports: one HTML page that needs nothing else, no script, no file, no
 * network.  It follows the reader's light or dark scheme, and prints.
 *
 * Every text of a page goes through _draw_html; all else in it is written
 * here.
 */
CREATE FUNCTION cano._draw_page(title text, body text) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN $html$<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta name="color-scheme" content="light dark"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"/>
<title>$html$ || cano._draw_html(title) || $html$</title>
<style>
:root{--page:#ffffff;--card:#f6f8fa;--line:#d1d9e0;--text:#1f2328;--soft:#59636e;
--done:#d2f1db;--done-line:#1a7f37;--active:#fff1c2;--active-line:#9a6700;--failed:#ffdfdc;--failed-line:#c4222c;
--undone:#eadfff;--undone-line:#7a46d1;--cancelled:#e2e5e9;--cancelled-line:#59636e;--todo:#ffffff;--todo-line:#9aa4ae}
@media screen and (prefers-color-scheme:dark){:root{--page:#0d1117;--card:#161b22;--line:#30363d;--text:#e6edf3;--soft:#9aa5b1;
--done:#12351f;--done-line:#3fb950;--active:#3a2d08;--active-line:#d9a21b;--failed:#4a1517;--failed-line:#ff7b72;
--undone:#2d1f4d;--undone-line:#b48cff;--cancelled:#2a3038;--cancelled-line:#9aa5b1;--todo:#0d1117;--todo-line:#59636e}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.2rem;max-width:76rem;background:var(--page);color:var(--text);font:15px/1.45 system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;overflow-wrap:anywhere}
h1{font-size:1.5rem;line-height:1.25;margin:0 0 .3rem}
h2{font-size:1.02rem;margin:1.7rem 0 .5rem;padding-bottom:.25rem;border-bottom:1px solid var(--line)}
p{margin:.3rem 0}
.soft,figcaption,dt,th{color:var(--soft)}
code,pre{font:13px/1.45 ui-monospace,Menlo,"DejaVu Sans Mono",monospace}
pre{margin:.3rem 0;padding:.6rem .75rem;background:var(--card);border-radius:6px;white-space:pre-wrap}
.badge{display:inline-block;padding:.02rem .55rem;border:1px solid;border-radius:1rem;font-size:.82rem;font-weight:600;vertical-align:middle;white-space:nowrap}
.done{background:var(--done);border-color:var(--done-line);fill:var(--done);stroke:var(--done-line)}
.active{background:var(--active);border-color:var(--active-line);fill:var(--active);stroke:var(--active-line)}
.failed,.left{background:var(--failed);border-color:var(--failed-line);fill:var(--failed);stroke:var(--failed-line)}
.undone{background:var(--undone);border-color:var(--undone-line);fill:var(--undone);stroke:var(--undone-line)}
.cancelled{background:var(--cancelled);border-color:var(--cancelled-line);fill:var(--cancelled);stroke:var(--cancelled-line)}
.todo{background:var(--todo);border-color:var(--todo-line);fill:var(--todo);stroke:var(--todo-line)}
.now{margin:.8rem 0;padding:.7rem .9rem;border-style:solid;border-width:0 0 0 4px;border-radius:6px}
.now ul{margin:.4rem 0 0;padding-left:1.1rem}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.5rem 1.2rem;margin:.8rem 0}
dt{font-size:.8rem}
dd{margin:0}
.tiles dd{font-size:1.5rem;font-weight:600;line-height:1.2}
.tiles>div{padding:.55rem .75rem;background:var(--card);border-radius:6px;border-left:4px solid var(--line)}
.tiles{grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.6rem}
.story{list-style:none;margin:0;padding:0}
.story li{padding:.28rem 0 .28rem .2rem;border-top:1px solid var(--line)}
.story li:first-child{border-top:0}
.story .d2{margin-left:1.6rem;border-top-style:dotted}
.story i{display:inline-block;min-width:1.3rem;font-style:normal;font-weight:700}
.story span{color:var(--soft)}
.two{display:grid;grid-template-columns:minmax(0,1fr);gap:0 2rem}
@media (min-width:60rem){.two{grid-template-columns:minmax(0,2fr) minmax(0,3fr)}}
figure{margin:0}
figcaption{margin-top:.5rem;font-size:.85rem}
figcaption .badge{color:var(--text);font-weight:400}
figure svg{display:block;width:100%;height:auto}
.flow text{font:13px system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:var(--text)}
.flow .small{font-size:11px;fill:var(--soft)}
.flow path{fill:none;stroke:var(--soft);stroke-width:1.3}
.flow .head{fill:var(--soft);stroke:none}
.flow .taken{stroke:var(--done-line);stroke-width:2.4}
.flow .aside{stroke-dasharray:4 3}
.flow .box{stroke-width:1.4}
.flow .left,.flow .undone{stroke-dasharray:5 3}
.bar{display:grid;grid-template-columns:11rem minmax(0,1fr) 12rem;gap:.1rem .8rem;align-items:center;padding:.12rem 0}
.bar svg{width:100%;height:1rem;background:var(--card);border-radius:3px}
.bar rect{stroke-width:0}
.bar .done,.chart .done{fill:var(--done-line)}.bar .active{fill:var(--active-line)}.bar .failed,.bar .left,.chart .failed{fill:var(--failed-line)}
.bar .undone{fill:var(--undone-line)}.bar .cancelled,.bar .todo,.chart .cancelled{fill:var(--todo-line)}
.bar .tick{fill:var(--failed-line);stroke:var(--page);stroke-width:2}
.bar b{font-weight:500}
.bar span{color:var(--soft);font-size:.85rem}
.chart svg{height:5.5rem;background:var(--card);border-radius:6px}
.chart rect{stroke:none}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid var(--line);min-width:4.5rem;max-width:26rem}
th:first-child,td:first-child{padding-left:0}
th{font-weight:500;font-size:.8rem;white-space:nowrap}
.n{text-align:right;white-space:nowrap}
@media screen and (max-width:46rem){body{padding:.8rem}table{min-width:58rem}.bar{grid-template-columns:minmax(0,1fr) auto}.bar svg{grid-row:2;grid-column:1/3}}
@media print{body{max-width:none;padding:0}h2{break-after:avoid}tr,.story li,.bar{break-inside:avoid}.flow{max-width:14cm}}
</style>
</head>
<body>
$html$ || body || $html$
</body>
</html>
$html$;
COMMENT ON FUNCTION cano._draw_page IS 'internal: an HTML page';

CREATE FUNCTION cano._draw_section(title text, content text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce('<section><h2>' || cano._draw_html(title) || E'</h2>\n' || NULLIF(content, '') || E'</section>\n', '');
COMMENT ON FUNCTION cano._draw_section IS 'internal: a section of a page, unless it is empty';

-- Numbers and durations on the right; "#" in front of a head says that those
-- below it are.
CREATE FUNCTION cano._draw_row(tag text, cells text[]) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
	SELECT '<tr>' || pg_catalog.string_agg(pg_catalog.format('<%1$s%2$s>%3$s</%1$s>', tag,
		CASE WHEN c.cell ~ '^#' AND tag = 'th' OR c.cell ~ '^[0-9][0-9., %/]*((ms|s|min|h|d)( [0-9]+ (s|min|h))?)?$' THEN ' class="n"' ELSE '' END,
		coalesce(cano._draw_html(cano._draw_text(CASE tag WHEN 'th' THEN pg_catalog.ltrim(c.cell, '#') ELSE c.cell END, 300)), '')), '' ORDER BY c.n) || E'</tr>\n'
	FROM pg_catalog.unnest(cells) WITH ORDINALITY c (cell, n);
END;
COMMENT ON FUNCTION cano._draw_row IS 'internal: a row of a table';

-- A table, unless it has no rows; what stands below it may say what was left out.
CREATE FUNCTION cano._draw_table(heads text[], rows text, below text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN '<div class="wide"><table><thead>' || cano._draw_row('th', heads) || '</thead><tbody>' || NULLIF(rows, '') ||
	'</tbody></table></div>' || coalesce('<p class="soft">' || cano._draw_html(below) || '</p>', '') || E'\n';
COMMENT ON FUNCTION cano._draw_table IS 'internal: a table';

-- Names and values in turn.
CREATE FUNCTION cano._draw_facts(class text, facts text[]) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
	SELECT '<dl class="' || class || '">' || pg_catalog.string_agg('<div><dt>' || cano._draw_html(facts[n.n]) || '</dt><dd>' ||
		cano._draw_html(cano._draw_text(facts[n.n + 1], 300)) || '</dd></div>', '' ORDER BY n.n) || E'</dl>\n'
	FROM pg_catalog.generate_series(1, pg_catalog.cardinality(facts), 2) n (n) WHERE facts[n.n + 1] <> '';
END;
COMMENT ON FUNCTION cano._draw_facts IS 'internal: names and values';

CREATE FUNCTION cano._draw_json(title text, value jsonb) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN cano._draw_section(title, '<pre>' || cano._draw_html(cano._draw_lines(pg_catalog.jsonb_pretty(value), 4000)) || '</pre>');
COMMENT ON FUNCTION cano._draw_json IS 'internal: a JSON value on a page';

-- ---- The drawing of a workflow ----

/*
 * States one below the other.  An edge to the next one below is a short arrow;
 * others leave on the right, go up or down in a lane of their own, and come in
 * on the right.  Short ones are given the first lanes.  Of more than 60 states
 * those that the run was in are drawn.
 */
CREATE FUNCTION cano._draw_flow(workflow text, version integer, id bigint) RETURNS text
LANGUAGE plpgsql STABLE STRICT PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
	v_edge record;
	v_place jsonb;
	v_boxes text;
	v_edges text := '';
	v_taken integer[] := ARRAY[]::integer[];	-- 1: that lane at that place
	v_lane integer;
	v_lanes integer := 0;
	v_many integer;
	v_y integer;
BEGIN
	SELECT jsonb_object_agg(s.state, s.place - 1), count(*),
		string_agg(format('<rect class="box %s" x="2" y="%s" width="286" height="42" rx="6"/><svg x="10" y="%s" width="272" height="40">'
			'<title>%s</title><text x="0" y="17">%s</text><text class="small" x="0" y="33">%s</text></svg>' || E'\n',
			s.mark, s.place * 62 - 60, s.place * 62 - 59,
			cano._draw_html(cano._draw_text(concat_ws(': ', s.state, cano._draw_what(s.part)), 400)),
			cano._draw_html(cano._draw_text(s.state, 44)),
			cano._draw_html(cano._draw_text(concat_ws(', ', s.kind, NULLIF(s.note, '')), 60))), '' ORDER BY s.place)
	INTO v_place, v_many, v_boxes
	FROM (
		SELECT r.*, row_number() OVER (ORDER BY r.ordinal) AS place
		FROM (
			SELECT q.* FROM cano._draw_run_states(id) q
			ORDER BY CASE WHEN q.mark = 'todo' THEN q.ordinal + 1000000 ELSE q.ordinal END LIMIT 60) r) s;

	FOR v_edge IN
		SELECT (v_place ->> e.source)::integer AS a, (v_place ->> e.target)::integer AS b, bool_and(e.via <> '') AS aside, bool_or(m.times > 0) AS taken
		FROM (
			SELECT d.source, d.target, d.via FROM cano._draw_edges(workflow, version) d
			UNION
			SELECT m.source, m.target, '' FROM cano._draw_moves(id) m
			WHERE NOT EXISTS (SELECT FROM cano._draw_edges(workflow, version) d WHERE d.source = m.source AND d.target = m.target)) e
		LEFT JOIN cano._draw_moves(id) m ON m.source = e.source AND m.target = e.target
		WHERE v_place ? e.source AND v_place ? e.target
		GROUP BY e.source, e.target
		ORDER BY abs((v_place ->> e.target)::integer - (v_place ->> e.source)::integer), 1, 2
		LIMIT 300
	LOOP
		v_y := v_edge.a * 62;
		IF v_edge.b = v_edge.a + 1 THEN
			v_edges := v_edges || format('<path class="%s" d="M145 %sV%s"/><path class="head" d="M145 %sl-5 -9h10z"/>' || E'\n',
				concat_ws(' ', CASE WHEN v_edge.taken THEN 'taken' END, CASE WHEN v_edge.aside THEN 'aside' END), v_y + 44, v_y + 56, v_y + 63);
			CONTINUE;
		END IF;
		v_lane := 0;
		WHILE v_lane < 24 AND EXISTS (
			SELECT FROM generate_series(least(v_edge.a, v_edge.b), greatest(v_edge.a, v_edge.b)) p (place)
			WHERE v_taken[p.place * 25 + v_lane + 1] = 1) LOOP
			v_lane := v_lane + 1;
		END LOOP;
		FOR v_at IN least(v_edge.a, v_edge.b) .. greatest(v_edge.a, v_edge.b) LOOP
			v_taken[v_at * 25 + v_lane + 1] := 1;
		END LOOP;
		v_lanes := greatest(v_lanes, v_lane + 1);
		v_edges := v_edges || format('<path class="%s" d="M288 %sH%sV%sH296"/><path class="head" d="M289 %sl9 -5v10z"/>' || E'\n',
			concat_ws(' ', CASE WHEN v_edge.taken THEN 'taken' END, CASE WHEN v_edge.aside THEN 'aside' END),
			v_y + 31, 304 + v_lane * 9, v_edge.b * 62 + 15, v_edge.b * 62 + 15);
	END LOOP;
	RETURN format('<figure class="flow" style="max-width:%1$spx"><svg viewBox="0 0 %1$s %2$s" role="img" aria-label="states">' || E'\n%3$s%4$s</svg>%5$s</figure>\n',
		310 + v_lanes * 9, v_many * 62 - 14, v_edges, v_boxes, (
			SELECT '<figcaption>' || string_agg(format('<span class="badge %s">%s</span> ', m.mark, m.name), '' ORDER BY m.n) || 'Dashed lines: timeouts, failures.</figcaption>'
			FROM (VALUES (1, 'done', 'done'), (2, 'active', 'under way'), (3, 'failed', 'failed'), (4, 'undone', 'undone'), (5, 'left', 'not undone'),
				(6, 'cancelled', 'cancelled'), (7, 'todo', 'not entered')) m (n, mark, name)
			WHERE EXISTS (SELECT FROM cano._draw_run_states(id) q WHERE q.mark = m.mark)));
END
$$;
COMMENT ON FUNCTION cano._draw_flow IS 'internal: the states of a run, as SVG';

-- ---- A run ----

CREATE FUNCTION cano._draw_gantt_html(id bigint) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL RESTRICTED
BEGIN ATOMIC
	SELECT pg_catalog.string_agg(pg_catalog.format('<div class="bar"><b>%s</b><svg viewBox="0 0 1000 10" preserveAspectRatio="none">'
			'<rect class="%s" x="%s" y="1" width="%s" height="8"/>%s</svg><span>%s</span></div>' || E'\n',
			cano._draw_html(cano._draw_text(b.label, 60)), b.mark,
			pg_catalog.round(least((extract(epoch FROM b.since) - s.since) / s.unit, 997)),
			pg_catalog.round(greatest((extract(epoch FROM b.until) - extract(epoch FROM b.since)) / s.unit, 3)),
			(SELECT pg_catalog.string_agg(pg_catalog.format('<rect class="tick" x="%s" y="0" width="8" height="10"/>',
					pg_catalog.round(least((extract(epoch FROM f.at) - s.since) / s.unit, 992))), '')
				FROM pg_catalog.unnest(b.failures) f (at)),
			cano._draw_html(pg_catalog.concat_ws(', ', cano._draw_span(b.since, b.until), NULLIF(b.note, '')))), '' ORDER BY b.ordinal) ||
		'<p class="soft">From ' || cano._draw_time(pg_catalog.min(b.since)) || ', ' || cano._draw_span(pg_catalog.min(b.since), pg_catalog.max(b.until)) ||
		' in all. Waiting for a worker is in a state''s time; when tasks began that did not fail is known with options(log =&gt; &#39;all&#39;) only.</p>'
	FROM cano._draw_bars(id) b, (
		SELECT extract(epoch FROM pg_catalog.min(c.since)) AS since,
			greatest(extract(epoch FROM pg_catalog.max(c.until)) - extract(epoch FROM pg_catalog.min(c.since)), 0.000001) / 1000 AS unit
		FROM cano._draw_bars(id) c) s;
END;
COMMENT ON FUNCTION cano._draw_gantt_html IS 'internal: a Gantt chart of a run on a page';

CREATE FUNCTION cano._draw_story_html(story jsonb) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
	SELECT '<ul class="story">' || pg_catalog.string_agg(pg_catalog.format('<li class="d%s"><i>%s</i><b>%s</b> <span>%s</span>%s</li>' || E'\n',
		l.line ->> 'depth', cano._draw_html(l.line ->> 'mark'), cano._draw_html(l.line ->> 'title'), cano._draw_html(l.line ->> 'note'),
		(SELECT '<pre>' || pg_catalog.string_agg(cano._draw_html(d.detail), E'\n' ORDER BY d.n) || '</pre>'
			FROM pg_catalog.jsonb_array_elements_text(l.line -> 'details') WITH ORDINALITY d (detail, n))), '' ORDER BY l.n) || E'</ul>\n'
	FROM pg_catalog.jsonb_array_elements(story) WITH ORDINALITY l (line, n);
END;
COMMENT ON FUNCTION cano._draw_story_html IS 'internal: a story on a page';

CREATE FUNCTION cano._draw_status_class(status text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE status WHEN 'completed' THEN 'done' WHEN 'failed' THEN 'failed' WHEN 'cancelled' THEN 'cancelled' WHEN 'compensating' THEN 'undone' ELSE 'active' END;
COMMENT ON FUNCTION cano._draw_status_class IS 'internal: the colour of a status';

CREATE FUNCTION cano.report(run bigint) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL RESTRICTED
SET jit = off
BEGIN ATOMIC
	SELECT cano._draw_page(pg_catalog.format('%s, run %s', cano._draw_text(r.workflow, 100), r.run_id),
		pg_catalog.format(E'<h1>%s, run %s <span class="badge %s">%s</span></h1>\n<div class="now %s"><p>%s</p>%s</div>\n',
			cano._draw_html(cano._draw_text(r.workflow, 100)), r.run_id, cano._draw_status_class(r.status), r.status, cano._draw_status_class(r.status),
			cano._draw_html(cano._draw_headline(r.run_id, 0)),
			(SELECT '<ul>' || pg_catalog.string_agg('<li>' || cano._draw_html(h.hint) || '</li>', '' ORDER BY h.n) || '</ul>'
				FROM pg_catalog.unnest(cano._draw_hints(r.run_id)) WITH ORDINALITY h (hint, n))) ||
		cano._draw_facts('facts', ARRAY['version', r.version::text, 'role', r.role::text, 'key', r.key, 'priority', r.priority::text,
			'tags', pg_catalog.array_to_string(r.tags, ', '), 'submitted', cano._draw_time(r.submitted_at), 'started', cano._draw_time(r.started_at),
			'ended', cano._draw_time(r.ended_at), 'took', cano._draw_span(r.submitted_at, r.ended_at), 'rollback', NULLIF(r.rollback, 'none'),
			'reason of the cancellation', r.cancel_reason, 'child of run', r.parent_run_id::text, 'drawn', cano._draw_time(pg_catalog.statement_timestamp())]) ||
		cano._draw_section('What happened', cano._draw_story_html(cano._draw_story(r.run_id))) ||
		'<div class="two">' || cano._draw_section('States', cano._draw_flow(r.workflow, r.version, r.run_id)) ||
		cano._draw_section('When', cano._draw_gantt_html(r.run_id)) || E'</div>\n' ||
		cano._draw_section('Failed attempts', (
			SELECT cano._draw_table(ARRAY['when', 'state', 'task', '#part', '#attempt', '#took', 'sqlstate', 'message'],
				pg_catalog.string_agg(cano._draw_row('td', ARRAY[cano._draw_time(a.started_at), a.state, a.task, a.branch::text, a.attempt::text,
					cano._draw_span(a.started_at, a.ended_at), a.sqlstate, a.message]), '' ORDER BY a.n),
				CASE WHEN pg_catalog.max(a.many) > 50 THEN 'The latest 50 of ' || pg_catalog.max(a.many) || '; cano.attempts has all.' END)
			FROM (
				SELECT b.*, pg_catalog.row_number() OVER (ORDER BY b.ended_at DESC, b.attempt DESC) AS n, pg_catalog.count(*) OVER () AS many
				FROM cano.attempts b WHERE b.run_id = r.run_id) a
			WHERE a.n <= 50)) ||
		cano._draw_section('To be undone if it is rolled back', (
			SELECT cano._draw_table(ARRAY['#sequence', 'state', 'task', 'output'],
				pg_catalog.string_agg(cano._draw_row('td', ARRAY[c.sequence::text, c.state, c.task, c.output::text]), '' ORDER BY c.sequence DESC), NULL)
			FROM (SELECT k.* FROM cano.compensations k WHERE k.run_id = r.run_id ORDER BY k.sequence DESC LIMIT 50) c)) ||
		cano._draw_section('Signals not received', (
			SELECT cano._draw_table(ARRAY['name', 'sent', 'payload'],
				pg_catalog.string_agg(cano._draw_row('td', ARRAY[s.name, cano._draw_time(s.sent_at), s.payload::text]), '' ORDER BY s.sent_at, s.name), NULL)
			FROM (SELECT g.* FROM cano.signals g WHERE g.run_id = r.run_id ORDER BY g.sent_at LIMIT 50) s)) ||
		cano._draw_section('Events', (
			SELECT cano._draw_table(ARRAY['when', 'event', 'state', 'task', '#part', '#attempt', 'detail'],
				pg_catalog.string_agg(cano._draw_row('td', ARRAY[cano._draw_time(e.recorded_at), e.event, e.state, e.task, e.branch::text, e.attempt::text, e.detail::text]), '' ORDER BY e.ordinal),
				CASE WHEN pg_catalog.min(e.ordinal) > 1 THEN 'The latest 50; cano.events has all.' END)
			FROM (SELECT v.* FROM cano.events v WHERE v.run_id = r.run_id ORDER BY v.ordinal DESC LIMIT 50) e)) ||
		coalesce(cano._draw_json('Input', r.input), '') ||
		CASE WHEN r.data IS DISTINCT FROM r.input THEN coalesce(cano._draw_json(CASE WHEN r.result IS NULL THEN 'Data' ELSE 'Result' END, r.data), '') ELSE '' END ||
		coalesce(cano._draw_json('Error', r.error), ''))
	FROM cano._draw_run(report.run) r;
END;
COMMENT ON FUNCTION cano.report(bigint) IS
'a run as an HTML page: what it waits for or how it ended, drawings, failed attempts, data. Raises CN404 where there
is none';
