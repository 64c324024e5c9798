-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION cano UPDATE" to load this file. \quit

-- Wait for whoever uses the extension, before anything of it is locked.
CREATE FUNCTION cano._upgrade_begin() RETURNS void
LANGUAGE c
AS 'MODULE_PATHNAME', 'cano_upgrade_begin';
SELECT cano._upgrade_begin();
DROP FUNCTION cano._upgrade_begin();

-- Then for those who read.  They lock views in any order, so that waiting for
-- one while holding another could be for ever: give all back and try again,
-- unless somebody said how long to wait.  Begin with the one that was not to be
-- had, when nothing else is held, and wait for longer each time: who reads
-- again and again comes after us then.  This locks a view and no more.
DO $$
DECLARE
	v_lock_timeout text := pg_catalog.current_setting('lock_timeout');
	v_wait integer := 100;				-- milliseconds
	v_busy pg_catalog.oid[] := '{}';	-- those that were not to be had, the latest first
	v_view pg_catalog.regclass;
BEGIN
	LOOP
		BEGIN
			IF v_lock_timeout OPERATOR(pg_catalog.=) '0' THEN
				PERFORM pg_catalog.set_config('lock_timeout', v_wait::text, true);
			END IF;
			FOR v_view IN
				SELECT c.oid
				FROM pg_catalog.pg_class c
				WHERE c.relnamespace OPERATOR(pg_catalog.=) 'cano'::pg_catalog.regnamespace
					AND c.relkind OPERATOR(pg_catalog.=) 'v'
				ORDER BY pg_catalog.array_position(v_busy, c.oid)
			LOOP
				EXECUTE pg_catalog.format('ALTER VIEW %s SET (security_barrier)', v_view);
			END LOOP;
			PERFORM pg_catalog.set_config('lock_timeout', v_lock_timeout, true);
			EXIT;
		EXCEPTION WHEN lock_not_available THEN
			IF v_lock_timeout OPERATOR(pg_catalog.<>) '0' THEN
				RAISE;
			END IF;
			v_busy := pg_catalog.array_prepend(v_view::pg_catalog.oid, pg_catalog.array_remove(v_busy, v_view::pg_catalog.oid));
			v_wait := least(v_wait OPERATOR(pg_catalog.*) 2, 10000);
		END;
	END LOOP;
END
$$;

-- Who holds all that cano.grant_usage() gave until now, will be given what is
-- new; whoever was given less by hand will not.
SELECT pg_catalog.set_config('cano_update.roles',
	(WITH surface (object, acl) AS (
		SELECT p.oid, p.proacl
		FROM pg_catalog.pg_proc p
		WHERE p.pronamespace = 'cano'::pg_catalog.regnamespace
			AND (p.proname NOT LIKE '\_%' OR p.proname = ANY ('{_available,_can_see,_circuit,_fire,_idle,_part,_slots}'))
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
