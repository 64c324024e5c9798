/*
 * Administration: what the owner of the extension does now and then.
 */
CREATE FUNCTION cano._look() RETURNS void
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'cano_look';
COMMENT ON FUNCTION cano._look IS 'let the launcher look for work in this database after this transaction, and all processes for observers';

CREATE FUNCTION cano.pause(workflow text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_pause';
COMMENT ON FUNCTION cano.pause IS
'begin nothing new of a workflow''s runs, which stay queued, and give clients no more of their work. What is running
ends; cancellations, time-outs and rollbacks go on. For its owner; raises CN404 where there is no such workflow';

CREATE FUNCTION cano.unpause(workflow text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_unpause';
COMMENT ON FUNCTION cano.unpause IS 'let the runs of a paused workflow go on. For its owner';

CREATE FUNCTION cano.purge(older_than interval, workflow text DEFAULT NULL) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cano_purge';
COMMENT ON FUNCTION cano.purge IS
'remove the caller''s own ended runs with all that is known of them, and return how many. Retention by options(keep)
does so by itself. A run that somebody is just resuming, or whose parent or child is under way, stays
older_than: only runs that ended at least that long ago
workflow: only of this one; null: of all';

/*
 * A table of somebody's that used a row type would stand in the way of DROP
 * EXTENSION.
 */
CREATE FUNCTION cano._revoke_types() RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_type regtype;
BEGIN
	FOR v_type IN
		SELECT t.oid
		FROM pg_type t
		JOIN pg_class c ON c.oid = t.typrelid
		WHERE t.typnamespace = 'cano'::regnamespace AND t.typacl IS NULL AND c.relkind IN ('r', 'c')
	LOOP
		EXECUTE format('REVOKE ALL ON TYPE %s FROM PUBLIC', v_type);
	END LOOP;
END
$$;
COMMENT ON FUNCTION cano._revoke_types IS 'take the row types that are new from everybody';

/*
 * Runs carry the number of the database that may run them (see origin.h), so
 * that a copy of it (a restored dump, a clone, an upgraded cluster) does not run
 * what the original may still be running.  Roles may have other numbers there,
 * too: a role counts as the owner if it has the name.
 */
CREATE FUNCTION cano.adopt() RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_here bigint := (SELECT e.origin FROM cano._engine() e);
	v_runs bigint[];
BEGIN
	UPDATE cano._workflow w
	SET owner = a.oid, origin = v_here
	FROM pg_roles a
	WHERE a.rolname = w.owner_name AND w.origin <> v_here;
	UPDATE cano._breaker b
	SET owner = a.oid, origin = v_here
	FROM pg_roles a
	WHERE a.rolname = b.owner_name AND b.origin <> v_here;
	UPDATE cano._limiter l
	SET owner = a.oid, origin = v_here
	FROM pg_roles a
	WHERE a.rolname = l.owner_name AND l.origin <> v_here;
	UPDATE cano._observer o
	SET owner = a.oid, origin = v_here
	FROM pg_roles a
	WHERE a.rolname = o.owner_name AND o.origin <> v_here;
	UPDATE cano._schedule s
	SET owner = a.oid, origin = v_here
	FROM pg_roles a
	WHERE a.rolname = s.owner_name AND s.origin <> v_here;

	WITH adopted AS (
		UPDATE cano._run r
		SET owner = a.oid, origin = v_here
		FROM pg_roles a
		WHERE a.rolname = r.owner_name AND r.origin <> v_here
		RETURNING r.id, r.status)
	SELECT coalesce(array_agg(d.id), '{}') INTO v_runs
	FROM adopted d WHERE d.status = 'active';

	UPDATE cano._key k SET owner = r.owner
	FROM cano._run r WHERE r.id = k.run AND k.run = ANY (v_runs);
	-- Runs that have ended may have jobs, too.
	UPDATE cano._job j SET owner = r.owner
	FROM cano._run r WHERE r.id = j.run AND r.origin = v_here AND j.owner <> r.owner;
	UPDATE cano._timer t SET owner = r.owner
	FROM cano._run r WHERE r.id = t.run AND r.origin = v_here AND t.owner <> r.owner;
	UPDATE cano._work w SET owner = r.owner
	FROM cano._run r WHERE r.id = w.run AND w.run = ANY (v_runs);

	-- What was parked when a worker came upon it is due.
	UPDATE cano._timer t SET due_at = now(), waiting = 'r'
	FROM cano._run r WHERE r.id = t.run AND r.origin = v_here AND t.waiting = 'o';

	-- pg_upgrade keeps no rights on the row types of tables.
	PERFORM cano._revoke_types();
	PERFORM cano._look();
	RETURN cardinality(v_runs);
END
$$;
COMMENT ON FUNCTION cano.adopt IS
'after a restore, clone or upgrade: let the unfinished runs of the copied database go on in this one, and return how
many. For the owner of the extension. The other database must not run them any more';
