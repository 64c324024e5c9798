# What is called before the first state and after the end is called once,
# wherever a worker stops, and whatever becomes of a step that is cancelled
# while it runs.  The latter is what the reference's tests of that demand; their
# names begin the descriptions.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $node = new_server('hooks',
	"cano.idle_timeout = 0\ncano.workers_per_role = 1\n");
use_database($node, 'postgres');
my @as_worker = (extra_params => [ '-U', 'worker' ]);

$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION note_as(what text) RETURNS void LANGUAGE sql AS
	'INSERT INTO public.ledger VALUES (cano.run_id(), what, cano.attempt())';
CREATE FUNCTION up() RETURNS void LANGUAGE sql AS $$ SELECT public.note_as('up') $$;
CREATE FUNCTION down() RETURNS void LANGUAGE sql AS $$ SELECT public.note_as('down') $$;
CREATE FUNCTION hook() RETURNS void LANGUAGE sql AS $$ SELECT public.note_as('hook') $$;
CREATE FUNCTION up_behind_gate() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM FROM public.gate;
	PERFORM public.note_as('up');
END $$;
SELECT cano.define('hooked', cano.task('a', 'note_behind_gate', next => 'done'), cano.exit('done'),
	cano.options(on_end => 'hook', resources => ARRAY[cano.with_resource('r', setup => 'up', teardown => 'down')]));
SELECT cano.define('prepared', cano.task('a', 'note', next => 'done'), cano.exit('done'),
	cano.options(on_end => 'hook', resources => ARRAY[cano.with_resource('r', setup => 'up_behind_gate', teardown => 'down')]));
SQL

# A worker stops there; another one goes on.
sub stops_at
{
	my ($workflow, $stop, $story) = @_;
	my ($point, $action) = split /:/, $stop;

	count_workers($node, 0) or die 'a worker stays';
	$node->safe_psql('postgres',
		"ALTER DATABASE postgres SET cano.debug_stop = '$stop'");
	close_gate($node);
	my $log = -s $node->logfile;
	my $run = submit($node, "'$workflow'");
	my $pid = wait_at_gate($node);
	$node->safe_psql('postgres',
		'ALTER DATABASE postgres RESET cano.debug_stop');
	open_gate($node);

	wait_ended($node, $run);
	$node->poll_query_until('postgres',
		"SELECT NOT EXISTS (SELECT FROM cano._job WHERE run = $run) AND NOT EXISTS (SELECT FROM cano._timer WHERE run = $run)"
	) or diag('something is left to do');
	is(run_story($node, $run),
		$story // 'completed a,down,hook,up 0,1 0',
		"$workflow, $stop: every call once");
	$node->wait_for_log(qr/"public.hook" was not done after run $run of workflow "hooked" ended: panic: /, $log)
	  if $story;
	$node->wait_for_log(
		$action eq 'kill'
		? qr/PID $pid\) was terminated by signal 9/
		: qr/stopped at $point/,
		$log);
	return;
}

# What a worker does in turn, a transaction each, as it does not know the
# functions: the setup; the task; the hook; the teardown.
my @points = qw(batch-claimed step-before-call step-after-call step-decided
  batch-before-settle batch-before-commit batch-after-commit);

foreach my $point (@points)
{
	foreach my $action (qw(error fatal kill))
	{
		# An error within the attempt is the hook's own: a panic, so it is given up.
		my $panic = $action eq 'error' && $point =~ /^step/;

		stops_at('hooked', "$point:$action:3",
			$panic ? 'completed a,down,up 0,1 1' : undef);
	}
}

# At the end of the run, and at the teardown.
stops_at('hooked', "$_:kill:2")
  foreach qw(batch-before-settle batch-before-commit batch-after-commit);
stops_at('hooked', "$_:kill:4")
  foreach qw(batch-claimed step-decided batch-before-commit batch-after-commit);

# At the setup.
stops_at('prepared', "$_:kill:1")
  foreach qw(step-after-call step-decided batch-before-settle batch-before-commit batch-after-commit);

is( $node->safe_psql('postgres',
		'SELECT (SELECT count(*) FROM cano._job), (SELECT count(*) FROM cano._timer), (SELECT count(*) FROM cano._crash), (SELECT count(*) FROM cano._resource)'
	),
	'0|0|0|0',
	'nothing is left behind');

# A hook that ends its session is given up; what follows it is not.
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION dies() RETURNS void LANGUAGE sql AS $$ SELECT pg_terminate_backend(pg_backend_pid()) $$;
SELECT cano.define('dying', cano.exit('done'),
	cano.options(on_end => 'dies', resources => ARRAY[cano.with_resource('r', teardown => 'down')]));
SQL
my $log = -s $node->logfile;
my $dying = submit($node, q{'dying'});
$node->wait_for_log(qr/"public.dies" was not done after run $dying of workflow "dying" ended: .* ended its session or the server 3 times/, $log);
ok( $node->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM ledger WHERE run = $dying AND state = 'down')"),
	'a teardown is called although the hook ended its sessions');
is( $node->safe_psql('postgres', "SELECT status FROM cano.status($dying)"),
	'completed', 'and the run is as it was');

# A step that can be undone is not interrupted: it is there to be overridden.
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE told (run bigint, status text, result jsonb, message text);
GRANT ALL ON told TO PUBLIC;
CREATE FUNCTION tell(run_id bigint, status text, result jsonb, error jsonb) RETURNS void LANGUAGE sql AS
	$$ INSERT INTO public.told VALUES (run_id, status, result, error ->> 'message') $$;
CREATE FUNCTION step(how text) RETURNS cano.outcome LANGUAGE plpgsql AS $$
BEGIN
	PERFORM public.note();
	IF how = 'watches' THEN
		WHILE NOT cano.cancel_requested() LOOP
			PERFORM pg_sleep(0.01); -- lasts: until it is told
		END LOOP;
		RETURN cano.cancelled('cooperative');
	END IF;
	PERFORM FROM public.gate;
	IF how <> 'succeeds' THEN
		RAISE EXCEPTION 'no' USING ERRCODE = how;
	END IF;
	RETURN cano.next();
END $$;
CREATE FUNCTION undo() RETURNS void LANGUAGE sql AS '';
SELECT cano.define('step', cano.task('a', 'step', next => 'done', compensate => 'undo', retry => cano.fixed(5, '0')), cano.exit('done'),
	cano.options(on_end => 'tell'));
SQL

# What the hook was told, once, and how often the step was called for good.
sub told
{
	my ($run) = @_;

	$node->poll_query_until('postgres',
		"SELECT EXISTS (SELECT FROM told WHERE run = $run)");
	return $node->safe_psql('postgres', <<SQL);
SELECT string_agg(concat_ws(' ', status, coalesce(result::text, 'null'), message), '; '),
	(SELECT count(*) FROM cano.dead_letters WHERE run_id = $run)
FROM told WHERE run = $run
SQL
}

my %tests = (
	succeeds => 'cancel_during_running_step_overrides_outcome',
	CN900 => 'cancel_suppresses_permanent_runner_error',
	P0001 => 'cancel_suppresses_transient_runner_error');

foreach my $how (sort keys %tests)
{
	my $test = $tests{$how};
	my $status = 'SELECT status FROM cano.status';

	close_gate($node);
	my $run = submit($node, qq('step', '{"how": "$how"}'));
	wait_at_gate($node);
	is($node->safe_psql('postgres', "$status($run)"),
		'running', "$test: the step runs");
	is( $node->safe_psql('postgres', "SELECT cano.cancel($run)", @as_worker),
		't', "$test: its run is cancelled");
	is($node->safe_psql('postgres', "$status($run)"), 'cancelling',
		"$test (status_reports_cancelling_while_termination_in_flight): which is told");
	is($node->safe_psql('postgres', "SELECT count(*) FROM told WHERE run = $run"),
		'0', "$test: no hook before its end");
	open_gate($node);
	wait_ended($node, $run);
	is(told($run), 'cancelled null cancelled|0',
		"$test: the hook is told of a cancellation, once; no dead letter");
	is($node->safe_psql('postgres', "$status($run)"),
		'cancelled', "$test: the run is cancelled");
	is($node->safe_psql('postgres', "SELECT count(*) FROM cano.attempts WHERE run_id = $run AND attempt > 1"),
		'0', "$test: and not tried again");
}

my $run = submit($node, q('step', '{"how": "watches"}'));
$node->poll_query_until('postgres',
	"SELECT EXISTS (SELECT FROM cano.activity WHERE run_id = $run)");
$node->safe_psql('postgres', "SELECT cano.cancel($run, 'from outside')",
	@as_worker);
wait_ended($node, $run);
is(told($run), 'cancelled null cooperative|0',
	'cancel_signals_step_token_for_cooperative_short_circuit: the reason is the step\'s own');

$node->stop;
done_testing();
