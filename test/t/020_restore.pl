# A restored copy runs nothing of what the original may still be running, until
# somebody adopts it.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use PostgreSQL::Test::Utils;
use Test::More;

my $original = new_server('original');
use_database($original, 'postgres');
$original->safe_psql('postgres', "ALTER SYSTEM SET cano.enabled = off");
$original->reload;
$original->safe_psql('postgres', q{SELECT cano.define('ended', cano.exit('done'), cano.options(on_end => 'note'))});
$original->safe_psql('postgres', q{CREATE TABLE heard (run_id bigint); GRANT ALL ON heard TO PUBLIC;
	CREATE FUNCTION hear(run_id bigint) RETURNS void LANGUAGE sql AS 'INSERT INTO public.heard VALUES (run_id)'});
$original->safe_psql('postgres', q{SELECT cano.observe('ear', 'hear')}, extra_params => [ '-U', 'worker' ]);
my $ended = submit($original, q{'ended'});
$original->safe_psql('postgres', 'CALL cano.work(max_steps => 1)', extra_params => [ '-U', 'worker' ]);
my $queued = submit($original, q{'three', key => 'k'});
my $later = submit($original, q{'three', run_at => clock_timestamp() + '1 second'});
my $dump = "$PostgreSQL::Test::Utils::tmp_check/dump.sql";
$original->command_ok([ 'pg_dump', '-f', $dump, 'postgres' ], 'a dump is made');

# Other roles first, so that numbers differ.
my $copy = new_server('copy', "cano.idle_timeout = '600s'\ncano.workers_per_role = 1\n");
$copy->safe_psql('postgres', 'DROP ROLE worker; CREATE ROLE stranger LOGIN; CREATE ROLE other LOGIN; CREATE ROLE worker LOGIN');
$copy->safe_psql('postgres', 'CREATE DATABASE restored');
$copy->command_ok(
	[ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'restored', '-f', $dump ],
	'and restored');
$copy->safe_psql('restored', "SELECT cano.grant_usage('stranger')");

is( $copy->safe_psql('restored', 'SELECT count(*) FROM cano.runs', extra_params => [ '-U', 'stranger' ]),
	'0', 'whoever has the number of the owner sees nothing');
$copy->restart;
my $own = submit($copy, q{'three'}, database => 'restored', role => 'postgres');
is_story($copy, $own, 'what is submitted there runs', undef, 'restored');
my $workers = submit($copy, q{'three'}, database => 'restored');
is_story($copy, $workers, 'also of the owner of what was restored', undef, 'restored');
is($copy->safe_psql('restored', "SELECT count(*) FROM heard WHERE run_id = $workers"), '0', 'but his observer hears nothing yet');
is( $copy->safe_psql('restored', "SELECT count(*) FROM ledger WHERE run NOT IN ($own, $workers)"),
	'0', 'what was restored does not');
is($copy->safe_psql('restored', 'SELECT cano.adopt()'),
	'2', 'until it is adopted');
is_story($copy, $queued, 'then it goes on', undef, 'restored');
is( $copy->safe_psql('restored',
		"SELECT count(DISTINCT pid), EXISTS (SELECT FROM heard WHERE run_id = $queued) FROM ledger WHERE run IN ($workers, $queued)"),
	'1|t', 'in the worker that was there, and observed');
is_story($copy, $later, 'also what was to come later', undef, 'restored');
ok( $copy->poll_query_until('restored', "SELECT EXISTS (SELECT FROM ledger WHERE run = $ended)"),
	'and what was to be called after the end of another');
is($copy->safe_psql('restored', 'SELECT cano.adopt()'), '0', 'once');
isnt(
	submit($copy, q{'three', key => 'k'}, database => 'restored'),
	$queued, 'and its key is free');

# Beside it, in other databases of its server
$original->safe_psql('template1', 'CREATE DATABASE restored; CREATE DATABASE cloned TEMPLATE postgres');
$original->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'restored', '-f', $dump ], 'the dump is restored beside the original');
$original->safe_psql('postgres', "ALTER SYSTEM SET cano.enabled = on");
$original->reload;
is_story($original, $queued, 'the original runs its own');
foreach my $database (qw(restored cloned))
{
	$own = submit($original, q{'three'}, database => $database);
	is_story($original, $own, "$database: what is submitted there runs", undef, $database);
	is($original->safe_psql($database, "SELECT count(*) FROM ledger WHERE run <> $own"), '0', "$database: what was copied does not");
	is($original->safe_psql($database, q{SELECT count(*) FROM cano.health() WHERE finding = 'not_adopted'}), '1', "$database: which is a finding");
	is($original->safe_psql($database, 'SELECT cano.adopt()'), '2', "$database: until it is adopted");
	is_story($original, $queued, "$database: then it goes on", undef, $database);
}
$later = submit($original, q{'three', run_at => clock_timestamp() + '1 second'}, database => 'restored');
$original->safe_psql('postgres', 'ALTER DATABASE restored RENAME TO renamed');
is_story($original, $later, 'under another name it is the same database', undef, 'renamed');

$original->stop;
$copy->stop;
done_testing();
