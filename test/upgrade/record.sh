#!/usr/bin/env bash
# record.sh
#	  Print the dump of a database with the life of life.sql, as of long ago,
#	  and with @origin@ for its number:
#
#	  ./with_server.sh -c no_workers.conf upgrade/record.sh >upgrade/0.1.0.dump
#
# To be called once at every release, by that release.
set -euo pipefail
cd "$(dirname "$0")"

psql -X -q -f life.sql >&2
origin=$(psql -XAtc 'SELECT origin FROM cano._engine()')
pg_dump | sed -E "s/\b$origin\b/@origin@/g; s/\b$(date -u +%Y)-[0-9]{2}-[0-9]{2}([ T])/2001-01-01\1/g;
	/^(\\\\(un)?restrict|-- Dumped (from|by)|SET [^c]|--)/d; /^\$/d"
