-- on_end and resources of runs that go on after an end: each end has its own.
\ir lib/start.psql
SELECT plan(22);

CREATE SCHEMA t_again;
CREATE TABLE t_again.did (n serial, run_id bigint, what text);
CREATE TABLE t_again.broken (what text);
INSERT INTO t_again.broken VALUES ('task'), ('hook'), ('undo');
CREATE FUNCTION t_again.is_broken(what text) RETURNS boolean LANGUAGE sql AS
	$$ SELECT EXISTS (SELECT FROM t_again.broken b WHERE b.what = is_broken.what) $$;
CREATE FUNCTION t_again.act(run_id bigint, note text DEFAULT '-') RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	IF t_again.is_broken('task') THEN
		RAISE 'task is broken';
	END IF;
	INSERT INTO t_again.did (run_id, what) VALUES (run_id, 'act ' || note);
	RETURN '{"acted": true}';
END $$;
CREATE FUNCTION t_again.report(run_id bigint, status text, error jsonb, result jsonb, final_state text, data jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF t_again.is_broken('hook') THEN
		RAISE 'hook is broken';
	END IF;
	INSERT INTO t_again.did (run_id, what)
	VALUES (run_id, concat_ws(' ', status, final_state, coalesce(error ->> 'message', 'null'), coalesce(result::text, 'null'), data));
END $$;
CREATE FUNCTION t_again.up(run_id bigint, idempotency_key text) RETURNS text LANGUAGE sql AS $$
	INSERT INTO t_again.did (run_id, what) VALUES (run_id, 'up');
	SELECT idempotency_key $$;
CREATE FUNCTION t_again.down(run_id bigint) RETURNS void LANGUAGE sql AS $$
	INSERT INTO t_again.did (run_id, what) VALUES (run_id, 'down ' || (cano.resource('r') ->> 0)) $$;
CREATE FUNCTION t_again.other(run_id bigint, status text) RETURNS void LANGUAGE sql AS $$
	INSERT INTO t_again.did (run_id, what) VALUES (run_id, 'other ' || status) $$;
CREATE FUNCTION pg_temp.did(run bigint) RETURNS text LANGUAGE sql AS $$
	WITH gone AS (DELETE FROM t_again.did WHERE run_id = run RETURNING n, what) SELECT string_agg(what, ', ' ORDER BY n) FROM gone $$;

-- the hook of an end knows that end
SELECT cano.define('t_again.hook', cano.task('a', 't_again.act', next => 'end', retry => cano.none()), cano.exit('end'),
	cano.options(on_end => 't_again.report', retry => cano.fixed(3, '1 day'))) AS v \gset
SELECT cano.submit('t_again.hook', '{"x": 1}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'failed', 'a run fails, its hook is to be tried again later');
DELETE FROM t_again.broken WHERE what IN ('task', 'hook');
SELECT ok(cano.resume(:run, data => '{"x": 2}'), 'meanwhile the run is resumed');
CALL cano.work();
SELECT is(pg_temp.did(:run), 'act -, completed end null {"x": 2, "acted": true} {"x": 2, "acted": true}', 'and ends again, with a hook');
SELECT pg_temp.later('25 h');
CALL cano.work();
SELECT is(pg_temp.did(:run), 'failed a task is broken null {"x": 1}', 'the hook of the first end is told of that, and has its data');
SELECT is(pg_temp.status(:run), 'completed', 'the run is as it was');

-- and has the definition of that end
INSERT INTO t_again.broken VALUES ('task'), ('hook');
SELECT cano.submit('t_again.hook', '{"x": 1}') AS run \gset
CALL cano.work();
SELECT cano.define('t_again.hook', cano.task('b', 't_again.act', next => 'end', retry => cano.none()), cano.exit('end'),
	cano.options(on_end => 't_again.other', start => 'b')) AS v \gset
DELETE FROM t_again.broken WHERE what = 'task';
SELECT ok(cano.resume(:run, state => 'b', version => :v, force => true), 'a run goes on with another version');
CALL cano.work();
SELECT is(pg_temp.did(:run), 'act -, other completed', 'whose hook is called at its end');
DELETE FROM t_again.broken WHERE what = 'hook';
SELECT pg_temp.later('25 h');
CALL cano.work();
SELECT is(pg_temp.did(:run), 'failed a task is broken null {"x": 1}', 'the first version''s is called for the first end');

-- a hook is not interrupted by what becomes of its run afterwards
INSERT INTO t_again.broken VALUES ('task'), ('hook');
SELECT cano.define('t_again.limited', cano.receive('a', signal => 'go', next => 'end', timeout => '1 min'), cano.exit('end'),
	cano.options(on_end => 't_again.report', retry => cano.fixed(3, '1 day'), timeout => '10 days')) AS v \gset
SELECT cano.submit('t_again.limited') AS run \gset
CALL cano.work();
SELECT pg_temp.later('2 min');
CALL cano.work();
DELETE FROM t_again.broken WHERE what = 'hook';
SELECT ok(cano.resume(:run), 'a run is resumed, waits again');
SELECT ok(cano.cancel(:run, 'no more'), 'and is cancelled');
CALL cano.work();
SELECT is(pg_temp.did(:run), 'cancelled a no more null {}', 'the hook of that');
SELECT pg_temp.later('25 h');
CALL cano.work();
SELECT matches(pg_temp.did(:run), '^failed a state "a" received no signal', 'and that of the end before');

-- resources are set up again
SELECT cano.define('t_again.resources', cano.task('a', 't_again.act', next => 'end', retry => cano.none()), cano.exit('end'),
	cano.options(resources => ARRAY[cano.with_resource('r', setup => 't_again.up', teardown => 't_again.down')])) AS v \gset
SELECT cano.submit('t_again.resources') AS run \gset
CALL cano.work();
SELECT is(pg_temp.did(:run), format('up, down %s:%1$s:p:0', :run), 'a run fails, its resource is torn down');
DELETE FROM t_again.broken WHERE what = 'task';
SELECT ok(cano.resume(:run), 'it is resumed');
SELECT is((SELECT state || ' ' || sequence FROM cano.status(:run)), 'a 1', 'in the state where it failed');
CALL cano.work();
SELECT matches(pg_temp.did(:run), format('^up, act -, down %s:\d+:p:0$', :run), 'its resource is set up again first, and torn down again');
SELECT is(pg_temp.rows(:run), '0 a, 1 a, 2 end', 'a resumption enters the state once');

-- and what the run goes on with is kept
CREATE FUNCTION t_again.loop(run_id bigint, cursor jsonb) RETURNS cano.outcome LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t_again.did (run_id, what) VALUES (run_id, 'step ' || coalesce(cursor::text, 'null'));
	IF cursor = '2' AND t_again.is_broken('task') THEN
		RAISE 'loop is broken';
	END IF;
	RETURN CASE WHEN cursor = '3' THEN cano.next() ELSE cano.more(to_jsonb(coalesce(cursor::int, 0) + 1)) END;
END $$;
CREATE FUNCTION t_again.branch(run_id bigint, branch int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	IF branch = 1 AND t_again.is_broken('task') THEN
		RAISE 'branch is broken';
	END IF;
	INSERT INTO t_again.did (run_id, what) VALUES (run_id, 'branch ' || branch);
	RETURN branch;
END $$;
INSERT INTO t_again.broken VALUES ('task');
SELECT cano.define('t_again.' || name, part, cano.exit('end'), cano.options(retry => cano.none(), resources => ARRAY[cano.with_resource('r', setup => 't_again.up')])) AS v
FROM (VALUES ('stepped', cano.stepped('a', 't_again.loop', next => 'end')),
	('split', cano.split('a', ARRAY['t_again.branch', 't_again.branch'], next => 'end'))) AS f (name, part);
SELECT cano.submit('t_again.stepped') AS stepped \gset
SELECT cano.submit('t_again.split') AS split \gset
CALL cano.work();
SELECT is(pg_temp.did(:stepped), 'up, step null, step 1', 'a loop fails');
SELECT is(pg_temp.did(:split), 'up, branch 0', 'a split fails');
DELETE FROM t_again.broken WHERE what = 'task';
SELECT cano.resume(:stepped) AS resumed, cano.resume(:split, keep_results => true) AS resumed \gset
CALL cano.work();
SELECT is(pg_temp.did(:stepped), 'up, step 2, step 3', 'the loop goes on from its cursor');
SELECT is(pg_temp.did(:split) || ' ' || (cano.result(:split) ->> 'a'), 'up, branch 1 [0, 1]', 'the split with its results');

SELECT is((SELECT count(*) FROM cano._job) + (SELECT count(*) FROM cano._timer) + (SELECT count(*) FROM cano._resource), 0::bigint, 'nothing is left to do');
SELECT * FROM finish();
DROP SCHEMA t_again CASCADE;
