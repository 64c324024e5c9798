-- Submitting: what is stored, in which order it runs, and what is refused.
\ir lib/start.psql
SELECT plan(37);

CREATE SCHEMA t_submit;
CREATE SEQUENCE t_submit.order;
CREATE TABLE t_submit.ran (position bigint DEFAULT nextval('t_submit.order'), run bigint);
CREATE FUNCTION t_submit.note(run_id bigint) RETURNS void LANGUAGE sql AS 'INSERT INTO t_submit.ran (run) VALUES (run_id)';
SELECT cano.define('t_submit.flow', cano.task('a', 't_submit.note', next => 'end'), cano.exit('end')) AS v \gset

-- what is stored
SELECT cano.submit('t_submit.flow', '{"x": 1}', key => 'k', headers => '{"h": 1}', priority => 5,
	tags => ARRAY['red', 'blue']) AS run \gset
SELECT is((SELECT concat_ws('|', workflow, version, key, status, state, role = current_user, priority, input, headers, tags,
		cleared) FROM cano.runs WHERE run_id = :run),
	't_submit.flow|1|k|queued|a|t|5|{"x": 1}|{"h": 1}|{red,blue}|f', 'a run is stored as it was submitted');
SELECT results_eq(format($$SELECT started_at IS NULL, ended_at IS NULL, result IS NULL, error IS NULL,
		waiting_for IS NULL, cancel_reason IS NULL, parent_run_id IS NULL, submitted_at IS NOT NULL
		FROM cano.runs WHERE run_id = %s$$, :run),
	'VALUES (true, true, true, true, true, true, true, true)', 'and nothing else is known of it yet');
CALL cano.work();
SELECT ok((SELECT submitted_at <= started_at AND started_at <= ended_at FROM cano.runs WHERE run_id = :run),
	'its times are in order');
SELECT cano.submit('t_submit.flow') AS run \gset
SELECT is((SELECT input FROM cano.runs WHERE run_id = :run), '{}'::jsonb, 'the input is an empty object by default');
SELECT is((SELECT priority FROM cano.runs WHERE run_id = :run), 1000, 'the priority is 1000 by default');
CALL cano.work();

-- order
TRUNCATE t_submit.ran;
SELECT cano.submit('t_submit.flow') AS third \gset
SELECT cano.submit('t_submit.flow', priority => 2000) AS last \gset
SELECT cano.submit('t_submit.flow', priority => 10) AS first \gset
SELECT cano.submit('t_submit.flow') AS fourth \gset
SELECT cano.submit('t_submit.flow', priority => 10) AS second \gset
CALL cano.work();
SELECT is((SELECT array_agg(run ORDER BY position) FROM t_submit.ran),
	ARRAY[:first, :second, :third, :fourth, :last]::bigint[], 'lower priority numbers first, then first come');

-- later
SELECT cano.submit('t_submit.flow', run_at => now() + interval '1 hour') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'waiting', 'with run_at a run waits');
SELECT is((SELECT waiting_for FROM cano.runs WHERE run_id = :run), 'schedule', 'for its schedule');
SELECT ok((SELECT abs(EXTRACT(epoch FROM next_at - now() - interval '1 hour')) < 30 FROM cano.runs WHERE run_id = :run),
	'until then');
SELECT pg_temp.later('61 minutes') AS x \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'and runs when the time has come');
SELECT cano.submit('t_submit.flow', run_at => now() - interval '1 hour') AS run \gset
SELECT is(pg_temp.status(:run), 'queued', 'a run_at in the past is now');

-- part of the caller's transaction
SELECT count(*) AS before FROM cano.runs WHERE workflow = 't_submit.flow' \gset
SELECT count(*) AS jobs FROM cano._job \gset
BEGIN;
SELECT cano.submit('t_submit.flow', key => 'rolled back') AS x \gset
ROLLBACK;
SELECT is((SELECT count(*) FROM cano.runs WHERE workflow = 't_submit.flow'), :before::bigint, 'a rollback leaves nothing');
BEGIN;
SAVEPOINT s;
SELECT cano.submit('t_submit.flow', key => 'rolled back') AS x \gset
SELECT cano.submit('t_submit.flow', run_at => now() + interval '1 day') AS x \gset
ROLLBACK TO s;
COMMIT;
SELECT is((SELECT count(*) FROM cano.runs WHERE workflow = 't_submit.flow'), :before::bigint,
	'nor does a rollback to a savepoint');
SELECT is((SELECT count(*) FROM cano._job), :jobs::bigint, 'not even a job');
SELECT is((SELECT count(*) FROM cano._key WHERE key = 'rolled back'), 0::bigint, 'nor the key');
CALL cano.work();
BEGIN;
SELECT cano.submit('t_submit.flow') AS run \gset
SELECT is(pg_temp.status(:run), 'queued', 'the transaction itself sees its run');
\set elsewhere `psql -XAqt -d :DBNAME -c "SELECT count(*) FROM cano.runs WHERE workflow = 't_submit.flow' AND status = 'queued'"`
SELECT is(:elsewhere::int, 0, 'others do not before it commits');
COMMIT;
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'then it runs');

-- versions
CREATE FUNCTION t_submit.other() RETURNS int LANGUAGE sql AS 'SELECT 2';
SELECT cano.submit('t_submit.flow') AS under_way \gset
SELECT cano.define('t_submit.flow', cano.task('a', 't_submit.other', next => 'end'), cano.exit('end')) AS two \gset
SELECT cano.submit('t_submit.flow') AS run2 \gset
SELECT cano.submit('t_submit.flow', version => 1) AS run1 \gset
CALL cano.work();
SELECT is(:two, 2, 'a changed workflow is a new version');
SELECT is((SELECT version FROM cano.runs WHERE run_id = :run2), 2, 'which new runs take');
SELECT is((SELECT version FROM cano.runs WHERE run_id = :run1), 1, 'unless they ask for an older one');
SELECT is(cano.result(:under_way), '{}'::jsonb, 'a run under way stays on its version');
SELECT is(cano.result(:run2), '{"a": 2}'::jsonb, 'a new one runs the new content');

-- refused
SELECT throws_ok($$SELECT cano.submit('t_submit.nowhere')$$, 'CN404', NULL, 'an unknown workflow');
SELECT throws_ok($$SELECT cano.submit('t_submit.flow', version => 9)$$, 'CN404', NULL, 'an unknown version');
SELECT throws_ok($$SELECT cano.submit('t_submit.flow', '[1]')$$, 'CN001', NULL, 'an input that is no object: an array');
SELECT throws_ok($$SELECT cano.submit('t_submit.flow', '"x"')$$, 'CN001', NULL, 'an input that is no object: a string');
SELECT throws_ok($$SELECT cano.submit('t_submit.flow', 'null')$$, 'CN001', NULL, 'an input that is no object: JSON null');
SELECT throws_ok($$SELECT cano.submit('t_submit.flow', headers => '[1]')$$, 'CN001', NULL, 'headers that are no object');
SELECT throws_ok($$SELECT cano.submit('t_submit.flow', headers => '{"workflow.x": 1}')$$, 'CN001', NULL, 'a reserved header');
SELECT throws_ok($$SELECT cano.submit('t_submit.flow', key => '')$$, 'CN001', NULL, 'an empty key');
SELECT throws_ok($$SELECT cano.submit('t_submit.flow', key => repeat('k', 1001))$$, 'CN001', NULL, 'a key that is too long');
SELECT throws_ok($$SELECT cano.submit('t_submit.flow', max_attempts => 0)$$, 'CN001', NULL, 'fewer attempts than one');
SELECT throws_ok($$SELECT cano.submit(NULL)$$, NULL, NULL, 'no workflow at all');
SELECT lives_ok($$SELECT cano.submit('t_submit.flow', key => repeat('ü', 1000))$$, 'a long key is fine');
SELECT lives_ok($$SELECT cano.submit('t_submit.flow', key => E'; DROP TABLE x; -- ''"\n')$$, 'any text is a key');
CALL cano.work();
SELECT is((SELECT count(*) FROM cano.runs WHERE workflow = 't_submit.flow' AND status <> 'completed'), 0::bigint,
	'everything that was accepted runs');

SELECT * FROM finish();
DROP SCHEMA t_submit CASCADE;
