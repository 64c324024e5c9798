# The wall clock jumps while runs are under way: what is due comes due, nothing
# twice, and a clock that was set back holds nobody up that began after it.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Time::HiRes qw(time);

use CanoServer;
use PostgreSQL::Test::Utils;
use Test::More;

use constant DAY => 86400;

my $node = new_server('clock', "cano.idle_timeout = 1000\n");
use_database($node, 'postgres');
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION flaky(attempt integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF attempt = 1 THEN RAISE 'not yet'; END IF;
	PERFORM public.note();
END $$;
SELECT cano.create_limiter('often', 1000, '1 s', 10);
SELECT cano.define('timed', cano.task('a', 'note', next => 'b', limiter => 'often'), cano.timer('b', delay => '100 ms', next => 'c'),
	cano.task('c', 'flaky', next => 'd', retry => cano.fixed(1, '50 ms'), timeout => '20 s'), cano.split('d', '{note,note}'::text[], next => 'done'), cano.exit('done'));
SELECT cano.define('tomorrow', cano.timer('t', delay => '20 h', next => 'a'), cano.task('a', 'note', next => 'done'), cano.exit('done'));
SQL
my $world = use_strange_world($node);

sub set_clock
{
	my ($ahead) = @_;

	append_to_file("$world/next", $ahead);
	rename "$world/next", "$world/clock" or die 'cannot set the clock';
	return;
}

sub submit_some
{
	my ($arguments) = @_;
	return $node->safe_psql('postgres', "SELECT count(cano.submit($arguments)) FROM generate_series(1, 20)", extra_params => [ '-U', 'worker' ]);
}

sub all_end
{
	my ($name) = @_;
	my $begin = time;

	ok($node->poll_query_until('postgres', q{SELECT NOT EXISTS (SELECT FROM cano.runs WHERE ended_at IS NULL AND workflow <> 'tomorrow')}), "$name: every run ends");
	cmp_ok(time - $begin, '<', 45, "$name: in time");
	is( $node->safe_psql('postgres', <<'SQL'), '0', "$name: every effect is there once");
SELECT count(*) FROM (
	SELECT FROM cano.runs r JOIN ledger l ON l.run = r.run_id WHERE r.workflow = 'timed'
	GROUP BY r.run_id HAVING string_agg(l.state, ' ' ORDER BY l.state) IS DISTINCT FROM 'a c d d') AS wrong
SQL
	return;
}

submit_some(q{'timed'});
all_end('before');
foreach my $ahead (3600, 0, -(DAY), 10 * DAY, 9 * DAY)
{
	set_clock($ahead);
	submit_some(q{'timed'});
	all_end("the clock is $ahead s ahead");
}

# Jumps in the middle: nothing waits for longer than the largest.
set_clock(0);
foreach my $ahead (1, -1, 5, -2, 1, 0, -1, 2, 0)
{
	submit_some(q{'timed'});
	set_clock($ahead);
}
all_end('many jumps');

# What has come due by a jump is noticed, within a minute by itself.
my $tomorrow = submit($node, q{'tomorrow'});
$node->poll_query_until('postgres', "SELECT waiting_for = 'timer' FROM cano.runs WHERE run_id = $tomorrow");
set_clock(DAY);
ok(wait_ended($node, $tomorrow), 'a timer of tomorrow is due when it is tomorrow');
is($node->safe_psql('postgres', "SELECT count(*) FROM ledger WHERE run = $tomorrow"), '1', 'once');
set_clock(0);
is_story($node, submit($node, q{'three'}), 'back today a run is had as ever');

$node->stop;
done_testing();
