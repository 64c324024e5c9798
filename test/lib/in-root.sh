# in-root.sh
#	  Make the Debian $RELEASE in $ROOT and run a command there, in a copy of
#	  the tree.
#
# Started by majors.sh as root, with mounts and processes of its own: it is
# their process 1, and all of them end with it.
set -euo pipefail
. test/lib/workspace.sh
. test/lib/majors.sh

[ $$ -eq 1 ] || die "started without processes of its own"

# When who started us is gone (the end of our input) everything here ends.
exec {alive}<&0 </dev/null
(
	cat <&"$alive" >/dev/null
	kill -KILL -1
) &
exec {alive}<&-

# Programs there expect that "/" is a mount point.
mount --bind "$ROOT" "$ROOT"
log=$(debootstrap --variant=minbase --include=ca-certificates --cache-dir="$CACHE" \
	"$RELEASE" "$ROOT" "$MIRROR" sid 2>&1) ||
	{ tail -n 20 <<<"$log"; not_tested "could not make Debian $RELEASE"; }
mount -t proc proc "$ROOT/proc"
mount --rbind /sys "$ROOT/sys"
mount -t tmpfs -o mode=1777 tmpfs "$ROOT/dev/shm"
mount --bind "$CACHE" "$ROOT/var/cache/apt/archives"
apt-config dump | grep -E '^Acquire::(https?::Proxy|Check-Valid-Until) ' >"$ROOT/etc/apt/apt.conf.d/80cano" || :
if is_experimental "$PG_MAJOR"; then
	echo "deb $MIRROR experimental main" >"$ROOT/etc/apt/sources.list.d/experimental.list"
	printf '%s\n' "Package: postgresql* libpq*" "Pin: release a=experimental" "Pin-Priority: 600" \
		>"$ROOT/etc/apt/preferences.d/experimental"
	chroot "$ROOT" apt-get -qq update || :
	chroot "$ROOT" apt-cache show "postgresql-server-dev-$PG_MAJOR" >/dev/null 2>&1 ||
		not_tested "there is no PostgreSQL $PG_MAJOR in Debian's \"experimental\""
fi

copy_tree "$ROOT/root/cano"
status=0
chroot "$ROOT" env HOME=/root bash -c 'cd /root/cano && exec "$@"' - "$@" || status=$?

# Of packages that have a successor only that is kept.
chroot "$ROOT" apt-get -qq autoclean || :
chown -R "$CHECK_UID" "$CACHE"
exit $status
