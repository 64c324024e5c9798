# README, tutorial and what is said of workflows are true: their statements
# print what they say.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoDocument;
use CanoServer;
use Test::More;

my $libraries = has_extension('pg_cron') ? 'cano, pg_cron' : 'cano';
my $node = new_server('documents', "shared_preload_libraries = '$libraries'\ncron.database_name = 'workflows'\n");
my $statuses = q{SELECT string_agg(status, ',' ORDER BY run_id) FROM cano.runs};
my $database;

$database = follow_document($node, 'README.md', 'anna', qw(times spans bars ids));
is($node->safe_psql($database, $statuses), 'completed,failed,cancelled,completed', 'what became of the runs of a newcomer');

$database = follow_document($node, 'docs/tutorial.md', 'anna', qw(times spans bars ids));
is($node->safe_psql($database, $statuses), 'completed,completed,completed,failed', 'what became of the runs');

SKIP:
{
	skip 'pg_cron is not here', 1 if !has_extension('pg_cron');

	$node->safe_psql('postgres', q{CREATE DATABASE workflows OWNER anna TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'});
	$node->safe_psql('workflows', 'CREATE EXTENSION pg_cron; GRANT USAGE ON SCHEMA cron TO anna');
	follow_document($node, 'docs/workflows.md', 'anna', qw(times spans bars ids));
}

done_testing();
