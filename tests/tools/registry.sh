#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# To be sourced after lib.sh: real registries (Debian's docker-registry) on free ports of 127.0.0.1, and
# liar.py, which answers what a real one would not. They end with the test.
#
#	registry_start NAME [tls [clientca]] [auth] [at=URL]	its address in $REGISTRY, its directory in $WORK/NAME
#	registry_fill FROM TO			skopeo copies an image there
#	liar_start LAYOUT TWIST...		tools/liar.py; its address in $LIAR, its log in $LIAR_LOG
#
# With at=URL it says that it is there. The user of `auth` is `me`, the password `secret:word`.

unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY
unset REGISTRY_AUTH_FILE DOCKER_CONFIG XDG_RUNTIME_DIR XDG_CONFIG_HOME
export HOME=$WORK/home
mkdir -p "$HOME"

REGISTRY_PIDS=()
registry_stop() {
	local pid
	for pid in ${REGISTRY_PIDS[@]+"${REGISTRY_PIDS[@]}"}; do
		kill -9 "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
}
trap 'registry_status=$?; registry_stop; (exit $registry_status); finish' EXIT

# make_ca DIR: ca.crt, a server's certificate for 127.0.0.1 and localhost, a client's.
make_ca() {
	local who
	mkdir -p "$1"
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-ca -keyout "$1/ca.key" -out "$1/ca.crt" 2>/dev/null
	for who in server client; do
		openssl req -newkey rsa:2048 -nodes -subj "/CN=$who" -keyout "$1/$who.key" -out "$1/$who.csr" 2>/dev/null
		openssl x509 -req -in "$1/$who.csr" -CA "$1/ca.crt" -CAkey "$1/ca.key" -CAcreateserial -days 2 -out "$1/$who.cert" \
			-extfile <(echo "subjectAltName=IP:127.0.0.1,DNS:localhost") 2>/dev/null
	done
}

registry_start() {
	local name=$1 dir=$WORK/$1 port
	shift
	mkdir -p "$dir"
	cat >"$dir/config.yml" <<-END
		version: 0.1
		log: {level: info, accesslog: {disabled: false}}
		storage: {filesystem: {rootdirectory: $dir/storage}, delete: {enabled: true}}
		http:
		  addr: 127.0.0.1:0
		  secret: x
	END
	[[ " $* " != *" at="* ]] || echo "  host: $(sed 's/.* at=\([^ ]*\) .*/\1/' <<<" $* ")" >>"$dir/config.yml"
	if [[ " $* " == *" tls "* ]]; then
		[ -d "$WORK/certs" ] || make_ca "$WORK/certs"
		cat >>"$dir/config.yml" <<-END
			  tls: {certificate: $WORK/certs/server.cert, key: $WORK/certs/server.key$(
				[[ " $* " != *" clientca "* ]] || echo ", clientcas: [$WORK/certs/ca.crt]")}
		END
	fi
	if [[ " $* " == *" auth "* ]]; then
		htpasswd -Bbn me secret:word >"$dir/htpasswd"
		printf 'auth: {htpasswd: {realm: test, path: %s}}\n' "$dir/htpasswd" >>"$dir/config.yml"
	fi
	docker-registry serve "$dir/config.yml" >>"$dir/log" 2>&1 &
	REGISTRY_PIDS+=($!)
	wait_for 20 grep -q 'listening on' "$dir/log"
	port=$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\).*/\1/p;T;q' "$dir/log")
	[ -n "$port" ] || fail_ "no port in: $(<"$dir/log")"
	REGISTRY=127.0.0.1:$port
}

# registry_fill FROM TO [SKOPEO-OPTION...]: both in skopeo's words.
registry_fill() {
	local from=$1 to=$2
	shift 2
	skopeo --insecure-policy copy --quiet --dest-tls-verify=false --src-tls-verify=false "$@" "$from" "$to" >"$WORK/skopeo.log" 2>&1 ||
		fail_ "skopeo: $(tail -n 5 "$WORK/skopeo.log")"
}

# asked NAME PATTERN: requests that the registry's log has, the latest last.
asked() {
	grep -aoE '"(GET|HEAD|PUT|POST|PATCH) [^"]*"' "$WORK/$1/log" | grep -E "$2" || :
}

# liar_start LAYOUT TWIST...: ends with the case, or with liar_stop.
LIARS=0
liar_start() {
	LIARS=$((LIARS + 1))
	LIAR_LOG=$CASE/liar.$LIARS.log
	"$PYTHON" "$TOOLS/liar.py" "$LIAR_LOG" "$CASE/liar.$LIARS.port" "$@" 2>"$CASE/liar.err" &
	LIAR_PID=$!
	wait_for 20 test -s "$CASE/liar.$LIARS.port"
	read -r LIAR OTHER <"$CASE/liar.$LIARS.port"
	LIAR=127.0.0.1:$LIAR
}
liar_stop() {
	kill "$LIAR_PID"
	wait "$LIAR_PID" 2>/dev/null || :
}

# liar_saw EXPRESSION: it is true of the list `d` of the requests that the liar got.
liar_saw() {
	local answer
	answer=$(python -c '
import json, sys
d = [json.loads(line) for line in open(sys.argv[1])]
blobs = [r for r in d if "/blobs/" in r["path"]]
print(bool(eval(sys.argv[2])))' "$LIAR_LOG" "$1") || fail_ "cannot look at '$1' in: $(<"$LIAR_LOG")"
	[ "$answer" = True ] || fail_ "the liar did not see: $1"$'\n'"$(<"$LIAR_LOG")"
}
