# A run that is resumed while something of its time before is still on its way:
# a request to stop, what is called after its end, a session that asked.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $node = new_server('resumed', "cano.workers_per_role = 4\n");
use_database($node, 'postgres');
my @as_worker = (extra_params => [ '-U', 'worker' ]);

$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION fail_behind_gate() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM FROM public.gate;
	RAISE EXCEPTION 'fails' USING ERRCODE = 'CN900';
END $$;
CREATE FUNCTION fail() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'fails' USING ERRCODE = 'CN900';
END $$;
CREATE FUNCTION undo() RETURNS void LANGUAGE sql AS '';
SELECT cano.define('stopped', cano.task('a', 'fail_behind_gate', compensate => 'undo', next => 'hold'),
	cano.timer('hold', delay => '1 hour', next => 'done'), cano.exit('done'));
SELECT cano.define('hooked', cano.task('a', 'fail', next => 'b'), cano.timer('b', delay => '1 hour', next => 'c'),
	cano.task('c', 'note_behind_gate', next => 'done'), cano.exit('done'), cano.options(on_end => 'note_behind_gate'));
SQL

# Whoever looks for a busy run that is to stop looks again a little later.
close_gate($node);
my $run = submit($node, "'stopped'");
wait_at_gate($node);
is($node->safe_psql('postgres', "SELECT cano.cancel($run)", @as_worker),
	't', 'a run that is not interrupted is cancelled');
$node->poll_query_until('postgres',
	"WITH kept AS (UPDATE cano._timer SET due_at = 'infinity' WHERE run = $run AND duty = 'x' RETURNING 1) SELECT EXISTS (SELECT FROM kept)"
) or die 'nobody looks again';
open_gate($node);
wait_ended($node, $run);
is($node->safe_psql('postgres', "SELECT cano.resume($run, 'hold')", @as_worker),
	't', 'and resumed when it has ended');
$node->poll_query_until('postgres',
	"SELECT waiting_for = 'timer' FROM cano.status($run)")
  or diag('it does not go on');
$node->safe_psql('postgres',
	"UPDATE cano._timer SET due_at = now() WHERE run = $run AND duty = 'x'");
wait_ended($node, submit($node, "'three'"));
$node->poll_query_until('postgres',
	"SELECT NOT EXISTS (SELECT FROM cano._timer WHERE run = $run AND duty = 'x') AND NOT EXISTS (SELECT FROM cano._job WHERE run = $run)"
) or diag('something is left to do');
is($node->safe_psql('postgres',
		"SELECT status, waiting_for FROM cano.status($run)"),
	'waiting|timer',
	'it is not woken by who looks again');

# What is called after its end runs while the run itself goes on.
close_gate($node);
$run = submit($node, "'hooked'");
wait_at_gate($node);
$node->safe_psql('postgres', "SELECT cano.resume($run, 'b')", @as_worker);
$node->poll_query_until('postgres',
	"SELECT count(*) = 1 FROM cano._timer WHERE run = $run")
  or diag('it does not go on');
is( $node->safe_psql('postgres',
		"SELECT status, state, waiting_for FROM cano.status($run)"),
	'waiting|b|timer',
	'a run waits while what follows its end is called');
$node->safe_psql('postgres', "SELECT cano.cancel($run)", @as_worker);
wait_ended($node, $run);
$node->safe_psql('postgres', "SELECT cano.resume($run, 'c')", @as_worker);
$node->poll_query_until('postgres',
	"SELECT bool_or(after_end) AND NOT bool_and(after_end) FROM cano.activity WHERE run_id = $run"
) or diag('not both are running');
is($node->safe_psql('postgres', "SELECT count(*) FROM cano.runs WHERE run_id = $run"),
	'1', 'and is shown once when both are running');
open_gate($node);
wait_ended($node, $run);

# Who asks for a run that is under way keeps nobody from ending it.
close_gate($node);
$run = submit($node, "'gated'");
wait_at_gate($node);
is( $node->safe_psql('postgres',
		"BEGIN; SELECT cano.resume($run), cano.compensate($run); PREPARE TRANSACTION 'asked'", @as_worker),
	'f|f',
	'a run that is under way is not resumed');
open_gate($node);
ok(wait_ended($node, $run), 'nor does it wait for who asked');
$node->safe_psql('postgres', "COMMIT PREPARED 'asked'");

$node->stop;
done_testing();
