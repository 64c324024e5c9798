-- What the reference's tests of checkpoints and compensation demand, as far as
-- the rows of runs go; what they demand of rolling back is in
-- reference_rollback, of resuming in reference_resume.  Each description begins
-- with the name of its test.
\ir lib/start.psql
SELECT plan(42);

CREATE SCHEMA t_checkpoint;
CREATE FUNCTION t_checkpoint.ok() RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION t_checkpoint.route() RETURNS text LANGUAGE sql AS $$SELECT 'Process'$$;
CREATE FUNCTION t_checkpoint.fails() RETURNS void LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'forward failed'; END $$;
-- The log of a run: sequence, kind, state and output of each row.
CREATE FUNCTION pg_temp.log(run bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(' ', c.sequence, c.kind, c.state, c.output), ', ' ORDER BY c.sequence)
	FROM cano.checkpoints AS c WHERE c.run_id = $1 $$;

-- checkpoint_row_written_for_each_state_entered
SELECT cano.define('t_checkpoint.linear',
	cano.task('Start', 't_checkpoint.ok', next => 'Process'),
	cano.task('Process', 't_checkpoint.ok', next => 'Complete'),
	cano.exit('Complete')) AS v \gset
SELECT cano.submit('t_checkpoint.linear') AS run \gset
SELECT is(pg_temp.rows(:run), '0 Start',
	'checkpoint_row_written_for_each_state_entered: the first row is there before the first task runs');
CALL cano.work();
SELECT is(pg_temp.rows(:run), '0 Start, 1 Process, 2 Complete',
	'checkpoint_row_written_for_each_state_entered: exactly these rows');
SELECT results_eq(format('SELECT task FROM cano.checkpoints WHERE run_id = %s ORDER BY sequence', :run),
	ARRAY['t_checkpoint.ok', 't_checkpoint.ok', NULL],
	'checkpoint_row_written_for_each_state_entered: the task is filled for the first two, not for the exit');
SELECT is((SELECT count(*) FROM cano.checkpoints WHERE run_id = :run AND kind <> 'state_entry'), 0::bigint,
	'checkpoint_row_written_for_each_state_entered: no rows of other kinds');
SELECT ok((SELECT bool_and(cleared) FROM cano.checkpoints WHERE run_id = :run),
	'checkpoint_row_written_for_each_state_entered: after success the log is cleared');
SELECT ok((SELECT cleared FROM cano.runs WHERE run_id = :run),
	'checkpoint_row_written_for_each_state_entered: and the run says so');

-- router_state_produces_no_checkpoint_row_and_sequences_are_dense
SELECT cano.define('t_checkpoint.routed',
	cano.router('Start', 't_checkpoint.route', targets => ARRAY['Process']),
	cano.task('Process', 't_checkpoint.ok', next => 'Complete'),
	cano.exit('Complete')) AS v \gset
SELECT cano.submit('t_checkpoint.routed') AS run \gset
SELECT is((SELECT count(*) FROM cano.checkpoints WHERE run_id = :run), 0::bigint,
	'router_state_produces_no_checkpoint_row: nothing before the router has chosen');
SELECT is(pg_temp.state(:run), 'Start', 'router_state_produces_no_checkpoint_row: the run stands in the router');
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'router_state_produces_no_checkpoint_row: the run succeeds');
SELECT is(pg_temp.rows(:run), '0 Process, 1 Complete',
	'router_state_produces_no_checkpoint_row_and_sequences_are_dense: exactly these rows');

-- a router between two tasks does not make a gap either
SELECT cano.define('t_checkpoint.router_inside',
	cano.task('Start', 't_checkpoint.ok', next => 'Choose'),
	cano.router('Choose', 't_checkpoint.route', targets => ARRAY['Process', 'Complete']),
	cano.task('Process', 't_checkpoint.ok', next => 'Complete'),
	cano.exit('Complete')) AS v \gset
SELECT cano.submit('t_checkpoint.router_inside') AS run \gset
CALL cano.work();
SELECT is(pg_temp.rows(:run), '0 Start, 1 Process, 2 Complete',
	'sequences_are_dense: also with a router between two tasks');

-- many_workflows_share_one_store_without_cross_talk
CREATE TEMP TABLE many AS
SELECT cano.submit('t_checkpoint.linear', jsonb_build_object('n', n)) AS run FROM generate_series(1, 16) AS n;
CALL cano.work();
SELECT is((SELECT count(*) FROM many WHERE pg_temp.status(run) = 'completed'), 16::bigint,
	'many_workflows_share_one_store_without_cross_talk: all 16 runs succeed');
SELECT is((SELECT count(*) FROM many WHERE pg_temp.rows(run) = '0 Start, 1 Process, 2 Complete'), 16::bigint,
	'many_workflows_share_one_store_without_cross_talk: each wrote exactly its own rows');
SELECT ok((SELECT bool_and(c.cleared) FROM cano.checkpoints AS c JOIN many ON many.run = c.run_id),
	'many_workflows_share_one_store_without_cross_talk: all logs end cleared');

-- racing_runs_of_one_id_..., fresh_run_over_an_uncleared_log_is_rejected: ids
-- are made by the engine; the caller's own id is the key
SELECT cano.submit('t_checkpoint.linear', '{"x": 1}', key => 'one') AS run \gset
SELECT is(cano.submit('t_checkpoint.linear', '{"x": 1}', key => 'one'), :run::bigint,
	'racing_runs_of_one_id_never_corrupt: a second start of a live key is the same run');
SELECT throws_ok($$SELECT cano.submit('t_checkpoint.linear', '{"x": 2}', key => 'one')$$, 'CN409', NULL,
	'fresh_run_over_an_uncleared_log_is_rejected: another input under a live key is refused');
CALL cano.work();
SELECT is(pg_temp.rows(:run), '0 Start, 1 Process, 2 Complete',
	'fresh_run_over_an_uncleared_log_is_rejected: the refusal left the rows alone');
SELECT isnt(cano.submit('t_checkpoint.linear', '{"x": 2}', key => 'one'), :run::bigint,
	'racing_runs_of_one_id_...: a key is free again when its run has ended');
CALL cano.work();

-- empty_compensation_stack_failure_keeps_the_log_for_resume
SELECT cano.define('t_checkpoint.failing',
	cano.task('Start', 't_checkpoint.fails', next => 'Complete', retry => cano.none()),
	cano.exit('Complete')) AS v \gset
SELECT cano.submit('t_checkpoint.failing') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'failed',
	'empty_compensation_stack_failure_keeps_the_log_for_resume: the run fails');
SELECT is(pg_temp.error(:run, 'category'), 'task_execution',
	'empty_compensation_stack_failure_keeps_the_log_for_resume: with the task''s own error');
SELECT is(pg_temp.error(:run, 'message'), 'forward failed',
	'empty_compensation_stack_failure_keeps_the_log_for_resume: unchanged');
SELECT is((SELECT count(*) FROM cano.checkpoints WHERE run_id = :run), 1::bigint,
	'empty_compensation_stack_failure_keeps_the_log_for_resume: exactly 1 row');
SELECT ok((SELECT NOT bool_or(cleared) FROM cano.checkpoints WHERE run_id = :run),
	'empty_compensation_stack_failure_keeps_the_log_for_resume: the log is kept');
SELECT is((SELECT rollback FROM cano.runs WHERE run_id = :run), 'none',
	'empty_compensation_stack_failure_keeps_the_log_for_resume: nothing was rolled back');

-- workflow_version_is_stamped_on_every_appended_row
SELECT cano.define('t_checkpoint.versions', cano.task('Start', 't_checkpoint.ok', next => 'End'),
	cano.exit('End')) AS one \gset
SELECT cano.define('t_checkpoint.versions', cano.task('Start', 't_checkpoint.ok', next => 'Finish'),
	cano.exit('Finish')) AS two \gset
SELECT is(:one, 1, 'workflow_version_is_stamped: versions start at 1');
SELECT is(:two, 2, 'workflow_version_is_stamped: other content is the next version');
SELECT cano.submit('t_checkpoint.versions') AS new \gset
SELECT cano.submit('t_checkpoint.versions', version => 1) AS old \gset
CALL cano.work();
SELECT results_eq(format('SELECT DISTINCT version FROM cano.checkpoints WHERE run_id = %s', :new), ARRAY[2],
	'workflow_version_is_stamped_on_every_appended_row: the current version');
SELECT results_eq(format('SELECT DISTINCT version FROM cano.checkpoints WHERE run_id = %s', :old), ARRAY[1],
	'workflow_version_is_stamped_on_every_appended_row: an older version that was asked for');
SELECT is(pg_temp.rows(:old), '0 Start, 1 End', 'an old version runs as it was defined');

-- checkpoint_append_and_clear_counters_on_successful_run: the rows
SELECT ok((SELECT count(*) > 0 AND bool_and(cleared) FROM cano.checkpoints WHERE run_id = :new),
	'checkpoint_append_and_clear_counters_on_successful_run: rows were written, then cleared');

-- split_state_writes_a_single_checkpoint_row
SELECT cano.define('t_checkpoint.split',
	cano.split('Start', array_fill('t_checkpoint.ok'::text, ARRAY[5]), next => 'Complete'), cano.exit('Complete')) AS v \gset
SELECT cano.submit('t_checkpoint.split') AS run \gset
CALL cano.work();
SELECT is(pg_temp.log(:run), '0 state_entry Start, 1 state_entry Complete',
	'split_state_writes_a_single_checkpoint_row: one row for five branches, and one for the exit');
SELECT is((SELECT count(task) FROM cano.checkpoints WHERE run_id = :run), 0::bigint,
	'split_state_writes_a_single_checkpoint_row: neither names a task');
SELECT is((SELECT count(*) FROM cano.branches WHERE run_id = :run AND status = 'completed'), 5::bigint,
	'split_state_writes_a_single_checkpoint_row: although all five ran');

-- checkpoint_requires_workflow_id_on_orchestrate: every run has an id and a
-- log, also one that is run to its end at once
CALL cano.orchestrate('t_checkpoint.linear', '{"orchestrated": true}', NULL) \gset x_
SELECT run_id AS run FROM cano.runs WHERE input ? 'orchestrated' \gset
SELECT is(pg_temp.log(:run), '0 state_entry Start, 1 state_entry Process, 2 state_entry Complete',
	'checkpoint_requires_workflow_id_on_orchestrate: there is an id, and its rows');

-- cross_model_chain_router_poll_batch_stepped_interop
CREATE SEQUENCE t_checkpoint.asks;
CREATE FUNCTION t_checkpoint.go_wait() RETURNS text LANGUAGE sql AS $$ SELECT 'Wait' $$;
CREATE FUNCTION t_checkpoint.second_time() RETURNS cano.outcome LANGUAGE sql AS $$
	SELECT CASE WHEN nextval('t_checkpoint.asks') < 2 THEN cano.pending('0') ELSE cano.next() END $$;
CREATE FUNCTION t_checkpoint.one_to_three() RETURNS SETOF int LANGUAGE sql AS 'SELECT generate_series(1, 3)';
CREATE FUNCTION t_checkpoint.square(item int) RETURNS int LANGUAGE sql AS 'SELECT item * item';
CREATE FUNCTION t_checkpoint.sum(outputs jsonb) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('sum', sum((o ->> 'ok')::int)) FROM jsonb_array_elements(outputs) AS o $$;
CREATE FUNCTION t_checkpoint.grind(cursor int, target int DEFAULT 4) RETURNS cano.outcome LANGUAGE plpgsql AS $$
DECLARE
	v_next int := coalesce(cursor, 0) + 1;
BEGIN
	RETURN CASE WHEN v_next >= target THEN cano.next() ELSE cano.more(to_jsonb(v_next)) END;
END $$;
SELECT cano.define('t_checkpoint.chain',
	cano.router('Start', 't_checkpoint.go_wait', targets => ARRAY['Wait']),
	cano.poll('Wait', 't_checkpoint.second_time', next => 'Crunch'),
	cano.batch('Crunch', load => 't_checkpoint.one_to_three', process => 't_checkpoint.square', finish => 't_checkpoint.sum',
		concurrency => 4, next => 'Grind'),
	cano.stepped('Grind', 't_checkpoint.grind', next => 'Done'), cano.exit('Done')) AS v \gset
SELECT cano.submit('t_checkpoint.chain') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'cross_model_chain_router_poll_batch_stepped_interop: the run succeeds');
SELECT is(cano.result(:run) ->> 'sum', '14', 'cross_model_chain_router_poll_batch_stepped_interop: with the sum of the squares');
SELECT is(pg_temp.log(:run), '0 state_entry Wait, 1 state_entry Crunch, 2 state_entry Grind, 3 step_cursor Grind 1, '
	'4 step_cursor Grind 2, 5 step_cursor Grind 3, 6 state_entry Done',
	'cross_model_chain_router_poll_batch_stepped_interop: dense rows, none of the router, cursors of the stepped state');
SELECT is(pg_sequence_last_value('t_checkpoint.asks'), 2::bigint,
	'cross_model_chain_router_poll_batch_stepped_interop: it was ready when asked again');

-- stepped_forward_run_writes_cursor_rows_and_clears_on_success
SELECT cano.define('t_checkpoint.stepped', cano.stepped('Start', 't_checkpoint.grind', next => 'Complete'), cano.exit('Complete')) AS v \gset
SELECT cano.submit('t_checkpoint.stepped') AS run \gset
CALL cano.work();
SELECT is(pg_temp.log(:run), '0 state_entry Start, 1 step_cursor Start 1, 2 step_cursor Start 2, 3 step_cursor Start 3, 4 state_entry Complete',
	'stepped_forward_run_writes_cursor_rows_and_clears_on_success: five rows for four calls');
SELECT ok((SELECT bool_and(cleared) FROM cano.checkpoints WHERE run_id = :run),
	'stepped_forward_run_writes_cursor_rows_and_clears_on_success: all are cleared');

-- stepped_sequences_are_dense_after_cursors
SELECT cano.submit('t_checkpoint.stepped', '{"target": 3}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.log(:run), '0 state_entry Start, 1 step_cursor Start 1, 2 step_cursor Start 2, 3 state_entry Complete',
	'stepped_sequences_are_dense_after_cursors: no gaps');

-- stepped_no_store_path_unchanged: every run has its log, nothing else is
-- different when no events are kept
SELECT cano.define('t_checkpoint.no_events', cano.stepped('Start', 't_checkpoint.grind', next => 'Complete'), cano.exit('Complete'),
	cano.options(log => 'none')) AS v \gset
SELECT cano.submit('t_checkpoint.no_events', '{"target": 3}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run) || ': ' || pg_temp.log(:run),
	'completed: 0 state_entry Start, 1 step_cursor Start 1, 2 step_cursor Start 2, 3 state_entry Complete',
	'stepped_no_store_path_unchanged: three calls, and success');

SELECT * FROM finish();
DROP SCHEMA t_checkpoint CASCADE;
