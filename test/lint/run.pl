#!/usr/bin/perl
# run.pl
#	  House rules that a machine can check.  Run from the top of the tree; TAP.
#
# A line of a test that must sleep (a task that lasts) says "lasts:" and why,
# on the same line.

use strict;
use warnings FATAL => 'all';
use JSON::PP;
use Test::More;

sub slurp
{
	my ($file) = @_;

	open my $handle, '<', $file or die "cannot read $file: $!";
	local $/;
	return <$handle> // '';
}

# One test: no offender.
sub none
{
	my ($what, @offenders) = @_;

	ok(!@offenders, $what) or diag(join "\n", @offenders);
	return;
}

# "file:line: text" of the lines for which the check is true.
sub lines
{
	my ($check, @files) = @_;
	my @found;

	foreach my $file (@files)
	{
		my $number = 0;

		foreach my $line (split /\n/, slurp($file))
		{
			$number++;
			push @found, "$file:$number: $line" if $check->($line);
		}
	}
	return @found;
}

# Names without directory and extension.
sub names
{
	return sort map { s{.*/}{}r =~ s{\.\w+$}{}r } @_;
}

my @c = sort glob 'src/*.c';
my @h = sort glob 'src/*.h';
my @sql = sort glob 'sql/[0-9]*.sql';
my @tests = sort glob 'test/sql/*.sql test/specs/*.spec test/pgtap/*.sql test/pgtap/lib/* test/t/*.p[lm] test/unit/*.c test/fuzz/* test/random/*';
my $makefile = slurp('Makefile');

# ---- Arrows ----

my %allowed;
foreach my $line (grep { !/^(#|$)/ } split /\n/, slurp('test/lint/arrows'))
{
	my ($from, $to) = $line =~ /^(\S+):\s*(.*)/ or die "not understood: $line";

	# The value says whether the arrow points down.
	$allowed{$from} = { map { s/^\^//r => !/^\^/ } split ' ', $to };
}

my @arrows;
foreach my $file (@c, @h)
{
	my ($from) = names($file);

	foreach my $to (slurp($file) =~ /^#include "(\w+)\.h"/mg)
	{
		next if $to eq $from || !-e "src/$to.h";
		push @arrows, "$file includes $to.h"
		  unless exists $allowed{'*'}{$to} || exists $allowed{$from}{$to};
	}
}
none('every include is an arrow of test/lint/arrows', @arrows);

my @cycles;
my %seen;

sub visit
{
	my ($file, @path) = @_;

	if (grep { $_ eq $file } @path)
	{
		push @cycles, join ' -> ', @path, $file;
		return;
	}
	return if $seen{$file};
	visit($_, @path, $file) foreach grep { $allowed{$file}{$_} } sort keys %{ $allowed{$file} // {} };
	$seen{$file} = 1;
	return;
}
visit($_) foreach sort keys %allowed;
none('arrows that point down make no circle', @cycles);

none('the decision core includes nothing of the server',
	grep { /"(?!fsm|retry|model|join|circuit|meter)\w[\w\/]*\.h"/ }
	  lines(sub { $_[0] =~ /^#include "/ }, grep { /\b(fsm|retry|join|model|circuit|meter)\.[ch]$/ } @c, @h));

# ---- Sources ----

none('versions of the server matter in compat.h only',
	lines(sub { $_[0] =~ /^\s*#.*\bPG_VERSION_NUM\b/ }, @c, grep { !/compat/ } @h));
none('no file has more than 800 lines',
	grep { slurp($_) =~ tr/\n// > 800 } @c, @h, @sql, @tests);

my @long;
foreach my $file (@c)
{
	my ($number, $start) = (0, 0);

	foreach my $line (split /\n/, slurp($file))
	{
		$number++;
		$start = $number if $line eq '{';
		push @long, "$file:$start: " . ($number - $start - 1) . ' lines'
		  if $line eq '}' && $number - $start - 1 > 120;
	}
}
none('no function has more than 120 lines', @long);

none('nothing is marked to be done',
	lines(sub { $_[0] =~ /\b(XXX|TODO|FIXME)\b/ }, @c, @h, @sql, @tests));
none('no sleep in C', lines(sub { $_[0] =~ /\b(pg_usleep|usleep|sleep|pg_sleep)\s*\(/ }, @c));
none('messages begin in lower case and end without a period',
	lines(sub { $_[0] =~ /\berrmsg(_plural)?\("([A-Z][a-z]|[^"]*\."\))/ }, @c));
none('whoever is not the extension creates its objects without OR REPLACE or IF NOT EXISTS',
	lines(sub { $_[0] =~ /^\s*CREATE\b.*\b(OR REPLACE|IF NOT EXISTS)\b/ }, @sql));

none('what CREATE OR REPLACE cannot replace is in the parts that sql/upgrades follows by hand',
	lines(sub { $_[0] =~ /^(CREATE|ALTER|DROP)\b(?! (FUNCTION|PROCEDURE|VIEW) )/i }, grep { m{sql/[3-9]} } @sql));

# ---- Tests ----

none('no test sleeps to prove something',
	lines(sub { $_[0] =~ /\b(pg_sleep(_for|_until)?|u?sleep)\b/ && $_[0] !~ /lasts:/ }, @tests));

my @expected = names(glob 'expected/*.out');
my @inputs = names(glob 'test/sql/*.sql test/specs/*.spec');
my %is_expected = map { $_ => 1 } @expected;
my %is_input = map { $_ => 1 } @inputs;
none('every test has its expected output', grep { !$is_expected{$_} } @inputs);
none('every expected output has its test', grep { !$is_input{ s/_\d$//r } && !$is_input{$_} } @expected);
is(scalar(@inputs), scalar(keys %is_input), 'no regression test is named like a spec');

none('every test that test/catalogue.md names exists',
	grep { !-e "test/$_" } slurp('test/catalogue.md') =~ m{`((?:t|pgtap|specs|sql|unit|fuzz)/[^`]+)`}g);

# ---- One version, one list ----

my ($version) = $makefile =~ /^EXTVERSION = (\S+)/m;
like(slurp('cano.control'), qr/^default_version = '\Q$version\E'$/m, 'cano.control has the version of the Makefile');
my $meta = decode_json(slurp('META.json'));
is($meta->{version}, $version, 'META.json has it, too');
is($meta->{provides}{cano}{version}, $version, 'twice');
none('META.json has all that PGXN requires',
	(grep { !$meta->{$_} } qw(name version abstract maintainer license provides meta-spec)),
	(grep { !$meta->{provides}{cano}{$_} || !-e $meta->{provides}{cano}{$_} } qw(file docfile)),
	(grep { !/^(name|version|abstract|description|maintainer|license|prereqs|provides|meta-spec|generated_by|tags|resources|no_index|release_status|x_\w+)$/ } sort keys %$meta));
like(slurp('CHANGELOG.md'), qr/^## \Q$version\E /m, 'CHANGELOG.md has it, too');
like(slurp('debian/changelog'), qr/^cano \(\Q$version\E-/, 'debian/changelog has it, too');

# Without what a format demands around the words.
sub words
{
	return join ' ', grep { $_ ne '.' } split ' ', $_[0];
}
is(words(slurp('debian/copyright') =~ s/.*^License: PostgreSQL$//msr),
	words(slurp('LICENSE') =~ s/.*?^Portions [^\n]*//msr), 'debian/copyright has the words of LICENSE');
none('the Dockerfile copies what is there',
	grep { !-e } map { split } slurp('Dockerfile') =~ /^COPY (?!--)(.*) \S+$/mg);

my $readme = slurp('README.md');
none('README.md names every public function',
	grep { $readme !~ /\bcano\.\Q$_\E\b/ }
	  map { slurp($_) =~ /^CREATE (?:FUNCTION|PROCEDURE|VIEW) cano\."?([a-z]\w*)/mg } @sql);

done_testing();
