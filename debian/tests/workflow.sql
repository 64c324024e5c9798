-- The background workers run a workflow to its end: a task that is retried, a
-- timer, a task.  What is wrong divides by zero.
CREATE EXTENSION cano;

CREATE SEQUENCE calls;
CREATE FUNCTION half(n integer) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	IF nextval('calls') = 1 THEN
		RAISE EXCEPTION 'the first call fails';
	END IF;
	RETURN jsonb_build_object('n', n / 2);
END
$$;

SELECT cano.define('halves',
	cano.task('first', 'half', next => 'pause', retry => cano.fixed(3, '10 ms')),
	cano.timer('pause', delay => '10 ms', next => 'second'),
	cano.task('second', 'half', next => 'done'),
	cano.exit('done'));

SELECT cano.submit('halves', '{"n": 20}') AS run \gset
SELECT 1 / (result -> 'n' = '5')::integer AS right_result FROM cano.wait(:run, '1 min') result;
SELECT 1 / (count(*) = 1)::integer AS one_failed FROM cano.attempts WHERE run_id = :run;
SELECT 1 / (last_value = 3)::integer AS three_calls FROM calls;
