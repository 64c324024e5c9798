# Quick steps share a commit, so that a workflow costs little more than its
# tasks.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

# However slow the machine is, these tasks are quick.
my $node = new_server('shared_commit',
	"cano.workers_per_role = 1\ncano.batch_time = '1s'\n");
use_database($node, 'postgres');

sub commits
{
	my ($condition) = @_;
	return $node->safe_psql('postgres',
		"SELECT count(DISTINCT xid) FROM ledger WHERE $condition");
}

$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION note_a() RETURNS void LANGUAGE plpgsql AS 'BEGIN PERFORM note(); END';
CREATE FUNCTION note_b() RETURNS void LANGUAGE plpgsql AS 'BEGIN PERFORM note(); END';
CREATE FUNCTION note_c() RETURNS void LANGUAGE plpgsql AS 'BEGIN PERFORM note(); END';
SELECT cano.define('strangers', cano.task('a', 'note_a', next => 'b'), cano.task('b', 'note_b', next => 'c'),
	cano.task('c', 'note_c', next => 'done'), cano.exit('done'));
SQL
my $run = submit($node, q{'strangers'});
is_story($node, $run, 'a first run');
is(commits("run = $run"), '3',
	'a task that the worker does not know is committed alone');

$run = submit($node, q{'three'});
is_story($node, $run, 'a run of others');

$run = submit($node, q{'three'});
is_story($node, $run, 'a second run');
is(commits("run = $run"), '1', 'the steps of a run share one commit');
is( $node->safe_psql('postgres',
		"SELECT count(DISTINCT c.xmin::text) FROM cano._checkpoint c WHERE c.run = $run AND c.sequence > 0"
	) . $node->safe_psql('postgres',
		"SELECT bool_and(c.xmin = l.xid::text::xid) FROM cano._checkpoint c, ledger l WHERE c.run = $run AND c.sequence > 0 AND l.run = $run"
	),
	'1t',
	'their checkpoints are in the same');

my $before = $node->safe_psql('postgres', 'SELECT max(run) FROM ledger');
$node->safe_psql('postgres',
	q{SELECT count(*) FROM cano.submit_many('three', array_fill('{}'::jsonb, ARRAY[500]))},
	extra_params => [ '-U', 'worker' ]);
ok( $node->poll_query_until('postgres',
		"SELECT count(*) = 500 FROM cano.runs WHERE run_id > $before AND status = 'completed'"
	),
	'many runs');
is( $node->safe_psql('postgres',
		"SELECT count(*), count(DISTINCT (run, state)) FROM ledger WHERE run > $before"
	),
	'1500|1500',
	'each task of each had its effect once');
cmp_ok(commits("run > $before"), '<=', 100, 'in few commits');

# One of the middle fails: only that one.
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION note_or_fail(n integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM note();
	IF n % 10 = 0 THEN
		RAISE 'ten' USING ERRCODE = 'CN900';
	END IF;
END $$;
SELECT cano.define('mixed', cano.task('a', 'note', next => 'b'), cano.task('b', 'note_or_fail', next => 'done'),
	cano.exit('done'));
SQL
$before = $node->safe_psql('postgres', 'SELECT max(run) FROM ledger');
$node->safe_psql('postgres', <<'SQL', extra_params => [ '-U', 'worker' ]);
SELECT count(*) FROM cano.submit_many('mixed', ARRAY(SELECT jsonb_build_object('n', n) FROM generate_series(1, 100) n));
SQL
$node->poll_query_until('postgres',
	"SELECT count(*) = 100 FROM cano.runs WHERE run_id > $before AND status IN ('completed', 'failed')"
);
is( $node->safe_psql('postgres', <<SQL),
SELECT status, (input ->> 'n')::integer % 10 = 0, count(*),
	sum((SELECT count(*) FROM ledger WHERE run = run_id AND state = 'a')),
	sum((SELECT count(*) FROM ledger WHERE run = run_id AND state = 'b'))
FROM cano.runs
WHERE run_id > $before
GROUP BY 1, 2
ORDER BY 1
SQL
	"completed|f|90|90|90\nfailed|t|10|10|0",
	'a task that fails takes nothing of its neighbours along');

# What is undone at once was never there for others.
$node->safe_psql('postgres', <<'SQL');
SELECT cano.define('undone', cano.task('a', 'note', next => 'b', compensate => 'note_a'),
	cano.task('b', 'note', next => 'c', compensate => 'note_a'), cano.task('c', 'note_or_fail', next => 'done'), cano.exit('done'));
SQL
foreach my $time ('first', 'second')
{
	$run = submit($node, q{'undone', '{"n": 10}'});
	is_story($node, $run, "a $time rollback",
		'failed a,a,b,b 0,1,2,3,4 1');
}
is(commits("run = $run"), '1', 'a rollback may share the commit of what it undoes');

$node->stop;
done_testing();
