#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Many threads, each with its own handle, at one store: with the library as it is, and under
# ThreadSanitizer. THREAD_ROUNDS says how long; `make check-tsan` asks for more.
. "$(dirname "$0")/../lib.sh"

THREAD_ROUNDS=${THREAD_ROUNDS:-3}
IMAGES=$WORK/images
mkdir "$IMAGES"
layout "$IMAGES" <<'END'
import random, sys
random.seed(7)
base = Layer([directory("base")] + [file(f"base/{n}", random.randbytes(2000)) for n in range(60)])
for n in range(3):
    own = Layer([directory("own"), file("own/number", str(n)), file("own/data", random.randbytes(50000))])
    Layout(Image([base, own], names=f"image{n}:1")).write_dir(f"{sys.argv[1]}/{n}")
END

# program LIBRARY OPTION...: threads.c with that static library, as $CASE/threads.
program() {
	local library=$1
	shift
	# shellcheck disable=SC2046 # words are meant
	TMPDIR=$CASE/tmp gcc -std=gnu17 -Wall -Wextra -Werror -g "$@" -I"$TOP/driver" "$TESTS/cli/threads.c" \
		"$library" $(pkg-config --libs jansson libarchive libcrypto libisal liblzma libxxhash libzstd mount sqlite3 zlib) \
		-lbtrfsutil -lm -pthread -o threads
}

at_once() {
	mkdir -p "$ROOT"
	TMPDIR=$CASE/tmp timeout -k 5 240 "$@" "$ROOT" "$BACKEND" 8 "$THREAD_ROUNDS" "$IMAGES"/[0-9]
}

plain() {
	local sanitize=() found
	[[ $SNAPDRV != */asan/* ]] || sanitize=(-fsanitize=address,undefined)
	program "$(dirname "$SNAPDRV")/libsnapdrv.a" "${sanitize[@]}"
	found=$(at_once ./threads)
	[ "${found% containers}" -ge "$THREAD_ROUNDS" ] || fail_ "made only $found"
	expect_exit 0 snap --json ls
	holds 'd == {"containers": []}'
}
case_ "8 threads load, create, write, commit, remove and collect garbage at once" plain

# The library is compiled again for it, beside the build, unless `make check-tsan` has done so.
sanitized() {
	local build=${TSAN_BUILD:-$CASE/tsan} found
	[ -n "${TSAN_BUILD:-}" ] || TMPDIR=$CASE/tmp make -s -C "$TOP" -j "$(nproc)" BUILD="$build" \
		SANITIZE=-fsanitize=thread CFLAGS="-O1 -g" "$build/libsnapdrv.a" >/dev/null
	program "$build/libsnapdrv.a" -fsanitize=thread
	# A kernel that places memory at random may place it where the sanitizer has its own.
	found=$(TSAN_OPTIONS="halt_on_error=0 exitcode=66 history_size=4" at_once setarch -R ./threads) ||
		fail_ "exit status $?"
	[ "${found% containers}" -ge "$THREAD_ROUNDS" ] || fail_ "made only $found"
}
case_ "ThreadSanitizer has nothing to report of that" sanitized
