# Flat.pm
#	  Is cano flat, fair and lean?  Each check is a figure and the most that it
#	  may be.
package Flat;

use strict;
use warnings FATAL => 'all';
use DBD::Pg qw(:async);
use Engines qw(%WORKLOADS admin by_hand cano client load_file set set_workers submit_many wait_for_runs
  wait_until worker_pids);
use List::Util qw(max min sum);
use Report qw(median percentile);
use Sessions qw(connection cpu value);
use Time::HiRes qw(sleep time);

# How much more a step may cost.
my $FLAT = 1.3;

# So many of each at full size.
my $STEPS = 1_000_000;
my $QUEUE = 1_000_000;
my $STEPS_BESIDE_SNAPSHOT = 300_000;
my $TIMERS = 10_000;
my $FLOOD = 100_000;
my $STEPS_OF_MANY_KINDS = 10_000_000;

# Those of a measurement, the least of which there are any.
my $RUNS = 5_000;

my $SAMPLES = 20;
my $IDLE_SECONDS = 30;

my ($scale, $missed);

sub scaled
{
	my ($n) = @_;

	return max(1, int($n * $scale));
}

sub check
{
	my ($name, $figure, $most, $unit) = @_;
	my $reached = $figure <= $most;

	$missed++ unless $reached;
	printf "    %-62s %9.2f   at most %-6g %-4s %s\n", $name, $figure, $most, $unit // '', $reached ? 'reached' : 'MISSED';
	return;
}

# ---- What a step costs

# Microseconds of a step, as seen from outside and of the workers' CPU.
sub step_cost
{
	my ($steps, $seconds, $cpu) = @_;

	return { wall => 1e6 * $seconds / $steps, CPU => 1e6 * $cpu / $steps };
}

sub median_cost
{
	my @costs = @_;

	return { map { my $kind = $_; $kind => median(map { $_->{$kind} } @costs) } qw(wall CPU) };
}

# Costs of so many steps, by default of W2, measured every now and then.
sub series
{
	my ($steps, $workload) = @_;
	my $runs = max(500, scaled($RUNS));
	my @costs;

	$workload //= 'W2';

	for (my $done = 0; $done < $steps || @costs < 6; $done += 3 * $runs)
	{
		my $took = cano($workload, $runs);

		push @costs, step_cost(@$took{qw(steps seconds cpu)});
	}
	return @costs;
}

# The usual cost, now.
sub cost_now
{
	return median_cost(series(1));
}

sub compare
{
	my ($name, $before, $after) = @_;

	check(sprintf('%s, %s: %.1f us after %.1f', $name, $_, $after->{$_}, $before->{$_}), $after->{$_} / $before->{$_}, $FLAT)
	  foreach sort keys %$before;
	return;
}

sub first_and_last
{
	my ($name, $first, @costs) = @_;
	my $share = max(3, int(@costs / 20));

	$first //= median_cost(@costs[ 0 .. $share - 1 ]);
	compare($name, $first, median_cost(@costs[ -$share .. -1 ]));
	return $first;
}

# Submit so many runs while nobody works, and return the first one's id.
sub fill_queue
{
	my ($workload, $runs) = @_;
	my $first;

	set('cano.enabled', 'off');
	wait_until('SELECT NOT EXISTS (SELECT FROM cano.workers)');
	for (my $done = 0; $done < $runs; $done += 50_000)
	{
		my ($from) = submit_many($workload, min($runs - $done, 50_000));

		$first //= $from;
	}
	return $first;
}

# Work off a queue of so many runs of W1; what a step costs in the first and
# in the last "share" of them, without the very first of the new worker.
sub work_off
{
	my ($runs, $share) = @_;
	my $skip = int($share / 10);
	my $first = fill_queue('W1', $runs);
	my @marks;

	set('cano.enabled', 'on');
	foreach my $done ($skip, $share, $runs - $share + $skip, $runs)
	{
		wait_until('SELECT ended_at IS NOT NULL FROM cano._run WHERE id = ?', $first + $done - 1);
		push @marks, [ time, cpu(worker_pids()) ];
	}
	return map { step_cost($share - $skip, $marks[ $_ + 1 ][0] - $marks[$_][0], $marks[ $_ + 1 ][1] - $marks[$_][1]) } 0, 2;
}

sub add_timers
{
	my ($n) = @_;

	client()->do(q{SELECT count(*) FROM cano.submit_many('later', array_fill('{}'::jsonb, ARRAY[?::integer]))}, undef, $n);
	client()->do(q{SELECT count(*) FROM cano.submit_many('W1', array_fill('{}'::jsonb, ARRAY[?::integer]),
		run_at => clock_timestamp() + interval '1 hour')}, undef, $n);
	wait_until('SELECT NOT EXISTS (SELECT FROM cano._job)');
	return;
}

# Transactions of this database so far, this session's own included.  They are
# counted with what was read from tables, and not before there is some of that.
sub transactions
{
	admin()->do('SELECT pg_stat_force_next_flush() FROM pg_database');
	return value(admin(), 'SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()');
}

sub idle
{
	my $seconds = max(3, scaled($IDLE_SECONDS));

	set('autovacuum', 'off');
	wait_until('SELECT NOT EXISTS (SELECT FROM cano.workers)');
	my @pids = @{ admin()->selectcol_arrayref(q{SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'cano%'}) };
	transactions();
	my $before = transactions();
	my $own = transactions() - $before;
	my $cpu = cpu(@pids);

	sleep $seconds;
	$cpu = cpu(@pids) - $cpu;
	check("idle for $seconds s: transactions", transactions() - $before - 2 * $own, 0);
	check("idle for $seconds s: CPU of the launcher", 100 * $cpu / $seconds, 0.1, '%');
	set('autovacuum', 'on');
	return;
}

sub flat
{
	print "\nFlat: what a step costs, one worker, compared with before\n\n";
	set_workers(1);
	my $steps = scaled($STEPS);
	my $first = first_and_last("after $steps steps", undef, series($steps));

	my $queue = scaled($QUEUE);
	my $share = int(scaled($QUEUE) / 50);
	my ($short) = work_off($share, $share);
	my ($front, $back) = work_off($queue, $share);

	compare("W1, $queue jobs waiting", $short, $front);
	compare("W1, after $queue jobs had waited", $short, $back);
	compare(sprintf('%d finished runs', value(admin(), 'SELECT count(*) FROM cano._run')), $first, cost_now());

	local $WORKLOADS{ticks} = { steps => 3, runs => $RUNS };
	my $beside = scaled($STEPS_BESIDE_SNAPSHOT);
	my $before = cost_now();
	my $holder = connection();

	$holder->do('BEGIN ISOLATION LEVEL REPEATABLE READ');
	$holder->do('SELECT 1');
	first_and_last("$beside steps beside an open snapshot", $before, series($beside));
	first_and_last("$beside timers of a millisecond beside it", undef, series($beside, 'ticks'));
	$holder->disconnect;

	$before = cost_now();
	add_timers(scaled($TIMERS / 2));
	compare(sprintf('%d timers due later', value(admin(), 'SELECT count(*) FROM cano._timer')), $before, cost_now());
	idle();
	return;
}

# ---- Who waits for whom

# Milliseconds from a "submit" of a single run to when its submitter knows
# that it has ended.
sub latency
{
	my ($session, $options) = @_;
	my $start = time;
	my $run = value($session, "SELECT cano.submit('W1', '{}'$options)");

	$session->do('SELECT cano.wait(?)', undef, $run);
	return 1e3 * (time - $start);
}

sub latencies
{
	my ($session, $options) = @_;

	latency($session, $options) foreach 1 .. 3;
	return map { sleep rand 0.02; latency($session, $options // '') } 1 .. $SAMPLES;
}

# Single runs beside a flood, which must outlast them.
sub beside_flood
{
	my ($name, $most, $session, $options) = @_;
	my @idle = latencies($session, $options);
	my ($first, $last) = submit_many('W1', scaled($FLOOD));
	my @latencies = latencies($session, $options);
	my $outlasted = value(admin(), 'SELECT ended_at IS NULL FROM cano._run WHERE id = ?', $last);

	check(sprintf('%s: longest; %.1f without, median %.1f', $name, max(@idle), median(@latencies)), max(@latencies), $most, 'ms');
	print "      the flood was too short\n" unless $outlasted;
	wait_for_runs($first, $last);
	return;
}

# Another role has the only worker of the server.
sub without_worker
{
	my ($rival) = @_;
	my @latencies;

	set('cano.max_workers', 1);
	set_workers(2);
	foreach my $sample (1 .. 5)
	{
		my ($first, $last) = submit_many('W1', scaled($FLOOD));
		wait_until(q{SELECT count(*) = 1 FROM cano.workers WHERE role = 'bench' AND pid IS NOT NULL});
		push @latencies, latency($rival, '');
		wait_for_runs($first, $last);
	}
	set('cano.max_workers', 8);
	check(sprintf('a run beside a flood of a role that has the only worker: longest; median %.1f', median(@latencies)), max(@latencies), 1500, 'ms');
	return;
}

# Groups of urgent runs in a flood, each followed by more of the flood.
sub priorities
{
	my @flood = submit_many('W1', scaled($FLOOD));
	my (@latencies, $overtaken);

	foreach my $sample (1 .. $SAMPLES)
	{
		my ($first, $last) = client()->selectrow_array(
			q{SELECT min(id), max(id) FROM cano.submit_many('W1', array_fill('{}'::jsonb, ARRAY[50]), priority => 1) id});
		my ($next) = submit_many('W1', scaled(1_000));

		wait_for_runs($first, $last);
		push @latencies, @{ admin()->selectcol_arrayref(
			'SELECT extract(epoch FROM started_at - submitted_at) * 1e3 FROM cano._run WHERE id BETWEEN ? AND ?', undef, $first, $last) };
		push @flood, [ $next, $last ];
	}
	wait_until('SELECT NOT EXISTS (SELECT FROM cano._job)');
	$overtaken = sum(map { value(admin(), q{SELECT count(*) FROM cano._run
		WHERE id >= ? AND priority > 1 AND started_at < (SELECT max(started_at) FROM cano._run WHERE id = ?)}, @$_) } @flood[ 2 .. $#flood ]);
	check('later runs of the flood that began before urgent ones', $overtaken, 0);
	check(sprintf('urgent runs in a flood begin: p99; median %.1f', median(@latencies)), percentile(0.99, @latencies), 100, 'ms');
	return;
}

# A run of no better priority waits for those before it, and for no others.
sub behind_flood
{
	my ($before) = submit_many('W1', scaled($FLOOD));
	my ($run) = submit_many('W2', 1);
	my ($after, $last) = submit_many('W1', scaled($FLOOD));

	wait_for_runs($before, $last);
	my ($waited, $overtaken) = admin()->selectrow_array(
		q{SELECT extract(epoch FROM s.started_at - s.submitted_at), (SELECT count(*) FROM cano._run r WHERE r.id >= ? AND r.started_at < s.started_at)
		  FROM cano._run s WHERE s.id = ?}, undef, $after, $run);
	check(sprintf('later runs that began before one in a flood, which waited %.1f s', $waited), $overtaken, 256);
	return;
}

# Short runs around as many long ones as leave one worker free, all submitted
# at once: when 99 of 100 short ones have ended for all to see.
sub beside_long
{
	my ($workers, $workflow, $short) = @_;
	my @took;

	set_workers($workers);
	foreach my $burst (1 .. $SAMPLES)
	{
		my ($first, $last) = client()->selectrow_array(<<'SQL', undef, $short, $workflow, $short, $workers - 1);
			SELECT min(r), max(r) FROM (
				SELECT cano.submit($1, '{"ms": 0}') FROM generate_series(1, 100)
				UNION ALL SELECT cano.submit($2, '{"ms": 1000}') FROM generate_series(1, $4::integer)
				UNION ALL SELECT cano.submit($3, '{"ms": 0}') FROM generate_series(1, 100)) _ (r)
SQL
		my $start = time;

		wait_until(q{SELECT count(*) <= 2 FROM cano._run WHERE id BETWEEN ? AND ? AND input = '{"ms": 0}' AND ended_at IS NULL},
			$first, $last);
		push @took, 1e3 * (time - $start);
		wait_for_runs($first, $last);
	}
	check(sprintf('%s, %d workers: p80; median %.0f, longest %.0f', $short eq $workflow ? 'of the same function' : 'of another function',
			$workers, median(@took), max(@took)), percentile(0.8, @took), 900, 'ms');
	return;
}

# The longest that a foreign session waited for a row while that was running.
sub foreign_wait
{
	my ($work) = @_;
	my $foreign = connection('bench');

	client()->do('TRUNCATE bench.waited');
	$foreign->do('CALL bench.use_shared()', { pg_async => PG_ASYNC });
	wait_until('SELECT EXISTS (SELECT FROM bench.waited)');
	my $began = value(admin(), 'SELECT clock_timestamp()');
	$work->();
	my @waited = @{ admin()->selectcol_arrayref('SELECT ms FROM bench.waited WHERE at > ?', undef, $began) };
	$foreign->pg_cancel;
	$foreign->disconnect;
	return @waited;
}

sub foreign_rows
{
	set_workers(2);
	my @by_hand = foreign_wait(sub { by_hand('by hand, 1 step per commit', 'W8', 2, scaled(20_000)) });
	my @cano = foreign_wait(sub { wait_for_runs(submit_many('W8', scaled(50_000))) });

	check(sprintf('a foreign session waits for a row of W8: p%s; %.2f by hand', 100 * $_, percentile($_, @by_hand)),
		percentile($_, @cano), 10 + percentile($_, @by_hand), 'ms') foreach 0.99, 0.999, 1;
	return;
}

sub fair
{
	my $rival = connection('rival');

	print "\nFair: two workers a role, milliseconds\n\n";
	set_workers(2);
	beside_flood('a run beside a flood of another role', 100, $rival, '');
	beside_flood('a run with a priority beside a flood of its role', 100, client(), ', priority => 1');
	priorities();
	behind_flood();
	without_worker($rival);

	print "    99 of 100 short runs among long ones of a second, one worker more than those\n";
	foreach my $workers (2, 4)
	{
		beside_long($workers, 'long', 'sometimes');
		beside_long($workers, 'sometimes', 'sometimes');
	}
	foreign_rows();
	return;
}

# ---- What a worker keeps

# Private memory of the worker, in bytes.
sub memory
{
	my ($pid) = worker_pids();

	open my $file, '<', "/proc/$pid/status" or die "no worker: $!\n";
	my ($kilobytes) = join('', <$file>) =~ /^RssAnon:\s+(\d+)/m;
	return 1024 * $kilobytes;
}

# Bytes used in the worker's memory contexts that live as long as it does.
sub contexts
{
	my ($pid) = worker_pids();
	my $from = -s $ENV{PGLOG};
	my ($log, %used);

	admin()->do('SELECT pg_log_backend_memory_contexts(?)', undef, $pid);
	do
	{
		sleep 0.005;
		open my $file, '<', $ENV{PGLOG} or die "cannot read the log: $!\n";
		seek $file, $from, 0;
		local $/;
		$log = <$file>;
	} until $log =~ /Grand total/;
	foreach my $name (qw(TopMemoryContext CacheMemoryContext))
	{
		($used{$name}) = $log =~ /; $name: .* (\d+) used/;
	}
	$used{'definitions'} = () = $log =~ /; cano definition: /g;
	return %used;
}

# So many steps of many kinds.
sub many_kinds
{
	my ($steps) = @_;
	my $done = 0;

	while ($done < $steps)
	{
		foreach my $workload (qw(W2 W3 W5 W6 W7))
		{
			my $runs = max(1, $WORKLOADS{$workload}{runs} / 2);

			wait_for_runs(submit_many($workload, $runs));
			$done += $runs * $WORKLOADS{$workload}{steps};
		}
	}
	return $done;
}

sub lean
{
	print "\nLean: one worker, W2, W3, W5, W6 and W7\n\n";
	set_workers(1);
	many_kinds(scaled($STEPS_OF_MANY_KINDS / 20));
	my ($pid) = worker_pids();
	my $memory = memory();
	my %before = contexts();
	my $soon = many_kinds(scaled(100_000));
	my %after = contexts();

	check("$_ grows in $soon steps", $after{$_} - $before{$_}, 0, $_ eq 'definitions' ? '' : 'byte') foreach sort keys %before;
	my $done = many_kinds(scaled($STEPS_OF_MANY_KINDS));
	check(sprintf('memory grows in %d steps; %.1f MB before', $done, $memory / 1e6), (memory() - $memory) / 1e6, 2, 'MB');
	print "      the worker was another one in the end\n" if $pid != (worker_pids())[0];
	return;
}

sub run
{
	($scale, my @parts) = @_;
	my %parts = (flat => \&flat, fair => \&fair, lean => \&lean);

	load_file('flat');
	$missed = 0;
	foreach my $part (@parts)
	{
		my $start = time;

		$parts{$part}->();
		printf "    (%d s)\n", time - $start;
	}
	print "\n", $missed ? "$missed MISSED\n" : "all reached\n";
	return;
}

1;
