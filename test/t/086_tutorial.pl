# The tutorial is true: its statements, typed by a role that is no superuser
# one block after the other, print what it says.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

# What differs from time to time: times, durations and bars in proportion, ids,
# and the width of columns with these.
sub normalise
{
	my ($text) = @_;

	$text =~ s/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/TIME/g;
	$text =~ s/\b\d+(?:\.\d+)? (?:ms|s|min|h|d)\b(?: \d+ (?:ms|s|min|h)\b)*/SPAN/g;
	$text =~ s/\|[^|\n]*\|/|BAR|/g if $text =~ /^.* \|.*\| SPAN$/m;
	$text =~ s/\b(run|cano\.\w+\(|run_id =)( ?)\d+/$1$2ID/g;
	$text =~ s/ +/ /g;
	$text =~ s/^\s+|\s+$//g;
	return $text;
}

my $node = new_server('tutorial');
my $run = 0;

# Type a block; returns what psql prints, errors where they come.  It starts
# anew each time, and all that it has to remember is its variable.
sub type
{
	my ($block) = @_;
	my $printed = '';

	local $ENV{PGCLIENTENCODING} = 'UTF8';
	IPC::Run::run(
		[ 'stdbuf', '-o0', $node->installed_command('psql'), '-XAt', '-v', "run=$run", '-U', 'anna', '-d', $node->connstr('tutorial') ],
		'<', \"$block\\echo run=:run\n", '>', \$printed, '2>&1') or die "psql fails: $printed";
	$printed =~ s/^run=(\d+)\n\z//m or die "psql does not come to the end: $printed";
	$run = $1;
	return $printed;
}

$node->safe_psql('postgres', 'CREATE ROLE anna LOGIN');
$node->safe_psql('postgres', q{CREATE DATABASE tutorial OWNER anna TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'});
$node->safe_psql('tutorial', q{CREATE EXTENSION cano; SELECT cano.grant_usage('anna')});

my $tutorial = slurp_file("$FindBin::RealBin/../../docs/tutorial.md");
my $blocks = 0;

while ($tutorial =~ /^```sql\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?/msg)
{
	my ($block, $expected) = ($1, $2 // '');

	# Who types is slower than the workers.
	$node->poll_query_until('tutorial', <<'SQL') or die 'the workers do not come to rest';
SELECT NOT EXISTS (SELECT FROM cano.runs
	WHERE status IN ('queued', 'running', 'cancelling', 'compensating') OR waiting_for = 'retry')
SQL
	is(normalise(type($block)), normalise($expected), 'block ' . ++$blocks . ': ' . ($block =~ /^(.*)/)[0]);
}
cmp_ok($blocks, '>', 10, 'the blocks were found');
is($node->safe_psql('tutorial', q{SELECT string_agg(status, ',' ORDER BY run_id) FROM cano.runs}),
	'completed,completed,completed,failed', 'what became of the runs');

done_testing();
