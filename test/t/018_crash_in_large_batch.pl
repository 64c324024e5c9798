# The server crashes while many steps of many runs share a commit: each of
# them is had once.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $node = new_server('large_batch',
	"cano.idle_timeout = 0\ncano.workers_per_role = 1\ncano.batch_time = '1s'\ncano.max_crashes = 2\n"
);
use_database($node, 'postgres');

# Of a process: by then its batches are as large as they get.
foreach my $stop (
	'step-after-call:kill:300', 'step-decided:kill:301',
	'batch-before-settle:kill:9', 'batch-before-commit:kill:9',
	'batch-after-commit:kill:9')
{
	count_workers($node, 0) or die 'a worker stays';
	$node->safe_psql('postgres',
		"ALTER DATABASE postgres SET cano.debug_stop = '$stop'");
	close_gate($node);
	my $log = -s $node->logfile;
	my $first = submit($node, q{'gated', priority => 0});
	wait_at_gate($node);
	$node->safe_psql('postgres', <<'SQL', extra_params => [ '-U', 'worker' ]);
SELECT count(*) FROM cano.submit_many('three', array_fill('{}'::jsonb, ARRAY[400]));
SQL
	$node->safe_psql('postgres',
		'ALTER DATABASE postgres RESET cano.debug_stop');
	open_gate($node);

	ok( $node->poll_query_until('postgres',
			"SELECT count(*) = 401 FROM cano.runs WHERE run_id >= $first AND status = 'completed'"
		),
		"$stop: all runs end well");
	$node->wait_for_log(qr/terminated by signal 9/, $log);
	is( $node->safe_psql('postgres', <<SQL),
SELECT count(*), count(DISTINCT (run, state)),
	(SELECT count(*) FROM cano.checkpoints WHERE run_id >= $first),
	(SELECT count(DISTINCT (run_id, sequence)) FROM cano.checkpoints WHERE run_id >= $first AND sequence BETWEEN 0 AND 3),
	(SELECT count(*) FROM cano.attempts)
FROM ledger
WHERE run >= $first
SQL
		'1203|1203|1604|1604|0',
		"$stop: every effect and every checkpoint once");
}

$node->stop;
done_testing();
