/*
 * Work for clients outside the database.
 */
CREATE FUNCTION cano.take(
	queue text,
	max integer DEFAULT 1,
	lease interval DEFAULT '1 min',
	OUT token text, OUT run_id bigint, OUT state text, OUT attempt integer,
	OUT data jsonb, OUT headers jsonb, OUT idempotency_key text, OUT lease_until timestamptz)
RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1
AS 'MODULE_PATHNAME', 'cano_take';
COMMENT ON FUNCTION cano.take IS
	'take work of external states with that queue: nobody else gets it until the lease is over. No row where there is none';

CREATE FUNCTION cano.complete(token text, output jsonb DEFAULT NULL, next text DEFAULT NULL)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_complete';
COMMENT ON FUNCTION cano.complete IS
	'the work is done, when this transaction commits. False if the token is not good any more: then nothing has happened, and what was done for it should be rolled back';

CREATE FUNCTION cano.fail(token text, error text, retry boolean DEFAULT true)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_fail';
COMMENT ON FUNCTION cano.fail IS
	'the work failed; it is offered again by the state''s retry policy unless retry is false. False if the token is not good any more';

CREATE FUNCTION cano.extend(token text, lease interval)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_extend';
COMMENT ON FUNCTION cano.extend IS
	'the lease ends so much later than now. False if the token is not good any more: somebody else may have the work by now';
