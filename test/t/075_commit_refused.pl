# Another extension may refuse a commit: postgres_fdw does when the other server
# refuses its own.  The steps of that transaction are tried one by one, and only
# those have failed whose own commit is refused; what they did is not there.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $node = new_server('refused', '');
my ($host, $port) = ($node->host, $node->port);

# The other server is this one.
use_database($node, 'postgres');
$node->safe_psql('postgres', <<"SQL");
CREATE DATABASE other;
CREATE EXTENSION postgres_fdw;
CREATE SERVER other FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname 'other');
CREATE USER MAPPING FOR worker SERVER other OPTIONS (user 'worker', password_required 'false');
CREATE FOREIGN TABLE far (n integer, run bigint) SERVER other;
GRANT ALL ON far TO worker;
CREATE FUNCTION put(n integer, run_id bigint) RETURNS void LANGUAGE sql AS 'INSERT INTO public.far VALUES (n, run_id)';
CREATE FUNCTION put_back(run_id bigint) RETURNS void LANGUAGE sql AS 'DELETE FROM public.far WHERE run = run_id';
SELECT cano.define('put', cano.task('put', 'put', next => 'after', retry => cano.fixed(1, '0')),
	cano.task('after', 'note', next => 'done'), cano.exit('done'));
SELECT cano.define('put twice', cano.task('put', 'put', compensate => 'put_back', next => 'again'),
	cano.task('again', 'put', next => 'done', retry => cano.none()), cano.exit('done'));
SQL
$node->safe_psql('other', <<'SQL');
CREATE TABLE far (n integer CONSTRAINT once UNIQUE DEFERRABLE INITIALLY DEFERRED, run bigint);
GRANT ALL ON far TO worker;
SQL

# Submit runs for these numbers at once; returns their ids.
sub put
{
	my ($workflow, @numbers) = @_;

	return split /\n/, $node->safe_psql('postgres',
		"SELECT id FROM cano.submit_many('$workflow', ARRAY[" . join(',', map { qq('{"n": $_}'::jsonb) } @numbers) . ']) AS id',
		extra_params => [ '-U', 'worker' ]);
}

# What became of them: how it ended, failed attempts, rows here and there.
sub story
{
	my $runs = join ',', @_;

	return $node->safe_psql('postgres', <<SQL);
SELECT string_agg(concat_ws(' ', r.status, r.error ->> 'category', r.error ->> 'sqlstate', r.rollback,
	(SELECT count(*) FROM cano.attempts AS a WHERE a.run_id = r.run_id),
	(SELECT count(*) FROM ledger AS l WHERE l.run = r.run_id)), ', ' ORDER BY r.status, r.run_id)
FROM cano.runs AS r WHERE r.run_id IN ($runs)
SQL
}

sub far
{
	return $node->safe_psql('other', q{SELECT string_agg(n::text, ' ' ORDER BY n) FROM far WHERE n > 0});
}

# Let the workers learn how long it takes, to take several at once.
wait_ended($node, $_) foreach put('put', map { -$_ } 1 .. 30);

my $good = 'completed none 0 1';
my $bad = 'failed retry_exhausted 23505 none 2 0';
my @runs = put('put', 1, 2, 3, 2, 4);
wait_ended($node, $_) foreach @runs;
is(story(@runs), join(', ', ($good) x 4, $bad), 'of several, the one that is refused has failed, as often as it was tried');
is(far(), '1 2 3 4', 'the others are there once, and nothing of that one');

@runs = put('put twice', 5);
wait_ended($node, $_) foreach @runs;
is(story(@runs), 'failed task_execution 23505 clean 1 0', 'what a run did before is undone');
is(far(), '1 2 3 4', 'there, too');

$node->append_conf('postgresql.conf', 'cano.enabled = off');
$node->reload;
count_workers($node, 0);
@runs = put('put', 6, 7, 7);
$node->safe_psql('postgres', 'CALL cano.work()', extra_params => [ '-U', 'worker' ]);
is(story(@runs), join(', ', ($good) x 2, $bad), 'a session that works does the same');
is(far(), '1 2 3 4 6 7', 'to the same effect');

done_testing();
