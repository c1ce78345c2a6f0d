#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Owners shifted for a user namespace by idmapped mounts: nothing is copied or changed.
. "$(dirname "$0")/../lib.sh"

ROOTFS=$("$TOOLS/realimage" rootfs)
IMAGE=$WORK/image.tar
(
	cp -a "$ROOTFS" "$WORK/tree"
	cd "$WORK/tree"
	mkdir -p own
	touch own/zero own/app own/setuid
	chown 1000:1001 own/app
	chmod 4755 own/setuid
	setfattr -n user.kept -v yes own/app
	tar --xattrs --xattrs-include='*' -cf "$IMAGE" .
)

shifted() {
	needs_calls mount_setattr
	expect_exit 0 snap import "$IMAGE" image:1
	expect_exit 0 snap create --name plain image:1
	plain=$OUT
	same "0:0 1000:1001" "$(echo $(stat -c %u:%g "$plain/own/zero" "$plain/own/app"))"
	expect_exit 0 snap create --name c --userns 100000:200000:65536 image:1
	same "100000:200000 101000:201001 100000:200000" \
		"$(echo $(stat -c %u:%g "$OUT/own/zero" "$OUT/own/app" "$OUT"))"
	same 4755 "$(stat -c %a "$OUT/own/setuid")"
	same yes "$(getfattr --only-values -n user.kept "$OUT/own/app" 2>/dev/null)"
	# What a user of the namespace writes is on disk as its own number.
	setpriv --reuid 101000 --regid 201001 --clear-groups sh -c "echo x >>'$OUT/own/app'" 2>/dev/null ||
		touch "$OUT/own/app"
	chown 100007:200008 "$OUT/own/zero"
	expect_exit 0 snap umount c
	expect_exit 0 snap mount c
	same "100007:200008 101000:201001" "$(echo $(stat -c %u:%g "$OUT/own/zero" "$OUT/own/app"))"
	same "7:8" "$(stat -c %u:%g "$ROOT"/active/*/fs/own/zero | grep -v ^0:0)"
	# The image and the other container are as they were.
	same "0:0" "$(stat -c %u:%g "$plain/own/zero")"
	expect_exit 0 snap create --name view --read-only --userns 300000:300000:65536 image:1
	same "301000:301001" "$(stat -c %u:%g "$OUT/own/app")"
	if touch "$OUT/new" 2>/dev/null; then fail_ "a read-only rootfs was written"; fi
	expect_exit 0 snap rm c view plain
}
case_ "create --userns shifts every owner, keeps the rest, and mount does it again" shifted

nothing_copied() {
	needs_calls mount_setattr
	expect_exit 0 snap import "$IMAGE" image:1
	expect_exit 0 snap create --userns 100000:100000:65536 image:1
	case $BACKEND in
	overlay) same 1 "$(find "$ROOT"/active/*/fs | wc -l)" ;;
	esac
	same "" "$(find "$ROOT/layers" "$ROOT/active" -uid +90000)"
}
case_ "no file is copied or changed for it" nothing_copied

in_runc() {
	needs_calls mount_setattr
	chmod 711 "$WORK" "$CASE"
	expect_exit 0 snap import --change 'ENV A=b' "$IMAGE" image:1
	expect_exit 0 snap create --name c --userns 100000:100000:65536 --bundle bundle image:1 -- \
		/bin/sh -c 'id -u; cat /proc/self/uid_map; echo made >/made; stat -c %u:%g /own/app /own/zero'
	chmod 755 bundle
	runc --root "$CASE/runc" run --bundle bundle "userns-$BASHPID" >out 2>err || fail_ "runc: $(cat out err)"
	same "0 0 100000 65536 1000:1001 0:0" "$(echo $(<out))"
	same "100000:100000" "$(stat -c %u:%g "$OUT/made")"
	expect_exit 0 snap create --name again --userns 200000:200000:1000 --bundle again image:1 -- /bin/cat /own/app
	chmod 755 again
	runc --root "$CASE/runc" run --bundle again "userns-again-$BASHPID" >out 2>err || fail_ "runc: $(cat out err)"
	# Nobody else comes in.
	same "0" "$(stat -c %a "$ROOT" | tail -c 2)"
	if setpriv --reuid 65534 --regid 65534 --clear-groups ls "$ROOT/containers/c/rootfs" 2>/dev/null; then
		fail_ "another user reaches the rootfs"
	fi
	expect_exit 0 snap rm c again
}
case_ "runc run of such a bundle, in a user namespace" in_runc

# users: who is let through, in the store's directory and the one of its containers.
users() {
	local dir
	for dir in "$ROOT" "$ROOT/containers"; do
		getfattr -n system.posix_acl_access --only-values --absolute-names "$dir" | python -IS -c '
import struct, sys
data = sys.stdin.buffer.read()
print(*(who for tag, allowed, who in struct.iter_unpack("<HHI", data[4:]) if tag == 2 and allowed == 1))'
	done
}
many_users() {
	local n want=""
	needs_calls mount_setattr
	expect_exit 0 snap import "$IMAGE" image:1
	for n in $(seq 70); do
		expect_exit 0 snap create --name "c$n" --userns "$((n * 100000)):$((n * 100000)):1000" image:1
		want+=" $((n * 100000))"
	done
	same "${want# }"$'\n'"${want# }" "$(users)"
	for n in $(seq 2 70); do
		expect_exit 0 snap rm "c$n"
	done
	expect_exit 0 snap create --name new --userns 50000:50000:1000 image:1
	same "50000 100000"$'\n'"50000 100000" "$(users)"
}
case_ "users of 70 mappings come to their containers; those whose containers are gone do so no more" many_users

wrong() {
	expect_exit 0 snap import "$IMAGE" image:1
	for words in 1 1:2 1:2:0 a:b:c 1:2:3:4 -1:0:5 4294967295:0:1 0:4294967290:65536 " 1:2:3" 99999999999:0:1; do
		refused 2 snap create --userns "$words" image:1
	done
}
case_ "what is no UID:GID:SIZE is wrong usage" wrong

lacking() {
	expect_exit 0 snap import "$IMAGE" image:1
	# A bind is made private first; then its owners are shifted.
	when=
	[ "$BACKEND" = overlay ] || when=:when=2
	for error in EINVAL ENOSYS; do
		ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" expect_exit 1 strace -f -qq -o .trace \
			-e trace=mount_setattr -e "inject=mount_setattr:error=$error$when" \
			"$SNAPDRV" --root "$ROOT" create --name c --userns 1:1:5 image:1
		one_line_error "shift owners"
	done
	expect_exit 0 snap --json ls
	holds 'd == {"containers": []}'
}
case_ "where the kernel cannot, an error says what it lacks, and there is no container" lacking
