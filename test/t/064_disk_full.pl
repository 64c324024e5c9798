# The disk is full: tasks that cannot write fail and are tried again, the
# engine's own trouble costs nobody an attempt, and when there is room again
# everything goes on; even if the server went down because the log had none.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('disk_full', "restart_after_crash = off\n");
use_database($node, 'postgres');
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE filled (run bigint, filler text);
ALTER TABLE filled ALTER filler SET STORAGE plain;
GRANT ALL ON filled TO PUBLIC;
CREATE FUNCTION fill(run_id bigint) RETURNS void LANGUAGE sql AS
	'INSERT INTO filled SELECT run_id, repeat(''x'', 4000) FROM generate_series(1, 20)';
CREATE FUNCTION rest() RETURNS void LANGUAGE sql AS '';
SELECT cano.define('fill', cano.task('a', 'fill', next => 'done', retry => cano.fixed(1000, '20 ms')), cano.exit('done')),
	cano.define('once', cano.task('a', 'fill', next => 'done', retry => cano.none()), cano.exit('done')),
	cano.define('rest', cano.task('a', 'rest', next => 'b', retry => cano.none()), cano.task('b', 'rest', next => 'done', retry => cano.none()), cano.exit('done'));
SQL
my $world = use_strange_world($node);
my $ended = 'SELECT NOT EXISTS (SELECT FROM cano.runs WHERE ended_at IS NULL)';

sub full
{
	my ($where) = @_;

	unlink "$world/full";
	append_to_file("$world/full", $where) if $where;
	return;
}

# One task after the other cannot write.
my ($filled) = $node->safe_psql('postgres', q{SELECT pg_relation_filepath('filled')}) =~ m{(/\d+/\d+)$};
full($filled);
my $once = submit($node, q{'once'});
my $fill = submit($node, q{'fill'});
wait_ended($node, $once);
is($node->safe_psql('postgres', "SELECT status, error ->> 'sqlstate' FROM cano.runs WHERE run_id = $once"), 'failed|53100',
	'a task that finds the disk full fails');
$node->poll_query_until('postgres', "SELECT count(*) > 3 FROM cano.attempts WHERE run_id = $fill") or die 'it is not tried again';
full();
ok(wait_ended($node, $fill), 'and is tried again until there is room');
is($node->safe_psql('postgres', "SELECT s.status, (SELECT count(*) FROM filled WHERE run = $fill) FROM cano.status($fill) s"), 'completed|20', 'then it is done, once');

# Nothing at all can grow: the engine's own tables neither.
my @runs = map { submit($node, q{'rest', run_at => clock_timestamp() + '300 ms'}) } 1 .. 50;
$node->safe_psql('postgres', "SELECT count(cano.submit('rest', jsonb_build_object('filler', (SELECT string_agg(md5(i::text || n), '') FROM generate_series(1, 300) i)), run_at => clock_timestamp() + '300 ms')) FROM generate_series(1, 300) n",
	extra_params => [ '-U', 'worker' ]);
my $log = -s $node->logfile;
full('/base/');
$node->wait_for_log(qr/could not extend file/, $log);
my (undef, undef, $stderr) = $node->psql('postgres', "SELECT cano.submit('rest', jsonb_build_object('f', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 5000) i))) FROM generate_series(1, 50)");
like($stderr, qr/could not extend file/, 'whoever submits is told');
full();
ok($node->poll_query_until('postgres', $ended), 'with room again every run ends');
is($node->safe_psql('postgres', "SELECT status, count(*) FROM cano.runs WHERE workflow = 'rest' GROUP BY 1"), 'completed|350',
	'none of those that are allowed one attempt has lost it');

# No room for the log: the server goes down.
$node->safe_psql('postgres', "SELECT count(cano.submit('fill', run_at => clock_timestamp() + '500 ms')) FROM generate_series(1, 200) n", extra_params => [ '-U', 'worker' ]);
$log = -s $node->logfile;
full('/pg_wal/');
$node->psql('postgres', 'SELECT pg_switch_wal(); CREATE TABLE x AS SELECT 1; SELECT pg_switch_wal(); CREATE TABLE y AS SELECT 1; SELECT pg_switch_wal(); CREATE TABLE z AS SELECT 1');
$node->wait_for_log(qr/PANIC.*database system is shut down/s, $log);
$node->_update_pid(-1);
full();
$node->start;
ok($node->poll_query_until('postgres', $ended), 'after a panic of the server every run ends');
is($node->safe_psql('postgres', q{SELECT count(*) FILTER (WHERE n = 20), count(*) FROM (SELECT count(f) AS n FROM cano.runs r LEFT JOIN filled f ON f.run = r.run_id
	WHERE r.workflow = 'fill' GROUP BY r.run_id) AS x}), '201|201', 'every effect is there once');
is($node->safe_psql('postgres', "SELECT count(*) FROM cano.runs WHERE error ->> 'category' = 'poisoned'"), '0', 'and no task is blamed for it');

$node->stop;
done_testing();
