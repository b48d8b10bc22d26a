# SPDX-License-Identifier: MIT
"""What stands in the queue of a listener that closes goes to a sibling; what was accepted never does."""
import json
import os
import subprocess
import time

import kit

APP = os.path.join(kit.HERE, "held_app.py")
N = 20
folder = kit.begin("held")


def write(name, text):
    path = os.path.join(folder, name)
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, 0o644)
    return path


DEFAULTS = f"[defaults]\nmode = quic\nengine = {kit.PLACEMENT}\n"
SERVER = write("server.conf", DEFAULTS + f"[listen * *]\ncert = {folder}/pki/server.pem\nkey = {folder}/pki/server.key\n")
CLIENT = write("client.conf", DEFAULTS + f"[connect * *]\nca = {folder}/pki/ca.pem\nserver-name = localhost\n")


class App:
    def __init__(self, rules, *args):
        self.engine = kit.new_engine()
        self.p = subprocess.Popen([kit.PYTHON, APP, *map(str, args)], text=True, stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, env=kit.environment(rules, self.engine))
        kit.children.append(self.p)

    def line(self):
        return self.p.stdout.readline().strip()

    def say(self, command):
        self.p.stdin.write(command + "\n")
        self.p.stdin.flush()

    def do(self, command):
        """What it says when that is done."""
        self.say(command)
        return self.line()

    def end(self):
        self.p.stdin.close()
        self.p.kill()
        self.p.wait()
        kit.children.remove(self.p)

    def delivered(self):
        """How many streams the engine has put into the queue of its listener."""
        answer = subprocess.run([os.path.join(kit.BUILD, "bin/quicshim-status"), "--json"], check=False,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            engines = json.loads(answer.stdout)["engines"]
        except ValueError:
            return 0
        return sum(listener["accepted"] for e in engines if e["id"] == self.engine.split("-")[0]
                   for listener in e["listeners"])


def scene(what, *ends, learnt=True):
    """A client has a connection to a server that goes, and its successor listens: what became of N requests. That its
    accept() tells is `learnt` from an end in order: then the queue may stand for 10 s, else for one."""
    port = kit.free_port()
    old = App(SERVER, "serve", port, "old")
    old.line()
    client = App(CLIENT, "ask", port)
    client.do("open 1")
    old.do("accept 1")
    for command in ["finish"] if learnt else ["taste", "drop"]:
        old.do(command)
    client.do("read")
    new = App(SERVER, "serve", port, "new")
    kit.check(f"{what}: the successor listens", new.line() == "ready")
    new.do("serve")
    client.do(f"open {N}")
    kit.check(f"{what}: all are in the old queue", kit.until(lambda: old.delivered() == N + 1, 60), old.delivered())
    for command in ends:
        kit.check(f"{what}: {command}", old.do(command) == command.split()[0])
    got = json.loads(client.do("read")), int(new.do("count"))
    for app in (client, old, new):
        app.end()
    return got


def served_before():
    """N requests stand in the queue before the successor comes: its listen() waits until the app has accepted them,
    which this one never does."""
    port = kit.free_port()
    old = App(SERVER, "serve", port, "old")
    old.line()
    client = App(CLIENT, "ask", port)
    client.do(f"open {N}")
    kit.check("served before: all are in the old queue", kit.until(lambda: old.delivered() == N, 60), old.delivered())
    begin = time.monotonic()
    new = App(SERVER, "serve", port, "new")
    kit.check("served before: the successor listens", new.line() == "ready")
    took = time.monotonic() - begin
    kit.check("served before: after a wait", took > 0.8, took)  # never less, however loaded the machine is
    for app in (client, old, new):
        app.end()


served_before()
queued = scene("queued", "close")
kit.check("what nobody accepted is answered by the successor", queued == ({"new": N}, N), queued)
read = scene("read", f"accept {N}", "taste", "close", "drop")
kit.check("what was read is reset, and goes nowhere else", read == ({"ECONNRESET": N}, 0), read)
accepted = scene("accepted", f"accept {N}", "close", "drop")
kit.check("what was accepted is reset, and goes nowhere else", accepted == ({"ECONNRESET": N}, 0), accepted)
past = scene("past the shim", f"foreign {N}", "close", learnt=False)
kit.check("what a foreign program read is reset, and goes nowhere else", past == ({"ECONNRESET": N}, 0), past)
kit.finish()
