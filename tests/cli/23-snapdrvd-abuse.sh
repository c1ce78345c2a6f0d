#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# snapdrvd: what a client, a scraper or a containerd can do that means it no good, or is stuck.
. "$(dirname "$0")/../lib.sh"
. "$TOOLS/containerd.sh"

# ends_soon: SIGTERM ends the daemon, and does not wait for whoever does not answer.
ends_soon() {
	local pid
	pid=$(<d.pid)
	kill "$pid"
	wait_for 10 sh -c "! kill -0 $pid"
	rm d.pid
}

filters() {
	daemons
	daemon_start
	client <<-'END'
		c.prepare(key="sha256:0123")
		# What glibc's regcomp() makes a copy of at each sign, and what most matchers try all ways of.
		for bad in ["name~=" + "(" * 100000, "name~=" + "(" * 3000, "name~=(((x{1,255}){1,255}){1,255}){1,255}",
		            "name~=x{9}{9}{9}{9}{9}",
		            "name~=" + "(" * 60 + "x" + ")+" * 60 + "{1,99}" * 4, r"name~=\C", "name~=x" + "+" * 60,
		            "name~=(?:" + "x{1,9999}" * 99 + ")", "a." * 4000000 + "a", '"' * 4000000]:
		    fails("INVALID_ARGUMENT", c.names, bad)
		c.prepare(key="a" * 64 + "!", labels={"long": "ab" * 2000})
		fails("INVALID_ARGUMENT", c.names, "name~=^(a+)+$")
		assert c.names("labels.long~=(a|b)*a[ab]{1000}z") == []
		for slow in "(" * 60 + "x" + ")+" * 60, "|".join(["x{1,255}"] * 17), "(a*)*\\1b":
		    assert c.names(f'name~=/{slow}/') == []
		assert c.names("labels.long~=b{1}a[ab]*$") == ["a" * 64 + "!"]
		assert c.names("name~=^sha256:[0-9a-f]{4}$") == ["sha256:0123"]
		assert c.names("name~=^(sha256|sha512):(0|1)*") == ["sha256:0123"]
		assert c.names(r"name~=^(?:sha256|sha512):\d+?") == ["sha256:0123"]
	END
	kill -0 "$(<d.pid)"
}
case_ "List: a filter that would take all memory, or the stack, is refused" filters

no_socket() {
	local option
	for option in address metrics; do
		echo precious >file
		expect_exit 1 "$SNAPDRVD" --address "$CASE/d.sock" --root "$ROOT" "--$option" "$CASE/file"
		[[ $ERR == "snapdrvd: socket $CASE/file: Socket operation on non-socket" ]] || fail_ "$ERR"
		same precious "$(<file)"
	done
}
case_ "a file in the place of a socket stays" no_socket

no_utf8() {
	daemons
	daemon_start
	client <<-'END'
		for call in "Prepare", "View":
		    fails("INVALID_ARGUMENT", c.raw, f"/containerd.services.snapshots.v1.Snapshots/{call}", b"\x12\x02\xff\xfe")
		# A label {"\xff": "x"}.
		fails("INVALID_ARGUMENT", c.raw, "/containerd.services.snapshots.v1.Snapshots/Prepare",
		      b"\x12\x01k\x22\x06\x0a\x01\xff\x12\x01x")
		assert c.names() == []
	END
}
case_ "keys and labels that are not UTF-8 are refused, since no client could read a list of them" no_utf8

forged() {
	daemons
	daemon_start
	client <<-'END'
		fails("INVALID_ARGUMENT", c.apply, diff={"digest": "x\nsnapdrvd: forged \x1b[2J", "media_type": "\nforged"})
		fails("INVALID_ARGUMENT", c.names, "\nforged")
	END
	! grep -P '^(snapdrvd: )?forged|[\x00-\x08\x0b-\x1f\x7f-\xff]' d.log || fail_ "$(<d.log)"
	same "" "$(grep -v '^snapdrvd: ' d.log)"
}
case_ "the log has lines of its own alone, and nothing that a terminal obeys" forged

full_output() {
	local option
	for option in --help --version; do
		if "$SNAPDRVD" $option >/dev/full 2>err; then fail_ "$option into a full device"; fi
		[ -s err ]
	done
}
case_ "--help and --version into a full device are no success" full_output

# What is answered as cleaned up is gone.
cleaned() {
	daemons
	daemon_start
	client <<-'END'
		for n in range(20):
		    source = c.prepare(key=f"a{n}").mounts[0].source
		    assert os.path.exists(source)
		    c.remove(key=f"a{n}")
		    c.cleanup()
		    assert not os.path.exists(source), n
	END
}
case_ "Cleanup answers when the files of what was removed before are gone" cleaned

# put FILE: DIGEST, as it is in containerd's content store then.
put() {
	local blobs=$CASE/c/root/io.containerd.content.v1.content/blobs/sha256 hex
	mkdir -p "$blobs"
	hex=$(sha256sum <"$1" | head -c 64)
	cp "$1" "$blobs/$hex"
	echo "sha256:$hex"
}
twice() {
	local digest
	daemons
	mkdir tree
	head -c 100000 /dev/urandom >tree/file
	tar -cf layer.tar -C tree .
	digest=$(put layer.tar)
	daemon_start
	client <<-END
		for n in "one", "two":
		    mounts = c.prepare(key="k" + n).mounts
		    c.apply(diff={"digest": "$digest", "media_type": "application/vnd.oci.image.layer.v1.tar",
		                  "size": $(stat -c %s layer.tar)}, mounts=mounts)
		    c.commit(name=n, key="k" + n)
		assert sorted(c.names()) == ["one", "two"]
	END
	# The second tree goes without any other call.
	wait_for 10 sh -c "[ \$(ls -d '$ROOT'/layers/[0-9]* '$ROOT'/active/[0-9]* 2>/dev/null | wc -l) = 1 ]"
	same "" "$(find "$ROOT/staging" -mindepth 2)"
}
case_ "a layer that is committed twice is there once" twice

slow_scraper() {
	daemons
	daemon_start --metrics "$CASE/m.sock"
	"$PYTHON" - "$CASE/m.sock" <<-'END' &
		import socket, sys, time
		s = socket.socket(socket.AF_UNIX)
		s.connect(sys.argv[1])
		for byte in b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 4000:
		    s.send(bytes([byte]))
		    open("begun", "w").close()
		    time.sleep(1)
	END
	wait_for 10 [ -e begun ]
	# Others are answered when its time is over.
	curl -s --max-time 10 --unix-socket m.sock http://localhost/metrics | has snapdrvd_snapshots
	rm begun
	"$PYTHON" -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
open("begun", "w").close()
time.sleep(60)' "$CASE/m.sock" &
	wait_for 10 [ -e begun ]
	ends_soon
}
case_ "a scraper that is slow keeps neither others waiting nor the daemon alive" slow_scraper

# A containerd whose content service takes each call and says nothing.
stuck() {
	daemons
	"$PYTHON" - "$CASE/c.sock" <<-'END' &
		import concurrent.futures, sys, threading, grpc
		class Silent(grpc.GenericRpcHandler):
		    def service(self, details):
		        def wait(request, context):
		            open("asked", "w").close()
		            over = threading.Event()
		            context.add_callback(over.set)
		            over.wait()
		            yield b""
		        return grpc.unary_stream_rpc_method_handler(wait)
		server = grpc.server(concurrent.futures.ThreadPoolExecutor(64), handlers=[Silent()])
		server.add_insecure_port(f"unix:{sys.argv[1]}")
		server.start()
		server.wait_for_termination()
	END
	wait_for 10 [ -S c.sock ]
	daemon_start
	client <<-'END'
		import threading
		prepared = c.prepare(key="k").mounts
		service = "/containerd.services.diff.v1.Diff/Apply"
		request = c.message("containerd.services.diff.v1.ApplyRequest")(diff={
		    "digest": "sha256:" + "0" * 64, "size": 5, "media_type": "application/vnd.oci.image.layer.v1.tar"}, mounts=prepared)
		calls = [c.channel.unary_unary(service).future(request.SerializeToString(), timeout=2,
		                                               metadata=(("containerd-namespace", "default"),)) for _ in range(40)]
		for call in calls:
		    try:
		        call.result()
		        sys.exit("it works")
		    except grpc.RpcError as error:
		        assert error.code().name == "DEADLINE_EXCEEDED", error
		# All threads are free again.
		assert c.names() == ["k"]
		# A namespace that no header can have.
		fails("INVALID_ARGUMENT", c.with_namespace("x").apply, diff={"digest": "sha256:0"})
	END
	[ -e asked ]
	ends_soon
}
case_ "a containerd that does not answer keeps nobody longer than he wants to wait" stuck
