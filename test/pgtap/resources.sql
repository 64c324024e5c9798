-- Resources: set up before the first state, read by tasks, torn down after the
-- end.
\ir lib/start.psql
SELECT plan(48);

CREATE SCHEMA t_resource;
CREATE SEQUENCE t_resource.calls;
CREATE TABLE t_resource.did (n serial, run_id bigint, what text, resources jsonb, xid xid8 DEFAULT pg_current_xact_id());
CREATE FUNCTION t_resource.up_first(run_id bigint, resources jsonb, start int DEFAULT 1) RETURNS jsonb LANGUAGE sql AS $$
	INSERT INTO t_resource.did (run_id, what, resources) VALUES (run_id, 'up first', resources);
	SELECT jsonb_build_object('number', start) $$;
CREATE FUNCTION t_resource.up_second(run_id bigint, resources jsonb) RETURNS void LANGUAGE sql AS $$
	INSERT INTO t_resource.did (run_id, what, resources) VALUES (run_id, 'up second', resources) $$;
CREATE FUNCTION t_resource.down_first(run_id bigint, resources jsonb) RETURNS void LANGUAGE sql AS $$
	INSERT INTO t_resource.did (run_id, what, resources) VALUES (run_id, 'down first', resources) $$;
CREATE FUNCTION t_resource.down_second(run_id bigint, resources jsonb) RETURNS void LANGUAGE sql AS $$
	INSERT INTO t_resource.did (run_id, what, resources) VALUES (run_id, 'down second ' || cano.resource('second')::text, resources) $$;
CREATE FUNCTION t_resource.down_third(run_id bigint, resources jsonb) RETURNS void LANGUAGE sql AS $$
	INSERT INTO t_resource.did (run_id, what, resources) VALUES (run_id, 'down third', resources) $$;
CREATE FUNCTION t_resource.on_end(run_id bigint, status text, resources jsonb) RETURNS void LANGUAGE sql AS $$
	INSERT INTO t_resource.did (run_id, what, resources) VALUES (run_id, status, resources) $$;
CREATE FUNCTION t_resource.act(run_id bigint, resources jsonb, key text DEFAULT 'first', way text DEFAULT NULL) RETURNS cano.outcome LANGUAGE plpgsql AS $$
DECLARE
	v_value jsonb := cano.resource(key);
BEGIN
	INSERT INTO t_resource.did (run_id, what, resources) VALUES (run_id, format('act %s', coalesce(v_value::text, 'null')), resources);
	IF way = 'raise' THEN
		RAISE 'no way';
	END IF;
	RETURN cano.next(way);
END $$;
CREATE FUNCTION t_resource.raises() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM nextval('t_resource.calls');
	RAISE 'no resource';
END $$;
CREATE FUNCTION pg_temp.did(run bigint) RETURNS text LANGUAGE sql AS
	$$ SELECT string_agg(what, ', ' ORDER BY n) FROM t_resource.did WHERE run_id = run $$;
CREATE FUNCTION pg_temp.leftovers() RETURNS bigint LANGUAGE sql AS
	$$ SELECT (SELECT count(*) FROM cano._job) + (SELECT count(*) FROM cano._timer) + (SELECT count(*) FROM cano._resource) $$;
CREATE FUNCTION pg_temp.resources(setup text DEFAULT 't_resource.up_second', teardown text DEFAULT 't_resource.down_second') RETURNS jsonb LANGUAGE sql AS $$
	SELECT cano.options(on_end => 't_resource.on_end', retry => cano.fixed(1, '0'), timeout => '1 h', resources => ARRAY[
		cano.with_resource('first', setup => 't_resource.up_first', teardown => 't_resource.down_first'),
		cano.with_resource('second', '"given"', setup, teardown),
		cano.with_resource('third', '3', teardown => 't_resource.down_third'),
		cano.with_resource('fourth')]) $$;

-- a run
SELECT cano.define('t_resource.plain', cano.task('a', 't_resource.act', targets => ARRAY['bad', 'wait'], next => 'end', retry => cano.none()),
	cano.receive('wait', signal => 'go', next => 'end'), cano.exit('end'), cano.exit('bad', 'failed'), pg_temp.resources()) AS v \gset
SELECT cano.submit('t_resource.plain', '{"start": 7}') AS run \gset
SELECT is(concat_ws(' ', status, state, coalesce(sequence::text, 'none')), 'queued a none', 'a run that is to be prepared has entered no state')
FROM cano.status(:run);
CALL cano.work(max_steps => 1);
SELECT is(pg_temp.did(:run), 'up first', 'a setup is a step of its own');
SELECT is(pg_temp.rows(:run), NULL, 'no state is entered before the last');
CALL cano.work(max_steps => 1);
SELECT is(pg_temp.rows(:run), '0 a', 'the last enters the first state');
CALL cano.work();
SELECT is(pg_temp.did(:run), 'up first, up second, act {"number": 7}, completed, down third, down second "given", down first',
	'setups in order, the run, its hook, teardowns in reverse');
SELECT is(pg_temp.rows(:run), '0 a, 1 end', 'the log has the states');
SELECT is(cano.result(:run), '{"start": 7}', 'what a setup returns is no output');
SELECT is((SELECT array_agg(DISTINCT resources) FROM t_resource.did WHERE run_id = :run AND what <> 'up first'),
	ARRAY['{"first": {"number": 7}, "second": "given", "third": 3, "fourth": null}']::jsonb[],
	'what a setup returns is the value, else what is defined');
SELECT is((SELECT resources FROM t_resource.did WHERE run_id = :run AND what = 'up first'),
	'{"first": null, "second": "given", "third": 3, "fourth": null}', 'a setup has those before it');
SELECT is(pg_temp.leftovers(), 0::bigint, 'nothing is left');

-- cano.resource
SELECT cano.submit('t_resource.plain', '{"key": "second"}') AS second \gset
SELECT cano.submit('t_resource.plain', '{"key": "third"}') AS third \gset
SELECT cano.submit('t_resource.plain', '{"key": "fourth"}') AS fourth \gset
SELECT cano.submit('t_resource.plain', '{"key": "fifth"}') AS fifth \gset
SELECT cano.submit('t_resource.plain', '{"key": null}') AS none \gset
CALL cano.work();
SELECT matches(pg_temp.did(:second), 'act "given"', 'a value that its setup left');
SELECT matches(pg_temp.did(:third), 'act 3', 'one without a setup');
SELECT matches(pg_temp.did(:fourth), 'act null', 'one without a value');
SELECT is(pg_temp.error(:fifth, 'category') || ' ' || pg_temp.error(:fifth, 'sqlstate'), 'resource CN010', 'one that is not there is an error');
SELECT matches(pg_temp.error(:fifth, 'message'), 'fifth', 'that names it');
SELECT is(pg_temp.status(:none), 'failed', 'null is no key');
SELECT throws_ok($$SELECT cano.resource('first')$$, 'CN002', NULL, 'there are none outside a task');
SELECT cano.define('t_resource.without', cano.task('a', 't_resource.act', next => 'end', retry => cano.none()), cano.exit('end')) AS v \gset
SELECT cano.submit('t_resource.without') AS run \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category'), 'resource', 'nor in a workflow that has none');

-- every ending
SELECT cano.submit('t_resource.plain', '{"way": "bad"}') AS run \gset
CALL cano.work();
SELECT matches(pg_temp.did(:run), 'failed, down third, down second "given", down first$', 'a run that fails');
SELECT cano.submit('t_resource.plain', '{"way": "wait"}') AS run \gset
CALL cano.work();
SELECT is((SELECT count(*) FROM cano._resource), 2::bigint, 'while a run waits, its resources stay');
SELECT cano.cancel(:run) AS cancelled \gset
CALL cano.work();
SELECT matches(pg_temp.did(:run), 'cancelled, down third, down second "given", down first$', 'a run that is cancelled');
SELECT cano.submit('t_resource.plain', '{"way": "wait"}') AS run \gset
CALL cano.work();
SELECT pg_temp.later('2 h');
CALL cano.work();
SELECT matches(pg_temp.did(:run), 'failed, down third, down second "given", down first$', 'a run whose time is over');
SELECT cano.submit('t_resource.plain', '{"way": "wait"}') AS run \gset
SELECT cano.cancel(:run) AS cancelled \gset
CALL cano.work();
SELECT is(pg_temp.did(:run), 'cancelled', 'a run that is cancelled before has nothing to tear down');
SELECT is(pg_temp.rows(:run), NULL, 'and entered no state');
SELECT cano.submit('t_resource.plain', '{"way": "wait"}') AS run \gset
CALL cano.work(max_steps => 1);
SELECT cano.cancel(:run) AS cancelled \gset
CALL cano.work();
SELECT is(pg_temp.did(:run), 'up first, cancelled, down first', 'one that is cancelled between two setups has what was set up');
SELECT is(pg_temp.leftovers(), 0::bigint, 'nothing is left');

-- rolled back: compensations still have them
CREATE FUNCTION t_resource.undo(run_id bigint) RETURNS void LANGUAGE sql AS $$
	INSERT INTO t_resource.did (run_id, what) VALUES (run_id, 'undo ' || cano.resource('first')::text) $$;
SELECT cano.define('t_resource.saga', cano.task('a', 't_resource.act', next => 'b', compensate => 't_resource.undo'),
	cano.task('b', 't_resource.raises', next => 'end', retry => cano.none()), cano.exit('end'), pg_temp.resources()) AS v \gset
SELECT cano.submit('t_resource.saga') AS run \gset
CALL cano.work();
SELECT is(pg_temp.did(:run), 'up first, up second, act {"number": 1}, undo {"number": 1}, failed, down third, down second "given", down first',
	'a run that is rolled back is torn down after that');

-- setups that fail
ALTER SEQUENCE t_resource.calls RESTART;
SELECT cano.define('t_resource.fails', cano.task('a', 't_resource.act', next => 'end'), cano.exit('end'), pg_temp.resources('t_resource.raises')) AS v \gset
SELECT cano.submit('t_resource.fails') AS run \gset
CALL cano.work();
SELECT is(concat_ws(' ', status, state, coalesce(sequence::text, 'none')), 'failed a none', 'a setup whose attempts are used up fails the run') FROM cano.status(:run);
SELECT is(pg_temp.calls('t_resource.calls'), 2::bigint, 'after those that the workflow''s policy allows');
SELECT is(pg_temp.error(:run, 'category') || ': ' || pg_temp.error(:run, 'message'),
	'retry_exhausted: task "t_resource.raises" failed after 2 attempts: no resource', 'with its error');
SELECT is(pg_temp.did(:run), 'up first, failed, down first', 'those before it are torn down');
SELECT is((SELECT count(*) FROM cano.attempts WHERE run_id = :run AND task = 't_resource.raises'), 2::bigint, 'its attempts are recorded');
SELECT is((SELECT count(*) FROM cano.dead_letters WHERE run_id = :run), 1::bigint, 'it is a dead letter');
CREATE FUNCTION t_resource.declines(run_id bigint) RETURNS cano.outcome LANGUAGE sql AS $$ SELECT cano.failed('not today') $$;
SELECT cano.define('t_resource.declined', cano.task('a', 't_resource.act', next => 'end'), cano.exit('end'), pg_temp.resources('t_resource.declines')) AS v \gset
SELECT cano.submit('t_resource.declined') AS run \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'message') || '; ' || pg_temp.did(:run), 'not today; up first, failed, down first', 'a setup may say so');
CREATE FUNCTION t_resource.more() RETURNS cano.outcome LANGUAGE sql AS $$ SELECT cano.more('1') $$;
SELECT cano.define('t_resource.more', cano.task('a', 't_resource.act', next => 'end'), cano.exit('end'), pg_temp.resources('t_resource.more')) AS v \gset
SELECT cano.submit('t_resource.more') AS run \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'category') || '; ' || pg_temp.did(:run), 'workflow; up first, failed, down first', 'but nothing that it cannot');
CREATE FUNCTION t_resource.cancels(run_id bigint) RETURNS void LANGUAGE sql AS $$
	INSERT INTO t_resource.did (run_id, what) SELECT run_id, 'up cancels' WHERE cano.cancel(run_id, 'by a setup') $$;
SELECT cano.define('t_resource.cancels', cano.task('a', 't_resource.act', next => 'end'), cano.exit('end'), pg_temp.resources('t_resource.cancels')) AS v \gset
SELECT cano.submit('t_resource.cancels') AS run \gset
CALL cano.work();
SELECT is((SELECT cancel_reason FROM cano.status(:run)) || '; ' || pg_temp.did(:run),
	'by a setup; up first, up cancels, cancelled, down third, down second "given", down first', 'one that cancels its run has set its resource up');

-- teardowns that fail
ALTER SEQUENCE t_resource.calls RESTART;
SELECT cano.define('t_resource.stays', cano.task('a', 't_resource.act', next => 'end'), cano.exit('end'),
	pg_temp.resources(teardown => 't_resource.raises')) AS v \gset
SELECT cano.submit('t_resource.stays', max_attempts => 5) AS run \gset
CALL cano.work();
SELECT matches(pg_temp.did(:run), 'completed, down third, down first$', 'a teardown that fails does not keep the next from being called');
SELECT is((SELECT string_agg(concat_ws(' ', state, attempt, message), ', ' ORDER BY attempt) FROM cano.attempts WHERE run_id = :run),
	'end 1 no resource, end 2 no resource', 'it is tried as often as the workflow''s policy says, and recorded');
SELECT is(pg_temp.status(:run), 'completed', 'which changes nothing about the run');

-- start states of other kinds, delays, children, sessions
SELECT cano.define('t_resource.' || kind, part, cano.exit('end'), pg_temp.resources()) AS v
FROM (VALUES ('timer', cano.timer('a', delay => '1 h', next => 'end')), ('split', cano.split('a', ARRAY['t_resource.act'], next => 'end'))) AS k (kind, part);
SELECT cano.define('t_resource.exit', cano.exit('end'), pg_temp.resources()) AS v \gset
SELECT cano.define('t_resource.child', cano.child('a', 't_resource.plain', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_resource.timer') AS timer \gset
SELECT cano.submit('t_resource.split') AS split \gset
SELECT cano.submit('t_resource.exit') AS exit \gset
SELECT cano.submit('t_resource.child') AS child \gset
SELECT cano.submit('t_resource.plain', run_at => cano_now + interval '1 day') AS later
FROM (SELECT clock_timestamp() + interval '3 h' AS cano_now) AS t \gset
CALL cano.work();
SELECT is((SELECT waiting_for FROM cano.status(:timer)), 'timer', 'a run whose first state waits');
SELECT matches(pg_temp.did(:split), 'up second, act {"number": 1}, completed', 'one whose first state is a split');
SELECT is(pg_temp.did(:exit) || pg_temp.rows(:exit), 'up first, up second, completed, down third, down second "given", down first0 end', 'one that is only an exit');
SELECT is(pg_temp.status(:child) || ', ' || (SELECT pg_temp.did(run_id) FROM cano.runs WHERE parent_run_id = :child),
	'completed, up first, up second, act {"number": 1}, completed, down third, down second "given", down first', 'a child');
SELECT is(concat_ws(' ', status, waiting_for, pg_temp.did(:later)), 'waiting schedule', 'one that is to begin later') FROM cano.status(:later);
TRUNCATE t_resource.did;
CALL cano.orchestrate('t_resource.plain');
SELECT is((SELECT string_agg(what, ', ' ORDER BY n) FROM t_resource.did), 'up first, up second, act {"number": 1}, completed, down third, down second "given", down first',
	'a session that runs it does everything');

-- definitions
SELECT throws_ok($$SELECT cano.define('t_resource.bad', cano.exit('end'), cano.options(resources => ARRAY[cano.with_resource('one'), cano.with_resource('two'), cano.with_resource('one')]))$$,
	'CN001', NULL, 'a name is there once');
SELECT throws_like($$SELECT cano.define('t_resource.bad', cano.exit('end'), cano.options(resources => ARRAY[cano.with_resource('one'), cano.with_resource('one')]))$$,
	'%"one"%', 'the error names it');
SELECT throws_ok($$SELECT cano.define('t_resource.bad', cano.exit('end'), cano.options(resources => ARRAY[cano.with_resource('one', setup => 't_resource.nothing')]))$$,
	'CN001', NULL, 'functions must exist');

SELECT * FROM finish();
DROP SCHEMA t_resource CASCADE;
