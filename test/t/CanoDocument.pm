# A document is true: its statements, typed by a role that is no superuser one
# block after the other into one psql -At, print what it says.
#
# A block fenced as "sql" is typed; what it prints, errors where they come,
# stands in a block fenced as "text" (or "mermaid") after the next empty line, or
# is nothing.
package CanoDocument;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use FindBin;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(read_document follow_document);

# What differs from time to time, where a document says so.
my %normalisations = (
	times => sub { $_[0] =~ s/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?(?:[+-]\d\d)?/TIME/gr },
	spans => sub { $_[0] =~ s/\b\d+(?:\.\d+)? (?:ms|s|min|h|d)\b(?: \d+ (?:ms|s|min|h)\b)*/SPAN/gr },
	bars => sub { $_[0] =~ s{ \|[^|\n]*\| .*$}{ BAR}gmr },
	ids => sub { $_[0] =~ s/\b(run|run_id =|cano\.\w+\()( ?)\d+/$1$2ID/gr },
	processes => sub { $_[0] =~ s/\bprocess \d+/process ID/gr });

# A document of the tree, by its path from there.
sub read_document
{
	my ($file) = @_;

	return slurp_file("$FindBin::RealBin/../../$file");
}

# Type a document, as that role, into a database named like it, which is made if
# it is not there; what is named after it may differ, and so may the width of
# columns.  Returns the database's name.
sub follow_document
{
	my ($node, $file, $role, @differs) = @_;
	my $document = read_document($file);
	my ($database) = $file =~ m{([^/]+)\.md$};
	my $psql = begin_psql($node, $role, $database);
	my ($blocks, $answers) = (0, 0);

	while ($document =~ /^```sql\n(.*?)^```\n(?:\n```(?:text|mermaid)\n(.*?)^```\n)?/msg)
	{
		my ($block, $expected) = ($1, $2);

		$blocks++;
		$answers++ if defined $expected;
		wait_for_rest($node, $database);
		is( normalise(type($psql, $block), @differs),
			normalise($expected // '', @differs),
			"$file, block $blocks: " . ($block =~ /^(.*)/)[0]);
	}
	$psql->{run}->kill_kill;
	is("$blocks $answers", join(' ', map { scalar(() = $document =~ /^```$_\b/mg) } qw(sql (?:text|mermaid))), "$file has no other blocks");
	cmp_ok($blocks, '>', 0, 'and it has some');
	return $database;
}

sub normalise
{
	my ($text, @differs) = @_;

	$text = $normalisations{$_}->($text) foreach @differs;
	$text =~ s/ +/ /g;
	$text =~ s/^\s+|\s+$//g;
	return $text;
}

# Where the reader sits.
sub begin_psql
{
	my ($node, $role, $database) = @_;
	my %psql = (
		in => '',
		out => '',
		timer => IPC::Run::timer($PostgreSQL::Test::Utils::timeout_default));

	$node->safe_psql('postgres', <<"SQL");
SELECT format('CREATE ROLE %I LOGIN', '$role') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '$role') \\gexec
SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING %L LOCALE %L', '$database', '$role', 'UTF8', 'C')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '$database') \\gexec
SQL
	$node->safe_psql($database, "CREATE EXTENSION cano; SELECT cano.grant_usage('$role')");

	local $ENV{PGCLIENTENCODING} = 'UTF8';
	$psql{run} = IPC::Run::start(
		[ 'stdbuf', '-o0', $node->installed_command('psql'), '-XAt', '-U', $role, '-d', $node->connstr($database) ],
		'<', \$psql{in}, '>&', \$psql{out}, $psql{timer});
	return \%psql;
}

# Type a block; returns what psql prints.
sub type
{
	my ($psql, $block) = @_;
	my $end = 'this was the block';

	$psql->{out} = '';
	$psql->{in} .= "$block\\echo '$end'\n";
	$psql->{timer}->start($PostgreSQL::Test::Utils::timeout_default);
	pump_until($psql->{run}, $psql->{timer}, \$psql->{out}, qr/^\Q$end\E\n/m)
	  or die "psql does not come to the end of a block: $psql->{out}";
	$psql->{out} =~ s/^\Q$end\E\n//m;
	return $psql->{out};
}

# Who types is slower than the workers: nothing is due but for what sleeps, to
# be seen running, and no retry or end of a lease is near.
sub wait_for_rest
{
	my ($node, $database) = @_;

	$node->poll_query_until($database, <<'SQL') or die 'the workers do not come to rest';
SELECT (SELECT count(*) FROM cano._job) = (
		SELECT count(*) FROM cano.activity JOIN pg_stat_activity USING (pid) WHERE wait_event = 'PgSleep')
	AND NOT EXISTS (SELECT FROM cano._timer WHERE waiting IN ('r', 'l') AND due_at < clock_timestamp() + interval '10 s')
SQL
	return;
}

1;
