-- cano.resume: a failed or cancelled run goes on.
\ir lib/start.psql
\ir lib/saga.psql
SELECT plan(113);

SELECT cano.options(timeout => '10 minutes', on_timeout => 'abandon') AS abandon \gset
SELECT pg_temp.chain('saga', 'A+ B+ C+ D') AS flow \gset
SELECT pg_temp.chain('plain', 'A B') AS flow \gset

-- who goes on, and who does not
SELECT pg_temp.tell('do B', 'fail') \g /dev/null
CALL pg_temp.go('plain', '{"outs": {"A": {"x": 1}}, "z": 1}', NULL) \gset
SELECT pg_temp.forget() \g /dev/null
SELECT is(cano.resume(:run), true, 'a failed run goes on');
SELECT is(pg_temp.waits(:run), 'queued B', 'it is due, where it failed');
SELECT is((SELECT concat_ws(' ', ended_at, result) FROM cano.runs WHERE run_id = :run), '', 'and has not ended');
SELECT is(cano.resume(:run), false, 'a second call does nothing');
SELECT is(cano.resume(:run, 'A'), false, 'whatever it says');
SELECT is((SELECT count(*) FROM cano.dead_letters WHERE run_id = :run), 0::bigint, 'it is no dead letter any more');
CALL cano.work();
SELECT is(cano.wait(:run, '5 s') -> 'x', '1', 'whoever waits has its result, with the data of before');
SELECT is(pg_temp.story(:run), 'do A, do B', 'what was done is not done again');
SELECT is((SELECT concat_ws(' ', status, rollback, error, cleared) FROM cano.runs WHERE run_id = :run), 'completed none t', 'it has completed without an error');
SELECT is(pg_temp.attempt(format('cano.resume(%s)', :run)), 'CN007', 'a run that has completed has no log');
SELECT is(pg_temp.attempt(format('cano.resume(%s, ''A'')', :run)), 'CN007', 'also for a state that is named');
SELECT is(pg_temp.attempt(format('cano.resume(%s, force => true)', :run)), 'CN007', 'or by force');
SELECT is(pg_temp.attempt('cano.resume(-1)'), 'CN404', 'an unknown run is not found');
SELECT cano.submit('plain', run_at => now() + interval '1 year') AS run \gset
SELECT is(cano.resume(:run), false, 'a run that waits is under way');
SELECT cano.submit('plain') AS run \gset
SELECT is(cano.resume(:run), false, 'as is one that is queued');
SELECT cano.cancel(:run) AS x \gset
SELECT is(cano.resume(:run), false, 'or is being cancelled');
CALL cano.work();
SELECT is(pg_temp.ending(:run), 'cancelled A none kept', 'one that was cancelled');
SELECT is(cano.resume(:run), true, 'goes on, too');
CALL cano.work();
SELECT is(pg_temp.ending(:run) || ': ' || pg_temp.story(:run) || ': ' || pg_temp.log(:run), 'completed end none cleared: do A, do B: 0 A, 1 A, 2 B, 3 end', 'to its end');
SELECT pg_temp.tell('do D', 'fail') \g /dev/null
CALL pg_temp.go('saga', '{}', NULL) \gset
SELECT is(pg_temp.attempt(format('cano.resume(%s)', :run)), 'CN007', 'a run that was rolled back cleanly has no log');
SELECT throws_ilike(format('SELECT cano.resume(%s, ''A'', force => true)', :run), '%no checkpoint rows%', 'nor by force');
SELECT cano.define('router_first', cano.router('R', 't_saga.route', targets => ARRAY['A'], retry => cano.none()),
	cano.task('A', 't_saga.act', next => 'end'), cano.exit('end')) AS v \gset
SELECT pg_temp.tell('route R', 'fail') \g /dev/null
CALL pg_temp.go('router_first', '{"goal": "A"}', NULL) \gset
SELECT is(pg_temp.ending(:run) || coalesce(pg_temp.log(:run), ''), 'failed R none kept', 'a run that failed before any row');
SELECT throws_ilike(format('SELECT cano.resume(%s)', :run), '%no checkpoint rows%', 'has none to go on from');
SELECT pg_temp.forget() \g /dev/null

-- a call that is rolled back
SELECT pg_temp.tell('do B', 'fail') \g /dev/null
CALL pg_temp.go('plain', '{}', NULL) \gset
BEGIN;
SELECT is(cano.resume(:run), true, 'what is resumed in a transaction');
SELECT is(cano.resume(:run), false, 'is under way for it');
ROLLBACK;
CALL cano.work();
SELECT is(pg_temp.ending(:run) || ': ' || pg_temp.log(:run), 'failed B none kept: 0 A, 1 B', 'and is as it was if that is rolled back');

-- again and again
SELECT is(cano.resume(:run), true, 'a run may be resumed');
CALL cano.work();
SELECT is(pg_temp.ending(:run) || ' ' || pg_temp.failure(:run), 'failed B none kept task_execution P0001 do B failed', 'and fail again');
SELECT is((SELECT array_agg(attempt) FROM cano.attempts WHERE run_id = :run), '{1,1}', 'by a first attempt');
SELECT is((SELECT count(*) FROM cano.dead_letters WHERE run_id = :run), 1::bigint, 'then it is a dead letter again');
SELECT pg_temp.forget() \g /dev/null
SELECT is(cano.resume(:run), true, 'and be resumed again');
CALL cano.work();
SELECT is(pg_temp.ending(:run) || ': ' || pg_temp.log(:run), 'completed end none cleared: 0 A, 1 B, 2 B, 3 B, 4 end', 'each time with a row');

-- another state
SELECT pg_temp.tell('do B', 'fail') \g /dev/null
CALL pg_temp.go('plain', '{}', NULL) \gset
SELECT is(pg_temp.attempt(format('cano.resume(%s, ''nowhere'')', :run)), 'CN002', 'a state that does not exist is refused');
SELECT is(pg_temp.attempt(format('cano.resume(%s, ''a'')', :run)), 'CN002', 'also if one has nearly that name');
SELECT pg_temp.forget() \g /dev/null
SELECT is(cano.resume(:run, state => 'A'), true, 'another may be named');
CALL cano.work();
SELECT is(pg_temp.story(:run) || ': ' || pg_temp.log(:run), 'do A, do A, do B: 0 A, 1 B, 2 A, 3 B, 4 end', 'then it is there that the run goes on');
SELECT cano.define('odd', cano.task('A', 't_saga.act', next => 'R', retry => cano.none()), cano.router('R', 't_saga.route', targets => ARRAY['end']),
	cano.exit('end')) AS v \gset
SELECT pg_temp.tell('do A', 'fail') \g /dev/null
CALL pg_temp.go('odd', '{"goal": "end"}', NULL) \gset
SELECT is(cano.resume(:run, 'R'), true, 'it may be a router');
CALL cano.work();
SELECT is(pg_temp.ending(:run) || ': ' || pg_temp.log(:run), 'completed end none cleared: 0 A, 1 end', 'which leaves no row');
SELECT pg_temp.forget() \g /dev/null

-- other data
SELECT cano.define('reads', cano.task('A', 't_saga.act', next => 'end', retry => cano.none()), cano.exit('end')) AS v \gset
SELECT pg_temp.tell('do A', 'fail') \g /dev/null
CALL pg_temp.go('reads', '{"x": 1, "y": {"a": 1}, "outs": {}}', NULL) \gset
SELECT pg_temp.forget() \g /dev/null
SELECT is(cano.resume(:run, data => '{"y": {"b": 2}, "z": 3, "outs": {"A": {"w": 4}}}'), true, 'data may be given');
SELECT is((SELECT data - 'outs' FROM cano.runs WHERE run_id = :run), '{"x": 1, "y": {"b": 2}, "z": 3}', 'they are merged over those of the run');
CALL cano.work();
SELECT is(cano.result(:run) - 'outs', '{"w": 4, "x": 1, "y": {"b": 2}, "z": 3}', 'and the task has them');
SELECT is((SELECT input -> 'x' FROM cano.runs WHERE run_id = :run), '1', 'the input is what it was');
SELECT pg_temp.tell('do A', 'fail') \g /dev/null
CALL pg_temp.go('reads', '{}', NULL) \gset
SELECT is(pg_temp.attempt(format('cano.resume(%s, data => ''[1]'')', :run)), 'CN001', 'data must be an object');
SELECT pg_temp.forget() \g /dev/null

-- another version
SELECT cano.define('patient', cano.task('A', 't_saga.act', next => 'B', compensate => 't_saga.undo'),
	cano.task('B', 't_saga.act', next => 'end', retry => cano.fixed(1, '1 hour')), cano.exit('end'), :'abandon') AS v \gset
SELECT cano.define('patient', cano.task('A', 't_saga.act', next => 'B'), cano.task('B', 't_saga.act', next => 'E', retry => cano.none()),
	cano.task('E', 't_saga.act', next => 'end', retry => cano.none()), cano.exit('end')) AS v \gset
SELECT cano.define('patient', cano.task('A', 't_saga.act', next => 'end'), cano.exit('end')) AS v \gset
SELECT pg_temp.tell('do B', 'fail') \g /dev/null
SELECT cano.submit('patient', '{"outs": {"A": 1}}', version => 1) AS run \gset
CALL cano.work();
SELECT pg_temp.later('11 minutes') \g /dev/null
CALL cano.work();
SELECT is(pg_temp.ending(:run) || ': ' || pg_temp.stack(:run), 'failed B none kept: A(1)', 'a run of an old version');
SELECT is(pg_temp.attempt(format('cano.resume(%s, version => 2)', :run)), 'CN009', 'another version is refused');
SELECT is(pg_temp.attempt(format('cano.resume(%s, version => 2, force => false)', :run)), 'CN009', 'without force');
SELECT is(pg_temp.attempt(format('cano.resume(%s, version => 3, force => true)', :run)), 'CN002', 'it must have the state');
SELECT ok(pg_temp.attempt(format('cano.resume(%s, version => 99, force => true)', :run)) NOT IN ('true', 'false'), 'and exist');
SELECT is((SELECT version FROM cano.runs WHERE run_id = :run), 1, 'a refused call changes nothing');
SELECT is(cano.resume(:run, version => 2, force => true), true, 'by force the run goes on in another version');
SELECT pg_temp.tell('do B', 'nothing'), pg_temp.tell('do E', 'fail') \g /dev/null
CALL cano.work();
SELECT is((SELECT version FROM cano.runs WHERE run_id = :run), 2, 'and stays there');
SELECT is((SELECT array_agg(version ORDER BY sequence) FROM cano.checkpoints WHERE run_id = :run), '{1,1,1,2,2}', 'as its new rows say');
SELECT matches(pg_temp.story(:run), '^do A, do B', 'it has gone the new way');
SELECT pg_temp.forget() \g /dev/null

-- time
SELECT cano.define('limited', cano.receive('R', signal => 'go', next => 'end'), cano.exit('end'), :'abandon') AS v \gset
CALL pg_temp.go('limited', '{}', NULL) \gset
SELECT pg_temp.later('11 minutes') \g /dev/null
CALL cano.work();
SELECT is(pg_temp.ending(:run), 'failed R none kept', 'a run that is out of time may be abandoned');
SELECT matches(pg_temp.error(:run, 'message'), 'Workflow timeout', 'which its error says');
SELECT is(cano.compensate(:run), false, 'then there is nothing to compensate by itself');
SELECT is(cano.resume(:run), true, 'it goes on');
CALL cano.work();
SELECT is(pg_temp.waits(:run), 'waiting signal R', 'to where it waited');
SELECT pg_temp.later('9 minutes') \g /dev/null
CALL cano.work();
SELECT is(pg_temp.waits(:run), 'waiting signal R', 'with all of its time');
SELECT pg_temp.later('2 minutes') \g /dev/null
CALL cano.work();
SELECT is(pg_temp.ending(:run), 'failed R none kept', 'and no more');
SELECT is(cano.resume(:run), true, 'again');
CALL cano.work();
SELECT is(cano.signal(:run, 'go'), true, 'it can be signalled');
CALL cano.work();
SELECT is(pg_temp.ending(:run), 'completed end none cleared', 'and complete');
SELECT is(pg_temp.left_over(), '0 1 0', 'nothing is left but one that is to run in a year');

-- half rolled back
SELECT pg_temp.tell('do D', 'fail'), pg_temp.tell('undo A', 'fail'), pg_temp.tell('undo B', 'fail') \g /dev/null
CALL pg_temp.go('saga', '{"outs": {"A": 1, "B": 2, "C": 3}}', NULL) \gset
SELECT is(pg_temp.ending(:run) || ': ' || pg_temp.stack(:run), 'failed D partial kept: A(1) B(2)', 'a run that is half undone');
SELECT isnt(pg_temp.attempt(format('cano.resume(%s)', :run)), 'true', 'does not go on');
SELECT isnt(pg_temp.attempt(format('cano.resume(%s, ''D'')', :run)), 'true', 'wherever');
SELECT is(pg_temp.ending(:run) || ': ' || pg_temp.stack(:run), 'failed D partial kept: A(1) B(2)', 'it is as it was');
SELECT is(cano.resume(:run, 'C', force => true), true, 'but by force');
SELECT is(cano.compensate(:run), false, 'it is not compensated while it is under way');
CALL cano.work();
SELECT is(pg_temp.story(:run), 'do A, do B, do C, undo C(3), do C, undo C(3)', 'what is done again is undone again');
SELECT is(pg_temp.stack(:run), 'A(1) B(2)', 'what was left is left');
SELECT pg_temp.forget() \g /dev/null
SELECT is(cano.resume(:run, force => true), true, 'and again');
CALL cano.work();
SELECT is(pg_temp.ending(:run) || ': ' || coalesce(pg_temp.stack(:run), 'none'), 'completed end none cleared: none', 'it may complete');

-- the stack is unchanged
SELECT cano.define('stacked', cano.task('A', 't_saga.act', next => 'B', compensate => 't_saga.undo'),
	cano.task('B', 't_saga.act', next => 'W', compensate => 't_saga.undo'), cano.receive('W', signal => 'go', next => 'C'),
	cano.task('C', 't_saga.act', next => 'end', retry => cano.none()), cano.exit('end'), :'abandon') AS v \gset
CALL pg_temp.go('stacked', '{"outs": {"A": 1, "B": 2}}', NULL) \gset
SELECT pg_temp.later('11 minutes') \g /dev/null
CALL cano.work();
SELECT is(cano.resume(:run), true, 'a run with something to undo goes on');
SELECT is(pg_temp.stack(:run), 'A(1) B(2)', 'and still has it');
CALL cano.work();
SELECT cano.cancel(:run) AS x \gset
CALL cano.work();
SELECT is(pg_temp.story(:run) || ': ' || pg_temp.ending(:run), 'do A, do B, undo B(2), undo A(1): cancelled W clean cleared', 'to undo it when it is cancelled');
CALL pg_temp.go('stacked', '{"outs": {"A": 1, "B": 2}}', NULL) \gset
SELECT pg_temp.later('11 minutes') \g /dev/null
CALL cano.work();
SELECT is(cano.resume(:run, 'B', data => '{"outs": {"B": 3}}'), true, 'one that goes back');
CALL cano.work();
SELECT is(pg_temp.stack(:run), 'A(1) B(2) B(3)', 'does again what can be undone twice');
SELECT pg_temp.tell('do C', 'fail'), cano.signal(:run, 'go') \g /dev/null
CALL cano.work();
SELECT is(pg_temp.story(:run), 'do A, do B, do B, undo B(3), undo B(2), undo A(1)', 'and is undone twice');
SELECT pg_temp.forget() \g /dev/null

-- a completion at the end of the log, more than once
SELECT cano.define('done_last', cano.task('A', 't_saga.act', next => 'B', compensate => 't_saga.undo'),
	cano.task('B', 't_saga.act', next => 'R', compensate => 't_saga.undo'),
	cano.router('R', 't_saga.route', targets => ARRAY['C'], retry => cano.fixed(3, '1 hour')),
	cano.task('C', 't_saga.act', next => 'end', retry => cano.none()), cano.exit('end'), :'abandon') AS v \gset
SELECT pg_temp.tell('goal', 'C'), pg_temp.tell('route R', 'fail') \g /dev/null
CALL pg_temp.go('done_last', '{"outs": {"A": 1, "B": 2}}', NULL) \gset
SELECT pg_temp.later('11 minutes') \g /dev/null
CALL cano.work();
SELECT is(cano.resume(:run), true, 'a run whose last row is a completion');
CALL cano.work();
SELECT is(pg_temp.story(:run) || ': ' || pg_temp.stack(:run), 'do A, do B, do B: A(1) B(2)', 'does that state again, to undo it once');
SELECT pg_temp.later('11 minutes') \g /dev/null
CALL cano.work();
SELECT is(cano.resume(:run), true, 'and again');
SELECT pg_temp.tell('route R', 'nothing'), pg_temp.tell('do C', 'fail') \g /dev/null
CALL cano.work();
SELECT is(pg_temp.story(:run), 'do A, do B, do B, do B, undo B(2), undo A(1)', 'still once');
SELECT is(pg_temp.log(:run), '0 A, 1 done A 1, 2 B, 3 done B 2, 4 B, 5 done B 2, 6 B, 7 done B 2, 8 C', 'although the log has them all');
SELECT pg_temp.forget() \g /dev/null

-- cursors
SELECT cano.define('walks', cano.stepped('S', 't_saga.walk', next => 'A', retry => cano.none(), compensate => 't_saga.undo'),
	cano.task('A', 't_saga.act', next => 'S2', retry => cano.none()), cano.stepped('S2', 't_saga.walk', next => 'end', retry => cano.none()),
	cano.exit('end')) AS v \gset
SELECT pg_temp.tell('walk S', 'fail') \g /dev/null
CALL pg_temp.go('walks', '{}', NULL) \gset
SELECT is(pg_temp.log(:run), '0 S, 1 at S 1', 'a run fails between two steps');
SELECT pg_temp.forget() \g /dev/null
SELECT is(cano.resume(:run), true, 'and goes on');
CALL cano.work();
SELECT is(pg_temp.story(:run), 'walk S, walk S(1), walk S(2), do A, walk S2, walk S2(1), walk S2(2)', 'from its cursor, which other states do not see');
SELECT is(pg_temp.log(:run), '0 S, 1 at S 1, 2 S, 3 at S 2, 4 done S 2, 5 A, 6 S2, 7 at S2 1, 8 at S2 2, 9 end', 'with a new row of the state');
-- a visit that is over leaves its cursors to nobody
SELECT cano.define('round', cano.stepped('S', 't_saga.walk', next => 'A'), cano.task('A', 't_saga.act', next => 'R', retry => cano.none()),
	cano.router('R', 't_saga.route', targets => ARRAY['S', 'end']), cano.exit('end')) AS v \gset
SELECT pg_temp.tell('do A', 'fail'), pg_temp.tell('goal', 'S') \g /dev/null
CALL pg_temp.go('round', '{}', NULL) \gset
SELECT pg_temp.tell('do A', 'nothing') \g /dev/null
SELECT is(cano.resume(:run), true, 'a run that comes round again');
CALL cano.work(max_steps => 5);
SELECT is(pg_temp.story(:run), 'walk S, walk S(1), walk S(2), do A, walk S, walk S(1), walk S(2)', 'begins its steps anew');
SELECT pg_temp.tell('goal', 'end') \g /dev/null
CALL cano.work();
SELECT pg_temp.forget() \g /dev/null

-- wherever a run fails
CREATE FUNCTION t_saga.checks(state text, attempt int, run_id bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM t_saga.obey('do W', attempt);
	INSERT INTO t_saga.ledger VALUES (nextval('t_saga.calls'), run_id, 'do ' || state);
	RETURN true;
END $$;
CREATE FUNCTION t_saga.items() RETURNS SETOF int LANGUAGE sql AS 'SELECT generate_series(1, 2)';
CREATE FUNCTION t_saga.item(item int, run_id bigint) RETURNS int LANGUAGE sql AS $$
	INSERT INTO t_saga.ledger VALUES (nextval('t_saga.calls'), run_id, 'item') RETURNING 1 $$;
CREATE FUNCTION t_saga.finish(outputs jsonb, state text, attempt int, run_id bigint) RETURNS boolean LANGUAGE sql AS
	'SELECT t_saga.checks(state, attempt, run_id)';
SELECT cano.define('below', cano.task('W', 't_saga.checks', next => 'end', retry => cano.none()), cano.exit('end')) AS v \gset
CREATE TEMP TABLE flow AS
SELECT v.name, v.again, cano.define('at.' || v.name, cano.task('A', 't_saga.act', next => 'W'), v.part, cano.exit('end')) AS version
FROM (VALUES ('poll', 'do A, do W', cano.poll('W', 't_saga.checks', next => 'end')),
	('split', 'do A, do W, do W', cano.split('W', ARRAY[cano.branch('t_saga.checks', retry => cano.none()), cano.branch('t_saga.checks', retry => cano.none())], next => 'end')),
	('batch', 'do A, item, item, item, item, do W', cano.batch('W', load => 't_saga.items', process => 't_saga.item', finish => 't_saga.finish', next => 'end', retry => cano.none())),
	('child', 'do A', cano.child('W', 'below', next => 'end'))) AS v (name, again, part);
ALTER TABLE flow ADD run bigint;
SELECT pg_temp.tell('do W', 'fail') \g /dev/null
UPDATE flow SET run = cano.submit('at.' || name);
CALL cano.work();
SELECT is((SELECT array_agg(DISTINCT pg_temp.ending(run)) FROM flow), '{"failed W none kept"}', 'runs fail in states of all kinds');
SELECT pg_temp.forget() \g /dev/null
SELECT is((SELECT bool_and(cano.resume(run)) FROM flow), true, 'they go on');
CALL cano.work();
SELECT is(pg_temp.ending(run) || ': ' || pg_temp.story(run), 'completed end none cleared: ' || again, name || ': the state is done again, the one before is not')
FROM flow ORDER BY name;
SELECT is((SELECT array_agg(pg_temp.ending(run_id) ORDER BY run_id) FROM cano.runs WHERE parent_run_id = (SELECT run FROM flow WHERE name = 'child')),
	'{"failed W none kept","completed end none cleared"}', 'by a new child');
SELECT is((SELECT array_agg(pg_temp.log(run)) FROM flow), array_fill('0 A, 1 W, 2 W, 3 end'::text, ARRAY[4]), 'each with a new row');
SELECT cano.define('at.client', cano.external('W', 'q', next => 'end', retry => cano.none()), cano.exit('end')) AS v \gset
CALL pg_temp.go('at.client', '{}', NULL) \gset
SELECT cano.fail(token, 'broken', retry => false) AS x FROM cano.take('q') \gset
CALL cano.work();
SELECT is(cano.resume(:run), true, 'a run whose client failed');
CALL cano.work();
SELECT is(pg_temp.waits(:run), 'waiting external W', 'waits for another');
SELECT is(cano.complete(token), true, 'who finds the work') FROM cano.take('q');
CALL cano.work();
SELECT is(pg_temp.ending(:run), 'completed end none cleared', 'and completes it');

-- other roles
CREATE ROLE t_saga_other LOGIN;
CREATE ROLE t_saga_owner LOGIN;
CREATE ROLE t_saga_member LOGIN;
SELECT cano.grant_usage(r::regrole) FROM unnest(ARRAY['t_saga_other', 't_saga_owner', 't_saga_member']) AS r \g /dev/null
GRANT t_saga_owner TO t_saga_member;
CREATE FUNCTION t_saga.who(run_id bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t_saga.ledger VALUES (nextval('t_saga.calls'), run_id, current_user || ' ' || session_user);
	PERFORM t_saga.obey('undo who', 1);
END $$;
SELECT cano.define('who', cano.task('A', 't_saga.act', next => 'B', compensate => 't_saga.who'),
	cano.task('B', 't_saga.act', next => 'end', retry => cano.none()), cano.exit('end')) AS v \gset
SELECT cano.define('whose', cano.task('B', 't_saga.act', next => 'end', retry => cano.none()), cano.exit('end')) AS v \gset
SELECT pg_temp.tell('do B', 'fail'), pg_temp.tell('undo who', 'fail') \g /dev/null
SET SESSION AUTHORIZATION t_saga_owner;
SELECT cano.submit('who') AS run \gset
SELECT cano.submit('whose') AS run1 \gset
CALL cano.work();
SET SESSION AUTHORIZATION t_saga_other;
SELECT is((SELECT count(*) FROM cano.compensations), 0::bigint, 'the stack of another role''s run is not seen');
SELECT is(cano.compensate(:run), false, 'nor can it be compensated');
SELECT is(pg_temp.attempt(format('cano.resume(%s, force => true)', :run)), 'CN404', 'nor resumed');
SELECT is(pg_temp.attempt(format('cano.resume(%s)', :run1)), 'CN404', 'nor another that failed');
SET SESSION AUTHORIZATION t_saga_member;
SELECT is(pg_temp.stack(:run), 'A', 'a member of the role sees it');
SELECT is(cano.compensate(:run), true, 'and may compensate');
SELECT is(cano.resume(:run1), true, 'and resume');
RESET SESSION AUTHORIZATION;
SELECT pg_temp.forget() \g /dev/null
SET SESSION AUTHORIZATION t_saga_owner;
CALL cano.work();
SELECT is(pg_temp.story(:run), 'do A, t_saga_owner t_saga_owner', 'its compensations run as the role that submitted it');
SELECT is(pg_temp.ending(:run) || ', ' || pg_temp.ending(:run1), 'failed B clean cleared, completed end none cleared', 'whoever asked');
RESET SESSION AUTHORIZATION;

SELECT is(pg_temp.left_over(), '0 1 0', 'nothing is left to do');
SELECT * FROM finish();
DROP SCHEMA t_saga CASCADE;
DROP OWNED BY t_saga_other, t_saga_owner, t_saga_member;
DROP ROLE t_saga_other, t_saga_owner, t_saga_member;
