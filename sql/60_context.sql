-- Inside a task: what it may ask about itself, and the store of its run.

CREATE FUNCTION cano.run_id() RETURNS bigint
	LANGUAGE c STABLE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'cano_context_run_id';
COMMENT ON FUNCTION cano.run_id() IS 'inside a task: the id of its run';

CREATE FUNCTION cano.state() RETURNS text
	LANGUAGE c STABLE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'cano_context_state';
COMMENT ON FUNCTION cano.state() IS
'inside a task: the name of the state it is called for; in a compensation, of the one that is undone';

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
COMMENT ON FUNCTION cano.idempotency_key() IS
'inside a task: a text that is the same for all attempts of this visit of the state, and for nothing else. For
systems outside, where effects may come twice';

CREATE FUNCTION cano.put(key text, value jsonb) RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'cano_context_put';
COMMENT ON FUNCTION cano.put(text, jsonb) IS
'inside a task: keep a value for later states and other branches of the run
key: its name, of 1 to 1,000 characters
value: what replaces the value kept under that key';

CREATE FUNCTION cano.get(key text) RETURNS jsonb
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'cano_context_fetch';
COMMENT ON FUNCTION cano.get(text) IS 'inside a task: the value that its run keeps under a key, or null';

CREATE FUNCTION cano.append(key text, value jsonb) RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'cano_context_append';
COMMENT ON FUNCTION cano.append(text, jsonb) IS
'inside a task: add an element to the list that its run keeps under a key. Raises CN010 if something else is there
key: its name; where there is nothing yet, a list begins
value: the element';

CREATE FUNCTION cano.remove(key text) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'cano_context_remove';
COMMENT ON FUNCTION cano.remove(text) IS
'inside a task: forget what its run keeps under a key. False if there was nothing';

CREATE FUNCTION cano.keys() RETURNS text[]
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'cano_context_keys';
COMMENT ON FUNCTION cano.keys() IS 'inside a task: the keys under which its run keeps values, sorted';

CREATE FUNCTION cano.progress(done bigint, total bigint DEFAULT NULL, note text DEFAULT NULL) RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'cano_context_progress';
COMMENT ON FUNCTION cano.progress(bigint, bigint, text) IS
'inside a task: say how far it is. Shown live in cano.activity and by cano.status
done: how much is done
total: of how much; null: not known
note: a remark';

CREATE FUNCTION cano.cancel_requested() RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'cano_cancel_requested';
COMMENT ON FUNCTION cano.cancel_requested() IS 'inside a task: has somebody asked that the run be cancelled?';

CREATE FUNCTION cano.resource(key text) RETURNS jsonb
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'cano_resource';
COMMENT ON FUNCTION cano.resource(text) IS
'inside a task: the value of one of the workflow''s resources in this run. Raises CN010 where it has none of that name';

-- Not inside a task.

CREATE FUNCTION cano.check_resources(workflow text, OUT name text, OUT status text, OUT reason text)
	RETURNS SETOF record
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'cano_check_resources';
COMMENT ON FUNCTION cano.check_resources(text) IS
'call the health functions of a workflow''s resources, with the rights of the caller. Returns the name of each, its
status (healthy, degraded or unhealthy) and the reason; the worst come first';
