-- What errors propose: names that are nearly what was written, and what to do.
\ir lib/start.psql
SELECT plan(29);

CREATE ROLE t_hints_one LOGIN;
CREATE ROLE t_hints_blind LOGIN;
SELECT cano.grant_usage('t_hints_one');
GRANT USAGE ON SCHEMA cano TO t_hints_blind;
GRANT EXECUTE ON FUNCTION cano.submit TO t_hints_blind;
CREATE SCHEMA t_hints;
GRANT USAGE ON SCHEMA t_hints TO PUBLIC;
CREATE FUNCTION t_hints.pay(amount numeric, payment_id text DEFAULT '') RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION t_hints.length(order_id integer) RETURNS integer LANGUAGE sql RETURN 1;
CREATE FUNCTION t_hints.go(target text) RETURNS cano.outcome LANGUAGE sql RETURN cano.next(target);

CREATE FUNCTION pg_temp.hint(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v_hint text;
BEGIN
	EXECUTE statement;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS v_hint = PG_EXCEPTION_HINT;
	RETURN v_hint;
END $$;

-- States
CREATE FUNCTION t_hints.define(next text, start text DEFAULT 'reserve') RETURNS text LANGUAGE sql AS $$
	SELECT pg_temp.hint(format($d$SELECT cano.define('t_hints.states', cano.timer('reserve', delay => '1 s', next => %L),
		cano.timer('charge', delay => '1 s', next => 'notify customer'), cano.exit('notify customer'), cano.options(start => %L))$d$, next, start)) $$;
SELECT is(t_hints.define('chrage'), 'Perhaps you meant the state "charge".', 'a state that is misspelt is named');
SELECT is(t_hints.define('CHARGE'), 'Perhaps you meant the state "charge".', 'so is one in another case');
SELECT is(t_hints.define('notify_customer'), 'Perhaps you meant the state "notify customer".', 'or with another character between words');
SELECT is(t_hints.define('refund'), 'Add that state, or correct the name.', 'of what is not near nothing is guessed');
SELECT is(t_hints.define('x'), 'Add that state, or correct the name.', 'nor of what is too short');
SELECT is(t_hints.define(repeat('charge', 150)), 'Add that state, or correct the name.', 'or too long');
SELECT is(t_hints.define('charge', 'reserv'), 'Perhaps you meant the state "reserve".', 'the start is a state, too');
SELECT is(t_hints.define('charge'), 'no error', 'well written, it is defined');

-- Functions
SET search_path = public, t_hints;
SELECT is(pg_temp.hint($$SELECT cano.define('t_hints.length', cano.task('a', 'length', next => 'end'), cano.exit('end'))$$),
	'Write which one, with its schema and argument types: "t_hints.length(integer)", "pg_catalog.length(bit)", ...',
	'of functions with one name those are listed that are not the server''s');
SELECT is(pg_temp.hint($$SELECT cano.define('t_hints.length', cano.task('a', 't_hints.length(integer)', next => 'end'), cano.exit('end'))$$), 'no error',
	'so written, it is one');
RESET search_path;

-- Workflows
SELECT cano.define('t_hints.pay', cano.task('pay', 't_hints.pay', next => 'end'), cano.exit('end'));
SELECT is(pg_temp.hint($$SELECT cano.submit('t_hints.apy')$$), 'Perhaps you meant the workflow "t_hints.pay".', 'a workflow that is misspelt is named');
SELECT is(pg_temp.hint($$SELECT cano.submit('T_Hints.Pay')$$), 'Perhaps you meant the workflow "t_hints.pay".', 'so is one in another case');
SELECT is(pg_temp.hint($$SELECT cano.explain('t_hints.payy')$$), 'Perhaps you meant the workflow "t_hints.pay".', 'whatever one wants of it');
SELECT is(pg_temp.hint($$SELECT cano.definition('t_hints.payy', 3)$$), 'Perhaps you meant the workflow "t_hints.pay".', 'also with a version');
SELECT is(pg_temp.hint($$SELECT cano.submit('t_hints.pay', version => 3)$$), 'See cano.workflows for those that do.', 'of a version there is a list');
SELECT cano.define(E't_hints.bell\007', cano.exit('end')) AS x \gset
SELECT is(pg_temp.hint($$SELECT cano.submit('t_hints.bell')$$), 'Create it with cano.define.', 'a name that would do something to the terminal is not');
SELECT is(pg_temp.hint($$SELECT cano.submit('something else altogether')$$), 'Create it with cano.define.', 'what is not near may be wanted');
SET ROLE t_hints_blind;
SELECT is(pg_temp.hint($$SELECT cano.submit('t_hints.apy')$$), 'Create it with cano.define.', 'who may not read the workflows is told none');
SET ROLE t_hints_one;
SELECT is(pg_temp.hint($$SELECT cano.submit('t_hints.apy')$$), 'Perhaps you meant the workflow "t_hints.pay".', 'who may read them is');
SELECT is(pg_temp.hint($$SELECT cano.define('t_hints.pay', cano.exit('end'))$$), 'Members of that role and superusers may.', 'who is not the owner learns who may');
RESET ROLE;

-- The run's data
SELECT cano.submit('t_hints.pay', v.data) AS run FROM (VALUES ('{"Amount": 1}'::jsonb)) AS v (data) \gset
SELECT cano.submit('t_hints.pay', '{"amuont": 1, "payment": "a"}') AS near \gset
SELECT cano.submit('t_hints.pay', '{"total": 1, "nested": {"amount": 1}}') AS far \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'hint'), 'The run''s data has a key "Amount": give key and parameter the same name.', 'a key in another case is named');
SELECT is(pg_temp.error(:near, 'hint'), 'The run''s data has a key "amuont": give key and parameter the same name.', 'so is one that is misspelt');
SELECT is(pg_temp.error(:far, 'hint'), 'Put a key of that name into the run''s data, or give the parameter a default.', 'others are not');
SELECT is(pg_temp.hint(format('SELECT cano.wait(%s)', :run)), pg_temp.error(:run, 'hint'), 'whoever waits for the run is told');
SELECT is(pg_temp.hint(format('SELECT cano.resume(%s, ''payy'')', :run)), 'Perhaps you meant the state "pay".', 'a state to resume from is looked for, too');

-- What a task says, or a client
SELECT cano.define('t_hints.go', cano.task('a', 't_hints.go', next => 'end', retry => cano.none()), cano.exit('end'), cano.exit('other end')) AS x \gset
SELECT cano.submit('t_hints.go', '{"target": "other_end"}') AS run \gset
CALL cano.work();
SELECT is(pg_temp.error(:run, 'hint'), 'Perhaps you meant the state "other end".', 'also of the state that a task goes to');
SELECT cano.define('t_hints.client', cano.external('a', queue => 't_hints', next => 'end'), cano.exit('end')) AS x \gset
SELECT cano.submit('t_hints.client') AS run \gset
CALL cano.work();
SELECT token FROM cano.take('t_hints') \gset
SELECT is(pg_temp.hint(format('SELECT cano.complete(%L, next => ''ende'')', :'token')), 'Perhaps you meant the state "end".', 'or a client');

-- Nobody works
SELECT cano.submit('t_hints.states') AS run \gset
SELECT is(pg_temp.hint(format('SELECT cano.wait(%s, ''0'')', :run)),
	'There are no background workers, because cano.enabled is off. CALL cano.work(); runs what is due.', 'who waits in vain is told why');
SELECT cano.cancel(:run), cano.cancel(run_id) FROM cano.runs WHERE workflow = 't_hints.client';
CALL cano.work();
SELECT is((SELECT count(*) FROM cano.runs WHERE ended_at IS NULL), 0::bigint, 'at last all have ended');

SELECT * FROM finish();
SELECT cano.revoke_usage('t_hints_one');
DROP OWNED BY t_hints_blind;
DROP ROLE t_hints_one, t_hints_blind;
DROP SCHEMA t_hints CASCADE;
