#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ADD: archives, which are unpacked, and here-documents.
. "$(dirname "$0")/copying.bash"

archives() {
	begin
	mkdir -p src/d root/there
	echo 1 >src/d/f
	ln -s f src/d/l
	ln src/d/f src/d/h
	chown -h 12:13 src/d/f src/d/l
	chmod 4755 src/d/f
	find src -exec touch -h -d @1600000000 {} +
	tar -C src -cf ctx/a.tar d
	gzip -k ctx/a.tar
	bzip2 -k ctx/a.tar
	xz -k ctx/a.tar
	zstd -q ctx/a.tar
	mv ctx/a.tar.gz ctx/no-suffix
	echo "no archive" >ctx/text.tar
	echo "no archive" | gzip >ctx/text.tar.gz
	head -c 20 ctx/no-suffix >ctx/cut.tar.gz
	: >ctx/empty.tar
	truncate -s 10240 ctx/zeros.tar
	for file in a.tar no-suffix a.tar.bz2 a.tar.xz a.tar.zst; do
		with --add -- copy "/to/$file" $file
		same_tree src/d "root/to/$file/d"
	done
	with --add -- copy /there/ a.tar text.tar text.tar.gz cut.tar.gz empty.tar zeros.tar
	same "cut.tar.gz d d/f d/h d/l empty.tar text.tar text.tar.gz zeros.tar" "$(names root/there)"
	with --add --chown 5:6 --chmod 0600 -- copy /o/ a.tar text.tar
	same "12:13 4755 5:6 600 5:6 755" "$(stat -c '%u:%g %a' root/o/d/f root/o/text.tar root/o | tr '\n' ' ' | sed 's/ $//')"
	copy /copied a.tar
	cmp ctx/a.tar root/copied
	ln -s a.tar ctx/link
	with --add -- copy /linked/ link
	same "d d/f d/h d/l" "$(names root/linked)"
	echo over >root/file
	refuses target with --add -- copy /file a.tar
	# What the archive says of its own root is not for the target.
	mkdir root/kept
	chmod 700 src root/kept
	chown 5:5 src
	tar -C src -cf ctx/root.tar .
	with --add -- copy /kept root.tar
	with --add -- copy /made root.tar
	same "700 0:0 755 0:0 d d/f d/h d/l" "$(stat -c '%a %u:%g' root/kept root/made | tr '\n' ' ')$(names root/kept)"
}
case_ "ADD unpacks archives, found by content, and copies everything else" archives

hostile_archives() {
	begin
	mkdir outside
	echo safe >outside/victim
	ln -s "$CASE/outside" root/link
	python - "$CASE/outside" <<'END'
import io, sys, tarfile
out = sys.argv[1]
def tar(name, *entries):
    with tarfile.open(f"ctx/{name}", "w") as archive:
        for path, kind, target, data in entries:
            info = tarfile.TarInfo(path)
            info.type, info.linkname, info.size = kind, target, len(data)
            archive.addfile(info, io.BytesIO(data))
F, S, L, C = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE
tar("climb.tar", ("../../outside/victim", F, "", b"bad"))
tar("link.tar", ("l", S, out, b""), ("l/victim", F, "", b"bad"))
tar("hard.tar", ("h", L, "../../outside/victim", b""), ("h", F, "", b"bad"))
tar("up.tar", ("u", S, "../../..", b""), ("u" + out + "/victim", F, "", b"bad"))
tar("white.tar", ("a/.wh.b", F, "", b""))
tar("opaque.tar", ("a/.wh..wh..opq", F, "", b""))
tar("device.tar", ("d", C, "", b""))
END
	for file in climb hard white opaque device; do
		refuses "" with --add -- copy /to $file.tar
	done
	for file in link up; do
		with --add -- copy /to $file.tar
	done
	with --add -- copy /link link.tar
	same "safe" "$(<outside/victim)"
	same "victim" "$(names outside)"
}
case_ "an archive of an ADD leads nowhere out of its target, and deletes nothing" hostile_archives

here_documents() {
	begin
	mkdir root/there
	with --inline $'EOF=one\ntwo\n' -- copy /name
	same $'one\ntwo' "$(<root/name)"
	same "644 0:0" "$(stat -c '%a %u:%g' root/name)"
	with --inline a=1 --inline b=2 --chmod 750 --chown 3:4 -- copy /d/
	same "1 2 750 3:4" "$(cat root/d/a root/d/b | sed 's/./& /g')$(stat -c '%a %u:%g' root/d/b)"
	with --inline a=1 -- copy /there
	same 1 "$(<root/there/a)"
	refuses "slash" with --inline a=1 --inline b=2 -- copy /there
	refuses "no name" with --inline ../a=1 -- copy /there
	echo 5 >ctx/f
	with --inline a=1 -- copy /both/ f
	same "a f" "$(names root/both)"
	OPTIONS=(--inline a=1)
	"$COPY" "${OPTIONS[@]}" put none root /alone
	same 1 "$(<root/alone)"
	expect_exit 5 "$COPY" put none root /x f
	[[ $ERR == *"no context"* ]]
}
case_ "here-documents are files" here_documents

exit $FILE_STATUS
