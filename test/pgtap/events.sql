-- What cano.events says of runs, kind by kind, and which of it is kept.
\ir lib/start.psql
SELECT plan(54);

CREATE SCHEMA t_events;
CREATE FUNCTION t_events.ok() RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION t_events.route() RETURNS text LANGUAGE sql AS $$SELECT 'Process'$$;
CREATE FUNCTION t_events.bad(attempt int, good_at int DEFAULT 1000) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF attempt < good_at THEN
		RAISE EXCEPTION 'attempt % is bad', attempt;
	END IF;
END $$;
CREATE FUNCTION t_events.loop(cursor int, attempt int) RETURNS cano.outcome LANGUAGE plpgsql AS $$
BEGIN
	IF cursor = 1 AND attempt = 1 THEN
		RAISE EXCEPTION 'once';
	END IF;
	RETURN CASE WHEN cursor = 2 THEN cano.next() ELSE cano.more(to_jsonb(coalesce(cursor, 0) + 1)) END;
END $$;
CREATE FUNCTION t_events.ready() RETURNS boolean LANGUAGE sql AS $$
	SELECT cano.append('asked', '1') IS NOT NULL AND jsonb_array_length(cano.get('asked')) > 2 $$;
CREATE FUNCTION t_events.items() RETURNS SETOF int LANGUAGE sql AS 'SELECT generate_series(1, 2)';
CREATE FUNCTION t_events.item(item int) RETURNS int LANGUAGE sql AS 'SELECT 1 / (item - 1)';
CREATE FUNCTION t_events.soon() RETURNS interval LANGUAGE sql AS $$SELECT interval '1 hour'$$;
CREATE FUNCTION t_events.verdict(what text DEFAULT 'failed') RETURNS cano.outcome LANGUAGE sql AS
	$$SELECT CASE what WHEN 'failed' THEN cano.failed('no') WHEN 'cancelled' THEN cano.cancelled('enough') ELSE cano.next('nowhere') END$$;
-- A run of these states, all of it kept.
CREATE FUNCTION pg_temp.start(VARIADIC parts jsonb[]) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cano.define('t_events', VARIADIC parts || cano.exit('end') || cano.options(log => 'all'));
	RETURN cano.submit('t_events');
END $$;
-- Its events: with the branch, the sequence, and the attempt if it is not the first.
CREATE FUNCTION pg_temp.events(run bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(' ', e.event || coalesce('[' || e.branch || ']', ''),
		CASE WHEN e.event IN ('state_enter', 'ended') THEN e.state END, e.sequence, nullif(e.attempt, 1)), ', ' ORDER BY e.ordinal)
	FROM cano.events AS e WHERE e.run_id = $1 $$;

-- task, router
SELECT pg_temp.start(cano.router('Start', 't_events.route'), cano.task('Process', 't_events.ok', next => 'end')) AS run \gset
SELECT is(pg_temp.events(:run), NULL, 'nothing happens to a run before its first step');
CALL cano.work();
SELECT is(pg_temp.events(:run), 'state_enter Start, task_start, task_success, state_enter Process, checkpoint 0, task_start, task_success, '
	'state_enter end, checkpoint 1, ended end', 'a router, a task and an exit');
SELECT is((SELECT string_agg(state, ', ' ORDER BY ordinal) FROM cano.events WHERE run_id = :run AND event = 'state_enter'), 'Start, Process, end',
	'router_state_produces_no_checkpoint_row_and_sequences_are_dense: enter events Start, Process, Complete');
SELECT is((SELECT string_agg(sequence::text, ', ' ORDER BY ordinal) FROM cano.events WHERE run_id = :run AND event = 'checkpoint'), '0, 1',
	'router_state_produces_no_checkpoint_row_and_sequences_are_dense: checkpoint events 0 and 1 only');
SELECT is((SELECT array_agg(ordinal ORDER BY ordinal) FROM cano.events WHERE run_id = :run), ARRAY(SELECT generate_series(1, 10)::bigint),
	'their numbers are dense, from 1');
SELECT ok((SELECT bool_and(recorded_at >= submitted_at AND recorded_at <= ended_at) FROM cano.events JOIN cano.runs USING (run_id) WHERE run_id = :run),
	'and have their times');
SELECT results_eq(format('SELECT task, state COLLATE "default", branch, attempt, sequence, detail FROM cano.events WHERE run_id = %s AND ordinal IN (6, 10) ORDER BY ordinal', :run),
	$$VALUES ('t_events.ok', 'Process', NULL::int, 1, NULL::bigint, NULL::jsonb),
		(NULL, 'end', NULL, NULL, NULL, '{"status": "completed", "rollback": "none"}')$$, 'a task event names its task, the end how it was');
SELECT columns_are('cano', 'events', '{run_id,ordinal,event,state,task,branch,attempt,sequence,detail,recorded_at}'::name[]);

-- failures
SELECT pg_temp.start(cano.task('a', 't_events.bad', next => 'end', retry => cano.fixed(2, '0'))) AS run \gset
CALL cano.work();
SELECT is(pg_temp.events(:run), 'state_enter a, checkpoint 0, task_start, retry, retry 2, task_failure 3, ended a',
	'one start, a retry with the number of each attempt that another follows, one failure');
SELECT is((SELECT string_agg(detail ->> 'message', '; ' ORDER BY ordinal) FROM cano.events WHERE run_id = :run AND event IN ('retry', 'task_failure')),
	'attempt 1 is bad; attempt 2 is bad; task "t_events.bad" failed after 3 attempts: attempt 3 is bad', 'each with its error');
SELECT is((SELECT detail - 'message' FROM cano.events WHERE run_id = :run AND event = 'task_failure'),
	'{"category": "retry_exhausted", "sqlstate": "P0001"}', 'that has a category and a SQLSTATE');
SELECT pg_temp.start(cano.task('a', 't_events.bad', next => 'end', retry => cano.fixed(1, '1 hour'))) AS run \gset
CALL cano.work();
SELECT is(pg_temp.events(:run), 'state_enter a, checkpoint 0, task_start, retry', 'a retry is told before the wait');
SELECT pg_temp.later('61 minutes') AS x \gset
CALL cano.work();
SELECT is(pg_temp.events(:run), 'state_enter a, checkpoint 0, task_start, retry, task_failure 2, ended a', 'and the visit begun once');
SELECT pg_temp.start(cano.task('a', 't_events.verdict', next => 'end')) AS run \gset
CALL cano.work();
SELECT is(pg_temp.events(:run), 'state_enter a, checkpoint 0, task_start, task_failure, ended a', 'a verdict is a failure');
SELECT pg_temp.start(cano.task('a', 't_events.verdict', next => 'end')) AS run \gset
SELECT cano.submit('t_events', '{"what": "cancelled"}') AS cancelled, cano.submit('t_events', '{"what": "x"}') AS refused \gset
CALL cano.work();
SELECT is(pg_temp.events(:cancelled), 'state_enter a, checkpoint 0, task_start, task_failure, cancelled, ended a', 'a task may cancel its run');
SELECT is(pg_temp.events(:refused), 'state_enter a, checkpoint 0, task_start, task_failure, ended a', 'or go where it must not');
SELECT cano.create_breaker('t_events', 1) AS x \gset
SELECT pg_temp.start(cano.task('a', 't_events.bad', next => 'end', retry => cano.fixed(2, '0'), breaker => 't_events')) AS run \gset
CALL cano.work();
SELECT is(pg_temp.events(:run), 'state_enter a, checkpoint 0, task_start, retry, circuit_open 2, task_failure 2, ended a', 'a breaker refuses');
SELECT is((SELECT detail ->> 'category' FROM cano.events WHERE run_id = :run AND event = 'circuit_open'), 'circuit_open', 'with its error');
SELECT cano.drop_breaker('t_events') AS x \gset

-- ends
SELECT cano.define('t_events.exit', cano.task('a', 't_events.ok', next => 'bad'), cano.exit('bad', outcome => 'cancelled'), cano.options(log => 'all')) AS x \gset
SELECT cano.submit('t_events.exit') AS run \gset
CALL cano.work();
SELECT is(pg_temp.events(:run), 'state_enter a, checkpoint 0, task_start, task_success, state_enter bad, checkpoint 1, cancelled, ended bad', 'an exit may cancel');
-- stepped, poll, batch
SELECT pg_temp.start(cano.stepped('a', 't_events.loop', next => 'end', retry => cano.fixed(1, '0'))) AS run \gset
CALL cano.work();
SELECT is(pg_temp.events(:run), 'state_enter a, checkpoint 0, task_start, checkpoint 1, retry, checkpoint 2, task_success, state_enter end, checkpoint 3, ended end',
	'a stepped state: a checkpoint a step');
SELECT pg_temp.start(cano.poll('a', 't_events.ready', next => 'end')) AS run \gset
CALL cano.work();
SELECT pg_temp.later('2 s') AS x \gset
CALL cano.work();
SELECT pg_temp.later('2 s') AS x \gset
CALL cano.work();
SELECT is(pg_temp.events(:run), 'state_enter a, checkpoint 0, task_start, task_success, state_enter end, checkpoint 1, ended end', 'a poll: nothing for its asks');
SELECT pg_temp.start(cano.batch('a', 't_events.items', 't_events.item', next => 'end')) AS run \gset
CALL cano.work();
SELECT is(pg_temp.events(:run), 'state_enter a, checkpoint 0, task_start, task_success, state_enter end, checkpoint 1, ended end', 'a batch: nothing for its items');

-- timer, receive, child, external
SELECT pg_temp.start(cano.timer('a', run => 't_events.soon', next => 'b'), cano.timer('b', delay => '1 hour', next => 'c'),
	cano.receive('c', signal => 's', next => 'end')) AS run \gset
CALL cano.work();
SELECT pg_temp.later('61 minutes') AS x \gset
CALL cano.work();
SELECT pg_temp.later('61 minutes') AS x \gset
SELECT cano.signal(:run, 's') AS x \gset
CALL cano.work();
SELECT is(pg_temp.events(:run), 'state_enter a, checkpoint 0, task_start, task_success, state_enter b, checkpoint 1, state_enter c, checkpoint 2, '
	'state_enter end, checkpoint 3, ended end', 'a timer that calls a function has a task; one that does not, and a receive, have none');
SELECT cano.define('t_events.child', cano.exit('bad', outcome => 'failed')) AS x \gset
SELECT pg_temp.start(cano.child('a', 't_events.child', next => 'end', on_failure => 'end')) AS run \gset
CALL cano.work();
SELECT is(pg_temp.events(:run), 'state_enter a, checkpoint 0, task_start, task_failure, state_enter end, checkpoint 1, ended end', 'a child that fails');
SELECT pg_temp.start(cano.external('a', queue => 't_events', next => 'end', retry => cano.fixed(1, '0'))) AS run \gset
CALL cano.work();
SELECT cano.fail(token, 'no') AS x FROM cano.take('t_events') \gset
CALL cano.work();
SELECT cano.complete(token, '1') AS x FROM cano.take('t_events') \gset
CALL cano.work();
SELECT is(pg_temp.events(:run), 'state_enter a, checkpoint 0, task_start, retry, task_success 2, state_enter end, checkpoint 1, ended end', 'external work');

-- split
SELECT pg_temp.start(cano.split('s', ARRAY[cano.branch('t_events.bad', retry => cano.none()), cano.branch('t_events.ok'),
	cano.branch('t_events.bad', retry => cano.fixed(1, '1 hour'), input => '{"good_at": 2}'), cano.branch('t_events.ok')],
	"join" => cano.quorum(2), next => 'end')) AS run \gset
CALL cano.work();
SELECT is(pg_temp.events(:run), 'state_enter s, checkpoint 0, task_start[0], task_start[1], task_start[2], task_start[3], retry[2]',
	'a split: the starts of all branches come first, in their order; a retry when it happens');
SELECT pg_temp.later('61 minutes') AS x \gset
CALL cano.work();
SELECT is(pg_temp.events(:run), 'state_enter s, checkpoint 0, task_start[0], task_start[1], task_start[2], task_start[3], retry[2], '
	'task_success[1], task_success[3], task_success[2] 2, task_failure[0], state_enter end, checkpoint 1, ended end',
	'when all are collected the successes in the order of their ends, then the failures');
SELECT is((SELECT array_agg(DISTINCT task) FROM cano.events WHERE run_id = :run AND branch = 2), ARRAY['t_events.bad'], 'with the branch''s task');
SELECT pg_temp.start(cano.split('s', ARRAY['t_events.ok', 't_events.ok', 't_events.ok'], "join" => cano.any(), bulkhead => 1, next => 'end')) AS run \gset
CALL cano.work();
SELECT is(pg_temp.events(:run), 'state_enter s, checkpoint 0, task_start[0], task_start[1], task_start[2], task_success[0], state_enter end, checkpoint 1, ended end',
	'branches that are not waited for are silent');
SELECT pg_temp.start(cano.split('s', ARRAY[cano.branch('t_events.bad', retry => cano.fixed(1, '1 hour')), cano.branch('t_events.ok')], timeout => '1 min',
	next => 'end')) AS run \gset
CALL cano.work();
SELECT pg_temp.later('2 min') AS x \gset
CALL cano.work();
SELECT is(pg_temp.events(:run), 'state_enter s, checkpoint 0, task_start[0], task_start[1], retry[0], ended s', 'so are all when the split''s time is over');
SELECT pg_temp.start(cano.split('s', ARRAY[]::text[], next => 'end')) AS run \gset
CALL cano.work();
SELECT is(pg_temp.events(:run), 'state_enter s, checkpoint 0, state_enter end, checkpoint 1, ended end', 'a split of nothing');

-- stopped
SELECT pg_temp.start(cano.task('a', 't_events.bad', next => 'end', retry => cano.fixed(1, '1 hour'))) AS run \gset
SELECT cano.submit('t_events') AS fresh \gset
SELECT cano.cancel(:fresh) AS x \gset
CALL cano.work();
SELECT cano.cancel(:run, 'enough') AS x \gset
CALL cano.work();
SELECT is(pg_temp.events(:run), 'state_enter a, checkpoint 0, task_start, retry, task_failure 2, cancelled, ended a', 'a visit that is called off has failed');
SELECT is((SELECT detail FROM cano.events WHERE run_id = :run AND event = 'cancelled'), '{"reason": "enough"}', 'why');
SELECT is(pg_temp.events(:fresh), 'state_enter a, checkpoint 0, cancelled, ended a', 'one that had not begun has not');
SELECT pg_temp.start(cano.split('s', ARRAY[cano.branch('t_events.bad', retry => cano.fixed(1, '1 hour')), cano.branch('t_events.ok')], next => 'end')) AS run \gset
CALL cano.work();
SELECT cano.cancel(:run) AS x \gset
CALL cano.work();
SELECT is(pg_temp.events(:run), 'state_enter s, checkpoint 0, task_start[0], task_start[1], retry[0], cancelled, ended s', 'branches that are called off are silent');
SELECT cano.define('t_events.late', cano.task('a', 't_events.bad', next => 'end', retry => cano.fixed(1, '1 hour')), cano.exit('end'),
	cano.options(log => 'all', timeout => '1 min')) AS x \gset
SELECT cano.submit('t_events.late') AS run \gset
CALL cano.work();
SELECT pg_temp.later('2 min') AS x \gset
CALL cano.work();
SELECT is(pg_temp.events(:run), 'state_enter a, checkpoint 0, task_start, retry, task_failure 2, workflow_timeout, ended a', 'a run that is out of time');

CREATE FUNCTION t_events.calls_off() RETURNS void LANGUAGE sql AS $$SELECT cano.cancel(cano.run_id(), 'by itself')$$;
SELECT pg_temp.start(cano.task('a', 't_events.calls_off', next => 'end')) AS run \gset
CALL cano.work();
SELECT is(pg_temp.events(:run), 'state_enter a, checkpoint 0, task_start, task_failure, cancelled, ended a', 'a task that calls its run off');
SELECT pg_temp.start(cano.task('a', 't_events.calls_off', next => 'end', compensate => 't_events.ok')) AS run \gset
CALL cano.work();
SELECT is(pg_temp.events(:run), 'state_enter a, checkpoint 0, task_start, task_success, checkpoint 1, cancelled, ended a',
	'one that must not be interrupted has succeeded');

-- back, and on again
SELECT pg_temp.start(cano.task('a', 't_events.ok', next => 'b', compensate => 't_events.ok'), cano.task('b', 't_events.bad', next => 'end', retry => cano.none())) AS run \gset
CALL cano.work();
SELECT is(pg_temp.events(:run), 'state_enter a, checkpoint 0, task_start, task_success, checkpoint 1, state_enter b, checkpoint 2, task_start, task_failure, ended b',
	'the row of what is to be undone comes after the success; nothing is told of the undoing but the end');
SELECT is((SELECT detail FROM cano.events WHERE run_id = :run AND event = 'ended'), '{"status": "failed", "rollback": "clean"}', 'and how it went');
SELECT pg_temp.start(cano.task('Start', 't_events.ok', next => 'Process'), cano.task('Process', 't_events.bad', next => 'end', retry => cano.none())) AS run \gset
CALL cano.work();
SELECT max(ordinal) AS last FROM cano.events WHERE run_id = :run \gset
SELECT cano.resume(:run, data => '{"good_at": 0}') AS x \gset
CALL cano.work();
SELECT is((SELECT string_agg(event || '(' || sequence || ')', ', ' ORDER BY ordinal) FROM cano.events WHERE run_id = :run AND ordinal > :last AND sequence IS NOT NULL),
	'resume(1), checkpoint(2), checkpoint(3)', 'resume_continues_from_last_checkpointed_state: events are resume(1), checkpoint(2), checkpoint(3)');
SELECT is(pg_temp.events(:run), 'state_enter Start, checkpoint 0, task_start, task_success, state_enter Process, checkpoint 1, task_start, task_failure, ended Process, '
	'resume 1, state_enter Process, checkpoint 2, task_start, task_success, state_enter end, checkpoint 3, ended end', 'and all of them');

SELECT pg_temp.start(cano.split('s', ARRAY[cano.branch('t_events.ok'), cano.branch('t_events.bad', retry => cano.none())], next => 'end')) AS run \gset
CALL cano.work();
SELECT max(ordinal) AS last FROM cano.events WHERE run_id = :run \gset
SELECT cano.resume(:run, data => '{"good_at": 0}', keep_results => true) AS x \gset
CALL cano.work();
SELECT is((SELECT string_agg(concat_ws(' ', event || coalesce('[' || branch || ']', ''), sequence), ', ' ORDER BY ordinal)
		FROM cano.events WHERE run_id = :run AND ordinal > :last),
	'resume 0, state_enter, checkpoint 1, task_start[0], task_start[1], task_success[0], task_success[1], state_enter, checkpoint 2, ended',
	'a split that keeps the results of its branches');

-- held back
SELECT cano.create_limiter('t_events', 1, '1 hour') AS x \gset
SELECT pg_temp.start(cano.task('a', 't_events.bad', next => 'end', retry => cano.none(), limiter => 't_events')) AS first \gset
SELECT cano.submit('t_events') AS run \gset
CALL cano.work();
SELECT is(pg_temp.events(:run), NULL, 'nothing has happened to a run that a limiter holds back');
SELECT pg_temp.later('61 minutes') AS x \gset
CALL cano.work();
SELECT is(pg_temp.events(:run), 'state_enter a, checkpoint 0, task_start, task_failure, ended a', 'until it lets it begin');
SELECT cano.resume(:run, data => '{"good_at": 0}') AS x \gset
CALL cano.work();
SELECT pg_temp.later('61 minutes') AS x \gset
CALL cano.work();
SELECT is(pg_temp.events(:run), 'state_enter a, checkpoint 0, task_start, task_failure, ended a, '
	'resume 0, state_enter a, checkpoint 1, task_start, task_success, state_enter end, checkpoint 2, ended end', 'also when it was resumed');

-- before the first state, and after the end
CREATE FUNCTION t_events.setup() RETURNS jsonb LANGUAGE sql AS $$SELECT jsonb '1'$$;
SELECT cano.define('t_events.resources', cano.task('a', 't_events.bad', next => 'end', retry => cano.none()), cano.exit('end'),
	cano.options(log => 'all', on_end => 't_events.ok', resources => ARRAY[cano.with_resource('r', setup => 't_events.setup', teardown => 't_events.ok')])) AS x \gset
SELECT cano.submit('t_events.resources') AS run \gset
CALL cano.work();
SELECT is(pg_temp.events(:run), 'state_enter a, checkpoint 0, task_start, task_failure, ended a', 'nothing is told of resources and hooks');
SELECT cano.resume(:run, data => '{"good_at": 0}') AS x \gset
CALL cano.work();
SELECT is(pg_temp.events(:run), 'state_enter a, checkpoint 0, task_start, task_failure, ended a, '
	'resume 0, state_enter a, checkpoint 1, task_start, task_success, state_enter end, checkpoint 2, ended end', 'nor when the run is resumed');

-- what is kept
SELECT cano.define('t_events.errors', cano.task('a', 't_events.bad', next => 'end', retry => cano.fixed(1, '0')), cano.exit('end')) AS x,
	cano.define('t_events.none', cano.task('a', 't_events.bad', next => 'end', retry => cano.fixed(1, '0')), cano.exit('end'), cano.options(log => 'none')) AS y \gset
SELECT cano.submit('t_events.errors') AS bad, cano.submit('t_events.errors', '{"good_at": 2}') AS good, cano.submit('t_events.none') AS none \gset
CALL cano.work();
SELECT is(pg_temp.events(:bad), 'retry, task_failure 2, ended a', 'errors alone are kept by default');
SELECT is(pg_temp.events(:good), 'retry', 'and not the end of a run that completed');
SELECT is(pg_temp.events(:none), NULL, 'or nothing at all');
SELECT is((SELECT array_agg(ordinal ORDER BY ordinal) FROM cano.events WHERE run_id = :bad), '{1,2,3}', 'what is kept is numbered densely');
SELECT ok((SELECT bool_and(ordinals = ARRAY(SELECT generate_series(1, cardinality(ordinals))::bigint)) FROM (
	SELECT array_agg(ordinal ORDER BY ordinal) AS ordinals FROM cano.events GROUP BY run_id) AS r), 'in every run');

-- who sees it
CREATE ROLE t_events_other LOGIN;
SELECT cano.grant_usage('t_events_other') AS x \gset
SET SESSION AUTHORIZATION t_events_other;
SELECT is_empty('SELECT * FROM cano.events', 'everybody sees the events of his own runs');
RESET SESSION AUTHORIZATION;

SELECT * FROM finish();
DROP SCHEMA t_events CASCADE;
DROP OWNED BY t_events_other;
DROP ROLE t_events_other;
