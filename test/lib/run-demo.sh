# run-demo.sh
#	  Build cano as users do and play the demonstration.  Started by ./demo.
set -euo pipefail
. test/lib/workspace.sh

say "Building cano ..."
make_private_postgres
build_and_install >"$WORK/build.log" 2>&1 || { tail -n 40 "$WORK/build.log"; die "could not build"; }
say "Starting a PostgreSQL $PG_MAJOR of its own ..."
SHOW_LOG=1 test/with_server.sh -c test/durable.conf psql -X -q -v ON_ERROR_STOP=1 -f demo.sql
