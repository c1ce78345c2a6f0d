#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# load: every form of a source, whole-archive compressions, names, platforms, media types, blobs.
. "$(dirname "$0")/../lib.sh"

HOWS="none gzip zstd xz bzip2"

# Every form of one image, made once for the file, and the tree it must give.
FORMS=$WORK/forms
mkdir "$FORMS"
layout "$FORMS" <<'END'
import sys
top = sys.argv[1]
one = lambda: small_image(names="docker.io/library/small:1")
Layout(one()).write_dir(top + "/dir")
Layout(small_image(names="latest")).write_dir(top + "/plain")
for how in ("none", "gzip", "zstd", "xz", "bzip2"):
    Layout(one()).write_archive(f"{top}/oci-{how}.tar", how)
    Layout(one()).write_docker_archive(f"{top}/docker-new-{how}.tar", how)
    docker_archive([one()], f"{top}/docker-old-{how}.tar", how)
Layout(one()).write_archive(top + "/oci-reverse.tar", reverse=True)
Layout(one()).write_archive(top + "/oci-dotted.tar", prefix="./")
Layout(one()).write_docker_archive(top + "/docker-new-reverse.tar", reverse=True)
docker_archive([one()], top + "/docker-old-first.tar", order="manifest-first")
END
umoci raw unpack --image "$FORMS/plain:latest" "$FORMS/tree" 2>/dev/null || exit 1
ID=$(python -c '
import json, sys
top = sys.argv[1] + "/plain/"
index = json.load(open(top + "index.json"))
blob = lambda digest: json.load(open(top + "blobs/" + digest.replace(":", "/")))
print(blob(index["manifests"][0]["digest"])["config"]["digest"])' "$FORMS")

# gives_small SOURCE [OPTION...]: a fresh store, the line that load prints, and the tree.
gives_small() {
	ROOT=$CASE/store.$((++stores))
	expect_exit 0 snap load "$@"
	same "docker.io/library/small:1 $ID" "$OUT"
	[ -z "$ERR" ] || fail_ "load says on stderr: $ERR"
	expect_exit 0 snap create small:1
	same_tree "$FORMS/tree" "$OUT"
}
stores=0

layout_directory() {
	gives_small "$FORMS/dir"
	gives_small "$FORMS/dir/"
	(cd "$FORMS/dir" && gives_small .)
}
case_ "load of an OCI layout directory gives umoci's tree and prints REF IMAGE-ID" layout_directory

archive_files() {
	local how
	for how in $HOWS; do
		gives_small "$FORMS/$1-$how.tar"
	done
}
archive_pipes() {
	local how
	for how in $HOWS; do
		gives_small - < <(cat "$FORMS/$1-$how.tar")
	done
}
for form in oci docker-old docker-new; do
	case_ "load of an archive ($form): plain, gzip, zstd, xz, bzip2" archive_files $form
	case_ "load of the same ($form) from a pipe" archive_pipes $form
done

orders() {
	local file
	for file in oci-reverse oci-dotted docker-new-reverse docker-old-first; do
		gives_small "$FORMS/$file.tar"
		gives_small - < <(cat "$FORMS/$file.tar")
	done
}
case_ "the documents of an archive may stand anywhere in it, under ./ too" orders

several() {
	layout <<-'END'
		a = small_image("a", names=["docker.io/library/a:1", "docker.io/library/a:2"])
		b = small_image("b", names=["example.org:5000/team/b:x"])
		Layout([a, b]).write_dir("dir")
		Layout([a, b]).write_archive("oci.tar")
		Layout([a, b]).write_docker_archive("new.tar")
		docker_archive([a, b], "old.tar")
		open("want", "w").write("".join(sorted(
		    f"{name} {image.id}\n" for image in (a, b) for name in image.names)))
	END
	for source in dir oci.tar new.tar old.tar; do
		ROOT=$CASE/store.$source
		expect_exit 0 snap load $source
		same "$(<want)" "$(sort "$CASE/.stdout")"
		expect_exit 0 snap --json images
		holds 'len(d["images"]) == 2'
		holds 'sorted(len(i["references"]) for i in d["images"]) == [1, 2]'
		expect_exit 0 snap create a:2
		same a "$(<"$OUT/etc/word")"
		expect_exit 0 snap create example.org:5000/team/b:x
		same b "$(<"$OUT/etc/word")"
	done
}
case_ "an archive of two images with three names gives them all" several

symlinked_layers() {
	layout <<-'END'
		base = Layer([directory("etc"), file("etc/base", "base\n")], "none")
		a = Image([base, [file("etc/a", "a\n")]], names=["a:1"])
		b = Image([base, [file("etc/b", "b\n")]], names=["b:1"])
		docker_archive([a, b], "links.tar")
	END
	tar tvf links.tar >list
	grep -q 'layer.tar -> ../' list || fail_ "the test's archive has no link"
	ROOT=$CASE/s1
	expect_exit 0 snap load links.tar
	ROOT=$CASE/s2
	expect_exit 0 snap load - < <(cat links.tar)
	for ROOT in "$CASE/s1" "$CASE/s2"; do
		expect_exit 0 snap create b:1
		same "base b" "$(cd "$OUT/etc" && echo $(cat base b))"
	done
}
case_ "a docker-archive whose images share a layer by a symlink" symlinked_layers

ref_option() {
	expect_exit 0 snap load "$FORMS/plain" --ref mine
	same "docker.io/library/mine:latest $ID" "$OUT"
	expect_exit 0 snap load --ref=other.example/x:2 "$FORMS/oci-none.tar"
	same "other.example/x:2 $ID" "$OUT"
	expect_exit 0 snap --json images
	holds 'len(d["images"]) == 1'
	holds 'd["images"][0]["references"] == ["docker.io/library/mine:latest", "other.example/x:2"]'
	layout <<-'END'
		Layout([small_image("a", names="a:1"), small_image("b", names="b:1")]).write_dir("two")
	END
	refused 2 snap load two --ref one
	refused 2 snap load "$FORMS/plain" --ref 'Not A Name'
}
case_ "load --ref names the image; two images for one name is wrong usage" ref_option

unnamed() {
	layout <<-'END'
		Layout(small_image()).write_dir("unnamed")
	END
	expect_exit 0 snap load unnamed
	same "$ID" "${OUT##* }"
	expect_exit 0 snap create "${ID:7:12}"
	same_tree "$FORMS/tree" "$OUT"
}
case_ "an image without a name is loaded and found by its ID" unnamed

index_of_indexes() {
	layout <<-'END'
		inner = Index([small_image()], platform=False)
		Layout(Index([Index([inner], platform=False)], platform=False, names="nested:1")).write_dir("nested")
		Layout(Index([Index([inner])], names="nested:2")).write_archive("nested.tar")
	END
	expect_exit 0 snap load nested
	same "docker.io/library/nested:1 $ID" "$OUT"
	expect_exit 0 snap load - < <(cat nested.tar)
	same "docker.io/library/nested:2 $ID" "$OUT"
}
case_ "an index of indexes is followed to the image" index_of_indexes

platforms() {
	local kind
	layout <<-'END'
		for kind in ("oci", "docker"):
		    members = [small_image(name.replace("/", "-"), platform=name, kind=kind) for name in
		               ("windows/amd64", "linux/s390x", "linux/arm/v6", "linux/arm/v7",
		                "linux/arm64/v8", "linux/amd64", "linux/ppc64le", "linux/riscv64")]
		    Layout(Index(members, kind, names="multi:1")).write_dir(kind)
		    Layout(Index(members, kind, names="multi:1")).write_archive(kind + ".tar")
	END
	case $(uname -m) in
	x86_64) host=linux-amd64 ;;
	aarch64) host=linux-arm64-v8 ;;
	*) host=linux-$(uname -m) ;;
	esac
	for source in oci docker oci.tar docker.tar; do
		ROOT=$CASE/store.$source
		expect_exit 0 snap load $source
		[ "$(wc -l <"$CASE/.stdout")" = 1 ] || fail_ "not one image: $OUT"
		expect_exit 0 snap create multi:1
		same $host "$(<"$OUT/etc/word")"
		for other in linux/arm64 linux/arm/v7 linux/s390x; do
			expect_exit 0 snap load --platform $other --ref "on:${other//\//-}" $source
			expect_exit 0 snap create --name "c-${other//\//-}" "on:${other//\//-}"
			[[ $(<"$OUT/etc/word") == ${other//\//-}* ]] || fail_ "not $other"
		done
		WORDS=(mips)
		refused 3 snap load --platform=linux/mips64le --ref none $source
		WORDS=()
		refused 2 snap load --platform nonsense $source
	done
}
case_ "this machine's platform is chosen from an index, --platform another, an absent one is exit 3" platforms

# A manifest that holds all platforms' layers is not needed: blobs of others may be absent.
sparse_layout() {
	layout <<-'END'
		other = Image([small_layer("other"), [file("third", "other")]], platform="linux/s390x")
		layout = Layout(Index([other, small_image(platform="linux/amd64"),
		                       small_image(platform="linux/arm64")], names="sparse:1"))
		for digest, _ in list(other.blobs()):
		    del layout.blobs[digest]
		layout.write_dir("sparse")
	END
	expect_exit 0 snap load sparse
	expect_exit 0 snap create sparse:1
	same_tree "$FORMS/tree" "$OUT"
}
case_ "the blobs of other platforms may be absent from a layout" sparse_layout

schema2() {
	layout <<-'END'
		for how in ("gzip", "none", "zstd"):
		    image = small_image(how, kind="docker", how=how, names="docker:" + how)
		    Layout(image).write_dir("docker-" + how)
		    Layout(image).write_archive(f"docker-{how}.tar")
	END
	for how in gzip none zstd; do
		expect_exit 0 snap load docker-$how
		expect_exit 0 snap create docker:$how
		same $how "$(<"$OUT/etc/word")"
		expect_exit 0 snap load - <docker-$how.tar
	done
}
case_ "Docker schema 2 media types" schema2

layer_compressions() {
	layout <<-'END'
		for how in ("none", "gzip", "gzip-members", "zstd", "zstd-frames", "zstd-skippable"):
		    image = Image([Layer(small_layer(), how), Layer([file("second", "hello")], how)],
		                  names="how:" + how)
		    Layout(image).write_dir("how-" + how)
	END
	for how in none gzip gzip-members zstd zstd-frames zstd-skippable; do
		ROOT=$CASE/store.$how
		expect_exit 0 snap load how-$how
		expect_exit 0 snap create how:$how
		same_tree "$FORMS/tree" "$OUT"
	done
}
case_ "layers plain, gzip (also several members), zstd (also several and skippable frames)" layer_compressions

wrong_media_types() {
	layout <<-'END'
		for how in ("none", "gzip", "zstd"):
		    for said in ("none", "gzip", "zstd"):
		        image = Image([Layer(small_layer(), how, media=MEDIA["oci"][said]),
		                       Layer([file("second", "hello")], how, media=MEDIA["oci"][said])],
		                      names="is:" + how)
		        Layout(image).write_dir(f"{how}-said-{said}")
	END
	for source in *-said-*; do
		ROOT=$CASE/store.$source
		expect_exit 0 snap load "$source"
		expect_exit 0 snap create "is:${source%%-*}"
		same_tree "$FORMS/tree" "$OUT"
	done
}
case_ "a layer's compression is found by content when its media type is wrong" wrong_media_types

whole_stream() {
	layout <<-'END'
		odd = tar(small_layer(), trailing=b"bytes after the end" * 100)
		no_end = tar([file("second", "hello")], end=0)
		image = Image([Layer(odd), Layer(no_end)], names="odd:1")
		Layout(image).write_dir("odd")
		docker_archive([image], "odd.tar")
	END
	for source in odd odd.tar; do
		ROOT=$CASE/store.$source
		expect_exit 0 snap load $source
		expect_exit 0 snap create odd:1
		same_tree "$FORMS/tree" "$OUT"
	done
}
case_ "the DiffID is that of the whole stream, with what follows the end mark, or without one" whole_stream

content_has() {
	local path=$1 digest=$2
	same "$digest" "sha256:$(sha256sum <"$path/content/sha256/${digest#sha256:}" | cut -d' ' -f1)"
}
blobs_kept() {
	expect_exit 0 snap load "$FORMS/dir"
	for blob in "$FORMS"/dir/blobs/sha256/*; do
		content_has "$ROOT" "sha256:${blob##*/}"
	done
	ROOT=$CASE/archive
	expect_exit 0 snap load - < <(cat "$FORMS/oci-zstd.tar")
	for blob in "$FORMS"/dir/blobs/sha256/*; do
		content_has "$ROOT" "sha256:${blob##*/}"
	done
	ROOT=$CASE/docker
	expect_exit 0 snap load "$FORMS/docker-old-none.tar"
	[ "$(ls "$ROOT/content/sha256" | wc -l)" -ge 4 ] || fail_ "blobs are missing from content/"
	for blob in "$ROOT"/content/sha256/*; do
		content_has "$ROOT" "sha256:${blob##*/}"
	done
}
# Where the archive begins in the file, and not where the file does.
from_a_position() {
	local kind
	for kind in oci-none docker-old-none oci-gzip; do
		{
			head -c 1536 /dev/urandom
			cat "$FORMS/$kind.tar"
		} >"$kind"
		ROOT=$CASE/store.$kind
		{
			dd bs=512 count=3 of=/dev/null status=none
			expect_exit 0 snap load -
		} <"$kind"
		[[ $OUT == *"/small:1 sha256:"* ]] || fail_ "$OUT"
	done
}
case_ "an archive is read from where its descriptor stands" from_a_position

# The file of another user may be changed while it is read: what is kept is what was read.
blobs_of_others() {
	cp -r "$FORMS/dir" theirs
	chown -R 1000 theirs
	# With the paths of descriptors: a blob stands at the top of the session, what a driver clones below.
	ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 strace -f -y -qq -o trace -e trace=ioctl,linkat,openat "$SNAPDRV" --root "$ROOT" load theirs
	grep -q "/staging/" trace || fail_ "no path is seen"
	! grep -E 'ioctl\([0-9]+<[^>]*/staging/[^/>]*/[^/>]*>, .*FICLONE|linkat\(.*/proc/self/fd' trace || fail_ "taken as it is"
	for blob in "$ROOT"/content/sha256/*; do
		content_has "$ROOT" "sha256:${blob##*/}"
	done
}
case_ "blobs of a layout that is another user's are copied while they are verified" blobs_of_others

case_ "blobs are kept as content/sha256/HEX, and each has that digest" blobs_kept

blobs_linked() {
	local kind
	kind=$(stat -f -c %T "$FORMS")
	[[ $kind == ext* || $kind == tmpfs ]] || skip_optional "$kind may reflink, which stat does not show"
	[ "$(stat -c %d "$FORMS")" = "$(stat -c %d "$CASE")" ] || skip_optional "two filesystems"
	cp -r "$FORMS/dir" mine
	expect_exit 0 snap load mine
	layers=$(cd mine/blobs/sha256 && for blob in *; do [ "$(head -c 1 "$blob")" = "{" ] || echo "$blob"; done)
	[ -n "$layers" ]
	for blob in $layers; do
		same "$(stat -c %i "mine/blobs/sha256/$blob")" "$(stat -c %i "$ROOT/content/sha256/$blob")"
	done
}
case_ "blobs of a layout on the same filesystem are linked, not copied" blobs_linked

# What is read is not the clone: it has to be what was cloned.
blobs_cloned() {
	local blob status=0
	command -v mkfs.btrfs >/dev/null || skip_ "there is no mkfs.btrfs"
	loop_fs "$CASE/fs" 512M mkfs.btrfs -q
	cp -r "$FORMS/dir" fs/mine
	ROOT=$CASE/fs/store
	blob=$(cd fs/mine/blobs/sha256 && for blob in *; do [ "$(head -c 1 "$blob")" = "{" ] || echo "$blob"; done | sed -n 1p)
	cp "fs/mine/blobs/sha256/$blob" right
	printf X | dd of="fs/mine/blobs/sha256/$blob" bs=1 seek=20 conv=notrunc status=none
	ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 strace -f -qq -o trace -P "$CASE/fs/mine/blobs/sha256/$blob" -e trace=pread64 \
		-e inject=pread64:delay_enter=2000000:when=1 "$SNAPDRV" --root "$ROOT" load fs/mine >out 2>err &
	wait_for 30 grep -q pread64 trace
	dd if=right of="fs/mine/blobs/sha256/$blob" conv=notrunc status=none
	wait $! || status=$?
	same 5 "$status"
	grep -q 'it changes while it is read' err || fail_ "$(<err)"
	same "" "$(ls -A "$ROOT/content/sha256" "$ROOT/layers" "$ROOT/staging" | grep -v : || :)"
	expect_exit 0 snap load fs/mine
	expect_exit 0 snap check --deep
}
case_ "a blob that is written to after it was cloned is refused" blobs_cloned

blobs_discarded() {
	layout <<-'END'
		image = small_image(names="small:1")
		open("layers", "w").write("".join(l.digest[7:] + "\n" + l.diff_id[7:] + "\n" for l in image.layers))
	END
	for source in dir oci-gzip.tar docker-old-none.tar docker-new-xz.tar; do
		ROOT=$CASE/store.$source
		expect_exit 0 snap load --discard-blobs "$FORMS/$source"
		while read -r hex; do
			[ ! -e "$ROOT/content/sha256/$hex" ] || fail_ "$source: layer blob $hex was kept"
		done <layers
		expect_exit 0 snap create small:1
		same_tree "$FORMS/tree" "$OUT"
		expect_exit 0 snap inspect small:1
	done
}
case_ "--discard-blobs keeps no layer blob, and the image works" blobs_discarded

shared_base() {
	layout <<-'END'
		base = Layer(small_layer(), "none")
		docker_archive([Image([base, [file("mine", name)]], names=name + ":1", how="none") for name in ("a", "b")],
		               "two.tar", links=False)
	END
	for options in "" --discard-blobs; do
		ROOT=$CASE/store$options
		# shellcheck disable=SC2086 # words are meant
		expect_exit 0 snap load $options two.tar
		for name in a b; do
			expect_exit 0 snap inspect $name:1
			same true "$(pick 'all(l["Digest"] == l["DiffID"] and l["BlobSize"] for l in d[0]["Layers"])' <"$CASE/.stdout")"
			expect_exit 0 snap save $name:1 --format oci-dir -o "saved.$name"
			expect_exit 0 snap --root "$CASE/again.$name$options" load "saved.$name"
			rm -r "saved.$name"
		done
	done
}
case_ "two images of a docker-archive over one base layer: the manifests of both name its blob" shared_base

types_of_blobs() {
	layout <<-'END'
		for how in ("gzip", "zstd", "xz", "bzip2"):
		    image = small_image(names=how + ":1", how="none")
		    for layer in image.layers:
		        layer.stored = compress(layer.tar, how)
		    docker_archive([image], how + ".tar")
	END
	for how in gzip zstd xz bzip2; do
		mkdir "$how"
		tar -xf "$how.tar" -C "$how"
		type=application/vnd.oci.image.layer.v1.tar
		[[ $how != gzip && $how != zstd ]] || type+=+$how
		for source in "$how.tar" "$how" - ; do
			ROOT=$CASE/store.$how
			expect_exit 0 snap load "$source" < <([ "$source" != - ] || cat "$how.tar")
			expect_exit 0 snap inspect "${OUT##* }"
			same "$type $type" "$(pick '" ".join(l["MediaType"] for l in d[0]["Layers"])' <"$CASE/.stdout")"
			same true "$(pick 'all(l["BlobKept"] and l["BlobSize"] for l in d[0]["Layers"])' <"$CASE/.stdout")"
			expect_exit 0 snap check --deep
			expect_exit 0 snap save "$how:1" --format oci-dir -o "saved.$how"
			ROOT=$CASE/again.$how
			expect_exit 0 snap load "saved.$how"
			skopeo --insecure-policy copy --quiet "oci:saved.$how" "dir:copied.$how" >skopeo.log 2>&1 || fail_ "$(<skopeo.log)"
			rm -rf "$CASE"/saved.* "$CASE"/copied.*
			expect_exit 0 snap create "$how:1"
			same_tree "$FORMS/tree" "$OUT"
			for ROOT in "$CASE/again.$how" "$CASE/store.$how"; do
				snap rm --all && snap rmi "$how:1" >/dev/null
			done
		done
	done
}
case_ "blobs of a docker-archive are called what they are: gzip, zstd, or else the plain tar is kept" types_of_blobs

again() {
	expect_exit 0 snap load "$FORMS/dir"
	find "$ROOT/layers" "$ROOT/content" | sort >first
	expect_exit 0 snap load "$FORMS/oci-gzip.tar"
	find "$ROOT/layers" "$ROOT/content" | sort >second
	cmp first second || fail_ "files were added: $(diff first second)"
	expect_exit 0 snap --json images
	holds 'len(d["images"]) == 1'
	[ -z "$(ls -A "$ROOT/staging")" ] || fail_ "left in staging: $(ls "$ROOT/staging")"
}
case_ "loading the same image again adds nothing" again

json_and_quiet() {
	expect_exit 0 snap --json load "$FORMS/dir"
	holds 'len(d) == 1 and isinstance(list(d.values())[0], list)'
	[[ $OUT == *"$ID"* && $OUT == *docker.io/library/small:1* ]] || fail_ "no ID or name in $OUT"
	[ -z "$ERR" ] || fail_ "on stderr: $ERR"
	expect_exit 0 snap -q load "$FORMS/dir"
	[ -z "$ERR" ] || fail_ "on stderr: $ERR"
}
case_ "load --json is one document" json_and_quiet

env_root() {
	expect_exit 0 env SNAPDRV_ROOT="$CASE/by-env" SNAPDRV_DRIVER="$BACKEND" TMPDIR="$CASE/tmp" \
		"$SNAPDRV" load "$FORMS/dir"
	[ -f "$CASE/by-env/snapdrv.db" ] || fail_ "no store at SNAPDRV_ROOT"
	expect_exit 0 env TMPDIR="$CASE/tmp" "$SNAPDRV" --root="$CASE/by-flag" --driver="$BACKEND" load "$FORMS/dir"
	[ -f "$CASE/by-flag/snapdrv.db" ] || fail_ "no store at --root=DIR"
}
case_ "the store by SNAPDRV_ROOT and by --root=DIR" env_root
