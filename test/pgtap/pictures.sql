-- Pictures of a workflow and of its runs: what is drawn of every kind, and of
-- what happened.
\ir lib/start.psql
\ir lib/pictures.psql
SELECT plan(48);

-- The id of a state in a diagram, and its lines.
CREATE FUNCTION pg_temp.id(diagram text, state text) RETURNS text LANGUAGE sql AS $$
	SELECT (regexp_match(diagram, format('state "%s" as (s\d+)\n', state)))[1] $$;
CREATE FUNCTION pg_temp.about(diagram text, state text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(m[1], ' | ' ORDER BY n) FROM regexp_matches(diagram, '    ' || pg_temp.id(diagram, state) || ' : ([^\n]*)', 'g') WITH ORDINALITY AS r (m, n) $$;
CREATE FUNCTION pg_temp.mark(diagram text, state text) RETURNS text LANGUAGE sql AS $$
	SELECT (regexp_match(diagram, 'class ' || pg_temp.id(diagram, state) || ' (\w+)'))[1] $$;
CREATE FUNCTION pg_temp.edge(diagram text, source text, target text) RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN m IS NOT NULL THEN coalesce(m[2], '') END FROM regexp_match(diagram, '\n    ' || pg_temp.id(diagram, source) || 'j? --> ' || pg_temp.id(diagram, target) || '( : ([^\n]*))?\n') AS m $$;
-- Lines that are not of the kinds that cano writes.
CREATE FUNCTION pg_temp.strange(diagram text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT line FROM regexp_split_to_table(diagram, '\n') AS line
	WHERE line <> '' AND line !~ ('^(stateDiagram-v2|gantt|    (direction TB|dateFormat x|axisFormat [%:.HMSLYmd -]+|tickInterval \d+millisecond'
		|| '|state "T*" as s\d+(b\d+)?|s\d+(b\d+)? : T+|state s\d+[fj] <<(fork|join)>>'
		|| '|(\[\*\]|s\d+([fj]|b\d+)?) --> (\[\*\]|s\d+([fj]|b\d+)?)( : T+)?|class s\d+(b\d+)? (done|active|failed|cancelled|undone|left|todo)'
		|| '|classDef \w+ [\w:#,-]+|(title|section) T+|T+ :(done, |active, |crit, )?\d+, \d+))$') $$;
SELECT prosrc AS source FROM pg_proc WHERE oid = 'pg_temp.strange(text)'::regprocedure \gset
-- T is a character of a name or an entity.
SELECT format('CREATE OR REPLACE FUNCTION pg_temp.strange(diagram text) RETURNS SETOF text LANGUAGE sql AS %L',
	replace(replace(:'source', 'T*', '([A-Za-z0-9 ._,-]|#\d+;|[^\u0001-\u00a0])*'), 'T+', '([A-Za-z0-9 ._,-]|#\d+;|[^\u0001-\u00a0])+')) \gexec

-- The workflow
SELECT cano.mermaid('t_pictures') AS diagram \gset
SELECT is_empty(format('SELECT pg_temp.strange(%L)', :'diagram'), 'a diagram of a workflow has no strange line');
SELECT is((SELECT count(*) FROM pg_temp.strange(E'stateDiagram-v2\n    state "a"b" as s1\n    s1 --> end\n    %% x')), 3::bigint, 'such a line would be noticed');
SELECT is(pg_temp.about(:'diagram', state), shown, 'it says of state ' || state || ' what it is')
FROM (VALUES ('reserve', 'task t_pictures.good | undone by t_pictures.undo'), ('load', 'stepped t_pictures.step'), ('approve', 'receive #34;approval#34;'),
	('route', 'router t_pictures.route'), ('tell', 'split of 3, join all'),
	('ship', 'batch of t_pictures.parcels, each t_pictures.send, then t_pictures.sent, 2 at once'), ('track', 'poll t_pictures.ready'),
	('rest', 'timer of 02#58;00#58;00'), ('print', 'external, queue #34;t_pictures printer#34; | undone by t_pictures.undo'),
	('ask back', 'child #34;t_pictures question#34;'), ('too late', 'exit, cancelled')) AS v (state, shown);
SELECT is(pg_temp.edge(:'diagram', source, target), label, format('an edge leads from %s to %s', source, target))
FROM (VALUES ('reserve', 'charge', ''), ('approve', 'route', ''), ('approve', 'too late', 'after 1 day'), ('route', 'tell', ''), ('route', 'ship', ''),
	('tell', 'ship', ''), ('ask back', 'refused', 'if it fails')) AS v (source, target, label);
SELECT is(pg_temp.edge(:'diagram', 'reserve', 'load'), NULL, 'and none where there is none');
SELECT ok(:'diagram' ~ '\[\*\] --> s1\n' AND pg_temp.id(:'diagram', 'reserve') = 's1', 'it begins at the start');
SELECT is((SELECT count(*) FROM regexp_matches(:'diagram', '--> \[\*\]', 'g')), 3::bigint, 'and ends at every exit');
SELECT is((SELECT count(*) FROM regexp_matches(:'diagram', pg_temp.id(:'diagram', 'tell') || 'f --> ' || pg_temp.id(:'diagram', 'tell') || 'b\d\n', 'g')), 3::bigint,
	'a split forks into its branches');

-- A run that is in the middle
SELECT pg_temp.later('0') AS x \gset
CALL pg_temp.go('{"good_at": 2}', NULL) \gset
SELECT is(pg_temp.mark(cano.mermaid(:run), state), mark, format('of a run that tries again, %s is %s', state, mark))
FROM (VALUES ('reserve', 'done'), ('charge', 'active'), ('load', 'todo')) AS v (state, mark);
SELECT matches(pg_temp.about(cano.mermaid(:run), 'charge'), ', 1 failed attempt$', 'and how often it failed is told');
SELECT pg_temp.later('61 s') AS x \gset
CALL cano.work();
CALL pg_temp.answer(:run, 'approval');
SELECT cano.mermaid(:run) AS diagram \gset
SELECT is_empty(format('SELECT pg_temp.strange(%L)', :'diagram'), 'a diagram of a run has no strange line');
SELECT is(pg_temp.mark(:'diagram', 'route') || ' ' || pg_temp.mark(:'diagram', 'tell'), 'done active', 'a router that it passed is known by where it led');
SELECT is((SELECT string_agg(m[1], ' ' ORDER BY n) FROM regexp_matches(:'diagram', 'class ' || pg_temp.id(:'diagram', 'tell') || 'b\d (\w+)', 'g') WITH ORDINALITY AS r (m, n)),
	'done active done', 'branches have marks of their own');
SELECT is_empty(format('SELECT pg_temp.strange(cano.timeline(%s, ''mermaid''))', :run), 'a Gantt chart of it has no strange line');
SELECT is((SELECT string_agg(m[1], ' ' ORDER BY n) FROM regexp_matches(cano.timeline(:run, 'mermaid'), 'section (\w+)\n', 'g') WITH ORDINALITY AS r (m, n)),
	'reserve charge load approve tell', 'it has a section for each state that the run was in');

-- Rolled back in part
CALL pg_temp.go('{"goes": "nowhere"}', NULL) \gset
CALL pg_temp.answer(:run, 'approval');
SELECT is(pg_temp.mark(cano.mermaid(:run), state), mark, format('of a run that was rolled back in part, %s is %s', state, mark))
FROM (VALUES ('reserve', 'undone'), ('charge', 'left'), ('load', 'done'), ('route', 'failed'), ('tell', 'todo')) AS v (state, mark);
SELECT matches(cano.timeline(:run), E'rollback +\\|[^|]*\\| .*, partial$', 'the rollback is in the timeline');

-- To the end by an exit that cancels
CALL pg_temp.go('{}', NULL) \gset
SELECT pg_temp.later('2 days') AS x \gset
CALL cano.work();
SELECT is(pg_temp.mark(cano.mermaid(:run), 'too late'), 'cancelled', 'an exit that cancels is drawn so');

SELECT throws_ok($$SELECT cano.timeline(1, 'svg')$$, 'CN001', NULL, 'there are no other formats');
SELECT throws_ok(call, 'CN404', NULL, call || ' of what does not exist is refused')
FROM unnest(ARRAY['SELECT cano.mermaid(''t_pictures none'')', 'SELECT cano.explain(''t_pictures none'')', 'SELECT cano.mermaid(0)', 'SELECT cano.timeline(0)',
	'SELECT cano.timeline(0, ''mermaid'')', 'SELECT cano.explain(0)', 'SELECT cano.report(0)']) AS call;

SELECT * FROM finish();
DROP SCHEMA t_pictures CASCADE;
