/*
 * A nightly load, slice by slice.
 *
 * What is hard elsewhere: in the middle of the night one row is bad.  Here each
 * slice is committed together with the cursor behind it, so that the run
 * goes on from there when the row is mended: no slice is loaded twice, and no
 * table of "how far we got" is to be kept.  A crash is no different.
 */
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS etl CASCADE;
CREATE SCHEMA etl;

-- What arrives, as text; 50,000 rows, of which one is bad.
CREATE TABLE etl.arrived (id bigint PRIMARY KEY, article text, amount text);
INSERT INTO etl.arrived
SELECT i, 'article ' || i % 3, CASE WHEN i = 32100 THEN 'n/a' ELSE '1.50' END
FROM generate_series(1, 50000) AS i;

CREATE TABLE etl.sales (id bigint PRIMARY KEY, article text, amount numeric);
CREATE TABLE etl.slices (upto bigint);
CREATE TABLE etl.totals (article text PRIMARY KEY, amount numeric);

-- One step: the slice behind the cursor, which is null at first.  "more" saves
-- the new cursor and has the function called again, in another transaction.
CREATE FUNCTION etl.load(cursor bigint, slice integer DEFAULT 5000)
RETURNS cano.outcome
LANGUAGE plpgsql
AS $$
DECLARE
	v_upto bigint;
BEGIN
	WITH loaded AS (
		INSERT INTO etl.sales
		SELECT a.id, a.article, a.amount::numeric
		FROM etl.arrived AS a
		WHERE a.id > coalesce(load.cursor, 0)
		ORDER BY a.id
		LIMIT slice
		RETURNING id
	)
	SELECT max(l.id) INTO v_upto FROM loaded AS l;
	IF v_upto IS NULL THEN
		RETURN cano.next();
	END IF;
	INSERT INTO etl.slices VALUES (v_upto);
	PERFORM cano.progress(v_upto, (SELECT max(a.id) FROM etl.arrived AS a));
	RETURN cano.more(to_jsonb(v_upto));
END;
$$;

CREATE FUNCTION etl.summarize()
RETURNS void
LANGUAGE sql
AS $$
	INSERT INTO etl.totals
	SELECT s.article, sum(s.amount) FROM etl.sales AS s GROUP BY s.article
$$;

-- A slice that fails is tried twice more, and then somebody has to look.
SELECT cano.define('example nightly load',
	cano.stepped('load',      'etl.load', retry => cano.fixed(2, '100 ms'), next => 'summarize'),
	cano.task   ('summarize', 'etl.summarize', next => 'done'),
	cano.exit   ('done')) AS version;

-- With pg_cron, every night, and never two at once:
--		SELECT cano.schedule('nightly', '30 2 * * *', 'example nightly load');
-- Here, now.
SELECT cano.submit('example nightly load') AS run \gset
\set ON_ERROR_STOP off
SELECT cano.wait(:run);
\set ON_ERROR_STOP on

-- In the morning: what happened, how far it got.
SELECT cano.explain(:run);
SELECT state, attempt, sqlstate, message FROM cano.attempts WHERE run_id = :run;
SELECT output AS cursor FROM cano.checkpoints
WHERE run_id = :run AND kind = 'step_cursor' ORDER BY sequence DESC LIMIT 1;

-- The row is mended, and the run goes on.
UPDATE etl.arrived SET amount = '1.50' WHERE amount = 'n/a';
SELECT cano.resume(:run);
SELECT cano.wait(:run);

SELECT (SELECT status FROM cano.status(:run)),
	count(*) AS slices, count(DISTINCT upto) AS different, max(upto) AS upto,
	(SELECT count(*) FROM etl.sales) AS rows, (SELECT sum(amount) FROM etl.totals) AS total
FROM etl.slices;

--   status   | slices | different | upto  | rows  |  total
-- -----------+--------+-----------+-------+-------+----------
--  completed |     10 |        10 | 50000 | 50000 | 75000.00
-- (1 row)
