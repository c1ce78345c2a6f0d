#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each command killed at each system call that changes something: the store is whole, the next command goes on.
. "$(dirname "$0")/common.bash"
if is_wanted runtime; then
	. "$TOOLS/runtime.sh"
	export RUNTIME
fi

for command in first load load-stream load-docker load-discard import pull tag rmi create create-no-mount \
	create-read-only create-userns create-bundle mount umount rm commit build check-repair save save-docker save-dir export gc; do
	if is_wanted $command; then
		case_ "$command killed before and after each change, alone and beside a second one" \
			campaign $command kill-before,kill-after,kill-joined
	fi
done

# A second one would have to have another key.
if is_wanted runtime; then
	case_ "a runtime's layer, killed before and after each change" campaign runtime kill-before,kill-after
fi
