#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pull from a registry that lies: exit 5 (1 for what may be the network's fault), one line, and a store
# exactly as it was.
. "$(dirname "$0")/../lib.sh"
. "$TOOLS/registry.sh"

IMAGES=$WORK/images
mkdir "$IMAGES"
layout "$IMAGES" <<'END'
import random, sys
top = sys.argv[1]
noise = random.Random(1).randbytes
layers = lambda: [Layer([directory("usr"), file("usr/noise", noise(400_000))]), Layer([file("usr/more", noise(100_000))])]
Layout(Image(layers(), names="1")).write_dir(top + "/good")
def other_diff(config):
    config["rootfs"]["diff_ids"].reverse()
def one_diff(config):
    config["rootfs"]["diff_ids"].pop()
Layout(Image(layers(), names="1", edit_config=other_diff)).write_dir(top + "/swapped")
Layout(Image(layers(), names="1", edit_config=one_diff)).write_dir(top + "/fewer")
Layout(Image([Layer([file("plain", noise(100_000))], "none")], names="1")).write_dir(top + "/plain")
bomb = Layer([file("../../out", "x")])
Layout(Image([*layers(), bomb], names="1")).write_dir(top + "/climbs")
Layout(Image([Layer([file("../../out", "x"), file("noise", noise(5_000_000))])], names="1")).write_dir(top + "/early")
both = Image(layers(), names="1", edit_manifest=lambda m: m.update(manifests=[]))
Layout(both).write_dir(top + "/both")
END

# lies CODE WORDS LAYOUT TWIST...
lies() {
	local code=$1
	WORDS=("$2")
	liar_start "$IMAGES/$3" "${@:4}"
	refused "$code" snap pull --plain-http "$LIAR/x:1"
	[ ! -e "$ROOT/content/partial" ] || fail_ "left: $(ls "$ROOT/content/partial")"
}

case_ "a plain blob of other bytes" lies 5 'its content is' plain flip
case_ "a compressed blob of other bytes" lies 5 'layer sha256:' good flip
case_ "a blob that is shorter than its descriptor says, and Content-Length with it" lies 5 'where its descriptor says' good short
case_ "a blob that is shorter, without Content-Length" lies 5 'where its descriptor says' good silent-short
case_ "a blob that is longer" lies 5 'where its descriptor says' good long
case_ "a blob without an end" lies 5 'its descriptor says' good endless
case_ "a blob that is not there" lies 5 "'BLOB_UNKNOWN'" good noblob
case_ "HTML in place of a manifest" lies 5 'HTML' good html
case_ "a manifest of 100 MB" lies 5 'bytes' good big
case_ "a manifest without an end" lies 5 'bytes' good endless-manifest
case_ "a manifest that is no JSON" lies 5 'x:1' good nonsense
case_ "DiffIDs that do not fit the layers" lies 5 'DiffID' swapped
case_ "fewer DiffIDs than layers" lies 5 'DiffIDs' fewer
case_ "a layer that climbs out of the root" lies 5 'climbs' climbs
# Of the layer there comes no more than the entry that is refused, and what the decompressor wants to see of it.
early() {
	WORDS=(climbs)
	liar_start "$IMAGES/early" hold=2000000
	SNAP_TIMEOUT=20 refused 5 snap pull --plain-http "$LIAR/x:1"
}
case_ "a layer that is refused at its first entry does not wait for the rest of it" early
case_ "a document that is both manifest and index" lies 5 'both' both
case_ "redirects in a circle" lies 5 'redirects' good loop
case_ "a redirect to a file" lies 5 'neither http nor https' good to=file:///etc/passwd
case_ "a redirect that brings a password along" lies 5 'user or a password' good to=http://a:b@127.0.0.1:1/
case_ "words of the registry that would break the line" lies 1 "you are\\x0anot liked here" good complain=403

by_digest() {
	local digest
	digest=$(pick 'd["manifests"][0]["digest"]' <"$IMAGES/good/index.json")
	WORDS=("$digest" 'its content is')
	liar_start "$IMAGES/good" other-manifest
	refused 5 snap pull --plain-http "$LIAR/x@$digest"
}
case_ "another manifest than the digest that was asked for" by_digest

identity_token() {
	printf '{"auths": {"127.0.0.1": {"auth": "", "identitytoken": "who+I/am"}}}' >auth.json
	liar_start "$IMAGES/good" token token-elsewhere
	sed -i "s/127.0.0.1/$LIAR/" auth.json
	export REGISTRY_AUTH_FILE=$CASE/auth.json
	WORDS=('token server' 'redirect to another server')
	refused 5 snap pull --plain-http "$LIAR/x:1"
	unset REGISTRY_AUTH_FILE
	liar_saw "not any('refresh_token' in r['path'] for r in d if r['server'] == 'other')"
	liar_saw "any('refresh_token' in r['path'] for r in d)"
}
case_ "a token server that sends the identity token on to another server" identity_token

truncated() {
	expect_exit 0 snap images
	liar_start "$IMAGES/good" always=0 norange
	WORDS=('x:1')
	refused 1 snap pull --plain-http "$LIAR/x:1"
}
case_ "a body that always breaks off is the network's fault; nothing came, and nothing is kept" truncated

memory() {
	local peak
	expect_exit 0 snap images
	liar_start "$IMAGES/good" big
	/usr/bin/env python3 - "$SNAPDRV" "$ROOT" "$LIAR" <<-'END' || fail_ "too much memory"
		import resource, subprocess, sys
		subprocess.run([sys.argv[1], "--root", sys.argv[2], "pull", "--plain-http", sys.argv[3] + "/x:1"], stderr=subprocess.DEVNULL)
		peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
		print(peak)
		sys.exit(peak > 64 << 10)
	END
}
case_ "a manifest of 100 MB is not taken into memory" memory
