# bench.pl
#	  Measure, interleaved, and report.  Started by bench/run.

use strict;
use warnings FATAL => 'all';

use Engines qw(%WORKLOADS %BY_HAND cano by_hand pickup submission footprint
  load_definitions set_synchronous_commit set_workers next_round);
use Getopt::Long;
use Report qw(report);
use Time::HiRes qw(time);

my $usage = <<'END';
Usage: bench/run [OPTION ...]

  --rounds N          how often everything is measured (5)
  --workloads W1,W2   these only
  --workers 1,2,4     of cano
  --sync on,off       synchronous_commit
  --peers             graphile-worker, pg-boss and DBOS, too
  --flat              instead: is it flat, fair and lean?  (20 minutes)
  --parts flat,fair   these only
  --scale 0.05        a share of the steps
  --csv FILE          all measurements
  --svg FILE          a plot
END

my %option = (rounds => 5, scale => 1, parts => 'flat,fair,lean', workers => '1,2,4', sync => 'on,off',
	workloads => join(',', sort keys %WORKLOADS, 'W4'));
GetOptions(\%option, 'rounds=i', 'workloads=s', 'workers=s', 'sync=s', 'peers', 'flat', 'parts=s', 'scale=f', 'csv=s', 'svg=s', 'help')
  or die $usage;
if ($option{help})
{
	print $usage;
	exit 0;
}
$| = 1;

my @workers = split /,/, $option{workers};
my %wanted = map { $_ => 1 } split /,/, $option{workloads};
my @workloads = grep { $wanted{$_} } sort keys %WORKLOADS;
my (@results, %samples, %submissions);

# What is measured with so many workers: cano, and a share of the rest, so that
# all of it is spread over the round.
sub cells
{
	my ($nth) = @_;
	my @cells = map { { engine => 'cano', workload => $_, sessions => $workers[$nth] } } @workloads;
	my $i = 0;

	foreach my $engine (sort keys %BY_HAND)
	{
		foreach my $workload (grep { $wanted{$_} } @{ $BY_HAND{$engine}{workloads} })
		{
			push @cells,
			  map { { engine => $engine, workload => $workload, sessions => $_ } }
			  grep { $i++ % @workers == $nth } @{ $BY_HAND{$engine}{sessions} };
		}
	}
	return sort { $a->{workload} cmp $b->{workload} } @cells;
}

sub measure
{
	my ($round, $sync, $nth) = @_;

	set_workers($workers[$nth]);
	foreach my $cell (cells($nth))
	{
		my $took = $cell->{engine} eq 'cano' ? cano($cell->{workload})
		  : by_hand(@$cell{qw(engine workload sessions)});

		push @results, { %$cell, %$took, round => $round, sync => $sync };
	}
	return if $nth > 0;

	# One worker: latency, and what a submission costs.
	if ($wanted{W4})
	{
		my $took = pickup(40);

		push @{ $samples{$sync}{$_} }, @{ $took->{$_} } foreach keys %$took;
	}
	my $took = submission();

	push @{ $submissions{$_} }, $took->{$_} foreach keys %$took;
	return;
}

sub measure_peers
{
	my ($round) = @_;

	foreach my $cell (Peers::cells())
	{
		my ($peer, $workload) = @$cell;

		next unless $wanted{ substr $workload, 0, 2 };
		push @results,
		  { %{ Peers::measure($peer, $workload) },
			engine => $workload eq 'W2b' ? "$peer, next steps in sets" : $peer,
			workload => substr($workload, 0, 2),
			sessions => 1, round => $round, sync => 'on' };
	}
	return;
}

load_definitions();
if ($option{flat})
{
	require Flat;
	Flat::run($option{scale}, split /,/, $option{parts});
	exit 0;
}
if ($option{peers})
{
	require Peers;
	Peers::prepare();
}

my $start = time;
foreach my $round (1 .. $option{rounds})
{
	foreach my $sync (split /,/, $option{sync})
	{
		set_synchronous_commit($sync);
		measure($round, $sync, $_) foreach 0 .. $#workers;
		measure_peers($round) if $option{peers} && $sync eq 'on';
	}
	next_round();
	printf "round %d of %d: %d s\n", $round, $option{rounds}, time - $start;
}
report(\@results, \%samples, \%submissions, footprint(), \%option);
