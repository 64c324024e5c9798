-- The pages and drawings that pages.pl looks at, into the current directory.
SET client_min_messages = warning;
CREATE EXTENSION cano;
\ir ../pgtap/lib/start.psql
\ir ../pgtap/lib/pictures.psql
\set ON_ERROR_STOP 1

-- A run in the middle of a split, one rolled back in part, one that sends many
-- parcels of which some fail.
SELECT pg_temp.later('0') AS x \gset
CALL pg_temp.go('{"good_at": 2}', NULL) \gset
\set middle :run
SELECT pg_temp.later('61 s') AS x \gset
CALL cano.work();
CALL pg_temp.answer(:middle, 'approval');
CALL pg_temp.go('{"goes": "nowhere"}', NULL) \gset
\set partial :run
CALL pg_temp.answer(:partial, 'approval');
CALL pg_temp.go('{"goes": "ship", "many": 200, "bad": 7, "ready": true}', NULL) \gset
\set many :run
CALL pg_temp.answer(:many, 'approval');

-- Round and round, and to and fro between many states.
CREATE FUNCTION t_pictures.wander(run_id bigint, state text, n int DEFAULT 0) RETURNS cano.outcome LANGUAGE sql AS $$
	SELECT cano.next(CASE WHEN n < 300 THEN 's' || (n * 7919 + 13) % 80 + 1 ELSE 'end' END, jsonb_build_object('n', n + 1)) $$;
SELECT cano.define('t_pictures wandering', VARIADIC array_agg(cano.task('s' || g, 't_pictures.wander', next => 's' || g % 80 + 1,
	targets => ARRAY['end'] || ARRAY(SELECT 's' || t FROM generate_series(1, 80) AS t))) || cano.exit('end')) AS x FROM generate_series(1, 80) AS g \gset
SELECT cano.submit('t_pictures wandering') AS wandering \gset
CALL cano.work();

-- Names that are no names
CREATE TABLE t_pictures.name (n serial, name text, run bigint);
INSERT INTO t_pictures.name (name) VALUES ('end'), ('[*]'), ('s1 --> s2'), (E'a\nclick s1 href "javascript:alert(1)"'), ('"'), ('#quot;'), ('#35;'), ('%%{init: {}}%%'),
	('<script>alert(1)</script>'), ('"><img src=x onerror=alert(1)>'), ('&lt;b&gt;'), (']]>'), ('<!--'), ('</title></style>'), ('a:b;c'), ('state "x" as s1'), (':::failed'),
	('style s1 fill:#fff;'), ('1. first'), ('* item'), ('_em_ `code`'), ('www.example.com'), ('https://example.com'), ('$$x$$'), ('fa:fa-car'), ('a-b.c_d'), ('-- x'),
	(repeat('w', 1000)), (repeat('ü', 1000)), (repeat('wide words ', 90)), ('ä€𝄞'), ('note right of s1'), ('direction LR'), ('classDef'), ('done'), ('accTitle: x'), ('---');
CREATE FUNCTION t_pictures.raise(name text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '%', name USING DETAIL = name, HINT = name; END $$;
SELECT cano.define(name, cano.task(name, 't_pictures.raise', retry => cano.none(), next => left(name, 999) || '!'), cano.exit(left(name, 999) || '!')) FROM t_pictures.name \g /dev/null
UPDATE t_pictures.name SET run = cano.submit(name, jsonb_build_object('name', name));
CALL cano.work();
SELECT run AS injecting FROM t_pictures.name WHERE name LIKE '"><img%' \gset
SELECT run AS long FROM t_pictures.name WHERE name LIKE 'www%' AND length(name) = 1000 \gset

\o middle.html
SELECT cano.report(:middle);
\o partial.html
SELECT cano.report(:partial);
\o many.html
SELECT cano.report(:many);
\o wandering.html
SELECT cano.report(:wandering);
\o injecting.html
SELECT cano.report(:injecting);
\o long.html
SELECT cano.report(:long);
\o system.html
SELECT cano.report();

-- Drawings, and what must be readable in them.
\o drawings.json
SELECT json_agg(d) FROM (
	SELECT 'the workflow' AS what, cano.mermaid('t_pictures') AS drawing,
		ARRAY['reserve', 'undone by t_pictures.undo', 'receive "approval"', 'after 1 day', 'too late', 'batch of t_pictures.parcels', 'if it fails'] AS shown
	UNION ALL SELECT 'a run in a split', cano.mermaid(:middle), ARRAY['1 failed attempt', 'waiting, attempt 2', 'completed']
	UNION ALL SELECT 'a run rolled back in part', cano.mermaid(:partial), ARRAY['router t_pictures.route']
	UNION ALL SELECT 'a run with many items', cano.mermaid(:many), ARRAY['199 completed']
	UNION ALL SELECT 'the times of a run in a split', cano.timeline(:middle, 'mermaid'), ARRAY['reserve', 'approve', 'run ']
	UNION ALL SELECT 'the times of a run rolled back in part', cano.timeline(:partial, 'mermaid'), ARRAY['rollback', 'partial']
	UNION ALL SELECT 'the times of a wandering run', cano.timeline(:wandering, 'mermaid'), ARRAY['more states']
	UNION ALL (SELECT left(name, 40), cano.mermaid(run), ARRAY[cano._draw_text(name, 60)] FROM t_pictures.name ORDER BY n)
	UNION ALL (SELECT 'the times of ' || left(name, 40), cano.timeline(run, 'mermaid'), ARRAY[cano._draw_text(name, 40)] FROM t_pictures.name ORDER BY n)) AS d;
\o
