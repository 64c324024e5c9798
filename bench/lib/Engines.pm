# Engines.pm
#	  What is measured: each engine runs one workload once and says what it
#	  took.  A measurement is a hash: steps, seconds, cpu (seconds), wal (bytes).
package Engines;

use strict;
use warnings FATAL => 'all';
use Exporter 'import';
use Sessions qw(connection value together cpu wal);
use Time::HiRes qw(time sleep);

our @EXPORT_OK = qw(%WORKLOADS %BY_HAND admin by_hand cano client footprint load_definitions load_file next_round pickup
  set set_synchronous_commit set_workers submission submit_many wait_for_runs wait_until worker_pids);

# Runs of one measurement, the steps that each counts for, and its input.
our %WORKLOADS = (
	W1 => { runs => 12_000, steps => 1, title => 'one no-op' },
	W2 => { runs => 6_000, steps => 3, title => 'three no-ops in a row' },
	W3 => { runs => 1_500, steps => 11, title => 'a split of ten, joined, then one' },
	W5 => { runs => 2_500, steps => 7, title => 'a saga of four, rolled back', ends => 'failed' },
	W6 => { runs => 20, steps => 1_000, input => '{"steps": 1000}', title => 'stepped, 1,000 steps' },
	W7 => { runs => 2, steps => 10_000, input => '{"items": 10000}', title => 'a batch of 10,000 items' },
	W8 => { runs => 10_000, steps => 1, title => 'random rows of 1,000 updated' });

# What one would write without cano.  Sets of steps that update rows in no
# order deadlock, so on W8 only those that may not have that problem compete.
our %BY_HAND = (
	'by hand, 1 step per commit' =>
	  { call => 'work(?, 1)', runs => 2_000, sessions => [ 1, 2, 4, 8, 16 ], workloads => [qw(W1 W2 W8)] },
	'by hand, 100 steps per commit' =>
	  { call => 'work(?, 100)', runs => 6_000, sessions => [ 1, 2, 4 ], workloads => [qw(W1 W2)] },
	'by hand, sets of 100' =>
	  { call => 'work_in_sets(?, 100)', runs => 10_000, sessions => [ 1, 2, 4 ], workloads => [qw(W1 W2)] },
	'batch procedure, 100 rows' =>
	  { call => 'work_on_tasks(?, 100)', fill => 'fill_tasks', runs => 4_000, sessions => [ 1, 2, 4 ], workloads => [qw(W1 W2)] });

my ($admin, $client);
my @sessions;

sub admin
{
	return $admin //= connection();
}

sub client
{
	return $client //= connection('bench');
}

# As many sessions of the role as asked for, kept for the next time.
sub sessions
{
	my ($n) = @_;

	push @sessions, connection('bench') while @sessions < $n;
	return @sessions[ 0 .. $n - 1 ];
}

# Wait until a query of the superuser says true.
sub wait_until
{
	my ($query, @parameters) = @_;
	my $deadline = time + 300;

	until (value(admin(), $query, @parameters))
	{
		die "waited in vain for: $query\n" if time > $deadline;
		sleep 0.005;
	}
	return;
}

sub set
{
	my ($name, $value) = @_;

	admin()->do("ALTER SYSTEM SET $name = $value");
	admin()->do('SELECT pg_reload_conf()');
	wait_until('SELECT current_setting(?) = ?', $name, $value);
	return;
}

sub load_file
{
	my ($file) = @_;

	system('psql', '-X', '-q', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-f', "bench/sql/$file.sql") == 0
	  or die "cannot load $file.sql\n";
	return;
}

# Workflows and rivals.
sub load_definitions
{
	load_file($_) foreach qw(workloads by_hand);
	return;
}

# Between rounds, and only there.
sub next_round
{
	admin()->do('CHECKPOINT');
	return;
}

sub set_synchronous_commit
{
	my ($value) = @_;

	set('synchronous_commit', $value);
	return;
}

# So many workers from now on; none that is there already stays.
sub set_workers
{
	my ($n) = @_;

	my @old = worker_pids();

	set('cano.workers_per_role', $n);
	admin()->do('SELECT pg_terminate_backend(pid) FROM unnest(?::int[]) pid', undef, \@old);
	wait_until('SELECT NOT EXISTS (SELECT FROM cano.workers WHERE pid = ANY (?))', \@old);
	return;
}

sub worker_pids
{
	return @{ admin()->selectcol_arrayref('SELECT pid FROM cano.workers WHERE pid IS NOT NULL') };
}

# Submit so many runs in one transaction; returns the first id and the last.
sub submit_many
{
	my ($workload, $runs) = @_;

	return client()->selectrow_array(
		q{SELECT min(id), max(id) FROM cano.submit_many($1, array_fill($2::jsonb, ARRAY[$3::integer])) id},
		undef, $workload, $WORKLOADS{$workload}{input} // '{"a": 1}', $runs);
}

# From the table: to plan a query of the view takes a millisecond.
sub wait_for_runs
{
	my ($first, $last) = @_;

	wait_until('SELECT ended_at IS NOT NULL FROM cano._run WHERE id = ?', $last);
	wait_until('SELECT NOT EXISTS (SELECT FROM cano._run WHERE id BETWEEN ? AND ? AND ended_at IS NULL)', $first, $last);
	return;
}

# One measurement of cano: from the commit of all runs to the end of the last.
# Workers are there and have seen the workflow.
sub cano
{
	my ($workload, $runs) = @_;
	my $known = $WORKLOADS{$workload};
	my $ends = $known->{ends} // 'completed';

	wait_for_runs(submit_many('W2', 500));
	wait_for_runs(submit_many($workload, $known->{runs} < 100 ? 1 : 200));
	$runs //= $known->{runs};

	my @pids = worker_pids();
	my $cpu = cpu(@pids);
	my $touched = value(admin(), 'SELECT sum(times) FROM bench.shared');

	client()->begin_work;
	my ($first, $last) = submit_many($workload, $runs);
	my $wal = wal(admin());
	my $start = time;
	client()->commit;
	wait_for_runs($first, $last);
	my %took = (
		steps => $runs * $known->{steps},
		seconds => time - $start,
		cpu => cpu(@pids) - $cpu,
		wal => wal(admin()) - $wal);

	my $wrong = value(admin(), 'SELECT count(*) FROM cano.runs WHERE run_id BETWEEN ? AND ? AND status <> ?', $first, $last, $ends);
	die "$wrong runs of $workload did not end as $ends\n" if $wrong;
	if ($workload eq 'W8')
	{
		my $failed = value(admin(), 'SELECT count(*) FROM cano.attempts WHERE run_id BETWEEN ? AND ?', $first, $last);
		my $lost = $touched + $runs - value(admin(), 'SELECT sum(times) FROM bench.shared');

		die "$workload: $failed attempts failed, $lost updates lost\n" if $failed || $lost;
	}
	return \%took;
}

# One measurement of what is written by hand.
sub by_hand
{
	my ($name, $workload, $sessions, $runs) = @_;
	my $engine = $BY_HAND{$name};
	my $steps = $WORKLOADS{$workload}{steps};
	my $fill = $engine->{fill} // 'fill';
	my $call = client()->quote($workload);

	$call = "CALL by_hand.$engine->{call}" =~ s/\?/$call/r;
	$runs //= int($engine->{runs} / ($steps == 1 ? 1 : 2));
	admin()->do("CALL by_hand.$fill(200, $steps)");
	together($call, sessions($sessions));
	admin()->do("CALL by_hand.$fill($runs, $steps)");
	admin()->do('VACUUM ANALYZE ' . ($fill eq 'fill' ? 'by_hand.run, by_hand.job' : 'by_hand.task'));

	my $wal = wal(admin());
	my ($seconds, $cpu) = together($call, sessions($sessions));
	my $done = value(admin(), $fill eq 'fill' ? 'SELECT count(*) FROM by_hand.checkpoint' : 'SELECT count(*) FROM by_hand.task_log');

	die "$name did $done steps of $workload\n" if $done != $runs * $steps;
	return { steps => $runs * $steps, seconds => $seconds, cpu => $cpu, wal => wal(admin()) - $wal };
}

# W4, so many samples, each a list in microseconds: what one INSERT takes with
# its commit, the same for a "submit", and from the beginning and from the end
# of that commit to the first line of the task.
sub pickup
{
	my ($samples) = @_;
	my %took;

	client()->do('TRUNCATE bench.started');
	wait_for_runs(submit_many('W1', 10));
	foreach my $sample (1 .. $samples)
	{
		sleep rand 0.01;
		my ($run, $insert, $submit, $committing, $committed) =
		  client()->selectrow_array('CALL bench.sample(?, NULL, NULL, NULL, NULL, NULL)', undef, $sample);

		client()->do('SELECT cano.wait(?)', undef, $run);
		my ($from_beginning, $from_end) = client()->selectrow_array(
			q{SELECT extract(epoch FROM at - ?::timestamptz) * 1e6, extract(epoch FROM at - ?::timestamptz) * 1e6
			  FROM bench.started WHERE sample = ?}, undef, $committing, $committed, $sample);

		push @{ $took{insert} }, $insert;
		push @{ $took{submit} }, $submit;
		push @{ $took{'from commit begun'} }, $from_beginning;
		push @{ $took{'from commit done'} }, $from_end;
	}
	return \%took;
}

# Microseconds a row without commit: an INSERT, a "submit", one of a
# "submit_many" of a thousand.
sub submission
{
	my ($insert, $submit, $many) = client()->selectrow_array('CALL bench.submission(NULL, NULL, NULL)');

	wait_until('SELECT NOT EXISTS (SELECT FROM cano.runs WHERE ended_at IS NULL)');
	return { insert => $insert, submit => $submit, many => $many };
}

# Bytes that 10,000 finished runs of W2 leave, by cano and by hand.
sub footprint
{
	my $size = q{SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relnamespace = ?::regnamespace};
	my $before;

	admin()->do('VACUUM');
	$before = value(admin(), $size, 'cano');
	wait_for_runs(submit_many('W2', 10_000));
	by_hand('by hand, 100 steps per commit', 'W2', 1, 10_000);
	admin()->do('VACUUM');
	return { cano => value(admin(), $size, 'cano') - $before,
		by_hand => value(admin(), q{SELECT sum(pg_total_relation_size(t)) FROM unnest('{by_hand.run, by_hand.job, by_hand.checkpoint}'::regclass[]) t}) };
}

1;
