# Statements about a database or the extension are not in the way of workers,
# nor workers in theirs.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Time::HiRes qw(time);

use CanoServer;
use Test::More;

my $node = new_server('statements', "cano.idle_timeout = '600s'\ncano.workers_per_role = 1\n");
use_database($node, 'postgres');

# Runs a statement with an idle worker in the database.
sub quickly
{
	my ($sql) = @_;
	my $begin = time;
	my ($status, undef, $stderr) = $node->psql('postgres', $sql);

	is($status . $stderr, '0', $sql);
	cmp_ok(time - $begin, '<', 4, "$sql: quickly");
	return;
}

sub in_database
{
	my ($database, $name) = @_;

	is_story($node, submit($node, q{'three'}, database => $database),
		$name, undef, $database);
	ok( count_workers($node, 1, "datname = '$database' AND state = 'idle'"),
		"$name: its worker is idle");
	return;
}

$node->safe_psql('postgres', 'CREATE DATABASE shop');
use_database($node, 'shop');
in_database('shop', 'a run in a database');
quickly('CREATE DATABASE copy TEMPLATE shop');
in_database('shop', 'after it was copied');
quickly('ALTER DATABASE shop RENAME TO store');
in_database('store', 'after it was renamed');
quickly('ALTER DATABASE store SET TABLESPACE pg_default');
in_database('store', 'after it was moved');
quickly('DROP DATABASE store');
in_database('copy', 'in the copy');
quickly('DROP DATABASE copy WITH (FORCE)');
ok(count_workers($node, 0, "datname <> 'postgres'"),
	'no worker is left in what is gone');

# Refused, the worker comes back.
is_story($node, submit($node, q{'three'}), 'a run');
my $run = submit($node, q{'three', run_at => clock_timestamp() + '300ms'});
my ($status) = $node->psql('postgres', 'ALTER DATABASE postgres RENAME TO x');
isnt($status, 0, 'a statement that fails');
is_story($node, $run, 'does not keep a run from its time');

# The extension
is_story($node, submit($node, q{'three'}), 'a run before DROP EXTENSION');
ok(count_workers($node, 1, "state = 'idle'"), 'whose worker is idle');
close_gate($node);
submit($node, q{'gated', run_at => clock_timestamp() + '1h'});
open_gate($node);
quickly('DROP EXTENSION cano');
$node->safe_psql('postgres', 'DROP FUNCTION note, note_behind_gate; DROP TABLE gate, ledger');
use_database($node, 'postgres');
is_story($node, submit($node, q{'three'}), 'a run after CREATE EXTENSION');
$node->safe_psql('postgres', 'BEGIN; DROP EXTENSION cano; ROLLBACK');
is_story($node, submit($node, q{'three'}),
	'a run after DROP EXTENSION was rolled back');

# Workers can be turned off and on.
sub set_enabled
{
	my ($value) = @_;

	$node->safe_psql('postgres', "ALTER SYSTEM SET cano.enabled = $value");
	$node->reload;
	return;
}

set_enabled('off');
ok(count_workers($node, 0), 'cano.enabled = off: all workers leave');
$run = submit($node, q{'three'});
$node->safe_psql('postgres', 'CALL cano.work()',
	extra_params => [ '-U', 'worker' ]);
is_story($node, $run, 'a session can work meanwhile');
$run = submit($node, q{'three'});
set_enabled('on');
is_story($node, $run, 'on: a run that has waited');

$node->stop;
done_testing();
