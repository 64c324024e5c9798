#!/usr/bin/perl
# external_client.pl
#	  Do the work of external states: run a command for each piece of it.
#
#		  external_client.pl QUEUE COMMAND [ARGUMENT ...]
#
# The command reads the run's data as JSON from its standard input.  What it
# writes is JSON, too, and the output of the state; if it exits with another
# status than 0, the attempt has failed.  It may be run more than once for the
# same work: IDEMPOTENCY_KEY is the same each time.
#
# Start as many as you like, anywhere.  When one of them dies, its work is
# offered again after the lease.  PGHOST, PGDATABASE, PGUSER ... say where the
# database is; LEASE is in seconds.  Debian: package libdbd-pg-perl.

use strict;
use warnings FATAL => 'all';

use DBI;
use File::Temp;
use POSIX ();

my $lease = $ENV{LEASE} // 30;
my ($queue, @command) = @ARGV;
my $db;

die "usage: $0 QUEUE COMMAND [ARGUMENT ...]\n" unless @command;
$| = 1;
while (1)
{
	my ($token, $data, $key) =
	  ask('SELECT token, data, idempotency_key FROM cano.take(?, lease => ?)', $queue, "$lease s");

	if (!$token) { sleep 1 }
	elsif (work($token, $data, $key)) { print "$key done\n" }
	else { print "$key not done\n" }
}

# One row of the answer.  A token outlives its connection, so a statement is
# just sent again: a second "complete" of the same work does nothing.
sub ask
{
	my ($sql, @values) = @_;

	while (1)
	{
		my @row = eval {
			$db //= DBI->connect('dbi:Pg:', undef, undef, { RaiseError => 1, PrintError => 0 });
			$db->selectrow_array($sql, undef, @values);
		};
		return @row unless $@;
		die $@ if $db && $db->ping;    # it is not the connection
		warn $@;
		undef $db;
		sleep 1;
	}
}

# True if the work is done, and it was us who did it.
sub work
{
	my ($token, $data, $key) = @_;
	my ($input, $output) = (File::Temp->new, File::Temp->new);
	my ($status, $good);

	print $input $data;
	close $input;
	my $pid = fork // die "cannot fork: $!";
	if (!$pid)
	{
		$ENV{IDEMPOTENCY_KEY} = $key;
		open STDIN, '<', "$input" and open STDOUT, '>', "$output" and exec { $command[0] } @command;
		POSIX::_exit(127);
	}
	until (defined($status = wait_for($pid, $lease / 3)))
	{
		next if (ask('SELECT cano.extend(?, ?)', $token, "$lease s"))[0];
		kill 'TERM', $pid;    # somebody else may have it by now
		waitpid $pid, 0;
		return 0;
	}
	if ($status)
	{
		ask('SELECT cano.fail(?, ?)', $token, "$command[0] ended with status $status");
		return 0;
	}
	local $/;
	($good) = ask('SELECT cano.complete(?, ?)', $token, readline($output) || undef);
	return $good;
}

# The exit status of a process; undef if it is still running after that time.
sub wait_for
{
	my ($pid, $seconds) = @_;

	local $SIG{ALRM} = sub { die };
	return eval { alarm($seconds < 1 ? 1 : $seconds); waitpid $pid, 0; alarm 0; $? };
}
