#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Layers that are written anew from their trees (snapshot_pack()), for random stacks of layers: the same bytes on
# each driver, and an image of them is the same tree.
#
# A hard link to a file of a lower layer is a copy on overlay, so that the trees themselves differ then.
#
# From outside: N (stacks, 10), SEED (the first, 1), BACKENDS ("overlay btrfs vfs").
. "$(dirname "$0")/../lib.sh"

N=${N:-10} SEED=${SEED:-1}
PACK=$WORK/packlayer

case_ "the helper compiles" compile_helper "$TESTS/cli/packlayer.c" "$PACK"
[ -x "$PACK" ] || exit 1

# chains: the ChainIDs of the DiffIDs on stdin.
chains() {
	python -c '
import hashlib, json, sys
chain = None
for diff in json.load(sys.stdin):
    chain = "sha256:" + hashlib.sha256(f"{chain} {diff}".encode()).hexdigest() if chain else diff
    print(chain)'
}

# image_of DIR TAR...: an OCI layout of these layers.
image_of() {
	python - "$@" <<'END'
import hashlib, json, os, sys
out, tars = sys.argv[1], sys.argv[2:]
os.makedirs(out + "/blobs/sha256")
def blob(data, kind):
    name = hashlib.sha256(data).hexdigest()
    with open(f"{out}/blobs/sha256/{name}", "wb") as file:
        file.write(data)
    return {"mediaType": "application/vnd.oci.image." + kind, "digest": "sha256:" + name, "size": len(data)}
layers = [blob(open(tar, "rb").read(), "layer.v1.tar") for tar in tars]
config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [l["digest"] for l in layers]}}
manifest = {"schemaVersion": 2, "config": blob(json.dumps(config).encode(), "config.v1+json"), "layers": layers}
index = {"schemaVersion": 2, "manifests": [blob(json.dumps(manifest).encode(), "manifest.v1+json")]}
index["manifests"][0]["annotations"] = {"org.opencontainers.image.ref.name": "again:1"}
open(out + "/oci-layout", "w").write('{"imageLayoutVersion": "1.0.0"}')
open(out + "/index.json", "w").write(json.dumps(index))
END
}

one_stack() {
	local driver=$1 seed=$2 chain
	rm -rf "${HERE:?}/tars" "${HERE:?}/layout"
	mkdir -p "$HERE/tars"
	ROOT=$HERE/store.$seed SNAPDRV_DRIVER=$driver
	rootfs_of "$CASE/layout.$seed" --ref stack:1
	treedump "$OUT" >tree
	expect_exit 0 snap --json inspect stack:1
	mapfile -t chain < <(pick 'list(d.values())[0][0]["RootFS"]["Layers"]' <"$CASE/.stdout" | chains)
	(cd "$HERE/tars" && "$PACK" "$ROOT" "${chain[@]}")
	image_of "$HERE/layout" $(ls "$HERE/tars"/*.tar | sort -V)
	ROOT=$HERE/elsewhere.$seed
	rootfs_of "$HERE/layout"
	treedump "$OUT" >got
	diff -a tree got || fail_ "seed $seed: the tree on $driver"
}

stacks() {
	local seed driver first='' compared=0
	loop_fs "$CASE/btrfs" 4G mkfs.btrfs -q
	for ((seed = SEED; seed < SEED + N; seed++)); do
		python "$TOOLS/randomstack.py" make "$seed" "$CASE/layout.$seed"
		rm -rf "${CASE:?}/first"
		for driver in ${BACKENDS:-overlay btrfs vfs}; do
			HERE=$CASE/$driver
			mkdir -p "$HERE"
			one_stack "$driver" "$seed"
			if [ ! -d "$CASE/first" ]; then
				cp -r "$HERE/tars" "$CASE/first"
				first=$driver
			elif diff -rq "$CASE/first" "$HERE/tars"; then
				compared=$((compared + 1))
			else
				grep -q '^  link ' <(python "$TOOLS/randomstack.py" show "$seed") ||
					fail_ "seed $seed: other bytes on $driver than on $first"
			fi
		done
	done
	figure "the same bytes as on $first: $compared of $((2 * N)) on the others"
	[ $compared -ge $((N / 2)) ] || [ -n "${BACKENDS:-}" ] || fail_ "too few of them are the same"
}
case_ "$N random stacks (seeds $SEED-$((SEED + N - 1))), written anew: the same bytes on each driver, the same tree" stacks
exit $FILE_STATUS
