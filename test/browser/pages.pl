# pages.pl
#	  Reports, and drawings in Mermaid, in a real browser.
#
# Needs a server (with_server.sh).  What is wrong with a page is found by
# layout.js.  Mermaid is not here unless test/lib/workspace.sh could get it.

use strict;
use warnings FATAL => 'all';
use FindBin;
use lib $FindBin::RealBin;
use File::Temp;
use JSON::PP ();
use Test::More;
use Browser;

sub slurp
{
	my ($file) = @_;

	open my $handle, '<:raw', $file or die "$file: $!\n";
	local $/;
	return <$handle>;
}

binmode Test::More->builder->$_, ':utf8' foreach qw(output failure_output todo_output);
my $directory = File::Temp->newdir("$ENV{TMPDIR}/browser.XXXX");
my $here = $FindBin::RealBin;
system("cd $directory && psql -X -q -v ON_ERROR_STOP=1 -f $here/pages.sql") == 0 or die "pages.sql failed\n";
my $browser = Browser->new($directory);
my $layout = JSON::PP->new->utf8->allow_nonref->decode('"' . (slurp("$here/layout.js") =~ s/([\\"])/\\$1/gr =~ s/\n/\\n/gr =~ s/\t/\\t/gr) . '"');
my $keep = $ENV{CANO_BROWSER_PICTURES};

# ---- The pages ----

foreach my $page (qw(middle partial many wandering injecting long system))
{
	my $file = "$directory/$page.html";

	cmp_ok(-s $file, '<', 60000, "$page: a page of bounded size");
	foreach my $width (400, 1200)
	{
		foreach my $scheme (qw(light dark))
		{
			my $how = "$page at $width pixels, $scheme";

			$browser->open_page($file, $width, $scheme);
			is_deeply($browser->evaluate($layout), [], "$how: all is to be seen, nothing over another, and readable");
			is_deeply([ $browser->requests($file), $browser->complaints ], [], "$how: asks for nothing, complains of nothing");
		}
	}
	is($browser->evaluate('[...document.querySelectorAll("script, img, a, link, iframe, object, form, image, use")].length'), 0,
		"$page: neither scripts nor links");
	$browser->screenshot("$keep/$page.png") if $keep;
}

# What layout.js would find
$browser->open_page("$directory/partial.html", 400, 'light');
$browser->evaluate(q{
	document.querySelector("h1").style = "white-space: nowrap; width: 900px";
	document.querySelector("h2").style = "color: #dddddd";
	document.querySelector(".story li + li").style = "margin-top: -20px";
	document.querySelector("dt").style = "font-size: 0";
	null});
my $wrong = join "\n", @{ $browser->evaluate($layout) };

like($wrong, qr/$_/, "a page is found out that has something $_")
  foreach 'not to be seen', 'wider than the window', 'beyond the window', 'over "', 'contrast of';

$browser->call('Emulation.setEmulatedMedia', { media => 'print', features => [ { name => 'prefers-color-scheme', value => 'dark' } ] });
is($browser->evaluate('getComputedStyle(document.body).backgroundColor'), 'rgb(255, 255, 255)', 'in print, a page is light');
cmp_ok(length $browser->call('Page.printToPDF')->{data}, '>', 10000, 'and it can be printed');

# ---- Mermaid ----

SKIP:
{
	my $mermaid = "$ENV{WORK}/mermaid.min.js";

	skip 'Mermaid is not here', 1 unless -e $mermaid;
	$browser->call('Page.navigate', { url => 'about:blank' });
	my $script = slurp($mermaid);

	utf8::decode($script);
	$browser->evaluate($script);
	$browser->evaluate('mermaid.initialize({startOnLoad: false, securityLevel: "strict"}); window.caught = 0; window.alert = () => caught++; null');
	foreach my $drawing (@{ JSON::PP->new->utf8->decode(slurp("$directory/drawings.json")) })
	{
		my $argument = JSON::PP->new->ascii->encode($drawing);
		my $missing = eval {
			$browser->evaluate(qq{(async (d) => {
				const plain = (text) => text.replace(/\\s+/g, "");
				document.body.innerHTML = (await mermaid.render("drawing", d.drawing)).svg;
				const text = plain([...document.querySelectorAll("svg text, svg p, svg span, svg title")].map((e) => e.textContent).join(" "));
				const wrong = d.shown.filter((s) => !text.includes(plain(s)));
				if (document.querySelector("svg script, svg img, svg a, svg [onerror], svg [href^=javascript]"))
					wrong.push("something active");
				return wrong.concat(caught ? ["a call"] : []);
			})($argument)});
		} // [ $@ ];

		is_deeply($missing, [], "Mermaid draws $drawing->{what}" =~ s/[\n#]/ /gr);
	}
}

done_testing();
