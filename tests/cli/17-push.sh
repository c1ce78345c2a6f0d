#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# push to a real registry: what skopeo reads there, digests, what is not sent, who may.
. "$(dirname "$0")/../lib.sh"
. "$TOOLS/registry.sh"

IMAGES=$WORK/images
mkdir "$IMAGES"
layout "$IMAGES" <<'END'
import random, sys
top = sys.argv[1]
noise = random.Random(1).randbytes
Layout(small_image(names="small:1")).write_dir(top + "/small")
base = Layer([directory("usr"), file("usr/noise", noise(900_000))])
Layout(Image([base, [file("usr/two", "2")], [], []], names="layers:1")).write_dir(top + "/layers")
Layout(Image([base, [file("usr/other", "o")]], names="sibling:1")).write_dir(top + "/sibling")
Layout(small_image("docker", kind="docker", names="docker:1")).write_dir(top + "/docker")
members = [small_image(name.replace("/", "-"), platform=name) for name in ("linux/arm64", "linux/amd64")]
Layout(Index(members, names="multi:1")).write_dir(top + "/multi")
docker_archive([small_image("old", names="old:1")], top + "/old.tar")
END
registry_start plain
PLAIN=$REGISTRY
registry_start safe tls auth
SAFE=$REGISTRY

push() {
	snap push --plain-http "$@"
}
digest_of() {
	pick 'd["manifests"][0]["digest"]' <"$IMAGES/$1/index.json"
}
skopeo_digest() {
	skopeo inspect --no-tags --tls-verify=false --format '{{.Digest}}' "docker://$1"
}

whole() {
	local name
	for name in small layers docker; do
		expect_exit 0 snap load "$IMAGES/$name"
		expect_exit 0 push "$name:1" "$PLAIN/whole/$name:tag"
		same "$(digest_of $name)" "$OUT"
		[ -z "$ERR" ] || fail_ "push says on stderr: $ERR"
		same "$(digest_of $name)" "$(skopeo_digest "$PLAIN/whole/$name:tag")"
		registry_fill "docker://$PLAIN/whole/$name:tag" "dir:$name.dir"
		for blob in "$name.dir"/*; do
			case $blob in
			*/version) ;;
			*/manifest.json) cmp "$blob" "$IMAGES/$name/blobs/sha256/$(digest_of $name | cut -d: -f2)" ;;
			*) cmp "$blob" "$IMAGES/$name/blobs/sha256/${blob##*/}" ;;
			esac
		done
	done
}
case_ "what skopeo reads of a pushed image is what was loaded, byte for byte; the digest is printed" whole

round_trip() {
	expect_exit 0 snap load "$IMAGES/old.tar"
	expect_exit 0 push old:1 "$PLAIN/old:1"
	same "$OUT" "$(skopeo_digest "$PLAIN/old:1")"
	registry_fill "docker://$PLAIN/old:1" oci:out:1
	umoci_tree out:1 tree
	ROOT=$CASE/other
	expect_exit 0 snap pull --plain-http "$PLAIN/old:1"
	expect_exit 0 snap create "$PLAIN/old:1"
	same_tree tree "$OUT"
}
case_ "a docker-archive pushed, pulled again and unpacked by umoci" round_trip

own_name() {
	expect_exit 0 snap load "$IMAGES/small" --ref "$PLAIN/mine:2"
	id=${OUT##* }
	expect_exit 0 push "$PLAIN/mine:2"
	same "$(digest_of small)" "$(skopeo_digest "$PLAIN/mine:2")"
	expect_exit 0 push "$id" "$PLAIN/byid"
	same "$(digest_of small)" "$(skopeo_digest "$PLAIN/byid:latest")"
	expect_exit 0 push "$id" "$PLAIN/bydigest@$(digest_of small)"
	same "$(digest_of small)" "$(skopeo_digest "$PLAIN/bydigest@$(digest_of small)")"
	WORDS=('registry')
	refused 2 push "$id"
	WORDS=("$(digest_of small)")
	refused 2 push "$id" "$PLAIN/bydigest@$(digest_of layers)"
	WORDS=('no such image')
	refused 3 push nothing:1 "$PLAIN/x:1"
	expect_exit 0 push --json "$PLAIN/mine:2"
	holds "d['pushed'][0] == {'reference': '$PLAIN/mine:2', 'id': '$id', 'digest': '$(digest_of small)'}"
}
case_ "push by the image's own name, by its ID, to a digest; --json" own_name

not_twice() {
	expect_exit 0 snap load "$IMAGES/layers"
	expect_exit 0 snap load "$IMAGES/sibling"
	expect_exit 0 push layers:1 "$PLAIN/twice:1"
	: >"$WORK/plain/log"
	expect_exit 0 push layers:1 "$PLAIN/twice:2"
	same 0 "$(asked plain 'POST|PATCH|"PUT .*/blobs/' | wc -l)"
	same "$(digest_of layers)" "$(skopeo_digest "$PLAIN/twice:2")"
	# The base is there, the other layer and the config are not.
	: >"$WORK/plain/log"
	expect_exit 0 push sibling:1 "$PLAIN/twice:3"
	same 2 "$(asked plain '"PUT .*/blobs/' | wc -l)"
}
case_ "blobs that the repository has are not sent" not_twice

mounts() {
	expect_exit 0 snap load "$IMAGES/layers" --ref "$PLAIN/mount/from:1"
	expect_exit 0 push "$PLAIN/mount/from:1"
	expect_exit 0 snap tag "$PLAIN/mount/from:1" "$PLAIN/mount/to:1"
	: >"$WORK/plain/log"
	expect_exit 0 push "$PLAIN/mount/to:1"
	same 0 "$(asked plain '"PUT .*/blobs/' | wc -l)"
	same 4 "$(asked plain 'POST .*mount=.*from=mount%2Ffrom' | wc -l)"
	same "$(digest_of layers)" "$(skopeo_digest "$PLAIN/mount/to:1")"
	# A name of the registry that it does not know: the blobs are sent.
	ROOT=$CASE/other
	expect_exit 0 snap load "$IMAGES/sibling" --ref "$PLAIN/mount/never:1"
	expect_exit 0 push "$PLAIN/mount/never:1" "$PLAIN/mount/fresh:1"
	same "$(digest_of sibling)" "$(skopeo_digest "$PLAIN/mount/fresh:1")"
}
case_ "blobs that another repository of the registry has are mounted from there" mounts

pulled_pushed() {
	registry_fill "oci:$IMAGES/small" "docker://$PLAIN/docker/from:1" --format v2s2
	digest=$(skopeo_digest "$PLAIN/docker/from:1")
	expect_exit 0 snap pull --plain-http "$PLAIN/docker/from:1"
	expect_exit 0 push "$PLAIN/docker/from:1" "$PLAIN/docker/to:1"
	same "$digest" "$OUT"
	same "$digest" "$(skopeo_digest "$PLAIN/docker/to:1")"
}
case_ "what was pulled keeps its digest, of Docker's schema 2 too" pulled_pushed

pulled_by_digest() {
	local index name=$PLAIN/digest/multi
	registry_fill "oci:$IMAGES/multi" "docker://$name:1" --all
	index=$(digest_of multi)
	expect_exit 0 snap pull --plain-http --platform linux/amd64 "$name@$index"
	id=${OUT##* }
	digest=$(snap --json images | pick 'd["images"][0]["digest"]')
	[ "$digest" != "$index" ]
	expect_exit 0 snap create --no-mount "$name@$index"
	expect_exit 0 snap save "$name@$index" -o index.tar
	expect_exit 0 snap pull --plain-http "$name@$digest"
	expect_exit 0 snap save "$name@$digest" -o image.tar
	ROOT=$ROOT.again
	# What digest an index has is not to be seen in the archive: the image is known by what it is.
	expect_exit 0 snap load index.tar
	same "$id" "${OUT##* }"
	expect_exit 3 snap create --no-mount "$name@$index"
	expect_exit 0 snap create --no-mount "$id"
	expect_exit 0 snap load image.tar
	same "$name@$digest $id" "$OUT"
	expect_exit 0 snap create --no-mount "$name@$digest"
}
case_ "an image that was pulled by its digest, or by an index's, is saved and loaded again" pulled_by_digest

discarded() {
	expect_exit 0 snap load --discard-blobs "$IMAGES/layers"
	WORDS=('was discarded')
	refused 1 push layers:1 "$PLAIN/discarded:1"
	expect_exit 0 snap load --discard-blobs "$IMAGES/small"
	registry_fill "oci:$IMAGES/small" "docker://$PLAIN/discarded:2"
	expect_exit 0 push small:1 "$PLAIN/discarded:3"
	same "$(digest_of small)" "$(skopeo_digest "$PLAIN/discarded:3")"
}
case_ "blobs that were discarded are an error, but where the registry has them" discarded

safe() {
	mkdir certs
	cp "$WORK/certs/ca.crt" certs
	expect_exit 0 snap load "$IMAGES/layers"
	WORDS=("'UNAUTHORIZED'")
	refused 1 snap push --cert-dir certs layers:1 "$SAFE/layers:1"
	refused 1 snap push --cert-dir certs --creds me:wrong layers:1 "$SAFE/layers:1"
	expect_exit 0 snap push --cert-dir certs --creds me:secret:word layers:1 "$SAFE/layers:1"
	same "$(digest_of layers)" "$OUT"
	same "$OUT" "$(skopeo inspect --no-tags --cert-dir certs --creds me:secret:word --format '{{.Digest}}' "docker://$SAFE/layers:1")"
}
case_ "push over TLS with a password; without it exit 1 in the registry's words" safe

in_the_clear() {
	registry_start clear tls "at=http://$PLAIN"
	: >"$WORK/plain/log"
	expect_exit 0 snap load "$IMAGES/small"
	WORDS=("http://$PLAIN" "in the clear")
	refused 5 snap push --cert-dir "$WORK/certs" small:1 "$REGISTRY/team/small:1"
	same "" "$(asked plain /)"
}
case_ "a registry with TLS that wants a blob by plain HTTP gets none" in_the_clear

read_only() {
	expect_exit 0 snap load "$IMAGES/small"
	liar_start "$IMAGES/layers"
	WORDS=("'UNSUPPORTED'" "'read only'")
	refused 1 push small:1 "$LIAR/x:1"
	WORDS=(127.0.0.1:1)
	refused 1 push small:1 127.0.0.1:1/x:1
}
case_ "a registry that takes nothing: exit 1, in its words" read_only

progress() {
	expect_exit 0 snap load "$IMAGES/layers"
	script -qec "$SNAPDRV --root $ROOT push --plain-http layers:1 $PLAIN/shown:1" shown >/dev/null
	grep -qa "$(pick 'd["layers"][0]["digest"][7:19]' <"$IMAGES/layers/blobs/sha256/$(digest_of layers | cut -d: -f2)") .*%" shown ||
		fail_ "no bar: $(cat -v shown)"
}
case_ "a bar for a blob is shown on a terminal" progress
