-- What the reference's tests of the durable runner demand; those that cancel a
-- step while it runs are in ../t/045_hooks.pl.  Each description begins with
-- the name of its test.
\ir lib/start.psql
SELECT plan(52);

CREATE SCHEMA t_runtime;
CREATE SEQUENCE t_runtime.calls;
CREATE FUNCTION t_runtime.done() RETURNS text LANGUAGE sql AS $$SELECT 'done'::text$$;
CREATE FUNCTION t_runtime.step(step int DEFAULT 0) RETURNS jsonb LANGUAGE sql
AS $$SELECT jsonb_build_object('step', step + 1)$$;
CREATE FUNCTION t_runtime.raises(code text, text text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM nextval('t_runtime.calls');
	RAISE EXCEPTION '%', text USING ERRCODE = code;
END $$;

-- The hook of all of these workflows, and what it was told.
CREATE TABLE t_runtime.told (run_id bigint, status text, result jsonb, error jsonb, final_state text, headers jsonb, sequence bigint);
CREATE FUNCTION t_runtime.tell(run_id bigint, status text, result jsonb, error jsonb, final_state text, headers jsonb)
RETURNS void LANGUAGE sql AS $$
	INSERT INTO t_runtime.told VALUES (run_id, status, result, error, final_state, headers, (SELECT s.sequence FROM cano.status(run_id) s)) $$;
CREATE FUNCTION pg_temp.told(run bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(' ', t.status, coalesce(t.result::text, 'null'), coalesce(t.error ->> 'message', 'null'), t.final_state, t.sequence), '; ')
	FROM t_runtime.told t WHERE t.run_id = run $$;

-- single_step_succeeds_and_fires_hook
SELECT cano.define('t_runtime.single', cano.task('a', 't_runtime.done', next => 'end'),
	cano.exit('end'), cano.options(on_end => 't_runtime.tell')) AS v \gset
SELECT cano.submit('t_runtime.single') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'single_step_succeeds_and_fires_hook: the run succeeds');
SELECT is(cano.result(:run), '{"a": "done"}'::jsonb, 'single_step_succeeds_and_fires_hook: with its result');
SELECT is((SELECT sequence FROM cano.status(:run)), 1::bigint,
	'single_step_succeeds_and_fires_hook: status knows the last sequence');
SELECT is(pg_temp.told(:run), 'completed {"a": "done"} null end 1', 'single_step_succeeds_and_fires_hook: the hook was told so, once');

-- multi_step_run_advances_through_continue
SELECT cano.define('t_runtime.multi', cano.task('a', 't_runtime.step', next => 'b'),
	cano.task('b', 't_runtime.step', next => 'c'), cano.task('c', 't_runtime.step', next => 'end'),
	cano.exit('end'), cano.options(on_end => 't_runtime.tell')) AS v \gset
SELECT cano.submit('t_runtime.multi') AS run \gset
CALL cano.work(max_steps => 1);
SELECT is(pg_temp.status(:run), 'queued', 'multi_step_run_advances_through_continue: after one step the next is queued');
SELECT is(pg_temp.state(:run), 'b', 'multi_step_run_advances_through_continue: in the next state');
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'multi_step_run_advances_through_continue: succeeded');
SELECT is(cano.result(:run), '{"step": 3}'::jsonb, 'multi_step_run_advances_through_continue: after three steps');
SELECT is(pg_temp.told(:run), 'completed {"step": 3} null end 3', 'multi_step_run_advances_through_continue: the hook was told so, once');

-- permanent_failure_dead_letters_and_fires_hook
SELECT cano.define('t_runtime.raising', cano.task('a', 't_runtime.raises', next => 'end',
		retry => cano.fixed(2, '0')), cano.exit('end'), cano.options(on_end => 't_runtime.tell')) AS v \gset
SELECT cano.submit('t_runtime.raising', '{"code": "CN900", "text": "nope"}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'failed', 'permanent_failure_dead_letters: the run fails');
SELECT is(pg_temp.error(:run, 'message'), 'nope', 'permanent_failure_dead_letters: with the error given');
SELECT is(pg_temp.error(:run, 'category'), 'permanent', 'permanent_failure_dead_letters: category permanent');
SELECT is(pg_temp.calls('t_runtime.calls'), 1::bigint, 'permanent_failure_dead_letters: one call');
SELECT is((SELECT dead FROM cano.queue_stats WHERE workflow = 't_runtime.raising'), 1::bigint,
	'permanent_failure_dead_letters: queue stats say dead = 1');
SELECT is((SELECT count(*) FROM cano.dead_letters WHERE run_id = :run), 1::bigint,
	'permanent_failure_dead_letters: and it is among the dead letters');
SELECT is(pg_temp.told(:run), 'failed null nope a 0', 'permanent_failure_dead_letters_and_fires_hook: the hook was told so, once');

-- fail_outcome_terminates_run_without_dead_letter
CREATE FUNCTION t_runtime.declines() RETURNS cano.outcome LANGUAGE sql
AS $$SELECT cano.failed('agent declined the task')$$;
SELECT cano.define('t_runtime.declining', cano.task('a', 't_runtime.declines', next => 'end'),
	cano.exit('end'), cano.options(on_end => 't_runtime.tell')) AS v \gset
SELECT cano.submit('t_runtime.declining') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'failed', 'fail_outcome_terminates_run_without_dead_letter: failed');
SELECT is(pg_temp.error(:run, 'message'), 'agent declined the task',
	'fail_outcome_terminates_run_without_dead_letter: with that reason');
SELECT is(pg_temp.error(:run, 'category'), 'task_execution',
	'fail_outcome_terminates_run_without_dead_letter: category task_execution');
SELECT is((SELECT count(*) FROM cano.dead_letters WHERE run_id = :run), 0::bigint,
	'fail_outcome_terminates_run_without_dead_letter: no dead letter');
SELECT is(coalesce((SELECT dead FROM cano.queue_stats WHERE workflow = 't_runtime.declining'), 0), 0::bigint,
	'fail_outcome_terminates_run_without_dead_letter: stats say dead = 0');
SELECT is(pg_temp.told(:run), 'failed null agent declined the task a 0',
	'fail_outcome_terminates_run_without_dead_letter: the hook was told so, once');

-- user_headers_thread_through_to_terminal_hook
SELECT cano.submit('t_runtime.multi', headers => '{"trace_id": "abc", "tenant": "acme"}') AS run \gset
CALL cano.work();
SELECT is((SELECT array_agg(headers) FROM t_runtime.told WHERE run_id = :run), ARRAY['{"trace_id": "abc", "tenant": "acme"}']::jsonb[],
	'user_headers_thread_through_to_terminal_hook: the hook has these headers and no others');

-- restart_resumes_at_next_step: one worker stops after a step, another goes on
SELECT cano.submit('t_runtime.multi') AS run \gset
CALL cano.work(max_steps => 1);
SELECT is(pg_temp.state(:run), 'b', 'restart_resumes_at_next_step: the first worker finished its step and took no more');
\set ignored `psql -XAqt -d :DBNAME -c "CALL cano.work()"`
SELECT is(pg_temp.status(:run), 'completed', 'restart_resumes_at_next_step: another worker brings it to the end');
SELECT is(cano.result(:run), '{"step": 3}'::jsonb,
	'restart_resumes_at_next_step: with the data of the first step, which did not run again');
SELECT is(pg_temp.told(:run), 'completed {"step": 3} null end 3', 'restart_resumes_at_next_step: the hook was told so, once');

-- cancel_outcome_terminates_run_without_dead_letter
CREATE FUNCTION t_runtime.aborts() RETURNS cano.outcome LANGUAGE sql
AS $$SELECT cano.cancelled('upstream aborted')$$;
SELECT cano.define('t_runtime.aborting', cano.task('a', 't_runtime.aborts', next => 'end'),
	cano.exit('end'), cano.options(on_end => 't_runtime.tell')) AS v \gset
SELECT cano.submit('t_runtime.aborting') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'cancelled', 'cancel_outcome_terminates_run_without_dead_letter: cancelled');
SELECT is((SELECT cancel_reason FROM cano.runs WHERE run_id = :run), 'upstream aborted',
	'cancel_outcome_terminates_run_without_dead_letter: with that reason');
SELECT is(pg_temp.error(:run, 'category') || ': ' || pg_temp.error(:run, 'message'), 'cancelled: upstream aborted',
	'cancel_outcome_terminates_run_without_dead_letter: category cancelled, the reason as message');
SELECT is((SELECT count(*) FROM cano.dead_letters WHERE run_id = :run), 0::bigint,
	'cancel_outcome_terminates_run_without_dead_letter: no dead letter');
SELECT is(pg_temp.told(:run), 'cancelled null upstream aborted a 0',
	'cancel_outcome_terminates_run_without_dead_letter: the hook was told so, once');

-- cancel_pending_run_fires_cancelled_hook, double_cancel_fires_hook_once_and_second_call_returns_false
ALTER SEQUENCE t_runtime.calls RESTART;
SELECT cano.submit('t_runtime.raising', '{"code": "CN900", "text": "nope"}', headers => '{"tenant": "acme"}') AS run \gset
SELECT is(pg_temp.status(:run), 'queued', 'cancel_pending_run_fires_cancelled_hook: the run is pending');
SELECT is(cano.cancel(:run), true, 'cancel_pending_run_fires_cancelled_hook: it can be cancelled');
CALL cano.work();
SELECT is(pg_temp.status(:run), 'cancelled', 'cancel_pending_run_fires_cancelled_hook: it is');
SELECT is(pg_temp.told(:run), 'cancelled null cancelled a 0', 'cancel_pending_run_fires_cancelled_hook: the hook was told so');
SELECT is((SELECT cancel_reason FROM cano.status(:run)), NULL, 'cancel_pending_run_fires_cancelled_hook: there is no reason');
SELECT is((SELECT headers FROM t_runtime.told WHERE run_id = :run), '{"tenant": "acme"}', 'cancel_pending_run_fires_cancelled_hook: with the headers');
SELECT is(pg_temp.calls('t_runtime.calls'), 0::bigint, 'cancel_pending_run_fires_cancelled_hook: the step was never called');
SELECT is((SELECT count(*) FROM cano.dead_letters WHERE run_id = :run) + (SELECT count(*) FROM cano._job) + (SELECT count(*) FROM cano._timer), 0::bigint,
	'cancel_pending_run_fires_cancelled_hook: nothing is dead or pending');
SELECT is(cano.cancel(:run), false, 'double_cancel_fires_hook_once_and_second_call_returns_false: cancelled again');
CALL cano.work();
SELECT is((SELECT count(*) FROM t_runtime.told WHERE run_id = :run), 1::bigint, 'double_cancel_fires_hook_once_and_second_call_returns_false: one hook');

-- cancel_after_run_already_terminated_returns_false
SELECT cano.submit('t_runtime.single') AS run \gset
CALL cano.work();
SELECT is(cano.cancel(:run), false, 'cancel_after_run_already_terminated_returns_false: it does');
CALL cano.work();
SELECT is((SELECT count(*) FROM t_runtime.told WHERE run_id = :run), 1::bigint, 'cancel_after_run_already_terminated_returns_false: no further hook');

-- transient_fires_once_on_single_attempt
ALTER SEQUENCE t_runtime.calls RESTART;
SELECT cano.submit('t_runtime.raising', '{"code": "P0001", "text": "flaky"}', max_attempts => 1) AS run \gset
CALL cano.work();
SELECT is(pg_temp.calls('t_runtime.calls'), 1::bigint, 'transient_fires_once_on_single_attempt: one call');
SELECT is(pg_temp.error(:run, 'message'), 'flaky', 'transient_fires_once_on_single_attempt: failed with its text');
SELECT is(pg_temp.error(:run, 'category'), 'task_execution',
	'transient_fires_once_on_single_attempt: not as retry_exhausted');
SELECT is(pg_temp.told(:run), 'failed null flaky a 0', 'transient_fires_once_on_single_attempt: the hook was told so, once');

-- transient_retries_up_to_max_attempts
ALTER SEQUENCE t_runtime.calls RESTART;
SELECT cano.submit('t_runtime.raising', '{"code": "P0001", "text": "flaky"}', max_attempts => 3) AS run \gset
CALL cano.work();
SELECT is(pg_temp.calls('t_runtime.calls'), 3::bigint, 'transient_retries_up_to_max_attempts: exactly 3 calls');
SELECT matches(pg_temp.error(:run, 'message'), 'after 3 attempts.*flaky',
	'transient_retries_up_to_max_attempts: failed with the number and its text');
SELECT is((SELECT count(*) FROM cano.dead_letters WHERE run_id = :run), 1::bigint,
	'transient_retries_up_to_max_attempts: one dead letter, after the last');
SELECT is(pg_temp.told(:run), 'failed null task "t_runtime.raises" failed after 3 attempts: flaky a 0',
	'transient_retries_up_to_max_attempts: the hook was told so once, after the last');

SELECT * FROM finish();
DROP SCHEMA t_runtime CASCADE;
