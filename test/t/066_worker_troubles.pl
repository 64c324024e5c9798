# A worker that stands still, gets no memory, is cancelled or will not be
# interrupted: its run goes on in the end, once, and the others do meanwhile.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('troubles', "cano.workers_per_role = 2\n");
use_database($node, 'postgres');
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION hungry() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	v_kept text[];
BEGIN
	PERFORM FROM public.gate;
	FOR i IN 1 .. 8 LOOP
		v_kept := v_kept || repeat(i::text, 50000000);
	END LOOP;
	PERFORM public.note();
END $$;
SELECT cano.define('hungry', cano.task('a', 'hungry', next => 'done', retry => cano.none()), cano.exit('done'));
CREATE FUNCTION stubborn() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. 5 LOOP
		BEGIN
			PERFORM pg_sleep(1); -- lasts: until it is interrupted, again and again
		EXCEPTION WHEN query_canceled THEN NULL;
		END;
	END LOOP;
	PERFORM public.note();
END $$;
SELECT cano.define('stubborn', cano.task('a', 'stubborn', next => 'done', retry => cano.none(), timeout => '100 ms'), cano.exit('done'));
CREATE FUNCTION deep(n integer DEFAULT 1) RETURNS integer LANGUAGE plpgsql AS 'BEGIN RETURN public.deep(n + 1) + 1; END';
SELECT cano.define('deep', cano.task('a', 'deep', next => 'done', retry => cano.none()), cano.exit('done'));
CREATE FUNCTION terminate(pid integer) RETURNS void LANGUAGE sql AS 'SELECT pg_terminate_backend(pid)';
SELECT cano.define('terminate', cano.task('a', 'terminate', next => 'done', retry => cano.none()), cano.exit('done'));
SQL

sub ended_by
{
	my ($run) = @_;

	wait_ended($node, $run);
	return $node->safe_psql('postgres',
		"SELECT concat_ws(' ', status, error ->> 'category', error ->> 'sqlstate', (SELECT count(*) FROM ledger WHERE run = $run)) FROM cano.runs WHERE run_id = $run");
}

# Standing still
close_gate($node);
my $run = submit($node, q{'gated'});
my $pid = wait_at_gate($node);
kill 'STOP', $pid;
open_gate($node);
is_story($node, submit($node, q{'three'}), 'beside a worker that stands still others work') foreach 1 .. 5;
is(run_story($node, $run), 'running 0 0', 'nobody takes its run');
kill 'CONT', $pid;
is_story($node, $run, 'which goes on when it does');
is($node->safe_psql('postgres', "SELECT DISTINCT pid FROM ledger WHERE run = $run AND state = 'a'"), $pid, 'in the same process');

# Without memory
close_gate($node);
$run = submit($node, q{'hungry'});
$pid = wait_at_gate($node);
my ($size) = slurp_file("/proc/$pid/status") =~ /VmSize:\s+(\d+)/;
system('prlimit', "--pid=$pid", '--as=' . ($size + 150000) * 1024) == 0 or die 'cannot limit memory';
my $log = -s $node->logfile;
open_gate($node);
is(ended_by($run), 'failed task_execution 53200 0', 'a task that gets no memory fails');
is_story($node, submit($node, q{'three'}), 'its worker goes on') foreach 1 .. 5;
unlike(slurp_file($node->logfile, $log), qr/terminated by signal|PANIC/, 'nothing crashes');

# Cancelled by hand
close_gate($node);
$run = submit($node, q{'gated', max_attempts => 3});
$pid = wait_at_gate($node);
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM cano.attempts WHERE run_id = $run AND sqlstate = '57014'");
open_gate($node);
is_story($node, $run, 'a cancelled statement is a failed attempt', 'completed a,b,c 0,1,2,3 1');
$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE backend_type = 'cano worker'") foreach 1 .. 10;
is_story($node, submit($node, q{'three'}), 'an idle worker has nothing to cancel');

# Not to be interrupted
is(ended_by(submit($node, q{'stubborn'})), 'failed timeout CN005 0', 'a task that traps its interruption is late all the same');
is(ended_by(submit($node, q{'deep'})), 'failed task_execution 54001 0', 'a task that calls itself for ever fails');
my $launcher = $node->safe_psql('postgres', q{SELECT jsonb_build_object('pid', pid) FROM pg_stat_activity WHERE backend_type = 'cano launcher'});
is(ended_by(submit($node, "'terminate', '$launcher'")), 'failed task_execution 42501 0', 'a task cannot stop the launcher');
is_story($node, submit($node, q{'three'}), 'a run after all');

$node->stop;
done_testing();
