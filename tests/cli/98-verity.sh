#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# fs-verity: which files are sealed and when, and what is said where it cannot be had. strace answers for a kernel
# that has it where this one does not; vm-tests/40-verity.sh changes sealed files on real disks.
. "$(dirname "$0")/../lib.sh"
# The leak checker cannot work beside strace.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"

image() {
	layout <<-'END'
		deep = "/".join("n" * 200 for _ in range(12))
		base = [directory("etc"), file("etc/a", "a" * 10000, mtime="1500000000.25"), file("etc/none", ""), symlink("etc/s", "a"),
		        hardlink("etc/hard", "etc/a"), entry("etc/fifo", FIFO), directory("gone"), file("gone/x", "x")]
		over = [whiteout("gone"), file("etc/new", "new", mode=0o4755, uid=7), file(deep, "deep")]
		Layout(Image([base, over], names="two:1")).write_dir("image")
	END
}

# verity ANSWER COMMAND...: as on a kernel that answers so to FS_IOC_ENABLE_VERITY; other ioctls do not matter here.
verity() {
	local answer=$1
	shift
	strace -f -qq -y -o .trace -e trace=ioctl,renameat,write,pwrite64,openat -e inject="ioctl:$answer" \
		"$SNAPDRV" --root "$ROOT" -q "$@"
}
# What was sealed, by name, but for the probe's file.
sealed() {
	grep -E 'FS_IOC_ENABLE_VERITY|0x66, 0x85' .trace | sed -E 's/^[^<]*<([^>]*)>.*/\1/' | grep -v verity-probe |
		sed -E "s,^$ROOT/,," | sort
}

which_files() {
	image
	expect_exit 0 verity retval=0 load --verity image
	sealed | sed -E 's,^staging/[^/]*/[0-9]+/fs/,,; s,n{200},n,g' | sort >got
	# One of two names of a file may be sealed again: the kernel says that it is, or strace that it was done.
	printf '%s\n' etc/a etc/hard etc/new gone/x n/n/n/n/n/n/n/n/n/n/n/n | diff -u - got || fail_ "other files"
	python - .trace <<-'END' || fail_ "$(grep -E "VERITY|0x66, 0x85|renameat|fs>|index.json|probe" .trace | cut -c 1-300)"
		import re, sys
		lines = open(sys.argv[1], errors="replace").read().splitlines()
		at = lambda what: [n for n, line in enumerate(lines) if re.search(what, line)]
		seals = at(r"ENABLE_VERITY|0x66, 0x85")
		assert "verity-probe" in lines[seals[0]], "tried before anything else"
		assert seals[0] < min(at(r"openat\(.*index\.json")), "tried before anything is read"
		writes = at(r"p?write(64)?\(\d+<[^>]*/staging/[^>]*/fs/")
		assert writes and max(writes) < seals[1], "sealed when all is written"
		moves = at(r"renameat\(.*/layers>")
		assert len(moves) == 2 and seals[-1] < min(moves), "and before the layers are the store's"
	END
	expect_exit 0 verity retval=0 load image
	same "" "$(sealed || :)"
	expect_exit 0 snap create two:1
	same 1500000000.25 "$(stat -c %.2Y "$OUT/etc/a")"
}
case_ "each regular file with content is sealed, when it is written and before its layer is in the store" which_files

there_already() {
	image
	expect_exit 0 snap load image
	expect_exit 0 verity retval=0 load --verity image
	sealed | sed -E 's,n{200},n,g' | sort >got
	printf '%s\n' layers/1/fs/etc/a layers/1/fs/etc/hard layers/1/fs/gone/x layers/2/fs/etc/new layers/2/fs/n/n/n/n/n/n/n/n/n/n/n/n |
		diff -u - got || fail_ "other files"
	expect_exit 0 snap --json images
	holds 'len(d["images"]) == 1'
	# All of them are sealed, this time.
	expect_exit 0 verity error=EEXIST load --verity image
}
case_ "layers that the store has are sealed when they are asked for again" there_already

imported() {
	mkdir tree
	echo one >tree/one
	: >tree/none
	tar -C tree -cf tree.tar .
	expect_exit 0 verity retval=0 import --verity tree.tar tree:1
	same "one" "$(sealed | sed 's,.*/fs/,,')"
}
case_ "import seals the files of its layer" imported

# failing FIRST LAST ERRNO COMMAND...: as on a kernel that fails so from the one call to the other; 1 is the probe.
failing() {
	local fail="$1 $2 $3"
	shift 3
	cat >ioctl.c <<-'END'
		#include <errno.h>
		#include <linux/fsverity.h>
		#include <stdarg.h>
		#include <stdio.h>
		#include <stdlib.h>
		#include <sys/stat.h>
		#include <sys/syscall.h>
		#include <unistd.h>
		int ioctl(int fd, unsigned long request, ...);
		int ioctl(int fd, unsigned long request, ...)
		{
			static int calls;
			int call, first, last, error;
			va_list list;
			void *arg;
			va_start(list, request);
			arg = va_arg(list, void *);
			va_end(list);
			if (request != FS_IOC_ENABLE_VERITY)
				return (int)syscall(SYS_ioctl, fd, request, arg);
			call = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
			dprintf(9, "call\n");
			if (sscanf(getenv("FAIL"), "%d %d %d", &first, &last, &error) != 3 || call < first || call > last)
				return futimens(fd, NULL); /* as ext4 does */
			errno = error;
			return -1;
		}
	END
	[ -e ioctl.so ] || gcc -shared -fPIC -o ioctl.so ioctl.c
	FAIL=$fail ASAN_OPTIONS="$ASAN_OPTIONS:verify_asan_link_order=0" LD_PRELOAD=$CASE/ioctl.so \
		"$SNAPDRV" --root "$ROOT" "$@" 9>calls
}
fails_midway() {
	image
	WORDS=("two:1" "layer sha256:" "turn fs-verity on for " "No space left on device")
	refused 1 failing 3 3 28 load --verity image
	same "" "$(ls -A "$ROOT/layers" "$ROOT/staging" "$ROOT/content/sha256" | grep -v : || :)"
	expect_exit 0 snap load image
}
case_ "where a file cannot be sealed the image does not come in" fails_midway

waits() {
	image
	# EINTR, EBUSY, ETXTBSY
	for error in 4 16 26; do
		ROOT=$CASE/$error
		expect_exit 0 failing 2 8 $error load --verity image
		# The probe, five names with content, each tried until it was done.
		same $((1 + 5 + 7)) "$(wc -l <calls)"
		expect_exit 0 snap create two:1
		same 1500000000.25 "$(stat -c %.2Y "$OUT/etc/a")"
	done
}
case_ "a file that another process is sealing, or holds open, is waited for; times stay" waits

# refuses WORD...: no image comes in, and info knows.
refuses() {
	WORDS=("fs-verity: " "$@")
	refused 1 snap load --verity image
	refused 1 snap import --verity "$CASE/no.tar" no:1
	expect_exit 0 snap info
	[[ $OUT == *"fs-verity: not usable: "*"$2"* ]] || fail_ "$OUT"
	expect_exit 0 snap --json info
	holds 'd["info"]["verity"] is False and len(d["info"]["verity_answer"]) > 10'
	expect_exit 0 snap load image
}
elsewhere() {
	image
	: >no.tar
	loop_fs "$CASE/xfs" 320M mkfs.xfs -q
	ROOT=$CASE/xfs/store
	refuses "xfs has no fs-verity" "ext4, f2fs or btrfs"
	mkdir ram
	own_mount mount -t tmpfs tmpfs "$CASE/ram"
	ROOT=$CASE/ram/store
	refuses "tmpfs has no fs-verity" "ext4, f2fs or btrfs"
	loop_fs "$CASE/ext4" 64M mkfs.ext4 -q -b 4096
	ROOT=$CASE/ext4/store
	if [ -e /sys/fs/ext4/features/verity ]; then
		refuses "this ext4" "mkfs.ext4 -O verity"
	else
		refuses "this kernel has no fs-verity for ext4" CONFIG_FS_VERITY
	fi
	loop_fs "$CASE/btrfs" 256M mkfs.btrfs -q
	ROOT=$CASE/btrfs/store SNAPDRV_DRIVER=btrfs
	refuses "not with the driver btrfs" "use the driver overlay"
}
case_ "a filesystem, kernel or driver without it is named, with what would help, before anything is read" elsewhere

# Where this kernel has it.
for_real() {
	[ -e /sys/fs/ext4/features/verity ] || skip_optional "this kernel has no fs-verity; vm-tests/40-verity.sh has one"
	image
	loop_fs "$CASE/disk" 64M mkfs.ext4 -q -b 4096 -O verity
	ROOT=$CASE/disk/store
	expect_exit 0 snap load --verity --discard-blobs image
	! echo x >>"$ROOT/layers/1/fs/etc/a" || fail_ "it could be written to"
	expect_exit 0 snap create --name c two:1
	same 1500000000.25 "$(stat -c %.2Y "$OUT/etc/a")"
	echo mine >>"$OUT/etc/a"
	expect_exit 0 snap rm c
	umount disk
	python - <<-'END'
		data = open("disk.img", "rb").read()
		# In the removed copy of the container too, which is still on the disk.
		open("disk.img", "r+b").write(data.replace(b"a" * 5000, b"a" * 4999 + b"b"))
	END
	mount -o loop disk.img disk
	expect_exit 0 snap create --name c two:1
	expect_exit 1 sh -c 'cat "$0" >/dev/null' "$OUT/etc/a"
	[[ $ERR == *"Input/output error"* ]] || fail_ "$ERR"
	expect_exit 0 snap rm c
	expect_exit 0 snap rmi two:1
	expect_exit 0 snap gc
	same "" "$(ls -A "$ROOT/layers")"
}
case_ "with a kernel that has it: a changed byte is an I/O error, writing is refused, removing works" for_real
