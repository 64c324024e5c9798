# More roles have work than the shared memory has room to remember: nobody's
# work is forgotten for good.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use Test::More;

my $many = 1100;				# CANO_LANES is 1024
my $node = new_server('many', "cano.max_workers = 8\n");
my $log = $node->logfile;
my $log_offset = -s $log;

use_database($node, 'postgres');
$node->safe_psql('postgres', <<"SQL");
CREATE ROLE everybody;
SELECT cano.grant_usage('everybody');
SELECT format('CREATE ROLE role_%s LOGIN IN ROLE everybody', n) FROM generate_series(1, $many) AS n
\\gexec
SQL
$node->safe_psql('postgres', <<"SQL");
DO \$\$
BEGIN
	FOR n IN 1 .. $many LOOP
		PERFORM set_config('role', 'role_' || n, true), cano.submit('three');
	END LOOP;
END \$\$
SQL
ok($node->poll_query_until('postgres', "SELECT count(*) = $many FROM cano.runs WHERE status = 'completed'"), 'the runs of all of them end')
  or diag($node->safe_psql('postgres', 'SELECT status, count(*) FROM cano.runs GROUP BY 1'));
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT (run, state)) FROM ledger'), 3 * $many . '|' . 3 * $many, 'every step was done once');
like(PostgreSQL::Test::Utils::slurp_file($log, $log_offset), qr/more than 1024 roles and databases have work for cano/,
	'the log says that there were too many');

# There is room again for whoever comes.
is_story($node, submit($node, q{'three'}), 'another role has its turn');
is_story($node, submit($node, q{'three'}, role => 'role_1'), 'and the first one again');

done_testing();
