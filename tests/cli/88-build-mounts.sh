#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# build: what RUN --mount brings in: binds, caches, tmpfs, secrets.
. "$(dirname "$0")/building.bash"

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
		RUN --mount=type=bind,source=dir,target=/in cat /in/file >/1 && ls /in >/2 && ! touch /in/x; stat -f -c %T /in >/7
		RUN --mount=type=bind,from=other,source=/given,target=/in,rw cat /in/file >/3 && echo gone >/in/file && touch /in/new
		RUN --mount=type=bind,source=dir/file,target=/in/one cat /in/one >/4
		RUN --mount=type=cache,target=/cache,uid=1000,mode=0750 stat -c '%u %a' /cache >/5; echo kept >/cache/file
		RUN --mount=type=cache,target=/cache cat /cache/file >/6
		RUN --mount=type=tmpfs,target=/t,size=65536 ! dd if=/dev/zero of=/t/x bs=1k count=100 2>/dev/null
	END
	build -t one
	rootfs one
	same "content file other content 1000 750 kept" "$(echo $(cat "$TREE"/[1-6]))"
	# A context may be larger than the memory.
	[ "$(stat -f -c %T "$ROOT")" = tmpfs ] || [ "$(<"$TREE/7")" != tmpfs ] || fail_ "the context is in memory"
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

literal_sources() {
	begin
	mkdir -p 'context/d/[id]' context/d/i
	echo right >'context/d/[id]/file'
	echo wrong >context/d/i/file
	echo star >'context/d/*'
	dockerfile <<-'END'
		FROM localhost/base:1 AS seed
		COPY d /d
		FROM localhost/base:1
		RUN --mount=type=bind,source=d/[id],target=/p cp /p/file /1
		RUN --mount=type=bind,source=d/*,target=/p cp /p /2
		RUN --mount=type=cache,from=seed,source=/d/[id],target=/p cp /p/file /3
	END
	build -t one
	rootfs one
	same "right star right" "$(echo $(cat "$TREE"/[1-3]))"
	rm -r 'context/d/[id]'
	expect_exit 5 snap build -q context
	one_line_error "Dockerfile:4" "d/[id]"
}
case_ "RUN --mount: a source is a path, and no pattern" literal_sources

# A cache counts as made when it was filled, by whoever tries it next.
unfilled_cache() {
	local id dir source
	begin
	id=$(printf one | sha256sum | head -c 32)
	dir=$ROOT/caches/$id
	for source in /none /seed; do
		dockerfile <<-END
			FROM localhost/base:1 AS seed
			RUN mkdir /seed && echo content >/seed/file
			FROM localhost/base:1
			RUN --mount=type=cache,target=/c,id=one,from=seed,source=$source,uid=1000,mode=0750 cat /c/file >/got; stat -c '%u %a' /c >>/got
		END
		case $source in
		/none)
			expect_exit 5 snap build -q context
			one_line_error "/none"
			;;
		/seed)
			# Its maker dies at the last thing that it does to it.
			dockerfile_killed
			build -t one
			;;
		esac
	done
	rootfs one
	same "content 1000 750" "$(echo $(<"$TREE/got"))"
	expect_exit 0 snap --json df
	holds '[t["count"] for t in d["df"]["types"] if t["type"] == "caches"] == [1]'
	clean
}
dockerfile_killed() {
	local status=0
	ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 strace -f -qq -o trace -P "$dir" -e trace=fchown -e inject=fchown:signal=KILL \
		"$SNAPDRV" --root "$ROOT" build -q context >out 2>err || status=$?
	same 137 "$status"
	[ -d "$dir" ]
}
case_ "a cache that could not be filled, or whose maker was killed, is filled by the next build" unfilled_cache

# one_cache SHARING SHARING: a RUN that mounts one cache twice.
one_cache() {
	dockerfile <<-END
		FROM localhost/base:1
		RUN --mount=type=cache,id=x,sharing=$1,target=/a --mount=type=cache,id=x,sharing=$2,target=/b echo $1 $2 >/a/file && cp /b/file /seen
	END
	expect_exit 0 timeout 60 "$SNAPDRV" --root "$ROOT" build -q -t one context
	rootfs one
	same "$1 $2" "$(<"$TREE/seen")"
}
lent_cache() {
	begin
	one_cache locked locked
	one_cache locked shared
	one_cache shared locked
	one_cache private private
	same 1 "$(ls "$ROOT/caches" | wc -l)"
	clean
}
case_ "RUN --mount=type=cache: two mounts with one id have one cache, however it is shared" lent_cache

# locked_run ID...: a RUN that wants these caches for itself.
locked_run() {
	echo "RUN$(printf ' --mount=type=cache,sharing=locked,target=/m/%s' "$@") touch /$1"
}
crossed_caches() {
	local cache builder
	begin
	dockerfile <<-END
		FROM localhost/base:1
		$(locked_run m)
	END
	build
	cache=$(echo "$ROOT"/caches/*)
	dockerfile <<-END
		FROM localhost/base:1 AS one
		$(locked_run a m b)
		FROM localhost/base:1 AS two
		$(locked_run b m a)
		FROM scratch
		COPY --from=one /a /a
		COPY --from=two /b /b
	END
	# Both are at the cache in the middle before it is free.
	exec 9<"$cache"
	flock 9
	timeout 60 "$SNAPDRV" --root "$ROOT" build -q -t both context >out 2>err 9<&- &
	builder=$!
	sleep 2
	exec 9<&-
	wait "$builder" || fail_ "$(<err)"
	rootfs both
	[ -e "$TREE/a" ] && [ -e "$TREE/b" ] || fail_ "not both"
	clean
}
case_ "RUN --mount=type=cache: stages that want the same caches in another order do not wait for each other" crossed_caches

# What a RUN is found again by is what it saw: a context that was changed between the two is refused.
changed_bind() {
	local builder status=0
	begin
	mkdir context/dir
	echo old >context/dir/file
	dockerfile <<-'END'
		FROM localhost/base:1
		RUN --mount=type=bind,source=dir,target=/in cat /in/file >/got
	END
	ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 strace -f -qq -o trace -e trace=mkdirat -e inject=mkdirat:delay_exit=600000 \
		"$SNAPDRV" --root "$ROOT" build -q context >out 2>err &
	builder=$!
	wait_for 60 grep -q ', 0755' trace
	echo new >context/dir/file
	wait "$builder" || status=$?
	same "1 1" "$status $(grep -c 'the context was changed meanwhile' err)"
	build -t one
	rootfs one
	same new "$(<"$TREE/got")"
	clean
}
case_ "RUN --mount=type=bind: a context that is changed before it is copied is refused" changed_bind

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
