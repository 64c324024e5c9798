-- Polls: a function asked again until it is ready.
\ir lib/start.psql
SELECT plan(74);

CREATE SCHEMA t_poll;
-- Counts the asks, also those that are rolled back.
CREATE SEQUENCE t_poll.asks;
CREATE TABLE t_poll.effect (run bigint, ask bigint, attempt int, key text, at timestamptz DEFAULT clock_timestamp());
CREATE TABLE t_poll.once (n int UNIQUE DEFERRABLE INITIALLY DEFERRED);
-- Answers its n-th ask with the n-th word of its script.
CREATE FUNCTION t_poll.ask(run_id bigint, attempt int, idempotency_key text, script jsonb) RETURNS cano.outcome
LANGUAGE plpgsql AS $$
DECLARE
	v_ask bigint := nextval('t_poll.asks');
	v_word text := script ->> (v_ask - 1)::int;
BEGIN
	INSERT INTO t_poll.effect VALUES (run_id, v_ask, attempt, idempotency_key);
	CASE v_word
		WHEN 'pending' THEN RETURN cano.pending();
		WHEN 'now' THEN RETURN cano.pending('0');
		WHEN 'ready' THEN RETURN cano.next(output => jsonb_build_object('ready', v_ask));
		WHEN 'other' THEN RETURN cano.next('other');
		WHEN 'again' THEN RETURN cano.next('ask');
		WHEN 'outside' THEN RETURN cano.next('outside');
		WHEN 'null' THEN RETURN NULL;
		WHEN 'more' THEN RETURN cano.more('1');
		WHEN 'failed' THEN RETURN cano.failed('declined');
		WHEN 'cancelled' THEN RETURN cano.cancelled('called off');
		WHEN 'error' THEN RAISE EXCEPTION 'error %', v_ask;
		WHEN 'fatal' THEN RAISE EXCEPTION 'fatal %', v_ask USING ERRCODE = 'CN900';
		WHEN 'panic' THEN RAISE EXCEPTION 'panics %', v_ask USING ERRCODE = 'XX000';
		WHEN 'deferred' THEN
			INSERT INTO t_poll.once VALUES (1), (1);
			RETURN cano.pending('0');
		WHEN 'hangs' THEN
			PERFORM pg_sleep(30); -- lasts: until interrupted
		WHEN 'naps' THEN
			PERFORM pg_sleep(0.5); -- lasts: a part of the limit
			RETURN cano.pending('0');
		ELSE
			RETURN cano.pending(v_word::interval);
	END CASE;
END $$;
CREATE FUNCTION t_poll.rest() RETURNS void LANGUAGE plpgsql AS 'BEGIN END';

-- A run of a poll with these settings and this script.
CREATE FUNCTION t_poll.start(name text, script text, max_errors int DEFAULT NULL, timeout interval DEFAULT NULL,
	retry jsonb DEFAULT NULL, max_attempts int DEFAULT NULL) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM setval('t_poll.asks', 1, false);
	PERFORM cano.define('t_poll.' || name, cano.poll('ask', 't_poll.ask', next => 'end', targets => ARRAY['other', 'ask'],
		max_errors => coalesce(max_errors, 0), timeout => timeout, retry => coalesce(retry, cano.none())),
		cano.task('other', 't_poll.rest', next => 'outside'), cano.task('outside', 't_poll.rest', next => 'end'), cano.exit('end'));
	RETURN cano.submit('t_poll.' || name, jsonb_build_object('script', string_to_array(script, ',')), max_attempts => max_attempts);
END $$;
CREATE FUNCTION pg_temp.asks() RETURNS bigint LANGUAGE sql AS $$SELECT pg_temp.calls('t_poll.asks')$$;
CREATE FUNCTION pg_temp.waits_for(run bigint) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', r.status, r.waiting_for, r.state) FROM cano.runs AS r WHERE r.run_id = $1 $$;
-- Which attempts failed, in order.
CREATE FUNCTION pg_temp.failed(run bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(a.attempt || ' ' || a.message, ', ' ORDER BY a.started_at, a.message) FROM cano.attempts AS a WHERE a.run_id = $1 $$;

-- not ready
SELECT t_poll.start('flow', 'pending,1 h,ready') AS run \gset
SELECT cano.define('t_poll.beside', cano.task('a', 't_poll.rest', next => 'end'), cano.exit('end')) AS v \gset
CALL cano.work();
SELECT is(pg_temp.waits_for(:run), 'waiting poll ask', 'a poll that is not ready waits as a poll, in its state');
SELECT ok((SELECT r.next_at - e.at BETWEEN '1 s' AND '2 s' FROM cano.runs AS r, t_poll.effect AS e
	WHERE r.run_id = :run AND e.run = :run), 'for a second by default');
SELECT ok((SELECT next_at = (SELECT next_at FROM cano.runs WHERE run_id = :run) AND waiting_for = 'poll' FROM cano.status(:run)),
	'cano.status says the same');
SELECT is((SELECT count(*) FROM cano.activity) + (SELECT count(*) FROM cano._job), 0::bigint, 'no worker is held meanwhile');
SELECT cano.submit('t_poll.beside') AS beside \gset
CALL cano.work();
SELECT is(pg_temp.status(:beside) || ' ' || pg_temp.asks(), 'completed 1', 'others run, and nobody asks before the time');
SELECT is((SELECT count(*) FROM t_poll.effect WHERE run = :run), 1::bigint, 'what an ask did is kept, ready or not');
SELECT pg_temp.later('2 s') AS x \gset
CALL cano.work();
SELECT is(pg_temp.asks(), 2::bigint, 'then it is asked again');
SELECT ok((SELECT r.next_at - e.at BETWEEN '1 h' AND '1 h 10 s' FROM cano.runs AS r, t_poll.effect AS e
	WHERE r.run_id = :run AND e.run = :run AND e.ask = 2), 'pending(delay) says when');
SELECT pg_temp.later('59 min') AS x \gset
CALL cano.work();
SELECT is(pg_temp.asks(), 2::bigint, 'not a moment earlier');
SELECT pg_temp.later('2 min') AS x \gset
CALL cano.work();
SELECT is(cano.result(:run) -> 'ready', '3', 'when it is ready the run goes on, with its output');
SELECT is(pg_temp.rows(:run) || ' of ' || (SELECT count(*) FROM cano.checkpoints WHERE run_id = :run), '0 ask, 1 end of 2',
	'asking leaves no rows in the log');
SELECT is((SELECT count(*) FROM cano.attempts WHERE run_id = :run), 0::bigint, 'nor failed attempts');
SELECT is((SELECT array_agg(DISTINCT attempt) FROM t_poll.effect WHERE run = :run), ARRAY[1], 'all asks are one attempt');
SELECT is((SELECT count(DISTINCT key) FROM t_poll.effect WHERE run = :run), 1::bigint, 'with one idempotency key');

-- at once, and as often as it takes
SELECT t_poll.start('flow', repeat('now,', 300) || 'ready') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run) || ' ' || pg_temp.asks(), 'completed 301', 'pending(0) asks again at once, however often');
SELECT t_poll.start('flow', '-1 h,ready') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'and so does a delay of less than nothing');

-- what it may return
CREATE TABLE t_poll.answer (answer boolean);
INSERT INTO t_poll.answer VALUES (NULL);
CREATE FUNCTION t_poll.boolean() RETURNS boolean LANGUAGE sql AS 'SELECT answer FROM t_poll.answer';
SELECT cano.define('t_poll.boolean', cano.poll('ask', 't_poll.boolean', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_poll.boolean') AS run \gset
CALL cano.work();
SELECT is(pg_temp.waits_for(:run), 'waiting poll ask', 'null is not ready');
UPDATE t_poll.answer SET answer = false;
SELECT next_at AS before FROM cano.runs WHERE run_id = :run \gset
SELECT pg_temp.later('2 s') AS x \gset
CALL cano.work();
SELECT is(pg_temp.waits_for(:run), 'waiting poll ask', 'false is not ready');
SELECT ok((SELECT next_at - :'before' BETWEEN '1 s' AND '10 s' FROM cano.runs WHERE run_id = :run),
	'it is asked again a second later');
UPDATE t_poll.answer SET answer = true;
SELECT pg_temp.later('2 s') AS x \gset
CALL cano.work();
SELECT is(pg_temp.status(:run) || cano.result(:run), 'completed{}', 'true is ready, and no output');
SELECT t_poll.start('flow', 'now,null') AS run \gset
CALL cano.work();
SELECT is(pg_temp.rows(:run) || ' ' || pg_temp.asks(), '0 ask, 1 end 2', 'a null outcome equals next(): ready');
SELECT t_poll.start('flow', 'now,other') AS run \gset
CALL cano.work();
SELECT is(pg_temp.rows(:run), '0 ask, 1 other, 2 outside, 3 end', 'it may choose one of its targets');
SELECT t_poll.start('flow', 'now,again,now,ready') AS run \gset
CALL cano.work();
SELECT is(pg_temp.rows(:run), '0 ask, 1 ask, 2 end', 'going to itself is another visit');
SELECT is((SELECT count(DISTINCT key) FROM t_poll.effect WHERE run = :run), 2::bigint, 'with another key');
SELECT t_poll.start('flow', 'now,outside', 9) AS run \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category') || ' ' || pg_temp.asks(), 'workflow 2', 'but no state outside them');
SELECT t_poll.start('flow', 'now,more', 9) AS run \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category') || ' ' || pg_temp.asks(), 'workflow 2', 'more() is nothing that a poll knows');
SELECT is((SELECT array_agg(ask) FROM t_poll.effect WHERE run = :run), ARRAY[1::bigint], 'that ask is undone');
SELECT t_poll.start('flow', 'now,failed', 9, retry => cano.fixed(3, '0')) AS run \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category') || ': ' || pg_temp.error(:run, 'message'), 'task_execution: declined',
	'failed() fails the run');
SELECT is((SELECT count(*) FROM cano.dead_letters WHERE run_id = :run) || ' ' || (SELECT count(*) FROM t_poll.effect WHERE run = :run),
	'0 2', 'which is no dead letter, and keeps what it did');
SELECT t_poll.start('flow', 'now,cancelled', 9) AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'cancelled', 'cancelled() cancels it');

-- errors
SELECT t_poll.start('flow', 'now,error,ready') AS run \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category') || ': ' || pg_temp.error(:run, 'message'), 'task_execution: error 2',
	'by default the first error fails the run, as it is');
SELECT is(pg_temp.failed(:run), '1 error 2', 'and is on record');
SELECT is((SELECT count(*) FROM cano.dead_letters WHERE run_id = :run), 1::bigint, 'as a dead letter');

SELECT t_poll.start('two', 'error,error,ready', 2) AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run) || ' ' || pg_temp.asks(), 'completed 3', 'max_errors => 2 looks over two errors, asking again at once');
SELECT is(pg_temp.failed(:run), '1 error 1, 1 error 2', 'they are visible as failed attempts, of the same attempt');
SELECT is((SELECT array_agg(ask) FROM t_poll.effect WHERE run = :run), ARRAY[3::bigint], 'what they did is rolled back');
SELECT t_poll.start('two', 'error,error,error,ready', 2) AS run \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category') || ': ' || pg_temp.error(:run, 'message') || ' ' || pg_temp.asks(),
	'task_execution: error 3 3', 'but not three, and that error is the run''s, as it is');
SELECT is(pg_temp.failed(:run), '1 error 1, 1 error 2, 1 error 3', 'all three are on record');
SELECT t_poll.start('two', 'error,error,now,error,error,pending,error,error,ready', 2) AS run \gset
CALL cano.work();
SELECT is(pg_temp.waits_for(:run) || ' ' || pg_temp.asks(), 'waiting poll ask 6', 'an answer begins the count anew');
SELECT pg_temp.later('2 s') AS x \gset
CALL cano.work();
SELECT is(pg_temp.status(:run) || ' ' || pg_temp.asks(), 'completed 9', 'also one that it waited after');
SELECT t_poll.start('two', 'error,error,pending,error,error,error,ready', 2) AS run \gset
CALL cano.work();
SELECT pg_temp.later('2 s') AS x \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'message') || ' ' || pg_temp.asks(), 'error 6 6', 'from nought, not from less');
-- one transaction each
SELECT t_poll.start('two', 'error,error,error,ready', 2) AS run \gset
CALL cano.work(max_steps => 1);
SELECT is(pg_temp.waits_for(:run) || ' ' || pg_temp.asks(), 'queued ask 1', 'after an error the poll is due at once');
CALL cano.work(max_steps => 1);
CALL cano.work(max_steps => 1);
SELECT is(pg_temp.error(:run, 'message') || ' ' || pg_temp.asks(), 'error 3 3', 'errors are counted from transaction to transaction');

SELECT t_poll.start('many', 'now,fatal,ready', 9, retry => cano.fixed(3, '0')) AS run1 \gset
CALL cano.work();
SELECT is(pg_temp.error(:run1, 'category') || ' ' || pg_temp.asks(), 'permanent 2', 'CN900 is permanent, whatever max_errors says');
SELECT t_poll.start('many', 'now,panic,ready', 9, retry => cano.fixed(3, '0')) AS run2 \gset
CALL cano.work();
SELECT is(pg_temp.error(:run2, 'message') || ' ' || pg_temp.asks(), 'panic: panics 2 2', 'a panic is never retried');
CREATE FUNCTION t_poll.wants(missing int) RETURNS boolean LANGUAGE sql AS 'SELECT true';
SELECT cano.define('t_poll.missing', cano.poll('ask', 't_poll.wants', next => 'end', max_errors => 9), cano.exit('end')) AS v \gset
SELECT cano.submit('t_poll.missing') AS run3 \gset
CALL cano.work();
SELECT is(pg_temp.error(:run3, 'category') || ' ' || (SELECT count(*) FROM cano.attempts WHERE run_id = :run3), 'missing_argument 1',
	'nor is a missing argument');
SELECT is((SELECT count(*) FROM cano.dead_letters WHERE run_id IN (:run1, :run2, :run3)), 3::bigint, 'they are dead letters');

-- an ask that fails at the commit
SELECT t_poll.start('one', 'now,deferred,ready,ready,ready', 1) AS run1 \gset
CALL cano.work();
SELECT is(pg_temp.status(:run1) || ' ' || (SELECT string_agg(attempt || ' ' || sqlstate, ', ') FROM cano.attempts WHERE run_id = :run1),
	'completed 1 23505', 'an error at the commit is an error like any other: looked over');

-- the outer retry
SELECT t_poll.start('retry', 'error,error,error,error,ready', 1, retry => cano.fixed(1, '10 s')) AS run \gset
CALL cano.work();
SELECT is(pg_temp.waits_for(:run) || ' ' || pg_temp.asks(), 'waiting retry ask 2', 'past the budget the attempt has failed: it is retried');
SELECT pg_temp.later('9 s') AS x \gset
CALL cano.work();
SELECT is(pg_temp.asks(), 2::bigint, 'after the delay of its policy');
SELECT pg_temp.later('2 s') AS x \gset
CALL cano.work();
SELECT is(pg_temp.failed(:run), '1 error 1, 1 error 2, 2 error 3, 2 error 4', 'the next attempt has the whole budget');
SELECT is(pg_temp.error(:run, 'category'), 'retry_exhausted', 'and after the last the retries are exhausted');
SELECT matches(pg_temp.error(:run, 'message'), 'after 2 attempts.*error 4', 'with its last error');
SELECT t_poll.start('retry', 'error,error,pending,error,ready', 1, retry => cano.fixed(1, '0')) AS run \gset
CALL cano.work();
SELECT is(pg_temp.waits_for(:run) || ' ' || (SELECT attempt FROM cano.status(:run)), 'waiting poll ask 2',
	'the second attempt polls like the first');
SELECT pg_temp.later('2 s') AS x \gset
CALL cano.work();
SELECT is(pg_temp.status(:run) || ' ' || (SELECT array_agg(attempt ORDER BY ask)::text FROM t_poll.effect WHERE run = :run),
	'completed {2,2}', 'asked again it is the second attempt still');
SELECT t_poll.start('flow', 'error,error,error,ready', max_attempts => 2) AS run \gset
CALL cano.work();
SELECT pg_temp.later('1 s') AS x \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category') || ' ' || pg_temp.asks(), 'retry_exhausted 2',
	'submit(max_attempts) gives attempts to a poll that has no retries');
SELECT t_poll.start('retry', 'error,error,ready', 1, retry => cano.fixed(1, '0'), max_attempts => 1) AS run \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category') || ' ' || pg_temp.asks(), 'task_execution 2', 'and takes them from one that has');

-- the time limit is one of all asks of an attempt
SELECT t_poll.start('timed', '4 s,4 s,4 s,ready', 9, timeout => '10 s') AS run \gset
CALL cano.work();
SELECT pg_temp.later('5 s') AS x \gset
CALL cano.work();
SELECT is(pg_temp.waits_for(:run) || ' ' || pg_temp.asks(), 'waiting poll ask 2', 'within the limit it is asked');
SELECT pg_temp.later('4500 ms') AS x \gset
CALL cano.work();
SELECT pg_temp.later('4 s') AS x \gset
CALL cano.work();
SELECT is(pg_temp.status(:run) || ' ' || pg_temp.error(:run, 'category') || ' ' || pg_temp.asks(), 'failed timeout 3',
	'when all asks together have taken too long the attempt has timed out, and is not looked over');
SELECT is((SELECT count(*) FROM t_poll.effect WHERE run = :run), 3::bigint, 'what earlier asks did is kept');
SELECT is((SELECT count(*) FROM cano.attempts WHERE run_id = :run) || ' ' || (SELECT count(*) FROM cano.dead_letters WHERE run_id = :run),
	'1 1', 'it is one failed attempt, and a dead letter');

SELECT t_poll.start('timed', '1 h,ready', timeout => '10 s') AS run \gset
CALL cano.work();
SELECT pg_temp.later('11 s') AS x \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category') || ' ' || pg_temp.asks(), 'timeout 1', 'a delay that is longer than the limit does not outlast it');

SELECT t_poll.start('timed', '8 s,8 s,8 s,ready', timeout => '10 s', retry => cano.fixed(1, '1 h')) AS run \gset
CALL cano.work();
SELECT pg_temp.later('11 s') AS x \gset
CALL cano.work();
SELECT is(pg_temp.waits_for(:run), 'waiting retry ask', 'a poll out of time is retried like any other');
SELECT pg_temp.later('61 min') AS x \gset
CALL cano.work();
SELECT is(pg_temp.waits_for(:run) || ' ' || pg_temp.asks(), 'waiting poll ask 2', 'the wait before a retry takes nothing from the limit');
SELECT pg_temp.later('11 s') AS x \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category') || ' ' || pg_temp.asks(), 'retry_exhausted 2', 'the next attempt has the whole limit, and no more');

SELECT t_poll.start('timed', '8 s,again,8 s,ready', timeout => '10 s') AS run \gset
CALL cano.work();
SELECT pg_temp.later('9 s') AS x \gset
CALL cano.work();
SELECT is(pg_temp.waits_for(:run) || ' ' || pg_temp.asks(), 'waiting poll ask 3', 'another visit has the whole limit');
SELECT pg_temp.later('9 s') AS x \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'and ends in time');

SELECT t_poll.start('brief', 'hangs', 9, timeout => '100 ms') AS run \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category') || ' ' || pg_temp.asks(), 'timeout 1', 'an ask that takes too long is interrupted');
SELECT t_poll.start('second', 'naps,hangs', 9, timeout => '1 s') AS run \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category'), 'timeout', 'also a later one');
SELECT ok((SELECT ended_at - started_at < '900 ms' FROM cano.attempts WHERE run_id = :run), 'which has only what the earlier ones left');
SELECT t_poll.start('second', 'error,naps,hangs', 9, timeout => '1 s') AS run \gset
CALL cano.work();
SELECT ok((SELECT max(ended_at) - min(started_at) < '1400 ms' FROM cano.attempts WHERE run_id = :run),
	'errors that are looked over do not begin it anew');

-- a crash
SELECT t_poll.start('flow', 'now,now,pending,now,now,now,ready,ready,ready,ready') AS run \gset
\set ON_ERROR_STOP 0
SET cano.debug_stop = 'batch-before-commit:error:1';
CALL cano.work();
RESET cano.debug_stop;
\set ON_ERROR_STOP 1
SELECT is(pg_temp.waits_for(:run) || ' ' || (SELECT count(*) FROM t_poll.effect WHERE run = :run), 'queued ask 0',
	'after a crash the poll is due where it was');
ALTER SEQUENCE t_poll.asks RESTART WITH 1;
CALL cano.work();
SELECT pg_temp.later('2 s') AS x \gset
CALL cano.work();
SELECT is((SELECT array_agg(ask ORDER BY ask) FROM t_poll.effect WHERE run = :run), ARRAY[1, 2, 3, 4, 5, 6, 7]::bigint[],
	'and every ask that counts is there once');

SELECT is((SELECT count(*) FROM cano._job) + (SELECT count(*) FROM cano._timer), 0::bigint, 'nothing is left to do');
SELECT * FROM finish();
DROP SCHEMA t_poll CASCADE;
