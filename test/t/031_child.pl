# Runs that start runs: however many workers there are, and whatever happens to
# them, each run goes on once when its child has ended.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $node = new_server('child', "cano.max_crashes = 1000\n");
use_database($node, 'postgres');
$node->safe_psql('postgres', <<'SQL');
SELECT cano.define('leaf', cano.task('a', 'note_behind_gate', next => 'done'), cano.exit('done'));
SELECT cano.define('twig', cano.task('a', 'note', next => 'c'), cano.child('c', 'leaf', next => 'b'),
	cano.task('b', 'note', next => 'done'), cano.exit('done'));
SELECT cano.define('tree', cano.task('a', 'note', next => 'c'), cano.child('c', 'twig', next => 'b'),
	cano.task('b', 'note', next => 'done'), cano.exit('done'));
SQL

# 200 of them; returns the id that all of theirs are beyond.
sub plant
{
	my $before = $node->safe_psql('postgres',
		'SELECT coalesce(max(run_id), 0) FROM cano.runs');

	$node->safe_psql('postgres',
		q{SELECT count(*) FROM cano.submit_many('tree', array_fill('{}'::jsonb, ARRAY[200]))},
		extra_params => [ '-U', 'worker' ]);
	return $before;
}

# All of them end, with each effect once.
sub is_grown
{
	my ($before, $what) = @_;

	ok( $node->poll_query_until('postgres',
			"SELECT count(*) = 600 FROM cano.runs WHERE run_id > $before AND status = 'completed'"
		),
		"$what: every run completes")
	  or diag(
		$node->safe_psql('postgres',
			"SELECT workflow, status, state, waiting_for, count(*) FROM cano.runs WHERE run_id > $before GROUP BY 1, 2, 3, 4"
		));
	is( $node->safe_psql('postgres', <<SQL), "leaf|200|200|a\ntree|200|200|a b\ntwig|200|200|a b", "$what: each effect is there once");
SELECT workflow, count(*), count(DISTINCT coalesce(parent_run_id, run_id)), string_agg(DISTINCT states, ',')
FROM (
	SELECT r.workflow, r.run_id, r.parent_run_id, string_agg(l.state, ' ' ORDER BY l.state) AS states
	FROM cano.runs r LEFT JOIN ledger l ON l.run = r.run_id
	WHERE r.run_id > $before
	GROUP BY r.run_id, r.workflow, r.parent_run_id) AS each_run
GROUP BY workflow ORDER BY workflow
SQL
	return is_empty($what);
}

sub is_empty
{
	my ($what) = @_;
	my $left = 'SELECT (SELECT count(*) FROM cano._job), (SELECT count(*) FROM cano._timer), (SELECT count(*) FROM cano._stop)';

	return ok($node->poll_query_until('postgres', $left, '0|0|0'), "$what: nothing is left")
	  || diag($node->safe_psql('postgres', $left));
}

sub kill_process
{
	my ($pid) = @_;

	kill('KILL', $pid) or die "no process $pid";
	$node->poll_query_until('postgres',
		"SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)")
	  or die 'the server does not come back';
	return;
}

foreach my $workers (1, 2, 8)
{
	$node->safe_psql('postgres', "ALTER SYSTEM SET cano.workers_per_role = $workers");
	$node->reload;
	is_grown(plant(), "$workers at once");

	# In the middle, because nobody comes past the gate.
	close_gate($node);
	my $before = plant();
	kill_process((split /\n/, wait_at_gate($node))[0]);
	wait_at_gate($node);
	is( $node->safe_psql('postgres',
			"SELECT count(*) FROM cano.runs WHERE run_id > $before AND workflow = 'leaf' AND status = 'completed'"),
		'0', "$workers at once: no leaf comes past the gate");
	$node->stop('immediate');
	$node->start;
	wait_at_gate($node);
	open_gate($node);
	is_grown($before, "$workers at once, with crashes in between");
}

# Somewhere in between.
my $before = plant();
$node->poll_query_until('postgres',
	"SELECT count(*) > 20 FROM cano.runs WHERE run_id > $before AND status = 'completed'");
my $pid = $node->safe_psql('postgres',
	"SELECT max(pid) FROM pg_stat_activity WHERE backend_type = 'cano worker'");
kill_process($pid) if $pid;
is_grown($before, 'a crash while they end');

# Cancelling reaches what runs below.
close_gate($node);
my $run = submit($node, q{'tree'});
wait_at_gate($node);
$node->safe_psql('postgres', "SELECT cano.cancel($run)");
wait_ended($node, $run);
ok( $node->poll_query_until('postgres',
		"SELECT count(*) = 3 FROM cano.runs WHERE run_id >= $run AND status = 'cancelled'"),
	'a run that is cancelled takes its children along, and what they run');
open_gate($node);
is_empty('cancelled');

$before = plant();
$node->safe_psql('postgres', "SELECT cano.cancel(run_id) FROM cano.runs WHERE run_id > $before AND run_id % 7 = $_")
  foreach 0 .. 6;
ok( $node->poll_query_until('postgres',
		"SELECT NOT EXISTS (SELECT FROM cano.runs WHERE ended_at IS NULL)"),
	'many that are cancelled while they run all end');
is( $node->safe_psql('postgres',
		"SELECT count(*) FROM (SELECT FROM ledger WHERE run > $before GROUP BY run, state HAVING count(*) > 1) AS twice"),
	'0', 'no effect is there twice');
is_empty('cancelled while they run');

unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/deadlock detected/, 'no transaction of the engine met a deadlock');
$node->stop;
done_testing();
