-- Many runs with scripts of their own, mixed in the same batches, end as a
-- model in PL/pgSQL says: their status, error, rows, effects and data.
\ir lib/start.psql
SELECT plan(7);

CREATE SCHEMA t_random;
CREATE TABLE t_random.effect (run bigint, step int, attempt int);
CREATE TABLE t_random.once (run bigint, step int, UNIQUE (run, step) DEFERRABLE INITIALLY DEFERRED);
-- Do what the script says at its present step; at its end, go to the exit.
CREATE FUNCTION t_random.act(run_id bigint, attempt int, script jsonb, step int DEFAULT 0)
RETURNS cano.outcome LANGUAGE plpgsql AS $$
DECLARE
	v_action text := script ->> step;
	v_output jsonb := jsonb_build_object('step', step + 1);
BEGIN
	INSERT INTO t_random.effect VALUES (run_id, step, attempt);
	CASE
		WHEN v_action IS NULL THEN RETURN cano.next('done', v_output);
		WHEN v_action IN ('a', 'b', 'c', 'nowhere') THEN RETURN cano.next(v_action, v_output);
		WHEN v_action = 'next' THEN RETURN cano.next(output => v_output);
		WHEN v_action = 'later' THEN RETURN cano.next(output => v_output, delay => '10 s');
		WHEN v_action = 'failed' THEN RETURN cano.failed('declined');
		WHEN v_action = 'cancelled' THEN RETURN cano.cancelled('called off');
		WHEN v_action = 'more' THEN RETURN cano.more('1');
		WHEN v_action = 'fatal' THEN RAISE EXCEPTION 'fatal' USING ERRCODE = 'CN900';
		WHEN v_action = 'panic' THEN RAISE EXCEPTION 'panics' USING ERRCODE = 'XX000';
		WHEN v_action = 'dies' THEN RAISE EXCEPTION 'dies';
		WHEN v_action = 'deferred' THEN
			INSERT INTO t_random.once VALUES (run_id, step), (run_id, step);
			RETURN cano.next(output => v_output);
		WHEN v_action = 'flaky' THEN
			IF attempt = 1 THEN RAISE EXCEPTION 'flaky'; END IF;
			RETURN cano.next(output => v_output);
	END CASE;
END $$;
SELECT cano.define('t_random.flow',
	cano.task('a', 't_random.act', next => 'b', retry => cano.fixed(1, '0')),
	cano.task('b', 't_random.act', next => 'c', retry => cano.fixed(1, '0')),
	cano.task('c', 't_random.act', next => 'a', retry => cano.fixed(1, '0')),
	cano.exit('done')) AS v \gset

-- What a script must lead to.
CREATE FUNCTION t_random.model(script jsonb, OUT status text, OUT category text, OUT rows text, OUT effects text,
	OUT data jsonb)
LANGUAGE plpgsql AS $$
DECLARE
	v_state text := 'a';
	v_step int := 0;
	v_row int := 0;
	v_action text;
BEGIN
	rows := '0 a';
	data := jsonb_build_object('script', script);
	LOOP
		v_action := script ->> v_step;
		IF v_action IN ('fatal', 'panic', 'dies', 'deferred', 'nowhere', 'more') THEN
			status := 'failed';
			category := CASE v_action WHEN 'fatal' THEN 'permanent' WHEN 'panic' THEN 'task_execution'
				WHEN 'nowhere' THEN 'workflow' WHEN 'more' THEN 'workflow' ELSE 'retry_exhausted' END;
			RETURN;
		END IF;
		effects := concat_ws(' ', effects, v_step || '/' || CASE v_action WHEN 'flaky' THEN 2 ELSE 1 END);
		IF v_action IN ('failed', 'cancelled') THEN
			status := v_action;
			category := CASE v_action WHEN 'failed' THEN 'task_execution' ELSE 'cancelled' END;
			RETURN;
		END IF;
		v_state := CASE WHEN v_action IS NULL THEN 'done' WHEN v_action IN ('a', 'b', 'c') THEN v_action
			ELSE translate(v_state, 'abc', 'bca') END;
		v_row := v_row + 1;
		v_step := v_step + 1;
		rows := rows || ', ' || v_row || ' ' || v_state;
		data := data || jsonb_build_object('step', v_step);
		IF v_state = 'done' THEN
			status := 'completed';
			RETURN;
		END IF;
	END LOOP;
END $$;

-- Scripts that are the same in every run of this test: a quarter of their
-- steps ends the run, the rest goes on.
SELECT setseed(0.42) AS x \gset
CREATE TABLE t_random.run AS
SELECT cano.submit('t_random.flow', jsonb_build_object('script', s.script), priority => (random() * 3)::int) AS run, s.script
FROM (SELECT n, coalesce(jsonb_agg(CASE WHEN random() < 0.75
		THEN (ARRAY['next', 'next', 'a', 'b', 'c', 'later', 'flaky', 'flaky'])[1 + floor(random() * 8)]
		ELSE (ARRAY['failed', 'cancelled', 'more', 'fatal', 'panic', 'dies', 'deferred', 'nowhere'])[1 + floor(random() * 8)] END)
		FILTER (WHERE step > 0), '[]') AS script
	FROM generate_series(1, 500) AS n, generate_series(0, 1 + n % 8) AS step GROUP BY n) AS s;
CREATE TABLE t_random.wanted AS SELECT r.run, m.* FROM t_random.run AS r, t_random.model(r.script) AS m;

-- as long as any of them waits
CALL cano.work();
SELECT pg_temp.later('11 s') AS x \gset
CALL cano.work();
SELECT pg_temp.later('11 s') AS x \gset
CALL cano.work();
SELECT pg_temp.later('11 s') AS x \gset
CALL cano.work();
SELECT pg_temp.later('11 s') AS x \gset
CALL cano.work();
SELECT pg_temp.later('11 s') AS x \gset
CALL cano.work();
SELECT pg_temp.later('11 s') AS x \gset
CALL cano.work();
SELECT pg_temp.later('11 s') AS x \gset
CALL cano.work();
SELECT pg_temp.later('11 s') AS x \gset
CALL cano.work();

CREATE TEMP TABLE got AS
SELECT r.run, c.status, c.error ->> 'category' AS category, pg_temp.rows(r.run) AS rows,
	(SELECT string_agg(e.step || '/' || e.attempt, ' ' ORDER BY e.step) FROM t_random.effect AS e WHERE e.run = r.run) AS effects,
	c.data
FROM t_random.run AS r JOIN cano.runs AS c ON c.run_id = r.run;

CREATE FUNCTION pg_temp.differences(what text) RETURNS text[] LANGUAGE sql AS $$
	SELECT coalesce(array_agg(concat_ws(' | ', r.script, to_jsonb(w) ->> what, to_jsonb(g) ->> what)), '{}')
	FROM t_random.run AS r JOIN t_random.wanted AS w USING (run) JOIN got AS g USING (run)
	WHERE to_jsonb(w) -> what IS DISTINCT FROM to_jsonb(g) -> what $$;
SELECT is((SELECT count(*) FROM got), 500::bigint, 'all runs are there');
SELECT is(pg_temp.differences(what), '{}', 'the ' || what || ' of every run is as the model says')
FROM unnest(ARRAY['status', 'category', 'rows', 'effects', 'data']) AS what;
SELECT is((SELECT count(*) FROM cano._job) + (SELECT count(*) FROM cano._timer), 0::bigint, 'and nothing is left to do');

SELECT * FROM finish();
DROP SCHEMA t_random CASCADE;
