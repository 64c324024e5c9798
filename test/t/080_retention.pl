# Ended runs go by themselves when their time is over, in databases where
# something runs and in those where nothing does, and that is in nobody's way.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

use constant DAY => 86_400_000;
use constant MINUTE => 60_000;

my $server = new_server('retention');
my $clock = 0;

# The engine's clock, of all processes.
sub set_clock
{
	($clock) = @_;
	$server->safe_psql('postgres', "ALTER SYSTEM SET cano.debug_clock = $clock");
	$server->reload;
	return;
}

sub become_few
{
	my ($database, $few, $name) = @_;

	for my $look (1 .. 500)
	{
		# So that it is soon time for the next sweep.
		set_clock($clock + 2 * MINUTE) if $look % 20 == 0;
		return pass($name) if $server->safe_psql($database, 'SELECT count(*) FROM cano._run') == $few;
	}
	return fail($name);
}

use_database($server, 'postgres');
$server->safe_psql('postgres', 'CREATE DATABASE quiet');
use_database($server, 'quiet');
for my $database (qw(postgres quiet))
{
	$server->safe_psql($database, q{
		SELECT cano.define('day', cano.task('a', 'note', next => 'done'), cano.exit('done'), cano.options(keep => '1 day'));
		SELECT cano.define('waits', cano.receive('w', signal => 'go', next => 'done'), cano.exit('done'), cano.options(keep => '1 day'))});
	$server->safe_psql($database, q{
		SELECT cano.submit('waits');
		SELECT count(*) FROM cano.submit_many('day', array_fill('{}'::jsonb, ARRAY[3000]))}, extra_params => [ '-U', 'worker' ]);
	submit($server, "'three'", database => $database);
	ok($server->poll_query_until($database, 'SELECT count(*) = 3001 FROM cano.runs WHERE ended_at IS NOT NULL'), "runs end in $database");
}
is($server->safe_psql('postgres', 'SELECT count(*) FROM cano._checkpoint'), '6005', 'they have left their logs');

# A server that was started anew knows nothing of them.
$server->restart;
set_clock(2 * DAY);
become_few($_, 2, "those whose time is over are gone from $_") for qw(postgres quiet);
is($server->safe_psql('postgres', q{SELECT string_agg(workflow || ' ' || status, ', ' ORDER BY run_id) FROM cano.runs}),
	'waits waiting, three completed', 'the others stay');
is($server->safe_psql('postgres', 'SELECT count(*) FROM cano._checkpoint'), '5', 'with their logs');

# While runs come and end, too; a session that holds a snapshot hinders nobody.
my $reader = $server->background_psql('postgres');
$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM cano.runs');
for my $round (1 .. 3)
{
	$server->safe_psql('postgres', q{SELECT count(*) FROM cano.submit_many('day', array_fill('{}'::jsonb, ARRAY[1000]))});
	ok($server->poll_query_until('postgres', q{SELECT count(*) = 1000 FROM cano.runs WHERE workflow = 'day' AND status = 'completed'}),
		"runs of round $round end");
	set_clock((2 + 2 * $round) * DAY);
	become_few('postgres', 2, 'and go');
}
$reader->quit;

# None without background workers.
$server->safe_psql('postgres', q{SELECT count(*) FROM cano.submit_many('day', array_fill('{}'::jsonb, ARRAY[10]))});
ok($server->poll_query_until('postgres', q{SELECT count(*) = 10 FROM cano.runs WHERE workflow = 'day' AND status = 'completed'}), 'runs end');
$server->safe_psql('postgres', 'ALTER SYSTEM SET cano.enabled = off');
set_clock(12 * DAY);
count_workers($server, 0);
is($server->safe_psql('postgres', 'SELECT count(*) FROM cano._run'), '12', 'when cano is off they stay');
$server->safe_psql('postgres', 'CALL cano.work()');
is($server->safe_psql('postgres', 'SELECT count(*) FROM cano._run'), '2', 'until a session works');
$server->safe_psql('postgres', 'ALTER SYSTEM RESET cano.enabled');

# Nobody who needs a database for himself waits for it to be swept.
$server->safe_psql('quiet', q{SELECT count(*) FROM cano.submit_many('day', array_fill('{}'::jsonb, ARRAY[20000]))});
$server->reload;
ok($server->poll_query_until('quiet', q{SELECT count(*) = 20000 FROM cano.runs WHERE workflow = 'day' AND status = 'completed'}), 'many runs end');
set_clock(14 * DAY);
ok($server->poll_query_until('quiet', 'SELECT count(*) < 20000 FROM cano._run'), 'some are gone');
is($server->psql('postgres', 'DROP DATABASE quiet'), 0, 'their database can be dropped meanwhile');
unlike(PostgreSQL::Test::Utils::slurp_file($server->logfile), qr/(ERROR|PANIC):/, 'nothing went wrong');
$server->stop;
done_testing();
