-- What sets off compensation beside errors: verdicts, exits, cancellations and
-- the time of a run; and how long it may take itself.
\ir lib/start.psql
\ir lib/saga.psql
SELECT plan(97);

-- verdicts: the task's own effects stay, it is not undone
SELECT pg_temp.chain('saga', 'A+ B+ C') AS flow \gset
SELECT pg_temp.tell('do B', 'verdict') \g /dev/null
CALL pg_temp.go('saga', '{"outs": {"A": 1}}', NULL) \gset
SELECT is(pg_temp.story(:run), 'do A, do B, undo A(1)', 'a verdict rolls back what was before, and keeps what its own task did');
SELECT is(pg_temp.ending(:run) || ' ' || pg_temp.failure(:run), 'failed B clean cleared task_execution CN003 do B declined', 'the run has failed');
SELECT is((SELECT count(*) FROM cano.dead_letters WHERE run_id = :run), 0::bigint, 'it is no dead letter');
SELECT is((SELECT count(*) FROM cano.checkpoints WHERE run_id = :run AND state = 'B'), 1::bigint, 'no completion is recorded');
SELECT pg_temp.tell('do B', 'cancel') \g /dev/null
CALL pg_temp.go('saga', '{"outs": {"A": 1}}', NULL) \gset
SELECT is(pg_temp.story(:run), 'do A, do B, undo A(1)', 'so does one that cancels');
SELECT is(concat_ws(' ', pg_temp.ending(:run), pg_temp.error(:run, 'category'), (SELECT cancel_reason FROM cano.runs WHERE run_id = :run)),
	'cancelled B clean cleared cancelled do B called it off', 'the run is cancelled, with the reason');
SELECT pg_temp.tell('undo A', 'fail') \g /dev/null
CALL pg_temp.go('saga', '{"outs": {"A": 1}}', NULL) \gset
SELECT is(pg_temp.ending(:run) || ': ' || pg_temp.errors(:run), 'cancelled B partial kept: cancelled: do B called it off | task_execution: undo A failed',
	'or half undone');
SELECT is((SELECT count(*) FROM cano.dead_letters WHERE run_id = :run), 0::bigint, 'and still no dead letter');
SELECT pg_temp.forget() \g /dev/null

-- outcomes that a task does not know, and states that do not exist
CREATE FUNCTION t_saga.says(say text) RETURNS cano.outcome LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t_saga.ledger VALUES (nextval('t_saga.calls'), cano.run_id(), 'said ' || say);
	RETURN CASE say WHEN 'more' THEN cano.more('1') WHEN 'pending' THEN cano.pending() ELSE cano.next(say) END;
END $$;
SELECT cano.define('says', cano.task('A', 't_saga.act', next => 'B', compensate => 't_saga.undo'),
	cano.task('B', 't_saga.says', next => 'end', compensate => 't_saga.undo'), cano.exit('end')) AS v \gset
CREATE TEMP TABLE said AS SELECT say, cano.submit('says', jsonb_build_object('say', say)) AS run FROM unnest(ARRAY['more', 'pending', 'nowhere']) AS say;
CALL cano.work();
SELECT is(pg_temp.story(run) || ': ' || pg_temp.ending(run) || ' ' || pg_temp.error(run, 'category'), 'do A, undo A: failed B clean cleared workflow',
	'what a task cannot say leaves nothing of it to undo: ' || say) FROM said ORDER BY say;

-- exits
SELECT cano.define('exits', cano.task('A', 't_saga.act', next => 'B', compensate => 't_saga.undo'),
	cano.router('B', 't_saga.route', targets => ARRAY['good', 'bad', 'void']),
	cano.exit('good'), cano.exit('bad', outcome => 'failed'), cano.exit('void', outcome => 'cancelled')) AS v \gset
CALL pg_temp.go('exits', '{"goal": "good"}', NULL) \gset
SELECT is(pg_temp.story(:run) || ': ' || pg_temp.ending(:run), 'do A: completed good none cleared', 'a good exit undoes nothing');
CALL pg_temp.go('exits', '{"goal": "bad"}', NULL) \gset
SELECT is(pg_temp.story(:run) || ': ' || pg_temp.ending(:run) || ' ' || pg_temp.error(:run, 'category'),
	'do A, undo A: failed bad clean cleared workflow', 'a failed exit undoes all');
SELECT matches(pg_temp.error(:run, 'message'), 'bad', 'its error names the exit');
SELECT is(pg_temp.log(:run), '0 A, 1 done A, 2 bad', 'the exit has its row');
CALL pg_temp.go('exits', '{"goal": "void"}', NULL) \gset
SELECT is(pg_temp.story(:run) || ': ' || pg_temp.ending(:run) || ' ' || pg_temp.error(:run, 'category'),
	'do A, undo A: cancelled void clean cleared workflow', 'so does a cancelled exit');
SELECT pg_temp.tell('undo A', 'fail') \g /dev/null
CALL pg_temp.go('exits', '{"goal": "bad"}', NULL) \gset
SELECT is(pg_temp.ending(:run) || ' ' || (SELECT error -> 'errors' -> 0 ->> 'category' FROM cano.runs WHERE run_id = :run),
	'failed bad partial kept workflow', 'or tries to');
SELECT pg_temp.forget() \g /dev/null

-- cancelled, wherever it waits
SELECT cano.define('rest', cano.receive('R', signal => 'never', next => 'end'), cano.exit('end')) AS v \gset
CREATE FUNCTION t_saga.fails() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
CREATE FUNCTION t_saga.never() RETURNS boolean LANGUAGE sql RETURN false;
CREATE FUNCTION t_saga.items() RETURNS SETOF int LANGUAGE sql AS 'SELECT generate_series(1, 3)';
CREATE FUNCTION t_saga.bad_item(item int) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
CREATE TEMP TABLE flow AS
SELECT v.name, v.waits, cano.define('waits.' || v.name, cano.task('A', 't_saga.act', next => 'W', compensate => 't_saga.undo'), v.part, cano.exit('end'),
	cano.options(timeout => '10 minutes')) AS version
FROM (VALUES ('timer', 'timer', cano.timer('W', delay => '1 day', next => 'end')),
	('receive', 'signal', cano.receive('W', signal => 's', next => 'end')),
	('retry', 'retry', cano.task('W', 't_saga.fails', next => 'end', retry => cano.fixed(3, '1 day'), compensate => 't_saga.undo')),
	('poll', 'poll', cano.poll('W', 't_saga.never', next => 'end')),
	('external', 'external', cano.external('W', queue => 'q', next => 'end', compensate => 't_saga.undo')),
	('split', 'branches', cano.split('W', ARRAY[cano.branch('t_saga.fails', retry => cano.fixed(3, '1 day'))], next => 'end')),
	('batch', 'items', cano.batch('W', load => 't_saga.items', process => 't_saga.bad_item', item_retry => cano.fixed(3, '1 day'), next => 'end')),
	('child', 'child', cano.child('W', 'rest', next => 'end'))) AS v (name, waits, part);
ALTER TABLE flow ADD run bigint;
UPDATE flow SET run = cano.submit('waits.' || name, '{"outs": {"A": 1}}');
CALL cano.work();
SELECT is(pg_temp.waits(run) || ': ' || pg_temp.stack(run), 'waiting ' || waits || ' W: A(1)', name || ': it waits, with something to undo') FROM flow ORDER BY name;
SELECT count(cano.cancel(run, 'reason of ' || name)) AS n FROM flow \gset
CALL cano.work();
SELECT is(concat_ws(' ', pg_temp.ending(run), pg_temp.error(run, 'category'), pg_temp.error(run, 'message')),
	'cancelled W clean cleared cancelled reason of ' || name, name || ': cancelled, it is rolled back') FROM flow ORDER BY name;
SELECT is((SELECT array_agg(DISTINCT pg_temp.story(run)) FROM flow), '{"do A, undo A(1)"}', 'once, and nothing but what was done');
SELECT is(pg_temp.left_over(), '0 0 0', 'nothing is left of them');

-- cancelled before and between
SELECT cano.submit('saga') AS run \gset
SELECT cano.cancel(:run) AS x \gset
CALL cano.work();
SELECT is(pg_temp.ending(:run) || coalesce(pg_temp.story(:run), ''), 'cancelled A none kept', 'who has done nothing has nothing to undo');
SELECT cano.submit('saga') AS run \gset
CALL cano.work(max_steps => 2);
SELECT cano.cancel(:run) AS x \gset
SELECT is((SELECT status FROM cano.status(:run)), 'cancelling', 'a run that is to be cancelled is cancelling');
CALL cano.work(max_steps => 1);
SELECT is(pg_temp.status(:run), 'compensating', 'then it is compensating');
CALL cano.work();
SELECT is(pg_temp.story(:run) || ': ' || pg_temp.ending(:run), 'do A, do B, undo B, undo A: cancelled C clean cleared', 'and cancelled');

SELECT cano.define('answered', cano.external('X', queue => 'answers', next => 'end', compensate => 't_saga.undo'), cano.exit('end')) AS v \gset
CALL pg_temp.go('answered', '{}', NULL) \gset
SELECT cano.complete(token, '1') AS x FROM cano.take('answers') \gset
SELECT cano.cancel(:run) AS x \gset
CALL cano.work();
SELECT is(pg_temp.story(:run) || ': ' || pg_temp.ending(:run), 'undo X(1): cancelled X clean cleared', 'what a client has completed is undone, also if nobody has seen it yet');


-- cancelled by the task itself, which is not interrupted
CREATE FUNCTION t_saga.gives_up(run_id bigint, say text) RETURNS cano.outcome LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t_saga.ledger VALUES (nextval('t_saga.calls'), run_id, 'give up');
	PERFORM cano.cancel(run_id, 'had enough');
	RETURN CASE say WHEN 'next' THEN cano.next(output => '5') WHEN 'nowhere' THEN cano.next('nowhere') WHEN 'more' THEN cano.more('1')
		WHEN 'failed' THEN cano.failed('no') WHEN 'cancelled' THEN cano.cancelled('own reason') END;
END $$;
SELECT cano.define('gives_up', cano.task('A', 't_saga.act', next => 'B', compensate => 't_saga.undo'),
	cano.task('B', 't_saga.gives_up', next => 'end', compensate => 't_saga.undo'), cano.exit('end')) AS v \gset
CREATE TEMP TABLE given_up AS SELECT say, cano.submit('gives_up', jsonb_build_object('say', say)) AS run
FROM unnest(ARRAY['next', 'nowhere', 'more', 'failed', 'cancelled']) AS say;
CALL cano.work();
SELECT is(pg_temp.ending(run) || ' ' || pg_temp.error(run, 'message') || ': ' || pg_temp.story(run), v.what, 'cancelled by itself, it says ' || v.say)
FROM given_up JOIN (VALUES ('next', 'cancelled B clean cleared had enough: do A, give up, undo B(5), undo A'),
	('cancelled', 'cancelled B clean cleared own reason: do A, give up, undo A'),
	('failed', 'cancelled B clean cleared had enough: do A, give up, undo A')) AS v (say, what) USING (say) ORDER BY v.say;
SELECT is(pg_temp.story(run) || ' ' || (SELECT rollback FROM cano.runs WHERE run_id = run), 'do A, undo A clean',
	'what it cannot say is undone at once: ' || say) FROM given_up WHERE say IN ('nowhere', 'more') ORDER BY say;

-- the drain itself is not cancelled
SELECT pg_temp.tell('do C', 'fail') \g /dev/null
SELECT cano.submit('saga') AS run \gset
CALL cano.work(max_steps => 4);
SELECT is(pg_temp.status(:run), 'compensating', 'a run that is compensating');
SELECT ok(pg_temp.attempt(format('cano.cancel(%s, ''no, stop'')', :run)) IN ('true', 'false'), 'may be asked to stop');
CALL cano.work();
SELECT is(pg_temp.story(:run), 'do A, do B, undo B, undo A', 'that does not stop it');
SELECT is(concat_ws(' ', pg_temp.ending(:run), pg_temp.failure(:run), (SELECT cancel_reason FROM cano.runs WHERE run_id = :run)),
	'failed C clean cleared task_execution P0001 do C failed', 'nor change how it ends');
SELECT is(cano.cancel(:run), false, 'once it has ended it cannot be cancelled');

CREATE FUNCTION t_saga.asks(run_id bigint, state text) RETURNS void LANGUAGE sql AS $$
	INSERT INTO t_saga.ledger VALUES (nextval('t_saga.calls'), run_id,
		format('undo %s: %s %s', state, cano.cancel_requested(), cano.cancel(run_id, 'once more'))) $$;
SELECT cano.define('asks', cano.task('A', 't_saga.act', next => 'B', compensate => 't_saga.asks'),
	cano.task('B', 't_saga.gives_up', next => 'end', compensate => 't_saga.asks'), cano.exit('end')) AS v \gset
CREATE TEMP TABLE asked AS SELECT say, again, cano.submit('asks', jsonb_build_object('say', say)) AS run
FROM unnest(ARRAY['failed', 'cancelled', 'next']) AS say, generate_series(1, 2) AS again;
CALL cano.work();
SELECT is(array_agg(DISTINCT pg_temp.story(run)), ARRAY['do A, give up, undo A: f t'],
	'of a cancelled run, a compensation is not asked to stop, and is told that the run is') FROM asked WHERE say <> 'next';
SELECT is(array_agg(DISTINCT pg_temp.story(run)), ARRAY['do A, give up, undo B: f t, undo A: f t'], 'every one') FROM asked WHERE say = 'next';
SELECT is(pg_temp.left_over(), '0 0 0', 'and leaves no request');
SELECT is(pg_temp.left_over(), '0 0 0', 'the request is gone, too');
SELECT cano.define('slow_undo', cano.task('A', 't_saga.act', next => 'bad', compensate => 't_saga.undo', compensate_retry => cano.fixed(1, '1 hour')),
	cano.exit('bad', outcome => 'failed')) AS v \gset
SELECT pg_temp.tell('undo A', 'fail 1') \g /dev/null
CALL pg_temp.go('slow_undo', '{}', NULL) \gset
SELECT pg_temp.attempt(format('cano.cancel(%s)', :run)) AS x \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'compensating', 'nor does it end a wait for the next attempt');
SELECT pg_temp.later('61 minutes') \g /dev/null
CALL cano.work();
SELECT is(pg_temp.ending(:run), 'failed bad clean cleared', 'which comes');
SELECT pg_temp.forget() \g /dev/null

-- a child and its parent
SELECT cano.define('child', cano.task('K', 't_saga.act', next => 'R', compensate => 't_saga.undo'),
	cano.receive('R', signal => 'never', next => 'end', timeout => '1 hour'), cano.exit('end')) AS v \gset
SELECT cano.define('parent', cano.task('A', 't_saga.act', next => 'C', compensate => 't_saga.undo'),
	cano.child('C', 'child', next => 'end'), cano.exit('end')) AS v \gset
CALL pg_temp.go('parent', '{}', NULL) \gset
SELECT cano.cancel(:run, 'all of it') AS x \gset
CALL cano.work();
SELECT is(pg_temp.ending(:run) || ': ' || pg_temp.story(:run), 'cancelled C clean cleared: do A, undo A', 'a parent that is cancelled is rolled back');
SELECT is(pg_temp.ending(run_id) || ': ' || pg_temp.story(run_id), 'cancelled R clean cleared: do K, undo K', 'as is its child')
FROM cano.runs WHERE parent_run_id = :run;
CALL pg_temp.go('parent', '{}', NULL) \gset
SELECT pg_temp.later('61 minutes') \g /dev/null
CALL cano.work();
SELECT is(pg_temp.ending(:run) || ': ' || pg_temp.story(:run), 'failed C clean cleared: do A, undo A', 'a child that fails fails its parent');
SELECT is(pg_temp.ending(c.run_id) || ': ' || pg_temp.story(c.run_id), 'failed R clean cleared: do K, undo K', 'when it is rolled back itself')
FROM cano.runs AS c WHERE c.parent_run_id = :run;
SELECT cmp_ok((SELECT max(n) FROM t_saga.ledger WHERE what = 'undo K'), '<', (SELECT n FROM t_saga.ledger WHERE run = :run AND what = 'undo A'), 'before');

-- out of time
UPDATE flow SET run = cano.submit('waits.' || name, '{"outs": {"A": 1}}');
CALL cano.work();
SELECT pg_temp.later('11 minutes') \g /dev/null
CALL cano.work();
SELECT is(concat_ws(' ', pg_temp.ending(run), pg_temp.error(run, 'category')), 'failed W clean cleared workflow_timeout',
	name || ': out of time, it is rolled back') FROM flow ORDER BY name;
SELECT is((SELECT array_agg(DISTINCT pg_temp.story(run)) FROM flow), '{"do A, undo A(1)"}', 'once');
SELECT is(pg_temp.left_over(), '0 0 0', 'nothing is left of them');
CREATE FUNCTION t_saga.lasts(run_id bigint, state text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t_saga.ledger VALUES (nextval('t_saga.calls'), run_id, 'do ' || state);
	PERFORM pg_sleep(0.4); -- lasts: longer than its run may
END $$;
SELECT cano.define('brief', cano.task('A', 't_saga.lasts', next => 'B', compensate => 't_saga.undo'),
	cano.task('B', 't_saga.act', next => 'end'), cano.exit('end'), cano.options(timeout => '150 ms')) AS v \gset
CALL pg_temp.go('brief', '{}', NULL) \gset
SELECT is(pg_temp.story(:run) || ': ' || pg_temp.ending(:run) || ' ' || pg_temp.error(:run, 'category'),
	'do A, undo A: failed ' || pg_temp.state(:run) || ' clean cleared workflow_timeout',
	'a task that can be undone is not interrupted at the end of its run''s time, but finished and undone');
SELECT is((SELECT count(*) FROM cano.attempts WHERE run_id = :run), 0::bigint, 'it has not failed');

-- on_timeout => 'abandon' is in resume.sql, but for clients' answers
SELECT cano.define('answered_late', cano.external('X', queue => 'answers', next => 'R', compensate => 't_saga.undo'),
	cano.receive('R', signal => 'never', next => 'end'), cano.exit('end'), cano.options(timeout => '10 minutes', on_timeout => 'abandon')) AS v \gset
CALL pg_temp.go('answered_late', '{}', NULL) \gset
SELECT token FROM cano.take('answers', lease => '1 hour') \gset
SELECT pg_temp.later('11 minutes') \g /dev/null
SELECT is(cano.complete(:'token', '1'), true, 'a client whose run is out of time');
CALL cano.work();
SELECT is(pg_temp.ending(:run) || ': ' || pg_temp.log(:run), 'failed R none kept: 0 X, 1 done X 1, 2 R', 'has done what was to be done, if that was before anybody saw it');
SELECT is(pg_temp.stack(:run), 'X(1)', 'and what could be undone');
SELECT cano.define('answered_late', cano.external('X', queue => 'answers', next => 'end', compensate => 't_saga.undo', retry => cano.fixed(3, '1 day')),
	cano.exit('end'), cano.options(timeout => '10 minutes', on_timeout => 'abandon')) AS v \gset
UPDATE flow SET run = CASE WHEN name IN ('poll', 'retry', 'split', 'timer') THEN cano.submit('answered_late') END;
CALL cano.work();
SELECT token AS x FROM cano.take('answers', 4, lease => '5 minutes') \g /dev/null
SELECT pg_temp.later('11 minutes') \g /dev/null
CALL cano.work();
SELECT is((SELECT array_agg(DISTINCT pg_temp.ending(run)) FROM flow WHERE run IS NOT NULL), '{"failed X none kept"}',
	'a lease and a run that are over at the same time are both over');

-- the time for undoing
SELECT cano.define('bounded', cano.task('A', 't_saga.act', next => 'B', compensate => 't_saga.undo'),
	cano.task('B', 't_saga.act', next => 'C', compensate => 't_saga.undo', compensate_retry => cano.fixed(9, '4 minutes')),
	cano.task('C', 't_saga.act', next => 'bad', compensate => 't_saga.undo'), cano.exit('bad', outcome => 'failed'),
	cano.options(compensation_timeout => '10 minutes')) AS v \gset
SELECT pg_temp.tell('undo B', 'fail') \g /dev/null
CALL pg_temp.go('bounded', '{}', NULL) \gset
SELECT pg_temp.later('5 minutes') \g /dev/null
CALL cano.work();
SELECT is(pg_temp.status(:run) || ': ' || pg_temp.stack(:run), 'compensating: A B', 'undoing may take a while');
SELECT pg_temp.later('6 minutes') \g /dev/null
CALL cano.work();
SELECT is(pg_temp.ending(:run) || ': ' || pg_temp.stack(:run), 'failed bad partial kept: A B', 'but not longer than it may; what is left stays on the stack');
SELECT is((SELECT concat_ws(' ', error ->> 'category', error -> 'errors' -> 0 ->> 'category', error -> 'errors' -> -1 ->> 'category')
	FROM cano.runs WHERE run_id = :run), 'compensation_failed workflow timeout', 'a timeout is added');
SELECT is((SELECT count(*) FROM cano.runs AS r, jsonb_array_elements(r.error -> 'errors') AS e WHERE r.run_id = :run AND e ->> 'category' = 'timeout'),
	1::bigint, 'once');
SELECT is(pg_temp.story(:run), 'do A, do B, do C, undo C', 'what was not reached was not undone');
SELECT is(pg_temp.left_over(), '0 0 0', 'nothing waits any more');
SELECT pg_temp.forget() \g /dev/null
SELECT is(cano.compensate(:run), true, 'later it can be');
SELECT pg_temp.later('9 minutes') \g /dev/null
CALL cano.work();
SELECT is(pg_temp.story(:run) || ': ' || pg_temp.ending(:run), 'do A, do B, do C, undo C, undo B, undo A: failed bad clean cleared', 'with time of its own');

-- by default half of the run's, at most 30 s
CREATE FUNCTION pg_temp.define_limit(name text, VARIADIC more jsonb[]) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cano.define(name, VARIADIC ARRAY[cano.task('A', 't_saga.act', next => 'bad', compensate => 't_saga.undo', compensate_retry => cano.fixed(9, '8 s')),
		cano.exit('bad', outcome => 'failed')] || more);
	RETURN cano.submit(name);
END $$;
SELECT pg_temp.tell('undo A', 'fail') \g /dev/null
CREATE TEMP TABLE bound AS SELECT name, pg_temp.define_limit('bound.' || name, VARIADIC more) AS run
FROM (VALUES ('none', ARRAY[cano.options(priority => 1)]), ('half', ARRAY[cano.options(timeout => '20 s')]),
	('most', ARRAY[cano.options(timeout => '1 hour')]), ('own', ARRAY[cano.options(timeout => '20 s', compensation_timeout => '50 s')])) AS v (name, more);
CREATE FUNCTION pg_temp.compensating() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(name, ' ' ORDER BY name) FROM bound WHERE pg_temp.status(run) = 'compensating' $$;
CALL cano.work();
SELECT is(pg_temp.compensating(), 'half most none own', 'at first all try');
SELECT pg_temp.later('9 s') \g /dev/null
CALL cano.work();
SELECT is(pg_temp.compensating(), 'half most none own', 'after 9 s, too');
SELECT pg_temp.later('3 s') \g /dev/null
CALL cano.work();
SELECT is(pg_temp.compensating(), 'most none own', 'a run of 20 s has 10 s for undoing');
SELECT pg_temp.later('15 s') \g /dev/null
CALL cano.work();
SELECT is(pg_temp.compensating(), 'most none own', 'after 27 s others still try');
SELECT pg_temp.later('4 s') \g /dev/null
CALL cano.work();
SELECT is(pg_temp.compensating(), 'none own', 'a longer one has 30 s, one with its own time has that');
SELECT pg_temp.later('21 s') \g /dev/null
CALL cano.work();
SELECT is(pg_temp.compensating(), 'none', 'also beyond the run''s');
SELECT pg_temp.forget() \g /dev/null
SELECT pg_temp.later('10 days') \g /dev/null
CALL cano.work();
SELECT is((SELECT array_agg(pg_temp.ending(run) ORDER BY name) FROM bound),
	ARRAY['failed bad partial kept', 'failed bad partial kept', 'failed bad clean cleared', 'failed bad partial kept'], 'without a time limit there is none');

-- a compensation that does not return
SELECT pg_temp.chain('hangs', 'A+ B+ C', cano.options(compensation_timeout => '200 ms')) AS flow \gset
SELECT pg_temp.tell('do C', 'fail'), pg_temp.tell('undo B', 'hang') \g /dev/null
CALL pg_temp.go('hangs', '{}', NULL) \gset
SELECT is(pg_temp.ending(:run) || ': ' || pg_temp.stack(:run), 'failed C partial kept: A B', 'undoing that hangs ends with its time');
SELECT is((SELECT error -> 'errors' -> -1 ->> 'category' FROM cano.runs WHERE run_id = :run), 'timeout', 'by a timeout');
SELECT ok(ended_at - submitted_at < '20 s', 'soon') FROM cano.runs WHERE run_id = :run;
SELECT is(pg_temp.story(:run), 'do A, do B', 'and has no effect');

SELECT is(pg_temp.left_over(), '0 0 0', 'nothing is left to do');
SELECT * FROM finish();
DROP SCHEMA t_saga CASCADE;
