/*
 * All that the extension consists of, a line for every property: equal for two
 * installations that are.  To be read by psql -At.  Some servers mark columns
 * with a number of their own, "pg_attver".
 */
SET search_path = pg_catalog;
WITH member AS (
	SELECT d.classid, d.objid
	FROM pg_depend d
	WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
		AND d.refobjid = (SELECT e.oid FROM pg_extension e WHERE e.extname = 'cano')
), relation AS (
	SELECT c.* FROM pg_class c JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
), type AS (
	SELECT t.* FROM pg_type t JOIN member m ON m.classid = 'pg_type'::regclass AND m.objid = t.oid
	UNION
	SELECT t.* FROM pg_type t JOIN relation r ON r.reltype <> 0 AND r.reltype IN (t.oid, t.typelem)
), acl (kind, object, acl) AS (
	SELECT 'schema', n.nspname::text, n.nspacl
	FROM pg_namespace n JOIN member m ON m.classid = 'pg_namespace'::regclass AND m.objid = n.oid
	UNION ALL
	SELECT 'function', p.oid::regprocedure::text, p.proacl
	FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
	UNION ALL
	SELECT 'relation', r.oid::regclass::text, r.relacl FROM relation r
	UNION ALL
	SELECT 'column', format('%s.%I', r.oid::regclass, a.attname), a.attacl FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid
	UNION ALL
	SELECT 'type', t.oid::regtype::text, t.typacl FROM type t
	UNION ALL
	SELECT 'initially', pg_describe_object(i.classoid, i.objoid, i.objsubid), i.initprivs
	FROM pg_init_privs i JOIN member m ON m.classid = i.classoid AND m.objid = i.objoid
), property (object, property, value) AS (
	SELECT 'extension', 'itself', to_jsonb(e) - '{oid,extconfig,extcondition}'::text[]
	FROM pg_extension e WHERE e.extname = 'cano'
	UNION ALL
	SELECT 'extension', 'dumps data of ' || t.config::regclass, to_jsonb(t.condition)
	FROM pg_extension e, unnest(e.extconfig, e.extcondition) t (config, condition) WHERE e.extname = 'cano'
	UNION ALL
	SELECT 'extension', 'has', to_jsonb(pg_describe_object(m.classid, m.objid, 0)) FROM member m
	UNION ALL
	SELECT pg_describe_object(m.classid, m.objid, 0), 'is', to_jsonb(i)
	FROM member m, pg_identify_object(m.classid, m.objid, 0) i
	UNION ALL
	SELECT pg_describe_object(d.classoid, d.objoid, d.objsubid), 'comment', to_jsonb(d.description)
	FROM pg_description d JOIN member m ON m.classid = d.classoid AND m.objid = d.objoid
	UNION ALL
	SELECT 'extension', 'comment', to_jsonb(obj_description(e.oid, 'pg_extension')) FROM pg_extension e WHERE e.extname = 'cano'
	UNION ALL
	SELECT a.kind || ' ' || a.object, 'acl', jsonb_agg(DISTINCT concat_ws(' ',
		CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE x.grantee::regrole::text END, x.privilege_type, x.is_grantable, 'by', x.grantor::regrole))
	FROM acl a, aclexplode(a.acl) x GROUP BY a.kind, a.object
	UNION ALL
	SELECT a.kind || ' ' || a.object, 'has an acl', to_jsonb(a.acl IS NOT NULL) FROM acl a
	UNION ALL
	SELECT 'function ' || p.oid::regprocedure, 'definition', to_jsonb(pg_get_functiondef(p.oid))
	FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
	UNION ALL
	SELECT 'function ' || p.oid::regprocedure, 'row', to_jsonb(p) - '{oid,pronamespace,proacl,proargdefaults,prosqlbody,proallargtypes,proargtypes,prorettype}'::text[]
	FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
	UNION ALL
	SELECT 'relation ' || r.oid::regclass, 'row', jsonb_build_object('kind', r.relkind, 'owner', r.relowner::regrole, 'persistence', r.relpersistence,
		'options', r.reloptions, 'security', r.relrowsecurity, 'forced', r.relforcerowsecurity, 'identity', r.relreplident, 'method', r.relam,
		'rules', r.relhasrules, 'triggers', r.relhastriggers, 'columns', r.relnatts, 'tablespace', r.reltablespace)
	FROM relation r
	UNION ALL
	SELECT 'relation ' || r.oid::regclass, 'view', to_jsonb(pg_get_viewdef(r.oid)) FROM relation r WHERE r.relkind IN ('v', 'm')
	UNION ALL
	SELECT 'relation ' || r.oid::regclass, 'sequence', to_jsonb(s) - 'seqrelid' FROM relation r JOIN pg_sequence s ON s.seqrelid = r.oid
	UNION ALL
	SELECT format('column %s.%I', r.oid::regclass, a.attname), 'row', jsonb_build_object('type', format_type(a.atttypid, a.atttypmod),
		'place', row_number() OVER (PARTITION BY r.oid ORDER BY a.attnum), 'not null', a.attnotnull, 'collation', a.attcollation::regcollation,
		'identity', a.attidentity, 'generated', a.attgenerated, 'storage', a.attstorage, 'compression', a.attcompression,
		'statistics', a.attstattarget, 'options', (SELECT array_agg(o) FROM unnest(a.attoptions) o WHERE o NOT LIKE 'pg\_attver=%'), 'default', pg_get_expr(f.adbin, f.adrelid))
	FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
	LEFT JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
	UNION ALL
	SELECT 'relation ' || r.oid::regclass, 'constraint ' || c.conname, jsonb_build_object('definition', pg_get_constraintdef(c.oid), 'valid', c.convalidated)
	FROM relation r JOIN pg_constraint c ON c.conrelid = r.oid
	UNION ALL
	SELECT 'relation ' || r.oid::regclass, 'index ' || i.indexrelid::regclass, jsonb_build_object('definition', pg_get_indexdef(i.indexrelid),
		'valid', i.indisvalid, 'identity', i.indisreplident, 'clustered', i.indisclustered)
	FROM relation r JOIN pg_index i ON i.indrelid = r.oid
	UNION ALL
	SELECT 'relation ' || r.oid::regclass, 'trigger ' || t.tgname, jsonb_build_object('definition', pg_get_triggerdef(t.oid), 'enabled', t.tgenabled)
	FROM relation r JOIN pg_trigger t ON t.tgrelid = r.oid
	UNION ALL
	SELECT 'relation ' || r.oid::regclass, 'policy ' || p.polname, jsonb_build_object('command', p.polcmd, 'permissive', p.polpermissive,
		'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid), 'roles', p.polroles::regrole[])
	FROM relation r JOIN pg_policy p ON p.polrelid = r.oid
	UNION ALL
	SELECT 'relation ' || r.oid::regclass, 'rule ' || w.rulename, to_jsonb(pg_get_ruledef(w.oid))
	FROM relation r JOIN pg_rewrite w ON w.ev_class = r.oid
	UNION ALL
	SELECT 'relation ' || r.oid::regclass, 'statistics ' || s.stxname, to_jsonb(pg_get_statisticsobjdef(s.oid))
	FROM relation r JOIN pg_statistic_ext s ON s.stxrelid = r.oid
	UNION ALL
	SELECT 'relation ' || r.oid::regclass, 'inherits', to_jsonb(i.inhparent::regclass) FROM relation r JOIN pg_inherits i ON i.inhrelid = r.oid
	UNION ALL
	SELECT 'type ' || t.oid::regtype, 'row', jsonb_build_object('kind', t.typtype, 'owner', t.typowner::regrole, 'not null', t.typnotnull,
		'default', t.typdefault, 'base', t.typbasetype::regtype, 'labels', (SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder)
			FROM pg_enum e WHERE e.enumtypid = t.oid))
	FROM type t
	UNION ALL
	SELECT 'type ' || t.oid::regtype, 'constraint ' || c.conname, to_jsonb(pg_get_constraintdef(c.oid))
	FROM type t JOIN pg_constraint c ON c.contypid = t.oid
	UNION ALL
	SELECT 'type ' || t.oid::regtype, 'column ' || a.attname, jsonb_build_object('type', format_type(a.atttypid, a.atttypmod),
		'place', row_number() OVER (PARTITION BY t.oid ORDER BY a.attnum))
	FROM type t JOIN pg_attribute a ON t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
	UNION ALL
	SELECT pg_describe_object(d.classid, d.objid, d.objsubid), 'depends on',
		jsonb_build_array(pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid), d.deptype)
	FROM pg_depend d
	WHERE EXISTS (SELECT FROM member m WHERE m.classid = d.classid AND m.objid = d.objid OR m.classid = d.refclassid AND m.objid = d.refobjid)
		AND NOT EXISTS (SELECT FROM pg_class t WHERE d.classid = 'pg_class'::regclass AND t.oid = d.objid AND t.relkind = 't')
)
SELECT DISTINCT (p.object || ': ' || p.property || ': ' || coalesce(p.value::text, 'none')) COLLATE "C" AS line
FROM property p ORDER BY line;
