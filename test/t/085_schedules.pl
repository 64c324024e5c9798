# Schedules with a real pg_cron: what fires submits a run as its owner, as the
# overlap allows; who may change what; what becomes of jobs that are removed by
# hand and in a copy; and that pg_cron can call cano.work().
#
# The clock is set to seven minutes past each hour in turn, when everything
# here is due: nothing else lets it fire before a real hour is over.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use PostgreSQL::Test::Utils;
use Test::More;

has_extension('pg_cron') or plan skip_all => 'pg_cron is not here';

use constant HOUR => 3600;
use constant EVERY_HOUR => '7 * * * *';

# A server with pg_cron, which connects as any client does; its world.
sub new_cron
{
	my ($name, $libraries) = @_;
	my $node = new_server($name);

	$node->append_conf('postgresql.conf', "shared_preload_libraries = '$libraries'\ncron.database_name = 'postgres'\ncron.host = '" . $node->host . "'\ncano.workers_per_role = 8\n");
	my $world = use_strange_world($node);
	use_database($node, 'postgres');
	$node->safe_psql('postgres', 'CREATE EXTENSION pg_cron');
	return ($node, $world);
}

# The next hour; wait until all schedules have fired.
sub fire
{
	my ($node, $world) = @_;
	my ($fired, $ahead) = split /\|/, $node->safe_psql('postgres', sprintf <<'SQL', time);
SELECT now(), extract(epoch FROM date_trunc('hour', now()) + interval '67 minutes 2 seconds')::bigint - %s
SQL
	append_to_file("$world/next", $ahead);
	rename "$world/next", "$world/clock" or die 'cannot set the clock';
	ok($node->poll_query_until('postgres', "SELECT coalesce(bool_and(coalesce(last_fired_at, '-infinity') > '$fired'), false) FROM cano.schedules WHERE active"), 'it fires')
	  or diag($node->safe_psql('postgres', 'SELECT * FROM cron.job_run_details ORDER BY runid DESC LIMIT 5'));
	return;
}

sub as_worker
{
	my ($node, $sql) = @_;
	return $node->safe_psql('postgres', $sql, extra_params => [ '-U', 'worker' ]);
}

# What fails, as that role.
sub fails
{
	my ($node, $role, $sql, $expected, $name) = @_;
	my (undef, undef, $stderr) = $node->psql('postgres', $sql, extra_params => [ '-U', $role ]);
	like($stderr, $expected, $name);
	return;
}

my ($node, $world) = new_cron('cron', 'cano, pg_cron');
$node->safe_psql('postgres', q{CREATE ROLE other LOGIN; SELECT cano.grant_usage('other')});

# Rights
my $hourly = "SELECT cano.schedule('it''s \"hourly\" \$\$; --', '" . EVERY_HOUR . "', 'three', '{\"a\": \"b''c\"}')";
fails($node, 'worker', $hourly, qr/permission denied for schema cron\n.*GRANT USAGE ON SCHEMA cron TO worker/, 'a role needs the right to use pg_cron');
$node->safe_psql('postgres', 'GRANT USAGE ON SCHEMA cron TO worker, other');
fails($node, 'worker', q{SELECT cano.schedule('wrong', 'at seven', 'three')}, qr/invalid schedule: at seven/, 'pg_cron says which time tables are wrong');
is(as_worker($node, 'SELECT count(*) FROM cano.schedules'), '0', 'nothing is left of what was refused');
is(as_worker($node, q{SELECT cano.unschedule('nothing')}), 'f', 'there is nothing to remove');
if ($node->safe_psql('postgres', q{SELECT split_part(extversion, '-', 1)::numeric >= 1.5 FROM pg_extension WHERE extname = 'pg_cron'}) eq 't')
{
	as_worker($node, q{SELECT cano.schedule('soon', '1 second', 'three')});
	ok($node->poll_query_until('postgres', 'SELECT last_run_id IS NOT NULL FROM cano.schedules'), 'a newer pg_cron knows seconds');
	as_worker($node, q{SELECT cano.unschedule('soon')});
}
else
{
	fails($node, 'worker', q{SELECT cano.schedule('soon', '1 second', 'three')}, qr/invalid schedule: 1 second/, 'an older pg_cron knows no seconds');
}

# One schedule
as_worker($node, $hourly);
is( as_worker($node, 'SELECT name, cron, workflow, input, overlap, active, last_run_id, last_fired_at FROM cano.schedules'),
	q{it's "hourly" $$; --|7 * * * *|three|{"a": "b'c"}|skip|t||}, 'a schedule is there');
my $id = $node->safe_psql('postgres', 'SELECT id FROM cano._schedule');
is( as_worker($node, 'SELECT jobname, schedule, command, database, username FROM cron.job'),
	"cano: $id|7 * * * *|SELECT cano._fire($id)|postgres|worker", 'pg_cron has a job with nothing of what was said in it');
fire($node, $world);
my $run = as_worker($node, 'SELECT last_run_id FROM cano.schedules');
is_story($node, $run, 'a run is submitted and completes');
is($node->safe_psql('postgres', "SELECT role, input FROM cano.runs WHERE run_id = $run"), 'worker|{"a": "b\'c"}', 'it is the owner\'s, with the input');
is($node->safe_psql('postgres', 'SELECT active FROM cano.schedules'), 't', 'an administrator sees the job, too');
is($node->safe_psql('postgres', 'SELECT count(*) FROM cano.schedules', extra_params => [ '-U', 'other' ]), '0', 'others see nothing');

# Whose it is
my $changed = $hourly =~ s/7 \*/8 */r;
fails($node, $_, $changed, qr/must be owner of schedule/, "it is not $_\'s to change") foreach qw(other postgres);
fails($node, 'other', "SELECT cano._fire($id)", qr/schedule $id does not exist/, 'nor to let it fire');
as_worker($node, $changed);
is(as_worker($node, 'SELECT s.cron, j.schedule, count(*) OVER () FROM cano.schedules AS s, cron.job AS j'), '8 * * * *|8 * * * *|1', 'the owner may change it');
as_worker($node, $hourly);

# Jobs that were changed or removed by hand
$node->safe_psql('postgres', q{SELECT cron.alter_job(jobid, active => false) FROM cron.job});
is(as_worker($node, 'SELECT active FROM cano.schedules'), 'f', 'a job that is switched off is not active');
my $idle = q{SELECT detail FROM cano.health() WHERE finding = 'schedule_idle'};
like($node->safe_psql('postgres', $idle), qr/Schedule "it's "hourly" .* of role worker does not fire: pg_cron has no active job for it/, 'which is a finding');
$node->safe_psql('postgres', q{SELECT cron.alter_job(jobid, active => true) FROM cron.job});
is(as_worker($node, 'SELECT active FROM cano.schedules'), 't', 'one that is switched on again is');
as_worker($node, 'SELECT cron.unschedule(jobid) FROM cron.job');
is(as_worker($node, 'SELECT active FROM cano.schedules'), 'f', 'nor is one that is gone');
is(as_worker($node, "SELECT count(*) FROM ($idle) h"), '1', 'which is found as well');
as_worker($node, $hourly);
is(as_worker($node, 'SELECT active, last_run_id FROM cano.schedules'), "t|$run", 'scheduling again brings it back');
as_worker($node, 'SELECT cron.unschedule(jobid) FROM cron.job');
$node->safe_psql('postgres', $node->safe_psql('postgres', q{SELECT hint FROM cano.health() WHERE finding = 'schedule_idle'}));
is(as_worker($node, 'SELECT name, cron, workflow, input, overlap, active FROM cano.schedules'),
	q{it's "hourly" $$; --|7 * * * *|three|{"a": "b'c"}|skip|t}, 'so does what the hint says');
is($node->safe_psql('postgres', $idle), '', 'and all is well');
$id = $node->safe_psql('postgres', 'SELECT id FROM cano._schedule');

# Overlap
close_gate($node);
as_worker($node, sprintf q{SELECT cano.schedule('%1$s', '%2$s', 'gated', '{"of": "%1$s"}', overlap => '%1$s')}, $_, EVERY_HOUR) foreach qw(skip queue allow);
fire($node, $world) foreach 1 .. 3;
is( $node->safe_psql('postgres', q{SELECT input ->> 'of', count(*) FROM cano.runs WHERE workflow = 'gated' GROUP BY 1 ORDER BY 1}),
	"allow|3\nqueue|2\nskip|1", 'three firings, while no run has ended, submit as many as the overlap allows');
ok( $node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM cano.runs WHERE input = '{"of": "queue"}' AND waiting_for = 'schedule'}),
	'the one that is queued waits for its turn');
open_gate($node);
ok($node->poll_query_until('postgres', 'SELECT NOT EXISTS (SELECT FROM cano.runs WHERE ended_at IS NULL)'), 'all of them end');
is( $node->safe_psql('postgres', q{SELECT count(*), bool_and(started_at >= before) FROM
		(SELECT started_at, lag(ended_at) OVER (ORDER BY run_id) AS before FROM cano.runs WHERE input = '{"of": "queue"}') AS r}),
	'2|t', 'the queued one after the other');
fire($node, $world);
is( $node->safe_psql('postgres', q{SELECT input ->> 'of', count(*) FROM cano.runs WHERE workflow = 'gated' GROUP BY 1 ORDER BY 1}),
	"allow|4\nqueue|3\nskip|2", 'then each goes on');

# A worker of pg_cron's own instead of a connection
$node->safe_psql('postgres', 'ALTER SYSTEM SET cron.use_background_workers = on');
{
	local $ENV{LD_PRELOAD} = "$world/preload.so";
	$node->restart;
}
fire($node, $world);
$run = as_worker($node, q{SELECT last_run_id FROM cano.schedules WHERE name LIKE '%hourly%'});
is_story($node, $run, 'a background worker of pg_cron lets schedules fire, too');

# A copy has the jobs, and does not fire; while the original goes on.
my $dump = "$PostgreSQL::Test::Utils::tmp_check/schedules.sql";
$node->command_ok([ 'pg_dump', '-f', $dump, 'postgres' ], 'a dump is made');
my $copy = new_server('copy');
$copy->append_conf('postgresql.conf', "shared_preload_libraries = 'cano, pg_cron'\ncron.use_background_workers = on\n");
$copy->restart;
$copy->safe_psql('postgres', 'CREATE ROLE stranger; CREATE ROLE other LOGIN');
$copy->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'postgres', '-f', $dump ], 'and restored');
is(as_worker($copy, 'SELECT count(*), bool_or(active), (SELECT count(*) FROM cron.job) FROM cano.schedules'), '4|f|4', 'the schedules of a copy are not active');
fails($copy, 'worker', "SELECT cano._fire($id)", qr/schedule "it's "hourly" \$\$; --" belongs to another database/, 'its jobs do nothing');
$copy->safe_psql('postgres', 'SELECT cano.adopt()');
is(as_worker($copy, 'SELECT bool_and(active) FROM cano.schedules'), 't', 'until it is adopted');
is_story($copy, as_worker($copy, "SELECT cano._fire($id)"), 'then they do');
$copy->stop;

# Removed
is(as_worker($node, 'SELECT count(*) FROM cano.schedules WHERE cano.unschedule(name)'), '4', 'the owner may remove his');
is(as_worker($node, 'SELECT (SELECT count(*) FROM cano.schedules) + (SELECT count(*) FROM cron.job)'), '0', 'then the jobs are gone, too');
$node->safe_psql('postgres', 'SELECT cano.schedule(\'others\', \'' . EVERY_HOUR . '\', \'three\')', extra_params => [ '-U', 'other' ]);
$node->safe_psql('postgres', q{REVOKE USAGE ON SCHEMA cron FROM other; SELECT cano.revoke_usage('other'); DROP ROLE other});
is($node->safe_psql('postgres', 'SELECT name, active, (SELECT count(*) FROM cron.job) FROM cano.schedules'), 'others|f|1', 'one whose owner is gone is not active');
is($node->safe_psql('postgres', q{SELECT cano.unschedule('others')}) . $node->safe_psql('postgres', 'SELECT count(*) FROM cron.job'), 't0',
	'a superuser may remove anybody\'s');
is($node->safe_psql('postgres', 'SELECT count(*) FROM cano._turn'), '0', 'nothing is left');
$node->stop;

# Where cano is not preloaded pg_cron can be the worker.
my ($plain, $its_world) = new_cron('plain', 'pg_cron');
$plain->safe_psql('postgres', 'GRANT USAGE ON SCHEMA cron TO worker');
foreach my $background (qw(off on))
{
	$plain->safe_psql('postgres', "ALTER SYSTEM SET cron.use_background_workers = $background");
	{
		local $ENV{CANO_TEST_WORLD} = $its_world;
		local $ENV{LD_PRELOAD} = "$its_world/preload.so";
		$plain->restart;
	}
	as_worker($plain, sprintf q{SELECT cron.schedule('work', '%1$s', 'CALL cano.work()'), cano.schedule('hourly', '%1$s', 'three')}, EVERY_HOUR);
	$run = submit($plain, q{'three'});
	fire($plain, $its_world);
	is_story($plain, $run, "pg_cron calls cano.work(), background workers $background");
	$run = as_worker($plain, 'SELECT last_run_id FROM cano.schedules');
	fire($plain, $its_world);
	is_story($plain, $run, "and with it runs what it has let begin, background workers $background");
	is($plain->safe_psql('postgres', 'SELECT count(*) FROM cano.workers'), '0', 'there are no workers');
}

# It has the job, but does not look at it.
is(as_worker($plain, 'SELECT active FROM cano.schedules'), 't', 'a schedule fires where pg_cron runs');
foreach my $setting (q{cron.database_name = 'template1'}, q{cron.database_name = 'postgres'}, q{shared_preload_libraries = 'cano'})
{
	$plain->append_conf('postgresql.conf', "$setting\n");
	$plain->restart;
	is(as_worker($plain, q{SELECT active, h.detail LIKE '%pg_cron is not installed, or does not run,%' FROM cano.schedules LEFT JOIN cano.health() h ON h.finding = 'schedule_idle'}),
		$setting =~ /postgres/ ? 't|' : 'f|t', "and not otherwise: $setting");
}
$plain->stop;
done_testing();
