-- Who may do what with cano's objects.
\ir lib/start.psql
SELECT plan(14);

CREATE ROLE t_grants_user LOGIN;
CREATE ROLE t_grants_other LOGIN;

CREATE TEMP VIEW functions AS SELECT p.oid, p.oid::regprocedure::text AS name, p.proname FROM pg_proc AS p
	WHERE p.pronamespace = 'cano'::regnamespace;
CREATE TEMP VIEW relations AS SELECT c.oid, c.oid::regclass::text AS name, c.relname, c.relkind FROM pg_class AS c
	WHERE c.relnamespace = 'cano'::regnamespace AND c.relkind IN ('r', 'v', 'S');

SELECT is_empty($$SELECT name FROM functions WHERE has_function_privilege('t_grants_other', oid, 'EXECUTE')$$,
	'a role without usage may execute nothing');
SELECT is_empty($$SELECT name FROM relations WHERE relkind <> 'S' AND has_table_privilege('t_grants_other', oid,
	'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')$$, 'nor read or write anything');
SELECT ok(NOT has_schema_privilege('t_grants_other', 'cano', 'USAGE, CREATE'), 'nor use the schema');

SELECT cano.grant_usage('t_grants_user') AS x \gset
SELECT is_empty($$SELECT name FROM functions WHERE proname NOT LIKE '\_%' AND proname NOT IN ('adopt', 'grant_usage', 'revoke_usage')
	AND NOT has_function_privilege('t_grants_user', oid, 'EXECUTE')$$, 'grant_usage gives every public function');
SELECT is_empty($$SELECT name FROM relations WHERE relkind = 'v' AND relname NOT LIKE '\_%'
	AND NOT has_table_privilege('t_grants_user', oid, 'SELECT')$$, 'and every public view');
SELECT is_empty($$SELECT name FROM relations WHERE relkind = 'r' AND has_table_privilege('t_grants_user', oid,
	'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')$$, 'but no table');
SELECT is_empty($$SELECT name FROM relations WHERE CASE WHEN relkind = 'S' THEN has_sequence_privilege('t_grants_user', oid, 'USAGE, SELECT, UPDATE') END$$,
	'no sequence');
SELECT is_empty($$SELECT name FROM relations WHERE relkind = 'v' AND has_table_privilege('t_grants_user', oid,
	'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER')$$, 'no right to write through a view');
SELECT ok(NOT has_schema_privilege('t_grants_user', 'cano', 'CREATE'), 'and no right to create in the schema');

SET SESSION AUTHORIZATION t_grants_user;
SELECT throws_ok($$SELECT cano.grant_usage('t_grants_other')$$, '42501', NULL, 'a user cannot grant usage');
SELECT throws_ok('LOCK TABLE cano.runs IN ROW EXCLUSIVE MODE', '42501', NULL, 'or lock what lies under a view');
RESET SESSION AUTHORIZATION;
SELECT throws_ok($$SELECT cano.grant_usage('t_grants_nobody')$$, '42704', NULL, 'nor anybody to a role that is not there');

SELECT cano.revoke_usage('t_grants_user') AS x \gset
SELECT is_empty($$SELECT name FROM functions WHERE has_function_privilege('t_grants_user', oid, 'EXECUTE')
	UNION ALL SELECT name FROM relations WHERE relkind <> 'S' AND has_table_privilege('t_grants_user', oid, 'SELECT')$$,
	'revoke_usage takes all of it back');
SELECT ok(NOT has_schema_privilege('t_grants_user', 'cano', 'USAGE'), 'and the schema');

SELECT * FROM finish();
DROP ROLE t_grants_user, t_grants_other;
