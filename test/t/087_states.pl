# The guides to the kinds of states are true: their statements print what they
# say, and each has all parameters of its kind.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoDocument;
use CanoServer;
use Test::More;

my $node = new_server('states', "cano.idle_timeout = '1s'\n");

follow_document($node, 'docs/states/README.md', 'anna', qw(times spans ids));

# Constructors of states are those whose first parameter is the state.
my @kinds = split /\n/, $node->safe_psql('README', <<'SQL');
SELECT proname, string_agg(DISTINCT array_to_string(proargnames, ' '), '')
FROM pg_proc
WHERE pronamespace = 'cano'::regnamespace AND prorettype = 'jsonb'::regtype AND proargnames[1] = 'state'
GROUP BY proname ORDER BY proname
SQL
cmp_ok(@kinds, '>', 10, 'there are kinds of states');

foreach (@kinds)
{
	my ($kind, $parameters) = split /\|/;
	my $file = "docs/states/$kind.md";
	my ($table) = read_document($file) =~ /^## Parameters\n(.*?)^## /ms;

	is(join(' ', map { /`(\w+)`/g } $table =~ /^\| (`[^|]*) \|/mg), $parameters, "$file has the parameters");
	like(read_document($_), qr/\((?:docs\/)?(?:states\/)?\Q$kind.md\E\)/, "$_ links to it") foreach qw(README.md docs/states/README.md);
	follow_document($node, $file, 'anna', qw(times spans ids processes));
}

done_testing();
