#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# snapdrvd by its protocol: all calls of containerd's snapshots service, errors, filters, field masks, what a
# client that is wrong or hostile gets; sockets, signals, metrics.
. "$(dirname "$0")/../lib.sh"
. "$TOOLS/containerd.sh"

graph() {
	daemons
	daemon_start
	client <<-'END'
		mounts = c.prepare(key="a/../b", labels={"one": "1", "containerd.io/gc.root": "x"}).mounts
		assert len(mounts) == 1 and mounts[0].type == "bind" and "rw" in mounts[0].options, mounts
		open(mounts[0].source + "/file", "w").write("hello")
		assert c.mounts(key="a/../b").mounts == mounts
		info = c.stat(key="a/../b").info
		assert (info.name, info.parent, info.kind) == ("a/../b", "", 2), info
		assert dict(info.labels) == {"one": "1", "containerd.io/gc.root": "x"}
		assert info.created_at.seconds > 1700000000 and info.updated_at.seconds >= info.created_at.seconds
		usage = c.usage(key="a/../b")
		assert usage.size >= 4096 and usage.inodes >= 2, usage
		c.commit(name="base", key="a/../b", labels={"two": "2"})
		info = c.stat(key="base").info
		assert info.kind == 3 and dict(info.labels) == {"two": "2"}
		assert c.usage(key="base").size == usage.size
		view = c.view(key="v", parent="base").mounts
		assert open(view[0].source + "/file").read() == "hello" and "ro" in view[0].options
		above = c.prepare(key="k", parent="base").mounts
		assert c.stat(key="k").info.parent == "base" and c.stat(key="v").info.kind == 1
		assert sorted(c.names()) == ["base", "k", "v"]
		c.cleanup()
		for name in "k", "v", "base":
		    c.remove(key=name)
		assert c.names() == []
	END
	daemon_stop
	expect_exit 0 snap --json info
	expect_exit 0 snap gc
	same "" "$(find "$ROOT/active" "$ROOT/layers" -mindepth 1 -maxdepth 1)"
}
case_ "all ten calls of the snapshots service" graph

errors() {
	daemons
	daemon_start
	client <<-'END'
		fails("NOT_FOUND", c.stat, key="none")
		fails("NOT_FOUND", c.mounts, key="none")
		fails("NOT_FOUND", c.remove, key="none")
		fails("NOT_FOUND", c.usage, key="none")
		fails("NOT_FOUND", c.commit, name="n", key="none")
		fails("NOT_FOUND", c.update, info={"name": "none"})
		fails("NOT_FOUND", c.prepare, key="k", parent="none")
		c.prepare(key="a")
		fails("ALREADY_EXISTS", c.prepare, key="a")
		fails("ALREADY_EXISTS", c.view, key="a")
		fails("FAILED_PRECONDITION", c.prepare, key="k", parent="a")
		c.commit(name="base", key="a")
		fails("FAILED_PRECONDITION", c.commit, name="n", key="base")
		fails("FAILED_PRECONDITION", c.mounts, key="base")
		c.prepare(key="child", parent="base")
		fails("FAILED_PRECONDITION", c.remove, key="base")
		c.prepare(key="b")
		fails("ALREADY_EXISTS", c.commit, name="base", key="b")
		fails("INVALID_ARGUMENT", c.prepare, key="")
		fails("INVALID_ARGUMENT", c.prepare, key="l", labels={"k" * 2000: "v" * 2097})
		c.prepare(key="l", labels={"k" * 2000: "v" * 2096})
		fails("INVALID_ARGUMENT", c.list, filters=["name=x"])
		fails("INVALID_ARGUMENT", c.list, filters=['name=="x'])
		fails("INVALID_ARGUMENT", c.list, filters=["name~=("])
		fails("INVALID_ARGUMENT", c.update, info={"name": "l"}, update_mask={"paths": ["kind"]})
	END
	# One line for each.
	grep -q "^snapdrvd: Stat: NOT_FOUND: snapshot 'none': no such snapshot$" d.log || fail_ "$(<d.log)"
	same 20 "$(wc -l <d.log)"
}
case_ "errors are gRPC's statuses as containerd has them, and a line in the log" errors

lists() {
	daemons
	daemon_start
	client <<-'END'
		c.prepare(key="a", labels={"containerd.io/x": "1", "plain": "one two"})
		c.commit(name="base:1", key="a", labels={"containerd.io/x": "1", "plain": "one two", "q": 'say "hi"'})
		c.prepare(key="b/1", parent="base:1")
		c.view(key="v", parent="base:1", labels={"plain": "x,y"})
		for want, filters in [
		    (["b/1", "base:1", "v"], []),
		    (["b/1", "base:1", "v"], [""]),
		    (["base:1"], ["name==base:1"]),
		    (["b/1", "v"], ["name!=base:1"]),
		    (["b/1", "v"], ['parent=="base:1"']),
		    (["v"], ['parent=="base:1",kind==view']),
		    (["b/1", "base:1"], ["kind==active", "kind==committed"]),
		    (["base:1"], ['labels."containerd.io/x"==1']),
		    (["base:1", "v"], ["labels.plain"]),
		    (["v"], ['labels.plain=="x,y"']),
		    (["base:1"], [r'labels.q=="say \"hi\""']),
		    (["b/1", "base:1"], ["name~=/^b/"]),
		    (["b/1"], [r"name~=|^b\/[0-9]$|"]),
		    (["base:1", "v"], ["labels.plain~=."]),
		    ([], ["nonsense"]),
		]:
		    assert c.names(*filters) == want, (filters, c.names(*filters))
		# Updates: single labels, all of them, an empty value takes one away.
		def update(paths, **labels):
		    return dict(c.update(info={"name": "v", "labels": labels},
		                         update_mask={"paths": paths} if paths else None).info.labels)
		before = c.stat(key="v").info
		assert update(["labels.new"], new="1", other="2") == {"plain": "x,y", "new": "1"}
		assert update(["labels.plain", "labels.a.b/c"], **{"a.b/c": "dots"}) == {"new": "1", "a.b/c": "dots"}
		assert update(["labels"], only="3") == {"only": "3"}
		assert update([], all="4") == {"all": "4"}
		after = c.stat(key="v").info
		assert after.created_at == before.created_at
		assert (after.updated_at.seconds, after.updated_at.nanos) > (before.updated_at.seconds, before.updated_at.nanos)
		# A list of many goes out as a stream of several messages.
		for i in range(1500):
		    c.view(key=f"many/{i:05}", parent="base:1", labels={"n": str(i), "long": "x" * 100})
		parts = list(c.list(filters=["name~=^many"]))
		assert len(parts) > 2, len(parts)
		assert [i.name for p in parts for i in p.info] == [f"many/{i:05}" for i in range(1500)]
	END
}
case_ "List's filters and stream, Update's field masks" lists

remote() {
	daemons
	layout image <<-'END'
		import sys
		base = Layer([directory("base"), file("base/one", "1")])
		top = Layer([file("base/.wh.one", ""), file("two", "2")])
		Layout(Image([base, top], names="image:1")).write_dir(sys.argv[1])
	END
	expect_exit 0 snap load image --ref image:1
	expect_exit 0 snap --json inspect image:1
	pick 'd["inspected"][0]["RootFS"]["Layers"]' <"$CASE/.stdout" >diffs
	daemon_start
	client diffs <<-'END'
		import hashlib, json
		diffs = json.load(open(sys.argv[3]))
		chain = [diffs[0]]
		chain.append("sha256:" + hashlib.sha256(f"{chain[0]} {diffs[1]}".encode()).hexdigest())
		ref = "containerd.io/snapshot.ref"
		parent = ""
		for number, id in enumerate(chain):
		    name = f"extract-{number} {id}"
		    labels = {ref: id, "containerd.io/snapshot/x": "kept"}
		    fails("ALREADY_EXISTS", c.prepare, key=name, parent=parent, labels=labels)
		    [found] = c.names(f'labels."{ref}"=={id},parent=="{parent}"')
		    assert c.stat(key=found).info.kind == 3
		    parent = found
		rootfs = c.view(key="look", parent=parent).mounts
		# Over another parent it is another layer: to be unpacked.
		assert c.prepare(key="other", parent="", labels={ref: chain[1]}).mounts
		for name in "look", "other", *reversed(c.names("kind==committed")):
		    c.remove(key=name)
	END
	daemon_stop
	# The image still has what containerd has forgotten.
	expect_exit 0 snap gc
	expect_exit 0 snap create --name still image:1
	same 2 "$(<"$OUT/two")"
	[ ! -e "$OUT/base/one" ] || fail_ "the whiteout is lost"
}
case_ "a layer that was loaded is there for containerd under its ChainID, and neither side removes the other's" remote

rebase() {
	daemons
	daemon_start
	if [ "$BACKEND" != overlay ]; then
		client <<-'END'
			c.prepare(key="a")
			c.commit(name="base", key="a")
			c.prepare(key="late")
			fails("UNIMPLEMENTED", c.commit, name="top", key="late", parent="base")
		END
		return
	fi
	client <<-'END'
		open(c.prepare(key="a").mounts[0].source + "/below", "w").write("1")
		open(c.prepare(key="late").mounts[0].source + "/above", "w").write("2")
		c.commit(name="base", key="a")
		c.commit(name="top", key="late", parent="base")
		assert c.stat(key="top").info.parent == "base"
		[mount] = c.view(key="v", parent="top").mounts
		[lower] = [o for o in mount.options if o.startswith("lowerdir=")]
		[above, below] = lower[len("lowerdir="):].split(":")[-2:]
		assert open(above + "/above").read() == "2" and open(below + "/below").read() == "1", lower
	END
}
case_ "Commit gives a parent to what was prepared without" rebase

mapped() {
	daemons
	daemon_start
	client <<-'END'
		c.prepare(key="a")
		c.commit(name="base", key="a")
		[mount] = c.prepare(key="m", parent="base", labels={
		    "containerd.io/snapshot/uidmapping": "0:100000:65536",
		    "containerd.io/snapshot/gidmapping": "0:200000:65536"}).mounts
		assert "uidmap=0:100000:65536" in mount.options and "gidmap=0:200000:65536" in mount.options, mount
	END
}
case_ "labels of an id mapping become options of the mount" mapped

hostile() {
	daemons
	daemon_start
	client <<-'END'
		prepare = "/containerd.services.snapshots.v1.Snapshots/Prepare"
		for junk in b"\xff", b"\x12\x05ab", b"\x12\xff\xff\xff\xff\x0f", b"\x0a\x02\xff\xfe\x12", bytes(1000):
		    fails("INVALID_ARGUMENT", c.raw, prepare, junk)
		fails("UNIMPLEMENTED", c.raw, "/containerd.services.snapshots.v1.Snapshots/Nothing", b"")
		fails("UNIMPLEMENTED", c.raw, "/x" * 3000, b"")
		fails("RESOURCE_EXHAUSTED", c.raw, prepare, b"\x12" + bytes(17 << 20))
		fails("INVALID_ARGUMENT", c.prepare, key="k" * 100000)
		# Keys never become paths.
		for key in "../../x", "/etc/passwd", ".", "..", "a\nb", "\u00e9", "x" * 4096:
		    c.prepare(key=key)
		    assert c.stat(key=key).info.name == key
		    c.remove(key=key)
	END
	# What is no HTTP/2, what stops in the middle, and who hangs up while being answered.
	/usr/bin/python3 - "$CASE/d.sock" <<-'END'
		import socket, sys
		def connect():
		    s = socket.socket(socket.AF_UNIX)
		    s.connect(sys.argv[1])
		    return s
		preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
		for data in b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100000, preface + b"\xff" * 9, preface + bytes(9) + b"\0\0\x08\x01\x04\0\0\0\x01" + b"\xff" * 8:
		    s = connect()
		    try:
		        s.sendall(data)
		    except OSError:
		        pass
		    s.close()
		left_open = [connect() for _ in range(200)]
		for s in left_open:
		    s.sendall(preface + b"\0\0\0\x04\0\0\0\0\0")
		del left_open
	END
	client <<-'END'
		stream = c.channel.unary_stream("/containerd.services.snapshots.v1.Snapshots/List")
		for _ in range(50):
		    stream(b"").cancel()
		c.prepare(key="still here")
	END
	kill -0 "$(<d.pid)"
	same "still here" "$(client <<<'print(c.names()[0])')"
}
case_ "malformed, unknown, huge, cut off: an error for that call, and the daemon lives" hostile

crowd() {
	daemons
	# As shells and services have it.
	ulimit -S -n 1024
	daemon_start
	ulimit -S -n "$(ulimit -H -n)"
	client <<-'END'
		import threading
		channels = [grpc.insecure_channel(f"unix:{sys.argv[1]}", options=[("grpc.use_local_subchannel_pool", 1)])
		            for _ in range(1000)]
		message = c.message("containerd.services.snapshots.v1.PrepareSnapshotRequest")
		calls = [channel.unary_unary("/containerd.services.snapshots.v1.Snapshots/Prepare").future(
		    message(key=f"key {n}").SerializeToString(), timeout=120 * SLOW) for n, channel in enumerate(channels)]
		for call in calls:
		    call.result()
		assert len(c.names()) == 1000
		for channel in channels:
		    channel.close()
	END
}
case_ "1,000 clients at once" crowd

sockets() {
	daemons
	daemon_start --metrics "$CASE/m.sock"
	same "600 socket" "$(stat -c '%a %F' d.sock)"
	same "600 socket" "$(stat -c '%a %F' m.sock)"
	expect_exit 4 "$SNAPDRVD" --address "$CASE/d.sock" --root "$ROOT"
	[[ $ERR == "snapdrvd: socket $CASE/d.sock: another process answers there" ]] || fail_ "$ERR"
	client <<<'c.prepare(key="a"); c.prepare(key="b"); c.commit(name="c", key="b"); fails("NOT_FOUND", c.stat, key="x")'
	curl -s --unix-socket m.sock http://localhost/metrics >metrics
	grep -qx 'snapdrvd_calls_total{service="Snapshots",method="Prepare",code="OK"} 2' metrics || fail_ "$(<metrics)"
	grep -qx 'snapdrvd_calls_total{service="Snapshots",method="Stat",code="NOT_FOUND"} 1' metrics
	grep -qx 'snapdrvd_call_seconds_bucket{service="Snapshots",method="Prepare",code="OK",le="+Inf"} 2' metrics
	grep -qx 'snapdrvd_snapshots{kind="active"} 1' metrics
	grep -qx 'snapdrvd_snapshots{kind="committed"} 1' metrics
	expect_exit 22 curl -sf --unix-socket m.sock http://localhost/other
	# Every line is one of the format's.
	! grep -vE '^(# (HELP|TYPE) [a-z_]+ .*|[a-z_]+(\{[^}]*\})? [0-9.e+-]+)$' metrics || fail_ "not the format"
	daemon_stop
	[ ! -e d.sock ] && [ ! -e m.sock ] || fail_ "sockets are left behind"
	# One that was killed leaves its socket; the next one takes its place.
	daemon_start
	daemon_stop KILL || :
	[ -S d.sock ]
	daemon_start
	client <<<'assert sorted(c.names()) == ["a", "c"]'
	for wrong in "--address" "--nonsense" "--address d.sock more" ""; do
		# shellcheck disable=SC2086 # words are meant
		expect_exit 2 "$SNAPDRVD" $wrong
	done
}
case_ "sockets of mode 0600, one daemon on each, metrics" sockets

activation() {
	daemons
	cat >activate.py <<-'END'
		import os, socket, sys
		listen, notify = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		listen.bind(sys.argv[1])
		listen.listen()
		notify.bind("\0" + sys.argv[2])
		pid = os.fork()
		if not pid:
		    os.dup2(listen.fileno(), 3)
		    os.set_inheritable(3, True)
		    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", NOTIFY_SOCKET="@" + sys.argv[2])
		    os.execv(sys.argv[3], sys.argv[3:])
		print(notify.recv(100).decode(), flush=True)
		open("d.pid", "w").write(str(pid))
		print(notify.recv(100).decode(), flush=True)
		print("status", os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
	END
	/usr/bin/python3 activate.py "$CASE/d.sock" "snapdrv-test-$$" "$SNAPDRVD" --root "$ROOT" >told 2>d.log &
	wait_for 10 grep -q READY=1 told
	client <<<'c.prepare(key="a")'
	kill "$(<d.pid)"
	wait $!
	rm d.pid
	same "READY=1 STOPPING=1 status 0" "$(echo $(<told))"
	[ -S d.sock ] || fail_ "it removed the service manager's socket"
}
case_ "socket activation and readiness as systemd has them" activation

ending() {
	daemons
	daemon_start
	# Many at work while it is told to end: each call is answered, or refused as a whole.
	client <<-'END' &
		import os, signal, threading
		done, failed = [], []
		def work(n):
		    for i in range(400):
		        try:
		            c.prepare(key=f"{n} {i}")
		            done.append(f"{n} {i}")
		        except Failed as error:
		            failed.append(error.status)
		            return
		threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
		for thread in threads:
		    thread.start()
		while len(done) < 200:
		    pass
		os.kill(int(open("d.pid").read()), signal.SIGTERM)
		for thread in threads:
		    thread.join()
		assert set(failed) <= {"UNAVAILABLE", "CANCELLED"}, set(failed)
		open("done", "w").write("\n".join(sorted(done)) + "\n")
	END
	wait $!
	wait "$(<d.pid)" || fail_ "status $?"
	rm d.pid
	daemon_start
	client <<<'print("\n".join(sorted(c.names())))' >there
	diff done there || fail_ "what was answered and what is there differ"
}
case_ "SIGTERM: calls in flight end, nothing that was answered is lost" ending
