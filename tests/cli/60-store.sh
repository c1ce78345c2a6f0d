#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The store: its rights, what killed processes leave, its version and driver, damage, a full disk.
. "$(dirname "$0")/../lib.sh"

IMAGE=$WORK/image
layout "$IMAGE" <<'END'
import sys
Layout(small_image(names="small:1")).write_dir(sys.argv[1])
END

private() {
	umask 000
	expect_exit 0 snap images
	same 700 "$(stat -c %a "$ROOT")"
	same "0:0" "$(stat -c %u:%g "$ROOT")"
	expect_exit 0 snap load "$IMAGE"
	expect_exit 0 snap create --name one small:1
	if setpriv --reuid 65534 --regid 65534 --clear-groups ls "$ROOT" 2>/dev/null; then
		fail_ "another user can list it"
	fi
	umask 077
	ROOT=$CASE/other
	expect_exit 0 snap load "$IMAGE"
	expect_exit 0 snap create small:1
	same 755 "$(stat -c %a "$OUT")"
	same "755 644" "$(echo $(stat -c %a "$OUT/bin/tool" "$OUT/etc/word"))"
}
case_ "ROOT is 0700 whatever the umask, and the umask changes no mode of a tree" private

database() {
	expect_exit 0 snap load "$IMAGE"
	same wal "$(python -c 'import sqlite3, sys
print(sqlite3.connect(sys.argv[1]).execute("pragma journal_mode").fetchone()[0])' "$ROOT/snapdrv.db")"
	same ok "$(python -c 'import sqlite3, sys
print(sqlite3.connect(sys.argv[1]).execute("pragma integrity_check").fetchone()[0])' "$ROOT/snapdrv.db")"
	for folder in content layers containers staging; do
		[ -d "$ROOT/$folder" ] || fail_ "no $folder"
	done
}
case_ "the database is in WAL mode, and the directories are those of the design" database

# A layer that takes a while to load, fed slowly.
big_archive() {
	layout <<-'END'
		import random
		random.seed(1)
		entries = [directory("d")] + [file(f"d/{n}", random.randbytes(20000)) for n in range(1500)]
		Layout(Image([Layer(entries, "none"), small_layer()], names="big:1")).write_archive("big.tar")
	END
}
killed_load() {
	big_archive
	expect_exit 0 snap load "$IMAGE"
	store_snapshot before
	mkfifo pipe
	for bytes in 0 100000 5000000 25000000; do
		"$SNAPDRV" --root "$ROOT" load - <pipe >/dev/null 2>&1 &
		loader=$!
		exec 7>pipe
		head -c $bytes big.tar >&7
		sleep 0.3
		kill -9 $loader
		exec 7>&-
		wait $loader 2>/dev/null || :
		same small:1 "$(snap --json images | pick '",".join(i["references"][0].split("/")[-1] for i in d["images"])')"
		store_snapshot after
		diff before after >difference || fail_ "killed after $bytes bytes: $(head -n 20 difference)"
		same "" "$(ls -A "$ROOT/staging")"
	done
	expect_exit 0 snap load big.tar
}
case_ "a load killed in the middle leaves nothing: staging is swept by the next opening" killed_load

killed_anywhere() {
	big_archive
	expect_exit 0 snap load "$IMAGE"
	for delay in 0.02 0.05 0.1 0.15 0.2 0.3 0.4; do
		"$SNAPDRV" --root "$ROOT" load big.tar >/dev/null 2>&1 &
		pid=$!
		sleep $delay
		kill -9 $pid 2>/dev/null || :
		wait $pid 2>/dev/null || :
		expect_exit 0 snap --json images
		same "" "$(ls -A "$ROOT/staging")"
		holds 'any("docker.io/library/small:1" in i["references"] for i in d["images"])'
		if [[ $OUT == *big:1* ]]; then
			expect_exit 0 snap create --name whole big:1
			same 1500 "$(ls "$OUT/d" | wc -l)"
			expect_exit 0 snap rm whole
			expect_exit 0 snap rmi big:1
		fi
	done
	expect_exit 0 snap rmi small:1
	same "" "$(ls -A "$ROOT/layers" "$ROOT/content/sha256" | grep -v : || :)"
}
case_ "a load killed at any time leaves the whole image or nothing" killed_anywhere

swept_not_running() {
	big_archive
	mkfifo pipe
	"$SNAPDRV" --root "$ROOT" load - <pipe >first.out 2>first.err &
	loader=$!
	exec 7>pipe
	head -c 9000000 big.tar >&7
	sleep 0.3
	# Others open the store meanwhile, read and write it.
	expect_exit 0 timeout 10 "$SNAPDRV" --root "$ROOT" images 7>&-
	expect_exit 0 timeout 10 "$SNAPDRV" --root "$ROOT" load "$IMAGE" 7>&-
	expect_exit 0 timeout 10 "$SNAPDRV" --root "$ROOT" create small:1 7>&-
	tail -c +9000001 big.tar >&7
	exec 7>&-
	wait $loader || fail_ "the first load failed: $(<first.err)"
	expect_exit 0 snap create big:1
	same 1500 "$(ls "$OUT/d" | wc -l)"
}
case_ "readers and other writers do not wait for a load, and do not sweep what it works on" swept_not_running

set_version() {
	python -c 'import sqlite3, sys
c = sqlite3.connect(sys.argv[1])
v = c.execute("pragma user_version").fetchone()[0]
c.execute(f"pragma user_version = {v + int(sys.argv[2])}")
c.commit()' "$ROOT/snapdrv.db" "$1"
}
older_schema() {
	expect_exit 0 snap load "$IMAGE"
	expect_exit 0 snap create --no-mount --name c small:1
	# As version 1 had it: no mark of removal, and containers that go by themselves.
	python -c 'import sqlite3, sys
c = sqlite3.connect(sys.argv[1])
c.executescript("""
	DROP TABLE build_cache;
	DROP TABLE build_step;
	ALTER TABLE image DROP COLUMN origin;
	DROP TABLE runtime_label;
	DROP TABLE runtime_name;
	ALTER TABLE tree DROP COLUMN in_active;
	DROP VIEW live_container;
	ALTER TABLE snapshot DROP COLUMN removed;
	DELETE FROM meta WHERE key <> "driver";
	CREATE TABLE old(name TEXT PRIMARY KEY, image INTEGER NOT NULL REFERENCES image(id),
		image_name TEXT NOT NULL, snapshot INTEGER NOT NULL REFERENCES snapshot(id),
		created_ns INTEGER NOT NULL, shift_uid INTEGER NOT NULL, shift_gid INTEGER NOT NULL,
		shift_size INTEGER NOT NULL) WITHOUT ROWID;
	INSERT INTO old SELECT * FROM container;
	DROP TABLE container;
	ALTER TABLE old RENAME TO container;
	CREATE INDEX container_image ON container(image);
	CREATE INDEX container_snapshot ON container(snapshot);
	PRAGMA user_version = 1;""")' "$ROOT/snapdrv.db"
	expect_exit 0 snap ls -q
	same c "$OUT"
	expect_exit 0 snap mount c
	expect_exit 0 snap rm c
	expect_exit 0 snap rmi small:1
	same "" "$(ls -A "$ROOT/layers" "$ROOT/active" "$ROOT/content/sha256" | grep -v : || :)"
}
case_ "the store of an older version is brought up to date where it is" older_schema

newer_schema() {
	expect_exit 0 snap load "$IMAGE"
	set_version 1
	store_snapshot before
	for command in images "load $IMAGE" "create small:1" info; do
		# shellcheck disable=SC2086 # words are meant
		expect_exit 2 snap $command
		one_line_error
		[[ $ERR == *newer* || $ERR == *version* || $ERR == *schema* ]] || fail_ "$ERR"
	done
	store_snapshot after
	diff before after || fail_ "the store has changed"
	set_version -1
	expect_exit 0 snap create small:1
}
case_ "a store of a newer schema is refused and stays as it is" newer_schema

other_driver() {
	local other=vfs
	[ "$BACKEND" != vfs ] || other=overlay
	expect_exit 0 snap load "$IMAGE"
	expect_exit 2 env -u SNAPDRV_DRIVER "$SNAPDRV" --root "$ROOT" --driver nonsense images
	one_line_error nonsense
	expect_exit "1 2" env -u SNAPDRV_DRIVER "$SNAPDRV" --root "$ROOT" --driver $other images
	one_line_error $other
	expect_exit 0 env -u SNAPDRV_DRIVER "$SNAPDRV" --root "$ROOT" images
	expect_exit 0 env -u SNAPDRV_DRIVER "$SNAPDRV" --root "$ROOT" --driver auto images
	expect_exit 0 snap --driver="$BACKEND" images
}
case_ "a store keeps its driver: another is refused, auto takes it" other_driver

damaged_layer() {
	expect_exit 0 snap load "$IMAGE"
	layout <<-'END'
		Layout(small_image("other", names="other:1")).write_dir("other")
	END
	expect_exit 0 snap create --name one --no-mount small:1
	# Where containers are copies or snapshots of their image, its layers may go: then their own tree.
	case $BACKEND in
	overlay) damaged=("$ROOT"/layers/*/fs) ;;
	*) damaged=("$ROOT"/active/*/fs) ;;
	esac
	[ -d "${damaged[0]:?}" ]
	if [ "$BACKEND" = btrfs ]; then
		btrfs subvolume delete "${damaged[0]}" >/dev/null
	else
		rm -rf --one-file-system "${damaged[0]}"
	fi
	expect_exit 0 snap images
	expect_exit 0 snap info
	expect_exit 0 snap ls
	expect_exit 0 snap load other
	expect_exit 0 snap create other:1
	same other "$(<"$OUT/etc/word")"
	expect_exit 1 snap mount one
	one_line_error one
	expect_exit 0 snap rm one
	expect_exit 0 snap rmi small:1
}
case_ "a damaged layer is named when it is needed, and keeps nothing else from working" damaged_layer

not_a_database() {
	mkdir -m 700 "$ROOT"
	echo "no database" >"$ROOT/snapdrv.db"
	head -c 8192 /dev/urandom >>"$ROOT/snapdrv.db"
	expect_exit "1 5" snap images
	one_line_error snapdrv.db
	ROOT=$CASE/file
	echo x >"$ROOT"
	expect_exit 1 snap images
	one_line_error file
	same x "$(<"$CASE/file")"
}
case_ "a ROOT that is a file, or holds another kind of snapdrv.db, is an error that names it" not_a_database

# btrfs gives the space of deleted subvolumes back when its cleaner comes to it.
give_back() {
	[ "$BACKEND" != btrfs ] || btrfs subvolume sync "$CASE/small" >/dev/null
}
refused_full() {
	store_snapshot full.before
	expect_exit 1 snap "$@"
	give_back
	store_snapshot full.after
	diff full.before full.after || fail_ "the store is another one"
}

full_disk() {
	case $BACKEND in
	btrfs) loop_fs "$CASE/small" 24M mkfs.btrfs -q --mixed ;;
	*) loop_fs "$CASE/small" 24M mkfs.ext4 -q ;;
	esac
	ROOT=$CASE/small/store
	big_archive
	expect_exit 0 snap load "$IMAGE"
	refused_full load big.tar
	[[ $ERR == *"No space left"* ]] || fail_ "$ERR"
	refused_full load - < <(cat big.tar 2>/dev/null)
	refused_full load --discard-blobs big.tar
	same "" "$(ls -A "$ROOT/staging")"
	expect_exit 0 snap create small:1
	same hello "$(<"$OUT/etc/word")"
}
case_ "a full disk is exit 1, and the store is as it was" full_disk

not_root() {
	[ -z "${NOSYS:-}" ] || skip_optional "a copy of the program finds no filter beside it"
	cp "$SNAPDRV" program
	chmod 755 program "$WORK" "$CASE"
	mkdir -m 777 theirs
	expect_exit 1 setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all \
		./program --root "$CASE/theirs/store" images
	one_line_error
	[[ ${ERR,,} == *root* || $ERR == *CAP_SYS_ADMIN* || $ERR == *sudo* ]] || fail_ "it does not say what is needed: $ERR"
	expect_exit 0 setpriv --reuid 65534 --regid 65534 --clear-groups ./program --help
	expect_exit 0 setpriv --reuid 65534 --regid 65534 --clear-groups ./program --version
}
case_ "without root rights a line says what is needed" not_root

unfit_filesystem() {
	[ "$BACKEND" = overlay ] || skip_optional "overlay alone has such needs"
	own_mount mount -t ramfs none "$(mkdir -p "$CASE/ramfs" && echo "$CASE/ramfs")"
	ROOT=$CASE/ramfs/store
	SNAPDRV_DRIVER=overlay expect_exit 1 snap images
	one_line_error
	[[ $ERR == *ramfs* || $ERR == *xattr* || $ERR == *attributes* ]] || fail_ "it does not say which: $ERR"
	mkdir lower upper work merged
	own_mount mount -t overlay -o "lowerdir=$CASE/lower,upperdir=$CASE/upper,workdir=$CASE/work" none "$CASE/merged"
	ROOT=$CASE/merged/store
	SNAPDRV_DRIVER=overlay expect_exit 1 snap images
	one_line_error overlay
}
case_ "a filesystem that carries no upper layer is named, with what to do" unfit_filesystem

help_texts() {
	expect_exit 0 "$SNAPDRV" --help
	for command in load import create mount umount ls rm images inspect tag rmi info; do
		[[ $OUT == *" $command "* ]] || fail_ "--help does not list $command"
		OUT=$("$SNAPDRV" $command --help)
		[[ $OUT == *"$command"* ]] || fail_ "$command --help: $OUT"
		expect_exit 0 "$SNAPDRV" --help
	done
	expect_exit 0 "$SNAPDRV" --version
	[[ $OUT == *0.* ]] || fail_ "$OUT"
	expect_exit 2 "$SNAPDRV"
}
case_ "--help lists the commands, each has its own, --version" help_texts

stdout_full() {
	expect_exit 0 snap load "$IMAGE"
	local got=0
	snap images >/dev/full 2>err || got=$?
	same 1 $got
	grep -q '^snapdrv: ' err || fail_ "$(<err)"
}
case_ "results that cannot be written are exit 1" stdout_full
