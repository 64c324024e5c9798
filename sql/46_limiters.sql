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
'create a rate limiter, or change the one of that name, which its owner may do; it keeps what it has counted. So many
attempts of all tasks and branches that name it begin in an interval; the others wait, and hold no worker
name: its name, of 1 to 1,000 characters
rate: how many attempts in an interval, at least 1
per: that interval
burst: how many attempts more than rate may begin at once, when a bucket was not used for long
kind: bucket lets attempts begin as its tokens come, evenly, rate of them an interval; window lets rate attempts
begin from the first one until an interval later';

CREATE FUNCTION cano.drop_limiter(name text)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_drop_limiter';
COMMENT ON FUNCTION cano.drop_limiter IS
'remove a rate limiter, which its owner may do. Tasks that still name it fail. Raises CN404 where there is none';

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
COMMENT ON VIEW cano.limiters IS 'the rate limiters, which all share. What they count is in memory: after a restart they are full';
COMMENT ON COLUMN cano.limiters.name IS 'what tasks and branches call it';
COMMENT ON COLUMN cano.limiters.kind IS 'bucket or window';
COMMENT ON COLUMN cano.limiters.rate IS 'how many attempts may begin in an interval';
COMMENT ON COLUMN cano.limiters.per IS 'that interval';
COMMENT ON COLUMN cano.limiters.burst IS 'how many more a bucket holds when it is full';
COMMENT ON COLUMN cano.limiters.available IS 'how many attempts it would let begin now';
