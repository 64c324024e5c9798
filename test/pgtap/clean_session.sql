-- After every task its session is as before, and nothing of one task meets
-- the next.
\ir lib/start.psql
SELECT plan(26);

CREATE SCHEMA t_clean;
CREATE ROLE t_clean_other;
CREATE TABLE t_clean.t (x int);
CREATE SEQUENCE t_clean.s;
-- Leave everything behind that a task can leave.
CREATE FUNCTION t_clean.mess(fail boolean DEFAULT false, attempt int DEFAULT 1) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	c refcursor := 'left_open';
BEGIN
	SET work_mem = '3MB';
	SET t_clean.mine = 'left';
	SET search_path = t_clean;
	PERFORM set_config('TimeZone', 'Asia/Tokyo', false);
	CREATE TEMP TABLE left_table (x int);
	CREATE TEMP VIEW left_view AS SELECT 1 AS one;
	CREATE FUNCTION pg_temp.left_function() RETURNS int LANGUAGE sql AS 'SELECT 1';
	EXECUTE 'PREPARE left_statement AS SELECT 1';
	EXECUTE 'DECLARE left_cursor CURSOR WITH HOLD FOR SELECT 1';
	OPEN c FOR SELECT 1;
	PERFORM pg_advisory_lock(4242, 1);
	PERFORM nextval('t_clean.s');
	PERFORM setseed(0.5);
	SET ROLE t_clean_other;
	IF fail AND attempt = 1 THEN RAISE EXCEPTION 'failed'; END IF;
END $$;
-- What the next task finds of it.
CREATE FUNCTION t_clean.look() RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	RETURN jsonb_build_object(
		'work_mem', current_setting('work_mem'),
		'custom', coalesce(current_setting('t_clean.mine', true), ''),
		'search_path', current_setting('search_path'),
		'time zone', current_setting('TimeZone'),
		'temporary table', to_regclass('pg_temp.left_table') IS NOT NULL,
		'temporary view', to_regclass('pg_temp.left_view') IS NOT NULL,
		'temporary function', to_regproc('pg_temp.left_function') IS NOT NULL,
		'prepared statement', EXISTS (SELECT FROM pg_catalog.pg_prepared_statements AS p WHERE p.name = 'left_statement'),
		'cursor', EXISTS (SELECT FROM pg_catalog.pg_cursors AS c WHERE c.name IN ('left_cursor', 'left_open')),
		'advisory lock', EXISTS (SELECT FROM pg_catalog.pg_locks AS l WHERE l.locktype = 'advisory' AND l.classid = 4242
			AND l.objid = 1 AND l.pid = pg_catalog.pg_backend_pid()),
		'role', current_user::text);
END $$;
SELECT cano.define('t_clean.flow',
	cano.task('mess', 't_clean.mess', next => 'look', retry => cano.fixed(1, '0')),
	cano.task('look', 't_clean.look', next => 'end', output_key => 'seen'), cano.exit('end')) AS v \gset

-- the session of this test has things of its own
SET work_mem = '5MB';
SET t_clean.mine = 'ours';
SET search_path = public, t_clean;
CREATE TEMP TABLE our_table AS SELECT 1 AS x;
PREPARE our_statement AS SELECT 7;
DECLARE our_cursor CURSOR WITH HOLD FOR SELECT generate_series(1, 3);
SELECT pg_advisory_lock(4242, 2) AS x \gset
LISTEN our_channel;

SELECT cano.submit('t_clean.flow') AS run \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'message'), NULL, 'the tasks ran');
SELECT is(cano.result(:run) -> 'seen' ->> key, wanted, 'the next task does not meet the ' || key || ' of the one before')
FROM (VALUES ('work_mem', '5MB'), ('custom', 'ours'), ('search_path', 'public, t_clean'), ('time zone', 'UTC'),
	('temporary table', 'false'), ('temporary view', 'false'), ('temporary function', 'false'), ('prepared statement', 'false'),
	('cursor', 'false'), ('advisory lock', 'false'), ('role', current_user::text)) AS v (key, wanted);

SELECT is((t_clean.look())::jsonb, '{"work_mem": "5MB", "custom": "ours", "search_path": "public, t_clean", "time zone": "UTC",
	"temporary table": false, "temporary view": false, "temporary function": false, "prepared statement": false,
	"cursor": false, "advisory lock": false}'::jsonb || jsonb_build_object('role', current_user),
	'nor does the session afterwards');
SELECT is((SELECT x FROM our_table), 1, 'the session keeps its own temporary tables');
SELECT is((SELECT count(*) FROM pg_prepared_statements WHERE name = 'our_statement'), 1::bigint, 'its prepared statements');
SELECT is((SELECT count(*) FROM pg_cursors WHERE name = 'our_cursor'), 1::bigint, 'its cursors');
SELECT is((SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 4242 AND objid = 2 AND pid = pg_backend_pid()), 1::bigint,
	'its advisory locks');
-- listening may be refused, or be undone
CREATE FUNCTION t_clean.listens() RETURNS void LANGUAGE plpgsql AS $$BEGIN LISTEN left_channel; END$$;
SELECT cano.define('t_clean.listens', cano.task('a', 't_clean.listens', next => 'end', retry => cano.none()), cano.exit('end')) AS v \gset
SELECT cano.submit('t_clean.listens') AS listens \gset
CALL cano.work();
SELECT is((SELECT array_agg(c) FROM pg_listening_channels() AS c), ARRAY['our_channel'], 'and its channels, and no others');

-- the same after a failed attempt, and between two runs
SELECT cano.submit('t_clean.flow', '{"fail": true}') AS run1 \gset
SELECT cano.submit('t_clean.flow') AS run2 \gset
CALL cano.work();
SELECT is(pg_temp.status(:run1), 'completed', 'a second attempt meets nothing of the first');
SELECT is(cano.result(:run1) -> 'seen', cano.result(:run) -> 'seen', 'nor does the state after it');
SELECT is(pg_temp.status(:run2), 'completed', 'a run meets nothing of another');
SELECT is((SELECT array_agg(message) FROM cano.attempts WHERE run_id IN (:run1, :run2)), ARRAY['failed'],
	'nothing else failed');

-- what a task may not do
CREATE FUNCTION t_clean.commits() RETURNS void LANGUAGE plpgsql AS $$BEGIN COMMIT; END$$;
CREATE FUNCTION t_clean.rises() RETURNS void LANGUAGE plpgsql AS $$BEGIN SET SESSION AUTHORIZATION t_clean_other; END$$;
SELECT cano.define('t_clean.commits', cano.task('a', 't_clean.commits', next => 'end', retry => cano.none()), cano.exit('end')) AS v \gset
SELECT cano.submit('t_clean.commits') AS run \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'sqlstate'), '2D000', 'a task cannot commit');
SELECT is(current_user, session_user, 'the session is who it was');

-- an open cursor of a task that failed does not disturb
CREATE TABLE t_clean.unique_later (x int UNIQUE DEFERRABLE INITIALLY DEFERRED);
CREATE FUNCTION t_clean.defers() RETURNS void LANGUAGE sql AS 'INSERT INTO t_clean.unique_later VALUES (1), (1)';
SELECT cano.define('t_clean.defers', cano.task('a', 't_clean.defers', next => 'end', retry => cano.fixed(1, '0')), cano.exit('end')) AS v \gset
SELECT cano.submit('t_clean.defers') AS run \gset
SELECT cano.submit('t_clean.flow') AS other \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category') || ' ' || pg_temp.error(:run, 'sqlstate'), 'retry_exhausted 23505',
	'a deferred constraint that fails is the error of the task that broke it');
SELECT is(pg_temp.status(:other), 'completed', 'and of no other');

SELECT * FROM finish();
RESET search_path;
DROP SCHEMA t_clean CASCADE;
DROP ROLE t_clean_other;
