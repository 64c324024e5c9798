-- The store that the states of a run share.
\ir lib/start.psql
SELECT plan(17);

CREATE SCHEMA t_store;
CREATE FUNCTION t_store.put() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cano.put('number', '1');
	PERFORM cano.put('number', '2');
	PERFORM cano.put('object', '{"a": [1]}');
	PERFORM cano.put('gone', '"x"');
	PERFORM cano.remove('gone');
	PERFORM cano.remove('never was');
	PERFORM cano.append('list', '1');
	PERFORM cano.append('list', '[2]');
	PERFORM cano.append('list', 'null');
END $$;
CREATE FUNCTION t_store.get() RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('number', cano.get('number'), 'object', cano.get('object'), 'list', cano.get('list'),
		'gone', cano.get('gone'), 'keys', cano.keys()) $$;
SELECT cano.define('t_store.shared',
	cano.task('first', 't_store.put', next => 'second'),
	cano.task('second', 't_store.get', next => 'end'),
	cano.exit('end')) AS v \gset
SELECT cano.submit('t_store.shared') AS run \gset
CALL cano.work(max_steps => 1);
CALL cano.work();
SELECT is(cano.result(:run) -> 'number', '2', 'put() overwrites, get() of a later state sees it');
SELECT is(cano.result(:run) -> 'object', '{"a": [1]}', 'any JSON value will do');
SELECT is(cano.result(:run) -> 'list', '[1, [2], null]', 'append() makes a list and adds to it');
SELECT is(cano.result(:run) -> 'gone', 'null', 'remove() removes, also what is not there; get() of nothing is null');
SELECT is(cano.result(:run) -> 'keys', '["list", "number", "object"]', 'keys() are the names');

-- within one task, and between runs
CREATE FUNCTION t_store.inside() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	v_before jsonb := cano.get('x');
BEGIN
	PERFORM cano.put('x', '1');
	PERFORM cano.append('y', '1');
	RETURN jsonb_build_object('before', v_before, 'x', cano.get('x'), 'y', cano.get('y'));
END $$;
SELECT cano.define('t_store.inside', cano.task('a', 't_store.inside', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_store.inside') AS run1 \gset
SELECT cano.submit('t_store.inside') AS run2 \gset
CALL cano.work();
SELECT is(cano.result(:run1), '{"before": null, "x": 1, "y": [1]}'::jsonb, 'a task sees what it has put');
SELECT is(cano.result(:run2), '{"before": null, "x": 1, "y": [1]}'::jsonb, 'no run sees another''s');

-- a failed attempt
CREATE FUNCTION t_store.fails(attempt int) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	v_before jsonb := jsonb_build_array(cano.get('x'), cano.get('list'));
BEGIN
	PERFORM cano.put('x', to_jsonb(attempt));
	PERFORM cano.append('list', to_jsonb(attempt));
	IF attempt < 3 THEN RAISE EXCEPTION 'no'; END IF;
	RETURN jsonb_build_object('before', v_before, 'x', cano.get('x'), 'list', cano.get('list'));
END $$;
SELECT cano.define('t_store.failing', cano.task('a', 't_store.fails', next => 'end', retry => cano.fixed(2, '0')),
	cano.exit('end')) AS v \gset
SELECT cano.submit('t_store.failing') AS run \gset
CALL cano.work();
SELECT is(cano.result(:run), '{"before": [null, null], "x": 3, "list": [3]}'::jsonb,
	'what a failed attempt has put is rolled back');

CREATE FUNCTION t_store.catches() RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cano.put('x', '1');
	BEGIN
		PERFORM cano.put('x', '2');
		PERFORM cano.put('y', '2');
		RAISE EXCEPTION 'inner';
	EXCEPTION WHEN raise_exception THEN
		NULL;
	END;
	RETURN jsonb_build_object('x', cano.get('x'), 'y', cano.get('y'));
END $$;
SELECT cano.define('t_store.catching', cano.task('a', 't_store.catches', next => 'b'),
	cano.task('b', 't_store.get', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_store.catching') AS run \gset
CALL cano.work();
SELECT is(cano.result(:run) - 'list' - 'number' - 'object' - 'gone', '{"x": 1, "y": null, "keys": ["x"]}'::jsonb,
	'so is what a block inside the task has put and rolled back');

-- a verdict and a wrong outcome
CREATE FUNCTION t_store.verdict(say text) RETURNS cano.outcome LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cano.put('said', to_jsonb(say));
	RETURN CASE say WHEN 'failed' THEN cano.failed('no') ELSE cano.next('nowhere') END;
END $$;
SELECT cano.define('t_store.verdict', cano.task('a', 't_store.verdict', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_store.verdict', '{"say": "failed"}') AS run1 \gset
SELECT cano.submit('t_store.verdict', '{"say": "wrong"}') AS run2 \gset
CALL cano.work();
SELECT results_eq(format('SELECT run, value FROM cano._variable WHERE run IN (%s, %s)', :run1, :run2),
	format('VALUES (%s::bigint, ''"failed"''::jsonb)', :run1),
	'a verdict keeps what was put, an outcome that is not allowed does not');

-- misuse
CREATE FUNCTION t_store.misuse(how text) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cano.put('x', '"text"');
	BEGIN
		IF how = 'append' THEN PERFORM cano.append('x', '1');
		ELSIF how = 'empty' THEN PERFORM cano.put('', '1');
		ELSIF how = 'long' THEN PERFORM cano.put(repeat('k', 1001), '1');
		ELSIF how = 'long enough' THEN PERFORM cano.put(repeat('ü', 1000), '1');
		ELSIF how = 'nameless' THEN PERFORM cano.put(NULL, '1');
		END IF;
	EXCEPTION WHEN OTHERS THEN
		RETURN jsonb_build_object('error', sqlstate, 'x', cano.get('x'));
	END;
	RETURN jsonb_build_object('error', null, 'x', cano.get('x'));
END $$;
SELECT cano.define('t_store.misuse', cano.task('a', 't_store.misuse', next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_store.misuse', '{"how": "append"}') AS run1 \gset
SELECT cano.submit('t_store.misuse', '{"how": "empty"}') AS run2 \gset
SELECT cano.submit('t_store.misuse', '{"how": "long"}') AS run3 \gset
SELECT cano.submit('t_store.misuse', '{"how": "long enough"}') AS run4 \gset
SELECT cano.submit('t_store.misuse', '{"how": "nameless"}') AS run5 \gset
CALL cano.work();
SELECT isnt(cano.result(:run1) -> 'error', 'null', 'append() to what is no list is an error');
SELECT is(cano.result(:run1) -> 'x', '"text"', 'and leaves it alone');
SELECT isnt(cano.result(:run2) -> 'error', 'null', 'a key is not empty');
SELECT isnt(cano.result(:run3) -> 'error', 'null', 'nor longer than 1,000 characters');
SELECT is(cano.result(:run4) -> 'error', 'null', 'but up to that, of any kind');
SELECT isnt(cano.result(:run5) -> 'error', 'null', 'nor null');

-- a router may look
CREATE FUNCTION t_store.choose() RETURNS text LANGUAGE sql AS $$SELECT cano.get('x') #>> '{}'$$;
CREATE FUNCTION t_store.set_way() RETURNS void LANGUAGE plpgsql AS $$BEGIN PERFORM cano.put('x', '"end"'); END$$;
SELECT cano.define('t_store.routed', cano.task('a', 't_store.set_way', next => 'r'),
	cano.router('r', 't_store.choose'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_store.routed') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'routers read the store');

SELECT * FROM finish();
DROP SCHEMA t_store CASCADE;
