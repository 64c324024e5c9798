# The tutorial is true: its statements print what it says.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoDocument;
use CanoServer;
use Test::More;

my $node = new_server('tutorial');
my $database = follow_document($node, 'docs/tutorial.md', 'anna', qw(times spans bars ids));

is($node->safe_psql($database, q{SELECT string_agg(status, ',' ORDER BY run_id) FROM cano.runs}),
	'completed,completed,completed,failed', 'what became of the runs');

done_testing();
