-- What a task may ask about itself, and the store of its run.
\pset format unaligned
\pset tuples_only on
\set VERBOSITY terse
CREATE SCHEMA shop_context;

-- Outside a task there is nothing to answer
SELECT cano.run_id();
SELECT cano.state();
SELECT cano.attempt();
SELECT cano.data();
SELECT cano.idempotency_key();
SELECT cano.put('a', '1');
SELECT cano.get('a');
SELECT cano.append('a', '1');
SELECT cano.remove('a');
SELECT cano.keys();
SELECT cano.progress(1);

CREATE FUNCTION shop_context.first(run_id bigint, state text, attempt integer, data jsonb, idempotency_key text) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cano.put('value', '1');
	PERFORM cano.put('value', '{"a": 2}');
	PERFORM cano.put('null', NULL);
	PERFORM cano.append('list', '1');
	PERFORM cano.append('list', '[2]');
	PERFORM cano.append('list', NULL);
	PERFORM cano.put('gone', 'true');
	PERFORM cano.progress(1), cano.progress(1, 2), cano.progress(1, 2, 'half');
	RETURN jsonb_build_object(
		'same', ARRAY[cano.run_id() = run_id, cano.state() = state, cano.attempt() = attempt, cano.data() = data, cano.idempotency_key() = idempotency_key],
		'removed', ARRAY[cano.remove('gone'), cano.remove('gone')]);
END $$;
CREATE FUNCTION shop_context.second() RETURNS jsonb LANGUAGE sql
RETURN jsonb_build_object('keys', cano.keys(), 'value', cano.get('value'), 'list', cano.get('list'), 'gone', cano.get('gone'), 'null', cano.get('null'));
SELECT cano.define('w_context', cano.task('first', 'shop_context.first', next => 'second'), cano.task('second', 'shop_context.second', next => 'done'), cano.exit('done'));
CALL cano.orchestrate('w_context', '{"q": 1}');

-- Each run has its own; the idempotency key is that of the visit, whatever the attempt
CREATE TABLE shop_context.seen (attempt integer, key text);
CREATE SEQUENCE shop_context.tries;
CREATE FUNCTION shop_context.retried(attempt integer, idempotency_key text) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cano.append('attempts', to_jsonb(attempt));
	IF nextval('shop_context.tries') < 3 THEN
		RAISE EXCEPTION 'again';
	END IF;
	RETURN jsonb_build_object('attempt', attempt, 'kept', cano.get('attempts'), 'keys', cano.keys());
END $$;
SELECT cano.define('retried', cano.task('work', 'shop_context.retried', next => 'done', retry => cano.fixed(3, '1 ms')), cano.exit('done'));
CALL cano.orchestrate('retried');

-- Mistakes are the task's own
CREATE FUNCTION shop_context.execute(code text) RETURNS void LANGUAGE plpgsql AS 'BEGIN EXECUTE code; END';
SELECT cano.define('mistake', cano.task('work', 'shop_context.execute', next => 'done', retry => cano.none()), cano.exit('done'));
CALL cano.orchestrate('mistake', '{"code": "SELECT cano.put(''a'', ''1''), cano.append(''a'', ''2'')"}');
SELECT error ->> 'category' FROM cano.runs ORDER BY run_id DESC LIMIT 1;
CALL cano.orchestrate('mistake', '{"code": "SELECT cano.put('''', ''1'')"}');
CALL cano.orchestrate('mistake', '{"code": "SELECT cano.put(repeat(''é'', 1001), ''1'')"}');
CALL cano.orchestrate('mistake', '{"code": "SELECT cano.put(NULL, ''1'')"}');
CALL cano.orchestrate('mistake', '{"code": "SELECT cano.get(NULL)"}');
CALL cano.orchestrate('mistake', '{"code": "SELECT cano.progress(NULL)"}');
