# run-newcomer.sh
#	  Type what the README's "Five minutes" say.  Started by newcomer.sh, as
#	  root in a directory of its own that can be spoiled.
set -euo pipefail
. test/lib/workspace.sh

make_workspace
install_packages sudo
rm -rf /var/lib/apt/lists/*
echo "127.0.0.1 localhost $(hostname)" >/etc/hosts
useradd --create-home --shell /bin/bash anna
echo 'anna ALL = (ALL) NOPASSWD: ALL' >/etc/sudoers.d/anna
copy_tree /home/anna/cano
sed -n '/^## Five minutes$/,/^```/s/^    //p' README.md >"$WORK/commands"
head -n -1 "$WORK/commands" >/home/anna/install
tail -n 1 "$WORK/commands" >/home/anna/psql
awk '/^## / { here = /Five minutes/ } /^```/ { sql = here && /sql/; next } sql' README.md >/home/anna/statements
chown -R anna: /home/anna

as_anna()
{
	runuser -l anna -c "cd cano && USER=anna DEBIAN_FRONTEND=noninteractive bash -euxo pipefail $*"
}

say "Installing as the README says"
as_anna ../install </dev/null >"$WORK/log" 2>&1 || { tail -n 30 "$WORK/log"; die "that fails"; }
say "Typing what it says into: $(cat /home/anna/psql)"
as_anna ../psql </home/anna/statements
became=$(echo "SELECT string_agg(status, ' ' ORDER BY run_id) FROM cano.runs" | as_anna ../psql 2>/dev/null)
[ "$became" = "completed failed cancelled completed" ] || die "the runs became: $became"
say "The README leads where it says."
