# One breaker, many processes: nobody's failure is lost, and a call whose
# process has gone is a failure.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $node = new_server('breaker', "cano.workers_per_role = 8\n");
use_database($node, 'postgres');
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION fail() RETURNS void LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'out of order'; END$$;
GRANT SET ON PARAMETER cano.debug_clock TO worker;
SELECT cano.create_breaker('many', 1001);
SELECT cano.create_breaker('one', 1, '1 hour');
SELECT cano.define('many', cano.task('a', 'fail', next => 'done', retry => cano.none(), breaker => 'many'),
	cano.exit('done'));
SELECT cano.define('fails', cano.task('a', 'fail', next => 'done', retry => cano.none(), breaker => 'one'),
	cano.exit('done'));
SELECT cano.define('tries', cano.task('a', 'note_behind_gate', next => 'done', breaker => 'one'), cano.exit('done'));
SQL

sub breaker
{
	my ($name) = @_;
	return $node->safe_psql('postgres',
		"SELECT state, failures FROM cano.breakers WHERE name = '$name'");
}

sub ending
{
	my ($run) = @_;

	wait_ended($node, $run);
	return $node->safe_psql('postgres',
		"SELECT status || ': ' || (error ->> 'message') FROM cano.runs WHERE run_id = $run");
}

# Many workers
submit($node, q{'many'}) foreach 1 .. 3;
$node->safe_psql('postgres', <<'SQL', extra_params => [ '-U', 'worker' ]);
SELECT count(*) FROM cano.submit_many('many', array_fill('{}'::jsonb, ARRAY[997]));
SQL
$node->poll_query_until('postgres',
	"SELECT count(*) = 1000 FROM cano.runs WHERE workflow = 'many' AND status = 'failed'");
is(breaker('many'), 'closed|1000', 'a thousand failures at once are counted');
is(ending(submit($node, q{'many'})), 'failed: out of order', 'one more');
is(breaker('many'), 'open|1001', 'opens it');
is(ending(submit($node, q{'many'})), 'failed: breaker "many" is open', 'for every process');

# A call whose process goes away.  Sessions are the workers here: each has the
# clock that it needs.
$node->append_conf('postgresql.conf', "cano.enabled = off\n");
$node->reload;
count_workers($node, 0);

sub work
{
	return $node->safe_psql('postgres', 'CALL cano.work()',
		extra_params => [ '-U', 'worker' ]);
}

my $run = submit($node, q{'fails'});
work();
is(breaker('one'), 'open|1', 'a breaker is open');
close_gate($node);
$run = submit($node, q{'tries'});
my $probe = $node->background_psql(
	'postgres',
	on_error_stop => 0,
	extra_params => [ '-U', 'worker' ]);
$probe->query('SET cano.debug_clock = 3700000');
$probe->query_until(qr/began/, "\\echo began\nCALL cano.work();\n");
my $pid =
  "SELECT pid FROM pg_stat_activity WHERE usename = 'worker' AND wait_event_type = 'Lock'";
$node->poll_query_until('postgres', "SELECT EXISTS ($pid)");
is(breaker('one'), 'half_open|1', 'and tried again after its time');
my $other = submit($node, q{'tries'});
work();
is(ending($other), 'failed: breaker "one" is half open and admits no more calls',
	'by one call at once');
is($node->safe_psql('postgres', "SELECT pg_terminate_backend(($pid), 60000)"),
	't', 'its process goes away');
is(breaker('one'), 'open|1', 'which was a failure');
open_gate($node);
work();
is(ending($run), 'failed: breaker "one" is open', 'also for its own run');
eval { $probe->quit };

# How a breaker is set outlives the server; what it says does not.
$node->restart;
is(breaker('one') . ' ' . breaker('many'), 'closed|0 closed|0', 'after a restart all breakers are closed');
$run = submit($node, q{'tries'});
work();
is($node->safe_psql('postgres', "SELECT status FROM cano.status($run)"), 'completed', 'and admit calls');

$node->stop;
done_testing();
