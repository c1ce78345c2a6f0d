#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A registry that serves an OCI layout, and does what it is told to do wrong.

	liar.py LOG PORTFILE LAYOUT [TWIST[=VALUE]]...

It listens on two free ports of 127.0.0.1, which PORTFILE gets ("PORT OTHER"); the second one is another
host, to which blobs can be redirected. Each request is a line of JSON in LOG, with `connection` counting
the connections. The tag `1` of every repository is the layout's first manifest. The twists:

	token[=USER:PASS]	want tokens; with a user, the token server wants that one, else nobody
	token-elsewhere		redirect forms for a token to the other port, by 307
	expire=N		a token does for N requests
	elsewhere		redirect blobs to the other port
	to=URL			redirect blobs there
	loop			redirect blobs to themselves, for ever
	fail=N:STATUS[:AFTER]	answer the first N requests for blobs with STATUS and Retry-After: AFTER
	break=N			break off each blob's first answer after N bytes
	always=N		break off every answer after N bytes, whatever range is asked
	norange			know nothing of ranges
	flip, short, long	other bytes, fewer, more (Content-Length says so)
	hold=N			stop after N bytes of a blob until there is a file LOG.go
	silent-short		fewer bytes, no Content-Length
	endless			a blob without an end (chunked)
	html, big, nonsense	that in place of a manifest
	endless-manifest	a manifest without an end
	other-manifest		another manifest than the digest that is asked for
	complain=STATUS		answer requests for manifests so, with words
	noblob			there are no blobs
"""
import base64
import collections
import json
import os
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

log_path, port_path, layout = sys.argv[1:4]
twists = dict(word.partition("=")[::2] for word in sys.argv[4:])
lock = threading.Lock()
log = open(log_path, "w", buffering=1)
connections = 0
blob_requests = collections.Counter()
broken = set()
token_uses = collections.Counter()
tokens = 0


def blob(digest):
    path = f"{layout}/blobs/{digest.replace(':', '/')}"
    return open(path, "rb").read() if os.path.exists(path) else None


first = json.load(open(f"{layout}/index.json"))["manifests"][0]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        global connections
        super().setup()
        with lock:
            connections += 1
            self.connection_number = connections

    def log_message(self, *args):
        pass

    def note(self):
        with lock:
            log.write(json.dumps({
                "server": self.server.called, "method": self.command, "path": self.path,
                "range": self.headers.get("Range"), "authorization": self.headers.get("Authorization"),
                "connection": self.connection_number}) + "\n")

    def answer(self, status, body=b"", kind="application/octet-stream", headers=()):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def complain(self, status, code, message, headers=()):
        text = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
        self.answer(status, text, "application/json", headers)

    def endless(self, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        chunk = b"x" * 65536
        while True:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))

    def may(self):
        """Whether the token is good; or else the answer is given."""
        global tokens
        if "token" not in twists or self.server.called == "other":
            return True
        given = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        with lock:
            token_uses[given] += 1
            good = given.startswith("token-") and token_uses[given] <= int(twists.get("expire", 10**9))
        if good:
            return True
        realm = f"http://127.0.0.1:{main.server_port}/token"
        self.complain(401, "UNAUTHORIZED", "authentication required", [
            ("WWW-Authenticate", f'Bearer realm="{realm}",service="the \\"liar\\"",scope="repository:x:pull"')])
        return False

    def give_token(self):
        global tokens
        wanted = twists["token"]
        given = self.headers.get("Authorization")
        if wanted and given != "Basic " + base64.b64encode(wanted.encode()).decode():
            self.complain(401, "UNAUTHORIZED", "who are you?")
            return
        with lock:
            tokens += 1
            token = f"token-{tokens}"
        self.answer(200, json.dumps({"token": token}).encode(), "application/json")

    def give_manifest(self, name):
        data = blob(first["digest"] if ":" not in name else name)
        kind = first["mediaType"]
        if "complain" in twists:
            self.complain(int(twists["complain"]), "DENIED", "you are\nnot liked here")
        elif "html" in twists:
            self.answer(200, b"<html><body>Log in to the hotel's network</body></html>", "text/html; charset=utf-8")
        elif "big" in twists:
            self.answer(200, b"{" + b" " * 100_000_000 + b"}", kind)
        elif "endless-manifest" in twists:
            self.endless(kind)
        elif "nonsense" in twists:
            self.answer(200, b'{"schemaVersion": 2, ', kind)
        elif data is None or (":" not in name and name != "1"):
            self.complain(404, "MANIFEST_UNKNOWN", "manifest unknown")
        else:
            self.answer(200, data + (b" " if "other-manifest" in twists else b""), kind)

    def give_part(self, data, start, promised):
        """The answer from @start on, of which only as much as the twists want is sent."""
        with lock:
            is_first = self.path not in broken
            broken.add(self.path)
        rest = data[start:]
        send = len(rest)
        if "always" in twists:
            send = int(twists["always"])
        elif "break" in twists and is_first:
            send = int(twists["break"])
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", "application/octet-stream")
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        if promised:
            self.send_header("Content-Length", str(len(rest)))
        else:
            self.send_header("Connection", "close")
        self.end_headers()
        if "hold" in twists:
            self.wfile.write(rest[:int(twists["hold"])])
            self.wfile.flush()
            while not os.path.exists(log_path + ".go"):
                time.sleep(0.02)
            rest = rest[int(twists["hold"]):]
            send = len(rest)
        self.wfile.write(rest[:send])
        self.wfile.flush()
        if send < len(rest) or not promised:
            self.close_connection = True

    def give_blob(self, digest):
        data = blob(digest)
        with lock:
            blob_requests[self.server.called] += 1
            count = blob_requests[self.server.called]
        if "fail" in twists:
            times, status, *after = twists["fail"].split(":", 2)
            if count <= int(times):
                self.complain(int(status), "TOOMANYREQUESTS", "not now", [("Retry-After", a) for a in after])
                return
        if self.server.called == "liar" and ("elsewhere" in twists or "to" in twists):
            self.answer(307, headers=[("Location", twists.get("to") or f"http://127.0.0.1:{other.server_port}{self.path}")])
            return
        if "loop" in twists:
            self.answer(307, headers=[("Location", self.path)])
            return
        if data is None or "noblob" in twists:
            self.complain(404, "BLOB_UNKNOWN", "blob unknown to registry")
            return
        if data.startswith(b"{"):
            self.answer(200, data)  # the config
            return
        if "endless" in twists:
            self.endless("application/octet-stream")
        if "flip" in twists:
            data = data[:-20] + bytes([data[-20] ^ 0x40]) + data[-19:]
        if "short" in twists or "silent-short" in twists:
            data = data[:-7]
        if "long" in twists:
            data += b"more"
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start = int(match.group(1)) if match and "norange" not in twists else 0
        self.give_part(data, start, "silent-short" not in twists)

    def do_GET(self):
        self.note()
        if self.path.startswith("/token"):
            self.give_token()
            return
        if not self.may():
            return
        match = re.fullmatch(r"/v2/.+/(manifests|blobs)/([^/]+)", self.path)
        if not match:
            self.complain(404, "UNSUPPORTED", "what?")
        elif match.group(1) == "manifests":
            self.give_manifest(match.group(2))
        else:
            self.give_blob(match.group(2))

    do_HEAD = do_GET

    def do_CONNECT(self):
        self.note()
        self.complain(403, "DENIED", "no proxy")

    def do_POST(self):
        size = int(self.headers.get("Content-Length") or 0)
        self.form = self.rfile.read(size).decode()
        self.path += "#" + self.form
        self.note()
        if self.path.startswith("/token") and "token-elsewhere" in twists and self.server.called == "liar":
            self.answer(307, headers=[("Location", f"http://127.0.0.1:{other.server_port}/token")])
        elif self.path.startswith("/token"):
            self.answer(200, b'{"access_token": "token-refreshed"}', "application/json")
        else:
            self.complain(405, "UNSUPPORTED", "read only")


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *args):
        pass  # the client went away, as it should from what has no end


main, other = Server(("127.0.0.1", 0), Handler), Server(("127.0.0.1", 0), Handler)
main.called, other.called = "liar", "other"
threading.Thread(target=other.serve_forever, daemon=True).start()
with open(port_path + ".new", "w") as out:
    out.write(f"{main.server_port} {other.server_port}\n")
os.rename(port_path + ".new", port_path)
main.serve_forever()
