-- What a user is told who waits for a run.
\pset format unaligned
\pset tuples_only on
CREATE SCHEMA wait_messages;
CREATE FUNCTION wait_messages.good() RETURNS integer LANGUAGE sql RETURN 42;
CREATE FUNCTION wait_messages.bad(code text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'went wrong' USING ERRCODE = code, DETAIL = 'The task''s own detail.', HINT = 'The task''s own hint.';
END $$;
CREATE FUNCTION wait_messages.verdict(how text) RETURNS cano.outcome LANGUAGE sql RETURN
	CASE how WHEN 'failed' THEN cano.failed('not possible', '{"left": 0}') WHEN 'cancelled' THEN cano.cancelled('called off')
	ELSE cano.next(how) END;
CREATE FUNCTION wait_messages.slow() RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(60)'; -- lasts: until interrupted
CREATE FUNCTION wait_messages.wanting(something integer) RETURNS void LANGUAGE sql AS '';
-- A workflow of one state, whose run is in the variable "run".
CREATE FUNCTION wait_messages.submit(run text, input jsonb, retry jsonb DEFAULT cano.none(), timeout interval DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cano.define('wait messages', cano.task('only', 'wait_messages.' || run, next => 'end', retry => retry,
		targets => ARRAY['bad end'], timeout => timeout), cano.exit('end'), cano.exit('bad end', outcome => 'failed'));
	RETURN cano.submit('wait messages', input);
END $$;

-- The result
SELECT wait_messages.submit('good', '{"x": 1}') AS run \gset
SELECT cano.wait(:run);
CALL cano.await(:run);
CALL cano.await(:run, timeout => '1 s');
SELECT cano.result(:run);

-- An error of the task, as it is and wrapped
SELECT wait_messages.submit('bad', '{"code": "22012"}') AS run \gset
SELECT cano.wait(:run);
\echo :LAST_ERROR_SQLSTATE
CALL cano.await(:run);
\echo :LAST_ERROR_SQLSTATE
SELECT wait_messages.submit('bad', '{"code": "22012"}', cano.fixed(2, '0')) AS run \gset
SELECT cano.wait(:run);
\echo :LAST_ERROR_SQLSTATE
SELECT wait_messages.submit('bad', '{"code": "CN900"}', cano.fixed(2, '0')) AS run \gset
SELECT cano.wait(:run);
\echo :LAST_ERROR_SQLSTATE
SELECT wait_messages.submit('bad', '{"code": "XX000"}', cano.fixed(2, '0')) AS run \gset
SELECT cano.wait(:run);
\echo :LAST_ERROR_SQLSTATE
SELECT wait_messages.submit('wanting', '{}', cano.fixed(2, '0')) AS run \gset
SELECT cano.wait(:run);
\echo :LAST_ERROR_SQLSTATE
SELECT wait_messages.submit('slow', '{}', timeout => '20 ms') AS run \gset
SELECT cano.wait(:run);
\echo :LAST_ERROR_SQLSTATE

-- Verdicts, exits, outcomes that are not allowed
SELECT wait_messages.submit('verdict', '{"how": "failed"}') AS run \gset
SELECT cano.wait(:run);
\echo :LAST_ERROR_SQLSTATE
SELECT wait_messages.submit('verdict', '{"how": "cancelled"}') AS run \gset
SELECT cano.wait(:run);
\echo :LAST_ERROR_SQLSTATE
SELECT wait_messages.submit('verdict', '{"how": "bad end"}') AS run \gset
SELECT cano.wait(:run);
\echo :LAST_ERROR_SQLSTATE
SELECT wait_messages.submit('verdict', '{"how": "only"}') AS run \gset
SELECT cano.wait(:run);
\echo :LAST_ERROR_SQLSTATE
SELECT wait_messages.submit('verdict', '{"how": "nowhere"}') AS run \gset
SELECT cano.wait(:run);
\echo :LAST_ERROR_SQLSTATE

-- Nothing to wait for
SELECT cano.wait(-1);
\echo :LAST_ERROR_SQLSTATE
SELECT cano.wait(NULL);
-- what wait() says of a run, without its id
CREATE FUNCTION wait_messages.told(run bigint, timeout interval) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v_message text;
	v_hint text;
BEGIN
	RETURN cano.wait(run, timeout);
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS v_message = MESSAGE_TEXT, v_hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' | ', replace(v_message, run::text, 'N'), replace(nullif(v_hint, ''), run::text, 'N'));
END $$;
BEGIN;
SELECT cano.submit('wait messages', '{"how": "failed"}') AS run \gset
SELECT wait_messages.told(:run, '1 min');
ROLLBACK;
SELECT cano.submit('wait messages', run_at => now() + '1 day') AS run \gset
SELECT wait_messages.told(:run, '10 ms');
\set VERBOSITY terse
CALL cano.orchestrate('no such workflow');
\echo :LAST_ERROR_SQLSTATE
BEGIN;
CALL cano.work();
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
SET client_min_messages = warning;
DROP SCHEMA wait_messages CASCADE;
