-- Versions of a workflow: who may make them, and when there is a new one.
\pset format unaligned
\pset tuples_only on
CREATE SCHEMA shop_versions;
CREATE FUNCTION shop_versions.work(data jsonb) RETURNS jsonb LANGUAGE sql RETURN data;
CREATE ROLE regress_cano_ann;
CREATE ROLE regress_cano_bob;
CREATE ROLE regress_cano_team;
GRANT regress_cano_team TO regress_cano_ann;
GRANT USAGE ON SCHEMA cano, shop_versions TO regress_cano_ann, regress_cano_bob, regress_cano_team;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA cano TO regress_cano_ann, regress_cano_bob, regress_cano_team;

-- The same content is the same version, however it is written.
SELECT cano.define('versioned', cano.task('work', 'shop_versions.work', next => 'done'), cano.exit('done'));
SELECT cano.define('versioned', cano.task('work', 'shop_versions.work', next => 'done'), cano.exit('done'));
SELECT cano.define('versioned', cano.exit('done'), cano.task('work', 'shop_versions.work', next => 'done'),
	cano.options(start => 'work'));
SELECT cano.define('versioned', cano.definition('versioned'));

-- Other content is the next one, also when an older version had it.
SELECT cano.define('versioned', cano.task('work', 'shop_versions.work', next => 'done', timeout => '1 s'), cano.exit('done'));
SELECT cano.define('versioned', cano.definition('versioned', 1));
SELECT cano.define('versioned', cano.definition('versioned', 1));
SELECT v, cano.definition('versioned', v) FROM generate_series(1, 3) v;
SELECT cano.definition('versioned') = cano.definition('versioned', 3);

-- So is another function under the same name.
DROP FUNCTION shop_versions.work(jsonb);
CREATE FUNCTION shop_versions.work(item integer) RETURNS integer LANGUAGE sql RETURN item;
SELECT cano.define('versioned', cano.definition('versioned'));
SELECT cano.define('versioned', cano.definition('versioned'));
CREATE OR REPLACE FUNCTION shop_versions.work(item integer) RETURNS integer LANGUAGE sql RETURN item + 1;
SELECT cano.define('versioned', cano.definition('versioned'));
SELECT cano.definition('versioned', 3) = cano.definition('versioned', 4);

-- Nothing is left of what is rolled back.
BEGIN;
SELECT cano.define('versioned', cano.exit('done'));
SELECT cano.define('versioned', cano.exit('end'));
SELECT cano.define('rolled back', cano.exit('done'));
SELECT cano.definition('rolled back');
ROLLBACK;
SELECT cano.definition('rolled back');
SELECT cano.define('versioned', cano.definition('versioned'));
BEGIN;
SAVEPOINT before;
SELECT cano.define('versioned', cano.exit('done'));
ROLLBACK TO before;
SELECT cano.define('versioned', cano.definition('versioned'));
COMMIT;

-- What does not exist
SELECT cano.definition('versioned', 99);
SELECT cano.definition('versioned', 0);
SELECT cano.definition('Versioned');
\set VERBOSITY sqlstate
SELECT cano.definition('Versioned');
SELECT cano.definition('versioned', 99);
\set VERBOSITY default

-- Owners: who first defined it, and members of that role.
SET ROLE regress_cano_team;
SELECT cano.define('versioned by team', cano.exit('a'));
SET ROLE regress_cano_ann;
SELECT cano.define('versioned by team', cano.exit('b'));
SELECT cano.define('versioned by ann', cano.exit('a'));
SET ROLE regress_cano_team;
SELECT cano.define('versioned by ann', cano.exit('b'));
SET ROLE regress_cano_bob;
SELECT cano.define('versioned by team', cano.exit('b'));
SELECT cano.definition('versioned by team');
\set VERBOSITY sqlstate
SELECT cano.define('versioned by ann', cano.exit('b'));
\set VERBOSITY default
-- The definer must be able to call what he names.
SELECT cano.define('versioned by bob', cano.task('work', 'shop_versions.work', next => 'done'), cano.exit('done'));
RESET ROLE;
REVOKE EXECUTE ON FUNCTION shop_versions.work FROM PUBLIC;
SET ROLE regress_cano_bob;
SELECT cano.define('versioned by bob', cano.task('work', 'shop_versions.work', next => 'done'), cano.exit('done'));
RESET ROLE;
SELECT cano.define('versioned by ann', cano.exit('b'));

-- Not where a role's rights are borrowed.
CREATE TABLE shop_versions.one (a integer);
INSERT INTO shop_versions.one VALUES (1);
CREATE FUNCTION shop_versions.sneak(a integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS
	$$ BEGIN RETURN cano.define('sneak', cano.exit('a')); END $$;
CREATE INDEX ON shop_versions.one (shop_versions.sneak(a));

SET client_min_messages = warning;
DROP SCHEMA shop_versions CASCADE;
DROP OWNED BY regress_cano_ann, regress_cano_bob, regress_cano_team;
DROP ROLE regress_cano_ann, regress_cano_bob, regress_cano_team;
