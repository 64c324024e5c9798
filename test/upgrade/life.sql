/*
 * Runs of all kinds, each where it waits for something: what an update meets.
 * record.sh keeps the dump of it for every release.
 *
 * Tasks note what they do.  In bad weather those named "hard" fail.
 */
\set ON_ERROR_STOP on
\set QUIET on
\pset format unaligned
\o /dev/null
CREATE ROLE worker LOGIN;
CREATE EXTENSION cano;
SELECT cano.grant_usage('worker');
GRANT CREATE ON SCHEMA public TO worker;
SET SESSION AUTHORIZATION worker;

CREATE TABLE ledger (run bigint, what text);
CREATE TABLE told (run bigint, event text);
CREATE TABLE weather (fine boolean);
INSERT INTO weather VALUES (false);

CREATE FUNCTION note(run bigint, what text, hard boolean DEFAULT false) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.ledger VALUES (run, what);
	IF hard AND NOT (SELECT w.fine FROM public.weather w) THEN
		RAISE EXCEPTION 'bad weather';
	END IF;
END $$;
CREATE FUNCTION act(run_id bigint, state text) RETURNS void LANGUAGE sql AS
	$$ SELECT public.note(run_id, state, state LIKE 'hard%') $$;
CREATE FUNCTION easy(run_id bigint, branch integer) RETURNS integer LANGUAGE sql AS
	$$ SELECT public.note(run_id, 'easy ' || branch); SELECT branch $$;
CREATE FUNCTION hard(run_id bigint, branch integer) RETURNS integer LANGUAGE sql AS
	$$ SELECT public.note(run_id, 'hard ' || branch, true); SELECT branch $$;
CREATE FUNCTION items() RETURNS text[] LANGUAGE sql AS
	$$ SELECT ARRAY['1', '2', 'hard', '4', 'hard', '6'] $$;
CREATE FUNCTION item(run_id bigint, item jsonb) RETURNS jsonb LANGUAGE sql AS
	$$ SELECT public.note(run_id, 'item ' || (item #>> '{}'), item = '"hard"'); SELECT item $$;
CREATE FUNCTION sum_up(outputs jsonb) RETURNS jsonb LANGUAGE sql AS
	$$ SELECT jsonb_build_object('sum', outputs) $$;
CREATE FUNCTION walk(run_id bigint, cursor integer) RETURNS cano.outcome LANGUAGE plpgsql AS $$
BEGIN
	PERFORM public.note(run_id, concat_ws(' ', 'walk', cursor));
	RETURN CASE WHEN cursor >= 4 THEN cano.next()
		ELSE cano.more(to_jsonb(coalesce(cursor, 0) + 1), delay => CASE WHEN cursor = 2 THEN interval '1 hour' END) END;
END $$;
CREATE FUNCTION is_fine() RETURNS cano.outcome LANGUAGE sql AS
	$$ SELECT CASE WHEN w.fine THEN cano.next() ELSE cano.pending('1 hour') END FROM public.weather w $$;
CREATE FUNCTION put() RETURNS void LANGUAGE sql AS $$ SELECT cano.put('kept', '"put before"') $$;
CREATE FUNCTION got(run_id bigint) RETURNS void LANGUAGE sql AS
	$$ SELECT public.note(run_id, concat_ws(', ', cano.get('kept') #>> '{}', cano.resource('tool') #>> '{}')) $$;
CREATE FUNCTION tool(run_id bigint) RETURNS jsonb LANGUAGE sql AS
	$$ SELECT public.note(run_id, 'set up'); SELECT jsonb '"a tool"' $$;
CREATE FUNCTION no_tool(run_id bigint) RETURNS void LANGUAGE sql AS $$ SELECT public.note(run_id, 'torn down') $$;
CREATE FUNCTION ended(run_id bigint) RETURNS void LANGUAGE sql AS $$ SELECT public.note(run_id, 'ended') $$;
CREATE FUNCTION undo(run_id bigint, state text) RETURNS void LANGUAGE sql AS
	$$ SELECT public.note(run_id, 'undo ' || state, state LIKE 'hard%') $$;
CREATE FUNCTION declined() RETURNS cano.outcome LANGUAGE sql AS $$ SELECT cano.failed('declined') $$;
CREATE FUNCTION tell(event jsonb) RETURNS void LANGUAGE sql AS
	$$ INSERT INTO public.told VALUES ((event ->> 'run_id')::bigint, event ->> 'event') $$;

SELECT cano.create_breaker('breaker');
SELECT cano.create_limiter('limiter', 1, '1 hour');
SELECT cano.observe('observer', 'tell', ARRAY['state_enter', 'ended'], 'observed');

SELECT cano.define('timer', cano.task('a', 'act', breaker => 'breaker', next => 't'), cano.timer('t', delay => '1 hour', next => 'b'), cano.task('b', 'act', breaker => 'breaker', next => 'done'), cano.exit('done'));
SELECT cano.define('signal', cano.task('a', 'act', next => 'r'), cano.receive('r', 'go', next => 'b'), cano.task('b', 'act', next => 'done'), cano.exit('done'));
SELECT cano.define('signalled', cano.timer('t', delay => '1 hour', next => 'r'), cano.receive('r', 'go', next => 'b'), cano.task('b', 'act', next => 'done'), cano.exit('done'));
SELECT cano.define('retry', cano.task('hard', 'act', retry => cano.fixed(3, '1 hour'), next => 'b'), cano.task('b', 'act', next => 'done'), cano.exit('done'));
SELECT cano.define('split', cano.split('s', ARRAY[cano.branch('easy'), cano.branch('hard', retry => cano.fixed(3, '1 hour')), cano.branch('easy')], next => 'b'),
	cano.task('b', 'act', next => 'done'), cano.exit('done'));
SELECT cano.define('batch', cano.batch('i', load => 'items', process => 'item', finish => 'sum_up', concurrency => 2, item_retry => cano.fixed(3, '1 hour'), next => 'b'),
	cano.task('b', 'act', next => 'done'), cano.exit('done'));
SELECT cano.define('stepped', cano.stepped('w', 'walk', next => 'b'), cano.task('b', 'act', next => 'done'), cano.exit('done'));
SELECT cano.define('poll', cano.poll('p', 'is_fine', next => 'b'), cano.task('b', 'act', next => 'done'), cano.exit('done'));
SELECT cano.define('offered', cano.external('e', 'offers', next => 'b'), cano.task('b', 'act', next => 'done'), cano.exit('done'));
SELECT cano.define('leased', cano.external('e', 'leases', retry => cano.fixed(3, '0'), next => 'b'), cano.task('b', 'act', next => 'done'), cano.exit('done'));
SELECT cano.define('parent', cano.task('a', 'act', next => 'c'), cano.child('c', 'timer', next => 'b2'), cano.task('b2', 'act', next => 'done'), cano.exit('done'));
SELECT cano.define('saga', cano.task('a', 'act', compensate => 'undo', next => 'hard by undo'),
	cano.task('hard by undo', 'act', retry => cano.none(), compensate => 'undo', compensate_retry => cano.fixed(3, '1 hour'), next => 'c'),
	cano.task('c', 'act', compensate => 'undo', next => 'd'), cano.task('d', 'declined', next => 'done'), cano.exit('done'));
SELECT cano.define('alone', cano.task('a', 'act', next => 't'), cano.timer('t', until => now() + interval '1 hour', next => 'done'), cano.exit('done'), cano.options(concurrency => 1));
SELECT cano.define('plain', cano.task('a', 'act', next => 'b'), cano.task('b', 'act', next => 'done'), cano.exit('done'));
SELECT cano.define('limited', cano.task('a', 'act', limiter => 'limiter', next => 'done'), cano.exit('done'));
SELECT cano.define('observed', cano.timer('t', delay => '1 hour', next => 'done'), cano.exit('done'), cano.options(log => 'all'));
SELECT cano.define('kept', cano.task('a', 'put', next => 't'), cano.timer('t', delay => '1 hour', next => 'b'), cano.task('b', 'got', next => 'done'), cano.exit('done'),
	cano.options(on_end => 'ended', resources => ARRAY[cano.with_resource('tool', setup => 'tool', teardown => 'no_tool')]));
SELECT cano.define('dead', cano.task('a', 'act', compensate => 'undo', next => 'hard'), cano.task('hard', 'act', retry => cano.none(), next => 'done'), cano.exit('done'));
SELECT cano.define('left', cano.task('hard', 'act', retry => cano.none(), next => 'b'), cano.task('b', 'act', next => 'done'), cano.exit('done'));
SELECT cano.define('timed', cano.task('a', 'act', compensate => 'undo', next => 'r'), cano.receive('r', 'go', next => 'done'), cano.exit('done'), cano.options(timeout => '30 min'));
SELECT cano.define('versions', cano.task('a', 'act', next => 't'), cano.timer('t', delay => '1 hour', next => 'old'), cano.task('old', 'act', next => 'done'), cano.exit('done'));

-- The weather is fine where a task has to be done that is hard to undo.
UPDATE weather SET fine = true;
SELECT cano.submit('saga', max_attempts => 4);
CALL cano.work(max_steps => 3);
UPDATE weather SET fine = false;
SELECT cano.submit(w.name, key => CASE w.n WHEN 2 THEN 'the key' END, headers => '{"h": 1}', tags => '{old}')
FROM unnest('{timer,signal,signalled,retry,split,batch,stepped,poll,offered,leased,parent,alone,alone,plain,limited,limited,observed,kept,dead,left,timed,versions,signal}'::text[])
	WITH ORDINALITY w (name, n) ORDER BY w.n;
CALL cano.work();
CALL cano.work();
SELECT cano.define('versions', cano.task('new', 'act', next => 'done'), cano.exit('done'));
SELECT cano.signal(r.run_id, 'go', '{"said": "before"}') FROM cano.runs r WHERE r.workflow = 'signalled';
SELECT cano.take('leases', 1, '1 hour');
SELECT cano.cancel(max(r.run_id), 'not wanted') FROM cano.runs r WHERE r.workflow = 'signal';
SELECT cano.submit('plain', '{"begun": false}');
SELECT cano.submit('plain', '{"begun": "later"}', run_at => now() + interval '1 hour');
RESET SESSION AUTHORIZATION;
\o
