-- What CREATE EXTENSION leaves behind.
SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'plpgsql_check') AS present \gset
\if :present
LOAD 'plpgsql_check';	-- before any PL/pgSQL runs, or its newer versions refuse
\endif
BEGIN;
SELECT plan(15);

SELECT is(extversion, default_version, 'the version installed is the default one')
FROM pg_extension JOIN pg_available_extensions ON name = extname WHERE extname = 'cano';

CREATE TEMPORARY VIEW functions AS
SELECT p.oid, p.oid::regprocedure::text AS signature, p.proname, p.proacl, p.proowner, p.prolang, p.prosecdef, p.proconfig
FROM pg_proc AS p WHERE p.pronamespace = 'cano'::regnamespace;
CREATE TEMPORARY VIEW relations AS
SELECT c.oid, c.oid::regclass::text AS name, c.relname, c.relkind, c.relacl, c.relowner
FROM pg_class AS c WHERE c.relnamespace = 'cano'::regnamespace AND c.relkind IN ('r', 'v', 'S');

SELECT is_empty($$SELECT signature FROM functions, aclexplode(coalesce(proacl, acldefault('f', proowner)))
	WHERE grantee = 0$$, 'PUBLIC may execute nothing');
SELECT is_empty($$SELECT name FROM relations, aclexplode(coalesce(relacl, acldefault('r', relowner)))
	WHERE grantee = 0$$, 'PUBLIC may read nothing');
SELECT is_empty($$SELECT nspname FROM pg_namespace, aclexplode(coalesce(nspacl, acldefault('n', nspowner)))
	WHERE nspname = 'cano' AND grantee = 0$$, 'PUBLIC has no right on the schema');
SELECT is_empty($$SELECT name FROM relations, aclexplode(coalesce(relacl, acldefault('r', relowner)))
	WHERE relname LIKE '\_%' AND grantee <> relowner$$, 'nobody has rights on private tables');

SELECT is_empty($$SELECT signature FROM functions WHERE obj_description(oid, 'pg_proc') IS NULL
	UNION ALL SELECT name FROM relations WHERE obj_description(oid, 'pg_class') IS NULL
	UNION ALL SELECT oid::regtype::text FROM pg_type WHERE typnamespace = 'cano'::regnamespace AND typelem = 0
		AND NOT EXISTS (SELECT FROM relations WHERE oid = typrelid) AND obj_description(oid, 'pg_type') IS NULL
	UNION ALL SELECT nspname FROM pg_namespace WHERE nspname = 'cano' AND obj_description(oid, 'pg_namespace') IS NULL
	UNION ALL SELECT extname FROM pg_extension WHERE extname = 'cano' AND obj_description(oid, 'pg_extension') IS NULL$$,
	'everything has a comment');
SELECT is_empty($$SELECT attrelid::regclass, attname FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid
	WHERE c.relnamespace = 'cano'::regnamespace AND c.relkind IN ('v', 'c') AND c.relname NOT LIKE '\_%'
		AND attnum > 0 AND col_description(attrelid, attnum) IS NULL$$,
	'and so has every column of public views and types');
-- A line each, unless what the function does says what its only one is for.
SELECT is_empty($$SELECT signature, parameter FROM functions JOIN pg_proc AS p USING (oid),
		unnest(p.proargnames[:p.pronargs]) AS parameter
	WHERE functions.proname NOT LIKE '\_%' AND p.pronargs > 1
		AND strpos(obj_description(oid, 'pg_proc'), E'\n' || parameter || ': ') = 0$$,
	'the comments of public functions explain their parameters');
SELECT is_empty($$SELECT name FROM pg_settings WHERE name LIKE 'cano.%' AND coalesce(short_desc, '') = ''$$,
	'every setting has a description');
SELECT is_empty($$SELECT signature FROM functions WHERE prosecdef AND NOT EXISTS (
	SELECT FROM unnest(proconfig) AS setting WHERE setting LIKE 'search_path=pg_catalog%')$$,
	'a function with its owner''s rights has a fixed search_path');

SELECT is_empty($$SELECT name FROM relations WHERE relkind IN ('r', 'S') AND oid <> ALL (
	SELECT unnest(extconfig) FROM pg_extension WHERE extname = 'cano')$$,
	'every table and sequence is dumped with its data');
SELECT is_empty($$SELECT name, attname FROM relations JOIN pg_attribute ON attrelid = oid
	WHERE relkind = 'r' AND atttypid::regtype::text LIKE 'reg%'$$,
	'no column has a type that pg_upgrade refuses');

-- CREATE EXTENSION looks at no bodies.
CREATE FUNCTION pg_temp.complaint(function oid, validator regproc) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SELECT %s(%s)', validator, function);
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	RETURN sqlerrm;
END $$;
SET LOCAL check_function_bodies = on;
SELECT is_empty($$SELECT signature, complaint FROM functions JOIN pg_language AS l ON l.oid = prolang, pg_temp.complaint(functions.oid, l.lanvalidator)
	WHERE complaint IS NOT NULL$$, 'every function has a valid body');

\if :present
-- Pictures are STABLE, because what they read of tables is of one moment; what
-- processes do is in shared memory, which has no moments.
SELECT is_empty($$SELECT signature, problem.message FROM functions, plpgsql_check_function_tb(oid, fatal_errors => false) AS problem
	WHERE NOT (proname LIKE '\_draw\_%' AND problem.message = 'routine is marked as STABLE, but expression is VOLATILE')
		AND prolang = (SELECT oid FROM pg_language WHERE lanname = 'plpgsql')$$,
	'plpgsql_check finds nothing');
\else
SELECT skip('plpgsql_check is not here', 1);
\endif

DROP VIEW functions, relations;
DROP EXTENSION cano;
CREATE EXTENSION cano;
SELECT has_schema('cano', 'it can be dropped and created again');

SELECT * FROM finish();
ROLLBACK;
