# The server is stopped in the middle of a task, in each of the ways there
# are: quickly, and after the restart the run goes on where it was.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Time::HiRes qw(time);

use CanoServer;
use Test::More;

# A step a commit: what was done before the task is kept.
my $node = new_server('shutdown', "cano.max_crashes = 1\ncano.batch_steps = 1\n");
use_database($node, 'postgres');
define_slow($node);

foreach my $mode (qw(fast immediate))
{
	my $run = submit_slow($node);

	my $begin = time;
	$node->stop($mode);
	cmp_ok(time - $begin, '<', 20, "$mode: the server stops quickly");

	$node->start;
	is( $node->safe_psql('postgres',
			"SELECT string_agg(state, ',') FROM ledger WHERE run = $run"),
		'a',
		"$mode: the effects of the task that ran are gone, those before are kept");
	wait_slow($node, $run);
	is( $node->safe_psql('postgres',
			"SELECT attempt, sequence FROM cano.status($run)"),
		'1|1',
		"$mode: it runs again by itself, as its first attempt");
	end_slow($node, $run);
	is_story($node, $run, "$mode: every effect once, no crash counted");
}

# Nobody is killed, nothing is left in shared memory or in files.
$node->stop;
$node->start;
is_story($node, submit($node, q{'three'}), 'all is well after a last restart');

$node->stop;
done_testing();
