-- What one would write without cano, at its best: no error handling, no
-- retries, no bookkeeping that the workload does not need.  A run is "steps"
-- steps of one function, one after another.

SET ROLE bench;
CREATE SCHEMA by_hand;

CREATE TABLE by_hand.run (
	id bigint PRIMARY KEY,
	status text NOT NULL DEFAULT 'active',
	step integer NOT NULL DEFAULT 1,
	input jsonb NOT NULL,
	ended_at timestamptz
) WITH (fillfactor = 50);
CREATE TABLE by_hand.job (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	run bigint NOT NULL,
	step integer NOT NULL,
	steps integer NOT NULL,
	data jsonb NOT NULL
);
CREATE TABLE by_hand.checkpoint (
	run bigint NOT NULL,
	step integer NOT NULL,
	output jsonb,
	at timestamptz NOT NULL,
	PRIMARY KEY (run, step)
);

CREATE PROCEDURE by_hand.fill(runs integer, steps integer) LANGUAGE plpgsql AS $$
BEGIN
	TRUNCATE by_hand.run, by_hand.job, by_hand.checkpoint;
	INSERT INTO by_hand.run (id, input) SELECT i, '{"a": 1}' FROM generate_series(1, runs) i;
	INSERT INTO by_hand.job (run, step, steps, data)
		SELECT i, 1, fill.steps, '{"a": 1}' FROM generate_series(1, runs) i;
END $$;

-- The minimum: claim with SKIP LOCKED, call, insert the checkpoint, update the
-- run, insert the next job; so many steps a commit.
CREATE PROCEDURE by_hand.work(workload text, steps_per_commit integer) LANGUAGE plpgsql AS $$
DECLARE
	job by_hand.job;
	steps_done integer := 0;
BEGIN
	LOOP
		DELETE FROM by_hand.job j
		WHERE j.id = (SELECT c.id FROM by_hand.job c ORDER BY c.id FOR UPDATE SKIP LOCKED LIMIT 1)
		RETURNING j.* INTO job;
		EXIT WHEN NOT FOUND;

		IF workload = 'W8' THEN
			PERFORM bench.touch();
		ELSE
			PERFORM bench.noop();
		END IF;
		INSERT INTO by_hand.checkpoint VALUES (job.run, job.step, NULL, clock_timestamp());
		IF job.step = job.steps THEN
			UPDATE by_hand.run SET status = 'completed', ended_at = clock_timestamp() WHERE id = job.run;
		ELSE
			UPDATE by_hand.run SET step = job.step + 1 WHERE id = job.run;
			INSERT INTO by_hand.job (run, step, steps, data)
				VALUES (job.run, job.step + 1, job.steps, job.data);
		END IF;

		steps_done := steps_done + 1;
		IF steps_done % steps_per_commit = 0 THEN
			COMMIT;
		END IF;
	END LOOP;
	COMMIT;
END $$;

-- The same, one statement a table for a hundred runs.
CREATE PROCEDURE by_hand.work_in_sets(workload text, steps_per_commit integer) LANGUAGE plpgsql AS $$
DECLARE
	jobs by_hand.job[];
BEGIN
	LOOP
		WITH claimed AS (
			DELETE FROM by_hand.job j
			WHERE j.ctid = ANY (ARRAY(
				SELECT c.ctid FROM by_hand.job c ORDER BY c.id FOR UPDATE SKIP LOCKED LIMIT steps_per_commit))
			RETURNING j.*)
		SELECT array_agg(c) INTO jobs FROM claimed c;
		EXIT WHEN jobs IS NULL;

		IF workload = 'W8' THEN
			PERFORM bench.touch() FROM unnest(jobs) j;
		ELSE
			PERFORM bench.noop() FROM unnest(jobs) j;
		END IF;
		INSERT INTO by_hand.checkpoint
			SELECT j.run, j.step, NULL, clock_timestamp() FROM unnest(jobs) j;
		UPDATE by_hand.run r
			SET status = CASE WHEN j.step = j.steps THEN 'completed' ELSE 'active' END,
				ended_at = CASE WHEN j.step = j.steps THEN clock_timestamp() END,
				step = j.step
			FROM unnest(jobs) j WHERE r.id = j.run;
		INSERT INTO by_hand.job (run, step, steps, data)
			SELECT j.run, j.step + 1, j.steps, j.data FROM unnest(jobs) j WHERE j.step < j.steps;
		COMMIT;
	END LOOP;
	COMMIT;
END $$;

-- As a procedure that pg_cron starts is written today: a table with a status
-- column, a batch marked as taken, each row in a block of its own.
CREATE TABLE by_hand.task (
	id bigint PRIMARY KEY,
	status text NOT NULL DEFAULT 'pending',
	step integer NOT NULL DEFAULT 1,
	steps integer NOT NULL,
	input jsonb NOT NULL,
	error text,
	updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON by_hand.task (status, id);
CREATE TABLE by_hand.task_log (task bigint NOT NULL, step integer NOT NULL, at timestamptz NOT NULL);
CREATE INDEX ON by_hand.task_log (task);

CREATE PROCEDURE by_hand.fill_tasks(runs integer, steps integer) LANGUAGE plpgsql AS $$
BEGIN
	TRUNCATE by_hand.task, by_hand.task_log;
	INSERT INTO by_hand.task (id, steps, input)
		SELECT i, fill_tasks.steps, '{"a": 1}' FROM generate_series(1, runs) i;
END $$;

CREATE PROCEDURE by_hand.work_on_tasks(workload text, steps_per_commit integer) LANGUAGE plpgsql AS $$
DECLARE
	taken bigint[];
	taken_task by_hand.task;
BEGIN
	LOOP
		WITH marked AS (
			UPDATE by_hand.task t SET status = 'running', updated_at = now()
			WHERE t.id IN (
				SELECT c.id FROM by_hand.task c WHERE c.status = 'pending'
				ORDER BY c.id FOR UPDATE SKIP LOCKED LIMIT steps_per_commit)
			RETURNING t.id)
		SELECT array_agg(m.id) INTO taken FROM marked m;
		COMMIT;
		EXIT WHEN taken IS NULL;

		FOR taken_task IN SELECT * FROM by_hand.task t WHERE t.id = ANY (taken) LOOP
			BEGIN
				IF workload = 'W8' THEN
					PERFORM bench.touch();
				ELSE
					PERFORM bench.noop();
				END IF;
				INSERT INTO by_hand.task_log VALUES (taken_task.id, taken_task.step, now());
				UPDATE by_hand.task SET
					status = CASE WHEN step = steps THEN 'done' ELSE 'pending' END,
					step = step + 1, updated_at = now()
				WHERE id = taken_task.id;
			EXCEPTION WHEN OTHERS THEN
				UPDATE by_hand.task SET status = 'failed', error = SQLERRM WHERE id = taken_task.id;
			END;
		END LOOP;
		COMMIT;
	END LOOP;
END $$;

-- What "submit" is compared with: a row of the same size in a table with two
-- indexes.
CREATE TABLE by_hand.submission (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	workflow text NOT NULL,
	input jsonb NOT NULL,
	status text NOT NULL DEFAULT 'queued',
	submitted_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON by_hand.submission (status, id);

-- One sample of W4: how long an INSERT takes with its commit, and when the
-- commit of a "submit" began and ended.
CREATE PROCEDURE bench.sample(sample integer, INOUT run bigint, INOUT insert_us float8,
	INOUT submit_us float8, INOUT committing timestamptz, INOUT committed timestamptz)
LANGUAGE plpgsql AS $$
DECLARE
	began timestamptz := clock_timestamp();
BEGIN
	INSERT INTO by_hand.submission (workflow, input) VALUES ('W4', jsonb_build_object('sample', sample));
	COMMIT;
	insert_us := extract(epoch FROM clock_timestamp() - began) * 1e6;

	began := clock_timestamp();
	run := cano.submit('W4', jsonb_build_object('sample', sample));
	committing := clock_timestamp();
	COMMIT;
	committed := clock_timestamp();
	submit_us := extract(epoch FROM committed - began) * 1e6;
END $$;

-- What one row costs, in microseconds, without commit: inserted, submitted,
-- submitted a thousand at once.
CREATE PROCEDURE bench.submission(INOUT insert_us float8, INOUT submit_us float8, INOUT many_us float8)
LANGUAGE plpgsql AS $$
DECLARE
	began timestamptz := clock_timestamp();
BEGIN
	FOR i IN 1 .. 1000 LOOP
		INSERT INTO by_hand.submission (workflow, input) VALUES ('W1', '{"a": 1}');
	END LOOP;
	insert_us := extract(epoch FROM clock_timestamp() - began) * 1e3;
	COMMIT;

	began := clock_timestamp();
	FOR i IN 1 .. 1000 LOOP
		PERFORM cano.submit('W1', '{"a": 1}');
	END LOOP;
	submit_us := extract(epoch FROM clock_timestamp() - began) * 1e3;
	COMMIT;

	began := clock_timestamp();
	PERFORM cano.submit_many('W1', array_fill('{"a": 1}'::jsonb, ARRAY[1000]));
	many_us := extract(epoch FROM clock_timestamp() - began) * 1e3;
END $$;
