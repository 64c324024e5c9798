# What becomes of a run, by the rules of the contract: an interpreter of
# definitions that knows nothing of the engine.
#
# Where the order in which things happen decides (which branch is the first,
# how far the others come), the rules allow several results.  Then the model
# looks at what was observed, says whether the rules allow that, and goes on
# from there: $run->{seen}.  While a case is being made, nothing has been
# observed yet: then $run->{author} says what happens, and adds to the script
# what the run's next steps shall do.
package RandomModel;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use List::Util qw(max);
use POSIX qw(ceil);
use RandomSaga qw(complete_state supersede drain);

our @EXPORT_OK = qw(play_run resume_run log_state attempts_of retry_limit branch_ends);

my %play = (
	task => \&play_task,
	router => \&play_router,
	split => \&play_split,
	stepped => \&play_stepped,
	poll => \&play_poll,
	batch => \&play_batch,
	external => \&play_external,
	timer => \&play_timer,
	receive => \&play_receive,
	child => \&play_child);

# A run of a workflow of "flows" (name => definition) with an input, from its
# start to its end.  More: signals, max_attempts; seen or author.
sub play_run
{
	my ($flows, $flow, $input, %more) = @_;
	my $run = {
		%more,
		flows => $flows,
		flow => $flows->{$flow},
		state => $flows->{$flow}{start},
		data => $input,
		script => $input->{script},
		log => [],
		ledger => [],
		attempts => {},
		branches => {},
		items => {},
		children => [],
		stack => [],
		undone => [],
		refused => [],
		ends => 0,
		set_up => 0
	};

	$run->{unreceived} = [ @{ $run->{signals} // [] } ];
	return go_on($run);
}

# From the state that it is in to an end.  "again": the same visit goes on.
sub go_on
{
	my ($run, $again) = @_;

	$run->{ends}++;
	$run->{set_up}++;
	until ($run->{status})
	{
		my $part = part($run);

		if ($part->{kind} ne 'router')
		{
			push @{ $run->{log} }, "state_entry $run->{state}";
			delete $run->{cursor} if !$again;
		}
		$again = 0;
		if ($part->{kind} eq 'exit')
		{
			exit_run($run, $part->{outcome} // 'completed');
			last;
		}
		my $next = $play{ $part->{kind} }->($run, $part);
		$run->{state} = $next if defined $next;
	}
	drain($run, \&attempts_of, \&retry_limit) if $run->{status} ne 'completed';
	return $run;
}

# A run that has ended goes on: {state (undefined: where it stands), patch,
# signals, or mercy: what is left to be undone is, without an error}.  "more" as for a run.
sub resume_run
{
	my ($run, $resumption, %more) = @_;

	delete @{$run}{qw(author seen)};
	%$run = (%$run, %more);
	if ($resumption->{mercy})
	{
		$run->{ends}++;
		$run->{error} = $run->{error}{errors}[0];
		$run->{mercy} = 1;
		drain($run, sub { return (failures => 0, attempt => 1) }, \&retry_limit);
		return $run;
	}
	$run->{state} = $resumption->{state} // log_state($run);
	supersede($run);
	$run->{data} = { %{ $run->{data} }, %{ $resumption->{patch} } };
	$run->{script} = $run->{data}{script};
	push @{ $run->{unreceived} }, @{ $resumption->{signals} };
	delete @{$run}{qw(status dead error reason rollback left signal asked child_error)};
	$run->{asked}{ $_->[0] }++ foreach @{ $run->{ledger} };
	return go_on($run, !defined $resumption->{state});
}

# The state of the newest row of its log.
sub log_state
{
	my ($run) = @_;

	return $run->{log}[-1] =~ s/^\w+ //r;
}

sub part
{
	my ($run) = @_;

	return $run->{flow}{states}{ $run->{state} };
}

sub exit_run
{
	my ($run, $outcome) = @_;

	$run->{status} = $outcome;
	$run->{error} = { category => 'workflow', message => qr/\Q"$run->{state}"\E/ }
	  if $outcome ne 'completed';
	return;
}

# The run ends in its state, with that error.  "dead": it is a dead letter
# (undefined: the contract does not say).
sub fail
{
	my ($run, $dead, %error) = @_;

	$run->{status} = 'failed';
	$run->{dead} = $dead;
	$run->{error} = \%error;
	return;
}

sub cancel
{
	my ($run, $why) = @_;

	$run->{status} = 'cancelled';
	$run->{reason} = $why;
	$run->{dead} = 0;
	$run->{error} = { category => 'cancelled', message => qr/^\Q$why\E$/ };
	return;
}

# What the script says for this visit.
sub script_entry
{
	my ($run) = @_;
	my $n = $run->{data}{n};

	$run->{author}->write_entry($run)
	  if $run->{author} && !exists $run->{script}{ $run->{state} }{$n};
	return $run->{script}{ $run->{state} }{$n} // {};
}

sub note
{
	my ($run, $branch, $attempt, $note) = @_;

	push @{ $run->{ledger} }, [ $run->{state}, $branch, $attempt, $run->{data}{n}, $note ];
	return;
}

# So many failed attempts are on record: at least, at most.
sub count_failures
{
	my ($run, $branch, $least, $most) = @_;
	my $count = $run->{attempts}{"$run->{state}|" . ($branch // '')} //= [ 0, 0 ];

	$count->[0] += $least;
	$count->[1] += $most // $least;
	return;
}

sub store_output
{
	my ($run, $output, $key) = @_;

	return if !defined $output;
	$run->{data} = {
		%{ $run->{data} },
		defined $key ? ($key => $output)
		: ref $output eq 'HASH' ? %$output
		: ($run->{state} => $output)
	};
	return;
}

# ---- Attempts ----

# How many attempts that policy allows.
sub retry_limit
{
	my ($retry) = @_;

	return 4 if !$retry;
	return $retry->{policy} eq 'none' ? 1 : $retry->{retries} + 1;
}

# Of a state of the run's that retries by itself.
sub limit
{
	my ($run, $part) = @_;

	return $run->{max_attempts}
	  // retry_limit($part->{retry} // ($run->{flow}{options} // {})->{retry});
}

# What comes of an action when there are so many attempts: how many failed,
# and, if none succeeded, the error.
sub attempts_of
{
	my ($act, $limit, $fatal_on) = @_;
	my $failing = max($act->{fail} // 0, $act->{slow} // 0);

	foreach my $attempt (1 .. $limit)
	{
		my $slow = $attempt <= ($act->{slow} // 0);
		my $code = $slow ? 'CN005' : $act->{code};
		my $what = { attempts => $attempt, sqlstate => $code, message => qr/^no $attempt$/ };

		return (failures => $attempt - 1, attempt => $attempt)
		  if $attempt > $failing;
		$what->{message} = qr/longer than/ if $slow;
		if (!$slow && ($code eq 'CN900' || grep { $code =~ /^$_/ } @{ $fatal_on // [] }))
		{
			$what->{category} = 'permanent';
		}
		elsif ($code =~ /^(?:XX|P0004)/)
		{
			$what->{category} = 'task_execution';
			$what->{message} = qr/^panic: .*no $attempt$/;
		}
		elsif ($limit == 1)
		{
			$what->{category} = $slow ? 'timeout' : 'task_execution';
		}
		elsif ($attempt == $limit)
		{
			$what->{category} = 'retry_exhausted';
			$what->{message} = qr/after $limit attempts.*$what->{message}/s
			  if $slow;
			$what->{message} = qr/after $limit attempts.*no $attempt$/s
			  if !$slow;
		}
		return (failures => $attempt, error => $what) if $what->{category};
	}
	die 'no attempt is allowed';
}

sub missing_argument
{
	return (
		failures => 1,
		error => { category => 'missing_argument', sqlstate => 'CN014', message => qr/absent/, attempts => 1 });
}

# ---- Kinds that call one function ----

sub action_output
{
	my ($part, $act, $n) = @_;
	my $run = $part->{run} =~ s/\(.*//r;

	return undef if $run =~ /nothing|needs|route|steer/;
	return $act->{out} if $run =~ /value|number/;
	return { n => $n + 1, %{ $act->{out} // {} } };
}

# What a call that returned says: whether it counts at all, and the state to
# go to.  Ends the run unless it goes on.
sub settle
{
	my ($run, $part, $act, $attempt, $note, $output) = @_;
	my $speaks = $part->{run} =~ /^wf\.(?:act|steer|walk|ask|finish)/;
	my $do = $speaks ? $act->{do} // '' : '';
	my $to = $speaks || $part->{run} eq 'wf.route' ? $act->{to} // $part->{next} : $part->{next};
	my $targets = $part->{targets};

	if ($do eq 'more' || $do eq 'pending' || !exists $run->{flow}{states}{$to}
		|| ($targets && $to ne ($part->{next} // '') && !grep { $_ eq $to } @$targets))
	{
		# All of the attempt is rolled back; whether it is one that failed
		# the contract does not say.
		count_failures($run, undef, 0, 1);
		return fail($run, undef, category => 'workflow');
	}
	note($run, undef, $attempt, $note);
	return fail($run, 0, category => 'task_execution', message => qr/^\Q$act->{why}\E$/)
	  if $do eq 'failed';
	return cancel($run, $act->{why}) if $do eq 'cancelled';
	store_output($run, $output, $part->{output_key});
	complete_state($run, $part, $output);
	return $to;
}

sub play_task
{
	my ($run, $part) = @_;
	my $act = script_entry($run);
	my %result =
	    $part->{run} =~ /needs/
	  ? missing_argument()
	  : attempts_of($act, limit($run, $part), $part->{fatal_on});

	return refuse_call($run) if ($part->{breaker} // '') eq 'touchy' && was_refused($run);
	count_failures($run, undef, $result{failures});
	return fail($run, 1, %{ $result{error} }) if $result{error};
	return settle($run, $part, $act, $result{attempt},
		$part->{run} =~ /wf\.act/ ? [ $run->{signal}, $run->{data}{extra} ] : undef,
		action_output($part, $act, $run->{data}{n}));
}

# A touchy breaker refuses whom it likes: was this the state where it did?
sub was_refused
{
	my ($run) = @_;
	my $seen = $run->{seen} // {};
	my $error = (($seen->{error} // {})->{errors} // [])->[0] // $seen->{error} // {};

	return ($error->{category} // '') eq 'circuit_open' && $error->{state} eq $run->{state} && @{ $run->{log} } == @{ $seen->{log} };
}

sub refuse_call
{
	my ($run) = @_;

	count_failures($run, undef, 0, 99);
	return fail($run, undef, category => 'circuit_open');
}

sub play_router
{
	my ($run, $part) = @_;
	my $act = { to => $run->{script}{ $run->{state} }{to}, %{ script_entry($run) } };
	my %result = attempts_of($act, limit($run, $part));

	count_failures($run, undef, $result{failures});
	return fail($run, 1, %{ $result{error} }) if $result{error};
	return settle($run, $part, $act, $result{attempt}, undef, undef);
}

sub play_stepped
{
	my ($run, $part) = @_;
	my $n = $run->{data}{n};
	my $cursor = $run->{cursor};

	script_entry($run);
	for (my $at = $cursor // 0;; $at++)
	{
		my $acts = $run->{script}{ $run->{state} }{$n};
		my $act = ref $acts eq 'ARRAY' ? $acts->[$at] // {} : {};
		my %result = attempts_of($act, limit($run, $part));

		count_failures($run, undef, $result{failures});
		return fail($run, 1, %{ $result{error} }) if $result{error};
		return settle($run, $part, $act, $result{attempt}, $cursor, { n => $n + 1, %{ $act->{out} // {} } })
		  if ($act->{do} // '') ne 'more';
		note($run, undef, $result{attempt}, $cursor);
		store_output($run, $act->{out});
		push @{ $run->{log} }, "step_cursor $run->{state}";
		$run->{cursor} = $cursor = $at + 1;
	}
}

# Its client says what is to be said; one that keeps silent lets its lease
# expire.
sub play_external
{
	my ($run, $part) = @_;
	my $act = script_entry($run);
	my $n = $run->{data}{n};
	my $limit = limit($run, $part);
	my %result = attempts_of($act, $limit);
	my $output = { n => $n + 1, %{ $act->{out} // {} } };

	count_failures($run, undef, $result{failures});
	if ($result{error})
	{
		my $silent = $result{error}{attempts} <= ($act->{slow} // 0);

		$result{error}{message} = qr/lease/ if $silent;
		return fail($run, 1, %{ $result{error} });
	}
	note($run, undef, $result{attempt}, 'client');
	store_output($run, $output);
	complete_state($run, $part, $output);
	return $act->{to} // $part->{next};
}

# What fails, fails at every ask until the attempt is over: an ask cannot know
# how many before it failed.
sub play_poll
{
	my ($run, $part) = @_;
	my $asks = $run->{script}{ $run->{state} }{asks} //= [];
	my $limit = retry_limit($part->{retry} // { policy => 'none' });
	my $forgiven = $part->{max_errors} // 0;
	my $attempt = 1;

	while (1)
	{
		my $asked = $run->{asked}{ $run->{state} }++;

		$run->{author}->write_ask($run, $asks)
		  if $run->{author} && $asked > $#$asks;
		my $act = $asks->[$asked] // {};

		for (; $attempt <= ($act->{fail} // 0); $attempt++)
		{
			my %result = attempts_of({ %$act, fail => 99 }, $limit);
			my $error = $result{error};

			count_failures($run, undef, is_raised($act) ? $forgiven + 1 : 1);
			return fail($run, 1, %$error) if $attempt == $limit && is_raised($act);
			return fail($run, 1, category => $error->{category}, sqlstate => $act->{code}) if !is_raised($act);
		}
		if (($act->{do} // '') eq 'pending')
		{
			note($run, undef, $attempt, undef);
			next;
		}
		my $output = $part->{run} =~ /ready/ ? undef : { n => $run->{data}{n} + 1, %{ $act->{out} // {} } };
		return settle($run, $part, $act, $attempt, undef, $output);
	}
}

# An error like others: neither permanent nor a panic.
sub is_raised
{
	my ($act) = @_;

	return $act->{code} !~ /^(?:CN900|XX|P0004)/;
}

sub play_timer
{
	my ($run, $part) = @_;

	if ($part->{run})
	{
		my $act = script_entry($run);
		my %result = attempts_of($act, $run->{max_attempts} // 1);

		count_failures($run, undef, $result{failures});
		return fail($run, 1, %{ $result{error} }) if $result{error};
		note($run, undef, $result{attempt}, undef);
	}
	return $part->{next};
}

sub play_receive
{
	my ($run, $part) = @_;
	my $signals = $run->{unreceived};

	$run->{author}->write_signal($run) if $run->{author};
	my ($at) = grep { $signals->[$_][0] eq $part->{signal} } 0 .. $#$signals;

	if (!defined $at)
	{
		push @{ $run->{refused} }, "waits for ever in $run->{state}"
		  if !$part->{timeout};
		return $part->{on_timeout} // fail($run, undef, category => 'timeout');
	}
	$run->{signal} = (splice @$signals, $at, 1)->[1];
	store_output($run, $run->{signal}, $part->{output_key});
	return $part->{next};
}

sub play_child
{
	my ($run, $part) = @_;
	my $input = defined $part->{input_key} ? $run->{data}{ $part->{input_key} } : $run->{data};
	my $children = $run->{children};
	my $seen = $run->{seen} && ($run->{seen}{children}[@$children] // {});
	my $child = play_run($run->{flows}, $part->{workflow}, $input,
		depth => ($run->{depth} // 0) + 1,
		author => $run->{author},
		seen => $seen);

	push @$children, $child;
	if ($child->{status} eq 'completed')
	{
		store_output($run, $child->{data}, $part->{output_key});
		return $part->{next};
	}
	return $part->{on_failure} if $part->{on_failure};
	$run->{child_error} = $child->{error};
	return fail($run, undef, %{ $child->{error} });
}

# ---- Branches ----

# How a branch ends if it is given the time: ok, failed (its verdict, with its
# effects), error, cancel, never (before its retry the split is long over).
sub branch_ends
{
	my ($branch, $act, $flow) = @_;
	my $retry = ref $branch ? $branch->{retry} : ($flow->{options} // {})->{retry};
	my $name = ref $branch ? $branch->{run} : $branch;
	my %result =
	    $name =~ /needs/
	  ? missing_argument()
	  : attempts_of($act, retry_limit($retry));

	if ($retry && ($retry->{delay} // '') eq '1 hour' && ($act->{fail} // 0)
		&& ($result{failures} > 1 || !$result{error}))
	{
		return (end => 'never', failures => 1);
	}
	return (end => 'error', %result) if $result{error};
	return (end => 'cancel', %result) if $name =~ /act/ && ($act->{do} // '') eq 'cancelled';
	return (end => 'failed', %result) if $name =~ /act/ && ($act->{do} // '') eq 'failed';
	return (end => 'ok', %result, output => $name =~ /nothing|needs/ ? undef : $act->{out});
}

sub play_split
{
	my ($run, $part) = @_;
	my $acts = script_entry($run);
	my $tasks = $part->{tasks};
	my @ends = map { +{ branch_ends($tasks->[$_], $acts->{$_} // {}, $run->{flow}) } } 0 .. $#$tasks;
	my ($done, $close) =
	    $run->{author}
	  ? $run->{author}->order_branches($run, $part, \@ends)
	  : observe_branches($run, $part, \@ends);
	my @status;

	foreach my $branch (0 .. $#ends)
	{
		my $end = $ends[$branch];
		my $all = $close eq 'all' && $end->{end} ne 'never';
		my $task = $tasks->[$branch];

		if ($done->{$branch})
		{
			note($run, $branch, $end->{attempt},
				(ref $task ? $task->{run} : $task) =~ /wf\.act/
				? [ $run->{signal}, ref $task && $task->{input} ? $task->{input}{extra} : $run->{data}{extra} ]
				: undef);
			count_failures($run, $branch, $end->{failures});
			push @status, $end->{end} eq 'ok' ? 'completed' : $end->{end} eq 'failed' ? 'failed' : 'any';
			next;
		}
		$status[$branch] = $end->{end} ne 'error' ? 'cancelled' : $all ? 'failed' : 'failed cancelled';
		count_failures($run, $branch, $all ? $end->{failures} : 0, $end->{failures});
	}
	$run->{branches}{ $run->{state} } = \@status;
	return end_split($run, $part, \@ends, $done, $acts);
}

# The verdict: what the branches' order made of the join.
sub end_split
{
	my ($run, $part, $ends, $done, $acts) = @_;
	my @may = endings($part, $ends, $done);
	my ($cancels) = grep { $done->{$_} && $ends->[$_]{end} eq 'cancel' } 0 .. $#$ends;

	if (!@may)
	{
		push @{ $run->{refused} },
		    "no order of branches of $run->{state} ($part->{join}{strategy}: "
		  . join(' ', map { $_->{end} } @$ends)
		  . ') allows just these: '
		  . join(' ', sort keys %$done);
		return fail($run, undef, category => 'workflow');
	}
	my $ending = @may > 1 ? observe_ending($run, @may) : $may[0];

	return cancel($run, $acts->{$cancels}{why}) if $ending eq 'cancelled';
	return fail($run, 0, category => 'workflow', message => qr/timeout/i) if $ending eq 'timeout';
	return fail($run, 0, category => 'workflow', message => qr/condition not met|partial_?timeout/i) if $ending eq 'missed';
	store_output($run,
		[ map { $done->{$_} && $ends->[$_]{end} eq 'ok' ? $ends->[$_]{output} : undef } 0 .. $#$ends ],
		$part->{output_key} // $run->{state});
	return $part->{next};
}

# Which of several endings was it?
sub observe_ending
{
	my ($run, @may) = @_;
	my $seen = $run->{seen};
	my $was = 'timeout';

	return $may[0] if !$seen;
	$was = 'missed' if ($seen->{error}{message} // '') !~ /timeout/ || !grep { $_ eq 'timeout' } @may;
	$was = 'met' if ($seen->{state} // '') ne $run->{state} || @{ $seen->{log} } > @{ $run->{log} };
	return (grep { $_ eq $was } @may)[0] // $may[0];
}

# How the split may end when just these have done something that is kept.
sub endings
{
	my ($part, $ends, $done) = @_;
	my %all = (ok => 0, failed => 0, error => 0, cancel => 0, never => 0);
	my %got = (%all);
	my $total = @$ends;
	my $needed = needed($part->{join}, $total);
	my $strategy = $part->{join}{strategy};
	my $short = ($part->{timeout} // '1 min') ne '1 min';

	$all{ $_->{end} }++ foreach @$ends;
	$got{ $ends->[$_]{end} }++ foreach keys %$done;
	return if $got{error} || $got{never} || $got{cancel} > 1;

	my $rest = $all{ok} > $got{ok} || $all{failed} > $got{failed};
	my $early = $strategy eq 'any' || $strategy eq 'partial';
	my @may;

	if ($got{cancel})
	{
		return if $early && ($needed > 0 ? $got{ok} >= $needed : $got{ok} + $got{failed});
		return 'cancelled';
	}
	push @may, 'timeout' if $short && $strategy ne 'partial_timeout';
	if ($early && $total > 0)
	{
		return if $got{ok} > max($needed, 1) || ($needed == 0 && $got{ok} + $got{failed} > 1);
		return 'met' if $needed > 0 && $got{ok} == $needed;
		if ($needed == 0)
		{
			return 'met' if $got{ok} + $got{failed};
			unshift @may, 'met' if $all{error};
			return @may;
		}
	}

	# All that can end have ended, perhaps.
	my $ended = !$rest && !$all{cancel} && !$all{never};

	if ($strategy eq 'partial_timeout')
	{
		return if !$short && !$ended;
		return $total ? 'met' : 'missed' if $ended && !$short;
		return 'met' if $got{ok} + $got{failed};
		return $all{error} ? ('met', 'missed') : 'missed';
	}
	unshift @may, $got{ok} >= $needed ? 'met' : 'missed' if $ended;
	return @may;
}

sub needed
{
	my ($join, $total) = @_;
	my $strategy = $join->{strategy};

	return $total if $strategy eq 'all';
	return 1 if $strategy eq 'any' || $strategy eq 'partial_timeout';
	return $join->{n} if $strategy eq 'quorum' || $strategy eq 'partial';
	return ceil(sprintf('%.6f', $total * $join->{p}));
}

# Which branches have left effects, and whether all of them have surely ended.
sub observe_branches
{
	my ($run, $part, $ends) = @_;
	my %done = map { $_->[1] => 1 }
	  grep { $_->[0] eq $run->{state} && $_->[3] eq $run->{data}{n} && defined $_->[1] } @{ $run->{seen}{ledger} // [] };
	my %is = map { $_->{end} => 1 } @$ends;
	my $strategy = $part->{join}{strategy};
	my $needed = needed($part->{join}, scalar @$ends);
	my $ok = grep { $_->{end} eq 'ok' } @$ends;
	my $early = ($strategy eq 'any' || $strategy eq 'partial') && $ok >= $needed;

	return (\%done, $early || $is{cancel} || $is{never} || ($part->{timeout} // '1 min') ne '1 min' ? 'some' : 'all');
}

# ---- Batches ----

sub play_batch
{
	my ($run, $part) = @_;
	my $acts = script_entry($run);
	my $limit = limit($run, $part);
	my $items = $acts->{items} // [];
	my $finish = $acts->{finish} // {};
	my @ends = map { +{ attempts_of($_, retry_limit($part->{item_retry} // { policy => 'none' })) } } @$items;

	foreach my $attempt (1 .. $limit)
	{
		if ($attempt <= ($acts->{load}{fail} // 0))
		{
			count_failures($run, undef, 1);
			return fail($run, 1, batch_error($acts->{load}, $attempt, $limit))
			  if is_last($acts->{load}, $attempt, $limit);
			next;
		}
		note($run, undef, $attempt, 'load');
		return if !play_items($run, $items, \@ends);
		if (!$part->{finish})
		{
			store_output($run, [ map { slot($_, $items) } map { +{ %{ $ends[$_] }, at => $_ } } 0 .. $#ends ]);
			return $part->{next};
		}
		if ($attempt <= ($finish->{fail} // 0))
		{
			count_failures($run, undef, 1);
			return fail($run, 1, batch_error($finish, $attempt, $limit))
			  if is_last($finish, $attempt, $limit);
			next;
		}
		my $got = [ map { slot($_, $items) } map { +{ %{ $ends[$_] }, at => $_ } } 0 .. $#ends ];

		return settle($run, { %$part, run => 'wf.finish' }, $finish, $attempt, 'finish',
			{ n => $run->{data}{n} + 1, got => $got, %{ $finish->{out} // {} } });
	}
	die 'a batch without end';
}

sub slot
{
	my ($end, $items) = @_;

	return { ok => $items->[ $end->{at} ]{out} } if !$end->{error};
	my %error = %{ $end->{error} };

	# The item's own last error, not wrapped.
	$error{category} = 'task_execution' if $error{category} eq 'retry_exhausted';
	return {
		error => {
			category => $error{category},
			sqlstate => $error{sqlstate},
			message => "no $error{attempts}"
		}
	};
}

# Once all items; false if one of them ended the run.
sub play_items
{
	my ($run, $items, $ends) = @_;
	my @panics = grep { (($ends->[$_]{error} // {})->{message} // q{}) =~ /panic/ } 0 .. $#$ends;
	my @status;
	my %seen;

	$seen{ $_->[1] }++
	  foreach grep { $_->[0] eq $run->{state} && $_->[3] eq $run->{data}{n} && defined $_->[1] } @{ $run->{seen}{ledger} // [] };
	foreach my $item (0 .. $#$items)
	{
		my $end = $ends->[$item];
		my $sure = !@panics;

		if (!$end->{error} && ($sure || $seen{$item}))
		{
			note($run, $item, $end->{attempt}, undef);
			count_failures($run, $item, $end->{failures});
			push @status, 'completed';
			next;
		}
		count_failures($run, $item, $sure ? $end->{failures} : 0, $end->{failures});
		push @status, !$end->{error} ? 'cancelled' : $sure ? 'failed' : 'failed cancelled';
	}
	$run->{items}{ $run->{state} } = \@status;
	return 1 if !@panics;
	# Whether that is an attempt of the batch, too, the contract does not say.
	count_failures($run, undef, 0, 1);
	fail($run, 1, category => 'task_execution', message => qr/^panic: /);
	return 0;
}

sub is_last
{
	my ($act, $attempt, $limit) = @_;

	return $attempt == $limit || !is_raised($act);
}

sub batch_error
{
	my ($act, $attempt, $limit) = @_;
	my %result = attempts_of({ %$act, fail => 99 }, $limit);

	return (%{ $result{error} }, attempts => $attempt, message => qr/no $attempt$/);
}

1;
