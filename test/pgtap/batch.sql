-- Batches: what an item may say, what finish may decide, time, and the end of
-- the run while items are under way.
\ir lib/start.psql
SELECT plan(60);

CREATE SCHEMA t_batch;
CREATE SEQUENCE t_batch.loads;
CREATE SEQUENCE t_batch.calls;
CREATE TABLE t_batch.effect (run bigint, item jsonb, key text);
CREATE TABLE t_batch.late (n int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED);
CREATE FUNCTION t_batch.load(items text[]) RETURNS text[] LANGUAGE sql AS $$
	SELECT nextval('t_batch.loads');
	SELECT items $$;
-- An item does as it says.
CREATE FUNCTION t_batch.process(item jsonb, run_id bigint, attempt int, state text, idempotency_key text, branch int)
RETURNS cano.outcome LANGUAGE plpgsql AS $$
DECLARE
	v_what text := item #>> '{}';
BEGIN
	PERFORM nextval('t_batch.calls');
	INSERT INTO t_batch.effect VALUES (run_id, item, idempotency_key);
	CASE v_what
		WHEN 'bad' THEN RAISE EXCEPTION 'bad' USING ERRCODE = '22012';
		WHEN 'once' THEN IF attempt = 1 THEN RAISE EXCEPTION 'at first'; END IF;
		WHEN 'permanent' THEN RAISE EXCEPTION 'for ever' USING ERRCODE = 'CN900';
		WHEN 'failed' THEN RETURN cano.failed('declined');
		WHEN 'cancelled' THEN RETURN cano.cancelled('called off');
		WHEN 'more' THEN RETURN cano.more('1');
		WHEN 'null' THEN RETURN NULL;
		WHEN 'json null' THEN RETURN cano.next(output => 'null');
		WHEN 'elsewhere' THEN RETURN cano.next('nowhere', output => '{"went": "elsewhere"}');
		WHEN 'slow' THEN PERFORM pg_sleep(30); -- lasts: until interrupted
		WHEN 'late' THEN INSERT INTO t_batch.late VALUES (1);
		WHEN 'put' THEN PERFORM cano.put('put', to_jsonb(cano.state() = state));
		ELSE NULL;
	END CASE;
	RETURN cano.next(output => item);
END $$;
CREATE FUNCTION t_batch.decide(outputs jsonb, verdict text DEFAULT 'go') RETURNS cano.outcome LANGUAGE plpgsql AS $$
BEGIN
	CASE verdict
		WHEN 'go' THEN RETURN cano.next(output => jsonb_build_object('n', jsonb_array_length(outputs)));
		WHEN 'other' THEN RETURN cano.next('other', output => '"x"');
		WHEN 'outside' THEN RETURN cano.next('outside');
		WHEN 'failed' THEN RETURN cano.failed('too bad');
		WHEN 'cancelled' THEN RETURN cano.cancelled('no more');
		WHEN 'pending' THEN RETURN cano.pending();
		WHEN 'later' THEN RETURN cano.next(delay => '1 h');
		WHEN 'slow' THEN PERFORM pg_sleep(30); -- lasts: until interrupted
	END CASE;
	RETURN NULL;
END $$;
CREATE FUNCTION t_batch.to_outside() RETURNS text LANGUAGE sql AS $$ SELECT 'outside'::text $$;
-- Submit a batch of these items.
CREATE FUNCTION pg_temp.start(items text[], how jsonb DEFAULT '{}', input jsonb DEFAULT '{}') RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM setval('t_batch.calls', 1, false), setval('t_batch.loads', 1, false);
	PERFORM cano.define('t_batch', cano.batch('b', load => 't_batch.load', process => 't_batch.process', next => 'end',
		targets => ARRAY['other'], retry => cano.none()) || how, cano.exit('end'),
		cano.router('other', 't_batch.to_outside', targets => ARRAY['outside']), cano.exit('outside'));
	RETURN cano.submit('t_batch', input || jsonb_build_object('items', to_jsonb(items)));
END $$;
CREATE FUNCTION pg_temp.story(run bigint) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', r.status, r.waiting_for, r.error ->> 'category', r.error ->> 'message', CASE WHEN r.result IS NOT NULL THEN r.state END)
	FROM cano.runs AS r WHERE r.run_id = $1 $$;
CREATE FUNCTION pg_temp.items(run bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(' ', i.status, i.error ->> 'category'), ', ' ORDER BY i.item)
	FROM cano.items AS i WHERE i.run_id = $1 $$;
CREATE FUNCTION pg_temp.left(run bigint) RETURNS bigint LANGUAGE sql AS $$
	SELECT (SELECT count(*) FROM cano._job AS j WHERE j.run = $1) + (SELECT count(*) FROM cano._timer AS t WHERE t.run = $1) $$;

-- what an item may say
SELECT pg_temp.start('{good,bad,permanent,failed,more,"null",json null,elsewhere,put}') AS run \gset
CALL cano.work();
SELECT is(cano.result(:run) -> 'b', '[{"ok": "good"},
	{"error": {"category": "task_execution", "sqlstate": "22012", "message": "bad"}},
	{"error": {"category": "permanent", "sqlstate": "CN900", "message": "for ever"}},
	{"error": {"category": "task_execution", "sqlstate": "CN003", "message": "declined"}},
	{"error": {"category": "workflow", "sqlstate": "CN002", "message":
		"task \"t_batch.process\" of state \"b\" returned an outcome that its kind does not know: more"}},
	{"ok": null}, {"ok": null}, {"ok": {"went": "elsewhere"}}, {"ok": "put"}]'::jsonb,
	'without finish the slots are the output');
SELECT is(pg_temp.story(:run), 'completed end', 'and next follows');
SELECT is(pg_temp.items(:run), 'completed, failed task_execution, failed permanent, failed task_execution, failed workflow, '
	'completed, completed, completed, completed', 'what has become of each');
SELECT is((SELECT string_agg(item #>> '{}', ' ') FROM t_batch.effect WHERE run = :run), 'good failed null json null elsewhere put',
	'effects of those that failed are rolled back, but for a verdict''s');
SELECT is((SELECT input FROM cano.items WHERE run_id = :run AND item = 6), '"json null"', 'the view has the inputs');
SELECT is((SELECT output FROM cano.items WHERE run_id = :run AND item = 7), '{"went": "elsewhere"}', 'and the outputs');
SELECT is((SELECT value FROM cano._variable WHERE run = :run), 'true', 'items share the run''s store');
SELECT is((SELECT string_agg(concat_ws(' ', task, branch), ', ' ORDER BY branch) FROM cano.attempts WHERE run_id = :run),
	't_batch.process 1, t_batch.process 2, t_batch.process 4', 'each failed attempt is on record');
SELECT pg_temp.start('{permanent,failed,more,bad,once}', jsonb_build_object('item_retry', cano.fixed(2, '0'))) AS run \gset
CALL cano.work();
SELECT is((SELECT string_agg(attempt::text, ' ' ORDER BY item) FROM cano.items WHERE run_id = :run), '1 1 1 3 2',
	'a verdict, a permanent error and a wrong outcome are not tried again');
SELECT is((SELECT count(*) FROM cano.dead_letters WHERE run_id = :run), 0::bigint, 'items are no dead letters');

-- an item cancels the run
SELECT pg_temp.start('{good,cancelled,good,good}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run), 'cancelled cancelled called off', 'an item cancels the run');
SELECT is((SELECT cancel_reason FROM cano.runs WHERE run_id = :run), 'called off', 'with its reason');
SELECT is(pg_temp.calls('t_batch.calls') || ' ' || pg_temp.left(:run), '2 0', 'nobody goes on');

-- keys
CREATE TABLE t_batch.key (item int, attempt int, key text);
CREATE FUNCTION t_batch.keys(item int, attempt int, idempotency_key text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	IF attempt = 1 THEN
		RAISE EXCEPTION '%', idempotency_key;
	END IF;
	INSERT INTO t_batch.key VALUES (item, attempt, idempotency_key);
	RETURN cano.idempotency_key();
END $$;
SELECT pg_temp.start('{0,1,2}', jsonb_build_object('process', 't_batch.keys', 'item_retry', cano.fixed(1, '0'))) AS run \gset
CALL cano.work();
SELECT is((SELECT count(DISTINCT key) FROM t_batch.key), 3::bigint, 'each item has an idempotency key of its own');
SELECT is((SELECT count(*) FROM cano.attempts AS a JOIN t_batch.key AS k ON k.item = a.branch AND k.key = a.message WHERE a.run_id = :run),
	3::bigint, 'which is the same for each attempt');
SELECT is((SELECT array_agg(value #>> '{ok}') FROM jsonb_array_elements(cano.result(:run) -> 'b')),
	(SELECT array_agg(key ORDER BY item) FROM t_batch.key), 'the function says the same as the parameter');

-- finish decides
CREATE TEMP TABLE decided AS
SELECT v.*, pg_temp.start('{good,bad}', '{"finish": "t_batch.decide"}', jsonb_build_object('verdict', v.decides)) AS run
FROM (VALUES ('go', 'completed end'), ('other', 'completed outside'), ('outside', 'failed workflow .*not one of its targets'),
	('failed', 'failed task_execution too bad'), ('cancelled', 'cancelled cancelled no more'),
	('pending', 'failed workflow .*pending'), ('later', 'waiting timer')) AS v (decides, wanted);
CALL cano.work();
SELECT matches(pg_temp.story(run), '^' || wanted, 'finish: ' || decides) FROM decided ORDER BY run;
SELECT is((SELECT result - 'items' - 'verdict' FROM cano.runs JOIN decided ON run = run_id WHERE decides = 'go'), '{"n": 2}'::jsonb,
	'an object that finish returns is merged into the data');
SELECT is((SELECT result - 'items' - 'verdict' FROM cano.runs JOIN decided ON run = run_id WHERE decides = 'other'), '{"b": "x"}'::jsonb,
	'anything else is stored under the name of the state');
SELECT pg_temp.later('1 h 1 s');
CALL cano.work();
SELECT is((SELECT status FROM cano.runs JOIN decided ON run = run_id WHERE decides = 'later'), 'completed', 'later it goes on');
SELECT is(pg_temp.calls('t_batch.calls'), 14::bigint, 'no item is called again');

-- items are called once each, however many are under way
CREATE TEMP TABLE wide AS
SELECT concurrency, pg_temp.start((SELECT array_agg(i::text ORDER BY i) FROM generate_series(1, 300) AS i),
	jsonb_build_object('concurrency', concurrency)) AS run
FROM unnest('{1,2,7,64,65,300,1000}'::int[]) AS concurrency;
CALL cano.work();
SELECT is((SELECT count(*) FROM cano.runs JOIN wide ON run = run_id WHERE
	jsonb_path_query_array(result, '$.b[*].ok') = (SELECT jsonb_agg(i::text) FROM generate_series(1, 300) AS i)), 7::bigint,
	'with any concurrency results are in the order of the items');
SELECT is((SELECT array_agg(DISTINCT n) FROM (SELECT count(*) AS n FROM t_batch.effect JOIN wide USING (run) GROUP BY run, item) AS c),
	'{1}'::bigint[], 'and each effect is there once');
SELECT is(pg_temp.calls('t_batch.calls'), 2100::bigint, 'and each is called once');
SELECT pg_temp.start('{good,once,bad,good}', jsonb_build_object('concurrency', 2, 'item_retry', cano.fixed(1, '0'))) AS run \gset
CALL cano.work(max_steps => 3);
SELECT cmp_ok(pg_temp.calls('t_batch.calls'), '<=', 3::bigint, 'a worker that may do little does little');
CALL cano.work();
SELECT is(pg_temp.items(:run) || ': ' || pg_temp.calls('t_batch.calls'), 'completed, completed, failed task_execution, completed: 6',
	'and goes on later, without doing anything twice');

-- what fails only at the commit is its own item's fault
SELECT pg_temp.start('{good,late,good,late,good}', '{"concurrency": 3}') AS run \gset
CALL cano.work();
SELECT is((SELECT string_agg(status, ' ' ORDER BY status, item) FROM cano.items WHERE run_id = :run AND item IN (1, 3)), 'completed failed',
	'a deferred constraint fails the item that broke it');
SELECT is((SELECT count(*) FROM cano.items WHERE run_id = :run AND status = 'completed'), 4::bigint, 'and no other');
SELECT is((SELECT count(*) FROM t_batch.effect WHERE run = :run), 4::bigint, 'every effect is there once');
SELECT is((SELECT string_agg(sqlstate, ' ') FROM cano.attempts WHERE run_id = :run), '23505', 'it is one failed attempt');

-- the timeout is that of an attempt of the whole batch
SELECT pg_temp.start('{good,once,good}', jsonb_build_object('timeout', '10 min', 'item_retry', cano.fixed(1, '1 h'))) AS run \gset
CALL cano.work();
SELECT cmp_ok((SELECT EXTRACT(epoch FROM next_at - submitted_at) FROM cano.runs WHERE run_id = :run), '<', 700::numeric, 'it waits so long');
SELECT pg_temp.later('11 min');
CALL cano.work();
SELECT is(pg_temp.story(:run) LIKE 'failed timeout %' AND pg_temp.left(:run) = 0, true, 'time covers items that wait');
SELECT is(pg_temp.items(:run), 'completed, cancelled, cancelled', 'which are cancelled');
SELECT is((SELECT count(*) FROM cano.attempts WHERE run_id = :run AND branch IS NULL AND message ~ '600000 ms'), 1::bigint,
	'it is a failed attempt of the batch');
SELECT pg_temp.start('{good,once}', jsonb_build_object('timeout', '10 min', 'item_retry', cano.fixed(1, '7 min'),
	'retry', cano.fixed(1, '1 h'))) AS run \gset
CALL cano.work();
SELECT pg_temp.later('6 min');
CALL cano.work();
SELECT is(pg_temp.story(:run), 'waiting items', 'not before its time');
SELECT pg_temp.later('2 min');
CALL cano.work();
SELECT is(pg_temp.story(:run), 'completed end', 'in which items may go on');
SELECT pg_temp.start('{good,once}', jsonb_build_object('timeout', '10 min', 'item_retry', cano.fixed(1, '20 min'),
	'retry', cano.fixed(1, '1 h'))) AS run \gset
CALL cano.work();
SELECT pg_temp.later('11 min');
CALL cano.work();
SELECT is(pg_temp.story(:run), 'waiting retry', 'the batch is tried again by its own policy');
SELECT pg_temp.later('1 h');
CALL cano.work();
SELECT is(pg_temp.items(:run) || ': ' || pg_temp.calls('t_batch.loads'), 'completed, waiting: 2', 'with new items and all of its time');
SELECT pg_temp.later('11 min');
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category'), 'retry_exhausted', 'until that is used up');
SELECT pg_temp.start('{good,slow,good}', '{"timeout": "200 ms"}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category') || ': ' || pg_temp.items(:run), 'timeout: completed, cancelled, cancelled',
	'an item that is running is interrupted');
SELECT is((SELECT count(*) FROM t_batch.effect WHERE run = :run), 1::bigint, 'and leaves no effect');
SELECT pg_temp.start('{good}', '{"timeout": "200 ms", "finish": "t_batch.decide"}', '{"verdict": "slow"}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category'), 'timeout', 'so is finish');

-- cancelled, and out of time, while items wait
SELECT pg_temp.start('{good,once,good}', jsonb_build_object('item_retry', cano.fixed(1, '1 h'), 'retry', cano.fixed(3, '0'))) AS run \gset
CALL cano.work();
SELECT is((SELECT progress FROM cano.status(:run)), '{"done": 1, "total": 3, "note": null}'::jsonb, 'the run''s progress');
SELECT is(cano.cancel(:run, 'enough'), true, 'a run is cancelled while its items wait');
CALL cano.work();
SELECT is(pg_temp.story(:run) || ': ' || pg_temp.items(:run), 'cancelled cancelled enough: completed, cancelled, cancelled', 'so are they');
SELECT is(pg_temp.left(:run), 0::bigint, 'and leave nothing to do');
SELECT cano.define('t_batch.timed', cano.batch('b', load => 't_batch.load', process => 't_batch.process', next => 'end',
	item_retry => cano.fixed(1, '1 h')), cano.exit('end'), cano.options(timeout => '10 min')) AS v \gset
SELECT cano.submit('t_batch.timed', '{"items": ["once", "good"]}') AS run \gset
CALL cano.work();
SELECT pg_temp.later('11 min');
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category') || ': ' || pg_temp.items(:run), 'workflow_timeout: cancelled, cancelled',
	'a run''s own timeout covers its items');
SELECT is(pg_temp.left(:run), 0::bigint, 'and leaves nothing to do');

-- outputs that do not fit the parameter of finish, and nobody to say where to go
CREATE FUNCTION t_batch.number(outputs int) RETURNS int LANGUAGE sql RETURN outputs;
SELECT pg_temp.start('{good}', jsonb_build_object('finish', 't_batch.number', 'retry', cano.fixed(1, '0'))) AS run \gset
CALL cano.work();
SELECT is((SELECT count(*) FROM cano.attempts WHERE run_id = :run AND sqlstate = '22P02'), 2::bigint,
	'what cannot be converted for finish is an ordinary failed attempt');
SELECT is(pg_temp.error(:run, 'category'), 'retry_exhausted', 'which is retried');
SELECT pg_temp.start('{good}', '{"next": null, "targets": ["other", "end"]}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'message'), 'state "b" has no next state, and nothing names one',
	'a batch without finish goes to next only');

-- a loop
CREATE FUNCTION t_batch.count(n int DEFAULT 0) RETURNS SETOF int LANGUAGE sql AS $$ SELECT generate_series(1, 3 - n) $$;
CREATE FUNCTION t_batch.times(item int, n int DEFAULT 0) RETURNS int LANGUAGE sql AS $$ SELECT item * 10 + n $$;
CREATE FUNCTION t_batch.again(outputs jsonb, n int DEFAULT 0) RETURNS cano.outcome LANGUAGE sql AS $$
	SELECT cano.next(CASE WHEN outputs = '[]' THEN 'end' ELSE 'b' END,
		jsonb_build_object('n', n + 1, 'seen' || n, jsonb_path_query_array(outputs, '$[*].ok'))) $$;
SELECT cano.define('t_batch.loop', cano.batch('b', load => 't_batch.count', process => 't_batch.times', finish => 't_batch.again',
	targets => ARRAY['b', 'end'], concurrency => 2), cano.exit('end')) AS v \gset
SELECT cano.submit('t_batch.loop') AS run \gset
CALL cano.work();
SELECT is(cano.result(:run), '{"n": 4, "seen0": [10, 20, 30], "seen1": [11, 21], "seen2": [12], "seen3": []}'::jsonb,
	'a batch in a loop loads anew each time');
SELECT is(pg_temp.rows(:run), '0 b, 1 b, 2 b, 3 b, 4 end', 'each visit has a row');

SELECT is((SELECT count(*) FROM cano._job) + (SELECT count(*) FROM cano._timer), 0::bigint, 'nothing is left to do');
SELECT * FROM finish();
DROP SCHEMA t_batch CASCADE;
