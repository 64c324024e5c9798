# run-tests.sh
#	  Build and run the tests, as an unprivileged user in a copy of the tree.
#
# Started by ./check.  Every kind adds one line "kind passed failed skipped"
# to the tally; the last line printed is their sum.  A kind that dies without
# a failed test counts as one failure.
set -uo pipefail
. test/lib/workspace.sh

KINDS="lint unit model fuzz compile analyse regress isolation pgtap tap demo browser package bench"
TALLY=$WORK/tally
LOGS=$WORK/logs
TIME_LIMIT=900					# seconds, each kind
LEAST_COVERAGE=90				# percent of the lines of src/
if [ -n "$(compgen -e CANO_)" ]; then
	TIME_LIMIT=86400			# tests are made long: wait for them, and
	VERBOSE=1					# show the figures
fi

mkdir -p "$LOGS"
: >"$TALLY"

# tally KIND STATUS PASSED FAILED SKIPPED
tally()
{
	local kind=$1 status=$2 passed=$3 failed=$4 skipped=$5

	if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then
		failed=1
		[ "$status" -ne 124 ] || say "$kind: stopped after $TIME_LIMIT s"
	fi
	say "$kind $passed $failed $skipped" >>"$TALLY"
	if [ -n "$VERBOSE" ]; then
		cat "$LOGS/$kind"
	elif [ "$failed" -ne 0 ]; then
		grep -vE '^ok [0-9]' "$LOGS/$kind"
	fi
	say "$(printf '%-10s %4d passed, %d failed, %d skipped  (%d s)' "$kind" "$passed" "$failed" "$skipped" $((SECONDS - started)))"
}

# Count the results at the left margin of TAP: "passed failed skipped".  A file
# that prove lists as bad without a failed test (it died, or ended too soon)
# counts as one.
count_tap()
{
	awk '/^not ok [0-9]/ && !/# (TODO|todo)/ {f++; next}
		 /^(not )?ok [0-9]/ {if (/# (SKIP|skip)/) s++; else p++}
		 /^Bail out!/ || /\(Wstat: .* Failed: 0\)$/ {f++}
		 END {print p + 0, f + 0, s + 0}' "$1"
}

# The same for pg_regress: its own words up to 15, TAP since 16.
count_regress()
{
	awk '/^test .* \.\.\. ok/ || /^ok / {p++}
		 /^test .* \.\.\. FAILED/ || /^not ok / {f++}
		 END {print p + 0, f + 0, 0}' "$1"
}

# run KIND COMMAND...: with a time limit, its output into the kind's log.
run()
{
	local kind=$1

	shift
	timeout -k 10 "$TIME_LIMIT" "$@" >>"$LOGS/$kind" 2>&1 </dev/null
}

# Only what was asked for as KIND:NAME, if any was; else all names given.
chosen()
{
	local name

	for name in "$@"; do
		[ -z "$only" ] || [ "${name%.*}" = "$only" ] || continue
		printf '%s ' "$name"
	done
}

# Names of the files "DIRECTORY/*.EXTENSION", without the directory.
files()
{
	find "$1" -maxdepth 1 -name "*.$2" -printf '%f\n' 2>/dev/null | sort
}

lint()
{
	run lint perl test/lint/run.pl
	tally lint $? $(count_tap "$LOGS/lint")
}

unit()
{
	local tests

	tests=$(chosen $(files test/unit c))
	run unit make -s -C test/unit run TESTS="${tests//.c/}"
	tally unit $? $(count_tap "$LOGS/unit")
}

model()
{
	run model bash test/lib/run-models.sh $(chosen $(files test/model pml))
	tally model $? $(count_tap "$LOGS/model")
}

# What it says is to be seen although nothing has failed.
fuzz()
{
	local status

	run fuzz bash test/lib/run-fuzz.sh $(chosen definition outcome models joins rollbacks)
	status=$?
	tally fuzz $status $(count_tap "$LOGS/fuzz")
	[ -n "$VERBOSE" ] || sed -n 's/^ok [0-9]* - /    /p' "$LOGS/fuzz"
}

# What users build, without the stop points for tests but with bitcode; and by a
# clang, which does not know all flags of gcc that PGXS has, and minds casts of
# functions, which PostgreSQL does not when it is built by one.
compile()
{
	local passed=0 failed=0 build flags llvm

	for build in gcc clang "clang ASSERTS=1"; do
		flags=
		llvm=
		if [ "$build" != gcc ]; then
			flags="-Wno-unknown-warning-option -Wno-ignored-optimization-argument -Wno-ignored-attributes -Wno-cast-function-type-strict"
			llvm=with_llvm=no
		fi
		# Not out of the tree: make would find the tree's objects.
		rm -rf build/compile
		mkdir -p build/compile
		cp -R Makefile cano.control sql src build/compile/
		rm -f build/compile/src/*.o
		if run compile make -s -O -j2 -C build/compile PG_CONFIG="$PG_CONFIG" \
			$llvm WERROR=1 CC=$build COPT="$flags"; then
			passed=$((passed + 1))
		else
			failed=$((failed + 1))
		fi
	done
	tally compile 0 $passed $failed 0
}

analyse()
{
	run analyse bash test/lib/run-analysers.sh $(chosen scan-build clang-tidy cppcheck indent)
	tally analyse $? $(count_tap "$LOGS/analyse")
}

regress()
{
	local tests status

	tests=$(chosen $(files test/sql sql))
	run regress make -s installcheck PG_CONFIG="$PG_CONFIG" REGRESS="${tests//.sql/}" ISOLATION= TAP_TESTS=
	status=$?
	[ $status -eq 0 ] || cat regression.diffs tmp_instance/log/postmaster.log >>"$LOGS/regress" 2>/dev/null
	tally regress $status $(count_regress "$LOGS/regress")
}

isolation()
{
	local tests status

	tests=$(chosen $(files test/specs spec))
	run isolation make -s installcheck PG_CONFIG="$PG_CONFIG" ISOLATION="${tests//.spec/}" REGRESS= TAP_TESTS=
	status=$?
	[ $status -eq 0 ] || cat output_iso/regression.diffs >>"$LOGS/isolation" 2>/dev/null
	tally isolation $status $(count_regress "$LOGS/isolation")
}

pgtap()
{
	SHOW_LOG=1 run pgtap test/with_server.sh -c test/no_workers.conf bash test/lib/run-pgtap.sh $(chosen $(files test/pgtap sql))
	tally pgtap $? $(count_tap "$LOGS/pgtap")
}

tap()
{
	local tests status

	tests=$(chosen $(files test/t pl))
	run tap make -s installcheck PG_CONFIG="$PG_CONFIG" REGRESS= ISOLATION= \
		PROVE_FLAGS=-v PROVE_TESTS="$(printf 'test/t/%s ' $tests)"
	status=$?
	[ $status -eq 0 ] || tail -n 40 tmp_check/log/*.log >>"$LOGS/tap" 2>/dev/null
	tally tap $status $(count_tap "$LOGS/tap")
}

# The demonstration checks its own ledgers.
demo()
{
	local status

	SHOW_LOG=1 run demo test/with_server.sh psql -X -q -v ON_ERROR_STOP=1 -f demo.sql
	status=$?
	tally demo $status $((status == 0)) $((status != 0)) 0
}

# Pages as a browser shows them.
browser()
{
	SHOW_LOG=1 run browser test/with_server.sh -c test/no_workers.conf prove -v test/browser/pages.pl
	tally browser $? $(count_tap "$LOGS/browser")
}

package()
{
	run package bash test/lib/run-package.sh
	tally package $? $(count_tap "$LOGS/package")
}

# Once through, for it not to rot: what it says of a build with debug points
# means nothing.
bench()
{
	local status

	run bench test/with_server.sh -c bench/bench.conf \
		perl -Ibench/lib bench/bench.pl --rounds 1 --workers 1 --sync on --csv x --svg x
	status=$?
	tally bench $status $((status == 0)) $((status != 0)) 0
}

# Of a build that counts: the lines executed by all that ran.
judge_coverage()
{
	local status

	run coverage perl test/lib/coverage.pl "$1"
	status=$?
	[ -n "$VERBOSE" ] || [ $status -ne 0 ] || cat "$LOGS/coverage"
	tally coverage $status $((status == 0)) $((status != 0)) 0
}

# Of a build that watches itself: what it saw was the end of a server, and is in
# that server's log or in what a failed kind has shown of it.
judge_undefined()
{
	local reports

	grep -rah 'runtime error: ' tmp_check/log "$LOGS" 2>/dev/null | sort -u >undefined.reports
	reports=$(wc -l <undefined.reports)
	cp undefined.reports "$LOGS/undefined"
	tally undefined 0 $((reports == 0)) $reports 0
}

# Whether there is anything of that kind.
present()
{
	case $1 in
		unit) [ -n "$(files test/unit c)" ] ;;
		model) [ -n "$(files test/model pml)" ] ;;
		regress) [ -n "$(files test/sql sql)" ] ;;
		isolation) [ -n "$(files test/specs spec)" ] ;;
		pgtap) [ -n "$(files test/pgtap sql)" ] ;;
		tap) [ -n "$(files test/t pl)" ] ;;
		*) true ;;
	esac
}

report()
{
	awk '{p += $2; f += $3; s += $4}
		 END {printf "%d passed, %d failed, %d skipped\n", p, f, s; exit f != 0 || p == 0}' "$TALLY"
}

# How it is built: with debug points, and maybe with what looks on.
built="with debug points"
flags=()
case $BUILD in
	'') ;;
	coverage)
		built="$built, counting lines"
		flags=(COPT="--coverage -O0 -Wno-cpp" SHLIB_LINK=--coverage)
		export CANO_COUNTS_LINES=1
		;;
	undefined)
		built="$built and the sanitizer of undefined behaviour"
		flags=(COPT="-fsanitize=undefined -fno-sanitize-recover=all" SHLIB_LINK=-fsanitize=undefined)
		;;
	*) die "there is no build \"$BUILD\" (there are: coverage undefined)" ;;
esac
least=$LEAST_COVERAGE
[ $# -eq 0 ] || least=0			# of a part of the tests nothing is expected
[ -z "$BUILD" ] || KINDS="regress isolation pgtap tap" TIME_LIMIT=3600

wanted=${*:-$KINDS}
for kind in $wanted; do
	case " $KINDS " in
		*" ${kind%%:*} "*) ;;
		*) die "there is no kind \"${kind%%:*}\" (there are: $KINDS)" ;;
	esac
done

make_private_postgres
say "PostgreSQL $("$PG_CONFIG" --version | cut -d' ' -f2-), cano $(sed -n 's/^EXTVERSION = //p' Makefile)"
started=$SECONDS
if build_and_install WERROR=1 ASSERTS=1 "${flags[@]}" >"$LOGS/build" 2>&1; then
	say "$(printf '%-10s built %s  (%d s)' build "$built" $((SECONDS - started)))"
else
	tally build 1 0 1 0
	report
	exit 1
fi
for kind in $wanted; do
	only=
	case $kind in *:*) only=${kind#*:} ;; esac
	kind=${kind%%:*}
	started=$SECONDS
	: >"$LOGS/$kind"			# of another test of that kind
	present $kind && $kind
done
started=$SECONDS
case $BUILD in
	coverage) judge_coverage "$least" ;;
	undefined) judge_undefined ;;
esac
say
report
