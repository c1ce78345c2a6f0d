#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Images that umoci, skopeo, buildah and debootstrap made, compared with what umoci unpacks.
. "$(dirname "$0")/../lib.sh"

by_umoci() {
	layout_=$(real umoci)
	want=$(real umoci-tree)
	rootfs_of "$layout_" --ref three
	same_tree "$want" "$OUT"
}
case_ "umoci's image of three layers gives umoci's tree" by_umoci

by_skopeo() {
	source=$(real "$1")
	want=$(real umoci-tree)
	rootfs_of "$source" ${2:+--ref "$2"}
	same_tree "$want" "$OUT"
	ROOT=$CASE/again
	if [ -f "$source" ]; then
		expect_exit 0 snap load - --ref piped < <(cat "$source")
		expect_exit 0 snap create piped
		same_tree "$want" "$OUT"
	fi
}
case_ "skopeo's oci-archive of it gives the same tree" by_skopeo skopeo-oci
case_ "skopeo's docker-archive of it gives the same tree" by_skopeo skopeo-docker
case_ "skopeo's layout with zstd layers gives the same tree" by_skopeo skopeo-zstd zstd

skopeo_names() {
	expect_exit 0 snap load "$(real skopeo-docker)"
	[[ $OUT == "docker.io/library/three:1 sha256:"* ]] || fail_ "the name is: $OUT"
	first=$OUT
	expect_exit 0 snap load "$(real skopeo-oci)"
	same "$first" "$OUT"
}
case_ "skopeo's archives keep the image's name and ID" skopeo_names

by_buildah() {
	source=$(real "$1")
	# umoci reads layouts only; skopeo makes one of the archive.
	case $1 in
	*-oci) skopeo --insecure-policy --tmpdir "$CASE" copy -q "oci-archive:$source" oci:want:latest ;;
	*) skopeo --insecure-policy --tmpdir "$CASE" copy -q "docker-archive:$source" oci:want:latest ;;
	esac
	umoci_tree want:latest tree
	expect_exit 0 snap load "$source"
	[[ $OUT == "localhost/built:1 sha256:"* ]] || fail_ "the name is: $OUT"
	expect_exit 0 snap create localhost/built:1
	same_tree tree "$OUT"
}
case_ "buildah's oci-archive" by_buildah buildah-oci
case_ "buildah's docker-archive, with Docker's media types" by_buildah buildah-docker

debian() {
	source=$(real debian)
	mkdir want
	tar --numeric-owner --xattrs --xattrs-include='*' -xpf "$source" -C want
	expect_exit 0 snap import "$source" debian:12
	expect_exit 0 snap create debian:12
	same_tree "$PWD/want" "$OUT"
}
case_ "debootstrap's tree, imported, is the tree that tar unpacks" debian

skopeo_reads_content() {
	# The blobs under content/ are the ones that went in: a layout made of them is the image.
	source=$(real skopeo-oci)
	expect_exit 0 snap load "$source"
	mkdir -p back/blobs
	cp -r "$ROOT/content/sha256" back/blobs/sha256
	tar -xf "$source" -C back index.json oci-layout
	skopeo inspect --raw oci:back:docker.io/library/three:1 >raw
	umoci raw unpack --image back:docker.io/library/three:1 tree 2>log ||
		skopeo --insecure-policy --tmpdir "$CASE" copy -q oci:back:docker.io/library/three:1 dir:copied
}
case_ "other tools read the blobs that the store keeps" skopeo_reads_content
