# A run belongs to the database, not to the process that works on it: workers
# and servers come and go.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $node = new_server('restart', "cano.workers_per_role = 1\n");
use_database($node, 'postgres');

sub set_enabled
{
	my ($value) = @_;

	$node->safe_psql('postgres', "ALTER SYSTEM SET cano.enabled = $value");
	$node->reload;
	$node->poll_query_until('postgres',
		"SELECT current_setting('cano.enabled') = '$value'")
	  or die 'no reload';
	return;
}

# Told to stop while a step runs: it is finished, and the next not begun.
close_gate($node);
my $run = submit($node, q{'gated', '{"from": "input"}'});
wait_at_gate($node);
is( $node->safe_psql('postgres',
		"SELECT status, state, sequence FROM cano.status($run)"),
	'running|a|0',
	'the first step runs');
set_enabled('off');
open_gate($node);
ok(count_workers($node, 0), 'the worker leaves');
is( run_story($node, $run),
	'queued a 0,1 0',
	'after it has finished the step, and before it begins the next');

$node->restart;
is( $node->safe_psql('postgres',
		"SELECT status, state, sequence FROM cano.status($run)"),
	'queued|b|1',
	'the run is where it was after a restart');
set_enabled('on');
is_story($node, $run, 'another worker goes on with the next step');
is( $node->safe_psql('postgres',
		"SELECT count(DISTINCT pid) FROM ledger WHERE run = $run AND state <> 'a'"
	) . $node->safe_psql('postgres',
		"SELECT count(*) FROM ledger x JOIN ledger y USING (run, pid) WHERE run = $run AND x.state = 'a' AND y.state = 'b'"
	),
	'10',
	'which is not the one that did the first');
is($node->safe_psql('postgres', "SELECT cano.result($run)"),
	'{"from": "input"}', 'with the data of the run');

# A key outlives the server.
set_enabled('off');
$run = submit($node, q{'three', '{"n": 1}', key => 'k'});
$node->restart;
is( $node->safe_psql('postgres',
		q{SELECT run_id, newly_submitted FROM cano.submit_info('three', '{"n": 1}', key => 'k')},
		extra_params => [ '-U', 'worker' ]),
	"$run|f",
	'submitted again with the same input it is the same run');
my (undef, undef, $stderr) = $node->psql(
	'postgres',
	q{\set VERBOSITY verbose
	SELECT cano.submit('three', '{"n": 2}', key => 'k')},
	extra_params => [ '-U', 'worker' ]);
like(
	$stderr,
	qr/ERROR:  CN409: .*key "k"/,
	'with another input it is an error that names the key');
set_enabled('on');
is_story($node, $run, 'the run ends well');
isnt(submit($node, q{'three', '{"n": 2}', key => 'k'}),
	$run, 'and its key is free');

# What was to come later comes although nobody remembers.
$run = submit($node, q{'three', run_at => clock_timestamp() + '500ms'});
$node->stop('immediate');
$node->start;
is_story($node, $run, 'a time that was set before a crash is kept');

$node->stop;
done_testing();
