# An item of a batch that takes its session down is given up by itself; what
# other items did to the lane is not counted against it.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $node = new_server('poisoned_item');
use_database($node, 'postgres');
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION items() RETURNS SETOF integer LANGUAGE sql AS 'SELECT generate_series(0, 19)';
CREATE SEQUENCE death_3;
CREATE SEQUENCE death_11;
CREATE SEQUENCE death_15;
GRANT ALL ON death_3, death_11, death_15 TO PUBLIC;

-- Items 3, 11 and 15 die once, "always" again and again.
CREATE FUNCTION item(item integer, always integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
	IF item = always OR item IN (3, 11, 15) AND nextval('death_' || item) = 1 THEN
		PERFORM pg_terminate_backend(pg_backend_pid());
		PERFORM pg_sleep(3600); -- lasts: until terminated
	END IF;
	RETURN item;
END $$;
SELECT cano.define('items', cano.batch('a', 'items', 'item', concurrency => 1, next => 'done'), cano.exit('done'));
SQL

my $run = submit($node, q{'items', '{"always": -1}'});
ok(wait_ended($node, $run), 'a batch of whose items three take the session down once ends');
is( $node->safe_psql('postgres', "SELECT count(*) FROM cano.items WHERE run_id = $run AND status = 'completed'"),
	'20', 'all of them are done');

$run = submit($node, q{'items', '{"always": 7}'});
ok(wait_ended($node, $run), 'so does one with an item that always does');
is( $node->safe_psql('postgres',
		"SELECT item, status, error ->> 'category' FROM cano.items WHERE run_id = $run AND status <> 'completed'"),
	'7|failed|poisoned', 'that item is given up, and no other');
is( $node->safe_psql('postgres', 'SELECT count(*) FROM cano._crash'), '0', 'nothing is remembered of it');

# A branch that is known to be quick is called before anybody knows of its
# split.  Then, too, the crash is its own.
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION branch(branch integer, always integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
	IF branch = always THEN
		PERFORM pg_terminate_backend(pg_backend_pid());
		PERFORM pg_sleep(3600); -- lasts: until terminated
	END IF;
	RETURN branch;
END $$;
SELECT cano.define('split', cano.split('s', array_fill('branch'::text, ARRAY[4]), "join" => cano.quorum(3), next => 'end'), cano.exit('end'));
ALTER SYSTEM SET cano.max_crashes = 1;
ALTER SYSTEM SET cano.workers_per_role = 1;
SELECT pg_reload_conf();
SQL
wait_ended($node, submit($node, q{'split', '{"always": -1}'})) foreach 1 .. 26;
$run = submit($node, q{'split', '{"always": 2}'});
ok(wait_ended($node, $run), 'a split of whose branches one takes the session down ends');
is($node->safe_psql('postgres', "SELECT status || ' ' || (result ->> 's') FROM cano.runs WHERE run_id = $run"),
	'completed [0, 1, null, 3]', 'well');
is( $node->safe_psql('postgres',
		"SELECT branch, status, error ->> 'category' FROM cano.branches WHERE run_id = $run AND status <> 'completed'"),
	'2|failed|poisoned', 'that branch is given up, and no other');
is($node->safe_psql('postgres', 'SELECT count(*) FROM cano._crash'), '0', 'nothing is remembered of it, either');

$node->stop;
done_testing();
