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
	'create a circuit breaker, or change the one of that name: after so many failures in a row tasks that name it fail at once, until after a time a few calls may try again';

CREATE FUNCTION cano.drop_breaker(name text)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_drop_breaker';
COMMENT ON FUNCTION cano.drop_breaker IS
	'remove a circuit breaker; tasks that still name it fail';

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
COMMENT ON VIEW cano.breakers IS 'the circuit breakers, which all share: an open one admits the next call at open_until';
