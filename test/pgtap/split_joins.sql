-- When the branches of a split join, and what becomes of those that are not
-- needed.
\ir lib/start.psql
\ir lib/split.psql
SELECT plan(70);

-- no branches at all
CREATE TEMP TABLE empty AS
SELECT v.*, pg_temp.start('{}', v.how, timeout => CASE WHEN v.how = cano.partial_timeout() THEN interval '1 h' END) AS run
FROM (VALUES (cano.all(), 'completed []'), (cano.any(), 'failed 0 of 0'), (cano.quorum(0), 'completed []'),
	(cano.quorum(1), 'failed 0 of 0'), (cano.percentage(0.5), 'completed []'), (cano.partial(0), 'completed []'),
	(cano.partial(1), 'failed 0 of'), (cano.partial_timeout(), 'failed 0 of 0')) AS v (how, wanted);
CALL cano.work();
SELECT matches(pg_temp.story(run), replace(replace(replace(wanted, 'failed', 'failed workflow .*condition not met.*'), '[', '\['), ']', '\]'),
	'without branches: ' || how::text) FROM empty ORDER BY run;

-- all of them end
SELECT pg_temp.start(t_split.told('bad', 'bad', 'good', 'good'), cano.any()) AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run) || ': ' || pg_temp.branches(:run),
	'completed [null, null, 2, null]: failed task_execution, failed task_execution, completed, cancelled',
	'any: failures do not end it, the first success does');
SELECT is((SELECT string_agg(branch::text, ' ') FROM t_split.effect WHERE run = :run), '2', 'any: one that is cancelled leaves no effect');
SELECT pg_temp.start(t_split.told('bad', 'bad'), cano.any()) AS run \gset
CALL cano.work();
SELECT matches(pg_temp.story(:run), 'failed workflow .*condition not met.*0 of 2.*any.*task 0: branch 0 is bad; task 1: branch 1 is bad$',
	'any: if all fail it fails');
SELECT pg_temp.start(t_split.told('bad 1h', 'good', 'bad 1h'), cano.any()) AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run) || ': ' || pg_temp.branches(:run), 'completed [null, 1, null]: cancelled, completed, cancelled',
	'any: nobody waits for a retry');
SELECT is(pg_temp.left(:run), 0::bigint, 'any: the retries are gone');
SELECT pg_temp.start(t_split.told('good', 'good'), cano.quorum(3)) AS run \gset
CALL cano.work();
SELECT matches(pg_temp.story(:run) || ': ' || pg_temp.branches(:run), 'failed workflow .*2 of 2.*quorum.*: completed, completed$',
	'a quorum of more than there are fails, when all have ended');
SELECT is((SELECT count(*) FROM t_split.effect WHERE run = :run), 2::bigint, 'their effects stay');
SELECT pg_temp.start(t_split.told('good', 'good', 'bad 1h'), cano.quorum(1)) AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run), 'waiting branches', 'a quorum that is met waits for the others');
SELECT pg_temp.later('2 h');
CALL cano.work();
SELECT is(pg_temp.story(:run), 'completed [0, 1, 2]', 'and has their outputs');
SELECT pg_temp.start(t_split.told('bad', 'bad 1h'), cano.all()) AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run), 'waiting branches', 'all: a failure does not end it');
SELECT pg_temp.later('2 h');
CALL cano.work();
SELECT matches(pg_temp.story(:run), 'failed workflow .*1 of 2.*all', 'all: but fails it in the end');

-- partial
SELECT pg_temp.start(t_split.told('bad', 'good', 'good', 'good'), cano.partial(2)) AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run) || ': ' || pg_temp.branches(:run), 'completed [null, 1, 2, null]: failed task_execution, completed, completed, cancelled',
	'partial: so many successes are enough');
SELECT pg_temp.start(t_split.told('bad', 'good', 'good'), cano.partial(0)) AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run) || ': ' || pg_temp.branches(:run), 'completed [null, null, null]: failed task_execution, cancelled, cancelled',
	'partial(0): whatever ends first is enough');
SELECT pg_temp.start(t_split.told('good', 'bad'), cano.partial(2)) AS run \gset
CALL cano.work();
SELECT matches(pg_temp.story(:run), 'failed workflow .*condition not met.*1 of the required 2.*task 1: branch 1 is bad', 'partial: too few');
SELECT pg_temp.start(t_split.told('good', 'good'), cano.partial(3)) AS run \gset
CALL cano.work();
SELECT matches(pg_temp.story(:run), 'failed workflow .*condition not met.*2 of the required 3', 'partial: more than there are');

-- percentage, of decimal numbers
SELECT pg_temp.start(t_split.told(VARIADIC array_fill('good'::text, ARRAY[7]) || array_fill('bad'::text, ARRAY[93])), cano.percentage(0.07)) AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', '7 % of 100 are 7');
SELECT pg_temp.start(t_split.told(VARIADIC array_fill('good'::text, ARRAY[6]) || array_fill('bad'::text, ARRAY[94])), cano.percentage(0.07)) AS run \gset
CALL cano.work();
SELECT matches(pg_temp.story(:run), 'failed workflow .*6 of 100.*percentage.*; and 91 more$', '6 are too few');
SELECT pg_temp.start(t_split.told('good', 'bad', 'bad'), cano.percentage(0.34)) AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'failed', '34 % of 3 are 2');

-- the first three errors, as they ended
SELECT pg_temp.start(t_split.told('bad', 'bad', 'bad', 'good', 'bad')
	|| cano.branch('t_split.branch', retry => cano.none(), input => '{"what": "bad"}')) AS run \gset
CALL cano.work();
SELECT matches(pg_temp.story(:run), '; task 0: branch 0 is bad; task 1: branch 1 is bad; task 2: branch 2 is bad; and 2 more$',
	'the message has three errors and a count of the others');
SELECT pg_temp.start(cano.branch('t_split.branch', retry => cano.fixed(1, '1 h'), input => '{"what": "bad"}')
	|| t_split.told('good', 'bad', 'bad')) AS run \gset
CALL cano.work();
SELECT pg_temp.later('2 h');
CALL cano.work();
SELECT matches(pg_temp.story(:run), '1 of 4.*; task 2: branch 2 is bad; task 3: branch 3 is bad; task 0: .*branch 0 is bad$',
	'in the order in which they ended');

-- the timeout of a split, under each strategy
CREATE TEMP TABLE timed AS
SELECT v.*, pg_temp.start(t_split.told(VARIADIC v.what), v.how, timeout => '10 min') AS run
FROM (VALUES (cano.all(), '{good,"bad 1h"}'::text[], 'failed workflow .*timeout.*1 of 2'),
	(cano.any(), '{bad,"bad 1h"}', 'failed workflow .*timeout.*0 of 2'),
	(cano.quorum(1), '{good,"bad 1h"}', 'failed workflow .*timeout.*1 of 2'),
	(cano.quorum(0), '{good,"bad 1h"}', 'failed workflow .*timeout.*1 of 2'),
	(cano.percentage(0.5), '{good,"bad 1h"}', 'failed workflow .*timeout.*1 of 2'),
	(cano.partial(2), '{good,"bad 1h"}', 'failed workflow .*timeout.*1 of'),
	(cano.partial_timeout(), '{good,"bad 1h",bad}', 'completed \[0, null, null\]'),
	(cano.partial_timeout(), '{bad,"bad 1h"}', 'completed \[null, null\]'),
	(cano.partial_timeout(), '{"bad 1h","bad 1h"}', 'failed workflow .*timeout.*partial_timeout'))
	AS v (how, what, wanted);
CALL cano.work();
SELECT is((SELECT array_agg(DISTINCT concat_ws(' ', status, waiting_for)) FROM cano.runs JOIN timed ON run_id = run),
	ARRAY['waiting branches'], 'all wait');
SELECT cmp_ok((SELECT max(abs(EXTRACT(epoch FROM next_at - submitted_at) - 600)) FROM cano.runs JOIN timed ON run_id = run), '<', 30::numeric,
	'for so long');
SELECT pg_temp.later('5 min');
CALL cano.work();
SELECT is((SELECT count(*) FROM cano.runs JOIN timed ON run_id = run WHERE status = 'waiting'), 9::bigint, 'not less');
SELECT pg_temp.later('6 min');
CALL cano.work();
SELECT matches(pg_temp.story(run), wanted, 'timeout: ' || how::text || what::text) FROM timed ORDER BY run;
SELECT is((SELECT count(*) FROM cano.branches JOIN timed ON run_id = run WHERE status = 'cancelled'), 10::bigint, 'what had not ended is cancelled');
SELECT is((SELECT sum(pg_temp.left(run)) FROM timed), 0::numeric, 'nothing of it is left');
SELECT is((SELECT array_agg(DISTINCT category) FROM cano.runs JOIN timed ON run_id = run, LATERAL (SELECT error ->> 'category' AS category) AS c
	WHERE status = 'failed'), ARRAY['workflow'], 'its category is not that of an attempt');
SELECT pg_temp.start(t_split.told('good', 'bad', 'good'), cano.partial_timeout(), timeout => '1 day') AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run), 'completed [0, null, 2]', 'partial_timeout: when all have ended nobody waits for the timeout');
-- it covers also those that have not begun
SELECT pg_temp.start(t_split.told('good', 'bad 1h', 'good'), cano.partial_timeout(), timeout => '10 min', bulkhead => 1) AS run \gset
CALL cano.work();
SELECT pg_temp.later('11 min');
CALL cano.work();
SELECT is(pg_temp.story(:run) || ': ' || pg_temp.branches(:run), 'completed [0, null, null]: completed, cancelled, cancelled',
	'the timeout covers branches that nobody has begun');
-- and interrupts one that is running
CREATE FUNCTION t_split.dawdles(run_id bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t_split.effect VALUES (run_id, 1, 'dawdles');
	BEGIN
		PERFORM pg_sleep(30); -- lasts: until interrupted
	EXCEPTION WHEN query_canceled THEN
		NULL;
	END;
END $$;
SELECT pg_temp.start(t_split.told('good') || cano.branch('t_split.dawdles') || t_split.told('good'), cano.partial_timeout(), timeout => '200 ms') AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run) || ': ' || pg_temp.branches(:run), 'completed [0, null, null]: completed, cancelled, cancelled',
	'a branch that is running is interrupted, even if it traps that');
SELECT is((SELECT string_agg(branch::text, ' ') FROM t_split.effect WHERE run = :run), '0', 'and leaves no effect');
SELECT is((SELECT count(*) FROM cano.attempts WHERE run_id = :run), 0::bigint, 'nor a failed attempt');

-- a bulkhead's place is held over retries
SELECT pg_temp.start(t_split.told('bad 1h', 'bad 1h', 'good', 'good'), bulkhead => 2) AS run \gset
CALL cano.work();
SELECT is(pg_temp.branches(:run), 'waiting, waiting, queued, queued', 'a branch that waits for its retry is under way');
SELECT is((SELECT count(*) FROM cano._job WHERE run = :run), 0::bigint, 'nothing is left to a worker');
SELECT pg_temp.later('2 h');
CALL cano.work();
SELECT is(pg_temp.story(:run), 'completed [0, 1, 2, 3]', 'the others follow');
SELECT pg_temp.start(t_split.told('good', 'bad', 'good'), cano.quorum(2), bulkhead => 10) AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run), 'completed [0, null, 2]', 'a bulkhead may be wider than the split');

-- cancelled, and out of time, while branches wait
SELECT pg_temp.start(t_split.told('good', 'bad 1h', 'bad 2h')) AS run \gset
CALL cano.work();
SELECT is(cano.cancel(:run, 'enough'), true, 'a run is cancelled while its branches wait');
CALL cano.work();
SELECT is(pg_temp.story(:run) || ': ' || pg_temp.branches(:run), 'cancelled cancelled enough: completed, cancelled, cancelled',
	'so are they');
SELECT is(pg_temp.left(:run), 0::bigint, 'and leave nothing to do');
SELECT pg_temp.start(t_split.told('good', 'good')) AS run \gset
CALL cano.work(max_steps => 1);
SELECT is(cano.cancel(:run), true, 'a run is cancelled before its branches have begun');
CALL cano.work();
SELECT is(pg_temp.status(:run) || ' ' || pg_temp.left(:run), 'cancelled 0', 'and ends');
SELECT cano.define('t_split.timed', cano.split('s', t_split.told('good', 'bad 1h'), next => 'end', timeout => '20 min'), cano.exit('end'),
	cano.options(timeout => '10 min')) AS v \gset
SELECT cano.submit('t_split.timed') AS run \gset
CALL cano.work();
SELECT pg_temp.later('11 min');
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category') || ': ' || pg_temp.branches(:run), 'workflow_timeout: completed, cancelled',
	'a run''s own timeout covers its branches');
SELECT is(pg_temp.left(:run), 0::bigint, 'and leaves nothing to do');

-- a loop
CREATE FUNCTION t_split.nth(branch int, n int DEFAULT 0) RETURNS int LANGUAGE sql AS $$
	INSERT INTO t_split.effect VALUES (cano.run_id(), branch, cano.idempotency_key());
	SELECT n * 10 + branch $$;
CREATE FUNCTION t_split.again(s int[], n int DEFAULT 0) RETURNS cano.outcome LANGUAGE sql AS $$
	SELECT cano.next(CASE WHEN n < 2 THEN 's' ELSE 'end' END, jsonb_build_object('n', n + 1, 's' || n, s)) $$;
SELECT cano.define('t_split.loop', cano.split('s', ARRAY['t_split.nth', 't_split.nth', 't_split.nth'], next => 'again', bulkhead => 2),
	cano.task('again', 't_split.again', targets => ARRAY['s', 'end']), cano.exit('end')) AS v \gset
SELECT cano.submit('t_split.loop') AS run \gset
CALL cano.work();
SELECT is(cano.result(:run), '{"n": 3, "s": [20, 21, 22], "s0": [0, 1, 2], "s1": [10, 11, 12], "s2": [20, 21, 22]}'::jsonb,
	'a split in a loop is another one each time');
SELECT is((SELECT array_agg(output ORDER BY branch) FROM cano.branches WHERE run_id = :run), '{20,21,22}'::jsonb[], 'the view has the latest');
SELECT is((SELECT count(DISTINCT what) FROM t_split.effect WHERE run = :run), 9::bigint, 'each has an idempotency key of its own');
SELECT is(pg_temp.rows(:run), '0 s, 1 again, 2 s, 3 again, 4 s, 5 again, 6 end', 'each visit has a row');

-- split_state_writes_a_single_checkpoint_row
SELECT pg_temp.start(t_split.told('good', 'good', 'good', 'good', 'good')) AS run \gset
CALL cano.work();
SELECT is((SELECT string_agg(concat_ws(' ', sequence, state, kind, coalesce(task, '-')), ', ' ORDER BY sequence) FROM cano.checkpoints
	WHERE run_id = :run), '0 s state_entry -, 1 end state_entry -', 'split_state_writes_a_single_checkpoint_row: and the whole run two');

-- cross_model_chain_router_poll_batch_stepped_interop
CREATE FUNCTION t_split.route() RETURNS text LANGUAGE sql AS $$ SELECT 'Wait'::text $$;
CREATE FUNCTION t_split.numbers() RETURNS int[] LANGUAGE sql AS $$ SELECT ARRAY[1, 2, 3] $$;
CREATE FUNCTION t_split.square(item int) RETURNS int LANGUAGE sql AS $$ SELECT item * item $$;
CREATE FUNCTION t_split.sum(outputs jsonb) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('sum', sum((o -> 'ok')::int)) FROM jsonb_array_elements(outputs) AS o $$;
CREATE FUNCTION t_split.grind(cursor int) RETURNS cano.outcome LANGUAGE sql AS $$
	SELECT CASE WHEN coalesce(cursor, 0) < 3 THEN cano.more(to_jsonb(coalesce(cursor, 0) + 1)) ELSE cano.next() END $$;
CREATE FUNCTION t_split.pends() RETURNS cano.outcome LANGUAGE sql AS $$
	SELECT CASE WHEN nextval('t_split.calls') >= 2 THEN cano.next() ELSE cano.pending('0') END $$;
SELECT cano.define('t_split.chain', cano.router('Route', 't_split.route', targets => ARRAY['Wait']),
	cano.poll('Wait', 't_split.pends', next => 'Crunch'),
	cano.batch('Crunch', load => 't_split.numbers', process => 't_split.square', finish => 't_split.sum', concurrency => 4, next => 'Grind'),
	cano.stepped('Grind', 't_split.grind', next => 'Done'), cano.exit('Done')) AS v \gset
SELECT setval('t_split.calls', 1, false) AS n \gset
SELECT cano.submit('t_split.chain') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'cross_model_chain_router_poll_batch_stepped_interop: succeeds');
SELECT is(cano.result(:run) -> 'sum', '14', 'cross_model_chain_router_poll_batch_stepped_interop: the squares add up');
SELECT is((SELECT string_agg(state, ' ' ORDER BY sequence) FROM cano.checkpoints WHERE run_id = :run AND kind = 'state_entry'),
	'Wait Crunch Grind Done', 'cross_model_chain_router_poll_batch_stepped_interop: entry rows, none for the router');
SELECT is((SELECT string_agg(state, ' ') FROM cano.checkpoints WHERE run_id = :run AND kind = 'step_cursor'), 'Grind Grind Grind',
	'cross_model_chain_router_poll_batch_stepped_interop: cursor rows');
SELECT is((SELECT array_agg(sequence ORDER BY sequence) FROM cano.checkpoints WHERE run_id = :run), '{0,1,2,3,4,5,6}'::bigint[],
	'cross_model_chain_router_poll_batch_stepped_interop: all sequences dense');

SELECT is((SELECT count(*) FROM cano._job) + (SELECT count(*) FROM cano._timer), 0::bigint, 'nothing is left to do');
SELECT * FROM finish();
DROP SCHEMA t_split CASCADE;
