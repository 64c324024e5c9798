# Sagas while workers are terminated, the server crashes and is stopped at
# once: whatever a run has completed is kept if the run completes, and undone
# exactly once, latest first, if it does not; what could not be undone is still
# there to be undone.
#
# Longer with CANO_SOAK_RUNS=20000 CANO_SOAK_KILLS=200.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use PostgreSQL::Test::Cluster;
use Test::More;

my $runs = $ENV{CANO_SOAK_RUNS} // 800;
my $kills = $ENV{CANO_SOAK_KILLS} // 24;
my $portion = int($runs / $kills) || 1;
my $crashes = 0;

my $node = new_server('saga_soak', "cano.max_crashes = 1000\n");
use_database($node, 'postgres');
$node->safe_psql('postgres', <<'SQL');
-- What was done and what was undone.  "ord" is of what was done; "n" tells
-- which was first.
CREATE SEQUENCE ords;
CREATE TABLE saga (n bigserial, run bigint, what text, state text, ord bigint, cursor int);
CREATE INDEX ON saga (run);
CREATE TABLE mercy ();			-- a column, and all compensations succeed
GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO PUBLIC;

-- The same for the same attempt, whatever befalls it: 0 to 999.
CREATE FUNCTION dice(VARIADIC what text[]) RETURNS int LANGUAGE sql IMMUTABLE AS
	$$ SELECT (hashtextextended(array_to_string(what, '|', ''), 42) & 1048575)::int % 1000 $$;
CREATE FUNCTION done(run bigint, state text, what text DEFAULT 'done') RETURNS bigint LANGUAGE sql AS $$
	INSERT INTO public.saga (run, what, state, ord) VALUES (run, what, state, nextval('public.ords')) RETURNING ord $$;

CREATE FUNCTION act(run_id bigint, state text, attempt int, round int DEFAULT 0) RETURNS cano.outcome LANGUAGE plpgsql AS $$
DECLARE
	v_dice int := dice(run_id::text, state, attempt::text, round::text);
	v_out jsonb;
BEGIN
	IF v_dice < 20 THEN
		PERFORM done(run_id, state, 'verdict');
		RETURN CASE WHEN v_dice < 10 THEN cano.failed('declined') ELSE cano.cancelled('called off') END;
	END IF;
	v_out := jsonb_build_object('ord', done(run_id, state, CASE WHEN state = 'plain' THEN 'plain' ELSE 'done' END));
	IF v_dice < 60 THEN
		RAISE EXCEPTION 'never' USING ERRCODE = 'CN900';
	ELSIF v_dice < 120 THEN
		RAISE EXCEPTION 'not this time';
	ELSIF state = 'last' AND v_dice < 400 AND round < 2 THEN
		RETURN cano.next('first', output => v_out || jsonb_build_object('round', round + 1));
	ELSIF state = 'last' AND v_dice < 550 THEN
		RETURN cano.next(CASE WHEN v_dice < 480 THEN 'bad' ELSE 'void' END, output => v_out);
	END IF;
	RETURN cano.next(output => v_out);
END $$;
CREATE FUNCTION walk(run_id bigint, state text, attempt int, cursor int DEFAULT NULL, round int DEFAULT 0) RETURNS cano.outcome LANGUAGE plpgsql AS $$
DECLARE
	v_dice int := dice(run_id::text, state, attempt::text, round::text, cursor::text);
BEGIN
	INSERT INTO public.saga (run, what, state, cursor) VALUES (run_id, 'step', state || round, coalesce(cursor, 0));
	IF v_dice < 100 THEN
		RAISE EXCEPTION 'a stone in the way' USING ERRCODE = CASE WHEN v_dice < 15 THEN 'CN900' ELSE 'P0001' END;
	ELSIF cursor >= 2 THEN
		RETURN cano.next(output => jsonb_build_object('ord', done(run_id, state)));
	END IF;
	RETURN cano.more(to_jsonb(coalesce(cursor, 0) + 1), delay => CASE WHEN v_dice < 400 THEN interval '5 ms' END);
END $$;
-- Its "ord" is that of its own task's output, not that of the data.
CREATE FUNCTION undo(run_id bigint, state text, attempt int, ord bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	v_dice int := dice('undo', run_id::text, attempt::text, ord::text);
BEGIN
	INSERT INTO public.saga (run, what, state, ord) VALUES (run_id, 'undone', state, ord);
	IF v_dice < 150 AND NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'public.mercy'::regclass AND attnum > 0) THEN
		RAISE EXCEPTION 'it stays' USING ERRCODE = CASE WHEN v_dice < 10 THEN 'XX001' WHEN v_dice < 20 THEN 'CN900' ELSE 'P0001' END;
	END IF;
END $$;

-- Three workflows: in its own time, with little time, and with little time but
-- then abandoned.
SELECT cano.define('saga' || coalesce(options ->> 'on_timeout', ''),
	cano.task('first', 'act', next => 'walk', compensate => 'undo', compensate_retry => cano.fixed(1, '10 ms'), retry => cano.fixed(3, '5 ms')),
	cano.stepped('walk', 'walk', next => 'plain', compensate => 'undo', retry => cano.fixed(3, '5 ms')),
	cano.task('plain', 'act', next => 'pause', retry => cano.fixed(3, '5 ms')),
	cano.timer('pause', delay => '10 ms', next => 'client'),
	cano.external('client', queue => 'work', next => 'last', compensate => 'undo', timeout => '1 min'),
	cano.task('last', 'act', next => 'end', targets => ARRAY['first', 'bad', 'void'], compensate => 'undo', retry => cano.fixed(3, '5 ms')),
	cano.exit('end'), cano.exit('bad', outcome => 'failed'), cano.exit('void', outcome => 'cancelled'), options)
FROM (VALUES (cano.options(compensation_timeout => '10 minutes', on_timeout => NULL)),
	(cano.options(timeout => '500 ms', compensation_timeout => '10 minutes', on_timeout => 'compensate')),
	(cano.options(timeout => '500 ms', compensation_timeout => '10 minutes', on_timeout => 'abandon'))) AS v (options);

CREATE FUNCTION submit_some(portion int) RETURNS void LANGUAGE sql AS $$
	SELECT count(cano.submit((ARRAY['saga', 'saga', 'saga', 'sagacompensate', 'sagaabandon'])[n % 5 + 1], priority => n % 3))
	FROM generate_series(1, portion) AS n $$;
CREATE FUNCTION cancel_some(share float) RETURNS void LANGUAGE sql AS $$
	SELECT count(cano.cancel(r.run_id, 'from outside')) FROM cano.runs AS r WHERE r.ended_at IS NULL AND random() < share $$;
-- Clients' work and its answers, in one commit each.
CREATE PROCEDURE serve() LANGUAGE plpgsql AS $$
DECLARE
	v_work record;
	v_ord bigint;
BEGIN
	FOR v_work IN SELECT * FROM cano.take('work', 1000) ORDER BY random() LOOP
		IF random() < 0.05 THEN
			PERFORM cano.fail(v_work.token, 'no', retry => random() < 0.5);
		ELSE
			v_ord := nextval('public.ords');
			IF cano.complete(v_work.token, jsonb_build_object('ord', v_ord)) THEN
				INSERT INTO public.saga (run, what, state, ord) VALUES (v_work.run_id, 'done', v_work.state, v_ord);
			END IF;
		END IF;
	END LOOP;
END $$;

-- Runs that are not as they must be.  When "once" there was only one
-- rollback, which went strictly back.
CREATE FUNCTION wrong(once boolean) RETURNS TABLE (run bigint, status text, what text, done bigint[], undone bigint[], stack bigint[]) LANGUAGE sql AS $$
	WITH did AS (
		SELECT r.run_id, concat_ws(' ', r.status, r.rollback) AS status, r.cleared,
			ARRAY(SELECT l.ord FROM public.saga AS l WHERE l.run = r.run_id AND l.what = 'done' ORDER BY l.ord DESC) AS done,
			ARRAY(SELECT l.ord FROM public.saga AS l WHERE l.run = r.run_id AND l.what = 'undone' ORDER BY l.n) AS undone,
			ARRAY(SELECT (c.output ->> 'ord')::bigint FROM cano.compensations AS c WHERE c.run_id = r.run_id ORDER BY c.sequence DESC) AS stack
		FROM cano.runs AS r),
	verdict AS (
		SELECT d.*, ARRAY(SELECT u.ord FROM unnest(d.undone) AS u (ord) ORDER BY u.ord DESC) AS sorted,
			ARRAY(SELECT u.ord FROM unnest(d.undone || d.stack) AS u (ord) ORDER BY u.ord DESC) AS together,
			ARRAY(SELECT u.ord FROM unnest(d.stack) AS u (ord) ORDER BY u.ord DESC) AS sorted_stack
		FROM did AS d)
	SELECT v.run_id, v.status, w.what, v.done, v.undone, v.stack
	FROM verdict AS v, LATERAL (VALUES
		('it has not ended', v.status !~ '^(completed none|(failed|cancelled) (none|clean|partial))$'),
		('the log is cleared when it should be kept, or kept', v.cleared <> (v.status ~ 'completed|clean')),
		('it is completed, and something was undone', v.status ~ 'completed' AND (v.undone <> '{}' OR v.stack <> '{}')),
		('not all that was done was undone, or more', v.status !~ 'completed' AND v.together <> v.done),
		('it is clean with something left', v.status ~ 'clean' AND (v.stack <> '{}' OR v.done = '{}')),
		('it is partial with nothing left', v.status ~ 'partial' AND v.stack = '{}'),
		('it was not rolled back, but something was undone', v.status ~ 'none' AND v.undone <> '{}'),
		('not latest first', once AND v.undone <> v.sorted),
		('the stack is in disorder', v.stack <> v.sorted_stack)) AS w (what, is_so)
	WHERE w.is_so $$;
SQL

sub say_wrong
{
	my ($once) = @_;

	return $node->safe_psql('postgres', "SELECT * FROM wrong($once) LIMIT 5");
}

# Something bad; mostly to a worker, often to the server.
sub trouble
{
	my ($number) = @_;

	if ($number % 6 == 5)
	{
		$node->stop('immediate');
		$node->start;
		$crashes++;
	}
	elsif ($number % 3 == 2)
	{
		$crashes += crash_by_worker($node);
	}
	else
	{
		terminate_worker($node);
	}
	return;
}

# All runs end: clients serve them until then.
sub finish
{
	my ($what) = @_;
	my $ended = "SELECT NOT EXISTS (SELECT FROM cano.runs WHERE ended_at IS NULL)";
	my $until = time + $PostgreSQL::Test::Utils::timeout_default;

	while ($node->safe_psql('postgres', $ended) ne 't' && time < $until)
	{
		attempt($node, 'CALL serve()', '-U', 'worker');
	}
	is($node->safe_psql('postgres', $ended), 't', $what);
	return;
}

sub count_endings
{
	return $node->safe_psql('postgres',
		"SELECT string_agg(concat_ws(' ', status, rollback, n), ', ') FROM (SELECT status, rollback, count(*) AS n FROM cano.runs GROUP BY 1, 2 ORDER BY 1, 2) AS c");
}

foreach my $round (1 .. $kills)
{
	attempt($node, "SELECT submit_some($portion)", '-U', 'worker');
	attempt($node, 'CALL serve()', '-U', 'worker');
	attempt($node, 'SELECT cancel_some(0.02)', '-U', 'worker');
	trouble($round);
}
finish('every run ends');
note(count_endings());
cmp_ok($crashes, '>', 0, 'although the server crashed');
is(say_wrong('true'), '', 'what was done is kept or undone once, latest first, or still there to be undone');
foreach my $ending ('completed none', 'failed clean', 'cancelled clean', 'failed partial', 'failed none')
{
	like(count_endings(), qr/\b$ending/, "some are $ending");
}

# Then what is left is undone, and what was abandoned goes on.
$node->safe_psql('postgres', 'ALTER TABLE mercy ADD is_shown boolean');
foreach my $round (1 .. int($kills / 4) + 1)
{
	attempt($node,
		"SELECT count(cano.compensate(run_id)) FROM (SELECT run_id FROM cano.runs WHERE rollback = 'partial' ORDER BY random() LIMIT $portion) AS r",
		'-U', 'worker');
	attempt($node,
		"SELECT count(cano.resume(run_id)) FROM (SELECT DISTINCT run_id FROM cano.compensations JOIN cano.runs USING (run_id) WHERE ended_at IS NOT NULL AND rollback = 'none' LIMIT $portion) AS r",
		'-U', 'worker');
	trouble($round);
}
finish('every run ends again');
$node->safe_psql('postgres', "SELECT count(cano.compensate(run_id)) FROM cano.runs WHERE rollback = 'partial'",
	extra_params => [ '-U', 'worker' ]);
finish('those that are compensated, too');
note(count_endings());
is(say_wrong('false'), '', 'still nothing is undone twice, or not at all');
is($node->safe_psql('postgres', "SELECT count(*) FROM cano.runs WHERE rollback = 'partial'"), '0', 'nothing is left half undone');
is($node->safe_psql('postgres', <<'SQL'), '0', 'no step was done twice at one visit');
SELECT count(*) FROM (SELECT FROM saga WHERE what = 'step'
	GROUP BY run, state, cursor HAVING count(*) > 1) AS twice
SQL
is($node->safe_psql('postgres', <<'SQL'), '0', 'no log has a gap');
SELECT count(*) FROM (
	SELECT FROM cano.checkpoints
	GROUP BY run_id HAVING min(sequence) <> 0 OR max(sequence) <> count(*) - 1) AS gaps
SQL
is($node->safe_psql('postgres', 'SELECT (SELECT count(*) FROM cano._job), (SELECT count(*) FROM cano._timer)'), '0|0', 'nothing is left in the queue');


# The question would be answered otherwise, if it had to be.
foreach my $what ('done', 'undone')
{
	is($node->safe_psql('postgres', <<SQL), 't', "one effect more that is $what is noticed");
BEGIN;
INSERT INTO saga (run, what, ord) SELECT run, '$what', ord FROM saga WHERE what = 'undone' LIMIT 1;
SELECT EXISTS (SELECT FROM wrong(false));
ROLLBACK;
SQL
}

unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/deadlock detected/, 'no transaction of the engine met a deadlock');
$node->stop;
done_testing();
