# A task is its role, wholly and until after the commit, and nobody else.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('identity');
use_database($node, 'postgres');
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE secret (word text);
INSERT INTO secret VALUES ('sesame');
CREATE TABLE seen (what text, who text);
GRANT ALL ON seen TO PUBLIC;
GRANT CREATE ON SCHEMA public TO worker;
SQL

# What the role makes for itself, as a user would.
$node->safe_psql('postgres', <<'SQL', extra_params => [ '-U', 'worker' ]);
CREATE FUNCTION peek(what text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v_word text;
BEGIN
	BEGIN
		SELECT word INTO v_word FROM secret;
	EXCEPTION WHEN insufficient_privilege THEN
		v_word := 'refused';
	END;
	INSERT INTO seen VALUES (what, concat_ws(' ', session_user, current_user, current_setting('is_superuser'), v_word));
	RETURN v_word;
END $$;
CREATE FUNCTION peek_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM peek('trigger');
	-- A second generation, put off to the commit again.
	IF new.n < 2 THEN
		SET CONSTRAINTS ALL DEFERRED;
		INSERT INTO queue VALUES (new.n + 1);
	END IF;
	RETURN NULL;
END $$;
CREATE TABLE queue (n integer);
CREATE CONSTRAINT TRIGGER peek AFTER INSERT ON queue DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION peek_trigger();
CREATE FUNCTION body() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM peek('body');
	INSERT INTO queue VALUES (1);
	EXECUTE $q$DECLARE c CURSOR WITH HOLD FOR SELECT peek('cursor')$q$;
END $$;
CREATE FUNCTION escape(role text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('session_authorization', role, false);
	PERFORM set_config('role', role, false);
	PERFORM peek('escape');
	RETURN 'out';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;
SELECT cano.define('identity', cano.task('a', 'body', next => 'b'), cano.task('b', 'body', next => 'done'), cano.exit('done'));
SELECT cano.define('escape', cano.task('a', 'escape', next => 'done'), cano.exit('done'));
SQL

my $run = submit($node, q{'identity'});
wait_ended($node, $run);
is( $node->safe_psql('postgres',
		"SELECT status, error FROM cano.runs WHERE run_id = $run"),
	'completed|', 'the run ended well');
is( $node->safe_psql('postgres',
		"SELECT what, who, count(*) FROM seen WHERE what <> 'cursor' GROUP BY 1, 2 ORDER BY 1, 2"
	),
	"body|worker worker off refused|2\ntrigger|worker worker off refused|4",
	'bodies and deferred triggers run as the role');
is( $node->safe_psql('postgres',
		"SELECT count(*) FROM seen WHERE what = 'cursor' AND who <> 'worker worker off refused'"
	),
	'0',
	'a cursor WITH HOLD never runs as anybody else');
is( $node->safe_psql('postgres',
		"SELECT count(*) FROM seen WHERE who NOT LIKE '%refused'"),
	'0', 'nobody saw the secret');

$run = submit($node, q{'escape', '{"role": "postgres"}'});
wait_ended($node, $run);
is($node->safe_psql('postgres', "SELECT cano.result($run) ->> 'a'"),
	'42501', 'a task cannot become a superuser');

# What is said of a run elsewhere
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE stranger LOGIN;
CREATE FUNCTION keeps(word text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM FROM public.gate;
	IF word = 'xyzzy-fails' THEN RAISE 'it failed'; END IF;
	RETURN word || '-output';
END $$;
SELECT cano.define('keeps', cano.task('a', 'keeps', next => 'done', retry => cano.none()), cano.exit('done'), cano.options(log => 'all'));
SQL
close_gate($node);
$run = submit($node, q{'keeps', '{"word": "xyzzy"}', headers => '{"h": "xyzzy"}'});
my $pid = wait_at_gate($node);
is( $node->safe_psql('postgres', "SELECT application_name, query FROM pg_stat_activity WHERE pid = $pid"),
	"cano worker|cano: run $run keeps/a attempt 1", 'its process says which step it is at, and no values');
is( $node->safe_psql('postgres', "SELECT application_name, query FROM pg_stat_activity WHERE pid = $pid", extra_params => [ '-U', 'stranger' ]),
	'cano worker|<insufficient privilege>', 'and not even that to others');
open_gate($node);
wait_ended($node, $run);
wait_ended($node, submit($node, q{'keeps', '{"word": "xyzzy-fails"}'}));
like(slurp_file($node->logfile), qr/it failed/, 'the log has the message of a failure');
unlike(slurp_file($node->logfile), qr/xyzzy/, 'and neither inputs nor outputs');

# Private tables
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE writer LOGIN IN ROLE pg_write_all_data, pg_read_all_data;
SELECT cano.grant_usage('writer');
SQL
foreach my $sql (
	q{INSERT INTO cano._key VALUES (10, 'w', 'k', 1)},
	q{UPDATE cano._job SET owner = 10},
	q{DELETE FROM cano._run},
	q{INSERT INTO cano._job SELECT 10, 0, id, id, 'e', 'a', 1, 0 FROM cano._run LIMIT 1})
{
	my ($status, undef, $stderr) = $node->psql('postgres', $sql,
		extra_params => [ '-U', 'writer' ]);
	like($stderr, qr/permission denied for table/, "refused: $sql");
}
is_story($node, submit($node, q{'three'}, role => 'writer'),
	'his own runs are none the worse');

# Who may submit
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE nologin;
SELECT cano.grant_usage('nologin');
SQL
my (undef, undef, $stderr) = $node->psql('postgres',
	q{SET ROLE nologin; SELECT cano.submit('three')});
like(
	$stderr,
	qr/role "nologin" cannot submit a run because it is not permitted to log in.*HINT: /s,
	'a role that cannot log in is told so');

is_story($node, submit($node, q{'three'}, role => 'postgres'),
	'a superuser may submit');
$run = submit($node,
	q{'three', run_at => clock_timestamp() + '500ms'},
	role => 'postgres');
$node->append_conf('postgresql.conf', "cano.allow_superuser_runs = off\n");
$node->reload;
$node->poll_query_until('postgres',
	q{SELECT NOT current_setting('cano.allow_superuser_runs')::boolean});
(undef, undef, $stderr) =
  $node->psql('postgres', q{SELECT cano.submit('three')});
like(
	$stderr,
	qr/superuser "postgres" cannot submit a run.*HINT: /s,
	'unless cano.allow_superuser_runs is off');
is_story($node, submit($node, q{'three'}), 'others may');
$node->poll_query_until('postgres',
	"SELECT clock_timestamp() > next_at + '300ms' FROM cano.runs WHERE run_id = $run"
);
is($node->safe_psql('postgres', "SELECT count(*) FROM ledger WHERE run = $run"),
	'0', 'and what a superuser had submitted stays where it is');

$node->append_conf('postgresql.conf', "cano.allow_superuser_runs = on\n");
$node->reload;
is_story($node, $run, 'until it is allowed again');

$node->stop;
done_testing();
