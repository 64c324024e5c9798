# Defaults of a role or a database bind its tasks, and never the engine's
# books.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $node = new_server('role_defaults', "cano.idle_timeout = 0\n");
use_database($node, 'postgres');
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE team;
GRANT team TO worker;
CREATE SCHEMA trap;
GRANT USAGE ON SCHEMA trap TO worker;
CREATE FUNCTION trap.count(bigint) RETURNS bigint LANGUAGE plpgsql AS $$BEGIN RAISE 'trapped'; END$$;
CREATE FUNCTION trap.wrong(text, text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE 'trapped'; END$$;
CREATE OPERATOR trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.wrong);
CREATE FUNCTION trap.wrong(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE 'trapped'; END$$;
CREATE OPERATOR trap.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = trap.wrong);
CREATE FUNCTION settings() RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('user', current_user, 'isolation', current_setting('transaction_isolation'),
		'search_path', current_setting('search_path'), 'lock_timeout', current_setting('lock_timeout'))
$$;
SELECT cano.define('settings', cano.task('a', 'settings', next => 'done'), cano.exit('done'));
CREATE FUNCTION nap(seconds float) RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(seconds)'; -- lasts: until timed out
SELECT cano.define('nap', cano.task('a', 'nap', next => 'done', retry => cano.none()), cano.exit('done'));
SQL

sub with_default
{
	my ($setting, $check, $whose) = @_;

	$whose //= 'ROLE worker';
	count_workers($node, 0) or die 'a worker stays';
	my ($name) = $setting =~ /^([\w.]+)/;
	$node->safe_psql('postgres', "ALTER $whose SET $setting");
	$check->($setting);
	count_workers($node, 0) or die 'a worker stays';
	$node->safe_psql('postgres', "ALTER $whose RESET $name");
	return;
}

# Submissions are made by a superuser who becomes the role: his session has
# none of its defaults.
sub submit_as_worker
{
	my ($arguments) = @_;

	return $node->safe_psql('postgres',
		"SET SESSION AUTHORIZATION worker; SELECT cano.submit($arguments)");
}

sub runs_well
{
	my ($setting) = @_;
	return is_story($node, submit_as_worker(q{'three'}), $setting);
}

sub task_has
{
	my ($key, $value) = @_;

	return sub {
		my ($setting) = @_;
		my $run = submit_as_worker(q{'settings'});

		wait_ended($node, $run);
		is( $node->safe_psql('postgres',
				"SELECT cano.result($run) ->> '$key'"),
			$value,
			"$setting: $key of the task");
	};
}

my @defaults = (
	'default_transaction_read_only = on',
	"default_transaction_isolation = 'serializable'",
	'default_transaction_deferrable = on',
	'search_path = trap, pg_catalog',
	'row_security = off',
	'enable_indexscan = off',
	"session_replication_role = 'replica'",
	"bytea_output = 'escape'",
	"DateStyle = 'German, DMY'",
	"IntervalStyle = 'sql_standard'",
	'lock_timeout = 1',
	'statement_timeout = 5000',
	'idle_in_transaction_session_timeout = 1',
	"idle_session_timeout = 1",
	'synchronous_commit = off');
push @defaults, 'transaction_timeout = 50'
  if $node->safe_psql('postgres', q{SELECT count(*) FROM pg_settings WHERE name = 'transaction_timeout'});
with_default($_, \&runs_well) foreach @defaults;
{
	# Of the database; what is given on the command line counts more.
	local $ENV{PGOPTIONS} = join ' ', map { "-c $_" }
	  'search_path=public', 'default_transaction_read_only=off', 'lock_timeout=0', 'statement_timeout=0', 'session_replication_role=origin',
	  'idle_session_timeout=0', 'idle_in_transaction_session_timeout=0';
	with_default($_, \&runs_well, 'DATABASE postgres') foreach @defaults;
}

with_default('role = team', task_has('user', 'worker'));
with_default("search_path = public, pg_catalog",
	task_has('search_path', 'public, pg_catalog'));
with_default("lock_timeout = '7s'", task_has('lock_timeout', '7s'));

with_default(
	'statement_timeout = 200',
	sub {
		my ($setting) = @_;
		my $run = submit_as_worker(q{'nap', '{"seconds": 3600}'});

		wait_ended($node, $run);
		is( $node->safe_psql('postgres',
				"SELECT status, error ->> 'category', error ->> 'sqlstate' FROM cano.runs WHERE run_id = $run"
			),
			'failed|timeout|CN005',
			"$setting bounds a task");
		is_story($node, submit_as_worker(q{'three'}),
			"$setting: quick tasks are not touched");
	});

# A lock held by somebody else is not lock_timeout's business while the engine
# waits, but it is the task's.
with_default(
	'lock_timeout = 100',
	sub {
		my ($setting) = @_;
		close_gate($node);
		my $run = submit_as_worker(q{'gated', max_attempts => 1});

		wait_ended($node, $run);
		open_gate($node);
		is( $node->safe_psql('postgres',
				"SELECT status, error ->> 'category', error ->> 'sqlstate' FROM cano.runs WHERE run_id = $run"
			),
			'failed|task_execution|55P03',
			"$setting bounds the waiting of a task");
	});

$node->stop;
done_testing();
