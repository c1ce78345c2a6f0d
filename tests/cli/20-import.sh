#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# import: a rootfs tar becomes an image of one layer.
. "$(dirname "$0")/../lib.sh"

TREE=$WORK/tree
mkdir -p "$TREE/etc" "$TREE/bin"
echo hello >"$TREE/etc/word"
ln "$TREE/etc/word" "$TREE/bin/link"
ln -s ../etc/word "$TREE/bin/symlink"
mkfifo "$TREE/fifo"
chmod 1777 "$TREE/bin"
chown 5:6 "$TREE/etc"
setfattr -n user.x -v 0x0001 "$TREE/etc/word"
touch -d '2011-11-11 11:11:11.111111111' "$TREE/etc/word" "$TREE/etc" "$TREE/bin"
pack() {
	tar --format=pax --xattrs -C "$TREE" -cf - .
}
pack >"$WORK/plain.tar"
gzip -k "$WORK/plain.tar"
zstd -q -k "$WORK/plain.tar"
xz -k "$WORK/plain.tar"
bzip2 -k "$WORK/plain.tar"

compressions() {
	local file
	for file in "$WORK"/plain.tar*; do
		name=by-${file##*.}
		expect_exit 0 snap import "$file" "$name"
		[[ $OUT =~ ^sha256:[0-9a-f]{64}$ ]] || fail_ "not an image ID: $OUT"
		expect_exit 0 snap create "$name"
		same_tree "$TREE" "$OUT"
	done
	expect_exit 0 snap info --json
}
case_ "import of a tar: plain, gzip, zstd, xz, bzip2; it prints the image ID" compressions

standard_input() {
	expect_exit 0 snap import - from:stdin < <(pack)
	expect_exit 0 snap create from:stdin
	same_tree "$TREE" "$OUT"
	expect_exit 0 snap import - from:gz < <(cat "$WORK/plain.tar.gz")
	expect_exit 0 snap create from:gz
	same_tree "$TREE" "$OUT"
}
case_ "import from a pipe, compressed too" standard_input

# config_of NAME: the "config" object within what inspect says.
config_of() {
	expect_exit 0 snap inspect "$1"
	python -c '
import json, sys

def find(value):
    if isinstance(value, dict):
        for key, inner in value.items():
            if key.lower() == "config" and isinstance(inner, dict) and not {"config", "digest"} & set(inner):
                return inner
            found = find(inner)
            if found is not None:
                return found
    if isinstance(value, list):
        for inner in value:
            found = find(inner)
            if found is not None:
                return found

print(json.dumps(find(json.load(sys.stdin))))' <"$CASE/.stdout" >"$CASE/.config"
	cp "$CASE/.config" "$CASE/.stdout"
	OUT=$(<"$CASE/.stdout")
}

changes() {
	expect_exit 0 snap import --change 'CMD ["/bin/sh", "-c", "echo hi"]' --change 'ENV A=1' \
		--change 'ENV B="two words"' --change 'ENTRYPOINT ["/bin/run"]' --change 'WORKDIR /work' \
		--change 'USER app:staff' --change 'LABEL one=1' --change 'LABEL two="2 3"' \
		"$WORK/plain.tar" changed:1
	config_of changed:1
	holds 'd["Cmd"] == ["/bin/sh", "-c", "echo hi"]'
	holds 'd["Entrypoint"] == ["/bin/run"]'
	holds '"A=1" in d["Env"] and "B=two words" in d["Env"]'
	holds 'd["WorkingDir"] == "/work"'
	holds 'd["User"] == "app:staff"'
	holds 'd["Labels"] == {"one": "1", "two": "2 3"}'
	expect_exit 0 snap import --change='CMD echo hi' --change='ENV OLD form' "$WORK/plain.tar" changed:2
	config_of changed:2
	holds 'd["Cmd"] == ["/bin/sh", "-c", "echo hi"]'
	holds '"OLD=form" in d["Env"]'
}
case_ "import --change: CMD, ENTRYPOINT, ENV, WORKDIR, USER, LABEL, as docker import has them" changes

bad_changes() {
	refused 2 snap import --change 'RUN rm -rf /' "$WORK/plain.tar" bad:1
	refused 2 snap import --change 'ENV' "$WORK/plain.tar" bad:1
	refused 2 snap import "$WORK/plain.tar" 'Not/A Name'
}
case_ "a change that cannot be read, or a name that is none, is wrong usage and changes nothing" bad_changes

bad_tars() {
	head -c 3000 "$WORK/plain.tar" >cut.tar
	head -c 300 "$WORK/plain.tar.gz" >cut.gz
	head -c 300 "$WORK/plain.tar.xz" >cut.xz
	echo "no tar at all, but text" >text
	: >empty
	for file in cut.tar cut.gz cut.xz text; do
		WORDS=(bad:1)
		refused 5 snap import $file bad:1
		refused 5 snap import - bad:1 < <(cat $file)
	done
	WORDS=(not-there)
	refused 3 snap import not-there bad:1
}
case_ "import of what is truncated or no tar is refused and changes nothing" bad_tars

endless() {
	WORDS=(bad:1)
	SNAP_TIMEOUT=10 refused 5 snap import - bad:1 < <(yes)
	SNAP_TIMEOUT=10 refused 5 snap import - bad:1 < <(yes | gzip -1)
}
case_ "import of what is no tar and has no end is refused at once" endless

other_xattrs() {
	python - mac.tar <<-'END'
		import io, sys, tarfile
		tar = tarfile.open(sys.argv[1], "w", format=tarfile.PAX_FORMAT)
		member = tarfile.TarInfo("file")
		member.size = 5
		member.pax_headers = {"SCHILY.xattr.com.apple.provenance": "x", "SCHILY.xattr.user.kept": "1"}
		tar.addfile(member, io.BytesIO(b"hello"))
		member = tarfile.TarInfo("link")
		member.type, member.linkname = tarfile.SYMTYPE, "file"
		member.pax_headers = {"SCHILY.xattr.user.lost": "1"}
		tar.addfile(member)
		tar.close()
	END
	expect_exit 0 snap import mac.tar mac:1
	expect_exit 0 snap create mac:1
	same hello "$(<"$OUT/file")"
	same user.kept "$(getfattr -m '^(user|com)' "$OUT/file" | grep -v '^#' | xargs)"
	[ -L "$OUT/link" ] || fail_ "no symlink"
	# The layer is still the tar, with all that it says.
	cmp mac.tar "$ROOT/content/sha256/$(sha256sum <mac.tar | cut -d' ' -f1)"
}
case_ "import leaves out xattrs that Linux has no namespace for, as macOS's tar writes them" other_xattrs

moves_name() {
	expect_exit 0 snap import "$WORK/plain.tar" name:1
	first=$OUT
	expect_exit 0 snap import --change 'ENV X=y' "$WORK/plain.tar" name:1
	[ "$first" != "$OUT" ] || fail_ "the same ID for another config"
	second=$OUT
	expect_exit 0 snap --json images
	holds "[i for i in d['images'] if i['id'] == '$second'][0]['references'] == ['docker.io/library/name:1']"
	holds "all(not i['references'] for i in d['images'] if i['id'] == '$first')"
	# The layer is the same one: unpacked once.
	expect_exit 0 snap --json info
}
case_ "import to a name that exists moves the name" moves_name

layer_kept() {
	expect_exit 0 snap import "$WORK/plain.tar.gz" kept:1
	digest=$(sha256sum <"$WORK/plain.tar" | cut -d' ' -f1)
	cmp "$ROOT/content/sha256/$digest" "$WORK/plain.tar"
	ROOT=$CASE/none
	expect_exit 0 snap import --discard-blobs "$WORK/plain.tar.gz" none:1
	[ ! -e "$ROOT/content/sha256/$digest" ] || fail_ "the layer blob was kept"
}
case_ "import keeps the tar as a blob, --discard-blobs does not" layer_kept
