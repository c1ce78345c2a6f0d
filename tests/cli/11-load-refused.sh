#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# load of what is truncated, corrupt or mislabelled: exit 5, one line, and a store exactly as it was.
. "$(dirname "$0")/../lib.sh"

# Each line of $BAD/list: source, words the message must have, sentence; separated by tabs.
BAD=$WORK/bad
mkdir "$BAD"
layout "$BAD" <<'END'
import sys
top = sys.argv[1]
cases = []


def short(digest):
    return digest.partition(":")[2][:12]


def give(sentence, what, words=(), archive=True):
    """A case for a Layout: as a directory and as an archive, which takes another road."""
    name = f"{top}/{len(cases)}"
    what.write_dir(name)
    cases.append((name, words, sentence))
    if archive:
        what.write_archive(name + ".tar")
        cases.append((name + ".tar", words, sentence + ", in an archive"))


def image(**more):
    return small_image(names="bad:1", **more)


def bad_layer(sentence, **said):
    first = Layer(small_layer(), said.pop("how", "gzip"))
    layer = Layer([file("second", "x" * 5000)], said.pop("with_how", "gzip"))
    for key, value in said.items():
        setattr(layer, key, value(layer))
    # The blob's digest and size follow the blob unless it is they that are wrong.
    give(sentence, Layout(Image([first, layer], names="bad:1")), ["bad:1", short(layer.digest)])


def flipped(data, at=-20):
    data = bytearray(data)
    data[at] ^= 0x40
    return bytes(data)


def rebuilt(layer, blob):
    layer.blob, layer.digest, layer.size = blob, sha256(blob), len(blob)
    return blob


zeros = "sha256:" + "0" * 64
bad_layer("a layer blob that does not match its digest", stored=lambda l: flipped(l.blob))
bad_layer("a layer blob that is shorter than its size", stored=lambda l: l.blob[:-7])
bad_layer("a layer blob that is longer than its size", stored=lambda l: l.blob + b"more")
bad_layer("a layer whose size in the manifest is wrong", size=lambda l: l.size + 1)
bad_layer("a layer whose DiffID is another", diff_id=lambda l: zeros)
bad_layer("a gzip layer with bytes after the end mark that its DiffID leaves out",
          blob=lambda l: rebuilt(l, zip_member(l.tar + b"hidden")))
bad_layer("a plain layer whose DiffID is another", with_how="none", diff_id=lambda l: zeros)
bad_layer("a truncated gzip stream", blob=lambda l: rebuilt(l, l.blob[:-30]))
bad_layer("a gzip stream without its trailer", blob=lambda l: rebuilt(l, l.blob[:-8]))
bad_layer("a gzip stream with a wrong CRC", blob=lambda l: rebuilt(l, flipped(l.blob, -6)))
bad_layer("a gzip stream with rubbish after it", blob=lambda l: rebuilt(l, l.blob + b"rubbish"))
bad_layer("a truncated zstd stream", with_how="zstd", blob=lambda l: rebuilt(l, l.blob[:-9]))
bad_layer("a corrupt zstd stream", with_how="zstd", blob=lambda l: rebuilt(l, flipped(l.blob, 9)))
bad_layer("a layer blob that is empty", blob=lambda l: rebuilt(l, b""))


def bad_tar(sentence, stream, words=()):
    layer = Layer(stream)
    give(sentence, Layout(Image([small_layer(), layer], names="bad:1")),
         ["bad:1", short(layer.digest), *words])


bad_tar("a tar cut within a file's content",
        tar([file("whole", "x"), file("cut-here", "y" * 5000)])[:1024 + 512 + 700], ["cut-here"])
bad_tar("a tar cut within a header", tar([file("whole", "x"), file("cut", "y")])[:1024 + 200])
bad_tar("a tar with a wrong header checksum", tar([file("whole", "x"), entry("wrong", checksum=1)]))
bad_tar("a layer that is no tar", b"this is no tar archive at all\n" * 100)

one = image()
one.stored_manifest = flipped(one.manifest, 30)
give("a manifest that does not match its digest", Layout(one), ["bad:1"])
one = image()
layout = Layout(one)
layout.index["manifests"][0]["size"] += 1
give("a manifest whose size in the index is wrong", layout, ["bad:1"])
one = image()
one.stored_config = flipped(one.config, 30)
give("a config that does not match its digest", Layout(one), ["bad:1"])
give("a config whose size in the manifest is wrong", Layout(image(
    edit_manifest=lambda m: m["config"].update(size=m["config"]["size"] - 1))), ["bad:1"])

one = image()
layout = Layout(one)
del layout.blobs[one.layers[1].digest]
give("a layer blob that is not there", layout, ["bad:1", short(one.layers[1].digest)])
layout = Layout(image())
del layout.blobs[layout.images[0].config_digest]
give("a config that is not there", layout, ["bad:1"])
layout = Layout(image())
del layout.blobs[layout.images[0].digest]
give("a manifest that is not there", layout, ["bad:1"])

give("an image without layers", Layout(Image([], names="bad:1")), ["bad:1", "layer"])
give("more DiffIDs than layers", Layout(image(
    edit_config=lambda c: c["rootfs"]["diff_ids"].append(zeros))), ["bad:1"])
give("fewer DiffIDs than layers", Layout(image(
    edit_config=lambda c: c["rootfs"]["diff_ids"].pop())), ["bad:1"])
give("DiffIDs that are not a list", Layout(image(
    edit_config=lambda c: c["rootfs"].update(diff_ids="sha256:x"))), ["bad:1"])
give("a config without a rootfs", Layout(image(edit_config=lambda c: c.pop("rootfs"))), ["bad:1"])
for wrong in ("sha256:../../../../etc/passwd", "sha256:short", "md5:" + "0" * 32, "", "../x",
              "sha256:" + "A" * 64, "sha256:" + "0" * 64 + "/../x"):
    give(f"a layer digest {wrong!r:.40}", Layout(image(
        edit_manifest=lambda m: m["layers"][0].update(digest=wrong))), ["bad:1"])
layout = Layout(image())
layout.index["manifests"][0]["digest"] = "sha256:../../index.json"
give("a manifest digest that is a path", layout)
give("a negative size", Layout(image(edit_manifest=lambda m: m["layers"][0].update(size=-1))),
     ["bad:1"])
give("a size that is no number", Layout(image(
    edit_manifest=lambda m: m["config"].update(size="12"))), ["bad:1"])
give("a layer that is no object", Layout(image(
    edit_manifest=lambda m: m["layers"].append("layer"))), ["bad:1"])
give("one document that is both an index and a manifest", Layout(image(
    edit_manifest=lambda m: m.update(manifests=[]))), ["bad:1"])

one = image()
one.manifest = one.manifest[:-1]
one.digest = sha256(one.manifest)
give("a manifest that is not JSON", Layout(one), ["bad:1"])
give("a manifest of more than 4 MiB", Layout(image(
    edit_manifest=lambda m: m.update(annotations={"x": "y" * (5 << 20)}))), ["bad:1"])
layout = Layout(image(edit_manifest=lambda m: m.update(annotations={"x": "y" * ((4 << 20) - 2000)})))
layout.index["manifests"] = [dict(layout.index["manifests"][0], annotations={
    "org.opencontainers.image.ref.name": f"localhost/bad:{n}"}) for n in range(20)]
give("twenty names of one manifest of 4 MiB", layout, ["bytes of documents in all"])
give("a config of more than 4 MiB", Layout(image(
    edit_config=lambda c: c.update(author="y" * (5 << 20)))), ["bad:1"])
layout = Layout(image())
layout.files["index.json"] = b"[" * 100000
give("an index.json nested a hundred thousand deep", layout)
layout = Layout(image())
layout.files["index.json"] = b"{}"
give("an index.json without manifests", layout)
layout = Layout(image())
layout.files["oci-layout"] = b'{"imageLayoutVersion":"9.0.0"}'
give("a layout of an unknown version", layout)
# Two images, the second bad: none comes in.
bad = small_image("other", names="bad:2")
bad.layers[1].diff_id = zeros
bad = Image(bad.layers, names="bad:2")
give("a good image beside a bad one does not come in", Layout([image(), bad]), ["bad:2"])


def give_file(sentence, data, words=()):
    name = f"{top}/{len(cases)}.tar"
    write(name, data)
    cases.append((name, words, sentence))


def bytes_of(how="none", **more):
    Layout(image()).write_archive(top + "/scratch", how, **more)
    data = open(top + "/scratch", "rb").read()
    return data


give_file("an empty file", b"")
give_file("a text file", b"hello, I am no archive\n" * 1000)
give_file("zeros", b"\0" * 100000)
give_file("a tar that holds no image", tar([file("hello", "x")]))
give_file("half of an archive", bytes_of()[:len(bytes_of()) // 2])
for how in ("gzip", "zstd", "xz", "bzip2"):
    data = bytes_of(how)
    give_file(f"a truncated archive compressed with {how}", data[:len(data) - 40])
    give_file(f"a corrupt archive compressed with {how}",
              data[:len(data) // 2] + b"\xff\x00" * 20 + data[len(data) // 2 + 40:])


def give_docker(sentence, images, words=(), **more):
    name = f"{top}/{len(cases)}.tar"
    docker_archive(images, name, **more)
    cases.append((name, words, sentence))


one = image(how="none")
one.layers[1].stored = flipped(one.layers[1].tar, 600)
give_docker("a docker-archive whose layer does not match its DiffID", [one],
            ["bad:1", short(one.layers[1].diff_id)])
one = image(how="none")
one.stored_config = flipped(one.config, 30)
give_docker("a docker-archive whose config does not match its name", [one], ["bad:1"])


def drop(files, suffix):
    for name in [name for name in files if name.endswith(suffix)][:1]:
        del files[name]


give_docker("a docker-archive without a layer that it names", [image(how="none")], ["bad:1"],
            edit=lambda files: drop(files, "/layer.tar"))
give_docker("a docker-archive without the config that it names", [image(how="none")], (),
            edit=lambda files: drop(files, image().config_digest[7:] + ".json"))


def redirected(files, target):
    name = [name for name in files if name.endswith("/layer.tar")][0]
    files[name] = b"-> " + target


for target in (b"/etc/passwd", b"../../../../../../../../etc/passwd", b"layer.tar"):
    give_docker(f"a docker-archive whose layer is a symlink to {target.decode()}",
                [image(how="none")], (), edit=lambda files: redirected(files, target))
give_docker("a docker-archive of 10,001 images that are one", [image(how="none")], ["more than 10000 images"],
            edit=lambda files: files.update({"manifest.json": json.dumps(10001 * json.loads(files["manifest.json"])).encode()}))
give_docker("a docker-archive that names a layer outside of itself", [image(how="none")], (),
            edit=lambda files: files.update({"manifest.json": json.dumps([
                {"Config": image().config_digest[7:] + ".json", "RepoTags": ["bad:1"],
                 "Layers": ["../../../etc/passwd", "/etc/passwd"]}]).encode()}))
os.unlink(top + "/scratch")
with open(top + "/list", "w") as out:
    for name, words, sentence in cases:
        print(name, ",".join(words) or "-", sentence, sep="\t", file=out)
END

# The store that nothing bad may change: an image, and a container of it.
STORE=$WORK/store
[ "$BACKEND" != btrfs ] || STORE=$STAGE/store
layout "$WORK" <<'END'
import sys
Layout(small_image("good", names="good:1")).write_dir(sys.argv[1] + "/good")
END
prepare() {
	ROOT=$STORE
	expect_exit 0 snap load "$WORK/good"
	expect_exit 0 snap create --no-mount --name before good:1
}
case_ "a store with an image and a container, for the rest" prepare

bad() {
	local source=$1
	ROOT=$STORE
	WORDS=()
	[ "$2" = - ] || IFS=, read -r -a WORDS <<<"$2"
	refused 5 snap load "$source"
	if [ -f "$source" ]; then
		refused 5 snap load - < <(cat "$source")
	fi
}
while IFS=$'\t' read -r source words sentence; do
	case_ "refused: $sentence" bad "$source" "$words"
done <"$BAD/list"

limits() {
	ROOT=$STORE
	layout <<-'END'
		Layout(Image([[directory("d")] + [file(f"d/{n}", "x" * 1000) for n in range(100)]],
		             names="limit:1")).write_dir("limit")
		# Two gigabytes of zeros in some kilobytes.
		import subprocess
		bomb = header("zeros", size=2 << 30)
		process = subprocess.Popen("(cat; head -c 2147483648 /dev/zero) | zstd -q -c", shell=True,
		                           stdin=subprocess.PIPE, stdout=subprocess.PIPE)
		blob = process.communicate(bomb)[0]
		layer = Layer(b"", "zstd", blob=blob)
		layer.media = MEDIA["oci"]["zstd"]
		Layout(Image([layer], names="bomb:1")).write_dir("bomb")
	END
	WORDS=(limit:1)
	refused 5 snap load --max-entries 50 limit
	refused 5 snap load --max-bytes 50k limit
	expect_exit 0 snap load --max-entries 101 --max-bytes 1M limit
	expect_exit 0 snap rmi limit:1
	WORDS=(bomb:1)
	refused 5 snap load --max-bytes 10M bomb
	refused 5 snap load bomb
}
case_ "refused: a layer past the limits of entries, bytes and expansion" limits

known_parts() {
	layout <<-'END'
		def liar(edit, name, **more):
		    return small_image(names=name, edit_manifest=edit, **more)
		honest = small_image(names="known:1")
		Layout(honest).write_dir("known")
		def swapped(m):
		    m["layers"].reverse()
		def larger(m):
		    m["layers"][0]["size"] += 1
		for name, edit in (("swapped", swapped), ("larger", larger)):
		    bad = liar(edit, "bad:1")
		    Layout(bad).write_dir(name)
		    Layout(bad).write_archive(name + ".tar")
		    Layout([honest, bad]).write_dir(name + "-beside")
	END
	cp -r known whole
	WORDS=(bad:1)
	for options in "" --discard-blobs; do
		# What is alone is refused, and so is what comes beside the truth, or after it.
		ROOT=$CASE/empty$options
		for name in swapped larger swapped-beside larger-beside; do
			# shellcheck disable=SC2086 # words are meant
			refused 5 snap load $options "$name"
		done
		# shellcheck disable=SC2086 # words are meant
		expect_exit 0 snap load $options known
		for name in swapped larger swapped.tar larger.tar swapped-beside larger-beside; do
			# shellcheck disable=SC2086 # words are meant
			refused 5 snap load $options "$name"
			# shellcheck disable=SC2086 # words are meant
			[[ $name != *.tar ]] || refused 5 snap load $options - < <(cat "$name")
		done
		# What is known needs not be read again: the blobs may be gone from the source.
		rm known/blobs/sha256/"$(pick 'd["layers"][0]["digest"].split(":")[1]' <"known/blobs/sha256/$(
			pick 'd["manifests"][0]["digest"].split(":")[1]' <known/index.json)")"
		# shellcheck disable=SC2086 # words are meant
		expect_exit 0 snap load $options known
		rm -r known
		cp -r whole known
	done
}
case_ "refused: known blobs, paired with known layers that they are not, or called larger" known_parts

missing_source() {
	ROOT=$STORE
	WORDS=(no-such-file)
	refused 3 snap load no-such-file
}
case_ "a source that is not there is exit 3" missing_source

no_layout() {
	ROOT=$STORE
	mkdir empty
	refused 5 snap load empty
	refused 5 snap load - </dev/null
}
case_ "a directory that is no layout, and an empty standard input, are refused" no_layout

json_error() {
	ROOT=$STORE
	first=$(head -n 1 "$BAD/list" | cut -f 1)
	expect_exit 5 snap --json load "$first"
	cat "$CASE/.stdout" "$CASE/.stderr" | pick '[d["error"]["code"], d["error"]["message"]]' >answer ||
		fail_ "no error object: $OUT$ERR"
	grep -q 'bad:1' answer || fail_ "the message does not name the image: $(<answer)"
}
case_ "with --json an error is an object" json_error

usage_errors() {
	local arguments
	ROOT=$STORE
	while read -r arguments; do
		# shellcheck disable=SC2086 # words are meant
		expect_exit 2 snap $arguments
		[ -n "$ERR" ] || fail_ "nothing said about: $arguments"
	done <<-'END'
		nonsense
		load
		load --no-such-flag x
		load a b
		create
		import x
		tag good:1
		rm
		rmi
		mount
		--no-such-flag images
		load --ref
	END
}
case_ "wrong usage is exit 2" usage_errors
