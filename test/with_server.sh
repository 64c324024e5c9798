#!/usr/bin/env bash
# with_server.sh
#	  Run a command against a throwaway server:
#	  with_server.sh [-c SETTINGS_FILE] COMMAND ...
#
# The server has cano preloaded (test.conf) and is gone afterwards.  The
# command finds it through PGHOST and friends.  BINDIR names the server's
# programs; run as any user but root.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
settings=$here/test.conf
if [ "$1" = -c ]; then
	settings="$settings $2"
	shift 2
fi
BINDIR=${BINDIR:-$(pg_config --bindir)}
dir=$(mktemp -d "${TMPDIR:-/tmp}/s.XXXX")

stop()
{
	local status=$?

	"$BINDIR/pg_ctl" -D "$dir/data" -m fast -w stop >/dev/null 2>&1 || :
	if [ $status -ne 0 ] && [ -n "${SHOW_LOG:-}" ]; then
		echo "---- end of the server's log"
		tail -n 60 "$dir/log"
	fi
	rm -rf "$dir"
	exit $status
}
trap stop EXIT

"$BINDIR/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$dir/initdb.log" 2>&1 ||
	{ cat "$dir/initdb.log"; exit 1; }
cat $settings >>"$dir/data/postgresql.conf"
cat >>"$dir/data/postgresql.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$dir'
CONF
"$BINDIR/pg_ctl" -D "$dir/data" -l "$dir/log" -w start >/dev/null || { cat "$dir/log"; exit 1; }

export PATH=$BINDIR:$PATH PGHOST=$dir PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
export PGLOG=$dir/log
"$@"
