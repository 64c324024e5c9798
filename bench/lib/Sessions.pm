# Sessions.pm
#	  Connections to the benchmark's server, several at once, and what the
#	  processes behind them cost.
package Sessions;

use strict;
use warnings FATAL => 'all';
use DBI;
use DBD::Pg qw(:async);
use Exporter 'import';
use Time::HiRes qw(time sleep);

our @EXPORT_OK = qw(connection value together cpu wal);

# A new session, as the superuser unless another role is named.
sub connection
{
	my ($role) = @_;

	return DBI->connect("dbi:Pg:dbname=$ENV{PGDATABASE}", $role // $ENV{PGUSER}, undef,
		{ RaiseError => 1, PrintError => 0, AutoCommit => 1, pg_server_prepare => 0 });
}

sub value
{
	my ($session, $statement, @parameters) = @_;

	return ($session->selectrow_array($statement, undef, @parameters))[0];
}

# Run the statement in all sessions at once.  Returns the seconds until the
# last had finished, and the CPU seconds of their processes.
sub together
{
	my ($statement, @sessions) = @_;
	my @pids = map { $_->{pg_pid} } @sessions;
	my $cpu = cpu(@pids);
	my $start = time;

	$_->do($statement, { pg_async => PG_ASYNC }) foreach @sessions;
	$_->pg_result foreach @sessions;
	return (time - $start, cpu(@pids) - $cpu);
}

# CPU seconds that processes have used.
sub cpu
{
	my $sum = 0;

	foreach my $pid (@_)
	{
		open my $file, '<', "/proc/$pid/schedstat" or next;
		$sum += (split ' ', scalar <$file>)[0] / 1e9;
	}
	return $sum;
}

# Where the write-ahead log ends, in bytes.
sub wal
{
	my ($session) = @_;

	return value($session, q{SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn});
}

1;
