# The server is stopped in the middle of a task, in each of the ways there
# are: quickly, and after the restart the run goes on where it was.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Time::HiRes qw(time);

use CanoServer;
use Test::More;

my $node = new_server('shutdown', "cano.max_crashes = 1\n");
use_database($node, 'postgres');
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE switch (slow boolean);
INSERT INTO switch VALUES (true);
GRANT SELECT ON switch TO worker;
CREATE FUNCTION note_or_sleep() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM note();
	IF (SELECT slow FROM switch) THEN
		PERFORM pg_sleep(3600); -- lasts: until terminated
	END IF;
END $$;
SELECT cano.define('slow', cano.task('a', 'note', next => 'b'), cano.task('b', 'note_or_sleep', next => 'c'),
	cano.task('c', 'note', next => 'done'), cano.exit('done'));
SQL

foreach my $mode (qw(fast immediate))
{
	$node->safe_psql('postgres', 'UPDATE switch SET slow = true');
	my $run = submit($node, q{'slow'});
	$node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM cano.activity WHERE run_id = $run AND state = 'b'");

	my $begin = time;
	$node->stop($mode);
	cmp_ok(time - $begin, '<', 20, "$mode: the server stops quickly");

	$node->start;
	is( $node->safe_psql('postgres',
			"SELECT string_agg(state, ',') FROM ledger WHERE run = $run"),
		'a',
		"$mode: the effects of the task that ran are gone, those before are kept");
	$node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM cano.activity WHERE run_id = $run AND state = 'b'");
	is( $node->safe_psql('postgres',
			"SELECT attempt, sequence FROM cano.status($run)"),
		'1|1',
		"$mode: it runs again by itself, as its first attempt");

	# Its own session ends it: it must see the switch at its next try.
	$node->safe_psql('postgres', <<SQL);
UPDATE switch SET slow = false;
SELECT pg_terminate_backend(pid) FROM cano.activity WHERE run_id = $run;
SQL
	is_story($node, $run, "$mode: every effect once, no crash counted");
}

# Nobody is killed, nothing is left in shared memory or in files.
$node->stop;
$node->start;
is_story($node, submit($node, q{'three'}), 'all is well after a last restart');

$node->stop;
done_testing();
