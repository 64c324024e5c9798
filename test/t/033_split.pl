# Splits whose branches run at the same time: the same ends with one worker,
# two or eight, and what is cancelled leaves nothing.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $node = new_server('split', "cano.max_crashes = 2\n");
use_database($node, 'postgres');
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE effect (run bigint, branch integer, began timestamptz, ended timestamptz, pid integer DEFAULT pg_backend_pid());
GRANT ALL ON effect TO PUBLIC;
CREATE FUNCTION work(run_id bigint, branch integer, ms integer DEFAULT 0, fails boolean DEFAULT false) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
	v_began timestamptz := clock_timestamp();
BEGIN
	IF ms > 0 THEN
		PERFORM pg_sleep(ms / 1000.0); -- lasts: that long
	END IF;
	IF fails THEN
		RAISE EXCEPTION 'branch % fails', branch;
	END IF;
	INSERT INTO public.effect VALUES (run_id, branch, v_began, clock_timestamp());
	RETURN branch;
END $$;
CREATE FUNCTION work_behind_gate(run_id bigint, branch integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
	PERFORM FROM public.gate;
	RETURN public.work(run_id, branch);
END $$;
CREATE FUNCTION appends(branch integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cano.append(CASE branch % 2 WHEN 0 THEN 'x' ELSE 'y' END, to_jsonb(branch));
	PERFORM cano.append(CASE branch % 2 WHEN 0 THEN 'y' ELSE 'x' END, to_jsonb(branch));
END $$;
CREATE FUNCTION counts() RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', k, count(*), count(DISTINCT e)) FROM unnest(ARRAY['x', 'y']) AS k, jsonb_array_elements(cano.get(k)) AS e
	GROUP BY k ORDER BY k LIMIT 1 $$;
CREATE FUNCTION dies(run_id bigint, branch integer) RETURNS void LANGUAGE sql AS $$
	SELECT public.work(run_id, branch);
	SELECT pg_terminate_backend(pg_backend_pid()) $$;
CREATE FUNCTION calls_off(run_id bigint, branch integer) RETURNS cano.outcome LANGUAGE sql AS $$
	SELECT public.work(run_id, branch);
	SELECT cano.cancelled('by ' || branch) $$;
-- Branches that last so many milliseconds; they fail if that is negative.
CREATE FUNCTION lasting(VARIADIC ms integer[]) RETURNS jsonb[] LANGUAGE sql AS $$
	SELECT array_agg(cano.branch('work', retry => cano.none(), input => jsonb_build_object('ms', abs(m), 'fails', m < 0)) ORDER BY i)
	FROM unnest(ms) WITH ORDINALITY AS u (m, i) $$;
-- The reference's tests, with four times its times: machines are busy.
SELECT cano.define('test_partial_results_strategy',
	cano.split('s', lasting(200, 400, 2000, 2400), "join" => cano.partial(2), next => 'end'), cano.exit('end'));
SELECT cano.define('test_partial_results_with_failures',
	cano.split('s', lasting(200, -400, 2000, 2400), "join" => cano.partial(2), next => 'end'), cano.exit('end'));
SELECT cano.define('test_partial_timeout_strategy',
	cano.split('s', lasting(200, 400, 2000, 2400), "join" => cano.partial_timeout(), next => 'end', timeout => '800 ms'), cano.exit('end'));
SELECT cano.define('test_partial_timeout_with_failures',
	cano.split('s', lasting(200, -400, 600, 2000), "join" => cano.partial_timeout(), next => 'end', timeout => '800 ms'), cano.exit('end'));
SELECT cano.define('test_partial_timeout_all_complete',
	cano.split('s', lasting(40, 80, 120, 160), "join" => cano.partial_timeout(), next => 'end', timeout => '1 day'), cano.exit('end'));
SELECT cano.define('test_split_bulkhead_caps_concurrency',
	cano.split('s', lasting(VARIADIC array_fill(50, ARRAY[10])), next => 'end', bulkhead => 2), cano.exit('end'));
-- More that many workers do at once.
SELECT cano.define('gated', cano.split('s', array_fill('work_behind_gate'::text, ARRAY[8]), next => 'end'), cano.exit('end'));
SELECT cano.define('any', cano.split('s', lasting(VARIADIC array_fill(0, ARRAY[12])), "join" => cano.any(), next => 'end'), cano.exit('end'));
SELECT cano.define('any slow', cano.split('s', lasting(VARIADIC array_fill(5, ARRAY[12])), "join" => cano.any(), next => 'end'), cano.exit('end'));
SELECT cano.define('partial', cano.split('s', lasting(-1, 1, 1, 1, 1, 1, 1, 1), "join" => cano.partial(3), next => 'end'), cano.exit('end'));
SELECT cano.define('bulkhead', cano.split('s', lasting(1, 0, -1, 1, 0, 1, 0, -1), "join" => cano.quorum(6), next => 'end', bulkhead => 3),
	cano.exit('end'));
SELECT cano.define('calls off', cano.split('s', array_fill('calls_off'::text, ARRAY[8]), next => 'end'), cano.exit('end'));
SELECT cano.define('appends', cano.split('s', array_fill('appends'::text, ARRAY[40]), next => 'c'),
	cano.task('c', 'counts', next => 'end'), cano.exit('end'));
SELECT cano.define('dies', cano.split('s', lasting(0) || cano.branch('dies') || lasting(0), "join" => cano.quorum(2), next => 'end'), cano.exit('end'));
SELECT cano.define('long', cano.split('s', lasting(0, 60000, 60000), next => 'end'), cano.exit('end'));
SQL

# How a run ended: its outputs or its error.
sub story
{
	my ($run) = @_;

	wait_ended($node, $run) or diag("run $run has not ended");
	return $node->safe_psql('postgres',
		"SELECT concat_ws(' ', status, result ->> 's', error ->> 'message') FROM cano.runs WHERE run_id = $run");
}

# Effects of branches that completed, and of nothing else, each once.
sub is_exact
{
	my ($where, $name) = @_;

	return is( $node->safe_psql('postgres', <<SQL), '0|0', "$name: what has completed has its effect once, nothing else has one");
SELECT
	(SELECT count(*) FROM cano.branches b JOIN cano.runs r USING (run_id)
	 WHERE $where AND (SELECT count(*) FROM effect e WHERE e.run = b.run_id AND e.branch = b.branch) <> (b.status = 'completed')::int),
	(SELECT count(*) FROM cano.runs r JOIN cano.branches b USING (run_id)
	 WHERE $where AND r.status = 'completed' AND r.result -> 's' -> b.branch IS DISTINCT FROM
		CASE WHEN b.status = 'completed' THEN to_jsonb(b.branch) ELSE 'null' END)
SQL
}

sub is_empty
{
	my ($name) = @_;
	my $left = 'SELECT (SELECT count(*) FROM cano._job), (SELECT count(*) FROM cano._timer), (SELECT count(*) FROM cano._stop)';

	return ok($node->poll_query_until('postgres', $left, '0|0|0'), "$name: nothing is left")
	  || diag($node->safe_psql('postgres', $left));
}

# Many runs of a workflow at once; all end.
sub many
{
	my ($workflow, $count, $status, $name) = @_;
	my $before = $node->safe_psql('postgres', 'SELECT coalesce(max(run_id), 0) FROM cano.runs');
	my $where = "r.run_id > $before AND r.workflow = '$workflow'";

	$node->safe_psql('postgres',
		"SELECT count(*) FROM cano.submit_many('$workflow', array_fill('{}'::jsonb, ARRAY[$count]))",
		extra_params => [ '-U', 'worker' ]);
	ok( $node->poll_query_until('postgres', "SELECT count(*) = $count FROM cano.runs r WHERE $where AND r.status = '$status'"),
		"$name: all runs are $status")
	  or diag($node->safe_psql('postgres',
		"SELECT r.status, r.waiting_for, r.error ->> 'message', count(*) FROM cano.runs r WHERE $where GROUP BY 1, 2, 3"));
	return $where;
}

sub each_completed
{
	my ($where) = @_;

	return $node->safe_psql('postgres', <<SQL);
SELECT string_agg(DISTINCT n::text, ' ') FROM (
	SELECT count(*) FILTER (WHERE b.status = 'completed') AS n FROM cano.runs r JOIN cano.branches b USING (run_id)
	WHERE $where GROUP BY r.run_id) AS each
SQL
}

foreach my $workers (1, 2, 8)
{
	my $name = "$workers workers";

	$node->safe_psql('postgres', "ALTER SYSTEM SET cano.workers_per_role = $workers");
	$node->reload;

	is(story(submit($node, q{'test_partial_results_strategy'})),
		'completed [0, 1, null, null]', "test_partial_results_strategy: $name: the slow ones are cancelled");
	like(story(submit($node, q{'test_partial_results_with_failures'})),
		qr/^completed \[0, null, 2, null\]$/, "test_partial_results_with_failures: $name: the failure does not count");
	like(story(submit($node, q{'test_partial_timeout_strategy'})),
		qr/^completed \[0, (1|null), null, null\]$/, "test_partial_timeout_strategy: $name: what was ready");
	like(story(submit($node, q{'test_partial_timeout_with_failures'})),
		qr/^completed \[0, null, (2|null), null\]$/, "test_partial_timeout_with_failures: $name: what was ready");
	is(story(submit($node, q{'test_partial_timeout_all_complete'})),
		'completed [0, 1, 2, 3]', "test_partial_timeout_all_complete: $name: nobody waits for the timeout");
	my $run = submit($node, q{'test_split_bulkhead_caps_concurrency'});
	is(story($run), 'completed [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]', "test_split_bulkhead_caps_concurrency: $name: succeeds");
	is( $node->safe_psql('postgres', <<SQL), 't', "test_split_bulkhead_caps_concurrency: $name: never more than 2 at once");
SELECT max(n) BETWEEN 1 AND 2 FROM (
	SELECT count(*) AS n FROM effect a JOIN effect b ON b.run = a.run AND a.began >= b.began AND a.began < b.ended
	WHERE a.run = $run GROUP BY a.branch) AS at_once
SQL

	close_gate($node);
	$run = submit($node, q{'gated'});
	ok( $node->poll_query_until('postgres',
			"SELECT count(*) = $workers FROM pg_stat_activity WHERE backend_type = 'cano worker' AND wait_event_type = 'Lock'"),
		"$name: as many branches run at once");
	is( $node->safe_psql('postgres', "SELECT string_agg(DISTINCT status, ' ' ORDER BY status) FROM cano.branches WHERE run_id = $run"),
		$workers < 8 ? 'queued running' : 'running', "$name: which the view shows");
	open_gate($node);
	is(story($run), 'completed [0, 1, 2, 3, 4, 5, 6, 7]', "$name: all of them end");

	my $where = many('any', 100, 'completed', "$name: any");
	is(each_completed($where), '1', "$name: any: one branch of each has completed");
	is_exact($where, "$name: any");
	$where = many('any slow', 30, 'completed', "$name: any slow");
	is(each_completed($where), '1', "$name: any slow: one branch of each has completed");
	is_exact($where, "$name: any slow");
	$where = many('partial', 30, 'completed', "$name: partial");
	is(each_completed($where), '3', "$name: partial: three branches of each have completed");
	is_exact($where, "$name: partial");
	$where = many('bulkhead', 50, 'completed', "$name: bulkhead");
	is(each_completed($where), '6', "$name: bulkhead: six branches of each have completed");
	is_exact($where, "$name: bulkhead");
	$where = many('calls off', 30, 'cancelled', "$name: calls off");
	is( $node->safe_psql('postgres', <<SQL), '30|30', "$name: calls off: the first one's reason and effect are those of its run");
SELECT count(*), count(DISTINCT e.run) FROM effect e JOIN cano.runs r ON r.run_id = e.run WHERE $where AND r.cancel_reason = 'by ' || e.branch
SQL
	is($node->safe_psql('postgres', "SELECT count(*) FROM effect e JOIN cano.runs r ON r.run_id = e.run WHERE $where"),
		'30', "$name: calls off: no other branch has an effect");

	$where = many('appends', 5, 'completed', "$name: appends");
	is( $node->safe_psql('postgres', "SELECT DISTINCT r.result ->> 'c' FROM cano.runs r WHERE $where"),
		'x 40 40', "$name: branches that write to the same keys in different orders lose nothing");

	$run = submit($node, q{'dies'});
	is(story($run), 'completed [0, null, 2]', "$name: a branch that ends its session does not end the others");
	is( $node->safe_psql('postgres', "SELECT status || ' ' || (error ->> 'category') FROM cano.branches WHERE run_id = $run AND branch = 1"),
		'failed poisoned', "$name: it is given up in the end");

	$run = submit($node, q{'long'});
	$node->poll_query_until('postgres', "SELECT status = 'running' FROM cano.branches WHERE run_id = $run AND branch = 1");
	$node->safe_psql('postgres', "SELECT cano.cancel($run, 'enough')");
	is(story($run), 'cancelled enough', "$name: cancelling interrupts branches that run");
	ok( $node->poll_query_until('postgres', "SELECT NOT EXISTS (SELECT FROM cano.activity WHERE run_id = $run)"),
		"$name: nobody goes on with them");
	is_exact("r.run_id = $run", "$name: cancelled");
	is_empty($name);
}

$node->stop;
done_testing();
