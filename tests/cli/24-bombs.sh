#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# load of little that wants much: of memory, of disk, of time. Each is refused in little of all three, or works.
. "$(dirname "$0")/../lib.sh"

STORE=$STAGE/store

# peak COMMAND...: its peak of resident memory in kB goes to the file `peak`. Sanitizers need more for themselves.
peak() {
	python -c '
import resource, subprocess, sys
status = subprocess.call(sys.argv[1:])
open("peak", "w").write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(status)' "$@"
}
# bombs NAME...: each layout is refused within 64 MB of memory; more options in OPTIONS.
OPTIONS=()
bombs() {
	local name
	ROOT=$STORE
	for name; do
		WORDS=("$name:1")
		SNAP_TIMEOUT=120 refused 5 peak "$SNAPDRV" --root "$ROOT" load "${OPTIONS[@]}" "$name"
		[[ $SNAPDRV == */asan/* ]] || [ "$(<peak)" -le 65536 ] || fail_ "$name took $(<peak) kB"
	done
}

windows() {
	layout <<-'END'
		# A zstd frame (RFC 8878, 3.1.1) whose window is of 2^31 and of 2^41 bytes; one raw block.
		for name, window in (("two-gigabytes", 21 << 3), ("terabytes", 31 << 3)):
		    blob = b"\x28\xb5\x2f\xfd" + bytes([0, window]) + (1 | 1024 << 3).to_bytes(3, "little") + bytes(1024)
		    layer = Layer(bytes(1024), "zstd", blob=blob)
		    Layout(Image([layer], names=name + ":1")).write_dir(name)
		# A frame that says it holds 2^62 bytes, in one piece: the window is that large.
		blob = b"\x28\xb5\x2f\xfd" + bytes([0xe0]) + (1 << 62).to_bytes(8, "little") + (1 | 1024 << 3).to_bytes(3, "little") + bytes(1024)
		Layout(Image([Layer(bytes(1024), "zstd", blob=blob)], names="single:1")).write_dir("single")
	END
	bombs two-gigabytes terabytes single
}
case_ "refused: zstd frames that want a window of gigabytes, in little memory" windows

dictionaries() {
	layout <<-'END'
		import lzma
		stream = tar([file("x", "x" * 100)])
		# An xz stream whose block says that its dictionary has 64 MiB, 128, 192, 1536, 4096 (the xz file format, 5.3.1).
		def xz(code):
		    blob = bytearray(lzma.compress(stream, preset=0))
		    end = 12 + 4 * blob[12]
		    assert blob[14:16] == b"\x21\x01", blob
		    blob[16] = code
		    blob[end:end + 4] = zlib.crc32(blob[12:end]).to_bytes(4, "little")
		    return bytes(blob)
		large = {"half": xz(28), "most": xz(30), "more": xz(31), "gigabytes": xz(37), "all": xz(40),
		         "second": xz(28) + bytes(8) + xz(37), "cut": xz(28)[:-5], "behind": xz(28) + b"rubbish"}
		for name, blob in large.items():
		    layer = Layer(stream, "gzip", blob=blob)
		    Layout(Image([layer], names=name + ":1")).write_dir(name)
	END
	bombs more gigabytes all second
	[[ $ERR == *"a dictionary of more than 128 MiB" ]] || fail_ "$ERR"
	bombs cut behind
	expect_exit 0 snap load half
	expect_exit 0 snap load most
	expect_exit 0 snap rmi half:1 most:1
}
case_ "refused: xz streams that want a dictionary of gigabytes; 128 MiB are let pass" dictionaries

expanding() {
	layout <<-'END'
		# 8 GiB of zeros as a file: members of 16 MiB, the same one again and again.
		size = 8 << 30
		member = zip_member(bytes(16 << 20))
		for name, head in (("file", header("zeros", size=base256(size, 12), format="gnu")), ("behind", bytes(1024))):
		    layer = Layer(b"", "gzip", blob=zip_member(head) + member * 512)
		    Layout(Image([layer], names=name + ":1")).write_dir(name)
	END
	OPTIONS=(--max-bytes 100M)
	bombs file behind
}
case_ "refused: a gzip bomb, in a file and behind the end mark, past the limit of bytes" expanding

extended_header() {
	layout <<-'END'
		# A gigabyte of one PAX record, of a GNU long name, of a global header: in a megabyte of gzip.
		member = zip_member(b"x" * (16 << 20))
		for name, type in (("record", b"x"), ("long-name", b"L"), ("long-link", b"K"), ("global", b"g")):
		    head = header("PaxHeaders/x", type, 1 << 30) + (b"1073741824 path=" if type in b"xg" else b"")
		    layer = Layer(b"", "gzip", blob=zip_member(head) + member * 64)
		    Layout(Image([layer], names=name + ":1")).write_dir(name)
	END
	bombs record long-name long-link global
}
case_ "refused: a PAX header of a gigabyte, a long name and a long link target of one, in little memory" extended_header

entries() {
	layout <<-'END'
		# More than 10^7 entries; names that are skipped, so that it is the reading that is measured.
		chunk = b"".join(entry(f".wh..wh.{n % 10}") for n in range(20000))
		layer = Layer(b"", "gzip", blob=zip_member(chunk) * 501)
		Layout(Image([layer], names="entries:1")).write_dir("entries")
	END
	bombs entries
	[[ $ERR == *"10000000 entries"* ]] || fail_ "$ERR"
}
case_ "refused: a layer of more than ten million entries, without an option" entries

implied() {
	ROOT=$STORE
	layout <<-'END'
		# A name of 4095 bytes leads through 2046 directories; another one each time.
		layer = [file(f"{n:02}/" + "a/" * 2045 + "ff", "") for n in range(60)]
		Layout(Image([layer], names="implied:1")).write_dir("implied")
		Layout(Image([layer[:1]], names="implied:1")).write_dir("one")
	END
	WORDS=(implied:1 "'00/a/a" "more than 100 directories that no entry names")
	refused 5 snap load --max-entries 100 implied
	expect_exit 0 snap load --max-entries 2046 one
	expect_exit 0 snap rmi implied:1
}
case_ "refused: directories that no entry names, past the limit of entries" implied

# user_time COMMAND...: its milliseconds in the program, without the kernel's, go to the file `user`.
user_time() {
	python -c '
import resource, subprocess, sys
status = subprocess.call(sys.argv[1:])
open("user", "w").write(str(round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime * 1000)))
sys.exit(status)' "$@"
}
many_links() {
	local once
	[ "$BACKEND" = overlay ] || skip_optional "only where deletions are marked do links to lower files have to wait"
	layout <<-'END'
		# Each is linked to a name of a lower layer, and then each of those once more: an inode has two names.
		lower = [symlink("low", "target")]
		for n in (10000, 40000):
		    links = [hardlink(f"a/{i}", "low") for i in range(n)] + [hardlink(f"b/{i}", f"a/{i}") for i in range(n)]
		    Layout(Image([lower, [directory("a"), directory("b"), *links]], names=f"links:{n}", how="none")).write_dir(f"links.{n}")
	END
	expect_exit 0 user_time "$SNAPDRV" --root "$ROOT" load links.10000
	once=$(<user)
	expect_exit 0 user_time "$SNAPDRV" --root "$ROOT" load links.40000
	figure "10,000 links to a lower name and a link to each: $once ms in the program; 40,000: $(<user) ms"
	expect_exit 0 snap create --read-only links:10000
	same target "$(readlink "$OUT/b/9999")"
	same "$(stat -c %i "$OUT/a/7")" "$(stat -c %i "$OUT/b/7")"
}
case_ "tens of thousands of hard links to a lower name, and one to each of those" many_links

many_layers() {
	local once
	layout <<-'END'
		# Images of a hundred layers each, none of them like another; none is there.
		def manifest(number):
		    diffs = [sha256(b"%d %d" % (number, n)) for n in range(100)]
		    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diffs}}).encode()
		    layers = [{"mediaType": MEDIA["oci"]["none"], "digest": digest, "size": 1} for digest in diffs]
		    return config, json.dumps({"schemaVersion": 2, "layers": layers, "config": {
		        "mediaType": MEDIA["oci"]["config"], "digest": sha256(config), "size": len(config)}}).encode()
		for count in (25, 100):
		    layout = Layout(small_image(names="many:1"))
		    layout.index["manifests"] = []
		    for number in range(count):
		        config, text = manifest(number)
		        layout.blobs.update({sha256(config): config, sha256(text): text})
		        layout.index["manifests"].append({"mediaType": MEDIA["oci"]["manifest"], "digest": sha256(text), "size": len(text),
		            "annotations": {"org.opencontainers.image.ref.name": f"many:{number}"}})
		    layout.write_dir(f"many.{count}")
	END
	refused 5 user_time "$SNAPDRV" --root "$ROOT" load many.25
	once=$(<user)
	refused 5 user_time "$SNAPDRV" --root "$ROOT" load many.100
	figure "2,500 layers of 25 images: $once ms in the program; 10,000 of 100: $(<user) ms"
}
case_ "refused: 10,000 layers of one source, none of which is there" many_layers
