# A session that works can be interrupted: what it had begun is undone, costs
# no attempt, and is free for others at once.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $node = new_server('session', "cano.enabled = off\ncano.batch_steps = 1\n");
use_database($node, 'postgres');
my @as_worker = (extra_params => [ '-U', 'worker' ]);

# By its own time-out
close_gate($node);
my $run = submit($node, q{'gated'});
my (undef, $stdout, $stderr) = $node->psql('postgres', <<'SQL', @as_worker, on_error_stop => 0);
SET search_path = pg_catalog;
SET statement_timeout = 300;
CALL cano.work();
RESET statement_timeout;
SHOW search_path;
SELECT current_user;
SELECT count(*) FROM cano.activity;
SQL
like(
	$stderr,
	qr/canceling statement due to statement timeout/,
	'a session gives up');
is($stdout, "pg_catalog\nworker\n0", 'and is as before');
is(run_story($node, $run), 'queued 0 0', 'the run is as before, too');

# By others
foreach my $function (qw(pg_cancel_backend pg_terminate_backend))
{
	my $session = IPC::Run::start(
		[
			$node->installed_command('psql'), '-XAt', '-U', 'worker',
			'-d', $node->connstr('postgres'),
			'-c', 'CALL cano.work()'
		],
		'>', \my $out, '2>', \my $err);
	my $pid =
	  "SELECT pid FROM pg_stat_activity WHERE query LIKE 'CALL%' AND wait_event_type = 'Lock'";
	$node->poll_query_until('postgres', "SELECT EXISTS ($pid)")
	  or die 'the session does not work';
	is( $node->safe_psql('postgres',
			"SELECT status FROM cano.status($run)"),
		'running',
		"$function: the run can be seen running");
	$node->safe_psql('postgres', "SELECT $function(($pid))");
	$session->finish;
	like(
		$err,
		qr/canceling statement due to user request|terminating connection/,
		"$function: the session gives up");
	is(run_story($node, $run), 'queued 0 0', "$function: the run is free");
}

open_gate($node);
$node->safe_psql('postgres', 'CALL cano.work()', @as_worker);
is_story($node, $run, 'another session does it all');

# Within limits
$run = submit($node, q{'three'});
$node->safe_psql('postgres', 'CALL cano.work(max_steps => 1)', @as_worker);
is(run_story($node, $run), 'queued a 0,1 0', 'a session works for a number of steps');
$node->safe_psql('postgres', "CALL cano.work(max_time => '0')", @as_worker);
isnt(run_story($node, $run), 'completed a,b,c 0,1,2,3 0', 'or for a time');
$node->safe_psql('postgres', 'CALL cano.work()', @as_worker);
is_story($node, $run, 'or for all there is');

(undef, undef, $stderr) =
  $node->psql('postgres', 'BEGIN; CALL cano.work()', @as_worker);
like($stderr, qr/cannot run inside a transaction block/,
	'but not in a transaction');

$node->stop;
done_testing();
