# Workers start by themselves where there is work, and nowhere else, and leave
# when there is none.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $node = new_server('come_and_go', "cano.idle_timeout = '60s'\n");

$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('postgres', 'CREATE DATABASE plain');
$node->safe_psql('postgres', 'CREATE ROLE clerk LOGIN');
use_database($node, $_) for qw(postgres other);
$node->safe_psql($_, q{SELECT cano.grant_usage('clerk')}) for qw(postgres other);

ok(count_workers($node, 0), 'there are no workers without work');

is_story($node, submit($node, q{'three'}), 'a run is worked on by itself');
is( $node->safe_psql(
		'postgres', 'SELECT database, role, status FROM cano.workers'),
	'postgres|worker|idle',
	'by a worker of the role that submitted it');

is_story($node, submit($node, q{'three'}, role => 'clerk'),
	'another role has its own worker');
is_story($node, submit($node, q{'three'}, database => 'other'),
	'and another database', undef, 'other');
is( $node->safe_psql('postgres',
		"SELECT string_agg(datname || '.' || usename, ' ' ORDER BY datname, usename) FROM pg_stat_activity WHERE backend_type = 'cano worker'"
	),
	'other.worker postgres.clerk postgres.worker',
	'one worker for each role and database');
is( $node->safe_psql('postgres',
		'SELECT count(DISTINCT pid) FROM ledger'),
	'2', 'each ran the runs of its role');

# An idle worker is told, it need not look.
my $pid = $node->safe_psql('postgres',
	"SELECT pid FROM cano.workers WHERE role = 'worker' AND database = 'postgres'");
my $run = submit($node, q{'three'});
is( $node->safe_psql('postgres',
		"SELECT cano.wait($run, '20s'); SELECT DISTINCT pid FROM ledger WHERE run = $run"
	) =~ s/.*\n//sr,
	$pid,
	'an idle worker takes the next run');
is( $node->safe_psql('postgres',
		"SELECT ended_at - submitted_at < '1s' FROM cano.runs WHERE run_id = $run"
	),
	't',
	'at once');

$node->append_conf('postgresql.conf', "cano.idle_timeout = 100\n");
$node->reload;
ok(count_workers($node, 0), 'all leave when they have been idle for long enough');

# Nobody is there any more; the clock brings one back.
$run = submit($node, q{'three', run_at => clock_timestamp() + '600ms'});
ok(count_workers($node, 0), 'nobody waits for a time');
is_story($node, $run, 'a worker comes when a run is due');
is( $node->safe_psql('postgres',
		"SELECT min(started_at) >= min(r.submitted_at) + '600ms' AND min(started_at) < min(r.submitted_at) + '3s' FROM cano.runs r WHERE run_id = $run"
	),
	't',
	'in time');

$run = submit($node, q{'three'}, database => 'other');
is_story($node, $run, 'a worker comes for a new run', undef, 'other');
is( $node->safe_psql('other',
		"SELECT ended_at - submitted_at < '1s' FROM cano.runs WHERE run_id = $run"
	),
	't',
	'at once, too');
is( $node->safe_psql('postgres',
		"SELECT count(*) FROM pg_stat_activity WHERE datname = 'plain'"),
	'0',
	'nobody is in the database without cano');

$node->stop;
done_testing();
