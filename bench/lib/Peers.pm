# Peers.pm
#	  Engines that live in application code, as bench/peers runs them.
package Peers;

use strict;
use warnings FATAL => 'all';
use Engines qw(admin);
use JSON::PP qw(decode_json);

# Programs, and how many runs of each workload take about a second.
my %PEERS = (
	'DBOS' => { program => 'dbos.mjs', runs => { W1 => 1_000, W2 => 500 } },
	'graphile-worker' => { program => 'graphile_worker.mjs', runs => { W1 => 30_000, W2 => 700, W2b => 6_000 } },
	'pg-boss' => { program => 'pg_boss.mjs', runs => { W1 => 20_000, W2 => 5_000, W2b => 6_000 } });

# Their database: what they do to it is not done to cano's.
my $DATABASE = 'peers';

sub prepare
{
	admin()->do("CREATE DATABASE $DATABASE");
	return;
}

# What there is to measure: pairs of an engine and a workload.
sub cells
{
	return map { my $peer = $_; map { [ $peer, $_ ] } sort keys %{ $PEERS{$peer}{runs} } } sort keys %PEERS;
}

sub measure
{
	my ($peer, $workload) = @_;
	my $directory = "$ENV{WORK}/peers";
	my $known = $PEERS{$peer};

	local $ENV{PGDATABASE} = $DATABASE;
	local $ENV{NODE_NO_WARNINGS} = 1;
	open my $pipe, '-|', 'sh', '-c', 'exec "$@" 2>"$0"', "$directory/log",
	  "$directory/node_modules/.bin/node", "$directory/$known->{program}", $workload, $known->{runs}{$workload}
	  or die "cannot run $known->{program}: $!\n";
	my @lines = <$pipe>;
	close $pipe or die "$known->{program} failed:\n" . `tail -n 20 $directory/log`;
	my $took = decode_json($lines[-1]);

	return { steps => $took->{steps}, seconds => $took->{seconds} };
}

1;
