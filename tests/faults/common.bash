# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the tests of faults share: lib.sh, the images, and campaign.py. From outside, besides what lib.sh takes:
#
#	FAULT_SECONDS	so long for each command, calls chosen by the seed (default: each call, which takes hours)
#	FAULT_SAMPLE	so many calls for each command and kind of fault, chosen by the seed
#	FAULT_PART	of the commands only every so manieth, chosen by the seed (1)
#	FAULT_SEED	(1)
#	FAULT_COMMANDS, FAULT_HOW	only these; words, and words with commas
#	INJECT		build/tests/faults/inject

. "$(dirname "$0")/../lib.sh"
. "$TOOLS/registry.sh"
FAULTS=$TESTS/faults
INJECT=$(realpath "${INJECT:-$TOP/build/tests/faults/inject}")
[ -x "$INJECT" ] || { echo "$0: no $INJECT; make check-faults builds it" >&2; exit 1; }

SOURCES=$WORK/sources
mkdir "$SOURCES"
layout "$SOURCES" <<'END'
import random, sys
top = sys.argv[1]
random.seed(7)
base = [directory("."), directory("etc"), file("etc/word", "hello\n"), file("etc/gone", "x" * 5000),
        directory("bin"), file("bin/tool", random.randbytes(70000), mode=0o4755,
                               xattrs={"security.capability": bytes.fromhex("0100000200200000000000000000000000000000")}),
        symlink("sh", "bin/tool"), hardlink("bin/same", "bin/tool"),
        directory("share"), directory("share/a"), file("share/a/1", "one", mtime="1600000000.123456789"),
        file("share/a/2", "two", xattrs={"user.x": b"\0\xff"}), directory("share/b", mode=0o1777),
        entry("share/fifo", FIFO), entry("share/null", CHAR, dev=(1, 3))]
# Marks of deletion, a link into the layer below, an entry whose parent only that one has.
second = [whiteout("etc/gone"), opaque("share/a"), directory("share/a", uid=7), file("share/a/3", "three"),
          hardlink("bin/third", "bin/same"), file("etc/new", "n" * 300)]
third = [file("share/b/deep", random.randbytes(3000)), directory("etc"), file("etc/word", "again\n"),
         hardlink("etc/link", "etc/word"), symlink("etc/far", "../share/b/deep")]
fourth = [directory("big"), file("big/data", random.randbytes(200000)), file("big/zero", bytes(300000))]
app = [Layer(base, "gzip"), Layer(second, "zstd"), Layer(third, "none"), Layer(fourth, "gzip-members")]
image = Image(app, config={"Cmd": ["/bin/tool"], "User": "7"}, names="app:1")
Layout(image).write_dir(f"{top}/app")
Layout(image).write_archive(f"{top}/app.tar", reverse=True)
old = Image([Layer(base, "none", "docker"), Layer([file("old", "o" * 9000), whiteout("etc/word")], "none", "docker")],
            kind="docker", names="old:1")
docker_archive([old], f"{top}/old.tar")
write(f"{top}/layer", app[0].blob)
write(f"{top}/flat.tar", compress(tar(base + fourth), "gzip"))
write(f"{top}/context/Dockerfile", b"""FROM app:1 AS one
WORKDIR /made/here
COPY src .
FROM app:1
ENV A=b
COPY word /etc/word
COPY --from=one /made /made
LABEL a=b
""")
write(f"{top}/context/word", b"built\n")
write(f"{top}/context/src/one", random.randbytes(100000))
write(f"{top}/context/src/deep/two", b"two")
Layout(small_image("witness", names="witness:1")).write_dir(f"{top}/witness")
END

CAMPAIGN=("$PYTHON" "$FAULTS/campaign.py" --inject "$INJECT" --snapdrv "$SNAPDRV" --driver "$BACKEND"
	--sources "$SOURCES" --seed "${FAULT_SEED:-1}" ${FAULT_SAMPLE:+--sample "$FAULT_SAMPLE"}
	${FAULT_SECONDS:+--seconds "$FAULT_SECONDS"})

# campaign COMMAND HOW[,HOW]...: campaign.py in this case's directory, on a filesystem that takes the driver.
campaign() {
	local command=$1 how=${FAULT_HOW:-$2}
	[ "$(uname -m)" = x86_64 ] || skip_optional "inject.c knows the registers of x86-64"
	if [ "$command" = pull ]; then
		registry_start registry
		registry_fill "oci:$SOURCES/app" "docker://$REGISTRY/app:1"
		export REGISTRY
	fi
	"${CAMPAIGN[@]}" --work "$CASE" --command "$command" --how "$how"
	[ "$command" != pull ] || registry_stop || :
}

# is_wanted COMMAND: it is among those that were asked for, or in the part that the seed chooses.
is_wanted() {
	[[ " ${FAULT_COMMANDS:-$1} " == *" $1 "* ]] || return 1
	local number
	number=$(cksum <<<"${FAULT_SEED:-1} $1 $BACKEND $0")
	[ $((${number%% *} % ${FAULT_PART:-1})) = 0 ] || { echo "skip $1: not required here: not in the part that seed ${FAULT_SEED:-1} chooses"; return 1; }
}
