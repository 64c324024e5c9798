# The extension is updated, away from this library's version and back, while
# workers work, clients submit and others look: nobody is in anybody's way for
# longer than the update lasts, nothing is lost, nothing is done twice.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

use constant ROUNDS => 6;
use constant CLIENTS => 3;

my $node = new_server('load', "cano.idle_timeout = 1000\n");
use_database($node, 'postgres');
my $sql = "$FindBin::RealBin/../../sql";
my $version = $node->safe_psql('postgres', q{SELECT default_version FROM pg_available_extensions WHERE name = 'cano'});

sub value { return $node->safe_psql('postgres', @_) }

# What make writes, with something in the place of what is written by hand.
sub script
{
	my ($by_hand) = @_;
	my $sections = join '', map { slurp_file($_) } sort grep { m{/[3-9]\d_} } glob "$sql/*.sql";

	$sections =~ s/^CREATE (FUNCTION|PROCEDURE|VIEW) /CREATE OR REPLACE $1 /mg;
	return slurp_file("$sql/upgrades/before.sql") . $by_hand . $sections . slurp_file("$sql/upgrades/after.sql");
}

my @tables = qw(_job _run _timer _checkpoint _definition);
install_script($node, "$version--99", script(join '', 'CREATE FUNCTION cano.extra() RETURNS integer LANGUAGE sql RETURN 1;',
	map { "ALTER TABLE cano.$_ ADD CONSTRAINT extra CHECK (true);" } @tables));
install_script($node, "99--$version", script(join '', 'DROP FUNCTION cano.extra();', map { "ALTER TABLE cano.$_ DROP CONSTRAINT extra;" } reverse @tables));

sub start_session
{
	my ($role, $error, @commands) = @_;
	return IPC::Run::start([ $node->installed_command('psql'), '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres') . " user=$role",
			map { ('-c', $_) } @commands ], '<', '/dev/null', '>', '/dev/null', '2>', $error);
}

# Until there is a row in "enough"
value(q{CREATE TABLE enough (); CREATE TABLE submitted (run bigint); CREATE TABLE refused (at timestamptz); GRANT ALL ON enough, submitted, refused TO PUBLIC;
	CREATE ROLE narrow; GRANT USAGE ON SCHEMA cano TO narrow; GRANT EXECUTE ON FUNCTION cano.submit, cano.define TO narrow});
my $until_enough = <<'SQL';
DO $do$
BEGIN
	WHILE NOT EXISTS (SELECT FROM enough) LOOP
		BEGIN
			%s;
		EXCEPTION WHEN object_not_in_prerequisite_state THEN
			INSERT INTO refused VALUES (clock_timestamp());
		END;
		COMMIT;
	END LOOP;
END $do$
SQL
my @errors;
my @sessions = map { start_session('worker', \$errors[$_], sprintf $until_enough,
	q{INSERT INTO submitted SELECT cano.submit('three') FROM generate_series(1, 3)}) } 1 .. CLIENTS;
push @sessions, start_session('worker', \$errors[0], sprintf $until_enough, 'PERFORM count(*) FROM cano.runs; PERFORM * FROM cano.queue_stats;
		PERFORM pg_sleep(0.3) /* lasts: longer than an update waits for a view at first */');

foreach my $round (1 .. ROUNDS)
{
	my $done = value('SELECT count(*) FROM ledger');
	$node->poll_query_until('postgres', "SELECT count(*) > $done + 100 FROM ledger") or die 'nothing is done';
	my $refused = value('SELECT count(*) FROM refused');
	value(q{ALTER EXTENSION cano UPDATE TO '99'});
	$node->poll_query_until('postgres', "SELECT count(*) > $refused FROM refused") or die 'nobody is refused';
	count_workers($node, 0);
	$done = value('SELECT count(*) FROM ledger');
	is(value(q{SELECT has_function_privilege('worker', 'cano.extra()', 'EXECUTE'), has_function_privilege('narrow', 'cano.extra()', 'EXECUTE')}), 't|f',
		"round $round: who was given everything has what is new, who was given less has not");
	is(value('SELECT count(*) FROM ledger'), $done, "round $round: nothing is worked on");
	value("ALTER EXTENSION cano UPDATE TO '$version'");
}
value('INSERT INTO enough DEFAULT VALUES');
ok($_->finish, 'a client has met no error but the one that says what to do') foreach @sessions;
is(join('', grep { defined } @errors), '', 'really not');
ok($node->poll_query_until('postgres', q{SELECT NOT EXISTS (SELECT FROM cano.runs WHERE status <> 'completed')}), 'every run is completed');
is(value('SELECT count(*) FROM (SELECT run_id FROM cano.runs EXCEPT SELECT run FROM submitted) _'), '0', 'there is none that was not submitted');
is(value('SELECT count(*) FROM (SELECT run, s.state FROM submitted, (VALUES ($$a$$), ($$b$$), ($$c$$)) s (state) EXCEPT ALL SELECT run, state FROM ledger) _'),
	'0', 'nothing is lost');
is(value('SELECT count(*) FROM (SELECT FROM ledger GROUP BY run, state HAVING count(*) > 1) _'), '0', 'nothing is done twice');

# It waits for a task that is under way, and new tasks for it.
value('TRUNCATE enough');
close_gate($node);
my $gated = submit($node, q{'gated'});
wait_at_gate($node);
my $update = start_session('postgres', \my $errors, q{ALTER EXTENSION cano UPDATE TO '99'}, "ALTER EXTENSION cano UPDATE TO '$version'");
$node->poll_query_until('postgres', q{SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'ALTER EXTENSION%' AND wait_event_type = 'Lock')});
my $submitter = start_session('worker', \my $late, sprintf $until_enough, q{INSERT INTO submitted SELECT cano.submit('three'); INSERT INTO enough DEFAULT VALUES});
$node->poll_query_until('postgres', q{SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'DO%' AND wait_event_type = 'Lock')});
open_gate($node);
ok($update->finish, 'an update waits for a task that is under way') or diag($errors);
ok($submitter->finish, 'and who submits meanwhile for the update') or diag($late);
is_story($node, $gated, 'the task is finished and its run goes on');
is_story($node, value('SELECT max(run) FROM submitted'), 'as does what was submitted');

# An update that fails changes nothing.
$node->psql('postgres', qq{BEGIN; ALTER EXTENSION cano UPDATE TO '99'; SELECT 1 / 0; COMMIT}, on_error_stop => 0);
is_story($node, submit($node, q{'three'}), 'after an update that is rolled back all is as before');
unlike(slurp_file($node->logfile), qr/deadlock detected|cache lookup failed|could not open relation|terminated by signal|TRAP/, 'nobody stumbled');

$node->stop;
done_testing();
