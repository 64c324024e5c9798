-- Work that clients outside the database do.
\ir lib/start.psql
SELECT plan(121);

CREATE SCHEMA t_external;
CREATE ROLE t_external_other LOGIN;
CREATE ROLE t_external_member LOGIN;
SELECT cano.grant_usage('t_external_other'), cano.grant_usage('t_external_member') \g /dev/null
SELECT format('GRANT %I TO t_external_member', current_user) \gexec
CREATE FUNCTION t_external.see(data jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT jsonb_build_object(''seen'', data)';
CREATE TABLE t_external.effect (n int);

CREATE FUNCTION pg_temp.line(run bigint) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', r.status, r.state, r.waiting_for) FROM cano.runs AS r WHERE r.run_id = $1 $$;
CREATE FUNCTION pg_temp.attempts(run bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(a.attempt || ' ' || a.sqlstate || ' ' || a.message, ', ' ORDER BY a.attempt)
	FROM cano.attempts AS a WHERE a.run_id = $1 $$;
CREATE FUNCTION pg_temp.left_over(run bigint) RETURNS bigint LANGUAGE sql AS $$
	SELECT (SELECT count(*) FROM cano._work w WHERE w.run = $1)
		+ (SELECT count(*) FROM cano._timer t WHERE t.run = $1) + (SELECT count(*) FROM cano._job j WHERE j.run = $1)
		+ (SELECT count(*) FROM cano._signal s WHERE s.run = $1) + (SELECT count(*) FROM cano._stop s WHERE s.run = $1) $$;
-- submit a run, let it wait; returns its id
CREATE PROCEDURE pg_temp.start(workflow text, input jsonb, INOUT run bigint) LANGUAGE plpgsql AS $$
BEGIN
	run := cano.submit(workflow, input);
	COMMIT;
	CALL cano.work();
END $$;

SELECT cano.define('t_external.flow', cano.external('w', 'q', next => 'b'),
	cano.task('b', 't_external.see', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.define('t_external.straight', cano.external('w', 'q', next => 'end'), cano.exit('end')) AS v \gset

-- from the offer to the end
SELECT is((SELECT count(*) FROM cano.take('q')), 0::bigint, 'nothing to take');
SELECT cano.submit('t_external.flow', '{"a": 1}', headers => '{"h": 2}') AS run \gset
SELECT is((SELECT count(*) FROM cano.take('q')), 0::bigint, 'nor before the run has come there');
CALL cano.work();
SELECT is(pg_temp.line(:run), 'waiting w external', 'the run waits for a client');
SELECT is((SELECT next_at FROM cano.runs WHERE run_id = :run), NULL, 'for as long as it takes');
SELECT is(pg_temp.rows(:run), '0 w', 'its row is there');
SELECT is((SELECT count(*) FROM cano.take('other')), 0::bigint, 'another queue has none of it');
SELECT * FROM cano.take('q') \gset t_
SELECT is(:t_run_id, :run, 'a client takes it');
SELECT is(:'t_state'::text, 'w', 'with its state');
SELECT is(:t_attempt, 1, 'its attempt');
SELECT is(:'t_data'::jsonb, '{"a": 1}', 'the data of the run');
SELECT is(:'t_headers'::jsonb, '{"h": 2}', 'its headers');
SELECT is(:'t_idempotency_key'::text, :run || ':0:w', 'a key as a task would have it');
SELECT ok(:'t_lease_until'::timestamptz - clock_timestamp() BETWEEN '50 s' AND '1 min', 'a lease of one minute');
SELECT cmp_ok(length(:'t_token'), '>=', 32, 'and a token');
SELECT is((SELECT count(*) FROM cano.take('q', 10)), 0::bigint, 'nobody else has it then');
CALL cano.work();
SELECT is(pg_temp.line(:run), 'waiting w external', 'the run still waits');
SELECT is(cano.complete(:'t_token', '{"b": 2}'), true, 'the client completes it');
SELECT is((SELECT count(*) FROM cano.signals WHERE run_id = :run), 0::bigint, 'that is no signal to look at');
SELECT is(cano.complete(:'t_token', '{"b": 3}'), false, 'once');
SELECT is(cano.fail(:'t_token', 'no'), false, 'and does not fail then');
SELECT is(cano.extend(:'t_token', '1 h'), false, 'nor has it a lease');
CALL cano.work();
SELECT is(pg_temp.rows(:run), '0 w, 1 b, 2 end', 'the run goes on');
SELECT is(cano.result(:run), '{"a": 1, "b": 2, "seen": {"a": 1, "b": 2}}', 'an object is merged into its data');
SELECT is(cano.complete(:'t_token'), false, 'a token of a run that has ended is none');
SELECT is(pg_temp.left_over(:run), 0::bigint, 'nothing is left');

-- outputs
CALL pg_temp.start('t_external.straight', '{}', NULL) \gset
SELECT is(cano.complete(token, '[1, "x"]'), true, 'another output') FROM cano.take('q');
CALL cano.work();
SELECT is(cano.result(:run), '{"w": [1, "x"]}', 'is stored under the name of the state');
CALL pg_temp.start('t_external.straight', '{"a": 1}', NULL) \gset
SELECT is(cano.complete(token, 'null'), true, 'also JSON''s null') FROM cano.take('q');
CALL cano.work();
SELECT is(cano.result(:run), '{"a": 1, "w": null}', 'which is a value');
CALL pg_temp.start('t_external.straight', '{"a": 1}', NULL) \gset
SELECT is(cano.complete(token), true, 'no output') FROM cano.take('q');
CALL cano.work();
SELECT is(cano.result(:run), '{"a": 1}', 'leaves the data as it was');
CALL pg_temp.start('t_external.straight', '{}', NULL) \gset
SELECT * FROM cano.take('q') \gset t_
SELECT throws_ok(format('SELECT cano.complete(%L, to_jsonb(repeat(''x'', 64 * 1024 * 1024)))', :'t_token'), '54000',
	'output is larger than cano.max_value_size', 'a larger output than allowed is refused');
SELECT is(cano.complete(:'t_token', '"small"'), true, 'and the work is still to be done');
CALL cano.work();
SELECT is(cano.result(:run), '{"w": "small"}', 'as it was');

-- where to go
SELECT cano.define('t_external.targets', cano.external('w', 'q', targets => ARRAY['b', 'end']),
	cano.external('b', 'q2', next => 'c', targets => ARRAY['end']), cano.task('c', 't_external.see', next => 'end'),
	cano.exit('end')) AS v \gset
CALL pg_temp.start('t_external.targets', '{}', NULL) \gset
SELECT * FROM cano.take('q') \gset t_
SELECT throws_ok(format('SELECT cano.complete(%L)', :'t_token'), 'CN002',
	'state "w" has no next state of its own', 'where there is no next, the client says where to go');
SELECT throws_ok(format('SELECT cano.complete(%L, NULL, ''nowhere'')', :'t_token'), 'CN002',
	'state "nowhere" does not exist', 'it must exist');
SELECT throws_ok(format('SELECT cano.complete(%L, NULL, ''c'')', :'t_token'), 'CN002',
	'state "c" is not one of the targets of state "w"', 'and be one of the targets');
CALL cano.work();
SELECT is(pg_temp.line(:run), 'waiting w external', 'a refused answer changes nothing');
SELECT is(cano.complete(:'t_token', '{"x": 1}', 'b'), true, 'a target is taken');
CALL cano.work();
SELECT is(pg_temp.line(:run), 'waiting b external', 'the next external state waits');
SELECT is((SELECT count(*) FROM cano.take('q')), 0::bigint, 'in its own queue');
SELECT is(cano.complete(token, next => 'c'), true, 'next counts as a target') FROM cano.take('q2');
CALL cano.work();
SELECT is(pg_temp.rows(:run), '0 w, 1 b, 2 c, 3 end', 'the run went there');
SELECT is(pg_temp.left_over(:run), 0::bigint, 'nothing is left');

-- a lease that is over counts as a failed attempt, and the work is offered again
SELECT cano.define('t_external.twice', cano.external('w', 'q', next => 'end', retry => cano.fixed(1, '10 s')), cano.exit('end')) AS v \gset
CALL pg_temp.start('t_external.twice', '{}', NULL) \gset
SELECT * FROM cano.take('q', lease => '5 min') \gset t_
SELECT pg_temp.later('4 min') AS x \gset
CALL cano.work();
SELECT is((SELECT count(*) FROM cano.take('q')), 0::bigint, 'before its end nobody gets the work');
SELECT is(cano.extend(:'t_token', '5 min'), true, 'a lease can be extended');
SELECT pg_temp.later('4 min') AS x \gset
CALL cano.work();
SELECT is(pg_temp.line(:run), 'waiting w external', 'then its old end means nothing');
SELECT is(cano.extend(:'t_token', '5 min'), true, 'which can be repeated');
SELECT is(cano.extend(:'t_token', '1 min'), true, 'and made shorter');
SELECT pg_temp.later('61 s') AS x \gset
SELECT is(cano.extend(:'t_token', '5 min'), false, 'a lease that is over is over');
SELECT is(cano.complete(:'t_token'), false, 'even before a worker has seen it');
SELECT is(cano.fail(:'t_token', 'x'), false, 'for any answer');
CALL cano.work();
SELECT is(pg_temp.attempts(:run), '1 CN005 the lease of a client expired', 'it was a failed attempt');
SELECT is(pg_temp.line(:run), 'waiting w retry', 'which is retried by the policy of the state');
SELECT is((SELECT count(*) FROM cano.take('q')), 0::bigint, 'not at once here');
SELECT pg_temp.later('10 s') AS x \gset
CALL cano.work();
SELECT is(cano.complete(:'t_token'), false, 'the old token means nothing when it is offered again');
SELECT * FROM cano.take('q') \gset u_
SELECT is(:u_attempt, 2, 'the next attempt');
SELECT is(:'u_idempotency_key'::text, :'t_idempotency_key'::text, 'has the same key');
SELECT isnt(:'u_token'::text, :'t_token'::text, 'and another token');
SELECT is(cano.complete(:'t_token'), false, 'the old token means nothing when it is taken again');
SELECT pg_temp.later('1 min') AS x \gset
CALL cano.work();
SELECT is(pg_temp.line(:run), 'failed w', 'without another attempt the run fails');
SELECT is(pg_temp.error(:run, 'category'), 'retry_exhausted', 'as for tasks');
SELECT is(pg_temp.error(:run, 'message'), 'state "w" failed after 2 attempts: the lease of a client expired', 'and says why');
SELECT is((SELECT count(*) FROM cano.dead_letters WHERE run_id = :run), 1::bigint, 'it is a dead letter');
SELECT is(pg_temp.left_over(:run), 0::bigint, 'nothing is left');

-- failures
CALL pg_temp.start('t_external.straight', '{}', NULL) \gset
SELECT is(cano.fail(token, 'out of paper'), true, 'a client says that it failed') FROM cano.take('q');
CALL cano.work();
SELECT is(pg_temp.line(:run) || ', ' || pg_temp.attempts(:run), 'waiting w retry, 1 CN003 out of paper', 'that is an attempt');
SELECT pg_temp.later('1 min') AS x \gset
CALL cano.work();
SELECT is(cano.fail(token, 'no ink', retry => NULL), true, 'and the next') FROM cano.take('q') WHERE attempt = 2;
CALL cano.work();
SELECT pg_temp.later('1 min') AS x \gset
CALL cano.work();
SELECT is(cano.fail(token, NULL), true, 'for no reason') FROM cano.take('q') WHERE attempt = 3;
CALL cano.work();
SELECT pg_temp.later('1 min') AS x \gset
CALL cano.work();
SELECT is(cano.complete(token), true, 'the fourth is the last') FROM cano.take('q') WHERE attempt = 4;
CALL cano.work();
SELECT is(pg_temp.line(:run), 'completed end', 'and not in vain');
SELECT is(pg_temp.attempts(:run), '1 CN003 out of paper, 2 CN003 no ink, 3 CN003 the client gave no reason', 'all are recorded');
CALL pg_temp.start('t_external.straight', '{}', NULL) \gset
SELECT is(cano.fail(token, 'no such address', retry => false), true, 'some failures are final') FROM cano.take('q');
CALL cano.work();
SELECT is(pg_temp.line(:run), 'failed w', 'then there is no other attempt');
SELECT is(pg_temp.error(:run, 'category') || ': ' || pg_temp.error(:run, 'message'), 'permanent: no such address', 'the error is the client''s');
SELECT is((SELECT count(*) FROM cano.dead_letters WHERE run_id = :run), 1::bigint, 'it is a dead letter');

-- the caller's transaction
CALL pg_temp.start('t_external.straight', '{}', NULL) \gset
BEGIN;
SELECT * FROM cano.take('q') \gset t_
ROLLBACK;
SELECT is(cano.complete(:'t_token'), false, 'what was taken in a transaction that was rolled back is not taken');
SELECT * FROM cano.take('q') \gset t_
BEGIN;
INSERT INTO t_external.effect VALUES (1);
SELECT is(cano.complete(:'t_token'), true, 'complete in a transaction');
ROLLBACK;
CALL cano.work();
SELECT is(pg_temp.line(:run), 'waiting w external', 'that is rolled back changes nothing');
BEGIN;
INSERT INTO t_external.effect VALUES (2);
SELECT is(cano.complete(:'t_token'), true, 'so the token is still good');
COMMIT;
CALL cano.work();
SELECT is(pg_temp.line(:run), 'completed end', 'for an effect and its completion in one commit');
CALL pg_temp.start('t_external.straight', '{}', NULL) \gset
BEGIN;
SELECT is(cano.complete(token), true, 'all in one transaction') FROM cano.take('q');
COMMIT;
CALL cano.work();
SELECT is(pg_temp.line(:run), 'completed end', 'works, too');

-- an attempt's time
SELECT cano.define('t_external.timed', cano.external('w', 'q', next => 'end', timeout => '10 min', retry => cano.fixed(1, '0')),
	cano.exit('end')) AS v \gset
CALL pg_temp.start('t_external.timed', '{}', NULL) \gset
SELECT is((SELECT next_at > submitted_at + interval '9 min' FROM cano.runs WHERE run_id = :run), true, 'an attempt may have a limit');
SELECT * FROM cano.take('q', lease => '1 h') \gset t_
SELECT pg_temp.later('10 min') AS x \gset
CALL cano.work();
SELECT is(cano.complete(:'t_token'), false, 'after it no lease helps');
SELECT is(pg_temp.attempts(:run), '1 CN005 state "w" took longer than 600000 ms', 'it was a failed attempt');
SELECT pg_temp.later('9 min') AS x \gset
CALL cano.work();
SELECT is(pg_temp.line(:run), 'waiting w external', 'the next attempt has its own time');
SELECT * FROM cano.take('q') \gset t_
SELECT is(:t_attempt, 2, 'and its own work');
SELECT is(cano.complete(:'t_token'), true, 'an answer in time');
SELECT pg_temp.later('5 min') AS x \gset
CALL cano.work();
SELECT is(pg_temp.line(:run), 'completed end', 'counts however late a worker sees it');
CALL pg_temp.start('t_external.timed', '{}', NULL) \gset
SELECT pg_temp.later('10 min') AS x \gset
CALL cano.work();
SELECT pg_temp.later('10 min') AS x \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category'), 'retry_exhausted', 'nobody took it');
SELECT is((SELECT count(*) FROM cano.take('q')), 0::bigint, 'and now nobody can');
SELECT is(pg_temp.left_over(:run), 0::bigint, 'nothing is left');

-- cancelled
CALL pg_temp.start('t_external.straight', '{}', NULL) \gset
SELECT * FROM cano.take('q') \gset t_
SELECT cano.cancel(:run, 'changed my mind') \g /dev/null
CALL cano.work();
SELECT is(pg_temp.line(:run), 'cancelled w', 'a run that waits for a client can be cancelled');
SELECT is(cano.complete(:'t_token'), false, 'the token means nothing then');
SELECT is(cano.extend(:'t_token', '1 h'), false, 'as a client sees that extends its lease');
SELECT is(pg_temp.left_over(:run), 0::bigint, 'nothing is left');
CALL pg_temp.start('t_external.straight', '{}', NULL) \gset
SELECT cano.cancel(:run) \g /dev/null
CALL cano.work();
SELECT is((SELECT count(*) FROM cano.take('q')), 0::bigint, 'cancelled work cannot be taken');
CALL pg_temp.start('t_external.straight', '{}', NULL) \gset
SELECT cano.complete(token) FROM cano.take('q') \g /dev/null
SELECT cano.cancel(:run) \g /dev/null
CALL cano.work();
SELECT is(pg_temp.line(:run), 'cancelled w', 'also with an answer that nobody has read');
SELECT is(pg_temp.left_over(:run), 0::bigint, 'nothing is left');
SELECT cano.define('t_external.limited', cano.external('w', 'q', next => 'end'), cano.exit('end'), cano.options(timeout => '1 h')) AS v \gset
CALL pg_temp.start('t_external.limited', '{}', NULL) \gset
SELECT * FROM cano.take('q', lease => '1 day') \gset t_
SELECT pg_temp.later('1 h') AS x \gset
CALL cano.work();
SELECT is(pg_temp.line(:run), 'failed w', 'a workflow''s timeout does not wait for clients');
SELECT is(cano.complete(:'t_token'), false, 'their tokens mean nothing then');
SELECT is(pg_temp.left_over(:run), 0::bigint, 'nothing is left');

-- many
SELECT string_agg(cano.submit('t_external.straight', priority => p)::text, ',' ORDER BY p, n) AS runs
FROM (VALUES (1, 20), (2, 10), (3, 20), (4, 10), (5, 30)) v (n, p) \gset
CALL cano.work();
SELECT is((SELECT array_agg(priority ORDER BY t.ordinality) FROM ROWS FROM (cano.take('q', 3)) WITH ORDINALITY t JOIN cano.runs USING (run_id)),
	'{10,10,20}'::int[], 'lower priority numbers first, so many as were asked for');
SELECT is((SELECT count(DISTINCT token) FROM cano.take('q', 10000)), 2::bigint, 'then the others, each with a token of its own');
SELECT count(cano.cancel(run::bigint)) FROM unnest(string_to_array(:'runs', ',')) run \g /dev/null
CALL cano.work();

-- other roles
CALL pg_temp.start('t_external.straight', '{}', NULL) \gset
SELECT * FROM cano.take('q') \gset t_
SELECT cano.submit('t_external.straight') AS run2 \gset
CALL cano.work();
SET ROLE t_external_other;
SELECT is((SELECT count(*) FROM cano.take('q', 10)), 0::bigint, 'another role gets no work');
SELECT is(cano.complete(:'t_token'), false, 'and can do nothing with a token');
SELECT is(cano.fail(:'t_token', 'x'), false, 'that is not its own');
SELECT is(cano.extend(:'t_token', '1 h'), false, 'at all');
RESET ROLE;
SET ROLE t_external_member;
SELECT is((SELECT run_id FROM cano.take('q', 10)), :run2::bigint, 'a member of the role gets its work');
SELECT is(cano.complete(:'t_token'), true, 'and may complete it');
RESET ROLE;
CALL cano.work();
SELECT is(pg_temp.line(:run), 'completed end', 'which counts');

-- what cannot be meant
SELECT throws_ok($$SELECT cano.take(NULL)$$, 'CN001', 'queue must not be null', 'a queue must be named');
SELECT throws_ok($$SELECT cano.take('')$$, 'CN001', 'queue must have 1 to 1000 characters', 'by a name');
SELECT throws_ok($$SELECT cano.take('q', 0)$$, 'CN001', 'max must be between 1 and 10000', 'none is too few');
SELECT throws_ok($$SELECT cano.take('q', 10001)$$, 'CN001', 'max must be between 1 and 10000', 'and there is a limit');
SELECT throws_ok($$SELECT cano.take('q', lease => '0')$$, 'CN001', 'lease must be longer than nothing', 'a lease takes time');
SELECT throws_ok($$SELECT cano.take('q', lease => '1100 years')$$, 'CN001', 'lease must be at most 1000 years', 'but not for ever');
SELECT throws_ok($$SELECT cano.extend('x', '-1 s')$$, 'CN001', 'lease must be longer than nothing', 'also when it is extended');
SELECT is(cano.complete('no such token'), false, 'a token that is none is answered with false');
SELECT is(cano.complete(NULL), false, 'as is null');

SELECT * FROM finish();
DROP SCHEMA t_external CASCADE;
DROP OWNED BY t_external_other, t_external_member;
DROP ROLE t_external_other, t_external_member;
