# Clients outside the database: they may die at any moment, the server may be
# restarted, and every piece of work is done once.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

eval { require DBD::Pg } or plan skip_all => 'DBD::Pg is not here';

use constant RUNS => 40;

my $node = new_server('external');
my $directory = $node->basedir;
my @clients;

use_database($node, 'postgres');
$node->safe_psql('postgres', <<'SQL');
SELECT cano.define('external', cano.external('w', 'work', next => 'note', retry => cano.fixed(100, '0')),
	cano.task('note', 'note', next => 'done'), cano.exit('done'));
SQL

# A piece of work that is "slow" says that it has begun and waits for "go".
my $command = <<"SH";
data=\$(cat)
case \$data in
	*slow*) touch $directory/begun.\$\$; while [ ! -e $directory/go ]; do sleep 0.1; done ;; # lasts: until it is told
	*broken*) exit 3 ;;
esac
echo '{"ok": true}'
SH

sub start_client
{
	my $log = "$directory/log." . @clients;

	local %ENV = (
		%ENV,
		PGHOST => $node->host,
		PGPORT => $node->port,
		PGDATABASE => 'postgres',
		PGUSER => 'worker',
		LEASE => 3);
	push @clients,
	  {
		log => $log,
		process => IPC::Run::start(
			[ $^X, "$FindBin::RealBin/../../examples/external_client.pl", 'work', 'sh', '-c', $command ],
			'<', '/dev/null', '>', $log, '2>', '/dev/null')
	  };
	return;
}

sub stop_client
{
	my ($client) = @_;

	$client->{process}->signal('KILL');
	eval { $client->{process}->finish };
	return;
}

sub query { return $node->safe_psql('postgres', @_) }
sub wait_until { return $node->poll_query_until('postgres', @_) }

sub submit_some
{
	my ($input, $count, $priority) = @_;

	return split /\n/,
	  $node->safe_psql('postgres',
		"SELECT * FROM cano.submit_many('external', array_fill('$input'::jsonb, ARRAY[$count]), priority => $priority)",
		extra_params => [ '-U', 'worker' ]);
}

sub begun { return scalar(my @files = glob "$directory/begun.*") }

# Both clients die in the middle of a piece of work
my @slow = submit_some('{"slow": true}', 2, 1);
my @quick = submit_some('{}', RUNS - 2, 1000);
start_client() foreach 1 .. 2;
wait_until('SELECT count(*) = 2 FROM cano._work WHERE token IS NOT NULL')
  or die 'the clients take nothing';
my $leases = 'SELECT min(lease_until) FROM cano._work WHERE token IS NOT NULL';
my $before = query($leases);
ok(wait_until("SELECT ($leases) > '$before'"), 'a client that works for long extends its lease');
is(begun(), 2, 'each piece of work was begun once');
stop_client($_) foreach @clients;
ok( wait_until('SELECT count(*) = 2 FROM cano.attempts'),
	'when a client has died, its lease runs out');
is(query('SELECT DISTINCT state, attempt, sqlstate FROM cano.attempts'),
	'w|1|CN005', 'that is a failed attempt');

# Others take over
start_client() foreach 1 .. 2;
wait_until('SELECT count(*) = 2 FROM cano._work WHERE token IS NOT NULL');
open my $go, '>', "$directory/go" or die;
close $go;
ok( wait_until("SELECT count(*) = ${\ RUNS} FROM cano.runs WHERE status = 'completed'"),
	'all work is done')
  or diag(query('SELECT status, state, waiting_for, count(*) FROM cano.runs GROUP BY 1, 2, 3'));
is(query('SELECT count(*), count(DISTINCT run) FROM ledger'),
	RUNS . '|' . RUNS, 'each piece once');
is( query(q{SELECT count(*) FROM cano.runs WHERE result ->> 'ok' = 'true'}),
	RUNS, 'with an output');
is(query('SELECT count(*) FROM cano.attempts'), '2', 'nothing else was tried twice');

# The server goes away and comes back
$node->restart;
submit_some('{}', 1, 1000);
my ($broken) = submit_some('{"broken": true}', 1, 1000);
ok( wait_until("SELECT count(*) = ${\ (RUNS + 1)} FROM cano.runs WHERE status = 'completed'"),
	'clients find the server again');
ok( wait_until("SELECT count(*) > 0 FROM cano.attempts WHERE run_id = $broken AND message = 'sh ended with status 768'"),
	'a command that fails is a failed attempt');
query("SELECT cano.cancel($broken)");
ok(wait_until("SELECT status = 'cancelled' FROM cano.status($broken)"), 'which somebody ends');
ok( wait_until('SELECT NOT EXISTS (SELECT FROM cano._work) AND NOT EXISTS (SELECT FROM cano._timer)'
		  . ' AND NOT EXISTS (SELECT FROM cano._job) AND NOT EXISTS (SELECT FROM cano._signal)'),
	'nothing is left over')
  or diag(query('SELECT run, duty, waiting, due_at FROM cano._timer'));
stop_client($_) foreach @clients[ 2, 3 ];
my $done = 0;
$done += () = slurp_file($_->{log}) =~ /^\d+:\d+:w done$/mg foreach @clients;
is($done, RUNS + 1, 'as many answers counted as there was work');

$node->stop;
done_testing();
