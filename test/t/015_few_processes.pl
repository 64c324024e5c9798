# With less room than there are roles every role has its turn: an idle worker
# makes room for one that is needed.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $node = new_server('few', "cano.idle_timeout = '600s'\n");
my @roles = map { "role_$_" } 1 .. 5;
use_database($node, 'postgres');
$node->safe_psql('postgres',
	"CREATE ROLE $_ LOGIN; SELECT cano.grant_usage('$_')")
  foreach @roles;

sub every_role
{
	my ($name) = @_;
	my %runs = map { $_ => submit($node, q{'three'}, role => $_) } @roles;

	is_story($node, $runs{$_}, "$name: $_") foreach @roles;
	return;
}

$node->append_conf('postgresql.conf', "cano.max_workers = 1\n");
$node->reload;
every_role('cano.max_workers = 1');
every_role('and again');

# The setting allows more than the server has room for.
$node->append_conf('postgresql.conf',
	"cano.max_workers = 8\nmax_worker_processes = 4\n");
$node->restart;
every_role('max_worker_processes = 4');
every_role('and again');

# Nobody's work keeps a role from its turn for ever.
$node->append_conf('postgresql.conf', "cano.max_workers = 1\n");
$node->reload;
$node->safe_psql('postgres', <<'SQL', extra_params => [ '-U', 'role_1' ]);
SELECT count(*) FROM cano.submit_many('three', array_fill('{}'::jsonb, ARRAY[2000]));
SQL
my $run = submit($node, q{'three'}, role => 'role_2');
is_story($node, $run, 'a role beside one that is busy');
$node->poll_query_until('postgres',
	"SELECT count(*) = 0 FROM cano.runs WHERE status <> 'completed'");
is( $node->safe_psql('postgres',
		"SELECT count(*) = 3 * count(DISTINCT run), count(DISTINCT run) > 2000 FROM ledger"
	),
	't|t',
	'all have been served, once');

$node->stop;
done_testing();
