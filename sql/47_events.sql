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
'have a function called with events, in the transaction of the step that they are about; or change the observer of
that name, which its owner may do. It is called with the rights of the run, for runs of the caller, and for all if
the caller is a superuser. What it raises is logged and harms no run
name: its name, of 1 to 1,000 characters
run: the function, of one jsonb, or of parameters named like the columns of cano.events
events: which ones: state_enter, task_start, task_success, task_failure, retry, circuit_open, checkpoint, resume,
workflow_timeout, cancelled, ended; null: all
workflow: of which workflow; null: of all';

CREATE FUNCTION cano.unobserve(name text)
RETURNS boolean
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_unobserve';
COMMENT ON FUNCTION cano.unobserve IS
'remove an observer, which its owner may do. False where there is none of that name';
