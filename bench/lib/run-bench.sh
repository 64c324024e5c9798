# run-bench.sh
#	  Build cano as users do and measure it.  Started by bench/run.
set -euo pipefail
. test/lib/workspace.sh

case " $* " in
	*" --help "*) exec perl -Ibench/lib bench/bench.pl --help ;;
esac
make_private_postgres
build_and_install >"$WORK/build.log" 2>&1 || { tail -n 40 "$WORK/build.log"; die "could not build"; }
test/with_server.sh -c bench/bench.conf perl -Ibench/lib bench/bench.pl "$@"
