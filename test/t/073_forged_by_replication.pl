# Whoever may write to all tables and has a subscription of his own cannot
# have rows of cano's tables replicated into being: they would be runs of
# others.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $node = new_server('forged', "wal_level = logical\nmax_wal_senders = 5\nmax_replication_slots = 5\nwal_retrieve_retry_interval = 100ms\n");
use_database($node, 'postgres');
my $real = submit($node, q{'three'});
is_story($node, $real, 'a run of its owner');

# The other database stands for a server where he is master: there he writes
# what he likes.
$node->safe_psql('postgres', 'CREATE DATABASE forge');
$node->safe_psql('forge', <<'SQL');
CREATE EXTENSION cano;
CREATE TABLE public.plain (a integer);
CREATE PUBLICATION everything FOR ALL TABLES;
SELECT pg_create_logical_replication_slot('forge', 'pgoutput');
SQL
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE public.plain (a integer);
CREATE ROLE forger LOGIN SUPERUSER IN ROLE pg_write_all_data;
SQL
$node->safe_psql('postgres', "CREATE SUBSCRIPTION forge CONNECTION '" . $node->connstr . " dbname=forge' PUBLICATION everything"
	  . q{ WITH (create_slot = false, copy_data = false, enabled = false)},
	extra_params => [ '-U', 'forger' ]);
# From 16 on it would otherwise write as the tables' owners, which he may not.
$node->safe_psql('postgres', <<'SQL');
DO $$
BEGIN
	IF current_setting('server_version_num')::integer >= 160000 THEN
		ALTER SUBSCRIPTION forge SET (password_required = false, run_as_owner = true);
	END IF;
END $$;
ALTER ROLE forger NOSUPERUSER;
ALTER SUBSCRIPTION forge ENABLE;
SQL

my ($definition, $origin, $owner) = split /\|/,
  $node->safe_psql('postgres', "SELECT definition, origin, owner FROM cano._run WHERE id = $real");
$node->safe_psql('forge', 'INSERT INTO public.plain VALUES (1)');
$node->wait_for_catchup('forge');
is($node->safe_psql('postgres', 'SELECT a FROM public.plain'), '1', 'his subscription works');

my $log = -s $node->logfile;
$node->safe_psql('forge', <<"SQL");
BEGIN;
INSERT INTO cano._run (id, definition, origin, owner, owner_name, priority, submitted_at, status, cleared, dead, input)
VALUES (777777, $definition, $origin, $owner, 'worker', 1000, now(), 'active', false, false, '{}');
INSERT INTO cano._job (owner, priority, id, run, duty, state, attempt, sequence, errors)
VALUES ($owner, 1000, 777777, 777777, 'e', 'a', 1, -1, 0);
COMMIT;
SQL
ok($node->wait_for_log(qr/permission denied for table _run/, $log), 'a forged run is refused');
is($node->safe_psql('postgres', 'SELECT count(*) FROM cano.runs WHERE run_id = 777777'), '0', 'and is not there');
is($node->safe_psql('postgres', 'SELECT count(*) FROM ledger WHERE run = 777777'), '0', 'nor does anything of it run');
is_story($node, submit($node, q{'three'}), 'others are none the worse');

$node->safe_psql('postgres', 'ALTER SUBSCRIPTION forge DISABLE; ALTER SUBSCRIPTION forge SET (slot_name = NONE); DROP SUBSCRIPTION forge');
$node->stop;
done_testing();
