#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# save: what was loaded comes out again, byte for byte, and other programs read it.
. "$(dirname "$0")/../lib.sh"

MADE=$WORK/made
mkdir "$MADE"
layout "$MADE" <<'END'
import sys
top = sys.argv[1]
base = Layer(small_layer("base"))
a = Image([base, [file("x", "x" * 5000)]], names="a.example/x:1")
b = Image([base, Layer([file("y", "y")], "zstd"), Layer([file("z", "z")], "none")], names="b:1", kind="oci")
d = Image([Layer(small_layer("docker"), "gzip", "docker")], names="docker:1", kind="docker")
for name, image in (("a", a), ("b", b), ("docker", d)):
    Layout(image).write_dir(f"{top}/{name}")
END

# digest_of NAME: the manifest digest that the store has for it.
digest_of() {
	snap inspect "$1" | pick 'd[0]["Digest"]'
}

id_of() {
	snap inspect "$1" | pick 'd[0]["Id"]'
}

manifest_of() {
	python -c 'import sqlite3, sys
db = sqlite3.connect(sys.argv[1] + "/snapdrv.db")
sys.stdout.buffer.write(b"".join(row[0] + b"\n" + row[1] + b"\n" for row in
    db.execute("select manifest, config from image join reference on image = image.id where name = ?", sys.argv[2:])))' \
		"$ROOT" "$1"
}

# saves COMMAND...: it succeeds, says nothing, and the store is as it was.
saves() {
	store_snapshot .before
	expect_exit 0 "$@"
	same "" "$OUT$ERR"
	store_snapshot .after
	cmp .before .after || fail_ "the store has changed"
}

# comes_back NAME SOURCE: load SOURCE in another store; manifest, config and name are the same.
comes_back() {
	local first=$ROOT
	manifest_of "$1" >.first
	ROOT=$CASE/again.$((++stores))
	expect_exit 0 snap load "$2"
	[[ $OUT == *"$1 "* ]] || fail_ "the name is not $1: $OUT"
	manifest_of "$1" >.second
	[ -s .first ] && cmp .first .second || fail_ "another manifest or config comes out of $2"
	ROOT=$first
}
stores=0

round_trip() {
	expect_exit 0 snap load "$(real "$1")" ${3:+--ref "$3"}
	saves snap save "$2" -o oci.tar
	saves snap save --format oci-dir "$2" --output=dir
	saves snap save --format=docker-archive "$2" -o docker.tar
	comes_back "$2" oci.tar
	comes_back "$2" dir
	same "$(digest_of "$2")" "sha256:$(skopeo --tmpdir "$CASE" inspect --raw "oci-archive:oci.tar:$2" | sha256sum | cut -c 1-64)"
	same "$(digest_of "$2")" "sha256:$(skopeo --tmpdir "$CASE" inspect --raw "oci:dir:$2" | sha256sum | cut -c 1-64)"
	same "$(id_of "$2")" "sha256:$(skopeo --tmpdir "$CASE" inspect --raw --config "docker-archive:docker.tar:$2" | sha256sum | cut -c 1-64)"
	id=$(id_of "$2")
	ROOT=$CASE/docker
	expect_exit 0 snap load docker.tar
	same "$2 $id" "$OUT"
}
case_ "skopeo's oci-archive comes back with the same digests" round_trip skopeo-oci docker.io/library/three:1
case_ "skopeo's docker-archive likewise" round_trip skopeo-docker docker.io/library/three:1
case_ "skopeo's zstd layers likewise" round_trip skopeo-zstd docker.io/library/zstd:1 zstd:1
case_ "umoci's layout likewise" round_trip umoci docker.io/library/umoci:1 umoci:1
case_ "buildah's oci-archive likewise" round_trip buildah-oci localhost/built:1
case_ "buildah's docker-archive likewise" round_trip buildah-docker localhost/built:1

blobs_same() {
	expect_exit 0 snap load "$MADE/b"
	expect_exit 0 snap load "$MADE/docker"
	saves snap save b:1 --format oci-dir -o b
	diff -r "$MADE/b/blobs" b/blobs || fail_ "other blobs"
	# Docker's manifest stays what it is.
	saves snap save docker:1 --format oci-dir -o docker
	diff -r "$MADE/docker/blobs" docker/blobs || fail_ "other blobs"
	same application/vnd.docker.distribution.manifest.v2+json "$(pick 'd["manifests"][0]["mediaType"]' <docker/index.json)"
	same 755 "$(stat -c %a b)"
	same 644 "$(find b docker -type f -printf '%m\n' | sort -u)"
	# What is changed in place there is not changed in the store, unless it is a link of old.
	saves snap save b:1 --format oci-archive -o b.tar
	tar -xOf b.tar "blobs/sha256/$(digest_of b:1 | cut -c 8-)" | cmp - "$MADE/b/blobs/sha256/$(digest_of b:1 | cut -c 8-)"
}
case_ "an OCI layout has the very blobs that came in, Docker's media types too" blobs_same

several() {
	expect_exit 0 snap load "$MADE/a"
	expect_exit 0 snap load "$MADE/b"
	expect_exit 0 snap load "$MADE/docker"
	expect_exit 0 snap tag a.example/x:1 other/name:2
	saves snap save a.example/x:1 b:1 other/name:2 docker:1 -o all.tar
	for name in a.example/x:1 docker.io/library/b:1 docker.io/other/name:2 docker.io/library/docker:1; do
		comes_back "$name" all.tar
	done
	same 1 "$(tar tf all.tar | sort | uniq -c | awk '{ print $1 }' | sort -u)"
	tar -xOf all.tar index.json >index
	for key in org.opencontainers.image.ref.name io.containerd.image.name; do
		same "a.example/x:1 docker.io/library/b:1 docker.io/library/docker:1 docker.io/other/name:2" \
			"$(pick "' '.join(sorted(m['annotations']['$key'] for m in d['manifests']))" <index)"
	done
	saves snap save --format docker-archive a.example/x:1 b:1 other/name:2 docker:1 -o docker.tar
	same 1 "$(tar tf docker.tar | sort | uniq -c | awk '{ print $1 }' | sort -u)"
	want=$(for name in a.example/x:1 docker.io/library/b:1 docker.io/other/name:2 docker.io/library/docker:1; do
		echo "$name $(id_of "$name")"
	done | sort)
	ROOT=$CASE/docker
	expect_exit 0 snap load docker.tar
	same "$want" "$(sort .stdout)"
}
case_ "several images and names in one archive, each blob once" several

by_id() {
	expect_exit 0 snap load "$MADE/a"
	id=$(id_of a.example/x:1)
	saves snap save "${id:7:12}" -o id.tar
	ROOT=$CASE/again
	expect_exit 0 snap load id.tar
	same "<none> $id" "$OUT"
}
case_ "an image that is asked for by its ID is saved without a name" by_id

two_blobs() {
	layout <<-'END'
		Layout([small_image(names=f"{how}:1", how=how) for how in ("gzip", "zstd", "none")]).write_dir("both")
	END
	expect_exit 0 snap load both
	same 1 "$(cut -d ' ' -f 2 <<<"$OUT" | sort -u | wc -l)"
	expect_exit 0 snap save gzip:1 zstd:1 none:1 --format oci-dir -o again
	diff -r both/blobs again/blobs
	expect_exit 0 snap check --deep
}
case_ "the same layers in several compressions, from one source: the blobs of each are kept" two_blobs

pipe() {
	expect_exit 0 snap load "$MADE/a"
	snap save a.example/x:1 -o file.tar
	snap save a.example/x:1 | cat >pipe.tar
	snap save a.example/x:1 -o - | cat >dash.tar
	cmp file.tar pipe.tar && cmp file.tar dash.tar
	want="a.example/x:1 $(id_of a.example/x:1)"
	manifest_of a.example/x:1 >first
	snap save a.example/x:1 | "$SNAPDRV" --root "$CASE/again" load - >loaded
	same "$want" "$(<loaded)"
	ROOT=$CASE/again
	manifest_of a.example/x:1 >second
	cmp first second
	snap save --format docker-archive a.example/x:1 | "$SNAPDRV" --root "$CASE/third" load - >loaded
	same "$want" "$(<loaded)"
}
case_ "without -o, or with -o -, the archive goes to standard output" pipe

deterministic() {
	expect_exit 0 snap load "$MADE/a"
	expect_exit 0 snap load "$MADE/b"
	for format in oci-archive docker-archive; do
		snap save a.example/x:1 b:1 --format $format -o first
		touch "$ROOT"/content/sha256/*
		(umask 077 && snap save a.example/x:1 b:1 --format $format -o second)
		cmp first second
		same "0/0 1970-01-01" "$(tar --utc -tvf first | awk '{ print $2, $4 }' | sort -u)"
		same "$(tar tf first)" "$(tar tf first | LC_ALL=C sort)"
		same 0 "$(tail -c 1024 first | tr -d '\0' | wc -c)"
	done
	same 600 "$(stat -c %a second)"
	same 600 "$(stat -c %a first)"
}
case_ "the same images give the same bytes: sorted, without times and owners" deterministic

terminal() {
	expect_exit 0 snap load "$MADE/a"
	status=0
	script -qec "'$SNAPDRV' --root '$ROOT' save a.example/x:1" /dev/null >said </dev/null || status=$?
	same 2 "$status"
	grep -q "standard output is a terminal" said || fail_ "$(<said)"
}
case_ "a terminal gets no archive" terminal

refusals() {
	expect_exit 0 snap load "$MADE/a"
	mkdir full empty
	echo mine >full/file
	WORDS=(nothing)
	refused 3 snap save a.example/x:1 nothing -o out
	[ ! -e out ] || fail_ "there is a file"
	WORDS=(full "not empty")
	refused 4 snap save a.example/x:1 --format oci-dir -o full
	WORDS=(nowhere)
	refused 3 snap save a.example/x:1 -o nowhere/out
	WORDS=(empty directory)
	refused 2 snap save a.example/x:1 -o empty
	WORDS=(oci-dir)
	refused 2 snap save a.example/x:1 --format oci-dir
	WORDS=(tgz)
	refused 2 snap save a.example/x:1 --format tgz -o out
	expect_exit 2 snap save a.example/x:1 --json
	[[ $ERR == '{"error":{"code":2,'* && $ERR == *"--json needs -o"* && -z $OUT ]] || fail_ "$ERR"
	WORDS=()
	refused 2 snap save -o out
	saves snap save a.example/x:1 --format oci-dir -o empty
	comes_back a.example/x:1 empty
	same "$(printf '%s\n' .after .before .stderr .stdout again.1 empty full store tmp)" \
		"$(ls -A | grep -vE '^\.(first|second|difference)$')"
}
case_ "wrong use is refused with its exit status, and makes no file" refusals

replaced() {
	expect_exit 0 snap load "$MADE/a"
	echo old >file
	ln -s file link
	saves snap save a.example/x:1 -o link
	[ -L link ] || fail_ "the symlink was replaced"
	comes_back a.example/x:1 file
	saves snap save a.example/x:1 -o /dev/null
	[ -c /dev/null ] || fail_ "/dev/null was replaced"
	mkfifo fifo
	cat fifo >got &
	saves snap save a.example/x:1 -o fifo
	wait $!
	cmp got file
}
case_ "a file is replaced, a symlink followed, a device or FIFO written to" replaced

json() {
	expect_exit 0 snap load "$MADE/a"
	digest=$(digest_of a.example/x:1) id=$(id_of a.example/x:1)
	expect_exit 0 snap save --json a.example/x:1 -o out
	holds "d == {'saved': [{'reference': 'a.example/x:1', 'id': '$id', 'digest': '$digest', 'rewritten': False}]}"
}
case_ "save --json: reference, id, digest" json

full_disk() {
	layout <<-'END'
		import random
		random.seed(1)
		Layout(Image([Layer([file("big", random.randbytes(12 << 20))], "none")], names="big:1")).write_dir("big")
	END
	expect_exit 0 snap load big
	loop_fs "$CASE/small" 8M mkfs.ext4 -q
	for format in oci-archive docker-archive oci-dir; do
		echo old >small/old
		ls -AR small >before
		WORDS=(space)
		refused 1 snap save big:1 --format $format -o small/out
		[ $format = oci-dir ] || refused 1 snap save big:1 --format $format -o small/old
		ls -AR small >after
		diff before after || fail_ "something is left"
		same old "$(<small/old)"
	done
	status=0
	snap save big:1 >/dev/full 2>said || status=$?
	same 1 $status
	grep -q 'No space left' said
	umount small
}
case_ "a full disk: exit 1, nothing is left, and what was there stays" full_disk

killed() {
	layout <<-'END'
		Layout(Image([Layer([file("big", bytes(30 << 20))], "none")], names="big:1")).write_dir("big")
	END
	expect_exit 0 snap load big
	mkdir out
	for format in oci-archive docker-archive; do
		strace -f -qq -o trace -e trace=write -e inject=write:signal=KILL:when=20 \
			"$SNAPDRV" --root "$ROOT" save big:1 --format $format -o out/file >said 2>&1 && fail_ "not killed"
		same "" "$(ls -A out)"
	done
}
case_ "a save that is killed leaves no file" killed

damaged() {
	expect_exit 0 snap load "$MADE/a"
	blob=$(snap inspect a.example/x:1 | pick 'd[0]["Layers"][1]["Digest"][7:]')
	cp "$ROOT/content/sha256/$blob" copy
	printf X | dd of=copy bs=1 seek=20 conv=notrunc status=none
	cp copy "$ROOT/content/sha256/$blob.new"
	mv "$ROOT/content/sha256/$blob.new" "$ROOT/content/sha256/$blob"
	WORDS=("$blob")
	refused 1 snap save a.example/x:1 -o out
	refused 1 snap save --format docker-archive a.example/x:1 -o out
	[ ! -e out ] || fail_ "there is an archive of a damaged blob"
	# Where it has to be copied.
	mkdir elsewhere
	own_mount mount -t tmpfs none elsewhere
	refused 1 snap save --format oci-dir a.example/x:1 -o elsewhere/out
	same "" "$(ls -A elsewhere)"
	umount elsewhere
}
case_ "a damaged blob is not given on" damaged

podman_() {
	unshare --mount --propagation private bash -c '
		mount -t tmpfs none /run && mount -t tmpfs none /var/tmp || exit 1
		[ ! -d /var/lib/containers ] || mount -t tmpfs none /var/lib/containers || exit 1
		exec podman --root "$0/p/root" --runroot "$0/p/run" --tmpdir "$0/p/tmp" --storage-driver vfs \
			--events-backend none "$@"' "$CASE" "$@"
}
by_podman() {
	expect_exit 0 snap load "$(real buildah-oci)"
	snap save localhost/built:1 -o oci.tar
	podman_ load -q -i oci.tar
	same "$(id_of localhost/built:1) localhost/built:1" \
		"$(podman_ images --no-trunc --format '{{.ID}} {{.Repository}}:{{.Tag}}')"
	same "$(digest_of localhost/built:1)" "$(podman_ images --format '{{.Digest}}')"
	podman_ rmi -f localhost/built:1 >/dev/null
	snap save --format docker-archive localhost/built:1 | podman_ load -q
	same "$(id_of localhost/built:1) localhost/built:1" \
		"$(podman_ images --no-trunc --format '{{.ID}} {{.Repository}}:{{.Tag}}')"
	podman_ rmi -f localhost/built:1 >/dev/null
}
case_ "podman load takes both kinds of archive, with name, ID and digest" by_podman

by_containerd() {
	expect_exit 0 snap load "$MADE/a"
	expect_exit 0 snap load "$MADE/b"
	expect_exit 0 snap load "$(real skopeo-docker)"
	mkdir c
	cat >c/config.toml <<-END
		version = 2
		root = "$CASE/c/root"
		state = "$CASE/c/state"
		disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
		[grpc]
		  address = "$CASE/c/sock"
	END
	containerd -c c/config.toml >c/log 2>&1 &
	wait_for 20 ctr -a c/sock version
	snap save a.example/x:1 b:1 three:1 -o all.tar
	ctr -a c/sock image import --no-unpack all.tar >said
	for name in a.example/x:1 docker.io/library/b:1 docker.io/library/three:1; do
		same "$(digest_of $name)" "$(ctr -a c/sock image ls | awk -v n=$name '$1 == n { print $3 }')"
		ctr -a c/sock image check "name==$name" | has 'complete' || fail_ "$(ctr -a c/sock image check)"
	done
	kill %1
	wait %1 || :
}
case_ "ctr image import gives containerd the names and digests" by_containerd

by_umoci() {
	expect_exit 0 snap load "$(real umoci)" --ref umoci:1
	snap save umoci:1 --format oci-dir -o dir
	skopeo --insecure-policy --tmpdir "$CASE" copy -q oci:dir:docker.io/library/umoci:1 oci:copied:latest
	umoci_tree copied:latest tree
	same_tree "$(real umoci-tree)" "$PWD/tree"
	snap save umoci:1 --format docker-archive -o docker.tar
	skopeo --insecure-policy --tmpdir "$CASE" copy -q docker-archive:docker.tar oci:third:latest
	umoci_tree third:latest tree3
	same_tree "$(real umoci-tree)" "$PWD/tree3"
}
case_ "skopeo copies what save wrote, and umoci unpacks it to the tree that went in" by_umoci

# Layers of every kind of entry, deletions, what only stands over others, and what is another file by its content or its
# extended attributes alone.
discarded_image() {
	layout image <<-'END'
		import sys
		base = [directory("usr", mode=0o755), directory("usr/lib", mode=0o711, uid=7), file("usr/lib/a", "a" * 5000),
		        symlink("lib", "usr/lib"), directory("gone"), file("gone/x", "x"), file("victim", "v"),
		        hardlink("hard", "usr/lib/a"), entry("fifo", FIFO), file("caps", "c", xattrs={"user.word": b"\0\xff"}),
		        file("same-size", "one"), file("other-xattr", "x", xattrs={"user.word": b"one"})]
		over = [file("lib/b", "b", uid=70000), whiteout("victim"), directory("gone"), opaque("gone"), file("gone/y", "y"),
		        file("usr/lib/a", "another"), file("same-size", "two"),
		        file("other-xattr", "x", xattrs={"user.word": b"two"})]
		Layout(Image([base, over], names="two:1")).write_dir(sys.argv[1])
	END
	expect_exit 0 snap load --discard-blobs image
	expect_exit 0 snap create --name want two:1
	treedump --no-root-mtime "$OUT" >want
	expect_exit 0 snap umount want
}

discarded() {
	discarded_image
	expect_exit 0 snap save two:1 -o out.tar
	digest=$(skopeo --tmpdir "$CASE" inspect --format "{{.Digest}}" oci-archive:out.tar)
	[[ $ERR == *discarded*"$digest" ]] || fail_ "no word of the new digest $digest: $ERR"
	expect_exit 0 snap save two:1 -o again.tar
	cmp out.tar again.tar || fail_ "not the same bytes each time"
	expect_exit 0 snap --json save two:1 -o again.tar
	holds "d['saved'][0]['digest'] == '$digest' and d['saved'][0]['rewritten']"
	# On another driver too: the same image is written.
	ROOT=$CASE/vfs
	expect_exit 0 env SNAPDRV_DRIVER=vfs "$SNAPDRV" --root "$ROOT" load --discard-blobs image
	expect_exit 0 env SNAPDRV_DRIVER=vfs "$SNAPDRV" --root "$ROOT" save two:1 -o vfs.tar
	cmp out.tar vfs.tar || fail_ "vfs writes it otherwise"
	# And it is the tree that it was.
	ROOT=$CASE/other
	expect_exit 0 snap load out.tar
	expect_exit 0 snap create two:1
	treedump --no-root-mtime "$OUT" >got
	diff want got || fail_ "the tree is another one"
}
case_ "layers whose blobs were discarded are written again: the same bytes each time and on each driver, the same tree" discarded

discarded_docker() {
	discarded_image
	expect_exit 0 snap save two:1 --format docker-archive -o docker.tar
	ROOT=$CASE/other
	expect_exit 0 snap load docker.tar
	expect_exit 0 snap create two:1
	treedump --no-root-mtime "$OUT" >got
	diff want got || fail_ "the tree is another one"
}
case_ "so they are in a docker-archive" discarded_docker
