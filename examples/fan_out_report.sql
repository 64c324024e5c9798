/*
 * A report: figures from several sources at once, then a page for each region.
 *
 * What is hard elsewhere: half a success.  A source that takes too long is
 * interrupted, in the middle of its statement, and leaves nothing; a page that
 * cannot be made does not spoil the others; and what is ready survives a crash.
 */
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS report CASCADE;
CREATE SCHEMA report;

CREATE TABLE report.sales (region text, amount numeric);
INSERT INTO report.sales
SELECT (ARRAY['north', 'east', 'south', 'west'])[1 + i % 4], i % 10 FROM generate_series(1, 1000) AS i;
CREATE TABLE report.targets (region text, target numeric);
INSERT INTO report.targets VALUES ('north', 1000), ('east', 1250), ('south', 0), ('west', 2500);
CREATE TABLE report.pages (region text, page text);
CREATE TABLE report.scratch (line text);

-- Three sources; the third lasts.
CREATE FUNCTION report.sold()
RETURNS numeric
LANGUAGE sql
AS $$ SELECT sum(s.amount) FROM report.sales AS s $$;

CREATE FUNCTION report.planned()
RETURNS numeric
LANGUAGE sql
AS $$ SELECT sum(t.target) FROM report.targets AS t $$;

CREATE FUNCTION report.forecast()
RETURNS numeric
LANGUAGE plpgsql
AS $$
BEGIN
	INSERT INTO report.scratch VALUES ('half a forecast');
	PERFORM pg_sleep(3600);	-- will be interrupted
	RETURN 42;
END;
$$;

-- The items of the batch; then what is called for each.
CREATE FUNCTION report.regions()
RETURNS SETOF text
LANGUAGE sql
AS $$ SELECT t.region FROM report.targets AS t ORDER BY t.region $$;

CREATE FUNCTION report.page(item text)
RETURNS text
LANGUAGE sql
AS $$
	INSERT INTO report.pages
	SELECT item, format('%s: %s %% of the target', item, round(100 * sum(s.amount) / t.target))
	FROM report.sales AS s, report.targets AS t
	WHERE s.region = item AND t.region = item
	GROUP BY t.target
	RETURNING page
$$;

-- "outputs" has an {"ok": ...} or {"error": ...} for each item, in their order;
-- "figures", under the name of the split, a slot for each source: null for one
-- that was not waited for.
CREATE FUNCTION report.cover(outputs jsonb, figures numeric[])
RETURNS jsonb
LANGUAGE sql
AS $$
	SELECT jsonb_build_object(
		'pages', jsonb_agg(coalesce(o -> 'ok', o #> '{error,message}') ORDER BY n),
		'cover', format('sold %s, planned %s, forecast %s', figures[1], figures[2], coalesce(figures[3]::text, 'not ready')))
	FROM jsonb_array_elements(outputs) WITH ORDINALITY AS e (o, n)
$$;

SELECT cano.define('example report',
	cano.split('figures', ARRAY['report.sold', 'report.planned', 'report.forecast'],
			   join => cano.partial_timeout(), timeout => '4 seconds', next => 'pages'),
	cano.batch('pages', load => 'report.regions', process => 'report.page', finish => 'report.cover',
			   concurrency => 4, next => 'done'),
	cano.exit('done')) AS version;

SELECT cano.submit('example report') AS run \gset
SELECT cano.wait(:run);

SELECT branch, task, status, output FROM cano.branches WHERE run_id = :run ORDER BY branch;
SELECT item, input, status, error ->> 'message' AS error FROM cano.items WHERE run_id = :run ORDER BY item;
SELECT cano.timeline(:run);

SELECT cano.result(:run) ->> 'cover' AS cover,
	(SELECT string_agg(p.region, ', ' ORDER BY p.region) FROM report.pages AS p) AS kept,
	(SELECT count(*) FROM report.scratch) AS scratch;
SELECT jsonb_array_elements_text(cano.result(:run) -> 'pages') AS page;

--                     cover                    |       kept        | scratch
-- ---------------------------------------------+-------------------+---------
--  sold 4500, planned 4750, forecast not ready | east, north, west |       0
-- (1 row)
--
--             page
-- ----------------------------
--  east: 100 % of the target
--  north: 100 % of the target
--  division by zero
--  west: 50 % of the target
-- (4 rows)
