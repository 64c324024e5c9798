# On a server that does not preload cano sessions can do everything, workers
# being none.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $node = new_server('without_preload', "shared_preload_libraries = ''\n");
use_database($node, 'postgres');

sub as_worker
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql,
		extra_params => [ '-U', 'worker' ]);
}

my $run = submit($node, q{'three'});
is( $node->safe_psql('postgres',
		"SELECT status, state FROM cano.status($run)"),
	'queued|a',
	'a run waits for a worker');
my (undef, undef, $stderr) =
  $node->psql('postgres', "SELECT cano.wait($run, '10ms')");
like($stderr, qr/has not ended in time\n.*because the library is not preloaded\. CALL cano\.work\(\); runs/, 'in vain, and is told why');

as_worker('CALL cano.work()');
is_story($node, $run, 'a session can be the worker');

is( as_worker(
		q{CALL cano.orchestrate('three', '{"n": 1}', NULL)}),
	'{"n": 1}',
	'and for one run alone');
is( as_worker('SELECT count(*) FROM cano.workers') . as_worker(
		'SELECT count(*) FROM cano.activity'),
	'00',
	'the views of processes are empty');

# Waits for its timers, too.
$node->safe_psql('postgres', <<'SQL');
SELECT cano.define('timed', cano.timer('t', next => 'a', delay => '200 ms'),
	cano.task('a', 'note', next => 'done'), cano.exit('done'));
SQL
as_worker(q{CALL cano.orchestrate('timed', '{}', NULL)});
is( $node->safe_psql('postgres',
		"SELECT status FROM cano.runs WHERE workflow = 'timed'"),
	'completed',
	'orchestrate waits for timers');

# Where nothing is shared, a session has its own.
$node->safe_psql('postgres', <<'SQL');
SELECT cano.define('limited', cano.task('a', 'note', next => 'done', limiter => 'l'), cano.exit('done'))
FROM cano.create_limiter('l', 1, '1 hour');
SQL
submit($node, q{'limited'}) foreach 1 .. 3;
is( as_worker('CALL cano.work(); SELECT available FROM cano.limiters')
	  . $node->safe_psql('postgres',
		"SELECT count(*) FROM cano.runs WHERE workflow = 'limited' AND status = 'completed'"),
	'01',
	'a session has limiters of its own');

# Somebody else's work is noticed.
$run = submit($node, q{'three'});
my $client = $node->background_psql('postgres');
$client->query_until(qr/began/, "\\echo began\nSELECT 'result', cano.wait($run);\n");
as_worker('CALL cano.work()');
like($client->query('SELECT 1'), qr/result\|\{\}/,
	'who waits learns of the end');
$client->quit;

$node->stop;
done_testing();
