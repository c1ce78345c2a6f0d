#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Memory: at most 64 MB while an image of 1 GB comes in.
. "$(dirname "$0")/../lib.sh"

# An image of 1 GB as a tree, in one gzip layer and as an archive: by a stream, nothing in memory.
make_big() {
	python - "$1" <<-'END'
		import hashlib, json, os, random, sys, tarfile, zlib
		top = sys.argv[1]
		blobs = top + "/blobs/sha256"
		os.makedirs(blobs)
		random.seed(5)

		class Sink:
		    """Compresses and hashes what the tar writer gives it."""
		    def __init__(self, path):
		        self.file, self.inner, self.outer = open(path, "wb"), hashlib.sha256(), hashlib.sha256()
		        self.deflate, self.size = zlib.compressobj(1, zlib.DEFLATED, 31), 0
		    def put(self, data):
		        self.outer.update(data)
		        self.size += self.file.write(data)
		    def write(self, data):
		        self.inner.update(data)
		        self.put(self.deflate.compress(data))
		        return len(data)
		    def close(self):
		        self.put(self.deflate.flush())
		        self.file.close()

		class Repeat:
		    def __init__(self, block, size):
		        self.block, self.left = block, size
		    def read(self, size=-1):
		        size = min(self.left, len(self.block) if size < 0 else min(size, len(self.block)))
		        self.left -= size
		        return self.block[:size]

		sink = Sink(blobs + "/layer")
		with tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT, bufsize=1 << 20) as tar:
		    for number in range(1020):
		        info = tarfile.TarInfo(f"dir{number % 10}/file{number}")
		        info.size = 1 << 20
		        tar.addfile(info, Repeat(random.randbytes(4096) * 4, info.size))
		    for number in range(20000):
		        info = tarfile.TarInfo(f"small/{number}")
		        info.size = 1000
		        tar.addfile(info, Repeat(b"x" * 1000, 1000))
		sink.close()

		def blob(data):
		    digest = hashlib.sha256(data).hexdigest()
		    open(f"{blobs}/{digest}", "wb").write(data)
		    return {"digest": "sha256:" + digest, "size": len(data)}

		os.rename(blobs + "/layer", f"{blobs}/{sink.outer.hexdigest()}")
		media = "application/vnd.oci.image."
		config = blob(json.dumps({"os": "linux", "architecture": "amd64", "config": {}, "rootfs": {
		    "type": "layers", "diff_ids": ["sha256:" + sink.inner.hexdigest()]}}).encode())
		manifest = blob(json.dumps({"schemaVersion": 2, "mediaType": media + "manifest.v1+json",
		    "config": {"mediaType": media + "config.v1+json", **config},
		    "layers": [{"mediaType": media + "layer.v1.tar+gzip",
		                "digest": "sha256:" + sink.outer.hexdigest(), "size": sink.size}]}).encode())
		open(top + "/index.json", "w").write(json.dumps({"schemaVersion": 2, "manifests": [{
		    "mediaType": media + "manifest.v1+json", **manifest,
		    "annotations": {"org.opencontainers.image.ref.name": "big:1"}}]}))
		open(top + "/oci-layout", "w").write('{"imageLayoutVersion":"1.0.0"}')
	END
}

# peak FILE COMMAND...: its peak of resident memory, in kB, goes to FILE.
peak() {
	local file=$1
	shift
	python -c '
import resource, subprocess, sys
status = subprocess.call(sys.argv[2:])
open(sys.argv[1], "w").write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(status)' "$file" "$@"
}
at_most_64() {
	local kilobytes
	kilobytes=$(<"$2")
	figure "peak memory of $1: $((kilobytes / 1024)) MB"
	[ "$kilobytes" -le 65536 ] || fail_ "$1 took $kilobytes kB"
}
loading() {
	[ "$(df --output=avail -k "$CASE" | tail -n 1)" -gt 5000000 ] || skip_ "less than 5 GB of disk"
	make_big big
	expect_exit 0 peak used "$SNAPDRV" --root "$ROOT" load big
	at_most_64 "load of a 1 GB layout" used
	expect_exit 0 snap --json images
	holds '1.0e9 < d["images"][0]["size"] < 1.5e9'
	expect_exit 0 snap create big:1
	same "1020 20000" "$(ls "$OUT"/dir? | grep -c file) $(ls "$OUT/small" | wc -l)"
	expect_exit 0 snap rm --all
	expect_exit 0 snap rmi big:1
	tar -C big -cf big.tar .
	ROOT=$CASE/piped
	expect_exit 0 peak used sh -c 'cat big.tar | exec "$0" --root "$1" load --discard-blobs -' "$SNAPDRV" "$ROOT"
	at_most_64 "load of a 1 GB archive from a pipe" used
	# One pass: nothing of the size of the archive stays, beside the tree.
	[ "$(du -sk "$ROOT" | cut -f 1)" -lt 1250000 ] || fail_ "$(du -sk "$ROOT")"
}
case_ "loading an image of 1 GB takes at most 64 MB of memory" loading

huge_documents() {
	# Half a gigabyte of index.json: refused, not read whole.
	mkdir -p lay/blobs/sha256
	echo '{"imageLayoutVersion":"1.0.0"}' >lay/oci-layout
	{
		printf '{"schemaVersion":2,"x":"'
		head -c 500000000 /dev/zero | tr '\0' x
		printf '","manifests":[]}'
	} >lay/index.json
	expect_exit 5 peak used "$SNAPDRV" --root "$ROOT" load lay
	one_line_error
	at_most_64 "load of a 500 MB index.json" used
}
case_ "an index of half a gigabyte is refused and not read whole" huge_documents
