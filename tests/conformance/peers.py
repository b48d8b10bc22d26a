# SPDX-License-Identifier: MIT
"""Bad peers and bad certificates: the errno of DESIGN D7, one line that says what to mend, in time, and
no harm to another connection of the same engine, which is used after each attempt."""
import json
import os
import socket
import threading

import kit

folder = kit.begin("peers")
pki = folder + "/pki"
HANDSHAKE_MS = 1000

# name: (lines of the listen rule, lines of the connect rule, errno of connect, words of the line)
# The words must stand in one line on stderr; none means that there must be no line.
CERT = f"cert = {pki}/server.pem\nkey = {pki}/server.key\n"


def cert(name):
    return f"cert = {pki}/{name}.pem\nkey = {pki}/{name}.key\n"


CASES = {
    "good": (CERT, "", "ok", []),
    "good-name": (CERT, "server-name = server.test\n", "ok", []),
    "wrong-ca": (cert("other"), "", "EACCES", ["certificate"]),
    "trusts-another-ca": (CERT, f"ca = {pki}/other-ca.pem\n", "EACCES", ["certificate"]),
    "wrong-name": (CERT, "server-name = nobody.test\n", "EACCES", ["certificate", "nobody.test"]),
    "wrong-address": (cert("wrongname"), "", "EACCES", ["certificate", "127.0.0.1"]),
    "expired": (cert("expired"), "", "EACCES", ["certificate", "expired"]),
    "client-purpose": (cert("client"), "server-name = client.test\n", "EACCES", ["certificate"]),
    "alpn": (CERT + "alpn = one\n", "alpn = two\n", "ECONNREFUSED", []),
    "client-cert": (CERT + f"client-ca = {pki}/ca.pem\n", cert("client"), "ok", []),
    "no-client-cert": (CERT + f"client-ca = {pki}/ca.pem\n", "", "EACCES", ["certificate"]),
    "wrong-client-cert": (CERT + f"client-ca = {pki}/ca.pem\n", cert("other"), "EACCES", ["certificate"]),
}


def rule(kind, port, lines):
    return f"[{kind} 127.0.0.1 {port}]\nmode = quic\n{lines}"


class Udp:
    """A UDP socket that answers nothing, or each datagram with garbage of many kinds."""
    def __init__(self, port, garbage):
        self.s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.s.bind(("127.0.0.1", port))
        self.seen = 0
        self.garbage = garbage
        threading.Thread(target=self.loop, daemon=True).start()

    def loop(self):
        while True:
            data, peer = self.s.recvfrom(65536)
            self.seen += 1
            if not self.garbage:
                continue
            for answer in (b"", b"x", os.urandom(1200), data, data[:100], bytes([0xC0]) + os.urandom(1199),
                           bytes([0x40]) + os.urandom(100), data[:5] + os.urandom(len(data) - 5)):
                self.s.sendto(answer, peer)


def main():
    ports = {name: kit.free_port() for name in list(CASES) + ["silent", "garbage", "closed"]}
    policy = folder + "/policy.conf"
    # the client's rules for the listening ports are in the server's policy too: harmless
    text = (f"[defaults]\nca = {pki}/ca.pem\nengine = {kit.PLACEMENT}\n"
            f"handshake-timeout = {HANDSHAKE_MS}ms\nlinger = 500ms\n")
    for name, (server, client, _, _) in CASES.items():
        text += rule("listen", ports[name], server) + rule("connect", ports[name], client)
    for name in ("silent", "garbage", "closed"):
        text += rule("connect", ports[name], "")
    with open(policy, "w", encoding="ascii") as f:
        f.write(text)
    os.chmod(policy, 0o644)

    app = [kit.PYTHON, kit.HERE + "/app.py"]
    log = folder + "/server.log"
    kit.start(app + ["serve"] + [str(ports[n]) for n in CASES], kit.environment(policy, kit.new_engine()), log)
    if not kit.check("server starts", kit.until(lambda: "ready" in open(log, encoding="utf-8").read()),
                     open(log, encoding="utf-8").read()):
        kit.finish()
    silent, garbage = Udp(ports["silent"], False), Udp(ports["garbage"], True)
    guards = {n: kit.tcp_guard(ports[n]) for n in ("silent", "garbage", "closed")}

    expected = {n: (c[2], c[3]) for n, c in CASES.items()}
    expected.update(silent=("ETIMEDOUT", []), garbage=("ETIMEDOUT", []), closed=("ECONNREFUSED", []))
    for name, (error, words) in expected.items():
        code, out, err = kit.run(app + ["keep", str(ports["good"]), str(ports[name])],
                                 kit.environment(policy, kit.new_engine()), limit=60)
        ours = [line for line in err if line.startswith("quicshim:")]
        lines = [json.loads(line) for line in out.splitlines()]
        if not kit.check(f"{name}: program ends", code == 0 and len(lines) == 2, f"{code} {out} {err}"):
            continue
        for got in lines:
            how = "blocking" if got["blocking"] else "non-blocking"
            kit.check(f"{name}: {how} connect: {error}", got["connect"] == error, got)
            kit.check(f"{name}: {how}: the other connection works", got["kept"] == "ok", got)
            if error == "ok":
                kit.check(f"{name}: {how}: echo", got["data"] == "ok", got)
            if error == "ETIMEDOUT":
                kit.check(f"{name}: {how}: in time", HANDSHAKE_MS * 0.8 <= got["ms"] <= HANDSHAKE_MS + 1500, got)
            else:
                kit.check(f"{name}: {how}: at once", got["ms"] < HANDSHAKE_MS, got)
        if words:
            kit.check(f"{name}: one line on stderr", len(ours) == 1, err)
            kit.check(f"{name}: it names {', '.join(words)}", len(ours) > 0 and all(w in ours[0] for w in words), err)
        else:
            kit.check(f"{name}: nothing on stderr", err == [], err)
    kit.check("the silent peer was asked", silent.seen > 0 and garbage.seen > 0, "")
    for name, guard in guards.items():
        kit.check(f"{name}: no TCP", kit.untouched(guard))
    kit.finish()


main()
