# docs/reference.md is what docs/reference.sql writes now.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = "$FindBin::RealBin/../..";
my $node = new_server('reference');

# What psql prints of that script, at the top of the tree.
sub written
{
	my ($out, $err) = ('', '');

	IPC::Run::run([ $node->installed_command('psql'), '-XAtq', '-d', $node->connstr('postgres'), '-f', 'docs/reference.sql' ],
		'>', \$out, '2>', \$err, init => sub { chdir $top });
	return ($out, $err);
}

my ($page, $complaint) = written();
is($complaint, '', 'everything has its place in docs/reference.sql');

my %is_known = map { $_ => 1 } split /\n/, slurp_file("$top/docs/reference.md");
my %is_now = map { $_ => 1 } split /\n/, $page;
ok($page eq slurp_file("$top/docs/reference.md"), 'docs/reference.md is what it writes')
  or diag("Write it anew, as a superuser of a server that has this cano: make reference\n",
	map({ "- $_\n" } sort grep { !$is_now{$_} } keys %is_known), map({ "+ $_\n" } sort grep { !$is_known{$_} } keys %is_now));

# What has no place there is noticed.
$node->safe_psql('postgres', 'CREATE EXTENSION cano; CREATE VIEW cano.homeless AS SELECT 1 AS x');
($page, $complaint) = written();
like($complaint, qr/no subject: homeless/, 'a view that no subject names is an error');

$node->stop;
done_testing();
