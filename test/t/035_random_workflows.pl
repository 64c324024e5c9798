# Random workflows of all kinds against a model that knows nothing of the
# engine: definitions, scripts of what each call shall do, and by the rules of
# the contract what may become of their runs.  Meanwhile workers, the launcher
# and the server are killed.
#
# A portion with a fixed seed in every test run; CANO_RANDOM_RUNS=100000
# CANO_RANDOM_KILLS=1000 goes on for long.  CANO_RANDOM_SEED=n begins elsewhere.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin, "$FindBin::RealBin/../random";

use CanoServer;
use List::Util qw(sum0);
use RandomFlow qw(random_flow random_run);
use RandomRuns qw(install start_runs resume_some ended stuck compare describe_case shrink orphans stories is_half_done first_error);
use RandomTrouble;
use Test::More;
use Time::HiRes qw(time);

my $long = defined $ENV{CANO_RANDOM_RUNS};
my $total = $ENV{CANO_RANDOM_RUNS} // 400;
my $kills = $ENV{CANO_RANDOM_KILLS} // ($long ? int($total / 100) : 8);
my $seed = $ENV{CANO_RANDOM_SEED} // 1;
my $size = $long ? 2000 : 100;	# runs at once
my $each = $long ? 4 : 1.4;		# of a workflow, about
my @workers = (2, 1, 8, 4);
my $shown = 0;			# differences so far; the first are made smaller
my $portion = 0;
my $began = time;
my %sum = map { $_ => 0 } qw(workflows runs children resumed differences stuck none clean partial completed failed cancelled half_done refused);
my %kind;				# visits of states of each

my $node = new_server('random', "cano.max_crashes = 1000\nmax_connections = 40\n");
use_database($node, 'postgres');
install($node, "$FindBin::RealBin/../random");
my $trouble = RandomTrouble->new($node, $kills);

# So many runs of workflows, a few of each.
sub imagine
{
	my ($count) = @_;
	my (%flows, @names, @runs);

	srand($seed * 1_000_000 + $portion);
	while (@runs < $count)
	{
		my $name = "w$seed.$portion." . @names . '.';

		$flows{$name} = random_flow($name, \%flows);
		push @names, $name;
		push @runs, random_run(\%flows, $name) foreach 0 .. rand() * 2 * ($each - 0.5);
	}
	return (\%flows, \@names, \@runs);
}

# All of them at once, until all have ended; then some go on.  There is trouble
# from one share of all runs to another.
sub live
{
	my ($from, $to, $flows, $names, $runs, $cancelling) = @_;

	$trouble->begin($from + ($to - $from) * ($cancelling ? 1 : 0.7));
	my $beyond = start_runs($node, $portion, $flows, $names, $runs, $cancelling);
	my $all = ended($node, $beyond);

	$trouble->end;
	if ($all && !$cancelling)
	{
		$trouble->begin($to);
		$sum{resumed} += resume_some($node, $flows, $runs, $beyond);
		$all = ended($node, $beyond);
		$trouble->end;
	}
	my $left = $all ? orphans($node, $beyond) : 'not ended';

	diag("seed $seed, portion $portion: $left\n" . stuck($node, $beyond)) if $left;
	$sum{stuck}++ if $left;
	return $all ? stories($node, $beyond) : undef;
}

# Compare what became of them with the model.
sub judge
{
	my ($flows, $names, $runs, $stories) = @_;
	my @found = compare($flows, $runs, $stories);

	$sum{workflows} += @$names;
	$sum{runs} += @$runs;
	$sum{children} += keys(%$stories) - @$runs;
	$sum{differences} += @found;
	$sum{$_}++ foreach map { @{$_}{qw(status rollback)} } values %$stories;
	$sum{half_done} += grep { is_half_done($flows, $_, $stories->{ $_->{id} }) } @$runs;
	$sum{refused} += grep { first_error($_)->{category} eq 'circuit_open' } values %$stories;
	foreach my $run (@$runs)
	{
		my $states = $flows->{ $run->{flow} }{states};
		my $story = $stories->{ $run->{id} };

		$kind{ $states->{$_}{kind} }++ foreach map({ s/^state_entry //r } grep { /^state/ } @{ $story->{log} }), map { $_->[0] } @{ $story->{ledger} };
	}
	foreach my $case (splice @found, 0, 5)
	{
		my ($less, @small) = $shown++ < 3 ? shrink($node, $flows, @$case) : ($flows, @$case);

		diag("seed $seed, portion $portion:");
		diag(describe_case($less, @small));
	}
	return;
}

# Would it be noticed, if an effect of one of them were there twice, or not?
sub is_noticed
{
	my ($what, $flows, $names, $runs, $stories) = @_;
	my ($run) = grep { @{ $stories->{ $_->{id} }{ledger} } && !is_half_done($flows, $_, $stories->{ $_->{id} }) } @$runs;
	my $story = $stories->{ $run->{id} };
	my @effects = @{ $story->{ledger} };

	push @effects, $effects[0] if $what eq 'twice';
	shift @effects if $what eq 'lost';
	return compare($flows, [$run], { $run->{id} => { %$story, ledger => \@effects } });
}

my @judged;

while (($sum{runs} < $total || $trouble->total < $kills) && !$sum{stuck})
{
	my $left = $total - $sum{runs};
	my $count = $left > $size ? $size : $left > 0 ? $left : $size / 2;
	my $workers = $workers[ $portion % @workers ];
	my @imagined = imagine($count);

	$node->safe_psql('postgres', "ALTER SYSTEM SET cano.workers_per_role = $workers");
	$node->reload;
	my $stories = live($sum{runs} / $total, ($sum{runs} + $count) / $total, @imagined, $portion % 5 == 3);

	if ($stories)
	{
		@judged = (@imagined, $stories);
		judge(@judged);
	}
	$portion++;
	diag(sprintf '%d runs, %d kills, %d differences, %.0f s', $sum{runs}, $trouble->total, $sum{differences}, time - $began) if $long;
}

my $count = $trouble->count;
my $crashes = sum0 @{$count}{qw(crash crash_launcher stop)};
my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile);

is($sum{stuck}, 0, 'every run ends, and leaves no row where none should be');
is(orphans($node, 0), '', 'nor do all of them together');
is($sum{differences}, 0, 'the rules allow what became of them');
cmp_ok($sum{$_}, '>', 0, "some are $_") foreach qw(clean partial completed failed cancelled resumed half_done);
cmp_ok($kind{$_} // 0, '>', 0, "some states are of kind $_")
  foreach qw(task router split stepped poll batch timer receive child external exit);
cmp_ok($count->{$_}, '>', 0, "there was trouble: $_") foreach qw(crash terminate stop);
ok(is_noticed($_, @judged), "an effect that is $_ would be noticed") foreach qw(twice lost);
unlike($log, qr/deadlock detected/, 'no transaction of the engine met a deadlock');
unlike($log, qr/PANIC:|TRAP:|signal (?:6|7|8|11)\b/, 'nobody crashed but those who were killed');
diag(sprintf 'seed %s: %d runs and %d children of %d workflows (%s), %d resumed; %d kills (%s), %d crashes of the server; %d differences, %d stuck; %.0f s',
	$seed, @sum{qw(runs children workflows)}, join(', ', map { "$sum{$_} $_" } qw(completed failed cancelled clean partial refused)),
	$sum{resumed}, sum0(values %$count), join(', ', map { "$count->{$_} $_" } sort keys %$count),
	$crashes, @sum{qw(differences stuck)}, time - $began);
$node->stop;
done_testing();
