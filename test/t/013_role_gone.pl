# A role that cannot log in any more, or is gone, costs nobody else anything.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $node = new_server('role_gone', "cano.idle_timeout = 0\n");
use_database($node, 'postgres');
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE users;
SELECT cano.grant_usage('users');
CREATE ROLE leaver LOGIN IN ROLE users;
CREATE ROLE sleeper LOGIN IN ROLE users;
SQL

sub later
{
	my ($role) = @_;
	return submit($node, q{'three', run_at => clock_timestamp() + '500ms'},
		role => $role);
}

my $lost = later('leaver');
my $kept = later('sleeper');
count_workers($node, 0);
$node->safe_psql('postgres',
	'DROP ROLE leaver; ALTER ROLE sleeper NOLOGIN');

my $log = -s $node->logfile;
$node->wait_for_log(qr/role "sleeper" is not permitted to log in/, $log);
is_story($node, submit($node, q{'three'}), 'others go on');
is( $node->safe_psql('postgres',
		"SELECT run_id = $kept, role FROM cano.runs WHERE role <> 'worker' AND status IN ('queued', 'waiting') ORDER BY run_id"
	),
	"f|leaver\nt|sleeper",
	'what such roles had submitted stays');
$node->safe_psql('postgres', 'ALTER ROLE sleeper LOGIN');
is_story($node, $kept, 'until the role may log in again');

# Of the same name, but not the same
$node->safe_psql('postgres', 'CREATE ROLE leaver LOGIN IN ROLE users');
is($node->safe_psql('postgres', 'SELECT count(*) FROM cano.runs',
		extra_params => [ '-U', 'leaver' ]),
	'0', 'a new role has nothing of an old one of its name');
is_story($node, submit($node, q{'three'}, role => 'leaver'),
	'but runs of its own');
is($node->safe_psql('postgres', "SELECT count(*) FROM ledger WHERE run = $lost"),
	'0', 'the old one has been left alone');

# A worker at work keeps its role, and a role its worker.
close_gate($node);
my $run = submit($node, q{'gated'}, role => 'leaver');
my $pid = wait_at_gate($node);
my ($status, undef, $stderr) = $node->psql('postgres',
	"SET lock_timeout = '100ms'; DROP ROLE leaver");
like($stderr, qr/lock timeout/, 'a role with a task at work cannot be dropped');
open_gate($node);
is_story($node, $run, 'its task ends well');

$node->stop;
done_testing();
