/*
 * cano: durable workflows in PostgreSQL.
 *
 * Parts of this directory are joined in the order of their numbers.  Every
 * name is qualified and nothing is replaced, so that an object somebody
 * planted beforehand makes the installation fail instead of being adopted.
 */
-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION cano" to load this file. \quit

CREATE SCHEMA cano;
COMMENT ON SCHEMA cano IS 'durable workflows: states, retries, waits and sagas';
/*
 * Private tables.  Nobody has rights on them; the functions are the only way
 * to write, the views the only way to read.  No foreign keys between them:
 * cano.health() checks what those would.  No triggers, checks, defaults or
 * index expressions that call anything but pg_catalog, because the engine's
 * statements run with the owner's rights.
 */

-- Ids of runs and of jobs: a run's first job has the run's own id.
CREATE SEQUENCE cano._id AS bigint;
CREATE SEQUENCE cano._definition_id AS bigint;
CREATE SEQUENCE cano._attempt_id AS bigint;
CREATE SEQUENCE cano._signal_id AS bigint;

-- A workflow by name: who may redefine it, and its current version.
CREATE TABLE cano._workflow (
	workflow text COLLATE "C" PRIMARY KEY,
	owner oid NOT NULL,
	owner_name name NOT NULL,
	origin bigint NOT NULL,				-- the server where the owner has that number
	version integer NOT NULL,
	paused boolean NOT NULL
);

-- A version: immutable.  "functions" maps each function's name in the
-- document to its exact signature.
CREATE TABLE cano._definition (
	id bigint PRIMARY KEY,
	workflow text COLLATE "C" NOT NULL,
	version integer NOT NULL,
	owner oid NOT NULL,
	owner_name name NOT NULL,
	document jsonb NOT NULL,
	functions jsonb NOT NULL,
	created_at timestamptz NOT NULL,
	UNIQUE (workflow, version)
);

-- A run: written at submit, at its end and when it is resumed, never in between.  "origin" is
-- the system identifier of the server that may run it.
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
CREATE INDEX ON cano._run (parent) WHERE parent IS NOT NULL;

-- The keys of runs that have not ended.
CREATE TABLE cano._key (
	owner oid NOT NULL,
	workflow text COLLATE "C" NOT NULL,
	key text COLLATE "C" NOT NULL,
	run bigint NOT NULL,
	PRIMARY KEY (owner, workflow, key)
);
CREATE INDEX ON cano._key (key);

-- What is due now.  The primary key is the queue's order.  data is null
-- while it is still the run's input.
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

-- What is due later: a job and when.  due_at is infinity while nothing but
-- an act of somebody (unpause, adopt) makes it due.
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
										-- queued: of the workflow
	waiting "char" NOT NULL				-- (r)etry, (t)imer, (s)chedule, (p)oll, si(g)nal, (b)ranches,
										-- (i)tems, (c)hild, e(x)ternal, (l)ease, (d)eadline, (o)ther origin,
										-- (q)ueued: too many are under way
);
CREATE INDEX ON cano._timer (owner, due_at);
CREATE INDEX ON cano._timer (awaits, owner, priority, id) WHERE waiting = 'q';

-- Runs under way of workflows that limit how many: each has a number.
CREATE TABLE cano._inside (
	workflow text COLLATE "C" NOT NULL,
	number integer NOT NULL,
	run bigint NOT NULL,
	PRIMARY KEY (workflow, number)
);
CREATE UNIQUE INDEX ON cano._inside (run);

-- The log of a run, append-only.  "job" is the id of the job that was made
-- for the state entered here: the newest row leads to where the run is.
-- Completions are the stack of what there is to undo; only what became of that
-- changes.
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

-- Runs that are being rolled back, and how they are to end.
CREATE TABLE cano._drain (
	run bigint PRIMARY KEY,
	ending "char" NOT NULL,				-- (f)ailed, (c)ancelled
	dead boolean NOT NULL,
	state text COLLATE "C" NOT NULL,
	cancel_reason text,
	errors jsonb NOT NULL				-- that end's, then those of compensations
);

-- Failed attempts.
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

-- What tasks keep with cano.put().
CREATE TABLE cano._variable (
	run bigint NOT NULL,
	key text COLLATE "C" NOT NULL,
	value jsonb,
	PRIMARY KEY (run, key)
);

-- Resources that were set up for a run, until it ends.  A value that is null
-- is the definition's.
CREATE TABLE cano._resource (
	run bigint NOT NULL,
	name text COLLATE "C" NOT NULL,
	value jsonb,
	PRIMARY KEY (run, name)
);

-- The branches of a split or the items of a batch, fanned out at one visit.
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

-- Runs that somebody asked to stop.  The first request counts; there may be
-- several, so that nobody waits for another one's transaction.
CREATE TABLE cano._stop (
	run bigint NOT NULL,
	id bigint NOT NULL,
	asked_at timestamptz NOT NULL,
	reason text,
	PRIMARY KEY (run, id)
);

-- Signals that no run has received yet.
CREATE TABLE cano._signal (
	run bigint NOT NULL,
	name text COLLATE "C" NOT NULL,
	id bigint NOT NULL,
	sent_at timestamptz NOT NULL,
	payload jsonb,
	PRIMARY KEY (run, name, id)
);

-- Work of external states, one row an attempt.  "id" is that of the run's own
-- timer, and the place in the queue; "timer" is the lease's.
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
	PRIMARY KEY (run, sequence, attempt)
);
CREATE INDEX ON cano._work (queue, owner, priority, id) WHERE token IS NULL;
CREATE UNIQUE INDEX ON cano._work (token) WHERE token IS NOT NULL;

-- Jobs that took their session or the server down, and how often.
CREATE TABLE cano._crash (
	job bigint PRIMARY KEY,
	run bigint NOT NULL,
	crashes integer NOT NULL,
	last_at timestamptz NOT NULL
);

-- A breaker as it is set.  Whether it is open is in shared memory.
CREATE SEQUENCE cano._breaker_id AS bigint;
CREATE TABLE cano._breaker (
	name text COLLATE "C" PRIMARY KEY,
	id bigint NOT NULL,
	owner oid NOT NULL,
	owner_name name NOT NULL,
	origin bigint NOT NULL,				-- the server where the owner has that number
	failure_threshold integer NOT NULL,
	half_open_max_calls integer NOT NULL,
	reset_timeout interval NOT NULL
);

-- A limiter as it is set.  How much it has left is in shared memory.
CREATE SEQUENCE cano._limiter_id AS bigint;
CREATE TABLE cano._limiter (
	name text COLLATE "C" PRIMARY KEY,
	id bigint NOT NULL,
	owner oid NOT NULL,
	owner_name name NOT NULL,
	origin bigint NOT NULL,				-- the server where the owner has that number
	rate integer NOT NULL,
	burst integer NOT NULL,
	per interval NOT NULL,
	kind "char" NOT NULL				-- (b)ucket, (w)indow
);

-- What happened to runs, as far as their log options keep it.  Dense within a
-- run, from 1.
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

-- Functions that are told.  "id" is the order in which they are.
CREATE SEQUENCE cano._observer_id AS bigint;
CREATE TABLE cano._observer (
	name text COLLATE "C" PRIMARY KEY,
	id bigint NOT NULL,
	owner oid NOT NULL,
	owner_name name NOT NULL,
	origin bigint NOT NULL,				-- the server where the owner has that number
	function text NOT NULL,				-- as it was given
	signature text NOT NULL,
	events text[],						-- null: all
	workflow text COLLATE "C"			-- null: any
);

-- The tables that turn over: let vacuum follow by count, not by share.
ALTER TABLE cano._job SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
ALTER TABLE cano._timer SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
ALTER TABLE cano._work SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
-- What a task may return to say what happens next.
CREATE TYPE cano.outcome AS (
	kind text,							-- next, more, pending, failed, cancelled
	state text,
	output jsonb,
	cursor jsonb,
	delay interval,
	reason text,
	detail jsonb
);
COMMENT ON TYPE cano.outcome IS 'what a task says should happen next; built by cano.next, more, pending, failed and cancelled';
/*
 * Constructors: they only build jsonb.
 *
 * One document format, whether a constructor or a hand wrote it.  A part is
 * an object whose keys are the constructor's argument names, plus "kind";
 * what is null is left out:
 *
 *	{"kind": "task", "state": "charge", "run": "shop.charge", "next": "done",
 *	 "retry": {"policy": "exponential", "retries": 5, "base": "200 ms"}}
 *
 *	retry		{"policy": "none"}
 *				{"policy": "fixed", "retries": 3, "delay": "1 s"}
 *				{"policy": "exponential", "retries": 3, "base": "100 ms",
 *				 "multiplier": 2, "max": "30 s", "jitter": 0.1}
 *	join		{"strategy": "all" | "any" | "partial_timeout"}
 *				{"strategy": "quorum" | "partial", "n": 2}
 *				{"strategy": "percentage", "p": 0.5}
 *	branch		"shop.email", or {"run": "shop.email", "retry": {...},
 *				"timeout": "1 s", "breaker": "smtp", "limiter": "smtp",
 *				"input": {...}}
 *	resource	{"name": "rates", "value": {...}, "setup": "shop.load_rates",
 *				"teardown": "...", "health": "..."}
 *
 * A whole document has the parts by name, and may stand in place of them:
 *
 *	{"start": "charge",
 *	 "states": {"charge": {"kind": "task", ...}, "done": {"kind": "exit"}},
 *	 "options": {"keep": "90 days"}}
 *
 * Intervals are text as PostgreSQL reads it, points in time are ISO 8601.
 * All checks are made by cano.define, which knows the whole workflow.
 */

-- Keys and values in turn: an object of those that are not null.  Intervals
-- and points in time come out the same whatever the session's settings.
CREATE FUNCTION cano._part(VARIADIC pairs "any")
RETURNS jsonb
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'cano_part';
COMMENT ON FUNCTION cano._part("any") IS
	'internal: builds a part of a definition from keys and values';

-- Retry policies

CREATE FUNCTION cano.none()
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cano._part('policy', 'none');
COMMENT ON FUNCTION cano.none() IS 'retry policy: one attempt only';

CREATE FUNCTION cano.fixed(retries integer, delay interval)
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cano._part('policy', 'fixed', 'retries', retries, 'delay', delay);
COMMENT ON FUNCTION cano.fixed(integer, interval) IS
	'retry policy: so many more attempts, always after the same delay';

CREATE FUNCTION cano.exponential(
	retries integer,
	base interval DEFAULT NULL,
	multiplier double precision DEFAULT NULL,
	max interval DEFAULT NULL,
	jitter double precision DEFAULT NULL)
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cano._part('policy', 'exponential', 'retries', retries, 'base', base,
	'multiplier', multiplier, 'max', max, 'jitter', jitter);
COMMENT ON FUNCTION cano.exponential(integer, interval, double precision, interval, double precision) IS
	'retry policy: so many more attempts, after growing delays (base 100 ms, multiplier 2, max 30 s, jitter 0.1)';

-- Joins

CREATE FUNCTION cano.all()
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cano._part('strategy', 'all');
COMMENT ON FUNCTION cano.all() IS 'join: every branch must succeed';

CREATE FUNCTION cano.any()
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cano._part('strategy', 'any');
COMMENT ON FUNCTION cano.any() IS 'join: the first branch that succeeds is enough';

CREATE FUNCTION cano.quorum(n integer)
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cano._part('strategy', 'quorum', 'n', n);
COMMENT ON FUNCTION cano.quorum(integer) IS 'join: at least n branches must succeed';

CREATE FUNCTION cano.percentage(p double precision)
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cano._part('strategy', 'percentage', 'p', p);
COMMENT ON FUNCTION cano.percentage(double precision) IS
	'join: at least this share of the branches must succeed (above 0, at most 1)';

CREATE FUNCTION cano.partial(n integer)
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cano._part('strategy', 'partial', 'n', n);
COMMENT ON FUNCTION cano.partial(integer) IS
	'join: go on as soon as n branches have succeeded';

CREATE FUNCTION cano.partial_timeout()
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cano._part('strategy', 'partial_timeout');
COMMENT ON FUNCTION cano.partial_timeout() IS
	'join: go on with what has succeeded when the split''s timeout is over';

-- Parts of parts

CREATE FUNCTION cano.branch(
	run text,
	retry jsonb DEFAULT NULL,
	timeout interval DEFAULT NULL,
	breaker text DEFAULT NULL,
	limiter text DEFAULT NULL,
	input jsonb DEFAULT NULL)
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cano._part('run', run, 'retry', retry, 'timeout', timeout,
	'breaker', breaker, 'limiter', limiter, 'input', input);
COMMENT ON FUNCTION cano.branch(text, jsonb, interval, text, text, jsonb) IS
	'one branch of a split, with settings of its own';

CREATE FUNCTION cano.with_resource(
	name text,
	value jsonb DEFAULT NULL,
	setup text DEFAULT NULL,
	teardown text DEFAULT NULL,
	health text DEFAULT NULL)
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cano._part('name', name, 'value', value, 'setup', setup,
	'teardown', teardown, 'health', health);
COMMENT ON FUNCTION cano.with_resource(text, jsonb, text, text, text) IS
	'one of a workflow''s resources: a value that its tasks read with cano.resource()';

-- States

CREATE FUNCTION cano.task(
	state text,
	run text,
	next text DEFAULT NULL,
	targets text[] DEFAULT NULL,
	compensate text DEFAULT NULL,
	compensate_retry jsonb DEFAULT NULL,
	retry jsonb DEFAULT NULL,
	timeout interval DEFAULT NULL,
	breaker text DEFAULT NULL,
	limiter text DEFAULT NULL,
	output_key text DEFAULT NULL,
	fatal_on text[] DEFAULT NULL)
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cano._part('kind', 'task', 'state', state, 'run', run, 'next', next,
	'targets', pg_catalog.to_jsonb(targets), 'compensate', compensate,
	'compensate_retry', compensate_retry, 'retry', retry,
	'timeout', timeout, 'breaker', breaker, 'limiter', limiter,
	'output_key', output_key, 'fatal_on', pg_catalog.to_jsonb(fatal_on));
COMMENT ON FUNCTION cano.task(text, text, text, text[], text, jsonb, jsonb, interval, text, text, text, text[]) IS
	'a state that calls a function';

CREATE FUNCTION cano.router(
	state text,
	run text,
	targets text[] DEFAULT NULL,
	retry jsonb DEFAULT NULL,
	timeout interval DEFAULT NULL)
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cano._part('kind', 'router', 'state', state, 'run', run,
	'targets', pg_catalog.to_jsonb(targets), 'retry', retry, 'timeout', timeout);
COMMENT ON FUNCTION cano.router(text, text, text[], jsonb, interval) IS
	'a state that only chooses the next one and leaves no checkpoint row';

CREATE FUNCTION cano.split(
	state text,
	tasks jsonb[],
	"join" jsonb DEFAULT NULL,
	next text DEFAULT NULL,
	timeout interval DEFAULT NULL,
	bulkhead integer DEFAULT NULL,
	output_key text DEFAULT NULL)
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cano._part('kind', 'split', 'state', state,
	'tasks', pg_catalog.to_jsonb(tasks), 'join', "join", 'next', next,
	'timeout', timeout, 'bulkhead', bulkhead, 'output_key', output_key);
COMMENT ON FUNCTION cano.split(text, jsonb[], jsonb, text, interval, integer, text) IS
	'a state that runs branches in parallel and joins them';

CREATE FUNCTION cano.split(
	state text,
	tasks text[],
	"join" jsonb DEFAULT NULL,
	next text DEFAULT NULL,
	timeout interval DEFAULT NULL,
	bulkhead integer DEFAULT NULL,
	output_key text DEFAULT NULL)
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cano._part('kind', 'split', 'state', state,
	'tasks', pg_catalog.to_jsonb(tasks), 'join', "join", 'next', next,
	'timeout', timeout, 'bulkhead', bulkhead, 'output_key', output_key);
COMMENT ON FUNCTION cano.split(text, text[], jsonb, text, interval, integer, text) IS
	'a state that runs functions in parallel and joins them';

CREATE FUNCTION cano.stepped(
	state text,
	run text,
	next text DEFAULT NULL,
	targets text[] DEFAULT NULL,
	retry jsonb DEFAULT NULL,
	timeout interval DEFAULT NULL,
	compensate text DEFAULT NULL)
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cano._part('kind', 'stepped', 'state', state, 'run', run, 'next', next,
	'targets', pg_catalog.to_jsonb(targets), 'retry', retry,
	'timeout', timeout, 'compensate', compensate);
COMMENT ON FUNCTION cano.stepped(text, text, text, text[], jsonb, interval, text) IS
	'a state that calls a function again and again with the cursor it returned';

CREATE FUNCTION cano.poll(
	state text,
	run text,
	next text DEFAULT NULL,
	targets text[] DEFAULT NULL,
	max_errors integer DEFAULT 0,
	timeout interval DEFAULT NULL,
	retry jsonb DEFAULT cano.none())
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cano._part('kind', 'poll', 'state', state, 'run', run, 'next', next,
	'targets', pg_catalog.to_jsonb(targets), 'max_errors', max_errors,
	'timeout', timeout, 'retry', retry);
COMMENT ON FUNCTION cano.poll(text, text, text, text[], integer, interval, jsonb) IS
	'a state whose function is asked again until it is ready';

CREATE FUNCTION cano.batch(
	state text,
	load text,
	process text,
	finish text DEFAULT NULL,
	next text DEFAULT NULL,
	targets text[] DEFAULT NULL,
	concurrency integer DEFAULT 1,
	item_retry jsonb DEFAULT cano.none(),
	retry jsonb DEFAULT NULL,
	timeout interval DEFAULT NULL)
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cano._part('kind', 'batch', 'state', state, 'load', load,
	'process', process, 'finish', finish, 'next', next,
	'targets', pg_catalog.to_jsonb(targets), 'concurrency', concurrency,
	'item_retry', item_retry, 'retry', retry, 'timeout', timeout);
COMMENT ON FUNCTION cano.batch(text, text, text, text, text, text[], integer, jsonb, jsonb, interval) IS
	'a state that loads items, processes each, and finishes with the results in order';

CREATE FUNCTION cano.timer(
	state text,
	delay interval DEFAULT NULL,
	until timestamptz DEFAULT NULL,
	run text DEFAULT NULL,
	next text DEFAULT NULL)
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cano._part('kind', 'timer', 'state', state, 'delay', delay,
	'until', until, 'run', run, 'next', next);
COMMENT ON FUNCTION cano.timer(text, interval, timestamptz, text, text) IS
	'a state that waits for a while, until a point in time, or as long as a function says';

CREATE FUNCTION cano.receive(
	state text,
	signal text,
	next text DEFAULT NULL,
	timeout interval DEFAULT NULL,
	on_timeout text DEFAULT NULL,
	output_key text DEFAULT NULL)
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cano._part('kind', 'receive', 'state', state, 'signal', signal,
	'next', next, 'timeout', timeout, 'on_timeout', on_timeout,
	'output_key', output_key);
COMMENT ON FUNCTION cano.receive(text, text, text, interval, text, text) IS
	'a state that waits for a signal';

CREATE FUNCTION cano.child(
	state text,
	workflow text,
	next text DEFAULT NULL,
	input_key text DEFAULT NULL,
	output_key text DEFAULT NULL,
	on_failure text DEFAULT NULL)
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cano._part('kind', 'child', 'state', state, 'workflow', workflow,
	'next', next, 'input_key', input_key, 'output_key', output_key,
	'on_failure', on_failure);
COMMENT ON FUNCTION cano.child(text, text, text, text, text, text) IS
	'a state that runs another workflow and waits for it';

CREATE FUNCTION cano.external(
	state text,
	queue text,
	next text DEFAULT NULL,
	targets text[] DEFAULT NULL,
	compensate text DEFAULT NULL,
	retry jsonb DEFAULT NULL,
	timeout interval DEFAULT NULL)
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cano._part('kind', 'external', 'state', state, 'queue', queue,
	'next', next, 'targets', pg_catalog.to_jsonb(targets),
	'compensate', compensate, 'retry', retry, 'timeout', timeout);
COMMENT ON FUNCTION cano.external(text, text, text, text[], text, jsonb, interval) IS
	'a state whose work is done by a client outside the database';

CREATE FUNCTION cano.exit(state text, outcome text DEFAULT 'completed')
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cano._part('kind', 'exit', 'state', state, 'outcome', outcome);
COMMENT ON FUNCTION cano.exit(text, text) IS
	'a state that ends the run: completed, failed or cancelled';

-- The workflow's own settings

CREATE FUNCTION cano.options(
	start text DEFAULT NULL,
	timeout interval DEFAULT NULL,
	on_timeout text DEFAULT 'compensate',
	compensation_timeout interval DEFAULT NULL,
	retry jsonb DEFAULT NULL,
	priority integer DEFAULT NULL,
	concurrency integer DEFAULT NULL,
	keep interval DEFAULT NULL,
	log text DEFAULT NULL,
	on_end text DEFAULT NULL,
	resources jsonb[] DEFAULT NULL,
	durability text DEFAULT NULL)
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cano._part('kind', 'options', 'start', start, 'timeout', timeout,
	'on_timeout', on_timeout, 'compensation_timeout', compensation_timeout,
	'retry', retry, 'priority', priority, 'concurrency', concurrency,
	'keep', keep, 'log', log, 'on_end', on_end,
	'resources', pg_catalog.to_jsonb(resources), 'durability', durability);
COMMENT ON FUNCTION cano.options(text, interval, text, interval, jsonb, integer, integer, interval, text, text, jsonb[], text) IS
	'settings of the workflow as a whole';

-- Definitions

CREATE FUNCTION cano.define(workflow text, VARIADIC parts jsonb[])
RETURNS integer
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'cano_define';
COMMENT ON FUNCTION cano.define(text, jsonb[]) IS
	'checks a workflow and stores it as a new version, unless it equals the current one; returns the version';

CREATE FUNCTION cano.definition(workflow text, version integer DEFAULT NULL)
RETURNS jsonb
LANGUAGE c STABLE
AS 'MODULE_PATHNAME', 'cano_definition';
COMMENT ON FUNCTION cano.definition(text, integer) IS
	'a workflow''s document, of the current version or of another: what cano.define takes';
-- Outcomes: what a task calls in its RETURN.

CREATE FUNCTION cano.next(state text DEFAULT NULL, output jsonb DEFAULT NULL, delay interval DEFAULT NULL)
	RETURNS cano.outcome
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN ROW('next', state, output, NULL, delay, NULL, NULL)::cano.outcome;
COMMENT ON FUNCTION cano.next(text, jsonb, interval) IS 'outcome: go to that state, or to the default next one, now or after a delay';

CREATE FUNCTION cano.more(cursor jsonb, output jsonb DEFAULT NULL, delay interval DEFAULT NULL)
	RETURNS cano.outcome
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN ROW('more', NULL, output, cursor, delay, NULL, NULL)::cano.outcome;
COMMENT ON FUNCTION cano.more(jsonb, jsonb, interval) IS 'outcome of a stepped state: save the cursor and call again';

CREATE FUNCTION cano.pending(delay interval DEFAULT '1 s')
	RETURNS cano.outcome
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN ROW('pending', NULL, NULL, NULL, delay, NULL, NULL)::cano.outcome;
COMMENT ON FUNCTION cano.pending(interval) IS 'outcome of a poll: not ready, ask again after the delay';

CREATE FUNCTION cano.failed(reason text, detail jsonb DEFAULT NULL)
	RETURNS cano.outcome
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN ROW('failed', NULL, NULL, NULL, NULL, reason, detail)::cano.outcome;
COMMENT ON FUNCTION cano.failed(text, jsonb) IS 'outcome: the run fails for this reason; nothing is retried';

CREATE FUNCTION cano.cancelled(reason text)
	RETURNS cano.outcome
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN ROW('cancelled', NULL, NULL, NULL, NULL, reason, NULL)::cano.outcome;
COMMENT ON FUNCTION cano.cancelled(text) IS 'outcome: the run is cancelled for this reason';
/*
 * Breakers: named, shared by every task that names them.
 */
CREATE FUNCTION cano.create_breaker(
	name text,
	failure_threshold integer DEFAULT 5,
	reset_timeout interval DEFAULT '30 s',
	half_open_max_calls integer DEFAULT 1)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_create_breaker';
COMMENT ON FUNCTION cano.create_breaker IS
	'create a circuit breaker, or change the one of that name: after so many failures in a row tasks that name it fail at once, until after a time a few calls may try again';

CREATE FUNCTION cano.drop_breaker(name text)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_drop_breaker';
COMMENT ON FUNCTION cano.drop_breaker IS
	'remove a circuit breaker; tasks that still name it fail';

CREATE FUNCTION cano._circuit(breaker bigint, OUT state text, OUT failures integer, OUT open_until timestamptz)
LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'cano_breaker_circuit';
COMMENT ON FUNCTION cano._circuit IS 'what a breaker does now, from shared memory';

CREATE VIEW cano.breakers WITH (security_barrier) AS
SELECT b.name,
	c.state,
	c.failures,
	b.failure_threshold,
	b.reset_timeout,
	b.half_open_max_calls,
	c.open_until
FROM cano._breaker b,
	LATERAL cano._circuit(b.id) c;
COMMENT ON VIEW cano.breakers IS 'the circuit breakers, which all share: an open one admits the next call at open_until';
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
/*
 * The verbs: submit, wait, work.  C functions take the caller's identity
 * themselves; none is SECURITY DEFINER.
 */
CREATE FUNCTION cano.submit(
	workflow text,
	input jsonb DEFAULT '{}',
	key text DEFAULT NULL,
	headers jsonb DEFAULT NULL,
	priority integer DEFAULT NULL,
	run_at timestamptz DEFAULT NULL,
	max_attempts integer DEFAULT NULL,
	version integer DEFAULT NULL,
	tags text[] DEFAULT NULL)
RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_submit';
COMMENT ON FUNCTION cano.submit IS
	'submit a run of a workflow in this transaction and return its id; it begins when the transaction commits. Without a priority the workflow''s own counts, by default 1000; lower goes first';

CREATE FUNCTION cano.submit_info(
	workflow text,
	input jsonb DEFAULT '{}',
	key text DEFAULT NULL,
	headers jsonb DEFAULT NULL,
	priority integer DEFAULT NULL,
	run_at timestamptz DEFAULT NULL,
	max_attempts integer DEFAULT NULL,
	version integer DEFAULT NULL,
	tags text[] DEFAULT NULL,
	OUT run_id bigint,
	OUT newly_submitted boolean)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_submit_info';
COMMENT ON FUNCTION cano.submit_info IS
	'cano.submit that also says whether this call began the run or its key belongs to one under way';

CREATE FUNCTION cano.submit_many(
	workflow text,
	inputs jsonb[],
	headers jsonb DEFAULT NULL,
	priority integer DEFAULT NULL,
	run_at timestamptz DEFAULT NULL,
	max_attempts integer DEFAULT NULL,
	version integer DEFAULT NULL,
	tags text[] DEFAULT NULL)
RETURNS SETOF bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_submit_many';
COMMENT ON FUNCTION cano.submit_many IS
	'submit one run for each input and return their ids in the order of the inputs';

CREATE FUNCTION cano.signal(run bigint, name text, payload jsonb DEFAULT NULL)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_signal_run';
COMMENT ON FUNCTION cano.signal(bigint, text, jsonb) IS
	'send a signal to a run; it is kept until received, first in first out. False for a run that has ended or does not exist';

CREATE FUNCTION cano.signal(key text, name text, payload jsonb DEFAULT NULL, workflow text DEFAULT NULL)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_signal_key';
COMMENT ON FUNCTION cano.signal(text, text, jsonb, text) IS
	'send a signal to the run that is under way with a key';

CREATE FUNCTION cano.cancel(run bigint, reason text DEFAULT NULL)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_cancel';
COMMENT ON FUNCTION cano.cancel IS
	'ask that a run stop, and interrupt what it is running when this transaction commits. False for a run that has ended or does not exist';

CREATE FUNCTION cano.resume(
	run bigint,
	state text DEFAULT NULL,
	data jsonb DEFAULT NULL,
	version integer DEFAULT NULL,
	force boolean DEFAULT false)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_resume';
COMMENT ON FUNCTION cano.resume(bigint, text, jsonb, integer, boolean) IS
	'let a failed or cancelled run go on from its last checkpoint or from a state, with its time over again and data merged over its own. False for a run that is under way';

CREATE FUNCTION cano.resume(
	run bigint,
	keep_results boolean,
	data jsonb DEFAULT NULL,
	force boolean DEFAULT false)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_resume_with_results';
COMMENT ON FUNCTION cano.resume(bigint, boolean, jsonb, boolean) IS
	'let a run that failed in a split or batch go on there; with keep_results branches and items that had succeeded are not run again';

CREATE FUNCTION cano.compensate(run bigint)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_compensate';
COMMENT ON FUNCTION cano.compensate IS
	'try again to undo what is left of a run that was rolled back in part. False for any other run';

CREATE FUNCTION cano.wait(run bigint, timeout interval DEFAULT '30 s')
RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_wait';
COMMENT ON FUNCTION cano.wait IS
	'wait until a run has ended and return its result, or raise its error. A SELECT that waits holds its snapshot, which keeps vacuum from cleaning up: for long waits CALL cano.await()';

CREATE PROCEDURE cano.await(run bigint, INOUT result jsonb DEFAULT NULL, timeout interval DEFAULT '30 s')
LANGUAGE c
AS 'MODULE_PATHNAME', 'cano_await';
COMMENT ON PROCEDURE cano.await IS
	'wait until a run has ended and return its result, or raise its error; holds no snapshot meanwhile';

CREATE PROCEDURE cano.work(max_steps integer DEFAULT NULL, max_time interval DEFAULT NULL)
LANGUAGE c
AS 'MODULE_PATHNAME', 'cano_work';
COMMENT ON PROCEDURE cano.work IS
	'be a worker for the current role in this session until nothing is due now';

CREATE PROCEDURE cano.orchestrate(workflow text, input jsonb DEFAULT '{}', INOUT result jsonb DEFAULT NULL)
LANGUAGE c
AS 'MODULE_PATHNAME', 'cano_orchestrate';
COMMENT ON PROCEDURE cano.orchestrate IS
	'submit a run and drive it to its end in this session, waiting for its timers; return its result or raise its error';
/*
 * Work for clients outside the database.
 */
CREATE FUNCTION cano.take(
	queue text,
	max integer DEFAULT 1,
	lease interval DEFAULT '1 min',
	OUT token text, OUT run_id bigint, OUT state text, OUT attempt integer,
	OUT data jsonb, OUT headers jsonb, OUT idempotency_key text, OUT lease_until timestamptz)
RETURNS SETOF record
LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1
AS 'MODULE_PATHNAME', 'cano_take';
COMMENT ON FUNCTION cano.take IS
	'take work of external states with that queue: nobody else gets it until the lease is over. No row where there is none';

CREATE FUNCTION cano.complete(token text, output jsonb DEFAULT NULL, next text DEFAULT NULL)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_complete';
COMMENT ON FUNCTION cano.complete IS
	'the work is done, when this transaction commits. False if the token is not good any more: then nothing has happened, and what was done for it should be rolled back';

CREATE FUNCTION cano.fail(token text, error text, retry boolean DEFAULT true)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_fail';
COMMENT ON FUNCTION cano.fail IS
	'the work failed; it is offered again by the state''s retry policy unless retry is false. False if the token is not good any more';

CREATE FUNCTION cano.extend(token text, lease interval)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_extend';
COMMENT ON FUNCTION cano.extend IS
	'the lease ends so much later than now. False if the token is not good any more: somebody else may have the work by now';
-- Inside a task: what it may ask about itself, and the store of its run.

CREATE FUNCTION cano.run_id() RETURNS bigint
	LANGUAGE c STABLE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'cano_context_run_id';
COMMENT ON FUNCTION cano.run_id() IS 'inside a task: its run';

CREATE FUNCTION cano.state() RETURNS text
	LANGUAGE c STABLE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'cano_context_state';
COMMENT ON FUNCTION cano.state() IS 'inside a task: the state it is called for';

CREATE FUNCTION cano.attempt() RETURNS integer
	LANGUAGE c STABLE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'cano_context_attempt';
COMMENT ON FUNCTION cano.attempt() IS 'inside a task: which attempt this is, from 1';

CREATE FUNCTION cano.data() RETURNS jsonb
	LANGUAGE c STABLE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'cano_context_data';
COMMENT ON FUNCTION cano.data() IS 'inside a task: the data of its run';

CREATE FUNCTION cano.idempotency_key() RETURNS text
	LANGUAGE c STABLE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'cano_context_idempotency_key';
COMMENT ON FUNCTION cano.idempotency_key() IS 'inside a task: a text that is the same for all attempts of this visit of the state, and for nothing else';

CREATE FUNCTION cano.put(key text, value jsonb) RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'cano_context_put';
COMMENT ON FUNCTION cano.put(text, jsonb) IS 'inside a task: keep a value under a key for later states of the run';

CREATE FUNCTION cano.get(key text) RETURNS jsonb
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'cano_context_fetch';
COMMENT ON FUNCTION cano.get(text) IS 'inside a task: the value kept under a key, or null';

CREATE FUNCTION cano.append(key text, value jsonb) RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'cano_context_append';
COMMENT ON FUNCTION cano.append(text, jsonb) IS 'inside a task: add an element to the list kept under a key';

CREATE FUNCTION cano.remove(key text) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'cano_context_remove';
COMMENT ON FUNCTION cano.remove(text) IS 'inside a task: forget a key; says whether it was there';

CREATE FUNCTION cano.keys() RETURNS text[]
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'cano_context_keys';
COMMENT ON FUNCTION cano.keys() IS 'inside a task: the keys under which the run keeps values, sorted';

CREATE FUNCTION cano.progress(done bigint, total bigint DEFAULT NULL, note text DEFAULT NULL) RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'cano_context_progress';
COMMENT ON FUNCTION cano.progress(bigint, bigint, text) IS 'inside a task: say how far it is; shown live in cano.activity';

CREATE FUNCTION cano.cancel_requested() RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'cano_cancel_requested';
COMMENT ON FUNCTION cano.cancel_requested() IS 'inside a task: has somebody asked that the run be cancelled?';

CREATE FUNCTION cano.resource(key text) RETURNS jsonb
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'cano_resource';
COMMENT ON FUNCTION cano.resource(text) IS 'inside a task: the value of one of the workflow''s resources';

-- Not inside a task.

CREATE FUNCTION cano.check_resources(workflow text, OUT name text, OUT status text, OUT reason text)
	RETURNS SETOF record
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'cano_check_resources';
COMMENT ON FUNCTION cano.check_resources(text) IS 'calls the health functions of a workflow''s resources, with the rights of the caller; the worst come first';
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
		WHEN t.waiting NOT IN ('o', 'q') THEN 'waiting'
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
	coalesce(a.progress, f.progress) AS progress
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
	r.cleared
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
		WHEN t.id IS NOT NULL THEN 'waiting'
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
/*
 * Administration: what the owner of the extension does now and then.
 */
CREATE FUNCTION cano._look() RETURNS void
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'cano_look';
COMMENT ON FUNCTION cano._look IS 'let the launcher look for work in this database after this transaction';

/*
 * Runs carry the identity of the server that may run them, so that a copy of
 * a database (a restored dump, a clone, an upgraded cluster) does not run what
 * the original may still be running.  Roles have other numbers there, too: a
 * role counts as the owner if it has the name.
 */
CREATE FUNCTION cano.adopt() RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_here bigint := (SELECT s.system_identifier FROM pg_control_system() s);
	v_runs bigint[];
BEGIN
	UPDATE cano._workflow w
	SET owner = a.oid, origin = v_here
	FROM pg_roles a
	WHERE a.rolname = w.owner_name AND w.origin <> v_here;
	UPDATE cano._breaker b
	SET owner = a.oid, origin = v_here
	FROM pg_roles a
	WHERE a.rolname = b.owner_name AND b.origin <> v_here;
	UPDATE cano._limiter l
	SET owner = a.oid, origin = v_here
	FROM pg_roles a
	WHERE a.rolname = l.owner_name AND l.origin <> v_here;
	UPDATE cano._observer o
	SET owner = a.oid, origin = v_here
	FROM pg_roles a
	WHERE a.rolname = o.owner_name AND o.origin <> v_here;

	WITH adopted AS (
		UPDATE cano._run r
		SET owner = a.oid, origin = v_here
		FROM pg_roles a
		WHERE a.rolname = r.owner_name AND r.origin <> v_here
		RETURNING r.id, r.status)
	SELECT coalesce(array_agg(d.id), '{}') INTO v_runs
	FROM adopted d WHERE d.status = 'active';

	UPDATE cano._key k SET owner = r.owner
	FROM cano._run r WHERE r.id = k.run AND k.run = ANY (v_runs);
	-- Runs that have ended may have jobs, too.
	UPDATE cano._job j SET owner = r.owner
	FROM cano._run r WHERE r.id = j.run AND r.origin = v_here AND j.owner <> r.owner;
	UPDATE cano._timer t SET owner = r.owner
	FROM cano._run r WHERE r.id = t.run AND r.origin = v_here AND t.owner <> r.owner;
	UPDATE cano._work w SET owner = r.owner
	FROM cano._run r WHERE r.id = w.run AND w.run = ANY (v_runs);

	-- What was parked when a worker came upon it is due.
	UPDATE cano._timer t SET due_at = now(), waiting = 'r'
	FROM cano._run r WHERE r.id = t.run AND r.origin = v_here AND t.waiting = 'o';

	PERFORM cano._look();
	RETURN cardinality(v_runs);
END
$$;
COMMENT ON FUNCTION cano.adopt IS
	'after a restore, clone or upgrade: let this server run the unfinished runs it found; returns how many';
/*
 * Rights.  Nothing is granted to PUBLIC; grant_usage() gives a role the
 * public surface, and nothing private.  Must be last: it looks at everything
 * that the parts before it made.
 */
CREATE FUNCTION cano._guard() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'cano_guard';
COMMENT ON FUNCTION cano._guard IS 'only the engine writes to the private tables';

CREATE FUNCTION cano._usage(role regrole, granting boolean) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_verb text := CASE WHEN granting THEN 'GRANT %s %s TO %s' ELSE 'REVOKE %s %s FROM %s' END;
	v_object record;
BEGIN
	IF NOT pg_has_role((SELECT e.extowner FROM pg_extension e WHERE e.extname = 'cano'), 'USAGE') THEN
		RAISE EXCEPTION 'permission denied to change who may use cano'
			USING ERRCODE = 'insufficient_privilege',
				HINT = 'Ask the owner of the extension.';
	END IF;

	EXECUTE format(v_verb, 'USAGE', 'ON SCHEMA cano', role);
	FOR v_object IN
		SELECT 'EXECUTE' AS what,
			format('ON %s cano.%I(%s)',
				CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END,
				p.proname, pg_get_function_identity_arguments(p.oid)) AS object
		FROM pg_proc p
		WHERE p.pronamespace = 'cano'::regnamespace
			AND (p.proname NOT LIKE '\_%' OR p.proname = ANY ('{_available,_can_see,_circuit,_part,_slots}'))
			AND p.proname <> ALL ('{adopt,grant_usage,revoke_usage}')
		UNION ALL
		SELECT 'USAGE', 'ON TYPE cano.outcome'
		UNION ALL
		SELECT 'SELECT', format('ON TABLE cano.%I', c.relname)
		FROM pg_class c
		WHERE c.relnamespace = 'cano'::regnamespace AND c.relkind = 'v'
	LOOP
		EXECUTE format(v_verb, v_object.what, v_object.object, role);
	END LOOP;
END
$$;
COMMENT ON FUNCTION cano._usage IS 'grant the public surface to a role, or revoke it';

CREATE FUNCTION cano.grant_usage(role regrole) RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
	SELECT cano._usage(role, true);
END;
COMMENT ON FUNCTION cano.grant_usage IS 'let a role define workflows and submit runs';

CREATE FUNCTION cano.revoke_usage(role regrole) RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
	SELECT cano._usage(role, false);
END;
COMMENT ON FUNCTION cano.revoke_usage IS 'take back what cano.grant_usage() gave';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA cano FROM PUBLIC;
REVOKE ALL ON ALL PROCEDURES IN SCHEMA cano FROM PUBLIC;
REVOKE ALL ON TYPE cano.outcome FROM PUBLIC;

DO $$
DECLARE
	v_table record;
BEGIN
	FOR v_table IN
		SELECT c.oid::pg_catalog.regclass AS name, c.relkind
		FROM pg_catalog.pg_class c
		WHERE c.relnamespace OPERATOR(pg_catalog.=) 'cano'::pg_catalog.regnamespace
			AND c.relkind IN ('r', 'S')
	LOOP
		PERFORM pg_catalog.pg_extension_config_dump(v_table.name, '');
		IF v_table.relkind OPERATOR(pg_catalog.=) 'r' THEN
			-- A table of somebody's that used the row type would stand in the
			-- way of DROP EXTENSION.
			EXECUTE pg_catalog.format('REVOKE ALL ON TYPE %s FROM PUBLIC', v_table.name);
			EXECUTE pg_catalog.format(
				'CREATE TRIGGER _guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s'
				' FOR EACH STATEMENT EXECUTE FUNCTION cano._guard()', v_table.name);
			EXECUTE pg_catalog.format(
				'ALTER TABLE %s ENABLE ALWAYS TRIGGER _guard', v_table.name);
		END IF;
	END LOOP;
END
$$;
