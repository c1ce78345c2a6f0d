#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# build: steps, their cache, the image that comes of it, bases that are pulled.
. "$(dirname "$0")/building.bash"
. "$TOOLS/registry.sh"

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
	same "$OUT" "$(<iid)"
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
	same "echo program" "$(<"$TREE/bin/program")"
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
	same alone "$(<"$TREE/alone")"
	expect_exit 0 snap build -q -f - context <<<$'FROM localhost/base:1\nCOPY file /other\n'
	rootfs "$OUT"
	same hello "$(<"$TREE/other")"
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
	wait $pid || fail_ "$(<err)"
	rootfs one
	same 1 "$(<"$TREE/2")"
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

excluded_from() {
	begin
	dockerfile <<-'END'
		FROM localhost/base:1 AS one
		COPY src /src
		FROM localhost/base:1
		ARG SKIP
		COPY --from=one --exclude=$SKIP /src /dst
	END
	mkdir context/src
	touch context/src/{a,b}
	build -t first --build-arg SKIP=a
	build -t second --build-arg SKIP=b
	rootfs first
	same b "$(ls "$TREE/dst")"
	rootfs second
	same a "$(ls "$TREE/dst")"
}
case_ "COPY --from is cached by what --exclude says, and not how it is written" excluded_from

# A device of a tar is seen by its name alone: opening it may do something.
device_in_tar() {
	local name
	begin
	for name in Dockerfile .dockerignore; do
		mkdir "$name.d"
		printf 'FROM localhost/base:1\n' >"$name.d/Dockerfile"
		rm -f "$name.d/$name"
		mknod "$name.d/$name" c 1 3
		tar -C "$name.d" -c . >"$name.tar"
		status=0
		ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 strace -f -qq -o trace -e trace=open,openat,openat2 \
			"$SNAPDRV" --root "$ROOT" build - <"$name.tar" >out 2>err || status=$?
		same 5 "$status"
		[[ $(<err) == *"'$name': not a regular file"* ]] || fail_ "$(<err)"
		grep -q "\"$name\".*O_PATH" trace || fail_ "it was not looked at: $(tail trace)"
		! grep "\"$name\"" trace | grep -v O_PATH || fail_ "it was opened"
		same "" "$(ls "$ROOT/staging")"
	done
}
case_ "a device in the place of the Dockerfile or .dockerignore is not opened" device_in_tar

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

kept_arguments() {
	begin
	dockerfile <<-'END'
		ARG OUTSIDE=out
		FROM localhost/base:1 AS base
		ARG NAME=joe TWICE=1
		ARG TWICE
		FROM base
		ARG OUTSIDE=in
		ARG OUTSIDE
		RUN echo "$NAME $TWICE $OUTSIDE" >/seen
	END
	build -t one
	rootfs one
	same "joe 1 out" "$(<"$TREE/seen")"
	build -t two --build-arg TWICE=2 --build-arg NAME=ann
	rootfs two
	same "ann 2 out" "$(<"$TREE/seen")"
}
case_ "ARGs are those of the base stage too; one that is asked for once more keeps its value" kept_arguments

pathless_base() {
	begin
	rootfs localhost/base:1
	tar -C "$TREE" -c . >tree.tar
	expect_exit 0 snap import tree.tar plain:1
	dockerfile <<-'END'
		FROM plain:1 AS first
		ENV PATH=$PATH:/opt/bin
		RUN ls / >/list
		FROM first
		RUN echo "$PATH" >/seen
	END
	build -t one
	rootfs one
	same /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/bin "$(<"$TREE/seen")"
	config one
	says '[e for e in d["config"]["Env"] if e.startswith("PATH=")] == ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/bin"]'
}
case_ "a base that says nothing of PATH has the usual one" pathless_base

copied_heredocs() {
	begin
	dockerfile <<<$'# escape=`\nFROM localhost/base:1\nENV A=1\nCOPY 3<<EOF 4<<LAST /to/\n\\$A `$A\nEOF\nlast\nLAST'
	build -t one
	rootfs one
	same '$A `1 last' "$(echo $(cat "$TREE"/to/{EOF,LAST}))"
}
case_ "COPY <<EOF: a backslash keeps a variable, whatever # escape= says; a number may be in front of <<" copied_heredocs

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
		same "$(<"$TREE/when")" "$(<"$TREE/again")"
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

onbuild_of_a_stage() {
	begin
	dockerfile <<<$'FROM localhost/base:1 AS one\nONBUILD RUN echo >/triggered\nFROM one\nRUN [ ! -e /triggered ]\n'
	build -t two
	config two
	says '"OnBuild" not in d["config"]'
	build -t one --target one
	config one
	says 'd["config"]["OnBuild"] == ["RUN echo >/triggered"]'
}
case_ "ONBUILD of a stage is for who uses its image, and not for the stages behind it" onbuild_of_a_stage

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
	[ "$(<"$TREE/count")" -gt 75 ] || fail_ "$(<"$TREE/count")"
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

# ---- bases from registries --------------------------------------------------------------------

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
	same new "$(<"$TREE/new")"
	[ -x "$TREE/bin/sh" ]
	# It is here now, and nobody is asked.
	kill -9 "${REGISTRY_PIDS[@]}"
	build --pull never -t again
	same 1 "$(steps CACHED 'COPY new')"
	clean
}
case_ "a base image that is missing is pulled, unless --pull never forbids it" pulled_base

exit $FILE_STATUS
