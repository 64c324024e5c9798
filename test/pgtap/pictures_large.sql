-- Pictures of much: they are as long as somebody can read, and say what they
-- leave out.
\ir lib/start.psql
SELECT plan(13);

CREATE SCHEMA t_large;
CREATE FUNCTION t_large.rest() RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION t_large.items() RETURNS SETOF int LANGUAGE sql AS 'SELECT generate_series(1, 10000)';
CREATE FUNCTION t_large.item(item int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN IF item % 10 = 0 THEN RAISE 'every tenth'; END IF; RETURN item; END $$;
CREATE FUNCTION t_large.again(n int DEFAULT 0) RETURNS cano.outcome LANGUAGE sql AS $$ SELECT cano.next(CASE WHEN n < 5000 THEN 'again' ELSE 'end' END, jsonb_build_object('n', n + 1)) $$;
CREATE FUNCTION t_large.step(cursor int) RETURNS cano.outcome LANGUAGE sql AS $$
	SELECT CASE WHEN coalesce(cursor, 0) < 5000 THEN cano.more(to_jsonb(coalesce(cursor, 0) + 1)) ELSE cano.next() END $$;
SELECT cano.define('t_large batch', cano.batch('all', load => 't_large.items', process => 't_large.item', concurrency => 4, next => 'end'), cano.exit('end')),
	cano.define('t_large again', cano.task('again', 't_large.again', next => 'again', targets => ARRAY['end']), cano.exit('end')),
	cano.define('t_large steps', cano.stepped('step', 't_large.step', next => 'end'), cano.exit('end')),
	cano.define('t_large split', cano.split('all', array_fill('t_large.rest'::text, ARRAY[500]), next => 'end'), cano.exit('end')),
	cano.define('t_large states', VARIADIC (SELECT array_agg(cano.task('s' || g, 't_large.rest', next => 's' || g + 1) ORDER BY g) FROM generate_series(1, 999) AS g)
		|| cano.exit('s1000')) \g /dev/null
SELECT cano.submit('t_large batch') AS batch, cano.submit('t_large again') AS again, cano.submit('t_large steps') AS steps, cano.submit('t_large split') AS split,
	cano.submit('t_large states') AS states \gset
SELECT count(*) FROM cano.submit_many('t_large batch', array_fill('{}'::jsonb, ARRAY[20]), run_at => now() + interval '1 day') \g /dev/null
CALL cano.work();

SELECT is_empty(format('SELECT r.run_id FROM cano.runs AS r WHERE r.run_id IN (%s, %s, %s, %s, %s) AND r.status <> ''completed''', :batch, :again, :steps, :split, :states), 'all are done');
SELECT is_empty(format('SELECT r.run_id, length(x) FROM cano.runs AS r, unnest(ARRAY[cano.report(r.run_id), cano.explain(r.run_id), cano.timeline(r.run_id), cano.timeline(r.run_id, ''mermaid'')]) AS x
	WHERE r.run_id IN (%s, %s, %s, %s, %s) AND length(x) > 80000', :batch, :again, :steps, :split, :states), 'no page, tree or timeline is long');
SELECT ok(length(cano.report()) < 40000, 'nor the report of the system');
SELECT ok(cano.explain(:batch) ~ 'item 9 [^\n]*\n[^\n]*every tenth.*… of 10000 +9000 completed, 1000 failed', 'of many items some that failed are shown, and how many there are');
SELECT is((SELECT count(*) FROM regexp_matches(cano.explain(:batch), 'every tenth', 'g')), 10::bigint, 'ten');
SELECT ok(cano.explain(:again) ~ '4962 more states', 'of many visits the first and the last, and how many there are between them');
SELECT ok(cano.mermaid(:again) ~ E's1 --> s1 : 5000×\n', 'in a diagram they are counted');
SELECT ok(cano.explain(:split) ~ 'branch 19 .*… of 500 +500 completed' AND cano.explain(:split) !~ 'branch 20', 'of many branches some');
SELECT ok(cano.mermaid(:split) ~ '"481 more" as s1b20' AND cano.mermaid(:split) !~ 's1b21', 'in a diagram, too');
SELECT is((SELECT count(*) FROM regexp_matches(cano.report(:states), '<rect class="box', 'g')), 60::bigint, 'of many states sixty are drawn');
SELECT is((SELECT count(*) FROM regexp_matches(cano.mermaid('t_large states'), '" as s', 'g')), 1000::bigint, 'but a diagram has all');

-- Bounds that only something that grows with the square could break
SELECT clock_timestamp() AS begun \gset
SELECT length(cano.report(:batch)), length(cano.report(:again)), length(cano.report(:steps)), length(cano.report(:split)), length(cano.report(:states)) \g /dev/null
SELECT cmp_ok(clock_timestamp() - :'begun', '<', interval '20 s', 'reports of runs take their time, but not too much');
SELECT clock_timestamp() AS begun \gset
SELECT length(cano.explain('t_large states')), length(cano.mermaid('t_large states')) \g /dev/null
SELECT cmp_ok(clock_timestamp() - :'begun', '<', interval '20 s', 'so do large workflows');

SELECT * FROM finish();
DROP SCHEMA t_large CASCADE;
