-- options(on_end): a function that is called once after each end of a run.
\ir lib/start.psql
SELECT plan(48);

CREATE SCHEMA t_hook;
CREATE SEQUENCE t_hook.calls;
CREATE TABLE t_hook.seen (n serial, run_id bigint, status text, result jsonb, error jsonb, final_state text, data jsonb,
	input jsonb, headers jsonb, workflow text, state text, attempt int, idempotency_key text, color text, output jsonb,
	cursor jsonb, signal jsonb, xid xid8 DEFAULT pg_current_xact_id());
CREATE FUNCTION t_hook.note(run_id bigint, status text, result jsonb, error jsonb, final_state text, data jsonb,
	input jsonb, headers jsonb, workflow text, state text, attempt int, idempotency_key text, output jsonb, cursor jsonb,
	signal jsonb, color text DEFAULT 'none')
RETURNS void LANGUAGE sql AS $$
	INSERT INTO t_hook.seen (run_id, status, result, error, final_state, data, input, headers, workflow, state, attempt,
		idempotency_key, color, output, cursor, signal)
	VALUES (run_id, status, result, error, final_state, data, input, headers, workflow, state, attempt, idempotency_key,
		color, output, cursor, signal) $$;
CREATE FUNCTION t_hook.act(what text DEFAULT NULL) RETURNS cano.outcome LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cano.put('kept', '1');
	RETURN CASE what WHEN 'fails' THEN cano.failed('enough') WHEN 'cancels' THEN cano.cancelled('too much')
		ELSE cano.next(what, '{"color": "red"}') END;
END $$;
CREATE FUNCTION t_hook.raises(code text, text text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '%', text USING ERRCODE = code; END $$;
CREATE FUNCTION pg_temp.seen(run bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(' ', s.status, s.final_state, coalesce(s.result::text, 'null'), coalesce(s.error ->> 'message', 'null')), '; ' ORDER BY s.n)
	FROM t_hook.seen s WHERE s.run_id = run $$;

-- what it is given
SELECT cano.define('t_hook.plain', cano.task('a', 't_hook.act', targets => ARRAY['good', 'bad', 'off', 'wait'], next => 'good'),
	cano.receive('wait', signal => 'go', next => 'good'), cano.exit('good'), cano.exit('bad', 'failed'), cano.exit('off', 'cancelled'),
	cano.options(on_end => 't_hook.note', timeout => '1 h')) AS v \gset
SELECT cano.submit('t_hook.plain', '{"x": 1}', headers => '{"trace": "abc"}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.seen(:run), 'completed good {"x": 1, "color": "red"} null', 'it is called with status, result, error and final_state');
SELECT is(s.data, cano.result(:run), 'data is the data at the end') FROM t_hook.seen s WHERE run_id = :run;
SELECT is(input, '{"x": 1}', 'input is the input') FROM t_hook.seen WHERE run_id = :run;
SELECT is(headers, '{"trace": "abc"}', 'headers are those of the submission') FROM t_hook.seen WHERE run_id = :run;
SELECT is(concat_ws(' ', workflow, state, attempt), 't_hook.plain good 1', 'workflow, state, attempt') FROM t_hook.seen WHERE run_id = :run;
SELECT is(color, 'red', 'other parameters are keys of the data') FROM t_hook.seen WHERE run_id = :run;
SELECT is(concat(output, cursor, signal), '', 'other reserved names are null') FROM t_hook.seen WHERE run_id = :run;
SELECT cmp_ok(s.xid, '>', r.xmin::text::xid8, 'it is called after the end has committed')
FROM t_hook.seen s JOIN cano._run r ON r.id = s.run_id WHERE s.run_id = :run;

-- every ending
SELECT cano.submit('t_hook.plain', '{"what": "bad"}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.seen(:run), 'failed bad null run reached exit "bad", whose outcome is "failed"', 'an exit that fails');
SELECT is((SELECT error FROM t_hook.seen WHERE run_id = :run), (SELECT error FROM cano.runs WHERE run_id = :run), 'the error is the run''s');
SELECT cano.submit('t_hook.plain', '{"what": "off"}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.seen(:run), 'cancelled off null run reached exit "off", whose outcome is "cancelled"', 'an exit that cancels');
SELECT cano.submit('t_hook.plain', '{"what": "fails"}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.seen(:run), 'failed a null enough', 'a verdict');
SELECT cano.submit('t_hook.plain', '{"what": "cancels"}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.seen(:run), 'cancelled a null too much', 'a cancellation from inside');
SELECT cano.submit('t_hook.plain', '{"what": "wait"}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.seen(:run), NULL, 'not while the run waits');
SELECT cano.cancel(:run, 'no more') AS cancelled \gset
SELECT is(pg_temp.seen(:run), NULL, 'nor while it is cancelling');
CALL cano.work();
SELECT is(pg_temp.seen(:run), 'cancelled wait null no more', 'a cancellation from outside');
SELECT is(cano.cancel(:run), false, 'which is over');
SELECT cano.submit('t_hook.plain', '{"what": "wait"}') AS run \gset
SELECT cano.submit('t_hook.plain', '{"what": "wait"}') AS signalled \gset
CALL cano.work();
SELECT cano.signal(:signalled, 'go', '"there"') AS sent \gset
CALL cano.work();
SELECT is((SELECT signal FROM t_hook.seen WHERE run_id = :signalled), '"there"', 'signal is the latest received');
SELECT pg_temp.later('2 h');
CALL cano.work();
SELECT matches(pg_temp.seen(:run), '^failed wait null Workflow timeout', 'a run whose time is over');
SELECT cano.define('t_hook.exit', cano.exit('end'), cano.options(on_end => 't_hook.note')) AS v \gset
SELECT cano.submit('t_hook.exit') AS run \gset
CALL cano.work();
SELECT is(pg_temp.seen(:run), 'completed end {} null', 'a run of nothing but an exit');

-- a run that is rolled back has ended when that is over
CREATE FUNCTION t_hook.undo(run_id bigint) RETURNS void LANGUAGE sql AS $$
	INSERT INTO t_hook.seen (run_id, status, final_state) VALUES (run_id, 'undone', 'a') $$;
SELECT cano.define('t_hook.saga', cano.task('a', 't_hook.act', next => 'b', compensate => 't_hook.undo'),
	cano.task('b', 't_hook.raises', next => 'end', retry => cano.none()), cano.exit('end'),
	cano.options(on_end => 't_hook.note')) AS v \gset
SELECT cano.submit('t_hook.saga', '{"code": "P0001", "text": "b fails"}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.seen(:run), 'undone a null null; failed b null b fails', 'it is called after the compensations');

-- its own errors
CREATE FUNCTION t_hook.stumbles(run_id bigint, status text, attempt int, color text, times int DEFAULT 99) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM nextval('t_hook.calls');
	INSERT INTO t_hook.seen (run_id, status, attempt, color) VALUES (run_id, status, attempt, color);
	IF attempt <= times THEN
		RAISE EXCEPTION 'hook attempt %', attempt;
	END IF;
END $$;
SELECT cano.define('t_hook.stumbling', cano.task('a', 't_hook.act', next => 'good', targets => ARRAY['bad']), cano.exit('good'), cano.exit('bad', 'failed'),
	cano.options(on_end => 't_hook.stumbles', retry => cano.fixed(2, '1 day'), timeout => '1 h')) AS v \gset
SELECT cano.submit('t_hook.stumbling', '{"times": 2}', max_attempts => 1) AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'the run has ended');
SELECT is(pg_temp.calls('t_hook.calls'), 1::bigint, 'its hook was called');
SELECT is((SELECT count(*) FROM t_hook.seen WHERE run_id = :run), 0::bigint, 'and what it did is rolled back');
SELECT is(cano.cancel(:run), false, 'nothing is there to be cancelled');
SELECT pg_temp.later('25 h');
CALL cano.work();
SELECT is(pg_temp.calls('t_hook.calls'), 2::bigint, 'it is tried again by the workflow''s policy, whatever the run''s timeout and attempts');
SELECT pg_temp.later('25 h');
CALL cano.work();
SELECT is((SELECT string_agg(concat_ws(' ', status, attempt, color), '; ') FROM t_hook.seen WHERE run_id = :run), 'completed 3 red', 'until it succeeds');
SELECT is((SELECT string_agg(concat_ws(' ', state, task, attempt, message), '; ' ORDER BY attempt) FROM cano.attempts WHERE run_id = :run),
	'good t_hook.stumbles 1 hook attempt 1; good t_hook.stumbles 2 hook attempt 2', 'its failures are recorded');
SELECT cano.submit('t_hook.stumbling', '{"what": "bad"}') AS run \gset
CALL cano.work();
SELECT pg_temp.later('25 h');
CALL cano.work();
SELECT pg_temp.later('25 h');
CALL cano.work();
SELECT is((SELECT count(*) FROM cano.attempts WHERE run_id = :run), 3::bigint, 'or its attempts are used up');
SELECT is(concat_ws(' ', status, state, error ->> 'message'), 'failed bad run reached exit "bad", whose outcome is "failed"', 'which changes nothing about the run')
FROM cano.status(:run);
SELECT is((SELECT count(*) FROM cano.dead_letters WHERE run_id = :run), 0::bigint, 'nor makes it a dead letter');
SELECT is((SELECT count(*) FROM cano._job) + (SELECT count(*) FROM cano._timer), 0::bigint, 'nothing is left to do');

-- what it may return, and ask
CREATE FUNCTION t_hook.asks(error jsonb) RETURNS cano.outcome LANGUAGE plpgsql AS $$
BEGIN
	PERFORM nextval('t_hook.calls');
	INSERT INTO t_hook.seen (run_id, status, data, result, final_state, idempotency_key)
	VALUES (cano.run_id(), 'asked', cano.data(), cano.get('kept'), cano.state(), cano.idempotency_key());
	IF cano.cancel(cano.run_id()) THEN
		RAISE 'cancelled';
	END IF;
	RETURN CASE cano.data() ->> 'return' WHEN 'next' THEN cano.next('nowhere', '{"out": 1}') WHEN 'failed' THEN cano.failed('hook says no')
		WHEN 'more' THEN cano.more('1') END;
END $$;
SELECT cano.define('t_hook.asking', cano.task('a', 't_hook.act', next => 'end'), cano.exit('end'), cano.options(on_end => 't_hook.asks')) AS v \gset
ALTER SEQUENCE t_hook.calls RESTART;
SELECT cano.submit('t_hook.asking', '{"return": "next"}') AS run \gset
CALL cano.work();
SELECT is((SELECT concat_ws(' ', status, data, result, final_state) FROM t_hook.seen WHERE run_id = :run),
	'asked {"color": "red", "return": "next"} 1 end', 'it may ask what tasks may ask');
SELECT is(cano.result(:run), '{"color": "red", "return": "next"}', 'what it returns changes nothing');
SELECT cano.submit('t_hook.asking', '{"return": "failed"}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run) || (SELECT count(*) FROM t_hook.seen WHERE run_id = :run) || (SELECT count(*) FROM cano.attempts WHERE run_id = :run),
	'completed10', 'it may say that it failed, and is not called again');
SELECT cano.submit('t_hook.asking', '{"return": "more"}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run) || (SELECT count(*) FROM t_hook.seen WHERE run_id = :run), 'completed0', 'an outcome that it cannot have is rolled back');
SELECT matches((SELECT message FROM cano.attempts WHERE run_id = :run), 'does not know: more', 'and recorded');
SELECT is(pg_temp.calls('t_hook.calls'), 3::bigint, 'each was called once');
SELECT is((SELECT count(DISTINCT idempotency_key) FROM t_hook.seen WHERE status = 'asked'), 2::bigint, 'each with an idempotency key of its own');

-- a child's, and that of one who waits for it
SELECT cano.define('t_hook.parent', cano.child('c', 't_hook.plain', next => 'end'), cano.exit('end'), cano.options(on_end => 't_hook.note')) AS v \gset
SELECT cano.submit('t_hook.parent', '{"x": 2}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.seen(:run), 'completed end {"x": 2, "color": "red"} null', 'a parent''s hook');
SELECT is((SELECT pg_temp.seen(run_id) FROM cano.runs WHERE parent_run_id = :run), 'completed good {"x": 2, "color": "red"} null', 'and its child''s');

-- in a session
TRUNCATE t_hook.seen;
CALL cano.orchestrate('t_hook.plain', '{"x": 3}');
SELECT is((SELECT string_agg(status, ',') FROM t_hook.seen), 'completed', 'orchestrate calls it, too');
CALL cano.orchestrate('t_hook.parent', '{"x": 3}');
SELECT is((SELECT string_agg(status, ',') FROM t_hook.seen), 'completed,completed,completed', 'and those of children');
\set ON_ERROR_STOP off
CALL cano.orchestrate('t_hook.plain', '{"what": "bad"}');
\set ON_ERROR_STOP on
SELECT is((SELECT status FROM t_hook.seen ORDER BY n DESC LIMIT 1), 'failed', 'also before it raises the run''s error');
SELECT cano.define('t_hook.soon', cano.exit('end'), cano.options(on_end => 't_hook.stumbles', retry => cano.fixed(1, '50 ms'))) AS v \gset
CALL cano.orchestrate('t_hook.soon', '{"times": 1, "color": "x"}');
SELECT is((SELECT concat_ws(' ', status, attempt) FROM t_hook.seen ORDER BY n DESC LIMIT 1), 'completed 2', 'and waits for its retries');

-- definitions
SELECT throws_ok($$SELECT cano.define('t_hook.bad', cano.exit('end'), cano.options(on_end => 't_hook.nothing'))$$, 'CN001', NULL, 'it must exist');
CREATE FUNCTION t_hook.plain(status text, error text) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('was', status || error) $$;
SELECT cano.define('t_hook.names', cano.task('a', 't_hook.plain', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_hook.names', '{"status": "my ", "error": "own"}') AS run \gset
CALL cano.work();
SELECT is(cano.result(:run) ->> 'was', 'my own', 'the names reserved for it are keys of the data elsewhere');
SELECT is((SELECT count(*) FROM cano._job) + (SELECT count(*) FROM cano._timer), 0::bigint, 'nothing is left to do');

SELECT * FROM finish();
DROP SCHEMA t_hook CASCADE;
