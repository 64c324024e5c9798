/*
 * Breakers: named, shared by every task that names them.
 */
CREATE FUNCTION cano.create_breaker(
	name text,
	failure_threshold integer DEFAULT 5,
	reset_timeout interval DEFAULT '30 s',
	half_open_max_calls integer DEFAULT 1)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_create_breaker';
COMMENT ON FUNCTION cano.create_breaker IS
'create a circuit breaker, or change the one of that name, which its owner may do. After so many failures in a row
the attempts of all tasks and branches that name it fail at once, with category circuit_open, until some are let
through to try again
name: its name, of 1 to 1,000 characters
failure_threshold: how many failures in a row open it, at least 1
reset_timeout: how long it stays open before it lets calls through to try
half_open_max_calls: how many may try at once then, at least 1';

CREATE FUNCTION cano.drop_breaker(name text)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_drop_breaker';
COMMENT ON FUNCTION cano.drop_breaker IS
'remove a circuit breaker, which its owner may do. Tasks that still name it fail. Raises CN404 where there is none';

CREATE FUNCTION cano._circuit(breaker bigint, OUT state text, OUT failures integer, OUT open_until timestamptz)
LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'cano_breaker_circuit';
COMMENT ON FUNCTION cano._circuit IS 'what a breaker does now, from shared memory';

CREATE VIEW cano.breakers WITH (security_barrier) AS
SELECT b.name,
	c.state,
	c.failures,
	b.failure_threshold,
	b.reset_timeout,
	b.half_open_max_calls,
	c.open_until
FROM cano._breaker b,
	LATERAL cano._circuit(b.id) c;
COMMENT ON VIEW cano.breakers IS 'the circuit breakers, which all share. What they count is in memory: after a restart they are closed';
COMMENT ON COLUMN cano.breakers.name IS 'what tasks and branches call it';
COMMENT ON COLUMN cano.breakers.state IS 'closed, open (attempts fail at once) or half_open (some are let through to try)';
COMMENT ON COLUMN cano.breakers.failures IS 'how many in a row';
COMMENT ON COLUMN cano.breakers.failure_threshold IS 'how many in a row open it';
COMMENT ON COLUMN cano.breakers.reset_timeout IS 'how long it stays open';
COMMENT ON COLUMN cano.breakers.half_open_max_calls IS 'how many attempts may try at once when it is half open';
COMMENT ON COLUMN cano.breakers.open_until IS 'when an open one lets the next attempt through; null if it is not open';
