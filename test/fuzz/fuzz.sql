-- What the definitions and the runs that are fuzzed have to do with.  A
-- statement ends at an empty line: this is read by a server that stands alone.

CREATE EXTENSION cano;

CREATE PROCEDURE fuzz(target text, arguments text[]) LANGUAGE c AS '$libdir/cano', 'cano_fuzz';

SELECT cano.create_breaker('b', failure_threshold => 2147483647);

SELECT cano.create_limiter('b', rate => 2000000000, per => '1 us');

-- One for each use, and each way to give an answer: "value" is what it is.  A
-- parameter alone, if jsonb, would be all data.

CREATE FUNCTION f_jsonb(value jsonb) RETURNS jsonb LANGUAGE sql RETURN value;

CREATE FUNCTION f_value(value jsonb, attempt integer) RETURNS jsonb LANGUAGE sql RETURN value;

CREATE FUNCTION f_json(value jsonb, attempt integer) RETURNS json LANGUAGE sql RETURN value::json;

CREATE FUNCTION f_void(value integer DEFAULT NULL) RETURNS void LANGUAGE sql AS '';

CREATE FUNCTION f_outcome(value jsonb, attempt integer) RETURNS cano.outcome LANGUAGE sql RETURN jsonb_populate_record(NULL::cano.outcome, value);

CREATE FUNCTION f_text(value jsonb, attempt integer) RETURNS text LANGUAGE sql RETURN value #>> '{}';

CREATE FUNCTION f_name(value jsonb, attempt integer) RETURNS name LANGUAGE sql RETURN (value #>> '{}')::name;

CREATE FUNCTION f_interval(value jsonb, attempt integer) RETURNS interval LANGUAGE sql RETURN (value #>> '{}')::interval;

CREATE FUNCTION f_timestamptz(value jsonb, attempt integer) RETURNS timestamptz LANGUAGE sql RETURN (value #>> '{}')::timestamptz;

CREATE FUNCTION f_boolean(value jsonb, attempt integer) RETURNS boolean LANGUAGE sql RETURN (value #>> '{}')::boolean;

CREATE FUNCTION f_integer(value jsonb, attempt integer) RETURNS integer LANGUAGE sql RETURN (value #>> '{}')::integer;

CREATE FUNCTION f_numeric(value jsonb, attempt integer) RETURNS numeric LANGUAGE sql RETURN (value #>> '{}')::numeric;

CREATE FUNCTION f_float(value jsonb, attempt integer) RETURNS float8 LANGUAGE sql RETURN (value #>> '{}')::float8;

CREATE FUNCTION f_array(value jsonb, attempt integer) RETURNS text[] LANGUAGE sql RETURN (value #>> '{}')::text[];

CREATE FUNCTION f_rows(value jsonb, attempt integer) RETURNS SETOF jsonb LANGUAGE sql ROWS 5 BEGIN ATOMIC SELECT e FROM jsonb_array_elements(value) AS e; END;

CREATE FUNCTION f_records(value jsonb, attempt integer) RETURNS TABLE (key text, value jsonb) LANGUAGE sql ROWS 5 BEGIN ATOMIC SELECT * FROM jsonb_each(value); END;

CREATE DOMAIN outcome_domain AS cano.outcome CHECK ((VALUE).kind <> 'a');

CREATE FUNCTION f_domain(value jsonb, attempt integer) RETURNS outcome_domain LANGUAGE sql RETURN jsonb_populate_record(NULL::cano.outcome, value)::outcome_domain;

CREATE TYPE mood AS ENUM ('a', 'b');

CREATE DOMAIN positive AS integer CHECK (VALUE > 0);

CREATE TYPE pair AS (a integer, b positive);

CREATE FUNCTION f_typed(a integer DEFAULT 1, b text[] DEFAULT NULL, c interval DEFAULT NULL, d date DEFAULT NULL, e numeric DEFAULT 0.5, f cano.outcome DEFAULT NULL, g mood DEFAULT 'a', h int4range DEFAULT NULL, i positive DEFAULT NULL, j pair DEFAULT NULL, k bytea DEFAULT NULL, l timestamptz DEFAULT NULL, m jsonb DEFAULT NULL, n json DEFAULT NULL, o varchar DEFAULT NULL) RETURNS jsonb LANGUAGE sql RETURN jsonb_build_array(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o);

CREATE FUNCTION f_reserved(data jsonb, input jsonb, output jsonb, cursor jsonb, item jsonb, outputs jsonb, signal jsonb, headers jsonb, resources jsonb, run_id bigint, workflow text, state text, attempt integer, branch integer, idempotency_key text) RETURNS jsonb LANGUAGE sql RETURN jsonb_build_array(data, input, output, cursor, item, outputs, signal, headers, resources, run_id, workflow, state, attempt, branch, idempotency_key);

CREATE FUNCTION f_unnamed(jsonb) RETURNS jsonb LANGUAGE sql RETURN $1;

CREATE FUNCTION f_strict(value integer) RETURNS integer STRICT LANGUAGE sql RETURN value;

CREATE FUNCTION f_variadic(VARIADIC value text[]) RETURNS text[] LANGUAGE sql RETURN value;

CREATE FUNCTION f_defaults(a integer, b integer DEFAULT 2, c integer DEFAULT 3) RETURNS integer LANGUAGE sql RETURN a + b + c;

CREATE FUNCTION f_event(event jsonb) RETURNS void LANGUAGE sql AS '';

CREATE FUNCTION f_context(value jsonb, attempt integer) RETURNS jsonb LANGUAGE sql BEGIN ATOMIC SELECT jsonb_build_array(cano.run_id(), cano.state(), cano.attempt(), cano.data(), cano.idempotency_key()); END;

-- What cannot be a task, or is not easily found.

CREATE FUNCTION f_twice(value integer) RETURNS integer LANGUAGE sql RETURN value;

CREATE FUNCTION f_twice(value text) RETURNS text LANGUAGE sql RETURN value;

CREATE PROCEDURE f_procedure(value jsonb) LANGUAGE sql AS '';

CREATE AGGREGATE f_sum(integer) (SFUNC = int4pl, STYPE = integer);

CREATE FUNCTION f_window() RETURNS bigint WINDOW LANGUAGE internal AS 'window_row_number';

CREATE FUNCTION f_trigger() RETURNS trigger LANGUAGE internal AS 'suppress_redundant_updates_trigger';

CREATE FUNCTION f_set() RETURNS SETOF integer LANGUAGE sql RETURN 1;

CREATE FUNCTION f_out(value jsonb, attempt integer, OUT a text, OUT b text) LANGUAGE sql AS 'SELECT value ->> ''a'', value ->> ''b''';

CREATE FUNCTION f_polymorphic(value anyelement) RETURNS anyelement LANGUAGE sql AS 'SELECT value';

CREATE FUNCTION f_two_unnamed(integer, integer) RETURNS integer LANGUAGE sql RETURN 1;

CREATE SCHEMA odd;

CREATE FUNCTION odd."A (odd, "" name)"("a param" jsonb) RETURNS jsonb LANGUAGE sql RETURN "a param";

CREATE FUNCTION pg_temp.state(kind text, run text, more jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql RETURN jsonb_build_object('kind', kind, 'run', run, 'next', 'done') || more;

-- A state for each function, and one of each kind.

SELECT cano.define('runs', jsonb_build_object('start', 'outcome', 'states',
	(SELECT jsonb_object_agg(f, pg_temp.state('task', 'f_' || f))
	 FROM unnest('{array, boolean, context, defaults, domain, float, integer, interval, json, jsonb, name, numeric, out, outcome, reserved, strict, text, typed, unnamed, value, variadic, void}'::text[]) AS f)
	|| jsonb_build_object(
		'outcome_targets', pg_temp.state('task', 'f_outcome', '{"targets": ["text", "failed"]}'),
		'odd', pg_temp.state('task', 'odd."A (odd, "" name)"'),
		'keyed', pg_temp.state('task', 'f_outcome', '{"output_key": "a"}'),
		'undone', pg_temp.state('task', 'f_outcome', '{"compensate": "f_outcome", "compensate_retry": {"policy": "fixed", "retries": 2, "delay": "1 s"}, "breaker": "b", "limiter": "b"}'),
		'router', '{"kind": "router", "run": "f_outcome"}'::jsonb,
		'router_name', '{"kind": "router", "run": "f_name", "targets": ["text", "done"]}'::jsonb,
		'router_text', '{"kind": "router", "run": "f_text"}'::jsonb,
		'stepped', pg_temp.state('stepped', 'f_outcome', '{"compensate": "f_reserved"}'),
		'poll', pg_temp.state('poll', 'f_outcome', '{"max_errors": 2}'),
		'poll_boolean', pg_temp.state('poll', 'f_boolean'),
		'timer', pg_temp.state('timer', 'f_interval'),
		'timer_until', pg_temp.state('timer', 'f_timestamptz'),
		'batch_array', '{"kind": "batch", "load": "f_array", "process": "f_unnamed", "next": "done"}'::jsonb,
		'batch_jsonb', '{"kind": "batch", "load": "f_value", "process": "f_jsonb", "finish": "f_unnamed", "next": "done"}'::jsonb,
		'batch_rows', '{"kind": "batch", "load": "f_rows", "process": "f_outcome", "finish": "f_outcome", "next": "done"}'::jsonb,
		'batch_records', '{"kind": "batch", "load": "f_records", "process": "f_void", "finish": "f_void", "next": "done"}'::jsonb,
		'split', '{"kind": "split", "tasks": ["f_value", "f_void", {"run": "f_outcome", "input": {"a": 1}, "retry": {"policy": "none"}}], "join": {"strategy": "any"}, "next": "done"}'::jsonb,
		'receive', '{"kind": "receive", "signal": "s", "next": "done", "output_key": "b"}'::jsonb,
		'external', '{"kind": "external", "queue": "q", "next": "done", "targets": ["undo", "failed"], "compensate": "f_void"}'::jsonb,
		'undo', '{"kind": "exit"}'::jsonb,
		'done', '{"kind": "exit"}'::jsonb,
		'failed', '{"kind": "exit", "outcome": "failed"}'::jsonb,
		'cancelled', '{"kind": "exit", "outcome": "cancelled"}'::jsonb)));
