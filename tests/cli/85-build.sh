#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# build: steps, their cache, what RUN gets and leaves, what is left behind when it fails.
. "$(dirname "$0")/../lib.sh"
. "$TOOLS/registry.sh"

"$TOOLS/buildcheck" base "$WORK/base.tar" || exit 1

# begin: a store with the base image, and a context.
begin() {
	expect_exit 0 snap load "$WORK/base.tar"
	mkdir -p context
}

# dockerfile: the context's, from stdin.
dockerfile() {
	cat >context/Dockerfile
}

# build [OPTION...]: the context; OUT is the image ID, ERR the steps.
build() {
	expect_exit 0 snap build --progress plain "$@" context
}

# steps STATUS TEXT: how many steps of the last `build` whose text has TEXT are CACHED or DONE.
steps() {
	awk -v status="$1" -v text="$2" '
		/^#[0-9]+ \[/ { title[$1] = $0 }
		$2 == status && index(title[$1], text) { n++ }
		END { print n + 0 }' <<<"$ERR"
}

# rootfs IMAGE: TREE is the tree of a new container of it.
rootfs() {
	expect_exit 0 snap create "$1"
	TREE=$OUT
}

# config IMAGE: CONFIG is its config document.
config() {
	local id
	expect_exit 0 snap --json inspect "$1"
	id=$(pick 'list(d.values())[0][0]["Id"]' <"$CASE/.stdout")
	CONFIG=$ROOT/content/sha256/${id#*:}
}
# says EXPRESSION: it is true of CONFIG.
says() {
	cp "$CONFIG" "$CASE/.stdout"
	OUT=$(cat "$CONFIG")
	holds "$1"
}

# clean: nothing is left of builds but what they made.
clean() {
	same "" "$(ls "$ROOT/staging")"
	same "" "$(mounts_under "$ROOT" | grep -v "/containers/[^/]*/rootfs$" || :)"
	# Those of others on this machine go when they are through.
	for group in $(find /sys/fs/cgroup -maxdepth 2 -name 'snapdrv-*' 2>/dev/null); do
		wait_for 60 [ ! -e "$group" ]
	done
}

# ---- what comes of it -------------------------------------------------------------------------

realistic() {
	begin
	mkdir context/src
	echo 'echo program' >context/src/program
	dockerfile <<-'END'
		ARG BASE=localhost/base:1
		FROM $BASE AS build
		WORKDIR /src
		COPY src/ .
		RUN cat program >/program && chmod 755 /program
		FROM scratch
		COPY --from=build /program /bin/program
		LABEL made.by="a test"
		ENTRYPOINT ["/bin/program"]
	END
	build -t app -t app:2 --label extra=1 --iidfile iid
	[[ $OUT =~ ^sha256:[0-9a-f]{64}$ ]] || fail_ "not an image ID: $OUT"
	same "$OUT" "$(cat iid)"
	[[ $ERR == *"[build 3/4] COPY src/ ."* && $ERR == *"[stage-1 2/2] COPY --from=build"* ]] || fail_ "$ERR"
	id=$OUT
	config app:2
	says 'd["config"]["Labels"] == {"made.by": "a test", "extra": "1"}'
	says 'd["config"]["Entrypoint"] == ["/bin/program"] and len(d["rootfs"]["diff_ids"]) == 1'
	says '[h["created_by"] for h in d["history"]] == ["COPY /program /bin/program", "LABEL made.by=a test", "ENTRYPOINT [\"/bin/program\"]"]'
	says '[h.get("empty_layer", False) for h in d["history"]] == [False, True, True]'
	says 'all("created" in h for h in d["history"])'
	rootfs "$id"
	same "./bin ./bin/program" "$(cd "$TREE" && echo $(find . -mindepth 1 | sort))"
	same "echo program" "$(cat "$TREE/bin/program")"
	expect_exit 0 snap images
	[[ $OUT == *app*2* ]] || fail_ "$OUT"
	clean
}
case_ "a stage is built and copied from; names, labels and history are as they should be" realistic

from_input() {
	begin
	echo hello >context/file
	dockerfile <<<$'FROM localhost/base:1\nCOPY file /file\n'
	tar -C context -cz . >context.tar.gz
	expect_exit 0 snap build -q -t one context
	one=$OUT
	expect_exit 0 snap build -q - <context.tar.gz
	same "$one" "$OUT"
	expect_exit 0 snap build -q - <<<$'FROM localhost/base:1\nRUN echo alone >/alone\n'
	rootfs "$OUT"
	same alone "$(cat "$TREE/alone")"
	expect_exit 0 snap build -q -f - context <<<$'FROM localhost/base:1\nCOPY file /other\n'
	rootfs "$OUT"
	same hello "$(cat "$TREE/other")"
	clean
}
case_ "a tar, or a Dockerfile alone, comes from standard input" from_input

json() {
	begin
	dockerfile <<<$'FROM localhost/base:1 AS one\nRUN echo 1 >/1\nENV A=b\n'
	expect_exit 0 snap --json build context
	same "" "$ERR"
	holds 'd["build"]["id"].startswith("sha256:")'
	holds '[(s["stage"], s["step"], s["steps"], s["status"]) for s in d["build"]["steps"]] == [("one", 1, 2, "cached"), ("one", 2, 2, "done")]'
	holds 'd["build"]["steps"][1]["text"] == "RUN echo 1 >/1" and d["build"]["steps"][1]["duration_ns"] > 0'
	expect_exit 0 snap --json build context
	holds '[s["status"] for s in d["build"]["steps"]] == ["cached", "cached"]'
}
case_ "--json gives one document with the steps" json

# ---- the cache --------------------------------------------------------------------------------

cached() {
	begin
	echo 1 >context/file
	dockerfile <<-'END'
		FROM localhost/base:1
		WORKDIR /work
		COPY file .
		RUN cat file >copy; date +%N >when
	END
	build -t one
	same "3 0" "$(steps DONE "") $(steps CACHED COPY)"
	one=$OUT
	touch -d '2001-01-01' context/file
	build -t two
	same "0 4" "$(steps DONE "") $(steps CACHED "")"
	same "$one" "$OUT"
	# Another stage, file and name, the same steps.
	sed -e 's/localhost.*/& AS first/' -e '$a LABEL a=b' context/Dockerfile >other
	expect_exit 0 snap build --progress plain -f other context
	same "0 4" "$(steps DONE "") $(steps CACHED "")"
	# Its content, its mode: another one.
	echo 2 >context/file
	build
	same "2 2" "$(steps DONE "") $(steps CACHED "")"
	chmod 600 context/file
	build
	same "2 2" "$(steps DONE "") $(steps CACHED "")"
	build --no-cache
	same "3 1" "$(steps DONE "") $(steps CACHED "")"
	clean
}
case_ "a step is cached by its parent, instruction and content, not the times; --no-cache does all again" cached

cached_images() {
	begin
	dockerfile <<<$'FROM localhost/base:1\nRUN echo 1 >/1\nRUN true\nRUN echo 2 >/2\n'
	build -t one
	expect_exit 0 snap rmi one
	build -t one
	same 0 "$(steps DONE "")"
	expect_exit 0 snap rmi one
	expect_exit 0 snap df
	expect_exit 0 snap --json df
	holds '[t["reclaimable"] > 0 for t in d["df"]["types"] if t["type"] == "layers"] == [True]'
	expect_exit 0 snap --json gc
	holds '[r["count"] for r in d["gc"]["freed"] if r["type"] == "layers"] == [2]'
	build -t one
	same "3 1" "$(steps DONE "") $(steps CACHED "")"
	# What an image has stays.
	expect_exit 0 snap gc
	build -t one
	same 0 "$(steps DONE "")"
	expect_exit 0 snap rmi one localhost/base:1 localhost/onbuild:1
	expect_exit 0 snap gc
	expect_exit 0 snap info
	[[ $OUT == *"Layers: 0"* ]] || fail_ "$OUT"
	same "" "$(ls "$ROOT/content/sha256")"
}
case_ "the cache survives rmi, is counted by df, and taken by gc where no image has it" cached_images

while_building() {
	local number=$((90000 + RANDOM)) pid
	begin
	dockerfile <<-END
		FROM localhost/base:1
		RUN echo 1 >/1
		RUN --mount=type=cache,target=/c,sharing=locked touch /c/file; while [ ! -e /c/go ]; do sleep 0.$number; done
		RUN cat /1 >/2
	END
	"$SNAPDRV" --root "$ROOT" build -q -t one context >id 2>err &
	pid=$!
	wait_for 20 compgen -G "$ROOT/caches/*/file"
	expect_exit 0 snap --json gc
	holds 'all(r["count"] == 0 for r in d["gc"]["freed"])'
	touch "$(echo "$ROOT"/caches/*)/go"
	wait $pid || fail_ "$(cat err)"
	rootfs one
	same 1 "$(cat "$TREE/2")"
	clean
}
case_ "gc takes nothing of a build that goes on, neither steps nor caches" while_building

copied_from() {
	begin
	dockerfile <<-'END'
		FROM localhost/base:1 AS one
		ARG WHICH=1
		RUN echo same >/kept; echo $WHICH >/other
		FROM scratch
		COPY --from=one /kept /
		COPY --from=localhost/base:1 /etc/passwd /users
	END
	build
	same 3 "$(steps DONE "")"
	build
	same 0 "$(steps DONE "")"
	# The stage is another one; what is copied of it is not.
	build --build-arg WHICH=2
	same "1 1 1" "$(steps DONE RUN) $(steps CACHED /kept) $(steps CACHED /users)"
	build --build-arg WHICH=2
	same 0 "$(steps DONE "")"
}
case_ "COPY --from is cached by the content that it takes" copied_from

arguments() {
	begin
	dockerfile <<-'END'
		FROM localhost/base:1
		ARG SEEN=default
		RUN echo "$SEEN" >/seen
		ARG LATER
		RUN echo "$LATER,$NEVER,$http_proxy" >/later
	END
	build -t one --build-arg LATER=1 --build-arg NEVER=1 --build-arg http_proxy=http://there
	[[ $ERR == *"WARNING: build argument 'NEVER': no ARG asks for it"* ]] || fail_ "$ERR"
	[[ $ERR != *"argument 'http_proxy'"* ]] || fail_ "$ERR"
	rootfs one
	same "default 1,,http://there" "$(echo $(cat "$TREE/seen" "$TREE/later"))"
	build --build-arg LATER=1 --build-arg http_proxy=http://elsewhere
	same "0" "$(steps DONE RUN)"
	build --build-arg LATER=2
	same "1 1" "$(steps DONE '>/later') $(steps CACHED '>/seen')"
	build --build-arg SEEN=x --build-arg LATER=2
	same "2" "$(steps DONE RUN)"
	LATER=2 build --build-arg LATER
	same "0" "$(steps DONE RUN)"
	config one
	says 'd["history"][-1]["created_by"].startswith("RUN |2 SEEN=default LATER=1 /bin/sh -c")'
}
case_ "ARGs are in the environment of RUN and in its key; proxies in the environment alone" arguments

target() {
	begin
	dockerfile <<-'END'
		FROM localhost/base:1 AS one
		RUN echo one >/one
		FROM localhost/base:1 AS never
		RUN exit 9
		FROM one AS two
		RUN echo two >/two
		FROM localhost/base:1
		RUN exit 8
	END
	build -t two --target two
	same "1 1 0" "$(steps DONE one) $(steps DONE two) $(grep -c never <<<"$ERR" || :)"
	build -t one --target 0
	rootfs two
	same "one two" "$(echo $(cat "$TREE/one" "$TREE/two"))"
	rootfs one
	[ ! -e "$TREE/two" ] || fail_ "the wrong stage"
	expect_exit 3 snap build -q --target none context
	one_line_error "no stage 'none'"
}
case_ "--target builds that stage and those that it needs" target

side_by_side() {
	begin
	dockerfile <<-'END'
		FROM localhost/base:1 AS one
		RUN --mount=type=cache,target=/c,id=meet touch /c/one; for i in $(seq 100); do [ -e /c/two ] && touch /met && exit; sleep 0.1; done; exit 1
		FROM localhost/base:1 AS two
		RUN --mount=type=cache,target=/c,id=meet touch /c/two; for i in $(seq 100); do [ -e /c/one ] && touch /met && exit; sleep 0.1; done; exit 1
		FROM scratch
		COPY --from=one /met /one
		COPY --from=two /met /two
	END
	build -t both
	rootfs both
	[ -e "$TREE/one" ] && [ -e "$TREE/two" ] || fail_ "not both"
	clean
}
case_ "stages that do not need each other are built side by side" side_by_side

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
	same "app /home/app/work 1 /home/app" "$(cat "$TREE/result")"
	same lo "$(echo $(cat "$TREE/net"))"
	same build "$(cat "$TREE/name")"
	same "exec form" "$(cat "$TREE/exec")"
	[[ $(cat "$TREE/flags") == *e* ]] || fail_ "$(cat "$TREE/flags")"
	same "1 1 2" "$(echo $(cat "$TREE/both"))"
	same script "$(cat "$TREE/lone")"
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
	same "$(readlink /proc/self/ns/net)" "$(cat "$TREE/one")"
	[ "$(cat "$TREE/one")" != "$(cat "$TREE/two")" ] || fail_ "RUN --network=none has the host's"
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

mounts() {
	begin
	mkdir -p context/dir
	echo content >context/dir/file
	echo hidden >context/dir/hidden
	echo dir/hidden >context/.dockerignore
	dockerfile <<-'END'
		FROM localhost/base:1 AS other
		RUN mkdir /given && echo other >/given/file
		FROM localhost/base:1
		RUN --mount=type=bind,source=dir,target=/in cat /in/file >/1 && ls /in >/2 && ! touch /in/x
		RUN --mount=type=bind,from=other,source=/given,target=/in,rw cat /in/file >/3 && echo gone >/in/file && touch /in/new
		RUN --mount=type=bind,source=dir/file,target=/in/one cat /in/one >/4
		RUN --mount=type=cache,target=/cache,uid=1000,mode=0750 stat -c '%u %a' /cache >/5; echo kept >/cache/file
		RUN --mount=type=cache,target=/cache cat /cache/file >/6
		RUN --mount=type=tmpfs,target=/t,size=65536 ! dd if=/dev/zero of=/t/x bs=1k count=100 2>/dev/null
	END
	build -t one
	rootfs one
	same "content file other content 1000 750 kept" "$(echo $(cat "$TREE"/[1-6]))"
	[ ! -e "$TREE/in" ] && [ ! -e "$TREE/cache" ] && [ ! -e "$TREE/t" ] || fail_ "$(ls "$TREE")"
	build
	same 0 "$(steps DONE "")"
	echo more >>context/dir/hidden
	build
	same 0 "$(steps DONE "")"
	echo more >>context/dir/file
	build
	[ "$(steps DONE source=dir,)" = 1 ] || fail_ "$ERR"
	expect_exit 0 snap --json df
	holds '[t["count"] for t in d["df"]["types"] if t["type"] == "caches"] == [1]'
	expect_exit 0 snap --json gc
	holds '[r["count"] for r in d["gc"]["freed"] if r["type"] == "caches"] == [1]'
	same "" "$(ls "$ROOT/caches")"
	expect_exit 0 snap --json df
	holds '[t["count"] for t in d["df"]["types"] if t["type"] == "caches"] == [0]'
	clean
}
case_ "RUN --mount: binds of the context and of a stage, caches that are kept, tmpfs" mounts

secrets() {
	begin
	printf 'a secret in a file' >secret
	dockerfile <<-'END'
		FROM localhost/base:1
		RUN --mount=type=secret,id=file cat /run/secrets/file | wc -c >/size; stat -c '%a %u' /run/secrets/file >/mode
		RUN --mount=type=secret,id=env,env=TOKEN --mount=type=secret,id=env,target=/etc/token [ "$TOKEN" = "$(cat /etc/token)" ] && echo yes >/same
		RUN --mount=type=secret,id=none [ ! -e /run/secrets/none ]
	END
	TOKEN_HERE="another one: s3cr3t" build -t one --secret id=file,src=secret --secret id=env,env=TOKEN_HERE
	rootfs one
	same "18 400 0 yes" "$(echo $(cat "$TREE"/{size,mode,same}))"
	[ ! -e "$TREE/etc/token" ] && [ -z "$(ls "$TREE/run")" ] || fail_ "$(find "$TREE/run" "$TREE/etc")"
	! grep -rlE "a secret in a file|s3cr3t" "$ROOT" || fail_ "a secret is in the store"
	# It is no part of what the step is known by.
	build
	same 0 "$(steps DONE "")"
	dockerfile <<<$'FROM localhost/base:1\nRUN --mount=type=secret,id=none,required=true true\n'
	expect_exit 3 snap build -q context
	one_line_error "Dockerfile:2" "secret 'none': nobody gave it"
}
case_ "secrets are files or variables of the step, and in no layer, history or file of the store" secrets

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
	[[ $(cat errors) == *"snapdrv: build: "*": cancelled" ]] || fail_ "$(cat errors)"
	# Nobody has opened the store since.
	clean
}
case_ "^C ends a build at once, and leaves nothing" interrupted

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

# ---- drivers, times, others -------------------------------------------------------------------

epoch() {
	local one two
	begin
	mkdir context/dir
	echo 1 >context/dir/file
	dockerfile <<-'END'
		FROM localhost/base:1
		COPY dir /dir
		RUN mkdir /made && echo x >/made/file && ln /made/file /made/link && rm /etc/group && echo y >>/etc/passwd
		WORKDIR /srv/dir
		RUN rm -r /dir && mkdir /dir && ln -s x /dir/y
	END
	export SOURCE_DATE_EPOCH=1600000000
	build -t one
	one=$OUT
	config one
	says 'd["created"] == "2020-09-13T12:26:40Z"'
	says 'all(h["created"] == "2020-09-13T12:26:40Z" for h in d["history"][-4:])'
	rootfs one
	same "" "$(find "$TREE/dir" "$TREE/made" "$TREE/srv" "$TREE/etc/passwd" -newermt @1600000000)"
	sleep 1.1
	build -t one --no-cache
	same "$one" "$OUT"
	unset SOURCE_DATE_EPOCH
	# The one that the other drivers make, in a store beside this one.
	if [ "$BACKEND" = btrfs ]; then
		for driver in overlay vfs; do
			SNAPDRV_DRIVER=$driver expect_exit 0 "$SNAPDRV" --root "$CASE/$driver" load "$WORK/base.tar"
			SOURCE_DATE_EPOCH=1600000000 SNAPDRV_DRIVER=$driver expect_exit 0 \
				"$SNAPDRV" --root "$CASE/$driver" build -q context
			same "$one" "$OUT"
		done
	fi
}
case_ "with SOURCE_DATE_EPOCH the same build gives the same image, each time and on each driver" epoch

at_once() {
	local pids=() pid i
	begin
	dockerfile <<<$'FROM localhost/base:1\nRUN sleep 0.3; date +%N >/when\nRUN cat /when >/again\n'
	for i in 1 2 3; do
		"$SNAPDRV" --root "$ROOT" build -q -t "image:$i" context >"id.$i" 2>"err.$i" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || fail_ "$(cat err.*)"
	done
	for i in 1 2 3; do
		rootfs "image:$i"
		same "$(cat "$TREE/when")" "$(cat "$TREE/again")"
	done
	build
	same 0 "$(steps DONE "")"
	clean
}
case_ "several builds at once in one store" at_once

onbuild() {
	begin
	echo here >context/file
	dockerfile <<<$'FROM localhost/onbuild:1 AS one\nRUN cat /copied >/result\n'
	build -t one
	[[ $ERR == *"[one 2/4] RUN echo \$BASE >/triggered"* ]] || fail_ "$ERR"
	rootfs one
	same "yes here" "$(echo $(cat "$TREE/triggered" "$TREE/result"))"
	config one
	says '"OnBuild" not in d["config"] and "TRIGGERED=1" in d["config"]["Env"]'
	dockerfile <<<$'FROM localhost/onbuild:1\n'
	rm context/file
	expect_exit 5 snap build -q context
	one_line_error "Dockerfile:1: COPY file /copied"
}
case_ "ONBUILD of the base image runs at the start" onbuild

many_layers() {
	begin
	{
		echo "FROM localhost/base:1"
		for i in $(seq 70); do
			echo "COPY file /$i"
		done
		echo "RUN echo \$(ls / | wc -l) >/count"
	} >context/Dockerfile
	echo x >context/file
	build -t many
	rootfs many
	[ "$(cat "$TREE/count")" -gt 75 ] || fail_ "$(cat "$TREE/count")"
	config many
	says 'len(d["rootfs"]["diff_ids"]) == 72'
}
case_ "an image of 72 layers" many_layers

no_layers() {
	begin
	dockerfile <<<$'FROM scratch\nENV A=1\nCMD ["x"]\n'
	build -t none
	one=$OUT
	config none
	says 'd["config"]["Cmd"] == ["x"] and len(d["rootfs"]["diff_ids"]) == 1'
	build -t none
	same "$one" "$OUT"
}
case_ "an image without files gets an empty layer" no_layers

with_docker_tools() {
	begin
	dockerfile <<<$'FROM localhost/base:1\nRUN echo 1 >/1\nENV A=1\n'
	build -t one
	expect_exit 0 snap save one -o one.tar
	TMPDIR=$CASE expect_exit 0 skopeo --tmpdir "$CASE/tmp" --insecure-policy inspect --config oci-archive:one.tar
	holds '"A=1" in d["config"]["Env"]'
	TMPDIR=$CASE expect_exit 0 skopeo --tmpdir "$CASE/tmp" --insecure-policy copy --quiet oci-archive:one.tar "dir:$CASE/dir"
}
case_ "other tools read what was built" with_docker_tools

# ---- bases from registries, terminals -----------------------------------------------------------

registry_start registry

pulled_base() {
	skopeo copy -q --dest-tls-verify=false "docker-archive:$WORK/base.tar:localhost/base:1" "docker://$REGISTRY/lib/base:1"
	mkdir context
	echo new >new
	cp new context/new
	printf 'FROM %s/lib/base:1\nCOPY new /new\n' "$REGISTRY" >context/Dockerfile
	expect_exit 3 snap build -q --plain-http --pull never context
	one_line_error "Dockerfile:1: " "$REGISTRY/lib/base:1"
	build --plain-http -t with
	rootfs with
	same new "$(cat "$TREE/new")"
	[ -x "$TREE/bin/sh" ]
	# It is here now, and nobody is asked.
	kill -9 "${REGISTRY_PIDS[@]}"
	build --pull never -t again
	same 1 "$(steps CACHED 'COPY new')"
	clean
}
case_ "a base image that is missing is pulled, unless --pull never forbids it" pulled_base

# screen FILE: what is left on a terminal that shows all of it, and before that, line by line, what it had shown.
screen() {
	"$PYTHON" - "$1" <<-'END'
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
	diff - left <<-END || fail_ "$(cat seen)"
		=> [1/3] FROM localhost/base:1 CACHED
		=> [2/3] RUN echo first; printf 'odd \\033[31mcolour\\n'; sleep 1; echo last TIME
		=> [3/3] RUN echo made >/made TIME
		$(snap --json inspect seen | pick 'list(d.values())[0][0]["Id"]')
	END
	# What runs shows its time and the last line of its output, which cannot reach the terminal.
	sed '1,/^before:/d' seen | grep -E '^=> \[2/3\] RUN .* [0-9.]+s$'
	sed '1,/^before:/d' seen | grep -E '^=> # odd .*colour'
	# auto is plain where there is no terminal, and --progress tty draws anyway.
	expect_exit 0 snap build context
	[[ $ERR == *"#1 [1/3] FROM"* && $ERR != *"=> ["* ]] || fail_ "$ERR"
	expect_exit 0 snap build --progress tty context
	[[ $ERR == *"=> [1/3] FROM"*CACHED* ]] || fail_ "$ERR"
	printf 'FROM localhost/base:1\nRUN echo why; exit 3\n' >context/Dockerfile
	if script -qec "stty cols 80; $SNAPDRV --root $ROOT build context" typed >/dev/null; then fail_ "it works"; fi
	screen typed | sed '/^before:/,$d' >seen
	grep -x '   | why' seen || fail_ "the output of what failed is not there: $(cat seen)"
	grep 'snapdrv: build: Dockerfile:2: RUN echo why; exit 3: exit status 3' seen
	clean
}
case_ "on a terminal steps that run are drawn anew, those that are through stay, a failure shows its output" on_terminal

exit $FILE_STATUS
