-- options(concurrency): how many runs of a workflow are under way at once.
\ir lib/start.psql
SELECT plan(25);

CREATE SCHEMA t_concurrency;
CREATE FUNCTION t_concurrency.bad() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'bad'; END $$;
CREATE FUNCTION t_concurrency.good() RETURNS void LANGUAGE plpgsql AS $$ BEGIN END $$;
SELECT cano.define('t_concurrency.two',
	cano.receive('hold', signal => 'go', next => 'end'), cano.exit('end'), cano.options(concurrency => 2));

-- Statuses in the order of submission
CREATE FUNCTION pg_temp.statuses(workflow text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(r.status, ' ' ORDER BY r.run_id) FROM cano.runs r WHERE r.workflow = statuses.workflow $$;
CREATE FUNCTION pg_temp.run(number integer, workflow text DEFAULT 't_concurrency.two') RETURNS bigint LANGUAGE sql AS $$
	SELECT r.run_id FROM cano.runs r WHERE r.workflow = run.workflow ORDER BY r.run_id OFFSET number - 1 LIMIT 1 $$;

SELECT count(*) FROM cano.submit_many('t_concurrency.two', array_fill('{}'::jsonb, ARRAY[6]));
SELECT is(pg_temp.statuses('t_concurrency.two'), 'queued queued queued queued queued queued', 'runs are queued');
CALL cano.work();
SELECT is(pg_temp.statuses('t_concurrency.two'), 'waiting waiting queued queued queued queued', 'so many are under way, the others are queued');
SELECT is((SELECT waiting_for FROM cano.runs WHERE run_id = pg_temp.run(3)), NULL, 'and wait for nothing that is theirs');
CALL cano.work();
SELECT is(pg_temp.statuses('t_concurrency.two'), 'waiting waiting queued queued queued queued', 'however often one looks');

SELECT ok(cano.signal(pg_temp.run(2), 'go'), 'one that is under way is sent on');
CALL cano.work();
SELECT is(pg_temp.statuses('t_concurrency.two'), 'waiting completed waiting queued queued queued', 'the first of the queued takes its place');
SELECT ok(cano.cancel(pg_temp.run(4)), 'one that is queued can be cancelled');
CALL cano.work();
SELECT is(pg_temp.statuses('t_concurrency.two'), 'waiting completed waiting cancelled queued queued', 'which lets nobody in');
SELECT ok(cano.cancel(pg_temp.run(1)), 'one that is under way can be cancelled');
CALL cano.work();
SELECT is(pg_temp.statuses('t_concurrency.two'), 'cancelled completed waiting cancelled waiting queued', 'which does');

-- Signals for one that is queued are kept.
SELECT ok(cano.signal(pg_temp.run(6), 'go'), 'a signal is sent to one that is queued');
CALL cano.work();
SELECT is(pg_temp.statuses('t_concurrency.two'), 'cancelled completed waiting cancelled waiting queued', 'it does not begin because of that');
SELECT cano.signal(pg_temp.run(3), 'go');
CALL cano.work();
SELECT is(pg_temp.statuses('t_concurrency.two'), 'cancelled completed completed cancelled waiting completed', 'but receives it when it has begun');

-- A run that is resumed waits for its turn, too.
SELECT cano.submit('t_concurrency.two');
CALL cano.work();
SELECT ok(cano.resume(pg_temp.run(1)), 'a cancelled run is resumed');
CALL cano.work();
SELECT is(pg_temp.statuses('t_concurrency.two'), 'queued completed completed cancelled waiting completed waiting', 'and is queued');
SELECT cano.signal(pg_temp.run(7), 'go');
CALL cano.work();
SELECT is(pg_temp.statuses('t_concurrency.two'), 'waiting completed completed cancelled waiting completed completed', 'until there is room');

-- A lower limit counts those that are under way; a higher one lets more in.
SELECT cano.define('t_concurrency.two',
	cano.receive('hold', signal => 'go', next => 'end'), cano.exit('end'), cano.options(concurrency => 1));
SELECT cano.submit('t_concurrency.two') AS eighth \gset
CALL cano.work();
SELECT cano.signal(pg_temp.run(1), 'go');
CALL cano.work();
SELECT is((cano.status(:eighth)).status, 'queued', 'under a lower limit runs of earlier versions count');
SELECT cano.signal(pg_temp.run(5), 'go');
CALL cano.work();
SELECT is((cano.status(:eighth)).status, 'waiting', 'until they have ended');
SELECT cano.define('t_concurrency.two',
	cano.receive('hold', signal => 'go', next => 'end'), cano.exit('end'), cano.options(concurrency => 2));
SELECT cano.submit('t_concurrency.two') AS ninth \gset
CALL cano.work();
SELECT is((cano.status(:ninth)).status, 'waiting', 'under a higher one there is more room');

-- Runs that fail make room; of many, one at a time.
CREATE FUNCTION t_concurrency.which(n integer) RETURNS text LANGUAGE sql AS $$ SELECT CASE n % 2 WHEN 0 THEN 'good' ELSE 'bad' END $$;
SELECT cano.define('t_concurrency.one',
	cano.router('r', 't_concurrency.which', targets => '{good,bad}'), cano.task('bad', 't_concurrency.bad', next => 'end', retry => cano.none()),
	cano.task('good', 't_concurrency.good', next => 'end'), cano.exit('end'), cano.options(concurrency => 1));
SELECT count(*) FROM cano.submit_many('t_concurrency.one', (SELECT array_agg(jsonb_build_object('n', n)) FROM generate_series(1, 50) n));
CALL cano.work();
SELECT is((SELECT string_agg(DISTINCT status, ' ' ORDER BY status) FROM cano.runs WHERE workflow = 't_concurrency.one'), 'completed failed',
	'they all come to their end');
SELECT is((SELECT count(*) FROM cano.runs WHERE workflow = 't_concurrency.one' AND status = 'failed'), 25::bigint, 'each as it should');

-- Runs of several workflows make room in one transaction.
SELECT cano.define('t_concurrency.' || name, cano.task('good', 't_concurrency.good', next => 'end'), cano.exit('end'), cano.options(concurrency => 1))
FROM unnest(ARRAY['three', 'four', 'five']) AS name;
SELECT count(cano.submit('t_concurrency.' || name)) FROM generate_series(1, 10), unnest(ARRAY['three', 'four', 'five']) AS name;
CALL cano.work();
SELECT is((SELECT array_agg(DISTINCT (workflow, status)::text) FROM cano.runs WHERE workflow IN ('t_concurrency.three', 't_concurrency.four', 't_concurrency.five')),
	ARRAY['(t_concurrency.five,completed)', '(t_concurrency.four,completed)', '(t_concurrency.three,completed)'], 'those of several workflows do, side by side');

SELECT throws_ok($$SELECT cano.define('t_concurrency.none', cano.exit('end'), cano.options(concurrency => 0))$$, 'CN001', NULL, 'a limit of nothing is refused');

-- Nobody waits for another one's run that is let in and does not begin.
CREATE ROLE t_concurrency_other LOGIN;
SELECT cano.grant_usage('t_concurrency_other');
SELECT cano.define('t_concurrency.shared',
	cano.receive('hold', signal => 'go', next => 'end'), cano.exit('end'), cano.options(concurrency => 1));
SELECT cano.submit('t_concurrency.shared') AS first \gset
CALL cano.work();
SET ROLE t_concurrency_other;
SELECT cano.submit('t_concurrency.shared') AS second \gset
CALL cano.work();
RESET ROLE;
SELECT cano.submit('t_concurrency.shared') AS third \gset
CALL cano.work();
SELECT is(pg_temp.statuses('t_concurrency.shared'), 'waiting queued queued', 'runs of two roles wait outside');
ALTER ROLE t_concurrency_other NOLOGIN;
SELECT cano.signal(:first, 'go');
CALL cano.work();
SELECT is(pg_temp.statuses('t_concurrency.shared'), 'completed queued waiting', 'one begins though another one before it cannot');

SELECT * FROM finish();
SELECT cano.revoke_usage('t_concurrency_other');
DROP ROLE t_concurrency_other;
DROP SCHEMA t_concurrency CASCADE;
