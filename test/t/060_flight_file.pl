# The file by which crashes are counted: whatever becomes of it while the
# server is down, the engine runs, and nobody pays for what he did not do.

use strict;
use warnings FATAL => 'all';
no warnings 'portable';	# 64 bits

use FindBin;
use lib $FindBin::RealBin;

use CanoServer;
use PostgreSQL::Test::Utils;
use Test::More;

use constant RECORD => 128;	# bytes; so is the header
use constant MAGIC => 0x746867696c66636e;

my $node = new_server('flight', "restart_after_crash = off\ncano.max_crashes = 1\ncano.workers_per_role = 1\n");
use_database($node, 'postgres');
my $file = $node->data_dir . '/cano.flight';

# Overwrite some bytes in every record.
sub overwrite
{
	my ($offset, $bytes, $every) = @_;

	open my $handle, '+<:raw', $file or die "cannot open $file: $!";
	for (my $at = $offset; $at < -s $file; $at += $every // -s $file)
	{
		seek $handle, $at, 0;
		print $handle $bytes;
	}
	close $handle;
	return;
}

sub checksum
{
	my ($database, $role, @words) = @_;
	my $sum = MAGIC;

	foreach my $word ($database << 32 | $role, @words)
	{
		my $old = $sum >> 29;
		use integer;
		$sum = ($sum ^ $word) * 0x100000001b3 + $old;
	}
	return pack 'q', $sum;
}

# Records that are valid, but of another boot of the machine
sub reboot
{
	my $records = slurp_file($file);

	for (my $at = RECORD; $at < length $records; $at += RECORD)
	{
		my ($phase, @words) = unpack 'L4 Q5', substr $records, $at, RECORD;
		my $checksum = pack 'Q', pop @words;

		next if $phase == 0;
		die 'not the check sum' if checksum(@words) ne $checksum;
		$words[5]++;
		substr $records, $at, 56, pack 'L4 Q4 a8', $phase, @words, checksum(@words);
	}
	overwrite(0, $records);
	return;
}

# A worker dies in the middle of a task, and the server with it; it stays down.
# Then something happens to the file, and the server is started.
sub crash
{
	my ($what, $happens) = @_;

	close_gate($node);
	my $run = submit($node, q{'gated'});
	my $pid = wait_at_gate($node);
	my $log = -s $node->logfile;
	kill 'KILL', $pid;
	$node->wait_for_log(qr/database system is shut down/, $log);
	$node->_update_pid(-1);
	$happens->();
	$node->start;
	open_gate($node);
	return $run;
}

is_story($node, crash('nothing', sub { }), 'by a file that is as it was the culprit is known', 'failed 0 0');
is($node->safe_psql('postgres', q{SELECT count(*) FROM cano.runs WHERE error ->> 'category' = 'poisoned'}),
	'1', 'and given up');

# Of each of these nothing can be told.
my @happens = (
	'it is gone' => sub { unlink $file },
	'it is empty' => sub { truncate $file, 0 },
	'it is cut off' => sub { truncate $file, 100 },
	'it is cut off in a record' => sub { truncate $file, RECORD + 50 },
	'it is of another version' => sub { overwrite(8, "\x63") },
	'it has other records' => sub { overwrite(12, "\xff\xff") },
	'it is of another boot' => \&reboot,
	'its check sums are wrong' => sub { overwrite(RECORD + 32, 'old boot', RECORD) },
	'its records are garbage' => sub { overwrite(RECORD + 8, "\xa5" x 64, RECORD) },
	'it is garbage' => sub { overwrite(0, "\xa5" x 5000) },
	'it is a directory' => sub { unlink $file; mkdir $file },
	'it cannot be read' => sub { rmdir $file; append_to_file($file, ''); chmod 0, $file });

while (my ($what, $happens) = splice @happens, 0, 2)
{
	is_story($node, crash($what, $happens), "$what: nobody is blamed");
}
like(slurp_file($node->logfile), qr/flight recorder "cano.flight" is not valid/, 'what is not valid is logged');
like(slurp_file($node->logfile), qr/could not open the flight recorder/, 'so is what cannot be opened');

# Somebody else's crash
chmod 0600, $file;
$node->restart;
$node->append_conf('postgresql.conf', "restart_after_crash = on\n");
$node->reload;
close_gate($node);
my $run = submit($node, q{'gated'});
wait_at_gate($node);
my $client = $node->background_psql('postgres', on_error_stop => 0);
my $pid = $client->query('SELECT pg_backend_pid()');
my $log = -s $node->logfile;
kill 'KILL', $pid;
$node->wait_for_log(qr/PID $pid\) was terminated by signal 9.*ready to accept connections/s, $log);
eval { $client->quit };
open_gate($node);
is_story($node, $run, 'a client that crashes the server is not the task that ran meanwhile');
is($node->safe_psql('postgres', 'SELECT count(*) FROM cano._crash'), '0', 'no crash is counted');

$node->stop;
done_testing();
