# Random runs on a server, and what became of them against the model.
package RandomRuns;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use JSON::PP;
use PostgreSQL::Test::Utils;
use RandomFlow qw(family describe random_resumption);
use RandomModel qw(play_run resume_run);
use RandomSaga qw(saga_differs do_not_add_up);
use RandomTrouble;

our @EXPORT_OK = qw(install start_runs resume_some ended stuck compare describe_case shrink orphans stories is_half_done first_error);

my $json = JSON::PP->new->canonical->allow_nonref;
my $trials = 0;

sub quote
{
	my ($value) = @_;
	my $text = ref $value ? $json->encode($value) : $value;

	return 'NULL' if !defined $value;
	utf8::encode($text);
	return q{E'} . $text =~ s/([\\'])/\\$1/gr . q{'};
}

# What cano.define takes.
sub document
{
	my ($flow) = @_;
	my %states = map {
		my %part = %{ $flow->{states}{$_} };
		delete $part{forward};
		$_ => \%part
	} keys %{ $flow->{states} };

	return { start => $flow->{start}, states => \%states, $flow->{options} ? (options => $flow->{options}) : () };
}

sub install
{
	my ($node, $directory) = @_;
	local $/;

	open my $file, '<', "$directory/functions.sql" or die "no functions: $!";
	$node->safe_psql('postgres', <$file>);
	return;
}

# The output of statements that may be said again: the server may be killed
# meanwhile.
sub insist
{
	my ($node, $sql, @params) = @_;
	my $until = time + 300;

	while (time < $until)
	{
		local $SIG{PIPE} = 'IGNORE';
		my ($status, $output, $error) = eval { $node->psql('postgres', $sql, extra_params => \@params) };

		return $output if defined $status && $status == 0;
		die $error if defined $status && $status != 2;
		RandomTrouble::wait_until_up($node);
	}
	die "for minutes in vain: $sql";
}

# Define the workflows and submit the runs; each of them gets its id.  With
# "cancelling", after each one some run is cancelled that may have ended.  Returns an id that is
# less than those of all of them.
sub start_runs
{
	my ($node, $portion, $flows, $names, $runs, $cancelling) = @_;
	my $beyond = insist($node, 'SELECT coalesce(max(id), 0) FROM cano._run');
	my $define = join '', map { 'SELECT cano.define(' . quote($_) . ', ' . quote(document($flows->{$_})) . ") \\g /dev/null\n" } @$names;
	my $submit = '';
	my $late = '';

	foreach my $at (0 .. $#$runs)
	{
		my $run = $runs->[$at];
		my $send = @{ $run->{signals} } ? "SELECT wf.send($portion, $at, " . quote($run->{signals}) . ") \\g /dev/null\n" : '';

		# All signals are there when the run begins, or come late.
		$submit .= 'BEGIN;' if $send;
		$submit .= sprintf "SELECT wf.start(%d, %d, %s, %s, %s, %s, %s, %s) \\g /dev/null\n", $portion, $at,
		  quote($run->{flow}), quote($run->{input}), $run->{priority}, $run->{max_attempts} // 'NULL',
		  map { $_ ? 'true' : 'false' } @{$run}{qw(keyed delayed)};
		$submit .= $send if !$run->{late};
		$submit .= "COMMIT;\n" if $send;
		$submit .= sprintf "SELECT cano.cancel(run, 'from outside') FROM wf.started WHERE portion = %d AND at = %d \\g /dev/null\n",
		  $portion, rand $at + 1
		  if $cancelling;
		$late .= $send if $run->{late};
	}
	insist($node, $define);
	insist($node, $submit . $late, '-U', 'worker');

	my @ids = split /\n/, insist($node, "SELECT run FROM wf.started WHERE portion = $portion ORDER BY at");

	$runs->[$_]{id} = $ids[$_] foreach 0 .. $#$runs;
	return $beyond;
}

# Some of the runs that have ended as they should go on.  Returns how many.
sub resume_some
{
	my ($node, $flows, $runs, $beyond) = @_;
	my $stories = stories($node, $beyond, 'only open');
	my $resume = '';
	my $count = 0;

	# Who was late with his signals may have been too late.
	foreach my $run (grep { !$_->{late} } @$runs)
	{
		my $story = $stories->{ $run->{id} } // next;
		my $was = replay($flows, $run, $story);

		next if is_half_done($flows, $run, $story) || differences($was, $story);
		my $resumption = random_resumption($flows, $run, $was) // next;

		$run->{resumed} = [ { %$resumption, seen => $story } ];
		$resume .= resumption($run);
		$count++;
	}
	insist($node, $resume, '-U', 'worker');
	return $count;
}

# A statement that lets a run go on.
sub resumption
{
	my ($run) = @_;
	my $resumption = $run->{resumed}[0];

	return sprintf "SELECT wf.resume(%d, %s, %s, %s, %s) \\g /dev/null\n", $run->{id},
	  map({ quote($resumption->{$_}) } qw(state patch)), $resumption->{force} ? 'true' : 'false',
	  quote($resumption->{signals} // []);
}

# Have all of them ended?  False when nobody else has for so many seconds.
sub ended
{
	my ($node, $beyond, $seconds) = @_;
	my $before = '';
	my $since = time;
	my $flush = "SELECT pg_logical_emit_message(true, 'wf', '') \\g /dev/null\n";

	while (1)
	{
		my $remaining = insist($node, "CALL wf.attend($beyond, NULL)");

		# What was committed without waiting for the disk is there after the
		# next that waits.
		last if $remaining eq '0' && insist($node, "${flush}CALL wf.attend($beyond, NULL)") eq '0';
		($before, $since) = ($remaining, time) if $remaining ne $before;
		return 0 if time > $since + ($seconds // 90);
	}
	return 1;
}

# What is left where nothing should be; there is a moment between the end of a
# run and that of those whom it leaves behind.
sub orphans
{
	my ($node, $beyond) = @_;
	my $until = time + 60;
	my $found;

	do
	{
		$found = insist($node, "SELECT * FROM wf.orphans($beyond)");
	} while ($found ne '' && time < $until);
	return $found;
}

# Where those are that have not ended.
sub stuck
{
	my ($node, $beyond) = @_;

	return insist($node, <<SQL);
SELECT to_jsonb(r) - 'input' - 'data' || jsonb_build_object(
	'jobs', (SELECT jsonb_agg(to_jsonb(j) - 'data') FROM cano._job j WHERE j.run = r.run_id),
	'timers', (SELECT jsonb_agg(to_jsonb(t) - 'data') FROM cano._timer t WHERE t.run = r.run_id),
	'fans', (SELECT jsonb_agg(to_jsonb(f) - 'data') FROM cano._fan f WHERE f.run = r.run_id),
	'parts', (SELECT jsonb_agg(to_jsonb(b) - 'output' - 'input' - 'error') FROM cano._fan f JOIN cano._branch b ON b.fan = f.id WHERE f.run = r.run_id))
FROM cano.runs r
WHERE r.run_id > $beyond AND (r.ended_at IS NULL
	OR EXISTS (SELECT FROM cano._job j WHERE j.run = r.run_id) OR EXISTS (SELECT FROM cano._timer t WHERE t.run = r.run_id))
LIMIT 3
SQL
}

# What became of all runs, or of those that may go on: id => story, with its
# children in order.
sub stories
{
	my ($node, $beyond, $only_open) = @_;
	my $lines = insist($node, "SELECT wf.stories($beyond, " . ($only_open ? 'true' : 'false') . ')');
	my %all;

	utf8::decode($lines);
	foreach my $story (map { $json->decode($_) } split /\n/, $lines)
	{
		$story->{$_} //= [] foreach qw(log ledger attempts branches items undone stack completions);
		$all{ $story->{run} } = $story;
		push @{ $all{ $story->{parent} }{children} }, $story if $story->{parent} && $all{ $story->{parent} };
	}
	return \%all;
}

# ---- Comparing ----

# The same JSON, whatever Perl thinks of its numbers.
sub text_of
{
	my ($value) = @_;

	return 'null' if !defined $value;
	return '[' . join(',', map { text_of($_) } @$value) . ']' if ref $value eq 'ARRAY';
	return $json->encode("$value") if ref $value ne 'HASH';
	return '{' . join(',', map { $json->encode($_) . ':' . text_of($value->{$_}) } grep { !/^(?:script|sub)$/ } sort keys %$value) . '}';
}

sub lists_differ
{
	my ($what, $want, $got) = @_;
	my ($wanted, $is) = map { join "\n    ", sort @$_ } $want, $got;

	return $wanted eq $is ? () : "$what: wanted\n    $wanted\n  is\n    $is";
}

# In what a run differs from what the model allows, in words.
sub differences
{
	my ($want, $got) = @_;
	my @found = @{ $want->{refused} };
	my $error = $want->{error};

	my %pairs = (
		status => [ $want->{status}, $got->{status} ],
		state => [ $want->{state}, $got->{state} ],
		data => [ text_of($want->{data}), text_of($got->{data}) ],
		log => [ "@{ $want->{log} }", "@{ $got->{log} }" ],
		category => [ $error->{category} // '', ($got->{error} // {})->{category} // '' ],
		rollback => [ $want->{rollback} // 'none', $got->{rollback} ],
		around => [ map { text_of($_) } expected_around($want), $got->{around} // {} ],
		cleared => [ $want->{status} eq 'completed' || $want->{rollback} eq 'clean' ? 1 : 0, $got->{cleared} ? 1 : 0 ],
		result => [ $want->{status} eq 'completed' ? 1 : 0, $got->{result} ? 1 : 0 ],
		gaps => [ 0, $got->{gaps} ? 1 : 0 ],
		children => [ scalar @{ $want->{children} }, scalar @{ $got->{children} // [] } ]);

	$pairs{sqlstate} = [ $error->{sqlstate}, $got->{error}{sqlstate} // '' ] if $error->{sqlstate};
	$pairs{attempts} = [ $error->{attempts}, $got->{error}{attempts} // '' ] if $error->{attempts};
	$pairs{dead} = [ $want->{dead}, $got->{dead} ? 1 : 0 ] if defined $want->{dead};
	$pairs{reason} = [ $want->{reason}, $got->{reason} // '' ] if defined $want->{reason};
	push @found, map { "$_: wanted $pairs{$_}[0], is $pairs{$_}[1]" } grep { $pairs{$_}[0] ne $pairs{$_}[1] } sort keys %pairs;
	push @found, "message: " . ($got->{error}{message} // "none")
	  if $error->{message} && ($got->{error}{message} // '') !~ $error->{message};
	push @found, lists_differ('effects', map { [ map { text_of($_) } @$_ ] } $want->{ledger}, $got->{ledger});
	push @found, saga_differs($want, $got, \&text_of);
	push @found, attempts_differ($want->{attempts}, $got->{attempts});
	push @found, parts_differ($_, $want->{$_}, $got->{$_}) foreach qw(branches items);
	foreach my $child (0 .. $#{ $want->{children} })
	{
		push @found, map { "child $child: $_" } differences($want->{children}[$child], $got->{children}[$child])
		  if $got->{children}[$child];
	}
	return @found;
}

# What is called before the first state and after each end of a run.
sub expected_around
{
	my ($want) = @_;
	my $options = $want->{flow}{options} // {};

	return {
		$options->{on_end} ? (ended => $want->{ends}) : (),
		$options->{resources} ? ('set up' => $want->{set_up}, 'torn down' => $want->{set_up}) : ()
	};
}

sub attempts_differ
{
	my ($want, $got) = @_;
	my %count;
	my @found;

	$count{ "$_->[0]|" . ($_->[1] // '') }++ foreach @$got;
	foreach my $key (sort keys %{ { %count, %$want } })
	{
		my ($least, $most) = @{ $want->{$key} // [ 0, 0 ] };
		my $is = $count{$key} // 0;

		push @found, "failed attempts of $key: wanted $least to $most, is $is" if $is < $least || $is > $most;
	}
	return @found;
}

# Of branches or items, at the latest visit: each has one of the statuses.
sub parts_differ
{
	my ($what, $want, $got) = @_;
	my %is = map { ("$_->[0]|$_->[1]" => $_->[2]) } @$got;
	my @found;

	foreach my $state (sort keys %$want)
	{
		# The latest visit that had some.
		delete @is{ grep { /^\Q$state\E\|/ } keys %is } if !@{ $want->{$state} };
		foreach my $at (0 .. $#{ $want->{$state} })
		{
			my $status = delete $is{"$state|$at"} // 'absent';

			push @found, "$what: $at of $state: wanted $want->{$state}[$at], is $status"
			  if $want->{$state}[$at] ne 'any' && !grep { $_ eq $status } split ' ', $want->{$state}[$at];
		}
	}
	return @found, map { "$what: $_ is $is{$_}" } sort keys %is;
}

# What must have become of a run, by what was seen: so far, and each time that
# it had ended and went on.
sub replay
{
	my ($flows, $run, $story) = @_;
	my @stories = (map({ $_->{seen} } @{ $run->{resumed} }), $story);
	my $want = play_run($flows, $run->{flow}, $run->{input},
		signals => $run->{signals},
		max_attempts => $run->{max_attempts},
		seen => shift @stories);

	resume_run($want, $_, seen => shift @stories) foreach @{ $run->{resumed} };
	return $want;
}

# The runs of a portion that differ: [run, difference ...] each.
sub compare
{
	my ($flows, $runs, $stories) = @_;
	my @found;

	foreach my $run (@$runs)
	{
		my $story = $stories->{ $run->{id} };
		my @differences = is_half_done($flows, $run, $story) ? half_done($flows, $run, $story)
		  : differences(replay($flows, $run, $story), $story);

		push @found, [ $run, @differences ] if @differences;
	}
	return @found;
}

# Was it cancelled from outside, or was its time over?
sub is_half_done
{
	my ($flows, $run, $story) = @_;

	return ($story->{reason} // '') eq 'from outside' || $flows->{ $run->{flow} }{hasty} && first_error($story)->{category} eq 'workflow_timeout';
}

sub first_error
{
	my ($story) = @_;
	my $error = $story->{error} // {};

	$error = $error->{errors}[0] if $story->{rollback} eq 'partial';
	return { category => '', message => '', %$error };
}

# What is wrong with such a run.
sub half_done
{
	my ($flows, $run, $got) = @_;
	my $flow = $flows->{ $run->{flow} };
	my $ends = 1 + @{ $run->{resumed} };
	my @found;
	my %seen;
	my $error = first_error($got);
	my $hasty = $error->{category} eq 'workflow_timeout';
	my $abandoned = $hasty && $flow->{options}{on_timeout} eq 'abandon';
	my $around = $got->{around} // {};

	push @found, "status $got->{status}" if $got->{status} ne ($hasty ? 'failed' : 'cancelled');
	push @found, "category $error->{category}" if !$hasty && $error->{category} ne 'cancelled';
	push @found, "message $error->{message}" if !$hasty && $error->{message} ne 'from outside';
	push @found, 'it ended so often: ' . ($around->{ended} // 0) if $flow->{options}{on_end} && ($around->{ended} // 0) != $ends;
	push @found, 'it was set up, and not torn down, or the reverse' if ($around->{'set up'} // 0) != ($around->{'torn down'} // 0);
	push @found, "rollback $got->{rollback}, with " . @{ $got->{stack} } . ' left'
	  if $got->{rollback} ne ($abandoned ? 'none' : @{ $got->{stack} } ? 'partial' : @{ $got->{completions} } ? 'clean' : 'none');
	push @found, do_not_add_up($got, \&text_of) if !grep { $_->{force} } @{ $run->{resumed} };
	push @found, 'the log has a gap' if $got->{gaps};
	push @found, 'it has a result' if $got->{result};
	push @found, 'it is a dead letter' if $got->{dead};

	# The attempts of a batch have the same items, and a poll asks again.
	foreach my $row (map { text_of($_) } grep { $flow->{states}{ $_->[0] }{kind} !~ /batch|poll|router|timer/ } @{ $got->{ledger} })
	{
		push @found, "twice: $row" if $seen{$row}++ == 1;
	}
	my %is = map { $_ => 1 } @{ $got->{log} };

	push @found, map { "its effects are there without its row: $_->[0]" }
	  grep { $flow->{states}{ $_->[0] }{kind} ne 'router' && !$is{"state_entry $_->[0]"} } @{ $got->{ledger} };
	push @found, map { "a child of it is $_->{status}" } grep { $_->{status} !~ /^(?:completed|failed|cancelled)$/ } @{ $got->{children} // [] };
	return @found;
}

# ---- Cases to look at ----

sub decoded
{
	my ($text) = @_;

	utf8::decode($text);
	return $text;
}

sub describe_case
{
	my ($flows, $run, @differences) = @_;
	my %script = %{ $run->{input}{script} };

	my $text = join "\n", "run $run->{id} of \"$run->{flow}\"",
	  (map { "  $_" } @differences),
	  (map { "SELECT cano.define(" . decoded(quote($_)) . ", " . decoded(quote(document($flows->{$_}))) . ");" } family($flows, $run->{flow})),
	  'script ' . $json->encode(\%script),
	  'extra ' . text_of([ map { $_->{extra} } $run->{input}, $run->{input}{sub} ])
	  . ', max_attempts ' . ($run->{max_attempts} // 'none')
	  . ', signals ' . text_of($run->{signals}),
	  map { 'resumed ' . $json->encode({ %$_, seen => 'not shown' }) } @{ $run->{resumed} };

	utf8::encode($text);
	return $text;
}

sub copy
{
	my ($value) = @_;

	return [ map { copy($_) } @$value ] if ref $value eq 'ARRAY';
	return { map { $_ => copy($value->{$_}) } keys %$value } if ref $value eq 'HASH';
	return $value;
}

# The input has its script in several places; all of them are the same.
sub with_script
{
	my ($input, $script) = @_;

	return {
		%$input,
		script => $script,
		$input->{sub} ? (sub => with_script($input->{sub}, $script)) : ()
	};
}

# Scripts that say less.
sub shorter
{
	my ($script) = @_;
	my @shorter;

	foreach my $state (sort keys %$script)
	{
		foreach my $key (grep { $_ ne 'to' } sort keys %{ $script->{$state} })
		{
			my $less = copy($script);

			delete $less->{$state}{$key};
			push @shorter, $less;
		}
	}
	return @shorter;
}

# Smaller cases than this one: not resumed, less of a script, and states left
# out.
sub smaller
{
	my ($flows, $run) = @_;
	my ($resumption) = @{ $run->{resumed} };
	my @cases = map { [ $flows, { %$run, input => with_script($run->{input}, $_) } ] } shorter($run->{input}{script});

	if ($resumption)
	{
		unshift @cases, [ $flows, { %$run, resumed => [] } ];
		push @cases, map { [ $flows, { %$run, resumed => [ { %$resumption, patch => with_script($resumption->{patch}, $_) } ] } ] }
		  shorter($resumption->{patch}{script});
		return @cases;
	}
	foreach my $state (grep { ($flows->{ $run->{flow} }{states}{$_}{kind}) ne 'exit' } @{ $flows->{ $run->{flow} }{order} })
	{
		my $flow = copy($flows->{ $run->{flow} });
		my $part = delete $flow->{states}{$state};
		my $next = $part->{next} // $part->{forward};

		$flow->{start} = $next if $flow->{start} eq $state;
		foreach my $other (values %{ $flow->{states} })
		{
			foreach my $edge (grep { ($other->{$_} // '') eq $state } qw(next forward on_timeout on_failure))
			{
				$other->{$edge} = $next;
			}
			@{ $other->{targets} } = map { $_ eq $state ? $next : $_ } @{ $other->{targets} } if $other->{targets};
		}
		next if !$flow->{states}{$next};
		my $script = copy($run->{input}{script});

		foreach my $entry (map { values %$_ } values %$script)
		{
			$entry->{to} = $next if ref $entry eq 'HASH' && ($entry->{to} // '') eq $state;
		}
		$script->{$_}{to} = $next foreach grep { ($script->{$_}{to} // '') eq $state } keys %$script;
		push @cases,
		  [ { %$flows, $run->{flow} => describe($flow, $flows) }, { %$run, input => with_script($run->{input}, $script) } ];
	}
	return @cases;
}

# Does a case differ, at one of five times?  Which may wait for ever, so much
# smaller than it was.
sub try_case
{
	my ($node, $flows, $run) = @_;
	my @same = map { +{ %$run, resumed => [] } } 1 .. 5;
	my @found;

	eval {
		my $beyond = start_runs($node, --$trials, $flows, [ family($flows, $run->{flow}) ], \@same);

		if (ended($node, $beyond, 5) && (!@{ $run->{resumed} } || resume_same($node, $beyond, $run->{resumed}[0], @same)))
		{
			@found = compare($flows, \@same, stories($node, $beyond));
		}
		else
		{
			$node->safe_psql('postgres', "SELECT cano.cancel(run_id) FROM cano.runs WHERE run_id > $beyond AND ended_at IS NULL");
			ended($node, $beyond);
		}
	};
	return @found ? @{ $found[0] } : ();
}

# They go on as that one did.
sub resume_same
{
	my ($node, $beyond, $resumption, @same) = @_;
	my $stories = stories($node, $beyond);

	$_->{resumed} = [ { %$resumption, seen => $stories->{ $_->{id} } } ] foreach @same;
	insist($node, join('', map { resumption($_) } @same), '-U', 'worker');
	return ended($node, $beyond, 5);
}

# The smallest case found that still differs: [flows, run, differences ...].
sub shrink
{
	my ($node, $flows, $run, @differences) = @_;
	my $best = [ $flows, $run, @differences ];
	my $until = time + 60;
	my $found = 1;

	while ($found)
	{
		$found = 0;
		foreach my $case (smaller(@{$best}[ 0, 1 ]))
		{
			my @differs = try_case($node, @$case);

			return @$best if time > $until;
			next if !@differs;
			$best = [ $case->[0], @differs ];
			$found = 1;
			last;
		}
	}
	return @$best;
}

1;
