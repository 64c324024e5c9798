-- States that wait for a signal.
\ir lib/start.psql
SELECT plan(74);

CREATE SCHEMA t_receive;
CREATE ROLE t_receive_other LOGIN;
SELECT cano.grant_usage('t_receive_other') \g /dev/null
CREATE FUNCTION t_receive.rest() RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION t_receive.see(signal jsonb) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('seen', coalesce(signal, '"nothing"')) $$;
CREATE FUNCTION t_receive.collect(got jsonb, list jsonb DEFAULT '[]') RETURNS cano.outcome LANGUAGE sql AS $$
	SELECT cano.next(CASE jsonb_array_length(list) WHEN 19 THEN 'end' ELSE 'r' END, jsonb_build_object('list', list || got)) $$;

-- signals that nobody has received
CREATE FUNCTION pg_temp.left_over(run bigint) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(s.name || ' ' || coalesce(s.payload::text, '-'), ', ' ORDER BY s.name, s.sent_at), '')
	FROM cano.signals AS s WHERE s.run_id = $1 $$;
CREATE FUNCTION pg_temp.line(run bigint) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', r.status, r.state, r.waiting_for) FROM cano.runs AS r WHERE r.run_id = $1 $$;

SELECT cano.define('t_receive.flow', cano.task('a', 't_receive.rest', next => 'r'),
	cano.receive('r', 'go', next => 'b'), cano.task('b', 't_receive.see', next => 'end'), cano.exit('end')) AS v \gset

-- while it waits
SELECT cano.submit('t_receive.flow', '{"x": 1}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.line(:run), 'waiting r signal', 'a run waits for a signal');
SELECT is((SELECT next_at FROM cano.runs WHERE run_id = :run), NULL, 'for as long as it takes');
SELECT is(pg_temp.rows(:run), '0 a, 1 r', 'its row is there');
SELECT is((SELECT task FROM cano.checkpoints WHERE run_id = :run AND state = 'r'), NULL, 'without a task, as it calls none');
CALL cano.work();
SELECT pg_temp.later('10 days') AS x \gset
CALL cano.work();
SELECT is(pg_temp.line(:run), 'waiting r signal', 'time alone changes nothing');
SELECT is(cano.signal(:run, 'go', '{"ok": true}'), true, 'a signal is taken');
SELECT is(pg_temp.left_over(:run), 'go {"ok": true}', 'and is there until received');
CALL cano.work();
SELECT is(pg_temp.rows(:run), '0 a, 1 r, 2 b, 3 end', 'the run goes on');
SELECT is(cano.result(:run), '{"x": 1, "ok": true, "seen": {"ok": true}}'::jsonb,
	'an object is merged, and later states see it as "signal"');
SELECT is(pg_temp.left_over(:run), '', 'nothing is left of it');

-- before it waits, even before it runs
SELECT cano.submit('t_receive.flow') AS run \gset
SELECT is(cano.signal(:run, 'go', '7'), true, 'a signal may come before anybody waits');
SELECT is((SELECT status FROM cano.status(:run)), 'queued', 'which does not change where the run is');
CALL cano.work();
SELECT is(pg_temp.rows(:run), '0 a, 1 r, 2 b, 3 end', 'the run does not wait then');
SELECT is(cano.result(:run), '{"r": 7, "seen": 7}'::jsonb, 'a scalar goes under the name of the state');

-- after it waited
SELECT is(cano.signal(:run, 'go'), false, 'a run that has ended takes none');
SELECT is(cano.signal(-1, 'go'), false, 'nor does one that does not exist');
SELECT is(cano.signal(NULL::bigint, 'go'), false, 'nor does null');
SELECT is(pg_temp.left_over(:run), '', 'and nothing is kept for them');

-- payloads
SELECT cano.define('t_receive.keyed', cano.receive('r', 'go', next => 'b', output_key => 'under'),
	cano.task('b', 't_receive.see', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_receive.keyed') AS run1 \gset
SELECT cano.submit('t_receive.keyed') AS run2 \gset
SELECT cano.submit('t_receive.keyed') AS run3 \gset
SELECT cano.submit('t_receive.flow', '{"x": 1}') AS run4 \gset
SELECT cano.submit('t_receive.flow') AS run5 \gset
SELECT cano.submit('t_receive.flow') AS run6 \gset
CALL cano.work();
SELECT is(pg_temp.line(:run1) || ' ' || pg_temp.rows(:run1), 'waiting r signal 0 r', 'a run may begin by waiting');
SELECT bool_and(s) AS x FROM unnest(ARRAY[cano.signal(:run1, 'go', '{"a": 1}'), cano.signal(:run2, 'go', '[1, 2]'),
	cano.signal(:run3, 'go'), cano.signal(:run4, 'go'), cano.signal(:run5, 'go', '[1, 2]'), cano.signal(:run6, 'go', 'null')]) AS s \gset
CALL cano.work();
SELECT is(cano.result(:run1), '{"under": {"a": 1}, "seen": {"a": 1}}'::jsonb, 'output_key keeps an object apart');
SELECT is(cano.result(:run2), '{"under": [1, 2], "seen": [1, 2]}'::jsonb, 'and renames what else there is');
SELECT is(cano.result(:run3), '{"seen": "nothing"}'::jsonb, 'no payload stores nothing, also under a key');
SELECT is(cano.result(:run4), '{"x": 1, "seen": "nothing"}'::jsonb, 'nor without');
SELECT is(cano.result(:run5), '{"r": [1, 2], "seen": [1, 2]}'::jsonb, 'an array goes under the name of the state');
SELECT is(pg_temp.status(:run6) || pg_temp.rows(:run6), 'completed0 a, 1 r, 2 b, 3 end', 'a JSON null is a signal like others');

-- two in a row; first in, first out; other names
SELECT cano.define('t_receive.two', cano.receive('r1', 'go', next => 'r2'), cano.receive('r2', 'go', next => 'b'),
	cano.task('b', 't_receive.see', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_receive.two') AS run \gset
CALL cano.work();
SELECT cano.signal(:run, 'stop', '0') AS x \gset
SELECT cano.signal(:run, 'GO', '0') AS x \gset
CALL cano.work();
SELECT is(pg_temp.line(:run), 'waiting r1 signal', 'a signal of another name is not the one');
SELECT is(pg_temp.left_over(:run), 'GO 0, stop 0', 'it stays');
SELECT cano.signal(:run, 'go', '1') AS x \gset
CALL cano.work();
SELECT is(pg_temp.line(:run), 'waiting r2 signal', 'each state receives one');
SELECT cano.signal(:run, 'go', '2') AS x \gset
SELECT cano.signal(:run, 'go', '3') AS x \gset
CALL cano.work();
SELECT is(cano.result(:run), '{"r1": 1, "r2": 2, "seen": 2}'::jsonb, 'first in, first out; "signal" is the latest');
SELECT is(pg_temp.left_over(:run), '', 'signals of a run that has ended are not waited for');

SELECT cano.submit('t_receive.two') AS run \gset
SELECT count(cano.signal(:run, 'go', to_jsonb(n))) AS x FROM generate_series(1, 2) AS n \gset
CALL cano.work();
SELECT is(cano.result(:run), '{"r1": 1, "r2": 2, "seen": 2}'::jsonb, 'two that came before are received in order');

-- a loop
SELECT cano.define('t_receive.loop', cano.receive('r', 'item', next => 'c', output_key => 'got'),
	cano.task('c', 't_receive.collect', targets => ARRAY['r', 'end']), cano.exit('end')) AS v \gset
SELECT cano.submit('t_receive.loop') AS run \gset
CALL cano.work();
SELECT count(cano.signal(:run, 'item', to_jsonb(n))) AS x FROM generate_series(1, 7) AS n \gset
CALL cano.work();
SELECT is(pg_temp.line(:run), 'waiting r signal', 'a loop receives what there is and waits again');
SELECT count(cano.signal(:run, 'item', to_jsonb(n))) AS x FROM generate_series(8, 20) AS n \gset
CALL cano.work();
SELECT is(cano.result(:run) -> 'list', (SELECT jsonb_agg(n) FROM generate_series(1, 20) AS n), 'it received twenty signals in order');

-- time-outs
SELECT cano.define('t_receive.patient', cano.receive('r', 'go', next => 'b', timeout => '1 hour'),
	cano.task('b', 't_receive.see', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.define('t_receive.otherwise', cano.receive('r', 'go', next => 'b', timeout => '1 hour', on_timeout => 'late'),
	cano.task('b', 't_receive.see', next => 'end'), cano.task('late', 't_receive.see', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.define('t_receive.ends', cano.receive('r', 'go', next => 'end', timeout => '1 hour', on_timeout => 'late'),
	cano.exit('end'), cano.exit('late', 'cancelled')) AS v \gset
SELECT cano.submit('t_receive.patient') AS run1 \gset
SELECT cano.submit('t_receive.otherwise') AS run2 \gset
SELECT cano.submit('t_receive.patient') AS run3 \gset
SELECT cano.submit('t_receive.ends') AS run4 \gset
SELECT cano.submit('t_receive.patient') AS run5 \gset
CALL cano.work();
SELECT is(pg_temp.line(:run1), 'waiting r signal', 'who waits for a limited time waits for a signal');
SELECT ok(EXTRACT(epoch FROM next_at - now()) - 864000 BETWEEN 3590 AND 3601, 'and next_at says how long')
FROM cano.runs WHERE run_id = :run1;
SELECT pg_temp.later('59 minutes') AS x \gset
SELECT cano.signal(:run3, 'go', '1') AS x \gset
CALL cano.work();
SELECT is(pg_temp.status(:run1), 'waiting', 'until then it waits');
SELECT is(pg_temp.status(:run3), 'completed', 'who receives in time goes on');
SELECT cano.signal(:run1, 'stop') AS x \gset
SELECT pg_temp.later('2 minutes') AS x \gset
SELECT cano.signal(:run5, 'go', '1') AS x \gset
CALL cano.work();
SELECT is(pg_temp.status(:run1) || ' ' || pg_temp.error(:run1, 'category'), 'failed timeout', 'then the run fails');
SELECT is(pg_temp.error(:run1, 'state'), 'r', 'in the state that waited');
SELECT is((SELECT count(*) FROM cano.dead_letters WHERE run_id = :run1), 0::bigint, 'which is no dead letter');
SELECT is((SELECT count(*) FROM cano.attempts WHERE run_id = :run1), 0::bigint, 'and no failed attempt');
SELECT is(pg_temp.left_over(:run1), '', 'a signal that it did not wait for is gone with it');
SELECT is(pg_temp.rows(:run2), '0 r, 1 late, 2 end', 'or goes where on_timeout says');
SELECT is(cano.result(:run2), '{"seen": "nothing"}'::jsonb, 'with nothing received');
SELECT is(pg_temp.status(:run4), 'cancelled', 'that may be an exit');
SELECT isnt(pg_temp.status(:run5), 'waiting', 'a signal at the last moment does not make it wait longer');
SELECT pg_temp.later('2 hours') AS x \gset
CALL cano.work();
SELECT is(pg_temp.status(:run3), 'completed', 'a time that was not needed does nothing');

SELECT cano.define('t_receive.again', cano.receive('r1', 'go', next => 'r2', timeout => '1 hour'),
	cano.receive('r2', 'go', next => 'end', timeout => '1 hour', on_timeout => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_receive.again') AS run \gset
CALL cano.work();
SELECT pg_temp.later('50 minutes') AS x \gset
SELECT cano.signal(:run, 'go') AS x \gset
CALL cano.work();
SELECT pg_temp.later('50 minutes') AS x \gset
CALL cano.work();
SELECT is(pg_temp.line(:run), 'waiting r2 signal', 'each state has its own time');
SELECT pg_temp.later('11 minutes') AS x \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'and no more');

-- by key
SELECT cano.submit('t_receive.flow', key => 'one') AS run1 \gset
SELECT cano.submit('t_receive.flow', key => 'two') AS run2 \gset
SELECT cano.submit('t_receive.patient', key => 'two') AS run3 \gset
CALL cano.work();
SELECT is(cano.signal(key => 'one', name => 'go', payload => '1'), true, 'a run is found by its key');
SELECT is(cano.signal('two', 'go', workflow => 't_receive.patient'), true, 'and that of a workflow');
SELECT throws_ok($$SELECT cano.signal(key => 'two', name => 'go')$$, 'CN001', NULL, 'a key of two workflows needs the workflow');
SELECT is(cano.signal(key => 'three', name => 'go'), false, 'an unknown key is no error');
SELECT is(cano.signal(key => 'one', name => 'go', workflow => 't_receive.patient'), false, 'nor is one of another workflow');
SELECT is(cano.signal(key => 'one', name => 'go', workflow => 'no such'), false, 'nor is an unknown workflow');
SELECT is(cano.signal(NULL::text, 'go'), false, 'nor is null');
CALL cano.work();
SELECT is(pg_temp.status(:run1) || ' ' || pg_temp.status(:run2) || ' ' || pg_temp.status(:run3), 'completed waiting completed',
	'who was meant received it');
SELECT is(cano.signal(key => 'one', name => 'go'), false, 'a key whose run has ended is unknown');
SELECT is(cano.signal('two', 'go'), true, 'a key that is left alone is unique again');
CALL cano.work();
SELECT is(pg_temp.status(:run2), 'completed', 'its run receives it');

-- other roles
SELECT cano.submit('t_receive.flow', key => 'mine') AS run \gset
SELECT cano.signal(:run, 'later', '1') AS x \gset
SET ROLE t_receive_other;
SELECT is(cano.signal(:run, 'go'), false, 'another role''s run is unknown');
SELECT is(cano.signal(key => 'mine', name => 'go'), false, 'so is its key');
SELECT is((SELECT count(*) FROM cano.signals), 0::bigint, 'and what was sent to it');
SELECT cano.define('t_receive.theirs', cano.receive('r', 'go', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_receive.theirs', key => 'mine') AS theirs \gset
CALL cano.work();
SELECT is(cano.signal(key => 'mine', name => 'go'), true, 'two roles may use one key');
CALL cano.work();
SELECT is(pg_temp.status(:theirs), 'completed', 'each finds its own');
RESET ROLE;
SELECT is(pg_temp.left_over(:run), 'later 1', 'the other got nothing');

-- transactions
CALL cano.work();
BEGIN;
SELECT cano.signal(:run, 'go', '1') AS x \gset
ROLLBACK;
CALL cano.work();
SELECT is(pg_temp.line(:run), 'waiting r signal', 'a signal that was rolled back was none');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) AS x FROM cano.runs \gset
SELECT is(cano.signal(:run, 'go', '2'), true, 'a signal may be sent in any kind of transaction');
COMMIT;
CALL cano.work();
SELECT is(cano.result(:run), '{"r": 2, "seen": 2}'::jsonb, 'and is received');

-- names
SELECT cano.submit('t_receive.flow') AS run \gset
SELECT is(cano.signal(:run, repeat('ä', 1000)), true, 'a name may have 1000 characters');
SELECT throws_ok(format('SELECT cano.signal(%s, %L)', :run, name), 'CN001', NULL, 'but must have ' || what)
FROM (VALUES ('no more', repeat('ä', 1001)), ('one', '')) AS v (what, name);
SELECT throws_ok(format('SELECT cano.signal(%s, NULL)', :run), 'CN001', NULL, 'so it is not null');
SELECT is((SELECT count(*) FROM cano.signals WHERE run_id = :run), 1::bigint, 'what was refused is not kept');

SELECT * FROM finish();
DROP SCHEMA t_receive CASCADE;
SELECT cano.revoke_usage('t_receive_other') \g /dev/null
DROP ROLE t_receive_other;
