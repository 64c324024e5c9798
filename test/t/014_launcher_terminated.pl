# The launcher can be lost at any time: another one takes over, and finds what
# happened meanwhile.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $node = new_server('launcher', "cano.idle_timeout = 0\n");
use_database($node, 'postgres');

my $launcher =
  "SELECT pid FROM pg_stat_activity WHERE backend_type = 'cano launcher'";

sub terminate
{
	return $node->safe_psql('postgres',
		"SELECT pg_terminate_backend(($launcher), 60000)");
}

my $run = submit($node, q{'three', run_at => clock_timestamp() + '200ms'});
is(terminate(), 't', 'the launcher is gone');
my $orphan = submit($node, q{'three'});
is_story($node, $orphan, 'a run that was submitted without a launcher');
is_story($node, $run, 'a run that came due without a launcher');

# Workers do not need one.
close_gate($node);
$run = submit($node, q{'gated'});
my $pid = wait_at_gate($node);
is(terminate(), 't', 'the launcher is gone again');
open_gate($node);
is_story($node, $run, 'a worker goes on without');
$node->poll_query_until('postgres', "SELECT EXISTS ($launcher)");
is( $node->safe_psql('postgres',
		"SELECT DISTINCT pid FROM ledger WHERE run = $run AND state = 'a'"),
	$pid,
	'and does not begin anew');
is_story($node, submit($node, q{'three'}), 'a run after all');

# A cancelled launcher has nothing to cancel; one that is killed takes the
# server with it, and no job is blamed.
my $before = $node->safe_psql('postgres', $launcher);
$node->safe_psql('postgres', "SELECT pg_cancel_backend($before)") foreach 1 .. 5;
is_story($node, submit($node, q{'three'}), 'a run after the launcher was cancelled');
is($node->safe_psql('postgres', $launcher), $before, 'which is still there');
close_gate($node);
$run = submit($node, q{'gated'});
wait_at_gate($node);
my $log = -s $node->logfile;
kill 'KILL', $before;
$node->wait_for_log(qr/PID $before\) was terminated by signal 9.*ready to accept connections/s, $log);
open_gate($node);
is_story($node, $run, 'a run that was at work when the launcher was killed');
is($node->safe_psql('postgres', 'SELECT count(*) FROM cano._crash'), '0', 'nobody is blamed');
is_story($node, submit($node, q{'three'}), 'and a run after that');

$node->stop;
done_testing();
