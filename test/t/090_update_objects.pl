# An updated installation has the same objects as a new one, and a difference
# would be seen.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use CanoUpgrade;
use Test::More;

my $node = new_server('objects');

$node->safe_psql('postgres', 'CREATE ROLE narrow; CREATE DATABASE fresh');
my $given = q{SELECT cano.grant_usage('worker'); GRANT USAGE ON SCHEMA cano TO narrow; GRANT EXECUTE ON FUNCTION cano.submit, cano.status TO narrow};
$node->safe_psql('fresh', "CREATE EXTENSION cano; $given");
my @fresh = objects($node, 'fresh');
cmp_ok(scalar(@fresh), '>', 3000, 'a new installation has many properties');

foreach my $release (releases())
{
	install_script($node, $release, release_script($release));
	$node->safe_psql('postgres', 'CREATE DATABASE updated');
	$node->safe_psql('updated', "CREATE EXTENSION cano VERSION '$release'; $given");
	cmp_ok(scalar(differences(\@fresh, [ objects($node, 'updated') ])), '>', 0, "$release: is different");
	$node->safe_psql('updated', 'ALTER EXTENSION cano UPDATE');
	is(join("\n", differences(\@fresh, [ objects($node, 'updated') ])), '', "$release: an update makes it like a new installation");
	$node->safe_psql('postgres', 'DROP DATABASE updated');
}

# Each of these is a difference.
my $table = 'UPDATE pg_extension SET';
foreach my $planted (
	'ALTER FUNCTION cano.status COST 7', 'ALTER FUNCTION cano.cancel STABLE', q{ALTER FUNCTION cano.adopt SET work_mem = '1MB'},
	'ALTER FUNCTION cano._part SUPPORT array_unnest_support', 'GRANT EXECUTE ON FUNCTION cano.adopt TO worker',
	'REVOKE EXECUTE ON FUNCTION cano.submit FROM worker', q{COMMENT ON FUNCTION cano.next IS 'x'}, q{COMMENT ON VIEW cano.runs IS 'x'},
	q{COMMENT ON COLUMN cano.runs.key IS 'x'}, q{COMMENT ON TABLE cano._run IS 'x'}, q{COMMENT ON EXTENSION cano IS 'x'},
	'ALTER FUNCTION cano.result OWNER TO worker', 'ALTER EXTENSION cano DROP FUNCTION cano.grant_usage',
	'CREATE OR REPLACE VIEW cano.signals WITH (security_barrier) AS SELECT 1::bigint AS run_id, name, payload, sent_at FROM cano._signal',
	'ALTER VIEW cano.runs RESET (security_barrier)', 'ALTER VIEW cano.runs ALTER status SET DEFAULT 1',
	'ALTER TABLE cano._run ADD x integer', q{ALTER TABLE cano._run ALTER key SET DEFAULT ''}, 'ALTER TABLE cano._run ALTER key SET NOT NULL',
	'ALTER TABLE cano._run ALTER input SET STORAGE EXTERNAL', 'ALTER TABLE cano._run RESET (fillfactor)', 'ALTER TABLE cano._run ADD CHECK (id > 0)',
	'ALTER TABLE cano._run ENABLE ROW LEVEL SECURITY', 'CREATE POLICY p ON cano._run USING (true)', 'ALTER TABLE cano._run DISABLE TRIGGER _guard',
	'GRANT SELECT (id) ON cano._run TO worker', 'ALTER TABLE cano._event DROP CONSTRAINT _event_pkey', 'CREATE INDEX ON cano._run (owner)',
	'CREATE STATISTICS s ON owner, status FROM cano._run', 'CREATE RULE r AS ON DELETE TO cano._run DO INSTEAD NOTHING',
	'ALTER SEQUENCE cano._id CACHE 5', 'ALTER TYPE cano.outcome ADD ATTRIBUTE x integer', 'GRANT USAGE ON TYPE cano.outcome TO PUBLIC',
	'GRANT CREATE ON SCHEMA cano TO worker', "$table extconfig = extconfig[2:], extcondition = extcondition[2:]",
	"$table extcondition[1] = 'WHERE false'", "$table extversion = 'x'",
	'DELETE FROM pg_depend WHERE ctid = (SELECT ctid FROM pg_depend WHERE classid = 1255 AND refobjid = \'cano._runs\'::regclass LIMIT 1)',
	q{DELETE FROM pg_init_privs WHERE objoid = 'cano.outcome'::regtype})
{
	cmp_ok(scalar(differences(\@fresh, [ objects($node, 'fresh', $planted) ])), '>', 0, "$planted is seen");
}
is(join("\n", differences(\@fresh, [ objects($node, 'fresh') ])), '', 'and nothing is seen where there is nothing');

$node->stop;
done_testing();
