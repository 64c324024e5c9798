-- What the reference's tests of batches demand.  Each description begins with
-- the name of its test, or with the rule it is about.
\ir lib/start.psql
SELECT plan(52);

CREATE SCHEMA t_batch1;
CREATE SEQUENCE t_batch1.loads;
CREATE SEQUENCE t_batch1.calls;
CREATE SEQUENCE t_batch1.ends;
-- Items: {"n": 3, "fails": [1]} are 0, 1, 2, of which 1 fails.
CREATE FUNCTION t_batch1.load(n int) RETURNS SETOF int LANGUAGE plpgsql AS $$
BEGIN
	PERFORM nextval('t_batch1.loads');
	RETURN QUERY SELECT generate_series(0, n - 1);
END $$;
CREATE FUNCTION t_batch1.process(item int, attempt int, fails int[] DEFAULT '{}', good_at int DEFAULT 1000) RETURNS int
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM nextval('t_batch1.calls');
	IF item = ANY (fails) AND attempt < good_at THEN
		RAISE EXCEPTION 'item % is bad', item USING ERRCODE = '22012';
	END IF;
	RETURN item * 10;
END $$;
CREATE FUNCTION t_batch1.finish(outputs jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM nextval('t_batch1.ends');
	RETURN jsonb_build_object('seen', outputs);
END $$;
CREATE FUNCTION t_batch1.load_fails(attempt int, good_at int DEFAULT 1000) RETURNS SETOF int LANGUAGE plpgsql AS $$
BEGIN
	PERFORM nextval('t_batch1.loads');
	IF attempt < good_at THEN
		RAISE EXCEPTION 'load is bad' USING ERRCODE = '22012';
	END IF;
	RETURN QUERY VALUES (0), (1);
END $$;
CREATE FUNCTION t_batch1.finish_fails(outputs jsonb, attempt int, good_at int DEFAULT 1000) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	PERFORM nextval('t_batch1.ends');
	IF attempt < good_at THEN
		RAISE EXCEPTION 'finish is bad' USING ERRCODE = '22012';
	END IF;
	RETURN jsonb_array_length(outputs);
END $$;

-- A workflow of such a batch, submitted.
CREATE FUNCTION pg_temp.start(input jsonb, load text DEFAULT 'load', finish text DEFAULT 'finish', concurrency int DEFAULT 1,
	item_retry jsonb DEFAULT cano.none(), retry jsonb DEFAULT cano.none(), process text DEFAULT 'process')
RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM setval('t_batch1.loads', 1, false), setval('t_batch1.calls', 1, false), setval('t_batch1.ends', 1, false);
	PERFORM cano.define('t_batch1', cano.batch('b', load => 't_batch1.' || load, process => 't_batch1.' || process,
		finish => 't_batch1.' || finish, concurrency => concurrency, item_retry => item_retry, retry => retry, next => 'end'),
		cano.exit('end'));
	RETURN cano.submit('t_batch1', input);
END $$;
-- How often load, process and finish were called.
CREATE FUNCTION pg_temp.called() RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', pg_temp.calls('t_batch1.loads'), pg_temp.calls('t_batch1.calls'), pg_temp.calls('t_batch1.ends')) $$;
-- How the run ended: what finish has seen, or the error.
CREATE FUNCTION pg_temp.story(run bigint) RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN r.status = 'completed'
		THEN (SELECT string_agg(coalesce(s.slot ->> 'ok', 'error'), ' ' ORDER BY s.i)
			FROM jsonb_array_elements(r.data -> 'seen') WITH ORDINALITY AS s (slot, i))
		ELSE concat_ws(' ', r.status, r.error ->> 'category', r.error ->> 'message') END
	FROM cano.runs AS r WHERE r.run_id = $1 $$;

SELECT pg_temp.start('{"n": 5}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run), '0 10 20 30 40', 'test_sequential_items_in_input_order: finish gets five in order');
SELECT is(pg_temp.called(), '1 5 1', 'test_sequential_items_in_input_order: each function is called once for each');

-- test_concurrent_items_preserve_input_order: the earlier an item, the longer
-- it waits for its turn
SELECT pg_temp.start('{"n": 4, "fails": [0, 1], "good_at": 2}', concurrency => 4, item_retry => cano.fixed(1, '1 h')) AS run \gset
CALL cano.work();
SELECT is((SELECT array_agg(status ORDER BY item) FROM cano.items WHERE run_id = :run),
	ARRAY['waiting', 'waiting', 'completed', 'completed'], 'test_concurrent_items_preserve_input_order: later items end first');
SELECT pg_temp.later('1 h');
CALL cano.work();
SELECT is(pg_temp.story(:run), '0 10 20 30', 'test_concurrent_items_preserve_input_order: finish gets them in order');

-- test_failing_item_lands_in_outputs_not_batch_error
SELECT pg_temp.start('{"n": 3, "fails": [1]}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run), '0 error 20', 'test_failing_item_lands_in_outputs_not_batch_error: three slots, the run succeeds');
SELECT is(cano.result(:run) #> '{seen,1}',
	'{"error": {"category": "task_execution", "sqlstate": "22012", "message": "item 1 is bad"}}'::jsonb,
	'test_failing_item_lands_in_outputs_not_batch_error: the slot has category, sqlstate and message');
SELECT is(cano.result(:run) #> '{seen,0}', '{"ok": 0}'::jsonb, 'test_failing_item_lands_in_outputs_not_batch_error: others have ok');

-- test_item_retry_recovers_flaky_item
SELECT pg_temp.start('{"n": 1, "fails": [0], "good_at": 3}', item_retry => cano.fixed(2, '1 ms')) AS run \gset
CALL cano.work();
SELECT pg_temp.later('1 s');
CALL cano.work();
SELECT pg_temp.later('1 s');
CALL cano.work();
SELECT is(pg_temp.story(:run) || ': ' || pg_temp.called(), '0: 1 3 1', 'test_item_retry_recovers_flaky_item: ok after exactly 3 calls');
SELECT is((SELECT attempt FROM cano.items WHERE run_id = :run), 3, 'test_item_retry_recovers_flaky_item: the view counts them');

-- test_load_error_propagates_and_finish_not_called
SELECT pg_temp.start('{}', load => 'load_fails') AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run), 'failed task_execution load is bad', 'test_load_error_propagates_and_finish_not_called: as it is');
SELECT is(pg_temp.called(), '1 0 0', 'test_load_error_propagates_and_finish_not_called: nothing else is called');
SELECT is((SELECT count(*) FROM cano.items WHERE run_id = :run), 0::bigint,
	'batch_run_emitted_on_load_failure: there are no items to count');
SELECT is((SELECT count(*) FROM cano.attempts WHERE run_id = :run AND branch IS NULL), 1::bigint,
	'batch_run_emitted_on_load_failure: one attempt of the batch failed');

-- test_finish_error_propagates
SELECT pg_temp.start('{"n": 2}', finish => 'finish_fails') AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run), 'failed task_execution finish is bad', 'test_finish_error_propagates: as it is');
SELECT is(pg_temp.called(), '1 2 1', 'test_finish_error_propagates: after the items');

-- test_zero_concurrency_does_not_deadlock
SELECT pg_temp.start('{"n": 3}', concurrency => 0) AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run), '0 10 20', 'test_zero_concurrency_does_not_deadlock: it acts as 1');

-- test_batch_task_as_dyn_task, test_run_batch_dyn_dispatch: functions are
-- found by name when they are called
CREATE OR REPLACE FUNCTION t_batch1.finish(outputs jsonb) RETURNS jsonb LANGUAGE sql AS $$
	SELECT nextval('t_batch1.ends'); SELECT jsonb_build_object('seen', outputs, 'other', true) $$;
SELECT cano.submit('t_batch1', '{"n": 2}') AS run \gset
CALL cano.work();
SELECT is(cano.result(:run) -> 'other', 'true', 'test_batch_task_as_dyn_task: a function that was replaced is the new one');
SELECT is(pg_temp.story(:run), '0 10', 'test_run_batch_dyn_dispatch: with the same outputs');

-- test_batch_task_in_workflow
SELECT is(pg_temp.rows(:run), '0 b, 1 end', 'test_batch_task_in_workflow: to the exit, with one row for the batch');
SELECT is((SELECT task FROM cano.checkpoints WHERE run_id = :run AND sequence = 0) IS NOT NULL, true,
	'test_batch_task_in_workflow: which names a task');

-- batch_metrics_counted_correctly and, above, batch_run_emitted_on_load_failure
-- are about metrics: this is what they count.
SELECT pg_temp.start('{"n": 3, "fails": [2]}') AS run \gset
CALL cano.work();
SELECT is((SELECT string_agg(concat_ws(' ', status, n), ', ' ORDER BY status)
	FROM (SELECT status, count(*) AS n FROM cano.items WHERE run_id = :run GROUP BY status) AS c), 'completed 2, failed 1',
	'batch_metrics_counted_correctly: two items are ok, one is not');
SELECT is(pg_temp.status(:run), 'completed', 'batch_metrics_counted_correctly: the run succeeds');
SELECT is((SELECT count(*) FROM cano.attempts WHERE run_id = :run AND branch = 2 AND message = 'item 2 is bad'), 1::bigint,
	'batch_metrics_counted_correctly: the attempt that failed is on record');

-- BA3: after the last attempt the slot has the last error as it was
SELECT pg_temp.start('{"n": 2, "fails": [0]}', item_retry => cano.fixed(2, '0')) AS run \gset
CALL cano.work();
SELECT is(cano.result(:run) #>> '{seen,0,error,category}', 'task_execution', 'BA3: not retry_exhausted');
SELECT is(cano.result(:run) #>> '{seen,0,error,message}', 'item 0 is bad', 'BA3: nor wrapped');
SELECT is(pg_temp.called(), '1 4 1', 'BA3: three attempts of one, one of the other');
SELECT is((SELECT count(*) FROM cano.attempts WHERE run_id = :run AND branch = 0), 3::bigint, 'BA3: each is on record');
-- an item that waits is a row, and holds its place among those under way
SELECT pg_temp.start('{"n": 3, "fails": [0], "good_at": 3}', item_retry => cano.exponential(3, '1 h', 2, '1 d', 0)) AS run \gset
CALL cano.work();
SELECT is((SELECT string_agg(concat_ws(' ', status, attempt), ', ' ORDER BY item) FROM cano.items WHERE run_id = :run),
	'waiting 2, queued 1, queued 1', 'BA2: an item that waits for its retry is under way, with concurrency 1 the only one');
SELECT is((SELECT waiting_for FROM cano.status(:run)), 'items', 'BA2: the run waits for items');
SELECT is((SELECT count(*) FROM cano._job), 0::bigint, 'BA2: nothing is left to a worker');
SELECT is((SELECT count(*) FROM cano._timer WHERE branch = 0 AND due_at BETWEEN now() + '1 h' AND now() + '3 h'), 1::bigint,
	'BA3: it is a row with a time');
SELECT pg_temp.later('1 h 1 s');
CALL cano.work();
SELECT is((SELECT attempt FROM cano.items WHERE run_id = :run AND item = 0), 3, 'BA3: and goes on when that has come');
SELECT pg_temp.later('1 h');
CALL cano.work();
SELECT is((SELECT status FROM cano.items WHERE run_id = :run AND item = 0), 'waiting', 'BA3: delays grow with the attempts');
SELECT pg_temp.later('1 h 1 s');
CALL cano.work();
SELECT is(pg_temp.story(:run), '0 10 20', 'BA3: the others follow');

-- BA2: at most so many are under way
SELECT pg_temp.start('{"n": 5, "fails": [0, 1, 2, 3, 4], "good_at": 2}', concurrency => 2, item_retry => cano.fixed(1, '1 h')) AS run \gset
CALL cano.work();
SELECT is((SELECT string_agg(status, ' ' ORDER BY item) FROM cano.items WHERE run_id = :run), 'waiting waiting queued queued queued',
	'BA2: with concurrency 2 there are two');
SELECT pg_temp.later('1 h 1 s');
CALL cano.work();
SELECT is((SELECT string_agg(status, ' ' ORDER BY item) FROM cano.items WHERE run_id = :run),
	'completed completed waiting waiting queued', 'BA2: and two more when these have ended');
SELECT is((SELECT progress ->> 'done' FROM cano.status(:run)) || ' of ' || (SELECT progress ->> 'total' FROM cano.status(:run)),
	'2 of 5', 'BA2: the run''s progress tells');
SELECT pg_temp.later('1 h 1 s');
CALL cano.work();
SELECT pg_temp.later('1 h 1 s');
CALL cano.work();
SELECT is(pg_temp.story(:run), '0 10 20 30 40', 'BA2: to the end');

-- BA5, BA6: retries of the whole batch repeat all of it
SELECT pg_temp.start('{"good_at": 3}', load => 'load_fails', retry => cano.fixed(2, '0')) AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run) || ': ' || pg_temp.called(), '0 10: 3 2 1', 'BA6: load is tried again');
SELECT pg_temp.start('{"n": 3, "fails": [1], "good_at": 2}', finish => 'finish_fails', retry => cano.fixed(2, '0')) AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run) || ': ' || pg_temp.called(), 'completed: 2 6 2', 'BA6: a failed finish repeats load and all items');
SELECT is(cano.result(:run) -> 'b', '3', 'BA6: until it succeeds');
SELECT is((SELECT string_agg(concat_ws(' ', status, attempt), ', ' ORDER BY item) FROM cano.items WHERE run_id = :run),
	'completed 1, failed 1, completed 1', 'BA6: the view has the items of the last time, each at its first attempt');
SELECT is(pg_temp.rows(:run), '0 b, 1 end', 'BA11: there is one row for the batch');
SELECT pg_temp.start('{"n": 1}', finish => 'finish_fails', retry => cano.fixed(1, '0')) AS run \gset
CALL cano.work();
SELECT matches(pg_temp.story(:run), 'failed retry_exhausted .* after 2 attempts.*finish is bad', 'BA5: then the batch has failed');
SELECT cano.define('t_batch1.default', cano.batch('b', load => 't_batch1.load_fails', process => 't_batch1.process', next => 'end'),
	cano.exit('end')) AS v \gset
SELECT cano.submit('t_batch1.default', '{"good_at": 2}') AS run \gset
CALL cano.work();
SELECT is((SELECT waiting_for FROM cano.status(:run)), 'retry', 'BA6: by default a batch has retries');
SELECT pg_temp.later('1 s');
CALL cano.work();
SELECT is(cano.result(:run) -> 'b', '[{"ok": 0}, {"ok": 10}]', 'BA6: and a batch without finish stores its slots');

-- BA7
SELECT pg_temp.start('{"n": 0}') AS run \gset
CALL cano.work();
SELECT is(cano.result(:run) -> 'seen', '[]', 'BA7: without items finish is given an empty list');
SELECT is(pg_temp.called(), '1 0 1', 'BA7: process is not called');

-- BA8: a panic ends the batch
CREATE FUNCTION t_batch1.panics(item int, attempt int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	PERFORM nextval('t_batch1.calls');
	IF item = 1 THEN
		ASSERT false, 'boom';
	END IF;
	RETURN item;
END $$;
SELECT pg_temp.start('{"n": 3}', process => 'panics', item_retry => cano.fixed(2, '0'), retry => cano.fixed(2, '0')) AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run), 'failed task_execution panic: boom', 'BA8: a panic of an item is the batch''s');
SELECT is(pg_temp.called(), '1 2 0', 'BA8: it is not tried again, what is left is not called, nor finish');
SELECT is((SELECT string_agg(status, ' ' ORDER BY item) FROM cano.items WHERE run_id = :run), 'completed failed cancelled',
	'BA8: the view tells which');

SELECT is((SELECT count(*) FROM cano._job) + (SELECT count(*) FROM cano._timer), 0::bigint, 'nothing is left to do');
SELECT * FROM finish();
DROP SCHEMA t_batch1 CASCADE;
