# Functions, schemas, roles and the extension itself are dropped while tasks
# use them, and what a verb did in a prepared transaction is done when that is
# committed.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use IPC::Run;
use Test::More;

my $node = new_server('dropped', "cano.idle_timeout = 1000\n");
use_database($node, 'postgres');

sub value { return $node->safe_psql('postgres', @_) }
sub as_worker { return $node->safe_psql('postgres', $_[0], extra_params => [ '-U', 'worker' ]) }

# A session whose statements may have to wait.
sub start_session
{
	my @commands = map { ('-c', $_) } @_;
	return IPC::Run::start([ $node->installed_command('psql'), '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), @commands ],
		'<', '/dev/null', '>', '/dev/null', '2>&1');
}

my $make = <<'SQL';
CREATE SCHEMA shop;
GRANT USAGE ON SCHEMA shop TO PUBLIC;
CREATE FUNCTION shop.gated() RETURNS void LANGUAGE sql AS 'SELECT public.note_behind_gate()';
CREATE FUNCTION shop.note() RETURNS void LANGUAGE sql AS 'SELECT public.note()';
SQL
value($make . q{SELECT cano.define('shop', cano.task('a', 'shop.gated', next => 'b'), cano.task('b', 'shop.note', next => 'c', retry => cano.none()),
	cano.task('c', 'note', next => 'done'), cano.exit('done'))});

# Functions
foreach my $drop ('DROP SCHEMA shop CASCADE', 'DROP FUNCTION shop.gated, shop.note')
{
	close_gate($node);
	my $run = submit($node, q{'shop'});
	wait_at_gate($node);
	my $queued = submit($node, q{'shop', run_at => clock_timestamp() + '1 h'});
	value($drop);
	open_gate($node);
	wait_ended($node, $run);
	is(value("SELECT status, error ->> 'category', error ->> 'state' FROM cano.runs WHERE run_id = $run"), 'failed|workflow|b',
		"$drop: the task at work is finished, the next one is not found");
	is(value("SELECT string_agg(state, ',') FROM ledger WHERE run = $run"), 'a', "$drop: its effect is there once");
	value($drop =~ /SCHEMA/ ? $make : $make =~ s/^(CREATE SCHEMA|GRANT).*$//mgr);
	is(as_worker("SELECT cano.resume($run)"), 't', "$drop: when they are there again the run is resumed");
	is_story($node, $run, "$drop: and goes on", 'completed a,b,c 0,1,2,3,4 1') or diag(value("SELECT * FROM cano.checkpoints WHERE run_id = $run"));
	is(as_worker("SELECT cano.cancel($queued)"), 't', "$drop: what was queued can be cancelled");
}

# Verbs in prepared transactions
close_gate($node);
value(q{SELECT cano.define('letter', cano.task('a', 'note_behind_gate', next => 'b'), cano.receive('b', 'go', next => 'done'), cano.exit('done'))});
my $letter = submit($node, q{'letter'});
my $cancelled = submit($node, q{'letter'});
wait_at_gate($node);
as_worker("BEGIN; SELECT cano.signal($letter, 'go', '1'), cano.cancel($cancelled); PREPARE TRANSACTION 'verbs'");
open_gate($node);
ok($node->poll_query_until('postgres', "SELECT count(*) = 2 FROM cano.runs WHERE run_id IN ($letter, $cancelled) AND waiting_for = 'signal'"),
	'what is only prepared neither stops a run nor wakes it');
$node->restart;
as_worker("COMMIT PREPARED 'verbs'");
is_story($node, $letter, 'a prepared signal arrives, even after a restart', 'completed a 0,1,2 0');
is_story($node, $cancelled, 'a prepared request to cancel is heard', 'cancelled a 0,1 0');

# The extension, under a task, and made again at once
close_gate($node);
my $dropped = submit($node, q{'gated'});
my $pid = wait_at_gate($node);
my $session = start_session('DROP EXTENSION cano', 'CREATE EXTENSION cano');
$node->poll_query_until('postgres',
	q{SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'DROP EXTENSION%' AND backend_type = 'client backend' AND wait_event_type = 'Lock')});
open_gate($node);
ok($session->finish, 'the extension is dropped under a task, and created again');
is(value("SELECT count(*) FROM ledger WHERE run = $dropped AND state = 'a'"), '1', 'the task is finished');
is(value('SELECT count(*) FROM cano.runs'), '0', 'nothing of before is left');

# And under many
my $define = q{SELECT cano.grant_usage('worker'); TRUNCATE ledger;
	SELECT cano.define('three', cano.task('a', 'note', next => 'b'), cano.task('b', 'note', next => 'c'), cano.task('c', 'note', next => 'done'), cano.exit('done'))};
value($define);
foreach my $round (1 .. 5)
{
	as_worker(q{SELECT count(*) FROM cano.submit_many('three', array_fill('{}'::jsonb, ARRAY[5000]))});
	$node->poll_query_until('postgres', "SELECT count(*) >= 100 * $round FROM ledger");
	value('DROP EXTENSION cano');
	is(value("SELECT count(*) FROM (SELECT FROM ledger GROUP BY run, state HAVING count(*) > 1) _"), '0', 'the extension is dropped under many tasks');
	value("CREATE EXTENSION cano; $define");
}
is_story($node, submit($node, q{'three'}), 'and new runs are had') foreach 1 .. 3;
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/deadlock detected|cache lookup failed|could not open relation with OID|terminated by signal/, 'nobody stumbles over what is gone');

$node->stop;
done_testing();
