-- Outcomes: what a task calls in its RETURN.

CREATE FUNCTION cano.next(state text DEFAULT NULL, output jsonb DEFAULT NULL, delay interval DEFAULT NULL)
	RETURNS cano.outcome
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN ROW('next', state, output, NULL, delay, NULL, NULL)::cano.outcome;
COMMENT ON FUNCTION cano.next(text, jsonb, interval) IS
'outcome: go to a state
state: which; null: the next one of the definition
output: what the task returns besides; null: nothing
delay: how long to wait before that state is entered; null: not at all';

CREATE FUNCTION cano.more(cursor jsonb, output jsonb DEFAULT NULL, delay interval DEFAULT NULL)
	RETURNS cano.outcome
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN ROW('more', NULL, output, cursor, delay, NULL, NULL)::cano.outcome;
COMMENT ON FUNCTION cano.more(jsonb, jsonb, interval) IS
'outcome of a stepped state: save a cursor and call the function again with it
cursor: where it is to go on
output: what it returns besides; null: nothing
delay: how long to wait before the next call; null: not at all';

CREATE FUNCTION cano.pending(delay interval DEFAULT '1 s')
	RETURNS cano.outcome
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN ROW('pending', NULL, NULL, NULL, delay, NULL, NULL)::cano.outcome;
COMMENT ON FUNCTION cano.pending(interval) IS 'outcome of a poll: not ready, ask again after the delay';

CREATE FUNCTION cano.failed(reason text, detail jsonb DEFAULT NULL)
	RETURNS cano.outcome
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN ROW('failed', NULL, NULL, NULL, NULL, reason, detail)::cano.outcome;
COMMENT ON FUNCTION cano.failed(text, jsonb) IS
'outcome: the run fails, with category task_execution; nothing is retried. What the task did is kept, and undone only
by compensations
reason: the message of the error
detail: stored as the error''s detail';

CREATE FUNCTION cano.failed(reason text, detail text)
	RETURNS cano.outcome
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN ROW('failed', NULL, NULL, NULL, NULL, reason, pg_catalog.to_jsonb(detail))::cano.outcome;
COMMENT ON FUNCTION cano.failed(text, text) IS
'outcome: the same with a detail that is text
reason: the message of the error
detail: stored as the error''s detail';

CREATE FUNCTION cano.cancelled(reason text)
	RETURNS cano.outcome
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN ROW('cancelled', NULL, NULL, NULL, NULL, reason, NULL)::cano.outcome;
COMMENT ON FUNCTION cano.cancelled(text) IS 'outcome: the run is cancelled for this reason';
