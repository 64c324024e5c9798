-- Compensations that fail: they are tried again as told, nobody waits for
-- them, and what is left can be undone later.
\ir lib/start.psql
\ir lib/saga.psql
SELECT plan(70);

SELECT pg_temp.chain('saga', 'A+ B+ C+ D') AS flow \gset
SELECT pg_temp.tell('do D', 'fail') \g /dev/null

-- by default once
SELECT cano.define('patient', cano.task('A', 't_saga.act', next => 'B', compensate => 't_saga.undo', retry => cano.fixed(5, '0')),
	cano.task('B', 't_saga.act', next => 'bad', compensate => 't_saga.undo'), cano.exit('bad', outcome => 'failed'),
	cano.options(retry => cano.fixed(5, '0'))) AS v \gset
SELECT pg_temp.tell('undo A', 'fail 1'), pg_temp.tell('undo B', 'fail 1') \g /dev/null
CALL pg_temp.go('patient', '{}', NULL) \gset
SELECT is(pg_temp.ending(:run), 'failed bad partial kept', 'a compensation that fails once is not tried again, whatever the retries of the states');
SELECT is(pg_temp.errors(:run), 'workflow: ' || (SELECT error -> 'errors' -> 0 ->> 'message' FROM cano.runs WHERE run_id = :run)
	|| ' | task_execution: undo B failed | task_execution: undo A failed', 'the errors come in the order in which they happened');
SELECT is(pg_temp.stack(:run), 'A B', 'all that was not undone is left on the stack');
SELECT is((SELECT array_agg(state || ' ' || attempt || ' ' || sqlstate || ' ' || message ORDER BY started_at, state DESC) FROM cano.attempts WHERE run_id = :run),
	ARRAY['B 1 P0001 undo B failed', 'A 1 P0001 undo A failed'], 'failed attempts at undoing are recorded');
SELECT is((SELECT array_agg(DISTINCT task) FROM cano.attempts WHERE run_id = :run), ARRAY['t_saga.undo'], 'by their function');
SELECT is((SELECT array_agg(e ->> 'state') FROM cano.runs AS r, jsonb_array_elements(r.error -> 'errors') AS e WHERE r.run_id = :run),
	'{bad,B,A}', 'every error names the state');
SELECT is((SELECT array_agg(e ->> 'sqlstate') FROM cano.runs AS r, jsonb_array_elements(r.error -> 'errors') WITH ORDINALITY AS e (e, n)
	WHERE r.run_id = :run AND e.n > 1), '{P0001,P0001}', 'and the task''s own SQLSTATE');
SELECT throws_ok(format('SELECT cano.wait(%s)', :run), 'CN008', NULL, 'whoever waits for the run is told that it is half undone');
SELECT pg_temp.tell('undo A', 'nothing'), pg_temp.tell('undo B', 'nothing') \g /dev/null

-- as often as it is told
SELECT cano.define('insists', cano.task('A', 't_saga.act', next => 'B', compensate => 't_saga.undo'),
	cano.task('B', 't_saga.act', next => 'D', compensate => 't_saga.undo', compensate_retry => cano.fixed(2, '1 hour')),
	cano.task('D', 't_saga.act', next => 'end', retry => cano.none()), cano.exit('end')) AS v \gset
SELECT pg_temp.tell('undo B', 'fail 2') \g /dev/null
CALL pg_temp.go('insists', '{"outs": {"B": 2}}', NULL) \gset
SELECT is(pg_temp.status(:run), 'compensating', 'a compensation may be tried again: the run is compensating meanwhile');
SELECT is(pg_temp.stack(:run), 'A B(2)', 'nothing is undone before it');
SELECT ok(next_at BETWEEN submitted_at + interval '59 minutes' AND submitted_at + interval '61 minutes', 'it says when')
FROM cano.runs WHERE run_id = :run;
SELECT pg_temp.later('61 minutes') \g /dev/null
CALL cano.work();
SELECT is(pg_temp.status(:run) || ' ' || (SELECT count(*) FROM cano.attempts WHERE run_id = :run AND task = 't_saga.undo'), 'compensating 2', 'and again');
SELECT pg_temp.later('61 minutes') \g /dev/null
CALL cano.work();
SELECT is(pg_temp.story(:run), 'do A, do B, undo B(2), undo A', 'the third attempt does it, and the rest follows');
SELECT is((SELECT attempt FROM t_saga.ledger WHERE run = :run AND what = 'undo B'), 3, 'it knows that it is the third');
SELECT is(pg_temp.ending(:run) || ' ' || pg_temp.failure(:run), 'failed D clean cleared task_execution P0001 do D failed', 'then the rollback is clean');
SELECT pg_temp.tell('undo B', 'fail') \g /dev/null
CALL pg_temp.go('insists', '{}', NULL) \gset
SELECT pg_temp.later('61 minutes') \g /dev/null
CALL cano.work();
SELECT pg_temp.later('61 minutes') \g /dev/null
CALL cano.work();
SELECT is(pg_temp.ending(:run), 'failed D partial kept', 'when its attempts are used up');
SELECT matches((SELECT error -> 'errors' -> 1 ->> 'message' FROM cano.runs WHERE run_id = :run), 'after 3 attempts.*undo B failed', 'the error says so');
SELECT is((SELECT error -> 'errors' -> 1 ->> 'category' FROM cano.runs WHERE run_id = :run), 'retry_exhausted', 'as for tasks');
SELECT is(pg_temp.story(:run) || ': ' || pg_temp.stack(:run), 'do A, do B, undo A: B', 'and the others are undone');

-- all attempts have one key
CREATE TABLE t_saga.key (run bigint, attempt text, key text);
SELECT pg_temp.tell('undo B', 'nothing') \g /dev/null
CREATE FUNCTION t_saga.tell_key(run_id bigint, attempt int, idempotency_key text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF EXISTS (SELECT FROM t_saga.told WHERE what = 'tell key' AND act = 'fail') THEN
		RAISE EXCEPTION 'key %', idempotency_key;
	END IF;
	INSERT INTO t_saga.key VALUES (run_id, attempt, idempotency_key);
END $$;
SELECT cano.define('keys', cano.task('A', 't_saga.act', next => 'bad', compensate => 't_saga.tell_key', compensate_retry => cano.fixed(1, '0')),
	cano.exit('bad', outcome => 'failed')) AS v \gset
SELECT pg_temp.tell('tell key', 'fail') \g /dev/null
CALL pg_temp.go('keys', '{}', NULL) \gset
SELECT pg_temp.tell('tell key', 'nothing') \g /dev/null
SELECT is((SELECT count(*) || ' ' || count(DISTINCT message) FROM cano.attempts WHERE run_id = :run), '2 1', 'all attempts have the same key');
SELECT is(cano.compensate(:run), true, 'that is begun anew');
CALL cano.work();
SELECT is((SELECT message FROM cano.attempts WHERE run_id = :run LIMIT 1), 'key ' || (SELECT key FROM t_saga.key WHERE run = :run),
	'also those of a later rollback');
SELECT is((SELECT attempt FROM t_saga.key WHERE run = :run), '1', 'which count anew');

-- every way to fail
SELECT pg_temp.chain('ways', 'permanent+ panic+ late+ void+ serialize+ verdict D') AS flow \gset
SELECT pg_temp.tell('undo ' || act, act) FROM unnest(ARRAY['permanent', 'panic', 'late', 'serialize']) AS act \g /dev/null
CALL pg_temp.go('ways', '{}', NULL) \gset
SELECT is((SELECT array_agg(concat_ws(' ', e ->> 'category', e ->> 'sqlstate', e ->> 'state') ORDER BY n)
	FROM cano.runs AS r, jsonb_array_elements(r.error -> 'errors') WITH ORDINALITY AS e (e, n) WHERE r.run_id = :run),
	ARRAY['task_execution P0001 D', 'task_execution 23505 late', 'task_execution XX000 panic', 'permanent CN900 permanent'],
	'errors, errors at the commit, panics and permanent errors are collected');
SELECT is(pg_temp.story(:run), 'do permanent, do panic, do late, do void, do serialize, do verdict, undo serialize, undo void',
	'a serialization failure is tried again at once; the others leave nothing');
SELECT is(pg_temp.stack(:run), 'permanent panic late', 'and stay on the stack');
SELECT is((SELECT count(*) FROM t_saga.late), 0::bigint, 'what the commit refused is not there');
SELECT is((SELECT count(*) FROM cano.dead_letters WHERE run_id = :run), 1::bigint, 'the run ended by a task''s error all the same');
DELETE FROM t_saga.told WHERE what LIKE 'undo%';

-- a function that is gone
CREATE FUNCTION t_saga.fleeting(run_id bigint, state text, output jsonb) RETURNS void LANGUAGE sql AS $$
	INSERT INTO t_saga.ledger VALUES (nextval('t_saga.calls'), run_id, 'undo ' || state, output) $$;
SELECT cano.define('orphan', cano.task('A', 't_saga.act', next => 'B', compensate => 't_saga.undo'),
	cano.task('B', 't_saga.act', next => 'D', compensate => 't_saga.fleeting', compensate_retry => cano.fixed(3, '1 hour')),
	cano.task('D', 't_saga.act', next => 'end', retry => cano.none()), cano.exit('end')) AS v \gset
DROP FUNCTION t_saga.fleeting;
CALL pg_temp.go('orphan', '{"outs": {"A": 1, "B": 2}}', NULL) \gset
SELECT is((SELECT error -> 'errors' -> 1 ->> 'category' FROM cano.runs WHERE run_id = :run), 'workflow', 'a compensation may be gone: a workflow error');
SELECT matches((SELECT error -> 'errors' -> 1 ->> 'message' FROM cano.runs WHERE run_id = :run), 't_saga\.fleeting', 'that names it');
SELECT is(pg_temp.story(:run) || ': ' || pg_temp.stack(:run), 'do A, do B, undo A(1): B(2)', 'it is not waited for');
CREATE FUNCTION t_saga.fleeting(run_id bigint, state text, output jsonb) RETURNS void LANGUAGE sql AS $$
	INSERT INTO t_saga.ledger VALUES (nextval('t_saga.calls'), run_id, 'undo ' || state, output) $$;
SELECT is(cano.compensate(:run), true, 'when it is there again it can be tried again');
SELECT is(pg_temp.status(:run), 'compensating', 'then the run is compensating');
SELECT is((SELECT ended_at FROM cano.runs WHERE run_id = :run), NULL, 'and has not ended');
SELECT is(cano.compensate(:run), false, 'a second call begins nothing');
SELECT is(cano.resume(:run, force => true), false, 'nor is it resumed meanwhile');
CALL cano.work();
SELECT is(pg_temp.story(:run), 'do A, do B, undo A(1), undo B(2)', 'what was left is undone, nothing is undone twice');
SELECT is(pg_temp.ending(:run), 'failed D clean cleared', 'then the rollback is clean');
SELECT is(pg_temp.stack(:run), NULL, 'and nothing is left');
SELECT is(cano.compensate(:run), false, 'nor to be done');

-- what is left, in order, as often as it takes
SELECT pg_temp.tell('undo A', 'fail'), pg_temp.tell('undo B', 'fail'), pg_temp.tell('undo C', 'fail') \g /dev/null
CALL pg_temp.go('saga', '{"outs": {"A": 1, "B": 2, "C": 3}}', NULL) \gset
SELECT is(pg_temp.stack(:run), 'A(1) B(2) C(3)', 'nothing could be undone');
SELECT pg_temp.tell('undo C', 'nothing'), pg_temp.tell('undo A', 'nothing') \g /dev/null
SELECT is(cano.compensate(:run), true, 'again');
CALL cano.work();
SELECT is(pg_temp.story(:run) || ': ' || pg_temp.stack(:run), 'do A, do B, do C, undo C(3), undo A(1): B(2)', 'some of it');
SELECT is(pg_temp.ending(:run) || ' ' || pg_temp.error(:run, 'category'), 'failed D partial kept compensation_failed', 'is not all of it');
SELECT is((SELECT error -> 'errors' -> 0 ->> 'message' FROM cano.runs WHERE run_id = :run), 'do D failed', 'the first error stays the first');
SELECT is((SELECT error -> 'errors' -> -1 ->> 'message' FROM cano.runs WHERE run_id = :run), 'undo B failed', 'the latest is the last');
SELECT is(cano.compensate(:run), true, 'and again');
CALL cano.work();
SELECT is(pg_temp.ending(:run), 'failed D partial kept', 'in vain');
SELECT pg_temp.tell('undo B', 'nothing') \g /dev/null
SELECT is(cano.compensate(:run), true, 'and again');
CALL cano.work();
SELECT is(pg_temp.story(:run), 'do A, do B, do C, undo C(3), undo A(1), undo B(2)', 'to the end');
SELECT is(pg_temp.ending(:run), 'failed D clean cleared', 'clean');

-- a call that is rolled back
SELECT pg_temp.tell('undo B', 'fail') \g /dev/null
CALL pg_temp.go('saga', '{}', NULL) \gset
BEGIN;
SELECT is(cano.compensate(:run), true, 'a rollback that is begun');
ROLLBACK;
SELECT is(pg_temp.ending(:run), 'failed D partial kept', 'and rolled back was not begun');
CALL cano.work();
SELECT is(pg_temp.story(:run), 'do A, do B, do C, undo C, undo A', 'nothing happens');
SELECT is(cano.compensate(:run), true, 'it can be begun again');
CALL cano.work();

-- of what there is nothing to undo
SELECT is(pg_temp.attempt('cano.compensate(-1)'), 'false', 'an unknown run is not compensated');
SELECT isnt(pg_temp.attempt('cano.compensate(NULL)'), 'true', 'nor none');
DELETE FROM t_saga.told WHERE what LIKE 'undo%';
CALL pg_temp.go('saga', '{}', NULL) \gset
SELECT is(cano.compensate(:run), false, 'nor one that was rolled back cleanly');
SELECT pg_temp.tell('do A', 'fail') \g /dev/null
CALL pg_temp.go('saga', '{}', NULL) \gset
SELECT is(pg_temp.ending(:run), 'failed A none kept', 'a run without anything to undo');
SELECT is(cano.compensate(:run), false, 'is not compensated');
SELECT pg_temp.forget() \g /dev/null
CALL pg_temp.go('saga', '{}', NULL) \gset
SELECT is(cano.compensate(:run), false, 'nor is one that completed');
SELECT cano.submit('saga') AS run \gset
CALL cano.work(max_steps => 2);
SELECT is(cano.compensate(:run), false, 'nor one under way, although it has a stack');
CALL cano.work();
SELECT is(pg_temp.story(:run), 'do A, do B, do C, do D', 'which goes on');

-- a cancelled run
SELECT cano.define('stopped', cano.task('A', 't_saga.act', next => 'B', compensate => 't_saga.undo'),
	cano.receive('B', signal => 'never', next => 'end'), cano.exit('end')) AS v \gset
SELECT pg_temp.tell('undo A', 'fail') \g /dev/null
CALL pg_temp.go('stopped', '{}', NULL) \gset
SELECT cano.cancel(:run, 'enough') \g /dev/null
CALL cano.work();
SELECT is(pg_temp.ending(:run), 'cancelled B partial kept', 'a cancelled run may be half undone');
SELECT is(pg_temp.error(:run, 'category') || ': ' || pg_temp.errors(:run), 'compensation_failed: cancelled: enough | task_execution: undo A failed', 'its first error is the cancellation');
SELECT is((SELECT cancel_reason FROM cano.runs WHERE run_id = :run), 'enough', 'the reason is kept');
SELECT throws_ok(format('SELECT cano.wait(%s)', :run), 'CN008', NULL, 'whoever waits is told');
SELECT pg_temp.forget() \g /dev/null
SELECT is(cano.compensate(:run), true, 'it is compensated');
CALL cano.work();
SELECT is(pg_temp.ending(:run) || ' ' || pg_temp.story(:run), 'cancelled B clean cleared do A, undo A', 'and cancelled still');

SELECT is(pg_temp.left_over(), '0 0 0', 'nothing is left to do');
SELECT * FROM finish();
DROP SCHEMA t_saga CASCADE;
