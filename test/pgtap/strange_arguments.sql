-- Whatever is passed to a function of cano, it says no or does what it is for:
-- every argument of every function null, at the ends of its type, or odd.
\ir lib/start.psql
SELECT plan(9);

CREATE SCHEMA t_args;
CREATE ROLE t_args_user LOGIN;
SELECT cano.grant_usage('t_args_user') \g /dev/null
GRANT USAGE, CREATE ON SCHEMA t_args TO t_args_user;

-- A value that is nothing special, then those that are.
CREATE TABLE t_args.value (type regtype, n int, value text);
GRANT SELECT ON t_args.value TO t_args_user;
INSERT INTO t_args.value SELECT v.type::regtype, u.n - 1, u.value
FROM (VALUES
	('text', ARRAY['x', '', ' ', 'bucket', repeat('ä', 100000), 'a.b(c', '"', '%s%n$$', E'\x01\t', '{"a": 1}']),
	('text[]', ARRAY['{x}', '{}', '{NULL}', '{{x,y},{z,x}}', '[5:6]={x,y}', '{"%s"}']),
	('jsonb', ARRAY['{}', 'null', '[]', '1', '"x"', '{"kind": "exit"}', '[[[[]]]]', '1e400',
		'{"policy": "fixed", "retries": -1}', repeat('[', 3000) || repeat(']', 3000)]),
	('jsonb[]', ARRAY['{"{}"}', '{}', '{NULL}', '{{"1","2"},{"3","4"}}', '[7:7]={"{\"kind\": \"exit\", \"state\": \"a\"}"}']),
	('integer', ARRAY['1', '0', '-1', '2147483647', '-2147483648']),
	('bigint', ARRAY['4242424242', '0', '-1', '9223372036854775807', '-9223372036854775808']),
	('bigint[]', ARRAY['{1}', '{}', '{NULL}', '{{1,0},{3,-4}}', '{9223372036854775807}']),
	('double precision', ARRAY['0.5', '0', '-1', 'NaN', 'Infinity', '-Infinity', '1e308', '5e-324']),
	('interval', ARRAY['1 ms', '0', '-1 day', '178000000 years', '-178000000 years', '1 mon -31 days', '1 us']),
	('timestamptz', ARRAY['2030-01-01', 'infinity', '-infinity', '4714-01-01 BC', '294276-12-31']),
	('boolean', ARRAY['true', 'false']),
	('regrole', ARRAY['t_args_user', '0', '4294967295']),
	('oid', ARRAY['10', '0', '4294967295']),
	('name', ARRAY['x', '']),
	('"char"', ARRAY['b', '', 'w'])) AS v (type, vals), unnest(v.vals) WITH ORDINALITY AS u (value, n);

CREATE VIEW t_args.argument AS
SELECT p.oid AS function, a.n, CASE WHEN a.type = '"any"'::regtype THEN 'text'::regtype ELSE a.type END AS type
FROM pg_proc AS p, unnest(p.proargtypes::oid[]::regtype[]) WITH ORDINALITY AS a (type, n)
WHERE p.pronamespace = 'cano'::regnamespace AND p.prorettype <> 'trigger'::regtype AND p.prokind = 'f';
GRANT SELECT ON t_args.argument TO t_args_user;
SELECT is_empty($$SELECT DISTINCT type FROM t_args.argument AS a WHERE NOT EXISTS (SELECT FROM t_args.value AS v WHERE v.type = a.type)$$,
	'there are values of every type that a parameter has');

-- One call of a function, in a subtransaction that is rolled back.
CREATE FUNCTION t_args.outcome(call text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE 'SELECT count(to_jsonb(f)) FROM ' || call || ' AS f';
	RAISE EXCEPTION 'done' USING ERRCODE = 'T0001';
EXCEPTION WHEN OTHERS THEN
	RETURN CASE WHEN SQLSTATE ~ '^(XX|58|P0)' THEN left(call, 300) || ': ' || SQLSTATE || ' ' || SQLERRM END;
END $$;
-- Every call: all arguments plain or null, but one of them another value.
CREATE FUNCTION t_args.try() RETURNS text[] LANGUAGE sql AS $$
	WITH plain AS (
		SELECT a.*, v.value FROM t_args.argument AS a JOIN t_args.value AS v ON v.type = a.type AND v.n = 0),
	other AS (
		SELECT a.function, a.n, v.value FROM t_args.argument AS a JOIN t_args.value AS v ON v.type = a.type AND v.n > 0
		UNION ALL SELECT function, n, NULL FROM t_args.argument
		UNION ALL SELECT DISTINCT function, u.n, NULL FROM t_args.argument, (VALUES (0), (-1)) AS u (n)),
	call AS (
		SELECT format('cano.%I(%s)', f.proname, (
			SELECT string_agg(format('%L::%s', CASE WHEN p.n = o.n THEN o.value WHEN o.n >= 0 THEN p.value END, p.type), ', ' ORDER BY p.n)
			FROM plain AS p WHERE p.function = o.function)) AS text
		FROM other AS o JOIN pg_proc AS f ON f.oid = o.function
		WHERE has_function_privilege(f.oid, 'EXECUTE'))
	SELECT array_agg(t_args.outcome(c.text)) FROM call AS c $$;
CREATE FUNCTION t_args.try_in_task() RETURNS jsonb LANGUAGE sql AS $$SELECT to_jsonb(t_args.try())$$;
-- What is wrong; only if enough was tried is that nothing.
CREATE FUNCTION t_args.wrong(results text[]) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT r FROM unnest(results) AS r WHERE r IS NOT NULL
	UNION ALL SELECT 'only ' || cardinality(results) WHERE cardinality(results) > 500 IS NOT TRUE $$;

SELECT is_empty('SELECT t_args.wrong(t_args.try())', 'no call in a superuser''s session is an internal error');
SET ROLE t_args_user;
SELECT is_empty('SELECT t_args.wrong(t_args.try())', 'nor one in a user''s');
SELECT cano.define('t_args.flow', cano.task('a', 't_args.try_in_task', next => 'end', retry => cano.none()), cano.exit('end')) AS v \gset
SELECT cano.submit('t_args.flow') AS run \gset
CALL cano.work();
SELECT is(pg_temp.status(:run), 'completed', 'all can be called within a task');
SELECT is_empty(format('SELECT t_args.wrong(ARRAY(SELECT jsonb_array_elements_text(cano.result(%s) -> ''a'')))', :run), 'and none is an internal error');

-- Procedures commit, so each is a statement of its own; only a crash is noticed.
\set ON_ERROR_STOP 0
SELECT format('CALL cano.%s', c)
FROM unnest(ARRAY['work(NULL, NULL)', 'work(0)', 'work(-1)', 'work(1, ''-1 day'')', 'work(1, ''178000000 years'')', 'await(NULL, NULL, NULL)',
	'await(0)', 'await(-9223372036854775808)', 'await(4242424242, NULL, ''-1 s'')', 'orchestrate(NULL, NULL, NULL)', 'orchestrate(''x'', NULL)',
	'orchestrate(''t_args.flow'', NULL)', 'orchestrate(''t_args.flow'', ''[]'')']) AS c \gexec
\set ON_ERROR_STOP 1
SELECT is(current_user, 't_args_user', 'after odd calls of procedures the session is who it was');
SELECT is((SELECT count(*) FROM cano.activity), 0::bigint, 'and nobody is thought to work');
RESET ROLE;

SELECT is((SELECT string_agg(p.proname, ' ' ORDER BY p.proname) FROM pg_proc AS p WHERE p.pronamespace = 'cano'::regnamespace AND p.prokind = 'p'),
	'await orchestrate work', 'these are all procedures');
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_proc AS p WHERE p.pronamespace = 'cano'::regnamespace
	AND 'internal'::regtype = ANY (p.proargtypes::oid[]::regtype[] || p.prorettype::regtype)$$, 'no function takes or returns a pointer');

SELECT * FROM finish();
DROP SCHEMA t_args CASCADE;
SELECT cano.revoke_usage('t_args_user') \g /dev/null
DROP OWNED BY t_args_user;
DROP ROLE t_args_user;
