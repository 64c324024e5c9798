# A worker that is busy with a long task keeps nothing from the others: not
# what became due together with it, and not that its run was cancelled.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $node = new_server('nobody_waits', "cano.workers_per_role = 2\n");
use_database($node, 'postgres');
my @as_worker = (extra_params => [ '-U', 'worker' ]);

# Due at the same time
close_gate($node);
my $gated = submit($node, q{'gated', run_at => clock_timestamp() + interval '1 s'});
$node->safe_psql('postgres',
	q{SELECT count(*) FROM cano.submit_many('three', array_fill('{}'::jsonb, ARRAY[50]), run_at => clock_timestamp() + interval '1 s')},
	@as_worker);
wait_at_gate($node);
ok( $node->poll_query_until('postgres',
		"SELECT count(*) = 50 FROM cano.runs WHERE run_id > $gated AND status = 'completed'"),
	'what became due together with a long task is done meanwhile');
is(run_story($node, $gated), 'running 0 0', 'which goes on');

# Cancelled, but not after all
my $since = "SELECT min(waitstart) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE backend_type = 'cano worker' AND NOT granted";
my $before = $node->safe_psql('postgres', $since);
$node->safe_psql('postgres', "BEGIN; SAVEPOINT a; SELECT cano.cancel($gated); ROLLBACK TO a; COMMIT", @as_worker);
$node->safe_psql('postgres',
	q{SELECT count(*) FROM cano.submit_many('three', array_fill('{}'::jsonb, ARRAY[50]))}, @as_worker);
$node->poll_query_until('postgres', "SELECT count(*) = 100 FROM cano.runs WHERE status = 'completed'");
is($node->safe_psql('postgres', $since), $before, 'a cancellation that is rolled back to a savepoint interrupts nothing');
open_gate($node);
wait_ended($node, $gated);

# Cancelled between its claim and its task
close_gate($node);
my $session = $node->background_psql('postgres');
$session->query_safe('SELECT pg_advisory_lock(779, 1)');
$node->safe_psql('postgres', "ALTER ROLE worker SET cano.debug_stop = 'batch-claimed:wait'");
$node->safe_psql('postgres',
	"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'cano worker'");
my $run = submit($node, q{'gated'});
ok( $node->poll_query_until('postgres',
		"SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = 779 AND NOT granted)"),
	'a worker has claimed the run');
is($node->safe_psql('postgres', "SELECT cano.cancel($run)", @as_worker), 't', 'which is cancelled');
$session->query_safe('SELECT pg_advisory_unlock(779, 1)');
ok($node->poll_query_until('postgres', "SELECT status = 'cancelled' FROM cano.runs WHERE run_id = $run"),
	'and ends, although its task began after that');
open_gate($node);
is($node->safe_psql('postgres', "SELECT count(*) FROM ledger WHERE run = $run"), '0', 'without an effect');
ok( $node->poll_query_until('postgres',
		'SELECT (SELECT count(*) FROM cano._job) + (SELECT count(*) FROM cano._timer) + (SELECT count(*) FROM cano._stop) = 0'),
	'nothing is left to do');

# Due after a worker has looked for what is, and before its task began
close_gate($node);
$session->query_safe('SELECT pg_advisory_lock(779, 1)');
$node->safe_psql('postgres',
	"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'cano worker'");
my $first = $node->safe_psql('postgres', "SELECT clock_timestamp() + interval '1 s'");
my $second = "timestamptz '$first' + interval '0.3 s'";
$gated = submit($node, "'gated', run_at => '$first'");
$node->safe_psql('postgres',
	"SELECT count(*) FROM cano.submit_many('three', array_fill('{}'::jsonb, ARRAY[50]), run_at => $second)", @as_worker);
ok( $node->poll_query_until('postgres',
		"SELECT clock_timestamp() > $second AND EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = 779 AND NOT granted)"),
	'a worker has looked');
$session->query_safe('SELECT pg_advisory_unlock(779, 1)');
wait_at_gate($node);
ok( $node->poll_query_until('postgres',
		"SELECT count(*) = 50 FROM cano.runs WHERE run_id > $gated AND status = 'completed'"),
	'what became due since then is done while its task goes on');
open_gate($node);
wait_ended($node, $gated);
$session->quit;

# In the hands of a session that drives one run
$node->safe_psql('postgres', 'ALTER ROLE worker RESET cano.debug_stop; ALTER SYSTEM SET cano.enabled = off; SELECT pg_reload_conf()');
count_workers($node, 0);
$node->safe_psql('postgres', q{SELECT cano.define('letter', cano.task('a', 'note_behind_gate', next => 'b'),
	cano.receive('b', 'go', next => 'done'), cano.exit('done'))});
close_gate($node);
$session = $node->background_psql('postgres', @as_worker);
$session->query_until(qr/begun/, "\\echo begun\nCALL cano.orchestrate('letter', '{}', NULL);\n");
$node->poll_query_until('postgres',
	q{SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'CALL%' AND wait_event_type = 'Lock')});
$run = $node->safe_psql('postgres', q{SELECT run_id FROM cano.runs WHERE workflow = 'letter'});
$node->safe_psql('postgres', 'ALTER SYSTEM RESET cano.enabled; SELECT pg_reload_conf()');
$node->safe_psql('postgres', "SELECT cano.signal($run, 'go', '1')", @as_worker);
ok($node->poll_query_until('postgres', q{SELECT NOT EXISTS (SELECT FROM cano._job WHERE duty = 'n')}), 'a worker brings notice of a signal meanwhile');
is(run_story($node, $run), 'running 0 0', 'to a run whose task goes on');
open_gate($node);
is_story($node, $run, 'and receives it', 'completed a 0,1,2 0');

$session->quit;
$node->stop;
done_testing();
