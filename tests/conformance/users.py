# SPDX-License-Identifier: MIT
"""Daemons of four users, each with a key of its own, on one UDP port: wildcard and specific, IPv4 and IPv6."""
import os
import select
import shutil
import subprocess

import kit

if os.geteuid() != 0:
    kit.skip("it starts as root what becomes other users")
USERS = {"a": 1001, "b": 1002, "c": 1003, "d": 1004}
folder = kit.begin("users")
APP = kit.reachable(folder, os.path.join(kit.HERE, "share_app.py"))[0]
port = kit.free_port()


def policy(name, text):
    path = os.path.join(folder, name)
    with open(path, "w") as f:
        f.write(f"[defaults]\nmode = quic\nengine = {kit.PLACEMENT}\nendpoint = :{port}\n" + text)
    os.chmod(path, 0o644)
    return path


def server(alpn, more=""):
    """A key that only root may read."""
    key, cert = f"{folder}/{alpn}.key", f"{folder}/{alpn}.pem"
    for source, to in (("server.key", key), ("server.pem", cert)):
        shutil.copy(f"{folder}/pki/{source}", to)
    os.chmod(key, 0o600)
    return policy(f"server-{alpn}", f"[listen * *]\nalpn = {alpn}\ncert = {cert}\nkey = {key}\n{more}")


def run(rules, *args, user=None):
    def become():
        if user is not None:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
    p = subprocess.Popen([kit.PYTHON, APP, *map(str, args)], env=kit.environment(rules, kit.new_engine()), text=True,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=become)
    kit.children.append(p)
    return p


def line(p):
    return p.stdout.readline().strip() if select.select([p.stdout], [], [], 30)[0] else "HANGS"


def ask(alpn, address):
    rules = policy(f"client-{alpn}", f"[connect * *]\nalpn = {alpn}\nca = {folder}/pki/ca.pem\nserver-name = localhost\n")
    p = run(rules, "ask", address, 1)
    answer = line(p)
    p.wait(20)
    kit.children.remove(p)
    return answer


def end(p):
    p.kill()
    p.wait()
    kit.children.remove(p)
    return p.stderr.read()


def daemon(alpn, address, more=""):
    p = run(server(alpn, more), "drop", address, kit.free_port(), alpn, USERS[alpn])
    kit.check(f"{alpn}: a daemon of user {USERS[alpn]} listens on {address}", line(p) == "ready")
    return p


def uids(p):
    with open(f"/proc/{p.pid}/status") as f:
        return next(w.split()[1:] for w in f if w.startswith("Uid:"))


def matrix(wanted):
    for (alpn, address), answer in wanted.items():
        got = ask(alpn, address)
        kit.check(f"{alpn} at {address}: {answer}", got == answer, got)


apps = {"a": daemon("a", "0.0.0.0"), "b": daemon("b", "127.0.0.1"), "c": daemon("c", "::"), "d": daemon("d", "::1")}
kit.check("each is its user", all(set(uids(p)) == {str(USERS[k])} for k, p in apps.items()))
matrix({("a", "127.0.0.1"): "a", ("b", "127.0.0.1"): "b", ("a", "127.0.0.2"): "a", ("b", "127.0.0.2"): "ECONNREFUSED",
        ("c", "::1"): "c", ("d", "::1"): "d", ("a", "::1"): "ECONNREFUSED", ("d", "127.0.0.1"): "ECONNREFUSED"})
end(apps.pop("b"))
late = daemon("b", "127.0.0.1")
matrix({("b", "127.0.0.1"): "b", ("a", "127.0.0.1"): "a"})
# The kernel's rule: who starts as somebody else can't join, and is told.
shutil.copy(f"{folder}/pki/server.key", f"{folder}/e.key")
os.chown(f"{folder}/e.key", 1005, 1005)
other = policy("server-e", f"[listen * *]\nalpn = e\ncert = {folder}/b.pem\nkey = {folder}/e.key\n")
alien = run(other, "serve", "127.0.0.1", kit.free_port(), "e", user=1005)
kit.check("a user's own program can't join root's", line(alien) == "EADDRINUSE")
said = end(alien)
kit.check("and is told why", "another user" in said, said)
matrix({("b", "127.0.0.1"): "b"})
for p in (late, *apps.values()):
    end(p)
# udp-owner: root joins a user's socket, whoever was first.
first = run(other, "serve", "127.0.0.1", kit.free_port(), "e", user=1005)
kit.check("udp-owner: a user's program listens", kit.until(lambda: first.poll() is None) and line(first) == "ready")
joined = daemon("a", "127.0.0.1", "udp-owner = 1005\n")
matrix({("e", "127.0.0.1"): "e", ("a", "127.0.0.1"): "a"})
end(first)
again = run(other, "serve", "127.0.0.1", kit.free_port(), "e", user=1005)
said = line(again)
kit.check("udp-owner: and comes again, without privilege", said == "ready", said + (end(again) if said != "ready" else ""))
matrix({("e", "127.0.0.1"): "e", ("a", "127.0.0.1"): "a"})
for p in (joined, again):
    end(p)
kit.finish()
