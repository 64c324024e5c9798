# The examples do what they say, to any role, every time: the comment at a
# file's end is what its last statements print.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $directory = "$FindBin::RealBin/../../examples";
my $node = new_server('examples');
my $readme = slurp_file("$directory/README.md");

$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION cano;
SELECT cano.grant_usage('worker');
GRANT CREATE ON DATABASE postgres TO worker;
SQL

# The lines of the comment, with which the file must end.
sub promised
{
	my ($file) = @_;
	my ($comment) = slurp_file($file) =~ /\n\n((?:--.*\n){3,})\z/
	  or return "a comment at the end of $file";

	$comment =~ s/^-- ?//mg;
	return $comment;
}

# Blanks at the end of lines, and empty lines at the end, do not count.
sub trimmed
{
	my ($text) = @_;

	$text =~ s/[ \t]+$//mg;
	$text =~ s/\s+\z//;
	return $text;
}

sub play
{
	my ($file, $time) = @_;
	my ($out, $err) = ('', '');
	my $promised = trimmed(promised($file));
	my ($name) = $file =~ m{([^/]+)$};

	ok( IPC::Run::run(
			[ 'psql', '-X', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres') . ' user=worker', '-f', $file ],
			'<', \'', '>', \$out, '2>', \$err),
		"$name runs $time") or diag($err);
	$out = trimmed($out);
	is(substr($out, -length $promised), $promised, "$name prints $time what it says") or diag("$out\n$err");
	return;
}

# The demonstration plays the shop.
foreach my $file (grep { !m{/shop\.sql$} } sort glob "$directory/*.sql")
{
	my ($name) = $file =~ m{([^/]+)$};

	like($readme, qr/^\| `\Q$name\E` \|/m, "$name is in the list");
	play($file, 'once');
	play($file, 'again');
}

done_testing();
