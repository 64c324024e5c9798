-- What cano.explain says of a run: what it waits for since when until when,
-- what failed and why, and what to do about it.
\ir lib/start.psql
\ir lib/pictures.psql
SELECT plan(37);

CREATE FUNCTION pg_temp.first(run bigint) RETURNS text LANGUAGE sql AS $$ SELECT split_part(pg_temp.same(cano.explain(run)), E'\n', 1) $$;
CREATE FUNCTION pg_temp.hints(run bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(m[1], ' | ' ORDER BY n) FROM regexp_matches(pg_temp.same(cano.explain(run)), '\n→ ([^\n]*)', 'g') WITH ORDINALITY AS r (m, n) $$;

-- Before it begins
SELECT pg_temp.later('0') AS x \gset
SELECT cano.submit('t_pictures question') AS run \gset
SELECT matches(pg_temp.first(:run), 't_pictures question, run <id>: queued in state "ask" since <time> \(<span>\)', 'a run in the queue');
SELECT matches(pg_temp.hints(:run), 'No background worker .* CALL cano.work\(\)', 'and what to do when nobody comes');
SELECT cano.submit('t_pictures question', run_at => now() + interval '1 day') AS late \gset
SELECT matches(pg_temp.first(:late), ': waiting in state "ask" to begin at <time> \(in <span>\)', 'one that is to begin later');

-- Running, as its own task sees it
CREATE FUNCTION t_pictures.look(done int DEFAULT NULL, total int DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	IF done IS NOT NULL THEN
		PERFORM cano.progress(done, total);
	END IF;
	RETURN split_part(cano.explain(cano.run_id()), E'\n', 1);
END $$;
SELECT cano.define('t_pictures look', cano.task('look', 't_pictures.look', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_pictures look') AS run1, cano.submit('t_pictures look', '{"done": 3}') AS run2,
	cano.submit('t_pictures look', '{"done": 3, "total": 4}') AS run3 \gset
CALL cano.work();
SELECT matches(cano.result(run) ->> 'look', format(': running t_pictures.look of state "look", attempt 1 of 4 since .*, process \d+%s$', far), what)
FROM (VALUES (:run1, '', 'one that is running'), (:run2, ', 3 done', 'and how far it is'), (:run3, ', 3 of 4 done', 'of how much')) AS v (run, far, what);

-- Each wait
CALL cano.work();
SELECT matches(pg_temp.first(:run), ': waiting in state "ask" for signal "answer" since <time> \(<span>\)$', 'one that waits for a signal');
SELECT is(pg_temp.hints(:run), 'SELECT cano.signal(<id>, ''answer''); lets it go on.', 'and how to send it');
SELECT cano.signal(:run, 'Answer'), cano.signal(:run, 'other'), cano.signal(:run, 'other') \g /dev/null
SELECT is(pg_temp.hints(:run), 'SELECT cano.signal(<id>, ''answer''); lets it go on. | It was sent "Answer", "other", which it does not wait for here.',
	'signals that it does not wait for are told');
CALL pg_temp.go('{"good_at": 2, "bad": 2}', NULL) \gset
SELECT matches(pg_temp.first(:run), ': waiting in state "charge" to try again, attempt 2 of 3 at <time> \(in <span>\)', 'one that tries again');
SELECT ok(cano.explain(:run) ~ 'attempt 2 of 3', 'it says how many attempts there are');
SELECT ok(cano.explain(:run) ~ '✗ attempt 1 at [^\n]*: the card was declined \(P0007\)\n[^\n]*detail: The bank says no.\n[^\n]*hint: Use another card.\n[^\n]*in: PL/pgSQL function t_pictures.card',
	'under the state is the error, with detail, hint and context');
SELECT pg_temp.later('61 s') AS x \gset
CALL cano.work();
SELECT matches(pg_temp.first(:run), ': waiting in state "approve" for signal "approval" since <time> \(<span>\), until <time> \(in <span>\)$', 'one that will not wait for ever');
CALL pg_temp.answer(:run, 'approval');
SELECT matches(cano.explain(:run), ': waiting in state "tell" for 1 of 3 branches: 1 t_pictures.card \(waiting, attempt 2\) since', 'one that waits for branches, and which are missing');
SELECT ok(cano.explain(:run) ~ '├─ ✓ branch 0 .*├─ … branch 1 [^\n]*\n[^\n]*attempt 1: the card was declined \(P0007\)\n.*└─ ✓ branch 2', 'each branch is there, with its error');
SELECT pg_temp.later('1 h 61 s') AS x \gset
CALL cano.work();
SELECT matches(cano.explain(:run), ': waiting in state "ship" for items, 2 of 3 done since', 'one that waits for items');
SELECT ok(cano.explain(:run) ~ '… item 1 +waiting, attempt 2\n[^\n]*attempt 1: division by zero \(22012\)\n[^\n]*… of 3 +2 completed, 1 waiting', 'those that failed are there, and how many there are');
SELECT pg_temp.later('3 h') AS x \gset
CALL cano.work();
SELECT matches(pg_temp.first(:run), ': waiting in state "track" until it is ready since <time> \(<span>\), asked again at <time> \(in <span>\)', 'one that asks again');
SELECT is_empty(format('SELECT WHERE cano.explain(%s) ~ ''tell|ship'' IS NOT TRUE', :run), 'what it has behind it is there');
SELECT ok(cano.explain(:run) ~ 'not yet +rest, print, ask back, done, refused, too late\n*$', 'and what it has not');

CALL pg_temp.go('{"ready": true}', NULL) \gset
CALL pg_temp.answer(:run, 'approval');
SELECT pg_temp.later('4 h') AS x \gset
CALL cano.work();
SELECT matches(pg_temp.first(:run), ': waiting in state "rest" for the time since <time> \(<span>\), until <time> \(in <span>\)', 'one that waits for the time');
SELECT pg_temp.later('7 h') AS x \gset
CALL cano.work();
SELECT matches(pg_temp.first(:run), ': waiting in state "print" for a client of queue "t_pictures printer" since <time> \(<span>\), until <time> \(in <span>\)', 'one that waits for a client');
SELECT matches(pg_temp.hints(:run), 'cano.take\(''t_pictures printer''\)', 'and where the client finds it');
SELECT cano.complete(t.token) AS x FROM cano.take('t_pictures printer') AS t \gset
CALL cano.work();
SELECT matches(pg_temp.first(:run), ': waiting in state "ask back" for run <id> of "t_pictures question" since .*, which is waiting in state "ask" for signal "answer"',
	'one that waits for a child, and what that waits for');
SELECT matches(pg_temp.hints(:run), 'SELECT cano.explain\(<id>\)', 'and where there is more of it');
SELECT run_id AS child FROM cano.runs WHERE parent_run_id = :run \gset
CALL pg_temp.answer(:child, 'answer');
CALL cano.work();
SELECT matches(pg_temp.first(:run), ': completed in state "done"$', 'one that is completed');
SELECT is(pg_temp.hints(:run), NULL, 'has nothing to be done');
SELECT ok(cano.explain(:run) ~ ('✓ run ' || :child || ' of t_pictures question'), 'its child is in the tree');

-- Failed
CALL pg_temp.go('{"good_at": 9}', NULL) \gset
SELECT pg_temp.later('8 h') AS x \gset
CALL cano.work();
SELECT pg_temp.later('9 h') AS x \gset
CALL cano.work();
SELECT matches(pg_temp.first(:run), ': failed in state "charge": task "t_pictures.card" failed after 3 attempts: the card was declined', 'one that failed');
SELECT matches(pg_temp.hints(:run), 'SELECT cano.submit\(''t_pictures'', r.input\) FROM cano.runs', 'if all was undone, it is to begin anew');
SELECT ok(cano.explain(:run) ~ '↺ rollback +clean\n[^\n]*└─ ↺ reserve +t_pictures.undo, undone', 'and what was undone is there');
CALL pg_temp.go('{"goes": "nowhere"}', NULL) \gset
CALL pg_temp.answer(:run, 'approval');
SELECT is(pg_temp.hints(:run), 'SELECT cano.compensate(<id>); tries again what was not undone. | SELECT cano.resume(<id>, force => true); lets it go on forward instead.',
	'one that was undone in part can go both ways');
SELECT ok(cano.explain(:run) ~ '✗ rollback +partial\n[^\n]*├─ ✗ charge +t_pictures.undo_badly, not undone\n[^\n]*attempt 1: no way back \(P0001\)\n[^\n]*\n[^\n]*└─ ↺ reserve',
	'with the error of what could not be undone');
SELECT cano.submit('t_pictures question') AS run \gset
CALL cano.work();
SELECT cano.cancel(:run, 'called off') AS x \gset
SELECT matches(pg_temp.first(:run), ': being cancelled in state "ask"', 'one that is being cancelled');
CALL cano.work();
SELECT matches(pg_temp.first(:run), ': cancelled in state "ask": called off$', 'one that was');
SELECT is(pg_temp.hints(:run), 'SELECT cano.resume(<id>); lets it go on after all.', 'and how to go on');

SELECT cano.define('t_pictures lost', cano.router('route', 't_pictures.route'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_pictures lost') AS run \gset
CALL cano.work();
SELECT is(pg_temp.hints(:run), 'SELECT cano.submit(''t_pictures lost'', r.input) FROM cano.runs r WHERE r.run_id =<id>; begins anew.',
	'one without a row in its log begins anew');

SELECT * FROM finish();
DROP SCHEMA t_pictures CASCADE;
