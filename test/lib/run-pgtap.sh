# run-pgtap.sh
#	  Run pgTAP files, each in a database of its own: run-pgtap.sh NAME ...
#
# Needs a server (with_server.sh).  The names are those of files in
# test/pgtap.  Each database has pgtap, cano and, where the server has it,
# plpgsql_check.
set -uo pipefail

status=0
for name in "$@"; do
	database=${name%.sql}
	psql -X -q -v ON_ERROR_STOP=1 -v name="$database" <<-'SQL' || exit 1
		SET client_min_messages = warning;
		CREATE DATABASE :"name";
		\connect :"name"
		SET client_min_messages = warning;
		CREATE EXTENSION pgtap;
		CREATE EXTENSION cano;
		SELECT count(*) > 0 AS present FROM pg_available_extensions WHERE name = 'plpgsql_check' \gset
		\if :present
		CREATE EXTENSION plpgsql_check;
		\endif
	SQL
	pg_prove -v -d "$database" "test/pgtap/$name" || status=1
	dropdb --force "$database" || status=1
done
exit $status
