-- What the reference's tests of checkpoints demand, as far as single and
-- router states go.  Each description begins with the name of its test.
\ir lib/start.psql
SELECT plan(30);

CREATE SCHEMA t_checkpoint;
CREATE FUNCTION t_checkpoint.ok() RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION t_checkpoint.route() RETURNS text LANGUAGE sql AS $$SELECT 'Process'$$;
CREATE FUNCTION t_checkpoint.fails() RETURNS void LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'forward failed'; END $$;

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

SELECT * FROM finish();
DROP SCHEMA t_checkpoint CASCADE;
