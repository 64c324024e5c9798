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
