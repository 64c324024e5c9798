# Runs that an older release left, waiting for all kinds of things: they rest
# while the extension is older than the library, an update lets them go on, and
# every one ends as if nothing had been.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $upgrade = "$FindBin::RealBin/../upgrade";
my @releases = map { m{/([^/]*)\.dump$} } glob "$upgrade/*.dump";
my @as_worker = (extra_params => [ '-U', 'worker' ]);
my $out_of_step = qr/extension "cano" of database "\w+" is version [^,]+, but its library is version.*ALTER EXTENSION cano UPDATE/s;

# What life.sql's runs have come to in the end, by workflow and in their order.
my $endings = <<'ENDINGS';
alone|completed a
alone|completed a
batch|completed b, item 1, item 2, item 4, item 6, item hard, item hard
dead|failed a, undo a
kept|completed ended, put before, a tool, set up, torn down
leased|completed b
left|completed b, hard
limited|completed a
limited|completed a
observed|completed
offered|completed b
parent|completed a, b2
plain|completed a, b
plain|completed a, b
plain|completed a, b
poll|completed b
retry|completed b, hard
saga|failed a, c, hard by undo, undo a, undo c, undo hard by undo
signal|cancelled a
signal|completed a, b
signalled|completed b
split|completed b, easy 0, easy 2, hard 1
stepped|completed b, walk, walk 1, walk 2, walk 3, walk 4
timed|failed a, undo a
timer|completed a, b
timer|completed a, b
versions|completed a, old
ENDINGS
chomp $endings;

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

# The dump in a database of this server, with the extension as the statement makes it.
sub load
{
	my ($node, $release, $database, $create) = @_;
	my $dump = slurp_file("$upgrade/$release.dump");
	my $file = "$PostgreSQL::Test::Utils::tmp_check/$database.sql";

	$node->safe_psql('postgres', "CREATE DATABASE $database");

	# In 0.1.0 it was the server's.
	my $origin = $node->safe_psql($database, 'SELECT system_identifier' . ($release eq '0.1.0' ? '' : ' # (oid::bigint << 32)') .
		' FROM pg_control_system(), pg_database WHERE datname = current_database()');
	$dump =~ s/\@origin\@/$origin/g;
	$dump =~ s/^CREATE EXTENSION [^;]*\bcano\b[^;]*;/$create;/m or die 'the dump creates no extension';
	append_to_file($file, $dump);
	my (undef, undef, $errors) = $node->psql($database, "\\i $file", on_error_stop => 0);

	# What was granted on functions that have other parameters now.
	$errors =~ s/^psql:\S+ ERROR:  function cano\.\S+ does not exist\n?//mg;
	is($errors, '', "$release: the dump is there to be $database");
	$node->safe_psql($database, 'UPDATE weather SET fine = true');
	return;
}

sub value { my ($node, $database, $statement) = @_; return $node->safe_psql($database, $statement, @as_worker) }

# Let those end that wait for somebody, and compare.
sub all_end_well
{
	my ($node, $database, $name) = @_;

	is(value($node, $database, q{SELECT cano.signal('the key', 'go')}), 't', "$name: a signal is sent to a run of before");
	foreach my $queue (qw(offers leases))
	{
		ok($node->poll_query_until($database, "SELECT EXISTS (SELECT FROM cano._work WHERE queue = '$queue' AND token IS NULL)"),
			"$name: there is work for clients");
		is(value($node, $database, "SELECT cano.complete(t.token) FROM cano.take('$queue') t"), 't', "$name: which is taken and done");
	}
	is(value($node, $database, q{SELECT cano.resume(run_id) FROM cano.runs WHERE workflow = 'left'}), 't', "$name: a dead run is resumed");
	my $rest = q{FROM cano.runs WHERE status NOT IN ('completed', 'failed', 'cancelled')};
	$node->poll_query_until($database, "SELECT NOT EXISTS (SELECT $rest) AND NOT EXISTS (SELECT FROM cano._job)")
	  or diag($node->safe_psql($database, "SELECT run_id, workflow, status, state, waiting_for, next_at $rest"));
	# The first attempt of what is hard was rolled back.
	is($node->safe_psql($database, q{SELECT r.workflow, concat_ws(' ', r.status, (SELECT string_agg(l.what, ', ' ORDER BY l.what COLLATE "C") FROM ledger l WHERE l.run = r.run_id))
		FROM cano.runs r WHERE NOT coalesce(r.tags @> '{new}', false) ORDER BY 1, 2}), $endings, "$name: every run ends as it should");
	is($node->safe_psql($database, 'SELECT string_agg(event, $$,$$ ORDER BY event) FROM told'), 'ended,state_enter,state_enter', "$name: an observer of before is told");
	is($node->safe_psql($database, q{SELECT count(*) FROM cano.dead_letters}), '1', "$name: a dead letter is left");
	is(value($node, $database, q{SELECT cano.submit('versions', tags => '{new}')}) > 0, 1, "$name: new runs are submitted");
	is(value($node, $database, q{SELECT cano.wait(max(run_id)) IS NOT NULL FROM cano.runs WHERE workflow = 'versions'}), 't', "$name: and run");
	is(value($node, $database, q{SELECT string_agg(what, ',') FROM ledger WHERE run = (SELECT max(run_id) FROM cano.runs WHERE workflow = 'versions')}),
		'new', "$name: by the newest definition");
	return;
}

foreach my $release (@releases)
{
	my $node = new_server("from_$release");
	is($node->safe_psql('postgres', q{SELECT 'worker'::regrole::oid}), '16384', 'the role has the number that it has in the dump');
	install_script($node, $release, slurp_file("$upgrade/cano--$release.sql"));
	load($node, $release, 'updated', "CREATE EXTENSION cano VERSION '$release'");
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
	load($node, $release, 'restored', 'CREATE EXTENSION cano');
	$node->safe_psql('restored', 'SELECT cano.grant_usage($$worker$$)');
	is($node->safe_psql('restored', 'SELECT cano.adopt() > 0'), 't', "$release: a dump is adopted");
	$node->restart;
	all_end_well($node, 'restored', "$release, restored");
	unlike(slurp_file($node->logfile), qr/deadlock detected|terminated by signal|TRAP|PANIC/, "$release: nobody stumbled");
	$node->stop;
}

done_testing();
