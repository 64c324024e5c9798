#!/usr/bin/perl
# coverage.pl
#	  How many lines of src/ were executed, of a build that counts them:
#	  coverage.pl LEAST
#
# Fails with less than LEAST percent.  Run from the top of the tree; lines that
# were not executed are marked ##### in build/coverage/*.gcov.
#
# A process that is killed, or that falls when the server crashes, counts
# nothing of what it did.

use strict;
use warnings FATAL => 'all';

my ($least) = @ARGV;
my ($file, $all, $executed) = ('', 0, 0);

die "nothing was counted\n" unless glob 'src/*.gcda';
open my $gcov, '-|', 'gcov', '-r', sort glob 'src/*.o' or die "cannot run gcov: $!";
while (<$gcov>)
{
	$file = $1 if /^File '(.*)'/;

	# Of headers each source has its own count.
	next unless $file =~ /\.c$/ && /^Lines executed:([\d.]+)% of (\d+)/;
	my $lines = int($1 * $2 / 100 + 0.5);

	printf "%-24s %6.2f %%  %4d of %4d\n", $file, $1, $lines, $2;
	$all += $2;
	$executed += $lines;
	$file = '';
}
close $gcov or die 'gcov failed';
system('mkdir -p build/coverage && mv *.gcov build/coverage') == 0 or die 'cannot move the results';

my $percent = 100 * $executed / $all;
printf "%-24s %6.2f %%  %4d of %4d\n", 'all', $percent, $executed, $all;
exit($percent < $least);
