#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What `make lint` checks: the format, which room includes which, calls that only one room may name,
# licence lines, sizes of files, the public header as C89 and C++, cppcheck, clang-tidy, the scripts.
# Each rule prints `ok RULE`, or `not ok RULE` after what it found; exit 1 when one was broken.
#
#	tests/lint.sh		check this tree
#	tests/lint.sh DIR	check the rules of the house in another one (the self-test does so)
#
# From outside: TIDY_NODES, how far clang's analyzer follows each function (its own limit: 225,000 nodes).
set -u -o pipefail
export LC_ALL=C
# Debian's own python3 starts faster than one of a version manager.
[ ! -x /usr/bin/python3 ] || PATH=/usr/bin:$PATH
TOP=$(cd "$(dirname "$0")/.." && pwd)
HOUSE=${1:-$TOP}
cd "$HOUSE" || exit 1
status=0

# rule NAME FUNCTION: it prints what is wrong, and nothing when all is well.
rule() {
	local name=$1 found
	shift
	found=$("$@" 2>&1)
	if [ -n "$found" ]; then
		printf '%s\n' "$found" | sed 's/^/	/'
		echo "not ok $name"
		status=1
	else
		echo "ok $name"
	fi
}

files() {
	git ls-files -co --exclude-standard -- "$@" 2>/dev/null | while read -r file; do
		[ ! -f "$file" ] || echo "$file"
	done
}
in_self_test() {
	[ "$HOUSE" != "$TOP" ]
}
if in_self_test; then
	files() {
		local pattern
		for pattern; do
			find . -type f -path "./$pattern" -printf '%P\n'
		done
	}
fi

# ---- the house --------------------------------------------------------------------------------

# Room: the rooms that it may include, itself always among them.
declare -A MAY=(
	[base]=""
	[wire]="base"
	[kernel]="base"
	[store]="base kernel"
	[layer]="base kernel"
	[backend]="base kernel"
	[snapshot]="base kernel store backend"
	[image]="base wire store layer snapshot"
	[build]="base kernel store layer snapshot image"
)

room_of() {
	local path=${1#driver/}
	case $1 in
	driver/snapdrv/*) echo header ;;
	driver/*/*) echo "${path%%/*}" ;;
	driver/*) echo facade ;;
	cli/*) echo cli ;;
	esac
}

includes() {
	local file line header room
	for file in $(files 'driver/*.c' 'driver/*.h' 'cli/*.c' 'cli/*.h'); do
		room=$(room_of "$file")
		if [ "$room" != header ] && [ "$room" != facade ] && [ "$room" != cli ] && [ -z "${MAY[$room]+x}" ]; then
			echo "$file: there is no room '$room' in the design"
			continue
		fi
		grep -noE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"[^"]*"' "$file" | while IFS=: read -r line header; do
			header=${header#*\"} header=${header%\"}
			[ "$header" = snapdrv.h ] && [[ $file != driver/snapdrv[./]* ]] && continue
			case $file:$header in
			driver/snapdrv.h:snapdrv/*) continue ;;
			driver/snapdrv/*:*/*) ;;
			driver/snapdrv/*:*) continue ;;
			driver/snapdrv.h:*) ;;
			driver/snapdrv.c:* | driver/facade*:*) continue ;;
			cli/snapdrvd*:wire/*) continue ;;
			cli/*:*/*) ;;
			cli/*:*) continue ;;
			*:*..*) ;;
			*:*/*) [[ " $room ${MAY[$room]} " == *" ${header%%/*} "* ]] && continue ;;
			esac
			echo "$file:$line: $room may not include \"$header\""
		done
	done
}

# The text of C files without comments and without what stands in strings; lines stay where they are.
bare() {
	python3 -c '
import re, sys
keep = lambda m: m.group(0)[0] + re.sub(r"[^\n]", "", m.group(0)) + m.group(0)[-1] \
    if m.group(0)[0] in "\"\x27" else " " + re.sub(r"[^\n]", "", m.group(0))
for path in sys.argv[1:]:
    text = open(path, encoding="utf-8", errors="replace").read()
    text = re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|\x27(?:\\.|[^\x27\\\n])*\x27", keep, text, flags=re.S)
    for number, line in enumerate(text.split("\n"), 1):
        if not line.lstrip().startswith("#include"):
            print(f"{path}:{number}:{line}")
' "$@"
}

# only WHERE WHAT PATTERN: files of driver/ and cli/ outside of WHERE name no PATTERN (Perl's).
only() {
	local where=$1 pattern=$2
	grep -P "^(?!$where)[^:]*:\d+:.*(?<![\w>.])($pattern)" "$BARE" | sed 's/[[:space:]]\+/ /g'
}
calls() {
	only 'driver/kernel/' '(u?mount2?|syscall)\s*\(|ioctl\s*\((?!STDERR_FILENO, TIOCGWINSZ)|mnt_\w+|btrfs_util_\w+|(fsopen|fsconfig|fsmount|fspick|move_mount|open_tree|mount_setattr|openat2)\s*\(' |
		sed 's/$/   <- only kernel\/ may/'
	only 'driver/layer/' 'archive_\w+\s*\(|struct archive\b' | sed 's/$/   <- only layer\/ may/'
	only 'driver/store/' 'sqlite3\w*' | sed 's/$/   <- only store\/ may/'
	only 'driver/base/digest\.c' 'EVP_\w+' | sed 's/$/   <- only base\/digest.c may/'
	only 'driver/base/checksum\.c' 'XXH\w+' | sed 's/$/   <- only base\/checksum.c may/'
	only 'driver/wire/' 'curl_\w+|grpc_\w+' | sed 's/$/   <- only wire\/ may/'
	only 'cli/' '(printf|vprintf|puts|putchar|perror|warnx?|errx?)\s*\(|(fprintf|fputs|fputc|fwrite|vfprintf)\s*\([^;]*\b(stdout|stderr)\b' |
		sed 's/$/   <- only cli\/ prints/'
	only 'cli/|driver/kernel/(mkfs|sandbox)\.c|driver/image/credential_helper\.c' '_?exit\s*\(' | sed 's/$/   <- a library does not exit/'
	only 'driver/kernel/(mkfs|sandbox)\.c|driver/image/credential_helper\.c' '(execvp|fork)\s*\(' | sed 's/$/   <- no helper programs/'
	only 'nowhere' '(system|popen|exec[lv]e?|exec[lv]pe|execlp|posix_spawnp?|chroot|wordexp)\s*\(' | sed 's/$/   <- no helper programs, no chroot/'
	only 'nowhere' '(gets|tmpnam|mktemp|strtok|alloca)\s*\(' | sed 's/$/   <- a safer one exists/'
	only 'nowhere' 'goto\s+\w+\s*;' | sed 's/$/   <- cleanup attributes, early returns/'
}
forbidden() {
	BARE=$(mktemp)
	# shellcheck disable=SC2046 # words are meant
	bare $(files 'driver/*.c' 'driver/*.h' 'cli/*.c' 'cli/*.h') >"$BARE"
	calls
	rm -f "$BARE"
}

licence() {
	# What a Dockerfile of the collection takes in is as users have it.
	files '*.c' '*.h' '*.sh' '*.py' Makefile 'tests/run' 'tests/tools/*' '.ci/run' 'vm-tests/*' |
		grep -v '^tests/build/[^/]*/context/' | xargs -r awk '
			FNR <= 3 && /SPDX-License-Identifier: Apache-2\.0/ { has[FILENAME] }
			END { for (i = 1; i < ARGC; i++) if (!(ARGV[i] in has)) print ARGV[i] ": no SPDX line" }'
}

sizes() {
	# Lines in all, comments too. The one public header is mostly comment: it is the library's manual.
	files '*.c' '*.h' | grep -vx 'driver/snapdrv\.h' | xargs -r awk '
		{ lines[FILENAME]++ }
		END {
			for (file in lines) {
				if (lines[file] > 800) print file ": " lines[file] " lines, more than 800"
				else if (lines[file] > 500) print "warning: " file ": " lines[file] " lines, more than 500" >"/dev/fd/3"
			}
		}'
	files 'driver/*.c' 'cli/*.c' | xargs -r awk '
		FNR == 2 && !/^\/\*/ { print FILENAME ": its second line does not say what it is for" }'
}

# With pipefail, whoever still writes when the reader has seen enough fails. `sh -c` has no pipefail.
pipes() {
	files 'tests/cli/*.sh' 'tests/faults/*.sh' 'tests/backend/*.sh' | xargs -r grep -nHE '[^|]\| *(grep -[a-zA-Z]*q|head -n 1\b)' |
		grep -v 'sh -c' | sed 's/$/   <- what writes to it can die of SIGPIPE: has, sed -n 1p/'
}

exec 3>&1
rule "each room includes only what the design allows" includes
rule "each call stands in the room that owns it" forbidden
rule "each source file has its SPDX line" licence
rule "no C file has more than 800 lines; each says what it is for" sizes
rule "no test reads a part of what a pipe brings" pipes
in_self_test && exit $status

# ---- the rules themselves ---------------------------------------------------------------------

# A house where each rule is broken once: each must be seen.
self_test() {
	local broken out expected
	broken=$(mktemp -d)
	mkdir -p "$broken"/driver/{snapdrv,base,layer,image,attic,store} "$broken/cli" "$broken/tests/cli"
	put() {
		printf '%s\n' '/* SPDX-License-Identifier: Apache-2.0 */' '/* A test. */' "${@:2}" >"$broken/$1"
	}
	put driver/snapdrv.h '#include "base/error.h"'
	put driver/snapdrv/part.h '#include "base/error.h"'
	put driver/base/part.c '#include "snapdrv/part.h"'
	put driver/base/up.c '#include "kernel/mount.h"'
	put driver/base/flat.c '#include "error.h"'
	put driver/layer/side.c '#include "store/db.h"' 'int x(void)' '{' '	return mount(a, b, c, 0, 0);' '}'
	put driver/layer/print.c 'int x(void)' '{' '	fprintf(stderr, "x");' '}'
	put driver/image/tar.c 'int x(void)' '{' '	archive_read_new();' '	EVP_Digest();' '}'
	put driver/image/mount.c 'int x(void)' '{' '	/* mount(2), sqlite3_open */' '	return graph->mount(g, "mount(2)");' '}'
	put driver/attic/new.c 'int x;'
	put driver/store/jump.c 'int x(void)' '{' '	goto out;' '	system("x");' '}'
	put cli/deep.c '#include "image/reference.h"'
	put tests/cli/pipe.sh 'a | grep -q b' 'a || grep -q b' 'a | has b'
	echo 'int no_licence;' >"$broken/driver/base/free.c"
	yes 'int a;' | head -n 900 >>"$broken/driver/base/flat.c"
	out=$("$TOP/tests/lint.sh" "$broken")
	for expected in 'driver/snapdrv.h:3: facade may not include' 'driver/snapdrv/part.h:3: header may not include' \
		'driver/base/part.c:3: base may not include "snapdrv/part.h"' 'driver/base/up.c:3: base may not include "kernel/mount.h"' \
		'driver/base/flat.c:3: base may not include "error.h"' 'driver/layer/side.c:3: layer may not include "store/db.h"' \
		'driver/layer/side.c:6:' 'driver/layer/print.c:5:' 'driver/image/tar.c:5:' 'driver/image/tar.c:6:' \
		"no room 'attic'" 'driver/store/jump.c:5:' 'driver/store/jump.c:6:' 'cli/deep.c:3: cli may not include' \
		'free.c: no SPDX line' 'flat.c: 90' 'pipe.sh:3:'; do
		[[ $out == *"$expected"* ]] || echo "a violation was not seen: $expected"
	done
	[[ $out != *driver/image/mount.c* ]] || echo "taken for a violation: $(grep driver/image/mount.c <<<"$out")"
	[[ $out != *pipe.sh:[45]:* ]] || echo "taken for a violation: $(grep pipe.sh <<<"$out")"
	rm -rf "$broken"
}

format() {
	files '*.c' '*.h' | xargs -r clang-format --dry-run -Werror 2>&1 | grep -E 'error:' | head -n 40
}

public_header() {
	printf '#include "snapdrv.h"\n#include "snapdrv.h"\nint main(void) { return 0; }\n' >"$BUILD/header.c"
	gcc -std=c89 -pedantic -Wall -Wextra -Werror -Idriver -fsyntax-only "$BUILD/header.c"
	gcc -x c++ -std=c++98 -Wall -Wextra -Werror -Wno-long-long -Idriver -fsyntax-only "$BUILD/header.c" 2>&1 |
		grep -v 'cc1plus.*No such file' || :
}

# In the code: `cppcheck-suppress ID ; why`, `NOLINT(check): why`, and a comment after a pragma or an attribute.
explained() {
	git grep -nE 'cppcheck-suppress|NOLINT|diagnostic ignored|no_sanitize' -- 'driver/*' 'cli/*' 'tests/*.[ch]' |
		grep -vE 'cppcheck-suppress [A-Za-z]+ ; .{10}|NOLINT[A-Z]*\([a-z.A-Z-]+\): .{10}|(ignored "[^"]*"|no_sanitize\([^)]*\)\)*) /\* .{10}' |
		sed 's/$/   <- no word why/'
}

# Left out, and why: cppcheck knows nothing of cleanup attributes (leaks, variables that a macro
# initializes; `make check-asan` finds leaks); readdir(3) is reentrant for streams of one's own.
CPPCHECK_LEFT_OUT="resourceLeak memleak memleakOnRealloc uninitvar uninitdata legacyUninitvar leakReturnValNotUsed
	readdirCalled internalAstError syntaxError"
static_cppcheck() {
	local sources
	mkdir -p "$BUILD/cppcheck"
	mapfile -t sources < <(files 'driver/*.c' 'cli/*.c')
	[ ${#sources[@]} -gt 0 ] || return 0
	# shellcheck disable=SC2046 # words are meant
	cppcheck $(printf -- '--suppress=%s ' $CPPCHECK_LEFT_OUT) --quiet --error-exitcode=1 --enable=warning,performance,portability --inline-suppr \
		--std=c11 -Idriver -j "$(nproc)" --cppcheck-build-dir="$BUILD/cppcheck" --library=posix,gnu \
		--suppress=missingIncludeSystem --template='{file}:{line}: {id}: {message}' "${sources[@]}"
}

# Left out, and why:
#  easily-swappable-parameters	a matter of taste, at half of all functions
#  reserved-identifier		_GNU_SOURCE is ours to define
#  suspicious-include, narrowing-conversions, implicit-widening…	-Wextra has what we want of them
#  assignment-in-if-condition	while ((n = read(…)) > 0) is C
#  branch-clone			switch cases of one body say more than one case of many
#  multi-level-implicit-pointer-conversion, macro-parentheses	wrong about cleanup attributes
#  suspicious-string-compare, sizeof-expression	strcmp(a, b) && ..., and sizeof(*array_of_pointers), are C
#  insecureAPI.DeprecatedOrUnsafeBufferHandling, .strcpy	want memcpy_s and strlcpy, which glibc has not
#  optin.portability.UnixAPI	calloc of 0 is defined where we run
#  security.FloatLoopCounter	halving a double to find its unit is no counting
#  unix.Malloc, unix.MallocSizeof, unix.Stream	do not know cleanup attributes; `make check-asan` finds leaks
TIDY='-*,bugprone-*,clang-analyzer-*,-bugprone-easily-swappable-parameters,-bugprone-reserved-identifier'
TIDY+=',-bugprone-narrowing-conversions,-bugprone-implicit-widening-of-multiplication-result'
TIDY+=',-bugprone-assignment-in-if-condition,-bugprone-branch-clone,-bugprone-macro-parentheses'
TIDY+=',-bugprone-multi-level-implicit-pointer-conversion'
TIDY+=',-bugprone-suspicious-string-compare,-bugprone-sizeof-expression'
TIDY+=',-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling'
TIDY+=',-clang-analyzer-security.insecureAPI.strcpy'
TIDY+=',-clang-analyzer-optin.portability.UnixAPI,-clang-analyzer-security.FloatLoopCounter'
TIDY+=',-clang-analyzer-unix.Malloc,-clang-analyzer-unix.MallocSizeof,-clang-analyzer-unix.Stream'

# One file; what passed once, with the same headers and checks, passes without a run.
tidy_one() {
	local flags stamp limit="${TIDY_NODES:+-Xclang -analyzer-config -Xclang max-nodes=$TIDY_NODES}"
	flags="-std=gnu17 -D_GNU_SOURCE -Idriver -Ibuild/gen $PKG_FLAGS"
	case $1 in
	driver/base/error.c | cli/snapdrvd_log.c) ;;
	cli/snapdrvd*) flags+=" -include tests/tools/lint-hints-daemon.h" ;;
	driver/*) flags+=" -include tests/tools/lint-hints.h" ;;
	esac
	# shellcheck disable=SC2086 # words are meant
	stamp=$BUILD/tidy/$({ echo "$TIDY $limit"; gcc $flags -E "$1" 2>/dev/null; } | sha256sum | cut -c 1-40)
	[ ! -e "$stamp" ] || return 0
	# shellcheck disable=SC2086
	if out=$(clang-tidy --quiet --checks="$TIDY" --warnings-as-errors='*' "$1" -- $flags $limit 2>/dev/null) && [ -z "$out" ]; then
		touch "$stamp"
	else
		grep -E ': (error|warning): ' <<<"$out" || printf '%s\n' "${out:-$1: clang-tidy failed}"
	fi
}
static_tidy() {
	mkdir -p "$BUILD/tidy"
	PKG_FLAGS=$(pkg-config --cflags jansson libarchive libcrypto libzstd mount sqlite3 zlib 2>/dev/null)
	export -f tidy_one
	export BUILD TIDY PKG_FLAGS TIDY_NODES=${TIDY_NODES:-}
	files 'driver/*.c' 'cli/*.c' | xargs -r -P 2 -n 1 bash -c 'tidy_one "$0"'
}

scripts() {
	local file
	for file in $(files '*.sh' 'tests/run' 'tests/tools/*' '.ci/run'); do
		[[ $file != *-suppressions ]] || continue
		case $(head -n 1 "$file") in
		*bash* | '# SPDX'*) [[ $file == *.py ]] || bash -n "$file" ;;
		esac
	done
	files '*.py' 'tests/tools/*' | xargs -r python3 -c '
import ast, sys
for path in sys.argv[1:]:
    text = open(path, encoding="utf-8", errors="replace").read()
    if path.endswith(".py") or "python3" in text.partition("\n")[0]:
        try:
            ast.parse(text, path)
        except SyntaxError as error:
            print(error)'
	for file in $(files 'tests/run' 'tests/*.sh' 'tests/tools/*' '.ci/run'); do
		case $file in
		*.py | *.[ch] | tests/tools/*-suppressions | tests/lib.sh | tests/cli/* | tests/backend/* | tests/corpus/*) ;;
		*) [ -x "$file" ] || echo "$file: cannot be executed" ;;
		esac
	done
}

# Paths of one machine do not belong into what others read.
machine_paths() {
	git grep -nIE '(^|[^[:alnum:]._-])/(work|root)/' 2>/dev/null | head -n 20
}

BUILD=$TOP/build/lint
mkdir -p "$BUILD"
rule "the rules see a violation" self_test
rule "clang-format" format
rule "the public header compiles as C89 and as C++" public_header
rule "cppcheck" static_cppcheck
rule "each suppression of a warning says why" explained
rule "clang-tidy" static_tidy
rule "scripts parse" scripts
rule "no path of one machine" machine_paths
exit $status
