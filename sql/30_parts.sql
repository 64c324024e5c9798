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
COMMENT ON FUNCTION cano.none() IS 'retry policy: the first attempt is the only one';

CREATE FUNCTION cano.fixed(retries integer, delay interval)
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cano._part('policy', 'fixed', 'retries', retries, 'delay', delay);
COMMENT ON FUNCTION cano.fixed(integer, interval) IS
'retry policy: so many more attempts, always after the same delay
retries: how many attempts may follow the first
delay: how long to wait before each of them';

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
'retry policy: so many more attempts, after delays that grow
retries: how many attempts may follow the first
base: the delay before the second attempt; null: 100 ms
multiplier: how many times as long each delay is as the one before; null: 2
max: the longest delay; null: 30 s
jitter: delays are longer or shorter by a random share of up to this, from 0 to 1; null: 0.1';

-- Joins

CREATE FUNCTION cano.all()
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cano._part('strategy', 'all');
COMMENT ON FUNCTION cano.all() IS 'join: all branches must succeed';

CREATE FUNCTION cano.any()
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cano._part('strategy', 'any');
COMMENT ON FUNCTION cano.any() IS 'join: the first branch that succeeds is enough; the others are cancelled';

CREATE FUNCTION cano.quorum(n integer)
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cano._part('strategy', 'quorum', 'n', n);
COMMENT ON FUNCTION cano.quorum(integer) IS 'join: at least n branches must succeed; all are waited for';

CREATE FUNCTION cano.percentage(p double precision)
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cano._part('strategy', 'percentage', 'p', p);
COMMENT ON FUNCTION cano.percentage(double precision) IS
'join: at least this share of the branches must succeed, above 0 and at most 1; all are waited for';

CREATE FUNCTION cano.partial(n integer)
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cano._part('strategy', 'partial', 'n', n);
COMMENT ON FUNCTION cano.partial(integer) IS 'join: n branches that succeed are enough; the others are cancelled';

CREATE FUNCTION cano.partial_timeout()
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cano._part('strategy', 'partial_timeout');
COMMENT ON FUNCTION cano.partial_timeout() IS
'join: go on with what there is when the split''s timeout is over, or all have ended; fails only if no branch has
ended by then';

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
'one branch of a split, with settings of its own
run: the function, by name, or with the types of its parameters where there are several of that name
retry: its retry policy; null: that of cano.options, which is cano.exponential(3) by default
timeout: how long one attempt may take; null: as long as the split
breaker: the breaker that its attempts go through
limiter: the limiter that lets its attempts begin
input: a JSON object that is merged over the run''s data for this branch only';

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
'one of a workflow''s resources, for cano.options: a value that its tasks read with cano.resource()
name: the key that tasks ask for
value: what they get, unless there is a setup
setup: a function called before the first state; what it returns is the value in that run
teardown: a function called after any end of the run
health: a function that cano.check_resources calls';

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
'a state that calls a function and goes to the next state
state: its name
run: the function, by name, or with the types of its parameters where there are several of that name
next: the state that follows unless the function names another
targets: the states that the function may name besides next; null: any
compensate: a function that undoes this state when the run is rolled back
compensate_retry: the retry policy of that; null: one attempt
retry: the retry policy; null: that of cano.options, which is cano.exponential(3) by default
timeout: how long one attempt may take; null: no limit
breaker: the breaker that attempts go through
limiter: the limiter that lets attempts begin
output_key: where the output is stored in the data; null: an object is merged, anything else stored under the
state''s name
fatal_on: SQLSTATEs, or classes of two characters, that are not retried';

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
'a state that only chooses the next one: its function returns the name, or cano.next(). It leaves no checkpoint
state: its name
run: the function
targets: the states that it may choose; null: any
retry: the retry policy; null: that of cano.options, which is cano.exponential(3) by default
timeout: how long one attempt may take; null: no limit';

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
'a state that runs branches in parallel and joins them. Its output is an array with what each branch returned, in
their order; null for those that failed or were cancelled
state: its name
tasks: the branches: cano.branch(...), or a JSON string with the name of a function
join: when it is a success; null: cano.all()
next: the state that follows
timeout: how long all branches together may take; null: no limit
bulkhead: how many branches may be under way at once; null: all
output_key: where the output is stored in the data; null: under the state''s name';

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
'a state that runs functions in parallel and joins them, as cano.split with cano.branch(function) for each
state: its name
tasks: the functions
join: when it is a success; null: cano.all()
next: the state that follows
timeout: how long all branches together may take; null: no limit
bulkhead: how many branches may be under way at once; null: all
output_key: where the output is stored in the data; null: under the state''s name';

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
'a state that calls a function again and again, each time with the cursor that it returned by cano.more(); it goes on
from there after a crash
state: its name
run: the function; its parameter "cursor" is null at first
next: the state that follows unless the function names another
targets: the states that the function may name besides next; null: any
retry: the retry policy of each call; null: that of cano.options, which is cano.exponential(3) by default
timeout: how long one call may take; null: no limit
compensate: a function that undoes this state when the run is rolled back';

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
'a state whose function is asked again until it is ready. It holds no worker in between. Not ready is false or
cano.pending(); ready is true, or what is then the output
state: its name
run: the function
next: the state that follows unless the function names another
targets: the states that the function may name besides next; null: any
max_errors: how many errors in a row are forgiven and asked again at once
timeout: how long one attempt, which is all its asking, may take; null: no limit
retry: the retry policy; an attempt begins to ask anew';

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
'a state that loads items, processes each, and finishes with all results in the order of the items. What is processed
stays so after a crash
state: its name
load: a function that returns the items: a set of rows, an array or a JSON array
process: a function called for each, with the parameter "item"
finish: a function called with the parameter "outputs", a JSON array of {"ok": value} or {"error": {...}}; null:
that array is the output
next: the state that follows unless finish names another
targets: the states that finish may name besides next; null: any
concurrency: how many items may be under way at once
item_retry: the retry policy of an item; one that fails for good is an error in the outputs, and fails the batch
only by a panic (SQLSTATE class XX, P0004)
retry: the retry policy of the state, which loads and processes everything again; null: that of cano.options, which
is cano.exponential(3) by default
timeout: how long one attempt, which is all of it, may take; null: no limit';

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
'a state that waits for a time and holds no worker meanwhile. Takes one of delay, until and run
state: its name
delay: how long to wait
until: the point in time to wait for
run: a function that returns one or the other
next: the state that follows';

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
'a state that waits for a signal, sent by cano.signal(), and holds no worker meanwhile. The payload is its output
state: its name
signal: the name of the signal
next: the state that follows
timeout: how long to wait; null: for ever
on_timeout: the state that follows when that is over; null: the run fails
output_key: where the payload is stored in the data; null: an object is merged, anything else stored under the
state''s name';

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
'a state that runs another workflow and waits for it. Its result is the output. It is cancelled with its parent
state: its name
workflow: the workflow, looked up when the run gets here
next: the state that follows
input_key: the key of the data with the child''s input; null: all of the data
output_key: where the result is stored in the data; null: it is merged
on_failure: the state that follows when the child does not complete; null: the run fails with its error';

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
'a state whose work is done by a client outside the database, which calls cano.take() and cano.complete() or
cano.fail()
state: its name
queue: the name by which clients ask for the work
next: the state that follows unless the client names another
targets: the states that the client may name besides next; null: any
compensate: a function that undoes this state when the run is rolled back
retry: the retry policy; a lease that expires is a failed attempt; null: that of cano.options, which is
cano.exponential(3) by default
timeout: how long one attempt, from its offer to its answer, may take; null: no limit';

CREATE FUNCTION cano.exit(state text, outcome text DEFAULT 'completed')
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN cano._part('kind', 'exit', 'state', state, 'outcome', outcome);
COMMENT ON FUNCTION cano.exit(text, text) IS
'a state that ends the run
state: its name
outcome: completed, failed or cancelled; what is not completed is rolled back';

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
'settings of the workflow as a whole; one more part for cano.define
start: the state where runs begin; null: the first one
timeout: how long a run may take; null: no limit
on_timeout: what happens then: compensate rolls the run back, abandon leaves it as it is, to be resumed
compensation_timeout: how long a rollback may take; null: half of timeout, at most 30 s, or without timeout no limit
retry: the retry policy of tasks, routers, branches, stepped, batch and external states that have none; null:
cano.exponential(3)
priority: of runs that are submitted without; lower goes first; null: 1000
concurrency: how many runs may be under way at once; the others are queued; null: no limit
keep: how long runs stay after their end; null: 30 days
log: which events are kept: none, errors or all; null: errors
on_end: a function called once after each end of a run; it may also have the parameters status, result, error and
final_state
resources: values that tasks share: an array of cano.with_resource(...)
durability: async lets commits not wait for the disk; null: sync';

-- Definitions

CREATE FUNCTION cano.define(workflow text, VARIADIC parts jsonb[] DEFAULT '{}')
RETURNS integer
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'cano_define';
COMMENT ON FUNCTION cano.define(text, jsonb[]) IS
'check a workflow as a whole and store it as a new version, unless it equals the current one. Returns the number of
the version.
Raises CN001 for what is wrong with it, 42501 when the workflow is another role''s
workflow: its name, of 1 to 1,000 characters
parts: states, of which the first is where runs begin, and cano.options(...); or one document with all of them, as
cano.definition returns it';

CREATE FUNCTION cano.definition(workflow text, version integer DEFAULT NULL)
RETURNS jsonb
LANGUAGE c STABLE
AS 'MODULE_PATHNAME', 'cano_definition';
COMMENT ON FUNCTION cano.definition(text, integer) IS
'the document of a workflow, which cano.define takes. Raises CN404 where there is none
workflow: its name
version: which version; null: the current one';
