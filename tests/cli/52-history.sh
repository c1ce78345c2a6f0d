#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# history and inspect: how an image was made, and what its layers share.
. "$(dirname "$0")/../lib.sh"

MADE=$WORK/made
mkdir "$MADE"
layout "$MADE" <<'END'
import sys
top = sys.argv[1]
step = lambda at, by, **more: {"created": f"2020-01-0{at}T00:00:00Z", "created_by": by, **more}
base_layer, app_layer = Layer([file("a", "x" * 1234)]), Layer([file("b", "y" * 4321)])
steps = [step(1, "ADD rootfs"), step(2, "CMD [\"sh\"]", empty_layer=True),
         step(3, "/bin/sh -c " + "long " * 20 + "\tend", comment="a comment", author="me"),
         step(4, "ENV A=1", empty_layer=True)]
def image(layers, history, name):
    def edit(config):
        del config["history"]
        if history:
            config["history"] = history
    made = Image(layers, edit_config=edit, names=name)
    Layout(made).write_dir(f"{top}/{name.split(':')[0]}")
    open(f"{top}/{name.split(':')[0]}.id", "w").write(made.id)
    return made
image([base_layer], steps[:2], "base:1")
image([base_layer, app_layer], steps, "app:1")
image([base_layer, app_layer], [step(1, "ADD another rootfs")] + steps[1:], "other:1")
image([base_layer, app_layer], None, "silent:1")
image([base_layer, app_layer], steps[:1], "short:1")
END
BASE=$(<"$MADE/base.id") APP=$(<"$MADE/app.id")

table() {
	expect_exit 0 snap load "$MADE/app"
	expect_exit 0 snap history --human=false app:1
	cat >want <<-END
		IMAGE          CREATED                CREATED BY                                      SIZE      COMMENT
		${APP:7:12}   2020-01-04T00:00:00Z   ENV A=1                                         0         
		<missing>      2020-01-03T00:00:00Z   /bin/sh -c long long long long long long lon…   4321      a comment
		<missing>      2020-01-02T00:00:00Z   CMD ["sh"]                                      0         
		<missing>      2020-01-01T00:00:00Z   ADD rootfs                                      1234      
	END
	diff -u want "$CASE/.stdout" || fail_ "another table"
	expect_exit 0 snap history app:1
	for word in 'years ago' ' 0B ' ' 4.32kB ' ' 1.23kB '; do
		[[ $OUT == *"$word"* ]] || fail_ "no '$word' in: $OUT"
	done
	expect_exit 0 snap history --no-trunc "${APP:7:12}"
	[[ $OUT == *"$APP "* && $OUT == *"long long  end"* ]] || fail_ "$OUT"
	same 5 "$(wc -l <"$CASE/.stdout")"
	expect_exit 0 snap history -q app:1
	same "${APP:7:12} <missing> <missing> <missing>" "$(echo $OUT)"
	expect_exit 0 snap history -q --no-trunc app:1
	same "$APP" "$(head -n 1 "$CASE/.stdout")"
	WORDS=(nothing)
	refused 3 snap history nothing
	WORDS=(human)
	refused 2 snap history --human=perhaps app:1
}
case_ "history prints docker's table: newest first, 0B for what made no layer, <missing> below the top" table

documents() {
	expect_exit 0 snap load "$MADE/app"
	expect_exit 0 snap history --json app:1
	holds 'list(d) == ["history"] and len(d["history"]) == 4'
	holds "[h['id'] for h in d['history']] == ['$APP', None, None, None]"
	holds '[h["created"] for h in d["history"]] == [f"2020-01-0{n}T00:00:00Z" for n in (4, 3, 2, 1)]'
	holds '[h["size"] for h in d["history"]] == [0, 4321, 0, 1234]'
	holds '[h["empty_layer"] for h in d["history"]] == [True, False, True, False]'
	holds 'd["history"][1]["created_by"].endswith("long \tend") and d["history"][1]["author"] == "me"'
	holds '[bool(h["diff_id"]) for h in d["history"]] == [False, True, False, True]'
}
case_ "history --json: all fields, times in RFC 3339, sizes in bytes" documents

named_below() {
	expect_exit 0 snap load "$MADE/app"
	expect_exit 0 snap load "$MADE/base"
	expect_exit 0 snap history -q --no-trunc app:1
	same "$APP <missing> $BASE <missing>" "$(echo $OUT)"
	# The same layers, made otherwise, are not that image.
	expect_exit 0 snap load "$MADE/other"
	expect_exit 0 snap history -q --no-trunc other:1
	same "$(<"$MADE/other.id") <missing> <missing> <missing>" "$(echo $OUT)"
}
case_ "an image below that is in the store is named, when its history is how this one begins" named_below

without() {
	expect_exit 0 snap load "$MADE/silent"
	expect_exit 0 snap history --json silent:1
	holds '[h["size"] for h in d["history"]] == [4321, 1234]'
	holds 'all(h["created"] is None and h["created_by"] == "" for h in d["history"])'
	expect_exit 0 snap history silent:1
	[[ $OUT == *N/A* ]] || fail_ "$OUT"
	expect_exit 0 snap load "$MADE/short"
	expect_exit 0 snap history --json short:1
	holds '[(h["size"], h["created_by"]) for h in d["history"]] == [(4321, ""), (1234, "ADD rootfs")]'
}
case_ "without a history, or with one too short, there is a row for each layer" without

real_history() {
	expect_exit 0 snap load "$(real buildah-docker)"
	expect_exit 0 snap --json history localhost/built:1
	cp .stdout ours
	archive=$(real buildah-docker)
	skopeo inspect --config "docker-archive:$archive" >config
	python - <<-'END' || fail_ "$(cat ours config)"
		import json
		ours, theirs = json.load(open("ours"))["history"][::-1], json.load(open("config"))["history"]
		assert len(ours) == len(theirs)
		for a, b in zip(ours, theirs):
		    assert a["created_by"] == b.get("created_by", "") and a["comment"] == b.get("comment", "")
		    assert a["empty_layer"] == b.get("empty_layer", False)
		    assert a["created"][:19] == b["created"][:19]
	END
}
case_ "the history of buildah's image is what skopeo reads in its config" real_history

inspect_image() {
	expect_exit 0 snap load "$MADE/app"
	expect_exit 0 snap load "$MADE/base"
	expect_exit 0 snap create --no-mount --name c app:1
	expect_exit 0 snap inspect app:1
	holds "d[0]['Id'] == '$APP' and d[0]['RepoTags'] == ['docker.io/library/app:1']"
	holds 'd[0]["RepoDigests"] == ["docker.io/library/app@" + d[0]["Digest"]]'
	holds 'd[0]["Containers"] == 1 and d[0]["Size"] == 5555'
	holds '[l["DiffID"] for l in d[0]["Layers"]] == d[0]["RootFS"]["Layers"]'
	holds 'd[0]["Layers"][0]["ChainID"] == d[0]["Layers"][0]["DiffID"]'
	holds '[(l["Size"], l["Entries"], l["Images"], l["BlobKept"]) for l in d[0]["Layers"]] == [(1234, 1, 2, True), (4321, 1, 1, True)]'
	holds 'd[0]["SharedSize"] == 1234 and d[0]["UniqueSize"] == 4321'
	holds 'len(d[0]["History"]) == 4 and d[0]["Os"] == "linux"'
	holds "d[0]['GraphDriver']['Name'] == '$BACKEND'"
	for digest in $(pick '" ".join(l["Digest"][7:] for l in d[0]["Layers"])' <.stdout); do
		same "$digest" "$(sha256sum <"$ROOT/content/sha256/$digest" | cut -d ' ' -f 1)"
	done
	holds "all(l['BlobSize'] == __import__('os').path.getsize('$ROOT/content/sha256/' + l['Digest'][7:]) for l in d[0]['Layers'])"
	ROOT=$CASE/discarded
	expect_exit 0 snap load --discard-blobs "$MADE/app"
	expect_exit 0 snap inspect app:1
	holds '[l["BlobKept"] for l in d[0]["Layers"]] == [False, False]'
}
case_ "inspect of an image: layers with DiffID, ChainID, blob, sizes and who shares them; history" inspect_image

inspect_container() {
	expect_exit 0 snap load "$MADE/app"
	expect_exit 0 snap create --name c app:1
	expect_exit 0 snap inspect c
	holds "d[0]['Name'] == 'c' and d[0]['Image'] == '$APP' and d[0]['Mounted'] is True"
	holds 'len(d[0]["ImageLayers"]) == 2 and d[0]["Layers"] == 2 and d[0]["ImageDigest"][:7] == "sha256:"'
	holds '"rw" in d[0]["MountOptions"].split(",")'
	expect_exit 0 snap umount c
	expect_exit 0 snap inspect c
	holds '"MountOptions" not in d[0] and d[0]["Mounted"] is False'
	expect_exit 0 snap create --no-mount --name shifted --userns 100000:200000:65536 app:1
	expect_exit 0 snap inspect shifted
	holds 'd[0]["UserNS"] == "100000:200000:65536"'
}
case_ "inspect of a container: its image's layers, and the options it is mounted with" inspect_container

digests() {
	expect_exit 0 snap load "$MADE/app"
	digest=$(snap inspect app:1 | pick 'd[0]["Digest"]')
	expect_exit 0 snap images --digests
	[[ $OUT == *DIGEST*"$digest"* ]] || fail_ "$OUT"
	expect_exit 0 snap images
	[[ $OUT != *DIGEST* && $OUT != *"$digest"* ]] || fail_ "$OUT"
	same "$digest" "$(skopeo inspect --format '{{.Digest}}' "oci:$MADE/app:app:1")"
}
case_ "images --digests shows the digests that skopeo computes" digests
