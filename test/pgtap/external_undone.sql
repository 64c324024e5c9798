-- External work that is to be undone: a run that is to stop waits for the client who has it.
\ir lib/start.psql
SELECT plan(14);

CREATE SCHEMA t_undone;
CREATE TABLE t_undone.log (what text, output jsonb);
CREATE FUNCTION t_undone.undo(output jsonb) RETURNS void LANGUAGE sql AS $$ INSERT INTO t_undone.log VALUES ('undo', output) $$;
SELECT cano.define('t_undone.work',
	cano.external('print', queue => 't_undone', compensate => 't_undone.undo', next => 'end'), cano.exit('end'));
SELECT cano.define('t_undone.plain',
	cano.external('print', queue => 't_undone', next => 'end'), cano.exit('end'));
SELECT cano.define('t_undone.timed',
	cano.external('print', queue => 't_undone', compensate => 't_undone.undo', next => 'end'), cano.exit('end'),
	cano.options(timeout => '1 min'));
SELECT cano.define('t_undone.left',
	cano.external('print', queue => 't_undone', compensate => 't_undone.undo', next => 'end'), cano.exit('end'),
	cano.options(timeout => '1 min', on_timeout => 'abandon'));
CREATE FUNCTION pg_temp.undone() RETURNS text LANGUAGE sql AS $$
	WITH gone AS (DELETE FROM t_undone.log RETURNING output) SELECT coalesce(string_agg(output::text, ' '), 'nothing') FROM gone $$;
CREATE FUNCTION pg_temp.ended(run bigint) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', s.status, s.rollback, s.error ->> 'category') FROM cano.status(run) s $$;

-- cancelled
SELECT cano.submit('t_undone.work') AS run \gset
CALL cano.work();
SELECT token FROM cano.take('t_undone') \gset
SELECT ok(cano.cancel(:run, 'enough'), 'a run whose work a client has is cancelled');
CALL cano.work();
SELECT is((cano.status(:run)).status, 'cancelling', 'it waits for him');
SELECT ok(cano.complete(:'token', '{"page": 7}'), 'whose answer counts');
CALL cano.work();
SELECT is(pg_temp.ended(:run), 'cancelled clean cancelled', 'then it ends');
SELECT is(pg_temp.undone(), '{"page": 7}', 'and what he did is undone');

-- cancelled before anybody has it
SELECT cano.submit('t_undone.work') AS run \gset
CALL cano.work();
SELECT cano.cancel(:run);
CALL cano.work();
SELECT is(pg_temp.ended(:run) || ', ' || pg_temp.undone(), 'cancelled none cancelled, nothing', 'work that nobody has is withdrawn at once');
SELECT is((SELECT count(*) FROM cano.take('t_undone')), 0::bigint, 'nobody can take it any more');

-- He does not answer.
SELECT cano.submit('t_undone.work') AS run \gset
CALL cano.work();
SELECT token FROM cano.take('t_undone', lease => '10 s') \gset
SELECT cano.cancel(:run);
CALL cano.work();
SET cano.debug_clock = 11000;
CALL cano.work();
SELECT is(pg_temp.ended(:run) || ', ' || pg_temp.undone(), 'cancelled none cancelled, nothing', 'it waits no longer than the lease');
SELECT ok(NOT cano.complete(:'token'), 'then his answer comes too late');

-- Nothing to undo
SELECT cano.submit('t_undone.plain') AS run \gset
CALL cano.work();
SELECT token FROM cano.take('t_undone') \gset
SELECT cano.cancel(:run);
CALL cano.work();
SELECT is(pg_temp.ended(:run), 'cancelled none cancelled', 'work that need not be undone is taken away from a client at once');

-- out of time
SET cano.debug_clock = 20000;
SELECT cano.submit('t_undone.timed') AS run \gset
SELECT cano.submit('t_undone.left') AS left_run \gset
CALL cano.work();
SELECT token FROM cano.take('t_undone', lease => '10 min') \gset
SELECT token AS left_token FROM cano.take('t_undone', lease => '10 min') \gset
SET cano.debug_clock = 81000;
CALL cano.work();
SELECT is((cano.status(:run)).status, 'waiting', 'a run that is out of time waits for him, too');
SELECT is(pg_temp.ended(:left_run), 'failed none workflow_timeout', 'unless it is to be left as it is');
SELECT cano.complete(:'token', '{"page": 8}');
CALL cano.work();
SELECT is(pg_temp.ended(:run) || ', ' || pg_temp.undone(), 'failed clean workflow_timeout, {"page": 8}', 'what he did in time is undone');
RESET cano.debug_clock;

-- Both at once: the answer that is there is taken.
SELECT cano.submit('t_undone.work') AS run \gset
CALL cano.work();
SELECT token FROM cano.take('t_undone') \gset
SELECT cano.cancel(:run);
SELECT cano.complete(:'token', '{"page": 9}');
CALL cano.work();
SELECT is(pg_temp.ended(:run) || ', ' || pg_temp.undone(), 'cancelled clean cancelled, {"page": 9}', 'an answer that is there is not missed');

SELECT * FROM finish();
DROP SCHEMA t_undone CASCADE;
