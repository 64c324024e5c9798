# Runs of all kinds while workers are terminated and the server crashes: none
# is lost, none is stuck, and every effect is there exactly once.  Longer with
# CANO_SOAK_ROUNDS=1000.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use PostgreSQL::Test::Cluster;
use Test::More;

my $rounds = $ENV{CANO_SOAK_ROUNDS} // 60;
srand(42);

my $node = new_server('soak', "cano.max_crashes = 1000\n");
use_database($node, 'postgres');
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE sent (run bigint PRIMARY KEY);
GRANT ALL ON sent TO PUBLIC;
CREATE FUNCTION flaky() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF random() < 0.05 THEN
		RAISE EXCEPTION 'not this time';
	END IF;
	PERFORM public.note();
END $$;
CREATE FUNCTION walk(cursor integer) RETURNS cano.outcome LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.ledger VALUES (cano.run_id(), cano.state() || coalesce(cursor, 0), cano.attempt());
	IF cursor >= 3 THEN
		RETURN cano.next();
	END IF;
	RETURN cano.more(to_jsonb(coalesce(cursor, 0) + 1), delay => CASE WHEN random() < 0.3 THEN interval '20 ms' END);
END $$;
SELECT cano.define('all',
	cano.task('a', 'flaky', next => 'b', retry => cano.fixed(50, '5 ms')),
	cano.timer('b', delay => '30 ms', next => 'c'),
	cano.stepped('c', 'walk', next => 'd'),
	cano.receive('d', signal => 'go', next => 'e'),
	cano.task('e', 'flaky', next => 'done', retry => cano.fixed(50, '5 ms')),
	cano.exit('done'));
SQL

my $submit = <<'SQL';
DO $$
BEGIN
	FOR i IN 1 .. 20 LOOP
		PERFORM cano.submit('all', priority => i % 3);
	END LOOP;
	PERFORM cano.submit('all', run_at => clock_timestamp() + interval '200 ms');
END $$
SQL
my $signal = <<'SQL';
DO $$
DECLARE
	v_run bigint;
BEGIN
	FOR v_run IN
		SELECT r.run_id FROM cano.runs r
		WHERE r.ended_at IS NULL AND NOT EXISTS (SELECT FROM sent s WHERE s.run = r.run_id)
		ORDER BY random() LIMIT 30
	LOOP
		INSERT INTO sent VALUES (v_run);
		PERFORM cano.signal(v_run, 'go');
	END LOOP;
END $$
SQL
my $kills = 0;

foreach my $round (1 .. $rounds)
{
	attempt($node, $submit, '-U', 'worker');
	attempt($node, $signal, '-U', 'worker');
	if ($round % 20 == 0)
	{
		$kills += crash_by_worker($node);
	}
	elsif (rand() < 0.5)
	{
		terminate_worker($node);
	}
}

$signal =~ s/LIMIT 30//;
$node->safe_psql('postgres', $signal, extra_params => [ '-U', 'worker' ]);
ok( $node->poll_query_until('postgres',
		"SELECT NOT EXISTS (SELECT FROM cano.runs WHERE ended_at IS NULL)"),
	'every run ends');
cmp_ok($kills, '>', 0, 'although the server crashed');
is( $node->safe_psql('postgres',
		"SELECT DISTINCT status FROM cano.runs"),
	'completed', 'every run completes');
is( $node->safe_psql('postgres', <<'SQL'), '0', 'every effect is there exactly once');
SELECT count(*) FROM (
	SELECT FROM cano.runs r LEFT JOIN ledger l ON l.run = r.run_id
	GROUP BY r.run_id
	HAVING string_agg(l.state, ' ' ORDER BY l.state) IS DISTINCT FROM 'a c0 c1 c2 c3 e') AS wrong
SQL
is( $node->safe_psql('postgres', <<'SQL'), '0', 'no log has a gap');
SELECT count(*) FROM (
	SELECT FROM cano.checkpoints
	GROUP BY run_id HAVING min(sequence) <> 0 OR max(sequence) <> count(*) - 1) AS gaps
SQL
is( $node->safe_psql('postgres',
		'SELECT (SELECT count(*) FROM cano._job), (SELECT count(*) FROM cano._timer)'),
	'0|0',
	'nothing is left in the queue');

$node->stop;
done_testing();
