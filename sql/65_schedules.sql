/*
 * Schedules: runs that pg_cron lets begin.
 */
CREATE FUNCTION cano.schedule(
	name text,
	cron text,
	workflow text,
	input jsonb DEFAULT '{}',
	overlap text DEFAULT 'skip')
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_schedule';
COMMENT ON FUNCTION cano.schedule IS
	'submit a run of a workflow, as the current role, whenever pg_cron says that it is time; or change the schedule of that name. While a run of it has not ended: skip submits none, queue one more, which begins after it, allow any number';

CREATE FUNCTION cano.unschedule(name text)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_unschedule';
COMMENT ON FUNCTION cano.unschedule IS
	'remove a schedule; false if there is none of that name. Its runs go on';

CREATE FUNCTION cano._fire(schedule bigint)
RETURNS bigint
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_fire';
COMMENT ON FUNCTION cano._fire IS 'what a job of pg_cron calls: submit a run of a schedule of one''s own, unless one of it is in the way';

CREATE FUNCTION cano._fires(schedule bigint, owner oid, origin bigint)
RETURNS boolean
LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'cano_cron_fires';
COMMENT ON FUNCTION cano._fires IS 'has pg_cron an active job for that schedule?';
