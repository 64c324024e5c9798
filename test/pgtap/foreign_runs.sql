-- Whoever asks for somebody else's run is told what he would be told of one
-- that does not exist, whatever he calls, and changes nothing.
\ir lib/start.psql
SELECT plan(12);

CREATE SCHEMA t_foreign;
CREATE ROLE t_foreign_alice LOGIN;
CREATE ROLE t_foreign_bob LOGIN;
SELECT cano.grant_usage('t_foreign_alice'), cano.grant_usage('t_foreign_bob') \g /dev/null
GRANT USAGE, CREATE ON SCHEMA t_foreign TO t_foreign_alice, t_foreign_bob;

-- Alice has runs of every condition.
SET SESSION AUTHORIZATION t_foreign_alice;
CREATE FUNCTION t_foreign.rest() RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION t_foreign.undo() RETURNS void LANGUAGE plpgsql AS 'BEGIN RAISE ''cannot undo''; END';
CREATE FUNCTION t_foreign.items() RETURNS SETOF integer LANGUAGE sql AS 'VALUES (1), (2)';
CREATE FUNCTION t_foreign.item(item integer) RETURNS integer LANGUAGE sql AS 'SELECT item';
CREATE FUNCTION t_foreign.sees(event jsonb) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION t_foreign.raise() RETURNS void LANGUAGE plpgsql AS 'BEGIN RAISE ''secret''; END';
SELECT cano.define('t_foreign.waits', cano.receive('a', 'go', next => 'end'), cano.exit('end')),
	cano.define('t_foreign.done', cano.task('a', 't_foreign.rest', next => 'end'), cano.exit('end')),
	cano.define('t_foreign.failed', cano.task('a', 't_foreign.raise', next => 'end', retry => cano.none()), cano.exit('end')),
	cano.define('t_foreign.partial', cano.task('a', 't_foreign.rest', compensate => 't_foreign.undo', compensate_retry => cano.none(), next => 'b'),
		cano.task('b', 't_foreign.raise', next => 'end', retry => cano.none()), cano.exit('end')),
	cano.define('t_foreign.external', cano.external('a', 't_foreign.queue', next => 'end'), cano.exit('end')),
	cano.define('t_foreign.parts', cano.split('a', '{t_foreign.rest,t_foreign.rest}'::text[], next => 'b'),
		cano.batch('b', load => 't_foreign.items', process => 't_foreign.item', next => 'end'), cano.exit('end'), cano.options(log => 'all')),
	cano.observe('t_foreign', 't_foreign.sees', workflow => 't_foreign.done') \g /dev/null
CREATE TABLE t_foreign.run AS SELECT w AS workflow, cano.submit('t_foreign.' || w, '{"word": "secret"}', key => 'secret') AS id
FROM unnest('{waits,done,failed,partial,external,parts}'::text[]) AS w;
SELECT cano.signal(id, 'later', '"secret"') AS x FROM t_foreign.run WHERE workflow = 'waits' \gset
CALL cano.work();
SELECT token FROM cano.take('t_foreign.queue') \gset
INSERT INTO t_foreign.run VALUES ('queued', cano.submit('t_foreign.done'));
CREATE VIEW t_foreign.picture AS SELECT md5(string_agg(to_jsonb(r)::text, ' ' ORDER BY run_id)) AS picture FROM cano.runs AS r;
SELECT is((SELECT string_agg(r.workflow || ' ' || s.status, ', ' ORDER BY r.workflow) FROM t_foreign.run AS r, cano.status(r.id) AS s),
	'done completed, external waiting, failed failed, partial failed, parts completed, queued queued, waits waiting', 'there are runs of every condition');
SELECT * FROM t_foreign.picture \gset
SELECT count(*) AS events FROM cano.events \gset
RESET SESSION AUTHORIZATION;
INSERT INTO cano._schedule (name, id, owner, owner_name, origin, workflow, cron, overlap, input)
SELECT 'secret', 1, 't_foreign_alice'::regrole, 't_foreign_alice', e.origin, 't_foreign.done', '@daily', 's', '{"word": "secret"}' FROM cano._engine() AS e;
GRANT SELECT ON t_foreign.run TO t_foreign_bob;

-- What is said of a call, without the number.
CREATE FUNCTION t_foreign.said(call text, id text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v_says text;
	v_detail text;
	v_hint text;
BEGIN
	EXECUTE format('SELECT jsonb_agg(to_jsonb(f))::text FROM cano.' || call || ' AS f', id) INTO v_says;
	RETURN regexp_replace(coalesce(v_says, 'nothing'), format('\m%s\M', id), '#', 'g');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS v_detail = PG_EXCEPTION_DETAIL, v_hint = PG_EXCEPTION_HINT;
	RETURN regexp_replace(concat_ws(' ', SQLSTATE, SQLERRM, v_detail, v_hint), format('\m%s\M', id), '#', 'g');
END $$;
CREATE TABLE t_foreign.call (call text);
INSERT INTO t_foreign.call VALUES ('status(%s)'), ('result(%s)'), ('wait(%s, ''0'')'), ('cancel(%s)'), ('cancel(%s, ''x'')'), ('signal(%s, ''go'')'),
	('signal(%s, ''go'', ''1'')'), ('resume(%s)'), ('resume(%s, ''a'')'), ('resume(%s, ''nowhere'', ''{}'', 7, true)'), ('resume(%s, true)'),
	('resume(%s, keep_results => false, force => true)'), ('compensate(%s)'),
	('explain(%s)'), ('mermaid(%s)'), ('timeline(%s)'), ('timeline(%s, ''mermaid'')'), ('report(%s)');
GRANT SELECT ON t_foreign.call TO t_foreign_bob;
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_proc AS p WHERE p.pronamespace = 'cano'::regnamespace AND p.prokind = 'f'
	AND ('run' = ANY (p.proargnames) AND p.proname <> '_slots') AND p.proargtypes[0] = 'bigint'::regtype
	AND NOT EXISTS (SELECT FROM t_foreign.call AS c WHERE c.call LIKE p.proname || '(%')$$, 'every function that takes a run is tried');

CREATE FUNCTION t_foreign.differences() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat_ws(' ', r.workflow, c.call, t_foreign.said(c.call, r.id::text), 'not', t_foreign.said(c.call, '4242424242')), E'\n')
	FROM t_foreign.call AS c, t_foreign.run AS r
	WHERE t_foreign.said(c.call, r.id::text) <> t_foreign.said(c.call, '4242424242') $$;
SET SESSION AUTHORIZATION t_foreign_bob;
SELECT is(t_foreign.differences(), NULL, 'no answer tells somebody else''s run from none');
SELECT is((SELECT string_agg(t_foreign.said(c, 'secret'), ' ') FROM unnest(ARRAY['signal(''secret'', ''go'')',
	'signal(''secret'', ''go'', workflow => ''t_foreign.waits'')']) AS c), (SELECT string_agg(t_foreign.said(c, 'other'), ' ')
	FROM unnest(ARRAY['signal(''other'', ''go'')', 'signal(''other'', ''go'', workflow => ''t_foreign.waits'')']) AS c),
	'nor does one that has its key');
SELECT is((SELECT string_agg(t_foreign.said(c, :'token'), ' ') FROM unnest(ARRAY['complete(''%s'')', 'fail(''%s'', ''x'')', 'extend(''%s'', ''1 h'')']) AS c),
	(SELECT string_agg(t_foreign.said(c, 'x'), ' ') FROM unnest(ARRAY['complete(''%s'')', 'fail(''%s'', ''x'')', 'extend(''%s'', ''1 h'')']) AS c),
	'a token of somebody else''s work is no token');
SELECT is(t_foreign.said('take(''t_foreign.queue'', 10)', '-'), 'nothing', 'and his work cannot be taken');

-- A condition that tells what it is given, in every view of what belongs to
-- somebody, on every column.
CREATE SEQUENCE t_foreign.told;
CREATE FUNCTION t_foreign.tells(anyelement) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN
	PERFORM nextval('t_foreign.told');
	RETURN true;
END $$;
CREATE FUNCTION t_foreign.told_by() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	v_column record;
	v_before bigint;
BEGIN
	FOR v_column IN
		SELECT c.relname, a.attname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
		WHERE c.relnamespace = 'cano'::regnamespace AND c.relkind = 'v'
			AND c.relname <> ALL ('{activity,workers,workflows,states,breakers,limiters,_latest,_metrics,_gauges}')
		ORDER BY 1, a.attnum
	LOOP
		v_before := nextval('t_foreign.told');
		EXECUTE format('SELECT count(*) FROM cano.%I AS v WHERE t_foreign.tells(v.%I)', v_column.relname, v_column.attname);
		EXECUTE format('SELECT count(*) FROM cano.%I AS v WHERE t_foreign.tells(v)', v_column.relname);
		IF nextval('t_foreign.told') > v_before + 1 THEN
			RETURN NEXT v_column.relname;
		END IF;
	END LOOP;
END $$;
GRANT ALL ON SEQUENCE t_foreign.told TO t_foreign_alice;
SELECT is_empty('SELECT * FROM t_foreign.told_by()', 'a condition on a view is never given a hidden row');
SELECT is_empty($$SELECT c.oid::regclass FROM pg_class AS c WHERE c.relnamespace = 'cano'::regnamespace AND c.relkind = 'v'
	AND NOT coalesce('security_barrier=true' = ANY (c.reloptions) OR 'security_barrier' = ANY (c.reloptions), false)$$,
	'because every view is a barrier');

-- The same from within a task.
CREATE FUNCTION t_foreign.try() RETURNS text LANGUAGE sql AS $$SELECT coalesce(t_foreign.differences(), 'none')$$;
SELECT cano.define('t_foreign.try', cano.task('a', 't_foreign.try', next => 'end', retry => cano.none()), cano.exit('end')) AS v \gset
SELECT cano.submit('t_foreign.try') AS run \gset
CALL cano.work();
SELECT is(cano.result(:run) ->> 'a', 'none', 'a task is told no more');
RESET SESSION AUTHORIZATION;

SET SESSION AUTHORIZATION t_foreign_alice;
SELECT is((SELECT * FROM t_foreign.picture), :'picture', 'her runs are as they were');
SELECT is((SELECT count(*) FROM cano.events), :events::bigint, 'and nothing happened to them');
SELECT is((SELECT string_agg(DISTINCT v, ' ') FROM t_foreign.told_by() AS v),
	'_barred _heads _oldest _parts _pending _runs _schedules attempts branches checkpoints compensations dead_letters events items observers ongoing queue_stats runs schedules signals',
	'to her each of these views has something to tell');
RESET SESSION AUTHORIZATION;

SELECT * FROM finish();
DROP SCHEMA t_foreign CASCADE;
SELECT cano.revoke_usage('t_foreign_alice'), cano.revoke_usage('t_foreign_bob') \g /dev/null
DROP OWNED BY t_foreign_alice, t_foreign_bob;
DROP ROLE t_foreign_alice, t_foreign_bob;
