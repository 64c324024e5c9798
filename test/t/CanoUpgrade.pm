# What tests of updates and upgrades share: the properties of an installation, and
# the life that upgrade/life.sql began, which is to end as if nothing had been.
package CanoUpgrade;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use FindBin;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(releases release_script objects differences load_life all_end_well);

my $upgrade = "$FindBin::RealBin/../upgrade";

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

# The oldest first.
sub releases
{
	return sort map { m{/([^/]*)\.dump$} } glob "$upgrade/*.dump";
}

# The installation script of a release.
sub release_script
{
	my ($release) = @_;

	return slurp_file("$upgrade/cano--$release.sql");
}

# A line for every property; after a statement, if there is one.
sub objects
{
	my ($node, $database, $statement) = @_;
	my $objects = slurp_file("$upgrade/objects.sql");

	return split /\n/, $node->safe_psql($database, 'BEGIN;' . ($statement // '') . ";$objects; ROLLBACK");
}

# Those that only one of two lists has.
sub differences
{
	my ($left, $right) = @_;
	my %is_left = map { $_ => 1 } @$left;
	my %is_right = map { $_ => 1 } @$right;

	my @differences = ((map { "- $_" } grep { !$is_right{$_} } @$left), (map { "+ $_" } grep { !$is_left{$_} } @$right));

	return @differences;
}

# The dump in a database of this server, with the extension as the statement makes it.
sub load_life
{
	my ($node, $release, $database, $create) = @_;

	is($node->safe_psql('postgres', q{SELECT 'worker'::regrole::oid}), '16384', 'the role has the number that it has in the dump');
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

sub value
{
	my ($node, $database, $statement) = @_;

	return $node->safe_psql($database, $statement, extra_params => [ '-U', 'worker' ]);
}

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

1;
