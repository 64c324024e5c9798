-- cano.resume(keep_results => true): what had succeeded of a split or batch is not run again.
\ir lib/start.psql
SELECT plan(19);

CREATE SCHEMA t_keep;
CREATE TABLE t_keep.log (what text, n integer);
CREATE TABLE t_keep.bad (n integer);
CREATE FUNCTION t_keep.branch(branch integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t_keep.log VALUES ('branch', branch);
	IF branch IN (SELECT n FROM t_keep.bad) THEN
		RAISE EXCEPTION 'branch % is bad', branch;
	END IF;
	RETURN branch * 10;
END $$;
CREATE FUNCTION t_keep.load(items integer) RETURNS SETOF integer LANGUAGE sql AS $$
	INSERT INTO t_keep.log VALUES ('load', NULL);
	SELECT generate_series(1, items) $$;
CREATE FUNCTION t_keep.item(item integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t_keep.log VALUES ('item', item);
	IF item IN (SELECT n FROM t_keep.bad) THEN
		RAISE EXCEPTION 'item % is bad', item;
	END IF;
	RETURN item * 10;
END $$;
CREATE FUNCTION t_keep.finish(outputs jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	IF jsonb_path_exists(outputs, '$[*].error') OR 0 IN (SELECT n FROM t_keep.bad) THEN
		RAISE EXCEPTION 'not all of it is done';
	END IF;
	RETURN jsonb_build_object('items', jsonb_array_length(outputs));
END $$;
CREATE FUNCTION pg_temp.log() RETURNS text LANGUAGE sql AS $$
	WITH gone AS (DELETE FROM t_keep.log RETURNING what, n)
	SELECT coalesce(string_agg(concat(what, ' ', n), ', ' ORDER BY what, n), '') FROM gone $$;

SELECT cano.define('t_keep.split',
	cano.split('s', ARRAY['t_keep.branch', 't_keep.branch', 't_keep.branch', 't_keep.branch'], next => 'end', bulkhead => 2),
	cano.exit('end'), cano.options(retry => cano.none()));
SELECT cano.define('t_keep.batch',
	cano.batch('b', load => 't_keep.load', process => 't_keep.item', finish => 't_keep.finish', concurrency => 3,
		retry => cano.none(), next => 'end'),
	cano.exit('end'));

-- A split
INSERT INTO t_keep.bad VALUES (1), (3);
SELECT cano.submit('t_keep.split') AS run \gset
CALL cano.work();
SELECT is((cano.status(:run)).status, 'failed', 'a split fails');
SELECT is(pg_temp.log(), 'branch 0, branch 2', 'those that succeed leave what they did');
DELETE FROM t_keep.bad WHERE n = 1;
SELECT ok(cano.resume(:run, keep_results => true), 'it is resumed with its results');
SELECT is((cano.status(:run)).status, 'queued', 'and is due');
CALL cano.work();
SELECT is((cano.status(:run)).status, 'failed', 'it fails again because of another branch');
SELECT is(pg_temp.log(), 'branch 1', 'no branch that had succeeded was called');
SELECT matches((cano.status(:run)).error ->> 'message', '3 of 4 branches succeeded.*task 3: branch 3 is bad$', 'the join counts what had succeeded');
DELETE FROM t_keep.bad;
SELECT ok(cano.resume(:run, keep_results => true), 'it is resumed a second time');
CALL cano.work();
SELECT is(cano.result(:run), '{"s": [0, 10, 20, 30]}', 'the results are those of all times, in order');
SELECT is(pg_temp.log(), 'branch 3', 'the last one alone was called');

-- Without being asked to
INSERT INTO t_keep.bad VALUES (2);
SELECT cano.submit('t_keep.split') AS run \gset
CALL cano.work();
DELETE FROM t_keep.bad;
SELECT pg_temp.log();
SELECT cano.resume(:run);
CALL cano.work();
SELECT is(pg_temp.log(), 'branch 0, branch 1, branch 2, branch 3', 'results are not kept unless one asks');
SELECT is(cano.result(:run), '{"s": [0, 10, 20, 30]}', 'and the run completes all the same');

-- A batch
INSERT INTO t_keep.bad VALUES (2), (5);
SELECT cano.submit('t_keep.batch', '{"items": 6}') AS run \gset
CALL cano.work();
SELECT is((cano.status(:run)).status, 'failed', 'a batch fails');
SELECT pg_temp.log();
DELETE FROM t_keep.bad;
INSERT INTO t_keep.bad VALUES (0);
SELECT cano.resume(:run, keep_results => true);
CALL cano.work();
SELECT is(pg_temp.log(), 'item 2, item 5', 'items are not loaded again, and only those that had failed are processed');
SELECT is((SELECT count(*) FROM cano.items WHERE run_id = :run AND status = 'completed'), 6::bigint, 'all of them are done');
SELECT is((cano.status(:run)).error ->> 'message', 'not all of it is done', 'its finish fails');
DELETE FROM t_keep.bad;
SELECT cano.resume(:run, keep_results => true);
CALL cano.work();
SELECT is(pg_temp.log(), '', 'where all items are done no more than the finish is called');
SELECT is(cano.result(:run), '{"items": 6}', 'which gets them all');
SELECT is((SELECT array_agg(sequence ORDER BY sequence) FROM cano.checkpoints WHERE run_id = :run), '{0,1,2,3}'::bigint[], 'each resumption leaves a row');

SELECT * FROM finish();
DROP SCHEMA t_keep CASCADE;
