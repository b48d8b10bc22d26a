# SPDX-License-Identifier: MIT
"""A client whose host changes its address, at a server of three members that come and go: on each rung of steering.

moves.py [RUNG...]   default: hash and classic
"""
import atexit
import json
import os
import select
import shutil
import signal
import subprocess
import sys

import kit

if os.geteuid() != 0 or not shutil.which("ip"):
    kit.skip("network namespaces need root and iproute2")
RUNGS = sys.argv[1:] or ["hash", "classic"]
if "ebpf" in RUNGS:
    kit.need_steering()
folder = kit.begin("moves")
APP = os.path.join(kit.HERE, "share_app.py")
HERE, THERE = f"qsmA.{os.getpid()}", f"qsmB.{os.getpid()}"
SERVER, NET = "10.79.0.2", "10.79.0"


def ip(*words):
    return subprocess.run(["ip", *words], check=False, stderr=subprocess.DEVNULL).returncode == 0


def namespaces():
    atexit.register(lambda: [ip("netns", "del", name) for name in (HERE, THERE)])
    if not (ip("netns", "add", HERE) and ip("netns", "add", THERE)):
        kit.skip("no network namespaces here")
    if not ip("link", "add", "qsm0", "netns", HERE, "type", "veth", "peer", "name", "qsm0", "netns", THERE):
        kit.skip("no veth devices here")
    for name, address in ((HERE, f"{NET}.10/24"), (THERE, f"{SERVER}/24")):
        ip("-n", name, "addr", "add", address, "dev", "qsm0")
        ip("-n", name, "link", "set", "qsm0", "up")
        ip("-n", name, "link", "set", "lo", "up")


def policy(name, text):
    path = os.path.join(folder, name)
    with open(path, "w") as f:
        f.write(f"[defaults]\nmode = quic\nengine = {kit.PLACEMENT}\nca = {folder}/pki/ca.pem\n" + text)
    return path


class App:
    def __init__(self, place, rules, *args):
        self.engine = kit.new_engine()
        self.p = subprocess.Popen(["ip", "netns", "exec", place, kit.PYTHON, APP, *map(str, args)], text=True, bufsize=1,
                                  env=kit.environment(rules, self.engine), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        kit.children.append(self.p)

    def line(self):
        return self.p.stdout.readline().strip() if select.select([self.p.stdout], [], [], 60)[0] else "HANGS"

    def ask(self):
        self.p.stdin.write("again\n")

    def say(self):
        self.ask()
        return self.line()

    def end(self):
        self.p.kill()
        self.p.wait()
        kit.children.remove(self.p)


def engines(place):
    answer = subprocess.run(["ip", "netns", "exec", place, os.path.join(kit.BUILD, "bin/quicshim-status"), "--json"],
                            check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return json.loads(answer.stdout)["engines"]


def members(port):
    return [m for e in engines(THERE) for m in e["members"] if m["endpoint"].endswith(f":{port}")]


def handed(port):
    return sum(m["handed_out"] for m in members(port))


class Host:
    """The client's, with one address at a time."""

    def __init__(self, held):
        self.held, self.at = held, 10

    def is_there(self):
        return any(c["local"].startswith(f"{NET}.{self.at}:") for e in engines(HERE)
                   if self.held.engine.startswith(e["id"]) for c in e["connections"])

    def move(self):
        """While a megabyte is on its way; what the program then says, twice."""
        self.held.ask()
        ip("-n", HERE, "addr", "del", f"{NET}.{self.at}/24", "dev", "qsm0")
        self.at += 1
        ip("-n", HERE, "addr", "add", f"{NET}.{self.at}/24", "dev", "qsm0")
        said = [self.held.line()]
        if not kit.until(self.is_there, 30):
            said.append(f"not at {NET}.{self.at}")
        return said + [self.held.say()]

    def rest(self):
        ip("-n", HERE, "addr", "del", f"{NET}.{self.at}/24", "dev", "qsm0")
        ip("-n", HERE, "addr", "add", f"{NET}.10/24", "dev", "qsm0")


def test(rung, port):
    server = policy(f"server-{rung}", f"[listen * *]\nsteering = {rung}\ncert = {folder}/pki/server.pem\n"
                    f"key = {folder}/pki/server.key\n")
    client = policy("client", "[connect * *]\nserver-name = localhost\n")
    apps = [App(THERE, server, "serve", SERVER, port, str(i), "reuseport") for i in range(3)]
    kit.check(f"{rung}: three share a port", [a.line() for a in apps] == ["ready"] * 3)
    kit.check(f"{rung}: it is the rung",
              kit.until(lambda: [m["steering"] for m in members(port)] == [rung] * 3, 10), members(port))
    before = handed(port)
    held = App(HERE, client, "hold", SERVER, port)
    first = held.line()
    kit.check(f"{rung}: it is somebody's", first in ("0", "1", "2"), first)
    host = Host(held)
    said = [held.say()] + host.move() + host.move() + host.move()
    kit.check(f"{rung}: a connection survives migration", set(said) == {"ok"}, said)
    moved = handed(port) - before
    print(f"     {rung}: {moved} hand-offs while nobody came or left")
    if rung != "hash":
        kit.check(f"{rung}: nothing was handed over", moved == 0, members(port))
    come_and_go(rung, port, server, apps, first, host)
    host.rest()


def come_and_go(rung, port, server, apps, first, host):
    others = [a for i, a in enumerate(apps) if str(i) != first]
    others[0].p.send_signal(signal.SIGTERM)
    said = host.move()
    others[1].end()
    said += host.move()
    late = App(THERE, server, "serve", SERVER, port, "late", "reuseport")
    kit.check(f"{rung}: one comes late", late.line() == "ready")
    said += host.move()
    kit.check(f"{rung}: members leave, die and come without a lost byte", set(said) == {"ok"}, said)
    for app in (host.held, late, *[a for a in apps if a is not others[1]]):
        app.end()


namespaces()
for number, way in enumerate(RUNGS):
    test(way, 4433 + number)
kit.finish()
