# Signals that meet their runs anywhere: none is lost, none waits for ever.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

use constant RUNS => 300;

my $node = new_server('signals');
use_database($node, 'postgres');
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION sum(a integer, b integer, ten integer) RETURNS integer LANGUAGE sql AS 'SELECT a + b + ten';
SELECT cano.define('pair', cano.task('t', 'note', next => 'a'),
	cano.receive('a', 'a', next => 'b'), cano.receive('b', 'b', next => 'sum'),
	cano.task('sum', 'sum', next => 'done'), cano.exit('done'));
SELECT cano.define('timed', cano.task('t', 'note', next => 'a'),
	cano.receive('a', 'a', next => 'done', timeout => '200 ms', on_timeout => 'late'),
	cano.exit('done'), cano.task('late', 'note', next => 'done'));
SQL

# A session that sends one signal to each of some runs, in an order of its own.
sub sender
{
	my ($node, $name, $runs) = @_;

	return IPC::Run::start(
		[
			$node->installed_command('psql'), '-XAtq',
			'-v', 'ON_ERROR_STOP=1', '-U', 'worker',
			'-d', $node->connstr('postgres')
		],
		'<', \join('', map { "SELECT cano.signal($_, '$name', '$_');\n" }
			  sort { $a * 7919 % 1009 <=> $b * 7919 % 1009 } @$runs),
		'>', \my $out, '2>', \my $err);
}

# Notices of signals may be the last to go.
sub nothing_left
{
	my (@tables) = @_;

	return $node->poll_query_until('postgres',
		'SELECT '
		  . join(' AND ', map { "NOT EXISTS (SELECT FROM cano.$_)" } @tables));
}

# Two senders, and runs that begin while they send
my @runs = split /\n/,
  $node->safe_psql('postgres',
	'SELECT cano.submit(\'pair\', \'{"ten": 10}\') FROM generate_series(1, '
	  . RUNS . ')',
	extra_params => [ '-U', 'worker' ]);
$_->finish foreach sender($node, 'a', \@runs), sender($node, 'b', \@runs);
ok( $node->poll_query_until('postgres',
		q{SELECT count(*) = 0 FROM cano.runs WHERE status NOT IN ('completed', 'failed', 'cancelled')}
	),
	'no run waits for ever')
  or diag($node->safe_psql('postgres',
	'SELECT status, state, waiting_for, count(*) FROM cano.runs GROUP BY 1, 2, 3'));
is( $node->safe_psql('postgres',
		"SELECT count(*) FROM cano.runs WHERE status = 'completed'"),
	RUNS, 'all ended well');
is( $node->safe_psql('postgres',
		q{SELECT count(*) FROM cano.runs WHERE (cano.result(run_id) ->> 'sum')::bigint <> 2 * run_id + 10}
	),
	'0', 'each with its own signals');
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT run) FROM ledger'),
	RUNS . '|' . RUNS, 'every task ran once');
ok(nothing_left(qw(_job _timer _signal)), 'nothing is left over');

# Runs that already wait, and runs that are submitted by the sender itself
$node->safe_psql('postgres', 'TRUNCATE ledger');
@runs = split /\n/,
  $node->safe_psql('postgres',
	'SELECT cano.submit(\'pair\', \'{"ten": 10}\') FROM generate_series(1, 100)',
	extra_params => [ '-U', 'worker' ]);
ok( $node->poll_query_until('postgres',
		q{SELECT count(*) = 100 FROM cano.runs WHERE waiting_for = 'signal'}),
	'many runs wait');
ok(nothing_left('_job'), 'and keep no worker busy');
$_->finish foreach sender($node, 'b', \@runs), sender($node, 'a', \@runs);
$node->safe_psql('postgres', <<'SQL', extra_params => [ '-U', 'worker' ]);
DO $$
DECLARE
	v_run bigint := cano.submit('pair', '{"ten": 10}');
BEGIN
	PERFORM cano.signal(v_run, 'a', '1');
	PERFORM cano.signal(v_run, 'b', '2');
END $$;
SQL
ok( $node->poll_query_until('postgres',
		q{SELECT count(*) = 0 FROM cano.runs WHERE status <> 'completed'}),
	'all are woken');
ok(nothing_left(qw(_job _timer _signal)), 'again nothing is left over');

# Signals that come about when the time is over: one or the other
@runs = split /\n/,
  $node->safe_psql('postgres',
	q{SELECT cano.submit('timed') FROM generate_series(1, 200)},
	extra_params => [ '-U', 'worker' ]);
$_->finish foreach sender($node, 'a', \@runs);
ok( $node->poll_query_until('postgres',
		q{SELECT count(*) = 0 FROM cano.runs WHERE status <> 'completed'}),
	'a time-out and a signal do not hinder each other');
is( $node->safe_psql('postgres', <<'SQL'),
SELECT count(*) FROM cano.runs r WHERE r.workflow = 'timed' AND (cano.result(r.run_id) ? 'a')
	= EXISTS (SELECT FROM cano.checkpoints c WHERE c.run_id = r.run_id AND c.state = 'late')
SQL
	'0', 'each run saw exactly one of them');
ok(nothing_left(qw(_job _timer)), 'nothing waits behind it');

# A crash between the signal and its run
close_gate($node);
$node->safe_psql('postgres', q{SELECT cano.define('held', cano.task('t', 'note_behind_gate', next => 'a'),
	cano.receive('a', 'a', next => 'done'), cano.exit('done'))});
my $run = submit($node, q{'held'});
wait_at_gate($node);
$node->safe_psql('postgres', "SELECT cano.signal($run, 'a', '1')",
	extra_params => [ '-U', 'worker' ]);
$node->stop('immediate');
$node->start;
open_gate($node);
wait_ended($node, $run);
is( $node->safe_psql('postgres', "SELECT status, cano.result($run) FROM cano.status($run)"),
	'completed|{"a": 1}', 'a signal survives a crash');

$node->stop;
done_testing();
