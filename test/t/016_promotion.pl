# On a standby nothing runs.  Once it is promoted, what the primary had not
# finished goes on there, once in effect.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use PostgreSQL::Test::Cluster;
use Test::More;

my $primary = new_server('primary', <<'CONF');
wal_level = replica
max_wal_senders = 5
hot_standby = on
CONF
use_database($primary, 'postgres');
$primary->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'copy', has_streaming => 1);
$standby->start;

is_story($primary, submit($primary, q{'three'}), 'a run on the primary');
close_gate($primary);
my $run = submit($primary, q{'gated'});
my $timed = submit($primary, q{'three', run_at => clock_timestamp() + '1s'});
wait_at_gate($primary);
$primary->safe_psql('postgres', "UPDATE cano._checkpoint SET recorded_at = recorded_at - interval '1 hour' WHERE run = $run; UPDATE cano._run SET submitted_at = submitted_at - interval '1 hour' WHERE id = $run");
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));

is( $standby->safe_psql('postgres',
		"SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'cano%'"),
	'0',
	'no process of cano on the standby');
is($standby->safe_psql('postgres', "SELECT status FROM cano.status($run)"),
	'queued', 'the run can be seen there');
my @views = split /\n/, $primary->safe_psql('postgres',
	q{SELECT oid::regclass FROM pg_class WHERE relnamespace = 'cano'::regnamespace AND relkind = 'v' AND relname NOT LIKE '\_%'});
cmp_ok(scalar(@views), '>', 10, 'there are views');
$standby->safe_psql('postgres', "SELECT * FROM $_") foreach @views;
is($standby->safe_psql('postgres', 'SELECT count(*) FROM cano.checkpoints'), $primary->safe_psql('postgres', 'SELECT count(*) FROM cano.checkpoints'), 'all of which answer there, with what the primary has');
is($standby->safe_psql('postgres', 'SELECT (SELECT count(*) FROM cano.activity), (SELECT count(*) FROM cano.workers)'), '0|0', 'with nobody at work');
like($standby->safe_psql('postgres', "SELECT cano.explain($run)"), qr/^gated, run $run:/, 'a run is explained there');
like($standby->safe_psql('postgres', 'SELECT cano.report()'), qr/<\/html>/, 'reported on');
like($standby->safe_psql('postgres', "SELECT cano.report($run)"), qr/<\/html>/, 'by itself, too');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM cano.health() WHERE severity = 'error'}), '0', 'the standby has no fault, though nobody there is at what is due');
my (undef, undef, $stderr) =
  $standby->psql('postgres', q{SELECT cano.submit('three')});
like($stderr, qr/read-only transaction|recovery/, 'but not submitted');
foreach my $role (qw(worker postgres))
{
	(undef, undef, $stderr) = $standby->psql(
		'postgres',
		"SET statement_timeout = '5s'; CALL cano.work()",
		extra_params => [ '-U', $role ]);
	like($stderr, qr/recovery|read-only/, "nor worked on, by $role");
}

$primary->stop('immediate');
$standby->promote;
open_gate($standby);
is_story($standby, $run, 'the run goes on after the promotion');
is_story($standby, $timed, 'and one whose time comes');
is_story($standby, submit($standby, q{'three'}), 'and a new one');

$standby->stop;
done_testing();
