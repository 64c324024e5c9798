-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION cano UPDATE" to load this file. \quit

-- Who holds all that cano.grant_usage() gave until now, will be given what is
-- new; whoever was given less by hand will not.
SELECT pg_catalog.set_config('cano_update.roles',
	(WITH surface (object, acl) AS (
		SELECT p.oid, p.proacl
		FROM pg_catalog.pg_proc p
		WHERE p.pronamespace = 'cano'::pg_catalog.regnamespace
			AND (p.proname NOT LIKE '\_%' OR p.proname = ANY ('{_available,_can_see,_circuit,_part,_slots}'))
			AND p.proname <> ALL ('{adopt,grant_usage,revoke_usage}')
		UNION ALL
		SELECT c.oid, c.relacl
		FROM pg_catalog.pg_class c
		WHERE c.relnamespace = 'cano'::pg_catalog.regnamespace AND c.relkind = 'v'
		UNION ALL
		SELECT n.oid, n.nspacl
		FROM pg_catalog.pg_namespace n WHERE n.nspname = 'cano')
	SELECT coalesce(pg_catalog.array_agg(h.grantee), '{}')::text
	FROM (
		SELECT a.grantee
		FROM surface s, pg_catalog.aclexplode(s.acl) a
		WHERE a.grantee <> a.grantor AND a.privilege_type IN ('EXECUTE', 'SELECT', 'USAGE')
		GROUP BY a.grantee
		HAVING count(DISTINCT s.object) = (SELECT count(*) FROM surface)) h),
	true);
