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
'take work of external states: nobody else gets it until the lease is over. Of runs that the caller may see; no row
where there is none.
Returns the token that cano.complete, cano.fail and cano.extend take, the run with its state, data and headers,
which attempt this is, a text that is the same for all attempts of this visit, and until when the lease lasts
queue: which work, as the states name it
max: how much at most, up to 10,000
lease: how long it is the caller''s; what is not answered by then has failed';

CREATE FUNCTION cano.complete(token text, output jsonb DEFAULT NULL, next text DEFAULT NULL)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_complete';
COMMENT ON FUNCTION cano.complete IS
'say that work is done, when this transaction commits. False if the token is not good any more: then nothing has
happened, and what was done for it should be rolled back.
Raises CN002 for a next state that is not allowed
token: from cano.take
output: what it came to, treated like what a task returns
next: the state that follows; null: that of the definition';

CREATE FUNCTION cano.fail(token text, error text, retry boolean DEFAULT true)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_fail';
COMMENT ON FUNCTION cano.fail IS
'say that work failed, when this transaction commits. False if the token is not good any more
token: from cano.take
error: the message
retry: false: it is not offered again, whatever the state''s retry policy says';

CREATE FUNCTION cano.extend(token text, lease interval)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_extend';
COMMENT ON FUNCTION cano.extend IS
'let a lease end later. False if the token is not good any more: somebody else may have the work by now
token: from cano.take
lease: how much later than now';
