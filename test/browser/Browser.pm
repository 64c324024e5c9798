# Browser.pm
#	  A headless Chromium, spoken to in its own protocol (JSON by pipes).
#
# What happens in the page beside what was asked for (requests, messages of
# the console) is kept, for the tests to see that nothing did.

package Browser;

use strict;
use warnings FATAL => 'all';
use Fcntl qw(F_DUPFD);
use IO::Handle;
use JSON::PP ();
use MIME::Base64 qw(decode_base64);
use POSIX ();

my $json = JSON::PP->new->utf8->canonical;

# Start one whose files are in a directory that somebody else removes.
sub new
{
	my ($class, $directory) = @_;
	my $self = bless { id => 0, events => [], buffer => '' }, $class;

	pipe my $their_input, $self->{out} or die "pipe: $!";
	pipe $self->{in}, my $their_output or die "pipe: $!";
	$self->{pid} = fork() // die "fork: $!";
	if (!$self->{pid})
	{
		# It reads from 3 and writes to 4: take care that ours are not there.
		my ($in, $out) = map { fcntl($_, F_DUPFD, 10) || die "fcntl: $!" } $their_input, $their_output;

		POSIX::dup2($in, 3);
		POSIX::dup2($out, 4);
		$ENV{DBUS_SESSION_BUS_ADDRESS} = 'disabled:';
		open STDOUT, '>', "$directory/browser.log" or die "browser.log: $!";
		open STDERR, '>&', \*STDOUT or die "browser.log: $!";
		exec 'chromium', '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-extensions',
		  '--disable-background-networking', '--disable-component-update', '--no-first-run', '--hide-scrollbars', '--force-device-scale-factor=1',
		  "--user-data-dir=$directory/profile", '--remote-debugging-pipe', 'about:blank'
		  or POSIX::_exit(127);
	}
	close $their_input;
	close $their_output;
	$self->{out}->autoflush(1);

	my $target = $self->call('Target.createTarget', { url => 'about:blank' })->{targetId};
	$self->{session} = $self->call('Target.attachToTarget', { targetId => $target, flatten => JSON::PP::true })->{sessionId};
	$self->call("$_.enable") foreach qw(Page Network Runtime Log);
	return $self;
}

# The next message, or an error after so many seconds.
sub message
{
	my ($self) = @_;
	my $end = time() + 30;

	while ($self->{buffer} !~ /\0/)
	{
		my $set = '';

		vec($set, fileno $self->{in}, 1) = 1;
		die "the browser does not answer\n" unless select($set, undef, undef, $end - time()) > 0;
		sysread($self->{in}, $self->{buffer}, 65536, length $self->{buffer}) or die "the browser has gone\n";
	}
	$self->{buffer} =~ s/^([^\0]*)\0//;
	return $json->decode($1);
}

# Call a method; what else comes meanwhile is kept.
sub call
{
	my ($self, $method, $arguments) = @_;
	my $id = ++$self->{id};

	print { $self->{out} } $json->encode({ id => $id, method => $method, params => $arguments // {},
			($self->{session} ? (sessionId => $self->{session}) : ()) }), "\0";
	while (1)
	{
		my $message = $self->message;

		if (!defined $message->{id})
		{
			push @{ $self->{events} }, $message;
			next;
		}
		die "$method: $message->{error}{message}\n" if $message->{error};
		return $message->{result} if $message->{id} == $id;
	}
}

# Wait for an event.
sub wait_for
{
	my ($self, $event) = @_;

	until (grep { $_->{method} eq $event } @{ $self->{events} })
	{
		push @{ $self->{events} }, $self->message;
	}
	return;
}

# Show a page of that width, in a light or dark scheme.
sub open_page
{
	my ($self, $file, $width, $scheme) = @_;

	$self->{events} = [];
	$self->call('Emulation.setDeviceMetricsOverride', { width => $width, height => 900, deviceScaleFactor => 1, mobile => JSON::PP::false });
	$self->call('Emulation.setEmulatedMedia', { media => 'screen', features => [ { name => 'prefers-color-scheme', value => $scheme } ] });
	$self->call('Page.navigate', { url => "file://$file" });
	$self->wait_for('Page.loadEventFired');
	return;
}

# What JavaScript says, promises included.
sub evaluate
{
	my ($self, $script) = @_;
	my $answer = $self->call('Runtime.evaluate', { expression => $script, returnByValue => JSON::PP::true, awaitPromise => JSON::PP::true });

	die "script: " . ($answer->{exceptionDetails}{exception}{description} // $answer->{exceptionDetails}{text}) . "\n"
	  if $answer->{exceptionDetails};
	return $answer->{result}{value};
}

# What was asked for beside the page itself.
sub requests
{
	my ($self, $file) = @_;

	return grep { $_ ne "file://$file" } map { $_->{params}{request}{url} }
	  grep { $_->{method} eq 'Network.requestWillBeSent' } @{ $self->{events} };
}

# What the console was told: errors, violations of the page's policy.
sub complaints
{
	my ($self) = @_;

	return map { $_->{params}{entry}{text} // $_->{params}{exceptionDetails}{text} // 'a message of the console' }
	  grep { $_->{method} =~ /^(Log\.entryAdded|Runtime\.exceptionThrown|Runtime\.consoleAPICalled)$/ } @{ $self->{events} };
}

sub screenshot
{
	my ($self, $file) = @_;
	my $size = $self->call('Page.getLayoutMetrics')->{cssContentSize};
	my $picture = $self->call('Page.captureScreenshot', { captureBeyondViewport => JSON::PP::true,
			clip => { x => 0, y => 0, width => $size->{width}, height => $size->{height}, scale => 1 } });

	open my $handle, '>:raw', $file or die "$file: $!";
	print {$handle} decode_base64($picture->{data});
	close $handle;
	return;
}

sub DESTROY
{
	my ($self) = @_;

	return unless $self->{pid};
	local $?;
	close $self->{out};
	close $self->{in};
	kill 'TERM', $self->{pid};
	waitpid $self->{pid}, 0;
	return;
}

1;
