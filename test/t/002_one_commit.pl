# Wherever a worker stops, a task's effects, its checkpoint and its job are
# kept together or lost together: afterwards every effect is there exactly once.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

# The first task waits at the gate.  Until it is opened again the setting is
# out of the way of every later process; by then the worker has passed the
# first two points once.
my @points = (
	[ 'batch-claimed', 2 ],
	[ 'step-before-call', 2 ],
	[ 'step-after-call', 1 ],
	[ 'step-decided', 1 ],
	[ 'batch-before-settle', 1 ],
	[ 'batch-before-commit', 1 ],
	[ 'batch-after-commit', 1 ]);

my $node = new_server('one_commit',
	"cano.idle_timeout = 0\ncano.workers_per_role = 1\n");
use_database($node, 'postgres');

foreach my $action (qw(error fatal kill))
{
	foreach (@points)
	{
		my ($point, $passage) = @$_;
		my $stop = "$point:$action:$passage";

		# An error within the attempt is the task's own: a panic ends the run.
		my $panic = $action eq 'error' && $point =~ /^step/;
		my $story =
		    !$panic       ? 'completed a,b,c 0,1,2,3 0'
		  : $passage == 1 ? 'failed 0 1'
		  :                 'failed a 0,1 1';

		count_workers($node, 0) or die 'a worker stays';
		$node->safe_psql('postgres',
			"ALTER DATABASE postgres SET cano.debug_stop = '$stop'");
		close_gate($node);
		my $log = -s $node->logfile;
		my $run = submit($node, q{'gated'});
		my $pid = wait_at_gate($node);
		$node->safe_psql('postgres',
			'ALTER DATABASE postgres RESET cano.debug_stop');
		open_gate($node);

		is_story($node, $run, "$stop: every effect once",
			$story);
		$node->wait_for_log(
			$action eq 'kill'
			? qr/PID $pid\) was terminated by signal 9/
			: qr/stopped at $point/,
			$log);
	}
}

is( $node->safe_psql('postgres',
		'SELECT (SELECT count(*) FROM cano._job), (SELECT count(*) FROM cano._timer), (SELECT count(*) FROM cano._crash)'
	),
	'0|0|0',
	'nothing is left behind');

$node->stop;
done_testing();
