# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# To be sourced after lib.sh: snapdrvd, and real containerds with it as their plugin, each with a root, a state
# directory and a socket below $CASE. A case that starts them begins with `daemons`; what it leaves running
# ends with it.
#
#	daemon_start [OPTION...]	snapdrvd over $ROOT on $CASE/d.sock; its log is $CASE/d.log
#	daemon_stop [SIGNAL]		end it, and wait
#	containerd_start old|new	Debian 12's or Debian 13's; the first argument for ctr() from then on
#	containerd_stop [SIGNAL]
#	ctr ...				its client

SNAPDRVD=${SNAPDRVD:-$(dirname "$SNAPDRV")/snapdrvd}

# Programs of containerd keep sockets here whatever they are told.
mkdir -p /run/containerd
mount -t tmpfs none /run/containerd || exit 1

daemons() {
	trap 'daemons_end; kill -9 $(jobs -p) 2>/dev/null || :' EXIT
}

daemons_end() {
	local pid
	for pid in $(pgrep -f "containerd-shim.* -address $CASE/"); do
		kill -9 "$pid"
	done
	[ ! -f "$CASE/c.pid" ] || kill -9 "$(cat "$CASE/c.pid")" 2>/dev/null || :
	[ ! -f "$CASE/d.pid" ] || kill -9 "$(cat "$CASE/d.pid")" 2>/dev/null || :
}

daemon_start() {
	TMPDIR=$CASE/tmp "$SNAPDRVD" --address "$CASE/d.sock" --root "$ROOT" --containerd "$CASE/c.sock" \
		--content "$CASE/c/root/io.containerd.content.v1.content" "$@" 2>>"$CASE/d.log" &
	echo $! >"$CASE/d.pid"
	wait_for 10 daemon_answers
}
daemon_answers() {
	kill -0 "$(cat "$CASE/d.pid")" && [ -S "$CASE/d.sock" ]
}

# stop FILE SIGNAL: of a child of this shell. Return: its exit status.
stop() {
	local pid
	pid=$(cat "$1")
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
	new) CONTAINERD=$("$TOOLS/newcontainerd") || fail_ "no containerd of Debian 13" ;;
	esac
	mkdir -p "$CASE/c"
	cat >"$CASE/c.toml" <<-END
		version = 2
		root = "$CASE/c/root"
		state = "$CASE/c/state"
		disabled_plugins = ["io.containerd.grpc.v1.cri"]
		[grpc]
		  address = "$CASE/c.sock"
		[ttrpc]
		  address = "$CASE/c.sock.ttrpc"
		[plugins."io.containerd.internal.v1.opt"]
		  path = "$CASE/c/opt"
		[proxy_plugins.snapdrv]
		  type = "snapshot"
		  address = "$CASE/d.sock"
	END
	# A differ as a proxy plugin: containerd 1.7.
	[ "$1" = old ] || cat >>"$CASE/c.toml" <<-END
		[proxy_plugins.snapdrv-diff]
		  type = "diff"
		  address = "$CASE/d.sock"
		[plugins."io.containerd.service.v1.diff-service"]
		  default = ["snapdrv-diff", "walking"]
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
