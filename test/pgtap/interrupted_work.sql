-- Interrupting CALL cano.work() hurts neither the session nor the run.
\ir lib/start.psql
SELECT plan(5);

CREATE SCHEMA t_interrupt;
CREATE TABLE t_interrupt.effect (run bigint);
CREATE TABLE t_interrupt.patience (seconds int);
INSERT INTO t_interrupt.patience VALUES (30);
CREATE FUNCTION t_interrupt.slow(run_id bigint, attempt int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t_interrupt.effect VALUES (run_id);
	PERFORM pg_sleep(seconds) FROM t_interrupt.patience; -- lasts: until interrupted
	RETURN attempt;
END $$;
SELECT cano.define('t_interrupt.flow', cano.task('a', 't_interrupt.slow', next => 'end', retry => cano.none()),
	cano.exit('end')) AS v \gset
SELECT cano.submit('t_interrupt.flow') AS run \gset

\set ON_ERROR_STOP 0
SET statement_timeout = '100 ms';
CALL cano.work();
\set code :LAST_ERROR_SQLSTATE
RESET statement_timeout;
\set ON_ERROR_STOP 1
SELECT is(:'code'::text, '57014', 'the user''s own interruption ends the call');
SELECT is(pg_temp.status(:run), 'queued', 'the run is where it was');
SELECT is((SELECT count(*) FROM t_interrupt.effect), 0::bigint, 'without the effects of the interrupted task');
UPDATE t_interrupt.patience SET seconds = 0;
CALL cano.work();
SELECT is(cano.result(:run), '{"a": 1}'::jsonb, 'the session goes on, and no attempt was consumed');
SELECT is((SELECT count(*) FROM t_interrupt.effect), 1::bigint, 'every effect is there once');

SELECT * FROM finish();
DROP SCHEMA t_interrupt CASCADE;
