-- Functions of the random workflows.  What each call does is said by the
-- run's own data: "script" has for each state, by "n" (how many steps have
-- counted so far), an action:
--
--	{"fail": 2, "code": "P0001",	so many attempts raise that error, and then
--	 "slow": 1,						so many attempts last too long
--	 "ms": 3,						it lasts so long
--	 "do": "failed", "why": "...",	a verdict, or more, pending; else go on
--	 "to": state, "delay": 5,		go there, later
--	 "out": ...}					the output
--
-- A client of an external state reports so many failures, or keeps silent
-- ("slow").  A split has one for each branch, a stepped state one for each step, a batch
-- {"load", "items", "finish"}, a poll a list "asks" over all its visits.  What
-- is not said is done without ado.  Every call leaves a row in the ledger,
-- that of a compensation one in "undone".
CREATE SCHEMA wf;
GRANT USAGE ON SCHEMA wf TO PUBLIC;
CREATE TABLE wf.ledger (run bigint, state text, branch int, attempt int, n int, note jsonb);
CREATE INDEX ON wf.ledger (run, state);
CREATE TABLE wf.undone (at bigserial, run bigint, state text, attempt int, n int, output jsonb);
CREATE INDEX ON wf.undone (run);
GRANT ALL ON wf.ledger, wf.undone TO PUBLIC;
GRANT ALL ON SEQUENCE wf.undone_at_seq TO PUBLIC;

CREATE FUNCTION wf.play(act jsonb, state text, branch int, attempt int, n int, note jsonb) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO wf.ledger VALUES (cano.run_id(), state, branch, attempt, n, note);
	PERFORM wf.obey(act, attempt);
END $$;
CREATE FUNCTION wf.obey(act jsonb, attempt int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF act ? 'ms' THEN
		PERFORM pg_sleep((act ->> 'ms')::float / 1000);		-- lasts: so that branches overlap
	END IF;
	IF attempt <= (act ->> 'slow')::int THEN
		PERFORM pg_sleep(60);	-- lasts: until it is interrupted
	END IF;
	IF attempt <= (act ->> 'fail')::int THEN
		RAISE EXCEPTION 'no %', attempt USING ERRCODE = act ->> 'code';
	END IF;
END $$;

-- "counts": added to the output, so that the next visit has another action.
CREATE FUNCTION wf.outcome(act jsonb, counts jsonb DEFAULT NULL) RETURNS cano.outcome
LANGUAGE plpgsql AS $$
BEGIN
	RETURN CASE act ->> 'do'
		WHEN 'failed' THEN cano.failed(act ->> 'why')
		WHEN 'cancelled' THEN cano.cancelled(act ->> 'why')
		WHEN 'more' THEN cano.more('1')
		WHEN 'pending' THEN cano.pending('5 ms')
		ELSE cano.next(act ->> 'to',
			CASE WHEN counts IS NULL THEN act -> 'out' ELSE counts || coalesce(act -> 'out', '{}') END,
			make_interval(secs => (act ->> 'delay')::float / 1000))
	END;
END $$;

-- What a task or branch has to do.
CREATE FUNCTION wf.find(script jsonb, state text, n int, branch int) RETURNS jsonb LANGUAGE sql AS
	'SELECT coalesce(CASE WHEN branch IS NULL THEN script #> ARRAY[state, n::text] ELSE script #> ARRAY[state, n::text, branch::text] END, ''{}'')';

-- Tasks and branches, of all types of results.
CREATE FUNCTION wf.act(script jsonb, n int, state text, branch int, attempt int, signal jsonb, extra int DEFAULT NULL)
RETURNS cano.outcome LANGUAGE plpgsql AS $$
DECLARE
	v_act jsonb := wf.find(script, state, n, branch);
BEGIN
	PERFORM wf.play(v_act, state, branch, attempt, n, jsonb_build_array(signal, extra));
	RETURN wf.outcome(v_act, CASE WHEN branch IS NULL THEN jsonb_build_object('n', n + 1) END);
END $$;
CREATE FUNCTION wf.value(script jsonb, n int, state text, branch int, attempt int) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM wf.play(wf.find(script, state, n, branch), state, branch, attempt, n, NULL);
	RETURN wf.find(script, state, n, branch) -> 'out';
END $$;
CREATE FUNCTION wf.number(script jsonb, n int, state text, branch int, attempt int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	RETURN wf.value(script, n, state, branch, attempt)::int;
END $$;
CREATE FUNCTION wf.nothing(script jsonb, n int, state text, branch int, attempt int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM wf.play(wf.find(script, state, n, branch), state, branch, attempt, n, NULL);
END $$;
CREATE FUNCTION wf.needs(state text, absent int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM wf.play('{}', state, NULL, 1, absent, NULL);
END $$;

-- Routers; where to, if the script does not say, is under "to".
CREATE FUNCTION wf.route(script jsonb, n int, state text, attempt int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM wf.play(wf.find(script, state, n, NULL), state, NULL, attempt, n, NULL);
	RETURN coalesce(wf.find(script, state, n, NULL) ->> 'to', script -> state ->> 'to');
END $$;
CREATE FUNCTION wf.steer(script jsonb, n int, state text, attempt int) RETURNS cano.outcome LANGUAGE plpgsql AS $$
BEGIN
	PERFORM wf.play(wf.find(script, state, n, NULL), state, NULL, attempt, n, NULL);
	RETURN wf.outcome(jsonb_build_object('to', script -> state ->> 'to') || wf.find(script, state, n, NULL));
END $$;

CREATE FUNCTION wf.walk(script jsonb, n int, state text, attempt int, cursor int) RETURNS cano.outcome LANGUAGE plpgsql AS $$
DECLARE
	v_at int := coalesce(cursor, 0);
	v_act jsonb := coalesce(wf.find(script, state, n, NULL) -> v_at, '{}');
BEGIN
	PERFORM wf.play(v_act, state, NULL, attempt, n, to_jsonb(cursor));
	IF v_act ->> 'do' = 'more' THEN
		RETURN cano.more(to_jsonb(v_at + 1), v_act -> 'out', make_interval(secs => (v_act ->> 'delay')::float / 1000));
	END IF;
	RETURN wf.outcome(v_act, jsonb_build_object('n', n + 1));
END $$;

-- Polls: the next of the list is the one after all asks that succeeded.
CREATE FUNCTION wf.asked(script jsonb, state text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT coalesce(script -> $2 -> 'asks' -> (
		SELECT count(*) FROM wf.ledger l WHERE l.run = cano.run_id() AND l.state = $2)::int, '{}') $$;
CREATE FUNCTION wf.ask(script jsonb, n int, state text, attempt int) RETURNS cano.outcome LANGUAGE plpgsql AS $$
DECLARE
	v_act jsonb := wf.asked(script, state);
BEGIN
	PERFORM wf.play(v_act, state, NULL, attempt, n, NULL);
	RETURN wf.outcome(v_act, jsonb_build_object('n', n + 1));
END $$;
CREATE FUNCTION wf.ready(script jsonb, n int, state text, attempt int) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	v_act jsonb := wf.asked(script, state);
BEGIN
	PERFORM wf.play(v_act, state, NULL, attempt, n, NULL);
	RETURN v_act ->> 'do' IS DISTINCT FROM 'pending';
END $$;

-- Batches: an item is its own action.
CREATE FUNCTION wf.load_array(script jsonb, n int, state text, attempt int) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	v_act jsonb := wf.find(script, state, n, NULL);
BEGIN
	PERFORM wf.play(coalesce(v_act -> 'load', '{}'), state, NULL, attempt, n, '"load"');
	RETURN coalesce(v_act -> 'items', '[]');
END $$;
CREATE FUNCTION wf.load(script jsonb, n int, state text, attempt int) RETURNS SETOF jsonb LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY SELECT e.value FROM jsonb_array_elements(wf.load_array(script, n, state, attempt)) WITH ORDINALITY e ORDER BY e.ordinality;
END $$;
CREATE FUNCTION wf.process(item jsonb, n int, state text, attempt int) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM wf.play(item, state, (item ->> 'i')::int, attempt, n, NULL);
	RETURN item -> 'out';
END $$;
CREATE FUNCTION wf.finish(outputs jsonb, script jsonb, n int, state text, attempt int) RETURNS cano.outcome LANGUAGE plpgsql AS $$
DECLARE
	v_act jsonb := coalesce(wf.find(script, state, n, NULL) -> 'finish', '{}');
BEGIN
	PERFORM wf.play(v_act, state, NULL, attempt, n, '"finish"');
	RETURN wf.outcome(v_act, jsonb_build_object('n', n + 1, 'got', outputs));
END $$;

CREATE FUNCTION wf.wait(script jsonb, n int, state text, attempt int) RETURNS interval LANGUAGE plpgsql AS $$
BEGIN
	PERFORM wf.play(wf.find(script, state, n, NULL), state, NULL, attempt, n, NULL);
	RETURN make_interval(secs => coalesce((wf.find(script, state, n, NULL) ->> 'delay')::float, 0) / 1000);
END $$;

-- What limits and breaks: one breaker opens with every failure.
DO $$
BEGIN
	PERFORM cano.create_breaker('calm', failure_threshold => 1000000);
	PERFORM cano.create_breaker('touchy', failure_threshold => 1, reset_timeout => '50 ms');
	PERFORM cano.create_limiter('bucket', 500, '1 s', burst => 20);
	PERFORM cano.create_limiter('window', 100, '200 ms', kind => 'window');
END $$;

-- The runs that were asked for.  A statement whose answer was lost in a crash
-- is said again, and does nothing if it was done.
CREATE TABLE wf.started (portion int, at int, run bigint UNIQUE, sent boolean NOT NULL DEFAULT false, resumed int NOT NULL DEFAULT 0, PRIMARY KEY (portion, at));
CREATE TABLE wf.mercy (run bigint PRIMARY KEY);
GRANT ALL ON wf.started, wf.mercy TO PUBLIC;

-- "keyed": a second one with the same key is the same run, or refused.
CREATE FUNCTION wf.start(portion int, at int, flow text, input jsonb, priority int, max_attempts int, keyed boolean, delayed boolean)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	v_key text := CASE WHEN keyed THEN format('%s/%s', portion, at) END;
	v_run bigint;
BEGIN
	IF EXISTS (SELECT FROM wf.started s WHERE s.portion = $1 AND s.at = $2) THEN
		RETURN;
	END IF;
	v_run := cano.submit(flow, input, key => v_key, priority => priority, max_attempts => max_attempts,
		run_at => CASE WHEN delayed THEN clock_timestamp() + interval '30 ms' END);
	INSERT INTO wf.started VALUES (portion, at, v_run);
	IF keyed THEN
		IF cano.submit(flow, input, key => v_key) <> v_run THEN
			RAISE 'another run with the same key';
		END IF;
		BEGIN
			PERFORM cano.submit(flow, input || '{"n": -1}', key => v_key);
			RAISE 'another input with the same key';
		EXCEPTION WHEN SQLSTATE 'CN409' THEN
			NULL;
		END;
	END IF;
END $$;
CREATE FUNCTION wf.send(run bigint, signals jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	v_signal jsonb;
BEGIN
	FOR v_signal IN SELECT e.value FROM jsonb_array_elements(signals) WITH ORDINALITY e ORDER BY e.ordinality LOOP
		PERFORM cano.signal(run, v_signal ->> 0, v_signal -> 1);
	END LOOP;
END $$;
CREATE FUNCTION wf.send(portion int, at int, signals jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	v_run bigint;
BEGIN
	UPDATE wf.started s SET sent = true WHERE s.portion = $1 AND s.at = $2 AND NOT s.sent RETURNING s.run INTO v_run;
	IF FOUND THEN
		PERFORM wf.send(v_run, signals);
	END IF;
END $$;

-- Go on with a run that has ended; whoever asks again is refused.
CREATE FUNCTION wf.resume(run bigint, state text, patch jsonb, force boolean, signals jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	UPDATE wf.started s SET resumed = 1 WHERE s.run = $1 AND s.resumed = 0;
	IF NOT FOUND THEN
		RETURN;
	ELSIF patch IS NULL THEN
		INSERT INTO wf.mercy VALUES (run);
		IF NOT cano.compensate(run) OR cano.compensate(run) THEN
			RAISE 'run % is rolled back twice, or not at all', run;
		END IF;
	ELSIF NOT cano.resume(run, state, patch, force => force) OR cano.resume(run, state, patch, force => force) THEN
		RAISE 'run % is resumed twice, or not at all', run;
	END IF;
	PERFORM wf.send(run, signals);
END $$;

-- Clients' work: it is there if their answer counts.
CREATE FUNCTION wf.serve() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	v record;
	v_n int;
	v_act jsonb;
BEGIN
	FOR v IN SELECT t.* FROM unnest(ARRAY['q1', 'q''2']) AS q (queue), cano.take(q.queue, 100) AS t LOOP
		v_n := v.data ->> 'n';
		v_act := wf.find(v.data -> 'script', v.state, v_n, NULL);
		IF v.attempt <= (v_act ->> 'slow')::int THEN
			PERFORM cano.extend(v.token, '1 ms');
		ELSIF v.attempt <= (v_act ->> 'fail')::int THEN
			PERFORM cano.fail(v.token, 'no ' || v.attempt, retry => v_act ->> 'code' <> 'CN900');
		ELSIF cano.complete(v.token, jsonb_build_object('n', v_n + 1) || coalesce(v_act -> 'out', '{}'), next => v_act ->> 'to') THEN
			INSERT INTO wf.ledger VALUES (v.run_id, v.state, NULL, v.attempt, v_n, '"client"');
		END IF;
	END LOOP;
END $$;

-- Be a client until all runs beyond that id have ended, but not for long.
CREATE PROCEDURE wf.attend(beyond bigint, INOUT remaining bigint) LANGUAGE plpgsql AS $$
DECLARE
	v_until timestamptz := clock_timestamp() + interval '1 s';
BEGIN
	LOOP
		PERFORM wf.serve();
		COMMIT;
		remaining := (SELECT count(*) FROM cano._run r WHERE r.id > beyond AND r.status = 'active');
		COMMIT;
		EXIT WHEN remaining = 0 OR clock_timestamp() > v_until;
		PERFORM pg_sleep(0.02);	-- lasts: until somebody has come there
	END LOOP;
END $$;

-- What is called around a run: before its first state, and after its ends.
CREATE TABLE wf.around (run bigint, what text);
CREATE INDEX ON wf.around (run);
GRANT ALL ON wf.around TO PUBLIC;
CREATE FUNCTION wf.set_up(run_id bigint) RETURNS int LANGUAGE sql AS $$ INSERT INTO wf.around VALUES (run_id, 'set up') RETURNING 1 $$;
CREATE FUNCTION wf.tear_down(run_id bigint) RETURNS void LANGUAGE sql AS $$ INSERT INTO wf.around VALUES (run_id, 'torn down') $$;
CREATE FUNCTION wf.farewell(run_id bigint) RETURNS void LANGUAGE sql AS $$ INSERT INTO wf.around VALUES (run_id, 'ended') $$;

-- Compensations do what is under "undo", by the number in the output of what
-- they undo; "any" where there is none.
CREATE FUNCTION wf.undo(script jsonb, state text, run_id bigint, attempt int, output jsonb, n int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	v_act jsonb := coalesce(script #> ARRAY[state, 'undo', coalesce(output ->> 'n', 'any')], '{}');
BEGIN
	INSERT INTO wf.undone (run, state, attempt, n, output) VALUES (run_id, state, attempt, n, output);
	IF NOT EXISTS (SELECT FROM wf.mercy m WHERE m.run = $3) THEN
		PERFORM wf.obey(v_act, attempt);
	END IF;
END $$;

-- What became of every run beyond that id, a line each; or only of those that
-- may go on, and of children.
CREATE FUNCTION wf.stories(beyond bigint, only_open boolean) RETURNS SETOF jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('run', r.run_id, 'parent', r.parent_run_id, 'workflow', r.workflow,
		'status', r.status, 'state', r.state, 'error', r.error - 'context', 'data', r.data - 'script' - 'sub', 'result', r.result IS NOT NULL,
		'rollback', r.rollback, 'cleared', r.cleared, 'reason', r.cancel_reason,
		'dead', EXISTS (SELECT FROM cano.dead_letters d WHERE d.run_id = r.run_id),
		'log', (SELECT jsonb_agg(c.kind || ' ' || c.state ORDER BY c.sequence) FROM cano.checkpoints c WHERE c.run_id = r.run_id),
		'gaps', (SELECT min(c.sequence) <> 0 OR max(c.sequence) <> count(*) - 1 FROM cano.checkpoints c WHERE c.run_id = r.run_id),
		'ledger', (SELECT jsonb_agg(jsonb_build_array(l.state, l.branch, l.attempt, l.n, l.note)) FROM wf.ledger l WHERE l.run = r.run_id),
		'undone', (SELECT jsonb_agg(jsonb_build_array(u.state, u.attempt, u.n, u.output) ORDER BY u.at) FROM wf.undone u WHERE u.run = r.run_id),
		'stack', (SELECT jsonb_agg(jsonb_build_array(c.state, c.output) ORDER BY c.sequence) FROM cano.compensations c WHERE c.run_id = r.run_id),
		'completions', (SELECT jsonb_agg(jsonb_build_array(c.state, c.output) ORDER BY c.sequence) FROM cano._checkpoint c
			WHERE c.run = r.run_id AND c.kind = 'c' AND c.mark IS DISTINCT FROM 's'),
		'around', (SELECT jsonb_object_agg(a.what, a.n) FROM (SELECT w.what, count(*) AS n FROM wf.around w WHERE w.run = r.run_id GROUP BY 1) AS a),
		'attempts', (SELECT jsonb_agg(jsonb_build_array(CASE WHEN a.task ~ '^wf\.undo' THEN 'undo ' ELSE '' END || a.state, a.branch)) FROM cano.attempts a WHERE a.run_id = r.run_id),
		'branches', (SELECT jsonb_agg(jsonb_build_array(b.state, b.branch, b.status)) FROM cano.branches b WHERE b.run_id = r.run_id),
		'items', (SELECT jsonb_agg(jsonb_build_array(i.state, i.item, i.status)) FROM cano.items i WHERE i.run_id = r.run_id))
	FROM cano.runs r WHERE r.run_id > beyond
		AND (NOT only_open OR r.parent_run_id IS NOT NULL OR (r.status <> 'completed' AND r.rollback <> 'clean'))
	ORDER BY r.run_id $$;

-- Rows of private tables that should not be there: of work that is under way,
-- when there is none; and beyond that id, of runs and splits that do not exist.
CREATE FUNCTION wf.orphans(beyond bigint) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	v_table text;
	v_count bigint;
BEGIN
	FOREACH v_table IN ARRAY ARRAY['_job', '_timer', '_work', '_drain', '_stop', '_key', '_inside', '_resource', '_crash'] LOOP
		EXECUTE format('SELECT count(*) FROM cano.%I', v_table) INTO v_count;
		RETURN QUERY SELECT format('%s rows of %s', v_count, v_table) WHERE v_count > 0;
	END LOOP;
	FOR v_table IN SELECT a.attrelid::regclass FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
		WHERE c.relnamespace = 'cano'::regnamespace AND c.relkind = 'r' AND a.attname = 'run' LOOP
		EXECUTE format('SELECT count(*) FROM %s t WHERE t.run > $1 AND NOT EXISTS (SELECT FROM cano._run r WHERE r.id = t.run)', v_table) INTO v_count USING beyond;
		RETURN QUERY SELECT format('%s rows of %s of no run', v_count, v_table) WHERE v_count > 0;
	END LOOP;
	RETURN QUERY SELECT format('%s of run %s', v.what, v.run) FROM (
		SELECT 'a branch of no split', b.fan FROM cano._branch b WHERE b.fan > beyond AND NOT EXISTS (SELECT FROM cano._fan f WHERE f.id = b.fan)
		UNION ALL SELECT 'an open split', f.run FROM cano._fan f WHERE f.run > beyond AND f.closed IS NULL
		UNION ALL SELECT 'a child', r.id FROM cano._run r WHERE r.id > beyond AND NOT EXISTS (SELECT FROM cano._run p WHERE p.id = r.parent) AND r.parent IS NOT NULL
		UNION ALL SELECT 'nobody started it', r.id FROM cano._run r WHERE r.id > beyond AND r.parent IS NULL AND NOT EXISTS (SELECT FROM wf.started s WHERE s.run = r.id)
		UNION ALL SELECT 'lost', s.run FROM wf.started s WHERE s.run > beyond AND NOT EXISTS (SELECT FROM cano._run r WHERE r.id = s.run)
		UNION ALL SELECT 'effects of no run', l.run FROM wf.ledger l WHERE l.run > beyond AND NOT EXISTS (SELECT FROM cano._run r WHERE r.id = l.run)
		UNION ALL SELECT 'an answer', s.run FROM cano._signal s WHERE s.name = ''
		UNION ALL SELECT 'under way', a.run_id FROM cano.activity a) AS v (what, run)
	LIMIT 20;
END $$;
