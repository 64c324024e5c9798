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
COMMENT ON COLUMN cano.workflows.workflow IS 'its name';
COMMENT ON COLUMN cano.workflows.version IS 'the number of the version, from 1';
COMMENT ON COLUMN cano.workflows.is_current IS 'whether runs that are submitted without a version get this one';
COMMENT ON COLUMN cano.workflows.paused IS 'whether nothing new of its runs begins';
COMMENT ON COLUMN cano.workflows.owner IS 'the role that may define, pause and unpause it';
COMMENT ON COLUMN cano.workflows.definition IS 'the whole document, as cano.definition returns it';
COMMENT ON COLUMN cano.workflows.created_at IS 'when the version was defined';

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
COMMENT ON COLUMN cano.states.workflow IS 'its name';
COMMENT ON COLUMN cano.states.version IS 'the number of the version';
COMMENT ON COLUMN cano.states.state IS 'the name of the state';
COMMENT ON COLUMN cano.states.kind IS 'task, router, split, stepped, poll, batch, timer, receive, child, external or exit';
COMMENT ON COLUMN cano.states.run IS 'the function, as it is written in the definition, with its schema';
COMMENT ON COLUMN cano.states.next IS 'the state that follows';
COMMENT ON COLUMN cano.states.targets IS 'the states that may be named besides next; null if any';
COMMENT ON COLUMN cano.states.definition IS 'this state''s part of the document';

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
		pg_catalog.jsonb_build_object('done', s.done, 'total', NULLIF(s.total, 0), 'note', s.note)
	END AS progress,
	s.branch,
	s.after_end
FROM cano._slots() s
WHERE s.run_id IS NOT NULL
	AND s.database = (SELECT d.oid FROM pg_catalog.pg_database d
		WHERE d.datname = pg_catalog.current_database());
COMMENT ON VIEW cano.activity IS 'the tasks that are running in this database now, from shared memory';
COMMENT ON COLUMN cano.activity.pid IS 'the process';
COMMENT ON COLUMN cano.activity.role IS 'as whom';
COMMENT ON COLUMN cano.activity.run_id IS 'the run';
COMMENT ON COLUMN cano.activity.workflow IS 'its workflow';
COMMENT ON COLUMN cano.activity.state IS 'its state';
COMMENT ON COLUMN cano.activity.task IS 'the function, as the definition names it';
COMMENT ON COLUMN cano.activity.attempt IS 'which attempt, from 1';
COMMENT ON COLUMN cano.activity.since IS 'when it began';
COMMENT ON COLUMN cano.activity.progress IS 'what the task says by cano.progress(): done, total and note';
COMMENT ON COLUMN cano.activity.branch IS 'which branch of a split or item of a batch, from 0; null for none';
COMMENT ON COLUMN cano.activity.after_end IS 'whether it is called after the end of the run (on_end, a teardown)';

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
COMMENT ON COLUMN cano.workers.pid IS 'the process';
COMMENT ON COLUMN cano.workers.database IS 'the database that it serves';
COMMENT ON COLUMN cano.workers.role IS 'the role that it serves';
COMMENT ON COLUMN cano.workers.status IS 'starting, idle or running';
COMMENT ON COLUMN cano.workers.run_id IS 'what it is running; null for none';
COMMENT ON COLUMN cano.workers.started_at IS 'when the worker began';

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
	CASE
		WHEN r.status <> 'active' THEN r.cancel_reason
		WHEN n.run IS NOT NULL THEN n.cancel_reason
		ELSE (SELECT s.reason FROM cano._stop s WHERE s.run = r.id ORDER BY s.id LIMIT 1)
	END AS cancel_reason,
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
	r.max_attempts,
	k.recorded_at AS entered_at
FROM cano._run r
JOIN cano._definition d ON d.id = r.definition
LEFT JOIN LATERAL (
	SELECT c.sequence, c.job, c.recorded_at
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
COMMENT ON VIEW cano.runs IS 'every run, and where it is';
COMMENT ON COLUMN cano.runs.run_id IS 'its id';
COMMENT ON COLUMN cano.runs.workflow IS 'its workflow';
COMMENT ON COLUMN cano.runs.version IS 'which version of that; a run stays with its own';
COMMENT ON COLUMN cano.runs.key IS 'the caller''s own name for it';
COMMENT ON COLUMN cano.runs.status IS 'queued (due now, or held back by a limit or a pause), waiting, running, cancelling, compensating; ended: completed, failed, cancelled';
COMMENT ON COLUMN cano.runs.state IS 'where it is, or where it ended';
COMMENT ON COLUMN cano.runs.role IS 'who submitted it, and as whom its tasks run';
COMMENT ON COLUMN cano.runs.priority IS 'lower goes first';
COMMENT ON COLUMN cano.runs.submitted_at IS 'when it was submitted';
COMMENT ON COLUMN cano.runs.started_at IS 'when its first step began';
COMMENT ON COLUMN cano.runs.ended_at IS 'when it ended; null while it has not';
COMMENT ON COLUMN cano.runs.waiting_for IS 'retry, timer, schedule, poll, signal, branches, items, child or external; null when it waits for none of these';
COMMENT ON COLUMN cano.runs.next_at IS 'when it goes on if nothing happens before; null if that has no time';
COMMENT ON COLUMN cano.runs.rollback IS 'none, or of a run that had to roll back: clean, or partial if some compensation failed';
COMMENT ON COLUMN cano.runs.cancel_reason IS 'what was given to cano.cancel() or cano.cancelled()';
COMMENT ON COLUMN cano.runs.parent_run_id IS 'the run whose child it is';
COMMENT ON COLUMN cano.runs.input IS 'what it was submitted with';
COMMENT ON COLUMN cano.runs.data IS 'its data now, or at its end';
COMMENT ON COLUMN cano.runs.result IS 'its data at the exit, if it completed';
COMMENT ON COLUMN cano.runs.error IS 'category, sqlstate, message, detail, hint, context, state, task, attempts; of a rollback that failed also errors';
COMMENT ON COLUMN cano.runs.headers IS 'what was submitted besides';
COMMENT ON COLUMN cano.runs.tags IS 'what was submitted to find it by';
COMMENT ON COLUMN cano.runs.cleared IS 'whether its log is cleared, by completion or a clean rollback: then it cannot be resumed';

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
COMMENT ON VIEW cano.checkpoints IS 'the log of every run: where it was and what it did';
COMMENT ON COLUMN cano.checkpoints.run_id IS 'the run';
COMMENT ON COLUMN cano.checkpoints.sequence IS 'the number in the run''s log, from 0';
COMMENT ON COLUMN cano.checkpoints.kind IS 'state_entry, compensation_completion (a state that can be undone is done) or step_cursor';
COMMENT ON COLUMN cano.checkpoints.state IS 'the state';
COMMENT ON COLUMN cano.checkpoints.task IS 'the function; null for splits and exits';
COMMENT ON COLUMN cano.checkpoints.output IS 'of a completion: what the state returned; of a cursor: the cursor';
COMMENT ON COLUMN cano.checkpoints.version IS 'the version of the workflow';
COMMENT ON COLUMN cano.checkpoints.recorded_at IS 'when';
COMMENT ON COLUMN cano.checkpoints.cleared IS 'whether the run''s log is cleared';
COMMENT ON COLUMN cano.checkpoints.mark IS 'what became of it: undone, not undone, superseded or resumed; null for nothing';

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
COMMENT ON COLUMN cano.compensations.run_id IS 'the run';
COMMENT ON COLUMN cano.compensations.sequence IS 'the number in the run''s log';
COMMENT ON COLUMN cano.compensations.state IS 'the state that is undone';
COMMENT ON COLUMN cano.compensations.task IS 'the function that had done it';
COMMENT ON COLUMN cano.compensations.output IS 'what that returned, which its compensation is given as the parameter "output"';

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
COMMENT ON COLUMN cano.branches.run_id IS 'the run';
COMMENT ON COLUMN cano.branches.state IS 'the split';
COMMENT ON COLUMN cano.branches.branch IS 'which, from 0';
COMMENT ON COLUMN cano.branches.task IS 'the function';
COMMENT ON COLUMN cano.branches.status IS 'queued, waiting, running, completed, failed or cancelled';
COMMENT ON COLUMN cano.branches.attempt IS 'which attempt it is at';
COMMENT ON COLUMN cano.branches.output IS 'what it returned';
COMMENT ON COLUMN cano.branches.error IS 'why it failed';

CREATE VIEW cano.items WITH (security_barrier) AS
SELECT p.run_id, p.state, p.branch AS item, p.status, p.attempt, p.input, p.output, p.error
FROM cano._parts p
WHERE p.part ->> 'kind' = 'batch';
COMMENT ON VIEW cano.items IS 'the items of every batch, at its latest visit';
COMMENT ON COLUMN cano.items.run_id IS 'the run';
COMMENT ON COLUMN cano.items.state IS 'the batch';
COMMENT ON COLUMN cano.items.item IS 'which, from 0, in the order that they were loaded';
COMMENT ON COLUMN cano.items.status IS 'queued, waiting, running, completed, failed or cancelled';
COMMENT ON COLUMN cano.items.attempt IS 'which attempt it is at';
COMMENT ON COLUMN cano.items.input IS 'the item';
COMMENT ON COLUMN cano.items.output IS 'what its processing returned';
COMMENT ON COLUMN cano.items.error IS 'why it failed';

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
COMMENT ON COLUMN cano.attempts.run_id IS 'the run';
COMMENT ON COLUMN cano.attempts.state IS 'the state';
COMMENT ON COLUMN cano.attempts.task IS 'the function';
COMMENT ON COLUMN cano.attempts.branch IS 'which branch of a split or item of a batch, from 0; null for none';
COMMENT ON COLUMN cano.attempts.attempt IS 'which attempt, from 1';
COMMENT ON COLUMN cano.attempts.sqlstate IS 'of the error';
COMMENT ON COLUMN cano.attempts.message IS 'of the error';
COMMENT ON COLUMN cano.attempts.detail IS 'of the error';
COMMENT ON COLUMN cano.attempts.hint IS 'of the error';
COMMENT ON COLUMN cano.attempts.context IS 'of the error: where in the function it was raised';
COMMENT ON COLUMN cano.attempts.started_at IS 'when the attempt began';
COMMENT ON COLUMN cano.attempts.ended_at IS 'when it failed';

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
COMMENT ON COLUMN cano.events.run_id IS 'the run';
COMMENT ON COLUMN cano.events.ordinal IS 'the number of the event in its run, from 1';
COMMENT ON COLUMN cano.events.event IS 'state_enter, task_start, task_success, task_failure, retry, circuit_open, checkpoint, resume, workflow_timeout, cancelled or ended';
COMMENT ON COLUMN cano.events.state IS 'the state';
COMMENT ON COLUMN cano.events.task IS 'the function';
COMMENT ON COLUMN cano.events.branch IS 'which branch of a split, from 0; null for none';
COMMENT ON COLUMN cano.events.attempt IS 'which attempt, from 1';
COMMENT ON COLUMN cano.events.sequence IS 'the number of a checkpoint';
COMMENT ON COLUMN cano.events.detail IS 'what else is to be said, which depends on the event';
COMMENT ON COLUMN cano.events.recorded_at IS 'when';

CREATE VIEW cano.observers WITH (security_barrier) AS
SELECT o.name,
	o.function AS run,
	o.events,
	o.workflow,
	o.owner_name AS owner
FROM cano._observer o
WHERE cano._can_see(o.owner, o.owner_name, o.origin);
COMMENT ON VIEW cano.observers IS 'the functions that are told of events';
COMMENT ON COLUMN cano.observers.name IS 'its name';
COMMENT ON COLUMN cano.observers.run IS 'the function, as it was given to cano.observe()';
COMMENT ON COLUMN cano.observers.events IS 'which ones; null: all';
COMMENT ON COLUMN cano.observers.workflow IS 'of which workflow; null: of all';
COMMENT ON COLUMN cano.observers.owner IS 'who registered it: it is told of the runs of this role';

CREATE VIEW cano._schedules WITH (security_barrier) AS
SELECT s.name,
	s.cron,
	s.workflow,
	s.input,
	CASE s.overlap WHEN 's' THEN 'skip' WHEN 'q' THEN 'queue' ELSE 'allow' END AS overlap,
	cano._idle(s.id, s.owner, s.origin) AS idle,
	s.last_run AS last_run_id,
	s.last_fired_at,
	s.owner_name AS owner
FROM cano._schedule s
WHERE cano._can_see(s.owner, s.owner_name, s.origin);
COMMENT ON VIEW cano._schedules IS 'every schedule, and what keeps it from firing';

CREATE VIEW cano.schedules WITH (security_barrier) AS
SELECT s.name, s.cron, s.workflow, s.input, s.overlap, s.idle IS NULL AS active, s.last_run_id, s.last_fired_at, s.owner
FROM cano._schedules s;
COMMENT ON VIEW cano.schedules IS 'when pg_cron submits runs';
COMMENT ON COLUMN cano.schedules.name IS 'its name';
COMMENT ON COLUMN cano.schedules.cron IS 'when, as pg_cron has it';
COMMENT ON COLUMN cano.schedules.workflow IS 'of what';
COMMENT ON COLUMN cano.schedules.input IS 'of each run';
COMMENT ON COLUMN cano.schedules.overlap IS 'skip, queue or allow: what happens while an earlier run has not ended';
COMMENT ON COLUMN cano.schedules.active IS 'whether pg_cron runs, for this database, and has an active job for it';
COMMENT ON COLUMN cano.schedules.last_run_id IS 'the latest run that was submitted';
COMMENT ON COLUMN cano.schedules.last_fired_at IS 'when it was last time, whether a run was submitted or not';
COMMENT ON COLUMN cano.schedules.owner IS 'as whom runs are submitted';

CREATE VIEW cano.signals WITH (security_barrier) AS
SELECT s.run AS run_id,
	s.name,
	s.payload,
	s.sent_at
FROM cano._signal s
JOIN cano._run r ON r.id = s.run
WHERE r.status = 'active' AND s.name <> '' AND cano._can_see(r.owner, r.owner_name, r.origin);
COMMENT ON VIEW cano.signals IS 'signals that no run has received yet';
COMMENT ON COLUMN cano.signals.run_id IS 'the run that it is for';
COMMENT ON COLUMN cano.signals.name IS 'its name';
COMMENT ON COLUMN cano.signals.payload IS 'what it carries';
COMMENT ON COLUMN cano.signals.sent_at IS 'when it was sent';

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
COMMENT ON VIEW cano.dead_letters IS 'runs that ended by the error of a task: not those that were cancelled, whose task returned cano.failed(), or whose
split failed';
COMMENT ON COLUMN cano.dead_letters.run_id IS 'the run';
COMMENT ON COLUMN cano.dead_letters.workflow IS 'its workflow';
COMMENT ON COLUMN cano.dead_letters.state IS 'where it failed';
COMMENT ON COLUMN cano.dead_letters.attempts IS 'how often that was tried';
COMMENT ON COLUMN cano.dead_letters.error IS 'as in cano.runs';
COMMENT ON COLUMN cano.dead_letters.dead_at IS 'when it ended';

CREATE VIEW cano.queue_stats WITH (security_barrier) AS
SELECT r.workflow,
	count(*) FILTER (WHERE r.status = 'queued') AS queued,
	count(*) FILTER (WHERE r.status = 'running') AS running,
	count(*) FILTER (WHERE r.status = 'waiting') AS waiting,
	count(*) FILTER (WHERE r.dead) AS dead
FROM cano._runs r
WHERE r.ended_at IS NULL OR r.dead
GROUP BY r.workflow
ORDER BY r.workflow;
COMMENT ON VIEW cano.queue_stats IS 'how many runs each workflow has';
COMMENT ON COLUMN cano.queue_stats.workflow IS 'its name';
COMMENT ON COLUMN cano.queue_stats.queued IS 'due now, or held back by options(concurrency) or a pause';
COMMENT ON COLUMN cano.queue_stats.running IS 'a task of it is running';
COMMENT ON COLUMN cano.queue_stats.waiting IS 'waiting for something';
COMMENT ON COLUMN cano.queue_stats.dead IS 'in cano.dead_letters';

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
COMMENT ON FUNCTION cano.status IS
'where a run is: one row, or none for a run that does not exist or may not be seen. The columns are those of
cano.runs, and: sequence, the number of its latest checkpoint; attempt, which attempt it is at; progress, as the
task says by cano.progress(), or how many branches or items have ended';

CREATE FUNCTION cano.result(run bigint) RETURNS jsonb
LANGUAGE sql VOLATILE STRICT PARALLEL RESTRICTED
BEGIN ATOMIC
	SELECT r.result FROM cano.runs r WHERE r.run_id = result.run;
END;
COMMENT ON FUNCTION cano.result IS
'the data of a completed run at its exit; null before, and for runs that did not complete';
