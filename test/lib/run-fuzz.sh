# run-fuzz.sh
#	  Fuzz what is named: run-fuzz.sh definition outcome models joins rollbacks
#
# The first two are in a copy of cano inside a server that stands alone, the
# others are random tests of the decision core (test/fuzz).  CANO_FUZZ_RUNS says
# how often each is executed, CANO_FUZZ_SEED where the random numbers begin.
# An input that finds something is shown, and kept in a directory under /tmp.
set -uo pipefail
. test/lib/workspace.sh

FLAGS="-g1 -O1 -fno-sanitize-recover=all"
# Debian's flags are gcc's.
QUIET="-Wno-unknown-warning-option -Wno-ignored-optimization-argument -Wno-ignored-attributes -Wno-cast-function-type-strict"
LONGEST=4096					# bytes of an input
SECONDS_EACH=20					# no input takes so long
seed=${CANO_FUZZ_SEED:-1}
tests=0
kept=

not_ok()
{
	printf 'not ok %d - %s\n' $((++tests)) "$1"
	sed 's/^/# /' "$2"
}

# A library of clang's own; where they are is different from release to release.
runtime()
{
	find "$(clang -print-resource-dir)/lib/" -name "libclang_rt.$1-$(uname -m).a" -o \
		-path "*/$(uname -m)*/libclang_rt.$1.a"
}

# A server of its own, whose cano is led by libFuzzer.
build_server()
{
	local tree=$PWD/build/fuzz

	make_private_postgres "$WORK/fuzz"
	mkdir -p "$tree/src" "$WORK/found"
	cp -R Makefile cano.control sql "$tree"
	cp src/*.[ch] test/fuzz/fuzz*.[ch] "$tree/src"
	echo 'src:src/fuzz*' >"$tree/uncovered"
	(cd "$tree" &&
		build_and_install WERROR=1 ASSERTS=1 CC=clang \
			COPT="$FLAGS $QUIET -fsanitize=undefined -fsanitize-coverage=inline-8bit-counters,pc-table -fsanitize-coverage-ignorelist=uncovered" \
			SHLIB_LINK="$(runtime fuzzer_no_main) $(runtime ubsan_standalone) -lstdc++ -lpthread -ldl -lrt -lm") &&
		"$BINDIR/initdb" -D "$WORK/fuzz/data" -U postgres -A trust -E UTF8 --locale=C --no-sync &&
		cat test/test.conf test/no_workers.conf >>"$WORK/fuzz/data/postgresql.conf" &&
		alone -j <test/fuzz/fuzz.sql
}

alone()
{
	"$BINDIR/postgres" --single "$@" -D "$WORK/fuzz/data" postgres
}

# A line of the seeds is an input.  Listed and not in a directory, because
# libFuzzer would write down there whatever it finds worth to be kept.
plant()
{
	local line number=0

	mkdir -p "$WORK/seeds/$1"
	while IFS= read -r line; do
		printf '%s' "$line" >"$WORK/seeds/$1/$((++number))"
	done <"test/fuzz/$1.seeds"
	printf '%s,' "$WORK/seeds/$1"/* | sed 's/,$//' >"$WORK/seeds/$1.list"
}

fuzz_server()
{
	local target=$1 options

	BINDIR=$WORK/fuzz/usr/lib/postgresql/$PG_MAJOR/bin
	if [ ! -e "$WORK/fuzz/built" ]; then
		rm -rf "$WORK/fuzz"
		build_server >build.log 2>&1 && ! grep -q 'ERROR:' build.log ||
			{ not_ok "$target: could not be built" build.log; return; }
		touch "$WORK/fuzz/built"
	fi
	plant "$target"
	options=$(printf '"%s",' "${libfuzzer[@]}" -rss_limit_mb=0 -seed_inputs="@$WORK/seeds/$target.list")
	alone <<<"CALL fuzz('$target', '{${options%,}}')" >"$target.log" 2>&1
}

fuzz_core()
{
	local target=$1

	clang -std=c99 -D_GNU_SOURCE $FLAGS -fsanitize=fuzzer,address,undefined \
		"-DCASES=\"../unit/random_$target.c\"" -o "fuzz_$target" test/fuzz/core.c \
		src/fsm.c src/join.c src/retry.c -lm >"$target.log" 2>&1 &&
		mkdir -p "$WORK/found" &&
		"./fuzz_$target" "${libfuzzer[@]}" >"$target.log" 2>&1
}

# keep TARGET: what it was found with, for who looks into it.
keep()
{
	local file

	for file in "$WORK/found/$1"-*; do
		[ -e "$file" ] || continue
		kept=${kept:-$(mktemp -d /tmp/cano-fuzz.XXXXXX)}
		cp "$file" "$kept"
		say "# input, kept as $kept/${file##*/}:"
		sed 's/^/# /' "$file" | cat -v
		say
	done
}

# judge TARGET
judge()
{
	local log=$1.log

	if grep -qE '^Done [0-9]+ runs' "$log" && ! grep -qE 'FINDING|ERROR: libFuzzer' "$log"; then
		printf 'ok %d - %s: %s executions, %s of %s edges, no finding\n' $((++tests)) "$1" \
			"$(sed -nE 's/^Done ([0-9]+) runs.*/\1/p' "$log")" \
			"$(sed -nE 's/^#[0-9]+\s+DONE\s+cov: ([0-9]+) .*/\1/p' "$log")" \
			"$(sed -nE 's/^INFO: Loaded .*\(([0-9]+) inline .*/\1/p' "$log")"
		sed -n 's/^fuzz /# /p' "$log"
	else
		grep -vE '^#[0-9]+\s+(NEW|REDUCE|pulse)|^0x' "$log" | tail -n 200 >short.log
		not_ok "$1" short.log
		keep "$1"
	fi
}

for target in "$@"; do
	libfuzzer=(-seed="$seed" -max_len=$LONGEST -timeout=$SECONDS_EACH -artifact_prefix="$WORK/found/$target-")
	case $target in
		definition | outcome)
			libfuzzer+=(-runs="${CANO_FUZZ_RUNS:-100000}")
			fuzz_server "$target"
			;;
		*)
			libfuzzer+=(-runs="${CANO_FUZZ_RUNS:-200000}")
			fuzz_core "$target"
			;;
	esac
	[ ! -e "$target.log" ] || judge "$target"
done
printf '1..%d\n' $tests
