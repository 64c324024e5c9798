# The postmaster dies and takes nobody along: workers leave by themselves, and
# after the start everything goes on.  And a smart shutdown does not wait for
# tasks.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

# A step a commit: what was done before the task is kept.
my $node = new_server('orphans', "cano.max_crashes = 1\ncano.batch_steps = 1\ncano.idle_timeout = '60s'\n");
use_database($node, 'postgres');
define_slow($node);

foreach my $how (qw(killed smart))
{
	my $run = submit_slow($node);
	my @pids = split /\n/, $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'cano%'");

	cmp_ok(scalar(@pids), '>=', 2, "$how: launcher and worker are there");
	$how eq 'killed' ? $node->kill9 : $node->stop('smart');
	is(scalar(grep { system('timeout', 60, 'tail', "--pid=$_", '-f', '/dev/null') != 0 } @pids), 0, "$how: they leave");
	$node->start;
	is($node->safe_psql('postgres', "SELECT string_agg(state, ',') FROM ledger WHERE run = $run"), 'a', "$how: what the task did is gone");
	end_slow($node, $run);
	is_story($node, $run, "$how: every effect once, no crash counted");
}

$node->stop;
done_testing();
