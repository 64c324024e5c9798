/*
 * What CREATE OR REPLACE cannot do to an installed 0.1.0: everything about
 * tables, sequences and types; DROP of functions and views that went, or
 * whose parameters or columns changed otherwise than by being added to.
 */

ALTER TABLE cano._definition ADD COLUMN keep interval;
UPDATE cano._definition SET keep = coalesce((document -> 'options' ->> 'keep')::interval, '30 days');
CREATE INDEX ON cano._run (id) WHERE dead;
CREATE INDEX ON cano._job (run) WHERE duty OPERATOR(pg_catalog.=) 'a';
CREATE INDEX ON cano._timer (awaits, id) WHERE waiting OPERATOR(pg_catalog.=) 'u';
CREATE INDEX ON cano._timer (run) WHERE duty OPERATOR(pg_catalog.=) 'a';
ALTER TABLE cano._work ADD COLUMN parked boolean NOT NULL DEFAULT false;
DROP INDEX cano._work_queue_owner_priority_id_idx;
CREATE INDEX ON cano._work (queue, owner, priority, id) WHERE token IS NULL AND NOT parked;

-- Rows had the number of the server; now it is that of the database in it.
DO $$
DECLARE
	v_server bigint := (SELECT s.system_identifier FROM pg_catalog.pg_control_system() s);
	v_here bigint := v_server # ((SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())::bigint << 32);
BEGIN
	UPDATE cano._workflow SET origin = v_here WHERE origin = v_server;
	UPDATE cano._breaker SET origin = v_here WHERE origin = v_server;
	UPDATE cano._limiter SET origin = v_here WHERE origin = v_server;
	UPDATE cano._observer SET origin = v_here WHERE origin = v_server;
	UPDATE cano._run SET origin = v_here WHERE origin = v_server;
END
$$;

-- A schedule: what a job of pg_cron lets begin, when that says so.
CREATE SEQUENCE cano._schedule_id AS bigint;
CREATE TABLE cano._schedule (
	name text COLLATE "C" PRIMARY KEY,
	id bigint NOT NULL UNIQUE,			-- the job calls cano._fire() with it
	owner oid NOT NULL,
	owner_name name NOT NULL,
	origin bigint NOT NULL,				-- where the owner has that number
	workflow text COLLATE "C" NOT NULL,
	cron text NOT NULL,
	overlap "char" NOT NULL,			-- (s)kip, (q)ueue, (a)llow
	input jsonb NOT NULL,
	last_run bigint,
	last_fired_at timestamptz			-- also when nothing was submitted
);

-- Runs of schedules that have not ended; the lowest may begin.
CREATE TABLE cano._turn (
	run bigint PRIMARY KEY,
	schedule bigint NOT NULL
);
CREATE INDEX ON cano._turn (schedule, run);
