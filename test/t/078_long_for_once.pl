# A task that has always been quick and is long for once keeps nobody waiting:
# neither the jobs that were claimed with it nor the rows that steps before it
# in its transaction wrote.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $node = new_server('long_for_once', "cano.max_crashes = 1\n");
use_database($node, 'postgres');

# Sequences are not rolled back: they count bodies, and interruptions.  What waits does not wait
# for a lock: that ends sooner where the work of others is held.
$node->safe_psql('postgres', <<'SQL');
CREATE SEQUENCE bodies;
CREATE SEQUENCE interruptions;
GRANT ALL ON SEQUENCE bodies, interruptions TO worker;
CREATE TABLE door (closed boolean);
INSERT INTO door VALUES (true);
GRANT SELECT ON door TO worker;
CREATE FUNCTION pass(gated boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF gated THEN
		PERFORM nextval('bodies');
		WHILE (SELECT closed FROM door) LOOP
			PERFORM pg_sleep(0.01); -- lasts: until the door is opened
		END LOOP;
	END IF;
	PERFORM note();
END $$;
CREATE FUNCTION pass_trapping(gated boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pass(gated);
EXCEPTION WHEN query_canceled THEN
	PERFORM note();
END $$;
CREATE FUNCTION pass_never(gated boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. CASE WHEN gated THEN 200 ELSE 0 END LOOP
		BEGIN
			PERFORM pg_sleep(60); -- lasts: until it is interrupted, again and again
		EXCEPTION WHEN query_canceled THEN
			PERFORM nextval('interruptions');
		END;
	END LOOP;
END $$;
SELECT cano.define('pass', cano.task('a', 'note', next => 'b'), cano.task('b', 'pass', next => 'end'), cano.exit('end'));
SELECT cano.define('trapping', cano.task('b', 'pass_trapping', next => 'end'), cano.exit('end'));
SELECT cano.define('never', cano.task('b', 'pass_never', timeout => '2.5 s', next => 'end'), cano.exit('end'));
SELECT cano.define('undone', cano.task('a', 'note', next => 'b'), cano.task('b', 'pass', compensate => 'note', next => 'end'), cano.exit('end'));
SQL

sub value { my ($statement) = @_; return $node->safe_psql('postgres', $statement) }

sub set_workers
{
	my ($n) = @_;

	$node->append_conf('postgresql.conf', "cano.workers_per_role = $n");
	$node->reload;
	return;
}

# How many of these runs have ended well.
sub count_ended
{
	my ($from) = @_;
	return "SELECT count(*) FILTER (WHERE status = 'completed') FROM cano.runs WHERE run_id > $from";
}

# Eight runs for one worker that knows their task as a quick one; the first, of
# which the id is returned, is long for once.
sub begin_eight
{
	my ($workflow) = @_;
	my @as_worker = (extra_params => [ '-U', 'worker' ]);

	set_workers(1);
	$node->restart;
	my $before = value('SELECT coalesce(max(run_id), 0) FROM cano.runs');
	$node->safe_psql('postgres', "SELECT cano.submit_many('$workflow', array_fill('{\"gated\": false}'::jsonb, ARRAY[2000]))", @as_worker);
	ok($node->poll_query_until('postgres', count_ended($before), '2000'), "$workflow: two thousand are quick");
	value("SELECT setval('bodies', 1, false)");
	value('UPDATE door SET closed = true');
	my ($first) = split /\n/, $node->safe_psql('postgres',
		"SELECT * FROM cano.submit_many('$workflow', ARRAY(SELECT jsonb_build_object('gated', i = 1) FROM generate_series(1, 8) i))", @as_worker);
	$node->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM cano.activity JOIN pg_stat_activity USING (pid) WHERE run_id = $first AND wait_event = 'PgSleep')")
	  or die 'the first does not begin';
	set_workers(2);
	return $first;
}

foreach my $workflow ('pass', 'trapping')
{
	my $first = begin_eight($workflow);

	ok($node->poll_query_until('postgres', count_ended($first), '7'), 'the others do not wait for the one that does');
	is(value("SELECT status FROM cano.status($first)"), 'running', 'which goes on');
	value('UPDATE door SET closed = false');
	ok(wait_ended($node, $first), 'until it has ended');
	is( value("SELECT nextval('bodies') - 1, count(*), min(attempt) FROM ledger WHERE run = $first AND state = 'b'"),
		'2|1|1', 'its body ran twice, in one attempt, with one effect');
	is(value("SELECT count(*) FROM cano.attempts WHERE run_id >= $first"), '0', 'nobody failed');
}

# Its own time ends while it is among others, too.
my $first = begin_eight('never');
ok($node->poll_query_until('postgres', count_ended($first), '7'), 'the others do not wait for one that traps all interruptions');
ok(wait_ended($node, $first), 'whose session ends');
is(value("SELECT error ->> 'category' FROM cano.runs WHERE run_id = $first"), 'poisoned', 'for which it is to blame');
cmp_ok(value("SELECT nextval('interruptions')"), '<', 150, 'and soon');

# A cancellation must not come between two calls of what would have to be undone.
$first = begin_eight('undone');
is(value("SELECT cano.cancel($first)"), 't', 'one that can be undone is cancelled');
ok($node->poll_query_until('postgres', "SELECT status = 'cancelled' OR EXISTS (SELECT FROM cano.activity WHERE run_id = $first AND since < clock_timestamp() - interval '1.5 s') FROM cano.status($first)"),
	'which does not interrupt it');
value('UPDATE door SET closed = false');
ok(wait_ended($node, $first), 'it goes on to its end');
is(value("SELECT nextval('bodies') - 1, status, (SELECT string_agg(state, ' ' ORDER BY state) FROM ledger WHERE run = $first) FROM cano.runs WHERE run_id = $first"),
	'1|cancelled|a b b', 'and is undone');

$node->stop;
done_testing();
