# Steps of a workflow with durability "async" do not wait for the disk: a crash
# takes the latest along, effects and all, and they are done again.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $node = new_server('async', "autovacuum = off\ncano.max_crashes = 1\n");
use_database($node, 'postgres');
$node->safe_psql('postgres', q{SELECT cano.define('async', cano.task('a', 'note', next => 'b'), cano.task('b', 'note', next => 'c'),
	cano.task('c', 'note', next => 'done'), cano.exit('done'), cano.options(durability => 'async'))});

# Which transactions did the run's steps.
sub transactions
{
	my ($run) = @_;

	return $node->safe_psql('postgres', "SELECT string_agg(pid || ' ' || xid, ',' ORDER BY state) FROM ledger WHERE run = $run");
}

# Only who waits for the disk writes the log now.
my $writer = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'});
kill 'STOP', $writer;
my $sync = submit($node, q{'three'});
is_story($node, $sync, 'a run is completed');
my $async = submit($node, q{'async'});
is_story($node, $async, 'and one that does not wait for the disk');
my %before = map { $_ => transactions($_) } $sync, $async;
is($node->safe_psql('postgres', 'SELECT pg_current_wal_flush_lsn() < pg_current_wal_insert_lsn()'), 't', 'it did not');

$node->stop('immediate');
$node->start;
is_story($node, $sync, 'after a crash the one is there');
is(transactions($sync), $before{$sync}, 'as it was');
is_story($node, $async, 'and the other one completed, every effect once');
isnt(transactions($async), $before{$async}, 'because it was done again');

$node->stop;
done_testing();
