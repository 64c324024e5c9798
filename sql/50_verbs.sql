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
