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
-- A split has one for each branch, a stepped state one for each step, a batch
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

CREATE FUNCTION wf.wait(script jsonb, n int, state text) RETURNS interval LANGUAGE plpgsql AS $$
BEGIN
	PERFORM wf.play(wf.find(script, state, n, NULL), state, NULL, 1, n, NULL);
	RETURN make_interval(secs => coalesce((wf.find(script, state, n, NULL) ->> 'delay')::float, 0) / 1000);
END $$;

-- A run with the signals that it is to receive.
CREATE FUNCTION wf.start(flow text, input jsonb, priority int, max_attempts int, signals jsonb) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
	v_run bigint := cano.submit(flow, input, priority => priority, max_attempts => max_attempts);
BEGIN
	PERFORM wf.send(v_run, signals);
	RETURN v_run;
END $$;
CREATE FUNCTION wf.send(run bigint, signals jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	v_signal jsonb;
BEGIN
	FOR v_signal IN SELECT e.value FROM jsonb_array_elements(signals) WITH ORDINALITY e ORDER BY e.ordinality LOOP
		PERFORM cano.signal(run, v_signal ->> 0, v_signal -> 1);
	END LOOP;
END $$;

CREATE FUNCTION wf.cancel_one() RETURNS boolean LANGUAGE sql AS $$
	SELECT cano.cancel((SELECT r.run_id FROM cano.runs r WHERE r.ended_at IS NULL AND r.parent_run_id IS NULL ORDER BY random() LIMIT 1),
		'from outside') $$;

-- Compensations do what is under "undo", by the number in the output of what
-- they undo; "any" where there is none.
CREATE FUNCTION wf.undo(script jsonb, state text, run_id bigint, attempt int, output jsonb, n int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	v_act jsonb := coalesce(script #> ARRAY[state, 'undo', coalesce(output ->> 'n', 'any')], '{}');
BEGIN
	INSERT INTO wf.undone (run, state, attempt, n, output) VALUES (run_id, state, attempt, n, output);
	PERFORM wf.obey(v_act, attempt);
END $$;

-- What became of every run beyond that id, a line each.
CREATE FUNCTION wf.stories(beyond bigint) RETURNS SETOF jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('run', r.run_id, 'parent', r.parent_run_id, 'workflow', r.workflow,
		'status', r.status, 'state', r.state, 'error', r.error - 'context', 'data', r.data, 'result', r.result IS NOT NULL,
		'rollback', r.rollback, 'cleared', r.cleared, 'reason', r.cancel_reason,
		'dead', EXISTS (SELECT FROM cano.dead_letters d WHERE d.run_id = r.run_id),
		'log', (SELECT jsonb_agg(c.kind || ' ' || c.state ORDER BY c.sequence) FROM cano.checkpoints c WHERE c.run_id = r.run_id),
		'gaps', (SELECT min(c.sequence) <> 0 OR max(c.sequence) <> count(*) - 1 FROM cano.checkpoints c WHERE c.run_id = r.run_id),
		'ledger', (SELECT jsonb_agg(jsonb_build_array(l.state, l.branch, l.attempt, l.n, l.note)) FROM wf.ledger l WHERE l.run = r.run_id),
		'undone', (SELECT jsonb_agg(jsonb_build_array(u.state, u.attempt, u.n, u.output) ORDER BY u.at) FROM wf.undone u WHERE u.run = r.run_id),
		'stack', (SELECT jsonb_agg(jsonb_build_array(c.state, c.output) ORDER BY c.sequence) FROM cano.compensations c WHERE c.run_id = r.run_id),
		'completions', (SELECT jsonb_agg(jsonb_build_array(c.state, c.output) ORDER BY c.sequence) FROM cano.checkpoints c
			WHERE c.run_id = r.run_id AND c.kind = 'compensation_completion'),
		'attempts', (SELECT jsonb_agg(jsonb_build_array(CASE WHEN a.task ~ '^wf\.undo' THEN 'undo ' ELSE '' END || a.state, a.branch)) FROM cano.attempts a WHERE a.run_id = r.run_id),
		'branches', (SELECT jsonb_agg(jsonb_build_array(b.state, b.branch, b.status)) FROM cano.branches b WHERE b.run_id = r.run_id),
		'items', (SELECT jsonb_agg(jsonb_build_array(i.state, i.item, i.status)) FROM cano.items i WHERE i.run_id = r.run_id))
	FROM cano.runs r WHERE r.run_id > beyond ORDER BY r.run_id $$;
