-- Stepped states: a function called again and again with the cursor that it
-- returned.
\ir lib/start.psql
SET statement_timeout = '30s';	-- a lost cursor would be an endless loop
SELECT plan(78);

CREATE SCHEMA t_step;
CREATE TABLE t_step.effect (run bigint, n int, attempt int, key text, xid xid8 DEFAULT pg_current_xact_id());
-- Counts its cursor up to "target"; the first "failures" attempts of every
-- step from cursor "bad" on fail.
CREATE FUNCTION t_step.count(run_id bigint, cursor int, attempt int, idempotency_key text, target int DEFAULT 3,
	bad int DEFAULT 1000000, failures int DEFAULT 0, code text DEFAULT 'P0001', pause interval DEFAULT NULL)
RETURNS cano.outcome LANGUAGE plpgsql AS $$
DECLARE
	v_next int := coalesce(cursor, 0) + 1;
BEGIN
	INSERT INTO t_step.effect VALUES (run_id, coalesce(cursor, 0), attempt, idempotency_key);
	IF coalesce(cursor, 0) >= bad AND attempt <= failures THEN
		RAISE EXCEPTION 'cursor % attempt % key %', cursor, attempt, idempotency_key USING ERRCODE = code;
	END IF;
	IF v_next >= target THEN
		RETURN cano.next();
	END IF;
	RETURN cano.more(to_jsonb(v_next), delay => pause);
END $$;
CREATE FUNCTION t_step.rest() RETURNS void LANGUAGE plpgsql AS 'BEGIN END';

-- The log of a run: sequence, kind, state and cursor of each row.
CREATE FUNCTION pg_temp.log(run bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(' ', c.sequence, CASE c.kind WHEN 'state_entry' THEN c.state ELSE c.kind END, c.output), ', '
		ORDER BY c.sequence) FROM cano.checkpoints AS c WHERE c.run_id = $1 $$;
CREATE FUNCTION pg_temp.effects(run bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(e.n || '/' || e.attempt, ' ' ORDER BY e.n, e.attempt) FROM t_step.effect AS e WHERE e.run = $1 $$;
CREATE FUNCTION pg_temp.waits_for(run bigint) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', r.status, r.waiting_for, r.state) FROM cano.runs AS r WHERE r.run_id = $1 $$;

-- the loop
SELECT cano.define('t_step.flow', cano.stepped('loop', 't_step.count', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_step.flow') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'more() calls again, until the function goes on');
SELECT is(pg_temp.effects(:run), '0/1 1/1 2/1', 'each step once, each with the cursor of the step before');
SELECT is(pg_temp.log(:run), '0 loop, 1 step_cursor 1, 2 step_cursor 2, 3 end',
	'every more() leaves a cursor row, going on leaves none');
SELECT is((SELECT array_agg(DISTINCT state || ' ' || task) FROM cano.checkpoints WHERE run_id = :run AND kind = 'step_cursor'),
	ARRAY['loop t_step.count'], 'a cursor row names the state and the function');
SELECT is(cano.result(:run), '{}'::jsonb, 'cursors are no part of the data');
SELECT is((SELECT cleared FROM cano.runs WHERE run_id = :run), true, 'the log is cleared, and readable still');

-- from transaction to transaction
SELECT cano.submit('t_step.flow', '{"target": 5}') AS run \gset
CALL cano.work(max_steps => 2);
SELECT is(pg_temp.waits_for(:run) || ': ' || pg_temp.log(:run), 'queued loop: 0 loop, 1 step_cursor 1, 2 step_cursor 2',
	'after two steps two cursors are durable, and the next step is due');
CALL cano.work(max_steps => 1);
SELECT is(pg_temp.effects(:run), '0/1 1/1 2/1', 'a later transaction goes on from there');
CALL cano.work();
SELECT is(pg_temp.effects(:run), '0/1 1/1 2/1 3/1 4/1', 'to the end');

-- a delay
SELECT cano.submit('t_step.flow', '{"pause": "10 s"}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.waits_for(:run), 'waiting timer loop', 'more(delay) waits as a timer, in the state');
SELECT is(pg_temp.log(:run), '0 loop, 1 step_cursor 1', 'with its cursor row written');
SELECT is((SELECT round(EXTRACT(epoch FROM r.next_at - c.recorded_at)) FROM cano.runs AS r JOIN cano.checkpoints AS c USING (run_id)
	WHERE r.run_id = :run AND c.sequence = 1), 10::numeric, 'as long as it said');
SELECT pg_temp.later('9 s') AS x \gset
CALL cano.work();
SELECT is(pg_temp.effects(:run), '0/1', 'not a moment less');
SELECT pg_temp.later('2 s') AS x \gset
CALL cano.work();
SELECT is(pg_temp.effects(:run) || ', ' || pg_temp.waits_for(:run), '0/1 1/1, waiting timer loop',
	'the next step has the cursor, and may wait again');
SELECT pg_temp.later('11 s') AS x \gset
CALL cano.work();
SELECT is(pg_temp.log(:run), '0 loop, 1 step_cursor 1, 2 step_cursor 2, 3 end', 'to the end');

-- a step that fails and is tried again
SELECT cano.define('t_step.retry', cano.stepped('loop', 't_step.count', next => 'end', retry => cano.fixed(2, '10 s')),
	cano.exit('end')) AS v \gset
SELECT cano.submit('t_step.retry', '{"target": 3, "bad": 2, "failures": 2}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.waits_for(:run), 'waiting retry loop', 'a failed step waits for its retry');
SELECT is(pg_temp.log(:run), '0 loop, 1 step_cursor 1, 2 step_cursor 2', 'the cursors of the steps before are kept');
SELECT is(pg_temp.effects(:run), '0/1 1/1', 'so are their effects; its own are gone');
SELECT pg_temp.later('11 s') AS x \gset
CALL cano.work();
SELECT is(pg_temp.waits_for(:run) || ' ' || (SELECT attempt FROM cano.status(:run)), 'waiting retry loop 3', 'and again');
SELECT pg_temp.later('11 s') AS x \gset
CALL cano.work();
SELECT is((SELECT array_agg(split_part(message, ' key', 1) ORDER BY attempt) FROM cano.attempts WHERE run_id = :run),
	ARRAY['cursor 2 attempt 1', 'cursor 2 attempt 2'], 'every attempt of a step has the same cursor');
SELECT is(pg_temp.log(:run), '0 loop, 1 step_cursor 1, 2 step_cursor 2, 3 end',
	'attempts leave no rows in the log');
-- attempts are counted afresh at each step
SELECT cano.define('t_step.afresh', cano.stepped('loop', 't_step.count', next => 'end', retry => cano.fixed(1, '0')),
	cano.exit('end')) AS v \gset
SELECT cano.submit('t_step.afresh', '{"target": 5, "bad": 0, "failures": 1}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'five steps that each fail once do not exhaust one retry');
SELECT is(pg_temp.effects(:run), '0/2 1/2 2/2 3/2 4/2', 'each step begins at its first attempt');
SELECT is((SELECT array_agg(attempt) FROM cano.attempts WHERE run_id = :run), ARRAY[1, 1, 1, 1, 1],
	'and each failure is on record as such');

-- the idempotency key
SELECT is((SELECT count(DISTINCT key) FROM t_step.effect WHERE run = :run), 5::bigint,
	'every step has an idempotency key of its own');
SELECT is((SELECT array_agg(split_part(message, 'key ', 2) ORDER BY split_part(message, 'key ', 2)) FROM cano.attempts WHERE run_id = :run),
	(SELECT array_agg(key ORDER BY key) FROM t_step.effect WHERE run = :run), 'which its attempts share');

-- used up
SELECT cano.submit('t_step.afresh', '{"target": 5, "bad": 3, "failures": 9}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category'), 'retry_exhausted', 'a step that goes on failing fails the run');
SELECT matches(pg_temp.error(:run, 'message'), 'after 2 attempts.*cursor 3 attempt 2', 'with that step''s attempts and error');
SELECT is(pg_temp.error(:run, 'state') || ' ' || pg_temp.error(:run, 'task') || ' ' || pg_temp.error(:run, 'attempts'),
	'loop t_step.count 2', 'its state, task and attempts');
SELECT is(pg_temp.effects(:run), '0/1 1/1 2/1', 'the effects of the steps before are kept');
SELECT is(pg_temp.log(:run), '0 loop, 1 step_cursor 1, 2 step_cursor 2, 3 step_cursor 3', 'and so are their cursors');
SELECT is((SELECT cleared FROM cano.runs WHERE run_id = :run), false, 'the log is not cleared');
SELECT is((SELECT count(*) FROM cano.dead_letters WHERE run_id = :run), 1::bigint, 'the run is a dead letter');
SELECT cano.submit('t_step.afresh', '{"target": 5, "bad": 3, "failures": 9, "code": "CN900"}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category') || ' ' || pg_temp.error(:run, 'attempts'), 'permanent 1', 'CN900 is not retried');
SELECT cano.submit('t_step.afresh', '{"target": 5, "bad": 3, "failures": 9}', max_attempts => 1) AS run1 \gset
SELECT cano.submit('t_step.afresh', '{"target": 5, "bad": 3, "failures": 3}', max_attempts => 4) AS run2 \gset
CALL cano.work();
SELECT is(pg_temp.error(:run1, 'category') || ' ' || pg_temp.effects(:run1), 'task_execution 0/1 1/1 2/1',
	'submit(max_attempts) overrides the state''s retries');
SELECT is(pg_temp.status(:run2) || ' ' || pg_temp.effects(:run2), 'completed 0/1 1/1 2/1 3/4 4/4', 'upwards, too');

-- a step breaks a deferred constraint: it alone pays
CREATE TABLE t_step.once (run bigint, UNIQUE (run) DEFERRABLE INITIALLY DEFERRED);
CREATE FUNCTION t_step.defers(run_id bigint, cursor int, attempt int, failures int) RETURNS cano.outcome LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t_step.effect VALUES (run_id, coalesce(cursor, 0), attempt);
	IF cursor = 3 AND attempt <= failures THEN
		INSERT INTO t_step.once VALUES (run_id), (run_id);
	END IF;
	RETURN CASE WHEN cursor = 5 THEN cano.next() ELSE cano.more(to_jsonb(coalesce(cursor, 0) + 1)) END;
END $$;
SELECT cano.define('t_step.deferred', cano.stepped('loop', 't_step.defers', next => 'end', retry => cano.fixed(1, '0')),
	cano.exit('end')) AS v \gset
SELECT cano.submit('t_step.deferred', '{"failures": 1}') AS run1 \gset
SELECT cano.submit('t_step.deferred', '{"failures": 2}') AS run2 \gset
CALL cano.work();
SELECT is(pg_temp.status(:run1) || ' ' || pg_temp.effects(:run1), 'completed 0/1 1/1 2/1 3/2 4/1 5/1',
	'a step that fails at the commit is tried again, the others are there once');
SELECT is((SELECT string_agg(attempt || ' ' || sqlstate, ', ') FROM cano.attempts WHERE run_id = :run1), '1 23505',
	'that is its own failed attempt');
SELECT is(pg_temp.error(:run2, 'category') || ' ' || pg_temp.error(:run2, 'sqlstate') || ' ' || pg_temp.effects(:run2),
	'retry_exhausted 23505 0/1 1/1 2/1', 'used up, it leaves the steps before it as they were');
SELECT is(pg_temp.log(:run2), '0 loop, 1 step_cursor 1, 2 step_cursor 2, 3 step_cursor 3', 'with their cursors');

-- crashes: the engine stops at every point of a batch
SELECT cano.submit('t_step.flow', '{"target": 1000}') AS run \gset
CREATE TABLE t_step.crash (n serial, point text, effects bigint, distinct_effects bigint, cursors bigint, status text);
CREATE FUNCTION pg_temp.note(point text, run bigint) RETURNS void LANGUAGE sql AS $$
	INSERT INTO t_step.crash (point, effects, distinct_effects, cursors, status) SELECT $1, count(*), count(DISTINCT e.n),
		(SELECT count(*) FROM cano.checkpoints AS c WHERE c.run_id = $2 AND c.kind = 'step_cursor'), pg_temp.status($2)
	FROM t_step.effect AS e WHERE e.run = $2 $$;
\set ON_ERROR_STOP 0
SET cano.debug_stop = 'batch-before-commit:error:1';
CALL cano.work();
SELECT pg_temp.note('before the first commit', :run) AS x \gset
SET cano.debug_stop = 'batch-before-commit:error:2';
CALL cano.work();
SELECT pg_temp.note('before the second commit', :run) AS x \gset
SET cano.debug_stop = 'batch-claimed:error:2';
CALL cano.work();
SELECT pg_temp.note('after the second claim', :run) AS x \gset
SET cano.debug_stop = 'batch-before-settle:error:3';
CALL cano.work();
SELECT pg_temp.note('before the third settlement', :run) AS x \gset
SET cano.debug_stop = 'batch-after-commit:error:2';
CALL cano.work();
SELECT pg_temp.note('after the second commit', :run) AS x \gset
\set ON_ERROR_STOP 1
RESET cano.debug_stop;
SELECT is((SELECT effects FROM t_step.crash WHERE point = 'before the first commit'), 0::bigint,
	'a crash before the first commit leaves nothing');
SELECT ok(bool_and(effects > before), 'what was committed before a crash is kept')
FROM (SELECT effects, lag(effects, 1, -1) OVER (ORDER BY n) AS before FROM t_step.crash) AS c;
SELECT is(cursors, effects, 'steps and cursors are the same after a crash ' || point) FROM t_step.crash ORDER BY n;
SELECT is((SELECT count(*) FROM t_step.crash WHERE effects <> distinct_effects OR status <> 'queued'), 0::bigint,
	'never is there a step twice, and the run is always due');
CALL cano.work();
SELECT is((SELECT array_agg(n ORDER BY n) FROM t_step.effect WHERE run = :run), (SELECT array_agg(n) FROM generate_series(0, 999) AS n),
	'in the end every step is there once');
SELECT is((SELECT array_agg(output::int ORDER BY sequence) FROM cano.checkpoints WHERE run_id = :run AND kind = 'step_cursor'),
	(SELECT array_agg(n) FROM generate_series(1, 999) AS n), 'and so is every cursor');
SELECT is((SELECT count(*) FROM cano.attempts WHERE run_id = :run), 0::bigint, 'no attempt was consumed');

-- Many steps, few commits: as many as their subtransactions ask for, whatever
-- time they take.  What a new session has was sent to this one before.
ALTER SYSTEM SET cano.batch_time = '10s';
SELECT pg_reload_conf() AS x \gset
\! until [ "$(psql -XAtc 'SHOW cano.batch_time')" = 10s ]; do :; done
SELECT cano.submit('t_step.flow', '{"target": 1000}') AS run \gset
CALL cano.work();
ALTER SYSTEM RESET cano.batch_time;
SELECT pg_reload_conf() AS x \gset
\! until [ "$(psql -XAtc 'SHOW cano.batch_time')" = 5ms ]; do :; done
SELECT is((SELECT count(*) FROM t_step.effect WHERE run = :run), 1000::bigint, 'a thousand steps');
SELECT cmp_ok((SELECT count(DISTINCT xid) FROM t_step.effect WHERE run = :run), '<=', 20::bigint, 'in a few commits');
SELECT is((SELECT array_agg(sequence ORDER BY sequence) FROM cano.checkpoints WHERE run_id = :run),
	(SELECT array_agg(n::bigint) FROM generate_series(0, 1000) AS n), 'their rows have no gaps');

-- visits
CREATE FUNCTION t_step.visits(run_id bigint, cursor int, visits int DEFAULT 0) RETURNS cano.outcome LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t_step.effect VALUES (run_id, coalesce(cursor, 0), visits);
	IF cursor = 2 THEN
		RETURN cano.next(CASE WHEN visits < 2 THEN 'loop' END, jsonb_build_object('visits', visits + 1));
	END IF;
	RETURN cano.more(to_jsonb(coalesce(cursor, 0) + 1));
END $$;
SELECT cano.define('t_step.visits', cano.stepped('loop', 't_step.visits', next => 'second', targets => ARRAY['loop']),
	cano.stepped('second', 't_step.count', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_step.visits') AS run \gset
CALL cano.work();
SELECT is(pg_temp.log(:run), '0 loop, 1 step_cursor 1, 2 step_cursor 2, 3 loop, 4 step_cursor 1, 5 step_cursor 2, '
	'6 loop, 7 step_cursor 1, 8 step_cursor 2, 9 second, 10 step_cursor 1, 11 step_cursor 2, 12 end',
	'every visit starts from no cursor, of the same state and of another');
SELECT cano.submit('t_step.visits') AS run \gset
CALL cano.work(max_steps => 3);
SELECT is(pg_temp.log(:run), '0 loop, 1 step_cursor 1, 2 step_cursor 2, 3 loop', 'also where a commit lies between two visits');
CALL cano.work(max_steps => 1);
SELECT is((SELECT output FROM cano.checkpoints WHERE run_id = :run AND sequence = 4), '1', 'the second visit starts anew');
CALL cano.work();

-- the output
CREATE FUNCTION t_step.sums(cursor int, total int DEFAULT 0) RETURNS cano.outcome LANGUAGE sql AS $$
	SELECT CASE WHEN coalesce(cursor, 0) < 4 THEN cano.more(to_jsonb(coalesce(cursor, 0) + 1),
		jsonb_build_object('total', total + coalesce(cursor, 0))) ELSE cano.next(output => '"whole"') END $$;
SELECT cano.define('t_step.sums', cano.stepped('sum', 't_step.sums', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_step.sums') AS run \gset
CALL cano.work();
SELECT is(cano.result(:run), '{"sum": "whole", "total": 6}'::jsonb,
	'the output of more() joins the data, and the next step may bind it');

-- what ends a loop without an outcome
CREATE FUNCTION t_step.nothing() RETURNS cano.outcome LANGUAGE sql AS 'SELECT NULL::cano.outcome';
CREATE FUNCTION t_step.number(cursor int) RETURNS int LANGUAGE sql AS 'SELECT coalesce(cursor, 0) + 7';
CREATE FUNCTION t_step.null_number(cursor int) RETURNS int LANGUAGE sql AS 'SELECT cursor';
SELECT cano.define('t_step.ends', cano.stepped('void', 't_step.rest', next => 'null'),
	cano.stepped('null', 't_step.nothing', next => 'number'), cano.stepped('number', 't_step.number', next => 'nullno'),
	cano.stepped('nullno', 't_step.null_number', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_step.ends') AS run \gset
CALL cano.work();
SELECT is(pg_temp.log(:run), '0 void, 1 null, 2 number, 3 nullno, 4 end',
	'a function that returns void, a null outcome or a value is done at once');
SELECT is(cano.result(:run), '{"number": 7}'::jsonb, 'the value is the output');

-- types of cursors
CREATE TYPE t_step.place AS (page int, after text);
CREATE FUNCTION t_step.composite(cursor t_step.place) RETURNS cano.outcome LANGUAGE plpgsql AS $$
BEGIN
	IF cursor IS NULL THEN RETURN cano.more(to_jsonb(ROW(1, 'a')::t_step.place)); END IF;
	IF (cursor).page < 3 THEN
		RETURN cano.more(to_jsonb(ROW((cursor).page + 1, (cursor).after || 'b')::t_step.place));
	END IF;
	RETURN cano.next(output => to_jsonb((cursor).after));
END $$;
CREATE FUNCTION t_step.json(cursor jsonb) RETURNS cano.outcome LANGUAGE sql AS $$
	SELECT CASE WHEN cursor IS NULL THEN cano.more('[]') WHEN jsonb_array_length(cursor) < 2 THEN cano.more(cursor || '[{"a": null}]')
		ELSE cano.next(output => cursor) END $$;
CREATE FUNCTION t_step.time(cursor timestamptz) RETURNS cano.outcome LANGUAGE sql AS $$
	SELECT CASE WHEN cursor IS NULL THEN cano.more('"2024-02-29 12:00+00"')
		ELSE cano.next(output => to_jsonb(extract(epoch FROM cursor)::bigint)) END $$;
CREATE FUNCTION t_step.words(cursor text, state text) RETURNS cano.outcome LANGUAGE sql AS $$
	SELECT CASE WHEN cursor IS NULL THEN cano.more('"it''s \"so\""') ELSE cano.next(output => to_jsonb(cursor)) END $$;
CREATE FUNCTION t_step.array(cursor int[]) RETURNS cano.outcome LANGUAGE sql AS $$
	SELECT CASE WHEN cursor IS NULL THEN cano.more('[1, 2]') ELSE cano.next(output => to_jsonb(cursor[2])) END $$;
SELECT cano.define('t_step.types', cano.stepped('composite', 't_step.composite', next => 'json'),
	cano.stepped('json', 't_step.json', next => 'time'), cano.stepped('time', 't_step.time', next => 'words'),
	cano.stepped('words', 't_step.words', next => 'array'), cano.stepped('array', 't_step.array', next => 'end'),
	cano.exit('end')) AS v \gset
SELECT cano.submit('t_step.types', '{"cursor": "of the data"}') AS run \gset
CALL cano.work();
SELECT is(cano.result(:run) ->> 'composite', 'abb', 'a cursor may be a composite');
SELECT is(cano.result(:run) -> 'json', '[{"a": null}, {"a": null}]', 'or jsonb, also as the only parameter');
SELECT is(cano.result(:run) ->> 'time', '1709208000', 'or a timestamp');
SELECT is(cano.result(:run) ->> 'words', 'it''s "so"', 'or text');
SELECT is(cano.result(:run) ->> 'array', '2', 'or an array; a key of the data called cursor does not matter');

-- null cursors
CREATE FUNCTION t_step.nulls(run_id bigint, cursor int, gives jsonb DEFAULT NULL) RETURNS cano.outcome LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t_step.effect VALUES (run_id, cursor);
	RETURN CASE (SELECT count(*) FROM t_step.effect WHERE run = run_id)
		WHEN 1 THEN cano.more('5') WHEN 2 THEN cano.more(gives) ELSE cano.next() END;
END $$;
SELECT cano.define('t_step.nulls', cano.stepped('loop', 't_step.nulls', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_step.nulls', '{"gives": null}') AS run1 \gset
CALL cano.work();
SELECT is((SELECT array_agg(n) FROM t_step.effect WHERE run = :run1), ARRAY[NULL, 5, NULL], 'a null cursor is no cursor');
SELECT is((SELECT count(*) FROM cano.checkpoints WHERE run_id = :run1 AND kind = 'step_cursor'), 2::bigint,
	'and leaves its row all the same');

-- a cursor that does not fit
CREATE FUNCTION t_step.misfit(run_id bigint, cursor int) RETURNS cano.outcome LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t_step.effect VALUES (run_id, 0);
	RETURN cano.more('"no number"');
END $$;
SELECT cano.define('t_step.misfit', cano.stepped('loop', 't_step.misfit', next => 'end', retry => cano.fixed(1, '0')),
	cano.exit('end')) AS v \gset
SELECT cano.submit('t_step.misfit') AS run \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category') || ' ' || (SELECT count(*) FROM cano.attempts WHERE run_id = :run), 'retry_exhausted 2',
	'a cursor that cannot be converted is an ordinary failed attempt');
SELECT matches(pg_temp.error(:run, 'message'), 't_step.misfit', 'the message names the task');
SELECT is(pg_temp.log(:run), '0 loop, 1 step_cursor "no number"', 'the step that returned it is kept');

-- outcomes that do not fit, and verdicts
CREATE FUNCTION t_step.says(run_id bigint, cursor int, say text) RETURNS cano.outcome LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t_step.effect VALUES (run_id, coalesce(cursor, 0), 1);
	IF cursor IS NULL THEN RETURN cano.more('1'); END IF;
	RETURN CASE say WHEN 'pending' THEN cano.pending() WHEN 'outside' THEN cano.next('outside') WHEN 'target' THEN cano.next('other')
		WHEN 'failed' THEN cano.failed('declined') WHEN 'cancelled' THEN cano.cancelled('called off') END;
END $$;
SELECT cano.define('t_step.says', cano.stepped('loop', 't_step.says', next => 'end', targets => ARRAY['other']),
	cano.task('other', 't_step.rest', next => 'outside'), cano.task('outside', 't_step.rest', next => 'end'), cano.exit('end')) AS v \gset
CREATE TEMP TABLE said AS SELECT say, cano.submit('t_step.says', jsonb_build_object('say', say)) AS run
	FROM unnest(ARRAY['pending', 'outside', 'target', 'failed', 'cancelled']) AS say;
CALL cano.work();
SELECT is(concat_ws(' ', pg_temp.status(s.run), pg_temp.error(s.run, 'category'), pg_temp.effects(s.run)), v.wanted, v.what)
FROM said AS s JOIN (VALUES ('pending', 'failed workflow 0/1', 'pending() is nothing that a stepped state knows: the step is undone'),
	('outside', 'failed workflow 0/1', 'nor is a state outside the targets'),
	('target', 'completed 0/1 1/1', 'a target is'),
	('failed', 'failed task_execution 0/1 1/1', 'failed() fails the run and keeps all'),
	('cancelled', 'cancelled cancelled 0/1 1/1', 'cancelled() cancels it and keeps all')) AS v (say, wanted, what) USING (say);

-- the time limit is one of each step
CREATE FUNCTION t_step.slow(cursor int, naps float8[]) RETURNS cano.outcome LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_sleep(naps[coalesce(cursor, 0) + 1]); -- lasts: a part of the limit, or longer
	RETURN CASE WHEN cursor = 2 THEN cano.next() ELSE cano.more(to_jsonb(coalesce(cursor, 0) + 1)) END;
END $$;
SELECT cano.define('t_step.slow', cano.stepped('loop', 't_step.slow', next => 'end', timeout => '600 ms', retry => cano.none()),
	cano.exit('end')) AS v \gset
SELECT cano.submit('t_step.slow', '{"naps": [0.25, 0.25, 0.25]}') AS run1 \gset
SELECT cano.submit('t_step.slow', '{"naps": [0, 0, 30]}') AS run2 \gset
CALL cano.work();
SELECT is(pg_temp.status(:run1), 'completed', 'every step has the whole time limit');
SELECT is(pg_temp.error(:run2, 'category') || ': ' || pg_temp.log(:run2), 'timeout: 0 loop, 1 step_cursor 1, 2 step_cursor 2',
	'one that takes longer fails, those before it are kept');

SELECT is((SELECT count(*) FROM cano._job) + (SELECT count(*) FROM cano._timer), 0::bigint, 'nothing is left to do');
SELECT * FROM finish();
DROP SCHEMA t_step CASCADE;
