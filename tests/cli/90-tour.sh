#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The README: its tour, its library example and its tables say what the program does.
. "$(dirname "$0")/../lib.sh"

README=${README:-$TOP/README.md}
PROGRAM=$(cd "$TOP" && realpath "$SNAPDRV")

# tour.py: what stands in the README.
#
#	block HEADING LANGUAGE	print the fenced blocks of that language below a heading of two #
#	script HEADING DIR	write DIR/script, which runs the commands of its `console` blocks in one
#				shell: lines that start with `# ` are commands, and what follows up to
#				the next one is what they print
#	compare HEADING DIR	what they printed (DIR/N.out, DIR/N.status) is what the README shows;
#				a command may fail only where `echo $?` follows it
#	sharp HEADING DIR	compare sees each single line that is changed in the README
#	commands		print the table of commands: name, arguments, help
#
# What may differ between two runs, and nothing else, is in VARIES.
cat >"$WORK/tour.py" <<'END'
import difflib, os, re, sys

VARIES = [
    (r"sha256:[0-9a-f]{64}", "sha256:DIGEST"),
    (r"\b[0-9a-f]{12}\b", "ID"),
    (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
    (r"\b(Less than a second|1 second|About a minute|About an hour|"
     r"\d+ (seconds|minutes|hours|days|weeks|months|years)) ago\b", "AGE"),
    (r"\b\d+(\.\d+)?(e\+\d+)?(B|kB|MB|GB)\b", "SIZE"),
    (r"\b(DONE|CACHED) \d+\.\ds", r"\1 DURATION"),
    (r'("[Ss]ize": )\d+', r"\1SIZE"),
    (r"\b(amd64|arm64)\b", "MACHINE"),
    (r"(?<=\S)  +", "  "),  # columns are as wide as their longest value
]
# The README's places are the test's own here.
PLACES = [("/tmp/tour", os.environ["TOUR"]), ("/var/cache/snapdrv-test", os.environ["SNAPDRV_CACHE"])]


def blocks(heading, language):
    within, block = False, None
    for line in open(os.environ["README"], encoding="utf-8"):
        if block is not None:
            if line.startswith("```"):
                yield "".join(block)
                block = None
            elif wanted:
                block.append(line)
        elif line.startswith("## "):
            within = line[3:].strip() == heading
        elif line.startswith("```"):
            block, wanted = [], within and line.strip() == "```" + language


def steps(heading):
    found = []
    for block in blocks(heading, "console"):
        for there, here in PLACES:
            block = block.replace(there, here)
        for line in block.splitlines(True):
            if line.startswith("# "):
                found.append([line[2:].rstrip("\n"), ""])
            else:
                found[-1][1] += line
    return found


def plain(text):
    for pattern, word in VARIES:
        text = re.sub(pattern, word, text)
    return text


def differences(shown, folder):
    for number, (command, want) in enumerate(shown):
        got = open(f"{folder}/{number}.out", encoding="utf-8").read()
        if plain(want) != plain(got):
            yield f"# {command}\n" + "".join(difflib.unified_diff(
                want.splitlines(True), got.splitlines(True), "README", "program"))
        status = open(f"{folder}/{number}.status").read().strip()
        following = shown[number + 1][0] if number + 1 < len(shown) else ""
        if status != "0" and following != "echo $?":
            yield f"# {command}\nexit status {status}, which the README does not show\n"


def command_rows():
    text = open(os.environ["README"], encoding="utf-8").read()
    section = text[text.index("\n## Commands\n") + 5:]
    for line in section[:section.index("\n\n`")].splitlines():
        row = re.fullmatch(r"\| `(\w+) ?(.*)` \| (.*) \|", line)
        if row:
            yield "\t".join(row.groups()).replace(r"\|", "|")


what, arguments = sys.argv[1], sys.argv[2:]
if what == "block":
    print("".join(blocks(*arguments)), end="")
elif what == "commands":
    print("\n".join(command_rows()))
else:
    heading, folder = arguments
    shown = steps(heading)
    if not shown:
        sys.exit(f"no commands below '{heading}'")
    if what == "script":
        with open(folder + "/script", "w") as script:
            script.write("last=0\nagain() { return $last; }\n")
            for number, (command, _) in enumerate(shown):
                script.write(f"again\n{{ {command}\n}} >'{folder}/{number}.out' 2>&1\n"
                             f"last=$?\necho $last >'{folder}/{number}.status'\n")
    elif what == "compare":
        found = list(differences(shown, folder))
        sys.exit("\n".join(found) if found else 0)
    elif what == "sharp":
        for number, (command, want) in enumerate(shown):
            lines = want.splitlines(True)
            for at, line in enumerate(lines):
                changed = [step[:] for step in shown]
                word = re.sub(r"(\w)(\W*)$", r"\1x\2", line, count=1)
                changed[number][1] = "".join(lines[:at] + [word if word != line else "x" + line] + lines[at + 1:])
                if not list(differences(changed, folder)):
                    sys.exit(f"not seen, after '# {command}': {line}")
END
tour_py() {
	TOUR=$CASE/tour README=$README "$PYTHON" "$WORK/tour.py" "$@"
}

# The shell of the README stands in the checkout: here, in a directory that looks like it.
checkout() {
	mkdir build steps
	ln -s "$PROGRAM" "$(dirname "$PROGRAM")/libsnapdrv.a" build
	ln -s "$TOP/driver" driver
	ln -s "$TOP/tests" tests
}
# The machine is read-only for the tests: runc keeps its state elsewhere.
run_steps() {
	tour_py script "$1" "$CASE/steps"
	{
		printf 'runc() { command runc --root %q "$@"; }\n' "$CASE/runc"
		cat steps/script
	} >all
	TMPDIR=$CASE/tmp timeout 240 bash all
	tour_py compare "$1" "$CASE/steps"
}

tour() {
	same "$CACHE/debian-bookworm-minbase.tar" "$(real debian)"
	same "$CACHE/debian-bookworm-gcc.tar" "$(real debian-gcc)"
	checkout
	run_steps Tour
	same "" "$(mounts_under "$CASE/tour")"
	tour_py sharp Tour "$CASE/steps"
}
[ "$BACKEND" = overlay ] && case_ "the tour of the README prints what the README shows" tour

commands() {
	local name help
	tour_py commands >table
	expect_exit 0 snap help
	sed -n '/^Options:/q; s/^  \([a-z]\+\)  *\(.*\)/\1\t\2/p' "$CASE/.stdout" >listed
	[ -s listed ]
	while IFS=$'\t' read -r name help; do
		printf '%s\t%s\t%s\n' "$name" \
			"$(snap help "$name" | sed -n "1s/^Usage: snapdrv $name \[OPTION\]\.\.\. *//p")" "$help"
	done <listed >wanted
	diff wanted table
}
case_ "the README's table of commands is that of snapdrv help" commands

targets() {
	local target
	grep -oE '(`|^)([A-Z]+=[a-z]+ )?make( [a-z-]+)(`|$)' "$README" | sed 's/.*make *//; s/`//' >named
	[ -s named ]
	for target in $(<named); do
		grep -qE "^$target:" "$TOP/Makefile" || fail_ "the README names a target that is not there: $target"
	done
}
case_ "the targets that the README names are in the Makefile" targets

example() {
	local sanitize=()
	checkout
	make -s -C "$TOP" install -o all BUILD="$(dirname "$PROGRAM")" SANITIZE= DESTDIR="$CASE/installed" >made
	export PKG_CONFIG_SYSROOT_DIR=$CASE/installed LD_LIBRARY_PATH=$CASE/installed/usr/local/lib
	export PKG_CONFIG_PATH=$CASE/installed/usr/local/lib/pkgconfig
	tour_py block "The library" c >example.c
	tour_py block "The library" sh >compile
	[ -s example.c ] && [ -s compile ]
	[[ $PROGRAM != */asan/* ]] || sanitize=(-fsanitize=address,undefined)
	{
		printf 'gcc() { command gcc -Wall -Wextra -Werror %s "$@"; }\n' "${sanitize[*]}"
		cat compile
	} >with
	TMPDIR=$CASE/tmp bash -e with
	ROOT=$CASE/tour/store
	tar -C "$(real rootfs)" -cf small.tar .
	expect_exit 0 snap import small.tar debian:12
	export SNAPDRV_ROOT=$ROOT
	run_steps "The library"
	expect_exit 0 snap --json ls
	holds 'd == {"containers": []}'
}
case_ "the library example compiles against what is installed, makes a container and removes it" example
