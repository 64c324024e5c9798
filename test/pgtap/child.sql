-- States that start another run and wait for it.
\ir lib/start.psql
SELECT plan(76);

CREATE SCHEMA t_child;
CREATE ROLE t_child_other LOGIN;
SELECT cano.grant_usage('t_child_other') \g /dev/null
GRANT USAGE ON SCHEMA t_child TO t_child_other;
CREATE FUNCTION t_child.rest() RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION t_child.double(n integer) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('n', 2 * n, 'seen', n) $$;
CREATE FUNCTION t_child.headers(headers jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT headers';
CREATE FUNCTION t_child.again(n integer) RETURNS cano.outcome LANGUAGE sql AS $$
	SELECT cano.next(CASE WHEN n < 32 THEN 'c' ELSE 'end' END) $$;
CREATE FUNCTION t_child.fails() RETURNS void LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'no luck' USING ERRCODE = 'P1234', DETAIL = 'At all.', HINT = 'Try tomorrow.'; END $$;
CREATE FUNCTION t_child.says_failed() RETURNS cano.outcome LANGUAGE sql AS $$ SELECT cano.failed('not today') $$;
CREATE FUNCTION t_child.says_cancelled() RETURNS cano.outcome LANGUAGE sql AS $$ SELECT cano.cancelled('not wanted') $$;
CREATE FUNCTION t_child.less(n integer) RETURNS cano.outcome LANGUAGE sql AS $$
	SELECT cano.next(CASE WHEN n > 0 THEN 'c' ELSE 'end' END, jsonb_build_object('n', n - 1)) $$;
CREATE FUNCTION t_child.add(below jsonb, n integer) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('depth', 1 + coalesce((below ->> 'depth')::integer, 0)) $$;

CREATE FUNCTION pg_temp.line(run bigint) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', r.status, r.state, r.waiting_for) FROM cano.runs AS r WHERE r.run_id = $1 $$;
-- the latest child of a run
CREATE FUNCTION pg_temp.child(run bigint) RETURNS bigint LANGUAGE sql AS $$
	SELECT max(r.run_id) FROM cano.runs AS r WHERE r.parent_run_id = $1 $$;
-- what is left of all runs beside themselves and their logs
CREATE FUNCTION pg_temp.left_over() RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', (SELECT count(*) FROM cano._job), (SELECT count(*) FROM cano._timer), (SELECT count(*) FROM cano._stop)) $$;

SELECT cano.define('t_child.double', cano.task('a', 't_child.double', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.define('t_child.sleeps', cano.timer('t', delay => '1 hour', next => 'end'), cano.exit('end')) AS v \gset

-- start and wait
SELECT cano.define('t_child.parent', cano.child('c', 't_child.double', next => 'b'), cano.task('b', 't_child.rest', next => 'end'),
	cano.exit('end')) AS v \gset
SELECT cano.submit('t_child.parent', '{"n": 4, "x": 1}', key => 'one', priority => 7, tags => '{red}') AS run \gset
CALL cano.work(1);
SELECT is(pg_temp.line(:run), 'waiting c child', 'a run waits for its child');
SELECT is((SELECT next_at FROM cano.runs WHERE run_id = :run), NULL, 'for as long as it takes');
SELECT is(pg_temp.rows(:run), '0 c', 'its row is there');
SELECT is((SELECT task FROM cano.checkpoints WHERE run_id = :run AND state = 'c'), NULL, 'without a task, as it calls none');
SELECT pg_temp.child(:run) AS child \gset
SELECT is(pg_temp.line(:child), 'queued a', 'the child is there with the commit that lets its parent wait');
SELECT is((SELECT to_jsonb(c) FROM (SELECT r.workflow, r.version, r.parent_run_id = :run AS mine, r.key, r.role, r.priority, r.tags
		FROM cano.runs r WHERE r.run_id = :child) AS c),
	jsonb_build_object('workflow', 't_child.double', 'version', 1, 'mine', true, 'key', NULL, 'role', current_user, 'priority', 7, 'tags', NULL),
	'it has its parent''s role and priority, and no key');
CALL cano.work();
SELECT is(pg_temp.status(:child), 'completed', 'it is a run like others');
SELECT is(pg_temp.rows(:run), '0 c, 1 b, 2 end', 'its end lets the parent go on');
SELECT is(cano.result(:run), '{"n": 8, "x": 1, "seen": 4}'::jsonb, 'its result joins the parent''s data');
SELECT is((SELECT count(*) FROM cano.attempts WHERE run_id = :run), 0::bigint, 'nothing failed');
SELECT is((SELECT parent_run_id FROM cano.runs WHERE run_id = :run), NULL, 'who was submitted has no parent');

-- input and output
SELECT is((SELECT input FROM cano.runs WHERE run_id = :child), '{"n": 4, "x": 1}'::jsonb, 'all data are the child''s input');
SELECT cano.define('t_child.keys', cano.child('c', 't_child.double', next => 'end', input_key => 'for it', output_key => 'of it'),
	cano.exit('end')) AS v \gset
SELECT cano.submit('t_child.keys', '{"n": 1, "for it": {"n": 2, "y": []}}') AS run \gset
CALL cano.work();
SELECT is((SELECT input FROM cano.runs WHERE run_id = pg_temp.child(:run)), '{"n": 2, "y": []}'::jsonb,
	'or what is under input_key');
SELECT is(cano.result(:run), '{"n": 1, "for it": {"n": 2, "y": []}, "of it": {"n": 4, "y": [], "seen": 2}}'::jsonb,
	'the result is under output_key');
SELECT cano.submit('t_child.keys') AS run \gset
CALL cano.work();
SELECT is(pg_temp.line(:run) || ' ' || pg_temp.error(:run, 'category'), 'failed c missing_argument', 'a key that is not there fails the run');
SELECT matches(pg_temp.error(:run, 'message'), 'state "c".*key "for it"', 'by name');
SELECT is(pg_temp.child(:run), NULL, 'nothing was started');
SELECT is((SELECT count(*) FROM cano.attempts WHERE run_id = :run AND state = 'c' AND sqlstate = 'CN014'), 1::bigint,
	'the attempt is on record');
SELECT cano.submit('t_child.keys', jsonb_build_object('for it', value)) AS run, name
FROM (VALUES ('array', '[{}]'::jsonb), ('string', '"{}"'), ('number', '1'), ('null', 'null')) AS v (name, value) \g /dev/null
CALL cano.work();
SELECT is(pg_temp.error(run_id, 'category') || ' ' || regexp_replace(pg_temp.error(run_id, 'detail'), '.*: ', ''),
	'workflow ' || jsonb_typeof(input -> 'for it') || '.', 'an input of type ' || jsonb_typeof(input -> 'for it') || ' is refused')
FROM cano.runs WHERE workflow = 't_child.keys' AND jsonb_typeof(input -> 'for it') <> 'object' ORDER BY run_id;
SELECT cano.define('t_child.told', cano.task('a', 't_child.headers', next => 'end', output_key => 'got'), cano.exit('end')) AS v \gset
SELECT cano.define('t_child.tells', cano.child('c', 't_child.told', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_child.tells', headers => '{"tenant": "t1"}') AS run \gset
CALL cano.work();
SELECT is(cano.result(:run), '{"got": {"tenant": "t1"}}'::jsonb, 'a child has its parent''s headers');

-- failures
SELECT cano.define('t_child.fails', cano.task('a', 't_child.fails', next => 'end', retry => cano.none()), cano.exit('end')) AS v \gset
SELECT cano.define('t_child.says_failed', cano.task('a', 't_child.says_failed', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.define('t_child.says_cancelled', cano.task('a', 't_child.says_cancelled', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.define('t_child.exits', cano.task('a', 't_child.rest', next => 'end'), cano.exit('end', 'failed')) AS v \gset
SELECT cano.define('t_child.of_' || name, cano.child('c', 't_child.' || name, next => 'end'), cano.exit('end')) AS v1,
	cano.define('t_child.despite_' || name, cano.child('c', 't_child.' || name, next => 'end', on_failure => 'b', output_key => 'out'),
		cano.task('b', 't_child.rest', next => 'end'), cano.exit('end')) AS v2,
	cano.submit('t_child.of_' || name) AS run1, cano.submit('t_child.despite_' || name, '{"x": 1}') AS run2
FROM unnest(ARRAY['fails', 'says_failed', 'says_cancelled', 'exits', 'unknown']) AS name \g /dev/null
CALL cano.work();
SELECT run_id AS run FROM cano.runs WHERE workflow = 't_child.of_fails' \gset
SELECT is(pg_temp.line(:run), 'failed c', 'a run whose child fails, fails');
SELECT is((SELECT error FROM cano.runs WHERE run_id = :run), (SELECT error FROM cano.runs WHERE run_id = pg_temp.child(:run)),
	'with the child''s error');
SELECT is(concat_ws(' ', pg_temp.error(:run, 'sqlstate'), pg_temp.error(:run, 'message'), pg_temp.error(:run, 'detail'), pg_temp.error(:run, 'hint')),
	'P1234 no luck At all. Try tomorrow.', 'all of it');
SELECT is((SELECT array_agg(run_id ORDER BY run_id) FROM cano.dead_letters WHERE workflow IN ('t_child.of_fails', 't_child.fails') AND run_id >= :run),
	ARRAY[pg_temp.child(:run), (SELECT pg_temp.child(run_id) FROM cano.runs WHERE workflow = 't_child.despite_fails')],
	'the dead letters are the children');
SELECT is((SELECT count(*) FROM cano.attempts WHERE run_id = :run), 0::bigint, 'no attempt of the parent failed');
SELECT is(concat_ws(' ', pg_temp.line(run_id), pg_temp.error(run_id, 'category'), pg_temp.error(run_id, 'message')), v.line, v.what)
FROM cano.runs JOIN (VALUES
	('t_child.of_says_failed', 'failed c task_execution not today', 'so does one whose child says that it failed'),
	('t_child.of_says_cancelled', 'failed c cancelled not wanted', 'or that it is cancelled'),
	('t_child.of_exits', 'failed c workflow run reached exit "end", whose outcome is "failed"', 'or whose child ends at such an exit'),
	('t_child.of_unknown', 'failed c not_found workflow "t_child.unknown" does not exist', 'and one whose child does not exist'),
	('t_child.despite_unknown', 'failed c not_found workflow "t_child.unknown" does not exist', 'which is no failure of a child'))
	AS v (flow, line, what) ON v.flow = workflow ORDER BY run_id;
SELECT is((SELECT count(*) FROM cano.attempts JOIN cano.runs USING (run_id) WHERE workflow = 't_child.of_unknown'), 1::bigint,
	'it is not tried again');
SELECT is(pg_temp.rows(run_id) || ' ' || cano.result(run_id), '0 c, 1 b, 2 end {"x": 1}',
	'on_failure is where a run goes instead: ' || workflow)
FROM cano.runs WHERE workflow IN ('t_child.despite_fails', 't_child.despite_says_failed', 't_child.despite_says_cancelled', 't_child.despite_exits')
ORDER BY run_id;

-- looked up when it runs
SELECT cano.define('t_child.early', cano.timer('t', delay => '1 hour', next => 'c'), cano.child('c', 't_child.late', next => 'end'),
	cano.exit('end')) AS v \gset
SELECT cano.submit('t_child.early') AS run \gset
CALL cano.work();
SELECT cano.define('t_child.late', cano.exit('end')) AS v \gset
SELECT cano.define('t_child.late', cano.task('a', 't_child.rest', next => 'end'), cano.exit('end')) AS v \gset
SELECT pg_temp.later('61 minutes') AS x \gset
CALL cano.work();
SELECT is((SELECT concat_ws(' ', workflow, version, status) FROM cano.runs WHERE run_id = pg_temp.child(:run)), 't_child.late 2 completed',
	'a child is of the version that is current when it begins');
SELECT is(pg_temp.status(:run), 'completed', 'its workflow may be defined after its parent was submitted');

-- a loop
SELECT cano.define('t_child.loop', cano.child('c', 't_child.double', next => 'r'), cano.router('r', 't_child.again'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_child.loop', '{"n": 4}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.rows(:run), '0 c, 1 c, 2 c, 3 end', 'a state may have a child at each visit');
SELECT is((SELECT string_agg(result ->> 'n', ' ' ORDER BY run_id) FROM cano.runs WHERE parent_run_id = :run), '8 16 32', 'each one a run of its own');
SELECT is(cano.result(:run), '{"n": 32, "seen": 16}'::jsonb, 'the result is the latest''s');

-- children of children
SELECT cano.define('t_child.down', cano.task('a', 't_child.less', targets => ARRAY['c', 'end']), cano.child('c', 't_child.down', next => 'b', output_key => 'below'),
	cano.task('b', 't_child.add', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_child.down', '{"n": 5}') AS run \gset
CALL cano.work();
SELECT is(cano.result(:run) -> 'depth', '5', 'a child may have a child');
SELECT cano.submit('t_child.down', '{"n": 100}') AS run \gset
CALL cano.work();
SELECT is(cano.result(:run) -> 'depth', '100', 'a hundred deep');
SELECT cano.submit('t_child.down', '{"n": 101}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.line(:run) || ' ' || pg_temp.error(:run, 'category'), 'failed c workflow', 'but no deeper');
SELECT matches(pg_temp.error(:run, 'message'), 'state "c" .* "t_child.down".* 100 deep', 'the error says what is wrong');
SELECT isnt(pg_temp.error(:run, 'hint'), NULL, 'and what to do');
SELECT is((SELECT concat_ws(' ', count(*), string_agg(DISTINCT status, ',')) FROM cano.runs WHERE run_id >= :run), '101 failed',
	'it ends all that were under way');
SELECT is((SELECT count(*) FROM cano.dead_letters WHERE run_id >= :run), 1::bigint, 'one of them is a dead letter');

-- cancelling
SELECT cano.define('t_child.patient', cano.child('c', 't_child.sleeps', next => 'end', on_failure => 'b'),
	cano.task('b', 't_child.rest', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.define('t_child.grand', cano.child('g', 't_child.patient', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_child.grand') AS run \gset
CALL cano.work();
SELECT pg_temp.child(:run) AS child \gset
SELECT pg_temp.child(:child) AS grandchild \gset
SELECT is(pg_temp.line(:run) || ', ' || pg_temp.line(:child) || ', ' || pg_temp.line(:grandchild), 'waiting g child, waiting c child, waiting t timer',
	'three generations wait');
SELECT is(cano.cancel(:run, 'enough'), true, 'the first is cancelled');
SELECT is(pg_temp.status(:run), 'cancelling', 'it is on its way');
CALL cano.work();
SELECT is(pg_temp.line(:run) || ', ' || pg_temp.line(:child) || ', ' || pg_temp.line(:grandchild), 'cancelled g, cancelled c, cancelled t',
	'and takes the others along');
SELECT is((SELECT string_agg(cancel_reason, ', ' ORDER BY run_id) FROM cano.runs WHERE run_id IN (:run, :child, :grandchild)),
	format('enough, parent run %s has ended, parent run %s has ended', :run, :child), 'they say why');
SELECT is((SELECT string_agg(error ->> 'category', ' ') FROM cano.runs WHERE run_id IN (:run, :child, :grandchild)), 'cancelled cancelled cancelled',
	'on_failure does not count then');
SELECT is(pg_temp.left_over(), '0 0 0', 'nothing is left of them');

SELECT cano.submit('t_child.grand') AS run \gset
CALL cano.work();
SELECT cano.cancel(pg_temp.child(pg_temp.child(:run))) AS x \gset
CALL cano.work();
SELECT is(pg_temp.rows(pg_temp.child(:run)), '0 c, 1 b, 2 end', 'a child that somebody cancels has failed its parent');
SELECT is(pg_temp.status(:run), 'completed', 'which has its own ways');

SELECT cano.submit('t_child.parent', '{"n": 1}') AS run \gset
CALL cano.work(1);
SELECT pg_temp.child(:run) AS child \gset
SELECT cano.cancel(:run) AS x \gset
CALL cano.work(1);
SELECT is(pg_temp.status(:child) || ' ' || pg_temp.status(:run), 'completed cancelling', 'a child may end while its parent is being cancelled');
CALL cano.work();
SELECT is(pg_temp.status(:child) || ' ' || pg_temp.status(:run), 'completed cancelled', 'that harms neither');
SELECT is(pg_temp.rows(:run), '0 c', 'the parent does not go on');
SELECT cano.submit('t_child.parent', '{"n": 1}') AS run \gset
SELECT cano.cancel(:run) AS x \gset
CALL cano.work();
SELECT is(pg_temp.status(:run) || ' ' || coalesce(pg_temp.child(:run)::text, 'none'), 'cancelled none', 'who is cancelled before starts no child');
SELECT is(pg_temp.left_over(), '0 0 0', 'nothing is left of them');

-- signals and times
SELECT cano.define('t_child.listens', cano.receive('r', 'go', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.define('t_child.lets_listen', cano.child('c', 't_child.listens', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_child.lets_listen') AS run \gset
CALL cano.work();
SELECT cano.signal(:run, 'go', '{"a": 0}') AS x \gset
CALL cano.work();
SELECT is(pg_temp.line(:run), 'waiting c child', 'a signal to the parent is not the child''s');
SELECT cano.signal(pg_temp.child(:run), 'go', '{"a": 1}') AS x \gset
CALL cano.work();
SELECT is(cano.result(:run), '{"a": 1}'::jsonb, 'a child receives its own');
SELECT cano.define('t_child.hasty', cano.child('c', 't_child.sleeps', next => 'end'), cano.exit('end'), cano.options(timeout => '10 minutes')) AS v \gset
SELECT cano.define('t_child.of_hasty', cano.child('c', 't_child.hasty', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_child.of_hasty') AS run \gset
CALL cano.work();
SELECT pg_temp.later('11 minutes') AS x \gset
CALL cano.work();
SELECT pg_temp.child(:run) AS child \gset
SELECT is(pg_temp.line(:child) || ' ' || pg_temp.error(:child, 'category'), 'failed c workflow_timeout', 'a child has its own timeout');
SELECT is(pg_temp.status(pg_temp.child(:child)), 'cancelled', 'which ends what it waited for');
SELECT is(pg_temp.line(:run) || ' ' || pg_temp.error(:run, 'category'), 'failed c workflow_timeout', 'and fails whoever waited for it');
SELECT is(pg_temp.left_over(), '0 0 0', 'nothing is left of them');

-- roles
REVOKE EXECUTE ON FUNCTION t_child.double FROM PUBLIC;
SELECT cano.define('t_child.secret', cano.task('a', 't_child.double', next => 'end', retry => cano.none()), cano.exit('end')) AS v1,
	cano.define('t_child.of_secret', cano.child('c', 't_child.secret', next => 'end'), cano.exit('end')) AS v2 \gset
SET ROLE t_child_other;
SELECT cano.submit('t_child.of_secret', '{"n": 1}') AS run \gset
CALL cano.work();
RESET ROLE;
SELECT is((SELECT role::text || ' ' || status FROM cano.runs WHERE run_id = pg_temp.child(:run)), 't_child_other failed',
	'a child runs with the rights of whoever submitted its parent');
SELECT is(pg_temp.error(:run, 'sqlstate'), '42501', 'no more');

-- one session
CALL cano.orchestrate('t_child.loop', '{"n": 2}', NULL) \gset
SELECT is(:'result'::jsonb, '{"n": 32, "seen": 16}'::jsonb, 'cano.orchestrate drives a run and its children');
CALL cano.orchestrate('t_child.down', '{"n": 7}', NULL) \gset
SELECT is(:'result'::jsonb -> 'depth', '7', 'and theirs');
SELECT is((SELECT count(*) FROM cano.runs WHERE ended_at IS NULL), 0::bigint, 'every run has ended');
SELECT is(pg_temp.left_over(), '0 0 0', 'nothing is left of them');

SELECT * FROM finish();
DROP SCHEMA t_child CASCADE;
SELECT cano.revoke_usage('t_child_other') \g /dev/null
DROP ROLE t_child_other;
