#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# fs-verity: what is changed on the disk, below the kernel, in a layer's file is refused by the kernel. The disks
# are changed while the guest is off. On ext4, btrfs (whose own checksums are off, since they would do the same) and f2fs
# (whose collector is off, since it brings pages into the cache that nothing has verified; seen on Linux 6.1).
. "$(dirname "$0")/../tests/lib.sh"

# changed DISK WORD: change one byte of the word, wherever it stands on the disk. (f2fs writes a page that has changed to
# another place, and leaves the old one.)
changed() {
	"$PYTHON" - "$@" <<-'END' || fail_ "cannot change $2 on $1"
		import mmap, sys
		with open(sys.argv[1], "r+b") as file, mmap.mmap(file.fileno(), 0) as disk:
		    word = sys.argv[2].encode()
		    at = disk.find(word)
		    assert at >= 0, "it is not there"
		    while at >= 0:
		        disk[at + 3] ^= 1
		        at = disk.find(word, at + 1)
	END
}

COMMON='
	on() {
		disk=$1 kind=$2 driver=${3:-overlay}
		at=/mnt/$disk/$kind-$driver
		export SNAPDRV_ROOT=$at SNAPDRV_DRIVER=$driver
		root=$at/containers/c/rootfs
		lower=$at/layers/1/fs
	}
	each() {
		for disk in a b c; do
			"$@"
		done
	}
	for disk in a b c d e; do
		mkdir -p /mnt/$disk
	done
	mount /dev/vda /mnt/a
	mount -o nodatasum /dev/vdb /mnt/b
	mount -o background_gc=off /dev/vdc /mnt/c
	mount /dev/vdd /mnt/d
	mount /dev/vde /mnt/e
	fails() {
		local word=$1 said
		shift
		if said=$("$@" 2>&1); then
			echo "it should have failed: $*: $(echo "$said" | grep -v "^0" | head -n 20)"
			return 1
		fi
		case $said in
		*"$word"*) ;;
		*)
			echo "not $word: $*: $said"
			return 1
			;;
		esac
	}
	write() {
		echo more >>"$1"
	}
'

changed_below() {
	local disk kind
	own_mount mount -t tmpfs tmpfs "$CASE"
	cd "$CASE"
	mkdir tmp vm disks images
	truncate -s 128M disks/a disks/b disks/c disks/d
	truncate -s 320M disks/e
	mkfs.ext4 -q -b 4096 -O verity disks/a
	mkfs.btrfs -q disks/b 2>mkfs.log
	mkfs.f2fs -q -O verity disks/c
	mkfs.ext4 -q -b 4096 disks/d
	mkfs.xfs -q disks/e
	# Gzip hides the words in the blobs; a file has 3 blocks, and its word is in the middle one.
	layout <<-'END'
		def text(word):
		    half = "".join(f"{n:07}\n" for n in range(768))
		    return half + word + half
		def image(kind, disk):
		    base = [directory("etc"), file("etc/big", text(f"<{kind}-on-{disk}>"), mtime="1500000000.25"),
		            file("etc/other", "other"), hardlink("etc/link", "etc/other"), file("etc/none", "")]
		    upper = [directory("etc"), file("etc/upper", "upper", mode=0o4755, uid=7)]
		    return Image([base] if kind == "copied" else [base, upper], names=f"{kind}:1")
		for kind in "sealed", "plain", "late", "copied":
		    for disk in "abc":
		        Layout(image(kind, disk)).write_dir(f"images/{kind}-{disk}")
	END
	{ echo 'set -ex'; echo "$COMMON"; cat <<-'END'; } >first
		fill() {
			on $disk sealed
			snapdrv info | grep "^fs-verity: usable: works here"
			snapdrv load --verity /job/images/sealed-$disk
			snapdrv create --name c sealed:1
			fails "not permitted" write $lower/etc/big
			fails "not permitted" write $lower/etc/link
			fails "not permitted" write $at/layers/2/fs/etc/upper
			fails "not permitted" truncate -s 0 $lower/etc/big
			[ "$(/bin/stat -c %.2Y $lower/etc/big)" = 1500000000.25 ]
			[ "$(/bin/stat -c %a:%u $root/etc/upper)" = 4755:7 ]
			write $lower/etc/none
			echo mine >>$root/etc/other
			[ "$(cat $root/etc/other)" = "othermine" ]
			[ "$(cat $root/etc/link)" = "other" ]
			on $disk plain
			snapdrv load /job/images/plain-$disk
			snapdrv create --name c plain:1
			# It was there without: it is sealed now.
			on $disk late
			snapdrv load /job/images/late-$disk
			write $lower/etc/big
			snapdrv load --verity /job/images/late-$disk
			fails "not permitted" write $lower/etc/big
			snapdrv load --verity /job/images/late-$disk --ref late:2
			snapdrv rmi late:1 late:2
			snapdrv gc
			[ -z "$(ls $at/layers)" ]
			on $disk copied vfs
			snapdrv load --verity /job/images/copied-$disk
			fails "not permitted" write $lower/etc/big
			on $disk late vfs
			snapdrv load --verity /job/images/late-$disk
			snapdrv create --name c late:1
			fails "not permitted" write $at/layers/2/fs/etc/big
			write $root/etc/big
			[ "$(tail -n 1 $root/etc/big)" = more ]
			# Imported: a plain tar, and the layer's blob is the tar itself.
			on $disk import
			tar -C /job/images -c sealed-$disk | snapdrv import --verity --discard-blobs - tree:1
			fails "not permitted" write $lower/sealed-$disk/index.json
			sync
		}
		each fill
		refused() {
			on $1 sealed $2
			shift 2
			fails "snapdrv: fs-verity: " snapdrv load --verity /job/images/sealed-a
			fails "$*" snapdrv load --verity /job/images/sealed-a
			[ -z "$(ls $at/layers $at/staging $at/content/sha256 | grep -v : || :)" ]
			snapdrv info | grep "^fs-verity: not usable: "
			snapdrv load /job/images/sealed-a
		}
		refused d overlay "tune2fs -O verity"
		refused d vfs "mkfs.ext4 -O verity"
		refused e overlay "xfs has no fs-verity: put the store on ext4, f2fs or btrfs"
		refused b btrfs "not with the driver btrfs"
		mkdir -p /mnt/t
		mount -t tmpfs tmpfs /mnt/t
		refused t overlay "tmpfs has no fs-verity"
		snapdrv --json info | grep -q '"verity": *false'
	END
	{ echo 'set -ex'; echo "$COMMON"; cat <<-'END'; } >second
		look() {
			on $disk plain
			snapdrv mount c
			grep "<pl.in-on-$disk>" $root/etc/big
			! grep -q "<plain-on-$disk>" $root/etc/big
			on $disk sealed
			snapdrv mount c
			fails "Input/output error" cat $root/etc/big
			fails "Input/output error" cat $lower/etc/big
			fails "not permitted" write $lower/etc/big
			# What was not changed can be read, in the same file too.
			[ "$(dd if=$root/etc/big bs=4096 count=1 2>/dev/null | head -n 1)" = 0000000 ]
			[ "$(cat $root/etc/other $root/etc/link $root/etc/upper)" = "othermine
otherupper" ]
			fails "Input/output error" snapdrv export c -o /tmp/export.tar
			# btrfs copies up by sharing the extents: nothing is read, and so nothing refused.
			[ $disk = b ] || fails "Input/output error" write $root/etc/big
			rm $root/etc/big
			echo new >$root/etc/big
			[ "$(cat $root/etc/big)" = new ]
			# A copy is made of what is read; btrfs shares the extent, and nothing is read.
			on $disk copied vfs
			if [ $disk = b ]; then
				snapdrv create --name c copied:1
				fails "Input/output error" cat $lower/etc/big
			else
				fails "Input/output error" snapdrv create --name c copied:1
			fi
			# The check finds it either way, and what is made again is sealed again.
			on $disk plain
			snapdrv check --deep | grep "'etc/big' has another content"
			snapdrv check --deep --repair
			on $disk sealed
			snapdrv check --deep | grep "'etc/big' cannot be read\|entries are not as they were"
			snapdrv check --deep --repair
			snapdrv check --deep
			snapdrv create --name d sealed:1
			grep "<sealed-on-$disk>" $at/containers/d/rootfs/etc/big
			fails "not permitted" write $lower/etc/big
			for kind in plain:overlay sealed:overlay copied:vfs; do
				on $disk ${kind%:*} ${kind#*:}
				snapdrv rm --all
				snapdrv rmi --all
				snapdrv gc
				[ -z "$(ls $at/layers $at/active $at/content/sha256 | grep -v : || :)" ]
			done
			echo "right on $disk"
		}
		each look
	END
	expect_exit 0 boot_disks --file images=images first
	for disk in a b c; do
		for kind in sealed plain copied; do
			changed disks/$disk "<$kind-on-$disk>"
		done
	done
	expect_exit 0 boot_disks second
	same 3 "$(grep -c '^right on' <<<"$OUT")"
}
boot_disks() {
	"$TOP/vm-tests/boot" --work vm --kernel full --limit 600 --disk disks/a --disk disks/b --disk disks/c \
		--disk disks/d --disk disks/e "$@"
}
case_ "a byte of a layer changed on the disk is an I/O error with --verity, on ext4, btrfs and f2fs, and is read without" changed_below
