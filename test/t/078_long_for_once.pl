# A task that has always been quick and is long for once keeps nobody waiting:
# neither the jobs that were claimed with it nor the rows that steps before it
# in its transaction wrote.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $node = new_server('long_for_once', "cano.workers_per_role = 1\n");
use_database($node, 'postgres');

# Sequences are not rolled back: they count bodies.
$node->safe_psql('postgres', <<'SQL');
CREATE SEQUENCE bodies;
GRANT ALL ON SEQUENCE bodies TO worker;
CREATE FUNCTION pass(gated boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF gated THEN
		PERFORM nextval('bodies');
		PERFORM FROM gate;
	END IF;
	PERFORM note();
END $$;
CREATE FUNCTION pass_trapping(gated boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pass(gated);
EXCEPTION WHEN query_canceled THEN
	PERFORM note();
END $$;
SELECT cano.define('pass', cano.task('a', 'note', next => 'b'), cano.task('b', 'pass', next => 'end'), cano.exit('end'));
SELECT cano.define('trapping', cano.task('b', 'pass_trapping', next => 'end'), cano.exit('end'));
SQL

# How many of these runs have ended well.
sub count_ended
{
	my ($from) = @_;
	return "SELECT count(*) FILTER (WHERE status = 'completed') FROM cano.runs WHERE run_id > $from";
}

foreach my $workflow ('pass', 'trapping')
{
	$node->append_conf('postgresql.conf', 'cano.workers_per_role = 1');
	$node->reload;
	my $before = $node->safe_psql('postgres', 'SELECT coalesce(max(run_id), 0) FROM cano.runs');
	$node->safe_psql('postgres', "SELECT cano.submit_many('$workflow', array_fill('{\"gated\": false}'::jsonb, ARRAY[2000]))",
		extra_params => [ '-U', 'worker' ]);
	ok($node->poll_query_until('postgres', count_ended($before), '2000'), "$workflow: two thousand are quick");
	$before = $node->safe_psql('postgres', 'SELECT max(run_id) FROM cano.runs');

	my $bodies = $node->safe_psql('postgres', "SELECT nextval('bodies')");
	close_gate($node);
	$node->safe_psql('postgres', "SELECT cano.submit_many('$workflow', ARRAY(SELECT jsonb_build_object('gated', i = 1) FROM generate_series(1, 8) i))",
		extra_params => [ '-U', 'worker' ]);
	my ($first) = $node->safe_psql('postgres', "SELECT min(run_id) FROM cano.runs WHERE run_id > $before");
	wait_at_gate($node);
	$node->append_conf('postgresql.conf', 'cano.workers_per_role = 2');
	$node->reload;
	ok($node->poll_query_until('postgres', count_ended($before), '7'), 'the others do not wait for the one that does');
	is($node->safe_psql('postgres', "SELECT status FROM cano.status($first)"), 'running', 'which goes on');
	open_gate($node);
	ok(wait_ended($node, $first), 'until it has ended');
	is( $node->safe_psql('postgres', "SELECT nextval('bodies') - $bodies - 1, count(*), min(attempt) FROM ledger WHERE run = $first AND state = 'b'"),
		'2|1|1', 'its body ran twice, in one attempt, with one effect');
	is($node->safe_psql('postgres', "SELECT count(*) FROM cano.attempts WHERE run_id > $before"), '0', 'nobody failed');
}

done_testing();
