# What is wrong in one database, or with all connections, is no matter of the
# others; and who cannot work says so now and then, not all the time.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('broken', "cano.idle_timeout = 0\nmax_connections = 10\n");
$node->safe_psql('postgres', 'CREATE DATABASE other');
use_database($node, $_) foreach qw(postgres other);

my %broken = (
	'a table without a column' => [ 'ALTER TABLE cano._job RENAME errors TO mistakes', 'ALTER TABLE cano._job RENAME mistakes TO errors' ],
	'no table' => [ 'ALTER TABLE cano._checkpoint RENAME TO _mark', 'ALTER TABLE cano._mark RENAME TO _checkpoint' ],
	'another version of the extension' => [ "UPDATE pg_extension SET extversion = '0.0' WHERE extname = 'cano'",
		"UPDATE pg_extension SET extversion = default_version FROM pg_available_extensions WHERE name = 'cano' AND extname = 'cano'" ]);

foreach my $what (sort keys %broken)
{
	my $run = submit($node, q{'three', run_at => clock_timestamp() + '700 ms'}, database => 'other');
	my $log = -s $node->logfile;
	$node->safe_psql('other', $broken{$what}[0]);
	is_story($node, submit($node, q{'three'}), "$what: other databases work") foreach 1 .. 3;
	$node->wait_for_log(qr/ERROR:|extension "cano" of database "other" is version 0.0/, $log);
	is_story($node, submit($node, q{'three'}), "$what: also when it is noticed");
	my @lines = slurp_file($node->logfile, $log) =~ /(?:ERROR|WARNING|FATAL|LOG):/g;
	cmp_ok(scalar(@lines), '<', 30, "$what: the log is not flooded");
	is($node->safe_psql('postgres', 'SELECT count(*) < 5 FROM cano.workers'), 't', "$what: workers do not pile up");
	$node->safe_psql('other', $broken{$what}[1]);
	$node->reload;
	is_story($node, $run, "$what: when it is mended its run goes on", undef, 'other');
}

# Workers need no connection of those that clients have.
my @runs = map { submit($node, q{'three', run_at => clock_timestamp() + '1 s'}) } 1 .. 5;
my @clients = map { $node->background_psql('postgres', on_error_stop => 0) } 1 .. 7;
my $free = pop @clients;
my ($status) = $node->psql('postgres', 'SELECT 1', extra_params => [ '-U', 'worker' ]);
isnt($status, 0, 'every connection is taken');
is($free->query('DO $$ BEGIN WHILE EXISTS (SELECT FROM cano.runs WHERE ended_at IS NULL) LOOP COMMIT; PERFORM pg_sleep(0.1); END LOOP; END $$; SELECT 1'), # lasts: until they have ended
	'1', 'runs end although nobody else can connect');
$_->quit foreach @clients, $free;
is_story($node, $_, 'as they should') foreach @runs;

$node->stop;
done_testing();
