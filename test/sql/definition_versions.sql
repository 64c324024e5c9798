-- Versions of a workflow: who may make them, and when there is a new one.
\pset format unaligned
\pset tuples_only on
CREATE SCHEMA shop;
CREATE FUNCTION shop.work(data jsonb) RETURNS jsonb LANGUAGE sql RETURN data;
CREATE ROLE regress_cano_ann;
CREATE ROLE regress_cano_bob;
CREATE ROLE regress_cano_team;
GRANT regress_cano_team TO regress_cano_ann;
GRANT USAGE ON SCHEMA cano, shop TO regress_cano_ann, regress_cano_bob, regress_cano_team;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA cano TO regress_cano_ann, regress_cano_bob, regress_cano_team;

-- The same content is the same version, however it is written.
SELECT cano.define('order', cano.task('work', 'shop.work', next => 'done'), cano.exit('done'));
SELECT cano.define('order', cano.task('work', 'shop.work', next => 'done'), cano.exit('done'));
SELECT cano.define('order', cano.exit('done'), cano.task('work', 'shop.work', next => 'done'),
	cano.options(start => 'work'));
SELECT cano.define('order', cano.definition('order'));

-- Other content is the next one, also when an older version had it.
SELECT cano.define('order', cano.task('work', 'shop.work', next => 'done', timeout => '1 s'), cano.exit('done'));
SELECT cano.define('order', cano.definition('order', 1));
SELECT cano.define('order', cano.definition('order', 1));
SELECT v, cano.definition('order', v) FROM generate_series(1, 3) v;
SELECT cano.definition('order') = cano.definition('order', 3);

-- So is another function under the same name.
DROP FUNCTION shop.work(jsonb);
CREATE FUNCTION shop.work(item integer) RETURNS integer LANGUAGE sql RETURN item;
SELECT cano.define('order', cano.definition('order'));
SELECT cano.define('order', cano.definition('order'));
CREATE OR REPLACE FUNCTION shop.work(item integer) RETURNS integer LANGUAGE sql RETURN item + 1;
SELECT cano.define('order', cano.definition('order'));
SELECT cano.definition('order', 3) = cano.definition('order', 4);

-- Nothing is left of what is rolled back.
BEGIN;
SELECT cano.define('order', cano.exit('done'));
SELECT cano.define('order', cano.exit('end'));
SELECT cano.define('rolled back', cano.exit('done'));
SELECT cano.definition('rolled back');
ROLLBACK;
SELECT cano.definition('rolled back');
SELECT cano.define('order', cano.definition('order'));
BEGIN;
SAVEPOINT before;
SELECT cano.define('order', cano.exit('done'));
ROLLBACK TO before;
SELECT cano.define('order', cano.definition('order'));
COMMIT;

-- What does not exist
SELECT cano.definition('order', 99);
SELECT cano.definition('order', 0);
SELECT cano.definition('Order');
\set VERBOSITY sqlstate
SELECT cano.definition('Order');
SELECT cano.definition('order', 99);
\set VERBOSITY default

-- Owners: who first defined it, and members of that role.
SET ROLE regress_cano_team;
SELECT cano.define('team', cano.exit('a'));
SET ROLE regress_cano_ann;
SELECT cano.define('team', cano.exit('b'));
SELECT cano.define('ann', cano.exit('a'));
SET ROLE regress_cano_team;
SELECT cano.define('ann', cano.exit('b'));
SET ROLE regress_cano_bob;
SELECT cano.define('team', cano.exit('b'));
SELECT cano.definition('team');
\set VERBOSITY sqlstate
SELECT cano.define('ann', cano.exit('b'));
\set VERBOSITY default
-- The definer must be able to call what he names.
SELECT cano.define('bob', cano.task('work', 'shop.work', next => 'done'), cano.exit('done'));
RESET ROLE;
REVOKE EXECUTE ON FUNCTION shop.work FROM PUBLIC;
SET ROLE regress_cano_bob;
SELECT cano.define('bob', cano.task('work', 'shop.work', next => 'done'), cano.exit('done'));
RESET ROLE;
SELECT cano.define('ann', cano.exit('b'));

-- Not where a role's rights are borrowed.
CREATE TABLE shop.one (a integer);
INSERT INTO shop.one VALUES (1);
CREATE FUNCTION shop.sneak(a integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS
	$$ BEGIN RETURN cano.define('sneak', cano.exit('a')); END $$;
CREATE INDEX ON shop.one (shop.sneak(a));

SET client_min_messages = warning;
DROP SCHEMA shop CASCADE;
DROP OWNED BY regress_cano_ann, regress_cano_bob, regress_cano_team;
DROP ROLE regress_cano_ann, regress_cano_bob, regress_cano_team;
