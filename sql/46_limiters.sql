/*
 * Limiters: named, shared by every task that names them.
 */
CREATE FUNCTION cano.create_limiter(
	name text,
	rate integer,
	per interval,
	burst integer DEFAULT 0,
	kind text DEFAULT 'bucket')
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_create_limiter';
COMMENT ON FUNCTION cano.create_limiter IS
	'create a rate limiter, or change the one of that name, which keeps what it has counted (drop it to begin anew): so many attempts in an interval begin, evenly after a burst or in windows; others wait';

CREATE FUNCTION cano.drop_limiter(name text)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_drop_limiter';
COMMENT ON FUNCTION cano.drop_limiter IS
	'remove a rate limiter; tasks that still name it fail';

CREATE FUNCTION cano._available(limiter bigint, rate integer, burst integer, per interval, kind "char")
RETURNS integer
LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'cano_limiter_available';
COMMENT ON FUNCTION cano._available IS 'what a limiter has left now, from shared memory';

CREATE VIEW cano.limiters WITH (security_barrier) AS
SELECT l.name,
	CASE l.kind WHEN 'b' THEN 'bucket' ELSE 'window' END AS kind,
	l.rate,
	l.per,
	l.burst,
	cano._available(l.id, l.rate, l.burst, l.per, l.kind) AS available
FROM cano._limiter l;
COMMENT ON VIEW cano.limiters IS 'the rate limiters, which all share: how many attempts each would let begin now';
