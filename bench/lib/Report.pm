# Report.pm
#	  From measurements to a table, ratios, CSV and a plot.
package Report;

use strict;
use warnings FATAL => 'all';
use Engines qw(%WORKLOADS);
use Exporter 'import';
use List::Util qw(max min);

our @EXPORT_OK = qw(report median percentile);

my $SINGLE = 'by hand, 1 step per commit';
my $HUNDRED = 'by hand, 100 steps per commit';

# Where bench/run looks for files.
my $OUT = ($ENV{TMPDIR} // q{/tmp}) . q{/result};

sub percentile
{
	my ($share, @values) = @_;
	my @sorted = sort { $a <=> $b } @values;

	return $sorted[ min($#sorted, int($share * @sorted)) ];
}

sub median
{
	my @sorted = sort { $a <=> $b } @_;

	return ($sorted[ $#sorted / 2 ] + $sorted[ @sorted / 2 ]) / 2;
}

# Medians over the rounds, one hash for each thing measured.
sub medians
{
	my %groups;

	push @{ $groups{ join "\t", @$_{qw(sync workload engine sessions)} } }, $_ foreach @_;
	return map {
		my @group = @{ $groups{$_} };
		my @rates = map { $_->{steps} / $_->{seconds} } @group;

		+{ %{ $group[0] },
			rate => median(@rates),
			low => min(@rates),
			high => max(@rates),
			defined $group[0]{cpu} ? (
				cpu_us => median(map { 1e6 * $_->{cpu} / $_->{steps} } @group),
				wal_bytes => median(map { $_->{wal} / $_->{steps} } @group)) : () }
	} sort keys %groups;
}

# The fastest of an engine on a workload.
sub best
{
	my ($medians, $sync, $workload, $engine) = @_;
	my @of = grep { $_->{sync} eq $sync && $_->{workload} eq $workload && $_->{engine} eq $engine } @$medians;

	return (sort { $b->{rate} <=> $a->{rate} } @of)[0];
}

sub rate
{
	my $best = best(@_);

	return $best && $best->{rate};
}

sub table
{
	my ($medians, $sync) = @_;

	printf "\nsynchronous_commit = %s, steps per second, median (lowest, highest)\n\n", $sync;
	printf "%-3s %-35s %8s %9s %20s %9s %9s\n", '', 'engine', 'sessions', 'steps/s', '', 'CPU us', 'WAL bytes';
	foreach my $workload (sort keys %WORKLOADS)
	{
		my @rows = grep { $_->{sync} eq $sync && $_->{workload} eq $workload } @$medians or next;

		print "$workload  $WORKLOADS{$workload}{title}\n";
		foreach my $row (sort { ($b->{engine} eq 'cano') <=> ($a->{engine} eq 'cano') || $a->{engine} cmp $b->{engine} || $a->{sessions} <=> $b->{sessions} } @rows)
		{
			printf "    %-35s %8d %9.0f %20s %9s %9s%s\n", @$row{qw(engine sessions rate)},
			  sprintf('(%.0f, %.0f)', @$row{qw(low high)}),
			  defined $row->{cpu_us} ? (sprintf('%.1f', $row->{cpu_us}), sprintf('%.0f', $row->{wal_bytes})) : ('', ''),
			  $row->{rate} == rate($medians, @$row{qw(sync workload engine)}) ? ' *' : '';
		}
	}
	print "    * the engine's best number of sessions (of cano: workers)\n";
	return;
}

sub latencies
{
	my ($samples) = @_;

	foreach my $sync (reverse sort keys %$samples)
	{
		my $of = $samples->{$sync};

		printf "\nW4  an idle server, synchronous_commit = %s, %d samples, microseconds\n", $sync, scalar @{ $of->{insert} };
		printf "    %-44s p50 %6.0f   p99 %6.0f\n", @$_ foreach map { [ $_->[0], percentile(0.5, @{ $of->{ $_->[1] } }), percentile(0.99, @{ $of->{ $_->[1] } }) ] } (
			[ 'INSERT of a row, and its commit', 'insert' ],
			[ 'submit, and its commit', 'submit' ],
			[ 'end of that commit to the first line', 'from commit done' ],
			[ 'beginning of that commit to the first line', 'from commit begun' ]);
	}
	return;
}

# What is to be reached: "name, figure, limit"; at least the limit, or at most
# where the limit is negative.
sub targets
{
	my ($medians, $samples, $submissions) = @_;
	my $of = sub { rate($medians, 'on', @_) };
	my $ratio = sub { defined $_[0] && $_[1] ? $_[0] / $_[1] : undef };
	my $w2 = $of->('W2', 'cano');
	my $w4 = $samples->{on} // {};
	my $insert = @{ $w4->{insert} // [] } ? percentile(0.5, @{ $w4->{insert} }) : undef;
	my $pickup = sub { $insert && $ratio->(percentile($_[0], @{ $w4->{'from commit done'} }), $insert) };
	my %cost = map { $_ => median(@{ $submissions->{$_} }) } keys %$submissions;
	my @targets = (
		[ 'W2 : by hand, 100 steps per commit', $ratio->($w2, $of->('W2', $HUNDRED)), 1.5 ],
		[ 'W2 : by hand, 1 step per commit', $ratio->($w2, $of->('W2', $SINGLE)), 8 ],
		[ 'W1 : by hand, 100 steps per commit', $ratio->($of->('W1', 'cano'), $of->('W1', $HUNDRED)), 1 ],
		[ 'W3 : W2', $ratio->($of->('W3', 'cano'), $w2), 0.5 ],
		[ 'W4 p50 : INSERT with its commit', $pickup->(0.5), -1.5 ],
		[ 'W4 p99 : INSERT with its commit', $pickup->(0.99), -10 ],
		[ 'W5 : W2', $ratio->($of->('W5', 'cano'), $w2), 0.6 ],
		[ 'W6 : W2', $ratio->($of->('W6', 'cano'), $w2), 0.8 ],
		[ 'W7 : W2', $ratio->($of->('W7', 'cano'), $w2), 0.5 ],
		[ 'W8 : by hand, 1 step per commit', $ratio->($of->('W8', 'cano'), $of->('W8', $SINGLE)), 1 ],
		[ 'submit : INSERT, each with its commit', $insert && percentile(0.5, @{ $w4->{submit} }) / $insert, -2 ],
		[ 'submit_many(1000), each : submit', $insert && $cost{many} / percentile(0.5, @{ $w4->{submit} }), -0.2 ],
		[ 'W2 : DBOS', $ratio->($w2, $of->('W2', 'DBOS')), 80 ],
		[ 'W2 : pg-boss flows', $ratio->($w2, $of->('W2', 'pg-boss')), 3 ],
		map { [ "W1 : $_", $ratio->($of->('W1', 'cano'), $of->('W1', $_)), 1 ] } qw(DBOS graphile-worker pg-boss));

	print "\nRatios, synchronous_commit = on, each at its best number of sessions\n\n";
	foreach my $target (grep { defined $_->[1] } @targets)
	{
		my ($name, $figure, $limit) = @$target;

		printf "    %-40s %7.2f   at %s %-5g %s\n", $name, $figure, $limit > 0 ? 'least' : 'most ', abs $limit,
		  ($limit > 0 ? $figure >= $limit : $figure <= -$limit) ? 'reached' : 'MISSED';
	}
	return;
}

sub costs
{
	my ($submissions, $footprint) = @_;

	printf "\nMicroseconds a row without commit: INSERT with two indexes %.1f, submit %.1f, submit_many(1000) %.1f\n",
	  map { median(@{ $submissions->{$_} }) } qw(insert submit many);
	printf "Bytes left by 10,000 runs of W2: cano %.1f MB, by hand %.1f MB\n", map { $footprint->{$_} / 1e6 } qw(cano by_hand);
	return;
}

sub write_csv
{
	my ($results) = @_;
	my @columns = qw(round sync workload engine sessions steps seconds cpu wal);

	open my $file, '>', "$OUT.csv" or die "cannot write $OUT.csv: $!\n";
	print $file join(',', @columns), "\n";
	print $file join(',', map { defined ? /,/ ? qq("$_") : $_ : '' } @$_{@columns}), "\n" foreach @$results;
	close $file or die "cannot write $OUT.csv: $!\n";
	return;
}

# A bar for each engine's best, a group for each workload.
sub write_svg
{
	my ($medians) = @_;
	my @best;

	foreach my $workload (sort keys %WORKLOADS)
	{
		my %engines = map { $_->{engine} => 1 } grep { $_->{workload} eq $workload && $_->{sync} eq 'on' } @$medians;

		push @best, map { best($medians, 'on', $workload, $_) } sort { ($b eq 'cano') <=> ($a eq 'cano') || $a cmp $b } keys %engines;
	}
	my $most = max(1, map { $_->{rate} } @best);
	my ($y, $last, $bars) = (50, '', '');

	foreach my $row (@best)
	{
		if ($row->{workload} ne $last)
		{
			$y += 12;
			$bars .= qq(<text x="10" y="@{[$y + 12]}" font-weight="bold">$row->{workload}  $WORKLOADS{$row->{workload}}{title}</text>\n);
			$y += 20;
			$last = $row->{workload};
		}
		my $width = sprintf '%.1f', 420 * $row->{rate} / $most;
		my $colour = $row->{engine} eq 'cano' ? '#33691e' : '#90a4ae';

		$bars .= qq(<text x="210" y="@{[$y + 12]}" text-anchor="end">$row->{engine}</text>\n)
		  . qq(<rect x="218" y="$y" width="$width" height="15" fill="$colour"/>\n)
		  . sprintf(qq(<text x="%.1f" y="%d">%.0f</text>\n), 224 + $width, $y + 12, $row->{rate});
		$y += 19;
	}
	open my $file, '>', "$OUT.svg" or die "cannot write $OUT.svg: $!\n";
	print $file qq(<svg xmlns="http://www.w3.org/2000/svg" width="720" height="@{[$y + 20]}" font-family="sans-serif" font-size="12">\n)
	  . qq(<rect width="100%" height="100%" fill="white"/>\n)
	  . qq(<text x="10" y="28" font-size="16">Steps per second, synchronous_commit = on, best number of sessions</text>\n$bars</svg>\n);
	close $file or die "cannot write $OUT.svg: $!\n";
	return;
}

sub report
{
	my ($results, $samples, $submissions, $footprint, $option) = @_;
	my @medians = medians(@$results);

	table(\@medians, $_) foreach split /,/, $option->{sync};
	latencies($samples);
	costs($submissions, $footprint);
	targets(\@medians, $samples, $submissions);
	write_csv($results) if $option->{csv};
	write_svg(\@medians) if $option->{svg};
	return;
}

1;
