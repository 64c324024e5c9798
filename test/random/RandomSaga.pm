# What a run has completed that can be undone, and how it is.
package RandomSaga;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';

our @EXPORT_OK = qw(complete_state supersede drain saga_differs do_not_add_up);

# A state has run that has a compensation: that is one more row in the log.
sub complete_state
{
	my ($run, $part, $output) = @_;

	return if !$part->{compensate};
	push @{ $run->{log} }, "compensation_completion $run->{state}";
	push @{ $run->{stack} }, { state => $run->{state}, part => $part, output => $output, row => $#{ $run->{log} } };
	return;
}

# A run goes on with the state that it completed last: it will do that again,
# so that what it did is not undone any more.
sub supersede
{
	my ($run) = @_;
	my $stack = $run->{stack};

	pop @$stack if @$stack && $stack->[-1]{row} == $#{ $run->{log} } && $stack->[-1]{state} eq $run->{state};
	return;
}

# What the compensation of an entry is told, by the number in its output.
sub find_act
{
	my ($run, $entry) = @_;
	my $output = $entry->{output};
	my $n = ref $output eq 'HASH' ? $output->{n} : undef;

	$run->{author}->write_undo($run, $entry, $n // 'any')
	  if $run->{author} && !exists $run->{script}{ $entry->{state} }{undo}{ $n // 'any' };
	return ($run->{script}{ $entry->{state} }{undo}{ $n // 'any' } // {}, $n // $run->{data}{n});
}

# The run has failed or was cancelled: undo all, the latest first.  What fails
# is left, and others are tried all the same.  "attempts_of": what comes of an
# action.
sub drain
{
	my ($run, $attempts_of, $retry_limit) = @_;
	my @errors = ($run->{error});
	my @left;

	foreach my $entry (reverse @{ $run->{stack} })
	{
		my ($act, $n) = find_act($run, $entry);
		my $retry = $entry->{part}{compensate_retry} // { policy => 'none' };
		my %result = $attempts_of->($act, $retry_limit->($retry));
		my $count = $run->{attempts}{"undo $entry->{state}|"} //= [ 0, 0 ];

		$_ += $result{failures} foreach @$count;
		if ($result{error})
		{
			push @errors, $result{error};
			unshift @left, $entry;
			next;
		}
		push @{ $run->{undone} }, [ $entry->{state}, $result{attempt}, $n, $entry->{output} ];
	}
	$run->{rollback} = @errors > 1 ? 'partial' : @{ $run->{stack} } ? 'clean' : 'none';
	$run->{left} = [ map { [ $_->{state}, $_->{output} ] } @left ];
	$run->{stack} = \@left;
	$run->{error} = { category => 'compensation_failed', sqlstate => 'CN008', errors => \@errors } if @errors > 1;
	return;
}

# ---- Comparing ----

# Whatever became of a run: what it completed was undone, the latest first, or
# is still on its stack, or all of it counts.
sub do_not_add_up
{
	my ($got, $text_of) = @_;
	my @done = map { $text_of->($_) } @{ $got->{completions} };
	my @undone = map { $text_of->([ @$_[ 0, 3 ] ]) } @{ $got->{undone} };
	my @left = map { $text_of->($_) } @{ $got->{stack} };
	my @found;

	if ($got->{status} eq 'completed')
	{
		push @found, 'it is completed, and something was undone' if @undone || @left;
		return @found;
	}
	foreach my $entry (reverse @done)
	{
		if (@undone && $undone[0] eq $entry)
		{
			shift @undone;
		}
		elsif (@left && $left[-1] eq $entry)
		{
			pop @left;
		}
		else
		{
			push @found, "neither undone in its turn nor left: $entry";
		}
	}
	push @found, map({ "undone, and was not done: $_" } @undone), map { "left, and was not done: $_" } @left;
	return @found;
}

# In what the end of a run differs.
sub saga_differs
{
	my ($want, $got, $text_of) = @_;
	my @found = $want->{ends} > 1 ? () : do_not_add_up($got, $text_of);
	my @errors = @{ ($want->{error} // {})->{errors} // [] };
	my @is = @{ ($got->{error} // {})->{errors} // [] };
	my %pairs = (
		undone => [ map { $text_of->($_ // []) } $want->{undone}, $got->{undone} ],
		left => [ map { $text_of->($_ // []) } $want->{left}, $got->{stack} ]);

	push @found, map { "$_: wanted $pairs{$_}[0], is $pairs{$_}[1]" } grep { $pairs{$_}[0] ne $pairs{$_}[1] } sort keys %pairs;

	# The errors of a child that was half undone may be among those of its parent.
	return @found if grep { ($_->{category} // '') eq 'compensation_failed' } $want->{child_error} // {};
	push @found, 'wanted ' . @errors . ' errors, are ' . @is if @errors != @is;
	foreach my $at (0 .. ($#errors < $#is ? $#errors : $#is))
	{
		my ($error, $what) = ($errors[$at], $is[$at]);

		push @found, "error $at: wanted $error->{category}, is $what->{category}" if $error->{category} ne $what->{category};
		push @found, "error $at: message $what->{message}" if $error->{message} && $what->{message} !~ $error->{message};
	}
	return @found;
}

1;
