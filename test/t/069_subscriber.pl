# A logical replica of all tables has a copy of every run and runs none of
# them; its own runs are its own.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $publisher = new_server('publisher', "wal_level = logical\nmax_wal_senders = 5\n");
my $subscriber = new_server('subscriber', "wal_level = logical\ncano.node_id = 1\n");
use_database($_, 'postgres') foreach $publisher, $subscriber;
$subscriber->safe_psql('postgres', 'TRUNCATE cano._workflow, cano._definition');
$publisher->safe_psql('postgres', 'ALTER TABLE ledger REPLICA IDENTITY FULL; ALTER TABLE gate REPLICA IDENTITY FULL; CREATE PUBLICATION everything FOR ALL TABLES');
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION everything CONNECTION '" . $publisher->connstr . " dbname=postgres' PUBLICATION everything");
$subscriber->wait_for_subscription_sync($publisher, 'everything');

my $run = submit($publisher, q{'three'});
is_story($publisher, $run, 'a run on the publisher');
close_gate($publisher);
my $held = submit($publisher, q{'gated'});
my $later = submit($publisher, q{'three', run_at => clock_timestamp() + '5 s'});
wait_at_gate($publisher);
$publisher->wait_for_catchup('everything');

is($subscriber->safe_psql('postgres', "SELECT status FROM cano.status($run)"), 'completed', 'can be seen on the subscriber');
is($subscriber->safe_psql('postgres', "SELECT count(*) FROM cano.runs WHERE run_id IN ($held, $later) AND ended_at IS NULL"), '2', 'so can those under way');
$subscriber->restart;
my $own = submit($subscriber, q{'three'});
is_story($subscriber, $own, 'it has runs of its own');
is_story($publisher, $later, 'what is due runs on the publisher');
$publisher->wait_for_catchup('everything');
is($subscriber->safe_psql('postgres', "SELECT count(*) FROM ledger WHERE run = $later"), '3', 'and there alone: its effects are copies');
open_gate($publisher);
is_story($publisher, $held, 'the run that was held ends on the publisher');
$publisher->wait_for_catchup('everything');
is($subscriber->safe_psql('postgres', "SELECT string_agg(state, ',' ORDER BY state) FROM ledger WHERE run = $held"), 'a,b,c', 'once');
is_story($subscriber, submit($subscriber, q{'three'}), 'nothing is in the way of more');

$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION everything');
$subscriber->stop;
$publisher->stop;
done_testing();
