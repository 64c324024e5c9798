# The primary dies under load and its standby takes over: with synchronous
# replication nothing that was acknowledged is lost; without, what is lost is
# lost whole.  In both cases every effect is there once.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# A client that submits one run after the other and writes down whatever it
# was told to have submitted, until the primary is no more.
sub start_client
{
	my ($node, $file) = @_;

	append_to_file("$file.sql", "SELECT cano.submit('wait');\n" x 20000);
	return IPC::Run::start(
		[ $node->installed_command('psql'), '-XAtq', '-v', 'ON_ERROR_STOP=1', '-U', 'worker', '-d', $node->connstr('postgres'), '-f', "$file.sql" ],
		'<', '/dev/null', '>', $file, '2>', '/dev/null');
}

foreach my $synchronous (0, 1)
{
	my $name = $synchronous ? 'synchronous' : 'asynchronous';
	my $primary = new_server("primary_$name", "wal_level = replica\nmax_wal_senders = 5\nhot_standby = on\n");

	use_database($primary, 'postgres');
	$primary->safe_psql('postgres', <<'SQL');
SELECT cano.define('wait', cano.task('a', 'note', next => 'b'), cano.timer('b', delay => '20 ms', next => 'c'),
	cano.task('c', 'note', next => 'd'), cano.split('d', '{note,note}'::text[], next => 'done'), cano.exit('done'));
SQL
	$primary->backup('copy');
	my $standby = PostgreSQL::Test::Cluster->new("standby_$name");
	$standby->init_from_backup($primary, 'copy', has_streaming => 1);
	$standby->append_conf('postgresql.conf', 'cano.node_id = 7');
	$standby->start;
	$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
	if ($synchronous)
	{
		$primary->safe_psql('postgres', q{ALTER SYSTEM SET synchronous_standby_names = '*'});
		$primary->reload;
		$primary->poll_query_until('postgres', q{SELECT sync_state = 'sync' FROM pg_stat_replication})
		  or die 'the standby is not synchronous';
	}

	my $file = "$PostgreSQL::Test::Utils::tmp_check/submitted_$name";
	my @clients = map { start_client($primary, "$file.$_") } 1 .. 2;
	$primary->poll_query_until('postgres', q{SELECT count(*) > 30 FROM cano.runs WHERE status = 'completed'})
	  or die 'no run completes';
	$primary->stop('immediate');
	eval { $_->finish } foreach @clients;
	$standby->promote;

	ok($standby->poll_query_until('postgres', 'SELECT NOT EXISTS (SELECT FROM cano.runs WHERE ended_at IS NULL)'),
		"$name: every run ends on the standby");
	is($standby->safe_psql('postgres', q{SELECT string_agg(DISTINCT status, ' '), count(*) > 30 FROM cano.runs}),
		'completed|t', "$name: and completes");
	is( $standby->safe_psql('postgres', <<'SQL'), '0', "$name: every effect of every run is there once");
SELECT count(*) FROM (
	SELECT FROM cano.runs r FULL JOIN ledger l ON l.run = r.run_id
	GROUP BY coalesce(r.run_id, l.run) HAVING string_agg(l.state, ' ' ORDER BY l.state) IS DISTINCT FROM 'a c d d') AS wrong
SQL
	my @submitted = map { grep { /^\d+$/ } split /\n/, slurp_file("$file.$_") } 1 .. 2;
	cmp_ok(scalar(@submitted), '>', 30, "$name: the client was told of many");
	is( $standby->safe_psql('postgres',
			'SELECT count(*) FROM unnest(ARRAY[' . join(',', @submitted) . ']::bigint[]) s LEFT JOIN cano.runs r ON r.run_id = s WHERE r.run_id IS NULL'),
		'0', "$name: none of them is lost") if $synchronous;
	is($standby->safe_psql('postgres', 'SELECT (SELECT count(*) FROM cano._job), (SELECT count(*) FROM cano._timer), (SELECT count(*) FROM cano._crash)'),
		'0|0|0', "$name: nothing is left over");
	my $new = submit($standby, q{'three'});
	is_story($standby, $new, "$name: a new run");
	is($new >> 48, 7, "$name: has an id that the primary never gave");
	$standby->stop;
}

done_testing();
