# Random workflows, and scripts for their runs.
#
# An edge that needs no word of the script leads forward, so that a run
# comes round again only as often as its script says.
package RandomFlow;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use List::Util qw(shuffle);
use RandomModel qw(play_run resume_run log_state branch_ends);

our @EXPORT_OK = qw(random_flow random_run random_resumption family describe);

# After so many steps that count a script says nothing any more; a run that is
# resumed begins to count at the next such round number.
use constant LONG => 9;
use constant AGAIN => 1000;

sub one_of
{
	return $_[ int rand @_ ];
}

sub chance
{
	return rand() < $_[0];
}

# ---- Definitions ----

sub retry
{
	return { policy => 'none' } if chance(0.3);
	return { policy => 'exponential', retries => 1 + int rand 3, base => '2 ms' } if chance(0.3);
	return { policy => 'fixed', retries => 1 + int rand 3, delay => one_of('0', '1 ms', '4 ms') };
}

sub maybe
{
	my ($share, $key, $value) = @_;

	return chance($share) ? ($key => $value->()) : ();
}

sub compensate
{
	return chance(0.5) ? (compensate => 'wf.undo', maybe(0.4, compensate_retry => \&retry)) : ();
}

# By a limiter a run comes later, and to the same end.
sub limited
{
	return maybe(0.05, limiter => sub { one_of('bucket', 'window') });
}

# The targets of a state that has some: they may lead back.
sub targets
{
	my (@names) = @_;

	return map { one_of(@names) } 1 .. 1 + int rand 3;
}

my %make = (
	task => sub {
		my ($names) = @_;
		my $run = chance(0.6) ? 'wf.act' : one_of(qw(wf.value wf.value wf.number wf.nothing wf.needs));

		$run = 'wf.value' if $run eq 'wf.needs' && chance(0.7);
		return (
			run => $run,
			maybe(0.8, retry => \&retry),
			maybe(0.2, fatal_on => sub { [ one_of('23', '22012') ] }),
			maybe(0.2, output_key => sub { one_of('k1', 'k2') }),
			maybe(0.1, timeout => sub { one_of('1 min', '1 min', '300 ms') }),
			maybe(0.06, breaker => sub { one_of('calm', 'calm', 'touchy') }),
			limited(),
			$run eq 'wf.needs' ? () : compensate(),
			$run eq 'wf.act' ? maybe(0.4, targets => sub { [ targets(@$names) ] }) : ());
	},
	router => sub {
		my ($names, $next) = @_;

		return (
			run => one_of('wf.route', 'wf.steer'),
			forward => $next,
			maybe(0.8, retry => \&retry),
			maybe(0.4, targets => sub { [ $next, targets(@$names) ] }));
	},
	stepped => sub {
		my ($names) = @_;

		return (
			run => 'wf.walk',
			maybe(0.8, retry => \&retry),
			maybe(0.4, compensate => sub { 'wf.undo' }),
			maybe(0.3, targets => sub { [ targets(@$names) ] }));
	},
	poll => sub {
		my ($names) = @_;

		return (
			run => one_of('wf.ask', 'wf.ask', 'wf.ready'),
			maybe(0.4, max_errors => sub { int rand 3 }),
			maybe(0.3, retry => \&retry));
	},
	batch => sub {
		my ($names) = @_;

		return (
			load => one_of('wf.load', 'wf.load_array'),
			process => 'wf.process',
			maybe(0.7, finish => sub { 'wf.finish' }),
			concurrency => int rand 5,
			maybe(0.6, item_retry => \&retry),
			retry => retry());
	},
	timer => sub {
		return chance(0.3) ? (run => 'wf.wait')
		  : chance(0.2) ? (until => '2020-01-01 00:00:00+00')
		  : (delay => int(rand 31) . ' ms');
	},
	receive => sub {
		my ($names, $next, $later) = @_;

		return (signal => one_of('go', 'start'), maybe(0.2, output_key => sub { 'k3' }))
		  if chance(0.4);
		return (
			signal => 'perhaps',
			timeout => '20 ms',
			maybe(0.7, on_timeout => sub { one_of(@$later) }));
	},
	external => sub {
		my ($names) = @_;

		return (
			queue => one_of('q1', "q'2"),
			maybe(0.8, retry => \&retry),
			maybe(0.4, compensate => sub { 'wf.undo' }),
			maybe(0.2, timeout => sub { '1 min' }),
			maybe(0.3, targets => sub { [ targets(@$names) ] }));
	},
	split => \&make_split);

sub make_split
{
	my $count = chance(0.08) ? 0 : 1 + int rand 5;
	my $strategy = one_of(qw(all any quorum percentage partial partial_timeout));
	my $short = chance(0.15);
	my @tasks = map {
		my $run = one_of(qw(wf.act wf.act wf.value wf.number wf.nothing));
		my $retry = retry();

		$run = 'wf.needs' if chance(0.02);
		$retry = { policy => 'fixed', retries => 1, delay => '1 hour' }
		  if chance($short ? 0.4 : 0.1);
		chance(0.85)
		  ? { run => $run, retry => $retry, maybe(0.05, breaker => sub { 'calm' }), limited(), $run eq 'wf.act' ? maybe(0.3, input => sub { +{ extra => int rand 100 } }) : () }
		  : $run
	} 1 .. $count;

	return (
		tasks => \@tasks,
		join => {
			strategy => $strategy,
			$strategy eq 'quorum' || $strategy eq 'partial' ? (n => chance(0.1) ? $count + 1 : int rand($count + 1))
			: $strategy eq 'percentage' ? (p => one_of(0.07, 0.25, 0.34, 0.5, 0.6, 1))
			: ()
		},
		$short ? (timeout => '80 ms') : $strategy eq 'partial_timeout' || chance(0.1) ? (timeout => '1 min') : (),
		maybe(0.3, bulkhead => sub { 1 + int rand 3 }),
		maybe(0.2, output_key => sub { 'k2' }));
}

# A workflow; "flows" are those that it may start: name => definition.
sub random_flow
{
	my ($name, $flows) = @_;
	my @quirks = ('', '', '', ' ', q{'"}, "\\", "\x{e4}\x{20ac}", '%s', '$1', '.');
	my $quirk = one_of(@quirks);
	my @children = grep { $flows->{$_}{depth} < 3 && !$flows->{$_}{listens} && !$flows->{$_}{hasty} } sort keys %$flows;
	my @work = map { "$name$quirk$_" } 1 .. int rand 7;
	my @exits = map { "$name$_" } qw(done bad void);
	my @names = (@work, @exits);
	my %states;

	foreach my $at (0 .. $#work)
	{
		my $kind = one_of(qw(task task task task router split split split stepped poll batch batch timer receive external child));
		my @later = @names[ $at + 1 .. $#names ];
		my $next = chance(0.85) ? $later[0] : one_of(@later);

		$kind = 'task' if $kind eq 'child' && !@children;
		my %part = $kind eq 'child'
		  ? make_child(\@children, \@later)
		  : $make{$kind}->(\@names, $next, \@later);
		$states{ $work[$at] } = { kind => $kind, $kind eq 'router' ? () : (next => $next), %part };
	}
	$states{ $exits[0] } = { kind => 'exit' };
	$states{ $exits[1] } = { kind => 'exit', outcome => 'failed' };
	$states{ $exits[2] } = { kind => 'exit', outcome => 'cancelled' };

	my $flow = { start => $names[0], states => \%states, order => \@names };
	my %options = options();

	$flow->{options} = \%options if %options;
	$flow->{hasty} = 1 if ($options{timeout} // '1 hour') ne '1 hour';
	return describe($flow, $flows);
}

# Of a hasty workflow nobody knows how far its runs come.
sub options
{
	my $hasty = chance(0.05);

	return (
		maybe(0.2, retry => sub { +{ policy => 'fixed', retries => 1, delay => '1 ms' } }),
		$hasty ? (timeout => one_of('20 ms', '100 ms'), on_timeout => one_of('compensate', 'abandon')) : maybe(0.1, timeout => sub { '1 hour' }),
		$hasty ? (compensation_timeout => '1 hour') : maybe(0.1, compensation_timeout => sub { '1 hour' }),
		maybe(0.1, durability => sub { 'async' }),
		maybe(0.1, log => sub { one_of('none', 'all') }),
		maybe(0.1, concurrency => sub { 1 + int rand 3 }),
		maybe(0.15, on_end => sub { 'wf.farewell' }),
		maybe(0.1, resources => sub { [ { name => 'r', setup => 'wf.set_up', teardown => 'wf.tear_down' } ] }));
}

sub make_child
{
	my ($children, $later) = @_;
	my $below = chance(0.3);

	return (
		workflow => one_of(@$children),
		maybe(0.5, on_failure => sub { one_of(@$later) }),
		$below ? (input_key => 'sub', output_key => 'k4') : maybe(0.3, output_key => sub { 'k4' }));
}

# Leave out what nobody can reach, and note what others must know.
sub describe
{
	my ($flow, $flows) = @_;
	my $states = $flow->{states};
	my %reached;
	my @open = ($flow->{start});

	while (defined(my $state = shift @open))
	{
		my $part = $states->{$state};

		next if $reached{$state}++;
		push @open, @{ $part->{targets} // [] }, map { $part->{$_} // () } qw(next on_timeout on_failure);
		push @open, keys %$states if goes_anywhere($part);
	}
	delete @{$states}{ grep { !$reached{$_} } keys %$states };
	$flow->{order} = [ grep { $states->{$_} } @{ $flow->{order} } ];
	$flow->{depth} = 0;
	foreach my $part (values %$states)
	{
		$flow->{listens} = 1 if $part->{kind} eq 'receive' && !$part->{timeout};
		next if $part->{kind} ne 'child';
		my $depth = 1 + $flows->{ $part->{workflow} }{depth};

		$flow->{depth} = $depth if $depth > $flow->{depth};
	}
	return $flow;
}

sub goes_anywhere
{
	my ($part) = @_;

	return !$part->{targets}
	  && ($part->{kind} eq 'router' || ($part->{run} // $part->{finish} // '') =~ /act|walk|ask|finish/);
}

# ---- Scripts ----

# The data of a run with that script, and of children that get a part of it.
sub data_with
{
	my ($script, $n) = @_;
	my $data = { script => $script, n => 0 };

	$data = { script => $script, n => 0, maybe(0.5, extra => sub { int rand 10 }), sub => $data }
	  foreach 1 .. 3;
	$data->{n} = $n;
	return $data;
}

# Routers go there when nothing else is said.
sub empty_script
{
	my ($flows, $name) = @_;
	my %script;

	foreach my $each (map { $flows->{$_}{states} } family($flows, $name))
	{
		$script{$_}{to} = $each->{$_}{forward}
		  foreach grep { $each->{$_}{kind} eq 'router' } keys %$each;
	}
	return \%script;
}

# A run of a workflow: {flow, input, signals, late, priority, max_attempts,
# keyed, delayed, resumed}.
sub random_run
{
	my ($flows, $name) = @_;
	my $data = data_with(empty_script($flows, $name), 0);
	my $run = {
		flow => $name,
		input => $data,
		signals => [],
		priority => 1000 + int rand 3,
		keyed => chance(0.2) ? 1 : 0,
		delayed => chance(0.1) ? 1 : 0,
		resumed => [],
		maybe(0.1, max_attempts => sub { 1 + int rand 3 })
	};
	my $flow = $flows->{$name};

	# What that means for branches and items, and for children, is not said.
	delete $run->{max_attempts}
	  if grep { $_->{kind} =~ /split|batch|child|poll/ } values %{ $flow->{states} };
	my $author = bless {}, 'RandomFlow';

	play_run($flows, $name, $data,
		author => $author,
		signals => $run->{signals},
		max_attempts => $run->{max_attempts});
	push @{ $run->{signals} }, spare_signals($flow);
	$run->{late} = $flow->{listens} && chance(0.5)
	  && !grep { $_->{kind} eq 'receive' && $_->{timeout} } values %{ $flow->{states} };
	return $run;
}

# For whom comes otherwise than was thought.
sub spare_signals
{
	my ($flow) = @_;

	return $flow->{listens} ? map { [ $_, { spare => 1 } ] } ('go', 'start') x 3 : ();
}

# How a run goes on that has ended, and is as the model says; undefined if it
# does not: {state, patch, force, signals}, or {mercy} for a rollback that goes on.
sub random_resumption
{
	my ($flows, $run, $was) = @_;
	my $again = ($was->{rollback} // 'none') eq 'partial';
	my @order = @{ $was->{flow}{order} };
	my %resumption = (force => $again ? 1 : 0);

	return { mercy => 1 } if $again && chance(0.5);
	return undef if $was->{status} eq 'completed' || $was->{rollback} eq 'clean' || !@{ $was->{log} };

	# Where it stands; but an exit would be the same again.
	$resumption{state} = one_of(@order) if chance(0.4) || $was->{flow}{states}{ log_state($was) }{kind} eq 'exit';
	$resumption{signals} = [ spare_signals($was->{flow}) ];
	$resumption{patch} = data_with(empty_script($flows, $run->{flow}), AGAIN);
	resume_run($was, \%resumption, author => bless { in_vain => 1, bound => 1 }, 'RandomFlow');
	return @{ $was->{refused} } ? undef : \%resumption;
}

# A workflow and those that it may start, each once, these first.
sub family
{
	my ($flows, $name) = @_;
	my %seen;
	my @all = map { family($flows, $_) } map { $_->{workflow} // () } @{ $flows->{$name}{states} }{ @{ $flows->{$name}{order} } };

	return grep { !$seen{$_}++ } @all, $name;
}

sub output
{
	return one_of(
		{ 'k' . int(rand 3) => int rand 100 },
		{ x => { y => [ 1, 'two' ] } },
		{}, 'text', int(rand 1000), [ 1, 2 ]);
}

sub object
{
	return chance(0.5) ? { 'k' . int(rand 3) => one_of(int rand 100, 'text', [ 1, 'x' ]) } : { x => int rand 9 };
}

# How often it fails, and how.
sub failing
{
	my ($mild) = @_;
	my $what = rand();

	return (fail => 99, code => 'CN900') if $what < 0.02;
	return (fail => 99, code => one_of('XX000', 'P0004')) if $what < 0.035;
	return (fail => 99, code => 'P0001') if $what < 0.05;
	return (fail => 1, code => '40001') if $what < 0.055;
	return (fail => 1 + int rand($mild ? 1 : 3), code => one_of(qw(P0001 22012 23505 42P01))) if $what < 0.2;
	return ();
}

# What a call says that returned, of a state that may go where it likes.
sub saying
{
	my ($run, $part, $counts) = @_;
	my $flow = $run->{flow};
	my $what = rand();
	my $n = $run->{data}{n} % AGAIN;

	return (do => 'failed', why => 'no good') if $what < 0.025;
	return (do => 'cancelled', why => 'no more') if $what < 0.045;
	return (do => one_of('more', 'pending')) if $what < 0.05 && $part->{kind} eq 'task';
	return (to => 'nowhere') if $what < 0.06;
	return () if $what > 0.25;

	my @order = @{ $flow->{order} };
	my ($here) = grep { $order[$_] eq $run->{state} } 0 .. $#order;
	my @to = chance(0.1) ? @order : ($part->{targets} ? @{ $part->{targets} } : @order);
	my %at = map { $order[$_] => $_ } 0 .. $#order;

	@to = grep { $at{$_} > $here } @to if !$counts || $n >= LONG;
	return @to ? (to => one_of(@to)) : ();
}

# What the state that the run is in shall do at this visit.
sub write_entry
{
	my ($author, $run) = @_;
	my $state = $run->{state};
	my $part = $run->{flow}{states}{$state};
	my $kind = $part->{kind};
	my $n = $run->{data}{n};
	my $write = $author->can("write_$kind");

	$run->{script}{$state}{$n} = $author->$write($run, $part)
	  if $write && $n % AGAIN < LONG + 5;
	return;
}

sub pace
{
	return (maybe(0.05, ms => sub { 1 + int rand 4 }), maybe(0.05, delay => sub { int rand 10 }));
}

sub write_task
{
	my ($author, $run, $part) = @_;
	my $function = $part->{run};

	return {
		failing(!$part->{retry}),
		pace(),
		($part->{timeout} // '') eq '300 ms' && chance(0.5) ? (slow => 1 + int rand 2) : (),
		$function eq 'wf.number' ? maybe(0.7, out => sub { int rand 100 })
		: $function eq 'wf.value' ? maybe(0.8, out => \&output)
		: maybe(0.4, out => \&object),
		$function eq 'wf.act' ? saying($run, $part, !$part->{output_key}) : ()
	};
}

# What the compensation of an entry of the stack shall do.
sub write_undo
{
	my ($author, $run, $entry, $n) = @_;
	my $what = rand();

	$run->{script}{ $entry->{state} }{undo}{$n} = {
		$what < 0.03 ? (fail => 99, code => one_of('CN900', 'XX000'))
		: $what < 0.15 ? (fail => 1 + int rand 3, code => one_of(qw(P0001 P0001 40001)))
		: (),
		pace(),
		($entry->{part}{timeout} // '') eq '300 ms' && chance(0.2) ? (slow => 1) : ()
	};
	return;
}

sub write_router
{
	my ($author, $run, $part) = @_;

	return { failing(!$part->{retry}), saying($run, $part, 0) };
}

sub write_stepped
{
	my ($author, $run, $part) = @_;

	return [
		(map { +{ failing(!$part->{retry}), pace(), do => 'more', maybe(0.2, out => \&object) } } 1 .. int rand 4),
		{ failing(!$part->{retry}), pace(), maybe(0.2, out => \&object), saying($run, $part, 1) }
	];
}

sub write_ask
{
	my ($author, $run, $asks) = @_;
	my $part = $run->{flow}{states}{ $run->{state} };

	return if $run->{data}{n} % AGAIN >= LONG;
	push @$asks,
	    chance(0.25) ? { failing(0), do => 'pending' }
	  : {
		chance(0.2) ? (fail => 1 + int rand 2, code => one_of(qw(P0001 P0001 P0001 22012 CN900 XX000))) : (), maybe(0.3, out => \&object),
		$part->{run} eq 'wf.ask' ? saying($run, $part, 1) : ()
	  };
	return;
}

sub write_batch
{
	my ($author, $run, $part) = @_;
	my $count = chance(0.1) ? 0 : 1 + int rand 7;

	return {
		load => { failing(0) },
		items => [ map { +{
					i => $_,
					failing(0),
					maybe(0.1, ms => sub { 1 + int rand 4 }),
					maybe(0.7, out => \&output)
				} } 0 .. $count - 1 ],
		$part->{finish} ? (finish => { failing(0), saying($run, $part, 1) }) : ()
	};
}

# A client that is told so lets its lease expire.
sub write_external
{
	my ($author, $run, $part) = @_;
	my @to = ($part->{next}, @{ $part->{targets} // [] });
	my @order = @{ $run->{flow}{order} };
	my ($here) = grep { $order[$_] eq $run->{state} } 0 .. $#order;
	my %at = map { $order[$_] => $_ } 0 .. $#order;

	@to = grep { $at{$_} > $here } @to if $run->{data}{n} % AGAIN >= LONG;
	return {
		chance(0.2) ? (fail => 1 + int rand 3, code => chance(0.2) ? 'CN900' : 'CN003') : (),
		maybe(0.1, slow => sub { 1 }),
		maybe(0.4, out => \&object),
		@to ? maybe(0.3, to => sub { one_of(@to) }) : ()
	};
}

sub write_timer
{
	my ($author, $run, $part) = @_;

	return { chance(0.1) ? failing(0) : (), delay => int rand 20 };
}

sub write_split
{
	my ($author, $run, $part) = @_;
	my $short = ($part->{timeout} // '1 min') ne '1 min';
	my $join = $part->{join};
	my $tasks = $part->{tasks};
	my %acts;

	foreach my $at (0 .. $#$tasks)
	{
		my $branch = $tasks->[$at];
		my $function = ref $branch ? $branch->{run} : $branch;
		my $what = rand();

		$acts{$at} = {
			failing(!ref $branch),
			maybe(0.3, ms => sub { 1 + int rand 8 }),
			maybe(0.7, out => $function eq 'wf.number' ? sub { int rand 100 } : \&output),
			$what < 0.08 ? (do => 'failed', why => 'not so')
			: $what < 0.10 ? (do => 'cancelled', why => 'none of it')
			: ()
		};
		my %end = branch_ends($branch, $acts{$at}, $run->{flow});

		# Who waits for an hour must not be waited for, nor hold a place that
		# another needs.
		next if $end{end} ne 'never' && !(ref $branch && ($branch->{retry}{delay} // '') eq '1 hour');
		$acts{$at} = $short || $join->{strategy} eq 'any' && !$part->{bulkhead} && chance(0.6) ? { fail => 1, code => 'P0001' } : {};
	}
	if (!$short && $join->{strategy} eq 'any')
	{
		my @ends = map { +{ branch_ends($tasks->[$_], $acts{$_}, $run->{flow}) } } 0 .. $#$tasks;

		# Nobody is the first, if all others fail.
		%acts = map { $_ => {} } keys %acts
		  if (grep { $_->{end} eq 'never' } @ends) && !grep { $_->{end} eq 'ok' } @ends;
	}
	return \%acts;
}

# How it might go, while there is nothing that has been seen.
sub order_branches
{
	my ($author, $run, $part, $ends) = @_;
	my %done;
	my $ok = 0;
	my $ended = 0;
	my $join = $part->{join};
	my %is = map { $_->{end} => 1 } @$ends;

	foreach my $at (shuffle(0 .. $#$ends))
	{
		my $end = $ends->[$at]{end};

		next if $end eq 'never';
		$ended++;
		next if $end eq 'error' && !($join->{strategy} eq 'partial' && !$join->{n});
		$done{$at} = 1 if $end ne 'error';
		return (\%done, 'some') if $end eq 'cancel';
		$ok++ if $end eq 'ok';
		return (\%done, 'some')
		  if $join->{strategy} eq 'any' && $ok == 1
		  || $join->{strategy} eq 'partial' && $ok >= $join->{n};
	}
	return (\%done, $is{never} ? 'some' : 'all');
}

# ---- Signals ----

# A signal for the receive that the run is in.
sub write_signal
{
	my ($author, $run) = @_;
	my $part = $run->{flow}{states}{ $run->{state} };
	my $name = $part->{signal};

	return if $run->{depth} || $author->{bound} || grep { $_->[0] eq $name } @{ $run->{unreceived} };

	# All are sent before the run begins, and who was in vain once stays so.
	return if $part->{timeout} && ($author->{in_vain} ||= chance(0.5));
	my $signal = [ $name, one_of({ got => int rand 100 }, 'word', int rand 50, [ 'a', 1 ]) ];

	push @$_, $signal foreach $run->{signals}, $run->{unreceived};
	return;
}

1;
