#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 32 processes do everything at one store, some of them killed: nothing hangs, nobody starves, and an independent
# checker finds each promise kept (tests/tools/many.py). MANY_SECONDS says how long; `make check-many` has a minute,
# on every driver.
. "$(dirname "$0")/../lib.sh"

many() {
	local what=$1
	shift
	TMPDIR=$CASE/tmp "$PYTHON" "$TOOLS/many.py" "$what" --snapdrv "$SNAPDRV" --root "$ROOT" --driver "$BACKEND" \
		--directory "$CASE/many" --seed "${SEED:-1}" "$@"
}

everything() {
	many run --seconds "${MANY_SECONDS:-$((10 * ${SLOW:-1}))}" --workers 32
	many check --still-works
}
case_ "32 processes load, create, write, commit, remove, collect and check, some killed: each promise is kept" everything

# A checker that sees nothing proves nothing.
caught() {
	local file
	many run --seconds 1 --workers 2
	expect_exit 0 snap load --ref sure:1 many/one
	file=$(python - many "$ROOT/layers" <<-'END'
		import glob, hashlib, json, os, sys
		tree = json.load(open(sys.argv[1] + "/trees.json"))["one"]
		with open(sys.argv[1] + "/log.sure", "w") as log:
		    print(json.dumps({"begin": [["image", "docker.io/library/sure:1", tree]], "touched": None}), file=log)
		    print(json.dumps({"end": "done"}), file=log)
		for path in glob.glob(sys.argv[2] + "/*/fs/*/layer0/f*"):
		    what = tree.get(path.split("/fs/")[1])
		    data = open(path, "rb").read() if os.path.isfile(path) else b""
		    if data and what and hashlib.sha256(data).hexdigest() == what[1]:
		        print(path)
		        break
	END
	)
	[ -n "$file" ] || fail_ "no file in a layer"
	many check
	cp -a "$file" kept
	python -c 'import sys
with open(sys.argv[1], "r+b") as file:
    byte = file.read(1)[0] ^ 1
    file.seek(0)
    file.write(bytes([byte]))' "$file"
	touch -r kept "$file"
	if many check >found; then fail_ "a file that changed was not seen"; fi
	grep -q "/${file##*/} is ('f'" found || fail_ "$(<found)"
	cp -a kept "$file"
	many check
	expect_exit 0 snap tag sure:1 another:1
	expect_exit 0 snap rmi sure:1
	if many check >found; then fail_ "a lost name was not seen"; fi
	grep -q 'sure:1 is lost' found || fail_ "$(<found)"
}
[ "$BACKEND" != overlay ] || case_ "the checker sees a bit that changed in a layer, and a name that is lost" caught
