-- What "bench/run --flat" needs beside the workloads.

CREATE ROLE rival LOGIN;
SELECT cano.grant_usage('rival');

SET ROLE bench;
GRANT USAGE ON SCHEMA bench TO rival;

SELECT cano.define('ticks', cano.timer('a', delay => '1 ms', next => 'b'), cano.timer('b', delay => '1 ms', next => 'c'),
	cano.timer('c', delay => '1 ms', next => 'end'), cano.exit('end'));
SELECT cano.define('later', cano.timer('a', delay => '1 hour', next => 'end'), cano.exit('end'));

-- Tasks that last so many milliseconds, which is what is measured beside them:
-- one that always does, and one that does for some runs.
CREATE FUNCTION bench.work_long(ms integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_sleep(ms / 1000.0);
END $$;

CREATE FUNCTION bench.work_sometimes(ms integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF ms > 0 THEN
		PERFORM pg_sleep(ms / 1000.0);
	END IF;
END $$;

SELECT cano.define('long', cano.task('a', 'bench.work_long', next => 'end'), cano.exit('end'));
SELECT cano.define('sometimes', cano.task('a', 'bench.work_sometimes', next => 'end'), cano.exit('end'));

-- Somebody else who works with the rows of W8, until he is cancelled, and
-- notes how long each took him.
CREATE TABLE bench.waited (at timestamptz NOT NULL, ms float8 NOT NULL);

CREATE PROCEDURE bench.use_shared() LANGUAGE plpgsql AS $$
DECLARE
	began timestamptz;
BEGIN
	LOOP
		began := clock_timestamp();
		PERFORM bench.touch();
		INSERT INTO bench.waited VALUES (began, extract(epoch FROM clock_timestamp() - began) * 1e3);
		COMMIT;
	END LOOP;
END $$;
