# A submission in a two-phase transaction is worked on after COMMIT PREPARED,
# by workers that nobody could tell of it.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $node = new_server('prepared', "cano.idle_timeout = '60s'\n");
use_database($node, 'postgres');

sub as_worker
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql,
		extra_params => [ '-U', 'worker' ]);
}

sub prepare
{
	my ($name, $arguments) = @_;
	return as_worker(
		"BEGIN; SELECT cano.submit($arguments); PREPARE TRANSACTION '$name'");
}

my $committed = prepare('one', q{'three', key => 'one'});
my $lost = prepare('two', q{'three', key => 'two'});
my $later = prepare('three',
	q{'three', run_at => clock_timestamp() + '300ms'});

is_story($node, submit($node, q{'three'}), 'a run in between');
is($node->safe_psql('postgres', 'SELECT count(*) FROM cano.runs'),
	'1', 'what is only prepared cannot be seen');

as_worker(q{COMMIT PREPARED 'one'});
is_story($node, $committed, 'a run is worked on after COMMIT PREPARED');
as_worker(q{ROLLBACK PREPARED 'two'});
as_worker(q{COMMIT PREPARED 'three'});
is_story($node, $later, 'also one that is due later');

is( as_worker(
		"SELECT newly_submitted FROM cano.submit_info('three', key => 'two')"),
	't',
	'ROLLBACK PREPARED leaves no key behind');
is( $node->safe_psql('postgres',
		"SELECT (SELECT count(*) FROM cano._run WHERE id = $lost), (SELECT count(*) FROM cano._checkpoint WHERE run = $lost)"
	),
	'0|0',
	'and no rows');

# Over a restart, after which nobody remembers who prepared it
$committed = prepare('four', q{'three'});
$node->restart;
as_worker(q{COMMIT PREPARED 'four'});
is_story($node, $committed, 'a submission that was prepared before a restart');

$node->stop;
done_testing();
