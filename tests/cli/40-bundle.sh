#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# create --bundle, and what runc makes of it.
. "$(dirname "$0")/../lib.sh"

TREE=$(real rootfs) || exit 1

# image NAME [TREE] [--change CHANGE]...: import a tree.
image() {
	local name=$1 tree=$TREE
	shift
	if [ $# -gt 0 ] && [[ $1 != --* ]]; then
		tree=$1
		shift
	fi
	tar -C "$tree" -cf image.tar .
	expect_exit 0 snap import "$@" image.tar "$name"
}

# run BUNDLE: OUT is what its process printed; its exit status must be the first argument.
run() {
	expect_exit "$1" timeout 60 runc --root "$CASE/runc" run --bundle "$2" "test-$BASHPID-$RANDOM"
}

command_of_image() {
	image small:1 --change 'CMD ["/bin/sh", "-c", "pwd; id -u; echo $GREETING; cat /etc/os-release"]' \
		--change 'ENV GREETING="hello there"' --change 'WORKDIR /home/app'
	expect_exit 0 snap create --name one --bundle bundle small:1
	same "$ROOT/containers/one/rootfs" "$OUT"
	[ -f bundle/config.json ] || fail_ "no config.json"
	run 0 bundle
	same "/home/app 0 hello there NAME=small" "$(echo $OUT)"
	expect_exit 0 snap rm one
}
case_ "runc run of a bundle: the image's command, environment and working directory" command_of_image

umoci_image() {
	expect_exit 0 snap load "$(real umoci)" --ref three
	expect_exit 0 snap create --bundle bundle three -- /bin/sh -c 'id; pwd; echo $GREETING; cat /etc/os-release'
	run 0 bundle
	same "uid=1000(app) gid=1000(app) groups=1000(app),29(audio),50(staff) /home/app hello changed" "$(echo $OUT)"
}
case_ "runc run of umoci's image, as its user" umoci_image

buildah_image() {
	expect_exit 0 snap load "$(real buildah-docker)"
	expect_exit 0 snap create --bundle bundle localhost/built:1
	run 0 bundle
	same second "$OUT"
}
case_ "Entrypoint and Cmd are joined (an image by buildah)" buildah_image

arguments() {
	image small:1 --change 'ENTRYPOINT ["/bin/false"]' --change 'CMD ["/bin/false"]'
	expect_exit 0 snap create --bundle bundle small:1 -- /bin/sh -c 'echo "[$1]" "[$2]"; exit 7' sh 'a b' --name=x
	run 7 bundle
	same "[a b] [--name=x]" "$OUT"
}
case_ "the words after -- take the place of the image's command; the exit status is the process's" arguments

no_command() {
	image none:1
	refused 2 snap create --name one --bundle bundle none:1
	[ ! -e bundle/config.json ] || fail_ "a config.json was left"
	WORDS=()
	expect_exit 0 snap create --bundle bundle none:1 -- /bin/true
	run 0 bundle
}
case_ "an image without a command needs words after --" no_command

# Which supplementary groups go with an explicit group differs between tools: only the IDs then.
users() {
	local user want
	while IFS='|' read -r user want; do
		rm -rf bundle
		image "user:1" --change "USER $user"
		expect_exit 0 snap create --bundle bundle user:1 -- /bin/sh -c 'echo $(id -u) $(id -g) $HOME'
		run 0 bundle
		same "$want" "$OUT"
	done <<-'END'
		root|0 0 /root
		app|1000 1000 /home/app
		app:staff|1000 50 /home/app
		app:29|1000 29 /home/app
		1000|1000 1000 /home/app
		1234:5678|1234 5678 /
		0:50|0 50 /root
	END
}
case_ "USER by name, number, with group by name and number; HOME from the image's passwd" users

supplementary() {
	image user:1 --change "USER app"
	expect_exit 0 snap create --bundle bundle user:1 -- /bin/sh -c 'echo $(id -G)'
	run 0 bundle
	same "1000 29 50" "$OUT"
}
case_ "a user's supplementary groups are those of the image's group file" supplementary

unknown_user() {
	local user
	for user in nobody-here app:nogroup-here; do
		image unknown:1 --change "USER $user"
		WORDS=("${user#app:}")
		refused 5 snap create --name one --bundle bundle unknown:1 -- /bin/true
		[ ! -e "$ROOT/containers/one" ] || fail_ "a container was left"
	done
}
case_ "a user or group that the image does not know is refused and leaves nothing" unknown_user

# hostile KIND: the image's passwd (or group) is no file of the image that can be read.
hostile() {
	local kind=$1 file
	echo 'host-user:x:4242:4242::/:/bin/sh' >"$CASE/host-file"
	echo 'host-group:x:4243:' >>"$CASE/host-file"
	for file in passwd group; do
		rm -rf tree bundle
		cp -a "$TREE" tree
		rm tree/etc/$file
		case $kind in
		fifo) mkfifo tree/etc/$file ;;
		absolute) ln -s "$CASE/host-file" tree/etc/$file ;;
		relative) ln -s "../../../../../../../../../../../..$CASE/host-file" tree/etc/$file ;;
		endless) truncate -s 64M tree/etc/$file ;;
		device) mknod tree/etc/$file c 1 5 ;;
		folder) mkdir tree/etc/$file ;;
		loop) ln -s $file tree/etc/$file ;;
		procfs) ln -s /proc/self/root/etc/passwd tree/etc/$file ;;
		line) head -c 900000 /dev/zero | tr '\0' x >tree/etc/$file ;;
		esac
		tar --sparse -C tree -cf image.tar .
		for user in host-user 1000:host-group root:host-group; do
			[ $file = group ] || [ $user = host-user ] || continue
			expect_exit 0 snap import --change "USER $user" image.tar hostile:1
			SNAP_TIMEOUT=20 refused 5 snap create --name one --bundle bundle hostile:1 -- /bin/true
			[ ! -e bundle/config.json ] || fail_ "a config.json was left"
		done
		# A number needs neither file: made or refused, but within the time.
		expect_exit 0 snap import --change "USER 7:8" image.tar hostile:2
		SNAP_TIMEOUT=20 snap create --name two --bundle bundle hostile:2 -- /bin/true >out 2>&1 || [ $? = 5 ] ||
			fail_ "USER 7:8: $(<out)"
		snap rm two 2>/dev/null || :
	done
}
for kind in fifo absolute relative endless device folder loop procfs line; do
	case_ "the image's passwd or group is hostile: $kind" hostile $kind
done

# Opening some devices does something; a name that is a device is looked at, no more.
device_closed() {
	rm -rf tree
	cp -a "$TREE" tree
	rm tree/etc/passwd
	mknod tree/etc/passwd c 1 5
	tar -C tree -cf image.tar .
	expect_exit 0 snap import --change "USER somebody" image.tar device:1
	ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" expect_exit 5 strace -f -qq -o .trace -e trace=openat,openat2 \
		"$SNAPDRV" --root "$ROOT" create --name one --bundle bundle device:1 -- /bin/true
	grep -q 'passwd".*O_PATH' .trace || fail_ "nobody looked at it: $(<.trace)"
	if grep 'passwd"' .trace | grep -v O_PATH; then fail_ "it was opened"; fi
}
case_ "a device in place of the image's passwd is not opened" device_closed

# /etc or /dev of the image is a symlink to a directory of the host.
host_links() {
	local link
	mkdir canary
	echo 'host-user:x:4242:4242::/:/bin/sh' >canary/passwd
	for link in etc dev proc sys; do
		rm -rf tree bundle
		cp -a "$TREE" tree
		rm -r tree/$link
		ln -s "$CASE/canary" tree/$link
		image link:1 tree --change 'USER 0'
		expect_exit 0 snap create --name c$link --bundle bundle link:1 -- /bin/true
		same passwd "$(ls -A canary)"
		expect_exit 0 snap rm c$link
	done
	image link:2 tree --change 'USER host-user'
	refused 5 snap create --bundle bundle2 link:2 -- /bin/true
}
case_ "an image whose /etc or /dev is a symlink to the host: nothing of the host is read or made" host_links

terminal() {
	image small:1
	expect_exit 0 snap create --tty --bundle bundle small:1 -- /bin/sh -c 'tty && stat -c %F /dev/console; exit 5'
	python -c 'import json; assert json.load(open("bundle/config.json"))["process"]["terminal"] is True'
	expect_exit 5 timeout 60 script -qec "runc --root $CASE/runc run --bundle bundle tty-$BASHPID" /dev/null
	[[ $OUT == *"/dev/"*"character special file"* ]] || fail_ "no terminal: $OUT"
	expect_exit 0 snap create --bundle plain small:1 -- /bin/sh -c 'tty; exit 0'
	run 0 plain
	same "not a tty" "$OUT"
}
case_ "--tty gives the process a terminal" terminal

docker_defaults() {
	image small:1 --change 'LABEL made.by="a test"' --change 'CMD ["/bin/true"]' --change 'STOPSIGNAL SIGUSR1'
	expect_exit 0 snap create --name some-name --bundle bundle small:1
	cp bundle/config.json .stdout
	holds 'd["ociVersion"].startswith("1.")'
	holds 'd["annotations"]["made.by"] == "a test"'
	holds '"SIGUSR1" in d["annotations"].values()'
	holds 'd["root"]["readonly"] is False if "readonly" in d["root"] else True'
	holds "d['root']['path'] == '$ROOT/containers/some-name/rootfs'"
	holds '{m["destination"] for m in d["mounts"]} >= {"/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys"}'
	holds '{n["type"] for n in d["linux"]["namespaces"]} >= {"pid", "ipc", "uts", "mount", "network"}'
	holds 'set(d["linux"]["maskedPaths"]) >= {"/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware", "/proc/acpi", "/proc/scsi"}'
	holds 'set(d["linux"]["readonlyPaths"]) >= {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}'
	holds 'set(d["process"]["capabilities"]["bounding"]) == {"CAP_" + c for c in "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE".split()}'
	holds 'not d["process"]["capabilities"].get("ambient") and not d["process"]["capabilities"].get("inheritable")'
	holds 'any(e.startswith("PATH=") for e in d["process"]["env"])'
	holds 'd["process"]["args"] == ["/bin/true"]'
	holds 'd["linux"]["resources"]["devices"][0] == {"allow": False, "access": "rwm"} or d["linux"]["resources"]["devices"][0]["allow"] is False'
}
case_ "config.json has docker's default mounts, namespaces, capabilities, masked and read-only paths" docker_defaults

inside() {
	image small:1
	expect_exit 0 snap create --bundle bundle small:1 -- /bin/sh -c '
		echo data >/tmp/file && cat /tmp/file
		cat /proc/1/comm
		(echo 1 >/proc/sys/kernel/panic) 2>/dev/null || echo read-only sys
		echo x >/dev/null && echo null
		ls /dev/pts >/dev/null && echo pts'
	run 0 bundle
	same "data sh read-only sys null pts" "$(echo $OUT)"
	same data "$(cat "$ROOT"/containers/*/rootfs/tmp/file)"
}
case_ "what the process writes is in the container's rootfs; /proc/sys is read-only for it" inside

read_only_bundle() {
	image small:1
	expect_exit 0 snap create --read-only --bundle bundle small:1 -- /bin/sh -c 'touch /file 2>/dev/null || echo refused'
	run 0 bundle
	same refused "$OUT"
}
case_ "--read-only with a bundle" read_only_bundle

taken() {
	image small:1
	mkdir bundle
	echo '{}' >bundle/config.json
	WORDS=(bundle)
	refused 4 snap create --name one --bundle bundle small:1 -- /bin/true
	same '{}' "$(<bundle/config.json)"
	mkdir empty
	expect_exit 0 snap create --bundle empty small:1 -- /bin/true
	run 0 empty
	expect_exit 0 snap create --bundle "$CASE/made" small:1 -- /bin/true
	run 0 made
}
case_ "a bundle directory that holds a config.json is not overwritten; an empty one is filled" taken

in_use_by_runc() {
	local id=long-$BASHPID
	image small:1
	expect_exit 0 snap create --name running --bundle bundle small:1 -- /bin/sleep 60
	runc --root "$CASE/runc" run --bundle bundle "$id" >/dev/null 2>&1 &
	wait_for 10 sh -c "runc --root '$CASE/runc' state $id | grep -q '\"running\"'"
	expect_exit 4 snap rm running
	one_line_error running
	runc --root "$CASE/runc" kill "$id" KILL
	wait || :
	expect_exit 0 snap rm running
}
case_ "rm of a container that runs is exit 4, and works when it has ended" in_use_by_runc
