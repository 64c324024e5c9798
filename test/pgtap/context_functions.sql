-- What a task can ask about itself, and that nobody else can.
\ir lib/start.psql
SELECT plan(36);

CREATE SCHEMA t_context;
CREATE TEMP TABLE asked (call text);
INSERT INTO asked VALUES ('run_id()'), ('state()'), ('attempt()'), ('data()'), ('idempotency_key()'),
	($$put('k', '1')$$), ($$get('k')$$), ($$append('k', '1')$$), ($$remove('k')$$), ('keys()'),
	($$progress(1, 2, 'half')$$), ('cancel_requested()');

SELECT throws_ok('SELECT cano.' || call, 'CN002', NULL, call || ' outside a task is an error') FROM asked;

CREATE FUNCTION t_context.look(run_id bigint, state text, attempt int, idempotency_key text, data jsonb)
RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cano.progress(1, 2, 'half');
	RETURN jsonb_build_object('run_id', cano.run_id() = run_id, 'state', cano.state() = state,
		'attempt', cano.attempt() = attempt, 'data', cano.data() = data,
		'key', cano.idempotency_key() = idempotency_key);
END $$;
SELECT cano.define('t_context.look', cano.task('a', 't_context.look', next => 'end', output_key => 'out'),
	cano.exit('end')) AS v \gset
SELECT cano.submit('t_context.look', '{"x": 1}') AS run \gset
CALL cano.work();
SELECT is(cano.result(:run) -> 'out' -> key, value, 'inside a task: ' || key)
FROM (VALUES ('run_id', 'true'::jsonb), ('state', 'true'), ('attempt', 'true'), ('data', 'true'), ('key', 'true')) AS v (key, value);
SELECT throws_ok('SELECT cano.' || call, 'CN002', NULL, call || ' after a task is an error again') FROM asked;

-- the key for effects elsewhere
CREATE FUNCTION t_context.fail_once(attempt int, idempotency_key text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	IF attempt < 3 THEN RAISE EXCEPTION '%', idempotency_key; END IF;
	RETURN cano.idempotency_key();
END $$;
SELECT cano.define('t_context.key',
	cano.task('a', 't_context.fail_once', next => 'b', retry => cano.fixed(2, '0')),
	cano.task('b', 't_context.fail_once', next => 'end', retry => cano.fixed(2, '0')),
	cano.exit('end')) AS v \gset
SELECT cano.submit('t_context.key') AS run1 \gset
SELECT cano.submit('t_context.key') AS run2 \gset
CALL cano.work();
SELECT is((SELECT array_agg(DISTINCT message) FROM cano.attempts WHERE run_id = :run1 AND state = 'a'),
	ARRAY[cano.result(:run1) ->> 'a'], 'idempotency_key() is the same in every attempt of a visit');
SELECT is((SELECT count(DISTINCT message) FROM cano.attempts WHERE run_id IN (:run1, :run2)), 4::bigint,
	'and another for every state and run');

CREATE FUNCTION t_context.visit(attempt int, keys jsonb DEFAULT '[]') RETURNS cano.outcome LANGUAGE sql AS $$
	SELECT cano.next(CASE WHEN jsonb_array_length(keys) < 2 THEN 'a' END,
		jsonb_build_object('keys', keys || to_jsonb(cano.idempotency_key()))) $$;
SELECT cano.define('t_context.visits', cano.task('a', 't_context.visit', next => 'end', targets => ARRAY['a']),
	cano.exit('end')) AS v \gset
SELECT cano.submit('t_context.visits') AS run \gset
CALL cano.work();
SELECT is((SELECT count(DISTINCT k) FROM jsonb_array_elements(cano.result(:run) -> 'keys') AS k), 3::bigint,
	'and for every visit of a state');

-- a nested call keeps the outer task's context
CREATE FUNCTION t_context.nested() RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
	PERFORM cano.put('nested', '1');
	RETURN cano.get('nested') = '1' AND cano.run_id() IS NOT NULL;
END $$;
CREATE FUNCTION t_context.outer() RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RETURN t_context.nested(); END$$;
SELECT cano.define('t_context.nesting', cano.task('a', 't_context.outer', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_context.nesting') AS run \gset
CALL cano.work();
SELECT is(cano.result(:run) -> 'a', 'true', 'functions that a task calls are inside it');

-- a task that submits
CREATE FUNCTION t_context.submits() RETURNS bigint LANGUAGE sql AS $$SELECT cano.submit('t_context.look', '{"x": 2}')$$;
SELECT cano.define('t_context.submitting', cano.task('a', 't_context.submits', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_context.submitting') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status((cano.result(:run) ->> 'a')::bigint), 'completed', 'a task may submit another run, which runs on its own');

CREATE FUNCTION t_context.state_of_nothing() RETURNS text LANGUAGE plpgsql AS $$
BEGIN RETURN cano.state(); EXCEPTION WHEN SQLSTATE 'CN002' THEN RETURN 'none'; END $$;
SELECT is(t_context.state_of_nothing(), 'none', 'the error can be caught by its SQLSTATE');
SELECT matches((SELECT obj_description('cano.run_id()'::regprocedure)), '.', 'and the functions say what they are for');

SELECT * FROM finish();
DROP SCHEMA t_context CASCADE;
