#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Real containerds on snapdrvd, from end to end: Debian 12's (1.6, with its own differ, CRI) and Debian 13's
# (1.7, with ours).
. "$(dirname "$0")/../lib.sh"
. "$TOOLS/containerd.sh"
. "$TOOLS/registry.sh"

TREE=$(real rootfs) || exit 1
IMAGE=docker.io/local/three:1
# Three layers: a system, deletions, additions.
layout "$TREE" "$WORK/image" "$WORK/image.tar" <<'END'
import subprocess, sys
tree, out, archive = sys.argv[1:]
base = subprocess.run(["tar", "--sort=name", "-C", tree, "-cf", "-", "."], check=True, stdout=subprocess.PIPE).stdout
changes = [opaque("home"), directory("home"), whiteout("etc/os-release"), file("etc/issue", "from a layer\n")]
last = [directory("srv"), directory("srv/deep", mode=0o1777), file("srv/deep/big", b"x" * 3000000), symlink("srv/link", "deep/big")]
image = Layout(Image([Layer(base), Layer(changes), Layer(last, "zstd")], config={"Cmd": ["/bin/sh"]}, names="1"))
image.write_dir(out)
image.write_archive(archive)
END

import_image() {
	ctr image import --snapshotter snapdrv --base-name docker.io/local/three "$WORK/image.tar"
}
run_in() {
	ctr run --snapshotter snapdrv --net-host "$@"
}
keys() {
	ctr snapshot --snapshotter snapdrv ls | awk 'NR > 1 { print $1 }' | sort
}
keys_answered() {
	ctr snapshot --snapshotter snapdrv ls
}
# What our own load makes of the image, as a tree in $CASE/want.
load_here() {
	ROOT=$CASE/other expect_exit 0 snap load "$WORK/image" --ref three:1
	ROOT=$CASE/other expect_exit 0 snap create three:1
	WANT=$OUT
}

# life old|new
life() {
	local id
	daemons
	daemon_start --metrics "$CASE/m.sock"
	containerd_start "$1"
	import_image
	same 3 "$(keys | wc -l)"
	if [ "$1" = new ]; then
		same 3 "$(counted snapdrvd_layers_total)"
	else
		same 0 "$(counted snapdrvd_layers_total)"
	fi
	# The tree, as the client mounts it, is what our own load gives.
	mkdir m
	ctr image mount --snapshotter snapdrv "$IMAGE" "$CASE/m" >/dev/null
	load_here
	# containerd's own differ loses attributes; ours does not.
	if [ "$1" = new ]; then
		same_tree "$WANT" "$CASE/m"
	else
		diff -r --no-dereference "$WANT" "$CASE/m"
	fi
	ctr image unmount --snapshotter snapdrv --rm "$CASE/m" >/dev/null
	! mounted "$CASE/m"
	# A container writes, and what it wrote is there for the next process in it.
	same "from a layer" "$(run_in --rm "$IMAGE" once /bin/sh -c 'cat /etc/issue; echo lost >/lost')"
	run_in -d "$IMAGE" stays /bin/sh -c 'echo written >/srv/mine; echo >/etc/issue; sleep 1000' >/dev/null
	same "stays" "$(ctr task ls -q)"
	wait_for 10 ctr task exec --exec-id e0 stays sh -c 'test -e /srv/mine'
	same written "$(ctr task exec --exec-id e1 stays cat /srv/mine)"
	expect_exit 1 ctr task exec --exec-id e2 stays sh -c 'test -e /lost'
	# The verbs of ctr snapshots.
	ctr snapshot --snapshotter snapdrv info stays | has '"Kind": "Active"'
	ctr snapshot --snapshotter snapdrv usage stays | has stays
	ctr snapshot --snapshotter snapdrv tree | has stays
	id=$(keys | grep sha256 | sed -n 1p)
	ctr snapshot --snapshotter snapdrv label "$id" a=b c=d
	ctr snapshot --snapshotter snapdrv info "$id" | has '"a": "b"'
	ctr snapshot --snapshotter snapdrv prepare mine "$id"
	ctr snapshot --snapshotter snapdrv mounts "$CASE/m" mine >told
	[ -s told ]
	ctr snapshot --snapshotter snapdrv commit theirs mine
	ctr snapshot --snapshotter snapdrv view seen theirs
	ctr snapshot --snapshotter snapdrv rm seen theirs
	# What ctr makes of the changes of a container: a layer.
	ctr snapshot --snapshotter snapdrv diff stays >layer.tar.gz
	tar -tzf layer.tar.gz | sed 's|^\./||; s|/$||' | grep -vxE 'etc|srv|dev|proc|sys|run|' | sort >changed
	same "etc/issue srv/mine" "$(grep -vE '^(etc/(resolv.conf|hosts)|dev/|run/)' changed | tr '\n' ' ' | sed 's/ $//')"
	# All of it goes, by containerd's own garbage collection.
	ctr task kill -s KILL stays
	wait_for 10 eval '[ "$(ctr task ls | awk "NR > 1 { print \$3 }")" = STOPPED ]'
	ctr task rm stays >/dev/null 2>&1 || :
	ctr container rm stays
	ctr image rm --sync "$IMAGE" >/dev/null
	wait_for 20 eval '[ -z "$(keys)" ]'
	containerd_stop
	daemon_stop
	same "" "$(find "$ROOT/active" "$ROOT/layers" -mindepth 1 -maxdepth 1)"
}
case_ "containerd of Debian 12: import, run, write, the verbs of ctr, collect" life old
case_ "containerd of Debian 13, with our differ: the same, and the tree is what our load gives" life new

restarts() {
	local first
	daemons
	daemon_start
	containerd_start new
	import_image
	run_in -d "$IMAGE" stays /bin/sh -c 'while :; do echo tick >>/srv/ticks; sleep 0.1; done' >/dev/null
	wait_for 10 ctr task exec --exec-id e0 stays sh -c 'test -s /srv/ticks'
	# snapdrvd goes, is killed, and comes back while the container runs.
	for signal in TERM KILL; do
		daemon_stop "$signal" || :
		first=$(ctr task exec --exec-id "a$signal" stays cat /srv/ticks)
		daemon_start
		# containerd waits a moment before it connects again.
		wait_for 20 keys_answered
		same "from a layer" "$(run_in --rm "$IMAGE" "while-$signal" /bin/sh -c 'cat /etc/issue')"
		[ "$first" != "$(ctr task exec --exec-id "b$signal" stays cat /srv/ticks)" ] || fail_ "it does not run any more"
	done
	# So does containerd.
	for signal in TERM KILL; do
		containerd_stop "$signal"
		containerd_start new
		same "stays" "$(ctr task ls -q)"
		same "from a layer" "$(run_in --rm "$IMAGE" "after-$signal" /bin/sh -c 'cat /etc/issue')"
	done
	# Killed in the middle of an import: the next one succeeds.
	ctr task kill -s KILL stays
	wait_for 10 eval '[ "$(ctr task ls | awk "NR > 1 { print \$3 }")" = STOPPED ]'
	ctr task rm stays >/dev/null 2>&1 || :
	ctr container rm stays
	ctr image rm --sync "$IMAGE" >/dev/null
	import_image >/dev/null 2>&1 &
	sleep 0.1
	daemon_stop KILL || :
	wait $! || :
	daemon_start
	wait_for 30 import_image
	same "from a layer" "$(run_in --rm "$IMAGE" last /bin/sh -c 'cat /etc/issue')"
	expect_exit 0 snap gc
}
case_ "snapdrvd and containerd are killed and restarted while a container runs" restarts

loaded() {
	local chain
	daemons
	expect_exit 0 snap load "$WORK/image" --ref three:1
	registry_start here
	registry_fill "oci:$WORK/image:1" "docker://$REGISTRY/three:1"
	daemon_start --metrics "$CASE/m.sock"
	CRI=1 containerd_start old
	# PullImage of runtime.v1's ImageService, by hand: the image's name is field 1 of its field 1.
	/usr/bin/python3 - "$CASE/c.sock" "$REGISTRY/three:1" <<-'END'
		import sys, time, grpc
		name = sys.argv[2].encode()
		spec = b"\x0a" + bytes([len(name)]) + name
		call = grpc.insecure_channel(f"unix:{sys.argv[1]}").unary_unary("/runtime.v1.ImageService/PullImage")
		for attempt in range(100):
		    try:
		        print(call(b"\x0a" + bytes([len(spec)]) + spec, timeout=60))
		        break
		    except grpc.RpcError as error:
		        if error.code() not in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNAVAILABLE) and "not initialized" not in error.details():
		            raise
		        time.sleep(0.1)
		else:
		    sys.exit("no answer")
	END
	same 3 "$(ctr -n k8s.io snapshot --snapshotter snapdrv ls | grep -c Committed)"
	# The manifest and the config were asked for, and no layer.
	same 1 "$(asked here 'GET /v2/three/blobs/' | wc -l)"
	same 0 "$(counted 'snapdrvd_calls_total{service="Snapshots",method="Commit"')"
	same "from a layer" "$(ctr -n k8s.io run --rm --snapshotter snapdrv "$REGISTRY/three:1" now /bin/sh -c 'cat /etc/issue')"
	# The image goes on one side, and stays on the other.
	expect_exit 0 snap rmi three:1
	expect_exit 0 snap gc
	same "from a layer" "$(ctr -n k8s.io run --rm --snapshotter snapdrv "$REGISTRY/three:1" again /bin/sh -c 'cat /etc/issue')"
}
case_ "CRI neither downloads nor unpacks what snapdrv load brought; each side keeps what it holds" loaded

converse() {
	daemons
	daemon_start
	containerd_start new
	import_image
	expect_exit 0 snap load "$WORK/image" --ref three:1
	expect_exit 0 snap --json info
	# One tree for each layer, not two.
	same 3 "$(find "$ROOT/active" "$ROOT/layers" -mindepth 1 -maxdepth 1 | wc -l)"
	ctr image rm --sync "$IMAGE" >/dev/null
	wait_for 20 eval '[ -z "$(keys)" ]'
	expect_exit 0 snap gc
	load_here
	expect_exit 0 snap create --name mine three:1
	same_tree "$WANT" "$OUT"
}
case_ "what containerd unpacked by our differ is there for snapdrv load, and stays when containerd drops it" converse

declined() {
	daemons
	daemon_start
	containerd_start new
	import_image
	client "$CASE" <<-'END'
		import os
		case = sys.argv[3]
		blobs = f"{case}/c/root/io.containerd.content.v1.content/blobs/sha256/"
		digest = next(n for n in os.listdir(blobs) if open(blobs + n, "rb").read(2) == b"\x1f\x8b")
		layer = {"digest": "sha256:" + digest, "media_type": "application/vnd.oci.image.layer.v1.tar+gzip",
		         "size": os.path.getsize(blobs + digest)}
		def mounts(key):
		    return c.prepare(key=key).mounts
		applied = c.apply(diff=layer, mounts=mounts("good"), sync_fs=True).applied
		assert applied.media_type == "application/vnd.oci.image.layer.v1.tar" and applied.digest.startswith("sha256:")
		fails("UNIMPLEMENTED", c.apply, diff={**layer, "media_type": layer["media_type"] + "+encrypted"}, mounts=mounts("a"))
		fails("UNIMPLEMENTED", c.apply, diff={**layer, "media_type": "text/plain"}, mounts=mounts("b"))
		fails("UNIMPLEMENTED", c.apply, diff=layer, mounts=[{"type": "tmpfs", "source": "none"}])
		fails("UNIMPLEMENTED", c.apply, diff=layer, mounts=[])
		fails("NOT_FOUND", c.apply, diff={**layer, "digest": "sha256:" + "0" * 64}, mounts=mounts("c"))
		for bad in "", "sha256:../../../etc/passwd", "sha512:" + "0" * 128, "sha256:" + "0" * 63 + "/":
		    fails("INVALID_ARGUMENT", c.apply, diff={**layer, "digest": bad}, mounts=mounts("d" + bad))
		fails("INVALID_ARGUMENT", c.apply, mounts=mounts("e"))
		# A blob that is not what its name says.
		os.chmod(blobs + digest, 0o644)
		data = bytearray(open(blobs + digest, "rb").read())
		data[len(data) // 2] ^= 1
		open(blobs + digest, "r+b").write(data)
		fails("INVALID_ARGUMENT", c.apply, diff=layer, mounts=mounts("f"))
		fails("UNIMPLEMENTED", c.diff, left=[], right=mounts("g"), media_type="text/plain")
	END
}
case_ "what the differ is not for it declines; what is wrong it refuses" declined

writes_layers() {
	daemons
	daemon_start
	containerd_start new
	import_image
	expect_exit 0 snap info
	client <<-'END' >told
		import os
		import gzip, hashlib, io, tarfile
		below = c.names("kind==committed")
		top = [n for n in below if not c.names(f'parent=="{n}"')][0]
		old = c.view(key="old", parent=top).mounts
		new = c.prepare(key="new", parent=top).mounts
		os.makedirs("m", exist_ok=True)
		mount = new[0]
		if mount.type == "bind":
		    path = mount.source
		else:
		    path = next(o for o in mount.options if o.startswith("upperdir=")).split("=", 1)[1]
		open(path + "/added", "w").write("by a container")
		for media_type in "", "application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.v1.tar+zstd":
		    diff = c.with_namespace("default").diff(left=old, right=new, media_type=media_type, ref=f"test {media_type}",
		                                            labels={"mine": "1", "containerd.io/gc.root": "now"}).diff
		    assert diff.media_type == media_type or "application/vnd.oci.image.layer.v1.tar+gzip" and diff.size > 100, diff
		    print(diff.digest)
		fails("UNIMPLEMENTED", c.diff, left=old, right=new)
		fails("UNIMPLEMENTED", c.with_namespace("default").diff, left=old, right=new, source_date_epoch={"seconds": 1})
	END
	same 3 "$(wc -l <told)"
	while read -r digest; do
		ctr content get "$digest" >layer
		same "$digest" "sha256:$(sha256sum <layer | cut -d ' ' -f 1)"
		# GNU tar finds out how it is compressed from a file alone.
		same "by a container" "$(tar -xOf layer ./added 2>/dev/null || tar -xOf layer added)"
		ctr content ls | grep -F "$digest" | has "mine=1"
		ctr content ls | grep -F "$digest" | has "containerd.io/uncompressed=sha256:"
	done <told
	# The three are one layer, written in three ways.
	same 1 "$(ctr content ls | grep mine=1 | grep -o 'uncompressed=sha256:[0-9a-f]*' | sort -u | wc -l)"
}
case_ "Diff writes a layer into containerd's content store: gzip, plain, zstd" writes_layers

through_service() {
	daemons
	# A content directory that is not there: all comes through containerd.
	daemon_start --metrics "$CASE/m.sock" --content /nonexistent
	containerd_start new
	import_image
	same 3 "$(counted snapdrvd_layers_total)"
	same "from a layer" "$(run_in --rm "$IMAGE" one /bin/sh -c 'cat /etc/issue')"
}
case_ "layers come through containerd's content service where its directory cannot be read" through_service

podman_rootfs() {
	expect_exit 0 snap load "$WORK/image" --ref three:1
	expect_exit 0 snap create three:1
	mkdir -p pod
	mount -t tmpfs none /var/lib/containers 2>/dev/null || { mkdir -p "$CASE/none"; }
	expect_exit 0 timeout 100 podman --root "$CASE/pod/root" --runroot "$CASE/pod/run" --tmpdir "$CASE/pod/tmp" --runtime runc \
		--cgroup-manager cgroupfs --storage-driver vfs run --rm --network none --log-driver none --ulimit nofile=64:64 --ulimit nproc=64:64 \
		--rootfs "$OUT" /bin/sh -c 'cat /etc/issue; echo podman >/srv/podman'
	same "from a layer" "$OUT"
}
case_ "podman run --rootfs of a container that snapdrv made" podman_rootfs
