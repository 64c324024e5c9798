# A server with cano for one test: roles, a ledger, a workflow of three states,
# and questions that every test asks.
package CanoServer;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use FindBin;
use PostgreSQL::Test::Cluster;
use Test::More;

our @EXPORT = qw(new_server make_server use_database submit wait_ended run_story
  is_story close_gate open_gate wait_at_gate count_workers
  define_slow submit_slow wait_slow end_slow
  attempt terminate_worker crash_by_worker use_strange_world install_script has_extension);

my @servers;

# While a server is down psql ends without having read the question, and who
# writes it to its input dies of that: then ask again.
my $poll = \&PostgreSQL::Test::Cluster::poll_query_until;
{
	no warnings 'redefine';
	*PostgreSQL::Test::Cluster::poll_query_until = sub {
		my @arguments = @_;
		my $until = time + $PostgreSQL::Test::Utils::timeout_default;
		my $found;

		until (eval { $found = $poll->(@arguments); 1 })
		{
			die $@ if $@ !~ /Broken pipe/ || time > $until;
		}
		return $found;
	};
}

# At the end of a test its servers are stopped at once, and their processes would
# not say which lines they executed.
END
{
	local $? = 0;

	if ($ENV{CANO_COUNTS_LINES})
	{
		$_->stop('fast', fail_ok => 1) foreach @servers;
	}
}

sub new_server
{
	my $node = make_server(@_);

	$node->start;
	$node->safe_psql('postgres', 'CREATE ROLE worker LOGIN');
	return $node;
}

# As it is made: without a role, and not started.  Settings are lines of
# postgresql.conf, after ours.
sub make_server
{
	my ($name, $settings) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init;
	$node->append_conf('postgresql.conf', <<'CONF' . ($settings // ''));
shared_preload_libraries = 'cano'
restart_after_crash = on
max_worker_processes = 24
max_prepared_transactions = 5
log_min_messages = warning
log_statement = none
CONF
	push @servers, $node;
	return $node;
}

# cano in a database; role "worker" may use it.
sub use_database
{
	my ($node, $database) = @_;

	$node->safe_psql($database, <<'SQL');
CREATE EXTENSION cano;
SELECT cano.grant_usage('worker');
CREATE TABLE gate ();
CREATE TABLE ledger (
	run bigint,
	state text,
	attempt integer,
	xid xid8 DEFAULT pg_current_xact_id(),
	pid integer DEFAULT pg_backend_pid());
GRANT ALL ON gate, ledger TO PUBLIC;
CREATE FUNCTION note() RETURNS void LANGUAGE sql AS
	'INSERT INTO public.ledger VALUES (cano.run_id(), cano.state(), cano.attempt())';
CREATE FUNCTION note_behind_gate() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM FROM public.gate;
	PERFORM public.note();
END $$;
SELECT cano.define('three', cano.task('a', 'note', next => 'b'), cano.task('b', 'note', next => 'c'),
	cano.task('c', 'note', next => 'done'), cano.exit('done'));
SELECT cano.define('gated', cano.task('a', 'note_behind_gate', next => 'b'), cano.task('b', 'note', next => 'c'),
	cano.task('c', 'note', next => 'done'), cano.exit('done'));
SQL
	return;
}

# A script of the extension that is none of this version's, where CREATE and
# ALTER EXTENSION find it.
sub install_script
{
	my ($node, $name, $content) = @_;

	open my $file, '>', $node->config_data('--sharedir') . "/extension/cano--$name.sql" or die "cano--$name.sql: $!";
	print $file $content;
	close $file;
	return;
}

# Whether this PostgreSQL has an extension at all.
sub has_extension
{
	my ($name) = @_;
	my ($sharedir) = split /\n/, qx(pg_config --sharedir);

	return -e "$sharedir/extension/$name.control";
}

# Submit a run as a role; its arguments in SQL.  Returns the run's id.
sub submit
{
	my ($node, $arguments, %options) = @_;

	return $node->safe_psql($options{database} // 'postgres',
		"SELECT cano.submit($arguments)",
		extra_params => [ '-U', $options{role} // 'worker' ]);
}

# Wait until a run has ended, also over crashes of the server.
sub wait_ended
{
	my ($node, $run, $database) = @_;

	return $node->poll_query_until($database // 'postgres',
		"SELECT status IN ('completed', 'failed', 'cancelled') FROM cano.status($run)");
}

# What became of a run: status, effects, checkpoints, failed attempts.
sub run_story
{
	my ($node, $run, $database) = @_;

	return $node->safe_psql($database // 'postgres', <<SQL);
SELECT concat_ws(' ', s.status,
	(SELECT string_agg(l.state, ',' ORDER BY l.state) FROM ledger l WHERE l.run = $run),
	(SELECT string_agg(c.sequence::text, ',' ORDER BY c.sequence) FROM cano.checkpoints c WHERE c.run_id = $run),
	(SELECT count(*) FROM cano.attempts a WHERE a.run_id = $run))
FROM cano.status($run) s
SQL
}

# The run ends, and this became of it (by default: all went well, once).
sub is_story
{
	my ($node, $run, $name, $story, $database) = @_;

	wait_ended($node, $run, $database)
	  or diag('the run has not ended: '
		  . run_story($node, $run, $database));
	return is(
		run_story($node, $run, $database),
		$story // 'completed a,b,c 0,1,2,3 0', $name);
}

# A lock that outlives sessions and crashes, until the gate is opened.
sub close_gate
{
	my ($node, $database) = @_;

	$node->safe_psql($database // 'postgres',
		"BEGIN; LOCK TABLE gate; PREPARE TRANSACTION 'gate'");
	return;
}

# Whom it lets through may crash the server before psql has said goodbye.
sub open_gate
{
	my ($node, $database) = @_;

	$node->psql($database // 'postgres', "COMMIT PREPARED 'gate'");
	$node->poll_query_until($database // 'postgres',
		"SELECT NOT EXISTS (SELECT FROM pg_prepared_xacts WHERE gid = 'gate')")
	  or die 'the gate does not open';
	return;
}

# Wait until a worker's task waits there; returns its pid.
sub wait_at_gate
{
	my ($node, $except) = @_;

	# One that holds the work of earlier steps does not wait, but for a moment.
	my $pid = "SELECT DISTINCT pid FROM pg_stat_activity JOIN pg_locks USING (pid)"
	  . " WHERE backend_type = 'cano worker' AND NOT granted AND waitstart < clock_timestamp() - interval '20 ms'"
	  . " AND pid <> " . ($except // 0);

	$node->poll_query_until('postgres', "SELECT EXISTS ($pid)")
	  or die 'no task came to the gate';
	return $node->safe_psql('postgres', $pid);
}

# A workflow whose second state lasts until it is terminated, while the switch
# is on.
sub define_slow
{
	my ($node) = @_;

	$node->safe_psql('postgres', <<'SQL');
CREATE TABLE switch (slow boolean);
INSERT INTO switch VALUES (true);
GRANT SELECT ON switch TO worker;
CREATE FUNCTION note_or_sleep() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM note();
	IF (SELECT slow FROM switch) THEN
		PERFORM pg_sleep(3600); -- lasts: until terminated
	END IF;
END $$;
SELECT cano.define('slow', cano.task('a', 'note', next => 'b'), cano.task('b', 'note_or_sleep', next => 'c'),
	cano.task('c', 'note', next => 'done'), cano.exit('done'));
SQL
	return;
}

# A run that is there; returns its id.
sub submit_slow
{
	my ($node) = @_;

	$node->safe_psql('postgres', 'UPDATE switch SET slow = true');
	my $run = submit($node, q{'slow'});
	wait_slow($node, $run);
	return $run;
}

sub wait_slow
{
	my ($node, $run) = @_;

	$node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM cano.activity WHERE run_id = $run AND state = 'b'")
	  or die 'the run does not come to its second state';
	return;
}

# Another try does not last; it must see the switch.
sub end_slow
{
	my ($node, $run) = @_;

	$node->safe_psql('postgres', 'UPDATE switch SET slow = false');
	$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM cano.activity WHERE run_id = $run");
	return;
}

# Wait until there are so many workers, of which "where" holds.
sub count_workers
{
	my ($node, $count, $where) = @_;

	return $node->poll_query_until('postgres',
			"SELECT count(*) = $count FROM pg_stat_activity WHERE backend_type = 'cano worker' AND "
		  . ($where // 'true'));
}

# A statement fails when the server crashes under it; then it did nothing.
sub attempt
{
	my ($node, $sql, @params) = @_;
	my $out;

	eval {
		(undef, $out) = $node->psql('postgres', $sql, extra_params => \@params);
	};
	return $out;
}

# End a worker, if there is one.
sub terminate_worker
{
	my ($node) = @_;

	attempt($node,
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'cano worker' ORDER BY random() LIMIT 1");
	return;
}

# Kill a worker, and the server with it; wait until that is back.  Returns how
# many there were to kill.
sub crash_by_worker
{
	my ($node) = @_;
	my $pid = attempt($node, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'cano worker' ORDER BY random() LIMIT 1");
	my $killed = $pid ? kill('KILL', $pid) : 0;

	$node->poll_query_until('postgres', 'SELECT true');
	return $killed;
}

# From now on the server's disk may be full and its clock may jump, see
# lib/preload.c.  Returns the directory by which the test says so.
sub use_strange_world
{
	my ($node) = @_;
	my $world = $node->basedir . '/world';

	mkdir $world;
	system('gcc', '-shared', '-fPIC', '-o', "$world/preload.so", "$FindBin::RealBin/../lib/preload.c", '-ldl') == 0
	  or die 'cannot compile preload.c';
	$node->stop;
	$ENV{CANO_TEST_WORLD} = $world;
	local $ENV{LD_PRELOAD} = "$world/preload.so";
	$node->start;
	return $world;
}

1;
