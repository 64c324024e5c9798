# What the log, pg_stat_activity and cano.activity say of a task that runs.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use PostgreSQL::Test::Utils;
use Test::More;

my $server = new_server('what_workers_say', "log_error_verbosity = default\n");

use_database($server, 'postgres');
$server->safe_psql('postgres', q{
	CREATE FUNCTION warn(attempt integer) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		RAISE WARNING 'mind the gap';
		IF attempt < 2 THEN
			RAISE 'not yet';
		END IF;
	END $$;
	CREATE FUNCTION slow() RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM cano.progress(3, 10, 'slowly');
		PERFORM FROM public.gate;
	END $$;
	CREATE FUNCTION bad() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'never'; END $$;
	SELECT cano.define('talks', cano.task('first', 'warn', next => 'second', retry => cano.fixed(1, '0')), cano.task('second', 'slow', next => 'third'),
		cano.task('third', 'bad', next => 'done', retry => cano.fixed(2, '0')), cano.exit('done'))});
close_gate($server);
my $run = submit($server, "'talks'");
my $pid = wait_at_gate($server);
my $log = slurp_file($server->logfile);
my $where = qr/CONTEXT:  PL\/pgSQL function (public\.)?warn\(integer\) line 3 at RAISE\n[^\n]*run $run of workflow "talks", state "first", task "public\.warn", attempt /s;
like($log, qr/WARNING:  mind the gap\n[^\n]*${where}1\n.*WARNING:  mind the gap\n[^\n]*${where}2\n/s, 'what a task says is logged with its run and attempt');

is($server->safe_psql('postgres', "SELECT application_name || ': ' || query FROM pg_stat_activity WHERE pid = $pid"),
	"cano worker: cano: run $run talks/second attempt 1", 'pg_stat_activity says what the worker does');
$server->safe_psql('postgres', "CREATE ROLE stranger LOGIN; SELECT cano.grant_usage('stranger')");
is($server->safe_psql('postgres', "SELECT query FROM pg_stat_activity WHERE pid = $pid", extra_params => [ '-U', 'stranger' ]),
	'<insufficient privilege>', 'but not to others');
is($server->safe_psql('postgres', "SELECT pid, run_id, workflow, state, task, attempt, progress FROM cano.activity"),
	"$pid|$run|talks|second|public.slow|1|" . '{"done": 3, "note": "slowly", "total": 10}', 'cano.activity says how far it is');
is($server->safe_psql('postgres', "SELECT progress FROM cano.status($run)"), '{"done": 3, "note": "slowly", "total": 10}', 'so does cano.status');

# A worker that is terminated says at what.
$server->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
$server->wait_for_log(qr/FATAL:  terminating background worker "cano worker" due to administrator command.*run $run of workflow "talks", state "second", task "public\.slow", attempt 1\n/s);
open_gate($server);
ok(wait_ended($server, $run), 'the run ends');
$log = slurp_file($server->logfile);
like($log, qr/run $run of workflow "talks" ended in state "third": .*never\n[^\n]*CONTEXT:  run $run of workflow "talks", state "third", task "public\.bad", attempt 3\n/,
	'which is logged with its last attempt');
is($server->safe_psql('postgres', "SELECT string_agg(DISTINCT context, '; ') FROM cano.attempts WHERE run_id = $run"),
	'PL/pgSQL function bad() line 1 at RAISE; PL/pgSQL function warn(integer) line 5 at RAISE',
	'what is recorded says no more than where it was');
$server->stop;
done_testing();
