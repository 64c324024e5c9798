# run-package.sh
#	  What others are given: the archive for PGXN, the Debian package that is
#	  made from what is in it, a server with what is in the package.  TAP.
set -uo pipefail
. test/lib/workspace.sh

version=$(sed -n 's/^EXTVERSION = //p' Makefile)
unpacked=$WORK/package/cano-$version
package=postgresql-$PG_MAJOR-cano
tests=0

# What is in the repository, as far as a copy without it can tell.
make_archive()
{
	local me=(-c user.name=cano -c user.email=nobody@cano.invalid)

	git init -q . && git add -A && git "${me[@]}" commit -q -m cano &&
		make -s dist PG_CONFIG="$PG_CONFIG" && unzip -q "cano-$version.zip" -d "$WORK/package"
}

make_package()
{
	export PG_SUPPORTED_VERSIONS=$PG_MAJOR DEB_BUILD_OPTIONS="parallel=$(nproc)"
	cd "$unpacked" && pg_buildext updatecontrol && dpkg-buildpackage -b -us -uc
}

ask_lintian()
{
	lintian --fail-on error "$unpacked"/../*.changes
}

run_workflow()
{
	make_private_postgres "$WORK/packaged" && dpkg-deb -x "$unpacked/../$package"_*.deb "$WORK/packaged" &&
		SHOW_LOG=1 test/with_server.sh psql -X -q -v ON_ERROR_STOP=1 -f debian/tests/workflow.sql
}

# Each needs those before it.
mkdir "$WORK/package"
for what in make_archive make_package ask_lintian run_workflow; do
	case $what in
		make_archive) text="cano-$version.zip is made" ;;
		make_package) text="$package is made of it" ;;
		ask_lintian) text="lintian finds no error in it" ;;
		run_workflow) text="a server with it runs a workflow" ;;
	esac
	if ! ($what) >"$WORK/package/out" 2>&1; then
		printf 'not ok %d - %s\n' $((++tests)) "$text"
		sed 's/^/# /' "$WORK/package/out"
		exit 1
	fi
	printf 'ok %d - %s\n' $((++tests)) "$text"
done
printf '1..%d\n' $tests
