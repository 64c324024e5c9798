# run-container.sh
#	  Build the image and try it.  Started by container.sh, as root in a
#	  directory of its own that can be spoiled.
set -euo pipefail
. test/lib/workspace.sh

make_workspace
install_packages buildah "postgresql-$PG_MAJOR"

# There is no kernel's storage in every container, and no daemon in this.
buildah()
{
	command buildah --root "$WORK/images" --runroot "$WORK/run" --storage-driver vfs "$@"
}

# What the official image has and a Dockerfile can rely on: the sample of
# postgresql.conf in a place without version, a directory for what is done in
# a new cluster, the major in the environment.
mkdir /docker-entrypoint-initdb.d
mv "/usr/share/postgresql/$PG_MAJOR/postgresql.conf.sample" /usr/share/postgresql/
ln -s ../postgresql.conf.sample "/usr/share/postgresql/$PG_MAJOR/"
base=$(buildah from scratch)
tar -c --one-file-system --exclude='./tmp/*' --exclude='./root/*' --exclude='./var/cache/apt/archives/*' -C / . >"$WORK/base.tar"
buildah add -q "$base" "$WORK/base.tar" / >/dev/null
rm "$WORK/base.tar"
buildah config --env PG_MAJOR="$PG_MAJOR" "$base"
buildah commit -q --rm "$base" "postgres:$PG_MAJOR" >/dev/null
say "Building the image"
buildah build -q --isolation chroot --pull-never --layers=false --build-arg PG_MAJOR="$PG_MAJOR" -t cano . >/dev/null

# As the entry point of the official image does: a new cluster, what is to be
# done in it, the server.
image=$(buildah from --pull-never cano)
inside=$(buildah mount "$image")
mkdir "$inside/tests"
cp debian/tests/workflow.sql "$inside/tests/"
buildah run --isolation chroot --user postgres "$image" -- sh -e <<'SH'
PATH=/usr/lib/postgresql/$PG_MAJOR/bin:$PATH
initdb -D /tmp/data -A trust -E UTF8 --locale=C --no-sync >/tmp/initdb.log
pg_ctl -D /tmp/data -l /tmp/log -o '-c listen_addresses= -c unix_socket_directories=/tmp' -w start >/dev/null ||
	{ cat /tmp/log; exit 1; }
export PGHOST=/tmp
psql -X -q -v ON_ERROR_STOP=1 -f /docker-entrypoint-initdb.d/cano.sql
psql -X -A -t -c "SELECT extname || ' ' || extversion FROM pg_extension WHERE extname = 'cano'"
createdb other
psql -X -q -o /dev/null -v ON_ERROR_STOP=1 -d other -f /tests/workflow.sql || { cat /tmp/log; exit 1; }
pg_ctl -D /tmp/data -w stop >/dev/null
SH
say "The image is right."
