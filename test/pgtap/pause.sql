-- cano.pause and cano.unpause: nothing new is begun of a paused workflow's
-- runs, what ends them goes on.
\ir lib/start.psql
SELECT plan(45);

CREATE SCHEMA t_pause;
GRANT USAGE ON SCHEMA t_pause TO PUBLIC;
CREATE SEQUENCE t_pause.calls;
GRANT ALL ON SEQUENCE t_pause.calls TO PUBLIC;
CREATE FUNCTION t_pause.act() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('t_pause.calls'); END $$;
CREATE FUNCTION t_pause.undo() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('t_pause.calls'); END $$;
CREATE FUNCTION pg_temp.calls() RETURNS bigint LANGUAGE sql AS $$ SELECT pg_temp.calls('t_pause.calls') $$;
CREATE FUNCTION pg_temp.statuses(workflow text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(r.status, ' ' ORDER BY r.run_id) FROM cano.runs r WHERE r.workflow = statuses.workflow $$;
CREATE FUNCTION pg_temp.parked() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM cano._timer WHERE waiting = 'u' $$;
CREATE FUNCTION pg_temp.attempt(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN EXECUTE statement; RETURN 'done'; EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE; END $$;

SELECT cano.define('t_pause.two', cano.task('a', 't_pause.act', next => 'b'), cano.task('b', 't_pause.act', next => 'end'), cano.exit('end'));

-- Runs are queued, and stay so
SELECT lives_ok($$SELECT cano.pause('t_pause.two')$$, 'a workflow is paused');
SELECT ok((SELECT paused FROM cano.workflows WHERE workflow = 't_pause.two'), 'and says so');
SELECT cano.submit('t_pause.two') AS run \gset
CALL cano.work();
SELECT is(pg_temp.calls(), 0::bigint, 'nothing is called');
SELECT is((SELECT concat_ws(' ', status, state, waiting_for, next_at) FROM cano.status(:run)), 'queued a', 'the run is queued where it is');
SELECT is((SELECT queued FROM cano.queue_stats WHERE workflow = 't_pause.two'), 1::bigint, 'and counts as such');
SELECT is((SELECT count(*) FROM cano._job), 0::bigint, 'it does not stand in the way of claims');
SELECT lives_ok($$SELECT cano.pause('t_pause.two')$$, 'pausing it again changes nothing');
SELECT lives_ok($$SELECT cano.unpause('t_pause.two')$$, 'it is unpaused');
SELECT ok(NOT (SELECT paused FROM cano.workflows WHERE workflow = 't_pause.two'), 'and says so');
CALL cano.work();
SELECT is((cano.status(:run)).status, 'completed', 'the run comes to its end');
SELECT is(pg_temp.calls(), 2::bigint, 'every task was called once');
SELECT lives_ok($$SELECT cano.unpause('t_pause.two')$$, 'one that is not paused may be unpaused');

-- In the middle of a run; priorities are kept
SELECT cano.submit('t_pause.two') AS run \gset
CALL cano.work(1);
SELECT is((cano.status(:run)).state, 'b', 'a run is on its way');
BEGIN;
SELECT cano.pause('t_pause.two');
ROLLBACK;
CALL cano.work(1);
SELECT is((cano.status(:run)).status, 'completed', 'a pause that is rolled back was none');
SELECT cano.submit('t_pause.two') AS run \gset
CALL cano.work(1);
SELECT cano.pause('t_pause.two');
SELECT cano.submit('t_pause.two', priority => 5) AS urgent \gset
CALL cano.work();
SELECT is((SELECT concat_ws(' ', status, state) FROM cano.status(:run)), 'queued b', 'it goes no further when its workflow is paused');
BEGIN;
SELECT cano.unpause('t_pause.two');
ROLLBACK;
CALL cano.work();
SELECT is((cano.status(:run)).status, 'queued', 'an unpausing that is rolled back was none');
SELECT cano.unpause('t_pause.two');
CALL cano.work(1);
SELECT is((SELECT concat_ws(' ', status, state) FROM cano.status(:urgent)), 'queued b', 'what is urgent still goes first');
CALL cano.work();

-- Other workflows go on
SELECT cano.define('t_pause.other', cano.task('a', 't_pause.act', next => 'end'), cano.exit('end'));
SELECT cano.pause('t_pause.two');
SELECT count(*) FROM cano.submit_many('t_pause.two', array_fill('{}'::jsonb, ARRAY[300]));
SELECT cano.submit('t_pause.other') AS other \gset
CALL cano.work();
SELECT is((cano.status(:other)).status, 'completed', 'behind many that are paused another workflow is served');
SELECT is((SELECT count(*) FROM cano._job) || ' ' || pg_temp.parked(), '0 300', 'those were looked at once');

-- Cancellations go on
SELECT ok(cano.cancel((SELECT min(run_id) FROM cano.runs WHERE status = 'queued')), 'a parked run can be cancelled');
CALL cano.work();
SELECT is((SELECT count(*) FROM cano.runs WHERE workflow = 't_pause.two' AND status = 'cancelled'), 1::bigint, 'and is');
SELECT is(pg_temp.parked(), 299::bigint, 'it is not parked any more');
SELECT cano.unpause('t_pause.two');
CALL cano.work();
SELECT is((SELECT count(*) FROM cano.runs WHERE workflow = 't_pause.two' AND status = 'completed'), 303::bigint, 'all the others come to their end');

-- So do time-outs, rollbacks and what is called after the end
SELECT cano.define('t_pause.saga', cano.task('a', 't_pause.act', next => 'w', compensate => 't_pause.undo'),
	cano.receive('w', signal => 'go', next => 'end'), cano.exit('end'), cano.options(timeout => '1 hour', on_end => 't_pause.act'));
SELECT cano.submit('t_pause.saga') AS run \gset
CALL cano.work();
SELECT cano.pause('t_pause.saga');
SELECT setval('t_pause.calls', 1, false);
SELECT ok(cano.signal(:run, 'go'), 'a signal is sent to a run of a paused workflow');
CALL cano.work();
SELECT is((SELECT concat_ws(' ', status, state) FROM cano.status(:run)), 'queued w', 'it would go on');
SELECT pg_temp.later('2 hours');
CALL cano.work();
SELECT is((SELECT concat_ws(' ', status, rollback) FROM cano.status(:run)), 'failed clean', 'but its time is over, and it is rolled back');
SELECT is(pg_temp.calls(), 2::bigint, 'compensation and on_end were called');
SELECT cano.submit('t_pause.saga') AS run \gset
CALL cano.work();
SELECT is((cano.status(:run)).status, 'queued', 'a new one does not begin');

-- Branches and items
SELECT cano.define('t_pause.split', cano.split('s', array_fill('t_pause.act'::text, ARRAY[5]), next => 'b', bulkhead => 2),
	cano.batch('b', 't_pause.load', 't_pause.act_on', next => 'end'), cano.exit('end')) FROM
	(SELECT pg_temp.attempt('CREATE FUNCTION t_pause.load() RETURNS SETOF int LANGUAGE sql AS ''SELECT generate_series(1, 4)'''),
		pg_temp.attempt('CREATE FUNCTION t_pause.act_on(item int) RETURNS void LANGUAGE plpgsql AS ''BEGIN PERFORM nextval($$t_pause.calls$$); END''')) f;
SELECT cano.submit('t_pause.split') AS run \gset
SELECT setval('t_pause.calls', 1, false);
CALL cano.work(2);
SELECT cano.pause('t_pause.split');
CALL cano.work();
SELECT cmp_ok(pg_temp.calls(), '<', 5::bigint, 'not all branches have begun');
SELECT is((SELECT count(*) FROM cano.branches WHERE run_id = :run AND status IN ('waiting', 'running')), 0::bigint, 'the others are queued');
SELECT is((SELECT count(*) FROM cano._job), 0::bigint, 'and stand in nobody''s way');
SELECT cano.unpause('t_pause.split');
CALL cano.work(7);
SELECT cano.pause('t_pause.split');
CALL cano.work();
SELECT cmp_ok(pg_temp.calls(), '<', 9::bigint, 'not all items are done');
SELECT cano.unpause('t_pause.split');
CALL cano.work();
SELECT is((cano.status(:run)).status || ' ' || pg_temp.calls(), 'completed 9', 'unpaused it does each of them once');

-- One that is cancelled among its branches leaves nothing
SELECT cano.submit('t_pause.split') AS run \gset
CALL cano.work(2);
SELECT cano.pause('t_pause.split');
CALL cano.work();
SELECT cano.cancel(:run);
CALL cano.work();
SELECT is((cano.status(:run)).status, 'cancelled', 'a run among its branches is cancelled');
SELECT is(pg_temp.parked(), 1::bigint, 'nothing of it stays parked');

-- Work for clients
SELECT cano.define('t_pause.external', cano.external('e', queue => 't_pause.q', next => 'end'), cano.exit('end'));
SELECT count(*) FROM cano.submit_many('t_pause.external', array_fill('{}'::jsonb, ARRAY[3]));
CALL cano.work();
SELECT token FROM cano.take('t_pause.q') \gset
SELECT cano.pause('t_pause.external');
SELECT is((SELECT count(*) FROM cano.take('t_pause.q', 10)), 0::bigint, 'clients are given no work of a paused workflow');
SELECT ok(cano.complete(:'token'), 'what one has taken he can complete');
CALL cano.work();
SELECT is(pg_temp.statuses('t_pause.external'), 'queued waiting waiting', 'its run waits to go on');
SELECT cano.unpause('t_pause.external');
CALL cano.work();
SELECT is((SELECT count(*) FROM cano.take('t_pause.q', 10)), 2::bigint, 'when it is unpaused they are given the rest');

-- Limited concurrency
SELECT cano.define('t_pause.one', cano.task('a', 't_pause.act', next => 'end'), cano.exit('end'), cano.options(concurrency => 1));
SELECT cano.pause('t_pause.one');
SELECT count(*) FROM cano.submit_many('t_pause.one', array_fill('{}'::jsonb, ARRAY[5]));
CALL cano.work();
SELECT cano.unpause('t_pause.one');
CALL cano.work();
SELECT is(pg_temp.statuses('t_pause.one'), 'completed completed completed completed completed', 'so do those of a limited workflow');

-- Who may
CREATE ROLE t_pause_owner LOGIN;
CREATE ROLE t_pause_stranger LOGIN;
SELECT cano.grant_usage('t_pause_owner'), cano.grant_usage('t_pause_stranger');
SET ROLE t_pause_owner;
SELECT cano.define('t_pause.owned', cano.exit('end'));
SELECT is(pg_temp.attempt($$SELECT cano.pause('t_pause.owned')$$), 'done', 'the owner may pause his workflow');
SELECT is(pg_temp.attempt($$SELECT cano.unpause('t_pause.two')$$), '42501', 'but not unpause another one''s');
RESET ROLE;
GRANT t_pause_owner TO t_pause_stranger;
SET ROLE t_pause_stranger;
SELECT is(pg_temp.attempt($$SELECT cano.unpause('t_pause.owned')$$), 'done', 'so may a member of that role');
RESET ROLE;
REVOKE t_pause_owner FROM t_pause_stranger;
SET ROLE t_pause_stranger;
SELECT is(pg_temp.attempt($$SELECT cano.pause('t_pause.owned')$$), '42501', 'a stranger may not');
RESET ROLE;
SELECT is(pg_temp.attempt($$SELECT cano.pause('t_pause.none')$$) || ' ' || pg_temp.attempt($$SELECT cano.unpause('t_pause.none')$$)
	|| ' ' || pg_temp.attempt($$SELECT cano.pause(NULL)$$), 'CN404 CN404 CN001', 'what does not exist cannot be paused or unpaused');

SELECT * FROM finish();
SELECT cano.revoke_usage('t_pause_owner'), cano.revoke_usage('t_pause_stranger');
DROP ROLE t_pause_owner, t_pause_stranger;
DROP SCHEMA t_pause CASCADE;
