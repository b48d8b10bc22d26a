# SPDX-License-Identifier: MIT
"""mode = prefer: what a client sees when UDP is filtered or refused, when the server speaks no QUIC, another protocol, or
shows a bad certificate; what is remembered; and a server whose clients come both ways. In a network namespace of its own."""
import json
import os
import socket
import subprocess
import sys

import kit

if os.environ.get("PREFER_NETNS") != "1":
    if os.geteuid() != 0 or subprocess.run(["unshare", "-n", "true"], check=False).returncode != 0:
        kit.skip("no network namespace can be made here")
    os.execvpe("unshare", ["unshare", "-n", kit.PYTHON, *sys.argv], dict(os.environ, PREFER_NETNS="1"))

subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
folder = kit.begin("prefer")
pki = folder + "/pki"
HAS_NFT = subprocess.run(["nft", "list", "ruleset"], check=False, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL).returncode == 0
APP = [kit.PYTHON, kit.HERE + "/prefer_app.py"]
policies = 0


def policy(connect="", ca="ca", listen=None):
    """A policy file; `connect` and `listen` are lines of its two sections."""
    global policies
    policies += 1
    path = f"{folder}/policy{policies}.conf"
    with open(path, "w") as f:
        f.write(f"[defaults]\nengine = {kit.PLACEMENT}\nca = {pki}/{ca}.pem\nlinger = 20s\n"
                f"[connect * *]\nmode = prefer\nserver-name = server.test\n{connect}\n")
        if listen is not None:
            f.write(f"[listen * *]\nmode = prefer\ncert = {pki}/server.pem\nkey = {pki}/server.key\n{listen}\n")
    os.chmod(path, 0o644)
    return path


def filtered(port, on):
    """UDP to the port vanishes."""
    rules = "add table inet f; add chain inet f i { type filter hook input priority 0 ; }; " \
        f"add rule inet f i udp dport {port} drop" if on else "flush ruleset"
    subprocess.run(["nft", rules], check=True)


def engine(identity):
    out = subprocess.run([os.path.join(kit.BUILD, "bin/quicshim-status"), "--json"], check=False,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    return next((e for e in json.loads(out)["engines"] if e["id"] == identity.split("-")[0]), None)


class App:
    """prefer_app.py, which does one command a line, each with one line of JSON as answer."""

    def __init__(self, path=None):
        self.id = kit.new_engine()
        env = kit.environment(path, self.id) if path else {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
        self.process = subprocess.Popen(APP, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        kit.children.append(self.process)

    def do(self, *words):
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def end(self):
        self.process.stdin.close()
        self.process.wait()
        kit.children.remove(self.process)

    def verdicts(self):
        return engine(self.id)["verdicts"]

    def reasons(self):
        return [v["reason"] for v in self.verdicts()]

    def streams(self):
        return engine(self.id)["streams"]

    def failures(self):
        return engine(self.id)["failures"]


GOOD = {"connect": "ok", "echo": True}


def same(answer, **wanted):
    return all(answer.get(k) == v for k, v in {**GOOD, **wanted}.items())


def plain_server():
    server = App()
    return server, server.do("listen", 0)["port"]


def udp_is_filtered():
    if not HAS_NFT:
        print("SKIP part: nft is missing: nothing filters UDP")
        return
    server, port = plain_server()
    filtered(port, True)
    client = App(policy("head-start = 100ms\nhandshake-timeout = 400ms"))
    got = client.do("connect", port, "block")
    kit.check("filtered: blocking: the program's own TCP socket", same(got, native=True), got)
    kit.check("filtered: the verdict", client.reasons() == ["timeout"], client.verdicts())
    got = client.do("connect", port, "nonblock", "keep")
    kit.check("filtered: non-blocking: EINPROGRESS, one event, one SO_ERROR", same(
        got, first="EINPROGRESS", events=["OUT"], error=0, again=0, native=False), got)
    streams = client.streams()
    kit.check("filtered: the engine passes it on, and says so", len(streams) == 1 and
              (streams[0]["verdict"], streams[0]["reason"]) == ("tcp", "timeout") and
              streams[0]["remote"] == f"127.0.0.1:{port}", streams)
    kit.check("filtered: remembered when the handshake has timed out",
              kit.until(lambda: [f["reason"] for f in client.failures()] == ["timeout"]), client.failures())
    got = client.do("connect", port, "block")
    kit.check("filtered: then TCP at once", same(got) and client.reasons()[0] == "remembered" and
              client.verdicts()[0]["cause"] == "timeout" and client.verdicts()[0]["retry_ms"] > 0, client.verdicts())
    client.end()

    client = App(policy("head-start = 1s"))
    got = client.do("connect", port, "timeout", 100)
    kit.check("filtered: SO_SNDTIMEO: EINPROGRESS, and the attempt goes on", same(
        got, first="EINPROGRESS", events=["OUT"], error=0, native=False), got)
    client.end()
    client = App(policy("head-start = 1s"))
    got = client.do("connect", port, "signal", 100)
    kit.check("filtered: a signal: EINTR, and the attempt goes on", same(
        got, first="EINTR", events=["OUT"], error=0, native=False), got)
    client.end()
    filtered(port, False)
    server.end()


def udp_is_refused():
    server, port = plain_server()
    client = App(policy("head-start = 20s\nretry-after = 300ms"))
    got = client.do("connect", port, "block")
    kit.check("refused: blocking, long before the head start is over", same(got, native=True), got)
    kit.check("refused: the verdict", client.reasons() == ["refused"], client.verdicts())
    got = client.do("connect", port, "nonblock")
    kit.check("refused: non-blocking", same(got, first="EINPROGRESS", events=["OUT"], error=0), got)
    kit.check("refused: remembered", client.reasons()[0] in ("remembered", "refused"), client.verdicts())

    def again():
        client.do("connect", port, "block")
        return any(f["failures"] >= 2 for f in client.failures())
    kit.check("refused: probed again, and it fails twice in a row", kit.until(again), client.failures())
    kit.check("refused: the pause has doubled", client.failures()[0]["retry_ms"] <= 600, client.failures())
    server.end()

    # Now somebody listens there by QUIC.
    server = App(policy(listen=""))
    server.do("listen", port)

    def by_quic():
        client.do("connect", port, "block", "keep")
        return any(s["verdict"] == "quic" for s in client.streams())
    kit.check("refused: QUIC is used again once it works", kit.until(by_quic, 20), client.streams())
    kit.check("refused: and nothing is remembered", client.failures() == [], client.failures())
    server.end()
    client.end()


def forbidden(way, port, on):
    """UDP to the port is answered or thrown away; TCP goes on."""
    if way in RULES:
        # The table of local addresses is looked at first, unless it is moved.
        for words in (("add", "pref", "100", "lookup", "local"), ("del", "pref", "0", "lookup", "local"),
                      ("add", "pref", "10", "ipproto", "udp", "dport", str(port), way)) if on else (
                      ("del", "pref", "10"), ("add", "pref", "0", "lookup", "local"), ("del", "pref", "100")):
            subprocess.run(["ip", "rule", *words], check=True)
        return
    subprocess.run(["nft", "add table inet f; add chain inet f o { type filter hook %s priority 0 ; }; "
                    "add rule inet f o udp dport %d reject with icmp type admin-prohibited" % (way, port)
                    if on else "flush ruleset"], check=True)


# A hook of the packet filter, which rejects it, or what a rule for routes says.
RULES = ("unreachable", "prohibit", "blackhole")
WAYS = {"input": "unreachable", "output": "unreachable", "unreachable": "unreachable", "prohibit": "unreachable",
        "blackhole": "unreachable"}


def udp_is_forbidden():
    """An answer of the path, or of this host's own routes: TCP long before the head start is over."""
    for way, reason in WAYS.items():
        if way not in RULES and not HAS_NFT:
            print(f"SKIP part: nft is missing: nothing rejects UDP on {way}")
            continue
        server, port = plain_server()
        forbidden(way, port, True)
        for how, wanted in (("block", {"native": True}), ("nonblock", {"first": "EINPROGRESS", "events": ["OUT"],
                                                                      "error": 0, "again": 0})):
            client = App(policy("head-start = 20s"))
            got = client.do("connect", port, how)
            kit.check(f"{way}: {how}: TCP, one event", same(got, **wanted) and got["ms"] < 15000, got)
            kit.check(f"{way}: {how}: the verdict", client.reasons() == [reason], client.verdicts())
            client.end()
        forbidden(way, port, False)
        server.end()


def nobody_is_there():
    port = kit.free_port()
    client = App(policy("head-start = 20s"))
    for how in ("block", "nonblock"):
        got = client.do("connect", port, how)
        kit.check(f"nobody: {how}: ECONNREFUSED", got["connect"] == "ECONNREFUSED", got)
    kit.check("nobody: an absent host says nothing about QUIC", client.failures() == [] and client.verdicts() == [],
              client.failures())
    client.end()
    if not HAS_NFT:
        return
    filtered(port, True)
    client = App(policy("head-start = 50ms"))
    got = client.do("connect", port, "block")
    kit.check("TCP refused, UDP filtered: ECONNREFUSED, long before the handshake's timeout",
              got["connect"] == "ECONNREFUSED" and got["ms"] < 9000, got)
    client.end()
    filtered(port, False)


def no_common_protocol():
    server = App(policy(listen="alpn = other"))
    port = server.do("listen", 0)["port"]
    client = App(policy("head-start = 20s"))
    got = client.do("connect", port, "block")
    kit.check("no common ALPN: TCP", same(got, native=True) and client.reasons() == ["no-alpn"], client.verdicts())
    kit.check("no common ALPN: the server counts a TCP client",
              engine(server.id)["listeners"][0]["accepted_tcp"] == 1 and server.reasons() == ["client"],
              engine(server.id))
    client.end()
    server.end()


def bad_certificates():
    server = App(policy(listen=""))
    port = server.do("listen", 0)["port"]

    def came_by_tcp():
        return engine(server.id)["listeners"][0]["accepted_tcp"]
    client = App(policy("head-start = 20s", ca="other-ca"))
    for how in ("block", "nonblock"):
        got = client.do("connect", port, how)
        kit.check(f"bad certificate: {how}: EACCES", got["connect"] == "EACCES", got)
    kit.check("bad certificate: never TCP", came_by_tcp() == 0 and client.verdicts() == [], came_by_tcp())
    client.end()
    client = App(policy("head-start = 20s\non-bad-certificate = tcp", ca="other-ca"))
    got = client.do("connect", port, "block")
    kit.check("bad certificate: TCP where the policy says so", same(got, native=True) and
              client.reasons() == ["certificate"] and came_by_tcp() == 1, client.verdicts())
    client.end()
    client = App(policy(f"head-start = 20s\ncert = {pki}/nothing.pem\nkey = {pki}/nothing.key"))
    got = client.do("connect", port, "block")
    kit.check("a key that is not there: EACCES, never TCP", got["connect"] == "EACCES" and came_by_tcp() == 1, got)
    client.end()
    server.end()


def both_kinds_of_clients():
    server = App(policy(listen=""))
    port = server.do("listen", 0)["port"]
    by_quic = App(policy("head-start = 20s"))
    plain = App()
    got = by_quic.do("connect", port, "block", "keep")
    kit.check("both: one comes by QUIC", same(got, native=False) and by_quic.streams()[0]["verdict"] == "quic", got)
    got = plain.do("connect", port, "block", "keep")
    kit.check("both: one by TCP", same(got, native=True), got)
    listener = engine(server.id)["listeners"][0]
    kit.check("both: both are counted", (listener["accepted"], listener["accepted_tcp"]) == (1, 1), listener)
    got = server.do("peers")
    kit.check("both: the server has a mapped socket and a TCP one, flags as asked for",
              sorted(p["native"] for p in got) == [False, True] and all(p["cloexec"] for p in got), got)

    # A server at its limit of descriptors: nothing is lost, nothing leaks.
    got = server.do("full", 0)
    plain2 = App()
    pending = plain2.do("open", port)
    kit.check("no descriptors: connected, in the queue", pending["connect"] == "ok", pending)
    patience = 10 if kit.PLACEMENT == "process" else 0.5  # a thread has no descriptor to make it readable with
    got = server.do("accept", patience)
    kit.check("no descriptors: EMFILE", got["error"] == "EMFILE", got)
    before = server.do("descriptors")
    got = server.do("accept", patience)
    kit.check("no descriptors: EMFILE again, nothing leaks", got["error"] == "EMFILE" and
              server.do("descriptors") == before, got)
    if kit.PLACEMENT == "process":  # a thread shares the limit, and waits
        got = server.do("full", 1)
        got = server.do("accept")
        kit.check("one descriptor: EMFILE", got["error"] == "EMFILE", got)
        server.do("full", 2)
    else:
        server.do("unlimited")
    got = server.do("accept")
    kit.check("descriptors again: it is there", got["error"] == "ok" and got["native"], got)
    server.do("normal")
    got = plain2.do("exchange")
    kit.check("no descriptors: and it works", got["echo"], got)

    # The server goes away with clients in its queue.
    server.do("full", 0)
    plain3 = App()
    plain3.do("open", port)
    server.end()
    got = plain3.do("exchange")
    kit.check("gone: who was not accepted gets a reset", got["error"] == "ECONNRESET", got)
    for app in (by_quic, plain, plain2, plain3):
        app.end()


LAST_WORDS = """
import os, select, socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
s.setblocking(False)
s.connect_ex(("127.0.0.1", int(sys.argv[1])))
select.select([], [s], [])
s.setblocking(True)
s.sendall(bytes(400000))
"""


def process_one():
    """With process 1 its engine ends: what it wrote to a connection that the engine passes on is sent first."""
    if subprocess.run(["unshare", "-p", "--fork", "true"], check=False).returncode != 0:
        print("SKIP part: no process namespace can be made here")
        return
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    client = subprocess.Popen(["unshare", "-p", "--fork", kit.PYTHON, "-c", LAST_WORDS,
                               str(listener.getsockname()[1])], env=kit.environment(policy(), kit.new_engine()))
    kit.children.append(client)
    listener.settimeout(20)
    conn = listener.accept()[0]
    conn.settimeout(20)
    try:
        client.wait(1)  # so that most of it is still with the engine
    except subprocess.TimeoutExpired:
        pass
    got = 0
    try:
        while more := len(conn.recv(4096)):
            got += more
    except OSError as e:
        got = e
    kit.check("process 1: what it wrote last arrives", got == 400000, got)
    client.wait()
    kit.children.remove(client)


ALONE = """
import socket, time
l = socket.socket(); l.bind(("127.0.0.1", 0)); l.listen()
end = time.monotonic() + 10
while True:
    try:
        c = socket.create_connection(l.getsockname())
        break
    except ConnectionRefusedError:  # the engine's name is given back a moment after it could not be started
        if time.monotonic() > end:
            raise
l.accept()[0].sendall(b"y")
print(c.recv(1).decode())
"""


def without_an_engine():
    """The helper can't be started: mode prefer does without, for connect and listen."""
    shim = folder + "/alone.so"
    with open(kit.SHIM, "rb") as f, open(shim, "wb") as g:
        g.write(f.read())
    for name, path in (("connect", policy()), ("connect and listen", policy(listen=""))):
        env = kit.environment(path, kit.new_engine())
        env["LD_PRELOAD"] = shim
        code, out, err = kit.run([kit.PYTHON, "-c", ALONE], env)
        kit.check(f"no engine: {name}: TCP, and a line that says what is missing", code == 0 and out == "y\n" and err and
                  all(line.startswith("quicshim: ") for line in err), f"{code} {out} {err}")


udp_is_filtered()
udp_is_refused()
udp_is_forbidden()
nobody_is_there()
no_common_protocol()
bad_certificates()
both_kinds_of_clients()
process_one()
without_an_engine()
kit.finish()
