CREATE FUNCTION cano._upgrade_grant(statement text) RETURNS void
LANGUAGE c
AS 'MODULE_PATHNAME', 'cano_upgrade_grant';
SELECT cano._upgrade_grant(pg_catalog.format('SELECT cano._usage(%s, true)', r.role))
FROM pg_catalog.unnest(pg_catalog.current_setting('cano_update.roles')::pg_catalog.oid[]) r (role);
DROP FUNCTION cano._upgrade_grant(text);
