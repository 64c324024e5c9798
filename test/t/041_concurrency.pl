# However many workers there are and whatever becomes of them, no more runs of
# a workflow are under way than it allows, and all of them come to their end.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $server = new_server('concurrency', "cano.workers_per_role = 6\n");
use_database($server, 'postgres');
$server->safe_psql('postgres', q{
	CREATE SCHEMA seen;
	CREATE TABLE seen.log (run bigint, step text, at timestamptz);
	CREATE FUNCTION seen.note(run_id bigint, state text) RETURNS void LANGUAGE sql AS
		'INSERT INTO seen.log VALUES (run_id, state, clock_timestamp())';
	CREATE FUNCTION seen.work(run_id bigint, n integer) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM pg_sleep(0.002);	-- lasts: so that runs overlap
		IF n % 7 = 0 THEN
			RAISE EXCEPTION 'every seventh fails' USING ERRCODE = 'CN900';
		END IF;
	END $$;
	SELECT cano.define('few',
		cano.task('first', 'seen.note', next => 'nap'), cano.timer('nap', delay => '5 ms', next => 'work'),
		cano.task('work', 'seen.work', next => 'last'), cano.task('last', 'seen.note', next => 'end'),
		cano.exit('end'), cano.options(concurrency => 3));
});
$server->safe_psql('postgres', q{
	SELECT count(*) FROM cano.submit_many('few',
		(SELECT array_agg(jsonb_build_object('n', n)) FROM generate_series(1, 300) n))});
for (1 .. 5)
{
	my $ended = 40 * $_;
	$server->poll_query_until('postgres', "SELECT count(*) >= $ended FROM cano.runs WHERE ended_at IS NOT NULL")
	  or die 'runs do not end';
	$server->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM cano.workers ORDER BY random() LIMIT 2});
}
ok($server->poll_query_until('postgres', 'SELECT count(*) = 300 FROM cano.runs WHERE ended_at IS NOT NULL'),
	'all runs come to their end');
is($server->safe_psql('postgres', 'SELECT status, count(*) FROM cano.runs GROUP BY status ORDER BY status'),
	"completed|258\nfailed|42", 'each as it should');

# From its first step to its end a run is under way.
is($server->safe_psql('postgres', q{
	WITH under_way AS (
		SELECT r.run_id, min(l.at) AS since, r.ended_at AS until
		FROM cano.runs r JOIN seen.log l ON l.run = r.run_id GROUP BY r.run_id, r.ended_at)
	SELECT max((SELECT count(*) FROM under_way o WHERE o.since <= u.since AND o.until > u.since)) FROM under_way u}),
	'3', 'never more than three are under way, and at times that many');
is($server->safe_psql('postgres', 'SELECT count(*) FROM cano._inside'), '0', 'nobody has kept a place');

# One is under way as soon as its first task begins.
$server->safe_psql('postgres', q{
	SELECT cano.define('gate', cano.task('a', 'note_behind_gate', next => 'end'), cano.exit('end'),
		cano.options(concurrency => 1))});
close_gate($server);
my @runs = map { submit($server, "'gate'") } 1 .. 3;
wait_at_gate($server);
ok($server->poll_query_until('postgres', q{SELECT count(*) = 2 FROM cano._timer WHERE waiting = 'q' AND due_at = 'infinity'}),
	'whoever waits outside does nothing while the first task of another one lasts');
open_gate($server);
ok(wait_ended($server, $_), 'runs that wait at the gate come to their end') for @runs;
$server->stop;
done_testing();
