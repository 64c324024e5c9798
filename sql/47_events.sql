/*
 * Observers: functions that are told of events.
 */
CREATE FUNCTION cano.observe(
	name text,
	run text,
	events text[] DEFAULT NULL,
	workflow text DEFAULT NULL)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_observe';
COMMENT ON FUNCTION cano.observe IS
	'have a function called with each event (or these) of your runs (or those of one workflow), in the same transaction; or change the observer of that name. The function takes one jsonb, or parameters named like the columns of cano.events';

CREATE FUNCTION cano.unobserve(name text)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_unobserve';
COMMENT ON FUNCTION cano.unobserve IS
	'remove an observer; false if there is none of that name';
