# The dashboard for Grafana asks for nothing that cano.metrics() does not know,
# and by no label that it does not have.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $server = new_server('dashboard');

use_database($server, 'postgres');
my $dashboard = eval { decode_json(slurp_file("$FindBin::RealBin/../../grafana/cano.json")) };
ok($dashboard, 'the dashboard is JSON') or BAIL_OUT($@);
my @panels = grep { $_->{type} ne 'row' } @{ $dashboard->{panels} };
cmp_ok(scalar(@panels), '>', 10, 'it has panels');
is(scalar(grep { !$_->{title} || !$_->{description} || !@{ $_->{targets} } } @panels), 0, 'which say what they show');

my %ids = map { $_->{id} => 1 } @{ $dashboard->{panels} };
is(scalar(keys %ids), scalar(@{ $dashboard->{panels} }), 'each is its own');
my %taken;
foreach my $panel (@{ $dashboard->{panels} })
{
	my $at = $panel->{gridPos};

	for my $x ($at->{x} .. $at->{x} + $at->{w} - 1)
	{
		$taken{"$x $_"}++ for $at->{y} .. $at->{y} + $at->{h} - 1;
	}
}
is(scalar(grep { $_ > 1 } values %taken), 0, 'and covers no other');

my %known = map { split /\|/ } split /\n/, $server->safe_psql('postgres', 'SELECT name, type FROM cano._metrics');
my %series = map {
	my $name = $_;
	map { ("$name$_" => 1) } $known{$name} eq 'histogram' ? qw(_bucket _sum _count) : ('')
} keys %known;
my @asked = map { $_->{expr} } map { @{ $_->{targets} } } @panels;
my %asked = map { $_ => 1 } map { /\b(cano_\w+)/g } @asked,
  map { ref $_->{query} ? $_->{query}{query} : () } @{ $dashboard->{templating}{list} };
is(join(' ', grep { !$series{$_} } sort keys %asked), '', 'every metric that it asks for is known');
is(join(' ', grep { my $name = $_; !grep { /^\Q$name\E(_bucket|_sum|_count)?$/ } keys %asked } sort keys %known),
	'cano_circuit_rejections_total cano_rate_limiter_tokens_consumed_total', 'it asks for all but those that say nothing new');

# What is shown by a label has that label.
my %labels;
for my $line (split /\n/, $server->safe_psql('postgres', q{
	SELECT name, label FROM (VALUES
		('cano_workflow_runs_total', 'outcome'), ('cano_task_attempts_total', 'outcome'), ('cano_task_duration_seconds', 'state'), ('cano_task_duration_seconds', 'kind'),
		('cano_queue_depth', 'workflow'), ('cano_queue_depth', 'status'), ('cano_workers', 'status'), ('cano_breakers', 'state'),
		('cano_split_branch_results_total', 'result'), ('cano_batch_items_total', 'result'), ('cano_batch_runs_total', 'outcome'),
		('cano_poll_iterations_total', 'outcome'), ('cano_step_iterations_total', 'outcome'), ('cano_compensations_run_total', 'result'),
		('cano_compensation_drains_total', 'outcome'), ('cano_circuit_acquires_total', 'result'), ('cano_circuit_outcomes_total', 'outcome'),
		('cano_circuit_transitions_total', 'transition'), ('cano_rate_limiter_throttled_total', 'result')) v (name, label)}))
{
	my ($name, $label) = split /\|/, $line;

	$labels{$name}{$label} = 1;
}
my @without;
foreach my $expression (@asked)
{
	my ($by) = $expression =~ /\bby \(([^)]*)\)/ or next;
	my ($name) = $expression =~ /\b(cano_\w+?)(?:_bucket|_sum|_count)?\{/;

	push @without, "$name by $_" for grep { $_ ne 'le' && !$labels{$name}{$_} } split /, /, $by;
}
is(join('; ', @without), '', 'and every label is one of its metric');
$server->stop;
done_testing();
