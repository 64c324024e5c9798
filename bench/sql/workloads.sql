-- The workloads as cano's users write them.  Tasks do as little as possible:
-- what is measured is the engine.

CREATE ROLE bench LOGIN;
GRANT CREATE ON DATABASE postgres TO bench;
CREATE EXTENSION cano;
SELECT cano.grant_usage('bench');

SET ROLE bench;
CREATE SCHEMA bench;

CREATE FUNCTION bench.noop() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
END $$;

CREATE FUNCTION bench.refuse() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'refused' USING ERRCODE = 'CN900';
END $$;

-- W4: the first line of the task says what time it is.
CREATE TABLE bench.started (sample integer PRIMARY KEY, at timestamptz NOT NULL);

CREATE FUNCTION bench.start(sample integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	now timestamptz := clock_timestamp();
BEGIN
	INSERT INTO bench.started VALUES (sample, now);
END $$;

-- W6: so many steps, one after another.
CREATE FUNCTION bench.advance(cursor jsonb, steps integer) RETURNS cano.outcome LANGUAGE plpgsql AS $$
DECLARE
	done integer := coalesce(cursor::integer, 0) + 1;
BEGIN
	IF done = steps THEN
		RETURN cano.next();
	END IF;
	RETURN cano.more(to_jsonb(done));
END $$;

-- W7: so many items.
CREATE FUNCTION bench.items(items integer) RETURNS SETOF jsonb LANGUAGE sql AS
	'SELECT to_jsonb(i) FROM generate_series(1, items) i';

CREATE FUNCTION bench.item(item jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
END $$;

CREATE FUNCTION bench.finish() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
END $$;

-- W8: one of a thousand rows, in no order.
CREATE TABLE bench.shared (id integer PRIMARY KEY, times integer NOT NULL DEFAULT 0) WITH (fillfactor = 20);
INSERT INTO bench.shared SELECT i FROM generate_series(1, 1000) i;

CREATE FUNCTION bench.touch() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	row_id integer := 1 + floor(random() * 1000);
BEGIN
	UPDATE bench.shared SET times = times + 1 WHERE id = row_id;
END $$;

SELECT cano.define('W1', cano.task('a', 'bench.noop', next => 'end'), cano.exit('end'));
SELECT cano.define('W2',
	cano.task('a', 'bench.noop', next => 'b'),
	cano.task('b', 'bench.noop', next => 'c'),
	cano.task('c', 'bench.noop', next => 'end'),
	cano.exit('end'));
SELECT cano.define('W3',
	cano.split('a', array_fill('bench.noop'::text, ARRAY[10]), next => 'b'),
	cano.task('b', 'bench.noop', next => 'end'),
	cano.exit('end'));
SELECT cano.define('W4', cano.task('a', 'bench.start', next => 'end'), cano.exit('end'));
SELECT cano.define('W5',
	cano.task('a', 'bench.noop', next => 'b', compensate => 'bench.noop'),
	cano.task('b', 'bench.noop', next => 'c', compensate => 'bench.noop'),
	cano.task('c', 'bench.noop', next => 'd', compensate => 'bench.noop'),
	cano.task('d', 'bench.refuse', next => 'end', compensate => 'bench.noop'),
	cano.exit('end'));
SELECT cano.define('W6', cano.stepped('a', 'bench.advance', next => 'end'), cano.exit('end'));
SELECT cano.define('W7',
	cano.batch('a', load => 'bench.items', process => 'bench.item', finish => 'bench.finish',
		concurrency => 64, next => 'end'),
	cano.exit('end'));
SELECT cano.define('W8', cano.task('a', 'bench.touch', retry => cano.none(), next => 'end'), cano.exit('end'));
