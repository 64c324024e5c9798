-- What the reference's tests of splits demand, as far as one worker can show
-- it.  Each description begins with the name of its test.
\ir lib/start.psql
SELECT plan(49);

CREATE SCHEMA t_split1;
CREATE SEQUENCE t_split1.calls;
CREATE FUNCTION t_split1.good(branch int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	PERFORM nextval('t_split1.calls');
	RETURN branch;
END $$;
CREATE FUNCTION t_split1.bad() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM nextval('t_split1.calls');
	RAISE EXCEPTION 'bad branch';
END $$;
CREATE FUNCTION t_split1.slow() RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(30)'; -- lasts: until interrupted

-- A workflow of such a split, submitted.
CREATE FUNCTION pg_temp.start(tasks jsonb[], how jsonb, timeout interval DEFAULT NULL, bulkhead int DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM setval('t_split1.calls', 1, false);
	PERFORM cano.define('t_split1', cano.split('s', tasks, "join" => how, next => 'end', timeout => timeout,
		bulkhead => bulkhead), cano.exit('end'));
	RETURN cano.submit('t_split1');
END $$;
CREATE FUNCTION pg_temp.branches(good int, bad int DEFAULT 0) RETURNS jsonb[] LANGUAGE sql AS $$
	SELECT array_fill(cano.branch('t_split1.good'), ARRAY[good])
		|| array_fill(cano.branch('t_split1.bad', retry => cano.none()), ARRAY[bad]) $$;
CREATE FUNCTION pg_temp.story(run bigint) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', r.status, r.state, r.data ->> 's') FROM cano.runs AS r WHERE r.run_id = $1 $$;
CREATE FUNCTION pg_temp.said(run bigint) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', r.status, r.error ->> 'category') FROM cano.runs AS r WHERE r.run_id = $1 $$;

-- test_split_all_strategy, ..._any_strategy, ..._quorum_strategy, ..._percentage_strategy
SELECT pg_temp.start(pg_temp.branches(3), cano.all()) AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run), 'completed end [0, 1, 2]', 'test_split_all_strategy: three that succeed join');
SELECT is(pg_temp.calls('t_split1.calls'), 3::bigint, 'test_split_all_strategy: each is called once');
SELECT pg_temp.start(pg_temp.branches(3), cano.any()) AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run), 'completed end [0, null, null]', 'test_split_any_strategy: the first that succeeds joins');
SELECT pg_temp.start(pg_temp.branches(4), cano.quorum(3)) AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run), 'completed end [0, 1, 2, 3]', 'test_split_quorum_strategy: all four end, three are enough');
SELECT pg_temp.start(pg_temp.branches(4), cano.percentage(0.75)) AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run), 'completed end [0, 1, 2, 3]', 'test_split_percentage_strategy: four of four');
SELECT pg_temp.start(pg_temp.branches(3, 1), cano.percentage(0.75)) AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run), 'completed end [0, 1, 2, null]', 'test_split_percentage_strategy: three of four');
SELECT pg_temp.start(pg_temp.branches(2, 2), cano.percentage(0.75)) AS run \gset
CALL cano.work();
SELECT is(pg_temp.said(:run), 'failed workflow', 'test_split_percentage_strategy: two of four are too few');

-- test_split_with_failures_all_strategy: with the default retries
SELECT pg_temp.start(pg_temp.branches(2) || cano.branch('t_split1.bad'), cano.all()) AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'waiting', 'test_split_with_failures_all_strategy: the failing branch is tried again');
SELECT is(pg_temp.calls('t_split1.calls'), 3::bigint, 'test_split_with_failures_all_strategy: later');
SELECT pg_temp.later('1 s');
CALL cano.work();
SELECT pg_temp.later('1 s');
CALL cano.work();
SELECT is(pg_temp.status(:run), 'waiting', 'test_split_with_failures_all_strategy: the run waits for it');
SELECT pg_temp.later('1 s');
CALL cano.work();
SELECT is(pg_temp.said(:run), 'failed workflow', 'test_split_with_failures_all_strategy: the run fails');
SELECT is(pg_temp.calls('t_split1.calls'), 6::bigint, 'test_split_with_failures_all_strategy: after four attempts of that branch');
SELECT matches(pg_temp.error(:run, 'message'), 'condition not met.*2 of 3.*all.*task 2.*bad branch',
	'test_split_with_failures_all_strategy: the message says how many, and why');
SELECT is((SELECT array_agg(status ORDER BY branch) FROM cano.branches WHERE run_id = :run),
	ARRAY['completed', 'completed', 'failed'], 'test_split_with_failures_all_strategy: the view has the branches');

-- test_split_with_failures_quorum_strategy
SELECT pg_temp.start(pg_temp.branches(2, 1), cano.quorum(2)) AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run), 'completed end [0, 1, null]', 'test_split_with_failures_quorum_strategy: tolerated');
SELECT pg_temp.start(pg_temp.branches(1, 2), cano.quorum(2)) AS run \gset
CALL cano.work();
SELECT is(pg_temp.said(:run), 'failed workflow', 'test_split_with_failures_quorum_strategy: not two of them');

-- test_split_with_timeout, test_partial_results_minimum_not_met
SELECT pg_temp.start(array_fill(cano.branch('t_split1.slow'), ARRAY[3]), cano.all(), timeout => '50 ms') AS run \gset
CALL cano.work();
SELECT is(pg_temp.said(:run), 'failed workflow', 'test_split_with_timeout: the run fails');
SELECT matches(pg_temp.error(:run, 'message'), 'timeout', 'test_split_with_timeout: the text says so');
SELECT is((SELECT count(*) FROM cano.branches WHERE run_id = :run AND status = 'cancelled'), 3::bigint,
	'test_split_with_timeout: no branch has ended');
SELECT is((SELECT count(*) FROM cano.attempts WHERE run_id = :run), 0::bigint,
	'test_split_with_timeout: it is not an attempt that failed');
SELECT pg_temp.start(array_fill(cano.branch('t_split1.slow'), ARRAY[4]), cano.partial(3), timeout => '100 ms') AS run \gset
CALL cano.work();
SELECT is(pg_temp.said(:run), 'failed workflow', 'test_partial_results_minimum_not_met: the run fails');
SELECT matches(pg_temp.error(:run, 'message'), 'timeout', 'test_partial_results_minimum_not_met: the text says so');

-- test_split_with_data_sharing
CREATE FUNCTION t_split1.puts(branch int) RETURNS void LANGUAGE sql AS $$ SELECT cano.put('key' || branch, to_jsonb(branch)) $$;
CREATE FUNCTION t_split1.gets() RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_object_agg(k, cano.get(k)) FROM unnest(cano.keys()) AS k $$;
SELECT cano.define('t_split1.sharing', cano.split('s', array_fill('t_split1.puts'::text, ARRAY[3]), next => 'look'),
	cano.task('look', 't_split1.gets', next => 'end', output_key => 'seen'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_split1.sharing') AS run \gset
CALL cano.work();
SELECT is(cano.result(:run) -> 'seen', '{"key0": 0, "key1": 1, "key2": 2}'::jsonb,
	'test_split_with_data_sharing: the join state reads what all three have put');

-- test_complex_workflow_with_split_join
CREATE FUNCTION t_split1.first() RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cano.put('first', '"one"');
	RETURN '{"first": "one"}';
END $$;
CREATE FUNCTION t_split1.second(branch int, first text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cano.put('second' || branch, cano.get('first'));
	RETURN first || branch;
END $$;
SELECT cano.define('t_split1.complex', cano.task('start', 't_split1.first', next => 's'),
	cano.split('s', ARRAY['t_split1.second', 't_split1.second'], "join" => cano.all(), next => 'look'),
	cano.task('look', 't_split1.gets', next => 'end', output_key => 'seen'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_split1.complex') AS run \gset
CALL cano.work();
SELECT is(cano.result(:run), '{"first": "one", "s": ["one0", "one1"],
	"seen": {"first": "one", "second0": "one", "second1": "one"}}'::jsonb,
	'test_complex_workflow_with_split_join: the values of all are there');
SELECT is(pg_temp.rows(:run), '0 start, 1 s, 2 look, 3 end', 'test_complex_workflow_with_split_join: one row for the split');

-- test_partial_timeout_no_timeout_configured
SELECT throws_ok($$SELECT pg_temp.start(pg_temp.branches(2), cano.partial_timeout())$$, 'CN001', NULL,
	'test_partial_timeout_no_timeout_configured: refused');
SELECT throws_like($$SELECT pg_temp.start(pg_temp.branches(2), cano.partial_timeout())$$, '%requires a timeout%',
	'test_partial_timeout_no_timeout_configured: the text says why');
CALL cano.work();
SELECT is((SELECT count(*) FROM cano.runs WHERE status = 'queued'), 0::bigint,
	'test_partial_timeout_no_timeout_configured: no branch runs');

-- test_empty_split_task_list
SELECT pg_temp.start('{}', cano.all()) AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run), 'completed end []', 'test_empty_split_task_list: goes straight on');
SELECT is(pg_temp.rows(:run), '0 s, 1 end', 'test_empty_split_task_list: by way of its own state');

-- test_percentage_zero, test_percentage_one, test_percentage_over_one
SELECT throws_ok($$SELECT pg_temp.start(pg_temp.branches(2), cano.percentage(0.0))$$, 'CN001', NULL,
	'test_percentage_zero: refused with category configuration');
SELECT pg_temp.start(pg_temp.branches(2), cano.percentage(1.0)) AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run), 'completed end [0, 1]', 'test_percentage_one: two of two');
SELECT pg_temp.start(pg_temp.branches(1, 1), cano.percentage(1.0)) AS run \gset
CALL cano.work();
SELECT is(pg_temp.said(:run), 'failed workflow', 'test_percentage_one: one of two is not all');
SELECT throws_ok($$SELECT pg_temp.start(pg_temp.branches(2), cano.percentage(1.5))$$, 'CN001', NULL,
	'test_percentage_over_one: refused with category configuration');
SELECT throws_ok($$SELECT pg_temp.start(pg_temp.branches(2), cano.percentage('NaN'))$$, 'CN001', NULL,
	'test_percentage_over_one: nor a share that is no number');

-- test_quorum_zero
SELECT pg_temp.start(pg_temp.branches(0, 2), cano.quorum(0)) AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run), 'completed end [null, null]', 'test_quorum_zero: met although both fail');
SELECT is(pg_temp.calls('t_split1.calls'), 2::bigint, 'test_quorum_zero: both are called');
SELECT is((SELECT count(*) FROM cano.attempts WHERE run_id = :run AND branch IN (0, 1)), 2::bigint,
	'test_quorum_zero: both failures are on record');

-- test_single_task_register_split
SELECT pg_temp.start(pg_temp.branches(1), cano.all()) AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run), 'completed end [0]', 'test_single_task_register_split: one branch is a split, too');

-- test_split_task_retry_config_honoured
CREATE FUNCTION t_split1.flaky(attempt int, branch int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM nextval('t_split1.calls');
	IF attempt < 3 THEN
		RAISE EXCEPTION 'not yet';
	END IF;
	RETURN 'attempt ' || attempt;
END $$;
SELECT pg_temp.start(ARRAY[cano.branch('t_split1.flaky', retry => cano.fixed(4, '0'))], cano.all()) AS run \gset
CALL cano.work();
SELECT is(pg_temp.story(:run), 'completed end ["attempt 3"]', 'test_split_task_retry_config_honoured: the run succeeds');
SELECT is(pg_temp.calls('t_split1.calls'), 3::bigint, 'test_split_task_retry_config_honoured: after exactly 3 calls');
SELECT is((SELECT attempt FROM cano.branches WHERE run_id = :run), 3, 'test_split_task_retry_config_honoured: the view says so');

-- test_split_task_panic_reports_index_and_payload
CREATE FUNCTION t_split1.panics() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM nextval('t_split1.calls');
	RAISE EXCEPTION 'boom' USING ERRCODE = 'XX000';
END $$;
SELECT pg_temp.start(ARRAY[cano.branch('t_split1.panics')], cano.all()) AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'failed', 'test_split_task_panic_reports_index_and_payload: the run fails');
SELECT matches(pg_temp.error(:run, 'message'), 'task 0.*boom',
	'test_split_task_panic_reports_index_and_payload: the text has the index and the original text');
SELECT is((SELECT concat_ws(' ', status, error ->> 'category', error ->> 'message') FROM cano.branches WHERE run_id = :run),
	'failed task_execution panic: boom', 'test_split_task_panic_reports_index_and_payload: the branch has the error');
SELECT is(pg_temp.calls('t_split1.calls'), 1::bigint, 'test_split_task_panic_reports_index_and_payload: it is not retried');

-- test_split_bulkhead_zero_rejected
SELECT throws_ok($$SELECT pg_temp.start(pg_temp.branches(2), cano.all(), bulkhead => 0)$$, 'CN001', NULL,
	'test_split_bulkhead_zero_rejected: refused with category configuration');

-- what is left of all of them
SELECT is((SELECT count(*) FROM cano._job) + (SELECT count(*) FROM cano._timer), 0::bigint, 'nothing is left to do');
SELECT is((SELECT count(*) FROM cano.dead_letters), 0::bigint, 'a join that fails is no dead letter');

SELECT * FROM finish();
DROP SCHEMA t_split1 CASCADE;
