-- What a task returns decides what happens.
\pset format unaligned
\pset tuples_only on
\set VERBOSITY terse
CREATE SCHEMA shop_returns;
CREATE FUNCTION shop_returns.outcome(code text) RETURNS cano.outcome LANGUAGE plpgsql AS $$
DECLARE
	v_outcome cano.outcome;
BEGIN
	EXECUTE 'SELECT (o).* FROM (SELECT ' || code || ') AS s(o)' INTO v_outcome;
	RETURN v_outcome;
END $$;
CREATE FUNCTION shop_returns.pass() RETURNS void LANGUAGE sql AS '';
SELECT cano.define('w_returns', cano.task('work', 'shop_returns.outcome', next => 'done', targets => ARRAY['other'], output_key => 'out', retry => cano.none()),
	cano.exit('done'), cano.task('other', 'shop_returns.pass', next => 'far'), cano.exit('far'));
CREATE FUNCTION shop_returns.submit(code text) RETURNS bigint LANGUAGE sql AS $$ SELECT cano.submit('w_returns', jsonb_build_object('code', code)) $$;
CREATE TABLE shop_returns.codes (ordinal integer GENERATED ALWAYS AS IDENTITY, code text, run bigint);
INSERT INTO shop_returns.codes (code) VALUES
	('cano.next()'),
	('cano.next(''other'', ''{"a": 1}'')'),
	('cano.next(delay => ''10 ms'')'),
	('cano.next(delay => ''-1 day'')'),
	('NULL::cano.outcome'),
	('cano.failed(''why'', ''{"d": 1}'')'),
	('cano.failed(''why'', jsonb_build_object(''d'', 2))'),
	('cano.failed(''why'', detail => ''so much'')'),
	('cano.failed(''why'', NULL)'),
	('cano.failed(NULL)'),
	('cano.cancelled(''enough'')'),
	('cano.cancelled(NULL)'),
	('cano.next(''far'')'),
	('cano.next(''nowhere'')'),
	('cano.more(''5'')'),
	('cano.pending()'),
	('ROW(''jump'', NULL, NULL, NULL, NULL, NULL, NULL)::cano.outcome'),
	('ROW(''pending'', ''other'', NULL, NULL, NULL, NULL, NULL)::cano.outcome'),
	('ROW(NULL, ''other'', NULL, NULL, NULL, NULL, NULL)::cano.outcome');
UPDATE shop_returns.codes SET run = shop_returns.submit(code);
CREATE FUNCTION shop_returns.settle() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	v_run bigint;
BEGIN
	FOR v_run IN SELECT c.run FROM shop_returns.codes AS c LOOP
		BEGIN
			PERFORM cano.wait(v_run);
		EXCEPTION WHEN OTHERS THEN NULL;
		END;
	END LOOP;
END $$;
CALL cano.work();
SELECT shop_returns.settle() \g /dev/null
SELECT c.code, r.status, r.state, r.data -> 'out', r.error ->> 'category', r.error ->> 'message', r.error ->> 'detail'
FROM shop_returns.codes AS c JOIN cano.runs AS r ON r.run_id = c.run ORDER BY c.ordinal;

-- Anything else is the output
CREATE FUNCTION shop_returns.money() RETURNS numeric LANGUAGE sql RETURN 1.50;
CREATE FUNCTION shop_returns.list() RETURNS integer[] LANGUAGE sql RETURN ARRAY[1, 2];
CREATE FUNCTION shop_returns.nothing() RETURNS text LANGUAGE sql RETURN NULL;
CREATE FUNCTION shop_returns.object() RETURNS json LANGUAGE sql RETURN '{"a": 1}'::json;
CREATE FUNCTION shop_returns.choose() RETURNS text LANGUAGE sql RETURN 'object';
CREATE FUNCTION shop_returns.due() RETURNS timestamptz LANGUAGE sql RETURN '-infinity'::timestamptz;
SELECT cano.define('outputs', cano.task('money', 'shop_returns.money', next => 'list'), cano.task('list', 'shop_returns.list', next => 'nothing'),
	cano.task('nothing', 'shop_returns.nothing', next => 'choose'), cano.router('choose', 'shop_returns.choose', targets => ARRAY['object']),
	cano.task('object', 'shop_returns.object', next => 'due'), cano.timer('due', run => 'shop_returns.due', next => 'done'), cano.exit('done'));
CALL cano.orchestrate('outputs');

-- What is too large fails the attempt
CREATE FUNCTION shop_returns.large(n integer) RETURNS text LANGUAGE sql RETURN repeat('x', n);
SELECT cano.define('large', cano.task('work', 'shop_returns.large', next => 'done', retry => cano.none()), cano.exit('done'));
CALL cano.orchestrate('large', '{"n": 67108865}');
