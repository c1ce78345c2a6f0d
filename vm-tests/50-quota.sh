#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Quotas: a load that comes to a limit says so and leaves nothing. For a project of xfs the kernel's word is ENOSPC, for
# a quota group of btrfs EDQUOT. (A user's limit does not concern root, who gives the files away when they are written.)
. "$(dirname "$0")/../tests/lib.sh"

limits() {
	own_mount mount -t tmpfs tmpfs "$CASE"
	cd "$CASE"
	mkdir tmp vm
	truncate -s 400M disk disk2
	mkfs.xfs -q disk
	mkfs.btrfs -q disk2 2>mkfs.log
	layout <<-'END'
		import random
		noise = random.Random(1).randbytes(1 << 20)
		def image(count, name):
		    return Image([[directory("d"), *(file(f"d/{n}", noise) for n in range(count))]], names=f"{name}:1")
		Layout(image(24, "big")).write_dir("big")
		Layout(image(2, "small")).write_dir("small")
	END
	cat >script <<-'END'
		set -e
		mkdir -p /mnt/a /mnt/b
		mount -o prjquota /dev/vda /mnt/a
		mkdir /mnt/a/limited
		xfs_quota -x -c "project -s -p /mnt/a/limited 7" -c "limit -p bhard=12m 7" /mnt/a
		mount /dev/vdb /mnt/b
		btrfs subvolume create /mnt/b/limited
		btrfs quota enable /mnt/b
		btrfs qgroup limit 12m /mnt/b/limited
		# over WORDS COMMAND...
		over() {
			local words=$1 said
			shift
			if said=$("$@" 2>&1); then
				echo "no limit: $*: $said"
				return 1
			fi
			echo "$said"
			case $said in
			"snapdrv: image "*": $words") ;;
			*) return 1 ;;
			esac
			[ -z "$(snapdrv images -q)" ]
			for dir in layers active containers staging content/sha256; do
				[ -z "$(ls -A $SNAPDRV_ROOT/$dir)" ]
			done
			[ $(du -sk $SNAPDRV_ROOT | cut -f 1) -lt 2048 ]
		}
		limited() {
			export SNAPDRV_ROOT=$1/limited/store SNAPDRV_DRIVER=overlay
			local words=$2
			snapdrv images
			over "$words" snapdrv load /job/big
			over "$words" snapdrv load --discard-blobs /job/big
			# What fits comes in at once afterwards, and what a container writes counts too.
			snapdrv load --discard-blobs /job/small
			root=$(snapdrv create --name c small:1)
			if (dd if=/dev/zero of=$root/fill bs=1M count=24 && sync $root/fill) 2>err; then
				echo "a container without a limit"
				return 1
			fi
			grep "$words" err
			rm $root/fill
			[ "$(ls $root/d | wc -l)" = 2 ]
			snapdrv rm c
			snapdrv rmi small:1
			snapdrv gc
			[ -z "$(ls -A $SNAPDRV_ROOT/layers $SNAPDRV_ROOT/content/sha256 | grep -v : || :)" ]
			echo "within the limits of $1"
		}
		limited /mnt/a "No space left on device"
		limited /mnt/b "Disk quota exceeded"
	END
	expect_exit 0 "$TOP/vm-tests/boot" --work vm --program xfs_quota --program btrfs --disk disk --disk disk2 --file big=big \
		--file small=small script
	same 2 "$(grep -c '^within the limits of' <<<"$OUT")"
}
case_ "xfs with project quotas, btrfs with quota groups: a load past the limit says so and leaves nothing" limits
