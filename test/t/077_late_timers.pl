# Behind many timers that are over and cannot be vacuumed, because somebody
# holds a snapshot, one that is committed long after it was due is found.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $node = new_server('late_timers', "autovacuum = off\ncano.workers_per_role = 1\ncano.idle_timeout = '600s'\n");
use_database($node, 'postgres');
my @as_worker = (extra_params => [ '-U', 'worker' ]);
$node->safe_psql('postgres', q{SELECT cano.define('ticks', cano.timer('a', delay => '1 ms', next => 'b'), cano.timer('b', delay => '1 ms', next => 'c'),
	cano.timer('c', delay => '1 ms', next => 'done'), cano.exit('done'))});

sub tick
{
	$node->safe_psql('postgres', q{SELECT count(*) FROM cano.submit_many('ticks', array_fill('{}'::jsonb, ARRAY[5000]))}, @as_worker);
	return $node->poll_query_until('postgres', q{SELECT NOT EXISTS (SELECT FROM cano._run WHERE status = 'active')});
}

my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
ok(tick(), 'timers beside a snapshot');
my $submitter = $node->background_psql('postgres', @as_worker);
my $due = $node->safe_psql('postgres', q{SELECT clock_timestamp() + interval '100 ms'});
my $run = $submitter->query_safe("BEGIN; SELECT cano.submit('three', run_at => '$due')");
ok(tick(), 'and more of them');
$node->poll_query_until('postgres', "SELECT clock_timestamp() > '$due'::timestamptz + interval '1 s'");
$submitter->query_safe('COMMIT');
is_story($node, $run, 'a timer that nobody could see when it was due');
ok(tick(), 'others go on');

$holder->quit;
$submitter->quit;
$node->stop;
done_testing();
