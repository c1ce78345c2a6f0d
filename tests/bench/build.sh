#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# How long a build of 20 steps takes that are all known: the whole process, the median of RUNS.
#
#	tests/bench/build.sh [DIR]	the store and the context are made in DIR (a temporary directory)
set -eu -o pipefail

TOP=$(cd "$(dirname "$0")/../.." && pwd)
SNAPDRV=${SNAPDRV:-$TOP/build/snapdrv}
RUNS=${RUNS:-51}
DIR=$(mktemp -d "${1:-${TMPDIR:-/tmp}}/snapdrv-build.XXXXXX")
trap 'rm -rf --one-file-system "${DIR:?}"' EXIT

"$TOP/tests/tools/buildcheck" base "$DIR/base.tar"
"$SNAPDRV" --root "$DIR/store" load "$DIR/base.tar" >/dev/null
mkdir "$DIR/context"
head -c 10M /dev/urandom | split -b 10k - "$DIR/context/file-"
{
	echo "FROM localhost/base:1 AS build"
	echo "WORKDIR /src"
	echo "COPY . ."
	for step in $(seq 14); do
		echo "RUN echo $step >/made-$step"
	done
	echo "FROM localhost/base:1"
	echo "COPY --from=build /src /src"
	echo "COPY file-aa /one"
	echo "RUN cat /one | wc -c >/size"
} >"$DIR/context/Dockerfile"
build() {
	"$SNAPDRV" --root "$DIR/store" build -q -t bench "$DIR/context"
}
now() {
	date +%s%N
}

start=$(now)
first=$(build)
echo "first build: $((($(now) - start) / 1000000)) ms"
for run in $(seq "$RUNS"); do
	start=$(now)
	[ "$(build)" = "$first" ]
	echo $((($(now) - start) / 1000))
done | sort -n | awk '{ time[NR] = $1 }
	END { printf "20 steps that are known, 1,024 files of 10 MB in all: median %.1f ms, 90 of 100 below %.1f ms\n",
		time[int((NR + 1) / 2)] / 1000, time[int(NR * 0.9)] / 1000 }'
