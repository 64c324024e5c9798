# run-analysers.sh
#	  What programs find that read the sources: run-analysers.sh NAME ...
#
# Each must find nothing in what is built with debug points and assertions.
# What clang-tidy looks for is in .clang-tidy.
set -uo pipefail

jobs=$(nproc)
assertions="-DUSE_ASSERT_CHECKING -DCANO_DEBUG_POINTS"

# It compiles, too, in a copy where there are no objects.  -w is for that: PGXS
# has flags of gcc.
run_scan_build()
{
	mkdir -p build/analysed
	cp -R Makefile cano.control sql src build/analysed/
	rm -f build/analysed/src/*.o
	scan-build --use-cc=clang --status-bugs -o build/reports \
		make -s -O -j"$jobs" -C build/analysed PG_CONFIG="$PG_CONFIG" \
		with_llvm=no ASSERTS=1 CC=clang COPT="-O0 -w"
}

run_clang_tidy()
{
	local flags

	flags="-std=gnu99 -D_GNU_SOURCE -Isrc -I$("$PG_CONFIG" --includedir-server) $assertions"
	printf '%s\n' src/*.c |
		xargs -P "$jobs" -n 4 sh -c 'clang-tidy --quiet "$@" -- '"$flags"' -DCANO_VERSION=\"\"' clang-tidy
}

# It does not read the server's headers.
run_cppcheck()
{
	local options=(
		--enable=warning,style,performance,portability
		--suppress=unusedStructMember	# padding
		--suppress=normalCheckLevelMaxBranches	# how newer ones look, not what they find
		--suppress=variableScope		# PostgreSQL declares at the head of a function
		--suppress=shadowFunction		# a column of rows, and a function that takes one
		--suppress=constParameterCallback	# the server says what they are
		--suppress=constParameterPointer	# const is for what others rely on
		--suppress=constVariablePointer
		--suppress=constVariable
	)

	cppcheck --quiet --error-exitcode=1 -j "$jobs" --std=c99 "${options[@]}" \
		--include=test/lint/server.h $assertions -Isrc src
}

# In a copy: it changes what it finds.
run_indent()
{
	mkdir -p build/indented
	cp -Rp Makefile cano.control sql src build/indented/
	make -s -C build/indented indent PG_CONFIG="$PG_CONFIG" with_llvm=no || return 1
	diff -ru -x '*.o' src build/indented/src
}

status=0
tests=0
for name in "$@"; do
	if [ "$name" = indent ] && [ ! -x "$("$PG_CONFIG" --bindir)/pg_bsd_indent" ]; then
		printf 'ok %d # SKIP no pg_bsd_indent in this PostgreSQL\n' $((++tests))
	elif "run_${name//-/_}" >out 2>&1; then
		printf 'ok %d - %s finds nothing\n' $((++tests)) "$name"
	else
		printf 'not ok %d - %s finds nothing\n' $((++tests)) "$name"
		grep -v 'warnings generated' out | sed 's/^/# /'
		status=1
	fi
done
printf '1..%d\n' $tests
exit $status
