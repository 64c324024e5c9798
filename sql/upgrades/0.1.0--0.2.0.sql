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
