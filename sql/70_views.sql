/*
 * Reading.  The views run with the owner's rights and show each reader what
 * belongs to roles he is a member of; cano._can_see() is asked before any
 * condition of his own could see a row (security_barrier).
 */
CREATE FUNCTION cano._can_see(owner oid, owner_name name, origin bigint) RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'cano_can_see';
COMMENT ON FUNCTION cano._can_see IS 'may the current user see what belongs to that role, which had that name on that server?';

CREATE FUNCTION cano._slots(
	OUT pid integer, OUT database oid, OUT role oid, OUT kind text, OUT status text,
	OUT run_id bigint, OUT workflow text, OUT state text, OUT task text, OUT attempt integer,
	OUT since timestamptz, OUT started_at timestamptz,
	OUT done bigint, OUT total bigint, OUT note text, OUT branch integer, OUT after_end boolean)
RETURNS SETOF record
LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'cano_slots';
COMMENT ON FUNCTION cano._slots IS 'the processes that run tasks, from shared memory';

CREATE VIEW cano.workflows WITH (security_barrier) AS
SELECT d.workflow,
	d.version,
	d.version = w.version AS is_current,
	w.paused,
	w.owner_name AS owner,
	d.document AS definition,
	d.created_at
FROM cano._definition d
JOIN cano._workflow w ON w.workflow = d.workflow;
COMMENT ON VIEW cano.workflows IS 'every version of every workflow';

CREATE VIEW cano.states WITH (security_barrier) AS
SELECT d.workflow,
	d.version,
	s.state,
	s.part ->> 'kind' AS kind,
	s.part ->> 'run' AS run,
	s.part ->> 'next' AS next,
	CASE WHEN s.part ? 'targets' THEN
		ARRAY(SELECT t.target FROM pg_catalog.jsonb_array_elements_text(s.part -> 'targets')
			WITH ORDINALITY t (target, ordinal) ORDER BY t.ordinal)
	END AS targets,
	s.part AS definition
FROM cano._definition d,
	pg_catalog.jsonb_each(d.document -> 'states') s (state, part);
COMMENT ON VIEW cano.states IS 'the states of every version of every workflow';

CREATE VIEW cano.activity WITH (security_barrier) AS
SELECT s.pid,
	pg_catalog.pg_get_userbyid(s.role) AS role,
	s.run_id,
	s.workflow,
	s.state,
	s.task,
	s.attempt,
	s.since,
	CASE WHEN s.done IS NOT NULL THEN
		pg_catalog.jsonb_build_object('done', s.done, 'total', s.total, 'note', s.note)
	END AS progress,
	s.branch,
	s.after_end
FROM cano._slots() s
WHERE s.run_id IS NOT NULL
	AND s.database = (SELECT d.oid FROM pg_catalog.pg_database d
		WHERE d.datname = pg_catalog.current_database());
COMMENT ON VIEW cano.activity IS 'the tasks that are running in this database';

CREATE VIEW cano.workers WITH (security_barrier) AS
SELECT s.pid,
	d.datname AS database,
	pg_catalog.pg_get_userbyid(s.role) AS role,
	s.status,
	s.run_id,
	s.started_at
FROM cano._slots() s
LEFT JOIN pg_catalog.pg_database d ON d.oid = s.database
WHERE s.kind = 'worker';
COMMENT ON VIEW cano.workers IS 'the background workers of this server';

/*
 * A run and where it is: its newest checkpoint leads to its job or timer.
 */
CREATE VIEW cano._runs WITH (security_barrier) AS
SELECT r.id AS run_id,
	d.workflow,
	d.version,
	r.key,
	CASE
		WHEN r.status <> 'active' THEN r.status
		WHEN n.run IS NOT NULL THEN 'compensating'
		WHEN EXISTS (SELECT FROM cano._stop s WHERE s.run = r.id) THEN 'cancelling'
		WHEN a.run_id IS NOT NULL THEN 'running'
		WHEN t.waiting NOT IN ('o', 'q', 'u') THEN 'waiting'
		ELSE 'queued'
	END AS status,
	coalesce(a.state, j.state, t.state, r.state) AS state,
	r.owner_name AS role,
	r.priority,
	r.submitted_at,
	coalesce(j.started_at, t.started_at, a.since, r.started_at) AS started_at,
	r.ended_at,
	CASE WHEN n.run IS NULL THEN CASE t.waiting WHEN 'r' THEN 'retry' WHEN 't' THEN 'timer' WHEN 's' THEN 'schedule' WHEN 'p' THEN 'poll'
		WHEN 'g' THEN 'signal' WHEN 'b' THEN 'branches' WHEN 'i' THEN 'items' WHEN 'c' THEN 'child' WHEN 'x' THEN 'external'
	END END AS waiting_for,
	CASE WHEN t.due_at < 'infinity' THEN t.due_at END AS next_at,
	coalesce(r.rollback, 'none') AS rollback,
	r.cancel_reason,
	r.parent AS parent_run_id,
	r.input,
	coalesce(j.data, t.data, r.data, r.input) AS data,
	CASE WHEN r.status = 'completed' THEN r.data END AS result,
	coalesce(r.error, n.errors -> 0) AS error,
	r.headers,
	r.tags,
	r.cleared,
	r.dead,
	k.sequence,
	coalesce(a.attempt, j.attempt, t.attempt) AS attempt,
	coalesce(a.progress, f.progress) AS progress,
	r.max_attempts
FROM cano._run r
JOIN cano._definition d ON d.id = r.definition
LEFT JOIN LATERAL (
	SELECT c.sequence, c.job
	FROM cano._checkpoint c WHERE c.run = r.id
	ORDER BY c.sequence DESC LIMIT 1) k ON true
LEFT JOIN cano._job j
	ON r.status = 'active'
	AND j.owner = r.owner AND j.priority = r.priority AND j.id = coalesce(k.job, r.id)
LEFT JOIN cano._timer t
	ON r.status = 'active' AND t.id = coalesce(k.job, r.id)
LEFT JOIN cano._drain n
	ON r.status = 'active' AND n.run = r.id
LEFT JOIN LATERAL (
	SELECT pg_catalog.jsonb_build_object('done', q.succeeded + q.failed, 'total', q.total, 'note', NULL) AS progress
	FROM cano._fan q WHERE q.id = coalesce(j.fan, t.fan)) f ON true
LEFT JOIN cano.activity a
	ON r.status = 'active' AND a.run_id = r.id AND a.branch IS NULL AND NOT a.after_end
WHERE cano._can_see(r.owner, r.owner_name, r.origin);
COMMENT ON VIEW cano._runs IS 'every run and where it is';

CREATE VIEW cano.runs WITH (security_barrier) AS
SELECT r.run_id, r.workflow, r.version, r.key, r.status, r.state, r.role, r.priority,
	r.submitted_at, r.started_at, r.ended_at, r.waiting_for, r.next_at, r.rollback, r.cancel_reason,
	r.parent_run_id, r.input, r.data, r.result, r.error, r.headers, r.tags, r.cleared
FROM cano._runs r;
COMMENT ON VIEW cano.runs IS 'every run';

CREATE VIEW cano.checkpoints WITH (security_barrier) AS
SELECT c.run AS run_id,
	c.sequence,
	CASE c.kind WHEN 'e' THEN 'state_entry' WHEN 'c' THEN 'compensation_completion' WHEN 's' THEN 'step_cursor' END AS kind,
	c.state,
	c.task,
	c.output,
	c.version,
	c.recorded_at,
	r.cleared,
	CASE c.mark WHEN 'u' THEN 'undone' WHEN 'f' THEN 'not undone' WHEN 's' THEN 'superseded' WHEN 'r' THEN 'resumed' END AS mark
FROM cano._checkpoint c
JOIN cano._run r ON r.id = c.run
WHERE cano._can_see(r.owner, r.owner_name, r.origin);
COMMENT ON VIEW cano.checkpoints IS 'the log of every run';

CREATE VIEW cano.compensations WITH (security_barrier) AS
SELECT c.run AS run_id,
	c.sequence,
	c.state,
	c.task,
	c.output
FROM cano._checkpoint c
JOIN cano._run r ON r.id = c.run
WHERE c.kind = 'c' AND (c.mark IS NULL OR c.mark = 'f') AND NOT r.cleared
	AND cano._can_see(r.owner, r.owner_name, r.origin);
COMMENT ON VIEW cano.compensations IS 'what every run has done that it would undo, or is to undo yet; the highest sequence goes first';

/*
 * The branches or items of the latest visit of each state.  Of those that
 * have not ended, their jobs and the processes know more.
 */
CREATE VIEW cano._parts WITH (security_barrier) AS
SELECT f.run AS run_id,
	f.state,
	b.branch,
	d.document -> 'states' -> f.state AS part,
	CASE
		WHEN b.status = 'c' THEN 'completed'
		WHEN b.status = 'f' THEN 'failed'
		WHEN f.closed IS NOT NULL THEN 'cancelled'
		WHEN a.run_id IS NOT NULL THEN 'running'
		WHEN t.waiting NOT IN ('o', 'u') THEN 'waiting'
		ELSE 'queued'
	END AS status,
	coalesce(a.attempt, t.attempt, b.attempt) AS attempt,
	b.input,
	b.output,
	b.error
FROM cano._fan f
JOIN cano._run r ON r.id = f.run
JOIN cano._definition d ON d.id = r.definition
JOIN cano._branch b ON b.fan = f.id
LEFT JOIN cano._timer t ON b.status = 'b' AND f.closed IS NULL AND t.id = b.job
LEFT JOIN cano.activity a
	ON b.status IN ('q', 'b') AND f.closed IS NULL AND a.run_id = f.run AND a.state = f.state AND a.branch = b.branch
WHERE f.id = (SELECT max(l.id) FROM cano._fan l WHERE l.run = f.run AND l.state = f.state)
	AND cano._can_see(r.owner, r.owner_name, r.origin);
COMMENT ON VIEW cano._parts IS 'branches and items';

CREATE VIEW cano.branches WITH (security_barrier) AS
SELECT p.run_id, p.state, p.branch,
	CASE pg_catalog.jsonb_typeof(p.part -> 'tasks' -> p.branch)
		WHEN 'string' THEN p.part -> 'tasks' ->> p.branch
		ELSE p.part -> 'tasks' -> p.branch ->> 'run'
	END AS task,
	p.status, p.attempt, p.output, p.error
FROM cano._parts p
WHERE p.part ->> 'kind' = 'split';
COMMENT ON VIEW cano.branches IS 'the branches of every split, at its latest visit';

CREATE VIEW cano.items WITH (security_barrier) AS
SELECT p.run_id, p.state, p.branch AS item, p.status, p.attempt, p.input, p.output, p.error
FROM cano._parts p
WHERE p.part ->> 'kind' = 'batch';
COMMENT ON VIEW cano.items IS 'the items of every batch, at its latest visit';

CREATE VIEW cano.attempts WITH (security_barrier) AS
SELECT a.run AS run_id,
	a.state,
	a.task,
	a.branch,
	a.attempt,
	a.sqlstate,
	a.message,
	a.detail,
	a.hint,
	a.context,
	a.started_at,
	a.ended_at
FROM cano._attempt a
JOIN cano._run r ON r.id = a.run
WHERE cano._can_see(r.owner, r.owner_name, r.origin);
COMMENT ON VIEW cano.attempts IS 'every failed attempt';

CREATE VIEW cano.events WITH (security_barrier) AS
SELECT e.run AS run_id,
	e.ordinal,
	e.event,
	e.state,
	e.task,
	e.branch,
	e.attempt,
	e.sequence,
	e.detail,
	e.recorded_at
FROM cano._event e
JOIN cano._run r ON r.id = e.run
WHERE cano._can_see(r.owner, r.owner_name, r.origin);
COMMENT ON VIEW cano.events IS 'what happened to every run, as far as its workflow''s option "log" keeps it';

CREATE VIEW cano.observers WITH (security_barrier) AS
SELECT o.name,
	o.function AS run,
	o.events,
	o.workflow,
	o.owner_name AS owner
FROM cano._observer o
WHERE cano._can_see(o.owner, o.owner_name, o.origin);
COMMENT ON VIEW cano.observers IS 'the functions that are told of events';

CREATE VIEW cano.schedules WITH (security_barrier) AS
SELECT s.name,
	s.cron,
	s.workflow,
	s.input,
	CASE s.overlap WHEN 's' THEN 'skip' WHEN 'q' THEN 'queue' ELSE 'allow' END AS overlap,
	cano._fires(s.id, s.owner, s.origin) AS active,
	s.last_run AS last_run_id,
	s.last_fired_at,
	s.owner_name AS owner
FROM cano._schedule s
WHERE cano._can_see(s.owner, s.owner_name, s.origin);
COMMENT ON VIEW cano.schedules IS 'when runs are submitted by themselves; active: pg_cron has a job for it';

CREATE VIEW cano.signals WITH (security_barrier) AS
SELECT s.run AS run_id,
	s.name,
	s.payload,
	s.sent_at
FROM cano._signal s
JOIN cano._run r ON r.id = s.run
WHERE r.status = 'active' AND s.name <> '' AND cano._can_see(r.owner, r.owner_name, r.origin);
COMMENT ON VIEW cano.signals IS 'signals that no run has received yet';

CREATE VIEW cano.dead_letters WITH (security_barrier) AS
SELECT r.id AS run_id,
	d.workflow,
	r.error ->> 'state' AS state,
	(r.error ->> 'attempts')::integer AS attempts,
	r.error,
	r.ended_at AS dead_at
FROM cano._run r
JOIN cano._definition d ON d.id = r.definition
WHERE r.dead AND cano._can_see(r.owner, r.owner_name, r.origin);
COMMENT ON VIEW cano.dead_letters IS 'runs that ended by the error of a task';

CREATE VIEW cano.queue_stats WITH (security_barrier) AS
SELECT r.workflow,
	count(*) FILTER (WHERE r.status = 'queued') AS queued,
	count(*) FILTER (WHERE r.status = 'running') AS running,
	count(*) FILTER (WHERE r.status = 'waiting') AS waiting,
	count(*) FILTER (WHERE r.dead) AS dead
FROM cano._runs r
WHERE r.ended_at IS NULL OR r.dead
GROUP BY r.workflow;
COMMENT ON VIEW cano.queue_stats IS 'how many runs of each workflow are queued, running, waiting, dead';

CREATE FUNCTION cano.status(
	run bigint,
	OUT run_id bigint, OUT workflow text, OUT version integer, OUT status text, OUT state text,
	OUT sequence bigint, OUT attempt integer, OUT waiting_for text, OUT next_at timestamptz,
	OUT progress jsonb, OUT error jsonb, OUT result jsonb, OUT rollback text, OUT cancel_reason text)
RETURNS SETOF record
LANGUAGE sql VOLATILE STRICT PARALLEL RESTRICTED ROWS 1
BEGIN ATOMIC
	SELECT r.run_id, r.workflow, r.version, r.status, r.state, r.sequence, r.attempt,
		r.waiting_for, r.next_at, r.progress, r.error, r.result, r.rollback, r.cancel_reason
	FROM cano._runs r
	WHERE r.run_id = status.run;
END;
COMMENT ON FUNCTION cano.status IS 'where a run is; no row for a run that does not exist or may not be seen';

CREATE FUNCTION cano.result(run bigint) RETURNS jsonb
LANGUAGE sql VOLATILE STRICT PARALLEL RESTRICTED
BEGIN ATOMIC
	SELECT r.result FROM cano.runs r WHERE r.run_id = result.run;
END;
COMMENT ON FUNCTION cano.result IS 'the data of a completed run at its exit; null before, and for runs that did not complete';
