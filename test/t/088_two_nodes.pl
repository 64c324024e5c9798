# Two servers behind a router, made of the files of examples/scaling: runs are
# where the customer's key says, reached by their ids from anywhere; what one
# node's crash stops, and what it does not; what a call over the router
# promises, and who may do what by it.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use DBI;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $router = PostgreSQL::Test::Cluster->new('router');
-e $router->config_data('--sharedir') . '/extension/plproxy.control'
  or plan skip_all => 'there is no PL/Proxy for this PostgreSQL here';
$router->init;
$router->start;

# Over TCP nobody is let in without a password.
my @nodes = map { new_server("node$_", "cano.node_id = $_\nlisten_addresses = '127.0.0.1'\n") } 0 .. 1;
foreach my $node (@nodes)
{
	unlink $node->data_dir . '/pg_hba.conf';
	$node->append_conf('pg_hba.conf', "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n");
	$node->reload;
}

sub run_file
{
	my ($node, $file, @variables) = @_;
	my $printed;

	ok( IPC::Run::run(
			[ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), (map { ('-v', $_) } @variables),
				'-f', "$FindBin::RealBin/../../examples/scaling/$file" ],
			'<', \'', '>&', \$printed),
		"$file runs on " . $node->name) or diag($printed);
	return;
}

run_file($_, 'node.sql') foreach @nodes;
run_file($router, 'router.sql', map { "node$_=host=127.0.0.1 port=" . $nodes[$_]->port . ' dbname=postgres' } 0 .. 1);
foreach my $role (qw(anna bob))
{
	$_->safe_psql('postgres', "CREATE ROLE $role LOGIN PASSWORD 'word of $role'; GRANT fleet_user TO $role") foreach @nodes;
	$router->safe_psql('postgres', "CREATE ROLE $role LOGIN");
	local $ENV{FLEET_PASSWORD} = "word of $role";
	run_file($router, 'user.sql', "role=$role");
}
$router->safe_psql('postgres', 'CREATE ROLE carol LOGIN; GRANT fleet_user TO carol; CREATE ROLE eve LOGIN');

# One session of a client.
sub client
{
	my ($role) = @_;
	return DBI->connect('dbi:Pg:dbname=postgres;host=' . $router->host . ';port=' . $router->port,
		$role, undef, { RaiseError => 1, PrintError => 0, PrintWarn => 0 });
}

sub value
{
	my ($client, $sql, @values) = @_;
	return ($client->selectrow_array($sql, undef, @values))[0];
}

# What fails: with this SQLSTATE, if one is given, and this message.
sub fails
{
	my ($client, $sql, $state, $message, $name) = @_;

	ok(!eval { value($client, $sql); 1 }, "$name: refused");
	is($client->state, $state, "$name: the code") if $state;
	like($client->errstr, $message, "$name: the message");
	return;
}

my $anna = client('anna');
my $bob = client('bob');
my @ids;

sub place
{
	my ($number) = @_;
	return $ids[$number] = value($anna, 'SELECT fleet.submit(?, ?, ?, ?)', "customer $number", 'payment', '{"amount": 5}', "order $number");
}

# Where a customer is, and some that are there.
my @at = map { $_->[0] } @{ $anna->selectall_arrayref(q{SELECT hashtext('customer ' || n) & 1 FROM generate_series(0, 1000) n}) };
my @some = map { my $node = $_; 'customer ' . (grep { $at[$_] == $node } 1 .. 1000)[0] } 0 .. 1;

is(value($anna, q{SELECT string_agg(n || ' is ' || fleet.node_id(n), ', ') FROM generate_series(0, 1) n}),
	'0 is 0, 1 is 1', 'nodes have the numbers by which the router asks them');

# ---- A thousand runs, and a crash in the middle ----

my $unended = 'FROM cano.runs WHERE ended_at IS NULL';

place($_) foreach 1 .. 250;
$nodes[1]->poll_query_until('postgres', q{SELECT count(*) > 20 FROM cano.runs WHERE status = 'completed'})
  or die 'no run completes';
my $holder = $nodes[1]->background_psql('postgres');
$holder->query_safe('BEGIN; LOCK TABLE fleet.ledger IN SHARE MODE');
place($_) foreach 251 .. 500;
$nodes[1]->poll_query_until('postgres', q{SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'fleet.ledger'::regclass AND NOT granted)})
  or die 'no run is in the middle of a step';
cmp_ok($nodes[1]->safe_psql('postgres', "SELECT count(*) $unended"), '>', 100, 'many runs are under way on the node that is stopped');
$nodes[1]->stop('immediate');
eval { $holder->quit };

my @failed;
my %said;
foreach my $number (501 .. 1000)
{
	next if eval { place($number) };
	push @failed, $number;
	$said{ $anna->errstr }++;
}
is_deeply(\@failed, [ grep { $at[$_] == 1 } 501 .. 1000 ], 'what the stopped node would have is refused, and nothing else');
my $refused = 'connection to server at "127.0.0.1", port ' . $nodes[1]->port . ' failed: Connection refused';
my ($usual) = sort { $said{$b} <=> $said{$a} } keys %said;
like($usual, qr/PL\/Proxy function fleet.submit\(4\): .*\Q$refused/s, 'the error says who does not answer');
cmp_ok($said{$usual}, '>=', @failed - 1, 'each time but, perhaps, the first') or diag(explain(\%said));
fails($anna, 'SELECT count(*) FROM fleet.runs', undef, qr/\Q$refused/, 'a question to all');
ok($nodes[0]->poll_query_until('postgres', "SELECT NOT EXISTS (SELECT $unended)"), 'all runs of the other node end meanwhile');
is(value($anna, 'SELECT status FROM fleet.status(?)', (grep { $_ >> 48 == 0 } grep { $_ } @ids)[0]), 'completed', 'and can be asked for');

$nodes[1]->start;
place($_) foreach @failed;
ok($nodes[1]->poll_query_until('postgres', "SELECT NOT EXISTS (SELECT $unended)"), 'all runs of the node end when it is back');

my %seen;
is(scalar(grep { !$seen{$_}++ } @ids[ 1 .. 1000 ]), '1000', 'ids are unique');
is_deeply([ map { $_ >> 48 } @ids[ 1 .. 1000 ] ], [ @at[ 1 .. 1000 ] ], 'and name the node that the key names');
foreach my $node (0 .. 1)
{
	my @mine = sort { $a <=> $b } grep { $_ >> 48 == $node } @ids[ 1 .. 1000 ];

	is($nodes[$node]->safe_psql('postgres', q{SELECT string_agg(run_id::text, ' ' ORDER BY run_id), string_agg(DISTINCT status, ' '), string_agg(DISTINCT role, ' ') FROM cano.runs}),
		join(' ', @mine) . '|completed|anna', "node $node: has these runs of that role and no others, all completed");
	is($nodes[$node]->safe_psql('postgres', q{SELECT count(*), count(*) FILTER (WHERE amounts = '{-5,5}') FROM (SELECT array_agg(amount ORDER BY amount) amounts FROM fleet.ledger GROUP BY run, customer) l}),
		@mine . '|' . @mine, "node $node: every effect of each is there once");
}
is(value($anna, 'SELECT count(DISTINCT run_id) FROM fleet.runs WHERE node = run_id >> 48'), '1000', 'the view has the runs of all nodes');
is(value($bob, 'SELECT count(*) FROM fleet.runs'), '0', 'but those of others');

# ---- By their ids ----

foreach my $customer (@some)
{
	my ($signalled, $cancelled) = map { value($anna, q{SELECT fleet.submit(?, 'approved_payment', '{"amount": 7}', ?)}, $customer, $_) } 'one', 'two';
	my $node = $signalled >> 48;

	$nodes[$node]->poll_query_until('postgres', "SELECT count(*) = 2 FROM cano.runs WHERE run_id IN ($signalled, $cancelled) AND status = 'waiting'")
	  or die 'they do not come to their signal';
	is(value($anna, q{SELECT status || ' ' || waiting_for FROM fleet.status(?)}, $_), 'waiting signal', "node $node: status") foreach $signalled, $cancelled;
	is(value($anna, q{SELECT waiting FROM fleet.queue_stats WHERE node = ? AND workflow = 'approved_payment'}, $node), '2', "node $node: its queue");
	fails($anna, "SELECT fleet.wait($signalled, '10 ms')", 'CN408', qr/REMOTE ERROR: .*run $signalled/, "node $node: a wait in vain");
	$anna->do(q{SET statement_timeout = '100 ms'});
	fails($anna, "SELECT fleet.wait($signalled)", '57014', qr/statement timeout/, "node $node: a wait that is interrupted");
	$anna->do('RESET statement_timeout');
	ok($nodes[$node]->poll_query_until('postgres', q{SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE usename = 'anna' AND backend_type = 'client backend' AND state = 'active')}),
		"node $node: and interrupted there, too");
	is(value($bob, 'SELECT count(*) FROM fleet.status(?)', $signalled), '0', "node $node: somebody else's run is not there");
	is(value($bob, 'SELECT fleet.signal(?, ?)', $signalled, 'approval'), '0', "node $node: and gets no signal");
	is(value($bob, 'SELECT fleet.cancel(?, ?)', $signalled, 'mine'), '0', "node $node: nor is it cancelled");

	is(value($anna, 'SELECT fleet.signal(?, ?, ?)', $signalled, 'approval', '{"by": "anna"}'), '1', "node $node: a signal");
	is(value($anna, q{SELECT fleet.wait(?) ->> 'settled'}, $signalled), '7', "node $node: the result");
	is(value($anna, 'SELECT fleet.cancel(?, ?)', $cancelled, 'not wanted'), '1', "node $node: a cancellation");
	fails($anna, "SELECT fleet.wait($cancelled)", 'CN012', qr/not wanted/, "node $node: the end of that one");
	like(value($anna, 'SELECT fleet.explain(?)', $cancelled), qr/^approved_payment, run $cancelled: cancelled/, "node $node: what happened");
}
is(value($anna, 'SELECT count(*) FROM fleet.status(-1)'), '0', 'no node knows an id that there is not');
is(value($anna, q{SELECT count(*) FROM fleet.health WHERE severity = 'error'}), '0', 'nothing is wrong anywhere');

# ---- Not in the caller's transaction ----

$anna->begin_work;
my $run = value($anna, q{SELECT fleet.submit(?, 'approved_payment', '{"amount": 1}', 'again')}, $some[1]);
$anna->rollback;
is(value($anna, 'SELECT count(*) FROM fleet.status(?)', $run), '1', 'a run outlives the transaction that it was submitted in');
is(value($anna, q{SELECT fleet.submit(?, 'approved_payment', '{"amount": 1}', 'again')}, $some[1]), $run, 'again with the same key it is the same run');
fails($anna, "SELECT fleet.submit('$some[1]', 'approved_payment', '{\"amount\": 2}', 'again')", 'CN409', qr/REMOTE ERROR/, 'the same key with another input');
is(value($bob, q{SELECT fleet.submit(?, 'approved_payment', '{"amount": 1}', 'again') <> ?}, $some[1], $run), '1', 'a key is its role\'s');
value($anna, q{SELECT fleet.signal(?, 'approval')}, $run);
value($anna, q{SELECT fleet.wait(?)}, $run);
is(value($anna, q{SELECT fleet.submit(?, 'approved_payment', '{"amount": 1}', 'again') <> ?}, $some[1], $run), '1', 'when it has ended the key is free');

$anna->begin_work;
my $order = value($anna, q{SELECT fleet.place_order(?, '1', 9)}, $some[1]);
$anna->rollback;
is(value($anna, q{SELECT fleet.place_order(?, '1', 9)}, $some[1]), $order, 'an order that is there has its run');
is(value($anna, q{SELECT fleet.wait(?) ->> 'settled'}, $order), '9', 'which completes');
is(value($anna, q{SELECT fleet.place_order(?, '1', 9)}, $some[1]), $order, 'after its end, too');
is($nodes[1]->safe_psql('postgres', "SELECT count(*) FROM cano.runs WHERE input @> '{\"amount\": 9}'"), '1', 'so there is one');
fails($anna, q{SELECT fleet.submit(NULL, 'payment', '{}', 'x')}, undef, qr/Hash function returned NULL/, 'nobody\'s run');

# ---- A server that takes over ----

$nodes[1]->safe_psql('postgres', 'ALTER SYSTEM SET cano.node_id = 101');
$nodes[1]->reload;
$nodes[1]->poll_query_until('postgres', q{SELECT current_setting('cano.node_id') = '101'})
  or die 'the number does not change';
my $late = value($anna, q{SELECT fleet.place_order(?, '2', 3)}, $some[1]);
is($late >> 48, 101, 'with another number ids are others');
is(value($anna, q{SELECT fleet.wait(?) ->> 'settled'}, $late), '3', 'and lead to the same node');
is(value($anna, 'SELECT status FROM fleet.status(?)', $order), 'completed', 'as do earlier ones');

$router->safe_psql('postgres', "ALTER SERVER fleet OPTIONS (SET p1 'host=127.0.0.1 port=" . $nodes[1]->port . " dbname=postgres application_name=moved')");
is(value($anna, 'SELECT fleet.node_id(1)'), '101', 'its address is changed');
is($nodes[1]->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'moved'}), '1', 'under sessions that are there');

# ---- A node that hangs ----

my $stopped = (split /\n/, slurp_file($nodes[1]->data_dir . '/postmaster.pid'))[0];
kill 'STOP', $stopped;
my (undef, undef, $stderr) = $router->psql('postgres', q{SET statement_timeout = '0.5 s'; SELECT fleet.node_id(1)},
	extra_params => [ '-U', 'anna' ], timeout => $PostgreSQL::Test::Utils::timeout_default, timed_out => \my $timed_out);
kill 'CONT', $stopped;
like($stderr, qr/statement timeout/, 'a connection that is not answered can be given up');
is($router->safe_psql('postgres', 'SELECT fleet.node_id(1)', extra_params => [ '-U', 'anna' ]), '101', 'and can be had later');

# ---- What the document says ----

my ($block) = slurp_file("$FindBin::RealBin/../../docs/scaling.md") =~ /^```sql\n((?:(?!^```).)*fleet\.submit.*?)^```/ms;
my $printed;

ok(IPC::Run::run([ 'psql', '-XAt', '-v', 'ON_ERROR_STOP=1', '-d', $router->connstr('postgres') . ' user=anna' ], '<', \$block, '>&', \$printed), 'its statements run') or diag($printed);
like($printed, qr/^0\|0\n1\|101\n\d+\|payment\|.*\n\{.*"settled": 30.*\}\n\d+\n/, 'and do what it says')
  or diag($printed);

# ---- Who may what ----

fails(client('eve'), 'SELECT fleet.status(1)', '42501', qr/permission denied for schema fleet/, 'who may not use the router');
fails(client('carol'), 'SELECT fleet.status(1)', undef, qr/user mapping not found/, 'who has no mapping');
is(value($bob, q{SELECT count(*) FROM pg_user_mappings WHERE usename = 'anna' AND umoptions IS NOT NULL}), '0', 'nobody sees the passwords of others');
fails($bob, q{CREATE FUNCTION pg_temp.f() RETURNS integer LANGUAGE plproxy AS 'CONNECT ''port=1''; SELECT 1'}, '42501', qr/language plproxy/, 'a connection of one\'s own');
$bob->do(q{ALTER USER MAPPING FOR bob SERVER fleet OPTIONS (SET user 'anna')});
fails(client('bob'), 'SELECT fleet.status(1)', undef, qr/password authentication failed for user "anna"/, 'a mapping to somebody else');
$bob->do(q{ALTER USER MAPPING FOR bob SERVER fleet OPTIONS (SET user 'postgres', DROP password)});
fails(client('bob'), 'SELECT fleet.status(1)', undef, qr/no password supplied/, 'a mapping without a password');

$_->disconnect foreach $anna, $bob;
$_->stop foreach @nodes, $router;
done_testing();
