-- What the reference's tests of the durable runner demand, without those of
-- cancel.  Each description begins with the name of its test.
\ir lib/start.psql
SELECT plan(31);

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

-- single_step_succeeds_and_fires_hook
SELECT cano.define('t_runtime.single', cano.task('a', 't_runtime.done', next => 'end'),
	cano.exit('end')) AS v \gset
SELECT cano.submit('t_runtime.single') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'single_step_succeeds_and_fires_hook: the run succeeds');
SELECT is(cano.result(:run), '{"a": "done"}'::jsonb, 'single_step_succeeds_and_fires_hook: with its result');
SELECT is((SELECT sequence FROM cano.status(:run)), 1::bigint,
	'single_step_succeeds_and_fires_hook: status knows the last sequence');

-- multi_step_run_advances_through_continue
SELECT cano.define('t_runtime.multi', cano.task('a', 't_runtime.step', next => 'b'),
	cano.task('b', 't_runtime.step', next => 'c'), cano.task('c', 't_runtime.step', next => 'end'),
	cano.exit('end')) AS v \gset
SELECT cano.submit('t_runtime.multi') AS run \gset
CALL cano.work(max_steps => 1);
SELECT is(pg_temp.status(:run), 'queued', 'multi_step_run_advances_through_continue: after one step the next is queued');
SELECT is(pg_temp.state(:run), 'b', 'multi_step_run_advances_through_continue: in the next state');
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'multi_step_run_advances_through_continue: succeeded');
SELECT is(cano.result(:run), '{"step": 3}'::jsonb, 'multi_step_run_advances_through_continue: after three steps');

-- permanent_failure_dead_letters_and_fires_hook
SELECT cano.define('t_runtime.raising', cano.task('a', 't_runtime.raises', next => 'end',
		retry => cano.fixed(2, '0')), cano.exit('end')) AS v \gset
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

-- fail_outcome_terminates_run_without_dead_letter
CREATE FUNCTION t_runtime.declines() RETURNS cano.outcome LANGUAGE sql
AS $$SELECT cano.failed('agent declined the task')$$;
SELECT cano.define('t_runtime.declining', cano.task('a', 't_runtime.declines', next => 'end'),
	cano.exit('end')) AS v \gset
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

-- restart_resumes_at_next_step: one worker stops after a step, another goes on
SELECT cano.submit('t_runtime.multi') AS run \gset
CALL cano.work(max_steps => 1);
SELECT is(pg_temp.state(:run), 'b', 'restart_resumes_at_next_step: the first worker finished its step and took no more');
\set ignored `psql -XAqt -d :DBNAME -c "CALL cano.work()"`
SELECT is(pg_temp.status(:run), 'completed', 'restart_resumes_at_next_step: another worker brings it to the end');
SELECT is(cano.result(:run), '{"step": 3}'::jsonb,
	'restart_resumes_at_next_step: with the data of the first step, which did not run again');

-- cancel_outcome_terminates_run_without_dead_letter
CREATE FUNCTION t_runtime.aborts() RETURNS cano.outcome LANGUAGE sql
AS $$SELECT cano.cancelled('upstream aborted')$$;
SELECT cano.define('t_runtime.aborting', cano.task('a', 't_runtime.aborts', next => 'end'),
	cano.exit('end')) AS v \gset
SELECT cano.submit('t_runtime.aborting') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'cancelled', 'cancel_outcome_terminates_run_without_dead_letter: cancelled');
SELECT is((SELECT cancel_reason FROM cano.runs WHERE run_id = :run), 'upstream aborted',
	'cancel_outcome_terminates_run_without_dead_letter: with that reason');
SELECT is(pg_temp.error(:run, 'category') || ': ' || pg_temp.error(:run, 'message'), 'cancelled: upstream aborted',
	'cancel_outcome_terminates_run_without_dead_letter: category cancelled, the reason as message');
SELECT is((SELECT count(*) FROM cano.dead_letters WHERE run_id = :run), 0::bigint,
	'cancel_outcome_terminates_run_without_dead_letter: no dead letter');

-- transient_fires_once_on_single_attempt
ALTER SEQUENCE t_runtime.calls RESTART;
SELECT cano.submit('t_runtime.raising', '{"code": "P0001", "text": "flaky"}', max_attempts => 1) AS run \gset
CALL cano.work();
SELECT is(pg_temp.calls('t_runtime.calls'), 1::bigint, 'transient_fires_once_on_single_attempt: one call');
SELECT is(pg_temp.error(:run, 'message'), 'flaky', 'transient_fires_once_on_single_attempt: failed with its text');
SELECT is(pg_temp.error(:run, 'category'), 'task_execution',
	'transient_fires_once_on_single_attempt: not as retry_exhausted');

-- transient_retries_up_to_max_attempts
ALTER SEQUENCE t_runtime.calls RESTART;
SELECT cano.submit('t_runtime.raising', '{"code": "P0001", "text": "flaky"}', max_attempts => 3) AS run \gset
CALL cano.work();
SELECT is(pg_temp.calls('t_runtime.calls'), 3::bigint, 'transient_retries_up_to_max_attempts: exactly 3 calls');
SELECT matches(pg_temp.error(:run, 'message'), 'after 3 attempts.*flaky',
	'transient_retries_up_to_max_attempts: failed with the number and its text');
SELECT is((SELECT count(*) FROM cano.dead_letters WHERE run_id = :run), 1::bigint,
	'transient_retries_up_to_max_attempts: one dead letter, after the last');

SELECT * FROM finish();
DROP SCHEMA t_runtime CASCADE;
