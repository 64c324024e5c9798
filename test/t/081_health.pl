# cano.health: findings about the server, and hints that can be followed.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $server = new_server('health', "autovacuum = on\n");
my $found = 'SELECT finding FROM cano.health()';

sub hint
{
	my ($finding) = @_;

	return $server->safe_psql('postgres', "SELECT hint FROM cano.health() WHERE finding = '$finding'");
}

sub is_found
{
	my ($finding, $name) = @_;

	return ok($server->poll_query_until('postgres', "SELECT coalesce((SELECT string_agg(finding, ' ') FROM cano.health()), '') = '$finding'"), $name)
	  || diag($server->safe_psql('postgres', 'SELECT * FROM cano.health()'));
}

# Do as it says.
sub follow
{
	my ($finding) = @_;
	my $hint = hint($finding);

	return is($server->psql('postgres', $hint), 0, "the hint can be executed: $hint");
}

sub set
{
	my ($setting) = @_;

	$server->safe_psql('postgres', "ALTER SYSTEM SET $setting");
	$server->reload;
	return;
}

use_database($server, 'postgres');
is_found('', 'all is well');

set('cano.enabled = off');
is_found('disabled', 'cano is off');
follow('disabled');
is_found('', 'and on again');

set('autovacuum = off');
is_found('autovacuum_off', 'autovacuum is off');
follow('autovacuum_off');
is_found('', 'and on again');

# A task that is long, in a worker; what others have is not told.
set('cano.long_task = 2000');
close_gate($server);
my $run = submit($server, "'gated'");
wait_at_gate($server);
set('cano.debug_clock = 10000');
is_found('long_task', 'a task takes long');
$server->safe_psql('postgres', "CREATE ROLE stranger LOGIN; SELECT cano.grant_usage('stranger')");
is($server->safe_psql('postgres', $found, extra_params => [ '-U', 'stranger' ]), '', 'another role is not told');
is($server->safe_psql('postgres', $found, extra_params => [ '-U', 'worker' ]), 'long_task', 'its own is');
follow('long_task');
is_found('', 'it was cancelled');
open_gate($server);
ok(wait_ended($server, $run), 'and has ended');

# A transaction that is old.
my $session = $server->background_psql('postgres', on_error_stop => 0);
$session->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM cano.runs');
is_found('', 'a session may have a transaction');
set('cano.debug_clock = 660000');
is_found('old_snapshot', 'but not for ten minutes');
follow('old_snapshot');
is_found('', 'it is no more');
$session->{run}->kill_kill;
$server->safe_psql('postgres', q{BEGIN; CREATE TABLE late (); PREPARE TRANSACTION 'some''body''s'});
set('cano.debug_clock = 1320000');
is_found('old_prepared_transaction', 'nor may one be prepared for as long');
follow('old_prepared_transaction');
is_found('', 'it is rolled back');

# Work that nobody does, and a role that cannot log in.
set('cano.enabled = off');
count_workers($server, 0);
submit($server, "'three'");
set('cano.debug_clock = 1400000');
is_found('stuck disabled', 'nobody is at work that is due');
follow('stuck');
is_found('disabled', 'it is done');
submit($server, "'three'");
$server->safe_psql('postgres', 'ALTER ROLE worker NOLOGIN');
is_found('role_barred disabled', 'a role that has work cannot log in');
follow('disabled');
is_found('role_barred', 'a role that has work cannot log in');
follow('role_barred');
$server->safe_psql('postgres', 'SELECT cano._look()');
is_found('', 'now it can, and its work is done');

# A library that was exchanged.
$server->safe_psql('postgres', q{UPDATE pg_extension SET extversion = '0.0' WHERE extname = 'cano'});
is_found('other_version', 'the extension is of another version');
like($server->safe_psql('postgres', 'SELECT detail FROM cano.health()'), qr/is version 0\.0, but its library is version/, 'which says so');
$server->safe_psql('postgres', q{UPDATE pg_extension SET extversion = default_version FROM pg_available_extensions WHERE name = 'cano' AND extname = 'cano'});
is_found('', 'it is mended');

# No launcher: nobody starts another one while the postmaster stands still.
$session = $server->background_psql('postgres');
my $postmaster = $server->{_pid};
kill 'STOP', $postmaster;
$session->query_safe(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'cano launcher'});
my $without = '';
for (1 .. 1000)
{
	$without = $session->query_safe($found);
	last if $without ne '';
}
is($without, 'no_launcher', 'the launcher is gone');
kill 'CONT', $postmaster;
$session->quit;
is_found('', 'another one takes over');

# Too few processes, and no library.
$server->append_conf('postgresql.conf', "cano.max_workers = 30\n");
$server->reload;
is_found('few_processes', 'workers may find no place');
like(hint('few_processes'), qr/^ALTER SYSTEM SET max_worker_processes = 40;/, 'which can be had');
follow('few_processes');
$server->restart;
is_found('', 'then there is');
$server->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$server->restart;
is_found('not_preloaded', 'the library is not preloaded');
follow('not_preloaded');
$server->restart;
is_found('', 'and is again');
$server->stop;
done_testing();
