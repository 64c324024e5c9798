-- cano.purge and options(keep): ended runs go with all of their rows, nobody
-- else's do.
\ir lib/start.psql
SELECT plan(39);

CREATE SCHEMA t_purge;
GRANT USAGE ON SCHEMA t_purge TO PUBLIC;
CREATE FUNCTION t_purge.act() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM cano.put('k', '1'); END $$;
CREATE FUNCTION t_purge.bad() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
CREATE FUNCTION t_purge.load() RETURNS SETOF int LANGUAGE sql AS 'SELECT generate_series(1, 3)';
CREATE FUNCTION t_purge.item(item int) RETURNS void LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE FUNCTION pg_temp.attempt(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE v_says text;
BEGIN EXECUTE statement INTO v_says; RETURN v_says; EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE; END $$;
-- Which private tables know of runs, and how many rows of them.
CREATE FUNCTION pg_temp.traces() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v_table record;
	v_rows bigint;
	v_traces text;
BEGIN
	FOR v_table IN SELECT c.oid::regclass AS name FROM pg_class c WHERE c.relnamespace = 'cano'::regnamespace AND c.relkind = 'r'
		AND (c.relname IN ('_run', '_branch') OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'run'))
		ORDER BY c.relname
	LOOP
		EXECUTE format('SELECT count(*) FROM %s', v_table.name) INTO v_rows;
		IF v_rows > 0 THEN v_traces := concat_ws(' ', v_traces, v_table.name); END IF;
	END LOOP;
	RETURN v_traces;
END $$;
CREATE FUNCTION pg_temp.left() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(workflow, ' ' ORDER BY run_id) FROM cano.runs $$;

-- One that leaves traces everywhere
SELECT cano.define('t_purge.all',
	cano.split('s', ARRAY['t_purge.act', 't_purge.act'], next => 'b'), cano.batch('b', 't_purge.load', 't_purge.item', next => 'c'),
	cano.child('c', 't_purge.child', next => 'd'), cano.task('d', 't_purge.act', next => 'e', compensate => 't_purge.bad', compensate_retry => cano.none()),
	cano.task('e', 't_purge.bad', next => 'end', retry => cano.fixed(1, '0')), cano.exit('end'),
	cano.options(log => 'all', on_end => 't_purge.act', timeout => '1 day',
		resources => ARRAY[cano.with_resource('r', setup => 't_purge.act', teardown => 't_purge.act')]));
SELECT cano.define('t_purge.child', cano.task('a', 't_purge.act', next => 'end'), cano.exit('end'));
SELECT cano.submit('t_purge.all', key => 'one') AS run \gset
SELECT cano.signal(:run, 'never', '1');
CALL cano.work();
SELECT is((SELECT concat_ws(' ', status, rollback) FROM cano.status(:run)), 'failed partial', 'a run has failed');
SELECT is(pg_temp.traces(), 'cano._attempt cano._branch cano._checkpoint cano._event cano._fan cano._run cano._signal cano._variable',
	'it has left much behind');
SELECT is(cano.purge('1 hour'), 0::bigint, 'nothing is as old as that');
SELECT pg_temp.later('2 hours');
SELECT is(cano.purge('1 hour', 't_purge.none'), 0::bigint, 'nor of such a workflow');
SELECT is(cano.purge('1 hour', 't_purge.child'), 1::bigint, 'of one of them it is purged');
SELECT is(pg_temp.left(), 't_purge.all', 'the other stays');
SELECT is(cano.purge('1 hour'), 1::bigint, 'so is what is left');
SELECT is(pg_temp.traces(), NULL, 'nothing is known of it any more');
SELECT is((SELECT count(*) FROM cano.status(:run)), 0::bigint, 'status knows no such run');
SELECT is(pg_temp.attempt(format('SELECT cano.wait(%s)', :run)), 'CN404', 'nor does wait');
SELECT is(pg_temp.attempt(format('SELECT cano.resume(%s)', :run)), 'CN404', 'nor can it be resumed');
SELECT is(cano.compensate(:run), false, 'or undone');

-- Of many
SELECT cano.define('t_purge.quick', cano.task('a', 't_purge.act', next => 'end'), cano.exit('end'));
SELECT count(*) FROM cano.submit_many('t_purge.quick', array_fill('{}'::jsonb, ARRAY[2500]));
CALL cano.work();
SELECT is(cano.purge('0'), 2500::bigint, 'thousands are purged in one call');
SELECT is(pg_temp.traces(), NULL, 'and nothing of them is left');

-- Never one that is under way
SELECT cano.define('t_purge.waits', cano.receive('w', signal => 'go', next => 'end'), cano.exit('end'), cano.options(on_end => 't_purge.act'));
SELECT cano.define('t_purge.parent', cano.child('c', 't_purge.waits', next => 'w'), cano.receive('w', signal => 'go', next => 'end'), cano.exit('end'));
SELECT cano.submit('t_purge.parent') AS parent \gset
CALL cano.work();
SELECT run_id AS child FROM cano.runs WHERE parent_run_id = :parent \gset
SELECT is(cano.purge('0'), 0::bigint, 'runs that wait are not purged');
SELECT cano.signal(:child, 'go');
CALL cano.work();
SELECT is((cano.status(:child)).status || ' ' || (cano.status(:parent)).status, 'completed waiting', 'a child has ended');
SELECT is(cano.purge('0'), 0::bigint, 'it stays while its parent is under way');
SELECT cano.signal(:parent, 'go');
CALL cano.work();
SELECT is(cano.purge('0'), 2::bigint, 'and goes when that has ended');

-- Nor one whose end is not dealt with, nor one that needs to be undone
SELECT cano.submit('t_purge.waits') AS run \gset
CALL cano.work();
SELECT cano.signal(:run, 'go');
CALL cano.work(2);
SELECT is((cano.status(:run)).status || ' ' || (SELECT count(*) FROM cano._job WHERE duty = 'a'), 'completed 1', 'a run has ended, and on_end is due');
SELECT is(cano.purge('0'), 0::bigint, 'it is not purged');
CALL cano.work();
SELECT is(cano.purge('0'), 1::bigint, 'until that is done');

-- A job of a run that is gone stands in nobody's way
SELECT cano.submit('t_purge.quick') AS gone, cano.submit('t_purge.quick') AS stays \gset
DELETE FROM cano._run WHERE id = :gone;
CALL cano.work(1);
CALL cano.work();
SELECT is((cano.status(:stays)).status, 'completed', 'a job without a run does no harm');
DELETE FROM cano._checkpoint WHERE run = :gone;
SELECT is(cano.purge('0'), 1::bigint, 'and leaves no trace');
SELECT is(pg_temp.traces(), NULL, 'none at all');

-- What is not a length of time
SELECT is(pg_temp.attempt($$SELECT cano.purge('-1 hour')$$), 'CN001', 'a negative age is refused');
SELECT is(pg_temp.attempt($$SELECT cano.purge(NULL)$$), 'CN001', 'so is none');
SELECT is(pg_temp.attempt($$SELECT cano.purge('2000 years')$$), 'CN001', 'and one beyond all measure');

-- One's own
CREATE ROLE t_purge_one LOGIN;
CREATE ROLE t_purge_two LOGIN IN ROLE t_purge_one;
SELECT cano.grant_usage('t_purge_one'), cano.grant_usage('t_purge_two');
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA t_purge TO PUBLIC;
SET ROLE t_purge_one;
SELECT cano.submit('t_purge.quick') AS run \gset
CALL cano.work();
RESET ROLE;
SELECT is(cano.purge('0'), 0::bigint, 'an administrator purges his own runs only');
SET ROLE t_purge_two;
SELECT is(cano.purge('0'), 0::bigint, 'so does a member of the role');
SET ROLE t_purge_one;
SELECT is(cano.purge('0'), 1::bigint, 'whose are they may purge them');
RESET ROLE;

-- By itself
SELECT cano.define('t_purge.day', cano.task('a', 't_purge.act', next => 'end'), cano.exit('end'), cano.options(keep => '1 day'));
SELECT cano.define('t_purge.week', cano.task('a', 't_purge.act', next => 'end'), cano.exit('end'), cano.options(keep => '7 days'));
SELECT cano.define('t_purge.slow', cano.receive('w', signal => 'go', next => 'end'), cano.exit('end'), cano.options(keep => '1 day'));
SELECT cano.submit('t_purge.slow');
SELECT cano.submit('t_purge.week');
SELECT count(*) FROM cano.submit_many('t_purge.day', array_fill('{}'::jsonb, ARRAY[200]));
SELECT cano.submit('t_purge.quick');
CALL cano.work();
SELECT is((SELECT count(*) FROM cano.runs), 203::bigint, 'runs stay after their end');
SELECT pg_temp.later('25 hours');
SELECT cano.submit('t_purge.day');
CALL cano.work();
SELECT is(pg_temp.left(), 't_purge.slow t_purge.week t_purge.quick t_purge.day', 'until their time is over');
SELECT pg_temp.later('25 hours');
CALL cano.work();
SELECT is(pg_temp.left(), 't_purge.slow t_purge.week t_purge.quick', 'from their own end on');
SELECT pg_temp.later('6 days');
CALL cano.work();
SELECT is(pg_temp.left(), 't_purge.slow t_purge.quick', 'each as long as its definition says');
UPDATE cano._run SET submitted_at = submitted_at - interval '30 days', ended_at = ended_at - interval '30 days' - interval '8 days';
SELECT pg_temp.later('2 minutes');
CALL cano.work();
SELECT is(pg_temp.left(), 't_purge.slow', 'thirty days if it says nothing, never while they are under way');
SELECT cano.signal(run_id, 'go') FROM cano.runs WHERE workflow = 't_purge.slow';
CALL cano.work();
SELECT pg_temp.later('25 hours');
-- A copy's runs are not this server's.
UPDATE cano._run SET origin = 1;
CALL cano.work();
SELECT is((SELECT count(*) FROM cano._run), 1::bigint, 'only in the database where they were run');
UPDATE cano._run SET origin = (SELECT e.origin FROM cano._engine() e);
SELECT pg_temp.later('2 minutes');
CALL cano.work();
SELECT is(pg_temp.traces(), NULL, 'nothing is left of any');

-- A definition that runs may still need stays
SELECT is((SELECT count(*) FROM cano.workflows WHERE workflow = 't_purge.day'), 1::bigint, 'definitions stay');

-- An older version's runs are kept as it said
SELECT cano.submit('t_purge.day');
CALL cano.work();
SELECT cano.define('t_purge.day', cano.exit('end'), cano.options(keep => '0'));
SELECT cano.submit('t_purge.day');
SELECT pg_temp.later('2 minutes');
CALL cano.work();
SELECT is((SELECT string_agg(version::text, ' ') FROM cano.runs), '1', 'one that is not kept goes at once, an older version''s as that said');

SELECT * FROM finish();
SELECT cano.revoke_usage('t_purge_one'), cano.revoke_usage('t_purge_two');
DROP ROLE t_purge_one, t_purge_two;
DROP SCHEMA t_purge CASCADE;
