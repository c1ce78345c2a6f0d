#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# df, gc, rmi --all: what the store holds, what nothing needs, and that nothing is left behind.
. "$(dirname "$0")/../lib.sh"
# The leak checker cannot work beside strace.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0"

MADE=$WORK/made
mkdir "$MADE"
layout "$MADE" <<'END'
import random, sys
top = sys.argv[1]
random.seed(1)
part = lambda name, size: Layer([directory("d"), file("d/" + name, random.randbytes(size))])
base, a, b, c = part("base", 100000), part("a", 20000), part("b", 3000), part("c", 400)
for name, layers in (("a", [base, a]), ("b", [base, b]), ("abc", [base, a, b, c])):
    Layout(Image(layers, names=f"{name}:1")).write_dir(f"{top}/{name}")
END

load_all() {
	for name in a b abc; do
		expect_exit 0 snap load "$MADE/$name" "$@"
	done
}

# sql STATEMENTS: on the store's database.
sql() {
	python -c 'import sqlite3, sys
db = sqlite3.connect(sys.argv[1] + "/snapdrv.db", isolation_level=None)
db.executescript(sys.argv[2])' "$ROOT" "$1"
}

# Images are gone, and what they stood on is not: what a process that was stopped at the worst time may leave.
orphan() {
	sql "delete from reference where name like '$1'; delete from image_blob where image not in (select image from reference);
		delete from image where id not in (select image from reference)"
}

# row TYPE: of the last df --json.
row() {
	pick "[r for r in d['df']['types'] if r['type'] == '$1'][0]" <"$CASE/.stdout"
}

# Layers are kept by what they are on overlay, and by what they stand on elsewhere.
if [ "$BACKEND" = overlay ]; then
	LAYERS=4 SIZE=123400 SHARED=123000
else
	LAYERS=5 SIZE=126400 SHARED=120000
fi

sizes() {
	expect_exit 0 snap df --json
	holds 'all(r["count"] == r["in_use"] == r["reclaimable"] == 0 for r in d["df"]["types"])'
	load_all
	expect_exit 0 snap create --name used abc:1
	expect_exit 0 snap df --json
	same "{\"type\": \"images\", \"count\": 3, \"in_use\": 1, \"size\": $SIZE, \"shared\": $SHARED, \"own\": $((SIZE - SHARED)), \"reclaimable\": 0}" "$(row images)"
	same "{\"type\": \"layers\", \"count\": $LAYERS, \"in_use\": $LAYERS, \"size\": $SIZE, \"shared\": $SHARED, \"own\": $((SIZE - SHARED)), \"reclaimable\": 0}" "$(row layers)"
	same '{"type": "containers", "count": 1, "in_use": 1, "size": null, "shared": 0, "own": null, "reclaimable": 0}' "$(row containers)"
	blobs=$(find "$ROOT/content/sha256" -type f -printf '%s\n' | awk '{ s += $1 } END { print NR, s }')
	same "$blobs" "$(row blobs | pick '"%d %d" % (d["count"], d["size"])')"
	holds 'd["df"]["images"] == d["df"]["containers"] == d["df"]["layers"] == []'
	expect_exit 0 snap df
	same 6 "$(wc -l <"$CASE/.stdout")"
	[[ $OUT == TYPE*COUNT*"IN USE"*SIZE*SHARED*OWN*RECLAIMABLE* ]] || fail_ "$OUT"
	grep -q 'Containers .* - ' "$CASE/.stdout" || fail_ "$OUT"
}
case_ "df: images, containers, layers and blobs, what they hold, share and would give back" sizes

each() {
	load_all
	expect_exit 0 snap create --name used abc:1
	head -c 300000 /dev/urandom >"$OUT/written"
	sync -f "$OUT/written"
	expect_exit 0 snap df -v --json
	holds "{i['reference'].split('/')[-1]: (i['size'], i['containers']) for i in d['df']['images']} == {'a:1': (120000, 0), 'b:1': (103000, 0), 'abc:1': (123400, 1)}"
	holds 'all(i["shared"] + i["own"] == i["size"] for i in d["df"]["images"])'
	holds "[i['own'] for i in d['df']['images'] if i['reference'].endswith('/abc:1')] == [400 if '$BACKEND' == 'overlay' else 3400]"
	holds "len(d['df']['layers']) == $LAYERS and max(l['images'] for l in d['df']['layers']) == 3"
	holds "sum(l['size'] for l in d['df']['layers']) == $SIZE"
	holds '[c["name"] for c in d["df"]["containers"]] == ["used"] and d["df"]["containers"][0]["size"] >= 300000'
	size=$(snap inspect used | pick 'd[0]["SizeRw"]')
	holds "d['df']['containers'][0]['size'] == $size"
	same "$size" "$(row containers | pick 'str(d["size"])')"
	expect_exit 0 snap df --verbose
	[[ $OUT == *CONTAINER*used*abc:1* && $OUT == *LAYER* ]] || fail_ "$OUT"
}
case_ "df -v: each image, layer, and container with what was written in it" each

from_database() {
	load_all
	expect_exit 0 snap create --name used abc:1
	strace -f -qq -y -o trace -e trace=getdents64,openat "$SNAPDRV" --root "$ROOT" df >out || fail_ "df under strace"
	grep -q 'store/' trace || fail_ "strace saw nothing"
	if grep -E 'getdents64\([0-9]+<.*/(layers|active|content)|openat\([0-9]+<[^>]*/(layers|active|sha256)>' trace; then
		fail_ "df looks at files"
	fi
}
case_ "df asks the database alone" from_database

unneeded() {
	load_all
	orphan '%/b:1'
	orphan '%/abc:1'
	want=$((SIZE - 120000))
	expect_exit 0 snap df --json
	same "$want" "$(row layers | pick 'str(d["reclaimable"])')"
	blobs=$(row blobs | pick 'str(d["reclaimable"])')
	[ "$blobs" -gt 0 ] || fail_ "no blob to reclaim"
	store_snapshot before
	expect_exit 0 snap gc --dry-run --json
	cp .stdout dry
	store_snapshot after
	cmp before after || fail_ "a dry run has changed the store"
	holds "d['gc']['dry_run'] is True and d['gc']['size'] == $want + $blobs"
	expect_exit 0 snap gc --json
	holds "d['gc']['freed'] == __import__('json').load(open('dry'))['gc']['freed']"
	holds "[f['size'] for f in d['gc']['freed']] == [$want, $blobs, 0, 0]"
	expect_exit 0 snap df --json
	holds 'all(r["reclaimable"] == 0 for r in d["df"]["types"])'
	same "2 4" "$(echo $(ls "$ROOT/layers" | wc -l) $(ls "$ROOT/content/sha256" | wc -l))"
	# What is left is whole.
	expect_exit 0 snap create a:1
	same 120000 "$(cat "$OUT"/d/* | wc -c)"
	expect_exit 0 snap load "$MADE/abc"
	expect_exit 0 snap create abc:1
	same 123400 "$(cat "$OUT"/d/* | wc -c)"
	expect_exit 0 snap gc
	[[ $OUT == TYPE*COUNT*SIZE*Layers*Blobs*Stray*Freed* ]] || fail_ "$OUT"
}
case_ "gc removes layers and blobs that nothing needs, and says what; --dry-run only says it" unneeded

under_containers() {
	load_all
	expect_exit 0 snap create --name used abc:1
	expect_exit 0 snap rmi --force abc:1 a:1 b:1
	expect_exit 0 snap gc --json
	expect_exit 0 snap umount used
	expect_exit 0 snap mount used
	same 123400 "$(cat "$OUT"/d/* | wc -c)"
}
case_ "gc never takes a layer from under a container" under_containers

keeping() {
	load_all
	orphan '%'
	expect_exit 0 snap gc --keep-storage 1G --json
	holds 'd["gc"]["size"] == 0'
	holds "d['gc']['kept'] > $SIZE + 120000"
	# Blobs go first, and of the layers the oldest on which nothing stands: the lowest one stays.
	expect_exit 0 snap gc --keep-storage 110000 --json
	holds 'd["gc"]["kept"] == 100000 and d["gc"]["freed"][1]["count"] == 10'
	same 1 "$(ls "$ROOT/layers" | wc -l)"
	expect_exit 0 snap df --json
	holds '[r["reclaimable"] == r["size"] for r in d["df"]["types"] if r["type"] == "layers"] == [True]'
	expect_exit 0 snap load "$MADE/abc"
	expect_exit 0 snap create --name c abc:1
	same 123400 "$(cat "$OUT"/d/* | wc -c)"
	expect_exit 0 snap rm c
	expect_exit 0 snap rmi abc:1
	expect_exit 0 snap gc --keep-storage 1
	same "" "$(find "$ROOT/layers" "$ROOT/content" -type f)"
}
case_ "gc --keep-storage leaves so much of it, the youngest" keeping

strays() {
	load_all
	expect_exit 0 snap create --name used abc:1
	store_snapshot before
	mkdir -p "$ROOT"/{layers/999999/fs,active/888888/fs,containers/nobody/rootfs,content/partial}
	for place in layers/999999/fs/f layers/file active/888888/fs/f content/sha256/file content/other content/partial/idle staging/file; do
		head -c 10000 /dev/zero | tr '\0' x >"$ROOT/$place"
	done
	expect_exit 0 snap gc -n --json
	holds "d['gc']['freed'][2]['count'] == 8 and d['gc']['freed'][2]['size'] >= 50000"
	[ -e "$ROOT/layers/999999/fs/f" ] && [ -e "$ROOT/staging/file" ] || fail_ "a dry run removes"
	expect_exit 0 snap gc --json
	holds "d['gc']['freed'][2]['count'] == 8 and d['gc']['freed'][2]['size'] >= 50000"
	[ ! -e "$ROOT/content/partial" ] || fail_ "what came in part is still there"
	store_snapshot after
	diff before after || fail_ "not what there was before"
}
case_ "gc removes stray files from every directory" strays

# A file that cannot be removed is named by gc, and keeps nobody from the store.
immutable() {
	[ "$BACKEND" != btrfs ] || skip_optional "btrfs removes a subvolume whatever is in it"
	load_all
	expect_exit 0 snap create --name c a:1
	# However deep it lies, what is above it is looked at once.
	file=$(echo "$ROOT"/active/*/fs)$(printf '/d%.0s' $(seq 30))
	mkdir -p "$file"
	touch "$file/stays"
	chattr +i "$file/stays"
	expect_exit 0 timeout 60 "$SNAPDRV" --root "$ROOT" rm c
	for _ in 1 2 3; do
		expect_exit 0 snap ls
	done
	expect_exit 0 snap create --name c a:1
	expect_exit 0 snap rm c
	expect_exit 1 snap gc
	one_line_error "stays"
	same 1 "$(find "$ROOT/staging" -mindepth 1 -maxdepth 1 | wc -l)"
	chattr -i "$(find "$ROOT/staging" -name stays)"
	expect_exit 0 snap gc
	same "" "$(ls -A "$ROOT/staging" "$ROOT/active" | grep -v :)"
}
case_ "a file that cannot be removed is named by gc, and keeps nobody from the store" immutable

damaged_name() {
	load_all
	expect_exit 0 snap create --no-mount --name web.damaged a:1
	[ -d "$ROOT/containers/web.damaged" ] || mkdir "$ROOT/containers/web.damaged"
	expect_exit 0 snap gc --json
	holds 'all(r["count"] == 0 for r in d["gc"]["freed"] if r["type"] == "strays")'
	[ -d "$ROOT/containers/web.damaged" ]
}
case_ "a container may be called as a damaged tree is" damaged_name

living() {
	layout <<-'END'
		Layout(Image([Layer([file("big", bytes(8 << 20))], "none")], names="slow:1")).write_archive("slow.tar")
	END
	load_all
	mkfifo pipe
	"$SNAPDRV" --root "$ROOT" load - <pipe >loaded 2>&1 &
	loader=$!
	exec 7>pipe
	head -c 4000000 slow.tar >&7
	wait_for 20 sh -c "ls '$ROOT'/staging/*/* | grep -q ."
	held=$(ls -R "$ROOT/staging" | wc -l)
	expect_exit 0 snap gc --json
	holds 'd["gc"]["size"] == 0'
	same "$held" "$(ls -R "$ROOT/staging" | wc -l)"
	tail -c +4000001 slow.tar >&7
	exec 7>&-
	wait $loader || fail_ "$(<loaded)"
	expect_exit 0 snap create slow:1
	same 8388608 "$(stat -c %s "$OUT/big")"
}
case_ "gc leaves alone what a living process is loading" living

racing() {
	expect_exit 0 snap load "$MADE/a"
	(for _ in $(seq 40); do
		"$SNAPDRV" --root "$ROOT" gc -q || exit 1
	done) >gc.log 2>&1 &
	collector=$!
	for _ in $(seq 15); do
		orphan '%'
		expect_exit 0 snap load "$MADE/abc"
		expect_exit 0 snap create --name c abc:1
		same 123400 "$(cat "$OUT"/d/* | wc -c)"
		expect_exit 0 snap rm c
		expect_exit 0 snap load "$MADE/b"
		expect_exit 0 snap rmi b:1
	done
	wait $collector || fail_ "$(<gc.log)"
	same "" "$(<gc.log)"
}
case_ "gc beside loads and removals: what was loaded is whole" racing

all_images() {
	load_all
	expect_exit 0 snap tag abc:1 second:2
	expect_exit 0 snap create --no-mount --name used abc:1
	expect_exit 0 snap rmi --all
	[[ $OUT == *"Untagged: a:1"* && $OUT == *"Untagged: b:1"* && $OUT != *abc* && $OUT != *second* ]] || fail_ "$OUT"
	expect_exit 0 snap images --json
	holds '[i["references"] for i in d["images"]] == [["docker.io/library/abc:1", "docker.io/library/second:2"]]'
	holds 'd["images"][0]["in_use"] is True'
	expect_exit 0 snap rmi --all --force
	[[ $OUT == *"Untagged: abc:1"* && $OUT == *"Untagged: second:2"* ]] || fail_ "$OUT"
	expect_exit 0 snap rm --all
	expect_exit 0 snap rmi --all
	[[ $OUT == *Deleted:* ]] || fail_ "$OUT"
	expect_exit 0 snap images -q
	same "" "$OUT"
}
case_ "rmi --all leaves images that containers use, with all their names; --force takes the names" all_images

nothing_left() {
	load_all
	expect_exit 0 snap load "$(real skopeo-oci)"
	expect_exit 0 snap load --discard-blobs "$(real buildah-docker)"
	expect_exit 0 snap load - < <(cat "$(real skopeo-docker)")
	expect_exit 0 snap create --name one three:1
	touch "$OUT/file"
	expect_exit 0 snap create --name two --read-only a:1
	expect_exit 0 snap create --no-mount --name three b:1
	"$SNAPDRV" --root "$ROOT" load - < <(head -c 1000000 "$(real skopeo-oci)"; kill -9 $BASHPID) >/dev/null 2>&1 || :
	expect_exit 0 snap save three:1 a:1 --format oci-dir -o saved
	expect_exit 0 snap rm --all
	expect_exit 0 snap rmi --all
	expect_exit 0 snap gc
	same "locks/boot locks/reserve locks/store snapdrv.db snapdrv.db-shm snapdrv.db-wal" "$(cd "$ROOT" && echo $(find . ! -type d -printf '%P\n' | sort))"
	same "active containers content content/sha256 layers locks staging" "$(cd "$ROOT" && echo $(find . -mindepth 1 -type d -printf '%P\n' | sort))"
	[ "$BACKEND" != btrfs ] || same "" "$(btrfs subvolume list -o "$ROOT")"
	expect_exit 0 snap df --json
	holds 'all(r["count"] == r["reclaimable"] == 0 and not r["size"] for r in d["df"]["types"])'
	python -c 'import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
for (name,) in db.execute("select name from sqlite_master where type = ?", ("table",)).fetchall():
    n = db.execute(f"select count(*) from {name}").fetchone()[0]
    assert name in ("meta", "sqlite_sequence") or not n, (name, n)' "$ROOT/snapdrv.db"
}
case_ "after rm --all, rmi --all and gc the store holds no file but its database and locks" nothing_left

wrong_use() {
	load_all
	WORDS=(keep-storage)
	refused 2 snap gc --keep-storage much
	WORDS=()
	refused 2 snap gc a:1
	refused 2 snap df a:1
	refused 2 snap rmi --all a:1
}
case_ "wrong use of df and gc is exit 2" wrong_use
