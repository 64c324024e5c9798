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
'have pg_cron submit runs of a workflow as the current role; or change the schedule of that name, which its owner may
do.
Raises 55000 where pg_cron is not in this database, 42501 without USAGE on schema cron
name: its name, of 1 to 1,000 characters
cron: when, as pg_cron has it: minute, hour, day, month, day of the week; by its clock, which is GMT by default
workflow: its name
input: of each run, a JSON object
overlap: while an earlier run of it has not ended: skip submits none, queue one that begins after it, allow any
number';

CREATE FUNCTION cano.unschedule(name text)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_unschedule';
COMMENT ON FUNCTION cano.unschedule IS
'remove a schedule, which its owner may do. Its runs go on. False where there is none of that name';

CREATE FUNCTION cano._fire(schedule bigint)
RETURNS bigint
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_fire';
COMMENT ON FUNCTION cano._fire IS 'what a job of pg_cron calls: submit a run of a schedule of one''s own, unless one of it is in the way';

CREATE FUNCTION cano._idle(schedule bigint, owner oid, origin bigint)
RETURNS text
LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'cano_cron_idle';
COMMENT ON FUNCTION cano._idle IS 'what keeps a schedule from firing: owner, copy, cron or job; null: nothing, pg_cron has an active job for it';
