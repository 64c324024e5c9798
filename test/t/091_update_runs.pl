# Runs that an older release left, waiting for all kinds of things: they rest
# while the extension is older than the library, an update lets them go on, and
# every one ends as if nothing had been.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use CanoUpgrade;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my @as_worker = (extra_params => [ '-U', 'worker' ]);
my $out_of_step = qr/extension "cano" of database "\w+" is version [^,]+, but its library is version.*ALTER EXTENSION cano UPDATE/s;

# A client that does not give up.
my $submissions = <<'SQL';
DO $$
DECLARE
	v_runs integer := 0;
BEGIN
	WHILE v_runs < 200 LOOP
		BEGIN
			PERFORM cano.submit('plain', '{}', tags => '{new}');
			v_runs := v_runs + 1;
		EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL;
		END;
		COMMIT;
	END LOOP;
END $$
SQL

foreach my $release (releases())
{
	my $node = new_server("from_$release");
	install_script($node, $release, release_script($release));
	load_life($node, $release, 'updated', "CREATE EXTENSION cano VERSION '$release'");
	my $before = $node->safe_psql('updated', 'SELECT string_agg(j::text, chr(10) ORDER BY j.id) FROM cano._job j');
	my $log = -s $node->logfile;
	$node->restart;
	ok($node->wait_for_log(qr/LOG:  extension "cano" of database "updated" is version \Q$release\E/, $log), "$release: the log says that an update is due");
	my @said = slurp_file($node->logfile, $log) =~ /(extension "cano" of database "updated" is version)/g;
	is(scalar(@said), 1, "$release: once");

	# Verbs are refused, whatever they are, and so is what only reads.
	foreach my $statement (q{SELECT cano.submit('plain')}, q{SELECT cano.define('x', cano.exit('done'))}, q{CALL cano.work()}, q{SELECT cano.signal(2, 'go')},
		q{SELECT * FROM cano.take('offers')}, 'SELECT * FROM cano.runs', 'SELECT cano.adopt()', q{CALL cano.await(1)}, 'SELECT cano.cancel(1)')
	{
		my (undef, undef, $error) = $node->psql('updated', $statement);
		like($error, $out_of_step, "$release: $statement is refused with what to do");
	}
	is($node->safe_psql('updated', 'SELECT string_agg(j::text, chr(10) ORDER BY j.id) FROM cano._job j'), $before, "$release: nothing has been run meanwhile");

	# A session from before the update, and one that submits all the time.
	my $session = $node->background_psql('updated', on_error_stop => 0, @as_worker);
	$session->query(q{SELECT cano.submit('plain')});
	like($session->{stderr}, $out_of_step, "$release: a session is refused");
	$session->{stderr} = '';
	my $refused;
	my $submitter = IPC::Run::start([ $node->installed_command('psql'), '-Xq', '-d', $node->connstr('updated') . ' user=worker', '-c', $submissions ],
		'<', '/dev/null', '>', '/dev/null', '2>', \$refused);
	$node->poll_query_until('updated', q{SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'DO%' AND state = 'active')});
	$node->safe_psql('updated', 'BEGIN; ALTER EXTENSION cano UPDATE; ROLLBACK');
	$node->safe_psql('updated', 'ALTER EXTENSION cano UPDATE');
	ok($submitter->finish, "$release: who submits goes on when the update is there") or diag($refused);
	is($session->query(q{SELECT cano.submit('plain', tags => '{new}') > 0}), 't', "$release: so does the session");
	$session->quit;
	all_end_well($node, 'updated', "$release, updated");
	is($node->safe_psql('updated', q{SELECT count(*) FROM cano.runs WHERE workflow = 'plain' AND tags = '{new}' AND status = 'completed'}), '201',
		"$release: what was submitted meanwhile is there, once");
	is($node->safe_psql('updated', q{SELECT count(*), count(DISTINCT (run, what)) FROM ledger JOIN cano.runs ON run_id = run WHERE workflow = 'plain' AND tags = '{new}'}),
		'402|402', "$release: and was done once");

	# A dump of that release, restored into this one
	load_life($node, $release, 'restored', 'CREATE EXTENSION cano');
	$node->safe_psql('restored', 'SELECT cano.grant_usage($$worker$$)');
	is($node->safe_psql('restored', 'SELECT cano.adopt() > 0'), 't', "$release: a dump is adopted");
	$node->restart;
	all_end_well($node, 'restored', "$release, restored");
	unlike(slurp_file($node->logfile), qr/deadlock detected|terminated by signal|TRAP|PANIC/, "$release: nobody stumbled");
	$node->stop;
}

done_testing();
