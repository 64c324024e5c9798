# run-models.sh
#	  Check the models named, files of test/model, by exhaustive search.
#
#	  run-models.sh claim.pml wake.pml ...
#
# Each must hold in every state that it can get into, and each mutant of it
# (MUTANT is the name of a planted bug) must be found out.  A mutant "progress"
# goes round for ever; a model that has one must not.
set -uo pipefail
tests=0

# not_ok TEXT: the name of the test, and what there is to be seen.
not_ok()
{
	printf 'not ok %d - %s\n' $((++tests)) "$1"
	sed 's/^/# /' out
}

ok()
{
	printf 'ok %d - %s\n' $((++tests)) "$1"
}

# verify MODEL MUTANT|0 SAFETY|NP OPTIMIZE: true if it could be checked, whatever
# came of it.
verify()
{
	local options=-m100000

	[ "$3" = SAFETY ] || options="$options -l"
	spin -a -DMUTANT="$2" "$1" >out 2>&1 &&
		gcc "$4" -w -D"$3" -DMEMLIM=1000 -o pan pan.c >>out 2>&1 &&
		./pan $options >out 2>&1 &&
		grep -q 'errors: ' out && ! grep -qE '^error: |MEMLIM' out
}

# mutants MODEL "mutant"|"mutant, progress"
mutants()
{
	sed -nE "s|^#define[[:blank:]]+([A-Z_]+)[[:blank:]]+[0-9]+[[:blank:]]+/\* $2: .*|\1|p" "$1"
}

# holds MODEL NAME SAFETY|NP
holds()
{
	if verify "$1" 0 "$3" -O1 && grep -q 'errors: 0$' out; then
		ok "$2 ($(awk '/states, stored/ {print $1; exit}' out) states)"
	else
		not_ok "$2"
	fi
}

# refuted MODEL NAME SAFETY|NP MUTANT...
refuted()
{
	local model=$1 name=$2 mode=$3 mutant

	for mutant in "${@:4}"; do
		if verify "$model" "$mutant" "$mode" -O0 && grep -q 'errors: 1$' out; then
			ok "$name is refuted with $mutant"
		else
			not_ok "$name is refuted with $mutant"
		fi
	done
}

directory=$PWD/test/model
cd "$(mktemp -d)" || exit 1
for file in "$@"; do
	model=$directory/$file
	name=${file%.pml}
	holds "$model" "$name" SAFETY
	refuted "$model" "$name" SAFETY $(mutants "$model" mutant)
	circles=$(mutants "$model" "mutant, progress")
	if [ -n "$circles" ]; then
		holds "$model" "$name gets on" NP
		refuted "$model" "$name" NP $circles
	fi
done
printf '1..%d\n' $tests
