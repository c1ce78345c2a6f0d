#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each system call that can fail made to fail, once, and with all that follow: the error is told in a line, and
# nothing is half made.
. "$(dirname "$0")/common.bash"

for command in first load load-stream load-docker load-discard import pull tag rmi create create-no-mount \
	create-read-only create-userns create-bundle mount umount rm commit build check-repair save save-docker save-dir export gc \
	diff images ls inspect history df; do
	if is_wanted $command; then
		case_ "$command without space, quota, descriptors, memory, on a broken disk, interrupted" \
			campaign $command ENOSPC,ENOSPC+,EDQUOT,EIO,EIO+,EMFILE,EMFILE+,ENOMEM,ENOMEM+,EINTR
	fi
done
