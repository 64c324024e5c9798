# The server crashes again and again while a batch has thousands of items and
# wide splits their branches under way: what has ended is not done again, and
# each effect is there once.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $node = new_server('batch_crash', "cano.max_crashes = 1000\n");
use_database($node, 'postgres');
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE effect (run bigint, part integer, xid xid8 DEFAULT pg_current_xact_id());
GRANT ALL ON effect TO PUBLIC;
CREATE FUNCTION items() RETURNS SETOF integer LANGUAGE sql AS 'SELECT generate_series(0, 4999)';
CREATE FUNCTION item(run_id bigint, item integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.effect VALUES (run_id, item);
	PERFORM pg_sleep(0.001); -- lasts: so that there is time to crash
	IF item % 1000 = 999 THEN
		PERFORM FROM public.gate;
	END IF;
	RETURN item;
END $$;
CREATE FUNCTION finish(outputs jsonb) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('n', jsonb_array_length(outputs), 'in order', outputs =
		(SELECT jsonb_agg(jsonb_build_object('ok', i) ORDER BY i) FROM generate_series(0, 4999) AS i)) $$;
SELECT cano.define('batch', cano.batch('b', load => 'items', process => 'item', finish => 'finish', concurrency => 4, next => 'end'),
	cano.exit('end'));

-- Only one of them, in the middle, does not fail.
CREATE FUNCTION one_of_many(run_id bigint, branch integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.effect VALUES (run_id, branch);
	IF branch IN (500, 900) THEN
		PERFORM FROM public.gate;
	ELSE
		RAISE EXCEPTION 'not this one';
	END IF;
	RETURN branch;
END $$;
SELECT cano.define('any', cano.split('s', array_fill(cano.branch('one_of_many', retry => cano.none()), ARRAY[1000]),
	"join" => cano.any(), next => 'end'), cano.exit('end'));
CREATE FUNCTION goes_on(run_id bigint, branch integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.effect VALUES (run_id, branch);
	PERFORM pg_sleep(0.01); -- lasts: longer in all than the deadline
	RETURN branch;
END $$;
SELECT cano.define('deadline', cano.split('s', array_fill('goes_on'::text, ARRAY[5000]), "join" => cano.partial_timeout(), next => 'end',
	timeout => '6 s'), cano.exit('end'));
CREATE FUNCTION flaky(run_id bigint, item integer, attempt integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.effect VALUES (run_id, item);
	IF attempt = 1 AND item IN (1, 2) THEN
		RAISE EXCEPTION 'later';
	END IF;
	RETURN item;
END $$;
CREATE FUNCTION five() RETURNS SETOF integer LANGUAGE sql AS 'SELECT generate_series(0, 4)';
SELECT cano.define('retries', cano.batch('b', load => 'five', process => 'flaky', concurrency => 2, item_retry => cano.fixed(1, '1 h'),
	next => 'end'), cano.exit('end'));
SQL

sub value
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

# Kill a worker, with it the server; it comes back.
sub crash
{
	my $pid = value("SELECT max(pid) FROM pg_stat_activity WHERE backend_type = 'cano worker'");

	kill('KILL', $pid) if $pid;
	$node->poll_query_until('postgres', "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = " . ($pid || 0) . ')')
	  or die 'the server does not come back';
	return;
}

sub stop_at_once
{
	$node->stop('immediate');
	$node->start;
	return;
}

# Remember what a run has done so far; returns how much that is.
sub remember
{
	my ($run) = @_;

	value("DROP TABLE IF EXISTS seen; CREATE TABLE seen AS SELECT part, xid FROM effect WHERE run = $run");
	return value('SELECT count(*) FROM seen');
}

sub is_kept
{
	my ($run, $name) = @_;

	return is(value("SELECT count(*) FROM seen s WHERE NOT EXISTS (SELECT FROM effect e WHERE e.run = $run AND e.part = s.part AND e.xid = s.xid)"),
		'0', "$name: what was done is not done again");
}

# Effects of what has completed, and of nothing else, each once.
sub is_exact
{
	my ($run, $view, $part, $name) = @_;

	return is( value(<<SQL), '0', "$name: what has completed has its effect once, nothing else has one");
SELECT count(*) FROM cano.$view p
WHERE p.run_id = $run AND (SELECT count(*) FROM effect e WHERE e.run = $run AND e.part = p.$part) <> (p.status = 'completed')::int
SQL
}

sub is_empty
{
	my ($name) = @_;
	my $left = 'SELECT (SELECT count(*) FROM cano._job), (SELECT count(*) FROM cano._timer), (SELECT count(*) FROM cano._stop)';

	return ok($node->poll_query_until('postgres', $left, '0|0|0'), "$name: nothing is left") || diag(value($left));
}

foreach my $workers (1, 4)
{
	my $name = "$workers workers";

	value("ALTER SYSTEM SET cano.workers_per_role = $workers");
	$node->reload;

	# A batch, in the middle of which nobody comes past the gate
	close_gate($node);
	my $run = submit($node, q{'batch'});
	wait_at_gate_of($workers);
	cmp_ok(remember($run), '>', 100, "$name: some items have ended");
	crash();
	wait_at_gate_of($workers);
	is_kept($run, "$name: a crash");
	remember($run);
	stop_at_once();
	wait_at_gate_of($workers);
	is_kept($run, "$name: a second");
	is(value("SELECT (progress ->> 'done')::int = (SELECT count(*) FROM effect WHERE run = $run) FROM cano.status($run)"),
		't', "$name: the run's progress is that of its effects");
	remember($run);
	open_gate($node);
	$node->poll_query_until('postgres', "SELECT (progress ->> 'done')::int > 4300 OR status = 'completed' FROM cano.status($run)");
	crash();
	ok(wait_ended($node, $run), "$name: the run ends");
	is(value("SELECT concat_ws(' ', status, result) FROM cano.runs WHERE run_id = $run"),
		'completed {"n": 5000, "in order": true}', "$name: finish has all of them in order");
	is(value("SELECT count(*), count(DISTINCT part), min(part), max(part) FROM effect WHERE run = $run"),
		'5000|5000|0|4999', "$name: each effect is there once");
	is_kept($run, "$name: a third");
	is_exact($run, 'items', 'item', "$name: batch");
	is(value("SELECT count(*) FROM cano.attempts WHERE run_id = $run"), '0', "$name: a crash is no failed attempt");
	is_empty("$name: batch");

	# A wide split of which any branch will do
	close_gate($node);
	$run = submit($node, q{'any'});
	wait_at_gate_of(1);
	crash();
	wait_at_gate_of(1);
	stop_at_once();
	wait_at_gate_of(1);
	crash();
	wait_at_gate_of(1);
	open_gate($node);
	ok(wait_ended($node, $run), "$name: any: the run ends");
	like(value("SELECT status || ' ' || jsonb_path_query_array(result, '\$.s[*] ? (@ != null)')::text FROM cano.runs WHERE run_id = $run"),
		qr/^completed \[(500|900)\]$/, "$name: any: with the one branch that succeeded");
	is_exact($run, 'branches', 'branch', "$name: any");
	is(value("SELECT count(*), count(DISTINCT branch) FROM cano.attempts WHERE run_id = $run") =~ /^(\d+)\|\g1$/,
		1, "$name: any: no branch has failed twice");
	is_empty("$name: any");

	# A deadline is the same after a crash
	$run = submit($node, q{'deadline'});
	$node->poll_query_until('postgres', "SELECT count(*) > 20 FROM effect WHERE run = $run");
	my $due = value("SELECT next_at FROM cano.status($run)");
	crash();
	is(value("SELECT next_at FROM cano.status($run)"), $due, "$name: a deadline stays over a crash");
	$node->poll_query_until('postgres', "SELECT count(*) > 60 FROM effect WHERE run = $run");
	stop_at_once();
	$node->poll_query_until('postgres', "SELECT count(*) > 90 FROM effect WHERE run = $run");
	crash();
	ok(wait_ended($node, $run), "$name: deadline: the run ends");
	is(value("SELECT concat_ws(' ', status, state, ended_at > '$due', ended_at < timestamptz '$due' + interval '1 min') FROM cano.runs WHERE run_id = $run"),
		'completed end t t', "$name: deadline: when its time is over");
	is_exact($run, 'branches', 'branch', "$name: deadline");
	is(value("SELECT count(*) FROM effect e, cano.result($run) r WHERE e.run = $run AND r -> 's' -> e.part <> to_jsonb(e.part)"),
		'0', "$name: deadline: its outputs are those of the effects");
	is_empty("$name: deadline");

	# The retry of an item waits over a restart
	$run = submit($node, q{'retries'});
	$node->poll_query_until('postgres', "SELECT count(*) = 2 FROM cano.items WHERE run_id = $run AND status = 'waiting'");
	my $waiting = "SELECT count(*), min(due_at) FROM cano._timer WHERE run = $run AND branch IS NOT NULL";
	my $before = value($waiting);
	like($before, qr/^2\|/, "$name: two items wait for another attempt");
	$node->restart;
	is(value($waiting), $before, "$name: also after a restart");
	value('ALTER SYSTEM SET cano.debug_clock = 3700000');
	$node->restart;
	ok(wait_ended($node, $run), "$name: until it is time");
	is(value("SELECT result ->> 'b' FROM cano.runs WHERE run_id = $run"), '[{"ok": 0}, {"ok": 1}, {"ok": 2}, {"ok": 3}, {"ok": 4}]',
		"$name: retries: they go on");
	is_exact($run, 'items', 'item', "$name: retries");
	value('ALTER SYSTEM RESET cano.debug_clock');
	$node->restart;
	is_empty("$name: retries");
}

# So many workers wait behind the gate.
sub wait_at_gate_of
{
	my ($count) = @_;

	$node->poll_query_until('postgres',
		"SELECT count(*) >= $count FROM pg_stat_activity WHERE backend_type = 'cano worker' AND wait_event_type = 'Lock'")
	  or die 'no task came to the gate';
	return;
}

unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/deadlock detected/, 'no transaction of the engine met a deadlock');
$node->stop;
done_testing();
