#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# load of what was made to harm: documents that go in circles, layouts that lead to the host, names that
# would be options. Each is exit 5 with one line, and changes nothing in the store and nothing outside of it.
# Bombs are in 24-bombs.sh, hostile layers in tests/corpus/refused, what is broken in 11-load-refused.sh, registries that lie in
# 16-pull-refused.sh, a hostile passwd, group, /etc and /dev in 40-bundle.sh.
. "$(dirname "$0")/../lib.sh"

# ---- documents ------------------------------------------------------------------------------------

# Each line of $BAD/list: source, words the message must have, sentence; separated by tabs.
BAD=$WORK/bad
mkdir "$BAD"
layout "$BAD" <<'END'
import sys
top = sys.argv[1]
cases = []


def give(sentence, what, words=("bad:1",), archive=True):
    name = f"{top}/{len(cases)}"
    what.write_dir(name)
    cases.append((name, words, sentence))
    if archive:
        what.write_archive(name + ".tar")
        cases.append((name + ".tar", words, sentence + ", in an archive"))


def image(**more):
    return small_image(names="bad:1", **more)


def texts(sentence, words=("bad:1",), manifest=None, config=None, index=None, archive=False):
    """Documents as text: each function gets the good one and gives the bad one."""
    one = image()
    if config:
        one.config = config(one.config.decode()).encode()
        one.config_digest = sha256(one.config)
        one.manifest_document["config"].update(digest=one.config_digest, size=len(one.config))
        one.manifest = json.dumps(one.manifest_document).encode()
    if manifest:
        one.manifest = manifest(one.manifest.decode()).encode()
    one.digest = sha256(one.manifest)
    layout = Layout(one)
    if index:
        layout.files["index.json"] = index(json.dumps(layout.index)).encode()
    give(sentence, layout, words, archive)


def member(key, value):
    """One more member, after the others."""
    return lambda text: text.rstrip()[:-1] + f', "{key}": {value}' + "}"


deep = "[" * 100000 + "]" * 100000
texts("a manifest nested a hundred thousand deep", manifest=member("x", deep))
texts("a config nested a hundred thousand deep", config=member("x", deep))
texts("a manifest nested 200 deep", manifest=member("x", '{"x":' * 200 + "1" + "}" * 200), archive=True)
texts("an index.json with a key twice", (), index=member("manifests", "[]"), archive=True)
texts("a manifest with a key twice", manifest=member("layers", "[]"), archive=True)
texts("a config with a key twice", config=member("rootfs", '{"type":"layers","diff_ids":[]}'), archive=True)
texts("a config with something behind it", config=lambda text: text + "{}")
texts("a manifest with half a surrogate", manifest=lambda text: text.replace("application", "\\ud800", 1))
texts("a NUL in a media type", manifest=lambda text: text.replace("application", "\\u0000", 1))
texts("a number past what a double holds", config=member("x", "1e999"))

for size in (2 ** 53 + 1, 2 ** 63, 2 ** 64, 1.5, 1e300, True, [1], {}):
    give(f"a size of {size}", Layout(image(edit_manifest=lambda m: m["config"].update(size=size))), archive=False)
for key, wrong in (("layers", {}), ("layers", "sha256:x"), ("layers", 7), ("config", []), ("config", "x")):
    give(f"{key} of a manifest: {wrong!r}", Layout(image(edit_manifest=lambda m: m.update({key: wrong}))), archive=False)
for key, wrong in (("mediaType", 7), ("mediaType", []), ("digest", {}), ("digest", 7)):
    give(f"{key} of a layer: {wrong!r}", Layout(image(edit_manifest=lambda m: m["layers"][0].update({key: wrong}))),
         archive=False)
for key, wrong in (("os", 7), ("architecture", []), ("created", "soon"), ("created", 7), ("rootfs", []), ("rootfs", "x")):
    give(f"{key} of a config: {wrong!r}", Layout(image(edit_config=lambda c: c.update({key: wrong}))), archive=False)
for wrong in (7, None, {}, ["sha256:x"]):
    give(f"a DiffID: {wrong!r}", Layout(image(edit_config=lambda c: c["rootfs"]["diff_ids"].__setitem__(0, wrong))),
         archive=False)
for key, wrong in (("annotations", []), ("annotations", {"org.opencontainers.image.ref.name": 7}), ("digest", None)):
    layout = Layout(image())
    layout.index["manifests"][0][key] = wrong
    give(f"{key} in an index.json: {wrong!r}", layout, (), archive=False)

for algorithm in ("sha512", "sha384", "md5", "blake3"):
    def rename(m):
        data = b"x" * 64
        m["layers"][0]["digest"] = algorithm + ":" + (
            hashlib.new(algorithm, data).hexdigest() if algorithm != "blake3" else "0" * 64)
    give(f"a layer digest of {algorithm}", Layout(image(edit_manifest=rename)))
for media in ("text/html", "application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.plugin.v1+json",
              "application/vnd.oci.image.layer.v1.tar+gzip+encrypted", "\n"):
    give(f"a layer of media type {media!r}", Layout(image(edit_manifest=lambda m: m["layers"][1].update(mediaType=media))))

# An index that contains itself cannot have the digest that it names; deep ones end.
layout = Layout(image())
zeros = "sha256:" + "0" * 64
itself = json.dumps({"schemaVersion": 2, "manifests": [{"digest": zeros, "size": 0}]}).encode()
layout.blobs[zeros] = itself.replace(b'"size": 0', b'"size": %d' % (len(itself) + 2))
layout.index["manifests"] = [{"digest": zeros, "size": len(layout.blobs[zeros])}]
give("an index that contains itself", layout, ())
nested = image()
for _ in range(100):
    nested = Index([nested], platform=False)
nested.names = ["bad:1"]
give("a hundred indexes, each in the next", Layout(nested))

million = b'{"schemaVersion":2,"%s":[' + b",".join([b"{}"] * 1000000) + b"]%s}"
layout = Layout(image())
layout.files["index.json"] = million % (b"manifests", b"")
give("an index.json of a million manifests", layout, ())
one = image()
one.manifest = million % (b"manifests", b"")
one.digest = sha256(one.manifest)
give("an index of a million manifests", Layout(one))
one = image()
one.manifest = million % (b"layers", b',"config":' + json.dumps(one.manifest_document["config"]).encode())
one.digest = sha256(one.manifest)
give("a manifest of a million layers", Layout(one))
one = image()
layout = Layout(one)
layout.index["manifests"] *= 20000
give("an index.json that names one image 20,000 times", layout, (), archive=False)

for sentence, name in (("of a million characters", "x/" + "y" * 1000000), ("that climbs", "../../../etc/x:1"),
                       ("with a newline", "x/y:1\nz"), ("with options in it", "x/y,upperdir=/:1"),
                       ("with an escape", "x/\x1b[2J:1"), ("of slashes", "/" * 5000)):
    give("a name " + sentence, Layout(small_image(names=name)), ())


def give_docker(sentence, manifest, files=None):
    one = image(how="none")
    name = f"{top}/{len(cases)}"
    for path, data in {"config.json": one.config, "a.tar": one.layers[0].tar, "b.tar": one.layers[1].tar,
                       "../outside.json": one.config, "../outside.tar": one.layers[0].tar,
                       "manifest.json": json.dumps([{"Config": "config.json", "RepoTags": ["bad:1"],
                                                     "Layers": ["a.tar", "b.tar"], **manifest}]).encode(),
                       **(files or {})}.items():
        write(f"{name}/{path}", data)
    cases.append((name, (), sentence))


give_docker("manifest.json of a directory names a config above it", {"Config": "../outside.json"})
give_docker("manifest.json of a directory names a layer above it", {"Layers": ["../outside.tar", "b.tar"]})
give_docker("manifest.json of a directory names an absolute config", {"Config": top + "/outside.json"})
give_docker("manifest.json of a directory names an absolute layer", {"Layers": [top + "/outside.tar", "b.tar"]})
give_docker("manifest.json of a directory names a directory", {"Layers": [".", "b.tar"]})
give_docker("manifest.json of a directory names nothing", {"Layers": ["", "b.tar"]})
give_docker("manifest.json of a directory names what has no end", {"Config": "c" * 5000})
give_docker("manifest.json whose tag is no name", {"RepoTags": ["../../x"]})
give_docker("manifest.json whose tags are no list", {"RepoTags": "bad:1"})
give_docker("manifest.json whose tag is a number", {"RepoTags": [7]})
with open(top + "/list", "w") as out:
    for name, words, sentence in cases:
        print(name, ",".join(words) or "-", sentence.encode("unicode_escape").decode()[:150], sep="\t", file=out)
END

# The store that nothing bad may change: an image, and a container of it.
STORE=$STAGE/store
layout "$WORK" <<'END'
import sys
Layout(small_image("good", names="good:1")).write_dir(sys.argv[1] + "/good")
Layout(small_image("other", names="other:1")).write_dir(sys.argv[1] + "/other")
END
prepare() {
	ROOT=$STORE
	expect_exit 0 snap load "$WORK/good"
	expect_exit 0 snap create --no-mount --name before good:1
	store_snapshot "$WORK/before"
}
case_ "a store with an image and a container, for the rest" prepare

# As refused(); that the store is as it was is seen at the end, for all of them at once.
quickly() {
	local code=$1
	shift
	SNAP_TIMEOUT=20 expect_exit "$code" "$@"
	one_line_error ${WORDS[@]+"${WORDS[@]}"}
}
unchanged() {
	ROOT=$STORE
	store_snapshot after
	diff -u "$WORK/before" after || fail_ "the store has changed"
}
bad() {
	ROOT=$STORE
	WORDS=()
	[ "$2" = - ] || IFS=, read -r -a WORDS <<<"$2"
	quickly 5 snap load "$1"
	[ ! -f "$1" ] || quickly 5 snap load - < <(cat "$1")
}
while IFS=$'\t' read -r source words sentence; do
	case_ "refused: $sentence" bad "$source" "$words"
done <"$BAD/list"
case_ "none of these documents has changed the store" unchanged

# ---- layouts whose files are none -------------------------------------------------------------------

# no_file KIND: in turn, a layer, the config, the manifest, index.json and oci-layout are something else.
no_file() {
	local kind=$1 name copy=0 kept
	ROOT=$STORE
	for name in "$WORK"/other/blobs/sha256/* "$WORK"/other/{index.json,oci-layout}; do
		copy=$((copy + 1))
		cp -r "$WORK/other" $copy
		name=$copy/${name#"$WORK/other/"}
		kept=$CASE/kept.$copy
		mv "$name" "$kept"
		case $kind in
		symlink) ln -s "$kept" "$name" ;;
		inside) cp "$kept" $copy/blobs/other && ln -s "$([[ $name != */blobs/* ]] && echo blobs || echo ..)/other" "$name" ;;
		dangling) ln -s /nowhere/at/all "$name" ;;
		loop) ln -s "${name##*/}" "$name" ;;
		proc) ln -s /proc/self/environ "$name" ;;
		fifo) mkfifo "$name" ;;
		directory) mkdir "$name" ;;
		device) mknod "$name" c 1 5 ;;
		socket) "$PYTHON" -c 'import os, socket, sys; os.chdir(sys.argv[1]); socket.socket(socket.AF_UNIX).bind("s")' "${name%/*}" &&
			mv "${name%/*}/s" "$name" ;;
		esac
		quickly 5 snap load $copy
	done
	[ $copy -ge 6 ] || fail_ "only $copy files in the layout"
}
for kind in symlink inside dangling loop proc fifo directory device socket; do
	case_ "refused: a layout whose blobs and documents are each a $kind" no_file $kind
done
case_ "none of these layouts has changed the store" unchanged

linked_directory() {
	ROOT=$STORE
	for part in blobs blobs/sha256; do
		rm -rf lay away
		cp -r "$WORK/other" lay
		mv lay/$part away
		ln -s "$CASE/away" lay/$part
		refused 5 snap load lay
	done
	# Where the user's own path goes through a symlink, that is the user's business.
	cp -r "$WORK/other" real
	ln -s real link
	expect_exit 0 snap load link
}
case_ "refused: a layout whose blobs/ is a symlink; the layout itself may be one" linked_directory

# ---- names that would be options ----------------------------------------------------------------------

options_in_config() {
	ROOT=$STORE
	layout <<-'END'
		evil = "x,upperdir=/etc,lowerdir=/:workdir=/tmp,redirect_dir=on"
		image = Image([[file("etc/passwd", "root:x:0:0::/:\n"), file("own", "x")]],
		    names="evil:1", config={"Cmd": ["/x"], "Labels": {evil: evil, "containerd.io/snapshot/overlay.upper": evil},
		        "WorkingDir": "/" + evil, "Volumes": {"/" + evil: {}}, "Env": [evil + "=" + evil]},
		    edit_config=lambda c: c.update(author=evil, os=evil, architecture=evil, variant=evil,
		        **{"os.version": evil, "mount": evil}))
		Layout(image).write_dir("evil")
	END
	expect_exit 0 snap load evil
	expect_exit 0 snap create --name evil --bundle bundle evil:1
	same "etc own" "$(ls "$OUT" | xargs)"
	! grep -F " $OUT " /proc/self/mountinfo | has -E 'redirect_dir=on|upperdir=/etc|lowerdir=/:' ||
		fail_ "$(grep -F " $OUT " /proc/self/mountinfo)"
	python - bundle/config.json <<-'END'
		import json, sys
		mounts = json.load(open(sys.argv[1]))["mounts"]
		assert mounts and "upperdir" not in json.dumps(mounts), mounts
	END
	expect_exit 0 snap rm evil
	expect_exit 0 snap rmi evil:1
}
case_ "what an image config says becomes no option of a mount" options_in_config

names() {
	local name
	ROOT=$STORE
	for name in 'a,upperdir=b' a:b ../x ../../x /x . .. -x '' $'a\nb' 'a b' 'a\b' 'a=b' "$(printf 'x%.0s' {1..129})"; do
		quickly 2 snap create "--name=$name" good:1
	done
	for name in "$(printf 'x%.0s' {1..100000})" ../../x 'x,lowerdir=/' $'x\ny'; do
		quickly 2 snap tag good:1 "$name"
		quickly 2 snap load --ref "$name" "$WORK/good"
	done
	refused 2 snap create --name ../../x good:1
}
case_ "names of containers and images that climb, end a line or are options are wrong usage" names

users() {
	local user
	ROOT=$STORE
	for user in ../../x 0:../../x $'root\nx' 'root:x:0' 4294967296 "$(printf 'x%.0s' {1..10000})"; do
		layout "$user" <<-'END'
			import sys
			Layout(small_image(names="user:1", edit_config=lambda c: c["config"].update(User=sys.argv[1]))).write_dir("user")
		END
		expect_exit 0 snap load user
		refused 5 snap create --name one --bundle bundle user:1
		[ ! -e bundle/config.json ] || fail_ "a config.json was left"
		rm -rf user
		expect_exit 0 snap rmi user:1
	done
}
case_ "a User that is a path, or a number out of range, is refused" users

# ---- somebody else's hands ------------------------------------------------------------------------------

# While a layer is written, a second process puts symlinks to the host in place of its directories, and back
# (containerd CVE-2025-47290). Whatever comes of the load, the host is as it was.
swapped() {
	local before tries=0 swaps
	mkdir -p host/dir
	echo "the host's own" >host/file
	echo "the host's own" >host/dir/file
	before=$(treedump host)
	layout <<-'END'
		layer = [directory("d")]
		for n in range(2000):
		    layer += [directory("d/dir", mode=0o777), file("d/dir/file", str(n)), symlink("d/dir/link", "file"),
		              hardlink("d/dir/hard", "d/dir/file"), whiteout("d/dir/gone")]
		Layout(Image([layer], names="swap:1", how="none")).write_dir("lay")
	END
	"$PYTHON" - "$ROOT" "$CASE/host" <<-'END' &
		import glob, os, sys, time
		root, host = sys.argv[1:]
		swaps = 0
		end = time.time() + 30
		while time.time() < end and not os.path.exists("done"):
		    for name in glob.glob(root + "/staging/*/*/**/d/dir", recursive=True) + glob.glob(root + "/staging/*/*/**/d", recursive=True):
		        try:
		            os.rename(name, name + ".away")
		            os.symlink(host + ("/dir" if name.endswith("dir") else ""), name)
		            time.sleep(0.0005)
		            os.unlink(name)
		            os.rename(name + ".away", name)
		            swaps += 1
		        except OSError:
		            pass
		open("swaps", "w").write(str(swaps))
	END
	while [ $tries -lt 3 ]; do
		tries=$((tries + 1))
		expect_exit "0 1 5" snap load lay
		same "$before" "$(treedump host)"
		snap rmi swap:1 >/dev/null 2>&1 || :
	done
	touch done
	wait $!
	swaps=$(<swaps)
	[ "$swaps" -ge 5 ] || fail_ "swapped only $swaps times"
	same "$before" "$(treedump host)"
}
case_ "directories that are swapped for symlinks while a layer is written lead nowhere" swapped
