-- What the reference's tests of submitting demand.  Each description begins
-- with the name of its test.
\ir lib/start.psql
SELECT plan(16);

CREATE SCHEMA t_resubmit;
CREATE FUNCTION t_resubmit.step() RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION t_resubmit.keep(headers jsonb) RETURNS jsonb LANGUAGE sql
AS $$SELECT jsonb_build_object('seen', headers)$$;
SELECT cano.define('t_resubmit.flow', cano.task('a', 't_resubmit.step', next => 'b'),
	cano.task('b', 't_resubmit.keep', next => 'end'), cano.exit('end')) AS v \gset

SELECT run_id, newly_submitted FROM cano.submit_info('t_resubmit.flow', '{"x": 1}', key => 'invoice 7') \gset
SELECT ok(:'newly_submitted'::boolean, 'duplicate_submit: the first submit is new');
SELECT results_eq($$SELECT run_id, newly_submitted FROM cano.submit_info('t_resubmit.flow', '{"x": 1}', key => 'invoice 7')$$,
	format('VALUES (%s::bigint, false)', :run_id),
	'duplicate_submit_in_process_with_same_input_is_idempotent: same run, not newly submitted');
SELECT is((SELECT count(*) FROM cano.runs WHERE workflow = 't_resubmit.flow'), 1::bigint,
	'duplicate_submit_in_process_with_same_input_is_idempotent: nothing was written');
SELECT throws_ok($$SELECT cano.submit_info('t_resubmit.flow', '{"x": 2}', key => 'invoice 7')$$, 'CN409', NULL,
	'duplicate_submit_in_process_with_different_input_errors: input mismatch');
SELECT throws_like($$SELECT cano.submit_info('t_resubmit.flow', '{"x": 2}', key => 'invoice 7')$$, '%invoice 7%',
	'duplicate_submit_in_process_with_different_input_errors: naming the key');

\set elsewhere `psql -XAqt -d :DBNAME -c "SELECT run_id || ' ' || newly_submitted FROM cano.submit_info('t_resubmit.flow', '{\"x\": 1}', key => 'invoice 7')"`
SELECT is(:'elsewhere'::text, :run_id || ' false',
	'duplicate_submit_across_runtime_restart_with_same_input_is_idempotent: also from another session');
\set elsewhere `psql -XAqt -d :DBNAME -v VERBOSITY=sqlstate -c "SELECT cano.submit('t_resubmit.flow', '{\"x\": 2}', key => 'invoice 7')" 2>&1 || true`
SELECT is(:'elsewhere'::text, 'ERROR:  CN409',
	'duplicate_submit_across_runtime_restart_with_different_input_errors: also from another session');

-- only the input is compared
SELECT is(cano.submit('t_resubmit.flow', '{"x": 1}', key => 'invoice 7', headers => '{"h": 1}', priority => 1,
		max_attempts => 9, run_at => now() + interval '1 day', tags => ARRAY['t']), :run_id::bigint,
	'duplicate_submit: other arguments than the input are ignored');
SELECT ok((SELECT priority = 1000 AND headers IS DISTINCT FROM '{"h": 1}' AND tags IS DISTINCT FROM ARRAY['t']
		FROM cano.runs WHERE run_id = :run_id),
	'duplicate_submit: and change nothing in the run');
CALL cano.work();
SELECT isnt(cano.submit('t_resubmit.flow', '{"x": 2}', key => 'invoice 7'), :run_id::bigint,
	'duplicate_submit: after its end the key is free, with any input');

-- reserved_header_on_submit_is_rejected
SELECT count(*) AS before FROM cano.runs \gset
SELECT throws_like($$SELECT cano.submit('t_resubmit.flow', headers => '{"workflow.run_id": "x"}')$$,
	'%workflow.run_id%', 'reserved_header_on_submit_is_rejected: the error names the header');
SELECT throws_ok($$SELECT cano.submit('t_resubmit.flow', headers => '{"ok": 1, "workflow.": "x"}')$$,
	NULL, NULL, 'reserved_header_on_submit_is_rejected: any header with that prefix');
SELECT is((SELECT count(*) FROM cano.runs), :before::bigint, 'reserved_header_on_submit_is_rejected: nothing is enqueued');
SELECT lives_ok($$SELECT cano.submit('t_resubmit.flow', headers => '{"workflow": 1, "my.workflow.x": 2}')$$,
	'reserved_header_on_submit_is_rejected: only the prefix is reserved');

-- user_headers_thread_through_to_terminal_hook
SELECT cano.submit('t_resubmit.flow', headers => '{"trace_id": "t-1", "tenant": "acme"}') AS run \gset
CALL cano.work();
SELECT is(cano.result(:run) -> 'seen', '{"trace_id": "t-1", "tenant": "acme"}'::jsonb,
	'user_headers_thread_through: a later step sees exactly the headers of the submit');
SELECT is((SELECT headers FROM cano.runs WHERE run_id = :run), '{"trace_id": "t-1", "tenant": "acme"}'::jsonb,
	'user_headers_thread_through: and so does the view');

SELECT * FROM finish();
DROP SCHEMA t_resubmit CASCADE;
