#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pull: from a real registry, and from one that breaks off, redirects, wants tokens and asks for patience.
. "$(dirname "$0")/../lib.sh"
. "$TOOLS/registry.sh"

# The images, and the registries that have them: plain, with TLS and a password.
IMAGES=$WORK/images
mkdir "$IMAGES"
layout "$IMAGES" <<'END'
import os, random, sys
top = sys.argv[1]
noise = random.Random(1).randbytes
Layout(small_image(names="1")).write_dir(top + "/small")
base = Layer([directory("usr"), file("usr/noise", noise(900_000)), symlink("lib", "usr")], "gzip")
Layout(Image([base, [file("usr/two", "2")], [file("lib/three", noise(50_000))]], names="1")).write_dir(top + "/layers")
Layout(Image([base, [file("usr/other", "o")]], names="1")).write_dir(top + "/sibling")
Layout(Image([[directory("usr"), file("usr/first", noise(500_000)), file("usr/second", noise(3_000_000))]], names="1")).write_dir(top + "/stream")
members = [small_image(name.replace("/", "-"), platform=name) for name in ("linux/arm64", "linux/amd64", "linux/s390x")]
Layout(Index(members, names="1")).write_dir(top + "/multi")
Layout(Image([[file(f"file{i}", noise(300_000))] for i in range(7)], names="1")).write_dir(top + "/many")
END
for name in small layers sibling stream; do
	umoci raw unpack --image "$IMAGES/$name:1" "$IMAGES/$name.tree" 2>"$WORK/umoci.log" || { cat "$WORK/umoci.log"; exit 1; }
done
digest_of() {
	python -c 'import json, sys; print(json.load(open(sys.argv[1] + "/index.json"))["manifests"][0]["digest"])' "$IMAGES/$1"
}
manifest_of() {
	python -c 'import json, sys; top = sys.argv[1] + "/"; d = json.load(open(top + "index.json"))["manifests"][0]["digest"]
print(open(top + "blobs/" + d.replace(":", "/")).read())' "$IMAGES/$1"
}

registry_start plain
PLAIN=$REGISTRY
for name in small layers sibling many; do
	registry_fill "oci:$IMAGES/$name" "docker://$PLAIN/team/$name:1"
done
registry_fill "oci:$IMAGES/multi" "docker://$PLAIN/multi:1" --all
registry_fill "oci:$IMAGES/small" "docker://$PLAIN/docker:1" --format v2s2
registry_start safe tls auth
SAFE=$REGISTRY
registry_fill "oci:$IMAGES/small" "docker://$SAFE/team/small:1" --dest-creds me:secret:word

pull() {
	snap pull --plain-http "$@"
}

# no_leftovers: no part of a blob, nothing in staging.
no_leftovers() {
	[ ! -e "$ROOT/content/partial" ] || fail_ "left: $(ls "$ROOT/content/partial")"
	[ -z "$(ls -A "$ROOT/staging")" ] || fail_ "left: $(ls -R "$ROOT/staging")"
}

by_tag() {
	local name
	for name in small layers; do
		expect_exit 0 pull "$PLAIN/team/$name:1"
		[ -z "$ERR" ] || fail_ "pull says on stderr: $ERR"
		same "$PLAIN/team/$name:1 $(manifest_of $name | pick 'd["config"]["digest"]')" "$OUT"
		expect_exit 0 snap create "$PLAIN/team/$name:1"
		same_tree "$IMAGES/$name.tree" "$OUT"
		same "$(cd "$IMAGES/$name/blobs/sha256" && sha256sum -- * | sort)" \
			"$(cd "$ROOT/content/sha256" && sha256sum -- $(ls "$IMAGES/$name/blobs/sha256") | sort)"
	done
	no_leftovers
}
case_ "pull of a tag gives umoci's tree and prints REF IMAGE-ID; the blobs are the registry's, byte for byte" by_tag

by_digest() {
	local digest
	digest=$(digest_of small)
	expect_exit 0 pull "$PLAIN/team/small@$digest"
	same "$PLAIN/team/small@$digest" "${OUT%% *}"
	expect_exit 0 snap create "$PLAIN/team/small@$digest"
	same_tree "$IMAGES/small.tree" "$OUT"
	expect_exit 0 snap --json images
	holds "d['images'][0]['digest'] == '$digest'"
	expect_exit 0 pull "$PLAIN/team/small:1@$digest"
	WORDS=('MANIFEST_UNKNOWN')
	refused 3 pull "$PLAIN/team/small@sha256:$(printf '0%.0s' {1..64})"
}
case_ "pull of a digest" by_digest

docker_schema() {
	local digest
	digest=$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$PLAIN/docker:1")
	[ "$digest" != "$(digest_of small)" ] || fail_ "skopeo has not made another manifest"
	expect_exit 0 pull "$PLAIN/docker:1"
	expect_exit 0 snap create "$PLAIN/docker:1"
	same_tree "$IMAGES/small.tree" "$OUT"
	expect_exit 0 snap --json images
	holds "d['images'][0]['digest'] == '$digest'"
}
case_ "pull of an image of Docker's schema 2" docker_schema

platforms() {
	local platform
	for platform in linux/arm64 linux/s390x linux/amd64; do
		expect_exit 0 pull --platform $platform "$PLAIN/multi:1"
		expect_exit 0 snap create "$PLAIN/multi:1"
		same "${platform/\//-}" "$(<"$OUT/etc/word")"
	done
	WORDS=('no image for platform')
	refused 3 pull --platform linux/mips64le "$PLAIN/multi:1"
}
case_ "a platform is chosen from an index; one that is not there is exit 3" platforms

known_layers() {
	local base
	base=$(manifest_of layers | pick 'd["layers"][0]["digest"]')
	expect_exit 0 pull "$PLAIN/team/layers:1"
	: >"$WORK/plain/log"
	expect_exit 0 pull "$PLAIN/team/sibling:1"
	same 0 "$(asked plain "$base" | wc -l)"
	same 2 "$(asked plain /blobs/ | wc -l)"
	expect_exit 0 snap create "$PLAIN/team/sibling:1"
	same_tree "$IMAGES/sibling.tree" "$OUT"
	: >"$WORK/plain/log"
	expect_exit 0 pull "$PLAIN/team/sibling:1"
	same 1 "$(asked plain /blobs/ | wc -l)" # the config
}
case_ "layers that the store has are not asked for" known_layers

discarded() {
	expect_exit 0 pull --discard-blobs "$PLAIN/team/layers:1"
	[ -z "$(ls -A "$ROOT/content/sha256")" ] || fail_ "blobs were kept"
	no_leftovers
	expect_exit 0 snap create "$PLAIN/team/layers:1"
	same_tree "$IMAGES/layers.tree" "$OUT"
	# The trees are there: the blobs come alone.
	expect_exit 0 pull "$PLAIN/team/layers:1"
	same "$(ls "$IMAGES/layers/blobs/sha256")" "$(ls "$ROOT/content/sha256")"
	no_leftovers
}
case_ "--discard-blobs keeps none; another pull brings them" discarded

json() {
	expect_exit 0 pull --json "$PLAIN/team/small:1"
	holds "d['pulled'][0]['digest'] == '$(digest_of small)'"
	holds "d['pulled'][0]['reference'] == '$PLAIN/team/small:1'"
	expect_exit 3 pull --json "$PLAIN/team/small:2"
	same MANIFEST_UNKNOWN "$(pick 'd["error"]["message"].split("says ")[1].split("\u0027")[1]' <"$CASE/.stderr")"
}
case_ "pull --json" json

no_tag() {
	WORDS=("$PLAIN/team/small:2" "'MANIFEST_UNKNOWN'" "'manifest unknown'")
	refused 3 pull "$PLAIN/team/small:2"
	WORDS=("$PLAIN/nothing/here:2" "'manifest unknown'")
	refused 3 pull "$PLAIN/nothing/here:2"
	WORDS=('not an image name')
	refused 2 pull 'Not A Name'
}
case_ "a tag or repository that is not there is exit 3, with the registry's own words" no_tag

no_plain_http() {
	WORDS=("$PLAIN")
	refused 1 snap pull "$PLAIN/team/small:1"
	WORDS=("127.0.0.1:1")
	refused 1 pull 127.0.0.1:1/team/small:1
}
case_ "HTTP is spoken with --plain-http only, on 127.0.0.1 too; nobody there is exit 1" no_plain_http

# ---- TLS and passwords ------------------------------------------------------------------------

certificates() {
	cp "$WORK/certs/ca.crt" .
	WORDS=(certificate)
	refused 1 snap pull --creds me:secret:word "$SAFE/team/small:1"
	expect_exit 0 snap pull --creds me:secret:word --cert-dir . "$SAFE/team/small:1"
	asked safe 'GET .*HTTP/2' | has /blobs/ || fail_ "not by HTTP/2"
	WORDS=(nowhere)
	refused 3 snap pull --cert-dir nowhere "$SAFE/team/small:1"
	mkdir empty
	WORDS=(ca.crt)
	refused 2 snap pull --cert-dir empty "$SAFE/team/small:1"
}
case_ "--cert-dir: its ca.crt is trusted; without it the certificate is refused; HTTP/2 is spoken" certificates

client_certificates() {
	registry_start strict tls clientca
	mkdir dir skopeo
	cp "$WORK"/certs/{ca.crt,client.cert,client.key} skopeo
	registry_fill "oci:$IMAGES/small" "docker://$REGISTRY/team/small:1" --dest-cert-dir skopeo
	cp "$WORK/certs/ca.crt" dir
	expect_exit 1 snap pull --cert-dir dir "$REGISTRY/team/small:1"
	cp "$WORK"/certs/client.{cert,key} dir
	expect_exit 0 snap pull --cert-dir dir "$REGISTRY/team/small:1"
}
case_ "--cert-dir: client.cert and client.key are shown" client_certificates

safe() {
	snap pull --cert-dir "$WORK/certs.ca" "$@" "$SAFE/team/small:1"
}
mkdir "$WORK/certs.ca" && cp "$WORK/certs/ca.crt" "$WORK/certs.ca"

passwords() {
	WORDS=("'UNAUTHORIZED'" "'authentication required'")
	refused 1 safe
	refused 1 safe --creds me:wrong
	WORDS=(USER:PASS)
	refused 2 safe --creds nobody
	expect_exit 0 safe --creds me:secret:word
}
case_ "--creds: none and wrong ones are exit 1 in the registry's words, right ones do" passwords

# An "auth" as the files have it.
auth() {
	printf '%s' "$1" | base64 -w 0
}

auth_files() {
	local good bad
	good=$(auth me:secret:word) bad=$(auth me:wrong)
	mkdir -p home/.docker home/.config/containers run/containers docker
	export HOME=$CASE/home
	echo '{}' >home/.docker/config.json
	expect_exit 1 safe
	printf '{"auths": {"https://%s": {"auth": "%s"}}}' "$SAFE" "$good" >home/.docker/config.json
	expect_exit 0 safe
	printf '{"auths": {"%s": {"auth": "%s"}}}' "$SAFE" "$bad" >home/.config/containers/auth.json
	expect_exit 1 safe
	printf '{"auths": {"%s": {"auth": "%s"}, "%s/team": {"auth": "%s"}, "%s/tea": {"auth": "%s"}}}' \
		"$SAFE" "$bad" "$SAFE" "$good" "$SAFE" "$bad" >home/.config/containers/auth.json
	expect_exit 0 safe
	printf '{"auths": {"%s": {"auth": "%s"}}}' "$SAFE" "$bad" >run/containers/auth.json
	XDG_RUNTIME_DIR=$CASE/run expect_exit 1 safe
	printf '{"auths": {"%s": {"auth": "%s"}}}' "$SAFE" "$good" >mine.json
	XDG_RUNTIME_DIR=$CASE/run REGISTRY_AUTH_FILE=mine.json expect_exit 0 safe
	XDG_RUNTIME_DIR=$CASE/run expect_exit 0 safe --creds me:secret:word
	REGISTRY_AUTH_FILE=absent.json expect_exit 3 safe
	echo '{"auths": ' >mine.json
	REGISTRY_AUTH_FILE=mine.json expect_exit 5 safe
	one_line_error mine.json
}
case_ "podman's and docker's authentication files, the nearer ones first, the longest entry of each" auth_files

helpers() {
	mkdir -p bin home/.docker
	export HOME=$CASE/home PATH=$CASE/bin:$PATH
	cat >bin/docker-credential-test <<-'END'
		#!/bin/sh
		read -r server
		echo "$1 $server" >>"$HOME/asked"
		case $server in
		127.0.0.1:*) echo '{"ServerURL": "x", "Username": "me", "Secret": "secret:word"}' ;;
		*) echo 'credentials not found in native keychain'; exit 1 ;;
		esac
	END
	chmod +x bin/docker-credential-test
	printf '{"credHelpers": {"%s": "test"}}' "$SAFE" >home/.docker/config.json
	expect_exit 0 safe
	same "get $SAFE" "$(<home/asked)"
	echo '{"credsStore": "test"}' >home/.docker/config.json
	expect_exit 0 safe
	expect_exit 0 pull "$PLAIN/team/small:1"
	printf '#!/bin/sh\necho "credentials not found in native keychain"; exit 1\n' >bin/docker-credential-test
	expect_exit 1 safe
	expect_exit 0 pull "$PLAIN/team/small:1"
	printf '#!/bin/sh\necho "the wallet is locked"; exit 1\n' >bin/docker-credential-test
	expect_exit 1 safe
	one_line_error 'docker-credential-test' 'the wallet is locked'
	echo '{"credsStore": "absent"}' >home/.docker/config.json
	expect_exit 3 safe
	one_line_error 'docker-credential-absent'
	echo '{"credsStore": "../bin/sh"}' >home/.docker/config.json
	expect_exit 5 safe
}
case_ "credential helpers: credHelpers, credsStore, one that knows nothing, one that fails, one that is not there" helpers

# ---- tokens, redirects, patience --------------------------------------------------------------

tokens() {
	liar_start "$IMAGES/many" token
	expect_exit 0 pull "$LIAR/a/b:1"
	liar_saw 'all((r["authorization"] or "").startswith("Bearer token-") for r in blobs)'
	liar_saw '[r["path"] for r in d if r["path"].startswith("/token")] == ["/token?service=the%20%22liar%22&scope=repository%3Aa%2Fb%3Apull"]'
	liar_saw 'all(not r["authorization"] for r in d if r["path"].startswith("/token"))'
}
case_ "a token is fetched once, for nobody in particular, and used from then on" tokens

tokens_for_somebody() {
	liar_start "$IMAGES/small" token=me:secret:word
	expect_exit 1 pull "$LIAR/x:1"
	one_line_error "'UNAUTHORIZED'" "'who are you?'"
	expect_exit 0 pull --creds me:secret:word "$LIAR/x:1"
	# Name and password are for the token server alone.
	liar_saw 'all(not r["authorization"].startswith("Basic") for r in blobs)'
}
case_ "a token for name and password" tokens_for_somebody

tokens_expire() {
	liar_start "$IMAGES/many" token expire=3
	expect_exit 0 pull "$LIAR/x:1"
	liar_saw 'len([r for r in d if r["path"].startswith("/token")]) >= 3'
}
case_ "a token that has expired is replaced on the way" tokens_expire

identity_token() {
	printf '{"auths": {"127.0.0.1": {"auth": "", "identitytoken": "who+I/am"}}}' >auth.json
	liar_start "$IMAGES/small" token
	sed -i "s/127.0.0.1/$LIAR/" auth.json
	REGISTRY_AUTH_FILE=auth.json expect_exit 0 pull "$LIAR/x:1"
	liar_saw 'any("grant_type=refresh_token" in r["path"] and "refresh_token=who%2BI%2Fam" in r["path"] for r in d)'
	liar_saw 'all(r["authorization"] == "Bearer token-refreshed" for r in blobs)'
}
case_ "an identity token is turned into one for the repository" identity_token

redirects() {
	liar_start "$IMAGES/layers" token elsewhere
	expect_exit 0 pull "$LIAR/x:1"
	liar_saw 'len([r for r in blobs if r["server"] == "other"]) == 4'
	liar_saw 'all(r["authorization"] for r in blobs if r["server"] == "liar")'
	liar_saw 'all(r["authorization"] is None for r in d if r["server"] == "other")'
	expect_exit 0 snap create "$LIAR/x:1"
	same_tree "$IMAGES/layers.tree" "$OUT"
}
case_ "a redirect to another host (another port is one) is followed without credentials" redirects

resume() {
	liar_start "$IMAGES/layers" break=300000
	expect_exit 0 pull "$LIAR/x:1"
	liar_saw '[r["range"] for r in blobs if r["range"]] == ["bytes=300000-"]'
	expect_exit 0 snap create "$LIAR/x:1"
	same_tree "$IMAGES/layers.tree" "$OUT"
	no_leftovers
	liar_stop
	ROOT=$CASE/norange
	liar_start "$IMAGES/layers" break=300000 norange
	expect_exit 0 pull "$LIAR/x:1"
	expect_exit 0 snap create "$LIAR/x:1"
	same_tree "$IMAGES/layers.tree" "$OUT"
}
case_ "a blob that breaks off goes on by a range; from its start where the registry knows none" resume

resume_redirected() {
	liar_start "$IMAGES/layers" break=300000 elsewhere
	expect_exit 0 pull "$LIAR/x:1"
	liar_saw '["bytes=300000-"] * 2 == [r["range"] for r in blobs if r["range"]]'
}
case_ "a range goes along with a redirect" resume_redirected

# broken_pull: what is left of one layer is 700000 bytes of it.
broken_pull() {
	liar_start "$IMAGES/layers" always=700000 norange
	expect_exit 1 pull "$LIAR/x:1"
	one_line_error "$LIAR/x:1"
	liar_stop
	BASE=$(manifest_of layers | pick 'd["layers"][0]["digest"].split(":")[1]')
	same 700000 "$(stat -c %s "$ROOT/content/partial/$BASE")"
	[ -z "$(ls -A "$ROOT/content/sha256")" ] || fail_ "blobs of an image that is not here"
}

resume_later() {
	broken_pull
	liar_start "$IMAGES/layers"
	expect_exit 0 pull "$LIAR/x:1"
	liar_saw "[r['range'] for r in blobs if '$BASE' in r['path']] == ['bytes=700000-']"
	expect_exit 0 snap create "$LIAR/x:1"
	same_tree "$IMAGES/layers.tree" "$OUT"
	no_leftovers
}
case_ "what a pull left that failed is where the next one goes on" resume_later

resume_damaged() {
	broken_pull
	printf 'damage' | dd of="$ROOT/content/partial/$BASE" bs=1 seek=5000 conv=notrunc status=none
	liar_start "$IMAGES/layers"
	expect_exit 0 pull "$LIAR/x:1"
	liar_saw "[r['range'] for r in blobs if '$BASE' in r['path']] == ['bytes=700000-', None]"
	expect_exit 0 snap create "$LIAR/x:1"
	same_tree "$IMAGES/layers.tree" "$OUT"
	no_leftovers
}
case_ "what was left and has suffered since is found out, and the blob comes anew" resume_damaged

resume_killed() {
	local pid
	BASE=$(manifest_of layers | pick 'd["layers"][0]["digest"].split(":")[1]')
	expect_exit 0 snap images
	liar_start "$IMAGES/layers" always=700000 norange
	TMPDIR=$CASE/tmp "$SNAPDRV" --root "$ROOT" pull --plain-http "$LIAR/x:1" &
	pid=$!
	wait_for 20 test -s "$ROOT/content/partial/$BASE"
	kill -9 $pid
	wait $pid || :
	liar_stop
	[ -s "$ROOT/content/partial/$BASE" ] || fail_ "nothing is left of the layer"
	liar_start "$IMAGES/layers"
	expect_exit 0 pull "$LIAR/x:1"
	liar_saw "all(r['range'] for r in blobs if '$BASE' in r['path'])"
	expect_exit 0 snap create "$LIAR/x:1"
	same_tree "$IMAGES/layers.tree" "$OUT"
	no_leftovers
}
case_ "a killed pull is gone on with too" resume_killed

patience() {
	local how
	for how in 3:429:0 2:503:1 1:429 2:500 "2:503:$(date -u -d '-1 hour' '+%a, %d %b %Y %H:%M:%S GMT')"; do
		ROOT=$CASE/store.${how//[^0-9]/}
		liar_start "$IMAGES/small" "fail=$how"
		expect_exit 0 pull "$LIAR/x:1"
		liar_stop
	done
	WORDS=("'TOOMANYREQUESTS'" "'not now'")
	liar_start "$IMAGES/small" fail=1000:429:0
	refused 1 pull "$LIAR/x:1"
	liar_saw 'len(blobs) == 5'
	liar_stop
	liar_start "$IMAGES/small" fail=1000:503:86400
	refused 1 pull "$LIAR/x:1"
	liar_saw 'len(blobs) == 1'
}
case_ "429 and 5xx are tried again, with Retry-After as seconds and as a date; five times; not when it is a day" patience

streaming() {
	local pid
	expect_exit 0 snap images
	liar_start "$IMAGES/stream" hold=2600000
	TMPDIR=$CASE/tmp "$SNAPDRV" --root "$ROOT" pull --plain-http "$LIAR/x:1" >out &
	pid=$!
	first_is_there() {
		[ -n "$(find "$ROOT/staging" -path '*/usr/first' -size -500001c -size +499999c)" ]
	}
	wait_for 60 first_is_there
	[ ! -e out ] || [ ! -s out ] || fail_ "it came to an end: $(<out)"
	# What somebody is getting is no garbage.
	expect_exit 0 snap gc --json
	holds "d['gc']['freed'][2]['count'] == 0"
	[ -n "$(ls "$ROOT/content/partial")" ] || fail_ "gc took a blob that is on its way"
	touch "$LIAR_LOG.go"
	wait $pid
	expect_exit 0 snap create "$LIAR/x:1"
	same_tree "$IMAGES/stream.tree" "$OUT"
}
case_ "a layer is unpacked while it arrives: its first file is there before its second one has left" streaming

docker_hub() {
	liar_start "$IMAGES/small"
	https_proxy=http://$LIAR expect_exit 1 snap pull debian
	one_line_error docker.io/library/debian:latest
	liar_saw '{(r["method"], r["path"]) for r in d} == {("CONNECT", "registry-1.docker.io:443")}'
}
case_ "a name without a registry is looked for at registry-1.docker.io, by \$https_proxy" docker_hub

late_library() {
	local file
	expect_exit 0 snap images
	LD_DEBUG=files snap images 2>debug
	grep -q libmount debug || fail_ "nothing to see: $(head debug)"
	! grep curl debug || fail_ "libcurl is loaded without need"
	for file in /usr/lib/*/libcurl.so.4 /usr/lib/*/libcurl-gnutls.so.4; do
		[ ! -e "$file" ] || own_mount mount --bind /dev/null "$(realpath "$file")"
	done
	expect_exit 1 snap pull "$PLAIN/team/small:1"
	one_line_error 'libcurl4'
	read_mounts /usr/lib
	umount "${MOUNTS[@]}"
}
case_ "libcurl is loaded by pull and push alone; an error says so when it is not there" late_library

connections() {
	liar_start "$IMAGES/many"
	expect_exit 0 pull "$LIAR/x:1"
	liar_saw 'len(d) == 9 and max(r["connection"] for r in d) <= 3'
}
case_ "connections are used again: nine requests, three at once, over three at most" connections

progress() {
	local TERM=xterm digest
	script -qec "$SNAPDRV --root $ROOT pull --plain-http $PLAIN/team/many:1" shown >/dev/null
	for digest in $(manifest_of many | pick '" ".join(l["digest"][7:19] for l in d["layers"])'); do
		grep -qa "$digest .*%" shown || fail_ "no bar for $digest: $(cat -v shown)"
	done
	script -qec "$SNAPDRV --root $CASE/other -q pull --plain-http $PLAIN/team/many:1" quiet >/dev/null
	! grep -qa % quiet || fail_ "a bar with -q: $(cat -v quiet)"
}
case_ "a bar for a layer is shown on a terminal, and none with -q" progress

together() {
	local pids=() pid
	expect_exit 0 snap images
	: >"$WORK/plain/log"
	for pid in 1 2 3; do
		pull "$PLAIN/team/many:1" >"out.$pid" 2>&1 &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || fail_ "one of them failed: $(cat out.*)"
	done
	same 10 "$(asked plain /blobs/ | wc -l)" # 7 layers, and the config thrice
	no_leftovers
}
case_ "three at once: each layer is fetched by one of them" together
