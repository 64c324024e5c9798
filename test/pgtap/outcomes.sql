-- What the outcomes that a task returns do.
\ir lib/start.psql
SELECT plan(41);

CREATE SCHEMA t_outcome;
CREATE TABLE t_outcome.effect (run bigint, what text);
-- A task that leaves an effect and then returns the outcome that the input
-- describes.
CREATE FUNCTION t_outcome.act(run_id bigint, go text DEFAULT NULL, output_is jsonb DEFAULT NULL, delay interval DEFAULT NULL,
	say text DEFAULT 'next')
RETURNS cano.outcome LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t_outcome.effect VALUES (run_id, say);
	RETURN CASE say
		WHEN 'next' THEN cano.next(go, output_is, delay)
		WHEN 'more' THEN cano.more('1')
		WHEN 'pending' THEN cano.pending()
		WHEN 'failed' THEN cano.failed('we declined', '{"why": "too old"}')
		WHEN 'cancelled' THEN cano.cancelled('not wanted')
	END;
END $$;
CREATE FUNCTION t_outcome.rest() RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
SELECT cano.define('t_outcome.flow',
	cano.task('act', 't_outcome.act', next => 'done', targets => ARRAY['other', 'act'], retry => cano.fixed(3, '0')),
	cano.task('other', 't_outcome.rest', next => 'outside'),
	cano.task('outside', 't_outcome.rest', next => 'done'),
	cano.exit('done')) AS v \gset
CREATE FUNCTION pg_temp.effects(run bigint) RETURNS bigint
LANGUAGE sql AS 'SELECT count(*) FROM t_outcome.effect AS e WHERE e.run = $1';

-- next
SELECT cano.submit('t_outcome.flow') AS run \gset
CALL cano.work();
SELECT is(pg_temp.rows(:run), '0 act, 1 done', 'next() goes to the default');
SELECT cano.submit('t_outcome.flow', '{"go": "other", "x": 1}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.rows(:run), '0 act, 1 other, 2 outside, 3 done', 'next(state) goes there');
SELECT is(cano.result(:run), '{"go": "other", "x": 1}'::jsonb, 'without an output the data stay as they are');
SELECT cano.submit('t_outcome.flow', '{"go": "done", "output_is": {"x": 2}}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.rows(:run), '0 act, 1 done', 'the default counts as one of the targets');
SELECT is(cano.result(:run) -> 'x', '2', 'an object as output is merged');
SELECT cano.submit('t_outcome.flow', '{"output_is": [1]}') AS run \gset
CALL cano.work();
SELECT is(cano.result(:run) -> 'act', '[1]', 'any other output goes under the state''s name');

-- a loop that ends itself
CREATE FUNCTION t_outcome.count(n int DEFAULT 0) RETURNS cano.outcome LANGUAGE sql
AS $$SELECT cano.next(CASE WHEN n < 5 THEN 'loop' END, jsonb_build_object('n', n + 1))$$;
SELECT cano.define('t_outcome.loop', cano.task('loop', 't_outcome.count', next => 'done', targets => ARRAY['loop']),
	cano.exit('done')) AS v \gset
SELECT cano.submit('t_outcome.loop') AS run \gset
CALL cano.work();
SELECT is(cano.result(:run), '{"n": 6}'::jsonb, 'a state may be its own target');
SELECT is((SELECT count(*) FROM cano.checkpoints WHERE run_id = :run), 7::bigint, 'every visit has its row');

-- delay
SELECT cano.submit('t_outcome.flow', '{"go": "other", "delay": "1 hour"}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'waiting', 'next(delay) makes the run wait');
SELECT is((SELECT waiting_for FROM cano.runs WHERE run_id = :run), 'timer', 'as a timer');
SELECT is(pg_temp.state(:run), 'other', 'in the state it goes to');
SELECT is(pg_temp.rows(:run), '0 act, 1 other', 'whose row is there');
SELECT ok((SELECT next_at BETWEEN now() + interval '59 min' AND now() + interval '61 min' FROM cano.runs
	WHERE run_id = :run), 'until then');
SELECT pg_temp.later('59 minutes 50 seconds') AS x \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'waiting', 'not a moment earlier');
SELECT pg_temp.later('11 seconds') AS x \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'and goes on when the time has come');

-- a null outcome
CREATE FUNCTION t_outcome.nothing() RETURNS cano.outcome LANGUAGE sql AS 'SELECT NULL::cano.outcome';
SELECT cano.define('t_outcome.null', cano.task('a', 't_outcome.nothing', next => 'done'), cano.exit('done')) AS v \gset
SELECT cano.submit('t_outcome.null') AS run \gset
CALL cano.work();
SELECT is(pg_temp.rows(:run), '0 a, 1 done', 'a null outcome equals next()');

-- what is not allowed
SELECT cano.submit('t_outcome.flow', '{"go": "nowhere"}') AS run1 \gset
SELECT cano.submit('t_outcome.flow', '{"go": "outside"}') AS run2 \gset
SELECT cano.submit('t_outcome.flow', '{"say": "more"}') AS run3 \gset
SELECT cano.submit('t_outcome.flow', '{"say": "pending"}') AS run4 \gset
CALL cano.work();
SELECT unnest(ARRAY[
	is(pg_temp.status(run) || ' ' || pg_temp.error(run, 'category'), 'failed workflow', what || ' fails the run'),
	is(pg_temp.effects(run), 0::bigint, what || ' rolls the whole attempt back'),
	matches(pg_temp.error(run, 'message'), word, what || ' is what the message speaks of'),
	is(pg_temp.error(run, 'state'), 'act', what || ' is an error of the state that it came from')])
FROM (VALUES (:run1, 'a state that does not exist', 'nowhere'), (:run2, 'a state outside the targets', 'outside'),
	(:run3, 'more from a task', 'outcome'), (:run4, 'pending from a task', 'outcome')) AS v (run, what, word);

-- verdicts
SELECT cano.submit('t_outcome.flow', '{"say": "failed"}') AS run1 \gset
SELECT cano.submit('t_outcome.flow', '{"say": "cancelled"}') AS run2 \gset
CALL cano.work();
SELECT is(pg_temp.status(:run1), 'failed', 'failed() fails the run');
SELECT is(pg_temp.error(:run1, 'category') || ': ' || pg_temp.error(:run1, 'message'), 'task_execution: we declined',
	'with its reason');
SELECT matches(pg_temp.error(:run1, 'detail'), 'too old', 'and its detail');
SELECT is(pg_temp.effects(:run1), 1::bigint, 'what the task did is kept, and it is not tried again');
SELECT is((SELECT count(*) FROM cano.dead_letters WHERE run_id = :run1), 0::bigint, 'a verdict is no dead letter');
SELECT is(pg_temp.status(:run2), 'cancelled', 'cancelled() cancels the run');
SELECT is(pg_temp.error(:run2, 'category') || ': ' || pg_temp.error(:run2, 'message'), 'cancelled: not wanted',
	'with its reason as the error');
SELECT is((SELECT cancel_reason FROM cano.runs WHERE run_id = :run2), 'not wanted', 'and as the reason of the run');
SELECT is(pg_temp.effects(:run2), 1::bigint, 'what the task did is kept here, too');

SELECT * FROM finish();
DROP SCHEMA t_outcome CASCADE;
