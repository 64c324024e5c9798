# Somebody who ends workers, launcher and server while runs are under way, in a
# process of his own.
package RandomTrouble;

use strict;
use warnings FATAL => 'all';

use CanoServer;
use PostgreSQL::Test::Utils;
use POSIX ();
use Time::HiRes ();

# What happens in turn, so that a few have of all kinds.
my @kinds = qw(crash stop terminate terminate terminate terminate launcher terminate crash terminate
  terminate terminate crash_launcher terminate terminate crash terminate terminate terminate restart);
my %make = (
	terminate => sub { return end_one($_[0], 'worker', 'TERM') },
	crash => sub { return end_one($_[0], 'worker', 'KILL') },
	launcher => sub { return end_one($_[0], 'launcher', 'TERM') },
	crash_launcher => sub { return end_one($_[0], 'launcher', 'KILL') },
	stop => sub { return start_again($_[0], 'immediate') },
	restart => sub { return start_again($_[0], 'fast') });

# "wanted": how many in all.
sub new
{
	my ($class, $node, $wanted) = @_;

	return bless { node => $node, wanted => $wanted, file => $node->basedir . '/troubles', seconds => 1, pid => 0 }, $class;
}

# So many of them happened: {kind => count}, or all.
sub count
{
	my ($self) = @_;
	my %count = map { $_ => 0 } keys %make;

	return \%count if !-e $self->{file};
	$count{$_}++ foreach split /\n/, slurp_file($self->{file});
	return \%count;
}

sub total
{
	my ($self) = @_;
	my $total = 0;

	$total += $_ foreach values %{ $self->count };
	return $total;
}

# Begin: so many until that share of all work is done.
sub begin
{
	my ($self, $share) = @_;
	my $had = $self->total;
	my $due = POSIX::ceil($self->{wanted} * $share) - $had;

	$self->{began} = Time::HiRes::time();
	return if $due <= 0;
	$self->{pid} = fork // die "cannot fork: $!";
	return if $self->{pid};
	eval { $self->make_all($had, $due); };
	print STDERR $@ if $@;
	POSIX::_exit(0);
}

# All runs have ended.
sub end
{
	my ($self) = @_;

	$self->{seconds} = 0.2 + Time::HiRes::time() - $self->{began};
	return if !$self->{pid};
	kill 'TERM', $self->{pid};
	waitpid $self->{pid}, 0;
	$self->{pid} = 0;
	return;
}

sub make_all
{
	my ($self, $had, $due) = @_;
	my $ends = 0;
	my $parent = getppid;

	local $SIG{TERM} = sub { $ends = 1 };
	srand($had);
	while ($due > 0 && !$ends)
	{
		select undef, undef, undef, rand(1.4 * $self->{seconds} / $due);
		last if $ends || getppid != $parent;
		my $kind = $kinds[ $had % @kinds ];

		next if !$make{$kind}->($self->{node});
		append_to_file($self->{file}, "$kind\n");
		$had++;
		$due--;
		$self->{seconds} *= $due / ($due + 1);
	}
	return;
}

# One that works, if there is one.
sub end_one
{
	my ($node, $what, $signal) = @_;
	my $pid = attempt($node, "SELECT pid FROM pg_stat_activity a WHERE backend_type = 'cano $what'"
		  . ' ORDER BY EXISTS (SELECT FROM cano.activity t WHERE t.pid = a.pid) DESC, random() LIMIT 1');
	my $ended = $pid ? kill($signal, $pid) : 0;

	wait_until_up($node);
	return $ended;
}

# Wait until the server takes questions.
sub wait_until_up
{
	my ($node) = @_;

	$node->poll_query_until('postgres', 'SELECT true') or die 'the server does not come back';
	return;
}

sub start_again
{
	my ($node, $mode) = @_;

	$node->stop($mode);
	until ($node->start(fail_ok => 1))
	{
		print STDERR "the server does not start, trying again\n";
	}
	return 1;
}

1;
