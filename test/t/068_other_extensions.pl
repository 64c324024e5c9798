# Beside other extensions, and however statements are planned, runs are what
# they are: the same kinds of states with everything on that looks over their
# shoulder.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $node = new_server('others', '');
my $parallel = $node->safe_psql('postgres', q{SELECT name FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query')});
my %settings = (
	'others that watch' => [ "shared_preload_libraries = 'auto_explain, cano, pg_stat_statements'", 'auto_explain.log_min_duration = 0',
		'auto_explain.log_analyze = on', 'auto_explain.log_nested_statements = on', "auto_explain.log_level = 'debug1'", 'pg_stat_statements.track = all', 'track_functions = all' ],
	'parallel' => [ "$parallel = regress", 'parallel_setup_cost = 0', 'parallel_tuple_cost = 0', 'min_parallel_table_scan_size = 0' ],
	'generic plans' => [ 'plan_cache_mode = force_generic_plan' ],
	'custom plans, compiled' => [ 'plan_cache_mode = force_custom_plan', 'jit_above_cost = 0' ],
	'poor plans' => [ 'enable_indexscan = off', 'enable_bitmapscan = off', 'enable_indexonlyscan = off', 'enable_hashjoin = off' ],
	'little memory' => [ 'work_mem = 64', 'maintenance_work_mem = 1024', 'temp_buffers = 100', 'max_locks_per_transaction = 10', 'max_pred_locks_per_transaction = 10' ],
	'serializable' => [ "default_transaction_isolation = 'serializable'" ],
	'read only' => [ 'default_transaction_read_only = on' ],
	'impatient' => [ 'statement_timeout = 5000', 'lock_timeout = 10', 'idle_in_transaction_session_timeout = 10' ]);

use_database($node, 'postgres');
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE parts (x integer);
INSERT INTO parts SELECT generate_series(1, 2000);
GRANT SELECT ON parts TO PUBLIC;
CREATE FUNCTION add_up() RETURNS bigint LANGUAGE sql AS 'SELECT sum(x) FROM public.parts';
CREATE FUNCTION items() RETURNS SETOF integer LANGUAGE sql AS 'VALUES (1), (2), (3)';
CREATE FUNCTION twice(item integer) RETURNS integer LANGUAGE sql AS 'SELECT 2 * item';
CREATE FUNCTION walk(cursor integer) RETURNS cano.outcome LANGUAGE sql AS
	'SELECT CASE WHEN cursor >= 3 THEN cano.next(output => ''{"walked": 3}'') ELSE cano.more(to_jsonb(coalesce(cursor, 0) + 1)) END';
CREATE FUNCTION fail() RETURNS void LANGUAGE plpgsql AS 'BEGIN RAISE ''failed''; END';
CREATE FUNCTION undo() RETURNS void LANGUAGE sql AS 'SELECT public.note()';
SELECT cano.define('kinds', cano.task('sum', 'add_up', next => 'batch'), cano.batch('batch', load => 'items', process => 'twice', next => 'split'),
	cano.split('split', '{add_up,add_up}'::text[], next => 'walk'), cano.stepped('walk', 'walk', next => 'timer'), cano.timer('timer', delay => '10 ms', next => 'go'),
	cano.receive('go', 'go', next => 'child'), cano.child('child', 'three', next => 'done'), cano.exit('done'), cano.options(log => 'all', concurrency => 2));
SELECT cano.define('saga', cano.task('a', 'note', compensate => 'undo', next => 'b'), cano.task('b', 'fail', next => 'done', retry => cano.fixed(1, '0')), cano.exit('done'));
SQL

$node->append_conf('postgresql.conf', "include_if_exists = 'others.conf'\n");
foreach my $what (sort keys %settings)
{
	unlink $node->data_dir . '/others.conf';
	$node->append_conf('others.conf', join "\n", @{ $settings{$what} });
	$node->restart;
	# The client may be slow between its statements.
	local $ENV{PGOPTIONS} = '-c idle_in_transaction_session_timeout=0';
	is($node->safe_psql('postgres', "SELECT count(*) FROM pg_file_settings WHERE sourcefile LIKE '%others.conf' AND applied"),
		scalar(@{ $settings{$what} }), "$what: is set");

	my @runs = split /\n/, $node->safe_psql('postgres', <<'SQL', extra_params => [ '-U', 'worker' ]);
SET lock_timeout = 0;
BEGIN READ WRITE;
SELECT cano.submit('kinds') FROM generate_series(1, 3);
COMMIT;
SQL
	my $saga = $node->safe_psql('postgres', q{BEGIN READ WRITE; SELECT cano.submit('saga'); COMMIT}, extra_params => [ '-U', 'worker' ]);
	$node->safe_psql('postgres', "BEGIN READ WRITE; SELECT cano.signal($_, 'go', '1'); COMMIT", extra_params => [ '-U', 'worker' ]) foreach @runs;
	wait_ended($node, $_) foreach @runs, $saga;
	is($node->safe_psql('postgres', 'SELECT DISTINCT status, result FROM cano.runs WHERE run_id IN (' . join(',', @runs) . ')'),
		'completed|{"go": 1, "sum": 2001000, "batch": [{"ok": 2}, {"ok": 4}, {"ok": 6}], "split": [2001000, 2001000], "walked": 3}', "$what: all kinds of states")
	  or diag($node->safe_psql('postgres', 'SELECT run_id, status, state, error FROM cano.runs WHERE run_id IN (' . join(',', @runs) . ')'));
	is($node->safe_psql('postgres', "SELECT status, rollback, (SELECT count(*) FROM ledger WHERE run = $saga) FROM cano.runs WHERE run_id = $saga"),
		'failed|clean|2', "$what: a rollback");
}

$node->stop;
done_testing();
