# workspace.sh
#	  From a clean machine to a private PostgreSQL.  Sourced by bash scripts.
#
# Nothing is installed into the system but packages.  PostgreSQL finds its
# files relative to its programs, so a copy of its two directories is a
# complete private installation, owned by whoever made it; cano goes there.
#
# Two halves, because PostgreSQL refuses to run as root:
#	  ./check, ./demo		packages (as root or by sudo), a temporary copy of the
#							tree, then as an unprivileged user:
#	  test/lib/run-*.sh		build, servers, tests

PG_MAJOR=${PG_MAJOR:-15}

say()
{
	printf '%s\n' "$*"
}

die()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# ---- The first half: whoever called us ----

missing_packages()
{
	local package

	for package in "$@"; do
		[ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
			printf '%s ' "$package"
	done
}

as_root()
{
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "needs root for: $*"
	fi
}

# Install what is missing of the packages named.  The Debian package of a
# server would also create and start a cluster, which nobody asked for.
install_packages()
{
	local missing conf=/etc/postgresql-common/createcluster.d/cano-check.conf

	command -v dpkg-query >/dev/null || die "this script knows Debian only"
	missing=$(missing_packages "$@")
	[ -n "$missing" ] || return 0
	say "Installing $missing"
	as_root mkdir -p "${conf%/*}"
	echo 'create_main_cluster = false' | as_root tee "$conf" >/dev/null
	as_root apt-get -qq update </dev/null || say "apt-get update failed, trying with the lists that are here"
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing </dev/null >"$WORK/apt.log" 2>&1 ||
		{ tail -n 20 "$WORK/apt.log"; as_root rm -f "$conf"; die "could not install $missing"; }
	as_root rm -f "$conf"
}

# The same for packages that not every release of Debian has.
install_if_known()
{
	local package

	for package in $(missing_packages "$@"); do
		apt-cache show "$package" >/dev/null 2>&1 || as_root apt-get -qq update </dev/null || :
		if apt-cache show "$package" >/dev/null 2>&1; then
			install_packages "$package"
		else
			say "There is no $package here; its tests are skipped"
		fi
	done
}

# Mermaid, for what draws with it to be tested by the real one: where there is
# an npm, and it gets it.
fetch_mermaid()
{
	command -v npm >/dev/null || return 0
	(cd "$WORK" && timeout 60 npm pack --silent mermaid@11.17.2 && tar -xzf mermaid-*.tgz package/dist/mermaid.min.js &&
		mv package/dist/mermaid.min.js .) >"$WORK/npm.log" 2>&1 || say "could not get Mermaid; its tests are skipped"
	rm -rf "$WORK"/mermaid-*.tgz "$WORK/package"
}

# The temporary directory of this call; gone when the script ends, with
# every server that still runs in it.  Always under /tmp: the paths of
# sockets must be short.
make_workspace()
{
	WORK=$(mktemp -d /tmp/cano.XXXXXX)
	chmod 755 "$WORK"
	trap remove_workspace EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

remove_workspace()
{
	local status=$? file

	for file in $(find "$WORK" -name postmaster.pid 2>/dev/null); do
		kill -QUIT "$(head -n 1 "$file")" 2>/dev/null || :
	done
	if [ -n "${KEEP:-}" ]; then
		say "Kept: $WORK"
	else
		rm -rf "$WORK" || { sleep 1; rm -rf "$WORK"; }
	fi
	return $status
}

# Copy the tree into a new directory.
copy_tree()
{
	mkdir "$1"
	tar -c --exclude=./.git --exclude=./build --exclude=./tmp_check --exclude=./tmp_instance . | tar -x -C "$1"
}

# What of the environment makes a test long, as arguments for env.
long_settings()
{
	env | grep -E '^CANO_(SOAK|RANDOM|FUZZ)_[A-Z]+=[0-9]+$'
}

# Copy the tree there and run one of its scripts as an unprivileged user,
# with a clean environment.
run_in_workspace()
{
	local as=()
	local long

	mapfile -t long < <(long_settings)
	mkdir "$WORK/tmp"
	copy_tree "$WORK/tree"
	if [ "$(id -u)" = 0 ]; then
		chown -R postgres: "$WORK"
		as=(runuser -u postgres --)
	fi
	cd "$WORK/tree"
	"${as[@]}" env -i PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 \
		HOME="$WORK" TMPDIR="$WORK/tmp" TERM="${TERM:-dumb}" \
		WORK="$WORK" PG_MAJOR="$PG_MAJOR" VERBOSE="${VERBOSE:-}" BUILD="${BUILD:-}" \
		"${long[@]}" bash "$@"
}

# ---- The second half: an unprivileged user in $WORK/tree ----

# Make a private PostgreSQL, in $WORK/pg unless said; sets PG_CONFIG and BINDIR.
make_private_postgres()
{
	local root=${1:-$WORK/pg}
	local extensions=$root/usr/share/postgresql/$PG_MAJOR/extension

	[ -d "/usr/lib/postgresql/$PG_MAJOR/lib/pgxs" ] || die "no PostgreSQL $PG_MAJOR with its development files here"
	mkdir -p "$root/usr/lib/postgresql" "$root/usr/share/postgresql" "$root/usr/include"
	cp -R "/usr/lib/postgresql/$PG_MAJOR" "$root/usr/lib/postgresql/"
	cp -R "/usr/share/postgresql/$PG_MAJOR" "$root/usr/share/postgresql/"
	ln -s /usr/include/postgresql "$root/usr/include/postgresql"
	[ -e "$extensions/pgtap.control" ] || cp /usr/share/postgresql/*/extension/pgtap* "$extensions" 2>/dev/null || :
	BINDIR=$root/usr/lib/postgresql/$PG_MAJOR/bin
	PG_CONFIG=$BINDIR/pg_config
	export BINDIR PG_CONFIG
	[ "$("$PG_CONFIG" --sharedir)" = "$root/usr/share/postgresql/$PG_MAJOR" ] ||
		die "this PostgreSQL cannot be relocated"
}

# Build in the current directory and install into the private PostgreSQL.
# Arguments are make's.
build_and_install()
{
	make -s clean PG_CONFIG="$PG_CONFIG" with_llvm=no >/dev/null
	make -s -j2 all install PG_CONFIG="$PG_CONFIG" with_llvm=no "$@"
}
