# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# To be sourced after lib.sh: snapdrvd, and real containerds with it as their plugin, each with a root, a state
# directory and a socket below $CASE. A case that starts them begins with `daemons`; what it leaves running
# ends with it.
#
#	daemon_start [OPTION...]	snapdrvd over $ROOT on $CASE/d.sock; its log is $CASE/d.log
#	daemon_stop [SIGNAL]		end it, and wait
#	[CRI=1] containerd_start old|new|plain	Debian 12's; Debian 13's, or that with its own differ; with the CRI plugin
#	containerd_stop [SIGNAL]
#	ctr ...				its client

SNAPDRVD=${SNAPDRVD:-$(dirname "$SNAPDRV")/snapdrvd}
PROTO=$(dirname "$SNAPDRVD")/gen/wire/pb/proto


# runc and programs of containerd keep things here whatever they are told.

mount -t tmpfs none /run || exit 1

daemons() {
	trap 'daemons_end; kill -9 $(jobs -p) 2>/dev/null || :' EXIT
}

daemons_end() {
	local pid dir
	for dir in /run/containerd/runc/*/*/; do
		[ ! -d "$dir" ] || runc --root "$(dirname "$dir")" delete --force "$(basename "$dir")" || :
	done
	for pid in $(pgrep -f "containerd-shim.* -address $CASE/"); do
		kill -9 "$pid"
	done
	[ ! -f "$CASE/c.pid" ] || kill -9 "$(<"$CASE/c.pid")" 2>/dev/null || :
	[ ! -f "$CASE/d.pid" ] || kill -9 "$(<"$CASE/d.pid")" 2>/dev/null || :
	# What containerd had mounted for a container that a failed case left.
	read_mounts "$CASE/c/state"
	for dir in "${MOUNTS[@]}"; do
		umount -l "$dir"
	done
}

daemon_start() {
	TMPDIR=$CASE/tmp "$SNAPDRVD" --address "$CASE/d.sock" --root "$ROOT" --containerd "$CASE/c.sock" \
		--content "$CASE/c/root/io.containerd.content.v1.content" "$@" 2>>"$CASE/d.log" &
	echo $! >"$CASE/d.pid"
	wait_for 10 daemon_answers
}
daemon_answers() {
	kill -0 "$(<"$CASE/d.pid")" && [ -S "$CASE/d.sock" ]
}

# stop FILE SIGNAL: of a child of this shell. Return: its exit status.
stop() {
	local pid
	pid=$(<"$1")
	rm "$1"
	kill -s "$2" "$pid"
	wait "$pid" 2>/dev/null
}
daemon_stop() {
	stop "$CASE/d.pid" "${1:-TERM}"
}

containerd_start() {
	case $1 in
	old) CONTAINERD=$(dirname "$(command -v containerd)") ;;
	new | plain) CONTAINERD=$("$TOOLS/newcontainerd") || fail_ "no containerd of Debian 13" ;;
	esac
	mkdir -p "$CASE/c"
	# The README's configuration; before containerd 1.7 there were no differs in it.
	sed -n '/^```toml$/,/^```$/{ /^```/d; p; }; /^## The house/q' "$TOP/README.md" |
		sed "s|/run/snapdrv/snapdrvd.sock|$CASE/d.sock|" |
		awk -v version="$1" -v cri="${CRI:-}" '
			/^#/ { next }
			/^\[/ { leave = (version != "new" && /diff/) || (!cri && /cri/) }
			!leave' >"$CASE/c.toml"
	sed -i "/^version/r /dev/stdin" "$CASE/c.toml" <<-END
		root = "$CASE/c/root"
		state = "$CASE/c/state"
		$([ -n "${CRI:-}" ] || echo 'disabled_plugins = ["io.containerd.grpc.v1.cri"]')
		[grpc]
		  address = "$CASE/c.sock"
		[ttrpc]
		  address = "$CASE/c.sock.ttrpc"
		[plugins."io.containerd.internal.v1.opt"]
		  path = "$CASE/c/opt"
	END
	PATH=$CONTAINERD:$PATH "$CONTAINERD/containerd" -c "$CASE/c.toml" >>"$CASE/c.log" 2>&1 &
	echo $! >"$CASE/c.pid"
	wait_for 20 ctr version
}
containerd_stop() {
	stop "$CASE/c.pid" "${1:-TERM}" || [ "${1:-TERM}" = KILL ]
}

ctr() {
	timeout 120 "$CONTAINERD/ctr" -a "$CASE/c.sock" "$@"
}

# counted NAME: the sum of the counts that $CASE/m.sock tells of, of all lines that start with NAME.
counted() {
	curl -s --unix-socket "$CASE/m.sock" http://localhost/metrics | awk -v name="$1" \
		'index($0, name) == 1 { sum += $NF } END { print sum + 0 }'
}

# client SCRIPT [ARGUMENT...]: a Python program from stdin that has `c`, a client of $CASE/d.sock, and `fails`.
client() {
	{
		echo 'import sys; from rpc import *; c = Client(sys.argv[1], sys.argv[2])'
		cat
	} | PYTHONPATH=$TOOLS TMPDIR=$CASE /usr/bin/python3 - "$CASE/d.sock" "$PROTO" "$@" || fail_ "the client failed"
}
