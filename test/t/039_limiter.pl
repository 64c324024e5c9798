# One limiter, many workers: the rate is never exceeded, whoever is killed, and
# nobody is held up by those who wait.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my ($rate, $burst) = (40, 10);
my $node = new_server('limiter', "cano.workers_per_role = 8\ncano.max_workers = 16\n");
use_database($node, 'postgres');
$node->safe_psql('postgres', <<SQL);
CREATE TABLE began (run bigint, at timestamptz DEFAULT clock_timestamp());
GRANT ALL ON began TO PUBLIC;
-- One in five fails at first; one in ten lasts longer than the others.
CREATE FUNCTION work(run_id bigint, attempt integer) RETURNS void LANGUAGE plpgsql AS \$\$
BEGIN
	INSERT INTO public.began VALUES (run_id);
	IF run_id % 10 = 0 THEN
		PERFORM pg_sleep(0.02); -- lasts: as some do
	END IF;
	IF attempt = 1 AND run_id % 5 = 1 THEN
		RAISE EXCEPTION 'try again';
	END IF;
END \$\$;
SELECT cano.define('limited', cano.task('a', 'work', next => 'done', retry => cano.fixed(1, '10 ms'), limiter => 'l'),
	cano.exit('done'))
FROM cano.create_limiter('l', $rate, '1 s', burst => $burst);
SELECT cano.define('hourly', cano.task('a', 'note', next => 'done', limiter => 'h'), cano.exit('done'))
FROM cano.create_limiter('h', 1, '1 hour');
SQL

# A crowd of runs, after which the table of attempts begins with a full bucket.
sub submit_crowd
{
	my ($count) = @_;

	$node->safe_psql('postgres', 'TRUNCATE began');
	my $since = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
	$node->safe_psql('postgres',
		"SELECT count(*) FROM cano.submit_many('limited', array_fill('{}'::jsonb, ARRAY[$count]))",
		extra_params => [ '-U', 'worker' ]);
	return $since;
}

sub wait_until_done
{
	my ($count) = @_;

	$node->poll_query_until('postgres',
		"SELECT (SELECT count(*) FROM began) >= $count OR NOT EXISTS (SELECT FROM cano.runs WHERE workflow = 'limited' AND ended_at IS NULL)")
	  or die 'they do not go on';
	return;
}

# An attempt begins after it was let, so never more have begun than a bucket
# that was full at that time has held since.
sub is_in_rate
{
	my ($since, $buckets, $name) = @_;

	is($node->safe_psql('postgres', <<SQL), '0', $name);
SELECT count(*) FROM (
	SELECT a.at, row_number() OVER (ORDER BY a.at) AS n
	FROM (SELECT at FROM began UNION ALL SELECT started_at FROM cano.attempts WHERE started_at >= '$since') AS a) AS b
WHERE b.n > ($rate + $burst) * $buckets + $rate * extract(epoch FROM b.at - '$since'::timestamptz)
SQL
	return;
}

sub is_done
{
	my ($since, $count, $name) = @_;

	is($node->safe_psql('postgres', <<SQL), "$count completed, $count effects of $count runs", $name);
SELECT (SELECT string_agg(r.n || ' ' || r.status, ', ') FROM (SELECT status, count(*) AS n FROM cano.runs
		WHERE workflow = 'limited' AND submitted_at >= '$since' GROUP BY status) AS r)
	|| ', ' || (SELECT count(*) || ' effects of ' || count(DISTINCT run) || ' runs' FROM began)
SQL
	return;
}

# More wait than there are workers, and none is held.
my $hourly = "SELECT string_agg(n || ' ' || status, ', ' ORDER BY status) FROM"
  . " (SELECT status, count(*) AS n FROM cano.runs WHERE workflow = 'hourly' GROUP BY status) AS r";
$node->safe_psql('postgres', "SELECT count(*) FROM cano.submit_many('hourly', array_fill('{}'::jsonb, ARRAY[200]))",
	extra_params => [ '-U', 'worker' ]);
ok($node->poll_query_until('postgres', $hourly, '1 completed, 199 waiting'), 'one of many begins');
is_story($node, submit($node, q{'three'}), 'the runs of another workflow go on') foreach 1 .. 3;
is($node->safe_psql('postgres', $hourly), '1 completed, 199 waiting', 'while these wait');

# Many workers; now and then one goes away.
my $since = submit_crowd(250);
foreach my $count (60, 100, 140)
{
	wait_until_done($count);
	$node->safe_psql('postgres',
		"SELECT pg_terminate_backend(min(pid)) FROM pg_stat_activity WHERE backend_type = 'cano worker'");
}
wait_until_done(1000);
is_done($since, 250, 'every run has been done, once');
is_in_rate($since, 1, 'never faster than the limiter allows');
is($node->safe_psql('postgres', "SELECT count(*) FROM cano.attempts"), '50', 'attempts that failed took tokens');

# What a limiter has counted does not outlive the server.
$node->poll_query_until('postgres', "SELECT available = 50 FROM cano.limiters WHERE name = 'l'") or die 'the bucket does not fill';
$since = submit_crowd(200);
wait_until_done(60);
my $pid = $node->safe_psql('postgres', "SELECT min(pid) FROM pg_stat_activity WHERE backend_type = 'cano worker'");
kill 'KILL', $pid;
$node->poll_query_until('postgres', "SELECT pg_postmaster_start_time() IS NOT NULL AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)");
wait_until_done(1000);
is_done($since, 200, 'after a crash every run has been done, once');
is_in_rate($since, 2, 'never faster than two buckets allow');

$node->stop;
done_testing();
