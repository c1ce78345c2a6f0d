#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The unit tests under valgrind: memory that is read before it is written, read or written where it is not ours,
# and leaks, the possible ones too. BUILD says where the tests are (build).
set -u -o pipefail
TOP=$(cd "$(dirname "$0")/.." && pwd)
cd "$TOP" || exit 1
status=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

for unit in "${BUILD:-build}"/tests/unit/*; do
	[ -f "$unit" ] && [ -x "$unit" ] || continue
	if valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,indirect,possible \
		--track-fds=yes --child-silent-after-fork=yes "$unit" >"$log" 2>&1; then
		echo "ok ${unit##*/} under valgrind"
	else
		echo "not ok ${unit##*/} under valgrind"
		cat "$log" >&2
		status=1
	fi
done
exit $status
