#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A machine that is switched off with containers mounted: afterwards they are there, unmounted, with what was
# synced in them. On Debian's kernel, on ext4, xfs, btrfs and f2fs, with each driver that these carry.
. "$(dirname "$0")/../tests/lib.sh"

reboot() {
	own_mount mount -t tmpfs tmpfs "$CASE"
	cd "$CASE"
	mkdir tmp vm disks
	truncate -s 100M disks/a
	truncate -s 400M disks/b
	truncate -s 300M disks/c
	mkfs.ext4 -q disks/a
	mkfs.xfs -q disks/b
	mkfs.btrfs -q disks/c 2>mkfs.log
	truncate -s 100M disks/d
	mkfs.f2fs -q disks/d
	layout <<-'END'
		Layout(Image([[directory("etc"), file("etc/of-image", "old"), file("etc/other", "other")],
		              [file("upper", "upper")]], names="two:1")).write_dir("image")
	END
	cat >common <<-'END'
		set -e
		on() {
			export SNAPDRV_ROOT=/mnt/$1/$2 SNAPDRV_DRIVER=$2
			root=/mnt/$1/$2/containers
		}
		each() {
			for at in a:overlay a:vfs b:overlay c:overlay c:btrfs d:overlay d:vfs; do
				on ${at%:*} ${at#*:}
				"$@"
			done
		}
		for disk in a b c d; do
			mkdir -p /mnt/$disk
			mount /dev/vd$disk /mnt/$disk
		done
	END
	{ cat common; cat <<-'END'; } >first
		fill() {
			snapdrv load /job/image
			snapdrv create --name c two:1
			snapdrv create --name ro --read-only two:1
			snapdrv create --name gone two:1
			snapdrv rm gone
			cd $root/c/rootfs
			echo mine >etc/of-image
			echo new >etc/new
			rm etc/other
			sync etc/of-image etc/new etc .
			cd /job
		}
		each fill
	END
	{ echo 'set -x'; cat common; cat <<-'END'; } >second
		look() {
			[ "$(snapdrv ls -q | sort | tr '\n' ' ')" = "c ro " ]
			! grep -q " $root/" /proc/mounts
			[ -z "$(ls $root/c/rootfs $root/ro/rootfs | grep -v :)" ]
			[ "$(snapdrv --json ls | grep -o '"mounted": *[a-z]*' | grep -c false)" = 2 ]
			[ "$(snapdrv mount c)" = $root/c/rootfs ]
			[ "$(snapdrv mount ro)" = $root/ro/rootfs ]
			[ "$(cat $root/c/rootfs/etc/of-image $root/c/rootfs/etc/new $root/c/rootfs/upper | tr '\n' ' ')" = "mine new upper" ]
			[ ! -e $root/c/rootfs/etc/other ]
			[ "$(cat $root/ro/rootfs/etc/of-image)" = old ]
			! touch $root/ro/rootfs/new 2>/dev/null
			echo more >$root/c/rootfs/etc/more
			snapdrv rm c ro
			snapdrv rmi two:1
			snapdrv gc
			[ -z "$(ls $SNAPDRV_ROOT/active $SNAPDRV_ROOT/layers $SNAPDRV_ROOT/content/sha256 | grep -v :)" ]
			echo "right on $at"
		}
		each look
	END
	expect_exit 0 boot_disks --file image=image first
	expect_exit 0 boot_disks second
	same 7 "$(grep -c '^right on' <<<"$OUT")"
}
boot_disks() {
	"$TOP/vm-tests/boot" --work vm --kernel full --limit 600 --disk disks/a --disk disks/b --disk disks/c --disk disks/d "$@"
}
case_ "after the machine was switched off containers are there, unmounted, and mount brings them back" reboot
