# Lanes change hands often, on a machine that has too much to do: no item is
# passed by.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $node = new_server('batch_busy', "cano.workers_per_role = 8\ncano.max_workers = 16\n");
use_database($node, 'postgres');
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE other LOGIN;
SELECT cano.grant_usage('other');
CREATE FUNCTION items() RETURNS SETOF integer LANGUAGE sql AS 'SELECT generate_series(0, 19999)';
CREATE FUNCTION item(item integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
	IF random() < 0.02 THEN
		PERFORM pg_sleep(0.002); -- lasts: some last longer than others
	END IF;
	RETURN item;
END $$;
SELECT cano.define('batch ' || n, cano.batch('b', load => 'items', process => 'item', concurrency => n, next => 'end'), cano.exit('end'))
FROM unnest(ARRAY[1, 3]) AS n;
-- Until somebody has a certain lock.
CREATE FUNCTION burn() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	WHILE NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = 1 AND objid = 35) LOOP
		PERFORM count(*) FROM generate_series(1, 20000);
	END LOOP;
END $$;
SELECT cano.define('burn', cano.split('s', array_fill('burn'::text, ARRAY[3]), next => 'end'), cano.exit('end'));
SQL

my $burning = submit($node, q{'burn'}, role => 'other');
$node->poll_query_until('postgres', "SELECT count(*) = 3 FROM cano.activity WHERE run_id = $burning")
  or die 'nothing burns';
foreach my $lanes (1, 3)
{
	my $run = submit($node, "'batch $lanes'");

	# It ends, or nobody is there any more who goes on with it.
	$node->poll_query_until('postgres', <<SQL);
SELECT ended_at IS NOT NULL OR NOT EXISTS (SELECT FROM cano._job j WHERE j.run = r.run_id)
	AND EXISTS (SELECT FROM cano._timer t WHERE t.run = r.run_id AND t.waiting = 'i')
	AND NOT EXISTS (SELECT FROM cano.activity a WHERE a.run_id = r.run_id)
FROM cano.runs r WHERE run_id = $run
SQL
	is($node->safe_psql('postgres', "SELECT count(*) FROM cano.items WHERE run_id = $run AND status <> 'completed'"),
		'0', "$lanes at once: every item is completed");
	is($node->safe_psql('postgres', "SELECT status FROM cano.status($run)"), 'completed', "$lanes at once: the run ends");
}
my $enough = $node->background_psql('postgres');
$enough->query('SELECT pg_advisory_lock(1, 35)');
ok(wait_ended($node, $burning), 'the rest of the work ends, too');
$enough->quit;

$node->stop;
done_testing();
