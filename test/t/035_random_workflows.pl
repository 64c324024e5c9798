# Random workflows of all kinds against a model that knows nothing of the
# engine: definitions, scripts of what each call shall do, and by the rules of
# the contract what may become of their runs.
#
# A portion with a fixed seed in every test run; CANO_RANDOM_RUNS=10000 goes on
# for some minutes, with workers terminated meanwhile.  CANO_RANDOM_SEED=n
# begins elsewhere.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin, "$FindBin::RealBin/../random";

use CanoServer;
use RandomFlow qw(random_flow random_run);
use RandomRuns qw(install start_runs ended stuck compare describe_case shrink left_over stories half_done);
use Test::More;
use Time::HiRes qw(time);

my $long = defined $ENV{CANO_RANDOM_RUNS};
my $total = $ENV{CANO_RANDOM_RUNS} // 210;
my $seed = $ENV{CANO_RANDOM_SEED} // 1;
my $size = $long ? 200 : 70;
my $shown = 0;			# differences so far; the first are made smaller
my %sum = (workflows => 0, runs => 0, differences => 0, clean => 0, partial => 0);

my $node = new_server('random', "cano.max_crashes = 1000\nmax_connections = 40\n");
use_database($node, 'postgres');
install($node, "$FindBin::RealBin/../random");

# Workers that end in the midst of what they do, twice a second.
sub start_killer
{
	return 0 if !$long;
	my $pid = fork // die "cannot fork: $!";

	return $pid if $pid;
	my $sql = <<'SQL';
DO $$
BEGIN
	LOOP
		PERFORM pg_sleep(random());	-- lasts: workers have time to work
		PERFORM pg_terminate_backend(pid) FROM (
			SELECT pid FROM pg_stat_activity WHERE backend_type = 'cano worker' ORDER BY random() LIMIT 1) AS w;
		COMMIT;
	END LOOP;
END $$
SQL
	exec $node->installed_command('psql'), '-X', '-q', '-d', $node->connstr('postgres'), '-c', $sql;
}

# So many workflows, a run or two of each.
sub imagine
{
	my ($number, $count) = @_;
	my (%flows, @names, @runs);

	srand($seed * 1_000_000 + $number);
	foreach my $at (1 .. $count)
	{
		my $name = "w$seed.$number.$at.";

		$flows{$name} = random_flow($name, \%flows);
		push @names, $name;
		push @runs, random_run(\%flows, $name) foreach 0 .. rand() < 0.3;
	}
	return (\%flows, \@names, \@runs);
}

# All of them at once, against the model.
sub portion
{
	my ($number, $count, $workers) = @_;
	my ($flows, $names, $runs) = imagine($number, $count);
	my $beyond = start_runs($node, $flows, $names, $runs);
	my $all = ended($node, $beyond);

	if (!$all)
	{
		diag("seed $seed, portion $number: not ended\n" . stuck($node, $beyond));
		return 0;
	}
	my $stories = stories($node, $beyond);
	my @found = compare($flows, $runs, $stories);
	my $left = left_over($node);

	diag("seed $seed, portion $number: $left jobs are left\n" . stuck($node, $beyond)) if $left;
	$sum{workflows} += @$names;
	$sum{runs} += @$runs;
	$sum{differences} += @found;
	$sum{ $_->{rollback} }++ foreach values %$stories;
	foreach my $case (splice @found, 0, 5)
	{
		my ($less, @small) = $shown++ < 3 ? shrink($node, $flows, @$case) : ($flows, @$case);

		diag("seed $seed, portion $number, $workers workers:");
		diag(describe_case($less, @small));
	}
	return !$left;
}

# The same while somebody cancels one and another: a run ends in that way,
# with no effect twice, or as it would have without.
sub cancelled_portion
{
	my ($number, $count) = @_;
	my ($flows, $names, $runs) = imagine($number, $count);
	my $beyond = start_runs($node, $flows, $names, $runs, 'cancelling');

	if (!ended($node, $beyond) || left_over($node))
	{
		diag("seed $seed, portion $number, with cancellations:\n" . stuck($node, $beyond));
		return (1, 0);
	}
	my $stories = stories($node, $beyond);
	my @cancelled = grep { ($stories->{ $_->{id} }{reason} // '') eq 'from outside' } @$runs;
	my %is_cancelled = map { $_->{id} => 1 } @cancelled;
	my @found = (
		compare($flows, [ grep { !$is_cancelled{ $_->{id} } } @$runs ], $stories),
		map { [ $_, half_done($flows->{ $_->{flow} }, $stories->{ $_->{id} }) ] } @cancelled);

	@found = grep { @$_ > 1 } @found;
	diag("seed $seed, portion $number, with cancellations:\n" . describe_case($flows, @$_)) foreach @found;
	return (scalar @found, scalar @cancelled);
}

my $portion = 0;

foreach my $workers (1, 2, 8)
{
	my $count = $workers < 8 ? int($total / 3) : $total - $sum{workflows};
	my $started = time;
	my $before = $sum{differences};
	my $fine = 1;

	$node->safe_psql('postgres', "ALTER SYSTEM SET cano.workers_per_role = $workers");
	$node->reload;
	my $killer = start_killer();

	while ($fine && $count > 0)
	{
		my $now = $count < $size ? $count : $size;

		$fine = portion($portion++, $now, $workers);
		$count -= $now;
	}
	if ($killer)
	{
		kill 'TERM', $killer;
		waitpid $killer, 0;
	}
	ok($fine, "$workers workers: every run ends, and leaves nothing in the queue");
	is($sum{differences} - $before, 0, "$workers workers: the rules allow what became of them");
	note(sprintf '%d workers: %d clean, %d partial so far, %.1f s', $workers, @sum{qw(clean partial)}, time - $started) if !$long;
	diag(sprintf 'seed %s, %d workers: %d workflows, %d runs so far, %d differences, %d clean, %d partial, %.0f s', $seed, $workers, @sum{qw(workflows runs differences clean partial)}, time - $started)
	  if $long;
}

cmp_ok($sum{clean}, '>', 0, 'some were rolled back');
cmp_ok($sum{partial}, '>', 0, 'some but for a part');

foreach my $round (1 .. ($long ? 10 : 1))
{
	my ($wrong, $cancelled) = cancelled_portion($portion++, $long ? $size : 40);

	is($wrong, 0, 'those that are cancelled while they run end so, or as they would have');
	cmp_ok($cancelled, '>', 0, 'some are in time');
}

unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/deadlock detected/, 'no transaction of the engine met a deadlock');
$node->stop;
done_testing();
