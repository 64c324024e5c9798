# majors.sh
#	  Other majors of PostgreSQL than this machine's Debian has.  Sourced.
#
# Each release of Debian has one.  For another major its release is made in a
# directory (debootstrap), and what tests runs there, as on a machine of its
# own.  Packages are kept for the next time, everything else is gone afterwards.
#
# What runs there has its own mounts and processes (namespaces), which end
# with it.  It ends when the pipe to its standard input does, so it never
# outlives this script, whatever ends that.

MAJORS="15 17 18"
NOT_TESTED=77					# exit status: it could not be had on this machine
PACKAGE_CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/cano

release_of()
{
	case $1 in
		15) echo bookworm ;;
		17) echo trixie ;;
		18 | 19) echo forky ;;
	esac
}

# Whether there are no packages of it but for the curious, in "experimental".
is_experimental()
{
	[ "$1" = 19 ]
}

# The extensions that tests need.  pgTAP is nothing but SQL: where there is none
# for that major yet, that of another will do.
extension_packages()
{
	if is_experimental "$1"; then
		echo postgresql-18-pgtap
	else
		echo "postgresql-$1-pgtap postgresql-$1-plpgsql-check postgresql-$1-cron"
	fi
}

# Whether this machine's own packages have that major.
is_here()
{
	{ ! is_experimental "$1" && [ "$(. /etc/os-release && echo "${VERSION_CODENAME:-}")" = "$(release_of "$1")" ]; } ||
		apt-cache show "postgresql-server-dev-$1" >/dev/null 2>&1
}

# Where this machine has its Debian from.
debian_mirror()
{
	local mirror

	mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' |
		grep -m 1 -E '^https?:') || mirror=http://deb.debian.org/debian
	echo "${mirror%/}"
}

not_tested()
{
	say "PostgreSQL $PG_MAJOR is NOT TESTED here: $*"
	exit "$NOT_TESTED"
}

# Run a command of the tree in the Debian that has PostgreSQL $PG_MAJOR; exits.
run_elsewhere()
{
	local release mirror long status=0

	release=$(release_of "$PG_MAJOR")
	[ -n "$release" ] || die "PostgreSQL $PG_MAJOR is not here, nor is known where it is (that is known of: $MAJORS)"
	install_packages debootstrap
	as_root unshare --mount --pid --fork true 2>/dev/null ||
		not_tested "it needs Debian $release in a directory, and the right to mount there (in a container: CAP_SYS_ADMIN)"
	mirror=$(debian_mirror)
	eval "$(apt-config shell http_proxy Acquire::http::Proxy)"
	[ -z "${http_proxy:-}" ] || export http_proxy
	timeout 60 wget -q -O /dev/null "$mirror/dists/$release/InRelease" ||
		not_tested "there is no Debian $release at $mirror, or no way there"

	mkdir -p "$PACKAGE_CACHE/$release"
	mapfile -t long < <(long_settings)
	ROOT=$(as_root mktemp -d /var/tmp/cano.XXXXXX)
	as_root chmod 755 "$ROOT"
	trap leave_root EXIT
	say "Making Debian $release for PostgreSQL $PG_MAJOR"
	exec {HOLD}> >(as_root unshare --mount --pid --fork --kill-child \
		env http_proxy="${http_proxy:-}" ROOT="$ROOT" RELEASE="$release" MIRROR="$mirror" \
		CACHE="$PACKAGE_CACHE/$release" CHECK_UID="$(id -u)" PG_MAJOR="$PG_MAJOR" BUILD="${BUILD:-}" \
		KEEP="${KEEP:-}" VERBOSE="${VERBOSE:-}" TERM="${TERM:-dumb}" "${long[@]}" \
		bash test/lib/in-root.sh "$@")
	INSIDE=$!
	wait "$INSIDE" || status=$?
	exit $status
}

leave_root()
{
	local status=$?

	if [ -n "${HOLD:-}" ]; then
		exec {HOLD}>&-
		wait "$INSIDE" 2>/dev/null || :
	fi
	if [ -n "${KEEP:-}" ]; then
		say "Kept: $ROOT"
	else
		as_root rm -rf --one-file-system "$ROOT"
	fi
	(exit $status) || :
	remove_workspace
	exit $status
}

# Run ./check with these arguments for each major of $PG_MAJOR, print the
# sums, exit.
check_each()
{
	local major status worst=0

	for major in $PG_MAJOR; do
		status=0
		say "== PostgreSQL $major =="
		PG_MAJOR=$major ./check "$@" 2>&1 | tee "$WORK/said-$major" || status=${PIPESTATUS[0]}
		say
		if [ $status -ne 0 ] && { [ $worst -eq 0 ] || [ $worst -eq $NOT_TESTED ]; }; then
			worst=$status
		fi
	done
	for major in $PG_MAJOR; do
		say "PostgreSQL $major: $(tail -n 1 "$WORK/said-$major")"
	done
	exit $worst
}
