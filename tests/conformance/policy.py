# SPDX-License-Identifier: MIT
"""A bad policy fails closed: what would have been mapped gets EACCES, one line on stderr names file, line and
cause, nothing goes out in the clear, and what is not mapped does not notice."""
import json
import os
import time

import kit

folder = kit.begin("policy")
pki = folder + "/pki"
app = [kit.PYTHON, *kit.reachable(folder, kit.HERE + "/app.py")]
port = kit.free_port()
guard = kit.tcp_guard(port)
listen_port = kit.free_port()

CONNECT = f"[connect 127.0.0.1 {port}]\nmode = quic\n"
LISTEN = f"[listen 127.0.0.1 {listen_port}]\nmode = quic\n"
PAIR = f"cert = {pki}/server.pem\nkey = {pki}/server.key\n"
GOOD = f"[defaults]\nca = {pki}/ca.pem\nengine = {kit.PLACEMENT}\nlinger = 200ms\n"


def write(name, text, mode=0o644):
    path = f"{folder}/{name}.conf"
    with open(path, "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    os.chmod(path, mode)
    return path


def check_line(name, err, path, line, words):
    """Exactly one line of ours, with FILE:LINE (FILE alone for line 0) and the words."""
    where = f"{path}:{line}: " if line else f"{path}: "
    kit.check(f"{name}: one line on stderr", len(err) == 1 and err[0].startswith("quicshim: "), err)
    kit.check(f"{name}: it names {where}{' '.join(words)}",
              len(err) > 0 and where in err[0] and all(w in err[0] for w in words), err)


def connects(name, path, line, words, user=None):
    code, out, err = kit.run(app + ["connect", str(port)], kit.environment(path, kit.new_engine()), user)
    got = [json.loads(text) for text in out.splitlines()]
    kit.check(f"{name}: connect: EACCES", code == 0 and len(got) == 2 and all(g["connect"] == "EACCES" for g in got),
              f"{code} {out} {err}")
    kit.check(f"{name}: connect: at once", all(g["ms"] < 1000 for g in got), out)
    check_line(f"{name}: connect", err, path, line, words)
    kit.check(f"{name}: no TCP", kit.untouched(guard))


def listens(name, path, line, words, user=None, error="EACCES"):
    code, out, err = kit.run(app + ["listen", str(listen_port)], kit.environment(path, kit.new_engine()), user)
    kit.check(f"{name}: listen: {error}", code == 0 and out.strip() == error, f"{code} {out} {err}")
    if words is not None:
        check_line(f"{name}: listen", err, path, line, words)
    else:
        kit.check(f"{name}: listen: nothing on stderr", err == [], err)


def unmapped(name, path):
    code, _, err = kit.run(["/bin/true"], kit.environment(path, kit.new_engine()))
    kit.check(f"{name}: true does not notice", code == 0 and err == [], f"{code} {err}")
    code, out, err = kit.run(app + ["udp"], kit.environment(path, kit.new_engine()))
    kit.check(f"{name}: UDP does not notice", code == 0 and out == "ok\n" and err == [], f"{code} {out} {err}")


def broken_files():
    """The file as a whole can't be used: every TCP socket could have been meant."""
    cases = {
        # name: (text, mode, line, words)
        "unknown-key": (GOOD + CONNECT + "colour = red\n" + LISTEN + PAIR, 0o644, 7, ["colour"]),
        "unknown-section": (GOOD + "[conect 127.0.0.1 80]\n" + CONNECT, 0o644, 5, ["conect"]),
        "bad-cidr": (GOOD + "[connect 10.0.0.0/33 80]\nmode = quic\n" + CONNECT, 0o644, 5, ["/33"]),
        "bad-port": (GOOD + "[connect 127.0.0.1 70000]\nmode = quic\n", 0o644, 5, ["70000"]),
        "bad-mode": (GOOD + f"[connect 127.0.0.1 {port}]\nmode = plain\n", 0o644, 6, ["plain"]),
        "bad-duration": (GOOD + CONNECT + "handshake-timeout = soon\n", 0o644, 7, ["soon"]),
        "long-line": (GOOD + "# " + "x" * 70000 + "\n" + CONNECT, 0o644, 5, []),
        "long-name": (GOOD + f"[connect {'a' * 300}.test 80]\nmode = quic\n", 0o644, 5, []),
        "nul": (GOOD.encode() + b"[connect 127.0.0.1 \x0080]\n", 0o644, 5, []),
        "cert-without-key": (GOOD + LISTEN + f"cert = {pki}/server.pem\n", 0o644, 7, ["key"]),
        "world-writable": (GOOD + CONNECT, 0o666, 0, ["writ"]),
        "group-writable": (GOOD + CONNECT, 0o664, 0, ["writ"]),
    }
    for name, (text, mode, line, words) in cases.items():
        path = write(name, text, mode)
        connects(name, path, line, words)
        listens(name, path, line, words)
        unmapped(name, path)
    path = folder + "/missing.conf"
    connects("missing", path, 0, [])
    unmapped("missing", path)
    os.mkdir(folder + "/folder.conf")
    connects("a-folder", folder + "/folder.conf", 0, [])
    path = write("foreign", GOOD + CONNECT)
    if os.geteuid() == 0:
        os.chown(path, 1234, 1234)
        connects("owned-by-a-stranger", path, 0, ["own"])
        unmapped("owned-by-a-stranger", path)


def broken_credentials():
    """The policy is sound; what a rule names is not. The line is the one of its section."""
    bad = folder + "/bad.pem"
    with open(bad, "w", encoding="ascii") as f:
        f.write("no certificate\n")
    cases = {
        "missing-cert": (f"cert = {folder}/none.pem\nkey = {pki}/server.key\n", ["none.pem"]),
        "missing-key": (f"cert = {pki}/server.pem\nkey = {folder}/none.key\n", ["none.key"]),
        "mismatch": (f"cert = {pki}/server.pem\nkey = {pki}/client.key\n", ["client.key", "match"]),
        "no-certificate": (f"cert = {bad}\nkey = {pki}/server.key\n", ["bad.pem"]),
        "no-key": (f"cert = {pki}/server.pem\nkey = {bad}\n", ["bad.pem"]),
        "missing-client-ca": (PAIR + f"client-ca = {folder}/none.pem\n", ["none.pem"]),
    }
    for name, (lines, words) in cases.items():
        path = write(name, GOOD + LISTEN + lines)
        listens(name, path, 5, words)
        unmapped(name, path)
    path = write("missing-ca", f"[defaults]\nengine = {kit.PLACEMENT}\n" + CONNECT + f"ca = {folder}/none.pem\n")
    connects("missing-ca", path, 3, ["none.pem"])
    path = write("missing-own-key", GOOD + CONNECT + f"cert = {pki}/client.pem\nkey = {folder}/none.key\n")
    connects("missing-own-key", path, 5, ["none.key"])
    if os.geteuid() == 0: # pki.sh makes keys that their owner alone can read
        path = write("unreadable-key", GOOD + LISTEN + PAIR)
        listens("unreadable-key", path, 5, ["server.key", "ermission"], kit.NOBODY)
        path = write("unreadable-policy", GOOD + CONNECT, 0o600)
        connects("unreadable-policy", path, 0, ["ermission"], kit.NOBODY)
    else:
        print("     not root: nothing is unreadable here")


def other_rules_go_on():
    """One rule's key is bad: the listener of another, in the same file, works."""
    path = write("other-rule", GOOD + f"[listen 127.0.0.1 {kit.free_port()}]\nmode = quic\n"
                 f"cert = {folder}/none.pem\nkey = {folder}/none.key\n" + LISTEN + PAIR)
    listens("other-rule", path, 0, None, error="ok")


def main():
    begin = time.monotonic()
    broken_files()
    broken_credentials()
    other_rules_go_on()
    kit.check("nothing was seen on the TCP port", kit.untouched(guard))
    print(f"     {time.monotonic() - begin:.1f} s")
    kit.finish()


main()
