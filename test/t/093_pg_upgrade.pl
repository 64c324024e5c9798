# A cluster with runs that wait for all kinds of things goes through pg_upgrade:
# the same objects are there, runs rest until they are adopted, and every one
# ends as if nothing had been.
#
# From a major to itself: no machine needs to have two of them, and the steps of
# pg_upgrade are the same.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use CanoUpgrade;
use PostgreSQL::Test::Utils;
use Test::More;

# All but texts, which may be printed otherwise when they were read twice, and
# what pg_dump must know of the rights on types: those of tables it never dumps.
sub properties
{
	my ($node) = @_;
	return grep { !/^initially type |: (definition|view|rule _RETURN): / } objects($node, 'life');
}

my @as_worker = (extra_params => [ '-U', 'worker' ]);
my $release = (releases())[-1];
my $old = new_server('old', "cano.enabled = off\n");
load_life($old, $release, 'life', 'CREATE EXTENSION cano');
$old->safe_psql('life', 'SELECT cano.grant_usage($$worker$$), cano.adopt()');
my @objects = properties($old);
my $ledger = 'SELECT string_agg(l::text, chr(10) ORDER BY l) FROM ledger l';
my $done = $old->safe_psql('life', $ledger);
my $unfinished = $old->safe_psql('life', 'SELECT count(*) FROM cano.runs WHERE ended_at IS NULL');
$old->stop;

my $new = make_server('new');
my $bindir = $old->config_data('--bindir');
chdir $PostgreSQL::Test::Utils::tmp_check;
command_ok([ 'pg_upgrade', '--no-sync', '-b', $bindir, '-B', $bindir, '-d', $old->data_dir, '-D', $new->data_dir, '-s', $new->host, '-p', $old->port, '-P', $new->port ],
	'a cluster with all kinds of runs is upgraded');
$new->start;

is($new->safe_psql('life', q{SELECT finding FROM cano.health() WHERE severity = 'error'}), 'not_adopted', 'what it found unfinished is not its own');
my $run = $new->safe_psql('life', q{SELECT cano.submit('plain', tags => '{new}')}, @as_worker);
$new->safe_psql('life', "SELECT cano.wait($run)", @as_worker);
is($new->safe_psql('life', $ledger . " WHERE run <> $run"), $done, 'it runs what is submitted, and nothing else');
is($new->safe_psql('life', 'SELECT cano.adopt()'), $unfinished, 'until that is adopted');
is(join("\n", differences(\@objects, [ properties($new) ])), '', 'and who may do what is as it was');
all_end_well($new, 'life', 'upgraded');

$new->stop;
done_testing();
