-- Pictures of what has odd names and says odd things: nothing of it gets out
-- of its place, and no text is without bounds.
--
-- A database that cannot write these marks:
CREATE DATABASE t_odd_latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0;
SELECT current_database() AS here \gset
\connect t_odd_latin
\encoding UTF8
SET client_min_messages = warning;
CREATE EXTENSION cano;
CREATE FUNCTION public.rest() RETURNS void LANGUAGE sql AS '';
SELECT cano.define('süß', cano.task('größe', 'public.rest', next => 'end'), cano.exit('end')) AS x \gset
SELECT cano.submit('süß') AS run \gset
CALL cano.work();
SELECT cano.explain(:run) ~ '\+ größe .*`- \+ end +exit' AND cano.mermaid(:run) ~ 'größe' AND cano.report(:run) ~ 'größe' AND cano.report() ~ 'süß' AS latin \gset
\connect :here
\encoding UTF8
DROP DATABASE t_odd_latin WITH (FORCE);
\ir lib/start.psql
SELECT plan(15);

CREATE SCHEMA t_odd;
CREATE TABLE t_odd.name (n serial, name text);
INSERT INTO t_odd.name (name) VALUES ('end'), ('[*]'), ('s1 --> s2'), (E'a\nclick s1 href "javascript:alert(1)"'), ('"'), ('#quot;'), ('#35;'), ('%%{init: {}}%%'),
	('<script>alert(1)</script>'), ('"><img src=x onerror=alert(1)>'), (''' onmouseover=''alert(1)'), ('&lt;b&gt;'), (']]>'), ('<!--'), ('-->'), ('</title></style>'),
	('a:b;c'), ('state "x" as s1'), (':::failed'), ('style s1 fill:#fff;'), ('1. first'), ('* item'), ('_em_ `code`'), ('www.example.com'),
	(E'\x1b[31mred\x07'), (U&'\202Egnp.exe'), (U&'\0085\2028\2029\FEFF\FFFF'), (' '), ('  x  '), (E'\t'), ('$1 %s %1$s \1'), (repeat('w', 1000)), (repeat('ü', 1000)), ('ä€𝄞');
CREATE FUNCTION t_odd.raise(name text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '%', name USING DETAIL = name, HINT = name; END $$;
SELECT cano.define(name, cano.task(name, 't_odd.raise', retry => cano.none(), next => left(name, 990) || '?'),
	cano.receive(left(name, 990) || '?', name, next => left(name, 990) || '!', timeout => '1 h', on_timeout => left(name, 990) || '!'),
	cano.exit(left(name, 990) || '!')) FROM t_odd.name \g /dev/null
CREATE TABLE t_odd.run AS SELECT n, name, cano.submit(name, jsonb_build_object('name', name, name, name), key => name, tags => ARRAY[name]) AS id FROM t_odd.name;
CALL cano.work();
CREATE TABLE t_odd.picture AS
	SELECT n, 'text' AS kind, unnest(ARRAY[cano.explain(name), cano.explain(id), cano.timeline(id)]) AS picture FROM t_odd.run
	UNION ALL SELECT n, 'diagram', unnest(ARRAY[cano.mermaid(name), cano.mermaid(id), cano.timeline(id, 'mermaid')]) FROM t_odd.run
	UNION ALL SELECT n, 'page', cano.report(id) FROM t_odd.run
	UNION ALL SELECT 0, 'page', cano.report();

SELECT is((SELECT count(*) FROM t_odd.run AS r, cano.runs AS s WHERE s.run_id = r.id AND s.status = 'failed'), (SELECT count(*) FROM t_odd.name), 'all of them failed');
SELECT is((SELECT count(picture) FROM t_odd.picture), (SELECT count(*) * 7 + 1 FROM t_odd.name), 'there is a picture of each');
SELECT is_empty($$SELECT n, left(picture, 200) FROM t_odd.picture WHERE kind <> 'diagram' AND picture ~ '[\u0001-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2028\u2029\ufeff\uffff]'$$,
	'none has a control character');
SELECT is((SELECT max(length(picture)) < 30000 FROM t_odd.picture WHERE kind = 'page' AND n > 0), true, 'and none is long');

-- Text
SELECT is_empty($$SELECT n, line FROM t_odd.picture, regexp_split_to_table(picture, '\n') AS line
	WHERE kind = 'text' AND line LIKE 'click%'$$, 'a name is in one line');
SELECT is_empty($$SELECT n FROM t_odd.picture WHERE kind = 'text' AND length(picture) > 6000$$, 'long names and messages are cut');

-- Mermaid: between what cano writes, names have letters, digits, and entities
SELECT is_empty($$SELECT n, line FROM t_odd.picture, regexp_split_to_table(picture, '\n') AS line
	WHERE kind = 'diagram' AND regexp_replace(line, '^    (state "(.*)" as s\d+|s\d+ : (.*)|s\d+ --> s\d+( : (.*))?|(title|section) (.*)|(.*) :(done|active|crit), \d+, \d+|(.*) :\d+, \d+)$',
		'<\2\3\5\7\8\a>') ~ '["%<{}\\`*_]'
		AND line !~ '^(stateDiagram-v2|    (\[\*\] --> s1|s\d+ --> \[\*\]|classDef .*|axisFormat .*|state "[^"%<>{}\\`*]*" as s\d+|s\d+ : [^"%<>{}\\`*:]*|s\d+ --> s\d+( : [^"%<>{}\\`*:]*)?|class s\d+ \w+|(title|section) [^"%<>{}\\`*:]*|[^"%<>{}\\`*:]* :[a-z, 0-9]*))$'$$,
	'a name in a diagram is letters, digits and entities');
SELECT is((SELECT DISTINCT m[1] FROM t_odd.picture AS p JOIN t_odd.name USING (n), regexp_matches(picture, 'state "([^"]*)" as s1\n', 'g') AS m WHERE kind = 'diagram' AND name = 's1 --> s2'),
	's1 #45;#45;#62; s2', 'an arrow is none');
SELECT is((SELECT count(*) FROM t_odd.picture WHERE kind = 'diagram' AND picture ~ '^stateDiagram' AND (SELECT count(*) FROM regexp_matches(picture, '\n    state "', 'g')) <> 3), 0::bigint,
	'no name adds a state');

-- HTML
SELECT is_empty($$SELECT n FROM t_odd.picture WHERE kind = 'page' AND NOT xml_is_well_formed_document(replace(picture, '<!DOCTYPE html>', ''))$$, 'every page is well-formed');
SELECT is((SELECT xml_is_well_formed_document('<html><p>' || picture || '</html>') FROM t_odd.picture WHERE kind = 'page' LIMIT 1), false, 'a page that is not would be noticed');
SELECT is_empty($$SELECT n, e FROM t_odd.picture, unnest(xpath('//*[local-name() = "script" or local-name() = "img" or local-name() = "a" or local-name() = "link"
		or local-name() = "iframe" or local-name() = "object" or local-name() = "form" or local-name() = "image" or local-name() = "use"]',
	xmlparse(DOCUMENT replace(picture, '<!DOCTYPE html>', '')))) AS e WHERE kind = 'page'$$, 'none has a script, a link or a picture from elsewhere');
SELECT is_empty($$SELECT n, a::text FROM t_odd.picture, unnest(xpath('//@*[starts-with(name(), "on") or name() = "src" or name() = "href" or contains(., "url(")]',
	xmlparse(DOCUMENT replace(picture, '<!DOCTYPE html>', '')))) AS a WHERE kind = 'page'$$, 'nor an attribute that does something');
SELECT is((SELECT (xpath('string(//*[local-name() = "h1"])', xmlparse(DOCUMENT replace(picture, '<!DOCTYPE html>', ''))))[1]::text
	FROM t_odd.picture JOIN t_odd.name USING (n) WHERE kind = 'page' AND name = '</title></style>') LIKE '&lt;/title&gt;&lt;/style&gt;, run %', true, 'a name is shown as it is');

SELECT is(:'latin', 't'::text, 'a database of another encoding has plain marks');

SELECT * FROM finish();
DROP SCHEMA t_odd CASCADE;
