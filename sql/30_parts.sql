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
