#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# images, inspect, tag, rmi, info: names and IDs as users of docker write them.
. "$(dirname "$0")/../lib.sh"

MADE=$WORK/made
mkdir "$MADE"
layout "$MADE" <<'END'
import sys
top = sys.argv[1]
a, b = small_image("a"), small_image("b", created="2023-05-06T07:08:09Z")
for name, image in (("a", a), ("b", b)):
    Layout(image).write_dir(f"{top}/{name}")
    open(f"{top}/{name}.id", "w").write(image.id)
    open(f"{top}/{name}.digest", "w").write(image.digest)
END
A=$(<"$MADE/a.id") A_DIGEST=$(<"$MADE/a.digest")
B=$(<"$MADE/b.id") B_DIGEST=$(<"$MADE/b.digest")
# load_as LAYOUT NAME...
load_as() {
	local source=$1 name
	shift
	for name; do
		expect_exit 0 snap load "$MADE/$source" --ref "$name"
	done
}

table() {
	load_as a nginx
	load_as b localhost:5000/team/app:1.2
	expect_exit 0 snap images
	same 3 "$(wc -l <"$CASE/.stdout")"
	grep -E "nginx +latest .*${A:7:12}" "$CASE/.stdout" || fail_ "$OUT"
	grep -E "localhost:5000/team/app +1.2 .*${B:7:12}" "$CASE/.stdout" || fail_ "$OUT"
	expect_exit 0 snap images --digests
	[[ $OUT == *"$A_DIGEST"* && $OUT == *"$B_DIGEST"* ]] || fail_ "no digests: $OUT"
}
case_ "images prints a table with name, tag and ID; --digests adds the digests" table

documents() {
	expect_exit 0 snap --json images
	holds 'd == {"images": []}'
	load_as a nginx web:1
	load_as b b:1
	expect_exit 0 snap images --json
	holds 'list(d) == ["images"] and len(d["images"]) == 2'
	holds 'all(set(i) >= {"id", "digest", "references", "created", "size"} for i in d["images"])'
	holds "[i['id'] for i in d['images']] == ['$A', '$B']"
	holds "d['images'][0]['digest'] == '$A_DIGEST'"
	holds 'd["images"][0]["references"] == ["docker.io/library/nginx:latest", "docker.io/library/web:1"]'
	holds 'd["images"][1]["created"] == "2023-05-06T07:08:09Z"'
	holds 'all(isinstance(i["size"], int) and 0 < i["size"] < 100000 for i in d["images"])'
}
case_ "images --json: id, digest, references, created, size; the newest first" documents

names() {
	local name
	load_as a nginx example.org/x/y:z localhost:5000/app host/path:Tag_1
	for name in nginx nginx:latest library/nginx docker.io/nginx docker.io/library/nginx:latest \
		index.docker.io/library/nginx "nginx@$A_DIGEST" "docker.io/library/nginx:latest@$A_DIGEST" \
		example.org/x/y:z localhost:5000/app localhost:5000/app:latest host/path:Tag_1 \
		docker.io/host/path:Tag_1 "$A" "${A#sha256:}" "${A:0:11}" "${A:7:4}" "${A:7:12}"; do
		expect_exit 0 snap create --no-mount "$name"
	done
	for name in nginx:1 example.org/nginx localhost:5001/app host/path:tag_1 example.org/x/y \
		"nginx@$B_DIGEST" "${A:7:3}"; do
		expect_exit 3 snap create --no-mount "$name"
		one_line_error "$name"
	done
	for name in 'Nginx' 'a//b' ':x' 'a:b:c d' 'nginx:' "a:$(printf 'x%.0s' $(seq 129))" 'nginx@sha256:12' ''; do
		expect_exit 2 snap tag "$A" "$name"
		one_line_error
	done
}
case_ "names with and without registry, port, tag, digest; IDs and prefixes of 4 or more digits" names

ambiguous() {
	# Two images whose IDs start with the same four digits.
	layout <<-'END'
		seen, number = {}, 0
		while True:
		    image = Image([small_layer()], config={"Labels": {"n": str(number)}})
		    if image.id[:11] in seen:
		        break
		    seen[image.id[:11]], number = image, number + 1
		first = seen[image.id[:11]]
		Layout(first).write_dir("first")
		Layout(image).write_dir("second")
		at = next(n for n in range(7, 71) if first.id[n] != image.id[n])
		open("common", "w").write(image.id[7:at])
		open("unique", "w").write(image.id[7:at + 1])
	END
	expect_exit 0 snap load first --ref first
	expect_exit 0 snap create --no-mount "$(<common)"
	expect_exit 0 snap load second --ref second
	for command in "create --no-mount" rmi inspect; do
		# shellcheck disable=SC2086 # words are meant
		expect_exit "2 3" snap $command "$(<common)"
		one_line_error "$(<common)"
	done
	expect_exit 0 snap create --name one "$(<unique)"
	expect_exit 0 snap --json ls
	[[ $OUT == *"second"* || $OUT == *"$(<unique)"* ]] || fail_ "$OUT"
}
case_ "a prefix of two IDs is refused, one digit more finds the image" ambiguous

tagging() {
	load_as a nginx
	load_as b b:1
	expect_exit 0 snap tag nginx other.example/new
	expect_exit 0 snap tag "${A:7:8}" by-id:2
	expect_exit 0 snap --json images
	holds "[i for i in d['images'] if i['id'] == '$A'][0]['references'] == ['docker.io/library/by-id:2', 'docker.io/library/nginx:latest', 'other.example/new:latest']"
	expect_exit 0 snap tag b:1 nginx
	expect_exit 0 snap create --name moved nginx
	same b "$(<"$OUT/etc/word")"
	WORDS=(nothing)
	refused 3 snap tag nothing x:1
}
case_ "tag gives one more name, and moves a name that exists" tagging

remove_names() {
	load_as a one two
	expect_exit 0 snap rmi one
	[[ $OUT == *one* ]] || fail_ "it does not say what it took away: $OUT"
	expect_exit 0 snap create --no-mount --name c two
	expect_exit 0 snap rm c
	expect_exit 0 snap rmi two
	[[ $OUT == *"$A"* ]] || fail_ "it does not say what it deleted: $OUT"
	expect_exit 3 snap create two
	expect_exit 3 snap create "$A"
	expect_exit 0 snap --json images
	holds 'd["images"] == []'
	same "" "$(ls -A "$ROOT/layers")"
	same "" "$(ls -A "$ROOT/content/sha256")"
}
case_ "rmi takes a name; with the last one the image, its layers and blobs go" remove_names

remove_by_digest() {
	load_as a x.example/one:1 x.example/one:2 x.example/other:1
	digest=$(snap --json images | pick 'd["images"][0]["digest"]')
	expect_exit 3 snap rmi "x.example/on@$digest"
	expect_exit 0 snap rmi "x.example/one@$digest"
	[[ $OUT == *x.example/one:1*x.example/one:2* ]] || fail_ "it does not say what it took away: $OUT"
	expect_exit 0 snap --json images
	holds 'd["images"][0]["references"] == ["x.example/other:1"]'
	expect_exit 0 snap rmi "x.example/other@$digest"
	expect_exit 0 snap --json images
	holds 'd["images"] == []'
}
case_ "rmi NAME@DIGEST takes the names in that repository" remove_by_digest

remove_by_id() {
	load_as a one two
	expect_exit 4 snap rmi "$A"
	one_line_error
	expect_exit 0 snap rmi --force "$A"
	expect_exit 0 snap --json images
	holds 'd["images"] == []'
	load_as a one
	expect_exit 0 snap rmi "${A:7:12}"
	expect_exit 3 snap rmi one
	one_line_error one
}
case_ "rmi by ID: exit 4 with several names, --force takes all" remove_by_id

remove_used() {
	load_as a one
	expect_exit 0 snap create --name user one
	WORDS=(user)
	refused 4 snap rmi one
	refused 4 snap rmi "$A"
	expect_exit 0 snap rmi --force one
	same a "$(<"$ROOT/containers/user/rootfs/etc/word")"
	expect_exit 0 snap umount user
	expect_exit 0 snap mount user
	same a "$(<"$OUT/etc/word")"
	expect_exit 3 snap create one
	expect_exit 0 snap rm user
	# What the container held is garbage now, or an image without a name that rmi removes.
	snap rmi --force "$A" >/dev/null 2>&1 || :
	expect_exit 0 snap images
	same "" "$(ls -A "$ROOT/layers")"
}
case_ "rmi of an image in use is exit 4; --force takes the name, never the layers under a container" remove_used

shared_layers() {
	layout <<-'END'
		base = Layer(small_layer("base"))
		Layout(Image([base, [file("x", "x")]], names="x:1")).write_dir("x")
		Layout(Image([base, [file("y", "y")]], names="y:1")).write_dir("y")
	END
	expect_exit 0 snap load x
	expect_exit 0 snap load y
	expect_exit 0 snap rmi x:1
	expect_exit 0 snap create y:1
	same "base y" "$(echo $(cat "$OUT/etc/word" "$OUT/y"))"
	expect_exit 0 snap rm --all
	expect_exit 0 snap rmi y:1
	same "" "$(ls -A "$ROOT/layers")"
}
case_ "rmi keeps the layers that another image needs" shared_layers

ZEROS=sha256:$(printf '0%.0s' {1..64})
pinned_names() {
	layout "$A_DIGEST" <<-'END'
		import sys
		image, zeros = small_image("a"), "sha256:" + "0" * 64
		image.names = ["x@" + zeros, "y:1@" + zeros, "x@" + image.digest]
		assert image.digest == sys.argv[1]
		Layout(image).write_dir("pinned")
		image.names = image.names[:1]
		Layout(image).write_dir("foreign")
		docker_archive([image], "foreign.tar")
	END
	expect_exit 0 snap load pinned
	expect_exit 0 snap --json images
	holds "d['images'][0]['references'] == ['docker.io/library/x@$A_DIGEST']"
	for name in "x@$ZEROS" "y:1@$ZEROS"; do
		expect_exit 3 snap create --no-mount "$name"
		one_line_error "$name"
	done
	expect_exit 0 snap create --no-mount "x@$A_DIGEST"
	expect_exit 0 snap rmi --force "$A"
	for source in foreign foreign.tar; do
		expect_exit 0 snap load "$source"
		[[ $OUT != *"$ZEROS"* && $OUT == *"$A"* ]] || fail_ "$OUT"
		expect_exit 3 snap create --no-mount "x@$ZEROS"
		expect_exit 0 snap create --no-mount "$A"
	done
}
case_ "a name in an archive that is pinned to another digest than the image's is left out" pinned_names

pinned_by_user() {
	load_as a nginx
	WORDS=("$ZEROS" "$A_DIGEST")
	refused 2 snap tag nginx "x@$ZEROS"
	expect_exit 0 snap tag nginx "x:1@$A_DIGEST"
	expect_exit 0 snap create --no-mount "x:1@$A_DIGEST"
	expect_exit 0 snap load "$MADE/a" --ref "y@$A_DIGEST"
	expect_exit 0 snap create --name c nginx
	mkdir context
	tar -cf root.tar -C context .
	printf 'FROM nginx\nLABEL a=b\n' >context/Dockerfile
	WORDS=("$ZEROS")
	refused 2 snap load "$MADE/b" --ref "x@$ZEROS"
	refused 2 snap import root.tar "x@$ZEROS"
	refused 2 snap commit c "x@$ZEROS"
	expect_exit 2 snap build -t "x@$ZEROS" context
	expect_exit 0 snap --json images
	holds "len(d['images']) == 1 and not any('$ZEROS' in n for n in d['images'][0]['references'])"
}
case_ "tag, load --ref, import, commit and build -t give a pinned name to the image of that digest alone" pinned_by_user

several_at_once() {
	load_as a one
	load_as b two
	expect_exit 3 snap rmi one nothing two
	# The others are removed all the same, as docker does.
	same "Untagged: one:latest Untagged: two:latest" "$(echo $(grep Untagged <<<"$OUT"))"
	OUT=
	one_line_error nothing
}
case_ "rmi of several names one that is not there" several_at_once

inspecting() {
	load_as a nginx
	expect_exit 0 snap inspect nginx
	holds 'd'
	for word in "$A" "$A_DIGEST" docker.io/library/nginx:latest /bin/tool 2024-01-02T03:04:05Z amd64; do
		[[ $OUT == *"$word"* ]] || fail_ "no $word in: $OUT"
	done
	expect_exit 0 snap --json inspect nginx "$A"
	holds 'd'
}
case_ "inspect of an image shows ID, digest, names, config, platform" inspecting

information() {
	expect_exit 0 snap info
	[[ $OUT == *"$ROOT"* && $OUT == *"$BACKEND"* ]] || fail_ "$OUT"
	load_as a nginx
	expect_exit 0 snap --json info
	holds "'$ROOT' in json.dumps(d) and '$BACKEND' in json.dumps(d)"
	[[ $OUT == *"$(uname -r)"* ]] || fail_ "no kernel in: $OUT"
}
case_ "info: root, driver, kernel" information
