-- How runs end at exits, and the workflow's own settings.
\ir lib/start.psql
SELECT plan(26);

CREATE SCHEMA t_exit;
CREATE SEQUENCE t_exit.calls;
CREATE TABLE t_exit.ran (position serial, run bigint);
CREATE FUNCTION t_exit.choose(way text) RETURNS cano.outcome LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t_exit.ran (run) VALUES (cano.run_id());
	RETURN cano.next(way, '{"kept": true}');
END $$;
CREATE FUNCTION t_exit.fails() RETURNS void LANGUAGE plpgsql AS $$
BEGIN PERFORM nextval('t_exit.calls'); RAISE EXCEPTION 'no'; END $$;

-- outcomes of exits
SELECT cano.define('t_exit.three', cano.task('a', 't_exit.choose', next => 'good'),
	cano.exit('good'), cano.exit('bad', outcome => 'failed'), cano.exit('off', outcome => 'cancelled')) AS v \gset
SELECT cano.submit('t_exit.three', '{"way": "good"}') AS good \gset
SELECT cano.submit('t_exit.three', '{"way": "bad"}') AS bad \gset
SELECT cano.submit('t_exit.three', '{"way": "off"}') AS off \gset
CALL cano.work();
SELECT is(pg_temp.status(:good) || ' ' || pg_temp.state(:good), 'completed good', 'an exit completes a run');
SELECT is((SELECT error FROM cano.runs WHERE run_id = :good), NULL, 'without an error');
SELECT is(pg_temp.status(:bad) || ' ' || pg_temp.state(:bad), 'failed bad', 'an exit with outcome failed fails it');
SELECT is(pg_temp.error(:bad, 'category'), 'workflow', 'its error has category workflow');
SELECT matches(pg_temp.error(:bad, 'message'), 'bad', 'and names the exit');
SELECT is(pg_temp.status(:off) || ' ' || pg_temp.state(:off), 'cancelled off', 'an exit with outcome cancelled cancels it');
SELECT is(pg_temp.error(:off, 'category'), 'workflow', 'its error has category workflow');
SELECT matches(pg_temp.error(:off, 'message'), 'off', 'and names the exit');
SELECT is(pg_temp.rows(:bad), '0 a, 1 bad', 'such an exit has its row as well');
SELECT is((SELECT count(*) FROM t_exit.ran WHERE run IN (:good, :bad, :off)), 3::bigint, 'what the task did is kept');
SELECT is((SELECT count(*) FROM cano.dead_letters WHERE run_id IN (:bad, :off)), 0::bigint, 'they are no dead letters');
SELECT is(cano.result(:bad), NULL, 'and have no result');
SELECT ok((SELECT cleared FROM cano.runs WHERE run_id = :good), 'a completed run''s log is cleared');
SELECT ok((SELECT NOT cleared FROM cano.runs WHERE run_id = :bad), 'a failed run''s is kept');

-- nothing but exits
SELECT cano.define('t_exit.only', cano.exit('end')) AS v \gset
SELECT cano.define('t_exit.only_bad', cano.exit('end', outcome => 'failed')) AS v \gset
SELECT cano.submit('t_exit.only', '{"x": 1}') AS run \gset
SELECT cano.submit('t_exit.only_bad') AS bad \gset
CALL cano.work();
SELECT is(pg_temp.status(:run) || ' ' || pg_temp.rows(:run), 'completed 0 end', 'a workflow of nothing but exits ends at once, with one row');
SELECT is(cano.result(:run), '{"x": 1}'::jsonb, 'its result is its input');
SELECT is(pg_temp.status(:bad), 'failed', 'or fails at once');

-- options
SELECT cano.define('t_exit.start', cano.exit('end'), cano.task('a', 't_exit.choose', next => 'end'),
	cano.options(start => 'a')) AS v \gset
SELECT cano.submit('t_exit.start', '{"way": null}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.rows(:run), '0 a, 1 end', 'options(start) names the first state');

SELECT cano.define('t_exit.urgent', cano.task('a', 't_exit.choose', next => 'end'), cano.exit('end'),
	cano.options(priority => 5)) AS v \gset
TRUNCATE t_exit.ran;
SELECT cano.submit('t_exit.three', '{"way": null}') AS third \gset
SELECT cano.submit('t_exit.urgent', '{"way": null}') AS second \gset
SELECT cano.submit('t_exit.urgent', '{"way": null}', priority => 1) AS first \gset
SELECT cano.submit('t_exit.urgent', '{"way": null}', priority => 2000) AS last \gset
SELECT is((SELECT priority FROM cano.runs WHERE run_id = :second), 5, 'options(priority) is the priority of runs that do not say');
CALL cano.work();
SELECT is((SELECT array_agg(run ORDER BY position) FROM t_exit.ran), ARRAY[:first, :second, :third, :last]::bigint[],
	'and orders them among all others');

SELECT cano.define('t_exit.patient', cano.task('a', 't_exit.fails', next => 'end'),
	cano.exit('end'), cano.options(retry => cano.fixed(1, '0'))) AS v \gset
SELECT cano.submit('t_exit.patient') AS run \gset
CALL cano.work();
SELECT is(pg_temp.calls('t_exit.calls'), 2::bigint, 'options(retry) is the policy of states that do not say');
ALTER SEQUENCE t_exit.calls RESTART;
SELECT cano.define('t_exit.own', cano.task('a', 't_exit.fails', next => 'end', retry => cano.none()),
	cano.exit('end'), cano.options(retry => cano.fixed(1, '0'))) AS v \gset
SELECT cano.submit('t_exit.own') AS run \gset
CALL cano.work();
SELECT is(pg_temp.calls('t_exit.calls'), 1::bigint, 'but not of those that do');

-- names are any text
SELECT cano.define(E't_exit."; DROP TABLE x; --\n', cano.task(' A ', 't_exit.choose', next => 'Ende ü'), cano.exit('Ende ü'),
	cano.exit(' a '), cano.exit('$1')) AS v \gset
SELECT cano.submit(E't_exit."; DROP TABLE x; --\n', '{"way": " a "}') AS run \gset
SELECT cano.submit(E't_exit."; DROP TABLE x; --\n', '{"way": "$1"}') AS run2 \gset
CALL cano.work();
SELECT is(pg_temp.rows(:run), '0  A , 1  a ', 'names of states are any text, case-sensitive');
SELECT is(pg_temp.state(:run2), '$1', 'and never parsed');
SELECT cano.define(repeat('ü', 1000), cano.exit('end')) AS v \gset
CALL cano.orchestrate(repeat('ü', 1000), '{"x": 1}', NULL) \gset
SELECT is(:'result'::jsonb, '{"x": 1}'::jsonb, 'up to 1,000 characters');
SELECT throws_ok($$SELECT cano.define(repeat('x', 1001), cano.exit('end'))$$, 'CN001', NULL, 'and no more');

SELECT * FROM finish();
DROP SCHEMA t_exit CASCADE;
