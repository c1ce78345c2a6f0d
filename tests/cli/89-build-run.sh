#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# build: what RUN gets and leaves, what is left behind when it fails, and what a terminal shows.
. "$(dirname "$0")/building.bash"

# ---- RUN --------------------------------------------------------------------------------------

what_run_has() {
	begin
	cat >context/Dockerfile <<-'END'
		FROM localhost/base:1
		ENV A=1 HOME=/home/app
		USER app
		WORKDIR /home/app/work
		RUN echo "$(id -un) $(pwd) $A $HOME" >result; cat /proc/net/dev | sed -n 's/:.*//p' >net; ls /dev >dev; hostname >name
		RUN ["/bin/sh", "-c", "echo exec $0 >exec", "form"]
		SHELL ["/bin/sh", "-e", "-c"]
		RUN echo "$-" >flags
		RUN <<FIRST cat >both; cat <<SECOND >>both
		1 $A
		FIRST
		2
		SECOND
		RUN <<EOF
		echo script >lone
		EOF
		RUN <<EOF
		#!/bin/cat
		a program
		EOF
	END
	build -t one
	[[ $ERR == *"a program"* ]] || fail_ "$ERR"
	rootfs one
	TREE=$TREE/home/app/work
	same "app /home/app/work 1 /home/app" "$(<"$TREE/result")"
	same lo "$(echo $(<"$TREE/net"))"
	same build "$(<"$TREE/name")"
	same "exec form" "$(<"$TREE/exec")"
	[[ $(<"$TREE/flags") == *e* ]] || fail_ "$(<"$TREE/flags")"
	same "1 1 2" "$(echo $(<"$TREE/both"))"
	same script "$(<"$TREE/lone")"
	same "1000:1000" "$(stat -c %u:%g "$TREE")"
	clean
}
case_ "RUN: user, directory, environment, no network but lo, both forms, here-documents" what_run_has

host_network() {
	begin
	dockerfile <<-'END'
		FROM localhost/base:1
		RUN readlink /proc/self/ns/net >/one
		RUN --network=none readlink /proc/self/ns/net >/two
	END
	build -t net --network host
	rootfs net
	same "$(readlink /proc/self/ns/net)" "$(<"$TREE/one")"
	[ "$(<"$TREE/one")" != "$(<"$TREE/two")" ] || fail_ "RUN --network=none has the host's"
	build
	same "1 1" "$(steps DONE ">/one") $(steps DONE ">/two")"
}
case_ "--network host gives RUN the host's network, RUN --network=none takes it away" host_network

no_traces() {
	begin
	dockerfile <<-'END'
		FROM localhost/base:1
		RUN rmdir /proc /sys /dev 2>/dev/null; rm -rf /etc/hosts /etc/resolv.conf 2>/dev/null; true
		FROM localhost/base:1
		COPY --from=localhost/base:1 /bin /other/
		FROM scratch
		COPY --from=localhost/base:1 /bin /bin
		RUN --mount=type=tmpfs,target=/a/b/c --mount=type=cache,target=/d true
		RUN --mount=type=tmpfs,target=/a/b/c --mount=type=cache,target=/d touch /new
	END
	build -t one
	rootfs one
	same "./bin ./new" "$(cd "$TREE" && echo $(find . -mindepth 1 -maxdepth 1 | sort))"
	config one
	# A step that changes nothing makes no layer.
	says 'len(d["rootfs"]["diff_ids"]) == 2'
	says '[h.get("empty_layer", False) for h in d["history"]] == [False, True, False]'
}
case_ "places that were made to be mounted on are not in the layers" no_traces

# ---- failures ---------------------------------------------------------------------------------

failing() {
	begin
	dockerfile <<-'END'
		FROM localhost/base:1

		RUN echo before >/before
		RUN echo "what it says" && \
		    touch /made && exit 3
	END
	expect_exit 1 snap build -t one context
	[[ $ERR == *"what it says"* && $ERR == *"snapdrv: build: Dockerfile:4: RUN echo \"what it says\" && "*": exit status 3" ]] || fail_ "$ERR"
	same "" "$OUT"
	expect_exit 0 snap ls -q
	same "" "$OUT"
	clean
	expect_exit 1 snap build -q context
	one_line_error "exit status 3"
	expect_exit 3 snap inspect one
	# What was done before is not done again.
	expect_exit 1 snap build context
	same 1 "$(steps CACHED before)"
	expect_exit 1 snap build -q --keep context
	name=${ERR##* }
	[[ $ERR == *"exit status 3; the container is kept as $name" ]] || fail_ "$ERR"
	expect_exit 0 snap ls -q
	same "$name" "$OUT"
	expect_exit 0 snap diff "$name"
	same "A /made" "$(grep -v '^C /$' <<<"$OUT")"
	expect_exit 0 snap mount "$name"
	[ -e "$OUT/before" ] && [ -e "$OUT/made" ] || fail_ "$(ls "$OUT")"
	expect_exit 0 snap rm "$name"
	clean
}
case_ "a failing RUN ends the build with its line and status, and leaves nothing, or what --keep asks for" failing

# running NAME: a process of a build with this name in its arguments is there.
running() {
	pgrep -f "sleep $1" >/dev/null
}
gone() {
	! running "$1"
}

# checked: `check` finds nothing wrong, and nothing that is left over.
checked() {
	expect_exit 0 snap --json check --deep
	holds 'd["check"]["findings"] == [] and d["check"]["damaged"] == 0 and d["check"]["layers"] > 0'
}

killed() {
	local number=$((90000 + RANDOM)) pid
	begin
	dockerfile <<-END
		FROM localhost/base:1
		RUN echo done >/done
		RUN --mount=type=cache,target=/c touch /left /c/left; sleep $number
	END
	"$SNAPDRV" --root "$ROOT" build -q context 2>/dev/null &
	pid=$!
	wait_for 20 running "$number"
	kill -9 $pid
	wait $pid 2>/dev/null || :
	wait_for 10 gone "$number"
	expect_exit 0 snap ls -q
	same "" "$OUT"
	clean
	expect_exit 0 snap --json gc -n
	holds '[r["count"] for r in d["gc"]["freed"] if r["type"] == "strays"] == [0]'
	checked
	sed -i '$d' context/Dockerfile
	build
	same 1 "$(steps CACHED done)"
}
case_ "a build that is killed takes its container along; the next opening finds a clean store" killed

interrupted() {
	local number=$((90000 + RANDOM)) pid status=0
	begin
	dockerfile <<-END
		FROM localhost/base:1
		RUN trap '' INT TERM; touch /left; sleep $number
	END
	# A job of a script ignores SIGINT from the start.
	"$PYTHON" -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$SNAPDRV" --root "$ROOT" build context 2>errors &
	pid=$!
	wait_for 20 running "$number"
	kill -INT $pid
	wait $pid || status=$?
	same 130 "$status"
	gone "$number" || fail_ "it still runs"
	[[ $(<errors) == *"snapdrv: build: "*": cancelled" ]] || fail_ "$(<errors)"
	# Nobody has opened the store since.
	clean
}
case_ "^C ends a build at once, and leaves nothing" interrupted

# A registry that takes the connection and says nothing is waited for, but not by who does not want it any more.
silent_registry() {
	local pid port status=0 tries
	begin
	"$PYTHON" -c 'import socket, time
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], file=open("port.new", "w"), flush=True)
import os
os.rename("port.new", "port")
connections = []
while True:
    connections.append(server.accept())
    open("asked", "w").close()' &
	wait_for 10 [ -e port ]
	port=$(<port)
	dockerfile <<<"FROM localhost:$port/nothing:1"
	for tries in 1 2; do
		rm -f asked
		"$SNAPDRV" --root "$ROOT" build --plain-http context >out 2>errors &
		pid=$!
		wait_for 20 [ -e asked ]
		kill -TERM $pid
		# The second one ends it at once, or the ten seconds do.
		[ $tries = 1 ] || { sleep 1; kill -TERM $pid 2>/dev/null || :; }
		wait_for "$((tries == 1 ? 15 : 4))" sh -c "! kill -0 $pid"
		status=0
		wait $pid || status=$?
		same 143 "$status"
	done
	expect_exit 0 snap ls
	clean
}
case_ "a build that waits for a registry ends ten seconds after SIGTERM, and at once with the second one" silent_registry

refusals() {
	begin
	dockerfile <<<$'FROM localhost/base:1\nRUN touch /never\nCPOY a b\n'
	WORDS=("Dockerfile:3")
	refused 5 snap build -q context
	dockerfile <<<$'FROM localhost/base:1\nRUN touch /never\nCOPY --from=later a b\nFROM localhost/base:1 AS later\n'
	expect_exit "3 5" snap build -q --pull never context
	dockerfile <<<$'FROM localhost/base:1\nCOPY ../outside /\n'
	WORDS=("Dockerfile:2")
	refused 5 snap build -q context
	ln -s /etc context/link
	dockerfile <<<$'FROM localhost/base:1\nCOPY link/passwd /\n'
	WORDS=("Dockerfile:2")
	refused 5 snap build -q context
	dockerfile <<<$'FROM localhost/base:1\nCOPY missing /\n'
	WORDS=("Dockerfile:2" missing)
	refused 5 snap build -q context
	dockerfile <<<$'FROM nowhere/image:1\n'
	WORDS=("Dockerfile:1")
	refused 3 snap build -q --pull never context
	dockerfile <<<$'FROM localhost/base:1\nUSER nobody-of-that-name\nRUN true\n'
	WORDS=("Dockerfile:3" nobody)
	refused 5 snap build -q context
	truncate -s 100M context/Dockerfile
	WORDS=()
	refused 5 snap build -q context
	refused 3 snap build -q nowhere
	refused 2 snap build -q -t 'Not A Name' context
	refused 2 snap build -q --secret nothing context
	refused 2 snap build -q --network some context
}
case_ "what is wrong with a Dockerfile is refused with its line, and nothing is done" refusals

# ---- terminals --------------------------------------------------------------------------------

# screen FILE: what is left on a terminal that shows all of it, and before that, line by line, what it had shown.
screen() {
	python - "$1" <<-'END'
		import re, sys
		with open(sys.argv[1], encoding="utf-8", newline="") as file:
		    text = file.read().replace("\r", "")
		shown, seen = [""], []
		for part in re.split(r"(\x1b\[\d+A|\x1b\[J|\n)", text):
		    if re.fullmatch(r"\x1b\[\d+A", part):
		        seen += shown
		        del shown[len(shown) - 1 - int(part[2:-1]):]
		        shown.append("")
		    elif part == "\n":
		        shown.append("")
		    elif part != "\x1b[J":
		        assert "\x1b" not in part, part
		        shown[-1] += part
		print("\n".join(shown).rstrip("\n"))
		print("before:")
		print("\n".join(seen))
	END
}
on_terminal() {
	begin
	dockerfile <<-'END'
		FROM localhost/base:1
		RUN echo first; printf 'odd \033[31mcolour\n'; sleep 1; echo last
		RUN echo made >/made
	END
	script -qec "stty cols 80; $SNAPDRV --root $ROOT build -t seen context" typed >/dev/null
	screen typed | sed '/^Script /d' >seen
	# What is through stays, a line for each step; of its output nothing does.
	sed '/^before:/,$d; /^$/d' seen | sed -E 's/ +[0-9.]+s$/ TIME/; s/ +CACHED$/ CACHED/' >left
	diff - left <<-END || fail_ "$(<seen)"
		=> [1/3] FROM localhost/base:1 CACHED
		=> [2/3] RUN echo first; printf 'odd \\033[31mcolour\\n'; sleep 1; echo last TIME
		=> [3/3] RUN echo made >/made TIME
		$(snap --json inspect seen | pick 'list(d.values())[0][0]["Id"]')
	END
	# What runs shows its time and the last line of its output, which cannot reach the terminal.
	sed '1,/^before:/d' seen | grep -E '^=> \[2/3\] RUN .* [0-9.]+s$'
	sed '1,/^before:/d' seen | grep -E '^=> # odd .*colour'
	script -qec "$SNAPDRV --root $ROOT build --no-cache --progress plain context" typed >/dev/null
	grep -q 'odd .*colour' typed
	if grep -q $'\033\[31m' typed; then fail_ "the output of a step reached the terminal"; fi
	# auto is plain where there is no terminal, and --progress tty draws anyway.
	expect_exit 0 snap build context
	[[ $ERR == *"#1 [1/3] FROM"* && $ERR != *"=> ["* ]] || fail_ "$ERR"
	expect_exit 0 snap build --progress tty context
	[[ $ERR == *"=> [1/3] FROM"*CACHED* ]] || fail_ "$ERR"
	printf 'FROM localhost/base:1\nRUN echo why; exit 3\n' >context/Dockerfile
	if script -qec "stty cols 80; $SNAPDRV --root $ROOT build context" typed >/dev/null; then fail_ "it works"; fi
	screen typed | sed '/^before:/,$d' >seen
	grep -x '   | why' seen || fail_ "the output of what failed is not there: $(<seen)"
	grep 'snapdrv: build: Dockerfile:2: RUN echo why; exit 3: exit status 3' seen
	clean
}
case_ "on a terminal steps that run are drawn anew, those that are through stay, a failure shows its output" on_terminal

exit $FILE_STATUS
