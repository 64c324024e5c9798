# Events and observers with several workers: numbers are dense whatever
# happens at the same time, nothing is told twice or lost, and an observer
# that takes its session down takes only its run with it.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $node = new_server('events', "cano.max_crashes = 2\ncano.workers_per_role = 4\n");
use_database($node, 'postgres');
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE seen (run bigint, event text, branch integer, attempt integer, ordinal bigint);
CREATE TABLE counter (id integer PRIMARY KEY, n bigint);
INSERT INTO counter VALUES (1, 0);
GRANT ALL ON seen, counter TO PUBLIC;
CREATE FUNCTION branch(branch integer, attempt integer, good_at integer DEFAULT 1) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
	IF attempt < good_at THEN
		RAISE EXCEPTION 'branch %, attempt %', branch, attempt;
	END IF;
	RETURN branch;
END $$;
CREATE FUNCTION sees(run_id bigint, event text, branch integer, attempt integer, ordinal bigint) RETURNS void
LANGUAGE sql AS 'INSERT INTO public.seen VALUES ($1, $2, $3, $4, $5)';
CREATE FUNCTION counts(run_id bigint) RETURNS void LANGUAGE sql AS 'UPDATE public.counter SET n = n + 1 WHERE id = 1';
CREATE FUNCTION dies(run_id bigint) RETURNS void LANGUAGE sql AS 'SELECT pg_terminate_backend(pg_backend_pid())';
-- Ten branches: one in two fails at first, one in five for good.
CREATE FUNCTION branches(delay interval) RETURNS jsonb[] LANGUAGE sql AS $$
	SELECT array_agg(cano.branch('branch', retry => cano.fixed(2, delay),
		input => jsonb_build_object('good_at', CASE WHEN i % 5 = 0 THEN 9 ELSE i % 2 + 1 END)) ORDER BY i)
	FROM generate_series(1, 10) AS i $$;
SELECT cano.define('busy', cano.task('a', 'note', next => 's'),
	cano.split('s', branches('1 ms'), "join" => cano.quorum(8), next => 't'),
	cano.split('t', branches('0'), "join" => cano.any(), next => 'z'), cano.exit('z'), cano.options(log => 'all'));
SELECT cano.define('endless', cano.split('s', array_fill(cano.branch('branch', retry => cano.fixed(100000, '2 ms'), input => '{"good_at": 1000000}'), ARRAY[6]),
	next => 'z'), cano.exit('z'), cano.options(log => 'errors'));
SELECT cano.define('deadly', cano.task('a', 'note', next => 'z'), cano.exit('z'));
SELECT cano.observe('sees', 'sees', workflow => 'busy');
SELECT cano.observe('counts', 'counts', ARRAY['ended']);
SQL

# Nothing holds of these runs; their ids if it does.
sub none
{
	my ($query, $name) = @_;

	return is($node->safe_psql('postgres', $query), '', $name);
}

my $dense = <<'SQL';
SELECT run_id, min(ordinal), max(ordinal), count(*) FROM cano.events JOIN cano.runs USING (run_id) WHERE workflow = 'WORKFLOW'
GROUP BY run_id HAVING min(ordinal) <> 1 OR max(ordinal) <> count(*)
SQL

$node->safe_psql('postgres', q{SELECT count(cano.submit('busy')) FROM generate_series(1, 12)}, extra_params => [ '-U', 'worker' ]);
ok($node->poll_query_until('postgres', q{SELECT count(*) = 12 FROM cano.runs WHERE workflow = 'busy' AND status = 'completed'}), 'all runs end');
none($dense =~ s/WORKFLOW/busy/r, 'their events are numbered densely');
none(<<'SQL', 'every retry of a branch that was waited for is told once');
SELECT e.run_id FROM cano.runs e WHERE workflow = 'busy'
AND (SELECT string_agg(concat_ws(' ', branch, attempt), ',' ORDER BY branch, attempt) FROM cano.events v
	WHERE v.run_id = e.run_id AND state = 's' AND event = 'retry')
IS DISTINCT FROM (SELECT string_agg(concat_ws(' ', branch, attempt), ',' ORDER BY branch, attempt) FROM cano.attempts a
	WHERE a.run_id = e.run_id AND state = 's' AND attempt < 3)
SQL
none(<<'SQL', 'the starts of all branches, then retries, then successes, then failures');
SELECT run_id FROM (
	SELECT run_id, string_agg(CASE event WHEN 'task_start' THEN 's' WHEN 'retry' THEN 'r' WHEN 'task_success' THEN 'y' WHEN 'task_failure' THEN 'f' END, ''
		ORDER BY ordinal) AS story
	FROM cano.events JOIN cano.runs r USING (run_id) WHERE workflow = 'busy' AND events.state = 's' GROUP BY run_id) AS stories
WHERE story !~ '^s{10}r+y{8}f{2}$'
SQL
none(<<'SQL', 'an observer is told of what is kept, and as it is, but for numbers made later');
SELECT run_id, event, branch, attempt FROM cano.events JOIN cano.runs USING (run_id) WHERE workflow = 'busy'
EXCEPT ALL SELECT run, event, branch, attempt FROM seen
SQL
none(<<'SQL', 'and of nothing else');
SELECT run, event, branch, attempt FROM seen
EXCEPT ALL SELECT run_id, event, branch, attempt FROM cano.events JOIN cano.runs USING (run_id) WHERE workflow = 'busy'
SQL
none(q{SELECT s.* FROM seen s LEFT JOIN cano.events e ON e.run_id = s.run AND e.ordinal = s.ordinal
	WHERE s.ordinal IS NOT NULL AND (e.event, e.branch) IS DISTINCT FROM (s.event, s.branch)}, 'numbers that are told are right');
is($node->safe_psql('postgres', 'SELECT n FROM counter'), '12', 'observers that wait for each other lose nothing');

# Cancelled in the middle of retries of several workers.
$node->safe_psql('postgres', q{SELECT count(cano.submit('endless')) FROM generate_series(1, 4)}, extra_params => [ '-U', 'worker' ]);
$node->poll_query_until('postgres',
	q{SELECT count(*) = 4 FROM cano.runs r WHERE workflow = 'endless' AND (SELECT count(*) FROM cano.events e WHERE e.run_id = r.run_id) > 20})
  or die 'no retries';
$node->safe_psql('postgres', q{SELECT cano.cancel(run_id) FROM cano.runs WHERE workflow = 'endless'});
ok($node->poll_query_until('postgres', q{SELECT count(*) = 4 FROM cano.runs WHERE workflow = 'endless' AND status = 'cancelled'}), 'cancelled runs end');
none($dense =~ s/WORKFLOW/endless/r, 'their events are numbered densely');
none(<<'SQL', 'the cancellation and the end come last, once');
SELECT run_id FROM (
	SELECT run_id, string_agg(left(event, 1), '' ORDER BY ordinal) AS story FROM cano.events JOIN cano.runs r USING (run_id)
	WHERE workflow = 'endless' GROUP BY run_id) AS stories
WHERE story !~ '^r+ce$'
SQL

# An observer that ends its session.
$node->safe_psql('postgres', q{SELECT cano.observe('dies', 'dies', ARRAY['task_success', 'ended'], 'deadly')});
my $run = submit($node, q{'deadly'});
my $other = submit($node, q{'three'});
wait_ended($node, $run);
is($node->safe_psql('postgres', "SELECT status, error ->> 'category' FROM cano.runs WHERE run_id = $run"),
	'failed|poisoned', 'a run whose observer ends its session again and again is given up');
is_story($node, $other, 'others are not harmed');
$node->safe_psql('postgres', q{SELECT cano.unobserve('dies')});
is_story($node, submit($node, q{'deadly'}), 'without it all is well', 'completed a 0,1 0');

$node->stop;
done_testing();
