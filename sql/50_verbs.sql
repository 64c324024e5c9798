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
'submit a run of a workflow, in this transaction, and return its id. It begins when the transaction commits, and runs
as the current role.
Raises CN404 where there is no such workflow or version, CN001 for arguments that are wrong, CN409 for a key that is
in use with another input, 42501 for a role that may not log in
workflow: its name
input: a JSON object, the data that the run begins with
key: a name of the caller''s. While a run of this role and workflow with that key has not ended, the same input gives
that run''s id and submits nothing
headers: a JSON object that tasks are given as the parameter "headers"; keys that begin with "workflow." are refused
priority: lower goes first; null: that of cano.options, 1000 by default
run_at: when it begins; null: now
max_attempts: how many attempts every state may make, whatever its retry policy says; null: as that says
version: of the workflow; null: the current one
tags: for the caller''s own use; shown in cano.runs';

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
'cano.submit that also says whether it submitted anything: newly_submitted is false if the key belongs to a run under
way, whose id run_id is then
workflow: its name
input: a JSON object, the data that the run begins with
key: a name of the caller''s, as in cano.submit
headers: a JSON object that tasks are given as the parameter "headers"
priority: lower goes first; null: that of cano.options, 1000 by default
run_at: when it begins; null: now
max_attempts: how many attempts every state may make; null: as its retry policy says
version: of the workflow; null: the current one
tags: for the caller''s own use; shown in cano.runs';

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
'submit a run for each input, as cano.submit does, and return their ids in the order of the inputs
workflow: its name
inputs: JSON objects
headers: of all of them, a JSON object that tasks are given as the parameter "headers"
priority: lower goes first; null: that of cano.options, 1000 by default
run_at: when they begin; null: now
max_attempts: how many attempts every state may make; null: as its retry policy says
version: of the workflow; null: the current one
tags: for the caller''s own use; shown in cano.runs';

CREATE FUNCTION cano.signal(run bigint, name text, payload jsonb DEFAULT NULL)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_signal_run';
COMMENT ON FUNCTION cano.signal(bigint, text, jsonb) IS
'send a signal to a run when this transaction commits. It is kept until received; of one name, first in first out.
False for a run that has ended or does not exist
run: the run
name: the name that a receive state waits for
payload: what that state returns, and later states are given as the parameter "signal"';

CREATE FUNCTION cano.signal(key text, name text, payload jsonb DEFAULT NULL, workflow text DEFAULT NULL)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_signal_key';
COMMENT ON FUNCTION cano.signal(text, text, jsonb, text) IS
'send a signal to the run that is under way with a key. False where there is none; raises CN001 where there are
several
key: what it was submitted with
name: the name that a receive state waits for
payload: what that state returns, and later states are given as the parameter "signal"
workflow: of which workflow; null: of any';

CREATE FUNCTION cano.cancel(run bigint, reason text DEFAULT NULL)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_cancel';
COMMENT ON FUNCTION cano.cancel IS
'ask that a run stop, and interrupt what it is running, when this transaction commits. It is rolled back and ends as
cancelled, and so do its children. True if that has begun or goes on; false for a run that has ended, fails already,
or does not exist
run: the run
reason: shown as cancel_reason';

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
'let a run that failed or was cancelled go on, when this transaction commits, with its time over again. False for a
run that is under way.
Raises CN404 for an unknown run, CN007 for one whose log is cleared, as it is by completion and by a clean rollback,
CN002 for an unknown state, CN009 for another version without force, CN008 for a run that was rolled back in part
without force, CN409 when another run has its key meanwhile
run: the run
state: where it goes on; null: where it ended
data: a JSON object that is merged over its data
version: with which version of its workflow; null: its own
force: lets another version take over, and a run that was rolled back in part go forward';

CREATE FUNCTION cano.resume(
	run bigint,
	keep_results boolean,
	data jsonb DEFAULT NULL,
	force boolean DEFAULT false)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_resume_with_results';
COMMENT ON FUNCTION cano.resume(bigint, boolean, jsonb, boolean) IS
'let a run that ended in a split or batch go on there, as the other cano.resume does
run: the run
keep_results: branches and items that had succeeded are not run again
data: a JSON object that is merged over its data
force: lets a run that was rolled back in part go forward';

CREATE FUNCTION cano.compensate(run bigint)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_compensate';
COMMENT ON FUNCTION cano.compensate IS
'try again to undo what is left of a run that ended with rollback partial. True if that has begun; false for any
other run';

CREATE FUNCTION cano.wait(run bigint, timeout interval DEFAULT '30 s')
RETURNS jsonb
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_wait';
COMMENT ON FUNCTION cano.wait IS
'wait until a run has ended and return its result, or raise its error. A SELECT that waits holds its snapshot and so
pins the vacuum horizon: meanwhile vacuum cannot remove rows that died since. CALL cano.await() does not.
Raises CN408 when the time is over, the SQLSTATE of the error''s category for a run that failed or was cancelled,
CN404 for an unknown run, 55000 for one that this transaction submitted
run: the run
timeout: how long to wait; null: for ever';

CREATE PROCEDURE cano.await(run bigint, INOUT result jsonb DEFAULT NULL, timeout interval DEFAULT '30 s')
LANGUAGE c
AS 'MODULE_PATHNAME', 'cano_await';
COMMENT ON PROCEDURE cano.await IS
'wait until a run has ended and return its result, or raise its error, as cano.wait does. It commits, holds no
snapshot while it waits, and so leaves the vacuum horizon alone; it cannot run inside a transaction block or a
function
run: the run
result: null; the run''s result comes back in it
timeout: how long to wait; null: for ever';

CREATE PROCEDURE cano.work(max_steps integer DEFAULT NULL, max_time interval DEFAULT NULL)
LANGUAGE c
AS 'MODULE_PATHNAME', 'cano_work';
COMMENT ON PROCEDURE cano.work IS
'be a worker for the current role in this session until nothing is due now. It commits, and cannot run inside a
transaction block or a function. Works without preload, and with cano.enabled off
max_steps: stop after so many steps; null: no limit
max_time: begin nothing more after this long; null: no limit';

CREATE PROCEDURE cano.orchestrate(workflow text, input jsonb DEFAULT '{}', INOUT result jsonb DEFAULT NULL)
LANGUAGE c
AS 'MODULE_PATHNAME', 'cano_orchestrate';
COMMENT ON PROCEDURE cano.orchestrate IS
'submit a run and drive it to its end in this session, waiting for its timers; return its result or raise its error.
It commits, and cannot run inside a transaction block or a function. Background workers may help
workflow: its name
input: a JSON object, the data that the run begins with
result: null; the run''s result comes back in it';
