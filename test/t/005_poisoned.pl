# A task that takes its session or the server down is given up after
# cano.max_crashes; all others go on.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $node = new_server('poisoned');
use_database($node, 'postgres');
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION suicide() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM note();
	PERFORM pg_terminate_backend(pg_backend_pid());
	PERFORM pg_sleep(3600); -- lasts: until terminated
END $$;
CREATE SEQUENCE deaths;
GRANT ALL ON deaths TO PUBLIC;
CREATE FUNCTION die_twice() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM note();
	IF nextval('deaths') < 3 THEN
		PERFORM pg_terminate_backend(pg_backend_pid());
		PERFORM pg_sleep(3600); -- lasts: until terminated
	END IF;
END $$;
SELECT cano.define('suicide', cano.task('a', 'suicide', next => 'done'), cano.exit('done'));
SELECT cano.define('die_twice', cano.task('a', 'die_twice', next => 'done'), cano.exit('done'));
CREATE ROLE crasher LOGIN;
SELECT cano.grant_usage('crasher');
ALTER ROLE crasher SET cano.debug_stop = 'step-after-call:kill';
SQL

my $error = "SELECT status, error ->> 'category', error ->> 'sqlstate', error ->> 'state', error ->> 'task' FROM cano.runs WHERE run_id =";

# The session
my $bad = submit($node, q{'suicide'});
my @good = map { submit($node, q{'three'}) } 1 .. 5;
my $twice = submit($node, q{'die_twice'});
is_story($node, $bad, 'a task that ends its session has no effect and no failed attempt',
	'failed 0 0');
is( $node->safe_psql('postgres', "$error $bad"),
	'failed|poisoned|CN015|a|public.suicide',
	'its run failed as poisoned');
is_story($node, $_, 'a run beside it ended well') foreach @good;
is_story($node, $twice, 'who stops dying in time ends well',
	'completed a 0,1 0');
is( $node->safe_psql('postgres',
		"SELECT count(*) FROM cano.dead_letters WHERE run_id IN ($bad, $twice)"),
	'1', 'the poisoned run is a dead letter')
  or diag('it ended by the error of its task');

# The server
my $log = -s $node->logfile;
$bad = submit($node, q{'three'}, role => 'crasher');
my $beside = $node->poll_query_until('postgres',
	"SELECT cano.submit('three') > 0");
is_story($node, $bad, 'a task that crashes the server has no effect',
	'failed 0 0');
is( $node->safe_psql('postgres', "$error $bad"),
	'failed|poisoned|CN015|a|public.note',
	'its run failed as poisoned, too');
my $crashes = () =
  substr(PostgreSQL::Test::Utils::slurp_file($node->logfile), $log) =~
  /was terminated by signal 9/g;
is($crashes, 3, 'it was given as many tries as cano.max_crashes says');
is_story($node, submit($node, q{'three'}), 'a run after it ended well');
is( $node->safe_psql('postgres',
		"SELECT count(*) FROM cano.runs WHERE status NOT IN ('completed', 'failed')"
	),
	'0',
	'no run is left over');
is($node->safe_psql('postgres', 'SELECT count(*) FROM cano._crash'),
	'0', 'no crash is remembered for longer than its run');

$node->stop;
done_testing();
