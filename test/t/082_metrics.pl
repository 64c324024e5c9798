# What cano.metrics() counts is what was committed, whoever is terminated, and
# begins anew with the server.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $server = new_server('metrics');

sub told
{
	my ($name, $label) = @_;

	return $server->safe_psql('postgres', "SELECT value FROM cano.metrics() WHERE name = '$name'"
		  . ($label ? " AND labels ->> 'outcome' = '$label'" : ''));
}

use_database($server, 'postgres');
$server->safe_psql('postgres', q{
	CREATE TABLE late (n int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED);
	GRANT ALL ON late TO PUBLIC;
	CREATE FUNCTION late() RETURNS void LANGUAGE sql AS 'INSERT INTO public.late VALUES (1), (1)';
	SELECT cano.define('late', cano.task('a', 'late', next => 'done', retry => cano.none()), cano.exit('done'))});
for my $round (1 .. 5)
{
	$server->safe_psql('postgres', q{
		SELECT count(*) FROM cano.submit_many('three', array_fill('{}'::jsonb, ARRAY[400]));
		SELECT count(*) FROM cano.submit_many('late', array_fill('{}'::jsonb, ARRAY[3]))}, extra_params => [ '-U', 'worker' ]);
	terminate_worker($server) for 1 .. 3;
}
ok($server->poll_query_until('postgres', 'SELECT count(*) = 2015 FROM cano.runs WHERE ended_at IS NOT NULL'), 'all runs end');
is(told('cano_workflow_runs_total', 'completed'), 2000, 'those that completed are counted once');
is(told('cano_workflow_runs_total', 'failed'), 15, 'so are those that failed');
is(told('cano_task_attempts_total', 'completed'), $server->safe_psql('postgres', 'SELECT count(*) FROM ledger'),
	'and every attempt whose effect is there');
is(told('cano_task_attempts_total', 'failed'), $server->safe_psql('postgres', 'SELECT count(*) FROM cano.attempts'), 'and each that failed');
is(told('cano_checkpoint_appends_total'), $server->safe_psql('postgres', 'SELECT count(*) FROM cano.checkpoints'), 'and every checkpoint');
is(told('cano_workflow_active'), 0, 'none is active');

# A gate in the middle of a batch: nothing is counted before the commit.
close_gate($server);
my $run = submit($server, "'gated'");
wait_at_gate($server);
is(told('cano_workflow_active'), 1, 'one is');
is($server->safe_psql('postgres', q{SELECT sum(value) FROM cano.metrics() WHERE name = 'cano_workers'}) > 0, 1, 'workers are there');
is(told('cano_workflow_runs_total', 'completed'), 2000, 'what is under way does not count');
open_gate($server);
ok(wait_ended($server, $run), 'it ends');
is(told('cano_workflow_runs_total', 'completed'), 2001, 'and counts at once');

# Another database has counters of its own, until it is dropped.
$server->safe_psql('postgres', 'CREATE DATABASE other');
use_database($server, 'other');
ok(wait_ended($server, submit($server, "'three'", database => 'other'), 'other'), 'a run ends in another database');
is($server->safe_psql('other', q{SELECT value FROM cano.metrics() WHERE name = 'cano_workflow_runs_total'}), 1, 'it is counted there');
is(told('cano_workflow_runs_total', 'completed'), 2001, 'and not here');
is($server->psql('postgres', 'DROP DATABASE other'), 0, 'the database can be dropped');

$server->restart;
is(told('cano_workflow_runs_total', 'completed'), '', 'after a restart counters begin anew');
ok(wait_ended($server, submit($server, "'three'")), 'a run ends');
is(told('cano_workflow_runs_total', 'completed'), 1, 'it is the first');

# Without preload every session counts for itself.
$server->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$server->restart;
submit($server, "'three'");
my $count = q{SELECT coalesce(sum(value), 0) FROM cano.metrics() WHERE name = 'cano_workflow_runs_total'};
is($server->safe_psql('postgres', "CALL cano.work();\n$count", extra_params => [ '-U', 'worker' ]), 1, 'a session counts what it does');
is($server->safe_psql('postgres', $count, extra_params => [ '-U', 'worker' ]), 0, 'another one does not know of it');
$server->stop;
done_testing();
