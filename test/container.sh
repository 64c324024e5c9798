#!/usr/bin/env bash
# container.sh
#	  Build the image of ../Dockerfile and let what is in it run a workflow.
#
#	  [PG_MAJOR=17] test/container.sh
#
# In place of the official image of PostgreSQL, which is not downloaded, there
# is a Debian in a directory, prepared in the same way as far as the Dockerfile
# sees it.  Needs root or sudo, the right to mount, and 4 GB under /var/tmp.
set -euo pipefail
cd "$(dirname "$0")/.."
. test/lib/workspace.sh
. test/lib/majors.sh

make_workspace
run_elsewhere bash test/lib/run-container.sh
