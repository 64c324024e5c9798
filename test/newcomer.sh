#!/usr/bin/env bash
# newcomer.sh
#	  Do what the README tells a newcomer to do, on a machine that has nothing.
#
# The machine is a Debian 12 in a directory, with somebody on it who may use
# sudo.  Needs root or sudo, the right to mount, and 2 GB under /var/tmp.
set -euo pipefail
cd "$(dirname "$0")/.."
. test/lib/workspace.sh
. test/lib/majors.sh

make_workspace
PG_MAJOR=15
run_elsewhere bash test/lib/run-newcomer.sh
