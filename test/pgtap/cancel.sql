-- cano.cancel: wherever a run is, it ends cancelled, and whatever it says.
\ir lib/start.psql
SELECT plan(43);

CREATE SCHEMA t_cancel;
CREATE TABLE t_cancel.effect (run bigint, what text);
CREATE FUNCTION t_cancel.act(run_id bigint) RETURNS void LANGUAGE sql AS $$ INSERT INTO t_cancel.effect VALUES (run_id, 'act') $$;
CREATE FUNCTION t_cancel.fail() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
CREATE FUNCTION t_cancel.never() RETURNS boolean LANGUAGE sql RETURN false;
CREATE FUNCTION t_cancel.itself(run_id bigint) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	v_before boolean := cano.cancel_requested();
BEGIN
	INSERT INTO t_cancel.effect VALUES (run_id, 'itself');
	PERFORM cano.cancel(run_id, 'had enough');
	INSERT INTO t_cancel.effect SELECT run_id, format('before %s after %s', v_before, cano.cancel_requested());
	RETURN '{}';
END $$;
SELECT cano.define('t_cancel.' || v.name, v.part, cano.task('after', 't_cancel.act', next => 'end'), cano.exit('end'))
FROM (VALUES ('task', cano.task('a', 't_cancel.act', next => 'after')),
	('timer', cano.timer('a', delay => '1 day', next => 'after')),
	('receive', cano.receive('a', signal => 's', next => 'after')),
	('retry', cano.task('a', 't_cancel.fail', next => 'after', retry => cano.fixed(3, '1 day'))),
	('poll', cano.poll('a', 't_cancel.never', next => 'after')),
	('external', cano.external('a', queue => 't_cancel', next => 'after')),
	('split', cano.split('a', ARRAY['t_cancel.fail', 't_cancel.fail'], next => 'after')),
	('child', cano.child('a', 't_cancel.receive', next => 'after')),
	('itself', cano.task('a', 't_cancel.itself', next => 'after'))) AS v (name, part);

-- wherever it waits
CREATE TEMP TABLE flow AS
SELECT n.name, cano.submit('t_cancel.' || n.name) AS run
FROM unnest(ARRAY['timer', 'receive', 'retry', 'poll', 'external', 'split', 'child']) AS n (name);
CALL cano.work();
SELECT is(status, 'waiting', f.name || ': the run waits') FROM flow AS f, cano.status(f.run) ORDER BY f.run;
SELECT is(cano.cancel(f.run, 'reason of ' || f.name), true, f.name || ': it can be cancelled') FROM flow AS f ORDER BY f.run;
SELECT is((SELECT array_agg(DISTINCT s.status) FROM flow AS f, cano.status(f.run) AS s), '{cancelling}', 'they are cancelling');
SELECT is((SELECT count(*) FROM flow AS f, cano.status(f.run) AS s WHERE s.cancel_reason IS DISTINCT FROM 'reason of ' || f.name), 0::bigint, 'and say why');
SELECT is((SELECT count(*) FROM flow AS f WHERE cano.explain(f.run) NOT LIKE '%being cancelled in state "a": reason of %' OR cano.explain(f.run) LIKE '%cano.signal%'),
	0::bigint, 'also in words, without saying how they would go on');
CALL cano.work();
SELECT is(concat_ws(' ', r.status, r.state, r.cancel_reason, r.error ->> 'category', r.error ->> 'message', r.error ->> 'sqlstate'),
	format('cancelled a reason of %s cancelled reason of %1$s CN012', f.name), f.name || ': it ended where it waited')
FROM flow AS f JOIN cano.runs AS r ON r.run_id = f.run ORDER BY f.run;
SELECT is((SELECT count(*) FROM cano.dead_letters), 0::bigint, 'no dead letter');

-- before anything ran (cancel_pending_run: the task is never called)
SELECT cano.submit('t_cancel.task') AS run \gset
SELECT is(cano.cancel(:run), true, 'a run that is queued can be cancelled');
SELECT is(cano.cancel(:run, 'too late'), true, 'and again, while that is not settled');
SELECT is((cano.status(:run)).cancel_reason, NULL, 'the first request counts');
CALL cano.work();
SELECT is((SELECT concat_ws(' ', status, coalesce(cancel_reason, 'null'), error ->> 'message') FROM cano.status(:run)),
	'cancelled null cancelled', 'the first request counts, without a reason');
SELECT is((SELECT count(*) FROM t_cancel.effect WHERE run = :run), 0::bigint, 'its task was not called');
SELECT is(cano.cancel(:run), false, 'double_cancel: a cancelled run cannot be cancelled');

-- others
SELECT cano.submit('t_cancel.task') AS run \gset
BEGIN;
SELECT is(cano.cancel(:run), true, 'a cancellation');
ROLLBACK;
CALL cano.work();
SELECT is((SELECT status FROM cano.status(:run)), 'completed', 'that is rolled back did not happen');
SELECT is(cano.cancel(:run), false, 'cancel_after_run_already_terminated_returns_false');
SELECT is(cano.cancel(-1), false, 'cancel_unknown_run_returns_false');
SELECT is(cano.cancel(NULL), false, 'no run is none');

-- by its own task
SELECT cano.submit('t_cancel.itself') AS run \gset
CALL cano.work();
SELECT is((SELECT concat_ws(' ', status, state, cancel_reason) FROM cano.status(:run)), 'cancelled a had enough',
	'a run that its own task cancels goes no further');
SELECT is((SELECT array_agg(what ORDER BY what) FROM t_cancel.effect WHERE run = :run), '{"before f after t",itself}',
	'what that task did stays, and it could see the request');

-- what it had done is undone, and why is known meanwhile
CREATE FUNCTION t_cancel.look(run_id bigint) RETURNS void LANGUAGE sql AS $$
	INSERT INTO t_cancel.effect SELECT s.run_id, concat_ws(' ', s.status, s.cancel_reason) FROM cano.status(run_id) AS s $$;
SELECT cano.define('t_cancel.undone', cano.task('a', 't_cancel.itself', next => 'end', compensate => 't_cancel.look'), cano.exit('end'));
SELECT cano.submit('t_cancel.undone') AS run \gset
CALL cano.work();
SELECT is((SELECT array_agg(what) FROM t_cancel.effect WHERE run = :run AND what LIKE 'compensating%'), '{compensating had enough}',
	'a run that is rolled back because it was cancelled says why');

-- or all but cancels
CREATE FUNCTION t_cancel.almost(run_id bigint) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t_cancel.effect VALUES (run_id, 'almost');
	BEGIN
		PERFORM cano.cancel(run_id);
		RAISE 'no';
	EXCEPTION WHEN raise_exception THEN
	END;
	RETURN '{}';
END $$;
CREATE FUNCTION t_cancel.forget(run_id bigint) RETURNS void LANGUAGE sql AS $$ INSERT INTO t_cancel.effect VALUES (run_id, 'forget') $$;
SELECT cano.define('t_cancel.almost', cano.task('a', 't_cancel.almost', next => 'end'), cano.exit('end')),
	cano.define('t_cancel.almost undone', cano.task('a', 't_cancel.almost', next => 'end', compensate => 't_cancel.forget'), cano.exit('end'));
SELECT cano.submit('t_cancel.almost') AS run, cano.submit('t_cancel.almost undone') AS undone \gset
CALL cano.work();
SELECT is((SELECT status FROM cano.status(:run)), 'completed', 'a cancellation that its task takes back did not happen');
SELECT is((SELECT array_agg(what) FROM t_cancel.effect WHERE run = :run), '{almost}', 'and the task is not run again');
SELECT is((SELECT array_agg(what) FROM t_cancel.effect WHERE run = :undone), '{almost}', 'nor undone');

SELECT is((SELECT count(*) FROM cano._job) + (SELECT count(*) FROM cano._timer) + (SELECT count(*) FROM cano._stop), 0::bigint,
	'nothing is left to do');

SELECT * FROM finish();
DROP SCHEMA t_cancel CASCADE;
