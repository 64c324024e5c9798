-- What the reference's tests of compensation demand of resuming.  Each
-- description begins with the name of its test.  Logs that the reference makes
-- by hand come about here by a failure, or by a timeout that abandons the run.
\ir lib/start.psql
\ir lib/saga.psql
SELECT plan(57);

SELECT cano.options(timeout => '10 minutes', on_timeout => 'abandon') AS abandon \gset
-- The run is where it waits for a retry, a pause or the like; its time is over.
CREATE PROCEDURE pg_temp.abandon(INOUT run bigint, workflow text, input jsonb) LANGUAGE plpgsql AS $$
BEGIN
	CALL pg_temp.go(workflow, input, run);
	PERFORM pg_temp.later('11 minutes');
	CALL cano.work();
END $$;
CREATE FUNCTION pg_temp.calls(run bigint, what text) RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM t_saga.ledger AS l WHERE l.run = $1 AND l.what = $2 $$;

-- no_checkpoint_store_means_no_rows_and_resume_is_rejected: every run has a
-- log; one that is cleared is the nearest to none
SELECT pg_temp.chain('plain', 'Start Process') AS flow \gset
CALL pg_temp.go('plain', '{}', NULL) \gset
SELECT is(pg_temp.ending(:run), 'completed end none cleared', 'no_checkpoint_store_means_no_rows_and_resume_is_rejected: the run succeeds');
SELECT throws_ilike(format('SELECT cano.resume(%s)', :run), '%no checkpoint rows%',
	'no_checkpoint_store_means_no_rows_and_resume_is_rejected: and cannot be resumed');
SELECT throws_ok(format('SELECT cano.resume(%s)', :run), 'CN007', NULL,
	'no_checkpoint_store_means_no_rows_and_resume_is_rejected: for want of a log');

-- resume_continues_from_last_checkpointed_state
SELECT pg_temp.tell('do Process', 'fail') \g /dev/null
CALL pg_temp.go('plain', '{}', NULL) \gset
SELECT pg_temp.forget() \g /dev/null
SELECT is(pg_temp.ending(:run) || ': ' || pg_temp.log(:run), 'failed Process none kept: 0 Start, 1 Process',
	'resume_continues_from_last_checkpointed_state: a run whose second state failed');
SELECT is(cano.resume(:run), true, 'resume_continues_from_last_checkpointed_state: is resumed');
CALL cano.work();
SELECT is(pg_temp.story(:run), 'do Start, do Process', 'resume_continues_from_last_checkpointed_state: Start is not called again, Process is');
SELECT is(pg_temp.log(:run), '0 Start, 1 Process, 2 Process, 3 end', 'resume_continues_from_last_checkpointed_state: it has a new row');
SELECT is(pg_temp.ending(:run), 'completed end none cleared', 'resume_continues_from_last_checkpointed_state: and succeeds');

-- resume_from_exit_state_returns_immediately
SELECT pg_temp.tell('do Start', 'fail') \g /dev/null
CALL pg_temp.go('plain', '{}', NULL) \gset
SELECT is(cano.resume(:run, 'end'), true, 'resume_from_exit_state_returns_immediately: a run is resumed in an exit');
CALL cano.work();
SELECT is(pg_temp.ending(:run) || ': ' || pg_temp.log(:run), 'completed end none cleared: 0 Start, 1 end',
	'resume_from_exit_state_returns_immediately: it succeeds, with a row for the exit');
SELECT is(pg_temp.story(:run), NULL, 'resume_from_exit_state_returns_immediately: and no task is called');
SELECT pg_temp.forget() \g /dev/null
SELECT cano.define('bad_exit', cano.task('Start', 't_saga.act', next => 'bad'), cano.exit('bad', outcome => 'failed')) AS v \gset
CALL pg_temp.go('bad_exit', '{}', NULL) \gset
SELECT is(pg_temp.ending(:run), 'failed bad none kept', 'resume_from_exit_state_returns_immediately: a log may end in an exit');
SELECT is(cano.resume(:run), true, 'resume_from_exit_state_returns_immediately: from where it can be resumed');
CALL cano.work();
SELECT is(pg_temp.ending(:run) || ': ' || pg_temp.log(:run), 'failed bad none kept: 0 Start, 1 bad, 2 bad',
	'resume_from_exit_state_returns_immediately: to the same end');
SELECT is(pg_temp.story(:run), 'do Start', 'resume_from_exit_state_returns_immediately: without calling a task');

-- resume_unknown_workflow_id_errors
SELECT throws_ok('SELECT cano.resume(-1)', 'CN404', NULL, 'resume_unknown_workflow_id_errors: an unknown run is not found');

-- resume_with_unrecognized_state_label_errors
SELECT pg_temp.tell('do Process', 'fail') \g /dev/null
CALL pg_temp.go('plain', '{}', NULL) \gset
SELECT throws_ok(format('SELECT cano.resume(%s, ''elsewhere'')', :run), 'CN002', NULL,
	'resume_with_unrecognized_state_label_errors: a state that is asked for must exist');
SELECT throws_ilike(format('SELECT cano.resume(%s, ''elsewhere'')', :run), '%is not a registered or exit state%',
	'resume_with_unrecognized_state_label_errors: the message says so');
SELECT pg_temp.chain('plain', 'Start Other') AS flow \gset
SELECT throws_ok(format('SELECT cano.resume(%s, version => 2, force => true)', :run), 'CN002', NULL,
	'resume_with_unrecognized_state_label_errors: as must the last one of the log, in another version');
SELECT is(pg_temp.ending(:run) || ': ' || pg_temp.log(:run), 'failed Process none kept: 0 Start, 1 Process',
	'resume_with_unrecognized_state_label_errors: the run is as it was');
SELECT pg_temp.forget() \g /dev/null

-- resume_from_skips_router_rows_not_present_in_checkpoint_log
SELECT cano.define('routed', cano.router('Start', 't_saga.route', targets => ARRAY['Process']),
	cano.task('Process', 't_saga.act', next => 'Complete', retry => cano.none()), cano.exit('Complete')) AS v \gset
SELECT pg_temp.tell('goal', 'Process'), pg_temp.tell('do Process', 'fail') \g /dev/null
CALL pg_temp.go('routed', '{}', NULL) \gset
SELECT pg_temp.tell('do Process', 'nothing'), pg_temp.tell('route Start', 'fail') \g /dev/null
SELECT is(pg_temp.log(:run), '0 Process', 'resume_from_skips_router_rows_not_present_in_checkpoint_log: a log without the router');
SELECT is(cano.resume(:run), true, 'resume_from_skips_router_rows_not_present_in_checkpoint_log: is enough to resume');
CALL cano.work();
SELECT is(pg_temp.ending(:run) || ': ' || pg_temp.log(:run), 'completed Complete none cleared: 0 Process, 1 Process, 2 Complete',
	'resume_from_skips_router_rows_not_present_in_checkpoint_log: the router is not asked again');
SELECT is(pg_temp.story(:run), 'do Process', 'resume_from_skips_router_rows_not_present_in_checkpoint_log: and Process ran once');
SELECT pg_temp.forget() \g /dev/null

-- resume_rehydrates_compensation_stack_and_rolls_back
SELECT cano.task('C', 't_saga.act', next => 'end', retry => cano.fixed(3, '1 hour')) AS patient \gset
SELECT cano.define('rehydrated', cano.task('A', 't_saga.act', next => 'B', compensate => 't_saga.undo'),
	cano.task('B', 't_saga.act', next => 'C', compensate => 't_saga.undo'), :'patient', cano.exit('end'), :'abandon') AS v \gset
SELECT pg_temp.tell('do C', 'fail') \g /dev/null
CALL pg_temp.abandon(NULL, 'rehydrated', '{"outs": {"A": 7, "B": 8}}') \gset
SELECT is(pg_temp.ending(:run), 'failed C none kept', 'resume_rehydrates_compensation_stack_and_rolls_back: an abandoned run is not rolled back');
SELECT is(pg_temp.log(:run), '0 A, 1 done A 7, 2 B, 3 done B 8, 4 C', 'resume_rehydrates_compensation_stack_and_rolls_back: its log is kept');
SELECT is(pg_temp.stack(:run), 'A(7) B(8)', 'resume_rehydrates_compensation_stack_and_rolls_back: with its stack');
SELECT pg_temp.tell('do C', 'permanent') \g /dev/null
SELECT is(cano.resume(:run), true, 'resume_rehydrates_compensation_stack_and_rolls_back: it is resumed');
CALL cano.work();
SELECT is(pg_temp.story(:run), 'do A, do B, undo B(8), undo A(7)',
	'resume_rehydrates_compensation_stack_and_rolls_back: C fails, and the stored outputs are compensated');
SELECT is(pg_temp.failure(:run), 'permanent CN900 do C failed for ever', 'resume_rehydrates_compensation_stack_and_rolls_back: the error is C''s');
SELECT pg_temp.forget() \g /dev/null

-- resume_step_cursor_row_is_not_added_to_compensation_stack
SELECT cano.define('cursor', cano.task('A', 't_saga.act', next => 'B', compensate => 't_saga.undo'),
	cano.task('B', 't_saga.act', next => 'C', compensate => 't_saga.undo'),
	cano.stepped('C', 't_saga.walk', next => 'end'), cano.exit('end'), :'abandon') AS v \gset
SELECT pg_temp.chain('cursor', 'A+ B+ C+', :'abandon') AS flow \gset
SELECT pg_temp.tell('pause', '1') \g /dev/null
SELECT cano.submit('cursor', '{"outs": {"A": 101, "B": 202}}', version => 1) AS run \gset
CALL cano.work();
SELECT pg_temp.later('11 minutes') \g /dev/null
CALL cano.work();
SELECT is(pg_temp.log(:run), '0 A, 1 done A 101, 2 B, 3 done B 202, 4 C, 5 at C 1',
	'resume_step_cursor_row_is_not_added_to_compensation_stack: a log that ends with a cursor');
SELECT is((SELECT kind FROM cano.checkpoints WHERE run_id = :run AND sequence = 5), 'step_cursor',
	'resume_step_cursor_row_is_not_added_to_compensation_stack: which is marked as one');
SELECT pg_temp.tell('do C', 'fail') \g /dev/null
SELECT is(cano.resume(:run, version => 2, force => true), true,
	'resume_step_cursor_row_is_not_added_to_compensation_stack: goes on in a version where C is compensatable');
CALL cano.work();
SELECT is(pg_temp.story(:run), 'do A, do B, walk C, undo B(202), undo A(101)',
	'resume_step_cursor_row_is_not_added_to_compensation_stack: it fails, and exactly B and A are compensated');
SELECT is(pg_temp.error(:run, 'message'), 'do C failed', 'resume_step_cursor_row_is_not_added_to_compensation_stack: the error is C''s');
SELECT pg_temp.forget() \g /dev/null

-- double_compensate_on_resume_is_avoided: a log ends with a completion when a
-- router comes next
SELECT cano.define('completed_last', cano.task('A', 't_saga.act', next => 'B', compensate => 't_saga.undo'),
	cano.task('B', 't_saga.act', next => 'R', compensate => 't_saga.undo'),
	cano.router('R', 't_saga.route', targets => ARRAY['C'], retry => cano.fixed(3, '1 hour')),
	cano.task('C', 't_saga.act', next => 'end', retry => cano.none()), cano.exit('end'), :'abandon') AS v \gset
SELECT pg_temp.tell('goal', 'C'), pg_temp.tell('route R', 'fail'), pg_temp.tell('do C', 'fail') \g /dev/null
CALL pg_temp.abandon(NULL, 'completed_last', '{"outs": {"A": 1, "B": 2}}') \gset
SELECT is(pg_temp.log(:run), '0 A, 1 done A 1, 2 B, 3 done B 2', 'double_compensate_on_resume_is_avoided: a log that ends with a completion');
SELECT pg_temp.tell('route R', 'nothing') \g /dev/null
SELECT is(cano.resume(:run), true, 'double_compensate_on_resume_is_avoided: is resumed');
CALL cano.work();
SELECT is(pg_temp.story(:run), 'do A, do B, do B, undo B(2), undo A(1)',
	'double_compensate_on_resume_is_avoided: B runs again, and is compensated once');
SELECT pg_temp.forget() \g /dev/null

-- resume_then_advance_then_fail_rolls_back_mixed_outputs_and_clears
SELECT cano.define('advances', cano.task('A', 't_saga.act', next => 'B', compensate => 't_saga.undo', retry => cano.fixed(3, '1 hour')),
	cano.task('B', 't_saga.act', next => 'C', compensate => 't_saga.undo'),
	cano.task('C', 't_saga.act', next => 'end', retry => cano.none()), cano.exit('end'), :'abandon') AS v \gset
SELECT pg_temp.tell('do A', 'fail'), pg_temp.tell('do C', 'fail') \g /dev/null
CALL pg_temp.abandon(NULL, 'advances', '{"outs": {"A": 11, "B": 22}}') \gset
SELECT is(pg_temp.log(:run), '0 A', 'resume_then_advance_then_fail_rolls_back_mixed_outputs_and_clears: a log with the first entry');
SELECT pg_temp.tell('do A', 'nothing') \g /dev/null
SELECT is(cano.resume(:run), true, 'resume_then_advance_then_fail_rolls_back_mixed_outputs_and_clears: is resumed');
CALL cano.work();
SELECT is(pg_temp.story(:run), 'do A, do B, undo B(22), undo A(11)',
	'resume_then_advance_then_fail_rolls_back_mixed_outputs_and_clears: A and B are compensated');
SELECT is(pg_temp.ending(:run) || ': ' || pg_temp.error(:run, 'message'), 'failed C clean cleared: do C failed',
	'resume_then_advance_then_fail_rolls_back_mixed_outputs_and_clears: the error is C''s, the log is cleared');
SELECT is(pg_temp.log(:run), '0 A, 1 A, 2 done A 11, 3 B, 4 done B 22, 5 C',
	'resume_then_advance_then_fail_rolls_back_mixed_outputs_and_clears: and has no gap');
SELECT pg_temp.forget() \g /dev/null

-- stepped_resume_continues_from_last_cursor
SELECT cano.define('steps', cano.stepped('Start', 't_saga.walk', next => 'Complete', retry => cano.fixed(3, '1 hour')),
	cano.exit('Complete'), :'abandon') AS v \gset
SELECT pg_temp.tell('pause', '2') \g /dev/null
CALL pg_temp.abandon(NULL, 'steps', '{"target": 4}') \gset
SELECT is(pg_temp.ending(:run) || ': ' || pg_temp.log(:run), 'failed Start none kept: 0 Start, 1 at Start 1, 2 at Start 2',
	'stepped_resume_continues_from_last_cursor: a log with two cursors');
SELECT is(cano.resume(:run), true, 'stepped_resume_continues_from_last_cursor: is resumed');
CALL cano.work();
SELECT is(pg_temp.status(:run) || ' ' || pg_temp.calls(:run, 'walk Start'), 'completed 4',
	'stepped_resume_continues_from_last_cursor: two more calls, and success');
SELECT is(pg_temp.story(:run), 'walk Start, walk Start(1), walk Start(2), walk Start(3)',
	'stepped_resume_continues_from_last_cursor: each cursor once');
SELECT pg_temp.forget() \g /dev/null

-- stepped_resume_without_cursor_rows_restarts_from_none
CREATE FUNCTION t_saga.reluctant(run_id bigint, state text, attempt int, idempotency_key text, cursor int)
RETURNS cano.outcome LANGUAGE plpgsql AS $$
BEGIN
	PERFORM t_saga.obey('begin', attempt);
	RETURN t_saga.walk(run_id, state, attempt, idempotency_key, cursor);
END $$;
SELECT cano.define('reluctant', cano.stepped('Start', 't_saga.reluctant', next => 'Complete', retry => cano.none()), cano.exit('Complete')) AS v \gset
SELECT pg_temp.tell('begin', 'fail') \g /dev/null
CALL pg_temp.go('reluctant', '{}', NULL) \gset
SELECT pg_temp.forget() \g /dev/null
SELECT is(pg_temp.log(:run), '0 Start', 'stepped_resume_without_cursor_rows_restarts_from_none: a log with the entry only');
SELECT is(cano.resume(:run), true, 'stepped_resume_without_cursor_rows_restarts_from_none: is resumed');
CALL cano.work();
SELECT is(pg_temp.status(:run) || ': ' || pg_temp.story(:run), 'completed: walk Start, walk Start(1), walk Start(2)',
	'stepped_resume_without_cursor_rows_restarts_from_none: all three calls, and success');

-- stepped_cursor_rows_do_not_become_compensation_entries
SELECT cano.define('stepper', cano.task('A', 't_saga.act', next => 'Process', compensate => 't_saga.undo'),
	cano.stepped('Process', 't_saga.walk', next => 'end', retry => cano.none()), cano.exit('end'), :'abandon') AS v \gset
SELECT pg_temp.tell('pause', '1') \g /dev/null
CALL pg_temp.abandon(NULL, 'stepper', '{"outs": {"A": 42}}') \gset
SELECT is(pg_temp.log(:run), '0 A, 1 done A 42, 2 Process, 3 at Process 1',
	'stepped_cursor_rows_do_not_become_compensation_entries: a log with an entry, a completion and a cursor');
SELECT pg_temp.tell('walk Process', 'fail') \g /dev/null
SELECT is(cano.resume(:run), true, 'stepped_cursor_rows_do_not_become_compensation_entries: is resumed');
CALL cano.work();
SELECT is(pg_temp.error(:run, 'message') || ': ' || pg_temp.story(:run), 'walk Process failed: do A, walk Process, undo A(42)',
	'stepped_cursor_rows_do_not_become_compensation_entries: the stepper fails, and only A is compensated');
SELECT pg_temp.forget() \g /dev/null

-- resume_from_rejects_workflow_version_mismatch
SELECT pg_temp.tell('do Process', 'fail') \g /dev/null
SELECT cano.submit('plain', version => 1) AS run \gset
CALL cano.work();
SELECT throws_ok(format('SELECT cano.resume(%s, version => 2)', :run), 'CN009', NULL,
	'resume_from_rejects_workflow_version_mismatch: another version is refused');
CREATE FUNCTION pg_temp.words(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v_message text;
	v_detail text;
BEGIN
	EXECUTE call;
	RETURN 'nothing was raised';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS v_message = MESSAGE_TEXT, v_detail = PG_EXCEPTION_DETAIL;
	RETURN v_message || ' ' || v_detail;
END $$;
SELECT ok(w ~ '\m1\M' AND w ~ '\m2\M', 'resume_from_rejects_workflow_version_mismatch: both are named')
FROM pg_temp.words(format('SELECT cano.resume(%s, version => 2)', :run)) AS w;
SELECT is(pg_temp.ending(:run), 'failed Process none kept', 'resume_from_rejects_workflow_version_mismatch: and nothing happens');

SELECT is(pg_temp.left_over(), '0 0 0', 'nothing is left to do');
SELECT * FROM finish();
DROP SCHEMA t_saga CASCADE;
