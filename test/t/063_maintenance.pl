# What an administrator does to the tables and settings while everything is on
# the move: runs may wait for it, none is lost, none is had twice; and of many
# databases only those that have work have workers.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $node = new_server('maintenance', "cano.idle_timeout = 1000\n");
use_database($node, 'postgres');
my $total = 0;

sub submit_some
{
	my ($count) = @_;

	$total += $count;
	$node->safe_psql('postgres', "SELECT count(cano.submit('three')) FROM generate_series(1, $count)", extra_params => [ '-U', 'worker' ]);
	return;
}

sub all_well
{
	my ($name) = @_;

	ok($node->poll_query_until('postgres', 'SELECT NOT EXISTS (SELECT FROM cano.runs WHERE ended_at IS NULL)'), "$name: every run ends");
	is( $node->safe_psql('postgres', "SELECT (SELECT count(*) FROM cano.runs WHERE status = 'completed'), count(*), count(DISTINCT (run, state)) FROM ledger"),
		join('|', $total, 3 * $total, 3 * $total), "$name: every effect is there once");
	return;
}

# Each table of cano, locked against everybody while there is work
my @tables = split /\n/,
  $node->safe_psql('postgres', q{SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace = 'cano'::regnamespace AND c.relkind = 'r' ORDER BY 1});
foreach my $table (grep { /_(run|job|timer|checkpoint)$/ } @tables)
{
	$node->safe_psql('postgres', "BEGIN; LOCK TABLE $table; PREPARE TRANSACTION 'maintenance'");
	my $client = IPC::Run::start(
		[ $node->installed_command('psql'), '-XAtq', '-U', 'worker', '-d', $node->connstr('postgres'),
			'-c', "SELECT count(cano.submit('three')) FROM generate_series(1, 20)" ],
		'>', \my $out, '2>', \my $err);
	$node->poll_query_until('postgres', 'SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)') or die 'nobody waits';
	is($node->safe_psql('postgres', "SELECT count(*) <= 5 FROM pg_stat_activity WHERE backend_type = 'cano worker'"), 't',
		"$table is locked: workers do not pile up");
	$node->safe_psql('postgres', "COMMIT PREPARED 'maintenance'");
	$client->finish;
	$total += 20 if $out =~ /20/;
}
all_well('locked tables');

# Rewritten and vacuumed
foreach my $table (@tables)
{
	submit_some(20);
	$node->safe_psql('postgres', "$_ $table")
	  foreach 'VACUUM FULL', 'REINDEX TABLE', 'REINDEX TABLE CONCURRENTLY', 'VACUUM (FREEZE, ANALYZE)';
}
all_well('rewritten tables');

# Settings change all the time.
my %settings = ('cano.max_workers' => [ 1, 8, 3 ], 'cano.workers_per_role' => [ 1, 4, 2 ], 'cano.batch_time' => [ 0, 100, 5 ],
	'cano.batch_steps' => [ 1, 1000, 7 ], 'cano.idle_timeout' => [ 0, 1000, 10 ], 'cano.enabled' => [ 'off', 'on', 'on' ],
	'cano.function_trust' => [ 'owner', 'any', 'any' ], 'cano.allow_superuser_runs' => [ 'off', 'on', 'on' ]);
foreach my $round (0 .. 11)
{
	submit_some(50);
	foreach my $setting (sort keys %settings)
	{
		$node->safe_psql('postgres', "ALTER SYSTEM SET $setting = '$settings{$setting}[$round % 3]'");
	}
	$node->reload;
}
all_well('settings');

# Many databases: their runs come due by themselves, and nothing stays.
my @databases = map { "shop_$_" } 1 .. 15;
$node->safe_psql('postgres', 'CREATE DATABASE shop_1');
use_database($node, 'shop_1');
$node->safe_psql('postgres', "CREATE DATABASE $_ TEMPLATE shop_1") foreach @databases[ 1 .. $#databases ];
my %runs = map { $_ => submit($node, q{'three', run_at => clock_timestamp() + '500 ms'}, database => $_) } @databases;
$node->restart;
is_story($node, $runs{$_}, "$_ has its run", undef, $_) foreach @databases;
ok(count_workers($node, 0), 'afterwards there is nobody');

$node->stop;
done_testing();
