-- Outcomes: what a task calls in its RETURN.

CREATE FUNCTION cano.next(state text DEFAULT NULL, output jsonb DEFAULT NULL, delay interval DEFAULT NULL)
	RETURNS cano.outcome
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN ROW('next', state, output, NULL, delay, NULL, NULL)::cano.outcome;
COMMENT ON FUNCTION cano.next(text, jsonb, interval) IS 'outcome: go to that state, or to the default next one, now or after a delay';

CREATE FUNCTION cano.more(cursor jsonb, output jsonb DEFAULT NULL, delay interval DEFAULT NULL)
	RETURNS cano.outcome
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN ROW('more', NULL, output, cursor, delay, NULL, NULL)::cano.outcome;
COMMENT ON FUNCTION cano.more(jsonb, jsonb, interval) IS 'outcome of a stepped state: save the cursor and call again';

CREATE FUNCTION cano.pending(delay interval DEFAULT '1 s')
	RETURNS cano.outcome
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN ROW('pending', NULL, NULL, NULL, delay, NULL, NULL)::cano.outcome;
COMMENT ON FUNCTION cano.pending(interval) IS 'outcome of a poll: not ready, ask again after the delay';

CREATE FUNCTION cano.failed(reason text, detail jsonb DEFAULT NULL)
	RETURNS cano.outcome
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN ROW('failed', NULL, NULL, NULL, NULL, reason, detail)::cano.outcome;
COMMENT ON FUNCTION cano.failed(text, jsonb) IS 'outcome: the run fails for this reason; nothing is retried';

CREATE FUNCTION cano.cancelled(reason text)
	RETURNS cano.outcome
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN ROW('cancelled', NULL, NULL, NULL, NULL, reason, NULL)::cano.outcome;
COMMENT ON FUNCTION cano.cancelled(text) IS 'outcome: the run is cancelled for this reason';
