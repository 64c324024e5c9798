# A base backup of a server at work, recovered to a point in the middle of a
# run: runs are as they were then, nothing runs before cano.enabled says so, and
# from there every run goes on, as the original once did.  And a dump of a live
# database is of one moment.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $original = new_server('original', "wal_level = replica\nmax_wal_senders = 5\narchive_mode = on\n");
use_database($original, 'postgres');
my $archive = $original->archive_dir;
mkdir $archive;
$original->append_conf('postgresql.conf', "archive_command = 'cp \"%p\" \"$archive/%f\"'\n");
$original->restart;

# What is wrong with the effects of runs, as far as they have come.
my $wrong = <<'SQL';
SELECT count(*) FROM (
	SELECT FROM cano.runs r FULL JOIN ledger l ON l.run = r.run_id
	GROUP BY r.run_id, r.status HAVING r.run_id IS NULL
		OR coalesce(string_agg(l.state, '' ORDER BY l.state), '') <> (SELECT coalesce(string_agg(c.state, '' ORDER BY c.sequence), '')
			FROM cano.checkpoints c WHERE c.run_id = r.run_id AND c.sequence < (SELECT max(sequence) FROM cano.checkpoints m WHERE m.run_id = r.run_id))) AS wrong
SQL
my $all_ended = 'SELECT NOT EXISTS (SELECT FROM cano.runs WHERE ended_at IS NULL)';

sub submit_some
{
	my ($node, $count) = @_;
	return $node->safe_psql('postgres', "SELECT count(cano.submit('three')) FROM generate_series(1, $count)", extra_params => [ '-U', 'worker' ]);
}

submit_some($original, 50);
$original->backup('base');
submit_some($original, 50);
close_gate($original);
my $run = submit($original, q{'gated', key => 'held'});
wait_at_gate($original);
submit_some($original, 50);
$original->poll_query_until('postgres', q{SELECT count(*) > 110 FROM cano.runs WHERE status = 'completed'})
  or die 'nothing goes on';
my $point = $original->safe_psql('postgres', q{SELECT pg_create_restore_point('then')});
open_gate($original);
is_story($original, $run, 'the original goes on');
submit_some($original, 50);
$original->poll_query_until('postgres', $all_ended) or die 'runs do not end';

# A dump while everything is on the move
my $dump = "$PostgreSQL::Test::Utils::tmp_check/live.sql";
submit_some($original, 300);
$original->command_ok([ 'pg_dump', '-f', $dump, 'postgres' ], 'a live database is dumped');
$original->poll_query_until('postgres', $all_ended) or die 'runs do not end';
$original->safe_psql('postgres', 'CREATE DATABASE dumped');
$original->safe_psql('postgres', "ALTER SYSTEM SET cano.enabled = off");
$original->reload;
$original->poll_query_until('postgres', q{SELECT NOT current_setting('cano.enabled')::boolean});
$original->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'dumped', '-f', $dump ], 'and restored');
is($original->safe_psql('dumped', $wrong), '0', 'the dump has the effects of just those steps that it has');
$original->safe_psql('postgres', 'SELECT pg_switch_wal()');
$original->stop;

my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init_from_backup($original, 'base', has_restoring => 1, standby => 0);
$copy->append_conf('postgresql.conf', "recovery_target_name = 'then'\nrecovery_target_action = 'promote'\ncano.enabled = off\narchive_mode = off\n");
$copy->start;
$copy->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'recovery does not end';
is($copy->safe_psql('postgres', "SELECT status, state FROM cano.status($run)"), 'queued|a', 'a run that was at work is where it was');
is($copy->safe_psql('postgres', $wrong), '0', 'effects and checkpoints are of the same moment');
ok(count_workers($copy, 0), 'nothing runs in the copy');
open_gate($copy);
$copy->safe_psql('postgres', "ALTER SYSTEM SET cano.enabled = on");
$copy->reload;
is_story($copy, $run, 'until it may: then the run goes on');
ok($copy->poll_query_until('postgres', $all_ended), 'and so do all that were under way');
is($copy->safe_psql('postgres', $wrong), '0', 'every effect is there once');
is($copy->safe_psql('postgres', 'SELECT count(*) = 151, count(*) = count(DISTINCT run_id) FROM cano.runs'), 't|t', 'of just those runs that there were');

$copy->stop;
done_testing();
