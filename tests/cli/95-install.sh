#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What `make install` puts where: the library and what it shows, pages, completions, units.
. "$(dirname "$0")/../lib.sh"

# Several cases look at one installation.
BUILT=$(dirname "$SNAPDRV")
HERE=$WORK/installed
SHARE=$HERE/usr/local/share

# install_ TARGET [SETTING...]: make install or uninstall, without building again.
install_() {
	make -s -C "$TOP" "$1" -o all -o docs BUILD="$BUILT" "${@:2}"
}
if ! install_ install DESTDIR="$HERE" >"$WORK/install.log" 2>&1; then
	cat "$WORK/install.log" >&2
	echo "not ok make install"
	exit 1
fi

# functions: those that the header declares, as the compiler sees it.
functions() {
	echo '#include "snapdrv.h"' | gcc -x c -I"$TOP/driver" -fsyntax-only -aux-info "$CASE/declared" -
	grep -F '/driver/snapdrv/' "$CASE/declared" | grep -o 'snapdrv_[a-z0-9_]* (' | tr -d ' (' | sort -u
}

# ---- files ------------------------------------------------------------------------------------

files_of() {
	(cd "$1" && find . -type f -o -type l) | sed 's|^\.||' | sort
}
places() {
	local version
	version=$("$SNAPDRV" --version | sed 's/^snapdrv //')
	{
		printf '%s\n' /usr/local/bin/snapdrv /usr/local/include/snapdrv.h \
			/usr/local/include/snapdrv/{build,check,container,error,image,layer,load,scratch,snapshot,space,store}.h /usr/local/lib/libsnapdrv.a \
			/usr/local/lib/libsnapdrv.so /usr/local/lib/libsnapdrv.so.0 "/usr/local/lib/libsnapdrv.so.$version" \
			/usr/local/lib/pkgconfig/libsnapdrv.pc /usr/local/lib/systemd/system/snapdrvd.{service,socket} \
			/usr/local/share/bash-completion/completions/snapdrv /usr/local/share/zsh/site-functions/_snapdrv \
			/usr/local/share/fish/vendor_completions.d/snapdrv.fish \
			/usr/local/share/man/man{1/snapdrv.1,8/snapdrvd.8,3/libsnapdrv.3}
		echo /usr/local/sbin/snapdrvd
		"$SNAPDRV" help | sed -n '/^Options:/q; s|^  \([a-z]\+\) .*|/usr/local/share/man/man1/snapdrv-\1.1|p'
		functions | sed 's|.*|/usr/local/share/man/man3/&.3|'
	} | sort >wanted
	files_of "$HERE" >found
	diff wanted found
	same "" "$(find "$HERE" -type f -perm /022)"
}
case_ "everything is installed, with a page for each command and each function, and nothing else" places

settings() {
	local where=(DESTDIR="$CASE/d" PREFIX=/usr LIBDIR=/usr/lib/machine UNITDIR=/units MANDIR=/pages)
	install_ install "${where[@]}" >/dev/null
	[ -f d/usr/lib/machine/libsnapdrv.so.0 ] && [ -f d/units/snapdrvd.socket ] && [ -f d/pages/man8/snapdrvd.8 ]
	grep -qx 'libdir=/usr/lib/machine' d/usr/lib/machine/pkgconfig/libsnapdrv.pc
	grep -q '^ExecStart=/usr/sbin/snapdrvd --address ' d/units/snapdrvd.service
	same "" "$(grep -r "$CASE" d/usr/lib/machine/pkgconfig d/units d/usr/share)"
	touch d/usr/bin/other
	install_ uninstall "${where[@]}" >/dev/null
	same /usr/bin/other "$(files_of d)"
}
case_ "DESTDIR, PREFIX and the places are where they say; uninstall removes these files and no others" settings

# ---- the library ------------------------------------------------------------------------------

exports() {
	local so=$HERE/usr/local/lib/libsnapdrv.so
	functions >wanted
	[ "$(wc -l <wanted)" -gt 30 ]
	nm -D --defined-only "$so" | awk '$2 != "A" { print $3 }' | sort >found
	sed 's/$/@@SNAPDRV_0/' wanted | diff - found
	nm -g --defined-only "$HERE/usr/local/lib/libsnapdrv.a" | awk 'NF == 3 { print $3 }' |
		grep -v '^__[ao]' | sort >found
	diff wanted found
	readelf -d "$so" | has 'SONAME.*\[libsnapdrv\.so\.0\]'
	same libsnapdrv.so.0 "$(readlink "$so")"
}
case_ "the shared and the static library show the functions of the header, no more and no less" exports

# A program may call its own functions as it likes: also as the library calls some inside.
collision() {
	local sanitize=() own
	own=$(nm -g --defined-only "$BUILT/libsnapdrv.a" | awk '$2 == "T" { print $3 }' | grep -v '^snapdrv_' | sort -u)
	[ "$(wc -l <<<"$own")" -gt 100 ]
	{
		echo '#include <snapdrv.h>'
		echo '#include <stdio.h>'
		# shellcheck disable=SC2001
		sed 's/.*/int &(void); int &(void) { return puts("the wrong &"); }/' <<<"$own"
		echo 'int main(int argc, char **argv) { struct snapdrv_store *store; struct snapdrv_error err;'
		echo 'if (snapdrv_open(argc > 1 ? argv[1] : 0, 0, &store, &err)) return puts(err.message);'
		echo 'snapdrv_close(store); return 0; }'
	} >program.c
	export PKG_CONFIG_SYSROOT_DIR=$HERE PKG_CONFIG_PATH=$HERE/usr/local/lib/pkgconfig
	[[ $SNAPDRV != */asan/* ]] || sanitize=(-fsanitize=address,undefined)
	# shellcheck disable=SC2046 # words are meant
	TMPDIR=$CASE/tmp gcc -fno-builtin "${sanitize[@]}" program.c \
		$(pkg-config --static --cflags --libs libsnapdrv | sed 's/-lsnapdrv/-l:libsnapdrv.a/') -o static
	# shellcheck disable=SC2046
	TMPDIR=$CASE/tmp gcc -fno-builtin "${sanitize[@]}" program.c $(pkg-config --cflags --libs libsnapdrv) -o shared
	readelf -d shared | has 'NEEDED.*libsnapdrv\.so\.0'
	! readelf -d static | has libsnapdrv
	same "" "$(./static "$ROOT")"
	same "" "$(LD_LIBRARY_PATH=$HERE/usr/local/lib ./shared "$ROOT")"
}
case_ "a program that has functions named as the library's own gets along with either" collision

# ---- pages ------------------------------------------------------------------------------------

pages() {
	local page reference
	(cd "$SHARE/man" && mandoc -Tlint -W warning $(grep -L '^\.so ' man?/*)) >lint || fail_ "$(<lint)"
	same "" "$(<lint)"
	# What `man --warnings` runs for each page.
	(cd "$SHARE/man" && groff -s -t -K utf8 -man -w mac -Tutf8 -Z man?/*) 2>warnings >/dev/null
	same "" "$(<warnings)"
	grep -hoE '^\.BR [a-z_\\-]+ \([138]\)' "$SHARE"/man/man?/* | tr -d '\\(),' | sort -u >references
	[ "$(wc -l <references)" -gt 20 ]
	while read -r _ page reference; do
		[ -f "$SHARE/man/man$reference/$page.$reference" ] || fail_ "no page $page($reference), which another one names"
	done <references
}
case_ "mandoc and groff have nothing to say of the pages, and each that one names is there" pages

option_names() {
	sed -nE 's/^ +(-[a-zA-Z], )? *(--[a-z-]+).*/\2/p'
}
pages_say() {
	local name section
	for name in $("$SNAPDRV" help | sed -n '/^Options:/q; s/^  \([a-z]\+\) .*/\1/p'); do
		mandoc -Tascii "$SHARE/man/man1/snapdrv-$name.1" | col -b >page
		for section in NAME SYNOPSIS DESCRIPTION OPTIONS "EXIT STATUS" EXAMPLES "SEE ALSO"; do
			grep -qx "$section" page || fail_ "snapdrv-$name: no $section"
		done
		"$SNAPDRV" help "$name" | option_names | sort >wanted
		sed -n '/^OPTIONS/,/^EXIT/p' page | grep -E '^       -' | option_names | sort >found
		diff wanted found || fail_ "snapdrv-$name has other options than the program"
		sed -n '/^DESCRIPTION/,/^OPTIONS/p' page | wc -w >words
		[ "$(<words)" -ge 20 ] || fail_ "snapdrv-$name says next to nothing"
		grep -q "snapdrv.* $name" <(sed -n '/^EXAMPLES/,/^SEE/p' page) || fail_ "snapdrv-$name: no example of it"
	done
	mandoc -Tascii "$SHARE/man/man1/snapdrv.1" | col -b >page
	for name in 0 1 2 3 4 5; do
		sed -n '/^EXIT STATUS/,/^ENV/p' page | has -E "^       $name +[A-Z]" || fail_ "no exit status $name"
	done
}
case_ "the page of each command has all parts, and the options that the command has" pages_say

library_pages() {
	local name page text head
	for name in $(functions); do
		page=$(<"$SHARE/man/man3/$name.3")
		[[ $page == ".so "* ]] || page=".so man3/$name.3"
		text=$(mandoc -Tascii "$SHARE/man/${page#.so }" | col -b)
		[[ $text =~ [\ *]"$name("  ]] || fail_ "$name: its page does not show how it is called"
		head=${text#*$'\n'NAME} head=${head%%$'\n'SYNOPSIS*}
		[[ $head == *"$name"* ]] || fail_ "$name: not in its NAME"
		[[ ! $text =~ @[a-z]|/\*\* ]] || fail_ "$name: not all of the comment was understood"
	done
	text=$(MANWIDTH=200 mandoc -Tascii "$SHARE/man/man3/libsnapdrv.3" | col -b)
	sed -n '/^THREADS/,/^SEE/p' <<<"$text" | has 'one thread at a time'
	for name in $(functions); do
		[[ $text == *"$name(3)"* ]] || fail_ "libsnapdrv(3) does not name $name"
	done
}
case_ "each function has a page that shows its declaration, and libsnapdrv(3) names it" library_pages

found_by_man() {
	same "$SHARE/man/man1/snapdrv-load.1" "$(MANPATH=$SHARE/man man -w snapdrv-load)"
	MANPATH=$SHARE/man MANPAGER=cat man snapdrv_export_fd 2>&1 | col -b | has snapdrv_export_fd
}
case_ "man finds them, also the page of a function that shares one" found_by_man

daemon_page() {
	"$BUILT/snapdrvd" --help | option_names | grep -vx -e --help -e --version | sort >wanted
	[ -s wanted ]
	mandoc -Tascii "$SHARE/man/man8/snapdrvd.8" | col -b | sed -n '/^OPTIONS/,/^EXIT/p' | grep -E '^       -' |
		option_names | sort | diff wanted -
}
case_ "snapdrvd(8) has the options that snapdrvd has" daemon_page

# ---- units ------------------------------------------------------------------------------------

UNITS=$HERE/usr/local/lib/systemd/system
units() {
	install_ install DESTDIR="$CASE/d" PREFIX=/mnt >/dev/null
	# It looks for the program, and works in /tmp, which may be read-only here.
	unshare --mount sh -c 'mount --bind d/mnt /mnt && cd / && mount -t tmpfs none /tmp && exec "$@"' sh \
		systemd-analyze verify --man=no /mnt/lib/systemd/system/snapdrvd.s{ervice,ocket} >said 2>&1 ||
		fail_ "$(<said)"
	same "" "$(grep -F snapdrvd said)"
	grep -qx Type=notify "$UNITS/snapdrvd.service"
	grep -qx SocketMode=0600 "$UNITS/snapdrvd.socket"
	same "$(sed -n 's/^ListenStream=//p' "$UNITS/snapdrvd.socket")" \
		"$(sed -n 's/^ExecStart=.*--address \([^ ]*\).*/\1/p' "$UNITS/snapdrvd.service")"
	# These would hide the machine's mounts from it, or its mounts from the machine.
	! grep -nE '^(Private(Tmp|Devices|Mounts|Users)|Protect(System|Home|Kernel\w+|Proc|ControlGroups)|(ReadOnly|ReadWrite|Inaccessible|Bind)\w*Paths|RootDirectory|DynamicUser|MountFlags|TemporaryFileSystem)=' \
		"$UNITS/snapdrvd.service"
}
case_ "systemd takes the units, the socket is the same in both, and nothing unshares mounts" units

# What the service may do is enough for all that the library does.
capabilities() {
	local kept
	needs_calls mount_setattr
	kept=$(sed -n 's/^CapabilityBoundingSet=//p' "$UNITS/snapdrvd.service" | tr 'A-Z ' 'a-z,' | sed 's/cap_/+/g')
	confined() {
		setpriv --bounding-set "-all,$kept" --inh-caps -all --no-new-privs "$SNAPDRV" --root "$ROOT" "$@"
	}
	layout layout <<'END'
import sys
attributes = file("bin/tool", "x" * 100, mode=0o4755, uid=7, gid=8, xattrs={"security.capability":
    b"\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "trusted.note": b"n", "user.note": b"u"})
node = entry("dev/null", type=CHAR, dev=(1, 3))
lower = Layer([directory("bin"), directory("dev"), directory("lib", uid=1), file("lib/old", "o"), attributes, node])
Layout(Image([lower, Layer([whiteout("lib/old")])], names="x:1")).write_dir(sys.argv[1])
END
	expect_exit 0 confined load layout
	expect_exit 0 confined create --name a x:1
	same 7:8:4755 "$(stat -c %u:%g:%a "$OUT/bin/tool")"
	echo new >"$OUT/lib/new"
	expect_exit 0 confined create --name b --userns 100000:100000:65536 x:1
	expect_exit 0 confined diff a
	expect_exit 0 confined commit a y:1
	expect_exit 0 confined umount a b
	expect_exit 0 confined rm a b
	expect_exit 0 confined rmi --all
	expect_exit 0 confined gc
}
case_ "with the capabilities of the service the whole library works" capabilities

# ---- completions ------------------------------------------------------------------------------

store_to_complete() {
	layout layout <<'END'
import sys
Layout([Image([Layer([file("x", "x")])], names="debian:12"),
        Image([Layer([file("y", "y")])], names="registry.example:5000/team/app:2")]).write_dir(sys.argv[1])
END
	expect_exit 0 snap load layout
	[ "$(wc -l <"$CASE/.stdout")" = 2 ]
	expect_exit 0 snap create --no-mount --name web debian:12
	expect_exit 0 snap create --no-mount --name worker debian:12
	mkdir files files/directory bin
	touch files/a.tar files/b.tar
	ln -s "$SNAPDRV" bin/snapdrv
	export PATH=$CASE/bin:$PATH SNAPDRV_ROOT=$ROOT
	cd files
}

# completes LINE WORDS: what the shell offers at the end of the line, in the order of the bytes.
completes() {
	local got
	got=$("$COMPLETE" "$1" | sed '/^$/d' | LC_ALL=C sort -u | tr '\n' ' ')
	[ "${got% }" = "$2" ] || fail_ "'$1': offered: ${got% }"$'\n'"wanted: $2"
}
same_in_all_shells() {
	completes 'snapdrv com' commit
	completes 'snapdrv --root /tmp um' umount
	completes 'snapdrv umount w' 'web worker'
	completes 'snapdrv rm web wo' worker
	completes 'snapdrv create deb' debian:12
	completes 'snapdrv create docker.io/library/' docker.io/library/debian:12
	completes 'snapdrv -v create --name x registry' registry.example:5000/team/app:2
	completes 'snapdrv --driver o' overlay
	completes 'snapdrv save --format oci-a' oci-archive
	completes 'snapdrv rmi --fo' --force
	completes 'snapdrv inspect we' web
	completes 'snapdrv inspect deb' debian:12
	completes 'snapdrv help tag' tag
	completes 'snapdrv load a' a.tar
	completes 'snapdrv import a.tar deb' debian:12
	completes 'snapdrv df w' ''
	# Where there is no store none is made, whatever is asked.
	completes "snapdrv --root $CASE/none rm w" ''
	completes "snapdrv --root=$CASE/none rm w" ''
	[ ! -e "$CASE/none" ]
	completes "snapdrv --root $ROOT rm wo" worker
	(export SNAPDRV_ROOT=$CASE/none; completes "snapdrv --root=$ROOT rm wo" worker)
}

# in_bash LINE: the line is taken apart as readline does, at blanks and at each of COMP_WORDBREAKS.
in_bash() {
	bash -c '
		. "$1"
		COMP_LINE=$2 COMP_POINT=${#2} COMP_WORDS=() rest=$2
		while [ -n "$rest" ]; do
			if [[ $rest =~ ^[[:space:]]+ ]]; then rest=${rest:${#BASH_REMATCH}}; [ -n "$rest" ] || COMP_WORDS+=(""); continue; fi
			[[ $rest =~ ^[:=]+ ]] || [[ $rest =~ ^[^[:space:]:=]+ ]]
			COMP_WORDS+=("$BASH_REMATCH") rest=${rest:${#BASH_REMATCH}}
		done
		COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
		function=$(complete -p snapdrv | sed "s/.*-F \([^ ]*\).*/\1/")
		"$function" snapdrv "${COMP_WORDS[COMP_CWORD]}"
		# Readline puts an answer in the place of the last of these words.
		word=${COMP_WORDS[COMP_CWORD]}
		whole=${2##* }
		case $word in :*|=*) whole=$whole ;; *) whole=${whole%"$word"} ;; esac
		case $whole in --*=) whole="" ;; esac
		for answer in "${COMPREPLY[@]}"; do printf "%s%s\n" "$whole" "$answer"; done
	' bash "$SHARE/bash-completion/completions/snapdrv" "$1"
}
bash_completion() {
	bash -n "$SHARE/bash-completion/completions/snapdrv"
	COMPLETE=in_bash
	store_to_complete
	same_in_all_shells
	completes 'snapdrv create debian:' debian:12
	completes 'snapdrv --driver=o' overlay
	completes 'snapdrv create --bundle d' directory
	completes 'snapdrv save -o b' b.tar
	completes 'snapdrv load --ref x ' 'a.tar b.tar directory'
	completes 'snapdrv umount ' 'web worker'
}
case_ "bash completes commands, options, their values, images, containers and files" bash_completion

in_fish() {
	HOME=$CASE/tmp XDG_CONFIG_HOME=$CASE/tmp XDG_DATA_HOME=$CASE/tmp fish --no-config -c '
		source $argv[1]
		complete -C $argv[2]' "$SHARE/fish/vendor_completions.d/snapdrv.fish" "$1" | cut -f 1
	rm -rf "$CASE/tmp/fish"
}
fish_completion() {
	command -v fish >/dev/null || skip_ "no fish"
	fish -n "$SHARE/fish/vendor_completions.d/snapdrv.fish"
	COMPLETE=in_fish
	store_to_complete
	same_in_all_shells
	completes 'snapdrv create --bundle d' directory/
	completes 'snapdrv save -o b' b.tar
	completes 'snapdrv umount ' 'web worker'
}
case_ "fish does" fish_completion

# A shell on a terminal of its own; what its completion system is given is written down.
in_zsh() {
	rm -f "$CASE/hits" "$CASE/hits.done"
	touch "$CASE/hits"
	SHARE=$SHARE HITS=$CASE/hits LINE=$1 ZDOTDIR=$CASE/tmp timeout 30 zsh -f -c '
		zmodload zsh/zpty zsh/zselect
		zpty shell "stty cols 200; zsh -f -i"
		zpty -w shell "source $HITS.setup"
		while [[ ! -e $HITS.ready ]]; do zselect -t 2; done
		zpty -n -w shell "$LINE"$'"'\t'"'
		while [[ ! -e $HITS.done ]]; do zselect -t 2; zpty -rt shell ignored; done
		zpty -d shell' >/dev/null
	rm -f "$CASE/hits.ready"
	cat "$CASE/hits"
}
zsh_setup() {
	cat <<'END'
PS1= RPS1= fpath=($SHARE/zsh/site-functions $fpath)
unset HISTFILE
autoload -U compinit && compinit -D -u
compadd() {
	local -a hits
	if [[ " ${@[1,(i)(-|--)]} " == *' -'(O|A|D)' '* ]]; then
		builtin compadd "$@"
		return
	fi
	builtin compadd -A hits "$@"
	[[ ${#hits} == 0 ]] || print -rl -- $hits >>$HITS
	builtin compadd "$@"
}
mark() { zle complete-word; : >$HITS.done }
zle -N mark
bindkey '^I' mark
: >$HITS.ready
END
}
zsh_completion() {
	command -v zsh >/dev/null || skip_ "no zsh"
	zsh -n "$SHARE/zsh/site-functions/_snapdrv"
	zsh_setup >"$CASE/hits.setup"
	COMPLETE=in_zsh
	store_to_complete
	same_in_all_shells
	completes 'snapdrv create --bundle d' directory
	completes 'snapdrv save -o b' b.tar
	completes 'snapdrv umount ' 'web worker'
}
case_ "zsh does" zsh_completion
