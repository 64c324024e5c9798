-- Compensation: what is undone, in what order, and what a compensation is
-- given.
\ir lib/start.psql
\ir lib/saga.psql
SELECT plan(76);

-- the stack, as it grows and shrinks
SELECT pg_temp.chain('grows', 'A+ B C+ D+ E') AS flow \gset
SELECT pg_temp.tell('do E', 'fail') \g /dev/null
SELECT cano.submit('grows', '{"outs": {"A": {"a": 1}, "C": [3], "D": null}}') AS run \gset
CREATE TEMP TABLE seen (n serial, status text, stack text, story text);
CREATE PROCEDURE pg_temp.step(run bigint) LANGUAGE plpgsql AS $$
BEGIN
	CALL cano.work(max_steps => 1);
	INSERT INTO seen (status, stack, story) VALUES (pg_temp.status(run), pg_temp.stack(run), pg_temp.story(run));
END $$;
SELECT is(pg_temp.stack(:run), NULL, 'a run begins with nothing to undo');
SELECT format('CALL pg_temp.step(%s)', :run) FROM generate_series(1, 8) \gexec
SELECT is((SELECT array_agg(stack ORDER BY n) FROM seen WHERE n <= 4),
	ARRAY['A({"a": 1})', 'A({"a": 1})', 'A({"a": 1}) C([3])', 'A({"a": 1}) C([3]) D(null)'],
	'every compensatable task that has run is on the stack, with its output');
SELECT is((SELECT array_agg(status ORDER BY n) FROM seen WHERE n BETWEEN 4 AND 7), '{queued,compensating,compensating,compensating}',
	'after a failure the run is compensating');
SELECT is((SELECT stack FROM seen WHERE n = 5), 'A({"a": 1}) C([3]) D(null)', 'at first with the whole stack');
SELECT is((SELECT array_agg(stack ORDER BY n) FROM seen WHERE n BETWEEN 6 AND 8), ARRAY['A({"a": 1}) C([3])', 'A({"a": 1})', NULL],
	'every step of it takes the last from the stack');
SELECT is((SELECT story FROM seen WHERE n = 6), 'do A, do B, do C, do D, undo D', 'and undoes it in the same commit');
SELECT is(pg_temp.ending(:run), 'failed E clean cleared', 'with the last of them the run has ended');
SELECT is(pg_temp.story(:run), 'do A, do B, do C, do D, undo D, undo C([3]), undo A({"a": 1})', 'in reverse order');
SELECT is(pg_temp.log(:run), '0 A, 1 done A {"a": 1}, 2 B, 3 C, 4 done C [3], 5 D, 6 done D null, 7 E', 'undoing leaves no rows in the log');
SELECT is(pg_temp.failure(:run), 'task_execution P0001 do E failed', 'the error is that of the task');
SELECT is((SELECT count(*) FROM cano.dead_letters WHERE run_id = :run), 1::bigint, 'the run is a dead letter all the same');
SELECT is(cano.result(:run), NULL, 'without a result');

-- what the view says
SELECT cano.submit('grows', '{"outs": {"A": 1}}') AS run \gset
CALL cano.work(max_steps => 1);
SELECT is((SELECT array_agg(concat_ws(' ', c.sequence, c.state, c.output)) FROM cano.compensations AS c WHERE c.run_id = :run), ARRAY['1 A 1'],
	'an entry has the sequence of its row');
SELECT is((SELECT array_agg(task) FROM cano.compensations WHERE run_id = :run),
	(SELECT array_agg(task) FROM cano.checkpoints WHERE run_id = :run AND sequence = 1), 'and names the same task');
SELECT is((SELECT status FROM cano.status(:run)), 'queued', 'a stack does not make a run compensating');
SELECT pg_temp.forget() \g /dev/null
CALL cano.work();
SELECT is(pg_temp.ending(:run), 'completed end none cleared', 'a run that succeeds is not rolled back');
SELECT is(pg_temp.stack(:run), NULL, 'and leaves nothing to undo');
SELECT is(pg_temp.story(:run), 'do A, do B, do C, do D, do E', 'nothing was');

-- undone at once what was done just before and what was done in other commits
CREATE TEMP TABLE mixed (n int, run bigint);
CREATE PROCEDURE pg_temp.go_in_two(n int) LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO mixed VALUES (n, cano.submit('grows', '{"outs": {"A": {"a": 1}, "C": [3], "D": null}}'));
	COMMIT;
	CALL cano.work(max_steps => n);
	CALL cano.work();
END $$;
SELECT pg_temp.tell('do E', 'fail') \g /dev/null
SELECT format('CALL pg_temp.go_in_two(%s)', n) FROM generate_series(1, 5) AS n \gexec
SELECT is(pg_temp.ending(run) || ': ' || pg_temp.story(run),
	'failed E clean cleared: do A, do B, do C, do D, undo D, undo C([3]), undo A({"a": 1})', 'wherever the commit was: ' || n) FROM mixed ORDER BY n;
SELECT is((SELECT count(*) FROM cano._checkpoint AS c JOIN mixed AS m USING (run) WHERE c.kind = 'c' AND c.mark = 'u'), 15::bigint, 'all are marked');
SELECT pg_temp.forget() \g /dev/null

-- status while compensating
SELECT pg_temp.tell('do E', 'fail') \g /dev/null
SELECT cano.submit('grows', '{}', key => 'k') AS run \gset
CALL cano.work(max_steps => 6);
SELECT is((SELECT concat_ws(' ', status, rollback) FROM cano.runs WHERE run_id = :run AND ended_at IS NULL), 'compensating none',
	'a run that is compensating has not ended');
SELECT is(cano.submit('grows', '{}', key => 'k'), :run::bigint, 'its key is taken');
SELECT is(cano.submit_info('grows', '{}', key => 'k'), ROW(:run::bigint, false), 'as that of any run under way');
SELECT throws_ok(format('SELECT cano.wait(%s, ''10 ms'')', :run), 'CN408', NULL, 'whoever waits for it waits for the end of it');
CALL cano.work();
SELECT throws_ok(format('SELECT cano.wait(%s)', :run), 'CN003', 'do E failed', 'and is told the error');
SELECT isnt(cano.submit('grows', '{}', key => 'k'), :run::bigint, 'the key is free then');
CALL cano.work();
SELECT pg_temp.forget() \g /dev/null

-- what a compensation is given
CREATE TABLE t_saga.given (run bigint, what jsonb);
CREATE FUNCTION t_saga.look(run_id bigint, workflow text, state text, attempt int, idempotency_key text, input jsonb, data jsonb, output jsonb,
	headers jsonb, cursor jsonb, item jsonb, outputs jsonb, branch int, x int, y int, z int, nothing text, fallback text DEFAULT 'default')
RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t_saga.given VALUES (run_id, jsonb_build_object('workflow', workflow, 'state', state, 'attempt', attempt,
		'key', idempotency_key, 'input', input, 'data', data, 'output', output, 'headers', headers,
		'none', num_nonnulls(cursor, item, outputs, branch), 'x', x, 'y', y, 'z', z, 'nothing', nothing, 'fallback', fallback,
		'context', concat_ws(' ', cano.run_id() = run_id, cano.state(), cano.attempt(), cano.idempotency_key() = idempotency_key, cano.data() = data,
			cano.get('kept') ->> 0)));
	RETURN 'what it returns does not matter';
END $$;
CREATE FUNCTION t_saga.keep(idempotency_key text, state text, outs jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cano.put('kept', '["kept"]');
	INSERT INTO t_saga.given VALUES (cano.run_id(), jsonb_build_object('state', 'do ' || state, 'key', idempotency_key));
	RETURN outs -> state;
END $$;
SELECT cano.define('binds', cano.task('A', 't_saga.keep', next => 'B', compensate => 't_saga.look'),
	cano.task('B', 't_saga.keep', next => 'C', compensate => 't_saga.look', output_key => 'out'),
	cano.task('C', 't_saga.act', next => 'end', retry => cano.none()), cano.exit('end')) AS v \gset
SELECT pg_temp.tell('do C', 'fail') \g /dev/null
SELECT cano.submit('binds', '{"z": 3, "y": 20, "outs": {"A": {"x": 1, "nothing": null}, "B": {"x": 2, "y": 21}}, "nothing": "something"}',
	headers => '{"h": 1}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.ending(:run), 'failed C clean cleared', 'compensations with many parameters');
SELECT what AS a, what -> 'data' AS data FROM t_saga.given WHERE run = :run AND what ->> 'state' = 'A' \gset
SELECT what AS b FROM t_saga.given WHERE run = :run AND what ->> 'state' = 'B' \gset
SELECT is(:'a'::jsonb -> 'output', '{"x": 1, "nothing": null}', 'output is what the task returned');
SELECT is(:'b'::jsonb -> 'output', '{"x": 2, "y": 21}', 'also where it was stored under another key');
SELECT is(:'a'::jsonb ->> 'x' || ' ' || (:'b'::jsonb ->> 'x'), '1 2', 'keys of the output come before those of the data');
SELECT is(:'a'::jsonb ->> 'y' || ' ' || (:'b'::jsonb ->> 'y'), '20 21', 'those that it does not have come from the data');
SELECT is(:'a'::jsonb ->> 'z' || ' ' || (:'b'::jsonb ->> 'z'), '3 3', 'all of them');
SELECT is(:'a'::jsonb -> 'nothing', 'null', 'a null of the output is a value');
SELECT is(:'b'::jsonb ->> 'nothing', NULL, 'as is one of the data');
SELECT is(:'b'::jsonb ->> 'fallback', 'default', 'then there is the parameter''s default');
SELECT is(:'a'::jsonb ->> 'workflow' || ' ' || (:'a'::jsonb ->> 'state') || ' ' || (:'b'::jsonb ->> 'state'), 'binds A B', 'workflow and state are those of the task');
SELECT is(:'a'::jsonb -> 'headers', '{"h": 1}', 'it has the headers');
SELECT is(:'a'::jsonb -> 'input' -> 'y', '20', 'and the input');
SELECT is(:'data'::jsonb -> 'out', '{"x": 2, "y": 21}', 'data is all of the run''s data, as they were when it failed');
SELECT is(:'data'::jsonb -> 'x', '1', 'with what tasks returned');
SELECT is(:'a'::jsonb -> 'none', '0', 'what belongs to other kinds of states is null');
SELECT is(:'a'::jsonb ->> 'context', 't A 1 t t kept', 'the functions for tasks say the same, and the run''s store is there');
SELECT is((SELECT count(DISTINCT what ->> 'key') FROM t_saga.given WHERE run = :run), 4::bigint,
	'a task, its compensation and those of others have each a key of their own');
SELECT is((SELECT count(what ->> 'key') FROM t_saga.given WHERE run = :run), 4::bigint, 'none is null');

-- shapes of functions
CREATE FUNCTION t_saga.unnamed(jsonb) RETURNS void LANGUAGE sql AS
	$$ INSERT INTO t_saga.given VALUES (cano.run_id(), jsonb_build_object('state', cano.state(), 'unnamed', $1)) $$;
CREATE FUNCTION t_saga.only_document(document jsonb) RETURNS void LANGUAGE sql AS
	$$ INSERT INTO t_saga.given VALUES (cano.run_id(), jsonb_build_object('state', cano.state(), 'document', document)) $$;
CREATE FUNCTION t_saga.only_output(output int) RETURNS int LANGUAGE sql AS
	$$ INSERT INTO t_saga.given VALUES (cano.run_id(), jsonb_build_object('state', cano.state(), 'output', output)) RETURNING output $$;
CREATE FUNCTION t_saga.rest() RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION t_saga.bare() RETURNS void LANGUAGE sql AS
	$$ INSERT INTO t_saga.given VALUES (cano.run_id(), jsonb_build_object('state', cano.state(), 'bare', true)) $$;
CREATE FUNCTION t_saga.number() RETURNS int LANGUAGE sql AS 'SELECT 7';
SELECT cano.define('shapes', cano.task('unnamed', 't_saga.number', next => 'document', compensate => 't_saga.unnamed'),
	cano.task('document', 't_saga.number', next => 'output', compensate => 't_saga.only_document'),
	cano.task('output', 't_saga.number', next => 'void', compensate => 't_saga.only_output'),
	cano.task('void', 't_saga.rest', next => 'bare', compensate => 't_saga.only_output'),
	cano.task('bare', 't_saga.rest', next => 'bad', compensate => 't_saga.bare'), cano.exit('bad', outcome => 'failed')) AS v \gset
CALL pg_temp.go('shapes', '{"k": 1}', NULL) \gset
SELECT is(pg_temp.ending(:run), 'failed bad clean cleared', 'compensations with few parameters');
SELECT is((SELECT what -> 'unnamed' FROM t_saga.given WHERE run = :run AND what ->> 'state' = 'unnamed'),
	'{"k": 1, "output": 7, "unnamed": 7, "document": 7}', 'an unnamed parameter is given the data');
SELECT is((SELECT what -> 'document' FROM t_saga.given WHERE run = :run AND what ->> 'state' = 'document'),
	'{"k": 1, "output": 7, "unnamed": 7, "document": 7}', 'as is one of jsonb alone');
SELECT is((SELECT what -> 'output' FROM t_saga.given WHERE run = :run AND what ->> 'state' = 'output'), '7',
	'output is converted, and comes before a key of the data of that name');
SELECT is((SELECT what -> 'output' FROM t_saga.given WHERE run = :run AND what ->> 'state' = 'void'), 'null', 'it is null of a task that returned nothing');
SELECT is((SELECT count(*) FROM t_saga.given WHERE run = :run AND what ->> 'state' = 'bare'), 1::bigint, 'a compensation may have no parameters');

-- a missing argument
CREATE FUNCTION t_saga.wants(absent int) RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('t_saga.calls'); END $$;
SELECT cano.define('wants', cano.task('A', 't_saga.act', next => 'B', compensate => 't_saga.undo'),
	cano.task('B', 't_saga.act', next => 'bad', compensate => 't_saga.wants', compensate_retry => cano.fixed(3, '0')),
	cano.exit('bad', outcome => 'failed')) AS v \gset
CALL pg_temp.go('wants', '{}', NULL) \gset
SELECT is((SELECT r.error -> 'errors' -> 1 ->> 'category' FROM cano.runs AS r WHERE r.run_id = :run), 'missing_argument', 'an argument may be missing');
SELECT matches((SELECT r.error -> 'errors' -> 1 ->> 'message' FROM cano.runs AS r WHERE r.run_id = :run) || ' '
	|| coalesce((SELECT r.error -> 'errors' -> 1 ->> 'detail' FROM cano.runs AS r WHERE r.run_id = :run), ''), 't_saga.wants.*absent|absent.*t_saga.wants',
	'which is said of the function and the parameter');
SELECT is((SELECT count(*) FROM cano.attempts WHERE run_id = :run), 1::bigint, 'and is not tried again');
SELECT is(pg_temp.story(:run) || ': ' || pg_temp.stack(:run), 'do A, do B, undo A: B', 'others are undone, it is not');

-- other kinds that can be compensated
SELECT cano.define('kinds', cano.stepped('S', 't_saga.walk', next => 'X', compensate => 't_saga.undo'),
	cano.external('X', 'q', next => 'W', compensate => 't_saga.undo'),
	cano.stepped('W', 't_saga.walk', next => 'end', compensate => 't_saga.undo', retry => cano.none()), cano.exit('end')) AS v \gset
SELECT pg_temp.tell('walk W', 'fail') \g /dev/null
CALL pg_temp.go('kinds', '{}', NULL) \gset
SELECT is(pg_temp.stack(:run), 'S(2)', 'a stepped state that is done can be undone, once, with its output');
SELECT is(cano.complete(token, '{"label": "x"}'), true, 'a client may do work that can be undone') FROM cano.take('q');
CALL cano.work();
SELECT is(pg_temp.story(:run), 'walk S, walk S(1), walk S(2), walk W, undo X({"label": "x"}), undo S(2)',
	'which is undone with what the client gave; a stepped state that was not done is not');
SELECT is(pg_temp.ending(:run), 'failed W clean cleared', 'all is clean');
SELECT is(pg_temp.log(:run), '0 S, 1 at S 1, 2 at S 2, 3 done S 2, 4 X, 5 done X {"label": "x"}, 6 W, 7 at W 1', 'a completion comes after the cursors');
SELECT pg_temp.forget() \g /dev/null

-- retries and failures forward
SELECT cano.define('retried', cano.task('A', 't_saga.act', next => 'B', compensate => 't_saga.undo', retry => cano.fixed(2, '0')),
	cano.task('B', 't_saga.act', next => 'end', compensate => 't_saga.undo', retry => cano.fixed(1, '0')), cano.exit('end')) AS v \gset
SELECT pg_temp.tell('do A', 'fail 2'), pg_temp.tell('do B', 'fail') \g /dev/null
CALL pg_temp.go('retried', '{}', NULL) \gset
SELECT is(pg_temp.story(:run), 'do A, undo A', 'a task that was tried again is undone once, one that never succeeded is not');
SELECT is(pg_temp.error(:run, 'category'), 'retry_exhausted', 'the error is as it would be without');
SELECT is((SELECT array_agg(attempt ORDER BY n) FROM t_saga.ledger WHERE run = :run), '{3,1}', 'a compensation counts its own attempts');
SELECT pg_temp.forget() \g /dev/null

-- a state that is visited again
CREATE FUNCTION t_saga.again(run_id bigint, state text, attempt int, idempotency_key text, visit int DEFAULT 1) RETURNS cano.outcome LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t_saga.ledger VALUES (nextval('t_saga.calls'), run_id, 'do ' || state, NULL, attempt, idempotency_key);
	RETURN cano.next(CASE WHEN visit < 3 THEN state ELSE 'bad' END, jsonb_build_object('visit', visit + 1));
END $$;
SELECT cano.define('again', cano.task('A', 't_saga.again', targets => ARRAY['A', 'bad'], compensate => 't_saga.undo'),
	cano.exit('bad', outcome => 'cancelled')) AS v \gset
CALL pg_temp.go('again', '{}', NULL) \gset
SELECT is(pg_temp.story(:run), 'do A, do A, do A, undo A({"visit": 4}), undo A({"visit": 3}), undo A({"visit": 2})',
	'every visit is undone, the last first, each with its own output');
SELECT is((SELECT count(DISTINCT key) FROM t_saga.ledger WHERE run = :run), 6::bigint, 'and has its own key');

-- a function whose task cannot be compensated by kind is refused by define
SELECT throws_ok($$SELECT cano.define('wrong', $d${"start": "a", "states": {"a": {"kind": "$$ || k.kind || $$", "run": "t_saga.rest", "load": "t_saga.rest",
	"process": "t_saga.rest", "tasks": [], "next": "end", "compensate": "t_saga.rest"}, "end": {"kind": "exit"}}}$d$)$$, 'CN001', NULL,
	'a compensation cannot be one of a ' || k.kind) FROM unnest(ARRAY['router', 'poll', 'batch', 'split']) AS k (kind);

-- splits, batches and children leave nothing to undo
SELECT cano.define('parts.child', cano.task('K', 't_saga.act', next => 'end', compensate => 't_saga.undo'), cano.exit('end')) AS v \gset
CREATE FUNCTION t_saga.items() RETURNS SETOF int LANGUAGE sql AS 'SELECT generate_series(1, 3)';
CREATE FUNCTION t_saga.item(item int) RETURNS int LANGUAGE sql AS 'SELECT item';
SELECT cano.define('parts', cano.task('A', 't_saga.act', next => 'S', compensate => 't_saga.undo'),
	cano.split('S', ARRAY['t_saga.number', 't_saga.number'], next => 'B'),
	cano.batch('B', load => 't_saga.items', process => 't_saga.item', next => 'C'), cano.child('C', 'parts.child', next => 'J'),
	cano.split('J', ARRAY[cano.branch('t_saga.number'), cano.branch('t_saga.wants', retry => cano.none())], next => 'end'), cano.exit('end')) AS v \gset
CALL pg_temp.go('parts', '{}', NULL) \gset
SELECT is(pg_temp.ending(:run) || ' ' || pg_temp.error(:run, 'category'), 'failed J clean cleared workflow', 'a join that fails rolls back what was before');
SELECT is(pg_temp.story(:run), 'do A, undo A', 'once');
SELECT is((SELECT pg_temp.ending(run_id) || ': ' || pg_temp.story(run_id) FROM cano.runs WHERE parent_run_id = :run), 'completed end none cleared: do K',
	'a child that has completed stays so');

SELECT is(pg_temp.left_over(), '0 0 0', 'nothing is left to do');
SELECT * FROM finish();
DROP SCHEMA t_saga CASCADE;
