/*
 * Private tables.  Nobody has rights on them; the functions are the only way
 * to write, the views the only way to read.  No foreign keys between them:
 * cano.health() checks what those would.  No triggers, checks, defaults or
 * index expressions that call anything but pg_catalog, because the engine's
 * statements run with the owner's rights.
 */

CREATE SEQUENCE cano._id AS bigint;
COMMENT ON SEQUENCE cano._id IS 'ids of runs and of jobs: a run''s first job has the run''s own id';
CREATE SEQUENCE cano._definition_id AS bigint;
COMMENT ON SEQUENCE cano._definition_id IS 'ids of versions of workflows';
CREATE SEQUENCE cano._attempt_id AS bigint;
COMMENT ON SEQUENCE cano._attempt_id IS 'ids of failed attempts';
CREATE SEQUENCE cano._signal_id AS bigint;
COMMENT ON SEQUENCE cano._signal_id IS 'ids of signals';

CREATE TABLE cano._workflow (
	workflow text COLLATE "C" PRIMARY KEY,
	owner oid NOT NULL,
	owner_name name NOT NULL,
	origin bigint NOT NULL,				-- where the owner has that number
	version integer NOT NULL,
	paused boolean NOT NULL
);
COMMENT ON TABLE cano._workflow IS 'a workflow by name: who may redefine it, and its current version';

-- "functions" maps each function's name in the document to its exact signature.
CREATE TABLE cano._definition (
	id bigint PRIMARY KEY,
	workflow text COLLATE "C" NOT NULL,
	version integer NOT NULL,
	owner oid NOT NULL,
	owner_name name NOT NULL,
	document jsonb NOT NULL,
	functions jsonb NOT NULL,
	created_at timestamptz NOT NULL,
	keep interval,						-- how long ended runs stay; null: as the document says
	UNIQUE (workflow, version)
);
COMMENT ON TABLE cano._definition IS 'a version of a workflow: immutable';

-- "origin" is the number of the database that may run it: see origin.h.
CREATE TABLE cano._run (
	id bigint PRIMARY KEY,
	definition bigint NOT NULL,
	origin bigint NOT NULL,
	owner oid NOT NULL,
	owner_name name NOT NULL,
	priority integer NOT NULL,
	max_attempts integer,
	run_at timestamptz,
	submitted_at timestamptz NOT NULL,
	started_at timestamptz,
	ended_at timestamptz,
	status text NOT NULL,				-- active, completed, failed, cancelled
	state text COLLATE "C",				-- where it ended
	rollback text,
	cleared boolean NOT NULL,
	dead boolean NOT NULL,
	key text COLLATE "C",
	parent bigint,
	resumed_at timestamptz,
	depth integer NOT NULL DEFAULT 0,	-- of a child: how many runs it is under
	cancel_reason text,
	tags text[],
	headers jsonb,
	input jsonb NOT NULL,
	data jsonb,							-- at the end
	error jsonb
) WITH (fillfactor = 80);
COMMENT ON TABLE cano._run IS 'a run: written at submit, at its end and when it is resumed, never in between';
CREATE INDEX ON cano._run (parent) WHERE parent IS NOT NULL;
CREATE INDEX ON cano._run (id) WHERE dead;

CREATE TABLE cano._key (
	owner oid NOT NULL,
	workflow text COLLATE "C" NOT NULL,
	key text COLLATE "C" NOT NULL,
	run bigint NOT NULL,
	PRIMARY KEY (owner, workflow, key)
);
COMMENT ON TABLE cano._key IS 'the keys of runs that have not ended';
CREATE INDEX ON cano._key (key);

-- data is null while it is still the run's input.
CREATE TABLE cano._job (
	owner oid NOT NULL,
	priority integer NOT NULL,
	id bigint NOT NULL,
	run bigint NOT NULL,
	duty "char" NOT NULL,
	state text COLLATE "C" NOT NULL,
	attempt integer NOT NULL,
	sequence bigint NOT NULL,			-- of the newest checkpoint, -1 = none
	started_at timestamptz,
	since timestamptz,					-- poll: of its first ask; limiter: its turn
	errors integer NOT NULL,			-- poll: in a row, forgiven so far; before and after: which call
	cursor jsonb,						-- stepped: of its next step; after: how the run ended
	signal jsonb,						-- the latest received
	fan bigint,							-- a branch or item of that, or its holder
	branch integer,						-- which of them; null: the run itself
	data jsonb,
	PRIMARY KEY (owner, priority, id)
);
COMMENT ON TABLE cano._job IS 'what is due now; the primary key is the queue''s order';
CREATE INDEX ON cano._job (run) WHERE duty = 'a';

-- due_at is infinity while nothing but an act of somebody (unpause, adopt, the
-- run before it) makes it due.
CREATE TABLE cano._timer (
	owner oid NOT NULL,
	priority integer NOT NULL,
	id bigint PRIMARY KEY,
	run bigint NOT NULL,
	duty "char" NOT NULL,
	state text COLLATE "C" NOT NULL,
	attempt integer NOT NULL,
	sequence bigint NOT NULL,			-- of the newest checkpoint, -1 = none
	started_at timestamptz,
	since timestamptz,
	errors integer NOT NULL,
	cursor jsonb,
	signal jsonb,
	fan bigint,
	branch integer,
	data jsonb,
	due_at timestamptz NOT NULL,
	awaits text COLLATE "C",			-- name of the signal; '' = the answer to external work;
										-- queued, paused: of the workflow
	waiting "char" NOT NULL				-- (r)etry, (t)imer, (s)chedule, (p)oll, si(g)nal, (b)ranches,
										-- (i)tems, (c)hild, e(x)ternal, (l)ease, (d)eadline, (o)ther origin,
										-- (q)ueued: too many are under way,
										-- pa(u)sed: so is its workflow
);
COMMENT ON TABLE cano._timer IS 'what is due later: a job, and when';
CREATE INDEX ON cano._timer (owner, due_at);
CREATE INDEX ON cano._timer (awaits, owner, priority, id) WHERE waiting = 'q';
CREATE INDEX ON cano._timer (awaits, id) WHERE waiting = 'u';
CREATE INDEX ON cano._timer (run) WHERE duty = 'a';

CREATE TABLE cano._inside (
	workflow text COLLATE "C" NOT NULL,
	number integer NOT NULL,
	run bigint NOT NULL,
	PRIMARY KEY (workflow, number)
);
COMMENT ON TABLE cano._inside IS 'runs under way of workflows that limit how many: each has a number';
CREATE UNIQUE INDEX ON cano._inside (run);

-- "job" is the id of the job that was made for the state entered here: the
-- newest row leads to where the run is.  Completions are the stack of what there
-- is to undo; only what became of that changes.
CREATE TABLE cano._checkpoint (
	run bigint NOT NULL,
	sequence bigint NOT NULL,
	kind "char" NOT NULL,				-- state (e)ntry, (c)ompletion, (s)tep cursor
	version integer NOT NULL,
	job bigint,
	recorded_at timestamptz NOT NULL,
	state text COLLATE "C" NOT NULL,
	task text,
	output jsonb,						-- of a completion; the cursor of a cursor row
	mark "char",						-- completion: null = stands, (u)ndone, (f)ailed to be,
										-- (s)uperseded; entry: (r)esumed
	PRIMARY KEY (run, sequence)
) WITH (fillfactor = 95);
COMMENT ON TABLE cano._checkpoint IS 'the log of a run, append-only';

CREATE TABLE cano._drain (
	run bigint PRIMARY KEY,
	ending "char" NOT NULL,				-- (f)ailed, (c)ancelled
	dead boolean NOT NULL,
	state text COLLATE "C" NOT NULL,
	cancel_reason text,
	errors jsonb NOT NULL				-- that end's, then those of compensations
);
COMMENT ON TABLE cano._drain IS 'runs that are being rolled back, and how they are to end';

CREATE TABLE cano._attempt (
	run bigint NOT NULL,
	id bigint NOT NULL,
	branch integer,
	attempt integer NOT NULL,
	started_at timestamptz NOT NULL,
	ended_at timestamptz NOT NULL,
	state text COLLATE "C" NOT NULL,
	task text,
	sqlstate text NOT NULL,
	message text NOT NULL,
	detail text,
	hint text,
	context text,
	PRIMARY KEY (run, id)
);
COMMENT ON TABLE cano._attempt IS 'failed attempts';

CREATE TABLE cano._variable (
	run bigint NOT NULL,
	key text COLLATE "C" NOT NULL,
	value jsonb,
	PRIMARY KEY (run, key)
);
COMMENT ON TABLE cano._variable IS 'what tasks keep with cano.put()';

-- A value that is null is the definition's.
CREATE TABLE cano._resource (
	run bigint NOT NULL,
	name text COLLATE "C" NOT NULL,
	value jsonb,
	PRIMARY KEY (run, name)
);
COMMENT ON TABLE cano._resource IS 'resources that were set up for a run, until it ends';

-- While it is open, its row counts those that have ended; whoever adds to it
-- holds its lock until the commit, so that one of them is the last.  The run
-- itself, its holder, waits in _timer meanwhile.
CREATE TABLE cano._fan (
	id bigint PRIMARY KEY,
	run bigint NOT NULL,
	holder bigint NOT NULL,				-- id of the run's own job
	state text COLLATE "C" NOT NULL,
	total integer NOT NULL,
	succeeded integer NOT NULL,
	failed integer NOT NULL,
	closed "char",						-- null: open; (j)oined, (t)imeout, (c)ancels the run,
										-- (p)anic of an item, (s)topped from outside
	due_at timestamptz,					-- its timeout
	low integer NOT NULL,				-- none is left to be begun up to this one
	verdict jsonb,						-- cancels: why; panic: the error
	signal jsonb,						-- the run's, for each of them
	data jsonb							-- null: the run's input
) WITH (fillfactor = 50);
COMMENT ON TABLE cano._fan IS 'the branches of a split or the items of a batch, fanned out at one visit';
CREATE INDEX ON cano._fan (run);

-- Those of a closed fan that had not ended were cancelled.
CREATE TABLE cano._branch (
	fan bigint NOT NULL,
	branch integer NOT NULL,
	status "char" NOT NULL,				-- (q)ueued, (b)egun, (c)ompleted, (f)ailed
	attempt integer NOT NULL,
	job bigint,							-- of one that was begun
	ordinal integer,					-- of a split: among those that have ended
	input jsonb,						-- of an item
	output jsonb,
	error jsonb,
	PRIMARY KEY (fan, branch)
) WITH (fillfactor = 70);
COMMENT ON TABLE cano._branch IS 'a branch of a split, or an item of a batch';

-- The first request counts; there may be several, so that nobody waits for
-- another one's transaction.
CREATE TABLE cano._stop (
	run bigint NOT NULL,
	id bigint NOT NULL,
	asked_at timestamptz NOT NULL,
	reason text,
	PRIMARY KEY (run, id)
);
COMMENT ON TABLE cano._stop IS 'runs that somebody asked to stop';

CREATE TABLE cano._signal (
	run bigint NOT NULL,
	name text COLLATE "C" NOT NULL,
	id bigint NOT NULL,
	sent_at timestamptz NOT NULL,
	payload jsonb,
	PRIMARY KEY (run, name, id)
);
COMMENT ON TABLE cano._signal IS 'signals that no run has received yet';

-- "id" is that of the run's own timer, and the place in the queue; "timer" is the
-- lease's.
CREATE TABLE cano._work (
	run bigint NOT NULL,
	sequence bigint NOT NULL,			-- of the visit
	attempt integer NOT NULL,
	owner oid NOT NULL,
	priority integer NOT NULL,
	id bigint NOT NULL,
	queue text COLLATE "C" NOT NULL,
	state text COLLATE "C" NOT NULL,
	token text COLLATE "C",				-- null: nobody has taken it
	lease_until timestamptz,
	timer bigint,
	parked boolean NOT NULL DEFAULT false,	-- its workflow is paused
	PRIMARY KEY (run, sequence, attempt)
);
COMMENT ON TABLE cano._work IS 'work of external states, one row an attempt';
CREATE INDEX ON cano._work (queue, owner, priority, id) WHERE token IS NULL AND NOT parked;
CREATE UNIQUE INDEX ON cano._work (token) WHERE token IS NOT NULL;

CREATE TABLE cano._crash (
	job bigint PRIMARY KEY,
	run bigint NOT NULL,
	crashes integer NOT NULL,
	last_at timestamptz NOT NULL
);
COMMENT ON TABLE cano._crash IS 'jobs that took their session or the server down, and how often';

CREATE SEQUENCE cano._breaker_id AS bigint;
COMMENT ON SEQUENCE cano._breaker_id IS 'ids of breakers';
CREATE TABLE cano._breaker (
	name text COLLATE "C" PRIMARY KEY,
	id bigint NOT NULL,
	owner oid NOT NULL,
	owner_name name NOT NULL,
	origin bigint NOT NULL,				-- where the owner has that number
	failure_threshold integer NOT NULL,
	half_open_max_calls integer NOT NULL,
	reset_timeout interval NOT NULL
);
COMMENT ON TABLE cano._breaker IS 'a breaker as it is set; whether it is open is in shared memory';

CREATE SEQUENCE cano._limiter_id AS bigint;
COMMENT ON SEQUENCE cano._limiter_id IS 'ids of limiters';
CREATE TABLE cano._limiter (
	name text COLLATE "C" PRIMARY KEY,
	id bigint NOT NULL,
	owner oid NOT NULL,
	owner_name name NOT NULL,
	origin bigint NOT NULL,				-- where the owner has that number
	rate integer NOT NULL,
	burst integer NOT NULL,
	per interval NOT NULL,
	kind "char" NOT NULL				-- (b)ucket, (w)indow
);
COMMENT ON TABLE cano._limiter IS 'a limiter as it is set; how much it has left is in shared memory';

CREATE TABLE cano._event (
	run bigint NOT NULL,
	ordinal bigint NOT NULL,
	event text NOT NULL,
	state text COLLATE "C",
	task text,
	branch integer,
	attempt integer,
	sequence bigint,
	detail jsonb,
	recorded_at timestamptz NOT NULL,
	PRIMARY KEY (run, ordinal)
);
COMMENT ON TABLE cano._event IS 'what happened to runs, as far as their log options keep it; dense within a run, from 1';

-- "id" is the order in which they are told.
CREATE SEQUENCE cano._observer_id AS bigint;
COMMENT ON SEQUENCE cano._observer_id IS 'ids of observers';
CREATE TABLE cano._observer (
	name text COLLATE "C" PRIMARY KEY,
	id bigint NOT NULL,
	owner oid NOT NULL,
	owner_name name NOT NULL,
	origin bigint NOT NULL,				-- where the owner has that number
	function text NOT NULL,				-- as it was given
	signature text NOT NULL,
	events text[],						-- null: all
	workflow text COLLATE "C"			-- null: any
);
COMMENT ON TABLE cano._observer IS 'functions that are told of events';

CREATE SEQUENCE cano._schedule_id AS bigint;
COMMENT ON SEQUENCE cano._schedule_id IS 'ids of schedules';
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
COMMENT ON TABLE cano._schedule IS 'a schedule: what a job of pg_cron lets begin, when that says so';

CREATE TABLE cano._turn (
	run bigint PRIMARY KEY,
	schedule bigint NOT NULL
);
COMMENT ON TABLE cano._turn IS 'runs of schedules that have not ended; the lowest may begin';
CREATE INDEX ON cano._turn (schedule, run);

-- The tables that turn over: let vacuum follow by count, not by share.
ALTER TABLE cano._job SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
ALTER TABLE cano._timer SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
ALTER TABLE cano._work SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
