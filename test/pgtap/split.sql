-- What a branch of a split is given, may say, and leaves.
\ir lib/start.psql
\ir lib/split.psql
SELECT plan(56);

CREATE ROLE t_split_other LOGIN;

-- what a branch may say
SELECT pg_temp.start(t_split.told('good', 'bad', 'permanent', 'failed', 'more', 'null', 'elsewhere', 'slow'), cano.quorum(3)) AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run), 'completed [0, null, null, null, null, null, {"went": "elsewhere"}, null]',
	'outputs are in the order of the branches, null where one failed; the state that a branch names is ignored');
SELECT is(pg_temp.branches(:run), 'completed, failed task_execution, failed permanent, failed task_execution, failed workflow, '
	'completed, completed, failed timeout', 'what has become of each');
SELECT is((SELECT string_agg(what, ' ' ORDER BY branch) FROM t_split.effect WHERE run = :run), 'good failed null elsewhere',
	'effects of those that failed are rolled back, but for a verdict''s');
SELECT is(pg_temp.calls('t_split.calls'), 8::bigint, 'each was called once');
SELECT is((SELECT error ->> 'message' FROM cano.branches WHERE run_id = :run AND branch = 3), 'declined', 'a verdict''s reason is its error');
SELECT is((SELECT output FROM cano.branches WHERE run_id = :run AND branch = 6), '{"went": "elsewhere"}', 'the view has the outputs');
SELECT is((SELECT array_agg(DISTINCT task) FROM cano.branches WHERE run_id = :run), ARRAY['t_split.branch'], 'and the task');
SELECT is((SELECT string_agg(branch::text, ' ' ORDER BY branch) FROM cano.attempts WHERE run_id = :run), '1 2 4 7',
	'each failed attempt is on record with its branch');
SELECT is(pg_temp.rows(:run), '0 s, 1 end', 'a split has one row');
SELECT is((SELECT task FROM cano.checkpoints WHERE run_id = :run AND sequence = 0), NULL, 'without a task');

-- a branch cancels the run
SELECT pg_temp.start(t_split.told('good', 'cancelled', 'good', 'bad 1h'), cano.quorum(0)) AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run), 'cancelled cancelled called off', 'a branch cancels the run');
SELECT is((SELECT cancel_reason FROM cano.runs WHERE run_id = :run), 'called off', 'with its reason');
SELECT is((SELECT bool_or(status IN ('queued', 'waiting', 'running')) FROM cano.branches WHERE run_id = :run), false, 'no branch is left');
SELECT is(pg_temp.left(:run), 0::bigint, 'nor anything to do');

-- among branches that have long been quick
SELECT count(pg_temp.start(t_split.told('good', 'good', 'good', 'good'))) FROM generate_series(1, 26);
CALL cano.work();
SELECT pg_temp.start(t_split.told('good', 'stop', 'good')) AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run), 'cancelled cancelled by a branch', 'so does one that calls cano.cancel()');
SELECT is((SELECT count(*) FROM cano.checkpoints WHERE run_id = :run AND state = 'end'), 0::bigint, 'and the run goes no further');

-- what a branch is given
CREATE FUNCTION t_split.given(data jsonb, input jsonb, branch int, attempt int, state text, idempotency_key text, outputs jsonb,
	item jsonb, a int, b int, headers jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cano.put('branch' || branch, to_jsonb(idempotency_key));
	IF attempt = 1 THEN
		RAISE EXCEPTION '%', idempotency_key;
	END IF;
	RETURN jsonb_build_object('data', data, 'same', cano.data() = data, 'input', input, 'branch', branch, 'state', state || cano.state(),
		'none', coalesce(outputs, item), 'a', a, 'b', b, 'headers', headers -> 'h', 'attempt', cano.attempt());
END $$;
CREATE FUNCTION t_split.before() RETURNS jsonb LANGUAGE sql AS $$ SELECT '{"a": 1, "b": 2}'::jsonb $$;
CREATE FUNCTION t_split.after(data jsonb, branch int) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('keys', (SELECT array_agg(k ORDER BY k) FROM jsonb_object_keys(data) AS k), 'branch', branch,
		'put', (SELECT array_agg(k ORDER BY k) FROM unnest(cano.keys()) AS k)) $$;
SELECT cano.define('t_split.given', cano.task('t', 't_split.before', next => 's'), cano.split('s', ARRAY[
		cano.branch('t_split.given', retry => cano.fixed(1, '0')),
		cano.branch('t_split.given', retry => cano.fixed(1, '0'), input => '{"a": 7, "c": 8}')], next => 'after', output_key => 'o'),
	cano.task('after', 't_split.after', next => 'end', output_key => 'p'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_split.given', '{"i": 0}', headers => '{"h": "x"}') AS run \gset
CALL cano.work();
SELECT is(cano.result(:run) #> '{o,0}', '{"data": {"i": 0, "a": 1, "b": 2}, "same": true, "input": {"i": 0}, "branch": 0,
	"state": "ss", "none": null, "a": 1, "b": 2, "headers": "x", "attempt": 2}'::jsonb, 'a branch is given what a task is, and its number');
SELECT is(cano.result(:run) #> '{o,1}', '{"data": {"i": 0, "a": 7, "b": 2, "c": 8}, "same": true, "input": {"i": 0}, "branch": 1,
	"state": "ss", "none": null, "a": 7, "b": 2, "headers": "x", "attempt": 2}'::jsonb, 'its own input is merged over the data');
SELECT is(cano.result(:run) -> 'p', '{"keys": ["a", "b", "i", "o"], "branch": null, "put": ["branch0", "branch1"]}'::jsonb,
	'for itself only; output_key names the array; no other state has a branch');
SELECT is((SELECT array_agg(DISTINCT message = cano_key #>> '{}') FROM cano.attempts AS a,
	LATERAL (SELECT value AS cano_key FROM cano._variable AS v WHERE v.run = a.run_id AND v.key = 'branch' || a.branch) AS k
	WHERE a.run_id = :run), ARRAY[true], 'the idempotency key of a branch is the same for each attempt');
SELECT is((SELECT count(DISTINCT message) FROM cano.attempts WHERE run_id = :run), 2::bigint, 'and another for each branch');

-- a default that asks for a key which only one branch has
CREATE FUNCTION t_split.asks(wanted text) RETURNS text LANGUAGE sql AS 'SELECT wanted';
SELECT pg_temp.start(ARRAY[cano.branch('t_split.asks'), cano.branch('t_split.asks', input => '{"wanted": "x"}')], cano.any()) AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run) || ': ' || pg_temp.branches(:run), 'completed [null, "x"]: failed missing_argument, completed',
	'a missing argument fails its branch, which is not tried again');

-- retries of its own
SELECT pg_temp.start(t_split.told('bad 0', 'good', 'bad 2h', 'bad 1h')) AS run \gset
CALL cano.work();
SELECT is(pg_temp.branches(:run), 'completed, completed, waiting, waiting', 'every branch has its own retries');
SELECT is((SELECT array_agg(attempt ORDER BY branch) FROM cano.branches WHERE run_id = :run), ARRAY[2, 1, 2, 2], 'and attempts');
SELECT is((SELECT concat_ws(' ', status, state, waiting_for, next_at, progress ->> 'done', progress ->> 'total') FROM cano.status(:run)),
	'waiting s branches 2 4', 'the run waits for its branches, without a time');
SELECT pg_temp.later('1 h 1 s');
CALL cano.work();
SELECT is((SELECT progress ->> 'done' FROM cano.status(:run)), '3', 'its progress tells how many have ended');
SELECT pg_temp.later('1 h 1 s');
CALL cano.work();
SELECT is(pg_temp.story(:run), 'completed [0, 1, 2, 3]', 'the last to end does not change the order');
SELECT pg_temp.start(ARRAY[cano.branch('t_split.branch', retry => cano.fixed(2, '0'), input => '{"what": "bad"}')]) AS run \gset
CALL cano.work();
SELECT is((SELECT error ->> 'category' || ' ' || (error ->> 'attempts') FROM cano.branches WHERE run_id = :run), 'retry_exhausted 3',
	'one whose retries are used up says so');
SELECT matches(pg_temp.story(:run), 'failed workflow .*1 branches.*after 3 attempts: branch 0 is bad', 'and so does the run');
SELECT is((SELECT count(*) FROM cano.dead_letters WHERE run_id = :run), 0::bigint, 'which is no dead letter');
SELECT pg_temp.start(ARRAY[cano.branch('t_split.branch', retry => cano.fixed(5, '0'), input => '{"what": "bad"}')], max_attempts => 2) AS run \gset
CALL cano.work();
SELECT is(pg_temp.calls('t_split.calls'), 2::bigint, 'submit''s max_attempts are those of branches, too');
SELECT pg_temp.start(ARRAY[cano.branch('t_split.branch', retry => cano.fixed(1, '0'), timeout => '50 ms', input => '{"what": "slow"}')],
	cano.quorum(0)) AS run \gset
CALL cano.work();
SELECT is(pg_temp.branches(:run) || ' ' || pg_temp.calls('t_split.calls'), 'failed retry_exhausted 2', 'a timeout of its own is each attempt''s');
SELECT is((SELECT array_agg(DISTINCT message ~ 'longer than 50 ms') FROM cano.attempts WHERE run_id = :run), ARRAY[true], 'and says so');

-- what fails only at the commit is its own branch's fault
SELECT pg_temp.start(t_split.told('good', 'late', 'good', 'late', 'good'), cano.quorum(4)) AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run) || ': ' || pg_temp.branches(:run),
	'completed [0, 1, 2, null, 4]: completed, completed, completed, failed task_execution, completed',
	'a deferred constraint fails the branch that broke it');
SELECT is((SELECT string_agg(branch::text, ' ' ORDER BY branch) FROM t_split.effect WHERE run = :run), '0 1 2 4', 'every effect is there once');
SELECT is((SELECT string_agg(sqlstate || ' ' || branch, ' ') FROM cano.attempts WHERE run_id = :run), '23505 3', 'it is one failed attempt');

-- one step at a time
SELECT pg_temp.start(t_split.told('good', 'good', 'bad 0', 'good'), bulkhead => 2) AS run \gset
CALL cano.work(max_steps => 2);
SELECT cmp_ok(pg_temp.calls('t_split.calls'), '<=', 2::bigint, 'a worker that may do little does little');
CALL cano.work(max_steps => 1);
CALL cano.work(max_steps => 1);
SELECT cmp_ok(pg_temp.calls('t_split.calls'), '<=', 4::bigint, 'and goes on later');
CALL cano.work(max_steps => 1);
CALL cano.work(max_steps => 1);
CALL cano.work(max_steps => 1);
CALL cano.work(max_steps => 1);
CALL cano.work(max_steps => 1);
SELECT is(pg_temp.story(:run), 'completed [0, 1, 2, 3]', 'to the end');
SELECT is(pg_temp.calls('t_split.calls'), 5::bigint, 'without doing anything twice');

-- many at once, and at different priorities
SELECT pg_temp.start(t_split.told('good', 'bad', 'good'), cano.quorum(2), bulkhead => 1) AS first \gset
SELECT count(*) AS n FROM cano.submit_many('t_split', array_fill('{"what": "good"}'::jsonb, ARRAY[50]), priority => 5) \gset
SELECT count(*) AS n FROM cano.submit_many('t_split', array_fill('{"what": "good"}'::jsonb, ARRAY[50]), priority => 2000) \gset
CALL cano.work();
SELECT is((SELECT count(*) FROM cano.runs WHERE run_id >= :first AND result = '{"what": "good", "s": [0, null, 2]}'), 100::bigint,
	'many splits at once do not meet');
SELECT is((SELECT count(*) FROM t_split.effect WHERE run >= :first), 202::bigint, 'and each effect is there once');

-- 10 000 branches
SELECT pg_temp.start(array_fill(cano.branch('t_split.branch'), ARRAY[10000])) AS run \gset
CALL cano.work();
SELECT is((SELECT (result -> 's') = (SELECT jsonb_agg(i) FROM generate_series(0, 9999) AS i) FROM cano.runs WHERE run_id = :run), true,
	'a split may have 10 000 branches');
SELECT is(pg_temp.calls('t_split.calls'), 10000::bigint, 'each is called once');
SELECT pg_temp.start(array_fill(cano.branch('t_split.branch'), ARRAY[10000]), bulkhead => 3) AS run \gset
CALL cano.work();
SELECT is((SELECT count(*) FROM cano.branches WHERE run_id = :run AND status = 'completed'), 10000::bigint, 'with a bulkhead, too');

-- strangers
SELECT cano.grant_usage('t_split_other');
SET SESSION AUTHORIZATION t_split_other;
SELECT is((SELECT count(*) FROM cano.branches) + (SELECT count(*) FROM cano.items) + (SELECT count(*) FROM cano.attempts), 0::bigint,
	'another role sees no branches');
SELECT throws_ok($$SELECT * FROM cano._branch$$, '42501', NULL, 'nor what is behind the view');
SELECT throws_ok($$SELECT * FROM cano._fan$$, '42501', NULL, 'nor the counts');
RESET SESSION AUTHORIZATION;

-- refused by define
SELECT throws_ok($$SELECT cano.define('t_split', cano.split('s', ARRAY['t_split.nobody'], next => 'end'), cano.exit('end'))$$,
	'CN001', NULL, 'a branch''s function must exist');
SELECT throws_ok($$SELECT cano.define('t_split', cano.split('s', ARRAY['t_split.branch']), cano.exit('end'))$$, 'CN001', NULL,
	'a split must have a next state');
SELECT throws_ok(format($$SELECT cano.define('t_split', cano.split('s', ARRAY['t_split.branch'], "join" => %s, next => 'end'), cano.exit('end'))$$, bad),
	'CN001', NULL, bad || ' is refused')
FROM unnest(ARRAY['cano.quorum(-1)', 'cano.partial(-1)', 'cano.quorum(NULL)', $$'{"strategy": "most"}'$$]) AS bad;
SELECT throws_ok($$SELECT cano.define('t_split', cano.split('s', ARRAY['t_split.branch'], next => 'end', timeout => '0'), cano.exit('end'))$$,
	'CN001', NULL, 'so is a timeout of zero');

SELECT is((SELECT count(*) FROM cano._job) + (SELECT count(*) FROM cano._timer), 0::bigint, 'nothing is left to do');
SELECT * FROM finish();
DROP OWNED BY t_split_other;
DROP ROLE t_split_other;
DROP SCHEMA t_split CASCADE;
