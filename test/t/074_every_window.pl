# A session that works is stopped at every passage of every point, in runs of
# every kind of state: each goes on in the next session as if nothing had been,
# with every effect once.  So does a session that only submits.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $node = new_server('windows', "cano.enabled = off\ncano.max_crashes = 1000\ncano.batch_steps = 1\n");
use_database($node, 'postgres');
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION fail() RETURNS void LANGUAGE plpgsql AS 'BEGIN RAISE ''failed''; END';
CREATE FUNCTION items() RETURNS SETOF integer LANGUAGE sql AS 'VALUES (1), (2), (3)';
CREATE FUNCTION note_item(item integer) RETURNS integer LANGUAGE sql AS
	'INSERT INTO public.ledger VALUES (cano.run_id(), cano.state() || item, cano.attempt()) RETURNING 2 * item';
CREATE FUNCTION walk(cursor integer) RETURNS cano.outcome LANGUAGE plpgsql AS $$
BEGIN
	PERFORM public.note();
	RETURN CASE WHEN cursor = 2 THEN cano.next() ELSE cano.more(to_jsonb(coalesce(cursor, 0) + 1)) END;
END $$;
CREATE FUNCTION choose() RETURNS text LANGUAGE sql AS $$SELECT 'b'$$;
SELECT cano.define('split', cano.split('a', '{note,note}'::text[], next => 'b'), cano.task('b', 'note', next => 'done'), cano.exit('done')),
	cano.define('batch', cano.batch('a', load => 'items', process => 'note_item', concurrency => 2, next => 'done'), cano.exit('done')),
	cano.define('stepped', cano.stepped('a', 'walk', next => 'b'), cano.task('b', 'note', next => 'done'), cano.exit('done')),
	cano.define('saga', cano.task('a', 'note', compensate => 'note', next => 'b'), cano.task('b', 'note', compensate => 'note', next => 'c'),
		cano.task('c', 'fail', retry => cano.none(), next => 'done'), cano.exit('done')),
	cano.define('child', cano.child('a', 'three', next => 'b'), cano.task('b', 'note', next => 'done'), cano.exit('done')),
	cano.define('receive', cano.receive('a', 'go', next => 'choose'), cano.router('choose', 'choose', targets => '{b}'), cano.task('b', 'note', next => 'done'), cano.exit('done')),
	cano.define('external', cano.external('a', 'queue', compensate => 'note', next => 'b'), cano.task('b', 'fail', retry => cano.none(), next => 'done'), cano.exit('done')),
	cano.define('hooks', cano.task('a', 'note', next => 'done'), cano.exit('done'),
		cano.options(on_end => 'note', concurrency => 1, resources => ARRAY[cano.with_resource('r', setup => 'note', teardown => 'note')]));
SQL
my @points = qw(batch-claimed step-before-call step-after-call step-decided batch-before-settle batch-before-commit batch-after-commit);

# Whom it killed is gone before the server knows of it, and restarts.
sub wait_back
{
	my ($stop, $log) = @_;

	$node->wait_for_log(qr/all server processes terminated/, $log) if $stop =~ /:kill/;
	$node->poll_query_until('postgres', 'SELECT true');
	return;
}

# A run is begun and worked on in one session.  True if that came to its end.
sub begin
{
	my ($workflow, $stop) = @_;
	my $log = -s $node->logfile;
	my ($status) = $node->psql('postgres', <<"SQL");
SET cano.debug_stop = '$stop';
SET SESSION AUTHORIZATION worker;
SELECT cano.signal(cano.submit('$workflow'), 'go');
CALL cano.work();
SQL

	wait_back($stop, $log) if $status == 2;
	return $status == 0;
}

# Another session does what is left.  What became of the run and its children.
sub finish
{
	my ($workflow) = @_;
	my $work = q{CALL cano.work(); SELECT count(cano.complete(token)) FROM cano.take('queue');};

	return $node->safe_psql('postgres', <<"SQL") =~ s/^\d*\n//mgr;
SET SESSION AUTHORIZATION worker;
$work $work CALL cano.work();
RESET SESSION AUTHORIZATION;
WITH latest AS (SELECT max(run_id) AS run FROM cano.runs WHERE workflow = '$workflow' AND parent_run_id IS NULL),
	family AS (SELECT r.* FROM cano.runs AS r, latest AS l WHERE r.run_id = l.run OR r.parent_run_id = l.run)
SELECT (SELECT string_agg(status || ' ' || rollback || ' ' || coalesce(error ->> 'message', 'well'), ', ' ORDER BY run_id) FROM family),
	(SELECT string_agg(state, ' ' ORDER BY state) FROM ledger WHERE run IN (SELECT run_id FROM family)),
	(SELECT string_agg(concat_ws(':', sequence, kind, state), ' ' ORDER BY run_id, sequence) FROM cano.checkpoints WHERE run_id IN (SELECT run_id FROM family)),
	(SELECT count(*) FROM cano.attempts WHERE run_id IN (SELECT run_id FROM family)),
	(SELECT count(*) FROM cano._job) + (SELECT count(*) FROM cano._timer) + (SELECT count(*) FROM cano._inside) + (SELECT count(*) FROM cano._work)
SQL
}

my $windows = 0;
foreach my $workflow (qw(three split batch stepped saga child receive external hooks))
{
	begin($workflow, '') or die 'cannot work';
	my $story = finish($workflow);
	my @wrong;

	like($story, qr/^(completed none|failed clean) .*\|0$/, "$workflow: a run");

	foreach my $point (@points)
	{
		for (my $passage = 1;; $passage++)
		{
			# Now and then it takes the server with it.
			my $action = ++$windows % 15 == 0 ? 'kill' : 'fatal';
			my $ended = begin($workflow, "$point:$action:$passage");
			my $now = finish($workflow);

			push @wrong, "$point:$action:$passage: $now" if $now ne $story;
			last if $ended;
		}
	}
	is(join("\n", @wrong), '', "$workflow: wherever it is stopped it goes on as if it had not been")
	  or diag("expected: $story");
}
cmp_ok($windows, '>', 200, 'these are many windows');
note("$windows windows");
is($node->safe_psql('postgres', 'SELECT count(*) FROM cano._crash'), '0', 'no crash is remembered for longer than its run');

# Submitting
foreach my $action (qw(error fatal kill))
{
	my $stop = "submit-after-insert:$action";
	my $log = -s $node->logfile;
	my ($status) = $node->psql('postgres',
		"SET cano.debug_stop = '$stop'; SET SESSION AUTHORIZATION worker; SELECT cano.submit('three', key => 'k')");
	isnt($status, 0, "$action: who submits is stopped");
	wait_back($stop, $log);
	is($node->safe_psql('postgres', q{SELECT (SELECT count(*) FROM cano.runs WHERE key = 'k'), (SELECT count(*) FROM cano._key), (SELECT count(*) FROM cano._job)}),
		'0|0|0', "$action: and nothing of it is left");
}

$node->stop;
done_testing();
