# Somebody terminates a worker: the task runs again, once in effect, and
# neither an attempt nor a crash is counted against it.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $node = new_server('terminated', "cano.workers_per_role = 1\n");
use_database($node, 'postgres');

sub terminate
{
	my ($pid) = @_;
	return $node->safe_psql('postgres',
		"SELECT pg_terminate_backend($pid, 60000)");
}

# Between runs
is_story($node, submit($node, q{'three'}), 'a first run');
my $pid = $node->safe_psql('postgres', 'SELECT pid FROM cano.workers');
is(terminate($pid), 't', 'the idle worker is gone');
is_story($node, submit($node, q{'three'}),
	'the next run is worked on by another');

# During a task, more often than a task may crash
close_gate($node);
my $run = submit($node, q{'gated'});
my $last = 0;
foreach my $n (1 .. 5)
{
	$last = wait_at_gate($node, $last);
	is( $node->safe_psql('postgres',
			"SELECT status, state, attempt FROM cano.status($run)"),
		'running|a|1',
		"time $n: the task runs as its first attempt");
	is(terminate($last), 't', "time $n: its worker is gone");
}
$last = wait_at_gate($node, $last);
open_gate($node);
is_story($node, $run, 'the run ends well at once');
is( $node->safe_psql('postgres',
		"SELECT count(*) FROM cano._crash WHERE run = $run"),
	'0',
	'no crash was counted');

# Runs of a role that may terminate its own session's kind only
$node->safe_psql('postgres', 'CREATE ROLE stranger LOGIN');
close_gate($node);
$run = submit($node, q{'gated'});
$pid = wait_at_gate($node);
my ($status, $stdout, $stderr) = $node->psql(
	'postgres',
	"SELECT pg_terminate_backend($pid)",
	extra_params => [ '-U', 'stranger' ]);
isnt($status, 0, 'a stranger cannot terminate a worker');
like(
	$stderr,
	qr/must be a member of the role|permission denied/,
	'and is told why');
open_gate($node);
is_story($node, $run, 'its task is not disturbed');

$node->stop;
done_testing();
