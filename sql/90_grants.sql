/*
 * Rights.  Nothing is granted to PUBLIC; grant_usage() gives a role the
 * public surface, and nothing private.  Must be last: it looks at everything
 * that the parts before it made.
 */
CREATE FUNCTION cano._guard() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'cano_guard';
COMMENT ON FUNCTION cano._guard IS 'only the engine writes to the private tables';

CREATE FUNCTION cano._usage(role regrole, granting boolean) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_verb text := CASE WHEN granting THEN 'GRANT %s %s TO %s' ELSE 'REVOKE %s %s FROM %s' END;
	v_object record;
BEGIN
	IF NOT pg_has_role((SELECT e.extowner FROM pg_extension e WHERE e.extname = 'cano'), 'USAGE') THEN
		RAISE EXCEPTION 'permission denied to change who may use cano'
			USING ERRCODE = 'insufficient_privilege',
				HINT = 'Ask the owner of the extension.';
	END IF;

	EXECUTE format(v_verb, 'USAGE', 'ON SCHEMA cano', role);
	FOR v_object IN
		SELECT 'EXECUTE' AS what,
			format('ON %s cano.%I(%s)',
				CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END,
				p.proname, pg_get_function_identity_arguments(p.oid)) AS object
		FROM pg_proc p
		WHERE p.pronamespace = 'cano'::regnamespace
			AND (p.proname NOT LIKE '\_%' OR p.proname LIKE '\_draw\_%'
				OR p.proname = ANY ('{_available,_can_see,_circuit,_counters,_engine,_escaped,_fire,_health_of_server,_health_of_work,_idle,_part,_slots}'))
			AND p.proname <> ALL ('{adopt,grant_usage,revoke_usage}')
		UNION ALL
		SELECT 'USAGE', 'ON TYPE cano.outcome'
		UNION ALL
		SELECT 'SELECT', format('ON TABLE cano.%I', c.relname)
		FROM pg_class c
		WHERE c.relnamespace = 'cano'::regnamespace AND c.relkind = 'v'
	LOOP
		EXECUTE format(v_verb, v_object.what, v_object.object, role);
	END LOOP;
END
$$;
COMMENT ON FUNCTION cano._usage IS 'grant the public surface to a role, or revoke it';

CREATE FUNCTION cano.grant_usage(role regrole) RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
	SELECT cano._usage(role, true);
END;
COMMENT ON FUNCTION cano.grant_usage IS 'let a role define workflows and submit runs. For the owner of the extension';

CREATE FUNCTION cano.revoke_usage(role regrole) RETURNS void
LANGUAGE sql VOLATILE
BEGIN ATOMIC
	SELECT cano._usage(role, false);
END;
COMMENT ON FUNCTION cano.revoke_usage IS 'take back what cano.grant_usage gave. For the owner of the extension';

/*
 * Everything that is new.  What an update finds is left alone: who was granted
 * what since then would pass for a part of the extension, and not be dumped.
 */
DO $$
DECLARE
	v_new record;
	v_trigger record;
BEGIN
	FOR v_new IN
		SELECT CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END AS kind,
			p.oid::pg_catalog.regprocedure::text AS name
		FROM pg_catalog.pg_proc p
		WHERE p.pronamespace OPERATOR(pg_catalog.=) 'cano'::pg_catalog.regnamespace AND p.proacl IS NULL
	LOOP
		EXECUTE pg_catalog.format('REVOKE ALL ON %s %s FROM PUBLIC', v_new.kind, v_new.name);
	END LOOP;
	PERFORM cano._revoke_types();

	FOR v_new IN
		SELECT c.oid::pg_catalog.regclass AS name
		FROM pg_catalog.pg_class c
		WHERE c.relnamespace OPERATOR(pg_catalog.=) 'cano'::pg_catalog.regnamespace
			AND c.relkind IN ('r', 'S')
	LOOP
		PERFORM pg_catalog.pg_extension_config_dump(v_new.name, '');
	END LOOP;

	-- Logical replication fires no triggers of statements.  What is for
	-- replicas alone does not fire otherwise.
	FOR v_trigger IN
		SELECT c.oid::pg_catalog.regclass AS on_table, g.*
		FROM pg_catalog.pg_class c,
			(VALUES ('_guard', 'BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE', 'STATEMENT', 'ALWAYS'),
				('_guard_replica', 'AFTER INSERT OR UPDATE OR DELETE', 'ROW', 'REPLICA')) g (name, events, level, mode)
		WHERE c.relnamespace OPERATOR(pg_catalog.=) 'cano'::pg_catalog.regnamespace
			AND c.relkind OPERATOR(pg_catalog.=) 'r'
			AND NOT EXISTS (
				SELECT FROM pg_catalog.pg_trigger t
				WHERE t.tgrelid OPERATOR(pg_catalog.=) c.oid AND t.tgname OPERATOR(pg_catalog.=) g.name)
	LOOP
		EXECUTE pg_catalog.format('CREATE TRIGGER %s %s ON %s FOR EACH %s EXECUTE FUNCTION cano._guard()',
			v_trigger.name, v_trigger.events, v_trigger.on_table, v_trigger.level);
		EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE %s TRIGGER %s',
			v_trigger.on_table, v_trigger.mode, v_trigger.name);
	END LOOP;
END
$$;
