# Random runs on a server, and what became of them against the model.
package RandomRuns;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use JSON::PP;
use PostgreSQL::Test::Utils;
use RandomFlow qw(family describe);
use RandomModel qw(play_run);
use RandomSaga qw(saga_differs do_not_add_up);

our @EXPORT_OK = qw(install start_runs ended stuck compare differences describe_case shrink left_over stories half_done);

my $json = JSON::PP->new->canonical->allow_nonref;

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

# Define the workflows and submit the runs; each of them gets its id.  With
# "cancelling", after each one some run is cancelled.
sub start_runs
{
	my ($node, $flows, $names, $runs, $cancelling) = @_;
	my $cancel = $cancelling ? "SELECT wf.cancel_one() \\g /dev/null\n" : '';
	my $beyond = $node->safe_psql('postgres', 'SELECT coalesce(max(run_id), 0) FROM cano.runs');
	my $define = join '', map { 'SELECT cano.define(' . quote($_) . ', ' . quote(document($flows->{$_})) . ") \\g /dev/null\n" } @$names;
	my $submit = join '', map {
		sprintf "SELECT wf.start(%s, %s, %s, %s, %s);\n", quote($_->{flow}), quote($_->{input}), $_->{priority},
		  $_->{max_attempts} // 'NULL', quote($_->{late} ? [] : $_->{signals})
	} @$runs;

	$submit =~ s/\n/\n$cancel/g;

	$node->safe_psql('postgres', $define);
	my @ids = split /\n/, $node->safe_psql('postgres', $submit, extra_params => [ '-U', 'worker' ]);

	$runs->[$_]{id} = $ids[$_] foreach 0 .. $#$runs;
	my $late = join '', map { "SELECT wf.send($_->{id}, " . quote($_->{signals}) . ") \\g /dev/null\n" } grep { $_->{late} } @$runs;
	$node->safe_psql('postgres', $late, extra_params => [ '-U', 'worker' ]) if $late;
	return $beyond;
}

# Have all of them ended, within so many seconds?
sub ended
{
	my ($node, $beyond, $seconds) = @_;
	local $PostgreSQL::Test::Utils::timeout_default = $seconds // 60;

	return $node->poll_query_until('postgres', "SELECT NOT EXISTS (SELECT FROM cano.runs WHERE run_id > $beyond AND ended_at IS NULL)");
}

# What is left in the queue; there is a moment between the end of a run and
# that of those whom it leaves behind.
sub left_over
{
	my ($node) = @_;
	my $left = 'SELECT (SELECT count(*) FROM cano._job) + (SELECT count(*) FROM cano._timer)';

	return $node->poll_query_until('postgres', $left, '0') ? '' : $node->safe_psql('postgres', $left);
}

# Where those are that have not ended.
sub stuck
{
	my ($node, $beyond) = @_;

	return $node->safe_psql('postgres', <<SQL);
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

# What became of all runs: id => story, with its children in order.
sub stories
{
	my ($node, $beyond) = @_;
	my $lines = $node->safe_psql('postgres', "SELECT wf.stories($beyond)");
	my %all;

	utf8::decode($lines);
	foreach my $story (map { $json->decode($_) } split /\n/, $lines)
	{
		$story->{$_} //= [] foreach qw(log ledger attempts branches items undone stack completions);
		$all{ $story->{run} } = $story;
		push @{ $all{ $story->{parent} }{children} }, $story if $story->{parent};
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

# The runs of a portion that differ: [run, difference ...] each.
sub compare
{
	my ($flows, $runs, $stories) = @_;
	my @found;

	foreach my $run (@$runs)
	{
		my $story = $stories->{ $run->{id} };
		my $want = play_run($flows, $run->{flow}, $run->{input},
			signals => $run->{signals},
			max_attempts => $run->{max_attempts},
			seen => $story);
		my @differences = differences($want, $story);

		push @found, [ $run, @differences ] if @differences;
	}
	return @found;
}

# What is wrong with a run that was cancelled from outside.
sub half_done
{
	my ($flow, $got) = @_;
	my @found;
	my %seen;

	push @found, "status $got->{status}" if $got->{status} ne 'cancelled';
	my ($error) = $got->{rollback} eq 'partial' ? $got->{error}{errors}[0] : $got->{error};

	push @found, "category $error->{category}" if $error->{category} ne 'cancelled';
	push @found, "message $error->{message}" if $error->{message} ne 'from outside';
	push @found, "rollback $got->{rollback}, with " . @{ $got->{stack} } . ' left'
	  if $got->{rollback} ne (@{ $got->{stack} } ? 'partial' : @{ $got->{completions} } ? 'clean' : 'none');
	push @found, do_not_add_up($got, \&text_of);
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
	  . ', signals ' . text_of($run->{signals});

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

# Smaller cases than this one: less of the script, and states left out.
sub smaller
{
	my ($flows, $run) = @_;
	my $script = $run->{input}{script};
	my @cases;

	foreach my $state (sort keys %$script)
	{
		foreach my $key (grep { $_ ne 'to' } sort keys %{ $script->{$state} })
		{
			my $less = copy($script);

			delete $less->{$state}{$key};
			push @cases, [ $flows, { %$run, input => with_script($run->{input}, $less) } ];
		}
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
	my @same = map { +{%$run} } 1 .. 5;
	my @found;

	eval {
		my $beyond = start_runs($node, $flows, [ family($flows, $run->{flow}) ], \@same);

		if (ended($node, $beyond, 5))
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
