SELECT cano._usage(r.role, true)
FROM pg_catalog.unnest(pg_catalog.current_setting('cano_update.roles')::pg_catalog.oid[]) r (role);
